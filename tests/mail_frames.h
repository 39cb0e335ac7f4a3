/* mail_frames.h: messages on a pipe, each behind a line with its length: what the decoding programs of the tests read. */
#ifndef MAILHOOK_TESTS_MAIL_FRAMES_H
#define MAILHOOK_TESTS_MAIL_FRAMES_H

#include <stdio.h>
#include <stdlib.h>

#include "mailhook/mailhook.h"

#define MAX_FRAME_BYTES ((size_t)64 << 20)

/* The next message, in an own block of its exact size. False: there is none, or the pipe is broken. */
static inline bool
frame_read(FILE *in, struct mh_span *ret)
{
	char line[32], *end;

	if (fgets(line, sizeof(line), in) == NULL)
		return false;
	const unsigned long long n = strtoull(line, &end, 10);
	if (*end != '\n' || n > MAX_FRAME_BYTES)
		return false;
	char *p = malloc(n == 0 ? 1 : (size_t)n);
	if (p == NULL || fread(p, 1, (size_t)n, in) != n) {
		free(p);
		return false;
	}
	*ret = (struct mh_span){ p, (size_t)n };
	return true;
}

#endif
