/* cases.c: one row an expiry. */
#include <stdio.h>
#include <string.h>

#include "mailhook/work/ledger/rows.h"

#define CASE_COLUMNS                                                                                                   \
	"id, key, kind, account, region, resource, expires, precision, reason, trust, unlisted, ambiguous, rule, "     \
	"actions, state, opened, closed, closed_by, closed_trust, approved_by, best_notice, ticket_url, vouched"
#define MIN_KEY_PREFIX 4

static void
read_case(struct row *r, void *dst)
{
	struct case_row c = { .id = db_get_int(r->rows, 0) };
	bool known;

	c.key = row_str(r, 1);
	c.kind = row_str(r, 2);
	c.account = row_str(r, 3);
	c.region = row_str(r, 4);
	c.resource = row_str(r, 5);
	row_time(r, 6, &c.has_expires, &c.expires);
	c.precision = (enum mh_precision)row_word(r, 7, mh_precision_names, PRECISIONS);
	c.reason = row_str(r, 8);
	c.trust = (enum trust_level)row_word(r, 9, trust_names, TRUST_LEVELS);
	c.unlisted = db_get_int(r->rows, 10) != 0;
	c.ambiguous = db_get_int(r->rows, 11) != 0;
	c.rule = row_str(r, 12);
	c.actions = row_str(r, 13);
	c.open = span_eq(db_get_bytes(r->rows, 14), MH_LIT("open"));
	row_time(r, 15, &known, &c.opened);
	row_time(r, 16, &c.has_closed, &c.closed);
	c.closed_by = row_str(r, 17);
	c.closed_by_person = db_get_bytes(r->rows, 18).p != NULL;
	c.closed_trust = (enum trust_level)row_word(r, 18, trust_names, TRUST_LEVELS);
	c.approved_by = row_str(r, 19);
	c.best_notice = db_get_int(r->rows, 20);
	c.ticket_url = row_str(r, 21);
	c.vouched = db_get_int(r->rows, 22) != 0;
	*(struct case_row *)dst = c;
}

static enum mh_status
many_cases(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct arena *a,
    struct case_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct case_row, read_case);
	const enum mh_status status = rows_all(db, sql, args, n_args, a, &list, err);

	if (status == MH_OK)
		*ret = (struct case_rows){ list.items, list.n, list.cap };
	return status;
}

static enum mh_status
first_case(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct arena *a,
    struct case_row *ret, struct mh_err *err)
{
	struct case_rows list = { 0 };
	const enum mh_status status = many_cases(db, sql, args, n_args, a, &list, err);

	if (status != MH_OK)
		return status;
	if (list.n == 0)
		return mh_fail(err, MH_SKIP, "no such case");
	*ret = list.items[0];
	return MH_OK;
}

enum mh_status
ledger_case_get(struct db *db, int64_t id, struct arena *a, struct case_row *ret, struct mh_err *err)
{
	return first_case(db, "SELECT " CASE_COLUMNS " FROM cases WHERE id = $1", DB_ARGS(db_int(id)), a, ret, err);
}

enum mh_status
ledger_case_find(struct db *db, const char *text, struct arena *a, struct case_row *ret, struct mh_err *err)
{
	const size_t n = strlen(text);
	struct case_rows list = { 0 };
	char last[LEDGER_KEY_HEX + 2];
	char shown[64];

	(void)mh_escape(shown, sizeof(shown), span_of(text));
	if (n > 0 && n <= 18 && strspn(text, "0123456789") == n) {
		int64_t id = 0;
		for (size_t i = 0; i < n; i++)
			id = id * 10 + (text[i] - '0');
		const enum mh_status status = ledger_case_get(db, id, a, ret, err);
		if (status != MH_SKIP || n < MIN_KEY_PREFIX)
			return status == MH_SKIP ? mh_fail(err, MH_SKIP,
						       "no case %s: 'mailhook list' shows those that there are", shown)
						 : status;
	}
	if (n < MIN_KEY_PREFIX || n > LEDGER_KEY_HEX || strspn(text, "0123456789abcdef") != n)
		return mh_fail(err, MH_BAD,
		    "\"%s\" is no case: give its number, or at least %d digits of its key, as 'mailhook list' shows "
		    "them",
		    shown, MIN_KEY_PREFIX);

	/* a range over the key's index, not LIKE: 'g' comes behind every hexadecimal digit */
	(void)snprintf(last, sizeof(last), "%sg", text);
	const enum mh_status status =
	    many_cases(db, "SELECT " CASE_COLUMNS " FROM cases WHERE key >= $1 AND key < $2 ORDER BY id LIMIT 2",
		DB_ARGS(db_str(text), db_str(last)), a, &list, err);
	if (status != MH_OK)
		return status;
	if (list.n == 0)
		return mh_fail(err, MH_SKIP, "no case %s: 'mailhook list' shows those that there are", shown);
	if (list.n > 1)
		return mh_fail(err, MH_BAD, "%s begins the keys of several cases: give more digits of it", shown);
	*ret = list.items[0];
	return MH_OK;
}

