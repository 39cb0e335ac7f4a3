/* work_test.c: the whole worker on a state folder of its own: the loop, the lock, the intake, the commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/intake.h"
#include "mailhook/work/commands.h"
#include "tests/engines.h"
#include "tests/room.h"

#define WORK BUILD_DIR "/libexec/mailhook/mailhook-work"
#define CONF                                                                                                           \
	"action \"desk\" { program = \"@/desk\" role = \"ticket\" }\n"                                                 \
	"rule \"all\" { accounts = {\"*\"} do = {\"desk\"} }\n"
#define DESK "IFS= read -r q\necho \"$1\" >>@/log\necho '{\"outcome\":\"done\",\"summary\":\"did it\"}'\n"

static const char notice_mail[] =
    "From: \"Amazon Web Services, Inc.\" <no-reply-aws@amazon.com>\r\n"
    "To: ops@example.com\r\n"
    "Subject: [Action required] AWS IAM Identity Center (successor to AWS Single Sign-On) SCIM Access Token "
    "Approaching "
    "Expiration. [AWS Account: 123456789012]\r\n"
    "Date: Thu, 6 Nov 2025 08:00:00 +0000\r\n"
    "Message-ID: <%d@example.com>\r\n"
    "Content-Type: text/plain; charset=\"UTF-8\"\r\n"
    "X-SM-COMMUNICATION-TYPE: AWS_IAMIDENTITYCENTER_SCIM_BEARER_TOKEN_EXPIRY_NOTIFICATION\r\n\r\n"
    "Hello,\r\n\r\nThe SCIM access token used to automatically provision users and groups from your IdP to IAM "
    "Identity\r\n"
    "Center expires in 88 days on Tue Feb 03 04:05:06 UTC 2026.\r\n";

static void
put_raw(struct room *r, struct mh_span raw)
{
	char intake[128];
	struct mh_err err = { 0 };
	const struct envelope e = { .received = r->now };

	(void)snprintf(intake, sizeof(intake), "%s/state/intake", r->dir);
	if (intake_put(intake, raw, &e, &err) != MH_OK)
		fail_msg("%s", err.text);
}

static void
put_notice(struct room *r, int number)
{
	char mail[2048];
	const int n = snprintf(mail, sizeof(mail), notice_mail, number);

	put_raw(r, (struct mh_span){ mail, (size_t)n });
}

/* The program, with its output in the room's files "out" and "err". */
static pid_t
start(struct room *r, char *const argv[])
{
	char out[128], errors[128];
	const pid_t child = fork();

	assert_true(child >= 0);
	if (child > 0)
		return child;
	(void)snprintf(out, sizeof(out), "%s/out", r->dir);
	(void)snprintf(errors, sizeof(errors), "%s/err", r->dir);
	const int o = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	const int e = open(errors, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (dup2(o, 1) == 1 && dup2(e, 2) == 2)
		(void)execv(WORK, argv);
	_exit(126);
}

static int
ended(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int
run(struct room *r, const char *command, const char *arg)
{
	char *argv[] = { (char[]){ "mailhook-work" }, strdup(command), (char[]){ "--config" }, r->conf,
		arg == NULL ? NULL : strdup(arg), NULL };
	const int code = ended(start(r, argv));

	free(argv[1]);
	free(argv[4]);
	return code;
}

static bool
printed(struct room *r, const char *file, const char *part)
{
	char text[65536];

	room_read(r, file, text, sizeof(text));
	return strstr(text, part) != NULL;
}

static size_t
intake_holds(struct room *r, const char *end)
{
	char intake[128];
	size_t n = 0;
	const struct dirent *e;

	(void)snprintf(intake, sizeof(intake), "%s/state/intake", r->dir);
	DIR *d = opendir(intake);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		const size_t len = strlen(e->d_name), k = strlen(end);
		n += len > k && strcmp(e->d_name + len - k, end) == 0;
	}
	assert_int_equal(closedir(d), 0);
	return n;
}

static void
stage(struct room *r, const char *conf)
{
	room_open(r, conf);
	room_script(r, "desk", DESK);
}

/* -- run --once ---------------------------------------------------------------------------------------------------- */

static void
once_does_all(void **state)
{
	struct room r;

	(void)state;
	stage(&r, CONF);
	put_notice(&r, 1);
	put_notice(&r, 2);
	put_raw(&r, MH_LIT("Subject: lunch\r\n\r\nat noon?\r\n"));
	put_raw(&r, MH_LIT(""));
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_int_equal(intake_holds(&r, ".msg"), 0);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages"), 2);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases"), 1);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE state = 'done'"), 1);
	assert_int_equal(
	    room_count(&r, engines_server() ? "SELECT count(*) FROM messages WHERE position('\\x5343494d' IN raw) > 0"
					    : "SELECT count(*) FROM messages WHERE instr(raw, x'5343494d') > 0"),
	    2);
	put_notice(&r, 1);
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_int_equal(room_count(&r, "SELECT CAST(sum(copies) AS BIGINT) FROM messages"), 3);
	assert_true(printed(&r, "log", "run\n") && !printed(&r, "log", "run\nrun\n"));
	room_close(&r);
}

