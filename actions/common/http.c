/* http.c: one request, one answer. A try owns all that it makes, so the next one starts from the request again: headers
 * that only the first try sends are a classic of thin wrappers. */
#include "actions/common/http.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "actions/common/base64.h"
#include "actions/common/secret.h"

struct taking { /* one answer on its way in */
	const struct http_request *q;
	struct http_answer *a;
	size_t header_bytes, max_body_bytes;
	bool too_big;
};

void
http_answer_init(struct http_answer *a)
{
	*a = (struct http_answer){ .retry_after_s = -1 };
	buf_init(&a->body, 0);
	buf_init(&a->kept, HTTP_MAX_HEADER_BYTES);
}

void
http_answer_release(struct http_answer *a)
{
	secret_buf_release(&a->body);
	buf_release(&a->kept);
}

/* -- what may be sent --------------------------------------------------------------------------------------------- */

static bool
is_token(const char *s)
{
	return s[0] != '\0' &&
	       s[strspn(s, "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")] == '\0';
}

static bool
is_value(struct mh_span v)
{
	for (size_t i = 0; i < v.n; i++)
		if ((unsigned char)v.p[i] < 0x20 && v.p[i] != '\t')
			return false;
	return v.n <= HTTP_MAX_HEADER_BYTES && memchr(v.p == NULL ? "" : v.p, 0x7F, v.n) == NULL;
}

static bool
has_header(const struct http_request *q, const char *name)
{
	for (size_t i = 0; i < q->n_headers; i++)
		if (strcasecmp(q->headers[i].name, name) == 0)
			return true;
	return false;
}

static bool
append(struct curl_slist **list, const char *line)
{
	struct curl_slist *longer = curl_slist_append(*list, line);

	if (longer == NULL)
		return false;
	*list = longer;
	return true;
}

static enum mh_status
build_headers(const struct http_request *q, struct curl_slist **ret, struct mh_err *err)
{
	MH_AUTO(drop_slist) struct curl_slist *list = NULL;
	MH_AUTO(secret_buf_release) struct buf line;

	buf_init(&line, 2 * HTTP_MAX_HEADER_BYTES);
	if (q->sign != NULL && q->sign->token != NULL) {
		buf_puts(&line, "X-Amz-Security-Token: ");
		buf_puts(&line, q->sign->token);
		if (!buf_ok(&line) || !append(&list, line.p))
			return mh_fail(err, MH_RETRY, "no memory for a request");
	}
	for (size_t i = 0; i < q->n_headers; i++) {
		const struct http_header *h = &q->headers[i];

		if (!is_token(h->name) || !is_value(h->value))
			return mh_fail(err, MH_BAD, "header %zu of a request is not one line of text", i + 1);
		buf_clear(&line);
		buf_puts(&line, h->name);
		buf_puts(&line, h->value.n == 0 ? ";" : ": "); /* "Name:" would take the header away */
		buf_put(&line, h->value);
		if (!buf_ok(&line) || !append(&list, line.p))
			return mh_fail(err, MH_RETRY, "no memory for a request");
	}
	if (q->sign != NULL) { /* libcurl 7.88 signs removals too, and sends nothing: SignatureDoesNotMatch */
		*ret = list;
		list = NULL;
		return MH_OK;
	}
	/* Away with what libcurl adds by itself: a wait for "100 Continue", and a form's type on any body. */
	if (!append(&list, "Expect:") || (!has_header(q, "Content-Type") && !append(&list, "Content-Type:")) ||
	    (!has_header(q, "Accept") && !append(&list, "Accept:")))
		return mh_fail(err, MH_RETRY, "no memory for a request");
	*ret = list;
	list = NULL;
	return MH_OK;
}

/* The list's strings hold credentials. */
static void
zero_slist(struct curl_slist *list)
{
	for (struct curl_slist *l = list; l != NULL; l = l->next)
		explicit_bzero(l->data, strlen(l->data));
}

static void
drop_secret_slist(struct curl_slist **list)
{
	zero_slist(*list);
	drop_slist(list);
}

/* -- what comes back ---------------------------------------------------------------------------------------------- */

static size_t
take_body(char *p, size_t size, size_t n, void *user)
{
	struct taking *t = user;

	(void)size; /* always 1 */
	if (n > t->max_body_bytes - t->a->body.n)
		t->too_big = true;
	else
		buf_put(&t->a->body, (struct mh_span){ p, n });
	return t->too_big || !buf_ok(&t->a->body) ? 0 : n;
}

