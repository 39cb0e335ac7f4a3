/* front_explain.c: what the reader's child says of its decisions, for a terminal or a program.
 *
 * What comes here is the child's, and so may be the mail's: nothing of it is printed as it is.
 */
#include <string.h>

#include "mailhook/front.h"
#include "mailhook/json.h"
#include "parsers/explain.h"

#define WIDTH 80
#define INDENT 4             /* of a decision's further lines */
#define MAX_SENTENCE 4096    /* what is made of one decision */
#define MAX_OFFSET (1 << 30) /* no message is that long */

static const char *const strings[] = { "decision", "parser", "text", "words", "time", "regex", "place", NULL };
static const char *const numbers[] = { "number", "part", "at", "bytes", NULL };

/* Bytes for a terminal: UTF-8 but what leads a reader's eye astray, and no byte that is none. Blanks are one. */
static void
put_clean(struct buf *out, const char *text)
{
	for (struct mh_span s = span_of(text); s.n > 0;) {
		const size_t n = utf8_sequence(s);
		const struct mh_span c = span_head(s, n == 0 ? 1 : n);

		if (c.p[0] == '\n' || c.p[0] == '\t')
			buf_putc(out, ' ');
		else if (n == 0 || utf8_misleads(c))
			for (size_t i = 0; i < c.n; i++)
				buf_printf(out, "\\x%02X", (unsigned char)c.p[i]);
		else
			buf_put(out, c);
		s = span_from(s, c.n);
	}
}

/* -- words -------------------------------------------------------------------------------------------------------- */

static bool
said_by(const cJSON *j, enum decision_kind kind)
{
	const char *decision = json_string(j, "decision");

	return decision != NULL && strcmp(decision, decision_names[kind]) == 0;
}

/* Columns of text: what is more than a byte is counted once. */
static size_t
columns(struct mh_span s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += ((unsigned char)s.p[i] & 0xC0) != 0x80;
	return n;
}

/* Fills lines of WIDTH; a word that is longer than one has a line of its own. */
static void
print_wrapped(struct mh_span s, FILE *out)
{
	size_t column = 0;

	for (s = span_trim(s); s.n > 0; s = span_trim(s)) {
		const char *blank = memchr(s.p, ' ', s.n);
		const struct mh_span word = blank == NULL ? s : span_head(s, (size_t)(blank - s.p));
		const size_t n = columns(word);

		if (column == 0)
			column = (size_t)fprintf(out, "  ") + n;
		else if (column + 1 + n > WIDTH)
			column = (size_t)fprintf(out, "\n%*s", INDENT + 2, "") - 1 + n;
		else
			column += (size_t)fprintf(out, " ") + n;
		(void)fwrite(word.p, 1, word.n, out);
		s = span_from(s, word.n);
	}
	(void)fputc('\n', out);
}

/* ", in a forward in part 1, bytes 512 to 540" */
static void
put_place(struct buf *b, const cJSON *j)
{
	const char *place = json_string(j, "place");
	int64_t part = 0, at, bytes;

	if (place == NULL)
		return;
	buf_puts(b, ", in the ");
	put_clean(b, place);
	if (json_integer(j, "part", 1, MH_MAX_PARTS, &part))
		buf_printf(b, " of part %d", (int)part);
	if (json_integer(j, "at", 0, MAX_OFFSET, &at) && json_integer(j, "bytes", 0, MAX_OFFSET, &bytes))
		buf_printf(b, ", bytes %d to %d", (int)at, (int)(at + bytes));
}

static void
put_quoted(struct buf *b, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	buf_puts(b, " \"");
	put_clean(b, text);
	buf_putc(b, '"');
}

static void
put_words(struct buf *b, const char *between, const char *words)
{
	if (words == NULL || words[0] == '\0')
		return;
	buf_puts(b, between);
	put_clean(b, words);
}

