/* parsers_explain_test.c: what is told of the way to a verdict, and that what is said to stand somewhere stands there. */
#include <dirent.h>
#include <stdio.h>

#include "mailhook/json.h"
#include "mailhook/mail/charset.h"
#include "mailhook/mail/mail.h"
#include "parsers/carriage.h"
#include "parsers/parser.h"
#include "tests/exact.h"

#define HEAD                                                                                                           \
	"From: no-reply-aws@amazon.com\nDate: Thu, 6 Nov 2025 02:11:12 +0000\n"                                        \
	"Subject: SCIM [AWS Account: 123456789012] [EU-WEST-1]\n"
#define PATTERN_1                                                                                                      \
	"pattern|aws-scim-token|true|SCIM access token used to automatically provision users expires in 89 days on |-"
#define SENTENCE "The SCIM access token used to automatically provision users expires "

static void
collect(void *user, struct mh_span line)
{
	struct buf *b = user;

	buf_put(b, line);
	buf_putc(b, '\n');
}

/* What is told of a mail. */
static void
listen(struct definitions *d, struct mh_span raw, struct buf *said, struct reading *ret, struct arena *a)
{
	const struct explain_sink sink = { collect, said };
	struct charset_set *charsets = charset_set_new();

	assert_non_null(charsets);
	charset_set_open(charsets, raw);
	definitions_explain(d, &sink);
	read_message(&definition_parser, d, charsets, raw, a, ret);
	definitions_explain(d, NULL);
	charset_set_free(charsets);
	assert_true(buf_ok(said));
}

/* -- a mail and the lines that must be told ----------------------------------------------------------------------- */

struct want { /* of one decision, as "decision|parser|counts|text|words"; "*" for anything, and at the end of words */
	const char *name, *mail;
	const char *lines[6];
};