static void
makes_what_is_missing(void **state)
{
	struct room r;
	char path[128];
	struct stat st;

	(void)state;
	stage(&r, CONF);
	db_close(r.w.db);
	r.w.db = NULL;
	for (const char *const *p = (const char *const[]){ "ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.mark",
		 "shared.mark", NULL };
	     *p; p++) {
		(void)snprintf(path, sizeof(path), "%s/state/%s", r.dir, *p);
		(void)unlink(path);
	}
	(void)snprintf(path, sizeof(path), "%s/state/intake", r.dir);
	assert_int_equal(rmdir(path), 0);
	(void)snprintf(path, sizeof(path), "%s/state", r.dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	(void)snprintf(path, sizeof(path), "%s/state/ledger.db", r.dir);
	assert_int_equal(stat(path, &st), engines_server() ? -1 : 0);
	if (!engines_server())
		assert_int_equal(st.st_mode & 07777, 0600);
	room_close(&r);
}

static void
wrong_files_are_set_aside(void **state)
{
	struct room r;
	char path[160];

	(void)state;
	stage(&r, CONF);
	(void)snprintf(path, sizeof(path), "%s/state/intake/00000000000000000000000000000000.msg", r.dir);
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "no envelope\n", 12), 12);
	assert_int_equal(close(fd), 0);
	put_notice(&r, 1);
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_int_equal(intake_holds(&r, ".msg"), 0);
	assert_int_equal(intake_holds(&r, ".bad"), 1);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases"), 1);
	assert_int_equal(run(&r, "status", NULL), 1);
	assert_true(printed(&r, "out", "set aside   1 files"));
	room_close(&r);
}

/* The message comes when the worker has found nothing more and still holds the lock: who stores it starts no worker. */
struct late {
	struct room *room;
	int times;
};

static void
store_late(void *user)
{
	struct late *l = user;

	if (l->times++ == 0)
		put_notice(l->room, 1);
}

static void
no_wake_up_is_lost(void **state)
{
	struct room r;
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct late late = { .room = &r };
	bool right;

	(void)state;
	stage(&r, CONF);
	assert_int_equal(work_load(&w, r.conf, &err), MH_OK);
	assert_int_equal(work_read_definitions(&w, &right, &err), MH_OK);
	(void)snprintf(w.libexec, sizeof(w.libexec), "%s", r.w.libexec);
	assert_int_equal(work_open_ledger(&w, true, &err), MH_OK);
	const struct loop_options o = { .once = true, .config = r.conf, .before_unlock = store_late, .user = &late };
	assert_int_equal(loop_run(&w, &o), 0);
	assert_int_equal(late.times, 2); /* the second look, and the end */
	assert_int_equal(intake_holds(&r, ".msg"), 0);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE state = 'done'"), 1);
	work_release(&w);
	room_close(&r);
}

