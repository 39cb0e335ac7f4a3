/* fuzz_template.c: a template is a user's file: any bytes give a text or an error with a line, in linear time. */
#include <stdlib.h>

#include "actions/common/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct template_var items[] = { { "a", { "value", 5 }, false }, { "b", { NULL, 0 }, false },
		{ "c", { "\x00\xff\n", 3 }, false } };
	static const struct template_vars vars = { items, 3 };
	struct mh_err err = { 0 };
	struct buf out;

	buf_init(&out, (size_t)1 << 20);
	const struct mh_span text = { (const char *)data, n };
	const enum mh_status status = template_render("t", 1, text, &vars, template_plain, &out, &err);
	if (status == MH_BAD ? !span_starts(span_of(err.text), MH_LIT("t:")) : status != MH_OK && status != MH_LIMIT)
		abort();
	const size_t plain_bytes = out.n;
	buf_clear(&out);
	/* What is escaped otherwise is as right or wrong, and here never shorter. */
	if (template_render("t", 1, text, &vars, template_html, &out, &err) != status ||
	    (status == MH_OK && out.n < plain_bytes))
		abort();
	buf_release(&out);
	return 0;
}
