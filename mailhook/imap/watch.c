/* watch.c: one mailbox, from the login to the failure that ends it. Whoever kills this process loses nothing: a message
 * is durable in the intake before the position moves over it, and filed only then. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/cli.h"
#include "mailhook/clock.h"
#include "mailhook/front.h"
#include "mailhook/imap/file.h"
#include "mailhook/imap/imap.h"
#include "mailhook/work/log.h"
#include "parsers/parser.h"

#define NARROW_FROM 500          /* messages at once from which on a server's search is worth its while */
#define TOKEN_PATIENCE_MS 200000 /* a token, twice, and looking up a name: session_open's other waits */
#define READING_MS 15000         /* the reading child ends after 6 s */
#define FILING_EVERY_S 300       /* what the server refused to file is tried again */

struct watch {
	const struct imap *im;
	const struct conf_mailbox *box;
	struct slot *slot;
	struct session *session; /* own */
	struct position position;
	struct buf message;
	struct arena arena;
	bool busy;          /* something was read in this pass, or a session opened */
	bool stored;        /* something since the worker was woken */
	int64_t file_again; /* what was refused is not tried before */
	bool filing_full;
	char filing_words[160];
};

/* How long the supervisor may hear nothing: a command has a deadline, and what is read in between takes seconds. */
static void
expect_silence(struct watch *w, int64_t ms)
{
	atomic_store(
	    &w->slot->overdue_ms, clock_monotonic_ms() + ms + 2 * (int64_t)w->box->timeout_s * 1000 + READING_MS);
}

/* -- among nodes --------------------------------------------------------------------------------------------------- */

/* The supervisor is told of what changed: it hands the position on to the node that comes next. */
static void
poke(struct watch *w)
{
	if (w->im->told >= 0)
		(void)eventfd_write(w->im->told, 1);
}

static void
note_saved(struct watch *w)
{
	if (atomic_load(&w->slot->lease_end_ms) == 0)
		return; /* nobody shares it */
	atomic_fetch_add(&w->slot->saves, 1);
	poke(w);
}

static bool
must_leave(const struct watch *w)
{
	return atomic_load(&w->slot->leave) != 0;
}

static enum mh_status
leaving(struct mh_err *err)
{
	return mh_fail(err, MH_RETRY, "it is left to another node");
}

/* Asked to leave while at rest, this process may be ended at once; asked just before or behind it, it ends itself. */
static bool
begin_rest(struct watch *w)
{
	atomic_store(&w->slot->at_rest, 1);
	return !must_leave(w);
}

static bool
end_rest(struct watch *w)
{
	atomic_store(&w->slot->at_rest, 0);
	return !must_leave(w);
}

/* -- one message --------------------------------------------------------------------------------------------------- */

static enum mh_status
read_in_sandbox(
    struct watch *w, const struct reader *reader, struct mh_span raw, struct reading *ret, struct mh_err *err)
{
	arena_reset(&w->arena);
	return sandbox_read(reader, raw, &w->arena, ret, err);
}

/* By its header alone. What cannot be read there may be anything. */
static enum mh_status
is_likely(struct watch *w, const struct found_header *h, bool *ret, struct mh_err *err)
{
	struct reading r = { 0 };

	expect_silence(w, 0);
	if (w->box->all_bodies || w->im->definitions_missing || h->bytes.n >= MH_IMAP_HEADER_BYTES) {
		*ret = true;
		return MH_OK;
	}
	const enum mh_status status = read_in_sandbox(w, &w->im->header_reader, h->bytes, &r, err);
	*ret = r.verdict != MH_IRRELEVANT;
	return status;
}

/* IMAP knows no envelope; Return-Path is whatever the message says, so nobody is taken for its sender. It came when the
 * server took it in, however long it lay there: what its signatures are judged by is that time. */
