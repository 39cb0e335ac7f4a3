/* html.c: a tokenizer that writes text. */
#include <stdlib.h>
#include <string.h>

#include "mailhook/mail/entities.h"
#include "mailhook/mail/html.h"

enum element {
	ELEMENT_INLINE,
	ELEMENT_BLOCK,
	ELEMENT_BREAK,
	ELEMENT_PRE, /* a block whose white space counts */
	ELEMENT_RAW, /* nothing in it is shown, and no tag but its own end is one */
	ELEMENT_HEAD,
	ELEMENT_IN_HEAD, /* does not end the head */
	ELEMENT_LINK
};

#define LONGEST_ELEMENT 12

/* Sorted by first letter. */
#define ELEMENT(name, element)                                                                                         \
	{                                                                                                              \
		name, sizeof(name) - 1, element                                                                        \
	}
static const struct {
	char name[LONGEST_ELEMENT];
	unsigned char n_name;
	enum element element;
} elements[] = {
	ELEMENT("a", ELEMENT_LINK),
	ELEMENT("address", ELEMENT_BLOCK),
	ELEMENT("article", ELEMENT_BLOCK),
	ELEMENT("aside", ELEMENT_BLOCK),
	ELEMENT("base", ELEMENT_IN_HEAD),
	ELEMENT("blockquote", ELEMENT_BLOCK),
	ELEMENT("body", ELEMENT_BLOCK),
	ELEMENT("br", ELEMENT_BREAK),
	ELEMENT("caption", ELEMENT_BLOCK),
	ELEMENT("center", ELEMENT_BLOCK),
	ELEMENT("dd", ELEMENT_BLOCK),
	ELEMENT("details", ELEMENT_BLOCK),
	ELEMENT("dialog", ELEMENT_BLOCK),
	ELEMENT("dir", ELEMENT_BLOCK),
	ELEMENT("div", ELEMENT_BLOCK),
	ELEMENT("dl", ELEMENT_BLOCK),
	ELEMENT("dt", ELEMENT_BLOCK),
	ELEMENT("fieldset", ELEMENT_BLOCK),
	ELEMENT("figcaption", ELEMENT_BLOCK),
	ELEMENT("figure", ELEMENT_BLOCK),
	ELEMENT("footer", ELEMENT_BLOCK),
	ELEMENT("form", ELEMENT_BLOCK),
	ELEMENT("h1", ELEMENT_BLOCK),
	ELEMENT("h2", ELEMENT_BLOCK),
	ELEMENT("h3", ELEMENT_BLOCK),
	ELEMENT("h4", ELEMENT_BLOCK),
	ELEMENT("h5", ELEMENT_BLOCK),
	ELEMENT("h6", ELEMENT_BLOCK),
	ELEMENT("head", ELEMENT_HEAD),
	ELEMENT("header", ELEMENT_BLOCK),
	ELEMENT("hgroup", ELEMENT_BLOCK),
	ELEMENT("hr", ELEMENT_BLOCK),
	ELEMENT("html", ELEMENT_BLOCK),
	ELEMENT("iframe", ELEMENT_RAW),
	ELEMENT("legend", ELEMENT_BLOCK),
	ELEMENT("li", ELEMENT_BLOCK),
	ELEMENT("link", ELEMENT_IN_HEAD),
	ELEMENT("listing", ELEMENT_PRE),
	ELEMENT("main", ELEMENT_BLOCK),
	ELEMENT("menu", ELEMENT_BLOCK),
	ELEMENT("meta", ELEMENT_IN_HEAD),
	ELEMENT("nav", ELEMENT_BLOCK),
	ELEMENT("noembed", ELEMENT_RAW),
	ELEMENT("noframes", ELEMENT_RAW),
	ELEMENT("noscript", ELEMENT_IN_HEAD),
	ELEMENT("ol", ELEMENT_BLOCK),
	ELEMENT("optgroup", ELEMENT_BLOCK),
	ELEMENT("option", ELEMENT_BLOCK),
	ELEMENT("p", ELEMENT_BLOCK),
	ELEMENT("pre", ELEMENT_PRE),
	ELEMENT("script", ELEMENT_RAW),
	ELEMENT("search", ELEMENT_BLOCK),
	ELEMENT("section", ELEMENT_BLOCK),
	ELEMENT("select", ELEMENT_BLOCK),
	ELEMENT("style", ELEMENT_RAW),
	ELEMENT("summary", ELEMENT_BLOCK),
	ELEMENT("table", ELEMENT_BLOCK),
	ELEMENT("tbody", ELEMENT_BLOCK),
	ELEMENT("td", ELEMENT_BLOCK),
	ELEMENT("template", ELEMENT_RAW),
	ELEMENT("textarea", ELEMENT_PRE),
	ELEMENT("tfoot", ELEMENT_BLOCK),
	ELEMENT("th", ELEMENT_BLOCK),
	ELEMENT("thead", ELEMENT_BLOCK),
	ELEMENT("title", ELEMENT_RAW),
	ELEMENT("tr", ELEMENT_BLOCK),
	ELEMENT("ul", ELEMENT_BLOCK),
};

