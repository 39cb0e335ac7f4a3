/* parsers_kinds_test.c: what lists and gateways do to a notice, and every kind of AWS's in every generation. */
#include <stdio.h>

#include "tests/shapes.h"

/* -- what else happens to a mail on its way ----------------------------------------------------------------------- */

struct carried {
	const char *name, *header, *body;
};

#define AWS                                                                                                            \
	"From: " FROM "\nDate: Thu, 6 Nov 2025 02:11:12 +0000\nMIME-Version: 1.0\nContent-Type: text/plain; "          \
	"charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
#define CAUTION                                                                                                        \
	"CAUTION: This email originated from outside of the organization. Do not click links or open attachments "     \
	"unless you can confirm the sender and know the content is safe."

static const struct carried carried[] = {
	{ "as it is", AWS "Subject: " SUBJECT "\n", TEXT("89") },
	{ "a banner", AWS "Subject: [EXTERNAL] " SUBJECT "\n", CAUTION "\n\n" TEXT("89") },
	{ "a banner glued to the first line", AWS "Subject: [EXTERNAL]" SUBJECT "\n",
	    CAUTION
	    "The SCIM access token used to automatically provision users expires in 89 days on Tue Feb 03 04:05:06 UTC "
	    "2026." },
	{ "a banner glued to a forward's From", OUTER "Subject: Fw: x\n",
	    CAUTION "From: " FROM "\nSent: Thursday, November 6, 2025 3:11 AM\nTo: root@example.com\nSubject: " SUBJECT
		    "\n\n" TEXT("89") },
	{ "Mimecast's banner", AWS "Subject: [SUSPICIOUS MESSAGE] " SUBJECT "\n",
	    "*** This message originated OUTSIDE your organization. ***\n" TEXT("89") },
	{ "tags of two lists", AWS "Subject: [rCluster Request] [rCloud AWS Notification] " SUBJECT "\n", TEXT("89") },
	{ "a tag that is a number", AWS "Subject: [cloud-ops #170000000000001] " SUBJECT "\n", TEXT("89") },
	{ "RE without a blank", AWS "Subject: RE: [EXTERNAL]Re: " SUBJECT "\n", TEXT("89") },
	{ "a reminder", AWS "Subject: Reminder: " SUBJECT "\n", TEXT("89") },
	{ "AW and WG", AWS "Subject: AW: WG: " SUBJECT "\n", TEXT("89") },
	{ "lost newlines", AWS "Subject: " SUBJECT "\n",
	    "Hello,The SCIM access token used to automatically provision users and groups from your IdP to IAM "
	    "Identity Center "
	    "expires in 89 days on Tue Feb 03 04:05:06 UTC 2026.Please act before January 20, 2026.What to do:1. Open "
	    "it." },
	{ "U+00A0 between all words", AWS "Subject: " SUBJECT "\n",
	    "The" NB "SCIM" NB "access" NB "token" NB "used" NB "to" NB "automatically" NB "provision" NB "users" NB
	    "expires" NB "in" NB "89" NB "days" NB "on" NB "Tue" NB "Feb" NB "03" NB "04:05:06" NB "UTC" NB "2026." },
	{ "soft hyphens and zero width", AWS "Subject: " SUBJECT "\n",
	    "The SCIM access to\xC2\xADken used to auto\xC2\xADmatically pro\xE2\x80\x8Bvision users "
	    "exp\xEF\xBB\xBFires in 89 "
	    "days on Tue Feb 0\xE2\x81\xA0"
	    "3 04:05:06 UTC 2026." },
	{ "in blanks and tabs", AWS "Subject: " SUBJECT "\n",
	    "The  SCIM\taccess   token used\n\tto automatically provision users\r\n  expires in\n89\ndays on Tue\nFeb "
	    "03 "
	    "04:05:06\nUTC 2026." },
	{ "links behind words", AWS "Subject: " SUBJECT "\n",
	    "The SCIM access token used to automatically provision users<https://example.com/a> expires in 89 days on "
	    "Tue Feb 03 "
	    "04:05:06 UTC 2026<https://example.com/123456789012>." },
	{ "markdown", AWS "Subject: " SUBJECT "\n",
	    "**Hello**,\n\nThe SCIM access token used to automatically provision users expires in 89 days on **Tue Feb "
	    "03 "
	    "04:05:06 UTC 2026**.[unreachable.To](http://unreachable.To)\n" },
	{ "bold as stars", AWS "Subject: " SUBJECT "\n",
	    "The SCIM access token used to automatically provision users *expires in 89 days on *Tue Feb 03 04:05:06 "
	    "UTC "
	    "2026*.*\n" },
	{ "Google Groups",
	    "From: \"'Amazon Web Services' via Notices\" <list@example.com>\nReply-To: " FROM
	    "\nX-Original-Sender: no-reply-aws@amazon.com\nList-ID: <list.example.com>\nPrecedence: list\n"
	    "Date: Thu, 6 Nov 2025 02:11:12 +0000\nSubject: [notices] " SUBJECT "\n",
	    TEXT("89") "\n-- \nYou received this message because you are subscribed to the group \"Notices\". "
		       "210987654321\n" },
	{ "HTML of a forward", OUTER "Subject: Fw: x\nContent-Type: text/html; charset=utf-8\n",
	    "<html><body><div>See<hr><div><b>From:</b> Amazon Web Services "
	    "&lt;no-reply-aws@amazon.com&gt;<br><b>Sent:</b> "
	    "Thursday, November 6, 2025 3:11 AM<br><b>To:</b> root@example.com<br><b>Subject:</b> " SUBJECT
	    "</div><div>&nbsp;</div><p>The SCIM access token used to <b>automatically</b>&nbsp;provision users expires "
	    "in 89 "
	    "days on Tue Feb 03 04:05:06 UTC 2026.</p></div></body></html>" },
};

