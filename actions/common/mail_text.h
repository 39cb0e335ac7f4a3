/* mail_text.h: the parts that every mail of ours is written of; 7-bit, LF. */
#ifndef ACTIONS_COMMON_MAIL_TEXT_H
#define ACTIONS_COMMON_MAIL_TEXT_H

#include "mailhook/mailhook.h"

/* "Date: ..." in UTC. */
void mail_put_date(struct buf *out, int64_t t);
/* "Subject: ...", folded or in encoded words; subject is UTF-8 of one line without control characters. */
void mail_put_subject(struct buf *out, struct mh_span subject);
/* "<left@right>" of printable ASCII, as far as it must hold to be safe in a header. */
bool mail_is_id(struct mh_span s);
/* Content-Type, Content-Transfer-Encoding, an empty line and the text, quoted-printable. text: UTF-8, LF. */
void mail_put_quoted(struct buf *out, const char *type, struct mh_span text);

#endif