static void
second_worker_gives_way(void **state)
{
	struct room r;
	char path[128];

	(void)state;
	stage(&r, CONF);
	put_notice(&r, 1);
	(void)snprintf(path, sizeof(path), "%s/state/worker.lock", r.dir);
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	struct flock first = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &first), 0);
	assert_int_equal(run(&r, "run", "--once"), 0); /* a service does what we came for */
	assert_int_equal(intake_holds(&r, ".msg"), 1);
	assert_int_equal(run(&r, "run", NULL), 75);
	assert_true(printed(&r, "err", "another worker runs"));
	assert_int_equal(run(&r, "status", NULL), 0);
	assert_true(printed(&r, "out", "worker      runs"));

	first.l_type = F_UNLCK;
	assert_int_equal(fcntl(fd, F_OFD_SETLK, &first), 0);
	/* a look at the lock, as mailhook pipe takes it, is no worker */
	assert_int_equal(flock(fd, LOCK_UN), 0);
	assert_false(lock_held(r.w.conf->state_dir));
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_int_equal(intake_holds(&r, ".msg"), 0);
	assert_int_equal(close(fd), 0);
	room_close(&r);
}

/* Who says run --once after a pipe wants the work done, also where the worker that the pipe started has the lock. */
static void
once_waits_for_once(void **state)
{
	struct room r;
	char path[128];

	(void)state;
	stage(&r, CONF);
	put_notice(&r, 1);
	(void)snprintf(path, sizeof(path), "%s/state/worker.lock", r.dir);
	const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(flock(fd, LOCK_EX), 0);

	const pid_t holder = fork(); /* it shares the lock, and so lets go of it for both */
	if (holder == 0) {
		(void)poll(NULL, 0, 300);
		_exit(flock(fd, LOCK_UN) != 0);
	}
	assert_true(holder > 0);
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_int_equal(intake_holds(&r, ".msg"), 0);
	int status;
	assert_int_equal(waitpid(holder, &status, 0), holder);
	assert_int_equal(status, 0);
	assert_int_equal(close(fd), 0);
	room_close(&r);
}

/* The service must not be taken for one that lives on in whoever has the lock next. */
static void
killed_service_leaves_no_trace(void **state)
{
	struct room r;
	char *argv[] = { (char[]){ "mailhook-work" }, (char[]){ "run" }, (char[]){ "--config" }, NULL, NULL };

	(void)state;
	stage(&r, CONF);
	argv[3] = r.conf;
	const pid_t service = start(&r, argv);
	const int64_t until = clock_monotonic_ms() + 30000;
	while (!lock_is_service(r.w.conf->state_dir) && clock_monotonic_ms() < until)
		(void)poll(NULL, 0, 5);
	assert_true(lock_is_service(r.w.conf->state_dir));
	assert_int_equal(kill(service, SIGKILL), 0);
	assert_int_equal(ended(service), 128 + SIGKILL);
	assert_false(lock_is_service(r.w.conf->state_dir));
	room_close(&r);
}

static void
crashed_job_goes_on(void **state)
{
	struct room r;

	(void)state;
	stage(&r, CONF);
	(void)room_take(&r, &(struct say){ 0 }, NULL);
	/* a lease of a file's ledger ends with the worker's lock, whatever it says */
	(void)room_count(&r, engines_server()
				 ? "UPDATE jobs SET state = 'running', attempt = 1, started = created, due = NULL, "
				   "lease_owner = 'elsewhere/1', lease_until = '2000-01-01T00:00:00Z' RETURNING id"
				 : "UPDATE jobs SET state = 'running', attempt = 1, started = created, due = NULL, "
				   "lease_owner = 'elsewhere/1', lease_until = '2999-01-01T00:00:00Z' RETURNING id");
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_string_equal(room_text(&r, "SELECT state || attempt FROM jobs"), "done2");
	room_close(&r);
}

/* -- trouble ------------------------------------------------------------------------------------------------------- */

