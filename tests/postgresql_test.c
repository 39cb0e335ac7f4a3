/* postgresql_test.c: the engine on PostgreSQL by itself: hostile text, lost and hung connections, calls among nodes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/work/ledger/leases.h"
#include "mailhook/work/ledger/postgresql_impl.h"
#include "tests/engines.h"

static struct db *
opened(const char *address, int busy_ms)
{
	const struct db_options o = { .create = true, .busy_ms = busy_ms };
	struct mh_err err = { 0 };
	struct db *db = NULL;

	if (ledger_open(engines_engine(), engines_where(address), &o, &db, &err) != MH_OK)
		fail_msg("%s", err.text);
	return db;
}

/* Ends the server's side of it, as a server that goes down does. */
static void
kill_session(struct db *other, struct db *victim)
{
	struct mh_err err = { 0 };
	const int64_t pid = engines_number(victim, "SELECT pg_backend_pid()");

	if (db_run(other, "SELECT pg_terminate_backend(CAST($1 AS integer), 5000)", DB_ARGS(db_int(pid)), &err) !=
	    MH_OK)
		fail_msg("%s", err.text);
}

#define SPAN(s)                                                                                                        \
	{                                                                                                              \
		s, sizeof(s) - 1                                                                                       \
	}

static const struct {
	const char *name;
	struct mh_span in, out;
} texts[] = {
	{ "plain", SPAN("abc"), SPAN("abc") },
	{ "empty", SPAN(""), SPAN("") },
	{ "quotes and backslashes", SPAN("a'b\\c\"$1"), SPAN("a'b\\c\"$1") },
	{ "a NUL", SPAN("a\0b"),
	    SPAN("a\xEF\xBF\xBD"
		 "b") },
	{ "only a NUL", SPAN("\0"), SPAN("\xEF\xBF\xBD") },
	{ "no UTF-8", SPAN("a\xFF\xC0\xAF"), SPAN("a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD") },
	{ "a sequence that is cut", SPAN("\xE2\x82"), SPAN("\xEF\xBF\xBD\xEF\xBF\xBD") },
	{ "a surrogate", SPAN("\xED\xA0\x80"), SPAN("\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD") },
	{ "four bytes", SPAN("\xF0\x9F\x94\x91 \xF4\x8F\xBF\xBF"), SPAN("\xF0\x9F\x94\x91 \xF4\x8F\xBF\xBF") },
	{ "beyond Unicode", SPAN("\xF4\x90\x80\x80"), SPAN("\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD") },
};

static void
takes_any_text(void **state)
{
	struct db *db = opened(*state, 1000);
	struct mh_err err = { 0 };

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;

		if (db_run(db,
			"INSERT INTO meta (name, value) VALUES ('t', $1) ON CONFLICT (name) DO UPDATE SET value "
			"= excluded.value",
			DB_ARGS(db_span(texts[i].in)), &err) != MH_OK)
			fail_msg("%s: %s", texts[i].name, err.text);
		assert_int_equal(db_query(db, "SELECT value FROM meta WHERE name = 't'", NULL, 0, &rows, &err), MH_OK);
		assert_int_equal(db_step(rows, &err), MH_OK);
		if (!span_eq(db_get_bytes(rows, 0), texts[i].out))
			fail_msg("%s: came back as another", texts[i].name);
	}
	db_close(db);
}

static void
keeps_bytes_as_they_are(void **state)
{
	static const size_t sizes[] = { 0, 1, 255, 70000, (size_t)8 << 20 };
	struct db *db = opened(*state, 1000);
	struct mh_err err = { 0 };
	char *bytes = malloc((size_t)8 << 20);

	assert_non_null(bytes);
	for (size_t i = 0; i < (size_t)8 << 20; i++)
		bytes[i] = (char)(i * 7 + i / 256);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct message_row m = { .digest = "d", .verdict = "failed", .bytes = (int64_t)sizes[i] };
		struct buf raw;
		int64_t id = 0;

		assert_int_equal(db_run(db, "DELETE FROM messages", NULL, 0, &err), MH_OK);
		if (ledger_message_add(db, &m, (struct mh_span){ bytes, sizes[i] }, &id, &err) != MH_OK)
			fail_msg("%zu bytes: %s", sizes[i], err.text);
		buf_init(&raw, ((size_t)8 << 20) + 1);
		assert_int_equal(ledger_message_raw(db, id, &raw, &err), MH_OK);
		if (raw.n != sizes[i] || (raw.n > 0 && memcmp(raw.p, bytes, raw.n) != 0))
			fail_msg("%zu bytes came back as others", sizes[i]);
		buf_release(&raw);
	}
	free(bytes);
	db_close(db);
}

