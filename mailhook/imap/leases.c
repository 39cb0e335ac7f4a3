/* leases.c: see leases.h; lease_times.h has what the two sides say. */
#include "mailhook/imap/leases.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/imap/lease_pipe.h"
#include "mailhook/imap/lease_times.h"
#include "mailhook/imap/position.h"
#include "mailhook/json.h"
#include "mailhook/work/log.h"

#define FULL_BYTES 65536   /* of what waits to be said: positions wait until it is less */
#define LEAVE_MS 8000      /* so long a mailbox that is to leave may take to its message */
#define SAVE_EVERY_MS 1000 /* of one mailbox's position */
#define READ_EVERY_S 60    /* how exactly others know when a mailbox was read */
#define YIELD_DOUBLES 4
#define START_FIRST_MS 250 /* before the other side is started again */
#define START_MOST_MS 4000
#define CLOSE_MS 8000       /* what is to be said at the end, and the answer: its end */
#define FIRST_WORD_MS 20000 /* with once: nobody knows whose they are */

struct lease {
	bool held;    /* it was granted, and not given up since */
	bool leaving; /* it is to be given up */
	bool done;    /* with once */
	bool running; /* its process */
	bool asked;   /* that process was asked to end, or is being ended: no fault of its own */
	bool saved;   /* the position of last_saves was said, and nobody has contradicted */
	uint32_t last_saves;
	bool rest;          /* this node cannot read it now: others first */
	int64_t end_ms;     /* 0: no round has said */
	int64_t failing_ms; /* since when it could not be read; 0: it can */
	unsigned yields;    /* how often it was left for that, since it could be read last */
	int64_t leave_by_ms, save_ms, told_ok;
};

struct leases {
	const struct imap *im;
	struct slot *slots;
	struct lease *boxes; /* own */
	size_t n;
	bool once;
	sigset_t before;
	struct lease_times times;
	char life[33];
	struct lease_pipe pipe; /* own */
	int64_t start_ms, back_off_ms, began_ms;
	int64_t asked;     /* the last question */
	bool known;        /* whose the mailboxes are, since it was asked */
	char trouble[160]; /* that was logged; "": none */
};

/* -- its life ------------------------------------------------------------------------------------------------------ */

static bool
make_life(char dst[33])
{
	static const char hex[] = "0123456789abcdef";
	unsigned char bytes[16];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return false;
	for (size_t i = 0; i < sizeof(bytes); i++) {
		dst[2 * i] = hex[bytes[i] >> 4];
		dst[2 * i + 1] = hex[bytes[i] & 15];
	}
	dst[32] = '\0';
	return true;
}

/* The whole list, with which a new other side begins. */
static void
say_watch(struct leases *l)
{
	const struct conf *c = l->im->conf;
	cJSON *j = cJSON_CreateObject();
	bool ok = j != NULL && json_add_string(j, "life", l->life);
	cJSON *list = ok ? cJSON_AddArrayToObject(j, "watch") : NULL;

	ok = list != NULL;
	for (size_t i = 0; i < c->n_mailboxes && ok; i++) {
		cJSON *one = cJSON_CreateObject();

		ok = one != NULL && cJSON_AddItemToArray(list, one) &&
		     json_add_string(one, "name", c->mailboxes[i].name) &&
		     json_add_string(one, "prefer", l->once ? NULL : c->mailboxes[i].prefer);
	}
	lease_pipe_say(&l->pipe, j, ok);
	l->known = false;
}

static enum mh_status
make_boxes(struct leases *l, const struct imap *im, struct slot *slots, struct mh_err *err)
{
	free(l->boxes);
	l->im = im;
	l->slots = slots;
	l->n = im->conf->n_mailboxes;
	l->boxes = calloc(l->n + 1, sizeof(*l->boxes));
	if (l->boxes == NULL)
		return mh_fail(err, MH_RETRY, "no memory for %zu mailboxes", l->n);
	for (size_t i = 0; i < l->n; i++) /* shared, and not ours yet */
		atomic_store(&slots[i].lease_end_ms, 1);
	return MH_OK;
}

