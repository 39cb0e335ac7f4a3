/* time_test.c: what comes about because time passes, day by day of a clock that the tests set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "mailhook/certificate.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/times.h"
#include "mailhook/work/ledger/upkeep.h"
#include "mailhook/work/pass.h"
#include "tests/room.h"

#define RULES                                                                                                          \
	"action \"desk\" { program = \"ticket\" }\n"                                                                   \
	"action \"turn\" { program = \"/bin/false\" needs = \"unverified\" }\n"                                        \
	"action \"page\" { program = \"/bin/false\" needs = \"unverified\" }\n"
#define RULE "rule \"all\" { do = {\"desk\", \"turn\"} }\n"
#define LISTED                                                                                                         \
	"rule \"all\" { accounts = {\"1*\"} do = {\"desk\", \"turn\"} }\nrule \"rest\" { order = 90 do = {\"desk\"} "  \
	"}\n"
#define MAX_STEPS 12

/* A pass of time on that day. The days count from ROOM_NOW; a notice of that day expires on day 89 unless more says. */
struct step {
	int64_t day;
	enum {
		PASS,
		TAKE,
		TAKE_NEXT,
		TAKE_LATE,
		TAKE_OTHER,
		TAKE_UNREAD,
		TAKE_TRUSTED,
		CLOSE,
		APPROVE,
		EFFECT_DONE,
		PAUSE,
		RESUME,
		PAUSE_RULE
	} what;
};

static void
pass(struct room *r, struct pass *p)
{
	struct mh_err err = { 0 };
	bool more = true;

	while (more)
		if (pass_time(&r->w, p, r->now, &more, &err) != MH_OK)
			fail_msg("%s", err.text);
}

static void
take_step(struct room *r, const struct step *s)
{
	struct mh_err err = { 0 };
	struct say say = { 0 };

	const struct pause_row all = { .scope = "all", .name = "", .since = r->now, .by = "alice", .why = "" };
	const struct pause_row rule = { .scope = "rule", .name = "all", .since = r->now, .by = "alice", .why = "" };

	switch (s->what) {
	case PAUSE:
		assert_int_equal(ledger_pause_add(r->w.db, &all, &err), MH_OK);
		break;
	case PAUSE_RULE:
		assert_int_equal(ledger_pause_add(r->w.db, &rule, &err), MH_OK);
		break;
	case RESUME:
		assert_int_equal(ledger_pause_remove(r->w.db, "all", "", &err), MH_OK);
		break;
	case PASS:
		break;
	case TAKE_NEXT: /* the next year's token */
		say.expires = TEST_EXPIRES + 365 * ROOM_DAY;
		(void)room_take(r, &say, NULL);
		break;
	case TAKE_LATE: /* the expiry was yesterday */
		say.expires = r->now - ROOM_DAY;
		(void)room_take(r, &say, NULL);
		break;
	case TAKE_OTHER:
		say.region = "us-east-1";
		say.expires = TEST_EXPIRES + 365 * ROOM_DAY;
		(void)room_take(r, &say, NULL);
		break;
	case TAKE_UNREAD:
		say.verdict = MH_UNRECOGNISED;
		say.reason = "no date";
		(void)room_take(r, &say, NULL);
		break;
	case TAKE_TRUSTED:
		say.trust = TRUST_VERIFIED;
		(void)room_take(r, &say, NULL);
		break;
	case TAKE:
		(void)room_take(r, &say, NULL);
		break;
	case CLOSE:
		assert_int_equal(case_close(&r->w, 1, "alice", r->now, &err), MH_OK);
		break;
	case APPROVE:
		assert_int_equal(case_approve(&r->w, 1, NULL, "alice", r->now, &err), MH_OK);
		break;
	case EFFECT_DONE:
		assert_int_equal(room_count(r, "UPDATE jobs SET state = 'done' WHERE action = 'turn' RETURNING 1"), 1);
		break;
	}
}

