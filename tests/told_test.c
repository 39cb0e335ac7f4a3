/* told_test.c: actions that tell when their own credentials end: the case that comes of it, and how it stays fresh. */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "mailhook/work/ledger/credentials.h"
#include "mailhook/work/log.h"
#include "mailhook/work/pass.h"
#include "mailhook/work/runner.h"
#include "mailhook/work/told.h"
#include "tests/room.h"

#define CONF                                                                                                           \
	"thresholds = {30, 7}\naction \"desk\" { program = \"@/desk\" role = \"ticket\" }\n"                           \
	"rule \"all\" { do = {\"desk\"} }\n"
#define HISTORY                                                                                                        \
	"SELECT coalesce(group_concat(line, ' | '), '') FROM (SELECT resource || ' ' || what || ' ' || "               \
	"CASE WHEN what = 'closed' THEN detail ELSE expires END AS line FROM events JOIN cases ON cases.id = case_id " \
	"WHERE kind = 'mailhook.credential' AND what IN ('opened', 'closed') ORDER BY events.id) AS lines"

/* What the action tells: each verb is noted, and the lines of the file "tells" go out. */
static void
stage(struct room *r, const char *tells)
{
	room_open(r, CONF);
	room_script(r, "desk",
	    "IFS= read -r q\necho \"$1\" >>@/verbs\nwhile IFS= read -r l; do case $l in {*) echo \"$l\";; esac; done "
	    "<@/tells\n"
	    "[ -f @/sick ] && { echo '{\"outcome\":\"failed\",\"summary\":\"sick\"}'; exit; }\n"
	    "echo '{\"outcome\":\"done\",\"summary\":\"x\"}'\n");
	room_script(r, "tells", tells);
}

/* One round of the worker, as loop.c makes it, until nothing runs. */
static void
turn(struct room *r, struct pass *p)
{
	struct runner *runner = NULL;
	struct mh_err err = { 0 };
	bool more = true, jobs = true;

	assert_int_equal(runner_new(&r->w, &runner, &err), MH_OK);
	while (jobs || runner_running(runner) > 0) {
		struct pollfd fds[64];
		int timeout = 10000;

		if (runner_start(runner, r->now, &jobs, &err) != MH_OK ||
		    runner_ask_again(runner, r->now, &err) != MH_OK)
			fail_msg("%s", err.text);
		const size_t n = runner_pollfds(runner, fds, 64, &timeout);
		if (runner_running(runner) > 0) {
			(void)poll(fds, n, timeout);
			jobs = true;
		}
		if (runner_step(runner, &err) != MH_OK)
			fail_msg("%s", err.text);
	}
	while (more)
		if (pass_time(&r->w, p, r->now, &more, &err) != MH_OK)
			fail_msg("%s", err.text);
	runner_free(runner);
}

static void
on_day(struct room *r, struct pass *p, int day)
{
	room_set_time(r, ROOM_NOW + day * ROOM_DAY);
	turn(r, p);
}

static void
verbs_are(struct room *r, const char *wanted)
{
	char text[256];

	room_read(r, "verbs", text, sizeof(text));
	room_remove(r, "verbs");
	assert_string_equal(text, wanted);
}

#define TELL(name, end) "{\"credential\":{\"name\":\"" name "\",\"expires\":" end "}}\n"

static void
a_told_end_is_a_case_in_time(void **state)
{
	struct room r;
	struct pass p = { 0 };

	(void)state;
	stage(&r, TELL("API token", "\"2025-12-20T00:00:00Z\"")); /* day 43 */
	turn(&r, &p);
	verbs_are(&r, ""); /* an action that never told of one is not asked */
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	turn(&r, &p);
	verbs_are(&r, "run\n");
	assert_string_equal(room_text(&r, HISTORY), "");
	on_day(&r, &p, 1);
	verbs_are(&r, "check\n");
	on_day(&r, &p, 1);
	verbs_are(&r, "");
	on_day(&r, &p, 14);
	assert_string_equal(room_text(&r, HISTORY), "desk: API token opened 2025-12-20T00:00:00Z");
	turn(&r, &p); /* the jobs of that case, which tell the same again */
	verbs_are(&r, "check\nrun\n");

	room_script(&r, "tells", TELL("API token", "\"2025-12-10\"") TELL("certificate", "\"2026-12-20T00:00:00Z\""));
	on_day(&r, &p, 15);
	verbs_are(&r, "check\n");
	room_script(&r, "tells", TELL("certificate", "\"2026-12-20T00:00:00Z\""));
	on_day(&r, &p, 16);
	assert_string_equal(room_text(&r, HISTORY),
	    "desk: API token opened 2025-12-20T00:00:00Z | desk: API token closed it expires at 2025-12-10T23:59:59Z "
	    "now "
	    "| desk: API token opened 2025-12-10T23:59:59Z | desk: API token closed it is not configured any more");
	assert_string_equal(room_text(&r, "SELECT group_concat(name) FROM credentials"), "certificate");
	room_close(&r);
}

