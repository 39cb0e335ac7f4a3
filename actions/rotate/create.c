/* create.c: which token is rotated, and the new one: by API, or by a person who is asked for it.
 *
 * A create cannot be repeated. It is marked before it is sent; where the mark is found again the list decides, never a
 * second create. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actions/rotate/machine.h"

#define OURS_WITHIN_S 60    /* a create that was marked is sent at once, and answered within the transfer's time */
#define SIGNED_WITHIN_S 300 /* AWS takes no signature of a clock that differs by more, so no create of ours either */
#define CLAIMED_AGAIN_S 3600

/* What a call to the AWS side came to: MH_SKIP turns to handover (true), other errors are said. */
static bool
side_failed(struct run *r, enum mh_status status, const struct mh_err *err)
{
	switch (side_status(r, status, err)) {
	case MH_OK:
		return true;
	case MH_SKIP:
		r->rotation.by_hand = true;
		r->rotation.closed_at = run_now(r);
		r->rotation.del = (struct consent){ .at = 0 }; /* it was a word for the API, not that a person did it */
		(void)snprintf(r->rotation.closed, sizeof(r->rotation.closed), "%s", err->text);
		say(r->protocol, "%s: from here by hand", err->text);
		return run_save(r);
	case MH_RETRY:
		say_retry(r, err);
		return false;
	case MH_BAD:
	case MH_LIMIT:
		say_failed(r, "%s.", err->text);
		return false;
	}
	return false;
}

const struct aws_token *
token_find(const struct aws_tokens *t, const char *id)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->items[i].id, id) == 0)
			return &t->items[i];
	return NULL;
}

bool
token_same(const struct aws_token *a, const struct aws_token *b)
{
	return a != NULL && strcmp(a->id, b->id) == 0 && a->created == b->created && a->expires == b->expires;
}

static bool
tokens_same(const struct aws_tokens *a, const struct aws_tokens *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (!token_same(token_find(b, a->items[i].id), &a->items[i]))
			return false;
	return true;
}

/* Each run finds the place again: what is acted upon is what AWS says now. */
static bool
locate(struct run *r)
{
	struct mh_err err = { 0 };

	if (r->located)
		return true;
	r->env.retry_after_s = -1;
	r->located = true;
	return side_failed(r, r->conf.aws->locate(r->aws, &err), &err);
}

bool
run_list(struct run *r, struct aws_tokens *ret)
{
	struct mh_err err = { 0 };

	*ret = (struct aws_tokens){ .n = 0 };
	if (!locate(r))
		return false;
	if (run_by_hand(r))
		return true;
	r->env.retry_after_s = -1;
	return side_failed(r, r->conf.aws->list(r->aws, ret, &err), &err);
}

bool
run_remove(struct run *r, const char *id)
{
	struct mh_err err = { 0 };

	if (!locate(r))
		return false;
	if (run_by_hand(r))
		return true;
	r->env.retry_after_s = -1;
	return side_failed(r, r->conf.aws->remove(r->aws, id, &err), &err);
}

/* A person's word about that step is noted. True: there is one. */
bool
run_consented(struct run *r, const char *step, int64_t not_before, struct consent *ret)
{
	const struct approval_word *w = run_approved(r, step);

	if (w == NULL || w->at < not_before)
		return false;
	(void)snprintf(ret->by, sizeof(ret->by), "%s", w->by);
	ret->at = w->at;
	return true;
}

/* -- PLANNED ------------------------------------------------------------------------------------------------------- */

static bool
find_provider(struct run *r)
{
	struct mh_err err = { 0 };

	r->env.retry_after_s = -1;
	const enum mh_status status = side_status(r, r->conf.idp->find(r->idp, &err), &err);
	if (status == MH_RETRY)
		say_retry(r, &err);
	else if (status == MH_BAD || status == MH_LIMIT)
		say_failed(r, "nothing was changed: %s.", err.text);
	return status == MH_OK || status == MH_SKIP;
}

static bool
plan_by_hand(struct run *r)
{
	struct rotation *x = &r->rotation;

	x->has_old = true;
	x->old = (struct aws_token){ .expires = r->request->expiry.expires };
	x->step = STEP_PLANNED;
	return run_save(r);
}

