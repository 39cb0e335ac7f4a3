/* entra.c: Entra ID provisions into IAM Identity Center: Microsoft Graph v1.0, "synchronization" of a service principal.
 *
 * The secret that is saved reads back as "*", so there is no way to see it, only to have it tried
 * (useSavedCredentials). Graph is eventually consistent: 403 and 409 of a save may pass. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/common/graph.h"
#include "actions/rotate/entra.h"
#include "actions/token/token.h"

#define MAX_BODY_BYTES ((size_t)3 * ROTATE_TOKEN_MAX_BYTES)
#define MAX_KEYS 16
#define KEY_BYTES 40

static const struct side_option options[] = {
	{ "token", SIDE_TEXT, NULL, 0 },
	{ "graph_url", SIDE_TEXT, GRAPH_URL, 0 },
	{ "service_principal", SIDE_TEXT, NULL, 0 },
	{ "app_id", SIDE_TEXT, NULL, 0 },
	{ "display_name", SIDE_TEXT, NULL, 0 },
	{ "job", SIDE_TEXT, NULL, 0 },
	{ NULL, SIDE_TEXT, NULL, 0 },
};

/* -- finding ------------------------------------------------------------------------------------------------------- */

static enum mh_status
take_only(const cJSON *list, const char *what, const char *how, char dst[ROTATE_ID_BYTES], struct mh_err *err)
{
	const char *id = json_string(cJSON_GetArrayItem(list, 0), "id");
	const int n = cJSON_GetArraySize(list);

	if (n != 1)
		return mh_fail(err, MH_BAD, "Graph: %d %s instead of one: %s", n, what, how);
	if (id == NULL || id[0] == '\0' || strlen(id) >= ROTATE_ID_BYTES)
		return mh_fail(err, MH_BAD, "Graph: a %s without a usable id", what);
	memcpy(dst, id, strlen(id) + 1);
	return MH_OK;
}

static enum mh_status
find_principal(struct entra *e, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = NULL;
	struct buf url, filter;
	enum mh_status status = MH_OK;

	if (e->principal[0] != '\0')
		return MH_OK;
	buf_init(&url, ENTRA_MAX_URL_BYTES);
	buf_init(&filter, 512);
	/* a quote in OData is doubled; start() refuses it in both */
	if (e->app_id[0] != '\0')
		buf_printf(&filter, "appId eq '%s'", e->app_id);
	else
		buf_printf(&filter, "startswith(displayName,'%s')", e->display_name);
	buf_printf(&url, "%s/v1.0/servicePrincipals?$filter=", e->base_url);
	http_encode(&url, buf_span(&filter));
	buf_puts(&url, "&$select=id,appId,displayName");
	if (!buf_ok(&url) || !buf_ok(&filter))
		status = mh_fail(err, MH_LIMIT, "Graph: an address becomes too long");
	if (status == MH_OK)
		status = entra_get(e, url.p, "service principals", &j, err);
	if (status == MH_OK)
		status = take_only(json_array(j, "value"), "service principals",
		    "name one by service_principal (the object id of the enterprise application)", e->principal, err);
	buf_release(&url);
	buf_release(&filter);
	return status;
}

static enum mh_status
find_job(struct entra *e, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = NULL;
	const cJSON *item, *list;
	struct buf url;

	buf_init(&url, ENTRA_MAX_URL_BYTES);
	entra_url(e, &url, "/synchronization/jobs", NULL);
	enum mh_status status = buf_ok(&url) ? entra_get(e, url.p, "synchronization jobs", &j, err)
					     : mh_fail(err, MH_LIMIT, "Graph: an address becomes too long");
	buf_release(&url);
	if (status != MH_OK)
		return status;
	list = json_array(j, "value");
	if (e->job[0] == '\0')
		return take_only(list, "synchronization jobs", "name one by job", e->job, err);
	cJSON_ArrayForEach(item, list)
	{
		if (json_string(item, "id") != NULL && strcmp(json_string(item, "id"), e->job) == 0)
			return MH_OK;
	}
	return mh_fail(err, MH_BAD, "Graph: the service principal has no synchronization job of the configured id");
}

