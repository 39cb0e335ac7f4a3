/* mail_header_test.c: fields, encoded words (RFC 2047) and parameters (RFC 2231). */
#include "tests/exact.h"

#include "mailhook/mail/charset.h"
#include "mailhook/mail/header.h"
#include "mailhook/mail/rfc2231.h"

#define FFFD "\xEF\xBF\xBD"

static const struct {
	const char *name;
	struct mh_span raw, want;
	unsigned limits;
} values[] = {
	{ "empty", MH_LIT(""), MH_LIT(""), 0 },
	{ "blanks", MH_LIT(" \t \r\n "), MH_LIT(""), 0 },
	{ "plain", MH_LIT(" plain text "), MH_LIT("plain text"), 0 },
	{ "folded, LF", MH_LIT(" one\n two"), MH_LIT("one two"), 0 },
	{ "folded, CRLF and tab", MH_LIT(" one\r\n\ttwo"), MH_LIT("one two"), 0 },
	{ "folded on blanks keeps them", MH_LIT(" one \n  two"), MH_LIT("one   two"), 0 },
	{ "folded with an empty line of blanks", MH_LIT(" one\n \n two"), MH_LIT("one  two"), 0 },
	{ "control characters",
	    MH_LIT(" a\0b\x01"
		   "c\rd\x7F"),
	    MH_LIT("a b c d"), 0 },
	{ "8-bit UTF-8", MH_LIT(" caf\xC3\xA9"), MH_LIT("caf\xC3\xA9"), 0 },
	{ "8-bit Windows-1252", MH_LIT(" caf\xE9"), MH_LIT("caf\xC3\xA9"), 0 },
	{ "Q word", MH_LIT(" =?utf-8?Q?caf=C3=A9_au_lait?="), MH_LIT("caf\xC3\xA9 au lait"), 0 },
	{ "B word", MH_LIT(" =?UTF-8?B?Y2Fmw6k=?="), MH_LIT("caf\xC3\xA9"), 0 },
	{ "lower-case encodings", MH_LIT("=?utf-8?q?a?= =?utf-8?b?Yg==?="), MH_LIT("ab"), 0 },
	{ "white space between words goes", MH_LIT("=?utf-8?Q?a?=\r\n =?utf-8?Q?b?="), MH_LIT("ab"), 0 },
	{ "white space to text stays", MH_LIT("x =?utf-8?Q?a?= y"), MH_LIT("x a y"), 0 },
	{ "words side by side", MH_LIT("=?utf-8?Q?a?==?utf-8?Q?b?="), MH_LIT("ab"), 0 },
	{ "a word within text", MH_LIT("Re:=?utf-8?Q?a?=!"), MH_LIT("Re:a!"), 0 },
	{ "a word within quotes", MH_LIT("\"=?utf-8?Q?a?=\" <a@example.com>"), MH_LIT("\"a\" <a@example.com>"), 0 },
	{ "a character split over two Q words", MH_LIT("=?utf-8?Q?=C3?= =?utf-8?Q?=A9?="), MH_LIT("\xC3\xA9"), 0 },
	{ "a character split over B and Q", MH_LIT("=?utf-8?B?4oI=?= =?UTF-8?Q?=AC?="), MH_LIT("\xE2\x82\xAC"), 0 },
	{ "two charsets are not joined", MH_LIT("=?utf-8?Q?=C3?= =?iso-8859-1?Q?=A9?="), MH_LIT(FFFD "\xC2\xA9"), 0 },
	{ "text between keeps them apart", MH_LIT("=?utf-8?Q?=C3?= x =?utf-8?Q?=A9?="), MH_LIT(FFFD " x " FFFD), 0 },
	{ "ISO-8859-1", MH_LIT("=?iso-8859-1?Q?J=FCrgen?="), MH_LIT("J\xC3\xBCrgen"), 0 },
	{ "ISO-2022-JP", MH_LIT("=?iso-2022-jp?B?GyRCJCIbKEI=?="), MH_LIT("\xE3\x81\x82"), 0 },
	{ "a language", MH_LIT("=?utf-8*en?Q?a?="), MH_LIT("a"), 0 },
	{ "unknown charset, ASCII", MH_LIT("=?x-none?Q?a=41?="), MH_LIT("aA"), 0 },
	{ "unknown charset, bytes", MH_LIT("=?x-none?Q?=E9?="), MH_LIT("\xC3\xA9"), 0 },
	{ "blanks in a Q word", MH_LIT("=?utf-8?Q?a b?="), MH_LIT("a b"), 0 },
	{ "empty text", MH_LIT("x =?utf-8?Q?\?= y"), MH_LIT("x  y"), 0 },
	{ "a decoded line end is no line end", MH_LIT("=?utf-8?Q?a=0D=0ABcc:_x?="), MH_LIT("a  Bcc: x"), 0 },
	{ "a decoded NUL", MH_LIT("=?utf-8?B?YQBi?="), MH_LIT("a b"), 0 },
	{ "no encoding", MH_LIT("=?utf-8?X?a?="), MH_LIT("=?utf-8?X?a?="), 0 },
	{ "no charset", MH_LIT("=?\?Q?a?="), MH_LIT("=?\?Q?a?="), 0 },
	{ "no end", MH_LIT("=?utf-8?Q?a"), MH_LIT("=?utf-8?Q?a"), 0 },
	{ "half an end", MH_LIT("=?utf-8?Q?a?"), MH_LIT("=?utf-8?Q?a?"), 0 },
	{ "only its start", MH_LIT("=?"), MH_LIT("=?"), 0 },
	{ "blanks in the charset", MH_LIT("=?utf 8?Q?a?="), MH_LIT("=?utf 8?Q?a?="), 0 },
	{ "a broken word, then a good one", MH_LIT("=?utf-8?Q?a =?utf-8?Q?b?="), MH_LIT("=?utf-8?Q?a b"), 0 },
	{ "broken base64", MH_LIT("=?utf-8?B?Y*Q?="), MH_LIT("a"), 0 },
	{ "8-bit bytes beside a word", MH_LIT("\xE9 =?utf-8?Q?a?="), MH_LIT("\xC3\xA9 a"), 0 },
};

