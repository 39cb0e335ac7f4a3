/* carriage.c: a mail's texts, cut where one message stands in another. */
#include "parsers/carriage.h"

#include <endian.h>
#include <string.h>

#include "parsers/address.h"
#include "parsers/date.h"
#include "parsers/event_json.h"
#include "parsers/fields.h"

struct cutter { /* one text part */
	struct view_list *list;
	struct arena *a;
	struct mh_err *err;
	struct view_segment *segments;
	size_t n_segments, cap_segments;
	struct {
		size_t view;
		unsigned depth; /* quote marks in front of its lines */
	} open[MH_MAX_DEPTH];
	size_t n_open;
	const char *segment_at;
};

struct view *
view_add(struct view_list *list, struct arena *a)
{
	if (list->n == MH_MAX_VIEWS) {
		list->more = true;
		return NULL;
	}

	struct view *items = arena_grow(a, list->items, list->n, &list->cap, sizeof(*items));
	if (items == NULL)
		return NULL;
	list->items = items;
	return &list->items[list->n++];
}

/* -- text for matching -------------------------------------------------------------------------------------------- */

/* Bytes at s.p[at] that are one white-space character beyond ASCII. */
static size_t
wide_blank(struct mh_span s, size_t at)
{
	const struct mh_span r = span_from(s, at);

	if (span_starts(r, MH_LIT("\xC2\xA0"))) /* U+00A0 */
		return 2;
	if (span_starts(r, MH_LIT("\xE2\x80\xAF")) || span_starts(r, MH_LIT("\xE3\x80\x80"))) /* U+202F, U+3000 */
		return 3;
	return r.n >= 3 && r.p[0] == '\xE2' && r.p[1] == '\x80' && (unsigned char)r.p[2] <= 0x8A ? 3 : 0;
}

/* Bytes of a character that nobody sees: soft hyphen, zero-width space and joiners, direction marks, word joiner, BOM. */
static size_t
hidden(struct mh_span s, size_t at)
{
	const struct mh_span r = span_from(s, at);

	if (span_starts(r, MH_LIT("\xC2\xAD")))
		return 2;
	if (r.n < 3)
		return 0;
	if (r.p[0] == '\xE2' && r.p[1] == '\x80' && (unsigned char)r.p[2] >= 0x8B && (unsigned char)r.p[2] <= 0x8F)
		return 3;
	return span_starts(r, MH_LIT("\xE2\x81\xA0")) || span_starts(r, MH_LIT("\xEF\xBB\xBF")) ? 3 : 0;
}

bool
carriage_hides(struct mh_span text)
{
	static const char leads[] = { '\xC2', '\xE2', '\xEF' };

	if (utf8_ascii(text) == text.n) /* nearly all mail */
		return false;
	for (size_t i = 0; i < sizeof(leads); i++) {
		size_t at = 0;

		while (at < text.n) {
			const char *hit = memchr(text.p + at, leads[i], text.n - at);

			if (hit == NULL)
				break;
			at = (size_t)(hit - text.p);
			if (hidden(text, at) > 0)
				return true;
			at++;
		}
	}
	return false;
}

struct flat {
	char *p;
	size_t n;
	bool blank; /* the last byte is one, or nothing is there yet */
};

static void
put_blank(struct flat *f)
{
	if (!f->blank)
		f->p[f->n++] = ' ';
	f->blank = true;
}

/* Bytes that a word is made of. ">" is one of them only where it is no quote mark. */
static bool
is_plain(char c)
{
	return c > ' ' && c < '\x7F' && c != '>';
}

/* Copies a character of more than one byte, or what stands for it; returns its bytes. */
static size_t
flatten_wide(struct flat *f, struct mh_span s, size_t i)
{
	const size_t blank = wide_blank(s, i), unseen = blank > 0 ? 0 : hidden(s, i);

	if (blank > 0) {
		put_blank(f);
		return blank;
	}
	if (unseen > 0)
		return unseen;
	f->blank = false;
	if (span_starts(span_from(s, i), MH_LIT("\xE2\x80\x99")) ||
	    span_starts(span_from(s, i), MH_LIT("\xE2\x80\x98"))) {
		f->p[f->n++] = '\'';
		return 3;
	}
	f->p[f->n++] = s.p[i];
	return 1;
}

