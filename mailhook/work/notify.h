/* notify.h: what the worker tells systemd, by the protocol of sd_notify(3) and without its library. */
#ifndef MAILHOOK_WORK_NOTIFY_H
#define MAILHOOK_WORK_NOTIFY_H

#include "mailhook/mailhook.h"

struct notify {
	int fd;              /* own; -1: nobody listens, and every call does nothing */
	int64_t watchdog_ms; /* so long may progress be missing; 0: nobody waits for it */
	int64_t fed_ms;
	char said[200];
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and takes them out of the environment.
 *   errors  MH_BAD a socket that is named and cannot be reached: the worker goes on without */
enum mh_status notify_open(struct notify *n, struct mh_err *err);
void notify_close(struct notify *n);

void notify_ready(struct notify *n);
void notify_stopping(struct notify *n);
/* One line for a person, sent where it is another than the last. */
void notify_status(struct notify *n, const char *fmt, ...) MH_PRINTF(2, 3);
/* Something was brought to its end: only real progress may call this. */
void notify_progress(struct notify *n);
/* What is left of a sleep of that many ms for progress to be told in time. */
int notify_sleep_ms(const struct notify *n, int ms);

#endif