struct keys { /* of what is saved; the values are not shown to anybody */
	char names[MAX_KEYS][KEY_BYTES];
	size_t n;
	char base[ROTATE_URL_BYTES]; /* BaseAddress, where it is shown; "": it is not */
};

static enum mh_status
read_keys(struct entra *e, struct keys *ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = NULL;
	const cJSON *item;
	struct buf url;

	*ret = (struct keys){ .n = 0 };
	buf_init(&url, ENTRA_MAX_URL_BYTES);
	entra_url(e, &url, "/synchronization/secrets", NULL);
	const enum mh_status status = buf_ok(&url) ? entra_get(e, url.p, "synchronization secrets", &j, err)
						   : mh_fail(err, MH_LIMIT, "Graph: an address becomes too long");
	buf_release(&url);
	if (status != MH_OK)
		return status;
	cJSON_ArrayForEach(item, json_array(j, "value"))
	{
		const char *key = json_string(item, "key"), *value = json_string(item, "value");

		if (key == NULL || ret->n == MAX_KEYS)
			continue;
		(void)snprintf(ret->names[ret->n++], KEY_BYTES, "%s", key);
		if (strcmp(key, "BaseAddress") == 0 && value != NULL && strchr(value, '*') == NULL)
			(void)snprintf(ret->base, sizeof(ret->base), "%s", value);
	}
	return MH_OK;
}

/* With or without the last slash it is the same. */
static bool
same_address(const char *a, const char *b)
{
	size_t n = strlen(a), m = strlen(b);

	n -= n > 0 && a[n - 1] == '/';
	m -= m > 0 && b[m - 1] == '/';
	return n == m && strncmp(a, b, n) == 0;
}

static enum mh_status
entra_find(void *state, struct mh_err *err)
{
	struct entra *e = state;
	struct keys k;

	if (e->found)
		return MH_OK;
	enum mh_status status = find_principal(e, err);
	if (status == MH_OK)
		status = find_job(e, err);
	if (status == MH_OK)
		status = read_keys(e, &k, err);
	if (status == MH_OK && k.base[0] != '\0' && !same_address(k.base, e->env->place->endpoint))
		status = mh_fail(
		    err, MH_BAD, "Graph: this application provisions to another SCIM endpoint than the configured");
	e->found = status == MH_OK;
	return status;
}

/* -- the token ----------------------------------------------------------------------------------------------------- */

/* Of printable characters, as a token and an endpoint have. */
static void
put_string(struct buf *out, struct mh_span s)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, s.p[i]);
	}
	buf_putc(out, '"');
}

/* {"LIST":[{"key":"BaseAddress",...},{"key":"SecretToken",...}]}, written here because
 * cJSON does not zero what it frees. */
static enum mh_status
put_pairs(const struct entra *e, const char *list, const struct idp_token *t, struct buf *out, struct mh_err *err)
{
	buf_printf(out, "{\"%s\":[{\"key\":\"BaseAddress\",\"value\":", list);
	put_string(out, span_of(e->env->place->endpoint));
	buf_puts(out, "},{\"key\":\"SecretToken\",\"value\":");
	put_string(out, t->value);
	buf_puts(out, "}]}");
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a request");
}

/* 204 is yes, 400 the provider's no. All else says nothing about the token: our own permissions, a proxy's page. */
#define ANSWER_YES 204
#define ANSWER_NO 400

static enum mh_status
validate_body(struct entra *e, struct mh_span body, struct mh_span token, const char *what, struct mh_err *err)
{
	MH_AUTO(http_answer_release) struct http_answer a;

	http_answer_init(&a);
	const enum mh_status status =
	    entra_send(e, "POST", "/synchronization/jobs/", "/validateCredentials", body, &a, err);
	if (status != MH_OK)
		return status;
	if (a.status == ANSWER_YES)
		return MH_OK;
	return entra_refused(a.status == ANSWER_NO ? MH_BAD : MH_RETRY, &a, what, token, err);
}

