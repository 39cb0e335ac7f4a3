/* postgresql.c: the engine on PostgreSQL: statements, transactions, a clock and calls that nodes share.
 *
 * A module of its own, which the worker loads where the configuration names such a server: libpq alone costs more than
 * all else that it starts with. One writer at a time: a row of "meta" is the lock, and it goes with its owner's connection.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/work/ledger/postgresql_impl.h"

/* A ledger that is out of use has a negative number there: its row is not found, by whoever waited for it either. */
#define LOCK_ROW "SELECT 1 FROM meta WHERE name = 'schema' AND value NOT LIKE '-%' FOR "
#define LOCK_ANY_ROW "SELECT 1 FROM meta WHERE name = 'schema' FOR "
/* By the words, not by what the server's own default is. */
#define BEGIN "BEGIN ISOLATION LEVEL READ COMMITTED"

struct pg_rows {
	struct db_rows base;
	PGresult *result;    /* own */
	char (*numbers)[24]; /* own: a column's integer as text; NULL until one is asked for */
	int row;
};

static struct pg *
pg_of(struct db *db)
{
	return (struct pg *)db; /* base is the first member */
}

static struct pg_rows *
rows_of(struct db_rows *rows)
{
	return (struct pg_rows *)rows;
}

/* Before each statement. A transaction does not outlive its connection: what was lost with it is not to be forgotten. */
static enum mh_status
ready(struct pg *pg, struct mh_err *err)
{
	if (!pg->in_tx) {
		pg->lost = pg->repeat = false;
		return pg_connect(pg, err);
	}
	return pg->conn != NULL ? MH_OK
				: mh_fail(err, MH_RETRY, "ledger: the connection was lost inside a transaction");
}

static enum mh_status
run(struct pg *pg, const char *sql, struct mh_err *err)
{
	MH_AUTO(pg_result_drop) PGresult *r = NULL;
	const enum mh_status status = ready(pg, err);

	return status == MH_OK ? pg_simple(pg, sql, &r, err) : status;
}

static enum mh_status
postgresql_exec(struct db *db, const char *sql, struct mh_err *err)
{
	return run(pg_of(db), sql, err);
}

static void
postgresql_close(struct db *db)
{
	struct pg *pg = pg_of(db);

	if (pg->statements != NULL) {
		pg_disconnect(pg);
		for (size_t i = 0; i < PG_STATEMENTS; i++)
			free(pg->statements[i].sql);
	}
	free(pg->statements);
	free(pg->url);
	free(pg->password_file);
	free(pg->password_command);
	free(pg);
}

static bool
copy(const char *s, char **ret)
{
	*ret = s == NULL ? NULL : strdup(s);
	return s == NULL || *ret != NULL;
}

