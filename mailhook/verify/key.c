/* key.c: key records (RFC 6376 section 3.6.1), and the keys in them. */
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include "mailhook/verify/verify_impl.h"

void
key_release(struct key *k)
{
	EVP_PKEY_free(k->pkey);
	k->pkey = NULL;
}

/* -- DER ---------------------------------------------------------------------------------------------------------- */

/* Takes one element with that tag from the front of *der.   errors  false: another tag, or a length that does not fit */
static bool
der_take(struct mh_span *der, unsigned char tag, struct mh_span *ret)
{
	const unsigned char *p = (const unsigned char *)der->p;
	size_t at = 2, n;

	if (der->n < 2 || p[0] != tag)
		return false;
	n = p[1];
	if (n >= 0x80) {
		const size_t count = n & 0x7F;
		if (count == 0 || count > 3 || der->n < 2 + count)
			return false;
		n = 0;
		for (; at < 2 + count; at++)
			n = n << 8 | p[at];
	}
	if (n > der->n - at)
		return false;
	*ret = (struct mh_span){ der->p + at, n };
	*der = span_from(*der, at + n);
	return true;
}

/* The RSAPublicKey in a SubjectPublicKeyInfo whose algorithm is rsaEncryption; der itself where it is bare, as the
 * grammar of RFC 6376 has it. By hand, because OpenSSL 3's own way takes as long as checking a signature. */
static struct mh_span
rsa_public_key(struct mh_span der)
{
	static const char oid[] = "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01";
	struct mh_span outer, algorithm, name, bits, rest = der;

	if (!der_take(&rest, 0x30, &outer) || rest.n > 0)
		return MH_NONE;
	if (!der_take(&outer, 0x30, &algorithm))
		return der;
	if (!der_take(&algorithm, 0x06, &name) || !span_eq(name, MH_LIT(oid)))
		return MH_NONE;
	if (!der_take(&outer, 0x03, &bits) || outer.n > 0 || bits.n < 1 || bits.p[0] != 0)
		return MH_NONE;
	return span_from(bits, 1);
}

static enum mh_status
read_rsa(struct mh_span der, EVP_PKEY **ret, struct mh_err *err)
{
	const struct mh_span bare = rsa_public_key(der);
	const unsigned char *p = (const unsigned char *)bare.p;
	EVP_PKEY *key = bare.p == NULL ? NULL : d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)bare.n);

	ERR_clear_error();
	if (key == NULL || p != (const unsigned char *)bare.p + bare.n) {
		EVP_PKEY_free(key);
		return mh_fail(err, MH_BAD, "p= of the key is no RSA key");
	}
	const int bits = EVP_PKEY_get_bits(key);
	if (bits < MIN_RSA_BITS || bits > MAX_RSA_BITS) {
		EVP_PKEY_free(key);
		return mh_fail(err, MH_BAD, "an RSA key of %d bits is refused: %d to %d are taken", bits, MIN_RSA_BITS,
		    MAX_RSA_BITS);
	}
	*ret = key;
	return MH_OK;
}

/* RFC 8463 section 4: the 32 bytes of the key themselves. */
static enum mh_status
read_ed25519(struct mh_span raw, EVP_PKEY **ret, struct mh_err *err)
{
	EVP_PKEY *key = raw.n != 32
			    ? NULL
			    : EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)raw.p, raw.n);

	ERR_clear_error();
	if (key == NULL)
		return mh_fail(err, MH_BAD, "p= of the key is no Ed25519 key");
	*ret = key;
	return MH_OK;
}

/* -- record ------------------------------------------------------------------------------------------------------- */

static enum mh_status
check_tags(const struct taglist *t, enum key_type type, struct mh_err *err)
{
	const struct mh_span v = tag_value(t, "v"), k = tag_value(t, "k"), h = tag_value(t, "h"), s = tag_value(t, "s");
	const struct mh_span kind = k.p == NULL ? MH_LIT("rsa") : k;

	if (v.p != NULL && (!span_eq(v, MH_LIT("DKIM1")) || !span_eq(t->items[0].name, MH_LIT("v"))))
		return mh_fail(err, MH_BAD, "v= of the key record is not DKIM1, or not its first tag");
	if (!span_ieq(kind, type == KEY_RSA ? MH_LIT("rsa") : MH_LIT("ed25519")))
		return mh_fail(err, MH_BAD, "the key is of another kind than a= says");
	if (h.p != NULL && !tag_lists(h, "sha256"))
		return mh_fail(err, MH_BAD, "h= of the key record does not allow sha256");
	if (s.p != NULL && !tag_lists(s, "*") && !tag_lists(s, "email"))
		return mh_fail(err, MH_BAD, "s= of the key record is not for mail");
	if (tag_lists(tag_value(t, "t"), "y"))
		return mh_fail(err, MH_BAD, "t=y: the domain is only testing DKIM");
	return MH_OK;
}

