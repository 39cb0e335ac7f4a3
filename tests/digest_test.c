/* digest_test.c: which two mails are the same message. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailhook/work/digest.h"

/* -- messages ------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *name;
	const char *one, *other; /* whole messages; the head ends at the first empty line */
	struct reading of_one, of_other;
	bool same;
} message_rows[] = {
	{ "equal", "a: b\n\nbody\n", "a: b\n\nbody\n", { 0 }, { 0 }, true },
	{ "line ends", "a: b\n\none\ntwo\n", "a: b\r\n\r\none\r\ntwo\r\n", { 0 }, { 0 }, true },
	{ "no final newline", "a: b\n\nbody", "a: b\n\nbody\n", { 0 }, { 0 }, true },
	{ "empty lines at the end", "a: b\n\nbody\r\n\r\n\n", "a: b\n\nbody\n", { 0 }, { 0 }, true },
	{ "an empty line inside", "a: b\n\none\n\ntwo\n", "a: b\n\none\ntwo\n", { 0 }, { 0 }, false },
	{ "a CR that ends no line", "a: b\n\none\rtwo\n", "a: b\n\none\ntwo\n", { 0 }, { 0 }, false },
	{ "CR CR LF", "a: b\n\none\r\r\ntwo\n", "a: b\n\none\r\ntwo\n", { 0 }, { 0 }, false },
	{ "another body", "a: b\n\nbody\n", "a: b\n\nbodY\n", { 0 }, { 0 }, false },
	{ "trace fields", "Received: x\n\nbody\n", "Received: y\nReceived: z\n\nbody\n", { 0 }, { 0 }, true },
	{ "another From", "a: b\n\nbody\n", "a: b\n\nbody\n", { .from = MH_LIT("a@example.com") },
	    { .from = MH_LIT("b@example.com") }, false },
	{ "another Date", "a: b\n\nbody\n", "a: b\n\nbody\n", { .date = MH_LIT("1") }, { .date = MH_LIT("2") }, false },
	{ "another Subject", "a: b\n\nbody\n", "a: b\n\nbody\n", { .subject = MH_LIT("1") }, { .subject = MH_LIT("2") },
	    false },
	{ "another Message-ID", "a: b\n\nbody\n", "a: b\n\nbody\n", { .message_id = MH_LIT("1") },
	    { .message_id = MH_LIT("2") }, false },
	{ "another Content-Type", "a: b\n\nbody\n", "a: b\n\nbody\n", { .content_type = MH_LIT("1") },
	    { .content_type = MH_LIT("2") }, false },
	{ "fields do not run together", "a: b\n\nbody\n", "a: b\n\nbody\n", { .from = MH_LIT("ab") },
	    { .from = MH_LIT("a"), .date = MH_LIT("b") }, false },
	{ "an unknown field is not an empty one", "a: b\n\nbody\n", "a: b\n\nbody\n", { .from = MH_LIT("") }, { 0 },
	    false },
};

static void
digest(const char *text, const struct reading *r, char ret[DIGEST_HEX])
{
	struct reading own = *r;
	const char *lf = strstr(text, "\n\n"), *crlf = strstr(text, "\r\n\r\n");
	struct mh_err err = { 0 };

	own.body_at = (uint64_t)(crlf != NULL && (lf == NULL || crlf < lf) ? crlf + 4 - text : lf + 2 - text);
	/* an exact-size copy, so that a sanitizer sees one byte too far */
	char *copy = malloc(strlen(text));
	assert_non_null(copy);
	memcpy(copy, text, strlen(text));
	assert_int_equal(digest_message((struct mh_span){ copy, strlen(text) }, &own, ret, &err), MH_OK);
	free(copy);
	assert_int_equal(strlen(ret), DIGEST_HEX - 1);
}

static void
same_messages(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(message_rows) / sizeof(message_rows[0]); i++) {
		char one[DIGEST_HEX], other[DIGEST_HEX];

		digest(message_rows[i].one, &message_rows[i].of_one, one);
		digest(message_rows[i].other, &message_rows[i].of_other, other);
		if ((strcmp(one, other) == 0) != message_rows[i].same)
			fail_msg("%s", message_rows[i].name);
	}
}

static void
odd_bodies(void **state)
{
	const struct reading past = { .body_at = 1000 }, none = { 0 };
	char one[DIGEST_HEX], other[DIGEST_HEX];
	struct mh_err err = { 0 };

	(void)state;
	assert_int_equal(digest_message(MH_LIT("x"), &past, one, &err), MH_OK); /* the body cannot lie behind the end */
	assert_int_equal(digest_message(MH_LIT(""), &none, other, &err), MH_OK);
	assert_string_equal(one, other);
	assert_int_equal(digest_message(MH_LIT("\r"), &none, one, &err), MH_OK);
	assert_int_equal(digest_message(MH_LIT("a\0b"), &none, other, &err), MH_OK);
	assert_string_not_equal(one, other);
	/* known from elsewhere: printf '1\na' | sha256sum */
	const struct mh_span a = MH_LIT("a");
	assert_int_equal(digest_fields(&a, 1, one, &err), MH_OK);
	assert_string_equal(one, "87a4add670544dbb9f2fd239f3aa89a0d64d7fc26fc1d6fe253bd3da7843844e");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_messages),
		cmocka_unit_test(odd_bodies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
