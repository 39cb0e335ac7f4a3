/* ago.h: a length of time in words, for whoever reads status. */
#ifndef MAILHOOK_WORK_AGO_H
#define MAILHOOK_WORK_AGO_H

#include <stdint.h>

#define AGO_WORDS 32

/* "90 s", "5 min", "3 h", "12 days": two of a unit before the next is taken. Returns dst. */
const char *ago_words(char dst[AGO_WORDS], int64_t s);

#endif