static enum mh_status
postgresql_open(const char *where, const struct db_options *o, struct db **ret, struct mh_err *err)
{
	struct pg *pg = calloc(1, sizeof(*pg));

	if (pg == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the ledger");
	pg->base.engine = &postgresql_engine;
	pg->busy_ms = o->busy_ms;
	pg->answer_ms = PG_ANSWER_MS;
	pg->out_of_use = o->out_of_use;
	pg->step = o->step;
	pg->step_user = o->step_user;
	pg->statements = calloc(PG_STATEMENTS, sizeof(*pg->statements));
	const bool whole = pg->statements != NULL && copy(where, &pg->url) &&
			   copy(o->password_file, &pg->password_file) &&
			   copy(o->password_command, &pg->password_command);

	const enum mh_status status = whole ? pg_connect(pg, err) : mh_fail(err, MH_RETRY, "no memory for the ledger");
	if (status != MH_OK) {
		postgresql_close(&pg->base);
		return status;
	}
	*ret = &pg->base;
	return MH_OK;
}

/* -- statements ---------------------------------------------------------------------------------------------------- */

/* The place of this text; NULL: there is no room for one more. *ret_known: it was asked before. */
static struct pg_statement *
statement_of(struct pg *pg, const char *sql, bool *ret_known)
{
	size_t at = 5381;

	for (const char *c = sql; *c != '\0'; c++)
		at = at * 33 + (unsigned char)*c;
	for (at %= PG_STATEMENTS; pg->statements[at].sql != NULL; at = (at + 1) % PG_STATEMENTS)
		if (strcmp(pg->statements[at].sql, sql) == 0) {
			*ret_known = true;
			return &pg->statements[at];
		}
	*ret_known = false;
	if (pg->n_statements >= PG_STATEMENTS / 4 * 3)
		return NULL;
	pg->statements[at].sql = strdup(sql);
	if (pg->statements[at].sql == NULL)
		return NULL;
	pg->n_statements++;
	return &pg->statements[at];
}

/* What is asked once costs one way there and back; from the second time on the server keeps the statement. */
static enum mh_status
ask(struct pg *pg, const char *sql, const struct pg_args *a, size_t n_args, PGresult **ret, struct mh_err *err)
{
	MH_AUTO(pg_result_drop) PGresult *prepared = NULL;
	bool known;
	struct pg_statement *s = statement_of(pg, sql, &known);
	char name[24];

	if (s == NULL || !known)
		return pg_answer(pg,
		    PQsendQueryParams(pg->conn, sql, (int)n_args, NULL, a->values, a->lengths, a->formats, 1) == 1, ret,
		    err);
	(void)snprintf(name, sizeof(name), "m%td", s - pg->statements);
	if (!s->prepared) {
		const enum mh_status status =
		    pg_answer(pg, PQsendPrepare(pg->conn, name, sql, 0, NULL) == 1, &prepared, err);
		if (status != MH_OK)
			return status;
		s->prepared = true;
	}
	return pg_answer(
	    pg, PQsendQueryPrepared(pg->conn, name, (int)n_args, a->values, a->lengths, a->formats, 1) == 1, ret, err);
}

static enum mh_status
limit(struct pg *pg, int64_t idle_ms, int64_t statement_ms, struct mh_err *err)
{
	MH_AUTO(pg_result_drop) PGresult *r = NULL;
	char sql[160];

	(void)snprintf(sql, sizeof(sql),
	    "SET LOCAL idle_in_transaction_session_timeout = %" PRId64 "; SET LOCAL statement_timeout = %" PRId64,
	    idle_ms, statement_ms);
	return pg_simple(pg, sql, &r, err);
}

/* The server's clocks run while a large value is on its way: without more time a slow line would never bring it. */
static enum mh_status
ask_patiently(struct pg *pg, const char *sql, const struct pg_args *a, size_t n_args, size_t bytes, PGresult **ret,
    struct mh_err *err)
{
	const int64_t more = (int64_t)(bytes / 512), idle = PG_IDLE_MS + more, statement = PG_STATEMENT_MS + more;

	if (bytes < PG_LARGE_BYTES || !pg->in_tx || !pg->limited || pg->out_of_use)
		return ask(pg, sql, a, n_args, ret, err);
	enum mh_status status =
	    limit(pg, idle < PG_LARGE_MS ? idle : PG_LARGE_MS, statement < PG_LARGE_MS ? statement : PG_LARGE_MS, err);
	if (status == MH_OK)
		status = ask(pg, sql, a, n_args, ret, err);
	if (status == MH_OK)
		status = limit(pg, PG_IDLE_MS, PG_STATEMENT_MS, err);
	return status;
}

static void
postgresql_rows_free(struct db_rows *rows)
{
	PQclear(rows_of(rows)->result);
	free(rows_of(rows)->numbers);
	free(rows);
}

static enum mh_status
postgresql_query(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct db_rows **ret,
    struct mh_err *err)
{
	struct pg *pg = pg_of(db);
	MH_AUTO(pg_args_release) struct pg_args a = { .n = 0 };
	size_t bytes = 0;

	if (n_args > PG_STATEMENT_ARGS)
		return mh_fail(err, MH_BAD, "ledger: a statement with %zu parameters", n_args);
	struct pg_rows *rows = calloc(1, sizeof(*rows));
	if (rows == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a question to the ledger");
	rows->base.db = db;
	rows->row = -1;
	for (size_t i = 0; i < n_args; i++)
		bytes += args[i].bytes.n;

	enum mh_status status = ready(pg, err);
	if (status == MH_OK)
		status = pg_args_set(&a, args, n_args, err);
	if (status == MH_OK)
		status = ask_patiently(pg, sql, &a, n_args, bytes, &rows->result, err);
	if (status == MH_OK)
		status = pg_types(rows->result, err);
	if (status != MH_OK) {
		postgresql_rows_free(&rows->base);
		return status;
	}
	pg->changed = strtoll(PQcmdTuples(rows->result), NULL, 10);
	*ret = &rows->base;
	return MH_OK;
}

static enum mh_status
postgresql_step(struct db_rows *rows, struct mh_err *err)
{
	struct pg_rows *r = rows_of(rows);

	(void)err; /* all of them are here, or none */
	if (r->row + 1 >= PQntuples(r->result))
		return MH_SKIP;
	r->row++;
	return MH_OK;
}

static bool
has(const struct pg_rows *r, int column)
{
	return r->row >= 0 && column >= 0 && column < PQnfields(r->result);
}

static enum db_type
postgresql_type(struct db_rows *rows, int column)
{
	const struct pg_rows *r = rows_of(rows);

	return has(r, column) ? pg_type(r->result, r->row, column) : DB_NULL;
}

static int64_t
postgresql_integer(struct db_rows *rows, int column)
{
	const struct pg_rows *r = rows_of(rows);

	return has(r, column) ? pg_integer(r->result, r->row, column) : 0;
}

static struct mh_span
postgresql_bytes(struct db_rows *rows, int column)
{
	struct pg_rows *r = rows_of(rows);

	if (!has(r, column))
		return MH_NONE;
	if (r->numbers == NULL)
		r->numbers = calloc((size_t)PQnfields(r->result), sizeof(*r->numbers));
	return r->numbers == NULL ? MH_NONE : pg_bytes(r->result, r->row, column, r->numbers[column]);
}

static int64_t
postgresql_changed(struct db *db)
{
	return pg_of(db)->changed;
}

static enum mh_status
postgresql_has_table(struct db *db, const char *table, bool *ret, struct mh_err *err)
{
	struct db_rows *rows = NULL;
	const struct db_value arg = { .type = DB_TEXT, .bytes = span_of(table) };
	const enum mh_status status = postgresql_query(db,
	    "SELECT count(*) FROM information_schema.tables WHERE table_schema = current_schema() AND table_name = $1",
	    &arg, 1, &rows, err);

	if (status != MH_OK)
		return status;
	*ret = postgresql_step(rows, err) == MH_OK && postgresql_integer(rows, 0) > 0;
	postgresql_rows_free(rows);
	return MH_OK;
}

/* The words of a server that has no such functions are passed on: only a copy needs them. */
static enum mh_status
postgresql_last_id(struct db *db, const char *table, int64_t *ret, struct mh_err *err)
{
	struct db_rows *rows = NULL;
	const struct db_value arg = { .type = DB_TEXT, .bytes = span_of(table) };
	const enum mh_status status = postgresql_query(db,
	    "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence($1, 'id') AS regclass))", &arg, 1, &rows, err);

	if (status != MH_OK)
		return status;
	*ret = postgresql_step(rows, err) == MH_OK ? postgresql_integer(rows, 0) : 0;
	postgresql_rows_free(rows);
	return MH_OK;
}

static enum mh_status
postgresql_set_last_id(struct db *db, const char *table, int64_t id, struct mh_err *err)
{
	struct db_rows *rows = NULL;
	const struct db_value args[] = { { .type = DB_TEXT, .bytes = span_of(table) },
		{ .type = DB_INTEGER, .integer = id } };
	const enum mh_status status = postgresql_query(
	    db, "SELECT setval(CAST(pg_get_serial_sequence($1, 'id') AS regclass), $2)", args, 2, &rows, err);

	if (status == MH_OK)
		postgresql_rows_free(rows);
	return status;
}

/* -- transactions -------------------------------------------------------------------------------------------------- */

static void
postgresql_rollback(struct db *db)
{
	struct pg *pg = pg_of(db);

	if (pg->conn != NULL && PQtransactionStatus(pg->conn) != PQTRANS_IDLE) {
		MH_AUTO(pg_result_drop) PGresult *r = NULL;
		const bool lost = pg->lost, repeat = pg->repeat;
		if (pg_simple(pg, "ROLLBACK", &r, NULL) != MH_OK)
			pg_disconnect(pg);
		else {
			pg->lost = lost; /* again() asks what the failure was, not what came of its end */
			pg->repeat = repeat;
		}
	}
	pg->in_tx = pg->making = pg->called = false;
}

static enum mh_status
begin(struct pg *pg, enum db_tx_kind kind, struct mh_err *err)
{
	MH_AUTO(pg_result_drop) PGresult *r = NULL;
	enum mh_status status = pg_connect(pg, err);

	if (status != MH_OK)
		return status;
	if (pg->out_of_use)
		status = pg_simple(pg, BEGIN ";" LOCK_ANY_ROW "UPDATE", &r, err);
	else
		status =
		    pg_simple(pg, kind == DB_WRITE ? BEGIN ";" LOCK_ROW "UPDATE" : BEGIN ";" LOCK_ROW "SHARE", &r, err);
	if (status == MH_OK && PQntuples(r) != 1)
		return mh_fail(err, MH_BAD, "ledger: it was moved, or is no ledger any more");
	return status;
}

/* Nothing is there yet: whoever makes it meets the others at the unique names of tables, and the later ones fail. */
static enum mh_status
begin_making(struct pg *pg, struct mh_err *err)
{
	bool there = false;

	postgresql_rollback(&pg->base);
	const enum mh_status status = postgresql_has_table(&pg->base, "meta", &there, err);
	if (status != MH_OK)
		return status;
	if (there) /* made in the meantime */
		return begin(pg, DB_WRITE, err);
	pg->making = true;
	return run(pg, BEGIN, err);
}

static enum mh_status
postgresql_begin(struct db *db, enum db_tx_kind kind, struct mh_err *err)
{
	struct pg *pg = pg_of(db);

	pg->called = pg->making = pg->no_table = pg->lost = pg->repeat = false;
	enum mh_status status = begin(pg, kind, err);
	if (status == MH_RETRY && pg->lost) /* a connection that died unseen: nothing was done on it yet */
		status = begin(pg, kind, err);
	if (status != MH_OK && pg->no_table)
		status = begin_making(pg, err);
	pg->in_tx = status == MH_OK;
	if (status != MH_OK)
		postgresql_rollback(db);
	return status;
}

/* The call goes behind the commit in the same breath: a server that will not call has committed by then, and one that
 * does not know the word has not looked at the rest, so that all begins again without it. Where somebody cancels
 * the wait for a synchronous standby, the server says COMMIT beside a warning, and the standby may be promoted without it. */
static enum mh_status
postgresql_commit(struct db *db, struct mh_err *err)
{
	MH_AUTO(pg_result_drop) PGresult *r = NULL;
	struct pg *pg = pg_of(db);
	char sql[PG_CHANNEL_BYTES + 24];
	enum mh_status status = ready(pg, err);

	if (status != MH_OK)
		return status;
	(void)snprintf(sql, sizeof(sql), pg->called ? "COMMIT; NOTIFY %s" : "COMMIT", pg->channel);
	pg->warned = false;
	status = pg_simple(pg, sql, &r, err);
	if (strcmp(pg->first, "COMMIT") == 0 && pg->warned) {
		pg->in_tx = pg->making = false;
		pg->repeat = true;
		return mh_fail(err, MH_RETRY, "ledger: no standby has confirmed a commit");
	}
	if (strcmp(pg->first, "COMMIT") == 0) {
		if (status != MH_OK)
			pg_calls_failed(pg);
		pg->in_tx = pg->making = false;
		return MH_OK;
	}
	if (status != MH_OK && pg->called && pg->unknown && pg->conn != NULL) {
		pg_calls_failed(pg);
		pg->repeat = true;
		return mh_fail(err, MH_RETRY, "ledger: the server knows no NOTIFY");
	}
	/* a transaction that has failed is rolled back by COMMIT, which is no error to the server */
	return status != MH_OK ? status : mh_fail(err, MH_RETRY, "ledger: the transaction had failed");
}

static bool
postgresql_again(struct db *db)
{
	struct pg *pg = pg_of(db);

	if (pg->repeat)
		return true;
	return pg->lost && !pg->in_tx && pg_connect(pg, NULL) == MH_OK;
}

static int64_t
postgresql_connections(struct db *db)
{
	return pg_of(db)->connections;
}

/* -- clock and calls ----------------------------------------------------------------------------------------------- */

static enum mh_status
postgresql_now(struct db *db, int64_t *ret, struct mh_err *err)
{
	struct db_rows *rows = NULL;

	if (clock_file() != NULL) {
		*ret = clock_now();
		return MH_OK;
	}
	const enum mh_status status = postgresql_query(
	    db, "SELECT CAST(floor(extract(epoch FROM clock_timestamp())) AS bigint)", NULL, 0, &rows, err);
	if (status != MH_OK)
		return status;
	const enum mh_status row = postgresql_step(rows, err);
	if (row == MH_OK)
		*ret = postgresql_integer(rows, 0);
	postgresql_rows_free(rows);
	return row == MH_OK ? MH_OK : mh_fail(err, MH_RETRY, "ledger: the server does not know the time");
}

static void
postgresql_call(struct db *db)
{
	struct pg *pg = pg_of(db);
	char sql[PG_CHANNEL_BYTES + 16];

	if (pg->calls == PG_CALLS_REFUSED)
		return;
	if (pg->in_tx) {
		pg->called = true;
		return;
	}
	if (pg_connect(pg, NULL) != MH_OK)
		return; /* who comes back looks at everything anyway */
	(void)snprintf(sql, sizeof(sql), "NOTIFY %s", pg->channel);
	if (run(pg, sql, NULL) != MH_OK)
		pg_calls_failed(pg);
}

static int
postgresql_ear(struct db *db)
{
	struct pg *pg = pg_of(db);

	pg->listens = true;
	if (pg->conn != NULL && !pg->listening && !pg->in_tx) {
		pg_listen(pg);
		pg->missed = pg->missed || pg->listening; /* before it listened, there may have been some */
	}
	return pg->conn != NULL && pg->listening ? PQsocket(pg->conn) : -1;
}

static bool
postgresql_heard(struct db *db)
{
	struct pg *pg = pg_of(db);
	bool heard = pg->missed;

	pg->missed = false;
	if (pg->conn == NULL || !pg->listening)
		return heard;
	if (PQconsumeInput(pg->conn) != 1) { /* the descriptor would be ready for ever */
		if (!pg->in_tx)
			pg_disconnect(pg);
		return true;
	}
	for (PGnotify *n = PQnotifies(pg->conn); n != NULL; n = PQnotifies(pg->conn)) {
		heard = heard || n->be_pid != PQbackendPID(pg->conn);
		PQfreemem(n);
	}
	return heard;
}

const struct db_engine postgresql_engine = {
	.name = "postgresql",
	.dialect = DB_POSTGRESQL,
	.local = false,
	.skip_locked = " FOR UPDATE SKIP LOCKED",
	.open = postgresql_open,
	.close = postgresql_close,
	.exec = postgresql_exec,
	.query = postgresql_query,
	.step = postgresql_step,
	.type = postgresql_type,
	.integer = postgresql_integer,
	.bytes = postgresql_bytes,
	.rows_free = postgresql_rows_free,
	.changed = postgresql_changed,
	.begin = postgresql_begin,
	.commit = postgresql_commit,
	.rollback = postgresql_rollback,
	.has_table = postgresql_has_table,
	.last_id = postgresql_last_id,
	.set_last_id = postgresql_set_last_id,
	.again = postgresql_again,
	.connections = postgresql_connections,
	.now = postgresql_now,
	.call = postgresql_call,
	.ear = postgresql_ear,
	.heard = postgresql_heard,
	.describe = pg_describe,
};
