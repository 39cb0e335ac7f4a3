/* read_view.c: one view by one definition: claims, places, facts.
 *
 * A place is where a pattern with (?<expires>) or (?<days>) matched. What other patterns read belongs to the place in
 * front of it, or to the first where it stands in front of all: so an aggregated mail, a block for each account, comes
 * apart. Order of belief for the account: the place's own match, typed facts (event JSON, metadata block), other patterns,
 * the subject; those that are known must agree.
 */
#include <stdio.h>
#include <string.h>

#include "parsers/engine.h"
#include "parsers/prefilter.h"
#include "parsers/sentence.h"

#define MAX_PLACES (MH_MAX_NOTICES + 1)
#define MAX_FACTS 600
#define MAX_FOUND (4 * MH_MAX_NOTICES) /* before what was said twice is dropped; compared each with each */
#define LOOK_BACK_BYTES 256            /* how far before its literal a match may begin */
#define LOOK_AHEAD_BYTES 3000          /* how far behind its literal a match may go */
#define MAX_SENTENCE_BYTES 400
#define MAX_CHECKED 300                           /* literals that are looked at whether they were read */
#define MAX_COST (10 * (uint64_t)MH_MAX_CALLOUTS) /* of one message: some 0.3 s */
#define DAY_S 86400

struct place {
	size_t start, end;
	struct mh_span facts[FACT_COUNT];
	unsigned asks; /* the pattern's groups */
};

struct side_fact { /* read by a pattern without a date */
	size_t at;
	enum fact fact;
	struct mh_span value;
};

struct view_reader {
	struct engine *e;
	size_t slot, view_index;
	const struct definition *def;
	const struct view *v;
	bool strong;
	struct mh_span subject_account, subject_region; /* of the carriage's own subject */
	bool subject_names_two;
	struct place *places; /* in text order */
	size_t n_places, cap_places;
	struct side_fact *side;
	size_t n_side, cap_side;
};

/* Doubles an array in the arena. */
static bool
grow(struct arena *a, void *array, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return true;

	const size_t more = *cap == 0 ? 4 : *cap * 2;
	void *fresh = arena_array(a, more, size), *old;
	if (fresh == NULL)
		return false;
	memcpy(&old, array, sizeof(old));
	if (n > 0)
		memcpy(fresh, old, n * size);
	memcpy(array, &fresh, sizeof(fresh));
	*cap = more;
	return true;
}

static enum mh_status
no_room(const struct engine *e)
{
	return mh_fail(e->err, MH_LIMIT, "no room for notices in the message's arena");
}

static enum mh_status
add_miss(struct view_reader *r, bool no_date, const char *why)
{
	struct engine *e = r->e;
	struct mh_span copy;

	engine_say(e, "%s: not read: %s", r->def->info.name, why);
	if (e->n_misses > MH_MAX_NOTICES) /* one is a verdict, two hundred are no more of one */
		return MH_OK;
	if (arena_copy(e->arena, span_of(why), &copy, e->err) != MH_OK ||
	    !grow(e->arena, &e->misses, e->n_misses, &e->cap_misses, sizeof(*e->misses)))
		return no_room(e);
	e->misses[e->n_misses++] = (struct miss){ r->slot, r->view_index, r->strong, no_date, copy };
	return MH_OK;
}

/* -- claims ------------------------------------------------------------------------------------------------------- */

static const char *
first_phrase(const char *const *list, struct mh_span text)
{
	for (; *list != NULL; list++)
		if (find_words(text, span_of(*list), 0) != SIZE_MAX)
			return *list;
	return NULL;
}

static bool
claims(struct view_reader *r)
{
	const struct definition *def = r->def;
	const struct view *v = r->v;
	const char *why = first_phrase(def->literals, v->text), *where = "literal";

	r->strong = why != NULL;
	for (const char *const *e = def->events; why == NULL && *e != NULL; e++) {
		if (span_eq(v->event, span_of(*e))) {
			why = *e;
			where = "event code";
			r->strong = v->kind == VIEW_EVENT;
		} else if (span_find(v->text, span_of(*e), 0) != SIZE_MAX) {
			why = *e;
			where = "event code in the text";
		}
	}
	if (why == NULL) {
		why = first_phrase(def->subjects, v->subject);
		where = "subject";
	}
	if (why == NULL)
		return false;

	const char *settled = first_phrase(def->literals, v->text) != NULL ? NULL : first_phrase(def->ignore, v->text);
	if (settled == NULL)
		settled = first_phrase(def->ignore, v->subject);
	if (settled != NULL) {
		engine_say(r->e, "%s: %s \"%s\", but \"%s\" says that the matter is settled", def->info.name, where,
		    why, settled);
		r->e->settled = true;
		return false;
	}
	engine_say(r->e, "%s: claimed by %s \"%s\"", def->info.name, where, why);
	return true;
}

