/* answer.c: a struct reading as bytes and back: little-endian, length-prefixed, no byte without a meaning.
 *
 *   "mha1" verdict:u8 flags:u8 body_at:u64 string[10] notices:u32 { string[5] expires:i64 precision:u8 days:i32 }*
 *   string: length:u32 bytes; the length UNKNOWN is p == NULL
 *
 * Encoding makes every string what decoding demands (cut, UTF-8, no control characters), so that an odd mail is no
 * malformed answer. What encoding cannot mend (a kind or an account of the wrong shape) is a fault of the parser: it is
 * written as it is, and refused.
 */
#include <string.h>

#include "mailhook/answer.h"

#define UNKNOWN UINT32_MAX

static const struct mh_span magic = MH_LIT("mha1");

enum flag { NOTICE_LIKE = 1 << 0, AUTOMATIC = 1 << 1, LIST = 1 << 2, OWN = 1 << 3 };
#define ALL_FLAGS (NOTICE_LIKE | AUTOMATIC | LIST | OWN)

/* What a string may hold. */
enum shape {
	TEXT,    /* UTF-8, no control character */
	HEADER,  /* bytes of a header field: 8-bit is kept for the digest, control characters but TAB are not */
	KIND,    /* lower case letters, digits, dot, hyphen */
	REGION,  /* lower case letters, digits, hyphen */
	EVENT,   /* letters, digits, _ . : / - */
	ACCOUNT, /* as TEXT; 12 digits where the kind is AWS's */
};

struct slot {
	size_t offset, max;
	enum shape shape;
};

#define SLOT(type, field, shape_, max_)                                                                                \
	{                                                                                                              \
		.offset = offsetof(struct type, field), .max = (max_), .shape = (shape_)                               \
	}

static const struct slot reading_slots[] = {
	SLOT(reading, reason, TEXT, MH_MAX_FACT_BYTES),
	SLOT(reading, parser, TEXT, MH_MAX_FACT_BYTES),
	SLOT(reading, message_id, HEADER, MH_MAX_FACT_BYTES),
	SLOT(reading, from, HEADER, MH_MAX_FACT_BYTES),
	SLOT(reading, date, HEADER, MH_MAX_FACT_BYTES),
	SLOT(reading, subject, HEADER, MH_MAX_FACT_BYTES),
	SLOT(reading, content_type, HEADER, MH_MAX_FACT_BYTES),
	SLOT(reading, from_address, TEXT, MH_MAX_FACT_BYTES),
	SLOT(reading, reply_to, TEXT, MH_MAX_FACT_BYTES),
	SLOT(reading, references, HEADER, MH_MAX_REFERENCES_BYTES),
};
#define N_READING (sizeof(reading_slots) / sizeof(reading_slots[0]))

static const struct slot notice_slots[] = {
	SLOT(notice, kind, KIND, MH_MAX_FACT_BYTES),
	SLOT(notice, account, ACCOUNT, MH_MAX_FACT_BYTES),
	SLOT(notice, region, REGION, MH_MAX_FACT_BYTES),
	SLOT(notice, resource, TEXT, MH_MAX_FACT_BYTES),
	SLOT(notice, event, EVENT, MH_MAX_FACT_BYTES),
};
#define N_NOTICE (sizeof(notice_slots) / sizeof(notice_slots[0]))

static bool
is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7F;
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
all_of(struct mh_span s, enum shape shape)
{
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];
		const bool upper = c >= 'A' && c <= 'Z';

		if (is_lower(c) || is_digit(c) || c == '-')
			continue;
		if (shape == KIND && c == '.')
			continue;
		if (shape == EVENT && (upper || c == '_' || c == '.' || c == ':' || c == '/'))
			continue;
		return false;
	}
	return s.n > 0;
}

/* C0 or DEL; a TAB counts where a text is no header's. Without a branch, so that the compiler takes many bytes at once. */
static bool
has_control(struct mh_span s, enum shape shape)
{
	const unsigned char allowed = shape == HEADER ? '\t' : '\x7F';
	unsigned char found = 0;

	for (size_t i = 0; i < s.n; i++) {
		const unsigned char c = (unsigned char)s.p[i];

		found |= (unsigned char)(((c < 0x20) & (c != allowed)) | (c == 0x7F));
	}
	return found != 0;
}

/* UTF-8 without a control character: neither C0, DEL nor C1 (U+0080 to U+009F). */
static bool
is_text(struct mh_span s)
{
	if (has_control(s, TEXT))
		return false;
	for (size_t i = utf8_ascii(s); i + 1 < s.n; i++)
		if (s.p[i] == '\xC2' && (unsigned char)s.p[i + 1] < 0xA0)
			return false;
	return utf8_valid(s);
}

