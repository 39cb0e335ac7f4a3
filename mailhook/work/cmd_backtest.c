/* cmd_backtest.c: an archive of mail played through rules and time, in a ledger that is nowhere but in memory. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/work/archive.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/ledger/times.h"
#include "mailhook/work/pass.h"

struct play {
	struct work *w;
	const struct options *o;
	struct archive archive;
	struct pass pass;
	enum trust_level trust;
	const char **sources; /* own: by the ledger's id of the message; foreign strings */
	size_t n_sources;
	size_t taken;
};

/* -- playing ------------------------------------------------------------------------------------------------------- */

/* All that time brings about until then, each thing at its own instant. */
static enum mh_status
play_time(struct play *p, int64_t until, struct mh_err *err)
{
	int64_t next = 0;
	enum mh_status status;

	while ((status = ledger_times_next(p->w->db, &next, err)) == MH_OK && next <= until) {
		bool more = true;

		while (status == MH_OK && more)
			status = pass_time(p->w, &p->pass, next, &more, err);
		if (status != MH_OK)
			return status;
	}
	return status == MH_SKIP ? MH_OK : status;
}

/* The ledger counts messages from 1. */
static bool
note_source(struct play *p, int64_t message_id, const char *source)
{
	const size_t id = (size_t)message_id;

	if (id >= p->n_sources) {
		const size_t n = id + 256;
		const char **more = reallocarray(p->sources, n, sizeof(*more));

		if (more == NULL)
			return false;
		memset(more + p->n_sources, 0, (n - p->n_sources) * sizeof(*more));
		p->sources = more;
		p->n_sources = n;
	}
	if (p->sources[id] == NULL)
		p->sources[id] = source;
	return true;
}

static enum mh_status
play_message(struct play *p, const struct archived *m, struct mh_err *err)
{
	const struct mh_span raw = { m->raw, m->n };
	const struct envelope envelope = { .received = m->at };
	struct reading r = { 0 };
	struct taken taken = { 0 };
	struct arena a;

	arena_init(&a, MH_MAX_ARENA_BYTES);
	enum mh_status status = sandbox_read(&p->w->reader, raw, &a, &r, err);
	const struct incoming in = {
		.reading = &r, .raw = raw, .envelope = &envelope, .trust = p->trust, .trust_by = "backtest"
	};
	if (status == MH_OK)
		status = case_take(p->w, &in, m->at, &taken, err);
	if (status == MH_OK && taken.as != TAKEN_NOT && !note_source(p, taken.message_id, m->source))
		status = mh_fail(err, MH_RETRY, "no memory for the archive");
	p->taken += taken.as != TAKEN_NOT;
	arena_release(&a);
	return status;
}

static enum mh_status
play_all(struct play *p, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < p->archive.n && status == MH_OK; i++) {
		const struct archived *m = &p->archive.items[i];

		status = play_time(p, m->at, err);
		if (status == MH_OK)
			status = play_message(p, m, err);
	}
	return status == MH_OK ? play_time(p, clock_now(), err) : status;
}

/* -- telling ------------------------------------------------------------------------------------------------------- */

struct told { /* one case */
	const struct case_row *c;
	struct notice_rows notices;
	struct event_rows events;
	struct job_rows jobs;
};

static const char *
source_of(const struct play *p, int64_t message_id)
{
	const size_t id = (size_t)message_id;

	return id < p->n_sources && p->sources[id] != NULL ? p->sources[id] : "";
}

/* AWS's repeats are counted, not listed. */
static bool
is_told(const struct event_row *e)
{
	return strcmp(e->what, "notice") != 0;
}

static cJSON *
json_events(const struct told *t)
{
	cJSON *list = cJSON_CreateArray();

	for (size_t i = 0; i < t->events.n; i++) {
		const struct event_row *e = &t->events.items[i];

		if (!is_told(e))
			continue;
		cJSON *j = cJSON_CreateObject(), *actions = cJSON_CreateArray();
		(void)json_add_time(j, "at", e->at);
		(void)json_add_string(j, "what", e->what);
		(void)json_add_string(j, "detail", e->detail);
		for (size_t k = 0; k < t->jobs.n; k++)
			if (t->jobs.items[k].event_id == e->id)
				(void)cJSON_AddItemToArray(actions, cJSON_CreateString(t->jobs.items[k].action));
		(void)cJSON_AddItemToObject(j, "actions", actions);
		(void)cJSON_AddItemToArray(list, j);
	}
	return list;
}

