/* calendar.c: the expiry for calendars. Source: RFC 5545 3.6.1 (events), RFC 5546 3.2.1 (PUBLISH: a newer SEQUENCE of a
 * known UID replaces it, and an organizer must be named), RFC 6068 2 (what an address has to hide in a mailto). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actions/reply/reply.h"
#include "mailhook/ical.h"

static void
put_organizer(struct buf *out, const char *from)
{
	struct buf line;

	buf_init(&line, 1024);
	buf_puts(&line, "ORGANIZER:mailto:");
	for (const char *p = from; *p != '\0'; p++) {
		if (strchr("%&/=?^`{|}#", *p) != NULL)
			buf_printf(&line, "%%%02X", (unsigned char)*p);
		else
			buf_putc(&line, *p);
	}
	out->failed = out->failed || !buf_ok(&line);
	ical_line(out, buf_span(&line));
	buf_release(&line);
}

void
put_calendar(
    struct buf *out, const struct request *r, const char *from, struct mh_span summary, struct mh_span description)
{
	const bool over = r->event == EVENT_SUCCEEDED || r->event == EVENT_CLOSED;
	char when[ICAL_STAMP], day[9], text[80];

	if (!r->expiry.has_expires)
		return;
	ical_value(out, "BEGIN", "VCALENDAR");
	ical_value(out, "VERSION", "2.0");
	ical_value(out, "PRODID", "-//mailhook//mailhook " MAILHOOK_VERSION "//EN");
	ical_value(out, "CALSCALE", "GREGORIAN");
	ical_value(out, "METHOD", "PUBLISH");
	ical_value(out, "BEGIN", "VEVENT");
	(void)snprintf(text, sizeof(text), "mailhook-%s", r->case_key);
	ical_value(out, "UID", text);
	ical_value(out, "DTSTAMP", ical_stamp(when, r->now));
	(void)snprintf(text, sizeof(text), "%" PRId64, r->event_number);
	ical_value(out, "SEQUENCE", text);
	(void)ical_stamp(when, r->expiry.expires);
	(void)snprintf(day, sizeof(day), "%.8s", when);
	if (r->expiry.by_the_second)
		ical_value(out, "DTSTART", when);
	else
		ical_value(out, "DTSTART;VALUE=DATE", day);
	put_organizer(out, from);
	ical_value(out, "STATUS", over ? "CANCELLED" : "CONFIRMED");
	ical_value(out, "TRANSP", "TRANSPARENT");
	ical_text(out, "SUMMARY", summary);
	ical_text(out, "DESCRIPTION", description);
	ical_value(out, "END", "VEVENT");
	ical_value(out, "END", "VCALENDAR");
}
