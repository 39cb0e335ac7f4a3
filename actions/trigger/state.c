/* state.c: what a later attempt must know: how far it came, and what was sent, to the letter: an idempotency key with
 * another payload is another request. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/trigger/trigger.h"

#define MAX_VARS 48

static const char *const step_names[] = { "none", "starting", "started", "doubt" };

void
trigger_state_release(struct trigger_state *s)
{
	free(s->payload);
	drop_json(&s->values);
	drop_json(&s->taken);
}

static cJSON *
copy_object(const cJSON *j, const char *key)
{
	const cJSON *from = json_object(j, key);

	return from == NULL ? cJSON_CreateObject() : cJSON_Duplicate(from, true);
}

enum mh_status
trigger_state_read(struct trigger *t, struct mh_err *err)
{
	struct trigger_state *s = &t->state;
	const cJSON *j = t->request->state;
	const char *step = json_string(j, "step"), *payload = json_string(j, "payload");
	size_t i = 0;

	while (step != NULL && i < sizeof(step_names) / sizeof(step_names[0]) && strcmp(step, step_names[i]) != 0)
		i++;
	if (i == sizeof(step_names) / sizeof(step_names[0]) || !state_time(j, "since", &s->since) ||
	    !state_time(j, "asked_at", &s->asked_at) || (step != NULL && payload == NULL))
		return mh_fail(err, MH_BAD, "the state of this job is none of ours");
	(void)json_integer(j, "round", 0, INT32_MAX, &s->round);
	s->step = (enum trigger_step)i;
	if (s->step == TRIGGER_NONE) { /* nothing was done: what is sent is made anew, by the configuration of now */
		s->since = s->asked_at = 0;
		payload = NULL;
		j = NULL;
	}
	s->payload = payload == NULL ? NULL : strdup(payload);
	s->values = copy_object(j, "values");
	s->taken = copy_object(j, "taken");
	if ((payload != NULL && s->payload == NULL) || s->values == NULL || s->taken == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a state");
	return MH_OK;
}

enum mh_status
trigger_save(struct trigger *t, enum trigger_step step, struct mh_err *err)
{
	struct trigger_state *s = &t->state;
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	cJSON *values = cJSON_Duplicate(s->values, true), *taken = cJSON_Duplicate(s->taken, true);
	bool ok = j != NULL && values != NULL && taken != NULL && json_add_string(j, "step", step_names[step]) &&
		  json_add_time(j, "since", s->since) && json_add_string(j, "payload", s->payload) &&
		  (s->asked_at == 0 || json_add_time(j, "asked_at", s->asked_at)) &&
		  (s->round == 0 || json_add_integer(j, "round", s->round));

	if (ok && cJSON_AddItemToObject(j, "values", values))
		values = NULL;
	if (ok && cJSON_AddItemToObject(j, "taken", taken))
		taken = NULL;
	ok = ok && values == NULL && taken == NULL;
	drop_json(&values);
	drop_json(&taken);
	if (!ok)
		return mh_fail(err, MH_RETRY, "no memory for a checkpoint");
	if (!checkpoint(t->protocol, j))
		return mh_fail(err, MH_RETRY, "the job was taken away");
	s->step = step;
	return MH_OK;
}

/* -- variables ------------------------------------------------------------------------------------------------------ */

/* The job's key; of a later round its last digits are others, so that services take it for another start. */
static enum mh_status
make_key(struct trigger *t, struct mh_err *err)
{
	const char *key = t->request->job_key;
	unsigned long last = 0;

	if (strlen(key) != 32 || strspn(key, "0123456789abcdef") != 32)
		return mh_fail(err, MH_BAD, "a job key that is none");
	last = strtoul(key + 24, NULL, 16) ^ (unsigned long)(uint32_t)t->state.round;
	(void)snprintf(t->key, sizeof(t->key), "%.24s%08lx", key, last);
	return MH_OK;
}

/* As a UUID: "ClientToken" of SSM wants its form, others take it. */
static enum mh_status
uuid_of(const char *key, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	return arena_printf(a, ret, err, "%.8s-%.4s-%.4s-%.4s-%.12s", key, key + 8, key + 12, key + 16, key + 20);
}

/* arn:aws:states:REGION:ACCOUNT:stateMachine:NAME to that of the execution that this job starts; MH_NONE: no such ARN. */
static enum mh_status
execution_of(const struct trigger *t, struct mh_span uuid, struct mh_span *ret, struct mh_err *err)
{
	static const char kind[] = ":stateMachine:";

	*ret = MH_NONE;
	for (size_t i = 0; i < t->settings.n_settings; i++) {
		const struct mh_span arn = t->settings.settings[i].value;
		const size_t at = span_find(arn, MH_LIT(":stateMachine:"), 0);

		if (strcmp(t->settings.settings[i].name, "state_machine") == 0 && at != SIZE_MAX)
			return arena_printf(t->arena, ret, err, "%.*s:execution:%s:%.*s", (int)at, arn.p,
			    arn.p + at + sizeof(kind) - 1, (int)uuid.n, uuid.p);
	}
	return MH_OK;
}

