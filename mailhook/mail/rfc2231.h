/* rfc2231.h: Content-Type and Content-Disposition: a value and its parameters. Private to mail/. */
#ifndef MAILHOOK_MAIL_RFC2231_H
#define MAILHOOK_MAIL_RFC2231_H

#include "mailhook/mailhook.h"

struct charset_set;

struct param {
	struct mh_span name;  /* without "*0*" */
	struct mh_span value; /* as written, without the quotes */
	int section;          /* -1: not continued */
	bool extended;        /* charset'language'percent-encoded */
	bool quoted;
};

struct content {
	struct mh_span type, subtype; /* subtype is empty where there is no "/" */
	struct param params[MH_MAX_PARAMS];
	size_t n_params;
};

/* Reads such a field, folded or not; comments are skipped, what cannot be understood is passed over.
 *   out     ret: points into raw; limits: MAIL_LIMIT_FIELD, _PARAMS and _COMMENT are added to it
 *   source  RFC 2045 section 5.1, RFC 2183, RFC 2231 */
void content_read(struct mh_span raw, struct content *ret, unsigned *limits);

/* Is it this type, in any case? subtype NULL: any. */
bool content_is(const struct content *c, const char *type, const char *subtype);

/* A parameter's value: sections joined, percent and backslash escapes undone, UTF-8 where it names a charset.
 *   out     ret: in the arena or in the field; MH_NONE where there is no such parameter
 *   errors  MH_LIMIT the arena is full */
enum mh_status content_param(const struct content *c, const char *name, const struct charset_set *charsets,
    struct arena *a, struct mh_span *ret, struct mh_err *err);

#endif
