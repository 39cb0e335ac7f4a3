/* accounts_test.c: what an accounts file says, and what is said of its wrong lines. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "mailhook/work/accounts.h"

#define A "111111111111"
#define B "222222222222"
#define X16 "xxxxxxxxxxxxxxxx"
#define X64 X16 X16 X16 X16

struct said {
	char path[32];
	char text[4096]; /* the complaints, a line each, without the path */
};

static void
take_line(void *user, const char *line)
{
	struct said *s = user;
	const size_t n = strlen(s->path), have = strlen(s->text);

	if (strncmp(line, s->path, n) != 0 || line[n] != ':')
		fail_msg("\"%s\" does not begin with the file", line);
	(void)snprintf(s->text + have, sizeof(s->text) - have, "%s\n", line + n + 1);
}

static enum mh_status
load(const char *text, size_t n, struct said *s, struct accounts **ret)
{
	struct mh_err err = { 0 };

	*s = (struct said){ .path = "/tmp/accounts-test-XXXXXX" };
	const int fd = mkostemp(s->path, O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, n), n);
	assert_int_equal(close(fd), 0);
	const enum mh_status status = accounts_load(s->path, take_line, s, ret, &err);
	assert_int_equal(unlink(s->path), 0);
	return status;
}

#define TEXT(s) s, sizeof(s) - 1
#define NO_ADDRESS(s) "1: the owner's \"" s "\" is no plain mail address\n"
#define TOO_MANY "more than the 5 fields account, name, owner, environment, assignee\n"