/* What a reminder's detail begins with; an escalation's begins with no number. */
#define DAYS "CASE WHEN substr(detail, 1, 1) BETWEEN '0' AND '9' THEN trim(substr(detail, 1, 2)) ELSE '0' END"

/* "DAY:CASE what ..." of each event that a person would call one; reminders with their days, which escalations have not. */
#define HISTORY                                                                                                        \
	"SELECT coalesce(group_concat(line, ' '), '') FROM (SELECT ((strftime('%s', at) - 1762419600) / 86400) || "    \
	"':' "                                                                                                         \
	"|| case_id || what || CASE WHEN what = 'reminded' THEN " DAYS " ELSE '' END AS line "                         \
	"FROM events WHERE what IN ('reminded', 'expired', 'escalated', 'closed', 'silence') OR "                      \
	"(what = 'opened' AND case_id > 1) ORDER BY id) AS lines"

static const struct row {
	const char *name, *conf;
	struct step steps[MAX_STEPS];
	const char *history;
} rows[] = {
	{ "each threshold once", RULES RULE,
	    { { 0, TAKE }, { 28, PASS }, { 29, PASS }, { 30, PASS }, { 59, PASS }, { 75, PASS }, { 82, PASS },
		{ 86, PASS }, { 88, PASS }, { 88, PASS } },
	    "29:1reminded60 59:1reminded30 75:1reminded14 82:1reminded7 86:1reminded3 88:1reminded1" },
	{ "thresholds of the configuration", "thresholds = {2, 80}\n" RULES RULE,
	    { { 0, TAKE }, { 9, PASS }, { 29, PASS }, { 87, PASS } }, "9:1reminded80 87:1reminded2" },
	{ "several that passed while nothing ran: the lowest", RULES RULE,
	    { { 0, TAKE }, { 76, PASS }, { 77, PASS }, { 82, PASS } }, "76:1reminded14 82:1reminded7" },
	{ "what had passed when the case was opened is no reminder", RULES RULE,
	    { { 70, TAKE }, { 74, PASS }, { 75, PASS } }, "75:1reminded14" },
	{ "opened on a threshold's very second: that one has passed", RULES RULE,
	    { { 59, TAKE }, { 60, PASS }, { 75, PASS } }, "75:1reminded14" },
	{ "a clock that is set back repeats nothing", RULES RULE,
	    { { 0, TAKE }, { 59, PASS }, { 58, PASS }, { 28, PASS }, { 30, PASS }, { 59, PASS }, { 75, PASS } },
	    "59:1reminded30 75:1reminded14" },
	{ "a clock that jumps a year brings one event a case", RULES RULE,
	    { { 0, TAKE }, { 365, PASS }, { 366, PASS } }, "365:1expired" },
	{ "a clock that jumped a year and came back goes on with none", RULES RULE,
	    { { 0, TAKE }, { 365, PASS }, { 1, PASS }, { 75, PASS }, { 90, PASS } }, "365:1expired" },
	{ "a closed case is not reminded of, and does not expire", RULES RULE,
	    { { 0, TAKE }, { 29, PASS }, { 40, CLOSE }, { 59, PASS }, { 90, PASS } }, "29:1reminded60 40:1closed" },
	{ "a pause brings of what was missed the last, when it ends", RULES RULE,
	    { { 0, TAKE }, { 28, PAUSE }, { 29, PASS }, { 59, PASS }, { 76, PASS }, { 77, RESUME }, { 77, PASS },
		{ 82, PASS } },
	    "77:1reminded14 82:1reminded7" },
	{ "a pause over the expiry", RULES RULE,
	    { { 0, TAKE }, { 28, PAUSE }, { 75, PASS }, { 90, PASS }, { 91, RESUME } }, "91:1expired" },
	{ "a pause over an escalation", RULES RULE "escalate \"boss\" { after = 3d do = {\"page\"} }\n",
	    { { 0, TAKE }, { 1, PAUSE }, { 4, PASS }, { 9, RESUME }, { 10, PASS } }, "9:1escalated 9:1reminded0" },
	{ "who acts in a pause is not called behind it",
	    RULES RULE "escalate \"boss\" { after = 3d do = {\"page\"} }\n",
	    { { 0, TAKE }, { 1, PAUSE }, { 4, PASS }, { 5, CLOSE }, { 9, RESUME } }, "5:1closed" },
	{ "the pause of a rule stops its jobs, not the time", RULES RULE,
	    { { 0, TAKE }, { 28, PAUSE_RULE }, { 29, PASS }, { 59, PASS } }, "29:1reminded60 59:1reminded30" },
	{ "the expiry passes once", RULES RULE, { { 0, TAKE }, { 88, PASS }, { 89, PASS }, { 90, PASS }, { 88, PASS } },
	    "88:1reminded1 89:1expired" },
	{ "a past expiry opens a case and no more", RULES RULE, { { 0, TAKE_LATE }, { 1, PASS }, { 90, PASS } }, "" },
	{ "what has no date has no reminder", RULES RULE, { { 0, TAKE_UNREAD }, { 400, PASS } }, "" },
	{ "a better notice in between repeats nothing", RULES RULE,
	    { { 0, TAKE }, { 59, PASS }, { 60, TAKE_TRUSTED }, { 60, PASS }, { 75, PASS } },
	    "59:1reminded30 75:1reminded14" },

	{ "nobody acted: once", RULES RULE "escalate \"boss\" { after = 3d do = {\"page\"} }\n",
	    { { 0, TAKE }, { 2, PASS }, { 3, PASS }, { 4, PASS }, { 2, PASS }, { 5, PASS } },
	    "3:1escalated 3:1reminded0" },
	{ "before the expiry", RULES RULE "escalate \"boss\" { before = 10d do = {\"page\"} }\n",
	    { { 76, TAKE }, { 78, PASS }, { 79, PASS }, { 80, PASS } }, "79:1escalated 79:1reminded0" },
	{ "opened below that time: at once", RULES RULE "escalate \"boss\" { before = 10d do = {\"page\"} }\n",
	    { { 83, TAKE } }, "83:1escalated 83:1reminded0" },
	{ "two steps of calling",
	    RULES RULE "escalate \"a\" { after = 1d do = {\"page\"} }\n"
		       "escalate \"b\" { after = 2d do = {\"page\", \"desk\"} }\n",
	    { { 0, TAKE }, { 1, PASS }, { 2, PASS }, { 3, PASS } },
	    "1:1escalated 1:1reminded0 2:1escalated 2:1reminded0" },
	{ "a person approved", RULES RULE "escalate \"boss\" { after = 3d do = {\"page\"} }\n",
	    { { 0, TAKE }, { 1, APPROVE }, { 4, PASS } }, "" },
	{ "a person closed", RULES RULE "escalate \"boss\" { after = 3d do = {\"page\"} }\n",
	    { { 0, TAKE }, { 1, CLOSE }, { 4, PASS } }, "1:1closed" },
	{ "an effect ended well", RULES RULE "escalate \"boss\" { after = 3d do = {\"page\"} }\n",
	    { { 0, TAKE }, { 1, EFFECT_DONE }, { 4, PASS } }, "" },
	{ "another rule's", RULES LISTED "escalate \"boss\" { after = 3d rules = {\"rest\"} do = {\"page\"} }\n",
	    { { 0, TAKE }, { 4, PASS } }, "" },
	{ "another kind's", RULES RULE "escalate \"boss\" { after = 3d kinds = {\"aws.acm.*\"} do = {\"page\"} }\n",
	    { { 0, TAKE }, { 4, PASS } }, "" },
	{ "another account's", RULES RULE "escalate \"boss\" { after = 3d accounts = {\"2*\"} do = {\"page\"} }\n",
	    { { 0, TAKE }, { 4, PASS } }, "" },
	{ "what could not be read escalates too", RULES RULE "escalate \"boss\" { after = 3d do = {\"page\"} }\n",
	    { { 0, TAKE_UNREAD }, { 4, PASS } }, "4:1escalated 4:1reminded0" },
	{ "what came after its expiry does not", RULES RULE "escalate \"boss\" { after = 3d do = {\"page\"} }\n",
	    { { 0, TAKE_LATE }, { 4, PASS } }, "" },
	{ "before the expiry of what has none", RULES RULE "escalate \"boss\" { before = 3d do = {\"page\"} }\n",
	    { { 0, TAKE_UNREAD }, { 400, PASS } }, "" },

	{ "the next notice did not come: once", RULES LISTED,
	    { { 0, TAKE }, { 50, CLOSE }, { 377, PASS }, { 378, PASS }, { 379, PASS }, { 800, PASS } },
	    "50:1closed 378:2opened 378:1silence" },
	{ "it came", RULES LISTED, { { 0, TAKE }, { 50, CLOSE }, { 370, TAKE_NEXT }, { 378, PASS }, { 379, PASS } },
	    "50:1closed 370:2opened" },
	{ "another region's came", RULES LISTED "thresholds = {1}\n",
	    { { 0, TAKE }, { 50, CLOSE }, { 370, TAKE_OTHER }, { 379, PASS } }, "50:1closed 370:2opened" },
	{ "closed long after its expiry: the token may be as new as that", RULES LISTED,
	    { { 0, TAKE }, { 188, PASS }, { 189, CLOSE }, { 400, PASS }, { 477, PASS }, { 478, PASS } },
	    "188:1expired 189:1closed 478:2opened 478:1silence" },
	{ "nobody closed it, and no next notice came", RULES LISTED, { { 0, TAKE }, { 90, PASS }, { 378, PASS } },
	    "90:1expired 378:2opened 378:1silence" },
	{ "a clock set back behind it repeats nothing", RULES LISTED,
	    { { 0, TAKE }, { 50, CLOSE }, { 378, PASS }, { 377, PASS }, { 379, PASS } },
	    "50:1closed 378:2opened 378:1silence" },
	{ "the rule says when", RULES "rule \"all\" { accounts = {\"1*\"} do = {\"desk\"} expect = 10d }\n",
	    { { 0, TAKE }, { 50, CLOSE }, { 98, PASS }, { 99, PASS } }, "50:1closed 99:2opened 99:1silence" },
	{ "the rule says never", RULES "rule \"all\" { accounts = {\"1*\"} do = {\"desk\"} expect = never }\n",
	    { { 0, TAKE }, { 50, CLOSE }, { 900, PASS } }, "50:1closed" },
	{ "nothing is expected of what anybody may have written", RULES RULE,
	    { { 0, TAKE }, { 50, CLOSE }, { 900, PASS } }, "50:1closed" },
	{ "but of what is verified", RULES RULE, { { 0, TAKE_TRUSTED }, { 50, CLOSE }, { 378, PASS } },
	    "50:1closed 378:2opened 378:1silence" },
	{ "no silence after what could not be read", RULES LISTED, { { 0, TAKE_UNREAD }, { 900, PASS } }, "" },
};

