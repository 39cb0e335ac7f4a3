/* fuzz_token_answer.c: any bytes as a token server's answer: no token with a blank in it, no secret in an error. */
#include <stdlib.h>
#include <string.h>

#include "actions/common/http.h"
#include "actions/token/parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const long codes[] = { 200, 400, 401, 429, 503 };
	struct token_state s = { 0 };
	struct mh_err err = { 0 };
	int64_t wait_s = 0;

	if (n == 0)
		return 0;
	const struct mh_span body = { (const char *)data + 1, n - 1 };
	const enum mh_status status = token_answer(codes[data[0] % 5], body,
	    MH_LIT("grant_type=client_credentials&client_id=x&client_secret=p%2Fs3cr3t"), 1770000000, &s, &err);
	if (status == MH_OK && (s.access_token.n == 0 || strpbrk(s.access_token.p, " \t\r\n\x01\x7f") != NULL ||
				   s.keep_until > s.expires || s.expires > 1770000000 + TOKEN_MAX_LIFE_S))
		abort();
	if (status != MH_OK && strstr(err.text, "p/s3cr3t") != NULL)
		abort();
	token_state_release(&s);
	if (http_retry_after(body, 1770000000, &wait_s, NULL) == MH_OK &&
	    (wait_s < 0 || wait_s > HTTP_MAX_RETRY_AFTER_S))
		abort();
	return 0;
}
