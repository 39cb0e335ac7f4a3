/* transfer.h: Content-Transfer-Encoding (RFC 2045 section 6), as tolerant as a person's mail program. */
#ifndef MAILHOOK_MAIL_TRANSFER_H
#define MAILHOOK_MAIL_TRANSFER_H

#include "mailhook/mailhook.h"

enum transfer { TRANSFER_IDENTITY, TRANSFER_BASE64, TRANSFER_QUOTED_PRINTABLE };

/* The encoding that a field's value names; an unknown one is taken as identity (DEVIATIONS.md 4). */
enum transfer transfer_named(struct mh_span value);

/* How many bytes decoding in can give at most. */
size_t transfer_bound(enum transfer encoding, struct mh_span in);

/* Decodes; never fails, since every input has a reading:
 *   base64            bytes that are no digits are skipped, padding may be missing, data after an inner '=' goes on
 *   quoted-printable  "=" without two hexadecimal digits stands for itself, lower-case digits are taken, blanks at the
 *                     end of a line are dropped, line ends are kept as they are
 *   in      dst: room for min(max, transfer_bound()) bytes
 *   out     the number of bytes written; ret_cut: max was hit
 */
size_t transfer_decode(enum transfer encoding, struct mh_span in, char *dst, size_t max, bool *ret_cut);

/* RFC 2047's "Q": as quoted-printable, but "_" is a space and there are no lines. dst: room for in.n bytes. */
size_t q_decode(struct mh_span in, char *dst);

#endif
