/* parsers_carriage_test.c: addresses, field lines, the cleaned text, brackets, events. */
#include <stdio.h>

#include "mailhook/mail/mail.h"
#include "parsers/address.h"
#include "parsers/carriage.h"
#include "parsers/fields.h"
#include "tests/exact.h"

/* -- addresses ---------------------------------------------------------------------------------------------------- */

static void
test_addresses(void **state)
{
	static const struct {
		const char *name, *list, *first;
		size_t count;
	} rows[] = {
		{ "plain", "Health@AWS.com", "health@aws.com", 1 },
		{ "angle", "Amazon Web Services <health@aws.com>", "health@aws.com", 1 },
		{ "quoted name with comma", "\"Doe, J. <x@y.z>\" <j@example.com>", "j@example.com", 1 },
		{ "comment", "j@example.com (Ann, of old)", "j@example.com", 1 },
		{ "nested comment", "j(a(b)c)@example.com", "j@example.com", 1 },
		{ "two", "a@example.com, b@example.com", "a@example.com", 2 },
		{ "folded", "Ann\r\n <a@example.com>", "a@example.com", 1 },
		{ "group", "ops: a@example.com, b@example.com;", "a@example.com", 2 },
		{ "encoded name", "=?UTF-8?Q?a=2C_b?= <a@example.com>", "a@example.com", 1 },
		{ "name that looks like an address", "health@aws.com <x@example.net>", "x@example.net", 1 },
		{ "no address", "undisclosed recipients", NULL, 1 },
		{ "empty angle", "<>", NULL, 1 },
		{ "an address and words", "a@example.com, words", "a@example.com", 2 },
		{ "words and an address", "words, a@example.com", NULL, 2 },
		{ "no local part", "@example.com", NULL, 1 },
		{ "no domain", "a@", NULL, 1 },
		{ "open quote", "\"a <a@example.com>", NULL, 0 },
		{ "open comment", "(a <a@example.com>", NULL, 0 },
		{ "open angle", "<a@example.com", "a@example.com", 1 },
		{ "backslash at the end", "\"a\\", NULL, 0 },
		{ "nothing", "", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *list = exact_copy(span_of(rows[i].list));
		struct mh_span first = MH_NONE;
		size_t count = 99;
		struct arena a;

		arena_init(&a, 1 << 16);
		expect_number(rows[i].name, "status",
		    address_read((struct mh_span){ list, strlen(rows[i].list) }, &a, &first, &count, NULL), MH_OK);
		expect_span(rows[i].name, first, span_of(rows[i].first));
		expect_number(rows[i].name, "addresses", count, rows[i].count);
		arena_release(&a);
		free(list);
	}
}

/* -- field lines -------------------------------------------------------------------------------------------------- */

static void
test_fields(void **state)
{
	static const struct {
		const char *name, *text, *from, *date, *subject;
		bool found;
	} rows[] = {
		{ "Gmail", "From: A <a@example.com>\nDate: Wed, Oct 27\nSubject: s\nTo: b\n\nbody\n",
		    "A <a@example.com>", "Wed, Oct 27", "s", true },
		{ "no blank line before the body", "From: a\nSent: b\nTo: c\nbody\n", "a", "b", NULL, true },
		{ "Thunderbird", "Subject: \ts\nDate: \td\nFrom: \ta\nTo: \tb\n", "a", "d", "s", true },
		{ "quoted", "> From: a\n> Date: d\n> Subject: a long one\n> that goes on\n> To: b\n", "a", "d",
		    "a long one\n> that goes on", true },
		{ "empty lines between", "From: a\n\nDate: d\n\nSubject: s\n", "a", "d", "s", true },
		{ "bold marks", "*From:* a\n*Sent:* d\n*To:* b\n*Subject:* s\n", "a", "d", "s", true },
		{ "German", "Von: a\nGesendet: d\nAn: b\nBetreff: s\n", "a", "d", "s", true },
		{ "French", "De : a\nEnvoy\xC3\xA9 : d\n\xC3\x80 : b\nObjet : s\n", "a", "d", "s", true },
		{ "French with U+00A0", "De\xC2\xA0: a\nEnvoy\xC3\xA9\xC2\xA0: d\nObjet\xC2\xA0: s\n", "a", "d", "s",
		    true },
		{ "Japanese", "差出人: a\n日付: d\n件名： s\n宛先: b\n", "a", "d", "s", true },
		{ "Yahoo", "----- Forwarded Message ----- From: a@bTo: c@dSent: Tue, 4 NovSubject: s\n", "a@b",
		    "Tue, 4 Nov", "s", true },
		{ "the next forward begins", "From: a\nDate: d\nFrom: b\nSubject: s\n", "a", "d", NULL, true },
		{ "From alone", "From: a\nbody\n", NULL, NULL, NULL, false },
		{ "To alone", "To: a\nSubject: s\n", NULL, NULL, NULL, false },
		{ "a sentence", "From now on: all is well\nDate: d\n", NULL, NULL, NULL, false },
		{ "a sentence that ends so", "Dear all, from: a\nDate: d\nSubject: s\n", NULL, NULL, NULL, false },
		{ "nothing", "", NULL, NULL, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = exact_copy(span_of(rows[i].text));
		struct field_block b = { 0 };

		expect_number(rows[i].name, "found",
		    field_block_read((struct mh_span){ text, strlen(rows[i].text) }, &b), rows[i].found);
		expect_span(rows[i].name, b.values[FIELD_FROM], span_of(rows[i].from));
		expect_span(rows[i].name, b.values[FIELD_DATE], span_of(rows[i].date));
		expect_span(rows[i].name, b.values[FIELD_SUBJECT], span_of(rows[i].subject));
		free(text);
	}
}

/* -- text for matching -------------------------------------------------------------------------------------------- */

static void
test_flatten(void **state)
{
	static const struct {
		const char *name, *text, *flat;
		bool hides;
	} rows[] = {
		{ "plain", "expires in 89 days", "expires in 89 days", false },
		{ "line ends", "expires\nin\r\n89\n\n\ndays\n", "expires in 89 days", false },
		{ "blanks in a row", "  expires \t in  89   days  ", "expires in 89 days", false },
		{ "long with blanks in a row", "a text of more than eight bytes  and on",
		    "a text of more than eight bytes and on", false },
		{ "eight bytes, then sixteen, and no more", "abcdefghijklmnopqrstuvwx", "abcdefghijklmnopqrstuvwx",
		    false },
		{ "the same with more", "abcdefghijklmnopqrstuvwxyz012345abcdefgh",
		    "abcdefghijklmnopqrstuvwxyz012345abcdefgh", false },
		{ "a blank at the eighth byte", "1234567 9012345  8", "1234567 9012345 8", false },
		{ "quote marks", "> > expires\n>> in 89\n > days", "expires in 89 days", false },
		{ "no quote marks", "a > b -> c\n1>2", "a > b -> c 1>2", false },
		{ "U+00A0 and U+202F",
		    "in\xC2\xA0"
		    "89\xE2\x80\xAF"
		    "days",
		    "in 89 days", false },
		{ "apostrophes", "isn\xE2\x80\x99t we\xE2\x80\x98re", "isn't we're", false },
		{ "soft hyphen", "pro\xC2\xADvision", "provision", true },
		{ "zero width", "pro\xE2\x80\x8Bvi\xE2\x80\x8Dsi\xEF\xBB\xBFon\xE2\x81\xA0", "provision", true },
		{ "other scripts", "期限 é Ω", "期限 é Ω", false },
		{ "eight bytes of UTF-8", "ééééééé é", "ééééééé é", false },
		{ "empty", "", "", false },
		{ "only blanks", " \n\t ", "", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = exact_copy(span_of(rows[i].text));
		const struct mh_span s = { text, strlen(rows[i].text) };
		struct mh_span flat;
		struct arena a;

		arena_init(&a, 1 << 16);
		assert_int_equal(carriage_flatten(s, &a, &flat, NULL), MH_OK);
		expect_span(rows[i].name, flat, span_of(rows[i].flat));
		expect_number(rows[i].name, "hides", carriage_hides(s), rows[i].hides);
		arena_release(&a);
		free(text);
	}
}

/* As it is defined for ASCII and U+00A0, byte by byte. */
static size_t
plain_flatten(const char *s, char *dst)
{
	bool blank = true, at_line = true;
	size_t n = 0;

	for (; *s != '\0'; s++) {
		const bool wide = strncmp(s, "\xC2\xA0", 2) == 0;

		if (*s == '>' && at_line)
			continue;
		s += wide;
		if (wide || strchr(" \t\r\n", *s) != NULL) {
			if (!blank)
				dst[n++] = ' ';
			blank = true;
			at_line = *s == '\n' || (at_line && !wide);
		} else {
			dst[n++] = *s;
			blank = at_line = false;
		}
	}
	return blank && n > 0 ? n - 1 : n;
}

/* Sixteen bytes are copied together: what is no word at each place of a longer text, and twice. */
static void
test_flatten_everywhere(void **state)
{
	static const char *const marks[] = { "\n", " ", "  ", "\n ", " \n", "\n\n", "\n> ", "\n>>", "\n > >", "\n\t>",
		">", "\t", "\t ", "\xC2\xA0", "\n\xC2\xA0>", "\xC2\xA0 " };
	static const char text[] = "The token\nexpires in 89 days or so, and then nothing at all works";

	(void)state;
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++) {
		for (size_t at = 0; at + 20 < sizeof(text); at++) {
			char in[200], want[200];
			struct mh_span flat;
			struct arena a;

			(void)snprintf(in, sizeof(in), "%.*s%s%.17s%s%s", (int)at, text, marks[i], text + at, marks[i],
			    text + at + 17);
			char *copy = exact_copy(span_of(in));
			arena_init(&a, 1 << 16);
			assert_int_equal(
			    carriage_flatten((struct mh_span){ copy, strlen(in) }, &a, &flat, NULL), MH_OK);
			expect_span(in, flat, (struct mh_span){ want, plain_flatten(in, want) });
			arena_release(&a);
			free(copy);
		}
	}
}

/* -- accounts and regions ----------------------------------------------------------------------------------------- */

static void
test_subjects(void **state)
{
	static const struct {
		const char *subject, *account, *region;
		bool two;
	} rows[] = {
		{ "x [AWS Account: 123456789012]", "123456789012", NULL, false },
		{ "x [AWS Account: 000000000042] [EU-WEST-1]", "000000000042", "eu-west-1", false },
		{ "x [US-GOV-EAST-1] [aws account id: 123456789012]", "123456789012", "us-gov-east-1", false },
		{ "x [AWS ID 123456789012]", "123456789012", NULL, false },
		{ "x [123456789012]", "123456789012", NULL, false },
		{ "x [AWS Account: 1234-5678-9012]", "123456789012", NULL, false },
		{ "x [AWS Account: 123456789012] [AWS Account: 123456789012]", "123456789012", NULL, false },
		{ "x [AWS Account: 1234567890123]", NULL, NULL, false },
		{ "x [AWS Account: 12345678901]", NULL, NULL, false },
		{ "x [AWS Account: 12-345678-9012]", NULL, NULL, false },
		{ "x [AWS Account: 1234-5678-9012-3456]", NULL, NULL, false },
		{ "RE:[CASE 170000000000001] x", NULL, NULL, false },
		{ "x [cloud-ops] [EXTERNAL] [tag-1]", NULL, NULL, false },
		{ "x [AWS Account: 123456789012", NULL, NULL, false },
		{ "x 123456789012", NULL, NULL, false },
		{ "[AWS Account: 123456789012] [AWS Account: 210987654321]", NULL, NULL, true },
		{ "[]", NULL, NULL, false },
		{ "", NULL, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = exact_copy(span_of(rows[i].subject));
		struct mh_span account = MH_NONE, region = MH_NONE;
		struct arena a;

		arena_init(&a, 1 << 16);
		expect_number(rows[i].subject, "two accounts",
		    !subject_facts((struct mh_span){ text, strlen(rows[i].subject) }, &a, &account, &region),
		    rows[i].two);
		expect_span(rows[i].subject, account, span_of(rows[i].account));
		expect_span(rows[i].subject, region, span_of(rows[i].region));
		arena_release(&a);
		free(text);
	}
}

static void
test_references(void **state)
{
	static const struct {
		const char *text, *region, *event;
	} rows[] = {
		{ "arn:aws:health:eu-west-1::event/IAM/AWS_IAM_X/AWS_IAM_X_1f", "eu-west-1", "AWS_IAM_X" },
		{ "x arn:aws:health:eu-west-1::event%2FIAM%2FAWS_IAM_X%2FAWS", "eu-west-1", "AWS_IAM_X" },
		{ "arn:aws:health:global::event/BILLING/AWS_X/y", NULL, "AWS_X" },
		{ "arn:aws:health:eu-west-1:123456789012:event/IAM/AWS_X/y", NULL, NULL },
		{ "arn:aws:health:eu-west-1::event", "eu-west-1", NULL },
		{ "arn:aws:health:", NULL, NULL },
		{ "arn:aws:acm:eu-west-1:123456789012:certificate/x", NULL, NULL },
		{ "", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = exact_copy(span_of(rows[i].text));
		struct mh_span region = MH_NONE, event = MH_NONE;
		struct arena a;

		arena_init(&a, 1 << 16);
		reference_facts((struct mh_span){ text, strlen(rows[i].text) }, &a, &region, &event);
		expect_span(rows[i].text, region, span_of(rows[i].region));
		expect_span(rows[i].text, event, span_of(rows[i].event));
		arena_release(&a);
		free(text);
	}
}

/* -- views -------------------------------------------------------------------------------------------------------- */

#define HEAD "From: a@example.com\nSubject: s\nDate: Thu, 6 Nov 2025 02:11:12 +0000\n\n"
#define FORWARD "From: B <b@example.com>\nDate: 4 Nov 2025 01:00 +0000\nSubject: inner\nTo: c\n\n"

static void
test_views(void **state)
{
	static const struct {
		const char *name, *mail;
		size_t n;
		enum view_kind kinds[4];
		const char *texts[4], *from[4];
	} rows[] = {
		{ "no body", HEAD, 1, { VIEW_MESSAGE }, { "" }, { "a@example.com" } },
		{ "no text", "From: a@example.com\nContent-Type: application/pdf\n\nx\n", 1, { VIEW_MESSAGE }, { NULL },
		    { "a@example.com" } },
		{ "a text", HEAD "Hello,\nit is so.\n", 1, { VIEW_MESSAGE }, { "Hello, it is so." },
		    { "a@example.com" } },
		{ "a forward", HEAD "See:\n\n" FORWARD "body\n", 2, { VIEW_MESSAGE, VIEW_FORWARD },
		    { "See:", "From: B <b@example.com> Date: 4 Nov 2025 01:00 +0000 Subject: inner To: c body" },
		    { "a@example.com", "b@example.com" } },
		{ "a quoted forward ends with its quoting",
		    HEAD "one\n> From: b@example.com\n> Sent: x\n>\n> two\n\nthree\n", 2,
		    { VIEW_MESSAGE, VIEW_FORWARD }, { "one three", "From: b@example.com Sent: x two" },
		    { "a@example.com", "b@example.com" } },
		{ "a forward in a forward",
		    HEAD "From: b@example.com\nDate: x\n\none\nFrom: c@example.com\nDate: y\n\ntwo\n", 3,
		    { VIEW_MESSAGE, VIEW_FORWARD, VIEW_FORWARD },
		    { "", "From: b@example.com Date: x one", "From: c@example.com Date: y two" },
		    { "a@example.com", "b@example.com", "c@example.com" } },
		{ "plain quoting is no forward", HEAD "On Monday A wrote:\n> one\n> two\n", 1, { VIEW_MESSAGE },
		    { "On Monday A wrote: one two" }, { "a@example.com" } },
		{ "an event",
		    HEAD "{\"detail\":{\"eventTypeCode\":\"AWS_X\",\"eventDescription\":[{\"latestDescription\":"
			 "\"one\\\\ntwo\"}]}}",
		    2, { VIEW_MESSAGE, VIEW_EVENT }, { NULL, "one two" }, { "a@example.com", "a@example.com" } },
		{ "two events", HEAD "{\"detail\":{\"a\":\"one\"}} {\"detail\":{\"a\":2}}", 3,
		    { VIEW_MESSAGE, VIEW_EVENT, VIEW_EVENT }, { NULL, "a: one", "a: 2" },
		    { "a@example.com", "a@example.com", "a@example.com" } },
		{ "JSON that is no event", HEAD "{\"a\":1}", 1, { VIEW_MESSAGE }, { "{\"a\":1}" },
		    { "a@example.com" } },
		{ "JSON that ends too early", HEAD "{\"detail\":{\"a\":1}", 1, { VIEW_MESSAGE },
		    { "{\"detail\":{\"a\":1}" }, { "a@example.com" } },
		{ "words in an envelope", HEAD "{\"TopicArn\":\"t\",\"Message\":\"only words\"}", 2,
		    { VIEW_MESSAGE, VIEW_MESSAGE }, { NULL, "only words" }, { "a@example.com", "a@example.com" } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = exact_copy(span_of(rows[i].mail));
		struct view_list views;
		struct mail mail;
		struct arena a;

		arena_init(&a, 1 << 20);
		assert_int_equal(
		    mail_read((struct mh_span){ text, strlen(rows[i].mail) }, NULL, &a, &mail, NULL), MH_OK);
		assert_int_equal(carriage_views(&mail, &a, &views, NULL), MH_OK);
		expect_number(rows[i].name, "views", views.n, rows[i].n);
		for (size_t v = 0; v < views.n; v++) {
			expect_number(rows[i].name, "kind", views.items[v].kind, rows[i].kinds[v]);
			expect_span(rows[i].name, views.items[v].text, span_of(rows[i].texts[v]));
			expect_span(rows[i].name, views.items[v].from, span_of(rows[i].from[v]));
		}
		arena_release(&a);
		free(text);
	}
}

/* Forwards without end: the views stop at their maximum and say so. */
static void
test_view_maximum(void **state)
{
	static const size_t counts[] = { MH_MAX_VIEWS - 1, MH_MAX_VIEWS, MH_MAX_VIEWS * 10 };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct buf text;
		struct view_list views;
		struct mail mail;
		struct arena a;

		buf_init(&text, 1 << 20);
		buf_puts(&text, HEAD);
		for (size_t k = 0; k < counts[i]; k++)
			buf_puts(&text, "> From: a@example.com\n> Date: x\nend\n");
		assert_true(buf_ok(&text));
		arena_init(&a, MH_MAX_ARENA_BYTES);
		assert_int_equal(mail_read(buf_span(&text), NULL, &a, &mail, NULL), MH_OK);
		assert_int_equal(carriage_views(&mail, &a, &views, NULL), MH_OK);
		expect_number("forwards", "views", views.n, counts[i] < MH_MAX_VIEWS ? counts[i] + 1 : MH_MAX_VIEWS);
		expect_number("forwards", "more", views.more, counts[i] >= MH_MAX_VIEWS);
		arena_release(&a);
		buf_release(&text);
	}
}

/* A forward is found wherever it begins, however little stands behind its marks. */
static void
test_forward_everywhere(void **state)
{
	static const char *const forwards[] = { "From: b@example.com\nDate: x\n",
		"\xC3\x80: c\nVon: b@example.com\nDatum: x", "差出人：b@example.com\n日付：x\n",
		"> > From: b@example.com\n> > Date: x\n>>words\n> less",
		"----- Forwarded Message ----- From: b@example.comSent: x" };

	(void)state;
	for (size_t i = 0; i < sizeof(forwards) / sizeof(forwards[0]); i++) {
		for (int n = 0; n < 40; n++) {
			char text[400];
			struct view_list views;
			struct mail mail;
			struct arena a;

			(void)snprintf(text, sizeof(text), "%s%.*s\n%s", HEAD, n,
			    "a line\nand what is well-known: nothing\n\nend", forwards[i]);
			char *copy = exact_copy(span_of(text));
			arena_init(&a, 1 << 20);
			assert_int_equal(
			    mail_read((struct mh_span){ copy, strlen(text) }, NULL, &a, &mail, NULL), MH_OK);
			assert_int_equal(carriage_views(&mail, &a, &views, NULL), MH_OK);
			expect_number(text, "views", views.n, 2);
			expect_number(text, "kind", views.items[1].kind, VIEW_FORWARD);
			expect_span(text, views.items[1].from, MH_LIT("b@example.com"));
			arena_release(&a);
			free(copy);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_flatten),
		cmocka_unit_test(test_flatten_everywhere),
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_views),
		cmocka_unit_test(test_view_maximum),
		cmocka_unit_test(test_forward_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
