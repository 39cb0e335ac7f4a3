/* check_rules.c: rules that no case can reach, kinds that no rule takes, and effects for anybody's account, for check. */
#include <stdio.h>
#include <string.h>

#include "mailhook/work/accounts.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/mailboxes.h"
#include "mailhook/work/pass.h"
#include "parsers/parser.h"

/* -- rules that are never reached ---------------------------------------------------------------------------------- */

/* Everything that narrow takes, wide takes. An empty list takes all. */
static bool
list_covers(const struct conf_list *wide, const struct conf_list *narrow)
{
	if (wide->n == 0)
		return true;
	for (size_t i = 0; i < narrow->n; i++) {
		bool covered = false;
		for (size_t k = 0; k < wide->n && !covered; k++)
			covered = conf_pattern_takes(wide->items[k], span_of(narrow->items[i]));
		if (!covered)
			return false;
	}
	return narrow->n > 0;
}

static bool
takes(const struct conf_rule *r, const char *account, const char *environment)
{
	return conf_takes(&r->accounts, span_of(account)) && conf_takes(&r->environments, span_of(environment));
}

/* The rule before c->rules[late] that takes that account's cases of all its kinds; NULL: none does alone. */
static const struct conf_rule *
taken_before(const struct conf *c, size_t late, const char *account, const char *environment)
{
	for (size_t k = 0; k < late; k++)
		if (list_covers(&c->rules[k].kinds, &c->rules[late].kinds) && takes(&c->rules[k], account, environment))
			return &c->rules[k];
	return NULL;
}

struct shadow {
	size_t candidates, taken;    /* accounts that the rule takes, and those that never come to it */
	const struct conf_rule *one; /* that takes the first of them */
	bool several;
};

static void
cast(struct shadow *s, const struct conf *c, size_t late, const char *account, const char *environment)
{
	const struct conf_rule *r = taken_before(c, late, account, environment);

	s->candidates++;
	s->taken += r != NULL;
	s->several = s->several || (s->one != NULL && r != s->one);
	s->one = s->one == NULL ? r : s->one;
}

static bool
all_exact(const struct conf_list *accounts)
{
	for (size_t i = 0; i < accounts->n; i++)
		if (strchr(accounts->items[i], '*') != NULL)
			return false;
	return accounts->n > 0;
}

/* Where a rule's accounts can be counted, each is looked at by itself: those of the accounts file that have one of its
 * environments, or those that it names. False: they cannot be counted. */
static bool
shadow_of(const struct work *w, size_t late, struct shadow *ret)
{
	const struct conf_rule *r = &w->conf->rules[late];

	*ret = (struct shadow){ 0 };
	if (r->environments.n > 0) {
		for (size_t i = 0; w->accounts != NULL && i < w->accounts->n; i++) {
			const struct account_row *row = &w->accounts->rows[i];
			if (takes(r, row->account, row->environment))
				cast(ret, w->conf, late, row->account, row->environment);
		}
		return true;
	}
	if (!all_exact(&r->accounts))
		return false;
	for (size_t i = 0; i < r->accounts.n; i++) {
		const struct account_row *row = accounts_find(w->accounts, r->accounts.items[i]);
		cast(ret, w->conf, late, r->accounts.items[i], row == NULL ? NULL : row->environment);
	}
	return true;
}

/* The one rule before it that takes all that it would take; several that do so together are not found. */
static const struct conf_rule *
hidden_behind(const struct conf *c, size_t late)
{
	for (size_t k = 0; k < late; k++)
		if (list_covers(&c->rules[k].kinds, &c->rules[late].kinds) &&
		    list_covers(&c->rules[k].accounts, &c->rules[late].accounts) &&
		    list_covers(&c->rules[k].environments, &c->rules[late].environments))
			return &c->rules[k];
	return NULL;
}

static size_t
never_reached(const struct work *w)
{
	size_t n = 0;

	for (size_t i = 0; i < w->conf->n_rules; i++) {
		const struct conf_rule *late = &w->conf->rules[i], *early = hidden_behind(w->conf, i);
		struct shadow s = { 0 };
		const bool counted = shadow_of(w, i, &s);

		if (early == NULL && counted && s.taken == s.candidates && s.candidates > 0 && !s.several)
			early = s.one;
		if (late->environments.n > 0 && s.candidates == 0 && w->accounts != NULL)
			work_log("%s:%d: rule \"%s\" is never reached: no account of %s that it takes has such an "
				 "environment",
			    late->file, late->line, late->name, w->conf->accounts_file);
		else if (early != NULL)
			work_log("%s:%d: rule \"%s\" is never reached: rule \"%s\" takes all that it would take",
			    late->file, late->line, late->name, early->name);
		else if (counted && s.taken == s.candidates && s.candidates > 0)
			work_log("%s:%d: rule \"%s\" is never reached: rules before it take each account that it would "
				 "take",
			    late->file, late->line, late->name);
		else
			continue;
		n++;
	}
	return n;
}

/* -- kinds that no rule takes -------------------------------------------------------------------------------------- */