/* The only token is new: but does the provider have it? */
static bool
renewed_already(struct run *r, const struct aws_token *fresh)
{
	const struct idp_token unknown = { .value = MH_NONE };
	struct mh_err err = { 0 };
	char t[MH_TIME_TEXT], words[ROTATE_ID_BYTES + 200];

	r->env.retry_after_s = -1;
	const enum mh_status status = side_status(r, r->conf.idp->saved(r->idp, &unknown, &err), &err);
	if (status == MH_RETRY) {
		say_retry(r, &err);
		return false;
	}
	if (status == MH_BAD || status == MH_LIMIT) {
		say_failed(r,
		    "the token was renewed already (%s, expires %s), but what the identity provider has saved does not "
		    "work: %s.",
		    fresh->id, time_text(t, fresh->expires), err.text);
		return false;
	}
	const struct outcome_line o = { .outcome = "done",
		.retry_after_s = -1,
		.renewed_expires = fresh->expires,
		.renewed_notice = fresh->expires - NOTICE_BEFORE_S };
	(void)snprintf(words, sizeof(words), "nothing to do: the only token, %s, expires %s; it was renewed already%s.",
	    fresh->id, time_text(t, fresh->expires),
	    status == MH_OK ? ", and what the identity provider has saved works" : "");
	run_last(r, &o, words);
	return false;
}

/* AWS took the deletion of an ended token, and shows the token all the same.
 * Later it is looked again, and deleted again. */
static bool
still_listed(struct run *r)
{
	struct mh_err err = { 0 };

	(void)mh_fail(
	    &err, MH_RETRY, "AWS was told to delete the ended token %.60s, and lists it still", r->rotation.drop);
	r->rotation.drop[0] = '\0';
	r->rotation.step = STEP_NONE;
	if (run_save(r))
		say_retry(r, &err);
	return false;
}

static bool
plan_from(struct run *r, const struct aws_tokens *t)
{
	struct rotation *x = &r->rotation;
	const struct preflight p = preflight(t, r->request->expiry.expires, run_now(r));

	x->before = *t;
	x->has_old = x->has_fresh = x->adopted = x->unproven = false;
	x->step = STEP_PLANNED;
	if (p.plan == PLAN_DROP && strcmp(x->drop, p.drop->id) == 0)
		return still_listed(r);
	x->drop[0] = '\0';
	switch (p.plan) {
	case PLAN_ROTATE:
		x->has_old = true;
		x->old = *p.old;
		break;
	case PLAN_FRESH:
		break;
	case PLAN_RENEWED:
		return renewed_already(r, p.fresh);
	case PLAN_DROP:
		(void)snprintf(x->drop, sizeof(x->drop), "%s", p.drop->id);
		break;
	case PLAN_ADOPT:
		x->has_old = x->has_fresh = x->adopted = true;
		x->marked_at = r->request->now + 1; /* words about a deletion count from here */
		x->digest[0] = '\0';                /* of one that we made before and gave up */
		x->old = *p.old;
		x->fresh = *p.fresh;
		x->step = STEP_IDP_SAVED;
		break;
	case PLAN_PERSON:
		say_failed(
		    r, "nothing was changed: %s. Look in IAM Identity Center, Settings, Manage provisioning.", p.words);
		return false;
	}
	say(r->protocol, "%s", p.words);
	return run_save(r);
}

bool
step_plan(struct run *r)
{
	struct aws_tokens tokens;

	if (!find_provider(r))
		return false;
	if (run_by_hand(r))
		return plan_by_hand(r);
	if (!run_list(r, &tokens))
		return false;
	return run_by_hand(r) || plan_from(r, &tokens);
}

/* -- CREATED ------------------------------------------------------------------------------------------------------- */

