/* shut_in_test.c: what a verifier that a mail has taken over can still do, and what the process can that opens sockets
 * for it. Each row is a process of its own. */
#include "tests/exact.h"

#include <arpa/inet.h>
#include <errno.h>
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
#include "mailhook/verify/opener.h"

/* What stands there before the filter does: two sockets of a server of our own, which is all that may be reached, and one
 * more that is connected to nobody. */
struct scene {
	struct dns dns; /* the server, by number 0 */
	int udp, tcp;   /* the server's ends */
	int loose;
	struct opener opener;
};
static struct scene scene;

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
	return listen(scene.loose, 1);
}

static int
make_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) < 0;
}

static int
connect_a_socket(void)
{
	return connect(scene.loose, (const struct sockaddr *)&scene.dns.servers[0], scene.dns.lengths[0]);
}

static int
send_anywhere(void)
{
	return sendto(scene.loose, "x", 1, MSG_NOSIGNAL, (const struct sockaddr *)&scene.dns.servers[0],
		   scene.dns.lengths[0]) != 1;
}

static int
send_anywhere_by_message(void)
{
	struct iovec data = { (char[]){ 'x' }, 1 };
	struct msghdr m = { .msg_name = &scene.dns.servers[0],
		.msg_namelen = scene.dns.lengths[0],
		.msg_iov = &data,
		.msg_iovlen = 1 };

	return sendmsg(scene.loose, &m, MSG_NOSIGNAL) != 1;
}

