/* runner.c: leases and launches of action programs. */
#include "mailhook/work/runner_impl.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/work/case.h"
#include "mailhook/work/ledger/approvals.h"
#include "mailhook/work/request.h"
#include "mailhook/work/told.h"
#include "mailhook/work/upkeep.h"

#define MAX_ENV 128
#define DUE_AT_ONCE 64

enum mh_status
runner_new(struct work *w, struct runner **ret, struct mh_err *err)
{
	struct runner *r = calloc(1, sizeof(*r));
	const size_t n = w->conf->max_running < 1 ? 1 : (size_t)w->conf->max_running;

	if (r != NULL)
		r->places = calloc(n, sizeof(*r->places));
	if (r == NULL || r->places == NULL) {
		free(r);
		return mh_fail(err, MH_RETRY, "no memory for running actions");
	}
	r->w = w;
	r->n = n;
	if (!w->db->engine->local) {
		const enum mh_status status = fence_open(&r->fence, err);
		if (status != MH_OK) {
			runner_free(r);
			return status;
		}
	}
	for (size_t i = 0; i < n; i++)
		r->places[i].runner = r;
	*ret = r;
	return MH_OK;
}

void
runner_clear(struct running *p)
{
	runner_let_go(p);
	if (p->launch != NULL)
		launch_free(p->launch);
	free(p->action);
	p->launch = NULL;
	p->action = NULL;
	p->ended = p->tried = false;
}

void
runner_free(struct runner *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < r->n; i++)
		runner_clear(&r->places[i]);
	fence_close(r->fence);
	free(r->places);
	free(r);
}

size_t
runner_running(const struct runner *r)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += r->places[i].launch != NULL;
	return n;
}

