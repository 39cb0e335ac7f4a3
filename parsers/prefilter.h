/* prefilter.h: one pass over a text for the words of all definitions, so that fifty more cost an ordinary mail nothing.
 *
 * Wu and Manber's search: a window of the shortest word's length is looked at from its end, three bytes at a time, and
 * most windows are stepped over whole. What it looks for is each phrase's longest word; around a hit the whole phrase is
 * compared with any white space, also a line end with quote marks, for a blank.
 */
#ifndef MAILHOOK_PARSERS_PREFILTER_H
#define MAILHOOK_PARSERS_PREFILTER_H

#include "mailhook/mailhook.h"

struct phrase {
	struct mh_span text; /* foreign; any case */
	uint32_t tag;        /* whose it is: handed to hit */
};

struct prefilter;

/* NULL: no memory. phrases is copied, the texts are not. */
struct prefilter *prefilter_new(const struct phrase *phrases, size_t n);
void prefilter_free(struct prefilter *f);
/* Calls hit for each place of each phrase, in order of their longest words. */
void prefilter_run(
    const struct prefilter *f, struct mh_span text, void (*hit)(void *user, const struct phrase *p), void *user);

/* Offset behind the phrase where text from at on is the phrase, any case, any white space for a blank; else SIZE_MAX. */
size_t phrase_at(struct mh_span text, size_t at, struct mh_span phrase);

#endif