static void
newer_ledger_keeps_the_intake(void **state)
{
	struct room r;
	struct mh_err err = { 0 };

	(void)state;
	stage(&r, CONF);
	put_notice(&r, 1);
	assert_int_equal(ledger_meta_set(r.w.db, "schema", "2", &err), MH_OK);
	assert_int_equal(run(&r, "run", "--once"), 2);
	assert_true(printed(&r, "err", "schema 2 is newer"));
	assert_int_equal(intake_holds(&r, ".msg"), 1);
	put_notice(&r, 2); /* the intake can be used */
	assert_int_equal(ledger_meta_set(r.w.db, "schema", "1", &err), MH_OK);
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages"), 2);
	room_close(&r);
}

static void
broken_conf_keeps_the_intake(void **state)
{
	struct room r;
	FILE *f;

	(void)state;
	stage(&r, CONF);
	put_notice(&r, 1);
	f = fopen(r.conf, "ae");
	assert_non_null(f);
	assert_true(fputs("nonsense = 7\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	const char *const commands[] = { "run", "check", "list", "status" };
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(run(&r, commands[i], NULL), 2);
		assert_true(printed(&r, "err", "mailhook.conf:"));
	}
	assert_int_equal(intake_holds(&r, ".msg"), 1);
	assert_int_equal(unlink(r.conf), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(run(&r, commands[i], NULL), 2);
		assert_true(printed(&r, "err", "mailhook.conf: "));
	}
	room_close(&r);
}

static void
full_disk_is_later(void **state)
{
	struct room r;
	struct rlimit before, small;

	(void)state;
	if (engines_server()) /* the disk is the server's */
		return;
	stage(&r, CONF);
	for (int i = 0; i < 40; i++)
		put_notice(&r, i);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small = before;
	small.rlim_cur = 48 << 10; /* the new log outgrows it */
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	const int code = run(&r, "run", "--once");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(code, 75);
	assert_true(intake_holds(&r, ".msg") > 0);
	assert_int_equal((int64_t)intake_holds(&r, ".msg") + room_count(&r, "SELECT count(*) FROM messages") >= 40, 1);
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_int_equal(intake_holds(&r, ".msg"), 0);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages"), 40);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM cases"), 1);
	assert_true(printed(&r, "log", "run\n") && !printed(&r, "log", "run\nrun\n"));
	room_close(&r);
}

/* -- run ----------------------------------------------------------------------------------------------------------- */

/* Waits until the room's ledger answers with that number; the test's own timeout is the limit. */
static void
until(struct room *r, const char *sql, int64_t wanted)
{
	const int64_t give_up = clock_monotonic_ms() + 30000;

	while (room_count(r, sql) != wanted) {
		if (clock_monotonic_ms() > give_up)
			fail_msg("%s never came to %lld", sql, (long long)wanted);
		(void)poll(NULL, 0, 5);
	}
}

static void
wakes_at_once(void **state)
{
	struct room r;

	(void)state;
	stage(&r, CONF);
	room_script(&r, "desk",
	    "IFS= read -r q\nif [ -f @/up ]; then echo '{\"outcome\":\"done\",\"summary\":\"x\"}'; else\n"
	    "echo '{\"outcome\":\"retry\",\"summary\":\"down\",\"retry_after_s\":3600}'; fi\n");
	char *argv[] = { (char[]){ "mailhook-work" }, (char[]){ "run" }, (char[]){ "--config" }, r.conf, NULL };
	const pid_t worker = start(&r, argv);

	put_notice(&r, 1); /* for new mail */
	until(&r, "SELECT count(*) FROM jobs WHERE state = 'queued' AND attempt = 1", 1);
	room_script(&r, "up", "");
	room_set_time(&r, r.now + 3600); /* for what is due */
	until(&r, "SELECT count(*) FROM jobs WHERE state = 'done'", 1);
	assert_int_equal(run(&r, "close", "1"), 0); /* for a person */
	assert_true(printed(&r, "out", "case 1 is closed\n"));
	until(&r, "SELECT count(*) FROM jobs WHERE state = 'done'", 2);
	assert_int_equal(kill(worker, SIGHUP), 0);
	put_notice(&r, 2);
	until(&r, "SELECT count(*) FROM messages", 2);
	assert_int_equal(kill(worker, SIGTERM), 0);
	assert_int_equal(ended(worker), 0);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE state = 'running'"), 0);
	room_close(&r);
}

