/* adf.c: text to blocks. A document that breaks the schema is refused by Jira whole, so the shapes here are few: no empty
 * text node, no text but in paragraphs, no list without items. Source: the ADF schema, v1 full. */
#include "actions/ticket/adf.h"

#include <string.h>

/* -- nodes --------------------------------------------------------------------------------------------------------- */

static cJSON *
add_node(cJSON *content, const char *type)
{
	cJSON *node = cJSON_CreateObject();

	if (content == NULL || node == NULL || !json_add_string(node, "type", type) ||
	    !cJSON_AddItemToArray(content, node)) {
		cJSON_Delete(node);
		return NULL;
	}
	return node;
}

/* A node that holds others. Returns their list. */
static cJSON *
add_holder(cJSON *content, const char *type)
{
	cJSON *node = add_node(content, type);

	return node == NULL ? NULL : cJSON_AddArrayToObject(node, "content");
}

/* text: not empty. */
static cJSON *
add_text(cJSON *paragraph, struct mh_span text)
{
	cJSON *node = add_node(paragraph, "text");

	return node != NULL && json_add_span(node, "text", text) ? node : NULL;
}

/* Pages that case_text.c sends people to. A text cannot tell who wrote an address in it, so it is these or none. */
static const struct mh_span consoles[] = {
	{ "https://console.aws.amazon.com/", 31 },
	{ "https://console.amazonaws.cn/", 29 },
	{ "https://console.amazonaws-us-gov.com/", 37 },
	{ "https://github.com/settings/", 28 },
};

/* Where an address of ours begins, and its length; SIZE_MAX: there is none. */
static size_t
find_console(struct mh_span line, size_t *ret_n)
{
	for (size_t i = 0; i < sizeof(consoles) / sizeof(consoles[0]); i++) {
		const size_t at = span_find(line, consoles[i], 0);
		const struct mh_span rest = span_from(line, at);

		if (at == SIZE_MAX || (at > 0 && line.p[at - 1] != ' '))
			continue;
		*ret_n = span_find(rest, MH_LIT(" "), 0) < rest.n ? span_find(rest, MH_LIT(" "), 0) : rest.n;
		return at;
	}
	return SIZE_MAX;
}

static bool
add_link(cJSON *paragraph, struct mh_span url)
{
	cJSON *text = add_text(paragraph, url);
	cJSON *marks = text == NULL ? NULL : cJSON_AddArrayToObject(text, "marks");
	cJSON *link = marks == NULL ? NULL : add_node(marks, "link");
	cJSON *attrs = link == NULL ? NULL : cJSON_AddObjectToObject(link, "attrs");

	return attrs != NULL && json_add_span(attrs, "href", url);
}

/* A paragraph's last line, after a break where it is not its first. */
static bool
add_line(cJSON *paragraph, struct mh_span line)
{
	size_t n = 0;
	const size_t at = find_console(line, &n);

	if (paragraph == NULL || (cJSON_GetArraySize(paragraph) > 0 && add_node(paragraph, "hardBreak") == NULL))
		return false;
	if (at == SIZE_MAX)
		return line.n == 0 || add_text(paragraph, line) != NULL;
	return (at == 0 || add_text(paragraph, span_head(line, at)) != NULL) &&
	       add_link(paragraph, span_head(span_from(line, at), n)) &&
	       (at + n == line.n || add_text(paragraph, span_from(line, at + n)) != NULL);
}

/* -- blocks -------------------------------------------------------------------------------------------------------- */

enum list_kind { LIST_NONE, LIST_BULLETS, LIST_NUMBERS };

static enum list_kind
list_mark(struct mh_span line, size_t *ret_n)
{
	size_t n = 0;

	while (n < line.n && line.p[n] >= '0' && line.p[n] <= '9')
		n++;
	*ret_n = 2;
	if (span_starts(line, MH_LIT("- ")))
		return LIST_BULLETS;
	*ret_n = n + 2;
	return n > 0 && n < 4 && span_starts(span_from(line, n), MH_LIT(". ")) ? LIST_NUMBERS : LIST_NONE;
}

