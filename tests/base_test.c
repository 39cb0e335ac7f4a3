/* base_test.c: errors, arena, buffer and instants. */
#include <errno.h>

#include "tests/exact.h"

/* -- errors ------------------------------------------------------------------------------------------------------- */

static void
test_fail(void **state)
{
	struct mh_err err;

	(void)state;
	assert_int_equal(mh_fail(NULL, MH_BAD, "ignored"), MH_BAD);
	assert_int_equal(mh_fail(&err, MH_LIMIT, "%d of %s", 3, "four"), MH_LIMIT);
	assert_int_equal(err.code, MH_LIMIT);
	assert_string_equal(err.text, "3 of four");

	assert_int_equal(mh_fail(&err, MH_BAD, "%0300d", 7), MH_BAD);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);

	errno = ENOENT;
	assert_int_equal(mh_fail_errno(&err, MH_RETRY, "cannot open %s", "x"), MH_RETRY);
	assert_string_equal(err.text, "cannot open x: No such file or directory");
	assert_int_equal(errno, ENOENT);
	assert_int_equal(mh_fail_errno(NULL, MH_RETRY, "ignored"), MH_RETRY);
	errno = 99999;
	(void)mh_fail_errno(&err, MH_RETRY, "x");
	assert_string_equal(err.text, "x: unknown error");
	(void)mh_fail_errno(&err, MH_RETRY, "%0155d", 7);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

/* A text that is cut must not end in half a character: it goes into logs, JSON and mail. */
static void
test_fail_cuts_characters(void **state)
{
	struct mh_err err;

	(void)state;
	for (int pad = 150; pad < 165; pad++) {
		(void)mh_fail(&err, MH_BAD, "%0*d\xE2\x82\xAC\xE2\x82\xAC\xE2\x82\xAC", pad, 0);
		if (!utf8_valid(span_of(err.text)) || strlen(err.text) >= sizeof(err.text))
			fail_msg("cut behind %d bytes: \"%s\"", pad, err.text);
	}
}

static void
test_escape(void **state)
{
	static const struct {
		const char *name;
		struct mh_span in;
		size_t room;
		const char *want;
	} rows[] = {
		{ "plain", MH_LIT("plain text"), 50, "plain text" },
		{ "nothing", MH_LIT(""), 50, "" },
		{ "control characters", MH_LIT("a\r\n\tb\x1B"), 50, "a\\x0d\\x0a\\x09b\\x1b" },
		{ "NUL and DEL", MH_LIT("\0\x7F"), 50, "\\x00\\x7f" },
		{ "8-bit bytes", MH_LIT("\xC3\xA9"), 50, "\\xc3\\xa9" },
		{ "a backslash", MH_LIT("a\\b"), 50, "a\\x5cb" },
		{ "cut", MH_LIT("abcdefghij"), 8, "abcd..." },
		{ "cut before an escape", MH_LIT("abcd\xFF"), 10, "abcd..." },
		{ "no room for the dots", MH_LIT("abc"), 3, "" },
		{ "one byte", MH_LIT("abc"), 1, "" },
		{ "no bytes", MH_LIT("abc"), 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *dst = malloc(rows[i].room == 0 ? 1 : rows[i].room);

		assert_non_null(dst);
		assert_ptr_equal(mh_escape(dst, rows[i].room, rows[i].in), dst);
		if (rows[i].want != NULL)
			expect_span(rows[i].name, span_of(dst), span_of(rows[i].want));
		free(dst);
	}
}

/* -- memory ------------------------------------------------------------------------------------------------------- */

static void
test_arena(void **state)
{
	struct arena a;
	struct mh_span s;
	struct mh_err err;

	(void)state;
	arena_init(&a, 1 << 20);
	for (size_t n = 0; n < 300; n++) {
		char *p = arena_alloc(&a, n);

		assert_non_null(p);
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xFF, n); /* the next must not be this one, and be zero again */
	}
	assert_int_equal(arena_copy(&a, MH_LIT("a\0b"), &s, &err), MH_OK);
	expect_span("copy", s, MH_LIT("a\0b"));
	assert_int_equal(s.p[s.n], '\0');
	assert_int_equal(arena_copy(&a, MH_NONE, &s, &err), MH_OK);
	assert_non_null(s.p);
	assert_int_equal(s.n, 0);
	assert_int_equal(arena_printf(&a, &s, &err, "%d-%s", 7, "x"), MH_OK);
	expect_span("printf", s, MH_LIT("7-x"));
	assert_null(arena_array(&a, SIZE_MAX / 2, 3));
	assert_non_null(arena_array(&a, 3, 5));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 8));

	a.fail_at = 2;
	assert_non_null(arena_alloc(&a, 1));
	assert_null(arena_alloc(&a, 1));
	assert_non_null(arena_alloc(&a, 1));
	a.fail_at = 1;
	assert_int_equal(arena_copy(&a, MH_LIT("x"), &s, &err), MH_LIMIT);
	a.fail_at = 1;
	assert_int_equal(arena_printf(&a, &s, &err, "x"), MH_LIMIT);
	arena_release(&a);
	arena_release(&a);
}

