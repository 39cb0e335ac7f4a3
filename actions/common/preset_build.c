/* preset_build.c: a request's templates filled in, each where it stands and escaped for that place. */
#include <inttypes.h>
#include <string.h>

#include "actions/common/preset_impl.h"

#define MAX_LEAF_BYTES ((size_t)512 << 10)

void
preset_request_release(struct preset_request *q)
{
	secret_buf_release(&q->url);
	secret_buf_release(&q->body);
	for (size_t i = 0; i < PRESET_MAX_HEADERS; i++)
		secret_buf_release(&q->values[i]);
}

/* -- escapes ------------------------------------------------------------------------------------------------------ */

/* Text that cJSON or the form's encoding escapes: all that is left is to keep one line one line, and valid. */
static void
put_text(struct buf *out, const struct template_var *v)
{
	const bool valid = utf8_valid(v->value);

	for (size_t i = 0; i < v->value.n; i++) {
		const unsigned char c = (unsigned char)v->value.p[i];
		const bool ends_line = c == '\n' && v->lines != LINES_ONE;

		buf_putc(out, (c < 0x20 && !ends_line) || c == 0x7F ? ' ' : !valid && c >= 0x80 ? '?' : (char)c);
	}
}

static void
put_whole_url(struct buf *out, const struct template_var *v)
{
	buf_put(out, v->value);
}

/* "url" is the one value that is a URL itself: what follows begins with a slash.
 * A segment of dots would climb, encoded or not: failed. */
static void
put_url(struct buf *out, const struct template_var *v)
{
	if (strcmp(v->name, "url") == 0) {
		struct mh_span base = v->value;

		while (base.n > 0 && base.p[base.n - 1] == '/')
			base.n--;
		buf_put(out, base);
		return;
	}
	if (span_eq(v->value, MH_LIT(".")) || span_eq(v->value, MH_LIT("..")))
		out->failed = true;
	http_encode(out, v->value);
}

enum mh_status
preset_text(const struct preset_vars *v, const char *template, struct buf *out, struct mh_err *err)
{
	return template_render(v->file, 1, span_of(template), &v->vars, put_text, out, err);
}

/* -- JSON --------------------------------------------------------------------------------------------------------- */

static enum mh_status fill(
    const struct preset_vars *v, const cJSON *from, const struct template_var *pair, cJSON **ret, struct mh_err *err);

/* {value} and {name} are those of the pair, where there is one. */
static enum mh_status
fill_text(const struct preset_vars *v, const char *template, const struct template_var *pair, struct buf *out,
    struct mh_err *err)
{
	struct template_var with[PRESET_MAX_VARS + 2];
	struct template_vars vars = v->vars;

	buf_clear(out);
	if (pair != NULL) {
		with[0] = (struct template_var){ "value", pair->value, LINES_LIST };
		with[1] = (struct template_var){ "name", span_of(pair->name), LINES_ONE };
		memcpy(with + 2, v->items, v->vars.n * sizeof(v->items[0]));
		vars = (struct template_vars){ with, v->vars.n + 2 };
	}
	return template_render(v->file, 1, span_of(template), &vars, put_text, out, err);
}

static enum mh_status
no_memory(struct mh_err *err)
{
	return mh_fail(err, MH_RETRY, "no memory for a request");
}

static enum mh_status
put_member(cJSON *to, const char *key, size_t n_key, cJSON **value, struct mh_err *err)
{
	char name[128];

	if (n_key >= sizeof(name))
		return mh_fail(err, MH_LIMIT, "a key of a preset is too long");
	memcpy(name, key, n_key);
	name[n_key] = '\0';
	if (!cJSON_AddItemToObject(to, name, *value))
		return no_memory(err);
	*value = NULL;
	return MH_OK;
}

/* A key's last sign: '?' leaves out what is empty, '#' is JSON and not a string (or left out),
 * '$' is JSON within a string. */
