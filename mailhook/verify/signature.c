/* signature.c: the tags of DKIM-Signature, ARC-Message-Signature and ARC-Seal. What must be refused is refused here. */
#include <string.h>

#include "mailhook/verify/verify_impl.h"

struct mh_span
signature_domain(struct mh_span value)
{
	struct taglist tags;

	return taglist_read(value, &tags, NULL) == MH_OK ? tag_value(&tags, "d") : MH_NONE;
}

static enum mh_status
read_algorithm(struct mh_span a, enum key_type *ret, struct mh_err *err)
{
	char shown[40];

	if (a.p == NULL)
		return mh_fail(err, MH_BAD, "no a=");
	if (span_ieq(a, MH_LIT("rsa-sha256"))) {
		*ret = KEY_RSA;
		return MH_OK;
	}
	if (span_ieq(a, MH_LIT("ed25519-sha256"))) {
		*ret = KEY_ED25519;
		return MH_OK;
	}
	if (span_ieq(a, MH_LIT("rsa-sha1")))
		return mh_fail(err, MH_BAD, "rsa-sha1 is refused: such a signature can be forged");
	return mh_fail(err, MH_BAD, "an unknown algorithm a=%s", mh_escape(shown, sizeof(shown), a));
}

static enum mh_status
read_form(struct mh_span word, enum canon *ret, struct mh_err *err)
{
	char shown[40];

	if (span_ieq(word, MH_LIT("simple")))
		*ret = CANON_SIMPLE;
	else if (span_ieq(word, MH_LIT("relaxed")))
		*ret = CANON_RELAXED;
	else
		return mh_fail(
		    err, MH_BAD, "an unknown canonical form \"%s\" in c=", mh_escape(shown, sizeof(shown), word));
	return MH_OK;
}

static enum mh_status
read_canon(struct mh_span c, struct signature *s, struct mh_err *err)
{
	const char *slash = c.n == 0 ? NULL : memchr(c.p, '/', c.n);
	const size_t n = slash == NULL ? c.n : (size_t)(slash - c.p);

	s->header = s->body = CANON_SIMPLE;
	if (c.p == NULL)
		return MH_OK;
	const enum mh_status status = read_form(span_head(c, n), &s->header, err);
	return status != MH_OK || slash == NULL ? status : read_form(span_from(c, n + 1), &s->body, err);
}

/* d= and s= make the name that is asked for, so they must be names. */
static enum mh_status
read_names(const struct taglist *t, struct signature *s, struct mh_err *err)
{
	const struct mh_span selector = tag_value(t, "s"), domain = tag_value(t, "d");
	char name[MAX_NAME_BYTES + 1];

	if (domain.p == NULL || selector.p == NULL)
		return mh_fail(err, MH_BAD, "no %s", domain.p == NULL ? "d=" : "s=");
	if (!domain_valid(domain))
		return mh_fail(err, MH_BAD, "d= is no domain");
	if (selector.n + MH_LIT("._domainkey.").n + domain.n > MAX_NAME_BYTES)
		return mh_fail(err, MH_BAD, "s= and d= are too long for a name");
	/* Any valid domain behind it will do: a selector alone may be one label. */
	memcpy(name, selector.p, selector.n);
	memcpy(name + selector.n, ".d", 2);
	if (!domain_valid((struct mh_span){ name, selector.n + 2 }))
		return mh_fail(err, MH_BAD, "s= is no selector");
	s->d = domain;
	s->s = selector;
	return MH_OK;
}

static enum mh_status
read_identity(const struct taglist *t, struct signature *s, struct mh_err *err)
{
	const struct mh_span i = tag_value(t, "i");
	const char *at = i.n == 0 ? NULL : memrchr(i.p, '@', i.n);

	s->identity = s->d;
	if (i.p == NULL)
		return MH_OK;
	if (at == NULL)
		return mh_fail(err, MH_BAD, "i= is no address");
	s->identity = span_from(i, (size_t)(at - i.p) + 1);
	if (!domain_valid(s->identity) || !domain_within(s->identity, s->d))
		return mh_fail(err, MH_BAD, "i= is not of d=");
	return MH_OK;
}

static enum mh_status
read_times(const struct taglist *t, struct signature *s, struct mh_err *err)
{
	const struct mh_span made = tag_value(t, "t"), ends = tag_value(t, "x");
	int64_t from = 0;

	if (made.p != NULL && tag_number(made, &from, NULL) != MH_OK)
		return mh_fail(err, MH_BAD, "t= is no number");
	if (ends.p == NULL)
		return MH_OK;
	if (tag_number(ends, &s->x, NULL) != MH_OK)
		return mh_fail(err, MH_BAD, "x= is no number");
	if (made.p != NULL && s->x <= from)
		return mh_fail(err, MH_BAD, "x= is not after t=");
	s->has_x = true;
	return MH_OK;
}

