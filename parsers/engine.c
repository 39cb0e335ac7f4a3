/* engine.c: the parser that reads by definitions: which of them have a word in the mail, what each reads, the verdict. */
#include "parsers/engine.h"

#include <string.h>

#include "parsers/address.h"
#include "parsers/explain.h"
#include "parsers/links.h"
#include "parsers/prefilter.h"
#include "parsers/sentence.h"

/* -- which definitions have a word in the mail -------------------------------------------------------------------- */

static void
on_phrase(void *user, const struct phrase *p, struct mh_span text, size_t at)
{
	struct engine *e = user;

	if (p->tag == TAG_SENDER ? e->sender_seen : e->candidates[p->tag])
		return;
	if (!phrase_around(text, at, p))
		return;
	if (p->tag == TAG_SENDER) {
		e->sender_seen = true;
	} else {
		e->candidates[p->tag] = e->any_candidate = true;
	}
}

/* Fields whose words count: where AWS's event codes stand, and who sent it before a list or a group did. */
static bool
is_read_field(struct mh_span name)
{
#define NAME(s)                                                                                                        \
	{                                                                                                              \
		s, sizeof(s) - 1                                                                                       \
	}
	static const struct mh_span names[] = { NAME("Subject"), NAME("From"), NAME("Reply-To"),
		NAME("X-Original-From"), NAME("X-Original-Sender"), NAME("X-SM-COMMUNICATION-TYPE"),
		NAME("X-NOTIFICATIONS-CLIENT-REQUEST-ID") };
#undef NAME

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) /* for each field of each mail: no strlen here */
		if (name.n == names[i].n && span_ieq(name, names[i]))
			return true;
	return false;
}

/* Whether anything of ours is in the mail. An ordinary mail costs no more than this. */
static bool
prefilter_mail(struct engine *e, const struct prefilter *f)
{
	const struct mail *m = e->mail;
	bool hides = false;

	for (size_t i = 0; i < m->n_messages; i++) {
		if (m->messages[i].report)
			continue;
		for (size_t k = 0; k < m->messages[i].n_fields; k++) {
			const struct mail_field *field = &m->messages[i].fields[k];

			if (is_read_field(field->name)) {
				prefilter_run(f, field->value, on_phrase, e);
				hides = hides || carriage_hides(field->value);
			}
		}
	}
	for (size_t i = 0; i < m->n_parts; i++) {
		if (m->messages[m->parts[i].message].report)
			continue;
		prefilter_run(f, m->parts[i].text, on_phrase, e);
		hides = hides || carriage_hides(m->parts[i].text);
	}
	e->hides = hides;
	return e->any_candidate || e->sender_seen || hides;
}

/* Words that only the views' cleaned text shows. */
static void
prefilter_views(struct engine *e, const struct prefilter *f)
{
	for (size_t i = 0; i < e->views.n; i++) {
		prefilter_run(f, e->views.items[i].text, on_phrase, e);
		prefilter_run(f, e->views.items[i].subject, on_phrase, e);
		prefilter_run(f, e->views.items[i].event, on_phrase, e);
	}
}

/* -- the verdict -------------------------------------------------------------------------------------------------- */

static bool
has_sender_field(const struct engine *e)
{
	static const char *const names[] = { "X-Original-Sender", "X-Original-From", "Reply-To" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct mail_field *f = mail_field(&e->mail->messages[0], names[i]);
		struct mh_span address = MH_NONE;
		size_t count = 0;

		if (f != NULL && address_read(f->raw, e->arena, &address, &count, NULL) == MH_OK &&
		    definitions_sender(e->d, address))
			return true;
	}
	return false;
}

static bool
says_settled(const struct engine *e, const struct view *v)
{
	for (size_t i = 0; i < e->d->n; i++)
		for (const char *const *p = e->d->slots[i].def->ignore; *p != NULL; p++)
			if (span_ifind(v->subject, span_of(*p), 0) != SIZE_MAX ||
			    span_ifind(v->text, span_of(*p), 0) != SIZE_MAX)
				return true;
	return false;
}

/* A listed sender's mail that no definition claims: is there a watch word where it counts?
 *   errors  MH_SKIP no; MH_LIMIT */
