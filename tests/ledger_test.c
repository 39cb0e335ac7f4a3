/* ledger_test.c: opening, migrating and asking the ledger, and what a broken, locked or newer one is answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/work/ledger/leases.h"
#include "tests/engines.h"

extern const char ledger_schema_1[], ledger_schema_1_postgresql[];

static const struct db_options make = { .create = true }, look = { .create = false };

struct place {
	char dir[64], address[ENGINES_ADDRESS];
	const char *path; /* what the engine opens */
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/ledger-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	engines_address(p->dir, p->address);
	p->path = engines_where(p->address);
	*state = p;
	return 0;
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	engines_remove(p->dir);
	free(p);
	return 0;
}

static struct db *
opened(const char *path, const struct db_options *o)
{
	struct db *db = NULL;
	struct mh_err err = { 0 };

	if (ledger_open(engines_engine(), path, o, &db, &err) != MH_OK)
		fail_msg("%s", err.text);
	return db;
}

static void
makes_itself(void **state)
{
	struct place *p = *state;
	struct mh_err err = { 0 };
	struct db *db = NULL;

	assert_int_equal(ledger_open(engines_engine(), p->path, &look, &db, &err), MH_SKIP);
	if (!engines_server())
		assert_int_equal(access(p->path, F_OK), -1);
	/* a look makes nothing, also where there is no file: the next one finds none either */
	assert_int_equal(ledger_open(engines_engine(), p->path, &look, &db, &err), MH_SKIP);
	db = opened(p->path, &make);
	assert_int_equal(
	    engines_number(db, "SELECT CAST(value AS bigint) FROM meta WHERE name = 'schema'"), LEDGER_SCHEMA);
	assert_int_equal(engines_number(db, "SELECT length(value) FROM meta WHERE name = 'seed'"), 32);
	if (engines_server()) {
		assert_int_equal(engines_number(db, "SELECT current_setting('synchronous_commit') = 'on'"), 1);
	} else {
		assert_int_equal(engines_number(db, "PRAGMA synchronous"), 2);
		assert_int_equal(engines_number(db, "PRAGMA foreign_keys"), 1);
	}
	db_close(db);
	db = opened(p->path, &look);
	db_close(db);
}

static void
is_strict(void **state)
{
	static const struct {
		const char *name, *sql;
	} rows[] = {
		{ "a text where a number belongs", "INSERT INTO jobs (job_key, case_id, action, role, event, event_id, "
						   "position, state, created) VALUES "
						   "('k', 'x', 'a', 'ticket', 'opened', 1, 1, 'queued', 't')" },
		{ "a case that is not there", "INSERT INTO notices (message_id, case_id, kind, trust, seen) VALUES (7, "
					      "7, 'k', 'unverified', 't')" },
		{ "a word that is none",
		    "INSERT INTO cases (key, kind, opened, state) VALUES ('k', 'x', 't', 'ajar')" },
	};
	struct place *p = *state;
	struct db *db = opened(p->path, &make);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mh_err err = { 0 };
		if (db_run(db, rows[i].sql, NULL, 0, &err) != MH_BAD)
			fail_msg("%s was taken", rows[i].name);
	}
	db_close(db);
}

static void
newer_schema_is_refused(void **state)
{
	struct place *p = *state;
	struct mh_err err = { 0 };
	struct db *db = opened(p->path, &make);

	assert_int_equal(ledger_meta_set(db, "schema", "99", &err), MH_OK);
	db_close(db);
	const struct db_options *both[] = { &make, &look };
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(ledger_open(engines_engine(), p->path, both[i], &db, &err), MH_BAD);
		assert_non_null(strstr(err.text, "schema 99 is newer than this mailhook, which knows 1"));
	}
}

