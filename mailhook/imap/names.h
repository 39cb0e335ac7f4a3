/* names.h: what stands in a mailbox's URL, and names of folders as IMAP writes them. Pure. */
#ifndef MAILHOOK_IMAP_NAMES_H
#define MAILHOOK_IMAP_NAMES_H

#include "mailhook/mailhook.h"

struct address {
	bool tls;                /* imaps://: TLS from the first byte */
	const char *host, *port; /* all in the arena */
	const char *folder;      /* UTF-8 */
	bool loopback;           /* the host is this machine: localhost, 127.0.0.0/8, ::1 */
};

/* imaps://HOST[:PORT]/FOLDER or imap://...; percent-encoding in the folder is decoded.
 *   errors  MH_BAD not of that form; MH_LIMIT the arena is full */
enum mh_status address_of(const char *url, struct arena *a, struct address *ret, struct mh_err *err);

/* A folder's name in the modified UTF-7 of RFC 3501 section 5.1.3.
 *   errors  MH_BAD not UTF-8, or a control character in it; MH_LIMIT too long */
enum mh_status folder_utf7(struct buf *out, const char *folder, struct mh_err *err);
/* ASCII text as a quoted string. False: it holds what none may hold. */
bool put_quoted(struct buf *out, struct mh_span text);

#endif
