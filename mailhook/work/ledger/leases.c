/* leases.c: see leases.h. */
#include "mailhook/work/ledger/leases.h"

#include <stdio.h>
#include <stdlib.h>

#include "mailhook/work/ledger/rows.h"

#define LEASE_S 60
#define CHOICES 8  /* of a job that another node was faster for */
#define NO_TIME "" /* before all times: a lease of a local engine has no end */

int
ledger_lease_s(void)
{
	const char *text = secure_getenv("MAILHOOK_LEASE_S"); /* NOLINT(concurrency-mt-unsafe): there is one thread */
	int s = 0;

	for (const char *p = text == NULL ? "" : text; *p >= '0' && *p <= '9' && s <= LEASE_S; p++)
		s = s * 10 + (*p - '0');
	return s >= 3 && s <= LEASE_S ? s : LEASE_S;
}

struct leasing {
	struct db *db;
	const char *node, *owner;
	int64_t job_id, attempt, now; /* now: by which a job is due */
	struct mh_span state;
	struct arena *a;
	struct job_row *ret;
	bool again; /* not the first try: what the one before did may be done, and only its answer lost */
	int64_t at; /* the ledger's clock */
	char at_text[MH_TIME_TEXT], until_text[MH_TIME_TEXT];
};

static enum mh_status
once(struct leasing *l, enum mh_status (*what)(struct leasing *l, struct mh_err *err), struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	enum mh_status status = db_tx_claim(l->db, &tx, err);

	if (status == MH_OK)
		status = l->db->engine->now(l->db, &l->at, err);
	(void)time_text(l->at_text, l->at);
	(void)time_text(l->until_text, l->at + ledger_lease_s());
	if (status == MH_OK)
		status = what(l, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

static enum mh_status
tried(struct leasing *l, enum mh_status (*what)(struct leasing *l, struct mh_err *err), struct mh_err *err)
{
	int tries = 0;
	enum mh_status status;

	do {
		l->again = tries > 0;
		status = once(l, what, err);
	} while (db_again(l->db, status, &tries));
	return status;
}

/* One changed row: the lease is ours. */
static enum mh_status
held(const struct leasing *l, enum mh_status status, struct mh_err *err)
{
	if (status == MH_OK && l->db->engine->changed(l->db) != 1)
		return mh_fail(err, MH_SKIP, "the job's lease is not ours");
	return status;
}

/* -- claiming ------------------------------------------------------------------------------------------------------ */

/* Whether the claim before was done after all: the job was nobody's when it was chosen, and no other has our name. */
static enum mh_status
claimed(const struct leasing *l, bool *ret, struct mh_err *err)
{
	int64_t n = 0;
	enum mh_status status = MH_OK;

	if (l->again && l->job_id != 0)
		status =
		    db_one(l->db, "SELECT count(*) FROM jobs WHERE id = $1 AND state = 'running' AND lease_owner = $2",
			DB_ARGS(db_int(l->job_id), db_str(l->owner)), &n, err);
	*ret = n > 0;
	return status;
}

/* Looks once more that none of its case runs: another claim may have ended behind the look that chose this job. */
static enum mh_status
claim(struct leasing *l, struct mh_err *err)
{
	char now[MH_TIME_TEXT];

	return held(l,
	    db_run(l->db,
		"UPDATE jobs SET state = 'running', waiting_for = NULL, due = NULL, attempt = attempt + 1, "
		"started = COALESCE(started, $1), lease_owner = $2, lease_until = $3 WHERE id = $4 "
		"AND state IN ('queued', 'waiting') " LEDGER_NOT_PAUSED(
		    "jobs") "AND NOT EXISTS (SELECT 1 FROM jobs r WHERE r.case_id = jobs.case_id AND r.state = "
			    "'running')",
		DB_ARGS(db_time(now, l->now), db_str(l->owner), db_str(l->until_text), db_int(l->job_id)), err),
	    err);
}

/* By the index of turns, for which the one of states is hidden: of a long queue only the head is looked at.
 * The case's row is taken too, so that two nodes do not choose two jobs of one case in the same moment. */
static enum mh_status
choose(struct leasing *l, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	char sql[2048], now[MH_TIME_TEXT];

	const int n = snprintf(sql, sizeof(sql),
	    "SELECT j.id FROM jobs j JOIN cases k ON k.id = j.case_id WHERE COALESCE(j.state, '') IN ('queued', "
	    "'waiting') AND j.due <= $1 AND NOT EXISTS (SELECT 1 FROM jobs r WHERE r.case_id = j.case_id AND r.state = "
	    "'running') " LEDGER_NOT_PAUSED(
		"j") "AND NOT EXISTS (SELECT 1 FROM refusals f WHERE f.job_id = j.id AND f.node = $2 AND f.until > $3) "
		     "ORDER BY j.event_id, j.position, j.id LIMIT 1 %s",
	    l->db->engine->skip_locked);
	if (n <= 0 || (size_t)n >= sizeof(sql))
		return mh_fail(err, MH_BAD, "ledger: a statement is too long");
	enum mh_status status =
	    db_query(l->db, sql, DB_ARGS(db_time(now, l->now), db_str(l->node), db_str(l->at_text)), &rows, err);
	if (status == MH_OK)
		status = db_step(rows, err);
	if (status == MH_OK)
		l->job_id = db_get_int(rows, 0);
	return status == MH_SKIP ? mh_fail(err, MH_SKIP, "nothing is due") : status;
}

/* A case of which another has taken a job behind the look is in sight at the next: what else is due is not to wait for it. */
static enum mh_status
next(struct leasing *l, struct mh_err *err)
{
	bool done = false;
	enum mh_status status = claimed(l, &done, err);

	if (status == MH_OK && done)
		return ledger_job_get(l->db, l->job_id, l->a, l->ret, err);
	if (status == MH_OK)
		status = MH_SKIP;
	for (int i = 0; i < CHOICES && status == MH_SKIP; i++) {
		status = choose(l, err);
		if (status == MH_OK)
			status = ledger_job_get(l->db, l->job_id, l->a, l->ret, err);
		if (status != MH_OK || (l->ret->state == JOB_WAITING && l->ret->waiting_for == JOB_WAIT_AFTER))
			return status;
		status = claim(l, err);
	}
	return status == MH_OK ? ledger_job_get(l->db, l->job_id, l->a, l->ret, err) : status;
}

enum mh_status
ledger_lease_next(struct db *db, const char *node, const char *owner, int64_t now, struct arena *a, struct job_row *ret,
    struct mh_err *err)
{
	struct job_row j = { 0 };
	struct leasing l = { .db = db, .node = node, .owner = owner, .now = now, .a = a, .ret = &j };
	const enum mh_status status = tried(&l, next, err);

	if (status == MH_OK)
		*ret = j;
	return status;
}

/* As choose() does it. */
static enum mh_status
hold_case(struct leasing *l, struct mh_err *err)
{
	char sql[160];
	int64_t id = 0;

	(void)snprintf(sql, sizeof(sql), "SELECT k.id FROM cases k JOIN jobs j ON j.case_id = k.id WHERE j.id = $1 %s",
	    l->db->engine->skip_locked);
	const enum mh_status status = db_one(l->db, sql, DB_ARGS(db_int(l->job_id)), &id, err);
	return status == MH_SKIP ? mh_fail(err, MH_SKIP, "a job of the case is another's") : status;
}

static enum mh_status
claim_one(struct leasing *l, struct mh_err *err)
{
	bool done = false;
	enum mh_status status = claimed(l, &done, err);

	if (status != MH_OK || done)
		return status;
	status = hold_case(l, err);
	return status == MH_OK ? claim(l, err) : status;
}

enum mh_status
ledger_lease_claim(struct db *db, int64_t job_id, const char *owner, int64_t now, struct mh_err *err)
{
	struct leasing l = { .db = db, .owner = owner, .job_id = job_id, .now = now };

	return tried(&l, claim_one, err);
}

/* -- keeping ------------------------------------------------------------------------------------------------------- */

static struct leasing
of_run(struct db *db, const struct lease_row *lease)
{
	return (struct leasing){ .db = db, .owner = lease->owner, .job_id = lease->job_id, .attempt = lease->attempt };
}

/* By when a lease must not have ended for its owner to have it still. */
static struct db_value
not_before(const struct leasing *l)
{
	return db_str(l->db->engine->local ? NO_TIME : l->at_text);
}

static enum mh_status
renew(struct leasing *l, struct mh_err *err)
{
	return held(l,
	    db_run(l->db,
		"UPDATE jobs SET lease_until = $1 WHERE id = $2 AND state = 'running' AND lease_owner = $3 AND "
		"attempt = $4 AND lease_until >= $5",
		DB_ARGS(db_str(l->until_text), db_int(l->job_id), db_str(l->owner), db_int(l->attempt), not_before(l)),
		err),
	    err);
}

static enum mh_status
checkpoint(struct leasing *l, struct mh_err *err)
{
	return held(l,
	    db_run(l->db,
		"UPDATE jobs SET action_state = $1, lease_until = $2 WHERE id = $3 AND state = 'running' AND "
		"lease_owner = $4 AND attempt = $5 AND lease_until >= $6",
		DB_ARGS(db_span(l->state), db_str(l->until_text), db_int(l->job_id), db_str(l->owner),
		    db_int(l->attempt), not_before(l)),
		err),
	    err);
}

enum mh_status
ledger_lease_renew(struct db *db, const struct lease_row *lease, struct mh_err *err)
{
	struct leasing l = of_run(db, lease);

	return tried(&l, renew, err);
}

enum mh_status
ledger_lease_checkpoint(struct db *db, const struct lease_row *lease, struct mh_span state, struct mh_err *err)
{
	struct leasing l = of_run(db, lease);

	l.state = state;
	return tried(&l, checkpoint, err);
}

/* -- taking back --------------------------------------------------------------------------------------------------- */

/* With a local engine only a terminal's can end before its worker. */
#define MAY_LAPSE "state = 'running' AND (lease_owner LIKE '%" LEDGER_HANDOVER "' OR $1 = 0) "

static void
read_lease(struct row *r, void *dst)
{
	*(struct lease_row *)dst = (struct lease_row){
		.job_id = db_get_int(r->rows, 0), .attempt = db_get_int(r->rows, 1), .owner = row_str(r, 2)
	};
}

static enum mh_status
many(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct arena *a,
    struct lease_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct lease_row, read_lease);
	const enum mh_status status = rows_all(db, sql, args, n_args, a, &list, err);

	if (status == MH_OK)
		*ret = (struct lease_rows){ list.items, list.n, list.cap };
	return status;
}

enum mh_status
ledger_leases_lapsed(struct db *db, struct arena *a, struct lease_rows *ret, struct mh_err *err)
{
	char t[MH_TIME_TEXT];
	int64_t at = 0;
	const enum mh_status status = db->engine->now(db, &at, err);

	return status == MH_OK ? many(db,
				     "SELECT id, attempt, lease_owner FROM jobs WHERE " MAY_LAPSE
				     "AND lease_until < $2 ORDER BY id",
				     DB_ARGS(db_int(db->engine->local), db_time(t, at)), a, ret, err)
			       : status;
}

enum mh_status
ledger_leases_of(struct db *db, struct mh_span owners, struct arena *a, struct lease_rows *ret, struct mh_err *err)
{
	return many(db,
	    "SELECT id, attempt, lease_owner FROM jobs WHERE state = 'running' AND substr(lease_owner, 1, CAST($1 AS "
	    "integer)) = $2 ORDER BY id",
	    DB_ARGS(db_int((int64_t)owners.n), db_span(owners)), a, ret, err);
}

enum mh_status
ledger_lease_look(struct db *db, const struct lease_row *lease, bool *ret_lapsed, struct mh_err *err)
{
	char t[MH_TIME_TEXT];
	int64_t at = 0, lapsed = 0;
	enum mh_status status = db->engine->now(db, &at, err);

	if (status == MH_OK)
		status = db_one(db,
		    "SELECT CASE WHEN lease_until < $1 THEN 1 ELSE 0 END FROM jobs WHERE id = $2 AND state = 'running' "
		    "AND lease_owner = $3 AND attempt = $4",
		    DB_ARGS(db_time(t, at), db_int(lease->job_id), db_str(lease->owner), db_int(lease->attempt)),
		    &lapsed, err);
	if (status == MH_OK)
		*ret_lapsed =
		    lapsed != 0 && (!db->engine->local || span_iends(span_of(lease->owner), MH_LIT(LEDGER_HANDOVER)));
	return status;
}

enum mh_status
ledger_leases_next(struct db *db, int64_t now, int64_t *ret, struct mh_err *err)
{
	char t[MH_TIME_TEXT];
	bool known = false;
	int64_t until = 0;
	const enum mh_status status =
	    db_one_time(db, "SELECT min(lease_until) FROM jobs WHERE " MAY_LAPSE "AND lease_until >= $2",
		DB_ARGS(db_int(db->engine->local), db_time(t, now)), &known, &until, err);

	if (status == MH_OK && !known)
		return mh_fail(err, MH_SKIP, "no lease ends");
	if (status == MH_OK)
		*ret = until + 1; /* its last second is still its owner's */
	return status;
}
