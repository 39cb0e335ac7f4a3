/* mail_read_test.c: whole mails: their fields, messages and text parts. */
#include "tests/exact.h"

#include "mailhook/mail/charset.h"
#include "mailhook/mail/mail.h"

#define TYPE(t) "Content-Type: " t "\n"
#define MIXED "Subject: s\n" TYPE("multipart/mixed; boundary=b") "\n"
#define ALTERNATIVE "Subject: s\n" TYPE("multipart/alternative; boundary=b") "\n"
#define REPORT TYPE("multipart/report; report-type=delivery-status; boundary=b") "\n"

/* What a mail came to, in one text: "subject of each message;" and "|message,type,alternative:text" of each part. A
 * message in a report is marked with "!", an unknown charset with "?". */
static const struct {
	const char *name;
	struct mh_span raw;
	const char *want;
	size_t body_at;
} rows[] = {
	{ "empty", MH_LIT(""), "-;|0,plain,0:", 0 },
	{ "one newline", MH_LIT("\n"), "-;|0,plain,0:", 1 },
	{ "plain, no MIME", MH_LIT("Subject: s\n\ntext\n"), "s;|0,plain,0:text\n", 12 },
	{ "CRLF", MH_LIT("Subject: s\r\n\r\none\r\ntwo\r\n"), "s;|0,plain,0:one\ntwo\n", 14 },
	{ "bare CR", MH_LIT("Subject: s\r\rone\rtwo\r"), "s;|0,plain,0:one\ntwo\n", 12 },
	{ "bare CR among LF", MH_LIT("Subject: s\rX: y\n\none\rtwo\n"), "s X: y;|0,plain,0:one\ntwo\n", 17 },
	{ "headers only", MH_LIT("Subject: s\n"), "s;|0,plain,0:", 11 },
	{ "headers only, no newline", MH_LIT("Subject: s"), "s;|0,plain,0:", 10 },
	{ "no final newline", MH_LIT("Subject: s\n\ntext"), "s;|0,plain,0:text", 12 },
	{ "an mbox line", MH_LIT("From a@example.com Tue Nov 24 08:00:00 2026\nSubject: s\n\nt"), "s;|0,plain,0:t",
	    56 },
	{ "an mbox line only", MH_LIT("From a"), "-;|0,plain,0:", 6 },
	{ "a byte order mark", MH_LIT("\xEF\xBB\xBFSubject: s\n\n\xEF\xBB\xBFt"), "s;|0,plain,0:t", 15 },
	{ "NULs", MH_LIT("Subject: a\0b\n\nte\0xt\0"), "a b;|0,plain,0:text", 14 },
	{ "no header", MH_LIT("just text\nmore\n\nend"), "-;|0,plain,0:just text\nmore\n\nend", 0 },
	{ "8-bit text without charset", MH_LIT("Subject: s\n\ncaf\xC3\xA9"), "s;|0,plain,0:caf\xC3\xA9", 12 },
	{ "8-bit bytes without charset", MH_LIT("Subject: s\n\ncaf\xE9"), "s;|0,plain,0:caf\xC3\xA9", 12 },
	{ "charset", MH_LIT("Subject: s\n" TYPE("text/plain; charset=\"iso-8859-2\"") "\n\xB3"),
	    "s;|0,plain,0:\xC5\x82", 59 },
	{ "unknown charset", MH_LIT("Subject: s\n" TYPE("text/plain; charset=x-none") "\n\xE9"),
	    "s;|0,plain,0?:\xC3\xA9", 53 },
	{ "base64", MH_LIT("Subject: s\nContent-Transfer-Encoding: base64\n\nb25l\nDQp0d28="), "s;|0,plain,0:one\ntwo",
	    46 },
	{ "quoted-printable", MH_LIT("Subject: s\nContent-Transfer-Encoding: Quoted-Printable\n\nc=C3=A9=\n!"),
	    "s;|0,plain,0:c\xC3\xA9!", 56 },
	{ "unknown transfer encoding", MH_LIT("Subject: s\nContent-Transfer-Encoding: 8bits\n\nt=41"),
	    "s;|0,plain,0:t=41", 45 },
	{ "html", MH_LIT("Subject: s\n" TYPE("text/html") "\n<p>a</p><p>b</p>"), "s;|0,html,0:a\nb\n", 36 },
	{ "a broken type is plain", MH_LIT("Subject: s\n" TYPE("text") "\nt"), "s;|0,plain,0:t", 31 },
	{ "an empty type is plain", MH_LIT("Subject: s\n" TYPE("") "\nt"), "s;|0,plain,0:t", 27 },
	{ "another type", MH_LIT("Subject: s\n" TYPE("application/pdf") "\nt"), "s;", 42 },
	{ "another text", MH_LIT("Subject: s\n" TYPE("text/calendar") "\nt"), "s;", 40 },
	{ "the first of two types", MH_LIT("Subject: s\n" TYPE("text/html") TYPE("text/plain") "\n<b>"),
	    "s;|0,html,0:", 61 },
	{ "an attached text", MH_LIT("Subject: s\nContent-Disposition: attachment; filename=x\n\nt"), "s;", 56 },
	{ "an inline text with a name", MH_LIT("Subject: s\nContent-Disposition: inline; filename=x\n\nt"),
	    "s;|0,plain,0:t", 52 },
	{ "a text with a name only", MH_LIT("Subject: s\n" TYPE("text/plain; name=x.txt") "\nt"), "s;|0,plain,0:t",
	    49 },
	{ "an unknown disposition", MH_LIT("Subject: s\nContent-Disposition: form-data\n\nt"), "s;", 43 },
	{ "an empty disposition", MH_LIT("Subject: s\nContent-Disposition:\n\nt"), "s;|0,plain,0:t", 33 },
	{ "multipart",
	    MH_LIT(MIXED "preamble\n--b\n\none\n--b\n" TYPE("text/html") "\n<i>two</i>\n--b--\nepilogue\n--b\n\nthree"),
	    "s;|0,plain,0:one|0,html,0:two", 54 },
	{ "multipart, CRLF",
	    MH_LIT("Subject: s\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n\r\n--b--\r\n"),
	    "s;|0,plain,0:one\n", 57 },
	{ "multipart never closed", MH_LIT(MIXED "--b\n\none\n--b\n\ntwo\n"), "s;|0,plain,0:one|0,plain,0:two\n", 54 },
	{ "multipart without a part", MH_LIT(MIXED "nothing\n"), "s;", 54 },
	{ "multipart, empty parts", MH_LIT(MIXED "--b\n--b\n\n--b\n\n\n--b--"),
	    "s;|0,plain,0:|0,plain,0:|0,plain,0:", 54 },
	{ "multipart, header ends at the boundary", MH_LIT(MIXED "--b\n" TYPE("text/html") "--b\n\nx"),
	    "s;|0,html,0:|0,plain,0:x", 54 },
	{ "multipart, a part without header", MH_LIT(MIXED "--b\nno header here\n--b--"), "s;|0,plain,0:no header here",
	    54 },
	{ "blanks behind a boundary", MH_LIT(MIXED "--b \t\n\none\n--b-- \n"), "s;|0,plain,0:one", 54 },
	{ "near boundaries", MH_LIT(MIXED "--b\n\n--bb\n-b\n--b x\n --b\n--\n--b-\n--b--x\n--b--"),
	    "s;|0,plain,0:--bb\n-b\n--b x\n --b\n--\n--b-\n--b--x", 54 },
	{ "boundary with blanks at its end", MH_LIT(TYPE("multipart/mixed; boundary=\"b \"") "\n--b\n\none\n--b--"),
	    "-;|0,plain,0:one", 46 },
	{ "boundary=\"\\\"\"", MH_LIT(TYPE("multipart/mixed; boundary=\"\\\"\"") "\n--\"\n\none\n--\"--"),
	    "-;|0,plain,0:one", 46 },
	{ "boundary in sections", MH_LIT(TYPE("multipart/mixed; boundary*0=a; boundary*1=b") "\n--ab\n\none\n--ab--"),
	    "-;|0,plain,0:one", 59 },
	{ "boundary missing: text", MH_LIT("Subject: s\n" TYPE("multipart/mixed") "\n--b\n\none"),
	    "s;|0,plain,0:--b\n\none", 42 },
	{ "boundary empty: text", MH_LIT("Subject: s\n" TYPE("multipart/mixed; boundary=\"\"") "\none"),
	    "s;|0,plain,0:one", 55 },
	{ "alternative", MH_LIT(ALTERNATIVE "--b\n\none\n--b\n" TYPE("text/html") "\nuno\n--b--"),
	    "s;|0,plain,1:one|0,html,1:uno", 60 },
	{ "alternative with related",
	    MH_LIT(ALTERNATIVE "--b\n\none\n--b\n" TYPE("multipart/related; boundary=r") "\n--r\n" TYPE(
		"text/html") "\nuno\n--r\n" TYPE("image/png") "\nx\n--r--\n--b--"),
	    "s;|0,plain,1:one|0,html,1:uno", 60 },
	{ "two alternatives",
	    MH_LIT(MIXED "--b\n" TYPE("multipart/alternative; boundary=x") "\n--x\n\n1\n--x--\n--b\n" TYPE(
		"multipart/alternative; boundary=y") "\n--y\n\n2\n--y--\n--b\n\n3\n--b--"),
	    "s;|0,plain,1:1|0,plain,2:2|0,plain,0:3", 54 },
	{ "alternative in alternative",
	    MH_LIT(ALTERNATIVE "--b\n\n1\n--b\n" TYPE("multipart/alternative; boundary=x") "\n--x\n\n2\n--x--\n--b--"),
	    "s;|0,plain,1:1|0,plain,1:2", 60 },
	{ "an outer boundary ends the inner multipart",
	    MH_LIT(MIXED "--b\n" TYPE("multipart/mixed; boundary=i") "\n--i\n\n1\n--b\n\n2\n--i\n--b--"),
	    "s;|0,plain,0:1|0,plain,0:2\n--i", 54 },
	{ "the same boundary twice",
	    MH_LIT(MIXED "--b\n" TYPE("multipart/mixed; boundary=b") "\n--b\n\n1\n--b--\n--b\n\n2\n--b--"),
	    "s;|0,plain,0:1|0,plain,0:2", 54 },
	{ "attachments between texts",
	    MH_LIT(MIXED "--b\n\n1\n--b\n" TYPE("text/plain") "Content-Disposition: attachment\n\nx\n--b\n\n2\n--b--"),
	    "s;|0,plain,0:1|0,plain,0:2", 54 },
	{ "an attached multipart",
	    MH_LIT(MIXED "--b\n" TYPE(
		"multipart/mixed; boundary=i") "Content-Disposition: attachment\n\n--i\n\nx\n--i--\n--b\n\n1\n--b--"),
	    "s;|0,plain,0:1", 54 },
	{ "a message", MH_LIT(MIXED "--b\n\n1\n--b\n" TYPE("message/rfc822") "\nSubject: t\n\n2\n--b\n\n3\n--b--"),
	    "s;t;|0,plain,0:1|1,plain,0:2|0,plain,0:3", 54 },
	{ "a message is the body", MH_LIT("Subject: s\n" TYPE("message/rfc822") "\nSubject: t\n\n2"),
	    "s;t;|1,plain,0:2", 41 },
	{ "an attached message",
	    MH_LIT(MIXED "--b\n" TYPE("message/rfc822") "Content-Disposition: attachment\n\nSubject: t\n\n2\n--b--"),
	    "s;t;|1,plain,0:2", 54 },
	{ "message/global", MH_LIT("Subject: s\n" TYPE("message/global") "\nSubject: \xC3\xA9\n\n2"),
	    "s;\xC3\xA9;|1,plain,0:2", 41 },
	{ "a message with an mbox line", MH_LIT("Subject: s\n" TYPE("message/rfc822") "\n>From x\nSubject: t\n\n2"),
	    "s;t;|1,plain,0:2", 41 },
	{ "a message in an alternative", MH_LIT(ALTERNATIVE "--b\n" TYPE("message/rfc822") "\nSubject: t\n\n2\n--b--"),
	    "s;t;|1,plain,0:2", 60 },
	{ "message in message",
	    MH_LIT("Subject: s\n" TYPE("message/rfc822") "\nSubject: t\n" TYPE("message/rfc822") "\nSubject: u\n\n3"),
	    "s;t;u;|2,plain,0:3", 41 },
	{ "a multipart message in a multipart",
	    MH_LIT(MIXED "--b\n" TYPE("message/rfc822") "\nSubject: t\n" TYPE(
		"multipart/alternative; boundary=i") "\n--i\n\n1\n--i\n" TYPE("text/html") "\n2\n--i--\n--b\n\n3\n--b-"
											   "-"),
	    "s;t;|1,plain,1:1|1,html,1:2|0,plain,0:3", 54 },
	{ "a message in base64",
	    MH_LIT(MIXED "--b\n" TYPE(
		"message/rfc822") "Content-Transfer-Encoding: base64\n\nU3ViamVjdDogdAoKMgo=\n--b\n\n3\n--b--"),
	    "s;t;|1,plain,0:2\n|0,plain,0:3", 54 },
	{ "a message in quoted-printable",
	    MH_LIT(MIXED "--b\n" TYPE("message/rfc822") "Content-Transfer-Encoding: quoted-printable\n\nSubject: "
							"=74\n\nt=\n2\n--b\n\n3\n--b--"),
	    "s;t;|1,plain,0:t2|0,plain,0:3", 54 },
	{ "an encoded message does not see outer boundaries",
	    MH_LIT(MIXED "--b\n" TYPE("message/rfc822") "Content-Transfer-Encoding: quoted-printable\n\nSubject: "
							"t\n\n=2D-b--\nx\n--b\n\n3\n--b--"),
	    "s;t;|1,plain,0:--b--\nx|0,plain,0:3", 54 },
	{ "a digest",
	    MH_LIT(
		TYPE("multipart/digest; boundary=b") "\n--b\n\nSubject: t\n\n1\n--b\n" TYPE("text/plain") "\n2\n--b--"),
	    "-;t;|1,plain,0:1|0,plain,0:2", 44 },
	{ "message/partial is not read", MH_LIT("Subject: s\n" TYPE("message/partial; number=1") "\nSubject: t\n\n1"),
	    "s;", 52 },
	{ "a report",
	    MH_LIT("Subject: s\n" REPORT "--b\n\n1\n--b\n" TYPE("message/delivery-status") "\nx\n--b\n" TYPE(
		"message/rfc822") "\nSubject: t\n\n2\n--b--"),
	    "s!;t!;|0,plain,0:1|1,plain,0:2", 84 },
	{ "a report in a message",
	    MH_LIT("Subject: s\n" TYPE("message/rfc822") "\nSubject: t\n" REPORT
							 "--b\n" TYPE("message/rfc822") "\nSubject: u\n\n2\n--b--"),
	    "s;t!;u!;|2,plain,0:2", 41 },
	{ "a report beside a message",
	    MH_LIT("Subject: s\n" TYPE("multipart/mixed; boundary=o") "\n--o\n" REPORT "--b\n" TYPE(
		"message/rfc822") "\nSubject: t\n\n1\n--b--\n--o\n" TYPE("message/rfc822") "\nSubject: u\n\n2\n--o--"),
	    "s;t!;u;|1,plain,0:1|2,plain,0:2", 54 },
	{ "an encoded returned message",
	    MH_LIT("Subject: s\n" REPORT
		   "--b\n" TYPE("message/rfc822") "Content-Transfer-Encoding: base64\n\nU3ViamVjdDogdAoKMgo=\n--b--"),
	    "s!;t!;|1,plain,0:2\n", 84 },
};

