/* cmd_drill.c: a marked notice through the whole installation, as a mail server would give it to us, and what became of it.
 *
 * Anybody may write a header, so no header makes a drill: a message is one where its Message-ID is the one, random and
 * used once, that this command has put into the ledger before (take.c). What a forger copies from it later is a notice
 * like any other; and a drill has a case of its own, which no real notice joins (case.c). */
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/imap/report.h"
#include "mailhook/random.h"
#include "mailhook/work/case.h"
#include "mailhook/work/child.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/job.h"

#define LOOK_MS 50
#define SLOW_MS 5000
#define INTAKE_MS 30000
#define JOBS_MS 120000 /* an action's deadline is 60 s by default */
#define CHILD_MS 150000
#define WITHOUT_WORKER_MS 1000 /* pipe starts one, which needs a moment */
#define DRILL_DAYS 90
#define DRILL_ARENA_BYTES ((size_t)64 << 20)
#define MAX_JOBS 64

struct drill {
	struct work w; /* own, as the arena */
	struct arena a;
	const char *config;              /* NULL: the default */
	const char *mailbox;             /* NULL: by pipe */
	char mark[80];                   /* the Message-ID */
	int64_t began_ms, idle_since_ms; /* idle: no worker holds the lock; 0: one does */
	int64_t message_id;
	struct case_row c;
	bool told[MAX_JOBS];
	size_t faults;
	struct speech speech; /* own */
};

/* -- telling ------------------------------------------------------------------------------------------------------- */

static void tell(struct drill *d, const char *verdict, const char *step, const char *fmt, ...) MH_PRINTF(4, 5);

static void
tell(struct drill *d, const char *verdict, const char *step, const char *fmt, ...)
{
	const int64_t ms = clock_monotonic_ms() - d->began_ms;
	char words[1200], shown[1300];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	d->faults += strcmp(verdict, "FAULT") == 0;
	(void)mh_escape(shown, sizeof(shown), span_of(words));
	speech_say(&d->speech, "%-6s %-16s %7" PRId64 " ms  %s", verdict, step, ms, shown);
	(void)fflush(stdout);
	cJSON *item = speech_item(&d->speech, "steps");
	if (item != NULL)
		d->speech.whole = json_add_string(item, "step", step) && json_add_string(item, "verdict", verdict) &&
				  json_add_integer(item, "ms", ms) && json_add_string(item, "words", shown);
}

static const char *
speed(int64_t since_ms)
{
	return clock_monotonic_ms() - since_ms > SLOW_MS ? "slow" : "ok";
}

/* -- the notice ---------------------------------------------------------------------------------------------------- */

static enum mh_status
make_mark(struct drill *d, struct mh_err *err)
{
	char hex[RANDOM_HEX];

	if (random_hex(hex, err) != MH_OK)
		return MH_RETRY;
	(void)snprintf(d->mark, sizeof(d->mark), "<mailhook-drill.%s@localhost>", hex);
	return ledger_meta_set(d->w.db, LEDGER_META_DRILL, d->mark, err);
}

static void
put_day(struct buf *out, int64_t t)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
		"Nov", "Dec" };
	char text[MH_TIME_TEXT];
	int year, month, day;

	time_to_civil(t, &year, &month, &day);
	buf_printf(out, "%d %s %04d %.8s", day, months[month - 1], year, time_text(text, t) + 11);
}

static void
write_notice(const struct drill *d, struct buf *out)
{
	const int64_t now = clock_now();

	buf_puts(out, "Date: ");
	put_day(out, now);
	buf_printf(out,
	    " +0000\n"
	    "From: mailhook drill <mailhook-drill@localhost>\n"
	    "To: mailhook-drill@localhost\n"
	    "Subject: DRILL: IAM Identity Center SCIM Access Token Approaching Expiration. [AWS Account: "
	    "000000000000]\n"
	    "Message-ID: %s\n"
	    "X-Mailhook-Drill: yes\n"
	    "MIME-Version: 1.0\n"
	    "Content-Type: text/plain; charset=us-ascii\n"
	    "\n"
	    "This is a drill of mailhook: nothing expires.\n"
	    "\n"
	    "The SCIM access token used to automatically provision users expires in %d days on ",
	    d->mark, DRILL_DAYS);
	put_day(out, now + DRILL_DAYS * MH_DAY_S);
	buf_puts(out, " GMT.\n");
}