/* With a worker that lives through all of it, and with one that is new each time. */
static void
days_pass(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *w = &rows[i / 2];
		struct pass p = { 0 };
		struct room r;

		room_open(&r, w->conf);
		for (size_t k = 0; k < MAX_STEPS && (k == 0 || w->steps[k].day > 0); k++) {
			room_set_time(&r, ROOM_NOW + w->steps[k].day * ROOM_DAY);
			take_step(&r, &w->steps[k]);
			if (i % 2 == 1)
				p = (struct pass){ 0 };
			pass(&r, &p);
		}
		const char *history = room_text(&r, HISTORY);
		if (strcmp(history, w->history) != 0)
			fail_msg("%s (%s):\n%s\ninstead of\n%s", w->name,
			    i % 2 == 1 ? "a new worker each time" : "one worker", history, w->history);
		room_close(&r);
	}
}

/* -- what an escalation makes due ---------------------------------------------------------------------------------- */

static void
an_escalation_calls_others(void **state)
{
	struct room r;
	struct pass p = { 0 };

	(void)state;
	room_open(&r, RULES RULE "escalate \"a\" { after = 1d do = {\"page\", \"turn\"} }\n"
				 "escalate \"b\" { after = 2d do = {\"page\", \"desk\"} }\n");
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	pass(&r, &p);
	assert_string_equal(
	    room_text(&r, "SELECT group_concat(action || ' ' || event, ', ') FROM jobs"), "desk opened, turn opened");
	room_set_time(&r, ROOM_NOW + ROOM_DAY);
	pass(&r, &p);
	room_set_time(&r, ROOM_NOW + 2 * ROOM_DAY);
	pass(&r, &p);
	/* "turn" is an effect of the rule and is not doubled; "page" is called by each */
	assert_string_equal(room_text(&r, "SELECT group_concat(action || ' ' || event, ', ') FROM jobs"),
	    "desk opened, turn opened, page reminded, page reminded, desk reminded");
	assert_int_equal(room_count(&r, "SELECT count(DISTINCT job_key) FROM jobs"), 5);
	assert_string_equal(room_text(&r, "SELECT detail FROM events WHERE what = 'escalated'"),
	    "escalation \"a\": nobody acted within 1 days");

	/* its good end is no "succeeded", which would close the ticket */
	struct mh_err err = { 0 };
	const struct answer_line done = { .outcome = OUTCOME_DONE, .summary = "called" };
	assert_int_equal(ledger_lease_claim(r.w.db, 3, r.w.owner, r.now, &err), MH_OK);
	const struct lease_row lease = { 3, 1, r.w.owner };
	assert_int_equal(job_outcome(&r.w, &lease, &done, false, r.now, &err), MH_OK);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM events WHERE what = 'succeeded'"), 0);
	bool acted = true;
	assert_int_equal(ledger_effect_done(r.w.db, 1, &acted, &err), MH_OK);
	assert_false(acted);
	room_close(&r);
}

