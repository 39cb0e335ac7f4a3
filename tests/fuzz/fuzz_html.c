/* fuzz_html.c: HTML to text: valid UTF-8 in gives valid UTF-8 out, and never more than came in. */
#include <stdlib.h>

#include "mailhook/mail/html.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct mh_span html = { (const char *)data, n };
	struct arena a;
	struct mh_span text, links;

	arena_init(&a, MH_MAX_ARENA_BYTES);
	if (html_to_text(html, &a, &text, &links, NULL) != MH_OK)
		abort();
	if (text.n > n || links.n > n)
		abort();
	if (utf8_valid(html) && (!utf8_valid(text) || !utf8_valid(links)))
		abort();
	arena_release(&a);
	return 0;
}
