/* imap_parts_test.c: the screen before libetpan, names of folders, and the position of a mailbox. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mailhook/imap/find.h"
#include "mailhook/imap/names.h"
#include "mailhook/imap/position.h"
#include "mailhook/imap/screen.h"

/* -- the screen ----------------------------------------------------------------------------------------------------- */

#define ALL (SCREEN_FETCH | SCREEN_SEARCH | SCREEN_LIST | SCREEN_CAPABILITY)

static const struct {
	const char *name, *in;
	unsigned want;
	enum mh_status status;
	const char *out, *words; /* words: of the error, or of the last status line */
} screen_rows[] = {
	{ "a tagged OK loses its words", "1 OK done\r\n", 0, MH_OK, "1 OK x\r\n", "done" },
	{ "lower case", "1 ok done\r\n", 0, MH_OK, "1 OK x\r\n", "done" },
	{ "a NO with a code", "1 NO [OVERQUOTA] full {5}\r\n", 0, MH_OK, "1 NO x\r\n", "full {5}" },
	{ "line feeds alone", "1 OK done\n", 0, MH_OK, "1 OK x\r\n", "done" },
	{ "UIDVALIDITY stays", "* OK [UIDVALIDITY 7] ok\r\n", 0, MH_OK, "* OK [UIDVALIDITY 7] x\r\n", "ok" },
	{ "UIDNEXT stays", "* OK [UIDNEXT 4294967295] ok\r\n", 0, MH_OK, "* OK [UIDNEXT 4294967295] x\r\n", "ok" },
	{ "a number that is none", "* OK [UIDNEXT 4294967296] ok\r\n", 0, MH_OK, "* OK x\r\n", "ok" },
	{ "read-only stays", "1 OK [READ-ONLY] ok\r\n", 0, MH_OK, "1 OK [READ-ONLY] x\r\n", "ok" },
	{ "PERMANENTFLAGS go", "* OK [PERMANENTFLAGS ()] ok\r\n", 0, MH_OK, "* OK x\r\n", "ok" },
	{ "a code without end", "* OK [UIDNEXT 7 ok\r\n", 0, MH_OK, "* OK x\r\n", "[UIDNEXT 7 ok" },
	{ "control characters are escaped", "1 NO a\033b\r\n", 0, MH_OK, "1 NO x\r\n", "a\\x1bb" },
	{ "FLAGS go", "* FLAGS (\\Seen)\r\n1 OK x\r\n", ALL, MH_OK, "1 OK x\r\n", "x" },
	{ "EXISTS stays", "* 3 EXISTS\r\n", 0, MH_OK, "* 3 EXISTS\r\n", NULL },
	{ "EXPUNGE goes", "* 3 EXPUNGE\r\n", ALL, MH_OK, "", NULL },
	{ "a FETCH that nobody asked for goes", "* 3 FETCH (FLAGS (\\Seen))\r\n", 0, MH_OK, "", NULL },
	{ "with its literal", "* 3 FETCH (X {3}\r\nabc Y)\r\n1 OK x\r\n", 0, MH_OK, "1 OK x\r\n", NULL },
	{ "one that was stays", "* 3 FETCH (UID 7 FLAGS (\\Seen) RFC822.SIZE 9)\r\n", ALL, MH_OK,
	    "* 3 FETCH (UID 7 FLAGS (\\Seen) RFC822.SIZE 9)\r\n", NULL },
	{ "with its literal too", "* 3 FETCH (UID 7 BODY[]<0> {3}\r\na\r) FLAGS (x))\r\n", ALL, MH_OK,
	    "* 3 FETCH (UID 7 BODY[]<0> {3}\r\na\r) FLAGS (x))\r\n", NULL },
	{ "with a section", "* 3 FETCH (BODY[HEADER.FIELDS (FROM TO)]<0> NIL UID 1)\r\n", ALL, MH_OK,
	    "* 3 FETCH (BODY[HEADER.FIELDS (FROM TO)]<0> NIL UID 1)\r\n", NULL },
	{ "with a quoted string", "* 3 FETCH (BODY[] \"a ) \\\" (\" UID 1)\r\n", ALL, MH_OK,
	    "* 3 FETCH (BODY[] \"a ) \\\" (\" UID 1)\r\n", NULL },
	{ "with what was not asked for it goes", "* 3 FETCH (UID 7 ENVELOPE (NIL))\r\n1 OK x\r\n", ALL, MH_OK,
	    "1 OK x\r\n", "x" },
	{ "deep lists in it too", "* 3 FETCH (BODYSTRUCTURE (((((((((((\r\n", ALL, MH_OK, "", NULL },
	{ "and its literals", "* 3 FETCH (X {3}\r\n(((Y))\r\n1 OK x\r\n", ALL, MH_OK, "1 OK x\r\n", "x" },
	{ "behind a literal it is refused", "* 3 FETCH (BODY[] {3}\r\nabc ENVELOPE (NIL))\r\n", ALL, MH_BAD, NULL,
	    "not asked for" },
	{ "an item without a value", "* 3 FETCH (UID)\r\n", ALL, MH_OK, "", NULL },
	{ "deep lists", "* 3 FETCH (FLAGS ((((((((((x\r\n", ALL, MH_LIMIT, NULL, "deeper" },
	{ "a list that stays open", "* 3 FETCH (UID 7\r\n", ALL, MH_BAD, NULL, "open" },
	{ "a list that was not open", "* 3 FETCH (UID 7))\r\n", ALL, MH_BAD, NULL, "not open" },
	{ "a string without end", "* 3 FETCH (BODY[] \"abc\r\n", ALL, MH_BAD, NULL, "without end" },
	{ "a large literal", "* 3 FETCH (BODY[] {101}\r\n", ALL, MH_LIMIT, NULL, "larger" },
	{ "one at the limit", "* 3 FETCH (BODY[] {100}\r\n", ALL, MH_OK, "* 3 FETCH (BODY[] {100}\r\n", NULL },
	{ "one of 4 GB", "* 3 FETCH (BODY[] {4000000000}\r\n", ALL, MH_LIMIT, NULL, "larger" },
	{ "one that overflows", "* 3 FETCH (BODY[] {99999999999999999999999}\r\n", ALL, MH_LIMIT, NULL, "larger" },
	{ "a hidden one of 4 GB", "* 3 FETCH (BODY[] {4000000000}\r\n", 0, MH_LIMIT, NULL, "larger" },
	{ "a binary one", "* 3 FETCH (BODY[] ~{3}\r\n", ALL, MH_LIMIT, NULL, "larger" },
	{ "SEARCH stays", "* SEARCH 1 2 3\r\n", ALL, MH_OK, "* SEARCH 1 2 3\r\n", NULL },
	{ "an empty one", "* SEARCH\r\n", ALL, MH_OK, "* SEARCH\r\n", NULL },
	{ "one of words", "* SEARCH 1 (MODSEQ 2)\r\n", ALL, MH_BAD, NULL, "no number" },
	{ "LIST stays", "* LIST (\\HasChildren) \".\" \"a b\"\r\n", ALL, MH_OK,
	    "* LIST (\\HasChildren) \".\" \"a b\"\r\n", NULL },
	{ "an unknown answer goes", "* ESEARCH (TAG \"1\") ALL 1:9\r\n", ALL, MH_OK, "", NULL },
	{ "BYE", "* BYE go away\r\n", 0, MH_RETRY, NULL, "go away" },
	{ "PREAUTH", "* PREAUTH come in\r\n", 0, MH_BAD, NULL, "without a login" },
	{ "a continuation", "+ idling\r\n", 0, MH_OK, "+ x\r\n", NULL },
	{ "a challenge", "+ eyJh\r\n", SCREEN_CHALLENGE, MH_OK, "+ eyJh\r\n", NULL },
	{ "an empty line", "\r\n", 0, MH_BAD, NULL, "empty line" },
	{ "not IMAP", "HTTP/1.1 200 fine\r\n", 0, MH_BAD, NULL, "does not speak IMAP" },
	{ "no end of a tag", "123456789012345678901 OK x\r\n", 0, MH_BAD, NULL, "does not speak IMAP" },
};

