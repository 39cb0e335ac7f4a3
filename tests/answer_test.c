/* answer_test.c: what the child says comes back as it was meant, and what it should not say is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailhook/answer.h"

#define S(s)                                                                                                           \
	{                                                                                                              \
		(s), sizeof(s) - 1                                                                                     \
	}

static struct notice notices[] = {
	{ .kind = S("aws.identity-center.scim-token"),
	    .account = S("012345678901"),
	    .region = S("eu-west-1"),
	    .resource = S("token \xC3\xA9"),
	    .event = S("AWS_IAMIDENTITYCENTER_SCIM"),
	    .expires = 1770091506,
	    .precision = MH_SECOND,
	    .days_stated = 89 },
	{ .kind = S("github.token"), .expires = 0, .precision = MH_DERIVED, .days_stated = -1 },
};

static struct reading
whole_reading(void)
{
	return (struct reading){ .verdict = MH_NOTICE,
		.notice_like = true,
		.reason = S("partial: one of two"),
		.parser = S("aws-scim-token"),
		.message_id = S("<a@example.com>"),
		.from = S("\"A\" <no-reply@example.com>"),
		.date = S("Tue, 24 Nov 2026 08:00:00 +0000"),
		.subject = S("caf\xE9"), /* 8-bit, as it was in the header */
		.content_type = S("text/plain;\tcharset=utf-8"),
		.from_address = S("no-reply@example.com"),
		.reply_to = S("reply@example.com"),
		.references = S("<1@example.com> <2@example.com>"),
		.automatic = true,
		.own = true,
		.body_at = 7,
		.notices = notices,
		.n_notices = 2 };
}

/* An exact-size heap copy, so that a byte read too far is seen. */
static enum mh_status
decode(struct mh_span s, size_t raw_bytes, struct arena *a, struct reading *ret)
{
	struct mh_err err = { 0 };
	char *copy = malloc(s.n == 0 ? 1 : s.n);

	assert_non_null(copy);
	memcpy(copy, s.p, s.n);
	arena_init(a, MH_MAX_ARENA_BYTES);
	const enum mh_status st = answer_decode((struct mh_span){ copy, s.n }, raw_bytes, a, ret, &err);
	free(copy);
	if (st != MH_OK)
		assert_true(err.text[0] != '\0');
	return st;
}

static void
encode(const struct reading *r, struct buf *out)
{
	buf_init(out, MH_MAX_ANSWER_BYTES);
	answer_encode(r, out);
	assert_true(buf_ok(out));
}

static void
assert_span(const char *name, struct mh_span got, struct mh_span want)
{
	if ((got.p == NULL) != (want.p == NULL) || !span_eq(got, want))
		fail_msg("%s: got \"%.*s\"", name, (int)got.n, got.p == NULL ? "" : got.p);
}

static void
test_there_and_back(void **state)
{
	const struct reading r = whole_reading();
	struct arena a;
	struct reading got;
	struct buf b;

	(void)state;
	encode(&r, &b);
	assert_int_equal(decode(buf_span(&b), 7, &a, &got), MH_OK);
	assert_int_equal(got.verdict, MH_NOTICE);
	assert_true(got.notice_like && got.automatic && got.own && !got.list);
	assert_int_equal(got.body_at, 7);
	assert_span("reason", got.reason, r.reason);
	assert_span("parser", got.parser, r.parser);
	assert_span("message_id", got.message_id, r.message_id);
	assert_span("from", got.from, r.from);
	assert_span("date", got.date, r.date);
	assert_span("subject", got.subject, r.subject);
	assert_span("content_type", got.content_type, r.content_type);
	assert_span("from_address", got.from_address, r.from_address);
	assert_span("reply_to", got.reply_to, r.reply_to);
	assert_span("references", got.references, r.references);
	assert_int_equal(got.n_notices, 2);
	for (size_t i = 0; i < 2; i++) {
		assert_span("kind", got.notices[i].kind, notices[i].kind);
		assert_span("account", got.notices[i].account, notices[i].account);
		assert_span("region", got.notices[i].region, notices[i].region);
		assert_span("resource", got.notices[i].resource, notices[i].resource);
		assert_span("event", got.notices[i].event, notices[i].event);
		assert_int_equal(got.notices[i].expires, notices[i].expires);
		assert_int_equal(got.notices[i].precision, notices[i].precision);
		assert_int_equal(got.notices[i].days_stated, notices[i].days_stated);
	}
	arena_release(&a);
	buf_release(&b);
}

