/* read_view.c: one view by one definition: claims, places, facts.
 *
 * A place is where a pattern with (?<expires>) or (?<days>) matched. What other patterns read belongs to the place in
 * front of it, or to the first where it stands in front of all: so an aggregated mail, a block for each account, comes
 * apart. Order of belief for the account: the place's own match, typed facts (event JSON, metadata block), other
 * patterns, the subject; those that are known must agree.
 */
#include <stdio.h>
#include <string.h>

#include "parsers/explain.h"
#include "parsers/prefilter.h"
#include "parsers/read_view.h"
#include "parsers/sentence.h"

#define MAX_PLACES (MH_MAX_NOTICES + 1)
#define MAX_FACTS 600
#define MAX_SENTENCE_BYTES 400
#define MAX_PLACES_TOLD 8                         /* of one pattern in one text */
#define MAX_CHECKED 300                           /* literals that are looked at whether they were read */
#define MAX_COST (10 * (uint64_t)MH_MAX_CALLOUTS) /* of one message: some 0.3 s */

enum mh_status
view_no_room(const struct engine *e)
{
	return mh_fail(e->err, MH_LIMIT, "no room for notices in the message's arena");
}

enum mh_status
view_miss(struct view_reader *r, bool no_date, const char *why)
{
	struct engine *e = r->e;
	struct mh_span copy;

	explain(e, &(struct decision){ DECISION_MISS, COUNTS_NOT, r->slot, r->view_index, .words = why });
	if (e->n_misses > MH_MAX_NOTICES) /* one is a verdict, two hundred are no more of one */
		return MH_OK;
	if (arena_copy(e->arena, span_of(why), &copy, e->err) != MH_OK)
		return view_no_room(e);

	struct miss *misses = arena_grow(e->arena, e->misses, e->n_misses, &e->cap_misses, sizeof(*misses));
	if (misses == NULL)
		return view_no_room(e);
	e->misses = misses;
	e->misses[e->n_misses++] = (struct miss){ r->slot, r->view_index, r->strong, no_date, copy };
	return MH_OK;
}

/* -- claims ------------------------------------------------------------------------------------------------------- */

/* The first of the phrases that stands in text, there; p == NULL: none. */
static struct mh_span
first_phrase(const char *const *list, struct mh_span text)
{
	for (; *list != NULL; list++) {
		const size_t at = span_ifind(text, span_of(*list), 0);

		if (at != SIZE_MAX)
			return span_head(span_from(text, at), strlen(*list));
	}
	return MH_NONE;
}

static bool
claims(struct view_reader *r)
{
	const struct definition *def = r->def;
	const struct view *v = r->v;
	const struct mh_span literal = first_phrase(def->literals, v->text);
	struct mh_span why = literal;
	struct decision d = { DECISION_CLAIM, COUNTS, r->slot, r->view_index, .words = "by its literal" };

	r->strong = why.p != NULL;
	for (const char *const *e = def->events; why.p == NULL && *e != NULL; e++) {
		const size_t at = span_eq(v->event, span_of(*e)) ? SIZE_MAX : span_find(v->text, span_of(*e), 0);

		if (at != SIZE_MAX) {
			why = span_head(span_from(v->text, at), strlen(*e));
			d.words = "by its event code in the text";
		} else if (span_eq(v->event, span_of(*e))) {
			why = v->event;
			d.words = "by its event code";
			d.place = v->kind == VIEW_EVENT ? "event" : "header";
			r->strong = v->kind == VIEW_EVENT;
		}
	}
	if (why.p == NULL) {
		why = first_phrase(def->subjects, v->subject);
		d.words = "by the phrase of a subject";
	}
	d.text = why;
	if (why.p == NULL) {
		d.counts = COUNTS_NOT;
		d.words = "a word of it is in the mail, but not in this text";
		d.text = span_head(v->text, 0);
		explain(r->e, &d);
		return false;
	}

	struct mh_span settled = literal.p != NULL ? MH_NONE : first_phrase(def->ignore, v->text);
	if (settled.p == NULL)
		settled = first_phrase(def->ignore, v->subject);
	if (settled.p != NULL) {
		d.counts = COUNTS_NOT;
		d.text = settled;
		d.place = NULL;
		d.words = "by its ignore phrase: the matter is settled";
	}
	explain(r->e, &d);
	return settled.p == NULL;
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

		struct place *places = arena_grow(e->arena, r->places, r->n_places, &r->cap_places, sizeof(*places));
		if (places == NULL)
			return view_no_room(e);
		r->places = places;

		size_t at = r->n_places++;
		for (; at > 0 && r->places[at - 1].start > m->start; at--)
			r->places[at] = r->places[at - 1];
		r->places[at] =
		    (struct place){ .start = m->start, .end = m->end, .pattern = (size_t)(p - r->def->patterns) };
		memcpy(r->places[at].facts, m->facts, sizeof(m->facts));
		return MH_OK;
	}
	for (size_t f = 0; f < FACT_COUNT; f++) {
		if (m->facts[f].n == 0 || r->n_side == MAX_FACTS)
			continue;

		struct side_fact *side = arena_grow(e->arena, r->side, r->n_side, &r->cap_side, sizeof(*side));
		if (side == NULL)
			return view_no_room(e);
		r->side = side;

		struct mh_span value = m->facts[f];
		if (f == FACT_ACCOUNT) /* 8806-5649-7252 and 880656497252 are one */
			(void)account_read(span_trim(value), e->arena, &value);
		r->side[r->n_side++] = (struct side_fact){ m->start, (enum fact)f, value, m->facts[f] };
	}
	return MH_OK;
}

