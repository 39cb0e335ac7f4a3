/* cmd_requeue.c: what could not be read is read again, after a definition was added. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/prove.h"
#include "parsers/render.h"

struct requeue {
	struct work *w;
	const struct options *o;
	const char *by;
	struct arena *a; /* of one message */
	struct buf *raw;
	size_t read, unread;
};

/* -- telling ------------------------------------------------------------------------------------------------------- */

static void
tell_json(const struct requeue *q, const struct message_row *m, const struct reading *r)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	struct mh_err err = { 0 };
	struct buf line;

	buf_init(&line, 8 * (size_t)MH_MAX_ANSWER_BYTES);
	cJSON *reading = reading_render(r, "-", &line) ? json_parse(buf_span(&line), &err) : NULL;
	cJSON_DeleteItemFromObjectCaseSensitive(reading, "source");
	buf_clear(&line);
	(void)json_add_integer(j, "message", m->id);
	(void)json_add_string(j, "was", m->verdict);
	(void)json_add_string(j, "was_reason", m->reason);
	(void)cJSON_AddBoolToObject(j, "changed", !q->o->dry_run && r->verdict == MH_NOTICE);
	(void)cJSON_AddItemToObject(j, "reading", reading == NULL ? cJSON_CreateNull() : reading);
	if (json_print(j, &line))
		(void)printf("%.*s\n", (int)line.n, line.p);
	buf_release(&line);
}

static void
tell(const struct requeue *q, const struct message_row *m, const struct reading *r)
{
	char reason[600], was[600], t[MH_TIME_TEXT];

	if (q->o->json) {
		tell_json(q, m, r);
		return;
	}
	if (r->verdict != MH_NOTICE) {
		(void)printf("message %" PRId64 ": %s%s%s\n", m->id,
		    r->verdict == MH_IRRELEVANT ? "irrelevant by now: close its case" : mh_verdict_names[r->verdict],
		    r->reason.n > 0 ? ": " : "", mh_escape(reason, sizeof(reason), r->reason));
		return;
	}
	for (size_t i = 0; i < r->n_notices; i++) {
		const struct notice *n = &r->notices[i];
		char kind[300], account[300];

		(void)printf("message %" PRId64 ": notice: %s, account %s, expires %s\n", m->id,
		    mh_escape(kind, sizeof(kind), n->kind),
		    n->account.p == NULL ? "not said" : mh_escape(account, sizeof(account), n->account),
		    time_text(t, n->expires));
	}
	(void)printf("message %" PRId64 ": it was %s: %s\n", m->id, m->verdict,
	    mh_escape(was, sizeof(was), m->reason == NULL ? MH_LIT("no reason") : span_of(m->reason)));
}

/* -- one message --------------------------------------------------------------------------------------------------- */

static enum mh_status
take_again(struct requeue *q, const struct message_row *m, const struct reading *r, struct mh_err *err)
{
	const struct envelope envelope = { .received = m->received,
		.from = m->envelope_from == NULL ? MH_NONE : span_of(m->envelope_from) };
	struct verify_answer proof = { 0 };
	struct taken taken;
	const enum mh_status status = prove(q->w, buf_span(q->raw), m->received, r, q->a, &proof, err);

	if (status != MH_OK)
		return status;
	const bool less = proof.level < m->trust; /* keys are taken away some time after their use */
	const struct incoming in = { .reading = r,
		.raw = buf_span(q->raw),
		.envelope = &envelope,
		.trust = less ? m->trust : proof.level,
		.trust_by = less ? m->trust_by : proof.by,
		.trust_steps = less ? m->trust_steps : proof.steps,
		.temporary = proof.temporary };
	return case_reread(q->w, m->id, &in, q->by, clock_now(), &taken, err);
}

