/* cmd_check.c: the configuration as a whole, before mail depends on it. */
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/work/accounts.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/publish.h"
#include "mailhook/work/runner.h"
#include "parsers/parser.h"
#include "parsers/probe.h"

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
check_actions(struct work *w, const struct options *o, struct speech *speech)
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
		cJSON *item = speech_item(speech, "actions");
		if (item != NULL)
			speech->whole = json_add_string(item, "action", act->name) &&
					cJSON_AddBoolToObject(item, "fit", fit) != NULL &&
					json_add_string(item, "words", shown);
		if (!is_used(w->conf, act->name))
			(void)printf("action %s: no rule uses it\n", act->name);
		buf_release(&summary);
		if (o->templates && fit)
			fit = show_templates(w, act);
		n += !fit;
	}
	return n;
}

/* A server is asked: it may be away, refuse us, or lose what it has confirmed. */
static size_t
check_ledger(const struct work *w)
{
	struct mh_err err = { 0 };
	struct buf words;
	char shown[1200];

	buf_init(&words, 1024);
	const enum mh_status status = work_describe_ledger(w, &words, &err);
	if (status != MH_SKIP)
		(void)printf("ledger: %s: %s\n", status == MH_OK ? "fit" : "not fit",
		    status == MH_OK ? mh_escape_words(shown, sizeof(shown), words.p) : err.text);
	buf_release(&words);
	return status != MH_OK && status != MH_SKIP;
}

static size_t
unfit(const char *option, const char *folder, bool make)
{
	struct mh_err err = { 0 };

	if (publish_check(folder, make, &err) == MH_OK)
		return 0;
	(void)printf("%s: not fit: %s\n", option, err.text);
	return 1;
}

/* Whether the worker can put there what others read: it goes on without. */
static size_t
check_outlets(const struct conf *c)
{
	size_t wrong = c->publish_dir == NULL ? 0 : unfit("publish_dir", c->publish_dir, true);

	if (c->metrics_file != NULL) {
		const char *slash = strrchr(c->metrics_file, '/');
		char folder[4096];

		(void)snprintf(folder, sizeof(folder), "%.*s",
		    slash == c->metrics_file ? 1 : (int)(slash - c->metrics_file), c->metrics_file);
		wrong += unfit("metrics_file", folder, false);
	}
	return wrong;
}

/* It need not be there: the first notice makes it, where that can be done. */
static size_t
check_state(const struct conf *c)
{
	struct stat st;
	char above[4096];
	const char *slash = strrchr(c->state_dir, '/');
	const struct passwd *pw = getpwuid(geteuid()); /* NOLINT(concurrency-mt-unsafe): there is one thread */

	if (stat(c->state_dir, &st) == 0 || errno != ENOENT)
		return 0;
	(void)snprintf(
	    above, sizeof(above), "%.*s", slash == c->state_dir ? 1 : (int)(slash - c->state_dir), c->state_dir);
	if (faccessat(AT_FDCWD, above, W_OK | X_OK, AT_EACCESS) == 0) {
		(void)printf("state_dir %s: is made with the first notice\n", c->state_dir);
		return 0;
	}
	const char *user = pw == NULL ? "USER" : pw->pw_name;
	(void)printf("state_dir %s: is not there and cannot be made by %s: install -d -m 711 -o %s %s\n", c->state_dir,
	    user, user, c->state_dir);
	return 1;
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
	size_t wrong = 0, slow = 0;
	struct speech speech;
	int keep = -1;
	struct mh_err no_ledger = { 0 };
	enum mh_status status = work_load(&w, o->config, &err);

	if (status == MH_OK)
		status = work_read_definitions(&w, &right, &err);
	if (status == MH_OK)
		status = definitions_probe(w.definitions, work_complain, NULL, &slow, &err);
	if (status == MH_OK) /* for the ends of credentials, which actions tell; without one they are only shown */
		(void)work_open_ledger(&w, false, &no_ledger);
	speech_open(&speech, o->json);
	if (status == MH_OK) /* what is printed there, and by our own programs, comes back as lines */
		status = speech_listen(&speech, &keep, &err);
	if (status == MH_OK) {
		wrong = slow + check_state(w.conf) + check_ledger(&w) + check_rules(&w);
		if (w.conf->embedded)
			(void)puts(
			    "no action and no rule is configured: tickets go into a folder, replies into a Maildir");
		if (w.conf->observe)
			(void)puts("observe is on: actions only describe what they would do");
		wrong += check_mailboxes(&w, o->config, o->online) + wrong_accounts(&w);
		wrong += check_trust(&w, o->online) + check_outlets(w.conf);
		wrong += check_actions(&w, o, &speech);
		speech_hear(&speech, keep);
		speech_bool(&speech, "well", right && wrong == 0);
		speech_integer(&speech, "wrong", (int64_t)wrong);
		status = speech_end(&speech, &err);
	}
	if (status != MH_OK)
		work_log("%s", err.text);
	speech_release(&speech);
	work_release(&w);
	if (status != MH_OK || !right)
		return status == MH_OK ? EXIT_USAGE : work_exit(status);
	return wrong > 0 ? EXIT_ATTENTION : EXIT_OK;
}