/* Up to eight bytes at once, as far as they are printable ASCII without ">" and without two blanks in a row: nearly all
 * of a text. Returns how many. A byte is found by the zero that it becomes; a false alarm stands only behind a true hit. */
static size_t
flatten_eight(struct flat *f, const char *p)
{
	const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
	uint64_t w;

	memcpy(&w, p, sizeof(w));
	const uint64_t v = le64toh(w);
	const uint64_t blanks = v ^ ones * ' ', marks = v ^ ones * '>';
	const uint64_t is_blank = (blanks - ones) & ~blanks & highs;
	uint64_t stop = (v | (v - ones * ' ') | ((marks - ones) & ~marks)) & highs;

	stop |= (is_blank & is_blank << 8) | (f->blank ? is_blank & 0x80 : 0);
	const size_t n = stop == 0 ? sizeof(w) : (size_t)__builtin_ctzll(stop) / 8;
	if (n == 0)
		return 0;
	memcpy(f->p + f->n, &w, sizeof(w)); /* all eight: there is room, and what is too much is written over */
	f->n += n;
	f->blank = p[n - 1] == ' ';
	return n;
}

#define LANE_BYTES 16

typedef uint8_t lane __attribute__((vector_size(LANE_BYTES))); /* one register of most processors */

/* Copies 16 bytes that are such as flatten_eight copies, or line ends with more of the text behind them, each of which
 * becomes a blank. False: they are not, and nothing counts of what was written. */
static inline bool
copy_lane(char *to, const char *p)
{
	lane x, before;
	uint64_t half[2];

	memcpy(&x, p, sizeof(x));
	memcpy(&before, p - 1, sizeof(before));
	x ^= (lane)(x == '\n') & ('\n' ^ ' ');
	const lane bad = (lane)(x - ' ' > '~' - ' ') | (lane)(x == '>') |
			 ((lane)(x == ' ') & ((lane)(before == ' ') | (lane)(before == '\n')));
	memcpy(half, &bad, sizeof(half));
	memcpy(to, &x, sizeof(x));
	return (half[0] | half[1]) == 0;
}

/* Copies whole lanes from s.p[i] on, which has a byte in front; returns how many bytes. */
static size_t
flatten_lanes(struct flat *f, struct mh_span s, size_t i, bool *at_line)
{
	const char *p = s.p + i;
	char *to = f->p + f->n;
	size_t n = 0;

	if (f->blank && p[-1] != ' ' && p[-1] != '\n') /* a blank that copy_lane does not see */
		return 0;
	while (s.n - i - n >= LANE_BYTES && copy_lane(to + n, p + n))
		n += LANE_BYTES;
	if (n > 0) {
		f->n += n;
		*at_line = p[n - 1] == '\n';
		f->blank = *at_line || p[n - 1] == ' ';
	}
	return n;
}

/* Any one character at s.p[i], or the mark of a quotation; returns its bytes. */
static inline size_t
flatten_one(struct flat *f, struct mh_span s, size_t i, bool *at_line)
{
	const char c = s.p[i];

	if (is_plain(c)) {
		f->p[f->n++] = c;
		f->blank = *at_line = false;
		return 1;
	}
	if (c == '\n') {
		put_blank(f);
		*at_line = true;
		return 1;
	}
	if (c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f') {
		put_blank(f);
		return 1;
	}
	if (c == '>' && *at_line)
		return 1;
	*at_line = false;
	return flatten_wide(f, s, i);
}

