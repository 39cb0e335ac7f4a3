/* entities.h: HTML character references. Private to mail/. */
#ifndef MAILHOOK_MAIL_ENTITIES_H
#define MAILHOOK_MAIL_ENTITIES_H

#include "mailhook/mailhook.h"

/* Reads the reference that s, which starts with "&", starts with: named, decimal or hexadecimal, also without ";" where
 * a browser takes it so.
 *   out     the code point, and its length in *ret_used; 0: it is no reference, and the "&" stands for itself */
unsigned entity_read(struct mh_span s, bool in_attribute, size_t *ret_used);

#endif
