/* upkeep.c: how far a ledger came, what it lets go with time, and copies of it. */
#include "mailhook/work/ledger/upkeep.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/work/ledger/rows.h"

#define PURGE_ARENA_BYTES ((size_t)64 << 20) /* ids of the messages of at most max cases */

/* What purge let go of a shared ledger's events. SQLite has its own count; a server's sequence runs ahead of what is
 * there, and a standby's by another number (sequences are logged 32 at a time). */
#define META_EVENTS_GONE "events-gone"

enum mh_status
ledger_last_event(struct db *db, int64_t *ret, struct mh_err *err)
{
	int64_t n = 0;
	enum mh_status status;

	if (db->engine->local) {
		status = db_one(db, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", NULL, 0, &n, err);
		if (status == MH_SKIP)
			status = MH_OK;
	} else {
		status = db_one(db,
		    "SELECT max(n) FROM (SELECT COALESCE(max(id), 0) AS n FROM events UNION ALL SELECT CAST(value AS "
		    "bigint) FROM meta WHERE name = '" META_EVENTS_GONE "') AS numbers",
		    NULL, 0, &n, err);
	}
	if (status == MH_OK)
		*ret = n;
	return status;
}

enum mh_status
ledger_last_event_raise(struct db *db, int64_t to, struct mh_err *err)
{
	char text[24];
	int64_t gone = 0;
	enum mh_status status = MH_OK;

	if (!db->engine->local)
		status = ledger_meta_count(db, META_EVENTS_GONE, &gone, err);
	if (status != MH_OK || to <= gone)
		return status;
	(void)snprintf(text, sizeof(text), "%" PRId64, to);
	return ledger_meta_set(db, META_EVENTS_GONE, text, err);
}

enum mh_status
ledger_event_there(struct db *db, const struct db_note *note, bool *ret, struct mh_err *err)
{
	struct db_note own = { 0 };
	int64_t gone = 0;
	enum mh_status status = ledger_meta_count(db, META_EVENTS_GONE, &gone, err);

	if (status == MH_OK && note->n <= gone) {
		*ret = true;
		return MH_OK;
	}
	if (status == MH_OK)
		status = ledger_event_note(db, note->n, &own, err);
	if (status != MH_OK && status != MH_SKIP)
		return status;
	*ret = status == MH_OK && strcmp(own.words, note->words) == 0;
	return MH_OK;
}

/* -- retention ----------------------------------------------------------------------------------------------------- */

#define AT_ONCE 16 /* ids of one statement */
#define IDS "($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)"

struct ids {
	int64_t *items;
	size_t n, cap;
};

/* Runs a statement with IDS for all of them, so many at a time that one text does: the last one fills up what is left. */
static enum mh_status
for_all(struct db *db, const char *sql, const struct ids *ids, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t from = 0; from < ids->n && status == MH_OK; from += AT_ONCE) {
		struct db_value args[AT_ONCE];
		for (size_t i = 0; i < AT_ONCE; i++)
			args[i] = db_int(ids->items[from + i < ids->n ? from + i : ids->n - 1]);
		status = db_run(db, sql, args, AT_ONCE, err);
	}
	return status;
}

static enum mh_status
collect(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct arena *a, struct ids *ids,
    struct mh_err *err)
{
	struct row_list list = { row_id, sizeof(*ids->items), ids->items, ids->n, ids->cap };
	const enum mh_status status = rows_all(db, sql, args, n_args, a, &list, err);

	if (status == MH_OK)
		*ids = (struct ids){ list.items, list.n, list.cap };
	return status;
}

/* Messages of these cases, before their notices go. */
static enum mh_status
collect_messages(struct db *db, const struct ids *cases, struct arena *a, struct ids *ret, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < cases->n && status == MH_OK; i++)
		status = collect(db, "SELECT DISTINCT message_id FROM notices WHERE case_id = $1",
		    DB_ARGS(db_int(cases->items[i])), a, ret, err);
	return status;
}

static enum mh_status
last_event_of(struct db *db, const struct ids *cases, int64_t *ret, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < cases->n && status == MH_OK && !db->engine->local; i++) {
		int64_t last = 0;

		status = db_one(db, "SELECT COALESCE(max(id), 0) FROM events WHERE case_id = $1",
		    DB_ARGS(db_int(cases->items[i])), &last, err);
		if (last > *ret)
			*ret = last;
	}
	return status;
}

/* What belongs to the cases goes, then they, then messages that belong to nothing now. Jobs point at events. */
static enum mh_status
drop_cases(struct db *db, const struct ids *cases, const struct ids *messages, struct mh_err *err)
{
	static const char *const steps[] = {
		"DELETE FROM refusals WHERE job_id IN (SELECT id FROM jobs WHERE case_id IN " IDS ")",
		"DELETE FROM claims WHERE case_id IN " IDS,
		"DELETE FROM jobs WHERE case_id IN " IDS,
		"DELETE FROM events WHERE case_id IN " IDS,
		"DELETE FROM approvals WHERE case_id IN " IDS,
		"DELETE FROM renewals WHERE case_id IN " IDS,
		"DELETE FROM notices WHERE case_id IN " IDS,
		"DELETE FROM cases WHERE id IN " IDS,
	};
	static const char drop_messages[] =
	    "DELETE FROM messages WHERE id IN " IDS
	    " AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.message_id = messages.id)";
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == MH_OK; i++)
		status = for_all(db, steps[i], cases, err);
	return status == MH_OK ? for_all(db, drop_messages, messages, err) : status;
}

