/* program.h: runs one program of the user's, with bytes for its standard input. No shell. */
#ifndef ACTIONS_COMMON_PROGRAM_H
#define ACTIONS_COMMON_PROGRAM_H

#include "mailhook/mailhook.h"

struct program_end {
	int code;     /* exit status; below 0: it was killed */
	bool in_time; /* false: by us, for the time was over */
};

/* Runs it to its end.
 *   in      argv: NULL-ended, argv[0] a whole path; envp: all that it sees; text: for its stdin, which it need not read
 *           end_ms: monotonic; then it is killed
 *   out     out: what it writes, stdout and stderr, cut at out->max
 *   errors  MH_BAD there is no such program; MH_RETRY it could not be started */
enum mh_status program_run(const char *const *argv, char *const *envp, struct mh_span text, int64_t end_ms,
    struct buf *out, struct program_end *ret, struct mh_err *err);

#endif