static const struct {
	const char *name, *sql;
	enum mh_status status; /* of the statement or of its row */
	int64_t value;
} answers[] = {
	{ "a boolean", "SELECT 2 > 1", MH_OK, 1 },
	{ "a small number", "SELECT CAST(-7 AS smallint)", MH_OK, -7 },
	{ "a number of four bytes", "SELECT CAST(-70000 AS integer)", MH_OK, -70000 },
	{ "the least of eight", "SELECT CAST(-9223372036854775808 AS bigint)", MH_OK, INT64_MIN },
	{ "a number as text", "SELECT '42'", MH_OK, 42 },
	{ "nothing known", "SELECT CAST(NULL AS bigint)", MH_OK, 0 },
	{ "no row", "SELECT 1 WHERE 1 = 2", MH_SKIP, 0 },
	{ "a type that is not read", "SELECT CAST(1 AS numeric)", MH_BAD, 0 },
	{ "wrong SQL", "SELEKT 1", MH_BAD, 0 },
	{ "a table that is not there", "SELECT 1 FROM nowhere", MH_BAD, 0 },
	{ "too slow", "SELECT 1 FROM (SELECT pg_sleep(30)) AS x", MH_RETRY, 0 },
};

static void
answers_are_read(void **state)
{
	struct db *db = opened(*state, 1000);
	struct mh_err err = { 0 };

	assert_int_equal(db_exec(db, "SET statement_timeout = 300", &err), MH_OK);
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		int64_t n = 0;
		for (int times = 0; times < 3; times++) { /* asked once, prepared, and prepared before */
			const enum mh_status status = db_one(db, answers[i].sql, NULL, 0, &n, &err);
			if (status != answers[i].status || n != answers[i].value)
				fail_msg("%s: %d, %lld: %s", answers[i].name, (int)status, (long long)n, err.text);
		}
	}
	db_close(db);
}

/* More texts than it remembers, and each of them twice. */
static void
forgets_no_statement(void **state)
{
	struct db *db = opened(*state, 1000);

	for (int round = 0; round < 2; round++)
		for (int i = 0; i < 600; i++) {
			char sql[40];
			(void)snprintf(sql, sizeof(sql), "SELECT %d", i);
			assert_int_equal(engines_number(db, sql), i);
		}
	db_close(db);
}

static void
lost_outside_a_transaction(void **state)
{
	struct db *db = opened(*state, 1000), *other = opened(*state, 1000);
	struct mh_err err = { 0 };
	struct db_tx tx = { NULL };

	kill_session(other, db);
	/* what was closed while nothing was asked is noticed before the next question */
	assert_int_equal(engines_number(db, "SELECT count(*) FROM cases"), 0);
	kill_session(other, db);
	assert_int_equal(db_tx_begin(db, &tx, &err), MH_OK);
	assert_int_equal(ledger_meta_add(db, "x", 1, &err), MH_OK);
	assert_int_equal(db_tx_commit(&tx, &err), MH_OK);
	db_close(db);
	db_close(other);
}

