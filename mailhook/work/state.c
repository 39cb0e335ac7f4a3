/* state.c: see state.h. Source of the text format: Prometheus, exposition formats; names by its naming practices. */
#include "mailhook/work/state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mailhook/json.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/ledger/refusals.h"
#include "parsers/parser.h"

#define STATE_ARENA_BYTES ((size_t)8 << 20)

/* -- looking ------------------------------------------------------------------------------------------------------- */

static bool
ends_in(const char *name, const char *end)
{
	const size_t n = strlen(name), k = strlen(end);

	return n > k && strcmp(name + n - k, end) == 0;
}

void
state_look_at_intake(const char *folder, int64_t now, struct state *s)
{
	DIR *d = opendir(folder);
	const struct dirent *e;

	s->intake_errno = d == NULL ? errno : 0;
	if (d == NULL)
		return;
	while ((e = readdir(d)) != NULL) { /* NOLINT(concurrency-mt-unsafe): there is one thread */
		struct stat st;

		s->bad += ends_in(e->d_name, ".bad");
		if (e->d_name[0] == '.' || !ends_in(e->d_name, ".msg"))
			continue;
		s->intake++;
		if (fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    now - st.st_mtim.tv_sec > s->oldest_s)
			s->oldest_s = now - st.st_mtim.tv_sec;
	}
	(void)closedir(d);
}

static void
count_wrong(void *user, const char *line)
{
	struct state *s = user;

	if (s->wrong++ == 0)
		(void)mh_escape(s->wrong_first, sizeof(s->wrong_first), span_of(line));
}

void
state_look_at_definitions(const char *folder, struct state *s)
{
	struct definitions *d = definitions_new();
	struct mh_err err = { 0 };

	if (d != NULL && definitions_add_folder(d, folder, count_wrong, s, &err) == MH_RETRY && s->wrong == 0)
		count_wrong(s, err.text);
	definitions_free(d);
}

/* How long ago the time was that is the one column of the one row; 0: there is none. */
static enum mh_status
age(struct db *db, const char *sql, const struct db_value *args, size_t n_args, int64_t now, int64_t *ret,
    struct mh_err *err)
{
	bool known = false;
	int64_t at = now;
	const enum mh_status status = db_one_time(db, sql, args, n_args, &known, &at, err);

	if (status == MH_OK)
		*ret = known && at < now ? now - at : 0;
	return status;
}

static enum mh_status
look_at_cases(struct db *db, int64_t now, struct state *s, struct mh_err *err)
{
	static const char between[] =
	    "SELECT count(*) FROM cases WHERE state = 'open' AND expires >= $1 AND expires < $2";
	char from[MH_TIME_TEXT], to[MH_TIME_TEXT];
	enum mh_status status = db_one(db, "SELECT count(*) FROM cases WHERE state = 'open' AND reason = $1",
	    DB_ARGS(db_str(CASE_DRILL)), &s->drills_open, err);

	if (status == MH_OK)
		status = db_one(db, "SELECT count(*) FROM cases WHERE state = 'open'", NULL, 0, &s->cases_open, err);
	s->cases_open -= s->drills_open;
	if (status == MH_OK)
		status = db_one(db, "SELECT count(*) FROM cases WHERE state = 'open' AND expires < $1",
		    DB_ARGS(db_time(to, now)), &s->expired, err);
	if (status == MH_OK)
		status = db_one(
		    db, between, DB_ARGS(db_time(from, now), db_time(to, now + 7 * MH_DAY_S)), &s->within_7d, err);
	if (status == MH_OK)
		status = db_one(
		    db, between, DB_ARGS(db_time(from, now), db_time(to, now + 30 * MH_DAY_S)), &s->within_30d, err);
	return status;
}

