/* use.h: whether a ledger is the one to work with: not one whose rows went to another, nor one that they are coming into.
 *
 * The number of the schema in "meta" says it, by its sign: what is out of use has a negative one, so every program
 * refuses it, also one of another version, and PostgreSQL's begin() refuses it to a worker that had opened it before.
 */
#ifndef MAILHOOK_WORK_LEDGER_USE_H
#define MAILHOOK_WORK_LEDGER_USE_H

#include "mailhook/work/ledger/ledger.h"

enum ledger_use {
	LEDGER_IN_USE,
	LEDGER_MOVED, /* its rows are in another ledger, which goes on */
	LEDGER_COMING /* rows of another are copied into it, and nothing proved yet that they are all there */
};

/* *ret_other: the address of the other one, *ret_at: when; both NULL where it is in use. */
enum mh_status ledger_use(struct db *db, struct arena *a, enum ledger_use *ret, const char **ret_other,
    const char **ret_at, struct mh_err *err);
/* Within a transaction. other is not read for LEDGER_IN_USE. */
enum mh_status ledger_use_set(struct db *db, enum ledger_use use, const char *other, int64_t now, struct mh_err *err);
/* Says in err why it is not to be worked with; MH_BAD. */
enum mh_status ledger_use_refuse(struct db *db, const char *where, struct mh_err *err);

#endif
