/* credentials.c: see credentials.h. */
#include "mailhook/work/ledger/credentials.h"

#include "mailhook/work/ledger/rows.h"

static void
read_credential(struct row *r, void *dst)
{
	struct credential_row c = { .action = row_str(r, 0), .name = row_str(r, 1) };
	bool known;

	row_time(r, 2, &c.has_expires, &c.expires);
	c.precision = (enum mh_precision)row_word(r, 3, mh_precision_names, PRECISIONS);
	row_time(r, 4, &known, &c.told);
	row_time(r, 5, &known, &c.asked);
	*(struct credential_row *)dst = c;
}

enum mh_status
ledger_credentials(struct db *db, struct arena *a, struct credential_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct credential_row, read_credential);
	const enum mh_status status =
	    rows_all(db, "SELECT action, name, expires, precision, told, asked FROM credentials ORDER BY action, name",
		NULL, 0, a, &list, err);

	if (status == MH_OK)
		*ret = (struct credential_rows){ list.items, list.n, list.cap };
	return status;
}

enum mh_status
ledger_credential_put(struct db *db, const struct credential_row *c, struct mh_err *err)
{
	char expires[MH_TIME_TEXT], told[MH_TIME_TEXT], asked[MH_TIME_TEXT];
	int64_t others = 0;
	enum mh_status status = db_one(db, "SELECT count(*) FROM credentials WHERE action = $1 AND name <> $2",
	    DB_ARGS(db_str(c->action), db_str(c->name)), &others, err);

	if (status == MH_OK && others >= MH_MAX_ACTION_CREDENTIALS)
		return mh_fail(err, MH_LIMIT, "more than %d credentials", MH_MAX_ACTION_CREDENTIALS);
	if (status != MH_OK)
		return status;
	return db_run(db,
	    "INSERT INTO credentials (action, name, expires, precision, told, asked) VALUES ($1, $2, $3, $4, $5, $6) "
	    "ON CONFLICT (action, name) DO UPDATE SET expires = excluded.expires, precision = excluded.precision, "
	    "told = excluded.told, asked = excluded.asked",
	    DB_ARGS(db_str(c->action), db_str(c->name), c->has_expires ? db_time(expires, c->expires) : db_null(),
		db_str(mh_precision_names[c->precision]), db_time(told, c->told), db_time(asked, c->asked)),
	    err);
}

enum mh_status
ledger_credentials_asked(struct db *db, const char *action, int64_t now, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

	return db_run(
	    db, "UPDATE credentials SET asked = $1 WHERE action = $2", DB_ARGS(db_time(t, now), db_str(action)), err);
}

enum mh_status
ledger_credentials_forget(struct db *db, const char *action, int64_t before, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

	if (before == INT64_MAX)
		return db_run(db, "DELETE FROM credentials WHERE action = $1", DB_ARGS(db_str(action)), err);
	return db_run(db,
	    "DELETE FROM credentials WHERE action = $1 AND told < $2 "
	    "AND EXISTS (SELECT 1 FROM credentials x WHERE x.action = $1 AND x.told >= $2)",
	    DB_ARGS(db_str(action), db_time(t, before)), err);
}

enum mh_status
ledger_credentials_stale(
    struct db *db, int64_t before, int64_t now, struct arena *a, const char **ret_action, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	char early[MH_TIME_TEXT], late[MH_TIME_TEXT];
	enum mh_status status = db_query(db,
	    "SELECT action FROM credentials GROUP BY action HAVING max(asked) <= $1 OR max(asked) > $2 "
	    "ORDER BY max(asked), action LIMIT 1",
	    DB_ARGS(db_time(early, before), db_time(late, now)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	return status == MH_OK ? db_get_str(rows, 0, a, ret_action, err) : status;
}
