/* jobs_test.c: what an event makes due and in what order, what outcomes lead to, and actions that misbehave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <poll.h>
#include <unistd.h>

#include "mailhook/json.h"
#include "mailhook/work/accounts.h"
#include "mailhook/work/job.h"
#include "mailhook/work/runner.h"
#include "tests/engines.h"
#include "tests/room.h"

#define MINUTE INT64_C(60)

/* Reads the request, notes "NAME VERB EVENT ATTEMPT" in the room's log, and answers with the line in the file NAME.says,
 * or done where there is none. */
#define NOTE(name)                                                                                                     \
	"IFS= read -r q\n"                                                                                             \
	"e=$(printf '%s' \"$q\" | sed 's/.*\"event\":\"\\([a-z]*\\)\",\"attempt\":\\([0-9]*\\).*/\\1 \\2/')\n"         \
	"echo \"" name " $1 $e\" >>@/log\n"
#define SAYS(name)                                                                                                     \
	"if [ -f @/" name ".says ]; then cat @/" name ".says; else echo '{\"outcome\":\"done\",\"summary\":\"" name    \
	" did it\"}'; fi\n"

#define ACTIONS                                                                                                        \
	"action \"desk\" { program = \"@/desk\" role = \"ticket\" }\n"                                                 \
	"action \"turn\" { program = \"@/turn\" role = \"effect\" needs = \"unverified\" }\n"                          \
	"action \"tell\" { program = \"@/tell\" role = \"reply\" }\n"

static void
stage(struct room *r, const char *conf)
{
	room_open(r, conf);
	room_script(r, "desk", NOTE("desk") SAYS("desk"));
	room_script(r, "turn", NOTE("turn") SAYS("turn"));
	room_script(r, "tell", NOTE("tell") SAYS("tell"));
}

static void
says(struct room *r, const char *name, const char *line)
{
	char path[160];

	(void)snprintf(path, sizeof(path), "%s/%s.says", r->dir, name);
	if (line == NULL) {
		assert_int_equal(unlink(path), 0);
		return;
	}
	FILE *f = fopen(path, "we");
	assert_non_null(f);
	assert_true(fprintf(f, "%s\n", line) > 0);
	assert_int_equal(fclose(f), 0);
}

/* Until nothing runs and nothing is due at the room's time. */
static void
drive(struct room *r)
{
	struct runner *runner = NULL;
	struct mh_err err = { 0 };
	bool more = true;

	assert_int_equal(runner_new(&r->w, &runner, &err), MH_OK);
	while (more || runner_running(runner) > 0) {
		struct pollfd fds[64];
		int timeout = 10000;

		if (runner_start(runner, r->now, &more, &err) != MH_OK)
			fail_msg("%s", err.text);
		const size_t n = runner_pollfds(runner, fds, 64, &timeout);
		if (runner_running(runner) > 0) {
			(void)poll(fds, n, timeout);
			more = true;
		}
		if (runner_step(runner, &err) != MH_OK)
			fail_msg("%s", err.text);
	}
	runner_free(runner);
}

static void
log_is(struct room *r, const char *name, const char *wanted)
{
	char text[4096];

	room_read(r, "log", text, sizeof(text));
	room_remove(r, "log");
	if (strcmp(text, wanted) != 0)
		fail_msg("%s:\n%s", name, text);
}

static void
event(struct room *r, const char *what)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct arena a;
	struct case_row c;
	struct mh_err err = { 0 };

	arena_init(&a, 1 << 20);
	assert_int_equal(db_tx_begin(r->w.db, &tx, &err), MH_OK);
	assert_int_equal(ledger_case_get(r->w.db, 1, &a, &c, &err), MH_OK);
	if (case_event(&r->w, &c, what, "test", "made by the test", NULL, r->now, &err) != MH_OK)
		fail_msg("%s", err.text);
	assert_int_equal(db_tx_commit(&tx, &err), MH_OK);
	arena_release(&a);
}

/* -- events and roles ---------------------------------------------------------------------------------------------- */

