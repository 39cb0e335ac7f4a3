/* names.c: see names.h. */
#include "mailhook/imap/names.h"

#include <arpa/inet.h>
#include <string.h>

/* -- the URL ------------------------------------------------------------------------------------------------------ */

static bool
is_loopback(const char *host)
{
	struct in_addr four;
	struct in6_addr six;

	if (strcmp(host, "localhost") == 0)
		return true;
	if (inet_pton(AF_INET, host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* Decodes in place, which never makes it longer. */
static bool
percent_decode(char *p, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++) {
		if (p[i] != '%') {
			p[out++] = p[i];
			continue;
		}
		const int high = n - i > 2 ? hex_digit(p[i + 1]) : -1, low = n - i > 2 ? hex_digit(p[i + 2]) : -1;
		if (high < 0 || low < 0 || high * 16 + low == 0)
			return false;
		p[out++] = (char)(unsigned char)(high * 16 + low);
		i += 2;
	}
	p[out] = '\0';
	return true;
}

static bool
is_port(struct mh_span s)
{
	unsigned n = 0;

	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] < '0' || s.p[i] > '9' || i >= 5)
			return false;
		n = n * 10 + (unsigned)(s.p[i] - '0');
	}
	return s.n > 0 && n > 0 && n <= 65535;
}

enum mh_status
address_of(const char *url, struct arena *a, struct address *ret, struct mh_err *err)
{
	const struct mh_span all = span_of(url);
	const bool tls = span_istarts(all, MH_LIT("imaps://"));
	const struct mh_span rest = span_from(all, tls ? 8 : 7);
	const size_t slash = span_find(rest, MH_LIT("/"), 0);
	struct mh_span host = span_head(rest, slash), port = tls ? MH_LIT("993") : MH_LIT("143"), copy[3];

	if ((!tls && !span_istarts(all, MH_LIT("imap://"))) || slash == SIZE_MAX || slash + 1 >= rest.n)
		return mh_fail(err, MH_BAD, "the url is not imaps://HOST/FOLDER");
	const bool bracket = span_starts(host, MH_LIT("["));
	const size_t end = bracket ? span_find(host, MH_LIT("]"), 0) : span_find(host, MH_LIT(":"), 0);
	const struct mh_span behind = end == SIZE_MAX ? MH_NONE : span_from(host, bracket ? end + 1 : end);
	if (behind.n > 0) {
		port = span_from(behind, 1);
		if (behind.p[0] != ':' || !is_port(port))
			return mh_fail(err, MH_BAD, "the port in the url is none");
	}
	if (bracket)
		host = end == SIZE_MAX ? MH_NONE : span_from(span_head(host, end), 1);
	else
		host = span_head(host, end);
	if (host.n == 0)
		return mh_fail(err, MH_BAD, "the url names no host");
	if (arena_copy(a, host, &copy[0], err) != MH_OK || arena_copy(a, port, &copy[1], err) != MH_OK ||
	    arena_copy(a, span_from(rest, slash + 1), &copy[2], err) != MH_OK)
		return MH_LIMIT;
	char *folder = (char *)(uintptr_t)copy[2].p; /* our own copy */
	if (!percent_decode(folder, copy[2].n) || !utf8_valid(span_of(folder)))
		return mh_fail(err, MH_BAD, "the folder in the url is not UTF-8, percent-encoded");
	*ret = (struct address){
		.tls = tls, .host = copy[0].p, .port = copy[1].p, .folder = folder, .loopback = is_loopback(copy[0].p)
	};
	return MH_OK;
}

/* -- folders ------------------------------------------------------------------------------------------------------ */

bool
put_quoted(struct buf *out, struct mh_span text)
{
	buf_putc(out, '"');
	for (size_t i = 0; i < text.n; i++) {
		const unsigned char c = (unsigned char)text.p[i];

		if (c < 0x20 || c >= 0x7F)
			return false;
		if (c == '"' || c == '\\')
			buf_putc(out, '\\');
		buf_putc(out, (char)c);
	}
	buf_putc(out, '"');
	return true;
}

/* One UTF-8 sequence of n bytes, which was checked. */
static uint32_t
code_point(const char *p, size_t n)
{
	static const unsigned char first[] = { 0, 0x7F, 0x1F, 0x0F, 0x07 };
	uint32_t c = (unsigned char)p[0] & first[n];

	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((unsigned char)p[i] & 0x3F);
	return c;
}

/* Bits that wait for a whole character of base64. */
struct bits {
	uint32_t value;
	unsigned n;
};

static void
put_unit(struct buf *out, struct bits *b, uint32_t unit)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

	b->value = b->value << 16 | unit;
	for (b->n += 16; b->n >= 6; b->n -= 6)
		buf_putc(out, alphabet[b->value >> (b->n - 6) & 0x3F]);
	b->value &= (1u << b->n) - 1;
}

static void
put_end(struct buf *out, struct bits *b)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

	if (b->n > 0)
		buf_putc(out, alphabet[b->value << (6 - b->n) & 0x3F]);
	*b = (struct bits){ 0 };
	buf_putc(out, '-');
}

enum mh_status
folder_utf7(struct buf *out, const char *folder, struct mh_err *err)
{
	const struct mh_span s = span_of(folder);
	struct bits bits = { 0 };
	bool shifted = false;

	if (!utf8_valid(s))
		return mh_fail(err, MH_BAD, "a folder's name is not UTF-8");
	for (size_t i = 0; i < s.n;) {
		const size_t n = utf8_sequence(span_from(s, i));
		const uint32_t c = code_point(s.p + i, n);

		if (c < 0x20 || c == 0x7F)
			return mh_fail(err, MH_BAD, "a folder's name holds a control character");
		if (c < 0x80) {
			if (shifted)
				put_end(out, &bits);
			shifted = false;
			buf_putc(out, (char)c);
			if (c == '&')
				buf_putc(out, '-');
		} else {
			if (!shifted)
				buf_putc(out, '&');
			shifted = true;
			if (c >= 0x10000) {
				put_unit(out, &bits, 0xD800 + ((c - 0x10000) >> 10));
				put_unit(out, &bits, 0xDC00 + ((c - 0x10000) & 0x3FF));
			} else {
				put_unit(out, &bits, c);
			}
		}
		i += n;
	}
	if (shifted)
		put_end(out, &bits);
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_LIMIT, "a folder's name is too long");
}
