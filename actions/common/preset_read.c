/* preset_read.c: reads a preset and looks at its shape. */
#include "actions/common/preset.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/common/folder.h"
#include "actions/common/preset_impl.h"

#define MAX_PRESET_BYTES ((size_t)64 << 10)

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

const cJSON *
preset_request_of(const struct preset *p, const char *name)
{
	return json_object(json_object(p->json, "requests"), name);
}

bool
preset_has(const struct preset *p, const char *request)
{
	return preset_request_of(p, request) != NULL;
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

	return json_bool(preset_request_of(p, request), "idempotent", &is) && is;
}
