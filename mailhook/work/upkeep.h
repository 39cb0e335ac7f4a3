/* upkeep.h: what the worker does for its ledger: the mark beside it (mark.c), and what is let go with time (upkeep.c). */
#ifndef MAILHOOK_WORK_UPKEEP_H
#define MAILHOOK_WORK_UPKEEP_H

#include "mailhook/work/work.h"

/* Errors of all: those of db.h; of mark_look and mark_write also MH_RETRY the mark's file cannot be written, MH_BAD its
 * name is too long. */

/* Whether the ledger is the one that was at work here. Where it is another one or an older copy, everything is paused,
 * and open effects wait for approval. Harmless beside a worker that is at work. */
enum mh_status mark_look(struct work *w, int64_t now, struct mh_err *err);
/* Pauses everything and lets open effects wait for approval, with the event "restored"; one transaction of its own.
 *   in      why: words for a person */
enum mh_status mark_pause(struct work *w, const char *why, int64_t now, struct mh_err *err);
/* In "meta" of a ledger that was copied to here, until it is looked at: no mark beside it is no wonder. */
#define MARK_ARRIVED "arrived"
/* Notes how far the ledger has come, durably. Where that failed, it is not tried again for a minute: MH_OK then. */
enum mh_status mark_write(struct work *w, struct mh_err *err);
/* Of a shared ledger: what was committed by this process, before what it replaces is let go of; asks nobody. It
 * outlives this process, and perhaps no power cut. */
void mark_note(struct work *w);
/* The same with what others have committed, before something is done on the word of it. */
enum mh_status mark_ahead(struct work *w, struct mh_err *err);

/* Whether this process writes such a name in state_dir for a moment: its end is no news to itself. */
bool mark_is_own(const char *name);

/* One round of the worker's: the mark, and once a day a piece of the purge. *ret_more: call again soon. */
enum mh_status upkeep_round(struct work *w, int64_t now, bool *ret_more, struct mh_err *err);

struct purged {
	size_t messages, cases;
};
/* All that is due. vacuum: give the room back even where it is little. */
enum mh_status upkeep_purge(struct work *w, int64_t now, bool vacuum, struct purged *ret, struct mh_err *err);

#endif
