/* case_facts.c: what stood in a mail, before people read it in a ticket or a reply.
 *
 * Two dangers. Nothing proves an unverified mail, so what it says is shown only where its form leaves no room for words
 * or links of a forger; "mailhook show" has the rest. And a text that goes by mail may reach a ticket system, which
 * takes a number behind a mark in it for a ticket of its own: "[example.com #12]" (RT, Redmine), "Ticket#12" (Zammad,
 * OTRS), "#12" (osTicket), "OPS-12" (Jira), "INC0000012", "Ref:MSG0000012" (ServiceNow). A proven mail is no safer
 * there: the name of a token is chosen by whoever made it. */
#include <string.h>

#include "actions/common/case_text.h"

#define MAX_WORD_BYTES 100   /* as the shipped definitions bound names */
#define TICKET_DIGITS 4      /* so many behind letters may be a ticket's number; python3 and ec2 are none */
#define MAX_RUNTIME_BYTES 40 /* as the definition bounds it */

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Letters, digits and more only; at most max bytes. */
static bool
is_made_of(struct mh_span s, const char *more, size_t max)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_letter(s.p[i]) && !is_digit(s.p[i]) && (s.p[i] == '\0' || strchr(more, s.p[i]) == NULL))
			return false;
	return s.n > 0 && s.n <= max;
}

static bool
is_arn(struct mh_span s)
{
	return span_starts(s, MH_LIT("arn:aws")) && is_made_of(s, ":/._-*", MH_MAX_FACT_BYTES) &&
	       span_find(s, MH_LIT("//"), 0) == SIZE_MAX;
}

static bool
has_capitals(struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] >= 'A' && s.p[i] <= 'Z')
			return true;
	return false;
}

static bool
is_region_name(struct mh_span s)
{
	return is_made_of(s, "-", 40) && is_letter(s.p[0]) && !has_capitals(s);
}

static bool
is_address(struct mh_span s)
{
	const size_t at = span_find(s, MH_LIT("@"), 0);

	return at != SIZE_MAX && is_made_of(span_head(s, at), "._+=-", 64) &&
	       is_made_of(span_from(s, at + 1), ".-", 255);
}

/* "Node.js 20", ".NET 6", "Java 8 on Amazon Linux 1". */
static bool
is_runtime(struct mh_span s)
{
	static const char *const first[] = { "Node.js", "Python", "Ruby", "Java", "Go", ".NET", "dotnet", "provided" };
	static const char *const later[] = { "Core", "on", "Amazon", "Linux", "AL1", "AL2", "(AL1)", "(AL2)", "1.x" };
	bool known = false;

	if (s.n > MAX_RUNTIME_BYTES)
		return false;
	for (size_t n = 0; s.n > 0; n++) {
		const char *const *words = n == 0 ? first : later;
		const size_t n_words = n == 0 ? sizeof(first) / sizeof(first[0]) : sizeof(later) / sizeof(later[0]);
		const struct mh_span word = span_head(s, span_find(s, MH_LIT(" "), 0));

		known = n > 0 && is_made_of(word, ".", 8) && is_digit(word.p[0]) && is_digit(word.p[word.n - 1]);
		for (size_t i = 0; i < n_words && !known; i++)
			known = span_ieq(word, span_of(words[i]));
		if (!known)
			return false;
		s = span_trim(span_from(s, word.n));
	}
	return known;
}

static bool
has_form(const char *kind, enum mail_fact what, struct mh_span s)
{
	switch (what) {
	case MAIL_ACCOUNT:
		return is_made_of(s, "._*-", MAX_WORD_BYTES);
	case MAIL_REGION:
		return is_region_name(s);
	case MAIL_RESOURCE: /* versions and names of hosts are single words */
		if (strcmp(kind, "unrecognised") == 0)
			return is_address(s);
		return is_arn(s) || is_made_of(s, "._*-", MAX_WORD_BYTES) ||
		       (strcmp(kind, "aws.lambda.runtime-support") == 0 && is_runtime(s));
	case MAIL_REASON: /* ours, up to what it quotes */
		return span_find(s, MH_LIT("\""), 0) == SIZE_MAX;
	}
	return false;
}

/* May digits stand directly behind s[0..at)? Behind "OPS-" and "INC" they may be a ticket's number; not so those of a
 * date, a version or python3. */
static bool
may_follow(struct mh_span s, size_t at, size_t digits)
{
	const char c = at == 0 ? ' ' : s.p[at - 1];

	if (is_letter(c))
		return digits < TICKET_DIGITS;
	if ((c == '-' || c == ':') && at > 1 && is_digit(s.p[at - 2]))
		return true;
	return strchr(" .([#", c) != NULL; /* the last three are written otherwise */
}

/* No ticket's mark is left: brackets become round, "#" becomes "No. ", and numbers stand apart from
 * what is before them. */
static enum mh_status
without_marks(struct mh_span s, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf out;

	buf_init(&out, 4 * s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		size_t digits = 0;

		while (i + digits < s.n && is_digit(s.p[i + digits]))
			digits++;
		if (digits > 0) {
			if (!may_follow(s, i, digits))
				buf_putc(&out, ' ');
			buf_put(&out, (struct mh_span){ s.p + i, digits });
			i += digits - 1;
		} else if (s.p[i] == '#') {
			buf_puts(&out, "No. ");
		} else {
			buf_putc(&out, s.p[i] == '[' ? '(' : s.p[i] == ']' ? ')' : s.p[i]);
		}
	}
	return buf_ok(&out) ? arena_copy(a, buf_span(&out), ret, err) : mh_fail(err, MH_RETRY, "no memory for a text");
}

/* An unread mail's case is trusted no better than any, but the mail itself may be. */
static bool
is_proven(const struct request *r)
{
	const enum trust level = strcmp(r->expiry.kind, "unrecognised") == 0 ? r->message.trust : r->trust.level;

	return level > TRUST_NONE;
}

enum mh_status
mail_fact_show(const struct request *r, enum mail_fact what, const char *value, enum case_readers readers,
    struct mh_span elsewhere, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	struct mh_span s = span_of(value);

	/* What mailhook says of itself stood in no mail. */
	if (s.n == 0 || readers == READERS_PROGRAMS || span_starts(span_of(r->expiry.kind), MH_LIT("mailhook."))) {
		*ret = s;
		return MH_OK;
	}
	if (!is_proven(r) && !has_form(r->expiry.kind, what, s)) {
		if (what != MAIL_REASON)
			s = elsewhere;
		else
			s = span_trim(span_head(s, span_find(s, MH_LIT("\""), 0)));
		if (s.n > 0 && s.p[s.n - 1] == ':')
			s.n--;
	}
	/* Marks are in capitals where no sign goes before the number, and people look for an ARN by the whole. */
	if (readers != READERS_BY_MAIL || (what == MAIL_REGION && is_region_name(s)) ||
	    (is_arn(s) && !has_capitals(s))) {
		*ret = s;
		return MH_OK;
	}
	return without_marks(s, a, ret, err);
}
