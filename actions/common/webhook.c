/* webhook.c: signatures of Standard Webhooks, version 1 (HMAC-SHA256). Source: standard-webhooks specification. */
#include <inttypes.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "actions/common/base64.h"
#include "actions/common/preset_impl.h"

#define MAX_KEY_BYTES 512 /* the specification wants 24 to 64 */

/* EVP_DecodeBlock counts the padding as bytes, and takes blanks. */
static enum mh_status
read_key(struct mh_span text, unsigned char key[MAX_KEY_BYTES], size_t *ret_n, struct mh_err *err)
{
	size_t padding = 0;

	if (span_starts(text, MH_LIT("whsec_")))
		text = span_from(text, 6);
	if (text.n == 0 || text.n % 4 != 0 || text.n / 4 * 3 > MAX_KEY_BYTES)
		return mh_fail(err, MH_BAD, "a webhook's secret is \"whsec_\" and a key in base64");
	while (padding < 2 && text.p[text.n - 1 - padding] == '=')
		padding++;
	if (EVP_DecodeBlock(key, (const unsigned char *)text.p, (int)text.n) != (int)(text.n / 4 * 3))
		return mh_fail(err, MH_BAD, "a webhook's secret is \"whsec_\" and a key in base64");
	*ret_n = text.n / 4 * 3 - padding;
	return MH_OK;
}

static enum mh_status
sign_one(struct mh_span text, struct mh_span signed_bytes, struct buf *out, struct mh_err *err)
{
	unsigned char key[MAX_KEY_BYTES], mac[EVP_MAX_MD_SIZE];
	unsigned n_mac = 0;
	size_t n = 0;
	enum mh_status status = read_key(text, key, &n, err);

	if (status == MH_OK &&
	    HMAC(EVP_sha256(), key, (int)n, (const unsigned char *)signed_bytes.p, signed_bytes.n, mac, &n_mac) == NULL)
		status = mh_fail(err, MH_RETRY, "no signature for a webhook");
	if (status == MH_OK) {
		buf_puts(out, out->n == 0 ? "v1," : " v1,");
		base64_put(out, (struct mh_span){ (const char *)mac, n_mac });
	}
	explicit_bzero(key, sizeof(key));
	return status;
}

enum mh_status
webhook_sign(
    struct mh_span secret, struct mh_span id, int64_t now, struct mh_span body, struct buf *out, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf bytes;
	struct mh_span rest = span_trim(secret), line;

	buf_init(&bytes, body.n + id.n + 32);
	if (rest.n == 0)
		return mh_fail(err, MH_BAD, "a signed webhook needs its secret");
	buf_put(&bytes, id);
	buf_printf(&bytes, ".%" PRId64 ".", now);
	buf_put(&bytes, body);
	if (!buf_ok(&bytes))
		return mh_fail(err, MH_RETRY, "no memory for a webhook");
	while (span_line(&rest, &line)) { /* two lines while a key is rotated */
		const enum mh_status status = sign_one(span_trim(line), buf_span(&bytes), out, err);

		if (status != MH_OK)
			return status;
	}
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a webhook");
}
