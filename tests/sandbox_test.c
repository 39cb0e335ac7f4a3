/* sandbox_test.c: whatever a parser does, the parent lives, knows it as failed, and has neither a zombie nor a
 * descriptor more than before. The message chooses what the hostile parser does: its body is the row's name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mailhook/answer.h"
#include "mailhook/sandbox.h"
#include "parsers/parser.h"

struct deed {
	const char *name, *reason; /* reason: words that must be in it; the sanitizers end a crash in their own way */
	void (*act)(void);
	bool crash;       /* a sanitizer may see it first */
	bool needs_limit; /* on memory, which no sanitizer lives with */
};

/* -- what hostile parsers do -------------------------------------------------------------------------------------- */

static void
touch_foreign(void)
{
	volatile char *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	*p = 'x';
}

static void
abort_it(void)
{
	abort();
}

static void
trap(void)
{
	__builtin_trap();
}

static void
spin(void)
{
	for (volatile unsigned i = 0;; i++)
		;
}

static void
eat_memory(void)
{
	for (;;) {
		volatile char *p = malloc(1 << 20);

		if (p == NULL)
			abort();
		for (size_t i = 0; i < 1 << 20; i += 4096)
			p[i] = 1;
	}
}

static int
dig(volatile char *above, int n)
{
	volatile char here[4096];

	here[0] = above[0];
	return n < 0 ? 0 : dig(here, n + 1) + here[0];
}

static void
eat_stack(void)
{
	volatile char first = 0;

	(void)dig(&first, 0);
}

static void
open_file(void)
{
	(void)open("/etc/passwd", O_RDONLY);
}

static void
make_socket(void)
{
	(void)socket(AF_INET, SOCK_STREAM, 0);
}

static void
connect_out(void)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)
	};

	(void)connect(STDIN_FILENO, (struct sockaddr *)&to, sizeof(to));
}

static void
exec_shell(void)
{
	(void)execl("/bin/true", "true", (char *)NULL);
}

static void
fork_it(void)
{
	(void)fork();
}

static void
kill_parent(void)
{
	(void)kill(getppid(), SIGKILL);
}

