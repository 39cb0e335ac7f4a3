/* preset.c: reads a preset, asks by it, and says what the answer comes to. */
#include "actions/common/preset.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/common/folder.h"
#include "actions/common/preset_impl.h"

#define MAX_PRESET_BYTES ((size_t)64 << 10)
#define MAX_TAKEN_BYTES 4096

/* -- reading ------------------------------------------------------------------------------------------------------ */

enum shape { SHAPE_TEXT, SHAPE_TEXTS, SHAPE_LIST, SHAPE_NUMBERS, SHAPE_CONDITIONS, SHAPE_FLAG, SHAPE_ANY };

static const struct key {
	const char *name;
	enum shape shape;
} request_keys[] = { { "method", SHAPE_TEXT }, { "url", SHAPE_TEXT }, { "headers", SHAPE_TEXTS }, { "json", SHAPE_ANY },
	{ "form", SHAPE_TEXTS }, { "text", SHAPE_TEXT }, { "aws", SHAPE_TEXT }, { "sign", SHAPE_TEXT },
	{ "ok", SHAPE_NUMBERS }, { "retry", SHAPE_NUMBERS }, { "skip", SHAPE_NUMBERS },
	{ "retry_if", SHAPE_CONDITIONS }, { "skip_if", SHAPE_CONDITIONS }, { "already_if", SHAPE_CONDITIONS },
	{ "refused_if", SHAPE_CONDITIONS }, { "done_if", SHAPE_CONDITIONS }, { "failed_if", SHAPE_CONDITIONS },
	{ "take", SHAPE_TEXTS }, { "words", SHAPE_LIST }, { "when", SHAPE_TEXT }, { "idempotent", SHAPE_FLAG },
	{ NULL, SHAPE_ANY } },
  top_keys[] = { { "title", SHAPE_TEXT }, { "source", SHAPE_TEXT }, { "needs", SHAPE_TEXTS },
	  { "defaults", SHAPE_TEXTS }, { "maps", SHAPE_ANY }, { "requests", SHAPE_ANY }, { NULL, SHAPE_ANY } };

static bool
each(const cJSON *j, bool (*fits)(const cJSON *item))
{
	const cJSON *item;

	cJSON_ArrayForEach(item, j)
	{
		if (!fits(item))
			return false;
	}
	return true;
}

static bool
is_text(const cJSON *j)
{
	return cJSON_IsString(j) != 0;
}

static bool
is_status(const cJSON *j)
{
	return cJSON_IsNumber(j) && j->valuedouble >= 100 && j->valuedouble <= 599;
}

static bool
is_texts(const cJSON *j)
{
	return cJSON_IsArray(j) && each(j, is_text);
}

static bool
is_map(const cJSON *j)
{
	const cJSON *words = json_object(j, "map"), *other = cJSON_GetObjectItemCaseSensitive(j, "else");

	return json_string(j, "of") != NULL && words != NULL && each(words, is_text) &&
	       (other == NULL || is_text(other));
}

static bool
fits(const cJSON *j, enum shape shape)
{
	switch (shape) {
	case SHAPE_TEXT:
		return is_text(j);
	case SHAPE_TEXTS:
		return cJSON_IsObject(j) && each(j, is_text);
	case SHAPE_LIST:
		return is_texts(j);
	case SHAPE_NUMBERS:
		return cJSON_IsArray(j) && each(j, is_status);
	case SHAPE_CONDITIONS:
		return cJSON_IsObject(j) && each(j, is_texts);
	case SHAPE_FLAG:
		return cJSON_IsBool(j) != 0;
	case SHAPE_ANY:
		return cJSON_IsObject(j) || cJSON_IsArray(j);
	}
	return false;
}

static enum mh_status
check_keys(const char *file, const cJSON *j, const struct key *keys, struct mh_err *err)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, j)
	{
		const struct key *k = keys;

		while (k->name != NULL && strcmp(k->name, item->string) != 0)
			k++;
		if (k->name == NULL || !fits(item, k->shape))
			return mh_fail(err, MH_BAD, "%s: \"%.40s\" is %s", file, item->string,
			    k->name == NULL ? "not known here" : "not what it must be");
	}
	return MH_OK;
}

static enum mh_status
check_request(const char *file, const cJSON *request, struct mh_err *err)
{
	static const char *const methods[] = { "GET", "POST", "PUT", "PATCH", "DELETE" };
	const char *method = json_string(request, "method"), *sign = json_string(request, "sign");
	const int bodies = cJSON_HasObjectItem(request, "json") + cJSON_HasObjectItem(request, "form") +
			   cJSON_HasObjectItem(request, "text");
	bool known = false;
	const enum mh_status status = check_keys(file, request, request_keys, err);

	if (status != MH_OK)
		return status;
	for (size_t i = 0; method != NULL && i < sizeof(methods) / sizeof(methods[0]); i++)
		known = known || strcmp(method, methods[i]) == 0;
	if (!known || json_string(request, "url") == NULL)
		return mh_fail(err, MH_BAD, "%s: \"%.40s\" needs a method and a url", file, request->string);
	if (bodies > 1)
		return mh_fail(err, MH_BAD, "%s: \"%.40s\" has more than one body", file, request->string);
	if (sign != NULL && strcmp(sign, "standard-webhooks") != 0)
		return mh_fail(err, MH_BAD, "%s: there is no signature \"%.40s\"", file, sign);
	return MH_OK;
}