static void
no_ledger_is_refused(void **state)
{
	struct place *p = *state;
	struct mh_err err = { 0 };
	struct db *db = NULL;

	if (!engines_server()) {
		const int fd = open(p->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
		for (int i = 0; i < 1000; i++)
			assert_int_equal(write(fd, "not a database\n", 15), 15);
		assert_int_equal(close(fd), 0);
		assert_int_equal(ledger_open(engines_engine(), p->path, &make, &db, &err), MH_BAD);
		assert_int_equal(unlink(p->path), 0);
	}

	/* a database of somebody else's */
	assert_int_equal(engines_engine()->open(p->path, &make, &db, &err), MH_OK);
	assert_int_equal(db_exec(db, "CREATE TABLE meta (name TEXT, value TEXT)", &err), MH_OK);
	db_close(db);
	assert_int_equal(ledger_open(engines_engine(), p->path, &make, &db, &err), MH_BAD);

	/* a folder where the file should be */
	if (!engines_server())
		assert_int_equal(ledger_open(engines_engine(), p->dir, &make, &db, &err), MH_RETRY);
}

/* The worker is killed with the new tables made and the transaction open. */
static void
killed_migration_leaves_the_old(void **state)
{
	struct place *p = *state;
	/* more pages than the cache holds, so that some are in the log already */
	const char *half = engines_server() ? "INSERT INTO meta VALUES ('half', repeat('x', 1000000))"
					    : "PRAGMA cache_size = 2; INSERT INTO meta VALUES ('half', zeroblob(0) || "
					      "hex(zeroblob(500000)))";
	int status;

	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct mh_err err = { 0 };
		struct db *db = NULL;

		if (engines_engine()->open(p->path, &make, &db, &err) != MH_OK ||
		    engines_engine()->begin(db, DB_WRITE, &err) != MH_OK ||
		    db_exec(db, engines_server() ? ledger_schema_1_postgresql : ledger_schema_1, &err) != MH_OK ||
		    db_exec(db, half, &err) != MH_OK)
			_exit(1);
		(void)raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));

	struct db *db = NULL;
	struct mh_err err = { 0 };
	bool there = true;
	assert_int_equal(engines_engine()->open(p->path, &make, &db, &err), MH_OK);
	assert_int_equal(engines_engine()->has_table(db, "meta", &there, &err), MH_OK);
	assert_false(there);
	db_close(db);
	db = opened(p->path, &make);
	assert_int_equal(engines_number(db, "SELECT count(*) FROM meta WHERE name = 'half'"), 0);
	db_close(db);
}

/* Two pipes start two workers, and there is no ledger yet: each opens it, and none is told that it is locked. */
static void
many_make_it_at_once(void **state)
{
	struct place *p = *state;
	const struct db_options patient = { .create = true, .busy_ms = 10000 };
	enum { ROUNDS = 10, OPENERS = 8 };
	int failed = 0;

	for (int round = 0; round < ROUNDS; round++) {
		char dir[80], address[ENGINES_ADDRESS];

		(void)snprintf(dir, sizeof(dir), "%s/%d", p->dir, round);
		assert_int_equal(mkdir(dir, 0700), 0);
		engines_address(dir, address);
		for (int i = 0; i < OPENERS; i++) {
			const pid_t pid = fork();
			assert_true(pid >= 0);
			if (pid == 0) {
				struct mh_err err = { 0 };
				struct db *db = NULL;
				const bool made =
				    ledger_open(engines_engine(), engines_where(address), &patient, &db, &err) == MH_OK;
				if (!made)
					(void)fprintf(stderr, "%s\n", err.text);
				db_close(db);
				_exit(!made);
			}
		}
		for (int i = 0; i < OPENERS; i++) {
			int status;
			assert_true(wait(&status) > 0);
			failed += status != 0;
		}
	}
	assert_int_equal(failed, 0);
}

