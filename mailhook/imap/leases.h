/* leases.h: which mailboxes this node may watch, where nodes share them: the supervisor's side of "mailhook-work leases".
 *
 * A mailbox that is this node's has a slot whose lease_end_ms goes on rising. Where it comes to stand still, the
 * mailbox's process does nothing more from that instant on, and is ended. Of all functions l may be NULL: then the
 * ledger is this machine's own, and so are all mailboxes.
 */
#ifndef MAILHOOK_IMAP_LEASES_H
#define MAILHOOK_IMAP_LEASES_H

#include <poll.h>
#include <sys/types.h>

#include "mailhook/imap/imap.h"

#define LEASES_FDS 2 /* as LEASE_PIPE_FDS */

struct leases;

/* Where mailboxes are shared. *ret is NULL where they are not.
 *   in      before: the signals that a new process has blocked; borrowed: im, slots
 *   errors  MH_RETRY no memory, no random bytes */
enum mh_status leases_new(const struct imap *im, struct slot *slots, bool once, const sigset_t *before,
    struct leases **ret, struct mh_err *err);
/* The configuration was read again: other mailboxes, whose processes have all ended. errors: as leases_new */
enum mh_status leases_renew(struct leases *l, const struct imap *im, struct slot *slots, struct mh_err *err);
void leases_free(struct leases *l);
/* Gives up all; no mailbox's process runs any more. Waits a little for it. */
void leases_close(struct leases *l);
/* In a mailbox's process: only what must stay open does. */
void leases_forked(struct leases *l);

/* -- one mailbox, by its number ------------------------------------------------------------------------------------ */

bool leases_may_watch(const struct leases *l, size_t i);
void leases_started(struct leases *l, size_t i);
/* Its process ended. True: because it was ended for its lease, or left, and not for a fault of its own. */
bool leases_ended(struct leases *l, size_t i);
enum leases_end { LEASES_STAY, LEASES_LEAVE, LEASES_OVER };
/* What is to become of its process: LEAVE: it is asked to end, or is at rest and may be ended; OVER: it must be, now. */
enum leases_end leases_end(struct leases *l, size_t i);
/* And that was for a fault, of the server perhaps or of this machine: without having read anything. */
void leases_failed(struct leases *l, size_t i);
/* With once: it was read. */
void leases_done(struct leases *l, size_t i);
/* With once: another watches it, or nobody knows whose it is. *ret_known: which of both. */
bool leases_not_ours(const struct leases *l, size_t i, bool *ret_known);
/* All are to end with the message at hand. */
void leases_leave_all(struct leases *l);

/* -- the life ------------------------------------------------------------------------------------------------------ */

/* Starts the other side where it does not run, says what there is to say. How long it may sleep at most is put into
 * *wait_ms. */
size_t leases_poll(struct leases *l, struct pollfd fds[LEASES_FDS], int64_t *wait_ms);
/* Hears what came. */
void leases_hear(struct leases *l);
/* A process that ended was the other side. */
bool leases_reap(struct leases *l, pid_t pid);
size_t leases_elsewhere(const struct leases *l); /* how many another node watches */

#endif
