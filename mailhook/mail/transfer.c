/* transfer.c: base64 and quoted-printable in one pass each. */
#include <string.h>

#include "mailhook/mail/transfer.h"

#define JUNK 0x40 /* any digit is below */

static unsigned
base64_digit(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A' + 0u;
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26u;
	if (c >= '0' && c <= '9')
		return c - '0' + 52u;
	return c == '+' ? 62 : c == '/' ? 63 : JUNK;
}

struct base64 {
	unsigned bits; /* of the digits since the last whole group of four */
	size_t n_digits;
	char *dst;
	size_t n, max;
	bool cut;
};

/* Writes the first n_bytes of a group whose four digits stand in bits. */
static void
put_group(struct base64 *b, unsigned bits, size_t n_bytes)
{
	for (size_t i = 0; i < n_bytes; i++) {
		if (b->n == b->max) {
			b->cut = true;
			return;
		}
		b->dst[b->n++] = (char)(unsigned char)(bits >> (16 - 8 * i));
	}
}

/* Padding or the end: two digits carry one byte, three carry two, one carries none. */
static void
end_group(struct base64 *b)
{
	if (b->n_digits >= 2)
		put_group(b, b->bits << (6 * (4 - b->n_digits)), b->n_digits - 1);
	b->n_digits = 0;
	b->bits = 0;
}

static size_t
base64_decode(struct mh_span in, char *dst, size_t max, bool *ret_cut)
{
	unsigned char digit[256];
	struct base64 b = { .dst = dst, .max = max };
	size_t at = 0;

	for (unsigned c = 0; c < sizeof(digit); c++)
		digit[c] = (unsigned char)base64_digit((unsigned char)c);

	while (at < in.n && !b.cut) {
		while (b.n_digits == 0 && in.n - at >= 4 && b.max - b.n >= 3) {
			const unsigned char *u = (const unsigned char *)in.p + at;
			const unsigned d0 = digit[u[0]], d1 = digit[u[1]], d2 = digit[u[2]], d3 = digit[u[3]];

			if (((d0 | d1 | d2 | d3) & JUNK) != 0)
				break;
			const unsigned bits = d0 << 18 | d1 << 12 | d2 << 6 | d3;
			b.dst[b.n++] = (char)(unsigned char)(bits >> 16);
			b.dst[b.n++] = (char)(unsigned char)(bits >> 8);
			b.dst[b.n++] = (char)(unsigned char)bits;
			at += 4;
		}
		if (at == in.n)
			break;

		const char c = in.p[at++];
		const unsigned d = digit[(unsigned char)c];
		if (c == '=') {
			end_group(&b);
		} else if (d != JUNK) {
			b.bits = b.bits << 6 | d;
			if (++b.n_digits == 4) {
				put_group(&b, b.bits, 3);
				b.n_digits = 0;
				b.bits = 0;
			}
		}
	}
	if (!b.cut)
		end_group(&b);
	*ret_cut = b.cut;
	return b.n;
}

/* The length of an escape "=XX" at p, or 0; its byte goes to *ret_byte. */
static size_t
escape(struct mh_span s, char *ret_byte)
{
	if (s.n < 3)
		return 0;

	const int high = hex_digit(s.p[1]), low = hex_digit(s.p[2]);
	if (high < 0 || low < 0)
		return 0;
	*ret_byte = (char)(unsigned char)(high << 4 | low);
	return 3;
}

/* The length of a soft line break at s: "=", blanks, and a line end or the end of all; else 0. */
static size_t
soft_break(struct mh_span s)
{
	size_t n = 1;

	while (n < s.n && (s.p[n] == ' ' || s.p[n] == '\t'))
		n++;
	if (n < s.n && s.p[n] == '\r')
		n++;
	if (n == s.n)
		return n;
	return s.p[n] == '\n' ? n + 1 : 0;
}

