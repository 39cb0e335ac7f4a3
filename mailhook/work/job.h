/* job.h: what an event of a case makes due, in what order, and what an outcome leads to. No process is started here.
 *
 * Events that make jobs: opened, trusted, approved, reminded, succeeded, failed, expired, closed. They all go through
 * case_event(). Other lines of a case's history (notice, refined, outcome, ...) make none.
 *
 * Why the chain of events ends: an effect has one job a case, and its end is one "succeeded" or "failed"; a ticket job
 * that fails makes one "failed" that only replies get (never a ticket); a reply's end makes no event at all.
 */
#ifndef MAILHOOK_WORK_JOB_H
#define MAILHOOK_WORK_JOB_H

#include "mailhook/work/ledger/leases.h"
#include "mailhook/work/work.h"

/* Errors of all: those of db.h, among them MH_BAD where a case's actions are not a list of names. */

#define JOB_RETRY_MIN_S 60
#define JOB_RETRY_MAX_S 21600
#define JOB_REPLY_PATIENCE_S 300 /* a reply waits so long for an earlier job that is being retried */

/* Records an event and makes its jobs. Inside the caller's transaction.
 *   in      c: as it stands now, already written
 *           cause: the job whose end is the event; NULL: none */
enum mh_status case_event(struct work *w, const struct case_row *c, const char *what, const char *by,
    const char *detail, const struct job_row *cause, int64_t now, struct mh_err *err);

/* An escalation: event "escalated" in the history, and an event "reminded" whose jobs are of those actions (a JSON list
 * of names) in place of the case's own. Inside the caller's transaction. */
enum mh_status case_escalate(
    struct work *w, const struct case_row *c, const char *actions, const char *detail, int64_t now, struct mh_err *err);

/* Looks again at the case's jobs that wait for others ("after"): queues those whose turn has come, and notes when to look
 * again at those that wait for a time. Inside the caller's transaction. */
enum mh_status job_settle(struct work *w, int64_t case_id, int64_t now, struct mh_err *err);

/* Ends one run of a job, in one transaction with all that follows from it.
 *   errors  MH_SKIP that run is over, or its lease is not ours any more: nothing was changed. At a second try it is over
 *           because the first one's commit was done and only its answer lost, unless the lease may have ended since */
enum mh_status job_outcome(struct work *w, const struct lease_row *lease, const struct answer_line *answer,
    bool observed, int64_t now, struct mh_err *err);
/* A job that its worker runs no more is queued again, at once. Nothing where it is not under that lease any more.
 *   in      lapsed_only: nothing too where the lease has not ended by the ledger's clock */
enum mh_status job_requeue(
    struct work *w, const struct lease_row *lease, bool lapsed_only, const char *why, int64_t now, struct mh_err *err);
/* Seconds until the next attempt after so many: 1 min, doubled each time up to 6 h, and up to a quarter more by a jitter
 * that is computed from key and attempt. */
int64_t job_backoff_s(const char *job_key, int64_t attempt);
/* When the trust of a case or its ambiguity changed: its effects that have not begun wait or are woken accordingly. */
enum mh_status job_measure(struct work *w, const struct case_row *c, bool approved, int64_t now, struct mh_err *err);
/* When the case's list of actions is another: those without a job get that of the opening, others' jobs are skipped
 * that have not begun. Inside the caller's transaction. */
enum mh_status job_choose_again(struct work *w, const struct case_row *c, int64_t now, struct mh_err *err);
/* Why a job does not run now, in words for a person; NULL: it does, or has ended. */
const char *job_why(const struct job_row *j, const struct case_row *c, char *dst, size_t dst_bytes);

#endif
