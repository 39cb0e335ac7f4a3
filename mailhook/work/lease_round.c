/* lease_round.c: see leasing.h. */
#include "mailhook/work/leasing.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/work/commands.h"

#define AGAIN_MS 1000 /* after a failure */
#define DROP_S 600    /* a mailbox that is configured no more, and that no other node took in that time */

struct mailbox_holder
leasing_holder(const struct leasing *l)
{
	return (struct mailbox_holder){ l->w.node, l->life };
}

/* -- speaking ------------------------------------------------------------------------------------------------------ */

/* Where nobody hears any more the supervisor is at its end, and the end of its pipe follows. */
void
leasing_say(const cJSON *j)
{
	struct buf out;

	buf_init(&out, 2 * MH_MAX_JSON_BYTES);
	if (j != NULL && json_print(j, &out)) {
		buf_putc(&out, '\n');
		for (size_t at = 0; buf_ok(&out) && at < out.n;) {
			const ssize_t n = write(STDOUT_FILENO, out.p + at, out.n - at);

			if (n < 0 && errno != EINTR)
				break;
			at += n < 0 ? 0 : (size_t)n;
		}
	}
	buf_release(&out);
}

void
leasing_say_one(const char *key, const char *value)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();

	if (j != NULL && json_add_string(j, key, value))
		leasing_say(j);
}

/* What is too long is none of ours, or was made by hand. */
static void
say_grant(const struct leasing *l, const char *name, const char *position)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	struct mh_span rest = span_of(position), first = MH_NONE;
	const bool right = span_line(&rest, &first) && span_starts(first, MH_LIT(LEASING_FROM)) &&
			   rest.n <= MH_IMAP_POSITION_BYTES && utf8_valid(rest);
	const bool own = right && span_eq(span_from(first, sizeof(LEASING_FROM) - 1), span_of(l->w.node));

	if (j != NULL && json_add_string(j, "grant", name) && cJSON_AddBoolToObject(j, "own", own) != NULL &&
	    json_add_span(j, "position", right ? rest : MH_LIT("")))
		leasing_say(j);
}

/* -- the ledger ---------------------------------------------------------------------------------------------------- */

enum mh_status
leasing_ledger(struct leasing *l, struct mh_err *err)
{
	if (l->w.db != NULL)
		return MH_OK;
	const enum mh_status status = work_open_ledger(&l->w, false, err);
	return status == MH_SKIP ? mh_fail(err, MH_RETRY, "there is no ledger yet: a worker makes it") : status;
}

struct box *
leasing_box(struct leasing *l, const char *name)
{
	for (size_t i = 0; i < l->n; i++)
		if (strcmp(l->boxes[i].name, name) == 0)
			return &l->boxes[i];
	return NULL;
}

static bool
is_ours(const struct leasing *l, const struct mailbox_lease_row *row)
{
	return strcmp(row->node, l->w.node) == 0 && strcmp(row->life, l->life) == 0;
}

enum mh_status
leasing_give_up(struct leasing *l, struct mh_err *err)
{
	const struct mailbox_holder who = leasing_holder(l);
	struct mailbox_names names = { 0 };
	int64_t now = 0;

	arena_reset(&l->rows);
	names.items = arena_array(&l->rows, l->n + 1, sizeof(*names.items));
	if (names.items == NULL)
		return mh_fail(err, MH_RETRY, "no memory");
	for (size_t i = 0; i < l->n; i++)
		if (l->boxes[i].giving)
			names.items[names.n++] = l->boxes[i].name;
	enum mh_status status = names.n == 0 ? MH_SKIP : leasing_ledger(l, err);
	if (status == MH_OK)
		status = l->w.db->engine->now(l->w.db, &now, err);
	if (status == MH_OK)
		status = ledger_mailbox_release(l->w.db, &who, &names, now, err);
	if (status != MH_OK)
		return status == MH_SKIP ? MH_OK : status;
	for (size_t i = 0; i < l->n; i++)
		l->boxes[i].giving = false;
	l->w.db->engine->call(l->w.db);
	return MH_OK;
}

/* -- a round ------------------------------------------------------------------------------------------------------- */

/* What there is to do about rows that are not ours. */
struct plan {
	struct mailbox_names missing, free, want;
};

static bool
may_take(const struct leasing *l, const struct box *b, const struct mailbox_lease_row *row, int64_t now)
{
	if (row == NULL)
		return true;
	if (b->late_ms > clock_boot_ms())
		return row->until <= now - l->times.rest_s;
	return row->until <= now &&
	       (row->wanted == NULL || strcmp(row->wanted, l->w.node) == 0 || row->until <= now - l->times.grace_s);
}

