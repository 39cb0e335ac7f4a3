/* loop.c: the worker's life: intake, due jobs, and sleep until the next of either. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/intake.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/refusals.h"
#include "mailhook/work/log.h"
#include "mailhook/work/member.h"
#include "mailhook/work/node.h"
#include "mailhook/work/notify.h"
#include "mailhook/work/outlet.h"
#include "mailhook/work/pass.h"
#include "mailhook/work/prove.h"
#include "mailhook/work/runner.h"
#include "mailhook/work/upkeep.h"

#define BATCH 1000             /* messages of one round */
#define LIST_SHARE 8           /* of a long intake an eighth is listed at a time: n files cost 8 n looks, not n * n */
#define LIST_MOST 100000       /* names, of 80 bytes each, twice while they are sorted */
#define LOOK_AFTER 32          /* messages between two looks at actions that run and at signals */
#define LONGEST_SLEEP_MS 60000 /* a jump of the clock, or a wake-up that a crash swallowed, costs at most this */
#define TROUBLE_MS 5000        /* how long to leave a full disk or a locked ledger alone */
#define STOPPING_MS 500        /* the same for who waits for its actions to end */
#define LATE 8                 /* files that cannot be taken: no more of them are tried in one round */
#define LATE_KNOWN 64          /* and so many are remembered: they wait longer each time, and all others come first */
#define LATE_LONGEST_MS 60000
#define QUICK_MS 5000                /* a file that failed within that is tried again at once, where that may help */
#define STOP_PATIENCE_MS 15000       /* SIGTERM: so long may actions take to their end; systemd kills after 90 s */
#define LOCK_PATIENCE_MS 5000        /* another worker */
#define LOCK_ONCE_PATIENCE_MS 120000 /* an action's deadline is 60 s by default */
#define LOCK_LOOK_MS 50
#define NODE_LOOK_MS 500
#define MAX_FDS 512

struct loop {
	struct work *w;
	const struct loop_options *o;
	struct runner *runner;
	struct notify notify;
	struct outlet outlet;
	struct pass pass;
	struct intake_list waiting; /* own: of the intake, from the oldest; those before next were taken */
	size_t next;
	char late[LATE_KNOWN][sizeof(((struct intake_list *)NULL)->names[0])]; /* could not be taken */
	size_t n_late;
	int64_t late_ms, late_at_ms; /* how long they wait now, and until when, monotonic */
	bool late_due, late_fresh;   /* of this list: they are tried again; another one came to them */
	size_t taken;                /* of this list */
	struct mh_err late_why;
	bool only_late;           /* the last round failed for nothing but such files */
	int lock, signals, watch; /* -1: none */
	int stop;                 /* the signals that end us alone: for who waits elsewhere, and never read */
	bool stopping, stop_now;
	int64_t stop_at_ms;
	bool trouble; /* the last round failed; said once until it goes well again */
	char said[160];
	struct member member; /* where nodes share the ledger */
};

/* -- set-up -------------------------------------------------------------------------------------------------------- */