static void
what_has_no_end_has_no_case(void **state)
{
	struct room r;
	struct pass p = { 0 };

	(void)state;
	stage(&r, TELL("t", "\"2025-11-20T00:00:00Z\""));
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	turn(&r, &p);
	room_script(&r, "tells", TELL("t", "null"));
	on_day(&r, &p, 1);
	on_day(&r, &p, 2);
	assert_string_equal(
	    room_text(&r, HISTORY), "desk: t opened 2025-11-20T00:00:00Z | desk: t closed it has no end any more");
	room_close(&r);
}

/* A service that is away says nothing of its tokens: what is known stands, and it is asked the next day. */
static void
a_check_that_fails_changes_nothing(void **state)
{
	struct room r;
	struct pass p = { 0 };

	(void)state;
	stage(&r, TELL("t", "\"2025-11-20T00:00:00Z\""));
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	turn(&r, &p);
	turn(&r, &p); /* that case's own job */
	room_remove(&r, "verbs");
	room_script(&r, "tells", "");
	room_script(&r, "sick", "");
	on_day(&r, &p, 1);
	on_day(&r, &p, 1);
	verbs_are(&r, "check\n");
	room_remove(&r, "sick");
	on_day(&r, &p, 2); /* well, but it tells of none: it may tell by run alone */
	verbs_are(&r, "check\n");
	assert_string_equal(room_text(&r, HISTORY), "desk: t opened 2025-11-20T00:00:00Z");
	assert_int_equal(room_count(&r, "SELECT count(*) FROM credentials"), 1);
	on_day(&r, &p, 1); /* a clock that was set back keeps nobody from asking */
	verbs_are(&r, "check\n");
	room_close(&r);
}

static void
an_action_that_is_gone_is_forgotten(void **state)
{
	struct room r;
	struct pass p = { 0 };
	const struct credential_line c = { .name = "t", .has_expires = true, .expires = ROOM_NOW + 5 * ROOM_DAY };

	(void)state;
	stage(&r, "");
	told_hear(&r.w, "gone", &c, r.now);
	turn(&r, &p);
	/* where nodes share the ledger, another one may have it */
	assert_int_equal(room_count(&r, "SELECT count(*) FROM credentials"), r.w.db->engine->local ? 0 : 1);
	assert_string_equal(room_text(&r, HISTORY), "");
	room_close(&r);
}

/* As many names as an action likes would be as many cases. */
static void
an_action_has_so_many(void **state)
{
	struct room r;
	char name[16];
	struct credential_line c = { .name = name };

	(void)state;
	stage(&r, "");
	for (int i = 0; i < MH_MAX_ACTION_CREDENTIALS + 3; i++) {
		(void)snprintf(name, sizeof(name), "t%d", i);
		told_hear(&r.w, "desk", &c, r.now);
	}
	assert_int_equal(room_count(&r, "SELECT count(*) FROM credentials"), MH_MAX_ACTION_CREDENTIALS);
	room_close(&r);
}

/* Each reply and each ticket tells it: that must not be a transaction each. */
static void
the_same_again_is_not_written(void **state)
{
	struct room r;
	struct credential_line c = { .name = "t", .has_expires = true, .expires = TEST_EXPIRES };

	(void)state;
	stage(&r, "");
	told_hear(&r.w, "desk", &c, r.now);
	told_hear(&r.w, "desk", &c, r.now + 100);
	assert_int_equal(room_count(&r, "SELECT strftime('%s', told) FROM credentials"), r.now);
	told_hear(&r.w, "desk", &c, r.now + 50000);
	assert_int_equal(room_count(&r, "SELECT strftime('%s', told) FROM credentials"), r.now + 50000);
	c.day = true;
	told_hear(&r.w, "desk", &c, r.now + 50001);
	assert_string_equal(room_text(&r, "SELECT precision FROM credentials"), "day");
	room_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_told_end_is_a_case_in_time),
		cmocka_unit_test(what_has_no_end_has_no_case),
		cmocka_unit_test(a_check_that_fails_changes_nothing),
		cmocka_unit_test(an_action_that_is_gone_is_forgotten),
		cmocka_unit_test(an_action_has_so_many),
		cmocka_unit_test(the_same_again_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
