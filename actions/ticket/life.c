/* life.c: one event of a case, from the search for its ticket to the outcome.
 *
 * lock ─▶ own state (the URL that an earlier job told), else search ─▶ plan ─▶ checkpoint ─▶ steps ─▶ outcome
 *
 * Every step is looked at before it is done: what an earlier attempt has done is seen in the system itself. Where an
 * answer was lost, the system may show what it did only after a while (driver->lag_s): until then the job is tried again
 * later, and nothing is made a second time. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actions/common/folder.h"
#include "actions/ticket/conf.h"

#define MAIL_FD 3
#define MAIL_NAME "notice.eml"
#define LOCK_FOLDER "ticket-locks"
#define SUMMARY_BYTES 900
#define LOOKS 3 /* after a lost answer, within driver->lag_s */

struct life {
	const struct ticket_conf *conf;
	struct ticket_desk *desk;
	void *state;               /* of the driver */
	struct ticket_texts texts; /* own */
	const char *notes[4];      /* what else the outcome says */
	size_t n_notes;
};

static const struct ticket_driver *
driver(const struct life *l)
{
	return l->conf->driver;
}

/* -- one at a time -------------------------------------------------------------------------------------------------- */

/* A search and the creation behind it are two requests, and most systems merge nothing: jobs for one key wait for each
 * other. The core starts one job of a case at a time; this holds for whoever runs the action besides. A holder that
 * hangs is killed at its deadline, as we are at ours. The folder holds 256 empty files at most. */
static enum mh_status
lock_key(const struct request *q, int *ret_fd, struct mh_err *err)
{
	MH_AUTO(drop_fd) int folder = -1;
	char path[4096], name[3] = { q->case_key[0], q->case_key[1], '\0' };

	(void)snprintf(path, sizeof(path), "%s/" LOCK_FOLDER, q->state_dir);
	const enum mh_status status = folder_open(path, 0700, &folder, err);
	if (status != MH_OK)
		return status;
	const int fd = openat(folder, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	while (fd >= 0 && flock(fd, LOCK_EX) != 0)
		if (errno != EINTR) {
			(void)mh_fail_errno(err, MH_RETRY, "cannot lock %s", path);
			(void)close(fd);
			return MH_RETRY;
		}
	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "cannot open a lock in %s", path);
	*ret_fd = fd;
	return MH_OK;
}

/* -- what earlier attempts have done -------------------------------------------------------------------------------- */

/* Seconds since this job announced that step; -1: it never did. An earlier version said no more than true. */
static int64_t
since(const struct life *l, const char *step)
{
	const struct request *q = l->desk->request;
	const char *text = json_string(q->state, step);
	bool begun = false;
	int64_t then;

	if (json_bool(q->state, step, &begun) && begun)
		return INT64_MAX;
	if (text == NULL || time_read(span_of(text), &then, NULL) != MH_OK)
		return -1;
	return q->now > then ? q->now - then : 0;
}

/* Announces what comes; the times of earlier announcements stay. MH_RETRY: the job is no longer ours.
 *   in      url: of the ticket that this job has opened; NULL: as it was */
static enum mh_status
announce(const struct life *l, const char *step, const char *url, struct mh_err *err)
{
	const struct request *q = l->desk->request;
	MH_AUTO(drop_json)
	cJSON *state = q->state == NULL ? cJSON_CreateObject() : cJSON_Duplicate(q->state, 1);

	if (state != NULL)
		cJSON_DeleteItemFromObjectCaseSensitive(state, step);
	if (state != NULL && url != NULL)
		cJSON_DeleteItemFromObjectCaseSensitive(state, "ticket");
	if (state == NULL || !json_add_time(state, step, q->now) ||
	    (url != NULL && !json_add_string(state, "ticket", url)))
		return mh_fail(err, MH_RETRY, "no memory for a checkpoint");
	if (!checkpoint(l->desk->protocol, state))
		return mh_fail(err, MH_RETRY, "the job was taken away before it was done");
	return MH_OK;
}

/* A request for it was sent, its answer was lost, and it is not there: not yet, or never. */
static bool
must_look_again(struct life *l, const char *step)
{
	const int64_t waited = since(l, step), lag_s = driver(l)->lag_s;

	if (waited < 0 || waited >= lag_s)
		return false;
	const int64_t pause_s = lag_s / LOOKS > 0 ? lag_s / LOOKS : 1, left_s = lag_s - waited;
	l->desk->retry_after_s = left_s < pause_s ? left_s : pause_s;
	return true;
}

