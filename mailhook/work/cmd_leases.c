/* cmd_leases.c: the side of the mailboxes' supervisor that knows the ledger: it holds this node's leases and keeps positions.
 *
 * Started by mailhook-imap where nodes share the ledger, and by nobody else; lease_times.h has what the two say to each other.
 * It outlives the supervisor by a moment, to give up what nobody watches any more. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/imap/lease_times.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/ledger/mailbox_leases.h"
#include "mailhook/work/log.h"

#define LINE_BYTES (MH_MAX_JSON_BYTES + 1)
#define ARENA_BYTES ((size_t)256 << 20) /* positions of many mailboxes at once */
#define AGAIN_MS 1000                   /* after a failure */
#define CALLS_MS 300                    /* calls are for workers too: so often a round follows one */
#define DROP_S 600     /* a mailbox that is configured no more, and that no other node took in that time */
#define LATE_MS 600000 /* a mailbox that could not be read here is tried again */
#define MAX_BOXES 10000
#define FROM "from " /* a position's first line in the ledger is "from NODE" */

struct box {
	const char *name; /* in the arena */
	bool back;        /* it should be with this node */
	bool granted;
	bool off;        /* given up for good */
	int64_t late_ms; /* until then others come first */
	bool giving;     /* said to be given up, and not yet done */
};

struct leasing {
	struct work w;
	struct lease_times times;
	struct arena arena; /* own: names */
	struct arena rows;  /* own: of one round, or of one line */
	struct box *boxes;
	size_t n;
	char life[LEDGER_KEY_HEX + 1];
	struct buf in;       /* own: lines that are not whole yet */
	int64_t asked, seen; /* questions to the supervisor, whether it still is */
	int64_t next_ms, last_ms;
	bool told, asking, ended, forgot; /* told: what there is to watch */
};

static struct mailbox_holder
holder(const struct leasing *l)
{
	return (struct mailbox_holder){ l->w.node, l->life };
}

/* -- speaking ------------------------------------------------------------------------------------------------------ */

/* Where nobody hears any more the supervisor is at its end, and the end of its pipe follows. */
static void
say(cJSON *j)
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

static void
say_one(const char *key, const char *value)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();

	if (j != NULL && json_add_string(j, key, value))
		say(j);
}

/* What is too long is none of ours, or was made by hand. */
static void
say_grant(const struct leasing *l, const char *name, const char *position)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	struct mh_span rest = span_of(position), first = MH_NONE;
	const bool right = span_line(&rest, &first) && span_starts(first, MH_LIT(FROM)) &&
			   rest.n <= MH_IMAP_POSITION_BYTES && utf8_valid(rest);
	const bool own = right && span_eq(span_from(first, sizeof(FROM) - 1), span_of(l->w.node));

	if (j != NULL && json_add_string(j, "grant", name) && cJSON_AddBoolToObject(j, "own", own) != NULL &&
	    json_add_span(j, "position", right ? rest : MH_LIT("")))
		say(j);
}

/* -- the ledger ---------------------------------------------------------------------------------------------------- */

static enum mh_status
need_ledger(struct leasing *l, struct mh_err *err)
{
	if (l->w.db != NULL)
		return MH_OK;
	const enum mh_status status = work_open_ledger(&l->w, false, err);
	return status == MH_SKIP ? mh_fail(err, MH_RETRY, "there is no ledger yet: a worker makes it") : status;
}

static struct box *
box_of(struct leasing *l, const char *name)
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

/* -- hearing ------------------------------------------------------------------------------------------------------- */

static bool
hear_watch(struct leasing *l, const cJSON *j)
{
	const cJSON *list = json_array(j, "watch"), *item;
	const char *life = json_string(j, "life");
	const int n = cJSON_GetArraySize(list);

	if (life == NULL || strlen(life) != LEDGER_KEY_HEX || n > MAX_BOXES)
		return false;
	memcpy(l->life, life, sizeof(l->life));
	arena_reset(&l->arena);
	l->n = 0;
	l->boxes = arena_array(&l->arena, (size_t)n + 1, sizeof(*l->boxes));
	if (l->boxes == NULL)
		return false;
	cJSON_ArrayForEach(item, list)
	{
		struct mh_span name = MH_NONE;
		const char *prefer = json_string(item, "prefer");
		struct box b = { .back = prefer != NULL && strcmp(prefer, l->w.node) == 0 };

		if (json_string(item, "name") == NULL ||
		    arena_copy(&l->arena, span_of(json_string(item, "name")), &name, NULL) != MH_OK)
			return false;
		b.name = name.p;
		l->boxes[l->n++] = b;
	}
	l->told = true;
	l->next_ms = 0;
	return true;
}

