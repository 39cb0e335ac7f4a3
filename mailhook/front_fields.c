/* front_fields.c: the message that `filter` hands on.
 *
 * Fields that a sender wrote to look like ours are taken out, all but X-Mailhook-Job: that is the loop mark of our own
 * replies, and a mailhook behind this one must see it. The header is taken to end at the first empty line, also where
 * a stricter reader would see its end before: to take out too much there is the safe side. Where the message was longer
 * than could be kept and so was its header, the header ends there: what follows is not looked at any more.
 */
#include <string.h>

#include "mailhook/front.h"

#define MAX_VALUE_BYTES 256 /* of a field that we write: no reader folds or cuts it */

/* The next line with its line end. */
static struct mh_span
whole_line(struct mh_span s)
{
	const char *lf = s.n == 0 ? NULL : memchr(s.p, '\n', s.n);

	return span_head(s, lf == NULL ? s.n : (size_t)(lf - s.p) + 1);
}

static bool
is_empty_line(struct mh_span line)
{
	return span_eq(line, MH_LIT("\n")) || span_eq(line, MH_LIT("\r\n"));
}

static bool
is_continuation(struct mh_span line)
{
	return line.n > 0 && (line.p[0] == ' ' || line.p[0] == '\t');
}

/* RFC 5322's obsolete syntax allows blanks before the colon. */
static bool
is_ours(struct mh_span line)
{
	const char *colon = line.n == 0 ? NULL : memchr(line.p, ':', line.n);

	if (colon == NULL)
		return false;
	const struct mh_span name = span_trim(span_head(line, (size_t)(colon - line.p)));
	return span_istarts(name, MH_LIT("X-Mailhook")) && !span_ieq(name, MH_LIT("X-Mailhook-Job")) &&
	       (name.n == 10 || name.p[10] == '-');
}

static void
put_field(struct buf *b, const char *name, struct mh_span value, const char *end)
{
	char text[MAX_VALUE_BYTES];

	if (value.p != NULL)
		buf_printf(b, "X-Mailhook-%s: %s%s", name, mh_escape(text, sizeof(text), value), end);
}

/* One part of the field that says all in one line, for a rule that can look at one field only. */
static void
put_part(struct buf *b, const char *name, struct mh_span value)
{
	char text[MAX_VALUE_BYTES];

	if (value.p != NULL)
		buf_printf(b, "; %s=%s", name, mh_escape(text, sizeof(text), value));
}

/* The last field is one that nothing sorts by: should the message begin with a blank, it continues that one. */
static bool
put_fields(const struct reading *r, const char *end, front_put *put, void *user)
{
	const struct notice *n = r->n_notices > 0 ? &r->notices[0] : NULL;
	char when[MH_TIME_TEXT];
	struct buf b;

	buf_init(&b, 16 * MAX_VALUE_BYTES);
	buf_printf(&b, "X-Mailhook: verdict=%s", mh_verdict_names[r->verdict]);
	if (n != NULL) {
		put_part(&b, "kind", n->kind);
		put_part(&b, "account", n->account);
		put_part(&b, "expires", span_of(time_text(when, n->expires)));
	}
	buf_puts(&b, end);
	put_field(&b, "Verdict", span_of(mh_verdict_names[r->verdict]), end);
	if (n != NULL) {
		put_field(&b, "Kind", n->kind, end);
		put_field(&b, "Account", n->account, end);
		put_field(&b, "Expires", span_of(time_text(when, n->expires)), end);
	}
	buf_printf(&b, "X-Mailhook-Notices: %zu%s", r->n_notices, end);

	const bool ok = buf_ok(&b) && put(user, buf_span(&b));
	buf_release(&b);
	return ok;
}

/* The header's lines from at, and the body behind them, in runs as long as can be. end_it: such as have no end get one. */
static bool
put_rest(struct mh_span raw, size_t at, struct mh_span end_it, front_put *put, void *user)
{
	size_t run = at;
	bool dropping = false;

	for (struct mh_span line; (line = whole_line(span_from(raw, at))).n > 0; at += line.n) {
		if (is_empty_line(line)) {
			end_it = MH_NONE;
			break;
		}
		const bool drop = is_continuation(line) ? dropping : is_ours(line);

		if (drop && !dropping && at > run && !put(user, span_head(span_from(raw, run), at - run)))
			return false;
		dropping = drop;
		if (drop)
			run = at + line.n;
	}
	return (run >= raw.n || put(user, span_from(raw, run))) && (end_it.n == 0 || put(user, end_it));
}

bool
front_fields(struct mh_span raw, bool more, const struct reading *r, front_put *put, void *user)
{
	const struct mh_span first = whole_line(raw);
	const size_t at = span_starts(raw, MH_LIT("From ")) ? first.n : 0;
	const bool crlf = first.n >= 2 && span_eq(span_from(first, first.n - 2), MH_LIT("\r\n"));
	const bool ended = first.n > 0 && first.p[first.n - 1] == '\n';

	if (at > 0 && !put(user, first))
		return false;
	if (at > 0 && !ended && !put(user, MH_LIT("\n"))) /* nothing but a "From " line */
		return false;
	const char *end = crlf ? "\r\n" : "\n";
	const struct mh_span end_it = !more ? MH_NONE : crlf ? MH_LIT("\r\n\r\n") : MH_LIT("\n\n");
	return put_fields(r, end, put, user) && put_rest(raw, at, end_it, put, user);
}