static enum mh_status
check_shape(const struct preset *p, const char *const *requests, struct mh_err *err)
{
	const cJSON *all = json_object(p->json, "requests"), *item;
	enum mh_status status = check_keys(p->name, p->json, top_keys, err);

	if (status == MH_OK && json_string(p->json, "title") == NULL)
		return mh_fail(err, MH_BAD, "%s: \"title\" is missing", p->name);
	if (status == MH_OK && !preset_has(p, requests[0]))
		return mh_fail(err, MH_BAD, "%s: there is no request \"%s\"", p->name, requests[0]);
	cJSON_ArrayForEach(item, json_object(p->json, "maps"))
	{
		if (status == MH_OK && !is_map(item))
			status = mh_fail(err, MH_BAD, "%s: a map needs \"of\" and \"map\"", p->name);
	}
	cJSON_ArrayForEach(item, all)
	{
		size_t i = 0;

		while (requests[i] != NULL && strcmp(requests[i], item->string) != 0)
			i++;
		if (status == MH_OK && requests[i] == NULL)
			status = mh_fail(err, MH_BAD, "%s: nobody asks for a request \"%.40s\"", p->name, item->string);
		if (status == MH_OK)
			status = check_request(p->name, item, err);
	}
	return status;
}

static enum mh_status
find_text(const char *name, const struct preset_shipped *shipped, struct buf *out, struct mh_err *err)
{
	if (name[0] == '/') {
		const enum mh_status status = file_read(AT_FDCWD, name, out, err);

		return status == MH_SKIP ? mh_fail(err, MH_BAD, "%s: there is no such preset", name) : status;
	}
	for (; shipped->name != NULL; shipped++)
		if (strcmp(shipped->name, name) == 0) {
			buf_puts(out, shipped->text);
			return MH_OK;
		}
	return mh_fail(err, MH_BAD, "there is no preset \"%.60s\"", name);
}

enum mh_status
preset_read(const char *name, const struct preset_shipped *shipped, const char *const *requests, struct preset **ret,
    struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf text;
	struct mh_err why;

	buf_init(&text, MAX_PRESET_BYTES);
	enum mh_status status = find_text(name, shipped, &text, err);
	if (status != MH_OK)
		return status;
	MH_AUTO(drop_preset) struct preset *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a preset");
	(void)snprintf(p->name, sizeof(p->name), "%s%s", name[0] == '/' ? "" : "preset ", name);
	p->json = json_parse(text.n == 0 ? MH_LIT("") : buf_span(&text), &why);
	if (p->json == NULL)
		return mh_fail(err, MH_BAD, "%s:%d: %s", p->name, preset_json_line(buf_span(&text)), why.text);
	p->text = strdup(text.p);
	if (p->text == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a preset");
	status = check_shape(p, requests, err);
	if (status != MH_OK) {
		preset_locate(p, err);
		return status;
	}
	*ret = p;
	p = NULL;
	return MH_OK;
}

void
drop_preset(struct preset **p)
{
	if (*p != NULL) {
		drop_json(&(*p)->json);
		free((*p)->text);
	}
	free(*p);
	*p = NULL;
}

static const cJSON *
request_of(const struct preset *p, const char *name)
{
	return json_object(json_object(p->json, "requests"), name);
}

bool
preset_has(const struct preset *p, const char *request)
{
	return request_of(p, request) != NULL;
}

const char *
preset_title(const struct preset *p)
{
	return json_string(p->json, "title");
}

bool
preset_is_aws(const struct preset *p)
{
	const cJSON *request;

	cJSON_ArrayForEach(request, json_object(p->json, "requests"))
	{
		if (json_string(request, "aws") != NULL)
			return true;
	}
	return false;
}

bool
preset_is_idempotent(const struct preset *p, const char *request)
{
	bool is = false;

	return json_bool(request_of(p, request), "idempotent", &is) && is;
}

/* -- asking ------------------------------------------------------------------------------------------------------- */

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
		if (secret.n > 0 && span_find(rest, secret, 0) != SIZE_MAX)
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

enum mh_status
preset_ask(const struct preset_context *c, const char *request, struct preset_answer *ret, struct mh_err *err)
{
	MH_AUTO(preset_vars_release) struct preset_vars v;

	*ret = (struct preset_answer){ .retry_after_s = -1,
		.taken = c->taken == NULL ? cJSON_CreateObject() : cJSON_Duplicate(c->taken, true) };
	enum mh_status status = preset_vars_make(c, &v, err);
	if (status == MH_OK && ret->taken == NULL)
		status = mh_fail(err, MH_RETRY, "no memory for an answer");
	return status == MH_OK ? ask(c, request_of(c->preset, request), &v, ret, err) : status;
}

enum mh_status
preset_can_ask(const struct preset_context *c, const char *request, bool *ret, struct mh_err *err)
{
	MH_AUTO(preset_vars_release) struct preset_vars v;
	MH_AUTO(buf_release) struct buf text;
	const char *when = json_string(request_of(c->preset, request), "when");
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
	const cJSON *asked = request_of(c->preset, request);

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
