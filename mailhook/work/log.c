/* log.c: see log.h. Source of the journal's protocol: systemd, JOURNAL_NATIVE_PROTOCOL; of its fields:
 * sd_journal_print(3), systemd.journal-fields(7). */
#include "mailhook/work/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/json.h"
#include "mailhook/work/work.h"

/* What the house style allows: the level and form of the log are the one thing that is everybody's. */
static struct {
	bool opened;
	enum conf_log form;
	enum log_level level;
	int journal; /* own; -1: none */
} settings = { .journal = -1 };

/* -- opening ------------------------------------------------------------------------------------------------------- */

/* systemd says in JOURNAL_STREAM which device and inode its stream is; what was redirected since is another. */
static bool
stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM"); /* NOLINT(concurrency-mt-unsafe): there is one thread */
	char own[64];
	struct stat st;

	if (stream == NULL || fstat(STDERR_FILENO, &st) != 0)
		return false;
	(void)snprintf(own, sizeof(own), "%" PRIuMAX ":%" PRIuMAX, (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(own, stream) == 0;
}

static int
connect_to(const char *path)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	const size_t n = strlen(path);

	if (n >= sizeof(to.sun_path))
		return -1;
	memcpy(to.sun_path, path, n + 1);
	const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&to, sizeof(to)) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

void
log_close(void)
{
	if (settings.journal >= 0)
		(void)close(settings.journal);
	settings.journal = -1;
	settings.opened = false;
}

void
log_open(const struct conf *conf, const char *journal)
{
	log_close();
	settings.form = conf->log;
	if (settings.form == CONF_LOG_AUTO)
		settings.form = stderr_is_journal() ? CONF_LOG_JOURNAL : CONF_LOG_TEXT;
	settings.level = conf->log_level;
	settings.opened = true;
	if (settings.form != CONF_LOG_JOURNAL)
		return;
	settings.journal = connect_to(journal);
	if (settings.journal >= 0)
		return;
	settings.form = CONF_LOG_TEXT;
	if (conf->log == CONF_LOG_JOURNAL)
		log_event(LOG_WARNING, "log", NULL, "the journal cannot be reached: stderr takes its place");
}

/* -- one line ------------------------------------------------------------------------------------------------------ */

struct field {
	const char *name, *journal; /* journal: the field's name there */
	const char *text;           /* NULL: a number */
	int64_t number;
};
#define MAX_FIELDS 8

static size_t
fields_of(const char *event, const struct log_about *about, struct field *f)
{
	static const struct log_about nothing = { 0 };
	const struct log_about *a = about == NULL ? &nothing : about;
	size_t n = 0;

	f[n++] = (struct field){ "event", "MAILHOOK_EVENT", event, 0 };
	if (a->case_id != 0)
		f[n++] = (struct field){ "case", "MAILHOOK_CASE", NULL, a->case_id };
	if (a->message_id != 0)
		f[n++] = (struct field){ "message", "MAILHOOK_MESSAGE", NULL, a->message_id };
	if (a->action != NULL)
		f[n++] = (struct field){ "action", "MAILHOOK_ACTION", a->action, 0 };
	if (a->outcome != NULL)
		f[n++] = (struct field){ "outcome", "MAILHOOK_OUTCOME", a->outcome, 0 };
	if (a->file != NULL)
		f[n++] = (struct field){ "file", "MAILHOOK_FILE", a->file, 0 };
	return n;
}

/* A word as it is, all else in quotes. */
static void
put_value(struct buf *out, const char *text)
{
	const size_t n = strlen(text);
	const bool plain =
	    n > 0 && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:/@+-") == n;

	if (plain) {
		buf_puts(out, text);
		return;
	}
	buf_putc(out, '"');
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '"')
			buf_putc(out, '\\');
		buf_putc(out, text[i]);
	}
	buf_putc(out, '"');
}

static void
put_text_line(struct buf *out, enum log_level level, const struct field *f, size_t n, const char *text, int64_t now)
{
	char t[MH_TIME_TEXT];

	buf_printf(out, "time=%s level=%s", time_text(t, now), conf_log_level_names[level]);
	for (size_t i = 0; i < n; i++) {
		buf_printf(out, " %s=", f[i].name);
		if (f[i].text == NULL)
			buf_printf(out, "%" PRId64, f[i].number);
		else
			put_value(out, f[i].text);
	}
	buf_puts(out, " text=");
	put_value(out, text);
}