#undef ELEMENT

#define N_ELEMENTS (sizeof(elements) / sizeof(elements[0]))

struct html {
	struct mh_span in;
	size_t at;
	char *text, *links; /* own; in.n bytes each: every output byte has at least one input byte of its own */
	size_t n_text, n_links;
	unsigned char first[256]; /* where a letter's elements start in the table */
	size_t pre;               /* open <pre> */
	bool space;               /* white space stands before the next character */
	bool head;
};

/* What a byte ends: a run of text that is copied as it is, an attribute's name or value. */
enum { SPACE = 1, ENDS_TEXT = 2, ENDS_NAME = 4, ENDS_VALUE = 8 };
static const unsigned char classes[256] = { [' '] = SPACE | ENDS_TEXT | ENDS_NAME | ENDS_VALUE,
	['\t'] = SPACE | ENDS_TEXT | ENDS_NAME | ENDS_VALUE,
	['\n'] = SPACE | ENDS_TEXT | ENDS_NAME | ENDS_VALUE,
	['\r'] = SPACE | ENDS_TEXT | ENDS_NAME | ENDS_VALUE,
	['\f'] = SPACE | ENDS_TEXT | ENDS_NAME | ENDS_VALUE,
	['\0'] = ENDS_TEXT,
	['<'] = ENDS_TEXT,
	['&'] = ENDS_TEXT,
	['/'] = ENDS_NAME,
	['='] = ENDS_NAME,
	['>'] = ENDS_NAME | ENDS_VALUE };

static bool
is(char c, unsigned class)
{
	return (classes[(unsigned char)c] & class) != 0;
}

