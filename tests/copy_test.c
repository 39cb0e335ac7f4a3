/* copy_test.c: the tables that a copy carries against the schema, and what values become on the way between engines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "mailhook/work/ledger/copy.h"
#include "mailhook/work/ledger/use.h"
#include "tests/engines.h"

struct place {
	char dir[64], file[80], server[ENGINES_ADDRESS];
	struct db *local, *other; /* other: on the engine of the test's environment */
};

static struct db *
make(const struct db_engine *engine, const char *where)
{
	const struct db_options o = { .create = true, .out_of_use = true, .busy_ms = 10000 };
	struct mh_err err = { 0 };
	struct db *db = NULL;

	if (ledger_open(engine, where, &o, &db, &err) != MH_OK)
		fail_msg("%s: %s", where, err.text);
	return db;
}

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/copy-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	(void)snprintf(p->file, sizeof(p->file), "%s/first.db", p->dir);
	engines_address(p->dir, p->server);
	p->local = make(&sqlite_engine, p->file);
	p->other = make(engines_engine(), engines_where(p->server));
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	static const char *const names[] = { "first.db", "ledger.db", "third.db" };
	char path[128];

	db_close(p->local);
	db_close(p->other);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", p->dir, names[i]);
		(void)unlink(path);
	}
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

/* -- the list ------------------------------------------------------------------------------------------------------ */

static const struct copy_table *
table_of(struct mh_span name)
{
	for (const struct copy_table *t = copy_tables; t->name != NULL; t++)
		if (span_eq(span_of(t->name), name))
			return t;
	return NULL;
}

static bool
is_left(struct mh_span name)
{
	for (size_t i = 0; copy_left[i] != NULL; i++)
		if (span_eq(span_of(copy_left[i]), name))
			return true;
	return false;
}

static void
same_columns(struct db *db, const struct copy_table *t)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	struct mh_err err = { 0 };
	struct buf columns, types;
	int64_t keys = 0, n = 0, last_key = 0;
	enum mh_status status = db_query(
	    db, "SELECT name, type, pk FROM pragma_table_info($1) ORDER BY cid", DB_ARGS(db_str(t->name)), &rows, &err);

	buf_init(&columns, 65536);
	buf_init(&types, 256);
	while (status == MH_OK && (status = db_step(rows, &err)) == MH_OK) {
		const struct mh_span name = db_get_bytes(rows, 0), type = db_get_bytes(rows, 1);
		n++;
		buf_printf(&columns, "%s%.*s", n == 1 ? "" : ", ", (int)name.n, name.p);
		buf_putc(&types, span_eq(type, MH_LIT("INTEGER")) ? 'i' : span_eq(type, MH_LIT("BLOB")) ? 'b' : 't');
		if (db_get_int(rows, 2) > 0) {
			keys++;
			last_key = n;
			assert_int_equal(db_get_int(rows, 2), n);
		}
	}
	assert_int_equal(status, MH_SKIP);
	assert_true(buf_ok(&columns) && buf_ok(&types));
	if (strcmp(columns.p, t->columns) != 0 || strcmp(types.p, t->types) != 0)
		fail_msg("table %s has\n  %s\n  %s\nand a copy carries\n  %s\n  %s", t->name, columns.p, types.p,
		    t->columns, t->types);
	if ((size_t)keys != t->n_keys || last_key != keys)
		fail_msg("table %s: its primary key is not its first %zu columns", t->name, t->n_keys);
	if (n > COPY_MOST_COLUMNS || keys > COPY_MOST_KEYS)
		fail_msg("table %s: too many columns", t->name);
	if ((strchr(t->types, 'b') != NULL) != (t->large != NULL))
		fail_msg("table %s: a column of bytes may be large", t->name);
	buf_release(&columns);
	buf_release(&types);
}

/* What a row points at is written before it. */
static void
right_order(struct db *db, const struct copy_table *t)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	struct mh_err err = { 0 };
	enum mh_status status =
	    db_query(db, "SELECT \"table\" FROM pragma_foreign_key_list($1)", DB_ARGS(db_str(t->name)), &rows, &err);

	while (status == MH_OK && (status = db_step(rows, &err)) == MH_OK) {
		const struct copy_table *to = table_of(db_get_bytes(rows, 0));
		if (to == NULL || to >= t)
			fail_msg("table %s points at one that is written later or not at all", t->name);
	}
	assert_int_equal(status, MH_SKIP);
}

