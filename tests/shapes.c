/* shapes.c: see shapes.h. */
#include "tests/shapes.h"

#include "mailhook/mail/charset.h"

void
read_mail(struct definitions *d, struct mh_span raw, struct arena *a, struct reading *ret)
{
	char *exact = exact_copy(raw);
	struct charset_set *charsets = charset_set_new();

	assert_non_null(charsets);
	charset_set_open(charsets, raw);
	/* The arena keeps what it made, the mail's own bytes are looked at while both live. */
	read_message(&definition_parser, d, charsets, (struct mh_span){ exact, raw.n }, a, ret);
	for (size_t i = 0; i < ret->n_notices; i++) {
		struct notice *n = &ret->notices[i];

		if (n->account.p != NULL)
			assert_int_equal(arena_copy(a, n->account, &n->account, NULL), MH_OK);
		if (n->region.p != NULL)
			assert_int_equal(arena_copy(a, n->region, &n->region, NULL), MH_OK);
		if (n->resource.p != NULL)
			assert_int_equal(arena_copy(a, n->resource, &n->resource, NULL), MH_OK);
		if (n->event.p != NULL)
			assert_int_equal(arena_copy(a, n->event, &n->event, NULL), MH_OK);
	}
	if (ret->reason.p != NULL)
		assert_int_equal(arena_copy(a, ret->reason, &ret->reason, NULL), MH_OK);
	charset_set_free(charsets);
	free(exact);
}

void
expect_notice(struct definitions *d, const char *name, struct mh_span raw)
{
	struct reading r;
	struct arena a;

	arena_init(&a, MH_MAX_ARENA_BYTES);
	read_mail(d, raw, &a, &r);
	if (r.verdict != MH_NOTICE || r.n_notices != 1)
		fail_msg("%s: verdict %s, %zu notices, %.*s, of\n%.*s", name, mh_verdict_names[r.verdict], r.n_notices,
		    (int)r.reason.n, r.reason.n == 0 ? "" : r.reason.p, (int)(raw.n < 3000 ? raw.n : 3000), raw.p);
	expect_span(name, r.reason, MH_NONE);
	expect_span(name, r.notices[0].account, MH_LIT("123456789012"));
	expect_span(name, r.notices[0].region, MH_LIT("eu-west-1"));
	if (r.notices[0].expires != time_of_civil(2026, 2, 3, 4, 5, 6))
		fail_msg("%s: another expiry", name);
	arena_release(&a);
}

void
expect_reason(struct definitions *d, const char *name, struct mh_span raw, const char *reason)
{
	struct reading r;
	struct arena a;

	arena_init(&a, MH_MAX_ARENA_BYTES);
	read_mail(d, raw, &a, &r);
	if (r.verdict != MH_UNRECOGNISED || !span_starts(r.reason, span_of(reason)))
		fail_msg("%s: verdict %s, %.*s, want unrecognised, %s, of\n%.*s", name, mh_verdict_names[r.verdict],
		    (int)r.reason.n, r.reason.n == 0 ? "" : r.reason.p, reason, (int)(raw.n < 3000 ? raw.n : 3000),
		    raw.p);
	arena_release(&a);
}