/* -- another configuration ----------------------------------------------------------------------------------------- */

static void
configure(struct room *r, const char *text)
{
	struct mh_err err = { 0 };
	FILE *f = fopen(r->conf, "we");

	assert_non_null(f);
	assert_true(fprintf(f, "state_dir = \"%s/state\"\n", r->dir) > 0);
	for (; *text != '\0'; text++)
		assert_true(*text == '@' ? fputs(r->dir, f) >= 0 : fputc(*text, f) != EOF);
	assert_int_equal(fclose(f), 0);
	conf_free(r->w.conf);
	if (conf_load(r->conf, NULL, NULL, &r->w.conf, &err) != MH_OK)
		fail_msg("%s", err.text);
}

static void
another_configuration_counts_at_once(void **state)
{
	struct room r;
	struct pass p = { 0 };

	(void)state;
	room_open(&r, "thresholds = {1}\n" RULES RULE);
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	pass(&r, &p);
	room_set_time(&r, ROOM_NOW + 30 * ROOM_DAY);
	pass(&r, &p);
	configure(&r, "thresholds = {60, 1}\n" RULES RULE "escalate \"boss\" { after = 3d do = {\"page\"} }\n");
	p = (struct pass){ 0 }; /* as the loop does after a reload */
	pass(&r, &p);
	assert_string_equal(room_text(&r, HISTORY), "30:1reminded60 30:1escalated 30:1reminded0");
	room_close(&r);
}

