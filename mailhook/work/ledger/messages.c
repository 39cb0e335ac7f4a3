/* messages.c: messages as they came, and the notices that were read from them. */
#include "mailhook/work/ledger/rows.h"

#define MESSAGE_COLUMNS                                                                                                \
	"id, digest, received, envelope_from, message_id, sender, subject, verdict, reason, parser, trust, trust_by, " \
	"trust_steps, reply_to, refs, automatic, list, quarantined, bytes"
#define NOTICE_COLUMNS                                                                                                 \
	"id, message_id, case_id, kind, account, region, resource, event, expires, precision, days_stated, trust, "    \
	"seen"

static enum mh_status
read_message_row(struct db_rows *rows, struct arena *a, struct message_row *ret, struct mh_err *err)
{
	struct row r = { rows, a, err, MH_OK };
	struct message_row m = { .id = db_get_int(rows, 0) };
	bool known;

	m.digest = row_str(&r, 1);
	row_time(&r, 2, &known, &m.received);
	m.envelope_from = row_str(&r, 3);
	m.message_id = row_str(&r, 4);
	m.sender = row_str(&r, 5);
	m.subject = row_str(&r, 6);
	m.verdict = row_str(&r, 7);
	m.reason = row_str(&r, 8);
	m.parser = row_str(&r, 9);
	m.trust = (enum trust_level)row_word(&r, 10, trust_names, TRUST_LEVELS);
	m.trust_by = row_str(&r, 11);
	m.trust_steps = row_str(&r, 12);
	m.reply_to = row_str(&r, 13);
	m.refs = row_str(&r, 14);
	m.automatic = db_get_int(rows, 15) != 0;
	m.list = db_get_int(rows, 16) != 0;
	m.quarantined = db_get_int(rows, 17) != 0;
	m.bytes = db_get_int(rows, 18);
	if (r.status == MH_OK)
		*ret = m;
	return r.status;
}