/* When mailboxes were read is told by age: the clocks of nodes differ. */
static enum mh_status
note_read(struct leasing *l, const cJSON *list, struct mh_err *err)
{
	const struct mailbox_holder who = holder(l);
	const cJSON *item;
	int64_t now = 0, age_s;
	size_t n = 0;

	if (cJSON_GetArraySize(list) == 0)
		return MH_OK;
	arena_reset(&l->rows);
	struct mailbox_read *reads = arena_array(&l->rows, (size_t)cJSON_GetArraySize(list), sizeof(*reads));
	if (reads == NULL)
		return mh_fail(err, MH_RETRY, "no memory for mailboxes");
	enum mh_status status = need_ledger(l, err);
	if (status == MH_OK)
		status = l->w.db->engine->now(l->w.db, &now, err);
	if (status != MH_OK)
		return status;
	cJSON_ArrayForEach(item, list)
	{
		const char *name = json_string(item, "name");

		if (name != NULL && json_integer(item, "age_s", 0, INT32_MAX, &age_s))
			reads[n++] = (struct mailbox_read){ name, now - age_s };
	}
	return ledger_mailbox_note_read(l->w.db, &who, reads, n, err);
}

static void
hear_position(struct leasing *l, const char *name, const char *text)
{
	const struct mailbox_holder who = holder(l);
	struct mh_err err = { 0 };
	struct buf whole;
	enum mh_status status = need_ledger(l, &err);

	buf_init(&whole, MH_MAX_JSON_BYTES);
	buf_printf(&whole, FROM "%s\n", l->w.node);
	buf_puts(&whole, text);
	if (status == MH_OK)
		status = buf_ok(&whole) ? ledger_mailbox_save(l->w.db, &who, name, buf_span(&whole), &err) : MH_RETRY;
	if (status != MH_OK && status != MH_SKIP)
		say_one("unsaved", name);
	buf_release(&whole);
}

static enum mh_status
give_up(struct leasing *l, struct mh_err *err)
{
	const struct mailbox_holder who = holder(l);
	struct mailbox_names names = { 0 };
	int64_t now = 0;

	arena_reset(&l->rows);
	names.items = arena_array(&l->rows, l->n + 1, sizeof(*names.items));
	if (names.items == NULL)
		return mh_fail(err, MH_RETRY, "no memory");
	for (size_t i = 0; i < l->n; i++)
		if (l->boxes[i].giving)
			names.items[names.n++] = l->boxes[i].name;
	enum mh_status status = names.n == 0 ? MH_SKIP : need_ledger(l, err);
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

static void
hear_give(struct leasing *l, const cJSON *list, const char *again)
{
	struct mh_err err = { 0 };
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		struct box *b = cJSON_IsString(item) ? box_of(l, item->valuestring) : NULL;

		if (b != NULL) {
			b->giving = true;
			b->off = strcmp(again, "never") == 0;
			if (strcmp(again, "late") == 0)
				b->late_ms = clock_boot_ms() + LATE_MS;
			b->granted = false;
		}
	}
	(void)give_up(l, &err); /* or in the next round, before anything is renewed */
}

static bool
hear_line(struct leasing *l, struct mh_span line)
{
	struct mh_err err = { 0 };
	MH_AUTO(drop_json) cJSON *j = json_parse(line, &err);
	const char *position = json_string(j, "position"), *text = json_string(j, "text");
	const char *again = json_string(j, "again");
	const cJSON *read = json_array(j, "read"), *give = json_array(j, "give");
	if (json_array(j, "watch") != NULL)
		return hear_watch(l, j);
	if (!l->told)
		return false;
	if (read != NULL && json_integer(j, "seen", 0, INT64_MAX, &l->seen))
		(void)note_read(l, read, &err); /* the next answer has it again, or a later one */
	else if (position != NULL && text != NULL)
		hear_position(l, position, text);
	else if (give != NULL && again != NULL)
		hear_give(l, give, again);
	else
		return false;
	return true;
}

