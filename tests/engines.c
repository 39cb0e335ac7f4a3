/* engines.c: see engines.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "mailhook/work/ledger/engine.h"
#include "tests/engines.h"

static const char *
server_url(void)
{
	const char *url = getenv("MAILHOOK_TEST_POSTGRESQL");

	return url != NULL && url[0] != '\0' ? url : NULL;
}

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
	char sql[80], name[40];

	if (!engines_server()) {
		assert_true(snprintf(dst, ENGINES_ADDRESS, "sqlite:%s/ledger.db", dir) < ENGINES_ADDRESS);
		return;
	}
	(void)snprintf(name, sizeof(name), "room_%ld_%d", (long)getpid(), ++made);
	(void)snprintf(sql, sizeof(sql), "CREATE SCHEMA %s", name);
	if (engine->open(server_url(), &o, &db, &err) != MH_OK || db_exec(db, sql, &err) != MH_OK)
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
