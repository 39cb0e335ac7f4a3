/* parsers_date_test.c: the strict date reader. */
#include <stdio.h>

#include "parsers/date.h"
#include "tests/exact.h"

struct date_row {
	const char *name, *text;
	enum mh_status status;
	const char *when; /* RFC 3339; or the error's words */
	bool day_only;
	enum date_order order;
};

static const struct date_row rows[] = {
	{ "asctime with zone", "Tue Feb 03 04:05:06 UTC 2026.", MH_OK, "2026-02-03T04:05:06Z", false, DATE_NO_ORDER },
	{ "asctime with a padded day", "Tue Feb  3 04:05:06 UTC 2026", MH_OK, "2026-02-03T04:05:06Z", false, 0 },
	{ "asctime without weekday", "Feb 3 04:05:06 GMT 2026", MH_OK, "2026-02-03T04:05:06Z", false, 0 },
	{ "asctime over a line end", "Tue Feb\n03 04:05:06\nUTC 2026", MH_OK, "2026-02-03T04:05:06Z", false, 0 },
	{ "wrong weekday is no error", "Thu, 27 Jan 2026 01:00:00 GMT", MH_OK, "2026-01-27T01:00:00Z", false, 0 },
	{ "ACM", "Nov 14, 2024 at 23:59:59 UTC. This", MH_OK, "2024-11-14T23:59:59Z", false, 0 },
	{ "day only", "August 22, 2024.", MH_OK, "2024-08-22T23:59:59Z", true, 0 },
	{ "day only, words behind", "March 23, 2026 at your site", MH_OK, "2026-03-23T23:59:59Z", true, 0 },
	{ "day only, lost line end", "Nov 14, 2024The", MH_OK, "2024-11-14T23:59:59Z", true, 0 },
	{ "ordinal", "December 2nd, 2026", MH_OK, "2026-12-02T23:59:59Z", true, 0 },
	{ "Sept.", "Sept. 4, 2018 at 12:00 UTC", MH_OK, "2018-09-04T12:00:00Z", false, 0 },
	{ "RFC 5322", "Thu, 20 May 2021 08:00:00 GMT", MH_OK, "2021-05-20T08:00:00Z", false, 0 },
	{ "RFC 5322 with offset", "Tue, 2 Sep 2025 00:13:15 -0830 (x)", MH_OK, "2025-09-02T08:43:15Z", false, 0 },
	{ "ISO day", "2026-10-02, or", MH_OK, "2026-10-02T23:59:59Z", true, 0 },
	{ "ISO minutes", "2026-09-27 06:16 (UTC)", MH_OK, "2026-09-27T06:16:00Z", false, 0 },
	{ "RFC 3339", "2019-12-22T18:43:48Z", MH_OK, "2019-12-22T18:43:48Z", false, 0 },
	{ "RFC 3339 with fraction and offset", "2019-12-22T18:43:48.123+02:00", MH_OK, "2019-12-22T16:43:48Z", false,
	    0 },
	{ "two-digit year", "12 Nov 19 04:23 +0000)", MH_OK, "2019-11-12T04:23:00Z", false, 0 },
	{ "JST", "2020/01/01 12:00 (JST)", MH_OK, "2020-01-01T03:00:00Z", false, 0 },
	{ "noon", "Nov 14, 2024 at 12:30 PM UTC", MH_OK, "2024-11-14T12:30:00Z", false, 0 },
	{ "midnight", "Nov 14, 2024 at 12:30 AM EST", MH_OK, "2024-11-14T05:30:00Z", false, 0 },
	{ "UTC with offset", "Nov 14, 2024 23:00 UTC-02:00", MH_OK, "2024-11-15T01:00:00Z", false, 0 },
	{ "leap day", "Feb 29, 2028", MH_OK, "2028-02-29T23:59:59Z", true, 0 },
	{ "month first, as a definition says", "09/07/2026", MH_OK, "2026-09-07T23:59:59Z", true, DATE_MONTH_FIRST },
	{ "day first, as a definition says", "09/07/2026", MH_OK, "2026-07-09T23:59:59Z", true, DATE_DAY_FIRST },
	{ "ambiguous", "09/07/2026", MH_BAD, "ambiguous date 09/07/2026", false, 0 },
	{ "only one is a month: the first", "09/27/2026", MH_OK, "2026-09-27T23:59:59Z", true, 0 },
	{ "only one is a month: the second", "27/09/2026 10:00 UTC", MH_OK, "2026-09-27T10:00:00Z", false, 0 },
	{ "only one is a month, with dots", "27.09.2026", MH_OK, "2026-09-27T23:59:59Z", true, 0 },
	{ "one day either way", "05/05/2026", MH_OK, "2026-05-05T23:59:59Z", true, 0 },
	{ "neither is a month", "13/13/2026", MH_BAD, "impossible date 13/13/2026", false, 0 },
	{ "neither is a month, but different", "13/27/2026", MH_BAD, "impossible date 13/27/2026", false, 0 },
	{ "the twelfth is a month", "12/13/2026", MH_OK, "2026-12-13T23:59:59Z", true, 0 },
	{ "two months", "12/11/2026", MH_BAD, "ambiguous date 12/11/2026", false, 0 },
	{ "a definition's order is its last word", "27/09/2026", MH_BAD, "impossible date 27/09/2026", false,
	    DATE_MONTH_FIRST },
	{ "one reading, and no such day", "31/09/2026", MH_BAD, "impossible date 31/09/2026", false, 0 },
	{ "ambiguous with two-digit year", "09/07/26", MH_BAD, "ambiguous date 09/07/26", false, DATE_MONTH_FIRST },
	{ "two-digit year without a time", "12 Nov 19", MH_BAD, "ambiguous date 12 Nov 19", false, 0 },
	{ "30 February", "Feb 30, 2026", MH_BAD, "impossible date Feb 30, 2026", false, 0 },
	{ "29 February, no leap year", "Feb 29, 2100", MH_BAD, "impossible date Feb 29, 2100", false, 0 },
	{ "day 0", "Feb 0, 2026", MH_BAD, "impossible date Feb 0, 2026", false, 0 },
	{ "month 13", "2026-13-01", MH_BAD, "impossible date 2026-13-01", false, 0 },
	{ "hour 24", "Feb 3, 2026 24:00 UTC", MH_BAD, "impossible time in Feb 3, 2026 24:00 UTC", false, 0 },
	{ "minute 60", "Feb 3, 2026 23:60 UTC", MH_BAD, "impossible time in Feb 3, 2026 23:60 UTC", false, 0 },
	{ "13 PM", "Feb 3, 2026 13:00 PM UTC", MH_BAD, "impossible time in Feb 3, 2026 13:00", false, 0 },
	{ "unknown zone", "Tue Feb 03 04:05:06 IST 2026", MH_BAD, "unknown zone IST", false, 0 },
	{ "unknown zone behind a day", "Nov 14, 2024 at 23:59 BST", MH_BAD, "unknown zone BST", false, 0 },
	{ "no zone", "Nov 14, 2024 at 23:59:59 and", MH_BAD, "no zone behind the time of Nov 14, 2024 at 23:59:59",
	    false, 0 },
	{ "asctime without zone", "Tue Feb  3 04:05:06 2026", MH_BAD, "no zone in the date Tue Feb  3 04:05:06", false,
	    0 },
	{ "no year", "Nov 14 and", MH_BAD, "no year in the date Nov 14", false, 0 },
	{ "five digits of year", "Nov 14, 20245", MH_BAD, "no year in the date Nov 14,", false, 0 },
	{ "before mail was", "Nov 14, 0024", MH_BAD, "impossible date Nov 14, 0024", false, 0 },
	{ "redacted", "xxx xx:xx:xx UTC yyyy", MH_SKIP, "no date", false, 0 },
	{ "a word", "soon", MH_SKIP, "no date", false, 0 },
	{ "a verb", "may 3 times", MH_SKIP, "no date", false, 0 },
	{ "a number", "89 days", MH_SKIP, "no date", false, 0 },
	{ "a version", "1.34", MH_SKIP, "no date", false, 0 },
	{ "an address", "192.0.2.10", MH_SKIP, "no date", false, 0 },
	{ "nothing", "", MH_SKIP, "no date", false, 0 },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct date_row *r = &rows[i];
		char *text = exact_copy(span_of(r->text)), when[MH_TIME_TEXT];
		struct date date = { 0 };
		struct mh_err err = { 0 };

		expect_number(r->name, "status",
		    date_read((struct mh_span){ text, strlen(r->text) }, r->order, &date, &err), r->status);
		if (r->status == MH_OK) {
			expect_span(r->name, span_of(time_text(when, date.when)), span_of(r->when));
			expect_number(r->name, "has a time", date.has_time, !r->day_only);
		} else {
			expect_span(r->name, span_of(err.text), span_of(r->when));
		}
		free(text);
	}
}

