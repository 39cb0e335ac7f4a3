/* parsers_engine_test.c: the whole way from bytes to a reading: header facts, limits, many notices, no memory. */
#include <stdio.h>
#include <time.h>

#include "mailhook/mail/charset.h"
#include "parsers/definition.h"
#include "parsers/prefilter.h"
#include "parsers/render.h"
#include "tests/exact.h"

#define SENTENCE                                                                                                       \
	"The SCIM access token used to automatically provision users and groups from your IdP to IAM Identity Center " \
	"expires "

/* -- header facts ------------------------------------------------------------------------------------------------- */

struct header_row {
	const char *name, *header;
	const char *from_address, *reply_to, *references;
	bool automatic, list, own;
};

static const struct header_row header_rows[] = {
	{ "plain", "From: Ann <Ann@Example.com>\n", "ann@example.com", "ann@example.com", NULL, false, false, false },
	{ "no From", "Subject: s\n", NULL, NULL, NULL, false, false, false },
	{ "two addresses", "From: a@example.com, b@example.com\n", NULL, NULL, NULL, false, false, false },
	{ "two From fields", "From: a@example.com\nFrom: b@example.com\n", NULL, NULL, NULL, false, false, false },
	{ "Reply-To", "From: a@example.com\nReply-To: x <b@example.com>, c@example.com\n", "a@example.com",
	    "b@example.com", NULL, false, false, false },
	{ "empty Reply-To", "From: a@example.com\nReply-To:\n", "a@example.com", "a@example.com", NULL, false, false,
	    false },
	{ "References", "References: <a@b> junk\n <c@d>\n\t<e@f>\nIn-Reply-To: <g@h>\n", NULL, NULL,
	    "<a@b> <c@d> <e@f>", false, false, false },
	{ "In-Reply-To alone", "In-Reply-To: <g@h> (yesterday)\n", NULL, NULL, "<g@h>", false, false, false },
	{ "References with line breaks inside an id", "References: <a\n b> <c@d>\n", NULL, NULL, "<c@d>", false, false,
	    false },
	{ "Auto-Submitted", "Auto-Submitted: auto-replied; owner-email=\"a@b\"\n", NULL, NULL, NULL, true, false,
	    false },
	{ "Auto-Submitted: no", "Auto-Submitted: No (really)\n", NULL, NULL, NULL, false, false, false },
	{ "bulk", "Precedence: bulk\n", NULL, NULL, NULL, true, false, false },
	{ "junk", "Precedence: JUNK\n", NULL, NULL, NULL, true, false, false },
	{ "list by precedence", "Precedence: list\n", NULL, NULL, NULL, false, true, false },
	{ "list by id", "List-Id: <x.example.com>\n", NULL, NULL, NULL, false, true, false },
	{ "list by post", "list-post: <mailto:x@example.com>\n", NULL, NULL, NULL, false, true, false },
	{ "Mailing-list", "Mailing-list: list x\n", NULL, NULL, NULL, false, true, false },
	{ "X-BeenThere", "X-BeenThere: x@example.com\n", NULL, NULL, NULL, false, true, false },
	{ "X-Auto-Response-Suppress", "X-Auto-Response-Suppress: All\n", NULL, NULL, NULL, true, false, false },
	{ "own", "X-Mailhook-Job: 0123\n", NULL, NULL, NULL, false, false, true },
	{ "report", "Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: text/plain\n\nx\n--b--", NULL,
	    NULL, NULL, true, false, false },
};

static void
read_text(struct definitions *d, struct mh_span raw, struct arena *a, struct reading *ret)
{
	read_message(&definition_parser, d, NULL, raw, a, ret);
}

