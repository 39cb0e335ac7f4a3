/* aws_call.c: one POST to a service of AWS, and what its answer means. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "actions/common/aws_impl.h"
#include "actions/common/template.h"
#include "actions/common/xml.h"
#include "mailhook/json.h"

#define MAX_URL_BYTES 2048
#define MAX_HEADERS 8
#define MAX_KEEP 8

void
aws_answer_init(struct aws_answer *a)
{
	*a = (struct aws_answer){ .fault = AWS_NO_ANSWER };
	http_answer_init(&a->http);
}

void
aws_answer_release(struct aws_answer *a)
{
	http_answer_release(&a->http);
}

/* -- what a refusal means ------------------------------------------------------------------------------------------ */

static bool
holds(const char *text, const char *part)
{
	return span_ifind(span_of(text), span_of(part), 0) != SIZE_MAX;
}

/* Names differ by service: "Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException". */
static const struct {
	const char *part;
	enum aws_fault fault;
} faults[] = {
	{ "RequestTimeTooSkewed", AWS_SKEWED },
	{ "RequestInTheFuture", AWS_SKEWED },
	{ "Throttl", AWS_THROTTLED },
	{ "TooManyRequests", AWS_THROTTLED },
	{ "RequestLimitExceeded", AWS_THROTTLED },
	{ "ProvisionedThroughputExceeded", AWS_THROTTLED },
	{ "PriorRequestNotComplete", AWS_THROTTLED },
	{ "SlowDown", AWS_THROTTLED },
	{ "LimitExceeded", AWS_FULL },
	{ "Quota", AWS_FULL },
	{ "Conflict", AWS_FULL },
	{ "ResourceNotFound", AWS_NOT_FOUND },
	{ "NotFound", AWS_NOT_FOUND },
	{ "DoesNotExist", AWS_NOT_FOUND },
	{ "UnrecognizedClient", AWS_CREDENTIALS },
	{ "InvalidClientTokenId", AWS_CREDENTIALS },
	{ "InvalidSignature", AWS_CREDENTIALS },
	{ "SignatureDoesNotMatch", AWS_CREDENTIALS },
	{ "IncompleteSignature", AWS_CREDENTIALS },
	{ "MissingAuthenticationToken", AWS_CREDENTIALS },
	{ "ExpiredToken", AWS_CREDENTIALS },
	{ "AccessDenied", AWS_DENIED },
	{ "NotAuthorized", AWS_DENIED },
	{ "UnauthorizedOperation", AWS_DENIED },
	{ "UnknownOperation", AWS_GONE },
	{ "InvalidAction", AWS_GONE },
};

/* A clock that is wrong is told as a signature of another time, by most services. */
static bool
is_skew(const char *words)
{
	return holds(words, "Signature expired") || holds(words, "Signature not yet current");
}

enum aws_fault
aws_fault_of(long status, const char *code, const char *words)
{
	if (status >= 200 && status < 300)
		return AWS_FINE;
	if (holds(code, "Signature") && is_skew(words))
		return AWS_SKEWED;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (holds(code, faults[i].part))
			return faults[i].fault;
	if (status == 429)
		return AWS_THROTTLED;
	if (status >= 500)
		return AWS_BROKEN;
	if (code[0] == '\0' && status == 404)
		return AWS_GONE;
	return code[0] == '\0' && status == 403 ? AWS_DENIED : AWS_REFUSED;
}

/* "com.amazonaws.states#ExecutionAlreadyExists:http://internal..." */
static void
take_code(struct mh_span raw, char *dst, size_t dst_bytes)
{
	const size_t hash = span_find(raw, MH_LIT("#"), 0);

	if (hash != SIZE_MAX)
		raw = span_from(raw, hash + 1);
	raw = span_head(raw, span_find(raw, MH_LIT(":"), 0));
	(void)mh_escape(dst, dst_bytes, span_trim(raw));
}

/* The words' first line; those that give back what must stay secret are not told. */
static void
take_words(struct mh_span text, const struct aws_keys *keys, char *dst, size_t dst_bytes)
{
	struct mh_span line = MH_NONE;

	if (secret_shows(text, secret_span(&keys->secret)) || secret_shows(text, secret_span(&keys->token)))
		return;
	(void)span_line(&text, &line);
	(void)mh_escape(dst, dst_bytes, line);
}

static void
read_refusal(struct aws_answer *a, const struct aws_keys *keys)
{
	MH_AUTO(drop_json) cJSON *j = json_parse(buf_span(&a->http.body), NULL);
	MH_AUTO(buf_release) struct buf text;
	const char *code = json_string(j, "__type"), *words = json_string(j, "message");

	buf_init(&text, HTTP_MAX_BODY_BYTES);
	take_code(http_kept(&a->http, "x-amzn-ErrorType"), a->code, sizeof(a->code));
	if (j != NULL) {
		if (code == NULL)
			code = json_string(j, "code");
		if (words == NULL)
			words = json_string(j, "Message");
		if (code != NULL)
			take_code(span_of(code), a->code, sizeof(a->code));
		take_words(span_of(words), keys, a->words, sizeof(a->words));
		return;
	}
	if (xml_text(buf_span(&a->http.body), "Code", &text, NULL) == MH_OK)
		take_code(buf_span(&text), a->code, sizeof(a->code));
	buf_clear(&text);
	if (xml_text(buf_span(&a->http.body), "Message", &text, NULL) == MH_OK)
		take_words(buf_span(&text), keys, a->words, sizeof(a->words));
}

