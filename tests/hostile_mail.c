/* hostile_mail.c: mails that broke other readers, each the size at which it did. */
#include "tests/hostile_mail.h"

#define HEAD "From: sender@example.com\nTo: ops@example.com\nSubject: hostile\nDate: Tue, 24 Nov 2026 08:00:00 +0000\n"
#define MIME "MIME-Version: 1.0\n"

static void
repeat(struct buf *b, const char *s, size_t times)
{
	const struct mh_span one = span_of(s);

	for (size_t i = 0; i < times; i++)
		buf_put(b, one);
}

static void
empty(struct buf *b)
{
	(void)b;
}

static void
headers_only(struct buf *b)
{
	buf_puts(b, HEAD);
}

static void
no_final_newline(struct buf *b)
{
	buf_puts(b, HEAD "\nthe last line has no end");
}

static void
nuls(struct buf *b)
{
	buf_put(b, MH_LIT("From: a\0b@example.com\nSub\0ject: x\nSubject: n\0ul\n\nte\0xt\n\0\0\0"));
}

static void
only_nuls(struct buf *b)
{
	for (size_t i = 0; i < 100000; i++)
		buf_putc(b, '\0');
}

static void
eight_bit_headers(struct buf *b)
{
	buf_puts(
	    b, "From: J\xC3\xBCrgen <j@example.com>\nSubject: caf\xE9 \x80 \xFF\xFE\nX-\xFF: y\n" HEAD "\nt\xE9xt\n");
}

static void
bare_cr(struct buf *b)
{
	buf_puts(b, "From: a@example.com\rSubject: old line ends\r\rone\rtwo\r");
}

static void
byte_order_mark(struct buf *b)
{
	buf_puts(b, "\xEF\xBB\xBF" HEAD "\n\xEF\xBB\xBFtext\n");
}

static void
fields(struct buf *b)
{
	buf_puts(b, HEAD);
	repeat(b, "X-Filler: value\n", 100000);
	buf_puts(b, "\ntext\n");
}

static void
folded_field(struct buf *b)
{
	buf_puts(b, "Subject: x\n");
	repeat(b, " folded\n", 1000000);
	buf_puts(b, HEAD "\ntext\n");
}

static void
long_line(struct buf *b)
{
	buf_puts(b, HEAD "\n");
	repeat(b, "0123456789abcdef", ((size_t)20 << 20) / 16);
}

static void
nested_multiparts(struct buf *b)
{
	buf_puts(b, HEAD MIME);
	for (unsigned i = 0; i < 10000; i++)
		buf_printf(b, "Content-Type: multipart/mixed; boundary=\"level-%u\"\n\n--level-%u\n", i, i);
	buf_puts(b, "\nthe innermost text\n");
	for (unsigned i = 10000; i-- > 0;)
		buf_printf(b, "--level-%u--\n", i);
}

static void
same_boundary(struct buf *b)
{
	buf_puts(b, HEAD MIME "Content-Type: multipart/mixed; boundary=b\n\n--b\n");
	repeat(b, "Content-Type: multipart/mixed; boundary=b\n\n--b\n", 100000);
}

static void
boundary_lines(struct buf *b)
{
	buf_puts(b, HEAD MIME);
	for (unsigned i = 0; i < 31; i++)
		buf_printf(b, "Content-Type: multipart/mixed; boundary=a%02u\n\n--a%02u\n", i, i);
	buf_puts(b, "Content-Type: application/octet-stream\n\n");
	repeat(b, "--a99\n", 2000000);
}

static void
nested_messages(struct buf *b)
{
	buf_puts(b, HEAD);
	repeat(b, "Content-Type: message/rfc822\n\n", 40000);
	buf_puts(b, "Subject: innermost\n\ntext\n");
}

static void
many_messages(struct buf *b)
{
	buf_puts(b, HEAD MIME "Content-Type: multipart/digest; boundary=d\n\n");
	repeat(b, "--d\n\nFrom: a@example.com\nSubject: one\n\ntext\n", 20000);
	buf_puts(b, "--d--\n");
}

static void
many_parts(struct buf *b)
{
	buf_puts(b, HEAD MIME "Content-Type: multipart/mixed; boundary=p\n\n");
	repeat(b, "--p\nContent-Type: text/plain\n\nx\n", 2000);
	buf_puts(b, "--p--\n");
}