/* -- finding -------------------------------------------------------------------------------------------------------- */

static enum mh_status
get_by_url(const struct life *l, const char *url, struct ticket_ref *ret, struct mh_err *err)
{
	const char *id = NULL;
	enum mh_status status = driver(l)->id_of_url(l->state, url, &id, err);

	if (status == MH_OK)
		status = driver(l)->get(l->state, id, l->desk->request->case_key, ret, err);
	return status;
}

/* What an earlier job of this action told as the ticket's URL stands in the ledger, and what an earlier attempt of this
 * job opened in its state: no index lags behind them. */
static enum mh_status
find_own(const struct life *l, struct ticket_ref *ret, struct mh_err *err)
{
	const struct request *q = l->desk->request;
	const char *opened = json_string(q->state, "ticket");
	enum mh_status status = MH_SKIP;

	if (driver(l)->id_of_url == NULL)
		return MH_SKIP;
	if (opened != NULL)
		status = get_by_url(l, opened, ret, err);
	for (size_t i = q->n_outcomes; i > 0 && status == MH_SKIP; i--) {
		const struct job_outcome *o = &q->outcomes[i - 1];

		if (o->url != NULL && q->action != NULL && strcmp(o->action, q->action) == 0)
			status = get_by_url(l, o->url, ret, err);
	}
	if (status == MH_SKIP && q->expiry.ticket_url != NULL)
		status = get_by_url(l, q->expiry.ticket_url, ret, err);
	return status;
}

static enum mh_status
find(struct life *l, struct ticket_ref *ret, struct mh_err *err)
{
	enum mh_status status = find_own(l, ret, err);

	if (status == MH_SKIP)
		status = driver(l)->find(l->state, l->desk->request->case_key, ret, err);
	if (status == MH_OK && ret->others > 0)
		l->notes[l->n_notes++] = "more than one ticket carries the key: this is the oldest";
	return status;
}

/* -- saying --------------------------------------------------------------------------------------------------------- */

void
ticket_dropped(struct ticket_desk *d, const char *what, struct mh_span name)
{
	const struct template_var clean = { "", name, LINES_ONE };

	buf_puts(&d->dropped, d->dropped.n > 0 ? ", " : "");
	buf_puts(&d->dropped, what);
	if (name.n > 0) {
		buf_putc(&d->dropped, ' ');
		template_plain(&d->dropped, &clean);
	}
}

void
ticket_finish(struct ticket_desk *d, const char *word, const struct ticket_ref *ref, const char *summary)
{
	const struct outcome_line o = { .outcome = word, .url = ref == NULL ? NULL : ref->url, .retry_after_s = -1 };

	if (d->dropped.n > 0)
		outcome(d->protocol, &o, "%s; the server did not keep: %s", summary, d->dropped.p);
	else
		outcome(d->protocol, &o, "%s", summary);
}

/* What the plan comes to, in words, for the outcome and for the dry run. */
static const char *
summary_of(const struct ticket_driver *d, const struct ticket_plan *p, const struct ticket_ref *found, bool dry)
{
	if (found == NULL && p->open)
		return dry ? "would open a ticket" : "ticket opened";
	if (found == NULL)
		return "there is no ticket, and no need for one";
	if (p->close && d->close == NULL)
		return dry ? "would tell the ticket of the end" : "the ticket was told of the end";
	if (p->close)
		return dry ? "would comment on the ticket and close it" : "ticket commented and closed";
	if (p->raise && p->priority > found->priority && d->change != NULL)
		return dry ? "would comment on the ticket and raise its priority" : "ticket commented, priority raised";
	if (p->comment)
		return dry ? "would comment on the ticket" : "ticket commented";
	return found->open ? "the ticket is open" : "the ticket was closed, and stays so";
}

static void
finish(const struct life *l, const char *word, const struct ticket_ref *ref, const char *summary)
{
	char words[SUMMARY_BYTES];
	size_t n = (size_t)snprintf(words, sizeof(words), "%s", summary);

	for (size_t i = 0; i < l->n_notes && n < sizeof(words); i++)
		n += (size_t)snprintf(words + n, sizeof(words) - n, "; %s", l->notes[i]);
	ticket_finish(l->desk, word, ref, words);
}

