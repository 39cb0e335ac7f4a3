/* ledger.c: opening, migrations, meta and events. */
#include "mailhook/work/ledger/ledger.h"

#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>

#include "mailhook/work/ledger/rows.h"
#include "mailhook/work/ledger/use.h"

extern const char ledger_schema_1[], ledger_schema_1_postgresql[]; /* schema.sql, compiled in */

/* migrations[n] brings a ledger from schema n to n + 1, in the words of each dialect. */
static const char *const migrations[LEDGER_SCHEMA][DB_POSTGRESQL + 1] = {
	{ [DB_SQLITE] = ledger_schema_1, [DB_POSTGRESQL] = ledger_schema_1_postgresql },
};

/* MH_OK with 0: an empty database; negative: out of use (use.h). */
static enum mh_status
schema_of(struct db *db, int64_t *ret, struct mh_err *err)
{
	bool there = false;
	enum mh_status status = db->engine->has_table(db, "meta", &there, err);

	if (status != MH_OK)
		return status;
	*ret = 0;
	if (!there)
		return MH_OK;
	status = ledger_meta_count(db, "schema", ret, err);
	if (status == MH_OK && *ret == 0)
		return mh_fail(err, MH_BAD, "ledger: no schema number: this is not a ledger of mailhook");
	return status;
}

static enum mh_status
newer(int64_t schema, struct mh_err *err)
{
	return mh_fail(err, MH_BAD,
	    "ledger: schema %lld is newer than this mailhook, which knows %d: install the newer one again",
	    (long long)schema, LEDGER_SCHEMA);
}

static enum mh_status
make_random(struct db *db, const char *name, struct mh_err *err)
{
	unsigned char bytes[16];
	char text[2 * sizeof(bytes) + 1];

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return mh_fail(err, MH_RETRY, "no random bytes for the ledger");
	hex_put(text, bytes, sizeof(bytes));
	return ledger_meta_set(db, name, text, err);
}