static void
test_values(void **state)
{
	struct charset_set *set = charset_set_new();

	(void)state;
	assert_non_null(set);
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		char *raw = exact_copy(values[i].raw);
		const struct mh_span in = { raw, values[i].raw.n };
		struct arena a;
		struct mh_span got;
		unsigned limits = 0;

		arena_init(&a, 1 << 20);
		charset_set_open(set, in);
		assert_int_equal(header_value(in, set, &a, &got, &limits, NULL), MH_OK);
		expect_span(values[i].name, got, values[i].want);
		expect_number(values[i].name, "limits", limits, values[i].limits);
		for (size_t at = 1; at < 20; at++) {
			a.fail_at = at;
			if (header_value(in, set, &a, &got, &limits, NULL) == MH_OK)
				break;
			a.fail_at = 0;
		}
		a.fail_at = 0;
		expect_span(values[i].name, got, values[i].want);
		arena_release(&a);
		free(raw);
	}
	charset_set_free(set);
}

/* The longest field and the most words: at the bound, one past it, far past it. */
static void
test_value_limits(void **state)
{
	static const struct {
		const char *name, *unit;
		size_t times, want_n;
		unsigned limits;
	} bounds[] = {
		{ "plain, at", "x", MH_MAX_FIELD_BYTES, MH_MAX_FIELD_BYTES, 0 },
		{ "plain, past", "x", MH_MAX_FIELD_BYTES + 1, MH_MAX_FIELD_BYTES, MAIL_LIMIT_FIELD },
		{ "plain, far past", "x", MH_MAX_FIELD_BYTES * 20, MH_MAX_FIELD_BYTES, MAIL_LIMIT_FIELD },
		{ "folded, far past", "\n x", MH_MAX_FIELD_BYTES, MH_MAX_FIELD_BYTES - 1, MAIL_LIMIT_FIELD },
		{ "8-bit that grows, at", "\xE9", MH_MAX_FIELD_BYTES / 2, MH_MAX_FIELD_BYTES, 0 },
		{ "8-bit that grows, past", "\xE9", MH_MAX_FIELD_BYTES / 2 + 1, MH_MAX_FIELD_BYTES, MAIL_LIMIT_FIELD },
		{ "words, at", "=?utf-8?Q?x?=", MH_MAX_ENCODED_WORDS, MH_MAX_ENCODED_WORDS, 0 },
		{ "words, past", "=?utf-8?Q?x?=", MH_MAX_ENCODED_WORDS + 1, MH_MAX_ENCODED_WORDS + 13,
		    MAIL_LIMIT_WORDS },
		{ "words, far past", "=?utf-8?Q?x?=", 4000, MH_MAX_ENCODED_WORDS + 3000 * 13, MAIL_LIMIT_WORDS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		struct buf raw;
		struct arena a;
		struct mh_span got;
		unsigned limits = 0;

		arena_init(&a, 8 << 20);
		buf_init(&raw, 8 << 20);
		for (size_t n = 0; n < bounds[i].times; n++)
			buf_puts(&raw, bounds[i].unit);
		assert_int_equal(header_value(buf_span(&raw), NULL, &a, &got, &limits, NULL), MH_OK);
		expect_number(bounds[i].name, "length", got.n, bounds[i].want_n);
		expect_number(bounds[i].name, "limits", limits, bounds[i].limits);
		buf_release(&raw);
		arena_release(&a);
	}
}

/* -- header blocks ------------------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	struct mh_span in;
	size_t body_at;
	const char *fields; /* "name|raw;" of each */
} blocks[] = {
	{ "nothing", MH_LIT(""), 0, "" },
	{ "only a blank line", MH_LIT("\n"), 1, "" },
	{ "LF", MH_LIT("A: 1\nB: 2\n\nbody"), 11, "A| 1;B| 2;" },
	{ "CRLF", MH_LIT("A: 1\r\nB: 2\r\n\r\nbody"), 14, "A| 1;B| 2;" },
	{ "no body", MH_LIT("A: 1\nB: 2\n"), 10, "A| 1;B| 2;" },
	{ "no final newline", MH_LIT("A: 1\nB: 2"), 9, "A| 1;B| 2;" },
	{ "folded", MH_LIT("A: 1\n 2\n\t3\nB:\n\n"), 15, "A| 1\n 2\n\t3;B|;" },
	{ "no blank behind the colon", MH_LIT("A:1\n\n"), 5, "A|1;" },
	{ "blanks before the colon", MH_LIT("A : 1\n\n"), 7, "A| 1;" },
	{ "a line that is no field", MH_LIT("A: 1\nno field\n goes on\nB: 2\n\n"), 29, "A| 1;B| 2;" },
	{ "a name with a blank", MH_LIT("A: 1\nB C: 2\n\n"), 13, "A| 1;" },
	{ "a name with 8 bits", MH_LIT("A: 1\nB\xFF: 2\n\n"), 12, "A| 1;" },
	{ "a name with a NUL", MH_LIT("A: 1\nB\0: 2\n\n"), 12, "A| 1;" },
	{ "no name", MH_LIT("A: 1\n: 2\n\n"), 10, "A| 1;" },
	{ "no header at all", MH_LIT("just text\nA: 1\n\n"), 0, "" },
	{ "a first line that is folded", MH_LIT(" A: 1\nB: 2\n\n"), 0, "" },
	{ "a line of blanks goes on", MH_LIT("A: 1\n \nB: 2\n\n"), 13, "A| 1\n ;B| 2;" },
};