static enum mh_status
entra_validate(void *state, const struct idp_token *t, struct mh_err *err)
{
	struct entra *e = state;
	MH_AUTO(secret_buf_release) struct buf body;

	buf_init(&body, MAX_BODY_BYTES);
	enum mh_status status = entra_find(e, err);
	if (status == MH_OK)
		status = put_pairs(e, "credentials", t, &body, err);
	return status == MH_OK ? validate_body(e, buf_span(&body), t->value, "test of the new token", err) : status;
}

static enum mh_status
entra_saved(void *state, const struct idp_token *t, struct mh_err *err)
{
	struct entra *e = state;
	const enum mh_status status = entra_find(e, err);

	return status == MH_OK
		   ? validate_body(e, MH_LIT("{\"useSavedCredentials\":true}"), t->value, "test of what is saved", err)
		   : status;
}

/* A PUT is said to change the keys that it names and leave the others; whether it does is looked at. */
static void
note_lost(struct entra *e, const struct keys *before)
{
	struct keys after;
	struct mh_err err;

	if (read_keys(e, &after, &err) != MH_OK)
		return;
	for (size_t i = 0; i < before->n; i++) {
		bool there = false;

		for (size_t k = 0; k < after.n; k++)
			there = there || strcmp(before->names[i], after.names[k]) == 0;
		if (!there)
			(void)snprintf(e->env->note, sizeof(e->env->note),
			    "the setting %.40s of the provisioning is gone since the save: set it again in Entra ID",
			    before->names[i]);
	}
}

static enum mh_status
entra_save(void *state, const struct idp_token *t, struct mh_err *err)
{
	struct entra *e = state;
	MH_AUTO(secret_buf_release) struct buf body;
	MH_AUTO(http_answer_release) struct http_answer a;
	struct keys before = { .n = 0 };

	http_answer_init(&a);
	buf_init(&body, MAX_BODY_BYTES);
	enum mh_status status = entra_find(e, err);
	if (status == MH_OK)
		status = read_keys(e, &before, err);
	if (status == MH_OK)
		status = put_pairs(e, "value", t, &body, err);
	if (status == MH_OK)
		status = entra_send(e, "PUT", "/synchronization/secrets", NULL, buf_span(&body), &a, err);
	if (status != MH_OK)
		return status;
	if (a.status != ANSWER_YES) {
		const bool passes = a.status < 300 || a.status == 401 || a.status == 403 || a.status == 409;

		return entra_refused(passes ? MH_RETRY : http_class(a.status), &a, "save", t->value, err);
	}
	note_lost(e, &before);
	return MH_OK;
}

/* -- the job ------------------------------------------------------------------------------------------------------- */

/* "2026-02-03T04:05:06.1234567Z": the fraction is cut off, so that what is compared is earlier, never later. */
static bool
read_instant(const char *text, int64_t *ret)
{
	char whole[MH_TIME_TEXT];

	if (text == NULL || strlen(text) < 20)
		return false;
	(void)snprintf(whole, sizeof(whole), "%.19sZ", text);
	return time_read(span_of(whole), ret, NULL) == MH_OK;
}

static enum idp_health
health_of(const cJSON *job, const cJSON *status)
{
	const char *code = json_string(status, "code"), *schedule = json_string(json_object(job, "schedule"), "state");

	if (code == NULL)
		return IDP_UNKNOWN;
	if (strcmp(code, "Quarantine") == 0 || json_object(status, "quarantine") != NULL)
		return IDP_HELD;
	if (strcmp(code, "Paused") == 0 || strcmp(code, "NotConfigured") == 0 ||
	    (schedule != NULL && strcmp(schedule, "Active") != 0))
		return IDP_STOPPED;
	return IDP_ACTIVE; /* Active, or NotRun: its first run is to come */
}

