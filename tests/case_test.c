/* case_test.c: each sentence of the case identity, and what keeps floods out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailhook/work/accounts.h"
#include "tests/room.h"

#define RULES                                                                                                          \
	"action \"desk\" { program = \"ticket\" }\n"                                                                   \
	"action \"turn\" { program = \"/bin/false\" }\n"                                                               \
	"rule \"listed\" { accounts = {\"1*\"} do = {\"desk\", \"turn\"} }\n"                                          \
	"rule \"rest\" { order = 100 do = {\"desk\"} }\n"
#define HOUR INT64_C(3600)

/* -- one notice after another: the same case or not? --------------------------------------------------------------- */

static const struct {
	const char *name;
	struct say first, later;
	bool same;
} join_rows[] = {
	{ "equal facts join", { .region = "eu-west-1" }, { .region = "eu-west-1" }, true },
	{ "another kind is another case", { 0 }, { .kind = "aws.acm.certificate" }, false },
	{ "another account is another case", { 0 }, { .account = "123456789013" }, false },
	{ "an unknown account does not join a known one", { 0 }, { .no_account = true }, false },
	{ "a known account does not join an unknown one", { .no_account = true }, { 0 }, false },
	{ "two unknown accounts are equal", { .no_account = true }, { .no_account = true }, true },
	{ "another region is another case", { .region = "eu-west-1" }, { .region = "us-east-1" }, false },
	{ "a region that the case does not know joins", { 0 }, { .region = "us-east-1" }, true },
	{ "a region that the notice does not know joins", { .region = "us-east-1" }, { 0 }, true },
	{ "another resource is another case", { .resource = "a" }, { .resource = "b" }, false },
	{ "a resource that the case does not know joins", { 0 }, { .resource = "b" }, true },
	{ "a resource that the notice does not know joins", { .resource = "a" }, { 0 }, true },
	{ "region fits but resource does not", { .region = "eu-west-1", .resource = "a" },
	    { .region = "eu-west-1", .resource = "b" }, false },
	{ "another hour of the same UTC day joins", { .expires = TEST_EXPIRES },
	    { .expires = TEST_EXPIRES + 14 * HOUR }, true },
	{ "the next UTC day is another case, an hour later though it is", { .expires = TEST_EXPIRES + 14 * HOUR },
	    { .expires = TEST_EXPIRES + 15 * HOUR }, false },
	{ "a day joins a second of it", { .precision = MH_SECOND }, { .precision = MH_DAY }, true },
	{ "derived: two days later joins", { 0 }, { .precision = MH_DERIVED, .expires = TEST_EXPIRES + 2 * ROOM_DAY },
	    true },
	{ "derived: two days earlier joins", { 0 }, { .precision = MH_DERIVED, .expires = TEST_EXPIRES - 2 * ROOM_DAY },
	    true },
	{ "derived: three days are too many", { 0 },
	    { .precision = MH_DERIVED, .expires = TEST_EXPIRES + 3 * ROOM_DAY }, false },
	{ "derived: it may be the case's date", { .precision = MH_DERIVED },
	    { .precision = MH_SECOND, .expires = TEST_EXPIRES + 2 * ROOM_DAY }, true },
	{ "derived: two days by the calendar, not by hours", { .expires = TEST_EXPIRES + 14 * HOUR },
	    { .precision = MH_DERIVED, .expires = TEST_EXPIRES + 14 * HOUR + 2 * ROOM_DAY }, true },
	{ "a year later is the next case", { 0 }, { .expires = TEST_EXPIRES + 365 * ROOM_DAY }, false },
};

static void
notices_join(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(join_rows) / sizeof(join_rows[0]); i++) {
		struct room r;

		room_open(&r, RULES);
		const int64_t first = room_take(&r, &join_rows[i].first, NULL);
		const int64_t later = room_take(&r, &join_rows[i].later, NULL);
		if (first == 0 || later == 0 || (first == later) != join_rows[i].same)
			fail_msg("%s: cases %lld and %lld", join_rows[i].name, (long long)first, (long long)later);
		if (room_count(&r, "SELECT count(*) FROM events WHERE what = 'opened'") != (first == later ? 1 : 2))
			fail_msg("%s: not one opening a case", join_rows[i].name);
		room_close(&r);
	}
}

/* -- closed cases -------------------------------------------------------------------------------------------------- */

