/* render.c: the contract's JSON of one reading. */
#include "parsers/render.h"

#include "mailhook/json.h"

bool
render_text(cJSON *j, const char *key, struct mh_span s)
{
	if (s.p == NULL || utf8_valid(s))
		return json_add_span(j, key, s);

	struct buf clean;
	buf_init(&clean, s.n * 3);
	for (size_t i = 0; i < s.n;) {
		size_t n = 1;

		while (n < 4 && n < s.n - i && !utf8_valid((struct mh_span){ s.p + i, n }))
			n++;
		if (utf8_valid((struct mh_span){ s.p + i, n })) {
			buf_put(&clean, (struct mh_span){ s.p + i, n });
			i += n;
		} else {
			buf_puts(&clean, "\xEF\xBF\xBD");
			i++;
		}
	}

	const bool added = buf_ok(&clean) && json_add_span(j, key, buf_span(&clean));
	buf_release(&clean);
	return added;
}

/* One member of an object: "key":"text", or null. head is all that stands in front of the text. */
static void
put_member(struct buf *out, const char *head, struct mh_span text)
{
	buf_puts(out, head);
	json_put_text(out, text);
}

static void
put_notice(struct buf *out, const struct notice *n)
{
	char time[MH_TIME_TEXT];

	put_member(out, "{\"kind\":", n->kind);
	put_member(out, ",\"account\":", n->account);
	put_member(out, ",\"region\":", n->region);
	put_member(out, ",\"resource\":", n->resource);
	put_member(out, ",\"expires\":", span_of(time_text(time, n->expires)));
	put_member(out, ",\"precision\":", span_of(mh_precision_names[n->precision]));
	if (n->days_stated < 0)
		put_member(out, ",\"days_stated\":", MH_NONE);
	else
		buf_printf(out, ",\"days_stated\":%d", (int)n->days_stated);
	put_member(out, ",\"event\":", n->event);
	buf_putc(out, '}');
}

/* Written as it goes: a tree of cJSON, made and freed for each message, was a quarter of what the printing process does. */
bool
reading_render(const struct reading *r, const char *source, struct buf *out)
{
	put_member(out, "{\"source\":", span_of(source));
	put_member(out, ",\"message_id\":", r->message_id);
	put_member(out, ",\"verdict\":", span_of(mh_verdict_names[r->verdict]));
	put_member(out, ",\"reason\":", r->reason);
	put_member(out, ",\"parser\":", r->parser);
	buf_puts(out, ",\"notices\":[");
	for (size_t i = 0; i < r->n_notices; i++) {
		if (i > 0)
			buf_putc(out, ',');
		put_notice(out, &r->notices[i]);
	}
	buf_puts(out, "]}");
	return buf_ok(out);
}
