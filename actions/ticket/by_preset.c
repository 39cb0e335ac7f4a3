/* by_preset.c: any system with HTTP and JSON, by a preset: requests written as data (preset.h, mailhook-preset(5)).
 *
 * What a preset of a ticket system may have is said in mailhook-action-ticket(7): the requests open, find, get, comment,
 * commented, change, close, read and check, and the map "link". A ticket counts as found only where the answer shows the
 * key ("take": {"found_key": ...}); without "find", as with webhooks, every event but the first has its ticket. */
#include <stdio.h>
#include <string.h>

#include "actions/common/preset.h"
#include "actions/ticket/ticket.h"

#define LAG_S 60
#define MAX_OWN 16
#define SHORT_TITLE_BYTES 120 /* Opsgenie: 130 */
#define SHORT_TEXT_BYTES 2800 /* Slack: 3,000 for a block */
#define TEXT_BYTES ((size_t)256 << 10)
#define LINK_BYTES 2000
#define NO_ID "0-mailhook-id-0" /* stands in a link where the id would stand */

extern const struct preset_shipped ticket_presets[];

struct by_preset {
	struct ticket_desk *desk;
	struct preset *preset;           /* own */
	struct preset_settings settings; /* own */
	struct template_vars facts;      /* of the case */
	struct template_var *vars;       /* facts, and room for MAX_OWN */
};

static const char *const requests[] = { "open", "find", "get", "comment", "commented", "change", "close", "read",
	"check", NULL };

/* -- life ---------------------------------------------------------------------------------------------------------- */

