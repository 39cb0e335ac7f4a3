/* mail_limits_test.c: each bound of limits.h on one message: at it nothing is marked, one past it and far past it only
 * that bound is, and what lies before it is read. Then the hostile mails, by the processor time they cost. */
#include <time.h>

#include "tests/exact.h"
#include "tests/hostile_mail.h"

#include "mailhook/mail/charset.h"
#include "mailhook/mail/mail.h"

#define CPU_S 2.0 /* the product's promise; the sanitizers get five times as much */
#ifdef MAILHOOK_SANITIZED
#define CPU_FACTOR 5.0
#define RUNS 2
#else
#define CPU_FACTOR 1.0
#define RUNS 5
#endif

static void
repeat(struct buf *b, const char *s, size_t times)
{
	for (size_t i = 0; i < times; i++)
		buf_puts(b, s);
}

static void
message_bytes(struct buf *b, size_t n)
{
	buf_puts(b, "Content-Type: image/png\n\n");
	repeat(b, "0123456789abcde\n", (n - b->n) / 16);
	repeat(b, "x", n - b->n);
}

/* A header of n bytes, in fields that are short enough. */
static void
header_bytes(struct buf *b, size_t n)
{
	while (b->n + 60000 < n) {
		buf_puts(b, "X: ");
		repeat(b, "v", 50000);
		buf_putc(b, '\n');
	}
	buf_puts(b, "X: ");
	repeat(b, "v", n - b->n - 1);
	buf_puts(b, "\n\ntext");
}

static void
fields(struct buf *b, size_t n)
{
	repeat(b, "X: y\n", n);
	buf_puts(b, "\ntext");
}

static void
part_fields(struct buf *b, size_t n)
{
	buf_puts(b, "Content-Type: multipart/mixed; boundary=b\n\n--b\n");
	repeat(b, "X: y\n", n);
	buf_puts(b, "\ntext");
}

static void
field_bytes(struct buf *b, size_t n)
{
	buf_puts(b, "X: ");
	repeat(b, "v", n);
	buf_puts(b, "\n\ntext");
}

static void
words(struct buf *b, size_t n)
{
	buf_puts(b, "X: ");
	repeat(b, "=?utf-8?Q?x?=", n);
	buf_puts(b, "\n\ntext");
}

static void
multiparts(struct buf *b, size_t n)
{
	buf_puts(b, "Subject: x\n");
	for (size_t i = 0; i < n; i++)
		buf_printf(b, "Content-Type: multipart/mixed; boundary=b%zu\n\n--b%zu\n", i, i);
	buf_puts(b, "\ntext");
}

static void
messages(struct buf *b, size_t n)
{
	repeat(b, "Content-Type: message/rfc822\n\n", n);
	buf_puts(b, "Subject: x\n\ntext");
}

static void
encoded_messages(struct buf *b, size_t n)
{
	repeat(b, "Content-Type: message/rfc822\nContent-Transfer-Encoding: quoted-printable\n\n", n);
	buf_puts(b, "Subject: x\n\ntext");
}

static void
parts(struct buf *b, size_t n)
{
	buf_puts(b, "Content-Type: multipart/mixed; boundary=b\n\n");
	repeat(b, "--b\n\ntext\n", n);
}

static void
attachments(struct buf *b, size_t n)
{
	buf_puts(b, "Content-Type: multipart/mixed; boundary=b\n\n");
	repeat(b, "--b\nContent-Type: image/png\n\ntext\n", n);
}

static void
flat_messages(struct buf *b, size_t n)
{
	buf_puts(b, "Content-Type: multipart/digest; boundary=b\n\n");
	repeat(b, "--b\n\nSubject: x\n\ntext\n", n - 1);
}

static void
text_bytes(struct buf *b, size_t n)
{
	buf_puts(b, "Subject: x\n\n");
	repeat(b, "0123456789abcde\n", n / 16);
	repeat(b, "x", n % 16);
}

static void
html_bytes(struct buf *b, size_t n)
{
	buf_puts(b, "Content-Type: text/html\n\n");
	repeat(b, "0123456789abcde\n", n / 16);
	repeat(b, "x", n % 16);
}

static void
base64_bytes(struct buf *b, size_t n)
{
	buf_puts(b, "Content-Transfer-Encoding: base64\n\n");
	repeat(b, "eHh4", n / 3);
	buf_puts(b, n % 3 == 0 ? "" : n % 3 == 1 ? "eA==" : "eHg=");
}