/* -- places ------------------------------------------------------------------------------------------------------- */

static bool
overlaps_place(const struct view_reader *r, size_t start, size_t end)
{
	for (size_t i = 0; i < r->n_places; i++)
		if (start < r->places[i].end && end > r->places[i].start)
			return true;
	return false;
}

static enum mh_status
keep_match(struct view_reader *r, const struct definition_pattern *p, const struct pattern_match *m)
{
	struct engine *e = r->e;

	if ((p->facts & (1u << FACT_EXPIRES | 1u << FACT_DAYS)) != 0) {
		if (overlaps_place(r, m->start, m->end)) /* an earlier pattern of the file read it */
			return MH_OK;
		if (r->n_places == MAX_PLACES) {
			e->more = true;
			return MH_OK;
		}
		if (!grow(e->arena, &r->places, r->n_places, &r->cap_places, sizeof(*r->places)))
			return no_room(e);

		size_t at = r->n_places++;
		for (; at > 0 && r->places[at - 1].start > m->start; at--)
			r->places[at] = r->places[at - 1];
		r->places[at] = (struct place){ .start = m->start, .end = m->end, .asks = p->facts };
		memcpy(r->places[at].facts, m->facts, sizeof(m->facts));
		return MH_OK;
	}
	for (size_t f = 0; f < FACT_COUNT; f++) {
		if (m->facts[f].n == 0 || r->n_side == MAX_FACTS)
			continue;
		if (!grow(e->arena, &r->side, r->n_side, &r->cap_side, sizeof(*r->side)))
			return no_room(e);
		struct mh_span value = m->facts[f];
		if (f == FACT_ACCOUNT) /* 8806-5649-7252 and 880656497252 are one */
			(void)account_read(span_trim(value), e->arena, &value);
		r->side[r->n_side++] = (struct side_fact){ m->start, (enum fact)f, value };
	}
	return MH_OK;
}

/* Runs one pattern around each place of its literal. */
static enum mh_status
run_pattern(struct view_reader *r, size_t number)
{
	const struct definition_pattern *p = &r->def->patterns[number];
	const struct mh_span text = r->v->text, literal = span_of(p->literal);
	const bool dated = (p->facts & (1u << FACT_EXPIRES | 1u << FACT_DAYS)) != 0;
	size_t from = 0, matches = 0;

	for (;;) {
		const size_t at = find_words(text, literal, from);
		if (at == SIZE_MAX || matches > MAX_PLACES)
			return MH_OK;

		if (dated && overlaps_place(r, at, at + literal.n)) { /* an earlier pattern read it */
			from = at + literal.n;
			continue;
		}

		struct pattern *pattern;
		enum mh_status status = definitions_pattern(r->e->d, r->slot, number, &pattern, r->e->err);
		if (status != MH_OK)
			return status;

		size_t start = p->at_start ? at : at > LOOK_BACK_BYTES ? at - LOOK_BACK_BYTES : 0;
		if (start < from && !p->at_start)
			start = from;
		while (start > 0 && start < text.n && ((unsigned char)text.p[start] & 0xC0) == 0x80)
			start--;
		const struct mh_span window = span_head(text, utf8_cut(text, at + literal.n + LOOK_AHEAD_BYTES));
		struct pattern_match m;

		status = pattern_run(pattern, window, start, p->at_start, &m, r->e->err);
		r->e->cost += pattern_cost(pattern);
		if (r->e->cost > MAX_COST)
			return mh_fail(r->e->err, MH_LIMIT, "the patterns hit their budget for one message");
		if (status == MH_OK) {
			const struct mh_span date = m.facts[FACT_EXPIRES];

			/* "(?<expires>.{6,60})" reaches beyond the date, where the next notice may begin. */
			if (date.n > 0 && date.p + date.n == text.p + m.end)
				m.end = (size_t)(date.p - text.p) + 1;
			status = keep_match(r, p, &m);
			matches++;
			from = m.end > at ? m.end : at + literal.n;
		} else if (status == MH_SKIP) {
			status = MH_OK;
			from = at + literal.n;
		}
		if (status != MH_OK)
			return status;
	}
}