/* Into the mailbox, from where it comes as any mail. Where nobody watches, it is looked at once. */
static enum mh_status
send_to_mailbox(struct drill *d, struct mh_err *err)
{
	const int64_t since_ms = clock_monotonic_ms();
	const char *const config = d->config == NULL ? NULL : "--config";
	char path[1100];
	struct buf mail;
	int code = -1;
	struct report report = { 0 };

	(void)snprintf(path, sizeof(path), "%s/mailhook-imap", d->w.libexec);
	buf_init(&mail, 65536);
	write_notice(d, &mail);
	const char *const put[] = { path, "append", d->mailbox, config, d->config, NULL };
	const char *const look[] = { path, "imap", "--once", config, d->config, NULL };
	enum mh_status status = buf_ok(&mail) ? child_run(put, buf_span(&mail), CHILD_MS, &code, err)
					      : mh_fail(err, MH_RETRY, "no memory for a notice");
	buf_release(&mail);
	if (status == MH_OK && code != 0)
		tell(d, "FAULT", "mailbox", "exit %d: the notice was not put into mailbox %s", code, d->mailbox);
	else if (status == MH_OK)
		tell(d, speed(since_ms), "mailbox", "the notice was put into mailbox %s", d->mailbox);
	if (status == MH_OK && code == 0)
		status = report_read(d->w.conf->state_dir, &d->a, &report, err);
	if (status != MH_OK || code != 0 || report.running)
		return status;
	status = child_run(look, MH_LIT(""), CHILD_MS, &code, err);
	if (status == MH_OK && code != 0)
		tell(d, "FAULT", "watching", "nobody watches it, and mailhook imap --once ended with %d", code);
	else if (status == MH_OK)
		tell(d, "none", "watching", "nobody watches it: it was read once");
	return status;
}

static enum mh_status
send_notice(struct drill *d, struct mh_err *err)
{
	struct buf mail;
	char path[1100];
	int code = -1;
	const int64_t since_ms = clock_monotonic_ms();

	/* .../libexec/mailhook to .../bin/mailhook, as mailhook itself finds us */
	(void)snprintf(path, sizeof(path), "%s/../../bin/mailhook", d->w.libexec);
	buf_init(&mail, 65536);
	write_notice(d, &mail);
	const char *const argv[] = { path, "pipe", "--sender", "", d->config == NULL ? NULL : "--config", d->config,
		NULL };
	enum mh_status status = buf_ok(&mail) ? child_run(argv, buf_span(&mail), CHILD_MS, &code, err)
					      : mh_fail(err, MH_RETRY, "no memory for a notice");
	buf_release(&mail);
	if (status != MH_OK)
		return status;
	if (code != 0)
		tell(d, "FAULT", "pipe", "exit %d: the notice was not taken", code);
	else
		tell(d, speed(since_ms), "pipe", "exit 0");
	return MH_OK;
}

/* -- waiting ------------------------------------------------------------------------------------------------------- */

/* Between two looks. Where no worker runs for a while, the work is done here, as "mailhook run --once" does it. */
static enum mh_status
wait_a_little(struct drill *d, struct mh_err *err)
{
	const int64_t now_ms = clock_monotonic_ms();
	char path[1100];
	int code;

	(void)poll(NULL, 0, LOOK_MS);
	if (lock_held(d->w.conf->state_dir)) {
		d->idle_since_ms = 0;
		return MH_OK;
	}
	if (d->idle_since_ms == 0)
		d->idle_since_ms = now_ms;
	if (now_ms - d->idle_since_ms < WITHOUT_WORKER_MS)
		return MH_OK;
	d->idle_since_ms = 0;
	(void)snprintf(path, sizeof(path), "%s/mailhook-work", d->w.libexec);
	const char *const argv[] = { path, "run", "--once", d->config == NULL ? NULL : "--config", d->config, NULL };
	return child_run(argv, MH_LIT(""), CHILD_MS, &code, err);
}

