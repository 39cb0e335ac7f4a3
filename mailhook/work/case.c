/* case.c: case identity: which case a notice joins, and what it changes there. */
#include "mailhook/work/case.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/json.h"
#include "mailhook/work/accounts.h"
#include "mailhook/work/case_impl.h"
#include "mailhook/work/digest.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/times.h"

/* -- does a notice fit a case? ------------------------------------------------------------------------------------- */

static bool
same_or_unknown(const char *a, const char *b)
{
	return a == NULL || b == NULL || strcmp(a, b) == 0;
}

static bool
same_day(const struct case_row *c, const struct notice_row *n)
{
	const int64_t apart = time_day(c->expires) - time_day(n->expires);

	if (c->precision == MH_DERIVED || n->precision == MH_DERIVED)
		return apart >= -DERIVED_DAYS && apart <= DERIVED_DAYS;
	return apart == 0;
}

/* The level at which a case was closed: what the person saw; else what its effects began by. */
static enum trust_level
closed_at(const struct case_row *c)
{
	return c->closed_by_person ? c->closed_trust : case_trust(c);
}

/* A closed case takes what comes later as history; but what is trusted above the level at which it was closed was not
 * what closed it. */
static bool
fits(const struct case_row *c, const struct notice_row *n)
{
	return !case_is_drill(c) && same_or_unknown(c->region, n->region) &&
	       same_or_unknown(c->resource, n->resource) && same_day(c, n) && (c->open || n->trust <= closed_at(c));
}

/* A person saw in AWS what a mail alone would not be believed. That is worth more than any other mail of that level. */
static bool
vouch_lifts(const struct case_row *c)
{
	return c->vouched && c->approved_by != NULL && c->trust < TRUST_VERIFIED;
}

static int
rank(const struct case_row *c)
{
	return 2 * (int)c->trust + (c->open && vouch_lifts(c));
}

/* The best-trusted, one that a person vouches for before others of its level, an open one before a closed one, then the
 * newest (they come newest first). *ret_ties: how many open ones are equal in that. */
static struct case_row *
choose(struct case_rows *fit, size_t *ret_ties)
{
	struct case_row *best = NULL;

	*ret_ties = 0;
	for (size_t i = 0; i < fit->n; i++) {
		struct case_row *c = &fit->items[i];
		if (best == NULL || rank(c) > rank(best) || (rank(c) == rank(best) && c->open && !best->open))
			best = c;
	}
	for (size_t i = 0; i < fit->n; i++)
		*ret_ties += best->open && fit->items[i].open && rank(&fit->items[i]) == rank(best);
	return best;
}

/* -- opening ------------------------------------------------------------------------------------------------------- */

static enum mh_status
make_key(struct take *t, const struct case_row *c, char ret[DIGEST_HEX], struct mh_err *err)
{
	const char *seed = NULL;
	char expires[MH_TIME_TEXT], nth[24];
	int64_t taken = 1;
	enum mh_status status = ledger_meta_get(t->w->db, "seed", t->a, &seed, err);

	for (int64_t n = 1; status == MH_OK && taken > 0; n++) {
		(void)snprintf(nth, sizeof(nth), "%" PRId64, n);
		const struct mh_span fields[] = { MH_LIT("case"), span_of(seed), span_of(c->kind), span_of(c->account),
			span_of(c->region), span_of(c->resource), span_of(c->reason),
			c->has_expires ? span_head(span_of(time_text(expires, c->expires)), 10) : MH_NONE,
			span_of(nth) };
		status = digest_fields(fields, sizeof(fields) / sizeof(fields[0]), ret, err);
		ret[LEDGER_KEY_HEX] = '\0';
		if (status == MH_OK)
			status = db_one(
			    t->w->db, "SELECT count(*) FROM cases WHERE key = $1", DB_ARGS(db_str(ret)), &taken, err);
	}
	return status;
}

