/* mail_transfer_test.c: base64 and quoted-printable, well-formed and as broken senders write them. */
#include "tests/exact.h"

#include "mailhook/mail/transfer.h"

static const struct {
	const char *name;
	enum transfer encoding;
	struct mh_span in, want;
} rows[] = {
	{ "base64: nothing", TRANSFER_BASE64, MH_LIT(""), MH_LIT("") },
	{ "base64: whole groups", TRANSFER_BASE64, MH_LIT("Zm9vYmFy"), MH_LIT("foobar") },
	{ "base64: one padding", TRANSFER_BASE64, MH_LIT("Zm9vYmE="), MH_LIT("fooba") },
	{ "base64: two paddings", TRANSFER_BASE64, MH_LIT("Zm9vYg=="), MH_LIT("foob") },
	{ "base64: padding missing, three digits", TRANSFER_BASE64, MH_LIT("Zm9vYmE"), MH_LIT("fooba") },
	{ "base64: padding missing, two digits", TRANSFER_BASE64, MH_LIT("Zm9vYg"), MH_LIT("foob") },
	{ "base64: one digit left carries no byte", TRANSFER_BASE64, MH_LIT("Zm9vY"), MH_LIT("foo") },
	{ "base64: white space within groups", TRANSFER_BASE64, MH_LIT("Zm 9v\r\nY\tmF\ny"), MH_LIT("foobar") },
	{ "base64: junk is skipped", TRANSFER_BASE64, MH_LIT("!Zm-9_v.YmFy\0\xFF"), MH_LIT("foobar") },
	{ "base64: data after an inner padding goes on", TRANSFER_BASE64, MH_LIT("Zm8=Zm8="), MH_LIT("fofo") },
	{ "base64: data after two inner paddings", TRANSFER_BASE64, MH_LIT("Zg==Zg==\nZm9v"), MH_LIT("fffoo") },
	{ "base64: only padding", TRANSFER_BASE64, MH_LIT("===="), MH_LIT("") },
	{ "base64: high bytes", TRANSFER_BASE64, MH_LIT("AP/+gA=="), MH_LIT("\0\xFF\xFE\x80") },
	{ "qp: nothing", TRANSFER_QUOTED_PRINTABLE, MH_LIT(""), MH_LIT("") },
	{ "qp: plain text", TRANSFER_QUOTED_PRINTABLE, MH_LIT("plain\ntext"), MH_LIT("plain\ntext") },
	{ "qp: an escape", TRANSFER_QUOTED_PRINTABLE, MH_LIT("caf=C3=A9"), MH_LIT("caf\xC3\xA9") },
	{ "qp: lower-case digits", TRANSFER_QUOTED_PRINTABLE, MH_LIT("=c3=a9"), MH_LIT("\xC3\xA9") },
	{ "qp: soft break, LF", TRANSFER_QUOTED_PRINTABLE, MH_LIT("one=\ntwo"), MH_LIT("onetwo") },
	{ "qp: soft break, CRLF", TRANSFER_QUOTED_PRINTABLE, MH_LIT("one=\r\ntwo"), MH_LIT("onetwo") },
	{ "qp: soft break with blanks behind", TRANSFER_QUOTED_PRINTABLE, MH_LIT("one= \t\r\ntwo"), MH_LIT("onetwo") },
	{ "qp: blanks before a soft break are text", TRANSFER_QUOTED_PRINTABLE, MH_LIT("one =\ntwo"),
	    MH_LIT("one two") },
	{ "qp: soft break at the end", TRANSFER_QUOTED_PRINTABLE, MH_LIT("one="), MH_LIT("one") },
	{ "qp: soft break and CR at the end", TRANSFER_QUOTED_PRINTABLE, MH_LIT("one=\r"), MH_LIT("one") },
	{ "qp: blanks at a line's end go", TRANSFER_QUOTED_PRINTABLE, MH_LIT("one \t\ntwo  \r\n"),
	    MH_LIT("one\ntwo\r\n") },
	{ "qp: blanks at the end of all go", TRANSFER_QUOTED_PRINTABLE, MH_LIT("one \t"), MH_LIT("one") },
	{ "qp: an escaped blank at a line's end stays", TRANSFER_QUOTED_PRINTABLE, MH_LIT("one=20\ntwo"),
	    MH_LIT("one \ntwo") },
	{ "qp: blanks before an escaped one stay", TRANSFER_QUOTED_PRINTABLE, MH_LIT("one =20 \n"), MH_LIT("one  \n") },
	{ "qp: =3 at the end", TRANSFER_QUOTED_PRINTABLE, MH_LIT("text ending in =3"), MH_LIT("text ending in =3") },
	{ "qp: = and one digit, then text", TRANSFER_QUOTED_PRINTABLE, MH_LIT("=3z"), MH_LIT("=3z") },
	{ "qp: unescaped equals", TRANSFER_QUOTED_PRINTABLE, MH_LIT("a=b c==3D"), MH_LIT("a=b c==") },
	{ "qp: an address with equals", TRANSFER_QUOTED_PRINTABLE, MH_LIT("?x=y&z=zz"), MH_LIT("?x=y&z=zz") },
	{ "qp: escaped NUL and line end", TRANSFER_QUOTED_PRINTABLE, MH_LIT("=00=0D=0A \n"), MH_LIT("\0\r\n\n") },
	{ "qp: empty lines", TRANSFER_QUOTED_PRINTABLE, MH_LIT("\n\r\n \n"), MH_LIT("\n\r\n\n") },
	{ "identity", TRANSFER_IDENTITY, MH_LIT("=41 QQ=="), MH_LIT("=41 QQ==") },
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const size_t bound = transfer_bound(rows[i].encoding, rows[i].in);
		char *in = exact_copy(rows[i].in), *out = malloc(bound == 0 ? 1 : bound);
		bool cut = true;

		assert_non_null(out);
		const size_t n =
		    transfer_decode(rows[i].encoding, (struct mh_span){ in, rows[i].in.n }, out, bound, &cut);
		expect_span(rows[i].name, (struct mh_span){ out, n }, rows[i].want);
		expect_number(rows[i].name, "cut", cut, false);
		free(in);
		free(out);
	}
}

