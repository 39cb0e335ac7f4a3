/* refusals.c: rows of refusals. */
#include "mailhook/work/ledger/refusals.h"

#include "mailhook/work/ledger/rows.h"

enum mh_status
ledger_refuse(struct db *db, const struct refusal_row *r, bool *ret_news, struct mh_err *err)
{
	char until[MH_TIME_TEXT];
	int64_t known = 0;
	enum mh_status status = db_one(db, "SELECT count(*) FROM refusals WHERE job_id = $1 AND node = $2 AND why = $3",
	    DB_ARGS(db_int(r->job_id), db_str(r->node), db_str(r->why)), &known, err);

	if (status == MH_OK)
		status = db_run(db,
		    "INSERT INTO refusals (job_id, node, until, why) VALUES ($1, $2, $3, $4) ON CONFLICT (job_id, "
		    "node) DO "
		    "UPDATE SET until = excluded.until, why = excluded.why",
		    DB_ARGS(db_int(r->job_id), db_str(r->node), db_time(until, r->until), db_str(r->why)), err);
	if (status == MH_OK)
		*ret_news = known == 0;
	return status;
}

enum mh_status
ledger_refusals_drop(struct db *db, int64_t job_id, const char *node, struct mh_err *err)
{
	if (node != NULL)
		return db_run(db, "DELETE FROM refusals WHERE job_id = $1 AND node = $2",
		    DB_ARGS(db_int(job_id), db_str(node)), err);
	return db_run(db, "DELETE FROM refusals WHERE job_id = $1", DB_ARGS(db_int(job_id)), err);
}

enum mh_status
ledger_refusals_drop_case(struct db *db, int64_t case_id, struct mh_err *err)
{
	return db_run(db, "DELETE FROM refusals WHERE job_id IN (SELECT id FROM jobs WHERE case_id = $1)",
	    DB_ARGS(db_int(case_id)), err);
}

enum mh_status
ledger_refusals_drop_node(struct db *db, const char *node, struct mh_err *err)
{
	return db_run(db, "DELETE FROM refusals WHERE node = $1", DB_ARGS(db_str(node)), err);
}

static void
read_refusal(struct row *r, void *dst)
{
	struct refusal_row f = { .job_id = db_get_int(r->rows, 0), .node = row_str(r, 1), .why = row_str(r, 3) };
	bool known;

	row_time(r, 2, &known, &f.until);
	*(struct refusal_row *)dst = f;
}

enum mh_status
ledger_refusals(struct db *db, int64_t case_id, struct arena *a, struct refusal_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct refusal_row, read_refusal);
	const enum mh_status status = rows_all(db,
	    "SELECT f.job_id, f.node, f.until, f.why FROM refusals f JOIN jobs j ON j.id = f.job_id WHERE j.case_id = "
	    "$1 "
	    "ORDER BY f.job_id, f.node",
	    DB_ARGS(db_int(case_id)), a, &list, err);

	if (status == MH_OK)
		*ret = (struct refusal_rows){ list.items, list.n, list.cap };
	return status;
}

#define GOES_ON "j.state IN ('queued', 'running', 'waiting')"
#define BY_ALL                                                                                                         \
	"NOT EXISTS (SELECT 1 FROM nodes n WHERE n.seen > $1 AND NOT EXISTS (SELECT 1 FROM refusals g WHERE g.job_id " \
	"= j.id AND g.node = n.name))"

enum mh_status
ledger_refusals_count(struct db *db, int64_t now, int64_t *ret_jobs, int64_t *ret_by_all, struct mh_err *err)
{
	static const char some[] =
	    "SELECT count(*) FROM jobs j WHERE " GOES_ON " AND EXISTS (SELECT 1 FROM refusals f WHERE f.job_id = j.id)";
	static const char all[] = "SELECT count(*) FROM jobs j WHERE " GOES_ON
				  " AND EXISTS (SELECT 1 FROM refusals f WHERE f.job_id = j.id) AND " BY_ALL;
	char since[MH_TIME_TEXT];
	enum mh_status status = db_one(db, some, NULL, 0, ret_jobs, err);

	if (status == MH_OK)
		status = db_one(db, all, DB_ARGS(db_time(since, now - REFUSAL_SEEN_S)), ret_by_all, err);
	return status;
}

enum mh_status
ledger_refused_by_all(
    struct db *db, int64_t now, struct arena *a, int64_t *ret_case, struct refusal_row *ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	char since[MH_TIME_TEXT];
	bool known;
	enum mh_status status = db_query(db,
	    "SELECT j.case_id, f.job_id, f.node, f.why, f.until FROM refusals f JOIN jobs j ON j.id = f.job_id "
	    "WHERE " GOES_ON " AND " BY_ALL " ORDER BY f.job_id, f.node LIMIT 1",
	    DB_ARGS(db_time(since, now - REFUSAL_SEEN_S)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status != MH_OK)
		return status;
	struct row r = { rows, a, err, MH_OK };
	struct refusal_row found = { .job_id = db_get_int(rows, 1), .node = row_str(&r, 2), .why = row_str(&r, 3) };
	row_time(&r, 4, &known, &found.until);
	if (r.status != MH_OK)
		return r.status;
	*ret_case = db_get_int(rows, 0);
	*ret = found;
	return MH_OK;
}