static void
million_parts(struct buf *b)
{
	buf_puts(b, HEAD MIME "Content-Type: multipart/mixed; boundary=p\n\n");
	repeat(b, "--p\n\nx\n", 1000000);
}

static void
nested_comments(struct buf *b)
{
	buf_puts(b, HEAD "Content-Type: text/plain ");
	repeat(b, "(", 1000000);
	repeat(b, ")", 1000000);
	buf_puts(b, "; charset=utf-8\n\ntext\n");
}

static void
many_params(struct buf *b)
{
	buf_puts(b, HEAD "Content-Type: text/plain");
	for (unsigned i = 0; i < 4000; i++)
		buf_printf(b, "; name*%u*=x", i);
	buf_puts(b, "\n\ntext\n");
}

static void
boundary_quote(struct buf *b)
{
	buf_puts(b, HEAD MIME "Content-Type: multipart/mixed; boundary=\"\\\"\"\n\n--\"\n\ntext\n--\"--\n");
}

static void
boundary_missing(struct buf *b)
{
	buf_puts(b, HEAD MIME "Content-Type: multipart/mixed\n\n--x\n\ntext\n--x--\n");
}

static void
boundary_unclosed(struct buf *b)
{
	buf_puts(b, HEAD MIME "Content-Type: multipart/mixed; boundary=\"never closed\n\n--never closed\n\ntext\n");
}

static void
qp_tail(struct buf *b)
{
	buf_puts(b, HEAD "Content-Transfer-Encoding: quoted-printable\n\ntext ending in =3");
}

static void
qp_equals(struct buf *b)
{
	buf_puts(b, HEAD "Content-Transfer-Encoding: quoted-printable\n\n");
	repeat(b, "= =\t=", 1000000);
}

static void
base64_padding(struct buf *b)
{
	buf_puts(b, HEAD "Content-Transfer-Encoding: base64\n\n");
	repeat(b, "QQ==", 500000);
	repeat(b, "=", 1000000);
	buf_puts(b, "Q");
}

static void
quoted_messages(struct buf *b)
{
	buf_puts(b, HEAD);
	repeat(b, "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n", 1000);
	repeat(b, "filler line without an equals sign\n", 100000);
}

static void
broken_words(struct buf *b)
{
	buf_puts(b, "Subject: ");
	repeat(b, "=?utf-8?B?\n ", 30000);
	buf_puts(b, "end\n" HEAD "\ntext\n");
}

static void
good_words(struct buf *b)
{
	buf_puts(b, "Subject:");
	repeat(b, " =?utf-8?Q?=C3?=\n =?utf-8?Q?=A9?=\n", 20000);
	buf_puts(b, HEAD "\ntext\n");
}

static void
html(struct buf *b, const char *one, size_t times)
{
	buf_puts(b, HEAD "Content-Type: text/html; charset=utf-8\n\n");
	repeat(b, one, times);
}

static void
unclosed_tags(struct buf *b)
{
	html(b, "<div><b>x", 200000);
}

static void
unended_tags(struct buf *b)
{
	html(b, "<a href=\"", 200000);
}

static void
open_angles(struct buf *b)
{
	html(b, "<a <", 200000);
}

static void
unclosed_comments(struct buf *b)
{
	html(b, "<!--", 500000);
}

static void
unclosed_scripts(struct buf *b)
{
	html(b, "<script></scrip", 200000);
}

static void
entities(struct buf *b)
{
	html(b, "&amp&notit;&#x&#99999999999999999999;&#0&", 100000);
}

static void
many_charsets(struct buf *b)
{
	buf_puts(b, HEAD "Content-Type: text/plain; charset=x-no-such\n\n");
	for (unsigned i = 0; i < 200000; i++)
		buf_printf(b, "charset=iso-8859-%u =?koi8-%u?Q?x?=\n", i % 20, i);
}

static void
wrong_charset(struct buf *b)
{
	buf_puts(b, HEAD "Content-Type: text/plain; charset=shift_jis\n\n");
	repeat(b, "\xFF\xFE\x80", 300000);
}

static void
deep_json(struct buf *b)
{
	buf_puts(b, "From: health@aws.com\nSubject: AWS Notification Message\nContent-Type: text/plain\n\n");
	repeat(b, "{\"detail\":[", 100000);
}

static void
garbage(struct buf *b)
{
	uint32_t x = 2463534242u; /* xorshift32: the same bytes everywhere */

	for (size_t i = 0; i < 1000000; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		buf_putc(b, (char)(x >> 24));
	}
}

