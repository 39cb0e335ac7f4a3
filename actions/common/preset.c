/* preset.c: asks by a preset, and says what the answer comes to. */
#include "actions/common/preset.h"

#include <stdio.h>
#include <string.h>

#include "actions/common/preset_impl.h"
#include "actions/token/token.h"

#define MAX_TAKEN_BYTES 4096

void
preset_answer_release(struct preset_answer *a)
{
	drop_json(&a->taken);
}

static bool
has_status(const cJSON *request, const char *key, long status)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json_array(request, key))
	{
		if ((long)item->valuedouble == status)
			return true;
	}
	return false;
}

/* The service's words, unless they give back what must stay secret. */
static void
take_words(const struct preset_context *c, const cJSON *request, const struct preset_said *s,
    const struct preset_vars *v, struct preset_answer *ret)
{
	MH_AUTO(buf_release) struct buf text;
	const struct mh_span secret = secret_span(&c->settings->secret);
	const cJSON *item;

	buf_init(&text, HTTP_MAX_BODY_BYTES);
	cJSON_ArrayForEach(item, json_array(request, "words"))
	{
		struct mh_span rest, line = MH_NONE;

		if (preset_look(s, v, item->valuestring, &text, NULL) != MH_OK)
			continue;
		rest = span_trim(buf_span(&text));
		if ((secret.n > 0 && span_find(rest, secret, 0) != SIZE_MAX) || secret_shows(rest, secret))
			return;
		(void)span_line(&rest, &line);
		(void)mh_escape(ret->words, sizeof(ret->words), line);
		return;
	}
}

static enum mh_status
take(const cJSON *request, const struct preset_said *s, const struct preset_vars *v, cJSON *taken, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf text;
	const cJSON *item;

	buf_init(&text, MAX_TAKEN_BYTES);
	cJSON_ArrayForEach(item, json_object(request, "take"))
	{
		const size_t n = strlen(item->string);
		const bool needed = n > 1 && item->string[n - 1] == '!';
		char name[64];
		enum mh_status status = preset_look(s, v, item->valuestring, &text, err);

		if (status == MH_SKIP && !needed)
			continue;
		if (status != MH_OK)
			return status;
		(void)snprintf(name, sizeof(name), "%.*s", (int)(needed ? n - 1 : n), item->string);
		if (!buf_ok(&text))
			return mh_fail(
			    err, MH_LIMIT, "%s: {%.40s} is longer than %d bytes", v->file, name, MAX_TAKEN_BYTES);
		cJSON_DeleteItemFromObjectCaseSensitive(taken, name);
		if (!json_add_string(taken, name, text.p))
			return mh_fail(err, MH_RETRY, "no memory for an answer");
	}
	return MH_OK;
}

/* The status alone, and what the preset says of it. */
static enum mh_status
judge_status(const cJSON *request, long status)
{
	const bool listed = json_array(request, "ok") != NULL;

	if (has_status(request, "skip", status))
		return MH_SKIP;
	if (listed ? has_status(request, "ok", status) : http_class(status) == MH_OK)
		return MH_OK;
	return has_status(request, "retry", status) || http_class(status) == MH_RETRY ? MH_RETRY : MH_BAD;
}

/* The conditions that stand above the status. MH_LIMIT stands for "none of them holds". */
static enum mh_status
judge_conditions(const cJSON *request, const struct preset_said *s, const struct preset_vars *v, enum mh_status *ret,
    struct mh_err *err)
{
	static const struct {
		const char *key;
		enum mh_status means;
	} all[] = { { "already_if", MH_OK }, { "retry_if", MH_RETRY }, { "skip_if", MH_SKIP },
		{ "refused_if", MH_BAD } };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		bool holds = false;
		const enum mh_status status = preset_holds(s, v, json_object(request, all[i].key), &holds, err);

		if (status != MH_OK)
			return status;
		if (holds) {
			*ret = all[i].means;
			return MH_OK;
		}
	}
	*ret = judge_status(request, s->http->status);
	return MH_OK;
}

static enum mh_status
judge_state(const cJSON *request, const struct preset_said *s, const struct preset_vars *v, enum preset_state *ret,
    struct mh_err *err)
{
	bool failed = false, done = false;
	enum mh_status status = preset_holds(s, v, json_object(request, "failed_if"), &failed, err);

	if (status == MH_OK)
		status = preset_holds(s, v, json_object(request, "done_if"), &done, err);
	*ret = failed ? PRESET_FAILED : done ? PRESET_DONE : PRESET_OPEN;
	return status;
}

static bool
is_json_path(const char *path)
{
	return strncmp(path, "header:", 7) != 0 && strncmp(path, "xml:", 4) != 0 && strncmp(path, "http:", 5) != 0 &&
	       strcmp(path, "body") != 0;
}

