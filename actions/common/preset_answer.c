/* preset_answer.c: what stands where in an answer, and the conditions on it.
 *
 *   a.{x}.0.c           keys, which may be templates, and indexes of lists
 *   list.[key=text].id  the first element whose key is that text; [key~text]: whose key holds it
 *   header:NAME         a header; header:NAME#last: the last segment of a path or URL in it
 *   xml:NAME            the text of the first element of that name
 *   http:status         the number
 *   body                all of it
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actions/common/preset_impl.h"
#include "actions/common/xml.h"

#define MAX_FILTER_BYTES 2048

/* Where a path's first segment ends: at a dot outside brackets. */
static struct mh_span
next_segment(struct mh_span *path)
{
	size_t depth = 0, i = 0;

	for (; i < path->n && (depth > 0 || path->p[i] != '.'); i++)
		depth = path->p[i] == '[' ? depth + 1 : path->p[i] == ']' && depth > 0 ? depth - 1 : depth;
	const struct mh_span segment = span_head(*path, i);
	*path = span_from(*path, i + 1);
	return segment;
}

static void
put_scalar(const cJSON *j, struct buf *out)
{
	if (j == NULL)
		return;
	if (cJSON_IsString(j))
		buf_puts(out, j->valuestring);
	else if (cJSON_IsBool(j))
		buf_puts(out, cJSON_IsTrue(j) ? "true" : "false");
	else if (cJSON_IsNumber(j) && j->valuedouble == (double)(int64_t)j->valuedouble)
		buf_printf(out, "%" PRId64, (int64_t)j->valuedouble);
	else if (cJSON_IsNumber(j))
		buf_printf(out, "%.17g", j->valuedouble);
	else if (cJSON_IsObject(j) || cJSON_IsArray(j))
		(void)json_print(j, out);
}

static const cJSON *
member(const cJSON *j, struct mh_span name)
{
	char key[128];

	if (name.n >= sizeof(key))
		return NULL;
	memcpy(key, name.p, name.n);
	key[name.n] = '\0';
	return cJSON_GetObjectItemCaseSensitive(j, key);
}

static const cJSON *
element(const cJSON *j, struct mh_span digits)
{
	int at = 0;

	for (size_t i = 0; i < digits.n; i++) {
		if (digits.p[i] < '0' || digits.p[i] > '9' || at > 10000)
			return NULL;
		at = at * 10 + (digits.p[i] - '0');
	}
	return digits.n == 0 ? NULL : cJSON_GetArrayItem(j, at);
}

/* Keys with dots go deeper inside a filter too: [fields.key=text]. */
static const cJSON *
deep_member(const cJSON *j, struct mh_span path)
{
	while (j != NULL && path.n > 0)
		j = member(j, next_segment(&path));
	return j;
}

static enum mh_status
filter(const struct preset_vars *v, const cJSON *list, struct mh_span inside, const cJSON **ret, struct mh_err *err)
{
	const size_t at = strcspn(inside.p, "=~"); /* of a C string: a preset's path */
	const bool part = at < inside.n && inside.p[at] == '~';
	MH_AUTO(buf_release) struct buf template;
	MH_AUTO(buf_release) struct buf wanted;
	MH_AUTO(buf_release) struct buf found;
	const cJSON *item;

	*ret = NULL;
	buf_init(&template, MAX_FILTER_BYTES);
	buf_init(&wanted, MAX_FILTER_BYTES);
	buf_init(&found, HTTP_MAX_BODY_BYTES);
	buf_put(&template, span_from(inside, at + 1));
	if (at >= inside.n || !buf_ok(&template))
		return mh_fail(err, MH_BAD, "%s: a filter is [KEY=TEXT] or [KEY~TEXT]", v->file);
	const enum mh_status status = preset_text(v, template.n == 0 ? "" : template.p, &wanted, err);
	if (status != MH_OK || wanted.n == 0) /* nothing is what many have */
		return status;
	cJSON_ArrayForEach(item, list)
	{
		buf_clear(&found);
		put_scalar(deep_member(item, span_head(inside, at)), &found);
		if (part ? span_find(buf_span(&found), buf_span(&wanted), 0) != SIZE_MAX
			 : span_eq(buf_span(&found), buf_span(&wanted))) {
			*ret = item;
			break;
		}
	}
	return MH_OK;
}

