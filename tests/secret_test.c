/* secret_test.c: secrets from files, credentials and programs. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "actions/common/base64.h"
#include "actions/common/secret.h"
#include "mailhook/clock.h"

static char dir[64];

static void
write_file(const char *name, struct mh_span bytes, mode_t mode, char path[128])
{
	(void)snprintf(path, 128, "%s/%s", dir, name);
	(void)unlink(path);
	const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes.p, bytes.n), (ssize_t)bytes.n);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
}

static void
test_files(void **state)
{
	static const struct {
		const char *name;
		struct mh_span bytes;
		mode_t mode;
		enum mh_status status;
		struct mh_span secret;
	} rows[] = {
		{ "without line end", MH_LIT("abc"), 0600, MH_OK, MH_LIT("abc") },
		{ "one line end goes", MH_LIT("abc\n"), 0600, MH_OK, MH_LIT("abc") },
		{ "CRLF goes", MH_LIT("abc\r\n"), 0400, MH_OK, MH_LIT("abc") },
		{ "only one goes", MH_LIT("abc\n\n"), 0600, MH_OK, MH_LIT("abc\n") },
		{ "blanks stay", MH_LIT(" a b "), 0600, MH_OK, MH_LIT(" a b ") },
		{ "the group can read", MH_LIT("abc"), 0640, MH_BAD, MH_NONE },
		{ "others can read", MH_LIT("abc"), 0604, MH_BAD, MH_NONE },
		{ "the group can write", MH_LIT("abc"), 0620, MH_BAD, MH_NONE },
		{ "empty", MH_LIT(""), 0600, MH_BAD, MH_NONE },
		{ "a line end alone", MH_LIT("\n"), 0600, MH_BAD, MH_NONE },
		{ "a NUL", MH_LIT("a\0b"), 0600, MH_BAD, MH_NONE },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char path[128];
		struct secret s = { 0 };
		struct mh_err err = { 0 };

		write_file("secret", rows[i].bytes, rows[i].mode, path);
		const enum mh_status status = secret_from_file(path, &s, &err);
		if (status != rows[i].status || !span_eq(secret_span(&s), rows[i].secret))
			fail_msg("%s: status %d, \"%s\"", rows[i].name, (int)status, err.text);
		if (status != MH_OK && strstr(err.text, "abc") != NULL)
			fail_msg("%s: the error tells the secret", rows[i].name);
		secret_release(&s);
	}
}

static void
test_file_sizes(void **state)
{
	static const struct {
		size_t n;
		enum mh_status status;
	} rows[] = { { SECRET_MAX_BYTES, MH_OK }, { SECRET_MAX_BYTES + 1, MH_LIMIT },
		{ 40 * SECRET_MAX_BYTES, MH_LIMIT } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char path[128];
		char *bytes = malloc(rows[i].n);
		struct secret s = { 0 };

		assert_non_null(bytes);
		memset(bytes, 'x', rows[i].n);
		write_file("secret", (struct mh_span){ bytes, rows[i].n }, 0600, path);
		free(bytes);
		if (secret_from_file(path, &s, NULL) != rows[i].status)
			fail_msg("a file of %zu bytes", rows[i].n);
		secret_release(&s);
	}
}

static void
test_not_files(void **state)
{
	char path[128], fifo[128], link[128];
	struct secret s = { 0 };
	struct mh_err err = { 0 };

	(void)state;
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(secret_from_file(fifo, &s, &err), MH_BAD); /* and does not hang */
	assert_int_equal(secret_from_file(dir, &s, &err), MH_BAD);
	(void)snprintf(path, sizeof(path), "%s/none", dir);
	assert_int_equal(secret_from_file(path, &s, &err), MH_BAD);
	assert_non_null(strstr(err.text, "No such file"));
	write_file("open", MH_LIT("abc"), 0644, path);
	(void)snprintf(link, sizeof(link), "%s/link", dir);
	assert_int_equal(symlink("open", link), 0);
	assert_int_equal(secret_from_file(link, &s, &err), MH_BAD); /* what it points to counts */
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(secret_from_file(link, &s, &err), MH_OK);
	secret_release(&s);
	assert_null(s.p);
}

static void
test_credentials(void **state)
{
	char path[128];
	struct secret s = { 0 };
	struct mh_err err = { 0 };
	static const char *const bad[] = { "", ".", "..", "none" };

	(void)state;
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(secret_from_file("token", &s, &err), MH_BAD);
	assert_non_null(strstr(err.text, "CREDENTIALS_DIRECTORY"));
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0);
	write_file("token", MH_LIT("from systemd\n"), 0400, path);
	assert_int_equal(secret_from_file("token", &s, &err), MH_OK);
	assert_string_equal(s.p, "from systemd");
	secret_release(&s);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (secret_from_file(bad[i], &s, &err) != MH_BAD)
			fail_msg("credential \"%s\" was read", bad[i]);
	if (geteuid() == 0) { /* the mask of systemd's ACL shows as the group's bit, on files of root */
		assert_int_equal(chmod(path, 0440), 0);
		assert_int_equal(secret_from_file("token", &s, &err), MH_OK);
		secret_release(&s);
		assert_int_equal(secret_from_file(path, &s, &err), MH_OK);
		secret_release(&s);
		assert_int_equal(chmod(path, 0444), 0);
		assert_int_equal(secret_from_file("token", &s, &err), MH_BAD);
	}
	(void)unsetenv("CREDENTIALS_DIRECTORY");
}