static void
flatten(struct flat *f, struct mh_span s)
{
	bool at_line = true;

	for (size_t i = 0; i < s.n;) {
		if (i > 0)
			i += flatten_lanes(f, s, i, &at_line);
		if (i == s.n)
			return;
		if (s.n - i >= 8) {
			const size_t n = flatten_eight(f, s.p + i);

			i += n;
			at_line = at_line && n == 0;
			if (n == 8)
				continue;
		}
		i += flatten_one(f, s, i, &at_line);
	}
}

static struct mh_span
flat_end(const struct flat *f)
{
	return (struct mh_span){ f->p, f->blank && f->n > 0 ? f->n - 1 : f->n };
}

enum mh_status
carriage_flatten(struct mh_span text, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	struct flat f = { .p = arena_alloc(a, text.n + 1), .blank = true };

	if (f.p == NULL)
		return mh_fail(err, MH_LIMIT, "no room for a text in the message's arena");
	flatten(&f, text);
	*ret = flat_end(&f);
	return MH_OK;
}

bool
carriage_locate(const struct view_list *list, size_t view, size_t at, size_t *ret_offset)
{
	const struct view *v = &list->items[view];
	char out[LANE_BYTES];
	struct flat f = { .p = out, .blank = true };

	for (size_t k = 0; k < v->n_segments && v->segments != NULL; k++) {
		const struct mh_span s = v->segments[k].lines;
		bool at_line = true;

		if (v->segments[k].view != view)
			continue;
		for (size_t i = 0; i < s.n;) {
			f.n = 0;
			const size_t n = flatten_one(&f, s, i, &at_line);
			if (f.n > at) {
				*ret_offset = (size_t)(s.p - v->part->text.p) + i;
				return true;
			}
			at -= f.n;
			i += n;
		}
		f.n = 0;
		put_blank(&f);
		if (f.n > at)
			return false; /* a blank that stands for the cut between two stretches */
		at -= f.n;
	}
	return false;
}

/* -- cutting a part ----------------------------------------------------------------------------------------------- */

static enum mh_status
end_segment(struct cutter *c, const char *at)
{
	const size_t n = (size_t)(at - c->segment_at);

	if (n == 0)
		return MH_OK;
	if (c->n_segments == c->cap_segments) {
		const size_t cap = c->cap_segments == 0 ? 8 : c->cap_segments * 2;
		struct view_segment *more = arena_array(c->a, cap, sizeof(*more));

		if (more == NULL)
			return mh_fail(c->err, MH_LIMIT, "no room for views in the message's arena");
		if (c->n_segments > 0)
			memcpy(more, c->segments, c->n_segments * sizeof(*more));
		c->segments = more;
		c->cap_segments = cap;
	}
	c->segments[c->n_segments++] = (struct view_segment){ c->open[c->n_open - 1].view, { c->segment_at, n } };
	c->segment_at = at;
	return MH_OK;
}

/* Opens the view of a forward whose field lines begin at the line. Too many or too deep: its text stays where it is. */
static enum mh_status
open_forward(struct cutter *c, const struct field_block *block, unsigned depth, const char *line)
{
	if (c->n_open == MH_MAX_DEPTH) {
		c->list->more = true;
		return MH_OK;
	}

	enum mh_status status = end_segment(c, line);
	if (status != MH_OK)
		return status;

	struct view *v = view_add(c->list, c->a);
	if (v == NULL)
		return c->list->more ? MH_OK : mh_fail(c->err, MH_LIMIT, "no room for views in the message's arena");

	const struct view *around = &c->list->items[c->open[c->n_open - 1].view];
	v->kind = VIEW_FORWARD;
	v->part = around->part;
	v->alternative = around->alternative;

	size_t count;
	status = address_read(block->values[FIELD_FROM], c->a, &v->from, &count, c->err);
	if (status == MH_OK)
		status = carriage_flatten(block->values[FIELD_SUBJECT], c->a, &v->subject, c->err);

	struct mh_span date = MH_NONE;
	if (status == MH_OK)
		status = carriage_flatten(block->values[FIELD_DATE], c->a, &date, c->err);
	if (status != MH_OK)
		return status;
	v->has_date = date.n > 0 && date_read_header(date, &v->date, NULL) == MH_OK;
	c->open[c->n_open].view = (size_t)(v - c->list->items);
	c->open[c->n_open++].depth = depth;
	return MH_OK;
}

