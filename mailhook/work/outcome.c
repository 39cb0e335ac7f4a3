/* outcome.c: what one run of a job came to, and what follows from it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/work/digest.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/approvals.h"
#include "mailhook/work/ledger/claims.h"
#include "mailhook/work/ledger/refusals.h"

#define CASE_ARENA_BYTES ((size_t)16 << 20) /* a job, its case, and what is made of them */
#define LEFT "left to other nodes by "      /* a summary that begins so is about no attempt */

int64_t
job_backoff_s(const char *job_key, int64_t attempt)
{
	char text[24], hex[DIGEST_HEX];
	int64_t base = JOB_RETRY_MIN_S, jitter = 0;

	for (int64_t i = 1; i < attempt && base < JOB_RETRY_MAX_S; i++)
		base *= 2;
	(void)snprintf(text, sizeof(text), "%" PRId64, attempt);
	const struct mh_span fields[] = { MH_LIT("jitter"), span_of(job_key), span_of(text) };
	if (digest_fields(fields, 3, hex, NULL) == MH_OK)
		for (size_t i = 0; i < 6; i++)
			jitter = jitter * 16 + hex_digit(hex[i]);
	base += jitter % (base / 4 + 1);
	return base > JOB_RETRY_MAX_S ? JOB_RETRY_MAX_S : base;
}

static void
end_job(struct job_row *j, enum job_state state, int64_t now)
{
	j->state = state;
	j->waiting_for = JOB_WAIT_NONE;
	j->has_due = false;
	j->has_retrying = false;
	j->has_ended = true;
	j->ended = now;
}

/* An action that always says "at once" must not spin for days: after ten attempts its wish is a lower bound only. */
static int64_t
pause_s(const struct job_row *j, int64_t wish_s)
{
	const int64_t own = job_backoff_s(j->job_key, j->attempt);

	if (wish_s < 0)
		return own;
	if (j->attempt > 10 && wish_s < own)
		return own;
	return wish_s < 1 ? 1 : wish_s;
}

static void
retry_job(struct job_row *j, const struct answer_line *answer, int64_t give_up_s, int64_t now, struct buf *summary)
{
	if (!j->has_retrying) {
		j->has_retrying = true;
		j->retrying_since = now;
	}
	if (now - j->retrying_since >= give_up_s) {
		buf_clear(summary);
		buf_printf(summary, "given up after %" PRId64 " attempts: %s", j->attempt, answer->summary);
		end_job(j, JOB_FAILED, now);
		return;
	}

	const int64_t last = j->retrying_since + give_up_s, next = now + pause_s(j, answer->retry_after_s);
	j->state = JOB_QUEUED;
	j->waiting_for = JOB_WAIT_NONE;
	j->has_due = true;
	j->due = next < last ? next : last; /* the last attempt is made when the time is over, not before */
}

/* Nothing was tried here, so nothing failed, and the others may have it at once. It waits for time, not for its turn, so
 * that a reply which is to tell of it does not wait for ever. */
static void
leave_job(struct job_row *j, const char *node, const char *before, const struct answer_line *answer, int64_t now,
    struct buf *summary)
{
	if (j->attempt > 0)
		j->attempt--;
	j->state = JOB_WAITING;
	j->waiting_for = JOB_WAIT_TIME;
	j->has_due = true;
	j->due = now;
	buf_clear(summary);
	if (before != NULL && strncmp(before, LEFT, sizeof(LEFT) - 1) != 0)
		buf_puts(summary, before); /* what it came to where it did run says more */
	else
		buf_printf(summary, LEFT "%s: %s", node, answer->summary);
}

