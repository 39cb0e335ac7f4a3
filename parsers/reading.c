/* reading.c: one message read to its end: the mail, its header's facts, the parser, the verdict of limits. */
#include <string.h>

#include "mailhook/mail/charset.h"
#include "mailhook/mail/mail.h"
#include "parsers/address.h"
#include "parsers/parser.h"

#define LOOP_MARK "X-Mailhook-Job"

struct limit_words {
	unsigned bit;
	const char *words;
};

static const struct limit_words limit_words[] = {
	{ MAIL_LIMIT_MESSAGE, "the message is longer than can be read" },
	{ MAIL_LIMIT_HEADER, "the header is longer than can be read" },
	{ MAIL_LIMIT_FIELDS, "more header fields than can be read" },
	{ MAIL_LIMIT_FIELD, "a header field is longer than can be read" },
	{ MAIL_LIMIT_DEPTH, "parts are nested deeper than can be read" },
	{ MAIL_LIMIT_PARTS, "more parts than can be read" },
	{ MAIL_LIMIT_TEXT, "a text is longer than can be read" },
	{ MAIL_LIMIT_WORDS, "more encoded words than can be read" },
	{ MAIL_LIMIT_MEMORY, "the message needs more memory than it may have" },
	{ MAIL_LIMIT_COMMENT, "comments are nested deeper than can be read" },
	{ MAIL_LIMIT_PARAMS, "more parameters than can be read" },
};

static const char *
first_limit(unsigned limits)
{
	for (size_t i = 0; i < sizeof(limit_words) / sizeof(limit_words[0]); i++)
		if ((limits & limit_words[i].bit) != 0)
			return limit_words[i].words;
	return "a limit was hit";
}

/* -- header facts ------------------------------------------------------------------------------------------------- */

/* A raw value unfolded: line ends go, the white space behind them stays (RFC 5322 2.2.3); trimmed, and at most max
 * bytes of it, which tail takes from its end. MH_NONE where the field is missing or the arena is full. */
static struct mh_span
unfolded(const struct mail_field *f, size_t max, bool tail, struct arena *a)
{
	if (f == NULL)
		return MH_NONE;

	const size_t spare = max * 2;
	struct mh_span raw = span_trim(f->raw);
	if (raw.n > spare) /* folding is not half of a field; so a field of 64 kB is not copied whole */
		raw = tail ? span_from(raw, raw.n - spare) : span_head(raw, spare);

	char *p = arena_alloc(a, raw.n + 1);
	size_t n = 0;
	if (p == NULL)
		return MH_NONE;
	for (size_t i = 0; i < raw.n; i++)
		if (raw.p[i] != '\r' && raw.p[i] != '\n')
			p[n++] = raw.p[i];

	struct mh_span s = { p, n };
	if (n > max)
		s = tail ? span_from(s, n - max) : span_head(s, utf8_cut(s, max));
	return s;
}

/* Message ids only, one blank between: what a reply's References can hold. The newest are the last. */
static struct mh_span
message_ids(const struct mail_message *m, struct arena *a)
{
	const struct mail_field *f = mail_field(m, "References");
	struct mh_span s = unfolded(f, MH_MAX_REFERENCES_BYTES, true, a);
	size_t n = 0, i = 0;

	if (s.n == 0)
		s = unfolded(mail_field(m, "In-Reply-To"), MH_MAX_REFERENCES_BYTES, true, a);
	char *p = s.n == 0 ? NULL : arena_alloc(a, s.n + 2);
	if (p == NULL)
		return MH_NONE;
	while (i < s.n) {
		const char *open = memchr(s.p + i, '<', s.n - i);
		if (open == NULL)
			break;

		const size_t start = (size_t)(open - s.p);
		size_t end = start + 1;
		while (end < s.n && s.p[end] > ' ' && s.p[end] < '\x7F' && s.p[end] != '<' && s.p[end] != '>')
			end++;
		if (end < s.n && s.p[end] == '>' && end > start + 1) {
			if (n > 0)
				p[n++] = ' ';
			memcpy(p + n, s.p + start, end + 1 - start);
			n += end + 1 - start;
			end++;
		}
		i = end;
	}
	return n == 0 ? MH_NONE : (struct mh_span){ p, n };
}

/* The field's value without comments and parameters: "auto-replied; owner=..." is "auto-replied". */
static struct mh_span
keyword(const struct mail_field *f)
{
	struct mh_span s = f->value;

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == ';' || s.p[i] == '(')
			return span_trim(span_head(s, i));
	return span_trim(s);
}