static void
text_total(struct buf *b, size_t n)
{
	buf_puts(b, "Content-Type: multipart/mixed; boundary=b\n\n");
	while (n > 0) {
		const size_t one = n < MH_MAX_TEXT_BYTES ? n : MH_MAX_TEXT_BYTES;

		buf_puts(b, "--b\n\n");
		repeat(b, "0123456789abcde\n", one / 16);
		repeat(b, "x", one % 16);
		buf_putc(b, '\n');
		n -= one;
	}
	buf_puts(b, "--b--\n");
}

static void
comments(struct buf *b, size_t n)
{
	buf_puts(b, "Content-Type: text/plain ");
	repeat(b, "(", n);
	repeat(b, ")", n);
	buf_puts(b, "\n\ntext");
}

static void
params(struct buf *b, size_t n)
{
	buf_puts(b, "Content-Type: text/plain");
	repeat(b, ";x=y", n);
	buf_puts(b, "\n\ntext");
}

static const struct {
	const char *name;
	void (*write)(struct buf *b, size_t n);
	size_t bound, far;
	unsigned mark;
	size_t n_parts; /* of text, at and past; SIZE_MAX: as many as the number, up to the bound */
} bounds[] = {
	{ "message bytes", message_bytes, MH_MAX_MESSAGE_BYTES, MH_MAX_MESSAGE_BYTES + (8 << 20), MAIL_LIMIT_MESSAGE,
	    0 },
	{ "header bytes", header_bytes, MH_MAX_HEADER_BYTES, MH_MAX_HEADER_BYTES * 4, MAIL_LIMIT_HEADER, 1 },
	{ "fields", fields, MH_MAX_FIELDS, 50000, MAIL_LIMIT_FIELDS, 1 },
	{ "fields of a part", part_fields, MH_MAX_FIELDS, 50000, MAIL_LIMIT_FIELDS, 1 },
	{ "field bytes", field_bytes, MH_MAX_FIELD_BYTES, MH_MAX_FIELD_BYTES * 10, MAIL_LIMIT_FIELD, 1 },
	{ "encoded words", words, MH_MAX_ENCODED_WORDS, 4000, MAIL_LIMIT_WORDS, 1 },
	{ "nested multiparts", multiparts, MH_MAX_DEPTH, 5000, MAIL_LIMIT_DEPTH, 1 },
	{ "nested messages", messages, MH_MAX_DEPTH, 5000, MAIL_LIMIT_DEPTH, 1 },
	{ "nested encoded messages", encoded_messages, MH_MAX_DEPTH, 5000, MAIL_LIMIT_DEPTH, 1 },
	{ "text parts", parts, MH_MAX_PARTS, 5000, MAIL_LIMIT_PARTS, SIZE_MAX },
	{ "messages", flat_messages, MH_MAX_MESSAGES, 5000, MAIL_LIMIT_PARTS, MH_MAX_MESSAGES - 1 },
	{ "text bytes", text_bytes, MH_MAX_TEXT_BYTES, MH_MAX_TEXT_BYTES * 8, MAIL_LIMIT_TEXT, 1 },
	{ "HTML bytes", html_bytes, MH_MAX_TEXT_BYTES, MH_MAX_TEXT_BYTES * 8, MAIL_LIMIT_TEXT, 1 },
	{ "base64 bytes", base64_bytes, MH_MAX_TEXT_BYTES, MH_MAX_TEXT_BYTES * 8, MAIL_LIMIT_TEXT, 1 },
	{ "text bytes in all", text_total, MH_MAX_TEXT_TOTAL_BYTES, MH_MAX_TEXT_TOTAL_BYTES * 2, MAIL_LIMIT_TEXT, 4 },
	{ "nested comments", comments, MH_MAX_COMMENT_DEPTH, 30000, MAIL_LIMIT_COMMENT, 1 },
	{ "parameters", params, MH_MAX_PARAMS, 5000, MAIL_LIMIT_PARAMS, 1 },
};

/* What a mail of n of that thing sets. */
static unsigned
read_bound(size_t row, size_t n, struct mail *ret, struct arena *a, struct buf *raw)
{
	buf_clear(raw);
	bounds[row].write(raw, n);
	assert_true(buf_ok(raw));
	arena_reset(a);
	assert_int_equal(mail_read(buf_span(raw), NULL, a, ret, NULL), MH_OK);
	return ret->limits;
}

