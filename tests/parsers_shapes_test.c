/* parsers_shapes_test.c: one notice in every forward that mail programs make, in their charsets. */
#include <iconv.h>
#include <stdio.h>

#include "tests/shapes.h"

/* -- forwards by program and language ----------------------------------------------------------------------------- */

struct forward {
	const char *program, *language;
	const char *head;  /* what stands above the text */
	const char *quote; /* in front of head and text, line by line */
};

static const struct forward forwards[] = {
	{ "Gmail", "en",
	    "---------- Forwarded message ---------\nFrom: " FROM "\nDate: Thu, Nov 6, 2025 at 3:11\xE2\x80\xAF"
	    "AM\nSubject: " SUBJECT "\nTo: <root@example.com>\n\n\n",
	    "" },
	{ "Gmail", "de",
	    "---------- Forwarded message ---------\nVon: " FROM
	    "\nDate: Do., 6. Nov. 2025 um 03:11 Uhr\nSubject: " SUBJECT "\nTo: <root@example.com>\n\n\n",
	    "" },
	{ "Gmail", "fr",
	    "---------- Forwarded message ---------\nDe : " FROM "\nDate: jeu. 6 nov. 2025 à 03:11\nSubject: " SUBJECT
	    "\nTo: <root@example.com>\n\n\n",
	    "" },
	{ "Gmail", "ja",
	    "---------- Forwarded message ---------\nFrom: " FROM "\nDate: 2025年11月6日(木) 3:11\nSubject: " SUBJECT
	    "\nTo: <root@example.com>\n\n\n",
	    "" },
	{ "Outlook", "en",
	    "From: " FROM " \nSent: Thursday, November 6, 2025 3:11 AM\nTo: root@example.com\nSubject: " SUBJECT "\n\n",
	    "" },
	{ "Outlook of old", "en",
	    "-----Original Message-----\nFrom: Amazon Web Services [mailto:no-reply-aws@amazon.com] \nSent: 06 "
	    "November "
	    "2025 03:11\nTo: root@example.com\nSubject: " SUBJECT "\n\n",
	    "" },
	{ "Outlook", "de",
	    "Von: " FROM " \nGesendet: Donnerstag, 6. November 2025 03:11\nAn: root@example.com\nBetreff: " SUBJECT
	    "\n\n",
	    "" },
	{ "Outlook of old", "de",
	    "-----Ursprüngliche Nachricht-----\nVon: " FROM " \nGesendet: Donnerstag, 6. November 2025 03:11\nAn: "
	    "root@example.com\nBetreff: " SUBJECT "\n\n",
	    "" },
	{ "Outlook", "fr",
	    "De : " FROM " \nEnvoyé : jeudi 6 novembre 2025 03:11\nÀ : root@example.com\nObjet : " SUBJECT "\n\n", "" },
	{ "Outlook", "fr, with U+00A0",
	    "De" NB ": " FROM "\nEnvoyé" NB ": jeudi 6 novembre 2025 03:11\nÀ" NB ": root@example.com\nObjet" NB
	    ": " SUBJECT "\n\n",
	    "" },
	{ "Outlook", "ja",
	    "差出人: " FROM " \n送信日時: 2025年11月6日木曜日 3:11\n宛先: root@example.com\n件名: " SUBJECT "\n\n",
	    "" },
	{ "Outlook on the web", "en",
	    "________________________________\nFrom: " FROM "\nSent: Thursday, November 6, 2025 03:11\nTo: "
	    "root@example.com <root@example.com>\nSubject: " SUBJECT "\n\n",
	    "" },
	{ "Outlook on the web", "en, bold",
	    "________________________________\n*From:* " FROM "\n*Sent:* Thursday, November 6, 2025 03:11\n*To:* "
	    "root@example.com<mailto:root@example.com>\n*Subject:* " SUBJECT "\n\n",
	    "" },
	{ "Outlook on the web", "de",
	    "________________________________\nVon: " FROM "\nGesendet: Donnerstag, 6. November 2025 03:11\nAn: "
	    "root@example.com\nBetreff: " SUBJECT "\n\n",
	    "" },
	{ "Outlook on the web", "fr",
	    "________________________________\nDe : " FROM "\nEnvoyé : jeudi 6 novembre 2025 03:11\nÀ : "
	    "root@example.com\nObjet : " SUBJECT "\n\n",
	    "" },
	{ "Outlook on the web", "ja",
	    "________________________________\n差出人: " FROM
	    "\n送信日時: 2025年11月6日 3:11\n宛先: root@example.com\n件名: " SUBJECT "\n\n",
	    "" },
	{ "new Outlook", "en",
	    "\nFrom: " FROM "\nDate: Thursday, 6 November 2025 at 03:11\nTo: root@example.com\nSubject: " SUBJECT "\n",
	    "" },
	{ "new Outlook", "de",
	    "\nVon: " FROM "\nDatum: Donnerstag, 6. November 2025 um 03:11\nAn: root@example.com\nBetreff: " SUBJECT
	    "\n",
	    "" },
	{ "new Outlook", "fr",
	    "\nDe : " FROM "\nDate : jeudi, 6 novembre 2025 à 03:11\nÀ : root@example.com\nObjet : " SUBJECT "\n", "" },
	{ "new Outlook", "ja",
	    "\n差出人: " FROM "\n日付: 2025年11月6日 木曜日 3:11\n宛先: root@example.com\n件名: " SUBJECT "\n", "" },
	{ "Apple Mail", "en",
	    "\nBegin forwarded message:\n\nFrom: " FROM "\nSubject: " SUBJECT
	    "\nDate: November 6, 2025 at 3:11:12 AM GMT+1\nTo: root@example.com\n\n",
	    "> " },
	{ "Apple Mail", "de",
	    "\nAnfang der weitergeleiteten Nachricht:\n\nVon: " FROM "\nBetreff: " SUBJECT
	    "\nDatum: 6. November 2025 um 03:11:12 MEZ\nAn: root@example.com\n\n",
	    "> " },
	{ "Apple Mail", "fr",
	    "\nDébut du message réexpédié :\n\nDe: " FROM "\nObjet: " SUBJECT
	    "\nDate: 6 novembre 2025 à 03:11:12 UTC+1\nÀ: root@example.com\n\n",
	    "> " },
	{ "Apple Mail", "ja",
	    "\n転送されたメッセージ：\n\n差出人: " FROM "\n件名: " SUBJECT
	    "\n日付: 2025年11月6日 3:11:12 JST\n宛先: root@example.com\n\n",
	    "> " },
	{ "Thunderbird", "en",
	    "\n-------- Forwarded Message --------\nSubject: \t" SUBJECT
	    "\nDate: \tThu, 6 Nov 2025 02:11:12 +0000\nFrom: \t" FROM "\nTo: \troot@example.com\n\n\n\n",
	    "" },
	{ "Thunderbird", "de",
	    "\n-------- Weitergeleitete Nachricht --------\nBetreff: \t" SUBJECT
	    "\nDatum: \tThu, 6 Nov 2025 02:11:12 +0000\nVon: \t" FROM "\nAn: \troot@example.com\n\n\n\n",
	    "" },
	{ "Thunderbird", "fr",
	    "\n-------- Message transféré --------\nSujet : \t" SUBJECT
	    "\nDate : \tThu, 6 Nov 2025 02:11:12 +0000\nDe : \t" FROM "\nPour : \troot@example.com\n\n\n\n",
	    "" },
	{ "Thunderbird", "ja",
	    "\n-------- 転送メッセージ --------\n件名: \t" SUBJECT
	    "\n日付: \tThu, 6 Nov 2025 02:11:12 +0000\n差出人: \t" FROM "\n宛先: \troot@example.com\n\n\n\n",
	    "" },
	{ "Yahoo", "en",
	    "   ----- Forwarded Message ----- From: " FROM
	    "To: root@example.com <root@example.com>Sent: Thursday, November "
	    "6, 2025 at 03:11:12 AM GMT+1Subject: " SUBJECT "\n\n",
	    "" },
	{ "Yahoo", "de",
	    "   ----- Weitergeleitete Nachricht ----- Von: " FROM "An: root@example.com <root@example.com>Gesendet: "
	    "Donnerstag, 6. November 2025 um 03:11:12 MEZBetreff: " SUBJECT "\n\n",
	    "" },
	{ "Yahoo", "fr",
	    "   ----- Mail transféré ----- De : " FROM
	    "À : root@example.com <root@example.com>Envoyé : jeudi 6 novembre "
	    "2025 à 03:11:12 UTC+1Objet : " SUBJECT "\n\n",
	    "" },
	{ "Yahoo", "ja",
	    "   ----- 転送されたメッセージ ----- 差出人: " FROM
	    "宛先: root@example.com <root@example.com>送信日時: 2025年11月6日 "
	    "3:11:12 JST件名: " SUBJECT "\n\n",
	    "" },
	{ "Android", "en",
	    "Sent from Android device \n---------- Forwarded message ---------- \nFrom: " FROM
	    " \nDate: Nov 6, 2025 3:11 AM \nSubject: " SUBJECT " \nTo: root@example.com \n\n",
	    "" },
	{ "Android", "de",
	    "---------- Weitergeleitete Nachricht ---------- \nVon: " FROM
	    " \nDatum: 06.11.2025 03:11 \nBetreff: " SUBJECT " \nAn: root@example.com \n\n",
	    "" },
	{ "Android", "fr",
	    "---------- Message transféré ---------- \nDe : " FROM " \nDate : 6 nov. 2025 03:11 \nObjet : " SUBJECT
	    " \nÀ : root@example.com \n\n",
	    "" },
	{ "Android", "ja",
	    "---------- 転送メッセージ ---------- \n差出人: " FROM " \n日付: 2025/11/06 3:11 \n件名: " SUBJECT
	    " \n宛先: root@example.com \n\n",
	    "" },
	{ "MailMate", "en",
	    "\nForwarded message:\n\nFrom: " FROM "\nTo: root@example.com\nSubject: " SUBJECT
	    "\nDate: Thu, 6 Nov 2025 02:11:12 +0000\n\n",
	    "> " },
	{ "IONOS", "en",
	    "---------- Original Message ----------\n" NB "\nFrom: " FROM "\n" NB "\nTo: root@example.com\n" NB
	    "\nDate: 11/06/2025 3:11 AM\n" NB "\nSubject: " SUBJECT "\n" NB "\n",
	    "> " },
	{ "HubSpot", "ja",
	    "---------- メッセージを転送 ---------\n送信元：" FROM
	    "\n日付：2025年11月6日木曜日 03:11:12 -0400\n件名：" SUBJECT "\n宛先：root@example.com\n\n",
	    "" },
};

