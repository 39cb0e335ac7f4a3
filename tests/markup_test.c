/* markup_test.c: what values from outside become in Markdown and in wiki text, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actions/common/markup.h"

#define J "\xE2\x81\xA0" /* U+2060 WORD JOINER */

static void
check_row(const char *name, template_escape *escape, const struct template_var *v, const char *expected)
{
	struct buf out;

	buf_init(&out, 1u << 16);
	escape(&out, v);
	assert_true(buf_ok(&out));
	if (!span_eq(buf_span(&out), span_of(expected)))
		fail_msg("%s: \"%s\", not \"%s\"", name, buf_span(&out).p, expected);
	buf_release(&out);
}

static void
test_rows(void **state)
{
	static const struct {
		const char *name;
		enum template_lines lines;
		const char *value, *markdown, *wiki;
	} rows[] = {
		{ "nothing", LINES_ONE, "", "", "" },
		{ "plain words", LINES_ONE, "SCIM access token (two)", "SCIM access token (two)",
		    "SCIM access token \\(two\\)" },
		{ "an account", LINES_ONE, "123456789012", "123456789012", "123456789012" },
		{ "letters of all kinds", LINES_ONE, "K\xc3\xb6ln", "K\xc3\xb6ln", "K\xc3\xb6ln" },
		{ "an ARN", LINES_ONE, "arn:aws:acm:eu-west-1:1:certificate/0a1b",
		    "`arn:aws:acm:eu-west-1:1:certificate/0a1b`",
		    "arn\\:" J "aws\\:" J "acm\\:" J "eu\\-west\\-1\\:" J "1\\:" J "certificate/0a1b" },
		{ "a mention", LINES_ONE, "@ann", "`@ann`", "\\@" J "ann" },
		{ "an address", LINES_ONE, "a@example.com", "`a@example.com`", "a\\@" J "example.com" },
		{ "a reference of GitHub's", LINES_ONE, "GH-1", "`GH-1`", "GH" J "\\-1" },
		{ "backticks", LINES_ONE, "a ``b` c", "```a ``b` c```", "a ``b` c" },
		{ "a backtick at an end", LINES_ONE, "`", "`` ` ``", "`" },
		{ "a list's beginning", LINES_ONE, "1. x", "`1. x`", "1" J ". x" },
		{ "a line end is none", LINES_ONE, "a\n# b", "`a # b`", "a \\# b" },
		{ "a link", LINES_LINK, "https://console.aws.amazon.com/x?y=z",
		    "<https://console.aws.amazon.com/x?y=z>", "[https://console.aws.amazon.com/x?y=z]" },
		{ "text of several lines", LINES_WRAP, "one two\nthree", "one two three", "one two three" },
		{ "emphasis", LINES_WRAP, "*a* _b_ ~c~ +d+", "\\*a\\* \\_b\\_ \\~" J "c\\~ \\+d\\+",
		    "\\*a\\* \\_b\\_ \\~" J "c\\~ \\+d\\+" },
		{ "links", LINES_WRAP, "[a](b) https://c www.d.e", "\\[a\\](b) https:" J "//c www" J ".d.e",
		    "\\[a\\]\\(b\\) https\\:" J "//c www" J ".d.e" },
		{ "mentions and references", LINES_WRAP, "@a #1 !2 $3 &4 %5",
		    "\\@" J "a \\#" J "1 \\!" J "2 \\$" J "3 \\&" J "4 \\%" J "5",
		    "\\@" J "a \\#" J "1 \\!" J "2 $" J "3 &amp;" J "4 %" J "5" },
		{ "HTML", LINES_WRAP, "<b>", "\\<b\\>", "&lt;b&gt;" },
		{ "backslashes", LINES_WRAP, "\\\\", "\\\\\\\\", "&#92;&#92;" },
		{ "macros", LINES_WRAP, "{code} {{x}}", "\\{code\\} \\{\\{x\\}\\}", "\\{code\\} \\{\\{x\\}\\}" },
		{ "a command", LINES_WRAP, "/close", "\\/close", "/close" },
		{ "a command on a line behind", LINES_WRAP, "a\n/close", "a \\/close", "a /close" },
		{ "a heading of Jira's", LINES_WRAP, "h1. x", "h1. x", "h1" J ". x" },
		{ "our own list", LINES_LIST, "- a: #1\n- b\n  c", "- a: \\#" J "1\n- b c", "* a\\: \\#" J "1\n* b c" },
		{ "our own numbers", LINES_LIST, "1. a\n   b\n2. c", "1. a b\n2. c", "# a b\n# c" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct template_var v = { "v", span_of(rows[i].value), rows[i].lines };

		check_row(rows[i].name, template_markdown, &v, rows[i].markdown);
		check_row(rows[i].name, template_wiki, &v, rows[i].wiki);
	}
}

/* Of no pair of signs is anything left that begins markup: each punctuation mark is escaped, in code, or harmless. */
static void
test_pairs(void **state)
{
	char text[3] = "";

	(void)state;
	for (char a = '!'; a < 0x7F; a++)
		for (char b = '!'; b < 0x7F; b++) {
			const struct template_var v = { "v", { text, 2 }, LINES_WRAP };
			struct buf out;

			text[0] = a;
			text[1] = b;
			buf_init(&out, 64);
			template_markdown(&out, &v);
			for (size_t i = 0; i < out.n; i++) {
				const bool escaped = i > 0 && out.p[i - 1] == '\\';

				if (out.p[i] == '\\' && !escaped)
					continue;
				if (!escaped && span_find(MH_LIT("`*_{}[]<>#|~!$&%^=+@"),
						    (struct mh_span){ &out.p[i], 1 }, 0) != SIZE_MAX)
					fail_msg("%s becomes %s", text, out.p);
				if (escaped) /* a backslash that is escaped escapes nothing */
					out.p[i] = out.p[i] == '\\' ? 'x' : out.p[i];
			}
			buf_release(&out);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
