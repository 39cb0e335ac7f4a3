/* launch.h: runs one action program and speaks the protocol of mailhook-action(7) with it.
 *
 * No ledger here: what an action says goes to callbacks, whose answers decide. One launch is one process group; it ends
 * with its deadline, with its parent, or with its answer. Made for an event loop: nothing blocks.
 */
#ifndef MAILHOOK_WORK_LAUNCH_H
#define MAILHOOK_WORK_LAUNCH_H

#include <poll.h>
#include <sys/types.h>

#include "mailhook/json.h"
#include "mailhook/mailhook.h"

enum outcome { OUTCOME_DONE, OUTCOME_RETRY, OUTCOME_FAILED, OUTCOME_WAITING, OUTCOME_SKIPPED };
extern const char *const outcome_names[];
enum waiting_for { WAIT_NOTHING, WAIT_TIME, WAIT_APPROVAL, WAIT_INPUT };
extern const char *const waiting_for_names[]; /* NULL, "time", "approval", "input" */

struct answer_line { /* the last line of an action, checked; strings point into its JSON */
	enum outcome outcome;
	const char *summary, *url; /* summary is never NULL; control characters are gone; cut at 1,000 bytes */
	int64_t retry_after_s;     /* -1: not said */
	bool elsewhere;            /* with retry: this machine lacks what it needs; another may have it */
	enum waiting_for waiting_for;
	struct mh_span state;                    /* JSON text of "state", or p == NULL */
	const char *step;                        /* with waiting: what a person is asked for or told; NULL: not said */
	int64_t renewed_expires, renewed_notice; /* with done; 0: not said */
};

struct credential_line {  /* what an action says of a credential of its own */
	const char *name; /* one line, not empty, at most MH_MAX_ACTION_CREDENTIAL_BYTES */
	bool has_expires; /* false: it has no end */
	bool day;         /* only a date was given: expires is its last second */
	int64_t expires;
};

#define CLAIM_HELD_BYTES 33 /* a case's key with its NUL */
enum claim_answer {
	CLAIM_OURS,
	CLAIM_HELD,
	CLAIM_LOST
}; /* lost: nothing is known, or the lease is not ours: no answer, stdin is closed */

struct launch_spec {
	const char *program;    /* absolute path */
	const char *verb;       /* run, check, describe, input */
	struct mh_span request; /* one JSON object, one line, without line end */
	struct mh_span raw;     /* the mail for descriptor 3; p == NULL: descriptor 3 is closed */
	bool
	    person; /* in place of raw: descriptor 3 is our standard input, a person's; a terminal listens to the action */
	const char *const *env; /* NULL-ended "NAME=value"; all that the action sees */
	const char *dir;        /* its working folder */
	int deadline_ms;        /* on the monotonic clock; then SIGTERM to the group, 2 s later SIGKILL */
	/* A checkpoint: true only once it is durable and the lease is still ours; false: no answer, stdin is closed. */
	bool (*checkpoint)(void *user, struct mh_span state);
	/* A name that only one case's action may work on at a time: ours only once that is durable. held: whose it is,
	 * the key of a case. NULL: as CLAIM_LOST. Letting go: true only once it is durable; NULL: false. */
	enum claim_answer (*claim)(void *user, const char *name, char held[CLAIM_HELD_BYTES]);
	bool (*release)(void *user, const char *name);
	void (*say)(void *user, struct mh_span text); /* "say" lines, and stderr's lines cleaned and cut at 500 bytes */
	void (*credential)(void *user, const struct credential_line *c); /* NULL: nobody wants to know */
	void *user;
};

struct launch;

/* Starts it. MH_RETRY: it could not be started ("no such program" included: an exec failure is reported here and not
 * taken for an answer of the program). */
enum mh_status launch_start(const struct launch_spec *spec, struct launch **ret, struct mh_err *err);
/* Descriptors to wait for (at most 4) and the ms until launch_step must be called in any case. */
size_t launch_pollfds(const struct launch *l, struct pollfd fds[4], int *ret_timeout_ms);
/* Does what can be done without blocking. MH_OK: it has ended, *ret_answer is set (no answer by the deadline, a crash,
 * garbage, more than one last line: outcome retry, with a summary that says which). MH_SKIP: not yet. */
enum mh_status launch_step(struct launch *l, struct answer_line *ret_answer);
pid_t launch_group(const struct launch *l); /* the process group that it leads */
/* Kills what is left of its group and frees it. What launch_step returned ends here. */
void launch_free(struct launch *l);

#endif