static void
describe(const struct mail *m, struct buf *out)
{
	for (size_t i = 0; i < m->n_messages; i++) {
		const struct mail_field *subject = mail_field(&m->messages[i], "subject");

		buf_put(out, subject == NULL ? MH_LIT("-") : subject->value);
		buf_puts(out, m->messages[i].report ? "!;" : ";");
	}
	for (size_t i = 0; i < m->n_parts; i++) {
		const struct mail_part *p = &m->parts[i];

		buf_printf(out, "|%zu,%s,%zu%s:", p->message, p->type == MAIL_HTML ? "html" : "plain", p->alternative,
		    p->charset_unknown ? "?" : "");
		buf_put(out, p->text);
	}
}

/* What no mail may break, whatever it is. */
static void
check_shape(const char *name, const struct mail *m, struct mh_span raw)
{
	assert_true(m->n_messages >= 1);
	if (m->body_at > raw.n)
		fail_msg("%s: the body at %zu of %zu bytes", name, m->body_at, raw.n);
	for (size_t i = 0; i < m->n_messages; i++) {
		const struct mail_message *in = &m->messages[m->messages[i].parent];

		if (m->messages[i].parent >= m->n_messages || (i > 0 && m->messages[i].depth != in->depth + 1))
			fail_msg("%s: message %zu stands wrong", name, i);
		for (size_t f = 0; f < m->messages[i].n_fields; f++)
			if (!utf8_valid(m->messages[i].fields[f].value) || m->messages[i].fields[f].name.n == 0)
				fail_msg("%s: field %zu of message %zu", name, f, i);
	}
	for (size_t i = 0; i < m->n_parts; i++)
		if (m->parts[i].message >= m->n_messages || !utf8_valid(m->parts[i].text))
			fail_msg("%s: part %zu", name, i);
}

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *raw = exact_copy(rows[i].raw);
		struct charset_set *set = charset_set_new();
		const struct mh_span in = { raw, rows[i].raw.n };
		struct arena a;
		struct mail m;
		struct buf got;

		arena_init(&a, MH_MAX_ARENA_BYTES);
		buf_init(&got, 1 << 20);
		charset_set_open(set, in);
		assert_int_equal(mail_read(in, set, &a, &m, NULL), MH_OK);
		describe(&m, &got);
		expect_span(rows[i].name, buf_span(&got), span_of(rows[i].want));
		expect_number(rows[i].name, "body_at", m.body_at, rows[i].body_at);
		expect_number(rows[i].name, "limits", m.limits, 0);
		check_shape(rows[i].name, &m, in);
		buf_release(&got);
		arena_release(&a);
		charset_set_free(set);
		free(raw);
	}
}

