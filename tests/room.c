/* room.c: see room.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/work/upkeep.h"
#include "tests/engines.h"
#include "tests/room.h"

static char spare[ENGINES_ADDRESS]; /* on a server, of the room before; "": none */

static void
complain(void *user, const char *line)
{
	(void)user;
	(void)fprintf(stderr, "%s\n", line);
}

static void
write_file(const char *path, const char *text, mode_t mode)
{
	char tmp[200];

	/* by renaming: a clock that is read while it is written would be no clock */
	assert_true(snprintf(tmp, sizeof(tmp), "%s.new", path) < (int)sizeof(tmp));
	const int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(rename(tmp, path), 0);
}

static void
expand(struct buf *out, const char *text, const char *dir)
{
	for (; *text != '\0'; text++) {
		if (*text == '@')
			buf_puts(out, dir);
		else
			buf_putc(out, *text);
	}
	assert_true(buf_ok(out));
}

void
room_set_time(struct room *r, int64_t now)
{
	char t[MH_TIME_TEXT];

	r->now = now;
	write_file(r->clock, time_text(t, now), 0600);
}

void
room_open(struct room *r, const char *conf_text)
{
	struct buf text;
	struct mh_err err = { 0 };
	const struct db_options o = { .create = true, .busy_ms = 0 };
	char path[200];

	*r = (struct room){ .now = ROOM_NOW };
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/mailhook-room-XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	(void)snprintf(r->conf, sizeof(r->conf), "%s/mailhook.conf", r->dir);
	(void)snprintf(r->clock, sizeof(r->clock), "%s/clock", r->dir);
	assert_int_equal(setenv("MAILHOOK_CLOCK_FILE", r->clock, 1), 0);
	room_set_time(r, ROOM_NOW);
	(void)snprintf(path, sizeof(path), "%s/state", r->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/state/intake", r->dir);
	assert_int_equal(mkdir(path, 0700), 0);

	buf_init(&text, 65536);
	buf_printf(&text, "state_dir = \"%s/state\"\n", r->dir);
	(void)snprintf(path, sizeof(path), "%s/state", r->dir);
	if (spare[0] == '\0')
		engines_address(path, r->ledger);
	else
		(void)snprintf(r->ledger, sizeof(r->ledger), "%s", spare);
	spare[0] = '\0';
	if (strstr(conf_text, "ledger = ") == NULL)
		buf_printf(&text, "ledger = \"%s\"\n", r->ledger);
	expand(&text, conf_text, r->dir);
	write_file(r->conf, text.p, 0600);
	buf_release(&text);
	if (conf_load(r->conf, complain, NULL, &r->w.conf, &err) != MH_OK)
		fail_msg("%s", err.text);
	(void)snprintf(r->w.owner, sizeof(r->w.owner), "test/1");
	(void)snprintf(r->w.libexec, sizeof(r->w.libexec), "%s/libexec/mailhook", BUILD_DIR);
	if (ledger_open(engines_engine(), engines_where(r->ledger), &o, &r->w.db, &err) != MH_OK ||
	    mark_write(&r->w, &err) != MH_OK) /* as a worker that made it here does */
		fail_msg("%s", err.text);
}

void
room_close(struct room *r)
{
	if (engines_server() && r->w.db != NULL) {
		engines_renew(r->w.db);
		(void)snprintf(spare, sizeof(spare), "%s", r->ledger);
	}
	db_close(r->w.db);
	conf_free(r->w.conf);
	engines_remove(r->dir);
	(void)unsetenv("MAILHOOK_CLOCK_FILE");
}

int64_t
room_take(struct room *r, const struct say *s, struct taken *ret)
{
	const int number = s->same_as > 0 ? s->same_as : ++r->mails;
	char id[40], raw[120];
	struct notice n = { .kind = span_of(s->kind == NULL ? TEST_KIND : s->kind),
		.account = s->no_account ? MH_NONE : span_of(s->account == NULL ? "123456789012" : s->account),
		.region = span_of(s->region),
		.resource = span_of(s->resource),
		.expires = s->expires == 0 ? TEST_EXPIRES : s->expires,
		.precision = s->precision,
		.days_stated = 89 };
	struct envelope e = { .received = r->now, .from = MH_LIT("ops@example.com") };
	struct mh_err err = { 0 };
	struct taken taken = { 0 };

	(void)snprintf(id, sizeof(id), "<%d@example.com>", number);
	const int head = snprintf(raw, sizeof(raw), "Message-ID: %s\r\n\r\nbody %d\r\n", id, number);
	const struct reading reading = { .verdict = s->not_kept                   ? MH_IRRELEVANT
						    : s->verdict == MH_IRRELEVANT ? MH_NOTICE
										  : s->verdict,
		.message_id = span_of(id),
		.from_address = span_of(s->sender == NULL ? "no-reply@example.com" : s->sender),
		.reply_to = MH_LIT("ops@example.com"),
		.reason = span_of(s->reason),
		.own = s->own,
		.body_at = (uint64_t)head - 8,
		.notices = &n,
		.n_notices = s->verdict == MH_IRRELEVANT || s->verdict == MH_NOTICE ? 1 : 0 };
	char *bytes = calloc(1, (size_t)head + s->bytes);
	assert_non_null(bytes);
	memset(bytes, 'x', (size_t)head + s->bytes);
	memcpy(bytes, raw, (size_t)head);
	const struct incoming in = {
		.reading = &reading, .raw = { bytes, (size_t)head + s->bytes }, .envelope = &e, .trust = s->trust
	};
	if (case_take(&r->w, &in, r->now, &taken, &err) != MH_OK)
		fail_msg("%s", err.text);
	free(bytes);
	if (ret != NULL)
		*ret = taken;
	if (taken.as == TAKEN_NOT)
		return 0;
	char sql[120];
	(void)snprintf(sql, sizeof(sql), "SELECT case_id FROM notices WHERE message_id = %lld ORDER BY id DESC LIMIT 1",
	    (long long)taken.message_id);
	return room_count(r, sql);
}

int64_t
room_count(struct room *r, const char *sql)
{
	struct mh_err err = { 0 };
	int64_t n = 0;
	const enum mh_status status = db_one(r->w.db, sql, NULL, 0, &n, &err);

	if (status != MH_OK && status != MH_SKIP)
		fail_msg("%s: %s", sql, err.text);
	return n;
}

const char *
room_text(struct room *r, const char *sql)
{
	static char text[4096];
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	struct mh_err err = { 0 };

	text[0] = '\0';
	if (db_query(r->w.db, sql, NULL, 0, &rows, &err) != MH_OK)
		fail_msg("%s: %s", sql, err.text);
	if (db_step(rows, &err) == MH_OK) {
		const struct mh_span s = db_get_bytes(rows, 0);
		(void)snprintf(text, sizeof(text), "%.*s", (int)s.n, s.p == NULL ? "" : s.p);
	}
	return text;
}

void
room_script(struct room *r, const char *name, const char *body)
{
	struct buf text;
	char path[200];

	buf_init(&text, 65536);
	buf_puts(&text, "#!/bin/sh\n");
	expand(&text, body, r->dir);
	(void)snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	write_file(path, text.p, 0700);
	buf_release(&text);
}

void
room_read(struct room *r, const char *name, char *dst, size_t dst_bytes)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? 0 : read(fd, dst, dst_bytes - 1);
	assert_true(n >= 0);
	dst[n] = '\0';
	if (fd >= 0)
		(void)close(fd);
}

void
room_remove(struct room *r, const char *name)
{
	char path[200];

	(void)snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	(void)unlink(path);
}
