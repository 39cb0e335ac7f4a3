/* reply_test.c: the reply action as the core runs it: who gets a mail, what leaves, and how often. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/action_run.h"
#include "tests/ticket_marks.h"

#define REPLY BUILD_DIR "/libexec/mailhook/actions/reply"
#define JOB "6f1e0c1f5ab14c0d8c1f2b3a4d5e6f70"
#define FILE_NAME JOB ".mailhook"
#define RELAYED "\"trust\":{\"level\":\"relayed\",\"by\":\"arc google.com\"}"

static void
patch_with_config(char *dst, size_t dst_bytes, const char *dir, const char *more)
{
	(void)snprintf(dst, dst_bytes, "{\"config\":\"%s/reply.conf\"%s%s}", dir, more[0] == '\0' ? "" : ",", more);
}

/* RFC 3834, and what trust allows: all by the dry run's "to:" line. */
static void
test_recipients(void **state)
{
	static const struct {
		const char *name, *patch, *to;
	} rows[] = {
		{ "unverified: the configured one alone", "\"event\":\"opened\"", "team@example.org" },
		{ "relayed: the sender too", RELAYED, "ops@example.com, team@example.org" },
		{ "verified: the sender too", "\"trust\":{\"level\":\"verified\"}",
		    "ops@example.com, team@example.org" },
		{ "verified by a person, who did not see who sent it",
		    "\"trust\":{\"level\":\"verified\"},\"message\":{\"trust\":\"unverified\"}", "team@example.org" },
		{ "verified by a person, sent on by a forwarder",
		    "\"trust\":{\"level\":\"verified\"},\"message\":{\"trust\":\"relayed\"}",
		    "ops@example.com, team@example.org" },
		{ "an unknown level of the mail is none", RELAYED ",\"message\":{\"trust\":\"divine\"}",
		    "team@example.org" },
		{ "an unknown level is none", "\"trust\":{\"level\":\"divine\"}", "team@example.org" },
		{ "<>", RELAYED ",\"message\":{\"envelope_from\":\"\"}", "team@example.org" },
		{ "Auto-Submitted", RELAYED ",\"message\":{\"auto\":true}", "team@example.org" },
		{ "a list", RELAYED ",\"message\":{\"list\":true}", "team@example.org" },
		{ "our own mark", RELAYED ",\"message\":{\"own\":true}", "team@example.org" },
		{ "no mail at all", RELAYED ",\"message\":null", "team@example.org" },
		{ "no address at all", RELAYED ",\"message\":{\"envelope_from\":null,\"reply_to\":null}",
		    "team@example.org" },
		{ "the envelope is not known", RELAYED ",\"message\":{\"envelope_from\":null}",
		    "ops@example.com, team@example.org" },
		{ "another person's envelope of the proven domain",
		    RELAYED ",\"message\":{\"reply_to\":\"else@example.com\"}", "ops@example.com, team@example.org" },
		{ "an envelope below it", RELAYED ",\"message\":{\"envelope_from\":\"ada@mail.EXAMPLE.com\"}",
		    "ada@mail.EXAMPLE.com, team@example.org" },
		{ "an envelope above it",
		    RELAYED ",\"message\":{\"reply_to\":\"ops@team.example.com\",\"envelope_from\":\"x@example.com\"}",
		    "ops@team.example.com, team@example.org" },
		{ "a foreign envelope", RELAYED ",\"message\":{\"envelope_from\":\"mallory@evil.test\"}",
		    "ops@example.com, team@example.org" },
		{ "a foreign envelope around a verified mail",
		    "\"trust\":{\"level\":\"verified\"},\"message\":{\"envelope_from\":\"mallory@evil.test\"}",
		    "ops@example.com, team@example.org" },
		{ "an envelope that only ends like it",
		    RELAYED ",\"message\":{\"envelope_from\":\"mallory@evilexample.com\"}",
		    "ops@example.com, team@example.org" },
		{ "an envelope that only begins like it",
		    RELAYED ",\"message\":{\"envelope_from\":\"mallory@example.com.evil.test\"}",
		    "ops@example.com, team@example.org" },
		{ "a foreign bounce address still forbids it",
		    RELAYED ",\"message\":{\"envelope_from\":\"bounces+1=x@evil.test\"}", "team@example.org" },
		{ "a foreign envelope, and From is not known",
		    RELAYED ",\"message\":{\"envelope_from\":\"mallory@evil.test\",\"reply_to\":null}",
		    "team@example.org" },
		{ "a From without a domain",
		    RELAYED ",\"message\":{\"envelope_from\":\"mallory@evil.test\",\"reply_to\":\"ops\"}",
		    "team@example.org" },
		{ "the header says AWS", RELAYED ",\"message\":{\"reply_to\":\"health@aws.com\"}", "team@example.org" },
		{ "the envelope says AWS", RELAYED ",\"message\":{\"envelope_from\":\"0100-000000@eu.amazonses.com\"}",
		    "team@example.org" },
		{ "no-reply-aws@amazon.com", RELAYED ",\"message\":{\"envelope_from\":\"no-reply-aws@amazon.com\"}",
		    "team@example.org" },
		{ "no-reply@sns.amazonaws.com", RELAYED ",\"message\":{\"envelope_from\":\"x@sns.amazonaws.com\"}",
		    "team@example.org" },
		{ "capitals", RELAYED ",\"message\":{\"envelope_from\":\"Health@AWS.COM\"}", "team@example.org" },
		{ "a name that only ends like AWS",
		    RELAYED ",\"message\":{\"envelope_from\":\"ada@notaws.com\",\"reply_to\":\"ada@notaws.com\"}",
		    "ada@notaws.com, team@example.org" },
		{ "a name that only begins like AWS",
		    RELAYED
		    ",\"message\":{\"envelope_from\":\"ada@aws.com.example.net\",\"reply_to\":\"ada@example.net\"}",
		    "ada@aws.com.example.net, team@example.org" },
		{ "noreply", RELAYED ",\"message\":{\"envelope_from\":\"noreply@example.com\"}", "team@example.org" },
		{ "No_Reply+tag", RELAYED ",\"message\":{\"envelope_from\":\"No_Reply+tag@example.com\"}",
		    "team@example.org" },
		{ "something-noreply", RELAYED ",\"message\":{\"envelope_from\":\"azure-noreply@example.com\"}",
		    "team@example.org" },
		{ "do-not-reply", RELAYED ",\"message\":{\"envelope_from\":\"do.not-reply@example.com\"}",
		    "team@example.org" },
		{ "mailer-daemon", RELAYED ",\"message\":{\"envelope_from\":\"MAILER-DAEMON@example.com\"}",
		    "team@example.org" },
		{ "postmaster", RELAYED ",\"message\":{\"envelope_from\":\"postmaster@example.com\"}",
		    "team@example.org" },
		{ "bounces+verp", RELAYED ",\"message\":{\"envelope_from\":\"bounces+1=x@example.com\"}",
		    "team@example.org" },
		{ "a list's address for one bounce",
		    RELAYED ",\"message\":{\"envelope_from\":\"team+Bounces-3@example.com\"}", "team@example.org" },
		{ "a Google group's", RELAYED ",\"message\":{\"envelope_from\":\"team+bncBDA3@example.com\"}",
		    "team@example.org" },
		{ "ezmlm's", RELAYED ",\"message\":{\"envelope_from\":\"team-return-12@example.com\"}",
		    "team@example.org" },
		{ "one with the recipient in it",
		    RELAYED ",\"message\":{\"envelope_from\":\"team-ada=example.net@example.com\"}",
		    "team@example.org" },
		{ "an extension", RELAYED ",\"message\":{\"envelope_from\":\"ada+aws@example.com\"}",
		    "ada+aws@example.com, team@example.org" },
		{ "a name with return in it", RELAYED ",\"message\":{\"envelope_from\":\"tax-return@example.com\"}",
		    "tax-return@example.com, team@example.org" },
		{ "owner-list", RELAYED ",\"message\":{\"envelope_from\":\"owner-team@example.com\"}",
		    "team@example.org" },
		{ "list-request", RELAYED ",\"message\":{\"envelope_from\":\"team-request@example.com\"}",
		    "team@example.org" },
		{ "a rewritten sender",
		    RELAYED ",\"message\":{\"envelope_from\":\"SRS0=a=b=example.net=x@example.com\"}",
		    "team@example.org" },
		{ "our own address", RELAYED ",\"message\":{\"envelope_from\":\"Hook@example.org\"}",
		    "team@example.org" },
		{ "the sender is configured as well",
		    RELAYED ",\"message\":{\"envelope_from\":\"TEAM@example.org\",\"reply_to\":\"ada@example.org\"}",
		    "TEAM@example.org" },
		{ "a reminder is no answer", RELAYED ",\"event\":\"reminded\"", "team@example.org" },
		{ "nor is an expiry", RELAYED ",\"event\":\"expired\"", "team@example.org" },
		{ "an outcome is", RELAYED ",\"event\":\"succeeded\"", "ops@example.com, team@example.org" },
		{ "a line end", RELAYED ",\"message\":{\"envelope_from\":\"a@example.com\\nBcc: b@example.com\"}",
		    "team@example.org" },
		{ "two addresses", RELAYED ",\"message\":{\"envelope_from\":\"a@example.com,b@example.com\"}",
		    "team@example.org" },
		{ "a display name", RELAYED ",\"message\":{\"envelope_from\":\"A <a@example.com>\"}",
		    "team@example.org" },
		{ "a quoted local part", RELAYED ",\"message\":{\"envelope_from\":\"\\\"a b\\\"@example.com\"}",
		    "team@example.org" },
		{ "an option", RELAYED ",\"message\":{\"envelope_from\":\"-oQ/tmp@example.com\"}", "team@example.org" },
		{ "an address literal", RELAYED ",\"message\":{\"envelope_from\":\"a@[192.0.2.1]\"}",
		    "team@example.org" },
		{ "a path", RELAYED ",\"message\":{\"envelope_from\":\"/etc/passwd\"}", "team@example.org" },
		{ "8-bit", RELAYED ",\"message\":{\"envelope_from\":\"k\xc3\xb6ln@example.com\"}", "team@example.org" },
	};
	char *dir = temp_folder(), patch[600], expected[200];

	(void)state;
	write_text(dir, "reply.conf", "from = \"hook@example.org\"\nto = {\"team@example.org\"}\n", 0600);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct action_ran ran;

		patch_with_config(patch, sizeof(patch), dir, rows[i].patch);
		action_run(REPLY, "describe", dir, patch, 9, &ran);
		(void)snprintf(expected, sizeof(expected), "\nto: %s\n", rows[i].to);
		if (ran.outcome != OUTCOME_DONE || span_find(buf_span(&ran.said), span_of(expected), 0) == SIZE_MAX)
			fail_msg("%s: \"%s\" %s", rows[i].name, ran.summary, buf_span(&ran.said).p);
		action_ran_release(&ran);
	}
	drop_temp_folder(dir);
}