/* Puts a text line by line behind a quote mark; empty lines have the mark alone. */
static void
put_quoted(struct buf *b, const char *quote, struct mh_span text)
{
	struct mh_span line;

	while (span_line(&text, &line)) {
		buf_puts(b, quote);
		buf_put(b, line);
		buf_putc(b, '\n');
	}
}

static void
put_forward(struct buf *b, const struct forward *f, const char *text)
{
	put_quoted(b, f->quote, span_of(f->head));
	put_quoted(b, f->quote, span_of(text));
}

/* Each is read, and its own date line too: days that do not lead from there to the expiry are refused. */
static void
test_forwards(void **state)
{
	struct definitions *d = definitions_new();

	(void)state;
	for (size_t i = 0; i < sizeof(forwards) / sizeof(forwards[0]); i++) {
		const struct forward *f = &forwards[i];
		char name[100];
		struct buf b;

		(void)snprintf(name, sizeof(name), "%s (%s)", f->program, f->language);
		buf_init(&b, 1 << 16);
		buf_puts(&b, OUTER "Subject: Fwd: please look\n\nCan you do this?\n\n");
		put_forward(&b, f, TEXT("89"));
		expect_notice(d, name, buf_span(&b));
		buf_clear(&b);
		buf_puts(&b, OUTER "Subject: Fwd: please look\n\nCan you do this?\n\n");
		put_forward(&b, f, TEXT("14"));       /* right by the outer Date, wrong by the forward's own */
		if (strcmp(f->program, "IONOS") == 0) /* 11/06/2025 may be two days: nothing is checked */
			expect_notice(d, name, buf_span(&b));
		else
			expect_reason(d, name, buf_span(&b), "stated days differ");
		buf_release(&b);
	}
	definitions_free(d);
}

