/* case_facts.c: what stood in a mail, before people read it in a ticket or a reply.
 *
 * Two dangers. Nothing proves an unverified mail, so what it says is shown only where its form leaves no room for words
 * or links of a forger; "mailhook show" has the rest. And a text that goes by mail may reach a ticket system, which
 * takes a number behind a mark in it for a ticket of its own: "[example.com #12]" (RT, Redmine), "Ticket#12" (Zammad,
 * OTRS), "#12" (osTicket), "OPS-12" (Jira, in small letters too), "INC0000012", "Ref:MSG0000012" (ServiceNow). A proven
 * mail is no safer there: the name of a token is chosen by whoever made it. What AWS itself numbers stays whole in an
 * ARN, and a region where it stands alone, so a Jira project WEST or ABCD has no safety from "eu-west-1" and UUIDs. */
#include <string.h>

#include "actions/common/case_text.h"

#define MAX_WORD_BYTES 40    /* a name; what is longer has room for a sentence in hyphens */
#define MAX_WORD_SIGNS 3     /* . _ and - in a word: deploy-key_2, 1.2.3.4 */
#define MAX_REGION_BYTES 16  /* ap-southeast-2, us-isob-east-1 */
#define MAX_SERVICE_BYTES 24 /* of an ARN: elasticloadbalancing */
#define ARN_FIELDS 5         /* before the resource: arn, partition, service, region, account */
#define MAX_ARN_PARTS 3      /* of the resource: certificate/ID, trust-anchor/ID, function:NAME:VERSION */
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

/* One word that has no room for a sentence, and that no program makes a link of: behind the last point of a host's name
 * stands a letter, behind a version's none. */
static bool
is_word(struct mh_span s)
{
	size_t signs = 0;

	if (!is_made_of(s, "._*-", MAX_WORD_BYTES))
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '.' && i + 1 < s.n && is_letter(s.p[i + 1]))
			return false;
		if (!is_letter(s.p[i]) && !is_digit(s.p[i]) && s.p[i] != '*')
			signs++;
	}
	return signs <= MAX_WORD_SIGNS;
}

/* As AWS names them: small letters, then a direction and one digit. */
static bool
is_region_name(struct mh_span s)
{
	static const char *const ends[] = { "north", "south", "east", "west", "central" };

	if (!is_made_of(s, "-", MAX_REGION_BYTES) || s.n < 3 || !is_digit(s.p[s.n - 1]) || s.p[s.n - 2] != '-')
		return false;
	const struct mh_span name = span_head(s, s.n - 2);
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] != '-' && (name.p[i] < 'a' || name.p[i] > 'z'))
			return false;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (span_iends(name, span_of(ends[i])))
			return true;
	return false;
}

static bool
is_uuid(struct mh_span s)
{
	static const char form[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";

	if (s.n != sizeof(form) - 1)
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (form[i] == '-' ? s.p[i] != '-' : !is_digit(s.p[i]) && (s.p[i] < 'a' || s.p[i] > 'f'))
			return false;
	return true;
}

/* The part of an ARN that *rest begins with; moves *rest behind it and the sign at its end. */
static struct mh_span
arn_part(struct mh_span *rest, bool resource)
{
	size_t n = 0;

	while (n < rest->n && rest->p[n] != ':' && !(resource && rest->p[n] == '/'))
		n++;
	const struct mh_span part = span_head(*rest, n);
	*rest = span_from(*rest, n < rest->n ? n + 1 : n);
	return part;
}

/* An ARN each of whose parts has a form of its own: a sentence with ':' or '/' for its spaces is none. */
static bool
is_arn(struct mh_span s)
{
	struct mh_span rest = s;
	size_t parts = 0;

	if (!span_starts(s, MH_LIT("arn:aws")) || s.n > MH_MAX_FACT_BYTES || s.p[s.n - 1] == ':' || s.p[s.n - 1] == '/')
		return false;
	for (size_t i = 0; i < ARN_FIELDS; i++) {
		const struct mh_span field = arn_part(&rest, false);
		const bool empty = field.n == 0 && i >= 3;

		if (!empty &&
		    !(i == 3 ? is_region_name(field) : is_made_of(field, i == 4 ? "" : "-", MAX_SERVICE_BYTES)))
			return false;
	}
	for (; rest.n > 0; parts++) {
		const struct mh_span part = arn_part(&rest, true);

		if (!is_uuid(part) && !is_word(part))
			return false;
	}
	return parts > 0 && parts <= MAX_ARN_PARTS;
}

static bool
is_address(struct mh_span s)
{
	const size_t at = span_find(s, MH_LIT("@"), 0);

	return at != SIZE_MAX && is_made_of(span_head(s, at), "._+=-", 64) &&
	       is_made_of(span_from(s, at + 1), ".-", 255);
}

/* "nodejs20.x", "java8.al2", "provided.al2023": words but for what no host's name ends with. */
static bool
is_runtime_identifier(struct mh_span s)
{
	static const char *const ends[] = { ".x", ".al2", ".al2023" };

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (span_iends(s, span_of(ends[i])))
			return is_word(span_head(s, s.n - strlen(ends[i])));
	return false;
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
		return is_word(s);
	case MAIL_REGION:
		return is_region_name(s);
	case MAIL_RESOURCE:
		if (strcmp(kind, "unrecognised") == 0)
			return is_address(s);
		return is_arn(s) || is_word(s) ||
		       (strcmp(kind, "aws.lambda.runtime-support") == 0 && (is_runtime(s) || is_runtime_identifier(s)));
	case MAIL_REASON: /* ours, up to what it quotes */
		return span_find(s, MH_LIT("\""), 0) == SIZE_MAX;
	}
	return false;
}

