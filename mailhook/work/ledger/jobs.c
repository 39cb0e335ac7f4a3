/* jobs.c: one row for each action that is due for an event of a case. */
#include "mailhook/work/ledger/rows.h"

#define COUNT(names) (sizeof(names) / sizeof((names)[0]))
#define JOB_COLUMNS                                                                                                    \
	"j.id, j.job_key, j.case_id, j.action, j.role, j.event, j.event_id, j.position, j.needs, j.state, "            \
	"j.waiting_for, j.attempt, j.due, j.created, j.started, j.retrying_since, j.ended, j.lease_owner, "            \
	"j.action_state, j.summary, j.url"

const char *const job_state_names[JOB_SKIPPED + 1] = { "queued", "running", "waiting", "done", "failed", "skipped" };
const char *const job_wait_names[JOB_WAIT_AFTER + 1] = { NULL, "time", "approval", "input", "trust", "after" };
const char *const role_names[ROLE_REPLY + 1] = {
	[ROLE_TICKET] = "ticket", [ROLE_EFFECT] = "effect", [ROLE_REPLY] = "reply"
};

static void
read_job(struct row *r, void *dst)
{
	struct job_row j = { .id = db_get_int(r->rows, 0) };
	bool known;

	j.job_key = row_str(r, 1);
	j.case_id = db_get_int(r->rows, 2);
	j.action = row_str(r, 3);
	j.role = (enum action_role)row_word(r, 4, role_names, COUNT(role_names));
	j.event = row_str(r, 5);
	j.event_id = db_get_int(r->rows, 6);
	j.position = db_get_int(r->rows, 7);
	j.needs = (enum trust_level)row_word(r, 8, trust_names, TRUST_LEVELS);
	j.state = (enum job_state)row_word(r, 9, job_state_names, COUNT(job_state_names));
	j.waiting_for = (enum job_wait)row_word(r, 10, job_wait_names, COUNT(job_wait_names));
	j.attempt = db_get_int(r->rows, 11);
	row_time(r, 12, &j.has_due, &j.due);
	row_time(r, 13, &known, &j.created);
	row_time(r, 14, &j.has_started, &j.started);
	row_time(r, 15, &j.has_retrying, &j.retrying_since);
	row_time(r, 16, &j.has_ended, &j.ended);
	j.lease_owner = row_str(r, 17);
	j.action_state = row_str(r, 18);
	j.summary = row_str(r, 19);
	j.url = row_str(r, 20);
	*(struct job_row *)dst = j;
}

static enum mh_status
many_jobs(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct arena *a,
    struct job_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct job_row, read_job);
	const enum mh_status status = rows_all(db, sql, args, n_args, a, &list, err);

	if (status == MH_OK)
		*ret = (struct job_rows){ list.items, list.n, list.cap };
	return status;
}

enum mh_status
ledger_job_get(struct db *db, int64_t id, struct arena *a, struct job_row *ret, struct mh_err *err)
{
	struct job_rows list = { 0 };
	const enum mh_status status =
	    many_jobs(db, "SELECT " JOB_COLUMNS " FROM jobs j WHERE j.id = $1", DB_ARGS(db_int(id)), a, &list, err);

	if (status != MH_OK)
		return status;
	if (list.n == 0)
		return mh_fail(err, MH_SKIP, "no such job");
	*ret = list.items[0];
	return MH_OK;
}

enum mh_status
ledger_jobs_of_case(struct db *db, int64_t case_id, struct arena *a, struct job_rows *ret, struct mh_err *err)
{
	return many_jobs(db,
	    "SELECT " JOB_COLUMNS " FROM jobs j WHERE j.case_id = $1 ORDER BY j.event_id, j.position, j.id",
	    DB_ARGS(db_int(case_id)), a, ret, err);
}

enum mh_status
ledger_jobs_due(struct db *db, int64_t now, size_t max, struct arena *a, struct job_rows *ret, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

	return many_jobs(db,
	    "SELECT " JOB_COLUMNS " FROM jobs j WHERE j.state IN ('queued', 'waiting') AND j.due <= $1 "
	    "AND NOT EXISTS (SELECT 1 FROM jobs r WHERE r.case_id = j.case_id AND r.state = "
	    "'running') " LEDGER_NOT_PAUSED("j") "ORDER BY j.event_id, j.position, j.id LIMIT $2",
	    DB_ARGS(db_time(t, now), db_int((int64_t)max)), a, ret, err);
}

