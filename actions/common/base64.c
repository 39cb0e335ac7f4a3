/* base64.c: RFC 4648. */
#include "actions/common/base64.h"

static void
encode(struct buf *out, struct mh_span s, const char alphabet[64], bool pad)
{
	const unsigned char *u = (const unsigned char *)s.p;

	for (size_t i = 0; i < s.n; i += 3) {
		const size_t left = s.n - i;
		const unsigned v = (unsigned)u[i] << 16 | (left > 1 ? (unsigned)u[i + 1] << 8 : 0) |
				   (left > 2 ? (unsigned)u[i + 2] : 0);
		const char four[4] = { alphabet[v >> 18 & 63], alphabet[v >> 12 & 63],
			left > 1 ? alphabet[v >> 6 & 63] : '=', left > 2 ? alphabet[v & 63] : '=' };

		buf_put(out, (struct mh_span){ four, pad || left > 2 ? 4 : left + 1 });
	}
}

void
base64_put(struct buf *out, struct mh_span s)
{
	encode(out, s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", true);
}

void
base64url_put(struct buf *out, struct mh_span s)
{
	encode(out, s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", false);
}
