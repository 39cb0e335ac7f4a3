/* mail_charset_test.c: every charset of the list by text that is known, and bytes that do not belong to theirs. */
#include "tests/exact.h"

#include "mailhook/mail/charset.h"
#include "mailhook/mail/charset_names.h"

#define FFFD "\xEF\xBF\xBD"

static const struct {
	const char *name, *charset;
	struct mh_span in, want;
	bool unknown;
} rows[] = {
	{ "no charset, ASCII", "", MH_LIT("plain"), MH_LIT("plain"), false },
	{ "no charset, valid UTF-8", "", MH_LIT("caf\xC3\xA9"), MH_LIT("caf\xC3\xA9"), false },
	{ "no charset, Windows-1252", "", MH_LIT("caf\xE9 \x80"), MH_LIT("caf\xC3\xA9 \xE2\x82\xAC"), false },
	{ "US-ASCII with 8 bits", "US-ASCII", MH_LIT("\xFC"), MH_LIT("\xC3\xBC"), false },
	{ "UTF-8", "utf-8", MH_LIT("\xE2\x82\xAC\xF0\x9F\x98\x80"), MH_LIT("\xE2\x82\xAC\xF0\x9F\x98\x80"), false },
	{ "UTF8, another name", "UTF8", MH_LIT("\xC3\xA9"), MH_LIT("\xC3\xA9"), false },
	{ "UTF-8, a byte too much", "utf-8",
	    MH_LIT("a\xFF"
		   "b"),
	    MH_LIT("a" FFFD "b"), false },
	{ "UTF-8, cut in a character", "utf-8", MH_LIT("ab\xE2\x82"), MH_LIT("ab" FFFD FFFD), false },
	{ "UTF-8, overlong", "utf-8", MH_LIT("\xC0\xAF"), MH_LIT(FFFD FFFD), false },
	{ "UTF-8, surrogate", "utf-8", MH_LIT("\xED\xA0\x80"), MH_LIT(FFFD FFFD FFFD), false },
	{ "UTF-8, beyond Unicode", "utf-8", MH_LIT("\xF4\x90\x80\x80"), MH_LIT(FFFD FFFD FFFD FFFD), false },
	{ "UTF-8, a NUL", "utf-8", MH_LIT("a\0b"), MH_LIT("a\0b"), false },
	{ "ISO-8859-1", "iso-8859-1", MH_LIT("\xE4\xF6\xFC\xDF"), MH_LIT("\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F"), false },
	{ "ISO-8859-1 that is Windows-1252", "ISO_8859-1:1987", MH_LIT("\x93x\x94"),
	    MH_LIT("\xE2\x80\x9Cx\xE2\x80\x9D"), false },
	{ "Windows-1252", "windows-1252", MH_LIT("\x80\x81\x9F"), MH_LIT("\xE2\x82\xAC" FFFD "\xC5\xB8"), false },
	{ "ISO-8859-2", "iso-8859-2", MH_LIT("\xB3\xF3\xBC"), MH_LIT("\xC5\x82\xC3\xB3\xC5\xBA"), false },
	{ "ISO-8859-5", "iso-8859-5", MH_LIT("\xB0"), MH_LIT("\xD0\x90"), false },
	{ "ISO-8859-15", "latin9", MH_LIT("\xA4"), MH_LIT("\xE2\x82\xAC"), false },
	{ "Windows-1250", "cp1250", MH_LIT("\x9C"), MH_LIT("\xC5\x9B"), false },
	{ "Windows-1251", "windows-1251", MH_LIT("\xCF\xF0"), MH_LIT("\xD0\x9F\xD1\x80"), false },
	{ "KOI8-R", "koi8-r", MH_LIT("\xF0\xD2"), MH_LIT("\xD0\x9F\xD1\x80"), false },
	{ "KOI8-U", "koi8-u", MH_LIT("\xA4"), MH_LIT("\xD1\x94"), false },
	{ "ISO-2022-JP", "iso-2022-jp", MH_LIT("\x1B$B$\"\x1B(Ba"),
	    MH_LIT("\xE3\x81\x82"
		   "a"),
	    false },
	{ "ISO-2022-JP without its last escape", "iso-2022-jp", MH_LIT("\x1B$B$\""), MH_LIT("\xE3\x81\x82"), false },
	{ "Shift_JIS", "Shift_JIS", MH_LIT("\x82\xA0"), MH_LIT("\xE3\x81\x82"), false },
	{ "EUC-JP", "euc-jp", MH_LIT("\xA4\xA2"), MH_LIT("\xE3\x81\x82"), false },
	{ "EUC-KR", "euc-kr", MH_LIT("\xB0\xA1"), MH_LIT("\xEA\xB0\x80"), false },
	{ "ks_c_5601-1987", "ks_c_5601-1987", MH_LIT("\xB0\xA1"), MH_LIT("\xEA\xB0\x80"), false },
	{ "GB2312", "gb2312", MH_LIT("\xD6\xD0"), MH_LIT("\xE4\xB8\xAD"), false },
	{ "GBK", "GBK", MH_LIT("\xD6\xD0"), MH_LIT("\xE4\xB8\xAD"), false },
	{ "GB18030, four bytes", "gb18030", MH_LIT("\x81\x30\x81\x30"), MH_LIT("\xC2\x80"), false },
	{ "Big5", "big5", MH_LIT("\xA4\xA4"), MH_LIT("\xE4\xB8\xAD"), false },
	{ "Big5, half a character", "big5", MH_LIT("a\xA4"), MH_LIT("a" FFFD), false },
	{ "UTF-16 with a mark", "utf-16", MH_LIT("\xFE\xFF\0a\0b"), MH_LIT("ab"), false },
	{ "UTF-16LE", "utf-16le", MH_LIT("a\0\xAC\x20"), MH_LIT("a\xE2\x82\xAC"), false },
	{ "UTF-16BE", "utf-16be", MH_LIT("\0a\x20\xAC"), MH_LIT("a\xE2\x82\xAC"), false },
	{ "UTF-16LE, a surrogate alone", "utf-16le",
	    MH_LIT("\0\xDC"
		   "a\0"),
	    MH_LIT(FFFD "a"), false },
	{ "UTF-16LE, an odd byte", "utf-16le", MH_LIT("a\0b"), MH_LIT("a" FFFD), false },
	{ "UTF-7", "utf-7", MH_LIT("a +AOk- b"), MH_LIT("a \xC3\xA9 b"), false },
	{ "Shift_JIS, bytes that are none", "shift_jis",
	    MH_LIT("a\xFF"
		   "b"),
	    MH_LIT("a" FFFD "b"), false },
	{ "unknown charset, UTF-8 inside", "x-klingon", MH_LIT("caf\xC3\xA9"), MH_LIT("caf\xC3\xA9"), true },
	{ "unknown charset, bytes", "x-klingon", MH_LIT("caf\xE9"), MH_LIT("caf\xC3\xA9"), true },
	{ "a name without an end", "utf-8utf-8utf-8utf-8utf-8utf-8utf-8utf-8utf-8", MH_LIT("x"), MH_LIT("x"), true },
	{ "nothing", "utf-8", MH_LIT(""), MH_LIT(""), false },
	{ "nothing, by iconv", "koi8-r", MH_LIT(""), MH_LIT(""), false },
};

