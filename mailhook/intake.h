/* intake.h: messages taken but not yet worked: a folder in which each file is one durable message.
 *
 * A file is named "<random hex>.msg" and begins with one line of our own, then the message's bytes as they came:
 *   mailhook 1 <RFC 3339 time> from=<envelope sender, percent-encoded, or "-"> cut=<0|1>
 * Written as ".<random hex>.tmp", fsync, link, fsync of the folder, unlink of the tmp name: a ".msg" is always whole.
 * Folder modes: 0700 for one user; 3777, files 0640, for many users (README, Recipes).
 */
#ifndef MAILHOOK_INTAKE_H
#define MAILHOOK_INTAKE_H

#include "mailhook/mailhook.h"

struct envelope {
	int64_t received;
	struct mh_span from; /* p == NULL: not known; n == 0: the empty sender <> */
	bool cut;            /* longer than MH_MAX_MESSAGE_BYTES: the rest was not kept */
};

/* Makes a message durable. MH_OK means: it is on disk under its name, whatever happens next.
 *   errors  MH_RETRY it could not be made durable (no such folder or one that is only begun, see durable.h; no space, no
 *           permission, quota); no file is left */
enum mh_status intake_put(const char *folder, struct mh_span raw, const struct envelope *e, struct mh_err *err);

/* How many files of the folder are named as messages.
 *   errors  MH_RETRY the folder cannot be read */
enum mh_status intake_count(const char *folder, size_t *ret, struct mh_err *err);
/* Names of the messages in the folder, oldest first by mtime, at most max; *ret_more: there are others.
 * Removes ".tmp" files older than an hour by now.
 *   errors  MH_RETRY the folder cannot be read; no memory */
struct intake_list {
	char (*names)[64]; /* own */
	size_t n;
	bool more;
};
enum mh_status intake_scan(const char *folder, int64_t now, size_t max, struct intake_list *ret, struct mh_err *err);
void intake_list_release(struct intake_list *l);

/* Reads one message (O_NOFOLLOW, regular files only, copied once).
 *   in      ret_file: initialised; what it holds is let go
 *   out     ret_file: the whole file, buf_release is due whatever the answer; ret_raw, ret_envelope point into it
 *   errors  MH_SKIP it is gone; MH_BAD it is no intake file (intake_set_aside it); MH_RETRY i/o error, no memory */
enum mh_status intake_get(const char *folder, const char *name, struct buf *ret_file, struct mh_span *ret_raw,
    struct envelope *ret_envelope, struct mh_err *err);
/* Removes a message whose bytes are in the ledger. A name that is gone is no error.
 *   errors  MH_RETRY the folder cannot be opened, or the file not be removed */
enum mh_status intake_drop(const char *folder, const char *name, struct mh_err *err);
/* Renames a file that is no message to "<name>.bad": never read again, never deleted, counted by status. A name that is
 * gone is no error.
 *   errors  MH_BAD the name is too long; MH_RETRY the folder cannot be opened, or the file not be renamed */
enum mh_status intake_set_aside(const char *folder, const char *name, struct mh_err *err);

#endif
