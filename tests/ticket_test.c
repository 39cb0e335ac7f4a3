/* ticket_test.c: the ticket action with its local driver, as the core runs it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/action_run.h"
#include "tests/ticket_marks.h"

#define TICKET BUILD_DIR "/libexec/mailhook/actions/ticket"
#define KEY "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
#define FILE_NAME "scim-token-123456789012-2026-02-03-" KEY ".txt"
#define JOB(c) "\"job_key\":\"" c c c c c c c c "0000000000000000" c c c c c c c c "\""

/* Replaces the first old in the ticket file by new, as a person with an editor does. */
static void
edit(const char *dir, const char *old, const char *new)
{
	struct buf before, after;

	buf_init(&before, 1u << 20);
	buf_init(&after, 1u << 20);
	read_text(dir, "tickets/" FILE_NAME, &before);
	const size_t at = span_find(buf_span(&before), span_of(old), 0);
	assert_true(at != SIZE_MAX);
	buf_put(&after, span_head(buf_span(&before), at));
	buf_puts(&after, new);
	buf_put(&after, span_from(buf_span(&before), at + strlen(old)));
	write_text(dir, "tickets/" FILE_NAME, after.p, 0640);
	buf_release(&before);
	buf_release(&after);
}

/* One case from its first notice to its end. Each step is run twice: the second run must leave the file as it is. */
static void
test_life(void **state)
{
	static const struct {
		const char *name, *patch;
		enum outcome outcome;
		const char *summary, *in_file;
		size_t entries;
	} steps[] = {
		{ "opened", "{" JOB("a") "}", OUTCOME_DONE, "ticket opened", "Priority: normal\nDue:      2026-02-03\n",
		    1 },
		{ "trusted",
		    "{\"event\":\"trusted\"," JOB(
			"b") ",\"trust\":{\"level\":\"verified\",\"by\":\"dkim aws.com s1\"}}",
		    OUTCOME_DONE, "ticket commented", "  The mail is proven", 2 },
		{ "a reminder 60 days before", "{\"event\":\"reminded\"," JOB("c") ",\"now\":\"2025-12-05T00:00:00Z\"}",
		    OUTCOME_DONE, "ticket commented", "Priority: normal\n", 3 },
		{ "a reminder 14 days before", "{\"event\":\"reminded\"," JOB("d") ",\"now\":\"2026-01-20T00:00:00Z\"}",
		    OUTCOME_DONE, "priority raised", "Priority: high\n", 5 },
		{ "a reminder 3 days before", "{\"event\":\"reminded\"," JOB("e") ",\"now\":\"2026-01-31T00:00:00Z\"}",
		    OUTCOME_DONE, "priority raised", "priority from high to urgent\n", 7 },
		{ "never lowered", "{\"event\":\"reminded\"," JOB("f") ",\"now\":\"2026-01-02T00:00:00Z\"}",
		    OUTCOME_DONE, "ticket commented", "Priority: urgent\n", 8 },
		{ "failed",
		    "{\"event\":\"failed\"," JOB(
			"1") ",\"outcomes\":[{\"action\":\"entra\",\"role\":\"effect\","
			     "\"event\":\"opened\",\"outcome\":\"failed\",\"summary\":\"no such application\"}]}",
		    OUTCOME_DONE, "ticket commented", "  - entra: failed: no such application\n", 9 },
		{ "expired", "{\"event\":\"expired\"," JOB("2") ",\"now\":\"2026-02-03T04:05:07Z\"}", OUTCOME_DONE,
		    "ticket commented", "within the last day", 10 },
		{ "succeeded", "{\"event\":\"succeeded\"," JOB("3") "}", OUTCOME_DONE, "commented and closed",
		    "State:    closed\n", 12 },
		{ "no reminder of what is closed", "{\"event\":\"reminded\"," JOB("4") "}", OUTCOME_SKIPPED,
		    "was closed, and stays so", "State:    closed\n", 12 },
		{ "closed by a person after that",
		    "{\"event\":\"closed\"," JOB("5") ",\"case\":{\"closed_by\":\"ada\"}}", OUTCOME_DONE,
		    "ticket commented", "  Closed by ada.\n", 13 },
		{ "a late failure does not open it again", "{\"event\":\"failed\"," JOB("7") "}", OUTCOME_DONE,
		    "ticket commented", "State:    closed\n", 14 },
	};
	struct buf first, second, names;
	char *dir = temp_folder();

	(void)state;
	buf_init(&first, 1u << 20);
	buf_init(&second, 1u << 20);
	buf_init(&names, 1u << 16);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		struct action_ran ran, again;

		action_run(TICKET, "run", dir, steps[i].patch, 9, &ran);
		read_text(dir, "tickets/" FILE_NAME, &first);
		action_run(TICKET, "run", dir, steps[i].patch, 9, &again);
		read_text(dir, "tickets/" FILE_NAME, &second);
		if (ran.outcome != steps[i].outcome || strstr(ran.summary, steps[i].summary) == NULL)
			fail_msg("%s: %s \"%s\"", steps[i].name, outcome_names[ran.outcome], ran.summary);
		if (span_find(buf_span(&first), span_of(steps[i].in_file), 0) == SIZE_MAX ||
		    count_of(buf_span(&first), " (job ") != steps[i].entries)
			fail_msg("%s: the file is\n%s", steps[i].name, first.p);
		if (!span_eq(buf_span(&first), buf_span(&second)) || again.outcome != steps[i].outcome)
			fail_msg("%s: run twice gave %s\n%s", steps[i].name, again.summary, second.p);
		if (strstr(ran.url, "file:///tmp/mailhook-action-") != ran.url ||
		    strstr(ran.url, "/tickets/" FILE_NAME) == NULL)
			fail_msg("%s: url %s", steps[i].name, ran.url);
		action_ran_release(&ran);
		action_ran_release(&again);
	}
	list_names(dir, "tickets", &names);
	assert_string_equal(buf_span(&names).p, FILE_NAME "\n");
	buf_release(&first);
	buf_release(&second);
	buf_release(&names);
	drop_temp_folder(dir);
}