static void
test_carried(void **state)
{
	struct definitions *d = definitions_new();

	(void)state;
	for (size_t i = 0; i < sizeof(carried) / sizeof(carried[0]); i++) {
		const struct carried *c = &carried[i];
		struct mh_span header = span_of(c->header), line;
		struct buf b;

		buf_init(&b, 1 << 16);
		/* Of two Content-Type fields the first counts: a row's own stands last. */
		const bool own_type = strstr(c->header, "text/html") != NULL;
		while (span_line(&header, &line))
			if (!own_type || !span_starts(line, MH_LIT("Content-Type: text/plain"))) {
				buf_put(&b, line);
				buf_putc(&b, '\n');
			}
		buf_putc(&b, '\n');
		buf_puts(&b, c->body);
		expect_notice(d, c->name, buf_span(&b));
		buf_release(&b);
	}
	definitions_free(d);
}

/* -- what is no account ------------------------------------------------------------------------------------------- */

#define SCIM_TEXT                                                                                                      \
	"The SCIM access token used to automatically provision users expires on Tue Feb 03 04:05:06 UTC 2026.\n"

static void
test_no_accounts(void **state)
{
	static const struct {
		const char *name, *subject, *text;
	} rows[] = {
		{ "nothing", "SCIM Access Token Approaching Expiration", "" },
		{ "a case number", "RE:[CASE 170000000000001] SCIM Access Token Approaching Expiration", "" },
		{ "13 digits", "SCIM Access Token Approaching Expiration [AWS Account: 1234567890123]", "" },
		{ "11 digits", "SCIM Access Token Approaching Expiration [AWS Account: 12345678901]", "" },
		{ "digits in no bracket", "SCIM Access Token Approaching Expiration 123456789012", "" },
		{ "an ARN with an empty account", "SCIM Access Token Approaching Expiration",
		    "arn:aws:health:eu-west-1::event/IAMIDENTITYCENTER/AWS_X/AWS_X_123456789012\n" },
		{ "a topic's account", "SCIM Access Token Approaching Expiration",
		    "--\nIf you wish to stop receiving notifications from this topic, please click or visit the link "
		    "below to "
		    "unsubscribe:\nhttps://sns.eu-west-1.amazonaws.com/"
		    "unsubscribe.html?SubscriptionArn=arn:aws:sns:eu-west-1:"
		    "123456789012:topic:fb81dd33&Endpoint=x\n" },
		{ "a phone number", "SCIM Access Token Approaching Expiration",
		    "Call +1 206 266 4064 or 120626640641.\n" },
		{ "Safe Links", "SCIM Access Token Approaching Expiration",
		    "https://nam11.safelinks.protection.outlook.com/"
		    "?url=https%3A%2F%2Fx&data=05%7C01%7C%7C637106240968746397%7C"
		    "123456789012%7C&reserved=0\n" },
		{ "a Safe Link behind a label", "SCIM Access Token Approaching Expiration",
		    "Account Id: https://nam11.safelinks.protection.outlook.com/?url=123456789012&reserved=0\n" },
		{ "an account of 13 digits behind a label", "SCIM Access Token Approaching Expiration",
		    "Account Id: 1234567890123\n" },
		{ "a UUID", "SCIM Access Token Approaching Expiration", "id 0f1e2d3c-0000-1111-2222-123456789012\n" },
		{ "another's ARN", "SCIM Access Token Approaching Expiration", "arn:aws:iam::123456789012:root\n" },
	};
	struct definitions *d = definitions_new();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct buf b;

		buf_init(&b, 1 << 16);
		buf_printf(&b, "From: " FROM "\nSubject: %s\n\n" SCIM_TEXT "%s", rows[i].subject, rows[i].text);
		expect_reason(d, rows[i].name, buf_span(&b), "no account");
		buf_release(&b);
	}
	definitions_free(d);
}

