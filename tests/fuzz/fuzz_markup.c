/* fuzz_markup.c: what a value of any bytes becomes in Markdown and in wiki text: UTF-8 on as many lines as it may have,
 * with no mention, link made of bare text, or command outside a code span, and in linear size. */
#include <stdlib.h>

#include "actions/common/markup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
forbid(struct mh_span text, struct mh_span bad)
{
	if (span_ifind(text, bad, 0) != SIZE_MAX)
		abort();
}

static void
look_at(struct mh_span text, const struct template_var *v)
{
	struct mh_span rest = text, line;
	size_t lines = 0;

	while (span_line(&rest, &line))
		lines++;
	if (v->lines == LINES_ONE && lines > 1)
		abort();
	if (!utf8_valid(text) || text.n > 16 * v->value.n + 16)
		abort();
	if (v->lines == LINES_ONE && span_starts(text, MH_LIT("`")))
		return; /* a code span leaves all of it alone */
	forbid(text, MH_LIT("https://"));
	forbid(text, MH_LIT("\nhttp"));
	forbid(text, MH_LIT("\n/"));
	for (char c = 'a'; c <= 'z'; c++) {
		const char mention[2] = { '@', c };

		forbid(text, (struct mh_span){ mention, 2 });
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static template_escape *const escapes[] = { template_markdown, template_wiki };
	static const enum template_lines kinds[] = { LINES_ONE, LINES_LIST, LINES_WRAP };

	if (n > 4096 || (n > 0 && data[0] == '`'))
		return 0;
	for (size_t e = 0; e < 2; e++)
		for (size_t k = 0; k < 3; k++) {
			const struct template_var v = { "v", { (const char *)data, n }, kinds[k] };
			struct buf out;

			/* blocks are of our own making: valid text without control characters */
			if (kinds[k] != LINES_ONE && !utf8_valid(v.value))
				continue;
			buf_init(&out, (size_t)1 << 20);
			escapes[e](&out, &v);
			if (!buf_ok(&out))
				abort();
			if (kinds[k] != LINES_LIST) /* its own marks begin lines */
				look_at(buf_span(&out), &v);
			buf_release(&out);
		}
	return 0;
}
