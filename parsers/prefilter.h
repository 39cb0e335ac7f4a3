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
	uint32_t tag;        /* whose it is */
	size_t word;         /* offset of its longest word; prefilter_new finds it */
};

struct prefilter;

/* NULL: no memory. phrases is copied, the texts are not. */
struct prefilter *prefilter_new(const struct phrase *phrases, size_t n);
void prefilter_free(struct prefilter *f);
/* Calls near for each place of each phrase's longest word, in no order; whether the whole phrase stands around it,
 * phrase_around() tells. So who has seen a phrase already need not have it compared again. */
void prefilter_run(const struct prefilter *f, struct mh_span text,
    void (*near)(void *user, const struct phrase *p, struct mh_span text, size_t at), void *user);
/* Whether the phrase stands where its longest word begins at text[at]: any case, any white space for a blank. */
bool phrase_around(struct mh_span text, size_t at, const struct phrase *p);

/* Offset behind the phrase where text from at on is the phrase, any case, any white space for a blank; else SIZE_MAX. */
size_t phrase_at(struct mh_span text, size_t at, struct mh_span phrase);

#endif
