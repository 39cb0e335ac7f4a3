/* mail.h: the bounded reader: bytes of one RFC 5322 message to headers and the texts that a person would see.
 *
 * Own, not libetpan's: Debian's libetpan 1.9.4 writes out of bounds on a 115-byte mail and over-reads on a 50-byte one.
 * Pure, and linear in the number of bytes. Runs in the sandboxed child, so it opens nothing: see charset.h.
 */
#ifndef MAILHOOK_MAIL_MAIL_H
#define MAILHOOK_MAIL_MAIL_H

#include "mailhook/mailhook.h"

struct charset_set; /* charset.h */

/* Reads a message. A leading mbox "From " line, CRLF and LF, NULs, a missing final newline and no bytes at all are fine.
 *   in      raw: the message; cut to MH_MAX_MESSAGE_BYTES
 *           charsets: converters opened before the sandbox closed; NULL: UTF-8, US-ASCII, ISO-8859-1 and
 *           Windows-1252 only, which need no iconv
 *   out     ret_mail: points into raw and the arena; every bound that was hit is a bit of ret_mail->limits
 *   errors  none but MH_LIMIT (with MAIL_LIMIT_MEMORY set) when the arena is too small for even an empty mail: a mail is
 *           bytes that somebody sent, and there is always something to say of it
 *   source  RFC 5322, 2045 to 2047, 2231; deviations in mailhook/DEVIATIONS.md
 */
enum mh_status mail_read(
    struct mh_span raw, const struct charset_set *charsets, struct arena *a, struct mail *ret_mail, struct mh_err *err);

#endif
