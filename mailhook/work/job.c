/* job.c: events to jobs, and which job's turn it is. */
#include "mailhook/work/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/json.h"
#include "mailhook/work/case.h"
#include "mailhook/work/digest.h"

#define CASE_ARENA_BYTES ((size_t)16 << 20) /* all jobs of one case */

static bool
is(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

static bool
ended(const struct job_row *j)
{
	return j->state == JOB_DONE || j->state == JOB_FAILED || j->state == JOB_SKIPPED;
}

/* -- making jobs --------------------------------------------------------------------------------------------------- */

struct making {
	struct work *w;
	const struct case_row *c;
	const struct job_rows *jobs; /* that the case has already */
	const struct job_row *cause;
	const char *what;
	int64_t event_id, nth, now;
	bool escalation; /* the actions are not those of the case's rule */
};

/* What came in after its expiry: nothing is left to rotate, and nobody waits for a reply. */
static bool
came_too_late(const struct case_row *c)
{
	return c->has_expires && c->expires < c->opened;
}

/* The reply of the event that the cause belongs to has not begun: it tells how the cause ended, so a reply of its own
 * for that end would be the same mail twice. */
static bool
told_by_pending_reply(const struct making *m, const char *action)
{
	for (size_t i = 0; m->cause != NULL && i < m->jobs->n; i++) {
		const struct job_row *j = &m->jobs->items[i];
		if (j->event_id == m->cause->event_id && j->role == ROLE_REPLY && is(j->action, action) && !ended(j) &&
		    j->attempt == 0)
			return true;
	}
	return false;
}

static bool
has_job(const struct making *m, const char *action)
{
	for (size_t i = 0; i < m->jobs->n; i++)
		if (is(m->jobs->items[i].action, action))
			return true;
	return false;
}

/* Who is called by an escalation is called by each; but what the rule itself does is never doubled. */
static bool
is_own_effect(const struct making *m, const char *action)
{
	for (size_t i = 0; i < m->jobs->n; i++)
		if (is(m->jobs->items[i].action, action) && !is(m->jobs->items[i].event, "reminded"))
			return true;
	return false;
}

static bool
wanted(const struct making *m, const struct conf_action *act)
{
	switch (act->role) {
	case ROLE_TICKET:
		return m->cause == NULL || m->cause->role == ROLE_EFFECT;
	case ROLE_EFFECT:
		if (m->escalation)
			return !is_own_effect(m, act->name);
		/* What opened the case may have said a date that was past, and what is trusted, or a person, another. */
		return (is(m->what, "opened") || is(m->what, "trusted") || is(m->what, "approved")) &&
		       !came_too_late(m->c) && !has_job(m, act->name);
	case ROLE_REPLY:
		return !came_too_late(m->c) && !told_by_pending_reply(m, act->name);
	}
	return false;
}

static enum mh_status
make_job(const struct making *m, const struct conf_action *act, int64_t position, struct mh_err *err)
{
	char nth[24], key[DIGEST_HEX];
	int64_t id;

	(void)snprintf(nth, sizeof(nth), "%" PRId64, m->nth);
	const struct mh_span fields[] = { MH_LIT("job"), span_of(m->c->key), span_of(act->name), span_of(m->what),
		span_of(nth) };
	enum mh_status status = digest_fields(fields, sizeof(fields) / sizeof(fields[0]), key, err);
	if (status != MH_OK)
		return status;
	key[LEDGER_KEY_HEX] = '\0';

	/* Of a drill an effect is only described, so nothing need be proven. */
	const enum trust_level needs = case_is_drill(m->c) ? TRUST_UNVERIFIED : act->needs;
	struct job_row j = { .job_key = key,
		.case_id = m->c->id,
		.action = act->name,
		.role = act->role,
		.event = m->what,
		.event_id = m->event_id,
		.position = position,
		.needs = needs,
		.state = JOB_WAITING,
		.waiting_for = JOB_WAIT_AFTER,
		.has_due = true,
		.due = m->now,
		.created = m->now };
	if (case_trust(m->c) < needs) {
		j.waiting_for = JOB_WAIT_TRUST;
		j.has_due = false;
	} else if (act->role == ROLE_EFFECT && m->c->ambiguous && m->c->approved_by == NULL) {
		j.waiting_for = JOB_WAIT_APPROVAL;
		j.has_due = false;
	}
	return ledger_job_add(m->w->db, &j, &id, err);
}

static enum mh_status
make_one(const struct making *m, const cJSON *item, int64_t position, struct mh_err *err)
{
	const char *name = cJSON_GetStringValue(item);
	char text[200];

	if (name == NULL)
		return mh_fail(err, MH_BAD, "ledger: a case's actions are not a list of names");
	const struct conf_action *act = conf_action(m->w->conf, name);
	if (act != NULL)
		return wanted(m, act) ? make_job(m, act, position, err) : MH_OK;
	(void)snprintf(text, sizeof(text), "action \"%s\" is not configured any more: left out", name);
	return ledger_event_add(m->w->db, m->c->id, m->now, "left-out", "mailhook", text, NULL, err);
}

static enum mh_status
make_jobs(const struct making *m, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *names = json_parse(span_of(m->c->actions), err);
	const cJSON *item;
	int64_t position = 0;
	enum mh_status status = MH_OK;

	if (!cJSON_IsArray(names))
		return mh_fail(err, MH_BAD, "ledger: a case's actions are not a list of names");
	cJSON_ArrayForEach(item, names)
	{
		if (status == MH_OK)
			status = make_one(m, item, ++position, err);
	}
	return status;
}

static bool
named(const cJSON *names, const char *action)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, names)
	{
		if (cJSON_IsString(item) && is(item->valuestring, action))
			return true;
	}
	return false;
}

