/* authres.c: Authentication-Results (RFC 8601 section 2.2): comments, quoting, versions, and all. */
#include <string.h>

#include "mailhook/verify/verify_impl.h"

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static char
peek(const struct mh_span *s)
{
	return s->n == 0 ? '\0' : s->p[0];
}

static bool
take(struct mh_span *s, char c)
{
	if (s->n == 0 || s->p[0] != c)
		return false;
	*s = span_from(*s, 1);
	return true;
}

/* Past blanks and comments.   out  ret_any: there were some   errors  false: a comment without its end, or too deep */
static bool
skip_cfws(struct mh_span *s, bool *ret_any)
{
	const size_t before = s->n;
	unsigned depth = 0;

	while (s->n > 0 && (depth > 0 || is_blank(s->p[0]) || s->p[0] == '(')) {
		const char c = s->p[0];

		*s = span_from(*s, 1);
		if (c == '(' && ++depth > MH_MAX_COMMENT_DEPTH)
			return false;
		if (depth > 0 && c == ')')
			depth--;
		if (depth > 0 && c == '\\') {
			if (s->n == 0)
				return false;
			*s = span_from(*s, 1);
		}
	}
	if (ret_any != NULL)
		*ret_any = s->n != before;
	return depth == 0;
}

static bool
is_keyword_byte(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool
take_keyword(struct mh_span *s, struct mh_span *ret)
{
	size_t n = 0;

	while (n < s->n && is_keyword_byte(s->p[n]))
		n++;
	*ret = span_head(*s, n);
	*s = span_from(*s, n);
	return n > 0;
}

/* An unquoted value: RFC 2045's token, and what stands in property values: "/" and "=" of header.b, "@", "<>". */
static struct mh_span
take_plain(struct mh_span *s)
{
	size_t n = 0;

	while (n < s->n && (unsigned char)s->p[n] > ' ' && s->p[n] != 0x7F && s->p[n] != ';' && s->p[n] != '(' &&
	       s->p[n] != ')' && s->p[n] != '"')
		n++;

	const struct mh_span plain = span_head(*s, n);
	*s = span_from(*s, n);
	return plain;
}

/* A value: quoted or not; a quoted local part may have its domain behind it. */
static enum mh_status
take_value(struct mh_span *s, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	if (peek(s) != '"') {
		*ret = take_plain(s);
		return MH_OK;
	}

	char *dst = arena_alloc(a, s->n);
	size_t n = 0;
	if (dst == NULL)
		return mh_fail(err, MH_LIMIT, "no room for a quoted value");
	take(s, '"');
	while (s->n > 0 && s->p[0] != '"') {
		if (take(s, '\\') && s->n == 0)
			break;
		if (s->p[0] != '\r' && s->p[0] != '\n')
			dst[n++] = s->p[0];
		*s = span_from(*s, 1);
	}
	if (!take(s, '"'))
		return mh_fail(err, MH_BAD, "a quoted value without its end");
	if (peek(s) == '@') {
		const struct mh_span domain = take_plain(s);
		memcpy(dst + n, domain.p, domain.n);
		n += domain.n;
	}
	*ret = (struct mh_span){ dst, n };
	return MH_OK;
}

/* [CFWS] digits, where a version may stand: only version 1 is known. */
static bool
version_is_1(struct mh_span *s)
{
	struct mh_span digits;

	return take_keyword(s, &digits) && span_eq(digits, MH_LIT("1"));
}

/* One ptype.property=value, or reason=value. Words of their own that servers add ("action=none") are passed over. */
static enum mh_status
read_property(struct mh_span *s, struct arena *a, struct authres_result *r, struct mh_err *err)
{
	struct mh_span type, name = MH_NONE, value;
	enum mh_status status;

	if (!take_keyword(s, &type) || !skip_cfws(s, NULL))
		return mh_fail(err, MH_BAD, "a property that is none");
	if (take(s, '.') && (!skip_cfws(s, NULL) || !take_keyword(s, &name) || !skip_cfws(s, NULL)))
		return mh_fail(err, MH_BAD, "a property without a name");
	if (!take(s, '=') || !skip_cfws(s, NULL))
		return mh_fail(err, MH_BAD, "a property without a value");
	if ((status = take_value(s, a, &value, err)) != MH_OK)
		return status;
	if (!span_ieq(type, MH_LIT("header")))
		return MH_OK;

	struct mh_span *to = span_ieq(name, MH_LIT("d"))   ? &r->header_d
			     : span_ieq(name, MH_LIT("i")) ? &r->header_i
							   : NULL;
	if (to != NULL && to->p != NULL)
		return mh_fail(err, MH_BAD, "a property twice");
	if (to != NULL)
		*to = value;
	return MH_OK;
}

/* method[/version]=result and its properties; the ";" before it is taken. */
static enum mh_status
read_result(struct mh_span *s, struct arena *a, struct authres_result *ret, struct mh_err *err)
{
	struct authres_result r = { .method = MH_NONE };
	enum mh_status status;
	bool apart;

	if (!take_keyword(s, &r.method) || !skip_cfws(s, NULL))
		return mh_fail(err, MH_BAD, "a result without a method");
	if (span_ieq(r.method, MH_LIT("none")) && s->n == 0) { /* "; none" */
		*ret = r;
		return MH_OK;
	}
	if (take(s, '/') && (!skip_cfws(s, NULL) || !version_is_1(s) || !skip_cfws(s, NULL)))
		return mh_fail(err, MH_BAD, "a method of an unknown version");
	if (!take(s, '=') || !skip_cfws(s, NULL) || !take_keyword(s, &r.result))
		return mh_fail(err, MH_BAD, "a method without a result");
	for (;;) {
		if (!skip_cfws(s, &apart))
			return mh_fail(err, MH_BAD, "a comment without its end");
		if (s->n == 0 || peek(s) == ';')
			break;
		if (!apart)
			return mh_fail(err, MH_BAD, "a result that runs into what follows");
		if ((status = read_property(s, a, &r, err)) != MH_OK)
			return status;
	}
	*ret = r;
	return MH_OK;
}

enum mh_status
authres_read(struct mh_span value, struct arena *a, struct authres *ret, struct mh_err *err)
{
	enum mh_status status;
	bool apart;

	ret->n_results = 0;
	if (!skip_cfws(&value, NULL))
		return mh_fail(err, MH_BAD, "a comment without its end");
	if ((status = take_value(&value, a, &ret->id, err)) != MH_OK)
		return status;
	if (ret->id.n == 0 || !skip_cfws(&value, &apart))
		return mh_fail(err, MH_BAD, "no authserv-id");
	if (value.n > 0 && peek(&value) != ';' && (!apart || !version_is_1(&value) || !skip_cfws(&value, NULL)))
		return mh_fail(err, MH_BAD, "an unknown version, or more than an authserv-id");
	while (take(&value, ';')) {
		if (!skip_cfws(&value, NULL))
			return mh_fail(err, MH_BAD, "a comment without its end");
		if (value.n == 0)
			break; /* some servers end the last result too */
		if (ret->n_results == MAX_AUTHRES_RESULTS)
			return mh_fail(err, MH_BAD, "more than %d results", MAX_AUTHRES_RESULTS);
		if ((status = read_result(&value, a, &ret->results[ret->n_results], err)) != MH_OK)
			return status;
		ret->n_results++;
	}
	return value.n == 0 ? MH_OK : mh_fail(err, MH_BAD, "more behind the last result");
}

struct mh_span
authres_dkim_domain(const struct authres_result *r)
{
	if (!span_ieq(r->method, MH_LIT("dkim")) || !span_ieq(r->result, MH_LIT("pass")))
		return MH_NONE;

	const char *at = r->header_i.n == 0 ? NULL : memrchr(r->header_i.p, '@', r->header_i.n);
	const struct mh_span identity = at == NULL ? MH_NONE : span_from(r->header_i, (size_t)(at - r->header_i.p) + 1);
	const struct mh_span domain = r->header_d.p != NULL ? r->header_d : identity;

	if (!domain_valid(domain) || (r->header_i.p != NULL && !domain_within(identity, domain)))
		return MH_NONE;
	return domain;
}
