/* copy.c: see copy.h. */
#include "mailhook/work/ledger/copy.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_ROWS 500
#define PAGE_BYTES ((int64_t)8 << 20)      /* of large columns in one page, unless one alone has more */
#define PIECE_BYTES ((size_t)2 << 20)      /* of values that wait to be written together */
#define ALONE_BYTES ((size_t)64 << 10)     /* a row of more is written by itself, and not copied before */
#define STATEMENT_VALUES 1000              /* of one INSERT: below what either engine takes */
#define LOCAL_VALUES 80                    /* SQLite looks each $N up among those before it */
#define PAGE_ARENA_BYTES ((size_t)1 << 30) /* mended texts of one page: below PAGE_ROWS of a field's maximum */
#define SQL_BYTES 65536

/* clang-format off */
const struct copy_table copy_tables[] = {
	{ .name = "meta", .columns = "name, value", .types = "tt", .n_keys = 1,
	    .where = "name NOT IN ('schema', 'moved', 'coming', 'arrived')" },
	{ .name = "messages",
	    .columns = "id, digest, received, envelope_from, message_id, sender, subject, verdict, reason, parser, trust, "
		       "trust_by, trust_steps, reply_to, refs, automatic, list, quarantined, copies, bytes, raw",
	    .types = "itttttttttttttt" "iiiii" "b", .n_keys = 1, .large = "raw", .numbered = true },
	{ .name = "verifications", .columns = "id, message_id, received, due, attempts, raw", .types = "iittib",
	    .n_keys = 1, .large = "raw", .numbered = true },
	{ .name = "cases",
	    .columns = "id, key, kind, account, region, resource, expires, precision, reason, trust, unlisted, ambiguous, "
		       "rule, actions, state, opened, closed, closed_by, closed_trust, approved, approved_by, vouched, "
		       "best_notice, ticket_url, look, reminded, expired, awaited, escalated",
	    .types = "ittttttttt" "ii" "ttttttttt" "ii" "tt" "iii" "t", .n_keys = 1, .numbered = true },
	{ .name = "notices",
	    .columns = "id, message_id, case_id, kind, account, region, resource, event, expires, precision, days_stated, "
		       "trust, seen",
	    .types = "iiittttttt" "i" "tt", .n_keys = 1, .numbered = true },
	{ .name = "events", .columns = "id, case_id, at, what, by, detail", .types = "iitttt", .n_keys = 1,
	    .numbered = true },
	{ .name = "jobs",
	    .columns = "id, job_key, case_id, action, role, event, event_id, position, needs, state, waiting_for, attempt, "
		       "due, created, started, retrying_since, ended, lease_owner, lease_until, action_state, summary, "
		       "url, step",
	    .types = "itittt" "ii" "ttt" "i" "ttttttttttt", .n_keys = 1, .numbered = true },
	{ .name = "credentials", .columns = "action, name, expires, precision, told, asked", .types = "tttttt",
	    .n_keys = 2 },
	{ .name = "approvals", .columns = "id, case_id, step, by, at", .types = "iittt", .n_keys = 1, .numbered = true },
	{ .name = "renewals", .columns = "case_id, expires, notice", .types = "itt", .n_keys = 1 },
	{ .name = "pauses", .columns = "scope, name, since, by, why", .types = "ttttt", .n_keys = 2 },
	{ .name = "refusals", .columns = "job_id, node, until, why", .types = "ittt", .n_keys = 2 },
	{ .name = "claims", .columns = "name, case_id, action, since", .types = "titt", .n_keys = 1 },
	{ .name = "mailbox_leases", .columns = "mailbox, node, life, until, wanted, read, position",
	    .types = "ttttttt", .n_keys = 1 },
	{ .name = NULL },
};
/* clang-format on */
const char *const copy_left[] = { "nodes", NULL };

/* -- reading a table page by page ---------------------------------------------------------------------------------- */

/* Takes one row; its bytes are there until it returns. */
struct taker {
	enum mh_status (*take)(void *user, const struct db_value *values, struct mh_err *err);
	void *user;
};

