/* etpan_test.c: the reader against libetpan, on well-formed mail: the samples, and rows for what they do not have.
 *
 * libetpan is a second opinion here and nowhere else: it must not be given hostile mail (mail.h says why), so it gets
 * 16 bytes of padding behind each buffer, and no mail that is not in this file or in samples/.
 */
#include <dirent.h>
#include <stdio.h>

#include <libetpan/libetpan.h>

#include "tests/exact.h"

#include "mailhook/mail/charset.h"
#include "mailhook/mail/html.h"
#include "mailhook/mail/mail.h"

#define PADDING 16

/* -- libetpan's reading ------------------------------------------------------------------------------------------- */

/* A zeroed copy with padding behind it. */
static char *
padded_copy(struct mh_span s)
{
	char *p = calloc(1, s.n + PADDING);

	assert_non_null(p);
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return p;
}

static bool
is_attachment(const struct mailmime *mime)
{
	if (mime->mm_mime_fields == NULL)
		return false;
	for (clistiter *i = clist_begin(mime->mm_mime_fields->fld_list); i != NULL; i = clist_next(i)) {
		const struct mailmime_field *f = clist_content(i);

		if (f->fld_type == MAILMIME_FIELD_DISPOSITION)
			return f->fld_data.fld_disposition->dsp_type->dsp_type != MAILMIME_DISPOSITION_TYPE_INLINE;
	}
	return false;
}

/* LF, and no line ends at the end: libetpan adds CRLF where quoted-printable had LF. */
static void
put_text(struct buf *out, struct mh_span text)
{
	while (text.n > 0 && (text.p[text.n - 1] == '\n' || text.p[text.n - 1] == '\r'))
		text.n--;
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] != '\r')
			buf_putc(out, text.p[i]);
	buf_puts(out, "\n--\n");
}

static void
put_single(struct mailmime *mime, struct arena *a, struct buf *out)
{
	const struct mailmime_content *c = mime->mm_content_type;
	const bool text =
	    c == NULL || (c->ct_type->tp_type == MAILMIME_TYPE_DISCRETE_TYPE &&
			     c->ct_type->tp_data.tp_discrete_type->dt_type == MAILMIME_DISCRETE_TYPE_TEXT);
	const bool html = c != NULL && span_ieq(span_of(c->ct_subtype), MH_LIT("html"));

	if (!text || is_attachment(mime) || (c != NULL && !html && !span_ieq(span_of(c->ct_subtype), MH_LIT("plain"))))
		return;

	const struct mailmime_data *d = mime->mm_data.mm_single;
	const int encoding = mime->mm_mime_fields == NULL ? MAILMIME_MECHANISM_8BIT
							  : mailmime_transfer_encoding_get(mime->mm_mime_fields);
	char *source = padded_copy((struct mh_span){ d->dt_data.dt_text.dt_data, d->dt_data.dt_text.dt_length });
	char *bytes, *utf8;
	size_t n_bytes, n_utf8, at = 0;

	assert_int_equal(mailmime_part_parse(source, d->dt_data.dt_text.dt_length, &at, encoding, &bytes, &n_bytes),
	    MAILIMF_NO_ERROR);
	const char *charset = c == NULL ? NULL : mailmime_content_charset_get((struct mailmime_content *)(uintptr_t)c);
	if (charset == NULL || span_ieq(span_of(charset), MH_LIT("us-ascii")))
		charset = "utf-8"; /* what is not ASCII in it is a matter of taste, and of no well-formed mail */
	assert_int_equal(charconv_buffer("utf-8", charset, bytes, n_bytes, &utf8, &n_utf8), MAIL_CHARCONV_NO_ERROR);

	struct mh_span shown = { utf8, n_utf8 }, links;
	if (html)
		assert_int_equal(html_to_text(shown, a, &shown, &links, NULL), MH_OK);
	put_text(out, shown);
	charconv_buffer_free(utf8);
	mmap_string_unref(bytes);
	free(source);
}

static void
put_subject(const struct mailimf_fields *fields, struct buf *out)
{
	const char *subject = "";

	for (clistiter *i = fields == NULL ? NULL : clist_begin(fields->fld_list); i != NULL; i = clist_next(i)) {
		const struct mailimf_field *f = clist_content(i);
		if (f->fld_type == MAILIMF_FIELD_SUBJECT)
			subject = f->fld_data.fld_subject->sbj_value;
	}

	char *padded = padded_copy(span_of(subject)), *decoded = NULL;
	size_t at = 0;
	assert_int_equal(
	    mailmime_encoded_phrase_parse("utf-8", padded, strlen(subject), &at, "utf-8", &decoded), MAILIMF_NO_ERROR);
	buf_puts(out, decoded);
	buf_putc(out, '\n');
	free(decoded);
	free(padded);
}

