/* ledger.h: the durable record: messages, notices, cases, jobs, events, as plain rows.
 *
 * What the rows mean is decided above (case.c, job.c); here they are read and written. Every function may be called
 * inside a transaction of the caller (db.h); none starts one. Strings of a row lie in the caller's arena; NULL: unknown.
 * Errors of all: those of db.h. MH_SKIP: no such row.
 */
#ifndef MAILHOOK_WORK_LEDGER_LEDGER_H
#define MAILHOOK_WORK_LEDGER_LEDGER_H

#include "mailhook/conf.h"
#include "mailhook/work/launch.h"
#include "mailhook/work/ledger/db.h"

#define LEDGER_SCHEMA 1
#define LEDGER_KEY_HEX 32 /* digits of a case or job key */
#define LEDGER_BUSY_MS 10000

/* Opens it. With create it is made or brought to our schema, in one transaction; without, MH_SKIP where there is none.
 *   errors  MH_BAD a newer schema, or not a ledger; MH_RETRY locked, full, read-only */
enum mh_status ledger_open(
    const struct db_engine *engine, const char *where, const struct db_options *o, struct db **ret, struct mh_err *err);

/* -- meta ---------------------------------------------------------------------------------------------------------- */

enum mh_status ledger_meta_get(
    struct db *db, const char *name, struct arena *a, const char **ret, struct mh_err *err); /* NULL: not set */
enum mh_status ledger_meta_set(struct db *db, const char *name, const char *value, struct mh_err *err);
enum mh_status ledger_meta_count(struct db *db, const char *name, int64_t *ret, struct mh_err *err); /* 0: not set */
#define LEDGER_META_DRILL "drill" /* the Message-ID of the drill that is under way; "": none */
enum mh_status ledger_meta_add(struct db *db, const char *name, int64_t more, struct mh_err *err);

/* -- events -------------------------------------------------------------------------------------------------------- */

struct event_row {
	int64_t id, at;
	const char *what, *by, *detail;
};
struct event_rows {
	struct event_row *items;
	size_t n, cap;
};

enum mh_status ledger_event_add(struct db *db, int64_t case_id, int64_t at, const char *what, const char *by,
    const char *detail, int64_t *ret_id, struct mh_err *err);
/* What that event is: when, of which case, what; the same words that ledger_event_add notes (db_note). MH_SKIP: none. */
enum mh_status ledger_event_note(struct db *db, int64_t id, struct db_note *ret, struct mh_err *err);
/* For a transaction that is repeated, tries: how often it was begun before, 0: not at all, then none is looked for. How
 * many such events there are: more than 0 says that the one before was done, and only its answer was lost. detail:
 * NULL: any. */
enum mh_status ledger_event_done(struct db *db, int tries, int64_t case_id, int64_t at, const char *what,
    const char *by, const char *detail, int64_t *ret_n, struct mh_err *err);
enum mh_status ledger_events(
    struct db *db, int64_t case_id, struct arena *a, struct event_rows *ret, struct mh_err *err);

/* -- messages and notices ------------------------------------------------------------------------------------------ */

struct message_row {
	int64_t id, received;
	const char *digest, *envelope_from, *message_id, *sender, *subject, *verdict, *reason, *parser;
	enum trust_level trust;
	const char *trust_by, *trust_steps, *reply_to, *refs;
	bool automatic, list, quarantined;
	int64_t bytes;
};
struct notice_row {
	int64_t id, message_id, case_id;
	const char *kind, *account, *region, *resource, *event;
	bool has_expires;
	int64_t expires;
	enum mh_precision precision;
	int64_t days_stated; /* -1: none */
	enum trust_level trust;
	int64_t seen;
};
struct notice_rows {
	struct notice_row *items;
	size_t n, cap;
};

enum mh_status ledger_message_find(
    struct db *db, const char *digest, struct arena *a, struct message_row *ret, struct mh_err *err);
enum mh_status ledger_message_get(
    struct db *db, int64_t id, struct arena *a, struct message_row *ret, struct mh_err *err);
/* The first behind that id which could not be read and whose bytes are kept. MH_SKIP: none. */
enum mh_status ledger_message_unread(struct db *db, int64_t after, int64_t *ret_id, struct mh_err *err);
enum mh_status ledger_message_raw(
    struct db *db, int64_t id, struct buf *ret, struct mh_err *err); /* MH_SKIP: not kept */
/* raw.p == NULL: the bytes are not kept. m->id is not read. */
enum mh_status ledger_message_add(
    struct db *db, const struct message_row *m, struct mh_span raw, int64_t *ret_id, struct mh_err *err);
