/* parsers_pattern_test.c: PCRE2 under its budget, literals, and the one pass for all of them. */
#include <stdio.h>
#include <time.h>

#include "parsers/pattern.h"
#include "parsers/prefilter.h"
#include "parsers/sample.h"
#include "tests/exact.h"

struct plan_row {
	const char *name, *regex;
	enum mh_status status;
	const char *literal; /* or a piece of the error */
	bool at_start;
};

static const struct plan_row plan_rows[] = {
	{ "plain start", "expires on (?<expires>.{6,60})", MH_OK, "expires on ", true },
	{ "behind a word boundary", "\\bexpires on (?<expires>.+)", MH_OK, "expires on ", true },
	{ "behind a group", "(?:it )?expires on (?<expires>.+)", MH_OK, "expires on ", false },
	{ "the longest wins", "(?<days>\\d+) days until it expires", MH_OK, " days until it expires", false },
	{ "a question mark takes the letter back", "certificates? (?<expires>.+)", MH_OK, "certificate", true },
	{ "a star takes it back", "certificates* (?<expires>.+)", MH_OK, "certificate", true },
	{ "a plus ends the run", "certificates+ of (?<expires>.+)", MH_OK, "certificates", true },
	{ "a count takes it back", "certificates{0,2} of (?<expires>.+)", MH_OK, "certificate", true },
	{ "escaped punctuation is text", "on a\\.b\\/c (?<expires>.+)", MH_OK, "on a.b/c ", true },
	{ "a class breaks", "expires[: ]on day (?<expires>.+)", MH_OK, "expires", true },
	{ "a class with a bracket", "[]x] expires (?<expires>.+)", MH_OK, " expires ", false },
	{ "an alternative has none", "expires on|ends on (?<expires>.+)", MH_BAD, "fixed characters", false },
	{ "an alternative in a group breaks", "(?:expires|ends) (?<expires>.+)", MH_BAD, "fixed characters", false },
	{ "too short", "ends (?<expires>.+)", MH_BAD, "fixed characters", false },
	{ "quoted text is not looked into", "\\Qexpires on\\E(?<expires>.+)", MH_BAD, "fixed characters", false },
	{ "a group that is no fact", "expires on (?<when>.+)", MH_BAD, "\"when\"", false },
	{ "no group", "expires on .+", MH_BAD, "reads nothing", false },
	{ "extended", "(?x)expires (?<expires>.+)", MH_BAD, "(?x)", false },
	{ "extended among others", "(?ix)expires (?<expires>.+)", MH_BAD, "(?x)", false },
	{ "no pattern", "expires on (?<expires>.+", MH_BAD, "offset 24", false },
	{ "nothing", "", MH_BAD, "reads nothing", false },
	{ "one byte of a character is no byte in UTF-8", "expires on \\C(?<expires>.+)", MH_BAD, "not a pattern",
	    false },
};

static void
test_plans(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(plan_rows) / sizeof(plan_rows[0]); i++) {
		const struct plan_row *r = &plan_rows[i];
		struct pattern_plan plan;
		struct mh_err err = { 0 };

		expect_number(r->name, "status", pattern_plan(r->regex, &plan, &err), r->status);
		if (r->status == MH_OK) {
			expect_span(r->name, span_of(plan.literal), span_of(r->literal));
			expect_number(r->name, "at start", plan.at_start, r->at_start);
		} else if (strstr(err.text, r->literal) == NULL) {
			fail_msg("%s: \"%s\" does not say \"%s\"", r->name, err.text, r->literal);
		}
	}
}

struct run_row {
	const char *name, *regex, *text;
	size_t from;
	bool anchored;
	enum mh_status status;
	const char *expires, *days;
};

static const struct run_row run_rows[] = {
	{ "a match", "in (?<days>\\d+) days on (?<expires>.{6,20})", "ends in 89 days on Feb 3, 2026", 0, false, MH_OK,
	    "Feb 3, 2026", "89" },
	{ "any case", "EXPIRES ON (?<expires>.{6,20})", "expires on Feb 3, 2026", 0, true, MH_OK, "Feb 3, 2026", NULL },
	{ "a group that took no part", "(?:(?<days>\\d+) days )?on (?<expires>.{6,20})", "x on Feb 3, 2026", 2, true,
	    MH_OK, "Feb 3, 2026", NULL },
	{ "anchored elsewhere", "on (?<expires>.{6,20})", "x on Feb 3, 2026", 0, true, MH_SKIP, NULL, NULL },
	{ "a dot is a line end too", "on(?<expires>.{6,20})", "on\nFeb 3, 2026", 0, true, MH_OK, "\nFeb 3, 2026",
	    NULL },
	{ "a dot is a whole character", "on .(?<expires>.{6,20})", "on éFeb 3, 2026", 0, true, MH_OK, "Feb 3, 2026",
	    NULL },
	{ "no match", "in (?<days>\\d+) days", "in some days", 0, false, MH_SKIP, NULL, NULL },
	{ "past the end", "in (?<days>\\d+) days", "in", 3, false, MH_SKIP, NULL, NULL },
	{ "an empty text", "in (?<days>\\d+) days", "", 0, false, MH_SKIP, NULL, NULL },
};