static void
each_role_has_its_jobs(void **state)
{
	struct room r;

	(void)state;
	stage(&r, ACTIONS "rule \"all\" { do = {\"desk\", \"turn\", \"tell\"} }\n");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	/* the effect's end is an event for the ticket; the reply that had not gone yet tells of it, so there is no second */
	log_is(&r, "opened", "desk run opened 1\nturn run opened 1\ntell run opened 1\ndesk run succeeded 1\n");
	event(&r, "reminded");
	event(&r, "reminded");
	drive(&r);
	log_is(&r, "reminded twice",
	    "desk run reminded 1\ntell run reminded 1\ndesk run reminded 1\ntell run reminded 1\n");
	assert_int_equal(
	    room_count(&r, "SELECT count(DISTINCT job_key) FROM jobs"), room_count(&r, "SELECT count(*) FROM jobs"));
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE state <> 'done'"), 0);
	event(&r, "expired");
	drive(&r);
	log_is(&r, "expired", "desk run expired 1\ntell run expired 1\n");
	room_close(&r);
}

static void
late_effect_has_its_own_reply(void **state)
{
	struct room r;

	(void)state;
	stage(&r, ACTIONS "rule \"all\" { do = {\"turn\", \"tell\"} }\n");
	says(&r, "turn", "{\"outcome\":\"waiting\",\"waiting_for\":\"approval\",\"summary\":\"may I?\"}");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	log_is(&r, "a reply does not wait for a person", "turn run opened 1\ntell run opened 1\n");

	struct mh_err err = { 0 };
	says(&r, "turn", NULL);
	assert_int_equal(case_approve(&r.w, 1, NULL, "alice", r.now, &err), MH_OK);
	drive(&r);
	log_is(&r, "approved", "turn run opened 2\ntell run approved 1\ntell run succeeded 1\n");
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'effect'"), 1);
	room_close(&r);
}

static void
effect_waits_for_trust(void **state)
{
	struct room r;
	struct arena a;
	struct job_rows jobs = { 0 };
	struct case_row c;
	struct mh_err err = { 0 };
	char why[200];

	(void)state;
	stage(&r, "action \"desk\" { program = \"@/desk\" role = \"ticket\" }\n"
		  "action \"turn\" { program = \"@/turn\" }\n" /* verified by default */
		  "action \"tell\" { program = \"@/tell\" role = \"reply\" }\n"
		  "rule \"all\" { do = {\"desk\", \"turn\", \"tell\"} }\n");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	log_is(&r, "unverified", "desk run opened 1\ntell run opened 1\n");
	arena_init(&a, 1 << 20);
	assert_int_equal(ledger_jobs_of_case(r.w.db, 1, &a, &jobs, &err), MH_OK);
	assert_int_equal(ledger_case_get(r.w.db, 1, &a, &c, &err), MH_OK);
	assert_string_equal(
	    job_why(&jobs.items[1], &c, why, sizeof(why)), "needs a verified notice, and this case is unverified");

	/* relayed is not enough by itself, and a person who approved before it came had seen something else */
	assert_int_equal(case_approve(&r.w, 1, NULL, "alice", r.now, &err), MH_OK);
	drive(&r);
	log_is(&r, "approved but not trusted", "desk run approved 1\ntell run approved 1\n");
	(void)room_take(&r, &(struct say){ .trust = TRUST_RELAYED }, NULL);
	drive(&r);
	log_is(&r, "relayed", "desk run trusted 1\ntell run trusted 1\n");
	assert_int_equal(case_approve(&r.w, 1, NULL, "alice", r.now, &err), MH_OK);
	drive(&r);
	log_is(&r, "relayed and approved",
	    "turn run opened 1\ndesk run approved 1\ntell run approved 1\ndesk run succeeded 1\ntell run succeeded "
	    "1\n");
	(void)room_take(&r, &(struct say){ .trust = TRUST_VERIFIED }, NULL);
	drive(&r);
	log_is(&r, "never doubled", "desk run trusted 1\ntell run trusted 1\n");
	arena_release(&a);
	room_close(&r);
}

static void
failed_ticket_is_told_once(void **state)
{
	struct room r;

	(void)state;
	stage(&r, ACTIONS "rule \"all\" { do = {\"desk\", \"tell\"} }\n");
	says(&r, "desk", "{\"outcome\":\"failed\",\"summary\":\"no such queue\"}");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	/* its own failure is no event for the ticket, and the opening's reply has not gone yet */
	log_is(&r, "failed at once", "desk run opened 1\ntell run opened 1\n");
	assert_int_equal(room_count(&r, "SELECT count(*) FROM events WHERE what = 'failed'"), 1);
	says(&r, "tell", "{\"outcome\":\"failed\",\"summary\":\"no such user\"}");
	event(&r, "reminded");
	drive(&r);
	log_is(&r, "a reply's failure makes no event", "desk run reminded 1\ntell run reminded 1\n");
	assert_int_equal(room_count(&r, "SELECT count(*) FROM events WHERE what = 'failed'"), 2);
	room_close(&r);
}

