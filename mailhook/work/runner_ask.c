/* runner_ask.c: questions to an action: its check, a description of what it would do, and a person's input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/work/request.h"
#include "mailhook/work/runner_impl.h"
#include "mailhook/work/told.h"

#define AGAIN_MS 500 /* until a ledger that was away is asked again */

/* -- once a day ---------------------------------------------------------------------------------------------------- */

/* An action that told of a credential is asked again, once a day: its check, online. No job, no effect. */
static enum mh_status
launch_check(struct running *p, const struct conf_action *act, int64_t now, struct arena *a, struct mh_err *err)
{
	struct work *w = p->runner->w;
	struct launch_spec spec = { .verb = "check",
		.dir = "/",
		.deadline_ms = act->deadline_s * 1000,
		.say = runner_on_say,
		.credential = runner_on_credential,
		.user = p };
	struct buf request;

	buf_init(&request, REQUEST_MAX_BYTES);
	enum mh_status status = request_check(w, act, true, now, now + act->deadline_s, &request, err);
	spec.request = buf_span(&request);
	if (status == MH_OK)
		status = runner_fill(w, act, &spec, a, err);
	if (status == MH_OK)
		status = launch_start(&spec, &p->launch, err);
	buf_release(&request);
	return status;
}

enum mh_status
runner_ask_again(struct runner *r, int64_t now, struct mh_err *err)
{
	struct running *p = runner_free_place(r);
	const struct conf_action *act = NULL;
	struct mh_err why = { 0 };
	struct arena a;

	if (p == NULL)
		return MH_OK; /* the next round asks */
	arena_init(&a, RUN_ARENA_BYTES);
	enum mh_status status = told_ask(r->w, now, &a, &act, err);
	if (status == MH_OK) {
		p->job_id = p->case_id = p->message_id = 0;
		p->asked = now;
		p->observed = false;
		p->action = strdup(act->name);
		if (p->action == NULL)
			status = mh_fail(err, MH_RETRY, "no memory to check action \"%s\"", act->name);
		else if (launch_check(p, act, now, &a, &why) != MH_OK) {
			runner_tell(LOG_WARNING, p, NULL, "its check could not be started: %s", why.text);
			runner_clear(p);
		}
	}
	arena_release(&a);
	return status == MH_SKIP ? MH_OK : status;
}

enum mh_status
runner_end_check(struct running *p, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	if (p->answer.outcome == OUTCOME_DONE)
		status = told_all(p->runner->w, p->action, p->asked, err);
	else if (p->answer.outcome != OUTCOME_SKIPPED)
		runner_tell(LOG_WARNING, p, outcome_names[p->answer.outcome], "its check: %s", p->answer.summary);
	if (status == MH_OK)
		runner_clear(p);
	return status;
}

/* -- input --------------------------------------------------------------------------------------------------------- */

static void
on_say_person(void *user, struct mh_span text)
{
	char shown[600];

	runner_on_say(user, text);
	(void)fprintf(stderr, "%s\n", mh_escape(shown, sizeof(shown), text));
}

/* Blocks until the action has ended, and keeps the lease meanwhile. MH_SKIP: the lease was lost. */
static enum mh_status
hear_out(struct running *p, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	while (status == MH_OK && launch_step(p->launch, &p->answer) != MH_OK) {
		struct pollfd fds[4];
		int timeout = -1;
		const size_t n = launch_pollfds(p->launch, fds, &timeout);
		const int64_t renew = p->renew_at_ms - clock_boot_ms();

		if (renew <= 0) {
			status = runner_renew(p, err);
			if (status == MH_RETRY) /* a ledger that is away for a moment ends no talk with a person */
				status = runner_fenced(p) ? MH_SKIP : MH_OK;
			continue;
		}
		(void)poll(fds, n, timeout < 0 || timeout > renew ? (int)renew : timeout);
	}
	return status;
}

static enum mh_status
input_in(struct running *p, const struct job_row *j, const char *by, struct arena *a, struct buf *request,
    struct mh_err *err)
{
	struct work *w = p->runner->w;
	const struct conf_action *act = conf_action(w->conf, j->action);
	const int64_t now = clock_now();
	struct case_row c;
	struct launch_spec spec = { .verb = "input",
		.person = true,
		.dir = w->conf->state_dir,
		.deadline_ms = RUNNER_INPUT_S * 1000,
		.checkpoint = runner_on_checkpoint,
		.claim = runner_on_claim,
		.release = runner_on_release,
		.say = on_say_person,
		.user = p };

	if (act == NULL)
		return mh_fail(err, MH_BAD, "action \"%s\" is not configured", j->action);
	enum mh_status status = ledger_case_get(w->db, j->case_id, a, &c, err);
	if (status == MH_OK)
		status = request_job(w, j, &c, now, now + RUNNER_INPUT_S, by, a, request, &p->message_id, err);
	if (status == MH_OK)
		status = runner_fill(w, act, &spec, a, err);
	spec.request = buf_span(request);
	if (status == MH_OK)
		status = launch_start(&spec, &p->launch, err);
	if (status == MH_OK)
		status = runner_renew(p, err);
	return status == MH_OK ? hear_out(p, err) : status;
}

