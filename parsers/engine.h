/* engine.h: what reading one mail by the definitions keeps in hand. Private to the engine's own files. */
#ifndef MAILHOOK_PARSERS_ENGINE_H
#define MAILHOOK_PARSERS_ENGINE_H

#include "parsers/carriage.h"
#include "parsers/definition.h"

/* A notice and where it was read. */
struct found {
	struct notice notice;
	size_t slot, view;
	bool dropped; /* the same as an earlier one */
};

/* A date that a pattern took for the expiry; kept only where somebody listens. */
struct taken_date {
	size_t view, at, bytes; /* in the view's text */
	size_t slot, pattern;
	bool refused; /* and why: the miss that came of it */
	struct mh_span why;
};

/* A place that is a notice by its words, and could not be read. */
struct miss {
	size_t slot, view;
	bool strong;  /* a literal stands there, or a typed event; else only a subject or a hint */
	bool no_date; /* nothing was said; otherwise something was said that cannot be */
	struct mh_span why;
};

struct engine {
	struct definitions *d; /* foreign, as the next two */
	const struct mail *mail;
	struct arena *arena;
	struct mh_err *err;
	struct view_list views;
	bool *candidates; /* by slot */
	bool sender_seen, any_candidate;
	bool hides; /* characters that nobody sees are in the mail: a phrase may stand in the cleaned text alone */
	bool claimed, backup;
	struct found *found;
	size_t n_found, cap_found;
	bool more; /* MH_MAX_NOTICES was hit */
	struct miss *misses;
	size_t n_misses, cap_misses;
	uint64_t cost; /* of all pattern runs, in callouts */
	struct taken_date *taken;
	size_t n_taken, cap_taken;
};

/* Reads one view by one definition, if that claims it: adds to found and misses.
 *   errors  MH_LIMIT a pattern's budget or the arena; MH_RETRY no memory */
enum mh_status engine_read_view(struct engine *e, size_t slot, size_t view);

/* Drops what was found twice. True: two places contradict each other, and ret_why says how. */
bool engine_contradiction(struct engine *e, struct mh_span *ret_why);

#endif