static void
locked_is_later(void **state)
{
	struct place *p = *state;
	struct mh_err err = { 0 };
	struct db *one = opened(p->path, &make), *two = opened(p->path, &make);
	struct db_tx tx = { NULL }, other = { NULL };

	assert_int_equal(db_tx_begin(one, &tx, &err), MH_OK);
	assert_int_equal(db_tx_begin(two, &other, &err), MH_RETRY);
	assert_non_null(strstr(err.text, engines_server() ? "lock timeout" : "locked"));
	assert_int_equal(engines_number(two, "SELECT count(*) FROM cases"), 0); /* reading goes on */
	db_tx_drop(&tx);
	assert_int_equal(db_tx_begin(two, &other, &err), MH_OK);
	db_tx_drop(&other);
	db_close(one);
	db_close(two);
}

static void
dropped_transaction_rolls_back(void **state)
{
	struct place *p = *state;
	struct mh_err err = { 0 };
	struct db *db = opened(p->path, &make);
	struct db_tx tx = { NULL };

	assert_int_equal(db_tx_begin(db, &tx, &err), MH_OK);
	assert_int_equal(ledger_meta_add(db, "flood-dropped", 3, &err), MH_OK);
	db_tx_drop(&tx);
	assert_int_equal(engines_number(db, "SELECT count(*) FROM meta WHERE name = 'flood-dropped'"), 0);
	assert_int_equal(db_tx_begin(db, &tx, &err), MH_OK);
	assert_int_equal(ledger_meta_add(db, "flood-dropped", 3, &err), MH_OK);
	assert_int_equal(ledger_meta_add(db, "flood-dropped", 4, &err), MH_OK);
	assert_int_equal(db_tx_commit(&tx, &err), MH_OK);
	db_tx_drop(&tx);
	assert_int_equal(engines_number(db, "SELECT CAST(value AS bigint) FROM meta WHERE name = 'flood-dropped'"), 7);
	db_close(db);
}