enum mh_status
leases_new(const struct imap *im, struct slot *slots, bool once, const sigset_t *before, struct leases **ret,
    struct mh_err *err)
{
	*ret = NULL;
	if (im->conf->ledger_path != NULL)
		return MH_OK;
	struct leases *l = calloc(1, sizeof(*l));
	if (l == NULL)
		return mh_fail(err, MH_RETRY, "no memory for mailboxes");
	l->once = once;
	l->before = *before;
	l->times = lease_times();
	l->back_off_ms = START_FIRST_MS;
	l->began_ms = clock_boot_ms();
	lease_pipe_init(&l->pipe);
	enum mh_status status = make_boxes(l, im, slots, err);
	if (status == MH_OK && !make_life(l->life))
		status = mh_fail(err, MH_RETRY, "no random bytes");
	if (status == MH_OK)
		*ret = l;
	else
		leases_free(l);
	return status;
}

enum mh_status
leases_renew(struct leases *l, const struct imap *im, struct slot *slots, struct mh_err *err)
{
	if (l == NULL)
		return MH_OK;
	const enum mh_status status = make_boxes(l, im, slots, err);
	if (status == MH_OK && l->pipe.pid != 0)
		say_watch(l); /* what is held is granted anew */
	return status;
}

void
leases_free(struct leases *l)
{
	if (l == NULL)
		return;
	lease_pipe_release(&l->pipe);
	free(l->boxes);
	free(l);
}

/* The writing end stays open: its end tells that all of us have ended. */
void
leases_forked(struct leases *l)
{
	if (l != NULL && l->pipe.from >= 0)
		(void)close(l->pipe.from);
}

/* -- the other side ------------------------------------------------------------------------------------------------ */

static void
start(struct leases *l, int64_t now_ms)
{
	l->start_ms = now_ms + l->back_off_ms;
	l->back_off_ms = l->back_off_ms * 2 < START_MOST_MS ? l->back_off_ms * 2 : START_MOST_MS;
	if (!lease_pipe_start(&l->pipe, l->im->libexec, l->im->config, &l->before)) {
		log_event(LOG_WARNING, "leases", NULL, "mailhook-work leases cannot be started");
		return;
	}
	say_watch(l);
	for (size_t i = 0; i < l->n; i++)
		l->boxes[i].saved = false;
}

bool
leases_reap(struct leases *l, pid_t pid)
{
	return l != NULL && lease_pipe_ended(&l->pipe, pid);
}

/* -- saying -------------------------------------------------------------------------------------------------------- */

static void
say_position(struct leases *l, size_t i)
{
	const struct conf *c = l->im->conf;
	struct lease *b = &l->boxes[i];
	struct mh_err err = { 0 };
	struct buf text;

	b->last_saves = atomic_load(&l->slots[i].saves);
	b->saved = true;
	b->save_ms = clock_boot_ms() + SAVE_EVERY_MS;
	buf_init(&text, MH_IMAP_POSITION_BYTES);
	const enum mh_status status = position_export(c->state_dir, c->mailboxes[i].name, &text, &err);
	if (status == MH_OK) {
		cJSON *j = cJSON_CreateObject();

		lease_pipe_say(&l->pipe, j,
		    j != NULL && json_add_string(j, "position", c->mailboxes[i].name) &&
			json_add_span(j, "text", buf_span(&text)));
	} else if (status != MH_SKIP) {
		log_event(LOG_WARNING, "mailbox", NULL, "mailbox %s: its position is not handed on: %s",
		    c->mailboxes[i].name, err.text);
	}
	buf_release(&text);
}

static bool
add_read(struct leases *l, size_t i, cJSON *list, bool whole)
{
	const int64_t last_ok = atomic_load(&l->slots[i].last_ok), age_s = clock_now() - last_ok;
	struct lease *b = &l->boxes[i];

	if (!b->held || last_ok == 0 || last_ok == b->told_ok || (!whole && last_ok - b->told_ok < READ_EVERY_S))
		return true;
	b->told_ok = last_ok;
	cJSON *one = cJSON_CreateObject();
	return one != NULL && cJSON_AddItemToArray(list, one) &&
	       json_add_string(one, "name", l->im->conf->mailboxes[i].name) &&
	       json_add_integer(one, "age_s",
		   age_s < 0           ? 0
		   : age_s < INT32_MAX ? age_s
				       : INT32_MAX);
}