static void
failed_effect_goes_to_the_ticket(void **state)
{
	struct room r;

	(void)state;
	stage(&r, ACTIONS "rule \"all\" { do = {\"desk\", \"turn\", \"tell\"} }\n");
	says(&r, "turn", "{\"outcome\":\"failed\",\"summary\":\"denied\"}");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	log_is(&r, "failed", "desk run opened 1\nturn run opened 1\ntell run opened 1\ndesk run failed 1\n");
	says(&r, "turn", NULL);
	size_t n = 0;
	struct mh_err err = { 0 };
	assert_int_equal(case_retry(&r.w, 1, "alice", r.now, &n, &err), MH_OK);
	assert_int_equal(n, 1);
	drive(&r);
	log_is(&r, "retried by hand", "turn run opened 2\ndesk run succeeded 1\ntell run succeeded 1\n");
	room_close(&r);
}

static void
closing_skips_effects(void **state)
{
	struct room r;
	struct mh_err err = { 0 };

	(void)state;
	stage(&r, ACTIONS "rule \"all\" { do = {\"desk\", \"turn\", \"tell\"} }\n");
	says(&r, "turn", "{\"outcome\":\"waiting\",\"waiting_for\":\"input\",\"summary\":\"the token, please\"}");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	log_is(&r, "waits for input", "desk run opened 1\nturn run opened 1\ntell run opened 1\n");
	assert_int_equal(case_close(&r.w, 1, "alice", r.now, &err), MH_OK);
	drive(&r);
	log_is(&r, "closed", "desk run closed 1\ntell run closed 1\n");
	assert_string_equal(room_text(&r, "SELECT state FROM jobs WHERE role = 'effect'"), "skipped");
	room_close(&r);
}

/* -- order --------------------------------------------------------------------------------------------------------- */

static void
do_orders_and_after_blocks(void **state)
{
	struct room r;

	(void)state;
	stage(&r,
	    "action \"desk\" { program = \"@/desk\" role = \"ticket\" }\n"
	    "action \"turn\" { program = \"@/turn\" needs = \"unverified\" }\n"
	    "action \"tell\" { program = \"@/tell\" needs = \"unverified\" role = \"effect\" after = {\"desk\"} }\n"
	    "rule \"all\" { do = {\"desk\", \"turn\", \"tell\"} }\n");
	says(&r, "desk", "{\"outcome\":\"retry\",\"summary\":\"down\"}");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	/* turn does not wait for desk, and its own end waits for desk's first event; tell comes after desk */
	log_is(&r, "blocked", "desk run opened 1\nturn run opened 1\n");
	says(&r, "desk", NULL);
	room_set_time(&r, r.now + 2 * MINUTE);
	drive(&r);
	log_is(&r, "in order", "desk run opened 2\ntell run opened 1\ndesk run succeeded 1\ndesk run succeeded 1\n");
	room_close(&r);
}

static void
after_a_failure_never_comes(void **state)
{
	struct room r;

	(void)state;
	stage(&r, "action \"desk\" { program = \"@/desk\" role = \"ticket\" }\n"
		  "action \"turn\" { program = \"@/turn\" needs = \"unverified\" after = {\"desk\"} }\n"
		  "rule \"all\" { do = {\"desk\", \"turn\"} }\n");
	says(&r, "desk", "{\"outcome\":\"failed\",\"summary\":\"no\"}");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	log_is(&r, "never", "desk run opened 1\n");
	assert_string_equal(room_text(&r, "SELECT state || ': ' || summary FROM jobs WHERE action = 'turn'"),
	    "skipped: what it comes after did not end well");
	room_close(&r);
}