/* Offset of the next byte without which no line begins a forward (field_may_begin); s.n: none. */
static size_t
next_mark(struct mh_span s)
{
	const char wide = "："[0];
	size_t i = 0;

	for (; s.n - i >= LANE_BYTES; i += LANE_BYTES) {
		lane x;
		uint64_t half[2];

		memcpy(&x, s.p + i, sizeof(x));
		x = (lane)(x == ':') | (lane)(x == '-') | (lane)(x == (unsigned char)wide);
		memcpy(half, &x, sizeof(half));
		if ((half[0] | half[1]) != 0)
			break;
	}
	while (i < s.n && s.p[i] != ':' && s.p[i] != '-' && s.p[i] != wide)
		i++;
	return i;
}

/* From the line where the next mark stands; else the end. */
static struct mh_span
from_marked_line(struct mh_span s)
{
	const size_t mark = next_mark(s);
	const char *before = mark == s.n ? NULL : memrchr(s.p, '\n', mark);

	if (mark == s.n)
		return span_from(s, s.n);
	return before == NULL ? s : span_from(s, (size_t)(before - s.p) + 1);
}

static enum mh_status
cut_lines(struct cutter *c, struct mh_span text)
{
	struct mh_span rest = text, line;

	for (;;) {
		if (c->open[c->n_open - 1].depth == 0) /* no line's quote marks can be too few */
			rest = from_marked_line(rest);

		const struct mh_span here = rest;
		if (!span_line(&rest, &line))
			return end_segment(c, here.p);

		struct mh_span words;
		const unsigned depth = quote_depth(line, &words);
		if (words.n == 0 && depth == 0) /* some programs quote no empty lines */
			continue;

		enum mh_status status = MH_OK;
		if (depth < c->open[c->n_open - 1].depth && c->n_open > 1) {
			status = end_segment(c, here.p);
			while (c->n_open > 1 && depth < c->open[c->n_open - 1].depth)
				c->n_open--;
		}

		struct field_block block;
		if (status == MH_OK && field_may_begin(words) && field_block_read(here, &block)) {
			status = open_forward(c, &block, depth, here.p);
			rest = span_from(here, block.bytes);
		}
		if (status != MH_OK)
			return status;
	}
}

/* Gives each view opened in this part its text, from its segments. */
static enum mh_status
fill_texts(struct cutter *c, size_t first_view)
{
	for (size_t v = first_view; v < c->list->n; v++) {
		struct view *view = &c->list->items[v];
		size_t bytes = 0;
		const char *from = NULL, *to = NULL;

		for (size_t i = 0; i < c->n_segments; i++) {
			if (c->segments[i].view != v)
				continue;
			bytes += c->segments[i].lines.n + 1;
			from = from == NULL ? c->segments[i].lines.p : from;
			to = c->segments[i].lines.p + c->segments[i].lines.n;
		}

		struct flat f = { .p = arena_alloc(c->a, bytes + 1), .blank = true };
		if (f.p == NULL)
			return mh_fail(c->err, MH_LIMIT, "no room for a text in the message's arena");
		for (size_t i = 0; i < c->n_segments; i++) {
			if (c->segments[i].view != v)
				continue;
			flatten(&f, c->segments[i].lines);
			put_blank(&f);
		}
		view->text = flat_end(&f);
		view->segments = c->segments;
		view->n_segments = c->n_segments;
		view->lines = (struct mh_span){ from, (size_t)(to - from) };
	}
	return MH_OK;
}

/* -- facts of a carriage ------------------------------------------------------------------------------------------ */

