/* ago.c: see ago.h. */
#include "mailhook/work/ago.h"

#include <inttypes.h>
#include <stdio.h>

const char *
ago_words(char dst[AGO_WORDS], int64_t s)
{
	if (s < 120)
		(void)snprintf(dst, AGO_WORDS, "%" PRId64 " s", s);
	else if (s < 7200)
		(void)snprintf(dst, AGO_WORDS, "%" PRId64 " min", s / 60);
	else if (s < 172800)
		(void)snprintf(dst, AGO_WORDS, "%" PRId64 " h", s / 3600);
	else
		(void)snprintf(dst, AGO_WORDS, "%" PRId64 " days", s / 86400);
	return dst;
}
