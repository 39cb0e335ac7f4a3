/* request.c: rows of the ledger as the JSON of mailhook-action(7). */
#include "mailhook/work/request.h"

#include <string.h>

#include "mailhook/json.h"
#include "mailhook/work/accounts.h"
#include "mailhook/work/case.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/approvals.h"

static bool
add_time_or_null(cJSON *j, const char *key, bool known, int64_t t)
{
	return known ? json_add_time(j, key, t) : json_add_string(j, key, NULL);
}

static bool
add_head(cJSON *j, struct work *w, const struct conf_action *act, const char *name, int64_t now, int64_t deadline)
{
	return json_add_integer(j, "version", 1) && json_add_time(j, "now", now) &&
	       json_add_time(j, "deadline", deadline) && json_add_string(j, "action", name) &&
	       json_add_string(j, "config", act == NULL ? NULL : act->config) &&
	       json_add_string(j, "state_dir", w->conf->state_dir) &&
	       cJSON_AddBoolToObject(j, "observe", w->conf->observe) != NULL;
}

static bool
add_case(cJSON *parent, struct work *w, const struct case_row *c, size_t notices, int64_t now)
{
	static const struct account_row nobody = { 0 };
	const struct account_row *acc = accounts_find(w->accounts, c->account);
	cJSON *j = cJSON_AddObjectToObject(parent, "case");
	const int64_t left = c->expires - now;

	if (acc == NULL)
		acc = &nobody;
	if (j == NULL || !json_add_integer(j, "id", c->id) || !json_add_string(j, "kind", c->kind) ||
	    !json_add_string(j, "account", c->account) || !json_add_string(j, "account_name", acc->name) ||
	    !json_add_string(j, "owner", acc->owner) || !json_add_string(j, "environment", acc->environment) ||
	    !json_add_string(j, "assignee", acc->assignee) || !json_add_string(j, "region", c->region) ||
	    !json_add_string(j, "resource", c->resource) ||
	    !add_time_or_null(j, "expires", c->has_expires, c->expires) ||
	    !json_add_string(j, "precision", c->has_expires ? mh_precision_names[c->precision] : NULL))
		return false;
	if (c->has_expires ? !json_add_integer(j, "days_left", time_day(left)) : !json_add_string(j, "days_left", NULL))
		return false;
	return json_add_string(j, "reason", case_is_drill(c) ? NULL : c->reason) &&
	       cJSON_AddBoolToObject(j, "drill", case_is_drill(c)) != NULL &&
	       json_add_string(j, "state", c->open ? "open" : "closed") && json_add_time(j, "opened", c->opened) &&
	       json_add_string(j, "closed_by", c->closed_by) && json_add_integer(j, "notices", (int64_t)notices) &&
	       json_add_string(j, "ticket_url", c->ticket_url);
}

static bool
add_notice(cJSON *parent, const struct notice_row *n)
{
	if (n == NULL)
		return json_add_string(parent, "notice", NULL);
	cJSON *j = cJSON_AddObjectToObject(parent, "notice");
	return j != NULL && json_add_string(j, "kind", n->kind) && json_add_string(j, "account", n->account) &&
	       json_add_string(j, "region", n->region) && json_add_string(j, "resource", n->resource) &&
	       json_add_string(j, "event", n->event) && add_time_or_null(j, "expires", n->has_expires, n->expires) &&
	       json_add_string(j, "precision", n->has_expires ? mh_precision_names[n->precision] : NULL) &&
	       (n->days_stated < 0 ? json_add_string(j, "days_stated", NULL)
				   : json_add_integer(j, "days_stated", n->days_stated));
}

static bool
add_trust(cJSON *parent, const struct case_row *c, const struct message_row *m)
{
	cJSON *j = cJSON_AddObjectToObject(parent, "trust");
	cJSON *steps = m == NULL || m->trust_steps == NULL ? NULL : json_parse(span_of(m->trust_steps), NULL);

	if (!cJSON_IsArray(steps)) {
		cJSON_Delete(steps);
		steps = cJSON_CreateArray();
	}
	if (j == NULL || !json_add_string(j, "level", trust_names[c->vouched ? case_trust(c) : c->trust]) ||
	    !json_add_string(j, "by",
		c->vouched  ? "a person who saw it in AWS"
		: m == NULL ? NULL
			    : m->trust_by)) {
		cJSON_Delete(steps);
		return false;
	}
	return cJSON_AddItemToObject(j, "steps", steps);
}