static void
the_next_look_is_known(void **state)
{
	struct room r;
	struct pass p = { 0 };

	(void)state;
	room_open(&r, RULES RULE "escalate \"boss\" { after = 3d do = {\"page\"} }\n");
	pass(&r, &p);
	assert_true(pass_next(&r.w, &p, r.now) == r.now + PASS_CREDENTIALS_S);
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	assert_true(pass_next(&r.w, &p, r.now) < r.now); /* the case was never looked at */
	pass(&r, &p);
	assert_string_equal(room_text(&r, "SELECT look FROM cases"), "2025-11-09T09:00:00Z");
	room_set_time(&r, ROOM_NOW + 3 * ROOM_DAY - 60);
	assert_true(pass_next(&r.w, &p, r.now) == r.now + 60);
	room_set_time(&r, ROOM_NOW + 3 * ROOM_DAY);
	pass(&r, &p);
	assert_string_equal(room_text(&r, "SELECT look FROM cases"), "2025-12-05T09:00:00Z");
	room_set_time(&r, ROOM_NOW + 5000 * ROOM_DAY);
	pass(&r, &p);
	assert_string_equal(room_text(&r, "SELECT look FROM cases"), "9999-12-31T23:59:59Z");

	/* in a pause what is due stays due: the worker must not wake for it again and again */
	const struct pause_row all = { .scope = "all", .name = "", .since = r.now, .by = "alice", .why = "" };
	struct mh_err err = { 0 };
	assert_int_equal(ledger_pause_add(r.w.db, &all, &err), MH_OK);
	(void)room_take(&r, &(struct say){ .account = "123456789013" }, NULL);
	pass(&r, &p);
	assert_true(pass_next(&r.w, &p, r.now) == r.now + PASS_CREDENTIALS_S);
	room_close(&r);
}

