/* sample.h: a text that a regular expression is made for, and where in it something may be repeated. */
#ifndef MAILHOOK_PARSERS_SAMPLE_H
#define MAILHOOK_PARSERS_SAMPLE_H

#include "mailhook/mailhook.h"

#define SAMPLE_MAX_RUNS 60

struct sample_run { /* what a quantifier takes often: text[at..at + n) is it once */
	size_t at, n;
};

struct sample {
	struct buf text;
	struct sample_run runs[SAMPLE_MAX_RUNS];
	size_t n_runs;
};

void sample_init(struct sample *s);
void sample_release(struct sample *s);

/* Writes what the regex asks for, each part as seldom as it may stand, of alternatives the first. A guess for probing:
 * what looks around or back, and what is excluded by a class, may make it no match.
 *   in      regex: one that PCRE2 compiles
 *   out     s: initialised; what it held is forgotten
 *   errors  MH_LIMIT the text grows too long, or it is nested too deep */
enum mh_status sample_write(const char *regex, struct sample *s, struct mh_err *err);

#endif
