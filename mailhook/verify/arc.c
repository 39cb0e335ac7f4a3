/* arc.c: the Authenticated Received Chain (RFC 8617): what relays saw before they changed a mail. */
#include <string.h>

#include "mailhook/verify/verify_impl.h"

#define MAX_CHAIN_BYTES (4u << 20) /* 50 sets lie in a header of MH_MAX_HEADER_BYTES; relaxed never grows */

/* -- reading ------------------------------------------------------------------------------------------------------ */

/* "i=N;" in front of an ARC-Authentication-Results; *value moves past it. */
static enum mh_status
take_instance(struct mh_span *value, int64_t *ret, struct mh_err *err)
{
	const char *semicolon = value->n == 0 ? NULL : memchr(value->p, ';', value->n);
	const struct mh_span tag = { value->p, semicolon == NULL ? 0 : (size_t)(semicolon - value->p) };
	const char *equals = tag.n == 0 ? NULL : memchr(tag.p, '=', tag.n);

	if (equals == NULL || !span_eq(span_trim(span_head(tag, (size_t)(equals - tag.p))), MH_LIT("i")) ||
	    tag_number(span_trim(span_from(tag, (size_t)(equals - tag.p) + 1)), ret, NULL) != MH_OK || *ret < 1 ||
	    *ret > MAX_ARC_INSTANCE)
		return mh_fail(
		    err, MH_BAD, "an ARC-Authentication-Results without an instance from 1 to %d", MAX_ARC_INSTANCE);
	*value = span_from(*value, tag.n + 1);
	return MH_OK;
}

enum mh_status
arc_results(const struct arc_set *s, struct arena *a, struct authres *ret, struct mh_err *err)
{
	struct mh_span value = s->results->value;
	int64_t instance = 0;
	const enum mh_status status = take_instance(&value, &instance, err);

	return status != MH_OK ? status : authres_read(value, a, ret, err);
}

/* Puts a field into its set; each may be there once. */
static enum mh_status
place(const struct verify_field **slot, const struct verify_field *f, int64_t instance, struct mh_err *err)
{
	if (*slot != NULL)
		return mh_fail(err, MH_BAD, "the ARC instance %d has a field twice", (int)instance);
	*slot = f;
	return MH_OK;
}

static enum mh_status
take_field(const struct verify_field *f, struct arena *a, struct arc_set *sets, struct mh_err *err)
{
	struct signature s;
	int64_t instance = 0;
	enum mh_status status;

	if (span_ieq(f->name, MH_LIT("ARC-Authentication-Results"))) {
		struct mh_span value = f->value;
		status = take_instance(&value, &instance, err);
		return status != MH_OK ? status : place(&sets[instance - 1].results, f, instance, err);
	}
	if (span_ieq(f->name, MH_LIT("ARC-Message-Signature"))) {
		if ((status = signature_read(f->value, SIGNATURE_ARC, a, &s, err)) != MH_OK)
			return status;
		sets[s.instance - 1].message_signature = s;
		return place(&sets[s.instance - 1].message, f, s.instance, err);
	}
	if (span_ieq(f->name, MH_LIT("ARC-Seal"))) {
		if ((status = signature_read(f->value, SIGNATURE_SEAL, a, &s, err)) != MH_OK)
			return status;
		sets[s.instance - 1].seal_signature = s;
		return place(&sets[s.instance - 1].seal, f, s.instance, err);
	}
	return MH_OK;
}

enum mh_status
arc_read(const struct verify_mail *m, struct arena *a, struct arc_chain *ret, struct mh_err *err)
{
	struct arc_chain c = { .sets = arena_array(a, MAX_ARC_INSTANCE, sizeof(*c.sets)) };

	if (c.sets == NULL)
		return mh_fail(err, MH_LIMIT, "no room for an ARC chain");
	for (size_t i = 0; i < m->n_fields; i++) {
		const enum mh_status status = take_field(&m->fields[i], a, c.sets, err);
		if (status != MH_OK)
			return status;
	}
	for (size_t i = 0; i < MAX_ARC_INSTANCE; i++) {
		const struct arc_set *s = &c.sets[i];

		if (s->results == NULL && s->message == NULL && s->seal == NULL)
			continue;
		if (s->results == NULL || s->message == NULL || s->seal == NULL || i != c.n)
			return mh_fail(err, MH_BAD, "the ARC chain is not whole at instance %zu", c.n + 1);
		if (!span_ieq(s->seal_signature.cv, i == 0 ? MH_LIT("none") : MH_LIT("pass")))
			return mh_fail(
			    err, MH_BAD, "cv= of the ARC seal %zu is not %s", i + 1, i == 0 ? "none" : "pass");
		if (i > 0 && (s->results > s[-1].results || s->message > s[-1].message || s->seal > s[-1].seal))
			return mh_fail(err, MH_BAD, "the ARC instance %zu stands below the one before it", i + 1);
		c.n++;
	}
	if (c.n == 0)
		return mh_fail(err, MH_SKIP, "there is no ARC chain");
	*ret = c;
	return MH_OK;
}

/* -- checking ----------------------------------------------------------------------------------------------------- */

static void
drop_buf(struct buf *b)
{
	buf_release(b);
}

static void
put_line(struct buf *b, const struct verify_field *f)
{
	canon_field(b, f->raw, CANON_RELAXED);
	buf_puts(b, "\r\n");
}

/* The seal of sets[at] covers all sets up to its own, in the order of the chain (RFC 8617 5.1.1). */
static enum mh_status
check_seal(const struct arc_chain *c, size_t at, const struct key_source *keys, struct arena *a, struct mh_err *err)
{
	const struct arc_set *last = &c->sets[at];
	MH_AUTO(drop_buf) struct buf b;

	buf_init(&b, MAX_CHAIN_BYTES);
	for (size_t i = 0; i <= at; i++) {
		put_line(&b, c->sets[i].results);
		put_line(&b, c->sets[i].message);
		if (i < at)
			put_line(&b, c->sets[i].seal);
	}
	const enum mh_status status = signature_put_self(last->seal, &last->seal_signature, a, &b, err);
	if (status != MH_OK)
		return status;
	if (!buf_ok(&b))
		return mh_fail(err, MH_LIMIT, "no room for the sealed fields");
	return signature_verify(&last->seal_signature, buf_span(&b), keys, a, err);
}

enum mh_status
arc_verify(struct verify_mail *m, const struct arc_chain *c, int64_t received, const struct key_source *keys,
    struct arena *a, struct mh_err *err)
{
	const struct arc_set *newest = &c->sets[c->n - 1];
	enum mh_status status = dkim_verify(m, newest->message, &newest->message_signature, received, keys, a, err);

	for (size_t i = c->n; i-- > 0 && status == MH_OK;)
		status = check_seal(c, i, keys, a, err);
	return status;
}
