/* console_api.c: tokens made and deleted by the private API that the AWS console itself uses. Opt-in by name, since AWS
 * may change it or take it away on any day; then the rotation goes on by hand. Signed calls, JSON 1.1.
 *
 * Source: model "identitystore-2019-11-01" (Frichetten/aws-api-models, from the console's JavaScript); host and path as a
 * published run of ListProvisioningTenants used them. Both are configurable. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/rotate/side_aws.h"
#include "mailhook/json.h"

#define DEFAULT_URL "https://up.sso.{region}.amazonaws.com/identitystore/"
#define DEFAULT_TYPE "application/x-amz-json-1.1"
#define TARGET "AWSIdentityStoreService."
#define MAX_PAGES 4 /* AWS keeps two tokens and few tenants; a list without end is none */

struct console {
	struct side_aws side;
	const char *url, *type;
};

static const struct side_option options[] = {
	SIDE_AWS_OPTIONS,
	{ "url", SIDE_TEXT, DEFAULT_URL, 0 },
	{ "content_type", SIDE_TEXT, DEFAULT_TYPE, 0 },
	{ NULL, SIDE_TEXT, NULL, 0 },
};

/* The Region is the place's: these calls are at home in the primary one only. */
static enum mh_status
start(cfg_t *conf, struct side_env *env, void **ret_state, struct mh_err *err)
{
	struct console *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return mh_fail(err, MH_RETRY, "no memory for AWS");
	c->url = cfg_getstr(conf, "url");
	c->type = cfg_getstr(conf, "content_type");
	enum mh_status status = side_aws_start(&c->side, conf, env, err);
	if (status == MH_OK && c->side.conf.region != NULL && strcmp(c->side.conf.region, env->place->region) != 0)
		status = mh_fail(err, MH_BAD, "console_api: region is \"%.20s\", but the SCIM endpoint is in \"%.20s\"",
		    c->side.conf.region, env->place->region);
	if (status != MH_OK) {
		side_aws_stop(c);
		return status;
	}
	*ret_state = c;
	return MH_OK;
}

/* -- calls ----------------------------------------------------------------------------------------------------------- */

/* Gone or denied closes this way, whatever the call was; credentials and a wrong clock are to be mended. */
static enum mh_status
meaning(struct console *c, const struct aws_answer *a, enum mh_status status)
{
	c->side.env->retry_after_s = c->side.aws.retry_after_s;
	if (status != MH_BAD)
		return status;
	switch (a->fault) {
	case AWS_GONE:
	case AWS_DENIED:
		return MH_SKIP;
	case AWS_FULL:
	case AWS_FINE:
	case AWS_NO_ANSWER:
	case AWS_BROKEN:
	case AWS_THROTTLED:
	case AWS_CREDENTIALS:
	case AWS_SKEWED:
	case AWS_NOT_FOUND:
	case AWS_REFUSED:
		return MH_BAD;
	}
	return MH_BAD;
}

/* in: an object; released here. */
static enum mh_status
call(struct console *c, const struct aws_request *q, cJSON *in, struct aws_answer *ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *asked = in;
	MH_AUTO(buf_release) struct buf body;
	struct aws_request request = *q;

	buf_init(&body, 4096);
	if (asked == NULL || !json_print(asked, &body))
		return mh_fail(err, MH_RETRY, "no memory for a request");
	request.body = buf_span(&body);
	enum mh_status status = aws_post(&c->side.aws, &request, ret, err);
	status = meaning(c, ret, status);
	if (err != NULL && status != MH_OK)
		err->code = status;
	return status;
}

static enum mh_status
call_store(struct console *c, const char *operation, cJSON *in, struct aws_answer *ret, struct mh_err *err)
{
	char target[96];
	const struct aws_request q = { .service = "identitystore", .url = c->url, .type = c->type, .target = target };

	(void)snprintf(target, sizeof(target), TARGET "%s", operation);
	return call(c, &q, in, ret, err);
}

static cJSON *
object(const char *key, const char *value)
{
	cJSON *j = cJSON_CreateObject();