static void
reply_has_five_minutes_of_patience(void **state)
{
	struct room r;

	(void)state;
	stage(&r, ACTIONS "rule \"all\" { do = {\"desk\", \"tell\"} }\n");
	says(&r, "desk", "{\"outcome\":\"retry\",\"summary\":\"down\",\"retry_after_s\":3600}");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	log_is(&r, "not yet", "desk run opened 1\n");
	assert_string_equal(room_text(&r, "SELECT due FROM jobs WHERE role = 'reply'"), "2025-11-06T09:05:00Z");
	room_set_time(&r, r.now + 5 * MINUTE - 1);
	drive(&r);
	log_is(&r, "one second early", "");
	room_set_time(&r, r.now + 1);
	drive(&r);
	log_is(&r, "after five minutes", "tell run opened 1\n");
	room_close(&r);
}

/* -- retries ------------------------------------------------------------------------------------------------------- */

static void
back_off_is_computable(void **state)
{
	const char *keys[] = { "00", "6f1e0c1f5ab14c0d8c1f2b3a4d5e6f70" };
	bool differ = false;

	(void)state;
	for (int64_t n = 1; n < 40; n++) {
		const int64_t base = n < 10 ? MINUTE << (n - 1) : JOB_RETRY_MAX_S;
		for (size_t k = 0; k < 2; k++) {
			const int64_t s = job_backoff_s(keys[k], n);
			const int64_t low = base > JOB_RETRY_MAX_S ? JOB_RETRY_MAX_S : base;
			if (s < low || s > low + low / 4 || s > JOB_RETRY_MAX_S || s != job_backoff_s(keys[k], n))
				fail_msg("attempt %lld: %lld s", (long long)n, (long long)s);
		}
		differ = differ || job_backoff_s(keys[0], n) != job_backoff_s(keys[1], n);
	}
	assert_true(differ);
}

static void
retries_back_off_until_given_up(void **state)
{
	struct room r;
	int attempts = 0;

	(void)state;
	stage(&r, "action \"desk\" { program = \"@/desk\" role = \"ticket\" give_up = \"1d\" }\n"
		  "action \"tell\" { program = \"@/tell\" role = \"reply\" }\n"
		  "rule \"all\" { do = {\"desk\", \"tell\"} }\n");
	says(&r, "desk", "{\"outcome\":\"retry\",\"summary\":\"down\"}");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	while (room_count(&r, "SELECT count(*) FROM jobs WHERE action = 'desk' AND state = 'queued'") > 0 &&
	       attempts < 50) {
		char key[40], due[24], wanted[MH_TIME_TEXT];
		int64_t t;

		drive(&r);
		attempts++;
		if (room_count(&r, "SELECT count(*) FROM jobs WHERE action = 'desk' AND state = 'queued'") == 0)
			break;
		(void)snprintf(key, sizeof(key), "%s", room_text(&r, "SELECT job_key FROM jobs WHERE action = 'desk'"));
		(void)snprintf(due, sizeof(due), "%s", room_text(&r, "SELECT due FROM jobs WHERE action = 'desk'"));
		t = r.now + job_backoff_s(key, attempts);
		if (t > ROOM_NOW + ROOM_DAY)
			t = ROOM_NOW + ROOM_DAY;
		assert_string_equal(due, time_text(wanted, t));
		room_set_time(&r, t);
	}
	assert_int_equal(r.now, ROOM_NOW + ROOM_DAY); /* the last attempt is at the very end */
	assert_string_equal(room_text(&r, "SELECT state FROM jobs WHERE action = 'desk'"), "failed");
	assert_non_null(strstr(room_text(&r, "SELECT summary FROM jobs WHERE action = 'desk'"), "given up after"));
	assert_string_equal(room_text(&r, "SELECT group_concat(event) FROM jobs WHERE role = 'reply'"),
	    "opened,failed"); /* a last word */
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'ticket'"), 1);
	room_close(&r);
}

