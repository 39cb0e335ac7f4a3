/* mail-decoded [render]: what the reader decodes, for the tests in Python.
 *
 * Messages come on stdin, each behind a line with its length. Each gives one line of JSON: the decoded fields of the
 * outer message as [name, value], and of each text part "html" and its text. With render each is HTML in UTF-8, and its
 * text comes back: so that another's decoded HTML can be compared. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mailhook/json.h"
#include "mailhook/mail/charset.h"
#include "mailhook/mail/html.h"
#include "mailhook/mail/mail.h"
#include "tests/mail_frames.h"

#define ARENA_BYTES ((size_t)64 << 20)

static bool
add_fields(cJSON *j, const struct mail_message *m)
{
	cJSON *list = cJSON_AddArrayToObject(j, "fields");

	for (size_t i = 0; i < m->n_fields && list != NULL; i++) {
		cJSON *field = cJSON_CreateObject();

		if (!cJSON_AddItemToArray(list, field) || !json_add_span(field, "value", m->fields[i].value) ||
		    !json_add_span(field, "name", m->fields[i].name))
			return false;
	}
	return list != NULL;
}

static bool
add_parts(cJSON *j, const struct mail *m)
{
	cJSON *list = cJSON_AddArrayToObject(j, "parts");

	for (size_t i = 0; i < m->n_parts && list != NULL; i++) {
		cJSON *part = cJSON_CreateObject();

		if (!cJSON_AddItemToArray(list, part) || !json_add_span(part, "text", m->parts[i].text) ||
		    cJSON_AddBoolToObject(part, "html", m->parts[i].type == MAIL_HTML) == NULL)
			return false;
	}
	return list != NULL;
}

static bool
answer(struct mh_span raw, bool render, struct arena *a, struct buf *out)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	struct charset_set *charsets = charset_set_new();
	struct mail m;
	struct mh_span text, links;
	bool ok = j != NULL && charsets != NULL;

	if (ok && render) {
		ok = html_to_text(raw, a, &text, &links, NULL) == MH_OK && json_add_span(j, "text", text);
	} else if (ok) {
		charset_set_open(charsets, raw);
		ok =
		    mail_read(raw, charsets, a, &m, NULL) == MH_OK && add_fields(j, &m.messages[0]) && add_parts(j, &m);
	}
	ok = ok && json_print(j, out);
	charset_set_free(charsets);
	return ok;
}

int
main(int argc, char **argv)
{
	const bool render = argc > 1 && strcmp(argv[1], "render") == 0;
	struct mh_span raw;
	struct arena a;
	struct buf out;
	int code = 0;

	arena_init(&a, ARENA_BYTES);
	buf_init(&out, ARENA_BYTES);
	while (code == 0 && frame_read(stdin, &raw)) {
		buf_clear(&out);
		arena_reset(&a);
		code = answer(raw, render, &a, &out) ? 0 : 1;
		free((char *)(uintptr_t)raw.p);
		(void)puts(code == 0 ? out.p : "");
	}
	arena_release(&a);
	buf_release(&out);
	return code;
}