static enum mh_status
store(struct watch *w, uint32_t uid, bool cut, struct mh_err *err)
{
	const int64_t now = clock_now();
	int64_t came = now;
	enum mh_status status = find_arrival(w->session, uid, &came, err);

	if (status != MH_OK && status != MH_SKIP)
		return status;
	const struct envelope e = { .received = came < now ? came : now, .cut = cut };
	if (session_lapsed(
		w->session)) /* reading may have taken long; whoever has it now takes it too, and it counts once */
		return mh_fail(err, MH_RETRY, "another node may have it by now");
	status = front_store(w->im->conf, buf_span(&w->message), &e, err);
	if (status == MH_OK) {
		w->stored = true;
		atomic_fetch_add(&w->slot->taken, 1);
	}
	return status;
}

/* A message that no connection outlives must not keep those behind it waiting: the next connection tries it once more,
 * later ones later. Where that cannot be noted it is tried at once, as if nothing were known of it. */
static void
note_breaker(struct watch *w, uint32_t uid)
{
	struct mh_err err = { 0 };

	if (!position_again(&w->position, uid, clock_now()))
		return;
	if (position_save(&w->position, w->box, &err) == MH_OK)
		note_saved(w);
	else
		log_event(LOG_WARNING, "mailbox", NULL, "mailbox %s: %s", w->box->name, err.text);
}

/* Fetches, reads, stores.
 *   in      size: as the server says it; 0: it was not asked
 *   out     *ret_as: where it belongs; *ret_gone: it is not there any more
 *   errors  MH_SKIP the server will not give it; else as session_command */
static enum mh_status
take(struct watch *w, uint32_t uid, uint64_t size, enum filing *ret_as, bool *ret_gone, struct mh_err *err)
{
	const uint64_t most = (uint64_t)w->box->max_message_bytes;
	const uint64_t pieces = (size == 0 || size > most ? most : size) / MH_IMAP_CHUNK_BYTES;
	struct reading r = { 0 };
	bool more = false;

	w->busy = true;
	atomic_store(&w->slot->in_hand, uid);
	expect_silence(w, (int64_t)pieces * w->box->timeout_s * 1000);
	enum mh_status status =
	    find_message(w->session, uid, (size_t)w->box->max_message_bytes, &w->message, &more, err);
	if (status != MH_OK && status != MH_SKIP)
		note_breaker(w, uid);
	*ret_gone = status == MH_OK && w->message.n == 0;
	if (status == MH_OK && !*ret_gone)
		status = read_in_sandbox(w, &w->im->reader, buf_span(&w->message), &r, err);
	if (status == MH_OK && r.verdict == MH_IRRELEVANT && !*ret_gone && w->im->definitions_missing)
		status = mh_fail(err, MH_RETRY, "the folder of definitions cannot be read");
	if (status == MH_OK && !*ret_gone && r.verdict != MH_IRRELEVANT)
		status = store(w, uid, more, err);
	atomic_store(&w->slot->in_hand, 0);
	*ret_as = r.verdict == MH_NOTICE ? FILING_DONE : r.verdict == MH_IRRELEVANT ? FILING_IRRELEVANT : FILING_REVIEW;
	return status;
}

/* Where too many wait already it is left where it is: that is no reason to read no more. */
static void
note_filing(struct watch *w, uint32_t uid, enum filing as)
{
	if (!file_wanted(w->box, as) || position_file(&w->position, uid, as) || w->filing_full)
		return;
	w->filing_full = true;
	log_event(LOG_WARNING, "mailbox", NULL, "mailbox %s: %d messages wait to be filed, others are left: %s",
	    w->box->name, MH_IMAP_FILING, w->filing_words);
}

static enum mh_status
note_again(struct watch *w, uint32_t uid, const char *why, struct mh_err *err)
{
	if (!position_again(&w->position, uid, clock_now()))
		return mh_fail(err, MH_BAD, "the server would not give more than %d messages", MH_IMAP_AGAIN);
	log_event(LOG_WARNING, "mailbox", NULL, "mailbox %s: message %u is tried again: %s", w->box->name, uid, why);
	return MH_OK;
}

/* A message by its UID, whatever its header says. */
static enum mh_status
take_one(struct watch *w, uint32_t uid, uint64_t size, struct mh_err *err)
{
	enum filing as = FILING_IRRELEVANT;
	bool gone = false;
	struct mh_err own = { 0 };
	const enum mh_status status = take(w, uid, size, &as, &gone, &own);

	if (status == MH_SKIP)
		return note_again(w, uid, own.text, err);
	if (status != MH_OK) {
		*err = own;
		return status;
	}
	position_forget(&w->position, uid);
	if (!gone)
		note_filing(w, uid, as);
	return MH_OK;
}

