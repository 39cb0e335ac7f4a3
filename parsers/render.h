/* render.h: a reading as the one line of JSON that `mailhook parse` prints. */
#ifndef MAILHOOK_PARSERS_RENDER_H
#define MAILHOOK_PARSERS_RENDER_H

#include "mailhook/json.h"
#include "mailhook/mailhook.h"

/* Writes one JSON object without line end: keys in the contract's order, all present, null where unknown.
 *   in      source: "-", a path, or PATH:N; bytes of it and of the mail that are not UTF-8 become U+FFFD
 *   out     out: appended to
 *   errors  false: no memory, or out is full
 *   source  the command line's contract: mailhook(1), "parse" */
bool reading_render(const struct reading *r, const char *source, struct buf *out);

/* Adds text to an object. Header values are raw bytes of the mail and a path is raw bytes of the disk: neither need be
 * UTF-8, and JSON must be, so what is not becomes U+FFFD. False: no memory. */
bool render_text(cJSON *j, const char *key, struct mh_span s);

#endif
