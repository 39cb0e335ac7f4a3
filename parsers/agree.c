/* agree.c: the same notice read in several places: once is enough, and they must agree. */
#include <stdio.h>
#include <string.h>

#include "parsers/engine.h"

static bool
same_or_unknown(struct mh_span a, struct mh_span b)
{
	return a.p == NULL || b.p == NULL || span_eq(a, b);
}

/* A day and a second of that day agree; a derived day may be one off. */
static bool
dates_agree(const struct notice *a, const struct notice *b)
{
	if (a->precision == MH_SECOND && b->precision == MH_SECOND)
		return a->expires == b->expires;

	const int64_t days = time_day(a->expires) - time_day(b->expires);
	const bool derived = a->precision == MH_DERIVED || b->precision == MH_DERIVED;
	return days == 0 || (derived && (days == 1 || days == -1));
}

static bool
agree(const struct notice *a, const struct notice *b)
{
	return span_eq(a->kind, b->kind) && same_or_unknown(a->account, b->account) &&
	       same_or_unknown(a->region, b->region) && same_or_unknown(a->resource, b->resource) && dates_agree(a, b);
}

/* Fills what a does not say from b; the more exact date stays. */
static void
merge(struct notice *a, const struct notice *b)
{
	if (a->account.p == NULL)
		a->account = b->account;
	if (a->region.p == NULL)
		a->region = b->region;
	if (a->resource.p == NULL)
		a->resource = b->resource;
	if (a->event.p == NULL)
		a->event = b->event;
	if (a->days_stated < 0)
		a->days_stated = b->days_stated;
	if (b->precision < a->precision) {
		a->expires = b->expires;
		a->precision = b->precision;
	}
}

/* Two parts of one message, one text and one HTML, are renderings of the same words. */
static bool
two_renderings(const struct engine *e, const struct found *a, const struct found *b)
{
	const struct mail_part *x = e->views.items[a->view].part, *y = e->views.items[b->view].part;

	return a->slot == b->slot && x != NULL && y != NULL && x != y && x->message == y->message && x->type != y->type;
}

static bool
word_contradiction(struct engine *e, const struct notice *a, const struct notice *b, struct mh_span *ret_why)
{
	char left[MH_TIME_TEXT], right[MH_TIME_TEXT];

	(void)time_text(left, a->expires);
	(void)time_text(right, b->expires);
	if (arena_printf(e->arena, ret_why, NULL,
		"contradiction: the text and the HTML part differ: \"%.*s\" %s and \"%.*s\" %s", (int)a->account.n,
		a->account.p == NULL ? "" : a->account.p, left, (int)b->account.n,
		b->account.p == NULL ? "" : b->account.p, right) != MH_OK)
		*ret_why = MH_LIT("contradiction: the text and the HTML part differ");
	return true;
}

/* What one rendering says and the other, which says something, does not. */
static bool
renderings_differ(struct engine *e, struct mh_span *ret_why)
{
	for (size_t i = 0; i < e->n_found; i++) {
		const struct found *other = NULL;
		bool agreed = false;

		for (size_t k = 0; k < e->n_found && !agreed; k++) {
			if (!two_renderings(e, &e->found[i], &e->found[k]))
				continue;
			other = &e->found[k];
			agreed = agree(&e->found[i].notice, &other->notice);
		}
		if (other != NULL && !agreed)
			return word_contradiction(e, &e->found[i].notice, &other->notice, ret_why);
	}
	return false;
}

bool
engine_contradiction(struct engine *e, struct mh_span *ret_why)
{
	if (renderings_differ(e, ret_why))
		return true;
	for (size_t i = 0; i < e->n_found; i++) {
		for (size_t k = 0; k < i && !e->found[i].dropped; k++) {
			if (e->found[k].dropped || !agree(&e->found[k].notice, &e->found[i].notice))
				continue;
			merge(&e->found[k].notice, &e->found[i].notice);
			e->found[i].dropped = true;
		}
	}
	return false;
}