static void
keep_header(struct taking *t, const char *name, struct mh_span value)
{
	buf_puts(&t->a->kept, name);
	buf_puts(&t->a->kept, ": ");
	buf_put(&t->a->kept, value);
	buf_putc(&t->a->kept, '\n');
}

static size_t
take_header(char *p, size_t size, size_t n, void *user)
{
	struct taking *t = user;
	const struct mh_span line = { p, n };

	(void)size;
	if (n > HTTP_MAX_HEADER_BYTES - t->header_bytes) {
		t->too_big = true;
		return 0;
	}
	t->header_bytes += n;
	if (span_istarts(
		line, MH_LIT("HTTP/"))) { /* a new block: what stood in a 1xx or a proxy's answer is not ours */
		buf_clear(&t->a->kept);
		t->a->retry_after_s = -1;
		return n;
	}
	const char *colon = memchr(p, ':', n);
	if (colon == NULL)
		return n;

	const struct mh_span name = { p, (size_t)(colon - p) };
	const struct mh_span value = span_trim(span_from(line, name.n + 1));
	if (span_ieq(name, MH_LIT("Retry-After")))
		(void)http_retry_after(value, t->q->now, &t->a->retry_after_s, NULL);
	for (size_t i = 0; t->q->keep != NULL && t->q->keep[i] != NULL; i++)
		if (span_ieq(name, span_of(t->q->keep[i])) && memchr(value.p, '\0', value.n) == NULL)
			keep_header(t, t->q->keep[i], value);
	return n;
}

/* Sets one option; the first failure stays. */
#define SET(c, option, value)                                                                                          \
	do {                                                                                                           \
		if (code == CURLE_OK)                                                                                  \
			code = curl_easy_setopt(c, option, value);                                                     \
	} while (0)

/* -- AWS Signature Version 4 -------------------------------------------------------------------------------------- */

#define MAX_SIGNED_BODY_BYTES (1u << 20)

static bool
is_made_of(const char *s, const char *more)
{
	size_t n = 0;

	for (; s[n] != '\0'; n++)
		if (!((s[n] >= 'a' && s[n] <= 'z') || (s[n] >= 'A' && s[n] <= 'Z') || (s[n] >= '0' && s[n] <= '9') ||
			strchr(more, s[n]) != NULL))
			return false;
	return n > 0;
}

/* Everything behind the host. */
static const char *
path_of(const char *url)
{
	const char *host = strstr(url, "://");

	return host == NULL ? url : host + 3 + strcspn(host + 3, "/?#");
}

static enum mh_status
may_be_signed(const struct http_request *q, struct mh_err *err)
{
	static const char *const own[] = { "Host", "Authorization", "X-Amz-Date", "X-Amz-Security-Token" };
	const struct http_sigv4 *s = q->sign;

	if (!is_made_of(s->region, "-") || !is_made_of(s->service, "-") || !is_made_of(s->key_id, "_") ||
	    !is_value(span_of(s->secret)) || s->secret[0] == '\0' || (s->token != NULL && !is_value(span_of(s->token))))
		return mh_fail(err, MH_BAD, "not a Region, service and credentials of AWS");
	if (strcmp(q->method, "POST") != 0 || !has_header(q, "Content-Type") || q->body.n > MAX_SIGNED_BODY_BYTES ||
	    !is_made_of(path_of(q->url), "/-._~") || strstr(path_of(q->url), "//") != NULL ||
	    strstr(path_of(q->url), "/.") != NULL)
		return mh_fail(err, MH_BAD, "a request that libcurl cannot sign right");
	for (size_t i = 0; i < q->n_headers; i++) {
		const char *name = q->headers[i].name;

		for (size_t k = 0; k < sizeof(own) / sizeof(own[0]); k++)
			if (strcasecmp(name, own[k]) == 0)
				return mh_fail(err, MH_BAD, "the header %s is the signature's own", own[k]);
		for (size_t k = 0; k < i; k++)
			if (strcasecmp(name, q->headers[k].name) == 0)
				return mh_fail(err, MH_BAD, "a signed request has header %zu twice", i + 1);
		if (q->headers[i].value.n == 0)
			return mh_fail(err, MH_BAD, "a signed request has an empty header");
	}
	return MH_OK;
}