static void
shut(struct room *r, int64_t id)
{
	struct mh_err err = { 0 };

	if (case_close(&r->w, id, "alice", r->now, &err) != MH_OK)
		fail_msg("%s", err.text);
}

static const struct {
	const char *name;
	enum trust_level first, later;
	bool by_person, same;
} closed_rows[] = {
	{ "a closed case takes what is as well trusted as history", TRUST_UNVERIFIED, TRUST_UNVERIFIED, true, true },
	{ "a verified notice opens a new case where an unverified one was closed", TRUST_UNVERIFIED, TRUST_VERIFIED,
	    true, false },
	{ "a relayed notice opens a new case where an unverified one was closed", TRUST_UNVERIFIED, TRUST_RELAYED, true,
	    false },
	{ "a verified case that a person closed takes verified notices", TRUST_VERIFIED, TRUST_VERIFIED, true, true },
	{ "a case closed as verified takes a lesser notice", TRUST_VERIFIED, TRUST_UNVERIFIED, true, true },
	{ "a case that an action closed takes what is as well trusted", TRUST_VERIFIED, TRUST_VERIFIED, false, true },
	{ "a verified notice opens a new case where an action closed an unverified one", TRUST_UNVERIFIED,
	    TRUST_VERIFIED, false, false },
};

static void
closed_cases_take_history(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(closed_rows) / sizeof(closed_rows[0]); i++) {
		struct room r;

		room_open(&r, RULES);
		const int64_t first = room_take(&r, &(struct say){ .trust = closed_rows[i].first }, NULL);
		shut(&r, first);
		if (!closed_rows[i].by_person)
			(void)room_count(&r, "UPDATE cases SET closed_trust = NULL, closed_by = 'turn' RETURNING id");
		const int64_t jobs = room_count(&r, "SELECT count(*) FROM jobs");
		const int64_t later = room_take(&r, &(struct say){ .trust = closed_rows[i].later }, NULL);
		if ((first == later) != closed_rows[i].same)
			fail_msg("%s", closed_rows[i].name);
		if (closed_rows[i].same && room_count(&r, "SELECT count(*) FROM jobs") != jobs)
			fail_msg("%s: history made jobs", closed_rows[i].name);
		if (closed_rows[i].same && room_count(&r, "SELECT count(*) FROM cases WHERE state = 'open'") != 0)
			fail_msg("%s: it was opened again", closed_rows[i].name);
		/* what follows goes to the new one, and both keep their keys */
		if (!closed_rows[i].same) {
			const int64_t third = room_take(&r, &(struct say){ .trust = closed_rows[i].later }, NULL);
			if (third != later || room_count(&r, "SELECT count(DISTINCT key) FROM cases") != 2)
				fail_msg("%s: the new case is not the one that goes on", closed_rows[i].name);
		}
		room_close(&r);
	}
}

static void
closing_twice_is_refused(void **state)
{
	struct room r;
	struct mh_err err = { 0 };

	(void)state;
	room_open(&r, RULES);
	const int64_t id = room_take(&r, &(struct say){ 0 }, NULL);
	shut(&r, id);
	assert_int_equal(case_close(&r.w, id, "bob", r.now, &err), MH_BAD);
	assert_non_null(strstr(err.text, "closed already, at 2025-11-06T09:00:00Z by alice"));
	assert_int_equal(case_close(&r.w, id + 1, "bob", r.now, &err), MH_SKIP);
	room_close(&r);
}

/* -- several fit --------------------------------------------------------------------------------------------------- */

static void
best_trusted_of_several(void **state)
{
	struct room r;

	(void)state;
	room_open(&r, RULES);
	const int64_t good = room_take(&r, &(struct say){ .region = "eu-west-1", .trust = TRUST_VERIFIED }, NULL);
	const int64_t newer = room_take(&r, &(struct say){ .region = "us-east-1" }, NULL);
	assert_true(good != newer);
	assert_int_equal(room_take(&r, &(struct say){ 0 }, NULL), good);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE ambiguous = 1"), 0);
	room_close(&r);
}

