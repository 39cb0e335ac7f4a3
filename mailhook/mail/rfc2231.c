/* rfc2231.c: parameters, as RFC 2045 writes them and RFC 2231 continues and encodes them. */
#include <string.h>

#include "mailhook/mail/charset.h"
#include "mailhook/mail/rfc2231.h"

struct scanner {
	struct mh_span s;
	unsigned *limits;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* White space and comments. Comments nest, and are only counted: an attacker's million of them costs no stack. */
static void
skip_blanks(struct scanner *in)
{
	size_t depth = 0, i = 0;

	for (; i < in->s.n; i++) {
		const char c = in->s.p[i];

		if (c == '(') {
			if (++depth > MH_MAX_COMMENT_DEPTH)
				*in->limits |= MAIL_LIMIT_COMMENT;
		} else if (depth == 0) {
			if (!is_blank(c))
				break;
		} else if (c == ')') {
			depth--;
		} else if (c == '\\' && i + 1 < in->s.n) {
			i++;
		}
	}
	in->s = span_from(in->s, i);
}

static bool
take(struct scanner *in, char c)
{
	if (in->s.n == 0 || in->s.p[0] != c)
		return false;
	in->s = span_from(in->s, 1);
	return true;
}

/* The bytes up to one of the stop characters, white space or a comment. */
static struct mh_span
take_token(struct scanner *in, const char *stops)
{
	size_t n = 0;

	while (n < in->s.n && !is_blank(in->s.p[n]) && in->s.p[n] != '(' &&
	       (in->s.p[n] == '\0' || strchr(stops, in->s.p[n]) == NULL))
		n++;

	const struct mh_span token = span_head(in->s, n);
	in->s = span_from(in->s, n);
	return token;
}

/* The inside of a quoted string whose first quote is taken already; one without end goes to the end of the field. */
static struct mh_span
take_quoted(struct scanner *in)
{
	size_t n = 0;

	while (n < in->s.n && in->s.p[n] != '"')
		n += in->s.p[n] == '\\' && n + 1 < in->s.n ? 2 : 1;

	const struct mh_span inside = span_head(in->s, n);
	in->s = span_from(in->s, n + 1);
	return inside;
}

/* Splits "name*1*" into its name, section and mark. */
static void
split_name(struct param *p)
{
	struct mh_span *name = &p->name;

	p->section = -1;
	p->extended = name->n > 1 && name->p[name->n - 1] == '*';
	if (p->extended)
		name->n--;

	size_t digits = 0;
	int section = 0;
	while (digits < name->n && digits < 4 && name->p[name->n - 1 - digits] >= '0' &&
	       name->p[name->n - 1 - digits] <= '9')
		digits++;
	if (digits == 0 || digits + 1 >= name->n || name->p[name->n - 1 - digits] != '*')
		return;
	for (size_t i = name->n - digits; i < name->n; i++)
		section = section * 10 + (name->p[i] - '0');
	p->section = section;
	name->n -= digits + 1;
}

void
content_read(struct mh_span raw, struct content *ret, unsigned *limits)
{
	struct scanner in = { span_head(raw, MH_MAX_FIELD_BYTES), limits };

	if (in.s.n < raw.n)
		*limits |= MAIL_LIMIT_FIELD;
	ret->subtype = MH_LIT("");
	ret->n_params = 0;

	skip_blanks(&in);
	ret->type = take_token(&in, "/;");
	skip_blanks(&in);
	if (take(&in, '/')) {
		skip_blanks(&in);
		ret->subtype = take_token(&in, ";");
	}

	for (;;) {
		while (in.s.n > 0 && in.s.p[0] != ';') { /* what is left of a value that makes no sense */
			if (take(&in, '"'))
				(void)take_quoted(&in);
			else if (take_token(&in, ";\"").n == 0)
				skip_blanks(&in);
		}
		if (!take(&in, ';'))
			return;
		skip_blanks(&in);

		struct param p = { .name = take_token(&in, ";=\"") };
		skip_blanks(&in);
		if (p.name.n == 0 || !take(&in, '='))
			continue;
		skip_blanks(&in);
		p.quoted = take(&in, '"');
		p.value = p.quoted ? take_quoted(&in) : take_token(&in, ";");
		skip_blanks(&in);
		if (ret->n_params == MH_MAX_PARAMS) {
			*limits |= MAIL_LIMIT_PARAMS;
			return;
		}
		split_name(&p);
		ret->params[ret->n_params++] = p;
	}
}

bool
content_is(const struct content *c, const char *type, const char *subtype)
{
	return span_ieq(c->type, span_of(type)) && (subtype == NULL || span_ieq(c->subtype, span_of(subtype)));
}

static const struct param *
find(const struct content *c, const char *name, int section, bool any_form)
{
	for (size_t i = 0; i < c->n_params; i++) {
		const struct param *p = &c->params[i];
		if (p->section == section && (any_form || p->extended) && span_ieq(p->name, span_of(name)))
			return p;
	}
	return NULL;
}

/* Undoes the escapes of one section; returns how many bytes it wrote, never more than value.n. */
static size_t
unescape(const struct param *p, struct mh_span value, char *dst)
{
	size_t n = 0;

	for (size_t i = 0; i < value.n; i++) {
		const char c = value.p[i];

		if (p->quoted && c == '\\' && i + 1 < value.n) {
			dst[n++] = value.p[++i];
		} else if (p->quoted && (c == '\r' || c == '\n')) {
			continue; /* folded inside the quotes */
		} else if (p->extended && c == '%' && value.n - i >= 3 && hex_digit(value.p[i + 1]) >= 0 &&
			   hex_digit(value.p[i + 2]) >= 0) {
			dst[n++] = (char)(unsigned char)(hex_digit(value.p[i + 1]) << 4 | hex_digit(value.p[i + 2]));
			i += 2;
		} else {
			dst[n++] = c;
		}
	}
	return n;
}

/* Takes charset'language' off an extended value. */
static struct mh_span
take_charset(struct mh_span *value)
{
	const size_t first = span_find(*value, MH_LIT("'"), 0);
	const size_t second = first == SIZE_MAX ? SIZE_MAX : span_find(*value, MH_LIT("'"), first + 1);

	if (second == SIZE_MAX)
		return MH_NONE;

	const struct mh_span charset = span_head(*value, first);
	*value = span_from(*value, second + 1);
	return charset;
}

enum mh_status
content_param(const struct content *c, const char *name, const struct charset_set *charsets, struct arena *a,
    struct mh_span *ret, struct mh_err *err)
{
	const struct param *p = find(c, name, -1, false);

