/* calendar.c: all cases as one iCalendar object. Source: RFC 5545 3.4 to 3.8, RFC 7986 5 (NAME, REFRESH-INTERVAL). */
#include <stdio.h>
#include <string.h>

#include "mailhook/ical.h"
#include "mailhook/work/accounts.h"
#include "mailhook/work/case.h"
#include "mailhook/work/publish.h"

#define EVENT_BYTES 16384

/* What a calendar shows in a cell: the account by the name that people know, then what expires. */
static void
put_summary(struct buf *out, const struct work *w, const struct case_row *c)
{
	const struct account_row *a = accounts_find(w->accounts, c->account);
	struct buf text;

	buf_init(&text, EVENT_BYTES);
	if (a != NULL && a->name != NULL)
		buf_printf(&text, "%s: ", a->name);
	else if (c->account != NULL)
		buf_printf(&text, "%s: ", c->account);
	buf_printf(&text, "%s expires", c->kind);
	out->failed = out->failed || !buf_ok(&text);
	ical_text(out, "SUMMARY", buf_span(&text));
	buf_release(&text);
}

static void
put_description(struct buf *out, const struct case_row *c)
{
	struct buf text;

	buf_init(&text, EVENT_BYTES);
	case_words(c, &text);
	buf_printf(
	    &text, "\ncase %lld, %s, %s", (long long)c->id, c->open ? "open" : "closed", trust_names[case_trust(c)]);
	if (c->ticket_url != NULL)
		buf_printf(&text, "\nticket: %s", c->ticket_url);
	out->failed = out->failed || !buf_ok(&text);
	ical_text(out, "DESCRIPTION", buf_span(&text));
	buf_release(&text);
}

/* When the case last changed: without METHOD, DTSTAMP is that (3.8.7.2), and a calendar without news stays as it is. */
static enum mh_status
changed_at(struct work *w, const struct case_row *c, int64_t *ret, struct mh_err *err)
{
	bool known = false;
	int64_t at = c->opened;
	const enum mh_status status = db_one_time(
	    w->db, "SELECT max(at) FROM events WHERE case_id = $1", DB_ARGS(db_int(c->id)), &known, &at, err);

	if (status == MH_OK)
		*ret = known ? at : c->opened;
	return status;
}

static enum mh_status
put_event(struct buf *out, struct work *w, const struct case_row *c, struct mh_err *err)
{
	char when[ICAL_STAMP], day[9], uid[80];
	int64_t changed;
	const enum mh_status status = changed_at(w, c, &changed, err);

	if (status != MH_OK)
		return status;
	ical_value(out, "BEGIN", "VEVENT");
	(void)snprintf(uid, sizeof(uid), "mailhook-%.64s", c->key);
	ical_value(out, "UID", uid);
	ical_value(out, "DTSTAMP", ical_stamp(when, changed));
	(void)ical_stamp(when, c->expires);
	(void)snprintf(day, sizeof(day), "%.8s", when);
	if (c->precision == MH_SECOND)
		ical_value(out, "DTSTART", when);
	else
		ical_value(out, "DTSTART;VALUE=DATE", day);
	ical_value(out, "STATUS", c->open ? "CONFIRMED" : "CANCELLED");
	ical_value(out, "TRANSP", "TRANSPARENT");
	put_summary(out, w, c);
	put_description(out, c);
	if (publish_link(c->ticket_url))
		ical_value(out, "URL", c->ticket_url);
	ical_value(out, "END", "VEVENT");
	return MH_OK;
}

enum mh_status
calendar_print(struct work *w, const struct case_rows *cases, struct buf *out, struct mh_err *err)
{
	enum mh_status status = MH_OK;
	size_t shown = 0;

	ical_value(out, "BEGIN", "VCALENDAR");
	ical_value(out, "VERSION", "2.0");
	ical_value(out, "PRODID", "-//mailhook//mailhook " MAILHOOK_VERSION "//EN");
	ical_value(out, "CALSCALE", "GREGORIAN");
	ical_value(out, "NAME", "mailhook: what expires");
	ical_value(out, "X-WR-CALNAME", "mailhook: what expires");
	ical_value(out, "REFRESH-INTERVAL;VALUE=DURATION", "PT1H");
	for (size_t i = 0; i < cases->n && status == MH_OK; i++) {
		if (!cases->items[i].has_expires)
			continue;
		status = put_event(out, w, &cases->items[i], err);
		shown++;
	}
	/* 3.6: an object has at least one component; a time zone that nothing uses is the one that shows nothing */
	if (shown == 0) {
		ical_value(out, "BEGIN", "VTIMEZONE");
		ical_value(out, "TZID", "UTC");
		ical_value(out, "BEGIN", "STANDARD");
		ical_value(out, "DTSTART", "19700101T000000");
		ical_value(out, "TZOFFSETFROM", "+0000");
		ical_value(out, "TZOFFSETTO", "+0000");
		ical_value(out, "END", "STANDARD");
		ical_value(out, "END", "VTIMEZONE");
	}
	ical_value(out, "END", "VCALENDAR");
	if (status == MH_OK && !buf_ok(out))
		status = mh_fail(err, MH_LIMIT, "the calendar is too large");
	return status;
}
