/* fuzz_verify.c: a whole mail, judged with every kind of trust configured: no input makes a level without a good
 * signature, and this key's secret is nobody's. */
#include <stdlib.h>

#include "mailhook/verify/verify_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static enum mh_status
any_key(void *user, const char *name, struct arena *a, struct mh_span *ret_text, struct mh_err *err)
{
	(void)user;
	(void)name;
	return arena_copy(
	    a, MH_LIT("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), ret_text, err);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const signers[] = { "amazon.com", "sns.amazonaws.com", "football.example.com", NULL };
	static const char *const senders[] = { "no-reply@sns.amazonaws.com", "joe@football.example.com", NULL };
	static const char *ids[] = { "mx.example.com" }, *sealers[] = { "google.com" },
			  *forwarders[] = { "example.com" },
			  *topics[] = { "arn:aws:sns:eu-west-1:123456789012:expiry" };
	const struct conf_trust trust = { .authserv_id = { ids, 1 },
		.arc_sealers = { sealers, 1 },
		.forwarders = { forwarders, 1 },
		.sns_topics = { topics, 1 },
		.hops = 1 };
	const struct verify_policy policy = { .trust = &trust, .signers = signers, .senders = senders };
	struct verify_result r;
	struct arena a;

	arena_init(&a, 16u << 20);
	if (verify_message((struct mh_span){ (const char *)data, n }, 0, &policy, any_key, NULL, &a, &r, NULL) ==
	    MH_OK) {
		/* Only a server's own word needs no signature. */
		if (r.level != TRUST_UNVERIFIED && !span_starts(span_of(r.by), MH_LIT("authres ")))
			abort();
		for (size_t i = 0; i < r.n_steps; i++)
			if (utf8_ascii(r.steps[i]) != r.steps[i].n)
				abort();
	}
	arena_release(&a);
	return 0;
}
