/* rfc2047.c: =?charset?B?...?= and =?charset?Q?...?= */
#include <string.h>

#include "mailhook/mail/charset.h"
#include "mailhook/mail/rfc2047.h"
#include "mailhook/mail/transfer.h"

struct word {
	struct mh_span charset, text;
	bool base64;
	size_t n; /* of the whole word */
};

struct decoder {
	const struct charset_set *charsets;
	struct arena *arena;
	struct buf out;
	struct mh_span charset; /* of the run of words that is not converted yet */
	char *run;              /* its bytes: no more than the words that they came from, so one block is enough */
	size_t n_run;
	unsigned *limits;
};

static size_t
find_char(struct mh_span s, char c, size_t from)
{
	const char *hit = from < s.n ? memchr(s.p + from, c, s.n - from) : NULL;

	return hit == NULL ? SIZE_MAX : (size_t)(hit - s.p);
}

/* Reads the word at the start of s. Looks no further than the third "?", which none before it can have looked beyond:
 * so any number of broken words costs one pass. */
static bool
read_word(struct mh_span s, struct word *ret)
{
	const size_t charset_end = find_char(s, '?', 2);

	if (charset_end == SIZE_MAX || charset_end == 2 || s.n - charset_end < 4 || s.p[charset_end + 2] != '?')
		return false;

	const char encoding = s.p[charset_end + 1];
	if (encoding != 'B' && encoding != 'b' && encoding != 'Q' && encoding != 'q')
		return false;
	for (size_t i = 2; i < charset_end; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;

	const size_t text = charset_end + 3, end = find_char(s, '?', text);
	if (end == SIZE_MAX || end + 1 >= s.n || s.p[end + 1] != '=')
		return false;

	ret->charset = (struct mh_span){ s.p + 2, charset_end - 2 };
	const size_t language = find_char(ret->charset, '*', 0); /* RFC 2231 section 5 */
	if (language != SIZE_MAX)
		ret->charset.n = language;
	ret->text = (struct mh_span){ s.p + text, end - text };
	ret->base64 = encoding == 'B' || encoding == 'b';
	ret->n = end + 2;
	return true;
}

static void
put(struct decoder *d, struct mh_span utf8)
{
	const size_t n = utf8_cut(utf8, d->out.max - d->out.n);

	buf_put(&d->out, span_head(utf8, n));
	if (n < utf8.n)
		*d->limits |= MAIL_LIMIT_FIELD;
}

static enum mh_status
put_bytes(struct decoder *d, struct mh_span charset, struct mh_span bytes, struct mh_err *err)
{
	struct mh_span text;
	bool unknown, cut;
	const enum mh_status status =
	    charset_to_utf8(d->charsets, charset, bytes, MH_MAX_FIELD_BYTES, d->arena, &text, &unknown, &cut, err);

	if (status == MH_OK) {
		put(d, text);
		if (cut)
			*d->limits |= MAIL_LIMIT_FIELD;
	}
	return status;
}

static enum mh_status
end_run(struct decoder *d, struct mh_err *err)
{
	const struct mh_span bytes = { d->run, d->n_run };

	if (bytes.n == 0)
		return MH_OK;
	d->run += d->n_run;
	d->n_run = 0;
	return put_bytes(d, d->charset, bytes, err);
}

static enum mh_status
put_word(struct decoder *d, const struct word *w, struct mh_err *err)
{
	if (!span_ieq(d->charset, w->charset)) {
		const enum mh_status status = end_run(d, err);
		if (status != MH_OK)
			return status;
		d->charset = w->charset;
	}

	char *dst = d->run + d->n_run;
	bool cut = false;
	d->n_run +=
	    w->base64 ? transfer_decode(TRANSFER_BASE64, w->text, dst, w->text.n, &cut) : q_decode(w->text, dst);
	return MH_OK;
}

static enum mh_status
decode(struct decoder *d, struct mh_span s, struct mh_err *err)
{
	size_t done = 0, n_words = 0;
	enum mh_status status = MH_OK;

	for (size_t at = span_find(s, MH_LIT("=?"), 0); at != SIZE_MAX && status == MH_OK;) {
		struct word w;

		if (!read_word(span_from(s, at), &w)) {
			at = span_find(s, MH_LIT("=?"), at + 1);
			continue;
		}
		if (n_words == MH_MAX_ENCODED_WORDS) {
			*d->limits |= MAIL_LIMIT_WORDS;
			break;
		}

		const struct mh_span gap = { s.p + done, at - done };
		if (n_words == 0 || span_trim(gap).n > 0) { /* white space between two words is no text */
			status = end_run(d, err);
			if (status == MH_OK)
				status = put_bytes(d, MH_NONE, gap, err);
		}
		if (status == MH_OK)
			status = put_word(d, &w, err);
		n_words++;
		done = at + w.n;
		at = span_find(s, MH_LIT("=?"), done);
	}
	if (status == MH_OK)
		status = end_run(d, err);
	return status == MH_OK ? put_bytes(d, MH_NONE, span_from(s, done), err) : status;
}

enum mh_status
rfc2047_decode(struct mh_span s, const struct charset_set *charsets, struct arena *a, struct mh_span *ret,
    unsigned *limits, struct mh_err *err)
{
	struct decoder d = { .charsets = charsets, .arena = a, .limits = limits, .run = arena_alloc(a, s.n) };

	if (d.run == NULL)
		return mh_fail(err, MH_LIMIT, "no room for a header field of %zu bytes", s.n);
	buf_init(&d.out, MH_MAX_FIELD_BYTES);

	enum mh_status status = decode(&d, s, err);
	if (status == MH_OK && !buf_ok(&d.out))
		status = mh_fail(err, MH_LIMIT, "no memory for a header field of %zu bytes", s.n);
	for (size_t i = 0; i < d.out.n; i++) /* a decoded line end must not look like a second field */
		if ((unsigned char)d.out.p[i] < ' ' || d.out.p[i] == 0x7F)
			d.out.p[i] = ' ';
	if (status == MH_OK)
		status = arena_copy(a, span_trim(buf_span(&d.out)), ret, err);
	buf_release(&d.out);
	return status;
}