/* Nobody gives a secret twice: as long as the lease lasts, a ledger that is away is waited for. */
static enum mh_status
write_outcome(struct running *p, struct mh_err *err)
{
	struct work *w = p->runner->w;
	const struct lease_row lease = runner_run(p);
	int tries = 0;
	bool again = false, tried = false;
	enum mh_status status;

	do {
		tried = again;
		status = job_outcome(w, &lease, &p->answer, false, clock_now(), err);
		again = db_again(w->db, status, &tries);
		if (!again && status == MH_RETRY && !w->db->engine->local && !runner_fenced(p)) {
			(void)poll(NULL, 0, AGAIN_MS);
			again = true;
		}
	} while (again);
	/* nobody could take it from us yet: it was done, and the answer lost */
	return status == MH_SKIP && tried && !runner_fenced(p) ? MH_OK : status;
}

enum mh_status
runner_input(
    struct work *w, const struct job_row *j, const char *by, bool *ret_taken, struct buf *out, struct mh_err *err)
{
	struct running p = { .job_id = j->id, .attempt = j->attempt, .case_id = j->case_id };
	struct runner r = { .w = w, .places = &p, .n = 1 };
	struct arena a;
	struct buf request;
	struct mh_err why = { 0 };

	p.runner = &r;
	arena_init(&a, RUN_ARENA_BYTES);
	buf_init(&request, REQUEST_MAX_BYTES);
	p.action = strdup(j->action);
	enum mh_status status = p.action == NULL ? mh_fail(&why, MH_RETRY, "no memory for an action")
						 : input_in(&p, j, by, &a, &request, &why);
	if (status != MH_OK)
		p.answer = (struct answer_line){ .outcome = OUTCOME_RETRY, .summary = why.text, .retry_after_s = -1 };
	*ret_taken = p.answer.outcome == OUTCOME_DONE ||
		     (p.answer.outcome == OUTCOME_WAITING && p.answer.waiting_for != WAIT_INPUT);
	buf_puts(out, p.answer.summary);
	if (status == MH_SKIP) /* somebody else has the job: nothing is written of this */
		*err = why;
	else
		status = write_outcome(&p, err);
	buf_release(&request);
	runner_clear(&p);
	fence_close(r.fence);
	arena_release(&a);
	return status;
}

/* -- check --------------------------------------------------------------------------------------------------------- */

struct checked { /* the user of on_say_check and on_credential_check */
	struct work *w;
	const char *action;
	int64_t now;
};

static void
on_say_check(void *user, struct mh_span text)
{
	const struct checked *c = user;
	char shown[600];

	work_log("action %s: %s", c->action, mh_escape(shown, sizeof(shown), text));
}

static void
on_credential_check(void *user, const struct credential_line *line)
{
	const struct checked *c = user;
	char shown[400], t[MH_TIME_TEXT];

	(void)mh_escape(shown, sizeof(shown), span_of(line->name));
	if (line->has_expires)
		(void)printf(
		    "action %s: credential \"%s\" ends at %s\n", c->action, shown, time_text(t, line->expires));
	else
		(void)printf("action %s: credential \"%s\" has no end\n", c->action, shown);
	if (c->w->db != NULL)
		told_hear(c->w, c->action, line, c->now);
}

static enum mh_status
ask_in(struct work *w, const struct conf_action *act, const struct runner_question *q, struct arena *a,
    struct buf *request, bool *ret_fit, struct buf *out, struct mh_err *err)
{
	const int64_t now = clock_now();
	struct launch *l = NULL;
	struct answer_line answer;
	struct checked who = { w, act->name, now };
	struct launch_spec spec = {
		.verb = q->say == NULL ? "check" : "describe",
		.dir = "/",
		.deadline_ms = act->deadline_s * 1000,
		.say = q->say == NULL ? on_say_check : q->say,
		.credential = q->say == NULL ? on_credential_check : NULL,
		.user = &who,
	};
	enum mh_status status = q->say == NULL
				    ? request_check(w, act, q->online, now, now + act->deadline_s, request, err)
				    : request_sample(w, act, now, now + act->deadline_s, request, err);

	spec.request = buf_span(request);
	if (status == MH_OK)
		status = runner_fill(w, act, &spec, a, err);
	if (status == MH_OK)
		status = launch_start(&spec, &l, err);
	if (status != MH_OK)
		return status;
	while (launch_step(l, &answer) != MH_OK) {
		struct pollfd fds[4];
		int timeout = -1;
		const size_t n = launch_pollfds(l, fds, &timeout);
		(void)poll(fds, n, timeout);
	}
	*ret_fit = answer.outcome == OUTCOME_DONE || answer.outcome == OUTCOME_SKIPPED;
	buf_puts(out, answer.summary);
	launch_free(l);
	return MH_OK;
}

enum mh_status
runner_ask(struct work *w, const struct conf_action *act, const struct runner_question *q, bool *ret_fit,
    struct buf *out, struct mh_err *err)
{
	struct arena a;
	struct buf request;

	arena_init(&a, RUN_ARENA_BYTES);
	buf_init(&request, REQUEST_MAX_BYTES);
	const enum mh_status status = ask_in(w, act, q, &a, &request, ret_fit, out, err);
	buf_release(&request);
	arena_release(&a);
	return status;
}