/* Each program's forward of each other's; and chains, quoted a mark deeper by each hand. */
static void
test_levels(void **state)
{
	static const char *const others[] = { "Mon, 10 Nov 2025", "Tue, 11 Nov 2025" };
	const size_t n = sizeof(forwards) / sizeof(forwards[0]);
	struct definitions *d = definitions_new();

	(void)state;
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < n; k += 5) {
			char name[200];
			struct buf b, inner;

			(void)snprintf(name, sizeof(name), "%s (%s) in %s (%s)", forwards[k].program,
			    forwards[k].language, forwards[i].program, forwards[i].language);
			buf_init(&inner, 1 << 16);
			buf_init(&b, 1 << 16);
			buf_puts(&inner, "FYI\n\n");
			put_forward(&inner, &forwards[k], TEXT("89"));
			buf_puts(&b, OUTER "Subject: Fwd: please look\n\n");
			buf_printf(&b, "%s\n\n", others[i % 2]);
			put_forward(&b, &forwards[i], inner.p);
			expect_notice(d, name, buf_span(&b));
			buf_release(&b);
			buf_release(&inner);
		}
	}

	for (int depth = 1; depth <= 12; depth++) {
		char name[40];
		struct buf b, inner;

		(void)snprintf(name, sizeof(name), "%d marks deep", depth);
		buf_init(&inner, 1 << 18);
		buf_init(&b, 1 << 18);
		put_forward(&inner, &forwards[4], TEXT("89"));
		for (int i = 0; i < depth; i++) {
			struct buf outer;

			buf_init(&outer, 1 << 18);
			buf_printf(&outer, "Person %d wrote:\n", i);
			put_quoted(&outer, i % 2 == 0 ? "> " : ">", buf_span(&inner));
			buf_release(&inner);
			inner = outer;
		}
		buf_puts(&b, OUTER "Subject: Re: please look\n\nYes.\n\n");
		buf_put(&b, buf_span(&inner));
		expect_notice(d, name, buf_span(&b));
		buf_release(&b);
		buf_release(&inner);
	}
	definitions_free(d);
}

