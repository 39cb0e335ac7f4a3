/* verify_test.c: examples of RFC 6376, 8463 and 8617 themselves, and the verifier where memory or DNS fails. */
#include "tests/exact.h"

#include "mailhook/verify/verify_impl.h"

#define MAIL                                                                                                           \
	"From: Joe SixPack <joe@football.example.com>\n"                                                               \
	"To: Suzie Q <suzie@shopping.example.net>\n"                                                                   \
	"Subject: Is dinner ready?\n"                                                                                  \
	"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\n"                                                                \
	"Message-ID: <20030712040037.46341.5F8J@football.example.com>\n"                                               \
	"\n"                                                                                                           \
	"Hi.\n"                                                                                                        \
	"\n"

/* RFC 8463 appendix A.3 */
static const char ed25519_signature[] = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\n"
					" d=football.example.com; i=@football.example.com;\n"
					" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\n"
					" subject : date : message-id : from : subject : date;\n"
					" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
					" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\n"
					" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\n";
static const char rsa_signature[] = "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\n"
				    " d=football.example.com; i=@football.example.com;\n"
				    " q=dns/txt; s=test; t=1528637909; h=from : to : subject :\n"
				    " date : message-id : from : subject : date;\n"
				    " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
				    " b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\n"
				    " DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\n"
				    " dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\n";
static const char double_blank[] = MAIL "We lost the game.  Are you hungry yet?\n\nJoe.\n";

/* RFC 6376 appendix A.2 and C: simple/simple, so that every blank counts */
static const char simple_mail[] =
    "DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\n"
    "      c=simple/simple; q=dns/txt; i=joe@football.example.com;\n"
    "      h=Received : From : To : Subject : Date : Message-ID;\n"
    "      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\n"
    "      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\n"
    "      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\n"
    "      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\n"
    "      4bmp/YzhwvcubU4=;\n"
    "Received: from client1.football.example.com  [192.0.2.1]\n"
    "      by submitserver.example.com with SUBMISSION;\n"
    "      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\n" MAIL "We lost the game. Are you hungry yet?\n\nJoe.\n";

