/* calendar.c: the expiry for calendars. Source: RFC 5545 3.1 (lines), 3.3.11 (text), 3.6.1 (events), RFC 5546 3.2.1
 * (PUBLISH: a newer SEQUENCE of a known UID replaces it). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actions/reply/reply.h"

#define LINE_OCTETS 75 /* without the line end */

/* One content line, folded between characters. */
static void
put_line(struct buf *out, struct mh_span line)
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
put_text_line(struct buf *out, const char *name, struct mh_span text)
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
	out->failed = out->failed || !buf_ok(&line);
	put_line(out, buf_span(&line));
	buf_release(&line);
}

static void
put_name_value(struct buf *out, const char *name, const char *value)
{
	char line[200];

	(void)snprintf(line, sizeof(line), "%s%s", name, value);
	put_line(out, span_of(line));
}

/* "20260203T040506Z"; the first eight are the day. */
static const char *
stamp(char dst[17], int64_t t)
{
	char text[MH_TIME_TEXT];
	size_t n = 0;

	(void)time_text(text, t);
	for (size_t i = 0; text[i] != '\0' && n < 16; i++)
		if (text[i] != '-' && text[i] != ':')
			dst[n++] = text[i];
	dst[n] = '\0';
	return dst;
}

void
put_calendar(struct buf *out, const struct request *r, struct mh_span summary, struct mh_span description)
{
	const bool over = r->event == EVENT_SUCCEEDED || r->event == EVENT_CLOSED;
	char when[17], day[9], number[24];

	if (!r->expiry.has_expires)
		return;
	put_name_value(out, "BEGIN:", "VCALENDAR");
	put_name_value(out, "VERSION:", "2.0");
	put_name_value(out, "PRODID:", "-//mailhook//mailhook " MAILHOOK_VERSION "//EN");
	put_name_value(out, "CALSCALE:", "GREGORIAN");
	put_name_value(out, "METHOD:", "PUBLISH");
	put_name_value(out, "BEGIN:", "VEVENT");
	put_name_value(out, "UID:mailhook-", r->case_key);
	put_name_value(out, "DTSTAMP:", stamp(when, r->now));
	(void)snprintf(number, sizeof(number), "%" PRId64, r->event_number);
	put_name_value(out, "SEQUENCE:", number);
	(void)stamp(when, r->expiry.expires);
	(void)snprintf(day, sizeof(day), "%.8s", when);
	if (r->expiry.by_the_second)
		put_name_value(out, "DTSTART:", when);
	else
		put_name_value(out, "DTSTART;VALUE=DATE:", day);
	put_name_value(out, "STATUS:", over ? "CANCELLED" : "CONFIRMED");
	put_name_value(out, "TRANSP:", "TRANSPARENT");
	put_text_line(out, "SUMMARY", summary);
	put_text_line(out, "DESCRIPTION", description);
	put_name_value(out, "END:", "VEVENT");
	put_name_value(out, "END:", "VCALENDAR");
}