/* A key may be a template: "versions.{job_uuid}". */
static enum mh_status
step(const struct preset_vars *v, const cJSON *j, struct mh_span s, const cJSON **ret, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf template;
	MH_AUTO(buf_release) struct buf key;
	enum mh_status status = MH_OK;

	buf_init(&template, MAX_FILTER_BYTES);
	buf_init(&key, MAX_FILTER_BYTES);
	if (span_find(s, MH_LIT("{"), 0) != SIZE_MAX) {
		buf_put(&template, s);
		status = preset_text(v, template.p, &key, err);
		*ret = status == MH_OK ? member(j, buf_span(&key)) : NULL;
		return status;
	}
	*ret = cJSON_IsArray(j) ? element(j, s) : member(j, s);
	return MH_OK;
}

static enum mh_status
walk(const struct preset_vars *v, const cJSON *j, struct mh_span path, const cJSON **ret, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	while (status == MH_OK && j != NULL && path.n > 0) {
		const struct mh_span s = next_segment(&path);

		if (s.n > 1 && s.p[0] == '[' && s.p[s.n - 1] == ']')
			status = filter(v, j, span_head(span_from(s, 1), s.n - 2), &j, err);
		else
			status = step(v, j, s, &j, err);
	}
	*ret = j;
	return status;
}

static void
look_at_header(const struct http_answer *a, struct mh_span name, struct buf *out)
{
	const size_t mark = span_find(name, MH_LIT("#last"), 0);
	char text[64];

	if (mark != SIZE_MAX)
		name.n = mark;
	(void)snprintf(text, sizeof(text), "%.*s", (int)name.n, name.p);
	struct mh_span value = http_kept(a, text);
	if (mark != SIZE_MAX) {
		while (value.n > 0 && value.p[value.n - 1] == '/')
			value.n--;
		for (size_t i = value.n; i > 0; i--)
			if (value.p[i - 1] == '/') {
				value = span_from(value, i);
				break;
			}
	}
	buf_put(out, value);
}

enum mh_status
preset_look(
    const struct preset_said *s, const struct preset_vars *v, const char *path, struct buf *out, struct mh_err *err)
{
	const struct mh_span p = span_of(path);
	const cJSON *j = NULL;
	enum mh_status status = MH_OK;

	buf_clear(out);
	if (span_starts(p, MH_LIT("header:")))
		look_at_header(s->http, span_from(p, 7), out);
	else if (span_starts(p, MH_LIT("xml:")))
		status = xml_text(buf_span(&s->http->body), path + 4, out, err);
	else if (span_eq(p, MH_LIT("http:status")))
		buf_printf(out, "%ld", s->http->status);
	else if (span_eq(p, MH_LIT("body")))
		buf_put(out, buf_span(&s->http->body));
	else
		status = walk(v, s->json, p, &j, err);
	if (status != MH_OK)
		return status;
	if (j != NULL)
		put_scalar(j, out);
	return out->n > 0 ? MH_OK : MH_SKIP;
}

static bool
is_one_of(struct mh_span text, const cJSON *values)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, values)
	{
		const struct mh_span value = span_of(item->valuestring);

		if (span_eq(value, MH_LIT("*")) || span_eq(value, text) ||
		    (span_starts(value, MH_LIT("~")) && span_find(text, span_from(value, 1), 0) != SIZE_MAX))
			return true;
	}
	return false;
}

enum mh_status
preset_holds(
    const struct preset_said *s, const struct preset_vars *v, const cJSON *conditions, bool *ret, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf text;
	const cJSON *item;

	*ret = false;
	buf_init(&text, HTTP_MAX_BODY_BYTES);
	cJSON_ArrayForEach(item, conditions)
	{
		const enum mh_status status = preset_look(s, v, item->string, &text, err);

		if (status != MH_OK && status != MH_SKIP)
			return status;
		*ret = *ret || (status == MH_OK && is_one_of(buf_span(&text), item));
	}
	return MH_OK;
}

/* -- headers ------------------------------------------------------------------------------------------------------ */

static void
keep(const char *path, struct preset_kept *to, size_t *n)
{
	if (path == NULL || strncmp(path, "header:", 7) != 0 || *n == PRESET_MAX_HEADERS)
		return;
	(void)snprintf(to->names[*n], sizeof(to->names[*n]), "%.*s", (int)strcspn(path + 7, "#"), path + 7);
	to->list[*n] = to->names[*n];
	(*n)++;
}

void
preset_kept_headers(const cJSON *request, struct preset_kept *ret)
{
	static const char *const parts[] = { "retry_if", "refused_if", "done_if", "failed_if", "already_if",
		"skip_if" };
	const cJSON *item;
	size_t n = 0;

	*ret = (struct preset_kept){ .list = { NULL } };
	cJSON_ArrayForEach(item, json_object(request, "take")) keep(item->valuestring, ret, &n);
	cJSON_ArrayForEach(item, json_array(request, "words")) keep(item->valuestring, ret, &n);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		cJSON_ArrayForEach(item, json_object(request, parts[i])) keep(item->string, ret, &n);
}
