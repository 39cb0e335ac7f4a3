/* mail_html_test.c: HTML to text: what a person reads, and nothing of what only a browser does. */
#include "tests/exact.h"

#include "mailhook/mail/entities.h"
#include "mailhook/mail/html.h"

#define NBSP "\xC2\xA0"
#define FFFD "\xEF\xBF\xBD"

static const struct {
	const char *name;
	struct mh_span html, text;
	const char *links;
} rows[] = {
	{ "nothing", MH_LIT(""), MH_LIT(""), "" },
	{ "text", MH_LIT("plain text"), MH_LIT("plain text"), "" },
	{ "white space collapses", MH_LIT(" a \r\n\t b\f\n"), MH_LIT("a b"), "" },
	{ "white space across tags", MH_LIT("a <b> b</b> c"), MH_LIT("a b c"), "" },
	{ "inline tags give nothing", MH_LIT("<b>a</b><i>b</i>"), MH_LIT("ab"), "" },
	{ "no-break spaces stay", MH_LIT("a&nbsp;&nbsp;b"), MH_LIT("a" NBSP NBSP "b"), "" },
	{ "paragraphs", MH_LIT("<p>Account</p><p>123456789012</p>"), MH_LIT("Account\n123456789012\n"), "" },
	{ "paragraphs apart", MH_LIT("<p>a</p>\n\n <p> b </p>"), MH_LIT("a\nb\n"), "" },
	{ "unclosed paragraphs", MH_LIT("<p>a<p>b"), MH_LIT("a\nb"), "" },
	{ "table cells", MH_LIT("<table><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></table>"), MH_LIT("a\nb\nc\n"),
	    "" },
	{ "unclosed cells", MH_LIT("<table><tr><td>a<td>b<tr><td>c"), MH_LIT("a\nb\nc"), "" },
	{ "list", MH_LIT("<ul><li>a<li>b</ul>c"), MH_LIT("a\nb\nc"), "" },
	{ "headings", MH_LIT("x<h1>a</h1>y"), MH_LIT("x\na\ny"), "" },
	{ "nested blocks make one break", MH_LIT("<div><div><p>a</p></div></div><div>b</div>"), MH_LIT("a\nb\n"), "" },
	{ "br", MH_LIT("a<br>b<br/>c<BR />d"), MH_LIT("a\nb\nc\nd"), "" },
	{ "two br make an empty line", MH_LIT("a<br><br>b"), MH_LIT("a\n\nb"), "" },
	{ "br before the end of a block", MH_LIT("<p>a<br></p>b"), MH_LIT("a\nb"), "" },
	{ "closing br", MH_LIT("a</br>b"), MH_LIT("a\nb"), "" },
	{ "hr", MH_LIT("a<hr>b"), MH_LIT("a\nb"), "" },
	{ "pre keeps", MH_LIT("<pre>\n a  b\n\tc\r\nd</pre>e  f"), MH_LIT(" a  b\n\tc\nd\ne f"), "" },
	{ "pre with markup", MH_LIT("<pre><b>a  b</b></pre>"), MH_LIT("a  b\n"), "" },
	{ "a second end of pre", MH_LIT("</pre>a  b"), MH_LIT("a b"), "" },
	{ "comment", MH_LIT("a<!-- x > y <p> -->b"), MH_LIT("ab"), "" },
	{ "shortest comments", MH_LIT("a<!-->b<!--->c<!---->d"), MH_LIT("abcd"), "" },
	{ "comment without end hides the rest", MH_LIT("a<!-- b"), MH_LIT("a"), "" },
	{ "conditional comment, hidden", MH_LIT("a<!--[if mso]><p>mso</p><![endif]-->b"), MH_LIT("ab"), "" },
	{ "conditional comment, revealed", MH_LIT("a<![if !mso]>b<![endif]>c"), MH_LIT("abc"), "" },
	{ "conditional comment, revealed for all", MH_LIT("a<!--[if !mso]><!-->b<!--<![endif]-->c"), MH_LIT("abc"),
	    "" },
	{ "conditional comment, another form", MH_LIT("a<!--[if !mso]> -->b<!-- <![endif]-->c"), MH_LIT("abc"), "" },
	{ "doctype and processing instruction", MH_LIT("<!DOCTYPE html><?xml version=\"1\"?>a"), MH_LIT("a"), "" },
	{ "style and script", MH_LIT("a<style>p{x:\"</p>\"}</style>b<script>if(1<2)'<!--'</script>c"), MH_LIT("abc"),
	    "" },
	{ "style with attributes, upper case", MH_LIT("a<STYLE type='x>y'>b</Style >c"), MH_LIT("ac"), "" },
	{ "near end of a script", MH_LIT("<script></scripty></script>a"), MH_LIT("a"), "" },
	{ "script without end", MH_LIT("a<script>b"), MH_LIT("a"), "" },
	{ "end of a script at the end", MH_LIT("a<script></script"), MH_LIT("a"), "" },
	{ "head", MH_LIT("<html><head><title>t</title><meta charset=x>loose</head><body>a</body></html>"),
	    MH_LIT("a\n"), "" },
	{ "head never closed", MH_LIT("<head><style>x</style><p>a</p>"), MH_LIT("a\n"), "" },
	{ "title in the body", MH_LIT("a<title>t</title>b"), MH_LIT("ab"), "" },
	{ "hidden content is text", MH_LIT("<div style=\"display:none\">a</div>b"), MH_LIT("a\nb"), "" },
	{ "image texts are none", MH_LIT("a<img alt=\"x\" src=y>b"), MH_LIT("ab"), "" },
	{ "NULs go", MH_LIT("a\0b<p\0>\0c"), MH_LIT("abc"), "" },
	{ "angles that are no tag", MH_LIT("1 < 2 <3 <> </ <-"), MH_LIT("1 < 2 <3 <>"), "" },
	{ "an angle at the end", MH_LIT("a<"), MH_LIT("a<"), "" },
	{ "an end tag without name", MH_LIT("a</>b"), MH_LIT("ab"), "" },
	{ "a tag without end is none", MH_LIT("a<b class=x"), MH_LIT("a"), "" },
	{ "a quote without end", MH_LIT("a<a href=\"x>b"), MH_LIT("a"), "" },
	{ "greater in a quoted attribute", MH_LIT("a<b title=\"x>y\" z='>'>b"), MH_LIT("ab"), "" },
	{ "unquoted attributes", MH_LIT("<a href=https://example.com/?a=b/c&amp;d=e>x</a>"), MH_LIT("x"),
	    "https://example.com/?a=b/c&d=e\n" },
	{ "attribute without value", MH_LIT("<a disabled href = 'x' >y</a>"), MH_LIT("y"), "x\n" },
	{ "an equals sign starts a name", MH_LIT("<a =x href=y>z</a>"), MH_LIT("z"), "y\n" },
	{ "the first of two hrefs", MH_LIT("<a href=1 HREF=2>z</a>"), MH_LIT("z"), "1\n" },
	{ "no href", MH_LIT("<a name=x>z</a>"), MH_LIT("z"), "" },
	{ "slashes between attributes", MH_LIT("<a/href=x/>z"), MH_LIT("z"), "x/\n" },
	{ "an ARN in a link only",
	    MH_LIT("<a href=\"https://example.com/#arn:aws:acm:eu-west-1:123456789012:certificate/x\">see</a>"),
	    MH_LIT("see"), "https://example.com/#arn:aws:acm:eu-west-1:123456789012:certificate/x\n" },
	{ "links in order", MH_LIT("<a href=a>1</a><a href=b>2</a>"), MH_LIT("12"), "a\nb\n" },
	{ "line ends in a link go", MH_LIT("<a href=' a\r\n\tb&#10;c&#x9; '>1</a>"), MH_LIT("1"), "abc\n" },
	{ "an empty link", MH_LIT("<a href=''>1</a><a href=\" \">2</a>"), MH_LIT("12"), "" },
	{ "a parameter that looks like an entity", MH_LIT("<a href='?a=1&copy=2&lt=3&amp'>1</a>"), MH_LIT("1"),
	    "?a=1&copy=2&lt=3&\n" },
	{ "area and link are no <a>", MH_LIT("<link href=x><area href=y>z"), MH_LIT("z"), "" },
	{ "unknown elements are inline", MH_LIT("a<o:p>b</o:p><averyveryverylongname>c"), MH_LIT("abc"), "" },
	{ "entities", MH_LIT("&lt;&gt;&amp;&quot;&apos;&copy;&euro;"), MH_LIT("<>&\"'\xC2\xA9\xE2\x82\xAC"), "" },
	{ "typography", MH_LIT("&lsquo;&rsquo;&ldquo;&rdquo;&ndash;&mdash;&hellip;"),
	    MH_LIT("\xE2\x80\x98\xE2\x80\x99\xE2\x80\x9C\xE2\x80\x9D\xE2\x80\x93\xE2\x80\x94\xE2\x80\xA6"), "" },
	{ "signs without width", MH_LIT("&shy;&zwnj;&zwj;"), MH_LIT("\xC2\xAD\xE2\x80\x8C\xE2\x80\x8D"), "" },
	{ "letters, case counts", MH_LIT("&uuml;&Uuml;&Auml;&szlig;&eacute;"),
	    MH_LIT("\xC3\xBC\xC3\x9C\xC3\x84\xC3\x9F\xC3\xA9"), "" },
	{ "without semicolon", MH_LIT("a&nbspb &copy2 &ampx &uuml"),
	    MH_LIT("a" NBSP "b \xC2\xA9"
		   "2 &x \xC3\xBC"),
	    "" },
	{ "new names need their semicolon", MH_LIT("&hellip &ndash"), MH_LIT("&hellip &ndash"), "" },
	{ "unknown names", MH_LIT("&nosuch; &; & &x &averyveryverylongname;"),
	    MH_LIT("&nosuch; &; & &x &averyveryverylongname;"), "" },
	{ "decimal", MH_LIT("&#65;&#8364;&#128512;"), MH_LIT("A\xE2\x82\xAC\xF0\x9F\x98\x80"), "" },
	{ "hexadecimal", MH_LIT("&#x41;&#X20aC;&#x1F600;"), MH_LIT("A\xE2\x82\xAC\xF0\x9F\x98\x80"), "" },
	{ "numbers without semicolon", MH_LIT("&#65b&#x42z"), MH_LIT("AbBz"), "" },
	{ "Windows-1252 numbers", MH_LIT("&#147;&#x80;"), MH_LIT("\xE2\x80\x9C\xE2\x82\xAC"), "" },
	{ "impossible numbers", MH_LIT("&#0;&#xD800;&#x110000;&#99999999999999999999;"), MH_LIT(FFFD FFFD FFFD FFFD),
	    "" },
	{ "no number", MH_LIT("&#;&#x;&#"), MH_LIT("&#;&#x;&#"), "" },
	{ "white space by number collapses", MH_LIT("a&#32;&#10; b"), MH_LIT("a b"), "" },
	{ "an entity in the middle of a word", MH_LIT("caf&eacute;s"), MH_LIT("caf\xC3\xA9s"), "" },
	{ "spaces around an entity", MH_LIT("a &amp; b"), MH_LIT("a & b"), "" },
	{ "UTF-8 passes", MH_LIT("<p>\xE2\x82\xAC \xF0\x9F\x98\x80</p>"), MH_LIT("\xE2\x82\xAC \xF0\x9F\x98\x80\n"),
	    "" },
	{ "a label and its value",
	    MH_LIT("<tr><td style=\"x\"><p><strong>Expires:</strong></p></td>\n<td><p>2026-02-03</p></td></tr>"),
	    MH_LIT("Expires:\n2026-02-03\n"), "" },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *in = exact_copy(rows[i].html);
		struct arena a;
		struct mh_span text, links;

		arena_init(&a, 1 << 20);
		assert_int_equal(html_to_text((struct mh_span){ in, rows[i].html.n }, &a, &text, &links, NULL), MH_OK);
		expect_span(rows[i].name, text, rows[i].text);
		expect_span(rows[i].name, links, span_of(rows[i].links));
		for (size_t at = 1; at <= 2; at++) {
			a.fail_at = at;
			assert_int_equal(
			    html_to_text((struct mh_span){ in, rows[i].html.n }, &a, &text, &links, NULL), MH_LIMIT);
		}
		arena_release(&a);
		free(in);
	}
}