	if (j != NULL && key != NULL && !json_add_string(j, key, value))
		drop_json(&j);
	return j;
}

static cJSON *
with(cJSON *j, const char *key, const char *value)
{
	if (j != NULL && value != NULL && !json_add_string(j, key, value))
		drop_json(&j);
	return j;
}

static enum mh_status
no_sense(const char *what, struct mh_err *err)
{
	return mh_fail(err, MH_BAD, "AWS %s: an answer that makes no sense", what);
}

/* One list over all its pages: each item is shown to look. more: members of the request. */
static enum mh_status
each_item(struct console *c, const char *operation, const char *list, const char *tenant,
    enum mh_status (*look)(struct console *c, const cJSON *item, void *user, struct mh_err *err), void *user,
    struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf next;
	enum mh_status status = MH_OK;

	buf_init(&next, 4096);
	for (int page = 0; page < MAX_PAGES; page++) {
		MH_AUTO(aws_answer_release) struct aws_answer a;
		MH_AUTO(drop_json) cJSON *j = NULL;
		const cJSON *item;

		aws_answer_init(&a);
		cJSON *in = strcmp(operation, "ListInstances") == 0
				? object(NULL, NULL)
				: object("IdentityStoreId", c->side.env->place->store);
		in = with(with(in, "TenantId", tenant), "NextToken", next.n == 0 ? NULL : next.p);
		const struct aws_request instances = { .service = "sso",
			.type = "application/x-amz-json-1.1",
			.target = "SWBExternalService.ListInstances" };
		status = strcmp(operation, "ListInstances") == 0 ? call(c, &instances, in, &a, err)
								 : call_store(c, operation, in, &a, err);
		if (status != MH_OK)
			return status;
		j = json_parse(buf_span(&a.http.body), NULL);
		if (json_array(j, list) == NULL)
			return no_sense(operation, err);
		cJSON_ArrayForEach(item, json_array(j, list))
		{
			if (status == MH_OK)
				status = look(c, item, user, err);
		}
		const char *token = json_string(j, "NextToken");
		if (status != MH_OK || token == NULL || token[0] == '\0')
			return status;
		buf_clear(&next);
		buf_puts(&next, token);
		if (!buf_ok(&next))
			return no_sense(operation, err);
	}
	return mh_fail(err, MH_LIMIT, "AWS %s: more than %d pages", operation, MAX_PAGES);
}

/* -- where it is ----------------------------------------------------------------------------------------------------- */

static bool
take_id(char dst[ROTATE_ID_BYTES], const char *id)
{
	if (!span_is_graphic(span_of(id)) || strlen(id) >= ROTATE_ID_BYTES)
		return false;
	(void)snprintf(dst, ROTATE_ID_BYTES, "%s", id);
	return true;
}

struct instances {
	size_t n; /* that fit what is configured */
	char store[ROTATE_ID_BYTES], primary[ROTATE_ID_BYTES], owner[ROTATE_ID_BYTES];
};

static enum mh_status
look_at_instance(struct console *c, const cJSON *item, void *user, struct mh_err *err)
{
	struct instances *all = user;
	const char *wanted = c->side.env->place->store, *primary = json_string(item, "PrimaryRegion"),
		   *owner = json_string(item, "OwnerAccountId"), *store = json_string(item, "IdentityStoreId");

	if (store == NULL || (wanted[0] != '\0' && strcmp(store, wanted) != 0))
		return MH_OK;
	all->n++;
	if (!take_id(all->store, store) || (primary != NULL && !take_id(all->primary, primary)) ||
	    (owner != NULL && !take_id(all->owner, owner)))
		return no_sense("ListInstances", err);
	return MH_OK;
}

