/* pauses.c: what a person, or a restored ledger, keeps from starting. */
#include "mailhook/work/ledger/upkeep.h"

#include "mailhook/work/ledger/rows.h"

static void
read_pause(struct row *r, void *dst)
{
	struct pause_row p = { .scope = row_str(r, 0), .name = row_str(r, 1) };
	bool known;

	row_time(r, 2, &known, &p.since);
	p.by = row_str(r, 3);
	p.why = row_str(r, 4);
	*(struct pause_row *)dst = p;
}

enum mh_status
ledger_pauses(struct db *db, struct arena *a, struct pause_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct pause_row, read_pause);
	const enum mh_status status =
	    rows_all(db, "SELECT scope, name, since, by, why FROM pauses ORDER BY scope, name", NULL, 0, a, &list, err);

	if (status == MH_OK)
		*ret = (struct pause_rows){ list.items, list.n, list.cap };
	return status;
}

enum mh_status
ledger_paused_all(struct db *db, bool *ret, struct mh_err *err)
{
	int64_t n = 0;
	const enum mh_status status = db_one(db, "SELECT count(*) FROM pauses WHERE scope = 'all'", NULL, 0, &n, err);

	if (status == MH_OK)
		*ret = n > 0;
	return status;
}

enum mh_status
ledger_pause_add(struct db *db, const struct pause_row *p, struct mh_err *err)
{
	char since[MH_TIME_TEXT];
	const enum mh_status status = db_run(db,
	    "INSERT INTO pauses (scope, name, since, by, why) VALUES ($1, $2, $3, $4, $5) "
	    "ON CONFLICT (scope, name) DO NOTHING",
	    DB_ARGS(db_str(p->scope), db_str(p->name), db_time(since, p->since), db_str(p->by), db_str(p->why)), err);

	if (status == MH_OK && db->engine->changed(db) != 1)
		return mh_fail(err, MH_SKIP, "it is paused already");
	return status;
}

enum mh_status
ledger_pause_remove(struct db *db, const char *scope, const char *name, struct mh_err *err)
{
	const enum mh_status status =
	    db_run(db, "DELETE FROM pauses WHERE scope = $1 AND name = $2", DB_ARGS(db_str(scope), db_str(name)), err);

	if (status == MH_OK && db->engine->changed(db) != 1)
		return mh_fail(err, MH_SKIP, "it is not paused");
	return status;
}