static enum mh_status
tell_json(const struct play *p, const struct told *t, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	cJSON *messages = cJSON_CreateArray();
	struct buf line;

	buf_init(&line, (size_t)64 << 20);
	bool ok = case_json(j, t->c, clock_now());
	for (size_t i = 0; i < t->notices.n; i++)
		ok = cJSON_AddItemToArray(messages, cJSON_CreateString(source_of(p, t->notices.items[i].message_id))) &&
		     ok;
	ok = cJSON_AddItemToObject(j, "messages", messages) && ok;
	ok = cJSON_AddItemToObject(j, "events", json_events(t)) && ok && json_print(j, &line);
	if (ok)
		(void)printf("%.*s\n", (int)line.n, line.p);
	buf_release(&line);
	return ok ? MH_OK : mh_fail(err, MH_RETRY, "no memory for the answer");
}

static void
tell_event(const struct told *t, const struct event_row *e)
{
	char at[MH_TIME_TEXT], detail[400];
	bool any = false;

	(void)printf(
	    "  %s  %-10s %s", time_text(at, e->at), e->what, mh_escape(detail, sizeof(detail), span_of(e->detail)));
	for (size_t k = 0; k < t->jobs.n; k++) {
		if (t->jobs.items[k].event_id != e->id)
			continue;
		(void)printf("%s%s%s", any ? ", " : " -> ", t->jobs.items[k].action,
		    t->jobs.items[k].waiting_for == JOB_WAIT_TRUST ? " (waits for trust)" : "");
		any = true;
	}
	(void)putchar('\n');
}

static void
tell_words(const struct play *p, const struct told *t)
{
	const size_t n = t->notices.n;
	char shown[1200];
	struct buf words;

	buf_init(&words, 4096);
	case_words(t->c, &words);
	(void)printf("case %" PRId64 ": %s\n", t->c->id, mh_escape(shown, sizeof(shown), buf_span(&words)));
	buf_release(&words);
	(void)printf("  rule %s; notices: %zu", t->c->rule == NULL ? "none: nothing would be done" : t->c->rule, n);
	if (n > 0)
		(void)printf(", the first in %s",
		    mh_escape(shown, sizeof(shown), span_of(source_of(p, t->notices.items[0].message_id))));
	if (n > 1)
		(void)printf(", the last in %s",
		    mh_escape(shown, sizeof(shown), span_of(source_of(p, t->notices.items[n - 1].message_id))));
	(void)putchar('\n');
	for (size_t i = 0; i < t->events.n; i++)
		if (is_told(&t->events.items[i]))
			tell_event(t, &t->events.items[i]);
	(void)putchar('\n');
}

static int
by_id(const void *a, const void *b)
{
	const struct case_row *x = a, *y = b;

	return x->id < y->id ? -1 : x->id > y->id;
}

static enum mh_status
tell_cases(const struct play *p, size_t *ret_unread, struct mh_err *err)
{
	struct arena all, one;
	struct case_rows cases = { 0 };

	arena_init(&all, WORK_ARENA_BYTES);
	arena_init(&one, WORK_ARENA_BYTES);
	enum mh_status status = ledger_cases(p->w->db, true, &all, &cases, err);
	if (status == MH_OK && cases.n > 1)
		qsort(cases.items, cases.n, sizeof(*cases.items), by_id);
	for (size_t i = 0; i < cases.n && status == MH_OK; i++) {
		struct told t = { .c = &cases.items[i] };

		arena_reset(&one);
		*ret_unread += strcmp(t.c->kind, CASE_UNRECOGNISED) == 0;
		status = ledger_notices_of_case(p->w->db, t.c->id, &one, &t.notices, err);
		if (status == MH_OK)
			status = ledger_events(p->w->db, t.c->id, &one, &t.events, err);
		if (status == MH_OK)
			status = ledger_jobs_of_case(p->w->db, t.c->id, &one, &t.jobs, err);
		if (status == MH_OK && p->o->json)
			status = tell_json(p, &t, err);
		else if (status == MH_OK)
			tell_words(p, &t);
	}
	if (status == MH_OK && !p->o->json)
		(void)printf("%zu messages read: %zu irrelevant, %zu our own replies, %zu notices or like one; %zu "
			     "cases, %zu of them of mail that could not be read\n"
			     "every notice was taken as %s, and nobody renewed anything\n",
		    p->archive.read, p->archive.irrelevant, p->archive.own_replies, p->taken, cases.n, *ret_unread,
		    trust_names[p->trust]);
	arena_release(&one);
	arena_release(&all);
	return status;
}