static void
test_no_table_is_forgotten(void **state)
{
	struct place *p = *state;
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	struct mh_err err = { 0 };
	size_t n = 0;
	enum mh_status status = db_query(p->local,
	    "SELECT name, sql LIKE '%AUTOINCREMENT%' FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE "
	    "'sqlite\\_%' ESCAPE '\\'",
	    NULL, 0, &rows, &err);

	while (status == MH_OK && (status = db_step(rows, &err)) == MH_OK) {
		const struct mh_span name = db_get_bytes(rows, 0);
		const struct copy_table *t = table_of(name);
		if ((t == NULL) != is_left(name))
			fail_msg("table %.*s: a copy must carry it or leave it", (int)name.n, name.p);
		if (t == NULL)
			continue;
		n++;
		same_columns(p->local, t);
		right_order(p->local, t);
		if (t->numbered != (db_get_int(rows, 1) == 1))
			fail_msg("table %s: numbered is wrong", t->name);
	}
	assert_int_equal(status, MH_SKIP);
	assert_int_equal(n, COPY_TABLES);
	assert_null(copy_tables[COPY_TABLES].name);
}

/* -- values -------------------------------------------------------------------------------------------------------- */

static void
run(struct db *db, const char *sql, const struct db_value *args, size_t n_args)
{
	struct mh_err err = { 0 };

	if (db_run(db, sql, args, n_args, &err) != MH_OK)
		fail_msg("%s: %s", sql, err.text);
}

static const char add_message[] =
    "INSERT INTO messages (id, digest, received, envelope_from, subject, verdict, bytes, raw) VALUES ($1, $2, "
    "'2026-01-01T00:00:00Z', $3, $4, 'notice', $5, $6)";
static const char nul[] = "a\0b\xff"
			  "c";

static void
fill(struct db *db, char *blob, size_t n)
{
	struct {
		int64_t id;
		struct mh_span from, subject, raw;
	} rows[] = {
		{ 1, MH_NONE, MH_NONE, MH_NONE },
		{ 2, MH_LIT(""), MH_LIT(""), MH_LIT("") },
		{ 3, MH_LIT("a'b\"c\\d"), MH_LIT("\xf0\x9f\x90\xb1 \xe2\x80\xae \x7f\x01\n\t\xc3\xa4"),
		    MH_LIT("\0\xff") },
		{ 4, MH_LIT("x"), { nul, sizeof(nul) - 1 }, { blob, n } },
		{ 9000000000000000000, MH_LIT("x"), MH_LIT("NULL"), { blob, 300000 } },
	};
	char digest[24];

	for (size_t i = 0; i < n; i++)
		blob[i] = (char)(i * 2654435761U >> 13);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)snprintf(digest, sizeof(digest), "%zu", i);
		run(db, add_message,
		    DB_ARGS(db_int(rows[i].id), db_str(digest), db_span(rows[i].from), db_span(rows[i].subject),
			db_int(INT64_MIN + 1), db_blob(rows[i].raw)));
	}
	for (int64_t i = 10; i < 3000; i++) { /* several pages, and the last piece not full */
		(void)snprintf(digest, sizeof(digest), "m%lld", (long long)i);
		run(db, add_message, DB_ARGS(db_int(i), db_str(digest), db_null(), db_null(), db_int(i), db_null()));
	}
	for (const char *s = "\x01 ,Az\x7f"; *s != '\0'; s++) /* what a language's order of letters would mix */
		run(db,
		    "INSERT INTO mailbox_leases (mailbox, node, life, until) VALUES ($1, '', '', "
		    "'2026-01-01T00:00:00Z')",
		    DB_ARGS(db_span((struct mh_span){ s, 1 })));
	run(db, "INSERT INTO pauses (scope, name, since, by) VALUES ('all', '', '2026-01-01T00:00:00Z', 'x')", NULL, 0);
	run(db, "DELETE FROM messages WHERE id > 8999999999999999999", NULL, 0); /* its number is not given again */
}

static void
compare(struct db *a, struct db *b, const char *what)
{
	struct copy_sum sa[COPY_TABLES], sb[COPY_TABLES];
	struct mh_err err = { 0 };

	if (copy_sums(a, b, NULL, sa, sb, &err) != MH_OK)
		fail_msg("%s: %s", what, err.text);
	for (size_t i = 0; i < COPY_TABLES; i++)
		if (!copy_same(&sa[i], &sb[i]))
			fail_msg("%s: %s: %lld rows to %lld %s, %lld rows to %lld %s", what, copy_tables[i].name,
			    (long long)sa[i].rows, (long long)sa[i].last_id, sa[i].digest, (long long)sb[i].rows,
			    (long long)sb[i].last_id, sb[i].digest);
	assert_int_equal(sa[1].rows, 2994);
	assert_int_equal(sa[1].last_id, 9000000000000000000);
}

static int64_t
carry(struct db *from, struct db *to)
{
	MH_AUTO(db_tx_drop) struct db_tx tx_from = { NULL }, tx_to = { NULL };
	struct mh_err err = { 0 };
	int64_t mended = -1;
	bool empty = false;

	if (copy_is_empty(to, &empty, &err) != MH_OK || !empty || db_tx_begin(from, &tx_from, &err) != MH_OK ||
	    db_tx_begin(to, &tx_to, &err) != MH_OK || copy_rows(from, to, NULL, &mended, &err) != MH_OK ||
	    db_tx_commit(&tx_to, &err) != MH_OK)
		fail_msg("copy: %s, empty %d", err.text, empty);
	if (copy_is_empty(to, &empty, &err) != MH_OK || empty)
		fail_msg("what was filled counts as empty: %s", err.text);
	return mended;
}

