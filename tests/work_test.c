/* work_test.c: the whole worker on a state folder of its own: the loop, the lock, the intake. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/work/commands.h"
#include "tests/engines.h"
#include "tests/work_room.h"

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

/* Whatever is wrong with a ledger is mended, and the mail is there. The message that fails is the oldest of those that
 * wait. */
static void
what_is_wrong_with_the_ledger_is_not_the_mails(void **state)
{
	static const char other[] = "From: no-reply-aws@amazon.com\r\nMessage-ID: <3@example.com>\r\n"
				    "Subject: Your token is about to EXPIRE on 09/07/2026\r\n\r\nIt expires.\r\n";
	static const struct {
		const char *name, *breaks, *mends;
		int exit;
		size_t stay, aside;
	} rows[] = {
		{ "nothing", "SELECT 1", "SELECT 1", 0, 0, 0 },
		{ "a column that is not there", "ALTER TABLE messages RENAME COLUMN refs TO gone",
		    "ALTER TABLE messages RENAME COLUMN gone TO refs", 75, 2, 0 },
		{ "a table that is not there", "ALTER TABLE cases RENAME TO gone", "ALTER TABLE gone RENAME TO cases",
		    2, 2, 0 },
		{ "a name that is not one message's", "CREATE UNIQUE INDEX wrong ON messages (subject)",
		    "DROP INDEX wrong", 75, 1, 0 },
		{ "a message that the ledger does not take",
		    "ALTER TABLE messages ADD COLUMN more INTEGER DEFAULT 1 CHECK (more = 1 AND message_id <> "
		    "'<2@example.com>')",
		    "ALTER TABLE messages DROP COLUMN more", 0, 0, 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct room r;
		struct mh_err err = { 0 };

		stage(&r, CONF);
		put_notice(&r, 1);
		assert_int_equal(run(&r, "run", "--once"), 0);
		if (db_exec(r.w.db, rows[i].breaks, &err) != MH_OK)
			fail_msg("%s: %s", rows[i].name, err.text);
		put_notice(&r, 2);
		put_raw(&r, MH_LIT(other));
		const int ended = run(&r, "run", "--once");
		if (ended != rows[i].exit || intake_holds(&r, ".msg") != rows[i].stay ||
		    intake_holds(&r, ".bad") != rows[i].aside)
			fail_msg("%s: exit %d, %zu stay, %zu set aside", rows[i].name, ended, intake_holds(&r, ".msg"),
			    intake_holds(&r, ".bad"));
		if (db_exec(r.w.db, rows[i].mends, &err) != MH_OK)
			fail_msg("%s: %s", rows[i].name, err.text);
		assert_int_equal(run(&r, "run", "--once"), 0);
		assert_int_equal(intake_holds(&r, ".msg"), 0);
		assert_int_equal(room_count(&r, "SELECT count(*) FROM messages"), 3 - (int64_t)rows[i].aside);
		room_close(&r);
	}
}

/* Of one subject are twenty that cannot be taken; the one behind them is, and what runs comes to its end. */
static void
late_files_hinder_no_other(void **state)
{
	static const char other[] = "From: no-reply-aws@amazon.com\r\nMessage-ID: <99@example.com>\r\n"
				    "Subject: Your token is about to EXPIRE on 09/07/2026\r\n\r\nIt expires.\r\n";
	struct room r;
	struct mh_err err = { 0 };

	(void)state;
	stage(&r, CONF);
	put_notice(&r, 1);
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_int_equal(db_exec(r.w.db, "CREATE UNIQUE INDEX wrong ON messages (subject)", &err), MH_OK);
	(void)room_count(&r, "UPDATE jobs SET state = 'queued', due = created, ended = NULL RETURNING id");
	room_script(&r, "desk", "IFS= read -r q\nsleep 1\necho '{\"outcome\":\"done\",\"summary\":\"x\"}'\n");
	for (int i = 0; i < 20; i++)
		put_notice(&r, 2 + i);
	put_raw(&r, MH_LIT(other));
	assert_int_equal(run(&r, "run", "--once"), 75);
	assert_int_equal(intake_holds(&r, ".msg"), 20);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages"), 2);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM jobs WHERE state <> 'done'"), 0);
	assert_int_equal(db_exec(r.w.db, "DROP INDEX wrong", &err), MH_OK);
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_int_equal(room_count(&r, "SELECT count(*) FROM messages"), 22);
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
	/* where nodes share the ledger, a process that it has just started may not have closed what it inherited yet */
	while (!r.w.db->engine->local && lock_is_service(r.w.conf->state_dir) && clock_monotonic_ms() < until)
		(void)poll(NULL, 0, 5);
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
	const char *const names[] = { "run", "check", "list", "status" };
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(run(&r, names[i], NULL), 2);
		assert_true(printed(&r, "err", "mailhook.conf:"));
	}
	assert_int_equal(intake_holds(&r, ".msg"), 1);
	assert_int_equal(unlink(r.conf), 0);
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(run(&r, names[i], NULL), 2);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(once_does_all),
		cmocka_unit_test(makes_what_is_missing),
		cmocka_unit_test(wrong_files_are_set_aside),
		cmocka_unit_test(what_is_wrong_with_the_ledger_is_not_the_mails),
		cmocka_unit_test(late_files_hinder_no_other),
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
