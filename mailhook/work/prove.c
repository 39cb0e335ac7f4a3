/* prove.c: the worker's questions to the verifier. */
#include "mailhook/work/prove.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/work/case.h"
#include "mailhook/work/job.h"
#include "mailhook/work/log.h"

enum mh_status
prove(struct work *w, struct mh_span raw, int64_t received, const struct reading *r, struct arena *a,
    struct verify_answer *ret, struct mh_err *err)
{
	char path[sizeof(w->libexec) + 32];
	struct verify_ask q = { .program = path, .trust = &w->conf->trust, .raw = raw, .received = received };

	if (!verify_has_proof(raw, &w->conf->trust)) {
		*ret = (struct verify_answer){ .steps = "[\"nothing in the mail could prove who sent it\"]" };
		return MH_OK;
	}
	if (clock_monotonic_ms() < w->dns_quiet_until_ms) {
		*ret = (struct verify_answer){ .temporary = true,
			.steps = "[\"not judged yet: a moment ago DNS did not answer\"]" };
		return MH_OK;
	}
	(void)snprintf(path, sizeof(path), "%s/mailhook-verify", w->libexec);
	enum mh_status status = verify_lists_of_reading(w->definitions, r, a, &q.lists, err);
	const int64_t begun_ms = clock_monotonic_ms();
	if (status == MH_OK)
		status = verify_ask(&q, a, ret, err);
	if (status == MH_OK && ret->temporary && clock_monotonic_ms() - begun_ms >= PROVE_SLOW_MS)
		w->dns_quiet_until_ms = clock_monotonic_ms() + PROVE_QUIET_MS;
	return status;
}

int64_t
prove_again_at(int64_t message_id, int64_t attempts, int64_t now)
{
	char key[40];

	(void)snprintf(key, sizeof(key), "verification %" PRId64, message_id);
	return now + job_backoff_s(key, attempts);
}

/* -- once more ----------------------------------------------------------------------------------------------------- */

struct again {
	struct work *w;
	struct arena *a;
	int64_t now;
	struct verification_row v;
	struct message_row m;
	struct verify_answer answer;
};

/* A case whose effects wait for a proof that will not come: people hear of it where they look, in ticket and mail. */
static enum mh_status
tell_people(struct again *g, int64_t case_id, const char *words, struct mh_err *err)
{
	struct case_row c;
	int64_t waiting = 0;
	enum mh_status status = ledger_case_get(g->w->db, case_id, g->a, &c, err);

	if (status == MH_OK)
		status = db_one(g->w->db,
		    "SELECT count(*) FROM jobs WHERE case_id = $1 AND state = 'waiting' AND waiting_for = 'trust'",
		    DB_ARGS(db_int(case_id)), &waiting, err);
	if (status != MH_OK || !c.open || waiting == 0)
		return status;
	return case_event(g->w, &c, "failed", "mailhook", words, NULL, g->now, err);
}

/* The cases that the message feeds hear of it. */
static enum mh_status
tell_cases(struct again *g, const char *what, const char *words, struct mh_err *err)
{
	struct notice_rows notices = { 0 };
	enum mh_status status = ledger_notices_of_message(g->w->db, g->m.id, g->a, &notices, err);

	for (size_t i = 0; i < notices.n && status == MH_OK; i++) {
		bool told = false;

		for (size_t k = 0; k < i && !told; k++)
			told = notices.items[k].case_id == notices.items[i].case_id;
		if (!told)
			status = ledger_event_add(
			    g->w->db, notices.items[i].case_id, g->now, what, "mailhook", words, NULL, err);
		if (!told && status == MH_OK && strcmp(what, "unproven") == 0)
			status = tell_people(g, notices.items[i].case_id, words, err);
	}
	return status;
}