static const char *
outcome_word(const struct job_row *o)
{
	switch (o->state) {
	case JOB_QUEUED:
	case JOB_RUNNING:
		return o->has_retrying ? "retry" : "queued";
	case JOB_WAITING:
		return o->waiting_for == JOB_WAIT_AFTER ? "queued" : "waiting";
	case JOB_DONE:
	case JOB_FAILED:
	case JOB_SKIPPED:
		return job_state_names[o->state];
	}
	return NULL;
}

static bool
add_outcome(cJSON *list, const struct job_row *o, const struct case_row *c)
{
	char why[256];
	cJSON *j = cJSON_CreateObject();
	const char *summary = o->summary;

	if (o->state == JOB_WAITING && (summary == NULL || o->waiting_for == JOB_WAIT_TRUST))
		summary = job_why(o, c, why, sizeof(why));
	if (j == NULL || !cJSON_AddItemToArray(list, j)) {
		cJSON_Delete(j);
		return false;
	}
	return json_add_string(j, "action", o->action) && json_add_string(j, "role", role_names[o->role]) &&
	       json_add_string(j, "event", o->event) && json_add_string(j, "outcome", outcome_word(o)) &&
	       json_add_string(j, "waiting_for", o->state == JOB_WAITING ? job_wait_names[o->waiting_for] : NULL) &&
	       json_add_string(j, "summary", summary) && json_add_string(j, "url", o->url);
}

/* The case's other jobs, those of this event first. */
static bool
add_outcomes(cJSON *parent, const struct job_row *own, const struct case_row *c, const struct job_rows *jobs)
{
	cJSON *list = cJSON_AddArrayToObject(parent, "outcomes");

	for (int other = 0; other < 2; other++)
		for (size_t i = 0; i < jobs->n && list != NULL; i++) {
			const struct job_row *o = &jobs->items[i];
			if (o->id == own->id || (o->event_id != own->event_id) != (other == 1))
				continue;
			if (!add_outcome(list, o, c))
				return false;
		}
	return list != NULL;
}

static bool
add_approvals(cJSON *parent, const struct approval_rows *rows)
{
	cJSON *list = cJSON_AddArrayToObject(parent, "approvals");

	for (size_t i = 0; list != NULL && i < rows->n; i++) {
		const struct approval_row *w = &rows->items[i];
		cJSON *j = cJSON_CreateObject();

		if (j == NULL || !cJSON_AddItemToArray(list, j)) {
			cJSON_Delete(j);
			return false;
		}
		if (!json_add_string(j, "step", w->step) || !json_add_string(j, "by", w->by) ||
		    !json_add_time(j, "at", w->at))
			return false;
	}
	return list != NULL;
}

static bool
add_message(cJSON *parent, const struct message_row *m)
{
	if (m == NULL)
		return json_add_string(parent, "message", NULL);
	cJSON *j = cJSON_AddObjectToObject(parent, "message");
	/* What proves the mail covers From; Reply-To may have been put in by whoever sent the mail on. */
	const char *reply_to = m->trust > TRUST_UNVERIFIED ? m->sender : m->reply_to;

	return j != NULL && json_add_string(j, "id", m->message_id) && json_add_string(j, "references", m->refs) &&
	       json_add_string(j, "reply_to", reply_to) && json_add_string(j, "envelope_from", m->envelope_from) &&
	       json_add_string(j, "trust", trust_names[m->trust]) &&
	       cJSON_AddBoolToObject(j, "auto", m->automatic) != NULL &&
	       cJSON_AddBoolToObject(j, "list", m->list) != NULL && cJSON_AddBoolToObject(j, "own", false) != NULL;
}

static bool
add_state(cJSON *parent, const char *text)
{
	cJSON *state = text == NULL ? NULL : json_parse(span_of(text), NULL);

	if (!cJSON_IsObject(state)) {
		cJSON_Delete(state);
		state = cJSON_CreateObject();
	}
	return cJSON_AddItemToObject(parent, "state", state);
}

struct facts {
	struct notice_rows notices;
	struct job_rows jobs;
	const struct notice_row *best; /* NULL: none could be read */
	struct message_row message;
	bool has_message;
	struct approval_rows approvals;
};