static void
test_cut_short_and_too_long(void **state)
{
	const struct reading r = whole_reading();
	struct arena a;
	struct reading got;
	struct buf b;

	(void)state;
	encode(&r, &b);
	for (size_t n = 0; n < b.n; n++) {
		if (decode(span_head(buf_span(&b), n), 7, &a, &got) != MH_BAD)
			fail_msg("the first %zu bytes were taken", n);
		arena_release(&a);
	}
	buf_putc(&b, '\0');
	assert_int_equal(decode(buf_span(&b), 7, &a, &got), MH_BAD);
	arena_release(&a);
	buf_release(&b);
}

/* Each byte of a good answer made each of a few others: it is refused, or what it says is of the right form: encoding
 * it again gives the very bytes. */
static void
test_every_byte_changed(void **state)
{
	static const unsigned char changes[] = { 0x01, 0x80, 0xFF, 0x20, 0x0A, 0x55 };
	const struct reading r = whole_reading();
	struct arena a;
	struct reading got;
	struct buf b, again;
	size_t refused = 0;

	(void)state;
	encode(&r, &b);
	for (size_t i = 0; i < b.n; i++) {
		for (size_t c = 0; c < sizeof(changes); c++) {
			b.p[i] = (char)((unsigned char)b.p[i] ^ changes[c]);
			if (decode(buf_span(&b), 7, &a, &got) == MH_OK) {
				encode(&got, &again);
				if (!span_eq(buf_span(&again), buf_span(&b)))
					fail_msg(
					    "byte %zu changed by %02x: taken for what is never written", i, changes[c]);
				buf_release(&again);
			} else {
				refused++;
			}
			arena_release(&a);
			b.p[i] = (char)((unsigned char)b.p[i] ^ changes[c]);
		}
	}
	assert_true(refused > b.n);
	buf_release(&b);
}

struct refusal {
	const char *name;
	void (*spoil)(struct reading *r, struct notice *n);
};

static void
short_account(struct reading *r, struct notice *n)
{
	(void)r;
	n->account = MH_LIT("1234567890");
}
static void
no_account(struct reading *r, struct notice *n)
{
	(void)r;
	n->account = MH_NONE;
}
static void
no_kind(struct reading *r, struct notice *n)
{
	(void)r;
	n->kind = MH_NONE;
}
static void
odd_kind(struct reading *r, struct notice *n)
{
	(void)r;
	n->kind = MH_LIT("../etc");
}
static void
late_year(struct reading *r, struct notice *n)
{
	(void)r;
	n->expires = time_of_civil(9999, 12, 31, 23, 59, 59) + 1;
}
static void
early_year(struct reading *r, struct notice *n)
{
	(void)r;
	n->expires = time_of_civil(1, 1, 1, 0, 0, 0) - 1;
}
static void
odd_precision(struct reading *r, struct notice *n)
{
	(void)r;
	n->precision = (enum mh_precision)3;
}
static void
negative_days(struct reading *r, struct notice *n)
{
	(void)r;
	n->days_stated = -2;
}
static void
no_notices(struct reading *r, struct notice *n)
{
	(void)n;
	r->n_notices = 0;
}
static void
body_behind_the_end(struct reading *r, struct notice *n)
{
	(void)n;
	r->body_at = 8;
}
static void
account_with_line_end(struct reading *r, struct notice *n)
{
	(void)r;
	n->kind = MH_LIT("github.token");
	n->account = MH_LIT("a\nb");
}

static void
test_refused(void **state)
{
	static const struct refusal rows[] = {
		{ "an AWS account of ten digits", short_account },
		{ "an AWS kind without an account", no_account },
		{ "no kind", no_kind },
		{ "a kind with a slash", odd_kind },
		{ "an expiry in the year 10000", late_year },
		{ "an expiry in the year 0", early_year },
		{ "an unknown precision", odd_precision },
		{ "a negative number of days", negative_days },
		{ "the verdict notice without a notice", no_notices },
		{ "a body behind the message's end", body_behind_the_end },
		{ "a line end in an account", account_with_line_end },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct reading r = whole_reading(), got;
		struct notice one = notices[0];
		struct arena a;
		struct buf b;

		r.notices = &one;
		r.n_notices = 1;
		rows[i].spoil(&r, &one);
		encode(&r, &b);
		if (decode(buf_span(&b), 7, &a, &got) != MH_BAD)
			fail_msg("%s was taken", rows[i].name);
		arena_release(&a);
		buf_release(&b);
	}
}

