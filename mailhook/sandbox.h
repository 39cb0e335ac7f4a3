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
struct explain_sink;

struct reader {                         /* what a child reads with; made before the fork, shared by copy on write */
	const struct mh_parser *parser; /* foreign */
	void *parser_state;             /* foreign */
	uint64_t cpu_s, memory_bytes;   /* 0: those of limits.h */
	int wall_ms;                    /* 0: that of limits.h */
	/* Batches only: where it is set it is called once in the child, and what the sink gets comes back as text. */
	void (*explain)(void *parser_state, const struct explain_sink *sink);
};

/* Reads one message in a child of its own.
 *   in      raw: more than MH_MAX_MESSAGE_BYTES is cut by the reader, which says so
 *   out     ret: in the arena; whatever happened in the child, a verdict is there
 *   errors  MH_RETRY no child could be made or shut in (fork, memory, no seccomp): the only case without an answer
 */
enum mh_status sandbox_read(
    const struct reader *r, struct mh_span raw, struct arena *a, struct reading *ret, struct mh_err *err);

/* A child for many messages (`parse`), several a round trip. When it dies, the messages without an answer are read
 * again one by one, and only that which kills the child alone is failed. A child that a mail has taken over can lie
 * about the mails after it, so nothing that acts may use this. */
struct sandbox_batch;

#define MH_BATCH 32 /* messages a round trip: two context switches cost as much as reading a small mail */

struct batch_answer {
	struct reading reading;
	struct mh_span explained; /* lines of the reader's explain sink; p == NULL without one */
};

enum mh_status sandbox_batch_new(const struct reader *r, struct sandbox_batch **ret, struct mh_err *err);
void sandbox_batch_free(struct sandbox_batch *b);
/* Where to put the next message: room for MH_MAX_MESSAGE_BYTES and one more, which tells the reader that it was cut. */
char *sandbox_batch_room(struct sandbox_batch *b);
/* Takes the first n bytes of the room as a message. True: no more fit, call sandbox_batch_run. */
bool sandbox_batch_add(struct sandbox_batch *b, size_t n);
/* Lets the child begin with what was added, while the caller fills another batch; nothing may be added until the run.
 *   errors  MH_RETRY as sandbox_read */
enum mh_status sandbox_batch_start(struct sandbox_batch *b, struct mh_err *err);
/* Reads what was added since the last run; the answers are in the order of the messages, in the arena.
 *   errors  MH_RETRY as sandbox_read */
enum mh_status sandbox_batch_run(
    struct sandbox_batch *b, struct arena *a, struct batch_answer ret[MH_BATCH], size_t *ret_n, struct mh_err *err);

#endif