static void
test_values_there_and_back(void **state)
{
	struct place *p = *state;
	const size_t n = (size_t)25 << 20;
	char *blob = malloc(n), path[128];
	struct mh_err err = { 0 };
	struct mh_span raw, subject;
	struct buf kept;
	int64_t id = 0, length = 0;

	assert_non_null(blob);
	(void)snprintf(path, sizeof(path), "%s/third.db", p->dir);
	struct db *third = make(&sqlite_engine, path);
	fill(p->local, blob, n);
	assert_int_equal(carry(p->local, p->other), 1);
	compare(p->local, p->other, "there");
	assert_int_equal(carry(p->other, third), 0);
	compare(p->local, third, "and back");

	buf_init(&kept, n + 1);
	assert_int_equal(ledger_message_raw(third, 4, &kept, &err), MH_OK);
	raw = buf_span(&kept);
	assert_true(raw.n == n && memcmp(raw.p, blob, n) == 0);
	buf_release(&kept);
	assert_int_equal(ledger_message_raw(third, 1, &kept, &err), MH_SKIP);
	assert_int_equal(db_one(third,
			     "SELECT length(raw) FROM messages WHERE id = 2 AND raw IS NOT NULL AND "
			     "envelope_from = '' AND subject = ''",
			     NULL, 0, &length, &err),
	    MH_OK);
	assert_int_equal(length, 0);
	struct db_rows *rows = NULL;
	assert_int_equal(db_query(third, "SELECT subject FROM messages WHERE id = 4", NULL, 0, &rows, &err), MH_OK);
	assert_int_equal(db_step(rows, &err), MH_OK);
	subject = db_get_bytes(rows, 0);
	assert_true(span_eq(subject, MH_LIT("a\xEF\xBF\xBD"
					    "b\xEF\xBF\xBD"
					    "c")));
	db_rows_drop(&rows);

	/* the next number is a new one, in each */
	struct db *const dbs[] = { p->other, third };
	for (size_t i = 0; i < 2; i++) {
		if (db_one(dbs[i],
			"INSERT INTO messages (digest, received, verdict, bytes) VALUES ('new', "
			"'2026-01-01T00:00:00Z', 'notice', 1) RETURNING id",
			NULL, 0, &id, &err) != MH_OK)
			fail_msg("%zu: %s", i, err.text);
		assert_int_equal(id, 9000000000000000001);
	}
	db_close(third);
	free(blob);
}

/* -- out of use ---------------------------------------------------------------------------------------------------- */

static void
set_use(struct db *db, enum ledger_use use, const char *other)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct mh_err err = { 0 };

	if (db_tx_begin(db, &tx, &err) != MH_OK || ledger_use_set(db, use, other, 0, &err) != MH_OK ||
	    db_tx_commit(&tx, &err) != MH_OK)
		fail_msg("%s", err.text);
}

static void
test_out_of_use(void **state)
{
	static const struct {
		enum ledger_use use;
		const char *words;
	} rows[] = {
		{ LEDGER_MOVED, "moved to sqlite:/elsewhere" },
		{ LEDGER_COMING, "an unfinished copy of sqlite:/elsewhere" },
	};
	const struct db_options o = { .create = true, .busy_ms = 1000 };
	struct place *p = *state;
	const char *where = engines_where(p->server);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mh_err err = { 0 };
		struct db *db = NULL, *before = NULL;
		struct db_tx tx = { NULL };

		assert_int_equal(ledger_open(engines_engine(), where, &o, &before, &err), MH_OK);
		set_use(p->other, rows[i].use, "sqlite:/elsewhere");
		assert_int_equal(ledger_open(engines_engine(), where, &o, &db, &err), MH_BAD);
		if (strstr(err.text, rows[i].words) == NULL)
			fail_msg("\"%s\" does not say: %s", err.text, rows[i].words);
		if (engines_server()) { /* who had it open is another machine's; a file's worker has a lock of its own */
			assert_int_equal(db_tx_begin(before, &tx, &err), MH_BAD);
			assert_int_equal(db_tx_claim(before, &tx, &err), MH_BAD);
		}
		set_use(p->other, LEDGER_IN_USE, NULL);
		assert_int_equal(db_tx_begin(before, &tx, &err), MH_OK);
		db_tx_drop(&tx);
		db_close(before);
		assert_int_equal(ledger_open(engines_engine(), where, &o, &db, &err), MH_OK);
		db_close(db);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_no_table_is_forgotten, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_values_there_and_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_out_of_use, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
