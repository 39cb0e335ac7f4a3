/* cmd_show.c: one case: its facts, what is done about it, why that waits, and its history. */
#include <stdio.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/json.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/claims.h"
#include "mailhook/work/ledger/refusals.h"

struct shown {
	struct case_row c;
	struct notice_rows notices;
	struct job_rows jobs;
	struct event_rows events;
	struct message_row proof; /* that the case's facts rest on; id 0: none */
	bool pending;             /* it is judged again */
	struct verification_row again;
	struct buf paused; /* lines */
	struct claim_rows claims;
	struct refusal_rows left;
};

/* The message behind the facts of the case; where a case has none, as an unrecognised one, its latest. */
static enum mh_status
gather_proof(struct work *w, struct arena *a, struct shown *s, struct mh_err *err)
{
	const struct notice_row *n = NULL;
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < s->notices.n; i++)
		if (s->notices.items[i].id == s->c.best_notice || s->c.best_notice == 0)
			n = &s->notices.items[i];
	if (n == NULL)
		return MH_OK;
	status = ledger_message_get(w->db, n->message_id, a, &s->proof, err);
	if (status == MH_OK) {
		const enum mh_status again = ledger_verification_of(w->db, n->message_id, &s->again, err);
		s->pending = again == MH_OK;
		status = again == MH_SKIP ? MH_OK : again;
	}
	return status == MH_SKIP ? MH_OK : status;
}

static enum mh_status
gather(struct work *w, const char *text, struct arena *a, struct shown *s, struct mh_err *err)
{
	enum mh_status status = ledger_case_find(w->db, text, a, &s->c, err);

	if (status == MH_OK)
		status = ledger_notices_of_case(w->db, s->c.id, a, &s->notices, err);
	if (status == MH_OK)
		status = ledger_jobs_of_case(w->db, s->c.id, a, &s->jobs, err);
	if (status == MH_OK)
		status = ledger_events(w->db, s->c.id, a, &s->events, err);
	if (status == MH_OK)
		status = pause_lines(w, &s->c, &s->paused, err);
	if (status == MH_OK)
		status = ledger_claims(w->db, s->c.id, a, &s->claims, err);
	if (status == MH_OK)
		status = ledger_refusals(w->db, s->c.id, a, &s->left, err);
	return status == MH_OK ? gather_proof(w, a, s, err) : status;
}

static void
line(const char *name, const char *value)
{
	char shown[1200];

	if (value != NULL)
		(void)printf("  %-12s %s\n", name, mh_escape(shown, sizeof(shown), span_of(value)));
}

static void
print_facts(const struct case_row *c, size_t notices)
{
	char t[MH_TIME_TEXT], text[100];

	(void)printf("case %lld  %s\n", (long long)c->id, c->key);
	line("kind", c->kind);
	line("account", c->account);
	line("region", c->region);
	line(strcmp(c->kind, CASE_UNRECOGNISED) == 0 ? "sender" : "resource", c->resource);
	line("reason", c->reason);
	if (c->has_expires) {
		(void)snprintf(
		    text, sizeof(text), "%s (%s)", time_text(t, c->expires), mh_precision_names[c->precision]);
		line("expires", text);
	}
	line("trust", trust_names[c->trust]);
	line(c->vouched ? "vouched by" : "approved by", c->approved_by);
	line("rule", c->rule == NULL ? "none took it: see mailhook check" : c->rule);
	line("ticket", c->ticket_url);
	(void)snprintf(text, sizeof(text), "%zu", notices);
	line("notices", text);
	line("opened", time_text(t, c->opened));
	if (c->has_closed) {
		(void)snprintf(text, sizeof(text), "%s by %.60s", time_text(t, c->closed),
		    c->closed_by == NULL ? "somebody" : c->closed_by);
		line("closed", text);
	}
}

static void
print_claims(const struct shown *s)
{
	char t[MH_TIME_TEXT];

	for (size_t i = 0; i < s->claims.n; i++)
		(void)printf("  %-12s %s, by %s, since %s\n", "has claimed", s->claims.items[i].name,
		    s->claims.items[i].action, time_text(t, s->claims.items[i].since));
}

