/* explain.h: what `parse --explain` is told: one JSON object for each decision. Where nobody listens none of it is done.
 *
 * Keys, always all of them, null where they say nothing: decision (below), parser (the definition), counts (true,
 * false), text (the mail's or the definition's own words), words (ours, why), time (the instant that text means), number
 * and regex (the pattern, from 1), place (text, forward, attached message, event, subject, header, or where else a fact
 * is from), part (from 1), at and bytes (where text stands in that part's decoded text; in an event, in its own).
 */
#ifndef MAILHOOK_PARSERS_EXPLAIN_H
#define MAILHOOK_PARSERS_EXPLAIN_H

#include "parsers/engine.h"

enum decision_kind {
	DECISION_PART,    /* a text that is read */
	DECISION_CLAIM,   /* whether a definition claims a place, or the mail */
	DECISION_PATTERN, /* whether a pattern matches */
	DECISION_FACT,    /* an account, region or resource, and where from */
	DECISION_DATE,    /* a date that was seen */
	DECISION_MISS,    /* a notice that seems to be there and is not read */
	DECISION_VERDICT
};
extern const char *const decision_names[]; /* "part", "claim", ... by enum; NULL-ended */

#define NO_SLOT SIZE_MAX
#define NO_VIEW SIZE_MAX

enum counts { COUNTS_NOT_SAID, COUNTS, COUNTS_NOT };

struct decision {
	enum decision_kind kind;
	enum counts counts;
	size_t slot, view;   /* NO_SLOT, NO_VIEW */
	size_t pattern;      /* from 1; 0: none */
	struct mh_span text; /* in the view's text or subject: then it is located too */
	const char *words;   /* NULL: none */
	const char *place;   /* where text is neither */
	const int64_t *time; /* foreign; NULL: none */
};

/* Whether anybody listens: ask before anything is prepared. */
static inline bool
explain_wanted(const struct engine *e)
{
	return e->d->sink != NULL;
}

void explain(const struct engine *e, const struct decision *what);
/* The same with words made by printf, cut at 300 bytes. */
void explain_words(const struct engine *e, struct decision what, const char *fmt, ...) MH_PRINTF(3, 4);

/* The texts that are read, and which bytes of the message they are. */
void explain_parts(const struct engine *e);
/* The definitions that have no word in the mail. */
void explain_unclaimed(const struct engine *e);
/* Notes that a pattern took the date of this place; why: NULL where it was read. */
void explain_taken(struct engine *e, const struct taken_date *date);
/* Every date of the mail, with what it came to. (explain_dates.c) */
void explain_dates(const struct engine *e);

#endif
