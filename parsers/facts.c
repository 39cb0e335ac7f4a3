/* facts.c: accounts and regions as they stand in subjects, in AWS's metadata block and in event ARNs. */
#include <string.h>

#include "parsers/carriage.h"
#include "parsers/prefilter.h"

#define ACCOUNT_DIGITS 12
#define MAX_REGION_BYTES 24
#define MAX_SUBJECT_BYTES 4096 /* of a subject that is looked through; AWS's have 160 */
#define MAX_BRACKET_BYTES 64

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Reads an account; ret_bytes: how long it stands there. Hyphens only as 4-4-4. */
static bool
take_account(struct mh_span text, char digits[ACCOUNT_DIGITS], size_t *ret_bytes)
{
	size_t n = 0, i = 0;
	const bool hyphens = text.n > 4 && text.p[4] == '-';

	while (n < ACCOUNT_DIGITS && i < text.n) {
		if (hyphens && (n == 4 || n == 8) && text.p[i] == '-') {
			if (++i == text.n)
				return false;
		} else if (hyphens && (n == 4 || n == 8)) {
			return false;
		}
		if (!is_digit(text.p[i]))
			return false;
		digits[n++] = text.p[i++];
	}
	if (n != ACCOUNT_DIGITS || (i < text.n && is_digit(text.p[i])))
		return false;
	if (i + 1 < text.n && text.p[i] == '-' && is_digit(text.p[i + 1])) /* a longer number in groups */
		return false;
	*ret_bytes = i;
	return true;
}

bool
account_read(struct mh_span text, struct arena *a, struct mh_span *ret)
{
	char digits[ACCOUNT_DIGITS];
	size_t bytes;

	return take_account(text, digits, &bytes) &&
	       arena_copy(a, (struct mh_span){ digits, ACCOUNT_DIGITS }, ret, NULL) == MH_OK;
}

/* eu-west-1, us-gov-east-1, ap-southeast-2: two letters, words, a number. */
static size_t
region_bytes(struct mh_span s)
{
	size_t i = 0, words = 0;

	while (i < s.n && i < MAX_REGION_BYTES) {
		const size_t start = i;

		while (i < s.n && lower(s.p[i]) >= 'a' && lower(s.p[i]) <= 'z')
			i++;
		const size_t n = i - start;
		if (n == 0 || (words == 0 && n > 4) || i == s.n || s.p[i] != '-')
			return 0;
		words++;
		i++;
		if (words >= 2 && i < s.n && is_digit(s.p[i])) {
			i++;
			if (i < s.n && is_digit(s.p[i]))
				i++;
			const bool ends = i == s.n || (!is_digit(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' &&
							  (lower(s.p[i]) < 'a' || lower(s.p[i]) > 'z'));
			return ends || (i < s.n && s.p[i] == '.' && (i + 1 == s.n || s.p[i + 1] == ' ')) ? i : 0;
		}
	}
	return 0;
}

bool
region_read(struct mh_span text, struct arena *a, struct mh_span *ret)
{
	const size_t n = region_bytes(text);
	char *p = n == 0 ? NULL : arena_alloc(a, n + 1);

	if (p == NULL)
		return false;
	for (size_t i = 0; i < n; i++)
		p[i] = lower(text.p[i]);
	*ret = (struct mh_span){ p, n };
	return true;
}

static struct mh_span
skip_blanks(struct mh_span s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\n' || s.p[0] == ':'))
		s = span_from(s, 1);
	return s;
}

/* What may stand between the accounts of a list. */
static struct mh_span
skip_separators(struct mh_span s)
{
	while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == ',' || s.p[0] == ';'))
		s = span_from(s, 1);
	return span_starts(s, MH_LIT("and ")) ? span_from(s, 4) : s;
}

/* The account of one bracket's inside: "AWS Account: N", "AWS Account ID: N", "AWS ID N", "N". */
static bool
bracket_account(struct mh_span inside, char digits[ACCOUNT_DIGITS])
{
	static const char *const labels[] = { "AWS Account IDs", "AWS Account ID", "AWS Account", "AWS ID", "" };
	size_t bytes;

	for (size_t i = 0; i < sizeof(labels) / sizeof(labels[0]); i++) {
		const size_t n = labels[i][0] == '\0' ? 0 : phrase_at(inside, 0, span_of(labels[i]));

		if (n == SIZE_MAX)
			continue;
		const struct mh_span rest = skip_blanks(span_from(inside, n));
		if (take_account(rest, digits, &bytes) && span_trim(span_from(rest, bytes)).n == 0)
			return true;
	}
	return false;
}