static void
test_arena_maximum(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 1024);
	assert_non_null(arena_alloc(&a, 1000));
	assert_null(arena_alloc(&a, 100));
	assert_non_null(arena_alloc(&a, 16));
	assert_null(arena_alloc(&a, 1));
	assert_int_equal(a.used_bytes, 1024);
	arena_reset(&a);
	assert_int_equal(a.used_bytes, 0);
	assert_non_null(arena_alloc(&a, 1024));
	assert_null(arena_alloc(&a, 0));
	arena_release(&a);

	arena_init(&a, 0);
	assert_null(arena_alloc(&a, 0));
	arena_release(&a);

	/* big blocks among small ones, and reset keeps working after both */
	arena_init(&a, 8 << 20);
	for (int round = 0; round < 3; round++) {
		char *small = arena_alloc(&a, 10);
		char *big = arena_alloc(&a, 1 << 20);
		char *again = arena_alloc(&a, 10);

		assert_non_null(small);
		assert_non_null(big);
		assert_non_null(again);
		memset(big, 1, 1 << 20);
		assert_int_equal(again[0], 0);
		arena_reset(&a);
	}

	/* many that share what is taken for them, up to the last byte */
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < 11; i++) {
			const size_t n = i < 10 ? 800000 : (8u << 20) - a.used_bytes;
			char *big = arena_alloc(&a, n);

			assert_non_null(big);
			for (size_t k = 0; k < n; k += 1000)
				assert_int_equal(big[k], 0);
			memset(big, 1, n);
		}
		assert_null(arena_alloc(&a, 1));
		arena_reset(&a);
	}
	arena_release(&a);
}

static void
test_buf(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 10);
	expect_span("empty", buf_span(&b), MH_LIT(""));
	assert_non_null(buf_span(&b).p);
	buf_clear(&b);
	buf_puts(&b, "abc");
	buf_putc(&b, '\0');
	buf_printf(&b, "%d", 42);
	expect_span("parts", buf_span(&b),
	    MH_LIT("abc\0"
		   "42"));
	assert_int_equal(b.p[b.n], '\0');
	buf_puts(&b, "1234");
	assert_true(buf_ok(&b));
	expect_span("full", buf_span(&b),
	    MH_LIT("abc\0"
		   "421234"));
	buf_putc(&b, 'x');
	assert_false(buf_ok(&b));
	expect_span("past the maximum it keeps what it had", buf_span(&b),
	    MH_LIT("abc\0"
		   "421234"));
	buf_put(&b, MH_LIT(""));
	assert_false(buf_ok(&b));
	buf_clear(&b);
	assert_true(buf_ok(&b));
	buf_printf(&b, "%s", "12345678901");
	assert_false(buf_ok(&b));
	buf_release(&b);
	buf_puts(&b, "again");
	assert_true(buf_ok(&b));
	buf_release(&b);
	buf_release(&b);

	buf_init(&b, 100000);
	for (size_t i = 0; i < 100000; i++)
		buf_putc(&b, (char)('a' + i % 26));
	assert_true(buf_ok(&b));
	assert_int_equal(b.n, 100000);
	for (size_t i = 0; i < b.n; i++)
		if (b.p[i] != (char)('a' + i % 26))
			fail_msg("byte %zu", i);
	buf_putc(&b, 'x');
	assert_false(buf_ok(&b));
	buf_release(&b);

	buf_init(&b, 0);
	buf_put(&b, MH_LIT(""));
	assert_true(buf_ok(&b));
	buf_putc(&b, 'x');
	assert_false(buf_ok(&b));
	buf_release(&b);
}