static void
several_equal_ask_a_person(void **state)
{
	struct room r;
	struct mh_err err = { 0 };

	(void)state;
	room_open(&r, RULES);
	const int64_t one = room_take(&r, &(struct say){ .region = "eu-west-1", .trust = TRUST_VERIFIED }, NULL);
	const int64_t two = room_take(&r, &(struct say){ .region = "us-east-1", .trust = TRUST_VERIFIED }, NULL);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'effect' AND state = 'queued'"), 2);

	assert_int_equal(case_approve(&r.w, two, NULL, "bob", r.now, &err), MH_OK); /* who knows of no doubt yet */
	/* whoever can write an unverified mail cannot stop a verified rotation */
	assert_int_equal(room_take(&r, &(struct say){ 0 }, NULL), two);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE ambiguous = 1"), 0);

	assert_int_equal(room_take(&r, &(struct say){ .trust = TRUST_VERIFIED }, NULL), two); /* the newest */
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE ambiguous = 1"), 2);
	assert_int_equal(
	    room_count(
		&r, "SELECT count(*) FROM jobs WHERE role = 'effect' AND waiting_for = 'approval' AND due IS NULL"),
	    2);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'ticket' AND state = 'queued'"), 2);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM events WHERE what = 'ambiguous'"), 2);

	assert_int_equal(case_approve(&r.w, one, NULL, "alice", r.now, &err), MH_OK);
	/* who approved once is not asked again by every repeat */
	assert_int_equal(room_take(&r, &(struct say){ .trust = TRUST_VERIFIED }, NULL), two);
	assert_int_equal(room_count(&r, "SELECT case_id FROM jobs WHERE role = 'effect' AND state = 'queued'"), one);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'effect'"), 2);
	room_close(&r);
}

/* -- facts --------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	struct say first, later;
	const char *facts; /* region, resource, expires, precision, trust */
	bool key_event;    /* "trusted" */
} fact_rows[] = {
	{ "unknown facts are filled in", { .precision = MH_DAY },
	    { .region = "eu-west-1", .resource = "t", .precision = MH_DAY },
	    "eu-west-1|t|2026-02-03T09:00:00Z|day|unverified", false },
	{ "known facts stay", { .region = "eu-west-1", .resource = "t" }, { .region = "eu-west-1" },
	    "eu-west-1|t|2026-02-03T09:00:00Z|second|unverified", false },
	{ "a second is better than a day", { .precision = MH_DAY, .expires = TEST_EXPIRES + 14 * HOUR },
	    { .precision = MH_SECOND }, "-|-|2026-02-03T09:00:00Z|second|unverified", false },
	{ "a day is better than a derived one", { .precision = MH_DERIVED, .expires = TEST_EXPIRES + ROOM_DAY },
	    { .precision = MH_DAY }, "-|-|2026-02-03T09:00:00Z|day|unverified", false },
	{ "a derived one does not blur", { 0 }, { .precision = MH_DERIVED, .expires = TEST_EXPIRES + ROOM_DAY },
	    "-|-|2026-02-03T09:00:00Z|second|unverified", false },
	{ "better trusted facts replace all", { .region = "eu-west-1", .expires = TEST_EXPIRES + HOUR },
	    { .resource = "t", .precision = MH_DAY, .trust = TRUST_VERIFIED }, "-|t|2026-02-03T09:00:00Z|day|verified",
	    true },
	{ "less trusted facts are history", { .trust = TRUST_RELAYED },
	    { .region = "eu-west-1", .resource = "t", .trust = TRUST_UNVERIFIED },
	    "-|-|2026-02-03T09:00:00Z|second|relayed", false },
};

static void
later_notices_refine(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fact_rows) / sizeof(fact_rows[0]); i++) {
		struct room r;
		char key[40];

		room_open(&r, RULES);
		(void)room_take(&r, &fact_rows[i].first, NULL);
		(void)snprintf(key, sizeof(key), "%s", room_text(&r, "SELECT key FROM cases"));
		(void)room_take(&r, &fact_rows[i].later, NULL);
		const char *facts = room_text(&r, "SELECT coalesce(region, '-') || '|' || coalesce(resource, '-') || "
						  "'|' || expires || '|' || precision || "
						  "'|' || trust FROM cases");
		if (strcmp(facts, fact_rows[i].facts) != 0)
			fail_msg("%s: %s", fact_rows[i].name, facts);
		if (strlen(key) != LEDGER_KEY_HEX || strcmp(key, room_text(&r, "SELECT key FROM cases")) != 0)
			fail_msg("%s: the key changed", fact_rows[i].name);
		if (room_count(&r, "SELECT count(*) FROM events WHERE what = 'trusted'") != fact_rows[i].key_event)
			fail_msg("%s: trusted", fact_rows[i].name);
		if (room_count(&r, "SELECT count(*) FROM notices") != 2)
			fail_msg("%s: not two notices", fact_rows[i].name);
		room_close(&r);
	}
}

