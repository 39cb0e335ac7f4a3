/* fuzz_event_json.c: any bytes as the text of a view that may hold events. */
#include <stdlib.h>

#include "parsers/event_json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct view_list views = { 0 };
	struct arena a;
	bool found = false;

	arena_init(&a, MH_MAX_ARENA_BYTES);
	struct view *v = view_add(&views, &a);
	if (v == NULL || carriage_flatten((struct mh_span){ (const char *)data, n }, &a, &v->text, NULL) != MH_OK)
		abort();
	if (event_views(0, &views, &a, &found, NULL) == MH_OK && !views.more && found != (views.n > 1))
		abort();
	for (size_t i = 1; i < views.n; i++)
		if (views.items[i].account.p != NULL && views.items[i].account.n != 12)
			abort();
	arena_release(&a);
	return 0;
}