static enum mh_status
fill_member(
    const struct preset_vars *v, const cJSON *from, const struct template_var *pair, cJSON *to, struct mh_err *err)
{
	const size_t n = strlen(from->string);
	const char sign = n > 1 ? from->string[n - 1] : '\0';
	const bool marked = sign == '?' || sign == '#' || sign == '$';
	MH_AUTO(drop_json) cJSON *value = NULL;
	enum mh_status status = fill(v, from, pair, &value, err);

	if (status != MH_OK || value == NULL) /* an object whose "?" is empty */
		return status;
	if ((sign == '?' || sign == '#') && cJSON_IsString(value) && value->valuestring[0] == '\0')
		return MH_OK;
	if (sign == '#' && cJSON_IsString(value)) {
		cJSON *parsed = json_parse(span_of(value->valuestring), NULL);

		if (parsed == NULL)
			return mh_fail(err, MH_BAD, "%s: \"%.40s\" is no JSON", v->file, from->string);
		drop_json(&value);
		value = parsed;
	} else if (sign == '$') {
		MH_AUTO(buf_release) struct buf text;

		buf_init(&text, MAX_LEAF_BYTES);
		cJSON *string = json_print(value, &text) ? cJSON_CreateString(text.p) : NULL;
		if (string == NULL)
			return no_memory(err);
		drop_json(&value);
		value = string;
	}
	return put_member(to, from->string, marked ? n - 1 : n, &value, err);
}

/* A member "*" stands for each of the user's own values. */
static enum mh_status
fill_pairs(const struct preset_vars *v, const cJSON *from, cJSON *to, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < v->n_pairs && status == MH_OK; i++) {
		MH_AUTO(drop_json) cJSON *value = NULL;

		if (cJSON_GetObjectItemCaseSensitive(to, v->pairs[i].name) != NULL)
			continue;
		status = fill(v, from, &v->pairs[i], &value, err);
		if (status == MH_OK)
			status = put_member(to, v->pairs[i].name, strlen(v->pairs[i].name), &value, err);
	}
	return status;
}

static enum mh_status
fill_children(
    const struct preset_vars *v, const cJSON *from, const struct template_var *pair, cJSON *to, struct mh_err *err)
{
	const cJSON *item;
	enum mh_status status = MH_OK;

	cJSON_ArrayForEach(item, from)
	{
		MH_AUTO(drop_json) cJSON *value = NULL;

		if (status != MH_OK)
			break;
		if (cJSON_IsObject(from)) {
			status = strcmp(item->string, "*") == 0 ? fill_pairs(v, item, to, err)
								: fill_member(v, item, pair, to, err);
			continue;
		}
		status = fill(v, item, pair, &value, err);
		/* an element whose "?" is empty is left out whole */
		if (status == MH_OK && value != NULL && !cJSON_AddItemToArray(to, value))
			status = no_memory(err);
		else
			value = NULL;
	}
	return status;
}

/* An element of a list that has a member "?" is there only where that renders to something. */
static enum mh_status
is_wanted(
    const struct preset_vars *v, const cJSON *from, const struct template_var *pair, bool *ret, struct mh_err *err)
{
	const char *condition = cJSON_IsObject(from) ? json_string(from, "?") : NULL;
	MH_AUTO(buf_release) struct buf text;
	enum mh_status status = MH_OK;

	buf_init(&text, MAX_LEAF_BYTES);
	if (condition != NULL)
		status = fill_text(v, condition, pair, &text, err);
	*ret = condition == NULL || text.n > 0;
	return status;
}

