/* fuzz_adf.c: any text as a document of Jira Cloud: strict JSON, known nodes, no empty text, links to consoles alone. */
#include <stdlib.h>
#include <string.h>

#include "actions/ticket/adf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_node(const cJSON *node)
{
	static const char *const types[] = { "doc", "paragraph", "text", "hardBreak", "bulletList", "orderedList",
		"listItem" };
	const char *type = json_string(node, "type"), *text = json_string(node, "text");
	const cJSON *item, *mark = cJSON_GetArrayItem(json_array(node, "marks"), 0);
	const char *link = json_string(json_object(mark, "attrs"), "href");
	bool known = false;

	for (size_t i = 0; type != NULL && i < sizeof(types) / sizeof(types[0]); i++)
		known = known || strcmp(type, types[i]) == 0;
	if (!known || (text != NULL) != (strcmp(type, "text") == 0) || (text != NULL && text[0] == '\0'))
		abort();
	if (mark != NULL && (link == NULL || (strncmp(link, "https://console.", 16) != 0 &&
						 strncmp(link, "https://github.com/settings/", 28) != 0)))
		abort();
	cJSON_ArrayForEach(item, json_array(node, "content")) check_node(item);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct mh_span text = { (const char *)data, n };
	struct buf printed;

	if (!utf8_valid(text))
		return 0;
	buf_init(&printed, MH_MAX_JSON_BYTES);
	cJSON *document = adf_of_text(text);
	if (document == NULL)
		abort();
	if (json_print(document, &printed)) {
		cJSON *again = json_parse(buf_span(&printed), NULL);

		if (again == NULL)
			abort();
		check_node(again);
		cJSON_Delete(again);
	}
	cJSON_Delete(document);
	buf_release(&printed);
	return 0;
}