static void
retry_after_is_obeyed(void **state)
{
	static const struct {
		const char *name, *line, *due;
	} rows[] = {
		{ "longer than our own", "{\"outcome\":\"retry\",\"summary\":\"x\",\"retry_after_s\":7200}",
		    "queued 2025-11-06T11:00:00Z" },
		{ "shorter than our own", "{\"outcome\":\"retry\",\"summary\":\"x\",\"retry_after_s\":5}",
		    "queued 2025-11-06T09:00:05Z" },
		{ "at once is a second", "{\"outcome\":\"retry\",\"summary\":\"x\",\"retry_after_s\":0}",
		    "queued 2025-11-06T09:00:01Z" },
		{ "waiting for time",
		    "{\"outcome\":\"waiting\",\"waiting_for\":\"time\",\"summary\":\"x\",\"retry_after_s\":2400}",
		    "waiting 2025-11-06T09:40:00Z" },
		{ "waiting for input has no time",
		    "{\"outcome\":\"waiting\",\"waiting_for\":\"input\",\"summary\":\"x\"}", "waiting -" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct room r;

		stage(&r, ACTIONS "rule \"all\" { do = {\"turn\"} }\n");
		says(&r, "turn", rows[i].line);
		(void)room_take(&r, &(struct say){ 0 }, NULL);
		drive(&r);
		const char *due = room_text(&r, "SELECT state || ' ' || coalesce(due, '-') FROM jobs");
		if (strcmp(due, rows[i].due) != 0)
			fail_msg("%s: %s", rows[i].name, due);
		room_close(&r);
	}
}

/* -- actions that misbehave ---------------------------------------------------------------------------------------- */

static const struct {
	const char *name, *body, *state, *summary; /* summary: a part of it */
} bad_rows[] = {
	{ "crashing", "kill -SEGV $$\n", "queued", "" },
	{ "silent", "exit 0\n", "queued", "" },
	{ "garbage", "echo hello\n", "queued", "" },
	{ "lying about its outcome", "echo '{\"outcome\":\"splendid\",\"summary\":\"x\"}'\n", "queued", "" },
	{ "two outcomes",
	    "echo '{\"outcome\":\"done\",\"summary\":\"x\"}'\necho '{\"outcome\":\"failed\",\"summary\":\"y\"}'\n",
	    "queued", "" },
	{ "no summary", "echo '{\"outcome\":\"done\"}'\n", "queued", "" },
	{ "stuck", "while :; do sleep 100; done\n", "queued", "" },
	{ "deaf and stuck", "trap '' TERM\nwhile :; do sleep 100; done\n", "queued", "" },
	{ "done", "echo '{\"outcome\":\"done\",\"summary\":\"x y\"}'\n", "done", "x y" },
	{ "skipped", "echo '{\"outcome\":\"skipped\",\"summary\":\"not mine\"}'\n", "skipped", "not mine" },
	{ "exit code does not matter", "echo '{\"outcome\":\"done\",\"summary\":\"x\"}'\nexit 3\n", "done", "x" },
};

static void
bad_actions_are_retried(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
		struct room r;

		stage(&r, "action \"turn\" { program = \"@/turn\" needs = \"unverified\" deadline = \"1s\" }\n"
			  "rule \"all\" { do = {\"turn\"} }\n");
		room_script(&r, "turn", bad_rows[i].body);
		(void)room_take(&r, &(struct say){ 0 }, NULL);
		drive(&r);
		if (strcmp(room_text(&r, "SELECT state FROM jobs"), bad_rows[i].state) != 0 ||
		    strstr(room_text(&r, "SELECT summary FROM jobs"), bad_rows[i].summary) == NULL)
			fail_msg("%s: %s", bad_rows[i].name, room_text(&r, "SELECT state || ' ' || summary FROM jobs"));
		if (strcmp(bad_rows[i].state, "queued") == 0 &&
		    room_count(&r, "SELECT due >= '2025-11-06T09:01:00Z' AND length(summary) > 0 FROM jobs") != 1)
			fail_msg("%s: not retried later with a reason", bad_rows[i].name);
		room_close(&r);
	}
}

static void
missing_program_is_retried(void **state)
{
	struct room r;

	(void)state;
	stage(&r,
	    "action \"turn\" { program = \"@/nowhere\" needs = \"unverified\" }\nrule \"all\" { do = {\"turn\"} }\n");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	/* another node may have the program: it is left to that, and no attempt */
	assert_string_equal(room_text(&r, "SELECT state FROM jobs"), engines_server() ? "waiting" : "queued");
	assert_int_equal(room_count(&r, "SELECT attempt FROM jobs"), engines_server() ? 0 : 1);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM refusals"), engines_server() ? 1 : 0);
	room_close(&r);
}

