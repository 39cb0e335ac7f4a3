/* pauses.c: what a person, or a restored ledger, keeps from starting. */
#include "mailhook/work/ledger/upkeep.h"

#include "mailhook/work/ledger/rows.h"

static enum mh_status
read_pause_row(struct db_rows *rows, struct arena *a, struct pause_row *ret, struct mh_err *err)
{
	struct row r = { rows, a, err, MH_OK };
	struct pause_row p = { .scope = row_str(&r, 0), .name = row_str(&r, 1) };
	bool known;

	row_time(&r, 2, &known, &p.since);
	p.by = row_str(&r, 3);
	p.why = row_str(&r, 4);
	if (r.status == MH_OK)
		*ret = p;
	return r.status;
}

enum mh_status
ledger_pauses(struct db *db, struct arena *a, struct pause_rows *ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	struct pause_rows list = { 0 };
	enum mh_status status =
	    db_query(db, "SELECT scope, name, since, by, why FROM pauses ORDER BY scope, name", NULL, 0, &rows, err);

	while (status == MH_OK && (status = db_step(rows, err)) == MH_OK) {
		list.items = rows_room(a, list.items, list.n, &list.cap, sizeof(*list.items));
		status = list.items == NULL ? rows_full(err) : read_pause_row(rows, a, &list.items[list.n], err);
		if (status == MH_OK)
			list.n++;
	}
	if (status != MH_SKIP)
		return status;
	*ret = list;
	return MH_OK;
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
