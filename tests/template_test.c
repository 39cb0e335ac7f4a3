/* template_test.c: the template language, row by row; and the case in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "actions/common/case_text.h"
#include "actions/common/template.h"

static const struct template_var items[] = {
	{ "name", { "Ada", 3 }, false },
	{ "empty", { "", 0 }, false },
	{ "unknown", { NULL, 0 }, false },
	{ "evil", { "a\nb\r\0c\x1b{name}\xc2\x9b", 15 }, false },
	{ "block", { "one\ntwo", 7 }, true },
	{ "umlaut", { "K\xc3\xb6ln", 5 }, false },
	{ "broken", { "x\xff", 2 }, false },
};
static const struct template_vars vars = { items, sizeof(items) / sizeof(items[0]) };

static void
test_rows(void **state)
{
	static const struct {
		const char *name, *text, *expected, *error;
	} rows[] = {
		{ "nothing", "", "", NULL },
		{ "plain", "a } b\n", "a } b\n", NULL },
		{ "a variable", "<{name}>", "<Ada>", NULL },
		{ "an unknown one is nothing", "<{unknown}>", "<>", NULL },
		{ "default words", "{unknown|none of them} {empty|e} {name|x}", "none of them e Ada", NULL },
		{ "an empty default", "<{unknown|}>", "<>", NULL },
		{ "a brace", "{{name}", "{name}", NULL },
		{ "a condition that holds", "a{?name} {name}{/name}b", "a Adab", NULL },
		{ "a condition that does not", "a{?empty}x{/empty}b{?unknown}{unknown}y{/unknown}c", "abc", NULL },
		{ "nested", "{?name}1{?empty}2{?block}3{/block}{/empty}4{/name}", "14", NULL },
		{ "lines of conditions leave none", "a\n{?name}\nb\n{/name}\n{?empty}\nc\n{/empty}\nd\n", "a\nb\nd\n",
		    NULL },
		{ "with CRLF too", "a\r\n{?name}\r\nb\r\n{/name}\r\n", "a\r\nb\r\n", NULL },
		{ "inside a line the line stays", "a{?name}\nb{/name}\nc", "a\nb\nc", NULL },
		{ "a value is no template, and one line", "{evil}", "a b  c {name} ", NULL },
		{ "a block keeps its lines", "{block}", "one\ntwo", NULL },
		{ "UTF-8 stays", "{umlaut}", "K\xc3\xb6ln", NULL },
		{ "broken UTF-8 does not", "{broken}", "x?", NULL },
		{ "no such variable", "a\nb {nope}", NULL, "t:5: there is no variable {nope}" },
		{ "no such condition", "{?nope}{/nope}", NULL, "t:4: there is no variable {nope}" },
		{ "in what is not shown too", "{?empty}\n{nope}\n{/empty}", NULL, "t:5: there is no variable {nope}" },
		{ "never closed brace", "a {name\n}", NULL, "t:4: a brace is not closed on its line: {name}" },
		{ "never closed condition", "\n{?name}a\n", NULL, "t:5: a condition is never closed: {name}" },
		{ "closed and never opened", "{/name}", NULL,
		    "t:4: nothing of that name is open here to be closed: {name}" },
		{ "closed crosswise", "{?name}{?block}{/name}{/block}", NULL,
		    "t:4: nothing of that name is open here to be closed: {name}" },
		{ "no name", "{}", NULL, "t:4: there is no name in {}" },
		{ "names are told in plain signs", "{a\x1b\xff}", NULL, "t:4: there is no variable {a\\x1b\\xff}" },
		{ "nested at the limit",
		    "{?name}{?name}{?name}{?name}{?name}{?name}{?name}{?name}x"
		    "{/name}{/name}{/name}{/name}{/name}{/name}{/name}{/name}",
		    "x", NULL },
		{ "nested past the limit", "{?name}{?name}{?name}{?name}{?name}{?name}{?name}{?name}{?name}x", NULL,
		    "t:4: conditions are nested too deep at {name}" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mh_err err = { 0 };
		struct buf out;

		buf_init(&out, 1000);
		const enum mh_status status =
		    template_render("t", 4, span_of(rows[i].text), &vars, template_plain, &out, &err);
		const bool right =
		    rows[i].error != NULL
			? status == MH_BAD && strncmp(err.text, rows[i].error, strlen(rows[i].error)) == 0
			: status == MH_OK && span_eq(buf_span(&out), span_of(rows[i].expected));
		if (!right)
			fail_msg("%s: %d \"%s\" \"%s\"", rows[i].name, (int)status, buf_span(&out).p, err.text);
		buf_release(&out);
	}
}

/* The same values in HTML: none of their signs means anything there, and wrapped lines become one. */
static void
test_html(void **state)
{
	static const struct {
		const char *name;
		struct mh_span value;
		enum template_lines lines;
		const char *expected;
	} rows[] = {
		{ "plain", MH_LIT("Ada"), LINES_ONE, "<b>Ada</b>" },
		{ "signs", MH_LIT("<a href=\"x\" id='y'>&amp;"), LINES_ONE,
		    "<b>&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;</b>" },
		{ "controls", MH_LIT("a\nb\x1b\0c"), LINES_ONE, "<b>a b  c</b>" },
		{ "turned around", MH_LIT("x\u202Egpj.exe\u2066y\u2069\u200E\u200F\u061C"), LINES_ONE,
		    "<b>x gpj.exe y    </b>" },
		{ "separators",
		    MH_LIT("a\u2028b\u2029c\xC2\x85"
			   "d"),
		    LINES_ONE, "<b>a b c d</b>" },
		{ "other scripts", MH_LIT("K\u00F6ln \u5BBF \u0639\u0631\u0628\u064A"), LINES_ONE,
		    "<b>K\u00F6ln \u5BBF \u0639\u0631\u0628\u064A</b>" },
		{ "a list", MH_LIT("1. one\n   more\n2. two"), LINES_LIST, "<b>1. one    more<br>\n2. two</b>" },
		{ "a paragraph", MH_LIT("one\ntwo <"), LINES_WRAP, "<b>one two &lt;</b>" },
		{ "no template", MH_LIT("{name}"), LINES_ONE, "<b>{name}</b>" },
		{ "broken UTF-8", MH_LIT("x\xff"), LINES_ONE, "<b>x?</b>" },
		{ "unknown", MH_NONE, LINES_ONE, "<b></b>" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct template_var one = { "v", rows[i].value, rows[i].lines };
		const struct template_vars all = { &one, 1 };
		struct buf out;

		buf_init(&out, 1000);
		if (template_render("t", 1, MH_LIT("<b>{v}</b>"), &all, template_html, &out, NULL) != MH_OK ||
		    strcmp(out.p, rows[i].expected) != 0)
			fail_msg("%s: \"%s\"", rows[i].name, buf_span(&out).p);
		buf_release(&out);
	}
}

static void
test_output_limit(void **state)
{
	struct mh_err err = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 6);
	assert_int_equal(template_render("t", 1, MH_LIT("{name}{name}"), &vars, template_plain, &out, &err), MH_OK);
	buf_clear(&out);
	assert_int_equal(template_render("t", 1, MH_LIT("{name}{name}."), &vars, template_plain, &out, &err), MH_LIMIT);
	assert_string_equal(err.text, "t:1: the text becomes longer than 6 bytes");
	buf_release(&out);
}

