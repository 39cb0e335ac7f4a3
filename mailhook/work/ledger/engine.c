/* engine.c: see engine.h. */
#include "mailhook/work/ledger/engine.h"

#include <dlfcn.h>
#include <stdio.h>

/* Never unloaded: libpq and what it stands on leave things behind that run at the process's end. */
static enum mh_status
load(const char *libexec, const struct db_engine **ret, struct mh_err *err)
{
	char path[4096];
	const int n = snprintf(path, sizeof(path), "%s/ledger-postgresql.so", libexec);

	if (n <= 0 || (size_t)n >= sizeof(path))
		return mh_fail(err, MH_BAD, "the name of the folder of our programs is too long");
	void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	const struct db_engine *engine = module == NULL ? NULL : dlsym(module, "postgresql_engine");
	if (engine == NULL) /* the library that is missing stands first in its words, or the module's name does */
		return mh_fail(err, MH_BAD, "ledger: PostgreSQL needs libpq5: %s", dlerror());
	*ret = engine;
	return MH_OK;
}

enum mh_status
engine_of(
    const char *ledger, const char *libexec, const struct db_engine **ret, const char **ret_where, struct mh_err *err)
{
	const struct mh_span s = span_of(ledger), sqlite = MH_LIT("sqlite:");

	if (span_starts(s, sqlite)) {
		*ret_where = span_from(s, sqlite.n).p;
		*ret = &sqlite_engine;
		return MH_OK;
	}
	if (!span_starts(s, MH_LIT("postgresql://"))) /* its words are not shown: a URL may hold a secret */
		return mh_fail(err, MH_BAD, "ledger: only sqlite:PATH and postgresql://... are known");
	*ret_where = ledger;
	return load(libexec, ret, err);
}
