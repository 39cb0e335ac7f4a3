/* take.c: one message into the ledger, whole or not at all. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/work/case_impl.h"
#include "mailhook/work/digest.h"
#include "mailhook/work/log.h"
#include "mailhook/work/prove.h"

#define TAKE_ARENA_BYTES ((size_t)64 << 20)

/* Header values come as they stood in the mail; what is not UTF-8 is shown escaped, so that the ledger is text. */
static enum mh_status
text_of(struct arena *a, struct mh_span s, const char **ret, struct mh_err *err)
{
	char shown[MH_MAX_FACT_BYTES];
	struct mh_span copy;

	if (s.p == NULL) {
		*ret = NULL;
		return MH_OK;
	}
	if (memchr(s.p, '\0', s.n) != NULL || !utf8_valid(s))
		s = span_of(mh_escape(shown, sizeof(shown), s));
	if (arena_copy(a, s, &copy, err) != MH_OK)
		return mh_fail(err, MH_RETRY, "no memory for a message");
	*ret = copy.p;
	return MH_OK;
}

static enum mh_status
message_row(struct take *t, struct message_row *ret, struct mh_err *err)
{
	const struct reading *r = t->in->reading;
	const bool envelope_known = t->in->envelope->from.p != NULL;
	struct message_row m = { .received = t->in->envelope->received,
		.verdict = mh_verdict_names[r->verdict],
		.trust = t->in->trust,
		.trust_by = t->in->trust_by,
		.trust_steps = t->in->trust_steps,
		.automatic = r->automatic,
		.list = r->list,
		.quarantined = r->verdict != MH_NOTICE,
		.bytes = (int64_t)t->in->raw.n };
	const struct {
		struct mh_span from;
		const char **to;
	} texts[] = { { r->message_id, &m.message_id }, { r->from_address, &m.sender }, { r->subject, &m.subject },
		{ r->reason, &m.reason }, { r->parser, &m.parser }, { r->reply_to, &m.reply_to },
		{ r->references, &m.refs }, { envelope_known ? t->in->envelope->from : MH_NONE, &m.envelope_from } };
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && status == MH_OK; i++)
		status = text_of(t->a, texts[i].from, texts[i].to, err);
	if (status == MH_OK)
		*ret = m;
	return status;
}

static enum mh_status
notice_of(struct take *t, const struct notice *n, struct notice_row *ret, struct mh_err *err)
{
	struct notice_row row = { .message_id = t->ret.message_id,
		.has_expires = true,
		.expires = n->expires,
		.precision = n->precision,
		.days_stated = n->days_stated,
		.trust = t->in->trust,
		.seen = t->now };
	const struct {
		struct mh_span from;
		const char **to;
	} texts[] = { { n->kind, &row.kind }, { n->account, &row.account }, { n->region, &row.region },
		{ n->resource, &row.resource }, { n->event, &row.event } };
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]) && status == MH_OK; i++)
		status = text_of(t->a, texts[i].from, texts[i].to, err);
	if (status == MH_OK)
		*ret = row;
	return status;
}

/* -- the quarantine ------------------------------------------------------------------------------------------------ */

/* The message was stored with its bytes; past the limits they are let go again, and counted. What came first stays: a
 * flood cannot push out what it follows. *ret_full: these were let go. */
static enum mh_status
quarantine(struct take *t, bool *ret_full, struct mh_err *err)
{
	int64_t messages = 0, bytes = 0;
	enum mh_status status = db_run(
	    t->w->db, "UPDATE messages SET quarantined = 1 WHERE id = $1", DB_ARGS(db_int(t->ret.message_id)), err);

	*ret_full = false;
	if (status == MH_OK)
		status = ledger_quarantine(t->w->db, &messages, &bytes, err);
	if (status != MH_OK)
		return status;
	/* Forgeries have one share of the room, what is trusted has another: they cannot crowd out a new wording of AWS. */
	const int64_t shares = t->in->trust == TRUST_UNVERIFIED ? 1 : 2;
	if (messages <= shares * t->w->conf->quarantine_messages && bytes <= shares * t->w->conf->quarantine_bytes)
		return MH_OK;
	*ret_full = true;
	status = db_run(t->w->db, "UPDATE messages SET raw = NULL, quarantined = 0 WHERE id = $1",
	    DB_ARGS(db_int(t->ret.message_id)), err);
	return status == MH_OK ? ledger_meta_add(t->w->db, "quarantine-dropped", 1, err) : status;
}

