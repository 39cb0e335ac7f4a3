/* runner_look.c: whether a ledger is still the one that confirmed what runs here.
 *
 * Claims and checkpoints are no events, so the mark (mark.c) knows nothing of them. A standby that had not heard of
 * them yet and took over would have their jobs begin anew, behind effects that have happened.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/work/runner_impl.h"
#include "mailhook/work/upkeep.h"

/* Only of text that a server gives back as it was given. */
void
runner_confirmed(struct running *p, struct mh_span state)
{
	struct mh_err err = { 0 };

	if (memchr(state.p, '\0', state.n) != NULL || !utf8_valid(state) ||
	    digest_fields(&state, 1, p->confirmed, &err) != MH_OK)
		p->confirmed[0] = '\0';
}

/* A run whose lease has ended may be another's by now, which counts it as one more. The same run has its last checkpoint,
 * whether it is queued again or paused. */
static enum mh_status
look_at(const struct running *p, bool *ret_there, struct mh_err *err)
{
	MH_AUTO(db_rows_drop) struct db_rows *rows = NULL;
	char now[DIGEST_HEX];
	enum mh_status status = db_query(p->runner->w->db, "SELECT attempt, action_state FROM jobs WHERE id = $1",
	    DB_ARGS(db_int(p->job_id)), &rows, err);

	if (status == MH_OK)
		status = db_step(rows, err);
	*ret_there = status == MH_OK && db_get_int(rows, 0) >= p->attempt;
	if (status == MH_SKIP)
		return MH_OK;
	if (status != MH_OK || !*ret_there || db_get_int(rows, 0) > p->attempt || p->confirmed[0] == '\0')
		return status;
	const struct mh_span state = db_get_bytes(rows, 1);
	status = digest_fields(&state, 1, now, err);
	*ret_there = status == MH_OK && strcmp(now, p->confirmed) == 0;
	return status;
}

/* Called in the midst of whatever had the connection made: it only looks, and the next renewal ends what has no lease. */
enum mh_status
runner_look(struct runner *r, int64_t now, struct mh_err *err)
{
	enum mh_status status = MH_OK;
	int64_t case_id = 0;

	for (size_t i = 0; i < r->n && status == MH_OK; i++) {
		struct running *p = &r->places[i];
		bool there = true;

		if (p->launch == NULL || p->job_id == 0 || p->ended || p->forgotten)
			continue;
		status = look_at(p, &there, err);
		if (status != MH_OK || there)
			continue;
		p->forgotten = true;
		p->renew_at_ms = 0;
		case_id = p->case_id;
	}
	if (status != MH_OK || case_id == 0)
		return status;
	char why[120];
	(void)snprintf(why, sizeof(why),
	    "it is an older copy of the one that was at work here: it lacks what it confirmed of case %" PRId64,
	    case_id);
	return mark_pause(r->w, why, now, err);
}