/* More than one transaction's cases. */
static void
many_cases_are_looked_at_in_turns(void **state)
{
	struct room r;
	struct pass p = { 0 };
	struct mh_err err = { 0 };
	bool more = false;

	(void)state;
	room_open(&r, RULES RULE);
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	assert_int_equal(
	    room_count(&r, "INSERT INTO cases (key, kind, account, expires, precision, actions, opened) WITH RECURSIVE "
			   "n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 599) SELECT 'k' || i, kind, i, "
			   "expires, precision, actions, opened FROM cases, n RETURNING 1"),
	    1);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases"), 600);
	room_set_time(&r, ROOM_NOW + 76 * ROOM_DAY);
	assert_int_equal(pass_time(&r.w, &p, r.now, &more, &err), MH_OK);
	assert_true(more);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM events WHERE what = 'reminded'"), PASS_BATCH);
	pass(&r, &p);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM events WHERE what = 'reminded'"), 600);
	room_close(&r);
}

/* -- our own credentials ------------------------------------------------------------------------------------------- */

#define CREDENTIAL_HISTORY                                                                                             \
	"SELECT coalesce(group_concat(line, ' | '), '') FROM (SELECT ((strftime('%s', at) - 1762419600) / 86400) || "  \
	"':' "                                                                                                         \
	"|| case_id || what || CASE WHEN what = 'reminded' THEN " DAYS " WHEN what = 'closed' THEN "                   \
	"' ' || detail ELSE '' END AS line FROM events WHERE what IN ('opened', 'reminded', 'expired', 'closed') "     \
	"ORDER BY id) AS lines"

#define TOKEN(day) "credential \"jira token\" { expires = \"" day "\" remind = {30, 7} renew = \"at example.com\" }\n"

static void
to_day(struct room *r, int64_t day)
{
	struct pass p = { 0 };

	room_set_time(r, ROOM_NOW + day * ROOM_DAY);
	pass(r, &p);
}

