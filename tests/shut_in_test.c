/* shut_in_test.c: what a verifier that a mail has taken over can still do. Each row is a process of its own. */
#include "tests/exact.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mailhook/verify/judge.h"

static int
open_file(void)
{
	return (int)syscall(SYS_openat, AT_FDCWD, "/etc/passwd", O_RDONLY);
}

static int
write_file(void)
{
	return (int)syscall(SYS_openat, AT_FDCWD, "/tmp", O_WRONLY | O_TMPFILE, 0600);
}

static int
run_program(void)
{
	char *argv[] = { "/bin/true", NULL };

	return execv(argv[0], argv);
}

static int
start_process(void)
{
	return (int)syscall(SYS_clone, (unsigned long)SIGCHLD, NULL, NULL, NULL, NULL);
}

static int
unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static int
listen_somewhere(void)
{
	const int fd = socket(AF_INET, SOCK_STREAM, 0);

	return listen(fd, 1);
}

static int
executable_page(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static int
kill_another(void)
{
	return kill(getppid(), 0);
}

static int
look_into_another(void)
{
	return (int)ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static int
ask_a_resolver(void)
{
	struct pollfd p = { .fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), .events = POLLOUT };
	struct pollfd six = { .fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
		.events = POLLOUT };

	return p.fd >= 0 && poll(&p, 1, 1000) == 1 && (six.fd < 0 || close(six.fd) == 0) ? 0 : 1;
}

static int
use_memory(void)
{
	char *p = malloc((size_t)20 << 20);

	if (p == NULL)
		return 1;
	memset(p, 1, (size_t)20 << 20);
	free(p);
	return 0;
}

static void
test_rows(void **state)
{
	static const struct {
		const char *name;
		int (*act)(void);
		bool allowed;
	} rows[] = { { "opens a file", open_file, false }, { "writes a file", write_file, false },
		{ "runs a program", run_program, false }, { "starts a process", start_process, false },
		{ "makes a local socket", unix_socket, false }, { "listens", listen_somewhere, false },
		{ "makes an executable page", executable_page, false },
		{ "signals another process", kill_another, false },
		{ "looks into another process", look_into_another, false }, { "asks a resolver", ask_a_resolver, true },
		{ "uses memory", use_memory, true } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int status = 0;
		const pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			if (!judge_shut_in())
				_exit(99);
			_exit(rows[i].act() == 0 ? 0 : 98);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (rows[i].allowed && (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
			fail_msg("%s: not possible (%x)", rows[i].name, (unsigned)status);
		if (!rows[i].allowed && !(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS))
			fail_msg("%s: was not stopped (%x)", rows[i].name, (unsigned)status);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