/* -- many ---------------------------------------------------------------------------------------------------------- */

/* What libetpan holds is gone with the next command, so the headers are judged first. */
static enum mh_status
judge_headers(struct watch *w, const struct found_header *h, size_t n, bool *likely, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < n && status == MH_OK; i++)
		status = is_likely(w, &h[i], &likely[i], err);
	return status;
}

static enum mh_status
take_headers(struct watch *w, const struct uids *u, size_t *at, struct mh_err *err)
{
	struct found_header found[MH_IMAP_HEADERS];
	bool likely[MH_IMAP_HEADERS] = { false };
	const size_t from = *at;
	size_t n = 0;

	w->busy = true;
	expect_silence(w, 0);
	enum mh_status status = find_headers(w->session, u, at, found, &n, err);
	if (status == MH_OK)
		status = judge_headers(w, found, n, likely, err);
	for (size_t i = from; i < *at && status == MH_OK; i++) {
		const uint32_t uid = u->items[i];
		size_t k = 0;

		if (must_leave(w)) {
			*at = i;
			break;
		}
		if (position_waits(&w->position, uid, clock_now()))
			continue; /* take_again takes it when it is due */
		while (k < n && found[k].uid != uid)
			k++;
		if (k == n) /* expunged by now, most often */
			status = position_again(&w->position, uid, clock_now() - MH_DAY_S)
				     ? MH_OK
				     : mh_fail(err, MH_RETRY, "the server leaves out messages that it has named");
		else if (likely[k])
			status = take_one(w, uid, found[k].size, err);
		else
			note_filing(w, uid, FILING_IRRELEVANT);
	}
	return status;
}

/* On disk before anything is filed, so that nothing is read for having been moved away. */
static enum mh_status
save_and_file(struct watch *w, uint32_t uid, struct mh_err *err)
{
	struct mh_err own = { 0 };

	if (uid > w->position.uid)
		w->position.uid = uid;
	enum mh_status status = position_save(&w->position, w->box, err);
	if (status == MH_OK)
		note_saved(w);
	if (status != MH_OK || w->position.n_filing == 0 || clock_now() < w->file_again)
		return status;
	expect_silence(w, 0);
	status = file_all(w->session, &w->position, &own);
	note_saved(w);
	if (status == MH_OK) {
		w->filing_words[0] = '\0';
		w->filing_full = false;
		return MH_OK;
	}
	*err = own;
	if (status != MH_SKIP)
		return status;
	/* Nothing is read twice for it, and nothing waits for it. */
	if (strcmp(w->filing_words, own.text) != 0)
		log_event(LOG_WARNING, "mailbox", NULL, "mailbox %s: not filed: %s", w->box->name, own.text);
	(void)snprintf(w->filing_words, sizeof(w->filing_words), "%s", own.text);
	w->file_again = clock_now() + FILING_EVERY_S;
	return MH_OK;
}

/* Those of all that may matter: by the server's search where there are many, and it can be trusted. */
static enum mh_status
narrow(struct watch *w, const struct uids *all, struct uids *some, bool *ret_narrowed, struct mh_err *err)
{
	*ret_narrowed = false;
	if (all->n < NARROW_FROM || w->box->no_search || w->box->all_bodies || w->im->definitions_missing)
		return MH_OK;
	expect_silence(w, 10 * (int64_t)w->box->timeout_s * 1000);
	const enum mh_status status = find_likely(w->session, all, &w->im->likely, some, err);
	*ret_narrowed = status == MH_OK;
	return status == MH_SKIP ? MH_OK : status;
}

static enum mh_status
take_listed(struct watch *w, const struct uids *u, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t at = 0; at < u->n && status == MH_OK;) {
		const size_t from = at;

		status = take_headers(w, u, &at, err);
		if (status == MH_OK && at > from)
			status = save_and_file(w, u->items[at - 1], err);
		if (status == MH_OK && must_leave(w))
			status = leaving(err);
	}
	return status;
}

