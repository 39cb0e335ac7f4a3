/* pattern.c: PCRE2 under a budget. */
#include "parsers/pattern.h"

#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

const char *const fact_names[FACT_COUNT] = {
	[FACT_EXPIRES] = "expires",
	[FACT_DAYS] = "days",
	[FACT_ACCOUNT] = "account",
	[FACT_REGION] = "region",
	[FACT_RESOURCE] = "resource",
};

struct pattern {
	pcre2_code *code;
	pcre2_match_data *data;
	pcre2_match_context *context;
	uint32_t groups[FACT_COUNT]; /* number of the named group; 0: none */
	unsigned callouts;
};

static int
count_callout(pcre2_callout_block *block, void *user)
{
	struct pattern *p = user;

	(void)block;
	return ++p->callouts > MH_MAX_CALLOUTS ? PCRE2_ERROR_MATCHLIMIT : 0;
}

static void
find_groups(struct pattern *p)
{
	for (size_t i = 0; i < FACT_COUNT; i++) {
		const int number = pcre2_substring_number_from_name(p->code, (PCRE2_SPTR)fact_names[i]);
		p->groups[i] = number > 0 ? (uint32_t)number : 0;
	}
}

enum mh_status
pattern_new(const char *regex, struct pattern **ret, struct mh_err *err)
{
	struct pattern *p = calloc(1, sizeof(*p));
	int code;
	size_t at;

	if (p == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a pattern");
	/* Without auto-possession each step back passes a callout and is counted. */
	p->code = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED,
	    PCRE2_UTF | PCRE2_CASELESS | PCRE2_DOTALL | PCRE2_AUTO_CALLOUT | PCRE2_NO_AUTO_POSSESS |
		PCRE2_NEVER_BACKSLASH_C,
	    &code, &at, NULL);
	if (p->code == NULL) {
		unsigned char words[100];

		free(p);
		if (pcre2_get_error_message(code, words, sizeof(words)) < 0)
			words[0] = '\0';
		return mh_fail(err, MH_BAD, "not a pattern at offset %zu: %s", at, (const char *)words);
	}
	p->data = pcre2_match_data_create_from_pattern(p->code, NULL);
	p->context = pcre2_match_context_create(NULL);
	if (p->data == NULL || p->context == NULL) {
		pattern_free(p);
		return mh_fail(err, MH_RETRY, "no memory for a pattern");
	}
	(void)pcre2_set_callout(p->context, count_callout, p);
	(void)pcre2_set_heap_limit(p->context, MH_MAX_PATTERN_HEAP_KB);
	(void)pcre2_set_match_limit(p->context, MH_MAX_CALLOUTS);
	find_groups(p);
	*ret = p;
	return MH_OK;
}

void
pattern_free(struct pattern *p)
{
	if (p == NULL)
		return;
	pcre2_match_context_free(p->context);
	pcre2_match_data_free(p->data);
	pcre2_code_free(p->code);
	free(p);
}

enum mh_status
pattern_run(struct pattern *p, struct mh_span subject, size_t from, bool anchored, struct pattern_match *ret,
    struct mh_err *err)
{
	if (subject.n > MH_MAX_SUBJECT_BYTES)
		return mh_fail(err, MH_LIMIT, "a text longer than %u bytes for a pattern", MH_MAX_SUBJECT_BYTES);
	if (from > subject.n)
		return MH_SKIP;

	p->callouts = 0;
	const int n = pcre2_match(p->code, (PCRE2_SPTR)(subject.p == NULL ? "" : subject.p), subject.n, from,
	    PCRE2_NO_UTF_CHECK | (anchored ? PCRE2_ANCHORED : 0), p->data, p->context);
	if (n == PCRE2_ERROR_NOMATCH)
		return MH_SKIP;
	if (n < 0)
		return mh_fail(err, MH_LIMIT, "a pattern hit its budget");

	const size_t *offsets = pcre2_get_ovector_pointer(p->data);
	struct pattern_match m = { .start = offsets[0], .end = offsets[1] };
	for (size_t i = 0; i < FACT_COUNT; i++) {
		const uint32_t group = p->groups[i];

		if (group == 0 || group >= (uint32_t)n || offsets[2 * group] == PCRE2_UNSET)
			continue;
		m.facts[i] =
		    (struct mh_span){ subject.p + offsets[2 * group], offsets[2 * group + 1] - offsets[2 * group] };
	}
	*ret = m;
	return MH_OK;
}

unsigned
pattern_cost(const struct pattern *p)
{
	return p->callouts;
}

/* -- the literal -------------------------------------------------------------------------------------------------- */

/* Reads a regex only as far as its fixed text at the outermost level: what stands in a group, a class or behind an
 * escape that is no punctuation ends a run; "?", "*" and "{" take the last character back. Where in doubt, no literal. */
struct literal_reader {
	char run[PATTERN_MAX_LITERAL + 1];
	size_t n;
	bool run_at_start, fixed; /* fixed: only zero-width things stood before */
	struct pattern_plan *plan;
};

static void
end_run(struct literal_reader *l)
{
	if (l->n > strlen(l->plan->literal)) {
		memcpy(l->plan->literal, l->run, l->n);
		l->plan->literal[l->n] = '\0';
		l->plan->at_start = l->run_at_start;
	}
	l->n = 0;
}

static void
add_to_run(struct literal_reader *l, char c)
{
	if (l->n == 0)
		l->run_at_start = l->fixed;
	if (l->n < PATTERN_MAX_LITERAL)
		l->run[l->n++] = c;
	else
		end_run(l);
	l->fixed = false;
}