static void
make_executable(void)
{
	(void)mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void
trace_parent(void)
{
	(void)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static void
raise_limit(void)
{
	(void)setrlimit(RLIMIT_CPU, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
}

#ifdef __x86_64__
static void
call_x32(void)
{
	(void)syscall(0x40000000 | SYS_getpid);
}

static void
call_32_bit(void)
{
	long result;

	/* int 0x80 is another architecture's table, where 5 is open */
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(5), "b"(0), "c"(0), "d"(0) : "memory");
}
#endif

static void
say(const void *p, size_t n)
{
	if (write(STDIN_FILENO, p, n) < 0)
		_exit(3);
}

static void
say_garbage(void)
{
	static const char frame[] = "\x05\0\0\0hello";

	say(frame, sizeof(frame) - 1);
	_exit(0);
}

static void
say_half(void)
{
	static const char frame[] = "\x50\0\0\0mha1";

	say(frame, sizeof(frame) - 1);
	_exit(0);
}

static void
say_huge(void)
{
	static const char head[] = "\xFF\xFF\xFF\x7F";
	static const char bytes[65536];

	say(head, 4);
	for (;;)
		say(bytes, sizeof(bytes));
}

/* A good answer, and then a good answer to a question that nobody asked. */
static void
say_twice(void)
{
	const struct reading r = { .verdict = MH_IRRELEVANT };
	uint32_t n;
	struct buf b;

	buf_init(&b, MH_MAX_ANSWER_BYTES);
	answer_encode(&r, &b);
	n = (uint32_t)b.n;
	for (int i = 0; i < 2; i++) {
		say(&n, sizeof(n));
		say(b.p, b.n);
	}
	_exit(0);
}

static void
say_and_crash(void)
{
	const struct reading r = { .verdict = MH_IRRELEVANT };
	uint32_t n;
	struct buf b;

	buf_init(&b, MH_MAX_ANSWER_BYTES);
	answer_encode(&r, &b);
	n = (uint32_t)b.n;
	say(&n, sizeof(n));
	say(b.p, b.n);
	_exit(1);
}

static void
say_nothing(void)
{
	_exit(0);
}

static const char forbidden[] = "forbids";

static const struct deed deeds[] = {
	{ "crash", "SIGSEGV", touch_foreign, true, false },
	{ "abort", "reader", abort_it, true, false },
	{ "trap", "SIGILL", trap, true, false },
	{ "spin", "processor time", spin, false, false },
	{ "memory", "reader", eat_memory, false, true },
	{ "stack", "SIGSEGV", eat_stack, true, true },
	{ "open", forbidden, open_file, false, false },
	{ "socket", forbidden, make_socket, false, false },
	{ "connect", forbidden, connect_out, false, false },
	{ "exec", forbidden, exec_shell, false, false },
	{ "fork", forbidden, fork_it, false, false },
	{ "kill", forbidden, kill_parent, false, false },
	{ "executable memory", forbidden, make_executable, false, false },
	{ "ptrace", forbidden, trace_parent, false, false },
	{ "raise a limit", forbidden, raise_limit, false, false },
#ifdef __x86_64__
	{ "x32", forbidden, call_x32, false, false },
	{ "32-bit", forbidden, call_32_bit, false, false },
#endif
	{ "garbage", "garbage", say_garbage, false, false },
	{ "half", "without an answer", say_half, false, false },
	{ "huge", "too much", say_huge, false, false },
	{ "twice", "more than its answer", say_twice, false, false },
	{ "answer and crash", "without an answer", say_and_crash, false, false },
	{ "nothing", "without an answer", say_nothing, false, false },
};
#define N_DEEDS (sizeof(deeds) / sizeof(deeds[0]))

static bool
can_run(const struct deed *d)
{
#ifdef MAILHOOK_SANITIZED
	return !d->needs_limit;
#else
	(void)d;
	return true;
#endif
}

static enum mh_status
hostile_parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	const struct mail_field *f = mail_field(&m->messages[0], "Subject");

	(void)state;
	(void)err;
	for (size_t i = 0; f != NULL && i < N_DEEDS; i++)
		if (span_eq(f->value, span_of(deeds[i].name)))
			deeds[i].act();
	if (f != NULL && span_eq(f->value, MH_LIT("sleep")))
		for (;;)
			if (read(STDIN_FILENO, &(char){ 0 }, 1) < 0) /* nobody writes: waits without time */
				_exit(3);
	ret->verdict = MH_IRRELEVANT;
	return f == NULL ? MH_OK : arena_copy(a, f->value, &ret->reason, err);
}

static const struct mh_parser hostile = { .name = "hostile", .help = "", .parse = hostile_parse };

/* -- the parent --------------------------------------------------------------------------------------------------- */

static size_t
count_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	size_t n = 0;

	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	(void)closedir(d);
	return n;
}

static void
assert_no_child(const char *name)
{
	if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD)
		fail_msg("%s: left a child", name);
}

static struct mh_span
message(char dst[128], const char *subject)
{
	const int n = snprintf(dst, 128, "Subject: %s\n\nbody\n", subject);

	return (struct mh_span){ dst, (size_t)n };
}

static bool
holds(struct mh_span s, const char *words)
{
	return s.p != NULL && span_find(s, span_of(words), 0) != SIZE_MAX;
}

static void
assert_failed(const struct deed *d, const struct reading *got)
{
	if (got->verdict != MH_FAILED)
		fail_msg("%s: verdict %s", d->name, mh_verdict_names[got->verdict]);
	const char *words = d->reason;
#ifdef MAILHOOK_SANITIZED
	words = d->crash ? "reader" : words;
#endif
	if (!holds(got->reason, words))
		fail_msg("%s: reason %.*s", d->name, (int)got->reason.n, got->reason.p);
}