static enum mh_status
find_instance(struct console *c, struct mh_err *err)
{
	struct place *p = c->side.env->place;
	struct instances all = { .n = 0 };
	const enum mh_status status = each_item(c, "ListInstances", "Instances", NULL, look_at_instance, &all, err);

	if (status != MH_OK)
		return status;
	if (all.n == 0)
		return mh_fail(err, MH_BAD, "AWS has no instance of Identity Center%s%.40s in %.20s",
		    p->store[0] == '\0' ? "" : " with store ", p->store, p->region);
	if (all.n > 1)
		return mh_fail(
		    err, MH_BAD, "AWS has %zu instances of Identity Center: identity_store must say which", all.n);
	if (all.primary[0] != '\0' && strcmp(all.primary, p->region) != 0)
		return mh_fail(err, MH_BAD, "the primary Region is %.20s, not %.20s", all.primary, p->region);
	if (all.owner[0] != '\0' && strcmp(all.owner, p->account) != 0)
		return mh_fail(err, MH_BAD, "the instance belongs to account %.20s, not %.20s", all.owner, p->account);
	(void)snprintf(p->store, sizeof(p->store), "%s", all.store);
	return MH_OK;
}

static struct mh_span
without_slash(const char *url)
{
	struct mh_span s = span_of(url);

	while (s.n > 0 && s.p[s.n - 1] == '/')
		s.n--;
	return s;
}

static enum mh_status
look_at_tenant(struct console *c, const cJSON *item, void *user, struct mh_err *err)
{
	const struct place *p = c->side.env->place;
	const char *id = json_string(item, "TenantId"), *endpoint = json_string(item, "ScimEndpoint");
	bool *found = user;

	if (id == NULL || strcmp(id, p->tenant) != 0)
		return MH_OK;
	if (endpoint != NULL && !span_eq(without_slash(endpoint), without_slash(p->endpoint)))
		return mh_fail(
		    err, MH_BAD, "AWS says another SCIM endpoint of tenant %.60s than the configuration", id);
	*found = true;
	return MH_OK;
}

static enum mh_status
locate(void *state, struct mh_err *err)
{
	struct console *c = state;
	bool found = false;
	enum mh_status status = find_instance(c, err);

	if (status == MH_OK)
		status =
		    each_item(c, "ListProvisioningTenants", "ProvisioningTenants", NULL, look_at_tenant, &found, err);
	if (status == MH_OK && !found)
		status = mh_fail(err, MH_BAD, "AWS knows no tenant %.60s in store %.40s", c->side.env->place->tenant,
		    c->side.env->place->store);
	return status;
}

/* -- tokens ---------------------------------------------------------------------------------------------------------- */

/* Seconds, perhaps with a fraction, as JSON 1.1 writes times. */
static bool
take_time(const cJSON *j, const char *key, int64_t *ret)
{
	const cJSON *n = cJSON_GetObjectItemCaseSensitive(j, key);

	if (!cJSON_IsNumber(n) || !(n->valuedouble > 0) || n->valuedouble > 2e11)
		return false;
	*ret = (int64_t)floor(n->valuedouble);
	return true;
}

static bool
take_token(const cJSON *j, struct aws_token *ret)
{
	return take_id(ret->id, json_string(j, "TokenId")) && take_time(j, "CreationTime", &ret->created) &&
	       take_time(j, "ExpirationTime", &ret->expires);
}

static enum mh_status
look_at_token(struct console *c, const cJSON *item, void *user, struct mh_err *err)
{
	struct aws_tokens *all = user;

	(void)c;
	if (all->n == ROTATE_MAX_TOKENS)
		return mh_fail(err, MH_LIMIT, "AWS lists more than %d tokens", ROTATE_MAX_TOKENS);
	return take_token(item, &all->items[all->n++]) ? MH_OK : no_sense("ListBearerTokens", err);
}

static int
by_age(const void *a, const void *b)
{
	const struct aws_token *x = a, *y = b;

	return x->created != y->created ? (x->created < y->created ? -1 : 1) : strcmp(x->id, y->id);
}

static enum mh_status
list(void *state, struct aws_tokens *ret, struct mh_err *err)
{
	struct console *c = state;
	struct aws_tokens all = { .n = 0 };
	const enum mh_status status =
	    each_item(c, "ListBearerTokens", "BearerTokens", c->side.env->place->tenant, look_at_token, &all, err);

	if (status != MH_OK)
		return status;
	qsort(all.items, all.n, sizeof(all.items[0]), by_age);
	*ret = all;
	return MH_OK;
}