struct pages {
	struct db *db;
	const struct copy_table *t;
	char *first, *next, *sizes; /* own: statements */
	struct db_value key[COPY_MOST_KEYS];
	struct arena keys[2]; /* own: what key points to, in turn */
	size_t turn;
	struct arena mended; /* own: of the present page */
	int64_t n_mended;
	bool begun, ended;
};

/* The columns of the primary key: they come first. */
static struct mh_span
key_names(const struct copy_table *t)
{
	const struct mh_span all = span_of(t->columns);
	size_t end = 0;

	for (size_t i = 0; i < t->n_keys; i++) {
		const size_t comma = span_find(all, MH_LIT(","), end + (i > 0));
		end = comma == SIZE_MAX ? all.n : comma;
	}
	return span_head(all, end);
}

static void
put_page_sql(struct buf *b, const struct copy_table *t, const char *what, const char *than)
{
	const struct mh_span keys = key_names(t);

	buf_printf(b, "SELECT %s FROM %s WHERE ", what, t->name);
	if (t->where != NULL)
		buf_printf(b, "%s AND ", t->where);
	buf_printf(b, "(%.*s) %s (%s) ORDER BY %.*s LIMIT $%zu", (int)keys.n, keys.p, than,
	    t->n_keys == 1 ? "$1" : "$1, $2", (int)keys.n, keys.p, t->n_keys + 1);
}

static char *
page_sql(const struct copy_table *t, const char *what, const char *than)
{
	struct buf b;

	buf_init(&b, SQL_BYTES);
	put_page_sql(&b, t, what, than);
	if (!buf_ok(&b))
		buf_release(&b);
	return b.p;
}

static void
pages_close(struct pages *p)
{
	free(p->first);
	free(p->next);
	free(p->sizes);
	arena_release(&p->keys[0]);
	arena_release(&p->keys[1]);
	arena_release(&p->mended);
}

static enum mh_status
pages_open(struct pages *p, struct db *db, const struct copy_table *t, struct mh_err *err)
{
	char sizes[80];

	*p = (struct pages){ .db = db, .t = t };
	arena_init(&p->keys[0], PAGE_ARENA_BYTES);
	arena_init(&p->keys[1], PAGE_ARENA_BYTES);
	arena_init(&p->mended, PAGE_ARENA_BYTES);
	for (size_t i = 0; i < t->n_keys; i++) /* below all, with "not less" */
		p->key[i] = t->types[i] == 'i' ? db_int(INT64_MIN) : db_str("");
	p->first = page_sql(t, t->columns, ">=");
	p->next = page_sql(t, t->columns, ">");
	if (t->large != NULL) {
		(void)snprintf(sizes, sizeof(sizes), "COALESCE(length(%s), 0)", t->large);
		p->sizes = page_sql(t, sizes, ">");
	}
	if (p->first != NULL && p->next != NULL && (t->large == NULL || p->sizes != NULL))
		return MH_OK;
	pages_close(p);
	return mh_fail(err, MH_RETRY, "no memory to read a ledger");
}

/* How many rows the next page may have: of large ones only as many as fit into memory together. */
static enum mh_status
page_rows(struct pages *p, int64_t *ret, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	const struct db_value args[] = { p->key[0], db_int(PAGE_ROWS) };
	int64_t n = 0, bytes = 0;

	*ret = PAGE_ROWS;
	if (p->sizes == NULL)
		return MH_OK;
	enum mh_status status = db_query(p->db, p->sizes, args, 2, &rows, err);
	while (status == MH_OK && (status = db_step(rows, err)) == MH_OK) {
		bytes += db_get_int(rows, 0);
		if (bytes > PAGE_BYTES && n > 0)
			break;
		n++;
	}
	if (status != MH_OK && status != MH_SKIP)
		return status;
	*ret = n == 0 ? 1 : n;
	return MH_OK;
}

/* As the engine on PostgreSQL does it. */
static enum mh_status
mend(struct pages *p, struct mh_span s, struct mh_span *ret, struct mh_err *err)
{
	struct buf text;

	buf_init(&text, 3 * s.n + 1);
	buf_put_text(&text, s);
	const bool whole = buf_ok(&text) && arena_copy(&p->mended, buf_span(&text), ret, NULL) == MH_OK;
	buf_release(&text);
	p->n_mended += whole;
	return whole ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a text of the ledger");
}

