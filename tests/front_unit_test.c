/* front_unit_test.c: the pure parts of the face: our fields in a message, the envelope sender, mbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailhook/front.h"

/* -- filter's fields ---------------------------------------------------------------------------------------------- */

static bool
collect(void *user, struct mh_span bytes)
{
	buf_put(user, bytes);
	return true;
}

#define V "X-Mailhook: verdict=irrelevant\nX-Mailhook-Verdict: irrelevant\n"
#define N0 "X-Mailhook-Notices: 0\n"
#define VC "X-Mailhook: verdict=irrelevant\r\nX-Mailhook-Verdict: irrelevant\r\nX-Mailhook-Notices: 0\r\n"

static void
test_fields(void **state)
{
	static const struct {
		const char *name;
		struct mh_span in, out;
	} rows[] = {
		{ "empty", MH_LIT(""), MH_LIT(V N0) },
		{ "LF", MH_LIT("A: b\n\nbody\n"), MH_LIT(V N0 "A: b\n\nbody\n") },
		{ "CRLF", MH_LIT("A: b\r\n\r\nbody\r\n"), MH_LIT(VC "A: b\r\n\r\nbody\r\n") },
		{ "From line", MH_LIT("From a Tue\nA: b\n\n"), MH_LIT("From a Tue\n" V N0 "A: b\n\n") },
		{ "From line, CRLF", MH_LIT("From a Tue\r\nA: b\r\n"), MH_LIT("From a Tue\r\n" VC "A: b\r\n") },
		{ "From line alone", MH_LIT("From a Tue"), MH_LIT("From a Tue\n" V N0) },
		{ "From field", MH_LIT("From: a\n\n"), MH_LIT(V N0 "From: a\n\n") },
		{ "no header", MH_LIT("\nbody"), MH_LIT(V N0 "\nbody") },
		{ "no final line end", MH_LIT("A: b"), MH_LIT(V N0 "A: b") },
		{ "NULs and 8-bit", MH_LIT("A: \0\xFF\n\n\0\n"), MH_LIT(V N0 "A: \0\xFF\n\n\0\n") },
		{ "forged", MH_LIT("A: b\nX-Mailhook-Verdict: notice\nC: d\n\n"), MH_LIT(V N0 "A: b\nC: d\n\n") },
		{ "forged, first and last", MH_LIT("X-MAILHOOK-kind: x\nA: b\nx-mailhook: y\n\nz"),
		    MH_LIT(V N0 "A: b\n\nz") },
		{ "forged and folded", MH_LIT("X-Mailhook-Kind:\n a\n\tb\nA: b\n c\n\n"), MH_LIT(V N0 "A: b\n c\n\n") },
		{ "forged, blank before the colon", MH_LIT("X-Mailhook-Kind \t: a\nA: b\n\n"),
		    MH_LIT(V N0 "A: b\n\n") },
		{ "forged, no final line end", MH_LIT("A: b\nX-Mailhook-Account: 1"), MH_LIT(V N0 "A: b\n") },
		{ "forged, two in a row", MH_LIT("X-Mailhook: 1\nX-Mailhook: 2\n\n"), MH_LIT(V N0 "\n") },
		{ "forged in the body stays", MH_LIT("A: b\n\nX-Mailhook-Kind: a\n"),
		    MH_LIT(V N0 "A: b\n\nX-Mailhook-Kind: a\n") },
		{ "forged behind a broken line", MH_LIT("hello\nX-Mailhook-Kind: a\n\n"), MH_LIT(V N0 "hello\n\n") },
		{ "our loop mark stays", MH_LIT("X-Mailhook-Job: abc\n\n"), MH_LIT(V N0 "X-Mailhook-Job: abc\n\n") },
		{ "another's name", MH_LIT("X-Mailhooks: a\n\n"), MH_LIT(V N0 "X-Mailhooks: a\n\n") },
		{ "mixed line ends", MH_LIT("A: b\r\nC: d\n\r\nx"), MH_LIT(VC "A: b\r\nC: d\n\r\nx") },
		{ "begins with a continuation", MH_LIT(" notice\nA: b\n\n"), MH_LIT(V N0 " notice\nA: b\n\n") },
	};
	const struct reading r = { .verdict = MH_IRRELEVANT };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out;

		buf_init(&out, 1 << 20);
		assert_true(front_fields(rows[i].in, false, &r, collect, &out));
		if (!span_eq(buf_span(&out), rows[i].out))
			fail_msg("%s: got\n%s", rows[i].name, out.p);
		buf_release(&out);
	}
}

