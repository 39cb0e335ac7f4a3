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

static bool
add_notice(cJSON *list, const struct notice *n)
{
	cJSON *j = cJSON_CreateObject();

	if (j == NULL || !cJSON_AddItemToArray(list, j)) {
		cJSON_Delete(j);
		return false;
	}
	return render_text(j, "kind", n->kind) && render_text(j, "account", n->account) &&
	       render_text(j, "region", n->region) && render_text(j, "resource", n->resource) &&
	       json_add_time(j, "expires", n->expires) &&
	       json_add_string(j, "precision", mh_precision_names[n->precision]) &&
	       (n->days_stated < 0 ? json_add_string(j, "days_stated", NULL)
				   : json_add_integer(j, "days_stated", n->days_stated)) &&
	       render_text(j, "event", n->event);
}

bool
reading_render(const struct reading *r, const char *source, struct buf *out)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();

	if (j == NULL || !render_text(j, "source", span_of(source)) || !render_text(j, "message_id", r->message_id) ||
	    !json_add_string(j, "verdict", mh_verdict_names[r->verdict]) || !render_text(j, "reason", r->reason) ||
	    !render_text(j, "parser", r->parser))
		return false;

	cJSON *notices = cJSON_AddArrayToObject(j, "notices");
	if (notices == NULL)
		return false;
	for (size_t i = 0; i < r->n_notices; i++)
		if (!add_notice(notices, &r->notices[i]))
			return false;
	return json_print(j, out);
}
