/* approvals.h: what an action asks a person for, what the person said, and what a renewal came to.
 *
 * Functions may be called inside a transaction of the caller. Errors of all: those of db.h.
 */
#ifndef MAILHOOK_WORK_LEDGER_APPROVALS_H
#define MAILHOOK_WORK_LEDGER_APPROVALS_H

#include "mailhook/work/ledger/ledger.h"

struct approval_row {
	const char *step; /* NULL: the case as a whole */
	const char *by;
	int64_t at;
};
struct approval_rows {
	struct approval_row *items;
	size_t n, cap;
};

enum mh_status ledger_approval_add(
    struct db *db, int64_t case_id, const char *step, const char *by, int64_t at, struct mh_err *err);
/* Oldest first. */
enum mh_status ledger_approvals(
    struct db *db, int64_t case_id, struct arena *a, struct approval_rows *ret, struct mh_err *err);

/* The step of its outcome that a person was told of last; NULL: none. */
enum mh_status ledger_job_step(struct db *db, int64_t job_id, struct arena *a, const char **ret, struct mh_err *err);
enum mh_status ledger_job_step_set(struct db *db, int64_t job_id, const char *step, struct mh_err *err);
/* The steps that jobs of the case wait with for approval now, each once. */
struct step_rows {
	const char **items;
	size_t n, cap;
};
enum mh_status ledger_steps_waiting(
    struct db *db, int64_t case_id, struct arena *a, struct step_rows *ret, struct mh_err *err);

struct renewal_row {
	int64_t expires, notice; /* the new end, and when the next notice is due */
	bool has_notice;
};
enum mh_status ledger_renewal_set(struct db *db, int64_t case_id, const struct renewal_row *r, struct mh_err *err);
enum mh_status ledger_renewal(
    struct db *db, int64_t case_id, struct renewal_row *ret, struct mh_err *err); /* MH_SKIP */

#endif