/* RFC 8617 appendix B. Its keys are of 512 bits and nowhere printed: what can be checked is all up to them. */
static const char chain_mail[] = "Received: from [2001:DB8::1A] (w-x-y-z.dsl.static.isp.example [w.x.y.z])\n"
				 "    (authenticated bits=0)\n"
				 "    by segv.d1.example with ESMTP id t0FN4a8O084569;\n"
				 "    Thu, 14 Jan 2015 15:00:01 -0800 (PST)\n"
				 "    (envelope-from jqd@d1.example)\n"
				 "ARC-Seal: i=3; a=rsa-sha256; cv=pass; d=clochette.example.org; s=\n"
				 "        clochette; t=12345; b=CU87XzXlNlk5X/yW4l73UvPUcP9ivwYWxyBWcVrRs7\n"
				 "        +HPx3K05nJhny2fvymbReAmOA9GTH/y+k9kEc59hAKVg==\n"
				 "ARC-Message-Signature: i=3; a=rsa-sha256; c=relaxed/relaxed; d=\n"
				 "        clochette.example.org; h=message-id:date:from:to:subject; s=\n"
				 "        clochette; t=12345; bh=KWSe46TZKCcDbH4klJPo+tjk5LWJnVRlP5pvjXFZY\n"
				 "        LQ=; b=o71vwyLsK+Wm4cOSlirXoRwzEvi0vqIjd/2/GkYFYlSd/GGfKzkAgPqxf\n"
				 "        K7ccBMP7Zjb/mpeggswHjEMS8x5NQ==\n"
				 "ARC-Authentication-Results: i=3; clochette.example.org; spf=fail\n"
				 "    smtp.from=jqd@d1.example; dkim=fail (512-bit key)\n"
				 "    header.i=@d1.example; dmarc=fail; arc=pass (as.2.gmail.example=pass,\n"
				 "    ams.2.gmail.example=pass, as.1.lists.example.org=pass,\n"
				 "    ams.1.lists.example.org=fail (message has been altered))\n"
				 "ARC-Seal: i=2; a=rsa-sha256; cv=pass; d=gmail.example; s=20120806; t=\n"
				 "        12345; b=Zpukh/kJL4Q7Kv391FKwTepgS56dgHIcdhhJZjsalhqkFIQQAJ4T9BE\n"
				 "        8jjLXWpRNuh81yqnT1/jHn086RwezGw==\n"
				 "ARC-Message-Signature: i=2; a=rsa-sha256; c=relaxed/relaxed; d=\n"
				 "        gmail.example; h=message-id:date:from:to:subject; s=20120806; t=\n"
				 "        12345; bh=KWSe46TZKCcDbH4klJPo+tjk5LWJnVRlP5pvjXFZYLQ=; b=CVoG44\n"
				 "        cVZvoSs2mMig2wwqPaJ4OZS5XGMCegWqQs1wvRZJS894tJM0xO1RJLgCPsBOxdA5\n"
				 "        9WSqI9s9DfyKDfWg==\n"
				 "ARC-Authentication-Results: i=2; gmail.example; spf=fail\n"
				 "    smtp.from=jqd@d1.example; dkim=fail (512-bit key)\n"
				 "    header.i=@example.org; dmarc=fail; arc=pass\n"
				 "    (as.1.lists.example.org=pass, ams.1.lists.example.org=pass)\n"
				 "ARC-Seal: i=1; a=rsa-sha256; cv=none; d=lists.example.org; s=dk-lists;\n"
				 "         t=12345; b=TlCCKzgk3TrAa+G77gYYO8Fxk4q/Ml0biqduZJeOYh6+0zhwQ8u/\n"
				 "        lHxLi21pxu347isLSuNtvIagIvAQna9a5A==\n"
				 "ARC-Message-Signature: i=1; a=rsa-sha256; c=relaxed/relaxed; d=\n"
				 "        lists.example.org; h=message-id:date:from:to:subject; s=\n"
				 "        dk-lists; t=12345; bh=KWSe46TZKCcDbH4klJPo+tjk5LWJnVRlP5pvjXFZYL\n"
				 "        Q=; b=DsoD3n3hiwlrN1ma8IZQFgZx8EDO7Wah3hUjIEsYKuShRKYB4LwGUiKD5Y\n"
				 "        yHgcIwGHhSc/4+ewYqHMWDnuFxiQ==\n"
				 "ARC-Authentication-Results: i=1; lists.example.org; spf=pass\n"
				 "    smtp.mfrom=jqd@d1.example; dkim=pass (512-bit key)\n"
				 "    header.i=@d1.example; dmarc=pass\n"
				 "Message-ID: <54B84785.1060301@d1.example>\n"
				 "Date: Thu, 14 Jan 2015 15:00:01 -0800\n"
				 "From: John Q Doe <jqd@d1.example>\n"
				 "To: arc@dmarc.example\n"
				 "Subject: [List 2] Example 1\n"
				 "\n"
				 "Hey gang,\n"
				 "This is a test message.\n"
				 "--J.\n";

static enum mh_status
rfc_keys(void *user, const char *name, struct arena *a, struct mh_span *ret_text, struct mh_err *err)
{
	static const struct {
		const char *name, *text;
	} keys[] = {
		{ "brisbane._domainkey.football.example.com",
		    "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=" },
		{ "test._domainkey.football.example.com",
		    "v=DKIM1; k=rsa; "
		    "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQi"
		    "Y/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/"
		    "8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G"
		    "+2kryOTIKT+l/K4w3QIDAQAB" },
		{ "brisbane._domainkey.example.com",
		    "v=DKIM1; "
		    "p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v"
		    "3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/"
		    "NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQ"
		    "PNUYckcQ2QIDAQAB" },
	};
	unsigned *asked = user;

	++*asked;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (strcmp(keys[i].name, name) == 0)
			return arena_copy(a, span_of(keys[i].text), ret_text, err);
	return mh_fail(err, MH_SKIP, "no record %s", name);
}

