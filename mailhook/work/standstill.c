/* standstill.c: see standstill.h. */
#include "mailhook/work/standstill.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/work/ledger/upkeep.h"

#define STANDSTILL_ARENA_BYTES ((size_t)16 << 20)

enum mh_status
standstill_jobs(struct work *w, bool worker, bool others, int64_t now, char ret[STANDSTILL_WORDS], struct mh_err *err)
{
	const int64_t before = now - (worker || others ? STANDSTILL_WORKER_S : STANDSTILL_NOBODY_S);
	const char *who = worker ? "the worker runs" : others ? "other nodes work" : "no worker runs";
	struct arena a;
	struct job_rows due = { 0 };
	char t[MH_TIME_TEXT];
	int64_t left = 0;

	ret[0] = '\0';
	arena_init(&a, STANDSTILL_ARENA_BYTES);
	enum mh_status status = ledger_jobs_due(w->db, before, 1, &a, &due, err);
	if (status == MH_OK)
		status = db_one(w->db, "SELECT count(*) FROM jobs WHERE state = 'running' AND lease_until < $1",
		    DB_ARGS(db_time(t, before)), &left, err);
	if (status == MH_OK && due.n > 0)
		(void)snprintf(ret, STANDSTILL_WORDS, "%s, and a job of case %" PRId64 " is due since %s", who,
		    due.items[0].case_id, time_text(t, due.items[0].due));
	else if (status == MH_OK && left > 0 && !worker)
		(void)snprintf(ret, STANDSTILL_WORDS, "%s, and the last one left an action unfinished", who);
	arena_release(&a);
	return status;
}

enum mh_status
standstill_pause(struct work *w, int64_t now, char ret[STANDSTILL_WORDS], struct mh_err *err)
{
	struct arena a;
	struct pause_rows pauses = { 0 };

	ret[0] = '\0';
	arena_init(&a, STANDSTILL_ARENA_BYTES);
	const enum mh_status status = ledger_pauses(w->db, &a, &pauses, err);
	for (size_t i = 0; i < pauses.n && status == MH_OK; i++) {
		const struct pause_row *p = &pauses.items[i];
		const bool own = p->why[0] != '\0'; /* a person gives no reason */
		char t[MH_TIME_TEXT], by[80], why[120];

		if (strcmp(p->scope, "all") == 0 && (own || now - p->since > STANDSTILL_PAUSE_S))
			(void)snprintf(ret, STANDSTILL_WORDS,
			    "everything is paused since %s by %s%s%s; 'mailhook resume' lets it go on",
			    time_text(t, p->since), mh_escape(by, sizeof(by), span_of(p->by)), own ? ": " : "",
			    mh_escape(why, sizeof(why), span_of(p->why)));
	}
	arena_release(&a);
	return status;
}