static enum mh_status
look_at_jobs(struct db *db, int64_t now, struct state *s, struct mh_err *err)
{
	static const char waiting[] = "SELECT count(*) FROM jobs j JOIN cases c ON c.id = j.case_id WHERE "
				      "j.state = 'waiting' AND j.waiting_for = $1 AND c.state = 'open'";
	char t[MH_TIME_TEXT];
	enum mh_status status = ledger_job_counts(db, s->jobs, err);

	if (status == MH_OK)
		status = db_one(db,
		    "SELECT count(*) FROM jobs j JOIN cases c ON c.id = j.case_id WHERE c.state = 'open' AND "
		    "j.state = 'failed' AND c.reason IS DISTINCT FROM $1",
		    DB_ARGS(db_str(CASE_DRILL)), &s->failed_open, err);
	if (status == MH_OK)
		status = db_one(db, "SELECT count(*) FROM jobs WHERE state IN ('queued', 'waiting') AND due <= $1",
		    DB_ARGS(db_time(t, now)), &s->due, err);
	if (status == MH_OK)
		status = age(db, "SELECT min(due) FROM jobs WHERE state IN ('queued', 'waiting') AND due <= $1",
		    DB_ARGS(db_time(t, now)), now, &s->oldest_due_s, err);
	if (status == MH_OK)
		status = db_one(db, waiting, DB_ARGS(db_str(job_wait_names[JOB_WAIT_INPUT])), &s->inputs, err);
	if (status == MH_OK)
		status = db_one(db, waiting, DB_ARGS(db_str(job_wait_names[JOB_WAIT_APPROVAL])), &s->approvals, err);
	if (status == MH_OK)
		status = age(db,
		    "SELECT min(COALESCE(j.started, j.created)) FROM jobs j JOIN cases c ON c.id = j.case_id WHERE "
		    "j.state = 'waiting' AND j.waiting_for = 'approval' AND c.state = 'open'",
		    NULL, 0, now, &s->oldest_approval_s, err);
	return status;
}

static enum mh_status
look_at_refusals(struct db *db, struct state *s, struct mh_err *err)
{
	int64_t now = 0;
	const enum mh_status status = db->engine->now(db, &now, err);

	return status == MH_OK ? ledger_refusals_count(db, now, &s->left, &s->left_by_all, err) : status;
}

static enum mh_status
look_at_pauses(struct db *db, int64_t now, struct state *s, struct mh_err *err)
{
	static const char counted[] = "SELECT count(*) FROM pauses WHERE scope = $1";
	enum mh_status status = db_one(db, counted, DB_ARGS(db_str("all")), &s->paused_all, err);

	if (status == MH_OK)
		status = db_one(db, counted, DB_ARGS(db_str("rule")), &s->paused_rules, err);
	if (status == MH_OK)
		status = db_one(db, counted, DB_ARGS(db_str("action")), &s->paused_actions, err);
	if (status == MH_OK)
		status = age(db, "SELECT min(since) FROM pauses", NULL, 0, now, &s->oldest_pause_s, err);
	return status;
}

static enum mh_status
look_at_ledger(struct work *w, int64_t now, struct state *s, struct mh_err *err)
{
	enum mh_status status = look_at_cases(w->db, now, s, err);

	if (status == MH_OK)
		status = look_at_jobs(w->db, now, s, err);
	if (status == MH_OK)
		status = look_at_pauses(w->db, now, s, err);
	if (status == MH_OK)
		status = look_at_refusals(w->db, s, err);
	if (status == MH_OK)
		status = ledger_quarantine(w->db, &s->quarantine, &s->quarantine_bytes, err);
	if (status == MH_OK)
		status = ledger_meta_count(w->db, "quarantine-dropped", &s->quarantine_dropped, err);
	if (status == MH_OK)
		status = ledger_meta_count(w->db, "flood-dropped", &s->flood_dropped, err);
	if (status == MH_OK)
		status = nodes_look(w, &s->arena, &s->nodes, err);
	if (status == MH_OK)
		status = standstill_jobs(w, s->worker, !s->worker && nodes_work(&s->nodes), now, s->jobs_stand, err);
	return status;
}

enum mh_status
state_read(struct work *w, bool worker, int64_t now, struct state *ret, struct mh_err *err)
{
	struct state s = { .worker = worker };
	enum mh_status status = MH_OK;

	arena_init(&s.arena, STATE_ARENA_BYTES);
	state_look_at_intake(w->conf->intake_dir, now, &s);
	state_look_at_definitions(w->conf->definitions_dir, &s);
	if (w->db != NULL)
		status = look_at_ledger(w, now, &s, err);
	if (status == MH_RETRY) {
		(void)snprintf(s.away, sizeof(s.away), "%s", err->text);
		s.nodes = (struct node_looks){ 0 };
		status = MH_OK;
	}
	struct work here = *w;
	if (s.away[0] != '\0')
		here.db = NULL;
	if (status == MH_OK)
		status = mailboxes_look(&here, &s.arena, now, &s.mailboxes, err);
	if (status == MH_OK)
		*ret = s;
	else
		state_release(&s);
	return status;
}

void
state_release(struct state *s)
{
	arena_release(&s->arena);
	s->mailboxes = (struct mailbox_rows){ 0 };
	s->nodes = (struct node_looks){ 0 };
}

