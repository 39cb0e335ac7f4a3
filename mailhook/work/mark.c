/* mark.c: a mark beside the ledger that says how far it had come, so that an older copy put in its place is noticed.
 *
 * STATE_DIR/ledger.mark holds the ledger's identity and the number of its last event. It is written behind a commit, so
 * it never knows of more than the ledger that it stands beside; where it does, that is another ledger, or an older copy.
 * What such a one says was done, and what it does not say, need not be true of the world any more.
 *
 * Of a ledger that a server keeps each node has a mark of its own, STATE_DIR/shared.mark: it tells of a copy that was
 * restored, and of a standby that took over and had not heard of all. There the number alone says little: other nodes may
 * have worked with that standby first, and its numbers be higher than the mark by then. So the mark says what its event
 * is, too. A node without one is new. Whoever notices it first pauses all of them, and says in the ledger up to where
 * what it lacks is known, so that the others need not do it once more.
 *
 * What this process has committed it remembers (db_note), and writes before it lets go of what it stands for: an intake
 * file. That is not synced: the mark need not outlive a power cut, but a worker that is killed, and a ledger that is
 * not there.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/durable.h"
#include "mailhook/owner.h"
#include "mailhook/work/case.h"
#include "mailhook/work/ledger/upkeep.h"
#include "mailhook/work/upkeep.h"

#define MARK_ARENA_BYTES ((size_t)1 << 20)
#define MARK_AGAIN_MS 60000 /* a file that could not be written is left alone so long */
#define MARK_BYTES (LEDGER_KEY_HEX + DB_NOTE_BYTES + 32)

struct mark {
	char identity[LEDGER_KEY_HEX + 1];
	struct db_note last; /* its words: "" where they are not known */
	bool arrived;        /* of a ledger: it was copied to here, and paused by that */
};

static bool
mark_path(const struct work *w, const char *end, char *dst, size_t dst_bytes)
{
	const char *name = w->db->engine->local ? "ledger" : "shared";
	const int n = snprintf(dst, dst_bytes, "%s/%s.mark%s", w->conf->state_dir, name, end);

	return n > 0 && (size_t)n < dst_bytes;
}

/* "IDENTITY NUMBER" or, of a shared ledger, "IDENTITY NUMBER WORDS"; an earlier version wrote no words. False: it is not
 * one. */
static bool
parse_mark(const char *text, ssize_t n, struct mark *ret)
{
	struct mark m = { .arrived = false };

	if (n < LEDGER_KEY_HEX + 3 || text[LEDGER_KEY_HEX] != ' ' || text[n - 1] != '\n')
		return false;
	memcpy(m.identity, text, LEDGER_KEY_HEX);
	const char *p = text + LEDGER_KEY_HEX + 1, *end = text + n - 1;
	for (; p < end && *p != ' '; p++) {
		if (*p < '0' || *p > '9' || m.last.n > INT64_MAX / 10 - 1)
			return false;
		m.last.n = m.last.n * 10 + (*p - '0');
	}
	if (p < end && (size_t)(end - p) <= sizeof(m.last.words))
		memcpy(m.last.words, p + 1, (size_t)(end - p) - 1);
	*ret = m;
	return true;
}

/* *ret_known: there is one. One that cannot be read is not one that is not there: that would look like a restore. */
static enum mh_status
read_mark(const struct work *w, struct mark *ret, bool *ret_known, struct mh_err *err)
{
	char path[4096], text[MARK_BYTES];

	*ret_known = false;
	if (!mark_path(w, "", path, sizeof(path)))
		return mh_fail(err, MH_BAD, "ledger.mark: the name of state_dir is too long");
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return MH_OK;
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	const enum mh_status status = n < 0 ? mh_fail_errno(err, MH_RETRY, "%s", path) : MH_OK;
	if (fd >= 0)
		(void)close(fd);
	if (status != MH_OK)
		return owner_denied(path, w->conf->state_dir, status, err);
	*ret_known = parse_mark(text, n, ret);
	return MH_OK;
}

static enum mh_status
last_note(const struct work *w, struct db_note *ret, struct mh_err *err)
{
	struct db_note note = { 0 };
	int64_t last = 0;
	enum mh_status status = ledger_last_event(w->db, &last, err);

	if (status == MH_OK && last == w->db->noted.n)
		note = w->db->noted;
	else if (status == MH_OK && !w->db->engine->local)
		status = ledger_event_note(w->db, last, &note, err);
	if (status != MH_OK &&
	    status != MH_SKIP) /* MH_SKIP: it is gone, or the number of what is known to be missing */
		return status;
	note.n = last;
	*ret = note;
	return MH_OK;
}

