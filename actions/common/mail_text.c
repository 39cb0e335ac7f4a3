/* mail_text.c: lines of a header and parts of a body. Source: RFC 5322, 2047 (encoded words), 2045 (quoted-printable). */
#include "actions/common/mail_text.h"

#include <string.h>

#define LINE_BYTES 76
#define WORD_PAYLOAD_BYTES 54 /* "Subject: " + "=?UTF-8?Q?" + it + "?=" stays within a line */
#define MAX_ID_BYTES 250

static void
put_hex(struct buf *out, unsigned char c)
{
	buf_printf(out, "=%02X", c);
}

void
mail_put_date(struct buf *out, int64_t t)
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

void
mail_put_subject(struct buf *out, struct mh_span subject)
{
	subject = span_trim(subject);
	buf_puts(out, "Subject:");
	if (is_plain_subject(subject))
		put_folded(out, subject, strlen("Subject:"));
	else
		put_encoded(out, subject);
}

bool
mail_is_id(struct mh_span s)
{
	if (s.n < 5 || s.n > MAX_ID_BYTES || s.p[0] != '<' || s.p[s.n - 1] != '>')
		return false;
	for (size_t i = 1; i < s.n - 1; i++)
		if (s.p[i] <= 0x20 || s.p[i] >= 0x7F || s.p[i] == '<' || s.p[i] == '>')
			return false;
	return span_find(s, MH_LIT("@"), 0) != SIZE_MAX;
}

/* One line, soft-broken. "." and "From " at its start are encoded too: carriers of old touch them. */
static void
put_quoted_line(struct buf *out, struct mh_span line)
{
	const bool touchy = span_starts(line, MH_LIT(".")) || span_starts(line, MH_LIT("From "));
	size_t column = 0;

	for (size_t i = 0; i < line.n; i++) {
		const unsigned char c = (unsigned char)line.p[i];
		const bool last = i + 1 == line.n;
		const bool encode = c == '=' || c >= 0x7F || (c < 0x20 && c != '\t') ||
				    (last && (c == ' ' || c == '\t')) || (i == 0 && touchy);
		const size_t cost = encode ? 3 : 1;

		if (column + cost > LINE_BYTES - 1) { /* room for the "=" of a soft break */
			buf_puts(out, "=\n");
			column = 0;
		}
		if (encode || (column == 0 && i > 0 && (c == '.' || c == 'F'))) {
			buf_printf(out, "=%02X", c);
			column += 3;
		} else {
			buf_putc(out, (char)c);
			column++;
		}
	}
	buf_putc(out, '\n');
}

void
mail_put_quoted(struct buf *out, const char *type, struct mh_span text)
{
	struct mh_span line;

	buf_printf(out, "Content-Type: %s; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n", type);
	while (span_line(&text, &line))
		put_quoted_line(out, line);
}