static void
repeats_are_history(void **state)
{
	struct room r;

	(void)state;
	room_open(&r, RULES);
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	const int64_t jobs = room_count(&r, "SELECT count(*) FROM jobs");
	for (int i = 0; i < 33; i++)
		(void)room_take(&r, &(struct say){ 0 }, NULL);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases"), 1);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM notices"), 34);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs"), jobs);
	room_close(&r);
}

/* -- the same message ---------------------------------------------------------------------------------------------- */

static void
same_message_again(void **state)
{
	struct room r;
	struct taken t;

	(void)state;
	room_open(&r, RULES);
	const int64_t id = room_take(&r, &(struct say){ 0 }, &t);
	assert_int_equal(t.as, TAKEN_NEW);
	assert_int_equal(room_take(&r, &(struct say){ .same_as = 1 }, &t), id);
	assert_int_equal(t.as, TAKEN_COPY);
	assert_int_equal(room_take(&r, &(struct say){ .same_as = 1 }, &t), id);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages"), 1);
	assert_int_equal(room_count(&r, "SELECT copies FROM messages"), 3);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM notices"), 1);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM events WHERE what <> 'opened'"), 0);
	room_close(&r);
}

static void
better_copy_replaces(void **state)
{
	struct room r;

	(void)state;
	room_open(&r, RULES);
	const int64_t id = room_take(&r, &(struct say){ 0 }, NULL);
	assert_string_equal(room_text(&r, "SELECT waiting_for FROM jobs WHERE role = 'effect'"), "trust");
	assert_int_equal(
	    room_take(&r, &(struct say){ .same_as = 1, .trust = TRUST_VERIFIED, .region = "eu-west-1" }, NULL), id);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM notices"), 1);
	assert_string_equal(room_text(&r, "SELECT trust || region FROM notices"), "verifiedeu-west-1");
	assert_string_equal(room_text(&r, "SELECT trust || region FROM cases"), "verifiedeu-west-1");
	assert_string_equal(room_text(&r, "SELECT trust FROM messages"), "verified");
	assert_string_equal(room_text(&r, "SELECT state FROM jobs WHERE role = 'effect'"), "queued");
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'effect'"), 1);
	/* a worse copy after it changes nothing */
	(void)room_take(&r, &(struct say){ .same_as = 1 }, NULL);
	assert_string_equal(room_text(&r, "SELECT trust FROM messages"), "verified");
	room_close(&r);
}

static void
irrelevant_is_not_kept(void **state)
{
	struct room r;
	struct taken t;

	(void)state;
	room_open(&r, RULES);
	(void)room_take(&r, &(struct say){ .not_kept = true }, &t);
	assert_int_equal(t.as, TAKEN_NOT);
	(void)room_take(&r, &(struct say){ .own = true }, &t);
	assert_int_equal(t.as, TAKEN_NOT);
	assert_int_equal(room_count(&r, "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM cases)"), 0);
	room_close(&r);
}

