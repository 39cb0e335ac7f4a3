/* aws_sources.c: programs and services that hand out AWS credentials. Sources: botocore, AWS SDKs reference guide. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/common/aws_impl.h"
#include "actions/common/folder.h"
#include "actions/common/xml.h"
#include "mailhook/json.h"

#define LOCAL_MS 2000 /* a container's endpoint is on this machine */
#define EC2_MS 1000   /* nobody there: most machines are not EC2's */
#define EC2_TOKEN_S "21600"
#define MAX_WORDS 32
#define MAX_FORM_BYTES (3u * SECRET_MAX_BYTES)

void
aws_keys_release(struct aws_keys *k)
{
	secret_release(&k->key_id);
	secret_release(&k->secret);
	secret_release(&k->token);
	*k = (struct aws_keys){ .expires = 0 };
}

enum mh_status
aws_keys_set(struct mh_span key_id, struct mh_span secret, struct mh_span token, const char *source,
    struct aws_keys *ret, struct mh_err *err)
{
	struct aws_keys k = { .expires = 0 };

	if (!span_is_graphic(key_id) || !span_is_graphic(secret) || (token.n > 0 && !span_is_graphic(token)))
		return mh_fail(err, MH_BAD, "%s: no key id and secret of AWS", source);
	enum mh_status status = secret_copy(key_id, &k.key_id, err);
	if (status == MH_OK)
		status = secret_copy(secret, &k.secret, err);
	if (status == MH_OK && token.n > 0)
		status = secret_copy(token, &k.token, err);
	if (status != MH_OK) {
		aws_keys_release(&k);
		return status;
	}
	(void)snprintf(k.source, sizeof(k.source), "%s", source);
	*ret = k;
	return MH_OK;
}

enum mh_status
aws_time(struct mh_span s, int64_t *ret, struct mh_err *err)
{
	char text[MH_TIME_TEXT];
	int64_t t = 0;
	int hours = 0, minutes = 0;

	s = span_trim(s);
	if (s.n < 20 || s.n > 40)
		return mh_fail(err, MH_BAD, "not a time");
	memcpy(text, s.p, 19);
	memcpy(text + 19, "Z", 2);
	const enum mh_status status = time_read((struct mh_span){ text, 20 }, &t, err);
	if (status != MH_OK)
		return status;
	struct mh_span rest = span_from(s, 19);
	if (rest.p[0] == '.')
		do
			rest = span_from(rest, 1);
		while (rest.n > 0 && rest.p[0] >= '0' && rest.p[0] <= '9');
	if (rest.n == 6 && (rest.p[0] == '+' || rest.p[0] == '-') && rest.p[3] == ':') {
		for (size_t i = 1; i < 6; i++)
			if (i != 3 && (rest.p[i] < '0' || rest.p[i] > '9'))
				return mh_fail(err, MH_BAD, "not a time");
		hours = (rest.p[1] - '0') * 10 + (rest.p[2] - '0');
		minutes = (rest.p[4] - '0') * 10 + (rest.p[5] - '0');
		t -= (rest.p[0] == '+' ? 1 : -1) * (int64_t)(hours * 3600 + minutes * 60);
	} else if (!span_eq(rest, MH_LIT("Z"))) {
		return mh_fail(err, MH_BAD, "not a time");
	}
	*ret = t;
	return MH_OK;
}

enum mh_status
aws_keys_of_json(
    struct mh_span json, const char *token_key, const char *source, struct aws_keys *ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = json_parse(json, NULL);
	const char *key_id = json_string(j, "AccessKeyId"), *secret = json_string(j, "SecretAccessKey");
	const char *expires = json_string(j, "Expiration"), *code = json_string(j, "Code");
	char said[60];
	int64_t at = 0;

	if (j == NULL)
		return mh_fail(err, MH_RETRY, "%s: no JSON came", source);
	if (code != NULL && strcmp(code, "Success") != 0) /* HTTP 200 all the same */
		return mh_fail(err, MH_RETRY, "%s: %s", source, mh_escape(said, sizeof(said), span_of(code)));
	if (key_id == NULL || secret == NULL)
		return mh_fail(err, MH_BAD, "%s: it gave no credentials", source);
	if (expires != NULL && aws_time(span_of(expires), &at, NULL) != MH_OK)
		return mh_fail(err, MH_BAD, "%s: its Expiration is no time", source);
	const enum mh_status status =
	    aws_keys_set(span_of(key_id), span_of(secret), span_of(json_string(j, token_key)), source, ret, err);
	if (status == MH_OK)
		ret->expires = at;
	return status;
}