static void
wait_job(struct job_row *j, const struct answer_line *answer, int64_t now)
{
	const bool woken = j->has_due; /* by an approval while it ran: job_measure() */

	j->state = JOB_WAITING;
	j->has_retrying = false;
	j->has_due = false;
	switch (answer->waiting_for) {
	case WAIT_APPROVAL:
		j->waiting_for = JOB_WAIT_APPROVAL;
		break;
	case WAIT_INPUT:
		j->waiting_for = JOB_WAIT_INPUT;
		break;
	case WAIT_NOTHING:
	case WAIT_TIME:
		j->waiting_for = JOB_WAIT_TIME;
		break;
	}
	if (woken && j->waiting_for == JOB_WAIT_APPROVAL) {
		j->has_due = true;
		j->due = now;
	} else if (j->waiting_for == JOB_WAIT_TIME || answer->retry_after_s >= 0) {
		j->has_due = true;
		j->due = now + pause_s(j, answer->retry_after_s);
	}
}

/* Where there are others that it can be left to. */
static bool
is_left(const struct work *w, const struct answer_line *answer)
{
	return answer->outcome == OUTCOME_RETRY && answer->elsewhere && !w->db->engine->local;
}

static void
apply_answer(struct work *w, struct job_row *j, const struct answer_line *answer, bool observed, int64_t now,
    struct buf *summary)
{
	const struct conf_action *act = conf_action(w->conf, j->action);
	const int64_t give_up_s = act == NULL ? 3 * MH_DAY_S : act->give_up_s;

	buf_printf(summary, "%s%s", observed ? "observed: " : "", answer->summary);
	if (is_left(w, answer)) {
		leave_job(j, w->node, j->summary, answer, now, summary);
		return;
	}
	if (answer->outcome == OUTCOME_RETRY) {
		retry_job(j, answer, give_up_s, now, summary);
		return;
	}
	if (observed) {
		end_job(j, JOB_SKIPPED, now);
		return;
	}
	switch (answer->outcome) {
	case OUTCOME_DONE:
		end_job(j, JOB_DONE, now);
		break;
	case OUTCOME_FAILED:
		end_job(j, JOB_FAILED, now);
		break;
	case OUTCOME_SKIPPED:
		end_job(j, JOB_SKIPPED, now);
		break;
	case OUTCOME_WAITING:
		wait_job(j, answer, now);
		break;
	case OUTCOME_RETRY:
		break;
	}
}

/* What follows from a job's end; see the head of job.h for why this comes to an end. */
static enum mh_status
follow_up(struct work *w, struct case_row *c, const struct job_row *j, int64_t now, struct mh_err *err)
{
	struct buf detail;
	enum mh_status status = MH_OK;
	const bool well = j->state == JOB_DONE;

	if (!well && j->state != JOB_FAILED)
		return MH_OK;
	if (j->role == ROLE_REPLY || (j->role == ROLE_TICKET && well))
		return MH_OK;
	if (well && strcmp(j->event, "reminded") == 0)
		return MH_OK; /* an escalation's: that somebody was called renews nothing */
	buf_init(&detail, 2048);
	buf_printf(&detail, "%s: %s", j->action, j->summary == NULL ? "" : j->summary);
	status = buf_ok(&detail) ? case_event(w, c, well ? "succeeded" : "failed", j->action, detail.p, j, now, err)
				 : mh_fail(err, MH_RETRY, "no memory for an outcome");
	buf_release(&detail);
	return status;
}

/* What a person is asked for, or told, while a job waits: once, and again when it is something else. An attempt that came
 * to nothing asks for nothing new. */
static enum mh_status
ask_person(struct work *w, const struct case_row *c, const struct job_row *j, const struct answer_line *answer,
    struct arena *a, int64_t now, struct mh_err *err)
{
	const char *before = NULL;
	struct mh_span detail;
	enum mh_status status = MH_OK;

	if (answer->outcome == OUTCOME_RETRY)
		return MH_OK;
	status = ledger_job_step(w->db, j->id, a, &before, err);
	if (status != MH_OK ||
	    (before == NULL ? answer->step == NULL : answer->step != NULL && strcmp(before, answer->step) == 0))
		return status;
	status = ledger_job_step_set(w->db, j->id, answer->step, err);
	if (status != MH_OK || answer->step == NULL || j->state != JOB_WAITING || !c->open)
		return status;
	status = arena_printf(a, &detail, err, "%s: %s", j->action, j->summary == NULL ? "" : j->summary);
	return status == MH_OK ? case_event(w, c, "reminded", j->action, detail.p, j, now, err) : status;
}