static void
put_mime(struct mailmime *mime, struct arena *a, struct buf *out)
{
	switch (mime->mm_type) {
	case MAILMIME_SINGLE:
		put_single(mime, a, out);
		break;
	case MAILMIME_MULTIPLE:
		for (clistiter *i = clist_begin(mime->mm_data.mm_multipart.mm_mp_list); i != NULL; i = clist_next(i))
			put_mime(clist_content(i), a, out);
		break;
	case MAILMIME_MESSAGE:
		if (mime->mm_data.mm_message.mm_msg_mime != NULL)
			put_mime(mime->mm_data.mm_message.mm_msg_mime, a, out);
		break;
	default:
		break;
	}
}

static void
put_subjects(struct mailmime *mime, struct buf *out)
{
	if (mime->mm_type == MAILMIME_MESSAGE) {
		put_subject(mime->mm_data.mm_message.mm_fields, out);
		if (mime->mm_data.mm_message.mm_msg_mime != NULL)
			put_subjects(mime->mm_data.mm_message.mm_msg_mime, out);
	} else if (mime->mm_type == MAILMIME_MULTIPLE) {
		for (clistiter *i = clist_begin(mime->mm_data.mm_multipart.mm_mp_list); i != NULL; i = clist_next(i))
			put_subjects(clist_content(i), out);
	}
}

static void
etpan_reading(struct mh_span raw, struct arena *a, struct buf *out)
{
	struct mh_span line;

	if (span_starts(raw, MH_LIT("From "))) /* libetpan would take all of an mbox's mail for one body */
		(void)span_line(&raw, &line);

	char *copy = padded_copy(raw);
	struct mailmime *mime = NULL;
	size_t at = 0;
	assert_int_equal(mailmime_parse(copy, raw.n, &at, &mime), MAILIMF_NO_ERROR);
	put_subjects(mime, out);
	put_mime(mime, a, out);
	mailmime_free(mime);
	free(copy);
}

/* -- ours --------------------------------------------------------------------------------------------------------- */

/* Encoded words and folds leave different numbers of blanks, which no reader of a subject sees. */
static void
put_collapsed(struct buf *out, struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ' || (i > 0 && s.p[i - 1] != ' '))
			buf_putc(out, s.p[i]);
}

static void
own_reading(struct mh_span raw, struct arena *a, struct buf *out)
{
	struct charset_set *set = charset_set_new();
	struct mail m;

	assert_non_null(set);
	charset_set_open(set, raw);
	assert_int_equal(mail_read(raw, set, a, &m, NULL), MH_OK);
	assert_int_equal(m.limits, 0);
	for (size_t i = 0; i < m.n_messages; i++) {
		const struct mail_field *subject = mail_field(&m.messages[i], "Subject");

		put_collapsed(out, subject == NULL ? MH_LIT("") : subject->value);
		buf_putc(out, '\n');
	}
	for (size_t i = 0; i < m.n_parts; i++)
		put_text(out, m.parts[i].text);
	charset_set_free(set);
}

static void
compare(const char *name, struct mh_span raw)
{
	struct arena a;
	struct buf own, etpan;

	arena_init(&a, MH_MAX_ARENA_BYTES);
	buf_init(&own, 1 << 24);
	buf_init(&etpan, 1 << 24);
	own_reading(raw, &a, &own);
	etpan_reading(raw, &a, &etpan);
	assert_true(buf_ok(&own) && buf_ok(&etpan));
	expect_span(name, buf_span(&own), buf_span(&etpan));
	buf_release(&own);
	buf_release(&etpan);
	arena_release(&a);
}

