/* policy.c: which trust level a mail has, and why. A doubt of any kind ends a way up, never the mail. */
#include <stdio.h>
#include <string.h>

#include "mailhook/mail/mail.h"
#include "mailhook/verify/verify_impl.h"

#define MAX_WORD_BYTES 80 /* one piece of the mail in a step */

static const struct mh_span SNS_DOMAINS[] = { { "sns.amazonaws.com", 17 }, { "sns.amazonaws.com.cn", 20 } };

struct judge {
	struct mh_span raw;
	struct verify_mail mail;
	int64_t received;
	const struct verify_policy *policy;
	struct key_source keys;
	struct arena *arena;
	struct mh_span from; /* MH_NONE: not one plain address */
	struct verify_result *out;
	struct mh_err *err;
};

/* -- words -------------------------------------------------------------------------------------------------------- */

static void say(struct judge *j, const char *fmt, ...) MH_PRINTF(2, 3);

static void
say(struct judge *j, const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	const int n = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (n < 0 || j->out->n_steps == VERIFY_MAX_STEPS)
		return;
	const size_t length = (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
	/* A full arena costs the words, not the verdict. */
	if (arena_copy(j->arena, (struct mh_span){ line, length }, &j->out->steps[j->out->n_steps], NULL) == MH_OK)
		j->out->n_steps++;
}

struct word {
	char text[MAX_WORD_BYTES];
};

static struct word
word_of(struct mh_span s)
{
	struct word w;

	mh_escape(w.text, sizeof(w.text), s);
	return w;
}

static void
raise_to(struct judge *j, enum trust_level level, const char *way, struct mh_span what, struct mh_span selector)
{
	if (level <= j->out->level)
		return;
	j->out->level = level;
	snprintf(j->out->by, sizeof(j->out->by), "%s %.*s%s%.*s", way, (int)what.n, what.n == 0 ? "" : what.p,
	    selector.n > 0 ? " " : "", (int)selector.n, selector.n == 0 ? "" : selector.p);
}

/* -- lists -------------------------------------------------------------------------------------------------------- */

static bool
among(const char *const *list, struct mh_span s)
{
	for (; list != NULL && *list != NULL; list++)
		if (span_ieq(s, span_of(*list)))
			return true;
	return false;
}

static bool
configured(const struct conf_list *list, struct mh_span s)
{
	for (size_t i = 0; i < list->n; i++)
		if (span_ieq(s, span_of(list->items[i])))
			return true;
	return false;
}

static struct mh_span
domain_of(struct mh_span address)
{
	const char *at = address.n == 0 ? NULL : memchr(address.p, '@', address.n);

	return at == NULL ? MH_NONE : span_from(address, (size_t)(at - address.p) + 1);
}

static bool
is_sns(struct mh_span domain)
{
	for (size_t i = 0; i < sizeof(SNS_DOMAINS) / sizeof(SNS_DOMAINS[0]); i++)
		if (domain_within(domain, SNS_DOMAINS[i]))
			return true;
	return false;
}

/* -- what every way asks for -------------------------------------------------------------------------------------- */

/* The author must be at the signing domain or below it, and listed by the definition. */
static bool
author_fits(struct judge *j, const char *way, struct mh_span domain)
{
	if (j->from.p == NULL)
		return false;
	if (!domain_within(domain_of(j->from), domain)) {
		say(j, "%s %s: From is %s, which is not of this domain", way, word_of(domain).text,
		    word_of(j->from).text);
		return false;
	}
	if (!among(j->policy->senders, j->from)) {
		say(j, "%s %s: no definition lists the sender %s", way, word_of(domain).text, word_of(j->from).text);
		return false;
	}
	return true;
}

/* May what SNS sent be believed? sent: SNS itself is what was proved, so there must be a topic; else only where there
 * is a footer of SNS.   errors  MH_BAD: no, it was said why; MH_LIMIT */
static enum mh_status
topic_fits(struct judge *j, bool sent, bool direct)
{
	struct mh_span topic;
	struct mh_err why = { 0 };
	const enum mh_status status = sns_topic(j->raw, j->arena, direct, &topic, &why);

	if (status == MH_SKIP && !sent)
		return MH_OK;
	if (status == MH_LIMIT)
		return mh_fail(j->err, MH_LIMIT, "%s", why.text);
	if (status != MH_OK) {
		say(j, "SNS: %s", why.text);
		return MH_BAD;
	}
	for (size_t i = 0; i < j->policy->trust->sns_topics.n; i++)
		if (span_eq(topic, span_of(j->policy->trust->sns_topics.items[i]))) {
			say(j, "SNS: the topic %s is configured", word_of(topic).text);
			return MH_OK;
		}
	say(j, "SNS: the topic %s is not among sns_topics: anybody can have SNS send a text", word_of(topic).text);
	return MH_BAD;
}

/* "[CASE 123": how AWS Support begins the subjects of its mails. */
static bool
names_support_case(struct mh_span subject)
{
	const struct mh_span mark = MH_LIT("[CASE");

	for (size_t at = 0; (at = span_ifind(subject, mark, at)) != SIZE_MAX; at++) {
		const struct mh_span behind = span_trim(span_from(subject, at + mark.n));
		if (behind.n > 0 && behind.p[0] >= '0' && behind.p[0] <= '9')
			return true;
	}
	return false;
}

/* Every customer may have AWS Support copy to any ten addresses what the customer wrote in a case of their own. It comes
 * from no-reply-aws@amazon.com, and is signed.
 *   errors  MH_BAD: it is such a mail, and it was said; MH_LIMIT
 *   source  AWS Support API, AddCommunicationToCase: ccEmailAddresses, communicationBody */
static enum mh_status
text_is_the_signers(struct judge *j)
{
	const struct verify_field *f = message_field(&j->mail, "Subject");
	struct mail mail;

	if (f == NULL)
		return MH_OK;
	struct mh_span subject = f->value;
	if (span_find(subject, MH_LIT("=?"), 0) != SIZE_MAX) { /* encoded: as the reader sees it */
		const enum mh_status status = mail_read(j->raw, NULL, j->arena, &mail, j->err);
		const struct mail_field *decoded = status == MH_OK ? mail_field(&mail.messages[0], "Subject") : NULL;
		if (status != MH_OK)
			return status;
		if (decoded != NULL)
			subject = decoded->value;
	}
	if (!names_support_case(subject))
		return MH_OK;
	say(j, "a mail of a support case: its text is what any customer has AWS send");
	return MH_BAD;
}

/* What AWS sends for others, by either way, is theirs. sent, direct: as in topic_fits. */
static enum mh_status
words_fit(struct judge *j, bool sns, bool direct)
{
	const enum mh_status status = text_is_the_signers(j);

	return status == MH_OK && (sns || !direct) ? topic_fits(j, sns, direct) : status;
}

/* MH_RETRY and MH_BAD end a way only; what is left is the message's own error. */
static enum mh_status
way_ends(struct judge *j, enum mh_status status, const struct mh_err *why)
{
	if (status == MH_RETRY)
		j->out->temporary = true;
	return status == MH_LIMIT ? mh_fail(j->err, MH_LIMIT, "%s", why->text) : MH_OK;
}

/* -- DKIM --------------------------------------------------------------------------------------------------------- */

static enum mh_status
judge_signature(
    struct judge *j, const struct verify_field *f, const struct taglist *tags, struct mh_span d, bool signer)
{
	struct signature s;
	struct mh_err why = { 0 };
	enum mh_status status = f->value.n > MAX_SIGNATURE_BYTES
				    ? mh_fail(&why, MH_BAD, "a signature of %zu bytes", f->value.n)
				    : signature_of_tags(tags, SIGNATURE_DKIM, j->arena, &s, &why);

	if (status == MH_OK)
		status = dkim_covers(&j->mail, &s, true, &why);
	if (status == MH_OK)
		status = dkim_verify(&j->mail, f, &s, j->received, &j->keys, j->arena, &why);
	if (status != MH_OK) {
		say(j, "DKIM %s: %s", word_of(d).text, why.text);
		return way_ends(j, status, &why);
	}
	say(j, "DKIM %s: the signature %s is good, and covers all that is read", word_of(d).text, word_of(s.s).text);
	const bool sns = signer && (is_sns(d) || is_sns(domain_of(j->from)));
	status = words_fit(j, sns, signer);
	if (status == MH_OK)
		raise_to(j, signer ? TRUST_VERIFIED : TRUST_RELAYED, "dkim", s.d, s.s);
	return status == MH_BAD ? MH_OK : status;
}

static enum mh_status
judge_dkim(struct judge *j)
{
	struct taglist tags;
	size_t seen = 0, tried = 0;

	for (size_t i = 0; i < j->mail.n_fields && j->out->level < TRUST_VERIFIED; i++) {
		const struct verify_field *f = &j->mail.fields[i];

		if (!span_ieq(f->name, MH_LIT("DKIM-Signature")))
			continue;
		seen++;
		const struct mh_span d = taglist_read(f->value, &tags, NULL) == MH_OK ? tag_value(&tags, "d") : MH_NONE;
		const bool signer = among(j->policy->signers, d);
		const bool forwarder = configured(&j->policy->trust->forwarders, d);
		if (d.p == NULL) {
			say(j, "DKIM: a signature that is no tag list, or has no d=");
			continue;
		}
		if (!signer && !forwarder) {
			say(j, "DKIM %s: %s", word_of(d).text,
			    span_ieq(d, MH_LIT("amazonses.com"))
				? "proves nothing: every customer of SES has this signature"
				: "not a domain that the definition or the configuration names");
			continue;
		}
		if (++tried > MAX_SIGNATURES) {
			say(j, "DKIM: more than %d signatures, the rest was not looked at", MAX_SIGNATURES);
			break;
		}
		if (signer ? !author_fits(j, "DKIM", d) : !domain_within(domain_of(j->from), d)) {
			if (!signer)
				say(j, "DKIM %s: From is not of this forwarder", word_of(d).text);
			continue;
		}
		const enum mh_status status = judge_signature(j, f, &tags, d, signer);
		if (status != MH_OK)
			return status;
	}
	if (seen == 0)
		say(j, "DKIM: the mail has no signature");
	return MH_OK;
}

/* -- Authentication-Results --------------------------------------------------------------------------------------- */

/* How many fields from the top are beyond a sender's reach: those above the hops-th Received. Where the server takes
 * forged ones out, those above the next one too, since it may write its own below its Received. 0: none. */
static size_t
trusted_fields(const struct verify_mail *m, const struct conf_trust *t)
{
	const size_t hops = t->hops < 1 ? 1 : (size_t)t->hops;
	size_t received = 0;

	for (size_t i = 0; i < m->n_fields; i++) {
		if (!span_ieq(m->fields[i].name, MH_LIT("Received")))
			continue;
		received++;
		if (received == hops + t->authres_stripped)
			return i;
	}
	return received >= hops ? m->n_fields : 0;
}

/* The signatures of that domain that stand in the mail must cover what is read: the server's word does not say so. */
static bool
signatures_cover(struct judge *j, struct mh_span domain)
{
	for (size_t i = 0; i < j->mail.n_fields; i++) {
		const struct verify_field *f = &j->mail.fields[i];
		struct mh_err why = { 0 };
		struct signature s;

		if (!span_ieq(f->name, MH_LIT("DKIM-Signature")) || !span_ieq(signature_domain(f->value), domain))
			continue;
		if (signature_read(f->value, SIGNATURE_DKIM, j->arena, &s, &why) != MH_OK ||
		    dkim_covers(&j->mail, &s, true, &why) != MH_OK) {
			say(j, "Authentication-Results: the signature of %s: %s", word_of(domain).text, why.text);
			return false;
		}
	}
	return true;
}

static enum mh_status
judge_results(struct judge *j, const struct authres *r)
{
	bool any = false;

	for (size_t i = 0; i < r->n_results; i++) {
		const struct mh_span domain = authres_dkim_domain(&r->results[i]);

		if (domain.p == NULL || !among(j->policy->signers, domain))
			continue;
		any = true;
		if (!author_fits(j, "Authentication-Results", domain) || !signatures_cover(j, domain))
			continue;
		say(j, "Authentication-Results: %s saw a good signature of %s", word_of(r->id).text,
		    word_of(domain).text);
		const bool sns = is_sns(domain) || is_sns(domain_of(j->from));
		const enum mh_status status = words_fit(j, sns, true);
		if (status == MH_OK)
			raise_to(j, TRUST_VERIFIED, "authres", r->id, MH_NONE);
		if (status != MH_BAD)
			return status;
	}
	if (!any)
		say(j, "Authentication-Results: %s saw no good DKIM signature of a domain that the definition names",
		    word_of(r->id).text);
	return MH_OK;
}

/* The one field of a configured server within its reach. A field there that cannot be read may be that server's. */
static enum mh_status
find_results(struct judge *j, struct authres *ret)
{
	const struct conf_trust *t = j->policy->trust;
	const size_t n = trusted_fields(&j->mail, t);
	size_t found = 0;

	for (size_t i = 0; i < (t->authres_stripped ? j->mail.n_fields : n); i++) {
		struct authres one;
		struct mh_err why = { 0 };

		if (!span_ieq(j->mail.fields[i].name, MH_LIT("Authentication-Results")))
			continue;
		const enum mh_status status = authres_read(j->mail.fields[i].value, j->arena, &one, &why);
		if (status == MH_LIMIT)
			return mh_fail(j->err, MH_LIMIT, "%s", why.text);
		if (status != MH_OK) {
			if (i < n) {
				say(j, "Authentication-Results: %s", why.text);
				return MH_BAD;
			}
			continue;
		}
		if (!configured(&t->authserv_id, one.id))
			continue;
		if (++found > 1) {
			say(j, "Authentication-Results: more than one field of %s", word_of(one.id).text);
			return MH_BAD;
		}
		if (i < n)
			*ret = one;
		else
			ret->id = MH_NONE;
	}
	if (found == 1 && ret->id.p != NULL)
		return MH_OK;
	say(j, "Authentication-Results: none of a configured server stands where a sender cannot write one");
	return MH_BAD;
}

static enum mh_status
judge_authres(struct judge *j)
{
	struct authres r = { .id = MH_NONE };

	if (j->policy->trust->authserv_id.n == 0)
		return MH_OK;
	const enum mh_status status = find_results(j, &r);
	return status == MH_BAD ? MH_OK : status != MH_OK ? status : judge_results(j, &r);
}

/* -- ARC ---------------------------------------------------------------------------------------------------------- */

static bool
sealers_configured(struct judge *j, const struct arc_chain *c)
{
	for (size_t i = 0; i < c->n; i++) {
		const struct mh_span sealer = c->sets[i].seal_signature.d;

		if (!configured(&j->policy->trust->arc_sealers, sealer)) {
			say(j, "ARC: the sealer %s of instance %zu is not among arc_sealers", word_of(sealer).text,
			    i + 1);
			return false;
		}
	}
	const struct mh_span signer = c->sets[c->n - 1].message_signature.d;
	if (!configured(&j->policy->trust->arc_sealers, signer)) {
		say(j, "ARC: the message is signed by %s, which is not among arc_sealers", word_of(signer).text);
		return false;
	}
	return true;
}

/* The domain that the first relay saw a good signature of; MH_NONE, and said why, where there is none that counts. */
static enum mh_status
first_saw(struct judge *j, const struct arc_chain *c, struct mh_span *ret, bool *ret_sns)
{
	const struct mh_span sealer = c->sets[0].seal_signature.d;
	struct authres r;
	struct mh_err why = { 0 };
	const enum mh_status status = arc_results(&c->sets[0], j->arena, &r, &why);

	*ret = MH_NONE;
	*ret_sns = false;
	if (status != MH_OK) {
		say(j, "ARC: %s", why.text);
		return way_ends(j, status, &why);
	}
	if (!domain_within(r.id, sealer)) {
		say(j, "ARC: the first results are of %s, which is not of its sealer %s", word_of(r.id).text,
		    word_of(sealer).text);
		return MH_OK;
	}
	for (size_t i = 0; i < r.n_results; i++) {
		const struct mh_span domain = authres_dkim_domain(&r.results[i]);

		if (domain.p != NULL && among(j->policy->signers, domain)) {
			*ret = domain;
			*ret_sns = *ret_sns || is_sns(domain);
		}
	}
	if (ret->p == NULL)
		say(j, "ARC: %s saw no good DKIM signature of a domain that the definition names", word_of(r.id).text);
	return MH_OK;
}

static enum mh_status
judge_arc(struct judge *j)
{
	struct arc_chain c;
	struct mh_span domain;
	struct mh_err why = { 0 };
	bool sns;

	if (j->policy->trust->arc_sealers.n == 0)
		return MH_OK;
	enum mh_status status = arc_read(&j->mail, j->arena, &c, &why);
	if (status != MH_OK) {
		say(j, "ARC: %s", why.text);
		return way_ends(j, status, &why);
	}
	if (!sealers_configured(j, &c))
		return MH_OK;
	if ((status = first_saw(j, &c, &domain, &sns)) != MH_OK || domain.p == NULL)
		return status;
	status = dkim_covers(&j->mail, &c.sets[c.n - 1].message_signature, false, &why);
	if (status == MH_OK)
		status = arc_verify(&j->mail, &c, j->received, &j->keys, j->arena, &why);
	if (status != MH_OK) {
		say(j, "ARC: %s", why.text);
		return way_ends(j, status, &why);
	}
	say(j, "ARC: a whole chain of %zu, and its first relay saw a good signature of %s", c.n, word_of(domain).text);
	status = words_fit(j, sns, false);
	if (status == MH_OK)
		raise_to(j, TRUST_RELAYED, "arc", c.sets[0].seal_signature.d, MH_NONE);
	return status == MH_BAD ? MH_OK : status;
}

/* -- all ---------------------------------------------------------------------------------------------------------- */

/* What no way up forgives, and who the author is. False: nothing can be believed. */
static bool
look_at_header(struct judge *j)
{
	static const char *const once[] = { "From", "Subject", "Date", "Content-Type", "Content-Transfer-Encoding",
		"Content-Disposition" };
	struct mh_err why = { 0 };
	bool sound = true;

	if (j->mail.malformed != NULL) {
		say(j, "%s", j->mail.malformed);
		return false;
	}
	for (size_t i = 0; i < sizeof(once) / sizeof(once[0]); i++) {
		const size_t n = message_count(&j->mail, once[i]);
		if (n > 1) {
			say(j, "%zu %s fields: a reader may take another one than a signer", n, once[i]);
			sound = false;
		}
	}
	const struct verify_field *from = message_field(&j->mail, "From");
	if (from == NULL)
		say(j, "the mail has no From");
	else if (sound && from_read(from->value, j->arena, &j->from, &why) != MH_OK)
		say(j, "%s", why.text);
	return sound;
}

enum mh_status
verify_message(struct mh_span raw, int64_t received, const struct verify_policy *p, verify_txt *txt, void *user,
    struct arena *a, struct verify_result *ret, struct mh_err *err)
{
	struct verify_result out = { .level = TRUST_UNVERIFIED };
	struct judge j = { .raw = raw,
		.received = received,
		.policy = p,
		.keys = { txt, user, p->keys },
		.arena = a,
		.from = MH_NONE,
		.out = &out,
		.err = err };
	enum mh_status status = message_split(raw, a, &j.mail, err);

	if (status != MH_OK)
		return status;
	if (look_at_header(&j)) {
		status = judge_dkim(&j);
		if (status == MH_OK && out.level < TRUST_VERIFIED)
			status = judge_authres(&j);
		if (status == MH_OK && out.level < TRUST_RELAYED)
			status = judge_arc(&j);
	}
	if (status != MH_OK)
		return status;
	if (out.level == TRUST_VERIFIED)
		out.temporary = false;
	*ret = out;
	return MH_OK;
}
