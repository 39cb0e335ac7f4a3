/* fields.c: "From:", "Von:", "De :", "差出人：" and what stands behind them. */
#include "parsers/fields.h"

#include <string.h>

#define MAX_BLOCK_LINES 24
#define MAX_FOLDED_LINES 3 /* a subject of 140 characters, wrapped at 72 and quoted */

struct known_field {
	const char *word;
	enum field_name name;
};

static const struct known_field known_fields[] = {
	{ "From", FIELD_FROM },
	{ "Von", FIELD_FROM },
	{ "De", FIELD_FROM },
	{ "差出人", FIELD_FROM },
	{ "送信元", FIELD_FROM },
	{ "Date", FIELD_DATE },
	{ "Sent", FIELD_DATE },
	{ "Datum", FIELD_DATE },
	{ "Gesendet", FIELD_DATE },
	{ "Envoyé", FIELD_DATE },
	{ "送信日時", FIELD_DATE },
	{ "日付", FIELD_DATE },
	{ "日時", FIELD_DATE },
	{ "Subject", FIELD_SUBJECT },
	{ "Betreff", FIELD_SUBJECT },
	{ "Objet", FIELD_SUBJECT },
	{ "Sujet", FIELD_SUBJECT },
	{ "件名", FIELD_SUBJECT },
	{ "To", FIELD_TO },
	{ "An", FIELD_TO },
	{ "À", FIELD_TO },
	{ "宛先", FIELD_TO },
	{ "Cc", FIELD_TO },
	{ "Reply-To", FIELD_TO },
	{ "Antwort an", FIELD_TO },
};

unsigned
quote_depth(struct mh_span line, struct mh_span *ret_rest)
{
	unsigned depth = 0;
	size_t i = 0;

	for (; i < line.n; i++) {
		if (line.p[i] == '>')
			depth++;
		else if (line.p[i] != ' ' && line.p[i] != '\t')
			break;
	}
	*ret_rest = span_trim(span_from(line, i));
	return depth;
}

/* A colon, or the first byte of a wide one, where a field's name would end. */
static bool
has_colon(struct mh_span words)
{
	const struct mh_span head = span_head(words, 24);

	return head.n > 0 && (memchr(head.p, ':', head.n) != NULL || memchr(head.p, "："[0], head.n) != NULL);
}

bool
field_may_begin(struct mh_span words)
{
	return has_colon(words) || (words.n > 0 && words.p[0] == '-'); /* "-": all of them on one line */
}

/* A field's value, where the line is one: "From: x", "*From:* x" (bold as text), "De : x", "差出人： x". */
bool
field_line(struct mh_span words, enum field_name *ret_name, struct mh_span *ret_value)
{
	if (!has_colon(words))
		return false;

	struct mh_span s = words;
	if (s.n > 0 && s.p[0] == '*')
		s = span_from(s, 1);
	for (size_t i = 0; i < sizeof(known_fields) / sizeof(known_fields[0]); i++) {
		const struct mh_span word = span_of(known_fields[i].word);

		if (!span_istarts(s, word))
			continue;
		struct mh_span rest = span_from(s, word.n);
		if (span_starts(rest, MH_LIT("*")))
			rest = span_from(rest, 1);
		if (span_starts(rest, MH_LIT("\xC2\xA0")))
			rest = span_from(rest, 2);
		else if (span_starts(rest, MH_LIT(" ")))
			rest = span_from(rest, 1);
		if (span_starts(rest, MH_LIT(":")))
			rest = span_from(rest, 1);
		else if (span_starts(rest, MH_LIT("：")))
			rest = span_from(rest, strlen("："));
		else
			continue;
		if (span_starts(rest, MH_LIT("*")))
			rest = span_from(rest, 1);
		*ret_name = known_fields[i].name;
		*ret_value = span_trim(rest);
		return true;
	}
	return false;
}

static bool
enough(const struct field_block *b)
{
	const bool from = b->values[FIELD_FROM].p != NULL, date = b->values[FIELD_DATE].p != NULL,
		   subject = b->values[FIELD_SUBJECT].p != NULL;

	return (from && (date || subject)) || (date && subject);
}

