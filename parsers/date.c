/* date.c: own strict date reader. A recursive descent without recursion: each take_ function moves *r past what it
 * took, or leaves it. */
#include "parsers/date.h"

#include "parsers/date_words.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

struct reader {
	struct mh_span r; /* what is left */
	struct mh_span whole;
	enum date_order order;
	bool header; /* a header's or a forward's date: other languages, zone may be missing */
	struct mh_err *err;
};

struct fields {
	int year, month, day, hour, minute, second, offset_s;
	bool has_time;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (unsigned char)c >= 0x80;
}

static char
peek(const struct reader *d)
{
	return d->r.n > 0 ? d->r.p[0] : '\0';
}

static bool
take_char(struct reader *d, char c)
{
	if (d->r.n == 0 || d->r.p[0] != c)
		return false;
	d->r = span_from(d->r, 1);
	return true;
}

static void
take_blank(struct reader *d)
{
	while (d->r.n > 0 && (d->r.p[0] == ' ' || d->r.p[0] == '\t' || d->r.p[0] == '\n' || d->r.p[0] == '\r'))
		d->r = span_from(d->r, 1);
}

static struct mh_span
peek_word(const struct reader *d)
{
	size_t n = 0;

	while (n < d->r.n && is_letter(d->r.p[n]))
		n++;
	return span_head(d->r, n);
}

static bool
take_exactly(struct reader *d, struct mh_span text)
{
	if (!span_istarts(d->r, text))
		return false;
	d->r = span_from(d->r, text.n);
	return true;
}

/* A whole number of min to max digits, none behind it; false leaves the cursor. */
static bool
take_number(struct reader *d, size_t min, size_t max, int *ret)
{
	size_t n = 0;
	int value = 0;

	while (n < d->r.n && n <= max && is_digit(d->r.p[n])) {
		value = n < max ? value * 10 + (d->r.p[n] - '0') : value;
		n++;
	}
	if (n < min || n > max)
		return false;
	d->r = span_from(d->r, n);
	*ret = value;
	return true;
}

static size_t
count_digits(const struct reader *d)
{
	size_t n = 0;

	while (n < d->r.n && is_digit(d->r.p[n]))
		n++;
	return n;
}

static bool
take_month(struct reader *d, int *ret)
{
	const struct mh_span word = peek_word(d);

	/* "you may 3 times": a month of a notice is written with a capital. */
	if (word.n < 3 || (!d->header && (word.p[0] < 'A' || word.p[0] > 'Z')))
		return false;
	if (!date_month(word, d->header, ret))
		return false;
	d->r = span_from(d->r, word.n);
	(void)take_char(d, '.');
	return true;
}

static void
take_weekday(struct reader *d)
{
	const struct mh_span word = peek_word(d);

	if (!date_is_weekday(word))
		return;
	d->r = span_from(d->r, word.n);
	(void)take_char(d, '.');
	take_blank(d);
	(void)take_char(d, ',');
	take_blank(d);
}

static enum mh_status
bad(struct reader *d, const char *what, size_t show)
{
	char text[64];
	struct mh_span seen = { d->whole.p, (size_t)(d->r.p - d->whole.p) };

	if (show > 0) /* the word that is wrong, not the date so far */
		seen = span_head(d->r, show);
	return mh_fail(d->err, MH_BAD, "%s %s", what, mh_escape(text, sizeof(text), span_trim(seen)));
}