static bool
has_shape(struct mh_span s, enum shape shape)
{
	switch (shape) {
	case TEXT:
	case ACCOUNT:
		return is_text(s);
	case HEADER:
		return !has_control(s, HEADER);
	case KIND:
	case REGION:
	case EVENT:
		return all_of(s, shape);
	}
	return false;
}

/* -- out ---------------------------------------------------------------------------------------------------------- */

static void
put_number(struct buf *out, uint64_t v, size_t bytes)
{
	char b[8];

	for (size_t i = 0; i < bytes; i++)
		b[i] = (char)(unsigned char)(v >> (8 * i) & 0xFF);
	buf_put(out, (struct mh_span){ b, bytes });
}

/* Mends in place what was just written: control characters become blanks, bytes that are no UTF-8 question marks. */
static void
mend(char *p, size_t n, enum shape shape)
{
	const bool control = has_control((struct mh_span){ p, n }, shape);

	for (size_t i = 0; control && i < n; i++)
		if (is_control((unsigned char)p[i]) && !(shape == HEADER && p[i] == '\t'))
			p[i] = ' ';
	if (shape == HEADER || is_text((struct mh_span){ p, n }))
		return;

	const bool valid = utf8_valid((struct mh_span){ p, n });
	for (size_t i = 0; i < n; i++) {
		const unsigned char c = (unsigned char)p[i];

		if (!valid && c >= 0x80) {
			p[i] = '?';
		} else if (c == 0xC2 && i + 1 < n && (unsigned char)p[i + 1] < 0xA0) { /* a C1 control character */
			p[i] = ' ';
			p[i + 1] = ' ';
		}
	}
}

static void
put_string(struct buf *out, struct mh_span s, const struct slot *slot)
{
	/* The event is a hint and the region may be unknown: better not said than the whole answer refused. */
	if (s.p == NULL || ((slot->shape == REGION || slot->shape == EVENT) && !all_of(s, slot->shape))) {
		put_number(out, UNKNOWN, 4);
		return;
	}
	if (s.n > slot->max) {
		if (slot->offset == offsetof(struct reading, references) && slot->shape == HEADER)
			s = span_from(s, s.n - slot->max); /* the newest ids are the last */
		else
			s.n = slot->shape == HEADER ? slot->max : utf8_cut(s, slot->max);
	}
	put_number(out, s.n, 4);

	const size_t at = out->n;
	buf_put(out, s);
	if (buf_ok(out) && (slot->shape == TEXT || slot->shape == HEADER))
		mend(out->p + at, s.n, slot->shape);
}

static void
put_strings(struct buf *out, const void *base, const struct slot *slots, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct mh_span s;

		memcpy(&s, (const char *)base + slots[i].offset, sizeof(s));
		put_string(out, s, &slots[i]);
	}
}

void
answer_encode(const struct reading *r, struct buf *out)
{
	const size_t n = r->verdict != MH_NOTICE ? 0 : r->n_notices < MH_MAX_NOTICES ? r->n_notices : MH_MAX_NOTICES;

	buf_put(out, magic);
	put_number(out, (uint64_t)r->verdict, 1);
	put_number(out,
	    (r->notice_like ? NOTICE_LIKE : 0u) | (r->automatic ? AUTOMATIC : 0u) | (r->list ? LIST : 0u) |
		(r->own ? OWN : 0u),
	    1);
	put_number(out, r->body_at, 8);
	put_strings(out, r, reading_slots, N_READING);
	put_number(out, n, 4);
	for (size_t i = 0; i < n; i++) {
		put_strings(out, &r->notices[i], notice_slots, N_NOTICE);
		put_number(out, (uint64_t)r->notices[i].expires, 8);
		put_number(out, (uint64_t)r->notices[i].precision, 1);
		put_number(out, (uint32_t)r->notices[i].days_stated, 4);
	}
}

/* -- in ----------------------------------------------------------------------------------------------------------- */

/* Takes a number off the front of *s; false where there are too few bytes. */
static bool
get_number(struct mh_span *s, size_t bytes, uint64_t *ret)
{
	uint64_t v = 0;

	if (s->n < bytes)
		return false;
	for (size_t i = 0; i < bytes; i++)
		v |= (uint64_t)(unsigned char)s->p[i] << (8 * i);
	*s = span_from(*s, bytes);
	*ret = v;
	return true;
}