/* in: whole: also of those that were read since in the same minute */
static void
say_seen(struct leases *l, bool whole)
{
	cJSON *j = cJSON_CreateObject();
	bool ok = j != NULL && json_add_integer(j, "seen", l->asked);
	cJSON *list = ok ? cJSON_AddArrayToObject(j, "read") : NULL;

	ok = list != NULL;
	for (size_t i = 0; i < l->n && ok; i++)
		ok = add_read(l, i, list, whole);
	lease_pipe_say(&l->pipe, j, ok);
}

/* Position first: whoever comes next begins with it. */
static void
give(struct leases *l, size_t i)
{
	struct lease *b = &l->boxes[i];
	cJSON *j = cJSON_CreateObject();
	cJSON *list = j == NULL ? NULL : cJSON_AddArrayToObject(j, "give");
	cJSON *name = cJSON_CreateString(l->im->conf->mailboxes[i].name);

	say_position(l, i);
	lease_pipe_say(&l->pipe, j,
	    list != NULL && name != NULL && cJSON_AddItemToArray(list, name) &&
		json_add_string(j, "again",
		    b->done   ? "never"
		    : b->rest ? "late"
			      : "soon"));
	b->held = b->leaving = b->rest = false;
	atomic_store(&l->slots[i].lease_end_ms, 1);
	atomic_store(&l->slots[i].leave, 0);
}

/* -- hearing ------------------------------------------------------------------------------------------------------- */

static size_t
number_of(const struct leases *l, const char *name)
{
	size_t i = 0;

	while (i < l->n && (name == NULL || strcmp(l->im->conf->mailboxes[i].name, name) != 0))
		i++;
	return i;
}

static void
leave(struct leases *l, size_t i)
{
	if (l->boxes[i].leaving)
		return;
	l->boxes[i].leaving = true;
	l->boxes[i].leave_by_ms = clock_boot_ms() + LEAVE_MS;
	atomic_store(&l->slots[i].leave, 1);
}

static void
hear_grant(struct leases *l, const cJSON *j)
{
	const size_t i = number_of(l, json_string(j, "grant"));
	const char *text = json_string(j, "position");
	struct mh_err err = { 0 };
	bool own = false;

	if (i == l->n || text == NULL || !json_bool(j, "own", &own))
		return;
	struct lease *b = &l->boxes[i];
	if (b->held && clock_boot_ms() < b->end_ms) /* it never ended: another other side only says it again */
		return;
	b->held = true;
	b->end_ms = 0;
	b->failing_ms = 0;
	b->told_ok = 0;
	b->saved = false;
	if (b->running) { /* it is being ended, for having lost what is ours again now; till then it may write its position */
		leave(l, i);
		return;
	}
	const enum mh_status status =
	    position_import(l->im->conf->state_dir, &l->im->conf->mailboxes[i], own, span_of(text), &err);
	if (status != MH_OK)
		log_event(LOG_WARNING, "mailbox", NULL, "mailbox %s: where the last node was is not known: %s",
		    l->im->conf->mailboxes[i].name, err.text);
}

static bool
names(const cJSON *list, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0)
			return true;
	}
	return false;
}

static void
hear_others(struct leases *l, const cJSON *others)
{
	const cJSON *item;

	for (size_t i = 0; i < l->n; i++)
		l->slots[i].elsewhere[0] = '\0';
	cJSON_ArrayForEach(item, others)
	{
		const size_t i = number_of(l, json_string(item, "name"));
		const char *node = json_string(item, "node");

		if (i < l->n && node != NULL)
			(void)snprintf(l->slots[i].elsewhere, sizeof(l->slots[i].elsewhere), "%s", node);
	}
}

static void
hear_round(struct leases *l, const cJSON *j)
{
	const cJSON *held = json_array(j, "held"), *wanted = json_array(j, "wanted"), *others = json_array(j, "others");
	int64_t end_ms = 0;

	if (!json_integer(j, "end_ms", 1, INT64_MAX, &end_ms))
		return;
	for (size_t i = 0; i < l->n; i++) {
		struct lease *b = &l->boxes[i];
		const char *name = l->im->conf->mailboxes[i].name;

		if (!b->held)
			continue;
		if (!names(held, name)) { /* it came to its end, and may be another's */
			b->held = b->leaving = false;
			atomic_store(&l->slots[i].lease_end_ms, 1);
			continue;
		}
		b->end_ms = end_ms;
		atomic_store(&l->slots[i].lease_end_ms, end_ms);
		if (names(wanted, name))
			leave(l, i);
	}
	hear_others(l, others);
	for (size_t i = 0; i < l->n && l->trouble[0] != '\0'; i++)
		if (!l->boxes[i].running)
			l->slots[i].words[0] = '\0';
	if (l->trouble[0] != '\0')
		log_event(LOG_NOTICE, "leases", NULL, "it is known again which mailboxes are this node's");
	l->trouble[0] = '\0';
	l->known = true;
	l->back_off_ms = START_FIRST_MS;
}

