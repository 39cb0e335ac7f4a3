/* intake_take.c: one file of the intake: read again in the sandbox, taken into the ledger, and only then removed. */
#include <inttypes.h>

#include "mailhook/clock.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/log.h"
#include "mailhook/work/prove.h"
#include "mailhook/work/upkeep.h"
#include "parsers/parser.h"

static enum mh_status
set_aside(struct work *w, const char *name, const char *why, struct mh_err *err)
{
	log_event(
	    LOG_ERROR, "set-aside", &(const struct log_about){ .file = name }, "intake %s: %s: set aside", name, why);
	return intake_set_aside(w->conf->intake_dir, name, err);
}

/* One line a case that the message went to, so that each line has one case's id. */
static void
tell_cases(struct work *w, int64_t message_id, struct arena *a)
{
	struct notice_rows notices = { 0 };
	struct mh_err err = { 0 };

	if (ledger_notices_of_message(w->db, message_id, a, &notices, &err) != MH_OK)
		return;
	for (size_t i = 0; i < notices.n; i++) {
		const struct notice_row *n = &notices.items[i];
		const struct log_about about = { .case_id = n->case_id, .message_id = message_id };
		char t[MH_TIME_TEXT];

		log_event(LOG_NOTICE, "case", &about, "message %" PRId64 " is of case %" PRId64 ": %s%s%s", message_id,
		    n->case_id, n->kind, n->has_expires ? ", expires " : "",
		    n->has_expires ? time_text(t, n->expires) : "");
	}
}

static void
tell(struct work *w, const char *name, const struct reading *r, const struct verify_answer *proof,
    const struct taken *t, struct arena *a)
{
	const struct log_about about = { .message_id = t->message_id, .file = name };

	if (t->as == TAKEN_NOT) {
		log_event(LOG_DEBUG, "taken", &about, "intake %s: %s, not kept", name,
		    r->own ? "our own reply" : "irrelevant");
		return;
	}
	if (t->as == TAKEN_COPY) {
		log_event(LOG_INFO, "taken", &about, "intake %s: message %" PRId64 " again", name, t->message_id);
		return;
	}
	log_event(r->verdict == MH_NOTICE ? LOG_INFO : LOG_WARNING, "taken", &about,
	    "intake %s: message %" PRId64 ", %s, %s%s, %zu opened, %zu joined, %zu into the digest", name,
	    t->message_id, mh_verdict_names[r->verdict], trust_names[proof->level], proof->temporary ? " as yet" : "",
	    t->opened, t->joined, t->flooded);
	tell_cases(w, t->message_id, a);
}

/* Who put it into the intake saw more in it than we do: it may have read a definition that is newer than our start. */
static enum mh_status
read_again(struct work *w, struct mh_span raw, struct arena *a, struct reading *ret, struct mh_err *err)
{
	struct work fresh = { .conf = w->conf };
	bool right = false;
	enum mh_status status = work_read_definitions(&fresh, &right, err);

	if (status == MH_OK) {
		struct definitions *old = w->definitions;

		w->definitions = fresh.definitions;
		w->reader = fresh.reader;
		fresh.definitions = old;
		status = sandbox_read(&w->reader, raw, a, ret, err);
	}
	definitions_free(fresh.definitions);
	return status;
}

static enum mh_status
take_file(struct work *w, const char *name, struct buf *file, struct arena *a, struct mh_err *err)
{
	struct mh_span raw;
	struct envelope envelope;
	struct reading reading = { 0 };
	struct taken taken;
	struct verify_answer proof = { 0 };
	struct mh_err own = { 0 };
	enum mh_status status = intake_get(w->conf->intake_dir, name, file, &raw, &envelope, &own);

	if (status == MH_SKIP)
		return MH_OK; /* gone */
	if (status == MH_BAD)
		return set_aside(w, name, own.text, err);
	if (status == MH_OK)
		status = sandbox_read(&w->reader, raw, a, &reading, &own);
	if (status == MH_OK && reading.verdict == MH_IRRELEVANT && !reading.own && w->definitions != NULL)
		status = read_again(w, raw, a, &reading, &own);
	if (status == MH_OK && reading.verdict != MH_IRRELEVANT && !reading.own)
		status = prove(w, raw, envelope.received, &reading, a, &proof, &own);
	if (status == MH_OK) {
		const struct incoming in = { .reading = &reading,
			.raw = raw,
			.envelope = &envelope,
			.trust = proof.level,
			.trust_by = proof.by,
			.trust_steps = proof.steps,
			.temporary = proof.temporary };
		status = case_take(w, &in, clock_now(), &taken, &own);
		/* this message alone cannot be taken. Whatever else is wrong is the ledger's or ours: the message stays */
		if (status == MH_BAD && own.of_value)
			return set_aside(w, name, own.text, err);
	}
	if (status != MH_OK) {
		*err = own;
		return MH_RETRY;
	}
	tell(w, name, &reading, &proof, &taken, a);
	/* a standby that takes over must not lack it unnoticed. Of a copy another process may have committed the first */
	if (taken.as == TAKEN_COPY && mark_ahead(w, err) != MH_OK)
		return MH_RETRY;
	mark_note(w);
	return intake_drop(w->conf->intake_dir, name, err);
}

enum mh_status
intake_take(struct work *w, const char *name, struct mh_err *err)
{
	struct arena a;
	struct buf file;

	arena_init(&a, MH_MAX_ARENA_BYTES);
	buf_init(&file, (size_t)MH_MAX_MESSAGE_BYTES + 65536);
	const enum mh_status status = take_file(w, name, &file, &a, err);
	buf_release(&file);
	arena_release(&a);
	return status;
}
