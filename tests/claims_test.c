/* claims_test.c: names that only one case may work on, jobs that a node leaves to others, and what ends both. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mailhook/work/ledger/claims.h"
#include "mailhook/work/ledger/leases.h"
#include "mailhook/work/ledger/nodes.h"
#include "mailhook/work/ledger/refusals.h"
#include "mailhook/work/runner_impl.h"
#include "tests/room.h"

#define CONF                                                                                                           \
	"action \"turn\" { program = \"@/turn\" role = \"effect\" needs = \"unverified\" }\n"                          \
	"action \"other\" { program = \"@/gone\" role = \"effect\" needs = \"unverified\" }\n"                         \
	"rule \"all\" { accounts = {\"111111111111\", \"222222222222\"} do = {\"turn\"} }\n"                           \
	"rule \"gone\" { accounts = {\"333333333333\"} do = {\"other\"} }\n"
#define ONE 1 /* cases, in the order of their mails */
#define TWO 2
#define FIRST "111111111111"
#define SECOND "222222222222"
#define THIRD "333333333333"

struct stage {
	struct room room;
	struct db_engine shared; /* the engine as nodes have it */
};

/* An action that does what the file "does" says: lines that are sent, each followed by what is heard, which is kept. */
static void
stage_open(struct stage *s, bool shared)
{
	room_open(&s->room, CONF);
	room_script(&s->room, "turn",
	    "IFS= read -r q\necho \"$q\" >>@/asked\nexec 4<&0\n"
	    "while IFS= read -r l; do case $l in\n '{\"outcome'*) echo \"$l\"; exit;;\n"
	    " {*) echo \"$l\"; IFS= read -r a <&4 || a=end; echo \"$a\" >>@/heard;;\n esac\ndone <@/does\n");
	(void)snprintf(s->room.w.node, sizeof(s->room.w.node), "node-a");
	s->shared = *s->room.w.db->engine;
	s->shared.local = !shared;
	s->room.w.db->engine = &s->shared;
}

static void
stage_close(struct stage *s)
{
	room_close(&s->room);
}

/* Runs what is due until nothing runs any more. */
static void
turn(struct stage *s)
{
	struct work *w = &s->room.w;
	struct runner *runner = NULL;
	struct mh_err err = { 0 };
	bool more = true;

	assert_int_equal(runner_new(w, &runner, &err), MH_OK);
	while (more || runner_running(runner) > 0) {
		struct pollfd fds[64];
		int timeout = 10000;

		if (runner_start(runner, s->room.now, &more, &err) != MH_OK)
			fail_msg("%s", err.text);
		const size_t n = runner_pollfds(runner, fds, 64, &timeout);
		if (runner_running(runner) > 0)
			(void)poll(fds, n, timeout);
		if (runner_step(runner, &err) != MH_OK)
			fail_msg("%s", err.text);
	}
	runner_free(runner);
}

/* A case of that account, whose action does this at its turn. */
static int64_t
take(struct stage *s, const char *account)
{
	return room_take(&s->room, &(struct say){ .account = account }, NULL);
}

static void
heard_is(struct stage *s, const char *name, const char *wanted)
{
	char text[1000];

	room_read(&s->room, "heard", text, sizeof(text));
	room_remove(&s->room, "heard");
	if (strcmp(text, wanted) != 0)
		fail_msg("%s: heard \"%s\", not \"%s\"", name, text, wanted);
}

#define CLAIMS "SELECT coalesce(min(name || ' ' || case_id || ' ' || action), '') FROM claims"
#define CLAIM "{\"claim\":\"tenant\"}\n"
#define RELEASE "{\"release\":\"tenant\"}\n"
#define OUTCOME(word, more) "{\"outcome\":\"" word "\",\"summary\":\"x\"" more "}\n"
#define WAITS OUTCOME("waiting", ",\"waiting_for\":\"approval\"")
#define OK "{\"ok\":true}\n"

/* -- rows ---------------------------------------------------------------------------------------------------------- */