static void
full_disk_is_later(void **state)
{
	struct place *p = *state;
	if (engines_server()) /* the disk is the server's */
		return;
	struct mh_err err = { 0 };
	struct db *db = opened(p->path, &make);
	struct rlimit before, small = { .rlim_cur = 64 << 10, .rlim_max = 0 };
	char *big = calloc(1, 1 << 20);
	const struct message_row m = { .digest = "d", .verdict = "notice", .bytes = 1 << 20 };
	int64_t id;

	assert_non_null(big);
	memset(big, 'x', 1 << 20);
	assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	const enum mh_status status = ledger_message_add(db, &m, (struct mh_span){ big, 1 << 20 }, &id, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(status, MH_RETRY);
	assert_int_equal(engines_number(db, "SELECT count(*) FROM messages"), 0);
	assert_int_equal(ledger_message_add(db, &m, (struct mh_span){ big, 1 << 20 }, &id, &err), MH_OK);

	struct buf raw;
	buf_init(&raw, 2 << 20);
	assert_int_equal(ledger_message_raw(db, id, &raw, &err), MH_OK);
	assert_int_equal(raw.n, 1 << 20);
	buf_release(&raw);
	free(big);
	db_close(db);
}

static void
leases_are_held_by_one(void **state)
{
	struct place *p = *state;
	struct mh_err err = { 0 };
	struct db *db = opened(p->path, &make);
	const struct case_row c = { .key = "k", .kind = "k", .actions = "[]" };
	struct job_row j = { .job_key = "j", .action = "a", .event = "opened", .state = JOB_QUEUED, .has_due = true };
	int64_t id;

	assert_int_equal(ledger_case_add(db, &c, &j.case_id, &err), MH_OK);
	assert_int_equal(ledger_event_add(db, j.case_id, 0, "opened", "x", "y", &j.event_id, &err), MH_OK);
	assert_int_equal(ledger_job_add(db, &j, &id, &err), MH_OK);
	assert_int_equal(ledger_job_add(db, &j, &id, &err), MH_BAD); /* a key is one job's */
	const struct lease_row one = { id, 1, "one/1" }, two = { id, 1, "two/2" }, none = { id, 0, "one/1" };
	assert_int_equal(ledger_lease_claim(db, id, "one/1", 100, &err), MH_OK);
	assert_int_equal(ledger_lease_claim(db, id, "two/2", 100, &err), MH_SKIP);
	assert_int_equal(ledger_lease_renew(db, &two, &err), MH_SKIP);
	assert_int_equal(ledger_lease_checkpoint(db, &two, MH_LIT("{\"no\":1}"), &err), MH_SKIP);
	assert_int_equal(ledger_lease_renew(db, &none, &err), MH_SKIP);
	assert_int_equal(ledger_lease_checkpoint(db, &none, MH_LIT("{\"no\":1}"), &err), MH_SKIP);
	assert_int_equal(ledger_lease_renew(db, &one, &err), MH_OK);
	assert_int_equal(ledger_lease_checkpoint(db, &one, MH_LIT("{\"yes\":1}"), &err), MH_OK);
	assert_int_equal(engines_number(db, "SELECT action_state = '{\"yes\":1}' AND lease_owner = 'one/1' AND "
					    "attempt = 1 AND started = '1970-01-01T00:01:40Z' FROM jobs"),
	    1);
	j.id = id;
	j.state = JOB_DONE;
	j.action_state = "{}";
	assert_int_equal(ledger_job_update(db, &j, &err), MH_OK);
	assert_int_equal(ledger_lease_renew(db, &one, &err), MH_SKIP);
	db_close(db);
}

static const struct {
	const char *name, *text;
	enum mh_status status;
	int64_t id;
} find_rows[] = {
	{ "a number", "2", MH_OK, 2 },
	{ "a key", "abcd00000000000000000000000000aa", MH_OK, 1 },
	{ "the beginning of a key", "abcd1", MH_OK, 2 },
	{ "a beginning that several have", "abcd", MH_BAD, 0 },
	{ "too short", "abc", MH_BAD, 0 },
	{ "none has it", "abcf", MH_SKIP, 0 },
	{ "a number that is none", "9", MH_SKIP, 0 },
	{ "digits that begin a key", "1234", MH_OK, 3 },
	{ "nothing", "", MH_BAD, 0 },
	{ "no hexadecimal digits", "xyz!", MH_BAD, 0 },
	{ "a pattern", "abcd%", MH_BAD, 0 },
	{ "longer than a key", "abcd00000000000000000000000000aaa", MH_BAD, 0 },
};

static void
cases_are_found(void **state)
{
	struct place *p = *state;
	struct mh_err err = { 0 };
	struct db *db = opened(p->path, &make);
	const char *keys[] = { "abcd00000000000000000000000000aa", "abcd10000000000000000000000000aa",
		"12345600000000000000000000000000" };
	struct arena a;

	arena_init(&a, 1 << 20);
	for (size_t i = 0; i < 3; i++) {
		int64_t id;
		const struct case_row c = { .key = keys[i], .kind = "k", .actions = "[]" };
		assert_int_equal(ledger_case_add(db, &c, &id, &err), MH_OK);
	}
	for (size_t i = 0; i < sizeof(find_rows) / sizeof(find_rows[0]); i++) {
		struct case_row c = { 0 };
		const enum mh_status status = ledger_case_find(db, find_rows[i].text, &a, &c, &err);
		if (status != find_rows[i].status || c.id != find_rows[i].id)
			fail_msg("%s: %d, case %lld", find_rows[i].name, (int)status, (long long)c.id);
	}
	arena_release(&a);
	db_close(db);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(makes_itself, set_up, tear_down),
		cmocka_unit_test_setup_teardown(is_strict, set_up, tear_down),
		cmocka_unit_test_setup_teardown(newer_schema_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(no_ledger_is_refused, set_up, tear_down),
		cmocka_unit_test_setup_teardown(killed_migration_leaves_the_old, set_up, tear_down),
		cmocka_unit_test_setup_teardown(many_make_it_at_once, set_up, tear_down),
		cmocka_unit_test_setup_teardown(locked_is_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(dropped_transaction_rolls_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(full_disk_is_later, set_up, tear_down),
		cmocka_unit_test_setup_teardown(leases_are_held_by_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cases_are_found, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
