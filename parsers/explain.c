/* explain.c: decisions as JSON objects. */
#include "parsers/explain.h"

#include <stdio.h>

#include "mailhook/json.h"
#include "parsers/read_view.h"
#include "parsers/render.h"

#define MAX_WORDS 300
#define MAX_TEXT_SHOWN 400       /* of the mail's words in one decision */
#define MAX_DECISION_BYTES 16384 /* a regex of a user's file is the longest */

const char *const decision_names[] = { "part", "claim", "pattern", "fact", "date", "miss", "verdict", NULL };

static bool
inside(struct mh_span in, struct mh_span s)
{
	return in.p != NULL && s.p != NULL && s.p >= in.p && s.p <= in.p + in.n && s.n <= in.n - (size_t)(s.p - in.p);
}

static const char *
place_of(const struct view *v)
{
	static const char *const names[] = { "text", "attached message", "forward", "event" }; /* by enum view_kind */

	return names[v->kind];
}

static bool
add_number(cJSON *j, const char *key, bool said, size_t value)
{
	return said ? json_add_integer(j, key, (int64_t)value) : json_add_string(j, key, NULL);
}

/* place, part, at, bytes */
static bool
add_place(cJSON *j, const struct engine *e, const struct decision *d)
{
	const struct view *v = d->view == NO_VIEW ? NULL : &e->views.items[d->view];
	const char *place = d->place;
	size_t at = 0, end = 0;
	bool located = false, inner = false; /* inner: in a part */

	if (v != NULL && place == NULL && inside(v->text, d->text)) {
		at = (size_t)(d->text.p - v->text.p);
		end = at + d->text.n;
		place = place_of(v);
		inner = true;
		if (v->segments == NULL) /* an event's text is where it is: in the event */
			located = v->kind == VIEW_EVENT;
		else if (carriage_locate(&e->views, d->view, at, &at))
			located = d->text.n > 0 && carriage_locate(&e->views, d->view, end - 1, &end);
		end += located && v->segments != NULL;
	} else if (v != NULL && place == NULL && v->part != NULL && inside(v->part->text, d->text)) {
		at = (size_t)(d->text.p - v->part->text.p);
		end = at + d->text.n;
		place = "event";
		located = inner = true;
	} else if (v != NULL && place == NULL && inside(v->subject, d->text)) {
		place = "subject";
	}

	const struct mail_part *part = v == NULL || v->part == NULL ? NULL : v->part;
	return json_add_string(j, "place", place) &&
	       add_number(j, "part", part != NULL && inner, part == NULL ? 0 : (size_t)(part - e->mail->parts) + 1) &&
	       add_number(j, "at", located, at) && add_number(j, "bytes", located, end - at);
}

void
explain(const struct engine *e, const struct decision *d)
{
	static const char *const counts[] = { NULL, "true", "false" };

	if (!explain_wanted(e) || e->d->sink->line == NULL)
		return;

	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	const struct definition *def = d->slot == NO_SLOT ? NULL : e->d->slots[d->slot].def;
	const struct mh_span text = span_head(d->text, utf8_cut(d->text, MAX_TEXT_SHOWN));
	struct buf line;
	bool ok = j != NULL && json_add_string(j, "decision", decision_names[d->kind]) &&
		  json_add_string(j, "parser", def == NULL ? NULL : def->info.name) &&
		  cJSON_AddItemToObject(j, "counts",
		      counts[d->counts] == NULL ? cJSON_CreateNull() : cJSON_CreateBool(d->counts == COUNTS)) &&
		  render_text(j, "text", text) && render_text(j, "words", span_of(d->words)) &&
		  (d->time == NULL ? json_add_string(j, "time", NULL) : json_add_time(j, "time", *d->time)) &&
		  add_number(j, "number", d->pattern > 0, d->pattern) &&
		  render_text(j, "regex", d->pattern == 0 ? MH_NONE : span_of(def->patterns[d->pattern - 1].regex)) &&
		  add_place(j, e, d);

	buf_init(&line, MAX_DECISION_BYTES);
	ok = ok && json_print(j, &line);
	if (ok) /* else there is no memory, and a line less */
		e->d->sink->line(e->d->sink->user, buf_span(&line));
	buf_release(&line);
}

void
explain_words(const struct engine *e, struct decision what, const char *fmt, ...)
{
	char words[MAX_WORDS];
	va_list ap;

	if (!explain_wanted(e))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	what.words = words;
	explain(e, &what);
}

void
explain_parts(const struct engine *e)
{
	const struct mail *m = e->mail;

	for (size_t i = 0; i < m->n_parts && explain_wanted(e); i++) {
		const struct mail_part *part = &m->parts[i];
		const char *type = part->type == MAIL_HTML ? "text/html" : "text/plain";
		const struct decision d = { DECISION_PART, .slot = NO_SLOT, .view = NO_VIEW };

		if (!inside(m->raw, part->source))
			explain_words(e, d, "part %zu: %s, %zu bytes of text, in a message that is encoded itself",
			    i + 1, type, part->text.n);
		else
			explain_words(e, d, "part %zu: %s, %zu bytes of text, %s%s in bytes %zu to %zu of the message",
			    i + 1, type, part->text.n, part->encoding == NULL ? "not encoded" : "as ",
			    part->encoding == NULL ? "" : part->encoding, (size_t)(part->source.p - m->raw.p),
			    (size_t)(part->source.p - m->raw.p) + part->source.n);
	}
}

void
explain_unclaimed(const struct engine *e)
{
	for (size_t i = 0; i < e->d->n && explain_wanted(e); i++)
		if (!e->candidates[i])
			explain(e, &(struct decision){ DECISION_CLAIM, COUNTS_NOT, i, NO_VIEW,
				       .words = "no word of it is in the mail" });
}

void
explain_taken(struct engine *e, const struct taken_date *date)
{
	if (!explain_wanted(e))
		return;

	struct taken_date *taken = arena_grow(e->arena, e->taken, e->n_taken, &e->cap_taken, sizeof(*taken));
	if (taken == NULL)
		return;
	e->taken = taken;
	e->taken[e->n_taken++] = *date;
}
