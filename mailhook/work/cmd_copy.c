/* cmd_copy.c: mailhook ledger copy FROM TO: everything into another ledger, which goes on in the place of the first.
 *
 * Killed anywhere, one of the two can be worked with at most, and the same command again goes on:
 *   1. TO is marked as a copy that is not whole        (a transaction on TO)
 *   2. all rows                                        (one transaction on TO; FROM is locked from here to 4)
 *   3. both are read back and must be the same
 *   4. FROM is marked as moved                         (the transaction on FROM ends)
 *   5. TO is paused and loses its mark                 (a transaction on TO)
 */
#include <inttypes.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/owner.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/ledger/copy.h"
#include "mailhook/work/ledger/nodes.h"
#include "mailhook/work/ledger/upkeep.h"
#include "mailhook/work/ledger/use.h"
#include "mailhook/work/node.h"
#include "mailhook/work/upkeep.h"

#define COPY_ARENA_BYTES ((size_t)4 << 20)
#define COPY_JSON_BYTES 65536
#define TELL_MS 200 /* on a terminal, at most so often */
#define MAX_LOCKS 3

struct side {
	const char *address;
	struct db *db; /* own */
	enum ledger_use use;
	const char *other; /* where use says that there is another */
	bool empty;        /* of TO */
};

struct copying {
	const struct options *o;
	struct work w;
	struct side from, to;
	struct arena arena;
	int locks[MAX_LOCKS]; /* own */
	char folders[MAX_LOCKS][PATH_MAX];
	size_t n_locks;
	struct copy_sum sums_from[COPY_TABLES], sums_to[COPY_TABLES];
	int64_t mended, told_ms;
	bool told, same;
};

/* -- who else is at work ------------------------------------------------------------------------------------------- */

/* The lock of the worker that has its state there, for as long as this lasts. */
static enum mh_status
lock_folder(struct copying *c, const char *folder, bool only_where_one_was, struct mh_err *err)
{
	char lock[PATH_MAX + 16];
	char *real = c->folders[c->n_locks];

	if (realpath(folder, real) == NULL)
		return MH_OK; /* nobody works in a folder that is not there */
	(void)snprintf(lock, sizeof(lock), "%s/worker.lock", real);
	if (only_where_one_was && access(lock, F_OK) != 0)
		return MH_OK;
	for (size_t i = 0; i < c->n_locks; i++)
		if (strcmp(c->folders[i], real) == 0)
			return MH_OK;
	const enum mh_status status = lock_take(real, false, &c->locks[c->n_locks], err);
	if (status == MH_OK)
		c->n_locks++;
	return status == MH_SKIP
		   ? mh_fail(err, MH_RETRY, "a worker runs on %.80s: stop it, and start it again behind the copy", real)
		   : status;
}

static enum mh_status
lock_side(struct copying *c, const struct side *s, struct mh_err *err)
{
	const struct mh_span sqlite = MH_LIT("sqlite:");
	char path[PATH_MAX];

	if (!span_starts(span_of(s->address), sqlite))
		return MH_OK;
	(void)snprintf(path, sizeof(path), "%s", s->address + sqlite.n);
	return lock_folder(c, dirname(path), true, err);
}

static enum mh_status
no_node(struct copying *c, const struct side *s, int64_t now, struct mh_err *err)
{
	struct node_rows nodes = { 0 };
	char shown[60];
	enum mh_status status = ledger_nodes(s->db, &c->arena, &nodes, err);

	for (size_t i = 0; i < nodes.n && status == MH_OK; i++) {
		const struct node_row *n = &nodes.items[i];
		if (n->life[0] != '\0' && n->seen > now - node_silent_s())
			status = mh_fail(err, MH_RETRY,
			    "node \"%s\" works with it, seen %" PRId64 " s ago: stop mailhook on all nodes",
			    mh_escape(shown, sizeof(shown), span_of(n->name)), now - n->seen);
	}
	return status;
}