/* Each allocation made to fail in turn: the mail is marked and still whole, and nothing is lost in the end. */
static void
test_memory(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t at = 1;; at++) {
			struct arena a;
			struct mail m;
			struct mh_err err;

			arena_init(&a, MH_MAX_ARENA_BYTES);
			a.fail_at = at;
			const enum mh_status status = mail_read(rows[i].raw, NULL, &a, &m, &err);
			const bool failed = a.fail_at == 0;

			expect_number(rows[i].name, "status", status, at == 1 ? MH_LIMIT : MH_OK);
			expect_number(rows[i].name, "limits", m.limits, failed ? MAIL_LIMIT_MEMORY : 0);
			if (status == MH_OK)
				check_shape(rows[i].name, &m, rows[i].raw);
			arena_release(&a);
			if (!failed)
				break;
		}
	}
}

/* A part that there was no room for must not cost another part its place or its text. */
static void
test_memory_of_many_parts(void **state)
{
	static const struct {
		const char *encoded, *text;
	} parts[] = { { "QUFB", "AAA" }, { "QkJC", "BBB" }, { "Q0ND", "CCC" }, { "RERE", "DDD" }, { "RUVF", "EEE" },
		{ "RkZG", "FFF" }, { "R0dH", "GGG" }, { "SEhI", "HHH" }, { "SUlJ", "III" }, { "SkpK", "JJJ" },
		{ "S0tL", "KKK" } };
	const size_t n = sizeof(parts) / sizeof(parts[0]);
	bool failed = true;
	struct buf raw;

	(void)state;
	buf_init(&raw, 1 << 16);
	buf_puts(&raw, "Content-Type: multipart/mixed; boundary=b\n\n");
	for (size_t i = 0; i < n; i++)
		buf_printf(
		    &raw, "--b\nContent-Type: text/plain\nContent-Transfer-Encoding: base64\n\n%s\n", parts[i].encoded);
	buf_puts(&raw, "--b--\n");
	assert_true(buf_ok(&raw));
	for (size_t at = 2; failed; at++) {
		struct arena a;
		struct mail m;
		size_t known = 0;

		arena_init(&a, MH_MAX_ARENA_BYTES);
		a.fail_at = at;
		assert_int_equal(mail_read(buf_span(&raw), NULL, &a, &m, NULL), MH_OK);
		failed = a.fail_at == 0;
		for (size_t i = 0; i < m.n_parts; i++)
			for (size_t k = 0; k < n; k++) {
				if (!span_starts(m.parts[i].source, span_of(parts[k].encoded)))
					continue;
				known++;
				if (!span_starts(m.parts[i].text, span_of(parts[k].text)))
					fail_msg("allocation %zu failed: part %zu has another's text", at, k);
			}
		/* Without memory for the boundary all is one text; else at most what was at it is missing. */
		if (known != 0 && known + failed < n)
			fail_msg("allocation %zu failed: %zu of %zu parts are left", at, known, n);
		assert_true(failed || known == n);
		arena_release(&a);
	}
	buf_release(&raw);
}

