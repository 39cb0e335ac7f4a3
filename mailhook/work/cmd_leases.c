/* cmd_leases.c: the side of the mailboxes' supervisor that knows the ledger: it holds this node's leases and keeps positions.
 *
 * Started by mailhook-imap where nodes share the ledger, and by nobody else; lease_times.h has what the two say to each
 * other. It outlives the supervisor by a moment, to give up what nobody watches any more. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/leasing.h"
#include "mailhook/work/log.h"

#define LINE_BYTES (MH_MAX_JSON_BYTES + 1)
#define ARENA_BYTES ((size_t)256 << 20) /* positions of many mailboxes at once */
#define CALLS_MS 300                    /* calls are for workers too: so often a round follows one */
#define LATE_MS 600000                  /* a mailbox that could not be read here is tried again */
#define MAX_BOXES 10000

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
	const struct mailbox_holder who = leasing_holder(l);
	const cJSON *item;
	int64_t now = 0, age_s;
	size_t n = 0;

	if (cJSON_GetArraySize(list) == 0 || !l->well)
		return MH_OK;
	arena_reset(&l->rows);
	struct mailbox_read *reads = arena_array(&l->rows, (size_t)cJSON_GetArraySize(list), sizeof(*reads));
	if (reads == NULL)
		return mh_fail(err, MH_RETRY, "no memory for mailboxes");
	enum mh_status status = leasing_ledger(l, err);
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
	const struct mailbox_holder who = leasing_holder(l);
	struct mh_err err = { 0 };
	struct buf whole;
	enum mh_status status = l->well ? leasing_ledger(l, &err) : MH_RETRY;

	buf_init(&whole, MH_MAX_JSON_BYTES);
	buf_printf(&whole, LEASING_FROM "%s\n", l->w.node);
	buf_puts(&whole, text);
	if (status == MH_OK)
		status = buf_ok(&whole) ? ledger_mailbox_save(l->w.db, &who, name, buf_span(&whole), &err) : MH_RETRY;
	if (status != MH_OK && status != MH_SKIP)
		leasing_say_one("unsaved", name);
	buf_release(&whole);
}

static void
hear_give(struct leasing *l, const cJSON *list, const char *again)
{
	struct mh_err err = { 0 };
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		struct box *b = cJSON_IsString(item) ? leasing_box(l, item->valuestring) : NULL;

		if (b != NULL) {
			b->giving = true;
			b->off = strcmp(again, "never") == 0;
			if (strcmp(again, "late") == 0)
				b->late_ms = clock_boot_ms() + LATE_MS;
			b->granted = false;
		}
	}
	if (l->well)
		(void)leasing_give_up(l, &err); /* or in the next round, before anything is renewed */
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

/* Asked first, so that nothing is renewed for a supervisor that hangs. */
static void
step(struct leasing *l)
{
	MH_AUTO(drop_json) cJSON *j = NULL;

	if (l->asking && l->seen == l->asked) {
		l->asking = false;
		leasing_round(l);
	}
	if (!l->told || l->asking || clock_boot_ms() < l->next_ms)
		return;
	j = cJSON_CreateObject();
	l->asking = j != NULL && json_add_integer(j, "ask", ++l->asked);
	if (l->asking)
		leasing_say(j);
}

/* -- the life ------------------------------------------------------------------------------------------------------ */

static int
ear_of(const struct leasing *l)
{
	return l->w.db == NULL ? -1 : l->w.db->engine->ear(l->w.db);
}

static void
hear_call(struct leasing *l)
{
	if (l->w.db != NULL && l->w.db->engine->heard(l->w.db) && l->next_ms > l->last_ms + CALLS_MS)
		l->next_ms = l->last_ms + CALLS_MS;
}

static void
wait_and_hear(struct leasing *l)
{
	struct pollfd fds[2] = { { .fd = STDIN_FILENO, .events = POLLIN }, { .fd = ear_of(l), .events = POLLIN } };

	hear_call(l); /* one that came beside an answer */
	const int64_t left_ms = l->next_ms - clock_boot_ms();

	(void)poll(fds, 2, !l->told || l->asking ? -1 : left_ms <= 0 ? 0 : (int)left_ms);
	if (fds[1].revents != 0)
		hear_call(l);
	if (fds[0].revents != 0 && !hear(l))
		l->ended = true;
}

/* A connection takes longer than the supervisor's patience where hosts are dead and a password comes from a program. */
static void
on_step(void *user)
{
	(void)user;
	leasing_say_one("busy", "it connects to the ledger");
}

/* Whoever watched them here is dead. */
static void
give_up_all(struct leasing *l)
{
	const struct mailbox_holder who = leasing_holder(l);
	struct mh_err err = { 0 };
	int64_t now = 0;
	enum mh_status status = l->told ? leasing_ledger(l, &err) : MH_SKIP;

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
		l.w.ledger_step = on_step;
		while (!l.ended) {
			step(&l);
			wait_and_hear(&l);
		}
		give_up_all(&l);
		log_close();
	} else {
		leasing_say_one("trouble", err.text);
	}
	buf_release(&l.in);
	arena_release(&l.rows);
	arena_release(&l.arena);
	work_release(&l.w);
	return work_exit(status);
}