static bool
taken_for(const struct conf *c, const char *kind, const char *account, const char *environment)
{
	return conf_rule_for(c, span_of(kind), span_of(account), span_of(environment)) != NULL;
}

/* A rule takes it, but not for every account. */
static bool
taken_for_some(const struct work *w, const char *kind)
{
	const struct conf *c = w->conf;

	for (size_t i = 0; i < c->n_rules; i++)
		for (size_t k = 0; k < c->rules[i].accounts.n; k++) {
			const struct account_row *row = accounts_find(w->accounts, c->rules[i].accounts.items[k]);
			if (taken_for(c, kind, c->rules[i].accounts.items[k], row == NULL ? NULL : row->environment))
				return true;
		}
	for (size_t i = 0; w->accounts != NULL && i < w->accounts->n; i++)
		if (taken_for(c, kind, w->accounts->rows[i].account, w->accounts->rows[i].environment))
			return true;
	return false;
}

static size_t
kind_without_rule(const struct work *w, const char *kind)
{
	if (taken_for(w->conf, kind, NULL, NULL))
		return 0;
	work_log(
	    "kind %s: no rule takes it%s", kind, taken_for_some(w, kind) ? " for accounts that no rule names" : "");
	return 1;
}

static bool
awaits_notices(const struct conf *c)
{
	for (size_t i = 0; i < c->n_rules; i++)
		if (c->rules[i].expect_s > 0)
			return true;
	return false;
}

static size_t
kinds_without_rule(const struct work *w)
{
	const struct definition_info *info;
	size_t n = 0;

	for (size_t i = 0; (info = definitions_info(w->definitions, i)) != NULL; i++) {
		bool seen = false;
		for (size_t k = 0; k < i && !seen; k++)
			seen = strcmp(definitions_info(w->definitions, k)->kind, info->kind) == 0;
		if (!seen)
			n += kind_without_rule(w, info->kind);
	}
	n += kind_without_rule(w, CASE_UNRECOGNISED) + kind_without_rule(w, CASE_FLOOD);
	if (awaits_notices(w->conf))
		n += kind_without_rule(w, KIND_SILENCE);
	if (w->conf->n_mailboxes > 0)
		n += kind_without_rule(w, KIND_MAILBOX);
	return w->conf->n_credentials == 0 ? n : n + kind_without_rule(w, KIND_CREDENTIAL);
}

/* -- effects for anybody's account --------------------------------------------------------------------------------- */

/* The first action of a list that changes something; NULL: none does. */
static const struct conf_action *
first_effect(const struct conf *c, const struct conf_list *actions)
{
	for (size_t i = 0; i < actions->n; i++) {
		const struct conf_action *act = conf_action(c, actions->items[i]);
		if (act != NULL && act->role == ROLE_EFFECT)
			return act;
	}
	return NULL;
}

static bool
names_some(const struct conf_list *list)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i], "*") == 0)
			return false;
	return list->n > 0;
}

/* Of a kind whose accounts anybody may have, and whose mails AWS sends to whatever address they give. */
static bool
takes_aws(const struct work *w, const struct conf_list *kinds)
{
	const struct definition_info *info;

	for (size_t i = 0; (info = definitions_info(w->definitions, i)) != NULL; i++)
		if (strncmp(info->kind, "aws.", 4) == 0 && conf_takes(kinds, span_of(info->kind)))
			return true;
	return false;
}

static void
tell_of_effect(const struct conf *c, const char *what, const char *name, const struct conf_list *actions)
{
	const struct conf_action *act = first_effect(c, actions);

	if (act != NULL)
		(void)printf("%s %s: takes every account, and action %s changes something: whoever has an AWS account "
			     "can have AWS write to you about it, and such a mail is verified. Name your own by "
			     "accounts%s\n",
		    what, name, act->name, what[0] == 'r' ? " or environments" : "");
}

/* Words only: somebody may mean it. */
static void
effects_for_anybody(const struct work *w)
{
	const struct conf *c = w->conf;

	for (size_t i = 0; i < c->n_rules; i++) {
		const struct conf_rule *r = &c->rules[i];
		if (!names_some(&r->accounts) && !names_some(&r->environments) && takes_aws(w, &r->kinds))
			tell_of_effect(c, "rule", r->name, &r->actions);
	}
	for (size_t i = 0; i < c->n_escalations; i++) {
		const struct conf_escalate *e = &c->escalations[i];
		if (!names_some(&e->accounts) && e->rules.n == 0 && takes_aws(w, &e->kinds))
			tell_of_effect(c, "escalate", e->name, &e->actions);
	}
	for (size_t i = 0; i < c->n_actions; i++)
		if (c->actions[i].role == ROLE_EFFECT && c->actions[i].needs == TRUST_UNVERIFIED)
			(void)printf(
			    "action %s: needs no proof: whoever can send a mail can start it\n", c->actions[i].name);
}

size_t
check_rules(const struct work *w)
{
	effects_for_anybody(w);
	return never_reached(w) + kinds_without_rule(w);
}
