/* fuzz_smtp_talk.c: lines in any order as an SMTP session: '>' goes out, all else comes in. */
#include <stdlib.h>
#include <string.h>

#include "actions/common/smtp_talk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
check_reply(const struct smtp_reply *r)
{
	const size_t n = strnlen(r->words, sizeof(r->words));

	if (n == sizeof(r->words) || (r->code != 0 && (r->code < 200 || r->code > 599)))
		abort();
	for (size_t i = 0; i < n; i++)
		if (r->words[i] < 0x20 || r->words[i] >= 0x7F)
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct mh_span rest = { (const char *)data, n };
	struct smtp_talk t = { .fresh = true };

	while (rest.n > 0) {
		const size_t lf = span_find(rest, MH_LIT("\n"), 0);
		const struct mh_span line = span_head(rest, lf == SIZE_MAX ? rest.n : lf + 1);

		rest = span_from(rest, line.n);
		if (line.p[0] == '>')
			smtp_talk_command(&t, span_from(line, 1));
		else
			smtp_talk_reply(&t, line);
	}
	check_reply(&t.last);
	for (size_t i = 0; i < SMTP_MAX_RECIPIENTS; i++)
		check_reply(&t.recipients[i]);
	return 0;
}
