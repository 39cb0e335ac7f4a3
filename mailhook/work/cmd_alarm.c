/* cmd_alarm.c: status --alarm, for a timer: silent while the work goes on, else one sentence, and a mail a day. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/fd.h"
#include "mailhook/intake.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/ledger/refusals.h"
#include "mailhook/work/nodes_look.h"
#include "mailhook/work/standstill.h"
#include "mailhook/work/state.h"

#define AGAIN_S 86400     /* what lasts is mailed once a day */
#define SENDMAIL_MS 60000 /* a mail server that takes longer to queue a mail has not taken it */
#define MAX_ADDRESS 254   /* RFC 5321 4.5.3.1.3, without the angle brackets */
#define DEFAULT_SENDMAIL "/usr/sbin/sendmail"

struct alarm {
	char sentence[300]; /* "": all is well */
};

/* -- is there something to say ------------------------------------------------------------------------------------- */

static void sound(struct alarm *a, const char *fmt, ...) MH_PRINTF(2, 3);

/* The first trouble is the one that is told. */
static void
sound(struct alarm *a, const char *fmt, ...)
{
	va_list ap;

	if (a->sentence[0] != '\0')
		return;
	va_start(ap, fmt);
	(void)vsnprintf(a->sentence, sizeof(a->sentence), fmt, ap);
	va_end(ap);
}

static void
look_at_intake(const struct conf *conf, bool worker, struct alarm *a)
{
	struct intake_list list = { 0 };
	struct mh_err err = { 0 };
	struct stat st;
	char path[4096];

	if (access(conf->intake_dir, F_OK) != 0 && errno == ENOENT)
		return; /* nothing has come yet */
	const int64_t now = clock_now();
	if (intake_scan(conf->intake_dir, now, 1, &list, &err) != MH_OK) {
		sound(a, "%s", err.text);
		return;
	}
	const int n = list.n == 0 ? 0 : snprintf(path, sizeof(path), "%s/%s", conf->intake_dir, list.names[0]);
	intake_list_release(&list);
	if (n <= 0 || (size_t)n >= sizeof(path) || lstat(path, &st) != 0)
		return;
	const int64_t age = now - st.st_mtim.tv_sec;
	if (!worker && age > STANDSTILL_NOBODY_S)
		sound(a, "no worker runs, and a message waits in the intake for %" PRId64 " minutes", age / 60);
	else if (age > STANDSTILL_WORKER_S)
		sound(a, "the worker runs, and a message waits in the intake for %" PRId64 " minutes", age / 60);
}

/* Its mail is kept and not read, until a person mends it. */
static void
look_at_definitions(const struct conf *conf, struct alarm *a)
{
	struct state s = { 0 };

	state_look_at_definitions(conf->definitions_dir, &s);
	if (s.wrong > 0)
		sound(a, "a definition is wrong, and nobody reads its mail: %.200s", s.wrong_first);
}

/* A job that is due as ever, and that nobody who runs can do. */
static void
look_at_refusals(struct work *w, struct arena *arena, struct alarm *a)
{
	struct mh_err err = { 0 };
	struct refusal_row r;
	int64_t now = 0, case_id = 0;
	char shown[200];
	enum mh_status status = w->db->engine->now(w->db, &now, &err);

	if (status == MH_OK)
		status = ledger_refused_by_all(w->db, now, arena, &case_id, &r, &err);
	if (status == MH_OK)
		sound(a, "every node leaves a job of case %" PRId64 " to the others; %s: %s", case_id, r.node,
		    mh_escape(shown, sizeof(shown), span_of(r.why)));
	else if (status != MH_SKIP)
		sound(a, "%s", err.text);
}

/* Who died cannot say so itself: the others do. Who stopped in order is missed where it left mail. */
static void
look_at_nodes(const struct node_looks *nodes, struct alarm *a)
{
	for (size_t i = 0; i < nodes->n; i++) {
		const struct node_look *n = &nodes->items[i];

		if (n->ago_s <= STANDSTILL_NOBODY_S || n->state == NODE_RUNS)
			continue;
		if (n->state == NODE_SILENT)
			sound(a, "node \"%s\" gave no sign of life for %" PRId64 " minutes", n->name, n->ago_s / 60);
		else if (n->intake > 0)
			sound(a,
			    "the worker of node \"%s\" stopped %" PRId64 " minutes ago, and mail waits in its intake",
			    n->name, n->ago_s / 60);
	}
}

static void
look_at_ledger(struct work *w, bool worker, struct alarm *a)
{
	const int64_t now = clock_now();
	struct mh_err err = { 0 };
	struct arena arena;
	struct node_looks nodes = { 0 };
	char jobs[STANDSTILL_WORDS], pause[STANDSTILL_WORDS];
	enum mh_status status = work_open_ledger(w, false, &err);

	if (status == MH_SKIP)
		return; /* nothing was taken yet */
	arena_init(&arena, WORK_ARENA_BYTES);
	if (status == MH_OK)
		status = nodes_look(w, &arena, &nodes, &err);
	if (status == MH_OK)
		status = standstill_jobs(w, worker, !worker && nodes_work(&nodes), now, jobs, &err);
	if (status == MH_OK)
		status = standstill_pause(w, now, pause, &err);
	if (status != MH_OK)
		sound(a, "%s", err.text);
	else if (jobs[0] != '\0' || pause[0] != '\0')
		sound(a, "%s", jobs[0] != '\0' ? jobs : pause);
	look_at_nodes(&nodes, a);
	if (status == MH_OK)
		look_at_refusals(w, &arena, a);
	arena_release(&arena);
}

