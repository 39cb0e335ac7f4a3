/* sandbox_child.c: the side that reads. It shuts itself in, then parses; it logs nothing and trusts nothing.
 *
 * The order matters: descriptors first (what is closed needs no rule), limits, then the filter, which allows no call
 * that could widen anything again. The list names what the C library's allocator, reading and writing need.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mailhook/answer.h"
#include "mailhook/fd.h"
#include "mailhook/mail/charset.h"
#include "mailhook/rlimit.h"
#include "mailhook/sandbox_impl.h"
#include "parsers/parser.h"

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "the sandbox knows the system calls of x86_64 and aarch64 only"
#endif

#define ALLOW_VALUE(v) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (v), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define ALLOW(name) ALLOW_VALUE(__NR_##name)

/* x32 calls carry OUR_ARCH and a number of their own (bit 30), which no line here equals, so they are killed too. */
static const struct sock_filter rules[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	ALLOW(read),
	ALLOW(write),
	ALLOW(brk),
	ALLOW(munmap),
	ALLOW(mremap), /* keeps the protection of what it moves */
	ALLOW(exit_group),
	ALLOW(exit),
	ALLOW(rt_sigreturn),
#ifdef MAILHOOK_SANITIZED
	ALLOW(mprotect),
	ALLOW(futex),
	ALLOW(sched_yield),
	ALLOW(getpid),
	ALLOW(gettid),
	ALLOW(sigaltstack),
	ALLOW(rt_sigprocmask),
	ALLOW(clock_gettime),
#endif
	/* Last what needs the accumulator; the low word holds all of the argument. mmap: no executable page. */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_mmap, 0, 4),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
	BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 0, 1),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	/* madvise: what allocators and the arena say. MADV_REMOVE would empty the messages for the parent too, and
	 * Linux (6.18) lets who may only read them do that. */
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_madvise, 1, 0),
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[2])),
	ALLOW_VALUE(MADV_DONTNEED),
	ALLOW_VALUE(MADV_HUGEPAGE),
#ifdef MAILHOOK_SANITIZED
	ALLOW_VALUE(MADV_NOHUGEPAGE),
	ALLOW_VALUE(MADV_DONTDUMP),
#endif
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
};

#ifndef MAILHOOK_SANITIZED
/* What the process has mapped, in bytes: the first number of statm, in pages. 0: not to be learnt. */
static rlim_t
mapped_bytes(void)
{
	char text[64];
	rlim_t pages = 0;

	const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (fd >= 0)
		(void)close(fd);
	for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
		pages = pages * 10 + (rlim_t)(text[i] - '0');
	return pages * (rlim_t)sysconf(_SC_PAGESIZE);
}
#endif

static bool
limit_all(const struct child_work *w)
{
	/* A batch's allowance moves with each request: the parent sets it (sandbox_batch.c). The hard limit is one
	 * second later, and SIGKILL: whoever started us may have SIGXCPU ignored, as Dovecot does. */
	const rlim_t cpu = w->shared != NULL ? RLIM_INFINITY : w->reader->cpu_s;

#ifndef MAILHOOK_SANITIZED
	/* Without /proc the limit is taken from what a static guess of the program allows: it only has to be finite. */
	rlim_t mapped = mapped_bytes();
	if (mapped == 0)
		mapped = (64u << 20) + w->raw.n + w->shared_bytes;
	const rlim_t memory = mapped + w->reader->memory_bytes;
	if (!rlimit_set(RLIMIT_AS, memory, memory))
		return false;
#endif
	return rlimit_set(RLIMIT_CPU, cpu, cpu == RLIM_INFINITY ? cpu : cpu + 1) && rlimit_set(RLIMIT_FSIZE, 0, 0) &&
	       rlimit_set(RLIMIT_CORE, 0, 0) && rlimit_set(RLIMIT_NOFILE, 0, 0);
}

/* Whatever the parent did with its signals was for the parent: here each has its own plain end. */
static void
reset_signals(void)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int s = 1; s < SIGRTMIN; s++)
		(void)sigaction(s, &plain, NULL); /* fails for KILL, STOP and the C library's own */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static bool