/* -- what was not read --------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	struct say first, later;
	bool close, same;
} unread_rows[] = {
	{ "one sender and reason", { .sender = "a@example.com", .reason = "no date" },
	    { .sender = "a@example.com", .reason = "no date" }, false, true },
	{ "another sender", { .sender = "a@example.com", .reason = "no date" },
	    { .sender = "b@example.com", .reason = "no date" }, false, false },
	{ "another reason", { .sender = "a@example.com", .reason = "no date" },
	    { .sender = "a@example.com", .reason = "no account" }, false, false },
	{ "until it is closed", { .sender = "a@example.com", .reason = "no date" },
	    { .sender = "a@example.com", .reason = "no date" }, true, false },
	{ "what failed is a case too", { .verdict = MH_FAILED, .reason = "crashed" },
	    { .verdict = MH_FAILED, .reason = "crashed" }, false, true },
	{ "failed and unrecognised differ", { .verdict = MH_FAILED, .reason = "no date" }, { .reason = "no date" },
	    false, false },
};

static void
unread_is_a_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(unread_rows) / sizeof(unread_rows[0]); i++) {
		struct say first = unread_rows[i].first, later = unread_rows[i].later;
		struct room r;

		first.verdict = first.verdict == MH_FAILED ? MH_FAILED : MH_UNRECOGNISED;
		later.verdict = later.verdict == MH_FAILED ? MH_FAILED : MH_UNRECOGNISED;
		room_open(&r, RULES);
		const int64_t a = room_take(&r, &first, NULL);
		if (unread_rows[i].close)
			shut(&r, a);
		const int64_t b = room_take(&r, &later, NULL);
		if (a == 0 || b == 0 || (a == b) != unread_rows[i].same)
			fail_msg("%s", unread_rows[i].name);
		if (room_count(&r, "SELECT count(*) FROM cases WHERE kind = 'unrecognised' AND expires IS NULL") !=
		    (a == b ? 1 : 2))
			fail_msg("%s: kind", unread_rows[i].name);
		if (room_count(&r, "SELECT count(*) FROM messages WHERE raw IS NOT NULL") != 2)
			fail_msg("%s: the bytes are not kept", unread_rows[i].name);
		room_close(&r);
	}
}

static void
quarantine_has_limits(void **state)
{
	struct room r;
	struct say s = { .verdict = MH_UNRECOGNISED, .reason = "no date" };
	char sender[40];

	(void)state;
	room_open(&r, RULES "quarantine_messages = 3\n");
	s.sender = "first@example.com";
	const int64_t first = room_take(&r, &s, NULL);
	for (int i = 0; i < 6; i++) {
		(void)snprintf(sender, sizeof(sender), "s%d@example.com", i);
		s.sender = sender;
		(void)room_take(&r, &s, NULL);
	}
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages"), 7);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages WHERE raw IS NOT NULL"), 3);
	assert_string_equal(room_text(&r, "SELECT value FROM meta WHERE name = 'quarantine-dropped'"), "4");
	/* what is not kept opens no case of its own: a person hears of it by one digest */
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE kind = 'unrecognised'"), 3);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE kind = 'flood'"), 1);
	/* a closed case makes room again */
	shut(&r, first);
	s.sender = "later@example.com";
	(void)room_take(&r, &s, NULL);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE kind = 'unrecognised'"), 4);
	room_close(&r);
}

static void
quarantine_counts_bytes(void **state)
{
	struct room r;
	struct say s = { .verdict = MH_UNRECOGNISED, .reason = "no date", .bytes = 6000 };

	(void)state;
	room_open(&r, RULES);
	r.w.conf->quarantine_bytes = 10000;
	(void)room_take(&r, &s, NULL);
	(void)room_take(&r, &s, NULL);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages WHERE raw IS NOT NULL"), 1);
	s.bytes = 1000;
	(void)room_take(&r, &s, NULL);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages WHERE raw IS NOT NULL"), 2);
	room_close(&r);
}

/* -- floods -------------------------------------------------------------------------------------------------------- */

static void
flood_goes_into_one_digest(void **state)
{
	struct room r;
	char account[20];

	(void)state;
	room_open(&r, RULES "flood_unlisted = 5\n");
	for (int i = 0; i < 20; i++) {
		(void)snprintf(account, sizeof(account), "99999999%04d", i);
		(void)room_take(&r, &(struct say){ .account = account }, NULL);
	}
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE kind <> 'flood'"), 5);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE kind = 'flood'"), 1);
	assert_string_equal(room_text(&r, "SELECT value FROM meta WHERE name = 'flood-dropped'"), "15");
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE role = 'ticket'"), 6);

	/* a later mail about a case that is open joins it, listed accounts and trusted notices are no flood */
	const int64_t old = room_take(&r, &(struct say){ .account = "999999990000" }, NULL);
	assert_int_equal(old, 1);
	assert_int_not_equal(room_take(&r, &(struct say){ .account = "123456789012" }, NULL),
	    room_count(&r, "SELECT id FROM cases WHERE kind = 'flood'"));
	assert_int_not_equal(room_take(&r, &(struct say){ .account = "999999995555", .trust = TRUST_VERIFIED }, NULL),
	    room_count(&r, "SELECT id FROM cases WHERE kind = 'flood'"));
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE kind <> 'flood'"), 7);

	/* the next day has five of its own; the digest goes on until it is closed */
	room_set_time(&r, r.now + ROOM_DAY);
	for (int i = 20; i < 30; i++) {
		(void)snprintf(account, sizeof(account), "99999999%04d", i);
		(void)room_take(&r, &(struct say){ .account = account }, NULL);
	}
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE kind <> 'flood'"), 12);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases WHERE kind = 'flood'"), 1);
	room_close(&r);
}