static bool
ask_for_token(struct run *r)
{
	const struct rotation *x = &r->rotation;
	char t[MH_TIME_TEXT], doubt[200] = "";

	if (x->mark == MARK_CREATING)
		(void)snprintf(doubt, sizeof(doubt),
		    " AWS was asked for a token at %s and did not answer: one that was made then is of no use, delete "
		    "it first.",
		    time_text(t, x->marked_at));
	say_wait_input(r,
	    "a new token is needed: in the AWS console of account %s open IAM Identity Center%s%s, Settings, Identity "
	    "source, Actions, Manage provisioning. Note the id and the end of the token that expires %s. Where there "
	    "are two, delete the one that is not in use. Choose Generate token and copy the token: it is shown once. "
	    "Then, as the user mailhook on mailhook's host: mailhook handover %" PRId64
	    " (it asks for ids, ends and the token).%s",
	    r->conf.place.account, r->conf.place.region[0] == '\0' ? "" : " in ", r->conf.place.region,
	    time_text(t, r->request->expiry.expires), CASE_ID(r), doubt);
	return false;
}

static bool
may_start(struct run *r)
{
	struct rotation *x = &r->rotation;

	if (r->conf.approval == APPROVAL_AUTO || x->start.at != 0 || run_consented(r, "start", 0, &x->start))
		return true;
	say_wait_approval(r, "start",
	    "ready to rotate, nothing was changed yet. Next: %s%s%smake a new token by API%s%s%s, prove it, save it in "
	    "the identity provider (%s), and ask again before the old one is deleted. If that is right: mailhook "
	    "approve "
	    "%" PRId64,
	    x->drop[0] == '\0' ? "" : "delete the token ", x->drop, x->drop[0] == '\0' ? "" : ", which has ended, ",
	    x->has_old ? " beside " : "", x->has_old ? x->old.id : "",
	    x->has_old ? "" : " (there is none, so provisioning does not work)", r->conf.idp->name, CASE_ID(r));
	return false;
}

bool
start_again(struct run *r)
{
	r->rotation.mark = MARK_NONE;
	r->rotation.step = STEP_NONE;
	r->rotation.orphan[0] = '\0';
	return run_save(r);
}

/* A token that came after the mark, and nobody else is likely to have made. */
static bool
is_orphan(const struct run *r, const struct aws_token *t)
{
	const int64_t since = r->rotation.marked_at;

	return t->created >= since - SKEW_S && t->created <= since + OURS_WITHIN_S;
}

/* One that may be ours where AWS's clock and ours differ: nobody's by itself, so a person says whose. */
static bool
may_be_orphan(const struct run *r, const struct aws_token *t)
{
	const int64_t apart = t->created - r->rotation.marked_at;

	return apart >= -SIGNED_WITHIN_S && apart <= SIGNED_WITHIN_S;
}

static bool
orphan_left(struct run *r, const struct aws_token *t)
{
	struct rotation *x = &r->rotation;
	struct consent word = { .at = 0 };
	char at[MH_TIME_TEXT];

	if (strcmp(x->orphan, t->id) != 0) {
		(void)snprintf(x->orphan, sizeof(x->orphan), "%s", t->id);
		if (!run_save(r))
			return false;
	}
	if (!(r->conf.delete_orphan && is_orphan(r, t)) && !run_consented(r, "orphan", x->marked_at, &word)) {
		say_wait_approval(r, "orphan",
		    "AWS was asked for a token and the answer did not come; the token that was made at %s is most "
		    "likely that one. If nobody else made it, let it be deleted: mailhook approve %" PRId64
		    " --step orphan.",
		    time_text(at, t->created), CASE_ID(r));
		return false;
	}
	if (!run_remove(r, t->id))
		return false;
	return run_by_hand(r) || start_again(r);
}

/* The mark of a create without a durable answer. */
static bool
resolve_create(struct run *r)
{
	struct rotation *x = &r->rotation;
	const struct aws_token *extra = NULL;
	struct aws_tokens now;
	struct mh_err err = { 0 };
	size_t n = 0;

	if (!run_list(r, &now))
		return false;
	if (run_by_hand(r))
		return true;
	for (size_t i = 0; i < now.n; i++)
		if (token_find(&x->before, now.items[i].id) == NULL) {
			extra = &now.items[i];
			n++;
		}
	if (n == 0) {
		const int64_t left = x->marked_at + CREATE_DOUBT_S - run_now(r);

		if (left <= 0)
			return start_again(r);
		/* "retry", for a create that is never answered is given up at the job's age */
		r->env.retry_after_s = left;
		(void)mh_fail(
		    &err, MH_RETRY, "AWS was asked for a token and did not answer; whether it was made will show");
		say_retry(r, &err);
		return false;
	}
	if (n == 1)
		return may_be_orphan(r, extra) ? orphan_left(r, extra) : start_again(r);
	say_failed(r, "%zu tokens appeared beside the rotation: look in IAM Identity Center.", n);
	return false;
}

