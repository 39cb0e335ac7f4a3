/* charset.c: any text of mail to UTF-8: by hand where that is a line or a table, else by converters opened before. */
#include <errno.h>
#include <iconv.h>
#include <stdlib.h>
#include <string.h>

#include "mailhook/mail/charset.h"
#include "mailhook/mail/charset_names.h"

#define REPLACEMENT MH_LIT("\xEF\xBF\xBD") /* U+FFFD */

struct charset_set {
	iconv_t converters[CHARSETS]; /* own */
	bool tried[CHARSETS], open[CHARSETS];
};

struct charset_set *
charset_set_new(void)
{
	return calloc(1, sizeof(struct charset_set));
}

void
charset_set_free(struct charset_set *set)
{
	if (set == NULL)
		return;
	for (size_t i = 0; i < CHARSETS; i++)
		if (set->open[i])
			(void)iconv_close(set->converters[i]);
	free(set);
}

size_t
charset_set_opened(const struct charset_set *set)
{
	size_t n = 0;

	for (size_t i = 0; i < CHARSETS; i++)
		n += set->open[i];
	return n;
}

static void
open_named(struct charset_set *set, struct mh_span name)
{
	const enum charset_id id = charset_id(name);

	if (id == CHARSET_UNKNOWN || charset_iconv_names[id] == NULL || set->tried[id])
		return;
	set->tried[id] = true;
	set->converters[id] = iconv_open("UTF-8", charset_iconv_names[id]);
	set->open[id] = (intptr_t)set->converters[id] != -1; /* no such module: its text is of an unknown charset */
}

static bool
is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
	       c == '.' || c == ':';
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Does "charset", as a parameter's name, stand before offset at? RFC 2231 may put a "*" or "*0" behind it. */
static bool
follows_charset(struct mh_span raw, size_t at)
{
	for (size_t limit = 4; limit > 0 && at > 0; limit--, at--)
		if (!is_blank(raw.p[at - 1]) && raw.p[at - 1] != '*' && raw.p[at - 1] != '0')
			break;
	return at >= 7 && span_ieq((struct mh_span){ raw.p + at - 7, 7 }, MH_LIT("charset"));
}

void
charset_set_open(struct charset_set *set, struct mh_span raw)
{
	for (size_t at = 0; at < raw.n; at++) {
		const char *hit = memchr(raw.p + at, '=', raw.n - at);

		if (hit == NULL)
			return;
		at = (size_t)(hit - raw.p);

		size_t from = at + 1;
		if (from < raw.n && raw.p[from] == '?') {
			from++;
		} else if (follows_charset(raw, at)) {
			if (span_istarts(span_from(raw, from), MH_LIT("3D"))) /* in a quoted-printable message */
				from += 2;
			for (size_t limit = 8; limit > 0 && from < raw.n; limit--, from++)
				if (!is_blank(raw.p[from]) && raw.p[from] != '"' && raw.p[from] != '\'')
					break;
		} else {
			continue;
		}

		size_t n = 0;
		while (n < CHARSET_NAME_BYTES && from + n < raw.n && is_name_char(raw.p[from + n]))
			n++;
		open_named(set, (struct mh_span){ raw.p + from, n });
	}
}

/* Appends what fits below max without splitting a character; false when something was left. */
static bool
put(struct buf *b, struct mh_span utf8, size_t max)
{
	const size_t n = utf8_cut(utf8, max - b->n);

	buf_put(b, span_head(utf8, n));
	return n == utf8.n;
}

/* Copies UTF-8, with U+FFFD for each byte that belongs to no character. */
static bool
repair_utf8(struct buf *b, struct mh_span s, size_t max)
{
	while (s.n > 0) {
		size_t good = utf8_ascii(s);

		for (size_t n = 1; n > 0 && good < s.n; good += n)
			n = utf8_sequence(span_from(s, good));
		if (good > 0 && !put(b, span_head(s, good), max))
			return false;
		if (good < s.n && !put(b, REPLACEMENT, max))
			return false;
		s = span_from(s, good + (good < s.n));
	}
	return true;
}

static size_t
utf8_write(unsigned code, char dst[3])
{
	if (code < 0x800) {
		dst[0] = (char)(unsigned char)(0xC0 | code >> 6);
		dst[1] = (char)(unsigned char)(0x80 | (code & 0x3F));
		return 2;
	}
	dst[0] = (char)(unsigned char)(0xE0 | code >> 12);
	dst[1] = (char)(unsigned char)(0x80 | (code >> 6 & 0x3F));
	dst[2] = (char)(unsigned char)(0x80 | (code & 0x3F));
	return 3;
}

