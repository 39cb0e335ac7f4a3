/* instant.c: UTC seconds to and from civil dates and RFC 3339 text; no libc calendar, so no locale and no zone. */
#include "mailhook/mailhook.h"

/* Days since 1970-01-01, counted in eras of 400 years from 1 March, so that the leap day is a year's last. */
static int64_t
days_of_civil(int year, int month, int day)
{
	const int64_t y = month <= 2 ? (int64_t)year - 1 : year;
	const int64_t era = (y >= 0 ? y : y - 399) / 400;
	const int64_t year_of_era = y - era * 400;
	const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

	return era * 146097 + day_of_era - 719468;
}

int64_t
time_of_civil(int year, int month, int day, int hour, int minute, int second)
{
	return days_of_civil(year, month, day) * MH_DAY_S + (int64_t)hour * 3600 + (int64_t)minute * 60 + second;
}

int64_t
time_day(int64_t t)
{
	return (t >= 0 ? t : t - (MH_DAY_S - 1)) / MH_DAY_S;
}

void
time_to_civil(int64_t t, int *ret_year, int *ret_month, int *ret_day)
{
	const int64_t z = time_day(t) + 719468;
	const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	const int64_t doe = z - era * 146097;
	const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	const int64_t mp = (5 * doy + 2) / 153;
	const int64_t month = mp < 10 ? mp + 3 : mp - 9;

	*ret_day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*ret_month = (int)month;
	*ret_year = (int)(yoe + era * 400 + (month <= 2));
}

const char *
time_text(char dst[MH_TIME_TEXT], int64_t t)
{
	const int64_t first = time_of_civil(1, 1, 1, 0, 0, 0), last = time_of_civil(9999, 12, 31, 23, 59, 59);
	int year, month, day;

	t = t < first ? first : t > last ? last : t; /* four digits of year is what RFC 3339 has */
	time_to_civil(t, &year, &month, &day);

	const int second = (int)(t - time_day(t) * MH_DAY_S);
	const int pairs[] = { year / 100, year % 100, month, day, second / 3600, second / 60 % 60, second % 60 };
	char *p = dst;

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) { /* once a notice: no printf */
		*p++ = (char)('0' + pairs[i] / 10);
		*p++ = (char)('0' + pairs[i] % 10);
		*p = "\0--T::Z"[i];
		p += *p != '\0';
	}
	*p = '\0';
	return dst;
}

/* n digits at *s, which moves past them; -1 where there are fewer. */
static int
digits(struct mh_span *s, size_t n)
{
	int value = 0;

	if (s->n < n)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (s->p[i] < '0' || s->p[i] > '9')
			return -1;
		value = value * 10 + (s->p[i] - '0');
	}
	*s = span_from(*s, n);
	return value;
}

static bool
skip(struct mh_span *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = span_from(*s, 1);
	return true;
}

enum mh_status
time_read(struct mh_span s, int64_t *ret_t, struct mh_err *err)
{
	static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int v[6];
	static const char after[6] = "--T::Z";

	for (size_t i = 0; i < 6; i++) {
		v[i] = digits(&s, i == 0 ? 4 : 2);
		if (v[i] < 0 || !skip(&s, after[i]))
			return mh_fail(err, MH_BAD, "not a time like 2026-02-03T04:05:06Z");
	}

	const bool leap = (v[0] % 4 == 0 && v[0] % 100 != 0) || v[0] % 400 == 0;
	if (s.n != 0 || v[0] < 1 || v[1] < 1 || v[1] > 12 || v[2] < 1 ||
	    v[2] > month_days[v[1] - 1] + (v[1] == 2 && leap) || v[3] > 23 || v[4] > 59 || v[5] > 59)
		return mh_fail(err, MH_BAD, "no such time");
	*ret_t = time_of_civil(v[0], v[1], v[2], v[3], v[4], v[5]);
	return MH_OK;
}