/* -- the command --------------------------------------------------------------------------------------------------- */

static void
show_progress(size_t read, size_t kept)
{
	(void)fprintf(stderr, "\r%zu messages read, %zu of concern", read, kept);
}

static enum mh_status
read_paths(struct play *p, struct mh_err *err)
{
	enum mh_status status = MH_OK;
	const bool terminal = isatty(STDERR_FILENO) == 1;

	if (p->o->n_operands == 0)
		return mh_fail(err, MH_BAD, "backtest: which mail? PATH is a message, a Maildir or an mbox");
	p->archive.progress = terminal ? show_progress : NULL;
	for (size_t i = 0; i < p->o->n_operands && status == MH_OK; i++)
		status = archive_read(&p->archive, &p->w->reader, p->o->operands[i], err);
	if (terminal && p->archive.read > 0) {
		show_progress(p->archive.read, p->archive.n);
		(void)fputc('\n', stderr);
	}
	if (p->archive.dropped > 0)
		work_log("%zu messages are left out: what is of concern is more than %zu MB", p->archive.dropped,
		    ARCHIVE_MAX_BYTES >> 20);
	if (p->archive.undated > 0)
		work_log("%zu messages have no Date that can be read: each is played with the one before it",
		    p->archive.undated);
	archive_sort(&p->archive);
	return status;
}

static enum mh_status
set_up(struct play *p, bool *ret_right, struct mh_err *err)
{
	const struct db_options memory = { .create = true };
	enum mh_status status = work_load(p->w, p->o->config, err);

	if (status == MH_OK && p->o->trust != NULL) {
		int level = TRUST_VERIFIED;

		while (level >= TRUST_UNVERIFIED && strcmp(trust_names[level], p->o->trust) != 0)
			level--;
		if (level < TRUST_UNVERIFIED)
			return mh_fail(err, MH_BAD, "backtest: --trust is verified, relayed or unverified");
		p->trust = (enum trust_level)level;
	}
	if (status != MH_OK)
		return status;
	/* What has nothing to do with the archive makes no cases beside those of it. */
	p->w->conf->n_credentials = 0;
	p->w->conf->n_mailboxes = 0;
	status = work_read_definitions(p->w, ret_right, err);
	return status == MH_OK ? ledger_open(&sqlite_engine, ":memory:", &memory, &p->w->db, err) : status;
}

int
backtest_command(const struct options *o)
{
	struct work w = { 0 };
	struct play p = { .w = &w, .o = o, .trust = TRUST_VERIFIED };
	struct mh_err err = { 0 };
	bool right = true;
	size_t unread = 0;
	enum mh_status status = set_up(&p, &right, &err);

	if (status == MH_OK)
		status = read_paths(&p, &err);
	if (status == MH_OK)
		status = play_all(&p, &err);
	if (status == MH_OK)
		status = tell_cases(&p, &unread, &err);
	if (status != MH_OK)
		work_log("%s", err.text);
	const size_t troubles = p.archive.troubles + p.archive.dropped;
	archive_release(&p.archive);
	free(p.sources);
	work_release(&w);
	if (status != MH_OK)
		return work_exit(status);
	return unread > 0 || troubles > 0 || !right ? EXIT_ATTENTION : EXIT_OK;
}