/* The rule is chosen here, once; its actions are kept by name. */
enum mh_status
case_choose_rule(const struct work *w, struct case_row *c, struct buf *actions, struct mh_err *err)
{
	const struct account_row *acc = accounts_find(w->accounts, c->account);
	const struct conf_rule *rule = conf_rule_for(
	    w->conf, span_of(c->kind), span_of(c->account), span_of(acc == NULL ? NULL : acc->environment));
	MH_AUTO(drop_json) cJSON *names = cJSON_CreateArray();
	bool ok = names != NULL;

	for (size_t i = 0; rule != NULL && ok && i < rule->actions.n; i++)
		ok = cJSON_AddItemToArray(names, cJSON_CreateString(rule->actions.items[i]));
	if (!ok || !json_print(names, actions))
		return mh_fail(err, MH_RETRY, "no memory for a rule's actions");
	c->rule = rule == NULL ? NULL : rule->name;
	c->actions = actions->p;
	return MH_OK;
}

enum mh_status
case_open(struct take *t, struct case_row *c, struct mh_err *err)
{
	char key[DIGEST_HEX];
	struct mh_span kept;
	struct buf actions, detail;

	buf_init(&actions, 65536);
	buf_init(&detail, 8192);
	c->open = true;
	c->opened = t->now;
	enum mh_status status = make_key(t, c, key, err);
	if (status == MH_OK)
		status = arena_copy(t->a, span_of(key), &kept, err);
	if (status == MH_OK)
		c->key = kept.p;
	if (status == MH_OK)
		status = case_choose_rule(t->w, c, &actions, err);
	if (status == MH_OK)
		status = ledger_case_add(t->w->db, c, &c->id, err);
	if (status == MH_OK) /* what stands in the ledger, in memory that lives as long as the message */
		status = ledger_case_get(t->w->db, c->id, t->a, c, err);
	buf_release(&actions);
	if (status == MH_OK) {
		case_words(c, &detail);
		if (c->rule == NULL)
			buf_puts(&detail, "; no rule takes it");
		else
			buf_printf(&detail, "; rule \"%s\"", c->rule);
		if (!buf_ok(&detail))
			status = mh_fail(err, MH_RETRY, "no memory for an event");
	}
	if (status == MH_OK)
		t->ret.opened++;
	if (status == MH_OK)
		status = case_event(t->w, c, "opened", "mailhook", detail.p, NULL, t->now, err);
	buf_release(&detail);
	return status;
}

/* A lone '*' names nobody: it is what a rule without accounts takes. */
static bool
listed(const struct work *w, const char *account)
{
	if (account == NULL)
		return false;
	if (accounts_find(w->accounts, account) != NULL)
		return true;
	for (size_t i = 0; i < w->conf->n_rules; i++)
		for (size_t k = 0; k < w->conf->rules[i].accounts.n; k++)
			if (strcmp(w->conf->rules[i].accounts.items[k], "*") != 0 &&
			    conf_pattern_takes(w->conf->rules[i].accounts.items[k], span_of(account)))
				return true;
	return false;
}

/* Into the one open digest case, where "show" lists it. */
enum mh_status
case_flood(struct take *t, struct notice_row *n, struct mh_err *err)
{
	struct case_row c = { 0 };
	enum mh_status status = ledger_case_open_like(t->w->db, CASE_FLOOD, NULL, NULL, t->a, &c, err);

	if (status == MH_SKIP) {
		c = (struct case_row){ .kind = CASE_FLOOD };
		status = case_open(t, &c, err);
		t->ret.opened -= status == MH_OK;
	}
	if (status == MH_OK)
		status = ledger_meta_add(t->w->db, "flood-dropped", 1, err);
	n->case_id = c.id;
	t->ret.flooded++;
	return status == MH_OK ? ledger_notice_add(t->w->db, n, &n->id, err) : status;
}

/* May nothing but the digest take n? Anybody can write notices, also a hundred in one mail, about accounts that are
 * listed: each would be a ticket. The bounds are so wide that a site whose mail is all unverified stays below them. */
static enum mh_status
is_flood(struct take *t, const struct case_row *c, bool *ret, struct mh_err *err)
{
	const struct conf *conf = t->w->conf;
	const int64_t since = time_day(t->now) * MH_DAY_S;
	int64_t today = 0, of_account = 0;
	enum mh_status status;

	*ret = false;
	if (t->drill || c->trust != TRUST_UNVERIFIED)
		return MH_OK;
	if (c->unlisted) {
		status = ledger_unlisted_since(t->w->db, since, &today, err);
		*ret = today >= conf->flood_unlisted;
		return status;
	}
	status = ledger_listed_since(t->w->db, since, NULL, &today, err);
	if (status == MH_OK)
		status = ledger_listed_since(t->w->db, since, c->account, &of_account, err);
	*ret = today >= conf->flood_listed || of_account >= conf->flood_account ||
	       t->ret.opened >= (size_t)conf->flood_account;
	return status;
}

