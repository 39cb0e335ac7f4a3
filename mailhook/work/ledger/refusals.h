/* refusals.h: jobs that a node leaves to the others, for it lacks a key, a file or a program that they may have.
 *
 * A row stands as long as nothing else is known of that node and that job; `until` says when the node tries again itself.
 * It goes when the node ran the job after all, when the job has ended, when a person has it tried again, and when the
 * node starts anew. Functions are called inside a transaction of the caller. Errors of all: those of db.h.
 */
#ifndef MAILHOOK_WORK_LEDGER_REFUSALS_H
#define MAILHOOK_WORK_LEDGER_REFUSALS_H

#include "mailhook/work/ledger/ledger.h"

#define REFUSAL_S 600     /* then what it lacked may be there */
#define REFUSAL_SEEN_S 60 /* a node that was seen before that is not counted on */

struct refusal_row {
	int64_t job_id, until;
	const char *node, *why;
};
struct refusal_rows {
	struct refusal_row *items;
	size_t n, cap;
};

/* *ret_news: that node has not said this of the job before. */
enum mh_status ledger_refuse(struct db *db, const struct refusal_row *r, bool *ret_news, struct mh_err *err);
/* Of one node; NULL: of all. */
enum mh_status ledger_refusals_drop(struct db *db, int64_t job_id, const char *node, struct mh_err *err);
enum mh_status ledger_refusals_drop_case(struct db *db, int64_t case_id, struct mh_err *err);
enum mh_status ledger_refusals_drop_node(struct db *db, const char *node, struct mh_err *err);
/* Of the case's jobs, by job and node. */
enum mh_status ledger_refusals(
    struct db *db, int64_t case_id, struct arena *a, struct refusal_rows *ret, struct mh_err *err);
/* Jobs that are left to others by a node at least, and those of them that every node leaves which was seen within
 * REFUSAL_SEEN_S. now: the ledger's clock. */
enum mh_status ledger_refusals_count(
    struct db *db, int64_t now, int64_t *ret_jobs, int64_t *ret_by_all, struct mh_err *err);
/* One of the second kind: its case, and what one node says. MH_SKIP: there is none. */
enum mh_status ledger_refused_by_all(
    struct db *db, int64_t now, struct arena *a, int64_t *ret_case, struct refusal_row *ret, struct mh_err *err);

#endif
