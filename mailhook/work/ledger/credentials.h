/* credentials.h: what actions told of the credentials that they themselves use.
 *
 * Errors of all: those of db.h. None starts a transaction.
 */
#ifndef MAILHOOK_WORK_LEDGER_CREDENTIALS_H
#define MAILHOOK_WORK_LEDGER_CREDENTIALS_H

#include "mailhook/work/ledger/ledger.h"

struct credential_row {
	const char *action, *name;
	bool has_expires;
	int64_t expires;
	enum mh_precision precision; /* MH_SECOND or MH_DAY */
	int64_t told, asked;
};
struct credential_rows {
	struct credential_row *items;
	size_t n, cap;
};

/* By action and name. */
enum mh_status ledger_credentials(struct db *db, struct arena *a, struct credential_rows *ret, struct mh_err *err);
/* Writes it, new or over what was told before of that action and name. MH_LIMIT: the action has MH_MAX_ACTION_CREDENTIALS
 * others. */
enum mh_status ledger_credential_put(struct db *db, const struct credential_row *c, struct mh_err *err);
/* The action's check is started to hear of them again. */
enum mh_status ledger_credentials_asked(struct db *db, const char *action, int64_t now, struct mh_err *err);
/* Those of the action that were told before that instant go, where at least one was told since; INT64_MAX: all go. */
enum mh_status ledger_credentials_forget(struct db *db, const char *action, int64_t before, struct mh_err *err);
/* The action that is to be asked again: the one that was asked longest ago, before that instant or after now. MH_SKIP:
 * none. */
enum mh_status ledger_credentials_stale(
    struct db *db, int64_t before, int64_t now, struct arena *a, const char **ret_action, struct mh_err *err);

#endif