static void
test_runs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(run_rows) / sizeof(run_rows[0]); i++) {
		const struct run_row *r = &run_rows[i];
		char *text = exact_copy(span_of(r->text));
		struct pattern *p;
		struct pattern_match m = { 0 };

		assert_int_equal(pattern_new(r->regex, &p, NULL), MH_OK);
		expect_number(r->name, "status",
		    pattern_run(p, (struct mh_span){ text, strlen(r->text) }, r->from, r->anchored, &m, NULL),
		    r->status);
		if (r->status == MH_OK) {
			expect_span(r->name, m.facts[FACT_EXPIRES], span_of(r->expires));
			expect_span(r->name, m.facts[FACT_DAYS], span_of(r->days));
		}
		pattern_free(p);
		free(text);
	}
}

/* Patterns that would run for hours end by their budget, and soon. */
static void
test_budget(void **state)
{
	static const char *const regexes[] = { "^(a+)+$(?<days>x)", "[a-z]*[a-y]*[0-9](?<days>x)", "(a|aa)+$(?<days>x)",
		"(?:a?){40}a{40}b(?<days>x)", "(.*)(.*)(.*)(.*)(.*)[^ab](?<days>x)" };
	const size_t n = 8000;
	char *text = malloc(n);

	(void)state;
	assert_non_null(text);
	memset(text, 'a', n);
	text[n - 2] = 'b'; /* what PCRE2 looks for beforehand is there */
	text[n - 1] = 'x';
	for (size_t i = 0; i < sizeof(regexes) / sizeof(regexes[0]); i++) {
		struct pattern *p;
		struct pattern_match m;
		struct mh_err err = { 0 };
		const clock_t start = clock();

		assert_int_equal(pattern_new(regexes[i], &p, NULL), MH_OK);
		expect_number(
		    regexes[i], "status", pattern_run(p, (struct mh_span){ text, n }, 0, false, &m, &err), MH_LIMIT);
		expect_span(regexes[i], span_of(err.text), MH_LIT("a pattern hit its budget"));
		if (clock() - start > 2 * CLOCKS_PER_SEC)
			fail_msg(
			    "%s: took %ld ms of CPU", regexes[i], (long)((clock() - start) * 1000 / CLOCKS_PER_SEC));
		pattern_free(p);
	}
	free(text);
}

static void
test_subject_maximum(void **state)
{
	const size_t max = MH_MAX_SUBJECT_BYTES;
	const struct {
		size_t n;
		enum mh_status status;
	} sizes[] = { { max, MH_SKIP }, { max + 1, MH_LIMIT }, { max * 4, MH_LIMIT } };
	struct pattern *p;
	struct pattern_match m;

	(void)state;
	assert_int_equal(pattern_new("expires (?<expires>x)", &p, NULL), MH_OK);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *text = malloc(sizes[i].n);

		assert_non_null(text);
		memset(text, '.', sizes[i].n);
		assert_int_equal(
		    pattern_run(p, (struct mh_span){ text, sizes[i].n }, 0, false, &m, NULL), sizes[i].status);
		free(text);
	}
	pattern_free(p);
}

/* -- prefilter ---------------------------------------------------------------------------------------------------- */

static void
mark(void *user, const struct phrase *p, struct mh_span text, size_t at)
{
	unsigned *seen = user;

	if (phrase_around(text, at, p))
		*seen |= 1u << p->tag;
}

