/* address.c: who may get an automatic mail. Source: RFC 3834 sections 2 and 4. */
#include <string.h>

#include "actions/common/smtp.h"
#include "actions/reply/reply.h"

static char
lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* A leading '-' is lawful in an address, and an option to programs. */
bool
address_valid(struct mh_span address)
{
	return smtp_address_ok(address) && address.p[0] != '-';
}

/* domain is n, or ends in ".n": whole labels, so that notaws.com is not aws.com. */
static bool
is_at_or_below(struct mh_span domain, struct mh_span n)
{
	return span_ieq(domain, n) || (domain.n > n.n && span_iends(domain, n) && domain.p[domain.n - n.n - 1] == '.');
}

/* Lower case, without the signs that such names are written with: "No-Reply", "no_reply" and "noreply" are one. */
static struct mh_span
plain_name(struct mh_span local, char dst[SMTP_MAX_LOCAL_BYTES])
{
	size_t n = 0;

	for (size_t i = 0; i < local.n && n < SMTP_MAX_LOCAL_BYTES; i++)
		if (strchr("-_.", local.p[i]) == NULL)
			dst[n++] = lower(local.p[i]);
	return (struct mh_span){ dst, n };
}

/* Why no automatic mail may go to that address, in words; NULL: it may. */
static const char *
address_refusal(struct mh_span address)
{
	static const char *const domains[] = { "amazon.com", "aws.com", "amazonaws.com", "amazonses.com" };
	static const char *const inside[] = { "noreply", "donotreply" };
	static const char *const whole[] = { "mailerdaemon", "postmaster", "listserv", "majordomo" };
	static const char *const heads[] = { "bounce", "owner-", "srs0", "srs1", "prvs=" };
	static const char *const tails[] = { "-request", "-bounces", "-owner", "-bounce" };
	/* mlmmj's list+bounces-1, Google's list+bncX, ezmlm's list-return-1;
	 * a "=" stands for the "@" of another address (VERP) */
	static const char *const marks[] = { "+bounce", "+bnc", "-return-", "=" };
	char plain[SMTP_MAX_LOCAL_BYTES];

	if (!address_valid(address))
		return "its sender's address is not one that can be written to safely";
	const size_t at = span_find(address, MH_LIT("@"), 0);
	const struct mh_span local = span_head(address, at), domain = span_from(address, at + 1);
	const struct mh_span name = plain_name(local, plain);

	for (size_t i = 0; i < sizeof(domains) / sizeof(domains[0]); i++)
		if (is_at_or_below(domain, span_of(domains[i])))
			return "its sender is AWS, where nobody reads answers";
	for (size_t i = 0; i < sizeof(inside) / sizeof(inside[0]); i++)
		if (span_find(name, span_of(inside[i]), 0) != SIZE_MAX)
			return "its sender wants no answers";
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		if (span_eq(name, span_of(whole[i])))
			return "its sender is a program";
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		if (span_istarts(local, span_of(heads[i])))
			return "its sender is a bounce address";
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++)
		if (span_iends(local, span_of(tails[i])))
			return "its sender is a list's address";
	for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
		if (span_ifind(local, span_of(marks[i]), 0) != SIZE_MAX)
			return "its sender is a bounce address";
	return NULL;
}

static bool
is_answer(enum case_event event)
{
	switch (event) {
	case EVENT_OPENED:
	case EVENT_TRUSTED:
	case EVENT_APPROVED:
	case EVENT_SUCCEEDED:
	case EVENT_FAILED:
	case EVENT_CLOSED:
		return true;
	case EVENT_REMINDED:
	case EVENT_EXPIRED:
		return false;
	}
	return false;
}

static struct mh_span
domain_of(const char *address)
{
	const struct mh_span s = span_of(address);
	const size_t at = span_find(s, MH_LIT("@"), 0);

	return at == SIZE_MAX ? MH_NONE : span_from(s, at + 1);
}

/* RFC 3834 4: the return path is where an automatic answer goes. But no signature covers it, and whoever sends a proven
 * mail on may name another: then it counts only at or below the domain of From, which is covered. */
static const char *
where_to(const struct request *r)
{
	const char *envelope = r->message.envelope_from, *header = r->message.reply_to;

	if (envelope == NULL || r->message.trust == TRUST_NONE)
		return envelope == NULL ? header : envelope;
	if (header == NULL)
		return NULL;
	const struct mh_span domain = domain_of(header);
	return domain.n > 0 && is_at_or_below(domain_of(envelope), domain) ? envelope : header;
}

/* NULL: the sender may be answered, at *ret. */
static const char *
sender_refusal(const struct request *r, const struct reply_conf *c, const char **ret)
{
	const char *envelope = r->message.envelope_from, *header = r->message.reply_to;

	if (c->sender_never)
		return "the configuration wants no answer to it";
	if (!is_answer(r->event))
		return "a reminder is no answer to it";
	if (r->message.own)
		return "it is a reply of mailhook that came back";
	if (envelope != NULL && envelope[0] == '\0')
		return "it came from <>, which nobody may answer";
	if (r->message.automatic)
		return "it was sent by a program";
	if (r->message.list)
		return "it came through a mailing list";
	if (r->trust.level < c->sender_needs || r->message.trust < c->sender_needs)
		return "nothing proves that its sender is who it says";
	const char *address = where_to(r);
	if (address == NULL)
		return "its sender is not known";

	/* Both must do, so that neither a no-reply address nor a foreign one hides behind the other. */
	const char *why = envelope == NULL ? NULL : address_refusal(span_of(envelope));
	if (why == NULL && header != NULL)
		why = address_refusal(span_of(header));
	if (why == NULL &&
	    (span_ieq(span_of(envelope), span_of(c->from)) || span_ieq(span_of(header), span_of(c->from))))
		why = "it came from mailhook's own address";
	if (why == NULL)
		*ret = address;
	return why;
}

static void
add_recipient(struct recipients *to, const char *address)
{
	for (size_t i = 0; i < to->n; i++)
		if (span_ieq(span_of(to->items[i]), span_of(address)))
			return;
	to->items[to->n++] = address;
}

static const char *
owner_refusal(const char *owner)
{
	if (owner == NULL || owner[0] == '\0')
		return "the accounts file names none";
	return address_valid(span_of(owner)) ? NULL : "its address is no plain one";
}

void
choose_recipients(const struct request *r, const struct reply_conf *c, struct recipients *ret)
{
	*ret = (struct recipients){ 0 };
	ret->why_not = sender_refusal(r, c, &ret->sender);
	if (ret->sender != NULL)
		add_recipient(ret, ret->sender);
	for (unsigned i = 0; i < cfg_size(c->cfg, "to") && i < REPLY_MAX_TO; i++)
		add_recipient(ret, cfg_getnstr(c->cfg, "to", i));
	ret->owner_why_not = c->to_owner ? owner_refusal(r->expiry.owner) : NULL;
	if (c->to_owner && ret->owner_why_not == NULL)
		add_recipient(ret, r->expiry.owner);
}