static void
test_headers(void **state)
{
	struct definitions *d = definitions_new();

	(void)state;
	for (size_t i = 0; i < sizeof(header_rows) / sizeof(header_rows[0]); i++) {
		const struct header_row *r = &header_rows[i];
		char *text = exact_copy(span_of(r->header));
		struct reading got;
		struct arena a;

		arena_init(&a, MH_MAX_ARENA_BYTES);
		read_text(d, (struct mh_span){ text, strlen(r->header) }, &a, &got);
		expect_span(r->name, got.from_address, span_of(r->from_address));
		expect_span(r->name, got.reply_to, span_of(r->reply_to));
		expect_span(r->name, got.references, span_of(r->references));
		expect_number(r->name, "automatic", got.automatic, r->automatic);
		expect_number(r->name, "list", got.list, r->list);
		expect_number(r->name, "own", got.own, r->own);
		expect_number(r->name, "verdict", got.verdict, MH_IRRELEVANT);
		arena_release(&a);
		free(text);
	}
	definitions_free(d);
}

static void
test_header_values(void **state)
{
	static const char mail[] =
	    "Message-ID: <a@b>\r\nFrom: =?UTF-8?Q?A?=\r\n <a@example.com>\r\nDate: Thu, 6 Nov 2025\r\n"
	    "Subject: one\r\n\ttwo\r\nContent-Type: text/plain;\r\n charset=utf-8\r\n\r\nbody";
	struct definitions *d = definitions_new();
	struct reading got;
	struct arena a;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	read_text(d, MH_LIT(mail), &a, &got);
	expect_span("message id", got.message_id, MH_LIT("<a@b>"));
	expect_span("from", got.from, MH_LIT("=?UTF-8?Q?A?= <a@example.com>"));
	expect_span("date", got.date, MH_LIT("Thu, 6 Nov 2025"));
	expect_span("subject", got.subject, MH_LIT("one\ttwo"));
	expect_span("content type", got.content_type, MH_LIT("text/plain; charset=utf-8"));
	expect_number("body", "offset", got.body_at, sizeof(mail) - 1 - strlen("body"));
	arena_release(&a);
	definitions_free(d);
}

/* The newest ids of a long thread stay; values are cut at their maximum. */
static void
test_header_bounds(void **state)
{
	static const size_t counts[] = { MH_MAX_REFERENCES_BYTES / 8, MH_MAX_REFERENCES_BYTES / 8 + 1,
		MH_MAX_REFERENCES_BYTES / 2 };
	struct definitions *d = definitions_new();

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct reading got;
		struct arena a;
		struct buf mail;

		buf_init(&mail, 1 << 20);
		buf_puts(&mail, "Subject: ");
		for (size_t k = 0; k < MH_MAX_FACT_BYTES - 1 + i; k++)
			buf_putc(&mail, 'x');
		buf_puts(&mail, "\nReferences:");
		for (size_t k = 0; k < counts[i]; k++)
			buf_printf(&mail, " <%05zu>", k);
		buf_puts(&mail, "\n\n");
		arena_init(&a, MH_MAX_ARENA_BYTES);
		read_text(d, buf_span(&mail), &a, &got);
		assert_true(got.references.n <= MH_MAX_REFERENCES_BYTES);
		char last[16];
		(void)snprintf(last, sizeof(last), "<%05zu>", counts[i] - 1);
		assert_true(span_iends(got.references, span_of(last)));
		expect_number("subject", "bytes", got.subject.n,
		    MH_MAX_FACT_BYTES - 1 + i < MH_MAX_FACT_BYTES ? MH_MAX_FACT_BYTES - 1 + i : MH_MAX_FACT_BYTES);
		arena_release(&a);
		buf_release(&mail);
	}
	definitions_free(d);
}

/* -- verdicts that no sample shows -------------------------------------------------------------------------------- */

#define HEAD                                                                                                           \
	"From: no-reply-aws@amazon.com\nDate: Thu, 6 Nov 2025 02:11:12 +0000\n"                                        \
	"Subject: SCIM [AWS Account: 123456789012]\n\n"

