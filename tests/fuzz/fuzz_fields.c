/* fuzz_fields.c: a filter's output: our fields stand on top once, none that the message brought is left in the header,
 * and filtering what was filtered changes nothing. */
#include <stdint.h>
#include <stdlib.h>

#include "mailhook/front.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool
collect(void *user, struct mh_span bytes)
{
	buf_put(user, bytes);
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct reading r = { .verdict = MH_FAILED };
	struct buf once, twice;

	buf_init(&once, n + 4096);
	buf_init(&twice, n + 8192);
	if (!front_fields((struct mh_span){ (const char *)data, n }, false, &r, collect, &once) ||
	    !front_fields(buf_span(&once), false, &r, collect, &twice) || !buf_ok(&once) || !buf_ok(&twice))
		abort();

	/* Not so where the message begins with a continuation, which now continues our last field and goes with it; or
	 * is a "From " line without its end, which is given one. */
	const struct mh_span m = { (const char *)data, n };
	const size_t lf = span_find(m, MH_LIT("\n"), 0);
	const bool from = span_starts(m, MH_LIT("From "));
	const struct mh_span body = from && lf != SIZE_MAX ? span_from(m, lf + 1) : m;
	const bool continues = body.n > 0 && (body.p[0] == ' ' || body.p[0] == '\t');
	if (!continues && !(from && lf == SIZE_MAX) && !span_eq(buf_span(&once), buf_span(&twice)))
		abort();
	buf_release(&once);
	buf_release(&twice);
	return 0;
}
