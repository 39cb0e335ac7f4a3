/* upkeep.h: what a ledger needs beside its cases: pauses, how far it came, retention, copies, and what must be true of it.
 *
 * Errors of all: those of db.h. None starts a transaction unless it says so.
 */
#ifndef MAILHOOK_WORK_LEDGER_UPKEEP_H
#define MAILHOOK_WORK_LEDGER_UPKEEP_H

#include "mailhook/work/ledger/ledger.h"

/* -- pauses: while one is there, no job of it starts (ledger_jobs_due, leases.h) ---------------------------------- */

struct pause_row {
	const char *scope, *name; /* "all" and "", "rule" or "action" and its name */
	int64_t since;
	const char *by, *why;
};
struct pause_rows {
	struct pause_row *items;
	size_t n, cap;
};

enum mh_status ledger_pauses(struct db *db, struct arena *a, struct pause_rows *ret, struct mh_err *err);
enum mh_status ledger_paused_all(struct db *db, bool *ret, struct mh_err *err);
/* MH_SKIP: it is there already, and stays as it was. */
enum mh_status ledger_pause_add(struct db *db, const struct pause_row *p, struct mh_err *err);
enum mh_status ledger_pause_remove(
    struct db *db, const char *scope, const char *name, struct mh_err *err); /* MH_SKIP */

/* -- how far it came ----------------------------------------------------------------------------------------------- */

/* The number of the last event that this ledger ever had: it only grows, purge does not lower it. */
enum mh_status ledger_last_event(struct db *db, int64_t *ret, struct mh_err *err);
/* Of a shared ledger it is at least that from now on, and what is missing up to there is known to be. Nothing to do for a
 * local one. */
enum mh_status ledger_last_event_raise(struct db *db, int64_t to, struct mh_err *err);
/* Whether a shared ledger has that event, or need not have it any more. */
enum mh_status ledger_event_there(struct db *db, const struct db_note *note, bool *ret, struct mh_err *err);

/* -- retention ----------------------------------------------------------------------------------------------------- */

struct purge {
	int64_t mail_before;  /* bytes of messages go whose cases were all closed before that */
	int64_t cases_before; /* so do whole cases closed before that, with all that belongs to them; INT64_MIN: none */
	size_t messages, cases; /* out: how many went, added up */
};
/* Up to max messages and max cases, in one transaction of its own. *ret_more: call again. */
enum mh_status ledger_purge(struct db *db, size_t max, struct purge *p, bool *ret_more, struct mh_err *err);
/* The share of the file that holds nothing, in percent; 0 where a server keeps it. */
enum mh_status ledger_empty_percent(struct db *db, int64_t *ret, struct mh_err *err);
/* Gives it back to the file system, where it is a file; not inside a transaction. Needs room for a second copy meanwhile. */
enum mh_status ledger_vacuum(struct db *db, struct mh_err *err);

/* -- copies -------------------------------------------------------------------------------------------------------- */

/* A whole copy as of one instant, into a file that is not there or empty; others go on writing meanwhile. Not synced. */
enum mh_status ledger_copy(struct db *db, const char *path, struct mh_err *err);

/* -- what must be true --------------------------------------------------------------------------------------------- */

/* Says each thing that is wrong in one line. *ret_wrong: how many.
 *   errors  MH_RETRY: it could not be looked at */
enum mh_status ledger_check(
    struct db *db, void (*say)(void *user, const char *line), void *user, size_t *ret_wrong, struct mh_err *err);

#endif
