/* run.c: one attempt: start, or look how far it is, or ask a person. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actions/trigger/trigger.h"

#define MAX_SHOWN_BYTES (256u << 10)

static struct preset_context
context_of(struct trigger *t)
{
	return (struct preset_context){ .preset = t->conf->preset,
		.settings = &t->settings,
		.vars = &t->vars,
		.taken = t->state.taken,
		.now = t->request->now,
		.send = trigger_send,
		.user = t };
}

static const char *
title(const struct trigger *t)
{
	return t->conf->preset == NULL ? "the program" : preset_title(t->conf->preset);
}

/* -- what is said ---------------------------------------------------------------------------------------------------- */

static const char *
link_of(const struct trigger *t)
{
	return json_string(t->state.taken, "link");
}

static void
say_end(const struct trigger *t, const char *word, const char *words)
{
	const struct outcome_line o = { .outcome = word, .url = link_of(t), .retry_after_s = -1 };

	outcome(t->protocol, &o, "%s", words);
}

static void
say_waiting(const struct trigger *t, int64_t s, const char *words)
{
	const struct outcome_line o = {
		.outcome = "waiting", .waiting_for = "time", .url = link_of(t), .retry_after_s = s
	};

	outcome(t->protocol, &o, "%s", words);
}

static void
say_asking(const struct trigger *t, const char *step, const char *words)
{
	const struct outcome_line o = {
		.outcome = "waiting", .waiting_for = "approval", .step = step, .url = link_of(t), .retry_after_s = -1
	};

	outcome(t->protocol, &o, "%s", words);
}

static void
say_retry(const struct trigger *t, int64_t retry_after_s, const char *words)
{
	const struct outcome_line o = { .outcome = "retry", .url = link_of(t), .retry_after_s = retry_after_s };

	outcome(t->protocol, &o, "%s", words);
}

/* Another machine may have what this one lacks. */
static void
say_elsewhere(const struct trigger *t, const char *words)
{
	const struct outcome_line o = { .outcome = "retry", .url = link_of(t), .retry_after_s = -1, .elsewhere = true };

	outcome(t->protocol, &o, "%s", words);
}

/* A person's word about that step, given since it was asked for. */
static bool
approved(const struct trigger *t, const char *step)
{
	for (size_t i = 0; t->state.asked_at != 0 && i < t->request->n_approvals; i++) {
		const struct approval_word *w = &t->request->approvals[i];

		if (w->step != NULL && strcmp(w->step, step) == 0 && w->at >= t->state.asked_at)
			return true;
	}
	return false;
}

/* The first second whose words answer a question of now: none that was given before it, not even in this second. */
static int64_t
asked_from(const struct trigger *t, const char *step)
{
	int64_t from = t->request->now;

	for (size_t i = 0; i < t->request->n_approvals; i++) {
		const struct approval_word *w = &t->request->approvals[i];

		if (w->step != NULL && strcmp(w->step, step) == 0 && w->at >= from)
			from = w->at + 1;
	}
	return from;
}

/* Asks a person, once; the time says which words answer. */
static enum mh_status
ask_person(struct trigger *t, enum trigger_step at, const char *step, const char *words, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	if (t->state.step != at || t->state.asked_at == 0) {
		t->state.asked_at = asked_from(t, step);
		status = trigger_save(t, at, err);
	}
	if (status == MH_OK)
		say_asking(t, step, words);
	return status;
}

static enum mh_status
doubt(struct trigger *t, const char *why, struct mh_err *err)
{
	char words[400];

	(void)snprintf(words, sizeof(words),
	    "%s: whether it was started is not known (%s): look there, then approve with --step " TRIGGER_STEP_AGAIN
	    " to start it again, or close the case",
	    title(t), why);
	return ask_person(t, TRIGGER_DOUBT, TRIGGER_STEP_AGAIN, words, err);
}

/* -- after a start --------------------------------------------------------------------------------------------------- */

static void
keep_taken(struct trigger *t, struct preset_answer *a)
{
	if (a->taken == NULL)
		return;
	drop_json(&t->state.taken);
	t->state.taken = a->taken;
	a->taken = NULL;
}