/* A set with the converter of one charset open. */
static struct charset_set *
set_for(const char *charset)
{
	struct charset_set *set = charset_set_new();
	struct buf raw;

	assert_non_null(set);
	buf_init(&raw, 1000);
	buf_printf(&raw, "Content-Type: text/plain; charset=%s\n", charset);
	charset_set_open(set, buf_span(&raw));
	buf_release(&raw);
	return set;
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct charset_set *set = set_for(rows[i].charset);
		char *in = exact_copy(rows[i].in);
		const struct mh_span bytes = { in, rows[i].in.n };
		struct arena a;
		struct mh_span text;
		bool unknown, cut;

		arena_init(&a, 1 << 20);
		assert_int_equal(
		    charset_to_utf8(set, span_of(rows[i].charset), bytes, 1000, &a, &text, &unknown, &cut, NULL),
		    MH_OK);
		expect_span(rows[i].name, text, rows[i].want);
		expect_number(rows[i].name, "unknown", unknown, rows[i].unknown);
		expect_number(rows[i].name, "cut", cut, false);

		for (size_t max = 0; max < rows[i].want.n; max++) { /* every maximum: a prefix of whole characters */
			assert_int_equal(
			    charset_to_utf8(set, span_of(rows[i].charset), bytes, max, &a, &text, &unknown, &cut, NULL),
			    MH_OK);
			if (text.n > max || !utf8_valid(text) || !cut)
				fail_msg("%s: %zu bytes at a maximum of %zu", rows[i].name, text.n, max);
		}
		arena_release(&a);
		free(in);
		charset_set_free(set);
	}
}