static bool
may_ask(const struct leasing *l, const struct box *b, const struct mailbox_lease_row *row, int64_t now)
{
	return b->back && b->late_ms <= clock_boot_ms() && row->until > now && strcmp(row->node, l->w.node) != 0 &&
	       (row->wanted == NULL || strcmp(row->wanted, l->w.node) != 0);
}

static bool
plan_of(struct leasing *l, const struct mailbox_lease_rows *rows, int64_t now, struct plan *ret)
{
	struct plan p = { 0 };

	p.missing.items = arena_array(&l->rows, l->n + 1, sizeof(*p.missing.items));
	p.free.items = arena_array(&l->rows, l->n + 1, sizeof(*p.free.items));
	p.want.items = arena_array(&l->rows, l->n + 1, sizeof(*p.want.items));
	if (p.missing.items == NULL || p.free.items == NULL || p.want.items == NULL)
		return false;
	for (size_t i = 0; i < l->n; i++) {
		struct box *b = &l->boxes[i];
		const struct mailbox_lease_row *row = mailbox_lease_of(rows, b->name);

		if (row == NULL || row->until <= now)
			b->granted = false; /* taken again, it has a position that may be another's */
		if (b->off)
			continue;
		if (row == NULL)
			p.missing.items[p.missing.n++] = b->name;
		if (may_take(l, b, row, now))
			p.free.items[p.free.n++] = b->name;
		else if (may_ask(l, b, row, now))
			p.want.items[p.want.n++] = b->name;
	}
	*ret = p;
	return true;
}

/* Rows of mailboxes that this node has no more. */
static enum mh_status
let_go_strangers(struct leasing *l, const struct mailbox_lease_rows *rows, int64_t now, struct mh_err *err)
{
	const struct mailbox_holder who = leasing_holder(l);
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < rows->n && status == MH_OK; i++) {
		const struct mailbox_lease_row *row = &rows->items[i];
		const struct mailbox_names one = { (const char **)&row->mailbox, 1 };

		if (strcmp(row->node, l->w.node) != 0 || leasing_box(l, row->mailbox) != NULL)
			continue;
		if (row->until > now && is_ours(l, row)) {
			status = ledger_mailbox_release(l->w.db, &who, &one, now, err);
			l->w.db->engine->call(l->w.db);
		} else if (row->until <= now - DROP_S) {
			status = ledger_mailbox_drop(l->w.db, l->w.node, row->mailbox, now - DROP_S, err);
		}
	}
	return status;
}

/* The ledger's time, of a moment behind *ret_began_ms. A connection that had to be made for it is no part of what lies
 * between. */
static enum mh_status
now_of(struct db *db, int64_t *ret, int64_t *ret_began_ms, struct mh_err *err)
{
	enum mh_status status = MH_OK;
	int64_t connections = -1;

	for (int i = 0; i < 2 && status == MH_OK && connections != db->engine->connections(db); i++) {
		connections = db->engine->connections(db);
		*ret_began_ms = clock_boot_ms();
		status = db->engine->now(db, ret, err);
	}
	return status;
}

/* Renews what is ours, takes what is free, asks for what should be here.
 *   out     rows: as they are then, with *ret_now; ret_began_ms: what is ours is so for its time since then at least */
static enum mh_status
renew_and_take(
    struct leasing *l, struct mailbox_lease_rows *rows, int64_t *ret_now, int64_t *ret_began_ms, struct mh_err *err)
{
	const struct mailbox_holder who = leasing_holder(l);
	struct db *db = l->w.db;
	struct plan plan = { 0 };
	bool asked = false;
	int64_t now = 0;
	enum mh_status status = now_of(db, &now, ret_began_ms, err);
	const int64_t until = now + l->times.lease_s;

	if (status == MH_OK)
		status = ledger_mailbox_renew(db, &who, now, until, err);
	if (status == MH_OK)
		status = ledger_mailbox_leases(db, &l->rows, rows, err);
	if (status == MH_OK && !plan_of(l, rows, now, &plan))
		status = mh_fail(err, MH_RETRY, "no memory for mailboxes");
	if (status == MH_OK && plan.missing.n > 0)
		status = ledger_mailbox_add(db, &plan.missing, err);
	if (status == MH_OK && plan.free.n > 0)
		status = ledger_mailbox_take(db, &who, &plan.free, now, l->times.grace_s, until, err);
	if (status == MH_OK && plan.want.n > 0)
		status = ledger_mailbox_want(db, l->w.node, &plan.want, now, &asked, err);
	if (status == MH_OK && asked)
		db->engine->call(db);
	if (status == MH_OK)
		status = let_go_strangers(l, rows, now, err);
	if (status == MH_OK && !l->forgot) {
		status = ledger_mailbox_forget(db, now - MAILBOX_FORGET_S, err);
		l->forgot = status == MH_OK;
	}
	if (status == MH_OK && plan.free.n > 0)
		status = ledger_mailbox_leases(db, &l->rows, rows, err);
	*ret_now = now;
	return status;
}

