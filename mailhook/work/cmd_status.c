/* cmd_status.c: whether all is well. */
#include <stdio.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/work/ago.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/state.h"

#define STATUS_BYTES 65536

static void
print_ledger(const struct state *s)
{
	char t[AGO_WORDS];

	(void)printf("cases       %lld open, %lld of them expired, %lld more expire within 7 days, %lld within 30\n",
	    (long long)s->cases_open, (long long)s->expired, (long long)s->within_7d, (long long)s->within_30d);
	if (s->drills_open > 0)
		(void)printf("drills      %lld open\n", (long long)s->drills_open);
	(void)printf("jobs        ");
	for (size_t i = 0; i <= JOB_SKIPPED; i++)
		(void)printf("%s%lld %s", i == 0 ? "" : ", ", (long long)s->jobs[i], job_state_names[i]);
	(void)puts("");
	if (s->due > 0)
		(void)printf(
		    "due         %lld jobs, the oldest for %s\n", (long long)s->due, ago_words(t, s->oldest_due_s));
	if (s->jobs_stand[0] != '\0')
		(void)printf("standstill  %s\n", s->jobs_stand);
	if (s->approvals > 0)
		(void)printf("approvals   %lld wait for a person, the oldest for %s\n", (long long)s->approvals,
		    ago_words(t, s->oldest_approval_s));
	if (s->inputs > 0)
		(void)printf("inputs      %lld wait for what only a person can give\n", (long long)s->inputs);
	if (s->left > 0)
		(void)printf("left        %lld jobs by a node that lacks what they need, %lld of them by every node\n",
		    (long long)s->left, (long long)s->left_by_all);
	(void)printf("quarantine  %lld messages, %lld bytes, %lld dropped\n", (long long)s->quarantine,
	    (long long)s->quarantine_bytes, (long long)s->quarantine_dropped);
	(void)printf("floods      %lld notices kept out\n", (long long)s->flood_dropped);
}

static void
print_text(const struct state *s)
{
	char shown[400];

	(void)printf("worker      %s\n", s->worker ? "runs" : "does not run");
	if (state_intake_closed(s))
		(void)printf("intake      cannot be read: %s\n", strerrordesc_np(s->intake_errno));
	else if (s->intake_errno != 0)
		(void)puts("intake      there is none yet");
	else if (s->intake == 0)
		(void)puts("intake      empty");
	else
		(void)printf("intake      %lld messages, the oldest waits for %lld s\n", (long long)s->intake,
		    (long long)s->oldest_s);
	if (s->bad > 0)
		(void)printf("set aside   %lld files of the intake that cannot be taken: *.bad, see mailhook(1)\n",
		    (long long)s->bad);
	if (s->wrong > 0)
		(void)printf("definitions %s%s\n", s->wrong_first, s->wrong > 1 ? " (and there is more)" : "");
	if (s->away[0] == '\0')
		print_ledger(s);
	else
		(void)printf("ledger      cannot be read now: %s\n", mh_escape_words(shown, sizeof(shown), s->away));
	nodes_text(&s->nodes, stdout);
	mailboxes_text(&s->mailboxes, stdout);
}

static enum mh_status
print(struct work *w, const struct options *o, const struct state *s, int64_t now, struct mh_err *err)
{
	struct buf out;
	enum mh_status status = MH_OK;

	if (!o->json && !o->prometheus) {
		print_text(s);
		return MH_OK;
	}
	buf_init(&out, STATUS_BYTES);
	if (o->json) {
		status = state_json(w, s, &out, err);
		buf_putc(&out, '\n');
	} else {
		state_prometheus(s, now, &out);
	}
	if (status == MH_OK && !buf_ok(&out))
		status = mh_fail(err, MH_RETRY, "no memory for the status");
	if (status == MH_OK)
		(void)fputs(out.p, stdout);
	buf_release(&out);
	return status;
}

int
status_command(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct state s = { 0 };
	bool away = false;

	if (o->alarm)
		return alarm_command(o);
	const int64_t now = clock_now();
	enum mh_status status = work_load(&w, o->config, &err);
	if (status == MH_OK) {
		status = work_open_ledger(&w, false, &err);
		away = status == MH_RETRY; /* what is known here is worth saying, and why the rest is not */
		if (status == MH_SKIP || away)
			status = MH_OK; /* MH_SKIP: nothing has come yet */
	}
	struct mh_err own = { 0 };
	if (status == MH_OK)
		status = state_read(&w, lock_held(w.conf->state_dir), now, &s, away ? &own : &err);
	if (status != MH_OK && away)
		err = own;
	else if (away)
		(void)snprintf(s.away, sizeof(s.away), "%s", err.text);
	if (status == MH_OK)
		status = print(&w, o, &s, now, &err);
	if (status == MH_OK && !o->json && !o->prometheus && s.away[0] == '\0')
		status = pause_print(&w, &err);
	if (status != MH_OK)
		work_log("%s", err.text);
	const bool attention = status == MH_OK && state_attention(&s);
	state_release(&s);
	work_release(&w);
	return attention ? EXIT_ATTENTION : work_exit(status);
}
