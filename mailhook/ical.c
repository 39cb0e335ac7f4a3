/* ical.c: see ical.h. */
#include "mailhook/ical.h"

#define LINE_OCTETS 75 /* without the line end */

void
ical_line(struct buf *out, struct mh_span line)
{
	size_t room = LINE_OCTETS;

	while (line.n > room) {
		const size_t n = utf8_cut(line, room);

		buf_put(out, span_head(line, n));
		buf_puts(out, "\r\n ");
		line = span_from(line, n);
		room = LINE_OCTETS - 1; /* the space counts */
	}
	buf_put(out, line);
	buf_puts(out, "\r\n");
}

static void
put_line(struct buf *out, const struct buf *line)
{
	out->failed = out->failed || !buf_ok(line);
	ical_line(out, buf_span(line));
}

void
ical_value(struct buf *out, const char *name, const char *value)
{
	struct buf line;

	buf_init(&line, 4096);
	buf_printf(&line, "%s:%s", name, value);
	put_line(out, &line);
	buf_release(&line);
}

void
ical_text(struct buf *out, const char *name, struct mh_span text)
{
	struct buf line;

	buf_init(&line, 2 * text.n + 64);
	buf_printf(&line, "%s:", name);
	text = span_trim(text);
	while (text.n > 0) {
		const size_t n = utf8_sequence(text);
		const struct mh_span one = span_head(text, n > 0 ? n : 1);
		const char c = text.p[0];

		text = span_from(text, one.n);
		if (c == '\n')
			buf_puts(&line, "\\n");
		else if (c == '\t')
			buf_putc(&line, ' ');
		else if (n == 0)
			buf_putc(&line, '?');
		else if (c == '\\' || c == ';' || c == ',')
			buf_printf(&line, "\\%c", c);
		else if (!utf8_misleads(one)) /* a calendar is published: nothing in it turns the words around */
			buf_put(&line, one);
	}
	put_line(out, &line);
	buf_release(&line);
}

const char *
ical_stamp(char dst[ICAL_STAMP], int64_t t)
{
	char text[MH_TIME_TEXT];
	size_t n = 0;

	(void)time_text(text, t);
	for (size_t i = 0; text[i] != '\0' && n < ICAL_STAMP - 1; i++)
		if (text[i] != '-' && text[i] != ':')
			dst[n++] = text[i];
	dst[n] = '\0';
	return dst;
}
