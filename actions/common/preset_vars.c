/* preset_vars.c: what a preset's templates may name, gathered from all who know something.
 *
 * The first to name it wins: what the preset asks the user for, what it takes from answers, then the facts of the case
 * ("owner" is GitHub's too). */
#include <string.h>

#include "actions/common/preset_impl.h"

#define ARENA_BYTES ((size_t)2 << 20)
#define MAX_VALUE_BYTES ((size_t)256 << 10)

void
preset_vars_release(struct preset_vars *v)
{
	secret_buf_release(&v->basic);
	secret_buf_release(&v->basic_key);
	arena_release(&v->arena);
}

static const struct template_var *
named(const struct preset_vars *v, const char *name)
{
	for (size_t i = 0; i < v->vars.n; i++)
		if (strcmp(v->items[i].name, name) == 0)
			return &v->items[i];
	return NULL;
}

static enum mh_status
add(struct preset_vars *v, const struct template_var *var, struct mh_err *err)
{
	if (named(v, var->name) != NULL)
		return MH_OK;
	if (v->vars.n == PRESET_MAX_VARS)
		return mh_fail(err, MH_LIMIT, "%s: more than %d variables", v->file, PRESET_MAX_VARS);
	v->items[v->vars.n++] = *var;
	v->vars.items = v->items;
	return MH_OK;
}

static enum mh_status
add_text(struct preset_vars *v, const char *name, const char *value, struct mh_err *err)
{
	return add(v, &(struct template_var){ name, span_of(value), LINES_ONE }, err);
}

static enum mh_status
add_settings(struct preset_vars *v, const struct preset_settings *s, const cJSON *defaults, struct mh_err *err)
{
	const cJSON *item;
	enum mh_status status = MH_OK;

	if (s->secret.p != NULL) { /* some services want no user before the ':' */
		http_basic(&v->basic, s->user == NULL ? MH_LIT("") : span_of(s->user), secret_span(&s->secret));
		http_basic(&v->basic_key, secret_span(&s->secret), MH_LIT("X"));
		if (!buf_ok(&v->basic) || !buf_ok(&v->basic_key))
			return mh_fail(err, MH_RETRY, "no memory for a request");
	}
	const struct template_var own[] = {
		{ "user", span_of(s->user), LINES_ONE },
		{ "secret", secret_span(&s->secret), LINES_ONE },
		{ "basic", v->basic.n == 0 ? MH_NONE : buf_span(&v->basic), LINES_ONE },
		{ "basic_key", v->basic_key.n == 0 ? MH_NONE : buf_span(&v->basic_key), LINES_ONE },
	};
	if (s->url != NULL)
		status = add_text(v, "url", s->url, err);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]) && status == MH_OK; i++)
		status = add(v, &own[i], err);
	for (size_t i = 0; i < s->n_settings && status == MH_OK; i++)
		status = add(v, &s->settings[i], err);
	cJSON_ArrayForEach(item, defaults)
	{
		if (status == MH_OK)
			status = add_text(v, item->string, item->valuestring, err);
	}
	return status;
}

/* What answers gave, and the names that answers may still give. */
static enum mh_status
add_taken(struct preset_vars *v, const cJSON *taken, const cJSON *requests, struct mh_err *err)
{
	const cJSON *item, *request;
	enum mh_status status = MH_OK;

	cJSON_ArrayForEach(item, taken)
	{
		if (status == MH_OK && cJSON_IsString(item))
			status = add_text(v, item->string, item->valuestring, err);
	}
	cJSON_ArrayForEach(request, requests)
	{
		cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(request, "take"))
		{
			struct mh_span name = span_of(item->string), copy;

			if (name.n > 0 && name.p[name.n - 1] == '!') /* must be there; no part of the name */
				name.n--;
			if (status == MH_OK)
				status = arena_copy(&v->arena, name, &copy, err);
			if (status == MH_OK)
				status = add_text(v, copy.p, NULL, err);
		}
	}
	return status;
}