/* Every beginning of every mail is a mail. */
static void
test_cut(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t n = 0; n < rows[i].raw.n; n++) {
			char *raw = exact_copy(span_head(rows[i].raw, n));
			const struct mh_span in = { raw, n };
			struct arena a;
			struct mail m;

			arena_init(&a, MH_MAX_ARENA_BYTES);
			assert_int_equal(mail_read(in, NULL, &a, &m, NULL), MH_OK);
			check_shape(rows[i].name, &m, in);
			arena_release(&a);
			free(raw);
		}
	}
}

static void
test_fields(void **state)
{
	const struct mh_span raw = MH_LIT("A: 1\nb: 2\na:\n 3\nReceived: x\n\n");
	static const struct {
		const char *name;
		size_t nth;
		const char *raw, *value; /* NULL: there is none */
	} fields[] = {
		{ "A", 0, " 1", "1" },
		{ "a", 1, "\n 3", "3" },
		{ "a", 2, NULL, NULL },
		{ "B", 0, " 2", "2" },
		{ "received", 0, " x", "x" },
		{ "Receive", 0, NULL, NULL },
		{ "", 0, NULL, NULL },
	};
	struct arena a;
	struct mail m;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(mail_read(raw, NULL, &a, &m, NULL), MH_OK);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const struct mail_field *f = mail_field_nth(&m.messages[0], fields[i].name, fields[i].nth);

		expect_number(fields[i].name, "there", f != NULL, fields[i].raw != NULL);
		if (f != NULL) {
			expect_span(fields[i].name, f->raw, span_of(fields[i].raw));
			expect_span(fields[i].name, f->value, span_of(fields[i].value));
		}
	}
	arena_release(&a);
}

static void
test_links_and_source(void **state)
{
	const struct mh_span raw = MH_LIT(
	    "Content-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<a href=3D\"x?a=3Db\">y</a>\n");
	struct arena a;
	struct mail m;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(mail_read(raw, NULL, &a, &m, NULL), MH_OK);
	assert_int_equal(m.n_parts, 1);
	expect_span("links", m.parts[0].links, MH_LIT("x?a=b\n"));
	expect_span("source", m.parts[0].source, MH_LIT("<a href=3D\"x?a=3Db\">y</a>\n"));
	expect_span("text", m.parts[0].text, MH_LIT("y"));
	arena_release(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_memory),
		cmocka_unit_test(test_memory_of_many_parts),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_links_and_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
