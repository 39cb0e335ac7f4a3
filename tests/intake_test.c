/* intake_test.c: a message is on disk under its name or no trace of it is there, and nothing planted is believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mailhook/durable.h"
#include "mailhook/intake.h"

#define NOBODY 65534

static const struct mh_span mail = MH_LIT("Subject: x\r\n\r\na\0b\nno end");

struct place {
	char folder[64];
};

static int
set_up(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	(void)snprintf(p->folder, sizeof(p->folder), "/tmp/intake-test-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	*state = p;
	return 0;
}

static int
remove_one(const char *path, const struct stat *sb, int type, struct FTW *f)
{
	(void)sb;
	(void)type;
	(void)f;
	return remove(path);
}

static int
tear_down(void **state)
{
	struct place *p = *state;

	assert_int_equal(nftw(p->folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	free(p);
	return 0;
}

static size_t
count(const char *folder)
{
	DIR *d = opendir(folder);
	const struct dirent *e;
	size_t n = 0;

	assert_non_null(d);
	while ((e = readdir(d)) != NULL)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	(void)closedir(d);
	return n;
}

static void
plant(const char *folder, const char *name, const char *text)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static enum mh_status
put(const char *folder, struct mh_err *err)
{
	const struct envelope e = { .received = 1770091506 };

	return intake_put(folder, mail, &e, err);
}

static void
test_there_and_back(void **state)
{
	static char longest[MH_MAX_ENVELOPE_BYTES + 2];
	const struct {
		const char *name;
		struct envelope in;
		struct mh_span want;
	} rows[] = {
		{ "not known", { .received = 0, .from = MH_NONE }, MH_NONE },
		{ "empty sender", { .received = 1, .from = MH_LIT("") }, MH_LIT("") },
		{ "a lone hyphen", { .received = 1, .from = MH_LIT("-") }, MH_LIT("-") },
		{ "an address", { .received = 1770091506, .from = MH_LIT("a-b+c@example.com"), .cut = true },
		    MH_LIT("a-b+c@example.com") },
		{ "blanks, line ends, 8-bit", { .received = 1, .from = MH_LIT("\"a b\"\r\n%41 \xC3\xA9@x from=-") },
		    MH_LIT("\"a b\"\r\n%41 \xC3\xA9@x from=-") },
		{ "as long as may be", { .received = 1, .from = { longest, MH_MAX_ENVELOPE_BYTES } },
		    { longest, MH_MAX_ENVELOPE_BYTES } },
		{ "longer", { .received = 1, .from = { longest, MH_MAX_ENVELOPE_BYTES + 1 } },
		    { longest, MH_MAX_ENVELOPE_BYTES } },
	};
	const struct place *p = *state;

	memset(longest, ' ', sizeof(longest));
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mh_err err = { 0 };
		struct intake_list list;
		struct envelope e;
		struct mh_span raw;
		struct buf file;

		buf_init(&file, 0);
		if (intake_put(p->folder, mail, &rows[i].in, &err) != MH_OK)
			fail_msg("%s: %s", rows[i].name, err.text);
		assert_int_equal(intake_scan(p->folder, 0, 10, &list, &err), MH_OK);
		assert_int_equal(list.n, 1);
		assert_false(list.more);
		if (intake_get(p->folder, list.names[0], &file, &raw, &e, &err) != MH_OK)
			fail_msg("%s: %s", rows[i].name, err.text);
		if (!span_eq(raw, mail) || (e.from.p == NULL) != (rows[i].want.p == NULL) ||
		    !span_eq(e.from, rows[i].want) || e.received != rows[i].in.received || e.cut != rows[i].in.cut)
			fail_msg("%s: came back as another", rows[i].name);
		assert_int_equal(intake_drop(p->folder, list.names[0], &err), MH_OK);
		assert_int_equal(intake_drop(p->folder, list.names[0], &err), MH_OK); /* gone is no error */
		assert_int_equal(intake_get(p->folder, list.names[0], &file, &raw, &e, &err), MH_SKIP);
		assert_int_equal(count(p->folder), 0);
		intake_list_release(&list);
		buf_release(&file);
	}
}

