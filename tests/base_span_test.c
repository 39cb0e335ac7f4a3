/* base_span_test.c: spans and UTF-8. */
#include "mailhook/random.h"
#include "tests/exact.h"

/* -- spans -------------------------------------------------------------------------------------------------------- */

static void
test_span_of(void **state)
{
	(void)state;
	assert_null(span_of(NULL).p);
	assert_int_equal(span_of(NULL).n, 0);
	expect_span("a C string", span_of("ab"), (struct mh_span){ "ab", 2 });
	assert_non_null(span_of("").p);
}

static void
test_compare(void **state)
{
	static const struct {
		const char *name;
		struct mh_span a, b;
		bool eq, ieq, starts, istarts, iends;
	} rows[] = {
		{ "both empty", MH_LIT(""), MH_LIT(""), true, true, true, true, true },
		{ "unknown and empty", MH_NONE, MH_LIT(""), true, true, true, true, true },
		{ "the same", MH_LIT("abc"), MH_LIT("abc"), true, true, true, true, true },
		{ "another case", MH_LIT("aBc"), MH_LIT("AbC"), false, true, false, true, true },
		{ "a head", MH_LIT("abc"), MH_LIT("ab"), false, false, true, true, false },
		{ "a head, another case", MH_LIT("abc"), MH_LIT("AB"), false, false, false, true, false },
		{ "a tail", MH_LIT("abc"), MH_LIT("bc"), false, false, false, false, true },
		{ "a tail, another case", MH_LIT("abc"), MH_LIT("BC"), false, false, false, false, true },
		{ "longer", MH_LIT("ab"), MH_LIT("abc"), false, false, false, false, false },
		{ "with NULs", MH_LIT("a\0b"), MH_LIT("a\0c"), false, false, false, false, false },
		{ "no letters fold", MH_LIT("@[`{"), MH_LIT("`{@["), false, false, false, false, false },
		{ "8-bit letters do not fold", MH_LIT("\xC4"), MH_LIT("\xE4"), false, false, false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect_number(rows[i].name, "eq", span_eq(rows[i].a, rows[i].b), rows[i].eq);
		expect_number(rows[i].name, "ieq", span_ieq(rows[i].a, rows[i].b), rows[i].ieq);
		expect_number(rows[i].name, "starts", span_starts(rows[i].a, rows[i].b), rows[i].starts);
		expect_number(rows[i].name, "istarts", span_istarts(rows[i].a, rows[i].b), rows[i].istarts);
		expect_number(rows[i].name, "iends", span_iends(rows[i].a, rows[i].b), rows[i].iends);
	}
}

static void
test_graphic(void **state)
{
	static const struct {
		const char *name;
		struct mh_span s;
		bool is;
	} rows[] = {
		{ "nothing", MH_LIT(""), false },
		{ "unknown", MH_NONE, false },
		{ "the first and the last sign", MH_LIT("!~"), true },
		{ "a blank inside", MH_LIT("a b"), false },
		{ "a line end behind", MH_LIT("ab\n"), false },
		{ "a NUL", MH_LIT("a\0b"), false },
		{ "DEL", MH_LIT("ab\x7F"), false },
		{ "the first byte past ASCII", MH_LIT("ab\x80"), false },
		{ "a letter past ASCII", MH_LIT("K\xC3\xB6ln"), false },
		{ "the last byte", MH_LIT("\xFF"), false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_number(rows[i].name, "graphic", span_is_graphic(rows[i].s), rows[i].is);
}

static void
test_cutting(void **state)
{
	const struct mh_span s = MH_LIT("abc");

	(void)state;
	expect_span("from", span_from(s, 1), MH_LIT("bc"));
	expect_span("from the end", span_from(s, 3), MH_LIT(""));
	expect_span("from past the end", span_from(s, 99), MH_LIT(""));
	assert_null(span_from(MH_NONE, 5).p);
	expect_span("head", span_head(s, 2), MH_LIT("ab"));
	expect_span("head past the end", span_head(s, 99), MH_LIT("abc"));
	expect_span("trim", span_trim(MH_LIT(" \t\r\na b\n\r\t ")), MH_LIT("a b"));
	expect_span("trim of blanks", span_trim(MH_LIT(" \t\r\n")), MH_LIT(""));
	expect_span("trim of nothing", span_trim(MH_NONE), MH_LIT(""));
	expect_span("trim leaves NULs", span_trim(MH_LIT("\0 ")), MH_LIT("\0"));
}

static void
test_lines(void **state)
{
	static const struct {
		const char *name;
		struct mh_span in;
		const char *want; /* each line in brackets */
	} rows[] = {
		{ "nothing", MH_LIT(""), "" },
		{ "LF", MH_LIT("a\nb\n"), "[a][b]" },
		{ "CRLF", MH_LIT("a\r\nb\r\n"), "[a][b]" },
		{ "no final newline", MH_LIT("a\nb"), "[a][b]" },
		{ "empty lines", MH_LIT("\n\r\n\n"), "[][][]" },
		{ "a CR at the end", MH_LIT("a\r"), "[a]" },
		{ "CR within", MH_LIT("a\rb\n"), "[a\rb]" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *in = exact_copy(rows[i].in);
		struct mh_span s = { in, rows[i].in.n }, line;
		struct buf got;

		buf_init(&got, 1000);
		while (span_line(&s, &line)) {
			buf_putc(&got, '[');
			buf_put(&got, line);
			buf_putc(&got, ']');
		}
		expect_span(rows[i].name, buf_span(&got), span_of(rows[i].want));
		buf_release(&got);
		free(in);
	}
}

static void
test_find(void **state)
{
	static const struct {
		const char *name;
		struct mh_span s, needle;
		size_t from, want, want_nocase;
	} rows[] = {
		{ "at the start", MH_LIT("abcabc"), MH_LIT("ab"), 0, 0, 0 },
		{ "the next", MH_LIT("abcabc"), MH_LIT("ab"), 1, 3, 3 },
		{ "at the end", MH_LIT("abcd"), MH_LIT("cd"), 0, 2, 2 },
		{ "from there", MH_LIT("abcd"), MH_LIT("cd"), 2, 2, 2 },
		{ "not there", MH_LIT("abcd"), MH_LIT("x"), 0, SIZE_MAX, SIZE_MAX },
		{ "cut at the end", MH_LIT("abc"), MH_LIT("cd"), 0, SIZE_MAX, SIZE_MAX },
		{ "another case", MH_LIT("xABc"), MH_LIT("abC"), 0, SIZE_MAX, 1 },
		{ "both cases of the first letter", MH_LIT("aXaYAb"), MH_LIT("ab"), 0, SIZE_MAX, 4 },
		{ "an empty needle", MH_LIT("abc"), MH_LIT(""), 2, 2, 2 },
		{ "an empty needle at the end", MH_LIT("abc"), MH_LIT(""), 3, 3, 3 },
		{ "from past the end", MH_LIT("abc"), MH_LIT(""), 4, SIZE_MAX, SIZE_MAX },
		{ "a longer needle", MH_LIT("a"), MH_LIT("ab"), 0, SIZE_MAX, SIZE_MAX },
		{ "nothing in nothing", MH_NONE, MH_LIT(""), 0, 0, 0 },
		{ "a NUL", MH_LIT("a\0b"), MH_LIT("\0b"), 0, 1, 1 },
		{ "no letter in front", MH_LIT("x</A"), MH_LIT("</a"), 0, SIZE_MAX, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *in = exact_copy(rows[i].s);
		const struct mh_span s = { rows[i].s.p == NULL ? NULL : in, rows[i].s.n };

		expect_number(rows[i].name, "place", span_find(s, rows[i].needle, rows[i].from), rows[i].want);
		expect_number(rows[i].name, "place without case", span_ifind(s, rows[i].needle, rows[i].from),
		    rows[i].want_nocase);
		free(in);
	}
}

/* As it is defined, byte by byte. */
static size_t
plain_find(struct mh_span s, struct mh_span needle, size_t from, bool any_case)
{
	for (size_t at = from; at <= s.n && needle.n <= s.n - at; at++) {
		const struct mh_span here = span_head(span_from(s, at), needle.n);

		if (any_case ? span_ieq(here, needle) : span_eq(here, needle))
			return at;
	}
	return SIZE_MAX;
}

/* Sixty-four places are looked at together, and fewer singly: each needle from each place of a longer text. */
static void
test_find_everywhere(void **state)
{
	static const char *const needles[] = { "x", "Region:", "expires on", "aaa", "ab", "", "no such", "()", "a\nB",
		"aAaAb x expires ON Region: () expires on aaab region: A\nb aab expires", "\xC3\xA4", "[", "{", "@`" };
	const char *text = "aAaAb x expires ON Region: () expires on aaab region: A\nb aab expires on\xC3\xA4 `@{[ AB "
			   "......................................................................................"
			   "Region no expires o Region: ...............................................aaa expires on";

	(void)state;
	for (size_t i = 0; i < sizeof(needles) / sizeof(needles[0]); i++) {
		char *copy = exact_copy(span_of(text));
		const struct mh_span s = { copy, strlen(text) }, needle = span_of(needles[i]);

		for (size_t from = 0; from <= s.n + 1; from++) {
			expect_number(
			    needles[i], "place", span_find(s, needle, from), plain_find(s, needle, from, false));
			expect_number(needles[i], "place without case", span_ifind(s, needle, from),
			    plain_find(s, needle, from, true));
		}
		free(copy);
	}
}

static void
test_hex_put(void **state)
{
	static const struct {
		const char *name, *want;
		unsigned char bytes[4];
		size_t n;
	} rows[] = {
		{ "none", "", { 0 }, 0 },
		{ "leading zeros stay", "000f", { 0x00, 0x0F }, 2 },
		{ "lower case", "abcdef", { 0xAB, 0xCD, 0xEF }, 3 },
		{ "every digit's end", "01f09aff", { 0x01, 0xF0, 0x9A, 0xFF }, 4 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *got = malloc(2 * rows[i].n + 1);

		assert_non_null(got);
		hex_put(got, rows[i].bytes, rows[i].n);
		expect_span(rows[i].name, span_of(got), span_of(rows[i].want));
		free(got);
	}
}

static void
test_random_hex(void **state)
{
	char one[RANDOM_HEX], two[RANDOM_HEX];

	(void)state;
	assert_int_equal(random_hex(one, NULL), MH_OK);
	assert_int_equal(random_hex(two, NULL), MH_OK);
	assert_int_equal(strspn(one, "0123456789abcdef"), RANDOM_HEX - 1);
	assert_string_not_equal(one, two);
}

/* -- UTF-8 -------------------------------------------------------------------------------------------------------- */

static void
test_utf8(void **state)
{
	static const struct {
		const char *name;
		struct mh_span s;
		bool valid;
		size_t ascii, sequence;
	} rows[] = {
		{ "nothing", MH_LIT(""), true, 0, 0 },
		{ "ASCII", MH_LIT("abc"), true, 3, 1 },
		{ "ASCII, longer than a word", MH_LIT("abcdefghijklmnopq"), true, 17, 1 },
		{ "a NUL", MH_LIT("\0"), true, 1, 1 },
		{ "two bytes", MH_LIT("\xC3\xA9"), true, 0, 2 },
		{ "three bytes", MH_LIT("\xE2\x82\xAC"), true, 0, 3 },
		{ "four bytes", MH_LIT("\xF0\x9F\x98\x80"), true, 0, 4 },
		{ "the last code point", MH_LIT("\xF4\x8F\xBF\xBF"), true, 0, 4 },
		{ "beyond it", MH_LIT("\xF4\x90\x80\x80"), false, 0, 0 },
		{ "before the surrogates", MH_LIT("\xED\x9F\xBF"), true, 0, 3 },
		{ "a surrogate", MH_LIT("\xED\xA0\x80"), false, 0, 0 },
		{ "overlong, two", MH_LIT("\xC1\xBF"), false, 0, 0 },
		{ "overlong, three", MH_LIT("\xE0\x9F\xBF"), false, 0, 0 },
		{ "overlong, four", MH_LIT("\xF0\x8F\xBF\xBF"), false, 0, 0 },
		{ "a continuation alone", MH_LIT("\x80"), false, 0, 0 },
		{ "cut, two", MH_LIT("a\xC3"), false, 1, 1 },
		{ "cut, three", MH_LIT("\xE2\x82"), false, 0, 0 },
		{ "cut, four", MH_LIT("\xF0\x9F\x98"), false, 0, 0 },
		{ "ASCII for a continuation", MH_LIT("\xC3z"), false, 0, 0 },
		{ "FE and FF", MH_LIT("abcdefgh\xFE\xFF"), false, 8, 1 },
		{ "bad at the end of a word", MH_LIT("abcdefg\x80"), false, 7, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *in = exact_copy(rows[i].s);
		const struct mh_span s = { in, rows[i].s.n };

		expect_number(rows[i].name, "valid", utf8_valid(s), rows[i].valid);
		expect_number(rows[i].name, "ASCII", utf8_ascii(s), rows[i].ascii);
		expect_number(rows[i].name, "sequence", utf8_sequence(s), rows[i].sequence);
		free(in);
	}
}

static void
test_utf8_misleads(void **state)
{
	static const struct {
		const char *name;
		struct mh_span s;
		bool want;
	} rows[] = {
		{ "a letter", MH_LIT("a"), false },
		{ "a blank", MH_LIT(" "), false },
		{ "NUL", MH_LIT("\0"), true },
		{ "a line end", MH_LIT("\n"), true },
		{ "escape", MH_LIT("\x1B"), true },
		{ "DEL", MH_LIT("\x7F"), true },
		{ "U+0080", MH_LIT("\xC2\x80"), true },
		{ "U+009F", MH_LIT("\xC2\x9F"), true },
		{ "U+00A0, a blank", MH_LIT("\xC2\xA0"), false },
		{ "U+061B, a letter's neighbour", MH_LIT("\xD8\x9B"), false },
		{ "U+061C, Arabic letter mark", MH_LIT("\xD8\x9C"), true },
		{ "U+200D, joins emoji", MH_LIT("\xE2\x80\x8D"), false },
		{ "U+200E, left to right", MH_LIT("\xE2\x80\x8E"), true },
		{ "U+200F, right to left", MH_LIT("\xE2\x80\x8F"), true },
		{ "U+2010, a hyphen", MH_LIT("\xE2\x80\x90"), false },
		{ "U+2027, a point", MH_LIT("\xE2\x80\xA7"), false },
		{ "U+2028, ends a line", MH_LIT("\xE2\x80\xA8"), true },
		{ "U+2029, ends a paragraph", MH_LIT("\xE2\x80\xA9"), true },
		{ "U+202A, embeds", MH_LIT("\xE2\x80\xAA"), true },
		{ "U+202E, overrides", MH_LIT("\xE2\x80\xAE"), true },
		{ "U+202F, a narrow blank", MH_LIT("\xE2\x80\xAF"), false },
		{ "U+2065", MH_LIT("\xE2\x81\xA5"), false },
		{ "U+2066, isolates", MH_LIT("\xE2\x81\xA6"), true },
		{ "U+2069, ends that", MH_LIT("\xE2\x81\xA9"), true },
		{ "U+206A", MH_LIT("\xE2\x81\xAA"), false },
		{ "U+20AC, the euro", MH_LIT("\xE2\x82\xAC"), false },
		{ "U+30E8, Japanese", MH_LIT("\xE3\x83\xA8"), false },
		{ "U+1F600", MH_LIT("\xF0\x9F\x98\x80"), false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *in = exact_copy(rows[i].s);

		expect_number(
		    rows[i].name, "misleads", utf8_misleads((struct mh_span){ in, rows[i].s.n }), rows[i].want);
		free(in);
	}
}

static void
test_utf8_cut(void **state)
{
	static const struct {
		const char *name;
		struct mh_span s;
		size_t max, want;
	} rows[] = {
		{ "all of it", MH_LIT("abc"), 3, 3 },
		{ "more than there is", MH_LIT("abc"), 99, 3 },
		{ "ASCII", MH_LIT("abc"), 2, 2 },
		{ "nothing", MH_LIT("abc"), 0, 0 },
		{ "before a character", MH_LIT("a\xE2\x82\xAC"), 1, 1 },
		{ "in a character, 1", MH_LIT("a\xE2\x82\xAC"), 2, 1 },
		{ "in a character, 2", MH_LIT("a\xE2\x82\xAC"), 3, 1 },
		{ "in the longest character", MH_LIT("\xF0\x9F\x98\x80"), 3, 0 },
		{ "behind a character", MH_LIT("\xC3\xA9z"), 2, 2 },
		{ "continuations without a start stay", MH_LIT("a\x80\x80\x80\x80\x80\x80"), 5, 5 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *in = exact_copy(rows[i].s);

		expect_number(
		    rows[i].name, "cut", utf8_cut((struct mh_span){ in, rows[i].s.n }, rows[i].max), rows[i].want);
		free(in);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_span_of),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_graphic),
		cmocka_unit_test(test_cutting),
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_everywhere),
		cmocka_unit_test(test_hex_put),
		cmocka_unit_test(test_random_hex),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_utf8_misleads),
		cmocka_unit_test(test_utf8_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
