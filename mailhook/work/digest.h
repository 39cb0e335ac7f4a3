/* digest.h: SHA-256 of fields, as names that are the same again: a message's digest, case and job keys. */
#ifndef MAILHOOK_WORK_DIGEST_H
#define MAILHOOK_WORK_DIGEST_H

#include "mailhook/mailhook.h"

#define DIGEST_HEX 65 /* 64 digits and NUL */

/* Hex of SHA-256 over the fields, each with its length in front, so that no two lists of fields run together; an unknown
 * field differs from an empty one. MH_RETRY: no memory in the library. */
enum mh_status digest_fields(const struct mh_span *fields, size_t n, char ret[DIGEST_HEX], struct mh_err *err);
/* Which message it is, whatever way it came: its body with LF line ends and without empty lines at its end, From, Date,
 * Subject, Message-ID, Content-Type. Trace fields (Received and the like) are not in it. */
enum mh_status digest_message(struct mh_span raw, const struct reading *r, char ret[DIGEST_HEX], struct mh_err *err);

/* The same over fields that come one by one. */
struct digest {
	void *ctx; /* own */
	bool ok;
};
void digest_open(struct digest *d);
void digest_add(struct digest *d, struct mh_span field);
/* Ends it. MH_RETRY: no memory in the library, now or before. */
enum mh_status digest_close(struct digest *d, char ret[DIGEST_HEX], struct mh_err *err);

#endif