static void
lost_inside_a_transaction(void **state)
{
	struct db *db = opened(*state, 1000), *other = opened(*state, 1000);
	struct mh_err err = { 0 };
	struct db_tx tx = { NULL };
	int64_t n = 0;

	assert_int_equal(db_tx_begin(db, &tx, &err), MH_OK);
	assert_int_equal(ledger_meta_add(db, "x", 1, &err), MH_OK);
	kill_session(other, db);
	assert_int_equal(ledger_meta_add(db, "x", 1, &err), MH_RETRY);
	/* not one statement of it goes to a new connection, where it would be alone */
	assert_int_equal(db_one(db, "SELECT 1", NULL, 0, &n, &err), MH_RETRY);
	assert_int_equal(db_run(db, "DELETE FROM meta", NULL, 0, &err), MH_RETRY);
	assert_int_equal(db_tx_commit(&tx, &err), MH_RETRY);
	db_tx_drop(&tx);
	assert_true(db->engine->again(db));
	assert_int_equal(engines_number(db, "SELECT count(*) FROM meta WHERE name = 'x'"), 0);
	assert_int_equal(engines_number(db, "SELECT count(*) FROM meta WHERE name = 'schema'"), 1);
	db_close(db);
	db_close(other);
}

/* A failed statement ends the transaction: COMMIT is no success then, though the server calls it no error. */
static void
failed_is_not_committed(void **state)
{
	struct db *db = opened(*state, 1000);
	struct mh_err err = { 0 };
	struct db_tx tx = { NULL };

	assert_int_equal(db_tx_begin(db, &tx, &err), MH_OK);
	assert_int_equal(ledger_meta_add(db, "x", 1, &err), MH_OK);
	assert_int_equal(db_run(db, "INSERT INTO meta (name, value) VALUES ('x', 'y')", NULL, 0, &err), MH_BAD);
	assert_int_equal(db_tx_commit(&tx, &err), MH_RETRY);
	db_tx_drop(&tx);
	assert_false(db->engine->again(db));
	assert_int_equal(engines_number(db, "SELECT count(*) FROM meta WHERE name = 'x'"), 0);
	db_close(db);
}

static void
claims_beside_claims(void **state)
{
	struct db *one = opened(*state, 200), *two = opened(*state, 200);
	struct db_tx a = { NULL }, b = { NULL };
	struct mh_err err = { 0 };

	assert_int_equal(db_tx_claim(one, &a, &err), MH_OK);
	assert_int_equal(db_tx_claim(two, &b, &err), MH_OK);
	db_tx_drop(&b);
	assert_int_equal(db_tx_begin(two, &b, &err), MH_RETRY);
	assert_false(two->engine->again(two));
	db_tx_drop(&a);
	assert_int_equal(db_tx_begin(two, &b, &err), MH_OK);
	assert_int_equal(db_tx_claim(one, &a, &err), MH_RETRY);
	db_tx_drop(&b);
	db_close(one);
	db_close(two);
}

/* A worker that has taken one of its jobs and not committed yet is not seen, but the case is in its hand. */
static void
one_job_of_a_case_is_claimed_at_a_time(void **state)
{
	struct db *worker = opened(*state, 1000), *person = opened(*state, 1000);
	const struct case_row c = { .key = "k", .kind = "k", .actions = "[]" };
	struct job_row j = { .action = "a", .event = "opened", .state = JOB_QUEUED, .has_due = true };
	struct db_tx tx = { NULL };
	struct mh_err err = { 0 };
	int64_t one = 0, two = 0, id = 0;

	assert_int_equal(ledger_case_add(worker, &c, &j.case_id, &err), MH_OK);
	assert_int_equal(ledger_event_add(worker, j.case_id, 0, "opened", "x", "y", &j.event_id, &err), MH_OK);
	j.job_key = "1";
	assert_int_equal(ledger_job_add(worker, &j, &one, &err), MH_OK);
	j.job_key = "2";
	assert_int_equal(ledger_job_add(worker, &j, &two, &err), MH_OK);
	assert_int_equal(db_tx_claim(worker, &tx, &err), MH_OK);
	assert_int_equal(
	    db_one(worker, "SELECT id FROM cases WHERE id = $1 FOR UPDATE", DB_ARGS(db_int(j.case_id)), &id, &err),
	    MH_OK);
	assert_int_equal(db_run(worker, "UPDATE jobs SET state = 'running', lease_owner = 'a/1' WHERE id = $1",
			     DB_ARGS(db_int(one)), &err),
	    MH_OK);
	assert_int_equal(ledger_lease_claim(person, two, "b/1" LEDGER_HANDOVER, 100, &err), MH_SKIP);
	db_tx_drop(&tx);
	assert_int_equal(ledger_lease_claim(person, two, "b/1" LEDGER_HANDOVER, 100, &err), MH_OK);
	assert_int_equal(ledger_lease_claim(worker, one, "a/1", 100, &err), MH_SKIP);
	db_close(worker);
	db_close(person);
}