static void
checkpoints_are_durable(void **state)
{
	struct room r;
	char text[4096];

	(void)state;
	stage(&r, ACTIONS "rule \"all\" { do = {\"turn\"} }\n");
	/* the first attempt stores and dies; the second finds what was stored */
	room_script(&r, "turn",
	    "IFS= read -r q\ncase $q in *'\"state\":{\"step\":7}'*) echo '{\"outcome\":\"done\",\"summary\":\"went "
	    "on\"}'; exit;; "
	    "esac\necho '{\"checkpoint\":{\"step\":7}}'\nIFS= read -r a\necho \"$a\" >>@/log\nkill -KILL $$\n");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	room_read(&r, "log", text, sizeof(text));
	assert_string_equal(text, "{\"ok\":true}\n");
	assert_string_equal(room_text(&r, "SELECT action_state FROM jobs"), "{\"step\":7}");
	room_set_time(&r, r.now + 2 * MINUTE);
	drive(&r);
	assert_string_equal(room_text(&r, "SELECT state || summary FROM jobs"), "donewent on");
	room_close(&r);
}

static void
lost_lease_gets_no_leave(void **state)
{
	struct room r;
	struct runner *runner = NULL;
	struct mh_err err = { 0 };
	bool more;

	(void)state;
	stage(&r, ACTIONS "rule \"all\" { do = {\"turn\"} }\n");
	room_script(&r, "turn",
	    "IFS= read -r q\nwhile [ ! -f @/go ]; do :; done\necho '{\"checkpoint\":{\"step\":7}}'\n"
	    "IFS= read -r a || echo refused >>@/log\necho '{\"outcome\":\"done\",\"summary\":\"x\"}'\n");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	assert_int_equal(runner_new(&r.w, &runner, &err), MH_OK);
	assert_int_equal(runner_start(runner, r.now, &more, &err), MH_OK);
	assert_int_equal(runner_running(runner), 1);
	/* another node has taken it over */
	(void)room_count(&r, "UPDATE jobs SET lease_owner = 'other/2' RETURNING id");
	room_script(&r, "go", "");
	while (runner_running(runner) > 0) {
		struct pollfd fds[8];
		int timeout = 10000;
		const size_t n = runner_pollfds(runner, fds, 8, &timeout);
		(void)poll(fds, n, timeout);
		assert_int_equal(runner_step(runner, &err), MH_OK);
	}
	runner_free(runner);
	log_is(&r, "no leave", "refused\n");
	assert_string_equal(room_text(&r, "SELECT state || action_state || lease_owner FROM jobs"), "running{}other/2");
	room_close(&r);
}

/* -- running ------------------------------------------------------------------------------------------------------- */

static void
one_at_a_time_for_a_case(void **state)
{
	struct room r;
	struct runner *runner = NULL;
	struct mh_err err = { 0 };
	bool more = false;

	(void)state;
	stage(&r, "max_running = 3\naction \"turn\" { program = \"@/turn\" needs = \"unverified\" }\n"
		  "action \"tell\" { program = \"@/turn\" needs = \"unverified\" role = \"effect\" }\n"
		  "rule \"all\" { accounts = {\"*\"} do = {\"turn\", \"tell\"} }\n");
	room_script(&r, "turn", "while IFS= read -r q; do :; done\n"); /* until it is killed */
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	(void)room_take(&r, &(struct say){ .account = "123456789013" }, NULL);
	assert_int_equal(runner_new(&r.w, &runner, &err), MH_OK);
	assert_int_equal(runner_start(runner, r.now, &more, &err), MH_OK);
	assert_int_equal(runner_running(runner), 2); /* two cases */
	for (int i = 4; i < 8; i++) {
		char account[20];
		(void)snprintf(account, sizeof(account), "12345678901%d", i);
		(void)room_take(&r, &(struct say){ .account = account }, NULL);
	}
	assert_int_equal(runner_start(runner, r.now, &more, &err), MH_OK);
	assert_int_equal(runner_running(runner), 3); /* max_running */
	assert_true(more);
	assert_int_equal(room_count(&r, "SELECT count(DISTINCT case_id) FROM jobs WHERE state = 'running'"), 3);
	assert_int_equal(runner_stop(runner, &err), MH_OK);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE state = 'running'"), 0);
	assert_int_equal(
	    room_count(&r, "SELECT count(*) FROM jobs WHERE state = 'queued' AND attempt = 1 AND lease_owner IS NULL"),
	    3);
	runner_free(runner);
	room_close(&r);
}

