/* mailbox_leases.c: see mailbox_leases.h.
 *
 * Statements that change rows of others pick them by SKIP LOCKED and so wait for nobody; the renewal may wait for them,
 * for the moment that one statement takes. So no two can wait for each other. */
#include "mailhook/work/ledger/mailbox_leases.h"

#include <string.h>

#include "mailhook/work/ledger/rows.h"

#define NAMES_AT_ONCE 100
#define SQL_BYTES 16384
#define MAX_ARGS (2 * NAMES_AT_ONCE + 8)
#define LONG_AGO "0001-01-01T00:00:00Z"

/* A statement and its parameters, which are numbered in the order in which they are put. */
struct statement {
	struct buf sql;
	struct db_value args[MAX_ARGS];
	size_t n;
};

static void
begin(struct statement *s, const char *sql)
{
	buf_init(&s->sql, SQL_BYTES);
	s->n = 0;
	buf_puts(&s->sql, sql);
}

static void
put(struct statement *s, struct db_value v)
{
	s->args[s->n++] = v;
	buf_printf(&s->sql, "$%zu", s->n);
}

/* "(first, ..., last)" of names from at on. */
static void
put_names(struct statement *s, const struct mailbox_names *names, size_t at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_puts(&s->sql, i == 0 ? "(" : ", ");
		put(s, db_str(names->items[at + i]));
	}
	buf_puts(&s->sql, ")");
}

static enum mh_status
run(struct db *db, struct statement *s, struct mh_err *err)
{
	const enum mh_status status = buf_ok(&s->sql) ? db_run(db, s->sql.p, s->args, s->n, err)
						      : mh_fail(err, MH_RETRY, "no memory for a statement");

	buf_release(&s->sql);
	return status;
}

static size_t
share(const struct mailbox_names *names, size_t at)
{
	return names->n - at < NAMES_AT_ONCE ? names->n - at : NAMES_AT_ONCE;
}

/* -- looking ------------------------------------------------------------------------------------------------------- */

static void
read_lease(struct row *r, void *dst)
{
	struct mailbox_lease_row l = { .mailbox = row_str(r, 0), .node = row_str(r, 1), .life = row_str(r, 2) };
	bool known;

	row_time(r, 3, &known, &l.until);
	l.wanted = row_str(r, 4);
	row_time(r, 5, &l.has_read, &l.read);
	*(struct mailbox_lease_row *)dst = l;
}

enum mh_status
ledger_mailbox_leases(struct db *db, struct arena *a, struct mailbox_lease_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct mailbox_lease_row, read_lease);
	const enum mh_status status =
	    rows_all(db, "SELECT mailbox, node, life, until, wanted, read FROM mailbox_leases ORDER BY mailbox", NULL,
		0, a, &list, err);

	if (status == MH_OK)
		*ret = (struct mailbox_lease_rows){ list.items, list.n, list.cap };
	return status;
}

const struct mailbox_lease_row *
mailbox_lease_of(const struct mailbox_lease_rows *rows, const char *mailbox)
{
	for (size_t i = 0; i < rows->n; i++)
		if (strcmp(rows->items[i].mailbox, mailbox) == 0)
			return &rows->items[i];
	return NULL;
}

static void
read_position(struct row *r, void *dst)
{
	*(struct mailbox_position *)dst = (struct mailbox_position){ row_str(r, 0), row_str(r, 1) };
}

enum mh_status
ledger_mailbox_positions(struct db *db, const struct mailbox_holder *who, const struct mailbox_names *names,
    struct arena *a, struct mailbox_positions *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct mailbox_position, read_position);
	enum mh_status status = MH_OK;

	for (size_t at = 0; at < names->n && status == MH_OK; at += NAMES_AT_ONCE) {
		struct statement s;

		begin(&s, "SELECT mailbox, position FROM mailbox_leases WHERE node = ");
		put(&s, db_str(who->node));
		buf_puts(&s.sql, " AND life = ");
		put(&s, db_str(who->life));
		buf_puts(&s.sql, " AND mailbox IN ");
		put_names(&s, names, at, share(names, at));
		status = buf_ok(&s.sql) ? rows_all(db, s.sql.p, s.args, s.n, a, &list, err)
					: mh_fail(err, MH_RETRY, "no memory for a statement");
		buf_release(&s.sql);
	}
	if (status == MH_OK)
		*ret = (struct mailbox_positions){ list.items, list.n, list.cap };
	return status;
}

