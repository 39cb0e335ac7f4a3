/* explain_dates.c: every date of a mail, and why it is the expiry or is not: for a person who asks.
 *
 * The expiry is what a definition's own sentence states; nothing here chooses. What the other dates are is told by the
 * words around them, as well as words can tell it.
 */
#include <string.h>

#include "parsers/date.h"
#include "parsers/explain.h"
#include "parsers/fields.h"

#define MAX_DATES 100 /* of one message: more are no help */
#define MAX_DATE_WORDS 6
#define MAX_DATE_BYTES 60
#define MAX_BEFORE 200      /* bytes in front of a date that may say what it is */
#define MAX_BRACKETS 600    /* bytes of a banner in brackets */
#define MAX_ATTRIBUTION 300 /* "On Wed, Oct 27, 2021 at 9:31 AM Somebody <address> wrote:" */

struct dates {
	const struct engine *e;
	size_t n;
	bool in_field; /* a date was seen in the date line of the forward at hand */
};

/* What stands in front of text[at], as far as its sentence goes. */
static struct mh_span
before(struct mh_span text, size_t at)
{
	const size_t from = at > MAX_BEFORE ? at - MAX_BEFORE : 0;
	struct mh_span s = { text.p + from, at - from };

	for (size_t i = s.n; i-- > 1;)
		if (s.p[i] == ' ' && (s.p[i - 1] == '.' || s.p[i - 1] == '!' || s.p[i - 1] == '?'))
			return span_from(s, i + 1);
	return s;
}

/* The last word of s that ends with it, blanks and one colon behind it allowed. */
static bool
ends_with(struct mh_span s, const char *word)
{
	s = span_trim(s);
	if (span_iends(s, MH_LIT(":")))
		s = span_trim(span_head(s, s.n - 1));
	const size_t n = strlen(word);
	return span_iends(s, span_of(word)) && (s.n == n || s.p[s.n - n - 1] == ' ' || s.p[s.n - n - 1] == '*');
}

