/* fuzz_answer.c: what the sandboxed child may say. What is taken must be what answer_encode writes, byte for byte. */
#include <stdint.h>
#include <stdlib.h>

#include "mailhook/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct mh_span bytes = { (const char *)data, n };
	struct mh_err err = { 0 };
	struct reading r;
	struct arena a;

	arena_init(&a, MH_MAX_ARENA_BYTES);
	if (answer_decode(bytes, 1000, &a, &r, &err) == MH_OK) {
		struct buf b;

		buf_init(&b, MH_MAX_ANSWER_BYTES);
		answer_encode(&r, &b);
		if (!buf_ok(&b) || !span_eq(buf_span(&b), bytes))
			abort();
		buf_release(&b);
	}
	arena_release(&a);
	return 0;
}
