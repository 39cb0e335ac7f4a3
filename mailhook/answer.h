/* answer.h: a struct reading as bytes and back; the only thing that comes out of the sandboxed child.
 *
 * The child may be in an attacker's hands, so decoding trusts nothing: every length is checked, every string is cut at
 * MH_MAX_FACT_BYTES, must be UTF-8 without control characters (bytes of raw header values: without NUL), and must have
 * the shape of its field (account, region, event, kind: their own alphabets; expiry: years 1 to 9999).
 */
#ifndef MAILHOOK_ANSWER_H
#define MAILHOOK_ANSWER_H

#include "mailhook/mailhook.h"

void answer_encode(const struct reading *r, struct buf *out);
/* errors  MH_BAD anything is not as answer_encode would have written it; raw_bytes bounds body_at */
enum mh_status answer_decode(
    struct mh_span bytes, size_t raw_bytes, struct arena *a, struct reading *ret, struct mh_err *err);

#endif