static void
hear_trouble(struct leases *l, const char *words)
{
	if (l->trouble[0] == '\0')
		log_event(LOG_WARNING, "leases", NULL, "mailboxes cannot be held: %s", words);
	(void)snprintf(l->trouble, sizeof(l->trouble), "%s", words);
	for (size_t i = 0; i < l->n; i++)
		if (!l->boxes[i].running &&
		    clock_boot_ms() >= l->boxes[i].end_ms) /* nobody else writes these words now */
			(void)snprintf(
			    l->slots[i].words, sizeof(l->slots[i].words), "no node may be sure of it: %s", words);
}

static void
hear_line(void *user, const cJSON *j)
{
	struct leases *l = user;
	const char *trouble = json_string(j, "trouble"), *unsaved = json_string(j, "unsaved");
	const size_t i = number_of(l, unsaved);

	if (json_string(j, "grant") != NULL)
		hear_grant(l, j);
	else if (json_array(j, "held") != NULL)
		hear_round(l, j);
	else if (json_integer(j, "ask", 1, INT64_MAX, &l->asked))
		say_seen(l, false);
	else if (trouble != NULL)
		hear_trouble(l, trouble);
	else if (i < l->n)
		l->boxes[i].saved = false;
}

void
leases_hear(struct leases *l)
{
	if (l != NULL)
		lease_pipe_hear(&l->pipe, hear_line, l);
}

/* -- one mailbox --------------------------------------------------------------------------------------------------- */

bool
leases_may_watch(const struct leases *l, size_t i)
{
	const struct lease *b = l == NULL ? NULL : &l->boxes[i];

	return b == NULL || (b->held && !b->leaving && clock_boot_ms() < b->end_ms);
}

void
leases_started(struct leases *l, size_t i)
{
	if (l == NULL)
		return;
	l->boxes[i].running = true;
	l->boxes[i].asked = false;
	atomic_store(&l->slots[i].at_rest, 0);
}

bool
leases_ended(struct leases *l, size_t i)
{
	if (l == NULL)
		return false;
	const struct lease *b = &l->boxes[i];
	/* it also ends by itself where its time is over */
	const bool asked = b->asked || b->leaving || !b->held || clock_boot_ms() >= b->end_ms;
	l->boxes[i].running = l->boxes[i].asked = false;
	return asked;
}

enum leases_end
leases_end(struct leases *l, size_t i)
{
	struct lease *b = l == NULL ? NULL : &l->boxes[i];
	const int64_t now_ms = clock_boot_ms();

	if (b == NULL || !b->running)
		return LEASES_STAY;
	if (!b->held || now_ms >= b->end_ms) {
		b->asked = true;
		return LEASES_OVER;
	}
	if (!b->leaving || (atomic_load(&l->slots[i].at_rest) == 0 && now_ms < b->leave_by_ms))
		return LEASES_STAY;
	b->asked = true;
	return LEASES_LEAVE;
}

void
leases_failed(struct leases *l, size_t i)
{
	if (l != NULL && l->boxes[i].failing_ms == 0)
		l->boxes[i].failing_ms = clock_boot_ms();
}

void
leases_done(struct leases *l, size_t i)
{
	if (l == NULL || !l->boxes[i].held)
		return;
	l->boxes[i].done = true;
	leave(l, i);
}

bool
leases_not_ours(const struct leases *l, size_t i, bool *ret_known)
{
	if (l == NULL || l->boxes[i].held)
		return false;
	*ret_known = l->known;
	return l->known || l->trouble[0] != '\0' || clock_boot_ms() >= l->began_ms + FIRST_WORD_MS;
}