/* Longer than was kept: no field comes behind what was looked at. */
static void
test_fields_of_a_part(void **state)
{
	static const struct {
		const char *name;
		struct mh_span in, out;
	} rows[] = {
		{ "in the body", MH_LIT("A: b\n\nbo"), MH_LIT(V N0 "A: b\n\nbo") },
		{ "in a field", MH_LIT("A: b\nC: d"), MH_LIT(V N0 "A: b\nC: d\n\n") },
		{ "in a forged field", MH_LIT("A: b\r\nX-Mailhook: d"), MH_LIT(VC "A: b\r\n\r\n\r\n") },
	};
	const struct reading r = { .verdict = MH_IRRELEVANT };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out;

		buf_init(&out, 1 << 20);
		assert_true(front_fields(rows[i].in, true, &r, collect, &out));
		if (!span_eq(buf_span(&out), rows[i].out))
			fail_msg("%s: got\n%s", rows[i].name, out.p);
		buf_release(&out);
	}
}

static void
test_fields_of_a_notice(void **state)
{
	struct notice notices[2] = {
		{ .kind = MH_LIT("github.token"),
		    .account = MH_LIT("caf\xC3\xA9\r\nX: y"),
		    .expires = 1770091506,
		    .precision = MH_SECOND },
		{ .kind = MH_LIT("gitlab.token"), .expires = 0 },
	};
	const struct reading r = { .verdict = MH_NOTICE, .notices = notices, .n_notices = 2 };
	struct buf out;

	(void)state;
	buf_init(&out, 1 << 20);
	assert_true(front_fields(MH_LIT("A: b\n\n"), false, &r, collect, &out));
	assert_string_equal(out.p,
	    "X-Mailhook: verdict=notice; kind=github.token; account=caf\\xc3\\xa9\\x0d\\x0aX: y; "
	    "expires=2026-02-03T04:05:06Z\n"
	    "X-Mailhook-Verdict: notice\n"
	    "X-Mailhook-Kind: github.token\n"
	    "X-Mailhook-Account: caf\\xc3\\xa9\\x0d\\x0aX: y\n"
	    "X-Mailhook-Expires: 2026-02-03T04:05:06Z\n"
	    "X-Mailhook-Notices: 2\n"
	    "A: b\n\n");
	buf_release(&out);
}

static bool
refuse(void *user, struct mh_span bytes)
{
	size_t *left = user;

	(void)bytes;
	if (*left == 0)
		return false;
	(*left)--;
	return true;
}

/* Each write fails in turn: never taken for done. */
static void
test_fields_not_put(void **state)
{
	const struct mh_span m = MH_LIT("From a Tue\nA: b\nX-Mailhook: c\nD: e\nX-Mailhook: c\n\nbody\n");
	const struct reading r = { .verdict = MH_FAILED };

	(void)state;
	for (size_t n = 0; n < 5; n++) {
		size_t left = n;

		if (front_fields(m, false, &r, refuse, &left))
			fail_msg("write %zu failed, and nobody minded", n);
	}
	size_t left = 5;
	assert_true(front_fields(m, false, &r, refuse, &left));
	assert_int_equal(left, 0);
}

/* -- the envelope sender ------------------------------------------------------------------------------------------ */

