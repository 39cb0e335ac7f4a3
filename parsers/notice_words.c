/* notice_words.c: see notice_words.h.
 *
 * A line scan, as what is wrong may be the grammar itself: a string ends with its line, a key is a word in front of "="
 * or "{", and an unknown key may be a mistyped "literals". Taken too much it costs a person a look, too little a notice.
 */
#include "parsers/notice_words.h"

#include <string.h>

/* Of one file: more than definitions have. Each is given three times, so the prefilter has room for 300 such files. */
#define MAX_WORDS 64

enum value { VALUE_PHRASE, VALUE_SENDER, VALUE_NOTHING };

struct words {
	struct arena *a;
	enum value of; /* what the key in front makes of a value */
	const char **phrases, **senders;
	size_t n_phrases, n_senders;
	bool full;
};

/* What the key's values are to the mail. The title of the block and what stands in front of it are no key's. */
static enum value
value_of(struct mh_span key)
{
	static const char *const nothing[] = { "kind", "signers", "patterns", "require", "ignore", "watch", "dates" };

	for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++)
		if (span_eq(key, span_of(nothing[i])))
			return VALUE_NOTHING;
	return span_eq(key, MH_LIT("senders")) ? VALUE_SENDER : VALUE_PHRASE;
}

/* The phrase as the engine looks for it: single blanks, plain apostrophes. MH_NONE: in every mail, or in none. The
 * bounds are those of notice_file.c. */
static struct mh_span
phrase_of(struct mh_span s, char *room, size_t max)
{
	size_t n = 0, word = 0, longest = 0;

	s = span_trim(s);
	if (!utf8_valid(s) || span_find(s, MH_LIT("(?<"), 0) != SIZE_MAX)
		return MH_NONE;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];

		if (span_starts(span_from(s, i), MH_LIT("\xE2\x80\x99"))) {
			c = '\'';
			i += 2;
		}
		if (c == '\\' && i + 1 < s.n)
			c = s.p[++i];
		if (c == '\t' || c == ' ') {
			if (n > 0 && room[n - 1] == ' ')
				continue;
			c = ' ';
		}
		if ((unsigned char)c < ' ' || c == '>' || n == max)
			return MH_NONE;
		word = c == ' ' || c == '\'' ? 0 : word + 1;
		longest = word > longest ? word : longest;
		room[n++] = c;
	}
	return n < PATTERN_MIN_LITERAL || longest < 5 ? MH_NONE : (struct mh_span){ room, n };
}

static struct mh_span
sender_of(struct mh_span s, char *room, size_t max)
{
	const size_t open = span_find(s, MH_LIT("<"), 0), end = span_find(s, MH_LIT(">"), 0);

	if (open != SIZE_MAX && end != SIZE_MAX && open < end)
		s = (struct mh_span){ s.p + open + 1, end - open - 1 };
	s = span_trim(s);
	if (s.n > max || span_find(s, MH_LIT("@"), 0) == SIZE_MAX)
		return MH_NONE;
	for (size_t i = 0; i < s.n; i++) {
		if ((unsigned char)s.p[i] <= ' ')
			return MH_NONE;
		room[i] = s.p[i];
		if (room[i] >= 'A' && room[i] <= 'Z')
			room[i] = (char)(room[i] | 0x20);
	}
	return (struct mh_span){ room, s.n };
}

static void
take_value(struct words *w, struct mh_span value)
{
	char room[320];
	struct mh_span clean = MH_NONE, copy;

	if (w->of == VALUE_SENDER)
		clean = sender_of(value, room, sizeof(room));
	else if (w->of == VALUE_PHRASE)
		clean = phrase_of(value, room, 200);
	if (clean.p == NULL || w->n_phrases + w->n_senders == MAX_WORDS)
		return;
	if (arena_copy(w->a, clean, &copy, NULL) != MH_OK)
		w->full = true;
	else if (w->of == VALUE_SENDER)
		w->senders[w->n_senders++] = copy.p;
	else
		w->phrases[w->n_phrases++] = copy.p;
}

/* Offset of the quote that ends the string of which line[at] is the first byte, or the line's end. */
static size_t
string_end(struct mh_span line, size_t at, char quote)
{
	while (at < line.n && line.p[at] != quote)
		at += quote == '"' && line.p[at] == '\\' && at + 1 < line.n ? 2 : 1;
	return at;
}

static void
take_line(struct words *w, struct mh_span line)
{
	size_t begin = 0; /* of what stands outside of strings */

	for (size_t i = 0; i <= line.n; i++) {
		const char c = i < line.n ? line.p[i] : '#';

		if (strchr("={}+,#\"'", c) == NULL)
			continue;
		const struct mh_span bare = span_trim((struct mh_span){ line.p + begin, i - begin });
		if (bare.n > 0 && strchr("={+", c) != NULL)
			w->of = value_of(bare);
		else
			take_value(w, bare);
		if (c == '#')
			return;
		if (c == '"' || c == '\'') {
			const size_t end = string_end(line, i + 1, c);
			struct mh_span value = { line.p + i + 1, end - i - 1 };

			while (end == line.n && value.n > 0 && strchr(" \t,}", value.p[value.n - 1]) != NULL)
				value.n--; /* no end: what closes the list is no part of it */
			take_value(w, value);
			i = end;
		}
		begin = i + 1;
	}
}

enum mh_status
notice_words(const char *path, struct mh_span text, struct arena *a, const struct definition **ret, struct mh_err *err)
{
	static const char *const none[] = { NULL };
	const char *slash = strrchr(path, '/');
	struct words w = { .a = a,
		.of = VALUE_NOTHING,
		.phrases = arena_array(a, MAX_WORDS + 1, sizeof(*w.phrases)),
		.senders = arena_array(a, MAX_WORDS + 1, sizeof(*w.senders)) };
	struct definition *d = arena_alloc(a, sizeof(*d));
	struct mh_span line, name, file;

	w.full = w.phrases == NULL || w.senders == NULL || d == NULL ||
		 arena_copy(a, span_of(slash == NULL ? path : slash + 1), &name, NULL) != MH_OK ||
		 arena_copy(a, span_of(path), &file, NULL) != MH_OK;
	while (!w.full && span_line(&text, &line))
		take_line(&w, line);
	if (w.full)
		return mh_fail(err, MH_LIMIT, "no room for another definition");
	if (w.n_phrases + w.n_senders == 0)
		return mh_fail(err, MH_SKIP, "no phrase is found in %s", path);
	/* which list a phrase was meant for may be what is wrong */
	*d = (struct definition){
		.info = { .name = name.p, .kind = "", .file = file.p, .senders = w.senders, .signers = none },
		.events = w.phrases,
		.subjects = w.phrases,
		.literals = w.phrases,
		.watch = none,
		.ignore = none,
		.require = 1u << FACT_EXPIRES,
		.blind = true,
	};
	*ret = d;
	return MH_OK;
}