/* One transaction for the whole way: killed anywhere, the ledger has its old schema. */
static enum mh_status
migrate(struct db *db, const char *where, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	int64_t schema = 0;
	char number[24];
	enum mh_status status = db_tx_begin(db, &tx, err);

	if (status == MH_OK)
		status = schema_of(db, &schema, err); /* again: another worker may have been faster */
	if (status != MH_OK)
		return status;
	if (schema > LEDGER_SCHEMA)
		return newer(schema, err);
	if (schema < 0)
		return ledger_use_refuse(db, where, err);
	for (int64_t from = schema; from < LEDGER_SCHEMA && status == MH_OK; from++)
		status = db_exec(db, migrations[from][db->engine->dialect], err);
	/* the seed: so that an outsider who knows a notice cannot compute its case's key */
	if (status == MH_OK && schema == 0)
		status = make_random(db, "seed", err);
	if (status == MH_OK && schema == 0)
		status = make_random(db, "identity", err); /* of this very ledger: mark.c */
	(void)snprintf(number, sizeof(number), "%d", LEDGER_SCHEMA);
	if (status == MH_OK)
		status = ledger_meta_set(db, "schema", number, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

/* Several nodes may be the first. */
static enum mh_status
migrate_again(struct db *db, const char *where, struct mh_err *err)
{
	int tries = 0;
	enum mh_status status;

	do {
		status = migrate(db, where, err);
	} while (db_again(db, status, &tries));
	return status;
}

enum mh_status
ledger_open(
    const struct db_engine *engine, const char *where, const struct db_options *o, struct db **ret, struct mh_err *err)
{
	struct db *db = NULL;
	int64_t schema = 0;
	enum mh_status status = engine->open(where, o, &db, err);

	if (status != MH_OK)
		return status;
	status = schema_of(db, &schema, err);
	if (schema == -LEDGER_SCHEMA && o->out_of_use)
		schema = LEDGER_SCHEMA;
	if (status == MH_OK && schema < 0)
		status = ledger_use_refuse(db, where, err);
	else if (status == MH_OK && schema > LEDGER_SCHEMA)
		status = newer(schema, err);
	else if (status == MH_OK && schema < LEDGER_SCHEMA)
		status = o->create     ? migrate_again(db, where, err)
			 : schema == 0 ? mh_fail(err, MH_SKIP, "the ledger is empty")
				       : mh_fail(err, MH_RETRY,
					     "ledger: schema %lld is old: 'mailhook run --once' brings it up to date",
					     (long long)schema);
	if (status != MH_OK) {
		db_close(db);
		return status;
	}
	*ret = db;
	return MH_OK;
}

int
ledger_word(const char *const *names, size_t n, struct mh_span word)
{
	for (size_t i = 0; i < n; i++)
		if (names[i] != NULL && word.p != NULL && span_eq(word, span_of(names[i])))
			return (int)i;
	return 0;
}

enum mh_status
rows_all(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct arena *a,
    struct row_list *list, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status = db_query(db, sql, args, n_args, &rows, err);

	while (status == MH_OK && (status = db_step(rows, err)) == MH_OK) {
		struct row r = { rows, a, err, MH_OK };
		void *items = arena_grow(a, list->items, list->n, &list->cap, list->size);

		if (items == NULL)
			return mh_fail(err, MH_RETRY, "no memory for the ledger's rows");
		list->items = items;
		list->read(&r, (char *)items + list->n * list->size);
		list->n++;
		status = r.status;
	}
	return status == MH_SKIP ? MH_OK : status;
}

/* -- meta ---------------------------------------------------------------------------------------------------------- */

enum mh_status
ledger_meta_get(struct db *db, const char *name, struct arena *a, const char **ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status =
	    db_query(db, "SELECT value FROM meta WHERE name = $1", DB_ARGS(db_str(name)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status == MH_SKIP) {
		*ret = NULL;
		return MH_OK;
	}
	return status == MH_OK ? db_get_str(rows, 0, a, ret, err) : status;
}

enum mh_status
ledger_meta_set(struct db *db, const char *name, const char *value, struct mh_err *err)
{
	return db_run(db,
	    "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
	    DB_ARGS(db_str(name), db_str(value)), err);
}

enum mh_status
ledger_meta_count(struct db *db, const char *name, int64_t *ret, struct mh_err *err)
{
	int64_t n = 0;
	const enum mh_status status =
	    db_one(db, "SELECT CAST(value AS bigint) FROM meta WHERE name = $1", DB_ARGS(db_str(name)), &n, err);

	if (status != MH_OK && status != MH_SKIP)
		return status;
	*ret = n;
	return MH_OK;
}

enum mh_status
ledger_meta_add(struct db *db, const char *name, int64_t more, struct mh_err *err)
{
	char text[24];
	int64_t n = 0;
	const enum mh_status status = ledger_meta_count(db, name, &n, err);

	if (status != MH_OK)
		return status;
	(void)snprintf(text, sizeof(text), "%" PRId64, n + more);
	return ledger_meta_set(db, name, text, err);
}

/* -- events -------------------------------------------------------------------------------------------------------- */

/* What the server gives back as it was given: free words may be mended. */
static void
event_words(char dst[DB_NOTE_BYTES], struct mh_span at, int64_t case_id, struct mh_span what)
{
	(void)snprintf(dst, DB_NOTE_BYTES, "%.*s %" PRId64 " %.*s", (int)at.n, at.p, case_id, (int)what.n, what.p);
}

enum mh_status
ledger_event_add(struct db *db, int64_t case_id, int64_t at, const char *what, const char *by, const char *detail,
    int64_t *ret_id, struct mh_err *err)
{
	char t[MH_TIME_TEXT];
	int64_t id = 0;
	const enum mh_status status =
	    db_one(db, "INSERT INTO events (case_id, at, what, by, detail) VALUES ($1, $2, $3, $4, $5) RETURNING id",
		DB_ARGS(case_id == 0 ? db_null() : db_int(case_id), db_time(t, at), db_str(what), db_str(by),
		    db_str(detail)),
		&id, err);

	if (status == MH_OK) {
		struct db_note note = { .n = id };

		event_words(note.words, span_of(t), case_id, span_of(what));
		db_note(db, &note);
	}
	if (status == MH_OK && ret_id != NULL)
		*ret_id = id;
	return status;
}

enum mh_status
ledger_event_note(struct db *db, int64_t id, struct db_note *ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status =
	    db_query(db, "SELECT at, case_id, what FROM events WHERE id = $1", DB_ARGS(db_int(id)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status != MH_OK)
		return status;
	ret->n = id;
	event_words(ret->words, db_get_bytes(rows, 0), db_get_int(rows, 1), db_get_bytes(rows, 2));
	return MH_OK;
}

enum mh_status
ledger_event_done(struct db *db, int tries, int64_t case_id, int64_t at, const char *what, const char *by,
    const char *detail, int64_t *ret_n, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

	*ret_n = 0;
	if (tries == 0)
		return MH_OK;
	return db_one(db,
	    "SELECT count(*) FROM events WHERE case_id IS NOT DISTINCT FROM $1 AND at = $2 AND what = $3 AND by = $4 "
	    "AND "
	    "(CAST($5 AS TEXT) IS NULL OR detail = $5)",
	    DB_ARGS(
		case_id == 0 ? db_null() : db_int(case_id), db_time(t, at), db_str(what), db_str(by), db_str(detail)),
	    ret_n, err);
}

static void
read_event(struct row *r, void *dst)
{
	struct event_row e = { .id = db_get_int(r->rows, 0) };
	bool known;

	row_time(r, 1, &known, &e.at);
	e.what = row_str(r, 2);
	e.by = row_str(r, 3);
	e.detail = row_str(r, 4);
	*(struct event_row *)dst = e;
}

enum mh_status
ledger_events(struct db *db, int64_t case_id, struct arena *a, struct event_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct event_row, read_event);
	const enum mh_status status =
	    rows_all(db, "SELECT id, at, what, by, detail FROM events WHERE case_id = $1 ORDER BY id",
		DB_ARGS(db_int(case_id)), a, &list, err);

	if (status == MH_OK)
		*ret = (struct event_rows){ list.items, list.n, list.cap };
	return status;
}

enum mh_status
ledger_event_count(struct db *db, int64_t case_id, const char *what, int64_t *ret, struct mh_err *err)
{
	return db_one(db, "SELECT count(*) FROM events WHERE case_id = $1 AND what = $2",
	    DB_ARGS(db_int(case_id), db_str(what)), ret, err);
}
