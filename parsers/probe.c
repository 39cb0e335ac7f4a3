/* probe.c: texts that make a pattern try again and again. */
#include "parsers/probe.h"

#include <stdio.h>
#include <string.h>

#include "parsers/definition.h"
#include "parsers/sample.h"

#define SHOWN_BYTES 60

/* What a quantifier may run over, and one character that ends the run: "" is the pattern's own literal. */
static const char *const units[] = { "a", "0", " ", "-", ".", "/", "a ", "0 ", "a0", "0-", "a-", "a.", "a,", ", ",
	"aa b1,", "" };

/* Everything that a pattern may insist on stands behind the run, so that PCRE2 does not know beforehand that it cannot
 * match; backwards, so that it does not. */
static void
put_rest(struct buf *b)
{
	for (char c = '~'; c >= ' '; c--)
		buf_putc(b, c);
}

static void
put_run(struct buf *b, struct mh_span unit, size_t bytes)
{
	for (size_t n = 0; n < bytes; n += unit.n)
		buf_put(b, unit);
}

/* The literal, with the unit over and over on both sides: as much as run_pattern() lets a pattern see. */
static size_t
make_text(struct buf *b, struct mh_span literal, struct mh_span unit)
{
	buf_clear(b);
	put_run(b, unit, PATTERN_LOOK_BACK_BYTES);

	const size_t at = b->n;
	buf_put(b, literal);
	put_run(b, unit, PATTERN_LOOK_AHEAD_BYTES);
	put_rest(b);
	return at;
}

/* The sample with one of its runs as long as a mail can make it, and an end that does not fit. */
static void
make_long_run(struct buf *b, const struct sample *s, const struct sample_run *run, struct mh_span literal)
{
	const struct mh_span text = buf_span(&s->text), unit = span_head(span_from(text, run->at), run->n);
	const bool ahead = span_ifind(text, literal, 0) < run->at;

	buf_clear(b);
	buf_put(b, span_head(text, run->at));
	put_run(b, unit, ahead ? PATTERN_LOOK_AHEAD_BYTES : PATTERN_LOOK_BACK_BYTES);
	buf_put(b, span_head(span_from(text, run->at), text.n - run->at - 1));
	put_rest(b);
}

struct trier {
	struct pattern *pattern;
	const struct definition_pattern *of;
	struct buf text;
	struct sample sample;
};

static bool
is_slow(const struct trier *t, size_t from)
{
	struct pattern_match m;

	return pattern_run(t->pattern, buf_span(&t->text), t->of->at_start ? from : 0, t->of->at_start, &m, NULL) ==
	       MH_LIMIT;
}

/* What makes the pattern hit its budget; p == NULL: nothing does. */
static struct mh_span
slow_unit(struct trier *t)
{
	const struct mh_span literal = span_of(t->of->literal);

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		const struct mh_span unit = units[i][0] == '\0' ? literal : span_of(units[i]);

		if (is_slow(t, make_text(&t->text, literal, unit)))
			return unit;
	}
	if (sample_write(t->of->regex, &t->sample, NULL) != MH_OK)
		return MH_NONE;
	for (size_t i = 0; i < t->sample.n_runs; i++) {
		const struct sample_run *run = &t->sample.runs[i];

		make_long_run(&t->text, &t->sample, run, literal);
		const size_t at = span_ifind(buf_span(&t->text), literal, 0);
		if (is_slow(t, at == SIZE_MAX ? 0 : at))
			return span_head(span_from(buf_span(&t->sample.text), run->at), run->n);
	}
	return MH_NONE;
}

static void
complain_of(const struct definition *def, const struct trier *t, struct mh_span unit,
    void (*complain)(void *user, const char *line), void *user)
{
	char line[800], shown[4 * SHOWN_BYTES], by[4 * SHOWN_BYTES];

	(void)snprintf(line, sizeof(line),
	    "%s: notice \"%s\": the pattern '%s' needs more than %d steps where \"%s\" stands over and over",
	    def->info.file, def->info.name,
	    mh_escape(shown, sizeof(shown), span_head(span_of(t->of->regex), SHOWN_BYTES)), MH_MAX_CALLOUTS,
	    mh_escape(by, sizeof(by), span_head(unit, SHOWN_BYTES)));
	complain(user, line);
}

enum mh_status
definitions_probe(struct definitions *d, void (*complain)(void *user, const char *line), void *user, size_t *ret_n,
    struct mh_err *err)
{
	enum mh_status status = MH_OK;
	struct trier t = { 0 };

	*ret_n = 0;
	buf_init(&t.text, 8 * (size_t)PATTERN_LOOK_AHEAD_BYTES);
	sample_init(&t.sample);
	for (size_t slot = 0; slot < d->n && status == MH_OK; slot++) {
		const struct definition *def = d->slots[slot].def;

		for (size_t i = 0; i < def->n_patterns && status == MH_OK; i++) {
			t.of = &def->patterns[i];
			status = definitions_pattern(d, slot, i, &t.pattern, err);

			const struct mh_span unit = status == MH_OK ? slow_unit(&t) : MH_NONE;
			if (unit.p != NULL) {
				complain_of(def, &t, unit, complain, user);
				++*ret_n;
			}
		}
	}
	if (status == MH_OK && !buf_ok(&t.text))
		status = mh_fail(err, MH_RETRY, "no memory to try the patterns");
	sample_release(&t.sample);
	buf_release(&t.text);
	return status;
}