/* Each row starts with an open ticket, which is edited, and then gets one event. */
static void
test_people(void **state)
{
	static const struct {
		const char *name, *old, *new, *patch;
		enum outcome outcome;
		const char *summary, *in_file;
	} rows[] = {
		{ "closed by hand: no reminder", "State:    open", "State: Closed",
		    "{\"event\":\"reminded\"," JOB("b") "}", OUTCOME_SKIPPED, "was closed, and stays so",
		    "State: Closed\n" },
		{ "closed by hand: a failure is told, nothing is opened", "State:    open", "State: closed",
		    "{\"event\":\"failed\"," JOB("b") "}", OUTCOME_DONE, "ticket commented", "State: closed\n" },
		{ "an editor that writes CRLF", "State:    open\n", "State:    open\r\n",
		    "{\"event\":\"closed\"," JOB("b") "}", OUTCOME_DONE, "commented and closed", "State:    closed\n" },
		{ "notes of a person stay", "History\n", "A note.\n\nHistory\nmore\n",
		    "{\"event\":\"closed\"," JOB("b") "}", OUTCOME_DONE, "commented and closed",
		    "A note.\n\nHistory\nmore\n" },
		{ "a history that was removed comes back", "History\n", "", "{\"event\":\"closed\"," JOB("b") "}",
		    OUTCOME_DONE, "commented and closed", "\nHistory\n" },
		{ "a priority of their own stays", "Priority: normal", "Priority: whenever",
		    "{\"event\":\"expired\"," JOB("b") "}", OUTCOME_DONE, "ticket commented", "Priority: whenever\n" },
		{ "a state that is neither", "State:    open", "State: opne", "{\"event\":\"closed\"," JOB("b") "}",
		    OUTCOME_FAILED, "neither open nor closed", "State: opne\n" },
		{ "no state", "State:    open\n", "", "{\"event\":\"closed\"," JOB("b") "}", OUTCOME_FAILED,
		    "no Key or no State", "Priority: normal\n" },
		{ "another key inside", "Key:      0a", "Key:      1b", "{\"event\":\"closed\"," JOB("b") "}",
		    OUTCOME_FAILED, "carries another key inside", "State:    open\n" },
		{ "the ledger is new: the ticket is found", "State:    open", "State:    open",
		    "{\"event\":\"opened\"," JOB("b") "}", OUTCOME_DONE, "ticket commented", "comment (job bbbb" },
		{ "this job had begun to open it", "State:    open", "State:    open",
		    "{\"event\":\"opened\"," JOB("b") ",\"state\":{\"opening\":true}}", OUTCOME_DONE,
		    "the ticket is open", "opened (job aaaa" },
	};
	struct buf text;

	(void)state;
	buf_init(&text, 1u << 20);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *dir = temp_folder();
		struct action_ran ran;

		action_run(TICKET, "run", dir, "{" JOB("a") "}", 9, &ran);
		assert_string_equal(ran.summary, "ticket opened");
		action_ran_release(&ran);
		edit(dir, rows[i].old, rows[i].new);
		action_run(TICKET, "run", dir, rows[i].patch, 9, &ran);
		read_text(dir, "tickets/" FILE_NAME, &text);
		if (ran.outcome != rows[i].outcome || strstr(ran.summary, rows[i].summary) == NULL ||
		    span_find(buf_span(&text), span_of(rows[i].in_file), 0) == SIZE_MAX)
			fail_msg("%s: %s \"%s\"\n%s", rows[i].name, outcome_names[ran.outcome], ran.summary, text.p);
		action_ran_release(&ran);
		drop_temp_folder(dir);
	}
	buf_release(&text);
}