/* In pieces of that many bytes: what comes together and what comes apart must be the same. */
static void
feed_row(size_t i, size_t piece)
{
	const struct screen_limits limits = { screen_rows[i].want, 81, 100, 500 };
	struct mh_span rest = span_of(screen_rows[i].in);
	struct mh_err err = { 0 };
	struct screen s;
	char out[600] = "";
	enum mh_status status = MH_OK;

	screen_init(&s);
	screen_begin(&s, &limits);
	for (; rest.n > 0 && status == MH_OK; rest = span_from(rest, piece))
		status = screen_feed(&s, span_head(rest, piece), &err);
	if (status != screen_rows[i].status)
		fail_msg("%s, %zu bytes at once: status %d, %s", screen_rows[i].name, piece, (int)status, err.text);
	if (status == MH_OK) {
		out[screen_take(&s, out, sizeof(out) - 1)] = '\0';
		if (strcmp(out, screen_rows[i].out) != 0)
			fail_msg("%s, %zu bytes at once: \"%s\"", screen_rows[i].name, piece, out);
	}
	const char *words = status == MH_OK ? s.words : err.text;
	if (screen_rows[i].words != NULL && strstr(words, screen_rows[i].words) == NULL)
		fail_msg("%s, %zu bytes at once: words \"%s\"", screen_rows[i].name, piece, words);
	screen_release(&s);
}