/* *ret stays NULL for an element that is not wanted. */
static enum mh_status
fill(const struct preset_vars *v, const cJSON *from, const struct template_var *pair, cJSON **ret, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf text;
	MH_AUTO(drop_json) cJSON *made = NULL;
	bool wanted = true;
	enum mh_status status = MH_OK;

	buf_init(&text, MAX_LEAF_BYTES);
	if (cJSON_IsString(from)) {
		status = fill_text(v, from->valuestring, pair, &text, err);
		made = cJSON_CreateString(text.n == 0 ? "" : text.p);
	} else if (cJSON_IsObject(from) || cJSON_IsArray(from)) {
		made = cJSON_IsObject(from) ? cJSON_CreateObject() : cJSON_CreateArray();
		status = is_wanted(v, from, pair, &wanted, err);
		if (status == MH_OK && made != NULL && wanted)
			status = fill_children(v, from, pair, made, err);
		cJSON_DeleteItemFromObjectCaseSensitive(made, "?");
	} else {
		made = cJSON_Duplicate(from, true);
	}
	if (status != MH_OK)
		return status;
	if (made == NULL)
		return no_memory(err);
	if (!wanted)
		return MH_OK;
	*ret = made;
	made = NULL;
	return MH_OK;
}

/* -- the request -------------------------------------------------------------------------------------------------- */

static enum mh_status
add_header(struct preset_request *q, const char *name, struct mh_err *err)
{
	if (q->n_headers == PRESET_MAX_HEADERS)
		return mh_fail(err, MH_LIMIT, "a preset has more than %d headers", PRESET_MAX_HEADERS);
	struct buf *value = &q->values[q->n_headers];
	if (!buf_ok(value))
		return no_memory(err);
	q->headers[q->n_headers++] = (struct http_header){ name, value->n == 0 ? MH_LIT("") : buf_span(value) };
	return MH_OK;
}

static enum mh_status
add_literal(struct preset_request *q, const char *name, const char *value, struct mh_err *err)
{
	if (q->n_headers < PRESET_MAX_HEADERS)
		buf_puts(&q->values[q->n_headers], value);
	return add_header(q, name, err);
}

/* A header without value is left out: there is no token where none is configured. */
static enum mh_status
fill_headers(const struct preset_vars *v, const cJSON *headers, struct preset_request *q, struct mh_err *err)
{
	const cJSON *item;
	enum mh_status status = MH_OK;

	cJSON_ArrayForEach(item, headers)
	{
		if (status == MH_OK && q->n_headers < PRESET_MAX_HEADERS)
			status = fill_text(v, item->valuestring, NULL, &q->values[q->n_headers], err);
		if (status == MH_OK && q->values[q->n_headers].n > 0)
			status = add_header(q, item->string, err);
	}
	return status;
}

static bool
has_header(const struct preset_request *q, const char *name)
{
	for (size_t i = 0; i < q->n_headers; i++)
		if (span_ieq(span_of(q->headers[i].name), span_of(name)))
			return true;
	return false;
}

static enum mh_status
fill_form(const struct preset_vars *v, const cJSON *form, struct buf *out, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf value;
	MH_AUTO(buf_release) struct buf name;
	const cJSON *item;
	enum mh_status status = MH_OK;

	buf_init(&value, MAX_LEAF_BYTES);
	buf_init(&name, 512);
	cJSON_ArrayForEach(item, form)
	{
		const struct mh_span key = span_of(item->string);
		const size_t star = span_find(key, MH_LIT("*"), 0);
		const bool if_any = key.n > 1 && key.p[key.n - 1] == '?';

		for (size_t i = 0; status == MH_OK && i < (star == SIZE_MAX ? 1 : v->n_pairs); i++) {
			const struct template_var *pair = star == SIZE_MAX ? NULL : &v->pairs[i];

			buf_clear(&name);
			buf_put(&name, span_head(key, star == SIZE_MAX ? key.n - (if_any ? 1 : 0) : star));
			if (pair != NULL) {
				buf_puts(&name, pair->name);
				buf_put(&name, span_from(key, star + 1));
			}
			status = fill_text(v, item->valuestring, pair, &value, err);
			if (status == MH_OK && !buf_ok(&name))
				status = no_memory(err);
			if (status == MH_OK && (value.n > 0 || !if_any))
				http_form_put(out, name.p, buf_span(&value));
		}
	}
	return status;
}

