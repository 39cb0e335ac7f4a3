/* verify_parts_test.c: the parts of the verifier: canonical forms, tag lists, keys, results, authors, topics. */
#include "tests/exact.h"

#include "mailhook/verify/verify_impl.h"

static void
canonical_fields(void **state)
{
	static const struct {
		const char *name, *raw, *simple, *relaxed;
	} rows[] = {
		/* RFC 6376 3.4.5 */
		{ "the RFC's A", "A: X", "A: X", "a:X" },
		{ "the RFC's B", "B : Y\t\r\n\tZ  ", "B : Y\t\r\n\tZ  ", "b :Y Z" },
		{ "LF", "b: y\n z", "b: y\r\n z", "b:y z" },
		{ "empty", "b:", "b:", "b:" },
		{ "blanks only", "b: \t \r\n ", "b: \t \r\n ", "b:" },
		{ "8 bit", "b: \xE4  \xF6", "b: \xE4  \xF6", "b:\xE4 \xF6" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mh_span raw = { exact_copy(span_of(rows[i].raw)), strlen(rows[i].raw) };
		struct buf b;

		buf_init(&b, 1 << 16);
		canon_field(&b, raw, CANON_SIMPLE);
		expect_span(rows[i].name, buf_span(&b), span_of(rows[i].simple));
		buf_clear(&b);
		canon_field(&b, raw, CANON_RELAXED);
		expect_span(rows[i].name, buf_span(&b), span_of(rows[i].relaxed));
		buf_release(&b);
		free((void *)(uintptr_t)raw.p);
	}
}

static void
expect_body(const char *name, const char *body, enum canon canon, const char *want)
{
	char *raw = exact_copy(span_of(body));
	struct verify_mail m = { .body = { raw, strlen(body) } };
	unsigned char got[SHA256_BYTES], hash[SHA256_BYTES];

	assert_int_equal(canon_body(&m, canon, got, NULL), MH_OK);
	assert_int_equal(EVP_Digest(want, strlen(want), hash, NULL, EVP_sha256(), NULL), 1);
	if (memcmp(got, hash, sizeof(hash)) != 0)
		fail_msg("%s, %s", name, canon == CANON_SIMPLE ? "simple" : "relaxed");
	free(raw);
}

static void
canonical_bodies(void **state)
{
	static const struct {
		const char *name, *body, *simple, *relaxed;
	} rows[] = {
		{ "the RFC's", " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },
		{ "LF", " C \nD \t E\n\n\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" },
		{ "empty", "", "\r\n", "" },
		{ "blank lines only", "\r\n\r\n", "\r\n", "" },
		{ "a line of blanks", " \t\r\n", " \t\r\n", "" },
		{ "no final line end", "a", "a\r\n", "a\r\n" },
		{ "blanks and no line end", "a ", "a \r\n", "a\r\n" },
		{ "blank lines inside", "a\n\n\nb\n", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n" },
		{ "blank lines in front", "\n\na\n", "\r\n\r\na\r\n", "\r\n\r\na\r\n" },
		{ "a bare CR", "a\rb\r\n", "a\rb\r\n", "a\rb\r\n" },
		{ "CR CR LF", "a\r\r\n", "a\r\r\n", "a\r\r\n" },
		{ "a CR at the end", "a\r\n\r", "a\r\n\r\r\n", "a\r\n\r\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect_body(rows[i].name, rows[i].body, CANON_SIMPLE, rows[i].simple);
		expect_body(rows[i].name, rows[i].body, CANON_RELAXED, rows[i].relaxed);
	}
}

/* Lines around the size of what is hashed at once. */
static void
long_lines(void **state)
{
	(void)state;
	for (size_t n = 16370; n < 16400; n++) {
		char *line = malloc(2 * n + 16), *want = malloc(2 * n + 16);

		if (line == NULL || want == NULL)
			abort(); /* no assertion: the analyzer must see that it ends here */
		memset(line, 'x', n);
		memcpy(want, line, n);
		memcpy(line + n, "  \ty\n\n", 7);
		memcpy(want + n, " y\r\n", 5);
		expect_body("a long line", line, CANON_RELAXED, want);
		memcpy(want + n, "  \ty\r\n", 7);
		expect_body("a long line", line, CANON_SIMPLE, want);
		free(line);
		free(want);
	}
}

static void
tag_lists_read(void **state)
{
	static const struct {
		const char *name, *text, *value_of_b; /* NULL: not a tag list */
	} rows[] = {
		{ "plain", "a=1; b=2", "2" },
		{ "blanks and folds", " a = 1 ;\r\n\tb =\r\n 2 3 ; ", "2 3" },
		{ "empty value", "a=1;b=", "" },
		{ "an equals sign in a value", "b=a=b==", "a=b==" },
		{ "case counts", "b=1;B=2", "1" },
		{ "twice", "b=1;b=2", NULL },
		{ "empty", "", NULL },
		{ "blanks only", " \t", NULL },
		{ "a semicolon only", ";", NULL },
		{ "two semicolons", "b=1;;", NULL },
		{ "two semicolons inside", "a=1;;b=1", NULL },
		{ "no equals sign", "b", NULL },
		{ "no name", "=1", NULL },
		{ "a name with a digit in front", "1b=1", NULL },
		{ "a name with a blank", "a b=1", NULL },
		{ "a NUL", "b=1\1", NULL },
		{ "8 bit", "b=\xE4", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mh_span text = { exact_copy(span_of(rows[i].text)), strlen(rows[i].text) };
		struct taglist tags;
		const enum mh_status status = taglist_read(text, &tags, NULL);

		if ((status == MH_OK) != (rows[i].value_of_b != NULL))
			fail_msg("%s: status %d", rows[i].name, (int)status);
		if (status == MH_OK)
			expect_span(rows[i].name, tag_value(&tags, "b"), span_of(rows[i].value_of_b));
		free((void *)(uintptr_t)text.p);
	}
}

static void
tag_list_bound(void **state)
{
	struct taglist tags;
	struct buf b;

	(void)state;
	for (int n = MAX_TAGS - 1; n <= 10 * MAX_TAGS;
	     n = n <= MAX_TAGS ? n + 1 : 10 * MAX_TAGS + (n == 10 * MAX_TAGS)) {
		buf_init(&b, 1 << 16);
		for (int i = 0; i < n; i++)
			buf_printf(&b, "t%d=1;", i);
		assert_int_equal(taglist_read(buf_span(&b), &tags, NULL), n <= MAX_TAGS ? MH_OK : MH_BAD);
		buf_release(&b);
	}
}

static void
base64_read(void **state)
{
	static const struct {
		const char *name, *text, *want; /* NULL: refused */
	} rows[] = {
		{ "one byte", "QQ==", "A" },
		{ "two", "QUI=", "AB" },
		{ "three", "QUJD", "ABC" },
		{ "folds", "QU\r\n JD", "ABC" },
		{ "nothing", "", "" },
		{ "no padding", "QQ", NULL },
		{ "half padding", "QQ=", NULL },
		{ "padding alone", "==", NULL },
		{ "too much padding", "QUJD=", NULL },
		{ "more behind the padding", "QQ==QQ==", NULL },
		{ "bits left over", "QR==", NULL },
		{ "another byte", "QU-D", NULL },
		{ "one digit", "Q===", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena a;
		struct mh_span got;

		arena_init(&a, 1 << 16);
		const enum mh_status status = tag_base64(span_of(rows[i].text), &a, &got, NULL);
		if ((status == MH_OK) != (rows[i].want != NULL))
			fail_msg("%s: status %d", rows[i].name, (int)status);
		if (status == MH_OK)
			expect_span(rows[i].name, got, span_of(rows[i].want));
		arena_release(&a);
	}
}

static void
domains(void **state)
{
	static const struct {
		const char *d, *around;
		bool valid, within;
	} rows[] = {
		{ "aws.com", "aws.com", true, true },
		{ "AWS.com", "aws.COM", true, true },
		{ "a.aws.com", "aws.com", true, true },
		{ "notaws.com", "aws.com", true, false },
		{ "com", "aws.com", false, false },
		{ ".aws.com", "aws.com", false, true },
		{ "aws.com.", "aws.com", false, false },
		{ "a..b", "", false, false },
		{ "a b.c", "", false, false },
		{ "-_.x", "x", true, true },
		{ "", "", false, false },
		{ "aws.com", "", true, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect_number(rows[i].d, "valid", domain_valid(span_of(rows[i].d)), rows[i].valid);
		expect_number(
		    rows[i].d, "within", domain_within(span_of(rows[i].d), span_of(rows[i].around)), rows[i].within);
	}
}

static void
authors(void **state)
{
	static const struct {
		const char *name, *from, *want; /* NULL: refused */
	} rows[] = {
		{ "bare", " health@aws.com", "health@aws.com" },
		{ "angle", "AWS <Health@AWS.com>", "health@aws.com" },
		{ "quoted name", "\"A, B: \\\" <x@y.z>;\" <a@aws.com>\r\n", "a@aws.com" },
		{ "comments", "(a (b) \\) ) AWS <a@aws.com> (c)", "a@aws.com" },
		{ "bare and a comment", "a@aws.com (AWS)", "a@aws.com" },
		{ "apostrophes", "\"'AWS' via X\" <list@example.com>", "list@example.com" },
		{ "encoded word", "=?utf-8?q?AWS?= <a@aws.com>", "a@aws.com" },
		{ "folded", "AWS\r\n <a@aws.com>", "a@aws.com" },
		{ "blanks in the angle", "AWS < a@aws.com >", "a@aws.com" },
		{ "empty", "", NULL },
		{ "two", "a@aws.com, b@aws.com", NULL },
		{ "two angles", "<a@aws.com> <b@aws.com>", NULL },
		{ "two bare", "a@aws.com b@aws.com", NULL },
		{ "group", "x: a@aws.com;", NULL },
		{ "route", "<@evil.example:a@aws.com>", NULL },
		{ "quoted local part", "<\"a\"@aws.com>", NULL },
		{ "quoted local part, bare", "\"a\"@aws.com", NULL },
		{ "two ats", "<a@evil.example@aws.com>", NULL },
		{ "comment in the domain", "<a@aws.com(x).evil.example>", NULL },
		{ "no end", "AWS <a@aws.com", NULL },
		{ "open quote", "\"AWS <a@aws.com>", NULL },
		{ "open comment", "(AWS <a@aws.com>", NULL },
		{ "more behind", "<a@aws.com> evil.example", NULL },
		{ "null", "<>", NULL },
		{ "literal", "<a@[192.0.2.1]>", NULL },
		{ "8 bit domain", "<a@aws.c\xC3\xB6m>", NULL },
		{ "two dots", "<a..b@aws.com>", NULL },
		{ "dot in front", "<.a@aws.com>", NULL },
		{ "angle in an angle", "<<a@aws.com>>", NULL },
		{ "name that is an address", "a@aws.com <x@evil.example>", "x@evil.example" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mh_span from = { exact_copy(span_of(rows[i].from)), strlen(rows[i].from) };
		struct arena a;
		struct mh_span got;

		arena_init(&a, 1 << 16);
		const enum mh_status status = from_read(from, &a, &got, NULL);
		if ((status == MH_OK) != (rows[i].want != NULL))
			fail_msg("%s: status %d", rows[i].name, (int)status);
		if (status == MH_OK)
			expect_span(rows[i].name, got, span_of(rows[i].want));
		arena_release(&a);
		free((void *)(uintptr_t)from.p);
	}
}

#define RSA_1024                                                                                                       \
	"MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v"             \
	"3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQ"     \
	"PNUYckcQ2QIDAQAB"
#define RSA_BARE                                                                                                       \
	"MIGJAoGBAPAhE/9QLdIGwSYapn1klbf8OQygZ4udCDV9afv/Ni0jE3ZKcUKPE4Iob2/dviNh9xM2HmKNKyrrfW4Ei0truh36/9G10LZT"     \
	"MnWVZP3jupH5FxpzaBu2j80yonR/N9WMfg64qGK11j21/qZzAaNo0FxZOggyY9I8N1A81RhyRxDZAgMBAAE="

static void
key_records(void **state)
{
	static const struct {
		const char *name, *record;
		enum key_type type;
		const char *want; /* words of the refusal; NULL: taken */
	} rows[] = {
		{ "RSA", "v=DKIM1; k=rsa; p=" RSA_1024, KEY_RSA, NULL },
		{ "no k=", "p=" RSA_1024, KEY_RSA, NULL },
		{ "bare RSAPublicKey", "v=DKIM1; p=" RSA_BARE, KEY_RSA, NULL },
		{ "folded", "v=DKIM1;\tp=MIGf " RSA_1024, KEY_RSA, "no RSA key" },
		{ "notes and unknown tags", "v=DKIM1; n=x; zz=1; g=*; p=" RSA_1024, KEY_RSA, NULL },
		{ "h= with sha256", "h=sha1:sha256; p=" RSA_1024, KEY_RSA, NULL },
		{ "h= without", "h=sha1; p=" RSA_1024, KEY_RSA, "h=" },
		{ "s=*", "s=*; p=" RSA_1024, KEY_RSA, NULL },
		{ "s=email", "s=x:email; p=" RSA_1024, KEY_RSA, NULL },
		{ "s=web", "s=web; p=" RSA_1024, KEY_RSA, "s=" },
		{ "t=y", "t=y; p=" RSA_1024, KEY_RSA, "t=y" },
		{ "t=s:y", "t=s:y; p=" RSA_1024, KEY_RSA, "t=y" },
		{ "t=s", "t=s; p=" RSA_1024, KEY_RSA, NULL },
		{ "revoked", "v=DKIM1; p=", KEY_RSA, "revoked" },
		{ "no p=", "v=DKIM1; k=rsa", KEY_RSA, "no p=" },
		{ "v= not first", "k=rsa; v=DKIM1; p=" RSA_1024, KEY_RSA, "v=" },
		{ "v= of another", "v=DKIM2; p=" RSA_1024, KEY_RSA, "v=" },
		{ "empty", "", KEY_RSA, "no tag list" },
		{ "not a record", "v=spf1 -all", KEY_RSA, "no p=" },
		{ "not base64", "p=%%", KEY_RSA, "no base64" },
		{ "not DER", "p=AAAA", KEY_RSA, "no RSA key" },
		{ "another kind", "k=ed25519; p=" RSA_1024, KEY_RSA, "another kind" },
		{ "RSA for Ed25519", "p=" RSA_1024, KEY_ED25519, "another kind" },
		{ "Ed25519", "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=", KEY_ED25519, NULL },
		{ "Ed25519, 31 bytes", "k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHUQ==", KEY_ED25519,
		    "no Ed25519" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mh_span record = { exact_copy(span_of(rows[i].record)), strlen(rows[i].record) };
		struct mh_err err = { 0 };
		struct key key = { 0 };
		struct arena a;

		arena_init(&a, 1 << 16);
		const enum mh_status status = key_read(record, rows[i].type, &a, &key, &err);
		if ((status == MH_OK) != (rows[i].want == NULL) ||
		    (status != MH_OK && strstr(err.text, rows[i].want) == NULL))
			fail_msg("%s: status %d, %s", rows[i].name, (int)status, err.text);
		key_release(&key);
		arena_release(&a);
		free((void *)(uintptr_t)record.p);
	}
}

/* A key is made once of a record, goes by the record's text, and refusals are made anew. */
static void
kept_keys(void **state)
{
	struct verify_keys *kept = verify_keys_new();
	struct key first = { 0 }, again = { 0 }, strict = { 0 }, other = { 0 };
	struct arena a;

	(void)state;
	assert_non_null(kept);
	arena_init(&a, 1 << 20);
	const struct mh_span plain = MH_LIT("p=" RSA_1024);
	assert_int_equal(key_get(kept, plain, KEY_RSA, &a, &first, NULL), MH_OK);
	assert_int_equal(key_get(kept, plain, KEY_RSA, &a, &again, NULL), MH_OK);
	if (first.pkey != again.pkey)
		fail_msg("the same record was read twice");
	key_release(&again);
	assert_int_equal(key_get(kept, MH_LIT("t=s; p=" RSA_1024), KEY_RSA, &a, &strict, NULL), MH_OK);
	if (strict.pkey == first.pkey || !strict.same_domain || first.same_domain)
		fail_msg("the key of another record was taken");
	key_release(&strict);
	if (key_get(kept, plain, KEY_ED25519, &a, &other, NULL) != MH_BAD)
		fail_msg("a kept RSA key was taken for an Ed25519 signature");
	for (int i = 0; i < 2; i++)
		if (key_get(kept, MH_LIT("t=y; p=" RSA_1024), KEY_RSA, &a, &other, NULL) != MH_BAD)
			fail_msg("a key of a domain that is testing was taken");

	for (size_t i = 0; i < 2 * MAX_KEPT_KEYS; i++) { /* more than are kept */
		struct mh_span record;
		assert_int_equal(arena_printf(&a, &record, NULL, "n=%zu; p=" RSA_1024, i), MH_OK);
		assert_int_equal(key_get(kept, record, KEY_RSA, &a, &other, NULL), MH_OK);
		key_release(&other);
	}
	assert_int_equal(key_get(kept, plain, KEY_RSA, &a, &again, NULL), MH_OK);
	if (again.pkey == first.pkey)
		fail_msg("more keys are kept than there is room for");
	assert_int_equal(EVP_PKEY_get_bits(first.pkey), 1024); /* ours lives on */
	key_release(&again);
	key_release(&first);
	arena_release(&a);
	verify_keys_free(kept);
	verify_keys_free(NULL);
}

static void
results(void **state)
{
	static const struct {
		const char *name, *value, *id, *domain; /* id NULL: refused; domain: of the last result, NULL: none */
	} rows[] = {
		{ "plain", " mx.example.com; dkim=pass header.d=aws.com", "mx.example.com", "aws.com" },
		{ "i= only", "a.b; dkim=pass header.i=@mail.aws.com", "a.b", "mail.aws.com" },
		{ "both", "a.b; dkim=pass header.i=x@mail.aws.com header.d=aws.com", "a.b", "aws.com" },
		{ "i= not below d=", "a.b; dkim=pass header.i=@evil.example header.d=aws.com", "a.b", NULL },
		{ "i= without an at", "a.b; dkim=pass header.i=aws.com", "a.b", NULL },
		{ "quoted local part", "a.b; dkim=pass header.i=\"x@aws.com\"@evil.example", "a.b", "evil.example" },
		{ "case", "a.b; DKIM=Pass HEADER.D=aws.com", "a.b", "aws.com" },
		{ "none", "a.b; none", "a.b", NULL },
		{ "no results", "a.b", "a.b", NULL },
		{ "version", "a.b 1; dkim/1=pass header.d=aws.com", "a.b", "aws.com" },
		{ "version 2", "a.b 2; dkim=pass header.d=aws.com", NULL, NULL },
		{ "fail", "a.b; dkim=fail header.d=aws.com", "a.b", NULL },
		{ "passed is not pass", "a.b; dkim=passed header.d=aws.com", "a.b", NULL },
		{ "nested comment", "(x(y)\\)z) a.b (c);(d)dkim(e)=(f)pass(g)header(h).(i)d(j)=(k)aws.com(l)", "a.b",
		    "aws.com" },
		{ "quoted id", "\"a.b\"; none", "a.b", NULL },
		{ "quote in an id", "\"a\\\"b\"; none", "a\"b", NULL },
		{ "no id", "; none", NULL, NULL },
		{ "empty", "", NULL, NULL },
		{ "open comment", "a.b (x; none", NULL, NULL },
		{ "open quote", "a.b; dkim=pass reason=\"x", NULL, NULL },
		{ "last semicolon", "a.b; dkim=pass header.d=aws.com;", "a.b", "aws.com" },
		{ "two semicolons", "a.b;; none", NULL, NULL },
		{ "no equals sign", "a.b; dkim pass", NULL, NULL },
		{ "two d=", "a.b; dkim=pass header.d=x.y header.d=aws.com", NULL, NULL },
		{ "runs together", "a.b; dkim=pass\"x\"header.d=aws.com", NULL, NULL },
		{ "8 bit value", "a.b; dkim=pass header.d=aws.c\xC3\xB6m", "a.b", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct mh_span value = { exact_copy(span_of(rows[i].value)), strlen(rows[i].value) };
		struct authres r;
		struct arena a;

		arena_init(&a, 1 << 16);
		const enum mh_status status = authres_read(value, &a, &r, NULL);
		if ((status == MH_OK) != (rows[i].id != NULL))
			fail_msg("%s: status %d", rows[i].name, (int)status);
		if (status == MH_OK) {
			expect_span(rows[i].name, r.id, span_of(rows[i].id));
			const struct mh_span got =
			    r.n_results == 0 ? MH_NONE : authres_dkim_domain(&r.results[r.n_results - 1]);
			expect_span(rows[i].name, got, span_of(rows[i].domain));
		}
		arena_release(&a);
		free((void *)(uintptr_t)value.p);
	}
}

static void
signature_tags(void **state)
{
	static const char hash[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
	static const struct {
		const char *name, *tags; /* %s: bh= of a right length stands in front */
		const char *want;        /* NULL: taken */
	} rows[] = {
		{ "least", "v=1; a=rsa-sha256; d=a.b; s=x; h=From; b=AAAA", NULL },
		{ "selector of two labels", "v=1; a=rsa-sha256; d=a.b; s=x.y; h=From; b=AAAA", NULL },
		{ "l=", "v=1; a=rsa-sha256; d=a.b; s=x; h=From; b=AAAA; l=0", "l=" },
		{ "rsa-sha1", "v=1; a=rsa-sha1; d=a.b; s=x; h=From; b=AAAA", "rsa-sha1" },
		{ "another v=", "v=2; a=rsa-sha256; d=a.b; s=x; h=From; b=AAAA", "v=" },
		{ "no v=", "a=rsa-sha256; d=a.b; s=x; h=From; b=AAAA", "v=" },
		{ "no From", "v=1; a=rsa-sha256; d=a.b; s=x; h=To; b=AAAA", "From is not signed" },
		{ "empty name", "v=1; a=rsa-sha256; d=a.b; s=x; h=From::To; b=AAAA", "empty name" },
		{ "c= of an unknown form", "v=1; a=rsa-sha256; c=nofws; d=a.b; s=x; h=From; b=AAAA", "canonical" },
		{ "d= is a name only", "v=1; a=rsa-sha256; d=com; s=x; h=From; b=AAAA", "no domain" },
		{ "d= with a slash", "v=1; a=rsa-sha256; d=a/b.c; s=x; h=From; b=AAAA", "no domain" },
		{ "s= with a dot at the end", "v=1; a=rsa-sha256; d=a.b; s=x.; h=From; b=AAAA", "no selector" },
		{ "empty s=", "v=1; a=rsa-sha256; d=a.b; s=; h=From; b=AAAA", "no selector" },
		{ "i= of another domain", "v=1; a=rsa-sha256; d=a.b; i=@b.a; s=x; h=From; b=AAAA", "i=" },
		{ "i= of a look-alike", "v=1; a=rsa-sha256; d=a.b; i=@xa.b; s=x; h=From; b=AAAA", "i=" },
		{ "i= ends in an equals sign", "v=1; a=rsa-sha256; d=a.b; i=x@a.b=; s=x; h=From; b=AAAA", "i=" },
		{ "x= before t=", "v=1; a=rsa-sha256; d=a.b; t=5; x=4; s=x; h=From; b=AAAA", "x=" },
		{ "x= without t=", "v=1; a=rsa-sha256; d=a.b; x=4; s=x; h=From; b=AAAA", NULL },
		{ "x= of 19 digits", "v=1; a=rsa-sha256; d=a.b; x=9999999999999999999; s=x; h=From; b=AAAA", "x=" },
		{ "q= of another", "v=1; a=rsa-sha256; d=a.b; q=http; s=x; h=From; b=AAAA", "q=" },
		{ "empty b=", "v=1; a=rsa-sha256; d=a.b; s=x; h=From; b=", "b=" },
		{ "no b=", "v=1; a=rsa-sha256; d=a.b; s=x; h=From", "b=" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct mh_err err = { 0 };
		struct signature s;
		struct arena a;
		struct buf text;

		arena_init(&a, 1 << 16);
		buf_init(&text, 1 << 16);
		buf_printf(&text, "bh=%s; %s", hash, rows[i].tags);
		char *raw = exact_copy(buf_span(&text));
		const enum mh_status status =
		    signature_read((struct mh_span){ raw, text.n }, SIGNATURE_DKIM, &a, &s, &err);
		if ((status == MH_OK) != (rows[i].want == NULL) ||
		    (status != MH_OK && strstr(err.text, rows[i].want) == NULL))
			fail_msg("%s: status %d, %s", rows[i].name, (int)status, err.text);
		free(raw);
		buf_release(&text);
		arena_release(&a);
	}
}

/* 200 names are taken, 201 and 2,000 are not. */
static void
signed_names_bound(void **state)
{
	static const int counts[] = { MAX_SIGNED_NAMES, MAX_SIGNED_NAMES + 1, 10 * MAX_SIGNED_NAMES };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct signature s;
		struct arena a;
		struct buf b;

		arena_init(&a, 1 << 20);
		buf_init(&b, 1 << 16);
		buf_puts(&b,
		    "v=1; a=rsa-sha256; d=a.b; s=x; bh=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=; b=AAAA; h=From");
		for (int n = 1; n < counts[i]; n++)
			buf_puts(&b, ":x");
		assert_int_equal(signature_read(buf_span(&b), SIGNATURE_DKIM, &a, &s, NULL), i == 0 ? MH_OK : MH_BAD);
		buf_release(&b);
		arena_release(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(canonical_fields),
		cmocka_unit_test(canonical_bodies),
		cmocka_unit_test(long_lines),
		cmocka_unit_test(tag_lists_read),
		cmocka_unit_test(tag_list_bound),
		cmocka_unit_test(base64_read),
		cmocka_unit_test(domains),
		cmocka_unit_test(authors),
		cmocka_unit_test(key_records),
		cmocka_unit_test(kept_keys),
		cmocka_unit_test(results),
		cmocka_unit_test(signature_tags),
		cmocka_unit_test(signed_names_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
