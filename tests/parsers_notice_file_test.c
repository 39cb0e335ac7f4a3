/* parsers_notice_file_test.c: .notice files and folders of them; every complaint with its file and line. */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "parsers/notice_file.h"
#include "tests/exact.h"

#define GOOD                                                                                                           \
	"notice \"x\" {\n"                                                                                             \
	"\tkind = \"a.b\"\n"                                                                                           \
	"\tsenders = {\"a@example.com\"}\n"                                                                            \
	"\tliterals = {\"the certificate will end\"}\n"                                                                \
	"\tpatterns = {'will end on (?<expires>.{6,60})'}\n"

struct file_row {
	const char *name, *text;
	const char *complaints; /* one a line; "" where there are none */
};

static const struct file_row rows[] = {
	{ "good", GOOD "}\n", "" },
	{ "good without a final line end", GOOD "}", "" },
	{ "good with CRLF",
	    "notice \"x\" {\r\nkind = \"a.b\"\r\nliterals = {\"the certificate\"}\r\n"
	    "patterns = {'will end on (?<expires>.{6,60})'}\r\n}\r\n",
	    "" },
	{ "comments", "# one\n// two\n/* three\n */\n" GOOD "}\n", "" },
	{ "all keys",
	    GOOD "\tsigners = {\"example.com\"}\n\tevents = {\"AWS_CODE_X\"}\n\tsubjects = {\"token will end\"}\n"
		 "\twatch = {\"revoke\"}\n\tignore = {\"was renewed\"}\n\trequire = {\"resource\"}\n"
		 "\tdates = \"day first\"\n}\n",
	    "" },
	{ "empty", "", "f.notice:1: a file holds one notice block, not 0\n" },
	{ "two blocks", GOOD "}\nnotice \"y\" {\n}\n", "f.notice:8: a file holds one notice block, not 2\n" },
	{ "unknown key", "notice \"x\" {\n\n\tcolour = \"red\"\n}\n", "f.notice:3: no such option 'colour'\n" },
	{ "unknown block", "rule \"x\" {\n}\n", "f.notice:1: no such option 'rule'\n" },
	{ "open string", "notice \"x\" {\n\tkind = \"a.b\n}\n", "f.notice:2: a string has no end\n" },
	{ "open block", "notice \"x\" {\n\tkind = \"a.b\"\n", "f.notice:1: a \"{\" has no \"}\"\n" },
	{ "open comment", "notice \"x\" {\n/* kind\n}\n", "f.notice:2: a comment has no end\n" },
	{ "name",
	    "notice \"X y\" {\n\tkind = \"a.b\"\n\tliterals = {\"certificate\"}\n"
	    "\tpatterns = {'will end on (?<expires>.{6,60})'}\n}\n",
	    "f.notice:5: name \"X y\": small letters, digits and \"-\"\n" },
	{ "nothing in it", "notice \"x\" {\n}\n",
	    "f.notice:2: kind is missing\n"
	    "f.notice:2: one of literals, subjects and events is needed, to know the mail by\n" },
	{ "no date",
	    "notice \"x\" {\n\tkind = \"a.b\"\n\tliterals = {\"certificate\"}\n"
	    "\tpatterns = {'Account is (?<account>\\d+)'}\n}\n",
	    "f.notice:5: no pattern has (?<expires>...) or (?<days>...)\n" },
	{ "kind",
	    "notice \"x\" {\n\tkind = \"Token\"\n\tliterals = {\"certificate\"}\n\tpatterns = {'will end on "
	    "(?<expires>.{6,60})'}\n}\n",
	    "f.notice:2: kind \"Token\": small letters, digits, \"-\" and at least one dot, like "
	    "aws.acm.certificate\n" },
	{ "several wrong values in one go",
	    GOOD "\tsigners = {\"example\"}\n\trequire = {\"expires\",\n\t\t\"colour\"}\n\tdates = \"iso\"\n}\n",
	    "f.notice:6: signer \"example\": a domain in small letters, as d= of a DKIM signature has it\n"
	    "f.notice:8: require \"colour\": one of expires, days, account, region, resource\n"
	    "f.notice:9: dates \"iso\": \"month first\" or \"day first\"\n" },
	{ "sender", GOOD "\tsenders = {\n\t\t\"b@example.com\",\n\t\t\"B@example.com\"}\n}\n",
	    "f.notice:8: sender \"B@example.com\": a whole mail address in small letters\n" },
	{ "sender without a name", GOOD "\tsenders = {\"@example.com\"}\n}\n",
	    "f.notice:6: sender \"@example.com\": a whole mail address in small letters\n" },
	{ "event", GOOD "\tevents = {\"SHORT\"}\n}\n",
	    "f.notice:6: event \"SHORT\": 8 to 200 letters, digits, \"_\", \"-\" and blanks\n" },
	{ "literal too short", GOOD "\tliterals = {\"ends\"}\n}\n",
	    "f.notice:6: literals \"ends\": 6 to 200 bytes with one word of at least 5 letters\n" },
	{ "literal of short words", GOOD "\tliterals = {\"it is to end on\"}\n}\n",
	    "f.notice:6: literals \"it is to end on\": 6 to 200 bytes with one word of at least 5 letters\n" },
	{ "blanks", GOOD "\tsubjects = {\"expires  soon\"}\n}\n",
	    "f.notice:6: subjects \"expires  soon\": single blanks between words, none at the ends\n" },
	{ "quote mark", GOOD "\tignore = {\"certificate > key\"}\n}\n",
	    "f.notice:6: ignore \"certificate > key\": without \">\", and with ' for an apostrophe\n" },
	{ "watch", GOOD "\twatch = {\"end\"}\n}\n", "f.notice:6: watch \"end\": 4 to 100 bytes\n" },
	{ "pattern without a literal",
	    GOOD "\tpatterns = {\n\t\t# a comment in a list\n\t\t'expires on (?<expires>.+)',\n\t\t'on "
		 "(?<expires>.+)'\n\t}\n}\n",
	    "f.notice:9: a pattern needs 6 fixed characters in a row outside of any group\n" },
	{ "broken pattern", GOOD "\tpatterns = {'expires on (?<expires>.+'}\n}\n",
	    "f.notice:6: not a pattern at offset 24: missing closing parenthesis\n" },
	{ "group that is no fact", GOOD "\tpatterns = {'expires on (?<date>.+)'}\n}\n",
	    "f.notice:6: group \"date\" is none of expires, days, account, region, resource\n" },
	{ "environment", "notice \"x\" {\n\tkind = \"${HOME}\"\n}\n",
	    "f.notice:2: ${...} is not read from the environment here\n" },
	{ "not UTF-8", "notice \"x\" {\n\n\tkind = \"a\xFF\"\n}\n", "f.notice:3: not UTF-8\n" },
};

