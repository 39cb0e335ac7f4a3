/* ical_test.c: text from a mail in a calendar that is published: escaped, folded, and nothing that leads the eye astray. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mailhook/ical.h"

#define FIFTY "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"

static void
test_text(void **state)
{
	static const struct {
		const char *name, *text, *line;
	} rows[] = {
		{ "plain", "a b", "X:a b\r\n" },
		{ "nothing", "", "X:\r\n" },
		{ "blanks at the ends", " \n a \t\r\n", "X:a\r\n" },
		{ "what is escaped", "a,b;c\\d\ne", "X:a\\,b\\;c\\\\d\\ne\r\n" },
		{ "colons and quotes are not", "a:b\"c", "X:a:b\"c\r\n" },
		{ "a tab", "a\tb", "X:a b\r\n" },
		{ "a property of its own", "a\r\nATTACH:b", "X:a\\nATTACH:b\r\n" },
		{ "control characters",
		    "a\x01\x1b[1m\x7f"
		    "b",
		    "X:a[1mb\r\n" },
		{ "C1",
		    "a\xc2\x9b"
		    "b",
		    "X:ab\r\n" },
		{ "text turned around",
		    "a\xe2\x80\xae"
		    "b\xe2\x81\xa6"
		    "c\xe2\x80\x8f"
		    "d",
		    "X:abcd\r\n" },
		{ "separators of lines and paragraphs",
		    "a\xe2\x80\xa8"
		    "b\xe2\x80\xa9"
		    "c",
		    "X:abc\r\n" },
		{ "other letters", "K\xc3\xb6ln \xe2\x9c\x93 \xf0\x9f\x94\x91",
		    "X:K\xc3\xb6ln \xe2\x9c\x93 \xf0\x9f\x94\x91\r\n" },
		{ "no UTF-8", "a\xff\xc3", "X:a??\r\n" },
		{ "a sequence that is cut", "a\xe2\x80", "X:a??\r\n" },
		{ "as long as a line", FIFTY "aaaaaaaaaabbbbbbbbbbccc", "X:" FIFTY "aaaaaaaaaabbbbbbbbbbccc\r\n" },
		{ "longer by one", FIFTY "aaaaaaaaaabbbbbbbbbbcccd", "X:" FIFTY "aaaaaaaaaabbbbbbbbbbccc\r\n d\r\n" },
		{ "folded between characters", FIFTY "aaaaaaaaaabbbbbbbbbbcc\xc3\xb6",
		    "X:" FIFTY "aaaaaaaaaabbbbbbbbbbcc\r\n \xc3\xb6\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const size_t n = strlen(rows[i].text);
		char *exact = malloc(n > 0 ? n : 1); /* so that a sanitizer sees one byte too far */
		struct buf out;

		assert_non_null(exact);
		memcpy(exact, rows[i].text, n);
		buf_init(&out, 4096);
		ical_text(&out, "X", (struct mh_span){ exact, n });
		if (!buf_ok(&out) || strcmp(buf_span(&out).p, rows[i].line) != 0)
			fail_msg("%s: \"%s\"", rows[i].name, buf_span(&out).p);
		buf_release(&out);
		free(exact);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