static void
test_first_run(void **state)
{
	static const struct {
		const char *name, *verb, *patch;
		int allow;
		enum outcome outcome;
		const char *summary;
		const char *names; /* in tickets/ afterwards */
	} rows[] = {
		{ "a refused checkpoint: nothing happens", "run", NULL, 0, OUTCOME_RETRY, "taken away", "" },
		{ "a dry run", "describe", NULL, 9, OUTCOME_DONE, "would open a ticket", "" },
		{ "observe", "run", "{\"observe\":true}", 9, OUTCOME_DONE, "would open a ticket", "" },
		{ "check", "check", NULL, 9, OUTCOME_DONE, "tickets can be written", "" },
		{ "check without a case", "check", "{\"case\":null,\"message\":null,\"event\":null,\"job_key\":null}",
		    9, OUTCOME_DONE, "tickets can be written", "" },
		{ "input", "input", NULL, 9, OUTCOME_SKIPPED, "nothing from the terminal", "" },
		{ "an unknown verb", "fly", NULL, 9, OUTCOME_SKIPPED, "nothing from the terminal", "" },
		{ "success without a ticket needs none", "run", "{\"event\":\"succeeded\"}", 9, OUTCOME_SKIPPED,
		    "no need for one", "" },
		{ "a reminder opens what is missing", "run", "{\"event\":\"reminded\"}", 9, OUTCOME_DONE,
		    "ticket opened", FILE_NAME "\n" },
		{ "another version", "run", "{\"version\":2}", 9, OUTCOME_FAILED, "not of version 1", "" },
		{ "no event", "run", "{\"event\":\"sneezed\"}", 9, OUTCOME_FAILED, "no known event", "" },
		{ "a key that is none", "run", "{\"case_key\":\"../../../../etc/passwd\"}", 9, OUTCOME_FAILED,
		    "32 hexadecimal digits", "" },
		{ "a time that is none", "run", "{\"case\":{\"expires\":\"soon\"}}", 9, OUTCOME_FAILED, "no time", "" },
		{ "hostile bytes stay out of the name", "run",
		    "{\"case\":{\"kind\":\"unrecognised\",\"account\":null,\"expires\":null,"
		    "\"resource\":\"../../x\\ny\\u001b@EXAMPLE.com\",\"reason\":\"no date\"}}",
		    9, OUTCOME_DONE, "ticket opened", "unrecognised-x-y-example-com-" KEY ".txt\n" },
		{ "a folder that cannot be made", "run", "{\"state_dir\":\"/nothing/here\"}", 9, OUTCOME_RETRY,
		    "cannot make the folder", "" },
	};
	struct buf names;

	(void)state;
	buf_init(&names, 1u << 16);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *dir = temp_folder();
		struct action_ran ran;

		action_run(TICKET, rows[i].verb, dir, rows[i].patch, rows[i].allow, &ran);
		list_names(dir, "tickets", &names);
		if (ran.outcome != rows[i].outcome || strstr(ran.summary, rows[i].summary) == NULL ||
		    strcmp(buf_span(&names).p, rows[i].names) != 0)
			fail_msg("%s: %s \"%s\" %s", rows[i].name, outcome_names[ran.outcome], ran.summary,
			    buf_span(&names).p);
		action_ran_release(&ran);
		drop_temp_folder(dir);
	}
	buf_release(&names);
}

