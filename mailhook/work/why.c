/* why.c: words for a person about cases and jobs. */
#include <stdio.h>
#include <string.h>

#include "mailhook/work/case.h"
#include "mailhook/work/job.h"

enum trust_level
case_trust(const struct case_row *c)
{
	return c->approved_by != NULL && (c->trust == TRUST_RELAYED || c->vouched) ? TRUST_VERIFIED : c->trust;
}

bool
case_is_drill(const struct case_row *c)
{
	return c->reason != NULL && strcmp(c->reason, CASE_DRILL) == 0;
}

void
case_words(const struct case_row *c, struct buf *out)
{
	char t[MH_TIME_TEXT];

	buf_puts(out, c->kind);
	if (c->account != NULL)
		buf_printf(out, ", account %s", c->account);
	if (c->region != NULL)
		buf_printf(out, ", %s", c->region);
	if (c->resource != NULL)
		buf_printf(out, ", %s", c->resource);
	if (c->has_expires)
		buf_printf(out, ", expires %s%s", time_text(t, c->expires),
		    c->precision == MH_DERIVED ? " (counted from days)" : "");
	if (c->reason != NULL)
		buf_printf(out, ": %s", c->reason);
}

const char *
job_why(const struct job_row *j, const struct case_row *c, char *dst, size_t dst_bytes)
{
	char t[MH_TIME_TEXT];

	if (j->state == JOB_QUEUED) {
		(void)snprintf(
		    dst, dst_bytes, j->has_retrying ? "tried again at %s" : "its turn is at %s", time_text(t, j->due));
		return dst;
	}
	if (j->state != JOB_WAITING)
		return NULL;
	switch (j->waiting_for) {
	case JOB_WAIT_NONE:
		return NULL;
	case JOB_WAIT_TIME:
		(void)snprintf(dst, dst_bytes, "looks again at %s", j->has_due ? time_text(t, j->due) : "no set time");
		break;
	case JOB_WAIT_APPROVAL:
		(void)snprintf(dst, dst_bytes, "%swaits until a person approves: mailhook approve %lld",
		    c->ambiguous ? "a notice fits several cases, so it " : "", (long long)c->id);
		break;
	case JOB_WAIT_INPUT:
		(void)snprintf(
		    dst, dst_bytes, "waits for what only a person can give: mailhook handover %lld", (long long)c->id);
		break;
	case JOB_WAIT_TRUST:
		(void)snprintf(dst, dst_bytes, "needs a %s notice, and this case is %s", trust_names[j->needs],
		    trust_names[case_trust(c)]);
		break;
	case JOB_WAIT_AFTER:
		if (j->has_due)
			(void)snprintf(
			    dst, dst_bytes, "comes after the jobs before it, or at %s", time_text(t, j->due));
		else
			(void)snprintf(dst, dst_bytes, "comes after the jobs before it");
		break;
	}
	return dst;
}