/* One decision as a sentence. */
static void
put_sentence(struct buf *b, const cJSON *j)
{
	const char *parser = json_string(j, "parser"), *text = json_string(j, "text"), *words = json_string(j, "words"),
		   *time = json_string(j, "time");
	int64_t number = 0;
	bool counts = false;

	(void)json_bool(j, "counts", &counts);
	(void)json_integer(j, "number", 1, MAX_OFFSET, &number);
	if (parser != NULL) {
		put_clean(b, parser);
		buf_puts(b, ": ");
	}
	if (said_by(j, DECISION_CLAIM)) {
		buf_puts(b, counts ? "claimed" : "not claimed");
		put_words(b, counts ? " " : ": ", words);
		put_quoted(b, text);
	} else if (said_by(j, DECISION_PATTERN)) {
		buf_printf(b, "pattern %d %s", (int)number, counts ? "matches" : "does not match");
		put_words(b, ": ", words);
		put_quoted(b, text);
	} else if (said_by(j, DECISION_FACT)) {
		buf_puts(b, "read");
		put_quoted(b, text);
		put_words(b, ", ", words);
		if (json_integer(j, "at", 0, MAX_OFFSET, &number))
			put_place(b, j);
		return;
	} else if (said_by(j, DECISION_DATE)) {
		buf_puts(b, "date");
		put_quoted(b, text);
		put_words(b, " = ", time);
		buf_puts(b, counts ? " counts" : " does not count");
		put_words(b, ": ", words);
		if (counts && number > 0)
			buf_printf(b, " (pattern %d)", (int)number);
	} else if (said_by(j, DECISION_MISS)) {
		buf_puts(b, "not read: ");
		put_words(b, "", words);
		put_quoted(b, text);
	} else if (said_by(j, DECISION_VERDICT)) {
		buf_puts(b, "verdict");
		put_quoted(b, text);
		put_words(b, ": ", words);
	} else {
		put_words(b, "", words);
	}
	put_place(b, j);
}

/* -- JSON --------------------------------------------------------------------------------------------------------- */

/* The known keys in their order, source in front; anything of another type is null. */
static bool
copy_known(const cJSON *j, const char *source, cJSON *to)
{
	struct buf clean;
	bool ok, counts = false;

	buf_init(&clean, MAX_SENTENCE);
	put_clean(&clean, source);
	ok = json_add_span(to, "source", buf_span(&clean));
	buf_release(&clean);
	for (size_t i = 0; strings[i] != NULL && ok; i++)
		ok = json_add_string(to, strings[i], json_string(j, strings[i]));
	for (size_t i = 0; numbers[i] != NULL && ok; i++) {
		int64_t value;

		ok = json_integer(j, numbers[i], 0, MAX_OFFSET, &value) ? json_add_integer(to, numbers[i], value)
									: json_add_string(to, numbers[i], NULL);
	}
	return ok && cJSON_AddItemToObject(
			 to, "counts", json_bool(j, "counts", &counts) ? cJSON_CreateBool(counts) : cJSON_CreateNull());
}

/* A line of JSON; what leads a reader's eye astray, which JSON may hold as it is, as \u202E: it stands in strings only. */
static void
print_json(struct mh_span s, FILE *out)
{
	while (s.n > 0) {
		const size_t n = utf8_sequence(s) > 0 ? utf8_sequence(s) : 1;
		const struct mh_span c = span_head(s, n);
		const unsigned char *p = (const unsigned char *)c.p;

		if (!utf8_misleads(c))
			(void)fwrite(c.p, 1, c.n, out);
		else
			(void)fprintf(out, "\\u%04X",
			    c.n == 1   ? p[0]
			    : c.n == 2 ? (p[0] & 0x1Fu) << 6 | (p[1] & 0x3Fu)
				       : (p[0] & 0x0Fu) << 12 | (p[1] & 0x3Fu) << 6 | (p[2] & 0x3Fu));
		s = span_from(s, n);
	}
	(void)fputc('\n', out);
}

/* -- the whole ---------------------------------------------------------------------------------------------------- */

static bool
is_decision(const cJSON *j)
{
	const char *decision = j == NULL ? NULL : json_string(j, "decision");

	for (size_t i = 0; decision != NULL && decision_names[i] != NULL; i++)
		if (strcmp(decision, decision_names[i]) == 0)
			return true;
	return false;
}

void
front_explain(const char *source, struct mh_span said, bool json, FILE *out)
{
	struct mh_span line;
	struct buf b;
	bool lost = false;

	buf_init(&b, MH_MAX_JSON_BYTES);
	if (!json) {
		put_clean(&b, source);
		(void)fprintf(out, "%s:\n", b.p == NULL ? "" : b.p);
	}
	while (span_line(&said, &line)) {
		MH_AUTO(drop_json) cJSON *j = json_parse(line, NULL);
		MH_AUTO(drop_json) cJSON *known = cJSON_CreateObject();

		buf_clear(&b);
		if (!is_decision(j) || known == NULL) {
			lost = true;
		} else if (!json) {
			put_sentence(&b, j);
			print_wrapped(buf_span(&b), out);
		} else if (copy_known(j, source, known) && json_print(known, &b)) {
			print_json(buf_span(&b), out);
		}
	}
	if (lost && !json)
		(void)fprintf(out, "  there is more to tell than there is room for\n");
	buf_release(&b);
}
