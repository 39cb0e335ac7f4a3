/* log_test.c: the forms of one event, and the journal's socket. */
#include "mailhook/work/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "mailhook/work/work.h"

#define NOW INT64_C(1762419600) /* 2025-11-06T09:00:00Z */

static const struct {
	const char *name;
	enum conf_log form;
	enum log_level level;
	const char *event;
	struct log_about about;
	const char *text, *want;
} rows[] = {
	{ "all fields", CONF_LOG_TEXT, LOG_NOTICE, "outcome",
	    { .case_id = 3, .message_id = 7, .action = "jira", .outcome = "done", .file = "ab.msg" }, "it is done",
	    "time=2025-11-06T09:00:00Z level=notice event=outcome case=3 message=7 action=jira outcome=done "
	    "file=ab.msg "
	    "text=\"it is done\"" },
	{ "a word needs no quotes", CONF_LOG_TEXT, LOG_ERROR, "x", { 0 }, "word",
	    "time=2025-11-06T09:00:00Z level=error event=x text=word" },
	{ "an empty text", CONF_LOG_TEXT, LOG_ERROR, "x", { 0 }, "",
	    "time=2025-11-06T09:00:00Z level=error event=x text=\"\"" },
	{ "what would end a value or a line", CONF_LOG_TEXT, LOG_WARNING, "x", { .action = "a b=\"c\"" },
	    "\" case=9 \n\r\x1b[31m\xc3\xa9\x7f \\x00",
	    "time=2025-11-06T09:00:00Z level=warning event=x action=\"a b=\\\"c\\\"\" "
	    "text=\"\\\" case=9 \\x0a\\x0d\\x1b[31m\\xc3\\xa9\\x7f \\x00\"" },
	{ "json", CONF_LOG_JSON, LOG_INFO, "taken", { .message_id = 9 }, "a \"b\"\nc",
	    "{\"time\":\"2025-11-06T09:00:00Z\",\"level\":\"info\",\"event\":\"taken\",\"message\":9,"
	    "\"text\":\"a \\\"b\\\"\\\\x0ac\"}" },
	{ "the journal", CONF_LOG_JOURNAL, LOG_DEBUG, "case", { .case_id = 4 }, "one\nPRIORITY=0",
	    "MESSAGE=one\\x0aPRIORITY=0\nPRIORITY=7\nSYSLOG_IDENTIFIER=mailhook\nMAILHOOK_EVENT=case\nMAILHOOK_CASE="
	    "4\n" },
	{ "the journal's levels", CONF_LOG_JOURNAL, LOG_ERROR, "x", { .action = "tell", .outcome = "failed" }, "y",
	    "MESSAGE=y\nPRIORITY=3\nSYSLOG_IDENTIFIER=mailhook\nMAILHOOK_EVENT=x\nMAILHOOK_ACTION=tell\n"
	    "MAILHOOK_OUTCOME=failed\n" },
};

static void
test_forms(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out;

		buf_init(&out, LOG_LINE_BYTES);
		log_format(rows[i].form, rows[i].level, rows[i].event, &rows[i].about, rows[i].text, NOW, &out);
		if (!buf_ok(&out) || strcmp(out.p, rows[i].want) != 0)
			fail_msg("%s:\n%s", rows[i].name, out.p);
		buf_release(&out);
	}
}

/* Whatever the bytes, a line fits, and is one line. */
static void
test_long(void **state)
{
	static const char bytes[] = { 'a', '"', '\n', '\x7f', '\xff' };
	char text[4 * LOG_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		for (enum conf_log form = CONF_LOG_TEXT; form <= CONF_LOG_JSON; form++)
			for (size_t n = LOG_TEXT_BYTES - 10; n < LOG_TEXT_BYTES + 10; n++) {
				struct buf out;

				memset(text, bytes[i], sizeof(text));
				text[n] = '\0';
				buf_init(&out, LOG_LINE_BYTES);
				log_format(form, LOG_INFO, "x", NULL, text, NOW, &out);
				assert_true(buf_ok(&out));
				assert_null(strchr(out.p, '\n'));
				if (n > LOG_TEXT_BYTES)
					assert_non_null(strstr(out.p, "..."));
				buf_release(&out);
			}
}

static int
journal(const char *path)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	(void)snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void
test_journal(void **state)
{
	char dir[] = "/tmp/mailhook-log-XXXXXX", path[64], got[2048];
	struct conf conf = { .log = CONF_LOG_JOURNAL, .log_level = LOG_NOTICE };
	ssize_t n;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/socket", dir);
	const int fd = journal(path);
	log_open(&conf, path);
	log_event(LOG_INFO, "quiet", NULL, "is not asked for");
	log_event(LOG_NOTICE, "case", &(const struct log_about){ .case_id = 5 }, "opened %d", 5);
	n = recv(fd, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = '\0';
	assert_string_equal(
	    got, "MESSAGE=opened 5\nPRIORITY=5\nSYSLOG_IDENTIFIER=mailhook\nMAILHOOK_EVENT=case\nMAILHOOK_CASE=5\n");
	work_log("an error of another file");
	n = recv(fd, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = '\0';
	assert_non_null(strstr(got, "\nPRIORITY=3\n"));
	assert_true(recv(fd, got, sizeof(got), 0) < 0);
	log_close();
	(void)close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* Reads what was written to stderr while it was the file. */
static void
with_stderr(const char *stream, enum conf_log form, char *got, size_t got_bytes)
{
	const struct conf conf = { .log = form, .log_level = LOG_DEBUG };
	FILE *file = tmpfile();
	const int kept = dup(STDERR_FILENO);

	assert_non_null(file);
	assert_int_equal(dup2(fileno(file), STDERR_FILENO), STDERR_FILENO);
	if (stream == NULL)
		(void)unsetenv("JOURNAL_STREAM");
	else
		(void)setenv("JOURNAL_STREAM", stream, 1);
	log_open(&conf, "/nonexistent/journal");
	log_event(LOG_DEBUG, "x", NULL, "two words");
	log_close();
	(void)fflush(stderr);
	(void)dup2(kept, STDERR_FILENO);
	(void)close(kept);
	rewind(file);
	got[fread(got, 1, got_bytes - 1, file)] = '\0';
	(void)fclose(file);
}

static void
test_stderr(void **state)
{
	char got[2048];

	(void)state;
	with_stderr(NULL, CONF_LOG_AUTO, got, sizeof(got));
	assert_non_null(strstr(got, " level=debug event=x text=\"two words\"\n"));
	with_stderr("1:1", CONF_LOG_AUTO, got, sizeof(got));
	assert_non_null(strstr(got, " level=debug event=x text=\"two words\"\n"));
	with_stderr(NULL, CONF_LOG_JSON, got, sizeof(got));
	assert_non_null(strstr(got, "\"event\":\"x\",\"text\":\"two words\"}\n"));
	with_stderr(NULL, CONF_LOG_JOURNAL, got, sizeof(got));
	assert_non_null(strstr(got, "level=warning event=log text=\"the journal cannot be reached"));
	assert_non_null(strstr(got, " level=debug event=x text=\"two words\"\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_stderr),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
