/* read_place.c: from one place where a definition's pattern matched to a notice: account, region, expiry, what is
 * required. */
#include <stdio.h>
#include <string.h>

#include "parsers/explain.h"
#include "parsers/links.h"
#include "parsers/read_view.h"

#define MAX_FOUND (4 * MH_MAX_NOTICES) /* before what was said twice is dropped; compared each with each */

static bool
read_days(struct mh_span s, int32_t *ret)
{
	int32_t value = 0;

	s = span_trim(s);
	if (s.n == 0 || s.n > 5)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		value = value * 10 + (s.p[i] - '0');
	}
	*ret = value;
	return true;
}

/* What side patterns say of the i-th place, and where that stands. ret_several: different values, so none is the one. */
static struct mh_span
side_value(const struct view_reader *r, size_t place, enum fact fact, struct mh_span *ret_stood, bool *ret_several)
{
	const size_t start = place == 0 ? 0 : r->places[place].start;
	const size_t end = place + 1 < r->n_places ? r->places[place + 1].start : SIZE_MAX;
	const size_t first = r->n_places > 0 ? r->places[0].start : 0;
	struct mh_span own = MH_NONE, shared = MH_NONE, own_stood = MH_NONE, shared_stood = MH_NONE;

	*ret_several = false;
	for (size_t i = 0; i < r->n_side; i++) {
		const struct side_fact *s = &r->side[i];

		if (s->fact != fact)
			continue;
		if (s->at >= start && s->at < end) {
			*ret_several = *ret_several || (own.p != NULL && !span_ieq(own, s->value));
			own_stood = own.p == NULL ? s->stood : own_stood;
			own = own.p == NULL ? s->value : own;
		} else if (s->at < first && shared.p == NULL) {
			shared = s->value;
			shared_stood = s->stood;
		}
	}
	*ret_stood = own.p == NULL ? shared_stood : own_stood;
	return own.p == NULL ? shared : own;
}

static bool
differs(struct mh_span a, struct mh_span b)
{
	return a.p != NULL && b.p != NULL && !span_eq(a, b);
}

/* A miss was noted: no error, and no notice. */
static enum mh_status
missed(enum mh_status noted)
{
	return noted == MH_OK ? MH_SKIP : noted;
}

/* "contradiction: ..." as the miss that it is. */
static enum mh_status
contradiction(struct view_reader *r, const char *what, struct mh_span a, const char *where_a, struct mh_span b,
    const char *where_b)
{
	char text[200];

	(void)snprintf(text, sizeof(text), "contradiction: %s %.*s in the %s, %.*s in the %s", what, (int)a.n, a.p,
	    where_a, (int)b.n, b.p, where_b);
	return view_miss(r, false, text);
}

static const char *
typed_name(const struct view *v)
{
	return v->kind == VIEW_EVENT ? "event" : "metadata";
}

static void
explain_fact(
    const struct view_reader *r, const char *name, struct mh_span value, const char *where, struct mh_span stood)
{
	const bool in_text = stood.p != NULL && strcmp(where, "text") == 0;

	explain_words(r->e,
	    (struct decision){ DECISION_FACT, COUNTS, r->slot, r->view_index, .text = in_text ? stood : value,
		.place = in_text ? NULL : where },
	    "the %s, from the %s", name, where);
}

/* The account of an aws.* notice. MH_SKIP: a miss was noted. */
static enum mh_status
aws_account(struct view_reader *r, struct mh_span said, struct mh_span stood, bool several, struct mh_span *ret)
{
	struct arena *a = r->e->arena;
	const struct view *v = r->v;
	const struct mh_span subject = r->subject_account;
	struct mh_span text = MH_NONE, unused = MH_NONE;

	if (v->account_unread)
		return missed(view_miss(r, false, "no account: the metadata's cannot be read"));
	if (several)
		return missed(view_miss(r, false, "no account: the text names several for one date"));
	(void)account_read(span_trim(said), a, &text);
	if (r->subject_names_two)
		return missed(view_miss(r, false, "contradiction: the subject names two accounts"));

	if (differs(text, v->account))
		return missed(contradiction(r, "account", text, "text", v->account, typed_name(v)));
	const struct mh_span better = v->account.p != NULL ? v->account : text;
	if (differs(better, subject))
		return missed(contradiction(
		    r, "account", subject, "subject", better, v->account.p != NULL ? typed_name(v) : "text"));

	struct mh_span account = better.p != NULL ? better : subject;
	const char *where = v->account.p != NULL ? typed_name(v) : text.p != NULL ? "text" : "subject";
	for (size_t m = v->part == NULL ? 0 : v->part->message; account.p == NULL; m = r->e->mail->messages[m].parent) {
		/* A forward that dropped the subject inside may have kept it outside. */
		const struct mail_field *f = mail_field(&r->e->mail->messages[m], "Subject");

		if (f != NULL)
			(void)subject_facts(f->value, a, &account, &unused);
		where = "subject around it";
		if (m == 0)
			break;
	}
	if (account.p == NULL)
		return missed(view_miss(r, false, "no account"));
	explain_fact(r, "account", account, where, stood);
	*ret = account;
	return MH_OK;
}

