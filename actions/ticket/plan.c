/* plan.c: what an event does to a ticket. A person's word stands: what a person closed stays closed, and is not
 * reminded of; a priority is raised, never lowered. */
#include "actions/ticket/ticket.h"

static enum ticket_priority
by_days(const struct request *r, const struct ticket_limits *l)
{
	if (!r->expiry.has_expires)
		return PRIORITY_NORMAL;
	if (r->expiry.days_left <= l->urgent_days)
		return PRIORITY_URGENT;
	return r->expiry.days_left <= l->high_days ? PRIORITY_HIGH : PRIORITY_NORMAL;
}

struct ticket_plan
ticket_plan(const struct request *r, const struct ticket_limits *l, const struct ticket_ref *found, bool resumed)
{
	const bool still_open = found == NULL || found->open;
	struct ticket_plan p = { .priority = by_days(r, l) };

	switch (r->event) {
	case EVENT_OPENED:
		p.open = found == NULL;
		/* One that another job had opened: the ledger is newer than the ticket. */
		p.comment = found != NULL && !found->of_job && !resumed;
		break;
	case EVENT_TRUSTED:
	case EVENT_APPROVED:
		p.open = found == NULL;
		p.comment = true;
		break;
	case EVENT_REMINDED:
		p.open = found == NULL;
		p.comment = p.raise = still_open;
		break;
	case EVENT_SUCCEEDED:
	case EVENT_CLOSED:
		p.comment = found != NULL;
		p.close = found != NULL && still_open;
		break;
	case EVENT_FAILED:
		p.open = found == NULL;
		p.comment = true;
		p.raise = still_open;
		if (p.priority < PRIORITY_HIGH)
			p.priority = PRIORITY_HIGH;
		break;
	case EVENT_EXPIRED:
		p.open = found == NULL;
		p.comment = true;
		p.raise = still_open;
		p.priority = PRIORITY_URGENT;
		break;
	}
	return p;
}
