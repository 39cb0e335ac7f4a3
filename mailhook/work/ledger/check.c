/* check.c: what must be true of a ledger, and questions that find where it is not.
 *
 * A question gives one row for each thing that is wrong: an id, and for some a word. What the schema itself keeps out
 * (CHECK, UNIQUE, NOT NULL, STRICT) is the business of SQLite's integrity_check.
 */
#include "mailhook/work/ledger/upkeep.h"

#include <inttypes.h>
#include <stdio.h>

#include "mailhook/json.h"

#define MAX_ROWS_SHOWN 20 /* of one question */
#define JSON_ROWS "1000"  /* at a time */

#define HEX(column, digits) "(length(" column ") <> " digits " OR trim(" column ", '0123456789abcdef') <> '')"
#define AT(column, from, n) "substr(" column ", " from ", " n ")"
/* "2026-02-03T04:05:06Z", as far as signs alone tell. NULL is none that is wrong. */
#define TIME(column)                                                                                                   \
	"(" column " NOT LIKE '____-__-__T__:__:__Z' OR trim(" AT(column, "1", "4") " || " AT(                         \
	    column, "6", "2") " || " AT(column, "9", "2") " || " AT(column, "12", "2") " || " AT(column, "15",         \
	    "2") " || " AT(column, "18", "2") ", '0123456789') <> '' OR " AT(column, "6", "1") " > '1' OR " AT(column, \
	    "9", "1") " > '3' OR " AT(column, "12", "1") " > '2' OR " AT(column, "15", "1") " > '5' OR " AT(column,    \
	    "18", "1") " > '6')"