static const struct {
	const char *name, *text;
	size_t text_bytes;
	const char *rows; /* "account|name|owner|environment|assignee\n" of each, sorted; an empty field is "-" */
	const char *said;
	size_t wrong;
} rows[] = {
	{ "an empty file", TEXT(""), "", "", 0 },
	{ "all fields", TEXT(A ",Name,a.b+c@example.com,prod,alice\n"), A "|Name|a.b+c@example.com|prod|alice\n", "",
	    0 },
	{ "sorted", TEXT(B "\n" A "\n"), A "|-|-|-|-\n" B "|-|-|-|-\n", "", 0 },
	{ "fewer fields", TEXT(A ", Name \n"), A "|Name|-|-|-\n", "", 0 },
	{ "no line end at the end", TEXT(A ",Name"), A "|Name|-|-|-\n", "", 0 },
	{ "CRLF", TEXT(A ",N,,,x\r\n" B ",M\r\n"), A "|N|-|-|x\n" B "|M|-|-|-\n", "", 0 },
	{ "a byte order mark", TEXT("\xef\xbb\xbf" A ",N\n"), A "|N|-|-|-\n", "", 0 },
	{ "a byte order mark and a heading",
	    TEXT("\xef\xbb\xbf"
		 "Account,Name\n" A "\n"),
	    A "|-|-|-|-\n", "", 0 },
	{ "a quoted heading", TEXT("\"account id\",\"name\"\n" A "\n"), A "|-|-|-|-\n", "", 0 },
	{ "a heading below a comment", TEXT("# ours\n\naccount,name\n" A "\n"), A "|-|-|-|-\n", "", 0 },
	{ "a second heading", TEXT("account\naccount\n" A "\n"), A "|-|-|-|-\n",
	    "2: account \"account\" is not 12 digits\n", 1 },
	{ "empty lines, comments, rows of commas", TEXT("\n \t\r\n# c\n,,,,\n" A "\n"), A "|-|-|-|-\n", "", 0 },
	{ "quotes", TEXT("\"" A "\" , \"a, \"\"b\"\"\" ,\"\",,\" c \"\n"), A "|a, \"b\"|-|-| c \n", "", 0 },
	{ "UTF-8", TEXT(A ",K\xc3\xb6ln\n"), A "|K\xc3\xb6ln|-|-|-\n", "", 0 },
	{ "other bytes", TEXT(A ",K\xf6ln\n"), "", "1: not UTF-8\n", 1 },
	{ "a NUL", TEXT(A ",a\0b\n"), "", "1: a control character\n", 1 },
	{ "an escape sequence", TEXT(A ",\x1b[2J\n"), "", "1: a control character\n", 1 },
	{ "six fields", TEXT(A ",n,,p,a,more\n"), "", "1: " TOO_MANY, 1 },
	{ "a sixth field that is empty", TEXT(A ",n,,p,a,\n"), "", "1: " TOO_MANY, 1 },
	{ "text behind a quote", TEXT(A ",\"n\"x\n"), "", "1: text behind a closing quote\n", 1 },
	{ "a quote without end", TEXT(A ",\"n\n" B "\n"), B "|-|-|-|-\n", "1: a quote without its end in this line\n",
	    1 },
	{ "a doubled quote is no end", TEXT(A ",\"n\"\"\n"), "", "1: a quote without its end in this line\n", 1 },
	{ "no account", TEXT(",nobody\n"), "", "1: no account\n", 1 },
	{ "leading zeros lost", TEXT("42,n\n"), "",
	    "1: account 42 has 2 digits, not 12: its leading zeros are lost, should it be 000000000042?\n", 1 },
	{ "one zero lost", TEXT("12345678901\n"), "",
	    "1: account 12345678901 has 11 digits, not 12: its leading zeros are lost, should it be 012345678901?\n",
	    1 },
	{ "leading zeros kept", TEXT("000000000042\n"), "000000000042|-|-|-|-\n", "", 0 },
	{ "13 digits", TEXT("1111111111111\n"), "", "1: account \"1111111111111\" is not 12 digits\n", 1 },
	{ "a spreadsheet's number", TEXT("1.23457E+11\n"), "", "1: account \"1.23457E+11\" is not 12 digits\n", 1 },
	{ "semicolons", TEXT(A ";n\n"), "", "1: account \"" A ";n\" is not 12 digits\n", 1 },
	{ "twice", TEXT(A ",one\n" B "\n" A ",two\n" A ",three\n"), A "|one|-|-|-\n" B "|-|-|-|-\n",
	    "3: account " A " stands in line 1 already\n4: account " A " stands in line 1 already\n", 2 },
	{ "a wrong line is none that stands there", TEXT(A ",\"x\n" A ",two\n"), A "|two|-|-|-\n",
	    "1: a quote without its end in this line\n", 1 },
	{ "all that is wrong", TEXT("1\n" A "\n,x\n" A ",,a\n"), A "|-|-|-|-\n",
	    "1: account 1 has 1 digits, not 12: its leading zeros are lost, should it be 000000000001?\n"
	    "3: no account\n4: the owner's \"a\" is no plain mail address\n",
	    3 },
	{ "an owner without @", TEXT(A ",,ops\n"), "", NO_ADDRESS("ops"), 1 },
	{ "an owner without a local part", TEXT(A ",,@example.com\n"), "", NO_ADDRESS("@example.com"), 1 },
	{ "an owner without a domain", TEXT(A ",,a@\n"), "", NO_ADDRESS("a@"), 1 },
	{ "two @", TEXT(A ",,a@b@example.com\n"), "", NO_ADDRESS("a@b@example.com"), 1 },
	{ "two owners", TEXT(A ",,\"a@example.com, b@example.com\"\n"), "", NO_ADDRESS("a@example.com, b@example.com"),
	    1 },
	{ "an owner with a name", TEXT(A ",,Ops <a@example.com>\n"), "", NO_ADDRESS("Ops <a@example.com>"), 1 },
	{ "an option", TEXT(A ",,-oQ/tmp@example.com\n"), "", NO_ADDRESS("-oQ/tmp@example.com"), 1 },
	{ "dots at the local part's end", TEXT(A ",,a.@example.com\n"), "", NO_ADDRESS("a.@example.com"), 1 },
	{ "dots at its start", TEXT(A ",,.a@example.com\n"), "", NO_ADDRESS(".a@example.com"), 1 },
	{ "two dots", TEXT(A ",,a@example..com\n"), "", NO_ADDRESS("a@example..com"), 1 },
	{ "a dot at the end", TEXT(A ",,a@example.com.\n"), "", NO_ADDRESS("a@example.com."), 1 },
	{ "a hyphen at a label's start", TEXT(A ",,a@-example.com\n"), "", NO_ADDRESS("a@-example.com"), 1 },
	{ "a hyphen at a label's end", TEXT(A ",,a@example-.com\n"), "", NO_ADDRESS("a@example-.com"), 1 },
	{ "hyphens within", TEXT(A ",,a-b-@ex--ample.com\n"), A "|-|a-b-@ex--ample.com|-|-\n", "", 0 },
	{ "a domain with a sign", TEXT(A ",,a@exam_ple.com\n"), "", NO_ADDRESS("a@exam_ple.com"), 1 },
	{ "64 bytes before the @", TEXT(A ",," X64 "@example.com\n"), A "|-|" X64 "@example.com|-|-\n", "", 0 },
};