bool
subject_facts(struct mh_span subject, struct arena *a, struct mh_span *ret_account, struct mh_span *ret_region)
{
	char digits[ACCOUNT_DIGITS], seen[ACCOUNT_DIGITS];
	bool has = false;

	subject = span_head(subject, MAX_SUBJECT_BYTES);
	for (size_t open = span_find(subject, MH_LIT("["), 0); open != SIZE_MAX;
	     open = span_find(subject, MH_LIT("["), open + 1)) {
		const struct mh_span behind = span_head(span_from(subject, open + 1), MAX_BRACKET_BYTES);
		const size_t close = span_find(behind, MH_LIT("]"), 0);
		if (close == SIZE_MAX)
			continue;

		const struct mh_span inside = span_trim(span_head(behind, close));
		if (bracket_account(inside, digits)) {
			if (has && memcmp(seen, digits, sizeof(seen)) != 0)
				return false;
			memcpy(seen, digits, sizeof(seen));
			has = true;
		} else if (region_bytes(inside) == inside.n && inside.n > 0) {
			(void)region_read(inside, a, ret_region);
		}
	}
	if (has)
		(void)arena_copy(a, (struct mh_span){ seen, ACCOUNT_DIGITS }, ret_account, NULL);
	return true;
}

/* What stands behind a label of the metadata block; the label's own line, or relayed on one line with its value. */
static bool
labelled(struct mh_span text, struct mh_span label, struct mh_span *ret_value)
{
	const size_t at = span_find(text, label, 0);

	if (at == SIZE_MAX)
		return false;
	*ret_value = skip_blanks(span_from(text, at + label.n));
	return ret_value->n > 0;
}

static size_t
code_bytes(struct mh_span s)
{
	size_t n = 0;

	while (n < s.n && ((s.p[n] >= 'A' && s.p[n] <= 'Z') || is_digit(s.p[n]) || s.p[n] == '_'))
		n++;
	return n;
}

/* The accounts of "Affected accounts 1, 2 and 3": false where none stands there. */
static bool
account_list(struct mh_span s, struct arena *a, struct view *v)
{
	char digits[ACCOUNT_DIGITS];
	struct mh_span rest = s;
	size_t bytes, n = 0;

	while (take_account(rest, digits, &bytes)) { /* count first, to make the list in one piece */
		n++;
		rest = skip_separators(span_from(rest, bytes));
	}
	if (n == 0)
		return false;
	if (n == 1)
		return account_read(s, a, &v->account);

	v->accounts = arena_array(a, n, sizeof(*v->accounts));
	if (v->accounts == NULL)
		return false;
	for (rest = s; v->n_accounts < n && take_account(rest, digits, &bytes);
	     rest = skip_separators(span_from(rest, bytes)))
		if (!account_read(rest, a, &v->accounts[v->n_accounts++]))
			return false;
	return true;
}

void
metadata_facts(struct view *v, struct arena *a)
{
	struct mh_span value;

	if (!labelled(v->text, MH_LIT("Affected account"), &value))
		return;
	if (span_starts(value, MH_LIT("s")))
		value = skip_blanks(span_from(value, 1));
	v->account_unread = !account_list(value, a, v);
	if (labelled(v->text, MH_LIT("Event region"), &value))
		(void)region_read(value, a, &v->region);
	if (labelled(v->text, MH_LIT("Event type code"), &value) && code_bytes(value) > 0)
		v->event = span_head(value, code_bytes(value));
}

void
reference_facts(struct mh_span text, struct arena *a, struct mh_span *ret_region, struct mh_span *ret_event)
{
	const struct mh_span head = MH_LIT("arn:aws:health:");
	const size_t at = span_find(text, head, 0);

	if (at == SIZE_MAX)
		return;

	struct mh_span rest = span_from(text, at + head.n);
	const size_t colon = span_find(span_head(rest, MAX_REGION_BYTES + 1), MH_LIT("::event"), 0);
	if (colon == SIZE_MAX)
		return;
	(void)region_read(span_head(rest, colon), a, ret_region);
	rest = span_from(rest, colon + strlen("::event"));

	/* /SERVICE/CODE/CODE_id, with "/" as %2F where the link went through a click counter. */
	for (int parts = 0; parts < 2; parts++) {
		if (span_starts(rest, MH_LIT("/")))
			rest = span_from(rest, 1);
		else if (span_istarts(rest, MH_LIT("%2F")))
			rest = span_from(rest, 3);
		else
			return;
		if (parts == 0)
			rest = span_from(rest, code_bytes(rest));
	}
	if (code_bytes(rest) > 0)
		*ret_event = span_head(rest, code_bytes(rest));
}
