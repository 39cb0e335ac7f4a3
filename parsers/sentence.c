/* sentence.c: watch words, and the sentences that they stand in. */
#include "parsers/sentence.h"

#include <string.h>

#include "parsers/carriage.h"
#include "parsers/date.h"
#include "parsers/prefilter.h"

#define MAX_SUPPORT_GAP 60 /* "end of standard support": bytes between "end of" and "support" */

static struct mh_span
find_word(struct mh_span text, const char *word)
{
	const size_t at = span_ifind(text, span_of(word), 0);

	return at == SIZE_MAX ? MH_NONE : (struct mh_span){ text.p + at, strlen(word) };
}

static struct mh_span
end_of_support(struct mh_span text)
{
	for (size_t at = span_ifind(text, MH_LIT("end of"), 0); at != SIZE_MAX;
	     at = span_ifind(text, MH_LIT("end of"), at + 1)) {
		const struct mh_span behind = span_head(span_from(text, at), MAX_SUPPORT_GAP);
		const size_t support = span_ifind(behind, MH_LIT("support"), 0);

		if (support != SIZE_MAX && span_find(span_head(behind, support), MH_LIT(". "), 0) == SIZE_MAX)
			return span_head(behind, support + strlen("support"));
	}
	return MH_NONE;
}

struct mh_span
watch_word(const struct definitions *d, struct mh_span text)
{
	static const char *const words[] = { "expir", "renew", "rotat" };
	struct mh_span hit = MH_NONE;

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]) && hit.p == NULL; i++)
		hit = find_word(text, words[i]);
	if (hit.p == NULL)
		hit = end_of_support(text);
	for (size_t i = 0; i < d->n && hit.p == NULL; i++)
		for (const char *const *w = d->slots[i].def->watch; *w != NULL && hit.p == NULL; w++)
			hit = find_word(text, *w);
	return hit;
}

bool
says_days(struct mh_span text)
{
	for (size_t at = span_ifind(text, MH_LIT("day"), 0); at != SIZE_MAX;
	     at = span_ifind(text, MH_LIT("day"), at + 1)) {
		if (at < 2 || (text.p[at - 1] != ' ' && text.p[at - 1] != '-'))
			continue;
		if (text.p[at - 2] >= '0' && text.p[at - 2] <= '9')
			return true;
	}
	return false;
}

/* A line that starts something of its own: what stands before it was no part of its sentence. */
static bool
starts_item(struct mh_span line)
{
	const struct mh_span s = span_trim(line);

	return s.n == 0 || s.p[0] == '-' || s.p[0] == '*' || s.p[0] == '[' || span_starts(s, MH_LIT("•"));
}

/* Bytes of the sentence that text begins with. */
static size_t
sentence_bytes(struct mh_span text, bool every_line)
{
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i];
		const struct mh_span rest = span_from(text, i + 1);

		if ((c == '.' || c == '!' || c == '?') && (rest.n == 0 || strchr(" \t\n\r", rest.p[0]) != NULL))
			return i + 1;
		if (c != '\n')
			continue;

		struct mh_span next = rest, line;
		if (every_line || !span_line(&next, &line) || starts_item(line) || (i > 0 && text.p[i - 1] == ':'))
			return i + 1;
	}
	return text.n;
}

enum mh_status
watch_sentence(
    const struct definitions *d, const struct view *v, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	struct mh_span rest = span_head(v->lines, span_find(v->lines, MH_LIT("\nMessage metadata"), 0));
	const bool html = v->part != NULL && v->part->type == MAIL_HTML && v->kind != VIEW_EVENT;

	if (watch_word(d, v->text).p == NULL)
		return MH_SKIP;
	while (rest.n > 0) {
		const size_t n = sentence_bytes(rest, html);
		const struct mh_span sentence = span_head(rest, n);
		struct mh_span flat;

		rest = span_from(rest, n);
		if (watch_word(d, sentence).p == NULL)
			continue;
		if (carriage_flatten(sentence, a, &flat, err) != MH_OK)
			return MH_LIMIT;
		if (says_days(flat) || date_somewhere(flat)) {
			*ret = flat;
			return MH_OK;
		}
	}
	return MH_SKIP;
}