static void
test_many_notices(void **state)
{
	static const size_t counts[] = { MH_MAX_NOTICES, MH_MAX_NOTICES + 1, MH_MAX_NOTICES * 3 };
	struct definitions *d = definitions_new();

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct reading got;
		struct arena a;
		struct buf mail;

		buf_init(&mail, 1 << 20);
		buf_puts(&mail, HEAD);
		for (size_t k = 0; k < counts[i]; k++)
			buf_printf(&mail, SENTENCE "on Feb %zu, 2026 at %02zu:%02zu UTC.\n\n", k % 28 + 1, k / 28 % 24,
			    k % 60);
		arena_init(&a, MH_MAX_ARENA_BYTES);
		read_text(d, buf_span(&mail), &a, &got);
		expect_number("many", "verdict", got.verdict, MH_NOTICE);
		expect_number("many", "notices", got.n_notices, MH_MAX_NOTICES);
		expect_span("many", got.reason,
		    counts[i] > MH_MAX_NOTICES ? MH_LIT("partial: more than 200 notices, these are the first")
					       : MH_NONE);
		arena_release(&a);
		buf_release(&mail);
	}
	definitions_free(d);
}

/* A digest of forwarded notices is bounded by the number of notices, not by that of messages. */
static void
test_many_messages(void **state)
{
	struct definitions *d = definitions_new();
	struct reading got;
	struct arena a;
	struct buf mail;

	(void)state;
	buf_init(&mail, 1 << 20);
	buf_puts(&mail, "From: a@example.com\nContent-Type: multipart/digest; boundary=b\n\n");
	for (size_t k = 0; k <= MH_MAX_NOTICES; k++)
		buf_printf(&mail,
		    "--b\n\nFrom: no-reply-aws@amazon.com\nSubject: SCIM [AWS Account: %012zu]\n\n" SENTENCE
		    "on Feb 3, 2026 at 04:05 UTC.\n\n",
		    k + 1);
	buf_puts(&mail, "--b--\n");
	arena_init(&a, MH_MAX_ARENA_BYTES);
	read_text(d, buf_span(&mail), &a, &got);
	expect_number("digest", "verdict", got.verdict, MH_NOTICE);
	expect_number("digest", "notices", got.n_notices, MH_MAX_NOTICES);
	expect_span("digest", got.reason, MH_LIT("partial: more than 200 notices, these are the first"));
	arena_release(&a);
	buf_release(&mail);
	definitions_free(d);
}

struct verdict_row {
	const char *name, *mail;
	enum mh_verdict verdict;
	bool notice_like;
	const char *reason;
};

