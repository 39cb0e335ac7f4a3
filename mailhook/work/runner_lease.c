/* runner_lease.c: keeps the leases of what runs, ends it before a lease can end, and takes back what others lost. */
#include <stdio.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/work/runner_impl.h"

static int64_t
lease_ms(void)
{
	return INT64_C(1000) * ledger_lease_s();
}

struct lease_row
runner_run(const struct running *p)
{
	return (struct lease_row){ p->job_id, p->attempt, p->runner->w->owner };
}

/* The keeper was killed: another one, which is told of all that runs. */
static enum mh_status
keep_anew(struct runner *r, struct mh_err *err)
{
	fence_close(r->fence);
	r->fence = NULL;
	enum mh_status status = fence_open(&r->fence, err);
	for (size_t i = 0; i < r->n && status == MH_OK; i++)
		if (r->places[i].launch != NULL && r->places[i].job_id != 0)
			status = fence_set(r->fence, launch_group(r->places[i].launch), r->places[i].fence_at_ms, err);
	return status;
}

/* A twelfth is left for the kill itself, and for clocks of which one runs a little faster. */
enum mh_status
runner_hold(struct running *p, int64_t since_ms, struct mh_err *err)
{
	struct runner *r = p->runner;

	p->renew_at_ms = since_ms + lease_ms() / 3;
	if (r->w->db->engine->local || p->launch == NULL)
		return MH_OK;
	p->fence_at_ms = since_ms + lease_ms() * 11 / 12;
	if (r->fence != NULL && fence_set(r->fence, launch_group(p->launch), p->fence_at_ms, err) == MH_OK)
		return MH_OK;
	return keep_anew(r, err);
}

void
runner_let_go(struct running *p)
{
	struct mh_err err = { 0 };

	if (p->launch != NULL && p->job_id != 0 && p->runner->fence != NULL)
		(void)fence_set(p->runner->fence, launch_group(p->launch), FENCE_NEVER, &err);
}

bool
runner_fenced(const struct running *p)
{
	return !p->runner->w->db->engine->local && clock_boot_ms() >= p->fence_at_ms;
}

enum mh_status
runner_renew(struct running *p, struct mh_err *err)
{
	const struct lease_row lease = runner_run(p);
	const int64_t since = clock_boot_ms();
	const enum mh_status status = ledger_lease_renew(p->runner->w->db, &lease, err);

	if (status == MH_OK)
		return runner_hold(p, since, err);
	p->renew_at_ms = since + lease_ms() / 12;
	return status;
}

/* -- taking back --------------------------------------------------------------------------------------------------- */

static bool
is_ours(const struct runner *r, int64_t job_id)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->places[i].launch != NULL && r->places[i].job_id == job_id)
			return true;
	return false;
}

enum mh_status
runner_take_back(struct runner *r, int64_t now, struct arena *a, struct mh_err *err)
{
	struct lease_rows lapsed = { 0 };
	enum mh_status status = ledger_leases_lapsed(r->w->db, a, &lapsed, err);

	for (size_t i = 0; i < lapsed.n && status == MH_OK; i++) {
		const struct lease_row *l = &lapsed.items[i];
		char why[120];

		if (is_ours(r, l->job_id))
			continue; /* its outcome is still to be written */
		if (span_iends(span_of(l->owner), MH_LIT(LEDGER_HANDOVER)))
			(void)snprintf(why, sizeof(why), "the handover was broken off");
		else
			(void)snprintf(why, sizeof(why), "node %.*s did not renew its lease",
			    (int)strcspn(l->owner, "/"), l->owner);
		status = job_requeue(r->w, l, true, why, now, err);
	}
	return status;
}