static void
test_blocks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++) {
		char *in = exact_copy(blocks[i].in);
		unsigned limits = 0;
		const struct header h = header_find((struct mh_span){ in, blocks[i].in.n }, 0, NULL, &limits);
		struct mh_span block = h.block, name, raw;
		struct buf got;
		size_t n = 0;

		buf_init(&got, 1000);
		while (header_next(&block, &name, &raw)) {
			buf_put(&got, name);
			buf_putc(&got, '|');
			buf_put(&got, raw);
			buf_putc(&got, ';');
			n++;
		}
		expect_number(blocks[i].name, "body_at", h.body_at, blocks[i].body_at);
		expect_span(blocks[i].name, buf_span(&got), span_of(blocks[i].fields));
		if (n > h.n_lines)
			fail_msg("%s: %zu fields of %zu lines", blocks[i].name, n, h.n_lines);
		buf_release(&got);
		free(in);
	}
}

/* -- parameters --------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	struct mh_span raw;
	const char *type, *subtype, *param;
	struct mh_span want; /* MH_NONE: there is none */
	unsigned limits;
} contents[] = {
	{ "plain", MH_LIT(" text/plain; charset=utf-8"), "text", "plain", "charset", MH_LIT("utf-8"), 0 },
	{ "upper case", MH_LIT("TEXT/PLAIN; CHARSET=UTF-8"), "TEXT", "PLAIN", "charset", MH_LIT("UTF-8"), 0 },
	{ "quoted", MH_LIT("text/plain; charset=\"utf-8\""), "text", "plain", "charset", MH_LIT("utf-8"), 0 },
	{ "no parameter", MH_LIT("text/plain"), "text", "plain", "charset", MH_NONE, 0 },
	{ "empty", MH_LIT(""), "", "", "charset", MH_NONE, 0 },
	{ "no subtype", MH_LIT("text; charset=x"), "text", "", "charset", MH_LIT("x"), 0 },
	{ "folded", MH_LIT("text/plain;\r\n\tcharset=x;\r\n y=z"), "text", "plain", "y", MH_LIT("z"), 0 },
	{ "blanks everywhere", MH_LIT(" text / plain ; charset = \"x\" ; y = z "), "text", "plain", "y", MH_LIT("z"),
	    0 },
	{ "comments everywhere", MH_LIT("(a)text(b)/(c)plain(d);(e)y(f)=(g)z(h)"), "text", "plain", "y", MH_LIT("z"),
	    0 },
	{ "nested comments", MH_LIT("text/plain (a(b)(c\\)));y=z"), "text", "plain", "y", MH_LIT("z"), 0 },
	{ "a comment without end", MH_LIT("text/plain; y=z (a(b); x=1"), "text", "plain", "y", MH_LIT("z"), 0 },
	{ "a quote in a quoted string", MH_LIT("a/b; boundary=\"\\\"\""), "a", "b", "boundary", MH_LIT("\""), 0 },
	{ "a backslash at the end", MH_LIT("a/b; boundary=\"x\\"), "a", "b", "boundary", MH_LIT("x\\"), 0 },
	{ "a quoted string without end", MH_LIT("a/b; boundary=\"x; y=z"), "a", "b", "boundary", MH_LIT("x; y=z"), 0 },
	{ "a semicolon in quotes", MH_LIT("a/b; x=\"1;y=2\"; y=3"), "a", "b", "y", MH_LIT("3"), 0 },
	{ "folded in quotes", MH_LIT("a/b; x=\"1\r\n 2\""), "a", "b", "x", MH_LIT("1 2"), 0 },
	{ "equals and slashes unquoted", MH_LIT("a/b; boundary=--=_x/1+2=; y=z"), "a", "b", "boundary",
	    MH_LIT("--=_x/1+2="), 0 },
	{ "garbage behind a value", MH_LIT("a/b; x=1 2 \"3;4\" 5; y=z"), "a", "b", "y", MH_LIT("z"), 0 },
	{ "garbage for a parameter", MH_LIT("a/b; ;; =1; x; \"q\"; y=z"), "a", "b", "y", MH_LIT("z"), 0 },
	{ "garbage before the parameters", MH_LIT("a/b c \"d;e\"; y=z"), "a", "b", "y", MH_LIT("z"), 0 },
	{ "empty value", MH_LIT("a/b; x=; y=z"), "a", "b", "x", MH_LIT(""), 0 },
	{ "the first of two", MH_LIT("a/b; x=1; x=2"), "a", "b", "x", MH_LIT("1"), 0 },
	{ "RFC 2231: sections", MH_LIT("a/b; x*0=one; x*1=\"two\"; x*2=three"), "a", "b", "x", MH_LIT("onetwothree"),
	    0 },
	{ "RFC 2231: sections out of order", MH_LIT("a/b; x*1=two; x*0=one"), "a", "b", "x", MH_LIT("onetwo"), 0 },
	{ "RFC 2231: a section is missing", MH_LIT("a/b; x*0=one; x*2=three"), "a", "b", "x", MH_LIT("one"), 0 },
	{ "RFC 2231: charset", MH_LIT("a/b; x*=utf-8'en'%e2%82%AC%20r"), "a", "b", "x", MH_LIT("\xE2\x82\xAC r"), 0 },
	{ "RFC 2231: ISO-8859-1", MH_LIT("a/b; x*=iso-8859-1''%E9"), "a", "b", "x", MH_LIT("\xC3\xA9"), 0 },
	{ "RFC 2231: no charset", MH_LIT("a/b; x*=''a%41"), "a", "b", "x", MH_LIT("aA"), 0 },
	{ "RFC 2231: no quotes", MH_LIT("a/b; x*=a%41%4"), "a", "b", "x", MH_LIT("aA%4"), 0 },
	{ "RFC 2231: a character over two sections", MH_LIT("a/b; x*0*=utf-8''%C3; x*1*=%A9; x*2=%41"), "a", "b", "x",
	    MH_LIT("\xC3\xA9%41"), 0 },
	{ "RFC 2231: extended before plain", MH_LIT("a/b; x=plain; x*=utf-8''ext"), "a", "b", "x", MH_LIT("ext"), 0 },
	{ "RFC 2231: unknown charset", MH_LIT("a/b; x*=x-none''%E9"), "a", "b", "x", MH_LIT("\xC3\xA9"), 0 },
	{ "RFC 2231: no name", MH_LIT("a/b; *0=x; *=y; x=1"), "a", "b", "x", MH_LIT("1"), 0 },
	{ "a disposition", MH_LIT(" attachment; filename=x"), "attachment", "", "filename", MH_LIT("x"), 0 },
	{ "NULs", MH_LIT("a/b\0c; x=\0"), "a", "b\0c", "x", MH_LIT("\0"), 0 },
};