static enum mh_status
read_ledger(const struct work *w, struct mark *ret, struct mh_err *err)
{
	struct arena a;
	const char *identity = NULL, *arrived = NULL;
	struct mark m = { .arrived = false };

	arena_init(&a, MARK_ARENA_BYTES);
	enum mh_status status = last_note(w, &m.last, err);
	if (status == MH_OK)
		status = ledger_meta_get(w->db, "identity", &a, &identity, err);
	if (status == MH_OK)
		status = ledger_meta_get(w->db, MARK_ARRIVED, &a, &arrived, err);
	if (status == MH_OK) {
		m.arrived = arrived != NULL;
		(void)snprintf(m.identity, sizeof(m.identity), "%s", identity == NULL ? "" : identity);
		*ret = m;
	}
	arena_release(&a);
	return status;
}

static enum mh_status
put_mark(const struct work *w, const char *text, size_t n, bool synced, struct mh_err *err)
{
	char path[4096], tmp[4096], end[40];

	(void)snprintf(end, sizeof(end), ".%ld", (long)getpid()); /* a command may do this beside the worker */
	if (!mark_path(w, "", path, sizeof(path)) || !mark_path(w, end, tmp, sizeof(tmp)))
		return mh_fail(err, MH_BAD, "ledger.mark: the name of state_dir is too long");
	const int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "%s", tmp);
	owner_give(w->conf->state_dir, fd); /* who steers may be root */
	const bool written = write(fd, text, n) == (ssize_t)n && (!synced || fsync(fd) == 0);
	enum mh_status status = written ? MH_OK : mh_fail_errno(err, MH_RETRY, "%s", tmp);
	(void)close(fd);
	if (status == MH_OK && rename(tmp, path) != 0)
		status = mh_fail_errno(err, MH_RETRY, "%s", path);
	if (status != MH_OK)
		(void)unlink(tmp);
	return status;
}

bool
mark_is_own(const char *name)
{
	char end[40];
	const int n = snprintf(end, sizeof(end), ".mark.%ld", (long)getpid());
	const size_t length = strlen(name);

	return length > (size_t)n && strcmp(name + length - n, end) == 0;
}

static enum mh_status
write_mark(struct work *w, const char *identity, const struct db_note *last, bool synced, struct mh_err *err)
{
	char text[MARK_BYTES];
	const int n = snprintf(text, sizeof(text), "%s %" PRId64 "%s%s\n", identity, last->n,
	    last->words[0] == '\0' ? "" : " ", last->words);
	const enum mh_status status = put_mark(w, text, (size_t)n, synced, err);

	if (status == MH_OK) {
		(void)snprintf(w->marked_of, sizeof(w->marked_of), "%s", identity);
		w->marked = last->n + 1;
		w->mark_synced = synced;
		w->mark_again_ms = 0;
		w->paused_of[0] = '\0';
	}
	return status;
}

/* How far the ledger is. ret->n == -1: it went back; that is not taken for what it was: mark_look says so, before
 * anything else is done with it. */
static enum mh_status
look_far(struct work *w, struct db_note *ret, struct mh_err *err)
{
	enum mh_status status = last_note(w, ret, err);

	if (status == MH_OK && db_unlooked(w->db)) { /* it was asked of a new connection */
		status = db_look(w->db, err);
		if (status == MH_OK)
			status = last_note(w, ret, err);
	}
	if (status != MH_OK)
		return status;
	if (db_unlooked(w->db) || (!w->db->engine->local && ret->n < w->db->noted.n))
		ret->n = -1;
	else
		db_note(w->db, ret);
	return MH_OK;
}

static enum mh_status
write_now(struct work *w, struct mh_err *err)
{
	struct mark m;
	struct db_note last = { 0 };
	enum mh_status status = look_far(w, &last, err);

	if (status != MH_OK || last.n < 0 || (last.n + 1 == w->marked && w->mark_synced))
		return status;
	status = read_ledger(w, &m, err);
	return status == MH_OK ? write_mark(w, m.identity, &m.last, true, err) : status;
}

enum mh_status
mark_write(struct work *w, struct mh_err *err)
{
	if (w->mark_again_ms > clock_monotonic_ms())
		return MH_OK;
	const enum mh_status status = write_now(w, err);
	if (status != MH_OK)
		w->mark_again_ms = clock_monotonic_ms() + MARK_AGAIN_MS;
	return status;
}

void
mark_note(struct work *w)
{
	struct mh_err err = { 0 };

	/* tried for each message, whenever it failed before: that is when a mark is worth most. mark_write tells it */
	if (!w->db->engine->local && w->marked_of[0] != '\0' && w->db->noted.n + 1 > w->marked)
		(void)write_mark(w, w->marked_of, &w->db->noted, false, &err);
}

enum mh_status
mark_ahead(struct work *w, struct mh_err *err)
{
	struct db_note last = { 0 };
	const enum mh_status status = w->db->engine->local ? MH_OK : look_far(w, &last, err);

	if (status == MH_OK)
		mark_note(w);
	return status;
}