/* Offset of c in s within [from, to), or to. */
static size_t
byte_at(char c, struct mh_span s, size_t from, size_t to)
{
	const char *hit = memchr(s.p + from, c, to - from);

	return hit == NULL ? to : (size_t)(hit - s.p);
}

static size_t
quoted_printable_decode(struct mh_span in, char *dst, size_t max, bool *ret_cut)
{
	size_t n = 0, at = 0;
	size_t fixed = 0; /* blanks before this offset of dst were escaped: not ours to drop */
	size_t line_end = SIZE_MAX;

	*ret_cut = false;
	while (at < in.n) {
		char c = in.p[at];

		if (c == '=') {
			const struct mh_span rest = span_from(in, at);
			size_t used = escape(rest, &c);

			if (used == 0 && (used = soft_break(rest)) > 0) {
				fixed = n; /* the blanks before a soft break are text */
				at += used;
				continue;
			}
			if (n == max) {
				*ret_cut = true;
				return n;
			}
			dst[n++] = c;
			fixed = n;
			at += used == 0 ? 1 : used;
			continue;
		}

		/* A run up to the next "=" or line end, copied at once; each line is looked for once. */
		if (line_end == SIZE_MAX || line_end < at)
			line_end = byte_at('\n', in, at, in.n);
		const size_t run = byte_at('=', in, at, line_end);
		const size_t take = run - at < max - n ? run - at : max - n;
		memcpy(dst + n, in.p + at, take);
		n += take;
		if (take < run - at) {
			*ret_cut = true;
			return n;
		}
		at = run;
		if (at < in.n && in.p[at] == '=')
			continue;

		const bool has_cr = at < in.n && n > fixed && dst[n - 1] == '\r';
		n -= has_cr;
		while (n > fixed && (dst[n - 1] == ' ' || dst[n - 1] == '\t'))
			n--;
		if (at == in.n)
			break;
		if (max - n < 1u + has_cr) {
			*ret_cut = true;
			return n;
		}
		if (has_cr)
			dst[n++] = '\r';
		dst[n++] = '\n';
		fixed = n;
		at++;
	}
	return n;
}

size_t
q_decode(struct mh_span in, char *dst)
{
	size_t n = 0;

	for (size_t at = 0; at < in.n;) {
		char c = in.p[at];
		const size_t used = c == '=' ? escape(span_from(in, at), &c) : 0;

		dst[n++] = used == 0 && c == '_' ? ' ' : c;
		at += used == 0 ? 1 : used;
	}
	return n;
}

enum transfer
transfer_named(struct mh_span value)
{
	struct mh_span name = span_trim(value);
	size_t n = 0;

	while (n < name.n && name.p[n] != ';' && name.p[n] != '(' && name.p[n] != ' ' && name.p[n] != '\t' &&
	       name.p[n] != '\r' && name.p[n] != '\n')
		n++;
	name.n = n;
	if (span_ieq(name, MH_LIT("base64")))
		return TRANSFER_BASE64;
	return span_ieq(name, MH_LIT("quoted-printable")) ? TRANSFER_QUOTED_PRINTABLE : TRANSFER_IDENTITY;
}

size_t
transfer_bound(enum transfer encoding, struct mh_span in)
{
	return encoding == TRANSFER_BASE64 ? in.n / 4 * 3 + 2 : in.n;
}

size_t
transfer_decode(enum transfer encoding, struct mh_span in, char *dst, size_t max, bool *ret_cut)
{
	switch (encoding) {
	case TRANSFER_BASE64:
		return base64_decode(in, dst, max, ret_cut);
	case TRANSFER_QUOTED_PRINTABLE:
		return quoted_printable_decode(in, dst, max, ret_cut);
	case TRANSFER_IDENTITY:
		break;
	}

	const size_t n = in.n < max ? in.n : max;
	if (n > 0)
		memcpy(dst, in.p, n);
	*ret_cut = n < in.n;
	return n;
}
