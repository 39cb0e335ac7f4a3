/* cmd_steer.c: a person closes, approves or retries a case; the history names who. */
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"

/* Who logged in, whatever user that became since: the kernel keeps it. */
static uid_t
login_uid(void)
{
	char text[24];
	unsigned long uid = 0;
	const int fd = open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; i++)
		uid = uid * 10 + (unsigned long)(text[i] - '0');
	return n <= 0 || uid >= UINT32_MAX ? getuid() : (uid_t)uid; /* 4294967295: nobody logged in */
}

static void
login_name(char *dst, size_t dst_bytes)
{
	const uid_t uid = login_uid();
	const struct passwd *pw = getpwuid(uid); /* NOLINT(concurrency-mt-unsafe): there is one thread */

	if (pw == NULL)
		(void)snprintf(dst, dst_bytes, "uid %lu", (unsigned long)uid);
	else
		(void)mh_escape(dst, dst_bytes, span_of(pw->pw_name));
}

typedef enum mh_status steer(struct work *w, const struct case_row *c, const char *by, struct mh_err *err);

static int
steer_case(const struct options *o, steer *how)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct arena a;
	struct case_row c;
	char by[64];
	enum mh_status status = work_load(&w, o->config, &err);

	arena_init(&a, WORK_ARENA_BYTES);
	login_name(by, sizeof(by));
	if (status == MH_OK) {
		status = work_open_ledger(&w, false, &err);
		if (status == MH_SKIP)
			mh_fail(&err, MH_SKIP, "no case %.40s: no message was taken in yet", o->operand);
	}
	if (status == MH_OK)
		status = ledger_case_find(w.db, o->operand, &a, &c, &err);
	if (status == MH_OK)
		status = how(&w, &c, by, &err);
	if (status != MH_OK) {
		work_log("%s", err.text);
	} else {
		work_wake(w.conf);
		if (!lock_held(w.conf->state_dir))
			(void)puts("no worker runs: what follows is done by the next 'mailhook run'");
	}
	arena_release(&a);
	work_release(&w);
	return work_exit(status);
}

static enum mh_status
do_close(struct work *w, const struct case_row *c, const char *by, struct mh_err *err)
{
	const enum mh_status status = case_close(w, c->id, by, clock_now(), err);

	if (status == MH_OK)
		(void)printf("case %" PRId64 " is closed\n", c->id);
	return status;
}

static enum mh_status
do_approve(struct work *w, const struct case_row *c, const char *by, struct mh_err *err)
{
	const enum mh_status status = case_approve(w, c->id, by, clock_now(), err);

	if (status != MH_OK)
		return status;
	(void)printf("case %" PRId64 " is approved\n", c->id);
	if (c->trust == TRUST_UNVERIFIED)
		(void)puts("no notice of it is trusted, so actions that need trust go on waiting");
	return MH_OK;
}

static enum mh_status
do_retry(struct work *w, const struct case_row *c, const char *by, struct mh_err *err)
{
	size_t n = 0;
	const enum mh_status status = case_retry(w, c->id, by, clock_now(), &n, err);

	if (status == MH_OK && n == 0)
		return mh_fail(err, MH_BAD, "case %" PRId64 ": no job has failed or waits for its next try", c->id);
	if (status == MH_OK)
		(void)printf("case %" PRId64 ": %zu jobs are tried again\n", c->id, n);
	return status;
}

int
close_command(const struct options *o)
{
	return steer_case(o, do_close);
}

int
approve_command(const struct options *o)
{
	return steer_case(o, do_approve);
}

int
retry_command(const struct options *o)
{
	return steer_case(o, do_retry);
}