/* What an odd mail makes of the facts is mended, not refused. */
static void
test_mended(void **state)
{
	static char long_text[MH_MAX_FACT_BYTES + 2], long_ids[MH_MAX_REFERENCES_BYTES + 11];
	struct reading r = {
		.verdict = MH_UNRECOGNISED, .reason = S("a\x01z\xC2\x85 \xFF"), .subject = S("a\r\n b\0c")
	};
	struct notice n = { .kind = S("github.token"), .region = S("EU West"), .event = S("a b"), .days_stated = -1 };
	struct reading got;
	struct arena a;
	struct buf b;

	(void)state;
	memset(long_text, 'x', MH_MAX_FACT_BYTES - 1);
	memcpy(long_text + MH_MAX_FACT_BYTES - 1, "\xC3\xA9", 2); /* the cut must not split it */
	memset(long_ids, 'o', sizeof(long_ids));
	memcpy(long_ids + sizeof(long_ids) - 10, "<new@x.yz>", 10);
	r.parser = (struct mh_span){ long_text, MH_MAX_FACT_BYTES + 1 };
	r.references = (struct mh_span){ long_ids, sizeof(long_ids) };
	encode(&r, &b);
	assert_int_equal(decode(buf_span(&b), 0, &a, &got), MH_OK);
	assert_span("reason", got.reason, (struct mh_span)S("a z?? ?"));
	assert_span("subject", got.subject, (struct mh_span)S("a   b c"));
	assert_int_equal(got.parser.n, MH_MAX_FACT_BYTES - 1);
	assert_int_equal(got.references.n, MH_MAX_REFERENCES_BYTES);
	assert_true(span_iends(got.references, MH_LIT("<new@x.yz>")));
	arena_release(&a);
	buf_release(&b);

	r = (struct reading){ .verdict = MH_NOTICE, .notices = &n, .n_notices = 1 };
	encode(&r, &b);
	assert_int_equal(decode(buf_span(&b), 0, &a, &got), MH_OK);
	assert_null(got.notices[0].region.p);
	assert_null(got.notices[0].event.p);
	arena_release(&a);
	buf_release(&b);
}

/* The largest answer there can be fits, and one notice more is cut. */
static void
test_largest(void **state)
{
	static char text[MH_MAX_FACT_BYTES + 1], ids[MH_MAX_REFERENCES_BYTES];
	struct notice *many = calloc(MH_MAX_NOTICES + 1, sizeof(*many));
	const struct mh_span t = { text, sizeof(text) };
	struct reading got;
	struct arena a;
	struct buf b;

	(void)state;
	assert_non_null(many);
	memset(text, 'k', sizeof(text));
	memset(ids, 'i', sizeof(ids));
	for (size_t i = 0; i <= MH_MAX_NOTICES; i++) {
		const struct mh_span fit = { text, MH_MAX_FACT_BYTES };
		many[i] = (struct notice){
			.kind = fit, .account = t, .region = fit, .resource = t, .event = fit, .days_stated = -1
		};
	}
	struct reading r = { .verdict = MH_NOTICE,
		.reason = t,
		.parser = t,
		.message_id = t,
		.from = t,
		.date = t,
		.subject = t,
		.content_type = t,
		.from_address = t,
		.reply_to = t,
		.references = { ids, sizeof(ids) },
		.notices = many,
		.n_notices = MH_MAX_NOTICES + 1 };
	encode(&r, &b);
	assert_int_equal(decode(buf_span(&b), 0, &a, &got), MH_OK);
	assert_int_equal(got.n_notices, MH_MAX_NOTICES);
	assert_int_equal(got.notices[0].account.n, MH_MAX_FACT_BYTES);
	arena_release(&a);

	/* Each allocation fails in turn: an error, never half an answer. */
	for (size_t at = 1; at < 20; at++) {
		struct mh_err err = { 0 };

		arena_init(&a, MH_MAX_ARENA_BYTES);
		a.fail_at = at;
		assert_int_equal(answer_decode(buf_span(&b), 0, &a, &got, &err), MH_LIMIT);
		arena_release(&a);
	}
	buf_release(&b);
	free(many);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_cut_short_and_too_long),
		cmocka_unit_test(test_every_byte_changed),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_mended),
		cmocka_unit_test(test_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
