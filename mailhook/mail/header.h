/* header.h: a header block and its fields. Private to mail/. */
#ifndef MAILHOOK_MAIL_HEADER_H
#define MAILHOOK_MAIL_HEADER_H

#include "mailhook/mailhook.h"

struct charset_set;

/* Is this line (which starts with "--") the end of the part that the header stands in? */
struct header_end {
	bool (*ends)(const void *user, struct mh_span line);
	const void *user;
};

struct header {
	struct mh_span block; /* its lines, without the blank one; at most MH_MAX_HEADER_BYTES */
	size_t n_lines;       /* of them, those that are no continuation: at least as many as there are fields */
	size_t body_at;       /* offset of the body in the bytes around; their number where there is none */
};

/* Finds the header that starts at an offset of s. It ends at a blank line, at the end of s, or where end says so. A
 * first line that cannot be a field means that there is no header, and the body starts at once.
 *   out     limits: MAIL_LIMIT_HEADER is added to it
 *   source  RFC 5322 section 2.1 */
struct header header_find(struct mh_span s, size_t at, const struct header_end *end, unsigned *limits);

/* The next field of *block, which moves past it: name and value as written. Lines that are no field are skipped. */
bool header_next(struct mh_span *block, struct mh_span *ret_name, struct mh_span *ret_raw);

/* A field's value for a person: unfolded, decoded, trimmed, tabs as spaces.
 *   out     ret: in raw where nothing had to change, else in the arena; limits: MAIL_LIMIT_FIELD, _WORDS
 *   errors  MH_LIMIT the arena is full */
enum mh_status header_value(struct mh_span raw, const struct charset_set *charsets, struct arena *a,
    struct mh_span *ret, unsigned *limits, struct mh_err *err);

#endif