/* The way to the level: what a person needs who must decide for himself. */
static void
print_proof(const struct shown *s)
{
	MH_AUTO(drop_json) cJSON *steps = NULL;
	char t[MH_TIME_TEXT], text[1200];
	const cJSON *step;

	if (s->proof.id == 0 || (s->proof.trust_steps == NULL && !s->pending))
		return;
	(void)printf("\nproof of message %lld: %s%s%s\n", (long long)s->proof.id, trust_names[s->proof.trust],
	    s->proof.trust_by == NULL ? "" : " by ",
	    s->proof.trust_by == NULL ? "" : mh_escape(text, sizeof(text), span_of(s->proof.trust_by)));
	if (s->proof.trust_steps != NULL)
		steps = json_parse(span_of(s->proof.trust_steps), NULL);
	cJSON_ArrayForEach(step, steps)
	{
		if (cJSON_IsString(step))
			(void)printf("  %s\n", mh_escape(text, sizeof(text), span_of(step->valuestring)));
	}
	if (s->pending)
		(void)printf("  is judged again at %s; attempts so far: %lld\n", time_text(t, s->again.due),
		    (long long)s->again.attempts);
}

static void
print_left(const struct shown *s, const struct job_row *j)
{
	char t[MH_TIME_TEXT], text[1200];

	for (size_t i = 0; i < s->left.n; i++) {
		const struct refusal_row *r = &s->left.items[i];

		if (r->job_id == j->id && (j->state <= JOB_WAITING))
			(void)printf("    %s leaves it to other nodes until %s: %s\n", r->node, time_text(t, r->until),
			    mh_escape(text, sizeof(text), span_of(r->why)));
	}
}

static void
print_jobs(const struct shown *s)
{
	struct mh_span rest = buf_span(&s->paused), one;

	while (span_line(&rest, &one))
		(void)printf("  %-12s %.*s\n", "paused", (int)one.n, one.p);
	if (s->jobs.n > 0)
		(void)puts("\njobs");
	for (size_t i = 0; i < s->jobs.n; i++) {
		const struct job_row *j = &s->jobs.items[i];
		char why[300], text[1200];

		(void)printf("  %-16s %-10s %-8s", j->action, j->event, job_state_names[j->state]);
		if (j->attempt > 0)
			(void)printf(" attempt %lld", (long long)j->attempt);
		if (job_why(j, &s->c, why, sizeof(why)) != NULL)
			(void)printf(" %s", why);
		if (j->summary != NULL)
			(void)printf(": %s", mh_escape(text, sizeof(text), span_of(j->summary)));
		if (j->url != NULL)
			(void)printf(" <%s>", mh_escape(text, sizeof(text), span_of(j->url)));
		(void)puts("");
		print_left(s, j);
	}
}

static void
print_history(const struct shown *s)
{
	(void)puts("\nhistory");
	for (size_t i = 0; i < s->events.n; i++) {
		const struct event_row *e = &s->events.items[i];
		char t[MH_TIME_TEXT], text[1200];

		(void)printf("  %s  %-10s %-12s %s\n", time_text(t, e->at), e->what, e->by,
		    mh_escape(text, sizeof(text), span_of(e->detail)));
	}
}