static void
a_credential_is_a_case_in_time(void **state)
{
	struct room r;

	(void)state;
	room_open(&r, RULES RULE TOKEN("2026-01-31")); /* day 86 */
	for (int64_t day = 0; day < 90; day++)
		to_day(&r, day);
	assert_string_equal(room_text(&r, CREDENTIAL_HISTORY), "57:1opened | 80:1reminded7 | 87:1expired");
	assert_string_equal(
	    room_text(&r, "SELECT kind || ' ' || resource || ' ' || expires || ' ' || reason || ' ' || rule "
			  "FROM cases"),
	    "mailhook.credential jira token 2026-01-31T23:59:59Z at example.com all");
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE action = 'desk'"), 3);

	configure(&r, RULES RULE TOKEN("2027-01-31")); /* renewed */
	to_day(&r, 90);
	to_day(&r, 91);
	assert_string_equal(
	    room_text(&r, "SELECT detail FROM events WHERE what = 'closed'"), "it expires at 2027-01-31T23:59:59Z now");
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases"), 1);
	to_day(&r, 430);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE state = 'open'"), 1);

	/* who closes it is believed, and is not asked again about the same date */
	struct mh_err err = { 0 };
	assert_int_equal(case_close(&r.w, 2, "alice", r.now, &err), MH_OK);
	to_day(&r, 431);
	to_day(&r, 432);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases"), 2);
	room_close(&r);
}

static void
a_credential_that_is_configured_no_more(void **state)
{
	struct room r;

	(void)state;
	room_open(&r, RULES RULE TOKEN("2025-11-20"));
	to_day(&r, 0);
	configure(&r, RULES RULE);
	to_day(&r, 1);
	to_day(&r, 2);
	/* another node may have it; and what nobody closed comes back with its block */
	const bool local = r.w.db->engine->local;
	assert_string_equal(room_text(&r, CREDENTIAL_HISTORY),
	    local ? "0:1opened | 1:1closed it is not configured any more" : "0:1opened | 1:1reminded14");
	configure(&r, RULES RULE TOKEN("2025-11-20"));
	to_day(&r, 3);
	assert_string_equal(room_text(&r, CREDENTIAL_HISTORY),
	    local ? "0:1opened | 1:1closed it is not configured any more | 3:2opened" : "0:1opened | 1:1reminded14");
	room_close(&r);
}

/* Adds a self-signed certificate that ends then to a file. */
static void
write_certificate(const char *path, int64_t end, const char *mode)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *x = X509_new();
	FILE *f = fopen(path, mode);

	assert_true(key != NULL && x != NULL && f != NULL);
	assert_int_equal(X509_set_version(x, X509_VERSION_3), 1);
	assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(x), 1), 1);
	assert_non_null(ASN1_TIME_set(X509_getm_notBefore(x), (time_t)(end - 90 * ROOM_DAY)));
	assert_non_null(ASN1_TIME_set(X509_getm_notAfter(x), (time_t)end));
	assert_int_equal(X509_set_pubkey(x, key), 1);
	assert_true(X509_sign(x, key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509(f, x), 1);
	assert_int_equal(fclose(f), 0);
	X509_free(x);
	EVP_PKEY_free(key);
}