static bool
from_windows_1252(struct buf *b, struct mh_span s, size_t max)
{
	/* 0x80 to 0x9F; the five that Windows-1252 leaves open are U+FFFD. Source: unicode.org CP1252.TXT */
	static const unsigned short high[32] = { 0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6,
		0x2030, 0x0160, 0x2039, 0x0152, 0xFFFD, 0x017D, 0xFFFD, 0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
		0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178 };

	while (s.n > 0) {
		const size_t ascii = utf8_ascii(s);

		if (ascii > 0 && !put(b, span_head(s, ascii), max))
			return false;
		s = span_from(s, ascii);
		if (s.n == 0)
			break;

		const unsigned char c = (unsigned char)s.p[0];
		char utf8[3];
		const size_t n = utf8_write(c < 0xA0 ? high[c - 0x80] : c, utf8);
		if (!put(b, (struct mh_span){ utf8, n }, max))
			return false;
		s = span_from(s, 1);
	}
	return true;
}

/* unit: how many bytes to leave out where there is no character; UTF-16 must stay aligned */
static bool
from_iconv(struct buf *b, iconv_t converter, size_t unit, struct mh_span s, size_t max)
{
	char *in;
	size_t in_left = s.n;
	bool at_end = false;

	memcpy(&in, &s.p, sizeof(in));                  /* iconv's type lacks the const; it does not write there */
	(void)iconv(converter, NULL, NULL, NULL, NULL); /* the state that the text before left behind */
	while (!at_end) {
		char chunk[4096];
		char *out = chunk;
		size_t out_left = sizeof(chunk);
		const size_t before = in_left;

		at_end = in_left == 0;
		/* With no input left, what a stateful charset still holds back comes out. */
		const size_t r = at_end ? iconv(converter, NULL, NULL, &out, &out_left)
					: iconv(converter, &in, &in_left, &out, &out_left);
		const int why = r == (size_t)-1 ? errno : 0;

		if (!put(b, (struct mh_span){ chunk, sizeof(chunk) - out_left }, max))
			return false;
		if (at_end || why == 0)
			continue;
		if (why == E2BIG && (in_left < before || out_left < sizeof(chunk)))
			continue;
		if (!put(b, REPLACEMENT, max))
			return false;
		if (why != EILSEQ)
			in_left = 0; /* EINVAL: the last character is not whole */
		const size_t skip = in_left < unit ? in_left : unit;
		in += skip;
		in_left -= skip;
	}
	return true;
}

/* Is it UTF-8 already? A cut may have split the last character: that one does not count. */
static bool
valid_up_to(struct mh_span bytes, size_t max, struct mh_span *ret)
{
	*ret = span_head(bytes, utf8_cut(bytes, max));
	return utf8_valid(*ret);
}

enum mh_status
charset_to_utf8(const struct charset_set *set, struct mh_span charset, struct mh_span bytes, size_t max,
    struct arena *a, struct mh_span *ret_text, bool *ret_unknown, bool *ret_cut, struct mh_err *err)
{
	enum charset_id id = charset.n == 0 ? CHARSET_ASCII : charset_id(charset);
	const bool needs_iconv = id != CHARSET_UNKNOWN && charset_iconv_names[id] != NULL;
	const bool unknown = id == CHARSET_UNKNOWN || (needs_iconv && (set == NULL || !set->open[id]));
	struct mh_span same;

	if (unknown)
		id = CHARSET_ASCII;

	/* Nothing to do for most mail: the text stays where it is. */
	const bool ascii_based = id == CHARSET_UTF8 || id == CHARSET_ASCII || id == CHARSET_WINDOWS_1252;
	if (ascii_based && valid_up_to(bytes, max, &same) &&
	    (id != CHARSET_WINDOWS_1252 || utf8_ascii(same) == same.n)) {
		*ret_text = same.p == NULL ? MH_LIT("") : same;
		*ret_unknown = unknown;
		*ret_cut = same.n < bytes.n;
		return MH_OK;
	}

	MH_AUTO(buf_release) struct buf b;
	buf_init(&b, max);
	bool whole;
	if (id == CHARSET_UTF8)
		whole = repair_utf8(&b, bytes, max);
	else if (id == CHARSET_ASCII || id == CHARSET_WINDOWS_1252)
		whole = from_windows_1252(&b, bytes, max);
	else
		whole = from_iconv(&b, set->converters[id],
		    id == CHARSET_UTF_16 || id == CHARSET_UTF_16LE || id == CHARSET_UTF_16BE ? 2 : 1, bytes, max);
	if (!buf_ok(&b))
		return mh_fail(err, MH_LIMIT, "no memory for a text of %zu bytes", bytes.n);

	const enum mh_status status = arena_copy(a, buf_span(&b), ret_text, err);
	if (status == MH_OK) {
		*ret_unknown = unknown;
		*ret_cut = !whole;
	}
	return status;
}
