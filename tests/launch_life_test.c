/* launch_life_test.c: how an action begins and ends, what it is given and what it leaves behind. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/launch_room.h"

static void
test_cannot_start(void **state)
{
	static const struct {
		const char *name, *file, *text, *dir, *words;
		mode_t mode;
	} cases[] = {
		{ "no such program", "nothing-here", NULL, NULL, "No such file", 0 },
		{ "not executable", "plain", "#!/bin/sh\n", NULL, "Permission denied", 0600 },
		{ "no program at all", "binary",
		    "\x7f"
		    "ELF",
		    NULL, "cannot run", 0700 },
		{ "an interpreter that is missing", "script", "#!/nothing/here\n", NULL, "No such file", 0700 },
		{ "a folder that is missing", "good", "#!/bin/sh\n", "/nothing/here", "No such file", 0700 },
	};
	const char *dir = *state;
	char program[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seen seen = { 0 };
		struct launch *l = NULL;
		struct mh_err err = { 0 };

		(void)snprintf(program, sizeof(program), "%s/%s", dir, cases[i].file);
		if (cases[i].text != NULL) {
			write_program(program, cases[i].text);
			assert_int_equal(chmod(program, cases[i].mode), 0);
		}
		struct launch_spec spec = spec_for(program, dir, &seen);
		if (cases[i].dir != NULL)
			spec.dir = cases[i].dir;
		if (launch_start(&spec, &l, &err) != MH_RETRY || strstr(err.text, cases[i].words) == NULL)
			fail_msg("%s: %d \"%s\"", cases[i].name, (int)err.code, err.text);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
	assert_int_equal(errno, ECHILD);
}

/* A request larger than a pipe, to an action that reads late: written in pieces, never blocking. */
static void
test_large_request(void **state)
{
	const char *dir = *state;
	char program[256];
	struct seen seen = { .allow = 1 };
	struct launch *l = NULL;
	struct buf request;

	(void)snprintf(program, sizeof(program), "%s/action", dir);
	write_program(program, PY "print('{\"say\":\"late\"}', flush=True)\ntime.sleep(0.2)\nr = sys.stdin.readline()\n"
				  "print('{\"checkpoint\":{}}', flush=True)\na = sys.stdin.readline()\n"
				  "print(json.dumps({'outcome': 'done', 'summary': '%d %s' % (len(r), a.strip())}))\n");
	buf_init(&request, 1u << 20);
	for (int i = 0; i < 500000; i++)
		buf_putc(&request, 'x');
	struct launch_spec spec = spec_for(program, dir, &seen);
	spec.request = buf_span(&request);
	assert_int_equal(launch_start(&spec, &l, NULL), MH_OK);
	assert_string_equal(await(l).summary, "500001 {\"ok\":true}");
	launch_free(l);
	buf_release(&request);
}

/* The action holds the write end of a FIFO open: its death is end of file at ours. */
static int
open_lifeline(const char *fifo)
{
	const int fd = open(fifo, O_RDONLY | O_CLOEXEC);
	char byte;

	assert_true(fd >= 0);
	assert_int_equal(read(fd, &byte, 1), 1);
	return fd;
}

static void
await_death(int fd)
{
	struct pollfd ended = { fd, POLLIN, 0 };
	char byte;

	assert_int_equal(poll(&ended, 1, 10000), 1);
	assert_int_equal(read(fd, &byte, 1), 0);
	(void)close(fd);
}

/* What is freed while it runs is gone, and its group with it. */
static void
test_free_kills(void **state)
{
	const char *dir = *state;
	char program[256], fifo[256];
	struct seen seen = { 0 };
	struct launch *l = NULL;

	(void)snprintf(program, sizeof(program), "%s/action", dir);
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	write_program(program, SH "exec 5>fifo\nsleep 60 &\necho >&5\nsleep 60\n");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	struct launch_spec spec = spec_for(program, dir, &seen);
	assert_int_equal(launch_start(&spec, &l, NULL), MH_OK);
	const int fd = open_lifeline(fifo);
	launch_free(l);
	await_death(fd);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(unlink(fifo), 0);
}

/* The worker dies by SIGKILL: so does its action. */
static void
test_dies_with_parent(void **state)
{
	const char *dir = *state;
	char program[256], fifo[256], script[600];

	(void)snprintf(program, sizeof(program), "%s/action", dir);
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	(void)snprintf(script, sizeof(script), PY "f = open('%s', 'wb', 0)\nf.write(b'x')\ntime.sleep(60)\n", fifo);
	write_program(program, script);
	assert_int_equal(mkfifo(fifo, 0600), 0);

	const pid_t parent = fork();
	assert_true(parent >= 0);
	if (parent == 0) {
		struct seen seen = { 0 };
		struct launch *l = NULL;
		const struct launch_spec spec = spec_for(program, dir, &seen);

		if (launch_start(&spec, &l, NULL) != MH_OK)
			_exit(1);
		for (;;)
			(void)pause();
	}
	const int fd = open_lifeline(fifo);
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	await_death(fd);
}

/* Our standard input is the action's descriptor 3, and nothing of it is read here. */
static void
test_person(void **state)
{
	const char *dir = *state;
	char program[256];
	struct seen seen = { .allow = 0 };
	struct launch *l = NULL;
	struct mh_err err = { 0 };
	int ends[2];
	const int before = dup(STDIN_FILENO); /* NOLINT: on purpose without O_CLOEXEC */

	(void)snprintf(program, sizeof(program), "%s/action", dir);
	write_program(program,
	    PY "r = json.loads(sys.stdin.readline())\nt = os.read(3, 100).decode()\n"
	       "print(json.dumps({'outcome': 'done', 'summary': t + str(os.path.exists('/proc/self/fd/4'))}))\n");
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "typed ", 6), 6);
	assert_int_equal(close(ends[1]), 0);
	assert_true(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
	assert_int_equal(close(ends[0]), 0);
	buf_init(&seen.said, 1u << 16);
	buf_init(&seen.states, 1u << 16);
	struct launch_spec spec = spec_for(program, dir, &seen);
	spec.verb = "input";
	spec.person = true;
	assert_int_equal(launch_start(&spec, &l, &err), MH_OK);
	const struct answer_line a = await(l);
	assert_string_equal(a.summary, "typed False");
	launch_free(l);
	if (before >= 0) {
		assert_true(dup2(before, STDIN_FILENO) == STDIN_FILENO);
		assert_int_equal(close(before), 0);
	}
	buf_release(&seen.said);
	buf_release(&seen.states);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_person),
		cmocka_unit_test(test_cannot_start),
		cmocka_unit_test(test_large_request),
		cmocka_unit_test(test_free_kills),
		cmocka_unit_test(test_dies_with_parent),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
