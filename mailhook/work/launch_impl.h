/* launch_impl.h: what the files of one launch share: launch.c (the life of a run), launch_spawn.c (the child's first
 * steps), launch_answer.c (one line of its output). */
#ifndef MAILHOOK_WORK_LAUNCH_IMPL_H
#define MAILHOOK_WORK_LAUNCH_IMPL_H

#include <sys/types.h>

#include "mailhook/work/launch.h"

/* -- launch_spawn.c ----------------------------------------------------------------------------------------------- */

struct spawned {
	pid_t pid;             /* leads the process group of the same number */
	int pidfd;             /* readable once it has ended */
	int in_fd;             /* we write, non-blocking */
	int out_fd, errout_fd; /* we read, non-blocking */
};

/* Starts the program. MH_RETRY with the reason, exec failures included; nothing is left behind then. */
enum mh_status spawn_action(const struct launch_spec *spec, struct spawned *ret, struct mh_err *err);

/* -- launch_answer.c ---------------------------------------------------------------------------------------------- */

enum line_kind { LINE_EMPTY, LINE_CHECKPOINT, LINE_SAY, LINE_CREDENTIAL, LINE_CLAIM, LINE_RELEASE, LINE_OUTCOME };

struct action_line {
	enum line_kind kind;
	struct buf state; /* own: JSON text of checkpoint, or of an outcome's state (empty: none) */
	struct buf text;  /* own: "say", the summary, the name of a credential or a claim; cleaned and cut */
	struct buf url;   /* own; empty: none */
	enum outcome outcome;
	int64_t retry_after_s;
	bool elsewhere;
	enum waiting_for waiting_for;
	char step[MH_MAX_ACTION_STEP_BYTES + 1]; /* "": not said */
	int64_t renewed_expires, renewed_notice; /* 0: not said */
	struct credential_line credential;       /* without its name */
};

/* Reads one line without its line end. MH_BAD or MH_LIMIT with a reason that fits behind "the action ".
 * action_line_release is due in every case. */
enum mh_status action_line_read(struct mh_span line, struct action_line *ret, struct mh_err *err);
void action_line_release(struct action_line *l);

/* Appends text for a log or a person: control characters become spaces, bytes that are no UTF-8 '?', cut at max. */
void put_clean(struct buf *out, struct mh_span text, size_t max);

#endif
