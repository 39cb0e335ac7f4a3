/* mail-gmime: as mail-decoded, by GMime: a second opinion. HTML comes as its source in UTF-8. */
#include <stdint.h>
#include <string.h>

#include <gmime/gmime.h>

#include "mailhook/json.h"
#include "tests/mail_frames.h"

#define MAX_DEPTH 40
#define OUT_BYTES ((size_t)64 << 20)

static bool
is_attachment(GMimeObject *part)
{
	const GMimeContentDisposition *d = g_mime_object_get_content_disposition(part);

	return d != NULL &&
	       g_ascii_strcasecmp(g_mime_content_disposition_get_disposition((void *)(uintptr_t)d), "inline") != 0;
}

/* Strings of GMime are UTF-8 or not at all. */
static bool
add_string(cJSON *j, const char *key, const char *s)
{
	char *valid = g_utf8_make_valid(s == NULL ? "" : s, -1);
	const bool ok = json_add_string(j, key, valid);

	g_free(valid);
	return ok;
}

static void
put_part(GMimeObject *part, cJSON *list, bool attached, int depth)
{
	if (depth > MAX_DEPTH || part == NULL)
		return;
	attached = attached || is_attachment(part);
	if (GMIME_IS_MULTIPART(part)) {
		GMimeMultipart *m = GMIME_MULTIPART(part);

		for (int i = 0; i < g_mime_multipart_get_count(m); i++)
			put_part(g_mime_multipart_get_part(m, i), list, attached, depth + 1);
	} else if (GMIME_IS_MESSAGE_PART(part)) { /* an attached message is read */
		GMimeMessage *inner = g_mime_message_part_get_message(GMIME_MESSAGE_PART(part));

		if (inner != NULL)
			put_part(g_mime_message_get_mime_part(inner), list, false, depth + 1);
	} else if (GMIME_IS_TEXT_PART(part) && !attached) {
		GMimeContentType *type = g_mime_object_get_content_type(part);
		const bool html = g_mime_content_type_is_type(type, "text", "html");

		if (!html && !g_mime_content_type_is_type(type, "text", "plain"))
			return;
		char *text = g_mime_text_part_get_text(GMIME_TEXT_PART(part));
		cJSON *j = cJSON_CreateObject();
		(void)cJSON_AddItemToArray(list, j);
		(void)add_string(j, "text", text);
		(void)cJSON_AddBoolToObject(j, "html", html);
		g_free(text);
	}
}

static bool
answer(struct mh_span raw, struct buf *out)
{
	GMimeStream *stream = g_mime_stream_mem_new_with_buffer(raw.p, raw.n);
	GMimeParser *parser = g_mime_parser_new_with_stream(stream);
	GMimeMessage *message = g_mime_parser_construct_message(parser, NULL);
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	cJSON *fields = cJSON_AddArrayToObject(j, "fields"), *parts = cJSON_AddArrayToObject(j, "parts");

	if (message != NULL) {
		GMimeHeaderList *headers = g_mime_object_get_header_list(GMIME_OBJECT(message));

		for (int i = 0; i < g_mime_header_list_get_count(headers); i++) {
			GMimeHeader *h = g_mime_header_list_get_header_at(headers, i);
			const char *value = g_mime_header_get_raw_value(h);
			char *unfolded = g_mime_utils_header_unfold(value == NULL ? "" : value);
			char *text = g_mime_utils_header_decode_text(NULL, unfolded);
			cJSON *field = cJSON_CreateObject();

			(void)cJSON_AddItemToArray(fields, field);
			(void)add_string(field, "name", g_mime_header_get_name(h));
			(void)add_string(field, "value", text);
			g_free(text);
			g_free(unfolded);
		}
		put_part(g_mime_message_get_mime_part(message), parts, false, 0);
		g_object_unref(message);
	}
	g_object_unref(parser);
	g_object_unref(stream);
	return json_print(j, out);
}

int
main(void)
{
	struct mh_span raw;
	struct buf out;
	int code = 0;

	g_mime_init();
	buf_init(&out, OUT_BYTES);
	while (code == 0 && frame_read(stdin, &raw)) {
		buf_clear(&out);
		code = answer(raw, &out) ? 0 : 1;
		free((char *)(uintptr_t)raw.p);
		(void)puts(code == 0 ? out.p : "");
	}
	buf_release(&out);
	g_mime_shutdown();
	return code;
}
