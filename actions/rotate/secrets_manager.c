/* secrets_manager.c: the token lies in a secret of AWS Secrets Manager, where ssosync reads it (Google Workspace).
 *
 * PutSecretValue with a client token that is made of the SCIM token: the same again changes nothing. What was saved can
 * be read back, so that it is proven by the SCIM endpoint itself. Source: Secrets Manager API reference. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/rotate/idp.h"
#include "actions/rotate/seal.h"
#include "actions/rotate/side_aws.h"

#define MAX_SECRET_BYTES (64u << 10) /* Secrets Manager's own limit */

struct manager {
	struct side_aws side;
	const char *secret, *key; /* key: NULL: the secret is the token and nothing else */
};

static const struct side_option options[] = {
	SIDE_AWS_OPTIONS,
	{ "secret", SIDE_TEXT, NULL, 0 },
	{ "json_key", SIDE_TEXT, NULL, 0 },
	{ NULL, SIDE_TEXT, NULL, 0 },
};

static enum mh_status
start(cfg_t *conf, struct side_env *env, void **ret_state, struct mh_err *err)
{
	struct manager *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return mh_fail(err, MH_RETRY, "no memory for Secrets Manager");
	m->secret = cfg_getstr(conf, "secret");
	m->key = cfg_getstr(conf, "json_key");
	if (m->key != NULL && m->key[0] == '\0')
		m->key = NULL;
	enum mh_status status = side_aws_start(&m->side, conf, env, err);
	if (status == MH_OK && (m->secret == NULL || m->secret[0] == '\0'))
		status = mh_fail(err, MH_BAD, "secrets_manager needs secret: the name or ARN of the secret");
	if (status != MH_OK) {
		side_aws_stop(m);
		return status;
	}
	*ret_state = m;
	return MH_OK;
}

/* -- calls --------------------------------------------------------------------------------------------------------- */

/* in: released here, its secrets zeroed. */
static enum mh_status
call(struct manager *m, const char *target, cJSON *in, struct aws_answer *ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *asked = in;
	MH_AUTO(secret_buf_release) struct buf body;
	const struct aws_request q = {
		.service = "secretsmanager", .type = "application/x-amz-json-1.1", .target = target
	};
	struct aws_request request = q;
	enum mh_status status = MH_OK;

	buf_init(&body, 4 * MAX_SECRET_BYTES);
	if (asked == NULL || !json_print(asked, &body))
		status = mh_fail(err, MH_RETRY, "no memory for a request");
	request.body = buf_span(&body);
	if (status == MH_OK)
		status = aws_post(&m->side.aws, &request, ret, err);
	m->side.env->retry_after_s = m->side.aws.retry_after_s;
	const cJSON *value = cJSON_GetObjectItemCaseSensitive(asked, "SecretString");
	if (cJSON_IsString(value))
		explicit_bzero(value->valuestring, strlen(value->valuestring));
	return status;
}

static cJSON *
of_secret(const struct manager *m)
{
	cJSON *j = cJSON_CreateObject();

	if (j != NULL && !json_add_string(j, "SecretId", m->secret))
		drop_json(&j);
	return j;
}

/* The secret's current text. MH_SKIP: it has no value yet. */
static enum mh_status
read_current(struct manager *m, struct secret *ret, struct mh_err *err)
{
	MH_AUTO(aws_answer_release) struct aws_answer a;
	MH_AUTO(drop_json) cJSON *j = NULL;

	aws_answer_init(&a);
	enum mh_status status = call(m, "secretsmanager.GetSecretValue", of_secret(m), &a, err);
	if (status != MH_OK)
		return status == MH_BAD && a.fault == AWS_NOT_FOUND && strstr(a.words, "secret value") != NULL
			   ? mh_fail(err, MH_SKIP, "the secret has no value yet")
			   : status;
	j = json_parse(buf_span(&a.http.body), NULL);
	cJSON *text = cJSON_GetObjectItemCaseSensitive(j, "SecretString");
	if (!cJSON_IsString(text))
		return mh_fail(err, MH_BAD, "secret %.60s holds no text", m->secret);
	status = secret_copy(span_of(text->valuestring), ret, err);
	explicit_bzero(text->valuestring, strlen(text->valuestring));
	return status;
}

/* The token within the secret's text; j: own, keeps it. */
static const char *
token_of(const struct manager *m, const struct secret *current, cJSON **j)
{
	if (m->key == NULL)
		return current->p;
	*j = json_parse(secret_span(current), NULL);
	return json_string(*j, m->key);
}

/* -- the driver ---------------------------------------------------------------------------------------------------- */

static enum mh_status
find(void *state, struct mh_err *err)
{
	struct manager *m = state;
	MH_AUTO(secret_release) struct secret current = { 0 };
	MH_AUTO(drop_json) cJSON *j = NULL;
	const enum mh_status status = read_current(m, &current, err);

	if (status == MH_SKIP)
		return m->key == NULL ? MH_OK
				      : mh_fail(err, MH_BAD, "secret %.60s has no value yet, so no %.40s in it",
					    m->secret, m->key);
	if (status != MH_OK)
		return status;
	if (token_of(m, &current, &j) == NULL)
		return mh_fail(err, MH_BAD, "secret %.60s is no JSON with a text %.40s", m->secret, m->key);
	return MH_OK;
}