static enum mh_status
read_facts(struct by_preset *b, struct mh_err *err)
{
	struct request q = *b->desk->request;

	if (q.verb == VERB_CHECK)
		case_sample(&q);
	const enum mh_status status = case_vars(&q, NULL, READERS_PEOPLE, b->desk->arena, &b->facts, err);
	if (status != MH_OK)
		return status;
	b->vars = arena_array(b->desk->arena, b->facts.n + MAX_OWN, sizeof(*b->vars));
	if (b->vars == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a ticket");
	for (size_t i = 0; i < b->facts.n; i++)
		b->vars[i] = b->facts.items[i];
	return MH_OK;
}

static enum mh_status
by_preset_start(struct ticket_desk *d, void **ret_state, struct mh_err *err)
{
	struct by_preset *b = arena_alloc(d->arena, sizeof(*b));
	const char *name = cfg_getstr(d->conf, "preset");

	if (b == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a ticket");
	*ret_state = b;
	b->desk = d;
	if (name[0] == '\0')
		return mh_fail(err, MH_BAD, "preset is not set: a shipped one's name, or a path");
	enum mh_status status = preset_read(name, ticket_presets, requests, &b->preset, err);
	if (status == MH_OK)
		status = preset_settings_read(d->conf, d->protocol->deadline_ms, d->request->now, &b->settings, err);
	if (status == MH_RETRY)
		d->retry_after_s = b->settings.retry_after_s;
	return status == MH_OK ? read_facts(b, err) : status;
}

static void
by_preset_stop(void *state)
{
	struct by_preset *b = state;

	preset_settings_release(&b->settings);
	drop_preset(&b->preset);
}

/* -- asking -------------------------------------------------------------------------------------------------------- */

struct asking { /* what a request's templates may name besides the case */
	struct mh_span title, body, text, priority, level, due_day, assignee, labels, mark;
	bool closing;
	const char *id; /* NULL: none yet */
};

static enum mh_status
as_html(struct by_preset *b, struct mh_span text, struct mh_span *ret, struct mh_err *err)
{
	const struct template_var v = { "", text, LINES_LIST };
	struct buf html;

	*ret = MH_NONE;
	if (text.n == 0)
		return MH_OK;
	buf_init(&html, 8 * TEXT_BYTES);
	template_html(&html, &v);
	const enum mh_status status = buf_ok(&html) ? arena_copy(b->desk->arena, buf_span(&html), ret, err)
						    : mh_fail(err, MH_LIMIT, "the text is too long");
	buf_release(&html);
	return status;
}

static struct mh_span
cut(struct mh_span s, size_t max)
{
	return span_head(s, utf8_cut(s, max));
}

static enum mh_status
fill_vars(struct by_preset *b, const struct asking *q, struct template_vars *ret, struct mh_err *err)
{
	struct template_var *own = b->vars + b->facts.n;
	struct mh_span body_html, text_html;
	enum mh_status status = as_html(b, q->body, &body_html, err);

	if (status == MH_OK)
		status = as_html(b, q->text, &text_html, err);
	if (status != MH_OK)
		return status;
	const struct template_var all[] = {
		{ "title", q->title, LINES_ONE },
		{ "title_short", cut(q->title, SHORT_TITLE_BYTES), LINES_ONE },
		{ "body", q->body, LINES_LIST },
		{ "body_short", cut(q->body, SHORT_TEXT_BYTES), LINES_LIST },
		{ "body_html", body_html, LINES_LIST },
		{ "text", q->text, LINES_LIST },
		{ "text_short", cut(q->text, SHORT_TEXT_BYTES), LINES_LIST },
		{ "text_html", text_html, LINES_LIST },
		{ "priority", q->priority, LINES_ONE },
		{ "level", q->level, LINES_ONE },
		{ "due_day", q->due_day, LINES_ONE },
		{ "assigned_to", q->assignee, LINES_ONE },
		{ "queue", span_of(b->desk->queue), LINES_ONE },
		{ "labels", q->labels, LINES_ONE },
		{ "mark", q->mark, LINES_ONE },
		{ "closing", q->closing ? MH_LIT("yes") : MH_NONE, LINES_ONE },
	};
	_Static_assert(sizeof(all) / sizeof(all[0]) == MAX_OWN, "all that there is room for");
	memcpy(own, all, sizeof(all));
	*ret = (struct template_vars){ b->vars, b->facts.n + MAX_OWN };
	return MH_OK;
}

/* ids of earlier answers, as the preset names them. */
static cJSON *
taken_of(const char *id)
{
	cJSON *taken = cJSON_CreateObject();

	if (taken != NULL && id != NULL && !json_add_string(taken, "id", id))
		drop_json(&taken);
	return taken;
}

static enum mh_status
context_of(struct by_preset *b, const struct asking *q, const cJSON *taken, struct template_vars *vars,
    struct preset_context *ret, struct mh_err *err)
{
	const enum mh_status status = fill_vars(b, q, vars, err);

	if (status == MH_OK)
		*ret = (struct preset_context){ .preset = b->preset,
			.settings = &b->settings,
			.vars = vars,
			.taken = taken,
			.now = b->desk->request->now };
	return status;
}

/* Names what was being done; the whole of the server's words goes to the desk. */
static enum mh_status
failed(struct by_preset *b, const char *request, enum mh_status status, struct mh_err *err)
{
	struct buf *full = &b->desk->words;
	char why[sizeof(err->text)];

	(void)snprintf(why, sizeof(why), "%s", err->text);
	buf_clear(full);
	buf_printf(full, "%s: cannot %s: %s", cfg_getstr(b->desk->conf, "preset"), request, why);
	return mh_fail(err, status == MH_LIMIT ? MH_BAD : status, "%s: cannot %s: %.110s",
	    cfg_getstr(b->desk->conf, "preset"), request, why);
}

/* MH_SKIP: the preset has no such request, or the answer says that there is nothing. */
static enum mh_status
ask(struct by_preset *b, const char *request, const struct asking *q, struct preset_answer *ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *taken = taken_of(q->id);
	struct template_vars vars;
	struct preset_context c;
	struct mh_err why = { 0 };

	*ret = (struct preset_answer){ .retry_after_s = -1 };
	if (!preset_has(b->preset, request))
		return mh_fail(err, MH_SKIP, "the preset has no request \"%s\"", request);
	if (taken == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a request");
	enum mh_status status = context_of(b, q, taken, &vars, &c, err);
	if (status != MH_OK)
		return status;
	status = preset_ask(&c, request, ret, &why);
	if (status == MH_RETRY && ret->retry_after_s > b->desk->retry_after_s)
		b->desk->retry_after_s = ret->retry_after_s;
	if (status == MH_OK)
		return MH_OK;
	if (err != NULL)
		*err = why;
	return status == MH_SKIP ? status : failed(b, request, status, err);
}

/* -- the ticket's name --------------------------------------------------------------------------------------------- */

/* MH_SKIP: the preset has no page for a ticket. */
static enum mh_status
link_of(struct by_preset *b, const char *id, struct mh_span *ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *taken = taken_of(id);
	MH_AUTO(buf_release) struct buf link;
	MH_AUTO(buf_release) struct buf url;
	const struct asking nothing = { .id = NULL };
	struct template_vars vars;
	struct preset_context c;

	buf_init(&link, LINK_BYTES);
	buf_init(&url, 3 * LINK_BYTES);
	if (taken == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a link");
	enum mh_status status = context_of(b, &nothing, taken, &vars, &c, err);
	if (status == MH_OK)
		status = preset_word(&c, "link", &link, err);
	for (size_t i = 0; status == MH_OK && i < link.n; i++)
		if (link.p[i] == ' ')
			buf_puts(&url, "%20");
		else
			buf_putc(&url, link.p[i]);
	return status == MH_OK ? arena_copy(b->desk->arena, buf_span(&url), ret, err) : status;
}

static enum mh_status
by_preset_id_of_url(void *state, const char *url, const char **ret_id, struct mh_err *err)
{
	struct by_preset *b = state;
	struct mh_span link, id;
	enum mh_status status = link_of(b, NO_ID, &link, err);

	if (status != MH_OK)
		return status;
	const size_t at = span_find(link, MH_LIT(NO_ID), 0);
	const struct mh_span all = span_of(url), tail = span_from(link, at + sizeof(NO_ID) - 1);
	if (at == SIZE_MAX || all.n <= at + tail.n || !span_starts(all, span_head(link, at)) ||
	    !span_eq(span_from(all, all.n - tail.n), tail))
		return mh_fail(err, MH_SKIP, "not a ticket of this system");
	id = span_head(span_from(all, at), all.n - at - tail.n);
	for (size_t i = 0; i < id.n; i++)
		if (strchr("/?&#%", id.p[i]) != NULL)
			return mh_fail(err, MH_SKIP, "not a ticket of this system");
	status = arena_copy(b->desk->arena, id, &id, err);
	if (status == MH_OK)
		*ret_id = id.p;
	return status;
}

/* Which of ours the system's value is: the map "priority_value" says what each is written as. */
static enum ticket_priority
priority_of(struct by_preset *b, const char *value)
{
	const struct ticket_desk *d = b->desk;

	if (value == NULL || value[0] == '\0')
		return PRIORITY_NORMAL;
	for (int i = PRIORITY_URGENT; i >= PRIORITY_NORMAL; i--) {
		const struct asking q = { .priority = span_of(d->priorities[i]), .level = span_of(priority_names[i]) };
		MH_AUTO(buf_release) struct buf own;
		struct template_vars vars;
		struct preset_context c;

		buf_init(&own, 256);
		if (context_of(b, &q, NULL, &vars, &c, NULL) == MH_OK &&
		    preset_word(&c, "priority_value", &own, NULL) == MH_OK && strcmp(own.p, value) == 0)
			return (enum ticket_priority)i;
	}
	return PRIORITY_URGENT; /* a word of theirs: left as it is */
}

static enum mh_status
ref_of(struct by_preset *b, const char *id, const struct preset_answer *a, struct ticket_ref *ret, struct mh_err *err)
{
	struct mh_span own, link = MH_NONE;
	enum mh_status status = arena_copy(b->desk->arena, span_of(id), &own, err);

	if (status == MH_OK)
		status = link_of(b, own.p, &link, NULL);
	if (status != MH_OK && status != MH_SKIP)
		return mh_fail(err, status, "no link to the ticket");
	*ret = (struct ticket_ref){ .id = own.p,
		.url = link.p,
		.open = a == NULL || a->state != PRESET_DONE,
		.priority = priority_of(b, a == NULL ? NULL : json_string(a->taken, "found_priority")) };
	return MH_OK;
}

static bool
shows_key(const struct preset_answer *a, const char *key)
{
	const char *shown = json_string(a->taken, "found_key");

	return shown != NULL && strstr(shown, key) != NULL;
}

/* MH_SKIP: it is gone. *ret_carries: the answer shows the key. */
static enum mh_status
get_ticket(
    struct by_preset *b, const char *id, const char *key, struct ticket_ref *ret, bool *ret_carries, struct mh_err *err)
{
	MH_AUTO(preset_answer_release) struct preset_answer a = { 0 };
	const struct asking q = { .id = id };
	const enum mh_status status = ask(b, "get", &q, &a, err);

	*ret_carries = status == MH_OK && shows_key(&a, key);
	return status == MH_OK ? ref_of(b, id, &a, ret, err) : status;
}

static enum mh_status
by_preset_get(void *state, const char *id, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct ticket_ref ref;
	bool carries;
	const enum mh_status status = get_ticket(state, id, key, &ref, &carries, err);

	if (status == MH_OK && !carries)
		return mh_fail(err, MH_SKIP, "the ticket does not carry the key");
	if (status == MH_OK)
		*ret = ref;
	return status;
}

/* Of a search that shows numbers alone: what it found must carry the key, or it was no search for it. */
static enum mh_status
get_found(struct by_preset *b, const char *id, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	bool carries;
	const enum mh_status status = get_ticket(b, id, key, ret, &carries, err);

	if (status == MH_OK && !carries)
		return mh_fail(
		    err, MH_BAD, "the search was not narrowed to the key: ticket %.40s does not carry it", id);
	return status;
}

static enum mh_status
by_preset_find(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct by_preset *b = state;
	MH_AUTO(preset_answer_release) struct preset_answer a = { 0 };
	const struct asking q = { .id = NULL };

	if (!preset_has(b->preset, "find"))
		return b->desk->request->event == EVENT_OPENED ? mh_fail(err, MH_SKIP, "this system cannot be searched")
							       : ref_of(b, key, NULL, ret, err);
	const enum mh_status status = ask(b, "find", &q, &a, err);
	if (status != MH_OK)
		return status;
	const char *id = json_string(a.taken, "id");
	if (id == NULL || id[0] == '\0')
		return json_string(a.taken, "full") != NULL
			   ? mh_fail(err, MH_BAD,
				 "the search was not narrowed to the key: a full page, and none carries it")
			   : mh_fail(err, MH_SKIP, "no ticket carries the key");
	if (json_string(a.taken, "found_key") == NULL)
		return get_found(b, id, key, ret, err);
	if (!shows_key(&a, key))
		return mh_fail(err, MH_SKIP, "no ticket carries the key");
	return ref_of(b, id, &a, ret, err);
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

/* 202: taken, and done later. */
static bool
can_read_back(const struct by_preset *b, const struct preset_answer *a)
{
	return preset_has(b->preset, "get") && a->status != 202;
}

static enum mh_status
join_labels(struct by_preset *b, const struct ticket_new *t, struct mh_span *ret, struct mh_err *err)
{
	struct buf text;

	buf_init(&text, 8192);
	for (size_t i = 0; i < t->n_labels; i++) {
		buf_puts(&text, i == 0 ? "" : ",");
		for (const char *p = t->labels[i]; *p != '\0'; p++)
			buf_putc(&text, *p == ',' ? ' ' : *p);
	}
	const enum mh_status status = buf_ok(&text) ? arena_copy(b->desk->arena, buf_span(&text), ret, err)
						    : mh_fail(err, MH_LIMIT, "the labels are too long");
	buf_release(&text);
	return status;
}

static enum mh_status
by_preset_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err)
{
	struct by_preset *b = state;
	MH_AUTO(preset_answer_release) struct preset_answer a = { 0 };
	struct asking q = { .title = t->title,
		.body = t->body,
		.priority = span_of(t->priority_name),
		.level = span_of(priority_names[t->priority]),
		.due_day = t->due,
		.assignee = span_of(t->assignee) };
	struct ticket_ref seen = { 0 };
	enum mh_status status = join_labels(b, t, &q.labels, err);

	if (status == MH_OK)
		status = ask(b, "open", &q, &a, err);
	if (status == MH_SKIP)
		return failed(b, "open", MH_RETRY, err); /* it was taken, and says no number: to be looked for */
	if (status != MH_OK)
		return status;
	const char *id = json_string(a.taken, "id");
	status = ref_of(b, id == NULL || id[0] == '\0' ? t->key : id, NULL, ret, err);
	if (status != MH_OK || !can_read_back(b, &a))
		return status;
	status = by_preset_get(state, ret->id, t->key, &seen, err);
	if (status == MH_SKIP) {
		ticket_dropped(b->desk, "key", MH_NONE);
		return MH_OK;
	}
	if (status == MH_OK)
		*ret = seen;
	return status;
}

static enum mh_status
by_preset_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err)
{
	struct by_preset *b = state;
	MH_AUTO(preset_answer_release) struct preset_answer a = { 0 };
	const struct asking q = { .id = ref->id, .mark = span_of(mark) };

	return ask(b, "commented", &q, &a, err);
}

/* Where nobody will look for the mark it is noise. */
static struct mh_span
without_mark(struct mh_span text, const char *mark)
{
	char line[64];

	(void)snprintf(line, sizeof(line), "mailhook %s", mark);
	const size_t at = span_find(text, span_of(line), 0);
	return at == SIZE_MAX ? text : span_trim(span_head(text, at));
}

static enum mh_status
by_preset_comment(void *state, const struct ticket_ref *ref, const struct ticket_comment *k, struct mh_err *err)
{
	struct by_preset *b = state;
	MH_AUTO(preset_answer_release) struct preset_answer a = { 0 };
	const bool looked_for = preset_has(b->preset, "commented");
	const struct asking q = { .id = ref->id,
		.text = looked_for ? k->text : without_mark(k->text, k->mark),
		.mark = span_of(k->mark),
		.closing = k->closing };
	const enum mh_status status = ask(b, "comment", &q, &a, err);

	return status == MH_SKIP ? MH_OK : status;
}

static enum mh_status
by_preset_change(void *state, const struct ticket_ref *ref, const struct ticket_change *ch, struct mh_err *err)
{
	struct by_preset *b = state;
	MH_AUTO(preset_answer_release) struct preset_answer a = { 0 };
	const struct asking q = { .id = ref->id,
		.priority = span_of(ch->priority_name),
		.level = span_of(priority_names[ch->raise_to]),
		.due_day = ch->due };
	struct ticket_ref now = { 0 };
	enum mh_status status = ask(b, "change", &q, &a, err);

	if (status == MH_SKIP)
		return MH_OK;
	if (status == MH_OK && can_read_back(b, &a))
		status = by_preset_get(state, ref->id, b->desk->request->case_key, &now, err);
	else if (status == MH_OK)
		return MH_OK;
	if (status == MH_SKIP)
		return mh_fail(err, MH_RETRY, "the ticket has gone");
	if (status == MH_OK && now.priority < ch->raise_to)
		ticket_dropped(b->desk, "priority", span_of(ch->priority_name));
	return status;
}

static enum mh_status
by_preset_close(void *state, const struct ticket_ref *ref, struct mh_err *err)
{
	struct by_preset *b = state;
	MH_AUTO(preset_answer_release) struct preset_answer a = { 0 };
	const struct asking q = { .id = ref->id, .closing = true };
	struct ticket_ref now = { 0 };
	enum mh_status status = ask(b, "close", &q, &a, err);

	if (status == MH_SKIP)
		return MH_OK;
	if (status != MH_OK || !can_read_back(b, &a))
		return status;
	status = by_preset_get(state, ref->id, b->desk->request->case_key, &now, err);
	if (status == MH_SKIP)
		return MH_OK;
	if (status == MH_OK && now.open)
		return mh_fail(err, MH_BAD, "the ticket is still open");
	return status;
}

static enum mh_status
by_preset_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err)
{
	struct by_preset *b = state;
	MH_AUTO(preset_answer_release) struct preset_answer a = { 0 };
	const struct asking q = { .id = ref->id };
	const enum mh_status status = ask(b, "read", &q, &a, err);
	const char *text = status == MH_OK ? json_string(a.taken, "found_text") : NULL;

	if (status != MH_OK)
		return status;
	buf_puts(ret_text, text == NULL ? "" : text);
	return buf_ok(ret_text) ? MH_OK : mh_fail(err, MH_LIMIT, "the ticket is longer than %zu bytes", ret_text->max);
}

/* -- check --------------------------------------------------------------------------------------------------------- */

static enum mh_status
by_preset_check(void *state, struct mh_err *err)
{
	struct by_preset *b = state;
	MH_AUTO(preset_answer_release) struct preset_answer a = { 0 };
	const struct asking sample = { .title = MH_LIT("title"),
		.body = MH_LIT("text"),
		.text = MH_LIT("text"),
		.priority = span_of(b->desk->priorities[0]),
		.level = span_of(priority_names[0]),
		.due_day = MH_LIT("2026-02-03") };
	struct template_vars vars;
	struct preset_context c;
	enum mh_status status = context_of(b, &sample, NULL, &vars, &c, err);

	if (status == MH_OK)
		status = preset_check(&c, err);
	if (status != MH_OK || !b->desk->online)
		return status;
	if (!preset_has(b->preset, "check")) {
		say(b->desk->protocol, "this preset has nothing to prove a credential with: the first ticket will");
		return MH_OK;
	}
	status = ask(b, "check", &sample, &a, err);
	return status == MH_SKIP ? failed(b, "check", MH_BAD, err) : status;
}

static const cfg_opt_t options[] = {
	PRESET_OPTIONS,
	CFG_END(),
};

static const struct own_conf_check checks[] = { PRESET_CHECKS, { NULL, NULL } };

const struct ticket_driver ticket_http = {
	.name = "http",
	.help = "any system with HTTP and JSON, by a preset",
	.options = options,
	.checks = checks,
	.format = FORMAT_PLAIN,
	.lag_s = LAG_S,
	.start = by_preset_start,
	.stop = by_preset_stop,
	.check = by_preset_check,
	.id_of_url = by_preset_id_of_url,
	.get = by_preset_get,
	.find = by_preset_find,
	.open = by_preset_open,
	.commented = by_preset_commented,
	.comment = by_preset_comment,
	.change = by_preset_change,
	.close = by_preset_close,
	.read = by_preset_read,
};
