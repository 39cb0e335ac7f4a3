/* steps.c: from the new token to the proof that it is in use: SCIM, the provider's test, the save, the wait. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actions/rotate/machine.h"

#define SCIM_AGAIN_S 20
#define SOAK_AGAIN_S 600
#define STOPPED_AGAIN_S 3600

static struct idp_token
token_of(const struct run *r)
{
	struct idp_token t = { .value = secret_span(&r->rotation.secret) };

	memcpy(t.digest, r->rotation.digest, sizeof(t.digest));
	return t;
}

static bool
reached(struct run *r, enum step step)
{
	r->rotation.step = step;
	r->rotation.mark = MARK_NONE;
	r->rotation.refused_since = 0;
	return run_save(r);
}

/* How long the new token is refused by now; noted at the first time. -1: it could not be noted, the outcome is said. */
static int64_t
refused_for(struct run *r)
{
	if (r->rotation.refused_since == 0) {
		r->rotation.refused_since = run_now(r);
		if (!run_save(r))
			return -1;
	}
	return run_now(r) - r->rotation.refused_since;
}

/* The sealed token cannot be read any more. Before a save that loses nothing: another one is made. */
static bool
start_over(struct run *r)
{
	struct rotation *x = &r->rotation;

	if (x->saves > 0 || x->mark == MARK_SAVING) {
		say_failed(r, "the sealed token cannot be read any more (key_file), and its save was begun. Both "
			      "tokens are kept: "
			      "see in the identity provider which one it has.");
		return false;
	}
	if (run_by_hand(r))
		return abandon(r, "the sealed token cannot be read any more (key_file)");
	if (!run_remove(r, x->fresh.id))
		return false;
	if (run_by_hand(r))
		return true;
	say(r->protocol, "the sealed token cannot be read any more: it is deleted, and another one is made");
	x->has_fresh = false;
	rotation_forget_secret(x);
	return reached(r, STEP_NONE);
}

/* -- SCIM_OK ------------------------------------------------------------------------------------------------------- */

static bool
step_prove(struct run *r)
{
	struct mh_err err = { 0 };

	r->env.retry_after_s = -1;
	const enum mh_status status = scim_prove(&r->env, secret_span(&r->rotation.secret), &err);
	if (status == MH_OK)
		return reached(r, STEP_SCIM_OK);
	if (status != MH_BAD) { /* 429, 5xx, a timeout: no verdict */
		say_retry(r, &err);
		return false;
	}
	const int64_t since = refused_for(r);
	if (since < 0)
		return false;
	if (since < SCIM_PATIENCE_S) {
		say_wait_time(r, NULL, since < SCIM_AGAIN_S ? SCIM_AGAIN_S : since,
		    "%s: it may take some time until it does.", err.text);
		return false;
	}
	return abandon(r, err.text);
}

/* -- IDP_VALIDATED ------------------------------------------------------------------------------------------------- */

static bool
step_validate(struct run *r)
{
	const struct idp_token t = token_of(r);
	struct mh_err err = { 0 };

	r->env.retry_after_s = -1;
	const enum mh_status status = side_status(r, r->conf.idp->validate(r->idp, &t, &err), &err);
	if (status == MH_OK || status == MH_SKIP)
		return reached(r, STEP_IDP_VALIDATED);
	if (status == MH_RETRY) {
		say_retry(r, &err);
		return false;
	}
	const int64_t since = refused_for(r);
	if (since < 0)
		return false;
	if (since < VALIDATE_PATIENCE_S) {
		say_wait_time(
		    r, "refused", SOAK_AGAIN_S, "the identity provider does not take the new token: %s.", err.text);
		return false;
	}
	return abandon(r, err.text);
}

/* -- IDP_SAVED ----------------------------------------------------------------------------------------------------- */