bool
looks_like_token(const struct secret *s)
{
	return s->n >= ROTATE_TOKEN_MIN_BYTES && s->n <= ROTATE_TOKEN_MAX_BYTES && span_is_graphic(secret_span(s));
}

static bool
create_refused(struct run *r, enum mh_status status, const struct mh_err *err)
{
	struct rotation *x = &r->rotation;
	struct mh_err full = { 0 };

	if (status == MH_RETRY) { /* the mark stays: the next run looks what became of it */
		say_retry(r, err);
		return false;
	}
	x->mark = MARK_NONE;
	if (status == MH_LIMIT) {
		x->step = STEP_NONE;
		(void)mh_fail(&full, MH_RETRY, "AWS has two tokens already: %.160s", err->text);
		if (run_save(r))
			say_retry(r, &full);
		return false;
	}
	return (status == MH_SKIP || run_save(r)) && side_failed(r, status, err);
}

static bool
create(struct run *r)
{
	struct rotation *x = &r->rotation;
	struct mh_err err = { 0 };

	if (!run_has_time(r, run_step_s(r))) { /* killed in the middle of it, its token would be lost */
		(void)mh_fail(&err, MH_RETRY, "too little time was left to ask AWS for a token");
		say_retry(r, &err);
		return false;
	}
	x->mark = MARK_CREATING;
	x->marked_at = run_now(r);
	if (!run_save(r))
		return false;
	r->env.retry_after_s = -1;
	const enum mh_status status = r->conf.aws->create(r->aws, &x->fresh, &x->secret, &err);
	if (status != MH_OK)
		return create_refused(r, status, &err);
	x->has_fresh = true;
	x->mark = MARK_NONE;
	x->step = STEP_CREATED;
	if (!looks_like_token(&x->secret))
		return abandon(r, "AWS made a token whose value is none");
	if (seal_digest(secret_span(&x->secret), x->digest, &err) != MH_OK) {
		say_retry(r, &err);
		return false;
	}
	return run_save(r);
}

bool
run_claim(struct run *r)
{
	struct mh_err err = { 0 };

	r->env.retry_after_s = -1;
	switch (claim_take(r, &err)) {
	case MH_OK:
		return true;
	case MH_SKIP:
		say_wait_time(r, "claimed", CLAIMED_AGAIN_S, "%s.", err.text);
		return false;
	case MH_RETRY:
	case MH_BAD:
	case MH_LIMIT:
		say_retry(r, &err);
		return false;
	}
	return false;
}

static bool
drop_ended(struct run *r, const struct aws_tokens *now)
{
	struct rotation *x = &r->rotation;
	const struct aws_token *t = token_find(now, x->drop);

	if (t != NULL && t->expires <= run_now(r)) {
		if (!run_remove(r, x->drop))
			return false;
		if (run_by_hand(r))
			return true;
	} else {
		x->drop[0] = '\0';
	}
	return start_again(r);
}

bool
step_create(struct run *r)
{
	struct rotation *x = &r->rotation;
	struct aws_tokens now;

	if (run_by_hand(r))
		return ask_for_token(r);
	if (!run_claim(r))
		return false;
	if (x->mark == MARK_CREATING)
		return resolve_create(r);
	if (!may_start(r))
		return false;
	if (!run_list(r, &now))
		return false;
	if (run_by_hand(r))
		return true;
	if (!tokens_same(&now, &x->before)) {
		say(r->protocol, "the tokens are others than when it was planned: planned again");
		x->drop[0] = '\0';
		return start_again(r);
	}
	return x->drop[0] == '\0' ? create(r) : drop_ended(r, &now);
}