static const struct want wants[] = {
	{ "nothing of ours", "From: ann@example.com\n\nHello.\n",
	    { "part|-|-|-|part 1: text/plain, 7 bytes of text, not encoded in bytes 23 to 30 of the message",
		"claim|aws-scim-token|false|-|no word of it is in the mail", "verdict|-|-|irrelevant|" } },
	{ "a notice", HEAD "\n" SENTENCE "in 89 days on Tue Feb 03 04:05:06 UTC 2026.\n",
	    { "claim|aws-scim-token|true|SCIM access token used to automatically provision|by its literal", PATTERN_1,
		"date|aws-scim-token|true|Tue Feb 03 04:05:06 UTC 2026|the definition's own sentence states it",
		"fact|aws-scim-token|true|123456789012|the account, from the subject",
		"fact|aws-scim-token|true|eu-west-1|the region, from the subject", "verdict|-|-|notice|" } },
	{ "the Date field", HEAD "\n" SENTENCE "on Feb 3, 2026.\n",
	    { "date|-|false|Thu, 6 Nov 2025 02:11:12 +0000|the Date field: *" } },
	{ "a banner", HEAD "\n[Starting September 15, 2025, mails are new.]\n\n" SENTENCE "on Feb 3, 2026.\n",
	    { "date|-|false|September 15, 2025|a banner's, in brackets",
		"date|aws-scim-token|true|Feb 3, 2026|the definition's own sentence states it" } },
	{ "deadlines", HEAD "\nAct by January 5, 2026. Act before 2026-01-06. " SENTENCE "on Feb 3, 2026.\n",
	    { "date|-|false|January 5, 2026|a deadline (\"by\")*",
		"date|-|false|2026-01-06|a deadline (\"before\")*" } },
	{ "the same again", HEAD "\n" SENTENCE "on Feb 3, 2026. Act before Feb 3, 2026.\n",
	    { "date|-|false|Feb 3, 2026|says again what counts already" } },
	{ "a second date", HEAD "\n" SENTENCE "on Feb 3, 2026. On Feb 3, 2027 prices change.\n",
	    { "date|-|false|Feb 3, 2027|no pattern reads it" } },
	{ "copyright", HEAD "\n" SENTENCE "on Feb 3, 2026.\n\xC2\xA9 2025, Amazon Web Services\n",
	    { "date|-|false|\xC2\xA9 2025|a copyright's year, and no date" } },
	{ "a link", HEAD "\n" SENTENCE "on Feb 3, 2026. https://example.com/2025-01-01/x\n",
	    { "date|-|false|2025-01-01|a part of a link" } },
	{ "metadata",
	    HEAD
	    "Content-Type: text/html\n\n" SENTENCE "on Feb 3, 2026.<p>Message metadata<p>Affected account"
	    "<p>123456789012<p>End time<p>Fri, 14 Nov 2025 05:00:00 GMT<p>Start time<p>Thu, 6 Nov 2025 02:00:00 GMT",
	    { "date|-|false|Fri, 14 Nov 2025 05:00:00 GMT|the event's end time, which is not the expiry",
		"date|-|false|Thu, 6 Nov 2025 02:00:00 GMT|the event's start time",
		"fact|aws-scim-token|true|123456789012|the account, from the metadata" } },
	{ "a forward's header",
	    HEAD "\nFrom: AWS <health@aws.com>\nDate: Wed, 5 Nov 2025 01:00:00 +0000\nSubject: s\n\n" SENTENCE
		 "on Feb 3, 2026.\n",
	    { "date|-|false|Wed, 5 Nov 2025 01:00:00 +0000|the forward's date line: *",
		"claim|aws-scim-token|false|-|a word of it is in the mail, but not in this text" } },
	{ "a forward's header in French",
	    HEAD "\nDe : AWS <health@aws.com>\nEnvoy\xC3\xA9 : mercredi 5 novembre 2025 03:11\nObjet : s\n\n" SENTENCE
		 "on Feb 3, 2026.\n",
	    { "date|-|false|-|the forward's date line: *" } },
	{ "the line above a quotation",
	    HEAD "\n> " SENTENCE "on Feb 3, 2026.\n\nOn Nov 7, 2025 at 10:00 AM PST Ann <ann@example.com> wrote:\n",
	    { "date|-|false|Nov 7, 2025 at 10:00 AM PST|when a quoted message was written" } },
	{ "a quotation's line without a zone",
	    HEAD "\n" SENTENCE "on Feb 3, 2026.\n\nOn Mon, Nov 10, 2025 at 9:31 AM Bob <b@example.com> wrote:\n",
	    { "date|-|false|Mon, Nov 10, 2025 at 9:31|when a quoted message was written" } },
	{ "derived", HEAD "\n" SENTENCE "in 89 days.\n",
	    { "date|aws-scim-token|true|89|no date stands there: these days, counted from the mail's Date",
		"pattern|aws-scim-token|false|-|its fixed text is not there" } },
	{ "ambiguous", HEAD "\n" SENTENCE "on 09/07/2026.\n",
	    { "date|aws-scim-token|false|09/07/2026.|ambiguous date 09/07/2026",
		"miss|aws-scim-token|false|-|ambiguous date 09/07/2026",
		"verdict|-|-|unrecognised|ambiguous date 09/07/2026" } },
	{ "days that differ", HEAD "\n" SENTENCE "in 9 days on Feb 3, 2026.\n",
	    { "date|aws-scim-token|false|Feb 3, 2026|stated days differ: *" } },
	{ "an event",
	    HEAD "\n{\"source\":\"aws.health\",\"time\":\"2025-11-06T02:10:00Z\",\"detail\":{\"eventTypeCode\":"
		 "\"AWS_IAMIDENTITYCENTER_SCIM_BEARER_TOKEN_EXPIRY_NOTIFICATION\",\"affectedAccount\":\"123456789012\","
		 "\"endTime\":\"Fri, 14 Nov 2025 05:00:00 GMT\",\"eventDescription\":[{\"language\":\"en_US\","
		 "\"latestDescription\":\"" SENTENCE "on Feb 3, 2026.\"}]}}\n",
	    { "date|-|false|Fri, 14 Nov 2025 05:00:00 GMT|the event's end time, which is not the expiry",
		"date|-|false|2025-11-06T02:10:00Z|when the event was sent",
		"date|aws-scim-token|true|Feb 3, 2026|the definition's own sentence states it",
		"fact|aws-scim-token|true|123456789012|the account, from the event" } },
	{ "settled",
	    "From: health@aws.com\nSubject: Your certificate is renewed: SSL/TLS Certificate\n\n"
	    "AWS_ACM_RENEWAL_STATE_CHANGE\n",
	    { "claim|aws-acm|false|certificate is renewed|by its ignore phrase: the matter is settled" } },
	{ "a base64 part", HEAD "Content-Transfer-Encoding: base64\n\nSGVsbG8uCg==\n",
	    { "part|-|-|-|part 1: text/plain, 7 bytes of text, as base64 in bytes * of the message" } },
};

/* Whether the decision is the wanted one. A "*" in words stands for anything. */
static bool
fits(const cJSON *j, const char *want)
{
	char got[1200];
	bool counts = false;
	const char *parser = json_string(j, "parser"), *text = json_string(j, "text"), *words = json_string(j, "words");

	(void)snprintf(got, sizeof(got), "%s|%s|%s|%s|%s", json_string(j, "decision"), parser == NULL ? "-" : parser,
	    json_bool(j, "counts", &counts) ? counts ? "true" : "false" : "-",
	    text == NULL || text[0] == '\0' ? "-" : text, words == NULL ? "-" : words);
	const char *star = strchr(want, '*');
	if (star == NULL)
		return strcmp(got, want) == 0;
	return strncmp(got, want, (size_t)(star - want)) == 0 && span_iends(span_of(got), span_of(star + 1));
}

static void
test_lines(void **state)
{
	struct definitions *d = definitions_new();

	(void)state;
	assert_non_null(d);
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
		const struct want *w = &wants[i];
		char *raw = exact_copy(span_of(w->mail));
		struct reading r;
		struct arena a;
		struct buf said;

		arena_init(&a, MH_MAX_ARENA_BYTES);
		buf_init(&said, 1 << 20);
		listen(d, (struct mh_span){ raw, strlen(w->mail) }, &said, &r, &a);
		for (size_t k = 0; k < 6 && w->lines[k] != NULL; k++) {
			struct mh_span rest = buf_span(&said), line;
			bool found = false;

			while (!found && span_line(&rest, &line)) {
				cJSON *j = json_parse(line, NULL);
				assert_non_null(j);
				found = fits(j, w->lines[k]);
				cJSON_Delete(j);
			}
			if (!found)
				fail_msg("%s: \"%s\" is not told in:\n%s", w->name, w->lines[k], said.p);
		}
		buf_release(&said);
		arena_release(&a);
		free(raw);
	}
	definitions_free(d);
}