/* Whatever a message says, only what it names is opened; an unopened charset is unknown, not an error. */
static void
test_open(void **state)
{
	static const struct {
		const char *name;
		struct mh_span raw;
		const char *charset;
		bool open;
	} opens[] = {
		{ "parameter", MH_LIT("Content-Type: text/plain; charset=koi8-r"), "koi8-r", true },
		{ "quoted", MH_LIT("charset=\"koi8-r\""), "koi8-r", true },
		{ "upper case", MH_LIT("CHARSET=KOI8-R"), "koi8-r", true },
		{ "blanks and folded", MH_LIT("charset =\r\n \"koi8-r\""), "koi8-r", true },
		{ "RFC 2231", MH_LIT("charset*=koi8-r'en'x"), "koi8-r", true },
		{ "RFC 2231, a section", MH_LIT("charset*0=koi8-r"), "koi8-r", true },
		{ "encoded word", MH_LIT("Subject: =?koi8-r?B?8A==?="), "koi8-r", true },
		{ "encoded word with a language", MH_LIT("=?koi8-r*ru?B?8A==?="), "koi8-r", true },
		{ "in a quoted-printable message", MH_LIT("charset=3Dkoi8-r"), "koi8-r", true },
		{ "an alias", MH_LIT("charset=cskoi8r"), "koi8-r", true },
		{ "not named", MH_LIT("charset=utf-8"), "koi8-r", false },
		{ "named elsewhere", MH_LIT("koi8-r =koi8-r x=koi8-r"), "koi8-r", false },
		{ "no bytes", MH_LIT(""), "koi8-r", false },
		{ "ends at the name", MH_LIT("charset="), "koi8-r", false },
		{ "ends at the word", MH_LIT("=?"), "koi8-r", false },
		{ "ends in the name", MH_LIT("charset=koi8-x"), "koi8-r", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(opens) / sizeof(opens[0]); i++) {
		struct charset_set *set = charset_set_new();
		char *raw = exact_copy(opens[i].raw);
		struct arena a;
		struct mh_span text;
		bool unknown, cut;

		assert_non_null(set);
		arena_init(&a, 1 << 20);
		charset_set_open(set, (struct mh_span){ raw, opens[i].raw.n });
		assert_int_equal(charset_to_utf8(set, span_of(opens[i].charset), MH_LIT("\xF0"), 100, &a, &text,
				     &unknown, &cut, NULL),
		    MH_OK);
		expect_number(opens[i].name, "unknown", unknown, !opens[i].open);
		expect_span(opens[i].name, text, opens[i].open ? MH_LIT("\xD0\x9F") : MH_LIT("\xC3\xB0"));
		arena_release(&a);
		free(raw);
		charset_set_free(set);
	}
}

/* Each charset that needs a converter has one on this system, and no set at all makes it unknown. */
static void
test_all_open(void **state)
{
	(void)state;
	for (size_t id = 0; id < CHARSETS; id++) {
		const char *name = charset_iconv_names[id];
		if (name == NULL)
			continue;

		struct charset_set *set = set_for(name);
		struct arena a;
		struct mh_span text;
		bool unknown, cut;

		arena_init(&a, 1 << 20);
		if (charset_id(span_of(name)) >= CHARSETS)
			fail_msg("%s is no name of the list", name);
		assert_int_equal(
		    charset_to_utf8(set, span_of(name), MH_LIT("a"), 100, &a, &text, &unknown, &cut, NULL), MH_OK);
		expect_number(name, "unknown", unknown, false);
		assert_int_equal(
		    charset_to_utf8(NULL, span_of(name), MH_LIT("a"), 100, &a, &text, &unknown, &cut, NULL), MH_OK);
		expect_number(name, "unknown without a set", unknown, true);
		arena_release(&a);
		charset_set_free(set);
	}
	charset_set_free(NULL);
}

/* A long text crosses the converter's block, and what one text leaves behind does not reach the next. */
static void
test_blocks(void **state)
{
	struct charset_set *set = set_for("iso-2022-jp");
	struct buf in, want;
	struct arena a;
	struct mh_span text;
	bool unknown, cut;

	(void)state;
	arena_init(&a, 1 << 20);
	buf_init(&in, 1 << 20);
	buf_init(&want, 1 << 20);
	buf_puts(&in, "\x1B$B");
	for (size_t i = 0; i < 20000; i++) {
		buf_puts(&in, "$\"");
		buf_puts(&want, "\xE3\x81\x82");
	}
	assert_int_equal(
	    charset_to_utf8(set, MH_LIT("iso-2022-jp"), buf_span(&in), 1 << 20, &a, &text, &unknown, &cut, NULL),
	    MH_OK);
	expect_span("20,000 characters", text, buf_span(&want));
	assert_int_equal(
	    charset_to_utf8(set, MH_LIT("iso-2022-jp"), MH_LIT("$\""), 100, &a, &text, &unknown, &cut, NULL), MH_OK);
	expect_span("the state was reset", text, MH_LIT("$\""));
	assert_int_equal(
	    charset_to_utf8(set, MH_LIT("iso-2022-jp"), buf_span(&in), 1000, &a, &text, &unknown, &cut, NULL), MH_OK);
	expect_number("cut", "bytes", text.n, 999);
	expect_number("cut", "cut", cut, true);

	a.fail_at = 1;
	assert_int_equal(
	    charset_to_utf8(set, MH_LIT("iso-2022-jp"), MH_LIT("$\""), 100, &a, &text, &unknown, &cut, NULL), MH_LIMIT);
	buf_release(&in);
	buf_release(&want);
	arena_release(&a);
	charset_set_free(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_open),
		cmocka_unit_test(test_all_open),
		cmocka_unit_test(test_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
