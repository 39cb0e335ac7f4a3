/* archive.h: the messages of an archive that say something, in the order of their dates: what a backtest plays. */
#ifndef MAILHOOK_WORK_ARCHIVE_H
#define MAILHOOK_WORK_ARCHIVE_H

#include "mailhook/sandbox.h"

#define ARCHIVE_MAX_BYTES ((size_t)1 << 30) /* of kept messages: 100,000 notices of 10 kB */

struct archived {
	char *raw; /* own */
	size_t n;
	char *source;  /* own: a path, or PATH:N in an mbox */
	int64_t at;    /* its Date; without one, that of the message before it */
	size_t number; /* as they were read */
};

struct archive {
	struct archived *items; /* own */
	size_t n, cap, bytes;
	size_t read, irrelevant, own_replies, undated;
	size_t troubles;                      /* paths that could not be read */
	size_t dropped;                       /* past ARCHIVE_MAX_BYTES */
	void (*progress)(size_t n, size_t k); /* messages read, and kept; may be NULL */
};

/* Reads a message, a Maildir or an mbox, all in one sandboxed child; what is not irrelevant is kept. Paths that cannot be
 * read are told on stderr and counted.
 *   errors  MH_RETRY no memory, or no child */
enum mh_status archive_read(struct archive *a, const struct reader *r, const char *path, struct mh_err *err);
/* In the order of their dates; of one date as they were read. */
void archive_sort(struct archive *a);
void archive_release(struct archive *a);

#endif