static void
collect(void *user, const char *line)
{
	buf_printf(user, "%s\n", line);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct file_row *r = &rows[i];
		char *text = exact_copy(span_of(r->text));
		const struct definition *def = NULL;
		struct buf complaints;
		struct arena a;

		arena_init(&a, 1 << 20);
		buf_init(&complaints, 4096);
		const enum mh_status status = notice_file_read(
		    "f.notice", (struct mh_span){ text, strlen(r->text) }, &a, collect, &complaints, &def, NULL);
		expect_span(r->name, buf_span(&complaints), span_of(r->complaints));
		expect_number(r->name, "status", status, r->complaints[0] == '\0' ? MH_OK : MH_BAD);
		buf_release(&complaints);
		arena_release(&a);
		free(text);
	}
}

static void
test_bounds(void **state)
{
	const size_t max = MH_MAX_NOTICE_FILE_BYTES, head = strlen(GOOD "}\n");
	char *text = malloc(max * 4);
	const size_t sizes[] = { max, max + 1, max * 4 };

	(void)state;
	assert_non_null(text);
	memcpy(text, GOOD "}\n", head);
	memset(text + head, '\n', max * 4 - head);
	for (size_t i = 0; i < 3; i++) {
		const struct definition *def = NULL;
		struct buf complaints;
		struct arena a;

		arena_init(&a, 4 << 20);
		buf_init(&complaints, 4096);
		expect_number("size", "status",
		    notice_file_read(
			"f.notice", (struct mh_span){ text, sizes[i] }, &a, collect, &complaints, &def, NULL),
		    sizes[i] <= max ? MH_OK : MH_LIMIT);
		expect_span("size", buf_span(&complaints),
		    span_of(sizes[i] <= max ? "" : "f.notice:1: longer than 262144 bytes\n"));
		buf_release(&complaints);
		arena_release(&a);
	}

	struct buf complaints;
	struct arena a;
	const struct definition *def = NULL;
	buf_init(&complaints, 4096);
	arena_init(&a, 1 << 20);
	static const char nul[] = "notice \"x\" {\n\0}\n";
	assert_int_equal(notice_file_read("f.notice", (struct mh_span){ nul, sizeof(nul) - 1 }, &a, collect,
			     &complaints, &def, NULL),
	    MH_BAD);
	expect_span("NUL", buf_span(&complaints), MH_LIT("f.notice:2: a NUL byte\n"));
	buf_release(&complaints);
	arena_release(&a);
	free(text);
}

/* Each allocation of a good file made to fail in turn. */
static void
test_no_memory(void **state)
{
	bool done = false;

	(void)state;
	for (size_t fail_at = 1; !done && fail_at < 1000; fail_at++) {
		const struct definition *def = NULL;
		struct buf complaints;
		struct arena a;

		arena_init(&a, 1 << 20);
		a.fail_at = fail_at;
		buf_init(&complaints, 4096);
		const enum mh_status status =
		    notice_file_read("f.notice", span_of(GOOD "}\n"), &a, collect, &complaints, &def, NULL);
		assert_true(status == MH_LIMIT || status == MH_OK);
		done = status == MH_OK;
		buf_release(&complaints);
		arena_release(&a);
	}
	assert_true(done);
}