/* A digest is a list of what it keeps from people's tickets: a real notice among it must be found here. */
static enum mh_status
print_kept_out(struct work *w, const struct shown *s, struct arena *a, struct mh_err *err)
{
	enum mh_status status = MH_OK;
	struct message_row m = { 0 };

	if (strcmp(s->c.kind, CASE_FLOOD) != 0)
		return MH_OK;
	(void)puts("\nkept out");
	for (size_t i = 0; i < s->notices.n && status == MH_OK; i++) {
		const struct notice_row *n = &s->notices.items[i];
		const bool read = n->has_expires;
		const struct case_row said = { .kind = n->kind,
			.account = n->account,
			.region = n->region,
			.resource = read ? n->resource : NULL,
			.has_expires = n->has_expires,
			.expires = n->expires,
			.precision = n->precision };
		struct buf words;
		char t[MH_TIME_TEXT], text[1200], sender[400], subject[600];

		if (m.id != n->message_id)
			status = ledger_message_get(w->db, n->message_id, a, &m, err);
		if (status == MH_SKIP) {
			m = (struct message_row){ .id = n->message_id };
			status = MH_OK;
		}
		if (status != MH_OK)
			break;
		buf_init(&words, 8192);
		case_words(&said, &words);
		(void)printf("  %s  message %lld from %s: %s", time_text(t, n->seen), (long long)n->message_id,
		    m.sender == NULL ? "nobody" : mh_escape(sender, sizeof(sender), span_of(m.sender)),
		    mh_escape(text, sizeof(text), buf_span(&words)));
		if (!read)
			(void)printf(": %s; subject: %s",
			    m.reason == NULL ? "no reason" : mh_escape(text, sizeof(text), span_of(m.reason)),
			    m.subject == NULL ? "none" : mh_escape(subject, sizeof(subject), span_of(m.subject)));
		(void)puts("");
		buf_release(&words);
	}
	return status;
}

/* -- json ---------------------------------------------------------------------------------------------------------- */

/* A new object at the list's end; NULL: no memory. */
static cJSON *
add_object(cJSON *list)
{
	cJSON *o = cJSON_CreateObject();

	if (o != NULL && cJSON_AddItemToArray(list, o))
		return o;
	cJSON_Delete(o);
	return NULL;
}

static bool
add_left(cJSON *job, const struct shown *s, const struct job_row *j)
{
	cJSON *list = cJSON_AddArrayToObject(job, "left");
	bool ok = list != NULL;

	for (size_t i = 0; i < s->left.n && ok; i++) {
		const struct refusal_row *r = &s->left.items[i];
		cJSON *o = r->job_id == j->id && j->state <= JOB_WAITING ? add_object(list) : NULL;

		ok = o == NULL || (json_add_string(o, "node", r->node) && json_add_time(o, "until", r->until) &&
				      json_add_string(o, "why", r->why));
	}
	return ok;
}

static bool
add_claims(cJSON *j, const struct shown *s)
{
	cJSON *list = cJSON_AddArrayToObject(j, "claims");
	bool ok = list != NULL;

	for (size_t i = 0; i < s->claims.n && ok; i++) {
		const struct claim_row *c = &s->claims.items[i];
		cJSON *o = add_object(list);

		ok = o != NULL && json_add_string(o, "name", c->name) && json_add_string(o, "action", c->action) &&
		     json_add_time(o, "since", c->since);
	}
	return ok;
}

static bool
add_job(cJSON *list, const struct job_row *j, const struct shown *s)
{
	char why[300];
	cJSON *o = add_object(list);

	return o != NULL && json_add_string(o, "action", j->action) &&
	       json_add_string(o, "role", role_names[j->role]) && json_add_string(o, "event", j->event) &&
	       json_add_string(o, "state", job_state_names[j->state]) &&
	       json_add_string(o, "waiting_for", job_wait_names[j->waiting_for]) &&
	       json_add_string(o, "why", job_why(j, &s->c, why, sizeof(why))) &&
	       json_add_string(o, "needs", trust_names[j->needs]) && json_add_integer(o, "attempt", j->attempt) &&
	       (j->has_due ? json_add_time(o, "due", j->due) : json_add_string(o, "due", NULL)) &&
	       json_add_string(o, "job_key", j->job_key) && json_add_string(o, "summary", j->summary) &&
	       json_add_string(o, "url", j->url) && add_left(o, s, j);
}

static bool
add_event(cJSON *list, const struct event_row *e)
{
	cJSON *o = add_object(list);

	return o != NULL && json_add_time(o, "at", e->at) && json_add_string(o, "what", e->what) &&
	       json_add_string(o, "by", e->by) && json_add_string(o, "detail", e->detail);
}