	*ret = MH_NONE;
	if (p == NULL)
		p = find(c, name, 0, true);
	if (p == NULL)
		p = find(c, name, -1, true);
	if (p == NULL)
		return MH_OK;

	struct mh_span value = p->value;
	if (p->section < 0 && !p->extended &&
	    (!p->quoted || (memchr(value.p, '\\', value.n) == NULL && memchr(value.p, '\n', value.n) == NULL &&
			       memchr(value.p, '\r', value.n) == NULL))) {
		*ret = value;
		return MH_OK;
	}

	/* The sections with a name of their own, in order, up to the first that is not there. */
	const struct param *sections[MH_MAX_PARAMS];
	size_t n_sections = 0, n = 0;
	while (p != NULL && n_sections < MH_MAX_PARAMS) {
		sections[n_sections++] = p;
		n += p->value.n;
		p = p->section < 0 ? NULL : find(c, name, p->section + 1, true);
	}

	char *dst = arena_alloc(a, n);
	if (dst == NULL)
		return mh_fail(err, MH_LIMIT, "no room for a parameter of %zu bytes", n);
	const struct mh_span charset = sections[0]->extended ? take_charset(&value) : MH_NONE;
	n = unescape(sections[0], value, dst);
	for (size_t i = 1; i < n_sections; i++)
		n += unescape(sections[i], sections[i]->value, dst + n);
	*ret = (struct mh_span){ dst, n };
	if (charset.n == 0)
		return MH_OK;

	bool unknown, cut;
	return charset_to_utf8(charsets, charset, *ret, MH_MAX_FIELD_BYTES, a, ret, &unknown, &cut, err);
}