static enum mh_status
one_message(struct db *db, const char *sql, const struct db_value *arg, struct arena *a, struct message_row *ret,
    struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status = db_query(db, sql, arg, 1, &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	return status == MH_OK ? read_message_row(rows, a, ret, err) : status;
}

enum mh_status
ledger_message_find(struct db *db, const char *digest, struct arena *a, struct message_row *ret, struct mh_err *err)
{
	const struct db_value arg = db_str(digest);

	return one_message(db, "SELECT " MESSAGE_COLUMNS " FROM messages WHERE digest = $1", &arg, a, ret, err);
}

enum mh_status
ledger_message_get(struct db *db, int64_t id, struct arena *a, struct message_row *ret, struct mh_err *err)
{
	const struct db_value arg = db_int(id);

	return one_message(db, "SELECT " MESSAGE_COLUMNS " FROM messages WHERE id = $1", &arg, a, ret, err);
}

enum mh_status
ledger_message_unread(struct db *db, int64_t after, int64_t *ret_id, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status = db_query(db,
	    "SELECT id FROM messages WHERE id > $1 AND verdict <> 'notice' AND raw IS NOT NULL ORDER BY id LIMIT 1",
	    DB_ARGS(db_int(after)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status == MH_OK)
		*ret_id = db_get_int(rows, 0);
	return status;
}

enum mh_status
ledger_message_raw(struct db *db, int64_t id, struct buf *ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status = db_query(db, "SELECT raw FROM messages WHERE id = $1", DB_ARGS(db_int(id)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status != MH_OK)
		return status;

	const struct mh_span raw = db_get_bytes(rows, 0);
	if (raw.p == NULL)
		return mh_fail(err, MH_SKIP, "the message's bytes are not kept");
	buf_put(ret, raw);
	return buf_ok(ret) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a message of %zu bytes", raw.n);
}

enum mh_status
ledger_message_add(struct db *db, const struct message_row *m, struct mh_span raw, int64_t *ret_id, struct mh_err *err)
{
	char received[MH_TIME_TEXT];

	return db_one(db,
	    "INSERT INTO messages (digest, received, envelope_from, message_id, sender, subject, verdict, reason, "
	    "parser, "
	    "trust, trust_by, trust_steps, reply_to, refs, automatic, list, quarantined, bytes, raw) "
	    "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) RETURNING "
	    "id",
	    DB_ARGS(db_str(m->digest), db_time(received, m->received), db_str(m->envelope_from), db_str(m->message_id),
		db_str(m->sender), db_str(m->subject), db_str(m->verdict), db_str(m->reason), db_str(m->parser),
		db_str(trust_names[m->trust]), db_str(m->trust_by), db_str(m->trust_steps), db_str(m->reply_to),
		db_str(m->refs), db_int(m->automatic), db_int(m->list), db_int(m->quarantined), db_int(m->bytes),
		db_blob(raw)),
	    ret_id, err);
}

enum mh_status
ledger_message_copied(struct db *db, int64_t id, struct mh_err *err)
{
	return db_run(db, "UPDATE messages SET copies = copies + 1 WHERE id = $1", DB_ARGS(db_int(id)), err);
}

enum mh_status
ledger_message_replace(struct db *db, int64_t id, const struct message_row *m, struct mh_span raw, struct mh_err *err)
{
	return db_run(db,
	    "UPDATE messages SET envelope_from = $1, verdict = $2, reason = $3, parser = $4, trust = $5, trust_by = "
	    "$6, "
	    "trust_steps = $7, reply_to = $8, refs = $9, automatic = $10, list = $11, bytes = $12, raw = $13 WHERE id "
	    "= $14",
	    DB_ARGS(db_str(m->envelope_from), db_str(m->verdict), db_str(m->reason), db_str(m->parser),
		db_str(trust_names[m->trust]), db_str(m->trust_by), db_str(m->trust_steps), db_str(m->reply_to),
		db_str(m->refs), db_int(m->automatic), db_int(m->list), db_int(m->bytes), db_blob(raw), db_int(id)),
	    err);
}

/* -- notices ------------------------------------------------------------------------------------------------------- */

static struct db_value
precision_value(const struct notice_row *n)
{
	return n->has_expires ? db_str(mh_precision_names[n->precision]) : db_null();
}

enum mh_status
ledger_notice_add(struct db *db, const struct notice_row *n, int64_t *ret_id, struct mh_err *err)
{
	char expires[MH_TIME_TEXT], seen[MH_TIME_TEXT];

	return db_one(db,
	    "INSERT INTO notices (message_id, case_id, kind, account, region, resource, event, expires, precision, "
	    "days_stated, trust, seen) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) RETURNING id",
	    DB_ARGS(db_int(n->message_id), db_int(n->case_id), db_str(n->kind), db_str(n->account), db_str(n->region),
		db_str(n->resource), db_str(n->event), n->has_expires ? db_time(expires, n->expires) : db_null(),
		precision_value(n), n->days_stated < 0 ? db_null() : db_int(n->days_stated),
		db_str(trust_names[n->trust]), db_time(seen, n->seen)),
	    ret_id, err);
}

enum mh_status
ledger_notice_replace(struct db *db, int64_t id, const struct notice_row *n, struct mh_err *err)
{
	char expires[MH_TIME_TEXT];

	return db_run(db,
	    "UPDATE notices SET region = $1, resource = $2, event = $3, expires = $4, precision = $5, days_stated = "
	    "$6, "
	    "trust = $7 WHERE id = $8",
	    DB_ARGS(db_str(n->region), db_str(n->resource), db_str(n->event),
		n->has_expires ? db_time(expires, n->expires) : db_null(), precision_value(n),
		n->days_stated < 0 ? db_null() : db_int(n->days_stated), db_str(trust_names[n->trust]), db_int(id)),
	    err);
}

static void
read_notice(struct row *r, void *dst)
{
	struct notice_row n = {
		.id = db_get_int(r->rows, 0), .message_id = db_get_int(r->rows, 1), .case_id = db_get_int(r->rows, 2)
	};
	bool known;

	n.kind = row_str(r, 3);
	n.account = row_str(r, 4);
	n.region = row_str(r, 5);
	n.resource = row_str(r, 6);
	n.event = row_str(r, 7);
	row_time(r, 8, &n.has_expires, &n.expires);
	n.precision = (enum mh_precision)row_word(r, 9, mh_precision_names, PRECISIONS);
	n.days_stated = db_get_bytes(r->rows, 10).p == NULL ? -1 : db_get_int(r->rows, 10);
	n.trust = (enum trust_level)row_word(r, 11, trust_names, TRUST_LEVELS);
	row_time(r, 12, &known, &n.seen);
	*(struct notice_row *)dst = n;
}

static enum mh_status
many_notices(struct db *db, const char *sql, int64_t id, struct arena *a, struct notice_rows *ret, struct mh_err *err)
{
	struct row_list list = ROW_LIST(struct notice_row, read_notice);
	const enum mh_status status = rows_all(db, sql, DB_ARGS(db_int(id)), a, &list, err);

	if (status == MH_OK)
		*ret = (struct notice_rows){ list.items, list.n, list.cap };
	return status;
}

enum mh_status
ledger_notices_of_message(
    struct db *db, int64_t message_id, struct arena *a, struct notice_rows *ret, struct mh_err *err)
{
	return many_notices(
	    db, "SELECT " NOTICE_COLUMNS " FROM notices WHERE message_id = $1 ORDER BY id", message_id, a, ret, err);
}

enum mh_status
ledger_notices_of_case(struct db *db, int64_t case_id, struct arena *a, struct notice_rows *ret, struct mh_err *err)
{
	return many_notices(
	    db, "SELECT " NOTICE_COLUMNS " FROM notices WHERE case_id = $1 ORDER BY id", case_id, a, ret, err);
}

/* -- quarantine ---------------------------------------------------------------------------------------------------- */

enum mh_status
ledger_quarantine(struct db *db, int64_t *ret_messages, int64_t *ret_bytes, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	enum mh_status status = db_query(db,
	    "SELECT count(*), CAST(COALESCE(sum(bytes), 0) AS BIGINT) FROM messages WHERE quarantined = 1 AND raw IS "
	    "NOT NULL",
	    NULL, 0, &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status != MH_OK)
		return status;
	*ret_messages = db_get_int(rows, 0);
	*ret_bytes = db_get_int(rows, 1);
	return MH_OK;
}

enum mh_status
ledger_quarantine_release(struct db *db, int64_t case_id, struct mh_err *err)
{
	return db_run(db,
	    "UPDATE messages SET quarantined = 0 WHERE quarantined = 1 AND id IN "
	    "(SELECT message_id FROM notices WHERE case_id = $1)",
	    DB_ARGS(db_int(case_id)), err);
}