/* -- facts of one place ------------------------------------------------------------------------------------------- */

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

/* What side patterns say of the i-th place. ret_several: different values, so none is the one. */
static struct mh_span
side_value(const struct view_reader *r, size_t place, enum fact fact, bool *ret_several)
{
	const size_t start = place == 0 ? 0 : r->places[place].start;
	const size_t end = place + 1 < r->n_places ? r->places[place + 1].start : SIZE_MAX;
	const size_t first = r->n_places > 0 ? r->places[0].start : 0;
	struct mh_span own = MH_NONE, shared = MH_NONE;

	*ret_several = false;
	for (size_t i = 0; i < r->n_side; i++) {
		const struct side_fact *s = &r->side[i];

		if (s->fact != fact)
			continue;
		if (s->at >= start && s->at < end) {
			*ret_several = *ret_several || (own.p != NULL && !span_ieq(own, s->value));
			own = own.p == NULL ? s->value : own;
		} else if (s->at < first && shared.p == NULL) {
			shared = s->value;
		}
	}
	return own.p == NULL ? shared : own;
}

static bool
differs(struct mh_span a, struct mh_span b)
{
	return a.p != NULL && b.p != NULL && !span_eq(a, b);
}

/* "contradiction: ..." as the miss that it is. */
static enum mh_status
contradiction(struct view_reader *r, const char *what, struct mh_span a, const char *where_a, struct mh_span b,
    const char *where_b)
{
	char text[200];

	(void)snprintf(text, sizeof(text), "contradiction: %s %.*s in the %s, %.*s in the %s", what, (int)a.n, a.p,
	    where_a, (int)b.n, b.p, where_b);
	return add_miss(r, false, text);
}

static const char *
typed_name(const struct view *v)
{
	return v->kind == VIEW_EVENT ? "event" : "metadata";
}

/* The account of an aws.* notice. MH_SKIP: a miss was noted. */
static enum mh_status
aws_account(struct view_reader *r, struct mh_span said, bool several, struct mh_span *ret)
{
	struct arena *a = r->e->arena;
	const struct view *v = r->v;
	const struct mh_span subject = r->subject_account;
	struct mh_span text = MH_NONE, unused = MH_NONE;
	enum mh_status status;

	if (v->account_unread) {
		status = add_miss(r, false, "no account: the metadata's cannot be read");
		return status == MH_OK ? MH_SKIP : status;
	}
	if (several) {
		status = add_miss(r, false, "no account: the text names several for one date");
		return status == MH_OK ? MH_SKIP : status;
	}
	(void)account_read(span_trim(said), a, &text);
	if (r->subject_names_two) {
		status = add_miss(r, false, "contradiction: the subject names two accounts");
		return status == MH_OK ? MH_SKIP : status;
	}

	if (differs(text, v->account)) {
		status = contradiction(r, "account", text, "text", v->account, typed_name(v));
		return status == MH_OK ? MH_SKIP : status;
	}
	const struct mh_span better = v->account.p != NULL ? v->account : text;
	if (differs(better, subject)) {
		status = contradiction(
		    r, "account", subject, "subject", better, v->account.p != NULL ? typed_name(v) : "text");
		return status == MH_OK ? MH_SKIP : status;
	}

	struct mh_span account = better.p != NULL ? better : subject;
	for (size_t m = v->part == NULL ? 0 : v->part->message; account.p == NULL; m = r->e->mail->messages[m].parent) {
		/* A forward that dropped the subject inside may have kept it outside. */
		const struct mail_field *f = mail_field(&r->e->mail->messages[m], "Subject");

		if (f != NULL)
			(void)subject_facts(f->value, a, &account, &unused);
		if (m == 0)
			break;
	}
	if (account.p == NULL) {
		status = add_miss(r, false, "no account");
		return status == MH_OK ? MH_SKIP : status;
	}
	*ret = account;
	return MH_OK;
}