enum op { TAKE, TAKE_OTHERS, DROP, END, CLOSE, STOP };
static const struct claim_step {
	const char *name;
	enum op op;
	int64_t case_id;
	int day;
	enum mh_status status;
	const char *claims; /* afterwards */
} claim_steps[] = {
	{ "a free one", TAKE, ONE, 0, MH_OK, "tenant 1 turn" },
	{ "its own again", TAKE, ONE, 1, MH_OK, "tenant 1 turn" },
	{ "another case's", TAKE, TWO, 2, MH_SKIP, "tenant 1 turn" },
	{ "another name", TAKE_OTHERS, TWO, 2, MH_OK, "another 2 turn" },
	{ "let go", DROP, TWO, 2, MH_OK, "tenant 1 turn" },
	{ "let go by whom it is not", DROP, TWO, 2, MH_OK, "tenant 1 turn" },
	{ "the last day that it is not void", TAKE, TWO, 120, MH_SKIP, "tenant 1 turn" },
	{ "void, counted from the last time", TAKE, TWO, 121, MH_OK, "tenant 2 turn" },
	{ "void no more", TAKE, ONE, 121, MH_SKIP, "tenant 2 turn" },
	{ "of a case that is closed, and whose job goes on", CLOSE, TWO, 121, MH_OK, "tenant 2 turn" },
	{ "which counts", TAKE, ONE, 121, MH_SKIP, "tenant 2 turn" },
	{ "of a case that is closed, and whose job has ended", STOP, TWO, 121, MH_OK, "tenant 2 turn" },
	{ "which does not", TAKE, ONE, 121, MH_OK, "tenant 1 turn" },
	{ "with all of its action", END, ONE, 121, MH_OK, "" },
	{ "free again", TAKE, TWO, 121, MH_OK, "tenant 2 turn" },
};

static void
names_are_one_cases(void **state)
{
	struct stage s;
	char sql[200], keys[2][CLAIM_HELD_BYTES];

	(void)state;
	stage_open(&s, true);
	assert_int_equal(take(&s, FIRST), ONE);
	assert_int_equal(take(&s, SECOND), TWO);
	for (size_t i = 0; i < 2; i++) {
		(void)snprintf(sql, sizeof(sql), "SELECT key FROM cases WHERE id = %zu", i + 1);
		(void)snprintf(keys[i], sizeof(keys[i]), "%s", room_text(&s.room, sql));
	}
	for (size_t i = 0; i < sizeof(claim_steps) / sizeof(claim_steps[0]); i++) {
		const struct claim_step *p = &claim_steps[i];
		const int64_t now = ROOM_NOW + p->day * ROOM_DAY;
		char held[CLAIM_HELD_BYTES] = "";
		struct mh_err err = { 0 };
		struct db *db = s.room.w.db;
		enum mh_status status = MH_OK;

		switch (p->op) {
		case TAKE:
		case TAKE_OTHERS:
			status = ledger_claim_take(
			    db, p->op == TAKE ? "tenant" : "another", p->case_id, "turn", now, held, &err);
			break;
		case DROP:
			status = ledger_claim_drop(db, i == 4 ? "another" : "tenant", p->case_id, &err);
			break;
		case END:
			status = ledger_claims_end(db, p->case_id, "turn", &err);
			break;
		case CLOSE:
			(void)snprintf(sql, sizeof(sql),
			    "UPDATE cases SET state = 'closed', closed = opened WHERE id = %d", (int)p->case_id);
			status = db_exec(db, sql, &err);
			if (status == MH_OK)
				status = ledger_claims_end(db, p->case_id, NULL, &err);
			break;
		case STOP:
			(void)snprintf(sql, sizeof(sql),
			    "UPDATE jobs SET state = 'failed', waiting_for = NULL, ended = created WHERE case_id = %d",
			    (int)p->case_id);
			status = db_exec(db, sql, &err);
			break;
		}
		const char *claims = room_text(&s.room, CLAIMS);
		if (status != p->status || strcmp(claims, p->claims) != 0 ||
		    strcmp(held, status == MH_SKIP ? keys[2 - p->case_id] : "") != 0)
			fail_msg("%s: %d, held \"%s\", \"%s\": %s", p->name, (int)status, held, claims, err.text);
	}
	stage_close(&s);
}

/* -- by actions ---------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name, *first, *second; /* what the action does for the one case, then for the other */
	const char *heard, *claims;
} runs[] = {
	{ "held by a job that waits", CLAIM WAITS, CLAIM WAITS, OK "{\"ok\":false,\"held\":\"KEY\"}\n",
	    "tenant 1 turn" },
	{ "held by a job that failed", CLAIM OUTCOME("failed", ""), CLAIM WAITS, OK "{\"ok\":false,\"held\":\"KEY\"}\n",
	    "tenant 1 turn" },
	{ "held by a job that is tried again", CLAIM OUTCOME("retry", ""), CLAIM WAITS,
	    OK "{\"ok\":false,\"held\":\"KEY\"}\n", "tenant 1 turn" },
	{ "let go", CLAIM RELEASE WAITS, CLAIM WAITS, OK OK OK, "tenant 2 turn" },
	{ "let go by whom it is not", CLAIM WAITS, RELEASE CLAIM WAITS, OK OK "{\"ok\":false,\"held\":\"KEY\"}\n",
	    "tenant 1 turn" },
	{ "ended with its job", CLAIM OUTCOME("done", ""), CLAIM WAITS, OK OK, "tenant 2 turn" },
	{ "ended with its job, which was skipped", CLAIM OUTCOME("skipped", ""), CLAIM WAITS, OK OK, "tenant 2 turn" },
};

