/* hostile_parser.c: see hostile_parser.h. */
#include "tests/hostile_parser.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/answer.h"

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

const struct deed deeds[] = {
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
const size_t n_deeds = sizeof(deeds) / sizeof(deeds[0]);

bool
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
	for (size_t i = 0; f != NULL && i < n_deeds; i++)
		if (span_eq(f->value, span_of(deeds[i].name)))
			deeds[i].act();
	if (f != NULL && span_eq(f->value, MH_LIT("sleep")))
		for (;;)
			if (read(STDIN_FILENO, &(char){ 0 }, 1) < 0) /* nobody writes: waits without time */
				_exit(3);
	ret->verdict = MH_IRRELEVANT;
	return f == NULL ? MH_OK : arena_copy(a, f->value, &ret->reason, err);
}

const struct mh_parser hostile = { .name = "hostile", .help = "", .parse = hostile_parse };

size_t
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

void
assert_no_child(const char *name)
{
	if (waitpid(-1, NULL, WNOHANG | __WALL) != -1 || errno != ECHILD)
		fail_msg("%s: left a child", name);
}

struct mh_span
message(char dst[128], const char *subject)
{
	const int n = snprintf(dst, 128, "Subject: %s\n\nbody\n", subject);

	return (struct mh_span){ dst, (size_t)n };
}

bool
holds(struct mh_span s, const char *words)
{
	return s.p != NULL && span_find(s, span_of(words), 0) != SIZE_MAX;
}