static enum mh_status
fill_body(const struct preset_vars *v, const cJSON *request, struct preset_request *q, struct mh_err *err)
{
	const cJSON *json = cJSON_GetObjectItemCaseSensitive(request, "json"), *form = json_object(request, "form");
	const char *text = json_string(request, "text"), *type = NULL;
	MH_AUTO(drop_json) cJSON *tree = NULL;
	enum mh_status status = MH_OK;

	if (json != NULL) {
		status = fill(v, json, NULL, &tree, err);
		if (status == MH_OK && !json_print(tree, &q->body))
			status = no_memory(err);
		type = "application/json";
	} else if (form != NULL) {
		status = fill_form(v, form, &q->body, err);
		type = "application/x-www-form-urlencoded";
	} else if (text != NULL) {
		status = fill_text(v, text, NULL, &q->body, err);
		type = "text/plain; charset=utf-8";
	}
	if (status == MH_OK && !buf_ok(&q->body))
		status = mh_fail(err, MH_LIMIT, "%s: a request of more than %u bytes", v->file, PRESET_MAX_BODY_BYTES);
	return status == MH_OK && type != NULL && !has_header(q, "Content-Type")
		   ? add_literal(q, "Content-Type", type, err)
		   : status;
}

/* The id is the same for every attempt of one job, the time is this attempt's. */
static enum mh_status
sign(const struct preset_context *c, const struct preset_vars *v, struct preset_request *q, struct mh_err *err)
{
	char id[64] = "", now[24] = "";
	struct buf text;
	enum mh_status status;

	buf_init(&text, sizeof(id) - 1);
	status = preset_text(v, "msg_{job_key}", &text, err);
	if (status == MH_OK && buf_ok(&text))
		memcpy(id, text.p, text.n + 1);
	buf_clear(&text);
	buf_printf(&text, "%" PRId64, c->now);
	if (buf_ok(&text) && text.n < sizeof(now))
		memcpy(now, text.p, text.n + 1);
	buf_release(&text);
	if (status == MH_OK)
		status = add_literal(q, "webhook-id", id, err);
	if (status == MH_OK)
		status = add_literal(q, "webhook-timestamp", now, err);
	if (status == MH_OK && q->n_headers < PRESET_MAX_HEADERS)
		status = webhook_sign(secret_span(&c->settings->secret), span_of(id), c->now, buf_span(&q->body),
		    &q->values[q->n_headers], err);
	return status == MH_OK ? add_header(q, "webhook-signature", err) : status;
}

enum mh_status
preset_build(const struct preset_context *c, const cJSON *request, const struct preset_vars *v,
    struct preset_request *ret, struct mh_err *err)
{
	*ret = (struct preset_request){ .n_headers = 0 };
	buf_init(&ret->url, PRESET_MAX_URL_BYTES);
	buf_init(&ret->body, PRESET_MAX_BODY_BYTES);
	for (size_t i = 0; i < PRESET_MAX_HEADERS; i++)
		buf_init(&ret->values[i], HTTP_MAX_HEADER_BYTES);

	const char *url = json_string(request, "url");
	enum mh_status status = template_render(v->file, 1, span_of(url), &v->vars,
	    strcmp(url, "{url}") == 0 || strcmp(url, "{secret}") == 0 ? put_whole_url : put_url, &ret->url, err);
	if (status == MH_LIMIT)
		return mh_fail(err, MH_BAD, "%s: a value cannot stand in a URL, or is too long for one", v->file);
	if (status == MH_OK)
		status = fill_headers(v, json_object(request, "headers"), ret, err);
	if (status == MH_OK)
		status = fill_body(v, request, ret, err);
	if (status == MH_OK && json_string(request, "sign") != NULL)
		status = sign(c, v, ret, err);
	return status;
}
