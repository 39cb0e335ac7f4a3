/* verify_lists_test.c: who may speak for what a mail says, and which mails need nobody to be asked. */
#include "tests/exact.h"

#include "mailhook/verify/ask.h"
#include "parsers/parser.h"

#define SCIM "aws.identity-center.scim-token"
#define ACM "aws.acm.certificate"
#define GITHUB "github.token"

static bool
has(const char *const *list, const char *name)
{
	for (; *list != NULL; list++)
		if (strcmp(*list, name) == 0)
			return true;
	return false;
}

static void
test_lists(void **state)
{
	static const struct {
		const char *name, *kinds[4], *parser, *signer, *no_signer, *sender;
	} rows[] = {
		{ "one kind", { SCIM }, NULL, "amazon.com", "github.com", "no-reply-aws@amazon.com" },
		{ "another kind", { GITHUB }, NULL, "github.com", "amazon.com", "noreply@github.com" },
		{ "the kind counts, not the name", { GITHUB }, "aws-scim-token", "github.com", "amazon.com", NULL },
		{ "kinds of one family", { SCIM, ACM, SCIM }, NULL, "amazon.com", "github.com", "health@aws.com" },
		{ "kinds that nobody has together", { SCIM, GITHUB }, NULL, NULL, "amazon.com", NULL },
		{ "the same the other way round", { GITHUB, SCIM }, NULL, NULL, "github.com", NULL },
		{ "a kind that no definition has", { "made.up" }, NULL, NULL, "amazon.com", NULL },
		{ "a definition that claims it", { NULL }, "github-token", "github.com", "amazon.com", NULL },
		{ "a definition that is not there", { NULL }, "made-up", "amazon.com", "github.com", NULL },
		{ "nothing", { NULL }, NULL, "aws.com", "github.com", "marketplace@aws.com" },
	};
	struct definitions *d = definitions_new();

	(void)state;
	assert_non_null(d);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mh_span kinds[4];
		struct verify_lists lists = { 0 };
		struct arena a;
		size_t n = 0;

		for (; n < 4 && rows[i].kinds[n] != NULL; n++)
			kinds[n] = span_of(rows[i].kinds[n]);
		arena_init(&a, 1 << 20);
		assert_int_equal(verify_lists_of(d, kinds, n, span_of(rows[i].parser), &a, &lists, NULL), MH_OK);
		if (rows[i].signer == NULL ? lists.signers[0] != NULL : !has(lists.signers, rows[i].signer))
			fail_msg("%s: signers are wrong", rows[i].name);
		if (has(lists.signers, rows[i].no_signer))
			fail_msg("%s: %s may sign", rows[i].name, rows[i].no_signer);
		if (rows[i].sender != NULL && !has(lists.senders, rows[i].sender))
			fail_msg("%s: %s may not send", rows[i].name, rows[i].sender);
		arena_release(&a);
	}
	definitions_free(d);
}

static void
test_proof(void **state)
{
	static const char *server = "mx.example.com";
	static const struct {
		const char *name, *mail;
		bool plain, with_server; /* without and with a configured authserv-id */
	} rows[] = {
		{ "empty", "", false, false },
		{ "nothing", "From: a@b\n\nDKIM-Signature: in the body\n", false, false },
		{ "signature", "From: a@b\ndkim-signature: v=1\n\n", true, true },
		{ "signature, CRLF", "From: a@b\r\nDKIM-Signature: v=1\r\n\r\n", true, true },
		{ "chain", "ARC-Seal: i=1\n\n", true, true },
		{ "a server's word", "Authentication-Results: mx.example.com; none\n\n", false, true },
		{ "folded lines", "Subject: x\n DKIM-Signature: y\n\n", false, false },
		{ "no end of the header", "From: a@b\nDKIM-Signature: v=1", true, true },
	};
	const struct conf_trust none = { 0 }, some = { .authserv_id = { &server, 1 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const size_t n = strlen(rows[i].mail);
		char *p = exact_copy((struct mh_span){ rows[i].mail, n });

		expect_number(
		    rows[i].name, "without", verify_has_proof((struct mh_span){ p, n }, &none), rows[i].plain);
		expect_number(
		    rows[i].name, "with", verify_has_proof((struct mh_span){ p, n }, &some), rows[i].with_server);
		free(p);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lists), cmocka_unit_test(test_proof) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