static const struct date_row header_rows[] = {
	{ "RFC 5322", "Thu, 6 Nov 2025 02:11:12 +0100", MH_OK, "2025-11-06T01:11:12Z", false, 0 },
	{ "Gmail", "Wed, Oct 27, 2021 at 9:31 AM", MH_OK, "2021-10-27T09:31:00Z", false, 0 },
	{ "Outlook", "25 October 2021 11:17", MH_OK, "2021-10-25T11:17:00Z", false, 0 },
	{ "OWA", "Wednesday, October 27, 2021 15:14", MH_OK, "2021-10-27T15:14:00Z", false, 0 },
	{ "Outlook Mac", "Thursday, 28 October 2021 at 12:46", MH_OK, "2021-10-28T12:46:00Z", false, 0 },
	{ "Android", "May 10, 2026 12:18 PM", MH_OK, "2026-05-10T12:18:00Z", false, 0 },
	{ "German", "Mi., 27. Okt. 2021 um 09:31 Uhr", MH_OK, "2021-10-27T09:31:00Z", false, 0 },
	{ "German, numbers", "27.10.2021 09:31", MH_OK, "2021-10-27T09:31:00Z", false, 0 },
	{ "French", "mar. 4 novembre 2025 à 09:31", MH_OK, "2025-11-04T09:31:00Z", false, 0 },
	{ "Japanese", "2022年7月19日火曜日 17:55:44 -0400", MH_OK, "2022-07-19T21:55:44Z", false, 0 },
	{ "no time", "4 Nov 2025", MH_OK, "2025-11-04T00:00:00Z", false, 0 },
	{ "zone by name", "6 November 2025 at 03:11:12 CET", MH_OK, "2025-11-06T03:11:12Z", false, 0 },
	{ "nonsense", "yesterday", MH_SKIP, NULL, false, 0 },
};