enum mh_status
ledger_jobs_any_due(struct db *db, int64_t now, bool *ret, struct mh_err *err)
{
	char t[MH_TIME_TEXT];
	int64_t id = 0;
	const enum mh_status status =
	    db_one(db, "SELECT id FROM jobs WHERE state IN ('queued', 'waiting') AND due <= $1 LIMIT 1",
		DB_ARGS(db_time(t, now)), &id, err);

	if (status == MH_OK || status == MH_SKIP)
		*ret = status == MH_OK;
	return status == MH_SKIP ? MH_OK : status;
}

enum mh_status
ledger_jobs_next_due(struct db *db, int64_t now, int64_t *ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	char t[MH_TIME_TEXT];
	bool known = false;
	enum mh_status status =
	    db_query(db, "SELECT min(due) FROM jobs WHERE state IN ('queued', 'waiting') AND due > $1",
		DB_ARGS(db_time(t, now)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status == MH_OK)
		status = db_get_time(rows, 0, &known, ret, err);
	return status == MH_OK && !known ? mh_fail(err, MH_SKIP, "nothing is due") : status;
}

enum mh_status
ledger_job_add(struct db *db, const struct job_row *j, int64_t *ret_id, struct mh_err *err)
{
	char due[MH_TIME_TEXT], created[MH_TIME_TEXT], ended[MH_TIME_TEXT];

	return db_one(db,
	    "INSERT INTO jobs (job_key, case_id, action, role, event, event_id, position, needs, state, waiting_for, "
	    "due, "
	    "created, ended, summary) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) RETURNING "
	    "id",
	    DB_ARGS(db_str(j->job_key), db_int(j->case_id), db_str(j->action), db_str(role_names[j->role]),
		db_str(j->event), db_int(j->event_id), db_int(j->position), db_str(trust_names[j->needs]),
		db_str(job_state_names[j->state]), db_str(job_wait_names[j->waiting_for]),
		j->has_due ? db_time(due, j->due) : db_null(), db_time(created, j->created),
		j->has_ended ? db_time(ended, j->ended) : db_null(), db_str(j->summary)),
	    ret_id, err);
}

enum mh_status
ledger_job_update(struct db *db, const struct job_row *j, struct mh_err *err)
{
	char due[MH_TIME_TEXT], started[MH_TIME_TEXT], retrying[MH_TIME_TEXT], ended[MH_TIME_TEXT];

	return db_run(db,
	    "UPDATE jobs SET state = $1, waiting_for = $2, attempt = $3, due = $4, started = $5, retrying_since = $6, "
	    "ended = $7, action_state = $8, summary = $9, url = $10, lease_owner = NULL, lease_until = NULL WHERE id = "
	    "$11",
	    DB_ARGS(db_str(job_state_names[j->state]), db_str(job_wait_names[j->waiting_for]), db_int(j->attempt),
		j->has_due ? db_time(due, j->due) : db_null(),
		j->has_started ? db_time(started, j->started) : db_null(),
		j->has_retrying ? db_time(retrying, j->retrying_since) : db_null(),
		j->has_ended ? db_time(ended, j->ended) : db_null(), db_str(j->action_state), db_str(j->summary),
		db_str(j->url), db_int(j->id)),
	    err);
}

enum mh_status
ledger_job_counts(struct db *db, int64_t ret[JOB_SKIPPED + 1], struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status = db_query(db, "SELECT state, count(*) FROM jobs GROUP BY state", NULL, 0, &rows, err);

	for (size_t i = 0; i <= JOB_SKIPPED; i++)
		ret[i] = 0;
	while (status == MH_OK && (status = db_step(rows, err)) == MH_OK)
		ret[ledger_word(job_state_names, COUNT(job_state_names), db_get_bytes(rows, 0))] = db_get_int(rows, 1);
	return status == MH_SKIP ? MH_OK : status;
}