/* With what a Reference or a link of the view says, which costs a walk through all its text. */
static const struct view_reader *
referred(struct view_reader *r)
{
	if (!r->referred)
		view_reference(r->v, r->e->arena, &r->referred_region, &r->referred_event);
	r->referred = true;
	return r;
}

/* The region; MH_SKIP: a miss was noted. */
static enum mh_status
find_region(struct view_reader *r, struct mh_span said, struct mh_span stood, struct mh_span *ret)
{
	struct arena *a = r->e->arena;
	const struct view *v = r->v;
	const struct mh_span subject = r->subject_region;
	struct mh_span text = MH_NONE;

	(void)region_read(span_trim(said), a, &text);
	const struct mh_span better = v->region.p != NULL ? v->region : text;
	if (differs(better, subject))
		return missed(contradiction(
		    r, "region", subject, "subject", better, v->region.p != NULL ? typed_name(v) : "text"));
	*ret = better.p != NULL ? better : subject;
	const char *where = v->region.p != NULL ? typed_name(v) : text.p != NULL ? "text" : "subject";
	if (ret->p == NULL) {
		*ret = referred(r)->referred_region;
		where = "ARN of the event in a link";
	}
	if (ret->p != NULL)
		explain_fact(r, "region", *ret, where, stood);
	return MH_OK;
}

/* A value that is words: one line, of bounded length, without control characters; else unknown. */
static struct mh_span
clean_value(struct mh_span s)
{
	s = span_trim(s);
	if (s.n == 0 || s.n > MH_MAX_FACT_BYTES)
		return MH_NONE;
	for (size_t i = 0; i < s.n; i++) {
		const unsigned char c = (unsigned char)s.p[i];

		if (c < 0x20 || c == 0x7F)
			return MH_NONE;
	}
	return s;
}

