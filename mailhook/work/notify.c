/* notify.c: see notify.h. A message is one datagram of lines NAME=VALUE; nobody answers. */
#include "mailhook/work/notify.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "mailhook/clock.h"

#define FED_OFTEN_MS 1000 /* thousands of messages a second need not all be told */

static enum mh_status
connect_to(struct notify *n, const char *name, struct mh_err *err)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const size_t length = strlen(name);

	if ((name[0] != '/' && name[0] != '@') || length < 2 || length >= sizeof(to.sun_path))
		return mh_fail(err, MH_BAD, "NOTIFY_SOCKET names no socket");
	memcpy(to.sun_path, name, length);
	if (name[0] == '@')
		to.sun_path[0] = '\0'; /* the abstract namespace: the length ends the name, no NUL does */

	n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	const socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + (name[0] == '/'));
	if (n->fd < 0 || connect(n->fd, (const struct sockaddr *)&to, bytes) != 0) {
		(void)mh_fail_errno(err, MH_BAD, "NOTIFY_SOCKET cannot be reached");
		notify_close(n);
		return MH_BAD;
	}
	return MH_OK;
}

/* 0: no watchdog, or one for another process. */
static int64_t
watchdog_ms(void)
{
	const char *us = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID"); /* NOLINT(concurrency-mt-unsafe) */
	char *end = NULL;

	if (pid != NULL && strtoll(pid, &end, 10) != (long long)getpid())
		return 0;
	if (us == NULL)
		return 0;
	errno = 0;
	const long long value = strtoll(us, &end, 10);
	return end == us || *end != '\0' || errno != 0 || value <= 0 ? 0 : (int64_t)(value / 1000);
}

enum mh_status
notify_open(struct notify *n, struct mh_err *err)
{
	const char *name = getenv("NOTIFY_SOCKET"); /* NOLINT(concurrency-mt-unsafe): there is one thread */
	enum mh_status status = MH_OK;

	*n = (struct notify){ .fd = -1, .fed_ms = -FED_OFTEN_MS };
	if (name != NULL && name[0] != '\0') {
		status = connect_to(n, name, err);
		n->watchdog_ms = n->fd < 0 ? 0 : watchdog_ms();
	}
	/* what we start is not the service */
	(void)unsetenv("NOTIFY_SOCKET"); /* NOLINT(concurrency-mt-unsafe) */
	(void)unsetenv("WATCHDOG_USEC"); /* NOLINT(concurrency-mt-unsafe) */
	(void)unsetenv("WATCHDOG_PID");  /* NOLINT(concurrency-mt-unsafe) */
	return status;
}

void
notify_close(struct notify *n)
{
	if (n->fd >= 0)
		(void)close(n->fd);
	n->fd = -1;
}

/* A full or closed socket is the listener's trouble: what matters is told again. */
static bool
tell(const struct notify *n, const char *line)
{
	return n->fd >= 0 && send(n->fd, line, strlen(line), MSG_NOSIGNAL) >= 0;
}

void
notify_ready(struct notify *n)
{
	(void)tell(n, "READY=1");
}

void
notify_stopping(struct notify *n)
{
	(void)tell(n, "STOPPING=1");
}

void
notify_status(struct notify *n, const char *fmt, ...)
{
	char line[sizeof(n->said)] = "STATUS=";
	va_list ap;

	if (n->fd < 0)
		return;
	va_start(ap, fmt);
	(void)vsnprintf(line + 7, sizeof(line) - 7, fmt, ap);
	va_end(ap);
	for (char *p = line; *p != '\0'; p++)
		if ((unsigned char)*p < 0x20) /* a line end would begin another variable */
			*p = ' ';
	if (strcmp(line, n->said) != 0 && tell(n, line))
		memcpy(n->said, line, sizeof(line));
}

void
notify_progress(struct notify *n)
{
	if (n->watchdog_ms == 0)
		return;
	const int64_t now = clock_monotonic_ms();
	const int64_t often = n->watchdog_ms / 4 < FED_OFTEN_MS ? n->watchdog_ms / 4 : FED_OFTEN_MS;
	if (now - n->fed_ms >= often && tell(n, "WATCHDOG=1"))
		n->fed_ms = now;
}

int
notify_sleep_ms(const struct notify *n, int ms)
{
	const int64_t most = n->watchdog_ms / 2; /* as sd_watchdog_enabled(3) advises */

	return n->watchdog_ms == 0 || ms <= most ? ms : (int)most;
}
