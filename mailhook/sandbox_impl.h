/* sandbox_impl.h: the seam between the two sides of the sandbox: the parent (sandbox.c, sandbox_batch.c), which trusts
 * nothing, and the child (sandbox_child.c), which can do nothing.
 *
 * On the socket: the child says READY once it is shut in. What comes before is our own code, what comes after may be
 * the mail's. Then frames of length:u32 (host order: both are one machine) and bytes; an answer, and where the reader
 * has a sink the explanation. A batch is asked with a struct batch_request.
 */
#ifndef MAILHOOK_SANDBOX_IMPL_H
#define MAILHOOK_SANDBOX_IMPL_H

#include <sys/types.h>

#include "mailhook/sandbox.h"

#define READY 'R'
#define MAX_EXPLAIN_BYTES ((size_t)256 << 10)
#define FRAME_HEAD sizeof(uint32_t)

struct batch_request {
	uint32_t n;
	struct {
		uint32_t at, n;
	} messages[MH_BATCH];
};

struct charset_set;

struct child_work {
	const struct reader *reader;
	const struct charset_set *charsets;
	struct mh_span raw; /* the one message */
	const char *shared; /* or the batch's memory; NULL: one message */
	size_t shared_bytes;
};

/* Never returns. fd is the only descriptor that the child keeps. */
_Noreturn void child_main(const struct child_work *w, int fd, pid_t parent);

struct child {
	pid_t pid; /* 0: none */
	int fd;    /* own */
	bool ready;
};

enum recv { RECV_FRAME, RECV_END, RECV_LATE, RECV_HUGE, RECV_ERROR };

enum mh_status child_start(const struct child_work *w, struct child *ret, struct mh_err *err);
/* Takes the next frame off the child's answer. in holds what came; its first *used bytes are done with, and the frame
 * will be. *ret_frame stands in in, until the next call. */
enum recv child_receive(
    struct child *c, int64_t deadline_ms, size_t max, struct buf *in, size_t *used, struct mh_span *ret_frame);
/* Ends it for certain, if it has not ended, and leaves no zombie. The wait status; -1: not known. */
int child_end(struct child *c);
/* The child gave no answer: verdict failed with the reason in words, or MH_RETRY when it was never shut in. */
enum mh_status child_failed(const struct reader *r, const struct child *c, enum recv how, int status, struct arena *a,
    struct reading *ret, struct mh_err *err);
/* A verdict failed with these words. */
enum mh_status reading_failed(struct arena *a, const char *why, struct reading *ret, struct mh_err *err);

#endif