static void
screens(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(screen_rows) / sizeof(screen_rows[0]); i++)
		for (size_t piece = 1; piece <= 200; piece += piece < 4 ? 1 : 49)
			feed_row(i, piece);
}

static void
counts_an_answer(void **state)
{
	const struct screen_limits limits = { 0, 100, 100, 36 };
	struct screen s;
	struct mh_err err = { 0 };

	(void)state;
	screen_init(&s);
	for (int again = 0; again < 2; again++) { /* each command anew */
		screen_begin(&s, &limits);
		for (int i = 0; i < 3; i++)
			assert_int_equal(screen_feed(&s, MH_LIT("* 1 EXISTS\r\n"), &err), MH_OK);
	}
	assert_true(s.news);
	assert_int_equal(screen_feed(&s, MH_LIT("*"), &err), MH_LIMIT);
	screen_release(&s);
}

static void
bounds_a_line(void **state)
{
	static const struct {
		size_t n; /* with its CR */
		enum mh_status status;
	} rows[] = { { 80, MH_OK }, { 81, MH_OK }, { 82, MH_LIMIT }, { 10000, MH_LIMIT } };
	const struct screen_limits limits = { 0, 81, 100, 20000 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf line;
		struct screen s;

		buf_init(&line, 20000);
		buf_puts(&line, "* OK ");
		while (line.n < rows[i].n - 1)
			buf_putc(&line, 'x');
		buf_puts(&line, "\r\n");
		screen_init(&s);
		screen_begin(&s, &limits);
		if (screen_feed(&s, buf_span(&line), NULL) != rows[i].status)
			fail_msg("a line of %zu bytes", rows[i].n);
		screen_release(&s);
		buf_release(&line);
	}
}

static void
knows_what_came_behind(void **state)
{
	static const struct {
		const char *in;
		bool behind;
	} rows[] = { { "1 OK begin\r\n", false }, { "1 OK begin\r\n* CAPABILITY X\r\n", true },
		{ "1 OK begin\r\nx", true }, { "* OK x\r\n1 OK begin\r\n", false } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct screen_limits limits = { 0, 100, 100, 100 };
		struct screen s;

		screen_init(&s);
		screen_begin(&s, &limits);
		assert_int_equal(screen_feed(&s, span_of(rows[i].in), NULL), MH_OK);
		if (s.behind != rows[i].behind)
			fail_msg("%s: behind %d", rows[i].in, s.behind);
		screen_release(&s);
	}
}

/* -- names ---------------------------------------------------------------------------------------------------------- */

