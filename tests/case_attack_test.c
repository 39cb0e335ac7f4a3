/* case_attack_test.c: what mails that anybody may write do to cases of mails that are proved: nothing that blocks them.
 *
 * Each test is a forger's attempt to be there first, and the proved notice that comes after it. */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/room.h"

#define RULES                                                                                                          \
	"quarantine_messages = 3\n"                                                                                    \
	"action \"desk\" { program = \"ticket\" }\n"                                                                   \
	"action \"turn\" { program = \"/bin/false\" }\n"                                                               \
	"rule \"listed\" { accounts = {\"1*\"} do = {\"desk\", \"turn\"} }\n"
#define HOUR INT64_C(3600)
#define MAX_FORGED 4

static const struct {
	const char *name;
	struct say forged[MAX_FORGED]; /* up to the first without a sender */
	bool closed;                   /* the forgeries' cases are closed, by nobody's hand */
	struct say real;
	int cases; /* in the end */
} rows[] = {
	{ "no forgery", { { 0 } }, false, { .region = "eu-west-1" }, 1 },
	{ "a date of the same day that is past", { { .sender = "x@evil.example", .expires = ROOM_NOW - HOUR } }, false,
	    { .expires = ROOM_NOW + 10 * HOUR }, 1 },
	{ "a day that was counted, and is past",
	    { { .sender = "x@evil.example", .expires = ROOM_NOW - ROOM_DAY, .precision = MH_DERIVED } }, false,
	    { .expires = ROOM_NOW + ROOM_DAY }, 1 },
	{ "two cases by counted days, and both fit",
	    { { .sender = "x@evil.example", .expires = TEST_EXPIRES - 2 * ROOM_DAY, .precision = MH_DERIVED },
		{ .sender = "x@evil.example", .expires = TEST_EXPIRES + 1 * ROOM_DAY, .precision = MH_DERIVED } },
	    false, { 0 }, 2 },
	{ "two cases by resource, and both fit",
	    { { .sender = "x@evil.example", .resource = "a" }, { .sender = "x@evil.example", .resource = "b" } }, false,
	    { 0 }, 2 },
	{ "two cases, and a forgery that fits both",
	    { { .sender = "x@evil.example", .resource = "a" }, { .sender = "x@evil.example", .resource = "b" },
		{ .sender = "x@evil.example" } },
	    false, { .resource = "a" }, 2 },
	{ "another region", { { .sender = "x@evil.example", .region = "us-east-1" } }, false, { .region = "eu-west-1" },
	    2 },
	{ "a case that is closed", { { .sender = "x@evil.example" } }, true, { 0 }, 2 },
};

static void
none_blocks_the_real_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct room r;
		struct say real = rows[i].real;

		room_open(&r, RULES);
		for (size_t k = 0; k < MAX_FORGED && rows[i].forged[k].sender != NULL; k++)
			(void)room_take(&r, &rows[i].forged[k], NULL);
		if (room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'effect' AND state = 'queued'") != 0)
			fail_msg("%s: a forgery starts an effect", rows[i].name);
		if (rows[i].closed)
			assert_int_equal(
			    db_exec(r.w.db, "UPDATE cases SET state = 'closed', closed_by = 'desk'", NULL), MH_OK);
		real.trust = TRUST_VERIFIED;
		(void)room_take(&r, &real, NULL);

		if (room_count(&r,
			"SELECT count(*) FROM jobs j JOIN cases c ON c.id = j.case_id WHERE c.trust = 'verified' "
			"AND j.role = 'effect' AND j.state = 'queued'") != 1)
			fail_msg("%s: the effect of the real notice is not about to start", rows[i].name);
		if (room_count(&r, "SELECT count(*) FROM cases WHERE trust = 'verified' AND ambiguous = 1") != 0)
			fail_msg("%s: the real notice is ambiguous", rows[i].name);
		if (room_count(&r, "SELECT count(*) FROM cases") != rows[i].cases)
			fail_msg("%s: not %d cases", rows[i].name, rows[i].cases);
		(void)room_take(&r, &real, NULL);
		if (room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'effect' AND state = 'queued'") != 1)
			fail_msg("%s: the repeat doubles the effect", rows[i].name);
		room_close(&r);
	}
}

