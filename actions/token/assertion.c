/* assertion.c: the client proves itself by its certificate: a JWT signed with PS256.
 * Source: RFC 7515, 7518 3.5, 7523; Microsoft identity platform, "certificate credentials" (x5t#S256). Debian's libjwt
 * has no PS256. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

#include "actions/common/base64.h"
#include "actions/token/parts.h"
#include "mailhook/json.h"

#define LIFE_S 600 /* Microsoft asks for 5 to 10 minutes */
#define SHA256_BYTES 32
#define MAX_JWT_BYTES (16u << 10)

static void
drop_pkey(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void
drop_x509(X509 **x)
{
	X509_free(*x);
}

static void
drop_bio(BIO **b)
{
	BIO_free_all(*b);
}

static void
drop_md(EVP_MD_CTX **m)
{
	EVP_MD_CTX_free(*m);
}

/* No passphrase is asked for on a terminal that a service does not have. */
static int
no_passphrase(char *buf, int size, int rwflag, void *user)
{
	(void)buf;
	(void)size;
	(void)rwflag;
	(void)user;
	return -1;
}

static enum mh_status
read_key(const char *path, EVP_PKEY **ret, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret text = { 0 };
	const enum mh_status status = secret_from_file(path, &text, err);

	if (status != MH_OK)
		return status;
	MH_AUTO(drop_bio) BIO *bio = BIO_new_mem_buf(text.p, (int)text.n);
	EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL);
	if (key == NULL)
		return mh_fail(err, MH_BAD, "%s: not an unencrypted private key in PEM", path);
	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA || EVP_PKEY_get_bits(key) < 2048) {
		EVP_PKEY_free(key);
		return mh_fail(err, MH_BAD, "%s: PS256 needs an RSA key of at least 2048 bits", path);
	}
	*ret = key;
	return MH_OK;
}

static enum mh_status
read_certificate(const char *path, X509 **ret, struct mh_err *err)
{
	MH_AUTO(drop_bio) BIO *bio = BIO_new_file(path, "rb");
	X509 *x = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, no_passphrase, NULL);

	if (x == NULL)
		return mh_fail(err, MH_BAD, "%s: not a certificate in PEM", path);
	*ret = x;
	return MH_OK;
}

static bool
put_json(struct buf *out, const cJSON *j)
{
	MH_AUTO(buf_release) struct buf text;

	buf_init(&text, MAX_JWT_BYTES);
	if (j == NULL || !json_print(j, &text))
		return false;
	base64url_put(out, buf_span(&text));
	return buf_ok(out);
}

static bool
put_header(struct buf *out, X509 *x)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned n = 0;
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
	MH_AUTO(buf_release) struct buf thumb;

	buf_init(&thumb, 64);
	if (X509_digest(x, EVP_sha256(), digest, &n) != 1) /* over the DER form */
		return false;
	base64url_put(&thumb, (struct mh_span){ (const char *)digest, n });
	return j != NULL && buf_ok(&thumb) && json_add_string(j, "alg", "PS256") && json_add_string(j, "typ", "JWT") &&
	       json_add_string(j, "x5t#S256", thumb.p) && put_json(out, j);
}

static bool
put_claims(struct buf *out, const struct token_conf *c, int64_t now)
{
	unsigned char r[16];
	char id[37];
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();

	if (RAND_bytes(r, sizeof(r)) != 1)
		return false;
	(void)snprintf(id, sizeof(id), "%02x%02x%02x%02x-%02x%02x-4%x%02x-%x%x%02x-%02x%02x%02x%02x%02x%02x", r[0],
	    r[1], r[2], r[3], r[4], r[5], r[6] & 15u, r[7], 8u | (r[8] >> 4 & 3u), r[8] & 15u, r[9], r[10], r[11],
	    r[12], r[13], r[14], r[15]);
	return j != NULL && json_add_string(j, "aud", c->token_url) && json_add_string(j, "iss", c->client_id) &&
	       json_add_string(j, "sub", c->client_id) && json_add_string(j, "jti", id) &&
	       json_add_integer(j, "nbf", now) && json_add_integer(j, "iat", now) &&
	       json_add_integer(j, "exp", now + LIFE_S) && put_json(out, j);
}

static bool
put_signature(struct buf *out, EVP_PKEY *key)
{
	unsigned char sig[1024]; /* RSA of up to 8192 bits */
	size_t n = sizeof(sig);
	EVP_PKEY_CTX *p = NULL; /* the digest's */
	MH_AUTO(drop_md) EVP_MD_CTX *m = EVP_MD_CTX_new();
	const struct mh_span signed_part = buf_span(out);

	if (m == NULL || EVP_DigestSignInit(m, &p, EVP_sha256(), NULL, key) != 1 ||
	    EVP_PKEY_CTX_set_rsa_padding(p, RSA_PKCS1_PSS_PADDING) != 1 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(p, SHA256_BYTES) != 1 ||
	    EVP_PKEY_CTX_set_rsa_mgf1_md(p, EVP_sha256()) != 1 ||
	    EVP_DigestSign(m, sig, &n, (const unsigned char *)signed_part.p, signed_part.n) != 1)
		return false;
	buf_putc(out, '.');
	base64url_put(out, (struct mh_span){ (const char *)sig, n });
	return buf_ok(out);
}

enum mh_status
token_assertion(const struct token_conf *c, int64_t now, struct buf *out, struct mh_err *err)
{
	MH_AUTO(drop_pkey) EVP_PKEY *key = NULL;
	MH_AUTO(drop_x509) X509 *x = NULL;

	enum mh_status status = read_key(c->key_file, &key, err);
	if (status == MH_OK)
		status = read_certificate(c->certificate_file, &x, err);
	if (status != MH_OK)
		return status;
	if (X509_check_private_key(x, key) != 1)
		return mh_fail(err, MH_BAD, "%s is not the key of %s", c->key_file, c->certificate_file);
	const int64_t first = time_of_civil(1970, 1, 1, 0, 0, 0);
	time_t when = (time_t)(now < first ? first : now);
	if (X509_cmp_time(X509_get0_notAfter(x), &when) < 0)
		return mh_fail(err, MH_BAD, "%s: the client certificate has expired", c->certificate_file);

	if (put_header(out, x)) {
		buf_putc(out, '.');
		if (put_claims(out, c, now) && put_signature(out, key))
			return MH_OK;
	}
	return mh_fail(err, MH_RETRY, "the client assertion could not be signed");
}

void
token_digest(const struct mh_span *parts, size_t n_parts, char ret[TOKEN_ID])
{
	unsigned char digest[EVP_MAX_MD_SIZE] = { 0 };
	unsigned n = 0;
	MH_AUTO(drop_md) EVP_MD_CTX *m = EVP_MD_CTX_new();

	bool ok = m != NULL && EVP_DigestInit_ex(m, EVP_sha256(), NULL) == 1;
	for (size_t i = 0; i < n_parts && ok; i++) { /* lengths between, so that "ab","c" is not "a","bc" */
		const uint64_t len = parts[i].n;

		ok = EVP_DigestUpdate(m, &len, sizeof(len)) == 1 &&
		     EVP_DigestUpdate(m, parts[i].p == NULL ? "" : parts[i].p, parts[i].n) == 1;
	}
	ret[0] = '\0';
	if (ok && EVP_DigestFinal_ex(m, digest, &n) == 1)
		hex_put(ret, digest, SHA256_BYTES);
}
