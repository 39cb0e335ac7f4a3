/* cmd_steer.c: a person closes, approves or retries a case, and what else steers one begins here; the history names who. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/job.h"
#include "mailhook/work/nodes_look.h"
#include "mailhook/work/upkeep.h"

enum mh_status
steer_open(struct work *w, struct mh_err *err)
{
	const enum mh_status status = work_open_ledger(w, false, err);

	return status == MH_OK ? mark_look(w, clock_now(), err) : status;
}

/* The case as it is now, with --json. */
static enum mh_status
tell_case(struct work *w, int64_t id, struct arena *a, struct speech *speech, struct mh_err *err)
{
	struct case_row c;

	if (!speech->json)
		return MH_OK;
	const enum mh_status status = ledger_case_get(w->db, id, a, &c, err);
	if (status != MH_OK)
		return status;
	cJSON *item = cJSON_CreateObject();
	const bool ok = item != NULL && speech->whole && case_json(item, &c, clock_now()) &&
			cJSON_AddItemToObject(speech->j, "case", item);
	if (!ok)
		cJSON_Delete(item);
	speech->whole = ok;
	return speech_end(speech, err);
}

int
steer_case(const struct options *o, steer_how *how, void *user)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct arena a;
	struct case_row c;
	struct speech speech;
	char by[100];
	enum mh_status status = work_load(&w, o->config, &err);

	arena_init(&a, WORK_ARENA_BYTES);
	speech_open(&speech, o->json);
	who_steers(by, sizeof(by));
	if (status == MH_OK) {
		status = steer_open(&w, &err);
		if (status == MH_SKIP)
			mh_fail(&err, MH_SKIP, "no case %.40s: no message was taken in yet", o->operand);
	}
	if (status == MH_OK)
		status = ledger_case_find(w.db, o->operand, &a, &c, &err);
	if (status == MH_OK)
		status = how(&(struct steering){ &w, o, &c, by, &a, &speech, user }, &err);
	if (status == MH_OK) {
		work_wake(w.conf);
		if (!nodes_somebody_works(&w))
			speech_say(&speech, "no worker runs: what follows is done by the next 'mailhook run'");
		status = tell_case(&w, c.id, &a, &speech, &err);
	}
	if (status != MH_OK)
		work_log("%s", err.text);
	speech_release(&speech);
	arena_release(&a);
	work_release(&w);
	return work_exit(status);
}

static enum mh_status
do_close(const struct steering *s, struct mh_err *err)
{
	const enum mh_status status = case_close(s->w, s->c->id, s->by, clock_now(), err);

	if (status == MH_OK)
		speech_say(s->speech, "case %" PRId64 " is closed", s->c->id);
	return status;
}

/* -- approve ------------------------------------------------------------------------------------------------------- */

/* "2026-02-03T04:05:06Z", or the day alone. */
static enum mh_status
read_seen_time(const char *text, struct seen *ret, struct mh_err *err)
{
	char whole[MH_TIME_TEXT], shown[60];
	const size_t n = strlen(text);

	ret->precision = n == 10 ? MH_DAY : MH_SECOND;
	(void)snprintf(whole, sizeof(whole), n == 10 ? "%.10sT23:59:59Z" : "%.20s", text);
	if ((n == 10 || n == 20) && time_read(span_of(whole), &ret->expires, err) == MH_OK)
		return MH_OK;
	return mh_fail(err, MH_BAD, "\"%s\" is no time: write 2026-02-03T04:05:06Z, in UTC, or the day, 2026-02-03",
	    mh_escape(shown, sizeof(shown), span_of(text)));
}

/* One line from the terminal. */
static enum mh_status
ask(const struct steering *s, const char *question, char *dst, size_t dst_bytes, struct mh_err *err)
{
	FILE *to = s->o->json ? stderr : stdout;

	(void)fprintf(to, "%s: ", question);
	(void)fflush(to);
	if (fgets(dst, (int)dst_bytes, stdin) == NULL)
		return mh_fail(err, MH_BAD, "nothing was answered, so nothing was vouched for");
	const struct mh_span line = span_trim(span_of(dst));
	memmove(dst, line.p, line.n);
	dst[line.n] = '\0';
	return MH_OK;
}

