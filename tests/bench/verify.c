/* bench/verify.c: what one RSA-2048 signature costs, against the bare hash and EVP_DigestVerify over the same bytes.
 *
 * verify-bench [BODY_BYTES...]: for each size the times and their ratios (DNS aside; goal 1.5), once with a key that both
 * sides just made, mailhook of its record and the bare check of its DER form, and once with a key that both have used
 * before. That saves OpenSSL itself a third, so a row never has one of each. All are measured by turns, and the least of
 * each counts, so that a busy machine does not decide. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "mailhook/verify/verify_impl.h"

#define TURNS 300
#define HEADER                                                                                                         \
	"Date: Tue, 3 Feb 2026 04:05:03 +0000\r\n"                                                                     \
	"From: \"Amazon Web Services, Inc.\" <no-reply-aws@amazon.com>\r\n"                                            \
	"To: ops@example.com\r\n"                                                                                      \
	"Message-ID: <0100019c@email.amazonses.com>\r\n"                                                               \
	"Subject: SCIM Access Token Approaching Expiration\r\n"                                                        \
	"MIME-Version: 1.0\r\n"                                                                                        \
	"Content-Type: text/plain; charset=UTF-8\r\n"                                                                  \
	"Content-Transfer-Encoding: 7bit\r\n"

struct bench {
	EVP_PKEY *key;
	struct buf record, mail, signed_header;
	struct mh_span body;
	char raw_signature[512];
	size_t n_signature;
	unsigned char *der; /* RSAPublicKey */
	int n_der;
};

static void
need(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "verify: %s failed\n", what);
		exit(2);
	}
}

static void
put_base64(struct buf *b, const unsigned char *p, size_t n)
{
	unsigned char *text = malloc(n / 3 * 4 + 8);

	need(text != NULL, "malloc");
	EVP_EncodeBlock(text, p, (int)n);
	buf_puts(b, (const char *)text);
	free(text);
}

/* A mail of the shape that SES signs: relaxed/simple, eight fields. */
static void
make_mail(struct bench *b, size_t body_bytes)
{
	unsigned char hash[SHA256_BYTES], *der = NULL;
	struct buf body, field;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t n = sizeof(b->raw_signature);

	b->key = EVP_RSA_gen(2048);
	need(b->key != NULL && ctx != NULL, "making a key");
	buf_init(&b->record, 1 << 12);
	buf_puts(&b->record, "v=DKIM1; k=rsa; p=");
	const int n_der = i2d_PUBKEY(b->key, &der);
	need(n_der > 0, "i2d_PUBKEY");
	put_base64(&b->record, der, (size_t)n_der);
	OPENSSL_free(der);
	b->n_der = i2d_PublicKey(b->key, &b->der);
	need(b->n_der > 0, "i2d_PublicKey");

	buf_init(&body, 128u << 20);
	while (body.n < body_bytes)
		buf_puts(&body,
		    "The SCIM access token used to automatically provision users and groups expires in 89 days.\r\n");
	EVP_Digest(body.p, body.n, hash, NULL, EVP_sha256(), NULL);
	buf_init(&field, 1 << 12);
	buf_puts(&field,
	    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=amazon.com; s=s1; t=1770091503;\r\n"
	    "\th=Date:From:To:Message-ID:Subject:MIME-Version:Content-Type:Content-Transfer-Encoding;\r\n\tbh=");
	put_base64(&field, hash, sizeof(hash));
	buf_puts(&field, ";\r\n\tb=");

	buf_init(&b->signed_header, 1 << 16);
	const struct mh_span fields = MH_LIT(HEADER);
	struct mh_span rest = fields, line;
	while (span_line(&rest, &line)) {
		canon_field(&b->signed_header, line, CANON_RELAXED);
		buf_puts(&b->signed_header, "\r\n");
	}
	canon_field(&b->signed_header, buf_span(&field), CANON_RELAXED);
	need(EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, b->key) == 1 &&
		 EVP_DigestSign(ctx, (unsigned char *)b->raw_signature, &n, (const unsigned char *)b->signed_header.p,
		     b->signed_header.n) == 1,
	    "signing");
	b->n_signature = n;

	buf_init(&b->mail, 160u << 20);
	buf_put(&b->mail, buf_span(&field));
	put_base64(&b->mail, (const unsigned char *)b->raw_signature, n);
	buf_puts(&b->mail, "\r\n" HEADER "\r\n");
	const size_t body_at = b->mail.n;
	buf_put(&b->mail, buf_span(&body));
	b->body = span_from(buf_span(&b->mail), body_at);
	need(buf_ok(&b->mail), "the mail");
	buf_release(&body);
	buf_release(&field);
	EVP_MD_CTX_free(ctx);
}

