/* run.c: what all steps need: the time, checkpoints, approvals, and the last line with what stands in the world. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actions/rotate/machine.h"
#include "mailhook/clock.h"

#define WORDS_BYTES 1000
#define STEP_NEEDS_S 5 /* of a run, beside the transfers of one step */

int64_t
run_now(const struct run *r)
{
	return r->request->now + (clock_monotonic_ms() - r->began_ms) / 1000;
}

bool
run_by_hand(const struct run *r)
{
	return r->conf.aws->by_hand || r->rotation.by_hand;
}

bool
run_has_time(const struct run *r, int64_t s)
{
	return r->request->deadline - run_now(r) >= s;
}

int64_t
run_step_s(const struct run *r)
{
	return 2 * r->conf.wire.total_ms / 1000 + STEP_NEEDS_S;
}

/* -- the last line ------------------------------------------------------------------------------------------------- */

static const char *
id_of(const struct aws_token *t)
{
	return t->id[0] == '\0' ? "(id not known)" : t->id;
}

/* Between the create and the delete there are two tokens, and whoever reads this must know which is which. */
static void
put_standing(const struct run *r, struct buf *out)
{
	const struct rotation *x = &r->rotation;
	char t[MH_TIME_TEXT];

	if (x->orphan[0] != '\0')
		buf_printf(
		    out, " Token %s was made, but its value never came: it is of no use and takes a place.", x->orphan);
	if (x->left[0] != '\0')
		buf_printf(out, " Token %s was given up and is of no use: delete it.", x->left);
	if (x->has_fresh && x->step < STEP_OLD_DELETED) {
		buf_printf(out, " New token %s, expires %s, is %s.", id_of(&x->fresh), time_text(t, x->fresh.expires),
		    x->step >= STEP_IDP_SAVED ? "saved in the identity provider" : "not in use yet");
		if (x->has_old)
			buf_printf(out, " Old token %s still stands, expires %s.", id_of(&x->old),
			    time_text(t, x->old.expires));
	}
	if (x->closed[0] != '\0' && x->step < STEP_OLD_DELETED)
		buf_printf(out, " Tokens are made and deleted by hand: %s.", x->closed);
}

void
run_last(struct run *r, const struct outcome_line *o, const char *words)
{
	const struct outcome_line again = { .outcome = "retry", .retry_after_s = -1 };
	const struct rotation *x = &r->rotation;
	const bool over = (x->step <= STEP_PLANNED && x->mark == MARK_NONE) || x->step == STEP_REPORTED;

	if (over && !claim_release(r))
		outcome(r->protocol, &again, "the tenant could not be let go: %s", words);
	else
		outcome(r->protocol, o, "%s", words);
}

