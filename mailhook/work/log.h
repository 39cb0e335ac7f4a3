/* log.h: the worker's log: one event a line, as key=value, as JSON, or as fields of systemd's journal.
 *
 * Commands do not open it: what they have to say is "mailhook: what" on stderr, for the person before it. Whoever finds
 * an error words it in its mh_err, and one place logs it, once.
 */
#ifndef MAILHOOK_WORK_LOG_H
#define MAILHOOK_WORK_LOG_H

#include "mailhook/conf.h"

#define LOG_JOURNAL_SOCKET "/run/systemd/journal/socket"
#define LOG_TEXT_BYTES 1400
#define LOG_LINE_BYTES 8192

/* What an event is about; zero and NULL: nothing of that sort. */
struct log_about {
	int64_t case_id, message_id;
	const char *action, *outcome, *file; /* file: a name in the intake */
};

/* From now on lines are written as the configuration says, and what is above its level is not. Called again where the
 * configuration was read again.
 *   in      journal: the journal's socket */
void log_open(const struct conf *conf, const char *journal);
void log_close(void); /* back to what commands do */

/* event: a word of our own ("case", "outcome"). The text may hold any bytes: they are escaped and cut here. */
void log_event(enum log_level level, const char *event, const struct log_about *about, const char *fmt, ...)
    MH_PRINTF(4, 5);

/* One event in one of the forms, without its line end; for log_event, and for the tests. CONF_LOG_JOURNAL: one datagram
 * of the journal's native protocol. */
void log_format(enum conf_log form, enum log_level level, const char *event, const struct log_about *about,
    const char *text, int64_t now, struct buf *out);

#endif