static void
put_json_line(struct buf *out, enum log_level level, const struct field *f, size_t n, const char *text, int64_t now)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	bool ok =
	    j != NULL && json_add_time(j, "time", now) && json_add_string(j, "level", conf_log_level_names[level]);

	for (size_t i = 0; ok && i < n; i++)
		ok = f[i].text == NULL ? json_add_integer(j, f[i].name, f[i].number)
				       : json_add_string(j, f[i].name, f[i].text);
	ok = ok && json_add_string(j, "text", text) && json_print(j, out);
	out->failed = out->failed || !ok;
}

/* Values hold no line end, so that none needs the protocol's form with a length. */
static void
put_datagram(struct buf *out, enum log_level level, const struct field *f, size_t n, const char *text)
{
	static const int priorities[CONF_LOG_LEVELS] = { 3, 4, 5, 6, 7 };

	buf_printf(out, "MESSAGE=%s\nPRIORITY=%d\nSYSLOG_IDENTIFIER=mailhook\n", text, priorities[level]);
	for (size_t i = 0; i < n; i++)
		if (f[i].text == NULL)
			buf_printf(out, "%s=%" PRId64 "\n", f[i].journal, f[i].number);
		else
			buf_printf(out, "%s=%s\n", f[i].journal, f[i].text);
}

void
log_format(enum conf_log form, enum log_level level, const char *event, const struct log_about *about, const char *text,
    int64_t now, struct buf *out)
{
	char shown[LOG_TEXT_BYTES], file[80], action[80], outcome[80];
	struct log_about a = about == NULL ? (struct log_about){ 0 } : *about;
	struct field f[MAX_FIELDS];

	/* all of it is escaped here, whoever wrote it: one line is one event */
	(void)mh_escape_words(shown, sizeof(shown), text);
	a.file = a.file == NULL ? NULL : mh_escape_words(file, sizeof(file), a.file);
	a.action = a.action == NULL ? NULL : mh_escape_words(action, sizeof(action), a.action);
	a.outcome = a.outcome == NULL ? NULL : mh_escape_words(outcome, sizeof(outcome), a.outcome);
	const size_t n = fields_of(event, &a, f);
	switch (form) {
	case CONF_LOG_AUTO:
	case CONF_LOG_TEXT:
		put_text_line(out, level, f, n, shown, now);
		break;
	case CONF_LOG_JSON:
		put_json_line(out, level, f, n, shown, now);
		break;
	case CONF_LOG_JOURNAL:
		put_datagram(out, level, f, n, shown);
		break;
	}
}

static void
write_line(enum log_level level, const char *event, const struct log_about *about, const char *text)
{
	struct buf line;

	buf_init(&line, LOG_LINE_BYTES);
	log_format(settings.form, level, event, about, text, clock_now(), &line);
	if (settings.form == CONF_LOG_JOURNAL && send(settings.journal, line.p, line.n, MSG_NOSIGNAL) < 0) {
		/* journald was restarted, or is full: what it does not take is not lost */
		buf_clear(&line);
		log_format(CONF_LOG_TEXT, level, event, about, text, clock_now(), &line);
		(void)fprintf(stderr, "%s\n", line.p);
	} else if (settings.form != CONF_LOG_JOURNAL) {
		(void)fprintf(stderr, "%s\n", line.p == NULL ? text : line.p);
	}
	buf_release(&line);
}

void
log_event(enum log_level level, const char *event, const struct log_about *about, const char *fmt, ...)
{
	char text[LOG_TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (settings.opened && level <= settings.level)
		write_line(level, event, about, text);
	else if (!settings.opened && level != LOG_DEBUG)
		work_log("%s", text);
}

void
work_log(const char *fmt, ...)
{
	char line[LOG_TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	if (settings.opened)
		write_line(LOG_ERROR, "error", NULL, line);
	else
		(void)fprintf(stderr, "mailhook: %s\n", line);
}

void
work_complain(void *user, const char *line)
{
	(void)user;
	work_log("%s", line);
}
