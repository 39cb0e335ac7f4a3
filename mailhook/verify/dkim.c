/* dkim.c: checking one signature over a mail (RFC 6376 section 6). */
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/err.h>

#include "mailhook/verify/verify_impl.h"

#define MAX_SIGNED_BYTES (4u << 20) /* a header of MH_MAX_HEADER_BYTES at most doubles where LF becomes CRLF */

static void
free_hash(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

/* -- the signature ------------------------------------------------------------------------------------------------ */

static enum mh_status
check_bytes(const struct signature *s, EVP_PKEY *key, struct mh_span bytes, struct mh_err *err)
{
	MH_AUTO(free_hash) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	unsigned char hash[SHA256_BYTES];
	const EVP_MD *md = EVP_sha256();

	if (ctx == NULL)
		return mh_fail(err, MH_LIMIT, "no memory to check a signature");
	if (s->type == KEY_ED25519) { /* RFC 8463 section 3: PureEdDSA over the SHA-256 */
		if (EVP_Digest(bytes.p, bytes.n, hash, NULL, md, NULL) != 1)
			return mh_fail(err, MH_LIMIT, "no memory to hash the header");
		bytes = (struct mh_span){ (const char *)hash, sizeof(hash) };
		md = NULL;
	}
	if (EVP_DigestVerifyInit(ctx, NULL, md, NULL, key) != 1) {
		ERR_clear_error();
		return mh_fail(err, MH_BAD, "the crypto library cannot use the key");
	}
	const int good =
	    EVP_DigestVerify(ctx, (const unsigned char *)s->b.p, s->b.n, (const unsigned char *)bytes.p, bytes.n);
	ERR_clear_error();
	return good == 1 ? MH_OK : mh_fail(err, MH_BAD, "the signature does not fit the header");
}

enum mh_status
signature_verify(const struct signature *s, struct mh_span signed_bytes, const struct key_source *keys, struct arena *a,
    struct mh_err *err)
{
	struct mh_span name, record;
	MH_AUTO(key_release) struct key key = { 0 };
	enum mh_status status =
	    arena_printf(a, &name, err, "%.*s._domainkey.%.*s", (int)s->s.n, s->s.p, (int)s->d.n, s->d.p);

	if (status != MH_OK)
		return status;
	status = keys->txt(keys->user, name.p, a, &record, err);
	if (status == MH_SKIP)
		return mh_fail(err, MH_BAD, "there is no key %s", name.p);
	if (status != MH_OK)
		return status;
	if ((status = key_get(keys->kept, record, s->type, a, &key, err)) != MH_OK)
		return status;
	if (key.same_domain && !span_ieq(s->identity, s->d))
		return mh_fail(err, MH_BAD, "t=s: the key is not for names below d=");
	return check_bytes(s, key.pkey, signed_bytes, err);
}

/* -- the mail ----------------------------------------------------------------------------------------------------- */

/* Adds the signed fields: for each name in h= the lowest instance that was not taken yet (RFC 6376 5.4.2). */
static enum mh_status
put_signed_fields(
    const struct verify_mail *m, const struct signature *s, struct arena *a, struct buf *b, struct mh_err *err)
{
	bool *taken = arena_array(a, m->n_fields, sizeof(*taken));
	struct mh_span list = s->h, name;

	if (taken == NULL)
		return mh_fail(err, MH_LIMIT, "no room to order the header fields");
	while (tag_item(&list, &name)) {
		for (size_t i = m->n_fields; i-- > 0;) {
			if (taken[i] || !span_ieq(m->fields[i].name, name))
				continue;
			taken[i] = true;
			canon_field(b, m->fields[i].raw, s->header);
			buf_puts(b, "\r\n");
			break;
		}
	}
	return MH_OK;
}

static void
drop_buf(struct buf *b)
{
	buf_release(b);
}

enum mh_status
signature_put_self(
    const struct verify_field *f, const struct signature *s, struct arena *a, struct buf *b, struct mh_err *err)
{
	const size_t before = (size_t)(s->b_whole.p - f->raw.p), after = before + s->b_whole.n;
	char *bare = arena_alloc(a, f->raw.n);

	if (bare == NULL)
		return mh_fail(err, MH_LIMIT, "no room for a signature");
	memcpy(bare, f->raw.p, before);
	memcpy(bare + before, f->raw.p + after, f->raw.n - after);
	canon_field(b, (struct mh_span){ bare, f->raw.n - s->b_whole.n }, s->header);
	return MH_OK;
}

enum mh_status
dkim_verify(struct verify_mail *m, const struct verify_field *f, const struct signature *s, int64_t received,
    const struct key_source *keys, struct arena *a, struct mh_err *err)
{
	unsigned char hash[SHA256_BYTES];
	MH_AUTO(drop_buf) struct buf b;
	enum mh_status status;

	buf_init(&b, MAX_SIGNED_BYTES);
	const size_t authors = message_count(m, "From");
	if (authors != 1) /* RFC 6376 5.4.2 takes the lowest, and people are shown the topmost */
		return mh_fail(err, MH_BAD, "%zu From fields", authors);
	if (s->has_x && received > s->x)
		return mh_fail(err, MH_BAD, "the signature had expired (x=) when the mail arrived");
	if ((status = canon_body(m, s->body, hash, err)) != MH_OK)
		return status;
	if (CRYPTO_memcmp(hash, s->bh.p, sizeof(hash)) != 0)
		return mh_fail(err, MH_BAD, "the body is not the one that was signed");
	if ((status = put_signed_fields(m, s, a, &b, err)) != MH_OK ||
	    (status = signature_put_self(f, s, a, &b, err)) != MH_OK)
		return status;
	if (!buf_ok(&b))
		return mh_fail(err, MH_LIMIT, "no room for the signed header");
	return signature_verify(s, buf_span(&b), keys, a, err);
}

enum mh_status
dkim_covers(const struct verify_mail *m, const struct signature *s, bool whole, struct mh_err *err)
{
	static const struct {
		const char *name;
		bool always, whole; /* always: h= must name it though the mail has none, or it could be added */
	} read[] = { { "From", true, false }, { "Subject", true, false }, { "Date", true, false },
		{ "Content-Type", true, true }, { "Content-Transfer-Encoding", false, true },
		{ "Content-Disposition", false, true } };

	for (size_t i = 0; i < sizeof(read) / sizeof(read[0]); i++) {
		const size_t n = message_count(m, read[i].name);

		if (n > 1)
			return mh_fail(err, MH_BAD, "%zu %s fields", n, read[i].name);
		if ((whole || !read[i].whole) && (n > 0 || read[i].always) && !tag_lists(s->h, read[i].name))
			return mh_fail(err, MH_BAD, "%s is not signed", read[i].name);
	}
	return MH_OK;
}
