/* mime.c: multiparts and messages (RFC 2046) in one pass over the lines, with the open ones on a stack.
 *
 * The stack is MH_MAX_DEPTH high, so what nests deeper is passed over as one opaque part; only a message in a transfer
 * encoding, which RFC 2046 forbids and which is met, is decoded and read by a call of its own, within the same stack.
 */
#include <string.h>

#include "mailhook/mail/charset.h"
#include "mailhook/mail/header.h"
#include "mailhook/mail/mime.h"
#include "mailhook/mail/rfc2231.h"

enum leaf_kind {
	LEAF_NONE, /* preamble, epilogue, attachment, anything that is not read */
	LEAF_TEXT,
	LEAF_MESSAGE /* in base64 or quoted-printable */
};

/* What stands between the reader's place and the next boundary. */
struct leaf {
	enum leaf_kind kind;
	struct text_leaf text;
	struct mime_frame in;
	size_t at;
};

/* One run over a buffer: the mail itself, or a message that was decoded out of it. */
struct walk {
	struct mail_reader *r;
	struct mh_span bytes;
	size_t base; /* frames below it belong to the buffer around this one: their boundaries do not count */
};

/* The fields that say what an entity is; raw, MH_NONE where missing. */
struct entity {
	struct mh_span type, encoding, disposition;
};

/* -- boundaries --------------------------------------------------------------------------------------------------- */

static bool
only_blanks(struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != ' ' && s.p[i] != '\t')
			return false;
	return true;
}

/* The index of the frame whose boundary this line is, or SIZE_MAX. The innermost first: senders that forward a mail in
 * a multipart of the same boundary exist, and its end is the inner one's. */
static size_t
match_boundary(const struct walk *w, struct mh_span line, bool *ret_close)
{
	const struct mh_span rest = span_from(line, 2);

	for (size_t i = w->r->n_frames; i-- > w->base;) {
		const struct mh_span boundary = w->r->frames[i].boundary;

		/* Their ends differ more often than their beginnings. */
		if (boundary.n == 0 || boundary.n > rest.n || rest.p[boundary.n - 1] != boundary.p[boundary.n - 1] ||
		    memcmp(rest.p, boundary.p, boundary.n) != 0)
			continue;
		const struct mh_span after = span_from(rest, boundary.n);
		*ret_close = span_starts(after, MH_LIT("--"));
		if (only_blanks(*ret_close ? span_from(after, 2) : after))
			return i;
	}
	return SIZE_MAX;
}

static bool
ends_header(const void *user, struct mh_span line)
{
	bool close;

	return match_boundary(user, line, &close) != SIZE_MAX;
}

struct delimiter {
	size_t start, end; /* of its line, line end included */
	size_t frame;
	bool close;
};

/* The first boundary of an open frame in a line that starts at or after an offset; from is the start of a line. */
static bool
find_delimiter(const struct walk *w, size_t from, struct delimiter *ret)
{
	const struct mh_span s = w->bytes;
	bool any = false;

	ret->frame = SIZE_MAX;
	for (size_t i = w->base; i < w->r->n_frames; i++)
		any = any || w->r->frames[i].boundary.n > 0;
	if (!any)
		return false;

	while (from < s.n) {
		const char *lf = memchr(s.p + from, '\n', s.n - from);
		const size_t end = lf == NULL ? s.n : (size_t)(lf - s.p) + 1;

		if (s.p[from] == '-' && s.n - from > 2 && s.p[from + 1] == '-') {
			struct mh_span rest = span_head(span_from(s, from), end - from), line;

			if (span_line(&rest, &line))
				ret->frame = match_boundary(w, line, &ret->close);
			if (ret->frame != SIZE_MAX) {
				ret->start = from;
				ret->end = end;
				return true;
			}
		}
		from = end;
	}
	return false;
}

/* -- entities ----------------------------------------------------------------------------------------------------- */

static void
note_field(struct entity *e, struct mh_span name, struct mh_span raw)
{
	struct mh_span *slot;

	if (name.p[0] != 'C' && name.p[0] != 'c')
		return;
	if (span_ieq(name, MH_LIT("Content-Type")))
		slot = &e->type;
	else if (span_ieq(name, MH_LIT("Content-Transfer-Encoding")))
		slot = &e->encoding;
	else if (span_ieq(name, MH_LIT("Content-Disposition")))
		slot = &e->disposition;
	else
		return;
	if (slot->p == NULL) /* of two the first, as most readers have it */
		*slot = raw;
}