static void
read_deeds(void)
{
	const struct reader r = { .parser = &hostile, .cpu_s = 1, .memory_bytes = 64u << 20, .wall_ms = 5000 };
	const size_t before = count_descriptors();

	for (size_t i = 0; i < N_DEEDS; i++) {
		struct mh_err err = { 0 };
		struct reading got;
		struct arena a;
		char text[128];

		if (!can_run(&deeds[i])) {
			print_message("skipped: %s: not under a sanitizer\n", deeds[i].name);
			continue;
		}
		arena_init(&a, MH_MAX_ARENA_BYTES);
		if (sandbox_read(&r, message(text, deeds[i].name), &a, &got, &err) != MH_OK)
			fail_msg("%s: %s", deeds[i].name, err.text);
		assert_failed(&deeds[i], &got);
		arena_release(&a);
		assert_no_child(deeds[i].name);
		assert_int_equal(count_descriptors(), before);
	}
}

static void
test_hostile(void **state)
{
	(void)state;
	read_deeds();
}

/* A mail server's way to start us: SIGCHLD and SIGXCPU ignored, SIGPIPE too. */
static void
test_hostile_with_ignored_signals(void **state)
{
	(void)state;
	(void)signal(SIGCHLD, SIG_IGN);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXCPU, SIG_IGN);
	read_deeds();
	(void)signal(SIGCHLD, SIG_DFL);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGXCPU, SIG_DFL);
}

static void
on_alarm(int sig)
{
	(void)sig;
}

/* Every wait is broken by a signal, a thousand times a second. */
static void
test_interrupted(void **state)
{
	const struct sigaction act = { .sa_handler = on_alarm };
	const struct itimerval often = { { 0, 1000 }, { 0, 1000 } }, never = { { 0, 0 }, { 0, 0 } };

	(void)state;
	assert_int_equal(sigaction(SIGALRM, &act, NULL), 0);
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	read_deeds();
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
}

static void
test_good(void **state)
{
	const struct reader r = { .parser = &hostile };
	struct mh_err err = { 0 };
	struct reading got;
	struct arena a;
	char text[128];

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_read(&r, message(text, "hello"), &a, &got, &err), MH_OK);
	assert_int_equal(got.verdict, MH_IRRELEVANT);
	assert_true(span_eq(got.reason, MH_LIT("hello")));
	assert_true(span_eq(got.subject, MH_LIT("hello")));
	assert_int_equal(sandbox_read(&r, MH_LIT(""), &a, &got, &err), MH_OK);
	assert_int_equal(got.verdict, MH_IRRELEVANT);
	arena_release(&a);
	assert_no_child("good");
}

static void
test_deadline(void **state)
{
	const struct reader r = { .parser = &hostile, .wall_ms = 200 };
	struct mh_err err = { 0 };
	struct reading got;
	struct arena a;
	char text[128];

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_read(&r, message(text, "sleep"), &a, &got, &err), MH_OK);
	assert_int_equal(got.verdict, MH_FAILED);
	assert_true(holds(got.reason, "within 200 ms"));
	arena_release(&a);
	assert_no_child("deadline");
}

static void
test_no_process(void **state)
{
	int status;

	(void)state;
	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) { /* no descriptor is left for the socket */
		const struct reader r = { .parser = &hostile };
		struct mh_err err = { 0 };
		struct reading got;
		struct arena a;

		arena_init(&a, MH_MAX_ARENA_BYTES);
		if (setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, 0 }) < 0)
			_exit(99);
		_exit((int)sandbox_read(&r, MH_LIT("x"), &a, &got, &err));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), MH_RETRY);
}

/* -- batches ------------------------------------------------------------------------------------------------------ */

/* Takes in one message; where the round trip is full, it runs, and the answers are checked in order. */
struct checker {
	struct sandbox_batch *b;
	struct arena arena;
	const char *expected[MH_BATCH]; /* subjects */
	size_t n, good, failed;
};

static void
check_run(struct checker *c)
{
	struct batch_answer answers[MH_BATCH];
	struct mh_err err = { 0 };
	size_t n = 0;

	arena_reset(&c->arena);
	if (sandbox_batch_run(c->b, &c->arena, answers, &n, &err) != MH_OK)
		fail_msg("%s", err.text);
	assert_int_equal(n, c->n);
	for (size_t i = 0; i < n; i++) {
		const struct reading *got = &answers[i].reading;

		if (strcmp(c->expected[i], "good") == 0) {
			c->good++;
			if (got->verdict != MH_IRRELEVANT || !span_eq(got->reason, MH_LIT("good")))
				fail_msg("a good message beside a hostile one: %.*s", (int)got->reason.n,
				    got->reason.p == NULL ? "" : got->reason.p);
			continue;
		}
		c->failed++;
		if (got->verdict != MH_FAILED)
			fail_msg("%s in a batch: verdict %s", c->expected[i], mh_verdict_names[got->verdict]);
	}
	c->n = 0;
}

