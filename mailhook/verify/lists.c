/* lists.c: who may speak for a mail, from the definitions that it fits. */
#include <string.h>

#include "mailhook/verify/ask.h"
#include "parsers/parser.h"

#define FAMILY "aws."

struct names {
	const char **items;
	size_t n, cap;
};

static bool
has(const char *const *list, const char *name)
{
	for (; *list != NULL; list++)
		if (span_ieq(span_of(*list), span_of(name)))
			return true;
	return false;
}

static enum mh_status
add(struct names *l, const char *name, struct arena *a, struct mh_err *err)
{
	for (size_t i = 0; i < l->n; i++)
		if (span_ieq(span_of(l->items[i]), span_of(name)))
			return MH_OK;

	const char **items = arena_grow(a, l->items, l->n + 1, &l->cap, sizeof(*items)); /* and for the NULL behind */
	if (items == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the signers of a mail");
	l->items = items;
	l->items[l->n++] = name;
	l->items[l->n] = NULL;
	return MH_OK;
}

static enum mh_status
add_all(struct names *l, const char *const *from, struct arena *a, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (; *from != NULL && status == MH_OK; from++)
		status = add(l, *from, a, err);
	return status;
}

/* What a definition must be to count: of this kind, of this name, or of the family. */
struct which {
	struct mh_span kind, name;
};

static bool
fits(const struct which *w, const struct definition_info *info)
{
	if (w->kind.p != NULL)
		return span_eq(w->kind, span_of(info->kind));
	if (w->name.p != NULL)
		return span_eq(w->name, span_of(info->name));
	return span_starts(span_of(info->kind), MH_LIT(FAMILY));
}

static enum mh_status
gather(const struct definitions *d, const struct which *w, struct names *signers, struct names *senders,
    struct arena *a, struct mh_err *err)
{
	const struct definition_info *info;
	enum mh_status status = MH_OK;

	for (size_t i = 0; status == MH_OK && (info = definitions_info(d, i)) != NULL; i++) {
		if (!fits(w, info))
			continue;
		status = add_all(signers, info->signers, a, err);
		if (status == MH_OK)
			status = add_all(senders, info->senders, a, err);
	}
	return status;
}

/* Keeps what the other list has too. */
static void
cross(struct names *l, const struct names *other)
{
	size_t kept = 0;

	for (size_t i = 0; i < l->n; i++)
		if (other->n > 0 && has(other->items, l->items[i]))
			l->items[kept++] = l->items[i];
	if (l->n > 0)
		l->items[kept] = NULL;
	l->n = kept;
}

static bool
seen(const struct mh_span *kinds, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (span_eq(kinds[k], kinds[i]))
			return true;
	return false;
}

static enum mh_status
of_kinds(const struct definitions *d, const struct mh_span *kinds, size_t n, struct names *signers,
    struct names *senders, struct arena *a, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < n && status == MH_OK; i++) {
		struct names more_signers = { 0 }, more_senders = { 0 };

		if (seen(kinds, i))
			continue;
		status = gather(d, &(struct which){ .kind = kinds[i] }, i == 0 ? signers : &more_signers,
		    i == 0 ? senders : &more_senders, a, err);
		if (i == 0 || status != MH_OK)
			continue;
		cross(signers, &more_signers);
		cross(senders, &more_senders);
	}
	return status;
}

enum mh_status
verify_lists_of(const struct definitions *d, const struct mh_span *kinds, size_t n, struct mh_span parser,
    struct arena *a, struct verify_lists *ret, struct mh_err *err)
{
	static const char *const nobody[] = { NULL };
	struct names signers = { 0 }, senders = { 0 };
	enum mh_status status = MH_OK;

	if (n > 0)
		status = of_kinds(d, kinds, n, &signers, &senders, a, err);
	else if (parser.p != NULL)
		status = gather(d, &(struct which){ .name = parser }, &signers, &senders, a, err);
	if (status == MH_OK && n == 0 && signers.n == 0) {
		status = gather(d, &(struct which){ 0 }, &signers, &senders, a, err);
		if (status == MH_OK)
			status = add_all(&senders, definitions_aws_senders(), a, err);
	}
	if (status != MH_OK)
		return status;
	ret->signers = signers.n > 0 ? signers.items : nobody;
	ret->senders = senders.n > 0 ? senders.items : nobody;
	return MH_OK;
}

enum mh_status
verify_lists_of_reading(
    const struct definitions *d, const struct reading *r, struct arena *a, struct verify_lists *ret, struct mh_err *err)
{
	struct mh_span *kinds = arena_array(a, r->n_notices, sizeof(*kinds));

	if (kinds == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the kinds of a mail");
	for (size_t i = 0; i < r->n_notices; i++)
		kinds[i] = r->notices[i].kind;
	return verify_lists_of(d, kinds, r->n_notices, r->parser, a, ret, err);
}

bool
verify_has_proof(struct mh_span raw, const struct conf_trust *trust)
{
	struct mh_span rest = span_head(raw, MH_MAX_HEADER_BYTES), line;

	while (span_line(&rest, &line) && line.n > 0) {
		if (span_istarts(line, MH_LIT("DKIM-Signature")) || span_istarts(line, MH_LIT("ARC-")))
			return true;
		if (trust->authserv_id.n > 0 && span_istarts(line, MH_LIT("Authentication-Results")))
			return true;
	}
	return false;
}