/* A configured address may be a queue's. */
static void
test_marks_of_tickets(void **state)
{
	char *dir = temp_folder(), patch[800], more[700];

	(void)state;
	write_text(dir, "reply.conf", "from = \"hook@example.org\"\nto = {\"queue@example.com\"}\n", 0600);
	for (size_t i = 0; i < sizeof(ticket_marks) / sizeof(ticket_marks[0]); i++)
		for (int proven = 0; proven < 2; proven++) {
			const struct ticket_mark *row = &ticket_marks[i];
			struct action_ran ran;

			(void)snprintf(more, sizeof(more),
			    "\"trust\":{\"level\":\"%s\"},\"case\":{\"kind\":\"github.token\",\"account\":\"%s\","
			    "\"resource\":%s%s%s}",
			    proven ? "verified" : "unverified", row->account, row->resource == NULL ? "null" : "\"",
			    row->resource == NULL ? "" : row->resource, row->resource == NULL ? "" : "\"");
			patch_with_config(patch, sizeof(patch), dir, more);
			action_run(REPLY, "describe", dir, patch, 9, &ran);
			if (ran.outcome != OUTCOME_DONE || strstr(buf_span(&ran.said).p, "\nsubject: ") == NULL)
				fail_msg("%s: %s", row->name, ran.summary);
			if (mark_found(row->look, ran.said.p))
				fail_msg("%s: the reply has the mark: %s", row->name, ran.said.p);
			if (proven && strstr(ran.said.p, row->shown) == NULL)
				fail_msg("%s: the subject does not show it: %s", row->name, ran.said.p);
			action_ran_release(&ran);
		}
	drop_temp_folder(dir);
}