/* The new end is what the next cycle's notice is expected by. */
static enum mh_status
note_renewal(struct work *w, const struct case_row *c, const struct job_row *j, const struct answer_line *answer,
    int64_t now, struct mh_err *err)
{
	const struct renewal_row r = { answer->renewed_expires, answer->renewed_notice, answer->renewed_notice != 0 };
	char expires[MH_TIME_TEXT], notice[MH_TIME_TEXT], detail[160];

	if (j->state != JOB_DONE || j->role != ROLE_EFFECT || r.expires == 0)
		return MH_OK;
	(void)snprintf(detail, sizeof(detail), "expires %s%s%s", time_text(expires, r.expires),
	    r.has_notice ? "; the next notice is due about " : "", r.has_notice ? time_text(notice, r.notice) : "");
	enum mh_status status = ledger_renewal_set(w->db, c->id, &r, err);
	if (status == MH_OK)
		status = ledger_case_update(w->db, c, err); /* it is looked at again: pass.c expects another time now */
	return status == MH_OK ? ledger_event_add(w->db, c->id, now, "renewed", j->action, detail, NULL, err) : status;
}

static enum mh_status
record(struct work *w, const struct job_row *j, const char *outcome, int64_t now, struct mh_err *err)
{
	struct buf detail;

	buf_init(&detail, 4096);
	buf_printf(&detail, "%s, attempt %" PRId64 ": %s: %s", j->event, j->attempt, outcome,
	    j->summary == NULL ? "" : j->summary);
	const enum mh_status status =
	    buf_ok(&detail) ? ledger_event_add(w->db, j->case_id, now, "outcome", j->action, detail.p, NULL, err)
			    : mh_fail(err, MH_RETRY, "no memory for an outcome");
	buf_release(&detail);
	return status;
}

/* The history hears of it once a node; the others are called, for one of them may begin at once. */
static enum mh_status
note_left(struct work *w, const struct job_row *j, const struct answer_line *answer, int64_t now, struct mh_err *err)
{
	struct refusal_row r = { .job_id = j->id, .node = w->node, .why = answer->summary };
	struct buf detail;
	bool news = false;
	enum mh_status status = w->db->engine->now(w->db, &r.until, err);

	r.until += REFUSAL_S;
	if (status == MH_OK)
		status = ledger_refuse(w->db, &r, &news, err);
	if (status == MH_OK && news) {
		buf_init(&detail, 4096);
		buf_printf(&detail, "%s: " LEFT "%s: %s", j->event, w->node, answer->summary);
		status = buf_ok(&detail)
			     ? ledger_event_add(w->db, j->case_id, now, "left", j->action, detail.p, NULL, err)
			     : mh_fail(err, MH_RETRY, "no memory for an outcome");
		buf_release(&detail);
	}
	if (status == MH_OK)
		w->db->engine->call(w->db);
	return status;
}

/* What the job kept for itself beside its row ends with it; and a node that ran it lacks nothing. */
static enum mh_status
note_end(struct work *w, const struct case_row *c, const struct job_row *j, bool observed, struct mh_err *err)
{
	const bool over = j->state == JOB_DONE || j->state == JOB_FAILED || j->state == JOB_SKIPPED;
	enum mh_status status = MH_OK;

	if (!w->db->engine->local)
		status = ledger_refusals_drop(w->db, j->id, over ? NULL : w->node, err);
	/* what failed may be half done, so only its case's close lets go of that */
	if (status == MH_OK && over && !observed && (j->state != JOB_FAILED || !c->open))
		status = ledger_claims_end(w->db, c->id, j->action, err);
	return status;
}