enum mh_status
aws_from_process(struct mh_span command, struct aws_keys *ret, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret printed = { 0 };
	MH_AUTO(drop_json) cJSON *j = NULL;
	const char *words[MAX_WORDS + 1];
	struct arena a;
	int64_t version = 0;

	arena_init(&a, 64u << 10);
	enum mh_status status = aws_split(command, words, MAX_WORDS + 1, &a, err);
	if (status == MH_OK)
		status = secret_from_command(words, 0, &printed, err);
	arena_release(&a);
	if (status != MH_OK)
		return status;
	j = json_parse(secret_span(&printed), NULL);
	if (j == NULL || !json_integer(j, "Version", 1, 1, &version))
		return mh_fail(err, MH_BAD, "credential_process: it printed no JSON of version 1");
	return aws_keys_of_json(secret_span(&printed), "SessionToken", "credential_process", ret, err);
}

/* A token that the cluster mounts, anew every hour: its mode is the cluster's (0644, most often), and the way to it leads
 * over links, so it is not refused as our own secrets would be. */
static enum mh_status
read_mounted(const char *path, struct secret *ret, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf text;

	buf_init(&text, SECRET_MAX_BYTES);
	const enum mh_status status = file_read(AT_FDCWD, path, &text, err);
	if (status == MH_SKIP)
		return mh_fail(err, MH_BAD, "%s: there is no such token", path);
	if (status != MH_OK)
		return status;
	const struct mh_span token = span_trim(buf_span(&text));
	return span_is_graphic(token) ? secret_copy(token, ret, err) : mh_fail(err, MH_BAD, "%s: no token", path);
}

/* -- the container's endpoint -------------------------------------------------------------------------------------- */

/* Plain HTTP to these only: nobody between us and them. */
static bool
is_container_host(const struct wire_url *u)
{
	static const char *const known[] = { "169.254.170.2", "169.254.170.23", "fd00:ec2::23" };

	if (strcmp(u->scheme, "https") == 0 || u->loopback)
		return true;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(u->host, known[i]) == 0)
			return strcmp(u->scheme, "http") == 0;
	return false;
}

/* The file wins, and is read each time: EKS replaces it. */
static enum mh_status
container_token(struct secret *ret, struct mh_err *err)
{
	const char *file = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
		   *value = getenv("AWS_CONTAINER_AUTHORIZATION_TOKEN");

	if (file != NULL && file[0] != '\0')
		return read_mounted(file, ret, err);
	return value == NULL || value[0] == '\0' ? MH_OK : secret_copy(span_of(value), ret, err);
}

static enum mh_status
local_get(const struct wire *w, const char *url, const struct http_header *headers, size_t n, const char *method,
    int64_t now, struct http_answer *ret, struct mh_err *err)
{
	const struct http_request q = { .method = method,
		.url = url,
		.headers = headers,
		.n_headers = n,
		.max_body_bytes = SECRET_MAX_BYTES,
		.now = now };

	return http_try(w, &q, ret, err);
}

