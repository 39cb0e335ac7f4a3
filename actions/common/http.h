/* http.h: one HTTP request, tried once. Retrying is the worker's: an action answers "retry" with Retry-After.
 *
 * HTTPS, or http:// to loopback, or where the configuration says allow_plain. Never a redirect: a 3xx is an answer like
 * any other, so credentials cannot follow one.
 */
#ifndef ACTIONS_COMMON_HTTP_H
#define ACTIONS_COMMON_HTTP_H

#include "actions/common/wire.h"

#define HTTP_MAX_BODY_BYTES (1u << 20)    /* of an answer; the strict JSON reader takes no more either */
#define HTTP_MAX_HEADER_BYTES (64u << 10) /* all answer headers of one try */
#define HTTP_MAX_RETRY_AFTER_S (30 * 86400)

struct http_header {
	const char *name;
	struct mh_span value; /* no CR, LF, NUL */
};

/* AWS Signature Version 4, made by libcurl. What the libcurl of Debian 12 (7.88) signs wrong is refused and never
 * sent: any method but POST, a query, a path of other signs than RFC 3986's unreserved ones (so functions by name, not
 * by ARN), a body above 1 MiB (it would come with a header that is signed and not sent), headers twice or without a
 * value. */
struct http_sigv4 {
	const char *region, *service; /* "eu-west-1", "states" */
	const char *key_id, *secret;
	const char *token; /* of a session; NULL: none */
};

struct http_request {
	const char *method; /* upper case letters */
	const char *url;
	const struct http_header *headers; /* a body's Content-Type is among them; none is made up */
	size_t n_headers;
	struct mh_span body;           /* p == NULL: none */
	const char *const *keep;       /* NULL-ended names of the answer's headers to keep; NULL: none */
	size_t max_body_bytes;         /* 0: HTTP_MAX_BODY_BYTES */
	int64_t now;                   /* a Retry-After date is counted from here */
	const struct http_sigv4 *sign; /* NULL: not signed */
};

struct http_answer {
	long status;
	struct buf body;
	struct buf kept;       /* "name: value\n" of each kept header */
	int64_t retry_after_s; /* -1: not said, or not understood */
	bool sent;             /* false: nothing left this machine, so that nothing can have happened */
};

void http_answer_init(struct http_answer *a);
void http_answer_release(struct http_answer *a); /* zeroes the body: it may be a token */

/* Sends it once and takes the whole answer.
 *   in      ret: initialised; what an earlier try left in it is forgotten
 *   out     ret: any status, also 4xx and 5xx: MH_OK means that an answer arrived
 *   errors  MH_RETRY, MH_BAD: as wire_error(); MH_BAD also a request that may not be sent (plain HTTP, a line end in a
 *           header); MH_LIMIT the answer is larger than allowed. No header, body or URL is in the text */
enum mh_status http_try(
    const struct wire *w, const struct http_request *q, struct http_answer *ret, struct mh_err *err);

/* A kept header's value by name (any case), the first; MH_NONE: it was not sent, or not asked for. */
struct mh_span http_kept(const struct http_answer *a, const char *name);

/* MH_OK for 2xx; MH_RETRY for 408, 425, 429 and 5xx; MH_BAD for all else, redirects included. */
enum mh_status http_class(long status);

/* Seconds to wait by a Retry-After value, a number or an HTTP date, counted from now; never negative, at most
 * HTTP_MAX_RETRY_AFTER_S. MH_BAD: neither. Source: RFC 9110 10.2.3 */
enum mh_status http_retry_after(struct mh_span value, int64_t now, int64_t *ret_s, struct mh_err *err);

/* Percent-encodes all but the unreserved characters of RFC 3986: for a path segment, a query or a form value. */
void http_encode(struct buf *out, struct mh_span s);
/* Adds "&name=value" (without "&" where out is empty), both encoded: application/x-www-form-urlencoded. */
void http_form_put(struct buf *out, const char *name, struct mh_span value);
/* "Basic BASE64" of user and password. */
void http_basic(struct buf *out, struct mh_span user, struct mh_span password);

#endif