static enum mh_status
purge_cases(struct db *db, size_t max, struct purge *p, bool *ret_more, struct mh_err *err)
{
	struct ids cases = { 0 }, messages = { 0 };
	char before[MH_TIME_TEXT];
	int64_t last = 0;
	struct arena a;

	if (p->cases_before == INT64_MIN)
		return MH_OK;
	arena_init(&a, PURGE_ARENA_BYTES);
	/* a job that is not over yet keeps its case */
	enum mh_status status = collect(db,
	    "SELECT c.id FROM cases c WHERE c.state = 'closed' AND c.closed < $1 AND NOT EXISTS (SELECT 1 FROM jobs j "
	    "WHERE j.case_id = c.id AND j.state IN ('queued', 'running', 'waiting')) ORDER BY c.id LIMIT $2",
	    DB_ARGS(db_time(before, p->cases_before), db_int((int64_t)max)), &a, &cases, err);
	if (status == MH_OK)
		status = collect_messages(db, &cases, &a, &messages, err);
	if (status == MH_OK)
		status = last_event_of(db, &cases, &last, err);
	if (status == MH_OK)
		status = ledger_last_event_raise(db, last, err);
	if (status == MH_OK)
		status = drop_cases(db, &cases, &messages, err);
	arena_release(&a);
	p->cases += cases.n;
	*ret_more = *ret_more || cases.n == max;
	return status;
}

static enum mh_status
purge_mail(struct db *db, size_t max, struct purge *p, bool *ret_more, struct mh_err *err)
{
	char before[MH_TIME_TEXT];
	const enum mh_status status = db_run(db,
	    "UPDATE messages SET raw = NULL, quarantined = 0 WHERE id IN (SELECT m.id FROM messages m WHERE m.raw IS "
	    "NOT NULL AND m.received < $1 AND NOT EXISTS (SELECT 1 FROM notices n JOIN cases c ON c.id = n.case_id "
	    "WHERE n.message_id = m.id AND (c.state = 'open' OR c.closed >= $1)) ORDER BY m.id LIMIT $2)",
	    DB_ARGS(db_time(before, p->mail_before), db_int((int64_t)max)), err);

	if (status != MH_OK)
		return status;
	const size_t n = (size_t)db->engine->changed(db);
	p->messages += n;
	*ret_more = *ret_more || n == max;
	return MH_OK;
}

static enum mh_status
purge_once(struct db *db, size_t max, struct purge *p, bool *ret_more, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct purge done = *p;
	bool more = false;
	enum mh_status status = db_tx_begin(db, &tx, err);

	if (status == MH_OK)
		status = purge_mail(db, max, &done, &more, err);
	if (status == MH_OK)
		status = purge_cases(db, max, &done, &more, err);
	if (status == MH_OK)
		status = db_tx_commit(&tx, err);
	if (status != MH_OK)
		return status;
	*p = done;
	*ret_more = more;
	return MH_OK;
}

enum mh_status
ledger_purge(struct db *db, size_t max, struct purge *p, bool *ret_more, struct mh_err *err)
{
	int tries = 0;
	enum mh_status status;

	do { /* what went before an answer was lost is not there any more: only the count misses it */
		status = purge_once(db, max, p, ret_more, err);
	} while (db_again(db, status, &tries));
	return status;
}

enum mh_status
ledger_empty_percent(struct db *db, int64_t *ret, struct mh_err *err)
{
	int64_t pages = 0, empty = 0;

	if (!db->engine->local) { /* the server's own vacuum does that */
		*ret = 0;
		return MH_OK;
	}
	enum mh_status status = db_one(db, "PRAGMA page_count", NULL, 0, &pages, err);

	if (status == MH_OK)
		status = db_one(db, "PRAGMA freelist_count", NULL, 0, &empty, err);
	if (status == MH_OK)
		*ret = pages <= 0 ? 0 : empty * 100 / pages;
	return status;
}

enum mh_status
ledger_vacuum(struct db *db, struct mh_err *err)
{
	if (!db->engine->local)
		return MH_OK;
	/* the file itself shrinks when the log is written back into it; where somebody reads, that comes later */
	const enum mh_status status = db_exec(db, "VACUUM", err);

	return status == MH_OK ? db_exec(db, "PRAGMA wal_checkpoint(TRUNCATE)", err) : status;
}

/* -- copies -------------------------------------------------------------------------------------------------------- */

enum mh_status
ledger_copy(struct db *db, const char *path, struct mh_err *err)
{
	if (!db->engine->local)
		return mh_fail(err, MH_BAD, "this ledger is kept by a database server: pg_dump makes a copy of it");
	return db_run(db, "VACUUM INTO $1", DB_ARGS(db_str(path)), err);
}
