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

#define UNPROVEN "kind NOT IN ('flood', 'unrecognised')"

/* Notices about accounts that are listed, whose numbers are no secret. */
static void
listed_accounts_flood_too(void **state)
{
	static const struct {
		const char *name, *conf;
		int accounts, days; /* so many accounts, so many expiries of each */
		enum trust_level trust;
		int cases, kept_out;
	} floods[] = {
		{ "a site without proofs, on a day of dozens", "", 30, 3, TRUST_UNVERIFIED, 90, 0 },
		{ "one account, up to its bound", "", 1, 20, TRUST_UNVERIFIED, 20, 0 },
		{ "one account, past its bound", "", 1, 21, TRUST_UNVERIFIED, 20, 1 },
		{ "one account, far past it", "", 1, 40, TRUST_UNVERIFIED, 20, 20 },
		{ "many accounts, past it", "", 101, 1, TRUST_UNVERIFIED, 100, 1 },
		{ "what a forwarder vouches for is none", "", 1, 25, TRUST_RELAYED, 25, 0 },
		{ "nor is what is proven", "", 1, 25, TRUST_VERIFIED, 25, 0 },
		{ "bounds of the configuration", "flood_listed = 5\nflood_account = 3\n", 2, 4, TRUST_UNVERIFIED, 5,
		    3 },
		{ "none at all", "flood_listed = 0\n", 1, 1, TRUST_UNVERIFIED, 0, 1 },
		{ "an account's alone", "flood_account = 0\n", 1, 1, TRUST_UNVERIFIED, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(floods) / sizeof(floods[0]); i++) {
		struct room r;
		char conf[1000];

		(void)snprintf(conf, sizeof(conf), "%s%s", floods[i].conf, RULES);
		room_open(&r, conf);
		for (int a = 0; a < floods[i].accounts; a++)
			for (int d = 0; d < floods[i].days; d++) {
				char account[24];

				(void)snprintf(account, sizeof(account), "1000000%05d", a);
				(void)room_take(&r,
				    &(struct say){ .sender = "x@evil.example",
					.account = account,
					.expires = TEST_EXPIRES + d * ROOM_DAY,
					.trust = floods[i].trust },
				    NULL);
			}
		if (room_count(&r, "SELECT count(*) FROM cases WHERE " UNPROVEN) != floods[i].cases)
			fail_msg("%s: %lld cases", floods[i].name,
			    (long long)room_count(&r, "SELECT count(*) FROM cases WHERE " UNPROVEN));
		if (room_count(&r, "SELECT count(*) FROM notices n JOIN cases c ON c.id = n.case_id WHERE c.kind = "
				   "'flood'") != floods[i].kept_out)
			fail_msg("%s: the digest has not %d notices", floods[i].name, floods[i].kept_out);
		if (room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'ticket'") != floods[i].cases)
			fail_msg("%s: not a ticket for each case", floods[i].name);
		room_close(&r);
	}
}

/* One mail with many notices opens no more cases than one account may. */
static void
one_mail_floods_too(void **state)
{
	struct room r;
	struct notice notices[30];
	char accounts[30][24];
	const struct envelope e = { .received = ROOM_NOW };
	const struct reading reading = { .verdict = MH_NOTICE,
		.message_id = MH_LIT("<many@evil.example>"),
		.from_address = MH_LIT("x@evil.example"),
		.notices = notices,
		.n_notices = 30 };
	struct incoming in = { .reading = &reading, .raw = MH_LIT("x\n\ny\n"), .envelope = &e };
	struct taken taken = { 0 };
	struct mh_err err = { 0 };

	(void)state;
	for (int i = 0; i < 30; i++) {
		(void)snprintf(accounts[i], sizeof(accounts[i]), "1000000%05d", i);
		notices[i] = (struct notice){ .kind = MH_LIT(TEST_KIND),
			.account = span_of(accounts[i]),
			.expires = TEST_EXPIRES,
			.days_stated = -1 };
	}
	for (int level = TRUST_UNVERIFIED; level <= TRUST_RELAYED; level++) {
		room_open(&r, RULES);
		in.trust = (enum trust_level)level;
		assert_int_equal(case_take(&r.w, &in, r.now, &taken, &err), MH_OK);
		assert_int_equal(taken.opened, level == TRUST_UNVERIFIED ? 20 : 30);
		assert_int_equal(taken.flooded, level == TRUST_UNVERIFIED ? 10 : 0);
		room_close(&r);
	}
}

/* The flood of the day before hinders nobody, what is proven meanwhile makes room, a proven copy leaves the digest, and
 * what belongs to a case that is open joins it. */
static void
flood_ends(void **state)
{
	struct room r;
	struct say s = { .sender = "x@evil.example" };
	struct taken taken;

	(void)state;
	room_open(&r, "flood_account = 2\n" RULES);
	for (int d = 0; d < 3; d++) {
		s.expires = TEST_EXPIRES + d * ROOM_DAY;
		(void)room_take(&r, &s, &taken);
	}
	assert_int_equal(taken.flooded, 1);
	s.expires = TEST_EXPIRES;
	(void)room_take(&r, &s, &taken);
	assert_int_equal(taken.joined, 1);
	(void)room_take(
	    &r, &(struct say){ .same_as = 3, .expires = TEST_EXPIRES + 2 * ROOM_DAY, .trust = TRUST_VERIFIED }, &taken);
	assert_int_equal(taken.as, TAKEN_COPY);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE trust = 'verified'"), 1);

	s.expires = TEST_EXPIRES + 10 * ROOM_DAY;
	(void)room_take(&r, &s, &taken);
	assert_int_equal(taken.flooded, 1);
	s.trust = TRUST_VERIFIED; /* one of the two of today is no forgery */
	s.expires = TEST_EXPIRES;
	(void)room_take(&r, &s, NULL);
	s.trust = TRUST_UNVERIFIED;
	s.expires = TEST_EXPIRES + 10 * ROOM_DAY;
	(void)room_take(&r, &s, &taken);
	assert_int_equal(taken.opened, 1);
	room_set_time(&r, r.now + ROOM_DAY);
	s.expires = TEST_EXPIRES + 11 * ROOM_DAY;
	(void)room_take(&r, &s, &taken);
	assert_int_equal(taken.opened, 1);
	room_close(&r);
}

/* Senders are made up as easily as accounts: each would be a case, a ticket and a reply. */
static void
unread_mail_floods_too(void **state)
{
	struct room r;
	struct say s = { .verdict = MH_UNRECOGNISED, .reason = "no date" };
	struct taken taken;
	char sender[40];

	(void)state;
	room_open(&r, "action \"desk\" { program = \"ticket\" }\nrule \"all\" { do = {\"desk\"} }\n");
	for (int i = 0; i < 30; i++) {
		(void)snprintf(sender, sizeof(sender), "x%d@evil.example", i);
		s.sender = sender;
		(void)room_take(&r, &s, &taken);
		assert_int_equal(taken.flooded, i >= 20);
	}
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE kind = 'unrecognised'"), 20);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE kind = 'flood'"), 1);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'ticket'"), 21);
	/* the digest says from whom, and their mails are kept */
	assert_int_equal(
	    room_count(&r, "SELECT count(*) FROM notices n JOIN cases c ON c.id = n.case_id WHERE c.kind = 'flood' AND "
			   "n.resource LIKE 'x%@evil.example'"),
	    10);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages WHERE raw IS NOT NULL"), 30);

	s.sender = "x0@evil.example"; /* more of what is open joins it */
	(void)room_take(&r, &s, &taken);
	assert_int_equal(taken.joined, 1);
	s.sender = "health@aws.com"; /* a new wording of AWS is no flood */
	s.trust = TRUST_VERIFIED;
	(void)room_take(&r, &s, NULL);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE resource = 'health@aws.com'"), 1);
	/* nor is one whose proof came late */
	(void)room_take(&r,
	    &(struct say){ .verdict = MH_UNRECOGNISED,
		.reason = "no date",
		.sender = "x29@evil.example",
		.same_as = 30,
		.trust = TRUST_VERIFIED },
	    &taken);
	assert_int_equal(taken.as, TAKEN_COPY);
	assert_int_equal(
	    room_count(&r, "SELECT count(*) FROM cases WHERE kind = 'unrecognised' AND resource = 'x29@evil.example'"),
	    1);
	room_set_time(&r, r.now + ROOM_DAY);
	s.sender = "late@example.com";
	s.trust = TRUST_UNVERIFIED;
	(void)room_take(&r, &s, &taken);
	assert_int_equal(taken.flooded, 0);
	room_close(&r);
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
		cmocka_unit_test(listed_accounts_flood_too),
		cmocka_unit_test(one_mail_floods_too),
		cmocka_unit_test(flood_ends),
		cmocka_unit_test(unread_mail_floods_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