static void
say_text(const struct life *l, const char *mark, struct mh_span text)
{
	struct mh_span line;

	while (span_line(&text, &line))
		say(l->desk->protocol, "%s %.*s", mark, (int)utf8_cut(line, 400), line.p);
}

/* The ticket as it would be written. */
static void
describe(const struct life *l, const struct ticket_plan *p, const struct ticket_ref *found)
{
	struct protocol *out = l->desk->protocol;
	const struct ticket_new *t = &l->texts.ticket;

	say(out, "driver: %s", driver(l)->name);
	if (l->desk->queue != NULL)
		say(out, "queue: %s", l->desk->queue);
	say(out, "title: %.*s", (int)t->title.n, t->title.p);
	say(out, "priority: %s", l->conf->priorities[p->priority]);
	if (t->due.n > 0)
		say(out, "due: %.*s", (int)t->due.n, t->due.p);
	if (t->assignee != NULL)
		say(out, "assignee: %s", t->assignee);
	for (size_t i = 0; i < t->n_labels; i++)
		say(out, "label: %s", t->labels[i]);
	for (size_t i = 0; i < t->n_fields; i++)
		say(out, "field %s: %.*s", t->fields[i].name, (int)t->fields[i].value.n, t->fields[i].value.p);
	if (found == NULL || l->desk->request->sample)
		say_text(l, "|", t->body);
	if (found != NULL || l->desk->request->sample)
		say_text(l, "comment:", buf_span(&l->texts.comment));
}

/* -- steps ---------------------------------------------------------------------------------------------------------- */

