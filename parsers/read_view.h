/* read_view.h: one view by one definition, as read_view.c (places) and read_place.c (facts of one place) share it. */
#ifndef MAILHOOK_PARSERS_READ_VIEW_H
#define MAILHOOK_PARSERS_READ_VIEW_H

#include "parsers/engine.h"

struct place {
	size_t start, end;
	struct mh_span facts[FACT_COUNT];
	size_t pattern;
};

struct side_fact { /* read by a pattern without a date */
	size_t at;
	enum fact fact;
	struct mh_span value, stood; /* as it counts, and as it stands in the text */
};

#define MAX_PLACES_KEPT 8

struct literal_places {         /* where a literal stands in the view; patterns that share one are many */
	struct mh_span literal; /* where a definition's is a part of a pattern's: the definition's, which serves both */
	size_t at[MAX_PLACES_KEPT], n;
	bool more; /* than there is room for */
};

struct view_reader {
	struct engine *e;
	size_t slot, view_index;
	const struct definition *def;
	const struct view *v;
	bool strong;
	struct mh_span subject_account, subject_region; /* of the carriage's own subject */
	bool subject_names_two;
	bool referred; /* the text was looked through for an event's ARN: these are of it */
	struct mh_span referred_region, referred_event;
	struct place *places; /* in text order */
	size_t n_places, cap_places;
	struct side_fact *side;
	size_t n_side, cap_side;
	struct literal_places claimed, other; /* of a definition's literal, and of another: those looked for last */
};

enum mh_status view_no_room(const struct engine *e); /* words it: MH_LIMIT */
/* Notes why a notice that seems to be there was not read. */
enum mh_status view_miss(struct view_reader *r, bool no_date, const char *why);

/* Makes a notice, or several for several accounts, of one place; or a miss. MH_LIMIT: no room. */
enum mh_status view_read_place(struct view_reader *r, size_t number);

#endif