static enum mh_status
open_for(struct take *t, struct notice_row *n, struct mh_err *err)
{
	struct case_row c = { .kind = n->kind,
		.account = n->account,
		.region = n->region,
		.resource = n->resource,
		.has_expires = n->has_expires,
		.expires = n->expires,
		.precision = n->precision,
		.reason = t->drill ? CASE_DRILL : NULL,
		.trust = n->trust,
		.unlisted = !t->drill && !listed(t->w, n->account) };
	bool flood;
	enum mh_status status = is_flood(t, &c, &flood, err);

	if (status == MH_OK && flood)
		return case_flood(t, n, err);
	if (status == MH_OK)
		status = case_open(t, &c, err);
	n->case_id = c.id;
	if (status == MH_OK)
		status = ledger_notice_add(t->w->db, n, &n->id, err);
	c.best_notice = n->id;
	return status == MH_OK ? ledger_case_update(t->w->db, &c, err) : status;
}

/* -- joining ------------------------------------------------------------------------------------------------------- */

/* A person vouched for what was known then: what a notice says otherwise, or beyond it, nobody vouched for. */
static bool
says_otherwise(const struct case_row *c, const struct notice_row *n)
{
	return (n->region != NULL && c->region == NULL) || (n->resource != NULL && c->resource == NULL) ||
	       (n->precision == MH_SECOND && c->precision == MH_SECOND && n->expires != c->expires) ||
	       (n->precision != MH_DERIVED && time_day(n->expires) != time_day(c->expires));
}

/* Later notices only refine facts: what is better trusted replaces them, what is as well trusted fills in what was not
 * known and says the date more exactly, what is less trusted is history. What a person vouches for is above its level:
 * only what is better trusted touches it, else anybody who can write a mail could hold up or redirect what a named person
 * confirmed. True: something changed. */
static bool
refine(struct case_row *c, const struct notice_row *n)
{
	bool changed = false;

	if (n->trust < c->trust || (n->trust == c->trust && vouch_lifts(c)))
		return false;
	if (n->trust > c->trust) {
		const bool agreed = vouch_lifts(c) && !says_otherwise(c, n);

		if (!agreed)
			c->approved_by = NULL; /* what a person approved was said by something less trusted */
		c->ambiguous = false;          /* and so was what made it unclear which case is meant */
		c->trust = n->trust;
		c->region = n->region;
		c->resource = n->resource;
		if (!agreed || n->precision <= c->precision) { /* second, day, derived */
			c->expires = n->expires;
			c->precision = n->precision;
		}
		return true;
	}
	if (c->region == NULL && n->region != NULL) {
		c->region = n->region;
		changed = true;
	}
	if (c->resource == NULL && n->resource != NULL) {
		c->resource = n->resource;
		changed = true;
	}
	if (n->precision < c->precision) { /* second, day, derived */
		c->expires = n->expires;
		c->precision = n->precision;
		changed = true;
	}
	return changed;
}

static enum mh_status
history(struct take *t, const struct case_row *c, const char *what, const char *words, struct mh_err *err)
{
	struct buf detail;

	buf_init(&detail, 8192);
	buf_printf(&detail, "message %" PRId64 ", %s", t->ret.message_id, words);
	if (what[0] == 'r' || what[0] == 't') { /* refined, trusted: the facts as they are now */
		buf_puts(&detail, ": ");
		case_words(c, &detail);
	}
	enum mh_status status = MH_OK;
	if (!buf_ok(&detail))
		status = mh_fail(err, MH_RETRY, "no memory for an event");
	else if (strcmp(what, "trusted") == 0)
		status = case_event(t->w, c, what, "mailhook", detail.p, NULL, t->now, err);
	else
		status = ledger_event_add(t->w->db, c->id, t->now, what, "mailhook", detail.p, NULL, err);
	buf_release(&detail);
	return status;
}

