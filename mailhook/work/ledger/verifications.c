/* verifications.c: what DNS could not judge yet. */
#include "mailhook/work/ledger/rows.h"

enum mh_status
ledger_verification_add(
    struct db *db, int64_t message_id, int64_t received, int64_t due, struct mh_span raw, struct mh_err *err)
{
	char came[MH_TIME_TEXT], when[MH_TIME_TEXT];

	return db_run(db,
	    "INSERT INTO verifications (message_id, received, due, attempts, raw) VALUES ($1, $2, $3, 1, $4)",
	    DB_ARGS(db_int(message_id), db_time(came, received), db_time(when, due), db_blob(raw)), err);
}

static enum mh_status
one(struct db *db, const char *sql, const struct db_value *arg, struct verification_row *ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status = db_query(db, sql, arg, 1, &rows, err);
	struct verification_row v = { 0 };
	bool known;

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status != MH_OK)
		return status;
	v.id = db_get_int(rows, 0);
	v.message_id = db_get_int(rows, 1);
	status = db_get_time(rows, 2, &known, &v.received, err);
	if (status == MH_OK)
		status = db_get_time(rows, 3, &known, &v.due, err);
	v.attempts = db_get_int(rows, 4);
	v.copy = db_get_int(rows, 5) != 0;
	if (status == MH_OK)
		*ret = v;
	return status;
}

#define COLUMNS "id, message_id, received, due, attempts, raw IS NOT NULL"

enum mh_status
ledger_verification_due(struct db *db, int64_t now, struct verification_row *ret, struct mh_err *err)
{
	char when[MH_TIME_TEXT];
	const struct db_value arg = db_time(when, now);

	return one(
	    db, "SELECT " COLUMNS " FROM verifications WHERE due <= $1 ORDER BY due, id LIMIT 1", &arg, ret, err);
}

enum mh_status
ledger_verification_of(struct db *db, int64_t message_id, struct verification_row *ret, struct mh_err *err)
{
	const struct db_value arg = db_int(message_id);

	return one(
	    db, "SELECT " COLUMNS " FROM verifications WHERE message_id = $1 ORDER BY due, id LIMIT 1", &arg, ret, err);
}

enum mh_status
ledger_verification_next(struct db *db, int64_t now, int64_t *ret, struct mh_err *err)
{
	char when[MH_TIME_TEXT];
	struct verification_row v;
	const struct db_value arg = db_time(when, now);
	const enum mh_status status =
	    one(db, "SELECT " COLUMNS " FROM verifications WHERE due > $1 ORDER BY due, id LIMIT 1", &arg, &v, err);

	if (status == MH_OK)
		*ret = v.due;
	return status;
}

enum mh_status
ledger_verification_count(struct db *db, int64_t message_id, int64_t *ret, struct mh_err *err)
{
	return db_one(
	    db, "SELECT count(*) FROM verifications WHERE message_id = $1", DB_ARGS(db_int(message_id)), ret, err);
}

enum mh_status
ledger_verification_raw(struct db *db, int64_t id, struct buf *ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status = db_query(db,
	    "SELECT COALESCE(v.raw, m.raw) FROM verifications v JOIN messages m ON m.id = v.message_id WHERE v.id = $1",
	    DB_ARGS(db_int(id)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status != MH_OK)
		return status;

	const struct mh_span raw = db_get_bytes(rows, 0);
	if (raw.p == NULL)
		return mh_fail(err, MH_SKIP, "the message's bytes are not kept");
	buf_put(ret, raw);
	return buf_ok(ret) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a message of %zu bytes", raw.n);
}

enum mh_status
ledger_verification_take(struct db *db, const struct verification_row *v, int64_t until, struct mh_err *err)
{
	char when[MH_TIME_TEXT], before[MH_TIME_TEXT];
	const enum mh_status status = db_run(db, "UPDATE verifications SET due = $1 WHERE id = $2 AND due = $3",
	    DB_ARGS(db_time(when, until), db_int(v->id), db_time(before, v->due)), err);

	if (status == MH_OK && db->engine->changed(db) != 1)
		return mh_fail(err, MH_SKIP, "another node judges the message");
	return status;
}

enum mh_status
ledger_verification_later(struct db *db, int64_t id, int64_t due, int64_t attempts, struct mh_err *err)
{
	char when[MH_TIME_TEXT];

	return db_run(db, "UPDATE verifications SET due = $1, attempts = $2 WHERE id = $3",
	    DB_ARGS(db_time(when, due), db_int(attempts), db_int(id)), err);
}

enum mh_status
ledger_verification_drop(struct db *db, int64_t id, struct mh_err *err)
{
	return db_run(db, "DELETE FROM verifications WHERE id = $1", DB_ARGS(db_int(id)), err);
}

enum mh_status
ledger_verification_drop_all(struct db *db, int64_t message_id, struct mh_err *err)
{
	return db_run(db, "DELETE FROM verifications WHERE message_id = $1", DB_ARGS(db_int(message_id)), err);
}

enum mh_status
ledger_message_trust(struct db *db, int64_t id, const char *steps, struct mh_err *err)
{
	return db_run(
	    db, "UPDATE messages SET trust_steps = $1 WHERE id = $2", DB_ARGS(db_str(steps), db_int(id)), err);
}