static bool
is_space(char c)
{
	return is(c, SPACE);
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* -- output ------------------------------------------------------------------------------------------------------- */

static void
put_text(struct html *h, struct mh_span run)
{
	if (h->head)
		return;
	if (h->space && h->n_text > 0 && h->text[h->n_text - 1] != '\n')
		h->text[h->n_text++] = ' ';
	h->space = false;
	memcpy(h->text + h->n_text, run.p, run.n);
	h->n_text += run.n;
}

static void
end_line(struct html *h)
{
	h->space = false;
	if (h->n_text > 0 && h->text[h->n_text - 1] != '\n')
		h->text[h->n_text++] = '\n';
}

static void
break_line(struct html *h)
{
	h->space = false;
	if (h->n_text > 0)
		h->text[h->n_text++] = '\n';
}

static size_t
utf8_write(unsigned code, char dst[4])
{
	unsigned char u[4];
	size_t n;

	if (code < 0x80) {
		u[0] = (unsigned char)code;
		n = 1;
	} else if (code < 0x800) {
		u[0] = (unsigned char)(0xC0 | code >> 6);
		n = 2;
	} else if (code < 0x10000) {
		u[0] = (unsigned char)(0xE0 | code >> 12);
		n = 3;
	} else {
		u[0] = (unsigned char)(0xF0 | code >> 18);
		n = 4;
	}
	for (size_t i = 1; i < n; i++)
		u[i] = (unsigned char)(0x80 | (code >> (6 * (n - 1 - i)) & 0x3F));
	memcpy(dst, u, n);
	return n;
}

/* White space as it stands in the source. */
static void
put_space(struct html *h, char c)
{
	if (h->pre == 0) {
		h->space = true;
	} else if (c == '\n' || c == '\r') {
		break_line(h);
	} else {
		put_text(h, (struct mh_span){ &c, 1 });
	}
}

static void
put_link(struct html *h, struct mh_span href)
{
	const size_t start = h->n_links;

	for (href = span_trim(href); href.n > 0;) {
		size_t used = 0;

		while (used < href.n && !is(href.p[used], ENDS_TEXT))
			used++;
		memcpy(h->links + h->n_links, href.p, used);
		h->n_links += used;
		href = span_from(href, used);
		if (href.n == 0)
			break;

		used = 1;
		const unsigned code = href.p[0] == '&' ? entity_read(href, true, &used) : 0;

		if (code != 0 && code != '\n' && code != '\r' && code != '\t')
			h->n_links += utf8_write(code, h->links + h->n_links);
		else if (code == 0 && href.p[0] != '\n' && href.p[0] != '\r' && href.p[0] != '\t' && href.p[0] != '\0')
			h->links[h->n_links++] = href.p[0];
		href = span_from(href, used);
	}
	if (h->n_links > start)
		h->links[h->n_links++] = '\n';
}

/* -- markup ------------------------------------------------------------------------------------------------------- */

static void
skip_past(struct html *h, struct mh_span what, size_t from)
{
	const size_t hit = span_find(h->in, what, from);

	h->at = hit == SIZE_MAX ? h->in.n : hit + what.n; /* without an end it hides all the rest, as in a browser */
}

/* Behind "<!--". "<!-->" and "<!--->" are whole comments. */
static void
skip_comment(struct html *h)
{
	const struct mh_span rest = span_from(h->in, h->at);

	if (span_starts(rest, MH_LIT(">")))
		h->at += 1;
	else if (span_starts(rest, MH_LIT("->")))
		h->at += 2;
	else
		skip_past(h, MH_LIT("-->"), h->at);
}

/* Reads attributes up to and with ">"; false when the input ends in the tag, which is then no tag. */
static bool
read_attributes(struct html *h, struct mh_span *ret_href)
{
	const char *p = h->in.p;
	const size_t n = h->in.n;
	size_t at = h->at;

	*ret_href = MH_NONE;
	for (;;) {
		while (at < n && (is_space(p[at]) || p[at] == '/'))
			at++;
		if (at == n)
			break;
		if (p[at] == '>') {
			h->at = at + 1;
			return true;
		}

		const size_t name = at++; /* a first "=" belongs to the name */
		while (at < n && !is(p[at], ENDS_NAME))
			at++;
		const size_t n_name = at - name;
		while (at < n && is_space(p[at]))
			at++;
		if (at == n)
			break;
		if (p[at] != '=')
			continue;
		for (at++; at < n && is_space(p[at]);)
			at++;
		if (at == n)
			break;

		struct mh_span value;
		if (p[at] == '"' || p[at] == '\'') {
			const char *end = memchr(p + at + 1, p[at], n - at - 1);
			if (end == NULL)
				break;
			value = (struct mh_span){ p + at + 1, (size_t)(end - p) - at - 1 };
			at = (size_t)(end - p) + 1;
		} else {
			const size_t start = at;
			while (at < n && !is(p[at], ENDS_VALUE))
				at++;
			value = (struct mh_span){ p + start, at - start };
		}
		if (ret_href->p == NULL && span_ieq((struct mh_span){ p + name, n_name }, MH_LIT("href")))
			*ret_href = value;
	}
	h->at = n;
	return false;
}

static enum element
element_named(const struct html *h, struct mh_span name, const char **ret_name)
{
	char lower[LONGEST_ELEMENT];

	*ret_name = "";
	if (name.n >= sizeof(lower))
		return ELEMENT_INLINE;
	for (size_t i = 0; i < name.n; i++)
		lower[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] - 'A' + 'a') : name.p[i];
	lower[name.n] = '\0';
	for (size_t i = h->first[(unsigned char)lower[0]]; i < N_ELEMENTS && elements[i].name[0] == lower[0]; i++) {
		if (elements[i].n_name == name.n && memcmp(elements[i].name, lower, name.n) == 0) {
			*ret_name = elements[i].name;
			return elements[i].element;
		}
	}
	return ELEMENT_INLINE;
}

/* Behind the start tag of an element whose content is not shown: to its end tag. */
static void
skip_content(struct html *h, const char *name)
{
	char end[LONGEST_ELEMENT + 2] = "</";
	const size_t n = strlen(name) + 2;

	memcpy(end + 2, name, n - 2);
	for (;;) {
		const size_t hit = span_ifind(h->in, (struct mh_span){ end, n }, h->at);
		struct mh_span href;

		if (hit == SIZE_MAX) {
			h->at = h->in.n;
			return;
		}
		h->at = hit + n;
		if (h->at < h->in.n && (is_space(h->in.p[h->at]) || h->in.p[h->at] == '/' || h->in.p[h->at] == '>')) {
			(void)read_attributes(h, &href);
			return;
		}
	}
}

/* A newline right behind <pre> is not part of it. */
static void
skip_newline(struct html *h)
{
	if (h->at < h->in.n && h->in.p[h->at] == '\r')
		h->at++;
	if (h->at < h->in.n && h->in.p[h->at] == '\n')
		h->at++;
}

static void
start_tag(struct html *h, enum element e, const char *name, struct mh_span href)
{
	if (e != ELEMENT_RAW && e != ELEMENT_IN_HEAD)
		h->head = e == ELEMENT_HEAD;
	switch (e) {
	case ELEMENT_INLINE:
	case ELEMENT_HEAD:
	case ELEMENT_IN_HEAD:
		break;
	case ELEMENT_LINK:
		put_link(h, href);
		break;
	case ELEMENT_BLOCK:
		end_line(h);
		break;
	case ELEMENT_BREAK:
		break_line(h);
		break;
	case ELEMENT_PRE:
		end_line(h);
		h->pre++;
		skip_newline(h);
		break;
	case ELEMENT_RAW:
		skip_content(h, name);
		break;
	}
}

