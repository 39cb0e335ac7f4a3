/* cmd_keep.c: what keeps a ledger: purge and backup. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/durable.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/ledger/upkeep.h"
#include "mailhook/work/upkeep.h"

/* Opens what is there. */
static enum mh_status
open_both(struct work *w, const struct options *o, struct mh_err *err)
{
	enum mh_status status = work_load(w, o->config, err);

	if (status != MH_OK)
		return status;
	status = work_open_ledger(w, false, err);
	return status == MH_SKIP ? mh_fail(err, MH_SKIP, "there is no ledger yet: no message was taken in") : status;
}

static int
finish(struct work *w, enum mh_status status, const struct mh_err *err)
{
	if (status != MH_OK)
		work_log("%s", err->text);
	work_release(w);
	return work_exit(status);
}

int
purge_command(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct purged done = { 0 };
	struct speech speech;
	enum mh_status status = open_both(&w, o, &err);

	if (status == MH_OK)
		status = mark_look(&w, clock_now(), &err);
	if (status == MH_OK)
		status = upkeep_purge(&w, clock_now(), true, &done, &err);
	speech_open(&speech, o->json);
	if (status == MH_OK || done.messages + done.cases > 0) {
		struct mh_err own = { 0 };
		speech_say(&speech, "purged: the mail of %zu messages, and %zu cases", done.messages, done.cases);
		speech_integer(&speech, "messages", (int64_t)done.messages);
		speech_integer(&speech, "cases", (int64_t)done.cases);
		if (speech_end(&speech, &own) != MH_OK && status == MH_OK)
			status = mh_fail(&err, MH_RETRY, "%s", own.text);
	}
	speech_release(&speech);
	return finish(&w, status, &err);
}

/* -- backup -------------------------------------------------------------------------------------------------------- */

struct copy {
	char path[PATH_MAX], part[PATH_MAX];
	int fd; /* of part, locked; -1: none */
};