/* The person types what AWS shows, and is not shown what the mail says: else "yes" would be the answer to everything. */
static enum mh_status
do_vouch(const struct steering *s, struct mh_err *err)
{
	char account[300], expires[100], t[MH_TIME_TEXT];
	struct seen seen = { .account = s->o->account };
	const char *when = s->o->expires;
	enum mh_status status = MH_OK;

	if (when == NULL && isatty(STDIN_FILENO) != 1)
		return mh_fail(err, MH_BAD,
		    "--vouch asks on a terminal, and this is none: say --account ACCOUNT --expires TIME, as AWS shows "
		    "them");
	if (when == NULL) {
		speech_say(s->speech, "case %" PRId64 ", %s: what does AWS show?", s->c->id, s->c->kind);
		status = ask(s, "account", account, sizeof(account), err);
		if (status == MH_OK)
			status = ask(s, "expires (UTC, or the day)", expires, sizeof(expires), err);
		seen.account = account;
		when = expires;
	}
	if (status == MH_OK)
		status = read_seen_time(when, &seen, err);
	if (status == MH_OK)
		status = case_vouch(s->w, s->c->id, &seen, s->by, clock_now(), err);
	if (status == MH_OK)
		speech_say(s->speech, "case %" PRId64 ": %s vouches for account %s, expires %s", s->c->id, s->by,
		    s->c->account, time_text(t, seen.expires));
	return status;
}

/* Whether an approval would change anything. */
static enum mh_status
approval_helps(const struct steering *s, bool *ret, struct mh_err *err)
{
	struct job_rows jobs = { 0 };
	const enum mh_status status = ledger_jobs_of_case(s->w->db, s->c->id, s->a, &jobs, err);

	*ret = s->c->approved_by == NULL;
	for (size_t i = 0; i < jobs.n; i++)
		*ret = *ret || jobs.items[i].state == JOB_RUNNING ||
		       (jobs.items[i].state == JOB_WAITING && jobs.items[i].waiting_for == JOB_WAIT_APPROVAL);
	return status;
}

static enum mh_status
do_approve(const struct steering *s, struct mh_err *err)
{
	const struct case_row *c = s->c;
	bool helps = true;
	enum mh_status status;

	if (s->o->vouch)
		return do_vouch(s, err);
	status = approval_helps(s, &helps, err);
	if (status == MH_OK && c->open && !helps && s->o->step == NULL) /* else that step is what is wrong */
		status = mh_fail(err, MH_BAD,
		    "case %" PRId64 " was approved already, by %.40s, and nothing waits for it: 'mailhook show %" PRId64
		    "' says what it waits for",
		    c->id, c->approved_by, c->id);
	if (status == MH_OK)
		status = case_approve(s->w, c->id, s->o->step, s->by, clock_now(), err);
	if (status != MH_OK)
		return status;
	speech_say(s->speech, "case %" PRId64 " is approved%s%s", c->id, s->o->step == NULL ? "" : ": step ",
	    s->o->step == NULL ? "" : s->o->step);
	if (case_trust(c) == TRUST_UNVERIFIED)
		speech_say(s->speech,
		    "no notice of it is trusted, so actions that need trust go on waiting: 'mailhook approve "
		    "%" PRId64 " --vouch' says that you saw it in AWS",
		    c->id);
	return MH_OK;
}

/* -- retry --------------------------------------------------------------------------------------------------------- */

static enum mh_status
do_retry(const struct steering *s, struct mh_err *err)
{
	const struct case_row *c = s->c;
	const char *rule = NULL;
	bool chosen = false;
	size_t n = 0;
	enum mh_status status = MH_OK;

	if (s->o->choose_rule) {
		status = case_choose_again(s->w, s->a, c->id, s->by, clock_now(), &rule, err);
		chosen = status == MH_OK;
		if (chosen)
			speech_say(s->speech, "case %" PRId64 " has rule \"%s\" now", c->id, rule);
		if (status == MH_SKIP)
			status = MH_OK; /* then what failed is all that there is to try */
	}
	if (status == MH_OK)
		status = case_retry(s->w, c->id, s->by, clock_now(), &n, err);
	if (status == MH_OK && n == 0 && !chosen)
		return mh_fail(err, MH_BAD, "case %" PRId64 ": %sno job has failed or waits for its next try", c->id,
		    s->o->choose_rule ? "its rule is the same, and " : "");
	if (status == MH_OK && n > 0)
		speech_say(s->speech, "case %" PRId64 ": %zu jobs are tried again", c->id, n);
	return status;
}

int
close_command(const struct options *o)
{
	return steer_case(o, do_close, NULL);
}

int
approve_command(const struct options *o)
{
	return steer_case(o, do_approve, NULL);
}

int
retry_command(const struct options *o)
{
	return steer_case(o, do_retry, NULL);
}