enum mh_status
aws_from_container(const struct aws *s, struct aws_keys *ret, struct mh_err *err)
{
	const char *relative = getenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"),
		   *full = getenv("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	MH_AUTO(wire_url_release) struct wire_url u = { 0 };
	MH_AUTO(http_answer_release) struct http_answer a;
	MH_AUTO(secret_release) struct secret token = { 0 };
	struct wire w = { .connect_ms = LOCAL_MS, .total_ms = LOCAL_MS, .ca_file = s->conf->wire.ca_file };
	char url[2048];

	http_answer_init(&a);
	if (relative != NULL && relative[0] != '\0')
		full = NULL;
	else if (full == NULL || full[0] == '\0')
		return MH_SKIP;
	if ((size_t)snprintf(url, sizeof(url), "%s%s", full != NULL ? "" : "http://169.254.170.2",
		full != NULL ? full : relative) >= sizeof(url))
		return mh_fail(err, MH_BAD, "the container's credentials: a URL too long");
	enum mh_status status = wire_url_read(url, &u, err);
	if (status == MH_OK && !is_container_host(&u))
		return mh_fail(err, MH_BAD, "the container's credentials: %s is no host for them", u.host);
	w.allow_plain = true;
	if (status == MH_OK)
		status = container_token(&token, err);
	if (status != MH_OK)
		return status;

	const struct http_header headers[] = {
		{ "Accept", MH_LIT("application/json") },
		{ "Authorization", secret_span(&token) },
	};
	status = local_get(&w, url, headers, token.p == NULL ? 1 : 2, "GET", s->now, &a, err);
	if (status == MH_OK && a.status != 200)
		status = mh_fail(err, http_class(a.status) == MH_RETRY ? MH_RETRY : MH_BAD,
		    "the container's credentials: HTTP %ld", a.status);
	return status == MH_OK ? aws_keys_of_json(buf_span(&a.body), "Token", "the container's credentials", ret, err)
			       : status;
}

/* -- EC2 ------------------------------------------------------------------------------------------------------------ */

static bool
is_true(const char *text)
{
	return text != NULL && span_ieq(span_of(text), MH_LIT("true"));
}

static const char *
ec2_base(void)
{
	const char *own = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT"),
		   *mode = getenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");

	if (own != NULL && own[0] != '\0')
		return own;
	return mode != NULL && span_ieq(span_of(mode), MH_LIT("IPv6")) ? "http://[fd00:ec2::254]"
								       : "http://169.254.169.254";
}

static enum mh_status
ec2_ask(const struct aws *s, const char *method, const char *path, const struct http_header *header,
    struct http_answer *ret, struct mh_err *err)
{
	const struct wire w = { .connect_ms = EC2_MS, .total_ms = EC2_MS, .allow_plain = true };
	struct mh_span base = span_of(ec2_base());
	char url[1024];

	while (base.n > 0 && base.p[base.n - 1] == '/')
		base.n--;
	if ((size_t)snprintf(url, sizeof(url), "%.*s/latest/%s", (int)base.n, base.p, path) >= sizeof(url))
		return mh_fail(err, MH_BAD, "EC2's metadata: a URL too long");
	return local_get(&w, url, header, 1, method, s->now, ret, err);
}

/* "NAME\n": more lines there are never. */
static enum mh_status
role_name(struct mh_span body, char *dst, size_t dst_bytes, struct mh_err *err)
{
	struct mh_span line = MH_NONE;

	(void)span_line(&body, &line);
	line = span_trim(line);
	for (size_t i = 0; i < line.n; i++)
		if (strchr("/?#%", line.p[i]) != NULL || line.p[i] <= ' ')
			line.n = 0;
	if (line.n == 0 || line.n >= dst_bytes)
		return mh_fail(err, MH_BAD, "EC2's metadata: the name of a role that is none");
	memcpy(dst, line.p, line.n);
	dst[line.n] = '\0';
	return MH_OK;
}

/* Whether somebody is there at all: MH_SKIP. Version 1 is not asked: anybody who makes us send a GET could read it. */
static enum mh_status
ec2_token(const struct aws *s, struct http_answer *a, struct secret *ret, struct mh_err *err)
{
	const struct http_header ttl = { "X-aws-ec2-metadata-token-ttl-seconds", MH_LIT(EC2_TOKEN_S) };
	const enum mh_status status = ec2_ask(s, "PUT", "api/token", &ttl, a, err);

	if (status != MH_OK)
		return a->sent ? status : MH_SKIP;
	if (a->status == 403 || a->status == 404 || a->status == 405)
		return MH_SKIP;
	if (a->status != 200 || !span_is_graphic(buf_span(&a->body)))
		return mh_fail(err, MH_RETRY, "EC2's metadata: no token, HTTP %ld", a->status);
	return secret_copy(buf_span(&a->body), ret, err);
}

enum mh_status
aws_from_ec2(const struct aws *s, struct aws_keys *ret, struct mh_err *err)
{
	static const char folder[] = "meta-data/iam/security-credentials/";
	MH_AUTO(http_answer_release) struct http_answer a;
	MH_AUTO(secret_release) struct secret token = { 0 };
	char path[256], role[128];

	http_answer_init(&a);
	if (is_true(getenv("AWS_EC2_METADATA_DISABLED")))
		return MH_SKIP;
	enum mh_status status = ec2_token(s, &a, &token, err);
	if (status != MH_OK)
		return status;
	const struct http_header header = { "X-aws-ec2-metadata-token", secret_span(&token) };
	status = ec2_ask(s, "GET", folder, &header, &a, err);
	if (status == MH_OK && a.status == 404)
		return MH_SKIP; /* an instance without a role */
	if (status == MH_OK && a.status != 200)
		status = mh_fail(err, MH_RETRY, "EC2's metadata: HTTP %ld", a.status);
	if (status == MH_OK)
		status = role_name(buf_span(&a.body), role, sizeof(role), err);
	if (status != MH_OK)
		return status;
	(void)snprintf(path, sizeof(path), "%s%s", folder, role);
	status = ec2_ask(s, "GET", path, &header, &a, err);
	if (status == MH_OK && a.status != 200)
		status = mh_fail(err, MH_RETRY, "EC2's metadata: HTTP %ld", a.status);
	if (status == MH_OK)
		status = aws_keys_of_json(buf_span(&a.body), "Token", "EC2's metadata", ret, err);
	/* EC2 hands out keys that have ended where it has trouble to make new ones; AWS may take them all the same. */
	if (status == MH_OK)
		ret->expires = 0;
	return status;
}

/* -- STS ------------------------------------------------------------------------------------------------------------ */

static enum mh_status
take_sts(const struct aws_answer *a, const struct aws_role *role, struct aws_keys *ret, struct mh_err *err)
{
	static const char *const names[] = { "AccessKeyId", "SecretAccessKey", "SessionToken", "Expiration" };
	struct buf values[4];
	enum mh_status status = MH_OK;
	char source[96], arn[80];
	int64_t expires = 0;

	for (size_t i = 0; i < 4; i++)
		buf_init(&values[i], SECRET_MAX_BYTES);
	for (size_t i = 0; i < 4 && status == MH_OK; i++)
		status = xml_text(buf_span(&a->http.body), names[i], &values[i], err);
	if (status == MH_SKIP)
		status = mh_fail(err, MH_BAD, "AWS sts: an answer without credentials");
	if (status == MH_OK)
		status = aws_time(buf_span(&values[3]), &expires, err);
	(void)snprintf(source, sizeof(source), "the role %s", mh_escape(arn, sizeof(arn), role->arn));
	if (status == MH_OK)
		status =
		    aws_keys_set(buf_span(&values[0]), buf_span(&values[1]), buf_span(&values[2]), source, ret, err);
	if (status == MH_OK)
		ret->expires = expires;
	for (size_t i = 0; i < 4; i++)
		secret_buf_release(&values[i]);
	return status;
}

static enum mh_status
ask_sts(struct aws *s, const struct aws_keys *with, const struct buf *form, const struct aws_role *role,
    struct aws_keys *ret, struct mh_err *err)
{
	MH_AUTO(aws_answer_release) struct aws_answer a;
	const struct aws_request q = {
		.service = "sts", .type = "application/x-www-form-urlencoded; charset=utf-8", .body = buf_span(form)
	};

	aws_answer_init(&a);
	if (!buf_ok(form))
		return mh_fail(err, MH_RETRY, "no memory for a request");
	const enum mh_status status = aws_try(s, &q, with, &a, err);
	return status == MH_OK ? take_sts(&a, role, ret, err) : status;
}

static void
put_role(struct buf *form, const char *action, const struct aws_role *role)
{
	buf_puts(form, "Action=");
	buf_puts(form, action);
	buf_puts(form, "&Version=2011-06-15");
	http_form_put(form, "RoleArn", role->arn);
	http_form_put(form, "RoleSessionName", role->session_name.n == 0 ? MH_LIT("mailhook") : role->session_name);
	if (role->duration_s.n > 0)
		http_form_put(form, "DurationSeconds", role->duration_s);
}

enum mh_status
aws_assume(
    struct aws *s, const struct aws_keys *with, const struct aws_role *role, struct aws_keys *ret, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf form;

	buf_init(&form, MAX_FORM_BYTES);
	put_role(&form, "AssumeRole", role);
	if (role->external_id.n > 0)
		http_form_put(&form, "ExternalId", role->external_id);
	return ask_sts(s, with, &form, role, ret, err);
}

enum mh_status
aws_assume_web(struct aws *s, const struct aws_role *role, struct aws_keys *ret, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf form;
	MH_AUTO(secret_release) struct secret token = { 0 };
	const struct aws_keys none = { .expires = 0 };
	char path[4096];

	buf_init(&form, MAX_FORM_BYTES);
	if ((size_t)snprintf(path, sizeof(path), "%.*s", (int)role->token_file.n, role->token_file.p) >= sizeof(path))
		return mh_fail(err, MH_BAD, "the path of a web identity's token is too long");
	const enum mh_status status = read_mounted(path, &token, err);
	if (status != MH_OK)
		return status;
	put_role(&form, "AssumeRoleWithWebIdentity", role);
	http_form_put(&form, "WebIdentityToken", secret_span(&token));
	return ask_sts(s, &none, &form, role, ret, err);
}