static enum mh_status
await_message(struct drill *d, struct mh_err *err)
{
	const int64_t since_ms = clock_monotonic_ms();
	enum mh_status status = MH_SKIP;

	while (status == MH_SKIP && clock_monotonic_ms() - since_ms < INTAKE_MS) {
		status = db_one(d->w.db, "SELECT id FROM messages WHERE message_id = $1", DB_ARGS(db_str(d->mark)),
		    &d->message_id, err);
		if (status == MH_SKIP && wait_a_little(d, err) != MH_OK)
			return MH_RETRY;
	}
	if (status == MH_SKIP)
		tell(d, "FAULT", "intake", "no worker has taken the notice: is mailhook.service running?");
	else if (status == MH_OK)
		tell(d, speed(since_ms), "intake", "taken by the worker as message %" PRId64, d->message_id);
	return status;
}

static enum mh_status
look_at_case(struct drill *d, struct mh_err *err)
{
	struct message_row m;
	int64_t id = 0;
	enum mh_status status = ledger_message_get(d->w.db, d->message_id, &d->a, &m, err);

	if (status == MH_OK)
		status = db_one(d->w.db, "SELECT case_id FROM notices WHERE message_id = $1",
		    DB_ARGS(db_int(d->message_id)), &id, err);
	if (status == MH_OK)
		status = ledger_case_get(d->w.db, id, &d->a, &d->c, err);
	if (status != MH_OK)
		return status;
	if (strcmp(m.verdict, mh_verdict_names[MH_NOTICE]) != 0)
		tell(d, "FAULT", "reading", "%s: %s", m.verdict, m.reason == NULL ? "no reason" : m.reason);
	else
		tell(d, "ok", "reading", "a notice, read by %s", m.parser == NULL ? "?" : m.parser);
	if (d->c.rule == NULL)
		tell(d, "FAULT", "case", "case %" PRId64 " was opened, and no rule takes it", d->c.id);
	else
		tell(d, "ok", "case", "case %" PRId64 " was opened, rule \"%s\"", d->c.id, d->c.rule);
	return MH_OK;
}

/* -- jobs ---------------------------------------------------------------------------------------------------------- */

static bool
settled(const struct job_row *j)
{
	return j->state == JOB_DONE || j->state == JOB_FAILED || j->state == JOB_SKIPPED ||
	       (j->state == JOB_QUEUED && j->has_retrying) ||
	       (j->state == JOB_WAITING && j->waiting_for != JOB_WAIT_AFTER);
}

static void
tell_job(struct drill *d, const struct job_row *j, int64_t since_ms)
{
	const bool well = j->state == JOB_DONE || j->state == JOB_SKIPPED;
	const char *state = j->has_retrying ? "tried again later" : job_state_names[j->state];
	const char *summary = j->summary == NULL ? "" : j->summary;

	if (!well)
		tell(d, "FAULT", j->action, "%s of \"%s\": %s: %s", role_names[j->role], j->event, state, summary);
	else if (j->url == NULL)
		tell(d, speed(since_ms), j->action, "%s of \"%s\": %s", role_names[j->role], j->event, summary);
	else
		tell(d, speed(since_ms), j->action, "%s of \"%s\": %s <%s>", role_names[j->role], j->event, summary,
		    j->url);
}

/* *ret_more: there are jobs that have not come to anything, and it is worth waiting for them. */
static void
tell_settled(struct drill *d, const struct job_rows *jobs, int64_t since_ms, bool last, bool *ret_more)
{
	bool running = false, held_up = false;

	*ret_more = false;
	for (size_t i = 0; i < jobs->n && i < MAX_JOBS; i++) {
		const struct job_row *j = &jobs->items[i];

		if (d->told[i])
			continue;
		if (settled(j)) {
			tell_job(d, j, since_ms);
			d->told[i] = true;
		} else if (last) {
			tell(d, "FAULT", j->action, "%s of \"%s\": has not come to an end", role_names[j->role],
			    j->event);
			d->told[i] = true;
		} else {
			running = running || j->state != JOB_WAITING;
			*ret_more = true;
		}
	}
	for (size_t i = 0; i < jobs->n; i++)
		held_up = held_up || (settled(&jobs->items[i]) && !jobs->items[i].has_ended);
	if (*ret_more && !running &&
	    held_up) /* the others come after what is tried again later, or waits for a person */
		tell_settled(d, jobs, since_ms, true, ret_more);
}

