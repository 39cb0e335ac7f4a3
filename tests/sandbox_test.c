/* sandbox_test.c: whatever a parser does, the parent lives, knows it as failed, and has neither a zombie nor a
 * descriptor more than before. The message chooses what the hostile parser does: its body is the row's name. */
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/hostile_parser.h"

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
	/* None waits, so this time is for a machine that is busy: the second of processor time must be over first. */
	const struct reader r = { .parser = &hostile, .cpu_s = 1, .memory_bytes = 64u << 20, .wall_ms = 30000 };
	const size_t before = count_descriptors();

	for (size_t i = 0; i < n_deeds; i++) {
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