/* Every beginning of every row is HTML too, and no text is longer than what it came from. */
static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t n = 0; n < rows[i].html.n; n++) {
			char *in = exact_copy(span_head(rows[i].html, n));
			struct arena a;
			struct mh_span text, links;

			arena_init(&a, 1 << 20);
			assert_int_equal(html_to_text((struct mh_span){ in, n }, &a, &text, &links, NULL), MH_OK);
			if (text.n > n || links.n > n)
				fail_msg("%s: %zu and %zu bytes from %zu", rows[i].name, text.n, links.n, n);
			arena_release(&a);
			free(in);
		}
	}
}

/* The table is searched by halves: each name in it must be found by itself. */
static void
test_entities(void **state)
{
	static const char *const names[] = { "AElig", "Aacute", "Zcaron", "alpha", "amp", "apos", "euro", "hellip",
		"lt", "nbsp", "rsquo", "thetasym", "zwj", "zwnj", "yuml", "zeta" };

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct buf b;
		size_t used = 0;

		buf_init(&b, 100);
		buf_printf(&b, "&%s;x", names[i]);
		char *in = exact_copy(buf_span(&b));
		if (entity_read((struct mh_span){ in, b.n }, false, &used) == 0)
			fail_msg("&%s; is not known", names[i]);
		expect_number(names[i], "length", used, b.n - 1);
		free(in);
		buf_release(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_entities),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