static struct mh_span
find_event(struct view_reader *r)
{
	struct mh_span event = r->v->event;

	if (event.p == NULL)
		event = referred(r)->referred_event;
	for (size_t i = 0; i < event.n; i++) {
		const char c = event.p[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'))
			return MH_NONE; /* a detail-type is no code */
	}
	return event.n > 0 && event.n <= MH_MAX_FACT_BYTES ? event : MH_NONE;
}

/* Whether the stated days lead from one of the carriage's dates to the expiry, give or take one. */
static bool
days_fit(const struct view *v, int64_t expires, int32_t days, int64_t *ret_between)
{
	const bool known[] = { v->has_event_time, v->has_date };
	const int64_t dates[] = { v->event_time, v->date };
	bool any = false;

	for (size_t i = 0; i < 2; i++) {
		if (!known[i])
			continue;
		const int64_t between = time_day(expires - dates[i]); /* whole days, rounded down */
		if (between - days >= -1 && between - days <= 1)
			return true;
		*ret_between = any ? *ret_between : between;
		any = true;
	}
	return !any;
}

/* A miss because of a date that a pattern took. */
static enum mh_status
explain_refused(struct view_reader *r, struct taken_date *taken, const char *why)
{
	const enum mh_status status = view_miss(r, false, why);

	if (status == MH_OK && r->e->n_misses > 0)
		taken->why = r->e->misses[r->e->n_misses - 1].why;
	explain_taken(r->e, taken);
	return status;
}

/* The expiry that stands at the place. MH_SKIP: a miss was noted. */
static enum mh_status
stated_date(struct view_reader *r, const struct place *p, struct notice *n)
{
	const struct view *v = r->v;
	size_t at = (size_t)(p->facts[FACT_EXPIRES].p - v->text.p);
	struct mh_err why = { 0 };
	struct date date;
	int64_t between = 0;
	char text[200];

	while (at < v->text.n && v->text.p[at] == '*') /* bold, as text or markdown has it */
		at++;
	struct taken_date taken = { r->view_index, at, 0, r->slot, p->pattern, .why = MH_NONE };

	switch (date_read(span_from(v->text, at), r->def->dates, &date, &why)) {
	case MH_OK:
		taken.at = (size_t)(date.at.p - v->text.p);
		taken.bytes = date.at.n;
		n->expires = date.when;
		n->precision = date.has_time ? MH_SECOND : MH_DAY;
		break;
	case MH_SKIP:
		return missed(view_miss(r, true, "no date"));
	case MH_BAD:
	case MH_RETRY:
	case MH_LIMIT:
		taken.refused = true;
		return missed(explain_refused(r, &taken, why.text));
	}

	if (n->days_stated >= 0 && !days_fit(v, n->expires, n->days_stated, &between)) {
		(void)snprintf(text, sizeof(text),
		    "stated days differ: %d days stated, %lld from the mail's date to the expiry", (int)n->days_stated,
		    (long long)between);
		taken.refused = true;
		return missed(explain_refused(r, &taken, text));
	}
	explain_taken(r->e, &taken);
	return MH_OK;
}

/* The expiry from stated days and a date of the carriage. MH_SKIP: a miss was noted. */
static enum mh_status
derived_date(struct view_reader *r, const struct place *p, struct notice *n)
{
	const struct view *v = r->v;

	if (n->days_stated < 0)
		return missed(view_miss(r, true, "no date"));
	if (!v->has_event_time && !v->has_date)
		return missed(view_miss(r, true, "no date, and no Date to count the days from"));

	const int64_t from = v->has_event_time ? v->event_time : v->date;
	n->expires = (time_day(from) + n->days_stated + 1) * MH_DAY_S - 1;
	n->precision = MH_DERIVED;
	explain(r->e, &(struct decision){ DECISION_DATE, COUNTS, r->slot, r->view_index, p->pattern + 1,
			  .text = p->facts[FACT_DAYS],
			  .words = v->has_event_time ? "no date stands there: these days, counted from the event's time"
						     : "no date stands there: these days, counted from the mail's Date",
			  .time = &n->expires });
	return MH_OK;
}

static enum mh_status
add_found(struct view_reader *r, struct notice n)
{
	struct engine *e = r->e;

	if (e->n_found == MAX_FOUND) {
		e->more = true;
		return MH_OK;
	}

	struct found *found = arena_grow(e->arena, e->found, e->n_found, &e->cap_found, sizeof(*found));
	if (found == NULL)
		return view_no_room(e);
	e->found = found;
	e->found[e->n_found++] = (struct found){ .notice = n, .slot = r->slot, .view = r->view_index };
	return MH_OK;
}

enum mh_status
view_read_place(struct view_reader *r, size_t number)
{
	const struct place *p = &r->places[number];
	struct notice n = { .kind = span_of(r->def->info.kind), .days_stated = -1 };
	struct mh_span said[FACT_COUNT], stood[FACT_COUNT];
	bool several[FACT_COUNT];
	enum mh_status status;

	for (size_t f = 0; f < FACT_COUNT; f++) {
		several[f] = false;
		said[f] = stood[f] = p->facts[f];
		if (p->facts[f].n == 0)
			said[f] = side_value(r, number, (enum fact)f, &stood[f], &several[f]);
	}
	if (!read_days(said[FACT_DAYS], &n.days_stated) && r->v->has_days)
		n.days_stated = r->v->days;

	status = p->facts[FACT_EXPIRES].n > 0 ? stated_date(r, p, &n) : derived_date(r, p, &n);
	if (status == MH_OK && r->v->n_accounts > 0)
		n.account = r->v->accounts[0]; /* an aggregated mail's subject names the account that got it */
	else if (status == MH_OK && (r->def->require & 1u << FACT_ACCOUNT) != 0 && span_starts(n.kind, MH_LIT("aws.")))
		status = aws_account(r, said[FACT_ACCOUNT], stood[FACT_ACCOUNT], several[FACT_ACCOUNT], &n.account);
	else if (status == MH_OK && !several[FACT_ACCOUNT])
		n.account = clean_value(said[FACT_ACCOUNT]);
	if (status == MH_OK)
		status = find_region(r, said[FACT_REGION], stood[FACT_REGION], &n.region);
	if (status == MH_SKIP)
		return MH_OK;
	if (status != MH_OK)
		return status;
	if (!several[FACT_RESOURCE])
		n.resource = clean_value(said[FACT_RESOURCE]);
	if (n.resource.p == NULL)
		n.resource = clean_value(r->v->resource);
	if (n.resource.p != NULL)
		explain_fact(
		    r, "resource", n.resource, stood[FACT_RESOURCE].p == NULL ? "event" : "text", stood[FACT_RESOURCE]);
	n.event = find_event(r);

	const struct mh_span values[FACT_COUNT] = {
		[FACT_ACCOUNT] = n.account, [FACT_REGION] = n.region, [FACT_RESOURCE] = n.resource
	};
	for (size_t f = FACT_ACCOUNT; f < FACT_COUNT; f++) {
		char text[40];

		if ((r->def->require & 1u << f) == 0 || values[f].p != NULL)
			continue;
		(void)snprintf(text, sizeof(text), "no %s", fact_names[f]);
		return view_miss(r, false, text);
	}
	if ((r->def->require & 1u << FACT_DAYS) != 0 && n.days_stated < 0)
		return view_miss(r, false, "no days");

	if (r->v->n_accounts == 0)
		return add_found(r, n);
	for (size_t i = 0; i < r->v->n_accounts && status == MH_OK; i++) {
		n.account = r->v->accounts[i];
		status = add_found(r, n);
	}
	return status;
}