static void
stops_what_runs(void **state)
{
	struct room r;

	(void)state;
	stage(&r, CONF);
	room_script(&r, "desk", "while IFS= read -r q; do :; done\n"); /* until it is killed */
	char *argv[] = { (char[]){ "mailhook-work" }, (char[]){ "run" }, (char[]){ "--config" }, r.conf, NULL };
	const pid_t worker = start(&r, argv);
	put_notice(&r, 1);
	until(&r, "SELECT count(*) FROM jobs WHERE state = 'running'", 1);
	assert_int_equal(kill(worker, SIGTERM), 0);
	until(&r, "SELECT count(*) FROM jobs WHERE state = 'running'", 1);
	(void)poll(NULL, 0, 50);
	assert_int_equal(kill(worker, SIGTERM), 0); /* the second time at once */
	assert_int_equal(ended(worker), 0);
	assert_string_equal(room_text(&r, "SELECT state || attempt FROM jobs"), "queued1");
	room_close(&r);
}

/* -- commands ------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *name, *command, *arg;
	int code;
	const char *file, *part;
} command_rows[] = {
	{ "list", "list", NULL, 0, "out", "2026-02-03T04:05:06Z" },
	{ "list as JSON", "list", "--json", 0, "out", "\"account\":\"123456789012\"" },
	{ "show by number", "show", "1", 0, "out", "aws.identity-center.scim-token" },
	{ "show says why a job waits", "show", "1", 0, "out", "needs a verified notice, and this case is unverified" },
	{ "show without a case", "show", NULL, 2, "err", "needs a CASE" },
	{ "show of none", "show", "7", 2, "err", "no case 7: 'mailhook list' shows those that there are" },
	{ "show of nonsense", "show", "../x", 2, "err", "is no case: give its number" },
	{ "an unknown option", "show", "--frob", 2, "err", "unknown option" },
	{ "status", "status", NULL, 0, "out", "cases       1 open" },
	{ "status as JSON", "status", "--json", 0, "out", "\"cases_open\":1" },
	{ "check names what no rule takes", "check", NULL, 1, "err",
	    "kind aws.identity-center.scim-token: no rule takes it for" },
	{ "check names a rule that is never reached", "check", NULL, 1, "err", "rule \"late\" is never reached" },
	{ "check names a mailbox whose secret is missing", "check", NULL, 1, "out", "mailbox ops: not fit: " },
	{ "check names wrong lines of the accounts file", "check", NULL, 1, "err", "/accounts:2: no account" },
	{ "and all of them", "check", NULL, 1, "err", "/accounts:3: account 42 has 2 digits, not 12" },
	{ "check asks the actions", "check", NULL, 1, "out", "action desk: fit: did it" },
	{ "check shows unused actions", "check", NULL, 1, "out", "action spare: no rule uses it" },
	{ "retry of nothing", "retry", "1", 2, "err", "no job has failed" },
	{ "approve", "approve", "1", 0, "out", "case 1 is approved" },
	{ "close", "close", "1", 0, "out", "case 1 is closed" },
	{ "close again", "close", "1", 2, "err", "was closed already" },
	{ "approve what is closed", "approve", "1", 2, "err", "there is nothing to approve" },
	{ "closed cases are not listed", "list", "--all", 0, "out", "closed" },
};

static void
commands_answer(void **state)
{
	struct room r;

	(void)state;
	stage(&r,
	    "accounts_file = \"@/accounts\"\n"
	    "action \"desk\" { program = \"@/desk\" role = \"ticket\" }\naction \"turn\" { program = \"@/desk\" }\n"
	    "action \"spare\" { program = \"@/desk\" }\naction \"page\" { program = \"@/desk\" }\n"
	    "escalate \"boss\" { after = \"300d\" do = {\"page\"} }\n"
	    "rule \"mine\" { accounts = {\"1234*\"} do = {\"desk\", \"turn\"} }\n"
	    "rule \"late\" { accounts = {\"123456789012\"} do = {\"desk\"} }\n"
	    "mailbox \"ops\" { url = \"imaps://imap.example.com/INBOX\" user = \"ops\" password_command = "
	    "\"/no/such/program\" }\n");
	room_script(&r, "accounts", ",nobody\n42,zeros\n123456789012,Payments\n"); /* below the line of a script */
	assert_int_equal(run(&r, "list", NULL), 0);
	put_notice(&r, 1);
	assert_int_equal(run(&r, "run", "--once"), 0);
	for (size_t i = 0; i < sizeof(command_rows) / sizeof(command_rows[0]); i++) {
		const int code = run(&r, command_rows[i].command, command_rows[i].arg);
		if (code != command_rows[i].code)
			fail_msg("%s: exit code %d", command_rows[i].name, code);
		if (!printed(&r, command_rows[i].file, command_rows[i].part))
			fail_msg("%s: \"%s\" was not said", command_rows[i].name, command_rows[i].part);
	}
	assert_int_equal(run(&r, "check", NULL), 1);
	assert_true(printed(&r, "out", "action page: fit"));
	assert_false(printed(&r, "out", "action page: no rule uses it")); /* an escalation does */
	room_close(&r);
}