/* What does not run and has not ended is not begun any more. */
static enum mh_status
skip_job(struct work *w, struct job_row *j, const char *why, int64_t now, struct mh_err *err)
{
	if (ended(j) || j->state == JOB_RUNNING)
		return MH_OK;
	j->state = JOB_SKIPPED;
	j->waiting_for = JOB_WAIT_NONE;
	j->summary = why;
	j->has_due = false;
	j->has_ended = true;
	j->ended = now;
	return ledger_job_update(w->db, j, err);
}

enum mh_status
job_choose_again(struct work *w, const struct case_row *c, int64_t now, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *names = json_parse(span_of(c->actions), err);
	struct arena a;
	struct job_rows jobs = { 0 };
	struct making m = { .w = w, .c = c, .jobs = &jobs, .what = "opened", .now = now };
	const cJSON *item;
	int64_t position = 0;

	if (!cJSON_IsArray(names))
		return mh_fail(err, MH_BAD, "ledger: a case's actions are not a list of names");
	arena_init(&a, CASE_ARENA_BYTES);
	enum mh_status status =
	    db_one(w->db, "SELECT id FROM events WHERE case_id = $1 AND what = 'opened' ORDER BY id LIMIT 1",
		DB_ARGS(db_int(c->id)), &m.event_id, err);
	if (status == MH_OK)
		status = ledger_jobs_of_case(w->db, c->id, &a, &jobs, err);
	cJSON_ArrayForEach(item, names)
	{
		position++;
		if (status == MH_OK && !(cJSON_IsString(item) && has_job(&m, item->valuestring)))
			status = make_one(&m, item, position, err);
	}
	for (size_t i = 0; i < jobs.n && status == MH_OK; i++)
		if (jobs.items[i].attempt == 0 && !named(names, jobs.items[i].action))
			status =
			    skip_job(w, &jobs.items[i], "the rule that was chosen anew has no such action", now, err);
	if (status == MH_OK)
		status = job_settle(w, c->id, now, err);
	arena_release(&a);
	return status;
}

/* Effects of a closed case that have not begun, or wait, are not begun any more. */
static enum mh_status
skip_effects(struct work *w, const struct job_rows *jobs, int64_t now, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < jobs->n && status == MH_OK; i++) {
		struct job_row *j = &jobs->items[i];
		if (j->role == ROLE_EFFECT)
			status = skip_job(w, j, "the case was closed", now, err);
	}
	return status;
}