static enum mh_status
await_jobs(struct drill *d, struct mh_err *err)
{
	const int64_t since_ms = clock_monotonic_ms();
	enum mh_status status = MH_OK;
	bool more = true;

	while (status == MH_OK && more) {
		const bool last = clock_monotonic_ms() - since_ms > JOBS_MS;
		struct job_rows jobs = { 0 };
		struct arena a;

		arena_init(&a, DRILL_ARENA_BYTES);
		status = ledger_jobs_of_case(d->w.db, d->c.id, &a, &jobs, err);
		if (status == MH_OK)
			tell_settled(d, &jobs, since_ms, last, &more);
		arena_release(&a);
		if (status == MH_OK && more)
			status = wait_a_little(d, err);
	}
	return status;
}

static enum mh_status
tell_missing(struct drill *d, struct mh_err *err)
{
	static const enum action_role roles[] = { ROLE_TICKET, ROLE_REPLY };
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < 2 && status == MH_OK && d->c.rule != NULL; i++) {
		int64_t n = 0;

		status = db_one(d->w.db, "SELECT count(*) FROM jobs WHERE case_id = $1 AND role = $2",
		    DB_ARGS(db_int(d->c.id), db_str(role_names[roles[i]])), &n, err);
		if (status == MH_OK && n == 0)
			tell(d, "none", role_names[roles[i]], "the rule has no action of that role");
	}
	return status;
}

/* -- the whole ----------------------------------------------------------------------------------------------------- */

/* What a drill that was broken off left behind. */
static enum mh_status
close_earlier(struct drill *d, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	while (status == MH_OK) {
		int64_t id;

		status = db_one(d->w.db, "SELECT id FROM cases WHERE reason = $1 AND state = 'open' LIMIT 1",
		    DB_ARGS(db_str(CASE_DRILL)), &id, err);
		if (status == MH_OK)
			status = case_close(&d->w, id, "drill", clock_now(), err);
	}
	return status == MH_SKIP ? MH_OK : status;
}

static enum mh_status
close_case(struct drill *d, struct mh_err *err)
{
	enum mh_status status = case_close(&d->w, d->c.id, "drill", clock_now(), err);

	if (status != MH_OK)
		return status;
	tell(d, "ok", "close", "case %" PRId64 " is closed", d->c.id);
	work_wake(d->w.conf);
	return await_jobs(d, err);
}

static enum mh_status
drill(struct drill *d, struct mh_err *err)
{
	enum mh_status status = close_earlier(d, err);

	if (status == MH_OK)
		status = make_mark(d, err);
	if (status != MH_OK)
		return status;
	tell(d, lock_held(d->w.conf->state_dir) ? "ok" : "none", "worker", "%s",
	    lock_held(d->w.conf->state_dir) ? "runs" : "none runs: each mail starts one");
	d->began_ms = clock_monotonic_ms();
	status = d->mailbox == NULL ? send_notice(d, err) : send_to_mailbox(d, err);
	if (status == MH_OK && d->faults == 0)
		status = await_message(d, err);
	if (status != MH_OK || d->faults > 0)
		return status == MH_SKIP ? MH_OK : status;
	status = look_at_case(d, err);
	if (status == MH_OK)
		status = await_jobs(d, err);
	if (status == MH_OK)
		status = tell_missing(d, err);
	return status == MH_OK ? close_case(d, err) : status;
}

int
drill_command(const struct options *o)
{
	struct drill d = { .config = o->config, .mailbox = o->mailbox, .began_ms = clock_monotonic_ms() };
	struct mh_err err = { 0 };
	enum mh_status status = work_load(&d.w, o->config, &err);

	arena_init(&d.a, DRILL_ARENA_BYTES);
	speech_open(&d.speech, o->json);
	if (status == MH_OK)
		status = work_make_folders(&d.w, &err);
	if (status == MH_OK)
		status = work_open_ledger(&d.w, true, &err);
	if (status == MH_OK)
		status = drill(&d, &err);
	if (status == MH_OK) {
		if (d.faults > 0)
			speech_say(
			    &d.speech, "drill: %zu step%s attention", d.faults, d.faults == 1 ? " needs" : "s need");
		else
			speech_say(&d.speech, "drill: all went well");
		speech_bool(&d.speech, "well", d.faults == 0);
		status = speech_end(&d.speech, &err);
	}
	if (status != MH_OK)
		work_log("%s", err.text);
	speech_release(&d.speech);
	arena_release(&d.a);
	work_release(&d.w);
	return status != MH_OK ? work_exit(status) : d.faults > 0 ? EXIT_ATTENTION : EXIT_OK;
}
