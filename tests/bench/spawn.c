/* spawn.c: times programs against each other, from posix_spawn to their exit, in interleaved rounds of one run.
 *
 *   spawn ROUNDS MAIL NAME COMMAND... -- NAME COMMAND... [-- ...]
 *
 * Each command gets MAIL on standard input. Prints "NAME median_us min_us peak_rss_kb exit" for each. Medians of
 * interleaved rounds: what disturbs the machine disturbs all of them.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_COMMANDS 16

extern char **environ;

struct contender {
	const char *name;
	char **argv;    /* ends with NULL */
	int64_t *times; /* own, in ns */
	long peak_rss_kb;
	int status;
};

static int64_t
now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static int
by_time(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static bool
once(struct contender *c, const char *mail, int64_t *ret_ns)
{
	posix_spawn_file_actions_t files;
	struct rusage usage;
	pid_t pid;
	int status;

	if (posix_spawn_file_actions_init(&files) != 0)
		return false;
	int failed = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, mail, O_RDONLY, 0);
	if (failed == 0)
		failed = posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	const int64_t start = now_ns();
	if (failed == 0)
		failed = posix_spawnp(&pid, c->argv[0], &files, NULL, c->argv, environ);
	if (failed == 0)
		while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR)
			;
	*ret_ns = now_ns() - start;
	(void)posix_spawn_file_actions_destroy(&files);
	if (failed != 0) {
		(void)fprintf(stderr, "spawn: %s: %s\n", c->argv[0], strerror(failed));
		return false;
	}
	c->peak_rss_kb = usage.ru_maxrss > c->peak_rss_kb ? usage.ru_maxrss : c->peak_rss_kb;
	c->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return true;
}

/* "NAME COMMAND... -- NAME COMMAND...": cut at "--" in place. */
static size_t
contenders(char **argv, struct contender *ret)
{
	size_t n = 0;

	while (*argv != NULL && n < MAX_COMMANDS) {
		ret[n] = (struct contender){ .name = argv[0], .argv = argv + 1 };
		while (*argv != NULL && strcmp(*argv, "--") != 0)
			argv++;
		if (*argv != NULL)
			*argv++ = NULL;
		if (ret[n].argv[0] == NULL)
			return 0;
		n++;
	}
	return n;
}

/* One round to warm up, then the rounds that count. */
static bool
measure(struct contender *c, size_t n, const char *mail, size_t rounds)
{
	int64_t warm;

	for (size_t i = 0; i < n; i++) {
		c[i].times = calloc(rounds, sizeof(*c[i].times));
		if (c[i].times == NULL || !once(&c[i], mail, &warm))
			return false;
	}
	for (size_t r = 0; r < rounds; r++)
		for (size_t i = 0; i < n; i++)
			if (!once(&c[i], mail, &c[i].times[r]))
				return false;
	return true;
}

static void
print(const struct contender *c, size_t rounds)
{
	qsort(c->times, rounds, sizeof(*c->times), by_time);
	(void)printf("%s %lld %lld %ld %d\n", c->name, (long long)(c->times[rounds / 2] / 1000),
	    (long long)(c->times[0] / 1000), c->peak_rss_kb, c->status);
}

int
main(int argc, char **argv)
{
	struct contender c[MAX_COMMANDS];
	const long rounds = argc > 4 ? strtol(argv[1], NULL, 10) : 0;
	const size_t n = rounds > 0 && rounds <= 100000 ? contenders(argv + 3, c) : 0;

	if (n == 0) {
		(void)fputs("usage: spawn ROUNDS MAIL NAME COMMAND... [-- NAME COMMAND...]\n", stderr);
		return 2;
	}
	const bool ok = measure(c, n, argv[2], (size_t)rounds);
	for (size_t i = 0; i < n; i++) {
		if (ok)
			print(&c[i], (size_t)rounds);
		free(c[i].times);
	}
	return ok ? 0 : 1;
}