/* errors  MH_BAD this message cannot be read again: err says why */
static enum mh_status
read_again(struct requeue *q, int64_t id, struct mh_err *err)
{
	struct message_row m;
	struct reading r = { 0 };
	enum mh_status status = ledger_message_get(q->w->db, id, q->a, &m, err);

	if (status == MH_SKIP)
		return mh_fail(err, MH_BAD, "there is no message %" PRId64, id);
	if (status == MH_OK && strcmp(m.verdict, mh_verdict_names[MH_NOTICE]) == 0)
		return mh_fail(err, MH_BAD, "message %" PRId64 " was read: it is a notice", id);
	if (status == MH_OK)
		status = ledger_message_raw(q->w->db, id, q->raw, err);
	if (status == MH_SKIP)
		return mh_fail(err, MH_BAD, "message %" PRId64 ": its bytes are not kept any more", id);
	if (status == MH_OK)
		status = sandbox_read(&q->w->reader, buf_span(q->raw), q->a, &r, err);
	if (status == MH_OK && r.verdict == MH_NOTICE && !q->o->dry_run)
		status = take_again(q, &m, &r, err);
	if (status == MH_SKIP) /* the worker, or somebody else, was quicker */
		return mh_fail(err, MH_BAD, "message %" PRId64 " is a notice by now", id);
	if (status != MH_OK)
		return status;
	*(r.verdict == MH_NOTICE ? &q->read : &q->unread) += 1;
	tell(q, &m, &r);
	return MH_OK;
}

static enum mh_status
one(struct requeue *q, int64_t id, struct mh_err *err)
{
	struct arena a;
	struct buf raw;

	arena_init(&a, MH_MAX_ARENA_BYTES);
	buf_init(&raw, (size_t)MH_MAX_MESSAGE_BYTES + 65536);
	q->a = &a;
	q->raw = &raw;
	const enum mh_status status = read_again(q, id, err);
	buf_release(&raw);
	arena_release(&a);
	return status;
}

/* -- the command --------------------------------------------------------------------------------------------------- */

static enum mh_status
named(struct requeue *q, struct mh_err *err)
{
	enum mh_status worst = MH_OK;

	for (size_t i = 0; i < q->o->n_operands; i++) {
		const char *text = q->o->operands[i];
		char *end, shown[60];
		const long long id = strtoll(text, &end, 10);

		enum mh_status status = MH_OK;
		if (text[0] < '0' || text[0] > '9' || *end != '\0')
			status =
			    mh_fail(err, MH_BAD, "\"%s\" is no number of a message: 'mailhook show CASE' names them",
				mh_escape(shown, sizeof(shown), span_of(text)));
		else
			status = one(q, id, err);
		if (status != MH_OK && status != MH_BAD)
			return status;
		if (status == MH_BAD) {
			work_log("%s", err->text);
			worst = MH_BAD;
		}
	}
	return worst;
}

static enum mh_status
all(struct requeue *q, struct mh_err *err)
{
	enum mh_status status = MH_OK;
	int64_t id = 0;

	while (status == MH_OK) {
		status = ledger_message_unread(q->w->db, id, &id, err);
		if (status == MH_OK)
			status = one(q, id, err);
		if (status == MH_BAD)
			status = MH_OK; /* it changed meanwhile */
	}
	return status == MH_SKIP ? MH_OK : status;
}

int
requeue_command(const struct options *o)
{
	struct work w = { 0 };
	struct requeue q = { .w = &w, .o = o };
	struct mh_err err = { 0 };
	bool right = true;
	char by[100];
	enum mh_status status = work_load(&w, o->config, &err);

	who_steers(by, sizeof(by));
	q.by = by;
	if (status == MH_OK)
		status = work_read_definitions(&w, &right, &err);
	if (status == MH_OK)
		status = steer_open(&w, &err);
	if (status == MH_OK)
		status = o->n_operands > 0 ? named(&q, &err) : all(&q, &err);
	if (status == MH_SKIP)
		(void)mh_fail(&err, status, "no message was taken in yet");
	if (status != MH_OK && !(status == MH_BAD && o->n_operands > 0))
		work_log("%s", err.text);
	if (q.read > 0 && !o->dry_run)
		work_wake(w.conf);
	if (status == MH_OK && !o->json)
		(void)printf("%zu messages were read again: %zu are notices now, %zu are still not read%s\n",
		    q.read + q.unread, q.read, q.unread, o->dry_run ? "; nothing was changed" : "");
	work_release(&w);
	if (status != MH_OK)
		return work_exit(status);
	return q.unread > 0 || !right ? EXIT_ATTENTION : EXIT_OK;
}