/* Two that wait for each other: one of them is told to begin again. */
static void
deadlock_says_again(void **state)
{
	struct db *one = opened(*state, 10000);
	struct mh_err err = { 0 };
	struct db_tx tx = { NULL };
	int status = 0, ready[2];
	char go;

	assert_int_equal(db_run(one, "INSERT INTO meta VALUES ('a', '1'), ('b', '1')", NULL, 0, &err), MH_OK);
	assert_int_equal(pipe(ready), 0);
	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct db *two = opened(*state, 10000);
		struct db_tx other = { NULL };
		enum mh_status s = db_tx_claim(two, &other, &err);
		if (s == MH_OK)
			s = db_run(two, "UPDATE meta SET value = '2' WHERE name = 'b'", NULL, 0, &err);
		(void)!write(ready[1], "x", 1);
		if (s == MH_OK)
			s = db_run(two, "UPDATE meta SET value = '2' WHERE name = 'a'", NULL, 0, &err);
		db_tx_drop(&other);
		_exit(s == MH_OK ? 0 : s == MH_RETRY && two->engine->again(two) ? 1 : 2);
	}
	assert_int_equal(db_tx_claim(one, &tx, &err), MH_OK);
	assert_int_equal(db_run(one, "UPDATE meta SET value = '3' WHERE name = 'a'", NULL, 0, &err), MH_OK);
	assert_int_equal(read(ready[0], &go, 1), 1);
	const enum mh_status ours = db_run(one, "UPDATE meta SET value = '3' WHERE name = 'b'", NULL, 0, &err);
	const bool again = ours == MH_RETRY && one->engine->again(one);
	db_tx_drop(&tx);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_true((ours == MH_OK && WEXITSTATUS(status) == 1) || (again && WEXITSTATUS(status) == 0));
	assert_int_equal(close(ready[0]), 0);
	assert_int_equal(close(ready[1]), 0);
	db_close(one);
}

/* A node that is stopped with the lock in its hand holds up the others until the server ends its session, not longer. */
static void
hung_owner_is_ended(void **state)
{
	struct db *db = opened(*state, 15000);
	const int64_t before = clock_monotonic_ms();
	struct mh_err err = { 0 };
	struct db_tx tx = { NULL };
	int status;

	const pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct db *own = opened(*state, 1000);
		if (db_tx_begin(own, &tx, &err) != MH_OK)
			_exit(2);
		(void)raise(SIGSTOP);
		_exit(db_tx_commit(&tx, &err) == MH_RETRY ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	if (db_tx_begin(db, &tx, &err) != MH_OK)
		fail_msg("%s", err.text);
	assert_true(clock_monotonic_ms() - before < 14000);
	assert_int_equal(kill(child, SIGCONT), 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0); /* it learns that its transaction is lost */
	db_tx_drop(&tx);
	db_close(db);
}

#define SLOW_BYTES ((size_t)4 << 20)
#define SLOW_PIECE 16384 /* of which one goes every 5 ms: 3 MB a second */

static void
hand_on(int from, int to, size_t most)
{
	char bytes[65536];
	const ssize_t n = read(from, bytes, most);

	if (n <= 0)
		_exit(0);
	for (ssize_t at = 0, some; at < n; at += some)
		if ((some = write(to, bytes + at, (size_t)(n - at))) <= 0)
			_exit(0);
}

/* A slow line to the server: what goes there, one connection long, with little room in between. */
static pid_t
slow_line(int port, int *ret_port)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } }, there = here;
	socklen_t size = sizeof(here);
	const int little = 65536, ear = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	there.sin_port = htons((uint16_t)port);
	assert_true(ear >= 0);
	assert_int_equal(setsockopt(ear, SOL_SOCKET, SO_RCVBUF, &little, sizeof(little)), 0);
	assert_int_equal(bind(ear, (struct sockaddr *)&here, sizeof(here)), 0);
	assert_int_equal(listen(ear, 1), 0);
	assert_int_equal(getsockname(ear, (struct sockaddr *)&here, &size), 0);
	*ret_port = ntohs(here.sin_port);
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid > 0) {
		(void)close(ear);
		return pid;
	}
	struct pollfd fds[2] = { { .fd = accept(ear, NULL, NULL), .events = POLLIN },
		{ .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .events = POLLIN } };
	if (fds[0].fd < 0 || connect(fds[1].fd, (struct sockaddr *)&there, sizeof(there)) != 0)
		_exit(1);
	for (;;) {
		(void)poll(fds, 2, -1);
		if (fds[1].revents != 0)
			hand_on(fds[1].fd, fds[0].fd, 65536);
		if (fds[0].revents == 0)
			continue;
		hand_on(fds[0].fd, fds[1].fd, SLOW_PIECE);
		(void)poll(NULL, 0, 5);
	}
}