static const struct verdict_row verdict_rows[] = {
	{ "ordinary", "From: ann@example.com\nSubject: s\n\nThe offer expires on March 5, 2026.\n", MH_IRRELEVANT,
	    false, NULL },
	{ "listed sender without a watch word", "From: health@aws.com\nSubject: s\n\nHello on March 5, 2026.\n",
	    MH_IRRELEVANT, true, NULL },
	{ "listed sender, watch word without a date", "From: health@aws.com\nSubject: s\n\nTokens expire. Hello.\n",
	    MH_IRRELEVANT, true, NULL },
	{ "watch word and date in two sentences",
	    "From: health@aws.com\nSubject: s\n\nTokens expire. It is March 5, 2026.\n", MH_IRRELEVANT, true, NULL },
	{ "watch word and days",
	    "From: health@aws.com\nSubject: s\n\nYour key must be rotated\nwithin 30 days. Hello.\n", MH_UNRECOGNISED,
	    true, "a listed sender's mail that no definition reads: \"Your key must be rotated within 30 days.\"" },
	{ "end of support", "From: health@aws.com\nSubject: s\n\nThe end of standard support is on 2026-03-05.\n",
	    MH_UNRECOGNISED, true,
	    "a listed sender's mail that no definition reads: \"The end of standard support is on 2026-03-05.\"" },
	{ "listed sender in a forward",
	    "From: ann@example.com\nSubject: Fwd: s\n\nFrom: AWS <health@aws.com>\nDate: x\nSubject: s\n\nIt expires "
	    "in 9 days.\n",
	    MH_UNRECOGNISED, true, NULL },
	{ "listed sender behind a group",
	    "From: \"'AWS' via ops\" <ops@example.com>\nX-Original-Sender: health@aws.com\nSubject: expiring "
	    "key\n\nx\n",
	    MH_UNRECOGNISED, true, "a listed sender's mail that no definition reads: \"expir\" in its subject" },
	{ "no text, a watch word in the subject",
	    "From: health@aws.com\nSubject: expiring key\nContent-Type: application/pdf\n\nx\n", MH_UNRECOGNISED, true,
	    "a listed sender's mail that no definition reads: \"expir\" in its subject" },
	{ "two accounts in the subject",
	    "Subject: [AWS Account: 123456789012] [AWS Account: 210987654321]\n\n" SENTENCE "on Feb 3, 2026.\n",
	    MH_UNRECOGNISED, true, "contradiction: the subject names two accounts" },
	{ "text against the subject", HEAD SENTENCE "on Feb 3, 2026. Account Id: 210987654321\n", MH_UNRECOGNISED, true,
	    "contradiction: account 123456789012 in the subject, 210987654321 in the text" },
	{ "days without a Date", "Subject: [AWS Account: 123456789012]\n\n" SENTENCE "in 9 days.\n", MH_UNRECOGNISED,
	    true, "no date, and no Date to count the days from" },
	{ "a quote without field lines is checked", HEAD "A wrote:\n> " SENTENCE "in 9 days on Feb 3, 2026.\n",
	    MH_UNRECOGNISED, true, "stated days differ: 9 days stated, 89 from the mail's date to the expiry" },
	{ "one day off", HEAD SENTENCE "in 90 days on Feb 3, 2026.\n", MH_NOTICE, true, NULL },
	{ "two days off", HEAD SENTENCE "in 91 days on Feb 3, 2026.\n", MH_UNRECOGNISED, true,
	    "stated days differ: 91 days stated, 89 from the mail's date to the expiry" },
	{ "one of two unread", HEAD SENTENCE "on Feb 3, 2026. " SENTENCE "on 09/07/2026.\n", MH_NOTICE, true,
	    "partial: 1 of 2 places could not be read: ambiguous date 09/07/2026" },
	{ "another's event code alone",
	    "From: ann@example.com\nSubject: s\n\nlook at AWS_RDS_PLANNED_LIFECYCLE_EVENT please\n", MH_UNRECOGNISED,
	    true, "no date" },
};

static void
test_verdicts(void **state)
{
	struct definitions *d = definitions_new();

	(void)state;
	for (size_t i = 0; i < sizeof(verdict_rows) / sizeof(verdict_rows[0]); i++) {
		const struct verdict_row *r = &verdict_rows[i];
		char *text = exact_copy(span_of(r->mail));
		struct reading got;
		struct arena a;

		arena_init(&a, MH_MAX_ARENA_BYTES);
		read_text(d, (struct mh_span){ text, strlen(r->mail) }, &a, &got);
		expect_number(r->name, "verdict", got.verdict, r->verdict);
		expect_number(r->name, "notice-like", got.notice_like, r->notice_like);
		if (r->reason != NULL || r->verdict == MH_NOTICE)
			expect_span(r->name, got.reason, span_of(r->reason));
		arena_release(&a);
		free(text);
	}
	definitions_free(d);
}

