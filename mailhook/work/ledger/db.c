/* db.c: what every engine shares: values, one-row questions, transactions that cannot be forgotten. */
#include "mailhook/work/ledger/db.h"

struct db_value
db_int(int64_t v)
{
	return (struct db_value){ .type = DB_INTEGER, .integer = v };
}

struct db_value
db_span(struct mh_span s)
{
	return (struct db_value){ .type = s.p == NULL ? DB_NULL : DB_TEXT, .bytes = s };
}

struct db_value
db_str(const char *s)
{
	return db_span(span_of(s));
}

struct db_value
db_blob(struct mh_span s)
{
	return (struct db_value){ .type = s.p == NULL ? DB_NULL : DB_BLOB, .bytes = s };
}

struct db_value
db_time(char keep[MH_TIME_TEXT], int64_t t)
{
	return db_str(time_text(keep, t));
}

struct db_value
db_null(void)
{
	return (struct db_value){ .type = DB_NULL };
}

void
db_close(struct db *db)
{
	if (db != NULL)
		db->engine->close(db);
}

enum mh_status
db_exec(struct db *db, const char *sql, struct mh_err *err)
{
	return db->engine->exec(db, sql, err);
}

enum mh_status
db_query(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct db_rows **ret,
    struct mh_err *err)
{
	return db->engine->query(db, sql, args, n_args, ret, err);
}

enum mh_status
db_step(struct db_rows *rows, struct mh_err *err)
{
	return rows->db->engine->step(rows, err);
}

void
db_rows_drop(struct db_rows **rows)
{
	if (*rows != NULL)
		(*rows)->db->engine->rows_free(*rows);
	*rows = NULL;
}

enum mh_status
db_run(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status = db_query(db, sql, args, n_args, &rows, err);

	while (status == MH_OK)
		status = db_step(rows, err);
	return status == MH_SKIP ? MH_OK : status;
}

enum mh_status
db_one(struct db *db, const char *sql, const struct db_value *args, size_t n_args, int64_t *ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status = db_query(db, sql, args, n_args, &rows, err);

	if (status != MH_OK)
		return status;
	status = db_step(rows, err);
	if (status != MH_OK)
		return status;

	const int64_t value = db_get_int(rows, 0);
	do { /* an INSERT ... RETURNING is done only when it was stepped to its end */
		status = db_step(rows, err);
	} while (status == MH_OK);
	if (status != MH_SKIP)
		return status;
	*ret = value;
	return MH_OK;
}

struct mh_span
db_get_bytes(struct db_rows *rows, int column)
{
	return rows->db->engine->bytes(rows, column);
}

int64_t
db_get_int(struct db_rows *rows, int column)
{
	return rows->db->engine->integer(rows, column);
}

enum mh_status
db_get_str(struct db_rows *rows, int column, struct arena *a, const char **ret, struct mh_err *err)
{
	const struct mh_span s = db_get_bytes(rows, column);
	struct mh_span copy;

	if (s.p == NULL) {
		*ret = NULL;
		return MH_OK;
	}
	if (arena_copy(a, s, &copy, err) != MH_OK)
		return mh_fail(err, MH_RETRY, "no memory for a row of the ledger");
	*ret = copy.p;
	return MH_OK;
}

enum mh_status
db_one_time(struct db *db, const char *sql, const struct db_value *args, size_t n_args, bool *ret_known, int64_t *ret,
    struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status = db_query(db, sql, args, n_args, &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	return status == MH_OK ? db_get_time(rows, 0, ret_known, ret, err) : status;
}

enum mh_status
db_get_time(struct db_rows *rows, int column, bool *ret_known, int64_t *ret, struct mh_err *err)
{
	const struct mh_span s = db_get_bytes(rows, column);

	*ret_known = s.p != NULL;
	return s.p == NULL ? MH_OK : time_read(s, ret, err);
}

bool
db_unlooked(struct db *db)
{
	return db->look != NULL && db->engine->connections(db) != db->looked;
}

/* Where it fails, the next transaction looks again. */
enum mh_status
db_look(struct db *db, struct mh_err *err)
{
	if (!db_unlooked(db))
		return MH_OK;
	db->looked = db->engine->connections(db);
	const enum mh_status status = db->look(db->look_user, err);
	if (status != MH_OK)
		db->looked = -1;
	return status;
}

static enum mh_status
tx_begin(struct db *db, enum db_tx_kind kind, struct db_tx *tx, struct mh_err *err)
{
	enum mh_status status = db->engine->begin(db, kind, err);

	while (status == MH_OK && db_unlooked(db)) {
		db->engine->rollback(db);
		status = db_look(db, err);
		if (status == MH_OK)
			status = db->engine->begin(db, kind, err);
	}
	if (status == MH_OK) {
		tx->db = db;
		db->in_tx = true;
		db->noting.n = 0;
	}
	return status;
}

enum mh_status
db_tx_begin(struct db *db, struct db_tx *tx, struct mh_err *err)
{
	return tx_begin(db, DB_WRITE, tx, err);
}

enum mh_status
db_tx_claim(struct db *db, struct db_tx *tx, struct mh_err *err)
{
	return tx_begin(db, DB_CLAIM, tx, err);
}

enum mh_status
db_tx_commit(struct db_tx *tx, struct mh_err *err)
{
	struct db *db = tx->db;
	const enum mh_status status = db->engine->commit(db, err);

	if (status == MH_OK) {
		tx->db = NULL;
		db->in_tx = false;
		if (db->noting.n > db->noted.n)
			db->noted = db->noting;
	}
	return status;
}

void
db_note(struct db *db, const struct db_note *note)
{
	struct db_note *to = db->in_tx ? &db->noting : &db->noted;

	if (note->n > to->n)
		*to = *note;
}

bool
db_again(struct db *db, enum mh_status status, int *tries)
{
	return status == MH_RETRY && ++*tries < DB_TRIES && db->engine->again(db);
}

void
db_tx_drop(struct db_tx *tx)
{
	if (tx->db != NULL) {
		tx->db->engine->rollback(tx->db);
		tx->db->in_tx = false;
	}
	tx->db = NULL;
}