/* Senders are as easily made up as accounts; and what is not even kept gets no case of its own. */
static enum mh_status
is_flood_of_unread(struct take *t, bool full, bool *ret, struct mh_err *err)
{
	int64_t today = 0;

	*ret = full;
	if (full || t->drill || t->in->trust != TRUST_UNVERIFIED)
		return MH_OK;
	const enum mh_status status = ledger_unread_since(t->w->db, time_day(t->now) * MH_DAY_S, &today, err);
	*ret = today >= t->w->conf->flood_unread;
	return status;
}

/* A notice-like message that was not read: one case for each sender and reason until it is closed. */
static enum mh_status
place_unread(struct take *t, const struct message_row *m, struct mh_err *err)
{
	struct notice_row n = { .message_id = t->ret.message_id,
		.kind = CASE_UNRECOGNISED,
		.resource = m->sender,
		.days_stated = -1,
		.trust = t->in->trust,
		.seen = t->now };
	struct case_row c = { 0 };
	struct mh_span words = span_of(m->reason);
	bool full = false, flood = false;
	enum mh_status status = quarantine(t, &full, err);

	if (t->drill)
		words = MH_LIT(CASE_DRILL);
	else if (status == MH_OK && t->in->reading->verdict == MH_FAILED &&
		 arena_printf(t->a, &words, err, "failed: %s", m->reason == NULL ? "no reason" : m->reason) != MH_OK)
		status = mh_fail(err, MH_RETRY, "no memory for a case");
	if (status == MH_OK)
		status = ledger_case_open_like(t->w->db, CASE_UNRECOGNISED, m->sender, words.p, t->a, &c, err);
	const bool fresh = status == MH_SKIP;
	if (fresh)
		status = is_flood_of_unread(t, full, &flood, err);
	if (fresh && status == MH_OK && flood)
		return case_flood(t, &n, err);
	if (fresh && status == MH_OK) {
		c = (struct case_row){
			.kind = CASE_UNRECOGNISED, .resource = m->sender, .reason = words.p, .trust = TRUST_UNVERIFIED
		};
		status = case_open(t, &c, err);
	}
	n.case_id = c.id;
	if (status == MH_OK)
		status = ledger_notice_add(t->w->db, &n, &n.id, err);
	if (fresh || status != MH_OK)
		return status;
	t->ret.joined++;
	char detail[64];
	(void)snprintf(detail, sizeof(detail), "message %" PRId64, t->ret.message_id);
	return ledger_event_add(t->w->db, c.id, t->now, "notice", "mailhook", detail, NULL, err);
}

static enum mh_status
place_all(struct take *t, struct mh_err *err)
{
	const struct reading *r = t->in->reading;
	enum mh_status status = MH_OK;
	bool full;

	for (size_t i = 0; i < r->n_notices && status == MH_OK; i++) {
		struct notice_row n;
		status = notice_of(t, &r->notices[i], &n, err);
		if (status == MH_OK)
			status = case_place(t, &n, err);
	}
	/* only what went into the digest: its bytes are an attacker's until a person looks */
	if (status == MH_OK && t->ret.flooded > 0 && t->ret.opened + t->ret.joined == 0)
		status = quarantine(t, &full, err);
	return status;
}

/* -- the same message again ---------------------------------------------------------------------------------------- */

/* A copy that is better trusted: its bytes and facts take the first copy's place, and the cases hear of it. */
static enum mh_status
replace_copy(struct take *t, const struct message_row *m, struct mh_err *err)
{
	const struct reading *r = t->in->reading;
	struct notice_rows old = { 0 };
	enum mh_status status = ledger_message_replace(t->w->db, t->ret.message_id, m, t->in->raw, err);

	if (status == MH_OK)
		status = ledger_notices_of_message(t->w->db, t->ret.message_id, t->a, &old, err);
	if (status == MH_OK && r->verdict != MH_NOTICE && old.n > 0) {
		struct case_row c;

		status = ledger_case_get(t->w->db, old.items[old.n - 1].case_id, t->a, &c, err);
		if (status == MH_OK && strcmp(c.kind, CASE_FLOOD) == 0)
			status = place_unread(t, m, err); /* it is no part of a flood any more */
	}
	for (size_t i = 0; i < r->n_notices && status == MH_OK; i++) {
		struct notice_row n;
		struct case_row c;

		status = notice_of(t, &r->notices[i], &n, err);
		if (status != MH_OK)
			break;
		if (i >= old.n || !same_text(old.items[i].kind, n.kind) ||
		    !same_text(old.items[i].account, n.account)) {
			status = case_place(t, &n, err);
			continue;
		}
		status = ledger_case_get(t->w->db, old.items[i].case_id, t->a, &c, err);
		if (status == MH_OK && strcmp(c.kind, CASE_FLOOD) == 0) {
			/* it is no part of a flood any more */
			status = db_run(t->w->db, "UPDATE messages SET quarantined = 0 WHERE id = $1",
			    DB_ARGS(db_int(t->ret.message_id)), err);
			if (status == MH_OK)
				status = case_place(t, &n, err);
			continue;
		}
		if (status == MH_OK && !c.open && c.closed_by_person && n.trust > c.closed_trust) {
			status = case_place(t, &n, err); /* the case was closed on the word of the lesser copy */
			continue;
		}
		n.id = old.items[i].id;
		n.case_id = c.id;
		if (status == MH_OK)
			status = ledger_notice_replace(t->w->db, n.id, &n, err);
		if (status == MH_OK)
			status = case_feed(t, &c, &n, err);
	}
	return status;
}