#define OWNER(s) "\"event\":\"opened\",\"case\":{\"owner\":" s "}"

static void
test_owner(void **state)
{
	static const struct {
		const char *name, *conf, *patch, *said;
	} rows[] = {
		{ "not asked for", "", OWNER("\"pay@example.com\""), "\nto: team@example.org\n" },
		{ "false", "to_owner = false\n", OWNER("\"pay@example.com\""), "\nto: team@example.org\n" },
		{ "true", "to_owner = true\n", OWNER("\"pay@example.com\""),
		    "\nto: team@example.org, pay@example.com\n" },
		{ "the sender too", "to_owner = true\n", RELAYED ",\"case\":{\"owner\":\"pay@example.com\"}",
		    "\nto: ops@example.com, team@example.org, pay@example.com\n" },
		{ "a reminder goes to the owner", "to_owner = true\n",
		    "\"event\":\"reminded\",\"case\":{\"owner\":\"pay@example.com\"}",
		    "\nto: team@example.org, pay@example.com\n" },
		{ "configured as well", "to_owner = true\n", OWNER("\"Team@example.org\""),
		    "\nto: team@example.org\n" },
		{ "none is known", "to_owner = true\n", OWNER("null"),
		    "the account's owner gets none: the accounts file names none" },
		{ "no owner, and the others get it", "to_owner = true\n", OWNER("null"), "\nto: team@example.org\n" },
		{ "a line end is refused", "to_owner = true\n", OWNER("\"a@example.com\\nBcc: b@example.com\""),
		    "the account's owner gets none: its address is no plain one" },
		{ "a line end goes nowhere", "to_owner = true\n", OWNER("\"a@example.com\\nBcc: b@example.com\""),
		    "\nto: team@example.org\n" },
		{ "two addresses", "to_owner = true\n", OWNER("\"a@example.com,b@example.com\""),
		    "\nto: team@example.org\n" },
		{ "an option", "to_owner = true\n", OWNER("\"-oQ/tmp@example.com\""), "\nto: team@example.org\n" },
		{ "a display name", "to_owner = true\n", OWNER("\"A <a@example.com>\""), "\nto: team@example.org\n" },
	};
	char *dir = temp_folder(), patch[600], conf[200];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct action_ran ran;

		(void)snprintf(
		    conf, sizeof(conf), "from = \"hook@example.org\"\nto = {\"team@example.org\"}\n%s", rows[i].conf);
		write_text(dir, "reply.conf", conf, 0600);
		patch_with_config(patch, sizeof(patch), dir, rows[i].patch);
		action_run(REPLY, "describe", dir, patch, 9, &ran);
		if (ran.outcome != OUTCOME_DONE || span_find(buf_span(&ran.said), span_of(rows[i].said), 0) == SIZE_MAX)
			fail_msg("%s: \"%s\" %s", rows[i].name, ran.summary, buf_span(&ran.said).p);
		action_ran_release(&ran);
	}
	drop_temp_folder(dir);
}

