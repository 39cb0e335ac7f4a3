/* exact.h: what the reader's tests share: heap copies of exactly their size, and comparisons that name the row. */
#ifndef MAILHOOK_TESTS_EXACT_H
#define MAILHOOK_TESTS_EXACT_H

/* cmocka.h wants these before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailhook/mailhook.h"

/* A copy that ends where its block ends, so that the sanitizer sees one byte too far. Freed by the caller. */
static inline char *
exact_copy(struct mh_span s)
{
	char *p = malloc(s.n == 0 ? 1 : s.n);

	assert_non_null(p);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

static inline void
expect_span(const char *name, struct mh_span got, struct mh_span want)
{
	if (!span_eq(got, want))
		fail_msg("%s: got \"%.*s\" (%zu bytes), want \"%.*s\" (%zu bytes)", name,
		    (int)(got.n < 2000 ? got.n : 2000), got.n == 0 ? "" : got.p, got.n,
		    (int)(want.n < 2000 ? want.n : 2000), want.n == 0 ? "" : want.p, want.n);
}

static inline void
expect_number(const char *name, const char *what, uint64_t got, uint64_t want)
{
	if (got != want)
		fail_msg("%s: %s is %llu, want %llu", name, what, (unsigned long long)got, (unsigned long long)want);
}

#endif
