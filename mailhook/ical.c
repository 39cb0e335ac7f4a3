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
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i];

		if (c == '\n')
			buf_puts(&line, "\\n");
		else if (c == '\\' || c == ';' || c == ',')
			buf_printf(&line, "\\%c", c);
		else if ((unsigned char)c >= 0x20 && c != 0x7F)
			buf_putc(&line, c);
		else if (c == '\t')
			buf_putc(&line, ' ');
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