/* As many as can be configured, the sender and the owner. */
static void
test_all_recipients(void **state)
{
	(void)state;
	for (int n = 50; n <= 51; n++) {
		char *dir = temp_folder(), patch[600],
		     conf[2048] = "from = \"hook@example.org\"\nto_owner = true\nto = {";
		struct action_ran ran;

		for (int i = 0; i < n; i++) {
			const size_t have = strlen(conf);
			(void)snprintf(conf + have, sizeof(conf) - have, "%s\"t%d@example.org\"", i == 0 ? "" : ",", i);
		}
		const size_t have = strlen(conf);
		(void)snprintf(conf + have, sizeof(conf) - have, "}\n");
		write_text(dir, "reply.conf", conf, 0600);
		patch_with_config(patch, sizeof(patch), dir, RELAYED "," OWNER("\"pay@example.com\""));
		action_run(REPLY, "describe", dir, patch, 9, &ran);
		const char *first = n > 50 ? "more than 50 addresses" : "to ops@example.com, t0@example.org, t1@";
		const char *last = n > 50 ? "" : ", t49@example.org, pay@example.com";
		if (ran.outcome != (n > 50 ? OUTCOME_FAILED : OUTCOME_DONE) || strstr(ran.summary, first) == NULL ||
		    strstr(ran.summary, last) == NULL)
			fail_msg("%d configured: \"%s\"", n, ran.summary);
		action_ran_release(&ran);
		drop_temp_folder(dir);
	}
}