/* -- check: rules ---------------------------------------------------------------------------------------------------- */

#define CHECK "accounts_file = \"@/accounts\"\naction \"desk\" { program = \"@/desk\" role = \"ticket\" }\n"
#define REST "rule \"rest\" { order = 90 do = {\"desk\"} }\n"
#define LIST "111111111111,,,production\n222222222222,,,production\n333333333333,,,test\n"

static const struct {
	const char *name, *conf, *accounts; /* accounts NULL: there is no such file */
	int code;
	const char *part; /* on stderr */
} rule_rows[] = {
	{ "all is well", CHECK "rule \"live\" { environments = {\"production\"} do = {\"desk\"} }\n" REST, LIST, 0,
	    "" },
	{ "the accounts file is missing", CHECK REST, NULL, 1, "accounts: No such file or directory" },
	{ "an environment of no account", CHECK "rule \"live\" { environments = {\"prod\"} do = {\"desk\"} }\n" REST,
	    LIST, 1, "rule \"live\" is never reached: no account of" },
	{ "its start is one", CHECK "rule \"live\" { environments = {\"prod*\"} do = {\"desk\"} }\n" REST, LIST, 0,
	    "" },
	{ "an environment of none of its accounts",
	    CHECK "rule \"live\" { environments = {\"test\"} accounts = {\"2*\"} do = {\"desk\"} }\n" REST, LIST, 1,
	    "rule \"live\" is never reached: no account of" },
	{ "behind a rule of the same environment",
	    CHECK "rule \"one\" { environments = {\"production\"} do = {\"desk\"} }\n"
		  "rule \"two\" { environments = {\"production\"} do = {\"desk\"} }\n" REST,
	    LIST, 1, "rule \"two\" is never reached: rule \"one\" takes all" },
	{ "behind a rule of another environment",
	    CHECK "rule \"one\" { environments = {\"test\"} do = {\"desk\"} }\n"
		  "rule \"two\" { environments = {\"production\"} do = {\"desk\"} }\n" REST,
	    LIST, 0, "" },
	{ "behind a rule of the same environment for other kinds",
	    CHECK "rule \"one\" { kinds = {\"aws.acm.*\"} environments = {\"production\"} do = {\"desk\"} }\n"
		  "rule \"two\" { environments = {\"production\"} do = {\"desk\"} }\n" REST,
	    LIST, 0, "" },
	{ "a rule of all environments behind one of some",
	    CHECK "rule \"one\" { environments = {\"production\"} do = {\"desk\"} }\n" REST, LIST, 0, "" },
	{ "an account that a rule of its environment takes",
	    CHECK "rule \"one\" { environments = {\"test\"} do = {\"desk\"} }\n"
		  "rule \"two\" { accounts = {\"333333333333\"} do = {\"desk\"} }\n" REST,
	    LIST, 1, "rule \"two\" is never reached: rule \"one\" takes all" },
	{ "two accounts, of which a rule takes one",
	    CHECK "rule \"one\" { environments = {\"test\"} do = {\"desk\"} }\n"
		  "rule \"two\" { accounts = {\"333333333333\", \"444444444444\"} do = {\"desk\"} }\n" REST,
	    LIST, 0, "" },
	{ "the accounts of an environment, one by one",
	    CHECK "rule \"one\" { accounts = {\"111111111111\"} do = {\"desk\"} }\n"
		  "rule \"two\" { accounts = {\"222222222222\"} do = {\"desk\"} }\n"
		  "rule \"live\" { environments = {\"production\"} do = {\"desk\"} }\n" REST,
	    LIST, 1, "rule \"live\" is never reached: rules before it take each account" },
	{ "kinds only for accounts of an environment",
	    CHECK "rule \"live\" { environments = {\"production\"} do = {\"desk\"} }\n", LIST, 1,
	    "kind unrecognised: no rule takes it for accounts that no rule names" },
};

