/* supervise.c: one process a mailbox, forked again after it ended, later each time it ends without having read anything. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/cli.h"
#include "mailhook/clock.h"
#include "mailhook/imap/imap.h"
#include "mailhook/imap/leases.h"
#include "mailhook/imap/report.h"
#include "mailhook/work/log.h"
#include "mailhook/work/notify.h"

#define BACK_OFF_FIRST_MS 500
#define BACK_OFF_MOST_MS 300000 /* a server that bans who comes too often looks at minutes */
#define REPORT_EVERY_MS 10000
#define START_PATIENCE_MS 10000 /* a new process has said nothing yet */
#define LOOK_MS 10000
#define LEAVE_MS 5000 /* at the end: so long may mailboxes that nodes share take to the message at hand */

struct mailbox {
	pid_t pid; /* 0: none runs */
	int64_t start_ms, back_off_ms;
	int64_t began_ok; /* its last_ok when it was started */
	bool done;        /* with once */
	int code;         /* its last exit code */
	char said[200];   /* the last failure that was logged */
};

struct supervisor {
	struct imap *im;
	struct mailbox *boxes; /* own */
	struct slot *slots;    /* own, shared */
	size_t n;
	struct leases *leases; /* own; NULL: the mailboxes are this machine's own */
	size_t watching;       /* of the last report */
	bool once, stopping, reload;
	int signals, lock;
	sigset_t before;
	struct notify notify;
	int64_t report_ms;
};

/* -- set-up -------------------------------------------------------------------------------------------------------- */

static enum mh_status
take_lock(struct supervisor *s, struct mh_err *err)
{
	char path[4200];

	(void)snprintf(path, sizeof(path), "%s/" REPORT_LOCK, s->im->conf->state_dir);
	s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock < 0)
		return mh_fail_errno(err, MH_RETRY, "%s", path);
	if (flock(s->lock, LOCK_EX | LOCK_NB) == 0)
		return MH_OK;
	return errno == EWOULDBLOCK ? mh_fail(err, MH_SKIP, "another process watches the mailboxes already")
				    : mh_fail_errno(err, MH_RETRY, "%s", path);
}

static enum mh_status
open_signals(struct supervisor *s, struct mh_err *err)
{
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGTERM);
	(void)sigaddset(&set, SIGINT);
	(void)sigaddset(&set, SIGHUP);
	(void)sigaddset(&set, SIGCHLD);
	(void)signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, &s->before) != 0)
		return mh_fail_errno(err, MH_RETRY, "signals");
	s->im->told = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return s->signals < 0 ? mh_fail_errno(err, MH_RETRY, "signals") : MH_OK;
}

static enum mh_status
make_boxes(struct supervisor *s, struct mh_err *err)
{
	const size_t n = s->im->conf->n_mailboxes;
	void *slots =
	    mmap(NULL, (n + 1) * sizeof(*s->slots), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	s->boxes = calloc(n + 1, sizeof(*s->boxes));
	s->slots = slots == MAP_FAILED ? NULL : slots;
	s->n = n;
	if (s->boxes == NULL || s->slots == NULL)
		return mh_fail(err, MH_RETRY, "no memory for %zu mailboxes", n);
	for (size_t i = 0; i < n; i++) {
		s->boxes[i].back_off_ms = BACK_OFF_FIRST_MS;
		report_last(s->im->conf->state_dir, s->im->conf->mailboxes[i].name, &s->slots[i]);
	}
	return MH_OK;
}

static void
drop_boxes(struct supervisor *s)
{
	if (s->slots != NULL)
		(void)munmap(s->slots, (s->n + 1) * sizeof(*s->slots));
	free(s->boxes);
	s->slots = NULL;
	s->boxes = NULL;
	s->n = 0;
}

/* -- processes ----------------------------------------------------------------------------------------------------- */

/* In the new process: nothing of the supervisor's is needed, and it dies with the supervisor. */
static void
be_mailbox(struct supervisor *s, size_t i, pid_t parent)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(CLI_LATER);
	(void)close(s->signals);
	notify_close(&s->notify);
	leases_forked(s->leases);
	(void)signal(SIGTERM, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &s->before, NULL);
	_exit(watch_mailbox(s->im, i, &s->slots[i], s->once));
}