static void
check_add(struct checker *c, const char *subject)
{
	char text[128];
	const struct mh_span m = message(text, subject);

	memcpy(sandbox_batch_room(c->b), m.p, m.n);
	c->expected[c->n++] = subject;
	if (sandbox_batch_add(c->b, m.n))
		check_run(c);
}

static void
test_batch(void **state)
{
	const struct reader r = { .parser = &hostile, .cpu_s = 1, .memory_bytes = 64u << 20, .wall_ms = 4000 };
	const size_t before = count_descriptors();
	struct mh_err err = { 0 };
	struct checker c = { 0 };
	size_t hostile_ones = 0;

	(void)state;
	arena_init(&c.arena, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&r, &c.b, &err), MH_OK);
	for (size_t i = 0; i < 200; i++)
		check_add(&c, "good");
	check_run(&c);
	check_run(&c); /* nothing to do */
	assert_int_equal(c.good, 200);

	for (size_t i = 0; i < N_DEEDS; i++) {
		/* Frames said out of turn pass for other messages' answers: such a child lies, and sandbox.h says
		 * what follows from that. */
		if (!can_run(&deeds[i]) || strcmp(deeds[i].name, "twice") == 0 ||
		    strcmp(deeds[i].name, "answer and crash") == 0)
			continue;
		hostile_ones++;
		check_add(&c, "good");
		check_add(&c, deeds[i].name);
		check_add(&c, "good");
		check_run(&c);
	}
	assert_int_equal(c.failed, hostile_ones);
	assert_int_equal(c.good, 200 + 2 * hostile_ones);
	sandbox_batch_free(c.b);
	arena_release(&c.arena);
	assert_no_child("batch");
	assert_int_equal(count_descriptors(), before);
}

/* The limit on processor time is a message's, not the batch's. */
static enum mh_status
slow_parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	(void)m;
	(void)a;
	(void)err;
	for (volatile unsigned long i = 0, *n = state; i < *n; i++)
		;
	ret->verdict = MH_IRRELEVANT;
	return MH_OK;
}

static void
test_batch_time(void **state)
{
	static const struct mh_parser slow = { .name = "slow", .help = "", .parse = slow_parse };
	unsigned long rounds = 1000000;
	struct timespec from, to;
	struct mh_err err = { 0 };
	struct checker c = { 0 };

	(void)state;
	/* How many rounds are some 300 ms of processor time here? Another load on the core may double it. */
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (volatile unsigned long i = 0; i < 20 * rounds; i++)
		;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	const double ms = (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6;
	rounds = (unsigned long)(20e6 * 300 / (ms < 1 ? 1 : ms));

	const struct reader r = { .parser = &slow, .parser_state = &rounds, .cpu_s = 1, .wall_ms = 20000 };
	arena_init(&c.arena, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&r, &c.b, &err), MH_OK);
	for (int i = 0; i < 6; i++) {
		struct batch_answer answers[MH_BATCH];
		size_t n;

		memcpy(sandbox_batch_room(c.b), "a: b\n", 5);
		(void)sandbox_batch_add(c.b, 5);
		assert_int_equal(sandbox_batch_run(c.b, &c.arena, answers, &n, &err), MH_OK);
		assert_int_equal(n, 1);
		if (answers[0].reading.verdict != MH_IRRELEVANT)
			fail_msg("message %d: %.*s", i, (int)answers[0].reading.reason.n, answers[0].reading.reason.p);
	}
	sandbox_batch_free(c.b);
	arena_release(&c.arena);
}

static void
explain_all(void *user, const struct explain_sink *sink)
{
	*(struct explain_sink *)user = *sink;
}

