/* likely.c: see likely.h. */
#include "parsers/likely.h"

#include <string.h>

#include "parsers/prefilter.h"
#include "parsers/sentence.h"

/* Who a mail is from, also before a list or a group wrote it anew; what it is about; and where AWS's event codes stand. */
const char *const likely_fields[] = { "From", "Sender", "Reply-To", "Subject", "Resent-From", "X-Original-From",
	"X-Original-Sender", "X-SM-COMMUNICATION-TYPE", "X-NOTIFICATIONS-CLIENT-REQUEST-ID",
	"X-NOTIFICATIONS-NOTIFICATION-EVENT-ARN", NULL };

static const char *const mark_fields[] = { "X-NOTIFICATIONS-CLIENT-REQUEST-ID",
	"X-NOTIFICATIONS-NOTIFICATION-EVENT-ARN", "X-SM-COMMUNICATION-TYPE", NULL };

static bool
is_one_of(const char *const *names, struct mh_span name)
{
	for (; *names != NULL; names++)
		if (span_ieq(name, span_of(*names)))
			return true;
	return false;
}

static void
on_phrase(void *user, const struct phrase *p, struct mh_span text, size_t at)
{
	bool *seen = user;

	*seen = *seen || phrase_around(text, at, p);
}

/* The domain, or one below it, behind an "@" in the field. */
static bool
is_forwarder(const struct likely *l, struct mh_span from)
{
	for (size_t i = 0; i < l->n_forwarders; i++) {
		const struct mh_span domain = span_of(l->forwarders[i]);

		for (size_t at = span_ifind(from, domain, 0); at != SIZE_MAX; at = span_ifind(from, domain, at + 1)) {
			const struct mh_span behind = span_from(from, at + domain.n);
			const bool begins = at > 0 && (from.p[at - 1] == '@' || from.p[at - 1] == '.');

			if (begins && (behind.n == 0 || strchr("> \t,;", behind.p[0]) != NULL))
				return true;
		}
	}
	return false;
}

static enum mh_status
parse(void *state, const struct mail *m, struct arena *a, struct reading *ret, struct mh_err *err)
{
	const struct likely *l = state;
	const struct prefilter *f = definitions_prefilter(l->definitions);
	bool seen = m->limits != 0; /* what was not looked at may have been it */

	(void)a;
	if (f == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the definitions' words");
	for (size_t i = 0; i < m->messages[0].n_fields && !seen; i++) {
		const struct mail_field *field = &m->messages[0].fields[i];

		if (!is_one_of(likely_fields, field->name))
			continue;
		prefilter_run(f, field->value, on_phrase, &seen);
		if (span_ieq(field->name, MH_LIT("Subject")))
			seen = seen || watch_word(l->definitions, field->value).p != NULL;
		else if (is_one_of(mark_fields, field->name))
			seen = true;
		else
			seen = seen || is_forwarder(l, field->value);
	}
	ret->verdict = seen ? MH_NOTICE : MH_IRRELEVANT;
	return MH_OK;
}

const struct mh_parser likely_parser = {
	.name = "likely",
	.help = "tells by a header whether a body is worth reading",
	.parse = parse,
};

/* -- for a server's search ----------------------------------------------------------------------------------------- */

/* Senders by their domains, each once of those that are near. */
static void
sender_keys(const char *const *senders, struct mh_span *last,
    void (*key)(void *user, enum likely_key kind, struct mh_span text), void *user)
{
	for (; *senders != NULL; senders++) {
		const char *at = strrchr(*senders, '@');
		const struct mh_span domain = span_of(at == NULL ? *senders : at + 1);

		if (!span_eq(domain, *last))
			key(user, LIKELY_FROM, domain);
		*last = domain;
	}
}

static void
phrase_keys(const struct definitions *d, const char *const *phrases,
    void (*key)(void *user, enum likely_key kind, struct mh_span text), void *user)
{
	for (; *phrases != NULL; phrases++)
		if (watch_word(d, span_of(*phrases)).p == NULL) /* those are looked for anyway */
			key(user, LIKELY_SUBJECT, span_of(*phrases));
}

void
likely_keys(const struct likely *l, void (*key)(void *user, enum likely_key kind, struct mh_span text), void *user)
{
	static const char *const words[] = { "expir", "renew", "rotat", "end of" };
	const struct definitions *d = l->definitions;
	struct mh_span last = MH_NONE;

	sender_keys(definitions_aws_senders(), &last, key, user);
	for (size_t i = 0; i < d->n; i++)
		sender_keys(d->slots[i].def->info.senders, &last, key, user);
	for (size_t i = 0; i < l->n_forwarders; i++)
		key(user, LIKELY_FROM, span_of(l->forwarders[i]));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		key(user, LIKELY_SUBJECT, span_of(words[i]));
	for (size_t i = 0; i < d->n; i++) {
		const struct definition *def = d->slots[i].def;

		for (const char *const *w = def->watch; *w != NULL; w++)
			key(user, LIKELY_SUBJECT, span_of(*w));
		phrase_keys(d, def->subjects, key, user);
		phrase_keys(d, def->literals, key, user);
		phrase_keys(d, def->events, key, user);
	}
	for (const char *const *f = mark_fields; *f != NULL; f++)
		key(user, LIKELY_HEADER, span_of(*f));
}
