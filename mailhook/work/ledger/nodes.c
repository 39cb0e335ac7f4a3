/* nodes.c: rows of nodes. */
#include "mailhook/work/ledger/nodes.h"

#include "mailhook/work/ledger/rows.h"

static void
read_node(struct row *r, void *dst)
{
	struct node_row n = { .name = row_str(r, 0), .life = row_str(r, 1), .version = row_str(r, 2) };
	bool known;

	row_time(r, 3, &known, &n.started);
	row_time(r, 4, &known, &n.seen);
	n.report = row_str(r, 5);
	*(struct node_row *)dst = n;
}

enum mh_status
ledger_nodes(struct db *db, struct arena *a, struct node_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct node_row, read_node);
	const enum mh_status status = rows_all(
	    db, "SELECT name, life, version, started, seen, report FROM nodes ORDER BY name", NULL, 0, a, &list, err);

	if (status == MH_OK)
		*ret = (struct node_rows){ list.items, list.n, list.cap };
	return status;
}

/* One changed row: it is ours. */
static enum mh_status
ours(struct db *db, enum mh_status status, struct mh_err *err)
{
	if (status == MH_OK && db->engine->changed(db) != 1)
		return mh_fail(err, MH_SKIP, "the node's row is another's");
	return status;
}

enum mh_status
ledger_node_enter(struct db *db, const struct node_row *n, struct mh_span kin, int64_t stale, struct mh_err *err)
{
	char started[MH_TIME_TEXT], seen[MH_TIME_TEXT], before[MH_TIME_TEXT];

	return ours(db,
	    db_run(db,
		"INSERT INTO nodes (name, life, version, started, seen, report) VALUES ($1, $2, $3, $4, $5, $6) ON "
		"CONFLICT (name) DO UPDATE SET life = excluded.life, version = excluded.version, started = "
		"excluded.started, seen = excluded.seen, report = excluded.report WHERE nodes.life = '' OR "
		"substr(nodes.life, 1, CAST($7 AS integer)) = $8 OR nodes.seen < $9",
		DB_ARGS(db_str(n->name), db_str(n->life), db_str(n->version), db_time(started, n->started),
		    db_time(seen, n->seen), db_str(n->report), db_int((int64_t)kin.n), db_span(kin),
		    db_time(before, stale)),
		err),
	    err);
}

enum mh_status
ledger_node_seen(struct db *db, const char *name, const char *life, int64_t now, const char *report, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

	return ours(db,
	    db_run(db, "UPDATE nodes SET seen = $1, report = $2 WHERE name = $3 AND life = $4",
		DB_ARGS(db_time(t, now), db_str(report), db_str(name), db_str(life)), err),
	    err);
}

enum mh_status
ledger_node_leave(struct db *db, const char *name, const char *life, int64_t now, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

	return db_run(db, "UPDATE nodes SET seen = $1, life = '' WHERE name = $2 AND life = $3",
	    DB_ARGS(db_time(t, now), db_str(name), db_str(life)), err);
}

enum mh_status
ledger_node_forget(struct db *db, const char *name, int64_t since, struct mh_err *err)
{
	char t[MH_TIME_TEXT];
	const enum mh_status status = ours(db,
	    db_run(db, "DELETE FROM nodes WHERE name = $1 AND (life = '' OR seen < $2)",
		DB_ARGS(db_str(name), db_time(t, since)), err),
	    err);

	return status == MH_OK ? db_run(db, "DELETE FROM refusals WHERE node = $1", DB_ARGS(db_str(name)), err)
			       : status;
}
