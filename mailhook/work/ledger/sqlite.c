/* sqlite.c: the engine on SQLite: write-ahead log, every commit synced, rows checked by STRICT tables.
 *
 * The only file that includes sqlite3.h.
 */
#include <poll.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "mailhook/clock.h"
#include "mailhook/work/ledger/db.h"

struct sqlite_db {
	struct db base;
	sqlite3 *handle; /* own */
};

struct sqlite_rows {
	struct db_rows base;
	sqlite3_stmt *stmt; /* own */
};

static sqlite3 *
handle_of(struct db *db)
{
	return ((struct sqlite_db *)db)->handle; /* base is the first member */
}

static sqlite3_stmt *
stmt_of(struct db_rows *rows)
{
	return ((struct sqlite_rows *)rows)->stmt;
}

/* Not what compares a row with others, as unique names do: there an index, or a counter that went back, may be at fault. */
static bool
is_of_value(int code)
{
	return code == SQLITE_CONSTRAINT_NOTNULL || code == SQLITE_CONSTRAINT_CHECK ||
	       code == SQLITE_CONSTRAINT_DATATYPE;
}

/* What may pass by itself or by a person's hand without losing anything is MH_RETRY. */
static enum mh_status
word(sqlite3 *handle, int code, struct mh_err *err)
{
	enum mh_status status = MH_BAD;

	switch (code & 0xFF) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
	case SQLITE_NOMEM:
	case SQLITE_READONLY:
	case SQLITE_INTERRUPT:
	case SQLITE_IOERR:
	case SQLITE_FULL:
	case SQLITE_CANTOPEN:
	case SQLITE_PROTOCOL:
	case SQLITE_PERM:
	case SQLITE_TOOBIG:
		status = MH_RETRY;
		break;
	default: /* SQLite's codes are an open set; all others are lasting */
		break;
	}
	(void)mh_fail(err, status, "ledger: %s", handle == NULL ? sqlite3_errstr(code) : sqlite3_errmsg(handle));
	return is_of_value(code) ? mh_of_value(err, status) : status;
}

static enum mh_status
sqlite_exec(struct db *db, const char *sql, struct mh_err *err)
{
	const int code = sqlite3_exec(handle_of(db), sql, NULL, NULL, NULL);

	return code == SQLITE_OK ? MH_OK : word(handle_of(db), code, err);
}

static void
sqlite_close(struct db *db)
{
	(void)sqlite3_close(handle_of(db));
	free(db);
}

/* Two processes that make one ledger at the same moment: SQLite answers the switch to the write-ahead log, and what meets
 * the clean-up of the last one's close, with "busy" at once, whatever the busy timeout is (sqlite3_busy_handler's page). */
static enum mh_status
set_up(struct sqlite_db *db, int busy_ms, struct mh_err *err)
{
	const int64_t until = clock_monotonic_ms() + busy_ms;
	int code;

	do {
		code = sqlite3_exec(db->handle,
		    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
		    "PRAGMA cell_size_check = ON",
		    NULL, NULL, NULL);
		if ((code & 0xFF) != SQLITE_BUSY)
			break;
		(void)poll(NULL, 0, 5);
	} while (clock_monotonic_ms() < until);
	return code == SQLITE_OK ? MH_OK : word(db->handle, code, err);
}

