/* fuzz_dns_answer.c: a resolver's answer in any shape. */
#include <stdlib.h>

#include "mailhook/verify/dns.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct mh_span answer = { (const char *)data, n };
	struct mh_span text = MH_NONE;
	struct mh_err err = { 0 };
	struct arena a;

	arena_init(&a, (size_t)1 << 20);
	if (dns_answer_read(answer, "s1._domainkey.example.com", &a, &text, &err) == MH_OK &&
	    (text.p == NULL || text.n > n))
		abort();
	(void)dns_answers(answer, span_head(answer, 40));
	arena_release(&a);
	return 0;
}