/* RFC 3834 and what programs do beside it. */
static void
find_manners(const struct mail_message *m, struct reading *ret)
{
	const struct mail_field *f = mail_field(m, "Auto-Submitted");

	ret->automatic = m->report || (f != NULL && !span_ieq(keyword(f), MH_LIT("no"))) ||
			 mail_field(m, "X-Auto-Response-Suppress") != NULL;
	for (size_t i = 0; i < m->n_fields; i++) {
		const struct mh_span name = m->fields[i].name;

		if (span_istarts(name, MH_LIT("List-")) || span_ieq(name, MH_LIT("Mailing-List")) ||
		    span_ieq(name, MH_LIT("X-BeenThere")))
			ret->list = true;
		if (!span_ieq(name, MH_LIT("Precedence")))
			continue;
		const struct mh_span word = keyword(&m->fields[i]);
		ret->list = ret->list || span_ieq(word, MH_LIT("list"));
		ret->automatic = ret->automatic || span_ieq(word, MH_LIT("bulk")) || span_ieq(word, MH_LIT("junk"));
	}
	ret->own = mail_field(m, LOOP_MARK) != NULL;
}

static enum mh_status
header_facts(const struct mail *mail, struct arena *a, struct reading *ret, struct mh_err *err)
{
	const struct mail_message *m = &mail->messages[0];
	const struct mail_field *from = mail_field(m, "From"), *reply_to = mail_field(m, "Reply-To");
	size_t count = 0;
	struct mh_span address;

	ret->body_at = mail->body_at;
	ret->message_id = unfolded(mail_field(m, "Message-ID"), MH_MAX_FACT_BYTES, false, a);
	ret->from = unfolded(from, MH_MAX_FACT_BYTES, false, a);
	ret->date = unfolded(mail_field(m, "Date"), MH_MAX_FACT_BYTES, false, a);
	ret->subject = unfolded(mail_field(m, "Subject"), MH_MAX_FACT_BYTES, false, a);
	ret->content_type = unfolded(mail_field(m, "Content-Type"), MH_MAX_FACT_BYTES, false, a);
	ret->references = message_ids(m, a);
	find_manners(m, ret);

	/* Two From fields, or two addresses in one, are nobody's: a mail program and we might each believe another. */
	if (from != NULL && mail_field_nth(m, "From", 1) == NULL) {
		if (address_read(from->raw, a, &address, &count, err) != MH_OK)
			return MH_LIMIT;
		if (count == 1 && address.n > 0)
			ret->from_address = address;
	}
	ret->reply_to = ret->from_address;
	if (reply_to != NULL) {
		if (address_read(reply_to->raw, a, &address, &count, err) != MH_OK)
			return MH_LIMIT;
		if (count > 0 && address.n > 0)
			ret->reply_to = address;
	}
	return MH_OK;
}

/* -- the whole ---------------------------------------------------------------------------------------------------- */

static void
fail(struct reading *ret, struct arena *a, const char *words)
{
	struct mh_span reason;

	ret->verdict = MH_FAILED;
	ret->n_notices = 0;
	ret->notices = NULL;
	ret->reason = arena_copy(a, span_of(words), &reason, NULL) == MH_OK
			  ? reason
			  : MH_LIT("the message needs more memory than it may have");
}

/* What the reader had to cut may have been the notice: then "irrelevant" would be a guess. */
static void
judge_limits(const struct mail *m, struct arena *a, struct reading *ret)
{
	struct mh_span reason;

	if (m->limits == 0)
		return;
	switch (ret->verdict) {
	case MH_IRRELEVANT:
		fail(ret, a, first_limit(m->limits));
		break;
	case MH_NOTICE:
		if (ret->reason.p == NULL &&
		    arena_printf(a, &reason, NULL, "partial: %s", first_limit(m->limits)) == MH_OK)
			ret->reason = reason;
		break;
	case MH_UNRECOGNISED:
	case MH_FAILED:
		break;
	}
}

void
read_message(const struct mh_parser *parser, void *state, const struct charset_set *charsets, struct mh_span raw,
    struct arena *a, struct reading *ret)
{
	struct mh_err err = { 0 };
	struct mail mail = { 0 };

	*ret = (struct reading){ .verdict = MH_FAILED, .body_at = raw.n };
	if (mail_read(raw, charsets, a, &mail, &err) != MH_OK || header_facts(&mail, a, ret, &err) != MH_OK ||
	    parser->parse(state, &mail, a, ret, &err) != MH_OK) {
		fail(ret, a, err.text);
		return;
	}
	judge_limits(&mail, a, ret);
}