/* The fields that are signed: From must be one, and none may be nonsense. */
static enum mh_status
read_signed_names(const struct taglist *t, struct signature *s, struct mh_err *err)
{
	struct mh_span list = tag_value(t, "h"), item;
	size_t n = 0;
	bool from = false;

	if (list.p == NULL)
		return mh_fail(err, MH_BAD, "no h=");
	s->h = list;
	while (tag_item(&list, &item)) {
		for (size_t i = 0; i < item.n; i++)
			if (item.p[i] <= ' ' || item.p[i] > '~')
				return mh_fail(err, MH_BAD, "h= is no list of field names");
		if (item.n == 0)
			return mh_fail(err, MH_BAD, "an empty name in h=");
		if (++n > MAX_SIGNED_NAMES)
			return mh_fail(err, MH_BAD, "more than %d names in h=", MAX_SIGNED_NAMES);
		from = from || span_ieq(item, MH_LIT("From"));
		if (s->kind == SIGNATURE_ARC && span_ieq(item, MH_LIT("ARC-Seal")))
			return mh_fail(err, MH_BAD, "an ARC-Message-Signature that covers ARC-Seal");
	}
	return from ? MH_OK : mh_fail(err, MH_BAD, "From is not signed");
}

/* What only a signature over the mail has; a seal covers the chain. */
static enum mh_status
read_mail_tags(const struct taglist *t, struct signature *s, struct arena *a, struct mh_err *err)
{
	const struct mh_span q = tag_value(t, "q"), bh = tag_value(t, "bh");
	enum mh_status status;

	if (tag_value(t, "l").p != NULL)
		return mh_fail(err, MH_BAD, "l= is refused: it leaves the end of the body unsigned");
	if (q.p != NULL && !tag_lists(q, "dns/txt"))
		return mh_fail(err, MH_BAD, "q= does not name dns/txt");
	if ((status = read_canon(tag_value(t, "c"), s, err)) != MH_OK ||
	    (status = read_signed_names(t, s, err)) != MH_OK)
		return status;
	if (bh.p == NULL)
		return mh_fail(err, MH_BAD, "no bh=");
	if ((status = tag_base64(bh, a, &s->bh, err)) != MH_OK)
		return status;
	if (s->bh.n != SHA256_BYTES)
		return mh_fail(err, MH_BAD, "bh= is no SHA-256");
	return MH_OK;
}

static enum mh_status
read_kind_tags(const struct taglist *t, struct signature *s, struct arena *a, struct mh_err *err)
{
	const struct mh_span v = tag_value(t, "v");
	enum mh_status status;

	if (s->kind == SIGNATURE_DKIM) {
		if (!span_eq(v, MH_LIT("1")))
			return mh_fail(err, MH_BAD, "v= is not 1");
		status = read_identity(t, s, err);
		return status != MH_OK ? status : read_mail_tags(t, s, a, err);
	}
	if (tag_number(tag_value(t, "i"), &s->instance, NULL) != MH_OK || s->instance < 1 ||
	    s->instance > MAX_ARC_INSTANCE)
		return mh_fail(err, MH_BAD, "i= is no instance from 1 to %d", MAX_ARC_INSTANCE);
	s->identity = s->d;
	if (s->kind == SIGNATURE_ARC)
		return read_mail_tags(t, s, a, err);
	/* RFC 8617 4.1.3: what a seal covers is fixed. */
	if (tag_value(t, "h").p != NULL || tag_value(t, "bh").p != NULL || tag_value(t, "l").p != NULL)
		return mh_fail(err, MH_BAD, "a seal with h=, bh= or l=");
	s->header = CANON_RELAXED;
	s->cv = tag_value(t, "cv");
	return s->cv.p != NULL ? MH_OK : mh_fail(err, MH_BAD, "a seal without cv=");
}

enum mh_status
signature_of_tags(
    const struct taglist *t, enum signature_kind kind, struct arena *a, struct signature *ret, struct mh_err *err)
{
	struct signature s = { .kind = kind };
	enum mh_status status;

	if ((status = read_algorithm(tag_value(t, "a"), &s.type, err)) != MH_OK ||
	    (status = read_names(t, &s, err)) != MH_OK || (status = read_times(t, &s, err)) != MH_OK ||
	    (status = read_kind_tags(t, &s, a, err)) != MH_OK)
		return status;

	for (size_t i = 0; i < t->n; i++)
		if (span_eq(t->items[i].name, MH_LIT("b")))
			s.b_whole = t->items[i].whole;
	if (s.b_whole.p == NULL)
		return mh_fail(err, MH_BAD, "no b=");
	if ((status = tag_base64(s.b_whole, a, &s.b, err)) != MH_OK)
		return status;
	if (s.b.n == 0)
		return mh_fail(err, MH_BAD, "an empty b=");
	*ret = s;
	return MH_OK;
}

enum mh_status
signature_read(
    struct mh_span value, enum signature_kind kind, struct arena *a, struct signature *ret, struct mh_err *err)
{
	struct taglist tags;
	enum mh_status status;

	if (value.n > MAX_SIGNATURE_BYTES)
		return mh_fail(err, MH_BAD, "a signature of %zu bytes", value.n);
	status = taglist_read(value, &tags, err);
	return status == MH_OK ? signature_of_tags(&tags, kind, a, ret, err) : status;
}