/* What the search left out is irrelevant, and filed so where that is wanted. */
static enum mh_status
pass_over(struct watch *w, const struct uids *all, const struct uids *likely, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	if (!file_wanted(w->box, FILING_IRRELEVANT))
		return MH_OK;
	for (size_t i = 0; i < all->n && status == MH_OK; i++) {
		if (uids_have(likely, all->items[i]))
			continue;
		note_filing(w, all->items[i], FILING_IRRELEVANT);
		if (w->position.n_filing >= 1000 && clock_now() >= w->file_again)
			status = save_and_file(w, 0, err);
	}
	return status;
}

static enum mh_status
take_new(struct watch *w, struct mh_err *err)
{
	struct uids all = { 0 }, some = { 0 };
	bool narrowed = false;

	expect_silence(w, 0);
	enum mh_status status = find_above(w->session, w->position.uid, w->position.since, &all, err);
	if (status == MH_OK)
		status = narrow(w, &all, &some, &narrowed, err);
	if (status == MH_OK)
		status = take_listed(w, narrowed ? &some : &all, err);
	if (status == MH_OK && narrowed)
		status = pass_over(w, &all, &some, err);
	if (status == MH_OK && (all.n > 0 || w->position.since != 0)) {
		/* a first pass leaves out what is old; nothing of it is asked for again */
		const uint32_t last = all.n > 0 ? all.items[all.n - 1] : 0, before = w->session->uidnext - 1;
		const bool first = w->position.since != 0;

		w->position.since = 0;
		status = save_and_file(w, first && w->session->uidnext > 0 && before > last ? before : last, err);
	}
	uids_release(&all);
	uids_release(&some);
	return status;
}

/* in: most: UIDs above it are left to take_new, which sees them anyway */
static enum mh_status
take_again(struct watch *w, uint32_t most, struct mh_err *err)
{
	const uint32_t suspect = atomic_exchange(&w->slot->suspect, 0);
	const int64_t now = clock_now();
	enum mh_status status = MH_OK;

	if (suspect != 0) {
		status = note_again(w, suspect, "the process that read it died", err);
		if (status == MH_OK)
			status = position_save(&w->position, w->box, err);
		note_saved(w);
	}
	for (size_t i = w->position.n_again; i-- > 0 && status == MH_OK;) {
		const struct again_row r = w->position.again[i];

		if (must_leave(w))
			return leaving(err);
		if (r.due <= now && r.uid <= most)
			status = take_one(w, r.uid, 0, err);
	}
	return status;
}

/* -- the life ------------------------------------------------------------------------------------------------------ */

/* A child of its own, which is done at once: what front_wake starts is nobody's to wait for. */
static void
wake_worker(struct watch *w)
{
	if (!w->stored)
		return;
	w->stored = false;
	const pid_t pid = fork();
	if (pid == 0) {
		front_wake(w->im->conf, w->im->config);
		_exit(0);
	}
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
}

static void
tell(struct watch *w)
{
	atomic_store(&w->slot->filing, (uint32_t)w->position.n_filing);
	atomic_store(&w->slot->again, (uint32_t)w->position.n_again);
}

/* A process that may idle for weeks keeps nothing of what it has read: two hundred of them are one service. */
static void
let_go(struct watch *w)
{
	buf_release(&w->message);
	arena_release(&w->arena);
	arena_init(&w->arena, MH_MAX_ARENA_BYTES);
	(void)malloc_trim(0);
}

static enum mh_status
pass(struct watch *w, struct mh_err *err)
{
	enum mh_status status = take_again(w, w->position.uid, err);

	if (status == MH_OK)
		status = take_new(w, err);
	if (status == MH_OK && (w->position.n_again > 0 || w->position.n_filing > 0))
		status = take_again(w, UINT32_MAX, err); /* what a FETCH left out is mostly gone */
	if (status == MH_OK && (w->position.n_again > 0 || w->position.n_filing > 0))
		status = save_and_file(w, 0, err);
	if (w->busy)
		let_go(w);
	w->busy = false;
	wake_worker(w); /* also where the pass ended early: something may be stored */
	tell(w);
	if (status == MH_OK) {
		atomic_store(&w->slot->last_ok, clock_now());
		if (atomic_exchange(&w->slot->watching, 1) == 0)
			poke(w);
	}
	return status;
}