static void
test_sender_needs(void **state)
{
	static const struct {
		const char *name, *conf, *patch;
		enum outcome outcome;
		const char *summary;
	} rows[] = {
		{ "never", "to = {}\nsender_needs = \"never\"\n", RELAYED, OUTCOME_SKIPPED,
		    "the configuration wants no answer" },
		{ "verified", "to = {}\nsender_needs = \"verified\"\n", RELAYED, OUTCOME_SKIPPED, "nothing proves" },
		{ "relayed", "to = {}\n", RELAYED, OUTCOME_DONE, "reply sent to ops@example.com" },
		{ "unverified", "to = {}\nsender_needs = \"unverified\"\n", "\"event\":\"opened\"", OUTCOME_DONE,
		    "reply sent to ops@example.com" },
		{ "unverified, by the envelope", "to = {}\nsender_needs = \"unverified\"\n",
		    "\"message\":{\"envelope_from\":\"ada@example.net\"}", OUTCOME_DONE,
		    "reply sent to ada@example.net" },
		{ "nobody at all", "to = {}\n", "\"message\":null", OUTCOME_SKIPPED, "nothing proves" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *dir = temp_folder(), patch[600];
		struct action_ran ran;

		write_text(dir, "reply.conf", rows[i].conf, 0600);
		patch_with_config(patch, sizeof(patch), dir, rows[i].patch);
		action_run(REPLY, "run", dir, patch, 9, &ran);
		if (ran.outcome != rows[i].outcome || strstr(ran.summary, rows[i].summary) == NULL)
			fail_msg("%s: %s \"%s\"", rows[i].name, outcome_names[ran.outcome], ran.summary);
		action_ran_release(&ran);
		drop_temp_folder(dir);
	}
}

/* What the Maildir holds before, what is run, what it must hold after. */
static void
test_maildir_once(void **state)
{
	static const struct {
		const char *name;
		const char *before; /* a file to be there first, or NULL */
		const char *patch, *verb;
		int allow;
		enum outcome outcome;
		const char *summary, *fresh, *tmp; /* names in new/ and tmp/ after */
	} rows[] = {
		{ "the first time", NULL, NULL, "run", 9, OUTCOME_DONE, "reply sent to postmaster@localhost",
		    FILE_NAME "\n", "" },
		{ "it lies in new/", "replies/new/" FILE_NAME, NULL, "run", 9, OUTCOME_DONE, "reply had been sent",
		    FILE_NAME "\n", "" },
		{ "it has been seen", "replies/cur/" FILE_NAME ":2,S", NULL, "run", 9, OUTCOME_DONE,
		    "reply had been sent", "", "" },
		{ "another name that begins alike is not it", "replies/cur/" FILE_NAME "2", NULL, "run", 9,
		    OUTCOME_DONE, "reply sent to", FILE_NAME "\n", "" },
		{ "killed between checkpoint and rename", "replies/tmp/" FILE_NAME,
		    "{\"state\":{\"sending\":\"" FILE_NAME "\"}}", "run", 9, OUTCOME_DONE, "reply sent to",
		    FILE_NAME "\n", "" },
		{ "the job was taken away", NULL, NULL, "run", 0, OUTCOME_RETRY, "taken away", "", "" },
		{ "a dry run", NULL, NULL, "describe", 9, OUTCOME_DONE, "would send a reply to postmaster@localhost",
		    "", "" },
		{ "observe", NULL, "{\"observe\":true}", "run", 9, OUTCOME_DONE, "would send", "", "" },
		{ "check", NULL, "{\"case\":null,\"event\":null}", "check", 9, OUTCOME_DONE, "replies can be sent", "",
		    "" },
		{ "input", NULL, NULL, "input", 9, OUTCOME_SKIPPED, "nothing from the terminal", "", "" },
	};
	struct buf names;

	(void)state;
	buf_init(&names, 1u << 16);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *dir = temp_folder(), path[256];
		struct action_ran ran;

		if (rows[i].before != NULL) {
			static const char *const folders[] = { "replies", "replies/tmp", "replies/new", "replies/cur" };

			for (size_t f = 0; f < 4; f++) {
				(void)snprintf(path, sizeof(path), "%s/%s", dir, folders[f]);
				assert_int_equal(mkdir(path, 0700), 0);
			}
			write_text(dir, rows[i].before, "half", 0600);
		}
		action_run(REPLY, rows[i].verb, dir, rows[i].patch, rows[i].allow, &ran);
		list_names(dir, "replies/new", &names);
		const bool fresh_right = strcmp(buf_span(&names).p, rows[i].fresh) == 0;
		list_names(dir, "replies/tmp", &names);
		if (ran.outcome != rows[i].outcome || strstr(ran.summary, rows[i].summary) == NULL || !fresh_right ||
		    strcmp(buf_span(&names).p, rows[i].tmp) != 0)
			fail_msg("%s: %s \"%s\"", rows[i].name, outcome_names[ran.outcome], ran.summary);
		action_ran_release(&ran);
		drop_temp_folder(dir);
	}
	buf_release(&names);
}