/* May digits stand directly behind s[0..at)? Behind "OPS-", "AB2-" and "INC" they may be a ticket's number; not so those
 * of a date, a version or python3. */
static bool
may_follow(struct mh_span s, size_t at, size_t digits)
{
	const char c = at == 0 ? ' ' : s.p[at - 1];

	if (is_letter(c))
		return digits < TICKET_DIGITS;
	if (c == ':' && at > 1 && is_digit(s.p[at - 2]))
		return true;
	if (c == '-' && at > 1 && is_digit(s.p[at - 2])) {
		size_t first = at - 1;

		while (first > 0 && (is_digit(s.p[first - 1]) || s.p[first - 1] == '-'))
			first--;
		/* Behind a letter and '-' the chain stands apart already: "ip- 10-0-0-1". */
		return first == 0 || !is_letter(s.p[first - 1]) || s.p[first] == '-';
	}
	return strchr(" .([#", c) != NULL; /* the last three are written otherwise */
}

static size_t
digits_at(struct mh_span s, size_t at)
{
	size_t n = 0;

	while (at + n < s.n && is_digit(s.p[at + n]))
		n++;
	return n;
}

static bool
has_marks(struct mh_span s)
{
	for (size_t i = 0; i < s.n; i++) {
		const size_t digits = digits_at(s, i);

		if (digits == 0)
			continue;
		if (!may_follow(s, i, digits))
			return true;
		i += digits - 1;
	}
	return false;
}

/* People look for an ARN by the whole: may it stay, for none of its parts has a mark in it? */
static bool
is_arn_without_marks(struct mh_span s)
{
	struct mh_span rest = s;

	if (!is_arn(s))
		return false;
	while (rest.n > 0) {
		const struct mh_span part = arn_part(&rest, true);

		if (!is_uuid(part) && !is_region_name(part) && has_marks(part))
			return false;
	}
	return true;
}

/* No ticket's mark is left: brackets become round, "#" becomes "No. ", and numbers stand apart from
 * what is before them. */
static enum mh_status
without_marks(struct mh_span s, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf out;

	buf_init(&out, 4 * s.n + 1);
	for (size_t i = 0; i < s.n; i++) {
		const size_t digits = digits_at(s, i);

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

/* What mailhook says of itself stood in no mail; but a case of silence is of what the mail of the case before named. */
static bool
is_ours(const char *kind, enum mail_fact what)
{
	return span_starts(span_of(kind), MH_LIT("mailhook.")) &&
	       (strcmp(kind, "mailhook.silence") != 0 || what == MAIL_REASON);
}

enum mh_status
mail_fact_show(const struct request *r, enum mail_fact what, const char *value, enum case_readers readers,
    struct mh_span elsewhere, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	struct mh_span s = span_of(value);

	if (s.n == 0 || readers == READERS_PROGRAMS || is_ours(r->expiry.kind, what)) {
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
	if (readers != READERS_BY_MAIL || (what == MAIL_REGION && is_region_name(s)) || is_arn_without_marks(s)) {
		*ret = s;
		return MH_OK;
	}
	return without_marks(s, a, ret, err);
}