static enum mh_status
entra_status(void *state, struct idp_status *ret, struct mh_err *err)
{
	struct entra *e = state;
	MH_AUTO(drop_json) cJSON *j = NULL;
	struct buf url;
	struct idp_status s = { .health = IDP_UNKNOWN };
	enum mh_status status = entra_find(e, err);

	if (status != MH_OK)
		return status;
	buf_init(&url, ENTRA_MAX_URL_BYTES);
	entra_url(e, &url, "/synchronization/jobs/", "");
	status = buf_ok(&url) ? entra_get(e, url.p, "the job's status", &j, err)
			      : mh_fail(err, MH_LIMIT, "Graph: an address becomes too long");
	buf_release(&url);
	if (status != MH_OK)
		return status;
	const cJSON *st = json_object(j, "status"), *quarantine = json_object(st, "quarantine");
	const char *reason = json_string(quarantine, "reason"), *code = json_string(st, "code");
	char shown[60];

	if (st == NULL)
		return mh_fail(err, MH_RETRY, "Graph, the job's status: an answer without a status");
	s.health = health_of(j, st);
	s.has_last_success =
	    read_instant(json_string(json_object(st, "lastSuccessfulExecution"), "timeBegan"), &s.last_success);
	(void)snprintf(s.words, sizeof(s.words), "the job is %s%s%s", code == NULL ? "in an unknown state" : code,
	    reason == NULL ? "" : ", ", reason == NULL ? "" : mh_escape(shown, sizeof(shown), span_of(reason)));
	*ret = s;
	return MH_OK;
}

static enum mh_status
entra_resume(void *state, struct mh_err *err)
{
	struct entra *e = state;
	MH_AUTO(http_answer_release) struct http_answer a;

	http_answer_init(&a);
	enum mh_status status = entra_find(e, err);
	if (status == MH_OK)
		status = entra_send(e, "POST", "/synchronization/jobs/", "/start", MH_LIT("{}"), &a, err);
	if (status != MH_OK)
		return status;
	return http_class(a.status) == MH_OK ? MH_OK : entra_refused(http_class(a.status), &a, "start", MH_NONE, err);
}

/* -- configuration ------------------------------------------------------------------------------------------------- */

static enum mh_status
entra_start(cfg_t *conf, struct side_env *env, void **ret_state, struct mh_err *err)
{
	const char *principal = cfg_getstr(conf, "service_principal"), *job = cfg_getstr(conf, "job");
	struct entra *e = calloc(1, sizeof(*e));

	if (e == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the identity provider");
	e->env = env;
	e->base_url = cfg_getstr(conf, "graph_url");
	e->token_file = cfg_getstr(conf, "token");
	e->app_id = cfg_getstr(conf, "app_id");
	e->display_name = cfg_getstr(conf, "display_name");
	enum mh_status status = MH_OK;
	if (e->token_file[0] != '/')
		status = mh_fail(
		    err, MH_BAD, "entra: token must be the path of a configuration as mailhook-token(8) has it");
	else if (principal[0] == '\0' && e->app_id[0] == '\0' && e->display_name[0] == '\0')
		status = mh_fail(err, MH_BAD, "entra: service_principal, app_id or display_name is needed");
	else if (strchr(e->app_id, '\'') != NULL || strchr(e->display_name, '\'') != NULL)
		status = mh_fail(err, MH_BAD, "entra: a name with a quote cannot be searched: use service_principal");
	else if (strlen(principal) >= sizeof(e->principal) || strlen(job) >= sizeof(e->job))
		status = mh_fail(err, MH_BAD, "entra: service_principal or job is too long");
	if (status != MH_OK) {
		free(e);
		return status;
	}
	(void)snprintf(e->principal, sizeof(e->principal), "%s", principal);
	(void)snprintf(e->job, sizeof(e->job), "%s", job);
	*ret_state = e;
	return MH_OK;
}

static void
entra_stop(void *state)
{
	free(state);
}

static enum mh_status
entra_check(void *state, bool online, struct mh_err *err)
{
	struct entra *e = state;

	return online ? entra_find(e, err) : token_check(e->token_file, e->env->now, err);
}

const struct idp_driver idp_entra = {
	.name = "entra",
	.section = "entra",
	.options = options,
	.start = entra_start,
	.stop = entra_stop,
	.check = entra_check,
	.find = entra_find,
	.validate = entra_validate,
	.save = entra_save,
	.saved = entra_saved,
	.status = entra_status,
	.resume = entra_resume,
};