static bool
step_save(struct run *r)
{
	struct rotation *x = &r->rotation;
	const struct idp_token t = token_of(r);
	struct mh_err err = { 0 };

	if (x->saves >= MAX_SAVES) {
		x->saves = 0; /* a person who lets it be tried again starts from here */
		x->mark = MARK_SAVING;
		if (run_save(r))
			say_failed(r, "the identity provider does not let the new token be saved, after %d attempts.",
			    MAX_SAVES);
		return false;
	}
	x->mark = MARK_SAVING;
	x->saves++;
	if (!run_save(r))
		return false;
	r->env.retry_after_s = -1;
	r->env.note[0] = '\0';
	const enum mh_status status = side_status(r, r->conf.idp->save(r->idp, &t, &err), &err);
	if (status == MH_RETRY) {
		say_retry(r, &err);
		return false;
	}
	if (status != MH_OK) {
		say_failed(r, "the identity provider refuses to save the new token: %s.", err.text);
		return false;
	}
	if (r->env.note[0] != '\0')
		(void)snprintf(x->note, sizeof(x->note), "%s", r->env.note);
	x->put_at = run_now(r) + 1; /* rounded up: what began in this very second proves nothing */
	return reached(r, STEP_IDP_SAVED);
}

/* -- IDP_VERIFIED -------------------------------------------------------------------------------------------------- */

/* Saved, and it does not work. The old token cannot be put back, for nobody can read it: the new one is saved again, and
 * nothing is deleted. */
static bool
save_again(struct run *r, const struct mh_err *why)
{
	struct rotation *x = &r->rotation;

	if (x->secret.p == NULL || x->resaves >= MAX_RESAVES) {
		say_failed(r, "URGENT: what the identity provider has saved does not work (%s). Both tokens are kept.",
		    why->text);
		return false;
	}
	x->resaves++;
	x->step = STEP_IDP_VALIDATED;
	if (run_save(r))
		say_wait_time(r, "unsaved", 60,
		    "what the identity provider has saved does not work (%s): it is saved again.", why->text);
	return false;
}

static bool
step_verify(struct run *r)
{
	struct rotation *x = &r->rotation;
	const struct idp_token t = token_of(r);
	struct mh_err err = { 0 };

	r->env.retry_after_s = -1;
	const enum mh_status status = side_status(r, r->conf.idp->saved(r->idp, &t, &err), &err);
	switch (status) {
	case MH_SKIP:
		x->unproven = true;
		return reached(r, STEP_IDP_VERIFIED);
	case MH_OK:
		return reached(r, STEP_IDP_VERIFIED);
	case MH_RETRY:
		say_retry(r, &err);
		return false;
	case MH_BAD:
	case MH_LIMIT:
		return save_again(r, &err);
	}
	return false;
}

/* -- SOAKED -------------------------------------------------------------------------------------------------------- */

/* True: it was held and has been started again, by this rotation's one try. */
static bool
start_again_once(struct run *r)
{
	struct mh_err err = { 0 };

	if (r->rotation.resumed || r->conf.idp->resume == NULL)
		return true;
	r->rotation.resumed = true; /* first: twice would be "continuously" */
	if (!run_save(r))
		return false;
	r->env.retry_after_s = -1;
	if (r->conf.idp->resume(r->idp, &err) != MH_OK)
		say(r->protocol, "provisioning could not be started again: %s", err.text);
	return true;
}

/* The new token has its place; its value is needed no more. */
static bool
soaked(struct run *r)
{
	rotation_forget_secret(&r->rotation);
	return reached(r, STEP_SOAKED);
}

static bool
wait_for_proof(struct run *r, const struct idp_status *s)
{
	const struct rotation *x = &r->rotation;
	const bool late = x->has_old && run_now(r) >= x->old.expires - ALARM_BEFORE_S;
	const char *sep = s->words[0] == '\0' ? "" : ": ";
	char t[MH_TIME_TEXT];

	if (late)
		say_wait_time(r, "late", SOAK_AGAIN_S,
		    "ALARM: the old token ends at %s, and no synchronisation with the new one has succeeded yet%s%s. "
		    "Nothing is deleted before.",
		    time_text(t, x->old.expires), sep, s->words);
	else if (s->health == IDP_STOPPED)
		say_wait_time(r, "stopped", STOPPED_AGAIN_S,
		    "provisioning was stopped by somebody%s%s. Start it in the identity provider; this goes on by "
		    "itself.",
		    sep, s->words);
	else
		say_wait_time(r, NULL, SOAK_AGAIN_S,
		    "waiting for a synchronisation that begins after the save and goes well%s%s.", sep, s->words);
	return false;
}

