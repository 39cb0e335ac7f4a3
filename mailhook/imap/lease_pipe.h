/* lease_pipe.h: "mailhook-work leases" as a process of the supervisor's: started, spoken to without ever waiting for it. */
#ifndef MAILHOOK_IMAP_LEASE_PIPE_H
#define MAILHOOK_IMAP_LEASE_PIPE_H

#include <poll.h>
#include <signal.h>
#include <sys/types.h>

#include "mailhook/json.h"

#define LEASE_PIPE_FDS 2

struct lease_pipe {
	pid_t pid;          /* 0: none runs */
	int to, from;       /* own; -1 */
	struct buf out, in; /* own */
	int64_t heard_ms;   /* clock_boot_ms of its last word, or of its start */
};

void lease_pipe_init(struct lease_pipe *p);
void lease_pipe_release(struct lease_pipe *p);
/* Starts it anew. False: it could not be. Nothing of what was to be said to the last one is left.
 *   in      before: the signals that it has blocked */
bool lease_pipe_start(struct lease_pipe *p, const char *libexec, const char *config, const sigset_t *before);
/* It is the one that ended. */
bool lease_pipe_ended(struct lease_pipe *p, pid_t pid);
/* One line, once there is room. It takes j. whole: it was made without running out of memory, else it is left out. */
void lease_pipe_say(struct lease_pipe *p, cJSON *j, bool whole);
/* Writes what goes, and what is to be polled for. */
void lease_pipe_poll(struct lease_pipe *p, struct pollfd fds[LEASE_PIPE_FDS]);
/* What came, line by line; j is NULL where it is no JSON. */
void lease_pipe_hear(struct lease_pipe *p, void (*line)(void *user, const cJSON *j), void *user);
/* Ends it: all is said, then its end is waited for, so long. False: it was killed. */
bool lease_pipe_close(struct lease_pipe *p, int64_t most_ms);

#endif
