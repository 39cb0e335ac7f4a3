/* span.c: borrowed bytes, and UTF-8 as far as cutting and checking need it. */
#include <string.h>

#include "mailhook/mailhook.h"

static char
ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool
equal_nocase(const char *a, const char *b, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (ascii_lower(a[i]) != ascii_lower(b[i]))
			return false;
	return true;
}

struct mh_span
span_of(const char *s)
{
	return s == NULL ? MH_NONE : (struct mh_span){ s, strlen(s) };
}

bool
span_eq(struct mh_span a, struct mh_span b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
span_ieq(struct mh_span a, struct mh_span b)
{
	return a.n == b.n && equal_nocase(a.p, b.p, a.n);
}

bool
span_starts(struct mh_span s, struct mh_span head)
{
	return s.n >= head.n && span_eq(span_head(s, head.n), head);
}

bool
span_istarts(struct mh_span s, struct mh_span head)
{
	return s.n >= head.n && equal_nocase(s.p, head.p, head.n);
}

bool
span_iends(struct mh_span s, struct mh_span tail)
{
	return s.n >= tail.n && span_ieq(span_from(s, s.n - tail.n), tail);
}

bool
span_is_graphic(struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] <= ' ' || s.p[i] > '~')
			return false;
	return s.n > 0;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct mh_span
span_trim(struct mh_span s)
{
	while (s.n > 0 && is_blank(s.p[0])) {
		s.p++;
		s.n--;
	}
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

struct mh_span
span_from(struct mh_span s, size_t at)
{
	if (at > s.n)
		at = s.n;
	return (struct mh_span){ at == 0 ? s.p : s.p + at, s.n - at };
}

struct mh_span
span_head(struct mh_span s, size_t n)
{
	return (struct mh_span){ s.p, n < s.n ? n : s.n };
}

bool
span_line(struct mh_span *s, struct mh_span *ret_line)
{
	if (s->n == 0)
		return false;

	const char *lf = memchr(s->p, '\n', s->n);
	size_t n = lf == NULL ? s->n : (size_t)(lf - s->p);
	struct mh_span line = { s->p, n };

	*s = span_from(*s, lf == NULL ? n : n + 1);
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	*ret_line = line;
	return true;
}

struct mh_span
span_word(struct mh_span *s)
{
	const char *blank = s->n == 0 ? NULL : memchr(s->p, ' ', s->n);
	const size_t n = blank == NULL ? s->n : (size_t)(blank - s->p);
	const struct mh_span w = span_head(*s, n);

	*s = span_from(*s, blank == NULL ? n : n + 1);
	return w;
}

void
hex_put(char *dst, const unsigned char *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		dst[2 * i] = digits[bytes[i] >> 4];
		dst[2 * i + 1] = digits[bytes[i] & 15];
	}
	dst[2 * n] = '\0';
}

size_t
utf8_sequence(struct mh_span s)
{
	const unsigned char *u = (const unsigned char *)s.p;

	if (s.n == 0)
		return 0;
	if (u[0] < 0x80)
		return 1;
	if (u[0] < 0xC2 || u[0] > 0xF4)
		return 0;

	const size_t need = u[0] < 0xE0 ? 2 : u[0] < 0xF0 ? 3 : 4;
	if (s.n < need)
		return 0;

	const unsigned char low = u[0] == 0xE0 ? 0xA0 : u[0] == 0xF0 ? 0x90 : 0x80;
	const unsigned char high = u[0] == 0xED ? 0x9F : u[0] == 0xF4 ? 0x8F : 0xBF;
	if (u[1] < low || u[1] > high)
		return 0;
	for (size_t i = 2; i < need; i++)
		if (u[i] < 0x80 || u[i] > 0xBF)
			return 0;
	return need;
}

bool
utf8_misleads(struct mh_span sequence)
{
	const unsigned char *u = (const unsigned char *)sequence.p;

	if (sequence.n == 1)
		return u[0] < 0x20 || u[0] == 0x7F;
	if (sequence.n == 2)
		return (u[0] == 0xC2 && u[1] < 0xA0) || (u[0] == 0xD8 && u[1] == 0x9C); /* U+061C */
	if (sequence.n != 3 || u[0] != 0xE2)
		return false;
	/* U+200E, U+200F, U+2028 to U+202E, U+2066 to U+2069 */
	return (u[1] == 0x80 && (u[2] == 0x8E || u[2] == 0x8F || (u[2] >= 0xA8 && u[2] <= 0xAE))) ||
	       (u[1] == 0x81 && u[2] >= 0xA6 && u[2] <= 0xA9);
}

size_t
utf8_ascii(struct mh_span s)
{
	size_t n = 0;

	for (uint64_t words[4]; s.n - n >= sizeof(words); n += sizeof(words)) {
		memcpy(words, s.p + n, sizeof(words));
		if (((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080u) != 0)
			break;
	}
	while (n < s.n && (unsigned char)s.p[n] < 0x80)
		n++;
	return n;
}

bool
utf8_valid(struct mh_span s)
{
	for (;;) {
		s = span_from(s, utf8_ascii(s));
		if (s.n == 0)
			return true;

		const size_t n = utf8_sequence(s);
		if (n == 0)
			return false;
		s = span_from(s, n);
	}
}

static bool
continues(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

bool
utf8_text(struct mh_span s)
{
	return (s.n == 0 || memchr(s.p, '\0', s.n) == NULL) && utf8_valid(s);
}

size_t
utf8_cut(struct mh_span s, size_t max)
{
	size_t at = max;

	if (s.n <= max)
		return s.n;
	while (at > 0 && max - at < 3 && continues(s.p[at]))
		at--;
	return continues(s.p[at]) ? max : at; /* four in a row belong to no character: nothing is split */
}