/* The region; MH_SKIP: a miss was noted. */
static enum mh_status
find_region(struct view_reader *r, struct mh_span said, struct mh_span *ret)
{
	struct arena *a = r->e->arena;
	const struct view *v = r->v;
	const struct mh_span subject = r->subject_region;
	struct mh_span text = MH_NONE, unused = MH_NONE;

	(void)region_read(span_trim(said), a, &text);
	const struct mh_span better = v->region.p != NULL ? v->region : text;
	if (differs(better, subject)) {
		const enum mh_status status = contradiction(
		    r, "region", subject, "subject", better, v->region.p != NULL ? typed_name(v) : "text");
		return status == MH_OK ? MH_SKIP : status;
	}
	*ret = better.p != NULL ? better : subject;
	if (ret->p == NULL)
		reference_facts(v->text, a, ret, &unused);
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
find_event(const struct view_reader *r)
{
	struct arena *a = r->e->arena;
	struct mh_span event = r->v->event, unused = MH_NONE;

	if (event.p == NULL)
		reference_facts(r->v->text, a, &unused, &event);
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

/* The expiry that the place states. MH_SKIP: a miss was noted. */
static enum mh_status
find_expiry(struct view_reader *r, const struct place *p, struct notice *n)
{
	const struct view *v = r->v;
	enum mh_status status;
	char text[200];

	if (p->facts[FACT_EXPIRES].n > 0) {
		const size_t at = (size_t)(p->facts[FACT_EXPIRES].p - v->text.p);
		struct mh_err why = { 0 };
		struct date date;

		switch (date_read(span_from(v->text, at), r->def->dates, &date, &why)) {
		case MH_OK:
			engine_say(r->e, "%s: the date is \"%.*s\" at offset %zu", r->def->info.name, (int)date.at.n,
			    date.at.p, at);
			n->expires = date.when;
			n->precision = date.has_time ? MH_SECOND : MH_DAY;
			break;
		case MH_SKIP:
			status = add_miss(r, true, "no date");
			return status == MH_OK ? MH_SKIP : status;
		case MH_BAD:
		case MH_RETRY:
		case MH_LIMIT:
			status = add_miss(r, false, why.text);
			return status == MH_OK ? MH_SKIP : status;
		}

		int64_t between = 0;
		if (n->days_stated >= 0 && !days_fit(v, n->expires, n->days_stated, &between)) {
			(void)snprintf(text, sizeof(text),
			    "stated days differ: %d days stated, %lld from the mail's date to the expiry",
			    (int)n->days_stated, (long long)between);
			status = add_miss(r, false, text);
			return status == MH_OK ? MH_SKIP : status;
		}
		return MH_OK;
	}

	if (n->days_stated < 0 || (!v->has_event_time && !v->has_date)) {
		status =
		    add_miss(r, true, n->days_stated < 0 ? "no date" : "no date, and no Date to count the days from");
		return status == MH_OK ? MH_SKIP : status;
	}
	const int64_t from = v->has_event_time ? v->event_time : v->date;
	n->expires = (time_day(from) + n->days_stated + 1) * DAY_S - 1;
	n->precision = MH_DERIVED;
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
	if (!grow(e->arena, &e->found, e->n_found, &e->cap_found, sizeof(*e->found)))
		return no_room(e);
	e->found[e->n_found++] = (struct found){ .notice = n, .slot = r->slot, .view = r->view_index };
	return MH_OK;
}

static enum mh_status
read_place(struct view_reader *r, size_t number)
{
	const struct place *p = &r->places[number];
	struct notice n = { .kind = span_of(r->def->info.kind), .days_stated = -1 };
	struct mh_span said[FACT_COUNT];
	bool several[FACT_COUNT];
	enum mh_status status;

	for (size_t f = 0; f < FACT_COUNT; f++) {
		several[f] = false;
		said[f] = p->facts[f].n > 0 ? p->facts[f] : side_value(r, number, (enum fact)f, &several[f]);
	}
	if (!read_days(said[FACT_DAYS], &n.days_stated) && r->v->has_days)
		n.days_stated = r->v->days;

	status = find_expiry(r, p, &n);
	if (status == MH_OK && r->v->n_accounts > 0)
		n.account = r->v->accounts[0]; /* an aggregated mail's subject names the account that got it */
	else if (status == MH_OK && (r->def->require & 1u << FACT_ACCOUNT) != 0 && span_starts(n.kind, MH_LIT("aws.")))
		status = aws_account(r, said[FACT_ACCOUNT], several[FACT_ACCOUNT], &n.account);
	else if (status == MH_OK && !several[FACT_ACCOUNT])
		n.account = clean_value(said[FACT_ACCOUNT]);
	if (status == MH_OK)
		status = find_region(r, said[FACT_REGION], &n.region);
	if (status == MH_SKIP)
		return MH_OK;
	if (status != MH_OK)
		return status;
	if (!several[FACT_RESOURCE])
		n.resource = clean_value(said[FACT_RESOURCE]);
	if (n.resource.p == NULL)
		n.resource = clean_value(r->v->resource);
	n.event = find_event(r);

	const struct mh_span values[FACT_COUNT] = {
		[FACT_ACCOUNT] = n.account, [FACT_REGION] = n.region, [FACT_RESOURCE] = n.resource
	};
	for (size_t f = FACT_ACCOUNT; f < FACT_COUNT; f++) {
		char text[40];

		if ((r->def->require & 1u << f) == 0 || values[f].p != NULL)
			continue;
		(void)snprintf(text, sizeof(text), "no %s", fact_names[f]);
		return add_miss(r, false, text);
	}
	if ((r->def->require & 1u << FACT_DAYS) != 0 && n.days_stated < 0)
		return add_miss(r, false, "no days");

	if (r->v->n_accounts == 0)
		return add_found(r, n);
	for (size_t i = 0; i < r->v->n_accounts && status == MH_OK; i++) {
		n.account = r->v->accounts[i];
		status = add_found(r, n);
	}
	return status;
}

/* Whether the sentence that goes on at text[at] says when. */
static bool
says_when(struct mh_span text, size_t at)
{
	struct mh_span sentence = span_head(span_from(text, at), MAX_SENTENCE_BYTES);

	sentence = span_head(sentence, span_find(sentence, MH_LIT(". "), 0));
	return date_somewhere(sentence) || says_days(sentence);
}

/* Literals around which no pattern matched, in a sentence that says when: each is a notice that was not read. */
static enum mh_status
unread_literals(struct view_reader *r)
{
	enum mh_status status = MH_OK;
	unsigned checked = 0;

	for (const char *const *l = r->def->literals; *l != NULL; l++) {
		const struct mh_span literal = span_of(*l);

		for (size_t at = find_words(r->v->text, literal, 0); at != SIZE_MAX && checked < MAX_CHECKED;
		     at = find_words(r->v->text, literal, at + literal.n)) {
			checked++;
			if (status == MH_OK && !overlaps_place(r, at, at + literal.n) && says_when(r->v->text, at))
				status = add_miss(r, true, "no date");
		}
	}
	return status;
}

enum mh_status
engine_read_view(struct engine *e, size_t slot, size_t view)
{
	struct view_reader r = {
		.e = e, .slot = slot, .view_index = view, .def = e->d->slots[slot].def, .v = &e->views.items[view]
	};
	enum mh_status status = MH_OK;

	if (r.v->text.n > MH_MAX_SUBJECT_BYTES) {
		e->views.items[view].text = span_head(r.v->text, utf8_cut(r.v->text, MH_MAX_SUBJECT_BYTES));
		e->views.more = true;
	}
	if (!claims(&r))
		return MH_OK;
	if (r.v->backup_event) {
		engine_say(e, "%s: the duplicate event for the backup region", r.def->info.name);
		e->backup = true;
		return MH_OK;
	}
	e->claimed = true;
	r.subject_names_two = !subject_facts(r.v->subject, e->arena, &r.subject_account, &r.subject_region);
	for (size_t i = 0; i < r.def->n_patterns && status == MH_OK; i++)
		status = run_pattern(&r, i);
	for (size_t i = 0; i < r.n_places && status == MH_OK; i++)
		status = read_place(&r, i);
	if (status == MH_OK && r.n_places == 0)
		return add_miss(&r, true, "no date");
	return status == MH_OK ? unread_literals(&r) : status;
}