static bool
add_notice(cJSON *list, const struct notice_row *n)
{
	cJSON *o = add_object(list);

	return o != NULL && json_add_integer(o, "message", n->message_id) && json_add_string(o, "kind", n->kind) &&
	       json_add_time(o, "seen", n->seen) && json_add_string(o, "trust", trust_names[n->trust]) &&
	       json_add_string(o, "account", n->account) && json_add_string(o, "region", n->region) &&
	       json_add_string(o, "resource", n->resource) &&
	       (n->has_expires ? json_add_time(o, "expires", n->expires) : json_add_string(o, "expires", NULL)) &&
	       json_add_string(o, "precision", n->has_expires ? mh_precision_names[n->precision] : NULL);
}

/* "proof": of the message that the facts rest on, or null. */
static bool
add_proof(cJSON *j, const struct shown *s)
{
	if (s->proof.id == 0)
		return cJSON_AddNullToObject(j, "proof") != NULL;
	cJSON *o = cJSON_AddObjectToObject(j, "proof");
	cJSON *steps = s->proof.trust_steps == NULL ? NULL : json_parse(span_of(s->proof.trust_steps), NULL);

	if (steps == NULL)
		steps = cJSON_CreateArray();
	if (o == NULL || !cJSON_AddItemToObject(o, "steps", steps)) {
		cJSON_Delete(steps);
		return false;
	}
	return json_add_integer(o, "message", s->proof.id) &&
	       json_add_string(o, "level", trust_names[s->proof.trust]) &&
	       json_add_string(o, "by", s->proof.trust_by) &&
	       (s->pending ? json_add_time(o, "again", s->again.due) : json_add_string(o, "again", NULL));
}

static enum mh_status
print_json(struct work *w, const struct shown *s, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	struct buf out;
	bool ok = j != NULL && case_json(j, &s->c, clock_now());

	buf_init(&out, (size_t)64 << 20);
	ok = ok && add_proof(j, s);
	ok = ok && pause_json(w, &s->c, j, err) == MH_OK && add_claims(j, s);
	cJSON *notices = ok ? cJSON_AddArrayToObject(j, "notices") : NULL;
	cJSON *jobs = ok ? cJSON_AddArrayToObject(j, "jobs") : NULL;
	cJSON *events = ok ? cJSON_AddArrayToObject(j, "history") : NULL;
	ok = ok && notices != NULL && jobs != NULL && events != NULL;
	for (size_t i = 0; ok && i < s->notices.n; i++)
		ok = add_notice(notices, &s->notices.items[i]);
	for (size_t i = 0; ok && i < s->jobs.n; i++)
		ok = add_job(jobs, &s->jobs.items[i], s);
	for (size_t i = 0; ok && i < s->events.n; i++)
		ok = add_event(events, &s->events.items[i]);
	ok = ok && json_print(j, &out);
	if (ok)
		(void)puts(out.p);
	buf_release(&out);
	return ok ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a case");
}

int
show_command(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct arena a;
	struct shown s = { 0 };
	enum mh_status status = work_load(&w, o->config, &err);

	arena_init(&a, WORK_ARENA_BYTES);
	buf_init(&s.paused, 65536);
	if (status == MH_OK) {
		status = work_open_ledger(&w, false, &err);
		if (status == MH_SKIP)
			mh_fail(&err, MH_SKIP, "no case %.40s: no message was taken in yet", o->operand);
	}
	if (status == MH_OK)
		status = gather(&w, o->operand, &a, &s, &err);
	if (status == MH_OK && o->json) {
		status = print_json(&w, &s, &err);
	} else if (status == MH_OK) {
		print_facts(&s.c, s.notices.n);
		print_claims(&s);
		print_proof(&s);
		print_jobs(&s);
		print_history(&s);
		status = print_kept_out(&w, &s, &a, &err);
	}
	if (status != MH_OK)
		work_log("%s", err.text);
	buf_release(&s.paused);
	arena_release(&a);
	work_release(&w);
	return work_exit(status);
}