/* An id or a name, and until when it is somebody's. MH_SKIP: there is none. */
static enum mh_status
living(
    struct copying *c, const char *sql, int64_t now, const char **ret_what, const char **ret_until, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	char t[MH_TIME_TEXT];
	enum mh_status status = db_query(c->from.db, sql, DB_ARGS(db_time(t, now)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	if (status == MH_OK)
		status = db_get_str(rows, 0, &c->arena, ret_what, err);
	return status == MH_OK ? db_get_str(rows, 1, &c->arena, ret_until, err) : status;
}

/* What is carried as somebody's must be nobody's: it would be two's. A local ledger's leases end with its worker, whose
 * lock we have, but for a person's at a terminal. */
static enum mh_status
no_lease(struct copying *c, int64_t now, struct mh_err *err)
{
	static const char any_job[] = "SELECT CAST(id AS text), lease_until FROM jobs WHERE state = 'running' AND "
				      "lease_until > $1 ORDER BY lease_until DESC LIMIT 1";
	static const char handed_job[] =
	    "SELECT CAST(id AS text), lease_until FROM jobs WHERE state = 'running' AND "
	    "lease_until > $1 AND lease_owner LIKE '%/handover' ORDER BY lease_until DESC LIMIT 1";
	static const char mailbox[] =
	    "SELECT mailbox, until FROM mailbox_leases WHERE until > $1 ORDER BY until DESC LIMIT 1";
	const char *what = NULL, *until = NULL;
	char shown[60];
	enum mh_status status = living(c, c->from.db->engine->local ? handed_job : any_job, now, &what, &until, err);

	if (status == MH_OK)
		return mh_fail(err, MH_RETRY, "job %s is under way until %s: let it end, or wait", what, until);
	if (status == MH_SKIP)
		status = living(c, mailbox, now, &what, &until, err);
	if (status == MH_OK)
		return mh_fail(err, MH_RETRY, "mailbox \"%s\" is watched until %s: stop 'mailhook imap' on all nodes",
		    mh_escape(shown, sizeof(shown), span_of(what)), until);
	return status == MH_SKIP ? MH_OK : status;
}

/* -- which ledgers these are --------------------------------------------------------------------------------------- */

static enum mh_status
open_side(struct copying *c, struct side *s, bool create, struct mh_err *err)
{
	const char *at = NULL;
	enum mh_status status = work_open_at(&c->w, s->address, create, true, &s->db, err);

	if (status == MH_SKIP)
		return mh_fail(err, MH_BAD, "there is no ledger to copy: %s", err->text);
	return status == MH_OK ? ledger_use(s->db, &c->arena, &s->use, &s->other, &at, err) : status;
}

static bool
same_ledger(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* The last copy was made and proved, and its last step is missing. */
static bool
is_last_step(const struct copying *c)
{
	return c->from.use == LEDGER_MOVED && same_ledger(c->from.other, c->to.address) && c->to.use == LEDGER_COMING &&
	       same_ledger(c->to.other, c->from.address);
}

static enum mh_status
fit_from(struct copying *c, struct mh_err *err)
{
	char shown[80];

	switch (c->from.use) {
	case LEDGER_IN_USE:
		return MH_OK;
	case LEDGER_MOVED:
		return is_last_step(c) ? MH_OK
				       : mh_fail(err, MH_BAD, "FROM was moved to %s: that one goes on, copy that",
					     mh_escape(shown, sizeof(shown), span_of(c->from.other)));
	case LEDGER_COMING:
		return mh_fail(err, MH_BAD, "FROM is an unfinished copy of %s: finish that first",
		    mh_escape(shown, sizeof(shown), span_of(c->from.other)));
	}
	return MH_BAD;
}

static enum mh_status
fit_to(struct copying *c, struct mh_err *err)
{
	const char *mine = NULL, *its = NULL;
	char shown[80];
	enum mh_status status = ledger_meta_get(c->from.db, "identity", &c->arena, &mine, err);

	if (status == MH_OK)
		status = ledger_meta_get(c->to.db, "identity", &c->arena, &its, err);
	if (status == MH_OK)
		status = copy_is_empty(c->to.db, &c->to.empty, err);
	if (status != MH_OK)
		return status;
	switch (c->to.use) {
	case LEDGER_IN_USE:
		if (same_ledger(mine, its))
			return mh_fail(err, MH_BAD, "FROM and TO are one ledger, or one a copy of the other");
		return c->to.empty ? MH_OK
				   : mh_fail(err, MH_BAD, "TO is a ledger with a life of its own: give a new one");
	case LEDGER_MOVED:
		return mh_fail(err, MH_BAD, "TO was moved to %s, and is kept as it was: give a new one",
		    mh_escape(shown, sizeof(shown), span_of(c->to.other)));
	case LEDGER_COMING:
		return c->to.empty || same_ledger(c->to.other, c->from.address)
			   ? MH_OK
			   : mh_fail(err, MH_BAD, "TO holds a copy of %s: finish that, or give a new one",
				 mh_escape(shown, sizeof(shown), span_of(c->to.other)));
	}
	return MH_BAD;
}

/* With the transaction on FROM: what is so now stays so. */
static enum mh_status
look(struct copying *c, struct mh_err *err)
{
	int64_t now_from = 0, now_to = 0;
	enum mh_status status = open_side(c, &c->to, true, err);

	if (status == MH_OK)
		status = fit_from(c, err);
	if (status == MH_OK && !is_last_step(c))
		status = fit_to(c, err);
	if (status == MH_OK)
		status = c->from.db->engine->now(c->from.db, &now_from, err);
	if (status == MH_OK)
		status = c->to.db->engine->now(c->to.db, &now_to, err);
	if (status == MH_OK)
		status = no_node(c, &c->from, now_from, err);
	if (status == MH_OK)
		status = no_node(c, &c->to, now_to, err);
	return status == MH_OK ? no_lease(c, now_from, err) : status;
}

/* -- the steps ----------------------------------------------------------------------------------------------------- */

static void
on_progress(void *user, const char *what, const char *table, int64_t done)
{
	struct copying *c = user;
	const int64_t now = clock_monotonic_ms();

	if (now - c->told_ms < TELL_MS || isatty(STDERR_FILENO) == 0)
		return;
	c->told_ms = now;
	c->told = true;
	(void)fprintf(stderr, "\r\033[K%s: %s, %" PRId64 " rows", what, table, done);
	(void)fflush(stderr);
}

static void
end_progress(struct copying *c)
{
	if (c->told)
		(void)fputs("\r\033[K", stderr);
	c->told = false;
}

static enum mh_status
mark_to(struct copying *c, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	enum mh_status status = db_tx_begin(c->to.db, &tx, err);

	if (status == MH_OK)
		status = ledger_use_set(c->to.db, LEDGER_COMING, c->from.address, clock_now(), err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

static enum mh_status
carry(struct copying *c, const struct copy_watch *watch, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	enum mh_status status = mark_to(c, err);

	if (status == MH_OK)
		status = db_tx_begin(c->to.db, &tx, err);
	if (status == MH_OK)
		status = copy_rows(c->from.db, c->to.db, watch, &c->mended, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

static enum mh_status
prove(struct copying *c, const struct copy_watch *watch, struct mh_err *err)
{
	const enum mh_status status = copy_sums(c->from.db, c->to.db, watch, c->sums_from, c->sums_to, err);

	c->same = status == MH_OK;
	for (size_t i = 0; i < COPY_TABLES; i++)
		c->same = c->same && copy_same(&c->sums_from[i], &c->sums_to[i]);
	return status;
}

static enum mh_status
leave_from(struct copying *c, const char *by, struct db_tx *tx, struct mh_err *err)
{
	enum mh_status status = ledger_event_add(c->from.db, 0, clock_now(), "moved", by, c->to.address, NULL, err);

	if (status == MH_OK)
		status = ledger_use_set(c->from.db, LEDGER_MOVED, c->to.address, clock_now(), err);
	return status == MH_OK ? db_tx_commit(tx, err) : status;
}

/* A node's mark may know of FROM's "moved" by the number that TO gave its "copied": that is none that TO has lost. */
static enum mh_status
let_go_of_moved(struct copying *c, struct mh_err *err)
{
	int64_t last = 0;
	const enum mh_status status = ledger_last_event(c->to.db, &last, err);

	return status == MH_OK ? ledger_last_event_raise(c->to.db, last, err) : status;
}

/* Paused, so that a person looks first, as behind a restore; but what it says is so, and no effect need be held. */
static enum mh_status
open_to(struct copying *c, const char *by, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	const int64_t now = clock_now();
	const struct pause_row pause = { .scope = "all",
		.name = "",
		.since = now,
		.by = "mailhook",
		.why = "it is a copy, made whole: look at 'mailhook list' first" };
	enum mh_status status = db_tx_begin(c->to.db, &tx, err);

	if (status == MH_OK)
		status = ledger_pause_add(c->to.db, &pause, err);
	if (status == MH_SKIP)
		status = MH_OK; /* FROM was paused by a person */
	if (status == MH_OK)
		status = ledger_event_add(c->to.db, 0, now, "copied", by, c->from.address, NULL, err);
	if (status == MH_OK)
		status = ledger_use_set(c->to.db, LEDGER_IN_USE, NULL, now, err);
	if (status == MH_OK && c->to.db->engine->local)
		status = ledger_meta_set(c->to.db, MARK_ARRIVED, "1", err);
	if (status == MH_OK && !c->to.db->engine->local)
		status = let_go_of_moved(c, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

static enum mh_status
copy(struct copying *c, const char *by, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	const struct copy_watch watch = { on_progress, c };
	enum mh_status status = open_side(c, &c->from, false, err);

	if (status == MH_OK)
		status = db_tx_begin(c->from.db, &tx, err);
	if (status == MH_OK)
		status = look(c, err);
	if (status != MH_OK)
		return status;
	if (!is_last_step(c)) {
		if (c->to.use == LEDGER_IN_USE || c->to.empty)
			status = carry(c, &watch, err);
		if (status == MH_OK)
			status = prove(c, &watch, err);
		if (status != MH_OK || !c->same)
			return status;
		status = leave_from(c, by, &tx, err);
	}
	c->same = true;
	return status == MH_OK ? open_to(c, by, err) : status;
}

/* -- what came of it ----------------------------------------------------------------------------------------------- */

static void
print_text(const struct copying *c)
{
	int64_t rows = 0;

	for (size_t i = 0; i < COPY_TABLES && c->sums_from[i].digest[0] != '\0'; i++) {
		const struct copy_sum *a = &c->sums_from[i], *b = &c->sums_to[i];
		rows += a->rows;
		(void)printf("%-15s %10" PRId64 " rows  sha256 %s\n", copy_tables[i].name, a->rows, a->digest);
		if (!copy_same(a, b))
			(void)printf("%-15s %10" PRId64 " rows  sha256 %s: DIFFERENT%s\n", "  in TO", b->rows,
			    b->digest, a->last_id == b->last_id ? "" : ", and so is the next id");
	}
	if (!c->same)
		return;
	if (c->mended > 0)
		(void)printf("%" PRId64 " texts held bytes that are no UTF-8: U+FFFD stands for each\n", c->mended);
	if (c->sums_from[0].digest[0] == '\0')
		(void)printf("all is in %s, as an earlier run proved\n", c->to.address);
	else
		(void)printf("all is in %s: %" PRId64 " rows, read back and the same\n", c->to.address, rows);
	(void)printf("%s is out of use from now\n", c->from.address);
	(void)printf(
	    "set ledger = \"%s\", start mailhook, look at 'mailhook list', then 'mailhook resume'\n", c->to.address);
}

static enum mh_status
print_json(const struct copying *c, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	cJSON *tables = j == NULL ? NULL : cJSON_AddArrayToObject(j, "tables");
	struct buf out;
	bool ok = tables != NULL && json_add_string(j, "from", c->from.address) &&
		  json_add_string(j, "to", c->to.address) && cJSON_AddBoolToObject(j, "same", c->same) != NULL &&
		  json_add_integer(j, "mended", c->mended);

	for (size_t i = 0; i < COPY_TABLES && ok && c->sums_from[i].digest[0] != '\0'; i++) {
		const struct copy_sum *a = &c->sums_from[i], *b = &c->sums_to[i];
		cJSON *t = cJSON_CreateObject();
		ok = t != NULL && cJSON_AddItemToArray(tables, t) && json_add_string(t, "table", copy_tables[i].name) &&
		     cJSON_AddBoolToObject(t, "same", copy_same(a, b)) != NULL &&
		     json_add_integer(t, "rows", a->rows) && json_add_string(t, "sha256", a->digest) &&
		     json_add_integer(t, "to_rows", b->rows) && json_add_string(t, "to_sha256", b->digest);
	}
	buf_init(&out, COPY_JSON_BYTES);
	ok = ok && json_print(j, &out) && buf_ok(&out);
	if (ok)
		(void)puts(out.p);
	buf_release(&out);
	return ok ? MH_OK : mh_fail(err, MH_RETRY, "the copy is made, and there is no memory to tell of it");
}

/* -- back ---------------------------------------------------------------------------------------------------------- */

/* First paused, with effects held, for what the other one did meanwhile is not in here; then in use. */
static enum mh_status
take_back(struct copying *c, const char *by, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	char why[160], shown[100];

	if (c->from.use == LEDGER_IN_USE)
		return mh_fail(err, MH_BAD, "it was not moved: there is nothing to take back");
	if (c->from.use == LEDGER_COMING)
		return mh_fail(err, MH_BAD, "it is an unfinished copy of %s: run that again, or remove it",
		    mh_escape(shown, sizeof(shown), span_of(c->from.other)));
	(void)snprintf(why, sizeof(why), "it was moved to %s, and does not know what was done there",
	    mh_escape(shown, sizeof(shown), span_of(c->from.other)));
	c->w.db = c->from.db;
	enum mh_status status = mark_pause(&c->w, why, clock_now(), err);
	c->w.db = NULL;
	if (status == MH_OK)
		status = db_tx_begin(c->from.db, &tx, err);
	if (status == MH_OK)
		status = ledger_event_add(c->from.db, 0, clock_now(), "taken back", by, c->from.other, NULL, err);
	if (status == MH_OK)
		status = ledger_use_set(c->from.db, LEDGER_IN_USE, NULL, clock_now(), err);
	if (status == MH_OK)
		status = db_tx_commit(&tx, err);
	if (status == MH_OK && !c->o->json)
		(void)printf(
		    "%s is in use again, and paused; nothing may work with %s any more\n", c->from.address, shown);
	return status;
}

static enum mh_status
print_back(const struct copying *c, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	struct buf out;

	buf_init(&out, COPY_JSON_BYTES);
	const bool ok = j != NULL && json_add_string(j, "taken_back", c->from.address) &&
			json_add_string(j, "from", c->from.other) && json_print(j, &out) && buf_ok(&out);
	if (ok)
		(void)puts(out.p);
	buf_release(&out);
	return ok ? MH_OK : mh_fail(err, MH_RETRY, "it is taken back, and there is no memory to tell of it");
}

/* -- the command --------------------------------------------------------------------------------------------------- */

static enum mh_status
begin(struct copying *c, struct mh_err *err)
{
	enum mh_status status = work_load(&c->w, c->o->config, err);

	if (status == MH_OK && same_ledger(c->from.address, c->to.address))
		status = mh_fail(err, MH_BAD, "FROM and TO are the same");
	if (status == MH_OK && c->to.address != NULL && span_starts(span_of(c->to.address), MH_LIT("sqlite:")))
		status = owner_may_work(c->w.conf->state_dir, err);
	if (status == MH_OK)
		status = lock_folder(c, c->w.conf->state_dir, false, err);
	if (status == MH_OK)
		status = lock_side(c, &c->from, err);
	return status == MH_OK && c->to.address != NULL ? lock_side(c, &c->to, err) : status;
}

static void
release(struct copying *c)
{
	db_close(c->from.db);
	db_close(c->to.db);
	for (size_t i = 0; i < c->n_locks; i++)
		(void)close(c->locks[i]);
	arena_release(&c->arena);
	work_release(&c->w);
}

int
copy_command(const struct options *o)
{
	struct copying c = { .o = o };
	struct mh_err err = { 0 };
	char by[100];

	c.from.address = o->undo != NULL ? o->undo : o->operands[1];
	c.to.address = o->undo != NULL ? NULL : o->operands[2];
	arena_init(&c.arena, COPY_ARENA_BYTES);
	who_steers(by, sizeof(by));
	enum mh_status status = begin(&c, &err);
	if (status == MH_OK && o->undo != NULL) {
		status = open_side(&c, &c.from, false, &err);
		if (status == MH_OK)
			status = take_back(&c, by, &err);
		if (status == MH_OK && o->json)
			status = print_back(&c, &err);
		c.same = true;
	} else if (status == MH_OK) {
		status = copy(&c, by, &err);
		end_progress(&c);
		if (status == MH_OK && o->json)
			status = print_json(&c, &err);
		else if (status == MH_OK)
			print_text(&c);
	}
	if (status != MH_OK)
		work_log("%s", err.text);
	else if (!c.same)
		work_log(
		    "THE COPY IS NOT THE SAME: it must not be used. FROM is as it was; remove TO, then copy again");
	const bool differs = status == MH_OK && !c.same;
	release(&c);
	return differs ? EXIT_ATTENTION : work_exit(status);
}
