/* sandbox.h: reading happens in a child that can do nothing else.
 *
 * The child is forked, gives up all but reading memory and writing its answer (seccomp allow-list: no open, no socket,
 * no exec; RLIMIT_CPU, RLIMIT_AS, RLIMIT_NOFILE 0, RLIMIT_CORE 0; no new privileges; dies with its parent), and hands
 * back a struct reading as bytes. A crash, an overrun, silence or a malformed answer is verdict failed with the reason.
 */
#ifndef MAILHOOK_SANDBOX_H
#define MAILHOOK_SANDBOX_H

#include "mailhook/mailhook.h"

struct mh_parser;

struct reader {                         /* what a child reads with; made before the fork, shared by copy on write */
	const struct mh_parser *parser; /* foreign */
	void *parser_state;             /* foreign */
	uint64_t cpu_s, memory_bytes;   /* 0: those of limits.h */
	int wall_ms;                    /* 0: that of limits.h */
};

/* Reads one message in a child of its own.
 *   out     ret: in the arena; whatever happened in the child, a verdict is there
 *   errors  MH_RETRY no child could be made (fork, pipe, memory): the only case without an answer
 */
enum mh_status sandbox_read(
    const struct reader *r, struct mh_span raw, struct arena *a, struct reading *ret, struct mh_err *err);

/* A child for many messages, one after the other (`parse`). When it dies on one message, that one is failed and the
 * next call starts a fresh child. */
struct sandbox_batch;
enum mh_status sandbox_batch_new(const struct reader *r, struct sandbox_batch **ret, struct mh_err *err);
void sandbox_batch_free(struct sandbox_batch *b);
/* Where to put the next message: shared with the child, MH_MAX_MESSAGE_BYTES long. */
char *sandbox_batch_buffer(struct sandbox_batch *b);
/* Reads the first n bytes of the buffer. As sandbox_read. */
enum mh_status sandbox_batch_read(
    struct sandbox_batch *b, size_t n, struct arena *a, struct reading *ret, struct mh_err *err);

#endif