/* mailhook-action(7), key by key: 's' a string, 'i' a whole number, 'b' true or false, '0' null, 'o' an object, 'a' a list */
static const struct {
	const char *in, *key;
	char type;
} request_rows[] = {
	{ NULL, "version", 'i' },
	{ NULL, "event", 's' },
	{ NULL, "attempt", 'i' },
	{ NULL, "now", 's' },
	{ NULL, "deadline", 's' },
	{ NULL, "job_key", 's' },
	{ NULL, "case_key", 's' },
	{ NULL, "action", 's' },
	{ NULL, "config", 's' },
	{ NULL, "state_dir", 's' },
	{ NULL, "observe", 'b' },
	{ NULL, "outcomes", 'a' },
	{ NULL, "state", 'o' },
	{ "case", "id", 'i' },
	{ "case", "kind", 's' },
	{ "case", "account", 's' },
	{ "case", "account_name", 's' },
	{ "case", "owner", 's' },
	{ "case", "environment", '0' },
	{ "case", "assignee", '0' },
	{ "case", "region", 's' },
	{ "case", "resource", '0' },
	{ "case", "expires", 's' },
	{ "case", "precision", 's' },
	{ "case", "days_left", 'i' },
	{ "case", "reason", '0' },
	{ "case", "state", 's' },
	{ "case", "opened", 's' },
	{ "case", "closed_by", '0' },
	{ "case", "notices", 'i' },
	{ "case", "ticket_url", '0' },
	{ "notice", "kind", 's' },
	{ "notice", "account", 's' },
	{ "notice", "region", 's' },
	{ "notice", "resource", '0' },
	{ "notice", "event", '0' },
	{ "notice", "expires", 's' },
	{ "notice", "precision", 's' },
	{ "notice", "days_stated", 'i' },
	{ "trust", "level", 's' },
	{ "trust", "by", '0' },
	{ "trust", "steps", 'a' },
	{ "message", "id", 's' },
	{ "message", "references", '0' },
	{ "message", "reply_to", 's' },
	{ "message", "envelope_from", 's' },
	{ "message", "auto", 'b' },
	{ "message", "list", 'b' },
	{ "message", "own", 'b' },
};

static bool
has_type(const cJSON *item, char type)
{
	return type == 's'   ? cJSON_IsString(item)
	       : type == 'i' ? cJSON_IsNumber(item)
	       : type == 'b' ? cJSON_IsBool(item)
	       : type == 'o' ? cJSON_IsObject(item)
	       : type == 'a' ? cJSON_IsArray(item)
			     : cJSON_IsNull(item);
}

static void
ignore(void *user, const char *line)
{
	(void)user;
	(void)line;
}

static void
request_is_as_described(void **state)
{
	struct room r;
	struct mh_err err = { 0 };
	char text[8192];

	(void)state;
	stage(&r, "accounts_file = \"@/accounts\"\n" ACTIONS "rule \"all\" { do = {\"desk\", \"turn\"} }\n");
	(void)snprintf(text, sizeof(text), "%s/accounts", r.dir);
	FILE *accounts = fopen(text, "we"); /* no room_script(): that takes the @ for the room's folder */
	assert_non_null(accounts);
	assert_true(fputs("123456789012,Payments,pay@example.com\n", accounts) >= 0);
	assert_int_equal(fclose(accounts), 0);
	assert_int_equal(accounts_load(r.w.conf->accounts_file, ignore, NULL, &r.w.accounts, &err), MH_OK);
	room_script(&r, "turn",
	    "IFS= read -r q\nprintf '%s' \"$q\" >@/request\necho '{\"outcome\":\"done\",\"summary\":\"x\"}'\n");
	(void)room_take(&r, &(struct say){ .region = "eu-west-1" }, NULL);
	drive(&r);
	room_read(&r, "request", text, sizeof(text));
	MH_AUTO(drop_json) cJSON *j = json_parse(span_of(text), &err);
	assert_non_null(j);
	for (size_t i = 0; i < sizeof(request_rows) / sizeof(request_rows[0]); i++) {
		const cJSON *in = request_rows[i].in == NULL ? j : json_object(j, request_rows[i].in);
		const cJSON *item = cJSON_GetObjectItemCaseSensitive(in, request_rows[i].key);
		if (!has_type(item, request_rows[i].type))
			fail_msg("%s.%s", request_rows[i].in == NULL ? "" : request_rows[i].in, request_rows[i].key);
	}
	assert_string_equal(json_string(j, "now"), "2025-11-06T09:00:00Z");
	assert_string_equal(json_string(j, "deadline"), "2025-11-06T09:01:00Z");
	assert_string_equal(json_string(json_object(j, "case"), "account_name"), "Payments");
	assert_string_equal(json_string(json_object(j, "case"), "owner"), "pay@example.com");
	const cJSON *other = cJSON_GetArrayItem(json_array(j, "outcomes"), 0);
	assert_string_equal(json_string(other, "action"), "desk");
	assert_string_equal(json_string(other, "outcome"), "done");
	assert_string_equal(json_string(other, "summary"), "desk did it");
	assert_int_equal(cJSON_GetArraySize(json_array(j, "outcomes")), 1); /* not itself */
	accounts_free(r.w.accounts);
	room_close(&r);
}