static enum mh_status
happen(struct making m, const char *by, const char *detail, struct mh_err *err)
{
	struct arena a;
	struct job_rows jobs = { 0 };
	struct work *w = m.w;
	const struct case_row *c = m.c;
	const char *what = m.what;
	const int64_t now = m.now;

	m.jobs = &jobs;

	arena_init(&a, CASE_ARENA_BYTES);
	enum mh_status status = ledger_event_count(w->db, c->id, what, &m.nth, err);
	if (status == MH_OK)
		status = ledger_event_add(w->db, c->id, now, what, by, detail, &m.event_id, err);
	if (status == MH_OK)
		status = ledger_jobs_of_case(w->db, c->id, &a, &jobs, err);
	if (status == MH_OK && is(what, "closed"))
		status = skip_effects(w, &jobs, now, err);
	if (status == MH_OK && (is(what, "trusted") || is(what, "approved")))
		status = job_measure(w, c, is(what, "approved"), now, err);
	if (status == MH_OK)
		status = make_jobs(&m, err);
	if (status == MH_OK)
		status = job_settle(w, c->id, now, err);
	arena_release(&a);
	return status;
}

enum mh_status
case_event(struct work *w, const struct case_row *c, const char *what, const char *by, const char *detail,
    const struct job_row *cause, int64_t now, struct mh_err *err)
{
	return happen((struct making){ .w = w, .c = c, .cause = cause, .what = what, .now = now }, by, detail, err);
}

enum mh_status
case_escalate(
    struct work *w, const struct case_row *c, const char *actions, const char *detail, int64_t now, struct mh_err *err)
{
	struct case_row other = *c;
	const enum mh_status status = ledger_event_add(w->db, c->id, now, "escalated", "mailhook", detail, NULL, err);

	other.actions = actions;
	if (status != MH_OK)
		return status;
	return happen((struct making){ .w = w, .c = &other, .what = "reminded", .now = now, .escalation = true },
	    "mailhook", detail, err);
}

enum mh_status
job_measure(struct work *w, const struct case_row *c, bool approved, int64_t now, struct mh_err *err)
{
	struct arena a;
	struct job_rows jobs = { 0 };

	arena_init(&a, CASE_ARENA_BYTES);
	enum mh_status status = ledger_jobs_of_case(w->db, c->id, &a, &jobs, err);
	for (size_t i = 0; i < jobs.n && status == MH_OK; i++) {
		struct job_row *j = &jobs.items[i];
		const bool held = j->role == ROLE_EFFECT && c->ambiguous && c->approved_by == NULL;

		if (ended(j))
			continue;
		if (j->state == JOB_RUNNING) {
			/* it may be about to answer "waiting": job_outcome() sees the mark and does not let it sleep */
			char t[MH_TIME_TEXT];
			if (approved)
				status = db_run(w->db, "UPDATE jobs SET due = $1 WHERE id = $2",
				    DB_ARGS(db_time(t, now), db_int(j->id)), err);
			continue;
		}
		const bool begins = case_trust(c) >= j->needs && (j->waiting_for == JOB_WAIT_TRUST ||
								     (j->waiting_for == JOB_WAIT_APPROVAL && approved));
		const bool stops = held && j->waiting_for != JOB_WAIT_TRUST;
		/* nobody vouches for the case any more */
		const bool falls = j->role == ROLE_EFFECT && case_trust(c) < j->needs &&
				   j->waiting_for != JOB_WAIT_TRUST && j->waiting_for != JOB_WAIT_APPROVAL;
		if (!begins && !stops && !falls)
			continue;
		j->state = JOB_WAITING;
		j->waiting_for = falls ? JOB_WAIT_TRUST : held ? JOB_WAIT_APPROVAL : JOB_WAIT_AFTER;
		j->has_due = !held && !falls;
		j->due = now;
		status = ledger_job_update(w->db, j, err);
	}
	arena_release(&a);
	return status;
}

/* -- turns --------------------------------------------------------------------------------------------------------- */

enum turn { TURN_NOW, TURN_LATER, TURN_NEVER };

/* A reply tells of what was done, so it waits for it; but not for a person, and not for ever. TURN_LATER: *ret_due, where
 * *ret_by_time says that it is known. */
static enum turn
reply_behind(const struct job_row *earlier, int64_t now, bool *ret_by_time, int64_t *ret_due)
{
	int64_t since;

	if (ended(earlier))
		return TURN_NOW;
	if (earlier->state == JOB_WAITING &&
	    (earlier->waiting_for == JOB_WAIT_APPROVAL || earlier->waiting_for == JOB_WAIT_INPUT ||
		earlier->waiting_for == JOB_WAIT_TRUST))
		return TURN_NOW;
	if (earlier->state == JOB_RUNNING)
		return TURN_LATER;
	if (earlier->has_retrying)
		since = earlier->retrying_since;
	else if (earlier->waiting_for == JOB_WAIT_TIME)
		since = earlier->started;
	else if (earlier->waiting_for == JOB_WAIT_AFTER)
		since = earlier->created;
	else
		return TURN_LATER;
	if (now >= since + JOB_REPLY_PATIENCE_S)
		return TURN_NOW;
	*ret_by_time = true;
	*ret_due = since + JOB_REPLY_PATIENCE_S;
	return TURN_LATER;
}