static void
check_looks_at_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rule_rows) / sizeof(rule_rows[0]); i++) {
		struct room r;

		stage(&r, rule_rows[i].conf);
		if (rule_rows[i].accounts != NULL)
			room_script(&r, "accounts", rule_rows[i].accounts);
		const int code = run(&r, "check", NULL);
		if (code != rule_rows[i].code || !printed(&r, "err", rule_rows[i].part) ||
		    (code == 0 && printed(&r, "err", "mailhook"))) {
			char text[4096];
			room_read(&r, "err", text, sizeof(text));
			fail_msg("%s: exit code %d, %s", rule_rows[i].name, code, text);
		}
		room_close(&r);
	}
}

/* An effect for anybody's account is worth a word, and no failure: somebody may mean it. */
static void
check_tells_of_effects_for_anybody(void **state)
{
#define TURN CHECK "action \"turn\" { program = \"@/desk\" }\n"
	static const struct {
		const char *name, *conf, *part; /* on stdout; NULL: neither of the two words */
	} effects[] = {
		{ "an effect, and all accounts", TURN "rule \"all\" { do = {\"desk\", \"turn\"} }\n",
		    "rule all: takes every account, and action turn changes something" },
		{ "all by a star", TURN "rule \"all\" { accounts = {\"*\"} do = {\"turn\"} }\n",
		    "rule all: takes every account, and action turn" },
		{ "one kind", TURN "rule \"acm\" { kinds = {\"aws.acm.*\"} do = {\"turn\"} }\n" REST,
		    "rule acm: takes every account" },
		{ "its accounts", TURN "rule \"one\" { accounts = {\"111111111111\"} do = {\"turn\"} }\n" REST, NULL },
		{ "its environments", TURN "rule \"live\" { environments = {\"production\"} do = {\"turn\"} }\n" REST,
		    NULL },
		{ "a kind that AWS sends no mail about",
		    TURN "rule \"own\" { kinds = {\"github.token\"} do = {\"turn\"} }\n" REST, NULL },
		{ "no effect", CHECK REST, NULL },
		{ "an escalation", TURN "escalate \"late\" { after = 1d do = {\"turn\"} }\n" REST,
		    "escalate late: takes every account, and action turn" },
		{ "an escalation of a rule",
		    TURN "escalate \"late\" { after = 1d rules = {\"rest\"} do = {\"turn\"} }\n" REST, NULL },
		{ "an effect that needs no proof",
		    CHECK "action \"turn\" { program = \"@/desk\" needs = \"unverified\" }\n"
			  "rule \"one\" { accounts = {\"111111111111\"} do = {\"turn\"} }\n" REST,
		    "action turn: needs no proof" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		struct room r;

		stage(&r, effects[i].conf);
		room_script(&r, "accounts", LIST);
		if (run(&r, "check", NULL) != 0)
			fail_msg("%s: it fails", effects[i].name);
		if (effects[i].part != NULL && !printed(&r, "out", effects[i].part))
			fail_msg("%s: it does not say so", effects[i].name);
		if (effects[i].part == NULL &&
		    (printed(&r, "out", "takes every account") || printed(&r, "out", "needs no proof")))
			fail_msg("%s: it warns", effects[i].name);
		room_close(&r);
	}
}

/* What an action tells when it is checked is shown, and kept for its case where there is a ledger. */
static void
check_hears_of_credentials(void **state)
{
	struct room r;

	(void)state;
	stage(&r, CONF);
	room_script(&r, "desk",
	    "IFS= read -r q\necho '{\"credential\":{\"name\":\"API token\",\"expires\":\"2025-11-20\"}}'\n"
	    "echo '{\"credential\":{\"name\":\"key\",\"expires\":null}}'\necho "
	    "'{\"outcome\":\"done\",\"summary\":\"x\"}'\n");
	(void)run(&r, "check", NULL);
	assert_true(printed(&r, "out", "action desk: credential \"API token\" ends at 2025-11-20T23:59:59Z"));
	assert_true(printed(&r, "out", "action desk: credential \"key\" has no end"));
	assert_int_equal(room_count(&r, "SELECT count(*) FROM credentials"), 2);
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_string_equal(room_text(&r, "SELECT resource || ' ' || expires || ' ' || precision FROM cases"),
	    "desk: API token 2025-11-20T23:59:59Z day");
	room_close(&r);
}

/* A copy in which a new token is sealed is worth nothing without its key. */
static void
backup_names_the_sealing_key(void **state)
{
	struct room r;
	char copy[128];

	(void)state;
	stage(&r, CONF "action \"entra\" { program = \"rotate\" }\nrule \"late\" { order = 90 do = {\"entra\"} }\n");
	(void)snprintf(copy, sizeof(copy), "%s/copy", r.dir);
	if (engines_server()) {
		assert_int_equal(run(&r, "backup", copy), 2);
		assert_true(printed(&r, "err", "pg_dump"));
		room_close(&r);
		return;
	}
	assert_int_equal(run(&r, "backup", copy), 0);
	assert_true(printed(&r, "out", "sealing key      the key_file of "));
	assert_true(printed(&r, "out", "/actions/entra.conf: without it"));
	room_close(&r);
	stage(&r, CONF);
	(void)snprintf(copy, sizeof(copy), "%s/copy", r.dir);
	assert_int_equal(run(&r, "backup", copy), 0);
	assert_true(printed(&r, "out", "to go on from it you need as well:"));
	assert_false(printed(&r, "out", "sealing key"));
	room_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_does_all),
		cmocka_unit_test(makes_what_is_missing),
		cmocka_unit_test(wrong_files_are_set_aside),
		cmocka_unit_test(no_wake_up_is_lost),
		cmocka_unit_test(second_worker_gives_way),
		cmocka_unit_test(once_waits_for_once),
		cmocka_unit_test(killed_service_leaves_no_trace),
		cmocka_unit_test(crashed_job_goes_on),
		cmocka_unit_test(newer_ledger_keeps_the_intake),
		cmocka_unit_test(broken_conf_keeps_the_intake),
		cmocka_unit_test(full_disk_is_later),
		cmocka_unit_test(wakes_at_once),
		cmocka_unit_test(stops_what_runs),
		cmocka_unit_test(commands_answer),
		cmocka_unit_test(check_looks_at_rules),
		cmocka_unit_test(check_tells_of_effects_for_anybody),
		cmocka_unit_test(check_hears_of_credentials),
		cmocka_unit_test(backup_names_the_sealing_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
