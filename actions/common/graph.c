/* graph.c: POST /users/{mailbox}/sendMail. Source: Microsoft Graph, "user: sendMail", MIME format. */
#include "actions/common/graph.h"

#include <string.h>

#include "actions/common/base64.h"
#include "actions/common/http.h"
#include "actions/token/token.h"
#include "mailhook/json.h"

#define MAX_URL_BYTES 2048

/* -- refusals in words -------------------------------------------------------------------------------------------- */

static const struct {
	const char *code, *words;
} meanings[] = {
	{ "InvalidAuthenticationToken", "the access token is not for Graph, or has ended" },
	{ "ErrorAccessDenied", "the client may not send as this mailbox (Mail.Send)" },
	{ "Authorization_RequestDenied", "the client may not send as this mailbox (Mail.Send)" },
	{ "ErrorSendAsDenied", "the mail's From is not this mailbox" },
	{ "ErrorInvalidUser", "there is no such mailbox" },
	{ "ResourceNotFound", "there is no such mailbox" },
	{ "Request_ResourceNotFound", "there is no such mailbox" },
	{ "MailboxNotEnabledForRESTAPI", "the mailbox is not in Exchange Online" },
	{ "ErrorMessageSizeExceeded", "the mail is too large" },
};

/* {"error":{"code":...,"message":...}}, or what the status alone says. */
static enum mh_status
refused(const struct http_answer *a, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = json_parse(buf_span(&a->body), NULL);
	const cJSON *e = j == NULL ? NULL : json_object(j, "error");
	const char *code = e == NULL ? NULL : json_string(e, "code"),
		   *message = e == NULL ? NULL : json_string(e, "message");
	const enum mh_status status = http_class(a->status);
	struct mh_span rest = span_of(message), line = MH_NONE;
	char said[64], name[40];

	(void)span_line(&rest, &line);
	(void)mh_escape(said, sizeof(said), line);
	for (size_t i = 0; code != NULL && i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strcmp(code, meanings[i].code) == 0)
			return mh_fail(err, status, "Graph: %s (HTTP %ld, %s)", meanings[i].words, a->status, code);
	return mh_fail(err, status, "Graph: HTTP %ld%s%s%s%s", a->status, code == NULL ? "" : " ",
	    code == NULL ? "" : mh_escape(name, sizeof(name), span_of(code)), said[0] == '\0' ? "" : ": ", said);
}

/* -- one request -------------------------------------------------------------------------------------------------- */

static enum mh_status
post(const struct graph *g, const char *url, struct mh_span body, const struct secret *token, int64_t now,
    struct http_answer *a, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf bearer;
	struct mh_err net;

	buf_init(&bearer, SECRET_MAX_BYTES);
	buf_puts(&bearer, "Bearer ");
	buf_put(&bearer, secret_span(token));
	if (!buf_ok(&bearer))
		return mh_fail(err, MH_RETRY, "no memory for a request");
	const struct http_header headers[] = {
		{ "Authorization", buf_span(&bearer) },
		{ "Content-Type", MH_LIT("text/plain") }, /* so that the body is taken for MIME in base64 */
	};
	const struct http_request q = {
		.method = "POST", .url = url, .headers = headers, .n_headers = 2, .body = body, .now = now
	};
	const enum mh_status status = http_try(&g->wire, &q, a, &net);
	if (status == MH_OK && span_find(buf_span(&a->body), secret_span(token), 0) != SIZE_MAX)
		buf_clear(&a->body); /* words that give the token back are not told */
	if (status == MH_RETRY)
		return mh_fail(err, status, "Graph: %s (the mail may have been taken)", net.text);
	return status == MH_OK ? MH_OK : mh_fail(err, status, "Graph: %s", net.text);
}

static enum mh_status
send_with_token(const struct graph *g, const char *url, struct mh_span body, int64_t now, struct http_answer *a,
    int64_t *ret_retry_after_s, struct mh_err *err)
{
	for (int fresh = 0; fresh < 2; fresh++) {
		MH_AUTO(secret_release) struct secret token = { 0 };
		enum mh_status status = token_get(g->token_file, fresh != 0, now, &token, ret_retry_after_s, err);

		if (status == MH_OK)
			status = post(g, url, body, &token, now, a, err);
		if (status != MH_OK)
			return status;
		if (a->status != 401) /* a token may be revoked before its end: a new one is asked for, once */
			break;
	}
	*ret_retry_after_s = a->retry_after_s;
	return http_class(a->status) == MH_OK ? MH_OK : refused(a, err);
}

static enum mh_status
check(const struct graph *g, struct mh_err *err)
{
	if (g->mailbox == NULL || g->mailbox[0] == '\0' || g->token_file == NULL)
		return mh_fail(err, MH_BAD, "Graph needs a mailbox to send as and a token configuration");
	return MH_OK;
}

enum mh_status
graph_send(const struct graph *g, struct mh_span mail, int64_t now, int64_t *ret_retry_after_s, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf url;
	MH_AUTO(buf_release) struct buf body;
	MH_AUTO(http_answer_release) struct http_answer a;

	*ret_retry_after_s = -1;
	buf_init(&url, MAX_URL_BYTES);
	buf_init(&body, 2u * GRAPH_MAX_MAIL_BYTES);
	http_answer_init(&a);
	const enum mh_status status = check(g, err);
	if (status != MH_OK)
		return status;
	if (mail.n == 0 || mail.n > GRAPH_MAX_MAIL_BYTES)
		return mh_fail(err, MH_BAD, "a mail of %zu bytes is not sent by Graph", mail.n);

	buf_puts(&url, g->base_url == NULL ? GRAPH_URL : g->base_url);
	buf_puts(&url, "/v1.0/users/");
	http_encode(&url, span_of(g->mailbox));
	buf_puts(&url, "/sendMail");
	base64_put(&body, mail);
	if (!buf_ok(&url) || !buf_ok(&body))
		return mh_fail(err, MH_RETRY, "no memory for a request");
	return send_with_token(g, url.p, buf_span(&body), now, &a, ret_retry_after_s, err);
}

enum mh_status
graph_check(const struct graph *g, bool online, int64_t now, int64_t *ret_retry_after_s, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret token = { 0 };

	*ret_retry_after_s = -1;
	const enum mh_status status = check(g, err);
	if (status != MH_OK)
		return status;
	return online ? token_get(g->token_file, false, now, &token, ret_retry_after_s, err)
		      : token_check(g->token_file, now, err);
}