static void
test_text(void **state)
{
	static const struct {
		const char *name;
		struct mh_span in, out;
	} rows[] = {
		{ "nothing", MH_LIT(""), MH_LIT("") },
		{ "ASCII", MH_LIT("a\tb"), MH_LIT("a\tb") },
		{ "two to four bytes", MH_LIT("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"),
		    MH_LIT("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80") },
		{ "NUL", MH_LIT("\0a\0"),
		    MH_LIT("\xEF\xBF\xBD"
			   "a"
			   "\xEF\xBF\xBD") },
		{ "each bad byte",
		    MH_LIT("\xC3\xFF"
			   "a\x80"),
		    MH_LIT("\xEF\xBF\xBD\xEF\xBF\xBD"
			   "a"
			   "\xEF\xBF\xBD") },
		{ "cut", MH_LIT("a\xE2\x82"), MH_LIT("a\xEF\xBF\xBD\xEF\xBF\xBD") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b;

		buf_init(&b, 3 * rows[i].in.n + 1);
		buf_put_text(&b, rows[i].in);
		expect_span(rows[i].name, buf_span(&b), rows[i].out);
		if (!utf8_text(buf_span(&b)) || utf8_text(rows[i].in) != span_eq(rows[i].in, rows[i].out))
			fail_msg("%s: what is text", rows[i].name);
		buf_release(&b);
	}
}

/* -- instants ----------------------------------------------------------------------------------------------------- */

static void
test_time_text(void **state)
{
	static const struct {
		int64_t t;
		const char *text;
	} rows[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ -1, "1969-12-31T23:59:59Z" },
		{ 951782400, "2000-02-29T00:00:00Z" },
		{ 1770091506, "2026-02-03T04:05:06Z" },
		{ 4107542400, "2100-03-01T00:00:00Z" },
		{ -62135596800, "0001-01-01T00:00:00Z" },
		{ 253402300799, "9999-12-31T23:59:59Z" },
	};
	char text[MH_TIME_TEXT];
	int64_t t;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_string_equal(time_text(text, rows[i].t), rows[i].text);
		assert_int_equal(time_read(span_of(rows[i].text), &t, NULL), MH_OK);
		if (t != rows[i].t)
			fail_msg("%s: read as %lld", rows[i].text, (long long)t);
	}
	assert_string_equal(time_text(text, INT64_MAX), "9999-12-31T23:59:59Z");
	assert_string_equal(time_text(text, INT64_MIN), "0001-01-01T00:00:00Z");
}

static void
test_time_read_bad(void **state)
{
	static const char *const bad[] = { "", "2026", "2026-02-03", "2026-02-03T04:05:06", "2026-02-03T04:05:06z",
		"2026-02-03t04:05:06Z", "2026-02-03 04:05:06Z", "2026-02-03T04:05:06Z ", " 2026-02-03T04:05:06Z",
		"2026-02-03T04:05:06+00:00", "2026-02-03T04:05:06.5Z", "2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z",
		"2026-04-31T00:00:00Z", "2026-13-01T00:00:00Z", "2026-00-01T00:00:00Z", "2026-01-00T00:00:00Z",
		"2026-01-32T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:60:00Z", "2026-01-01T00:00:60Z",
		"0000-01-01T00:00:00Z", "20a6-01-01T00:00:00Z", "-026-01-01T00:00:00Z" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *in = exact_copy(span_of(bad[i]));
		struct mh_err err;
		int64_t t = 77;

		if (time_read((struct mh_span){ in, strlen(bad[i]) }, &t, &err) != MH_BAD)
			fail_msg("\"%s\" was read", bad[i]);
		assert_int_equal(t, 77);
		free(in);
	}
}

/* Each day from 1970 to 2199, counted by hand, to seconds and text and back. */
static void
test_each_day(void **state)
{
	static const int days_of[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t day_number = 0;

	(void)state;
	for (int year = 1970; year < 2200; year++) {
		const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

		for (int month = 1; month <= 12; month++) {
			const int days = days_of[month - 1] + (month == 2 && leap);

			for (int day = 1; day <= days; day++, day_number++) {
				const int64_t t = time_of_civil(year, month, day, 23, 59, 59);
				char text[MH_TIME_TEXT];
				int y, m, d;
				int64_t back;

				if (t != day_number * 86400 + 86399 || time_day(t) != day_number)
					fail_msg("%04d-%02d-%02d is second %lld", year, month, day, (long long)t);
				time_to_civil(t, &y, &m, &d);
				if (y != year || m != month || d != day)
					fail_msg(
					    "%04d-%02d-%02d came back as %04d-%02d-%02d", year, month, day, y, m, d);
				assert_int_equal(time_read(span_of(time_text(text, t)), &back, NULL), MH_OK);
				if (back != t)
					fail_msg("%s came back as %lld", text, (long long)back);
			}
		}
	}
	assert_int_equal(day_number, 84006);
	assert_int_equal(time_day(-1), -1);
	assert_int_equal(time_day(-86400), -1);
	assert_int_equal(time_day(-86401), -2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fail),
		cmocka_unit_test(test_fail_cuts_characters),
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_arena_maximum),
		cmocka_unit_test(test_buf),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_time_text),
		cmocka_unit_test(test_time_read_bad),
		cmocka_unit_test(test_each_day),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