static enum mh_status
pause_once(
    struct work *w, int tries, const char *why, int64_t at_least, int64_t now, size_t *ret_held, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	const struct pause_row pause = { .scope = "all", .name = "", .since = now, .by = "mailhook", .why = why };
	int64_t done = 0;
	enum mh_status status = db_tx_begin(w->db, &tx, err);

	if (status == MH_OK)
		status = ledger_event_done(w->db, tries, 0, now, "restored", "mailhook", why, &done, err);
	if (status != MH_OK || done > 0)
		return status;
	status = ledger_pause_add(w->db, &pause, err);
	if (status == MH_SKIP)
		status = MH_OK; /* a person paused it before */
	if (status == MH_OK)
		status = case_hold_effects(w, now, ret_held, err);
	if (status == MH_OK)
		status = ledger_event_add(w->db, 0, now, "restored", "mailhook", why, NULL, err);
	if (status == MH_OK)
		status = ledger_last_event_raise(w->db, at_least, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

static enum mh_status
pause_behind(struct work *w, const char *why, int64_t at_least, int64_t now, struct mh_err *err)
{
	size_t held = 0;
	int tries = 0;
	enum mh_status status;

	do {
		status = pause_once(w, tries, why, at_least, now, &held, err);
	} while (db_again(w->db, status, &tries));
	if (status == MH_OK)
		work_log(
		    "the ledger is paused: %s; %zu effects wait for approval: look at 'mailhook list', then 'mailhook "
		    "resume'",
		    why, held);
	return status;
}

enum mh_status
mark_pause(struct work *w, const char *why, int64_t now, struct mh_err *err)
{
	return pause_behind(w, why, 0, now, err);
}

/* Why it is not the one that was at work here, or NULL. *ret_known: up to where that is known: its last event then. */
static enum mh_status
compare(struct work *w, const struct mark *beside, bool known, const struct mark *own, const char **ret_why,
    int64_t *ret_known, struct mh_err *err)
{
	const bool local = w->db->engine->local;
	const struct db_note *last = !local && w->db->noted.n > beside->last.n ? &w->db->noted : &beside->last;
	bool there = true;
	enum mh_status status = MH_OK;

	*ret_why = NULL;
	*ret_known = last->n;
	if (!known && own->last.n > 0 && !own->arrived && local)
		*ret_why = "nothing beside it says that it was at work here";
	if (known && strcmp(beside->identity, own->identity) != 0) {
		*ret_why = "it is another ledger than the one that was at work here";
		*ret_known = 0;
	} else if (own->last.n < last->n) {
		*ret_why = "it is an older copy of the one that was at work here";
	} else if (!local && last->words[0] != '\0') {
		status = ledger_event_there(w->db, last, &there, err);
		if (status == MH_OK && !there)
			*ret_why = "it went on from an older copy of the one that was at work here";
	}
	return status;
}

enum mh_status
mark_look(struct work *w, int64_t now, struct mh_err *err)
{
	struct mark beside = { .arrived = false }, own;
	const char *why = NULL;
	char path[4096];
	int64_t was = 0;

	/* the mark first: a worker at its work writes the ledger, then the mark */
	bool known = false;
	enum mh_status status = read_mark(w, &beside, &known, err);

	if (status == MH_OK)
		status = read_ledger(w, &own, err);
	if (status == MH_OK && !w->db->engine->local && strcmp(w->paused_of, own.identity) == 0 && known &&
	    strcmp(beside.identity, own.identity) != 0) {
		/* it was paused for that, and a person may have resumed it; the mark could not be written */
		known = false;
		beside = (struct mark){ .arrived = false };
	}
	if (status == MH_OK)
		status = compare(w, &beside, known, &own, &why, &was, err);
	if (status != MH_OK)
		return status;
	if (why != NULL)
		status = pause_behind(w, why, was, now, err);
	if (status == MH_OK && why != NULL)
		(void)snprintf(w->paused_of, sizeof(w->paused_of), "%s", own.identity);
	if (status == MH_OK && own.arrived)
		status = db_exec(w->db, "DELETE FROM meta WHERE name = '" MARK_ARRIVED "'", err);
	if (status == MH_OK && known && why == NULL) {
		/* one of an earlier version is written anew, with its words */
		w->marked = w->db->engine->local || beside.last.words[0] != '\0' ? beside.last.n + 1 : 0;
		w->mark_synced = true;
		w->paused_of[0] = '\0';
		(void)snprintf(w->marked_of, sizeof(w->marked_of), "%s", beside.identity);
	}
	if (status != MH_OK || (known && why == NULL))
		return status;
	w->marked = 0;
	w->marked_of[0] = '\0';
	if (why != NULL)
		w->db->noted = (struct db_note){ 0 }; /* of the ledger that is not there any more */
	status = write_now(w, err);
	/* later ones need not be durable: an older mark only notices less. But none at all would look like a restore */
	if (status == MH_OK && mark_path(w, "", path, sizeof(path)))
		status = durable_name(path, err);
	return status;
}