/* What a case was closed on by a machine does not open it anew: approved is as good as proved. */
static void
done_is_done(void **state)
{
	struct room r;
	struct mh_err err = { 0 };

	(void)state;
	room_open(&r, RULES);
	const int64_t id = room_take(&r, &(struct say){ .trust = TRUST_RELAYED }, NULL);
	assert_int_equal(case_approve(&r.w, id, NULL, "alice", r.now, &err), MH_OK);
	assert_int_equal(db_exec(r.w.db, "UPDATE cases SET state = 'closed', closed_by = 'turn'", &err), MH_OK);
	assert_int_equal(room_take(&r, &(struct say){ .trust = TRUST_VERIFIED }, NULL), id);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'effect'"), 1);
	room_close(&r);
}

/* What a person confirmed in AWS nobody holds up, redirects or unsays by a mail that proves no more than the first did. */
static void
vouch_stands(void **state)
{
	static const struct {
		const char *name;
		enum trust_level before;
		struct say after[3]; /* up to the first without a sender */
		int vouched, started, otherwise, cases;
		const char *facts; /* of the first case */
	} vouches[] = {
		{ "the same again", TRUST_UNVERIFIED, { { .sender = "x@evil.example" } }, 1, 1, 0, 1, "- - 0" },
		{ "another second", TRUST_UNVERIFIED, { { .sender = "x@evil.example", .expires = TEST_EXPIRES + 1 } },
		    1, 1, 1, 1, "- - 0" },
		{ "a region", TRUST_UNVERIFIED, { { .sender = "x@evil.example", .region = "us-east-1" } }, 1, 1, 1, 1,
		    "- - 0" },
		{ "a resource", TRUST_UNVERIFIED, { { .sender = "x@evil.example", .resource = "other" } }, 1, 1, 1, 1,
		    "- - 0" },
		{ "a day, counted", TRUST_UNVERIFIED,
		    { { .sender = "x@evil.example", .expires = TEST_EXPIRES + ROOM_DAY, .precision = MH_DERIVED } }, 1,
		    1, 0, 1, "- - 0" },
		{ "another second of a relayed one", TRUST_RELAYED,
		    { { .sender = "x@evil.example", .expires = TEST_EXPIRES + 1 },
			{ .sender = "x@evil.example", .expires = TEST_EXPIRES + 2, .trust = TRUST_RELAYED } },
		    1, 1, 2, 1, "- - 0" },
		{ "better trusted, the same", TRUST_UNVERIFIED, { { .sender = "g", .trust = TRUST_RELAYED } }, 1, 1, 0,
		    1, "- - 0" },
		{ "better trusted, the same, less exactly", TRUST_UNVERIFIED,
		    { { .sender = "g", .precision = MH_DERIVED, .trust = TRUST_RELAYED } }, 1, 1, 0, 1, "- - 0" },
		{ "better trusted, another second", TRUST_UNVERIFIED,
		    { { .sender = "g", .expires = TEST_EXPIRES + 1, .trust = TRUST_RELAYED } }, 0, 0, 0, 1, "- - 1" },
		{ "better trusted, with a region", TRUST_UNVERIFIED,
		    { { .sender = "g", .region = "eu-west-1", .trust = TRUST_RELAYED } }, 0, 0, 0, 1, "eu-west-1 - 0" },
		{ "proved, another second", TRUST_UNVERIFIED,
		    { { .sender = "g", .expires = TEST_EXPIRES + 1, .trust = TRUST_VERIFIED } }, 0, 1, 0, 1, "- - 1" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(vouches) / sizeof(vouches[0]); i++) {
		struct room r;
		struct mh_err err = { 0 };
		const struct seen seen = { "123456789012", TEST_EXPIRES, MH_SECOND };
		char facts[200];

		room_open(&r, RULES);
		const int64_t id = room_take(&r, &(struct say){ .trust = vouches[i].before }, NULL);
		assert_int_equal(case_vouch(&r.w, id, &seen, "alice", r.now, &err), MH_OK);
		for (size_t k = 0; k < 3 && vouches[i].after[k].sender != NULL; k++) {
			struct say say = vouches[i].after[k];
			if (say.expires == 0)
				say.expires = TEST_EXPIRES;
			(void)room_take(&r, &say, NULL);
		}
		if (room_count(&r, "SELECT vouched FROM cases WHERE id = 1") != vouches[i].vouched)
			fail_msg("%s: the vouch does not do what it should", vouches[i].name);
		if (room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'effect' AND state = 'queued'") !=
		    vouches[i].started)
			fail_msg("%s: the effect does not do what it should", vouches[i].name);
		if (room_count(&r, "SELECT count(*) FROM events WHERE what = 'notice' AND detail LIKE '%says other "
				   "than alice%'") != vouches[i].otherwise)
			fail_msg("%s: a person is not told of it", vouches[i].name);
		if (room_count(&r, "SELECT count(*) FROM events WHERE what = 'unvouched'") != !vouches[i].vouched)
			fail_msg("%s: the history does not say whether the vouch stands", vouches[i].name);
		if (room_count(&r, "SELECT count(*) FROM cases") != vouches[i].cases)
			fail_msg("%s: not %d cases", vouches[i].name, vouches[i].cases);
		(void)snprintf(facts, sizeof(facts),
		    "SELECT coalesce(region, '-') || ' ' || coalesce(resource, '-') || ' ' || (strftime('%%s', "
		    "expires) "
		    "- %" PRId64 ") FROM cases WHERE id = 1",
		    TEST_EXPIRES);
		if (strcmp(room_text(&r, facts), vouches[i].facts) != 0)
			fail_msg("%s: its facts are %s", vouches[i].name, room_text(&r, facts));
		room_close(&r);
	}
}

/* Two cases of one day that nobody proved, and a mail that fits both: where a person vouched for them it stops neither. */
static void
vouch_is_not_ambiguous(void **state)
{
	(void)state;
	for (int vouched = 1; vouched <= 2; vouched++) {
		struct room r;
		struct mh_err err = { 0 };
		const struct seen seen = { "123456789012", TEST_EXPIRES, MH_SECOND };
		const int64_t ids[] = { 1, 2 };

		room_open(&r, RULES);
		(void)room_take(&r, &(struct say){ .region = "eu-west-1" }, NULL);
		(void)room_take(&r, &(struct say){ .sender = "x@evil.example", .region = "us-east-1" }, NULL);
		for (int i = 0; i < vouched; i++)
			assert_int_equal(case_vouch(&r.w, ids[i], &seen, "alice", r.now, &err), MH_OK);
		assert_int_equal(room_take(&r, &(struct say){ .sender = "x@evil.example" }, NULL), vouched);
		assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE ambiguous = 1"), 0);
		assert_int_equal(
		    room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'effect' AND state = 'queued'"), vouched);
		room_close(&r);
	}
}

/* A proved date that is another begins anew with reminders: those of the forged one are not its own. */
static void
time_counts_anew(void **state)
{
	struct room r;
	struct mh_err err = { 0 };

	(void)state;
	room_open(&r, RULES);
	const int64_t id = room_take(&r, &(struct say){ .expires = ROOM_NOW + HOUR }, NULL);
	assert_int_equal(db_exec(r.w.db, "UPDATE cases SET expired = 1, reminded = 1", &err), MH_OK);
	assert_int_equal(room_take(&r, &(struct say){ .expires = ROOM_NOW + 2 * HOUR }, NULL), id);
	assert_int_equal(room_count(&r, "SELECT expired + reminded FROM cases"), 2);
	assert_int_equal(
	    room_take(&r, &(struct say){ .expires = ROOM_NOW + 9 * HOUR, .trust = TRUST_VERIFIED }, NULL), id);
	assert_int_equal(room_count(&r, "SELECT expired + reminded FROM cases"), 0);
	room_close(&r);
}

/* The very same mail, but for fields that keep it from being read: the readable copy counts, however much both are
 * trusted, and only once. */
static void
unreadable_copy_first(void **state)
{
	(void)state;
	for (int level = TRUST_UNVERIFIED; level <= TRUST_VERIFIED; level++) {
		struct room r;
		struct taken taken;

		room_open(&r, RULES);
		(void)room_take(&r,
		    &(struct say){ .verdict = MH_UNRECOGNISED, .reason = "no date", .trust = (enum trust_level)level },
		    NULL);
		for (int i = 0; i < 2; i++)
			(void)room_take(&r, &(struct say){ .same_as = 1, .trust = (enum trust_level)level }, &taken);
		if (taken.as != TAKEN_COPY || room_count(&r, "SELECT copies FROM messages") != 3)
			fail_msg("%s: not the same message", trust_names[level]);
		if (room_count(&r, "SELECT count(*) FROM cases WHERE kind = '" TEST_KIND "'") != 1)
			fail_msg("%s: the notice has no case of its own", trust_names[level]);
		if (strcmp(room_text(&r, "SELECT verdict || quarantined FROM messages"), "notice0") != 0)
			fail_msg("%s: the message is still the one that was not read", trust_names[level]);
		if (room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'effect'") != 1)
			fail_msg("%s: not one effect", trust_names[level]);
		room_close(&r);
	}
}

/* Forgeries fill their room; a mail of AWS in words that no definition knows is kept all the same. */
static void
quarantine_keeps_the_proved(void **state)
{
	struct room r;
	struct say s = { .verdict = MH_UNRECOGNISED, .sender = "x@evil.example", .reason = "no date" };

	(void)state;
	room_open(&r, RULES);
	for (int i = 0; i < 5; i++)
		(void)room_take(&r, &s, NULL);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages WHERE raw IS NOT NULL"), 3);
	s.sender = "health@aws.com";
	s.trust = TRUST_VERIFIED;
	for (int i = 0; i < 5; i++)
		(void)room_take(&r, &s, NULL);
	assert_int_equal(
	    room_count(&r, "SELECT count(*) FROM messages WHERE raw IS NOT NULL AND trust = 'verified'"), 3);
	assert_int_equal(
	    room_count(&r, "SELECT count(*) FROM cases WHERE kind = 'unrecognised' AND resource = 'health@aws.com'"),
	    1);
	room_close(&r);
}

/* A rule that takes every account lists none, however it is written. */
static void
all_accounts_list_none(void **state)
{
	static const char *const rules[] = { "rule \"all\" { do = {\"desk\"} }\n",
		"rule \"all\" { accounts = {\"*\"} do = {\"desk\"} }\n",
		"rule \"all\" { accounts = {\"1*\", \"*\"} do = {\"desk\"} }\n" };

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct room r;
		char conf[200];

		(void)snprintf(conf, sizeof(conf), "action \"desk\" { program = \"ticket\" }\n%s", rules[i]);
		room_open(&r, conf);
		for (int k = 0; k < 9; k++) {
			char account[13];

			(void)snprintf(account, sizeof(account), "20000000000%d", k);
			(void)room_take(&r, &(struct say){ .sender = "x@evil.example", .account = account }, NULL);
		}
		if (room_count(&r, "SELECT count(*) FROM cases WHERE kind = '" TEST_KIND "'") != 5 ||
		    room_count(&r, "SELECT count(*) FROM cases WHERE kind = 'flood'") != 1)
			fail_msg("%s: not five cases and a digest", rules[i]);
		room_close(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(none_blocks_the_real_one),
		cmocka_unit_test(done_is_done),
		cmocka_unit_test(vouch_stands),
		cmocka_unit_test(vouch_is_not_ambiguous),
		cmocka_unit_test(time_counts_anew),
		cmocka_unit_test(unreadable_copy_first),
		cmocka_unit_test(quarantine_keeps_the_proved),
		cmocka_unit_test(all_accounts_list_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