/* Takes back the last character, which a quantifier makes optional: all bytes of it. */
static void
drop_last(struct literal_reader *l)
{
	while (l->n > 0 && ((unsigned char)l->run[l->n - 1] & 0xC0) == 0x80)
		l->n--;
	if (l->n > 0)
		l->n--;
	end_run(l);
}

size_t
pattern_skip_class(const char *r)
{
	size_t i = 1;

	if (r[i] == '^')
		i++;
	if (r[i] == ']')
		i++;
	while (r[i] != '\0' && r[i] != ']') {
		if (r[i] == '\\' && r[i + 1] != '\0')
			i++;
		else if (r[i] == '[' && (r[i + 1] == ':' || r[i + 1] == '.' || r[i + 1] == '=')) {
			const char *close = strchr(r + i + 1, ']');

			if (close == NULL)
				return i + strlen(r + i);
			i = (size_t)(close - r);
		}
		i++;
	}
	return r[i] == ']' ? i + 1 : i;
}

size_t
pattern_skip_group(const char *r)
{
	size_t depth = 0, i = 0;

	while (r[i] != '\0') {
		if (r[i] == '\\' && r[i + 1] != '\0') {
			i += 2;
			continue;
		}
		if (r[i] == '[') {
			i += pattern_skip_class(r + i);
			continue;
		}
		depth += r[i] == '(';
		depth -= r[i] == ')';
		i++;
		if (depth == 0)
			break;
	}
	return i;
}

static bool
is_word_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* The longest literal of one regex; nothing where an alternative stands outside of groups. */
static void
find_literal(const char *r, struct pattern_plan *plan)
{
	struct literal_reader l = { .plan = plan, .fixed = true };
	size_t i = 0;

	while (r[i] != '\0') {
		const char c = r[i];

		switch (c) {
		case '|':
			plan->literal[0] = '\0';
			return;
		case '(':
			end_run(&l);
			l.fixed = false;
			i += pattern_skip_group(r + i);
			break;
		case '[':
			end_run(&l);
			l.fixed = false;
			i += pattern_skip_class(r + i);
			break;
		case '?':
		case '*':
		case '{':
			drop_last(&l);
			l.fixed = false;
			i++;
			while (c == '{' && r[i] != '\0' && r[i - 1] != '}')
				i++;
			break;
		case '+':
			end_run(&l);
			i++;
			break;
		case '^':
		case '$':
			end_run(&l);
			i++;
			break;
		case '.':
		case ')':
			end_run(&l);
			l.fixed = false;
			i++;
			break;
		case '\\':
			if (r[i + 1] == 'Q' || r[i + 1] == '\0') { /* quoting would hide what stands in it */
				plan->literal[0] = '\0';
				return;
			}
			if (is_word_char(r[i + 1])) {
				end_run(&l);
				if (r[i + 1] != 'b')
					l.fixed = false;
			} else {
				add_to_run(&l, r[i + 1]);
			}
			i += 2;
			break;
		default: /* a character that stands for itself */
			add_to_run(&l, c);
			i++;
			break;
		}
	}
	end_run(&l);
}

/* Named groups of the compiled pattern that are no fact. */
static enum mh_status
check_names(const struct pattern *p, struct mh_err *err)
{
	uint32_t count = 0, entry_bytes = 0;
	PCRE2_SPTR table = NULL;

	(void)pcre2_pattern_info(p->code, PCRE2_INFO_NAMECOUNT, &count);
	(void)pcre2_pattern_info(p->code, PCRE2_INFO_NAMEENTRYSIZE, &entry_bytes);
	(void)pcre2_pattern_info(p->code, PCRE2_INFO_NAMETABLE, &table);
	for (uint32_t i = 0; i < count; i++) {
		const char *name =
		    (const char *)table + (size_t)i * entry_bytes + 2; /* two bytes of group number first */
		bool known = false;

		for (size_t f = 0; f < FACT_COUNT; f++)
			known = known || strcmp(name, fact_names[f]) == 0;
		if (!known)
			return mh_fail(
			    err, MH_BAD, "group \"%s\" is none of expires, days, account, region, resource", name);
	}
	return MH_OK;
}

/* "(?x)", "(?ix:", "(?^x)": blanks and "#" mean something else then, which find_literal() does not know. */
static bool
is_extended(const char *regex)
{
	for (const char *open = strstr(regex, "(?"); open != NULL; open = strstr(open + 2, "(?")) {
		const char *flags = open + 2 + (open[2] == '^');

		if (memchr(flags, 'x', strspn(flags, "imsnxJU")) != NULL)
			return true;
	}
	return false;
}

enum mh_status
pattern_plan(const char *regex, struct pattern_plan *ret, struct mh_err *err)
{
	struct pattern_plan plan = { 0 };
	struct pattern *p = NULL;
	enum mh_status status = pattern_new(regex, &p, err);

	if (status != MH_OK)
		return status;
	status = check_names(p, err);
	for (size_t i = 0; i < FACT_COUNT; i++)
		plan.facts |= p->groups[i] != 0 ? 1u << i : 0;
	pattern_free(p);
	if (status != MH_OK)
		return status;
	if (plan.facts == 0)
		return mh_fail(err, MH_BAD, "a pattern without a group like (?<expires>...) reads nothing");
	if (is_extended(regex))
		return mh_fail(err, MH_BAD, "a pattern may not use (?x): its blanks would not be text");

	find_literal(regex, &plan);
	if (strlen(plan.literal) < PATTERN_MIN_LITERAL || !utf8_valid(span_of(plan.literal)))
		return mh_fail(err, MH_BAD, "a pattern needs %d fixed characters in a row outside of any group",
		    PATTERN_MIN_LITERAL);
	*ret = plan;
	return MH_OK;
}
