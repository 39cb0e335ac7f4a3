/* sentence.h: whether an unread text is worth a person's look. */
#ifndef MAILHOOK_PARSERS_SENTENCE_H
#define MAILHOOK_PARSERS_SENTENCE_H

#include "parsers/definition.h"

/* The watch word in text: EXPIR, RENEW, ROTAT, "end of ... support", or one of a definition's; NONE where there is none. */
struct mh_span watch_word(const struct definitions *d, struct mh_span text);

/* "90 days", "a 30-day period" */
bool says_days(struct mh_span text);

/* A sentence of the view's text that has a watch word and a date or a number of days; AWS's metadata and what stands
 * behind it is no sentence.
 *   out     ret: flattened, in the arena
 *   errors  MH_SKIP there is none; MH_LIMIT the arena is full */
enum mh_status watch_sentence(
    const struct definitions *d, const struct view *v, struct arena *a, struct mh_span *ret, struct mh_err *err);

#endif