/* The same job again, later and with other facts: nothing new, and the mail as it was. */
static void
test_run_twice(void **state)
{
	char *dir = temp_folder();
	struct action_ran ran;
	struct buf first, second;

	(void)state;
	buf_init(&first, 1u << 20);
	buf_init(&second, 1u << 20);
	action_run(REPLY, "run", dir, NULL, 9, &ran);
	assert_string_equal(buf_span(&ran.state).p, "{\"sending\":\"" FILE_NAME "\"}");
	action_ran_release(&ran);
	read_text(dir, "replies/new/" FILE_NAME, &first);
	action_run(REPLY, "run", dir, "{\"attempt\":2,\"now\":\"2025-12-06T09:00:00Z\"}", 9, &ran);
	assert_int_equal(ran.outcome, OUTCOME_DONE);
	assert_int_equal(ran.checkpoints, 0);
	action_ran_release(&ran);
	read_text(dir, "replies/new/" FILE_NAME, &second);
	assert_true(first.n > 0 && span_eq(buf_span(&first), buf_span(&second)));
	buf_release(&first);
	buf_release(&second);
	drop_temp_folder(dir);
}

/* Whatever stands in the facts: the header has these fields and no other, all is 7-bit, no line is long, and none can be
 * taken for an end of the mail or a new one. */
static void
test_hostile_strings(void **state)
{
	static const char *const fields[] = { "Date", "From", "To", "Subject", "Message-ID", "In-Reply-To",
		"References", "Auto-Submitted", "X-Auto-Response-Suppress", "X-Mailhook-Job", "MIME-Version",
		"Content-Type", "Content-Transfer-Encoding" };
	static const struct {
		const char *name, *patch;
	} rows[] = {
		{ "nothing special", "\"attempt\":1" },
		{ "line ends in the resource",
		    "\"case\":{\"resource\":\"x\\r\\nBcc: evil@example.net\\r\\n\\r\\n.\\r\\nFrom y\"}" },
		{ "line ends in the account", "\"case\":{\"account\":\"1\\nSubject: other\\n\\n\"}" },
		{ "line ends in a summary",
		    "\"outcomes\":[{\"action\":\"a\\nb\",\"outcome\":\"done\\n\",\"summary\":\"x\\n.\\n\"}]" },
		{ "leading dots", "\"case\":{\"resource\":\".\",\"region\":\"..\",\"reason\":\".hidden\"}" },
		{ "From", "\"case\":{\"reason\":\"From somebody\"},\"outcomes\":[{\"action\":\"From "
			  "me\",\"outcome\":\"done\"}]" },
		{ "8-bit",
		    "\"case\":{\"resource\":\"K\xc3\xb6ln \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e \xf0\x9f\x94\x91\"}" },
		{ "an encoded word", "\"case\":{\"account\":\"=?UTF-8?Q?=0ABcc:_evil?=\"}" },
		{ "C1 controls", "\"case\":{\"resource\":\"a\\u0085b\\u009bc\"}" },
		{ "very long, in one word",
		    "\"case\":{\"resource\":"
		    "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxxxxx"
		    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		    "xxx\"}" },
		{ "a message id with a line end", "\"message\":{\"id\":\"<a@b>\\nBcc: evil@example.net\"}" },
		{ "a message id that is none", "\"message\":{\"id\":\"hello\",\"references\":\"<a@b> junk <c d@e>\"}" },
		{ "references with line ends",
		    "\"message\":{\"references\":\"<a@b>\\r\\n <c@d>\\nBcc: evil@example.net\\t<e@f>\"}" },
	};
	struct buf mail;

	(void)state;
	buf_init(&mail, 1u << 20);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *dir = temp_folder(), patch[1200];
		struct action_ran ran;
		struct mh_span rest, line;
		bool in_header = true;

		(void)snprintf(patch, sizeof(patch), "{%s}", rows[i].patch);
		action_run(REPLY, "run", dir, patch, 9, &ran);
		if (ran.outcome != OUTCOME_DONE)
			fail_msg("%s: %s", rows[i].name, ran.summary);
		read_text(dir, "replies/new/" FILE_NAME, &mail);
		rest = buf_span(&mail);
		assert_true(rest.n > 0);
		while (span_line(&rest, &line)) {
			bool known = false;

			for (size_t f = 0; f < sizeof(fields) / sizeof(fields[0]); f++)
				known = known ||
					(span_starts(line, span_of(fields[f])) && line.p[strlen(fields[f])] == ':');
			in_header = in_header && line.n > 0;
			if (in_header && !known && line.p[0] != ' ')
				fail_msg("%s: a header line \"%.*s\"", rows[i].name, (int)line.n, line.p);
			if (line.n > 78 || span_starts(line, MH_LIT(".")) ||
			    (!in_header && span_starts(line, MH_LIT("From "))))
				fail_msg("%s: a line \"%.*s\"", rows[i].name, (int)line.n, line.p);
			for (size_t c = 0; c < line.n; c++)
				if (line.p[c] < 0x20 || line.p[c] >= 0x7F)
					fail_msg("%s: byte %02x", rows[i].name, (unsigned)line.p[c] & 0xFF);
		}
		assert_false(in_header);
		action_ran_release(&ran);
		drop_temp_folder(dir);
	}
	buf_release(&mail);
}