static void
test_commands(void **state)
{
	static const struct {
		const char *name;
		const char *argv[4];
		enum mh_status status;
		const char *secret, *text;
	} rows[] = {
		{ "what it prints", { "/bin/echo", "a b" }, MH_OK, "a b", NULL },
		{ "no shell reads it", { "/bin/echo", "$HOME;`id`" }, MH_OK, "$HOME;`id`", NULL },
		{ "its stdin is empty", { "/bin/sh", "-c", "wc -c" }, MH_OK, "0", NULL },
		{ "it inherits no descriptor",
		    { "/bin/sh", "-c",
			"for n in 3 4 5 6 7 8 9; do [ ! -e /proc/$$/fd/$n ] || echo $n; done; echo none" },
		    MH_OK, "none", NULL },
		{ "it fails", { "/bin/sh", "-c", "echo abc; exit 3" }, MH_RETRY, NULL, "exit status 3" },
		{ "it is killed", { "/bin/sh", "-c", "kill -9 $$" }, MH_RETRY, NULL, "signal 9" },
		{ "it hangs", { "/bin/sh", "-c", "exec tail -f /dev/null" }, MH_RETRY, NULL, "in time" },
		{ "it closes stdout and hangs", { "/bin/sh", "-c", "echo x; exec sleep 60 >&-" }, MH_RETRY, NULL,
		    "in time" },
		{ "it prints nothing", { "/bin/true" }, MH_BAD, NULL, "empty" },
		{ "it prints for ever", { "/bin/cat", "/dev/zero" }, MH_LIMIT, NULL, "more than" },
		{ "there is no such program", { "/nonexistent/program" }, MH_BAD, NULL, "No such file" },
		{ "it is no program", { "/etc/passwd" }, MH_BAD, NULL, "ermission denied" },
		{ "it is searched for nowhere", { "echo", "a" }, MH_BAD, NULL, "whole path" },
	};

	(void)state;
	const int inherited = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
	assert_in_range(inherited, 3, 9);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct secret s = { 0 };
		struct mh_err err = { 0 };
		const int64_t start = clock_monotonic_ms();
		const enum mh_status status = secret_from_command(rows[i].argv, 1000, &s, &err);

		if (status != rows[i].status || (rows[i].secret != NULL && strcmp(s.p, rows[i].secret) != 0))
			fail_msg("%s: status %d, \"%s\", \"%s\"", rows[i].name, (int)status, s.p == NULL ? "" : s.p,
			    err.text);
		if (rows[i].text != NULL && strstr(err.text, rows[i].text) == NULL)
			fail_msg("%s: the error says \"%s\"", rows[i].name, err.text);
		if (strstr(err.text, "abc") != NULL)
			fail_msg("%s: the error tells the secret", rows[i].name);
		if (clock_monotonic_ms() - start > 5000)
			fail_msg("%s: it was waited for too long", rows[i].name);
		secret_release(&s);
	}
	(void)close(inherited);
}

/* RFC 4648 section 10, and the two characters that differ. */
static void
test_base64(void **state)
{
	static const struct {
		struct mh_span bytes;
		const char *text, *url;
	} rows[] = { { MH_LIT("f"), "Zg==", "Zg" }, { MH_LIT("fo"), "Zm8=", "Zm8" }, { MH_LIT("foo"), "Zm9v", "Zm9v" },
		{ MH_LIT("foobar"), "Zm9vYmFy", "Zm9vYmFy" }, { MH_LIT("\xFB\xFF\0"), "+/8A", "-_8A" } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b;

		buf_init(&b, 100);
		base64_put(&b, rows[i].bytes);
		assert_string_equal(b.p, rows[i].text);
		buf_clear(&b);
		base64url_put(&b, rows[i].bytes);
		assert_string_equal(b.p, rows[i].url);
		buf_release(&b);
	}
}

static int
make_dir(void **state)
{
	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/mailhook-secret.XXXXXX");
	return mkdtemp(dir) == NULL ? -1 : 0;
}

static int
drop_dir(void **state)
{
	static const char *const names[] = { "secret", "fifo", "open", "link", "token" };
	char path[128];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		(void)unlink(path);
	}
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_file_sizes),
		cmocka_unit_test(test_not_files),
		cmocka_unit_test(test_credentials),
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_base64),
	};

	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