enum mh_status ledger_message_copied(struct db *db, int64_t id, struct mh_err *err);
/* A better-trusted copy: its bytes, envelope and trust replace the first one's. */
enum mh_status ledger_message_replace(
    struct db *db, int64_t id, const struct message_row *m, struct mh_span raw, struct mh_err *err);
enum mh_status ledger_notice_add(struct db *db, const struct notice_row *n, int64_t *ret_id, struct mh_err *err);
enum mh_status ledger_notice_replace(struct db *db, int64_t id, const struct notice_row *n, struct mh_err *err);
enum mh_status ledger_notices_of_message(
    struct db *db, int64_t message_id, struct arena *a, struct notice_rows *ret, struct mh_err *err);
enum mh_status ledger_notices_of_case(
    struct db *db, int64_t case_id, struct arena *a, struct notice_rows *ret, struct mh_err *err);
/* What the quarantine holds now: messages whose bytes are kept and whose case is open. */
enum mh_status ledger_quarantine(struct db *db, int64_t *ret_messages, int64_t *ret_bytes, struct mh_err *err);
enum mh_status ledger_quarantine_release(struct db *db, int64_t case_id, struct mh_err *err);

/* -- verifications: messages that DNS could not judge yet ---------------------------------------------------------- */

struct verification_row {
	int64_t id, message_id, received, due, attempts;
	bool copy; /* bytes of its own: a copy whose proof the message in the ledger lacks */
};

/* The first attempt was made. raw.p == NULL: the bytes are those of the message. */
enum mh_status ledger_verification_add(
    struct db *db, int64_t message_id, int64_t received, int64_t due, struct mh_span raw, struct mh_err *err);
/* The one that is longest due by now. MH_SKIP: none. */
enum mh_status ledger_verification_due(struct db *db, int64_t now, struct verification_row *ret, struct mh_err *err);
/* Puts it off, so that others leave it to us. MH_SKIP: another node has done so. */
enum mh_status ledger_verification_take(
    struct db *db, const struct verification_row *v, int64_t until, struct mh_err *err);
/* The next one of that message. MH_SKIP: none. */
enum mh_status ledger_verification_of(
    struct db *db, int64_t message_id, struct verification_row *ret, struct mh_err *err);
/* The earliest due after now. MH_SKIP: none. */
enum mh_status ledger_verification_next(struct db *db, int64_t now, int64_t *ret, struct mh_err *err);
enum mh_status ledger_verification_count(struct db *db, int64_t message_id, int64_t *ret, struct mh_err *err);
enum mh_status ledger_verification_raw(
    struct db *db, int64_t id, struct buf *ret, struct mh_err *err); /* MH_SKIP: not kept */
enum mh_status ledger_verification_later(struct db *db, int64_t id, int64_t due, int64_t attempts, struct mh_err *err);
enum mh_status ledger_verification_drop(struct db *db, int64_t id, struct mh_err *err);
enum mh_status ledger_verification_drop_all(struct db *db, int64_t message_id, struct mh_err *err);
/* The way to a verdict that changed nothing else. */
enum mh_status ledger_message_trust(struct db *db, int64_t id, const char *steps, struct mh_err *err);

/* -- cases --------------------------------------------------------------------------------------------------------- */

struct case_row {
	int64_t id;
	const char *key, *kind, *account, *region, *resource;
	bool has_expires;
	int64_t expires;
	enum mh_precision precision;
	const char *reason;
	enum trust_level trust;
	bool unlisted, ambiguous;
	const char *rule;    /* NULL: no rule took it */
	const char *actions; /* JSON list of names */
	bool open;
	int64_t opened;
	bool has_closed;
	int64_t closed;
	const char *closed_by;
	bool closed_by_person;
	enum trust_level closed_trust; /* only with closed_by_person */
	const char *approved_by;       /* NULL: nobody did */
	bool vouched;                  /* that person saw account and expiry in AWS; false without approved_by */
	int64_t best_notice;           /* 0: none */
	const char *ticket_url;
};
struct case_rows {
	struct case_row *items;
	size_t n, cap;
};

enum mh_status ledger_case_get(struct db *db, int64_t id, struct arena *a, struct case_row *ret, struct mh_err *err);
/* By id or the beginning of a key (at least 4 digits). MH_BAD: several. */
enum mh_status ledger_case_find(
    struct db *db, const char *text, struct arena *a, struct case_row *ret, struct mh_err *err);
/* All of that kind and account (unknown equals unknown) that expire within [from, to], newest first. */
enum mh_status ledger_case_candidates(struct db *db, const char *kind, const char *account, int64_t from, int64_t to,
    struct arena *a, struct case_rows *ret, struct mh_err *err);