static void
test_sendmail(void **state)
{
	static const struct {
		const char *name, *script, *patch;
		int allow;
		enum outcome outcome;
		const char *summary, *argv; /* NULL: not run */
	} rows[] = {
		{ "sent", "exit 0", "\"attempt\":1", 9, OUTCOME_DONE, "reply sent to team@example.org",
		    "[-i][-f][<>][--][team@example.org]\n" },
		{ "two recipients", "exit 0", RELAYED, 9, OUTCOME_DONE,
		    "reply sent to ops@example.com, team@example.org",
		    "[-i][-f][<>][--][ops@example.com][team@example.org]\n" },
		{ "later", "exit 75", "\"attempt\":1", 9, OUTCOME_RETRY, "failed with code 75", "[-i]" },
		{ "no such user", "exit 67", "\"attempt\":1", 9, OUTCOME_FAILED, "refused the mail with code 67",
		    "[-i]" },
		{ "its configuration", "exit 78", "\"attempt\":1", 9, OUTCOME_FAILED, "refused the mail with code 78",
		    "[-i]" },
		{ "unavailable may pass", "exit 69", "\"attempt\":1", 9, OUTCOME_RETRY, "failed with code 69", "[-i]" },
		{ "an unknown code", "exit 1", "\"attempt\":1", 9, OUTCOME_RETRY, "failed with code 1", "[-i]" },
		{ "killed", "kill -9 $$", "\"attempt\":1", 9, OUTCOME_RETRY, "killed by signal 9", "[-i]" },
		{ "it hangs", "exec sleep 60", "\"deadline\":\"2025-11-06T09:00:01Z\"", 9, OUTCOME_RETRY,
		    "did not end in time", "[-i]" },
		{ "the job was taken away", "exit 0", "\"attempt\":1", 0, OUTCOME_RETRY, "taken away", NULL },
		{ "it talks without end", "yes 'no room' | head -c 100000 >&2; exit 75", "\"attempt\":1", 9,
		    OUTCOME_RETRY, "failed with code 75", "[-i]" },
	};
	struct buf argv, mail;

	(void)state;
	buf_init(&argv, 1u << 16);
	buf_init(&mail, 1u << 20);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *dir = temp_folder(), text[800], patch[600];
		struct action_ran ran;

		(void)snprintf(text, sizeof(text),
		    "#!/bin/sh\ncat >%s/mail\n{ printf '[%%s]' \"$@\"; echo; } >%s/argv\n%s\n", dir, dir,
		    rows[i].script);
		write_text(dir, "sendmail", text, 0700);
		(void)snprintf(text, sizeof(text),
		    "transport = \"sendmail\"\nsendmail = \"%s/sendmail\"\nfrom = \"hook@example.org\"\n"
		    "to = {\"team@example.org\"}\n",
		    dir);
		write_text(dir, "reply.conf", text, 0600);
		patch_with_config(patch, sizeof(patch), dir, rows[i].patch);
		action_run(REPLY, "run", dir, patch, rows[i].allow, &ran);
		read_text(dir, "argv", &argv);
		read_text(dir, "mail", &mail);
		if (ran.outcome != rows[i].outcome || strstr(ran.summary, rows[i].summary) == NULL ||
		    (rows[i].argv == NULL ? argv.n > 0 : !span_starts(buf_span(&argv), span_of(rows[i].argv))))
			fail_msg("%s: %s \"%s\" %s", rows[i].name, outcome_names[ran.outcome], ran.summary,
			    buf_span(&argv).p);
		if (rows[i].argv != NULL) {
			assert_string_equal(buf_span(&ran.state).p, "{\"sending\":\"<" JOB "@example.org>\"}");
			assert_true(
			    span_find(buf_span(&mail), MH_LIT("\nMessage-ID: <" JOB "@example.org>\n"), 0) != SIZE_MAX);
			assert_true(span_find(buf_span(&mail), MH_LIT("mailhook close 1"), 0) != SIZE_MAX);
		}
		action_ran_release(&ran);
		drop_temp_folder(dir);
	}
	buf_release(&argv);
	buf_release(&mail);
}