static enum mh_status
read_value(struct pages *p, struct db_rows *rows, int column, struct db_value *ret, struct mh_err *err)
{
	struct mh_span s;

	if (p->db->engine->type(rows, column) == DB_NULL) {
		*ret = db_null();
		return MH_OK;
	}
	if (p->t->types[column] == 'i') {
		*ret = db_int(db_get_int(rows, column));
		return MH_OK;
	}
	s = db_get_bytes(rows, column);
	if (s.p == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a value of the ledger");
	enum mh_status status = MH_OK;
	if (p->t->types[column] == 't' && !utf8_text(s))
		status = mend(p, s, &s, err);
	if (status == MH_OK)
		*ret = p->t->types[column] == 't' ? db_span(s) : db_blob(s);
	return status;
}

/* Where the next page begins: a copy, for the row is gone by then. */
static enum mh_status
keep_key(struct pages *p, const struct db_value *values, struct mh_err *err)
{
	struct arena *a = &p->keys[p->turn ^= 1];

	arena_reset(a);
	for (size_t i = 0; i < p->t->n_keys; i++) {
		p->key[i] = values[i];
		if (values[i].type == DB_TEXT && arena_copy(a, values[i].bytes, &p->key[i].bytes, err) != MH_OK)
			return mh_fail(err, MH_RETRY, "no memory for a key of the ledger");
	}
	return MH_OK;
}

/* Gives the rows of the next page to the taker. *ret_n: how many; p->ended: there are no more. */
static enum mh_status
pages_next(struct pages *p, const struct taker *taker, int64_t *ret_n, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	struct db_value values[COPY_MOST_COLUMNS], args[COPY_MOST_KEYS + 1];
	const size_t n_columns = strlen(p->t->types), n_keys = p->t->n_keys;
	int64_t n = 0, most = 0;
	enum mh_status status = page_rows(p, &most, err);

	if (status != MH_OK)
		return status;
	memcpy(args, p->key, n_keys * sizeof(args[0]));
	args[n_keys] = db_int(most);
	arena_reset(&p->mended);
	status = db_query(p->db, p->begun ? p->next : p->first, args, n_keys + 1, &rows, err);
	while (status == MH_OK && (status = db_step(rows, err)) == MH_OK) {
		for (size_t i = 0; i < n_columns && status == MH_OK; i++)
			status = read_value(p, rows, (int)i, &values[i], err);
		if (status == MH_OK)
			status = taker->take(taker->user, values, err);
		if (status == MH_OK && ++n == most) {
			status = keep_key(p, values, err);
			break;
		}
	}
	if (status != MH_OK && status != MH_SKIP)
		return status;
	p->begun = true;
	p->ended = status == MH_SKIP;
	*ret_n = n;
	return MH_OK;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

struct writer {
	struct db *db;
	const struct copy_table *t;
	char *one, *many; /* own: statements */
	size_t n_columns, n_together;
	struct db_value values[STATEMENT_VALUES]; /* of rows that wait */
	size_t n_rows, bytes;
	struct arena a; /* own: what they point to */
};

static char *
insert_sql(const struct copy_table *t, size_t n_columns, size_t n_rows)
{
	struct buf b;
	size_t k = 1;

	buf_init(&b, SQL_BYTES);
	buf_printf(&b, "INSERT INTO %s (%s) VALUES ", t->name, t->columns);
	for (size_t row = 0; row < n_rows; row++) {
		buf_puts(&b, row == 0 ? "(" : ", (");
		for (size_t i = 0; i < n_columns; i++)
			buf_printf(&b, "%s$%zu", i == 0 ? "" : ", ", k++);
		buf_putc(&b, ')');
	}
	if (!buf_ok(&b))
		buf_release(&b);
	return b.p;
}

static void
writer_drop(struct writer **w)
{
	if (*w == NULL)
		return;
	free((*w)->one);
	free((*w)->many);
	arena_release(&(*w)->a);
	free(*w);
	*w = NULL;
}

static struct writer *
writer_new(struct db *db, const struct copy_table *t)
{
	struct writer *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return NULL;
	w->db = db;
	w->t = t;
	w->n_columns = strlen(t->types);
	w->n_together = (db->engine->local ? LOCAL_VALUES : STATEMENT_VALUES) / w->n_columns;
	arena_init(&w->a, 2 * PIECE_BYTES);
	w->one = insert_sql(t, w->n_columns, 1);
	w->many = insert_sql(t, w->n_columns, w->n_together);
	if (w->one == NULL || w->many == NULL)
		writer_drop(&w);
	return w;
}

static enum mh_status
writer_flush(struct writer *w, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	if (w->n_rows == w->n_together)
		status = db_run(w->db, w->many, w->values, w->n_rows * w->n_columns, err);
	for (size_t i = 0; i < w->n_rows && w->n_rows < w->n_together && status == MH_OK; i++)
		status = db_run(w->db, w->one, w->values + i * w->n_columns, w->n_columns, err);
	w->n_rows = w->bytes = 0;
	arena_reset(&w->a);
	return status;
}

static enum mh_status
writer_take(void *user, const struct db_value *values, struct mh_err *err)
{
	struct writer *w = user;
	struct db_value *to = w->values + w->n_rows * w->n_columns;
	size_t bytes = 0;

	for (size_t i = 0; i < w->n_columns; i++)
		bytes += values[i].bytes.n;
	if (bytes > ALONE_BYTES)
		return db_run(w->db, w->one, values, w->n_columns, err);
	for (size_t i = 0; i < w->n_columns; i++) {
		to[i] = values[i];
		if (values[i].bytes.p != NULL && arena_copy(&w->a, values[i].bytes, &to[i].bytes, err) != MH_OK)
			return mh_fail(err, MH_RETRY, "no memory for rows of the ledger");
	}
	w->n_rows++;
	w->bytes += bytes;
	return w->n_rows == w->n_together || w->bytes >= PIECE_BYTES ? writer_flush(w, err) : MH_OK;
}

static void
tell(const struct copy_watch *watch, const char *what, const struct copy_table *t, int64_t done)
{
	if (watch != NULL)
		watch->say(watch->user, what, t->name, done);
}

static enum mh_status
copy_table(struct db *from, struct db *to, const struct copy_table *t, const struct copy_watch *watch, int64_t *mended,
    struct mh_err *err)
{
	MH_AUTO(writer_drop) struct writer *w = writer_new(to, t);
	const struct taker taker = { writer_take, w };
	struct pages p;
	int64_t n = 0, done = 0, last = 0;

	if (w == NULL)
		return mh_fail(err, MH_RETRY, "no memory to write a ledger");
	enum mh_status status = pages_open(&p, from, t, err);
	if (status != MH_OK)
		return status;
	while (status == MH_OK && !p.ended) {
		status = pages_next(&p, &taker, &n, err);
		done += n;
		tell(watch, "copied", t, done);
	}
	*mended += p.n_mended;
	pages_close(&p);
	if (status == MH_OK)
		status = writer_flush(w, err);
	if (status == MH_OK && t->numbered)
		status = from->engine->last_id(from, t->name, &last, err);
	return status == MH_OK && last > 0 ? to->engine->set_last_id(to, t->name, last, err) : status;
}

enum mh_status
copy_rows(struct db *from, struct db *to, const struct copy_watch *watch, int64_t *ret_mended, struct mh_err *err)
{
	int64_t mended = 0;
	/* what a new ledger has been given: from has its own. The row of the schema stays, it is others' lock */
	enum mh_status status = db_exec(to, "DELETE FROM meta WHERE name IN ('seed', 'identity')", err);

	if (status == MH_OK && to->engine->local) /* keys are random: each row's page of their index is another */
		status = db_exec(to, "PRAGMA cache_size = -65536", err);
	for (const struct copy_table *t = copy_tables; t->name != NULL && status == MH_OK; t++)
		status = copy_table(from, to, t, watch, &mended, err);
	if (status == MH_OK)
		*ret_mended = mended;
	return status;
}

/* -- proof --------------------------------------------------------------------------------------------------------- */

struct summing {
	const struct copy_table *t;
	struct digest digest; /* own */
};

static enum mh_status
sum_take(void *user, const struct db_value *values, struct mh_err *err)
{
	struct summing *s = user;

	(void)err;
	for (size_t i = 0; s->t->types[i] != '\0'; i++) {
		char number[24];
		struct mh_span field = values[i].bytes;

		if (values[i].type == DB_NULL)
			field = MH_NONE;
		else if (values[i].type == DB_INTEGER)
			field = (struct mh_span){ number,
				(size_t)snprintf(number, sizeof(number), "%" PRId64, values[i].integer) };
		digest_add(&s->digest, field);
	}
	return MH_OK;
}

static enum mh_status
sum_close(struct summing *s, struct db *db, int64_t rows, struct copy_sum *ret, struct mh_err *err)
{
	ret->rows = rows;
	ret->last_id = 0;
	const enum mh_status status = digest_close(&s->digest, ret->digest, err);
	return status == MH_OK && s->t->numbered ? db->engine->last_id(db, s->t->name, &ret->last_id, err) : status;
}

static enum mh_status
sum_table(struct db *const dbs[2], const struct copy_table *t, const struct copy_watch *watch,
    struct copy_sum *const ret[2], struct mh_err *err)
{
	struct summing sums[2] = { { .t = t }, { .t = t } };
	struct pages pages[2];
	int64_t n = 0, done[2] = { 0, 0 };
	enum mh_status status = pages_open(&pages[0], dbs[0], t, err);

	if (status != MH_OK)
		return status;
	status = pages_open(&pages[1], dbs[1], t, err);
	if (status != MH_OK) {
		pages_close(&pages[0]);
		return status;
	}
	for (size_t side = 0; side < 2; side++)
		digest_open(&sums[side].digest);
	while (status == MH_OK && !(pages[0].ended && pages[1].ended)) {
		for (size_t side = 0; side < 2 && status == MH_OK; side++) {
			const struct taker taker = { sum_take, &sums[side] };
			if (pages[side].ended)
				continue;
			status = pages_next(&pages[side], &taker, &n, err);
			done[side] += n;
		}
		tell(watch, "compared", t, done[1]);
	}
	for (size_t side = 0; side < 2; side++) {
		struct copy_sum sum = { 0 };
		const enum mh_status closed = sum_close(&sums[side], dbs[side], done[side], &sum, err);
		if (status == MH_OK)
			status = closed;
		*ret[side] = sum;
		pages_close(&pages[side]);
	}
	return status;
}

enum mh_status
copy_sums(struct db *from, struct db *to, const struct copy_watch *watch, struct copy_sum *ret_from,
    struct copy_sum *ret_to, struct mh_err *err)
{
	struct db *const dbs[2] = { from, to };
	enum mh_status status = MH_OK;

	for (size_t i = 0; copy_tables[i].name != NULL && status == MH_OK; i++) {
		struct copy_sum *const sums[2] = { &ret_from[i], &ret_to[i] };
		status = sum_table(dbs, &copy_tables[i], watch, sums, err);
	}
	return status;
}

bool
copy_same(const struct copy_sum *a, const struct copy_sum *b)
{
	return a->rows == b->rows && a->last_id == b->last_id && strcmp(a->digest, b->digest) == 0;
}

enum mh_status
copy_is_empty(struct db *db, bool *ret, struct mh_err *err)
{
	char sql[80];
	int64_t n = 0;
	enum mh_status status = MH_OK;

	for (const struct copy_table *t = copy_tables; t->name != NULL && n == 0 && status == MH_OK; t++) {
		if (strcmp(t->name, "meta") == 0)
			continue;
		(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM (SELECT 1 FROM %s LIMIT 1) AS one", t->name);
		status = db_one(db, sql, NULL, 0, &n, err);
	}
	if (status == MH_OK)
		*ret = n == 0;
	return status;
}