static enum mh_status
first_signature(const char *one, const char *two, bool crlf, size_t flip, struct mh_err *err)
{
	struct arena a;
	struct buf text;
	struct verify_mail m;
	struct signature s;
	unsigned asked = 0;
	const struct key_source keys = { .txt = rfc_keys, .user = &asked };

	arena_init(&a, 1 << 20);
	buf_init(&text, 1 << 16);
	for (const char *p = one; *p != '\0'; p++)
		buf_puts(&text, crlf && *p == '\n' ? "\r\n" : (const char[]){ *p, '\0' });
	for (const char *p = two; *p != '\0'; p++)
		buf_puts(&text, crlf && *p == '\n' ? "\r\n" : (const char[]){ *p, '\0' });
	assert_true(buf_ok(&text) && flip < text.n);
	if (flip > 0)
		text.p[flip] ^= 1;

	char *raw = exact_copy(buf_span(&text));
	assert_int_equal(message_split((struct mh_span){ raw, text.n }, &a, &m, err), MH_OK);
	enum mh_status status = MH_BAD;
	if (m.malformed == NULL && m.n_fields > 0)
		status = signature_read(m.fields[0].value, SIGNATURE_DKIM, &a, &s, err);
	if (m.malformed == NULL && status == MH_OK)
		status = dkim_verify(&m, &m.fields[0], &s, 1528637910, &keys, &a, err);
	free(raw);
	buf_release(&text);
	arena_release(&a);
	return status;
}

static void
rfc_vectors(void **state)
{
	static const struct {
		const char *name, *one, *two;
		enum mh_status want;
	} rows[] = {
		{ "RFC 8463, Ed25519", ed25519_signature, double_blank, MH_OK },
		{ "RFC 8463, RSA", rsa_signature, double_blank, MH_OK },
		{ "RFC 6376, simple", "", simple_mail, MH_OK },
		{ "RFC 6376, simple, one blank more in front of the header", "DKIM-Signature: v=1\n", simple_mail,
		    MH_BAD },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int crlf = 0; crlf < 2; crlf++) {
			struct mh_err err = { 0 };
			if (first_signature(rows[i].one, rows[i].two, crlf == 1, 0, &err) != rows[i].want)
				fail_msg("%s, %s: %s", rows[i].name, crlf == 1 ? "CRLF" : "LF", err.text);
		}
}

/* In simple/simple each bit of what is signed counts; the fields of the example are all signed. */
static void
every_byte_counts(void **state)
{
	const size_t n = strlen(simple_mail), last = n - 1;

	(void)state;
	for (size_t i = 1; i < n; i++) {
		struct mh_err err = { 0 };

		/* A line end that becomes another byte is another mail; the last one is put back by the form. */
		if (first_signature("", simple_mail, false, i, &err) == MH_OK && i != last) {
			/* Only tags that carry no meaning may change: blanks inside b= and the case of names. */
			const char *b = strstr(simple_mail, " b=");
			const char *end = strstr(simple_mail, "Received:");
			if (simple_mail + i < b || simple_mail + i >= end)
				fail_msg("byte %zu, '%c', may change", i, simple_mail[i]);
		}
	}
}

