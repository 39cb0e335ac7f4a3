/* xml.h: the text of one element, which is all that AWS's older services need of XML. */
#ifndef ACTIONS_COMMON_XML_H
#define ACTIONS_COMMON_XML_H

#include "mailhook/mailhook.h"

/* Appends the text of the first element of that local name, whatever stands around it: its entities resolved, white space
 * at both ends taken off. Comments and CDATA are passed over; no DTD is read.
 *   in      text: XML, UTF-8
 *   errors  MH_SKIP there is none, or it holds elements; MH_BAD an entity that XML does not have, an end that is missing
 *   source  XML 1.0, 4.6 */
enum mh_status xml_text(struct mh_span text, const char *name, struct buf *out, struct mh_err *err);

#endif