static void
test_due_words(void **state)
{
	static const struct {
		int64_t days;
		const char *words;
	} rows[] = { { 89, "in 89 days" }, { 1, "in 1 day" }, { 0, "within a day" }, { -1, "within the last day" },
		{ -2, "1 day ago" }, { -31, "30 days ago" } };
	struct arena a;

	(void)state;
	arena_init(&a, 1u << 20);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mh_span words;

		assert_int_equal(due_words(rows[i].days, NULL, &a, &words, NULL), MH_OK);
		assert_string_equal(words.p, rows[i].words);
	}
	arena_release(&a);
}

static void
test_wrap(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 1000);
	text_wrap(&out, MH_LIT("aaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbb  ccccccccccccccccccc dd"), "- ",
	    "  ");
	assert_string_equal(
	    out.p, "- aaaaaaaaaaaaaaaaaaaaaaaaa bbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n  ccccccccccccccccccc dd\n");
	buf_release(&out);
}

/* Every kind's steps must be a template that renders, with all known and with nothing known. */
static void
test_steps(void **state)
{
	static const char *const kinds[] = { "aws.identity-center.scim-token", "aws.acm.certificate",
		"aws.rds.ca-certificate", "aws.eks.version-support", "aws.lambda.runtime-support",
		"aws.rolesanywhere.certificate", "github.token", "gitlab.token", "salesforce.certificate",
		"unrecognised", "flood", "mailhook.drill", "example.other" };

	(void)state;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		for (int full = 0; full < 2; full++) {
			struct request r = { .state_dir = "/", .job_key = "j", .case_key = "k", .now = 1000 };
			struct template_vars v;
			struct mh_err err = { 0 };
			struct arena a;

			r.expiry.kind = kinds[i];
			r.expiry.region = full ? "eu-west-1" : NULL;
			r.expiry.resource = full ? "thing" : NULL;
			r.expiry.id = full;
			arena_init(&a, 1u << 20);
			if (case_vars(&r, NULL, READERS_PEOPLE, &a, &v, &err) != MH_OK)
				fail_msg("%s: %s", kinds[i], err.text);
			const struct mh_span steps = case_var(&v, "steps");
			assert_true(span_starts(steps, MH_LIT("1. ")));
			assert_true(span_find(steps, MH_LIT("{"), 0) == SIZE_MAX);
			assert_true(span_find(steps, full ? MH_LIT(" 1") : MH_LIT("CASE"), 0) != SIZE_MAX);
			arena_release(&a);
		}
}