static enum mh_status
watch_view(struct engine *e, const struct view *v, struct mh_span *ret_why)
{
	struct mh_span event = v->event, unused = MH_NONE, sentence;
	struct mh_span word = watch_word(e->d, v->subject);
	char shown[100];

	if (word.p != NULL)
		return arena_printf(e->arena, ret_why, e->err,
			   "a listed sender's mail that no definition reads: \"%s\" in its subject",
			   mh_escape(shown, sizeof(shown), word)) == MH_OK
			   ? MH_OK
			   : MH_LIMIT;
	if (event.p == NULL)
		view_reference(v, e->arena, &unused, &event);
	word = watch_word(e->d, event);
	if (word.p != NULL)
		return arena_printf(e->arena, ret_why, e->err,
			   "a listed sender's mail that no definition reads: \"%s\" as its event",
			   mh_escape(shown, sizeof(shown), event)) == MH_OK
			   ? MH_OK
			   : MH_LIMIT;

	const enum mh_status status = watch_sentence(e->d, v, e->arena, &sentence, e->err);
	if (status != MH_OK)
		return status;
	return arena_printf(e->arena, ret_why, e->err, "a listed sender's mail that no definition reads: \"%s\"",
		   mh_escape(shown, sizeof(shown), sentence)) == MH_OK
		   ? MH_OK
		   : MH_LIMIT;
}

static void
say_unclaimed(const struct engine *e, size_t view, const char *words)
{
	explain(e, &(struct decision){
		       DECISION_MISS, COUNTS_NOT, NO_SLOT, view, .text = e->views.items[view].from, .words = words });
}

static enum mh_status
judge_unclaimed(struct engine *e, struct reading *ret)
{
	const bool outer_listed = has_sender_field(e);
	enum mh_status status = MH_SKIP;

	for (size_t i = 0; i < e->views.n && status == MH_SKIP; i++) {
		const struct view *v = &e->views.items[i];

		if (!definitions_sender(e->d, v->from) && !(outer_listed && v->kind == VIEW_MESSAGE))
			continue;
		ret->notice_like = true;
		if (v->backup_event || says_settled(e, v)) {
			say_unclaimed(e, i, "a listed sender's mail, but the matter is settled");
			continue;
		}
		if (v->text.n > MH_MAX_SUBJECT_BYTES && watch_word(e->d, v->text).p != NULL)
			return mh_fail(e->err, MH_LIMIT, "a listed sender's text is longer than can be read");
		status = watch_view(e, v, &ret->reason);
		if (status == MH_SKIP)
			say_unclaimed(e, i, "a listed sender's mail without a watch word where it counts");
	}
	if (status == MH_OK)
		ret->verdict = MH_UNRECOGNISED;
	return status == MH_SKIP ? MH_OK : status;
}

/* The miss to tell of: a strong one, and one where something was said that cannot be. */
static const struct miss *
worst_miss(const struct engine *e)
{
	const struct miss *worst = NULL;

	for (size_t i = 0; i < e->n_misses; i++) {
		const struct miss *m = &e->misses[i];
		const int rank = 2 * m->strong + !m->no_date;

		if (worst == NULL || rank > 2 * worst->strong + !worst->no_date)
			worst = m;
	}
	return worst;
}

/* Whether something was read in the same message as another part's miss: the other rendering of the same words. */
static bool
read_beside(const struct engine *e, const struct miss *m)
{
	const struct mail_part *part = e->views.items[m->view].part;

	for (size_t i = 0; i < e->n_found; i++) {
		const struct mail_part *other = e->views.items[e->found[i].view].part;

		if (part != NULL && other != NULL && part != other && part->message == other->message &&
		    part->type != other->type)
			return true;
	}
	return false;
}