enum mh_status
ledger_case_candidates(struct db *db, const char *kind, const char *account, int64_t from, int64_t to, struct arena *a,
    struct case_rows *ret, struct mh_err *err)
{
	char first[MH_TIME_TEXT], last[MH_TIME_TEXT];

	/* PostgreSQL looks for IS NOT DISTINCT FROM in no index. */
	return many_cases(db,
	    account == NULL ? "SELECT " CASE_COLUMNS " FROM cases WHERE kind = $1 AND account IS NULL "
			      "AND CAST($2 AS TEXT) IS NULL AND expires >= $3 AND expires <= $4 ORDER BY id DESC"
			    : "SELECT " CASE_COLUMNS " FROM cases WHERE kind = $1 AND account = $2 "
			      "AND expires >= $3 AND expires <= $4 ORDER BY id DESC",
	    DB_ARGS(db_str(kind), db_str(account), db_time(first, from), db_time(last, to)), a, ret, err);
}

enum mh_status
ledger_case_open_like(struct db *db, const char *kind, const char *resource, const char *reason, struct arena *a,
    struct case_row *ret, struct mh_err *err)
{
	return first_case(db,
	    "SELECT " CASE_COLUMNS " FROM cases WHERE kind = $1 AND state = 'open' "
	    "AND resource IS NOT DISTINCT FROM $2 AND reason IS NOT DISTINCT FROM $3 ORDER BY id DESC LIMIT 1",
	    DB_ARGS(db_str(kind), db_str(resource), db_str(reason)), a, ret, err);
}

enum mh_status
ledger_cases(struct db *db, bool closed_too, struct arena *a, struct case_rows *ret, struct mh_err *err)
{
	/* what has no date stands first: nobody can say how soon it is */
	return many_cases(db,
	    closed_too ? "SELECT " CASE_COLUMNS " FROM cases ORDER BY expires NULLS FIRST, id"
		       : "SELECT " CASE_COLUMNS " FROM cases WHERE state = 'open' ORDER BY expires NULLS FIRST, id",
	    NULL, 0, a, ret, err);
}

enum mh_status
ledger_cases_open(struct db *db, int64_t most, struct arena *a, struct case_rows *ret, struct mh_err *err)
{
	return many_cases(db,
	    "SELECT " CASE_COLUMNS " FROM cases WHERE state = 'open' ORDER BY expires NULLS FIRST, id LIMIT $1",
	    DB_ARGS(db_int(most)), a, ret, err);
}

enum mh_status
ledger_cases_within(struct db *db, int64_t from, int64_t to, struct arena *a, struct case_rows *ret, struct mh_err *err)
{
	char first[MH_TIME_TEXT], last[MH_TIME_TEXT];

	return many_cases(db,
	    "SELECT " CASE_COLUMNS " FROM cases WHERE state = 'open' AND expires >= $1 AND expires <= $2 "
	    "ORDER BY expires, id",
	    DB_ARGS(db_time(first, from), db_time(last, to)), a, ret, err);
}