/* The event code of AWS's own header fields: most likely unsigned, so a hint and no more. */
static struct mh_span
header_event(const struct mail_message *m)
{
	const struct mail_field *f = mail_field(m, "X-SM-COMMUNICATION-TYPE");

	if (f != NULL && f->value.n > 0)
		return f->value;
	f = mail_field(
	    m, "X-NOTIFICATIONS-CLIENT-REQUEST-ID"); /* arn:aws:silverwire:REGION:silvermine:CODE/CODE_id/... */
	if (f == NULL)
		return MH_NONE;

	struct mh_span rest = f->value;
	for (int colons = 0; colons < 5; colons++) {
		const size_t at = span_find(rest, MH_LIT(":"), 0);
		if (at == SIZE_MAX)
			return MH_NONE;
		rest = span_from(rest, at + 1);
	}
	const size_t slash = span_find(rest, MH_LIT("/"), 0);
	return slash == SIZE_MAX || slash == 0 ? MH_NONE : span_head(rest, slash);
}

/* The view of a message's own text, with what its header says; part is NULL where it has no text. */
static enum mh_status
message_view(const struct mail *m, size_t number, const struct mail_part *part, struct arena *a, struct view_list *list,
    struct mh_err *err)
{
	const struct mail_message *message = &m->messages[number];
	struct view *v = view_add(list, a);
	size_t count;

	if (v == NULL)
		return list->more ? MH_SKIP : mh_fail(err, MH_LIMIT, "no room for views in the message's arena");
	v->kind = message->depth == 0 ? VIEW_MESSAGE : VIEW_RFC822;
	v->part = part;
	v->alternative = part == NULL ? 0 : part->alternative;
	v->event = header_event(message);

	const struct mail_field *from = mail_field(message, "From"), *subject = mail_field(message, "Subject"),
				*date = mail_field(message, "Date");
	if (date != NULL)
		v->has_date = date_read_header(date->value, &v->date, NULL) == MH_OK;
	if (subject != NULL && carriage_flatten(subject->value, a, &v->subject, err) != MH_OK)
		return MH_LIMIT;
	return from == NULL ? MH_OK : address_read(from->raw, a, &v->from, &count, err);
}

static enum mh_status
part_views(
    const struct mail *m, const struct mail_part *part, struct arena *a, struct view_list *list, struct mh_err *err)
{
	const size_t first = list->n;
	const enum mh_status made = message_view(m, part->message, part, a, list, err);

	if (made != MH_OK)
		return made == MH_SKIP ? MH_OK : made;

	struct cutter c = { .list = list, .a = a, .err = err, .n_open = 1, .segment_at = part->text.p };
	c.open[0].view = first;
	enum mh_status status = cut_lines(&c, part->text);
	if (status == MH_OK)
		status = fill_texts(&c, first);

	const size_t end = list->n;
	for (size_t i = first; i < end && status == MH_OK; i++) {
		bool found = false;

		status = event_views(i, list, a, &found, err);
		if (status == MH_OK && found)
			list->items[i].text = MH_NONE; /* it was not written for a person */
		else if (status == MH_OK)
			metadata_facts(&list->items[i], a);
	}
	return status;
}

enum mh_status
carriage_views(const struct mail *m, struct arena *a, struct view_list *ret, struct mh_err *err)
{
	*ret = (struct view_list){ 0 };
	for (size_t i = 0; i < m->n_messages; i++) {
		bool has_text = m->messages[i].report;

		for (size_t p = 0; p < m->n_parts && !has_text; p++)
			has_text = m->parts[p].message == i;
		if (!has_text && message_view(m, i, NULL, a, ret, err) == MH_LIMIT)
			return MH_LIMIT;
	}
	for (size_t i = 0; i < m->n_parts; i++) {
		if (m->messages[m->parts[i].message].report)
			continue;
		const enum mh_status status = part_views(m, &m->parts[i], a, ret, err);
		if (status != MH_OK)
			return status;
	}
	return MH_OK;
}
