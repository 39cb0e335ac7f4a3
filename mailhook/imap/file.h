/* file.h: what becomes of a message on the server once it is durable here, or of no concern. */
#ifndef MAILHOOK_IMAP_FILE_H
#define MAILHOOK_IMAP_FILE_H

#include "mailhook/imap/find.h"
#include "mailhook/imap/position.h"

/* Whether anything is to be done about messages of that sort. */
bool file_wanted(const struct conf_mailbox *box, enum filing as);

/* Files all that waits: sets keyword and \Seen, and moves, or copies and deletes, into folders that it makes where they
 * are missing. Safe to repeat; the position is saved as it goes.
 *   errors  MH_SKIP the server refused some of it (no room, no right), in words: the rest is done, that waits;
 *           else as session_command */
enum mh_status file_all(struct session *s, struct position *p, struct mh_err *err);

#endif