/* The provider says nothing of its work: time passes, and a person decides. */
static bool
soak_by_time(struct run *r)
{
	const int64_t left = r->rotation.put_at + r->conf.soak_s - run_now(r);

	if (left > 0) {
		say_wait_time(r, NULL, left,
		    "the identity provider does not tell of its synchronisations: the new token is given "
		    "some time.");
		return false;
	}
	r->rotation.unproven = true;
	return soaked(r);
}

static bool
step_soak(struct run *r)
{
	struct rotation *x = &r->rotation;
	struct idp_status s = { .health = IDP_UNKNOWN };
	struct mh_err err = { 0 };

	r->env.retry_after_s = -1;
	const enum mh_status status = side_status(r, r->conf.idp->status(r->idp, &s, &err), &err);
	if (status == MH_RETRY) {
		say_retry(r, &err);
		return false;
	}
	if (status != MH_OK && status != MH_SKIP) {
		say_failed(r, "the identity provider's state cannot be read: %s.", err.text);
		return false;
	}
	if (status == MH_OK && s.health == IDP_HELD && !start_again_once(r))
		return false;
	if (s.health == IDP_STOPPED)
		(void)snprintf(
		    x->note, sizeof(x->note), "provisioning was stopped by somebody: start it in the provider");
	else if (strncmp(x->note, "provisioning was stopped", 24) == 0)
		x->note[0] = '\0';
	if (x->has_old && run_now(r) >= x->old.expires) {
		x->soak_skipped = true;
		return soaked(r);
	}
	if (x->adopted || !x->has_old)
		return soaked(r); /* which token was used cannot be told apart; or there is none to be deleted */
	if (status == MH_SKIP || s.health == IDP_UNKNOWN)
		return soak_by_time(r);
	if (s.health == IDP_ACTIVE && s.has_last_success && s.last_success > x->put_at) {
		x->proof_at = s.last_success;
		return soaked(r);
	}
	return wait_for_proof(r, &s);
}

/* -- all ------------------------------------------------------------------------------------------------------------ */

static bool
needs_value(const struct rotation *x)
{
	return x->step == STEP_CREATED || x->step == STEP_SCIM_OK || x->step == STEP_IDP_VALIDATED;
}

static bool
step_next(struct run *r)
{
	if (needs_value(&r->rotation) && r->rotation.secret.p == NULL)
		return start_over(r);
	switch (r->rotation.step) {
	case STEP_NONE:
		return step_plan(r);
	case STEP_PLANNED:
		return step_create(r);
	case STEP_CREATED:
		return step_prove(r);
	case STEP_SCIM_OK:
		return step_validate(r);
	case STEP_IDP_VALIDATED:
		return step_save(r);
	case STEP_IDP_SAVED:
		return step_verify(r);
	case STEP_IDP_VERIFIED:
		return step_soak(r);
	case STEP_SOAKED:
		return step_delete(r);
	case STEP_OLD_DELETED:
	case STEP_REPORTED:
		return step_report(r);
	}
	return false;
}

void
run_steps(struct run *r)
{
	const int64_t needs_s = run_step_s(r);

	if (!run_has_time(r, needs_s)) {
		say_failed(r, "the deadline of this action is too short: %" PRId64 " seconds are needed for one step.",
		    needs_s);
		return;
	}
	if (r->rotation.step >= STEP_CREATED && r->rotation.step < STEP_REPORTED && !run_claim(r))
		return;
	while (step_next(r))
		if (!run_has_time(r, needs_s)) {
			say_wait_time(r, NULL, 1, "on its way: %s.", step_names[r->rotation.step]);
			return;
		}
}