static void
start(struct supervisor *s, size_t i)
{
	struct mailbox *b = &s->boxes[i];
	const pid_t parent = getpid();

	atomic_store(&s->slots[i].overdue_ms, clock_monotonic_ms() + START_PATIENCE_MS);
	s->slots[i].words[0] = '\0';
	b->began_ok = atomic_load(&s->slots[i].last_ok);
	leases_started(s->leases, i);
	const pid_t pid = fork();
	if (pid == 0)
		be_mailbox(s, i, parent);
	if (pid > 0) {
		b->pid = pid;
		return;
	}
	(void)leases_ended(s->leases, i);
	b->start_ms = clock_monotonic_ms() + BACK_OFF_MOST_MS / 10;
}

/* From three quarters of it to five quarters: many mailboxes of one server must not come back at once. */
static int64_t
with_jitter(int64_t ms)
{
	uint16_t random = 0;

	if (getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random))
		random = UINT16_MAX / 2; /* without it they only come back together */
	return ms * 3 / 4 + ms / 2 * random / UINT16_MAX;
}

static void
say_end(struct supervisor *s, size_t i, int status)
{
	struct mailbox *b = &s->boxes[i];
	struct slot *slot = &s->slots[i];
	const uint32_t in_hand = atomic_exchange(&slot->in_hand, 0);

	if (WIFSIGNALED(status)) {
		(void)snprintf(slot->words, sizeof(slot->words), "its process was ended by signal %d%s",
		    WTERMSIG(status), in_hand == 0 ? "" : " while it read a message");
		if (in_hand != 0 && WTERMSIG(status) != SIGTERM)
			atomic_store(&slot->suspect, in_hand);
	}
	slot->words[sizeof(slot->words) - 1] = '\0';
	if (slot->words[0] == '\0' || strcmp(b->said, slot->words) == 0)
		return;
	memcpy(b->said, slot->words, sizeof(b->said));
	log_event(b->code == CLI_ATTENTION ? LOG_ERROR : LOG_WARNING, "mailbox", NULL, "mailbox %s: %s",
	    s->im->conf->mailboxes[i].name, slot->words);
}

static void
ended(struct supervisor *s, size_t i, int status)
{
	struct mailbox *b = &s->boxes[i];

	b->pid = 0;
	b->code = WIFEXITED(status) ? WEXITSTATUS(status) : CLI_LATER;
	b->done = s->once;
	atomic_store(&s->slots[i].watching, 0);
	s->report_ms = 0;
	if (leases_ended(s->leases, i)) { /* whoever has it next reads what this one had at hand */
		atomic_store(&s->slots[i].in_hand, 0);
		s->slots[i].words[0] = '\0';
		b->back_off_ms = BACK_OFF_FIRST_MS;
		b->start_ms = 0;
		return;
	}
	if (s->once)
		leases_done(s->leases, i);
	if (atomic_load(&s->slots[i].last_ok) > b->began_ok) /* it was of use */
		b->back_off_ms = BACK_OFF_FIRST_MS;
	else
		leases_failed(s->leases, i);
	b->start_ms = clock_monotonic_ms() + with_jitter(b->back_off_ms);
	b->back_off_ms = b->back_off_ms * 2 < BACK_OFF_MOST_MS ? b->back_off_ms * 2 : BACK_OFF_MOST_MS;
	if (!s->stopping)
		say_end(s, i, status);
}

static void
reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (leases_reap(s->leases, pid))
			continue;
		for (size_t i = 0; i < s->n; i++)
			if (s->boxes[i].pid == pid)
				ended(s, i, status);
	}
}

/* Those that this node is to watch no more. */
static void
end_for_leases(struct supervisor *s)
{
	for (size_t i = 0; i < s->n; i++) {
		switch (s->boxes[i].pid == 0 ? LEASES_STAY : leases_end(s->leases, i)) {
		case LEASES_STAY:
			break;
		case LEASES_LEAVE: /* at rest, or it takes too long: what it has at hand is read again elsewhere */
			(void)kill(s->boxes[i].pid, SIGTERM);
			break;
		case LEASES_OVER:
			(void)kill(s->boxes[i].pid, SIGKILL);
			break;
		}
	}
}

/* A process that said nothing for longer than its longest command hangs, in a loop of libetpan's for instance. */
static void
end_overdue(struct supervisor *s, int64_t now_ms)
{
	for (size_t i = 0; i < s->n; i++) {
		if (s->boxes[i].pid == 0 || now_ms < atomic_load(&s->slots[i].overdue_ms))
			continue;
		log_event(LOG_ERROR, "mailbox", NULL, "mailbox %s: its process hangs and is ended",
		    s->im->conf->mailboxes[i].name);
		(void)kill(s->boxes[i].pid, SIGKILL);
		atomic_store(&s->slots[i].overdue_ms, now_ms + START_PATIENCE_MS);
	}
}

