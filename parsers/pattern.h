/* pattern.h: the one door to PCRE2.
 *
 * A pattern is run only around places where its fixed text (its literal) stands, and under a budget counted in
 * callouts: PCRE2's match_limit counts per start position and does not stop polynomial blow-up, and a clock would make
 * reading impure. No JIT: compiling it costs more than one mail's matching.
 */
#ifndef MAILHOOK_PARSERS_PATTERN_H
#define MAILHOOK_PARSERS_PATTERN_H

#include "mailhook/mailhook.h"

/* The named groups that mean something; a definition may not name others. */
enum fact { FACT_EXPIRES, FACT_DAYS, FACT_ACCOUNT, FACT_REGION, FACT_RESOURCE };
#define FACT_COUNT 5
extern const char *const fact_names[FACT_COUNT];

#define PATTERN_MIN_LITERAL 6 /* bytes; less stands in every other mail */
#define PATTERN_MAX_LITERAL 120
#define PATTERN_LOOK_BACK_BYTES 256   /* how far before its literal a match may begin */
#define PATTERN_LOOK_AHEAD_BYTES 3000 /* how far behind its literal a match may go */

/* What can be said of a pattern without running it. */
struct pattern_plan {
	char literal[PATTERN_MAX_LITERAL + 1]; /* its longest fixed text: stands in whatever it matches, in any case */
	bool at_start;                         /* every match begins with the literal */
	unsigned facts;                        /* bits 1 << enum fact: its named groups */
};

struct pattern; /* compiled */

/* Compiles: UTF-8, letters in either case, "." also over line ends.
 *   errors  MH_BAD the pattern is wrong, with PCRE2's words and the offset; MH_RETRY no memory */
enum mh_status pattern_new(const char *regex, struct pattern **ret, struct mh_err *err);
void pattern_free(struct pattern *p);

/* errors  MH_BAD no literal of PATTERN_MIN_LITERAL bytes, a group that is no fact, or not a pattern at all */
enum mh_status pattern_plan(const char *regex, struct pattern_plan *ret, struct mh_err *err);

/* Bytes of the class that begins at r[0] == '[', and of the group that begins at r[0] == '('. */
size_t pattern_skip_class(const char *r);
size_t pattern_skip_group(const char *r);

struct pattern_match {
	size_t start, end;                /* in the subject */
	struct mh_span facts[FACT_COUNT]; /* p == NULL: the group took no part */
};

/* The first match that begins at or after from; with anchored, at from alone.
 *   in      subject: valid UTF-8, which is not checked again; at most MH_MAX_SUBJECT_BYTES
 *   errors  MH_SKIP no match; MH_LIMIT the budget, the heap or the subject's maximum was hit */
enum mh_status pattern_run(struct pattern *p, struct mh_span subject, size_t from, bool anchored,
    struct pattern_match *ret, struct mh_err *err);
/* What the last run cost, in callouts: at most MH_MAX_CALLOUTS. */
unsigned pattern_cost(const struct pattern *p);

#endif
