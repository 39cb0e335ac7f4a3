/* nodes.h: the machines whose workers share the ledger, each with a row that it renews: a sign of life by the ledger's
 * clock, and what it tells of itself.
 *
 * Each function is one statement, outside a transaction, which may be repeated. Errors of all: those of db.h.
 */
#ifndef MAILHOOK_WORK_LEDGER_NODES_H
#define MAILHOOK_WORK_LEDGER_NODES_H

#include "mailhook/work/ledger/ledger.h"

struct node_row {
	const char *name, *life; /* life: "" where its worker stopped in order */
	const char *version;
	int64_t started, seen;
	const char *report; /* JSON */
};
struct node_rows {
	struct node_row *items;
	size_t n, cap;
};

/* By name. */
enum mh_status ledger_nodes(struct db *db, struct arena *a, struct node_rows *ret, struct mh_err *err);
/* Makes the name this life's. A row of another is taken over where its worker stopped, where its life begins as `kin`
 * does, or where it was not seen since stale.
 *   errors  MH_SKIP another worker has that name */
enum mh_status ledger_node_enter(
    struct db *db, const struct node_row *n, struct mh_span kin, int64_t stale, struct mh_err *err);
/* A sign of life. MH_SKIP: the row is another life's, or gone. */
enum mh_status ledger_node_seen(
    struct db *db, const char *name, const char *life, int64_t now, const char *report, struct mh_err *err);
/* The worker stops in order. */
enum mh_status ledger_node_leave(struct db *db, const char *name, const char *life, int64_t now, struct mh_err *err);
/* A machine that does not come back, with what it refused. MH_SKIP: there is none, or it was seen since `since`, and its
 * worker has not stopped. */
enum mh_status ledger_node_forget(struct db *db, const char *name, int64_t since, struct mh_err *err);

#endif