/* False: it is at its end, or says what nobody understands. */
static bool
hear(struct leasing *l)
{
	char bytes[65536];
	const ssize_t n = read(STDIN_FILENO, bytes, sizeof(bytes));

	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return true;
	if (n <= 0)
		return false;
	buf_put(&l->in, (struct mh_span){ bytes, (size_t)n });
	struct mh_span rest = buf_span(&l->in);
	for (size_t end; (end = span_find(rest, MH_LIT("\n"), 0)) != SIZE_MAX; rest = span_from(rest, end + 1))
		if (!hear_line(l, span_head(rest, end)))
			return false;
	if (!buf_ok(&l->in))
		return false;
	const size_t left = rest.n;
	if (left > 0 && left < l->in.n)
		memmove(l->in.p, rest.p, left);
	l->in.n = left;
	return true;
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
	const struct mailbox_holder who = holder(l);
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < rows->n && status == MH_OK; i++) {
		const struct mailbox_lease_row *row = &rows->items[i];
		const struct mailbox_names one = { (const char **)&row->mailbox, 1 };

		if (strcmp(row->node, l->w.node) != 0 || box_of(l, row->mailbox) != NULL)
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

/* Renews what is ours, takes what is free, asks for what should be here.
 *   out     rows: as they are then, with *ret_now */
static enum mh_status
renew_and_take(struct leasing *l, struct mailbox_lease_rows *rows, int64_t *ret_now, struct mh_err *err)
{
	const struct mailbox_holder who = holder(l);
	struct db *db = l->w.db;
	struct plan plan = { 0 };
	bool asked = false;
	int64_t now = 0;
	enum mh_status status = db->engine->now(db, &now, err);
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
	const struct mailbox_holder who = holder(l);
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
		struct box *b = box_of(l, positions.items[i].mailbox);

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
		say(j);
}

static void
one_round(struct leasing *l)
{
	const int64_t began_ms = clock_boot_ms();
	struct mailbox_lease_rows rows = { 0 };
	struct mh_err err = { 0 };
	int64_t now = 0;
	bool waits = false;
	enum mh_status status = need_ledger(l, &err);

	if (status == MH_OK)
		status = give_up(l, &err);
	arena_reset(&l->rows);
	if (status == MH_OK)
		status = renew_and_take(l, &rows, &now, &err);
	if (status == MH_OK)
		status = grant(l, &rows, now, &err);
	l->last_ms = clock_boot_ms();
	if (status != MH_OK) {
		say_one("trouble", err.text);
		l->next_ms = l->last_ms + AGAIN_MS;
		return;
	}
	say_round(l, &rows, now, began_ms + l->times.hold_ms);
	for (size_t i = 0; i < l->n; i++)
		waits = waits || !(l->boxes[i].granted || l->boxes[i].off);
	l->next_ms = began_ms + (waits ? l->times.look_ms : l->times.renew_ms);
}

/* Asked first, so that nothing is renewed for a supervisor that hangs. */
static void
step(struct leasing *l)
{
	MH_AUTO(drop_json) cJSON *j = NULL;

	if (l->asking && l->seen == l->asked) {
		l->asking = false;
		one_round(l);
	}
	if (!l->told || l->asking || clock_boot_ms() < l->next_ms)
		return;
	j = cJSON_CreateObject();
	l->asking = j != NULL && json_add_integer(j, "ask", ++l->asked);
	if (l->asking)
		say(j);
}

/* -- the life ------------------------------------------------------------------------------------------------------ */

static int
ear_of(const struct leasing *l)
{
	return l->w.db == NULL ? -1 : l->w.db->engine->ear(l->w.db);
}

static void
wait_and_hear(struct leasing *l)
{
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = ear_of(l), .events = POLLIN } };
	const int64_t left_ms = l->next_ms - clock_boot_ms();

	(void)poll(fds, 2, !l->told || l->asking ? -1 : left_ms <= 0 ? 0 : (int)left_ms);
	if (fds[1].revents != 0 && l->w.db->engine->heard(l->w.db) && l->next_ms > l->last_ms + CALLS_MS)
		l->next_ms = l->last_ms + CALLS_MS;
	if (fds[0].revents != 0 && !hear(l))
		l->ended = true;
}

/* Whoever watched them here is dead. */
static void
give_up_all(struct leasing *l)
{
	const struct mailbox_holder who = holder(l);
	struct mh_err err = { 0 };
	int64_t now = 0;
	enum mh_status status = l->told ? need_ledger(l, &err) : MH_SKIP;

	if (status == MH_OK)
		status = l->w.db->engine->now(l->w.db, &now, &err);
	if (status == MH_OK)
		status = ledger_mailbox_release(l->w.db, &who, NULL, now, &err);
	if (status == MH_OK)
		l->w.db->engine->call(l->w.db);
	if (status != MH_OK && status != MH_SKIP)
		log_event(LOG_WARNING, "leases", NULL, "mailboxes are not given up, so they end by time: %s", err.text);
}

int
leases_command(const struct options *o)
{
	struct leasing l = { .times = lease_times() };
	struct mh_err err = { 0 };

	/* what ends the supervisor ends this by the end of its pipe, and not before */
	(void)signal(SIGTERM, SIG_IGN);
	(void)signal(SIGINT, SIG_IGN);
	(void)signal(SIGHUP, SIG_IGN);
	arena_init(&l.arena, ARENA_BYTES);
	arena_init(&l.rows, ARENA_BYTES);
	buf_init(&l.in, LINE_BYTES + 65536);
	const enum mh_status status = work_load(&l.w, o->config, &err);
	if (status == MH_OK) {
		log_open(l.w.conf, LOG_JOURNAL_SOCKET);
		while (!l.ended) {
			step(&l);
			wait_and_hear(&l);
		}
		give_up_all(&l);
		log_close();
	} else {
		say_one("trouble", err.text);
	}
	buf_release(&l.in);
	arena_release(&l.rows);
	arena_release(&l.arena);
	work_release(&l.w);
	return work_exit(status);
}