/* -- the mail ------------------------------------------------------------------------------------------------------ */

/* One address that is no option to anybody and needs no quoting. */
static bool
is_address(const char *s)
{
	return span_is_graphic(span_of(s)) && strpbrk(s, "<>()[],;:\\\"|`") == NULL && strlen(s) <= MAX_ADDRESS &&
	       s[0] != '-';
}

/* When the last mail went; 0: none. */
static int64_t
mailed_at(int state)
{
	MH_AUTO(drop_fd) int fd = openat(state, "alarm", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	char text[MH_TIME_TEXT];
	int64_t when = 0;
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (n <= 0 || time_read((struct mh_span){ text, (size_t)n }, &when, NULL) != MH_OK)
		return 0;
	return when;
}

/* Where it cannot be kept, the mail goes again at the next look: too many are better than none. */
static void
keep_mailed_at(int state, int64_t when)
{
	MH_AUTO(drop_fd) int fd = openat(state, "alarm", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	char text[MH_TIME_TEXT];

	if (fd < 0 || write(fd, time_text(text, when), MH_TIME_TEXT - 1) != MH_TIME_TEXT - 1)
		work_log("when the alarm was mailed cannot be kept");
}

/* The mail as a file at its start: no pipe, so nobody waits for anybody. -1: none. */
static int
mail_file(const char *to, const struct alarm *a)
{
	char host[64];
	struct buf mail;
	int fd = memfd_create("alarm", MFD_CLOEXEC);

	if (gethostname(host, sizeof(host)) != 0)
		(void)snprintf(host, sizeof(host), "localhost");
	host[sizeof(host) - 1] = '\0';
	buf_init(&mail, 4096);
	buf_printf(&mail,
	    "From: mailhook <mailhook@%s>\nTo: %s\nSubject: mailhook on %s does not work\n"
	    "Auto-Submitted: auto-generated\n\n%s.\n\nOn that machine, mailhook status says more. "
	    "This mail comes once a day until the work goes on.\n",
	    host, to, host, a->sentence);
	if (fd >= 0 && (!buf_ok(&mail) || !fd_write_all(fd, buf_span(&mail)) || lseek(fd, 0, SEEK_SET) != 0)) {
		(void)close(fd);
		fd = -1;
	}
	buf_release(&mail);
	return fd;
}

/* Its wait status; -1 where it had to be killed. */
static int
await(pid_t pid)
{
	MH_AUTO(drop_fd) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	int status = -1;

	if (pidfd < 0 || poll(&ended, 1, SENDMAIL_MS) <= 0) {
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
		return -1;
	}
	return waitpid(pid, &status, 0) == pid ? status : -1;
}

static bool
send_mail(const struct options *o, const struct alarm *a)
{
	const char *program = o->sendmail == NULL ? DEFAULT_SENDMAIL : o->sendmail;
	/* an empty sender: nobody could act on a bounce */
	const char *argv[] = { program, "-i", "-f", "<>", "--", o->mail, NULL };
	char *env[] = { (char[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" }, NULL };
	MH_AUTO(drop_fd) int in = mail_file(o->mail, a);
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;

	if (in < 0 || posix_spawn_file_actions_init(&actions) != 0) {
		work_log("no memory to mail the alarm");
		return false;
	}
	int number = posix_spawn_file_actions_adddup2(&actions, in, 0);
	if (number == 0)
		number = posix_spawn(&pid, program, &actions, NULL, (char *const *)argv, env);
	(void)posix_spawn_file_actions_destroy(&actions);
	if (number != 0) {
		work_log("cannot run %s: %s", program, strerrordesc_np(number));
		return false;
	}
	const int status = await(pid);
	if (status != 0)
		work_log("%s did not take the alarm", program);
	return status == 0;
}

static void
mail_once_a_day(const struct options *o, const char *state_dir, const struct alarm *a)
{
	MH_AUTO(drop_fd) int state = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int64_t now = clock_now(), last = state < 0 ? 0 : mailed_at(state);

	if (last != 0 && last <= now && now - last < AGAIN_S)
		return;
	if (send_mail(o, a) && state >= 0)
		keep_mailed_at(state, now);
}

static void
forget_mail(const char *state_dir)
{
	MH_AUTO(drop_fd) int state = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (state >= 0)
		(void)unlinkat(state, "alarm", 0);
}

int
alarm_command(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct alarm a = { 0 };

	if (o->mail != NULL && !is_address(o->mail)) {
		work_log("status: --mail takes one plain address");
		return EXIT_USAGE;
	}
	if (o->sendmail != NULL && o->sendmail[0] != '/') {
		work_log("status: --sendmail takes an absolute path");
		return EXIT_USAGE;
	}
	if (work_load(&w, o->config, &err) != MH_OK)
		sound(&a, "nothing is done: %s", err.text);
	const char *state_dir = w.conf == NULL ? CONF_DEFAULT_STATE_DIR : w.conf->state_dir;
	if (w.conf != NULL && a.sentence[0] == '\0') {
		const bool worker = lock_held(state_dir);

		look_at_intake(w.conf, worker, &a);
		look_at_ledger(&w, worker, &a);
		look_at_definitions(w.conf, &a);
	}
	if (a.sentence[0] != '\0')
		work_log("%s", a.sentence);
	if (a.sentence[0] == '\0')
		forget_mail(state_dir);
	else if (o->mail != NULL)
		mail_once_a_day(o, state_dir, &a);
	work_release(&w);
	return a.sentence[0] == '\0' ? EXIT_OK : EXIT_ATTENTION;
}
