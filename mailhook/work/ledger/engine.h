/* engine.h: which engine keeps the ledger that a configuration names. */
#ifndef MAILHOOK_WORK_LEDGER_ENGINE_H
#define MAILHOOK_WORK_LEDGER_ENGINE_H

#include "mailhook/work/ledger/db.h"

/* The engine of "sqlite:PATH" or "postgresql://...", and what its open() takes as where. The second is loaded from the
 * folder libexec, once a process.
 *   errors  MH_BAD: another word, or the module or a library that it needs is not there */
enum mh_status engine_of(
    const char *ledger, const char *libexec, const struct db_engine **ret, const char **ret_where, struct mh_err *err);

#endif
