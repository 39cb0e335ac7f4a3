/* template.h: the one small language in which texts are written. No code, no loops.
 *
 *   {name}             the variable's value; nothing where it is unknown
 *   {name|words}       the words instead where it is unknown or empty
 *   {?name}...{/name}  only where it is known and not empty; may be nested
 *   {{                 one brace
 * A line that holds nothing but {?name} or {/name} leaves no line behind.
 */
#ifndef ACTIONS_COMMON_TEMPLATE_H
#define ACTIONS_COMMON_TEMPLATE_H

#include "mailhook/mailhook.h"

enum template_lines {
	LINES_ONE,  /* one line, perhaps with bytes from outside */
	LINES_LIST, /* several lines of our own making; an indented one goes on with the one before it */
	LINES_WRAP, /* one paragraph of our own making, broken for plain text */
	LINES_LINK  /* a URL of our own making: where links are wanted, this is one */
};

struct template_var {
	const char *name;
	struct mh_span value; /* p == NULL: unknown */
	enum template_lines lines;
};

struct template_vars {
	const struct template_var *items;
	size_t n;
};

/* How a value is written for its target (a mail, a file, ...). Literal text and default words are not escaped. */
typedef void template_escape(struct buf *out, const struct template_var *v);

/* Writes text with its variables filled in. All of text is checked, also what is not shown.
 *   in      file, line: where text comes from; errors say FILE:LINE
 *   errors  MH_BAD unknown variable, unclosed or wrongly closed brace or condition; MH_LIMIT out is full */
enum mh_status template_render(const char *file, int line, struct mh_span text, const struct template_vars *vars,
    template_escape *escape, struct buf *out, struct mh_err *err);

/* For plain text: what misleads (utf8_misleads) in a one-line value becomes a space, what is no UTF-8 a "?"; it is cut at
 * 1,000 bytes. */
void template_plain(struct buf *out, const struct template_var *v);
/* For HTML, in text and in quoted attribute values: the same, and & < > " ' as entities, line ends as <br>. */
void template_html(struct buf *out, const struct template_var *v);

#endif