static void
say_read_again(struct supervisor *s)
{
	for (size_t i = 0; i < s->n; i++) {
		struct mailbox *b = &s->boxes[i];

		if (b->said[0] == '\0' || b->pid == 0 || atomic_load(&s->slots[i].watching) == 0)
			continue;
		log_event(LOG_NOTICE, "mailbox", NULL, "mailbox %s: it is read again", s->im->conf->mailboxes[i].name);
		b->said[0] = '\0';
		s->report_ms = 0;
	}
}

static size_t
running(const struct supervisor *s)
{
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++)
		n += s->boxes[i].pid != 0;
	return n;
}

/* Whatever they are at, they lose nothing. */
static void
stop_all(struct supervisor *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->boxes[i].pid != 0)
			(void)kill(s->boxes[i].pid, SIGTERM);
	for (size_t i = 0; i < s->n; i++) {
		if (s->boxes[i].pid != 0)
			while (waitpid(s->boxes[i].pid, NULL, 0) < 0 && errno == EINTR)
				;
		s->boxes[i].pid = 0;
		(void)leases_ended(s->leases, i);
		atomic_store(&s->slots[i].watching, 0);
	}
}

/* -- the life ------------------------------------------------------------------------------------------------------ */

static void
write_report(struct supervisor *s, bool last)
{
	struct mh_err err = { 0 };
	const int64_t now_ms = clock_monotonic_ms();

	if (!last && s->report_ms != 0 && now_ms < s->report_ms)
		return;
	s->report_ms = now_ms + REPORT_EVERY_MS;
	if (report_write(s->im->conf, s->slots, clock_now(), &err) != MH_OK)
		log_event(LOG_WARNING, "report", NULL, "%s", err.text);
}