static enum mh_status
open_part(const char *path, struct copy *c, struct mh_err *err)
{
	struct stat st;
	const char *slash = strrchr(path, '/');

	if (strlen(path) + sizeof(".part") > sizeof(c->path))
		return mh_fail(err, MH_BAD, "the file's name is too long");
	(void)snprintf(c->path, sizeof(c->path), "%s", path);
	(void)snprintf(c->part, sizeof(c->part), "%s.part", path);
	if (path[0] == '\0' || (slash != NULL && slash[1] == '\0'))
		return mh_fail(err, MH_BAD, "backup needs the name of a file that is not there yet");
	if (lstat(path, &st) == 0)
		return mh_fail(
		    err, MH_BAD, "%s is there already: give a name that is not, such as one with the date", path);
	c->fd = open(c->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (c->fd < 0)
		return mh_fail_errno(
		    err, errno == ENOENT || errno == ENOTDIR || errno == EACCES ? MH_BAD : MH_RETRY, "%s", c->part);
	if (flock(c->fd, LOCK_EX | LOCK_NB) != 0)
		return mh_fail(err, MH_RETRY, "%s: another backup writes it", c->part);
	/* what an earlier one left that was killed */
	return fchmod(c->fd, 0600) == 0 && ftruncate(c->fd, 0) == 0 ? MH_OK
								    : mh_fail_errno(err, MH_RETRY, "%s", c->part);
}

/* The copy is opened as a ledger: what cannot be read now cannot be restored later. */
static enum mh_status
prove(const struct copy *c, int64_t *ret_cases, struct mh_err *err)
{
	const struct db_options o = { .create = false, .busy_ms = 0 };
	struct db *db = NULL;
	int64_t well = 0;
	enum mh_status status = ledger_open(&sqlite_engine, c->part, &o, &db, err);

	if (status == MH_OK) /* its own log is not left beside it */
		status = db_exec(db, "PRAGMA journal_mode = DELETE", err);
	if (status == MH_OK)
		status = db_one(db, "SELECT quick_check = 'ok' FROM pragma_quick_check(1)", NULL, 0, &well, err);
	if (status == MH_OK && well != 1)
		status =
		    mh_fail(err, MH_BAD, "the ledger is damaged, and so is this copy: see 'mailhook ledger check'");
	if (status == MH_OK)
		status = db_one(db, "SELECT count(*) FROM cases", NULL, 0, ret_cases, err);
	db_close(db);
	return status;
}

/* Under its name only when it is whole and on the disk: killed anywhere, there is FILE.part or a right FILE. */
static enum mh_status
copy_ledger(struct work *w, struct copy *c, int64_t *ret_cases, struct mh_err *err)
{
	enum mh_status status = ledger_copy(w->db, c->part, err);

	if (status == MH_OK)
		status = prove(c, ret_cases, err);
	if (status == MH_OK && fsync(c->fd) != 0)
		status = mh_fail_errno(err, MH_RETRY, "%s", c->part);
	if (status == MH_OK && link(c->part, c->path) != 0) /* unlike rename it replaces nothing */
		status = mh_fail_errno(err, MH_RETRY, "%s", c->path);
	(void)unlink(c->part);
	return status == MH_OK ? durable_name(c->path, err) : status;
}

/* One thing more that is needed. */
static void need(struct speech *s, const char *what, const char *fmt, ...) MH_PRINTF(3, 4);

static void
need(struct speech *s, const char *what, const char *fmt, ...)
{
	char where[PATH_MAX + 200];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(where, sizeof(where), fmt, ap);
	va_end(ap);
	speech_say(s, "  %-16s %s", what, where);
	cJSON *item = speech_item(s, "needs");
	if (item != NULL)
		s->whole = json_add_string(item, "what", what) && json_add_string(item, "where", where);
}

static bool
seals(const struct conf_action *act)
{
	const char *slash = strrchr(act->program, '/');

	return strcmp(slash == NULL ? act->program : slash + 1, "rotate") == 0;
}

/* A ledger alone does nothing. */
static void
say_needs(struct speech *s, const struct conf *c)
{
	speech_say(s, "to go on from it you need as well:");
	if (c->file == NULL)
		need(s, "configuration", "none: the built-in one is used");
	else
		need(s, "configuration", "%s and %s.d", c->file, c->file);
	for (size_t i = 0; i < c->n_actions; i++)
		if (c->actions[i].config != NULL && access(c->actions[i].config, F_OK) == 0)
			need(s, "action", "%s, and the secrets that it names", c->actions[i].config);
	for (size_t i = 0; i < c->n_actions; i++)
		if (c->actions[i].config != NULL && seals(&c->actions[i])) /* which file, the action alone may read */
			need(s, "sealing key",
			    "the key_file of %s: without it a new token that waits in a rotation cannot be read",
			    c->actions[i].config);
	for (size_t i = 0; i < c->n_mailboxes; i++)
		if (c->mailboxes[i].password_file != NULL)
			need(s, "secret", "%s", c->mailboxes[i].password_file);
	if (c->accounts_file != NULL)
		need(s, "accounts", "%s", c->accounts_file);
	if (access(c->definitions_dir, F_OK) == 0)
		need(s, "definitions", "%s", c->definitions_dir);
	need(s, "state", "%s: messages not yet taken in, and tickets and replies kept as files", c->state_dir);
}

int
backup_command(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct copy c = { .fd = -1 };
	struct speech speech;
	int64_t cases = 0;
	enum mh_status status = open_both(&w, o, &err);

	if (status == MH_OK)
		status = open_part(o->operand, &c, &err);
	if (status == MH_OK)
		status = copy_ledger(&w, &c, &cases, &err);
	speech_open(&speech, o->json);
	if (status == MH_OK) {
		speech_say(&speech, "%s: %" PRId64 " cases, as of this moment", c.path, cases);
		speech_string(&speech, "file", c.path);
		speech_integer(&speech, "cases", cases);
		say_needs(&speech, w.conf);
		status = speech_end(&speech, &err);
	}
	speech_release(&speech);
	if (c.fd >= 0)
		(void)close(c.fd);
	return finish(&w, status, &err);
}