/* The mail on descriptor 3, where it is there, proven and not too large. False: there is none to attach. */
static bool
read_mail(struct life *l, struct buf *ret)
{
	const struct request *q = l->desk->request;
	struct stat st;

	if (!l->conf->attach || driver(l)->attach == NULL || q->trust.level == TRUST_NONE || q->drill ||
	    fstat(MAIL_FD, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= 0)
		return false;
	if ((size_t)st.st_size > l->conf->attach_max_bytes) {
		l->notes[l->n_notes++] = "the mail is not attached: it is larger than attach_max_kb";
		return false;
	}
	for (off_t at = 0; at < st.st_size;) {
		char chunk[65536];
		const ssize_t n = pread(MAIL_FD, chunk, sizeof(chunk), at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		buf_put(ret, (struct mh_span){ chunk, (size_t)n });
		at += n;
	}
	return buf_ok(ret) && ret->n == (size_t)st.st_size;
}

/* The ticket matters more than its attachment: a refusal of it is said, and no more. */
static enum mh_status
attach_mail(struct life *l, const struct ticket_ref *ref, bool opened, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf mail;
	enum mh_status status = MH_OK;

	buf_init(&mail, l->conf->attach_max_bytes);
	if (!read_mail(l, &mail))
		return MH_OK;
	const struct ticket_file f = { MAIL_NAME, "message/rfc822", buf_span(&mail) };
	/* This may be tried again, and the ticket's number is known: nobody has to search for it then. */
	if (opened && driver(l)->id_of_url != NULL && ref->url != NULL && ref->url[0] != '\0')
		status = announce(l, "opening", ref->url, err);
	if (status == MH_OK)
		status = driver(l)->attach(l->state, ref, &f, err);
	if (status == MH_OK || status == MH_RETRY)
		return status;
	say(l->desk->protocol, "%s", err->text);
	l->notes[l->n_notes++] = "the mail could not be attached";
	return MH_OK;
}

static enum mh_status
open_ticket(struct life *l, const struct ticket_plan *p, struct ticket_ref *ret, struct mh_err *err)
{
	struct ticket_new *t = &l->texts.ticket;

	if (must_look_again(l, "opening"))
		return mh_fail(err, MH_RETRY,
		    "the answer to opening a ticket was lost, and it is not to be found: looked for again before "
		    "another is opened");
	t->priority = p->priority;
	t->priority_name = l->conf->priorities[p->priority];
	const enum mh_status status = announce(l, "opening", NULL, err);
	return status == MH_OK ? driver(l)->open(l->state, t, ret, err) : status;
}

/* Once, though this attempt may not be the first. */
static enum mh_status
comment(struct life *l, const struct ticket_plan *p, const struct ticket_ref *ref, struct mh_err *err)
{
	const struct ticket_comment c = { buf_span(&l->texts.comment), l->desk->request->job_key, l->texts.ticket.title,
		p->close };

	if (driver(l)->commented != NULL && since(l, "updating") >= 0) {
		const enum mh_status status = driver(l)->commented(l->state, ref, c.mark, err);

		if (status != MH_SKIP)
			return status;
		if (must_look_again(l, "updating"))
			return mh_fail(err, MH_RETRY,
			    "the answer to a comment was lost, and it is not there: looked for again before it is "
			    "written anew");
	}
	/* What is looked for again is counted from the last time that it was sent. */
	if (since(l, "updating") >= 0) {
		const enum mh_status status = announce(l, "updating", NULL, err);

		if (status != MH_OK)
			return status;
	}
	return driver(l)->comment(l->state, ref, &c, err);
}

static enum mh_status
update_ticket(struct life *l, const struct ticket_plan *p, struct ticket_ref *ref, struct mh_err *err)
{
	const struct ticket_change change = { p->priority, l->conf->priorities[p->priority], l->texts.ticket.due };
	const bool again = since(l, "updating") >= 0;
	enum mh_status status = MH_OK;

	if (!again)
		status = announce(l, "updating", NULL, err);
	if (status == MH_OK && p->raise && p->priority > ref->priority && driver(l)->change != NULL)
		status = driver(l)->change(l->state, ref, &change, err);
	if (status == MH_OK && p->comment)
		status = comment(l, p, ref, err);
	if (status == MH_OK && p->close && driver(l)->close != NULL)
		status = driver(l)->close(l->state, ref, err);
	return status;
}

static enum mh_status
act(struct life *l, const struct ticket_plan *p, const struct ticket_ref *found, struct mh_err *err)
{
	const enum case_event event = l->desk->request->event;
	const bool nothing = !p->open && !p->comment && !p->raise && !p->close;
	const bool proven_now = event == EVENT_OPENED || event == EVENT_TRUSTED;
	struct ticket_ref ref = found == NULL ? (struct ticket_ref){ 0 } : *found;
	enum mh_status status = MH_OK;

	if (p->open)
		status = open_ticket(l, p, &ref, err);
	else if (!nothing)
		status = update_ticket(l, p, &ref, err);
	if (status == MH_OK && (p->open || (found != NULL && proven_now)))
		status = attach_mail(l, &ref, p->open, err);
	if (status != MH_OK)
		return status;
	/* "opened" that finds its own ticket is done; only what no attempt had to do is skipped. */
	finish(l, nothing && event != EVENT_OPENED ? "skipped" : "done", ref.id == NULL ? NULL : &ref,
	    summary_of(driver(l), p, found, false));
	return MH_OK;
}

static enum mh_status
live(struct life *l, struct mh_err *err)
{
	const struct request *q = l->desk->request;
	const bool dry = q->verb == VERB_DESCRIBE || q->observe;
	struct ticket_ref ref;
	const struct ticket_ref *found = NULL;
	enum mh_status status = q->sample ? MH_SKIP : find(l, &ref, err);

	if (status == MH_OK)
		found = &ref;
	else if (status != MH_SKIP)
		return status;
	const struct ticket_plan p = ticket_plan(q, &l->conf->limits, found, since(l, "opening") >= 0);
	status = ticket_texts_write(l->conf, q, l->desk->arena, &l->texts, err);
	if (status != MH_OK)
		return status;
	if (!dry)
		return act(l, &p, found, err);
	describe(l, &p, found);
	finish(l, "done", found, q->sample ? "texts shown" : summary_of(driver(l), &p, found, true));
	return MH_OK;
}

enum mh_status
ticket_live(const struct ticket_conf *c, struct ticket_desk *d, void *state, struct mh_err *err)
{
	MH_AUTO(drop_fd) int lock = -1;
	struct life l = { .conf = c, .desk = d, .state = state };
	enum mh_status status = MH_OK;

	if (d->request->verb == VERB_RUN && !d->request->observe)
		status = lock_key(d->request, &lock, err);
	if (status != MH_OK)
		return status;
	ticket_texts_init(&l.texts);
	status = live(&l, err);
	ticket_texts_release(&l.texts);
	return status;
}
