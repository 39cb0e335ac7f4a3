/* xml.c: looks for one element and takes its text. */
#include "actions/common/xml.h"

#include <string.h>

static enum mh_status
bad(struct mh_err *err)
{
	return mh_fail(err, MH_BAD, "XML that cannot be read");
}

static void
put_utf8(struct buf *out, uint32_t c)
{
	if (c < 0x80) {
		buf_putc(out, (char)c);
	} else if (c < 0x800) {
		buf_putc(out, (char)(0xC0 | c >> 6));
		buf_putc(out, (char)(0x80 | (c & 0x3F)));
	} else if (c < 0x10000) {
		buf_putc(out, (char)(0xE0 | c >> 12));
		buf_putc(out, (char)(0x80 | (c >> 6 & 0x3F)));
		buf_putc(out, (char)(0x80 | (c & 0x3F)));
	} else {
		buf_putc(out, (char)(0xF0 | c >> 18));
		buf_putc(out, (char)(0x80 | (c >> 12 & 0x3F)));
		buf_putc(out, (char)(0x80 | (c >> 6 & 0x3F)));
		buf_putc(out, (char)(0x80 | (c & 0x3F)));
	}
}

/* "#65" or "#x41". 0: no character that XML may hold. */
static uint32_t
numeric(struct mh_span digits)
{
	const bool hex = digits.n > 0 && digits.p[0] == 'x';
	const int base = hex ? 16 : 10;
	uint32_t c = 0;

	if (hex)
		digits = span_from(digits, 1);
	for (size_t i = 0; i < digits.n; i++) {
		const int value = hex_digit(digits.p[i]);

		if (value < 0 || value >= base || c > 0x10FFFF)
			return 0;
		c = c * (uint32_t)base + (uint32_t)value;
	}
	return c < 0x20 || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000) ? 0 : c;
}

static enum mh_status
put_entity(struct mh_span name, struct buf *out, struct mh_err *err)
{
	static const struct {
		const char *name;
		char c;
	} entities[] = { { "lt", '<' }, { "gt", '>' }, { "amp", '&' }, { "quot", '"' }, { "apos", '\'' } };

	if (name.n > 1 && name.p[0] == '#') {
		const uint32_t c = numeric(span_from(name, 1));

		if (c == 0)
			return bad(err);
		put_utf8(out, c);
		return MH_OK;
	}
	for (size_t i = 0; i < sizeof(entities) / sizeof(entities[0]); i++)
		if (span_eq(name, span_of(entities[i].name))) {
			buf_putc(out, entities[i].c);
			return MH_OK;
		}
	return bad(err);
}

static enum mh_status
put_text(struct mh_span text, struct buf *out, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < text.n && status == MH_OK; i++) {
		if (text.p[i] != '&') {
			buf_putc(out, text.p[i]);
			continue;
		}
		const size_t end = span_find(text, MH_LIT(";"), i);
		if (end == SIZE_MAX)
			return bad(err);
		status = put_entity(span_head(span_from(text, i + 1), end - i - 1), out, err);
		i = end;
	}
	return status;
}

/* Past what is no element: <!-- -->, <![CDATA[ ]]>, <? ?>, <! >. SIZE_MAX: it does not end. */
static size_t
skip_other(struct mh_span text, size_t at)
{
	static const struct {
		const char *begin, *end;
	} kinds[] = { { "<!--", "-->" }, { "<![CDATA[", "]]>" }, { "<?", "?>" }, { "<!", ">" } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (span_starts(span_from(text, at), span_of(kinds[i].begin))) {
			const size_t end = span_find(text, span_of(kinds[i].end), at + strlen(kinds[i].begin));

			return end == SIZE_MAX ? SIZE_MAX : end + strlen(kinds[i].end);
		}
	return at;
}

/* "ns:Name attr='x'" or "Name/": the local name. */
static struct mh_span
local_name(struct mh_span tag)
{
	size_t n = 0;

	while (n < tag.n && strchr(" \t\r\n/", tag.p[n]) == NULL)
		n++;
	tag.n = n;
	const size_t colon = span_find(tag, MH_LIT(":"), 0);
	return colon == SIZE_MAX ? tag : span_from(tag, colon + 1);
}

enum mh_status
xml_text(struct mh_span text, const char *name, struct buf *out, struct mh_err *err)
{
	size_t at = 0;

	while ((at = span_find(text, MH_LIT("<"), at)) != SIZE_MAX) {
		const size_t behind = skip_other(text, at);

		if (behind == SIZE_MAX)
			return bad(err);
		if (behind != at) {
			at = behind;
			continue;
		}
		const size_t end = span_find(text, MH_LIT(">"), at);
		if (end == SIZE_MAX)
			return bad(err);
		const struct mh_span tag = span_head(span_from(text, at + 1), end - at - 1);
		at = end + 1;
		if (!span_eq(local_name(tag), span_of(name)))
			continue;
		if (tag.p[tag.n - 1] == '/')
			return MH_SKIP;
		const size_t close = span_find(text, MH_LIT("<"), at);
		if (close == SIZE_MAX)
			return bad(err);
		if (!span_starts(span_from(text, close), MH_LIT("</")))
			return MH_SKIP;
		return put_text(span_trim(span_head(span_from(text, at), close - at)), out, err);
	}
	return MH_SKIP;
}
