/* claims.h: names that only one case's action may work on at a time, such as a tenant of an identity provider.
 *
 * A claim outlasts the run that made it: it is let go by the action, or with the end of its case. Functions are called
 * inside a transaction of the caller; those that change something in one of DB_WRITE, so that what they read holds.
 * Errors of all: those of db.h.
 */
#ifndef MAILHOOK_WORK_LEDGER_CLAIMS_H
#define MAILHOOK_WORK_LEDGER_CLAIMS_H

#include "mailhook/work/ledger/ledger.h"

/* What was claimed so long ago was forgotten: the next notice of the same thing comes some 275 days later, whatever
 * became of this one. */
#define CLAIM_VOID_S (120 * MH_DAY_S)

struct claim_row {
	const char *name, *action;
	int64_t case_id, since;
};
struct claim_rows {
	struct claim_row *items;
	size_t n, cap;
};

/* Takes it for the case, or again: since is now. It is free where nobody has it, where it is void, and where its case is
 * closed and none of that action's jobs in it goes on.
 *   out     held: with MH_SKIP the key of the case that has it
 *   errors  MH_SKIP another case has it */
enum mh_status ledger_claim_take(struct db *db, const char *name, int64_t case_id, const char *action, int64_t now,
    char held[CLAIM_HELD_BYTES], struct mh_err *err);
/* Nothing where it is not the case's. */
enum mh_status ledger_claim_drop(struct db *db, const char *name, int64_t case_id, struct mh_err *err);
/* All that an action has in the case; NULL: all of the case but those of actions whose jobs go on. */
enum mh_status ledger_claims_end(struct db *db, int64_t case_id, const char *action, struct mh_err *err);
/* By name. */
enum mh_status ledger_claims(
    struct db *db, int64_t case_id, struct arena *a, struct claim_rows *ret, struct mh_err *err);

#endif