static enum mh_status
noop(struct watch *w, struct mh_err *err)
{
	struct buf command;

	buf_init(&command, 16);
	buf_puts(&command, "NOOP");
	expect_silence(w, 0);
	const enum mh_status status = session_command(w->session, "NOOP", &command, 0, 0, err);
	buf_release(&command);
	return status == MH_SKIP ? MH_RETRY : status;
}

/* A folder that was made anew has another UIDVALIDITY, and its numbers mean other messages. */
static void
compare(struct watch *w)
{
	const uint32_t now = w->session->uidvalidity;

	if (w->position.uidvalidity == now)
		return;
	if (w->position.uidvalidity != 0)
		log_event(LOG_NOTICE, "mailbox", NULL,
		    "mailbox %s: the folder is another one now (UIDVALIDITY %u, was %u): the last %d days are read "
		    "again",
		    w->box->name, now, w->position.uidvalidity, (int)(w->box->rescan_s / MH_DAY_S));
	position_reset(&w->position, now, clock_now() - w->box->rescan_s);
}

static enum mh_status
live(struct watch *w, bool once, struct mh_err *err)
{
	const size_t at = (size_t)(w->box - w->im->conf->mailboxes);
	const int most_s = w->box->poll_s < w->box->idle_s ? w->box->poll_s : w->box->idle_s;
	int64_t next_poll_ms = 0;

	if (w->im->trust[at] == NULL)
		return mh_fail(err, w->im->trust_err[at].code, "%s", w->im->trust_err[at].text);
	expect_silence(w, TOKEN_PATIENCE_MS + 4 * (int64_t)w->box->timeout_s * 1000);
	if (!begin_rest(w))
		return leaving(err);
	enum mh_status status = session_open(w->box, w->im->trust[at], w->im->libexec, &w->session, err);
	if (status == MH_OK)
		status = position_load(w->im->conf->state_dir, w->box, &w->position, err);
	if (status != MH_OK)
		return status;
	if (!end_rest(w))
		return leaving(err);
	w->session->lease_end_ms = &w->slot->lease_end_ms;
	compare(w);
	w->busy = true;
	status = pass(w, err);
	next_poll_ms = clock_monotonic_ms() + (int64_t)w->box->poll_s * 1000;
	while (status == MH_OK && !once) {
		bool news = false;

		expect_silence(w, (int64_t)most_s * 1000);
		if (!begin_rest(w))
			return leaving(err);
		status = session_idle(w->session, most_s * 1000, &news, err);
		if (!end_rest(w))
			return leaving(err);
		const bool due = clock_monotonic_ms() >= next_poll_ms;
		if (status == MH_OK && (due || !w->session->idle))
			status = noop(w, err); /* the connection may be dead without anybody having said so */
		if (status == MH_OK && (news || due))
			status = pass(w, err);
		if (due)
			next_poll_ms = clock_monotonic_ms() + (int64_t)w->box->poll_s * 1000;
	}
	return status;
}

int
watch_mailbox(const struct imap *im, size_t box, struct slot *slot, bool once)
{
	struct watch w = { .im = im, .box = &im->conf->mailboxes[box], .slot = slot };
	struct mh_err err = { 0 };

	arena_init(&w.arena, MH_MAX_ARENA_BYTES);
	buf_init(&w.message, (size_t)w.box->max_message_bytes + 1);
	const enum mh_status status = live(&w, once, &err);
	atomic_store(&slot->watching, 0);
	(void)snprintf(slot->words, sizeof(slot->words), "%s", status == MH_OK ? "" : err.text);
	session_free(w.session);
	position_release(&w.position);
	buf_release(&w.message);
	arena_release(&w.arena);
	return status == MH_OK ? CLI_OK : status == MH_BAD ? CLI_ATTENTION : CLI_LATER;
}
