/* leases.c: see leases.h; lease_times.h has what the two sides say. */
#include "mailhook/imap/leases.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/imap/leases_impl.h"
#include "mailhook/work/log.h"

#define FULL_BYTES 65536 /* of what waits to be said: positions wait until it is less */
#define YIELD_DOUBLES 4
#define START_MOST_MS 4000
#define CLOSE_MS 8000       /* what is to be said at the end, and the answer: its end */
#define FIRST_WORD_MS 20000 /* with once: nobody knows whose they are */

/* -- its life ------------------------------------------------------------------------------------------------------ */

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
	l->back_off_ms = LEASES_START_FIRST_MS;
	l->began_ms = clock_boot_ms();
	lease_pipe_init(&l->pipe);
	enum mh_status status = make_boxes(l, im, slots, err);
	if (status == MH_OK)
		status = random_hex(l->life, err);
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
		leases_say_watch(l); /* what is held is granted anew */
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
	leases_say_watch(l);
	for (size_t i = 0; i < l->n; i++)
		l->boxes[i].saved = false;
}

bool
leases_reap(struct leases *l, pid_t pid)
{
	return l != NULL && lease_pipe_ended(&l->pipe, pid);
}

void
leases_hear(struct leases *l)
{
	if (l != NULL)
		lease_pipe_hear(&l->pipe, leases_hear_line, l);
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
	leases_leave(l, i);
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
			leases_leave(l, i);
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
		leases_leave(l, i);
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
			leases_say_seen(l, false); /* soon, that others know it */
		if (b->leaving && !b->running)
			leases_give(l, i);
		else if (!b->saved || b->last_saves != atomic_load(&l->slots[i].saves)) {
			if (now_ms >= b->save_ms)
				leases_say_position(l, i);
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
	leases_say_seen(l, true);
	for (size_t i = 0; i < l->n; i++)
		if (l->boxes[i].held)
			leases_say_position(l, i);
	if (!lease_pipe_close(&l->pipe, CLOSE_MS))
		log_event(LOG_WARNING, "leases", NULL, "mailboxes are not given up, so they end by time");
}