void
leases_leave_all(struct leases *l)
{
	for (size_t i = 0; l != NULL && i < l->n; i++)
		if (l->boxes[i].held)
			leave(l, i);
}

size_t
leases_elsewhere(const struct leases *l)
{
	size_t n = 0;

	for (size_t i = 0; l != NULL && i < l->n; i++)
		n += l->slots[i].elsewhere[0] != '\0';
	return n;
}

/* -- the life ------------------------------------------------------------------------------------------------------ */

static void
sooner(int64_t *wait_ms, int64_t ms)
{
	if (ms < *wait_ms)
		*wait_ms = ms < 0 ? 0 : ms;
}

/* What this node cannot read another may: its network, its secrets, its resolver are its own. */
static void
yield_failing(struct leases *l, int64_t now_ms)
{
	for (size_t i = 0; i < l->n; i++) {
		struct lease *b = &l->boxes[i];

		if (atomic_load(&l->slots[i].watching) != 0) {
			b->failing_ms = 0;
			b->yields = 0;
		}
		/* where no node can, it goes round more and more slowly */
		if (!b->held || b->leaving || l->once || b->failing_ms == 0 ||
		    now_ms - b->failing_ms < l->times.yield_ms
						 << (b->yields < YIELD_DOUBLES ? b->yields : YIELD_DOUBLES))
			continue;
		b->yields++;
		log_event(LOG_NOTICE, "mailbox", NULL,
		    "mailbox %s: it cannot be read here, so it is left to whichever node can",
		    l->im->conf->mailboxes[i].name);
		b->rest = true;
		leave(l, i);
	}
}

/* What each mailbox has to say, as far as there is room. */
static void
say_news(struct leases *l, int64_t now_ms, int64_t *wait_ms)
{
	for (size_t i = 0; i < l->n; i++) {
		struct lease *b = &l->boxes[i];

		if (b->running && b->end_ms > now_ms)
			sooner(wait_ms, b->end_ms - now_ms);
		if (b->running && b->leaving)
			sooner(wait_ms, 100); /* it may come to rest without a word */
		if (!b->held || l->pipe.pid == 0 || l->pipe.out.n >= FULL_BYTES)
			continue;
		if (b->told_ok == 0 && l->known && atomic_load(&l->slots[i].last_ok) != 0)
			say_seen(l, false); /* soon, that others know it */
		if (b->leaving && !b->running)
			give(l, i);
		else if (!b->saved || b->last_saves != atomic_load(&l->slots[i].saves)) {
			if (now_ms >= b->save_ms)
				say_position(l, i);
			else
				sooner(wait_ms, b->save_ms - now_ms);
		}
	}
}

static void
end_hanging(struct leases *l, int64_t now_ms)
{
	if (now_ms - l->pipe.heard_ms < l->times.patience_ms)
		return;
	log_event(LOG_ERROR, "leases", NULL, "mailhook-work leases hangs and is ended");
	(void)kill(l->pipe.pid, SIGKILL);
	l->pipe.heard_ms = now_ms;
}

size_t
leases_poll(struct leases *l, struct pollfd fds[LEASES_FDS], int64_t *wait_ms)
{
	const int64_t now_ms = clock_boot_ms();

	fds[0] = fds[1] = (struct pollfd){ .fd = -1 };
	if (l == NULL)
		return 0;
	if (l->pipe.pid == 0 && now_ms >= l->start_ms)
		start(l, now_ms);
	if (l->pipe.pid == 0) {
		sooner(wait_ms, l->start_ms - now_ms);
	} else {
		end_hanging(l, now_ms);
		sooner(wait_ms, l->pipe.heard_ms + l->times.patience_ms - now_ms);
	}
	yield_failing(l, now_ms);
	say_news(l, now_ms, wait_ms);
	lease_pipe_poll(&l->pipe, fds);
	return LEASES_FDS;
}

void
leases_close(struct leases *l)
{
	if (l == NULL || l->pipe.pid == 0)
		return;
	say_seen(l, true);
	for (size_t i = 0; i < l->n; i++)
		if (l->boxes[i].held)
			say_position(l, i);
	if (!lease_pipe_close(&l->pipe, CLOSE_MS))
		log_event(LOG_WARNING, "leases", NULL, "mailboxes are not given up, so they end by time");
}
