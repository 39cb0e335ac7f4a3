/* times.c: what time has done to each case. */
#include "mailhook/work/ledger/times.h"

#include "mailhook/work/ledger/rows.h"

static void
read_time(struct row *r, void *dst)
{
	*(struct time_row *)dst = (struct time_row){ .case_id = db_get_int(r->rows, 0),
		.reminded = db_get_int(r->rows, 1),
		.expired = db_get_int(r->rows, 2) != 0,
		.awaited = db_get_int(r->rows, 3) != 0,
		.escalated = row_str(r, 4) };
}

enum mh_status
ledger_times_due(struct db *db, int64_t now, size_t max, struct arena *a, struct time_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct time_row, read_time);
	char t[MH_TIME_TEXT];
	const enum mh_status status = rows_all(db,
	    "SELECT id, reminded, expired, awaited, escalated FROM cases WHERE look <= $1 ORDER BY look, id LIMIT $2",
	    DB_ARGS(db_time(t, now), db_int((int64_t)max)), a, &list, err);

	if (status == MH_OK)
		*ret = (struct time_rows){ list.items, list.n, list.cap };
	return status;
}

enum mh_status
ledger_times_update(struct db *db, const struct time_row *t, struct mh_err *err)
{
	char look[MH_TIME_TEXT];

	return db_run(db,
	    "UPDATE cases SET reminded = $1, expired = $2, awaited = $3, escalated = $4, look = $5 WHERE id = $6",
	    DB_ARGS(db_int(t->reminded), db_int(t->expired), db_int(t->awaited), db_str(t->escalated),
		db_time(look, t->look), db_int(t->case_id)),
	    err);
}

enum mh_status
ledger_times_forget(struct db *db, int64_t case_id, struct mh_err *err)
{
	return db_run(db, "UPDATE cases SET reminded = 0, expired = 0 WHERE id = $1", DB_ARGS(db_int(case_id)), err);
}

enum mh_status
ledger_times_next(struct db *db, int64_t *ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	bool known = false;
	enum mh_status status = db_query(db, "SELECT min(look) FROM cases", NULL, 0, &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status == MH_OK)
		status = db_get_time(rows, 0, &known, ret, err);
	return status == MH_OK && !known ? mh_fail(err, MH_SKIP, "there is no case") : status;
}

enum mh_status
ledger_times_reset(struct db *db, struct mh_err *err)
{
	return db_exec(db, "UPDATE cases SET look = '0001-01-01T00:00:00Z' WHERE look <> '0001-01-01T00:00:00Z'", err);
}

static enum mh_status
counted(struct db *db, const char *sql, const struct db_value *args, size_t n_args, bool *ret, struct mh_err *err)
{
	int64_t n = 0;
	const enum mh_status status = db_one(db, sql, args, n_args, &n, err);

	if (status == MH_OK)
		*ret = n > 0;
	return status;
}

/* Effects of an escalation belong to an event "reminded": that somebody was called is not that somebody acted. */
enum mh_status
ledger_effect_done(struct db *db, int64_t case_id, bool *ret, struct mh_err *err)
{
	return counted(db,
	    "SELECT count(*) FROM jobs WHERE case_id = $1 AND role = 'effect' AND state = 'done' AND event <> "
	    "'reminded'",
	    DB_ARGS(db_int(case_id)), ret, err);
}

enum mh_status
ledger_case_later(struct db *db, const struct case_row *c, int64_t after, bool *ret, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

#define RENEWED                                                                                                        \
	" AND expires > $3 AND (region IS NULL OR CAST($4 AS TEXT) IS NULL OR region = $4) "                           \
	"AND (resource IS NULL OR CAST($5 AS TEXT) IS NULL OR resource = $5) AND id <> $6 AND reason IS NULL"
	/* by the index on PostgreSQL, too: see ledger_case_candidates */
	return counted(db,
	    c->account == NULL ? "SELECT count(*) FROM cases WHERE kind = $1 AND account IS NULL "
				 "AND CAST($2 AS TEXT) IS NULL" RENEWED
			       : "SELECT count(*) FROM cases WHERE kind = $1 AND account = $2" RENEWED,
	    DB_ARGS(db_str(c->kind), db_str(c->account), db_time(t, after), db_str(c->region), db_str(c->resource),
		db_int(c->id)),
	    ret, err);
}

enum mh_status
ledger_open_of_kind(struct db *db, const char *kind, struct arena *a, struct id_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(int64_t, row_id);
	const enum mh_status status =
	    rows_all(db, "SELECT id FROM cases WHERE kind = $1 AND state = 'open' ORDER BY id", DB_ARGS(db_str(kind)),
		a, &list, err);

	if (status == MH_OK)
		*ret = (struct id_rows){ list.items, list.n, list.cap };
	return status;
}

enum mh_status
ledger_case_known(struct db *db, const struct case_row *c, bool *ret, struct mh_err *err)
{
	char expires[MH_TIME_TEXT];

	return counted(db,
	    "SELECT count(*) FROM cases WHERE id = (SELECT max(id) FROM cases WHERE kind = $1 "
	    "AND resource IS NOT DISTINCT FROM $2) AND expires IS NOT DISTINCT FROM $3 "
	    "AND (CAST($3 AS TEXT) IS NOT NULL OR reason IS NOT DISTINCT FROM $4) "
	    "AND (state = 'open' OR closed_trust IS NOT NULL OR closed_by IS DISTINCT FROM 'mailhook')",
	    DB_ARGS(db_str(c->kind), db_str(c->resource), c->has_expires ? db_time(expires, c->expires) : db_null(),
		db_str(c->reason)),
	    ret, err);
}