static void
test_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		const size_t at = bounds[i].bound;
		struct arena a;
		struct mail m;
		struct buf raw;

		arena_init(&a, MH_MAX_ARENA_BYTES);
		buf_init(&raw, 96 << 20);
		expect_number(bounds[i].name, "limits at the bound", read_bound(i, at, &m, &a, &raw), 0);
		expect_number(bounds[i].name, "parts at the bound", m.n_parts,
		    bounds[i].n_parts == SIZE_MAX ? at : bounds[i].n_parts);
		expect_number(
		    bounds[i].name, "limits one past the bound", read_bound(i, at + 1, &m, &a, &raw), bounds[i].mark);
		expect_number(bounds[i].name, "limits far past the bound", read_bound(i, bounds[i].far, &m, &a, &raw),
		    bounds[i].mark);
		if (bounds[i].mark == MAIL_LIMIT_TEXT) {
			size_t total = 0;
			for (size_t p = 0; p < m.n_parts; p++) {
				if (m.parts[p].text.n > MH_MAX_TEXT_BYTES)
					fail_msg("%s: a part of %zu bytes", bounds[i].name, m.parts[p].text.n);
				total += m.parts[p].text.n;
			}
			if (total > MH_MAX_TEXT_TOTAL_BYTES)
				fail_msg("%s: %zu bytes in all", bounds[i].name, total);
			assert_true(m.parts[m.n_parts - 1].cut);
		}
		buf_release(&raw);
		arena_release(&a);
	}
}

/* Attachments cost nothing but their bytes, so there may be any number of them. */
static void
test_attachments_are_free(void **state)
{
	struct arena a;
	struct mail m;
	struct buf raw;

	(void)state;
	arena_init(&a, MH_MAX_ARENA_BYTES);
	buf_init(&raw, 8 << 20);
	attachments(&raw, 50000);
	assert_int_equal(mail_read(buf_span(&raw), NULL, &a, &m, NULL), MH_OK);
	assert_int_equal(m.limits, 0);
	assert_int_equal(m.n_parts, 0);
	assert_true(a.used_bytes < 4096);
	buf_release(&raw);
	arena_release(&a);
}

/* A small arena is a bound too: marked, and what fitted is there. */
static void
test_arena(void **state)
{
	static const struct {
		const char *name;
		size_t max;
		enum mh_status status;
		unsigned limits;
		size_t n_parts;
	} sizes[] = {
		{ "nothing", 0, MH_LIMIT, MAIL_LIMIT_MEMORY, 0 },
		{ "a message and no more", 300, MH_OK, MAIL_LIMIT_MEMORY, 0 },
		{ "all but the text", 1000, MH_OK, MAIL_LIMIT_MEMORY, 0 },
		{ "enough", 4000, MH_OK, 0, 1 },
	};
	struct buf raw;

	(void)state;
	buf_init(&raw, 10000);
	buf_puts(&raw, "Subject: s\nContent-Transfer-Encoding: base64\n\n");
	repeat(&raw, "eHh4", 500);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct arena a;
		struct mail m;

		arena_init(&a, sizes[i].max);
		expect_number(sizes[i].name, "status", mail_read(buf_span(&raw), NULL, &a, &m, NULL), sizes[i].status);
		expect_number(sizes[i].name, "limits", m.limits, sizes[i].limits);
		expect_number(sizes[i].name, "parts", m.n_parts, sizes[i].n_parts);
		arena_release(&a);
	}
	buf_release(&raw);
}