static int
open_signals(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int
open_stop(void)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Folders, not files: files are replaced by renaming. Without inotify (a limit of the system) the worker still looks
 * once a minute. */
static void
open_watch(struct loop *l)
{
	const char *clock = clock_file();
	char folder[PATH_MAX];

	l->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (l->watch < 0) {
		log_event(LOG_WARNING, "watch", NULL, "no inotify: the intake is looked at once a minute");
		return;
	}
	(void)inotify_add_watch(l->watch, l->w->conf->intake_dir, IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
	(void)inotify_add_watch(l->watch, l->w->conf->state_dir, IN_CLOSE_WRITE | IN_ONLYDIR);
	if (clock == NULL)
		return;
	(void)snprintf(folder, sizeof(folder), "%s", clock);
	char *slash = strrchr(folder, '/');
	if (slash != NULL && slash != folder)
		*slash = '\0';
	(void)inotify_add_watch(
	    l->watch, slash == NULL ? "." : folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR | IN_MASK_ADD);
}

/* We hold the lock, so whoever left a job running is dead; with a ledger that nodes share only our own node's are, of
 * lives that had this folder. */
static enum mh_status
requeue_left_overs(struct loop *l, struct mh_err *err)
{
	struct arena a;
	struct lease_rows left = { 0 };
	const struct work *w = l->w;
	const struct mh_span ours = w->db->engine->local ? MH_LIT("") : node_owners(w);

	arena_init(&a, WORK_ARENA_BYTES);
	enum mh_status status = ledger_leases_of(w->db, ours, &a, &left, err);
	for (size_t i = 0; i < left.n && status == MH_OK; i++)
		/* but a person's terminal: it is taken back when its lease has ended */
		if (!span_iends(span_of(left.items[i].owner), MH_LIT(LEDGER_HANDOVER)))
			status = job_requeue(l->w, &left.items[i], false, "its worker died", clock_now(), err);
	arena_release(&a);
	return status;
}

/* What this node lacked may be there: it looks for itself what it can do, whatever it said before. */
static enum mh_status
try_all_again(const struct work *w, struct mh_err *err)
{
	return w->db == NULL || w->db->engine->local ? MH_OK : ledger_refusals_drop_node(w->db, w->node, err);
}

/* -- one round ----------------------------------------------------------------------------------------------------- */

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* What the ledger that is open, the lock and the node's row were made of. */
static bool
same_place(const struct work *a, const struct work *b)
{
	return same(a->conf->state_dir, b->conf->state_dir) && same(a->conf->ledger, b->conf->ledger) &&
	       same(a->conf->ledger_password_file, b->conf->ledger_password_file) &&
	       same(a->conf->ledger_password_command, b->conf->ledger_password_command) && same(a->node, b->node);
}

static void
reload(struct loop *l)
{
	struct work fresh = { 0 };
	struct mh_err err = { 0 };
	bool right = false;
	enum mh_status status = work_load(&fresh, l->o->config, &err);

	if (status == MH_OK && !same_place(&fresh, l->w))
		status = mh_fail(
		    &err, MH_BAD, "state_dir, ledger, where its password is, or node is another: restart instead");
	if (status == MH_OK)
		status = work_read_definitions(&fresh, &right, &err);
	if (status != MH_OK) {
		log_event(LOG_ERROR, "reload", NULL, "not reloaded: %s", err.text);
		work_release(&fresh);
		return;
	}
	(void)snprintf(fresh.life, sizeof(fresh.life), "%s", l->w->life); /* leases go on */
	(void)snprintf(fresh.owner, sizeof(fresh.owner), "%s", l->w->owner);
	fresh.marked = l->w->marked;
	(void)snprintf(fresh.marked_of, sizeof(fresh.marked_of), "%s", l->w->marked_of);
	fresh.mark_synced = l->w->mark_synced;
	fresh.mark_again_ms = l->w->mark_again_ms;
	(void)snprintf(fresh.paused_of, sizeof(fresh.paused_of), "%s", l->w->paused_of);
	fresh.clock_off = l->w->clock_off;
	fresh.db = l->w->db;
	l->w->db = NULL;
	work_release(l->w);
	*l->w = fresh;
	l->pass = (struct pass){ 0 };
	l->late_at_ms = 0;               /* what hindered them may be mended */
	(void)try_all_again(l->w, &err); /* else its time ends */
	log_open(l->w->conf, LOG_JOURNAL_SOCKET);
	log_event(LOG_NOTICE, "reload", NULL, "the configuration was read again");
}

static void
begin_stop(struct loop *l)
{
	l->stopping = true;
	l->stop_at_ms = clock_monotonic_ms() + STOP_PATIENCE_MS;
	notify_stopping(&l->notify);
}

static void
hear_signals(struct loop *l)
{
	struct signalfd_siginfo info;

	while (l->signals >= 0 && read(l->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP) {
			reload(l);
			continue;
		}
		l->stop_now = l->stopping; /* the second time at once */
		begin_stop(l);
	}
}

static void
forget_list(struct loop *l)
{
	intake_list_release(&l->waiting);
	l->next = 0;
}

static size_t
find_late(const struct loop *l, const char *name)
{
	size_t i = 0;

	while (i < l->n_late && strcmp(l->late[i], name) != 0)
		i++;
	return i;
}

static bool
is_late(const struct loop *l, const char *name)
{
	return find_late(l, name) < l->n_late;
}

static void
note_late(struct loop *l, const char *name, bool late)
{
	size_t at = find_late(l, name);

	if ((at < l->n_late) == late)
		return;
	l->late_fresh = l->late_fresh || late;
	if (late && l->n_late < LATE_KNOWN) {
		(void)snprintf(l->late[l->n_late++], sizeof(l->late[0]), "%s", name);
		return;
	}
	if (late) /* the one that is known longest makes room */
		at = 0;
	memmove(l->late + at, l->late + at + 1, (l->n_late - at - 1) * sizeof(l->late[0]));
	l->n_late--;
	if (late)
		note_late(l, name, true);
}

/* Moves what was late to the end of a list, and forgets of it what is not there. */
static void
put_behind(struct loop *l)
{
	struct intake_list *list = &l->waiting;
	char late[LATE_KNOWN][sizeof(list->names[0])];
	size_t n_late = 0, n = 0;

	for (size_t i = 0; i < list->n; i++)
		if (n_late < LATE_KNOWN && is_late(l, list->names[i]))
			memcpy(late[n_late++], list->names[i], sizeof(late[0]));
		else if (n++ != i)
			memcpy(list->names[n - 1], list->names[i], sizeof(list->names[0]));
	memcpy(list->names + n, late, n_late * sizeof(late[0]));
	memcpy(l->late, late, n_late * sizeof(late[0]));
	l->n_late = n_late;
}

static enum mh_status
list_intake(struct loop *l, struct mh_err *err)
{
	size_t there = 0;

	forget_list(l);
	enum mh_status status = intake_count(l->w->conf->intake_dir, &there, err);
	const size_t share = there / LIST_SHARE < LIST_MOST ? there / LIST_SHARE : LIST_MOST;

	if (status != MH_OK)
		return status;
	status = intake_scan(
	    l->w->conf->intake_dir, clock_now(), (share > BATCH ? share : BATCH) + l->n_late, &l->waiting, err);
	if (status == MH_OK && l->n_late > 0)
		put_behind(l);
	l->late_due = clock_monotonic_ms() >= l->late_at_ms;
	l->late_fresh = false;
	l->taken = 0;
	return status;
}

/* The connection may be new, or the failure another transaction's doing: then the file is tried again at once. */
static enum mh_status
take_file(struct loop *l, const char *name, struct mh_err *err)
{
	const int64_t begun = clock_monotonic_ms();
	int tries = 0;
	enum mh_status status;

	do {
		status = intake_take(l->w, name, err);
	} while (!l->stopping && clock_monotonic_ms() - begun < QUICK_MS && db_again(l->w->db, status, &tries));
	note_late(l, name, status != MH_OK);
	return status;
}

/* Whether it is that file's alone that it could not be taken, as far as one can know. */
static bool
ledger_answers(struct loop *l)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct mh_err err = { 0 };

	return db_tx_begin(l->w->db, &tx, &err) == MH_OK;
}

/* At the end of a list: when those that could not be taken have their turn again. */
static void
put_off_late(struct loop *l)
{
	if (l->n_late == 0 || l->late_fresh)
		l->late_ms = TROUBLE_MS;
	else if (l->late_due)
		l->late_ms = l->late_ms * 2 < LATE_LONGEST_MS ? l->late_ms * 2 : LATE_LONGEST_MS;
	if (l->late_fresh || l->late_due)
		l->late_at_ms = clock_monotonic_ms() + l->late_ms;
	l->late_due = l->late_fresh = false;
}

/* A file that cannot be taken keeps nothing else from its turn: after some of them the rest of the list waits for the
 * next round, and what is known to be late for its time. Where the ledger does not answer that is told, as the failure
 * of the round. late_why: what the last such file failed of. */
static enum mh_status
take_intake(struct loop *l, bool *ret_more, struct mh_err *err)
{
	size_t failed = 0;
	bool jobs;
	enum mh_status status = l->next < l->waiting.n ? MH_OK : list_intake(l, err);

	for (size_t i = 0; i < BATCH && l->next < l->waiting.n && failed < LATE && status == MH_OK && !l->stopping;
	     i++) {
		const char *name = l->waiting.names[l->next];

		if (!l->late_due && is_late(l, name)) { /* they are the last of the list */
			l->next = l->waiting.n;
			break;
		}
		l->next++;
		status = take_file(l, name, err);
		if (status == MH_OK) {
			l->taken++;
			notify_progress(&l->notify);
		} else if (ledger_answers(l)) {
			failed++;
			l->late_why = *err;
			status = MH_OK;
		}
		hear_signals(l);
		if (i % LOOK_AFTER != LOOK_AFTER - 1 || status != MH_OK)
			continue;
		status = runner_step(l->runner, err);
		if (status == MH_OK)
			status = member_round(&l->member, l->w, runner_running(l->runner), NULL, err);
		if (status == MH_OK && !l->stopping) /* a flood of mail must not keep jobs from their turn */
			status = runner_start(l->runner, clock_now(), &jobs, err);
		hear_signals(l);
	}
	/* a list that gave nothing is not asked for at once again; once goes on to the end of what there is */
	*ret_more = l->next < l->waiting.n ? failed < LATE || l->o->once : l->waiting.more && l->taken > 0;
	if (status != MH_OK)
		forget_list(l);
	else if (l->next >= l->waiting.n)
		put_off_late(l);
	return status;
}

/* A part of the work that is done though another has failed; the first failure is told. */
static enum mh_status
both(enum mh_status before, enum mh_status now, const struct mh_err *own, struct mh_err *err)
{
	if (before == MH_OK && now != MH_OK)
		*err = *own;
	return before == MH_OK ? now : before;
}

/* More than a few files that must wait: these are told, but hinder nothing. */
static bool
in_trouble(const struct loop *l)
{
	return l->trouble && !l->only_late;
}

/* Everything that can be done without waiting. *ret_more: there is more of it. Each part may have waited for a server for
 * long, so it is asked behind each whether we are to stop. */
static enum mh_status
work_round(struct loop *l, bool *ret_more, struct mh_err *err)
{
	bool more_mail = false, more_proofs = false, more_time = false, more_jobs = false;
	bool more_upkeep = false;
	struct mh_err own = { 0 };
	enum mh_status status = runner_step(l->runner, err);

	hear_signals(l);
	if (status == MH_OK)
		status = member_round(&l->member, l->w, runner_running(l->runner), in_trouble(l) ? l->said : NULL, err);
	hear_signals(l);
	if (status == MH_OK && !l->stopping)
		status = take_intake(l, &more_mail, err);
	if (status == MH_OK && !l->stopping)
		status = prove_due(l->w, clock_now(), &more_proofs, err);
	hear_signals(l);
	if (!l->stopping)
		status = both(status, pass_time(l->w, &l->pass, clock_now(), &more_time, &own), &own, err);
	hear_signals(l);
	if (!l->stopping) /* also where the intake cannot be read: what is due does not wait for it */
		status = both(status, runner_start(l->runner, clock_now(), &more_jobs, &own), &own, err);
	hear_signals(l);
	if (status == MH_OK && !l->stopping && !l->pass.paused)
		status = runner_ask_again(l->runner, clock_now(), err);
	if (status == MH_OK && !l->stopping)
		status = upkeep_round(l->w, clock_now(), &more_upkeep, err);
	l->only_late = status == MH_OK && l->n_late > 0;
	*ret_more =
	    more_upkeep || more_mail || more_proofs || more_time || (more_jobs && runner_running(l->runner) == 0);
	return both(status, l->only_late ? MH_RETRY : status, &l->late_why, err);
}

/* What another node's transaction undid, or a connection that is back, is tried again at once: no trouble to speak of. */
static enum mh_status
work_rounds(struct loop *l, bool *ret_more, struct mh_err *err)
{
	int tries = 0;
	enum mh_status status;

	do {
		status = work_round(l, ret_more, err);
	} while (!l->stopping && !l->only_late && db_again(l->w->db, status, &tries));
	return status;
}

static void
say_trouble(struct loop *l, enum mh_status status, const struct mh_err *err)
{
	if (status == MH_OK) {
		if (l->trouble)
			log_event(LOG_NOTICE, "goes-on", NULL, "the work goes on");
		l->trouble = false;
		return;
	}
	if (!l->trouble || strcmp(l->said, err->text) != 0)
		log_event(LOG_ERROR, "trouble", NULL, "%s", err->text);
	l->trouble = true;
	(void)snprintf(l->said, sizeof(l->said), "%s", err->text);
}

/* Rounds that fail are no progress: where that lasts, the service manager starts us anew, and shows it. */
static void
tell_manager(struct loop *l, enum mh_status status, const struct mh_err *err)
{
	const size_t running = runner_running(l->runner);

	if (status == MH_OK || l->only_late)
		notify_progress(&l->notify);
	if (status != MH_OK)
		notify_status(&l->notify, "trouble: %s", err->text);
	else if (running > 0)
		notify_status(&l->notify, "actions run: %zu", running);
	else
		notify_status(&l->notify, "waits for mail");
}

/* Whether something changed that is not of our own doing; what does not matter: everything is looked at. */
static bool
hear_watch(struct loop *l)
{
	char events[4096];
	ssize_t n;
	bool news = false;

	while (l->watch >= 0 && (n = read(l->watch, events, sizeof(events))) > 0)
		for (ssize_t at = 0; at < n;) {
			struct inotify_event e;
			memcpy(&e, events + at, sizeof(e));
			news = news || e.len == 0 || !mark_is_own(events + at + sizeof(e));
			at += (ssize_t)(sizeof(e) + e.len);
		}
	return news;
}

/* Of jobs, of verifications, and of what time alone brings. */
static enum mh_status
next_due(const struct loop *l, int64_t now, int64_t *ret, struct mh_err *err)
{
	int64_t job = INT64_MAX, proof = INT64_MAX, lease = INT64_MAX;
	enum mh_status status = ledger_jobs_next_due(l->w->db, now, &job, err);

	if (status == MH_OK || status == MH_SKIP)
		status = ledger_leases_next(l->w->db, now, &lease, err);
	if (status == MH_OK || status == MH_SKIP)
		status = ledger_verification_next(l->w->db, now, &proof, err);
	if (status != MH_OK && status != MH_SKIP)
		return status;
	*ret = pass_next(l->w, &l->pass, now);
	*ret = job < *ret ? job : *ret;
	*ret = lease < *ret ? lease : *ret;
	*ret = proof < *ret ? proof : *ret;
	return MH_OK;
}

static int
sleep_ms(struct loop *l)
{
	int64_t due = 0, ms = LONGEST_SLEEP_MS;
	const int64_t now = clock_now();
	struct mh_err err = { 0 };

	if (l->stopping)
		ms = l->stop_at_ms - clock_monotonic_ms();
	else if (in_trouble(l))
		return TROUBLE_MS;
	else if (clock_file() == NULL && next_due(l, now, &due, &err) == MH_OK && due - now < 60)
		ms = (due - now) * 1000;
	if (!l->stopping && l->n_late > 0) {
		const int64_t left = l->late_at_ms - clock_monotonic_ms();
		const int64_t late = l->next < l->waiting.n ? TROUBLE_MS : left;

		ms = late < ms ? late : ms;
	}
	if (!l->stopping || !in_trouble(l))
		ms = member_sleep_ms(&l->member, l->w, ms);
	else if (ms > STOPPING_MS) /* a sign of life that is due cannot be given */
		ms = STOPPING_MS;
	return ms < 0 ? 0 : (int)ms;
}

static void
wait_for_something(struct loop *l, bool more)
{
	struct pollfd fds[MAX_FDS + 3 + OUTLET_FDS];
	size_t n = 0;
	int timeout = more ? 0 : notify_sleep_ms(&l->notify, sleep_ms(l));

	if (!in_trouble(l)) /* the descriptor of a connection that is lost can always be read */
		n = member_pollfds(&l->member, l->w, fds, &timeout);
	if (l->signals >= 0)
		fds[n++] = (struct pollfd){ .fd = l->signals, .events = POLLIN };
	if (hear_watch(l)) /* the round's own mark must not bring about the next one */
		timeout = 0;
	if (l->watch >= 0)
		fds[n++] = (struct pollfd){ .fd = l->watch, .events = POLLIN };
	n += runner_pollfds(l->runner, fds + n, MAX_FDS, &timeout);
	n += outlet_pollfds(&l->outlet, fds + n, &timeout);
	(void)poll(fds, n, timeout);
	outlet_hear(&l->outlet, l->w);
	hear_signals(l);
	(void)hear_watch(l);
}

static bool
finished(const struct loop *l, bool more)
{
	if (l->stopping)
		return runner_running(l->runner) == 0 || l->stop_now || clock_monotonic_ms() >= l->stop_at_ms;
	return l->o->once && !more && runner_running(l->runner) == 0;
}

/* With the lock held, until there is nothing to do (once) or we are told to stop. With once the first failure ends it:
 * what runs may come to its end, and the next run goes on. Files that could not be taken end nothing, but are told. */
static enum mh_status
live(struct loop *l, struct mh_err *err)
{
	enum mh_status failed = MH_OK;
	bool more = false;

	for (;;) {
		const size_t before = runner_running(l->runner);
		struct mh_err own = { 0 };
		const enum mh_status status = work_rounds(l, &more, &own);
		say_trouble(l, status, &own);
		tell_manager(l, status, &own);
		outlet_round(&l->outlet, l->w, l->only_late ? MH_OK : status, &own, !l->o->once, false);
		if (l->o->once && (!l->stopping || failed == MH_OK)) {
			failed = status; /* also well again: the file was taken the second time */
			*err = own;
			if (status != MH_OK && !l->only_late && !l->stopping)
				begin_stop(l);
		}
		if (l->member.ousted) {
			failed = MH_BAD;
			*err = own;
			break;
		}
		/* an action that has just ended may have made others due */
		if ((status == MH_OK || l->only_late) && runner_running(l->runner) < before)
			more = true;
		if (finished(l, more))
			break;
		wait_for_something(l, more && (status == MH_OK || l->only_late) && !l->stopping);
	}

	struct mh_err own = { 0 };
	const enum mh_status stopped = runner_stop(l->runner, &own);
	if (stopped != MH_OK) {
		log_event(LOG_ERROR, "stop", NULL, "%s", own.text);
		failed = failed == MH_OK ? stopped : failed;
	}
	outlet_round(&l->outlet, l->w, failed, err, !l->o->once, true);
	return failed;
}

static bool
intake_waits(const struct loop *l)
{
	struct intake_list list = { 0 };
	struct mh_err err = { 0 };

	if (intake_scan(l->w->conf->intake_dir, clock_now(), 1, &list, &err) != MH_OK)
		return false;
	const bool waits = list.n > 0;
	intake_list_release(&list);
	return waits;
}

/* Whoever has our name may be a worker that died elsewhere a moment ago: then it is not seen again. One that is, lives. */
static enum mh_status
enter(struct loop *l, struct mh_err *err)
{
	int64_t seen = 0, first = 0, ago = 0;
	enum mh_status status = node_settle(l->w, err);

	if (status == MH_OK)
		status = member_enter(&l->member, l->w, &first, &ago, err);
	if (status == MH_SKIP)
		log_event(LOG_WARNING, "node", NULL, "%s; waiting to see whether it lives", err->text);
	for (seen = first; status == MH_SKIP && seen == first && !l->stopping;) {
		struct pollfd fd = { .fd = l->signals, .events = POLLIN };

		(void)poll(&fd, 1, NODE_LOOK_MS);
		hear_signals(l);
		status = member_enter(&l->member, l->w, &seen, &ago, err);
	}
	return status == MH_SKIP ? MH_BAD : status;
}

/* Behind a connection that is new another server may be, as a standby that has taken over. */
static enum mh_status
look_again(void *user, struct mh_err *err)
{
	struct loop *l = user;
	const enum mh_status status = mark_look(l->w, clock_now(), err);

	return status == MH_OK && l->runner != NULL ? runner_look(l->runner, clock_now(), err) : status;
}

static enum mh_status
set_out(struct loop *l, struct mh_err *err)
{
	enum mh_status status = l->w->db == NULL ? work_open_ledger(l->w, true, err) : MH_OK;

	if (status == MH_OK && l->runner == NULL)
		status = runner_new(l->w, &l->runner, err);
	if (status == MH_OK) /* first: what a restored ledger says runs was not left over by a worker of ours */
		status = mark_look(l->w, clock_now(), err);
	if (status == MH_OK) {
		l->w->db->look = look_again;
		l->w->db->look_user = l;
		l->w->db->stop_fd = l->stop < 0 ? 0 : l->stop;
		l->w->db->looked = l->w->db->engine->connections(l->w->db);
	}
	if (status == MH_OK && !l->w->db->engine->local && !l->member.entered)
		status = enter(l, err);
	if (status == MH_OK)
		status = try_all_again(l->w, err);
	return status == MH_OK ? requeue_left_overs(l, err) : status;
}

/* A server may be away for a while; the intake takes mail meanwhile. */
static enum mh_status
set_out_patiently(struct loop *l, struct mh_err *err)
{
	enum mh_status status = set_out(l, err);

	while (status == MH_RETRY && !l->o->once && l->w->conf->ledger_path == NULL && !l->stopping) {
		struct pollfd fd = { .fd = l->signals, .events = POLLIN };

		say_trouble(l, status, err);
		notify_ready(&l->notify);
		notify_status(&l->notify, "trouble: %s", err->text);
		(void)poll(&fd, 1, notify_sleep_ms(&l->notify, TROUBLE_MS));
		hear_signals(l);
		status = set_out(l, err);
	}
	return status;
}

static enum mh_status
under_lock(struct loop *l, struct mh_err *err)
{
	struct mh_err own = { 0 };
	enum mh_status status = set_out_patiently(l, err);

	if (status == MH_OK) {
		notify_ready(&l->notify);
		status = live(l, err);
	} else {
		log_event(LOG_ERROR, "start", NULL, "%s", err->text);
	}
	runner_free(l->runner);
	l->runner = NULL;
	if (member_leave(&l->member, l->w, &own) != MH_OK)
		log_event(LOG_WARNING, "node", NULL, "%s", own.text);
	return status;
}

/* What is to be waited for: a service waits a little for a mail's own run --once; and who says run --once wants the
 * work done, so waits for another once, which may be at its end, but not for a service, which does it anyway. */
static int64_t
patience_ms(const struct loop *l)
{
	if (!l->o->once)
		return LOCK_PATIENCE_MS;
	return l->o->no_wait || lock_is_service(l->w->conf->state_dir) ? 0 : LOCK_ONCE_PATIENCE_MS;
}

static enum mh_status
take_lock(struct loop *l, struct mh_err *err)
{
	const int64_t since = clock_monotonic_ms();
	enum mh_status status = lock_take(l->w->conf->state_dir, !l->o->once, &l->lock, err);

	while (status == MH_SKIP && !l->stopping && clock_monotonic_ms() - since < patience_ms(l)) {
		struct pollfd fd = { .fd = l->signals, .events = POLLIN };
		(void)poll(&fd, 1, LOCK_LOOK_MS);
		hear_signals(l);
		status = lock_take(l->w->conf->state_dir, !l->o->once, &l->lock, err);
	}
	return status;
}

int
loop_run(struct work *w, const struct loop_options *o)
{
	struct loop l = { .w = w, .o = o, .lock = -1, .signals = -1, .watch = -1, .stop = -1 };
	struct mh_err err = { 0 };
	bool again;
	enum mh_status status;

	l.signals = open_signals();
	l.stop = open_stop();
	outlet_init(&l.outlet);
	if (notify_open(&l.notify, &err) != MH_OK)
		log_event(LOG_WARNING, "notify", NULL, "%s", err.text);
	open_watch(&l);
	do {
		status = take_lock(&l, &err);
		if (status == MH_SKIP && (l.stopping || (o->once && patience_ms(&l) == 0))) {
			status = MH_OK; /* the one that runs sees what we came for */
			break;
		}
		if (status != MH_OK) {
			log_event(LOG_ERROR, "lock", NULL, "%s", err.text);
			status = MH_RETRY;
			break;
		}
		status = under_lock(&l, &err);
		if (o->once && o->before_unlock != NULL)
			o->before_unlock(o->user);
		(void)close(l.lock); /* and with it the lock goes */
		l.lock = -1;
		/* who stored a message while we held the lock started no worker; we had looked already: so look again */
		again = o->once && status == MH_OK && !l.stopping && intake_waits(&l);
	} while (again);
	forget_list(&l);
	if (l.watch >= 0)
		(void)close(l.watch);
	if (l.signals >= 0)
		(void)close(l.signals);
	if (w->db != NULL)
		w->db->stop_fd = 0;
	if (l.stop >= 0)
		(void)close(l.stop);
	notify_close(&l.notify);
	outlet_close(&l.outlet);
	return work_exit(status);
}
