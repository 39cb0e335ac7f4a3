/* upkeep.c: what the worker does for its ledger once in a while. */
#include "mailhook/work/upkeep.h"

#include "mailhook/work/ledger/upkeep.h"
#include "mailhook/work/node.h"

#define PURGE_AT_ONCE 500      /* rows of one transaction: others wait for it */
#define VACUUM_FROM_PERCENT 25 /* the worker rewrites the whole file only where that is worth it */

static struct purge
what_goes(const struct work *w, int64_t now)
{
	return (struct purge){ .mail_before = now - w->conf->keep_mail_s,
		.cases_before = w->conf->keep_cases_s == 0 ? INT64_MIN : now - w->conf->keep_cases_s };
}

static enum mh_status
give_back(struct work *w, int64_t from_percent, struct mh_err *err)
{
	int64_t empty = 0;
	const enum mh_status status = ledger_empty_percent(w->db, &empty, err);

	return status == MH_OK && empty >= from_percent ? ledger_vacuum(w->db, err) : status;
}

static enum mh_status
note_purge(struct work *w, int64_t now, struct mh_err *err)
{
	char t[MH_TIME_TEXT];

	return ledger_meta_set(w->db, "purged", time_text(t, now), err);
}

enum mh_status
upkeep_purge(struct work *w, int64_t now, bool vacuum, struct purged *ret, struct mh_err *err)
{
	struct purge p = what_goes(w, now);
	bool more = true;
	enum mh_status status = node_clock(w, err);

	if (status == MH_SKIP)
		return mh_fail(err, MH_RETRY, "nothing is purged by a wrong clock: %s", err->text);
	while (status == MH_OK && more)
		status = ledger_purge(w->db, PURGE_AT_ONCE, &p, &more, err);
	*ret = (struct purged){ p.messages, p.cases };
	if (status == MH_OK)
		status = note_purge(w, now, err);
	return status == MH_OK ? give_back(w, vacuum ? 0 : VACUUM_FROM_PERCENT, err) : status;
}

/* When the last one was; false: not known. A clock that was set back makes it due. */
static enum mh_status
purge_due(struct work *w, int64_t now, bool *ret_known, bool *ret_due, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	int64_t last = 0;
	enum mh_status status = db_query(w->db, "SELECT value FROM meta WHERE name = 'purged'", NULL, 0, &rows, err);

	*ret_known = false;
	if (status == MH_OK)
		status = db_step(rows, err);
	if (status == MH_OK)
		status = db_get_time(rows, 0, ret_known, &last, err);
	*ret_due = *ret_known && (now - last >= MH_DAY_S || now < last);
	return status == MH_SKIP ? MH_OK : status;
}

enum mh_status
upkeep_round(struct work *w, int64_t now, bool *ret_more, struct mh_err *err)
{
	bool known = true, due = false, more = false;
	struct purge p = what_goes(w, now);
	struct mh_err own = { 0 };
	enum mh_status status = w->clock_off ? MH_SKIP : purge_due(w, now, &known, &due, err);

	*ret_more = false;
	if (status == MH_OK && (due || !known)) /* it may have been set since the last sign of life */
		status = node_clock(w, err);
	if (status == MH_SKIP) { /* another node does it */
		known = true;
		due = false;
		status = MH_OK;
	}
	if (status == MH_OK && due)
		status = ledger_purge(w->db, PURGE_AT_ONCE, &p, &more, err);
	if (status == MH_OK && (!known || (due && !more)))
		status = note_purge(w, now, err);
	if (status == MH_OK && due && !more)
		status = give_back(w, VACUUM_FROM_PERCENT, err);
	if (p.messages + p.cases > 0)
		work_log("purged: the mail of %zu messages, and %zu cases", p.messages, p.cases);
	*ret_more = status == MH_OK && more;
	/* a mark that stays behind only notices less; that it does is told once */
	const bool told = w->mark_again_ms != 0;
	if (status == MH_OK && mark_write(w, &own) != MH_OK && !told)
		work_log("%s", own.text);
	return status;
}
