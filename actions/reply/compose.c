/* compose.c: the header of one mail. Source: RFC 5322, 3834.
 *
 * No Precedence field: RFC 3834 gives it no meaning for answers, and filters take "bulk" for advertising. */
#include <stdio.h>
#include <string.h>

#include "actions/common/mail_text.h"
#include "actions/reply/reply.h"

#define MAX_REFERENCES 20 /* RFC 5322 sets no bound; the thread's first and newest ids are what readers use */

/* References of the mail and its own id, the oldest left out where there are too many. What is no id is left out. */
static void
put_thread(struct buf *out, const struct request *r)
{
	const struct mh_span id = span_of(r->message.id);
	struct mh_span ids[MAX_REFERENCES], rest = span_trim(span_of(r->message.references));
	size_t n = 0;

	if (id.p == NULL || !mail_is_id(id))
		return;
	buf_puts(out, "In-Reply-To: ");
	buf_put(out, id);
	buf_puts(out, "\nReferences:");
	while (rest.n > 0) {
		size_t end = 0;
		while (end < rest.n && strchr(" \t\r\n", rest.p[end]) == NULL)
			end++;
		const struct mh_span one = span_head(rest, end);
		if (mail_is_id(one) && !span_eq(one, id)) {
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

	mail_put_date(out, r->now);
	buf_printf(out, "From: mailhook <%s>\nTo:", from);
	for (size_t i = 0; i < to->n; i++)
		buf_printf(out, " %s%s\n", to->items[i], i + 1 < to->n ? "," : "");
	mail_put_subject(out, text->subject);
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
