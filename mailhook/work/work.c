/* work.c: opening and closing what the worker stands on. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/durable.h"
#include "mailhook/owner.h"
#include "mailhook/work/accounts.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/ledger/engine.h"
#include "mailhook/work/log.h"
#include "mailhook/work/node.h"
#include "parsers/parser.h"

static bool
find_libexec(char *dst, size_t dst_bytes)
{
	const ssize_t n = readlink("/proc/self/exe", dst, dst_bytes - 1);
	char *slash;

	if (n <= 0 || (size_t)n >= dst_bytes - 1)
		return false;
	dst[n] = '\0';
	slash = strrchr(dst, '/');
	if (slash == NULL)
		return false;
	*slash = '\0';
	return true;
}

/* A folder and those above it, for us alone. */
static enum mh_status
make_folder(const char *path, struct mh_err *err)
{
	char part[4096];

	for (const char *p = path; *p != '\0'; p++) {
		if (p == path || (p[0] != '/' && p[1] != '\0'))
			continue;
		const size_t n = (size_t)(p - path) + (p[0] != '/');
		if (n >= sizeof(part))
			return mh_fail(err, MH_BAD, "a folder's name is too long");
		memcpy(part, path, n);
		part[n] = '\0';
		const enum mh_status status = durable_folder(part, err);
		if (status != MH_OK)
			return status;
	}
	return MH_OK;
}

static enum mh_status
load_accounts(struct work *w, struct mh_err *err)
{
	if (w->conf->accounts_file == NULL)
		return MH_OK;
	const enum mh_status status = accounts_load(w->conf->accounts_file, work_complain, NULL, &w->accounts, err);
	if (status != MH_SKIP)
		return status;
	log_event(LOG_WARNING, "accounts", NULL, "%s", err->text);
	return MH_OK;
}

enum mh_status
work_load(struct work *w, const char *config, struct mh_err *err)
{
	const enum mh_status status = conf_load(config, work_complain, NULL, &w->conf, err);

	if (status != MH_OK)
		return MH_BAD; /* a file that cannot be read is as wrong as one that cannot be understood */
	if (!find_libexec(w->libexec, sizeof(w->libexec)))
		return mh_fail(err, MH_RETRY, "the folder of this program is not known");
	const enum mh_status named = node_name(w, err);
	return named == MH_OK ? load_accounts(w, err) : named;
}

enum mh_status
work_read_definitions(struct work *w, bool *ret_all_right, struct mh_err *err)
{
	w->definitions = definitions_new();
	if (w->definitions == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the definitions");
	w->reader = (struct reader){ .parser = &definition_parser, .parser_state = w->definitions };
	const enum mh_status status =
	    w->conf->definitions_dir == NULL
		? MH_SKIP
		: definitions_add_folder(w->definitions, w->conf->definitions_dir, work_complain, NULL, err);
	*ret_all_right = status == MH_OK || status == MH_SKIP;
	return status == MH_RETRY ? MH_RETRY : MH_OK;
}

/* "ledger" of $CREDENTIALS_DIRECTORY, where the configuration names none. */
static const char *
password_file(const struct conf *c)
{
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	char path[4096];

	if (c->ledger_password_file != NULL || c->ledger_password_command != NULL || folder == NULL)
		return c->ledger_password_file;
	const int n = snprintf(path, sizeof(path), "%s/ledger", folder);
	return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0 ? "ledger" : NULL;
}

static struct db_options
options_of(const struct work *w, bool create)
{
	return (struct db_options){ .create = create,
		.busy_ms = LEDGER_BUSY_MS,
		.password_file = password_file(w->conf),
		.password_command = w->conf->ledger_password_command,
		.step = w->ledger_step,
		.step_user = w->ledger_step_user };
}

enum mh_status
work_open_at(
    const struct work *w, const char *address, bool create, bool out_of_use, struct db **ret, struct mh_err *err)
{
	struct db_options o = options_of(w, create);
	const struct db_engine *engine = NULL;
	const char *where = NULL;
	const enum mh_status status = engine_of(address, w->libexec, &engine, &where, err);

	o.out_of_use = out_of_use;
	return status == MH_OK ? ledger_open(engine, where, &o, ret, err) : status;
}

enum mh_status
work_describe_ledger(const struct work *w, struct buf *ret, struct mh_err *err)
{
	const struct db_options o = options_of(w, false);
	const struct db_engine *engine = NULL;
	const char *where = NULL;
	struct db *db = NULL;
	enum mh_status status = engine_of(w->conf->ledger, w->libexec, &engine, &where, err);

	if (status == MH_OK && engine->describe == NULL)
		return MH_SKIP;
	if (status == MH_OK)
		status = engine->open(where, &o, &db, err);
	if (status == MH_OK)
		status = engine->describe(db, ret, err);
	db_close(db);
	return status;
}

enum mh_status
work_open_ledger(struct work *w, bool create, struct mh_err *err)
{
	const struct conf *c = w->conf;
	const enum mh_status status = work_open_at(w, c->ledger, create, false, &w->db, err);

	if (status == MH_OK || c->ledger_path == NULL)
		return status;
	return owner_denied(c->ledger_path, c->state_dir, status, err);
}

enum mh_status
work_make_folders(struct work *w, struct mh_err *err)
{
	enum mh_status status = owner_may_work(w->conf->state_dir, err);

	if (status == MH_OK)
		status = make_folder(w->conf->state_dir, err);
	return status == MH_OK ? make_folder(w->conf->intake_dir, err) : status;
}

void
work_release(struct work *w)
{
	db_close(w->db);
	accounts_free(w->accounts);
	definitions_free(w->definitions);
	conf_free(w->conf);
	*w = (struct work){ 0 };
}

int
work_exit(enum mh_status status)
{
	switch (status) {
	case MH_OK:
		return EXIT_OK;
	case MH_SKIP:
	case MH_BAD:
		return EXIT_USAGE;
	case MH_RETRY:
	case MH_LIMIT:
		return EXIT_LATER;
	}
	return EXIT_USAGE;
}

void
work_wake(const struct conf *conf)
{
	char path[4096];
	const int n = snprintf(path, sizeof(path), "%s/wake", conf->state_dir);

	if (n <= 0 || (size_t)n >= sizeof(path))
		return;
	/* closing a file that was open for writing is what the worker watches for */
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (fd < 0)
		return;
	owner_give(conf->state_dir, fd);
	(void)close(fd);
}