/* What had to be cut may have been the notice. */
static void
test_limits(void **state)
{
	struct definitions *d = definitions_new();
	struct reading got;
	struct arena a;
	struct buf mail;

	(void)state;
	buf_init(&mail, (size_t)32 << 20);
	buf_puts(&mail, "Subject: s\n\n");
	while (mail.n < MH_MAX_TEXT_BYTES + 1000)
		buf_puts(&mail, "a line of a text that is far too long for a notice\n");
	arena_init(&a, MH_MAX_ARENA_BYTES);
	read_text(d, buf_span(&mail), &a, &got);
	expect_number("long text", "verdict", got.verdict, MH_FAILED);
	expect_span("long text", got.reason, MH_LIT("a text is longer than can be read"));
	assert_false(got.notice_like);
	arena_release(&a);

	buf_clear(&mail);
	buf_puts(&mail, HEAD SENTENCE "on Feb 3, 2026.\n");
	while (mail.n < MH_MAX_TEXT_BYTES + 1000)
		buf_puts(&mail, "a line of a text that is far too long for a notice\n");
	arena_init(&a, MH_MAX_ARENA_BYTES);
	read_text(d, buf_span(&mail), &a, &got);
	expect_number("long notice", "verdict", got.verdict, MH_NOTICE);
	assert_true(span_starts(got.reason, MH_LIT("partial: ")));
	arena_release(&a);
	buf_release(&mail);
	definitions_free(d);
}

/* A definition of a user whose pattern blows up ends as failed, and soon. */
static void
test_budget(void **state)
{
	static const struct definition_pattern patterns[] = { { "used to automatically (?<expires>(a+)+)$",
	    "used to automatically ", true, 1u << FACT_EXPIRES } };
	static const char *const none[] = { NULL };
	static const char *const literals[] = { "SCIM access token used to automatically", NULL };
	static const struct definition def = { .info = { "hostile", "x.y", "f", none, none },
		.events = none,
		.subjects = none,
		.literals = literals,
		.watch = none,
		.ignore = none,
		.patterns = patterns,
		.n_patterns = 1,
		.require = 1u << FACT_EXPIRES };
	struct definitions *d = definitions_new();
	struct reading got;
	struct arena a;
	struct buf mail;

	(void)state;
	d->slots[0].def = &def; /* has fewer patterns than the one that stood there */
	buf_init(&mail, 1 << 20);
	buf_puts(&mail, HEAD "SCIM access token used to automatically ");
	for (int i = 0; i < 2000; i++)
		buf_putc(&mail, 'a');
	buf_puts(&mail, " end\n");
	arena_init(&a, MH_MAX_ARENA_BYTES);
	const clock_t start = clock();
	read_text(d, buf_span(&mail), &a, &got);
	expect_number("budget", "verdict", got.verdict, MH_FAILED);
	expect_span("budget", got.reason, MH_LIT("a pattern hit its budget"));
	assert_true(got.notice_like);
	assert_true(clock() - start < 2 * CLOCKS_PER_SEC);
	arena_release(&a);
	buf_release(&mail);
	definitions_free(d);
}

/* -- no memory ---------------------------------------------------------------------------------------------------- */

static char *
read_sample(const char *name, size_t *ret_n)
{
	char path[4096];
	char *text = malloc(1 << 20);

	(void)snprintf(path, sizeof(path), "%s/samples/notices/scim/%s", SOURCE_DIR, name);
	FILE *f = fopen(path, "rb");
	if (f == NULL)
		fail_msg("%s: cannot be read", path);
	assert_non_null(text);
	*ret_n = fread(text, 1, 1 << 20, f);
	(void)fclose(f);
	return text;
}