struct needle {
	struct mh_span literal,
	    key;       /* key: what is looked for, the definition's literal where that is a part of literal */
	size_t key_at; /* in literal */
	bool claims;   /* key is a definition's */
};

static struct needle
needle_of(const struct definition *def, struct mh_span literal)
{
	for (const char *const *l = def->literals; *l != NULL; l++) {
		const struct mh_span key = span_of(*l);
		const size_t at = key.n > literal.n ? SIZE_MAX : span_ifind(literal, key, 0);

		if (at != SIZE_MAX)
			return (struct needle){ literal, key, at, true };
	}
	return (struct needle){ literal, literal, 0, false };
}

/* Offset of the literal in the view's text at or after from; SIZE_MAX: not there. */
static size_t
next_place(struct view_reader *r, const struct needle *n, size_t from)
{
	const struct mh_span text = r->v->text;
	struct literal_places *p = n->claims ? &r->claimed : &r->other;

	if (!span_eq(p->literal, n->key)) {
		*p = (struct literal_places){ .literal = n->key };
		for (size_t at = span_ifind(text, n->key, 0); at != SIZE_MAX && !p->more;
		     at = span_ifind(text, n->key, at + 1)) {
			p->more = p->n == MAX_PLACES_KEPT;
			if (!p->more)
				p->at[p->n++] = at;
		}
	}
	if (p->more)
		return span_ifind(text, n->literal, from);
	for (size_t i = 0; i < p->n; i++)
		if (p->at[i] >= from + n->key_at && span_istarts(span_from(text, p->at[i] - n->key_at), n->literal))
			return p->at[i] - n->key_at;
	return SIZE_MAX;
}

/* Says what became of a pattern, and around which text. */
static void
explain_pattern(const struct view_reader *r, size_t number, enum counts counts, struct mh_span text, const char *words)
{
	explain(r->e, &(struct decision){
			  DECISION_PATTERN, counts, r->slot, r->view_index, number + 1, .text = text, .words = words });
}

/* What a pattern looks at around its literal at text[at]: from *ret_start to the end of what is returned. */
static struct mh_span
window_of(struct mh_span text, const struct definition_pattern *p, size_t at, size_t from, size_t *ret_start)
{
	size_t start = p->at_start ? at : at > PATTERN_LOOK_BACK_BYTES ? at - PATTERN_LOOK_BACK_BYTES : 0;

	if (start < from && !p->at_start)
		start = from;
	while (start > 0 && start < text.n && ((unsigned char)text.p[start] & 0xC0) == 0x80)
		start--;
	*ret_start = start;
	return span_head(text, utf8_cut(text, at + strlen(p->literal) + PATTERN_LOOK_AHEAD_BYTES));
}