/* -- taking -------------------------------------------------------------------------------------------------------- */

enum mh_status
ledger_mailbox_add(struct db *db, const struct mailbox_names *names, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t at = 0; at < names->n && status == MH_OK; at += NAMES_AT_ONCE) {
		struct statement s;

		begin(&s, "INSERT INTO mailbox_leases (mailbox, node, life, until) VALUES ");
		for (size_t i = 0; i < share(names, at); i++) {
			buf_puts(&s.sql, i == 0 ? "(" : ", (");
			put(&s, db_str(names->items[at + i]));
			buf_puts(&s.sql, ", '', '', '" LONG_AGO "')");
		}
		buf_puts(&s.sql, " ON CONFLICT (mailbox) DO NOTHING");
		status = run(db, &s, err);
	}
	return status;
}

enum mh_status
ledger_mailbox_renew(struct db *db, const struct mailbox_holder *who, int64_t now, int64_t until, struct mh_err *err)
{
	char t[2][MH_TIME_TEXT];

	return db_run(db, "UPDATE mailbox_leases SET until = $1 WHERE node = $2 AND life = $3 AND until > $4",
	    DB_ARGS(db_time(t[0], until), db_str(who->node), db_str(who->life), db_time(t[1], now)), err);
}

enum mh_status
ledger_mailbox_take(struct db *db, const struct mailbox_holder *who, const struct mailbox_names *names, int64_t now,
    int64_t grace_s, int64_t until, struct mh_err *err)
{
	char t[3][MH_TIME_TEXT];
	enum mh_status status = MH_OK;

	for (size_t at = 0; at < names->n && status == MH_OK; at += NAMES_AT_ONCE) {
		struct statement s;

		begin(&s, "UPDATE mailbox_leases SET node = ");
		put(&s, db_str(who->node)); /* $1 */
		buf_puts(&s.sql, ", life = ");
		put(&s, db_str(who->life));
		buf_puts(&s.sql, ", until = ");
		put(&s, db_time(t[0], until));
		buf_puts(&s.sql, ", wanted = NULL WHERE until <= ");
		put(&s, db_time(t[1], now)); /* $4: again, of the row as it is once nobody else has it */
		buf_puts(&s.sql, " AND mailbox IN (SELECT mailbox FROM mailbox_leases WHERE until <= $4 AND "
				 "(wanted IS NULL OR wanted = $1 OR until <= ");
		put(&s, db_time(t[2], now - grace_s));
		buf_puts(&s.sql, ") AND mailbox IN ");
		put_names(&s, names, at, share(names, at));
		buf_printf(&s.sql, " ORDER BY mailbox %s)", db->engine->skip_locked);
		status = run(db, &s, err);
	}
	return status;
}

enum mh_status
ledger_mailbox_want(struct db *db, const char *node, const struct mailbox_names *names, int64_t now, bool *ret_asked,
    struct mh_err *err)
{
	char t[MH_TIME_TEXT];
	enum mh_status status = MH_OK;
	bool asked = false;

	for (size_t at = 0; at < names->n && status == MH_OK; at += NAMES_AT_ONCE) {
		struct statement s;

		begin(&s, "UPDATE mailbox_leases SET wanted = ");
		put(&s, db_str(node)); /* $1 */
		buf_puts(&s.sql, " WHERE mailbox IN (SELECT mailbox FROM mailbox_leases WHERE node <> $1 AND "
				 "(wanted IS NULL OR wanted <> $1) AND until > ");
		put(&s, db_time(t, now));
		buf_puts(&s.sql, " AND mailbox IN ");
		put_names(&s, names, at, share(names, at));
		buf_printf(&s.sql, " ORDER BY mailbox %s)", db->engine->skip_locked);
		status = run(db, &s, err);
		asked = asked || (status == MH_OK && db->engine->changed(db) > 0);
	}
	if (status == MH_OK)
		*ret_asked = asked;
	return status;
}

