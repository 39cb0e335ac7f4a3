/* fuzz_verify_fields.c: one field or record; the first byte says which: signature, key record, results, seal, author. */
#include <stdlib.h>

#include "mailhook/verify/verify_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void
within(struct mh_span part, struct mh_span whole)
{
	if (part.n > 0 && (part.p < whole.p || part.p + part.n > whole.p + whole.n))
		abort();
}

static void
read_signature(struct mh_span s, enum signature_kind kind, struct arena *a)
{
	struct signature got;

	within(signature_domain(s), s);
	if (signature_read(s, kind, a, &got, NULL) != MH_OK)
		return;
	within(got.b_whole, s);
	if (!domain_valid(got.d) || !domain_within(got.identity, got.d) || got.b.n == 0 ||
	    (kind != SIGNATURE_SEAL && got.bh.n != SHA256_BYTES))
		abort();
}

static void
read_key(struct mh_span s, struct arena *a)
{
	for (int type = KEY_RSA; type <= KEY_ED25519; type++) {
		struct key key = { 0 };
		if (key_read(s, (enum key_type)type, a, &key, NULL) == MH_OK && key.pkey == NULL)
			abort();
		key_release(&key);
	}
}

static void
read_results(struct mh_span s, struct arena *a)
{
	struct authres r;
	const struct verify_field field = { .value = s };
	const struct arc_set set = { .results = &field };

	if (authres_read(s, a, &r, NULL) == MH_OK)
		for (size_t i = 0; i < r.n_results; i++) {
			const struct mh_span domain = authres_dkim_domain(&r.results[i]);
			if (domain.p != NULL && !domain_valid(domain))
				abort();
		}
	(void)arc_results(&set, a, &r, NULL);
}

static void
read_author(struct mh_span s, struct arena *a)
{
	struct mh_span address;

	if (from_read(s, a, &address, NULL) == MH_OK && span_find(address, MH_LIT("@"), 0) == SIZE_MAX)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const struct mh_span all = { (const char *)data, n }, s = span_from(all, 1);
	struct arena a;

	if (n == 0)
		return 0;
	arena_init(&a, 4u << 20);
	if (data[0] == 'd')
		read_signature(s, SIGNATURE_DKIM, &a);
	else if (data[0] == 'a')
		read_signature(s, SIGNATURE_ARC, &a);
	else if (data[0] == 's')
		read_signature(s, SIGNATURE_SEAL, &a);
	else if (data[0] == 'k')
		read_key(s, &a);
	else if (data[0] == 'r')
		read_results(s, &a);
	else
		read_author(s, &a);
	arena_release(&a);
	return 0;
}