static void
actions_claim(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++) {
		struct stage s;
		struct buf wanted;

		stage_open(&s, i % 2 == 1);
		(void)take(&s, FIRST);
		room_script(&s.room, "does", runs[i].first);
		turn(&s);
		(void)take(&s, SECOND);
		room_script(&s.room, "does", runs[i].second);
		turn(&s);

		buf_init(&wanted, 4096);
		const char *key = strstr(runs[i].heard, "KEY");
		buf_put(&wanted, key == NULL ? span_of(runs[i].heard)
					     : (struct mh_span){ runs[i].heard, (size_t)(key - runs[i].heard) });
		if (key != NULL) {
			buf_puts(&wanted, room_text(&s.room, "SELECT key FROM cases WHERE id = 1"));
			buf_puts(&wanted, key + 3);
		}
		heard_is(&s, runs[i].name, wanted.p);
		buf_release(&wanted);
		if (strcmp(room_text(&s.room, CLAIMS), runs[i].claims) != 0)
			fail_msg("%s: \"%s\"", runs[i].name, room_text(&s.room, CLAIMS));
		stage_close(&s);
	}
}

/* A case that a person closes lets go, of what failed and of what waits. */
static void
a_close_lets_go(void **state)
{
	static const char *const outcomes[] = { CLAIM OUTCOME("failed", ""), CLAIM WAITS };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct stage s;
		struct mh_err err = { 0 };

		stage_open(&s, false);
		(void)take(&s, FIRST);
		room_script(&s.room, "does", outcomes[i]);
		turn(&s);
		assert_string_equal(room_text(&s.room, CLAIMS), "tenant 1 turn");
		assert_int_equal(case_close(&s.room.w, ONE, "alice", s.room.now, &err), MH_OK);
		assert_string_equal(room_text(&s.room, CLAIMS), "");
		stage_close(&s);
	}
}

/* Nobody is answered whose lease is another's or has ended, and in a dry run nobody at all. */
static void
only_the_lease_counts(void **state)
{
	static const struct {
		const char *name, *sql;
		bool observed;
		enum claim_answer answer;
	} rows[] = {
		{ "ours", "UPDATE jobs SET attempt = 1", false, CLAIM_OURS },
		{ "in a dry run", "UPDATE jobs SET attempt = 1", true, CLAIM_LOST },
		{ "another's", "UPDATE jobs SET lease_owner = 'node-b/2'", false, CLAIM_LOST },
		{ "ended", "UPDATE jobs SET lease_until = '2025-11-06T08:59:59Z'", false, CLAIM_LOST },
		{ "queued again",
		    "UPDATE jobs SET state = 'queued', due = created, lease_owner = NULL, lease_until = NULL", false,
		    CLAIM_LOST },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stage s;
		struct mh_err err = { 0 };
		char held[CLAIM_HELD_BYTES] = "";

		stage_open(&s, true);
		(void)take(&s, FIRST);
		struct runner r = { .w = &s.room.w };
		struct running p = { .runner = &r,
			.job_id = 1,
			.attempt = 1,
			.case_id = ONE,
			.action = (char *)(uintptr_t) "turn",
			.observed = rows[i].observed };
		assert_int_equal(
		    db_exec(s.room.w.db, "UPDATE jobs SET state = 'queued', waiting_for = NULL", &err), MH_OK);
		assert_int_equal(ledger_lease_claim(s.room.w.db, 1, s.room.w.owner, s.room.now, &err), MH_OK);
		assert_int_equal(db_exec(s.room.w.db, rows[i].sql, &err), MH_OK);
		const bool ours = rows[i].answer == CLAIM_OURS;
		if (runner_on_claim(&p, "tenant", held) != rows[i].answer ||
		    room_count(&s.room, "SELECT count(*) FROM claims") != (ours ? 1 : 0) ||
		    runner_on_release(&p, "tenant") != ours || room_count(&s.room, "SELECT count(*) FROM claims") != 0)
			fail_msg("%s", rows[i].name);
		stage_close(&s);
	}
}

