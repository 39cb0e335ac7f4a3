/* header.c: header blocks (RFC 5322 section 2.2). */
#include <string.h>

#include "mailhook/mail/header.h"
#include "mailhook/mail/rfc2047.h"

static bool
is_wsp(char c)
{
	return c == ' ' || c == '\t';
}

/* The line at an offset of s without its end; *at moves past it. */
static struct mh_span
line_at(struct mh_span s, size_t *at)
{
	const char *lf = memchr(s.p + *at, '\n', s.n - *at);
	struct mh_span line = { s.p + *at, lf == NULL ? s.n - *at : (size_t)(lf - s.p) - *at };

	*at += line.n + (lf != NULL);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

/* The length of a field's name at the start of a line, the colon's place in *ret_colon; 0: this is no field.
 * Printable ASCII but space and colon; blanks before the colon are obsolete syntax, and still met. */
static size_t
name_length(struct mh_span line, size_t *ret_colon)
{
	size_t n = 0;

	while (n < line.n && line.p[n] > ' ' && line.p[n] <= '~' && line.p[n] != ':')
		n++;
	*ret_colon = n;
	while (*ret_colon < line.n && is_wsp(line.p[*ret_colon]))
		++*ret_colon;
	return *ret_colon < line.n && line.p[*ret_colon] == ':' ? n : 0;
}

struct header
header_find(struct mh_span s, size_t at, const struct header_end *end, unsigned *limits)
{
	const size_t start = at;
	struct header h = { .block = { s.p + start, 0 }, .body_at = s.n };
	size_t colon;

	while (at < s.n) {
		const size_t line_start = at;
		const struct mh_span line = line_at(s, &at);

		if (line.n == 0) {
			h.body_at = at;
			break;
		}
		if (end != NULL && span_starts(line, MH_LIT("--")) && end->ends(end->user, line)) {
			h.body_at = line_start;
			break;
		}
		if (line_start == start && name_length(line, &colon) == 0) {
			h.body_at = start;
			return h;
		}
		h.n_lines += !is_wsp(line.p[0]);
		h.block.n = at - start;
	}
	if (h.block.n > MH_MAX_HEADER_BYTES) {
		h.block.n = MH_MAX_HEADER_BYTES;
		*limits |= MAIL_LIMIT_HEADER;
	}
	return h;
}

bool
header_next(struct mh_span *block, struct mh_span *ret_name, struct mh_span *ret_raw)
{
	while (block->n > 0) {
		size_t end = 0, colon;
		struct mh_span last = line_at(*block, &end);
		const size_t n_name = name_length(last, &colon);

		while (end < block->n && is_wsp(block->p[end]))
			last = line_at(*block, &end);

		const struct mh_span field = { block->p, (size_t)(last.p - block->p) + last.n };
		*block = span_from(*block, end);
		if (n_name > 0) {
			*ret_name = span_head(field, n_name);
			*ret_raw = span_from(field, colon + 1);
			return true;
		}
	}
	return false;
}

/* What a value's bytes ask for. */
enum { FOLDED = 1, EIGHT_BIT = 2, WORD = 4 };

static unsigned
look_at(struct mh_span v)
{
	unsigned char control = 0, high = 0, equals = 0;

	for (size_t i = 0; i < v.n; i++) { /* without a branch, so that the compiler takes many bytes at once */
		const unsigned char c = (unsigned char)v.p[i];

		control |= (unsigned char)((c < ' ') | (c == 0x7F));
		high |= c;
		equals |= (unsigned char)(c == '=');
	}
	return (control ? FOLDED : 0u) | ((high & 0x80u) != 0 ? EIGHT_BIT : 0u) |
	       (equals && span_find(v, MH_LIT("=?"), 0) != SIZE_MAX ? WORD : 0u);
}

/* Takes the line ends out; every other control character becomes a space, so that no value holds a line. */
static size_t
unfold(struct mh_span v, char *dst, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < v.n && n < max; i++) {
		const unsigned char c = (unsigned char)v.p[i];
		const bool line_end = c == '\n' || (c == '\r' && i + 1 < v.n && v.p[i + 1] == '\n');

		if (!line_end)
			dst[n++] = c < ' ' || c == 0x7F ? ' ' : v.p[i];
	}
	return n;
}

enum mh_status
header_value(struct mh_span raw, const struct charset_set *charsets, struct arena *a, struct mh_span *ret,
    unsigned *limits, struct mh_err *err)
{
	struct mh_span v = span_trim(raw);
	const unsigned found = look_at(v);

	if (found == 0 && v.n <= MH_MAX_FIELD_BYTES) {
		*ret = v;
		return MH_OK;
	}

	const size_t max =
	    v.n < MH_MAX_FIELD_BYTES + 1u ? v.n : MH_MAX_FIELD_BYTES + 1u; /* one more: is it too long? */
	char *dst = arena_alloc(a, max);
	if (dst == NULL)
		return mh_fail(err, MH_LIMIT, "no room for a header field of %zu bytes", raw.n);
	v = (struct mh_span){ dst, unfold(v, dst, max) };
	if (v.n > MH_MAX_FIELD_BYTES) {
		v.n = utf8_cut(v, MH_MAX_FIELD_BYTES);
		*limits |= MAIL_LIMIT_FIELD;
	}
	if ((found & (EIGHT_BIT | WORD)) == 0) {
		*ret = span_trim(v);
		return MH_OK;
	}
	return rfc2047_decode(v, charsets, a, ret, limits, err);
}