static void
test_contents(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		char *raw = exact_copy(contents[i].raw);
		struct content c;
		struct arena a;
		struct mh_span got;
		unsigned limits = 0;

		arena_init(&a, 1 << 20);
		content_read((struct mh_span){ raw, contents[i].raw.n }, &c, &limits);
		expect_span(contents[i].name, c.type, span_of(contents[i].type));
		expect_span(
		    contents[i].name, span_head(c.subtype, strlen(contents[i].subtype)), span_of(contents[i].subtype));
		assert_true(content_is(&c, contents[i].type, NULL));
		assert_int_equal(content_param(&c, contents[i].param, NULL, &a, &got, NULL), MH_OK);
		expect_span(contents[i].name, got, contents[i].want);
		expect_number(contents[i].name, "there", got.p != NULL, contents[i].want.p != NULL);
		expect_number(contents[i].name, "limits", limits, contents[i].limits);
		for (size_t at = 1; at < 4; at++) {
			a.fail_at = at;
			if (content_param(&c, contents[i].param, NULL, &a, &got, NULL) == MH_OK)
				break;
		}
		arena_release(&a);
		free(raw);
	}
}

static void
test_content_limits(void **state)
{
	static const struct {
		const char *name, *head, *unit, *tail;
		size_t times;
		unsigned limits;
	} bounds[] = {
		{ "parameters, at", "a/b", "; x=1", "", MH_MAX_PARAMS, 0 },
		{ "parameters, past", "a/b", "; x=1", "", MH_MAX_PARAMS + 1, MAIL_LIMIT_PARAMS },
		{ "parameters, far past", "a/b", "; x=1", "", 10000, MAIL_LIMIT_PARAMS },
		{ "comments, at", "a/b", "(", "", MH_MAX_COMMENT_DEPTH, 0 },
		{ "comments, past", "a/b", "(", "", MH_MAX_COMMENT_DEPTH + 1, MAIL_LIMIT_COMMENT },
		{ "comments, far past", "a/b", "(", "", 1000000, MAIL_LIMIT_COMMENT | MAIL_LIMIT_FIELD },
		{ "comments side by side", "a/b", "()", "", 1000, 0 },
		{ "length, at", "a/b;", "x", "", MH_MAX_FIELD_BYTES - 4, 0 },
		{ "length, past", "a/b;", "x", "", MH_MAX_FIELD_BYTES - 3, MAIL_LIMIT_FIELD },
		{ "length, far past", "a/b;", "x", "", 1000000, MAIL_LIMIT_FIELD },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		struct buf raw;
		struct content c;
		unsigned limits = 0;

		buf_init(&raw, 8 << 20);
		buf_puts(&raw, bounds[i].head);
		for (size_t n = 0; n < bounds[i].times; n++)
			buf_puts(&raw, bounds[i].unit);
		buf_puts(&raw, bounds[i].tail);
		content_read(buf_span(&raw), &c, &limits);
		assert_true(content_is(&c, "a", "b"));
		expect_number(bounds[i].name, "limits", limits, bounds[i].limits);
		buf_release(&raw);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_value_limits),
		cmocka_unit_test(test_blocks),
		cmocka_unit_test(test_contents),
		cmocka_unit_test(test_content_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
