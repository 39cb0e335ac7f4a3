/* cmd_check.c: the configuration as a whole, before mail depends on it. */
#include <stdio.h>
#include <string.h>

#include "mailhook/work/accounts.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/pass.h"
#include "mailhook/work/runner.h"
#include "parsers/parser.h"

static bool
covers(const char *wide, const char *narrow)
{
	const size_t n = strlen(wide);

	return n > 0 && wide[n - 1] == '*' ? strncmp(wide, narrow, n - 1) == 0 : strcmp(wide, narrow) == 0;
}

/* Everything that narrow takes, wide takes. An empty list takes all. */
static bool
list_covers(const struct conf_list *wide, const struct conf_list *narrow)
{
	if (wide->n == 0)
		return true;
	for (size_t i = 0; i < narrow->n; i++) {
		bool covered = false;
		for (size_t k = 0; k < wide->n && !covered; k++)
			covered = covers(wide->items[k], narrow->items[i]);
		if (!covered)
			return false;
	}
	return narrow->n > 0;
}

/* A rule that one rule before it shadows; several that do so together are not found. */
static size_t
never_reached(const struct conf *c)
{
	size_t n = 0;

	for (size_t i = 1; i < c->n_rules; i++)
		for (size_t k = 0; k < i; k++) {
			const struct conf_rule *early = &c->rules[k], *late = &c->rules[i];
			if (!list_covers(&early->kinds, &late->kinds) ||
			    !list_covers(&early->accounts, &late->accounts))
				continue;
			work_log("%s:%d: rule \"%s\" is never reached: rule \"%s\" takes all that it would take",
			    late->file, late->line, late->name, early->name);
			n++;
			break;
		}
	return n;
}

static bool
rule_for_all_accounts(const struct conf *c, const char *kind)
{
	return conf_rule_for(c, span_of(kind), MH_NONE) != NULL;
}

static size_t
kind_without_rule(const struct conf *c, const char *kind)
{
	if (rule_for_all_accounts(c, kind))
		return 0;
	for (size_t i = 0; i < c->n_rules; i++)
		for (size_t k = 0; k < c->rules[i].accounts.n; k++)
			if (conf_rule_for(c, span_of(kind), span_of(c->rules[i].accounts.items[k])) != NULL) {
				work_log("kind %s: no rule takes it for accounts that no rule names", kind);
				return 1;
			}
	work_log("kind %s: no rule takes it", kind);
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
			n += kind_without_rule(w->conf, info->kind);
	}
	n += kind_without_rule(w->conf, CASE_UNRECOGNISED) + kind_without_rule(w->conf, CASE_FLOOD);
	if (awaits_notices(w->conf))
		n += kind_without_rule(w->conf, KIND_SILENCE);
	return w->conf->n_credentials == 0 ? n : n + kind_without_rule(w->conf, KIND_CREDENTIAL);
}

static bool
list_names(const struct conf_list *list, const char *action)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->items[i], action) == 0)
			return true;
	return false;
}

static bool
is_used(const struct conf *c, const char *action)
{
	for (size_t i = 0; i < c->n_rules; i++)
		if (list_names(&c->rules[i].actions, action))
			return true;
	for (size_t i = 0; i < c->n_escalations; i++)
		if (list_names(&c->escalations[i].actions, action))
			return true;
	return false;
}

/* The launcher has taken control characters out of the line. */
static void
print_line(void *user, struct mh_span text)
{
	(void)user;
	(void)printf("  %.*s\n", (int)text.n, text.p);
}

/* What the action would write for a case that is made up. */
static bool
show_templates(struct work *w, const struct conf_action *act)
{
	const struct runner_question show = { .say = print_line };
	struct mh_err err = { 0 };
	struct buf summary;
	bool fit = false;

	buf_init(&summary, 8192);
	const enum mh_status status = runner_ask(w, act, &show, &fit, &summary, &err);
	fit = fit && status == MH_OK;
	if (!fit) {
		char shown[1200];
		work_log("action %s: its texts cannot be shown: %s", act->name,
		    mh_escape(shown, sizeof(shown), status == MH_OK ? buf_span(&summary) : span_of(err.text)));
	}
	buf_release(&summary);
	return fit;
}

static size_t
check_actions(struct work *w, const struct options *o)
{
	size_t n = 0;

	for (size_t i = 0; i < w->conf->n_actions; i++) {
		const struct conf_action *act = &w->conf->actions[i];
		struct mh_err err = { 0 };
		struct buf summary;
		bool fit = false;
		char shown[1200];

		buf_init(&summary, 8192);
		const struct runner_question check = { .online = o->online };
		const enum mh_status status = runner_ask(w, act, &check, &fit, &summary, &err);
		const char *words = status == MH_OK ? (summary.p == NULL ? "" : summary.p) : err.text;
		fit = fit && status == MH_OK;
		(void)printf("action %s: %s: %s\n", act->name, fit ? "fit" : "not fit",
		    mh_escape(shown, sizeof(shown), span_of(words)));
		if (!is_used(w->conf, act->name))
			(void)printf("action %s: no rule uses it\n", act->name);
		buf_release(&summary);
		if (o->templates && fit)
			fit = show_templates(w, act);
		n += !fit;
	}
	return n;
}

/* A block that nothing reads yet must not look like a mailbox that is watched. */
static size_t
unwatched(const struct conf *c)
{
	for (size_t i = 0; i < c->n_mailboxes; i++)
		work_log("%s:%d: mailbox \"%s\" is not watched: this version takes mail by pipe only",
		    c->mailboxes[i].file, c->mailboxes[i].line, c->mailboxes[i].name);
	return c->n_mailboxes;
}

/* Reading the file has named its wrong lines, or that it is not there. */
static size_t
wrong_accounts(const struct work *w)
{
	if (w->conf->accounts_file == NULL)
		return 0;
	return w->accounts == NULL ? 1 : w->accounts->wrong;
}

int
check_command(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	bool right = true;
	size_t wrong = 0;
	struct mh_err no_ledger = { 0 };
	enum mh_status status = work_load(&w, o->config, &err);

	if (status == MH_OK)
		status = work_read_definitions(&w, &right, &err);
	if (status == MH_OK) /* for the ends of credentials, which actions tell; without one they are only shown */
		(void)work_open_ledger(&w, false, &no_ledger);
	if (status != MH_OK) {
		work_log("%s", err.text);
	} else {
		wrong = never_reached(w.conf) + kinds_without_rule(&w);
		if (w.conf->embedded)
			(void)puts(
			    "no action and no rule is configured: tickets go into a folder, replies into a Maildir");
		if (w.conf->observe)
			(void)puts("observe is on: actions only describe what they would do");
		wrong += unwatched(w.conf) + wrong_accounts(&w);
		wrong += check_trust(&w, o->online);
		wrong += check_actions(&w, o);
	}
	work_release(&w);
	if (status != MH_OK || !right)
		return status == MH_OK ? EXIT_USAGE : work_exit(status);
	return wrong > 0 ? EXIT_ATTENTION : EXIT_OK;
}