/* With the positions of what became ours. */
static enum mh_status
grant(struct leasing *l, const struct mailbox_lease_rows *rows, int64_t now, struct mh_err *err)
{
	const struct mailbox_holder who = leasing_holder(l);
	struct mailbox_names names = { .items = arena_array(&l->rows, l->n + 1, sizeof(*names.items)) };
	struct mailbox_positions positions = { 0 };

	if (names.items == NULL)
		return mh_fail(err, MH_RETRY, "no memory for mailboxes");
	for (size_t i = 0; i < l->n; i++) {
		struct box *b = &l->boxes[i];
		const struct mailbox_lease_row *row = mailbox_lease_of(rows, b->name);
		const bool held = row != NULL && row->until > now && is_ours(l, row) && !b->giving;

		b->granted = b->granted && held;
		if (held && !b->granted)
			names.items[names.n++] = b->name;
	}
	const enum mh_status status =
	    names.n == 0 ? MH_OK : ledger_mailbox_positions(l->w.db, &who, &names, &l->rows, &positions, err);
	for (size_t i = 0; i < positions.n && status == MH_OK; i++) {
		struct box *b = leasing_box(l, positions.items[i].mailbox);

		if (b == NULL)
			continue;
		b->granted = true;
		say_grant(l, b->name, positions.items[i].text);
	}
	return status;
}

static bool
add_name(cJSON *list, const char *name)
{
	cJSON *item = cJSON_CreateString(name);

	return item != NULL && cJSON_AddItemToArray(list, item);
}

static bool
add_other(cJSON *list, const struct mailbox_lease_row *row)
{
	cJSON *one = cJSON_CreateObject();

	return one != NULL && cJSON_AddItemToArray(list, one) && json_add_string(one, "name", row->mailbox) &&
	       json_add_string(one, "node", row->node);
}

static void
say_round(struct leasing *l, const struct mailbox_lease_rows *rows, int64_t now, int64_t end_ms)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	bool ok = j != NULL && json_add_integer(j, "end_ms", end_ms);
	cJSON *held = ok ? cJSON_AddArrayToObject(j, "held") : NULL;
	cJSON *wanted = held != NULL ? cJSON_AddArrayToObject(j, "wanted") : NULL;
	cJSON *others = wanted != NULL ? cJSON_AddArrayToObject(j, "others") : NULL;

	ok = others != NULL;
	for (size_t i = 0; i < l->n && ok; i++) {
		const struct box *b = &l->boxes[i];
		const struct mailbox_lease_row *row = mailbox_lease_of(rows, b->name);

		if (row == NULL || row->until <= now)
			continue;
		if (!is_ours(l, row)) {
			ok = add_other(others, row);
		} else if (b->granted) {
			ok = add_name(held, b->name);
			if (ok && row->wanted != NULL && strcmp(row->wanted, l->w.node) != 0)
				ok = add_name(wanted, b->name);
		}
	}
	if (ok)
		leasing_say(j);
}

void
leasing_round(struct leasing *l)
{
	int64_t began_ms = clock_boot_ms();
	struct mailbox_lease_rows rows = { 0 };
	struct mh_err err = { 0 };
	int64_t now = 0;
	bool waits = false;
	enum mh_status status = leasing_ledger(l, &err);

	if (status == MH_OK)
		status = leasing_give_up(l, &err);
	arena_reset(&l->rows);
	if (status == MH_OK)
		status = renew_and_take(l, &rows, &now, &began_ms, &err);
	if (status == MH_OK)
		status = grant(l, &rows, now, &err);
	l->last_ms = clock_boot_ms();
	l->well = status == MH_OK;
	if (status != MH_OK) {
		leasing_say_one("trouble", err.text);
		l->next_ms = l->last_ms + AGAIN_MS;
		return;
	}
	say_round(l, &rows, now, began_ms + l->times.hold_ms);
	for (size_t i = 0; i < l->n; i++)
		waits = waits || !(l->boxes[i].granted || l->boxes[i].off);
	l->next_ms = began_ms + (waits ? l->times.look_ms : l->times.renew_ms);
}