/* Each allocation made to fail in turn: a verdict comes all the same, and never a wrong notice. */
static void
test_no_memory(void **state)
{
	static const char *const samples[] = { "a-qp.eml", "b-qp.eml", "c-event.eml", "f-gmail-alternative.eml" };
	struct definitions *d = definitions_new();

	(void)state;
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		size_t n;
		char *text = read_sample(samples[i], &n);
		char *exact = exact_copy((struct mh_span){ text, n });
		size_t failed = 0, notices = 0;

		free(text);
		for (size_t fail_at = 1; fail_at < 5000 && notices < 3; fail_at++) {
			struct reading got;
			struct arena a;

			arena_init(&a, MH_MAX_ARENA_BYTES);
			a.fail_at = fail_at;
			read_text(d, (struct mh_span){ exact, n }, &a, &got);
			if (got.verdict == MH_FAILED || got.verdict == MH_UNRECOGNISED ||
			    got.verdict == MH_IRRELEVANT) {
				failed++;
				assert_int_equal(got.n_notices, 0);
			} else {
				notices += a.fail_at > 0; /* nothing failed any more */
				assert_int_equal(got.n_notices, 1);
				expect_span(samples[i], got.notices[0].account, MH_LIT("123456789012"));
				assert_true(got.notices[0].expires == time_of_civil(2026, 2, 3, 4, 5, 6));
			}
			arena_release(&a);
		}
		if (notices < 3 || failed < 10)
			fail_msg("%s: %zu failed, %zu notices", samples[i], failed, notices);
		free(exact);
	}
	definitions_free(d);
}

/* -- start ------------------------------------------------------------------------------------------------------- */

/* Made for each mail of a pipe, so it may compile nothing. */
static void
test_cheap_start(void **state)
{
	const int rounds = 200;
	clock_t start = clock();

	(void)state;
	for (int i = 0; i < rounds; i++) {
		struct definitions *d = definitions_new();

		assert_non_null(d);
		assert_null(d->prefilter);
		for (size_t s = 0; s < d->n; s++)
			for (size_t p = 0; p < d->slots[s].def->n_patterns; p++)
				assert_null(d->slots[s].compiled[p]);
		definitions_free(d);
	}
	start = clock() - start;
	if (start > rounds * CLOCKS_PER_SEC / 20000 * 10) /* 50 us each, ten times that under a sanitizer */
		fail_msg("%ld us for one set of definitions", (long)(start * 1000000 / CLOCKS_PER_SEC / rounds));
}

/* Bytes that are no UTF-8 in a header or a path give JSON all the same. */
static void
test_render_bytes(void **state)
{
	struct reading r = { .verdict = MH_FAILED,
		.message_id = MH_LIT("<a\xFF\xC3\xA9\xE2\x82@b>"),
		.reason = MH_LIT("a \"quoted\"\n\x01 reason") };
	struct buf out;

	(void)state;
	buf_init(&out, 4096);
	assert_true(reading_render(&r, "new/\xC3.eml", &out));
	expect_span("JSON", buf_span(&out),
	    MH_LIT("{\"source\":\"new/"
		   "\xEF\xBF\xBD.eml\",\"message_id\":\"<a\xEF\xBF\xBD\xC3\xA9\xEF\xBF\xBD\xEF\xBF\xBD@b>\","
		   "\"verdict\":\"failed\",\"reason\":\"a \\\"quoted\\\"\\n\\u0001 "
		   "reason\",\"parser\":null,\"notices\":[]}"));
	buf_release(&out);

	buf_init(&out, 20);
	assert_false(reading_render(&r, "-", &out));
	buf_release(&out);
}

/* Every byte is written as cJSON writes it. */
static void
test_render_as_cjson(void **state)
{
	(void)state;
	for (int c = 1; c < 0x80; c++) {
		const struct mh_span text = { (const char[]){ 'a', (char)c, (char)c, 'b', '\0' }, 4 };
		MH_AUTO(drop_json) cJSON *j = cJSON_CreateString(text.p);
		struct buf want, got;

		buf_init(&want, 100);
		buf_init(&got, 100);
		assert_true(json_print(j, &want));
		json_put_text(&got, text);
		expect_span("JSON", buf_span(&got), buf_span(&want));
		buf_release(&want);
		buf_release(&got);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_header_values),
		cmocka_unit_test(test_header_bounds),
		cmocka_unit_test(test_many_notices),
		cmocka_unit_test(test_many_messages),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_no_memory),
		cmocka_unit_test(test_cheap_start),
		cmocka_unit_test(test_render_bytes),
		cmocka_unit_test(test_render_as_cjson),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