#define ARN "arn:aws:acm:eu-west-1:123456789012:certificate/e52b3253-9753-4268-8a76-f3f30402c001"
#define ELSEWHERE "named in the mail: see mailhook show 7"
#define UNREAD "a listed sender's mail that no definition reads"

/* What stood in a mail, as a ticket shows it where nothing proves the mail. A proven one is shown as it is. */
static void
test_unproven_facts(void **state)
{
	static const struct {
		const char *name, *kind;
		const char *var, *value, *shown; /* shown NULL: as it is */
	} rows[] = {
		{ "an account", "aws.acm.certificate", "account", "123456789012", NULL },
		{ "a name as account", "github.token", "account", "octo-cat", NULL },
		{ "the end of a Salesforce id", "salesforce.certificate", "account", "00D**", NULL },
		{ "a sentence as account", "example.token", "account", "call us now", ELSEWHERE },
		{ "a region", "aws.acm.certificate", "region", "us-gov-west-1", NULL },
		{ "no region", "aws.acm.certificate", "region", "see https://evil.test", ELSEWHERE },
		{ "an ARN", "aws.acm.certificate", "resource", ARN, NULL },
		{ "an ARN with a link in it", "aws.acm.certificate", "resource", "arn:aws:acm:https://evil.test/x",
		    ELSEWHERE },
		{ "an ARN with words in it", "aws.acm.certificate", "resource", "arn:aws:acm call us", ELSEWHERE },
		{ "a version", "aws.eks.version-support", "resource", "1.29", NULL },
		{ "a runtime's name", "aws.lambda.runtime-support", "resource", "Node.js 20", NULL },
		{ "a runtime's name with a point", "aws.lambda.runtime-support", "resource", ".NET 6", NULL },
		{ "a runtime on a system", "aws.lambda.runtime-support", "resource", "Java 8 on Amazon Linux 1", NULL },
		{ "a runtime's identifier", "aws.lambda.runtime-support", "resource", "python3.9", NULL },
		{ "a runtime with words behind it", "aws.lambda.runtime-support", "resource", "Java 8 call us",
		    ELSEWHERE },
		{ "a runtime that is none", "aws.lambda.runtime-support", "resource", "our support line", ELSEWHERE },
		{ "a runtime of another kind", "github.token", "resource", "Node.js 20", ELSEWHERE },
		{ "a host", "example.certificate", "resource", "www.example.com", ELSEWHERE },
		{ "a host that looks like AWS", "aws.eks.version-support", "resource", "www.aws-renew.evil.test",
		    ELSEWHERE },
		{ "a host as account", "gitlab.token", "account", "gitlab.example.com", ELSEWHERE },
		{ "a sentence in hyphens", "github.token", "resource", "Call-0800-555-0199-or-your-account-is-closed",
		    ELSEWHERE },
		{ "a short one", "github.token", "resource", "call-us-on-0800-5550199", ELSEWHERE },
		{ "one as an account of AWS", "aws.acm.certificate", "account", "call_us_on_0800_5550199", ELSEWHERE },
		{ "one as a region", "aws.acm.certificate", "region", "call-us-now", ELSEWHERE },
		{ "one in an ARN", "aws.acm.certificate", "resource", "arn:aws:acm:::call/us/on/0800/5550199",
		    ELSEWHERE },
		{ "a host in an ARN", "aws.acm.certificate", "resource", "arn:aws:acm:::www.evil.test/renew",
		    ELSEWHERE },
		{ "a word at the limit", "github.token", "resource", "a123456789a123456789a123456789a123456789", NULL },
		{ "a word past it", "github.token", "resource", "a123456789a123456789a123456789a1234567890",
		    ELSEWHERE },
		{ "a certificate of Salesforce", "salesforce.certificate", "resource", "SelfSignedCert_one", NULL },
		{ "an identifier with a point", "aws.lambda.runtime-support", "resource", "nodejs20.x", NULL },
		{ "an identifier with its system", "aws.lambda.runtime-support", "resource", "provided.al2023", NULL },
		{ "one word", "github.token", "resource", "deploy-key_2", NULL },
		{ "a sentence", "github.token", "resource", "deploy key, see evil.test", ELSEWHERE },
		{ "a link", "github.token", "resource", "https://evil.test/renew", ELSEWHERE },
		{ "a link without its scheme", "github.token", "resource", "evil.test/renew", ELSEWHERE },
		{ "an address, where none is due", "github.token", "resource", "a@evil.test", ELSEWHERE },
		{ "a sender", "unrecognised", "resource", "first.last+aws@example.com", NULL },
		{ "a sender that is none", "unrecognised", "resource", "call us @ example.com", ELSEWHERE },
		{ "a name in other letters", "github.token", "resource", "K\xc3\xb6ln", ELSEWHERE },
		{ "a reason of ours", "unrecognised", "reason", "no date", NULL },
		{ "a reason that quotes", "unrecognised", "reason", UNREAD ": \"expires soon: https://evil.test\"",
		    UNREAD },
		{ "a reason that goes on behind the quote", "unrecognised", "reason",
		    UNREAD ": \"EXPIR\" in its subject", UNREAD },
		{ "a reason with an event", "unrecognised", "reason", UNREAD ": \"a b EXPIRY\" as its event", UNREAD },
		{ "what mailhook says of itself", "mailhook.credential", "resource", "jira: TLS client certificate",
		    NULL },
		{ "what stood in the mail before a silence", "mailhook.silence", "resource", "https://evil.test/renew",
		    ELSEWHERE },
		{ "its account", "mailhook.silence", "account", "123456789012", NULL },
		{ "its region", "mailhook.silence", "region", "see evil.test", ELSEWHERE },
		{ "why mailhook says it", "mailhook.silence", "reason", "\"ops\" is silent", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int level = TRUST_NONE; level <= TRUST_VERIFIED; level++)
			for (int readers = READERS_PROGRAMS; readers <= READERS_PEOPLE; readers++) {
				struct request r = { .state_dir = "/", .job_key = "j", .case_key = "k", .now = 1000 };
				const bool hidden = level == TRUST_NONE && readers == READERS_PEOPLE;
				const char *shown = hidden && rows[i].shown != NULL ? rows[i].shown : rows[i].value;
				const char *const names[] = { "account", "region", "resource", "reason" };
				const char **const values[] = { &r.expiry.account, &r.expiry.region, &r.expiry.resource,
					&r.expiry.reason };
				struct template_vars v;
				struct mh_err err = { 0 };
				struct arena a;

				r.expiry.kind = rows[i].kind;
				r.expiry.id = 7;
				r.trust.level =
				    strcmp(rows[i].kind, "unrecognised") == 0 ? TRUST_NONE : (enum trust)level;
				r.message.trust = (enum trust)level;
				for (size_t k = 0; k < 4; k++)
					if (strcmp(names[k], rows[i].var) == 0)
						*values[k] = rows[i].value;
				arena_init(&a, 1u << 20);
				if (case_vars(&r, NULL, (enum case_readers)readers, &a, &v, &err) != MH_OK)
					fail_msg("%s: %s", rows[i].name, err.text);
				const struct mh_span got = case_var(&v, rows[i].var);
				if (!span_eq(got, span_of(shown)))
					fail_msg("%s, level %d: \"%.*s\"", rows[i].name, level, (int)got.n, got.p);
				arena_release(&a);
			}
}

/* In a mail to a queue: what is no ticket's mark stays what it is. */
static void
test_facts_by_mail(void **state)
{
	static const struct {
		const char *name;
		enum mail_fact what;
		const char *value, *shown; /* shown NULL: as it is */
	} rows[] = {
		{ "an account", MAIL_ACCOUNT, "123456789012", NULL },
		{ "a region", MAIL_REGION, "us-gov-west-1", NULL },
		{ "a region that is none", MAIL_REGION, "OPS-12", "OPS- 12" },
		{ "an ARN", MAIL_RESOURCE, ARN, NULL },
		{ "one in small letters", MAIL_REGION, "ops-12", "ops- 12" },
		{ "an ARN with a key in it", MAIL_RESOURCE, "arn:aws:x:::OPS-12", "arn:aws:x:::OPS- 12" },
		{ "one in small letters in an ARN", MAIL_RESOURCE, "arn:aws:x:::user/ops-12",
		    "arn:aws:x:::user/ops- 12" },
		{ "an ARN with a key where its region is", MAIL_RESOURCE, "arn:aws:x:ops-12::a",
		    "arn:aws:x:ops- 12::a" },
		{ "a key with a digit", MAIL_RESOURCE, "AB2-123", "AB2- 123" },
		{ "a chain behind one", MAIL_RESOURCE, "AB2-1-2", "AB2- 1- 2" },
		{ "a time with its zone", MAIL_REASON, "2026-02-03T04:05:06-05:00", NULL },
		{ "a version", MAIL_RESOURCE, "1.29", NULL },
		{ "versions and names", MAIL_RESOURCE, "python3.9 (ec2) v1", NULL },
		{ "a date and a time", MAIL_REASON, "2026-02-03T04:05:06Z", NULL },
		{ "a number alone", MAIL_RESOURCE, "100012", NULL },
		{ "three digits behind letters", MAIL_RESOURCE, "INC123", NULL },
		{ "four", MAIL_RESOURCE, "INC1234", "INC 1234" },
		{ "a chain of numbers", MAIL_RESOURCE, "ip-10-0-0-1", "ip- 10-0-0-1" },
		{ "brackets around brackets", MAIL_RESOURCE, "[[a#1]]", "((aNo. 1))" },
		{ "a mark of marks", MAIL_RESOURCE, "##12", "No. No. 12" },
		{ "a mark at the end", MAIL_RESOURCE, "C#", "CNo. " },
		{ "other letters", MAIL_RESOURCE, "K\xc3\xb6ln", NULL },
		{ "a number behind other letters", MAIL_RESOURCE,
		    "\xc3\xb6"
		    "12",
		    "\xc3\xb6 12" },
		{ "nothing", MAIL_RESOURCE, "", NULL },
		{ "unknown", MAIL_RESOURCE, NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct request r = { .expiry.kind = "github.token", .trust.level = TRUST_VERIFIED };
		struct mh_span got = MH_NONE;
		struct mh_err err = { 0 };
		struct arena a;

		arena_init(&a, 1u << 16);
		if (mail_fact_show(&r, rows[i].what, rows[i].value, READERS_BY_MAIL, MH_LIT("x"), &a, &got, &err) !=
		    MH_OK)
			fail_msg("%s: %s", rows[i].name, err.text);
		if (!span_eq(got, span_of(rows[i].shown == NULL ? rows[i].value : rows[i].shown)))
			fail_msg("%s: \"%.*s\"", rows[i].name, (int)got.n, got.p);
		arena_release(&a);
	}
}

/* What mailhook says of itself has no marks to lose; what a case of silence copies from a mail's case has. */
static void
test_own_facts_by_mail(void **state)
{
	static const struct {
		const char *name, *kind;
		enum mail_fact what;
		enum trust level;
		const char *value, *shown;
	} rows[] = {
		{ "a proven mail before a silence", "mailhook.silence", MAIL_RESOURCE, TRUST_VERIFIED,
		    "[example.com #12]", "(example.com No. 12)" },
		{ "an unproven one", "mailhook.silence", MAIL_RESOURCE, TRUST_NONE, "[example.com #12]", "elsewhere" },
		{ "its link", "mailhook.silence", MAIL_RESOURCE, TRUST_NONE, "https://evil.test", "elsewhere" },
		{ "its account", "mailhook.silence", MAIL_ACCOUNT, TRUST_NONE, "ops-12", "ops- 12" },
		{ "its region", "mailhook.silence", MAIL_REGION, TRUST_VERIFIED, "OPS-12", "OPS- 12" },
		{ "a credential", "mailhook.credential", MAIL_RESOURCE, TRUST_NONE, "jira #12", "jira #12" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct request r = { .expiry.kind = rows[i].kind, .trust.level = rows[i].level };
		struct mh_span got = MH_NONE;
		struct mh_err err = { 0 };
		struct arena a;

		arena_init(&a, 1u << 16);
		if (mail_fact_show(
			&r, rows[i].what, rows[i].value, READERS_BY_MAIL, MH_LIT("elsewhere"), &a, &got, &err) != MH_OK)
			fail_msg("%s: %s", rows[i].name, err.text);
		if (!span_eq(got, span_of(rows[i].shown)))
			fail_msg("%s: \"%.*s\"", rows[i].name, (int)got.n, got.p);
		arena_release(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_html),
		cmocka_unit_test(test_output_limit),
		cmocka_unit_test(test_due_words),
		cmocka_unit_test(test_wrap),
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_unproven_facts),
		cmocka_unit_test(test_facts_by_mail),
		cmocka_unit_test(test_own_facts_by_mail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