/* Fills a message's fields from its header, and what they say of its body. */
static void
read_message_fields(struct mail_reader *r, struct mail_message *m, const struct header *h, struct entity *ret)
{
	const size_t max = h->n_lines < MH_MAX_FIELDS ? h->n_lines : MH_MAX_FIELDS;
	struct mh_span block = h->block, name, raw;

	m->fields = arena_array(r->arena, max, sizeof(*m->fields));
	if (m->fields == NULL) {
		r->mail->limits |= MAIL_LIMIT_MEMORY;
		return;
	}
	while (header_next(&block, &name, &raw)) {
		if (m->n_fields == MH_MAX_FIELDS) {
			r->mail->limits |= MAIL_LIMIT_FIELDS;
			break;
		}
		if (m->n_fields == max)
			break;

		struct mail_field *f = &m->fields[m->n_fields];
		*f = (struct mail_field){ .name = name, .raw = raw };
		note_field(ret, name, raw);
		if (header_value(raw, r->charsets, r->arena, &f->value, &r->mail->limits, NULL) != MH_OK) {
			r->mail->limits |= MAIL_LIMIT_MEMORY;
			continue;
		}
		m->n_fields++;
	}
}

static void
read_part_fields(struct mail_reader *r, const struct header *h, struct entity *ret)
{
	struct mh_span block = h->block, name, raw;

	for (size_t n = 0; header_next(&block, &name, &raw); n++) {
		if (n == MH_MAX_FIELDS) {
			r->mail->limits |= MAIL_LIMIT_FIELDS;
			break;
		}
		note_field(ret, name, raw);
	}
}

static bool
push(struct mail_reader *r, const struct mime_frame *f)
{
	if (r->n_frames == MH_MAX_DEPTH + 1) {
		r->mail->limits |= MAIL_LIMIT_DEPTH;
		return false;
	}
	r->frames[r->n_frames++] = *f;
	return true;
}

static bool
push_message(struct mail_reader *r, const struct mime_frame *in)
{
	struct mail *m = r->mail;

	if (m->n_messages == MH_MAX_MESSAGES) {
		m->limits |= MAIL_LIMIT_PARTS;
		return false;
	}

	struct mail_message *messages =
	    arena_grow(r->arena, m->messages, m->n_messages, &r->cap_messages, sizeof(*messages));
	if (messages == NULL) {
		m->limits |= MAIL_LIMIT_MEMORY;
		return false;
	}
	m->messages = messages;
	if (!push(r, &(struct mime_frame){ .message = m->n_messages, .report = in->report }))
		return false;
	m->messages[m->n_messages++] = (struct mail_message){
		.parent = in->message, .depth = m->messages[in->message].depth + 1, .report = in->report
	};
	return true;
}

static void
push_multipart(struct mail_reader *r, const struct content *c, const struct mime_frame *in, struct mh_span boundary,
    bool attached, bool is_message)
{
	struct mime_frame f = *in;

	f.boundary = boundary;
	f.digest = content_is(c, "multipart", "digest");
	f.attached = in->attached || attached;
	if (in->alternative == 0 && content_is(c, "multipart", "alternative"))
		f.alternative = r->n_alternatives + 1;
	if (content_is(c, "multipart", "report")) {
		f.report = true;
		if (is_message)
			r->mail->messages[in->message].report = true;
	}
	if (push(r, &f) && f.alternative > r->n_alternatives)
		r->n_alternatives = f.alternative;
}

/* Trailing blanks are no part of a boundary (RFC 2046 section 5.1.1). */
static struct mh_span
trim_end(struct mh_span s)
{
	while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
		s.n--;
	return s;
}

static bool
is_attachment(struct mh_span disposition, unsigned *limits)
{
	struct content c;

	if (disposition.p == NULL)
		return false;
	content_read(disposition, &c, limits);
	return c.type.n > 0 && !span_ieq(c.type, MH_LIT("inline")); /* RFC 2183 2.8: an unknown one is an attachment */
}

static struct mh_span
param(struct mail_reader *r, const struct content *c, const char *name)
{
	struct mh_span value;

	if (content_param(c, name, r->charsets, r->arena, &value, NULL) == MH_OK)
		return value;
	r->mail->limits |= MAIL_LIMIT_MEMORY;
	return MH_NONE;
}

static void
set_text(struct mail_reader *r, struct leaf *leaf, enum mail_type type, const struct content *c)
{
	leaf->kind = LEAF_TEXT;
	leaf->text.type = type;
	leaf->text.charset = param(r, c, "charset");
}

/* Decides what an entity is. True: it is a message whose own header comes next. */
static bool
open_entity(struct mail_reader *r, const struct entity *e, bool is_message, struct leaf *ret)
{
	const struct mime_frame in = r->frames[r->n_frames - 1];
	const bool attached = is_attachment(e->disposition, &r->mail->limits);
	const bool hidden = attached || in.attached;
	struct content c = { .type = MH_NONE };

	if (e->type.p != NULL)
		content_read(e->type, &c, &r->mail->limits);
	if (c.type.n == 0 || c.subtype.n == 0) { /* missing, or broken: the default (RFC 2045 section 5.2) */
		c.type = in.digest ? MH_LIT("message") : MH_LIT("text");
		c.subtype = in.digest ? MH_LIT("rfc822") : MH_LIT("plain");
	}
	ret->kind = LEAF_NONE;
	ret->in = in;
	ret->text.encoding = e->encoding.p == NULL ? TRANSFER_IDENTITY : transfer_named(e->encoding);

	if (content_is(&c, "multipart", NULL)) {
		const struct mh_span boundary = trim_end(param(r, &c, "boundary"));

		if (boundary.n > 0)
			push_multipart(r, &c, &in, boundary, attached, is_message);
		else if (!hidden) /* no way to find its parts: the text that stands there is better than none */
			set_text(r, ret, MAIL_PLAIN, &c);
		return false;
	}
	if (content_is(&c, "message", "rfc822") || content_is(&c, "message", "global")) {
		if (ret->text.encoding == TRANSFER_IDENTITY)
			return push_message(r, &in);
		ret->kind = LEAF_MESSAGE;
		return false;
	}
	if (!hidden && content_is(&c, "text", "plain"))
		set_text(r, ret, MAIL_PLAIN, &c);
	else if (!hidden && content_is(&c, "text", "html"))
		set_text(r, ret, MAIL_HTML, &c);
	return false;
}