/* Whether the meaning of a good answer stands in JSON. */
static bool
wants_json(const cJSON *request)
{
	static const char *const parts[] = { "refused_if", "done_if", "failed_if" };
	const cJSON *item;

	cJSON_ArrayForEach(item, json_object(request, "take"))
	{
		if (is_json_path(item->valuestring))
			return true;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		cJSON_ArrayForEach(item, json_object(request, parts[i]))
		{
			if (is_json_path(item->string))
				return true;
		}
	return false;
}

static enum mh_status
judge(const struct preset_context *c, const cJSON *request, const struct preset_vars *v, const struct http_answer *a,
    struct preset_answer *ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *json = json_parse(buf_span(&a->body), NULL);
	const struct preset_said s = { a, json };
	enum mh_status verdict = MH_BAD;

	take_words(c, request, &s, v, ret);
	enum mh_status status = judge_conditions(request, &s, v, &verdict, err);
	if (status != MH_OK)
		return status;
	if (verdict == MH_SKIP)
		return mh_fail(err, MH_SKIP, "not there");
	if (verdict != MH_OK)
		return mh_fail(err, verdict, "HTTP %ld%s%s", a->status, ret->words[0] == '\0' ? "" : ": ", ret->words);
	/* a portal that answers for the service, most often: it may go better, and what was done is not known */
	if (json == NULL && a->body.n > 0 && wants_json(request))
		return mh_fail(err, MH_RETRY, "HTTP %ld with something that is not JSON", a->status);
	status = judge_state(request, &s, v, &ret->state, err);
	if (status == MH_OK)
		status = take(request, &s, v, ret->taken, err);
	return status == MH_SKIP ? mh_fail(err, MH_SKIP, "an answer without what it should hold") : status;
}

static enum mh_status
ask(const struct preset_context *c, const cJSON *request, const struct preset_vars *v, struct preset_answer *ret,
    struct mh_err *err)
{
	MH_AUTO(preset_request_release) struct preset_request built;
	MH_AUTO(http_answer_release) struct http_answer a;
	const char *aws = json_string(request, "aws");
	struct preset_kept kept;

	http_answer_init(&a);
	enum mh_status status = preset_build(c, request, v, &built, err);
	if (status != MH_OK)
		return status;
	preset_kept_headers(request, &kept);
	const struct http_request q = { .method = json_string(request, "method"),
		.url = built.url.p == NULL ? "" : built.url.p,
		.headers = built.headers,
		.n_headers = built.n_headers,
		.body = built.body.n == 0 ? MH_NONE : buf_span(&built.body),
		.keep = kept.list,
		.now = c->now };
	status = c->send != NULL ? c->send(c->user, &q, aws, &a, err) : http_try(&c->settings->wire, &q, &a, err);
	ret->sent = a.sent;
	ret->status = a.status;
	ret->retry_after_s = a.retry_after_s;
	return status == MH_OK ? judge(c, request, v, &a, ret, err) : status;
}

static enum mh_status
ask_once(const struct preset_context *c, const char *request, struct preset_answer *ret, struct mh_err *err)
{
	MH_AUTO(preset_vars_release) struct preset_vars v;

	*ret = (struct preset_answer){ .retry_after_s = -1,
		.taken = c->taken == NULL ? cJSON_CreateObject() : cJSON_Duplicate(c->taken, true) };
	enum mh_status status = preset_vars_make(c, &v, err);
	if (status == MH_OK && ret->taken == NULL)
		status = mh_fail(err, MH_RETRY, "no memory for an answer");
	return status == MH_OK ? ask(c, preset_request_of(c->preset, request), &v, ret, err) : status;
}

/* A token may be revoked before its end: a new one is asked for, once. */
static enum mh_status
ask_with_fresh_token(const struct preset_context *c, const char *request, struct preset_answer *ret, struct mh_err *err)
{
	struct preset_settings settings = *c->settings;
	struct preset_context again = *c;
	MH_AUTO(secret_release) struct secret fresh = { 0 };
	int64_t retry_after_s = -1;

	const enum mh_status status = token_get(settings.token, true, c->now, &fresh, &retry_after_s, err);
	if (status != MH_OK) {
		ret->retry_after_s = retry_after_s;
		return status;
	}
	settings.secret = fresh;
	again.settings = &settings;
	preset_answer_release(ret);
	return ask_once(&again, request, ret, err);
}

enum mh_status
preset_ask(const struct preset_context *c, const char *request, struct preset_answer *ret, struct mh_err *err)
{
	const enum mh_status status = ask_once(c, request, ret, err);

	return status == MH_BAD && ret->status == 401 && c->settings->token != NULL
		   ? ask_with_fresh_token(c, request, ret, err)
		   : status;
}

enum mh_status
preset_can_ask(const struct preset_context *c, const char *request, bool *ret, struct mh_err *err)
{
	MH_AUTO(preset_vars_release) struct preset_vars v;
	MH_AUTO(buf_release) struct buf text;
	const char *when = json_string(preset_request_of(c->preset, request), "when");
	enum mh_status status = preset_vars_make(c, &v, err);

	buf_init(&text, MAX_TAKEN_BYTES);
	if (status == MH_OK && when != NULL)
		status = preset_text(&v, when, &text, err);
	*ret = preset_has(c->preset, request) && (when == NULL || text.n > 0);
	return status;
}

/* All of a request's paths are looked up once in nothing, for the templates of their filters. */
static enum mh_status
check_paths(const cJSON *request, const struct preset_vars *v, struct mh_err *err)
{
	MH_AUTO(http_answer_release) struct http_answer none;
	MH_AUTO(drop_json) cJSON *empty = cJSON_CreateObject();
	MH_AUTO(drop_json) cJSON *taken = cJSON_CreateObject();
	const struct preset_said s = { &none, empty };
	enum preset_state state;
	enum mh_status verdict, status;

	http_answer_init(&none);
	status = judge_conditions(request, &s, v, &verdict, err);
	if (status == MH_OK)
		status = judge_state(request, &s, v, &state, err);
	if (status == MH_OK)
		status = take(request, &s, v, taken, err);
	return status == MH_SKIP ? MH_OK : status;
}

enum mh_status
preset_check(const struct preset_context *c, struct mh_err *err)
{
	MH_AUTO(preset_vars_release) struct preset_vars v;
	const cJSON *request;
	enum mh_status status = preset_vars_make(c, &v, err);

	cJSON_ArrayForEach(request, json_object(c->preset->json, "requests"))
	{
		if (status != MH_OK)
			break;
		MH_AUTO(preset_request_release) struct preset_request built;
		MH_AUTO(wire_url_release) struct wire_url u = { 0 };

		status = preset_build(c, request, &v, &built, err);
		if (status == MH_OK && json_string(request, "aws") == NULL)
			status = wire_url_read(built.url.p, &u, err);
		if (status == MH_OK)
			status = check_paths(request, &v, err);
	}
	if (status != MH_OK)
		preset_locate(c->preset, err);
	return status;
}

/* Bytes with every occurrence of the secret, as it is and as a form or a URL writes it, replaced. */
static void
put_without(struct buf *out, struct mh_span text, struct mh_span secret, struct mh_span encoded)
{
	for (size_t i = 0; i < text.n;) {
		const struct mh_span rest = span_from(text, i);
		const struct mh_span hit = secret.n > 0 && span_starts(rest, secret)     ? secret
					   : encoded.n > 0 && span_starts(rest, encoded) ? encoded
											 : MH_NONE;

		if (hit.n > 0)
			buf_puts(out, "***");
		else
			buf_putc(out, text.p[i]);
		i += hit.n > 0 ? hit.n : 1;
	}
}

enum mh_status
preset_show(const struct preset_context *c, const char *request, struct buf *out, struct mh_err *err)
{
	MH_AUTO(preset_vars_release) struct preset_vars v;
	MH_AUTO(secret_buf_release) struct buf encoded;
	const struct mh_span secret = secret_span(&c->settings->secret);
	const cJSON *asked = preset_request_of(c->preset, request);

	buf_init(&encoded, 4 * SECRET_MAX_BYTES);
	http_encode(&encoded, secret);
	enum mh_status status = preset_vars_make(c, &v, err);
	if (status != MH_OK)
		return status;
	MH_AUTO(preset_request_release) struct preset_request built;
	status = preset_build(c, asked, &v, &built, err);
	if (status != MH_OK)
		return status;
	buf_printf(out, "%s ", json_string(asked, "method"));
	put_without(out, buf_span(&built.url), secret, buf_span(&encoded));
	for (size_t i = 0; i < built.n_headers; i++) {
		buf_printf(out, "\n%s: ", built.headers[i].name);
		/* what proves who we are is no one's business, in whatever form */
		if (span_ieq(span_of(built.headers[i].name), MH_LIT("Authorization")))
			buf_puts(out, "***");
		else
			put_without(out, built.headers[i].value, secret, buf_span(&encoded));
	}
	if (built.body.n > 0) {
		buf_putc(out, '\n');
		put_without(out, buf_span(&built.body), secret, buf_span(&encoded));
	}
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_LIMIT, "a request is too long to be shown");
}