/* The try's own copy, since libcurl takes strings. */
static CURLcode
set_signature(CURL *c, const struct http_sigv4 *s)
{
	char provider[160];
	CURLcode code = CURLE_OK;

	if ((size_t)snprintf(provider, sizeof(provider), "aws:amz:%s:%s", s->region, s->service) >= sizeof(provider))
		return CURLE_BAD_FUNCTION_ARGUMENT;
	SET(c, CURLOPT_AWS_SIGV4, provider);
	SET(c, CURLOPT_USERNAME, s->key_id);
	SET(c, CURLOPT_PASSWORD, s->secret);
	return code;
}

/* -- the try ------------------------------------------------------------------------------------------------------ */

static CURLcode
set_request(CURL *c, const struct http_request *q, struct taking *t, struct curl_slist *headers, bool plain)
{
	CURLcode code = CURLE_OK;
	const bool has_body = q->body.p != NULL;

	SET(c, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
	SET(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(c, CURLOPT_URL, q->url);
	SET(c, CURLOPT_USERAGENT, "mailhook/" MAILHOOK_VERSION);
	SET(c, CURLOPT_HTTPHEADER, headers);
	SET(c, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* a proxy is not told what the server is told */
	SET(c, CURLOPT_WRITEFUNCTION, take_body);
	SET(c, CURLOPT_WRITEDATA, t);
	SET(c, CURLOPT_HEADERFUNCTION, take_header);
	SET(c, CURLOPT_HEADERDATA, t);
	if (strcmp(q->method, "HEAD") == 0) {
		SET(c, CURLOPT_NOBODY, 1L);
	} else if (has_body || strcmp(q->method, "POST") == 0) {
		SET(c, CURLOPT_POST, 1L);
		SET(c, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body.n);
		SET(c, CURLOPT_POSTFIELDS, has_body ? q->body.p : "");
	}
	if (strcmp(q->method, "HEAD") != 0)
		SET(c, CURLOPT_CUSTOMREQUEST, q->method);
	return code;
}

static enum mh_status
may_be_asked(const struct wire *w, const struct http_request *q, const struct wire_url *u, struct mh_err *err)
{
	char scheme[24];

	if (q->method[0] == '\0' || q->method[strspn(q->method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ")] != '\0')
		return mh_fail(err, MH_BAD, "not an HTTP method");
	if (strcmp(u->scheme, "https") == 0 || (strcmp(u->scheme, "http") == 0 && (u->loopback || w->allow_plain)))
		return MH_OK;
	return mh_fail(err, MH_BAD, "%s: https only, and this is %s", u->host,
	    mh_escape(scheme, sizeof(scheme), span_of(u->scheme)));
}

static enum mh_status
run_try(const struct wire *w, const struct http_request *q, const struct wire_url *u, struct http_answer *ret,
    struct mh_err *err)
{
	char error_text[CURL_ERROR_SIZE];
	MH_AUTO(drop_secret_slist) struct curl_slist *headers = NULL; /* outlives the handle that points to it */
	MH_AUTO(drop_curl) CURL *c = NULL;
	struct taking t = { .q = q, .a = ret, .max_body_bytes = ret->body.max };

	enum mh_status status = may_be_asked(w, q, u, err);
	if (status == MH_OK && q->sign != NULL)
		status = may_be_signed(q, err);
	if (status == MH_OK)
		status = build_headers(q, &headers, err);
	if (status == MH_OK)
		status = wire_open(w, error_text, &c, err);
	if (status != MH_OK)
		return status;

	CURLcode code = set_request(c, q, &t, headers, strcmp(u->scheme, "http") == 0);
	if (code == CURLE_OK && q->sign != NULL)
		code = set_signature(c, q->sign);
	if (code == CURLE_OK)
		code = curl_easy_perform(c);
	long request_bytes = 0;
	ret->sent = curl_easy_getinfo(c, CURLINFO_REQUEST_SIZE, &request_bytes) != CURLE_OK || request_bytes > 0;
	if (t.too_big)
		return mh_fail(err, MH_LIMIT, "%s: an answer of more than %zu bytes", u->host, t.max_body_bytes);
	if (!buf_ok(&ret->body) || !buf_ok(&ret->kept))
		return mh_fail(err, MH_RETRY, "no memory for an answer");
	if (code == CURLE_OK)
		code = curl_easy_getinfo(c, CURLINFO_RESPONSE_CODE, &ret->status);
	long head_bytes = 0;
	const bool answered = curl_easy_getinfo(c, CURLINFO_HEADER_SIZE, &head_bytes) != CURLE_OK || head_bytes > 0;
	return code == CURLE_OK ? MH_OK : wire_error(w, code, answered, error_text, u->host, err);
}

enum mh_status
http_try(const struct wire *w, const struct http_request *q, struct http_answer *ret, struct mh_err *err)
{
	MH_AUTO(wire_url_release) struct wire_url u = { 0 };

	http_answer_release(ret);
	http_answer_init(ret);
	ret->body.max = q->max_body_bytes > 0 ? q->max_body_bytes : HTTP_MAX_BODY_BYTES;
	const enum mh_status status = wire_url_read(q->url, &u, err);
	return status == MH_OK ? run_try(w, q, &u, ret, err) : status;
}

/* -- reading answers ---------------------------------------------------------------------------------------------- */

struct mh_span
http_kept(const struct http_answer *a, const char *name)
{
	struct mh_span rest = buf_span(&a->kept), line;
	const struct mh_span wanted = span_of(name);

	while (span_line(&rest, &line))
		if (span_istarts(line, wanted) && span_starts(span_from(line, wanted.n), MH_LIT(": ")))
			return span_from(line, wanted.n + 2);
	return MH_NONE;
}

enum mh_status
http_class(long status)
{
	if (status >= 200 && status < 300)
		return MH_OK;
	return status == 408 || status == 425 || status == 429 || status >= 500 ? MH_RETRY : MH_BAD;
}

enum mh_status
http_retry_after(struct mh_span value, int64_t now, int64_t *ret_s, struct mh_err *err)
{
	char text[64];
	int64_t wait_s = 0;

	value = span_trim(value);
	if (value.n == 0 || value.n >= sizeof(text) || memchr(value.p, '\0', value.n) != NULL)
		return mh_fail(err, MH_BAD, "not a Retry-After value");
	memcpy(text, value.p, value.n);
	text[value.n] = '\0';

	if (text[strspn(text, "0123456789")] == '\0') {
		for (size_t i = 0; i < value.n && wait_s <= HTTP_MAX_RETRY_AFTER_S; i++)
			wait_s = wait_s * 10 + (text[i] - '0');
	} else {
		/* It reads all three forms of RFC 9110 5.6.7, without locale; it would take a bare number for a date. */
		const time_t when =
		    strstr(text, "GMT") == NULL && strchr(text, ':') == NULL ? (time_t)-1 : curl_getdate(text, NULL);
		if (when == (time_t)-1)
			return mh_fail(err, MH_BAD, "not a Retry-After value");
		wait_s = (int64_t)when > now ? (int64_t)when - now : 0;
	}
	*ret_s = wait_s < HTTP_MAX_RETRY_AFTER_S ? wait_s : HTTP_MAX_RETRY_AFTER_S;
	return MH_OK;
}

/* -- writing requests --------------------------------------------------------------------------------------------- */

void
http_encode(struct buf *out, struct mh_span s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		const unsigned char c = (unsigned char)s.p[i];

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
		    c == '.' || c == '_' || c == '~') {
			buf_putc(out, (char)c);
		} else {
			buf_putc(out, '%');
			buf_putc(out, hex[c >> 4]);
			buf_putc(out, hex[c & 15]);
		}
	}
}

void
http_form_put(struct buf *out, const char *name, struct mh_span value)
{
	if (out->n > 0)
		buf_putc(out, '&');
	http_encode(out, span_of(name));
	buf_putc(out, '=');
	http_encode(out, value);
}

void
http_basic(struct buf *out, struct mh_span user, struct mh_span password)
{
	MH_AUTO(secret_buf_release) struct buf pair;

	buf_init(&pair, SECRET_MAX_BYTES);
	buf_put(&pair, user);
	buf_putc(&pair, ':');
	buf_put(&pair, password);
	buf_puts(out, "Basic ");
	base64_put(out, buf_span(&pair));
	out->failed |= !buf_ok(&pair);
}