/* "after": only this blocks. A job that must come after one that failed never comes. */
static enum turn
after_others(struct work *w, const struct job_row *j, const struct job_rows *jobs)
{
	const struct conf_action *act = conf_action(w->conf, j->action);
	enum turn turn = TURN_NOW;

	for (size_t k = 0; act != NULL && k < act->after.n; k++)
		for (size_t i = 0; i < jobs->n; i++) {
			const struct job_row *o = &jobs->items[i];
			if (o->event_id != j->event_id || !is(o->action, act->after.items[k]))
				continue;
			if (o->state == JOB_FAILED)
				return TURN_NEVER;
			if (!ended(o))
				turn = TURN_LATER;
		}
	return turn;
}

static enum turn
turn_of(struct work *w, const struct job_row *j, const struct job_rows *jobs, int64_t now, bool *ret_by_time,
    int64_t *ret_due)
{
	const enum turn others = after_others(w, j, jobs);
	int64_t due = INT64_MAX;
	bool by_time = true;
	enum turn turn = TURN_NOW;

	if (others != TURN_NOW)
		return others;
	for (size_t i = 0; i < jobs->n; i++) {
		const struct job_row *o = &jobs->items[i];
		bool known = false;
		int64_t at = 0;

		if (o->id == j->id || o->event_id > j->event_id)
			continue;
		if (j->role == ROLE_TICKET && is(o->action, j->action) && o->event_id < j->event_id && !ended(o))
			return TURN_LATER; /* a ticket hears of events in their order */
		if (j->role != ROLE_REPLY || o->event_id != j->event_id || o->position >= j->position ||
		    reply_behind(o, now, &known, &at) == TURN_NOW)
			continue;
		turn = TURN_LATER;
		by_time = by_time && known;
		due = due == INT64_MAX || at > due ? at : due;
	}
	*ret_by_time = turn == TURN_LATER && by_time;
	*ret_due = due;
	return turn;
}

/* *ret_again: a job ended for good, which others may have waited for. */
static enum mh_status
settle_one(
    struct work *w, struct job_row *j, const struct job_rows *jobs, int64_t now, bool *ret_again, struct mh_err *err)
{
	bool by_time = false;
	int64_t due = 0;

	switch (turn_of(w, j, jobs, now, &by_time, &due)) {
	case TURN_NOW:
		j->state = JOB_QUEUED;
		j->waiting_for = JOB_WAIT_NONE;
		j->has_due = true;
		j->due = now;
		break;
	case TURN_LATER:
		if (j->has_due == by_time && (!by_time || j->due == due))
			return MH_OK;
		j->has_due = by_time;
		j->due = due;
		break;
	case TURN_NEVER:
		j->state = JOB_SKIPPED;
		j->waiting_for = JOB_WAIT_NONE;
		j->summary = "what it comes after did not end well";
		j->has_due = false;
		j->has_ended = true;
		j->ended = now;
		*ret_again = true;
		break;
	}
	return ledger_job_update(w->db, j, err);
}

enum mh_status
job_settle(struct work *w, int64_t case_id, int64_t now, struct mh_err *err)
{
	struct arena a;
	struct job_rows jobs = { 0 };
	bool again = true, due = false;

	arena_init(&a, CASE_ARENA_BYTES);
	enum mh_status status = ledger_jobs_of_case(w->db, case_id, &a, &jobs, err);
	while (status == MH_OK && again) { /* each round but the last ends a job for good */
		again = false;
		for (size_t i = 0; i < jobs.n && status == MH_OK; i++)
			if (jobs.items[i].state == JOB_WAITING && jobs.items[i].waiting_for == JOB_WAIT_AFTER) {
				status = settle_one(w, &jobs.items[i], &jobs, now, &again, err);
				due = due || jobs.items[i].state == JOB_QUEUED;
			}
	}
	if (status == MH_OK && due)
		w->db->engine->call(w->db);
	arena_release(&a);
	return status;
}
