/* fuzz_rfc2047.c: one header field: as a value with encoded words, and as a Content-Type with parameters. */
#include <stdlib.h>

#include "mailhook/mail/charset.h"
#include "mailhook/mail/header.h"
#include "mailhook/mail/rfc2231.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const names[] = { "charset", "boundary", "x", "name" };
	const struct mh_span raw = { (const char *)data, n };
	struct charset_set *set = charset_set_new();
	struct arena a;
	struct mh_span value;
	struct content c;
	unsigned limits = 0;

	if (set == NULL)
		return 0;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	charset_set_open(set, raw);
	if (header_value(raw, set, &a, &value, &limits, NULL) != MH_OK || !utf8_valid(value) ||
	    value.n > MH_MAX_FIELD_BYTES)
		abort();
	for (size_t i = 0; i < value.n; i++)
		if ((unsigned char)value.p[i] < ' ' || value.p[i] == 0x7F)
			abort();

	content_read(raw, &c, &limits);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (content_param(&c, names[i], set, &a, &value, NULL) != MH_OK)
			abort();
	arena_release(&a);
	charset_set_free(set);
	return 0;
}