static void finish(struct run *r, const struct outcome_line *o, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

static void
finish(struct run *r, const struct outcome_line *o, const char *fmt, va_list ap)
{
	char words[WORDS_BYTES];
	struct buf text;

	(void)vsnprintf(words, sizeof(words), fmt, ap);
	buf_init(&text, (size_t)4 * WORDS_BYTES);
	buf_puts(&text, words);
	put_standing(r, &text);
	run_last(r, o, text.p == NULL ? words : text.p);
	buf_release(&text);
}

#define FINISH(...)                                                                                                    \
	do {                                                                                                           \
		const struct outcome_line o_ = { __VA_ARGS__ };                                                        \
		va_list ap_;                                                                                           \
		va_start(ap_, fmt);                                                                                    \
		finish(r, &o_, fmt, ap_);                                                                              \
		va_end(ap_);                                                                                           \
	} while (0)

void
say_failed(struct run *r, const char *fmt, ...)
{
	FINISH(.outcome = "failed", .retry_after_s = -1);
}

void
say_wait_time(struct run *r, const char *step, int64_t s, const char *fmt, ...)
{
	FINISH(.outcome = "waiting", .waiting_for = "time", .step = step, .retry_after_s = s);
}

void
say_wait_approval(struct run *r, const char *step, const char *fmt, ...)
{
	FINISH(.outcome = "waiting", .waiting_for = "approval", .step = step, .retry_after_s = -1);
}

void
say_wait_input(struct run *r, const char *fmt, ...)
{
	FINISH(.outcome = "waiting", .waiting_for = "input", .step = "token", .retry_after_s = -1);
}

static void retry(struct run *r, bool elsewhere, const char *fmt, ...) MH_PRINTF(3, 4);

static void
retry(struct run *r, bool elsewhere, const char *fmt, ...)
{
	FINISH(.outcome = "retry", .retry_after_s = r->env.retry_after_s, .elsewhere = elsewhere);
}

enum mh_status
side_status(const struct run *r, enum mh_status status, const struct mh_err *err)
{
	return status == MH_BAD && lacks_here(r->protocol, err) ? MH_RETRY : status;
}

void
say_retry(struct run *r, const struct mh_err *err)
{
	retry(r, lacks_here(r->protocol, err), "%s.", err->text);
}

/* -- checkpoints --------------------------------------------------------------------------------------------------- */

bool
run_save(struct run *r)
{
	struct mh_err err = { 0 };
	MH_AUTO(drop_json) cJSON *state = rotation_json(&r->rotation, &r->key, r->request->case_key, &err);

	r->env.retry_after_s = -1;
	if (state == NULL) {
		say_retry(r, &err);
		return false;
	}
	if (checkpoint(r->protocol, state))
		return true;
	(void)mh_fail(
	    &err, MH_RETRY, "the job was taken away before step %s was durable", step_names[r->rotation.step]);
	say_retry(r, &err);
	return false;
}

const struct approval_word *
run_approved(const struct run *r, const char *step)
{
	const struct approval_word *found = NULL;

	for (size_t i = 0; i < r->request->n_approvals; i++) {
		const struct approval_word *w = &r->request->approvals[i];

		/* A word about the case as a whole lets a rotation start, and no more. */
		if (w->step == NULL ? strcmp(step, "start") == 0 : strcmp(w->step, step) == 0)
			found = w;
	}
	return found;
}

/* -- the report ---------------------------------------------------------------------------------------------------- */

static void
put_consents(const struct rotation *x, struct buf *out)
{
	const struct {
		const char *what;
		const struct consent *c;
	} all[] = { { "started with the approval of", &x->start }, { "token handed over by", &x->handed },
		{ "deletion approved by", &x->del } };
	char t[MH_TIME_TEXT];

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].c->at != 0)
			buf_printf(out, " %c%s %s at %s.", all[i].what[0] - 'a' + 'A', all[i].what + 1, all[i].c->by,
			    time_text(t, all[i].c->at));
}

static void
put_proof(const struct run *r, struct buf *out)
{
	const struct rotation *x = &r->rotation;
	char t[MH_TIME_TEXT], put[MH_TIME_TEXT];

	if (x->adopted) {
		buf_puts(out, x->unproven ? " The new token was made by somebody else; the identity provider cannot be "
					    "asked whether it works with it."
					  : " The new token was made by somebody else; what the identity provider has "
					    "saved works.");
	} else {
		buf_puts(out, " Proven: AWS takes the new token");
		buf_puts(out, x->unproven
				  ? "; it was given to the identity provider, which cannot be asked whether it works"
				  : "; what the identity provider has saved works");
		if (x->proof_at != 0)
			buf_printf(out, "; a synchronisation that began at %s, after the save, went well",
			    time_text(t, x->proof_at));
		buf_puts(out, ".");
	}
	if (x->soak_skipped && x->has_old)
		buf_printf(out, " The old token had ended at %s: provisioning did not work from then until %s.",
		    time_text(t, x->old.expires), x->put_at == 0 ? "the save" : time_text(put, x->put_at));
}

void
say_report(struct run *r)
{
	const struct rotation *x = &r->rotation;
	char t[MH_TIME_TEXT], day[MH_TIME_TEXT];
	const bool ends = x->has_fresh && x->fresh.expires != 0;
	const struct outcome_line o = { .outcome = "done",
		.retry_after_s = -1,
		.renewed_expires = ends ? x->fresh.expires : 0,
		.renewed_notice = ends ? x->fresh.expires - NOTICE_BEFORE_S : 0 };
	struct buf text;

	buf_init(&text, (size_t)4 * WORDS_BYTES);
	if (ends)
		buf_printf(&text, "rotated: new token %s expires %s; AWS writes of it next from %.10s on.",
		    id_of(&x->fresh), time_text(t, x->fresh.expires),
		    time_text(day, x->fresh.expires - NOTICE_BEFORE_S));
	put_proof(r, &text);
	if (x->has_old)
		buf_printf(&text, " The old token %s is deleted%s.", id_of(&x->old),
		    run_by_hand(r) ? " (a person says so)" : "");
	put_consents(x, &text);
	buf_printf(&text, " Left for a person: %s.", x->note[0] == '\0' ? "nothing" : x->note);
	run_last(r, &o, text.p);
	buf_release(&text);
}