static void
test_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(header_rows) / sizeof(header_rows[0]); i++) {
		const struct date_row *r = &header_rows[i];
		char *text = exact_copy(span_of(r->text)), when[MH_TIME_TEXT];
		int64_t t = 0;

		expect_number(r->name, "status", date_read_header((struct mh_span){ text, strlen(r->text) }, &t, NULL),
		    r->status);
		if (r->status == MH_OK)
			expect_span(r->name, span_of(time_text(when, t)), span_of(r->when));
		free(text);
	}
}

static const char *const months[] = { "January", "February", "March", "April", "May", "June", "July", "August",
	"September", "October", "November", "December" };
static const char *const days[] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };

struct form {
	const char *name;
	bool has_time;
	int (*write)(char *dst, size_t n, const char *weekday, int y, int m, int d);
};

static int
write_asctime(char *dst, size_t n, const char *weekday, int y, int m, int d)
{
	return snprintf(dst, n, "%s %.3s %02d 04:05:06 UTC %d", weekday, months[m - 1], d, y);
}

static int
write_acm(char *dst, size_t n, const char *weekday, int y, int m, int d)
{
	(void)weekday;
	return snprintf(dst, n, "%.3s %02d, %d at 04:05:06 UTC", months[m - 1], d, y);
}

static int
write_long(char *dst, size_t n, const char *weekday, int y, int m, int d)
{
	(void)weekday;
	return snprintf(dst, n, "%s %d, %d", months[m - 1], d, y);
}

static int
write_rfc5322(char *dst, size_t n, const char *weekday, int y, int m, int d)
{
	return snprintf(dst, n, "%s, %d %.3s %d 04:05:06 +0000", weekday, d, months[m - 1], y);
}

static int
write_iso(char *dst, size_t n, const char *weekday, int y, int m, int d)
{
	(void)weekday;
	return snprintf(dst, n, "%d-%02d-%02dT04:05:06Z", y, m, d);
}

static int
write_iso_day(char *dst, size_t n, const char *weekday, int y, int m, int d)
{
	(void)weekday;
	return snprintf(dst, n, "%d-%02d-%02d", y, m, d);
}

static int
write_slashes(char *dst, size_t n, const char *weekday, int y, int m, int d)
{
	(void)weekday;
	return snprintf(dst, n, "%d/%02d/%02d 13:05:06 (JST)", y, m, d);
}

/* Every day of 130 years in every form comes back as itself. */
static void
test_round_trip(void **state)
{
	static const struct form forms[] = {
		{ "asctime", true, write_asctime },
		{ "ACM", true, write_acm },
		{ "long", false, write_long },
		{ "RFC 5322", true, write_rfc5322 },
		{ "RFC 3339", true, write_iso },
		{ "ISO day", false, write_iso_day },
		{ "slashes", true, write_slashes },
	};
	const int64_t last = time_day(time_of_civil(2099, 12, 31, 0, 0, 0));

	(void)state;
	for (int64_t day = 0; day <= last; day++) {
		int y, m, d;

		time_to_civil(day * 86400, &y, &m, &d);
		for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
			const int64_t want =
			    forms[i].has_time ? day * 86400 + 4 * 3600 + 5 * 60 + 6 : day * 86400 + 86399;
			char text[64];
			struct date date;
			struct mh_err err = { 0 };

			(void)forms[i].write(text, sizeof(text), days[day % 7], y, m, d);
			if (date_read(span_of(text), DATE_NO_ORDER, &date, &err) != MH_OK || date.when != want)
				fail_msg("%s: \"%s\" is not itself: %s", forms[i].name, text, err.text);
			assert_int_equal(date.at.n, strlen(text));
		}
	}
}

static void
test_somewhere(void **state)
{
	static const struct {
		const char *text;
		bool date;
	} texts[] = {
		{ "it ends on March 5, 2026", true },
		{ "it ends on 09/07/2026", true },
		{ "it ends on 2026-03-05", true },
		{ "it ends on March 5", true },
		{ "it ends soon", false },
		{ "version 1.34 on 192.0.2.10 may 3 times", false },
		{ "call 206-266-4064 or case 170000000000001", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		expect_number(texts[i].text, "a date", date_somewhere(span_of(texts[i].text)), texts[i].date);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_somewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
