/* sandbox.c: the side that asks: starts the child, waits no longer than its deadline, believes nothing, reaps it. */
#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/answer.h"
#include "mailhook/clock.h"
#include "mailhook/mail/charset.h"
#include "mailhook/sandbox_impl.h"

enum mh_status
child_start(const struct child_work *w, struct child *ret, struct mh_err *err)
{
	const pid_t parent = getpid();
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return mh_fail_errno(err, MH_RETRY, "no socket to the reader");

	/* A fork whose end sends no signal: so it stays to be waited for where SIGCHLD is ignored (mail servers do
	 * that), and a caller's own waitpid(-1) never takes it. Only __WALL does. */
	const long pid = syscall(SYS_clone, 0UL, NULL, NULL, NULL, NULL);
	if (pid == 0)
		child_main(w, fds[1], parent);
	if (pid < 0)
		(void)mh_fail_errno(err, MH_RETRY, "no process for the reader");
	(void)close(fds[1]);
	if (pid < 0) {
		(void)close(fds[0]);
		return MH_RETRY;
	}
	*ret = (struct child){ .pid = (pid_t)pid, .fd = fds[0] };
	return MH_OK;
}

/* Waits for bytes and adds them to in. RECV_FRAME: some came. */
static enum recv
receive_some(struct child *c, int64_t deadline_ms, struct buf *in)
{
	for (;;) {
		const int64_t left = deadline_ms - clock_monotonic_ms();
		if (left <= 0)
			return RECV_LATE;

		struct pollfd p = { .fd = c->fd, .events = POLLIN };
		const int n = poll(&p, 1, (int)left);
		if (n < 0 && errno != EINTR)
			return RECV_ERROR;
		if (n <= 0)
			continue;

		char bytes[16u << 10];
		const ssize_t got = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got < 0 && errno != ECONNRESET) /* reset: it died with a request unread */
			return RECV_ERROR;
		if (got <= 0)
			return RECV_END;
		buf_put(in, (struct mh_span){ bytes, (size_t)got });
		return buf_ok(in) ? RECV_FRAME : RECV_ERROR;
	}
}

/* Moves what was not used to the front of in. */
static void
drop_used(struct buf *in, size_t *used)
{
	if (*used == 0)
		return;
	memmove(in->p, in->p + *used, in->n - *used);
	in->n -= *used;
	*used = 0;
}

enum recv
child_receive(struct child *c, int64_t deadline_ms, size_t max, struct buf *in, size_t *used, struct mh_span *ret_frame)
{
	enum recv how = RECV_FRAME;
	uint32_t n;

	for (; how == RECV_FRAME; drop_used(in, used), how = receive_some(c, deadline_ms, in)) {
		if (!c->ready && in->n > 0) {
			c->ready = in->p[0] == READY;
			if (!c->ready)
				return RECV_ERROR;
			*used = 1;
		}

		const struct mh_span left = span_from(buf_span(in), *used);
		if (left.n < FRAME_HEAD)
			continue;
		memcpy(&n, left.p, sizeof(n));
		if (n > max)
			return RECV_HUGE;
		if (left.n - FRAME_HEAD < n)
			continue;
		*ret_frame = span_head(span_from(left, FRAME_HEAD), n);
		*used += FRAME_HEAD + n;
		return RECV_FRAME;
	}
	return how;
}

int
child_end(struct child *c)
{
	int status = -1;

	if (c->pid <= 0)
		return -1;
	(void)close(c->fd);
	(void)kill(c->pid, SIGKILL); /* not yet waited for, so the number is still its own */
	while (waitpid(c->pid, &status, __WALL) < 0 && errno == EINTR)
		;
	c->pid = 0;
	return status;
}

enum mh_status
reading_failed(struct arena *a, const char *why, struct reading *ret, struct mh_err *err)
{
	struct reading r = { .verdict = MH_FAILED };

	/* The arena may be what is full; a verdict must be there all the same. */
	if (arena_copy(a, span_of(why), &r.reason, NULL) != MH_OK)
		r.reason = MH_LIT("no memory for the reason");
	(void)err;
	*ret = r;
	return MH_OK;
}