/* The same address by another port. */
static void
by_port(const char *address, int port, char dst[ENGINES_ADDRESS], int *ret_port)
{
	const char *colon = strrchr(address, '@') == NULL ? NULL : strchr(strrchr(address, '@'), ':');
	char *end = NULL;

	assert_non_null(colon);
	*ret_port = (int)strtol(colon + 1, &end, 10);
	(void)snprintf(dst, ENGINES_ADDRESS, "%.*s:%d%s", (int)(colon - address), address, port, end);
}

/* A value that is longer on its way than a transaction may be idle, a statement last, or an answer be silent. */
static void
slow_lines_bring_large_values(void **state)
{
	static const struct {
		const char *name;
		const char *set;
		int answer_ms;
	} rows[] = {
		{ "a statement", "SET statement_timeout = 500", PG_ANSWER_MS },
		{ "idle time", "SET idle_in_transaction_session_timeout = 500",
		    PG_ANSWER_MS }, /* by now it is prepared */
		{ "an answer", "SELECT 1", 1000 },
	};
	struct mh_err err = { 0 };
	char address[ENGINES_ADDRESS], *bytes = calloc(1, SLOW_BYTES);
	const int little = 65536;
	int port, status;

	assert_non_null(bytes);
	by_port(*state, 0, address, &port);
	const pid_t line = slow_line(port, &port);
	by_port(*state, port, address, &status);
	struct db *db = opened(address, 1000);
	assert_true(db->engine->ear(db) >= 0);
	assert_int_equal(setsockopt(db->engine->ear(db), SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
		const struct message_row m = { .digest = rows[i].name, .verdict = "failed", .bytes = SLOW_BYTES };
		const int64_t before = clock_monotonic_ms();
		int64_t id = 0;

		((struct pg *)db)->answer_ms = rows[i].answer_ms;
		if (db_exec(db, rows[i].set, &err) != MH_OK || db_tx_begin(db, &tx, &err) != MH_OK ||
		    ledger_message_add(db, &m, (struct mh_span){ bytes, SLOW_BYTES }, &id, &err) != MH_OK ||
		    db_tx_commit(&tx, &err) != MH_OK)
			fail_msg("%s: %s", rows[i].name, err.text);
		assert_true(clock_monotonic_ms() - before > 1100); /* it was slow */
	}
	assert_int_equal(engines_number(db, "SELECT count(*) FROM messages"), 3);
	db_close(db);
	assert_int_equal(waitpid(line, &status, 0), line);
	free(bytes);
}

/* Who holds the lock is bounded again behind a large value, and a copy, which nobody waits for, is not bounded so. */
static void
times_are_bounded(void **state)
{
	static const struct {
		const char *name;
		bool copies;
		const char *idle, *statement;
	} rows[] = { { "a node", false, "8s", "20s" }, { "a copy", true, "2min", "2min" } };
	static char bytes[PG_LARGE_BYTES];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct db_options o = { .create = true, .out_of_use = rows[i].copies, .busy_ms = 1000 };
		const struct message_row m = { .digest = "d", .verdict = "failed", .bytes = sizeof(bytes) };
		struct db_tx tx = { NULL };
		struct mh_err err = { 0 };
		struct db *db = NULL;
		int64_t id = 0, fits = 0;

		if (ledger_open(engines_engine(), engines_where(*state), &o, &db, &err) != MH_OK)
			fail_msg("%s: %s", rows[i].name, err.text);
		for (int large = 0; large < 2; large++) {
			assert_int_equal(db_tx_begin(db, &tx, &err), MH_OK);
			if (large &&
			    ledger_message_add(db, &m, (struct mh_span){ bytes, sizeof(bytes) }, &id, &err) != MH_OK)
				fail_msg("%s: %s", rows[i].name, err.text);
			assert_int_equal(db_one(db,
					     "SELECT count(*) FROM meta WHERE name = 'schema' AND "
					     "current_setting('idle_in_transaction_session_timeout') = $1 AND "
					     "current_setting('statement_timeout') = $2",
					     DB_ARGS(db_str(rows[i].idle), db_str(rows[i].statement)), &fits, &err),
			    MH_OK);
			if (fits != 1)
				fail_msg("%s%s: other times", rows[i].name, large ? ", behind a large value" : "");
			db_tx_drop(&tx);
		}
		db_close(db);
	}
}