/* Past what stands in front of a message's header: a byte order mark, and the "From " line of an mbox. */
static size_t
skip_front(struct mh_span s, size_t at)
{
	if (span_starts(span_from(s, at), MH_LIT("\xEF\xBB\xBF")))
		at += 3;

	struct mh_span rest = span_from(s, at), line;
	if ((span_starts(rest, MH_LIT("From ")) || span_starts(rest, MH_LIT(">From "))) && span_line(&rest, &line))
		at = s.n - rest.n;
	return at;
}

/* Reads the header at an offset, and those of messages that start right behind it.
 *   out     the offset of the innermost body; ret_first: that of the first */
static size_t
read_headers(const struct walk *w, size_t at, bool is_message, struct leaf *ret, size_t *ret_first)
{
	struct mail_reader *r = w->r;
	const struct header_end end = { ends_header, w };

	for (bool first = true;; first = false) {
		struct entity e = { .type = MH_NONE };

		if (is_message)
			at = skip_front(w->bytes, at);
		const struct header h = header_find(w->bytes, at, &end, &r->mail->limits);
		if (is_message)
			read_message_fields(r, &r->mail->messages[r->frames[r->n_frames - 1].message], &h, &e);
		else
			read_part_fields(r, &h, &e);
		at = h.body_at;
		if (first)
			*ret_first = at;
		if (!open_entity(r, &e, is_message, ret)) {
			ret->at = at;
			return at;
		}
		is_message = true;
	}
}

static size_t walk_from(struct mail_reader *r, struct mh_span bytes, size_t at);

/* A message in a transfer encoding: decoded, and read with the open frames below it. */
static void
read_encoded_message(struct mail_reader *r, const struct leaf *leaf, struct mh_span source)
{
	const size_t n_frames = r->n_frames;
	struct mh_span bytes;
	bool cut;

	if (!text_decode(r, leaf->text.encoding, source, r->text_left, &bytes, &cut)) {
		r->mail->limits |= MAIL_LIMIT_MEMORY;
		return;
	}
	if (cut)
		r->mail->limits |= MAIL_LIMIT_TEXT;
	r->text_left -= bytes.n;
	if (push_message(r, &leaf->in))
		(void)walk_from(r, bytes, 0);
	r->n_frames = n_frames;
}

static void
close_leaf(const struct walk *w, const struct leaf *leaf, size_t end)
{
	const struct mh_span source = span_head(span_from(w->bytes, leaf->at), end > leaf->at ? end - leaf->at : 0);

	switch (leaf->kind) {
	case LEAF_NONE:
		break;
	case LEAF_TEXT:
		text_read(w->r, &leaf->text, &leaf->in, source);
		break;
	case LEAF_MESSAGE:
		read_encoded_message(w->r, leaf, source);
		break;
	}
}

/* Reads a message whose frame is the topmost. Called again only for encoded messages, so at most MH_MAX_DEPTH deep. */
static size_t
walk_from(struct mail_reader *r, struct mh_span bytes, size_t at)
{
	const struct walk w = { r, bytes, r->n_frames - 1 };
	struct leaf leaf = { .kind = LEAF_NONE };
	struct delimiter d;
	size_t body_at, ignored;

	at = read_headers(&w, at, true, &leaf, &body_at);
	while (find_delimiter(&w, at, &d)) {
		size_t end = d.start; /* the line end in front belongs to the boundary */

		end -= end > leaf.at && bytes.p[end - 1] == '\n';
		end -= end > leaf.at && bytes.p[end - 1] == '\r';
		close_leaf(&w, &leaf, end);
		r->n_frames = d.frame + (d.close ? 0 : 1);
		leaf.kind = LEAF_NONE;
		at = d.end;
		if (!d.close)
			at = read_headers(&w, at, false, &leaf, &ignored);
	}
	close_leaf(&w, &leaf, bytes.n);
	return body_at;
}

size_t
mime_read(struct mail_reader *r, struct mh_span raw, size_t at)
{
	r->frames[0] = (struct mime_frame){ .message = 0 };
	r->n_frames = 1;
	return walk_from(r, raw, at);
}
