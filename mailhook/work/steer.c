/* steer.c: what a person's word changes in a case: closing, approval, another try, vouching, and the rule chosen anew. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/work/case_impl.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/approvals.h"
#include "mailhook/work/ledger/claims.h"
#include "mailhook/work/ledger/refusals.h"

#define STEER_ARENA_BYTES ((size_t)64 << 20) /* every job of a case, and what each keeps */

struct word { /* a person's, about one case */
	struct work *w;
	int64_t case_id;
	const char *by;
	int64_t now;
	struct arena *a;         /* all rows */
	int tries;               /* that were made before this one */
	const char *step;        /* approved; NULL: the one that waits, or the case */
	const struct seen *seen; /* vouched for */
	struct buf actions;      /* of the rule that is chosen anew */
	size_t n;                /* answer: how many jobs are tried again */
	const char *rule;        /* answer: the name of the rule */
};

/* Does it in one transaction, which is begun again where others undid it. */
static enum mh_status
repeat(struct word *x, enum mh_status (*once)(struct word *x, struct mh_err *err), struct mh_err *err)
{
	struct arena a;
	enum mh_status status;

	arena_init(&a, STEER_ARENA_BYTES);
	x->a = &a;
	do {
		arena_reset(&a);
		status = once(x, err);
	} while (db_again(x->w->db, status, &x->tries));
	arena_release(&a);
	return status;
}

/* -- closing ------------------------------------------------------------------------------------------------------- */

enum mh_status
case_end(struct work *w, struct case_row *c, const char *by, const char *why, int64_t now, struct mh_err *err)
{
	c->open = false;
	c->has_closed = true;
	c->closed = now;
	c->closed_by = by;
	c->closed_by_person = true;
	c->closed_trust = c->vouched ? case_trust(c) : c->trust; /* who vouched saw what the best mail could say */
	enum mh_status status = ledger_case_update(w->db, c, err);
	if (status == MH_OK)
		status = ledger_quarantine_release(w->db, c->id, err);
	if (status == MH_OK)
		status = case_event(w, c, "closed", by, why, NULL, now, err);
	if (status == MH_OK)
		status = ledger_refusals_drop_case(w->db, c->id, err);
	return status == MH_OK ? ledger_claims_end(w->db, c->id, NULL, err) : status;
}