/* The open case of that kind, resource and reason (unknown equals unknown): unrecognised, flood, mailhook.*. */
enum mh_status ledger_case_open_like(struct db *db, const char *kind, const char *resource, const char *reason,
    struct arena *a, struct case_row *ret, struct mh_err *err);
/* In the order of their expiry, what has none first. */
enum mh_status ledger_cases(struct db *db, bool closed_too, struct arena *a, struct case_rows *ret, struct mh_err *err);
/* The same of open ones: the first of them, and those that expire within [from, to]. */
enum mh_status ledger_cases_open(
    struct db *db, int64_t most, struct arena *a, struct case_rows *ret, struct mh_err *err);
enum mh_status ledger_cases_within(
    struct db *db, int64_t from, int64_t to, struct arena *a, struct case_rows *ret, struct mh_err *err);
enum mh_status ledger_case_add(struct db *db, const struct case_row *c, int64_t *ret_id, struct mh_err *err);
/* Writes all of c that may change later: facts, trust, ambiguous, best_notice, approval, ticket, closing. */
enum mh_status ledger_case_update(struct db *db, const struct case_row *c, struct mh_err *err);
/* Cases of unverified mail opened at or after that instant, drills aside: for accounts that nobody lists, for listed ones
 * (account NULL: for all of them), and of mail that could not be read. */
enum mh_status ledger_unlisted_since(struct db *db, int64_t since, int64_t *ret, struct mh_err *err);
enum mh_status ledger_listed_since(struct db *db, int64_t since, const char *account, int64_t *ret, struct mh_err *err);
enum mh_status ledger_unread_since(struct db *db, int64_t since, int64_t *ret, struct mh_err *err);

/* -- jobs ---------------------------------------------------------------------------------------------------------- */

enum job_state { JOB_QUEUED, JOB_RUNNING, JOB_WAITING, JOB_DONE, JOB_FAILED, JOB_SKIPPED };
extern const char *const job_state_names[];
/* What a waiting job waits for: the three of the protocol, and two of our own. */
enum job_wait { JOB_WAIT_NONE, JOB_WAIT_TIME, JOB_WAIT_APPROVAL, JOB_WAIT_INPUT, JOB_WAIT_TRUST, JOB_WAIT_AFTER };
extern const char *const job_wait_names[];
extern const char *const role_names[];

struct job_row {
	int64_t id;
	const char *job_key;
	int64_t case_id;
	const char *action;
	enum action_role role;
	const char *event;
	int64_t event_id, position;
	enum trust_level needs;
	enum job_state state;
	enum job_wait waiting_for;
	int64_t attempt;
	bool has_due, has_started, has_retrying, has_ended;
	int64_t due, created, started, retrying_since, ended;
	const char *lease_owner;
	const char *action_state; /* JSON */
	const char *summary, *url;
};
struct job_rows {
	struct job_row *items;
	size_t n, cap;
};

enum mh_status ledger_job_add(struct db *db, const struct job_row *j, int64_t *ret_id, struct mh_err *err);
enum mh_status ledger_job_get(struct db *db, int64_t id, struct arena *a, struct job_row *ret, struct mh_err *err);
/* In the order of events, then of the rule's "do". */
enum mh_status ledger_jobs_of_case(
    struct db *db, int64_t case_id, struct arena *a, struct job_rows *ret, struct mh_err *err);
/* Queued or waiting, due by now, of cases where none is running; in the order of events and "do". */
enum mh_status ledger_jobs_due(
    struct db *db, int64_t now, size_t max, struct arena *a, struct job_rows *ret, struct mh_err *err);
/* Whether the time of one has come, whether or not it can start now. */
enum mh_status ledger_jobs_any_due(struct db *db, int64_t now, bool *ret, struct mh_err *err);
/* The earliest due after now. MH_SKIP: none. */
enum mh_status ledger_jobs_next_due(struct db *db, int64_t now, int64_t *ret, struct mh_err *err);
/* Writes state, waiting_for, attempt, due, started, retrying_since, ended, action_state, summary, url; ends the lease. */
enum mh_status ledger_job_update(struct db *db, const struct job_row *j, struct mh_err *err);
/* How often a case had that event: for the keys of its jobs. */
enum mh_status ledger_event_count(struct db *db, int64_t case_id, const char *what, int64_t *ret, struct mh_err *err);
/* Jobs by state, indexed by enum job_state. */
enum mh_status ledger_job_counts(struct db *db, int64_t ret[JOB_SKIPPED + 1], struct mh_err *err);

/* Which enum value a word of the ledger is; 0 for a word that is none (a CHECK keeps those out). */
int ledger_word(const char *const *names, size_t n, struct mh_span word);

#endif