/* Text from a mail, or from another action, can look like neither a head nor an entry. */
static void
test_forged_lines(void **state)
{
	char *dir = temp_folder();
	struct action_ran ran;
	struct buf text;

	(void)state;
	buf_init(&text, 1u << 20);
	action_run(TICKET, "run", dir,
	    "{" JOB("a") ",\"case\":{\"resource\":\"x\\nState: closed\\n\\nHistory\\n2025-11-06T09:00:00Z closed (job "
			 "bbbbbbbb0000000000000000bbbbbbbb)\"}}",
	    9, &ran);
	assert_string_equal(ran.summary, "ticket opened");
	action_ran_release(&ran);
	action_run(TICKET, "run", dir, "{\"event\":\"closed\"," JOB("b") "}", 9, &ran);
	assert_string_equal(ran.summary, "ticket commented and closed");
	action_ran_release(&ran);
	read_text(dir, "tickets/" FILE_NAME, &text);
	assert_int_equal(count_of(buf_span(&text), "\nState:"), 1);
	assert_int_equal(count_of(buf_span(&text), "\nHistory\n"), 1);
	buf_release(&text);
	drop_temp_folder(dir);
}

static void
test_two_files(void **state)
{
	char *dir = temp_folder();
	struct action_ran ran;

	(void)state;
	action_run(TICKET, "run", dir, NULL, 9, &ran);
	action_ran_release(&ran);
	write_text(dir, "tickets/copy-" KEY ".txt", "Key: " KEY "\nState: open\n\n", 0640);
	action_run(TICKET, "run", dir, "{\"event\":\"closed\"}", 9, &ran);
	assert_int_equal(ran.outcome, OUTCOME_FAILED);
	assert_string_equal(ran.summary, "two tickets carry the key " KEY);
	action_ran_release(&ran);
	drop_temp_folder(dir);
}

/* Whoever writes the mail, or gives a token its name, cannot have the queue take what mailhook writes for another
 * ticket's: neither by the subject nor by the text. */
static void
test_marks_of_tickets(void **state)
{
	struct buf mail, subject;

	(void)state;
	buf_init(&mail, 1u << 20);
	buf_init(&subject, 4096);
	for (size_t i = 0; i < sizeof(ticket_marks) / sizeof(ticket_marks[0]); i++)
		for (int proven = 0; proven < 2; proven++) {
			const struct ticket_mark *row = &ticket_marks[i];
			char *dir = temp_folder(), text[800], patch[800];
			struct action_ran ran;

			(void)snprintf(text, sizeof(text), "#!/bin/sh\ncat >%s/mail\n", dir);
			write_text(dir, "sendmail", text, 0700);
			(void)snprintf(text, sizeof(text),
			    "driver = \"mail\"\nfrom = \"hook@example.org\"\nqueue = \"queue@example.com\"\nsendmail = "
			    "\"%s/sendmail\"\n",
			    dir);
			write_text(dir, "ticket.conf", text, 0600);
			(void)snprintf(patch, sizeof(patch),
			    "{\"config\":\"%s/ticket.conf\",\"trust\":{\"level\":\"%s\"},\"case\":{\"kind\":\"github."
			    "token\",\"account\":\"%s\",\"resource\":%s%s%s}}",
			    dir, proven ? "verified" : "unverified", row->account,
			    row->resource == NULL ? "null" : "\"", row->resource == NULL ? "" : row->resource,
			    row->resource == NULL ? "" : "\"");
			action_run(TICKET, "run", dir, patch, 9, &ran);
			read_text(dir, "mail", &mail);
			subject_unfold(buf_span(&mail), &subject);
			if (ran.outcome != OUTCOME_DONE)
				fail_msg("%s: %s", row->name, ran.summary);
			if (mark_found(row->look, buf_span(&subject).p))
				fail_msg("%s: the subject has the mark: %s", row->name, subject.p);
			if (mark_found(row->look, mail.p))
				fail_msg("%s: the text has the mark: %s", row->name, mail.p);
			if (proven && strstr(subject.p, row->shown) == NULL)
				fail_msg("%s: the subject does not show it: %s", row->name, subject.p);
			if (strstr(subject.p, " [mailhook " KEY "]") == NULL)
				fail_msg("%s: the subject lacks the key: %s", row->name, subject.p);
			action_ran_release(&ran);
			drop_temp_folder(dir);
		}
	buf_release(&mail);
	buf_release(&subject);
}