static enum mh_status
close_once(struct word *x, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct case_row c;
	char t[MH_TIME_TEXT];
	int64_t done = 0;
	enum mh_status status = db_tx_begin(x->w->db, &tx, err);

	if (status == MH_OK)
		status = ledger_event_done(x->w->db, x->tries, x->case_id, x->now, "closed", x->by, NULL, &done, err);
	if (status != MH_OK || done > 0)
		return status;
	status = ledger_case_get(x->w->db, x->case_id, x->a, &c, err);
	if (status == MH_OK && !c.open)
		status = mh_fail(err, MH_BAD, "case %" PRId64 " was closed already, at %s by %s", c.id,
		    time_text(t, c.closed), c.closed_by == NULL ? "somebody" : c.closed_by);
	if (status != MH_OK)
		return status;
	status = case_end(x->w, &c, x->by, "closed by a person", x->now, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

enum mh_status
case_close(struct work *w, int64_t case_id, const char *by, int64_t now, struct mh_err *err)
{
	struct word x = { .w = w, .case_id = case_id, .by = by, .now = now };

	return repeat(&x, close_once, err);
}

/* -- approval ------------------------------------------------------------------------------------------------------ */

/* Which step a word is about: the one that is named, if a job waits with it; else the one that waits, or the case. */
static enum mh_status
step_of(const struct word *x, const char **ret, struct mh_err *err)
{
	struct step_rows waiting = { 0 };
	const enum mh_status status = ledger_steps_waiting(x->w->db, x->case_id, x->a, &waiting, err);

	if (status != MH_OK)
		return status;
	if (x->step == NULL && waiting.n > 1)
		return mh_fail(err, MH_BAD, "case %" PRId64 " waits with several steps: say which by --step %.40s",
		    x->case_id, waiting.items[0]);
	if (x->step == NULL) {
		*ret = waiting.n == 1 ? waiting.items[0] : NULL;
		return MH_OK;
	}
	for (size_t i = 0; i < waiting.n; i++)
		if (strcmp(waiting.items[i], x->step) == 0) {
			*ret = waiting.items[i];
			return MH_OK;
		}
	char shown[48];
	return mh_fail(err, MH_BAD, "case %" PRId64 ": nothing waits for approval with step \"%s\"%s%.40s", x->case_id,
	    mh_escape(shown, sizeof(shown), span_of(x->step)),
	    waiting.n == 0 ? "; nothing of it waits" : "; what waits is ", waiting.n == 0 ? "" : waiting.items[0]);
}

static const char *
approval_words(char *dst, size_t dst_bytes, const char *step)
{
	(void)snprintf(
	    dst, dst_bytes, "approved by a person%s%s", step == NULL ? "" : ": step ", step == NULL ? "" : step);
	return dst;
}

/* Of c, or of one of its steps. Its jobs hear of it. */
static enum mh_status
note_approval(const struct word *x, struct case_row *c, const char *step, const char *detail, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

	c->approved_by = x->by;
	enum mh_status status = ledger_case_update(x->w->db, c, err);
	if (status == MH_OK)
		status = db_run(x->w->db, "UPDATE cases SET approved = $1 WHERE id = $2",
		    DB_ARGS(db_time(t, x->now), db_int(c->id)), err);
	if (status == MH_OK)
		status = ledger_approval_add(x->w->db, c->id, step, x->by, x->now, err);
	return status == MH_OK ? case_event(x->w, c, "approved", x->by, detail, NULL, x->now, err) : status;
}

static enum mh_status
approve_once(struct word *x, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	char detail[100];
	const char *step = NULL;
	struct case_row c;
	int64_t done = 0;
	enum mh_status status = db_tx_begin(x->w->db, &tx, err);

	if (status == MH_OK)
		status = ledger_event_done(x->w->db, x->tries, x->case_id, x->now, "approved", x->by,
		    x->step == NULL ? NULL : approval_words(detail, sizeof(detail), x->step), &done, err);
	if (status != MH_OK || done > 0)
		return status;
	status = ledger_case_get(x->w->db, x->case_id, x->a, &c, err);
	if (status == MH_OK && !c.open)
		status = mh_fail(err, MH_BAD, "case %" PRId64 " is closed: there is nothing to approve", c.id);
	if (status == MH_OK)
		status = step_of(x, &step, err);
	if (status == MH_OK)
		status = note_approval(x, &c, step, approval_words(detail, sizeof(detail), step), err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

enum mh_status
case_approve(struct work *w, int64_t case_id, const char *step, const char *by, int64_t now, struct mh_err *err)
{
	struct word x = { .w = w, .case_id = case_id, .by = by, .now = now, .step = step };

	return repeat(&x, approve_once, err);
}

/* -- another try --------------------------------------------------------------------------------------------------- */

static bool
can_be_tried(const struct job_row *j)
{
	return j->state == JOB_FAILED || (j->state == JOB_QUEUED && j->has_retrying) ||
	       (j->state == JOB_WAITING && (j->waiting_for == JOB_WAIT_TIME || j->waiting_for == JOB_WAIT_INPUT));
}

static enum mh_status
retry_once(struct word *x, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct job_rows jobs = { 0 };
	struct case_row c;
	int64_t done = 0;
	enum mh_status status = db_tx_begin(x->w->db, &tx, err);

	if (status == MH_OK) /* an event for each job */
		status = ledger_event_done(x->w->db, x->tries, x->case_id, x->now, "retry", x->by, NULL, &done, err);
	x->n = (size_t)done;
	if (status != MH_OK || done > 0)
		return status;
	status = ledger_case_get(x->w->db, x->case_id, x->a, &c, err);
	if (status == MH_OK)
		status = ledger_jobs_of_case(x->w->db, x->case_id, x->a, &jobs, err);
	for (size_t i = 0; i < jobs.n && status == MH_OK; i++) {
		struct job_row *j = &jobs.items[i];
		if (!can_be_tried(j) || (j->role == ROLE_EFFECT && !c.open))
			continue;
		j->state = JOB_WAITING; /* job_settle() gives it its turn */
		j->waiting_for = JOB_WAIT_AFTER;
		j->has_due = true;
		j->due = x->now;
		j->has_retrying = j->has_ended = false;
		status = ledger_job_update(x->w->db, j, err);
		if (status == MH_OK)
			status = ledger_event_add(x->w->db, x->case_id, x->now, "retry", x->by, j->action, NULL, err);
		x->n++;
	}
	if (status == MH_OK) /* what a node lacked may be there now */
		status = ledger_refusals_drop_case(x->w->db, x->case_id, err);
	if (status == MH_OK)
		status = job_settle(x->w, x->case_id, x->now, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

enum mh_status
case_retry(struct work *w, int64_t case_id, const char *by, int64_t now, size_t *ret_n, struct mh_err *err)
{
	struct word x = { .w = w, .case_id = case_id, .by = by, .now = now };
	const enum mh_status status = repeat(&x, retry_once, err);

	if (status == MH_OK)
		*ret_n = x.n;
	return status;
}

/* -- vouching ------------------------------------------------------------------------------------------------------ */

/* What a person saw in AWS, against what the case says. */
static bool
as_seen(const struct case_row *c, const struct seen *s)
{
	const int64_t apart = time_day(s->expires) - time_day(c->expires);

	if (strcmp(c->account, s->account) != 0)
		return false;
	if (c->precision == MH_DERIVED)
		return apart >= -DERIVED_DAYS && apart <= DERIVED_DAYS;
	return c->precision == MH_SECOND && s->precision == MH_SECOND ? c->expires == s->expires : apart == 0;
}

static enum mh_status
may_be_vouched(const struct case_row *c, const struct seen *s, struct mh_err *err)
{
	char says[MH_TIME_TEXT], saw[MH_TIME_TEXT], account[40];

	if (!c->open)
		return mh_fail(err, MH_BAD, "case %" PRId64 " is closed: there is nothing to approve", c->id);
	if (!c->has_expires || c->account == NULL || case_is_drill(c))
		return mh_fail(err, MH_BAD,
		    "case %" PRId64
		    " has no account and expiry that could be seen in AWS: see to it by hand, then close it",
		    c->id);
	if (as_seen(c, s))
		return MH_OK;
	return mh_fail(err, MH_BAD,
	    "case %" PRId64 " says account %s, expires %s; not account %s, expires %s: look again, or close it", c->id,
	    c->account, time_text(says, c->expires), mh_escape(account, sizeof(account), span_of(s->account)),
	    time_text(saw, s->expires));
}

static enum mh_status
vouch_once(struct word *x, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	const struct seen *s = x->seen;
	char t[MH_TIME_TEXT], detail[160];
	struct case_row c;
	int64_t done = 0;
	enum mh_status status = db_tx_begin(x->w->db, &tx, err);

	(void)snprintf(detail, sizeof(detail), "vouched for by a person: seen in AWS: account %.40s, expires %s",
	    s->account, time_text(t, s->expires));
	if (status == MH_OK)
		status =
		    ledger_event_done(x->w->db, x->tries, x->case_id, x->now, "approved", x->by, detail, &done, err);
	if (status != MH_OK || done > 0)
		return status;
	status = ledger_case_get(x->w->db, x->case_id, x->a, &c, err);
	if (status == MH_OK)
		status = may_be_vouched(&c, s, err);
	if (status != MH_OK)
		return status;
	if (c.precision > s->precision) { /* what was counted from days, or known to the day, is now known better */
		c.expires = s->expires;
		c.precision = s->precision;
	}
	c.vouched = true;
	status = note_approval(x, &c, NULL, detail, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

enum mh_status
case_vouch(struct work *w, int64_t case_id, const struct seen *seen, const char *by, int64_t now, struct mh_err *err)
{
	struct word x = { .w = w, .case_id = case_id, .by = by, .now = now, .seen = seen };

	return repeat(&x, vouch_once, err);
}

/* -- the rule ------------------------------------------------------------------------------------------------------ */

static enum mh_status
choose_once(struct word *x, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct case_row c;
	struct mh_span detail;
	int64_t done = 0;
	enum mh_status status = db_tx_begin(x->w->db, &tx, err);

	if (status == MH_OK)
		status = ledger_event_done(x->w->db, x->tries, x->case_id, x->now, "rule", x->by, NULL, &done, err);
	if (status == MH_OK)
		status = ledger_case_get(x->w->db, x->case_id, x->a, &c, err);
	if (status == MH_OK && done > 0) {
		x->rule = c.rule;
		return MH_OK;
	}
	if (status == MH_OK && !c.open)
		status =
		    mh_fail(err, MH_BAD, "case %" PRId64 " is closed: no rule does anything about it any more", c.id);
	if (status != MH_OK)
		return status;
	const char *old_rule = c.rule, *old_actions = c.actions;
	status = case_choose_rule(x->w, &c, &x->actions, err);
	if (status == MH_OK && c.rule == NULL)
		status = mh_fail(err, MH_BAD,
		    "no rule of the configuration takes case %" PRId64 ": write one for kind %.60s, and try again",
		    c.id, c.kind);
	if (status != MH_OK)
		return status;
	x->rule = c.rule;
	if (same_text(c.rule, old_rule) && same_text(c.actions, old_actions))
		return mh_fail(
		    err, MH_SKIP, "case %" PRId64 " has rule \"%s\" with these actions already", c.id, c.rule);
	status = ledger_case_update(x->w->db, &c, err);
	if (status == MH_OK)
		status = arena_printf(x->a, &detail, err, "rule \"%s\", %s; before: %s", c.rule, c.actions,
		    old_rule == NULL ? "none" : old_rule);
	if (status == MH_OK)
		status = ledger_event_add(x->w->db, c.id, x->now, "rule", x->by, detail.p, NULL, err);
	if (status == MH_OK)
		status = job_choose_again(x->w, &c, x->now, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

enum mh_status
case_choose_again(struct work *w, struct arena *a, int64_t case_id, const char *by, int64_t now, const char **ret_rule,
    struct mh_err *err)
{
	struct word x = { .w = w, .case_id = case_id, .by = by, .now = now, .a = a };
	enum mh_status status;

	buf_init(&x.actions, 65536);
	do { /* not repeat(): the rule's name must outlive it */
		buf_clear(&x.actions);
		status = choose_once(&x, err);
	} while (db_again(w->db, status, &x.tries));
	buf_release(&x.actions);
	if (status == MH_OK)
		*ret_rule = x.rule;
	return status;
}

/* -- a restored ledger --------------------------------------------------------------------------------------------- */

#define OPEN_EFFECTS                                                                                                   \
	"role = 'effect' AND state IN ('queued', 'running', 'waiting') AND case_id IN (SELECT id FROM cases WHERE "    \
	"state = 'open')"

enum mh_status
case_hold_effects(struct work *w, int64_t now, size_t *ret_n, struct mh_err *err)
{
	char t[MH_TIME_TEXT];
	enum mh_status status = db_run(w->db,
	    "INSERT INTO events (case_id, at, what, by, detail) SELECT case_id, $1, 'restored', 'mailhook', "
	    "'the ledger was restored, so nobody knows how far ' || action || ' came: it waits for approval' "
	    "FROM jobs WHERE " OPEN_EFFECTS " ORDER BY id",
	    DB_ARGS(db_time(t, now)), err);

	if (status == MH_OK)
		status = db_run(w->db,
		    "UPDATE jobs SET state = 'waiting', waiting_for = 'approval', due = NULL, lease_owner = NULL, "
		    "lease_until = NULL WHERE " OPEN_EFFECTS,
		    NULL, 0, err);
	if (status == MH_OK)
		*ret_n = (size_t)w->db->engine->changed(w->db);
	return status;
}
