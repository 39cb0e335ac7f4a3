/* runner_claim.c: names that an action claims for its case, in the ledger and under the job's lease. */
#include "mailhook/clock.h"
#include "mailhook/work/ledger/claims.h"
#include "mailhook/work/ledger/leases.h"
#include "mailhook/work/runner_impl.h"

enum asked { ASKED_CLAIM, ASKED_RELEASE };

/* What is read holds until the commit, so that of two cases only one is told that a name is its own; and whoever has lost
 * the lease is told nothing. The same again after a commit whose answer was lost comes to the same. */
static enum mh_status
ask_once(const struct running *p, enum asked what, const char *name, char held[CLAIM_HELD_BYTES], struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct work *w = p->runner->w;
	const struct lease_row lease = runner_run(p);
	bool lapsed = false;
	enum mh_status status = db_tx_begin(w->db, &tx, err);

	if (status == MH_OK)
		status = ledger_lease_look(w->db, &lease, &lapsed, err);
	if (status == MH_SKIP || (status == MH_OK && lapsed))
		return mh_fail(err, MH_BAD, "the job's lease is not ours any more");
	if (status == MH_OK && what == ASKED_CLAIM)
		status = ledger_claim_take(w->db, name, p->case_id, p->action, clock_now(), held, err);
	else if (status == MH_OK)
		status = ledger_claim_drop(w->db, name, p->case_id, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

static enum mh_status
ask(const struct running *p, enum asked what, const char *name, char held[CLAIM_HELD_BYTES])
{
	struct mh_err err = { 0 };
	int tries = 0;
	enum mh_status status;

	do {
		status = ask_once(p, what, name, held, &err);
	} while (db_again(p->runner->w->db, status, &tries));
	if (status != MH_OK && status != MH_SKIP)
		runner_tell(
		    LOG_WARNING, p, NULL, "%s: %s", what == ASKED_CLAIM ? "no claim" : "nothing let go", err.text);
	return status;
}

enum claim_answer
runner_on_claim(void *user, const char *name, char held[CLAIM_HELD_BYTES])
{
	const struct running *p = user;

	if (p->observed)
		return CLAIM_LOST; /* as with a checkpoint: there is no effect to claim it for */
	switch (ask(p, ASKED_CLAIM, name, held)) {
	case MH_OK:
		return CLAIM_OURS;
	case MH_SKIP:
		return CLAIM_HELD;
	case MH_RETRY:
	case MH_BAD:
	case MH_LIMIT:
		return CLAIM_LOST;
	}
	return CLAIM_LOST;
}

bool
runner_on_release(void *user, const char *name)
{
	const struct running *p = user;

	return !p->observed && ask(p, ASKED_RELEASE, name, NULL) == MH_OK;
}