static bool
same(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static void
reload(struct supervisor *s, const char *config)
{
	struct imap fresh = { 0 };
	struct mh_err err = { 0 };

	s->reload = false;
	enum mh_status status = imap_load(&fresh, config, &err);
	if (status == MH_OK &&
	    (!same(fresh.conf->state_dir, s->im->conf->state_dir) || !same(fresh.conf->ledger, s->im->conf->ledger) ||
		!same(fresh.conf->node, s->im->conf->node)))
		status = mh_fail(&err, MH_BAD, "state_dir, ledger or node is another: restart instead");
	if (status != MH_OK) {
		log_event(LOG_ERROR, "reload", NULL, "not reloaded: %s", err.text);
		imap_release(&fresh);
		return;
	}
	stop_all(s);
	write_report(s, true); /* the new ones begin where the old ones were */
	drop_boxes(s);
	const int told = s->im->told;
	imap_release(s->im);
	fresh.told = told;
	*s->im = fresh;
	imap_aim(s->im);
	log_open(s->im->conf, LOG_JOURNAL_SOCKET);
	status = make_boxes(s, &err);
	if (status == MH_OK)
		status = leases_renew(s->leases, s->im, s->slots, &err);
	if (status != MH_OK) {
		log_event(LOG_ERROR, "reload", NULL, "%s", err.text);
		s->stopping = true;
	}
	log_event(LOG_NOTICE, "reload", NULL, "the configuration was read again");
}

static void
hear_signals(struct supervisor *s)
{
	struct signalfd_siginfo info;

	while (read(s->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			s->reload = true;
		else if (info.ssi_signo != SIGCHLD)
			s->stopping = true;
	}
}

/* Starts whose time has come; how long until the next. */
static int64_t
start_due(struct supervisor *s, int64_t now_ms)
{
	int64_t wait_ms = LOOK_MS;

	for (size_t i = 0; i < s->n; i++) {
		struct mailbox *b = &s->boxes[i];

		if (b->pid != 0 || b->done || !leases_may_watch(s->leases, i))
			continue;
		if (b->start_ms <= now_ms)
			start(s, i);
		else if (b->start_ms - now_ms < wait_ms)
			wait_ms = b->start_ms - now_ms;
	}
	return wait_ms;
}

static void
tell_manager(struct supervisor *s)
{
	size_t watching = 0;

	for (size_t i = 0; i < s->n; i++)
		watching += atomic_load(&s->slots[i].watching) != 0;
	if (s->leases == NULL)
		notify_status(&s->notify, "%zu of %zu mailboxes are watched", watching, s->n);
	else
		notify_status(&s->notify, "%zu of %zu mailboxes are watched, %zu by other nodes", watching, s->n,
		    leases_elsewhere(s->leases));
	if (watching != s->watching)
		s->report_ms = 0;
	s->watching = watching;
	notify_progress(&s->notify); /* whoever hangs was ended, so the whole does not */
}

/* With once: mailboxes that another node watches are read there. */
static void
settle(struct supervisor *s)
{
	for (size_t i = 0; i < s->n && s->once; i++) {
		bool known = false;

		if (s->boxes[i].done || s->boxes[i].pid != 0 || !leases_not_ours(s->leases, i, &known))
			continue;
		s->boxes[i].done = true;
		s->boxes[i].code = known ? CLI_OK : CLI_LATER;
	}
}

static bool
finished(const struct supervisor *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (!s->boxes[i].done)
			return false;
	return s->once;
}

static void
wait_and_hear(struct supervisor *s, int64_t wait_ms)
{
	struct pollfd p[2 + LEASES_FDS] = { { .fd = s->signals, .events = POLLIN },
		{ .fd = s->im->told, .events = POLLIN } };
	const size_t more = leases_poll(s->leases, p + 2, &wait_ms);

	(void)poll(p, 2 + more, notify_sleep_ms(&s->notify, (int)wait_ms));
	hear_signals(s);
	if (p[1].revents != 0)
		(void)eventfd_read(s->im->told, &(eventfd_t){ 0 });
	leases_hear(s->leases);
}

/* Mailboxes that nodes share end with the message at hand, so that the next node has nothing to do twice. */
static void
leave_all(struct supervisor *s)
{
	const int64_t until_ms = clock_monotonic_ms() + LEAVE_MS;

	if (s->leases == NULL)
		return;
	leases_leave_all(s->leases);
	for (;;) {
		reap(s);
		end_for_leases(s);
		if (running(s) == 0 || clock_monotonic_ms() >= until_ms)
			break;
		wait_and_hear(s, 50);
	}
}

static void
live(struct supervisor *s, const char *config)
{
	while (!s->stopping) {
		reap(s);
		if (s->reload)
			reload(s, config);
		settle(s);
		if (finished(s) || s->stopping)
			break;
		const int64_t now_ms = clock_monotonic_ms();
		end_for_leases(s);
		end_overdue(s, now_ms);
		say_read_again(s);
		tell_manager(s);
		write_report(s, false);
		wait_and_hear(s, start_due(s, now_ms));
	}
	notify_stopping(&s->notify);
	s->stopping = true;
	leave_all(s);
	if (running(s) > 0)
		stop_all(s);
	leases_close(s->leases);
	write_report(s, true);
}

/* With once: 0 where every mailbox was read to its end. */
static int
code_of(const struct supervisor *s)
{
	int code = CLI_OK;

	for (size_t i = 0; i < s->n && s->once; i++) {
		if (!s->boxes[i].done || s->boxes[i].code == CLI_LATER)
			code = code == CLI_OK ? CLI_LATER : code;
		else if (s->boxes[i].code != CLI_OK)
			code = CLI_ATTENTION;
	}
	return code;
}

int
supervise(struct imap *im, const char *config, bool once)
{
	im->told = -1;
	struct supervisor s = { .im = im, .once = once, .signals = -1, .lock = -1 };
	struct mh_err err = { 0 };
	int code = CLI_LATER;

	enum mh_status status = take_lock(&s, &err);
	if (status == MH_OK)
		status = open_signals(&s, &err);
	if (status == MH_OK)
		status = make_boxes(&s, &err);
	if (status == MH_OK)
		status = leases_new(im, s.slots, once, &s.before, &s.leases, &err);
	if (status == MH_OK) {
		if (notify_open(&s.notify, &err) != MH_OK)
			log_event(LOG_WARNING, "notify", NULL, "%s", err.text);
		if (s.n == 0)
			log_event(LOG_NOTICE, "mailbox", NULL, "no mailbox is configured");
		notify_ready(&s.notify);
		live(&s, config);
		code = code_of(&s);
		notify_close(&s.notify);
	} else if (status == MH_SKIP && once) {
		code = CLI_OK; /* whoever watches them reads them */
	} else {
		log_event(LOG_ERROR, "start", NULL, "%s", err.text);
	}
	leases_free(s.leases);
	drop_boxes(&s);
	if (s.signals >= 0)
		(void)close(s.signals);
	if (im->told >= 0)
		(void)close(im->told);
	if (s.lock >= 0)
		(void)close(s.lock);
	return code;
}
