/* aws_parts_test.c: what needs no network: shared files, commands, times, refusals, XML, and webhook signatures. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "actions/common/aws_impl.h"
#include "actions/common/preset_impl.h"
#include "actions/common/xml.h"

static void
expect_text(const char *name, struct mh_span found, const char *wanted)
{
	if (wanted == NULL ? found.p == NULL : span_eq(found, span_of(wanted)))
		return;
	fail_msg("%s: \"%.*s\"", name, (int)found.n, found.p == NULL ? "" : found.p);
}

static void
test_ini(void **state)
{
	static const char text[] = "# [profile x]\n"
				   "key = outside\r\n"
				   "[default]\n"
				   "key=first\n"
				   "key = second # no comment\n"
				   "empty =\n"
				   "s3 =\n"
				   "  key = nested\n"
				   "\tother = nested\n"
				   "[ profile  a b ]\n"
				   "Key: no\n"
				   "KEY = of a b\n"
				   "[profile \"quoted\"] ; x\n"
				   "key = q=q\n"
				   "[profiler]\n"
				   "key = another\n"
				   "[open\n"
				   "key = nowhere\n"
				   "[profile last]\n"
				   "key = no final line end";
	static const struct {
		const char *name, *section, *key, *value;
	} rows[] = {
		{ "the last one counts", "default", "key", "second # no comment" },
		{ "an empty one is none", "default", "empty", NULL },
		{ "indented lines belong to another", "default", "other", NULL },
		{ "a name with blanks, a key of another case", "profile a b", "key", "of a b" },
		{ "a quoted name", "profile quoted", "key", "q=q" },
		{ "a name that only begins so", "profile r", "key", NULL },
		{ "a comment is no section", "profile x", "key", NULL },
		{ "a section that is not closed", "open", "key", NULL },
		{ "the last line", "profile last", "key", "no final line end" },
		{ "no such section", "none", "key", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		expect_text(rows[i].name, aws_ini_get(span_of(text), rows[i].section, rows[i].key), rows[i].value);
	assert_true(aws_ini_has(span_of(text), "profile last"));
	assert_false(aws_ini_has(span_of(text), "profile none"));
	expect_text("nothing", aws_ini_get(MH_NONE, "default", "key"), NULL);
}

static void
test_split(void **state)
{
	static const struct {
		const char *name, *command, *words; /* words: each followed by '|'; NULL: refused */
	} rows[] = {
		{ "words", "/bin/a  b\tc ", "/bin/a|b|c|" },
		{ "quotes", "/bin/a 'b c' \"d e\"f", "/bin/a|b c|d ef|" },
		{ "an empty word", "/bin/a '' x", "/bin/a||x|" },
		{ "backslashes", "a\\ b '\\' \"\\\"\\\\\\x\"", "a b|\\|\"\\\\x|" },
		{ "no variable, no shell", "a $HOME `b` ;c", "a|$HOME|`b`|;c|" },
		{ "an open quote", "a 'b", NULL },
		{ "an open double quote", "a \"b", NULL },
		{ "nothing", "  ", NULL },
		{ "at the limit", "a b c d e f g", "a|b|c|d|e|f|g|" },
		{ "past the limit", "a b c d e f g h", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *words[8];
		struct arena a;
		struct buf joined;

		arena_init(&a, 4096);
		buf_init(&joined, 256);
		const enum mh_status status = aws_split(span_of(rows[i].command), words, 8, &a, NULL);
		for (size_t w = 0; status == MH_OK && words[w] != NULL; w++)
			buf_printf(&joined, "%s|", words[w]);
		assert_true(buf_ok(&joined));
		if (rows[i].words == NULL ? status != MH_BAD : status != MH_OK)
			fail_msg("%s: status %d", rows[i].name, (int)status);
		if (rows[i].words != NULL)
			expect_text(rows[i].name, buf_span(&joined), rows[i].words);
		buf_release(&joined);
		arena_release(&a);
	}
}