static bool
heard_soon(struct db *db)
{
	struct pollfd p = { .fd = db->engine->ear(db), .events = POLLIN };

	assert_true(p.fd >= 0);
	if (db->engine->heard(db))
		return true;
	return poll(&p, 1, 3000) == 1 && db->engine->heard(db);
}

static bool
quiet(struct db *db)
{
	struct pollfd p = { .fd = db->engine->ear(db), .events = POLLIN };

	return !db->engine->heard(db) && poll(&p, 1, 100) == 0;
}

static void
calls_are_heard(void **state)
{
	struct db *one = opened(*state, 1000), *two = opened(*state, 1000);
	char elsewhere[ENGINES_ADDRESS];
	struct mh_err err = { 0 };
	struct db_tx tx = { NULL };

	engines_address("", elsewhere);
	struct db *third = opened(elsewhere, 1000);
	(void)one->engine->ear(one);
	(void)one->engine->heard(one); /* what was before it listened */
	assert_true(quiet(one));
	two->engine->call(two);
	assert_true(heard_soon(one));
	assert_true(quiet(one));

	assert_int_equal(db_tx_begin(two, &tx, &err), MH_OK);
	two->engine->call(two);
	assert_true(quiet(one)); /* not before the commit */
	assert_int_equal(db_tx_commit(&tx, &err), MH_OK);
	assert_true(heard_soon(one));

	assert_int_equal(db_tx_begin(two, &tx, &err), MH_OK);
	two->engine->call(two);
	db_tx_drop(&tx);
	assert_true(quiet(one)); /* nor of what was rolled back */
	one->engine->call(one);
	assert_true(quiet(one)); /* nor itself */
	third->engine->call(third);
	assert_true(quiet(one)); /* nor those of another ledger of the same database */

	kill_session(two, one); /* what was called meanwhile is not known: it counts as a call, once */
	assert_int_equal(engines_number(one, "SELECT 1"), 1);
	assert_true(heard_soon(one));
	assert_true(quiet(one));
	two->engine->call(two);
	assert_true(heard_soon(one));
	db_close(one);
	db_close(two);
	db_close(third);
}

static enum mh_status
call_with_commit(struct db *db, struct mh_err *err)
{
	int tries = 0;
	enum mh_status status;

	do {
		MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };

		status = db_tx_begin(db, &tx, err);
		db->engine->call(db);
		if (status == MH_OK)
			status = db_tx_commit(&tx, err);
	} while (db_again(db, status, &tries));
	return status;
}