/* The end of one verification that raised nothing. */
static enum mh_status
end_verification(struct again *g, const char *what, const char *words, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	enum mh_status status = db_tx_begin(g->w->db, &tx, err);

	if (status == MH_OK)
		status = ledger_verification_drop(g->w->db, g->v.id, err);
	if (status == MH_OK && g->answer.steps != NULL && g->answer.level == g->m.trust && !g->v.copy)
		status = ledger_message_trust(g->w->db, g->m.id, g->answer.steps, err);
	if (status == MH_OK)
		status = tell_cases(g, what, words, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

static enum mh_status
give_up(struct again *g, const char *why, struct mh_err *err)
{
	char words[300];

	(void)snprintf(words, sizeof(words),
	    "message %" PRId64 ": its proof is given up after %" PRId64 " attempts, it stays %s: %s", g->m.id,
	    g->v.attempts + 1, trust_names[g->m.trust], why);
	log_event(LOG_WARNING, "unproven", &(const struct log_about){ .message_id = g->m.id }, "%s", words);
	return end_verification(g, "unproven", words, err);
}

/* For how long it was judged: it may have lain in a mailbox for days before. */
static enum mh_status
judged_for(struct again *g, int64_t *ret_s, struct mh_err *err)
{
	struct notice_rows notices = { 0 };
	const enum mh_status status = ledger_notices_of_message(g->w->db, g->m.id, g->a, &notices, err);

	/* A copy that came later has its own time. */
	const int64_t seen = notices.n == 0 ? g->v.received : notices.items[0].seen;
	*ret_s = g->now - (seen > g->v.received ? seen : g->v.received);
	return status;
}

static enum mh_status
conclude(struct again *g, struct mh_span raw, const struct reading *r, struct mh_err *err)
{
	const struct envelope envelope = { .received = g->v.received, .from = span_of(g->m.envelope_from) };
	const struct incoming in = { .reading = r,
		.raw = raw,
		.envelope = &envelope,
		.trust = g->answer.level,
		.trust_by = g->answer.by,
		.trust_steps = g->answer.steps };
	const bool better = g->answer.level > g->m.trust;
	int64_t judged_s = 0;
	char words[120];
	enum mh_status status = MH_OK;

	if (better) {
		log_event(LOG_NOTICE, "proved", &(const struct log_about){ .message_id = g->m.id },
		    "message %" PRId64 ": %s (%s)", g->m.id, trust_names[g->answer.level],
		    g->answer.by == NULL ? "" : g->answer.by);
		status = case_proved(g->w, g->m.id, &in, g->now, err);
	}
	if (status != MH_OK)
		return status;
	if (g->answer.temporary)
		status = judged_for(g, &judged_s, err);
	if (status != MH_OK)
		return status;
	if (g->answer.temporary && judged_s >= PROVE_GIVE_UP_S)
		return give_up(g, "DNS did not answer", err);
	if (g->answer.temporary)
		return ledger_verification_later(
		    g->w->db, g->v.id, prove_again_at(g->m.id, g->v.attempts + 1, g->now), g->v.attempts + 1, err);
	if (better)
		return g->answer.level == TRUST_VERIFIED ? ledger_verification_drop_all(g->w->db, g->m.id, err)
							 : ledger_verification_drop(g->w->db, g->v.id, err);
	(void)snprintf(
	    words, sizeof(words), "message %" PRId64 ": judged again, it stays %s", g->m.id, trust_names[g->m.trust]);
	return end_verification(g, "judged", words, err);
}

static enum mh_status
again(struct again *g, struct buf *raw, struct mh_err *err)
{
	struct reading r = { 0 };
	enum mh_status status = ledger_message_get(g->w->db, g->v.message_id, g->a, &g->m, err);

	if (status == MH_OK)
		status = ledger_verification_raw(g->w->db, g->v.id, raw, err);
	if (status == MH_SKIP)
		return give_up(g, "its bytes are not kept", err);
	if (status == MH_OK)
		status = sandbox_read(&g->w->reader, buf_span(raw), g->a, &r, err);
	if (status == MH_OK && r.verdict == MH_IRRELEVANT)
		return give_up(g, "no definition reads it any more", err);
	if (status == MH_OK)
		status = prove(g->w, buf_span(raw), g->v.received, &r, g->a, &g->answer, err);
	return status == MH_OK ? conclude(g, buf_span(raw), &r, err) : status;
}

enum mh_status
prove_due(struct work *w, int64_t now, bool *ret_more, struct mh_err *err)
{
	struct arena a;
	struct buf raw;
	struct again g = { .w = w, .a = &a, .now = now };

	*ret_more = false;
	if (clock_monotonic_ms() < w->dns_quiet_until_ms)
		return MH_OK;
	enum mh_status status = ledger_verification_due(w->db, now, &g.v, err);
	if (status == MH_OK && !w->db->engine->local) {
		status = ledger_verification_take(w->db, &g.v, now + PROVE_TAKE_S, err);
		*ret_more = status == MH_SKIP; /* the next one may be ours */
	}
	if (status != MH_OK)
		return status == MH_SKIP ? MH_OK : status;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	buf_init(&raw, MH_MAX_MESSAGE_BYTES);
	status = again(&g, &raw, err);
	buf_release(&raw);
	arena_release(&a);
	*ret_more = status == MH_OK;
	return status;
}