/* -- of one's own -------------------------------------------------------------------------------------------------- */

enum mh_status
ledger_mailbox_save(
    struct db *db, const struct mailbox_holder *who, const char *mailbox, struct mh_span position, struct mh_err *err)
{
	const enum mh_status status =
	    db_run(db, "UPDATE mailbox_leases SET position = $1 WHERE mailbox = $2 AND node = $3 AND life = $4",
		DB_ARGS(db_span(position), db_str(mailbox), db_str(who->node), db_str(who->life)), err);

	if (status == MH_OK && db->engine->changed(db) != 1)
		return mh_fail(err, MH_SKIP, "mailbox %s is another node's by now", mailbox);
	return status;
}

enum mh_status
ledger_mailbox_note_read(
    struct db *db, const struct mailbox_holder *who, const struct mailbox_read *reads, size_t n, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t at = 0; at < n && status == MH_OK; at += NAMES_AT_ONCE) {
		const size_t some = n - at < NAMES_AT_ONCE ? n - at : NAMES_AT_ONCE;
		char t[NAMES_AT_ONCE][MH_TIME_TEXT];
		struct statement s;

		begin(&s, "UPDATE mailbox_leases SET read = CASE mailbox");
		for (size_t i = 0; i < some; i++) {
			buf_puts(&s.sql, " WHEN ");
			put(&s, db_str(reads[at + i].mailbox));
			buf_printf(&s.sql, " THEN CASE WHEN read IS NULL OR read < $%zu THEN ", s.n + 1);
			put(&s, db_time(t[i], reads[at + i].at)); /* who had it before may have read it later */
			buf_printf(&s.sql, " ELSE read END");
		}
		buf_puts(&s.sql, " ELSE read END WHERE mailbox IN ");
		for (size_t i = 0; i < some; i++)
			buf_printf(&s.sql, "%s$%zu", i == 0 ? "(" : ", ", 2 * i + 1);
		buf_puts(&s.sql, ") AND node = ");
		put(&s, db_str(who->node));
		buf_puts(&s.sql, " AND life = ");
		put(&s, db_str(who->life));
		status = run(db, &s, err);
	}
	return status;
}

/* names NULL: all. */
static enum mh_status
release_some(struct db *db, const struct mailbox_holder *who, const struct mailbox_names *names, size_t at, int64_t now,
    struct mh_err *err)
{
	char t[MH_TIME_TEXT];
	struct statement s;

	begin(&s, "UPDATE mailbox_leases SET until = ");
	put(&s, db_time(t, now)); /* $1 */
	buf_puts(&s.sql, " WHERE until > $1 AND node = ");
	put(&s, db_str(who->node));
	buf_puts(&s.sql, " AND life = ");
	put(&s, db_str(who->life));
	if (names != NULL) {
		buf_puts(&s.sql, " AND mailbox IN ");
		put_names(&s, names, at, share(names, at));
	}
	return run(db, &s, err);
}

enum mh_status
ledger_mailbox_release(
    struct db *db, const struct mailbox_holder *who, const struct mailbox_names *names, int64_t now, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	if (names == NULL)
		return release_some(db, who, NULL, 0, now, err);
	for (size_t at = 0; at < names->n && status == MH_OK; at += NAMES_AT_ONCE)
		status = release_some(db, who, names, at, now, err);
	return status;
}

/* -- those that are gone ------------------------------------------------------------------------------------------- */

enum mh_status
ledger_mailbox_drop(struct db *db, const char *node, const char *mailbox, int64_t before, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

	return db_run(db, "DELETE FROM mailbox_leases WHERE node = $1 AND mailbox = $2 AND until <= $3",
	    DB_ARGS(db_str(node), db_str(mailbox), db_time(t, before)), err);
}

enum mh_status
ledger_mailbox_forget(struct db *db, int64_t before, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

	/* a row that was made and never taken is of a mailbox that somebody is about to take */
	return db_run(
	    db, "DELETE FROM mailbox_leases WHERE until <= $1 AND node <> ''", DB_ARGS(db_time(t, before)), err);
}
