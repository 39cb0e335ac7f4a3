/* program.c: a local program is what is started. It has done its work when it ends. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/common/program.h"
#include "actions/trigger/trigger.h"
#include "mailhook/clock.h"

#define OUTPUT_BYTES (64u << 10)
#define EXIT_NOT_NOW 75 /* EX_TEMPFAIL of sysexits.h */

/* Its last line that is not empty. */
static void
last_words(const struct buf *out, char *dst, size_t dst_bytes)
{
	struct mh_span rest = buf_span(out), line, last = MH_LIT("");

	while (span_line(&rest, &line))
		if (span_trim(line).n > 0)
			last = span_trim(line);
	(void)mh_escape(dst, dst_bytes, last);
}

enum mh_status
trigger_program(struct trigger *t, char *words, size_t words_bytes, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf out;
	char path[] = "PATH=/usr/bin:/bin", *const envp[] = { path, NULL };
	const int64_t end_ms = t->protocol->deadline_ms - PROTOCOL_SPARE_MS;
	const char *slash = strrchr(t->conf->command[0], '/');
	const char *name = slash == NULL ? t->conf->command[0] : slash + 1;
	struct program_end end = { -1, false };

	buf_init(&out, OUTPUT_BYTES);
	enum mh_status status = program_run(t->conf->command, envp, span_of(t->state.payload), end_ms, &out, &end, err);
	if (status != MH_OK)
		return status;
	last_words(&out, words, words_bytes);
	const char *sep = words[0] == '\0' ? "" : ": ";
	if (!end.in_time)
		return mh_fail(err, MH_LIMIT, "%.40s did not end in time", name);
	if (end.code == 0)
		return MH_OK;
	if (end.code == EXIT_NOT_NOW)
		return mh_fail(err, MH_RETRY, "%.40s says: not now%s%.80s", name, sep, words);
	if (end.code < 0)
		return mh_fail(err, MH_LIMIT, "%.40s was killed%s%.80s", name, sep, words);
	return mh_fail(err, MH_BAD, "%.40s ended with status %d%s%.80s", name, end.code, sep, words);
}

enum mh_status
trigger_program_check(const struct trigger_conf *c, struct mh_err *err)
{
	return access(c->command[0], X_OK) == 0 ? MH_OK : mh_fail_errno(err, MH_BAD, "command: %.80s", c->command[0]);
}
