/* approvals.c: rows of approvals and renewals, and the steps that jobs wait with. */
#include "mailhook/work/ledger/approvals.h"

#include "mailhook/work/ledger/rows.h"

enum mh_status
ledger_approval_add(struct db *db, int64_t case_id, const char *step, const char *by, int64_t at, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

	return db_run(db, "INSERT INTO approvals (case_id, step, by, at) VALUES ($1, $2, $3, $4)",
	    DB_ARGS(db_int(case_id), db_str(step), db_str(by), db_time(t, at)), err);
}

static void
read_approval(struct row *r, void *dst)
{
	struct approval_row *row = dst;
	bool known;

	row->step = row_str(r, 0);
	row->by = row_str(r, 1);
	row_time(r, 2, &known, &row->at);
}

enum mh_status
ledger_approvals(struct db *db, int64_t case_id, struct arena *a, struct approval_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct approval_row, read_approval);
	const enum mh_status status = rows_all(db, "SELECT step, by, at FROM approvals WHERE case_id = $1 ORDER BY id",
	    DB_ARGS(db_int(case_id)), a, &list, err);

	if (status == MH_OK)
		*ret = (struct approval_rows){ list.items, list.n, list.cap };
	return status;
}

enum mh_status
ledger_job_step(struct db *db, int64_t job_id, struct arena *a, const char **ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status =
	    db_query(db, "SELECT step FROM jobs WHERE id = $1", DB_ARGS(db_int(job_id)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	return status == MH_OK ? db_get_str(rows, 0, a, ret, err) : status;
}

enum mh_status
ledger_job_step_set(struct db *db, int64_t job_id, const char *step, struct mh_err *err)
{
	return db_run(db, "UPDATE jobs SET step = $1 WHERE id = $2", DB_ARGS(db_str(step), db_int(job_id)), err);
}

static void
read_step(struct row *r, void *dst)
{
	*(const char **)dst = row_str(r, 0);
}

enum mh_status
ledger_steps_waiting(struct db *db, int64_t case_id, struct arena *a, struct step_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(const char *, read_step);
	const enum mh_status status = rows_all(db,
	    "SELECT DISTINCT step FROM jobs WHERE case_id = $1 AND state = 'waiting' AND waiting_for = 'approval' AND "
	    "step "
	    "IS NOT NULL ORDER BY step",
	    DB_ARGS(db_int(case_id)), a, &list, err);

	if (status == MH_OK)
		*ret = (struct step_rows){ list.items, list.n, list.cap };
	return status;
}

enum mh_status
ledger_renewal_set(struct db *db, int64_t case_id, const struct renewal_row *r, struct mh_err *err)
{
	char expires[MH_TIME_TEXT], notice[MH_TIME_TEXT];

	return db_run(db,
	    "INSERT INTO renewals (case_id, expires, notice) VALUES ($1, $2, $3) ON CONFLICT (case_id) DO UPDATE SET "
	    "expires = excluded.expires, notice = excluded.notice",
	    DB_ARGS(
		db_int(case_id), db_time(expires, r->expires), r->has_notice ? db_time(notice, r->notice) : db_null()),
	    err);
}

enum mh_status
ledger_renewal(struct db *db, int64_t case_id, struct renewal_row *ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	struct renewal_row r = { 0 };
	bool known;
	enum mh_status status = db_query(
	    db, "SELECT expires, notice FROM renewals WHERE case_id = $1", DB_ARGS(db_int(case_id)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status == MH_OK)
		status = db_get_time(rows, 0, &known, &r.expires, err);
	if (status == MH_OK)
		status = db_get_time(rows, 1, &r.has_notice, &r.notice, err);
	if (status == MH_OK)
		*ret = r;
	return status;
}
