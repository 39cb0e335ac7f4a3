/* ical.h: content lines of an iCalendar object, for whoever writes one. Source: RFC 5545 3.1 (lines), 3.3.11 (text). */
#ifndef MAILHOOK_ICAL_H
#define MAILHOOK_ICAL_H

#include "mailhook/mailhook.h"

#define ICAL_STAMP 17 /* "20260203T040506Z" and its NUL */

/* One content line as it stands, folded at 75 octets between characters, with CRLF. */
void ical_line(struct buf *out, struct mh_span line);
/* NAME and value of our own making: no bytes of a mail, which ical_text is for. */
void ical_value(struct buf *out, const char *name, const char *value);
/* A property of type TEXT: trimmed and escaped; what misleads (utf8_misleads) is left out, what is no UTF-8 is a "?". */
void ical_text(struct buf *out, const char *name, struct mh_span text);
/* An instant in UTC; its first eight bytes are the day. */
const char *ical_stamp(char dst[ICAL_STAMP], int64_t t);

#endif