bool
state_intake_closed(const struct state *s)
{
	return s->intake_errno != 0 && s->intake_errno != ENOENT;
}

bool
state_attention(const struct state *s)
{
	for (size_t i = 0; i < s->mailboxes.n; i++)
		if (s->mailboxes.items[i].silent || s->mailboxes.items[i].again > 0)
			return true;
	if (s->away[0] != '\0' || s->jobs_stand[0] != '\0' || s->paused_all > 0 || nodes_attention(&s->nodes))
		return true;
	if (state_intake_closed(s) || (s->intake > 0 && (!s->worker || s->oldest_s > STANDSTILL_WORKER_S)))
		return true;
	return s->failed_open > 0 || s->left_by_all > 0 || s->bad > 0 || s->wrong > 0;
}

/* -- telling ------------------------------------------------------------------------------------------------------- */

/* What stands in a ledger that cannot be read is null. */
static bool
add(cJSON *j, const struct state *s, const char *key, int64_t value)
{
	return s->away[0] == '\0' ? json_add_integer(j, key, value) : json_add_string(j, key, NULL);
}

/* The same of the intake. */
static bool
add_intake(cJSON *j, const struct state *s, const char *key, int64_t value)
{
	return state_intake_closed(s) ? json_add_string(j, key, NULL) : json_add_integer(j, key, value);
}

static bool
add_jobs(cJSON *j, const struct state *s)
{
	cJSON *jobs = s->away[0] == '\0' ? cJSON_AddObjectToObject(j, "jobs") : cJSON_AddNullToObject(j, "jobs");
	bool ok = jobs != NULL;

	for (size_t i = 0; ok && s->away[0] == '\0' && i <= JOB_SKIPPED; i++)
		ok = json_add_integer(jobs, job_state_names[i], s->jobs[i]);
	return ok && add(j, s, "failed_open", s->failed_open) && add(j, s, "due", s->due) &&
	       add(j, s, "due_oldest_s", s->oldest_due_s) && add(j, s, "approvals", s->approvals) &&
	       add(j, s, "approval_oldest_s", s->oldest_approval_s) && add(j, s, "inputs", s->inputs) &&
	       add(j, s, "left", s->left) && add(j, s, "left_by_all", s->left_by_all);
}

enum mh_status
state_json(struct work *w, const struct state *s, struct buf *out, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	bool ok = j != NULL && cJSON_AddBoolToObject(j, "worker", s->worker) != NULL &&
		  json_add_string(j, "ledger_trouble", s->away[0] == '\0' ? NULL : s->away) &&
		  add_intake(j, s, "intake", s->intake) && add_intake(j, s, "intake_oldest_s", s->oldest_s) &&
		  add_intake(j, s, "set_aside", s->bad) && json_add_integer(j, "definitions_wrong", s->wrong) &&
		  add(j, s, "cases_open", s->cases_open) && add(j, s, "drills_open", s->drills_open) &&
		  add(j, s, "expired", s->expired) && add(j, s, "within_7d", s->within_7d) &&
		  add(j, s, "within_30d", s->within_30d) && add_jobs(j, s) && add(j, s, "quarantine", s->quarantine) &&
		  add(j, s, "quarantine_bytes", s->quarantine_bytes) &&
		  add(j, s, "quarantine_dropped", s->quarantine_dropped) &&
		  add(j, s, "flood_dropped", s->flood_dropped) && nodes_json(&s->nodes, j) &&
		  mailboxes_json(&s->mailboxes, j);

	if (ok && s->away[0] != '\0')
		ok = json_add_string(j, "paused", NULL);
	const enum mh_status status = ok && s->away[0] == '\0' ? pause_json(w, NULL, j, err) : MH_OK;
	if (status != MH_OK)
		return status;
	return ok && json_print(j, out) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for the status");
}

struct metric {
	const char *name, *type, *help; /* type and help NULL: another value of the family above */
	const char *label;              /* NULL: none */
	int64_t value;
};

static void
put_metrics(const struct metric *metrics, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct metric *m = &metrics[i];

		if (m->help != NULL)
			buf_printf(
			    out, "# HELP mailhook_%s %s\n# TYPE mailhook_%s %s\n", m->name, m->help, m->name, m->type);
		buf_printf(out, "mailhook_%s%s%s%s %" PRId64 "\n", m->name, m->label == NULL ? "" : "{",
		    m->label == NULL ? "" : m->label, m->label == NULL ? "" : "}", m->value);
	}
}

