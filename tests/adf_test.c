/* adf_test.c: text as a document of Jira Cloud, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "actions/ticket/adf.h"

#define DOC(content) "{\"version\":1,\"type\":\"doc\",\"content\":[" content "]}"
#define P(content) "{\"type\":\"paragraph\",\"content\":[" content "]}"
#define T(text) "{\"type\":\"text\",\"text\":\"" text "\"}"
#define BR "{\"type\":\"hardBreak\"}"
#define LIST(type, items) "{\"type\":\"" type "\",\"content\":[" items "]}"
#define ITEM(content) "{\"type\":\"listItem\",\"content\":[" P(content) "]}"
#define LINK(url)                                                                                                      \
	"{\"type\":\"text\",\"text\":\"" url "\",\"marks\":[{\"type\":\"link\",\"attrs\":{\"href\":\"" url "\"}}]}"

static void
test_documents(void **state)
{
	static const struct {
		const char *name, *text, *json, *back;
	} rows[] = {
		{ "nothing", "", DOC(""), "" },
		{ "empty lines alone", "\n \n\n", DOC(""), "" },
		{ "one line", "a", DOC(P(T("a"))), "a\n" },
		{ "lines of one paragraph", "a\nb\n", DOC(P(T("a") "," BR "," T("b"))), "a\nb\n" },
		{ "two paragraphs", "a\n\n\nb", DOC(P(T("a")) "," P(T("b"))), "a\nb\n" },
		{ "a list", "- a\n- b\n", DOC(LIST("bulletList", ITEM(T("a")) "," ITEM(T("b")))), "a\n\nb\n\n\n" },
		{ "numbers", "1. a\n12. b", DOC(LIST("orderedList", ITEM(T("a")) "," ITEM(T("b")))), "a\n\nb\n\n\n" },
		{ "an item that was broken is whole again", "- a\n  b\n  c", DOC(LIST("bulletList", ITEM(T("a b c")))),
		    "a b c\n\n\n" },
		{ "a list behind a line", "x\n- a\ny",
		    DOC(P(T("x")) "," LIST("bulletList", ITEM(T("a"))) "," P(T("y"))), "x\na\n\n\ny\n" },
		{ "two kinds of list", "- a\n1. b",
		    DOC(LIST("bulletList", ITEM(T("a"))) "," LIST("orderedList", ITEM(T("b")))), "a\n\n\nb\n\n\n" },
		{ "an item of nothing has no text", "- ",
		    DOC(LIST("bulletList", "{\"type\":\"listItem\",\"content\":[" P("") "]}")), "\n\n\n" },
		{ "what looks like JSON", "\"}]},{\"a\":\"\\", DOC(P(T("\\\"}]},{\\\"a\\\":\\\"\\\\"))),
		    "\"}]},{\"a\":\"\\\n" },
		{ "control characters are left out", "a\x1b\x07z", DOC(P(T("az"))), "az\n" },
		{ "a line of control characters is an empty one", "a\n\x1b\nb", DOC(P(T("a")) "," P(T("b"))),
		    "a\nb\n" },
		{ "a mention is text", "@ann [~ann] :smile: {code}", DOC(P(T("@ann [~ann] :smile: {code}"))),
		    "@ann [~ann] :smile: {code}\n" },
		{ "a link is text", "https://evil.example.net/", DOC(P(T("https://evil.example.net/"))),
		    "https://evil.example.net/\n" },
		{ "the console is a link", "Console: https://console.aws.amazon.com/acm/home now",
		    DOC(P(T("Console: ") "," LINK("https://console.aws.amazon.com/acm/home") "," T(" now"))),
		    "Console: https://console.aws.amazon.com/acm/home now\n" },
		{ "alone on its line too", "https://console.amazonaws.cn/x",
		    DOC(P(LINK("https://console.amazonaws.cn/x"))), "https://console.amazonaws.cn/x\n" },
		{ "a host that begins so is not", "https://console.aws.amazon.com.evil.example/",
		    DOC(P(T("https://console.aws.amazon.com.evil.example/"))),
		    "https://console.aws.amazon.com.evil.example/\n" },
		{ "nor one within a word", "x=https://console.aws.amazon.com/",
		    DOC(P(T("x=https://console.aws.amazon.com/"))), "x=https://console.aws.amazon.com/\n" },
	};
	struct buf made, back;

	(void)state;
	buf_init(&made, 1u << 16);
	buf_init(&back, 1u << 16);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cJSON *document = adf_of_text(span_of(rows[i].text));

		buf_clear(&made);
		buf_clear(&back);
		assert_non_null(document);
		assert_true(json_print(document, &made));
		assert_true(adf_text(document, &back));
		if (strcmp(made.p, rows[i].json) != 0)
			fail_msg("%s:\n%s\n%s", rows[i].name, made.p, rows[i].json);
		if (!span_eq(buf_span(&back), span_of(rows[i].back)))
			fail_msg("%s: read back: %s", rows[i].name, back.p);
		cJSON_Delete(document);
	}
	buf_release(&made);
	buf_release(&back);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_documents) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
