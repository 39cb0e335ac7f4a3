/* runner.h: action programs that run now: started under a lease, heard, and their outcomes recorded. */
#ifndef MAILHOOK_WORK_RUNNER_H
#define MAILHOOK_WORK_RUNNER_H

#include <poll.h>

#include "mailhook/work/work.h"

struct runner;

/* Errors of all, where a line says no more: those of db.h. */

enum mh_status runner_new(struct work *w, struct runner **ret, struct mh_err *err);
void runner_free(struct runner *r); /* what still runs is killed and stays "running" in the ledger: see runner_stop */

/* Starts what is due, up to max_running, one for a case at a time. *ret_more: there is more than could be started now. */
enum mh_status runner_start(struct runner *r, int64_t now, bool *ret_more, struct mh_err *err);
size_t runner_running(const struct runner *r);
/* Starts the check of one action that is to be asked for its credentials again, if a place is free. */
enum mh_status runner_ask_again(struct runner *r, int64_t now, struct mh_err *err);
/* Descriptors and the ms until runner_step must be called in any case; at most max. */
size_t runner_pollfds(struct runner *r, struct pollfd *fds, size_t max, int *ret_timeout_ms);
/* Hears what there is to hear. MH_RETRY: an outcome could not be written; it is kept and tried again at the next call. */
enum mh_status runner_step(struct runner *r, struct mh_err *err);
/* Whether a ledger behind a new connection still has what it confirmed of all that runs here, its claim and its last
 * checkpoint; else it went back: everything is paused (mark_pause). Neither starts nor ends anything. */
enum mh_status runner_look(struct runner *r, int64_t now, struct mh_err *err);
/* Kills what runs and queues it again. */
enum mh_status runner_stop(struct runner *r, struct mh_err *err);

#define RUNNER_INPUT_S 900 /* a person at a terminal has so long */
/* Runs `input` of a job that we have claimed, our standard input being the person's, and writes its outcome. What it says
 * goes to stderr too.
 *   out     ret_taken: it does not wait for input any more; out: its summary
 *   errors  MH_SKIP the lease was lost: nothing was written */
enum mh_status runner_input(
    struct work *w, const struct job_row *j, const char *by, bool *ret_taken, struct buf *out, struct mh_err *err);

struct runner_question {
	bool online;
	void (*say)(
	    void *user, struct mh_span text); /* NULL: `check`; else `describe` of a made-up case, each line to it */
};
/* Runs one action to its end, for the command check. The summary is written to out. */
enum mh_status runner_ask(struct work *w, const struct conf_action *act, const struct runner_question *q, bool *ret_fit,
    struct buf *out, struct mh_err *err);

#endif
