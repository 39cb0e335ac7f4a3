/* sandbox_batch.c: one child for many messages, several a round trip. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "mailhook/answer.h"
#include "mailhook/clock.h"
#include "mailhook/mail/charset.h"
#include "mailhook/sandbox_impl.h"

#define FILL_BYTES ((size_t)1 << 20) /* a round trip holds about so much, so that the pages stay in the cache */
#define ROOM_BYTES (FILL_BYTES + (size_t)MH_MAX_MESSAGE_BYTES + 1)
/* What is shared with a child that goes on living. Each fresh page of such memory costs a fault, and seven times what
 * it costs where huge pages can be had: behind it stands plain memory, and what reaches into that is read by a child of
 * its own. */
#define SHARED_BYTES (5 * FILL_BYTES)

struct sandbox_batch {
	struct reader reader;
	struct charset_set *charsets; /* own; what the running child has, and what the next one will */
	size_t charsets_open;
	char *room; /* own: the messages of this round trip, one behind the other */
	size_t used;
	struct batch_request pending;
	bool asked; /* for pending, and what the child did not take shows when it is to answer */
	bool sent;
	struct child child; /* pid 0: none runs */
	struct buf in;      /* what the child said */
	size_t in_used;
};

/* Memory for the messages; NULL: there is none. */
static char *
new_room(void)
{
	const int plain = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	char *p = mmap(NULL, ROOM_BYTES, PROT_READ | PROT_WRITE, plain, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	if (mmap(p, SHARED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
		0) == MAP_FAILED) {
		(void)munmap(p, ROOM_BYTES);
		return NULL;
	}
	(void)madvise(p + SHARED_BYTES, ROOM_BYTES - SHARED_BYTES, MADV_HUGEPAGE);
	(void)madvise(p, ROOM_BYTES, MADV_DONTFORK); /* another batch's child must not see it */
	return p;
}

enum mh_status
sandbox_batch_new(const struct reader *r, struct sandbox_batch **ret, struct mh_err *err)
{
	struct sandbox_batch *b = calloc(1, sizeof(*b));

	if (b == NULL)
		return mh_fail(err, MH_RETRY, "no memory");
	b->reader = *r;
	if (b->reader.cpu_s == 0)
		b->reader.cpu_s = MH_CHILD_CPU_S;
	if (b->reader.memory_bytes == 0)
		b->reader.memory_bytes = MH_CHILD_MEMORY_BYTES;
	if (b->reader.wall_ms == 0)
		b->reader.wall_ms = MH_CHILD_WALL_MS;
	buf_init(&b->in, 4 * (size_t)MH_MAX_ANSWER_BYTES);
	b->charsets = charset_set_new();
	b->room = new_room();
	if (b->room == NULL) {
		(void)mh_fail_errno(err, MH_RETRY, "no memory to share with the reader");
		sandbox_batch_free(b);
		return MH_RETRY;
	}
	*ret = b;
	return MH_OK;
}

void
sandbox_batch_free(struct sandbox_batch *b)
{
	if (b == NULL)
		return;
	(void)child_end(&b->child);
	if (b->room != NULL)
		(void)munmap(b->room, ROOM_BYTES);
	charset_set_free(b->charsets);
	buf_release(&b->in);
	free(b);
}

char *
sandbox_batch_room(struct sandbox_batch *b)
{
	return b->room + b->used;
}

bool
sandbox_batch_add(struct sandbox_batch *b, size_t n)
{
	struct batch_request *q = &b->pending;

	q->messages[q->n].at = (uint32_t)b->used;
	q->messages[q->n].n = (uint32_t)n;
	q->n++;
	b->used += n;
	return q->n == MH_BATCH || b->used > FILL_BYTES;
}

/* A child that has these messages, and the converters which they name: the running one, else a fresh one. */
static enum mh_status
ensure_child(struct sandbox_batch *b, struct mh_err *err)
{
	const size_t before = b->charsets_open;
	const bool shared = b->used <= SHARED_BYTES;

	if (b->charsets != NULL) {
		charset_set_open(b->charsets, (struct mh_span){ b->room, b->used });
		b->charsets_open = charset_set_opened(b->charsets);
	}
	if (b->child.pid > 0 && b->charsets_open == before && shared)
		return MH_OK;
	(void)child_end(&b->child);
	buf_clear(&b->in);
	b->in_used = 0;

	const struct child_work w = { .reader = &b->reader,
		.charsets = b->charsets,
		.shared = b->room,
		.shared_bytes = shared ? SHARED_BYTES : ROOM_BYTES };
	if (madvise(b->room, w.shared_bytes, MADV_DOFORK) < 0)
		return mh_fail_errno(err, MH_RETRY, "the reader's memory cannot be shared with it");
	const enum mh_status st = child_start(&w, &b->child, err);
	(void)madvise(b->room, w.shared_bytes, MADV_DONTFORK);
	return st;
}

/* Moves the child's limit on processor time to what it has used and cpu_s more. It cannot do so itself. */
static void
allow_cpu(const struct sandbox_batch *b)
{
	clockid_t clock;
	struct timespec used;
	struct rlimit limit;

	if (clock_getcpuclockid(b->child.pid, &clock) != 0 || clock_gettime(clock, &used) < 0 ||
	    prlimit(b->child.pid, RLIMIT_CPU, NULL, &limit) < 0)
		return; /* it has just died, and that will show */
	limit.rlim_cur = (rlim_t)used.tv_sec + 1 + b->reader.cpu_s;
	if (limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	(void)prlimit(b->child.pid, RLIMIT_CPU, &limit, NULL);
}

static bool
ask(const struct sandbox_batch *b, const struct batch_request *q)
{
	struct mh_span s = { (const char *)q, sizeof(*q) };

	while (s.n > 0) {
		const ssize_t n = send(b->child.fd, s.p, s.n, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = span_from(s, (size_t)n);
	}
	return true;
}

/* Takes one message's frames. RECV_FRAME: *ret is set. Garbage is an answer too: the child is not to be asked again. */
static enum recv
take_answer(struct sandbox_batch *b, size_t raw_bytes, int64_t deadline, struct arena *a, struct batch_answer *ret,
    bool *ret_garbage)
{
	struct batch_answer got = { 0 };
	struct mh_err bad = { 0 };
	struct mh_span frame;

	enum recv how = child_receive(&b->child, deadline, MH_MAX_ANSWER_BYTES, &b->in, &b->in_used, &frame);
	if (how != RECV_FRAME)
		return how;
	*ret_garbage = answer_decode(frame, raw_bytes, a, &got.reading, &bad) != MH_OK;
	if (*ret_garbage) {
		char why[200];

		(void)snprintf(why, sizeof(why), "the reader answered garbage: %s", bad.text);
		(void)reading_failed(a, why, &got.reading, NULL);
		*ret = got;
		return RECV_FRAME;
	}

	if (b->reader.explain != NULL) {
		how = child_receive(&b->child, deadline, MAX_EXPLAIN_BYTES, &b->in, &b->in_used, &frame);
		if (how != RECV_FRAME)
			return how;
		(void)arena_copy(a, frame, &got.explained, NULL); /* not said where it does not fit */
	}
	*ret = got;
	return RECV_FRAME;
}

/* Asks for the messages of q, and waits for nothing. */
static enum mh_status
begin(struct sandbox_batch *b, const struct batch_request *q, struct mh_err *err)
{
	const enum mh_status st = ensure_child(b, err);

	if (st != MH_OK)
		return st;
	allow_cpu(b);
	b->sent = ask(b, q);
	return MH_OK;
}

/* Takes the answers for q. *ret_n: how many have one; where it is fewer, the child is dead and how says why. */
static enum mh_status
collect(struct sandbox_batch *b, const struct batch_request *q, struct arena *a, struct batch_answer *ret,
    size_t *ret_n, struct mh_err *err)
{
	enum mh_status st = MH_OK;
	bool garbage = false;
	size_t n = 0;

	const int64_t deadline = clock_monotonic_ms() + b->reader.wall_ms;
	enum recv how = b->sent ? RECV_FRAME : RECV_END;
	while (how == RECV_FRAME && n < q->n && !garbage) {
		how = take_answer(b, q->messages[n].n, deadline, a, &ret[n], &garbage);
		if (how == RECV_FRAME && (!garbage || q->n == 1)) /* of several, nobody knows whose garbage it is */
			n++;
	}

	if (how != RECV_FRAME || garbage) {
		struct child dead = b->child;
		const int status = child_end(&b->child);

		/* Alone in its round trip, the message is what killed the child. */
		if (how != RECV_FRAME && q->n == 1) {
			ret[0] = (struct batch_answer){ 0 };
			st = child_failed(&b->reader, &dead, how, status, a, &ret[0].reading, err);
			n = st == MH_OK ? 1 : 0;
		}
	}
	*ret_n = n;
	return st;
}

enum mh_status
sandbox_batch_start(struct sandbox_batch *b, struct mh_err *err)
{
	if (b->pending.n == 0 || b->asked)
		return MH_OK;

	const enum mh_status st = begin(b, &b->pending, err);
	b->asked = st == MH_OK;
	return st;
}

enum mh_status
sandbox_batch_run(
    struct sandbox_batch *b, struct arena *a, struct batch_answer ret[MH_BATCH], size_t *ret_n, struct mh_err *err)
{
	enum mh_status st = sandbox_batch_start(b, err);
	const struct batch_request all = b->pending;
	size_t done = 0;

	if (st == MH_OK && b->asked)
		st = collect(b, &all, a, ret, &done, err);
	b->asked = false;
	b->pending.n = 0;
	/* Not shut in, a first child is an error; later ones are tried message by message. */
	for (; st == MH_OK && done < all.n; done++) {
		struct batch_request one = { .n = 1 };
		size_t n;

		one.messages[0] = all.messages[done];
		st = begin(b, &one, err);
		if (st == MH_OK)
			st = collect(b, &one, a, &ret[done], &n, err);
	}
	if (b->used > SHARED_BYTES) /* its copy of what is not shared would have to be kept */
		(void)child_end(&b->child);
	b->used = 0;
	*ret_n = st == MH_OK ? all.n : 0;
	return st;
}