static double
cpu_seconds(void)
{
	struct timespec t;

	assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void
test_hostile(void **state)
{
	(void)state;
	for (size_t i = 0; i < n_hostile_mails; i++) {
		const struct hostile_mail *h = &hostile_mails[i];
		struct charset_set *set = charset_set_new();
		struct buf b;
		struct arena a;
		struct mail m;

		assert_non_null(set);
		buf_init(&b, HOSTILE_MAIL_BYTES);
		h->write(&b);
		assert_true(buf_ok(&b));
		char *raw = exact_copy(buf_span(&b));
		const struct mh_span in = { raw, b.n };
		buf_release(&b);
		arena_init(&a, MH_MAX_ARENA_BYTES);

		const double before = cpu_seconds();
		charset_set_open(set, in);
		assert_int_equal(mail_read(in, set, &a, &m, NULL), MH_OK);
		const double took = cpu_seconds() - before;

		if (took > CPU_S * CPU_FACTOR)
			fail_msg("%s: %.2f s", h->name, took);
		expect_number(h->name, "limits", m.limits, h->limits);
		for (size_t p = 0; p < m.n_parts; p++)
			if (!utf8_valid(m.parts[p].text) || !utf8_valid(m.parts[p].links))
				fail_msg("%s: part %zu is not UTF-8", h->name, p);
		arena_release(&a);
		charset_set_free(set);
		free(raw);
	}
}

/* Twice the bytes may cost about twice the time, not four times: the best of some runs, with room for noise. */
static double
best_time(const char *unit, const char *head, size_t times)
{
	struct buf b;
	struct arena a;
	double best = 1e9;

	buf_init(&b, 64 << 20);
	buf_puts(&b, head);
	repeat(&b, unit, times);
	arena_init(&a, MH_MAX_ARENA_BYTES);
	for (int run = 0; run < RUNS; run++) {
		struct mail m;
		const double before = cpu_seconds();

		arena_reset(&a);
		assert_int_equal(mail_read(buf_span(&b), NULL, &a, &m, NULL), MH_OK);
		const double took = cpu_seconds() - before;
		best = took < best ? took : best;
	}
	arena_release(&a);
	buf_release(&b);
	return best;
}

static void
test_linear(void **state)
{
	static const struct {
		const char *name, *head, *unit;
		size_t times;
	} shapes[] = {
		{ "encoded words without end", "Subject: ", "=?utf-8?Q?", 3000 },
		{ "question marks", "Subject: ", "=?x?", 8000 },
		{ "parts", "Content-Type: multipart/mixed; boundary=b\n\n", "--b\nA: b\n\nx\n", 100000 },
		{ "near boundaries", "Content-Type: multipart/mixed; boundary=b\n\n", "--c\n", 500000 },
		{ "tags", "Content-Type: text/html\n\n", "<a href=x>", 100000 },
		{ "angles", "Content-Type: text/html\n\n", "<a <", 100000 },
		{ "comments", "Content-Type: text/html\n\n", "<!--", 200000 },
		{ "near ends of a script", "Content-Type: text/html\n\n<script>", "</script", 100000 },
		{ "ampersands", "Content-Type: text/html\n\n", "&#x&notit&", 100000 },
		{ "equals signs", "Content-Transfer-Encoding: quoted-printable\n\n", "= = ", 400000 },
		{ "equals signs and blanks", "Content-Transfer-Encoding: quoted-printable\n\n=", "          ", 150000 },
		{ "header lines", "X: y\n", "no field\n", 50000 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const double one = best_time(shapes[i].unit, shapes[i].head, shapes[i].times);
		const double two = best_time(shapes[i].unit, shapes[i].head, shapes[i].times * 2);

		if (two > one * 3.5 + 0.002)
			fail_msg("%s: %.4f s, twice as many %.4f s", shapes[i].name, one, two);
	}
}

/* The whole of this program, raw mails, hostile ones and copies of them included, is one bound on memory. */
static void
test_memory(void **state)
{
	struct charset_set *set = charset_set_new();
	struct buf b;
	struct arena a;
	struct mail m;

	(void)state;
	assert_non_null(set);
	buf_init(&b, HOSTILE_MAIL_BYTES);
	text_bytes(&b, (size_t)20 << 20);
	arena_init(&a, MH_MAX_ARENA_BYTES);
	assert_int_equal(mail_read(buf_span(&b), set, &a, &m, NULL), MH_OK);
	assert_true(a.used_bytes < 1 << 20); /* UTF-8 text with LF stays where it is */
	buf_clear(&b);
	buf_puts(&b, "Content-Type: text/plain; charset=windows-1252\n\n");
	repeat(&b, "\xE9\xE8\r\n", (size_t)5 << 20);
	arena_reset(&a);
	assert_int_equal(mail_read(buf_span(&b), set, &a, &m, NULL), MH_OK);
	assert_int_equal(m.limits, MAIL_LIMIT_TEXT);
	assert_true(a.used_bytes <= 2 * (size_t)MH_MAX_TEXT_BYTES + (1 << 16));
	arena_release(&a);
	buf_release(&b);
	charset_set_free(set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_attachments_are_free),
		cmocka_unit_test(test_arena),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_linear),
		cmocka_unit_test(test_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
