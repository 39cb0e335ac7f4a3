/* cmd_handover.c: a person gives an action what nobody but that action may see.
 *
 * The action has our standard input as descriptor 3, and the terminal while it runs; what goes through here is its
 * protocol: checkpoints, in which the secret is sealed, and words. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/owner.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/leases.h"
#include "mailhook/work/runner.h"

struct terminal { /* as it was: an action that is killed leaves it without echo, and to a group that is gone */
	bool there;
	struct termios before;
};

static void
terminal_keep(struct terminal *t)
{
	t->there = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &t->before) == 0;
}

static void
terminal_restore(const struct terminal *t)
{
	if (!t->there)
		return;
	(void)signal(SIGTTOU, SIG_IGN); /* we are in the background until this is done */
	(void)tcsetpgrp(STDIN_FILENO, getpgrp());
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &t->before);
}

static enum mh_status
find_job(struct work *w, const struct case_row *c, struct arena *a, struct job_row *ret, struct mh_err *err)
{
	struct job_rows jobs = { 0 };
	const enum mh_status status = ledger_jobs_of_case(w->db, c->id, a, &jobs, err);

	if (status != MH_OK)
		return status;
	if (!c->open)
		return mh_fail(err, MH_BAD, "case %" PRId64 " is closed: nothing is asked for", c->id);
	for (size_t i = 0; i < jobs.n; i++) /* one of a case at a time */
		if (jobs.items[i].state == JOB_RUNNING)
			return mh_fail(err, MH_RETRY, "case %" PRId64 ": action \"%s\" is at work just now: try again",
			    c->id, jobs.items[i].action);
	for (size_t i = 0; i < jobs.n; i++)
		if (jobs.items[i].state == JOB_WAITING && jobs.items[i].waiting_for == JOB_WAIT_INPUT) {
			*ret = jobs.items[i];
			return MH_OK;
		}
	return mh_fail(err, MH_BAD, "case %" PRId64 ": no job waits for input; its jobs: 'mailhook show %" PRId64 "'",
	    c->id, c->id);
}

static enum mh_status
claim(struct work *w, const struct job_row *j, struct arena *a, struct job_row *ret, struct mh_err *err)
{
	const int64_t now = clock_now();
	const size_t n = strlen(w->owner);

	if (w->conf->observe)
		return mh_fail(err, MH_BAD, "observe = true: nothing is done, so nothing is asked for");
	(void)snprintf(w->owner + n, sizeof(w->owner) - n, "%s", LEDGER_HANDOVER);
	const enum mh_status status = ledger_lease_claim(w->db, j->id, w->owner, now, err);
	if (status == MH_SKIP)
		return mh_fail(err, MH_BAD, "action \"%s\" is paused, or somebody else is at it", j->action);
	return status == MH_OK ? ledger_job_get(w->db, j->id, a, ret, err) : status;
}

static enum mh_status
hand_over(const struct steering *s, struct mh_err *err)
{
	bool *ret_taken = s->user;
	struct job_row j = { 0 };
	struct terminal t;
	struct buf summary;
	enum mh_status status =
	    owner_may_work(s->w->conf->state_dir, err); /* an action is started, as the worker does it */

	if (status == MH_OK)
		status = find_job(s->w, s->c, s->a, &j, err);
	if (status == MH_OK)
		status = claim(s->w, &j, s->a, &j, err);
	if (status != MH_OK)
		return status;
	buf_init(&summary, 8192);
	terminal_keep(&t);
	status = runner_input(s->w, &j, s->by, ret_taken, &summary, err);
	terminal_restore(&t);
	if (status == MH_OK && *ret_taken)
		status = ledger_event_add(s->w->db, s->c->id, clock_now(), "handover", s->by, j.action, NULL, err);
	if (status == MH_OK) {
		speech_say(
		    s->speech, "case %" PRId64 ", %s: %s", s->c->id, j.action, summary.p == NULL ? "" : summary.p);
		speech_string(s->speech, "action", j.action);
		speech_bool(s->speech, "taken", *ret_taken);
	}
	buf_release(&summary);
	return status;
}

int
handover_command(const struct options *o)
{
	bool taken = false;
	const int code = steer_case(o, hand_over, &taken);

	return code == EXIT_OK && !taken ? EXIT_ATTENTION : code;
}