static enum mh_status
ended(struct trigger *t, bool well, const char *words, struct mh_err *err)
{
	char text[400];

	(void)snprintf(text, sizeof(text), "%s: %s%s%s", title(t),
	    well ? "started, and ended well" : "started, and failed", words[0] == '\0' || well ? "" : ": ",
	    well ? "" : words);
	/* tried again by a person, it is another start */
	t->state.round += well ? 0 : 1;
	const enum mh_status status = well ? MH_OK : trigger_save(t, TRIGGER_NONE, err);
	if (status == MH_OK)
		say_end(t, well ? "done" : "failed", text);
	return status;
}

/* Started, and nobody can be asked how it ends. */
static enum mh_status
follow_by_hand(struct trigger *t, struct mh_err *err)
{
	char words[300];
	enum mh_status status = MH_OK;

	if (!t->conf->confirm || approved(t, TRIGGER_STEP_RENEWED)) {
		if (t->state.step != TRIGGER_STARTED)
			status = trigger_save(t, TRIGGER_STARTED, err);
		(void)snprintf(words, sizeof(words), "%s: started%s", title(t),
		    t->conf->confirm ? ", and a person says that it is renewed" : "");
		if (status == MH_OK)
			say_end(t, "done", words);
		return status;
	}
	(void)snprintf(words, sizeof(words),
	    "%s: started; how it ends is not told here: approve with --step " TRIGGER_STEP_RENEWED
	    " when it is renewed",
	    title(t));
	return ask_person(t, TRIGGER_STARTED, TRIGGER_STEP_RENEWED, words, err);
}

static bool
has_time(const struct trigger *t)
{
	return t->request->now - t->state.since < t->conf->give_up_s;
}

static enum mh_status
still_open(struct trigger *t, const char *words, struct mh_err *err)
{
	char text[400];
	enum mh_status status = MH_OK;

	if (has_time(t)) {
		(void)snprintf(text, sizeof(text), "%s: started, has not ended yet%s%s", title(t),
		    words[0] == '\0' ? "" : ": ", words);
		if (t->state.step != TRIGGER_STARTED)
			status = trigger_save(t, TRIGGER_STARTED, err);
		if (status == MH_OK)
			say_waiting(t, t->conf->poll_s, text);
		return status;
	}
	(void)snprintf(text, sizeof(text), "%s: started, and has not ended for %" PRId64 " hours%s%s", title(t),
	    t->conf->give_up_s / 3600, words[0] == '\0' ? "" : ": ", words);
	say_end(t, "failed", text);
	return MH_OK;
}

/* What a look at it came to. */
static enum mh_status
judge_look(
    struct trigger *t, enum mh_status found, struct preset_answer *a, const struct mh_err *why, struct mh_err *err)
{
	char text[400];

	(void)snprintf(text, sizeof(text), "%s: started, but cannot be followed: %s", title(t), why->text);
	if (found != MH_OK && lacks_here(t->protocol, why)) {
		say_elsewhere(t, text);
		return MH_OK;
	}
	switch (found) {
	case MH_OK:
		if (a->state == PRESET_OPEN)
			return still_open(t, a->words, err);
		return ended(t, a->state == PRESET_DONE, a->words, err);
	case MH_SKIP:
		return still_open(t, "", err);
	case MH_RETRY:
		if (!has_time(t))
			break;
		say_retry(t, a->retry_after_s, text);
		return MH_OK;
	case MH_BAD:
	case MH_LIMIT:
		break;
	}
	say_end(t, "failed", text);
	return MH_OK;
}

/* Looks where it is. *ret_on: what was found leads on to another request. */
static enum mh_status
look(struct trigger *t, const char *request, bool *ret_on, struct mh_err *err)
{
	MH_AUTO(preset_answer_release) struct preset_answer a = { .taken = NULL };
	const struct preset_context c = context_of(t);
	struct mh_err why = { 0 };

	const enum mh_status found = preset_ask(&c, request, &a, &why);
	*ret_on = found == MH_OK && strcmp(request, "find") == 0;
	if (found == MH_OK)
		keep_taken(t, &a);
	if (*ret_on)
		return trigger_save(t, TRIGGER_STARTED, err);
	return judge_look(t, found, &a, &why, err);
}

