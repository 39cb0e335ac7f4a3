/* compose.c: the header of one mail. Source: RFC 5322, 2047 (encoded words), 3834.
 *
 * No Precedence field: RFC 3834 gives it no meaning for answers, and filters take "bulk" for advertising. */
#include <stdio.h>
#include <string.h>

#include "actions/reply/reply.h"

#define LINE_BYTES 76
#define WORD_PAYLOAD_BYTES 54 /* "Subject: " + "=?UTF-8?Q?" + it + "?=" stays within a line */
#define MAX_ID_BYTES 250
#define MAX_REFERENCES 20 /* RFC 5322 sets no bound; the thread's first and newest ids are what readers use */

static void
put_hex(struct buf *out, unsigned char c)
{
	buf_printf(out, "=%02X", c);
}

/* -- header ------------------------------------------------------------------------------------------------------- */

static void
put_date(struct buf *out, int64_t t)
{
	static const char *const days[] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" }; /* 1970-01-01 first */
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
		"Nov", "Dec" };
	char text[MH_TIME_TEXT];
	int year, month, day;

	time_to_civil(t, &year, &month, &day);
	buf_printf(out, "Date: %s, %d %s %04d %.8s +0000\n", days[((time_day(t) % 7) + 7) % 7], day, months[month - 1],
	    year, time_text(text, t) + 11);
}

static bool
is_plain_subject(struct mh_span s)
{
	size_t word = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < 0x20 || s.p[i] >= 0x7F)
			return false;
		word = s.p[i] == ' ' ? 0 : word + 1;
		if (word > LINE_BYTES - 10)
			return false;
	}
	return span_find(s, MH_LIT("=?"), 0) == SIZE_MAX;
}

static void
put_folded(struct buf *out, struct mh_span s, size_t column)
{
	while (s.n > 0) {
		const struct mh_span word = span_head(s, span_find(s, MH_LIT(" "), 0));

		if (column + 1 + word.n > LINE_BYTES) {
			buf_putc(out, '\n');
			column = 0;
		}
		buf_putc(out, ' ');
		buf_put(out, word);
		column += 1 + word.n;
		s = span_trim(span_from(s, word.n));
	}
	buf_putc(out, '\n');
}

/* Q encoding; a character is never split over two words (RFC 2047 5). */
static void
put_encoded(struct buf *out, struct mh_span s)
{
	size_t used = 0;

	buf_puts(out, " =?UTF-8?Q?");
	while (s.n > 0) {
		size_t n = 1; /* bytes of this character */
		while (n < s.n && ((unsigned char)s.p[n] & 0xC0) == 0x80)
			n++;
		const bool plain = n == 1 && ((s.p[0] >= 'a' && s.p[0] <= 'z') || (s.p[0] >= 'A' && s.p[0] <= 'Z') ||
						 (s.p[0] >= '0' && s.p[0] <= '9'));
		const size_t cost = plain || s.p[0] == ' ' ? 1 : 3 * n;

		if (used + cost > WORD_PAYLOAD_BYTES) {
			buf_puts(out, "?=\n =?UTF-8?Q?");
			used = 0;
		}
		if (plain)
			buf_putc(out, s.p[0]);
		else if (s.p[0] == ' ')
			buf_putc(out, '_');
		else
			for (size_t i = 0; i < n; i++)
				put_hex(out, (unsigned char)s.p[i]);
		used += cost;
		s = span_from(s, n);
	}
	buf_puts(out, "?=\n");
}

static void
put_subject(struct buf *out, struct mh_span subject)
{
	subject = span_trim(subject);
	buf_puts(out, "Subject:");
	if (is_plain_subject(subject))
		put_folded(out, subject, strlen("Subject:"));
	else
		put_encoded(out, subject);
}

/* "<left@right>" of printable ASCII, as far as it must hold to be safe in a header. */
static bool
is_message_id(struct mh_span s)
{
	if (s.n < 5 || s.n > MAX_ID_BYTES || s.p[0] != '<' || s.p[s.n - 1] != '>')
		return false;
	for (size_t i = 1; i < s.n - 1; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7F || s.p[i] == '<' || s.p[i] == '>')
			return false;
	return span_find(s, MH_LIT("@"), 0) != SIZE_MAX;
}

/* References of the mail and its own id, the oldest left out where there are too many. What is no id is left out. */
static void
put_thread(struct buf *out, const struct request *r)
{
	const struct mh_span id = span_of(r->message.id);
	struct mh_span ids[MAX_REFERENCES], rest = span_trim(span_of(r->message.references));
	size_t n = 0;

	if (id.p == NULL || !is_message_id(id))
		return;
	buf_puts(out, "In-Reply-To: ");
	buf_put(out, id);
	buf_puts(out, "\nReferences:");
	while (rest.n > 0) {
		size_t end = 0;
		while (end < rest.n && strchr(" \t\r\n", rest.p[end]) == NULL)
			end++;
		const struct mh_span one = span_head(rest, end);
		if (is_message_id(one) && !span_eq(one, id)) {
			if (n == MAX_REFERENCES) { /* keep the first, drop the second */
				memmove(&ids[1], &ids[2], (n - 2) * sizeof(ids[0]));
				n--;
			}
			ids[n++] = one;
		}
		rest = span_trim(span_from(rest, end));
	}
	for (size_t i = 0; i < n; i++) {
		buf_putc(out, ' ');
		buf_put(out, ids[i]);
		buf_putc(out, '\n');
	}
	buf_putc(out, ' ');
	buf_put(out, id);
	buf_putc(out, '\n');
}

void
message_id(char dst[320], const struct request *r, const char *from)
{
	const char *at = strchr(from, '@');

	(void)snprintf(dst, 320, "<%s@%s>", r->job_key, at == NULL ? "localhost" : at + 1);
}

enum mh_status
compose(const struct request *r, const char *from, const struct recipients *to, const struct reply_text *text,
    struct buf *out, struct mh_err *err)
{
	char id[320];

	if (!address_valid(span_of(from)))
		return mh_fail(err, MH_BAD, "the From address is none that can be written safely");
	for (size_t i = 0; i < to->n; i++)
		if (!address_valid(span_of(to->items[i])))
			return mh_fail(err, MH_BAD, "a recipient's address is none that can be written to safely");

	put_date(out, r->now);
	buf_printf(out, "From: mailhook <%s>\nTo:", from);
	for (size_t i = 0; i < to->n; i++)
		buf_printf(out, " %s%s\n", to->items[i], i + 1 < to->n ? "," : "");
	put_subject(out, text->subject);
	message_id(id, r, from);
	buf_printf(out, "Message-ID: %s\n", id);
	put_thread(out, r);
	buf_printf(out,
	    "Auto-Submitted: auto-replied\n"
	    "X-Auto-Response-Suppress: All\n"
	    "X-Mailhook-Job: %s\n",
	    r->job_key);
	put_body(out, r, text);
	if (!buf_ok(out))
		return mh_fail(err, MH_LIMIT, "the reply is longer than %zu bytes", out->max);
	return MH_OK;
}