/* A server that is without calls is not asked for them again; what fails once is. */
static void
calls_are_refused_by_words_only(void **state)
{
	static const struct {
		const char *name, *channel;
		enum pg_calls calls;
	} rows[] = {
		{ "too slow", "x; SELECT pg_sleep(9)", PG_CALLS_UNKNOWN },
		{ "words that are none", "x y", PG_CALLS_REFUSED },
		{ "what is not supported", "x; SELECT count(*) FROM meta FOR UPDATE", PG_CALLS_REFUSED },
	};
	enum { OUTSIDE, COMMIT, LISTEN, WAYS };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int way = 0; way < WAYS; way++) {
			struct db *db = opened(*state, 1000);
			struct pg *pg = (struct pg *)db;
			struct mh_err err = { 0 };

			assert_int_equal(db_exec(db, "SET statement_timeout = 100", &err), MH_OK);
			(void)snprintf(pg->channel, sizeof(pg->channel), "%s", rows[i].channel);
			if (way == LISTEN)
				(void)db->engine->ear(db);
			else if (way == OUTSIDE)
				db->engine->call(db);
			else if (call_with_commit(db, &err) != MH_OK)
				fail_msg("%s: %s", rows[i].name, err.text);
			if (pg->calls != rows[i].calls || pg->conn == NULL)
				fail_msg("%s: %d at way %d", rows[i].name, (int)pg->calls, way);
			db_close(db);
		}
}

/* Of several hosts the one that answered is asked first: a silent one before it costs its whole time, once. */
static void
the_host_that_answered_is_asked_first(void **state)
{
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t size = sizeof(here);
	const int silent = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* takes connections, and says nothing */
	const char *host = strchr((const char *)*state, '@');
	char address[ENGINES_ADDRESS];
	int64_t before = clock_monotonic_ms();

	assert_true(silent >= 0 && host != NULL);
	assert_int_equal(bind(silent, (struct sockaddr *)&here, sizeof(here)), 0);
	assert_int_equal(listen(silent, 8), 0);
	assert_int_equal(getsockname(silent, (struct sockaddr *)&here, &size), 0);
	assert_true(snprintf(address, sizeof(address), "%.*s@127.0.0.1:%d,%s&connect_timeout=2",
			(int)(host - (const char *)*state), (const char *)*state, ntohs(here.sin_port),
			host + 1) < (int)sizeof(address));
	struct db *db = opened(address, 1000), *other = opened(*state, 1000);
	assert_true(clock_monotonic_ms() - before >= 1000);
	kill_session(other, db);
	before = clock_monotonic_ms();
	assert_int_equal(engines_number(db, "SELECT 1"), 1);
	assert_true(clock_monotonic_ms() - before < 1000);
	db_close(db);
	db_close(other);
	(void)close(silent);
}

static void
time_is_the_servers(void **state)
{
	struct db *db = opened(*state, 1000);
	struct mh_err err = { 0 };
	int64_t now = 0, before = clock_now();

	assert_int_equal(db->engine->now(db, &now, &err), MH_OK);
	assert_true(now >= before - 1 && now <= clock_now() + 1);
	db_close(db);
}

static int
set_up(void **state)
{
	char *address = malloc(ENGINES_ADDRESS);

	assert_non_null(address);
	assert_true(engines_server());
	engines_address("", address);
	*state = address;
	return 0;
}

static int
tear_down(void **state)
{
	free(*state);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(takes_any_text, set_up, tear_down),
		cmocka_unit_test_setup_teardown(keeps_bytes_as_they_are, set_up, tear_down),
		cmocka_unit_test_setup_teardown(answers_are_read, set_up, tear_down),
		cmocka_unit_test_setup_teardown(forgets_no_statement, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lost_outside_a_transaction, set_up, tear_down),
		cmocka_unit_test_setup_teardown(lost_inside_a_transaction, set_up, tear_down),
		cmocka_unit_test_setup_teardown(failed_is_not_committed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(claims_beside_claims, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_job_of_a_case_is_claimed_at_a_time, set_up, tear_down),
		cmocka_unit_test_setup_teardown(deadlock_says_again, set_up, tear_down),
		cmocka_unit_test_setup_teardown(hung_owner_is_ended, set_up, tear_down),
		cmocka_unit_test_setup_teardown(slow_lines_bring_large_values, set_up, tear_down),
		cmocka_unit_test_setup_teardown(times_are_bounded, set_up, tear_down),
		cmocka_unit_test_setup_teardown(calls_are_heard, set_up, tear_down),
		cmocka_unit_test_setup_teardown(calls_are_refused_by_words_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_host_that_answered_is_asked_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(time_is_the_servers, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