static enum mh_status
get_string(struct mh_span *s, const struct slot *slot, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	uint64_t n;

	if (!get_number(s, 4, &n))
		return mh_fail(err, MH_BAD, "the answer is cut short");
	if (n == UNKNOWN) {
		*ret = MH_NONE;
		return MH_OK;
	}
	if (n > slot->max || n > s->n)
		return mh_fail(err, MH_BAD, "a string of the answer is too long");

	const struct mh_span bytes = span_head(*s, (size_t)n);
	if (!has_shape(bytes, slot->shape))
		return mh_fail(err, MH_BAD, "a string of the answer is not of its form");
	*s = span_from(*s, (size_t)n);
	return arena_copy(a, bytes, ret, err);
}

static enum mh_status
get_strings(struct mh_span *s, void *base, const struct slot *slots, size_t n, struct arena *a, struct mh_err *err)
{
	for (size_t i = 0; i < n; i++) {
		struct mh_span v;
		const enum mh_status st = get_string(s, &slots[i], a, &v, err);

		if (st != MH_OK)
			return st;
		memcpy((char *)base + slots[i].offset, &v, sizeof(v));
	}
	return MH_OK;
}

static bool
is_aws_account(struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_digit(s.p[i]))
			return false;
	return s.n == 12;
}

static enum mh_status
get_notice(struct mh_span *s, struct arena *a, struct notice *ret, struct mh_err *err)
{
	uint64_t expires, precision, days;
	const enum mh_status st = get_strings(s, ret, notice_slots, N_NOTICE, a, err);

	if (st != MH_OK)
		return st;
	if (!get_number(s, 8, &expires) || !get_number(s, 1, &precision) || !get_number(s, 4, &days))
		return mh_fail(err, MH_BAD, "the answer is cut short");

	ret->expires = (int64_t)expires;
	ret->days_stated = (int32_t)(uint32_t)days;
	if (ret->kind.p == NULL || precision > MH_DERIVED || ret->days_stated < -1 ||
	    ret->expires < time_of_civil(1, 1, 1, 0, 0, 0) || ret->expires > time_of_civil(9999, 12, 31, 23, 59, 59))
		return mh_fail(err, MH_BAD, "a notice of the answer is not of its form");
	/* A notice of AWS always names its account: mailhook-notice(5). */
	if (span_starts(ret->kind, MH_LIT("aws.")) && !is_aws_account(ret->account))
		return mh_fail(err, MH_BAD, "an account of the answer is not 12 digits");
	ret->precision = (enum mh_precision)precision;
	return MH_OK;
}

enum mh_status
answer_decode(struct mh_span bytes, size_t raw_bytes, struct arena *a, struct reading *ret, struct mh_err *err)
{
	struct mh_span s = span_from(bytes, magic.n);
	struct reading r = { 0 };
	uint64_t verdict, flags, n;

	if (!span_starts(bytes, magic) || !get_number(&s, 1, &verdict) || !get_number(&s, 1, &flags) ||
	    !get_number(&s, 8, &r.body_at))
		return mh_fail(err, MH_BAD, "the answer is none");
	if (verdict > MH_FAILED || flags > ALL_FLAGS || r.body_at > raw_bytes)
		return mh_fail(err, MH_BAD, "the answer's head is not of its form");

	enum mh_status st = get_strings(&s, &r, reading_slots, N_READING, a, err);
	if (st != MH_OK)
		return st;
	if (!get_number(&s, 4, &n) || n > MH_MAX_NOTICES)
		return mh_fail(err, MH_BAD, "the answer's number of notices is not of its form");
	if ((verdict == MH_NOTICE) != (n > 0))
		return mh_fail(err, MH_BAD, "the answer's verdict and its notices contradict each other");

	r.notices = n == 0 ? NULL : arena_array(a, (size_t)n, sizeof(*r.notices));
	if (n > 0 && r.notices == NULL)
		return mh_fail(err, MH_LIMIT, "no room for %u notices", (unsigned)n);
	for (; r.n_notices < n; r.n_notices++) {
		st = get_notice(&s, a, &r.notices[r.n_notices], err);
		if (st != MH_OK)
			return st;
	}
	if (s.n != 0)
		return mh_fail(err, MH_BAD, "%zu bytes follow the answer", s.n);

	r.verdict = (enum mh_verdict)verdict;
	r.notice_like = (flags & NOTICE_LIKE) != 0;
	r.automatic = (flags & AUTOMATIC) != 0;
	r.list = (flags & LIST) != 0;
	r.own = (flags & OWN) != 0;
	*ret = r;
	return MH_OK;
}