static void
observing_changes_nothing(void **state)
{
	struct room r;

	(void)state;
	stage(&r, "observe = true\n" ACTIONS "rule \"all\" { do = {\"desk\", \"turn\", \"tell\"} }\n");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	log_is(&r, "describe", "desk describe opened 1\nturn describe opened 1\ntell describe opened 1\n");
	assert_int_equal(
	    room_count(&r, "SELECT count(*) FROM jobs WHERE state = 'skipped' AND summary LIKE 'observed: %'"), 3);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM events WHERE what = 'succeeded'"), 0);
	room_close(&r);
}

static void
environment_is_empty(void **state)
{
	struct room r;
	char text[4096];

	(void)state;
	stage(&r,
	    "action \"turn\" { program = \"@/turn\" needs = \"unverified\" pass_env = {\"MAILHOOK_TEST_PASSED\"} }\n"
	    "rule \"all\" { do = {\"turn\"} }\n");
	room_script(
	    &r, "turn", "tr '\\0' '\\n' </proc/self/environ >@/log\necho '{\"outcome\":\"done\",\"summary\":\"x\"}'\n");
	assert_int_equal(setenv("MAILHOOK_TEST_PASSED", "a=b c", 1), 0);
	assert_int_equal(setenv("MAILHOOK_TEST_SECRET", "no", 1), 0);
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	room_read(&r, "log", text, sizeof(text));
	assert_non_null(strstr(text, "MAILHOOK_TEST_PASSED=a=b c\n"));
	assert_null(strstr(text, "MAILHOOK_TEST_SECRET"));
	assert_null(strstr(text, "MAILHOOK_CLOCK_FILE"));
	assert_null(strstr(text, "HOME"));
	(void)unsetenv("MAILHOOK_TEST_PASSED");
	(void)unsetenv("MAILHOOK_TEST_SECRET");
	room_close(&r);
}

static void
ticket_url_goes_to_the_case(void **state)
{
	struct room r;

	(void)state;
	stage(&r, ACTIONS "rule \"all\" { do = {\"desk\"} }\n");
	says(&r, "desk", "{\"outcome\":\"done\",\"summary\":\"opened\",\"url\":\"https://desk.example.com/1\"}");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	drive(&r);
	assert_string_equal(room_text(&r, "SELECT ticket_url FROM cases"), "https://desk.example.com/1");
	room_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_role_has_its_jobs),
		cmocka_unit_test(late_effect_has_its_own_reply),
		cmocka_unit_test(effect_waits_for_trust),
		cmocka_unit_test(failed_ticket_is_told_once),
		cmocka_unit_test(failed_effect_goes_to_the_ticket),
		cmocka_unit_test(closing_skips_effects),
		cmocka_unit_test(do_orders_and_after_blocks),
		cmocka_unit_test(after_a_failure_never_comes),
		cmocka_unit_test(reply_has_five_minutes_of_patience),
		cmocka_unit_test(back_off_is_computable),
		cmocka_unit_test(retries_back_off_until_given_up),
		cmocka_unit_test(retry_after_is_obeyed),
		cmocka_unit_test(bad_actions_are_retried),
		cmocka_unit_test(missing_program_is_retried),
		cmocka_unit_test(checkpoints_are_durable),
		cmocka_unit_test(lost_lease_gets_no_leave),
		cmocka_unit_test(one_at_a_time_for_a_case),
		cmocka_unit_test(request_is_as_described),
		cmocka_unit_test(observing_changes_nothing),
		cmocka_unit_test(environment_is_empty),
		cmocka_unit_test(ticket_url_goes_to_the_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