/* {"VAR": {"of": "{priority}", "map": {"urgent": "1"}, "else": "3"}} */
static enum mh_status
add_map(struct preset_vars *v, const cJSON *map, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf key;
	struct mh_span value;
	const char *to;

	buf_init(&key, MAX_VALUE_BYTES);
	enum mh_status status = preset_text(v, json_string(map, "of"), &key, err);
	if (status != MH_OK)
		return status;
	to = json_string(json_object(map, "map"), key.n == 0 ? "" : key.p);
	if (to == NULL)
		to = json_string(map, "else");
	buf_clear(&key);
	if (to != NULL)
		status = preset_text(v, to, &key, err);
	if (status == MH_OK)
		status = arena_copy(&v->arena, buf_span(&key), &value, err);
	return status == MH_OK ? add(v, &(struct template_var){ map->string, value, LINES_ONE }, err) : status;
}

static enum mh_status
add_pairs(struct preset_vars *v, const struct preset_settings *s, struct mh_err *err)
{
	struct template_var *pairs = arena_array(&v->arena, s->n_pairs, sizeof(*pairs));
	MH_AUTO(buf_release) struct buf text;
	enum mh_status status = MH_OK;

	buf_init(&text, MAX_VALUE_BYTES);
	if (pairs == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a request");
	for (size_t i = 0; i < s->n_pairs && status == MH_OK; i++) {
		buf_clear(&text);
		pairs[i] = s->pairs[i];
		status = preset_text(v, s->pairs[i].value.p, &text, err);
		if (status == MH_OK)
			status = arena_copy(&v->arena, buf_span(&text), &pairs[i].value, err);
	}
	v->pairs = pairs;
	v->n_pairs = s->n_pairs;
	return status;
}

static enum mh_status
check_needs(const struct preset_vars *v, const cJSON *needs, struct mh_err *err)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, needs)
	{
		const struct template_var *var = named(v, item->string);

		if (var == NULL || var->value.n == 0)
			return mh_fail(err, MH_BAD, "%s needs %s: %.80s", v->file, item->string, item->valuestring);
	}
	return MH_OK;
}

/* A setting that no preset asks for is a name misspelt. */
static enum mh_status
check_settings(const struct preset_context *c, const cJSON *needs, const cJSON *defaults, struct mh_err *err)
{
	for (size_t i = 0; i < c->settings->n_settings; i++) {
		const char *name = c->settings->settings[i].name;

		if (!cJSON_HasObjectItem(needs, name) && !cJSON_HasObjectItem(defaults, name))
			return mh_fail(err, MH_BAD, "%s has no setting \"%.40s\"", c->preset->name, name);
	}
	return MH_OK;
}

enum mh_status
preset_vars_make(const struct preset_context *c, struct preset_vars *ret, struct mh_err *err)
{
	const cJSON *json = c->preset->json;
	const cJSON *needs = json_object(json, "needs"), *defaults = json_object(json, "defaults"), *map;

	*ret = (struct preset_vars){ .file = c->preset->name };
	arena_init(&ret->arena, ARENA_BYTES);
	buf_init(&ret->basic, 2 * SECRET_MAX_BYTES);
	buf_init(&ret->basic_key, 2 * SECRET_MAX_BYTES);
	enum mh_status status = check_settings(c, needs, defaults, err);
	if (status == MH_OK)
		status = add_settings(ret, c->settings, defaults, err);
	if (status == MH_OK)
		status = add_taken(ret, c->taken, json_object(json, "requests"), err);
	for (size_t i = 0; i < c->vars->n && status == MH_OK; i++)
		status = add(ret, &c->vars->items[i], err);
	if (status == MH_OK) /* so that {url} is known where nothing sets it */
		status = add_text(ret, "url", NULL, err);
	if (status == MH_OK)
		status = check_needs(ret, needs, err);
	cJSON_ArrayForEach(map, json_object(json, "maps"))
	{
		if (status == MH_OK)
			status = add_map(ret, map, err);
	}
	return status == MH_OK ? add_pairs(ret, c->settings, err) : status;
}