enum mh_status
ledger_case_add(struct db *db, const struct case_row *c, int64_t *ret_id, struct mh_err *err)
{
	char expires[MH_TIME_TEXT], opened[MH_TIME_TEXT];

	return db_one(db,
	    "INSERT INTO cases (key, kind, account, region, resource, expires, precision, reason, trust, unlisted, "
	    "rule, "
	    "actions, opened) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING id",
	    DB_ARGS(db_str(c->key), db_str(c->kind), db_str(c->account), db_str(c->region), db_str(c->resource),
		c->has_expires ? db_time(expires, c->expires) : db_null(),
		c->has_expires ? db_str(mh_precision_names[c->precision]) : db_null(), db_str(c->reason),
		db_str(trust_names[c->trust]), db_int(c->unlisted), db_str(c->rule), db_str(c->actions),
		db_time(opened, c->opened)),
	    ret_id, err);
}

enum mh_status
ledger_case_update(struct db *db, const struct case_row *c, struct mh_err *err)
{
	char expires[MH_TIME_TEXT], closed[MH_TIME_TEXT];

	return db_run(db,
	    "UPDATE cases SET look = '0001-01-01T00:00:00Z', "
	    "region = $1, resource = $2, expires = $3, precision = $4, trust = $5, ambiguous = $6, "
	    "best_notice = $7, approved_by = $8, approved = CASE WHEN CAST($8 AS TEXT) IS NULL THEN NULL ELSE approved "
	    "END, "
	    "ticket_url = $9, state = $10, closed = $11, closed_by = $12, "
	    "closed_trust = $13, vouched = $14, rule = $15, actions = $16 WHERE id = $17",
	    DB_ARGS(db_str(c->region), db_str(c->resource), c->has_expires ? db_time(expires, c->expires) : db_null(),
		c->has_expires ? db_str(mh_precision_names[c->precision]) : db_null(), db_str(trust_names[c->trust]),
		db_int(c->ambiguous), c->best_notice == 0 ? db_null() : db_int(c->best_notice), db_str(c->approved_by),
		db_str(c->ticket_url), db_str(c->open ? "open" : "closed"),
		c->has_closed ? db_time(closed, c->closed) : db_null(), db_str(c->closed_by),
		c->closed_by_person ? db_str(trust_names[c->closed_trust]) : db_null(),
		db_int(c->vouched && c->approved_by != NULL), db_str(c->rule), db_str(c->actions), db_int(c->id)),
	    err);
}

enum mh_status
ledger_unlisted_since(struct db *db, int64_t since, int64_t *ret, struct mh_err *err)
{
	char opened[MH_TIME_TEXT];

	return db_one(db, "SELECT count(*) FROM cases WHERE opened >= $1 AND unlisted = 1 AND trust = 'unverified'",
	    DB_ARGS(db_time(opened, since)), ret, err);
}

/* Unread mail's cases and the digest have no expiry, those that mailhook opens of itself a kind of their own, and
 * drills a reason. */
#define LISTED                                                                                                         \
	"SELECT count(*) FROM cases WHERE opened >= $1 AND unlisted = 0 AND trust = 'unverified' AND expires IS NOT "  \
	"NULL AND reason IS NULL AND kind NOT LIKE 'mailhook.%'"

enum mh_status
ledger_listed_since(struct db *db, int64_t since, const char *account, int64_t *ret, struct mh_err *err)
{
	char opened[MH_TIME_TEXT];

	if (account == NULL)
		return db_one(db, LISTED, DB_ARGS(db_time(opened, since)), ret, err);
	return db_one(db, LISTED " AND account = $2", DB_ARGS(db_time(opened, since), db_str(account)), ret, err);
}

/* Such a case is unverified whatever its mails are. */
enum mh_status
ledger_unread_since(struct db *db, int64_t since, int64_t *ret, struct mh_err *err)
{
	char opened[MH_TIME_TEXT];

	return db_one(db,
	    "SELECT count(*) FROM cases c WHERE opened >= $1 AND kind = 'unrecognised' AND (reason IS NULL OR reason "
	    "NOT LIKE 'drill:%') AND NOT EXISTS (SELECT 1 FROM "
	    "notices n WHERE n.case_id = c.id AND n.trust <> 'unverified')",
	    DB_ARGS(db_time(opened, since)), ret, err);
}