/* A copy more than are judged again is not lost in silence: it may have been the one with a proof. */
static enum mh_status
tell_unjudged(struct take *t, struct mh_err *err)
{
	struct notice_rows notices = { 0 };
	char words[160];
	enum mh_status status = ledger_notices_of_message(t->w->db, t->ret.message_id, t->a, &notices, err);

	(void)snprintf(words, sizeof(words),
	    "message %" PRId64
	    ": DNS does not answer, and %d copies of it wait for their proof: one more is not judged",
	    t->ret.message_id, PROVE_MAX_PENDING);
	log_event(LOG_WARNING, "unproven", &(const struct log_about){ .message_id = t->ret.message_id }, "%s", words);
	for (size_t i = 0; i < notices.n && status == MH_OK; i++)
		if (i == 0 || notices.items[i].case_id != notices.items[i - 1].case_id)
			status = ledger_event_add(
			    t->w->db, notices.items[i].case_id, t->now, "unproven", "mailhook", words, NULL, err);
	return status;
}

/* DNS did not answer. raw: of a copy that takes nobody's place until it is proved, or MH_NONE. */
static enum mh_status
judge_later(struct take *t, struct mh_span raw, struct mh_err *err)
{
	int64_t pending = 0;
	const enum mh_status status = ledger_verification_count(t->w->db, t->ret.message_id, &pending, err);

	if (status != MH_OK)
		return status;
	if (pending >= PROVE_MAX_PENDING)
		return tell_unjudged(t, err);
	return ledger_verification_add(t->w->db, t->ret.message_id, t->in->envelope->received,
	    prove_again_at(t->ret.message_id, 1, t->now), raw, err);
}

static enum mh_status
take_copy(struct take *t, const struct message_row *first, const struct message_row *m, struct mh_err *err)
{
	enum mh_status status = ledger_message_copied(t->w->db, first->id, err);
	/* Fields that are in no digest may have kept the first copy from being read. */
	const bool readable = t->in->reading->verdict == MH_NOTICE && m->trust == first->trust &&
			      strcmp(first->verdict, mh_verdict_names[MH_NOTICE]) != 0;

	t->ret.as = TAKEN_COPY;
	t->ret.message_id = first->id;
	if (status == MH_OK && readable)
		status = db_run(
		    t->w->db, "UPDATE messages SET quarantined = 0 WHERE id = $1", DB_ARGS(db_int(first->id)), err);
	if (status == MH_OK && (readable || m->trust > first->trust))
		status = replace_copy(t, m, err);
	if (status == MH_OK && t->in->temporary && first->trust < TRUST_VERIFIED)
		status = judge_later(t, m->trust > first->trust ? MH_NONE : t->in->raw, err);
	return status;
}

/* A drill is what carries the one Message-ID that the ledger waits for; that is used up by it. */
static enum mh_status
know_drill(struct take *t, const struct message_row *m, struct mh_err *err)
{
	const char *mark = NULL;
	const enum mh_status status = ledger_meta_get(t->w->db, LEDGER_META_DRILL, t->a, &mark, err);

	if (status != MH_OK || mark == NULL || mark[0] == '\0' || m->message_id == NULL ||
	    strcmp(mark, m->message_id) != 0)
		return status;
	t->drill = true;
	return ledger_meta_set(t->w->db, LEDGER_META_DRILL, "", err);
}