static enum mh_status
refused(const char *service, const struct aws_answer *a, struct mh_err *err)
{
	const bool may_pass = a->fault == AWS_BROKEN || a->fault == AWS_THROTTLED;

	if (a->fault == AWS_SKEWED)
		return mh_fail(
		    err, MH_BAD, "AWS %s: this machine's clock is wrong (%s): set it, by NTP", service, a->code);
	return mh_fail(err, may_pass ? MH_RETRY : MH_BAD, "AWS %s: HTTP %ld%s%s%s%s", service, a->http.status,
	    a->code[0] == '\0' ? "" : " ", a->code, a->words[0] == '\0' ? "" : ": ", a->words);
}

/* -- the request ---------------------------------------------------------------------------------------------------- */

static void
put_plain(struct buf *out, const struct template_var *v)
{
	buf_put(out, v->value);
}

static enum mh_status
build_url(const struct aws *s, const struct aws_request *q, struct buf *url, struct mh_err *err)
{
	const char *region = q->region != NULL ? q->region : s->region;
	const struct template_var items[] = {
		{ "service", span_of(q->host != NULL ? q->host : q->service), LINES_ONE },
		{ "region", span_of(region), LINES_ONE },
	};
	const struct template_vars vars = { items, 2 };
	const bool china = strncmp(region, "cn-", 3) == 0;
	const char *form = s->conf->endpoint != NULL ? s->conf->endpoint
			   : china                   ? "https://{service}.{region}.amazonaws.com.cn"
						     : "https://{service}.{region}.amazonaws.com";

	const enum mh_status status =
	    template_render("endpoint", 1, span_of(q->url != NULL ? q->url : form), &vars, put_plain, url, err);
	if (status != MH_OK || q->url != NULL)
		return status;
	while (url->n > 0 && url->p[url->n - 1] == '/')
		url->n--;
	buf_puts(url, q->path != NULL ? q->path : "/");
	return buf_ok(url) ? MH_OK : mh_fail(err, MH_BAD, "the URL of AWS %s is too long", q->service);
}

/* The error's type may stand in a header alone. */
static void
keep_also(const char *const *wanted, const char *keep[MAX_KEEP])
{
	size_t n = 0;

	for (; wanted != NULL && wanted[n] != NULL && n < MAX_KEEP - 2; n++)
		keep[n] = wanted[n];
	keep[n] = "x-amzn-ErrorType";
	keep[n + 1] = NULL;
}

enum mh_status
aws_try(
    struct aws *s, const struct aws_request *q, const struct aws_keys *keys, struct aws_answer *ret, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf url;
	struct http_header headers[MAX_HEADERS];
	const char *keep[MAX_KEEP];
	size_t n = 0;
	struct mh_err why;

	buf_init(&url, MAX_URL_BYTES);
	ret->fault = AWS_NO_ANSWER;
	ret->code[0] = ret->words[0] = '\0';
	enum mh_status status = build_url(s, q, &url, err);
	if (status != MH_OK)
		return status;
	keep_also(q->keep, keep);
	headers[n++] = (struct http_header){ "Content-Type", span_of(q->type) };
	if (q->target != NULL)
		headers[n++] = (struct http_header){ "X-Amz-Target", span_of(q->target) };
	for (size_t i = 0; i < q->n_headers && n < MAX_HEADERS; i++)
		headers[n++] = q->headers[i];
	const struct http_sigv4 sign = { .region = q->region != NULL ? q->region : s->region,
		.service = q->service,
		.key_id = keys->key_id.p,
		.secret = keys->secret.p,
		.token = keys->token.p };
	const struct http_request h = { .method = "POST",
		.url = url.p,
		.headers = headers,
		.n_headers = n,
		.body = q->body,
		.keep = keep,
		.now = s->now,
		.sign = keys->key_id.p == NULL ? NULL : &sign };
	status = http_try(&s->conf->wire, &h, &ret->http, &why);
	s->retry_after_s = ret->http.retry_after_s;
	if (status != MH_OK)
		return mh_fail(err, status, "AWS %s: %s", q->service, why.text);
	if (http_class(ret->http.status) != MH_OK)
		read_refusal(ret, keys);
	ret->fault = aws_fault_of(ret->http.status, ret->code, ret->words);
	return ret->fault == AWS_FINE ? MH_OK : refused(q->service, ret, err);
}

enum mh_status
aws_post(struct aws *s, const struct aws_request *q, struct aws_answer *ret, struct mh_err *err)
{
	enum mh_status status = aws_sign_in(s, false, err);

	if (status != MH_OK)
		return status;
	status = aws_try(s, q, &s->keys, ret, err);
	/* Nothing was done, and the source may have others by now. */
	if (status == MH_BAD && ret->fault == AWS_CREDENTIALS && strstr(ret->code, "ExpiredToken") != NULL) {
		status = aws_sign_in(s, true, err);
		if (status == MH_OK)
			status = aws_try(s, q, &s->keys, ret, err);
	}
	return status;
}