shut_in(const struct child_work *w, int fd, pid_t parent)
{
	static const struct sock_fprog program = {
		.len = sizeof(rules) / sizeof(rules[0]),
		.filter = (struct sock_filter *)(uintptr_t)rules, /* the kernel only reads it */
	};

	reset_signals();
	/* The parent may have gone between the fork and this call. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		return false;
	if (dup2(fd, STDIN_FILENO) < 0)
		return false;
#ifdef MAILHOOK_SANITIZED
	const unsigned first = STDERR_FILENO + 1; /* so that a report can be seen */
#else
	const unsigned first = STDIN_FILENO + 1;
#endif
	if (close_range(first, ~0u, 0) < 0)
		return false;
	/* The messages are the parent's: a child that one of them has taken over must not change the next. */
	if (w->shared != NULL && mprotect((void *)(uintptr_t)w->shared, w->shared_bytes, PROT_READ) < 0)
		return false;
	return limit_all(w) && prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static bool
read_all(void *p, size_t n)
{
	char *at = p;

	while (n > 0) {
		const ssize_t got = read(STDIN_FILENO, at, n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

static void
put_frame(struct buf *out, struct mh_span s)
{
	const uint32_t n = (uint32_t)s.n;

	buf_put(out, (struct mh_span){ (const char *)&n, sizeof(n) });
	buf_put(out, s);
}

struct desk { /* what the child works with */
	const struct child_work *w;
	struct arena arena;
	struct buf answer, explained, out;
	bool more; /* was to be explained than there is room for */
};

static const char explain_more[] = "...\n"; /* no JSON: whoever prints it says so in words */

static void
explain_line(void *user, struct mh_span text)
{
	struct desk *d = user;
	struct buf *b = &d->explained;

	d->more = d->more || text.n + sizeof("\n") + sizeof(explain_more) > b->max - b->n;
	if (d->more)
		return;
	buf_put(b, text);
	buf_putc(b, '\n');
}

/* Reads one message and puts its frames behind those of the messages before it. */
static bool
serve(struct desk *d, struct mh_span raw)
{
	struct reading r = { 0 };

	arena_reset(&d->arena);
	buf_clear(&d->answer);
	buf_clear(&d->explained);
	d->more = false;
	read_message(d->w->reader->parser, d->w->reader->parser_state, d->w->charsets, raw, &d->arena, &r);
	answer_encode(&r, &d->answer);
	if (!buf_ok(&d->answer))
		return false;
	put_frame(&d->out, buf_span(&d->answer));
	if (d->w->reader->explain != NULL) {
		if (d->more)
			buf_puts(&d->explained, explain_more);
		put_frame(&d->out, buf_span(&d->explained));
	}
	return buf_ok(&d->out);
}

static bool
flush(struct desk *d)
{
	const bool ok = fd_write_all(STDIN_FILENO, buf_span(&d->out));

	buf_clear(&d->out);
	return ok;
}

static bool
serve_batch(struct desk *d)
{
	struct batch_request q;

	if (!read_all(&q, sizeof(q)))
		_exit(0); /* the parent is done with us */
	for (uint32_t i = 0; i < q.n; i++) {
		if (!serve(d, (struct mh_span){ d->w->shared + q.messages[i].at, q.messages[i].n }))
			return false;
		if (d->out.n > MH_MAX_ANSWER_BYTES && !flush(d)) /* else all answers of the request in one write */
			return false;
	}
	return flush(d);
}

_Noreturn void
child_main(const struct child_work *w, int fd, pid_t parent)
{
	static const char ready = READY;
	struct desk d = { .w = w };

	arena_init(&d.arena, MH_MAX_ARENA_BYTES);
	buf_init(&d.answer, MH_MAX_ANSWER_BYTES);
	buf_init(&d.explained, MAX_EXPLAIN_BYTES);
	buf_init(&d.out, 3 * (size_t)MH_MAX_ANSWER_BYTES);
	if (w->reader->explain != NULL)
		w->reader->explain(w->reader->parser_state, &(struct explain_sink){ .line = explain_line, .user = &d });

	if (!shut_in(w, fd, parent) || !fd_write_all(STDIN_FILENO, (struct mh_span){ &ready, 1 }))
		_exit(1);
	if (w->shared == NULL)
		_exit(serve(&d, w->raw) && flush(&d) ? 0 : 1);
	while (serve_batch(&d))
		;
	_exit(1);
}
