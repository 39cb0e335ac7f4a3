/* taglist.c: tag lists of RFC 6376 section 3.2, and what stands in them: base64, numbers, names. */
#include <string.h>

#include "mailhook/verify/verify_impl.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
valid_name(struct mh_span s)
{
	if (s.n == 0 || !is_alpha(s.p[0]))
		return false;
	for (size_t i = 1; i < s.n; i++)
		if (!is_alpha(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '_')
			return false;
	return true;
}

static bool
valid_value(struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if ((s.p[i] < '!' || s.p[i] > '~') && !is_blank(s.p[i]))
			return false;
	return true;
}

enum mh_status
taglist_read(struct mh_span text, struct taglist *ret, struct mh_err *err)
{
	ret->n = 0;
	while (text.n > 0) {
		const char *semicolon = memchr(text.p, ';', text.n);
		const struct mh_span spec = { text.p, semicolon == NULL ? text.n : (size_t)(semicolon - text.p) };
		const char *equals = spec.n == 0 ? NULL : memchr(spec.p, '=', spec.n);
		char shown[64];

		text = span_from(text, spec.n + 1);
		if (equals == NULL) {
			if (semicolon == NULL && span_trim(spec).n == 0 && ret->n > 0)
				break; /* behind a last semicolon */
			return mh_fail(err, MH_BAD, "a tag without \"=\" in a tag list");
		}

		const struct mh_span name = span_trim(span_head(spec, (size_t)(equals - spec.p)));
		const struct mh_span whole = span_from(spec, (size_t)(equals - spec.p) + 1);
		if (!valid_name(name) || !valid_value(whole))
			return mh_fail(err, MH_BAD, "a tag \"%s\" that is none", mh_escape(shown, sizeof(shown), name));
		for (size_t i = 0; i < ret->n; i++)
			if (span_eq(ret->items[i].name, name))
				return mh_fail(err, MH_BAD, "the tag %s= twice", mh_escape(shown, sizeof(shown), name));
		if (ret->n == MAX_TAGS)
			return mh_fail(err, MH_BAD, "more than %d tags", MAX_TAGS);
		ret->items[ret->n++] = (struct tag){ name, span_trim(whole), whole };
	}
	return ret->n > 0 ? MH_OK : mh_fail(err, MH_BAD, "an empty tag list");
}

struct mh_span
tag_value(const struct taglist *t, const char *name)
{
	const struct mh_span wanted = span_of(name);

	for (size_t i = 0; i < t->n; i++)
		if (span_eq(t->items[i].name, wanted))
			return t->items[i].value;
	return MH_NONE;
}

bool
tag_item(struct mh_span *list, struct mh_span *ret_item)
{
	if (list->p == NULL)
		return false;

	const char *colon = list->n == 0 ? NULL : memchr(list->p, ':', list->n);
	const size_t n = colon == NULL ? list->n : (size_t)(colon - list->p);

	*ret_item = span_trim(span_head(*list, n));
	*list = colon == NULL ? MH_NONE : span_from(*list, n + 1);
	return true;
}

bool
tag_lists(struct mh_span list, const char *word)
{
	const struct mh_span wanted = span_of(word);
	struct mh_span item;

	while (tag_item(&list, &item))
		if (span_ieq(item, wanted))
			return true;
	return false;
}

/* From '+' to 'z': the digit and 1; 0: none. A table, since the digits of a signature are random, and so would be the
 * branches over them. */
static const unsigned char base64_digits[] = { 63, 0, 0, 0, 64, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 0, 0, 0, 0, 0,
	0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 0, 0, 0, 0,
	0, 0, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52 };

static unsigned
base64_digit(char c)
{
	const size_t at = (size_t)(unsigned char)c - '+';

	return at < sizeof(base64_digits) ? base64_digits[at] : 0;
}

enum mh_status
tag_base64(struct mh_span text, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	char *dst = arena_alloc(a, text.n / 4 * 3 + 3);
	uint32_t bits = 0;
	size_t n = 0, digits = 0, pads = 0;

	if (dst == NULL)
		return mh_fail(err, MH_LIMIT, "no room to decode %zu bytes of base64", text.n);
	for (size_t i = 0; i < text.n; i++) {
		const char c = text.p[i];
		const unsigned digit = base64_digit(c);

		if (digit == 0 && is_blank(c))
			continue;
		if (c == '=') {
			pads++;
			continue;
		}
		if (digit == 0 || pads > 0)
			return mh_fail(err, MH_BAD, "not base64");
		bits = (bits << 6 | (digit - 1)) & 0xFFFFFF;
		if (++digits % 4 != 1)
			dst[n++] = (char)(bits >> (digits % 4 == 2 ? 4 : digits % 4 == 3 ? 2 : 0) & 0xFF);
	}
	if ((digits + pads) % 4 != 0 || pads > 2 || (digits % 4 == 2 && (bits & 0xF) != 0) ||
	    (digits % 4 == 3 && (bits & 0x3) != 0))
		return mh_fail(err, MH_BAD, "base64 that ends in the middle");
	*ret = (struct mh_span){ dst, n };
	return MH_OK;
}

enum mh_status
tag_number(struct mh_span text, int64_t *ret, struct mh_err *err)
{
	int64_t value = 0;

	if (text.n == 0 || text.n > 18)
		return mh_fail(err, MH_BAD, "not a number");
	for (size_t i = 0; i < text.n; i++) {
		if (!is_digit(text.p[i]))
			return mh_fail(err, MH_BAD, "not a number");
		value = value * 10 + (text.p[i] - '0');
	}
	*ret = value;
	return MH_OK;
}

/* -- domains ------------------------------------------------------------------------------------------------------ */

bool
domain_valid(struct mh_span d)
{
	size_t label = 0, dots = 0;

	if (d.n == 0 || d.n > MAX_NAME_BYTES)
		return false;
	for (size_t i = 0; i < d.n; i++) {
		const char c = d.p[i];

		if (c == '.') {
			if (label == 0)
				return false;
			label = 0;
			dots++;
		} else if (is_alpha(c) || is_digit(c) || c == '-' || c == '_') {
			if (++label > 63)
				return false;
		} else {
			return false;
		}
	}
	return label > 0 && dots > 0;
}

bool
domain_within(struct mh_span d, struct mh_span around)
{
	if (around.n == 0 || !span_iends(d, around))
		return false;
	return d.n == around.n || d.p[d.n - around.n - 1] == '.';
}
