/* times.h: of each case, what has come about because time passed, and when to look at it again.
 *
 * cases.look is the earliest instant at which time alone can change the case. Whatever else changes a case sets it back
 * to the beginning of time (ledger_case_update), so that it is looked at in the next round; so does another
 * configuration. Functions may be called inside a transaction of the caller. Errors of all: those of db.h.
 */
#ifndef MAILHOOK_WORK_LEDGER_TIMES_H
#define MAILHOOK_WORK_LEDGER_TIMES_H

#include "mailhook/work/ledger/ledger.h"

#define TIMES_NEVER INT64_C(253402300799) /* 9999-12-31T23:59:59Z */

struct time_row {
	int64_t case_id;
	int64_t reminded;      /* the lowest threshold of which there was a reminder, in days; 0: none */
	bool expired;          /* there was an event "expired" */
	bool awaited;          /* the next cycle's notice came, or its absence has become a case */
	const char *escalated; /* JSON list of the escalations that there were, by name */
	int64_t look;
};
struct time_rows {
	struct time_row *items;
	size_t n, cap;
};

/* Those to be looked at by now, the longest due first. */
enum mh_status ledger_times_due(
    struct db *db, int64_t now, size_t max, struct arena *a, struct time_rows *ret, struct mh_err *err);
enum mh_status ledger_times_update(struct db *db, const struct time_row *t, struct mh_err *err);
enum mh_status ledger_times_next(struct db *db, int64_t *ret, struct mh_err *err); /* MH_SKIP: no case */
enum mh_status ledger_times_reset(struct db *db, struct mh_err *err);              /* all cases, in the next round */
/* The case's expiry is another: what there was of reminders, and of its end, was of the former one. */
enum mh_status ledger_times_forget(struct db *db, int64_t case_id, struct mh_err *err);

/* Somebody or something acted: a person's approval aside, an effect of the case's own rule ended well. */
enum mh_status ledger_effect_done(struct db *db, int64_t case_id, bool *ret, struct mh_err *err);
/* A case of the same kind and account, region and resource (unknown equals any), that expires after that instant. */
enum mh_status ledger_case_later(struct db *db, const struct case_row *c, int64_t after, bool *ret, struct mh_err *err);
struct id_rows {
	int64_t *items;
	size_t n, cap;
};
enum mh_status ledger_open_of_kind(
    struct db *db, const char *kind, struct arena *a, struct id_rows *ret, struct mh_err *err);
/* The newest case of that kind and resource is of the same expiry and reason, and is open or was closed by somebody: what
 * mailhook closed by itself, because it was not configured any more for instance, is opened anew. */
enum mh_status ledger_case_known(struct db *db, const struct case_row *c, bool *ret, struct mh_err *err);

#endif
