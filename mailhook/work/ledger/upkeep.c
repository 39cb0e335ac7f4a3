/* upkeep.c: how far a ledger came, what it lets go with time, and copies of it. */
#include "mailhook/work/ledger/upkeep.h"

enum mh_status
ledger_last_event(struct db *db, int64_t *ret, struct mh_err *err)
{
	int64_t n = 0;
	const enum mh_status status =
	    db_one(db, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", NULL, 0, &n, err);

	if (status != MH_OK && status != MH_SKIP)
		return status;
	*ret = n;
	return MH_OK;
}

/* -- retention ----------------------------------------------------------------------------------------------------- */

static const char make_orphans[] = "CREATE TEMP TABLE orphans AS SELECT DISTINCT message_id AS id FROM notices WHERE "
				   "case_id IN (SELECT id FROM purged)";
static const char delete_orphans[] = "DELETE FROM messages WHERE id IN (SELECT id FROM orphans) AND NOT EXISTS "
				     "(SELECT 1 FROM notices n WHERE n.message_id = messages.id)";

/* What belongs to the cases of the temporary list goes, then what belongs to nothing. Jobs point at events. */
static enum mh_status
purge_cases(struct db *db, size_t max, struct purge *p, bool *ret_more, struct mh_err *err)
{
	static const char *const steps[] = {
		"DELETE FROM jobs WHERE case_id IN (SELECT id FROM purged)",
		"DELETE FROM events WHERE case_id IN (SELECT id FROM purged)",
		"DELETE FROM approvals WHERE case_id IN (SELECT id FROM purged)",
		"DELETE FROM renewals WHERE case_id IN (SELECT id FROM purged)",
		make_orphans,
		"DELETE FROM notices WHERE case_id IN (SELECT id FROM purged)",
		delete_orphans,
		"DELETE FROM cases WHERE id IN (SELECT id FROM purged)",
		"DROP TABLE orphans",
		"DROP TABLE purged",
	};
	char before[MH_TIME_TEXT];
	int64_t n = 0;

	if (p->cases_before == INT64_MIN)
		return MH_OK;
	enum mh_status status = db_exec(db, "CREATE TEMP TABLE purged (id INTEGER PRIMARY KEY)", err);
	if (status == MH_OK) /* a job that is not over yet keeps its case */
		status = db_run(db,
		    "INSERT INTO purged SELECT c.id FROM cases c WHERE c.state = 'closed' AND c.closed < $1 AND NOT "
		    "EXISTS (SELECT 1 FROM jobs j WHERE j.case_id = c.id AND j.state IN ('queued', 'running', "
		    "'waiting')) ORDER BY c.id LIMIT $2",
		    DB_ARGS(db_time(before, p->cases_before), db_int((int64_t)max)), err);
	if (status == MH_OK)
		n = db->engine->changed(db);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == MH_OK; i++)
		status = db_exec(db, steps[i], err);
	p->cases += (size_t)n;
	*ret_more = *ret_more || (size_t)n == max;
	return status;
}

static enum mh_status
purge_mail(struct db *db, size_t max, struct purge *p, bool *ret_more, struct mh_err *err)
{
	char before[MH_TIME_TEXT];
	const enum mh_status status = db_run(db,
	    "UPDATE messages SET raw = NULL, quarantined = 0 WHERE id IN (SELECT m.id FROM messages m WHERE m.raw IS "
	    "NOT NULL AND m.received < $1 AND NOT EXISTS (SELECT 1 FROM notices n JOIN cases c ON c.id = n.case_id "
	    "WHERE n.message_id = m.id AND (c.state = 'open' OR c.closed >= $1)) ORDER BY m.id LIMIT $2)",
	    DB_ARGS(db_time(before, p->mail_before), db_int((int64_t)max)), err);

	if (status != MH_OK)
		return status;
	const size_t n = (size_t)db->engine->changed(db);
	p->messages += n;
	*ret_more = *ret_more || n == max;
	return MH_OK;
}

enum mh_status
ledger_purge(struct db *db, size_t max, struct purge *p, bool *ret_more, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct purge done = *p;
	bool more = false;
	enum mh_status status = db_tx_begin(db, &tx, err);

	if (status == MH_OK)
		status = purge_mail(db, max, &done, &more, err);
	if (status == MH_OK)
		status = purge_cases(db, max, &done, &more, err);
	if (status == MH_OK)
		status = db_tx_commit(&tx, err);
	if (status != MH_OK)
		return status;
	*p = done;
	*ret_more = more;
	return MH_OK;
}

enum mh_status
ledger_empty_percent(struct db *db, int64_t *ret, struct mh_err *err)
{
	int64_t pages = 0, empty = 0;
	enum mh_status status = db_one(db, "PRAGMA page_count", NULL, 0, &pages, err);

	if (status == MH_OK)
		status = db_one(db, "PRAGMA freelist_count", NULL, 0, &empty, err);
	if (status == MH_OK)
		*ret = pages <= 0 ? 0 : empty * 100 / pages;
	return status;
}

enum mh_status
ledger_vacuum(struct db *db, struct mh_err *err)
{
	/* the file itself shrinks when the log is written back into it; where somebody reads, that comes later */
	const enum mh_status status = db_exec(db, "VACUUM", err);

	return status == MH_OK ? db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", err) : status;
}

/* -- copies -------------------------------------------------------------------------------------------------------- */

enum mh_status
ledger_copy(struct db *db, const char *path, struct mh_err *err)
{
	if (!db->engine->local)
		return mh_fail(err, MH_BAD, "this ledger is kept by a database server: pg_dump makes a copy of it");
	return db_run(db, "VACUUM INTO $1", DB_ARGS(db_str(path)), err);
}
