/* base64.h: RFC 4648 encoding, the common alphabet and the one for URLs. */
#ifndef ACTIONS_COMMON_BASE64_H
#define ACTIONS_COMMON_BASE64_H

#include "mailhook/mailhook.h"

void base64_put(struct buf *out, struct mh_span s);    /* with padding, no line ends */
void base64url_put(struct buf *out, struct mh_span s); /* alphabet of section 5, no padding: JWT */

#endif