static void
test_mode(void **state)
{
	const struct {
		const char *name;
		mode_t folder, umask, want;
	} rows[] = {
		{ "one user", 0700, 0022, 0600 },
		{ "one user, umask 0777", 0700, 0777, 0600 },
		{ "many users", 03777, 0077, 0640 },
		{ "many users, umask 0777", 03777, 0777, 0640 },
	};
	const struct place *p = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mh_err err = { 0 };
		struct intake_list list;
		struct stat st;
		char path[256];

		assert_int_equal(chmod(p->folder, rows[i].folder), 0);
		const mode_t old = umask(rows[i].umask);
		const enum mh_status done = put(p->folder, &err);
		(void)umask(old);
		if (done != MH_OK)
			fail_msg("%s: %s", rows[i].name, err.text);
		assert_int_equal(intake_scan(p->folder, 0, 10, &list, &err), MH_OK);
		assert_int_equal(list.n, 1);
		(void)snprintf(path, sizeof(path), "%s/%s", p->folder, list.names[0]);
		assert_int_equal(stat(path, &st), 0);
		if ((st.st_mode & 07777) != rows[i].want)
			fail_msg("%s: mode %o", rows[i].name, st.st_mode & 07777);
		assert_int_equal(st.st_nlink, 1);
		assert_int_equal(unlink(path), 0);
		intake_list_release(&list);
	}
}

/* Runs the put in a child, which may give up rights or take limits. */
static enum mh_status
put_in_child(const char *folder, uid_t uid, rlim_t file_bytes)
{
	int status;

	const pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct mh_err err = { 0 };

		(void)signal(SIGXFSZ, SIG_IGN);
		if (file_bytes != RLIM_INFINITY &&
		    setrlimit(RLIMIT_FSIZE, &(struct rlimit){ file_bytes, file_bytes }) < 0)
			_exit(99);
		if (uid != 0 && geteuid() == 0 && setresuid(uid, uid, uid) < 0)
			_exit(99);
		_exit((int)put(folder, &err));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_not_equal(WEXITSTATUS(status), 99);
	return (enum mh_status)WEXITSTATUS(status);
}

/* A folder that was made, and whose maker was killed before its name was on the disk. */
static void
test_begun(void **state)
{
	const struct place *p = *state;
	static const struct {
		const char *name;
		mode_t mode;
		bool begun;
	} rows[] = {
		{ "begun", 01700, true },
		{ "begun under a mask that took all", 01000, true },
		{ "made to its end", 0700, false },
		{ "of many users", 03777, false },
		{ "sticky, and open to its group", 01750, false },
	};
	const struct envelope e = { .received = 0 };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char path[128];
		struct stat st;
		struct mh_err err = { 0 };

		(void)snprintf(path, sizeof(path), "%s/new", p->folder);
		assert_int_equal(mkdir(path, 0700), 0);
		assert_int_equal(chmod(path, rows[i].mode), 0);
		if (rows[i].begun && intake_put(path, MH_LIT("x"), &e, &err) != MH_RETRY)
			fail_msg("%s: a message was stored in it", rows[i].name);
		if (rows[i].begun && count(path) != 0)
			fail_msg("%s: something is left in it", rows[i].name);
		if (durable_folder(path, &err) != MH_OK)
			fail_msg("%s: %s", rows[i].name, err.text);
		assert_int_equal(stat(path, &st), 0);
		if ((st.st_mode & 07777) != (rows[i].begun ? 0700 : rows[i].mode))
			fail_msg("%s: mode %o", rows[i].name, (unsigned)st.st_mode & 07777);
		if (intake_put(path, MH_LIT("x"), &e, &err) != MH_OK)
			fail_msg("%s: %s", rows[i].name, err.text);
		assert_int_equal(nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	}
}