static void
end_tag(struct html *h, enum element e)
{
	switch (e) {
	case ELEMENT_INLINE:
	case ELEMENT_IN_HEAD:
	case ELEMENT_LINK:
	case ELEMENT_RAW:
		break;
	case ELEMENT_HEAD:
		h->head = false;
		break;
	case ELEMENT_BLOCK:
		end_line(h);
		break;
	case ELEMENT_BREAK: /* browsers take </br> for <br> */
		break_line(h);
		break;
	case ELEMENT_PRE:
		end_line(h);
		h->pre -= h->pre > 0;
		break;
	}
}

/* At "<". */
static void
read_markup(struct html *h)
{
	const struct mh_span rest = span_from(h->in, h->at);
	const bool end = rest.n > 1 && rest.p[1] == '/';
	const size_t name_at = h->at + (end ? 2 : 1);

	if (name_at < h->in.n && is_letter(h->in.p[name_at])) {
		size_t name_end = name_at;
		while (name_end < h->in.n && !is_space(h->in.p[name_end]) && h->in.p[name_end] != '/' &&
		       h->in.p[name_end] != '>')
			name_end++;

		const char *name;
		struct mh_span href;
		const enum element e =
		    element_named(h, (struct mh_span){ h->in.p + name_at, name_end - name_at }, &name);
		h->at = name_end;
		if (!read_attributes(h, &href))
			return;
		if (end)
			end_tag(h, e);
		else
			start_tag(h, e, name, href);
	} else if (span_starts(rest, MH_LIT("<!--"))) {
		h->at += 4;
		skip_comment(h);
	} else if (rest.n > 1 && (rest.p[1] == '!' || rest.p[1] == '?' || (end && rest.n > 2))) {
		skip_past(h, MH_LIT(">"), h->at); /* <!DOCTYPE>, <![if !mso]>, <?xml?>, </3>: nothing to see */
	} else {
		put_text(h, span_head(rest, 1));
		h->at++;
	}
}

/* At "&". */
static void
read_reference(struct html *h)
{
	size_t used = 1;
	const unsigned code = entity_read(span_from(h->in, h->at), false, &used);

	if (code == 0) {
		put_text(h, MH_LIT("&"));
	} else if (code < 0x80 && is_space((char)code)) {
		put_space(h, (char)code);
	} else {
		char utf8[4];
		put_text(h, (struct mh_span){ utf8, utf8_write(code, utf8) });
	}
	h->at += used;
}

/* A space between two characters of text is copied with them. */
static bool
is_lone_space(const struct html *h, size_t at)
{
	return h->in.p[at] == ' ' && at > h->at && at + 1 < h->in.n && !is(h->in.p[at + 1], ENDS_TEXT);
}

static void
render(struct html *h)
{
	const char *p = h->in.p;

	while (h->at < h->in.n) {
		const size_t start = h->at;
		size_t at = start;

		while (at < h->in.n && (!is(p[at], ENDS_TEXT) || is_lone_space(h, at)))
			at++;
		if (at > start)
			put_text(h, (struct mh_span){ p + start, at - start });
		h->at = at;
		if (at == h->in.n)
			return;
		if (p[at] == '<') {
			read_markup(h);
		} else if (p[at] == '&') {
			read_reference(h);
		} else {
			const bool crlf = p[at] == '\r' && at + 1 < h->in.n && p[at + 1] == '\n';
			if (p[at] != '\0')
				put_space(h, p[at]);
			h->at += crlf ? 2 : 1;
		}
	}
}

enum mh_status
html_to_text(
    struct mh_span html, struct arena *a, struct mh_span *ret_text, struct mh_span *ret_links, struct mh_err *err)
{
	struct html h = { .in = html };
	enum mh_status status;

	for (size_t i = N_ELEMENTS; i-- > 0;)
		h.first[(unsigned char)elements[i].name[0]] = (unsigned char)i;
	h.text = malloc(html.n + 1);
	h.links = malloc(html.n + 1);
	if (h.text == NULL || h.links == NULL) {
		status = mh_fail(err, MH_LIMIT, "no memory for %zu bytes of HTML", html.n);
	} else {
		render(&h);
		status = arena_copy(a, (struct mh_span){ h.text, h.n_text }, ret_text, err);
		if (status == MH_OK)
			status = arena_copy(a, (struct mh_span){ h.links, h.n_links }, ret_links, err);
	}
	free(h.text);
	free(h.links);
	return status;
}
