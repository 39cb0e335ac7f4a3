/* event_json.c: AWS Health, EventBridge and SNS JSON to views. */
#include "parsers/event_json.h"

#include <stdlib.h>
#include <string.h>

#include "mailhook/json.h"
#include "parsers/date.h"

#define MAX_ENVELOPES 4 /* SNS around a relay's wrapper around an event; more is no notice */

struct event_reader {
	size_t around; /* index of the view that the text stands in */
	struct view_list *list;
	struct arena *a;
	struct mh_err *err;
	bool found;
};

static enum mh_status read_text(struct event_reader *r, struct mh_span text, unsigned envelopes);

/* Bytes of the JSON object that begins at s.p[0] == '{'; 0: it does not end. */
static size_t
object_bytes(struct mh_span s)
{
	size_t depth = 0;
	bool in_string = false;

	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];

		if (in_string) {
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
		} else if (c == '"') {
			in_string = true;
		} else if (c == '{') {
			depth++;
		} else if (c == '}' && --depth == 0) {
			return i + 1;
		}
	}
	return 0;
}

/* AWS escapes the line ends of a description twice: after JSON's own decoding the two characters "\n" are still there. */
static enum mh_status
unescape(struct mh_span s, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	char *p = arena_alloc(a, s.n + 1);
	size_t n = 0;

	if (p == NULL)
		return mh_fail(err, MH_LIMIT, "no room for an event in the message's arena");
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\\' && i + 1 < s.n && (s.p[i + 1] == 'n' || s.p[i + 1] == 'r' || s.p[i + 1] == 't')) {
			p[n++] = s.p[++i] == 'n' ? '\n' : ' ';
			continue;
		}
		p[n++] = s.p[i];
	}
	*ret = (struct mh_span){ p, n };
	return MH_OK;
}

static enum mh_status
copy_string(struct event_reader *r, const cJSON *j, const char *key, struct mh_span *ret)
{
	const char *s = j == NULL ? NULL : json_string(j, key);

	return s == NULL || s[0] == '\0' ? MH_OK : arena_copy(r->a, span_of(s), ret, r->err);
}

/* An event without a description: its scalars as "key: value", so that a definition's patterns can read them. */
static void
put_scalars(struct buf *out, const cJSON *object)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, object)
	{
		if (cJSON_IsString(item))
			buf_printf(out, "%s: %s\n", item->string, item->valuestring);
		else if (cJSON_IsNumber(item))
			buf_printf(out, "%s: %.15g\n", item->string, item->valuedouble);
	}
}

static enum mh_status
describe(struct event_reader *r, const cJSON *event, const cJSON *detail, struct mh_span *ret)
{
	const cJSON *item, *best = NULL;

	cJSON_ArrayForEach(item, json_array(detail, "eventDescription"))
	{
		const char *language = json_string(item, "language");

		if (json_string(item, "latestDescription") != NULL &&
		    (best == NULL || (language != NULL && strncmp(language, "en", 2) == 0)))
			best = item;
	}
	if (best != NULL)
		return unescape(span_of(json_string(best, "latestDescription")), r->a, ret, r->err);

	struct buf text;
	buf_init(&text, MH_MAX_JSON_BYTES);
	put_scalars(&text, event);
	put_scalars(&text, detail);
	const cJSON *resources = json_array(event, "resources");
	cJSON_ArrayForEach(item, resources)
	{
		if (cJSON_IsString(item))
			buf_printf(&text, "resource: %s\n", item->valuestring);
	}
	const enum mh_status status = buf_ok(&text) ? arena_copy(r->a, buf_span(&text), ret, r->err)
						    : mh_fail(r->err, MH_LIMIT, "no room for an event's text");
	buf_release(&text);
	return status;
}

/* A string that says a number, or a number. */
static bool
days_of(const cJSON *detail, int32_t *ret)
{
	static const char *const keys[] = { "DaysToExpiry", "days-to-expiry", "daysToExpiry" };

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		int64_t value;

		if (json_integer(detail, keys[i], 0, 100000, &value)) {
			*ret = (int32_t)value;
			return true;
		}
	}
	return false;
}

static void
set_places(struct view *v, struct arena *a, const cJSON *event, const cJSON *detail, bool health)
{
	const char *account = json_string(detail, "affectedAccount");
	const char *region = json_string(detail, "eventRegion");

	if (account == NULL) /* an older Health event, or another service's: whom it was sent to is whom it is about */
		account = json_string(event, "account");
	if (region == NULL && !health)
		region = json_string(event, "region");
	if (account != NULL)
		(void)account_read(span_of(account), a, &v->account);
	if (region != NULL)
		(void)region_read(span_of(region), a, &v->region);
}