static const struct {
	const char *sql, *thing, *what;
} questions[] = {
	{ "SELECT id FROM cases c WHERE NOT EXISTS (SELECT 1 FROM events e WHERE e.case_id = c.id AND e.what = "
	  "'opened')",
	    "case", "has no event \"opened\"" },
	{ "SELECT id FROM cases WHERE " HEX("key", "32"), "case", "has a key that is not 32 hexadecimal digits" },
	{ "SELECT id FROM cases c WHERE best_notice IS NOT NULL AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.id = "
	  "c.best_notice AND n.case_id = c.id)",
	    "case", "takes its facts from a notice that is not its own" },
	{ "SELECT max(id) FROM cases WHERE state = 'open' AND ambiguous = 0 AND reason IS DISTINCT FROM 'drill: "
	  "nothing expires' "
	  "GROUP BY kind, account, region, resource, reason, substr(expires, 1, 10), trust HAVING count(*) > 1",
	    "case", "is open, and so is another of the same identity" },
	{ "SELECT id FROM cases WHERE (state = 'closed') <> (closed IS NOT NULL)", "case",
	    "is closed without a time, or open with one" },
	{ "SELECT id FROM cases c WHERE closed_trust IS NOT NULL AND NOT EXISTS (SELECT 1 FROM events e WHERE "
	  "e.case_id "
	  "= c.id AND e.what = 'closed')",
	    "case", "was closed by a person, and has no event \"closed\"" },
	{ "SELECT id FROM cases WHERE (approved IS NULL) <> (approved_by IS NULL) OR (vouched = 1 AND approved_by IS "
	  "NULL)",
	    "case", "is approved or vouched for by nobody, or at no time" },
	{ "SELECT id FROM cases WHERE (expires IS NULL) <> (precision IS NULL)", "case",
	    "has an expiry without precision, or the other way round" },
	{ "SELECT id FROM cases WHERE " TIME("opened") " OR " TIME("expires") " OR " TIME("closed") " OR " TIME(
	      "approved"),
	    "case", "has a time that is none" },
	{ "SELECT j.id FROM jobs j LEFT JOIN cases c ON c.id = j.case_id WHERE c.id IS NULL", "job", "has no case" },
	{ "SELECT id FROM jobs WHERE " HEX("job_key", "32"), "job", "has a key that is not 32 hexadecimal digits" },
	{ "SELECT j.id FROM jobs j JOIN events e ON e.id = j.event_id WHERE e.case_id IS DISTINCT FROM j.case_id OR "
	  "e.what <> "
	  "j.event",
	    "job", "belongs to an event of another case, or of another name" },
	{ "SELECT id FROM jobs WHERE (state = 'running') <> (lease_owner IS NOT NULL AND lease_until IS NOT NULL)",
	    "job", "runs without a lease, or has a lease and does not run" },
	{ "SELECT max(id) FROM jobs WHERE state = 'running' GROUP BY case_id HAVING count(*) > 1", "job",
	    "runs beside another of its case" },
	{ "SELECT id FROM jobs WHERE (state = 'waiting') <> (waiting_for IS NOT NULL)", "job",
	    "waits for nothing, or does not wait and has something to wait for" },
	{ "SELECT id FROM jobs WHERE (state IN ('done', 'failed', 'skipped')) <> (ended IS NOT NULL)", "job",
	    "has ended at no time, or goes on behind its end" },
	{ "SELECT id FROM jobs WHERE state = 'queued' AND due IS NULL", "job", "is queued for no time" },
	{ "SELECT max(id) FROM jobs WHERE role = 'effect' GROUP BY case_id, action HAVING count(*) > 1", "job",
	    "is the second of one effect in its case" },
	{ "SELECT id FROM jobs WHERE " TIME("created") " OR " TIME("due") " OR " TIME("started") " OR " TIME(
	      "ended") " OR " TIME("lease_until"),
	    "job", "has a time that is none" },
	{ "SELECT n.id FROM notices n LEFT JOIN cases c ON c.id = n.case_id LEFT JOIN messages m ON m.id = "
	  "n.message_id "
	  "WHERE c.id IS NULL OR m.id IS NULL",
	    "notice", "has no case or no message" },
	{ "SELECT n.id FROM notices n JOIN cases c ON c.id = n.case_id WHERE c.kind NOT IN ('unrecognised', 'flood') "
	  "AND "
	  "(n.kind <> c.kind OR n.account IS DISTINCT FROM c.account)",
	    "notice", "speaks of another kind or account than its case" },
	{ "SELECT id FROM messages m WHERE NOT EXISTS (SELECT 1 FROM notices n WHERE n.message_id = m.id)", "message",
	    "belongs to no case" },
	{ "SELECT id FROM messages WHERE " HEX("digest", "64"), "message",
	    "has a digest that is not 64 hexadecimal digits" },
	{ "SELECT id FROM messages WHERE quarantined = 1 AND id IN (SELECT n.message_id FROM notices n JOIN cases c ON "
	  "c.id = n.case_id WHERE c.state = 'closed') AND id NOT IN (SELECT n.message_id FROM notices n JOIN cases c "
	  "ON "
	  "c.id = n.case_id WHERE c.state = 'open')",
	    "message", "counts against the quarantine, and its cases are closed" },
	{ "SELECT id FROM events WHERE " TIME("at"), "event", "has a time that is none" },
	{ "SELECT a.id FROM approvals a WHERE " TIME(
	      "at") " OR NOT EXISTS (SELECT 1 FROM events e WHERE e.case_id = "
		    "a.case_id AND e.what = 'approved' AND e.by = a.by AND e.at = a.at)",
	    "approval", "is in no case's history" },
	{ "SELECT case_id FROM claims WHERE " TIME("since"), "case", "has claimed something at no time" },
	{ "SELECT job_id FROM refusals WHERE " TIME("until"), "job", "is left to other nodes until no time" },
	{ "SELECT case_id FROM renewals WHERE " TIME("expires") " OR " TIME("notice"), "renewal",
	    "has a time that is none" },
	{ "SELECT 0 FROM pauses WHERE (scope = 'all') <> (name = '') OR " TIME("since"), "pause", "is of nothing" },
	{ "SELECT 0 WHERE NOT EXISTS (SELECT 1 FROM meta WHERE name = 'seed' AND NOT " HEX("value", "32") ")", "meta",
	    "has no seed for the keys of cases" },
};

struct saying {
	void (*say)(void *user, const char *line);
	void *user;
	size_t wrong;
};

static void
say(struct saying *s, const char *line)
{
	s->wrong++;
	s->say(s->user, line);
}

static void
say_row(struct saying *s, const char *thing, int64_t id, const char *what, size_t n)
{
	char line[256];

	if (n > MAX_ROWS_SHOWN)
		return;
	(void)snprintf(line, sizeof(line), "%s %" PRId64 " %s", thing, id, what);
	say(s, line);
}

