/* preset_where.c: which line of a preset's file an error speaks of. JSON once read has no lines, so the line is that of
 * the word that the error names: a key or a variable. */
#include <stdio.h>
#include <string.h>

#include "actions/common/preset_impl.h"

static int
line_at(struct mh_span text, size_t at)
{
	int line = 1;

	for (size_t i = 0; i < at && i < text.n; i++)
		line += text.p[i] == '\n';
	return line;
}

int
preset_json_line(struct mh_span text)
{
	const char *end = NULL;
	MH_AUTO(drop_json) cJSON *j = cJSON_ParseWithLengthOpts(text.p, text.n, &end, 0);

	return j != NULL || end == NULL ? 1 : line_at(text, (size_t)(end - text.p));
}

/* The first "word" or {word} of the error, with its opening sign. */
static struct mh_span
named(struct mh_span words)
{
	for (size_t i = 0; i < words.n; i++) {
		const char sign = words.p[i], *close = sign == '"' ? "\"" : sign == '{' ? "}" : NULL;
		const size_t end = close == NULL ? SIZE_MAX : span_find(words, span_of(close), i + 1);

		if (end != SIZE_MAX && end > i + 1)
			return span_head(span_from(words, i), end - i + 1);
	}
	return MH_NONE;
}

void
preset_locate(const struct preset *p, struct mh_err *err)
{
	const struct mh_span text = span_of(p->text), name = span_of(p->name);
	struct mh_span words = span_of(err == NULL ? NULL : err->text), word;
	char whole[sizeof(err->text)];
	size_t at;

	if (!span_starts(words, name) || p->text == NULL)
		return;
	words = span_from(words, name.n);
	words = span_starts(words, MH_LIT(":1: ")) ? span_from(words, 4)
		: span_starts(words, MH_LIT(": ")) ? span_from(words, 2)
						   : words;
	word = named(words);
	at = word.n == 0 ? SIZE_MAX : span_find(text, word, 0);
	if (at == SIZE_MAX && word.n > 1 && word.p[0] == '{') /* {name|words} */
		at = span_find(text, span_head(word, word.n - 1), 0);
	if (at == SIZE_MAX)
		return;
	(void)snprintf(whole, sizeof(whole), "%s:%d: %.*s", p->name, line_at(text, at), (int)words.n, words.p);
	memcpy(err->text, whole, sizeof(whole));
}