static void
test_sender(void **state)
{
	static const struct {
		const char *name, *option, *sender, *from;
		struct mh_span raw, want;
	} rows[] = {
		{ "nobody says", NULL, NULL, NULL, MH_LIT("Return-Path: <x@example.com>\n\n"), MH_NONE },
		{ "option", "a@example.com", "b@example.com", NULL, MH_LIT(""), MH_LIT("a@example.com") },
		{ "empty option", "<>", "b@example.com", NULL, MH_LIT(""), MH_LIT("") },
		{ "SENDER", NULL, "b@example.com", "c@example.com", MH_LIT(""), MH_LIT("b@example.com") },
		{ "SENDER, empty", NULL, "", "c@example.com", MH_LIT(""), MH_LIT("") },
		{ "SENDER, Postfix's empty one", NULL, "MAILER-DAEMON", NULL, MH_LIT(""), MH_LIT("") },
		{ "SENDER with a line end", NULL, "a\nb", NULL, MH_LIT(""), MH_NONE },
		{ "FROM", NULL, NULL, "<c@example.com>", MH_LIT("From d@example.com x\n"), MH_LIT("c@example.com") },
		{ "From line", NULL, NULL, NULL, MH_LIT("From d@example.com Tue Nov 24\nA: b\n"),
		    MH_LIT("d@example.com") },
		{ "From line, CRLF", NULL, NULL, NULL, MH_LIT("From d@example.com\r\n"), MH_LIT("d@example.com") },
		{ "From line, empty sender", NULL, NULL, NULL, MH_LIT("From MAILER-DAEMON Tue\n"), MH_LIT("") },
		{ "From line, quoted", NULL, NULL, NULL, MH_LIT("From \"a b\"@example.com Tue\n"), MH_NONE },
		{ "From line, bare", NULL, NULL, NULL, MH_LIT("From \n"), MH_NONE },
		{ "From field", NULL, NULL, NULL, MH_LIT("From: d@example.com\n"), MH_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		(void)unsetenv("SENDER");
		(void)unsetenv("FROM");
		if (rows[i].sender != NULL)
			assert_int_equal(setenv("SENDER", rows[i].sender, 1), 0);
		if (rows[i].from != NULL)
			assert_int_equal(setenv("FROM", rows[i].from, 1), 0);

		const struct mh_span got = front_sender(rows[i].option, rows[i].raw);
		if ((got.p == NULL) != (rows[i].want.p == NULL) || !span_eq(got, rows[i].want))
			fail_msg("%s: got \"%.*s\"", rows[i].name, (int)got.n, got.p == NULL ? "" : got.p);
	}
}

/* -- mbox --------------------------------------------------------------------------------------------------------- */

struct box {
	char *room; /* own */
	struct buf all;
};

static char *
box_room(void *user)
{
	return ((struct box *)user)->room;
}

static bool
box_add(void *user, size_t n, const char *source)
{
	struct box *b = user;

	buf_printf(&b->all, "[%s]", source);
	buf_put(&b->all, (struct mh_span){ b->room, n });
	return true;
}

static void
box_trouble(void *user, const char *path, const struct mh_err *err)
{
	(void)user;
	fail_msg("%s: %s", path, err->text);
}

#define F "From a@example.com Tue Nov 24 08:00:00 2026\n"

static void
test_mbox(void **state)
{
	static const struct {
		const char *name, *in, *out;
	} rows[] = {
		{ "one", F "A: b\n\nx\n", "[m:1]A: b\n\nx\n" },
		{ "two", F "A: b\n\nx\n\n" F "C: d\n\ny\n\n", "[m:1]A: b\n\nx\n[m:2]C: d\n\ny\n" },
		{ "no final line end", F "A: b\n\nx", "[m:1]A: b\n\nx" },
		{ "an empty message between", F "\n" F "A: b\n\n", "[m:1][m:2]A: b\n" },
		{ "quoted", F "A: b\n\n>From x\n>>From y\n> From z\na>From q\n",
		    "[m:1]A: b\n\nFrom x\n>From y\n> From z\na>From q\n" },
		{ "quoted in the first of two", F "A: b\n\n>From x\n\n" F "C: d\n\ny >From z\n\n" F "\n\n",
		    "[m:1]A: b\n\nFrom x\n[m:2]C: d\n\ny >From z\n[m:3]\n" },
		{ "line ends of two bytes",
		    "From a Tue Nov 24 08:00:00 2026\r\nA: b\r\n\r\n>From x\r\n\r\n" F "C: d\r\n\r\n",
		    "[m:1]A: b\r\n\r\nFrom x\r\n[m:2]C: d\r\n" },
		{ "a sentence", F "A: b\n\nFrom here on, 2 lines.\n\nFrom 1999 on\n",
		    "[m:1]A: b\n\nFrom here on, 2 lines.\n\nFrom 1999 on\n" },
		{ "no empty line before", F "A: b\n\nx\n" F "y\n", "[m:1]A: b\n\nx\n" F "y\n" },
		{ "zone behind the year",
		    "From a Tue Nov 24 08:00:00 2026 +0000\nA: b\n\n\nFrom b Tue Nov 24 08:00 2026\nC: d\n",
		    "[m:1]A: b\n\n[m:2]C: d\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct box b = { .room = malloc((size_t)MH_MAX_MESSAGE_BYTES + 1) };
		const struct front_sink sink = { box_room, box_add, box_trouble, &b };
		const size_t n = strlen(rows[i].in);
		char *copy = malloc(n); /* exact size: a byte too far is seen */

		assert_non_null(b.room);
		assert_non_null(copy);
		memcpy(copy, rows[i].in, n);
		buf_init(&b.all, 1 << 20);
		assert_true(front_mbox((struct mh_span){ copy, n }, "m", &sink));
		if (strcmp(b.all.p, rows[i].out) != 0)
			fail_msg("%s: got\n%s", rows[i].name, b.all.p);
		buf_release(&b.all);
		free(copy);
		free(b.room);
	}
}

/* -- explanations ------------------------------------------------------------------------------------------------- */

/* What a child that a mail has taken over could say: nothing of it reaches a terminal as it is. */
static void
test_explain_hostile(void **state)
{
	static const struct {
		const char *name, *said, *words, *json;
	} rows[] = {
		{ "nothing", "", "", "" },
		{ "no JSON", "\033[2Jmailhook: all is well\n", NULL, "" },
		{ "not an object", "[\"decision\"]\n\"decision\"\n", NULL, "" },
		{ "an unknown decision", "{\"decision\":\"root\",\"words\":\"x\"}\n", NULL, "" },
		{ "a key twice", "{\"decision\":\"miss\",\"decision\":\"part\"}\n", NULL, "" },
		{ "something behind it", "{\"decision\":\"part\"} {}\n", NULL, "" },
		{ "bytes that are no UTF-8", "{\"decision\":\"part\",\"words\":\"\xFF\"}\n", NULL, "" },
		{ "controls", "{\"decision\":\"part\",\"words\":\"a\\u001b[2Jb\\u0007\"}\n", "  a\\x1B[2Jb\\x07\n",
		    "\"words\":\"a\\u001b[2Jb\\u0007\"" },
		{ "C1 and turned direction", "{\"decision\":\"part\",\"words\":\"a\xC2\x9B\x31\xE2\x80\xAE\"}\n",
		    "  a\\xC2\\x9B1\\xE2\\x80\\xAE\n", "\"words\":\"a\\u009B1\\u202E\"" },
		{ "line ends", "{\"decision\":\"part\",\"words\":\"a\\nverdict \\\"notice\\\"\"}\n",
		    "  a verdict \"notice\"\n", "\"words\":\"a\\nverdict" },
		{ "other types",
		    "{\"decision\":\"date\",\"text\":{},\"words\":3,\"time\":[],\"number\":\"9\",\"counts\":\"no\","
		    "\"at\":-1,\"more\":1}\n",
		    "  date does not count\n",
		    "\"text\":null,\"words\":null,\"time\":null,\"regex\":null,\"place\":null,\"number\":null,"
		    "\"part\":null,\"at\":null,\"bytes\":null,\"counts\":null}\n" },
		{ "a letter of another script", "{\"decision\":\"part\",\"words\":\"Envoy\xC3\xA9\"}\n",
		    "  Envoy\xC3\xA9\n", "\"words\":\"Envoy\xC3\xA9\"" },
		{ "cut", "{\"decision\":\"part\",\"words\":\"a", NULL, "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int json = 0; json < 2; json++) {
			char *got = NULL;
			size_t n = 0;
			FILE *out = open_memstream(&got, &n);
			char want[200];

			assert_non_null(out);
			front_explain("box\033:1", span_of(rows[i].said), json == 1, out);
			assert_int_equal(fclose(out), 0);
			for (size_t k = 0; k < n; k++)
				if ((unsigned char)got[k] < ' ' && got[k] != '\n')
					fail_msg("%s: a control character is printed", rows[i].name);
			(void)snprintf(want, sizeof(want), "box\\x1B:1:\n%s",
			    rows[i].words == NULL ? "  there is more to tell than there is room for\n" : rows[i].words);
			if (json == 0 && strcmp(got, want) != 0)
				fail_msg("%s: got \"%s\", want \"%s\"", rows[i].name, got, want);
			if (json == 1 && (rows[i].json[0] == '\0' ? n != 0 : strstr(got, rows[i].json) == NULL))
				fail_msg("%s: got %s, want %s", rows[i].name, got, rows[i].json);
			free(got);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_fields_of_a_part),
		cmocka_unit_test(test_fields_of_a_notice),
		cmocka_unit_test(test_fields_not_put),
		cmocka_unit_test(test_sender),
		cmocka_unit_test(test_mbox),
		cmocka_unit_test(test_explain_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