static void
say_more(struct saying *s, const char *thing, const char *what, size_t n)
{
	char line[256];

	if (n <= MAX_ROWS_SHOWN)
		return;
	(void)snprintf(line, sizeof(line), "and %zu more: %s ... %s", n - MAX_ROWS_SHOWN, thing, what);
	say(s, line);
}

static enum mh_status
ask(struct db *db, size_t i, struct saying *s, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	size_t n = 0;
	enum mh_status status = db_query(db, questions[i].sql, NULL, 0, &rows, err);

	while (status == MH_OK && (status = db_step(rows, err)) == MH_OK)
		say_row(s, questions[i].thing, db_get_int(rows, 0), questions[i].what, ++n);
	if (status != MH_SKIP)
		return status;
	say_more(s, questions[i].thing, questions[i].what, n);
	return MH_OK;
}

/* JSON is read by ourselves: not every engine can. Some rows at a time, by id. */
static const struct {
	const char *sql, *thing, *what;
	bool list;
} json_questions[] = {
	{ "SELECT id, actions FROM cases WHERE id > $1 ORDER BY id LIMIT " JSON_ROWS, "case",
	    "has actions that are not a list", true },
	{ "SELECT id, action_state FROM jobs WHERE id > $1 ORDER BY id LIMIT " JSON_ROWS, "job",
	    "has a state that is not JSON", false },
};

/* Goes on behind *id; MH_SKIP: there was nothing more. */
static enum mh_status
ask_json(struct db *db, size_t i, int64_t *id, size_t *n, struct saying *s, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	const int64_t before = *id;
	enum mh_status status = db_query(db, json_questions[i].sql, DB_ARGS(db_int(before)), &rows, err);

	while (status == MH_OK && (status = db_step(rows, err)) == MH_OK) {
		MH_AUTO(drop_json) cJSON *j = json_parse(db_get_bytes(rows, 1), NULL);
		*id = db_get_int(rows, 0);
		if (j == NULL || (json_questions[i].list && !cJSON_IsArray(j)))
			say_row(s, json_questions[i].thing, *id, json_questions[i].what, ++*n);
	}
	return status != MH_SKIP ? status : *id == before ? MH_SKIP : MH_OK;
}

static enum mh_status
ask_all_json(struct db *db, size_t i, struct saying *s, struct mh_err *err)
{
	int64_t id = 0;
	size_t n = 0;
	enum mh_status status = MH_OK;

	while (status == MH_OK)
		status = ask_json(db, i, &id, &n, s, err);
	if (status == MH_SKIP)
		say_more(s, json_questions[i].thing, json_questions[i].what, n);
	return status == MH_SKIP ? MH_OK : status;
}

/* SQLite's own two: the file, and what points at nothing. */
static enum mh_status
ask_engine(struct db *db, const char *sql, const char *well, struct saying *s, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	char line[400], shown[300];
	enum mh_status status = db_query(db, sql, NULL, 0, &rows, err);

	while (status == MH_OK && (status = db_step(rows, err)) == MH_OK) {
		const struct mh_span word = db_get_bytes(rows, 0);
		if (well != NULL && span_eq(word, span_of(well)))
			continue;
		(void)snprintf(line, sizeof(line), "%s%s",
		    well != NULL ? "the file: " : "points at a row that is not there: table ",
		    mh_escape(shown, sizeof(shown), word));
		say(s, line);
	}
	return status == MH_SKIP ? MH_OK : status;
}

enum mh_status
ledger_check(
    struct db *db, void (*say_line)(void *user, const char *line), void *user, size_t *ret_wrong, struct mh_err *err)
{
	struct saying s = { say_line, user, 0 };
	enum mh_status status = MH_OK;

	if (db->engine->local)
		status = ask_engine(db, "PRAGMA integrity_check", "ok", &s, err);
	if (status == MH_OK && db->engine->local)
		status = ask_engine(db, "PRAGMA foreign_key_check", NULL, &s, err);
	for (size_t i = 0; i < sizeof(questions) / sizeof(questions[0]) && status == MH_OK; i++)
		status = ask(db, i, &s, err);
	for (size_t i = 0; i < sizeof(json_questions) / sizeof(json_questions[0]) && status == MH_OK; i++)
		status = ask_all_json(db, i, &s, err);
	if (status == MH_OK)
		*ret_wrong = s.wrong;
	return status;
}