/* -- folders ------------------------------------------------------------------------------------------------------ */

static void
write_file(const char *folder, const char *name, const char *text)
{
	char path[4096];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	(void)fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

static void
test_folder(void **state)
{
	static const char *const files[] = { "b.notice", "a.notice", "c.notice", "notes.txt", ".hidden.notice" };
	char folder[] = "/tmp/mailhook-notices-XXXXXX", want[4096], path[4096];
	struct definitions *d = definitions_new();
	struct mh_err err = { 0 };
	struct buf complaints;
	size_t n = 0;

	(void)state;
	assert_non_null(d);
	while (definitions_info(d, n) != NULL)
		n++;
	assert_true(n >= 9);
	assert_string_equal(definitions_info(d, 0)->file, "(shipped)");

	assert_non_null(mkdtemp(folder));
	write_file(folder, "b.notice", "notice \"b\" {\n\tcolour = 1\n}\n");
	write_file(folder, "a.notice", GOOD "}\n");
	write_file(folder, "c.notice",
	    "notice \"aws-acm\" {\n\tkind = \"aws.acm.certificate\"\n\tliterals = {\"my own wording\"}\n"
	    "\tpatterns = {'ends on day (?<expires>.{6,60})'}\n}\n");
	write_file(folder, "notes.txt", "no definition");
	write_file(folder, ".hidden.notice", "no definition");
	buf_init(&complaints, 4096);
	assert_int_equal(definitions_add_folder(d, folder, collect, &complaints, &err), MH_BAD);
	(void)snprintf(want, sizeof(want), "%s/b.notice:2: no such option 'colour'\n", folder);
	expect_span("complaints", buf_span(&complaints), span_of(want));

	bool added = false, replaced = false;
	size_t after = 0;
	for (; definitions_info(d, after) != NULL; after++) {
		const struct definition_info *info = definitions_info(d, after);

		added = added || strcmp(info->name, "x") == 0;
		(void)snprintf(path, sizeof(path), "%s/c.notice", folder);
		replaced = replaced || (strcmp(info->name, "aws-acm") == 0 && strcmp(info->file, path) == 0);
	}
	assert_int_equal(after, n + 1);
	assert_true(added);
	assert_true(replaced);

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, files[i]);
		assert_int_equal(unlink(path), 0);
	}
	assert_int_equal(definitions_add_folder(d, folder, collect, &complaints, &err), MH_OK);
	assert_int_equal(rmdir(folder), 0);
	assert_int_equal(definitions_add_folder(d, folder, collect, &complaints, &err), MH_SKIP);
	buf_release(&complaints);
	definitions_free(d);
	definitions_free(NULL);
}

/* -- the manual --------------------------------------------------------------------------------------------------- */

/* The example of mailhook-notice(5) is a definition, and reads the sentence that the manual gives for it. */
static void
test_manual(void **state)
{
	static const char mail[] = "From: billing@example.com\nDate: Thu, 6 Nov 2025 02:11:12 +0000\n\n"
				   "Your Example licence AB12-CD34 ends on March 5, 2026. Customer number: 4711\n";
	char folder[] = "/tmp/mailhook-notices-XXXXXX", path[4096], line[1024];
	struct definitions *d = definitions_new();
	struct buf text, complaints;
	struct reading got;
	struct arena a;
	bool inside = false;
	FILE *f = fopen(SOURCE_DIR "/mailhook/man/mailhook-notice.5", "r");

	(void)state;
	assert_non_null(f);
	assert_non_null(d);
	buf_init(&text, 4096);
	buf_init(&complaints, 4096);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, ".Bd -literal", 12) == 0) {
			inside = true;
		} else if (strncmp(line, ".Ed", 3) == 0) {
			inside = false;
		} else if (inside) {
			for (const char *c = line; *c != '\0'; c++) {
				buf_putc(&text, *c);
				c += *c == '\\' && c[1] == 'e'; /* roff's way to write one */
			}
		}
	}
	(void)fclose(f);
	assert_true(buf_ok(&text) && text.n > 100);
	assert_non_null(mkdtemp(folder));
	write_file(folder, "example.notice", text.p);
	(void)definitions_add_folder(d, folder, collect, &complaints, NULL);
	expect_span("complaints", buf_span(&complaints), MH_LIT(""));

	arena_init(&a, MH_MAX_ARENA_BYTES);
	read_message(&definition_parser, d, NULL, MH_LIT(mail), &a, &got);
	expect_number("manual", "verdict", got.verdict, MH_NOTICE);
	expect_span("manual", got.notices[0].kind, MH_LIT("example.licence"));
	expect_span("manual", got.notices[0].account, MH_LIT("4711"));
	expect_span("manual", got.notices[0].resource, MH_LIT("AB12-CD34"));
	arena_release(&a);

	(void)snprintf(path, sizeof(path), "%s/example.notice", folder);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(folder), 0);
	buf_release(&text);
	buf_release(&complaints);
	definitions_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_folder),
		cmocka_unit_test(test_manual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