/* The variables of the case and the action's own. */
static enum mh_status
read_vars(struct trigger *t, struct mh_err *err)
{
	struct template_vars of_case = { NULL, 0 };
	struct template_var *all = arena_array(t->arena, MAX_VARS, sizeof(*all));
	struct mh_span uuid = MH_NONE, execution = MH_NONE, expires = MH_NONE, since = MH_NONE;
	char text[MH_TIME_TEXT];

	if (all == NULL)
		return mh_fail(err, MH_RETRY, "no memory for variables");
	enum mh_status status = case_vars(t->request, NULL, READERS_PROGRAMS, t->arena, &of_case, err);
	if (status == MH_OK)
		status = make_key(t, err);
	if (status == MH_OK)
		status = uuid_of(t->key, t->arena, &uuid, err);
	if (status == MH_OK)
		status = execution_of(t, uuid, &execution, err);
	if (status == MH_OK && t->request->expiry.has_expires)
		status = arena_copy(t->arena, span_of(time_text(text, t->request->expiry.expires)), &expires, err);
	if (status == MH_OK)
		status = arena_copy(t->arena,
		    span_of(time_text(text, t->state.since != 0 ? t->state.since : t->request->now)), &since, err);
	if (status != MH_OK)
		return status;
	const struct template_var own[] = {
		{ "job_uuid", uuid, LINES_ONE },
		{ "execution", execution, LINES_ONE },
		{ "expires_at", expires, LINES_ONE },
		{ "started", since, LINES_ONE },
		{ "payload", span_of(t->state.payload), LINES_ONE },
	};
	const size_t n_own = sizeof(own) / sizeof(own[0]);
	if (of_case.n + n_own > MAX_VARS)
		return mh_fail(err, MH_LIMIT, "more than %d variables", MAX_VARS);
	for (size_t i = 0; i < of_case.n; i++) {
		all[i] = of_case.items[i];
		if (strcmp(all[i].name, "job_key") == 0)
			all[i].value = span_of(t->key);
	}
	memcpy(all + of_case.n, own, sizeof(own));
	t->vars = (struct template_vars){ all, of_case.n + n_own };
	return MH_OK;
}

/* -- a first attempt ------------------------------------------------------------------------------------------------- */

static enum mh_status
fill_values(struct trigger *t, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf text;
	enum mh_status status = MH_OK;

	buf_init(&text, TRIGGER_MAX_PAYLOAD_BYTES);
	for (size_t i = 0; i < t->settings.n_pairs && status == MH_OK; i++) {
		const struct template_var *pair = &t->settings.pairs[i];

		buf_clear(&text);
		status = template_render("values", (int)i + 1, pair->value, &t->vars, template_plain, &text, err);
		if (status == MH_OK && cJSON_HasObjectItem(t->state.values, pair->name))
			status = mh_fail(err, MH_BAD, "values: %.40s is there twice", pair->name);
		if (status == MH_OK &&
		    !json_add_span(t->state.values, pair->name, text.n == 0 ? MH_LIT("") : buf_span(&text)))
			status = mh_fail(err, MH_RETRY, "no memory for values");
	}
	return status;
}

/* Facts that stay the same over all attempts; the user's own values beside them. */
static enum mh_status
fill_payload(struct trigger *t, struct mh_err *err)
{
	static const char *const names[] = { "action", "job_key", "case_key", "kind", "account", "account_name",
		"owner", "region", "resource" };
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	MH_AUTO(buf_release) struct buf text;
	const cJSON *value;
	bool ok = j != NULL;

	buf_init(&text, TRIGGER_MAX_PAYLOAD_BYTES);
	for (size_t i = 0; ok && i < sizeof(names) / sizeof(names[0]); i++)
		ok = json_add_span(j, names[i], case_var(&t->vars, names[i]));
	ok = ok && json_add_span(j, "expires", case_var(&t->vars, "expires_at"));
	cJSON_ArrayForEach(value, t->state.values)
	{
		if (ok && !cJSON_HasObjectItem(j, value->string))
			ok = json_add_string(j, value->string, value->valuestring);
	}
	if (!ok || (!json_print(j, &text) && buf_ok(&text)))
		return mh_fail(err, MH_RETRY, "no memory for a payload");
	if (!buf_ok(&text))
		return mh_fail(err, MH_LIMIT, "a payload of more than %u bytes", TRIGGER_MAX_PAYLOAD_BYTES);
	t->state.payload = strdup(text.p);
	return t->state.payload == NULL ? mh_fail(err, MH_RETRY, "no memory for a payload") : MH_OK;
}

/* Values that are filled in are no templates any more. */
static enum mh_status
use_values(struct trigger *t, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf text;
	enum mh_status status = MH_OK;

	buf_init(&text, 2 * TRIGGER_MAX_PAYLOAD_BYTES);
	for (size_t i = 0; i < t->settings.n_pairs && status == MH_OK; i++) {
		const char *filled = json_string(t->state.values, t->settings.pairs[i].name);

		buf_clear(&text);
		for (const char *c = filled == NULL ? "" : filled; *c != '\0'; c++) {
			buf_putc(&text, *c);
			if (*c == '{')
				buf_putc(&text, '{');
		}
		if (!buf_ok(&text))
			return mh_fail(err, MH_RETRY, "no memory for values");
		status =
		    arena_copy(t->arena, text.n == 0 ? MH_LIT("") : buf_span(&text), &t->settings.pairs[i].value, err);
	}
	return status;
}

enum mh_status
trigger_state_begin(struct trigger *t, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	if (t->state.payload == NULL) {
		t->state.since = t->request->now;
		status = read_vars(t, err);
		if (status == MH_OK)
			status = fill_values(t, err);
		if (status == MH_OK)
			status = fill_payload(t, err);
	}
	if (status == MH_OK)
		status = read_vars(t, err);
	return status == MH_OK ? use_values(t, err) : status;
}

enum mh_status
trigger_state_again(struct trigger *t, struct mh_err *err)
{
	const int64_t round = t->state.round + 1;

	trigger_state_release(&t->state);
	t->state =
	    (struct trigger_state){ .round = round, .values = cJSON_CreateObject(), .taken = cJSON_CreateObject() };
	if (t->state.values == NULL || t->state.taken == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a state");
	return trigger_state_begin(t, err);
}
