/* use.c: see use.h. */
#include "mailhook/work/ledger/use.h"

#include <stdio.h>
#include <string.h>

#define USE_ARENA_BYTES 65536

/* The name of its row in "meta": "TIME ADDRESS". */
static const char *const names[] = { [LEDGER_MOVED] = "moved", [LEDGER_COMING] = "coming" };

static enum mh_status
read_row(struct db *db, struct arena *a, enum ledger_use use, const char **ret_other, const char **ret_at,
    struct mh_err *err)
{
	const char *value = NULL;
	struct mh_span at;
	enum mh_status status = ledger_meta_get(db, names[use], a, &value, err);
	const char *space = value == NULL ? NULL : strchr(value, ' ');

	if (status != MH_OK || space == NULL)
		return status == MH_OK ? MH_SKIP : status;
	status = arena_copy(a, (struct mh_span){ value, (size_t)(space - value) }, &at, err);
	if (status != MH_OK)
		return mh_fail(err, MH_RETRY, "no memory for a row of the ledger");
	*ret_at = at.p;
	*ret_other = space + 1;
	return MH_OK;
}

enum mh_status
ledger_use(struct db *db, struct arena *a, enum ledger_use *ret, const char **ret_other, const char **ret_at,
    struct mh_err *err)
{
	*ret_other = *ret_at = NULL;
	for (enum ledger_use use = LEDGER_MOVED; use <= LEDGER_COMING; use++) {
		const enum mh_status status = read_row(db, a, use, ret_other, ret_at, err);
		if (status == MH_OK)
			*ret = use;
		if (status != MH_SKIP)
			return status;
	}
	*ret = LEDGER_IN_USE;
	return MH_OK;
}

enum mh_status
ledger_use_set(struct db *db, enum ledger_use use, const char *other, int64_t now, struct mh_err *err)
{
	char number[24], t[MH_TIME_TEXT];
	struct buf value;

	buf_init(&value, USE_ARENA_BYTES);
	(void)snprintf(number, sizeof(number), "%d", use == LEDGER_IN_USE ? LEDGER_SCHEMA : -LEDGER_SCHEMA);
	enum mh_status status = ledger_meta_set(db, "schema", number, err);
	if (status == MH_OK)
		status = db_exec(db, "DELETE FROM meta WHERE name IN ('moved', 'coming')", err);
	if (status == MH_OK && use != LEDGER_IN_USE) {
		buf_printf(&value, "%s %s", time_text(t, now), other);
		status = buf_ok(&value) ? ledger_meta_set(db, names[use], value.p, err)
					: mh_fail(err, MH_RETRY, "no memory for a row of the ledger");
	}
	buf_release(&value);
	return status;
}

enum mh_status
ledger_use_refuse(struct db *db, const char *where, struct mh_err *err)
{
	struct arena a;
	enum ledger_use use = LEDGER_IN_USE;
	const char *other, *at;
	char shown[64], cut[36]; /* the whole advice must fit */

	arena_init(&a, USE_ARENA_BYTES);
	enum mh_status status = ledger_use(db, &a, &use, &other, &at, err);
	if (status == MH_OK && use == LEDGER_MOVED)
		status =
		    mh_fail(err, MH_BAD, "ledger: moved to %s: set that, or back: 'mailhook ledger copy --undo %s%s'",
			mh_escape(cut, sizeof(cut), span_of(other)), db->engine->local ? "sqlite:" : "", where);
	else if (status == MH_OK && use == LEDGER_COMING)
		status = mh_fail(err, MH_BAD, "ledger: an unfinished copy of %s: run 'mailhook ledger copy' again",
		    mh_escape(shown, sizeof(shown), span_of(other)));
	else if (status == MH_OK)
		status = mh_fail(err, MH_BAD, "ledger: it says that it is out of use, and not why");
	arena_release(&a);
	return status;
}
