/* charset.h: text in the charsets of mail to UTF-8, by iconv.
 *
 * glibc's iconv loads a module from disk when a converter is opened, which the sandboxed child may not do. So whoever
 * forks it first looks which charsets the raw bytes name, and opens these; inside, only what was opened can be used.
 */
#ifndef MAILHOOK_MAIL_CHARSET_H
#define MAILHOOK_MAIL_CHARSET_H

#include "mailhook/mailhook.h"

struct charset_set; /* the fixed list of known charsets and the converters opened so far */

struct charset_set *charset_set_new(void); /* opens nothing; NULL: no memory */
void charset_set_free(struct charset_set *set);

/* Opens the converters of the charsets that the raw message names ("charset=", "=?name?"), and of no others.
 * Costs one pass over the bytes; an UTF-8 or ASCII mail opens nothing. Call it before sandbox_enter(). */
void charset_set_open(struct charset_set *set, struct mh_span raw);
/* How many converters are open: where a call of charset_set_open raised it, a child forked before lacks one. */
size_t charset_set_opened(const struct charset_set *set);

/* Converts to UTF-8; bytes that are not of that charset become U+FFFD.
 *   in      set may be NULL; charset: as the mail names it, any case, known aliases; empty means US-ASCII, and 8-bit
 *           bytes in "US-ASCII" are taken as UTF-8 where they are valid, else as Windows-1252
 *   out     ret_text: in the arena, or in bytes where nothing had to change; at most max bytes; ret_unknown: the
 *           charset is not on the list or not open, and the text was taken as for US-ASCII; ret_cut: max was hit
 *   errors  MH_LIMIT the arena is full
 */
enum mh_status charset_to_utf8(const struct charset_set *set, struct mh_span charset, struct mh_span bytes, size_t max,
    struct arena *a, struct mh_span *ret_text, bool *ret_unknown, bool *ret_cut, struct mh_err *err);

#endif
