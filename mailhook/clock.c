/* clock.c: the time of day, or the test's. */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/mailhook.h"

const char *
clock_file(void)
{
	const char *path = secure_getenv("MAILHOOK_CLOCK_FILE");

	return path == NULL || path[0] == '\0' ? NULL : path;
}

/* A test's file that cannot be read is no reason to run on real time: the test would pass by luck. */
static int64_t
test_clock(const char *path)
{
	char text[MH_TIME_TEXT - 1];
	int64_t t;

	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (fd >= 0)
		(void)close(fd);
	if (n != (ssize_t)sizeof(text) || time_read((struct mh_span){ text, sizeof(text) }, &t, NULL) != MH_OK)
		abort();
	return t;
}

int64_t
clock_now(void)
{
	const char *path = clock_file();
	struct timespec ts;

	if (path != NULL)
		return test_clock(path);
	(void)clock_gettime(CLOCK_REALTIME, &ts); /* cannot fail for this clock */
	return ts.tv_sec;
}

int64_t
clock_monotonic_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t
clock_boot_ms(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_BOOTTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
