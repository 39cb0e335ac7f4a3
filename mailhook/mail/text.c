/* text.c: the bytes of a text part to UTF-8 with LF. */
#include <string.h>

#include "mailhook/mail/charset.h"
#include "mailhook/mail/html.h"
#include "mailhook/mail/mime.h"

bool
text_decode(struct mail_reader *r, enum transfer encoding, struct mh_span source, size_t max, struct mh_span *ret,
    bool *ret_cut)
{
	if (encoding == TRANSFER_IDENTITY) { /* stays where it is; charset_to_utf8 cuts it between two characters */
		*ret = source;
		*ret_cut = false;
		return true;
	}

	const size_t bound = transfer_bound(encoding, source), room = bound < max ? bound : max;
	char *dst = arena_alloc(r->arena, room);
	if (dst == NULL)
		return false;
	*ret = (struct mh_span){ dst, transfer_decode(encoding, source, dst, room, ret_cut) };
	return true;
}

/* CRLF and CR become LF, NULs go, and so does a byte order mark in front. */
static enum mh_status
normalise(struct arena *a, struct mh_span s, struct mh_span *ret, struct mh_err *err)
{
	if (span_starts(s, MH_LIT("\xEF\xBB\xBF")))
		s = span_from(s, 3);
	if (s.n == 0 || (memchr(s.p, '\r', s.n) == NULL && memchr(s.p, '\0', s.n) == NULL)) {
		*ret = s;
		return MH_OK;
	}

	char *dst = arena_alloc(a, s.n);
	if (dst == NULL)
		return mh_fail(err, MH_LIMIT, "no room for a text of %zu bytes", s.n);

	const bool nuls = memchr(s.p, '\0', s.n) != NULL;
	size_t n = 0;
	while (s.n > 0) {
		const char *cr = memchr(s.p, '\r', s.n);
		const size_t run = cr == NULL ? s.n : (size_t)(cr - s.p);

		if (!nuls) {
			memcpy(dst + n, s.p, run);
			n += run;
		} else {
			for (size_t i = 0; i < run; i++)
				if (s.p[i] != '\0')
					dst[n++] = s.p[i];
		}
		s = span_from(s, run);
		if (s.n > 0) {
			dst[n++] = '\n';
			s = span_from(s, s.n > 1 && s.p[1] == '\n' ? 2 : 1);
		}
	}
	*ret = (struct mh_span){ dst, n };
	return MH_OK;
}

static enum mh_status
read_text(struct mail_reader *r, const struct text_leaf *leaf, struct mh_span source, struct mail_part *ret,
    struct mh_err *err)
{
	const size_t max = r->text_left < MH_MAX_TEXT_BYTES ? r->text_left : MH_MAX_TEXT_BYTES;
	struct mh_span bytes, utf8;
	bool bytes_cut, utf8_was_cut;

	if (!text_decode(r, leaf->encoding, source, max, &bytes, &bytes_cut))
		return mh_fail(err, MH_LIMIT, "no room for a text of %zu bytes", source.n);

	enum mh_status status = charset_to_utf8(
	    r->charsets, leaf->charset, bytes, max, r->arena, &utf8, &ret->charset_unknown, &utf8_was_cut, err);
	if (status != MH_OK)
		return status;
	ret->cut = bytes_cut || utf8_was_cut;

	const size_t cost = leaf->encoding != TRANSFER_IDENTITY && bytes.n > utf8.n ? bytes.n : utf8.n;
	r->text_left -= cost < r->text_left ? cost : r->text_left;
	if (leaf->type == MAIL_HTML)
		return html_to_text(utf8, r->arena, &ret->text, &ret->links, err);
	ret->links = MH_LIT("");
	return normalise(r->arena, utf8, &ret->text, err);
}

void
text_read(struct mail_reader *r, const struct text_leaf *leaf, const struct mime_frame *in, struct mh_span source)
{
	struct mail *m = r->mail;
	struct mail_part part = {
		.type = leaf->type, .source = source, .message = in->message, .alternative = in->alternative
	};

	switch (leaf->encoding) {
	case TRANSFER_IDENTITY:
		break;
	case TRANSFER_BASE64:
		part.encoding = "base64";
		break;
	case TRANSFER_QUOTED_PRINTABLE:
		part.encoding = "quoted-printable";
		break;
	}
	if (m->n_parts == MH_MAX_PARTS) {
		m->limits |= MAIL_LIMIT_PARTS;
		return;
	}

	struct mail_part *parts = arena_grow(r->arena, m->parts, m->n_parts, &r->cap_parts, sizeof(*parts));
	if (parts != NULL)
		m->parts = parts; /* before the next thing that may fail: cap_parts speaks of it already */
	if (parts == NULL || read_text(r, leaf, source, &part, NULL) != MH_OK) {
		m->limits |= MAIL_LIMIT_MEMORY;
		return;
	}
	if (part.cut)
		m->limits |= MAIL_LIMIT_TEXT;
	m->parts[m->n_parts++] = part;
}