static void
write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static void
a_certificate_says_itself_when_it_ends(void **state)
{
	struct room r;
	char path[160];

	(void)state;
	room_open(&r, "");
	(void)snprintf(path, sizeof(path), "%s/c.pem", r.dir);
	configure(&r, RULES RULE "credential \"tls\" { certificate_file = \"@/c.pem\" remind = {30} }\n");
	const bool local = r.w.db->engine->local;
	to_day(&r, 0);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE expires IS NULL AND reason LIKE '%/c.pem "
					"cannot be read: No such file or directory'"),
	    local ? 1 : 0); /* it may be on another node */
	to_day(&r, 1);      /* and again no second one */

	write_certificate(path, ROOM_NOW + 40 * ROOM_DAY, "we");
	to_day(&r, 2);
	to_day(&r, 10);
	/* a chain ends with its first end */
	write_certificate(path, ROOM_NOW + 100 * ROOM_DAY, "we");
	write_certificate(path, ROOM_NOW + 50 * ROOM_DAY, "ae");
	to_day(&r, 11);
	to_day(&r, 20);
	write_certificate(path, ROOM_NOW + 100 * ROOM_DAY, "we");
	to_day(&r, 21);
	assert_string_equal(room_text(&r, CREDENTIAL_HISTORY),
	    local
		? "0:1opened | 2:1closed it expires at 2025-12-16T09:00:00Z now | 10:2opened | 11:2closed it expires "
		  "at "
		  "2025-12-26T09:00:00Z now | 20:3opened | 21:3closed it expires at 2026-02-14T09:00:00Z now"
		: "10:1opened | 11:1closed it expires at 2025-12-26T09:00:00Z now | 20:2opened | 21:2closed it expires "
		  "at 2026-02-14T09:00:00Z now");
	room_close(&r);
}

static const struct {
	const char *name, *text, *words;
} bad_rows[] = {
	{ "no certificate", "hello\n", "%/c.pem: no certificate in it" },
	{ "an empty file", "", "%/c.pem: no certificate in it" },
	{ "half a certificate", "-----BEGIN CERTIFICATE-----\nMIIB\n", "%/c.pem: no certificate in it" },
};

static void
what_is_no_certificate_is_a_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bad_rows) / sizeof(bad_rows[0]); i++) {
		struct room r;
		char path[160], sql[200];

		room_open(&r, "");
		(void)snprintf(path, sizeof(path), "%s/c.pem", r.dir);
		configure(&r, RULES RULE "credential \"tls\" { certificate_file = \"@/c.pem\" }\n");
		write_text(path, bad_rows[i].text);
		to_day(&r, 0);
		(void)snprintf(
		    sql, sizeof(sql), "SELECT count(*) FROM cases WHERE reason LIKE '%s'", bad_rows[i].words);
		if (room_count(&r, sql) != 1)
			fail_msg("%s: %s", bad_rows[i].name, room_text(&r, "SELECT reason FROM cases"));
		room_close(&r);
	}
}

/* The first of a chain is whole and the second is half written. */
static void
a_chain_that_is_cut_is_a_case(void **state)
{
	struct room r;
	char path[160];
	struct mh_err err = { 0 };
	int64_t end = 0;

	(void)state;
	room_open(&r, "");
	(void)snprintf(path, sizeof(path), "%s/c.pem", r.dir);
	write_certificate(path, ROOM_NOW + 40 * ROOM_DAY, "we");
	assert_int_equal(certificate_end(path, &end, &err), MH_OK);
	assert_true(end == ROOM_NOW + 40 * ROOM_DAY);
	FILE *f = fopen(path, "ae");
	assert_non_null(f);
	assert_true(fputs("-----BEGIN CERTIFICATE-----\nMIIB\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(certificate_end(path, &end, &err), MH_BAD);
	assert_non_null(strstr(err.text, "c.pem: certificate 2 in it cannot be read"));
	assert_int_equal(certificate_end(r.dir, &end, &err), MH_BAD);
	assert_non_null(strstr(err.text, "is no file"));
	room_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(days_pass),
		cmocka_unit_test(an_escalation_calls_others),
		cmocka_unit_test(another_configuration_counts_at_once),
		cmocka_unit_test(the_next_look_is_known),
		cmocka_unit_test(many_cases_are_looked_at_in_turns),
		cmocka_unit_test(a_credential_is_a_case_in_time),
		cmocka_unit_test(a_credential_that_is_configured_no_more),
		cmocka_unit_test(a_certificate_says_itself_when_it_ends),
		cmocka_unit_test(what_is_no_certificate_is_a_case),
		cmocka_unit_test(a_chain_that_is_cut_is_a_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