static enum mh_status
follow(struct trigger *t, struct mh_err *err)
{
	static const char *const requests[] = { "poll", "find" };

	/* at most: find, then poll */
	for (int turn = 0; turn < 2; turn++) {
		bool on = false;

		for (size_t i = 0; i < 2; i++) {
			const struct preset_context c = context_of(t);
			bool can = false;
			enum mh_status status = preset_can_ask(&c, requests[i], &can, err);

			if (status == MH_OK && can)
				status = look(t, requests[i], &on, err);
			if (status != MH_OK || (can && !on))
				return status;
			if (on)
				break;
		}
		if (!on)
			return follow_by_hand(t, err);
	}
	return still_open(t, "", err);
}

/* -- the start ----------------------------------------------------------------------------------------------------- */

static bool
may_repeat(const struct trigger *t)
{
	return t->conf->repeat || (t->conf->preset != NULL && preset_is_idempotent(t->conf->preset, "start"));
}

/* True where the answer itself says that nothing was done. */
static bool
was_not_done(const struct trigger *t, enum mh_status status, const struct preset_answer *a)
{
	if (!a->sent || status == MH_BAD || (a->status >= 400 && a->status < 500))
		return true;
	return t->fault == AWS_THROTTLED || (a->status == 503 && a->retry_after_s >= 0);
}

static enum mh_status
refused(struct trigger *t, enum mh_status why_code, const struct preset_answer *a, const struct mh_err *why,
    struct mh_err *err)
{
	char text[400];
	enum mh_status status = MH_OK;

	(void)snprintf(text, sizeof(text), "%s%s%s", t->conf->preset == NULL ? "" : title(t),
	    t->conf->preset == NULL ? "" : ": not started: ", why->text);
	if (was_not_done(t, why_code, a)) {
		status = trigger_save(t, TRIGGER_NONE, err);
		if (status == MH_OK && why_code == MH_RETRY)
			say_retry(t, a->retry_after_s, text);
		else if (status == MH_OK && lacks_here(t->protocol, why))
			say_elsewhere(t, text);
		else if (status == MH_OK)
			say_end(t, "failed", text);
		return status;
	}
	if (!may_repeat(t))
		return doubt(t, why->text, err);
	(void)snprintf(text, sizeof(text), "%s: no answer to the start: it is sent again, with the same key: %s",
	    title(t), why->text);
	say_retry(t, a->retry_after_s, text);
	return MH_OK;
}

static enum mh_status
start_by_preset(struct trigger *t, struct mh_err *err)
{
	MH_AUTO(preset_answer_release) struct preset_answer a = { .taken = NULL };
	const struct preset_context c = context_of(t);
	struct mh_err why = { 0 };

	t->fault = AWS_FINE;
	enum mh_status status = preset_ask(&c, "start", &a, &why);
	if (status != MH_OK)
		return refused(t, status, &a, &why, err);
	keep_taken(t, &a);
	t->state.asked_at = 0;
	if (a.state != PRESET_OPEN)
		return ended(t, a.state == PRESET_DONE, a.words, err);
	const struct preset_context with = context_of(t);
	bool can = false, can_find = false;
	status = trigger_save(t, TRIGGER_STARTED, err);
	if (status == MH_OK)
		status = preset_can_ask(&with, "poll", &can, err);
	if (status == MH_OK)
		status = preset_can_ask(&with, "find", &can_find, err);
	if (status != MH_OK)
		return status;
	return can || can_find ? still_open(t, "", err) : follow_by_hand(t, err);
}

