/* leases.h: who runs a job: claimed, kept, and taken back by the ledger's clock.
 *
 * Unlike the rest of ledger/ the first four begin and end transactions of their own, DB_CLAIM ones, which nodes make
 * beside each other; what another's transaction undid is tried again. An owner is NODE/LIFE, with LEDGER_HANDOVER
 * behind it where a person at a terminal has the job. With a local engine a lease ends with its worker, and the time
 * plays no part but for a terminal's. Where a commit's end is not known, what was asked for may stand or not: a claim
 * that stands and of which nobody knows ends with its time, a renewal or a checkpoint may be repeated.
 */
#ifndef MAILHOOK_WORK_LEDGER_LEASES_H
#define MAILHOOK_WORK_LEDGER_LEASES_H

#include "mailhook/work/ledger/ledger.h"

#define LEDGER_HANDOVER "/handover" /* how the owner of a person's lease ends */

/* Seconds that a lease lasts, a third of which passes until it is renewed: 60, or what a test asks for. */
int ledger_lease_s(void);

/* The job whose turn it is at now, of a case where none runs, that is not paused and that the node has not left to
 * others: ours and running, its attempt counted. Where it must be settled first (waiting, for others) it is only shown.
 *   errors  MH_SKIP there is none, or only such as others take in this moment */
enum mh_status ledger_lease_next(struct db *db, const char *node, const char *owner, int64_t now, struct arena *a,
    struct job_row *ret, struct mh_err *err);
/* The same of that one job. MH_SKIP: it is another's, paused, ended, or another of its case runs. */
enum mh_status ledger_lease_claim(struct db *db, int64_t job_id, const char *owner, int64_t now, struct mh_err *err);

/* One run of a job. A worker may have a job again before it knows that its last run of it was written: the attempt says
 * which run it is that is spoken of. */
struct lease_row {
	int64_t job_id, attempt;
	const char *owner;
};
/* MH_SKIP: the lease is not ours any more, or has ended. */
enum mh_status ledger_lease_renew(struct db *db, const struct lease_row *lease, struct mh_err *err);
/* Keeps what an action came to, and renews: the effect that follows has the whole lease. MH_SKIP as above. */
enum mh_status ledger_lease_checkpoint(
    struct db *db, const struct lease_row *lease, struct mh_span state, struct mh_err *err);
struct lease_rows {
	struct lease_row *items;
	size_t n, cap;
};
/* Leases that have ended. */
enum mh_status ledger_leases_lapsed(struct db *db, struct arena *a, struct lease_rows *ret, struct mh_err *err);
/* Those of owners whose name begins so. */
enum mh_status ledger_leases_of(
    struct db *db, struct mh_span owners, struct arena *a, struct lease_rows *ret, struct mh_err *err);
/* Whether the job runs under that very lease, and whether that has ended. MH_SKIP: it does not. */
enum mh_status ledger_lease_look(struct db *db, const struct lease_row *lease, bool *ret_lapsed, struct mh_err *err);
/* The first instant behind now at which one will have ended. MH_SKIP: none. */
enum mh_status ledger_leases_next(struct db *db, int64_t now, int64_t *ret, struct mh_err *err);

#endif