/* -- charsets ----------------------------------------------------------------------------------------------------- */

/* The forwards of a language in the charsets that its mail programs write. */
static void
test_charsets(void **state)
{
	static const struct {
		const char *language, *charset;
	} rows[] = {
		{ "ja", "iso-2022-jp" },
		{ "ja", "shift_jis" },
		{ "ja", "euc-jp" },
		{ "ja", "gb18030" },
		{ "fr", "iso-8859-1" },
		{ "fr", "iso-8859-15" },
		{ "fr", "windows-1252" },
		{ "de", "iso-8859-1" },
		{ "de", "windows-1252" },
		{ "de", "utf-7" },
	};
	struct definitions *d = definitions_new();
	size_t mails = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (size_t k = 0; k < sizeof(forwards) / sizeof(forwards[0]); k++) {
			char name[100], text[8192], *from, *to = text;
			struct buf b, body;
			size_t left, room = sizeof(text);

			if (strcmp(forwards[k].language, rows[i].language) != 0)
				continue;
			(void)snprintf(name, sizeof(name), "%s in %s", forwards[k].program, rows[i].charset);
			buf_init(&body, 1 << 16);
			buf_init(&b, 1 << 16);
			put_forward(&body, &forwards[k], TEXT("89"));
			from = body.p;
			left = body.n;
			iconv_t converter = iconv_open(rows[i].charset, "utf-8");
			assert_true(converter != (iconv_t)-1);
			if (iconv(converter, &from, &left, &to, &room) == (size_t)-1 ||
			    iconv(converter, NULL, NULL, &to, &room) == (size_t)-1)
				fail_msg("%s: cannot be written so", name);
			(void)iconv_close(converter);
			buf_printf(&b,
			    "From: Ann <ann@example.com>\nDate: Mon, 19 Jan 2026 09:00:00 +0100\nSubject: Fwd: x\n"
			    "Content-Type: text/plain; charset=%s\n\n",
			    rows[i].charset);
			buf_put(&b, (struct mh_span){ text, sizeof(text) - room });
			expect_notice(d, name, buf_span(&b));
			mails++;
			buf_release(&b);
			buf_release(&body);
		}
	}
	assert_true(mails > 60);
	definitions_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forwards),
		cmocka_unit_test(test_levels),
		cmocka_unit_test(test_charsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
