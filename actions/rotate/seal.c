/* seal.c: AES-256-GCM with a random nonce of 96 bits: NIST SP 800-38D allows 2^32 of them under one key. */
#include "actions/rotate/seal.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#define NONCE_BYTES 12
#define TAG_BYTES 16

static void
drop_cipher(EVP_CIPHER_CTX **c)
{
	EVP_CIPHER_CTX_free(*c); /* zeroes what it held */
}

/* False: s is not n bytes in hex. */
static bool
read_hex(struct mh_span s, unsigned char *dst, size_t n)
{
	if (s.n != 2 * n)
		return false;
	for (size_t i = 0; i < n; i++) {
		const int high = hex_digit(s.p[2 * i]), low = hex_digit(s.p[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		dst[i] = (unsigned char)(high * 16 + low);
	}
	return true;
}

enum mh_status
seal_digest(struct mh_span s, char ret[65], struct mh_err *err)
{
	unsigned char bytes[32];
	unsigned n = 0;

	if (EVP_Digest(s.p == NULL ? "" : s.p, s.n, bytes, &n, EVP_sha256(), NULL) != 1 || n != sizeof(bytes))
		return mh_fail(err, MH_RETRY, "no memory for a digest");
	hex_put(ret, bytes, sizeof(bytes));
	return MH_OK;
}

enum mh_status
seal_key_read(const char *path, struct seal_key *ret, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret text = { 0 };
	char digest[65];
	enum mh_status status = secret_from_file(path, &text, err);

	if (status != MH_OK)
		return status;
	if (!read_hex(secret_span(&text), ret->bytes, SEAL_KEY_BYTES)) {
		seal_key_release(ret);
		return mh_fail(err, MH_BAD, "%.80s: no key of 64 hex digits (openssl rand -hex 32)", path);
	}
	status = seal_digest((struct mh_span){ (const char *)ret->bytes, SEAL_KEY_BYTES }, digest, err);
	if (status != MH_OK) {
		seal_key_release(ret);
		return status;
	}
	(void)snprintf(ret->id, sizeof(ret->id), "%.16s", digest);
	return MH_OK;
}

void
seal_key_release(struct seal_key *k)
{
	explicit_bzero(k, sizeof(*k));
}

/* What is authenticated beside the text: the key's id, then what it is bound to. */
static bool
bind(EVP_CIPHER_CTX *c, bool seals, const struct seal_key *k, struct mh_span bound)
{
	int (*const update)(EVP_CIPHER_CTX *, unsigned char *, int *, const unsigned char *, int) =
	    seals ? EVP_EncryptUpdate : EVP_DecryptUpdate;
	int n = 0;

	return bound.n <= SEAL_MAX_PLAIN_BYTES &&
	       update(c, NULL, &n, (const unsigned char *)k->id, SEAL_KEY_ID) == 1 && /* with its NUL: an end */
	       update(c, NULL, &n, (const unsigned char *)bound.p, (int)bound.n) == 1;
}

enum mh_status
seal_put(const struct seal_key *k, struct mh_span bound, struct mh_span plain, struct buf *out, struct mh_err *err)
{
	MH_AUTO(drop_cipher) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	unsigned char nonce[NONCE_BYTES], tag[TAG_BYTES], sealed[SEAL_MAX_PLAIN_BYTES];
	char hex[2 * SEAL_MAX_PLAIN_BYTES + 1];
	int n = 0, last = 0;

	if (plain.n == 0 || plain.n > SEAL_MAX_PLAIN_BYTES)
		return mh_fail(err, MH_LIMIT, "a secret of %zu bytes is not sealed", plain.n);
	if (c == NULL || RAND_bytes(nonce, NONCE_BYTES) != 1 ||
	    EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, k->bytes, nonce) != 1 || !bind(c, true, k, bound) ||
	    EVP_EncryptUpdate(c, sealed, &n, (const unsigned char *)plain.p, (int)plain.n) != 1 ||
	    EVP_EncryptFinal_ex(c, sealed + n, &last) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) != 1)
		return mh_fail(err, MH_RETRY, "a secret could not be sealed");
	buf_puts(out, k->id);
	buf_putc(out, ':');
	hex_put(hex, nonce, NONCE_BYTES);
	buf_puts(out, hex);
	hex_put(hex, tag, TAG_BYTES);
	buf_puts(out, hex);
	hex_put(hex, sealed, (size_t)n);
	buf_puts(out, hex);
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a sealed secret");
}

static enum mh_status
unseal(const struct seal_key *k, struct mh_span bound, const unsigned char *sealed, size_t n, struct secret *ret,
    struct mh_err *err)
{
	MH_AUTO(drop_cipher) EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	unsigned char tag[TAG_BYTES], plain[SEAL_MAX_PLAIN_BYTES];
	const size_t head = NONCE_BYTES + TAG_BYTES;
	int got = 0, last = 0;

	memcpy(tag, sealed + NONCE_BYTES, TAG_BYTES);
	if (c == NULL || EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, k->bytes, sealed) != 1)
		return mh_fail(err, MH_RETRY, "a secret could not be unsealed");
	const bool right = bind(c, false, k, bound) &&
			   EVP_DecryptUpdate(c, plain, &got, sealed + head, (int)(n - head)) == 1 &&
			   EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1 &&
			   EVP_DecryptFinal_ex(c, plain + got, &last) == 1;
	enum mh_status status = mh_fail(err, MH_BAD, "the sealed token was changed, or belongs to something else");

	if (right)
		status = secret_copy((struct mh_span){ (const char *)plain, (size_t)got }, ret, err);
	explicit_bzero(plain, sizeof(plain));
	return status;
}

bool
seal_is_by(const struct seal_key *k, const char *sealed, char ret[SEAL_KEY_ID])
{
	const struct mh_span s = span_of(sealed);
	const size_t id = SEAL_KEY_ID - 1;

	ret[0] = '\0';
	if (s.n <= id || s.p[id] != ':' || strspn(sealed, "0123456789abcdef") != id)
		return false;
	memcpy(ret, s.p, id);
	ret[id] = '\0';
	return strcmp(ret, k->id) == 0;
}

enum mh_status
seal_open(const struct seal_key *k, struct mh_span bound, const char *text, struct secret *ret, struct mh_err *err)
{
	unsigned char sealed[NONCE_BYTES + TAG_BYTES + SEAL_MAX_PLAIN_BYTES];
	struct mh_span s = span_of(text);
	const size_t id = SEAL_KEY_ID - 1;

	if (s.n <= id || s.p[id] != ':')
		return mh_fail(err, MH_BAD, "the sealed token is none");
	if (!span_eq(span_head(s, id), span_of(k->id)))
		return mh_fail(err, MH_BAD, "the token was sealed by another key than that of key_file");
	s = span_from(s, id + 1);
	const size_t n = s.n / 2;
	if (n <= NONCE_BYTES + TAG_BYTES || n > sizeof(sealed) || !read_hex(s, sealed, n))
		return mh_fail(err, MH_BAD, "the sealed token is none");
	return unseal(k, bound, sealed, n, ret, err);
}