static void
put_field(char *dst, size_t dst_bytes, const char *field, char end)
{
	const size_t have = strlen(dst);

	(void)snprintf(dst + have, dst_bytes - have, "%s%c", field == NULL ? "-" : field, end);
}

static void
files_are_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct said s;
		struct accounts *acc = NULL;
		char got[4096] = "";

		if (load(rows[i].text, rows[i].text_bytes, &s, &acc) != MH_OK)
			fail_msg("%s: not read", rows[i].name);
		for (size_t k = 0; k < acc->n; k++) {
			const struct account_row *row = &acc->rows[k];
			put_field(got, sizeof(got), row->account, '|');
			put_field(got, sizeof(got), row->name, '|');
			put_field(got, sizeof(got), row->owner, '|');
			put_field(got, sizeof(got), row->environment, '|');
			put_field(got, sizeof(got), row->assignee, '\n');
			if (accounts_find(acc, row->account) != row)
				fail_msg("%s: %s is not found", rows[i].name, row->account);
		}
		if (strcmp(got, rows[i].rows) != 0)
			fail_msg("%s: \"%s\"", rows[i].name, got);
		if (strcmp(s.text, rows[i].said) != 0)
			fail_msg("%s: said \"%s\"", rows[i].name, s.text);
		if (acc->wrong != rows[i].wrong)
			fail_msg("%s: %zu wrong", rows[i].name, acc->wrong);
		accounts_free(acc);
	}
}

static void
long_local_parts_are_refused(void **state)
{
	struct said s;
	struct accounts *acc = NULL;

	(void)state;
	assert_int_equal(load(TEXT(A ",,x" X64 "@example.com\n"), &s, &acc), MH_OK);
	assert_int_equal(acc->wrong, 1);
	assert_non_null(strstr(s.text, "is no plain mail address"));
	accounts_free(acc);
}

/* 1,000 rows, backwards; a reading that compared each with each would still pass, one that hangs would not. */
static void
many_rows_are_fast(void **state)
{
	enum { N = 1000 };
	struct said s;
	struct accounts *acc = NULL;
	char *text = calloc(N, 64), account[16];
	size_t n = 0;

	(void)state;
	assert_non_null(text);
	for (int i = N; i > 0; i--)
		n += (size_t)snprintf(text + n, 64, "%012d,Account %d,ops@example.com,prod,a\n", i, i);
	const clock_t before = clock();
	assert_int_equal(load(text, n, &s, &acc), MH_OK);
	const clock_t used = clock() - before;
	assert_true(used < CLOCKS_PER_SEC / 2); /* of processor time: a busy machine does not count */
	assert_int_equal(acc->n, N);
	assert_int_equal(acc->wrong, 0);
	for (int i = 1; i <= N; i++) {
		(void)snprintf(account, sizeof(account), "%012d", i);
		assert_non_null(accounts_find(acc, account));
	}
	accounts_free(acc);
	free(text);
}

static void
nothing_is_found_in_nothing(void **state)
{
	struct said s;
	struct accounts *acc = NULL;
	struct mh_err err = { 0 };

	(void)state;
	assert_int_equal(load(TEXT(A "\n"), &s, &acc), MH_OK);
	assert_null(accounts_find(acc, B));
	assert_null(accounts_find(acc, NULL));
	assert_null(accounts_find(NULL, A));
	accounts_free(acc);
	assert_int_equal(accounts_load(s.path, take_line, &s, &acc, &err), MH_SKIP); /* load() has removed it */
	assert_int_equal(accounts_load("/", take_line, &s, &acc, &err), MH_RETRY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(long_local_parts_are_refused),
		cmocka_unit_test(many_rows_are_fast),
		cmocka_unit_test(nothing_is_found_in_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
