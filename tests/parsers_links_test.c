/* parsers_links_test.c: wrapped links and the event in them. */
#include "parsers/carriage.h"
#include "parsers/links.h"
#include "tests/exact.h"

static void
test_unwrap(void **state)
{
	static const struct {
		const char *name, *link, *inner;
	} rows[] = {
		{ "no wrapper", "https://example.com/a?b=c%20d", "https://example.com/a?b=c%20d" },
		{ "Safe Links",
		    "https://nam11.safelinks.protection.outlook.com/"
		    "?url=https%3A%2F%2Fexample.com%2Fa%3Fb%3Dc&data=05%7C01%7C"
		    "x%40y%7C637106240968746397&sdata=x&reserved=0",
		    "https://example.com/a?b=c" },
		{ "Safe Links with &amp;",
		    "https://eur01.safelinks.protection.outlook.com/"
		    "?data=05&amp;url=https%3a%2f%2fexample.com%2f&amp;reserved=0",
		    "https://example.com/" },
		{ "Safe Links without url", "https://x.safelinks.protection.outlook.com/?data=1",
		    "https://x.safelinks.protection.outlook.com/?data=1" },
		{ "another host", "https://safelinks.protection.outlook.com.example.net/?url=https%3A%2F%2Fexample.com",
		    "https://safelinks.protection.outlook.com.example.net/?url=https%3A%2F%2Fexample.com" },
		{ "another host's end", "https://notawstrack.me/L0/https:%2F%2Fexample.com/1",
		    "https://notawstrack.me/L0/https:%2F%2Fexample.com/1" },
		{ "awstrack.me",
		    "https://lhrrj7lm.r.us-east-1.awstrack.me/L0/https:%2F%2Fexample.com%2Fhome%3Fregion=sa-east-1/1/"
		    "0100/AbC=441",
		    "https://example.com/home?region=sa-east-1" },
		{ "awstrack.me, not a click", "https://x.awstrack.me/I0/0100/AbC=441",
		    "https://x.awstrack.me/I0/0100/AbC=441" },
		{ "Google", "https://www.google.com/url?q=https://example.com/a%3Fb&source=gmail&ust=1762394000000000",
		    "https://example.com/a?b" },
		{ "Google of a country", "https://www.google.co.uk/url?sa=t&url=https%3A%2F%2Fexample.com%2F",
		    "https://example.com/" },
		{ "Proofpoint v1", "https://urldefense.proofpoint.com/v1/url?u=https%3A//example.com/a&k=1",
		    "https://example.com/a" },
		{ "Proofpoint v2",
		    "https://urldefense.proofpoint.com/v2/"
		    "url?u=https-3A__example.com_a-2Db-3Fc-3D1-5F2&d=DwMFaQ&c=euGZ",
		    "https://example.com/a-b?c=1_2" },
		{ "Proofpoint v3", "https://urldefense.com/v3/__https://example.com/a?b=c__;!!KGnq!abc$",
		    "https://example.com/a?b=c" },
		{ "Proofpoint v3 with stars",
		    "https://urldefense.com/v3/__https://example.com/*x=1*y__;I-Kgkw!!KGnq!abc$",
		    "https://example.com/#x=1\xE2y" },
		{ "Proofpoint v3 with a run", "https://urldefense.com/v3/__https://example.com/x**By__;4oCT!!KGnq!abc$",
		    "https://example.com/x\xE2\x80\x93y" },
		{ "Proofpoint v3 with too few bytes", "https://urldefense.com/v3/__https://example.com/**/z__;Iw!!K!a$",
		    "https://example.com/#/z" },
		{ "Proofpoint v3 without an end", "https://urldefense.com/v3/__https://example.com/a",
		    "https://urldefense.com/v3/__https://example.com/a" },
		{ "Barracuda", "https://linkprotect.cudasvc.com/url?a=https%3a%2f%2fexample.com%2f&c=E,1,x",
		    "https://example.com/" },
		{ "Cisco", "https://secure-web.cisco.com/1abc/https%3A%2F%2Fexample.com%2Fa", "https://example.com/a" },
		{ "one in the other",
		    "https://nam02.safelinks.protection.outlook.com/"
		    "?url=https%3A%2F%2Fx.r.us-east-1.awstrack.me%2FL0%2Fhttps%3A"
		    "%252F%252Fexample.com%252Fa%2F1%2F0100%2Fx%3D441&data=05&reserved=0",
		    "https://example.com/a" },
		{ "a broken escape", "https://x.safelinks.protection.outlook.com/?url=https%3A%2F%2Fa%2&reserved=0",
		    "https://a%2" },
		{ "no link", "nothing", "nothing" },
		{ "empty", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *link = exact_copy(span_of(rows[i].link));
		struct mh_span inner = MH_NONE;
		struct arena a;

		arena_init(&a, 1 << 20);
		expect_number(rows[i].name, "status",
		    link_unwrap((struct mh_span){ link, strlen(rows[i].link) }, &a, &inner, NULL), MH_OK);
		expect_span(rows[i].name, inner, span_of(rows[i].inner));
		arena_release(&a);
		free(link);
	}
}

#define ARN(region) "arn:aws:health:" region "::event/IAM/AWS_IAM_X/AWS_IAM_X_1f"
#define ESCAPED(region) "arn%3Aaws%3Ahealth%3A" region "%3A%3Aevent%2FIAM%2FAWS_IAM_X%2FAWS_IAM_X_1f"
#define HOME "https%3A%2F%2Fhealth.aws.amazon.com%2Fhealth%2Fhome%23%2Fevent-log%3FeventID%3D"

static void
test_references(void **state)
{
	static const struct {
		const char *name, *text, *links, *region, *event;
	} rows[] = {
		{ "as it is", "Reference: https://health.aws.amazon.com/health/home#?Event%20ARN=" ARN("eu-west-1"), "",
		    "eu-west-1", "AWS_IAM_X" },
		{ "Safe Links in a text",
		    "see <https://nam11.safelinks.protection.outlook.com/?url=" HOME ESCAPED(
			"eu-west-1") "&data=05%7C1234567890123"
				     "45&reserved=0> now",
		    "", "eu-west-1", "AWS_IAM_X" },
		{ "Safe Links broken by quoting, in brackets",
		    "see "
		    "<https://nam11.safelinks.protection.outlook.com/?url=https%3A%2F%2Fhealth.aws.amazon.com%2Fhealth "
		    "arn%3Aaws"
		    "%3Ahea lth%3Aeu-west-1%3A%3Aevent%2FIAM%2FAWS_I AM_X%2FAWS_IAM_X_1f&data=05&reserved=0> now",
		    "", "eu-west-1", "AWS_IAM_X" },
		{ "Safe Links broken by quoting, bare",
		    "see "
		    "https://nam11.safelinks.protection.outlook.com/?url=https%3A%2F%2Fhealth.aws.amazon.com%2Fhealth "
		    "arn%3Aaws"
		    "%3Ahea lth%3Aeu-west-1%3A%3Aevent%2FIAM%2FAWS_I AM_X%2FAWS_IAM_X_1f&data=05&reserved=0 and "
		    "https://x.example",
		    "", "eu-west-1", "AWS_IAM_X" },
		{ "Proofpoint v2",
		    "https://urldefense.proofpoint.com/v2/"
		    "url?u=https-3A__health.aws.amazon.com_health_home-23_-3FeventID-3Darn-3Aaws-"
		    "3Ahealth-3Aus-2Dwest-2D2-3A-3Aevent_IAM_AWS-5FIAM-5FX_AWS-5FIAM-5FX-5F1f&d=x",
		    "", "us-west-2", "AWS_IAM_X" },
		{ "Proofpoint v3",
		    "https://urldefense.com/v3/__https://health.aws.amazon.com/health/home*/event-log?eventID=" ARN(
			"eu-west-1") "__;Iw!!KGnq!abc$",
		    "", "eu-west-1", "AWS_IAM_X" },
		{ "a wrapper that nobody knows", "https://gate.example.net/?to=" HOME ESCAPED("eu-west-1"), "",
		    "eu-west-1", "AWS_IAM_X" },
		{ "a gateway that hides all",
		    "https://protect-eu.mimecast.com/s/AbC123456789012?domain=health.aws.amazon.com", "", NULL, NULL },
		{ "no event in it", "https://nam11.safelinks.protection.outlook.com/?url=" HOME "x&reserved=0", "",
		    NULL, NULL },
		{ "behind the words of HTML", "View details",
		    "https://example.com/\nhttps://x.r.us-east-1.awstrack.me/L0/"
		    "https:%2F%2Fhealth.aws.amazon.com%2Fhealth%2Fhome%3Fregion"
		    "=sa-east-1%23%2Fevent-log%3FeventID=arn:aws:health:sa-east-1::event%2FDX%2FAWS_DX_M%2FAWS_DX_M_84%"
		    "26eventTab=details/"
		    "1/0100/x=441\n",
		    "sa-east-1", "AWS_DX_M" },
		{ "the same event twice", "x",
		    "https://health.aws.amazon.com/?e=" ARN("eu-west-1") "\nhttps://health.aws.amazon.com/?e=" ESCAPED(
			"eu-west-1") "\n",
		    "eu-west-1", "AWS_IAM_X" },
		{ "two events", "x",
		    "https://health.aws.amazon.com/?e=" ARN("eu-west-1") "\nhttps://health.aws.amazon.com/?e=" ARN(
			"us-east-1") "\n",
		    NULL, NULL },
		{ "the text before the links", "at " ARN("eu-west-1"),
		    "https://health.aws.amazon.com/?e=" ARN("us-east-1") "\n", "eu-west-1", "AWS_IAM_X" },
		{ "global", "https://nam11.safelinks.protection.outlook.com/?url=" HOME ESCAPED("global") "&reserved=0",
		    "", NULL, "AWS_IAM_X" },
		{ "nothing", "", "", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char *text = exact_copy(span_of(rows[i].text)), *links = exact_copy(span_of(rows[i].links));
		const struct mail_part part = { .type = MAIL_HTML, .links = { links, strlen(rows[i].links) } };
		const struct view v = { .text = { text, strlen(rows[i].text) }, .part = &part };
		struct mh_span region = MH_NONE, event = MH_NONE;
		struct arena a;

		arena_init(&a, 1 << 20);
		view_reference(&v, &a, &region, &event);
		expect_span(rows[i].name, region, span_of(rows[i].region));
		expect_span(rows[i].name, event, span_of(rows[i].event));
		arena_release(&a);
		free(text);
		free(links);
	}
}

/* No run of digits in a link is an account, also where a label stands in front of it. */
static void
test_no_accounts(void **state)
{
	static const char *const texts[] = {
		"Affected account https://x.safelinks.protection.outlook.com/?url=https%3A%2F%2Fx%2F123456789012",
		"Affected account <https://x.awstrack.me/L0/https:%2F%2Fexample.com%2F123456789012/1>",
		"Affected account 637106240968746397",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct view v = { .text = span_of(texts[i]) };
		struct arena a;

		arena_init(&a, 1 << 16);
		metadata_facts(&v, &a);
		expect_span(texts[i], v.account, MH_NONE);
		assert_true(v.account_unread);
		arena_release(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unwrap),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_no_accounts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