/* A line for people who look, with what it says: one of the two is wrong. */
static enum mh_status
disagreement(struct take *t, const struct case_row *c, const struct notice_row *n, struct mh_err *err)
{
	const struct case_row said = { .kind = n->kind,
		.account = n->account,
		.region = n->region,
		.resource = n->resource,
		.has_expires = n->has_expires,
		.expires = n->expires,
		.precision = n->precision };
	struct buf words;

	buf_init(&words, 8192);
	buf_printf(
	    &words, "%s, says other than %s vouched for, and changes nothing: ", trust_names[n->trust], c->approved_by);
	case_words(&said, &words);
	const enum mh_status status =
	    buf_ok(&words) ? history(t, c, "notice", words.p, err) : mh_fail(err, MH_RETRY, "no memory for an event");
	buf_release(&words);
	return status;
}

enum mh_status
case_feed(struct take *t, struct case_row *c, const struct notice_row *n, struct mh_err *err)
{
	const bool better = n->trust > c->trust, vouched = vouch_lifts(c);
	const int64_t expired = c->expires;

	if (!c->open)
		return history(t, c, "notice", "after the case was closed", err);
	if (!refine(c, n))
		return vouched && says_otherwise(c, n) ? disagreement(t, c, n, err)
						       : history(t, c, "notice", trust_names[n->trust], err);
	const bool voided = vouched && c->approved_by == NULL;
	c->best_notice = n->id;
	enum mh_status status = ledger_case_update(t->w->db, c, err);
	if (status == MH_OK && better && c->expires != expired) /* what time did to the lesser date */
		status = ledger_times_forget(t->w->db, c->id, err);
	if (status == MH_OK && voided)
		status = history(t, c, "unvouched", "is better trusted, and says other than a person vouched for", err);
	return status == MH_OK ? history(t, c, better ? "trusted" : "refined", trust_names[n->trust], err) : status;
}

/* Nothing rotates where it is not clear which of several cases is meant. A notice that is trusted less than the cases
 * cannot bring that about, nor can one that is trusted no more than a case that a person vouches for, nor cases that are
 * trusted less than the notice: it would be a way for anybody to stop a rotation. */
static enum mh_status
mark_ambiguous(struct take *t, const struct case_rows *fit, enum trust_level level, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < fit->n && status == MH_OK; i++) {
		struct case_row *c = &fit->items[i];
		if (!c->open || c->trust != level || c->ambiguous)
			continue;
		c->ambiguous = true;
		c->approved_by = NULL; /* who approved before did not know of the other case */
		status = ledger_case_update(t->w->db, c, err);
		if (status == MH_OK)
			status = job_measure(t->w, c, false, t->now, err);
		if (status == MH_OK)
			status = history(
			    t, c, "ambiguous", "fits several cases: nothing rotates until a person approves", err);
	}
	return status;
}

enum mh_status
case_place(struct take *t, struct notice_row *n, struct mh_err *err)
{
	const int64_t day = time_day(n->expires);
	struct case_rows fit = { 0 };
	size_t kept = 0, ties = 0;

	if (t->drill)
		return open_for(t, n, err); /* apart from all that is real */
	enum mh_status status = ledger_case_candidates(t->w->db, n->kind, n->account, (day - DERIVED_DAYS) * MH_DAY_S,
	    (day + DERIVED_DAYS + 1) * MH_DAY_S - 1, t->a, &fit, err);

	if (status != MH_OK)
		return status;
	for (size_t i = 0; i < fit.n; i++)
		if (fits(&fit.items[i], n))
			fit.items[kept++] = fit.items[i];
	fit.n = kept;
	if (fit.n == 0)
		return open_for(t, n, err);

	struct case_row *c = choose(&fit, &ties);
	const enum trust_level level = c->trust;
	if (ties > 1 && n->trust == level && !vouch_lifts(c))
		status = mark_ambiguous(t, &fit, level, err);
	n->case_id = c->id;
	if (status == MH_OK)
		status = ledger_notice_add(t->w->db, n, &n->id, err);
	t->ret.joined++;
	return status == MH_OK ? case_feed(t, c, n, err) : status;
}