/* The chain is whole, its first relay saw the author's signature, and the body is what the newest relay signed. */
static void
rfc_chain(void **state)
{
	static const char *const sealers[] = { "lists.example.org", "gmail.example", "clochette.example.org" };
	struct verify_mail m;
	struct arc_chain c;
	struct authres r;
	struct mh_err err = { 0 };
	struct arena a;
	unsigned asked = 0;
	const struct key_source keys = { .txt = rfc_keys, .user = &asked };

	(void)state;
	arena_init(&a, 1 << 20);
	assert_int_equal(message_split(span_of(chain_mail), &a, &m, &err), MH_OK);
	if (arc_read(&m, &a, &c, &err) != MH_OK)
		fail_msg("%s", err.text);
	assert_int_equal(c.n, 3);
	for (size_t i = 0; i < c.n; i++) {
		expect_span("the sealer", c.sets[i].seal_signature.d, span_of(sealers[i]));
		assert_int_equal(arc_results(&c.sets[i], &a, &r, &err), MH_OK);
		expect_span("who saw the results", r.id, span_of(sealers[i]));
		assert_int_equal(r.n_results, i == 0 ? 3 : 4);
		const struct mh_span saw = authres_dkim_domain(&r.results[1]);
		expect_span("whose signature was good", saw, i == 0 ? MH_LIT("d1.example") : MH_NONE);
	}
	assert_int_equal(arc_verify(&m, &c, 12346, &keys, &a, &err), MH_BAD);
	expect_span("why", span_of(err.text), MH_LIT("there is no key clochette._domainkey.clochette.example.org"));
	assert_int_equal(asked, 1);

	struct verify_mail other = m; /* the same chain before another body */
	other.body = MH_LIT("Hey gang,\n");
	memset(other.hashed, 0, sizeof(other.hashed));
	assert_int_equal(arc_verify(&other, &c, 12346, &keys, &a, &err), MH_BAD);
	expect_span("why", span_of(err.text), MH_LIT("the body is not the one that was signed"));
	arena_release(&a);
}

static const char *const signers[] = { "football.example.com", NULL };
static const char *const senders[] = { "joe@football.example.com", NULL };

/* The examples do not sign Content-Type, so they are no proof of a notice. */
static void
examples_are_unverified(void **state)
{
	const struct conf_trust none = { .hops = 1 };
	const struct verify_policy policy = { .trust = &none, .signers = signers, .senders = senders };
	struct verify_result r;
	struct mh_err err = { 0 };
	struct arena a;
	unsigned asked = 0;
	char mail[4096];

	(void)state;
	snprintf(mail, sizeof(mail), "%s%s", rsa_signature, double_blank);
	arena_init(&a, 1 << 20);
	assert_int_equal(verify_message(span_of(mail), 0, &policy, rfc_keys, &asked, &a, &r, &err), MH_OK);
	assert_int_equal(r.level, TRUST_UNVERIFIED);
	assert_int_equal(r.n_steps, 1);
	expect_span("the reason", r.steps[0], MH_LIT("DKIM football.example.com: Content-Type is not signed"));
	expect_number("no key was needed", "asked", asked, 0);
	arena_release(&a);
}

/* Each allocation of the arena fails in turn: never a crash, never a level that is too high. */
static void
no_memory(void **state)
{
	const struct conf_trust trust = { .hops = 1 };
	const struct verify_policy policy = { .trust = &trust, .signers = signers, .senders = senders };
	char mail[4096];
	size_t at = 1;

	(void)state;
	snprintf(mail, sizeof(mail), "%s%s%s", ed25519_signature, rsa_signature, double_blank);
	for (bool failed = true; failed; at++) {
		struct verify_result r = { .level = TRUST_UNVERIFIED };
		struct mh_err err = { 0 };
		struct arena a;
		unsigned asked = 0;

		arena_init(&a, 1 << 20);
		a.fail_at = at;
		const enum mh_status status = verify_message(span_of(mail), 0, &policy, rfc_keys, &asked, &a, &r, &err);
		failed = a.fail_at == 0;
		assert_true(status == MH_OK || status == MH_LIMIT);
		assert_int_equal(r.level, TRUST_UNVERIFIED);
		arena_release(&a);
		assert_true(at < 1000);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc_vectors),
		cmocka_unit_test(rfc_chain),
		cmocka_unit_test(every_byte_counts),
		cmocka_unit_test(examples_are_unverified),
		cmocka_unit_test(no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
