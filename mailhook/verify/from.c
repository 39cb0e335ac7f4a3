/* from.c: the one author of a mail, read strictly: what could be read in two ways is no author. */
#include <string.h>

#include "mailhook/verify/verify_impl.h"

#define MAX_ADDRESS_BYTES 320 /* RFC 5321 4.5.3.1 */

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_atext(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* local.part@domain, and nothing but. */
static bool
plain_address(struct mh_span s)
{
	const char *at = s.n == 0 ? NULL : memchr(s.p, '@', s.n);
	bool dot = true;

	if (at == NULL || s.n > MAX_ADDRESS_BYTES)
		return false;
	const size_t local = (size_t)(at - s.p);
	for (size_t i = 0; i < local; i++) {
		if (s.p[i] == '.' ? dot : !is_atext(s.p[i]))
			return false;
		dot = s.p[i] == '.';
	}
	return !dot && domain_valid(span_from(s, local + 1));
}

/* Past a quoted string or a comment that starts at *at.   errors  false: it has no end */
static bool
skip_quoted(struct mh_span s, size_t *at)
{
	const bool comment = s.p[*at] == '(';
	unsigned depth = 0;

	for (size_t i = *at; i < s.n; i++) {
		const char c = s.p[i];

		if (c == '\\') {
			i++;
		} else if (comment ? c == '(' && ++depth > MH_MAX_COMMENT_DEPTH : i > *at && c == '"') {
			*at = i + 1;
			return !comment;
		} else if (comment && c == ')' && --depth == 0) {
			*at = i + 1;
			return true;
		}
	}
	return false;
}

struct from_parts {
	struct mh_span angle; /* between < and > */
	bool has_angle, quoted;
	struct mh_span bare; /* the one word outside of all quotes, where there is no angle */
	size_t words;
};

/* Splits a mailbox; a comma, a semicolon, a colon or a second angle outside of quotes means that it is not one. */
static bool
split_mailbox(struct mh_span v, struct from_parts *ret)
{
	struct from_parts p = { .has_angle = false };

	for (size_t i = 0; i < v.n;) {
		const char c = v.p[i];

		if (is_blank(c)) {
			i++;
		} else if (c == '(') {
			if (!skip_quoted(v, &i))
				return false;
		} else if (p.has_angle) {
			return false; /* more behind the address */
		} else if (c == '"') {
			if (!skip_quoted(v, &i))
				return false;
			p.quoted = true;
		} else if (c == '<') {
			const char *end = memchr(v.p + i, '>', v.n - i);
			if (end == NULL)
				return false;
			p.angle = (struct mh_span){ v.p + i + 1, (size_t)(end - v.p) - i - 1 };
			p.has_angle = true;
			i = (size_t)(end - v.p) + 1;
		} else {
			const size_t start = i;
			while (i < v.n && !is_blank(v.p[i]) && strchr("\"(<>),;:\\[]", v.p[i]) == NULL)
				i++;
			if (i == start)
				return false;
			p.bare = (struct mh_span){ v.p + start, i - start };
			p.words++;
		}
	}
	*ret = p;
	return true;
}

enum mh_status
from_read(struct mh_span value, struct arena *a, struct mh_span *ret_address, struct mh_err *err)
{
	struct from_parts p;

	if (!split_mailbox(value, &p))
		return mh_fail(err, MH_BAD, "From is not one plain address");
	if (!p.has_angle && (p.words != 1 || p.quoted))
		return mh_fail(err, MH_BAD, "From is not one plain address");

	const struct mh_span address = p.has_angle ? span_trim(p.angle) : p.bare;
	if (!plain_address(address))
		return mh_fail(err, MH_BAD, "the address in From is not a plain one");

	char *dst = arena_alloc(a, address.n);
	if (dst == NULL)
		return mh_fail(err, MH_LIMIT, "no room for the address in From");
	for (size_t i = 0; i < address.n; i++)
		dst[i] = address.p[i] >= 'A' && address.p[i] <= 'Z' ? (char)(address.p[i] - 'A' + 'a') : address.p[i];
	*ret_address = (struct mh_span){ dst, address.n };
	return MH_OK;
}