void
state_prometheus(const struct state *s, int64_t now, struct buf *out)
{
	const struct metric here[] = {
		{ "info", "gauge", "The version that runs.", "version=\"" MAILHOOK_VERSION "\"", 1 },
		{ "worker_running", "gauge", "Whether a worker holds the lock.", NULL, s->worker },
		{ "ledger_readable", "gauge", "Whether the ledger can be read now.", NULL, s->away[0] == '\0' },
		{ "definitions_wrong", "gauge", "What is wrong in definitions of one's own.", NULL, s->wrong },
		{ "written_timestamp_seconds", "gauge", "When these numbers were taken.", NULL, now },
	};
	const struct metric of_intake[] = {
		{ "intake_messages", "gauge", "Messages taken and not yet worked.", NULL, s->intake },
		{ "intake_oldest_seconds", "gauge", "Age of the oldest of them.", NULL, s->oldest_s },
		{ "intake_set_aside_files", "gauge", "Files in the intake that cannot be taken.", NULL, s->bad },
	};
	const struct metric of_ledger[] = {
		{ "cases_open", "gauge", "Open cases, drills left out.", NULL, s->cases_open },
		{ "drills_open", "gauge", "Open cases of drills.", NULL, s->drills_open },
		{ "cases_expired", "gauge", "Open cases whose expiry is past.", NULL, s->expired },
		{ "cases_expiring", "gauge", "Open cases that expire within that time.", "within=\"7d\"",
		    s->within_7d },
		{ "cases_expiring", NULL, NULL, "within=\"30d\"", s->within_30d },
		{ "jobs", "gauge", "Jobs by state.", "state=\"queued\"", s->jobs[JOB_QUEUED] },
		{ "jobs", NULL, NULL, "state=\"running\"", s->jobs[JOB_RUNNING] },
		{ "jobs", NULL, NULL, "state=\"waiting\"", s->jobs[JOB_WAITING] },
		{ "jobs", NULL, NULL, "state=\"done\"", s->jobs[JOB_DONE] },
		{ "jobs", NULL, NULL, "state=\"failed\"", s->jobs[JOB_FAILED] },
		{ "jobs", NULL, NULL, "state=\"skipped\"", s->jobs[JOB_SKIPPED] },
		{ "jobs_failed_open", "gauge", "Failed jobs of open cases, drills left out.", NULL, s->failed_open },
		{ "jobs_due", "gauge", "Jobs whose time has come.", NULL, s->due },
		{ "jobs_due_oldest_seconds", "gauge", "How long the longest of them waits.", NULL, s->oldest_due_s },
		{ "approvals_waiting", "gauge", "Jobs that wait for a person's approval.", NULL, s->approvals },
		{ "approvals_oldest_seconds", "gauge", "How long the longest of them waits.", NULL,
		    s->oldest_approval_s },
		{ "inputs_waiting", "gauge", "Jobs that wait for what only a person can give.", NULL, s->inputs },
		{ "jobs_left", "gauge", "Jobs that nodes leave to others, which may have what they lack.",
		    "by=\"some\"", s->left - s->left_by_all },
		{ "jobs_left", NULL, NULL, "by=\"all\"", s->left_by_all },
		{ "quarantine_messages", "gauge", "Unread messages that are kept.", NULL, s->quarantine },
		{ "quarantine_bytes", "gauge", "Their size.", NULL, s->quarantine_bytes },
		{ "quarantine_dropped_total", "counter", "Unread messages that were not kept.", NULL,
		    s->quarantine_dropped },
		{ "flood_dropped_total", "counter", "Notices that went into the digest case.", NULL, s->flood_dropped },
		{ "paused", "gauge", "Whether everything is paused; how many rules and actions are.", "scope=\"all\"",
		    s->paused_all },
		{ "paused", NULL, NULL, "scope=\"rule\"", s->paused_rules },
		{ "paused", NULL, NULL, "scope=\"action\"", s->paused_actions },
		{ "paused_oldest_seconds", "gauge", "Age of the oldest pause.", NULL, s->oldest_pause_s },
	};

	put_metrics(here, sizeof(here) / sizeof(here[0]), out);
	if (!state_intake_closed(s))
		put_metrics(of_intake, sizeof(of_intake) / sizeof(of_intake[0]), out);
	if (s->away[0] == '\0')
		put_metrics(of_ledger, sizeof(of_ledger) / sizeof(of_ledger[0]), out);
	nodes_prometheus(&s->nodes, out);
	mailboxes_prometheus(&s->mailboxes, out);
}