static void
test_configuration(void **state)
{
	static const struct {
		const char *name, *text;
		enum outcome outcome;
		const char *summary;
	} rows[] = {
		{ "empty", "", OUTCOME_DONE, "replies can be sent" },
		{ "an unknown option", "\ncolour = \"red\"\n", OUTCOME_FAILED,
		    "reply.conf:2: no such option 'colour'" },
		{ "an unknown transport", "transport = \"pigeon\"\n", OUTCOME_FAILED,
		    "reply.conf:1: there is no transport \"pigeon\"" },
		{ "a wrong recipient", "# x\nto = {\"a@example.com\", \"no address\"}\n", OUTCOME_FAILED,
		    "reply.conf:2: to: no plain mail address: no address" },
		{ "a wrong From", "from = \"Hook <a@example.com>\"\n", OUTCOME_FAILED,
		    "reply.conf:1: from: no plain mail address" },
		{ "a wrong need", "sender_needs = \"hope\"\n", OUTCOME_FAILED, "reply.conf:1: sender_needs must be" },
		{ "a relative program", "sendmail = \"sendmail\"\n", OUTCOME_FAILED,
		    "reply.conf:1: sendmail must be an absolute" },
		{ "no such program", "transport = \"sendmail\"\nsendmail = \"/nothing/here\"\n", OUTCOME_FAILED,
		    "cannot run /nothing/here: No such file" },
		{ "no such folder", "folder = \"/nothing/here\"\n", OUTCOME_FAILED,
		    "cannot make the Maildir /nothing" },
		{ "no such template", "template = \"/nothing/here\"\n", OUTCOME_FAILED,
		    "there is no template /nothing/here" },
		{ "a subject with an unknown name", "subject = \"{nope}\"\n", OUTCOME_FAILED,
		    "subject:1: there is no variable {nope}" },
		{ "the environment", "from = \"${USER}@example.com\"\n", OUTCOME_FAILED,
		    "reply.conf:1: ${ is not taken here" },
		{ "unfinished", "to = {\"a@example.com\"\n", OUTCOME_FAILED, "reply.conf:" },
	};
	char *dir = temp_folder(), patch[600];

	(void)state;
	patch_with_config(patch, sizeof(patch), dir, "");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct action_ran ran;

		write_text(dir, "reply.conf", rows[i].text, 0600);
		action_run(REPLY, "check", dir, patch, 9, &ran);
		if (ran.outcome != rows[i].outcome || strstr(ran.summary, rows[i].summary) == NULL)
			fail_msg("%s: %s \"%s\"", rows[i].name, outcome_names[ran.outcome], ran.summary);
		action_ran_release(&ran);
	}
	drop_temp_folder(dir);
}

static void
test_own_template(void **state)
{
	char *dir = temp_folder(), text[600], patch[600];
	struct action_ran ran;
	struct buf mail;

	(void)state;
	buf_init(&mail, 1u << 20);
	write_text(dir, "body", "Hello,\n{?region}\nregion {region}\n{/region}\n{nope}\n", 0600);
	(void)snprintf(
	    text, sizeof(text), "template = \"%s/body\"\nsubject = \"S {account}\"\ncalendar = false\n", dir);
	write_text(dir, "reply.conf", text, 0600);
	patch_with_config(patch, sizeof(patch), dir, "");
	action_run(REPLY, "run", dir, patch, 9, &ran);
	assert_int_equal(ran.outcome, OUTCOME_FAILED);
	assert_non_null(strstr(ran.summary, "/body:5: there is no variable {nope}"));
	action_ran_release(&ran);

	write_text(dir, "body", "Hello,\n{?region}\nregion {region}\n{/region}\n", 0600);
	action_run(REPLY, "run", dir, patch, 9, &ran);
	assert_int_equal(ran.outcome, OUTCOME_DONE);
	action_ran_release(&ran);
	read_text(dir, "replies/new/" FILE_NAME, &mail);
	assert_true(span_find(buf_span(&mail), MH_LIT("\nSubject: S 123456789012\n"), 0) != SIZE_MAX);
	assert_true(span_iends(buf_span(&mail), MH_LIT("\n\nHello,\nregion eu-west-1\n")));
	buf_release(&mail);
	drop_temp_folder(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_marks_of_tickets),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_all_recipients),
		cmocka_unit_test(test_sender_needs),
		cmocka_unit_test(test_maildir_once),
		cmocka_unit_test(test_run_twice),
		cmocka_unit_test(test_hostile_strings),
		cmocka_unit_test(test_sendmail),
		cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_own_template),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
