/* describe.c: what would be done, and that it could be: reading only. */
#include <inttypes.h>
#include <string.h>

#include "actions/rotate/machine.h"

static void
say_steps(struct run *r)
{
	const bool hand = run_by_hand(r);

	say(r->protocol, "1. %s",
	    hand ? "ask for a new token: a person makes it in the console and hands it over (mailhook handover)"
		 : "make a new token by API, beside the old one");
	say(r->protocol, "2. prove it: SCIM ServiceProviderConfig and one user of %s", r->conf.place.endpoint);
	say(r->protocol,
	    "3. save it in the identity provider (%s) after its own test, and see that what is saved works",
	    r->conf.idp->name);
	say(r->protocol, "4. wait for a synchronisation that begins after that and goes well");
	say(r->protocol, "5. %s",
	    hand ? "ask for the old token's deletion in the console, and for a person's word"
	    : r->conf.approval == APPROVAL_AUTO ? "delete the old token"
						: "ask a person, then delete the old token");
}

/* MH_OK: what was read goes on to the summary. */
static enum mh_status
look_at_aws(struct run *r, struct mh_err *err)
{
	struct aws_tokens t = { .n = 0 };
	char ends[MH_TIME_TEXT];

	if (run_by_hand(r))
		return MH_OK;
	enum mh_status status = r->conf.aws->locate(r->aws, err);
	if (status == MH_OK)
		status = r->conf.aws->list(r->aws, &t, err);
	if (status != MH_OK)
		return status;
	for (size_t i = 0; i < t.n; i++)
		say(r->protocol, "AWS lists the token %s, expires %s", t.items[i].id,
		    time_text(ends, t.items[i].expires));
	say(r->protocol, "%s", preflight(&t, r->request->expiry.expires, run_now(r)).words);
	return MH_OK;
}

void
run_describe(struct run *r)
{
	struct mh_err err = { 0 };
	enum mh_status status = MH_OK;

	if (!r->request->sample) {
		status = look_at_aws(r, &err);
		if (status == MH_OK)
			status = r->conf.idp->find(r->idp, &err);
		if (status == MH_SKIP)
			status = MH_OK;
	}
	if (status != MH_OK) {
		outcome_of_error(r->protocol, &err);
		return;
	}
	say_steps(r);
	const struct outcome_line o = { .outcome = "done", .retry_after_s = -1 };
	outcome(r->protocol, &o, "would rotate the SCIM token of account %s: %s, identity provider %s, approval %s",
	    r->conf.place.account, run_by_hand(r) ? "token made by hand" : "token made by API", r->conf.idp->name,
	    r->conf.approval == APPROVAL_AUTO  ? "not needed"
	    : r->conf.approval == APPROVAL_ASK ? "asked for"
					       : "ticket only");
}