static void
addresses(void **state)
{
	static const struct {
		const char *url;
		enum mh_status status;
		bool tls;
		const char *host, *port, *folder;
		bool loopback;
	} rows[] = {
		{ "imaps://imap.example.com/INBOX", MH_OK, true, "imap.example.com", "993", "INBOX", false },
		{ "imap://imap.example.com/a/b", MH_OK, false, "imap.example.com", "143", "a/b", false },
		{ "IMAPS://h:1993/INBOX", MH_OK, true, "h", "1993", "INBOX", false },
		{ "imap://localhost/x", MH_OK, false, "localhost", "143", "x", true },
		{ "imap://127.8.9.1:99/x", MH_OK, false, "127.8.9.1", "99", "x", true },
		{ "imap://[::1]:99/x", MH_OK, false, "::1", "99", "x", true },
		{ "imap://[2001:db8::1]/x", MH_OK, false, "2001:db8::1", "143", "x", false },
		{ "imap://localhost.example.com/x", MH_OK, false, "localhost.example.com", "143", "x", false },
		{ "imaps://h/a%20b%2Fc%C3%BC", MH_OK, true, "h", "993", "a b/c\303\274", false },
		{ "imaps://h/a%2", MH_BAD, false, NULL, NULL, NULL, false },
		{ "imaps://h/a%00b", MH_BAD, false, NULL, NULL, NULL, false },
		{ "imaps://h/a%FF", MH_BAD, false, NULL, NULL, NULL, false },
		{ "imaps://h:0/x", MH_BAD, false, NULL, NULL, NULL, false },
		{ "imaps://h:65536/x", MH_BAD, false, NULL, NULL, NULL, false },
		{ "imaps://h:x/x", MH_BAD, false, NULL, NULL, NULL, false },
		{ "imaps:///x", MH_BAD, false, NULL, NULL, NULL, false },
		{ "imaps://h/", MH_BAD, false, NULL, NULL, NULL, false },
		{ "imaps://[::1/x", MH_BAD, false, NULL, NULL, NULL, false },
		{ "https://h/x", MH_BAD, false, NULL, NULL, NULL, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena a;
		struct address at = { 0 };
		struct mh_err err = { 0 };

		arena_init(&a, 65536);
		const enum mh_status status = address_of(rows[i].url, &a, &at, &err);
		if (status != rows[i].status)
			fail_msg("%s: status %d: %s", rows[i].url, (int)status, err.text);
		if (status == MH_OK && (at.tls != rows[i].tls || strcmp(at.host, rows[i].host) != 0 ||
					   strcmp(at.port, rows[i].port) != 0 ||
					   strcmp(at.folder, rows[i].folder) != 0 || at.loopback != rows[i].loopback))
			fail_msg("%s: %s %s %s %d", rows[i].url, at.host, at.port, at.folder, at.loopback);
		arena_release(&a);
	}
}

static void
folders(void **state)
{
	static const struct {
		const char *name, *utf7; /* NULL: refused */
	} rows[] = {
		{ "INBOX", "INBOX" },
		{ "a & b", "a &- b" },
		{ "~peter/mail/\345\217\260\345\214\227/\346\227\245\346\234\254\350\252\236",
		    "~peter/mail/&U,BTFw-/&ZeVnLIqe-" }, /* RFC 3501 5.1.3 */
		{ "\303\274ber", "&APw-ber" },
		{ "\360\237\230\200", "&2D3eAA-" },
		{ "a\"b\\c", "a\"b\\c" },
		{ "a\nb", NULL },
		{ "\377", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf out;

		buf_init(&out, 1000);
		const enum mh_status status = folder_utf7(&out, rows[i].name, NULL);
		if ((status == MH_OK) != (rows[i].utf7 != NULL) ||
		    (status == MH_OK && strcmp(out.p, rows[i].utf7) != 0))
			fail_msg("folder %zu: status %d, %s", i, (int)status, out.p == NULL ? "" : out.p);
		buf_release(&out);
	}
}

static void
quoted(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 100);
	assert_true(put_quoted(&out, MH_LIT("a \"b\\")));
	assert_string_equal(out.p, "\"a \\\"b\\\\\"");
	assert_false(put_quoted(&out, MH_LIT("a\r\nb")));
	assert_false(put_quoted(&out, MH_LIT("\303\274")));
	buf_release(&out);
}

static void
sets(void **state)
{
	static const uint32_t numbers[] = { 9, 3, 4, 5, 3, 4294967295u, 7, 4294967294u };
	struct uids u = { 0 };
	struct buf out;
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		assert_true(uids_add(&u, numbers[i]));
	uids_sort(&u);
	assert_int_equal(u.n, 7);
	assert_true(uids_have(&u, 7) && !uids_have(&u, 6));
	buf_init(&out, 1000);
	uids_put(&out, &u, &at, 1000);
	assert_string_equal(out.p, "3:5,7,9,4294967294:4294967295");
	assert_int_equal(at, u.n);
	buf_clear(&out);
	at = 0;
	uids_put(&out, &u, &at, 3); /* a set that is full ends behind a whole range */
	assert_string_equal(out.p, "3:5");
	assert_int_equal(at, 3);
	buf_release(&out);
	uids_release(&u);
}

/* -- the position --------------------------------------------------------------------------------------------------- */

static const struct conf_mailbox box = { .name = "ops", .url = "imaps://h/INBOX", .user = "ops" };
static const struct conf_mailbox other = { .name = "ops", .url = "imaps://h/INBOX", .user = "dev" };

#define HEAD "mailhook-mailbox 1\nimaps://h/INBOX ops\n"

struct import {
	const char *name, *file; /* file: NULL: none is there */
	bool own;
	const char *text;
	uint32_t uidvalidity, uid; /* of what is read then */
};

static const struct import imports[] = {
	{ "nobody has written anything", NULL, false, "", 0, 0 },
	{ "the first of this node", NULL, false, HEAD "uidvalidity 7\nuid 5\nfile 3 done\nend\n", 7, 5 },
	{ "another's, which goes on", HEAD "uidvalidity 7\nuid 5\nend\n", false, HEAD "uidvalidity 7\nuid 9\nend\n", 7,
	    9 },
	{ "another's, of a folder that was made anew", HEAD "uidvalidity 7\nuid 5\nend\n", false,
	    HEAD "uidvalidity 8\nuid 2\nend\n", 8, 2 },
	{ "its own, where its file is later", HEAD "uidvalidity 7\nuid 9\nend\n", true,
	    HEAD "uidvalidity 7\nuid 5\nend\n", 7, 9 },
	{ "its own, where its file is gone", NULL, true, HEAD "uidvalidity 7\nuid 5\nend\n", 7, 5 },
	{ "its own, where its file is broken", HEAD "uidvalidity 7\n", true, HEAD "uidvalidity 7\nuid 5\nend\n", 7, 5 },
	{ "of another user", HEAD "uidvalidity 7\nuid 5\nend\n", false,
	    "mailhook-mailbox 1\nimaps://h/INBOX dev\nuidvalidity 7\nuid 9\nend\n", 7, 5 },
	{ "of another server", NULL, false, "mailhook-mailbox 1\nimaps://g/INBOX ops\nuidvalidity 7\nuid 9\nend\n", 0,
	    0 },
	{ "cut", HEAD "uidvalidity 7\nuid 5\nend\n", false, HEAD "uidvalidity 7\nuid 9\n", 7, 5 },
	{ "with more behind its end", HEAD "uidvalidity 7\nuid 5\nend\n", false,
	    HEAD "uidvalidity 7\nuid 9\nend\nuid 4\n", 7, 5 },
	{ "garbage", HEAD "uidvalidity 7\nuid 5\nend\n", false, "\x01\n\n\"", 7, 5 },
};

static void
imported(void **state)
{
	char dir[] = "/tmp/mailhook-position-XXXXXX", path[200];
	struct mh_err err = { 0 };
	struct buf text;

	(void)state;
	assert_non_null(mkdtemp(dir));
	(void)snprintf(path, sizeof(path), "%s/mailboxes", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(path, sizeof(path), "%s/mailboxes/ops", dir);
	buf_init(&text, MH_IMAP_POSITION_BYTES);
	assert_int_equal(position_export(dir, "ops", &text, &err), MH_SKIP);
	for (size_t i = 0; i < sizeof(imports) / sizeof(imports[0]); i++) {
		const struct import *x = &imports[i];
		struct position p = { 0 };

		(void)unlink(path);
		FILE *f = x->file == NULL ? NULL : fopen(path, "w");
		assert_true(x->file == NULL || (f != NULL && fputs(x->file, f) >= 0 && fclose(f) == 0));
		if (position_import(dir, &box, x->own, span_of(x->text), &err) != MH_OK)
			fail_msg("%s: %s", x->name, err.text);
		assert_int_equal(position_load(dir, &box, &p, &err), MH_OK);
		if (p.uidvalidity != x->uidvalidity || p.uid != x->uid)
			fail_msg("%s: %u of %u, not %u of %u", x->name, p.uid, p.uidvalidity, x->uid, x->uidvalidity);
		position_release(&p);
	}
	assert_int_equal(position_export(dir, "ops", &text, &err), MH_OK);
	assert_string_equal(text.p, HEAD "uidvalidity 7\nuid 5\nend\n");
	FILE *f = fopen(path, "a");
	assert_non_null(f);
	for (int i = 0; i < 70000; i++)
		assert_true(fputs("file 1 done\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(position_export(dir, "ops", &text, &err), MH_LIMIT);
	buf_release(&text);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/mailboxes", dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void
positions(void **state)
{
	char dir[] = "/tmp/mailhook-position-XXXXXX", path[200];
	struct position p = { 0 }, q = { 0 };
	struct mh_err err = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(position_load(dir, &box, &p, &err), MH_OK);
	assert_int_equal(p.uidvalidity, 0);
	position_reset(&p, 7, 1790000000);
	p.uid = 4294967295u;
	assert_true(position_file(&p, 3, FILING_DONE) && position_file(&p, 9, FILING_IRRELEVANT));
	assert_true(position_file(&p, 3, FILING_REVIEW)); /* not twice */
	p.filing[1].copied = true;
	assert_true(position_again(&p, 5, 1000) && position_again(&p, 6, 1000) && position_again(&p, 5, 2000));
	assert_int_equal(position_save(&p, &box, &err), MH_OK);

	assert_int_equal(position_load(dir, &box, &q, &err), MH_OK);
	assert_int_equal(q.uidvalidity, 7);
	assert_int_equal(q.uid, 4294967295u);
	assert_int_equal(q.since, 1790000000);
	assert_int_equal(q.n_filing, 2);
	assert_int_equal(q.filing[0].as, FILING_REVIEW);
	assert_true(q.filing[1].copied && !q.filing[0].copied);
	assert_int_equal(q.n_again, 2);
	assert_int_equal(q.again[0].tries, 2);
	assert_int_equal(q.again[0].due, 2060);
	assert_true(position_waits(&q, 5, 2059) && !position_waits(&q, 5, 2060) && !position_waits(&q, 7, 0));
	position_forget(&q, 5);
	assert_int_equal(q.n_again, 1);
	assert_int_equal(q.again[0].uid, 6);

	assert_int_equal(position_load(dir, &other, &q, &err), MH_OK); /* another mailbox under the same title */
	assert_int_equal(q.uidvalidity, 0);

	/* every beginning of the file is as none; only its last line feed is missed by nobody */
	(void)snprintf(path, sizeof(path), "%s/mailboxes/ops", dir);
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	for (off_t n = st.st_size - 2; n >= 0; n--) {
		assert_int_equal(truncate(path, n), 0);
		assert_int_equal(position_load(dir, &box, &q, &err), MH_OK);
		if (q.uidvalidity != 0 || q.uid != 0 || q.n_filing != 0 || q.n_again != 0)
			fail_msg("%lld bytes of the position are believed", (long long)n);
	}
	position_release(&p);
	position_release(&q);
	assert_int_equal(unlink(path), 0);
	(void)snprintf(path, sizeof(path), "%s/mailboxes", dir);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rmdir(dir), 0);
}

static void
limits(void **state)
{
	struct position p = { 0 };

	(void)state;
	for (uint32_t i = 1; i <= MH_IMAP_FILING; i++)
		if (!position_file(&p, i, FILING_DONE))
			fail_msg("no room for message %u", i);
	assert_false(position_file(&p, MH_IMAP_FILING + 1, FILING_DONE));
	assert_true(position_file(&p, 1, FILING_REVIEW));
	for (uint32_t i = 1; i <= MH_IMAP_AGAIN; i++)
		assert_true(position_again(&p, i, 0));
	assert_false(position_again(&p, MH_IMAP_AGAIN + 1, 0));
	assert_true(position_again(&p, 1, 0));
	for (int i = 0; i < 100; i++)
		assert_true(position_again(&p, 2, 0));
	assert_int_equal(p.again[1].due, 3600);
	position_release(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(screens),
		cmocka_unit_test(counts_an_answer),
		cmocka_unit_test(bounds_a_line),
		cmocka_unit_test(knows_what_came_behind),
		cmocka_unit_test(addresses),
		cmocka_unit_test(folders),
		cmocka_unit_test(quoted),
		cmocka_unit_test(sets),
		cmocka_unit_test(positions),
		cmocka_unit_test(imported),
		cmocka_unit_test(limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