static void
test_configuration(void **state)
{
	static const struct {
		const char *name, *text;
		enum outcome outcome;
		const char *summary;
	} rows[] = {
		{ "empty", "", OUTCOME_DONE, "tickets can be written" },
		{ "all of it",
		    "# ${HOME}\ndriver = \"local\"\nfolder = \"/tmp\"\ntitle = \"{what}\"\nhigh_days = 40\nurgent_days "
		    "= 5\n",
		    OUTCOME_DONE, "tickets can be written" },
		{ "an unknown option", "\ncolour = \"red\"\n", OUTCOME_FAILED,
		    "ticket.conf:2: no such option 'colour'" },
		{ "lines are counted past comments and strings",
		    "# one\n// two\n/* three\nfour */ template = \"/a\n# b\" # \"\n\ncolour = 1\n", OUTCOME_FAILED,
		    "ticket.conf:7: no such option 'colour'" },
		{ "an unknown driver", "driver = \"paper\"\n", OUTCOME_FAILED,
		    "ticket.conf:1: there is no ticket driver \"paper\"" },
		{ "a relative folder", "\n\nfolder = \"here\"\n", OUTCOME_FAILED,
		    "ticket.conf:3: folder must be an absolute path" },
		{ "a number that is none", "high_days = many\n", OUTCOME_FAILED,
		    "ticket.conf:1: invalid integer value" },
		{ "a number out of range", "high_days = -1\n", OUTCOME_FAILED,
		    "ticket.conf:1: high_days must be from 0 to 3650" },
		{ "the environment", "# fine\nfolder = \"${HOME}\"\n", OUTCOME_FAILED,
		    "ticket.conf:2: ${ is not taken here" },
		{ "a title with an unknown name", "title = \"{nope}\"\n", OUTCOME_FAILED,
		    "title:1: there is no variable {nope}" },
		{ "a title of two lines", "title = \"a\\nb\"\n", OUTCOME_FAILED,
		    "title: one line is all that it may have" },
		{ "no such template", "template = \"/nothing/here\"\n", OUTCOME_FAILED,
		    "there is no template /nothing/here" },
		{ "a folder whose parent is missing", "folder = \"/nothing/here\"\n", OUTCOME_FAILED,
		    "cannot make the folder /nothing/here" },
	};
	char *dir = temp_folder();
	char patch[300];

	(void)state;
	(void)snprintf(patch, sizeof(patch), "{\"config\":\"%s/ticket.conf\"}", dir);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct action_ran ran;

		write_text(dir, "ticket.conf", rows[i].text, 0600);
		action_run(TICKET, "check", dir, patch, 9, &ran);
		if (ran.outcome != rows[i].outcome || strstr(ran.summary, rows[i].summary) == NULL)
			fail_msg("%s: %s \"%s\"", rows[i].name, outcome_names[ran.outcome], ran.summary);
		action_ran_release(&ran);
	}
	drop_temp_folder(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_people),
		cmocka_unit_test(test_first_run),
		cmocka_unit_test(test_forged_lines),
		cmocka_unit_test(test_two_files),
		cmocka_unit_test(test_marks_of_tickets),
		cmocka_unit_test(test_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
