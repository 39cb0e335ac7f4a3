/* digest.c: the one place that hashes for the worker. */
#include "mailhook/work/digest.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>

static void
drop_ctx(EVP_MD_CTX **ctx)
{
	EVP_MD_CTX_free(*ctx);
}

static bool
add(EVP_MD_CTX *ctx, struct mh_span s)
{
	return s.n == 0 || EVP_DigestUpdate(ctx, s.p, s.n) == 1;
}

static bool
add_field(EVP_MD_CTX *ctx, struct mh_span s)
{
	char head[32];
	const int n = s.p == NULL ? snprintf(head, sizeof(head), "-\n") : snprintf(head, sizeof(head), "%zu\n", s.n);

	return add(ctx, (struct mh_span){ head, (size_t)n }) && add(ctx, s);
}

static bool
finish(EVP_MD_CTX *ctx, char ret[DIGEST_HEX])
{
	unsigned char sum[EVP_MAX_MD_SIZE];
	unsigned n = 0;

	if (EVP_DigestFinal_ex(ctx, sum, &n) != 1 || n * 2 + 1 != DIGEST_HEX)
		return false;
	hex_put(ret, sum, n);
	return true;
}

enum mh_status
digest_fields(const struct mh_span *fields, size_t n, char ret[DIGEST_HEX], struct mh_err *err)
{
	MH_AUTO(drop_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; i < n; i++)
		ok = ok && add_field(ctx, fields[i]);
	return ok && finish(ctx, ret) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a digest");
}

/* The body with LF line ends, run by run between its CRs. */
static bool
add_body(EVP_MD_CTX *ctx, struct mh_span body)
{
	size_t from = 0;
	bool ok = true;

	while (body.n > 0 && (body.p[body.n - 1] == '\n' || body.p[body.n - 1] == '\r'))
		body.n--; /* mail servers and mailbox formats add and take the last line end */
	for (size_t i = 0; i + 1 < body.n; i++) {
		if (body.p[i] != '\r' || body.p[i + 1] != '\n')
			continue;
		ok = ok && add(ctx, (struct mh_span){ body.p + from, i - from });
		from = i + 1;
	}
	return ok && add(ctx, span_from(body, from));
}

enum mh_status
digest_message(struct mh_span raw, const struct reading *r, char ret[DIGEST_HEX], struct mh_err *err)
{
	MH_AUTO(drop_ctx) EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	const struct mh_span fields[] = { r->from, r->date, r->subject, r->message_id, r->content_type };
	const size_t body_at = r->body_at > raw.n ? raw.n : (size_t)r->body_at;
	bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		ok = ok && add_field(ctx, fields[i]);
	ok = ok && add_body(ctx, span_from(raw, body_at));
	return ok && finish(ctx, ret) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a digest");
}

void
digest_open(struct digest *d)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	*d = (struct digest){ ctx, ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 };
}

void
digest_add(struct digest *d, struct mh_span field)
{
	d->ok = d->ok && add_field(d->ctx, field);
}

enum mh_status
digest_close(struct digest *d, char ret[DIGEST_HEX], struct mh_err *err)
{
	const bool ok = d->ok && finish(d->ctx, ret);

	EVP_MD_CTX_free(d->ctx);
	*d = (struct digest){ NULL, false };
	return ok ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a digest");
}