static void
test_prefilter(void **state)
{
	static const char *const words[] = { "SCIM access token used to automatically provision", "health@aws.com",
		"AWS_ACM_RENEWAL_STATE_CHANGE", "in Amazon EKS will end on", "You're receiving this" };
	static const struct {
		const char *name, *text;
		unsigned seen;
	} texts[] = {
		{ "nothing", "an ordinary text about provisioning and access, automatically", 0 },
		{ "whole", "The SCIM access token used to automatically provision users", 1 },
		{ "any case", "the scim ACCESS token used to AUTOMATICALLY provision", 1 },
		{ "at the very end", "SCIM access token used to automatically provision", 1 },
		{ "one letter short", "SCIM access token used to automatically provisio", 0 },
		{ "over a line end", "SCIM access token\nused to automatically\r\nprovision", 1 },
		{ "over quote marks", "> > SCIM access token\n> > used to automatically\n> >\n> > provision", 1 },
		{ "with U+00A0",
		    "SCIM\xC2\xA0"
		    "access token used to automatically\xE2\x80\xAFprovision",
		    1 },
		{ "words joined", "SCIMaccess token used to automatically provision", 0 },
		{ "another word inside", "SCIM access token used to automatically xprovision", 0 },
		{ "several", "health@aws.com AWS_ACM_RENEWAL_STATE_CHANGE in Amazon EKS will end on", 2 | 4 | 8 },
		{ "straight apostrophe", "You're receiving this", 16 },
		{ "curly apostrophe", "You\xE2\x80\x99re receiving this", 16 },
		{ "no apostrophe", "Youre receiving this", 0 },
		{ "shorter than any", "SCIM", 0 },
		{ "empty", "", 0 },
		{ "bytes of other scripts", "\xE2\x80\xE2\xC2\xA0\xFF\xFE health@aws.com\xC2", 2 },
	};
	struct phrase phrases[5];

	(void)state;
	for (size_t i = 0; i < 5; i++)
		phrases[i] = (struct phrase){ .text = span_of(words[i]), .tag = (uint32_t)i };

	struct prefilter *f = prefilter_new(phrases, 5), *none = prefilter_new(NULL, 0);
	assert_non_null(f);
	assert_non_null(none);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		char *text = exact_copy(span_of(texts[i].text));
		const struct mh_span s = { text, strlen(texts[i].text) };
		unsigned seen = 0;

		prefilter_run(f, s, mark, &seen);
		expect_number(texts[i].name, "phrases", seen, texts[i].seen);
		prefilter_run(none, s, mark, &seen);
		expect_number(texts[i].name, "phrases", seen, texts[i].seen);
		free(text);
	}

	/* Parts of a text are stepped through side by side: a word at each of its places, and in it all. */
	for (size_t n = 14; n < 160; n++) {
		for (size_t at = 0; at + 14 <= n; at++) {
			char *text = malloc(n);
			unsigned seen = 0;

			assert_non_null(text);
			memset(text, 'e', n);
			memcpy(text + at, "health@aws.com", 14);
			prefilter_run(f, (struct mh_span){ text, n }, mark, &seen);
			expect_number("at each place", "phrases", seen, 2);
			free(text);
		}
	}
	prefilter_free(f);
	prefilter_free(none);
}

static void
test_samples(void **state)
{
	static const struct {
		const char *regex, *text;
		size_t n_runs, at, n; /* of the last run */
	} rows[] = {
		{ "expires on (?<expires>.{6,60})", "expires on aaaaaa", 1, 11, 1 },
		{ "a(?:bc )+d", "abc d", 1, 1, 3 },
		{ "(?:[a-z]+ ?)+x", "a x", 2, 0, 2 },
		{ "x{3}y{2,4}z?", "xxxyyz", 0, 0, 0 },
		{ "(?<days>\\d{1,4}) days?\\b", "0 days", 0, 0, 0 },
		{ "ab|cd", "ab", 0, 0, 0 },
		{ "(?:one|two) (?=three)(?!four)five", "one five", 0, 0, 0 },
		{ "[^a0]{2,}?[\\d]*+[[:alpha:]]", "  0a", 2, 2, 1 },
		{ "^\\Q", "Q", 0, 0, 0 },
		{ "a{,3}{b", "a{,3}{b", 0, 0, 0 },
		{ "(?'name'\\w+)\\W(?<!x)\\.", "a-.", 1, 0, 1 },
	};
	struct sample s;

	(void)state;
	sample_init(&s);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		expect_number(rows[i].regex, "status", sample_write(rows[i].regex, &s, NULL), MH_OK);
		expect_span(rows[i].regex, buf_span(&s.text), span_of(rows[i].text));
		expect_number(rows[i].regex, "runs", s.n_runs, rows[i].n_runs);
		if (s.n_runs > 0) {
			expect_number(rows[i].regex, "place of the last run", s.runs[s.n_runs - 1].at, rows[i].at);
			expect_number(rows[i].regex, "bytes of the last run", s.runs[s.n_runs - 1].n, rows[i].n);
		}
	}
	expect_number("grows", "status", sample_write("(?:(?:a{100}){100}){100}", &s, NULL), MH_LIMIT);
	sample_release(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plans),
		cmocka_unit_test(test_runs),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_subject_maximum),
		cmocka_unit_test(test_prefilter),
		cmocka_unit_test(test_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
