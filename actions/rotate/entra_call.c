/* entra_call.c: one request to Microsoft Graph, and its refusals in words. What tells why may be a JSON document inside
 * the message of another one. */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "actions/rotate/entra.h"
#include "actions/token/token.h"

#define UUID_BYTES 37

/* -- one request --------------------------------------------------------------------------------------------------- */

/* So that Microsoft's support finds the request: theirs comes back in request-id. */
static bool
make_uuid(char dst[UUID_BYTES])
{
	unsigned char b[16];

	if (RAND_bytes(b, sizeof(b)) != 1)
		return false;
	b[6] = (unsigned char)((b[6] & 0x0F) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3F) | 0x80);
	(void)snprintf(dst, UUID_BYTES, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
	    b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
	return true;
}

struct call {
	const char *method;
	const char *url;
	struct mh_span body; /* JSON; p == NULL: none */
};

static enum mh_status
try_once(struct entra *e, const struct call *c, bool fresh, struct http_answer *a, struct mh_err *err)
{
	static const char *const keep[] = { "request-id", NULL };
	MH_AUTO(secret_release) struct secret token = { 0 };
	MH_AUTO(secret_buf_release) struct buf bearer;
	char id[UUID_BYTES];
	struct mh_err net = { 0 };

	buf_init(&bearer, SECRET_MAX_BYTES);
	enum mh_status status = token_get(e->token_file, fresh, e->env->now, &token, &e->env->retry_after_s, err);
	if (status != MH_OK)
		return status;
	buf_puts(&bearer, "Bearer ");
	buf_put(&bearer, secret_span(&token));
	if (!buf_ok(&bearer) || !make_uuid(id))
		return mh_fail(err, MH_RETRY, "no memory for a request");
	const struct http_header headers[] = { { "Authorization", buf_span(&bearer) },
		{ "client-request-id", span_of(id) }, { "Content-Type", MH_LIT("application/json") } };
	const struct http_request q = { .method = c->method,
		.url = c->url,
		.headers = headers,
		.n_headers = c->body.p == NULL ? 2 : 3,
		.body = c->body,
		.keep = keep,
		.now = e->env->now };
	status = http_try(&e->env->wire, &q, a, &net);
	if (status != MH_OK)
		return mh_fail(err, status, "Graph: %s", net.text);
	e->env->retry_after_s = a->retry_after_s;
	if (span_find(buf_span(&a->body), secret_span(&token), 0) != SIZE_MAX)
		buf_clear(&a->body); /* words that give our token back are not told */
	return MH_OK;
}

/* An answer of any status. */
static enum mh_status
ask(struct entra *e, const struct call *c, struct http_answer *a, struct mh_err *err)
{
	enum mh_status status = try_once(e, c, false, a, err);

	if (status == MH_OK && a->status == 401) /* revoked before its end: a new one is asked for, once */
		status = try_once(e, c, true, a, err);
	return status;
}

/* A run of characters that may be a token: after the save we have none to compare with. */
static bool
may_be_token(struct mh_span s)
{
	size_t run = 0;

	for (size_t i = 0; i < s.n && run < ROTATE_TOKEN_MIN_BYTES; i++)
		run = (unsigned char)s.p[i] > 0x20 ? run + 1 : 0;
	return run >= ROTATE_TOKEN_MIN_BYTES;
}

/* The innermost code: {"error":{"code":"UnknownError","message":"{\"error\":{\"code\":\"...\"}}"}}. */
static void
read_code(struct mh_span body, struct mh_span token, char code[64], char words[80])
{
	MH_AUTO(drop_json) cJSON *j = json_parse(body, NULL);
	const cJSON *e = json_object(j, "error");
	const char *message = json_string(e, "message");
	MH_AUTO(drop_json) cJSON *inner = message == NULL ? NULL : json_parse(span_of(message), NULL);
	const cJSON *deeper = json_object(inner, "error");

	if (deeper != NULL && json_string(deeper, "code") != NULL) {
		e = deeper;
		message = json_string(deeper, "message");
	}
	struct mh_span rest = span_of(message), line = MH_NONE;
	(void)span_line(&rest, &line);
	const struct mh_span name = span_of(json_string(e, "code") == NULL ? "" : json_string(e, "code"));
	if (!secret_shows(name, token) && !may_be_token(name))
		(void)mh_escape(code, 64, name);
	if (!secret_shows(line, token) && !may_be_token(line))
		(void)mh_escape(words, 80, line);
}

/* What a refusal says, without the token: servers like to give back what they were sent. */
enum mh_status
entra_refused(
    enum mh_status status, const struct http_answer *a, const char *what, struct mh_span token, struct mh_err *err)
{
	const struct mh_span id = http_kept(a, "request-id");
	char code[64] = "", words[80] = "", shown[48] = "";

	if (!secret_shows(buf_span(&a->body), token))
		read_code(buf_span(&a->body), token, code, words);
	(void)mh_escape(shown, sizeof(shown), id.p == NULL ? MH_LIT("") : id);
	return mh_fail(err, status, "Graph, %s: HTTP %ld%s%s%s%s%s%s", what, a->status, code[0] == '\0' ? "" : " ",
	    code, words[0] == '\0' ? "" : ": ", words, shown[0] == '\0' ? "" : ", request-id ", shown);
}

/* For reading: what our permissions or names are wrong with does not pass by waiting. */
enum mh_status
entra_get(struct entra *e, const char *url, const char *what, cJSON **ret, struct mh_err *err)
{
	MH_AUTO(http_answer_release) struct http_answer a;
	const struct call c = { .method = "GET", .url = url };

	http_answer_init(&a);
	const enum mh_status status = ask(e, &c, &a, err);
	if (status != MH_OK)
		return status;
	if (http_class(a.status) != MH_OK)
		return entra_refused(http_class(a.status), &a, what, MH_NONE, err);
	*ret = json_parse(buf_span(&a.body), NULL);
	return *ret != NULL ? MH_OK : mh_fail(err, MH_RETRY, "Graph, %s: an answer that is no JSON", what);
}

/* -- addresses ----------------------------------------------------------------------------------------------------- */

/* BASE/v1.0/servicePrincipals/ID + rest, and the job's id in between where tail is given. */
void
entra_url(const struct entra *e, struct buf *out, const char *rest, const char *tail)
{
	buf_puts(out, e->base_url);
	buf_puts(out, "/v1.0/servicePrincipals/");
	http_encode(out, span_of(e->principal));
	buf_puts(out, rest);
	if (tail != NULL) {
		http_encode(out, span_of(e->job));
		buf_puts(out, tail);
	}
}

enum mh_status
entra_send(struct entra *e, const char *method, const char *rest, const char *tail, struct mh_span body,
    struct http_answer *a, struct mh_err *err)
{
	struct buf url;
	struct call c = { .method = method, .body = body };

	buf_init(&url, ENTRA_MAX_URL_BYTES);
	entra_url(e, &url, rest, tail);
	c.url = url.p;
	const enum mh_status status =
	    buf_ok(&url) ? ask(e, &c, a, err) : mh_fail(err, MH_LIMIT, "Graph: an address becomes too long");
	buf_release(&url);
	return status;
}