static enum mh_status
check(void *state, bool online, struct mh_err *err)
{
	return online ? find(state, err) : MH_OK;
}

static enum mh_status
validate(void *state, const struct idp_token *t, struct mh_err *err)
{
	(void)state;
	(void)t;
	return mh_fail(err, MH_SKIP, "Secrets Manager tests no token before it is saved");
}

/* What the secret is to hold: the token, or the JSON that is there with the token in it. */
static enum mh_status
new_text(struct manager *m, const struct idp_token *t, struct buf *out, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret current = { 0 };
	MH_AUTO(drop_json) cJSON *j = NULL;
	MH_AUTO(secret_release) struct secret value = { 0 };

	if (m->key == NULL) {
		buf_put(out, t->value);
		return buf_ok(out) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a secret");
	}
	enum mh_status status = read_current(m, &current, err);
	if (status == MH_OK)
		status = secret_copy(t->value, &value, err);
	if (status != MH_OK)
		return status == MH_SKIP ? mh_fail(err, MH_BAD, "secret %.60s has no value any more", m->secret)
					 : status;
	if (token_of(m, &current, &j) == NULL)
		return mh_fail(err, MH_BAD, "secret %.60s is no JSON with a text %.40s", m->secret, m->key);
	cJSON *text = cJSON_GetObjectItemCaseSensitive(j, m->key);
	explicit_bzero(text->valuestring, strlen(text->valuestring));
	if (cJSON_SetValuestring(text, value.p) == NULL || !json_print(j, out))
		status = mh_fail(err, MH_RETRY, "no memory for a secret");
	explicit_bzero(text->valuestring, strlen(text->valuestring));
	return status;
}

static enum mh_status
is_saved(struct manager *m, const struct idp_token *t, struct secret *ret_value, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret current = { 0 };
	MH_AUTO(drop_json) cJSON *j = NULL;
	char digest[IDP_DIGEST_HEX];
	enum mh_status status = read_current(m, &current, err);

	if (status == MH_SKIP)
		return mh_fail(err, MH_BAD, "secret %.60s holds nothing", m->secret);
	if (status != MH_OK)
		return status;
	const char *token = token_of(m, &current, &j);
	if (token == NULL)
		return mh_fail(err, MH_BAD, "secret %.60s is no JSON with a text %.40s", m->secret, m->key);
	status = seal_digest(span_of(token), digest, err);
	if (status == MH_OK && t->digest[0] != '\0' && strcmp(digest, t->digest) != 0)
		status = mh_fail(err, MH_BAD, "secret %.60s holds another token", m->secret);
	return status == MH_OK ? secret_copy(span_of(token), ret_value, err) : status;
}

static enum mh_status
save(void *state, const struct idp_token *t, struct mh_err *err)
{
	struct manager *m = state;
	MH_AUTO(secret_buf_release) struct buf text;
	MH_AUTO(secret_release) struct secret found = { 0 };
	MH_AUTO(aws_answer_release) struct aws_answer a;

	aws_answer_init(&a);
	buf_init(&text, MAX_SECRET_BYTES);
	enum mh_status status = new_text(m, t, &text, err);
	if (status != MH_OK)
		return status;
	cJSON *in = of_secret(m);
	/* 64 characters at most, and no part of the value can be told from it */
	if (in != NULL && (!json_add_string(in, "ClientRequestToken", t->digest) ||
			      !json_add_span(in, "SecretString", buf_span(&text))))
		drop_json(&in);
	status = call(m, "secretsmanager.PutSecretValue", in, &a, err);
	if (status != MH_OK && secret_shows(span_of(a.words), t->value))
		(void)mh_fail(err, status, "AWS secretsmanager: HTTP %ld, with the token in its words", a.http.status);
	/* Saved before, when another part of the secret was another. */
	if (status == MH_BAD && strstr(a.code, "ResourceExists") != NULL)
		status = is_saved(m, t, &found, err);
	return status;
}

static enum mh_status
saved(void *state, const struct idp_token *t, struct mh_err *err)
{
	struct manager *m = state;
	MH_AUTO(secret_release) struct secret found = { 0 };
	const enum mh_status status = is_saved(m, t, &found, err);

	return status == MH_OK ? scim_prove(m->side.env, secret_span(&found), err) : status;
}

static enum mh_status
ask_status(void *state, struct idp_status *ret, struct mh_err *err)
{
	(void)state;
	(void)ret;
	return mh_fail(err, MH_SKIP, "Secrets Manager does not know who reads the secret");
}

const struct idp_driver idp_secrets_manager = {
	.name = "secrets-manager",
	.section = "secrets_manager",
	.options = options,
	.start = start,
	.stop = side_aws_stop,
	.check = check,
	.find = find,
	.validate = validate,
	.save = save,
	.saved = saved,
	.status = ask_status,
	.resume = NULL,
};