static enum mh_status
start_program(struct trigger *t, struct mh_err *err)
{
	char words[160] = "";
	struct mh_err why = { 0 };
	const struct preset_answer nothing = { .sent = false, .retry_after_s = -1 };
	const enum mh_status status = trigger_program(t, words, sizeof(words), &why);

	if (status == MH_LIMIT && !may_repeat(t)) /* ended by force, in the middle of its work */
		return doubt(t, why.text, err);
	if (status == MH_LIMIT) {
		say_retry(t, -1, why.text);
		return MH_OK;
	}
	if (status != MH_OK)
		return refused(t, status, &nothing, &why, err);
	return ended(t, true, words, err);
}

static enum mh_status
start(struct trigger *t, struct mh_err *err)
{
	const enum mh_status status = trigger_save(t, TRIGGER_STARTING, err);

	if (status != MH_OK)
		return status;
	return t->conf->preset == NULL ? start_program(t, err) : start_by_preset(t, err);
}

static enum mh_status
start_again(struct trigger *t, struct mh_err *err)
{
	const enum mh_status status = trigger_state_again(t, err);

	return status == MH_OK ? start(t, err) : status;
}

enum mh_status
trigger_run(struct trigger *t, struct mh_err *err)
{
	switch (t->state.step) {
	case TRIGGER_NONE:
		return start(t, err);
	case TRIGGER_STARTING:
		return may_repeat(t) ? start(t, err) : doubt(t, "an attempt ended in the middle", err);
	case TRIGGER_STARTED:
		return follow(t, err);
	case TRIGGER_DOUBT:
		return approved(t, TRIGGER_STEP_AGAIN) ? start_again(t, err) : doubt(t, "as before", err);
	}
	return MH_OK;
}

/* -- dry ----------------------------------------------------------------------------------------------------------- */

enum mh_status
trigger_describe(struct trigger *t, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf shown;
	struct mh_span rest, line;
	char text[200];
	enum mh_status status = MH_OK;

	buf_init(&shown, MAX_SHOWN_BYTES);
	if (t->conf->preset == NULL) {
		for (size_t i = 0; t->conf->command[i] != NULL; i++)
			buf_printf(&shown, "%s%s", i == 0 ? "" : " ", t->conf->command[i]);
		buf_printf(&shown, "\n%s", t->state.payload);
	} else {
		const struct preset_context c = context_of(t);

		status = preset_show(&c, "start", &shown, err);
	}
	if (status != MH_OK)
		return status;
	rest = buf_span(&shown);
	while (span_line(&rest, &line))
		say(t->protocol, "%.*s", (int)utf8_cut(line, 1000), line.p);
	(void)snprintf(text, sizeof(text), "%s: %s", title(t),
	    t->state.step == TRIGGER_NONE ? "would be started" : "was started before; would be looked after");
	say_end(t, "done", text);
	return MH_OK;
}

static enum mh_status
check_online(struct trigger *t, struct mh_err *err)
{
	MH_AUTO(preset_answer_release) struct preset_answer a = { .taken = NULL };
	const struct preset_context c = context_of(t);
	enum mh_status status = MH_OK;

	if (preset_is_aws(t->conf->preset)) {
		status = aws_sign_in(&t->aws, false, err);
		if (status == MH_OK)
			say(t->protocol, "AWS: signed in by %s, in %s", t->aws.keys.source, t->aws.region);
	}
	if (status == MH_OK && preset_has(t->conf->preset, "check"))
		status = preset_ask(&c, "check", &a, err);
	return status;
}

enum mh_status
trigger_check(struct trigger *t, struct mh_err *err)
{
	bool online = false;
	enum mh_status status = MH_OK;

	(void)json_bool(t->request->json, "online", &online);
	if (t->conf->preset == NULL) {
		status = trigger_program_check(t->conf, err);
	} else {
		const struct preset_context c = context_of(t);

		status = preset_check(&c, err);
		if (status == MH_OK && preset_is_aws(t->conf->preset))
			status = aws_find_region(&t->aws, err);
		if (status == MH_OK && online)
			status = check_online(t, err);
	}
	if (status == MH_OK)
		say_end(t, "done", online ? "it can be started" : "the configuration is right");
	return status == MH_SKIP ? mh_fail(err, MH_BAD, "%s: it is not there", title(t)) : status;
}