/* -- left to others ------------------------------------------------------------------------------------------------ */

#define JOB                                                                                                            \
	"SELECT state || ' ' || coalesce(waiting_for, '-') || ' ' || attempt || CASE WHEN retrying_since IS NULL "     \
	"THEN "                                                                                                        \
	"'' ELSE ' retrying' END FROM jobs WHERE id = 1"
#define REFUSALS "SELECT coalesce(min(job_id || ' ' || node || ' ' || until || ' ' || why), '') FROM refusals"
#define LEFT_EVENTS "SELECT count(*) FROM events WHERE what = 'left'"
#define ELSEWHERE OUTCOME("retry", ",\"elsewhere\":true")

static bool
node_would_start(struct stage *s, const char *node)
{
	struct mh_err err = { 0 };
	struct arena a;
	struct job_row j;

	arena_init(&a, 1 << 20);
	const enum mh_status status = ledger_lease_next(s->room.w.db, node, "somebody/1", s->room.now, &a, &j, &err);
	arena_release(&a);
	if (status != MH_SKIP)
		assert_int_equal(
		    db_exec(s->room.w.db,
			"UPDATE jobs SET state = 'waiting', waiting_for = 'time', due = created, attempt = "
			"attempt - 1, lease_owner = NULL, lease_until = NULL WHERE state = 'running'",
			&err),
		    MH_OK);
	return status == MH_OK;
}

static void
what_is_missing_here_is_left(void **state)
{
	struct stage s;
	struct mh_err err = { 0 };

	(void)state;
	stage_open(&s, true);
	(void)take(&s, FIRST);
	room_script(&s.room, "does", ELSEWHERE);
	turn(&s);
	turn(&s); /* it is not started again */
	assert_string_equal(room_text(&s.room, JOB), "waiting time 0");
	assert_string_equal(room_text(&s.room, REFUSALS), "1 node-a 2025-11-06T09:10:00Z x");
	assert_int_equal(room_count(&s.room, LEFT_EVENTS), 1);
	assert_string_equal(
	    room_text(&s.room, "SELECT summary FROM jobs WHERE id = 1"), "left to other nodes by node-a: x");
	assert_false(node_would_start(&s, "node-a"));
	assert_true(node_would_start(&s, "node-b"));

	room_set_time(&s.room, ROOM_NOW + REFUSAL_S - 1);
	assert_false(node_would_start(&s, "node-a"));
	room_set_time(&s.room, ROOM_NOW + REFUSAL_S);
	turn(&s); /* it looks again, and says nothing new */
	assert_string_equal(room_text(&s.room, REFUSALS), "1 node-a 2025-11-06T09:20:00Z x");
	assert_int_equal(room_count(&s.room, LEFT_EVENTS), 1);

	/* where it is there, all is as if nothing had been */
	assert_int_equal(ledger_refusals_drop_node(s.room.w.db, "node-a", &err), MH_OK);
	room_script(&s.room, "does", WAITS);
	turn(&s);
	assert_string_equal(room_text(&s.room, JOB), "waiting approval 1");
	assert_string_equal(room_text(&s.room, REFUSALS), "");
	stage_close(&s);
}

static void
alone_it_is_a_retry(void **state)
{
	struct stage s;
	char asked[4096];

	(void)state;
	stage_open(&s, false);
	(void)take(&s, FIRST);
	room_script(&s.room, "does", ELSEWHERE);
	turn(&s);
	assert_string_equal(room_text(&s.room, JOB), "queued - 1 retrying");
	assert_string_equal(room_text(&s.room, REFUSALS), "");
	room_read(&s.room, "asked", asked, sizeof(asked));
	assert_null(strstr(asked, "\"others\"")); /* nobody is told of others where there are none */
	stage_close(&s);
}

/* A program that is not on this machine, and an action that it has no configuration of. */
static void
what_cannot_be_started_is_left(void **state)
{
	static const char *const why[] = { "No such file", "is not configured" };

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct stage s;
		struct mh_err err = { 0 };

		stage_open(&s, true);
		(void)take(&s, THIRD);
		if (i == 1)
			assert_int_equal(db_exec(s.room.w.db, "UPDATE jobs SET action = 'elsewhere'", &err), MH_OK);
		turn(&s);
		assert_string_equal(room_text(&s.room, JOB), "waiting time 0");
		if (strstr(room_text(&s.room, REFUSALS), why[i]) == NULL)
			fail_msg("%s: %s", why[i], room_text(&s.room, REFUSALS));
		stage_close(&s);
	}
}