static void
test_durable_folder(void **state)
{
	const struct place *p = *state;
	char path[128];
	struct stat st;
	struct mh_err err = { 0 };
	const mode_t mask = umask(0);

	(void)snprintf(path, sizeof(path), "%s/new", p->folder);
	assert_int_equal(durable_folder(path, &err), MH_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(durable_folder(path, &err), MH_OK);
	(void)snprintf(path, sizeof(path), "%s/none/new", p->folder);
	assert_int_equal(durable_folder(path, &err), MH_RETRY);
	assert_int_equal(durable_name(path, &err), MH_RETRY);
	(void)umask(mask);
}

static void
test_count(void **state)
{
	const struct place *p = *state;
	const struct envelope e = { .received = 0 };
	char path[160];
	size_t n = 7;
	struct mh_err err = { 0 };

	assert_int_equal(intake_count(p->folder, &n, &err), MH_OK);
	assert_int_equal(n, 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(intake_put(p->folder, MH_LIT("x"), &e, &err), MH_OK);
	(void)snprintf(path, sizeof(path), "%s/.00.tmp", p->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/README", p->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(intake_count(p->folder, &n, &err), MH_OK);
	assert_int_equal(n, 5);
	assert_int_equal(intake_count("/nonexistent", &n, &err), MH_RETRY);
}

static void
test_cannot(void **state)
{
	const struct place *p = *state;
	char path[128];
	struct mh_err err = { 0 };

	(void)snprintf(path, sizeof(path), "%s/none", p->folder);
	assert_int_equal(put(path, &err), MH_RETRY);
	assert_non_null(strstr(err.text, "No such file"));

	plant(p->folder, "file", "x");
	(void)snprintf(path, sizeof(path), "%s/file", p->folder);
	assert_int_equal(put(path, &err), MH_RETRY);
	assert_int_equal(unlink(path), 0);

	assert_int_equal(put_in_child(p->folder, 0, 20), MH_RETRY); /* the head and a bit of the message */
	assert_int_equal(count(p->folder), 0);

	assert_int_equal(chmod(p->folder, 0555), 0);
	assert_int_equal(put_in_child(p->folder, NOBODY, RLIM_INFINITY), MH_RETRY);
	assert_int_equal(chmod(p->folder, 0700), 0);
	assert_int_equal(count(p->folder), 0);
}

static void
test_disk_full(void **state)
{
	static char big[256 << 10];
	const struct place *p = *state;
	const struct envelope e = { .received = 1 };
	struct mh_err err = { 0 };

	if (mount("tmpfs", p->folder, "tmpfs", 0, "size=64k") < 0) {
		print_message("skipped: a small tmpfs cannot be mounted: %s\n", strerrordesc_np(errno));
		skip();
	}
	memset(big, 'x', sizeof(big));
	const enum mh_status full = intake_put(p->folder, (struct mh_span){ big, sizeof(big) }, &e, &err);
	const size_t left = count(p->folder);
	const enum mh_status fits = put(p->folder, &err);
	assert_int_equal(umount(p->folder), 0);
	assert_int_equal(full, MH_RETRY);
	assert_int_equal(left, 0);
	assert_int_equal(fits, MH_OK);
}

static void
test_many_users(void **state)
{
	const struct place *p = *state;
	struct mh_err err = { 0 };
	struct intake_list list;

	if (geteuid() != 0) {
		print_message("skipped: only root can be two users\n");
		skip();
	}
	assert_int_equal(chmod(p->folder, 03777), 0);
	assert_int_equal(put_in_child(p->folder, NOBODY, RLIM_INFINITY), MH_OK);
	assert_int_equal(put_in_child(p->folder, 1, RLIM_INFINITY), MH_OK);
	assert_int_equal(intake_scan(p->folder, 0, 10, &list, &err), MH_OK);
	assert_int_equal(list.n, 2);
	intake_list_release(&list);
}

static void
test_two_writers(void **state)
{
	enum { WRITERS = 2, EACH = 50 };
	const struct place *p = *state;
	struct mh_err err = { 0 };
	struct intake_list list;
	int status;

	for (int w = 0; w < WRITERS; w++) {
		const pid_t pid = fork();
		assert_true(pid >= 0);
		for (int i = 0; pid == 0 && i < EACH; i++)
			if (put(p->folder, &err) != MH_OK)
				_exit(1);
		if (pid == 0)
			_exit(0);
	}
	for (int w = 0; w < WRITERS; w++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_int_equal(count(p->folder), WRITERS * EACH);
	assert_int_equal(intake_scan(p->folder, 0, 1000, &list, &err), MH_OK);
	assert_int_equal(list.n, WRITERS * EACH);
	assert_false(list.more);
	intake_list_release(&list);
}

static void
test_oldest_first(void **state)
{
	const struct place *p = *state;
	struct mh_err err = { 0 };
	struct intake_list list;
	char name[64], path[128];

	for (int i = 0; i < 50; i++) { /* names and ages in different orders */
		(void)snprintf(name, sizeof(name), "%04x.msg", (unsigned)i * 37 % 50);
		plant(p->folder, name, "");
		(void)snprintf(path, sizeof(path), "%s/%s", p->folder, name);
		const struct timespec t[2] = { { .tv_sec = 1000 - i }, { .tv_sec = 1000 - i } };
		assert_int_equal(utimensat(AT_FDCWD, path, t, 0), 0);
	}
	assert_int_equal(intake_scan(p->folder, 0, 3, &list, &err), MH_OK);
	assert_int_equal(list.n, 3);
	assert_true(list.more);
	for (int i = 0; i < 3; i++) {
		(void)snprintf(name, sizeof(name), "%04x.msg", (unsigned)(49 - i) * 37 % 50);
		assert_string_equal(list.names[i], name);
	}
	intake_list_release(&list);
}

static void
test_stale(void **state)
{
	const struct place *p = *state;
	const int64_t now = time(NULL);
	struct mh_err err = { 0 };
	struct intake_list list;

	plant(p->folder, ".00aa.tmp", "half");
	plant(p->folder, ".name.tmp", "somebody else's");
	assert_int_equal(intake_scan(p->folder, now, 10, &list, &err), MH_OK);
	assert_int_equal(list.n, 0);
	intake_list_release(&list);
	assert_int_equal(count(p->folder), 2);
	assert_int_equal(intake_scan(p->folder, now + 3700, 10, &list, &err), MH_OK);
	intake_list_release(&list);
	assert_int_equal(count(p->folder), 1);
}

static void
test_planted(void **state)
{
	const struct {
		const char *name, *text;
	} rows[] = {
		{ "empty", "" },
		{ "no head", "Subject: x\n\nhello\n" },
		{ "another version", "mailhook 2 2026-02-03T04:05:06Z from=- cut=0\nx" },
		{ "no time", "mailhook 1 yesterday from=- cut=0\nx" },
		{ "no sender", "mailhook 1 2026-02-03T04:05:06Z cut=0\nx" },
		{ "broken percent", "mailhook 1 2026-02-03T04:05:06Z from=%4 cut=0\nx" },
		{ "something behind", "mailhook 1 2026-02-03T04:05:06Z from=- cut=0 x\nx" },
		{ "cut is neither", "mailhook 1 2026-02-03T04:05:06Z from=- cut=2\nx" },
		{ "no line end", "mailhook 1 2026-02-03T04:05:06Z from=- cut=0" },
	};
	const struct place *p = *state;
	struct mh_err err = { 0 };
	struct intake_list list;
	struct envelope e;
	struct mh_span raw;
	struct buf file;
	char path[128];

	buf_init(&file, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		plant(p->folder, "0a.msg", rows[i].text);
		if (intake_get(p->folder, "0a.msg", &file, &raw, &e, &err) != MH_BAD)
			fail_msg("%s: was taken", rows[i].name);
	}
	assert_int_equal(intake_set_aside(p->folder, "0a.msg", &err), MH_OK);
	assert_int_equal(intake_scan(p->folder, 0, 10, &list, &err), MH_OK);
	assert_int_equal(list.n, 0);
	intake_list_release(&list);
	assert_int_equal(count(p->folder), 1);

	/* A link to what the worker may read, a fifo that nobody writes, a folder: seen, never read, set aside. */
	(void)snprintf(path, sizeof(path), "%s/0b.msg", p->folder);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	(void)snprintf(path, sizeof(path), "%s/0c.msg", p->folder);
	assert_int_equal(mkfifo(path, 0666), 0);
	(void)snprintf(path, sizeof(path), "%s/0d.msg", p->folder);
	assert_int_equal(mkdir(path, 0700), 0);
	plant(p->folder, "not ours.msg", "x");
	assert_int_equal(intake_scan(p->folder, 0, 10, &list, &err), MH_OK);
	assert_int_equal(list.n, 3);
	for (size_t i = 0; i < list.n; i++) {
		if (intake_get(p->folder, list.names[i], &file, &raw, &e, &err) != MH_BAD)
			fail_msg("%s: was taken", list.names[i]);
		assert_int_equal(intake_set_aside(p->folder, list.names[i], &err), MH_OK);
	}
	intake_list_release(&list);
	assert_int_equal(intake_scan(p->folder, 0, 10, &list, &err), MH_OK);
	assert_int_equal(list.n, 0);
	intake_list_release(&list);
	buf_release(&file);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_there_and_back, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_mode, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_begun, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_durable_folder, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_count, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_cannot, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_disk_full, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_users, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_two_writers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_oldest_first, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stale, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_planted, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