/* -- what stands where -------------------------------------------------------------------------------------------- */

/* Compares what a decision says of a part's bytes with these bytes. Returns whether it said something. */
static bool
check_place(const char *name, const cJSON *j, const struct mail *m, struct arena *a)
{
	int64_t part, at, bytes;
	struct mh_span flat;

	if (!json_integer(j, "at", 0, 1 << 30, &at))
		return false;
	assert_true(json_integer(j, "part", 1, (int64_t)m->n_parts, &part));
	assert_true(json_integer(j, "bytes", 1, 1 << 30, &bytes));
	const char *place = json_string(j, "place"), *text = json_string(j, "text");
	assert_non_null(text);
	if (strcmp(place, "event") == 0)
		return false; /* counted in the event's own text */

	const struct mh_span whole = m->parts[part - 1].text;
	if ((uint64_t)at + (uint64_t)bytes > whole.n)
		fail_msg(
		    "%s: bytes %lld to %lld of a text of %zu", name, (long long)at, (long long)(at + bytes), whole.n);
	assert_int_equal(
	    carriage_flatten(span_head(span_from(whole, (size_t)at), (size_t)bytes), a, &flat, NULL), MH_OK);
	const struct mh_span said = span_trim(span_of(text)); /* cut at its maximum, maybe */
	if (!span_starts(flat, said))
		fail_msg(
		    "%s: at %lld stands \"%.*s\", and \"%s\" is told", name, (long long)at, (int)flat.n, flat.p, text);
	return true;
}

static int
is_sample(const struct dirent *e)
{
	return span_iends(span_of(e->d_name), MH_LIT(".eml"));
}

/* Every place that is told of any sample holds what is told. */
static void
test_places(void **state)
{
	static const char *const folders[] = { "notices/scim", "notices/kinds", "other" };
	struct definitions *d = definitions_new();
	size_t places = 0, mails = 0;

	(void)state;
	assert_non_null(d);
	for (size_t f = 0; f < sizeof(folders) / sizeof(folders[0]); f++) {
		struct dirent **names = NULL;
		char path[4096];

		(void)snprintf(path, sizeof(path), "%s/samples/%s", SOURCE_DIR, folders[f]);
		const int n = scandir(path, &names, is_sample, alphasort);
		assert_true(n > 0);
		for (int i = 0; i < n; i++) {
			struct mail m;
			struct reading r;
			struct arena a;
			struct buf said;
			char *text = malloc(1 << 20);

			(void)snprintf(
			    path, sizeof(path), "%s/samples/%s/%s", SOURCE_DIR, folders[f], names[i]->d_name);
			FILE *file = fopen(path, "rb");
			assert_non_null(file);
			assert_non_null(text);
			const struct mh_span raw = { text, fread(text, 1, 1 << 20, file) };
			(void)fclose(file);

			arena_init(&a, MH_MAX_ARENA_BYTES);
			buf_init(&said, 1 << 20);
			listen(d, raw, &said, &r, &a);
			struct charset_set *charsets = charset_set_new();
			charset_set_open(charsets, raw);
			assert_int_equal(mail_read(raw, charsets, &a, &m, NULL), MH_OK);
			struct mh_span rest = buf_span(&said), line;
			while (span_line(&rest, &line)) {
				cJSON *j = json_parse(line, NULL);
				assert_non_null(j);
				places += check_place(names[i]->d_name, j, &m, &a);
				cJSON_Delete(j);
			}
			charset_set_free(charsets);
			buf_release(&said);
			arena_release(&a);
			free(text);
			free(names[i]);
			mails++;
		}
		free(names);
	}
	if (places < 3 * mails)
		fail_msg("only %zu places in %zu mails", places, mails);
	definitions_free(d);
}

/* Nobody listens: nothing is said, and the verdict is the same. */
static void
test_silence(void **state)
{
	struct definitions *d = definitions_new();
	const struct mh_span raw = MH_LIT(HEAD "\n" SENTENCE "on Feb 3, 2026.\n");
	struct reading r;
	struct arena a;
	struct buf said;

	(void)state;
	buf_init(&said, 1 << 16);
	arena_init(&a, MH_MAX_ARENA_BYTES);
	listen(d, raw, &said, &r, &a);
	assert_int_equal(r.verdict, MH_NOTICE);
	assert_true(said.n > 0);
	buf_clear(&said);
	read_message(&definition_parser, d, NULL, raw, &a, &r);
	assert_int_equal(r.verdict, MH_NOTICE);
	assert_int_equal(said.n, 0);
	buf_release(&said);
	arena_release(&a);
	definitions_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_silence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