/* The labels of one language from a place on, in their order. Each value ends where the next label begins. */
static bool
one_line_values(struct mh_span words, size_t at, const struct known_field marks[FIELD_COUNT], struct field_block *b)
{
	for (size_t i = 0; i < FIELD_COUNT; i++) {
		const size_t start = span_find(words, span_of(marks[i].word), at);

		if (start == SIZE_MAX && marks[i].name == FIELD_FROM)
			return false;
		if (start == SIZE_MAX)
			continue;
		at = start + strlen(marks[i].word);
		size_t end = words.n;
		for (size_t k = i + 1; k < FIELD_COUNT; k++) {
			const size_t next = span_find(words, span_of(marks[k].word), at);
			end = next < end ? next : end;
		}
		b->values[marks[i].name] = span_trim((struct mh_span){ words.p + at, end - at });
	}
	return enough(b);
}

/* "----- Forwarded Message ----- From: A <a@b>To: c@dSent: Tue, ...Subject: ..." */
static bool
one_line_block(struct mh_span words, struct field_block *b)
{
	static const struct known_field marks[][FIELD_COUNT] = {
		{ { "From:", FIELD_FROM }, { "To:", FIELD_TO }, { "Sent:", FIELD_DATE },
		    { "Subject:", FIELD_SUBJECT } },
		{ { "Von:", FIELD_FROM }, { "An:", FIELD_TO }, { "Gesendet:", FIELD_DATE },
		    { "Betreff:", FIELD_SUBJECT } },
		{ { "De :", FIELD_FROM }, { "À :", FIELD_TO }, { "Envoyé :", FIELD_DATE },
		    { "Objet :", FIELD_SUBJECT } },
		{ { "De\xC2\xA0:", FIELD_FROM }, { "À\xC2\xA0:", FIELD_TO }, { "Envoyé\xC2\xA0:", FIELD_DATE },
		    { "Objet\xC2\xA0:", FIELD_SUBJECT } },
		{ { "差出人:", FIELD_FROM }, { "宛先:", FIELD_TO }, { "送信日時:", FIELD_DATE },
		    { "件名:", FIELD_SUBJECT } },
	};
	const struct mh_span dashes = MH_LIT("-----");
	const size_t second = span_starts(words, dashes) ? span_find(words, MH_LIT(" -----"), dashes.n) : SIZE_MAX;

	if (second == SIZE_MAX)
		return false;
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		struct field_block found = { 0 };

		if (one_line_values(words, second, marks[i], &found)) {
			*b = found;
			return true;
		}
	}
	return false;
}

bool
field_block_read(struct mh_span text, struct field_block *ret)
{
	struct field_block b = { 0 };
	struct mh_span rest = text, line, words, value, *last = NULL;
	enum field_name name;
	unsigned folded = 0, empty = 0;

	if (!span_line(&rest, &line))
		return false;
	const unsigned depth = quote_depth(line, &words);
	if (!field_line(words, &name, &value)) {
		if (!one_line_block(words, &b))
			return false;
		b.bytes = text.n - rest.n;
		*ret = b;
		return true;
	}
	if (name == FIELD_TO) /* no program begins with it, and "To:" begins many a line */
		return false;
	b.values[name] = value;
	last = &b.values[name];
	b.bytes = text.n - rest.n;
	for (int lines = 1; lines < MAX_BLOCK_LINES; lines++) {
		if (!span_line(&rest, &line) || quote_depth(line, &words) < depth)
			break;
		if (words.n == 0) {
			if (++empty > 1)
				break;
			continue;
		}
		if (field_line(words, &name, &value)) {
			if (b.values[name].p != NULL && name != FIELD_TO)
				break; /* the next forward begins */
			b.values[name] = value;
			last = &b.values[name];
			folded = empty = 0;
			b.bytes = text.n - rest.n;
		} else if (empty == 0 && ++folded <= MAX_FOLDED_LINES) {
			if (last ==
			    &b.values
				 [FIELD_SUBJECT]) /* to its end: flattening takes the line end and the quote marks */
				last->n = (size_t)(words.p + words.n - last->p);
		} else {
			break;
		}
	}
	if (!enough(&b))
		return false;
	*ret = b;
	return true;
}