static enum mh_status
judge_found(struct engine *e, struct reading *ret)
{
	size_t unread = 0, read = 0;
	const struct miss *first = NULL;

	for (size_t i = 0; i < e->n_misses; i++) {
		const struct miss *m = &e->misses[i];

		if (!m->strong)
			continue;
		if (read_beside(e, m)) {
			if (m->no_date)
				continue;
			ret->verdict = MH_UNRECOGNISED;
			ret->parser = span_of(e->d->slots[m->slot].def->info.name);
			return arena_printf(e->arena, &ret->reason, e->err,
			    "contradiction: one part is read, the other not: %.*s", (int)m->why.n, m->why.p);
		}
		unread++;
		first = first == NULL ? m : first;
	}

	struct notice *list = arena_array(e->arena, e->n_found, sizeof(*list));
	if (list == NULL)
		return mh_fail(e->err, MH_LIMIT, "no room for notices in the message's arena");
	for (size_t i = 0; i < e->n_found; i++) {
		if (e->found[i].dropped)
			continue;
		if (read == MH_MAX_NOTICES) {
			e->more = true;
			break;
		}
		if (read == 0)
			ret->parser = span_of(e->d->slots[e->found[i].slot].def->info.name);
		list[read++] = e->found[i].notice;
	}
	ret->verdict = MH_NOTICE;
	ret->notices = list;
	ret->n_notices = read;
	if (e->more)
		return arena_printf(e->arena, &ret->reason, e->err,
		    "partial: more than %d notices, these are the first", MH_MAX_NOTICES);
	if (first != NULL)
		return arena_printf(e->arena, &ret->reason, e->err,
		    "partial: %zu of %zu places could not be read: %.*s", unread, unread + read, (int)first->why.n,
		    first->why.p);
	if (e->views.more)
		return arena_printf(
		    e->arena, &ret->reason, e->err, "partial: a limit was hit, not all of the mail was read");
	return MH_OK;
}

static enum mh_status
judge(struct engine *e, struct reading *ret)
{
	const struct miss *m = worst_miss(e);

	ret->notice_like = ret->notice_like || e->claimed || e->any_candidate;
	if (e->n_found > 0) {
		struct mh_span why;

		if (!engine_contradiction(e, &why))
			return judge_found(e, ret);
		ret->verdict = MH_UNRECOGNISED;
		ret->parser = span_of(e->d->slots[e->found[0].slot].def->info.name);
		ret->reason = why;
		return MH_OK;
	}
	if (m != NULL) {
		ret->verdict = MH_UNRECOGNISED;
		ret->parser = span_of(e->d->slots[m->slot].def->info.name);
		ret->reason = m->why;
		return MH_OK;
	}
	if (e->views.more)
		return mh_fail(e->err, MH_LIMIT, "more places or a bigger event than can be read");
	if (e->backup)
		return MH_OK;
	return judge_unclaimed(e, ret);
}

static void
explain_verdict(const struct engine *e, const struct reading *r)
{
	explain_words(e,
	    (struct decision){
		DECISION_VERDICT, .slot = NO_SLOT, .view = NO_VIEW, .text = span_of(mh_verdict_names[r->verdict]) },
	    "%.*s", (int)r->reason.n, r->reason.n == 0 ? "" : r->reason.p);
}

/* Tries the definitions; the blind ones have a word only where no other has. */
static enum mh_status
read_by(struct engine *e, bool blind)
{
	enum mh_status status = MH_OK;

	for (size_t slot = 0; slot < e->d->n && status == MH_OK; slot++) {
		if (!e->candidates[slot] || e->d->slots[slot].def->blind != blind)
			continue;
		for (size_t v = 0; v < e->views.n && status == MH_OK; v++)
			status = engine_read_view(e, slot, v);
	}
	return status;
}

static enum mh_status
parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	struct engine e = { .d = state, .mail = m, .arena = a, .err = err };
	const struct prefilter *f = definitions_prefilter(e.d);

	ret->verdict = MH_IRRELEVANT;
	e.candidates = arena_array(a, e.d->n + 1, sizeof(*e.candidates));
	if (f == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the definitions' words");
	if (e.candidates == NULL)
		return mh_fail(err, MH_LIMIT, "no room in the message's arena");
	if (!prefilter_mail(&e, f)) {
		explain_parts(&e);
		explain_unclaimed(&e);
		explain_verdict(&e, ret);
		return MH_OK;
	}
	ret->notice_like = e.any_candidate;

	enum mh_status status = carriage_views(m, a, &e.views, err);
	if (status == MH_OK && e.hides)
		prefilter_views(&e, f);
	explain_parts(&e);
	explain_unclaimed(&e);
	if (status == MH_OK)
		status = read_by(&e, false);
	if (status == MH_OK && e.n_found == 0 && e.n_misses == 0)
		status = read_by(&e, true);
	if (status == MH_OK)
		status = judge(&e, ret);
	if (status == MH_OK && explain_wanted(&e)) {
		explain_dates(&e);
		explain_verdict(&e, ret);
	}
	return status;
}

const struct mh_parser definition_parser = {
	.name = "definitions",
	.help = "reads notices by .notice files",
	.parse = parse,
};
