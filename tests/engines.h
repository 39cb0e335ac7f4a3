/* engines.h: the ledger of a test, on the engine that the environment names: a file, or a schema of its own on a server.
 *
 * Where MAILHOOK_TEST_POSTGRESQL is the URL of a database that we own, ledgers are made there; else in a file below the
 * test's folder.
 */
#ifndef MAILHOOK_TESTS_ENGINES_H
#define MAILHOOK_TESTS_ENGINES_H

#include "mailhook/work/ledger/db.h"

#define ENGINES_ADDRESS 512

bool engines_server(void); /* the engine is a server's */
const struct db_engine *engines_engine(void);
/* A place that is empty: an address as "ledger" of a configuration has it. dir: the test's own folder. */
void engines_address(const char *dir, char dst[ENGINES_ADDRESS]);
/* What the engine's open() takes of that address. */
const char *engines_where(const char *address);

/* Makes a ledger on a server as good as new, for the next test: that is quicker than to make one. */
void engines_renew(struct db *db);

/* The number that is the first column of the one row. */
int64_t engines_number(struct db *db, const char *sql);
void engines_remove(const char *dir); /* the test's folder, with all that is in it */

#endif
