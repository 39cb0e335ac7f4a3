/* delete.c: the old token's end, and the new one's where it does not do.
 *
 * I1: the old token is deleted last, and only where the provider works with what was saved after the save. A delete is
 * marked before it is sent, and may be repeated: what is not listed any more is deleted. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actions/rotate/machine.h"

/* -- giving the new token up --------------------------------------------------------------------------------------- */

static bool
abandon_by_hand(struct run *r, const char *why)
{
	struct rotation *x = &r->rotation;

	(void)snprintf(x->left, sizeof(x->left), "%s", x->fresh.id);
	rotation_forget_secret(x);
	x->has_fresh = false;
	x->refused_since = 0;
	x->step = STEP_PLANNED;
	if (!run_save(r))
		return false;
	say_wait_input(r,
	    "%s. The old token is untouched. In IAM Identity Center, Settings, Manage provisioning, delete the new "
	    "token, generate another, and hand it over: mailhook handover %" PRId64 ".",
	    why, CASE_ID(r));
	return false;
}

bool
abandon(struct run *r, const char *why)
{
	struct rotation *x = &r->rotation;
	char id[ROTATE_ID_BYTES];

	if (x->saves > 0 || x->mark == MARK_SAVING || x->adopted) { /* the provider may be using it */
		say_failed(r, "%s. Both tokens are kept.", why);
		return false;
	}
	if (run_by_hand(r))
		return abandon_by_hand(r, why);
	(void)snprintf(id, sizeof(id), "%s", x->fresh.id);
	if (!run_remove(r, id))
		return false;
	if (run_by_hand(r))
		return abandon_by_hand(r, why);
	rotation_forget_secret(x);
	x->has_fresh = false;
	x->refused_since = 0;
	x->step = STEP_NONE;
	if (!run_save(r))
		return false;
	say_failed(r, "%s. The new token %s was deleted again, the old one is untouched.", why, id);
	return false;
}

/* -- OLD_DELETED --------------------------------------------------------------------------------------------------- */

/* I1: what the provider has saved works now, too. True: it does, or a person has looked. */
static bool
still_works(struct run *r, const char *before_or_after)
{
	struct idp_token t = { .value = MH_NONE };
	struct mh_err err = { 0 };

	memcpy(t.digest, r->rotation.digest, sizeof(t.digest));
	r->env.retry_after_s = -1;
	const enum mh_status status = side_status(r, r->conf.idp->saved(r->idp, &t, &err), &err);
	if (status == MH_OK || (status == MH_SKIP && r->rotation.unproven))
		return true;
	if (status == MH_RETRY)
		say_retry(r, &err);
	else
		say_failed(r, "URGENT, %s the deletion: what the identity provider has saved does not work: %s.",
		    before_or_after, status == MH_SKIP ? "it cannot be asked" : err.text);
	return false;
}

static bool
old_is_gone(struct run *r)
{
	struct rotation *x = &r->rotation;

	/* Where the wrong one was deleted, this shows it: the old one still works then, in nobody's hands. */
	if (!still_works(r, "after"))
		return false;
	x->mark = MARK_NONE;
	x->step = STEP_OLD_DELETED;
	return run_save(r);
}

static bool
delete_by_hand(struct run *r)
{
	struct rotation *x = &r->rotation;
	const int64_t since = x->closed_at >= x->handed.at ? x->closed_at + 1 : x->handed.at;
	char t[MH_TIME_TEXT];

	if (x->del.at != 0 || run_consented(r, "delete", since, &x->del))
		return old_is_gone(r);
	say_wait_approval(r, "delete",
	    "the new token is proven%s. Now delete the old token, %s (expires %s), and not the new one: AWS console of "
	    "account %s, IAM Identity Center, Settings, Actions, Manage provisioning, the old token, Delete. Then say "
	    "so: mailhook approve %" PRId64 " --step delete.",
	    x->unproven || x->adopted ? " as far as it can be asked" : "",
	    x->old.id[0] == '\0' ? "whose id is not known" : x->old.id, time_text(t, x->old.expires),
	    r->conf.place.account, CASE_ID(r));
	return false;
}

static bool
may_delete(struct run *r)
{
	struct rotation *x = &r->rotation;
	char t[MH_TIME_TEXT];

	if (x->del.at != 0 || run_consented(r, "delete", x->marked_at, &x->del))
		return true;
	if (r->conf.approval == APPROVAL_AUTO && !x->unproven && !x->adopted)
		return true;
	say_wait_approval(r, "delete",
	    "%s. The old token %s (expires %s) can be deleted: mailhook approve %" PRId64 " --step delete.",
	    x->adopted && x->unproven
		? "somebody has made a new token, and the identity provider cannot be asked which of the two it uses: "
		  "see there that it is the new one"
	    : x->adopted
		? "somebody has made a new token; what the identity provider has saved works, but which of the two "
		  "that is cannot be asked: see there that it is the new one"
	    : x->unproven
		? "the identity provider cannot be asked whether it uses the new token: see there that it does"
		: "the new token is in use and proven",
	    x->old.id, time_text(t, x->old.expires), CASE_ID(r));
	return false;
}

/* A person made the new token and took it back. The old one is in use still: from the plan again, and asked again. */
static bool
adopted_is_gone(struct run *r)
{
	struct rotation *x = &r->rotation;

	say(r->protocol, "the token %.60s that somebody made is there no more: planned again", x->fresh.id);
	x->has_fresh = x->adopted = x->unproven = false;
	x->del = (struct consent){ .at = 0 };
	return start_again(r);
}

/* All that must be so before an old token goes. True: *ret_gone says whether it has gone already. */
static bool
may_go(struct run *r, bool *ret_gone)
{
	struct rotation *x = &r->rotation;
	struct aws_tokens now;

	if (!still_works(r, "before") || !run_list(r, &now))
		return false;
	if (run_by_hand(r))
		return true;
	const struct aws_token *fresh = token_find(&now, x->fresh.id), *old = token_find(&now, x->old.id);
	*ret_gone = old == NULL;
	if (x->adopted && fresh == NULL && token_same(old, &x->old))
		return adopted_is_gone(r);
	if (!x->has_fresh || !token_same(fresh, &x->fresh) || fresh->expires <= run_now(r)) {
		say_failed(
		    r, "URGENT, nothing was deleted: AWS does not list the new token %s as it was made.", x->fresh.id);
		return false;
	}
	if (strcmp(x->fresh.id, x->old.id) == 0 || (old != NULL && !token_same(old, &x->old))) {
		say_failed(
		    r, "nothing was deleted: AWS lists the old token %s with other times than before.", x->old.id);
		return false;
	}
	return true;
}

bool
step_delete(struct run *r)
{
	struct rotation *x = &r->rotation;
	bool gone = false;

	if (!x->has_old)
		return old_is_gone(r);
	if (run_by_hand(r))
		return delete_by_hand(r);
	if (!run_claim(r) || !may_delete(r) || !may_go(r, &gone))
		return false;
	if (run_by_hand(r) || x->step != STEP_SOAKED)
		return true;
	if (gone)
		return old_is_gone(r);
	x->mark = MARK_DELETING;
	if (!run_save(r))
		return false;
	if (!run_remove(r, x->old.id))
		return false;
	return run_by_hand(r) || old_is_gone(r);
}

/* The last step: once more what works, then the tenant is free again. */
bool
step_report(struct run *r)
{
	r->rotation.step = STEP_REPORTED;
	if (!run_save(r))
		return false;
	say_report(r);
	return false;
}