static void
add_node(struct stage *s, const char *name, int64_t seen)
{
	const struct node_row n = {
		.name = name, .life = "1", .version = "1", .started = seen, .seen = seen, .report = "{}"
	};
	struct mh_err err = { 0 };

	if (ledger_node_enter(s->room.w.db, &n, MH_LIT("1"), 0, &err) != MH_OK)
		fail_msg("%s: %s", name, err.text);
}

static void
refuse(struct stage *s, const char *node, const char *why, bool news)
{
	const struct refusal_row r = { .job_id = 1, .node = node, .until = ROOM_NOW + 1, .why = why };
	struct mh_err err = { 0 };
	bool is_news = !news;

	assert_int_equal(ledger_refuse(s->room.w.db, &r, &is_news, &err), MH_OK);
	assert_int_equal(is_news, news);
}

static void
counted(struct stage *s, const char *name, int64_t jobs, int64_t by_all)
{
	struct mh_err err = { 0 };
	struct arena a;
	struct refusal_row one;
	int64_t n = -1, all = -1, case_id = 0;

	arena_init(&a, 1 << 20);
	assert_int_equal(ledger_refusals_count(s->room.w.db, ROOM_NOW, &n, &all, &err), MH_OK);
	const enum mh_status found = ledger_refused_by_all(s->room.w.db, ROOM_NOW, &a, &case_id, &one, &err);
	if (n != jobs || all != by_all || found != (by_all > 0 ? MH_OK : MH_SKIP) || (by_all > 0 && case_id != ONE))
		fail_msg("%s: %d jobs, %d by all, %d", name, (int)n, (int)all, (int)found);
	arena_release(&a);
}

static void
whether_anybody_is_left(void **state)
{
	struct stage s;
	struct mh_err err = { 0 };

	(void)state;
	stage_open(&s, true);
	(void)take(&s, FIRST);
	add_node(&s, "node-a", ROOM_NOW - 10);
	add_node(&s, "node-b", ROOM_NOW - 59);
	add_node(&s, "node-c", ROOM_NOW - 60);
	counted(&s, "nobody leaves it", 0, 0);
	refuse(&s, "node-a", "no key", true);
	refuse(&s, "node-a", "no key", false);
	refuse(&s, "node-a", "another key", true);
	counted(&s, "one of two that are there", 1, 0);
	refuse(&s, "node-b", "no key", true);
	counted(&s, "both; the third is silent", 1, 1);
	assert_int_equal(ledger_refusals_drop(s.room.w.db, 1, "node-b", &err), MH_OK);
	counted(&s, "one again", 1, 0);
	refuse(&s, "node-b", "no key", true);
	assert_int_equal(
	    db_exec(s.room.w.db, "UPDATE jobs SET state = 'skipped', waiting_for = NULL, ended = created", &err),
	    MH_OK);
	counted(&s, "what has ended is nobody's", 0, 0);
	assert_int_equal(ledger_refusals_drop(s.room.w.db, 1, NULL, &err), MH_OK);
	assert_int_equal(room_count(&s.room, "SELECT count(*) FROM refusals"), 0);
	stage_close(&s);
}

/* A person who has it tried again has it tried by all. */
static void
a_person_has_it_tried_again(void **state)
{
	struct stage s;
	struct mh_err err = { 0 };
	size_t n = 0;

	(void)state;
	stage_open(&s, true);
	(void)take(&s, FIRST);
	room_script(&s.room, "does", ELSEWHERE);
	turn(&s);
	assert_int_equal(case_retry(&s.room.w, ONE, "alice", s.room.now, &n, &err), MH_OK);
	assert_int_equal(n, 1);
	assert_string_equal(room_text(&s.room, REFUSALS), "");
	room_script(&s.room, "does", OUTCOME("done", ""));
	turn(&s);
	assert_string_equal(room_text(&s.room, JOB), "done - 1");
	stage_close(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_one_cases),
		cmocka_unit_test(actions_claim),
		cmocka_unit_test(a_close_lets_go),
		cmocka_unit_test(only_the_lease_counts),
		cmocka_unit_test(what_is_missing_here_is_left),
		cmocka_unit_test(alone_it_is_a_retry),
		cmocka_unit_test(what_cannot_be_started_is_left),
		cmocka_unit_test(whether_anybody_is_left),
		cmocka_unit_test(a_person_has_it_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
