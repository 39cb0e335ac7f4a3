/* engines.c: see engines.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <ftw.h>
#include <unistd.h>

#include "mailhook/work/ledger/engine.h"
#include "tests/engines.h"

static const char *
server_url(void)
{
	const char *url = getenv("MAILHOOK_TEST_POSTGRESQL");

	return url != NULL && url[0] != '\0' ? url : NULL;
}

/* What tests ask SQLite, and by the same words a server. */
static const char functions[] =
    "CREATE FUNCTION strftime(text, text) RETURNS bigint LANGUAGE sql AS "
    "'SELECT CAST(extract(epoch FROM CAST($2 AS timestamptz)) AS bigint)';"
    "CREATE FUNCTION joined(text, text, text) RETURNS text LANGUAGE sql AS "
    "'SELECT CASE WHEN $1 IS NULL THEN $2 WHEN $2 IS NULL THEN $1 ELSE $1 || $3 || $2 END';"
    "CREATE FUNCTION joined(text, text) RETURNS text LANGUAGE sql AS "
    "'SELECT CASE WHEN $1 IS NULL THEN $2 WHEN $2 IS NULL THEN $1 ELSE $1 || '','' || $2 END';"
    "CREATE AGGREGATE group_concat(text, text) (SFUNC = joined, STYPE = text);"
    "CREATE AGGREGATE group_concat(text) (SFUNC = joined, STYPE = text);";

bool
engines_server(void)
{
	return server_url() != NULL;
}

const struct db_engine *
engines_engine(void)
{
	const struct db_engine *engine = NULL;
	const char *where = NULL;
	struct mh_err err = { 0 };

	if (engine_of(engines_server() ? server_url() : "sqlite:/x", BUILD_DIR "/libexec/mailhook", &engine, &where,
		&err) != MH_OK)
		fail_msg("%s", err.text);
	return engine;
}

void
engines_address(const char *dir, char dst[ENGINES_ADDRESS])
{
	static int made;
	const struct db_engine *engine = engines_engine();
	const struct db_options o = { .create = true, .busy_ms = 10000 };
	struct mh_err err = { 0 };
	struct db *db = NULL;
	char sql[120], name[40];

	if (!engines_server()) {
		assert_true(snprintf(dst, ENGINES_ADDRESS, "sqlite:%s/ledger.db", dir) < ENGINES_ADDRESS);
		return;
	}
	(void)snprintf(name, sizeof(name), "room_%ld_%d", (long)getpid(), ++made);
	(void)snprintf(sql, sizeof(sql), "CREATE SCHEMA %s; SET search_path = %s", name, name);
	if (engine->open(server_url(), &o, &db, &err) != MH_OK || db_exec(db, sql, &err) != MH_OK ||
	    db_exec(db, functions, &err) != MH_OK)
		fail_msg("%s: %s", name, err.text);
	db_close(db);
	assert_true(snprintf(dst, ENGINES_ADDRESS, "%s%coptions=-csearch_path%%3D%s", server_url(),
			strchr(server_url(), '?') == NULL ? '?' : '&', name) < ENGINES_ADDRESS);
}

const char *
engines_where(const char *address)
{
	return engines_server() ? address : address + sizeof("sqlite:") - 1;
}

void
engines_renew(struct db *db)
{
	/* a table before those that it points at */
	static const char *const tables[] = { "mailbox_leases", "claims", "refusals", "nodes", "pauses", "renewals",
		"approvals", "credentials", "jobs", "events", "notices", "cases", "verifications", "messages" };
	static const char *const counted[] = { "approvals", "jobs", "events", "notices", "cases", "verifications",
		"messages" };
	struct mh_err err = { 0 };
	struct buf sql;

	buf_init(&sql, 4096);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		buf_printf(&sql, "DELETE FROM %s;", tables[i]);
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		buf_printf(&sql, "SELECT setval('%s_id_seq', 1, false);", counted[i]);
	buf_puts(&sql, "DELETE FROM meta WHERE name <> 'schema'; UPDATE meta SET value = '1';"
		       "INSERT INTO meta VALUES ('seed', md5(random()::text)), ('identity', md5(random()::text))");
	if (db_exec(db, sql.p, &err) != MH_OK)
		fail_msg("%s", err.text);
	buf_release(&sql);
}

int64_t
engines_number(struct db *db, const char *sql)
{
	struct mh_err err = { 0 };
	int64_t n = -1;

	if (db_one(db, sql, NULL, 0, &n, &err) != MH_OK)
		fail_msg("%s: %s", sql, err.text);
	return n;
}

static int
remove_one(const char *path, const struct stat *sb, int type, struct FTW *f)
{
	(void)sb;
	(void)type;
	(void)f;
	return remove(path);
}

void
engines_remove(const char *dir)
{
	assert_int_equal(nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}
