/* rfc2047.h: encoded words of header fields. Private to mail/. */
#ifndef MAILHOOK_MAIL_RFC2047_H
#define MAILHOOK_MAIL_RFC2047_H

#include "mailhook/mailhook.h"

struct charset_set;

/* Decodes the encoded words of an unfolded value, and 8-bit bytes around them as charset_to_utf8 does for US-ASCII.
 *   in      s: at most MH_MAX_FIELD_BYTES
 *   out     ret: UTF-8 without control characters (they become spaces), at most MH_MAX_FIELD_BYTES; in the arena
 *           limits: MAIL_LIMIT_FIELD and MAIL_LIMIT_WORDS are added to it
 *   errors  MH_LIMIT the arena is full
 *   source  RFC 2047; words are found anywhere (DEVIATIONS.md 3), neighbours of one charset are joined before they are
 *           converted, since senders split multi-byte characters over two words
 */
enum mh_status rfc2047_decode(struct mh_span s, const struct charset_set *charsets, struct arena *a,
    struct mh_span *ret, unsigned *limits, struct mh_err *err);

#endif