static enum mh_status
explaining_parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	const struct explain_sink *sink = state;

	(void)m;
	(void)a;
	(void)err;
	sink->line(sink->user, MH_LIT("first"));
	sink->line(sink->user, MH_LIT("second"));
	ret->verdict = MH_IRRELEVANT;
	return MH_OK;
}

static void
test_batch_explains(void **state)
{
	static const struct mh_parser explaining = { .name = "explaining", .help = "", .parse = explaining_parse };
	struct explain_sink sink = { 0 };
	const struct reader r = { .parser = &explaining, .parser_state = &sink, .explain = explain_all };
	struct batch_answer answers[MH_BATCH];
	struct mh_err err = { 0 };
	struct sandbox_batch *b;
	struct arena a;
	size_t n;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&r, &b, &err), MH_OK);
	for (int i = 0; i < 3; i++)
		(void)sandbox_batch_add(b, 0);
	assert_int_equal(sandbox_batch_run(b, &a, answers, &n, &err), MH_OK);
	assert_int_equal(n, 3);
	for (size_t i = 0; i < n; i++)
		assert_true(span_eq(answers[i].explained, MH_LIT("first\nsecond\n")));
	sandbox_batch_free(b);
	arena_release(&a);
}

/* Charsets that a running child lacks: a fresh one has them. */
static void
test_batch_charsets(void **state)
{
	static const char *const subjects[] = {
		"=?utf-8?q?=C5=81?=", "=?iso-8859-2?q?=A3?=", "=?koi8-r?q?=C1?=", "=?iso-8859-2?q?=A3?="
	};
	static const char *const wanted[] = { "\xC5\x81", "\xC5\x81", "\xD0\xB0", "\xC5\x81" };
	const struct reader r = { .parser = &hostile };
	struct mh_err err = { 0 };
	struct sandbox_batch *b;
	struct arena a;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&r, &b, &err), MH_OK);
	for (size_t i = 0; i < sizeof(subjects) / sizeof(subjects[0]); i++) {
		struct batch_answer answers[MH_BATCH];
		char text[128];
		size_t n;

		const struct mh_span m = message(text, subjects[i]);
		memcpy(sandbox_batch_room(b), m.p, m.n);
		(void)sandbox_batch_add(b, m.n);
		assert_int_equal(sandbox_batch_run(b, &a, answers, &n, &err), MH_OK);
		assert_int_equal(n, 1);
		if (!span_eq(answers[0].reading.reason, span_of(wanted[i])))
			fail_msg(
			    "%s: %.*s", subjects[i], (int)answers[0].reading.reason.n, answers[0].reading.reason.p);
	}
	sandbox_batch_free(b);
	arena_release(&a);
}

static void
add_subject(struct sandbox_batch *b, const char *subject)
{
	char text[128];
	const struct mh_span m = message(text, subject);

	memcpy(sandbox_batch_room(b), m.p, m.n);
	(void)sandbox_batch_add(b, m.n);
}

/* Two that have begun, and are waited for in the other order. */
static void
test_batches_side_by_side(void **state)
{
	static const char *const subjects[2][2] = { { "one", "two" }, { "three", "four" } };
	const struct reader r = { .parser = &hostile };
	struct mh_err err = { 0 };
	struct sandbox_batch *b[2];
	struct arena a;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(sandbox_batch_new(&r, &b[i], &err), MH_OK);
		for (size_t k = 0; k < 2; k++)
			add_subject(b[i], subjects[i][k]);
		assert_int_equal(sandbox_batch_start(b[i], &err), MH_OK);
	}
	for (size_t i = 2; i-- > 0;) {
		struct batch_answer answers[MH_BATCH];
		size_t n;

		assert_int_equal(sandbox_batch_run(b[i], &a, answers, &n, &err), MH_OK);
		assert_int_equal(n, 2);
		for (size_t k = 0; k < n; k++)
			assert_true(span_eq(answers[k].reading.reason, span_of(subjects[i][k])));
		assert_int_equal(sandbox_batch_run(b[i], &a, answers, &n, &err), MH_OK);
		assert_int_equal(n, 0);
	}
	for (size_t i = 0; i < 2; i++)
		sandbox_batch_free(b[i]);
	arena_release(&a);
}

