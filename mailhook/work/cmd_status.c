/* cmd_status.c: whether all is well. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "mailhook/clock.h"
#include "mailhook/json.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"

struct state {
	bool worker, intake_readable, ledger;
	int64_t intake, oldest_s, bad;                /* oldest_s: age of the oldest message in it */
	int64_t cases_open, drills_open, failed_open; /* drills stand apart */
	int64_t jobs[JOB_SKIPPED + 1];
	int64_t quarantine, quarantine_bytes, quarantine_dropped, flood_dropped;
};

static bool
ends_in(const char *name, const char *end)
{
	const size_t n = strlen(name), k = strlen(end);

	return n > k && strcmp(name + n - k, end) == 0;
}

static void
look_at_intake(const char *folder, int64_t now, struct state *s)
{
	DIR *d = opendir(folder);
	const struct dirent *e;

	if (d == NULL)
		return;
	s->intake_readable = true;
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

static enum mh_status
look_at_ledger(struct work *w, struct state *s, struct mh_err *err)
{
	enum mh_status status = work_open_ledger(w, false, err);

	if (status == MH_SKIP)
		return MH_OK; /* nothing has come yet */
	s->ledger = status == MH_OK;
	if (status == MH_OK)
		status = db_one(w->db, "SELECT count(*) FROM cases WHERE state = 'open' AND reason IS DISTINCT FROM $1",
		    DB_ARGS(db_str(CASE_DRILL)), &s->cases_open, err);
	if (status == MH_OK)
		status = db_one(w->db, "SELECT count(*) FROM cases WHERE state = 'open' AND reason = $1",
		    DB_ARGS(db_str(CASE_DRILL)), &s->drills_open, err);
	if (status == MH_OK)
		status = db_one(w->db,
		    "SELECT count(*) FROM jobs j JOIN cases c ON c.id = j.case_id WHERE c.state = 'open' AND j.state = "
		    "'failed' AND c.reason IS DISTINCT FROM $1",
		    DB_ARGS(db_str(CASE_DRILL)), &s->failed_open, err);
	if (status == MH_OK)
		status = ledger_job_counts(w->db, s->jobs, err);
	if (status == MH_OK)
		status = ledger_quarantine(w->db, &s->quarantine, &s->quarantine_bytes, err);
	if (status == MH_OK)
		status = ledger_meta_count(w->db, "quarantine-dropped", &s->quarantine_dropped, err);
	if (status == MH_OK)
		status = ledger_meta_count(w->db, "flood-dropped", &s->flood_dropped, err);
	return status;
}

static void
print_text(const struct state *s)
{
	(void)printf("worker      %s\n", s->worker ? "runs" : "does not run");
	if (!s->intake_readable)
		(void)puts("intake      there is none yet");
	else if (s->intake == 0)
		(void)puts("intake      empty");
	else
		(void)printf("intake      %lld messages, the oldest waits for %lld s\n", (long long)s->intake,
		    (long long)s->oldest_s);
	if (s->bad > 0)
		(void)printf("set aside   %lld files that are no messages (*.bad in the intake)\n", (long long)s->bad);
	(void)printf("cases       %lld open\n", (long long)s->cases_open);
	if (s->drills_open > 0)
		(void)printf("drills      %lld open\n", (long long)s->drills_open);
	(void)printf("jobs        ");
	for (size_t i = 0; i <= JOB_SKIPPED; i++)
		(void)printf("%s%lld %s", i == 0 ? "" : ", ", (long long)s->jobs[i], job_state_names[i]);
	(void)printf("\nquarantine  %lld messages, %lld bytes, %lld dropped\n", (long long)s->quarantine,
	    (long long)s->quarantine_bytes, (long long)s->quarantine_dropped);
	(void)printf("floods      %lld notices kept out\n", (long long)s->flood_dropped);
}

static enum mh_status
print_json(const struct state *s, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	struct buf out;
	bool ok = j != NULL && cJSON_AddBoolToObject(j, "worker", s->worker) != NULL &&
		  json_add_integer(j, "intake", s->intake) && json_add_integer(j, "intake_oldest_s", s->oldest_s) &&
		  json_add_integer(j, "set_aside", s->bad) && json_add_integer(j, "cases_open", s->cases_open) &&
		  json_add_integer(j, "drills_open", s->drills_open);

	buf_init(&out, 65536);
	cJSON *jobs = ok ? cJSON_AddObjectToObject(j, "jobs") : NULL;
	ok = ok && jobs != NULL;
	for (size_t i = 0; ok && i <= JOB_SKIPPED; i++)
		ok = json_add_integer(jobs, job_state_names[i], s->jobs[i]);
	ok = ok && json_add_integer(j, "quarantine", s->quarantine) &&
	     json_add_integer(j, "quarantine_bytes", s->quarantine_bytes) &&
	     json_add_integer(j, "quarantine_dropped", s->quarantine_dropped) &&
	     json_add_integer(j, "flood_dropped", s->flood_dropped) && json_print(j, &out);
	if (ok)
		(void)puts(out.p);
	buf_release(&out);
	return ok ? MH_OK : mh_fail(err, MH_RETRY, "no memory for the status");
}

int
status_command(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct state s = { 0 };
	enum mh_status status;

	if (o->alarm)
		return alarm_command(o);
	status = work_load(&w, o->config, &err);
	if (status == MH_OK) {
		s.worker = lock_held(w.conf->state_dir);
		look_at_intake(w.conf->intake_dir, clock_now(), &s);
		status = look_at_ledger(&w, &s, &err);
	}
	if (status == MH_OK && o->json)
		status = print_json(&s, &err);
	else if (status == MH_OK)
		print_text(&s);
	if (status != MH_OK)
		work_log("%s", err.text);
	work_release(&w);
	if (status == MH_OK && (s.failed_open > 0 || s.bad > 0 || (s.intake > 0 && !s.worker)))
		return EXIT_ATTENTION;
	return work_exit(status);
}