static enum mh_status
add_event(struct event_reader *r, const cJSON *event, const cJSON *detail)
{
	struct view *v = view_add(r->list, r->a);

	r->found = true;
	if (v == NULL)
		return r->list->more ? MH_OK : mh_fail(r->err, MH_LIMIT, "no room for views in the message's arena");

	const struct view *around = &r->list->items[r->around];
	*v = (struct view){ .kind = VIEW_EVENT,
		.from = around->from,
		.subject = around->subject,
		.has_date = around->has_date,
		.date = around->date,
		.part = around->part,
		.alternative = around->alternative };

	const char *source = json_string(event, "source"), *time = json_string(event, "time");
	const char *backup = json_string(detail, "backupEvent");
	const bool health =
	    json_string(detail, "eventTypeCode") != NULL || (source != NULL && strcmp(source, "aws.health") == 0);
	bool is_backup = false;
	struct date date;

	v->backup_event = (backup != NULL && strcmp(backup, "true") == 0) ||
			  (json_bool(detail, "backupEvent", &is_backup) && is_backup);
	if (time != NULL && date_read(span_of(time), DATE_NO_ORDER, &date, NULL) == MH_OK) {
		v->has_event_time = true;
		v->event_time = date.when;
	}
	v->has_days = days_of(detail, &v->days);
	set_places(v, r->a, event, detail, health);

	enum mh_status status = copy_string(r, detail, "eventTypeCode", &v->event);
	if (status == MH_OK && v->event.p == NULL)
		status = copy_string(r, event, "detail-type", &v->event);
	if (status == MH_OK)
		status = describe(r, event, detail, &v->lines);
	return status == MH_OK ? carriage_flatten(v->lines, r->a, &v->text, r->err) : status;
}

/* One document: an event, or an envelope whose text holds one. */
static enum mh_status
read_document(struct event_reader *r, const cJSON *j, unsigned envelopes)
{
	static const char *const texts[] = { "Message", "message", "text" };
	const cJSON *detail = json_object(j, "detail");

	if (detail != NULL)
		return add_event(r, j, detail);
	if (json_string(j, "eventTypeCode") != NULL) /* the detail alone, as an input path cuts it out */
		return add_event(r, j, j);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *text = json_string(j, texts[i]);
		struct mh_span copy;

		if (text == NULL)
			continue;
		if (arena_copy(r->a, span_of(text), &copy, r->err) != MH_OK)
			return MH_LIMIT;
		const bool found = r->found;
		r->found = false;
		enum mh_status status = read_text(r, copy, envelopes + 1);
		if (status == MH_OK && !r->found && json_string(j, "TopicArn") != NULL) {
			/* words in an envelope: a text of their own */
			struct view *v = view_add(r->list, r->a);

			r->found = true;
			if (v != NULL) {
				const struct view *around = &r->list->items[r->around];

				*v = *around;
				v->lines = copy;
				v->segments = NULL; /* it was unescaped: it stands nowhere like this */
				status = carriage_flatten(copy, r->a, &v->text, r->err);
			} else if (!r->list->more) {
				status = mh_fail(r->err, MH_LIMIT, "no room for views in the message's arena");
			}
		}
		r->found = r->found || found;
		return status;
	}
	return MH_OK;
}

static enum mh_status
read_text(struct event_reader *r, struct mh_span text, unsigned envelopes)
{
	if (envelopes > MAX_ENVELOPES)
		return MH_OK;
	for (;;) {
		const size_t open = span_find(text, MH_LIT("{"), 0);
		if (open == SIZE_MAX)
			return MH_OK;
		text = span_from(text, open);

		/* Only what begins like an object of ours: a text of a million braces costs nothing. */
		const struct mh_span inside = span_trim(span_from(text, 1));
		const size_t n = inside.n > 0 && inside.p[0] == '"' ? object_bytes(text) : 0;
		if (n == 0) {
			if (inside.n > 0 && inside.p[0] == '"')
				return MH_OK; /* it never ends, so nothing behind it does */
			text = span_from(text, 1);
			continue;
		}

		struct mh_err why;
		MH_AUTO(drop_json) cJSON *j = json_parse(span_head(text, n), &why);
		if (j == NULL && why.code == MH_LIMIT)
			r->list->more = true;
		const enum mh_status status = j == NULL ? MH_OK : read_document(r, j, envelopes);
		if (status != MH_OK)
			return status;
		text = span_from(text, n);
	}
}

enum mh_status
event_views(size_t around, struct view_list *list, struct arena *a, bool *ret_found, struct mh_err *err)
{
	struct event_reader r = { .around = around, .list = list, .a = a, .err = err };
	struct mh_span text = list->items[around].text;

	*ret_found = false;
	if (text.n == 0 || memchr(text.p, '{', text.n) == NULL)
		return MH_OK;

	/* Behind SNS's footer stands the topic's account, which is nobody's here. */
	text = span_head(text, span_find(text, MH_LIT("-- If you wish to stop receiving notifications"), 0));
	const enum mh_status status = read_text(&r, text, 0);
	if (status == MH_OK)
		*ret_found = r.found;
	return status;
}