static enum mh_status
peeking_parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	const volatile char *const *other = state;

	(void)m;
	(void)a;
	(void)err;
	if (*other != NULL && **other != '\0')
		ret->verdict = MH_IRRELEVANT;
	return MH_OK;
}

/* What one batch holds is not even in the memory of another's child. */
static void
test_batch_is_alone(void **state)
{
	static const struct mh_parser peeking = { .name = "peeking", .help = "", .parse = peeking_parse };
	const char *other = NULL;
	const struct reader plain = { .parser = &hostile }, r = { .parser = &peeking, .parser_state = &other };
	struct batch_answer answers[MH_BATCH];
	struct mh_err err = { 0 };
	struct sandbox_batch *held, *b;
	struct arena a;
	size_t n;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&plain, &held, &err), MH_OK);
	assert_int_equal(sandbox_batch_new(&r, &b, &err), MH_OK);
	other = sandbox_batch_room(held);
	add_subject(held, "private");
	add_subject(b, "curious");
	assert_int_equal(sandbox_batch_run(b, &a, answers, &n, &err), MH_OK);
	assert_int_equal(n, 1);
	assert_int_equal(answers[0].reading.verdict, MH_FAILED);
	sandbox_batch_free(b);
	sandbox_batch_free(held);
	arena_release(&a);
}

/* How long the message is, and the sum of its bytes. */
static enum mh_status
summing_parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	unsigned sum = 0;

	(void)state;
	for (size_t i = 0; i < m->raw.n; i++)
		sum += (unsigned char)m->raw.p[i];
	ret->verdict = MH_UNRECOGNISED; /* a limit that was hit makes a failure of less */
	return arena_printf(a, &ret->reason, err, "%zu %u", m->raw.n, sum);
}

/* What reaches beyond the memory that is shared with a child is read as what does not, and so is what comes behind it. */
static void
test_batch_big(void **state)
{
	static const struct mh_parser summing = { .name = "summing", .help = "", .parse = summing_parse };
	static const size_t sizes[] = { 100, 20u << 20, 100, 900000, 4600000, 100, 5u << 20, (5u << 20) + 1, 6u << 20,
		100, 21u << 20, 100 };
	const struct reader r = { .parser = &summing };
	struct batch_answer answers[MH_BATCH];
	struct mh_err err = { 0 };
	struct sandbox_batch *b;
	char want[MH_BATCH][40];
	size_t waiting = 0, read = 0;
	struct arena a;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(sandbox_batch_new(&r, &b, &err), MH_OK);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *room = sandbox_batch_room(b);
		unsigned sum = 0;
		size_t n = 0;

		for (size_t k = 0; k < sizes[i]; k++) {
			room[k] = (char)('a' + (i + k) % 17);
			sum += (unsigned char)room[k];
		}
		(void)snprintf(want[waiting++], sizeof(want[0]), "%zu %u", sizes[i], sum);
		const bool full = sandbox_batch_add(b, sizes[i]);
		if (!full && i + 1 < sizeof(sizes) / sizeof(sizes[0]))
			continue;
		if (sandbox_batch_run(b, &a, answers, &n, &err) != MH_OK)
			fail_msg("%s", err.text);
		assert_int_equal(n, waiting);
		for (; waiting > 0; waiting--, read++)
			if (!span_eq(answers[waiting - 1].reading.reason, span_of(want[waiting - 1])))
				fail_msg("a message's length and sum: not %s", want[waiting - 1]);
		arena_reset(&a);
	}
	assert_int_equal(read, sizeof(sizes) / sizeof(sizes[0]));
	sandbox_batch_free(b);
	arena_release(&a);
	assert_no_child("big messages");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_hostile_with_ignored_signals),
		cmocka_unit_test(test_interrupted),
		cmocka_unit_test(test_deadline),
		cmocka_unit_test(test_no_process),
		cmocka_unit_test(test_batch),
		cmocka_unit_test(test_batch_time),
		cmocka_unit_test(test_batch_explains),
		cmocka_unit_test(test_batch_charsets),
		cmocka_unit_test(test_batches_side_by_side),
		cmocka_unit_test(test_batch_is_alone),
		cmocka_unit_test(test_batch_big),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
