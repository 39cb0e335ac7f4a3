/* markup.c: values in Markdown and in Jira's wiki text.
 *
 * Sources: CommonMark 0.31 2.4 (any ASCII punctuation may be escaped), 6.1 (code spans); GFM 6.9 (autolinks); GitLab's
 * user guide on references and quick actions; Atlassian's "Text formatting notation". Mentions and references are looked
 * for in what Markdown has made of the text, so that no backslash stops them. */
#include "actions/common/markup.h"

#include <string.h>

#define JOINER "\xE2\x81\xA0" /* U+2060: no width, no break */

static bool
is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool
is_punct(char c)
{
	return c > ' ' && c < 0x7F && !is_alnum(c);
}

static bool
one_of(char c, const char *set)
{
	return c != '\0' && strchr(set, c) != NULL;
}

/* The value clean of control characters. False: no memory, and out says so. */
static bool
plain(const struct template_var *v, struct buf *ret, struct buf *out)
{
	buf_init(ret, v->value.n + 1);
	template_plain(ret, v);
	out->failed = out->failed || !buf_ok(ret);
	return buf_ok(ret);
}

static size_t
digits_of(struct mh_span s)
{
	size_t n = 0;

	while (n < s.n && s.p[n] >= '0' && s.p[n] <= '9')
		n++;
	return n;
}

/* s ends with a word of its own that is head, whatever its case. */
static bool
ends_with_word(struct mh_span s, struct mh_span head)
{
	return span_iends(s, head) && (s.n == head.n || !is_alnum(s.p[s.n - head.n - 1]));
}

/* Between s[at - 1] and s[at], would a mention, a reference or a link made of bare text go on? */
static bool
goes_on(struct mh_span s, size_t at)
{
	const struct mh_span so_far = span_head(s, at);

	if (at == 0 || at >= s.n)
		return false;
	const char before = s.p[at - 1], c = s.p[at];
	if (one_of(before, "@#!$&%~^") && (is_alnum(c) || (unsigned char)c >= 0x80 || c == '"' || c == '_'))
		return true; /* @name #1 !1 $1 &1 %1 ~label [cadence:1] */
	if (before == ':' && c != ' ' && at > 1 && is_alnum(s.p[at - 2]))
		return true; /* a scheme, mailto: or an emoji */
	return (c == '.' && ends_with_word(so_far, MH_LIT("www"))) ||
	       (c == '-' && ends_with_word(so_far, MH_LIT("gh"))); /* GH-1 */
}

/* "- " or "12. " that lists of our own making begin with: its length, or 0. */
static size_t
list_mark(enum template_lines lines, struct mh_span line)
{
	const size_t digits = digits_of(line);

	if (lines != LINES_LIST)
		return 0;
	if (span_starts(line, MH_LIT("- ")))
		return 2;
	return digits > 0 && span_starts(span_from(line, digits), MH_LIT(". ")) ? digits + 2 : 0;
}

/* -- Markdown ------------------------------------------------------------------------------------------------------ */

/* Words, numbers, and punctuation within that means nothing alone. */
static bool
is_plain_words(struct mh_span s)
{
	const size_t digits = digits_of(s);

	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];

		if (is_alnum(c) || (unsigned char)c >= 0x80)
			continue;
		if (i == 0 || !one_of(c, " -.,;:()'") || goes_on(s, i) || goes_on(s, i + 1))
			return false;
	}
	return s.n > 0 && (digits == 0 || digits == s.n || !one_of(s.p[digits], ".)"));
}

/* Its fence is longer than any run of backticks in it; a space on both sides where it begins or ends with one. */
static void
put_code_span(struct buf *out, struct mh_span s)
{
	size_t longest = 0, run = 0;
	const bool pad = one_of(s.p[0], "` ") || one_of(s.p[s.n - 1], "` ");

	for (size_t i = 0; i < s.n; i++) {
		run = s.p[i] == '`' ? run + 1 : 0;
		longest = run > longest ? run : longest;
	}
	for (size_t i = 0; i <= longest; i++)
		buf_putc(out, '`');
	buf_puts(out, pad ? " " : "");
	buf_put(out, s);
	buf_puts(out, pad ? " " : "");
	for (size_t i = 0; i <= longest; i++)
		buf_putc(out, '`');
}

/* Everything is escaped where it might begin a line, and so make a heading, a list or a command. */
static void
put_markdown_line(struct buf *out, struct mh_span s)
{
	const size_t number = digits_of(s);

	for (size_t i = 0; i < s.n; i++) {
		const bool head = i == 0 || (i == number && one_of(s.p[i], ".)"));

		if (goes_on(s, i))
			buf_puts(out, JOINER);
		if (is_punct(s.p[i]) && (head || !one_of(s.p[i], ".,:;'\"()/-?")))
			buf_putc(out, '\\');
		buf_putc(out, s.p[i]);
	}
}

void
template_markdown(struct buf *out, const struct template_var *v)
{
	struct buf text;
	struct mh_span rest, line;

	if (plain(v, &text, out)) {
		rest = buf_span(&text);
		switch (v->lines) {
		case LINES_ONE:
			if (is_plain_words(rest))
				buf_put(out, rest);
			else if (rest.n > 0)
				put_code_span(out, rest);
			break;
		case LINES_LINK:
			buf_putc(out, '<');
			buf_put(out, rest);
			buf_putc(out, '>');
			break;
		case LINES_LIST:
		case LINES_WRAP:
			for (bool first = true; span_line(&rest, &line); first = false) {
				const size_t mark = list_mark(v->lines, line);

				buf_puts(out, first ? "" : mark > 0 ? "\n" : " "); /* it was broken for plain text */
				buf_put(out, span_head(line, mark));
				put_markdown_line(out, span_trim(span_from(line, mark)));
			}
			break;
		}
	}
	buf_release(&text);
}

/* -- wiki ---------------------------------------------------------------------------------------------------------- */

static void
put_wiki_line(struct buf *out, struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];

		if (goes_on(s, i) || (c == '.' && i > 0 && i < 4)) /* h1. and bq. begin a line */
			buf_puts(out, JOINER);
		if (c == '\\')
			buf_puts(out, "&#92;"); /* two of them would break the line */
		else if (c == '&')
			buf_puts(out, "&amp;");
		else if (c == '<')
			buf_puts(out, "&lt;");
		else if (c == '>')
			buf_puts(out, "&gt;");
		else if (is_punct(c) && !one_of(c, ".,;'\"/$%`="))
			buf_printf(out, "\\%c", c);
		else
			buf_putc(out, c);
	}
}

void
template_wiki(struct buf *out, const struct template_var *v)
{
	struct buf text;
	struct mh_span rest, line;

	if (plain(v, &text, out)) {
		rest = buf_span(&text);
		switch (v->lines) {
		case LINES_ONE:
			put_wiki_line(out, rest);
			break;
		case LINES_LINK:
			buf_putc(out, '[');
			buf_put(out, rest);
			buf_putc(out, ']');
			break;
		case LINES_LIST:
		case LINES_WRAP:
			for (bool first = true; span_line(&rest, &line); first = false) {
				const size_t mark = list_mark(v->lines, line);

				buf_puts(out, first ? "" : mark > 0 ? "\n" : " ");
				buf_puts(out, mark == 0 ? "" : mark > 2 ? "# " : "* ");
				put_wiki_line(out, span_trim(span_from(line, mark)));
			}
			break;
		}
	}
	buf_release(&text);
}