static int
bind_a_socket(void)
{
	const struct sockaddr_in any = { .sin_family = AF_INET };

	return bind(scene.loose, (const struct sockaddr *)&any, sizeof(any));
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

/* The server is this very process: loopback holds what was sent until it is read. */
static int
ask_a_resolver(void)
{
	char got[4] = "";
	const int fd = opener_open(&scene.opener, 0, false);

	if (fd < 0 || send(fd, "who?", 4, MSG_NOSIGNAL) != 4 || recv(scene.udp, got, sizeof(got), 0) != 4)
		return 1;
	return memcmp(got, "who?", 4) == 0 && close(fd) == 0 ? 0 : 1;
}

static int
ask_a_resolver_by_tcp(void)
{
	const int fd = opener_open(&scene.opener, 0, true);
	struct pollfd p = { .fd = fd, .events = POLLOUT };

	return fd >= 0 && poll(&p, 1, 5000) == 1 && send(fd, "who?", 4, MSG_NOSIGNAL) == 4 && close(fd) == 0 ? 0 : 1;
}

static int
ask_often(void)
{
	for (int i = 0; i < 500; i++) {
		const int fd = opener_open(&scene.opener, 0, false);
		if (fd < 0 || close(fd) != 0)
			return 1;
	}
	return 0;
}

static int
ask_a_server_that_is_none(void)
{
	for (size_t i = 1; i < 300; i += i < 5 ? 1 : 40)
		if (opener_open(&scene.opener, i, (i & 1) != 0) >= 0)
			return 1;
	return ask_a_resolver();
}

/* The opener is there for who asked for it; without it there is no answer, and no waiting for one. */
static int
ask_without_opener(void)
{
	return opener_open(&(struct opener){ .fd = scene.loose }, 0, false) >= 0 || errno != EPIPE;
}

static int
end_the_opener(void)
{
	opener_end(&scene.opener);
	return 0;
}

static int
hand_on_a_socket(void)
{
	const int fd = dns_open(&scene.dns, 0, true);

	return fd < 0 ? 1 : close(fd);
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

/* Binds a socket to that port of loopback, or to any for 0; the port it has then. -1: it is taken. */
static int
bound(int type, in_port_t port, struct sockaddr_in *ret)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = port, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (bind(fd, (const struct sockaddr *)&at, n) != 0) {
		assert_int_equal(close(fd), 0);
		return -1;
	}
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
	*ret = at;
	return fd;
}

/* The port that UDP was given may be another's by TCP. */
static int
set_scene(void **state)
{
	struct sockaddr_in at = { 0 };

	(void)state;
	scene.loose = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	scene.tcp = -1;
	for (int i = 0; i < 100 && scene.tcp < 0; i++) {
		if (i > 0)
			assert_int_equal(close(scene.udp), 0);
		scene.udp = bound(SOCK_DGRAM, 0, &at);
		assert_true(scene.udp >= 0);
		scene.tcp = bound(SOCK_STREAM, at.sin_port, &at);
	}
	memcpy(&scene.dns.servers[0], &at, sizeof(at));
	scene.dns.lengths[0] = sizeof(at);
	scene.dns.n = 1;
	return scene.loose >= 0 && scene.tcp >= 0 ? listen(scene.tcp, 5) : -1;
}

static void
start_opener(void)
{
	if (opener_start(&scene.opener, &scene.dns, NULL) != MH_OK)
		_exit(97);
}

struct row {
	const char *name;
	int (*act)(void);
	bool allowed;
};

static void
try_rows(const struct row *rows, size_t n, bool (*shut_in)(void))
{
	for (size_t i = 0; i < n; i++) {
		int status = 0;
		const pid_t pid = fork();

		assert_true(pid >= 0);
		if (pid == 0) {
			start_opener();
			if (!shut_in())
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

static void
test_judge(void **state)
{
	static const struct row rows[] = { { "opens a file", open_file, false }, { "writes a file", write_file, false },
		{ "runs a program", run_program, false }, { "starts a process", start_process, false },
		{ "makes a local socket", unix_socket, false }, { "makes a socket", make_socket, false },
		{ "connects a socket", connect_a_socket, false }, { "sends to an address", send_anywhere, false },
		{ "sends to an address by a message", send_anywhere_by_message, false },
		{ "binds a socket", bind_a_socket, false }, { "listens", listen_somewhere, false },
		{ "makes an executable page", executable_page, false },
		{ "signals another process", kill_another, false },
		{ "looks into another process", look_into_another, false }, { "asks a resolver", ask_a_resolver, true },
		{ "asks a resolver by TCP", ask_a_resolver_by_tcp, true },
		{ "asks five hundred times", ask_often, true },
		{ "asks a server that is not configured", ask_a_server_that_is_none, true },
		{ "asks where no opener is", ask_without_opener, true }, { "ends the opener", end_the_opener, true },
		{ "uses memory", use_memory, true } };

	(void)state;
	try_rows(rows, sizeof(rows) / sizeof(rows[0]), judge_shut_in);
}

static void
test_opener(void **state)
{
	static const struct row rows[] = { { "opens a file", open_file, false }, { "writes a file", write_file, false },
		{ "runs a program", run_program, false }, { "starts a process", start_process, false },
		{ "makes a local socket", unix_socket, false }, { "sends to an address", send_anywhere, false },
		{ "binds a socket", bind_a_socket, false }, { "listens", listen_somewhere, false },
		{ "signals another process", kill_another, false },
		{ "looks into another process", look_into_another, false },
		{ "opens a socket to the resolver", hand_on_a_socket, true } };

	(void)state;
	try_rows(rows, sizeof(rows) / sizeof(rows[0]), opener_shut_in);
}

/* Killed with who asks it, or by itself: nobody is left, and nobody waits. */
static void
test_ends(void **state)
{
	struct opener o;
	int ends[2], status = 0;
	char byte;

	(void)state;
	assert_int_equal(
	    prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* the opener of one that died is ours to see the end of */
	assert_int_equal(pipe(ends), 0);
	const pid_t asker = fork();
	assert_true(asker >= 0);
	if (asker == 0) {
		start_opener();
		_exit(write(ends[1], &scene.opener.pid, sizeof(scene.opener.pid)) < 0 || raise(SIGKILL) != 0);
	}
	assert_int_equal(close(ends[1]), 0);
	assert_int_equal(read(ends[0], &o.pid, sizeof(o.pid)), sizeof(o.pid));
	assert_int_equal(read(ends[0], &byte, 1), 0); /* the opener has not got the pipe either */
	assert_int_equal(waitpid(asker, &status, 0), asker);
	assert_int_equal(waitpid(o.pid, &status, 0), o.pid);

	assert_int_equal(opener_start(&scene.opener, &scene.dns, NULL), MH_OK);
	assert_int_equal(kill(scene.opener.pid, SIGKILL), 0);
	assert_int_equal(waitpid(scene.opener.pid, &status, 0), scene.opener.pid);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(opener_open(&scene.opener, 0, i == 1), -1);
		assert_int_equal(errno, EPIPE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_judge), cmocka_unit_test(test_opener),
		cmocka_unit_test(test_ends) };

	return cmocka_run_group_tests(tests, set_scene, NULL);
}