/* -- every kind of AWS's in every generation ---------------------------------------------------------------------- */

struct kind_row {
	const char *kind, *event, *text, *resource;
	int year, month, day;
};

#define ACM_ARN "arn:aws:acm:eu-west-1:000000000042:certificate/e52b3253-9753-4268-8a76-f3f30402c001"

static const struct kind_row kind_rows[] = {
	{ "aws.identity-center.scim-token", "AWS_IAMIDENTITYCENTER_SCIM_BEARER_TOKEN_EXPIRY_NOTIFICATION",
	    "The SCIM access token used to automatically provision users and groups expires in 89 days on Tue Feb 03 "
	    "23:59:59 UTC "
	    "2026.",
	    NULL, 2026, 2, 3 },
	{ "aws.acm.certificate", "AWS_ACM_RENEWAL_STATE_CHANGE",
	    "You have an SSL/TLS certificate from AWS Certificate Manager in your AWS account that expires on Feb 14, "
	    "2026 at "
	    "23:59:59 UTC. This certificate includes the primary domain www.example.com.\n\nAWS account ID: "
	    "000000000042\nAWS "
	    "Region name: eu-west-1\nCertificate identifier: " ACM_ARN
	    "\n\nYou must act before Feb 14, 2026 at 23:59:59 UTC.",
	    ACM_ARN, 2026, 2, 14 },
	{ "aws.rds.ca-certificate", "AWS_RDS_PLANNED_LIFECYCLE_EVENT",
	    "Your account has Amazon RDS database instances in the EU-WEST-1 Region using a SSL/TLS Certificate that "
	    "is expiring on "
	    "August 22, 2026. Until August 1, 2026 you can test.",
	    NULL, 2026, 8, 22 },
	{ "aws.eks.version-support", "AWS_EKS_PLANNED_LIFECYCLE_EVENT",
	    "Standard support for Kubernetes version 1.34 in Amazon EKS will end on December 2, 2026. After December "
	    "2, 2027 it is "
	    "upgraded.",
	    "1.34", 2026, 12, 2 },
	{ "aws.lambda.runtime-support", "AWS_LAMBDA_PLANNED_LIFECYCLE_EVENT",
	    "We are ending support for Node.js 20 in Lambda on September 1, 2026. Starting October 1, 2026 no function "
	    "can be made.",
	    "Node.js 20", 2026, 9, 1 },
};

enum generation { GENERATION_A, GENERATION_B, GENERATION_C, GENERATION_C_ESCAPED_TWICE, GENERATIONS };
static const char *const generation_names[] = { "A", "B", "C", "C, line ends escaped twice" };

/* The text with every line end as words. */
static void
put_lines(struct buf *b, const char *text, const char *line_end)
{
	for (; *text != '\0'; text++)
		if (*text == '\n')
			buf_puts(b, line_end);
		else
			buf_putc(b, *text);
}