static void
test_time(void **state)
{
	static const struct {
		const char *text;
		int64_t wanted; /* -1: refused */
	} rows[] = {
		{ "2026-03-01T12:00:00Z", 1772366400 },
		{ "2026-03-01T12:00:00.123456Z", 1772366400 },
		{ "2026-03-01T12:00:00+00:00", 1772366400 },
		{ "2026-03-01T14:30:00+02:30", 1772366400 },
		{ "2026-03-01T07:00:00.5-05:00", 1772366400 },
		{ " 2026-03-01T12:00:00Z\n", 1772366400 },
		{ "2026-03-01T12:00:00", -1 },
		{ "2026-03-01 12:00:00Z", -1 },
		{ "2026-02-30T12:00:00Z", -1 },
		{ "2026-03-01T12:00:00+0000", -1 },
		{ "2026-03-01T12:00:00+0x:00", -1 },
		{ "2026-03-01T12:00:00.", -1 },
		{ "1772366400", -1 },
		{ "", -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t t = -1;

		(void)aws_time(span_of(rows[i].text), &t, NULL);
		if (t != rows[i].wanted)
			fail_msg("\"%s\": %lld", rows[i].text, (long long)t);
	}
}

static void
test_faults(void **state)
{
	static const struct {
		long status;
		const char *code, *words;
		enum aws_fault wanted;
	} rows[] = {
		{ 200, "", "", AWS_FINE },
		{ 202, "", "", AWS_FINE },
		{ 400, "ThrottlingException", "", AWS_THROTTLED },
		{ 400, "Throttling", "", AWS_THROTTLED },
		{ 429, "TooManyRequestsException", "", AWS_THROTTLED },
		{ 400, "RequestLimitExceeded", "", AWS_THROTTLED },
		{ 429, "", "", AWS_THROTTLED },
		{ 400, "LimitExceededException", "", AWS_FULL },
		{ 402, "ServiceQuotaExceededException", "", AWS_FULL },
		{ 409, "ConflictException", "", AWS_FULL },
		{ 400, "ResourceNotFoundException", "", AWS_NOT_FOUND },
		{ 404, "NotFound", "", AWS_NOT_FOUND },
		{ 400, "QueueDoesNotExist", "", AWS_NOT_FOUND },
		{ 400, "UnrecognizedClientException", "", AWS_CREDENTIALS },
		{ 403, "SignatureDoesNotMatch", "", AWS_CREDENTIALS },
		{ 403, "InvalidSignatureException", "The request signature we calculated ...", AWS_CREDENTIALS },
		{ 403, "InvalidSignatureException", "Signature expired: 20260301T120000Z is now earlier", AWS_SKEWED },
		{ 403, "SignatureDoesNotMatch", "Signature not yet current: 20260301T120000Z", AWS_SKEWED },
		{ 403, "RequestTimeTooSkewed", "", AWS_SKEWED },
		{ 403, "ExpiredToken", "", AWS_CREDENTIALS },
		{ 400, "AccessDeniedException", "Signature expired", AWS_DENIED },
		{ 403, "", "", AWS_DENIED },
		{ 404, "", "", AWS_GONE },
		{ 404, "UnknownOperationException", "", AWS_GONE },
		{ 400, "InvalidAction", "", AWS_GONE },
		{ 500, "InternalFailure", "", AWS_BROKEN },
		{ 503, "", "", AWS_BROKEN },
		{ 503, "SlowDown", "", AWS_THROTTLED },
		{ 400, "ValidationException", "", AWS_REFUSED },
		{ 302, "", "", AWS_REFUSED },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (aws_fault_of(rows[i].status, rows[i].code, rows[i].words) != rows[i].wanted)
			fail_msg("%ld %s %s", rows[i].status, rows[i].code, rows[i].words);
}

static void
test_xml(void **state)
{
	static const struct {
		const char *name, *text, *wanted; /* NULL: MH_SKIP; "!": MH_BAD */
	} rows[] = {
		{ "plain", "<a><b>text</b></a>", "text" },
		{ "white space around it", "<b>\n text \n</b>", "text" },
		{ "a name space and attributes", "<x:b c='d'>t</x:b>", "t" },
		{ "entities", "<b>&lt;&amp;&#65;&#x2603;&quot;&apos;&gt;</b>", "<&A\xe2\x98\x83\"'>" },
		{ "the first of two", "<b>1</b><b>2</b>", "1" },
		{ "a comment holds none", "<!-- <b>no</b> --><b>yes</b>", "yes" },
		{ "CDATA is passed over", "<c><![CDATA[<b>no</b>]]></c><b>yes</b>", "yes" },
		{ "a declaration", "<?xml version='1.0'?><!DOCTYPE b><b>yes</b>", "yes" },
		{ "another name", "<bb>no</bb><ab>no</ab>", NULL },
		{ "one that ends itself", "<b/>", NULL },
		{ "elements inside", "<b><c>x</c></b>", NULL },
		{ "empty", "<b></b>", "" },
		{ "an unknown entity", "<b>&nbsp;</b>", "!" },
		{ "an entity of zero", "<b>&#0;</b>", "!" },
		{ "an entity past Unicode", "<b>&#x110000;</b>", "!" },
		{ "half a pair", "<b>&#xD800;</b>", "!" },
		{ "an entity without end", "<b>&amp</b>", "!" },
		{ "no end", "<b>text", "!" },
		{ "no end of a tag", "<b", "!" },
		{ "no end of a comment", "<!-- <b>x</b>", "!" },
		{ "nothing", "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out;

		buf_init(&out, 100);
		const enum mh_status status = xml_text(span_of(rows[i].text), "b", &out, NULL);
		if (rows[i].wanted == NULL || strcmp(rows[i].wanted, "!") == 0) {
			if (status != (rows[i].wanted == NULL ? MH_SKIP : MH_BAD))
				fail_msg("%s: status %d", rows[i].name, (int)status);
		} else {
			if (status != MH_OK)
				fail_msg("%s: status %d", rows[i].name, (int)status);
			expect_text(rows[i].name, out.n == 0 ? MH_LIT("") : buf_span(&out), rows[i].wanted);
		}
		buf_release(&out);
	}
}

/* The specification's own vector. */
static void
test_webhook(void **state)
{
	static const struct {
		const char *name, *secret, *wanted; /* NULL: refused */
	} rows[] = {
		{ "the vector", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
		    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" },
		{ "without its head", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
		    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" },
		{ "two keys", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\nwhsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n",
		    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" },
		{ "no base64", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", NULL },
		{ "a length that is none", "whsec_MfKQ9", NULL },
		{ "nothing", "", NULL },
		{ "a head alone", "whsec_", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out;

		buf_init(&out, 1000);
		const enum mh_status status = webhook_sign(span_of(rows[i].secret),
		    MH_LIT("msg_p5jXN8AQM9LWM0D4loKWxJek"), 1614265330, MH_LIT("{\"test\": 2432232314}"), &out, NULL);
		if (status != (rows[i].wanted == NULL ? MH_BAD : MH_OK))
			fail_msg("%s: status %d", rows[i].name, (int)status);
		if (rows[i].wanted != NULL)
			expect_text(rows[i].name, buf_span(&out), rows[i].wanted);
		buf_release(&out);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ini),
		cmocka_unit_test(test_split),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_xml),
		cmocka_unit_test(test_webhook),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