/* Keeps what a pattern read. m then ends where the next may begin. */
static enum mh_status
take_match(struct view_reader *r, size_t number, bool tell, struct pattern_match *m)
{
	const struct mh_span text = r->v->text, date = m->facts[FACT_EXPIRES];
	/* "(?<expires>.{6,60})" reaches beyond the date, where the next notice may begin. */
	const bool open = date.n > 0 && date.p + date.n == text.p + m->end;

	if (open)
		m->end = (size_t)(date.p - text.p) + 1;
	if (tell)
		explain_pattern(
		    r, number, COUNTS, span_head(span_from(text, m->start), m->end - m->start - open), NULL);
	return keep_match(r, &r->def->patterns[number], m);
}

/* Runs one pattern around each place of its literal. */
static enum mh_status
run_pattern(struct view_reader *r, size_t number)
{
	const struct definition_pattern *p = &r->def->patterns[number];
	const struct mh_span text = r->v->text, literal = span_of(p->literal);
	const struct needle needle = needle_of(r->def, literal);
	const bool dated = (p->facts & (1u << FACT_EXPIRES | 1u << FACT_DAYS)) != 0;
	size_t from = 0, matches = 0, places = 0;

	for (;;) {
		const size_t at = next_place(r, &needle, from);
		if (at == SIZE_MAX && from == 0)
			explain_pattern(r, number, COUNTS_NOT, MH_NONE, "its fixed text is not there");
		if (at == SIZE_MAX || matches > MAX_PLACES)
			return MH_OK;

		const bool tell = places++ < MAX_PLACES_TOLD;
		if (dated && overlaps_place(r, at, at + literal.n)) { /* an earlier pattern read it */
			if (tell)
				explain_pattern(r, number, COUNTS_NOT, MH_NONE, "a pattern before it read this place");
			from = at + literal.n;
			continue;
		}

		struct pattern *pattern;
		enum mh_status status = definitions_pattern(r->e->d, r->slot, number, &pattern, r->e->err);
		if (status != MH_OK)
			return status;

		struct pattern_match m;
		size_t start;
		const struct mh_span window = window_of(text, p, at, from, &start);
		status = pattern_run(pattern, window, start, p->at_start, &m, r->e->err);
		r->e->cost += pattern_cost(pattern);
		if (r->e->cost > MAX_COST)
			return mh_fail(r->e->err, MH_LIMIT, "the patterns hit their budget for one message");
		from = at + literal.n;
		if (status == MH_OK) {
			status = take_match(r, number, tell, &m);
			matches++;
			from = m.end > at ? m.end : from;
		} else if (status == MH_SKIP) {
			status = MH_OK;
			if (tell)
				explain_pattern(r, number, COUNTS_NOT, span_head(span_from(text, at), literal.n),
				    "its fixed text is there, not what it wants around that");
		}
		if (status != MH_OK)
			return status;
	}
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
		const struct needle needle = { literal, literal, 0, true };

		for (size_t at = next_place(r, &needle, 0); at != SIZE_MAX && checked < MAX_CHECKED;
		     at = next_place(r, &needle, at + literal.n)) {
			checked++;
			if (status == MH_OK && !overlaps_place(r, at, at + literal.n) && says_when(r->v->text, at))
				status = view_miss(r, true, "no date");
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
		explain(e, &(struct decision){ DECISION_CLAIM, COUNTS_NOT, slot, view,
			       .words = "the event is AWS's duplicate for the backup region" });
		e->backup = true;
		return MH_OK;
	}
	e->claimed = true;
	if (r.def->blind) {
		char why[200], shown[100];

		(void)snprintf(why, sizeof(why), "the definition %s is wrong: mailhook check says where",
		    mh_escape(shown, sizeof(shown), span_of(r.def->info.name)));
		return view_miss(&r, true, why);
	}
	r.subject_names_two = !subject_facts(r.v->subject, e->arena, &r.subject_account, &r.subject_region);
	for (size_t i = 0; i < r.def->n_patterns && status == MH_OK; i++)
		status = run_pattern(&r, i);
	for (size_t i = 0; i < r.n_places && status == MH_OK; i++)
		status = view_read_place(&r, i);
	if (status == MH_OK && r.n_places == 0)
		return view_miss(&r, true, "no date");
	return status == MH_OK ? unread_literals(&r) : status;
}