/* The case stands on its best notice and that one's message; where none could be read, on its first message. */
static enum mh_status
gather(struct work *w, const struct case_row *c, struct arena *a, struct facts *f, struct mh_err *err)
{
	enum mh_status status = ledger_notices_of_case(w->db, c->id, a, &f->notices, err);

	if (status == MH_OK)
		status = ledger_jobs_of_case(w->db, c->id, a, &f->jobs, err);
	if (status == MH_OK)
		status = ledger_approvals(w->db, c->id, a, &f->approvals, err);
	for (size_t i = 0; i < f->notices.n; i++)
		if (f->notices.items[i].id == c->best_notice)
			f->best = &f->notices.items[i];
	if (status != MH_OK || f->notices.n == 0)
		return status;
	status = ledger_message_get(
	    w->db, f->best == NULL ? f->notices.items[0].message_id : f->best->message_id, a, &f->message, err);
	f->has_message = status == MH_OK;
	return status == MH_SKIP ? MH_OK : status;
}

enum mh_status
request_job(struct work *w, const struct job_row *j, const struct case_row *c, int64_t now, int64_t deadline,
    const char *by, struct arena *a, struct buf *out, int64_t *ret_message, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *r = cJSON_CreateObject();
	struct facts f = { 0 };
	int64_t before = 0;
	enum mh_status status = gather(w, c, a, &f, err);

	if (status == MH_OK)
		status = db_one(w->db, "SELECT count(*) FROM events WHERE case_id = $1 AND id < $2",
		    DB_ARGS(db_int(c->id), db_int(j->event_id)), &before, err);
	if (status != MH_OK)
		return status;
	const struct message_row *m = f.has_message ? &f.message : NULL;
	if (r == NULL || !add_head(r, w, conf_action(w->conf, j->action), j->action, now, deadline) ||
	    !json_add_string(r, "event", j->event) || !json_add_integer(r, "attempt", j->attempt) ||
	    !json_add_integer(r, "event_number", before) || !json_add_string(r, "job_key", j->job_key) ||
	    !json_add_string(r, "case_key", c->key) ||
	    (!w->db->engine->local && cJSON_AddTrueToObject(r, "others") == NULL) ||
	    (by != NULL && !json_add_string(r, "by", by)) || !add_case(r, w, c, f.notices.n, now) ||
	    !add_notice(r, f.best) || !add_trust(r, c, m) || !add_outcomes(r, j, c, &f.jobs) ||
	    !add_approvals(r, &f.approvals) || !add_message(r, m) || !add_state(r, j->action_state) ||
	    !json_print(r, out))
		return mh_fail(err, MH_RETRY, "no memory for a request");
	*ret_message = m == NULL ? 0 : m->id;
	return MH_OK;
}

enum mh_status
request_check(struct work *w, const struct conf_action *act, bool online, int64_t now, int64_t deadline,
    struct buf *out, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *r = cJSON_CreateObject();

	if (r == NULL || !add_head(r, w, act, act->name, now, deadline) ||
	    cJSON_AddBoolToObject(r, "online", online) == NULL || !json_print(r, out))
		return mh_fail(err, MH_RETRY, "no memory for a request");
	return MH_OK;
}

enum mh_status
request_sample(
    struct work *w, const struct conf_action *act, int64_t now, int64_t deadline, struct buf *out, struct mh_err *err)
{
	const char *key = "00000000000000000000000000000000";
	const struct case_row c = { .id = 1,
		.key = key,
		.kind = "aws.identity-center.scim-token",
		.account = "123456789012",
		.region = "eu-west-1",
		.has_expires = true,
		.expires = now + INT64_C(89) * MH_DAY_S,
		.open = true,
		.opened = now };
	MH_AUTO(drop_json) cJSON *r = cJSON_CreateObject();

	if (r == NULL || !add_head(r, w, act, act->name, now, deadline) || cJSON_AddTrueToObject(r, "sample") == NULL ||
	    !json_add_string(r, "event", "opened") || !json_add_integer(r, "attempt", 1) ||
	    !json_add_integer(r, "event_number", 0) || !json_add_string(r, "job_key", key) ||
	    !json_add_string(r, "case_key", key) || !add_case(r, w, &c, 1, now) || !add_notice(r, NULL) ||
	    !add_trust(r, &c, NULL) || cJSON_AddArrayToObject(r, "outcomes") == NULL || !add_message(r, NULL) ||
	    !add_state(r, NULL) || !json_print(r, out))
		return mh_fail(err, MH_RETRY, "no memory for a request");
	return MH_OK;
}