/* "+0000", "-08:00"; after "UTC" or "GMT" also. */
static bool
take_offset(struct reader *d, int *ret_s)
{
	const struct mh_span before = d->r;
	const int sign = peek(d) == '-' ? -1 : 1;
	int hours, minutes = 0;

	if (!take_char(d, '+') && !take_char(d, '-'))
		return false;
	if (take_number(d, 4, 4, &hours)) {
		minutes = hours % 100;
		hours /= 100;
	} else if (!take_number(d, 1, 2, &hours) || (take_char(d, ':') && !take_number(d, 2, 2, &minutes))) {
		d->r = before;
		return false;
	}
	if (hours > 14 || minutes > 59) {
		d->r = before;
		return false;
	}
	*ret_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

static enum mh_status
take_zone(struct reader *d, struct fields *f)
{
	const struct mh_span before = d->r;
	int hours = 0;

	take_blank(d);
	const bool paren = take_char(d, '(');
	const struct mh_span word = peek_word(d);

	if (word.n > 0 && date_zone(word, &hours)) {
		d->r = span_from(d->r, word.n);
		f->offset_s = hours * 3600;
		int more_s;
		if (hours == 0 && word.n == 3 && take_offset(d, &more_s)) /* "UTC-08:00" */
			f->offset_s = more_s;
	} else if (take_offset(d, &f->offset_s)) {
		;
	} else if (d->header) {
		d->r = before;
		f->offset_s = 0;
		return MH_OK;
	} else {
		bool capitals = word.n >= 2 && word.n <= 5;

		for (size_t i = 0; i < word.n; i++)
			capitals = capitals && word.p[i] >= 'A' && word.p[i] <= 'Z';
		if (capitals)
			return bad(d, "unknown zone", word.n);
		d->r = before;
		return bad(d, "no zone behind the time of", 0);
	}
	if (paren)
		(void)take_char(d, ')');
	return MH_OK;
}

/* HH:MM[:SS[.fraction]] [AM|PM]; MH_SKIP when none begins here. */
static enum mh_status
take_time(struct reader *d, struct fields *f)
{
	const struct mh_span before = d->r;

	if (!take_number(d, 1, 2, &f->hour) || !take_char(d, ':') || !take_number(d, 2, 2, &f->minute)) {
		d->r = before;
		return MH_SKIP;
	}
	f->second = 0;
	if (d->r.n > 1 && d->r.p[0] == ':' && is_digit(d->r.p[1])) {
		(void)take_char(d, ':');
		if (!take_number(d, 2, 2, &f->second))
			return bad(d, "impossible time in", 0);
		if (d->r.n > 1 && d->r.p[0] == '.' && is_digit(d->r.p[1])) {
			(void)take_char(d, '.');
			d->r = span_from(d->r, count_digits(d));
		}
	}

	const struct mh_span after = d->r;
	take_blank(d);
	const struct mh_span half = peek_word(d);
	if (span_ieq(half, MH_LIT("am")) || span_ieq(half, MH_LIT("pm"))) {
		if (f->hour < 1 || f->hour > 12)
			return bad(d, "impossible time in", 0);
		f->hour = f->hour % 12 + (half.p[0] == 'p' || half.p[0] == 'P' ? 12 : 0);
		d->r = span_from(d->r, half.n);
	} else {
		d->r = after;
	}
	f->has_time = true;
	return MH_OK;
}

/* What may stand between a day and its time: "at", ",", "T", "um", "à", nothing. Day only, where no time follows. */
static enum mh_status
take_time_behind(struct reader *d, struct fields *f)
{
	static const char *const joiners[] = { "at", "um", "à", "T", "-" };
	const struct mh_span before = d->r;
	enum mh_status status;

	take_blank(d);
	(void)take_char(d, ',');
	take_blank(d);
	for (size_t i = 0; i < COUNT(joiners); i++)
		if (take_exactly(d, span_of(joiners[i])))
			break;
	take_blank(d);
	if (d->header && is_letter(peek(d)) && (unsigned char)peek(d) >= 0x80) { /* a Japanese weekday */
		d->r = span_from(d->r, peek_word(d).n);
		take_blank(d);
	}
	status = take_time(d, f);
	if (status == MH_SKIP) {
		d->r = before;
		return MH_OK;
	}
	return status == MH_OK ? take_zone(d, f) : status;
}

static bool
take_year(struct reader *d, struct fields *f)
{
	return take_number(d, 4, 4, &f->year);
}

/* 2026-10-02, 2020/01/01, 2022年7月19日 */
static enum mh_status
year_first(struct reader *d, struct fields *f)
{
	static const char *const marks[][3] = { { "-", "-", "" }, { "/", "/", "" }, { "年", "月", "日" } };
	const struct mh_span before = d->r;

	for (size_t i = 0; i < COUNT(marks); i++) {
		d->r = before;
		if (take_year(d, f) && take_exactly(d, span_of(marks[i][0])) && take_number(d, 1, 2, &f->month) &&
		    take_exactly(d, span_of(marks[i][1])) && take_number(d, 1, 2, &f->day) &&
		    take_exactly(d, span_of(marks[i][2])))
			return take_time_behind(d, f);
	}
	d->r = before;
	return MH_SKIP;
}

/* What two numbers in front of a year are, where nobody says: 25 is no month, and 5 and 5 are one day either way. */
static enum date_order
only_order(int a, int b)
{
	if (a == b || b > 12)
		return DATE_MONTH_FIRST;
	return a > 12 ? DATE_DAY_FIRST : DATE_NO_ORDER;
}

/* 09/07/2026, 27.10.2021: which is the month only a definition, or the dots of a forward, can say; 02/25/2026 says it. */
static enum mh_status
all_numbers(struct reader *d, struct fields *f)
{
	const struct mh_span before = d->r;
	int a, b;

	if (!take_number(d, 1, 2, &a))
		return MH_SKIP;

	const char mark = peek(d);
	if ((mark != '/' && mark != '.' && mark != '-') || !take_char(d, mark) || !take_number(d, 1, 2, &b) ||
	    !take_char(d, mark) || (!take_year(d, f) && !(mark == '/' && take_number(d, 2, 2, &f->year)))) {
		d->r = before;
		return MH_SKIP;
	}
	enum date_order order = d->order == DATE_NO_ORDER && d->header && mark == '.' ? DATE_DAY_FIRST : d->order;
	if (order == DATE_NO_ORDER)
		order = only_order(a, b);
	if (order == DATE_NO_ORDER || f->year < 100)
		return bad(d, "ambiguous date", 0);
	f->month = order == DATE_MONTH_FIRST ? a : b;
	f->day = order == DATE_MONTH_FIRST ? b : a;
	return take_time_behind(d, f);
}

static void
take_day_suffix(struct reader *d)
{
	static const char *const suffixes[] = { "st", "nd", "rd", "th", "." };

	for (size_t i = 0; i < COUNT(suffixes); i++)
		if (take_exactly(d, span_of(suffixes[i])))
			return;
}

/* 20 May 2021 08:00:00 GMT, 12 Nov 19 04:23 +0000, 27. Okt. 2021 um 09:31 */
static enum mh_status
day_first(struct reader *d, struct fields *f)
{
	const struct mh_span before = d->r;

	if (!take_number(d, 1, 2, &f->day))
		return MH_SKIP;
	take_day_suffix(d);
	if (!take_char(d, '-'))
		take_blank(d);
	if (!take_month(d, &f->month)) {
		d->r = before;
		return MH_SKIP;
	}
	(void)take_char(d, ',');
	if (!take_char(d, '-'))
		take_blank(d);
	if (take_year(d, f))
		return take_time_behind(d, f);
	if (!take_number(d, 2, 2, &f->year))
		return bad(d, "no year in the date", 0);
	f->year += f->year < 50 ? 2000 : 1900; /* RFC 5322 4.3 */
	const enum mh_status status = take_time_behind(d, f);
	return status == MH_OK && !f->has_time ? bad(d, "ambiguous date", 0) : status;
}

/* Nov 14, 2024 at 23:59:59 UTC; Feb 03 04:05:06 UTC 2026 */
static enum mh_status
month_first(struct reader *d, struct fields *f)
{
	const struct mh_span before = d->r;

	if (!take_month(d, &f->month))
		return MH_SKIP;
	take_blank(d);
	if (!take_number(d, 1, 2, &f->day)) {
		d->r = before;
		return MH_SKIP;
	}
	take_day_suffix(d);
	take_blank(d);
	(void)take_char(d, ',');
	take_blank(d);
	if (take_year(d, f))
		return take_time_behind(d, f);

	enum mh_status status = take_time(d, f);
	if (status == MH_SKIP)
		return bad(d, "no year in the date", 0);
	if (status != MH_OK)
		return status;

	const struct mh_span after = d->r;
	take_blank(d);
	if (is_digit(peek(d)) && !d->header) /* "Feb 3 04:05:06 2026": asctime's own form has no zone */
		return bad(d, "no zone in the date", 0);
	d->r = after;
	status = take_zone(d, f);
	if (status != MH_OK)
		return status;
	take_blank(d);
	return take_year(d, f) ? MH_OK : bad(d, "no year in the date", 0);
}

static enum mh_status
check(struct reader *d, const struct fields *f, struct date *ret)
{
	static const int month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	const bool leap = (f->year % 4 == 0 && f->year % 100 != 0) || f->year % 400 == 0;

	if (f->year < 1900 || f->month < 1 || f->month > 12 || f->day < 1 ||
	    f->day > month_days[f->month - 1] + (f->month == 2 && leap))
		return bad(d, "impossible date", 0);
	if (f->has_time && (f->hour > 23 || f->minute > 59 || f->second > 59))
		return bad(d, "impossible time in", 0);
	ret->when = f->has_time ? time_of_civil(f->year, f->month, f->day, f->hour, f->minute, f->second) - f->offset_s
				: time_of_civil(f->year, f->month, f->day, 23, 59, 59);
	ret->has_time = f->has_time;
	ret->at = (struct mh_span){ d->whole.p, (size_t)(d->r.p - d->whole.p) };
	return MH_OK;
}

static enum mh_status
read_date(struct reader *d, struct date *ret)
{
	static enum mh_status (*const forms[])(
	    struct reader *, struct fields *) = { year_first, all_numbers, day_first, month_first };
	struct fields f = { 0 };
	enum mh_status status = MH_SKIP;

	take_blank(d);
	d->whole = d->r;
	take_weekday(d);
	for (size_t i = 0; i < COUNT(forms) && status == MH_SKIP; i++) {
		f = (struct fields){ 0 };
		status = forms[i](d, &f);
	}
	if (status == MH_SKIP)
		return mh_fail(d->err, MH_SKIP, "no date");
	return status == MH_OK ? check(d, &f, ret) : status;
}

enum mh_status
date_read(struct mh_span text, enum date_order order, struct date *ret, struct mh_err *err)
{
	struct reader d = { .r = text, .order = order, .err = err };

	return read_date(&d, ret);
}

enum mh_status
date_read_header(struct mh_span text, int64_t *ret_when, struct mh_err *err)
{
	struct date date;

	/* A weekday in another language is a word to step over: "Mi., 27. Okt. 2021", "mar. 4 nov. 2025". */
	for (int words = 0; words < 3; words++) {
		struct reader d = { .r = text, .header = true, .err = err };
		const enum mh_status status = read_date(&d, &date);

		if (status == MH_OK) {
			*ret_when = date.when - (date.has_time ? 0 : 86399);
			return MH_OK;
		}
		d.r = text;
		take_blank(&d);
		const size_t n = peek_word(&d).n;
		if (n == 0)
			return status;
		d.r = span_from(d.r, n);
		(void)take_char(&d, '.');
		(void)take_char(&d, ',');
		text = d.r;
	}
	return mh_fail(err, MH_SKIP, "no date");
}

bool
date_somewhere(struct mh_span text)
{
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i];
		struct date date;

		if (i > 0 && (is_digit(text.p[i - 1]) || is_letter(text.p[i - 1])))
			continue;
		if ((is_digit(c) || (c >= 'A' && c <= 'Z')) &&
		    date_read(span_from(text, i), DATE_NO_ORDER, &date, NULL) != MH_SKIP)
			return true;
	}
	return false;
}