struct writing {
	cJSON *content;   /* of the document */
	cJSON *list;      /* the list at hand, or NULL */
	cJSON *paragraph; /* the paragraph that a next line belongs to, or NULL */
	enum list_kind kind;
};

static bool
begin_item(struct writing *w, enum list_kind kind, struct mh_span line)
{
	if (w->list == NULL || w->kind != kind)
		w->list = add_holder(w->content, kind == LIST_BULLETS ? "bulletList" : "orderedList");
	w->kind = kind;
	cJSON *item = w->list == NULL ? NULL : add_holder(w->list, "listItem");
	w->paragraph = item == NULL ? NULL : add_holder(item, "paragraph");
	return add_line(w->paragraph, line);
}

/* An item's text was broken for plain text: here the parts are one line again. */
static bool
go_on(const struct writing *w, struct mh_span line)
{
	cJSON *last = cJSON_GetArrayItem(w->paragraph, cJSON_GetArraySize(w->paragraph) - 1);
	const char *before = json_string(last, "text");
	struct buf both;

	if (before == NULL)
		return add_line(w->paragraph, line);
	buf_init(&both, strlen(before) + line.n + 2);
	buf_puts(&both, before);
	buf_putc(&both, ' ');
	buf_put(&both, line);
	const bool fine = buf_ok(&both) && cJSON_SetValuestring(cJSON_GetObjectItemCaseSensitive(last, "text"), both.p);
	buf_release(&both);
	return fine;
}

static bool
take_line(struct writing *w, struct mh_span line)
{
	size_t mark;
	const enum list_kind kind = list_mark(line, &mark);

	if (span_trim(line).n == 0) {
		w->paragraph = NULL;
		w->list = NULL;
		return true;
	}
	if (kind != LIST_NONE)
		return begin_item(w, kind, span_from(line, mark));
	if (w->list != NULL && line.p[0] == ' ')
		return go_on(w, span_trim(line));
	if (w->paragraph == NULL || w->list != NULL)
		w->paragraph = add_holder(w->content, "paragraph");
	w->list = NULL;
	return add_line(w->paragraph, line);
}

static cJSON *
write_document(struct mh_span text)
{
	MH_AUTO(drop_json) cJSON *document = cJSON_CreateObject();
	struct writing w = { NULL, NULL, NULL, LIST_NONE };
	struct mh_span line;

	if (document == NULL || cJSON_AddNumberToObject(document, "version", 1) == NULL ||
	    !json_add_string(document, "type", "doc"))
		return NULL;
	w.content = cJSON_AddArrayToObject(document, "content");
	if (w.content == NULL)
		return NULL;
	while (span_line(&text, &line))
		if (!take_line(&w, line))
			return NULL;
	cJSON *ret = document;
	document = NULL;
	return ret;
}

cJSON *
adf_of_text(struct mh_span text)
{
	struct buf clean; /* so that no line has nothing but what is left out */

	buf_init(&clean, text.n + 1);
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\n' || ((unsigned char)text.p[i] >= 0x20 && text.p[i] != 0x7F))
			buf_putc(&clean, text.p[i]);
	cJSON *document = buf_ok(&clean) ? write_document(clean.n == 0 ? MH_LIT("") : buf_span(&clean)) : NULL;
	buf_release(&clean);
	return document;
}

/* Depth is bounded by json_parse. */
bool
adf_text(const cJSON *document, struct buf *out)
{
	const char *text = json_string(document, "text");
	const cJSON *item;

	if (text != NULL)
		buf_puts(out, text);
	if (json_string(document, "type") != NULL && strcmp(json_string(document, "type"), "hardBreak") == 0)
		buf_putc(out, '\n');
	cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(document, "content"))
	{
		(void)adf_text(item, out);
		if (json_array(item, "content") != NULL)
			buf_putc(out, '\n');
	}
	return buf_ok(out);
}