/* A weekday may stand in front of the date that date_read found without it. */
static const char *
by_words(struct mh_span s)
{
	static const struct {
		const char *word, *why;
	} rows[] = {
		{ "End time", "the event's end time, which is not the expiry" },
		{ "endTime", "the event's end time, which is not the expiry" },
		{ "Start time", "the event's start time" },
		{ "startTime", "the event's start time" },
		{ "Last updated", "when the event was changed last" },
		{ "lastUpdatedTime", "when the event was changed last" },
		{ "time", "when the event was sent" },
		{ "Date", "when it was sent" },
		{ "Sent", "when it was sent" },
		{ "Gesendet", "when it was sent" },
		{ "before", "a deadline (\"before\"): by then something must be done" },
		{ "by", "a deadline (\"by\"): by then something must be done" },
		{ "until", "a deadline (\"until\"): by then something must be done" },
		{ "prior to", "a deadline (\"prior to\"): by then something must be done" },
		{ "no later than", "a deadline (\"no later than\"): by then something must be done" },
		{ "starting", "when something begins" },
		{ "since", "when something began" },
		{ "as of", "when something begins" },
		{ "after", "after it something else happens" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (ends_with(s, rows[i].word))
			return rows[i].why;
	return NULL;
}

static bool
in_link(struct mh_span text, size_t at)
{
	size_t from = at;

	while (from > 0 && text.p[from - 1] != ' ' && text.p[from - 1] != '\n' && at - from < MAX_BRACKETS)
		from--;
	return span_find((struct mh_span){ text.p + from, at - from }, MH_LIT("://"), 0) != SIZE_MAX;
}

/* "[Starting September 15, 2025, emails ... See footer for details.]" */
static bool
in_brackets(struct mh_span text, size_t at)
{
	for (size_t i = at; i-- > 0 && at - i < MAX_BRACKETS;) {
		if (text.p[i] == ']')
			return false;
		if (text.p[i] == '[')
			return span_find(span_head(span_from(text, at), MAX_BRACKETS), MH_LIT("]"), 0) != SIZE_MAX;
	}
	return false;
}

static bool
above_quotation(struct mh_span text, size_t end)
{
	static const char *const words[] = { " wrote:", " schrieb", "a écrit", "のメール" };
	const struct mh_span behind = span_head(span_from(text, end), MAX_ATTRIBUTION);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (span_find(behind, span_of(words[i]), 0) != SIZE_MAX)
			return true;
	return false;
}

/* Whether the date stands in the date line of a forward, as the part has it. */
static bool
in_date_field(const struct engine *e, size_t view, size_t at)
{
	const struct view *v = &e->views.items[view];
	enum field_name name;
	struct mh_span words, value;
	size_t offset;

	if (v->kind != VIEW_FORWARD || !carriage_locate(&e->views, view, at, &offset))
		return false;

	const struct mh_span text = v->part->text;
	size_t start = offset, end = offset;
	while (start > 0 && text.p[start - 1] != '\n')
		start--;
	while (end < text.n && text.p[end] != '\n')
		end++;
	(void)quote_depth((struct mh_span){ text.p + start, end - start }, &words);
	return field_line(words, &name, &value) && name == FIELD_DATE;
}

static const struct taken_date *
taken_at(const struct engine *e, size_t view, size_t start, size_t end)
{
	for (size_t i = 0; i < e->n_taken; i++) {
		const struct taken_date *t = &e->taken[i];

		if (t->view == view && t->at < end && start < t->at + (t->bytes > 0 ? t->bytes : 1))
			return t;
	}
	return NULL;
}

/* Whether a date that counts says the same instant, or the same day. */
static bool
says_again(const struct engine *e, const struct date *d)
{
	for (size_t i = 0; i < e->n_found; i++) {
		const int64_t expires = e->found[i].notice.expires;

		if (d->has_time ? expires == d->when : time_day(expires) == time_day(d->when))
			return true;
	}
	return false;
}

static void
tell(struct dates *d, size_t view, struct mh_span text, const struct date *date, const char *words)
{
	d->n++;
	explain(d->e, &(struct decision){ DECISION_DATE, COUNTS_NOT, NO_SLOT, view, .text = text, .words = words,
			  .time = date == NULL ? NULL : &date->when });
}

/* The date at v->text[at]; date == NULL: it cannot be read, and why says why not. */
static void
judge_date(struct dates *d, size_t view, struct mh_span at, const struct date *date, const char *why)
{
	const struct view *v = &d->e->views.items[view];
	const size_t start = (size_t)(at.p - v->text.p);
	const struct taken_date *t = taken_at(d->e, view, start, start + at.n);
	const struct mh_span front = before(v->text, start);
	const char *words = NULL;

	if (t != NULL) {
		d->n++;
		explain(d->e, &(struct decision){ DECISION_DATE, t->refused ? COUNTS_NOT : COUNTS, t->slot, view,
				  t->pattern + 1, at, t->refused ? t->why.p : "the definition's own sentence states it",
				  NULL, date == NULL ? NULL : &date->when });
		return;
	}
	if (in_date_field(d->e, view, start)) {
		d->in_field = true;
		words = "the forward's date line: stated days are counted from it";
	} else if (above_quotation(v->text, start + at.n)) {
		words = "when a quoted message was written";
	} else if (in_link(v->text, start)) {
		words = "a part of a link";
	} else if (span_iends(span_trim(front), MH_LIT("©")) || ends_with(front, "copyright")) {
		words = "a copyright's";
	} else if (in_brackets(v->text, start)) {
		words = "a banner's, in brackets";
	} else if (date != NULL && says_again(d->e, date)) {
		words = "says again what counts already";
	} else {
		words = by_words(front);
	}
	if (words == NULL)
		words = why != NULL ? why : "no pattern reads it";
	tell(d, view, at, date, words);
}

/* © 2025: a year, and no date; but a person who asks about dates asks about it. */
static bool
copyright_year(struct mh_span rest, size_t *ret_bytes)
{
	static const char *const marks[] = { "© ", "©", "(c) " };

	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		const size_t n = strlen(marks[i]);

		if (!span_istarts(rest, span_of(marks[i])) || rest.n < n + 4)
			continue;
		for (size_t k = n; k < n + 4; k++)
			if (rest.p[k] < '0' || rest.p[k] > '9')
				return false;
		*ret_bytes = n + 4;
		return true;
	}
	return false;
}

static bool
begins_word(struct mh_span text, size_t i)
{
	if (i == 0)
		return true;
	const char c = text.p[i - 1];
	return !((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'));
}

/* About how far a date goes that cannot be read: some words of digits and names, to the end of a sentence. */
static size_t
date_bytes(struct mh_span rest)
{
	size_t end = 0;

	for (int words = 0; words < MAX_DATE_WORDS && end < rest.n; words++) {
		const struct mh_span word = span_from(rest, end > 0 ? end + 1 : 0);
		const size_t blank = span_find(word, MH_LIT(" "), 0), n = blank == SIZE_MAX ? word.n : blank;
		const char c = n > 0 ? word.p[0] : '\0';

		if (end > 0 && !(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !span_starts(word, MH_LIT("at ")))
			break;
		end = (size_t)(word.p - rest.p) + n;
		if (n > 0 && word.p[n - 1] == '.')
			break;
	}
	return end > MAX_DATE_BYTES ? utf8_cut(rest, MAX_DATE_BYTES) : end;
}

static void
text_dates(struct dates *d, size_t view, enum date_order order)
{
	const struct mh_span text = d->e->views.items[view].text;

	for (size_t i = 0; i < text.n && d->n < MAX_DATES;) {
		const struct mh_span rest = span_from(text, i);
		const char c = text.p[i];
		struct mh_err why = { 0 };
		struct date date;
		size_t n = 1;

		if (copyright_year(rest, &n)) {
			tell(d, view, span_head(rest, n), NULL, "a copyright's year, and no date");
		} else if (((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')) && begins_word(text, i)) {
			switch (date_read(rest, order, &date, &why)) {
			case MH_OK:
				n = date.at.n;
				judge_date(d, view, date.at, &date, NULL);
				break;
			case MH_SKIP:
				break;
			case MH_BAD:
			case MH_RETRY:
			case MH_LIMIT:
				n = date_bytes(rest);
				judge_date(d, view, span_head(rest, n), NULL, why.text);
				break;
			}
		}
		i += n;
	}
}

/* The dates of an event's own fields: "endTime":"...". What its description says is a view of its own. */
static void
event_dates(struct dates *d, size_t view)
{
	const struct mh_span text = d->e->views.items[view].lines;

	for (size_t i = 1; i < text.n && d->n < MAX_DATES; i++) {
		const char c = text.p[i];
		struct date date;

		if (text.p[i - 1] != '"' || !((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z')) ||
		    date_read(span_from(text, i), DATE_NO_ORDER, &date, NULL) != MH_OK)
			continue;

		size_t end = i;
		while (end > 0 && memchr("\\\": \n", text.p[end - 1], 5) != NULL)
			end--;
		size_t start = end;
		while (start > 0 && ((text.p[start - 1] >= 'a' && text.p[start - 1] <= 'z') ||
					(text.p[start - 1] >= 'A' && text.p[start - 1] <= 'Z')))
			start--;
		if (end == start)
			continue;
		const char *words = by_words((struct mh_span){ text.p + start, end - start });
		if (words != NULL)
			tell(d, view, date.at, &date, words);
		i += date.at.n;
	}
}

/* A message's own Date, once. */
static void
header_date(struct dates *d, size_t view)
{
	const struct view *v = &d->e->views.items[view];
	const size_t number = v->part == NULL ? 0 : v->part->message;

	if (!v->has_date || (v->kind != VIEW_MESSAGE && v->kind != VIEW_RFC822))
		return;
	for (size_t i = 0; i < view; i++) {
		const struct view *other = &d->e->views.items[i];

		if (other->kind == v->kind && other->part != NULL && other->part->message == number)
			return;
	}

	const struct mail_field *f = mail_field(&d->e->mail->messages[number], "Date");
	d->n++;
	explain(d->e,
	    &(struct decision){ DECISION_DATE, COUNTS_NOT, NO_SLOT, view, .text = f == NULL ? MH_NONE : f->value,
		.words = "the Date field: stated days are counted from it", .place = "header", .time = &v->date });
}

/* A forward's date line in words that only a header's reader knows: "mercredi 5 novembre 2025". */
static void
forward_date(struct dates *d, size_t view)
{
	const struct view *v = &d->e->views.items[view];

	if (v->kind != VIEW_FORWARD || !v->has_date)
		return;
	d->n++;
	explain(d->e, &(struct decision){ DECISION_DATE, COUNTS_NOT, NO_SLOT, view, .text = span_head(v->text, 0),
			  .words = "the forward's date line: stated days are counted from it", .time = &v->date });
}

void
explain_dates(const struct engine *e)
{
	struct dates d = { .e = e };

	for (size_t i = 0; i < e->views.n && d.n < MAX_DATES; i++) {
		enum date_order order = DATE_NO_ORDER;

		for (size_t k = 0; k < e->n_taken; k++)
			if (e->taken[k].view == i)
				order = e->d->slots[e->taken[k].slot].def->dates;
		d.in_field = false;
		header_date(&d, i);
		if (e->views.items[i].text.p == NULL)
			event_dates(&d, i);
		else
			text_dates(&d, i, order);
		if (!d.in_field)
			forward_date(&d, i);
	}
	if (d.n == MAX_DATES)
		explain(e, &(struct decision){
			       DECISION_DATE, .slot = NO_SLOT, .view = NO_VIEW, .words = "more dates than are told" });
}