static enum mh_status
take_in(struct take *t, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	char digest[DIGEST_HEX];
	struct message_row m, first;
	enum mh_status status = digest_message(t->in->raw, t->in->reading, digest, err);

	if (status == MH_OK)
		status = message_row(t, &m, err);
	if (status == MH_OK)
		status = db_tx_begin(t->w->db, &tx, err);
	if (status != MH_OK)
		return status;
	m.digest = digest;
	status = know_drill(t, &m, err);
	if (status == MH_OK)
		status = ledger_message_find(t->w->db, digest, t->a, &first, err);
	if (status == MH_OK) {
		status = take_copy(t, &first, &m, err);
	} else if (status == MH_SKIP) {
		t->ret.as = TAKEN_NEW;
		status = ledger_message_add(t->w->db, &m, t->in->raw, &t->ret.message_id, err);
		if (status == MH_OK)
			status = t->in->reading->verdict == MH_NOTICE ? place_all(t, err) : place_unread(t, &m, err);
		if (status == MH_OK && t->in->temporary)
			status = judge_later(t, MH_NONE, err);
	}
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

enum mh_status
case_take(struct work *w, const struct incoming *in, int64_t now, struct taken *ret, struct mh_err *err)
{
	struct arena a;
	struct take t = { .w = w, .in = in, .a = &a, .now = now };
	enum mh_status status = MH_OK;

	if (in->reading->verdict != MH_IRRELEVANT && !in->reading->own) {
		arena_init(&a, TAKE_ARENA_BYTES);
		status = take_in(&t, err);
		arena_release(&a);
	}
	if (status == MH_OK)
		*ret = t.ret;
	return status;
}

static enum mh_status
proved_in(struct take *t, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct message_row m, first;
	enum mh_status status = message_row(t, &m, err);

	if (status == MH_OK)
		status = db_tx_begin(t->w->db, &tx, err);
	if (status == MH_OK)
		status = ledger_message_get(t->w->db, t->ret.message_id, t->a, &first, err);
	if (status == MH_OK && m.trust > first.trust)
		status = replace_copy(t, &m, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

enum mh_status
case_proved(struct work *w, int64_t message_id, const struct incoming *in, int64_t now, struct mh_err *err)
{
	struct arena a;
	struct take t = { .w = w, .in = in, .a = &a, .now = now, .ret = { .message_id = message_id } };

	arena_init(&a, TAKE_ARENA_BYTES);
	const enum mh_status status = proved_in(&t, err);
	arena_release(&a);
	return status;
}

/* A case of unread mail whose last message is read now has nothing left to ask of a person. */
static enum mh_status
settle_unread(struct take *t, int64_t case_id, const char *by, struct mh_err *err)
{
	struct case_row c;
	int64_t unread = 0;
	enum mh_status status = ledger_case_get(t->w->db, case_id, t->a, &c, err);

	if (status != MH_OK || !c.open || strcmp(c.kind, CASE_UNRECOGNISED) != 0)
		return status;
	status = db_one(t->w->db,
	    "SELECT count(*) FROM notices n JOIN messages m ON m.id = n.message_id WHERE n.case_id = $1 AND m.verdict "
	    "<> 'notice'",
	    DB_ARGS(db_int(case_id)), &unread, err);
	if (status != MH_OK || unread > 0)
		return status;
	return case_end(t->w, &c, by, "all its messages are read now", t->now, err);
}

static enum mh_status
reread_in(struct take *t, const char *by, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct notice_rows before = { 0 };
	struct message_row m, first;
	enum mh_status status = message_row(t, &m, err);

	if (status == MH_OK)
		status = db_tx_begin(t->w->db, &tx, err);
	if (status == MH_OK)
		status = ledger_message_get(t->w->db, t->ret.message_id, t->a, &first, err);
	if (status == MH_OK && strcmp(first.verdict, mh_verdict_names[MH_NOTICE]) == 0)
		return mh_fail(err, MH_SKIP, "it is a notice by now");
	if (status == MH_OK)
		status = ledger_notices_of_message(t->w->db, first.id, t->a, &before, err);
	if (status == MH_OK)
		status = db_run(
		    t->w->db, "UPDATE messages SET quarantined = 0 WHERE id = $1", DB_ARGS(db_int(first.id)), err);
	if (status == MH_OK)
		status = replace_copy(t, &m, err);
	for (size_t i = 0; i < before.n && status == MH_OK; i++)
		status = settle_unread(t, before.items[i].case_id, by, err);
	if (status == MH_OK && t->in->temporary)
		status = judge_later(t, MH_NONE, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

enum mh_status
case_reread(struct work *w, int64_t message_id, const struct incoming *in, const char *by, int64_t now,
    struct taken *ret, struct mh_err *err)
{
	struct arena a;
	struct take t = {
		.w = w, .in = in, .a = &a, .now = now, .ret = { .as = TAKEN_COPY, .message_id = message_id }
	};

	arena_init(&a, TAKE_ARENA_BYTES);
	const enum mh_status status = reread_in(&t, by, err);
	arena_release(&a);
	if (status == MH_OK)
		*ret = t.ret;
	return status;
}