static const struct {
	const char *name;
	struct mh_span raw;
} rows[] = {
	{ "plain", MH_LIT("Subject: a usual mail\n\none\ntwo\n") },
	{ "CRLF", MH_LIT("Subject: a usual mail\r\n\r\none\r\ntwo\r\n") },
	{ "encoded subject", MH_LIT("Subject: =?utf-8?Q?caf=C3=A9?= =?iso-8859-1?B?/Pw=?= end\n\nx\n") },
	{ "subject over two words", MH_LIT("Subject: =?utf-8?Q?one_?=\n =?utf-8?Q?two?=\n\nx\n") },
	{ "base64", MH_LIT("Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
			   "Content-Transfer-Encoding: base64\n\nY2Fmw6kgYXUgbGFpdA==\n") },
	{ "quoted-printable",
	    MH_LIT("Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
		   "Content-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9 =E2=82=AC=\n soft\nend=20\nx\n") },
	{ "Windows-1252", MH_LIT("Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=windows-1252\n"
				 "Content-Transfer-Encoding: 8bit\n\n\x93quoted\x94 \x80\n") },
	{ "ISO-2022-JP", MH_LIT("Subject: =?iso-2022-jp?B?GyRCJCIbKEI=?=\nMIME-Version: 1.0\n"
				"Content-Type: text/plain; charset=iso-2022-jp\n\n\x1B$B$\"$$\x1B(B\n") },
	{ "KOI8-R",
	    MH_LIT("Subject: =?koi8-r?B?8NLJ18XU?=\nMIME-Version: 1.0\nContent-Type: text/plain; charset=koi8-r\n\n"
		   "\xF0\xD2\xC9\xD7\xC5\xD4\n") },
	{ "GB2312",
	    MH_LIT("Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=gb2312\n\n\xD6\xD0\xCE\xC4\n") },
	{ "UTF-7", MH_LIT("Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-7\n\ncaf+AOk-\n") },
	{ "UTF-16 in base64", MH_LIT("Subject: x\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-16be\n"
				     "Content-Transfer-Encoding: base64\n\nAGEAYiCs\n") },
	{ "alternative",
	    MH_LIT("Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/alternative; boundary=\"b b\"\n\n"
		   "preamble\n--b b\nContent-Type: text/plain\n\none\n--b b\nContent-Type: text/html; charset=utf-8\n"
		   "Content-Transfer-Encoding: quoted-printable\n\n<p>caf=C3=A9 &amp; =3D</p>\n--b b--\nepilogue\n") },
	{ "attachment",
	    MH_LIT("Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n"
		   "Content-Type: text/plain; name=x.txt\nContent-Disposition: attachment; filename=x.txt\n\nno\n"
		   "--b\nContent-Type: image/png\nContent-Transfer-Encoding: base64\n\nAAAA\n--b--\n") },
	{ "a message",
	    MH_LIT("Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\n"
		   "Content-Type: message/rfc822\n\nSubject: y\nMIME-Version: 1.0\n"
		   "Content-Type: multipart/mixed; boundary=c\n\n--c\n\ntwo\n--c--\n--b\n\nthree\n--b--\n") },
	{ "a digest, whose messages' fields libetpan loses",
	    MH_LIT("Subject: x\nMIME-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nFrom: "
		   "a@example.com\n\n"
		   "one\n--b\n\nFrom: b@example.com\n\ntwo\n--b--\n") },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		compare(rows[i].name, rows[i].raw);
}

/* -- samples ------------------------------------------------------------------------------------------------------ */

/* What is not well-formed, or where libetpan is known to be wrong; the golden tests cover these. */
static const char *const other[] = { "empty.eml", "headers-only.eml" };

static size_t
compare_folder(const char *folder)
{
	DIR *d = opendir(folder);
	size_t n = 0;

	assert_non_null(d);
	for (const struct dirent *e; (e = readdir(d)) != NULL;) {
		char path[4096];
		struct buf raw;
		bool skip = e->d_name[0] == '.';

		for (size_t i = 0; i < sizeof(other) / sizeof(other[0]); i++)
			skip = skip || strcmp(e->d_name, other[i]) == 0;
		if (skip)
			continue;
		assert_true(snprintf(path, sizeof(path), "%s/%s", folder, e->d_name) < (int)sizeof(path));
		if (e->d_type == DT_DIR) {
			n += compare_folder(path);
			continue;
		}
		if (!span_iends(span_of(e->d_name), MH_LIT(".eml")))
			continue;

		FILE *f = fopen(path, "rb");
		char block[4096];
		assert_non_null(f);
		buf_init(&raw, 1 << 24);
		for (size_t got; (got = fread(block, 1, sizeof(block), f)) > 0;)
			buf_put(&raw, (struct mh_span){ block, got });
		assert_int_equal(ferror(f), 0);
		(void)fclose(f);
		compare(path, buf_span(&raw));
		buf_release(&raw);
		n++;
	}
	(void)closedir(d);
	return n;
}

static void
test_samples(void **state)
{
	(void)state;
	assert_true(compare_folder(SOURCE_DIR "/samples") > 10);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