static enum mh_status
the_key(void *user, const char *name, struct arena *a, struct mh_span *ret_text, struct mh_err *err)
{
	const struct bench *b = user;

	(void)name;
	(void)a;
	(void)err;
	*ret_text = buf_span(&b->record);
	return MH_OK;
}

static double
now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void
bare(const struct bench *b, EVP_PKEY *key)
{
	unsigned char hash[SHA256_BYTES];
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();

	need(EVP_Digest(b->body.p, b->body.n, hash, NULL, EVP_sha256(), NULL) == 1 && ctx != NULL &&
		 EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, key) == 1 &&
		 EVP_DigestVerify(ctx, (const unsigned char *)b->raw_signature, b->n_signature,
		     (const unsigned char *)b->signed_header.p, b->signed_header.n) == 1,
	    "the bare check");
	EVP_MD_CTX_free(ctx);
}

static void
bare_fresh(const struct bench *b)
{
	const unsigned char *der = b->der;
	EVP_PKEY *key = d2i_PublicKey(EVP_PKEY_RSA, NULL, &der, b->n_der);

	need(key != NULL, "the key");
	bare(b, key);
	EVP_PKEY_free(key);
}

static void
ours(struct bench *b, struct verify_keys *keys)
{
	static const char *const signers[] = { "amazon.com", NULL }, *const senders[] = { "no-reply-aws@amazon.com",
		NULL };
	const struct conf_trust trust = { .hops = 1 };
	const struct verify_policy policy = { .trust = &trust, .signers = signers, .senders = senders, .keys = keys };
	struct verify_result r;
	struct mh_err err = { 0 };
	struct arena a;

	arena_init(&a, 1 << 20);
	const enum mh_status status = verify_message(buf_span(&b->mail), 1770091506, &policy, the_key, b, &a, &r, &err);
	need(status == MH_OK && r.level == TRUST_VERIFIED, "the verifier");
	arena_release(&a);
}

enum way { FRESH_BARE, FRESH_OURS, USED_BARE, USED_OURS, WAYS };

static void
measure(size_t body_bytes)
{
	double least[WAYS] = { 1e12, 1e12, 1e12, 1e12 };
	struct verify_keys *keys = verify_keys_new();
	struct bench b = { 0 };

	need(keys != NULL, "malloc");
	make_mail(&b, body_bytes);
	for (int i = 0; i < TURNS * WAYS; i++) {
		const enum way way = (enum way)(i % WAYS);
		const double start = now_us();

		switch (way) {
		case FRESH_BARE:
			bare_fresh(&b);
			break;
		case FRESH_OURS:
			ours(&b, NULL);
			break;
		case USED_BARE:
			bare(&b, b.key);
			break;
		case USED_OURS:
			ours(&b, keys);
			break;
		case WAYS:
			break;
		}
		const double took = now_us() - start;
		least[way] = took < least[way] ? took : least[way];
	}
	for (int used = 0; used < 2; used++)
		printf(
		    "body of %6zu bytes, key %s: mailhook %6.1f us, hash and EVP_DigestVerify %6.1f us, ratio %.2f\n",
		    b.body.n, used ? "used before" : "just made  ", least[2 * used + 1], least[2 * used],
		    least[2 * used + 1] / least[2 * used]);
	verify_keys_free(keys);
	OPENSSL_free(b.der);
	EVP_PKEY_free(b.key);
	buf_release(&b.record);
	buf_release(&b.mail);
	buf_release(&b.signed_header);
}

int
main(int argc, char **argv)
{
	if (argc == 1)
		measure(20000);
	for (int i = 1; i < argc; i++)
		measure(strtoul(argv[i], NULL, 10));
	return 0;
}