enum mh_status
key_read(struct mh_span record, enum key_type type, struct arena *a, struct key *ret, struct mh_err *err)
{
	struct key k = { 0 };
	struct taglist tags;
	struct mh_span der;
	enum mh_status status;

	if (record.n > MAX_KEY_RECORD_BYTES)
		return mh_fail(err, MH_BAD, "a key record of %zu bytes", record.n);
	if (taglist_read(record, &tags, NULL) != MH_OK)
		return mh_fail(err, MH_BAD, "the key record is no tag list");

	const struct mh_span p = tag_value(&tags, "p");
	if (p.p == NULL)
		return mh_fail(err, MH_BAD, "no p= in the key record");
	if (p.n == 0)
		return mh_fail(err, MH_BAD, "the key was revoked");
	if ((status = check_tags(&tags, type, err)) != MH_OK)
		return status;
	if ((status = tag_base64(p, a, &der, err)) != MH_OK)
		return status == MH_BAD ? mh_fail(err, MH_BAD, "p= of the key is no base64") : status;
	status = type == KEY_RSA ? read_rsa(der, &k.pkey, err) : read_ed25519(der, &k.pkey, err);
	if (status != MH_OK)
		return status;
	k.same_domain = tag_lists(tag_value(&tags, "t"), "s");
	*ret = k;
	return MH_OK;
}

/* -- keys that are kept ------------------------------------------------------------------------------------------- */

struct kept_key {
	char *record; /* own */
	size_t n;
	enum key_type type;
	struct key key; /* own */
};

struct verify_keys {
	struct kept_key items[MAX_KEPT_KEYS];
	size_t next; /* the one that makes room */
};

struct verify_keys *
verify_keys_new(void)
{
	return calloc(1, sizeof(struct verify_keys));
}

static void
drop_kept(struct kept_key *k)
{
	free(k->record);
	key_release(&k->key);
	*k = (struct kept_key){ .record = NULL };
}

void
verify_keys_free(struct verify_keys *keys)
{
	for (size_t i = 0; keys != NULL && i < MAX_KEPT_KEYS; i++)
		drop_kept(&keys->items[i]);
	free(keys);
}

/* One more owner of it. */
static bool
share(const struct key *k, struct key *ret)
{
	if (EVP_PKEY_up_ref(k->pkey) != 1)
		return false;
	*ret = *k;
	return true;
}

/* Where there is no memory it is not kept, and read again. */
static void
keep(struct verify_keys *keys, struct mh_span record, enum key_type type, const struct key *k)
{
	struct kept_key fresh = { .record = malloc(record.n), .n = record.n, .type = type };

	if (fresh.record == NULL || !share(k, &fresh.key)) {
		free(fresh.record);
		return;
	}
	memcpy(fresh.record, record.p, record.n);
	drop_kept(&keys->items[keys->next]);
	keys->items[keys->next] = fresh;
	keys->next = (keys->next + 1) % MAX_KEPT_KEYS;
}

enum mh_status
key_get(struct verify_keys *keys, struct mh_span record, enum key_type type, struct arena *a, struct key *ret,
    struct mh_err *err)
{
	for (size_t i = 0; keys != NULL && i < MAX_KEPT_KEYS; i++) {
		const struct kept_key *k = &keys->items[i];

		if (k->record != NULL && k->type == type && span_eq((struct mh_span){ k->record, k->n }, record) &&
		    share(&k->key, ret))
			return MH_OK;
	}

	const enum mh_status status = key_read(record, type, a, ret, err);
	if (status == MH_OK && keys != NULL)
		keep(keys, record, type, ret);
	return status;
}
