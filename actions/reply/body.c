/* body.c: the body of one mail. Source: RFC 2045 (quoted-printable, base64), 2046 (multipart). */
#include <string.h>

#include "actions/common/base64.h"
#include "actions/common/mail_text.h"
#include "actions/reply/reply.h"

#define BASE64_LINE_BYTES 57 /* become 76 */

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
		mail_put_quoted(out, "text/plain", text->body);
		return;
	}
	buf_printf(
	    out, "Content-Type: multipart/alternative;\n boundary=\"=_a%s\"\n\n--=_a%s\n", r->job_key, r->job_key);
	mail_put_quoted(out, "text/plain", text->body);
	buf_printf(out, "\n--=_a%s\n", r->job_key);
	mail_put_quoted(out, "text/html", text->html);
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