const struct hostile_mail hostile_mails[] = {
	{ "empty", "no bytes at all", empty, 0 },
	{ "headers-only", "no blank line, no body", headers_only, 0 },
	{ "no-final-newline", "the last line has no end", no_final_newline, 0 },
	{ "nuls", "NULs in a name, a value and the text", nuls, 0 },
	{ "only-nuls", "100,000 NULs", only_nuls, 0 },
	{ "eight-bit-headers", "UTF-8 and Windows-1252 bytes in fields", eight_bit_headers, 0 },
	{ "bare-cr", "lines that end in CR alone", bare_cr, 0 },
	{ "byte-order-mark", "U+FEFF before the header and the text", byte_order_mark, 0 },
	{ "fields-100000", "100,000 header fields", fields, MAIL_LIMIT_FIELDS | MAIL_LIMIT_HEADER },
	{ "folded-field", "one field of 1,000,000 lines", folded_field, MAIL_LIMIT_FIELD | MAIL_LIMIT_HEADER },
	{ "line-20mb", "one line of 20 MB", long_line, MAIL_LIMIT_TEXT },
	{ "multiparts-10000", "10,000 nested multiparts", nested_multiparts, MAIL_LIMIT_DEPTH },
	{ "same-boundary", "100,000 multiparts of one boundary", same_boundary, MAIL_LIMIT_DEPTH },
	{ "boundary-lines", "2,000,000 near boundaries under 31 multiparts", boundary_lines, 0 },
	{ "messages-40000", "40,000 nested message/rfc822", nested_messages, MAIL_LIMIT_DEPTH },
	{ "messages-20000-flat", "a digest of 20,000 messages", many_messages, MAIL_LIMIT_PARTS },
	{ "parts-2000", "2,000 text parts", many_parts, MAIL_LIMIT_PARTS },
	{ "parts-1000000", "1,000,000 parts", million_parts, MAIL_LIMIT_PARTS },
	{ "comments-1000000", "1,000,000 nested comments in Content-Type", nested_comments,
	    MAIL_LIMIT_COMMENT | MAIL_LIMIT_FIELD | MAIL_LIMIT_HEADER },
	{ "params-4000", "4,000 sections of one parameter", many_params, MAIL_LIMIT_PARAMS },
	{ "boundary-quote", "boundary=\"\\\"\": a heap write in libetpan 1.9.4", boundary_quote, 0 },
	{ "boundary-missing", "a multipart without boundary", boundary_missing, 0 },
	{ "boundary-unclosed", "a quoted boundary without its end", boundary_unclosed, 0 },
	{ "qp-tail", "quoted-printable text ending in =3: an over-read in libetpan 1.9.4", qp_tail, 0 },
	{ "qp-equals", "3,000,000 bare equals signs", qp_equals, MAIL_LIMIT_TEXT },
	{ "base64-padding", "500,000 inner paddings", base64_padding, 0 },
	{ "qp-messages", "1,000 messages, each quoted-printable in the one around", quoted_messages, MAIL_LIMIT_TEXT },
	{ "broken-words-30000", "30,000 encoded words without end", broken_words, MAIL_LIMIT_FIELD },
	{ "words-40000", "40,000 encoded words, each half a character", good_words,
	    MAIL_LIMIT_FIELD | MAIL_LIMIT_WORDS },
	{ "unclosed-tags-200000", "200,000 HTML elements never closed", unclosed_tags, 0 },
	{ "unended-tags-200000", "200,000 tags and quotes without end", unended_tags, 0 },
	{ "open-angles-200000", "200,000 tags within a tag", open_angles, 0 },
	{ "unclosed-comments", "500,000 comments without end", unclosed_comments, 0 },
	{ "unclosed-scripts", "200,000 near ends of a script", unclosed_scripts, 0 },
	{ "entities", "broken character references", entities, 0 },
	{ "many-charsets", "400,000 charset names", many_charsets, MAIL_LIMIT_TEXT },
	{ "wrong-charset", "bytes that are not of the charset that is named", wrong_charset, 0 },
	{ "json-100000", "JSON nested 200,000 deep", deep_json, 0 },
	{ "garbage", "1,000,000 bytes of noise", garbage, 0 },
};
const size_t n_hostile_mails = sizeof(hostile_mails) / sizeof(hostile_mails[0]);