static bool
is_value(const char *s)
{
	const struct mh_span value = span_of(s);

	return span_is_graphic(value) && value.n >= ROTATE_TOKEN_MIN_BYTES && value.n <= ROTATE_TOKEN_MAX_BYTES;
}

/* The value stands nowhere but in secret behind this. */
static enum mh_status
take_created(struct mh_span body, struct aws_token *ret, struct secret *ret_secret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = json_parse(body, NULL);
	const cJSON *made = json_object(j, "BearerToken");
	cJSON *value = cJSON_GetObjectItemCaseSensitive(made, "Token");
	struct aws_token token;
	enum mh_status status = MH_OK;

	if (!cJSON_IsString(value) || !is_value(value->valuestring) || !take_token(made, &token))
		status = mh_fail(err, MH_RETRY, "AWS CreateBearerToken: an answer without the token");
	if (status == MH_OK)
		status = secret_copy(span_of(value->valuestring), ret_secret, err);
	if (status == MH_OK)
		*ret = token;
	if (cJSON_IsString(value))
		explicit_bzero(value->valuestring, strlen(value->valuestring));
	return status;
}

static enum mh_status
create(void *state, struct aws_token *ret, struct secret *ret_secret, struct mh_err *err)
{
	struct console *c = state;
	MH_AUTO(aws_answer_release) struct aws_answer a;

	aws_answer_init(&a);
	const enum mh_status status = call_store(c, "CreateBearerToken",
	    with(object("IdentityStoreId", c->side.env->place->store), "TenantId", c->side.env->place->tenant), &a,
	    err);
	if (status == MH_BAD && a.fault == AWS_FULL) {
		err->code = MH_LIMIT;
		return MH_LIMIT;
	}
	/* sent, and an answer that is too long or broke off: perhaps it was made */
	if ((status == MH_BAD || status == MH_LIMIT) && a.fault == AWS_NO_ANSWER && a.http.sent) {
		err->code = MH_RETRY;
		return MH_RETRY;
	}
	return status == MH_OK ? take_created(buf_span(&a.http.body), ret, ret_secret, err) : status;
}

static enum mh_status
remove_token(void *state, const char *token_id, struct mh_err *err)
{
	struct console *c = state;
	MH_AUTO(aws_answer_release) struct aws_answer a;

	aws_answer_init(&a);
	const enum mh_status status = call_store(c, "DeleteBearerToken",
	    with(with(object("IdentityStoreId", c->side.env->place->store), "TenantId", c->side.env->place->tenant),
		"TokenId", token_id),
	    &a, err);
	return status == MH_BAD && a.fault == AWS_NOT_FOUND ? MH_OK : status;
}

/* -- check --------------------------------------------------------------------------------------------------------- */

static enum mh_status
check(void *state, bool online, struct mh_err *err)
{
	struct console *c = state;
	struct aws_tokens all = { .n = 0 };
	char end[MH_TIME_TEXT];

	if (!online)
		return MH_OK;
	enum mh_status status = aws_sign_in(&c->side.aws, false, err);
	if (status != MH_OK)
		return status;
	say(c->side.env->protocol, "AWS: signed in by %s", c->side.aws.keys.source);
	status = locate(c, err);
	if (status == MH_OK)
		status = list(c, &all, err);
	if (status == MH_SKIP) /* a check proves that the way is open */
		return mh_fail(err, MH_BAD, "the console's API is closed to us: %.100s", err->text);
	for (size_t i = 0; status == MH_OK && i < all.n; i++)
		say(c->side.env->protocol, "AWS: token %.60s until %s", all.items[i].id,
		    time_text(end, all.items[i].expires));
	return status;
}

const struct aws_side aws_console_api = {
	.name = "console-api",
	.section = "console_api",
	.options = options,
	.start = start,
	.stop = side_aws_stop,
	.check = check,
	.locate = locate,
	.list = list,
	.create = create,
	.remove = remove_token,
};