static enum mh_status
outcome_in(struct work *w, struct arena *a, struct buf *summary, const struct lease_row *lease,
    const struct answer_line *answer, bool observed, int64_t now, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct job_row j;
	struct case_row c;
	struct mh_span state;
	enum mh_status status = db_tx_begin(w->db, &tx, err);

	if (status == MH_OK)
		status = ledger_job_get(w->db, lease->job_id, a, &j, err);
	if (status == MH_OK && (j.state != JOB_RUNNING || j.attempt != lease->attempt || j.lease_owner == NULL ||
				   strcmp(j.lease_owner, lease->owner) != 0))
		status = mh_fail(err, MH_SKIP, "the job's lease is not ours");
	if (status == MH_OK)
		status = ledger_case_get(w->db, j.case_id, a, &c, err);
	if (status == MH_OK && answer->state.p != NULL) {
		status = arena_copy(a, answer->state, &state, err);
		if (status == MH_OK)
			j.action_state = state.p;
	}
	if (status != MH_OK)
		return status;

	apply_answer(w, &j, answer, observed, now, summary);
	if (!buf_ok(summary))
		return mh_fail(err, MH_RETRY, "no memory for an outcome");
	j.summary = summary->p;
	if (answer->url != NULL)
		j.url = answer->url;
	status = ledger_job_update(w->db, &j, err);
	if (status == MH_OK && j.role == ROLE_TICKET && answer->url != NULL && !observed) {
		c.ticket_url = answer->url;
		status = ledger_case_update(w->db, &c, err);
	}
	if (status == MH_OK && is_left(w, answer))
		status = note_left(w, &j, answer, now, err);
	else if (status == MH_OK)
		status = record(w, &j, outcome_names[answer->outcome], now, err);
	if (status == MH_OK && !is_left(w, answer))
		status = note_end(w, &c, &j, observed, err);
	if (status == MH_OK && !observed)
		status = ask_person(w, &c, &j, answer, a, now, err);
	if (status == MH_OK && !observed)
		status = note_renewal(w, &c, &j, answer, now, err);
	if (status == MH_OK)
		status = follow_up(w, &c, &j, now, err);
	if (status == MH_OK)
		status = job_settle(w, j.case_id, now, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

enum mh_status
job_outcome(struct work *w, const struct lease_row *lease, const struct answer_line *answer, bool observed, int64_t now,
    struct mh_err *err)
{
	struct arena a;
	struct buf summary;

	arena_init(&a, CASE_ARENA_BYTES);
	buf_init(&summary, 8192);
	const enum mh_status status = outcome_in(w, &a, &summary, lease, answer, observed, now, err);
	buf_release(&summary);
	arena_release(&a);
	return status;
}

static enum mh_status
requeue_in(struct work *w, struct arena *a, const struct lease_row *lease, bool lapsed_only, const char *why,
    int64_t now, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct job_row j;
	bool lapsed = false;
	enum mh_status status = db_tx_begin(w->db, &tx, err);

	if (status == MH_OK) /* it may have been renewed, or another node was faster */
		status = ledger_lease_look(w->db, lease, &lapsed, err);
	if (status != MH_OK || (lapsed_only && !lapsed))
		return status == MH_SKIP ? MH_OK : status;
	status = ledger_job_get(w->db, lease->job_id, a, &j, err);
	if (status != MH_OK)
		return status;
	j.state = JOB_QUEUED;
	j.has_due = true;
	j.due = now;
	j.summary = why;
	status = ledger_job_update(w->db, &j, err);
	if (status == MH_OK)
		status = record(w, &j, "queued again", now, err);
	if (status == MH_OK)
		w->db->engine->call(w->db);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

enum mh_status
job_requeue(
    struct work *w, const struct lease_row *lease, bool lapsed_only, const char *why, int64_t now, struct mh_err *err)
{
	struct arena a;

	arena_init(&a, CASE_ARENA_BYTES);
	const enum mh_status status = requeue_in(w, &a, lease, lapsed_only, why, now, err);
	arena_release(&a);
	return status;
}
