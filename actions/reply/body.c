/* body.c: the body of one mail. Source: RFC 2045 (quoted-printable, base64), 2046 (multipart). */
#include <string.h>

#include "actions/common/base64.h"
#include "actions/reply/reply.h"

#define LINE_BYTES 76
#define BASE64_LINE_BYTES 57 /* become 76 */

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

static void
put_quoted(struct buf *out, const char *type, struct mh_span text)
{
	struct mh_span line;

	buf_printf(out, "Content-Type: %s; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n", type);
	while (span_line(&text, &line))
		put_quoted_line(out, line);
}

/* Base64 keeps the CRLF that the format demands, wherever the mail is stored. */
static void
put_attachment(struct buf *out, struct mh_span calendar)
{
	buf_puts(out, "Content-Type: text/calendar; charset=utf-8; method=PUBLISH\n"
		      "Content-Disposition: attachment; filename=\"expiry.ics\"\n"
		      "Content-Transfer-Encoding: base64\n\n");
	while (calendar.n > 0) {
		base64_put(out, span_head(calendar, BASE64_LINE_BYTES));
		buf_putc(out, '\n');
		calendar = span_from(calendar, BASE64_LINE_BYTES);
	}
}

/* "=_" stands in no quoted-printable and no base64 text, so a boundary that begins so ends no part early; and neither of
 * the two is the other's beginning. */
static void
put_text(struct buf *out, const struct request *r, const struct reply_text *text)
{
	if (text->html.p == NULL) {
		put_quoted(out, "text/plain", text->body);
		return;
	}
	buf_printf(
	    out, "Content-Type: multipart/alternative;\n boundary=\"=_a%s\"\n\n--=_a%s\n", r->job_key, r->job_key);
	put_quoted(out, "text/plain", text->body);
	buf_printf(out, "\n--=_a%s\n", r->job_key);
	put_quoted(out, "text/html", text->html);
	buf_printf(out, "\n--=_a%s--\n", r->job_key);
}

void
put_body(struct buf *out, const struct request *r, const struct reply_text *text)
{
	buf_puts(out, "MIME-Version: 1.0\n");
	if (text->calendar.p == NULL) {
		put_text(out, r, text);
		return;
	}
	buf_printf(out, "Content-Type: multipart/mixed;\n boundary=\"=_m%s\"\n\n--=_m%s\n", r->job_key, r->job_key);
	put_text(out, r, text);
	buf_printf(out, "\n--=_m%s\n", r->job_key);
	put_attachment(out, text->calendar);
	buf_printf(out, "\n--=_m%s--\n", r->job_key);
}