static void
keys_differ_between_installations(void **state)
{
	struct room a, b;
	char key[40];

	(void)state;
	room_open(&a, RULES);
	(void)room_take(&a, &(struct say){ 0 }, NULL);
	(void)snprintf(key, sizeof(key), "%s", room_text(&a, "SELECT key FROM cases"));
	room_close(&a);
	room_open(&b, RULES);
	(void)room_take(&b, &(struct say){ 0 }, NULL);
	assert_string_not_equal(key, room_text(&b, "SELECT key FROM cases"));
	room_close(&b);
}

static void
rule_is_chosen_once(void **state)
{
	struct room r;

	(void)state;
	room_open(&r, RULES);
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	assert_string_equal(room_text(&r, "SELECT rule || actions FROM cases"), "listed[\"desk\",\"turn\"]");
	(void)room_take(&r, &(struct say){ .account = "999999990000" }, NULL);
	assert_string_equal(room_text(&r, "SELECT rule || actions FROM cases WHERE id = 2"), "rest[\"desk\"]");
	room_close(&r);
}

static void
rule_is_chosen_by_environment(void **state)
{
	static const struct {
		const char *name, *account, *rule;
	} rows[] = {
		{ "an account of that environment", "111111111111", "live" },
		{ "of another", "222222222222", "rest" },
		{ "of none", "333333333333", "rest" },
		{ "that the file does not list", "444444444444", "rest" },
	};
	struct room r;
	struct mh_err err = { 0 };

	(void)state;
	room_open(&r, "accounts_file = \"@/accounts\"\naction \"desk\" { program = \"ticket\" }\n"
		      "rule \"live\" { environments = {\"production\"} do = {\"desk\"} }\nrule \"rest\" { order = 90 "
		      "do = {\"desk\"} }\n");
	room_script(&r, "accounts", "111111111111,,,production\n222222222222,,,test\n333333333333\n");
	assert_int_equal(accounts_load(r.w.conf->accounts_file, work_complain, NULL, &r.w.accounts, &err), MH_OK);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char sql[100];

		(void)room_take(&r, &(struct say){ .account = rows[i].account }, NULL);
		(void)snprintf(sql, sizeof(sql), "SELECT rule FROM cases WHERE account = '%s'", rows[i].account);
		if (strcmp(room_text(&r, sql), rows[i].rule) != 0)
			fail_msg("%s: rule %s", rows[i].name, room_text(&r, sql));
	}
	accounts_free(r.w.accounts);
	r.w.accounts = NULL;
	room_close(&r);
}

static void
late_notice_opens_a_ticket_at_most(void **state)
{
	struct room r;

	(void)state;
	room_open(&r,
	    "action \"desk\" { program = \"ticket\" }\naction \"turn\" { program = \"/bin/false\" needs = "
	    "\"unverified\" }\n"
	    "action \"tell\" { program = \"reply\" }\nrule \"all\" { do = {\"desk\", \"turn\", \"tell\"} }\n");
	(void)room_take(&r, &(struct say){ .expires = ROOM_NOW - 1, .trust = TRUST_VERIFIED }, NULL);
	assert_string_equal(room_text(&r, "SELECT group_concat(action) FROM jobs"), "desk");
	room_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(notices_join),
		cmocka_unit_test(closed_cases_take_history),
		cmocka_unit_test(closing_twice_is_refused),
		cmocka_unit_test(best_trusted_of_several),
		cmocka_unit_test(several_equal_ask_a_person),
		cmocka_unit_test(later_notices_refine),
		cmocka_unit_test(repeats_are_history),
		cmocka_unit_test(same_message_again),
		cmocka_unit_test(better_copy_replaces),
		cmocka_unit_test(irrelevant_is_not_kept),
		cmocka_unit_test(unread_is_a_case),
		cmocka_unit_test(quarantine_has_limits),
		cmocka_unit_test(quarantine_counts_bytes),
		cmocka_unit_test(flood_goes_into_one_digest),
		cmocka_unit_test(keys_differ_between_installations),
		cmocka_unit_test(rule_is_chosen_once),
		cmocka_unit_test(rule_is_chosen_by_environment),
		cmocka_unit_test(late_notice_opens_a_ticket_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
