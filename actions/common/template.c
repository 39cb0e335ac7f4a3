/* template.c: one pass over the text, a small stack of conditions. */
#include "actions/common/template.h"

#include <string.h>

#define MAX_NESTING 8
#define MAX_NAME_BYTES 32

struct render {
	const char *file;
	int line;
	struct mh_span rest;
	const struct template_vars *vars;
	template_escape *escape;
	struct buf *out;
	struct {
		const struct template_var *var;
		bool shown; /* this condition and all around it hold */
		int line;
	} stack[MAX_NESTING];
	size_t depth;
	struct mh_err *err;
};

static bool
shown(const struct render *r)
{
	return r->depth == 0 || r->stack[r->depth - 1].shown;
}

static bool
known(const struct template_var *v)
{
	return v->value.p != NULL && v->value.n > 0;
}

static enum mh_status
bad(const struct render *r, const char *what, struct mh_span name)
{
	char shown_name[MAX_NAME_BYTES * 2];

	mh_escape(shown_name, sizeof(shown_name), name);
	return mh_fail(r->err, MH_BAD, "%s:%d: %s {%s}", r->file, r->line, what, shown_name);
}

static const struct template_var *
find_var(const struct render *r, struct mh_span name)
{
	for (size_t i = 0; i < r->vars->n; i++)
		if (span_eq(name, span_of(r->vars->items[i].name)))
			return &r->vars->items[i];
	return NULL;
}

static enum mh_status
open_condition(struct render *r, struct mh_span name)
{
	const struct template_var *v = find_var(r, name);

	if (v == NULL)
		return bad(r, "there is no variable", name);
	if (r->depth == MAX_NESTING)
		return bad(r, "conditions are nested too deep at", name);
	const bool on = shown(r) && known(v);
	r->stack[r->depth].var = v;
	r->stack[r->depth].shown = on;
	r->stack[r->depth].line = r->line;
	r->depth++;
	return MH_OK;
}

static enum mh_status
close_condition(struct render *r, struct mh_span name)
{
	if (r->depth == 0 || !span_eq(name, span_of(r->stack[r->depth - 1].var->name)))
		return bad(r, "nothing of that name is open here to be closed:", name);
	r->depth--;
	return MH_OK;
}

static enum mh_status
put_variable(struct render *r, struct mh_span tag)
{
	const size_t bar = span_find(tag, MH_LIT("|"), 0);
	const struct mh_span name = span_head(tag, bar);
	const struct template_var *v = find_var(r, name);

	if (v == NULL)
		return bad(r, "there is no variable", name);
	if (!shown(r))
		return MH_OK;
	if (known(v))
		r->escape(r->out, v);
	else if (bar != SIZE_MAX)
		buf_put(r->out, span_from(tag, bar + 1));
	return MH_OK;
}

/* Behind a {?x} or {/x} that began its line: is its line at an end? Then the line end goes with it. */
static void
skip_line_end(struct render *r)
{
	if (span_starts(r->rest, MH_LIT("\r\n")))
		r->rest = span_from(r->rest, 2);
	else if (span_starts(r->rest, MH_LIT("\n")))
		r->rest = span_from(r->rest, 1);
	else
		return;
	r->line++;
}

/* At a '{' that is no "{{". */
static enum mh_status
take_tag(struct render *r, bool begins_line)
{
	const size_t end = span_find(r->rest, MH_LIT("}"), 0);
	const size_t line_end = span_find(r->rest, MH_LIT("\n"), 0);

	if (end == SIZE_MAX || (line_end != SIZE_MAX && line_end < end))
		return bad(r, "a brace is not closed on its line:",
		    span_head(span_from(span_head(r->rest, line_end), 1), MAX_NAME_BYTES / 2));

	const struct mh_span tag = { r->rest.p + 1, end - 1 };
	r->rest = span_from(r->rest, end + 1);
	if (tag.n == 0)
		return bad(r, "there is no name in", tag);
	if (tag.p[0] != '?' && tag.p[0] != '/')
		return put_variable(r, tag);

	const enum mh_status status =
	    tag.p[0] == '?' ? open_condition(r, span_from(tag, 1)) : close_condition(r, span_from(tag, 1));
	if (status == MH_OK && begins_line)
		skip_line_end(r);
	return status;
}

enum mh_status
template_render(const char *file, int line, struct mh_span text, const struct template_vars *vars,
    template_escape *escape, struct buf *out, struct mh_err *err)
{
	struct render r = {
		.file = file, .line = line, .rest = text, .vars = vars, .escape = escape, .out = out, .err = err
	};
	bool begins_line = true;

	while (r.rest.n > 0) {
		const char c = r.rest.p[0];

		if (c == '{' && !span_starts(r.rest, MH_LIT("{{"))) {
			const int before = r.line;
			const enum mh_status status = take_tag(&r, begins_line);

			if (status != MH_OK)
				return status;
			begins_line = begins_line && r.line != before;
			continue;
		}
		r.rest = span_from(r.rest, c == '{' ? 2 : 1);
		if (shown(&r))
			buf_putc(out, c);
		begins_line = c == '\n';
		r.line += c == '\n';
	}
	if (r.depth > 0) {
		r.line = r.stack[r.depth - 1].line;
		return bad(&r, "a condition is never closed:", span_of(r.stack[r.depth - 1].var->name));
	}
	if (!buf_ok(out))
		return mh_fail(err, MH_LIMIT, "%s:%d: the text becomes longer than %zu bytes", file, line, out->max);
	return MH_OK;
}

void
template_plain(struct buf *out, const struct template_var *v)
{
	if (v->lines != LINES_ONE) {
		buf_put(out, v->value);
		return;
	}
	struct mh_span s = span_head(v->value, utf8_cut(v->value, 1000));

	while (s.n > 0) {
		const size_t n = utf8_sequence(s);
		const struct mh_span one = span_head(s, n == 0 ? 1 : n);

		if (n == 0 || utf8_misleads(one))
			buf_putc(out, n == 0 ? '?' : ' ');
		else
			buf_put(out, one);
		s = span_from(s, one.n);
	}
}

static void
put_html(struct buf *out, char c)
{
	switch (c) {
	case '&':
		buf_puts(out, "&amp;");
		break;
	case '<':
		buf_puts(out, "&lt;");
		break;
	case '>':
		buf_puts(out, "&gt;");
		break;
	case '"':
		buf_puts(out, "&quot;");
		break;
	case '\'':
		buf_puts(out, "&#39;");
		break;
	default:
		buf_putc(out, c);
	}
}

void
template_html(struct buf *out, const struct template_var *v)
{
	struct buf plain;

	buf_init(&plain, v->value.n + 1);
	template_plain(&plain, v);
	out->failed = out->failed || !buf_ok(&plain);
	const struct mh_span s = buf_span(&plain);
	for (size_t i = 0; i < s.n; i++) {
		const bool goes_on = v->lines == LINES_WRAP || (i + 1 < s.n && s.p[i + 1] == ' ');

		if (s.p[i] != '\n')
			put_html(out, s.p[i]);
		else
			buf_puts(out, goes_on ? " " : "<br>\n");
	}
	buf_release(&plain);
}