/* Every maximum below the length gives a prefix and says so; the maximum at the length does not. */
static void
test_maximum(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t max = 0; max <= rows[i].want.n; max++) {
			char *out = malloc(max == 0 ? 1 : max);
			bool cut = false;

			assert_non_null(out);
			const size_t n = transfer_decode(rows[i].encoding, rows[i].in, out, max, &cut);
			if (n > max || (max == rows[i].want.n && !cut && n != max))
				fail_msg("%s: %zu bytes at a maximum of %zu", rows[i].name, n, max);
			if (max < rows[i].want.n && !cut)
				fail_msg("%s: not marked as cut at %zu", rows[i].name, max);
			/* a blank that would have gone at its line's end may be the last byte of what was cut */
			if (!cut)
				expect_span(rows[i].name, (struct mh_span){ out, n }, rows[i].want);
			free(out);
		}
	}
}

static void
test_q(void **state)
{
	static const struct {
		const char *name;
		struct mh_span in, want;
	} q[] = {
		{ "underscore is a space", MH_LIT("a_b"), MH_LIT("a b") },
		{ "escaped underscore", MH_LIT("a=5Fb"), MH_LIT("a_b") },
		{ "broken escapes", MH_LIT("=,=4,=4"), MH_LIT("=,=4,=4") },
		{ "lower case", MH_LIT("=e2=82=ac"), MH_LIT("\xE2\x82\xAC") },
		{ "blanks at the end stay", MH_LIT("a "), MH_LIT("a ") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(q) / sizeof(q[0]); i++) {
		char *in = exact_copy(q[i].in), *out = malloc(q[i].in.n);

		assert_non_null(out);
		const size_t n = q_decode((struct mh_span){ in, q[i].in.n }, out);
		expect_span(q[i].name, (struct mh_span){ out, n }, q[i].want);
		free(in);
		free(out);
	}
}

static void
test_names(void **state)
{
	static const struct {
		const char *value;
		enum transfer want;
	} names[] = {
		{ "base64", TRANSFER_BASE64 },
		{ " BASE64\r\n", TRANSFER_BASE64 },
		{ "base64; charset=x", TRANSFER_BASE64 },
		{ "Base64 (yes)", TRANSFER_BASE64 },
		{ "quoted-printable", TRANSFER_QUOTED_PRINTABLE },
		{ "Quoted-Printable(x)", TRANSFER_QUOTED_PRINTABLE },
		{ "7bit", TRANSFER_IDENTITY },
		{ "8BIT", TRANSFER_IDENTITY },
		{ "binary", TRANSFER_IDENTITY },
		{ "x-uuencode", TRANSFER_IDENTITY },
		{ "base6", TRANSFER_IDENTITY },
		{ "", TRANSFER_IDENTITY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		expect_number(names[i].value, "encoding", transfer_named(span_of(names[i].value)), names[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_q),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
