/* mark.c: a mark beside the ledger that says how far it had come, so that an older copy put in its place is noticed.
 *
 * STATE_DIR/ledger.mark holds the ledger's identity and the number of its last event. It is written behind a commit, so
 * it never knows of more than the ledger that it stands beside; where it does, that is another ledger, or an older copy.
 * What such a one says was done, and what it does not say, need not be true of the world any more.
 *
 * Of a ledger that a server keeps each node has a mark of its own, STATE_DIR/shared.mark: it tells of a copy that was
 * restored, and of a standby that took over and had not heard of all. A node without one is new. Whoever notices it first
 * pauses all of them, and moves the ledger's number behind its own mark, so that the others need not do it once more.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/durable.h"
#include "mailhook/work/case.h"
#include "mailhook/work/ledger/upkeep.h"
#include "mailhook/work/upkeep.h"

#define MARK_ARENA_BYTES ((size_t)1 << 20)

struct mark {
	char identity[LEDGER_KEY_HEX + 1];
	int64_t last;
	bool arrived; /* of a ledger: it was copied to here, and paused by that */
};

static bool
mark_path(const struct work *w, const char *end, char *dst, size_t dst_bytes)
{
	const char *name = w->db->engine->local ? "ledger" : "shared";
	const int n = snprintf(dst, dst_bytes, "%s/%s.mark%s", w->conf->state_dir, name, end);

	return n > 0 && (size_t)n < dst_bytes;
}

/* False: there is none, or it is not one. */
static bool
read_mark(const struct work *w, struct mark *ret)
{
	char path[4096], text[80];
	struct mark m = { .last = 0 };

	if (!mark_path(w, "", path, sizeof(path)))
		return false;
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
	if (fd >= 0)
		(void)close(fd);
	if (n < LEDGER_KEY_HEX + 3 || text[LEDGER_KEY_HEX] != ' ' || text[n - 1] != '\n')
		return false;
	memcpy(m.identity, text, LEDGER_KEY_HEX);
	for (ssize_t i = LEDGER_KEY_HEX + 1; i < n - 1; i++) {
		if (text[i] < '0' || text[i] > '9' || m.last > INT64_MAX / 10 - 1)
			return false;
		m.last = m.last * 10 + (text[i] - '0');
	}
	*ret = m;
	return true;
}

static enum mh_status
read_ledger(const struct work *w, struct mark *ret, struct mh_err *err)
{
	struct arena a;
	const char *identity = NULL, *arrived = NULL;
	struct mark m = { .last = 0 };

	arena_init(&a, MARK_ARENA_BYTES);
	enum mh_status status = ledger_last_event(w->db, &m.last, err);
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
write_mark(const struct work *w, const struct mark *m, struct mh_err *err)
{
	char path[4096], tmp[4096], end[40], text[80];
	const int n = snprintf(text, sizeof(text), "%s %" PRId64 "\n", m->identity, m->last);

	(void)snprintf(end, sizeof(end), ".%ld", (long)getpid()); /* a command may do this beside the worker */
	if (!mark_path(w, "", path, sizeof(path)) || !mark_path(w, end, tmp, sizeof(tmp)))
		return mh_fail(err, MH_BAD, "ledger.mark: the name of state_dir is too long");
	const int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "%s", tmp);
	const bool written = write(fd, text, (size_t)n) == n && fsync(fd) == 0;
	const enum mh_status status = written ? MH_OK : mh_fail_errno(err, MH_RETRY, "%s", tmp);
	(void)close(fd);
	if (status == MH_OK && rename(tmp, path) != 0)
		return mh_fail_errno(err, MH_RETRY, "%s", path);
	return status;
}

enum mh_status
mark_write(struct work *w, struct mh_err *err)
{
	struct mark m;
	int64_t last = 0;
	enum mh_status status = ledger_last_event(w->db, &last, err);

	/* one that went back is not taken for what it was: mark_look says so, before anything else is done with it */
	if (status != MH_OK || last + 1 == w->marked || (!w->db->engine->local && last + 1 < w->marked))
		return status;
	status = read_ledger(w, &m, err);
	if (status == MH_OK)
		status = write_mark(w, &m, err);
	if (status == MH_OK)
		w->marked = m.last + 1;
	return status;
}

static enum mh_status
pause_once(
    struct work *w, int tries, const char *why, int64_t at_least, int64_t now, size_t *ret_held, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	const struct pause_row pause = { .scope = "all", .name = "", .since = now, .by = "mailhook", .why = why };
	int64_t done = 0, last = 0;
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
		status = ledger_last_event(w->db, &last, err);
	if (status == MH_OK && last < at_least)
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

enum mh_status
mark_look(struct work *w, int64_t now, struct mh_err *err)
{
	struct mark beside = { .last = 0 }, own;
	const char *why = NULL;
	char path[4096];

	/* the mark first: a worker at its work writes the ledger, then the mark */
	const bool known = read_mark(w, &beside);
	enum mh_status status = read_ledger(w, &own, err);
	if (status != MH_OK)
		return status;
	if (!known && own.last > 0 && !own.arrived && w->db->engine->local)
		why = "nothing beside it says that it was at work here";
	else if (known && strcmp(beside.identity, own.identity) != 0)
		why = "it is another ledger than the one that was at work here";
	else if (known && own.last < beside.last)
		why = "it is an older copy of the one that was at work here";
	if (why != NULL)
		status = pause_behind(w, why, strcmp(beside.identity, own.identity) == 0 ? beside.last : 0, now, err);
	if (status == MH_OK && own.arrived)
		status = db_exec(w->db, "DELETE FROM meta WHERE name = '" MARK_ARRIVED "'", err);
	if (status != MH_OK || (known && why == NULL))
		return status;
	w->marked = 0;
	status = mark_write(w, err);
	/* later ones need not be durable: an older mark only notices less. But none at all would look like a restore */
	if (status == MH_OK && mark_path(w, "", path, sizeof(path)))
		status = durable_name(path, err);
	return status;
}

static enum mh_status
look_again(void *user, struct mh_err *err)
{
	return mark_look(user, clock_now(), err);
}

void
mark_watch(struct work *w)
{
	w->db->look = look_again;
	w->db->look_user = w;
	w->db->looked = w->db->engine->connections(w->db);
}
