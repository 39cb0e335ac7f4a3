/* child_test.c: one of our own programs run to its end, also where the kernel does not tell of that end. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "mailhook/clock.h"
#include "mailhook/work/child.h"

static bool no_pidfd; /* what __wrap_syscall answers */

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);

/* As a kernel before 5.3 answers pidfd_open(2), or a filter that does not know it. */
long
__wrap_syscall(long number, ...)
{
	va_list ap;

	assert_int_equal(number, SYS_pidfd_open);
	if (no_pidfd) {
		errno = ENOSYS;
		return -1;
	}
	va_start(ap, number);
	const pid_t pid = va_arg(ap, pid_t);
	const int flags = va_arg(ap, int);
	va_end(ap);
	return __real_syscall(number, pid, flags);
}

#define SHELL(script)                                                                                                  \
	{                                                                                                              \
		"/bin/sh", "-c", script, NULL                                                                          \
	}

static void
test_run(void **state)
{
	static const struct {
		const char *name, *argv[4], *input;
		int max_ms;
		bool no_pidfd;
		enum mh_status status;
		int code; /* where status is MH_OK */
	} rows[] = {
		{ "it ends well", SHELL("exit 0"), "", 60000, false, MH_OK, 0 },
		{ "its exit code", SHELL("exit 7"), "", 60000, false, MH_OK, 7 },
		{ "what it reads", SHELL("read -r a && [ \"$a\" = word ]"), "word\n", 60000, false, MH_OK, 0 },
		{ "a signal", SHELL("kill -TERM $$"), "", 60000, false, MH_OK, 128 + 15 },
		{ "no such program", { "/nonexistent/program", NULL }, "", 60000, false, MH_RETRY, 0 },
		{ "it does not end in time", SHELL("exec sleep 20"), "", 50, false, MH_RETRY, 0 },
		{ "its end cannot be waited for", SHELL("exec sleep 20"), "", 50, true, MH_RETRY, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const int64_t start = clock_monotonic_ms();
		struct mh_err err = { 0 };
		int code = -1;

		no_pidfd = rows[i].no_pidfd;
		const enum mh_status status =
		    child_run(rows[i].argv, span_of(rows[i].input), rows[i].max_ms, &code, &err);
		if (status != rows[i].status || (status == MH_OK && code != rows[i].code))
			fail_msg("%s: status %d, code %d: %s", rows[i].name, (int)status, code, err.text);
		if (clock_monotonic_ms() - start > 15000)
			fail_msg("%s: it was waited for past its time", rows[i].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_run) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