static enum mh_status
sqlite_open(const char *where, const struct db_options *o, struct db **ret, struct mh_err *err)
{
	struct stat st;

	if (!o->create && stat(where, &st) != 0)
		return mh_fail_errno(err, MH_SKIP, "%s", where);

	struct sqlite_db *db = calloc(1, sizeof(*db));
	if (db == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the ledger");
	db->base.engine = &sqlite_engine;

	const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (o->create ? SQLITE_OPEN_CREATE : 0);
	const int code = sqlite3_open_v2(where, &db->handle, flags, NULL);
	enum mh_status status = code == SQLITE_OK ? MH_OK : word(db->handle, code, err);
	if (status == MH_OK) {
		(void)sqlite3_extended_result_codes(db->handle, 1);
		(void)sqlite3_busy_timeout(db->handle, o->busy_ms);
		/* a ledger that somebody else wrote must not bring functions of its own */
		(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
		(void)sqlite3_db_config(db->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
		status = set_up(db, o->busy_ms, err);
	}
	if (status != MH_OK) {
		sqlite_close(&db->base);
		return status;
	}
	*ret = &db->base;
	return MH_OK;
}

static int
bind_one(sqlite3_stmt *stmt, int at, const struct db_value *v)
{
	switch (v->type) {
	case DB_NULL:
		return sqlite3_bind_null(stmt, at);
	case DB_INTEGER:
		return sqlite3_bind_int64(stmt, at, v->integer);
	case DB_TEXT:
		return sqlite3_bind_text64(stmt, at, v->bytes.p, v->bytes.n, SQLITE_STATIC, SQLITE_UTF8);
	case DB_BLOB:
		return sqlite3_bind_blob64(stmt, at, v->bytes.n == 0 ? "" : v->bytes.p, v->bytes.n, SQLITE_STATIC);
	}
	return SQLITE_MISUSE;
}

static void
sqlite_rows_free(struct db_rows *rows)
{
	(void)sqlite3_finalize(stmt_of(rows));
	free(rows);
}

static enum mh_status
sqlite_query(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct db_rows **ret,
    struct mh_err *err)
{
	sqlite3 *handle = handle_of(db);
	struct sqlite_rows *rows = calloc(1, sizeof(*rows));

	if (rows == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a question to the ledger");
	rows->base.db = db;

	int code = sqlite3_prepare_v2(handle, sql, -1, &rows->stmt, NULL);
	if (code == SQLITE_OK && (size_t)sqlite3_bind_parameter_count(rows->stmt) != n_args)
		code = SQLITE_RANGE;
	for (size_t i = 0; i < n_args && code == SQLITE_OK; i++)
		code = bind_one(rows->stmt, (int)i + 1, &args[i]);
	if (code != SQLITE_OK) {
		const enum mh_status status =
		    word(code == SQLITE_RANGE || code == SQLITE_MISUSE ? NULL : handle, code, err);
		sqlite_rows_free(&rows->base);
		return status;
	}
	*ret = &rows->base;
	return MH_OK;
}

static enum mh_status
sqlite_step(struct db_rows *rows, struct mh_err *err)
{
	const int code = sqlite3_step(stmt_of(rows));

	return code == SQLITE_ROW ? MH_OK : code == SQLITE_DONE ? MH_SKIP : word(handle_of(rows->db), code, err);
}

static enum db_type
sqlite_type(struct db_rows *rows, int column)
{
	switch (sqlite3_column_type(stmt_of(rows), column)) {
	case SQLITE_INTEGER:
		return DB_INTEGER;
	case SQLITE_TEXT:
		return DB_TEXT;
	case SQLITE_BLOB:
		return DB_BLOB;
	default: /* SQLITE_NULL; no table has a column for SQLITE_FLOAT */
		return DB_NULL;
	}
}

static int64_t
sqlite_integer(struct db_rows *rows, int column)
{
	return sqlite3_column_int64(stmt_of(rows), column);
}

static struct mh_span
sqlite_bytes(struct db_rows *rows, int column)
{
	sqlite3_stmt *stmt = stmt_of(rows);

	if (sqlite3_column_type(stmt, column) == SQLITE_NULL)
		return MH_NONE;
	const char *p = sqlite3_column_blob(stmt, column); /* NULL for an empty one */
	return (struct mh_span){ p == NULL ? "" : p, (size_t)sqlite3_column_bytes(stmt, column) };
}

static int64_t
sqlite_changed(struct db *db)
{
	return sqlite3_changes64(handle_of(db));
}

static enum mh_status
sqlite_begin(struct db *db, enum db_tx_kind kind, struct mh_err *err)
{
	(void)kind; /* there is one writer of a file, whatever it does */
	return sqlite_exec(db, "BEGIN IMMEDIATE", err);
}

static enum mh_status
sqlite_commit(struct db *db, struct mh_err *err)
{
	return sqlite_exec(db, "COMMIT", err);
}

/* Some failures roll back by themselves; then there is nothing to end. */
static void
sqlite_rollback(struct db *db)
{
	if (!sqlite3_get_autocommit(handle_of(db)))
		(void)sqlite3_exec(handle_of(db), "ROLLBACK", NULL, NULL, NULL);
}

static enum mh_status
sqlite_has_table(struct db *db, const char *table, bool *ret, struct mh_err *err)
{
	int64_t n = 0;
	const enum mh_status status = db_one(db,
	    "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1", DB_ARGS(db_str(table)), &n, err);

	if (status == MH_OK)
		*ret = n > 0;
	return status;
}

/* The table is there as soon as one has AUTOINCREMENT, its rows when a table has had one. */
static enum mh_status
sqlite_last_id(struct db *db, const char *table, int64_t *ret, struct mh_err *err)
{
	return db_one(db, "SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = $1), 0)",
	    DB_ARGS(db_str(table)), ret, err);
}

static enum mh_status
sqlite_set_last_id(struct db *db, const char *table, int64_t id, struct mh_err *err)
{
	const enum mh_status status =
	    db_run(db, "DELETE FROM sqlite_sequence WHERE name = $1", DB_ARGS(db_str(table)), err);

	return status == MH_OK ? db_run(db, "INSERT INTO sqlite_sequence (name, seq) VALUES ($1, $2)",
				     DB_ARGS(db_str(table), db_int(id)), err)
			       : status;
}

/* SQLite waits for another's transaction by itself, busy_ms long; who waited in vain had better leave it alone for a
 * while. */
static bool
sqlite_again(struct db *db)
{
	(void)db;
	return false;
}

static int64_t
sqlite_connections(struct db *db)
{
	(void)db;
	return 1;
}

static enum mh_status
sqlite_now(struct db *db, int64_t *ret, struct mh_err *err)
{
	(void)db;
	(void)err;
	*ret = clock_now();
	return MH_OK;
}

/* One worker a file, which others wake by the file "wake" beside it (work_wake). */
static void
sqlite_call(struct db *db)
{
	(void)db;
}

static int
sqlite_ear(struct db *db)
{
	(void)db;
	return -1;
}

static bool
sqlite_heard(struct db *db)
{
	(void)db;
	return false;
}

const struct db_engine sqlite_engine = {
	.name = "sqlite",
	.dialect = DB_SQLITE,
	.local = true,
	.skip_locked = "",
	.open = sqlite_open,
	.close = sqlite_close,
	.exec = sqlite_exec,
	.query = sqlite_query,
	.step = sqlite_step,
	.type = sqlite_type,
	.integer = sqlite_integer,
	.bytes = sqlite_bytes,
	.rows_free = sqlite_rows_free,
	.changed = sqlite_changed,
	.begin = sqlite_begin,
	.commit = sqlite_commit,
	.rollback = sqlite_rollback,
	.has_table = sqlite_has_table,
	.last_id = sqlite_last_id,
	.set_last_id = sqlite_set_last_id,
	.again = sqlite_again,
	.connections = sqlite_connections,
	.now = sqlite_now,
	.call = sqlite_call,
	.ear = sqlite_ear,
	.heard = sqlite_heard,
	.describe = NULL,
};