static void
put_kind(struct buf *b, const struct kind_row *k, enum generation g, const char *backup)
{
	switch (g) {
	case GENERATION_A:
		buf_printf(b,
		    AWS
		    "Subject: [Action Required] Something [AWS Account: 000000000042]\nX-SM-COMMUNICATION-TYPE: %s\n"
		    "\nHello,\n\n%s\n\nSincerely,\nAmazon Web Services\n\n410 Terry Ave. North, Seattle, WA "
		    "98109-5210\n---\nReference: "
		    "https://health.aws.amazon.com/health/home#/account/event-log?Event%%20ARN="
		    "arn:aws:health:eu-west-1::event/X/%s/%s_95a8af1e&amp;eventTab=details\n",
		    k->event, k->text, k->event, k->event);
		break;
	case GENERATION_B:
		buf_puts(b,
		    "From: Amazon Web Services <health@aws.com>\nDate: Thu, 6 Nov 2025 02:11:12 +0000\nContent-Type: "
		    "text/html; charset=UTF-8\nSubject: Something [AWS Account: 000000000042]\n\n<html><body><div>AWS "
		    "Health Event</div><p>");
		put_lines(b, k->text, "<br />");
		buf_printf(b,
		    "</p><p>.</p><div><p>Message metadata</p></div><div><p>Affected "
		    "account</p><p>000000000042</p></div><div>"
		    "<p>Event type code</p><p>%s</p></div><div><p>Event region</p><p>eu-west-1</p></div><div><p>End "
		    "time"
		    "</p><p>Tue, 16 Dec 2025 05:00:00 GMT</p></div><div><p>Start time</p><p>Tue, 16 Sep 2025 01:00:00 "
		    "GMT"
		    "</p></div><p>\xC2\xA9 2025, Amazon Web Services, Inc.</p></body></html>\n",
		    k->event);
		break;
	case GENERATION_C:
	case GENERATION_C_ESCAPED_TWICE:
		buf_printf(b,
		    "From: AWS Notifications <no-reply@sns.amazonaws.com>\nSubject: AWS Notification Message\nDate: "
		    "Thu, 6 Nov "
		    "2025 02:11:12 +0000\n\n{\"version\":\"0\",\"detail-type\":\"AWS Health Event\",\"source\":"
		    "\"aws.health\",\"account\":\"210987654321\",\"time\":\"2025-11-06T02:10:00Z\",\"region\":"
		    "\"us-west-2\",\"detail\":{\"eventTypeCode\":\"%s\",\"affectedAccount\":\"000000000042\","
		    "\"eventRegion\":\"eu-west-1\",\"startTime\":\"Thu, 06 Nov 2025 02:00:00 GMT\",\"endTime\":"
		    "\"Tue, 16 Dec 2025 05:00:00 GMT\",\"backupEvent\":\"%s\",\"page\":\"1\",\"totalPages\":\"1\","
		    "\"eventDescription\":[{\"language\":\"en_US\",\"latestDescription\":\"",
		    k->event, backup);
		put_lines(b, k->text, g == GENERATION_C ? "\\n" : "\\\\n");
		buf_puts(b,
		    "\"}]}}\n\n--\nIf you wish to stop receiving notifications from this topic, please click or visit "
		    "the link "
		    "below to "
		    "unsubscribe:\nhttps://sns.us-east-1.amazonaws.com/unsubscribe.html?SubscriptionArn=arn:aws:sns:"
		    "us-east-1:351019356657:Topic:fb81dd33\n");
		break;
	case GENERATIONS:
		break;
	}
}

static void
expect_kind(struct definitions *d, const char *name, const struct kind_row *k, struct mh_span raw)
{
	struct reading r;
	struct arena a;

	arena_init(&a, MH_MAX_ARENA_BYTES);
	read_mail(d, raw, &a, &r);
	if (r.verdict != MH_NOTICE || r.n_notices != 1)
		fail_msg("%s: verdict %s, %zu notices, %.*s", name, mh_verdict_names[r.verdict], r.n_notices,
		    (int)r.reason.n, r.reason.n == 0 ? "" : r.reason.p);
	const struct notice *n = &r.notices[0];
	expect_span(name, n->kind, span_of(k->kind));
	expect_span(name, n->account, MH_LIT("000000000042"));
	expect_span(name, n->region, MH_LIT("eu-west-1"));
	expect_span(name, n->resource, span_of(k->resource));
	expect_span(name, n->event, span_of(k->event));
	expect_number(
	    name, "expiry", (uint64_t)n->expires, (uint64_t)time_of_civil(k->year, k->month, k->day, 23, 59, 59));
	arena_release(&a);
}

static void
test_kinds(void **state)
{
	struct definitions *d = definitions_new();

	(void)state;
	for (size_t i = 0; i < sizeof(kind_rows) / sizeof(kind_rows[0]); i++) {
		const struct kind_row *k = &kind_rows[i];

		for (int g = GENERATION_A; g < GENERATIONS; g++) {
			char name[100];
			struct reading r;
			struct arena a;
			struct buf b, f;

			(void)snprintf(name, sizeof(name), "%s in generation %s", k->kind, generation_names[g]);
			buf_init(&b, 1 << 16);
			buf_init(&f, 1 << 16);
			put_kind(&b, k, (enum generation)g, "false");
			expect_kind(d, name, k, buf_span(&b));

			/* The same as an attached message. */
			buf_printf(&f,
			    "From: Ann <ann@example.com>\nSubject: Fwd: x\nDate: Mon, 19 Jan 2026 09:00:00 +0100\n"
			    "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nSee below. 210987654321\n--b\n"
			    "Content-Type: message/rfc822\n\n%s\n--b--\n",
			    b.p);
			expect_kind(d, name, k, buf_span(&f));
			if (g >= GENERATION_C) { /* AWS's duplicate for the backup region */
				buf_clear(&b);
				put_kind(&b, k, (enum generation)g, "true");
				arena_init(&a, MH_MAX_ARENA_BYTES);
				read_mail(d, buf_span(&b), &a, &r);
				expect_number(name, "a backup event's verdict", r.verdict, MH_IRRELEVANT);
				arena_release(&a);
			}
			buf_release(&b);
			buf_release(&f);
		}
	}
	definitions_free(d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_carried),
		cmocka_unit_test(test_no_accounts),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