void
runner_tell(enum log_level level, const struct running *p, const char *outcome, const char *fmt, ...)
{
	const struct log_about about = {
		.case_id = p->case_id, .message_id = p->message_id, .action = p->action, .outcome = outcome
	};
	char text[LOG_TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_event(level, outcome == NULL ? "action" : "outcome", &about, "action %s: %s", p->action, text);
}

/* -- what an action may ask of us ---------------------------------------------------------------------------------- */

bool
runner_on_checkpoint(void *user, struct mh_span state)
{
	struct running *p = user;
	struct work *w = p->runner->w;
	struct mh_err err = { 0 };
	const struct lease_row lease = runner_run(p);
	const int64_t since = clock_boot_ms();

	if (p->observed)
		return false; /* a checkpoint announces an effect, and there is none in a dry run */
	/* where the answer is lost, nobody knows which one it has */
	p->confirmed[0] = '\0';
	enum mh_status status = ledger_lease_checkpoint(w->db, &lease, state, &err);
	if (status == MH_OK)
		runner_confirmed(p, state);
	if (status == MH_OK)
		status = runner_hold(p, since, &err);
	if (status != MH_OK)
		runner_tell(LOG_WARNING, p, NULL, "no checkpoint: %s", err.text);
	return status == MH_OK;
}

void
runner_on_say(void *user, struct mh_span text)
{
	char shown[600];

	runner_tell(LOG_INFO, user, NULL, "%s", mh_escape(shown, sizeof(shown), text));
}

void
runner_on_credential(void *user, const struct credential_line *c)
{
	const struct running *p = user;

	told_hear(p->runner->w, p->action, c, clock_now());
}

/* -- starting ------------------------------------------------------------------------------------------------------ */

/* All that an action sees of our environment; "NAME=value" is taken as it stands in ours. */
static enum mh_status
environment(const struct conf_action *act, struct arena *a, const char *const **ret, struct mh_err *err)
{
	const char **env = arena_array(a, MAX_ENV + 1, sizeof(*env));
	size_t n = 0;
	enum mh_status status = MH_OK;

	if (env == NULL)
		return mh_fail(err, MH_RETRY, "no memory for an environment");
	for (size_t i = 0; i <= act->pass_env.n && status == MH_OK && n < MAX_ENV; i++) {
		const char *name = i == 0 ? "CREDENTIALS_DIRECTORY" : act->pass_env.items[i - 1];
		const char *value = getenv(name); /* NOLINT(concurrency-mt-unsafe): there is one thread */
		struct mh_span line;

		if (value == NULL)
			continue;
		status = arena_printf(a, &line, err, "%s=%s", name, value);
		if (status == MH_OK)
			env[n++] = line.p;
	}
	*ret = env;
	return status;
}

static enum mh_status
program_path(struct work *w, const struct conf_action *act, struct arena *a, const char **ret, struct mh_err *err)
{
	struct mh_span path;

	if (act->program[0] == '/') {
		*ret = act->program;
		return MH_OK;
	}
	if (strchr(act->program, '/') != NULL)
		return mh_fail(err, MH_BAD, "program \"%s\": neither a name nor an absolute path", act->program);
	const enum mh_status status = arena_printf(a, &path, err, "%s/actions/%s", w->libexec, act->program);
	if (status == MH_OK)
		*ret = path.p;
	return status;
}

enum mh_status
runner_fill(
    struct work *w, const struct conf_action *act, struct launch_spec *spec, struct arena *a, struct mh_err *err)
{
	const enum mh_status status = program_path(w, act, a, &spec->program, err);

	return status == MH_OK ? environment(act, a, &spec->env, err) : status;
}

static enum mh_status
launch_job(struct running *p, const struct job_row *j, const struct conf_action *act, int64_t now, struct arena *a,
    struct buf *request, struct buf *raw, struct mh_err *err)
{
	struct work *w = p->runner->w;
	struct case_row c;
	struct launch_spec spec = { .dir = w->conf->state_dir,
		.deadline_ms = act->deadline_s * 1000,
		.checkpoint = runner_on_checkpoint,
		.claim = runner_on_claim,
		.release = runner_on_release,
		.say = runner_on_say,
		.credential = runner_on_credential,
		.user = p };
	enum mh_status status = ledger_case_get(w->db, j->case_id, a, &c, err);

	if (status == MH_OK)
		p->observed = p->observed || (case_is_drill(&c) && j->role == ROLE_EFFECT);
	spec.verb = p->observed ? "describe" : "run";
	if (status == MH_OK)
		status = request_job(w, j, &c, now, now + act->deadline_s, NULL, a, request, &p->message_id, err);
	if (status == MH_OK && act->mail_raw && p->message_id != 0) {
		status = ledger_message_raw(w->db, p->message_id, raw, err);
		if (status == MH_OK)
			spec.raw = buf_span(raw);
		else if (status == MH_SKIP)
			status = MH_OK;
	}
	if (status == MH_OK)
		status = runner_fill(w, act, &spec, a, err);
	spec.request = buf_span(request);
	return status == MH_OK ? launch_start(&spec, &p->launch, err) : status;
}

/* The job is ours from here, since that instant of clock_boot_ms(); whatever goes wrong with the start is an outcome. */
static enum mh_status
start_claimed(
    struct running *p, const struct job_row *j, int64_t since_ms, int64_t now, struct arena *a, struct mh_err *err)
{
	struct work *w = p->runner->w;
	const struct conf_action *act = conf_action(w->conf, j->action);
	struct buf request, raw;
	struct mh_err why = { 0 };
	enum mh_status status = MH_BAD;

	buf_init(&request, REQUEST_MAX_BYTES);
	buf_init(&raw, MH_MAX_MESSAGE_BYTES + 1);
	p->job_id = j->id;
	p->attempt = j->attempt;
	p->confirmed[0] = '\0';
	p->forgotten = false;
	p->case_id = j->case_id;
	p->message_id = 0;
	p->observed = w->conf->observe;
	p->action = strdup(j->action);
	if (p->action == NULL)
		status = mh_fail(&why, MH_RETRY, "no memory to start action \"%s\"", j->action);
	else if (act == NULL)
		mh_fail(&why, MH_BAD, "action \"%s\" is not configured", j->action);
	else
		status = launch_job(p, j, act, now, a, &request, &raw, &why);
	buf_release(&request);
	buf_release(&raw);
	if (status == MH_OK)
		status = runner_hold(p, since_ms, &why);
	if (status == MH_OK)
		return MH_OK;

	const struct answer_line answer = { .outcome = OUTCOME_RETRY,
		.summary = why.text,
		.retry_after_s = -1,
		.elsewhere = act == NULL || why.absent };
	const struct lease_row lease = runner_run(p);
	if (p->action != NULL)
		runner_tell(LOG_WARNING, p, outcome_names[OUTCOME_RETRY], "%s", why.text);
	runner_clear(p);
	status = job_outcome(w, &lease, &answer, false, now, err);
	return status == MH_SKIP ? MH_OK : status;
}

struct running *
runner_free_place(struct runner *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->places[i].launch == NULL)
			return &r->places[i];
	return NULL;
}