static void
word_end(const struct reader *r, int status, char *why, size_t why_bytes)
{
	if (status == -1 || !WIFSIGNALED(status)) {
		(void)snprintf(why, why_bytes, "the reader ended without an answer");
		return;
	}

	const int s = WTERMSIG(status);
	const char *name = sigabbrev_np(s);
	switch (s) {
	case SIGSYS:
		(void)snprintf(why, why_bytes, "the reader tried what the sandbox forbids");
		break;
	case SIGXCPU:
		(void)snprintf(why, why_bytes, "the reader used more than %u s of processor time", (unsigned)r->cpu_s);
		break;
	case SIGKILL:
		(void)snprintf(why, why_bytes, "the reader was killed for want of memory or processor time");
		break;
	default: /* a number, no enum */
		(void)snprintf(why, why_bytes, "the reader crashed (SIG%s)", name == NULL ? "?" : name);
		break;
	}
}

enum mh_status
child_failed(const struct reader *r, const struct child *c, enum recv how, int status, struct arena *a,
    struct reading *ret, struct mh_err *err)
{
	char why[120] = "";

	if (!c->ready) /* no byte of the mail was read: not its fault */
		return mh_fail(err, MH_RETRY, "the reader could not be shut in");
	switch (how) {
	case RECV_FRAME:
	case RECV_END:
		word_end(r, status, why, sizeof(why));
		break;
	case RECV_LATE:
		(void)snprintf(why, sizeof(why), "the reader gave no answer within %d ms", r->wall_ms);
		break;
	case RECV_HUGE:
		(void)snprintf(why, sizeof(why), "the reader answered too much");
		break;
	case RECV_ERROR:
		(void)snprintf(why, sizeof(why), "the reader's answer could not be read");
		break;
	}
	return reading_failed(a, why, ret, err);
}

enum mh_status
sandbox_read(const struct reader *reader, struct mh_span raw, struct arena *a, struct reading *ret, struct mh_err *err)
{
	struct reader r = *reader;
	struct child c = { 0 };
	struct buf in;
	struct mh_span frame;
	size_t used = 0;

	r.cpu_s = r.cpu_s == 0 ? MH_CHILD_CPU_S : r.cpu_s;
	r.memory_bytes = r.memory_bytes == 0 ? MH_CHILD_MEMORY_BYTES : r.memory_bytes;
	r.wall_ms = r.wall_ms == 0 ? MH_CHILD_WALL_MS : r.wall_ms;
	r.explain = NULL;

	struct charset_set *charsets = charset_set_new(); /* NULL: those that need no converter are left */
	if (charsets != NULL)
		charset_set_open(charsets, raw);

	const int64_t deadline = clock_monotonic_ms() + r.wall_ms;
	const struct child_work w = { .reader = &r, .charsets = charsets, .raw = raw };
	enum mh_status st = child_start(&w, &c, err);
	charset_set_free(charsets); /* the child has its copy */
	if (st != MH_OK)
		return st;

	buf_init(&in, MH_MAX_ANSWER_BYTES + (128u << 10));
	enum recv how = child_receive(&c, deadline, MH_MAX_ANSWER_BYTES, &in, &used, &frame);
	const bool answered = how == RECV_FRAME;

	/* Its end belongs to the answer: what crashes behind it is in somebody's hands. */
	while (how == RECV_FRAME && in.n == used)
		how = receive_some(&c, deadline, &in);
	const int status = child_end(&c);

	if (answered && in.n > used) {
		st = reading_failed(a, "the reader said more than its answer", ret, err);
	} else if (!answered || how != RECV_END || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		st = child_failed(&r, &c, how, status, a, ret, err);
	} else {
		struct mh_err bad = { 0 };

		/* in may have moved since */
		frame.p = in.p + used - frame.n;
		if (answer_decode(frame, raw.n, a, ret, &bad) != MH_OK) {
			char why[200];

			(void)snprintf(why, sizeof(why), "the reader answered garbage: %s", bad.text);
			st = reading_failed(a, why, ret, err);
		}
	}
	buf_release(&in);
	return st;
}
