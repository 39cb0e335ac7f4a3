/* claims.c: rows of claims. */
#include "mailhook/work/ledger/claims.h"

#include <string.h>

#include "mailhook/work/ledger/rows.h"

#define GOES_ON                                                                                                        \
	"EXISTS (SELECT 1 FROM jobs j WHERE j.case_id = claims.case_id AND j.action = claims.action AND j.state IN "   \
	"('queued', 'running', 'waiting'))"

/* Whose it is, if it is anybody's but ours. MH_OK: it is free, or ours. */
static enum mh_status
is_free(struct db *db, const char *name, int64_t case_id, int64_t now, char held[CLAIM_HELD_BYTES], struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	char oldest[MH_TIME_TEXT];
	enum mh_status status = db_query(db,
	    "SELECT k.key FROM claims JOIN cases k ON k.id = claims.case_id WHERE claims.name = $1 AND claims.case_id "
	    "<> $2 AND claims.since > $3 AND (k.state = 'open' OR " GOES_ON ")",
	    DB_ARGS(db_str(name), db_int(case_id), db_time(oldest, now - CLAIM_VOID_S)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status != MH_OK)
		return status == MH_SKIP ? MH_OK : status;
	const struct mh_span key = span_head(db_get_bytes(rows, 0), CLAIM_HELD_BYTES - 1);
	memcpy(held, key.p, key.n);
	held[key.n] = '\0';
	return mh_fail(err, MH_SKIP, "case %s has claimed it", held);
}

enum mh_status
ledger_claim_take(struct db *db, const char *name, int64_t case_id, const char *action, int64_t now,
    char held[CLAIM_HELD_BYTES], struct mh_err *err)
{
	char since[MH_TIME_TEXT];
	const enum mh_status status = is_free(db, name, case_id, now, held, err);

	if (status != MH_OK)
		return status;
	return db_run(db,
	    "INSERT INTO claims (name, case_id, action, since) VALUES ($1, $2, $3, $4) ON CONFLICT (name) DO UPDATE "
	    "SET case_id = excluded.case_id, action = excluded.action, since = excluded.since",
	    DB_ARGS(db_str(name), db_int(case_id), db_str(action), db_time(since, now)), err);
}

enum mh_status
ledger_claim_drop(struct db *db, const char *name, int64_t case_id, struct mh_err *err)
{
	return db_run(
	    db, "DELETE FROM claims WHERE name = $1 AND case_id = $2", DB_ARGS(db_str(name), db_int(case_id)), err);
}

enum mh_status
ledger_claims_end(struct db *db, int64_t case_id, const char *action, struct mh_err *err)
{
	if (action != NULL)
		return db_run(db, "DELETE FROM claims WHERE case_id = $1 AND action = $2",
		    DB_ARGS(db_int(case_id), db_str(action)), err);
	return db_run(db, "DELETE FROM claims WHERE case_id = $1 AND NOT " GOES_ON, DB_ARGS(db_int(case_id)), err);
}

static void
read_claim(struct row *r, void *dst)
{
	struct claim_row c = { .name = row_str(r, 0), .action = row_str(r, 1), .case_id = db_get_int(r->rows, 2) };
	bool known;

	row_time(r, 3, &known, &c.since);
	*(struct claim_row *)dst = c;
}

enum mh_status
ledger_claims(struct db *db, int64_t case_id, struct arena *a, struct claim_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct claim_row, read_claim);
	const enum mh_status status =
	    rows_all(db, "SELECT name, action, case_id, since FROM claims WHERE case_id = $1 ORDER BY name",
		DB_ARGS(db_int(case_id)), a, &list, err);

	if (status == MH_OK)
		*ret = (struct claim_rows){ list.items, list.n, list.cap };
	return status;
}