static enum mh_status
settle(struct work *w, int64_t case_id, int64_t now, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	enum mh_status status = db_tx_begin(w->db, &tx, err);

	if (status == MH_OK)
		status = job_settle(w, case_id, now, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

enum mh_status
runner_start(struct runner *r, int64_t now, bool *ret_more, struct mh_err *err)
{
	struct work *w = r->w;
	struct arena a;
	bool due = false;

	*ret_more = false;
	arena_init(&a, RUN_ARENA_BYTES);
	enum mh_status status = runner_take_back(r, now, &a, err);
	if (status == MH_OK) /* the usual round: no transaction where nothing is due */
		status = ledger_jobs_any_due(w->db, now, &due, err);
	/* one at a time: starting one takes its case off the list, and an outcome may put others on it */
	for (size_t i = 0; i < DUE_AT_ONCE && status == MH_OK && due; i++) {
		const int64_t since = clock_boot_ms();
		struct running *p = runner_free_place(r);
		struct job_row j;

		*ret_more = i + 1 == DUE_AT_ONCE || p == NULL;
		if (p == NULL)
			break;
		arena_reset(&a);
		status = mark_ahead(w, err);
		if (status == MH_OK)
			status = ledger_lease_next(w->db, w->node, w->owner, now, &a, &j, err);
		if (status == MH_SKIP)
			break;
		if (status == MH_OK && j.state == JOB_RUNNING)
			status = start_claimed(p, &j, since, now, &a, err);
		else if (status == MH_OK)
			status = settle(w, j.case_id, now, err);
	}
	arena_release(&a);
	return status == MH_SKIP ? MH_OK : status;
}

/* -- hearing ------------------------------------------------------------------------------------------------------- */

/* Until its lease is to be renewed, or it must end; of a check, which has none, for ever. */
static int
lease_ms_left(const struct running *p)
{
	const bool fences = !p->runner->w->db->engine->local;
	int64_t at = p->renew_at_ms;

	if (p->job_id == 0)
		return INT_MAX;
	if (fences && p->fence_at_ms < at)
		at = p->fence_at_ms;
	const int64_t left = at - clock_boot_ms();
	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

size_t
runner_pollfds(struct runner *r, struct pollfd *fds, size_t max, int *ret_timeout_ms)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++) {
		struct pollfd own[4];
		int timeout = -1;

		if (r->places[i].launch == NULL)
			continue;
		if (r->places[i].ended) {
			timeout = 1000;
		} else {
			const size_t some = launch_pollfds(r->places[i].launch, own, &timeout);
			if (some > max - n)
				continue;
			memcpy(fds + n, own, some * sizeof(own[0]));
			n += some;
			const int renew_ms = lease_ms_left(&r->places[i]);
			timeout = timeout < 0 || renew_ms < timeout ? renew_ms : timeout;
		}
		if (*ret_timeout_ms < 0 || timeout < *ret_timeout_ms)
			*ret_timeout_ms = timeout;
	}
	return n;
}

static void
tell_outcome(const struct running *p)
{
	static const enum log_level levels[] = {
		[OUTCOME_DONE] = LOG_NOTICE,
		[OUTCOME_RETRY] = LOG_WARNING,
		[OUTCOME_FAILED] = LOG_ERROR,
		[OUTCOME_WAITING] = LOG_NOTICE,
		[OUTCOME_SKIPPED] = LOG_INFO,
	};
	const enum outcome outcome = p->answer.outcome;

	runner_tell(levels[outcome], p, outcome_names[outcome], "%s: %s%s", outcome_names[outcome],
	    p->observed ? "observed: " : "", p->answer.summary);
}

/* What it would have come to is not known, and nothing is written of it: when the lease has ended, it is anybody's. */
static void
end_fenced(struct running *p)
{
	runner_tell(LOG_WARNING, p, NULL, "its lease could not be renewed in time: stopped before it ends");
	runner_clear(p);
}

static enum mh_status
step_one(struct running *p, struct mh_err *err)
{
	struct work *w = p->runner->w;
	enum mh_status status;

	if (!p->ended && launch_step(p->launch, &p->answer) == MH_OK) {
		p->ended = true;
		if (p->job_id != 0 && p->answer.outcome == OUTCOME_RETRY && runner_fenced(p)) {
			end_fenced(p);
			return MH_OK;
		}
		runner_let_go(p);
	}
	if (p->job_id == 0)
		return p->ended ? runner_end_check(p, err) : MH_OK;
	if (!p->ended && runner_fenced(p)) {
		end_fenced(p);
		return MH_OK;
	}
	if (!p->ended) {
		if (clock_boot_ms() < p->renew_at_ms)
			return MH_OK;
		status = runner_renew(p, err);
		if (status != MH_SKIP)
			return status;
		runner_tell(LOG_WARNING, p, NULL, "the job is another worker's now: stopped");
		runner_clear(p);
		return MH_OK;
	}
	const struct lease_row lease = runner_run(p);
	status = job_outcome(w, &lease, &p->answer, p->observed, clock_now(), err);
	if (status == MH_SKIP && p->tried && !runner_fenced(p))
		status = MH_OK; /* nobody could take it from us yet: what was tried before was done */
	if (status == MH_SKIP)
		runner_tell(LOG_WARNING, p, NULL, "its answer came after the job's lease had ended");
	else if (status != MH_OK && status != MH_BAD) {
		p->tried = true;
		return status;
	} else if (status == MH_OK)
		tell_outcome(p);
	runner_clear(p);
	return status == MH_SKIP ? MH_OK : status;
}

enum mh_status
runner_step(struct runner *r, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < r->n; i++) {
		struct mh_err own = { 0 };
		if (r->places[i].launch == NULL)
			continue;
		const enum mh_status one = step_one(&r->places[i], &own);
		if (one != MH_OK && status == MH_OK) {
			status = one;
			*err = own;
		}
	}
	return status;
}

enum mh_status
runner_stop(struct runner *r, struct mh_err *err)
{
	enum mh_status status = MH_OK;
	struct mh_err own = { 0 };

	(void)runner_step(r, &own); /* what has ended may be written after all */
	for (size_t i = 0; i < r->n; i++) {
		const struct lease_row lease = runner_run(&r->places[i]);
		if (r->places[i].launch == NULL)
			continue;
		runner_clear(&r->places[i]); /* dead before anybody else may have it */
		if (status == MH_OK && lease.job_id != 0)
			status = job_requeue(r->w, &lease, false, "stopped with the worker", clock_now(), err);
	}
	return status;
}
