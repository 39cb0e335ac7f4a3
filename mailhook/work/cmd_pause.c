/* cmd_pause.c: a person stops what would start next, and lets it go on: everything, a rule, or an action. */
#include <stdio.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/ledger/upkeep.h"
#include "mailhook/work/upkeep.h"

struct scope {
	const char *word, *name; /* "all" and ""; "rule" or "action" and its name */
};

/* rule "scim", action "jira", everything */
static const char *
scope_words(const char *scope, const char *name, char *dst, size_t dst_bytes)
{
	char shown[100];

	if (strcmp(scope, "all") == 0)
		(void)snprintf(dst, dst_bytes, "everything");
	else
		(void)snprintf(dst, dst_bytes, "%s \"%s\"", scope, mh_escape(shown, sizeof(shown), span_of(name)));
	return dst;
}

/* What lets it go on. */
static const char *
resume_words(const char *scope, const char *name, char *dst, size_t dst_bytes)
{
	char shown[100];

	if (strcmp(scope, "all") == 0)
		(void)snprintf(dst, dst_bytes, "mailhook resume");
	else
		(void)snprintf(
		    dst, dst_bytes, "mailhook resume --%s %s", scope, mh_escape(shown, sizeof(shown), span_of(name)));
	return dst;
}

/* -- for status, list and show -------------------------------------------------------------------------------------- */

static bool
touches(const struct pause_row *p, const struct case_row *c)
{
	if (c == NULL || strcmp(p->scope, "all") == 0)
		return true;
	if (strcmp(p->scope, "rule") == 0)
		return c->rule != NULL && strcmp(c->rule, p->name) == 0;

	MH_AUTO(drop_json) cJSON *names = json_parse(span_of(c->actions), NULL);
	const cJSON *item;
	cJSON_ArrayForEach(item, names)
	{
		if (cJSON_IsString(item) && strcmp(item->valuestring, p->name) == 0)
			return true;
	}
	return false;
}

enum mh_status
pause_lines(struct work *w, const struct case_row *c, struct buf *out, struct mh_err *err)
{
	struct arena a;
	struct pause_rows pauses = { 0 };

	arena_init(&a, WORK_ARENA_BYTES);
	enum mh_status status = ledger_pauses(w->db, &a, &pauses, err);
	for (size_t i = 0; i < pauses.n && status == MH_OK; i++) {
		const struct pause_row *p = &pauses.items[i];
		char what[120], how[140], t[MH_TIME_TEXT], by[80], why[200];

		if (!touches(p, c))
			continue;
		buf_printf(out, "%s since %s by %s%s%s: '%s' lets it go on\n",
		    scope_words(p->scope, p->name, what, sizeof(what)), time_text(t, p->since),
		    mh_escape(by, sizeof(by), span_of(p->by)), p->why[0] == '\0' ? "" : ", ",
		    mh_escape(why, sizeof(why), span_of(p->why)), resume_words(p->scope, p->name, how, sizeof(how)));
	}
	arena_release(&a);
	if (status == MH_OK && !buf_ok(out))
		return mh_fail(err, MH_RETRY, "no memory for what is paused");
	return status;
}

enum mh_status
pause_print(struct work *w, struct mh_err *err)
{
	struct buf lines;
	struct mh_span rest, one;

	buf_init(&lines, 65536);
	const enum mh_status status = w->db == NULL ? MH_OK : pause_lines(w, NULL, &lines, err);
	rest = buf_span(&lines);
	while (status == MH_OK && span_line(&rest, &one))
		(void)printf("%-11s %.*s\n", "paused", (int)one.n, one.p);
	buf_release(&lines);
	return status;
}

bool
pause_add(const struct pause_rows *pauses, const struct case_row *c, cJSON *j)
{
	cJSON *list = cJSON_AddArrayToObject(j, "paused");
	bool ok = list != NULL;

	for (size_t i = 0; i < pauses->n && ok; i++) {
		const struct pause_row *p = &pauses->items[i];

		if (!touches(p, c))
			continue;
		cJSON *o = cJSON_CreateObject();
		ok = o != NULL && cJSON_AddItemToArray(list, o) && json_add_string(o, "scope", p->scope) &&
		     json_add_string(o, "name", p->name[0] == '\0' ? NULL : p->name) &&
		     json_add_time(o, "since", p->since) && json_add_string(o, "by", p->by) &&
		     json_add_string(o, "why", p->why);
	}
	return ok;
}

enum mh_status
pause_json(struct work *w, const struct case_row *c, cJSON *j, struct mh_err *err)
{
	struct arena a;
	struct pause_rows pauses = { 0 };

	arena_init(&a, WORK_ARENA_BYTES);
	enum mh_status status = w->db == NULL ? MH_OK : ledger_pauses(w->db, &a, &pauses, err);
	if (status == MH_OK && !pause_add(&pauses, c, j))
		status = mh_fail(err, MH_RETRY, "no memory for what is paused");
	arena_release(&a);
	return status;
}

/* -- the commands -------------------------------------------------------------------------------------------------- */

static enum mh_status
read_scope(const struct options *o, struct scope *ret, struct mh_err *err)
{
	if (o->rule != NULL && o->action != NULL)
		return mh_fail(err, MH_BAD, "--rule or --action, not both: each is paused for itself");
	if (o->rule != NULL)
		*ret = (struct scope){ "rule", o->rule };
	else if (o->action != NULL)
		*ret = (struct scope){ "action", o->action };
	else
		*ret = (struct scope){ "all", "" };
	return MH_OK;
}

static enum mh_status
unknown(const char *what, const char *name, struct buf *names, struct mh_err *err)
{
	char shown[60];
	const enum mh_status status = mh_fail(err, MH_BAD, "no %s is called \"%s\": there are %s", what,
	    mh_escape(shown, sizeof(shown), span_of(name)), buf_ok(names) && names->p != NULL ? names->p : "none");

	buf_release(names);
	return status;
}

/* What is paused must exist: a slip of the pen would stop nothing. */
static enum mh_status
must_exist(const struct conf *c, const struct scope *s, struct mh_err *err)
{
	struct buf names;

	buf_init(&names, 65536);
	if (strcmp(s->word, "rule") == 0) {
		for (size_t i = 0; i < c->n_rules; i++) {
			if (strcmp(c->rules[i].name, s->name) == 0) {
				buf_release(&names);
				return MH_OK;
			}
			buf_printf(&names, "%s%s", i == 0 ? "" : ", ", c->rules[i].name);
		}
		return unknown("rule", s->name, &names, err);
	}
	if (strcmp(s->word, "all") == 0 || conf_action(c, s->name) != NULL) {
		buf_release(&names);
		return MH_OK;
	}
	for (size_t i = 0; i < c->n_actions; i++)
		buf_printf(&names, "%s%s", i == 0 ? "" : ", ", c->actions[i].name);
	return unknown("action", s->name, &names, err);
}

static enum mh_status
open_or_make(struct work *w, struct mh_err *err)
{
	enum mh_status status = steer_open(w, err);

	if (status != MH_SKIP)
		return status;
	status = work_make_folders(w, err);
	if (status == MH_OK)
		status = work_open_ledger(w, true, err);
	return status == MH_OK ? mark_look(w, clock_now(), err) : status;
}

static enum mh_status
pause_in(struct work *w, const struct scope *s, int tries, const char *by, int64_t now, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	const struct pause_row p = { .scope = s->word, .name = s->name, .since = now, .by = by, .why = "" };
	char what[120], how[140];
	int64_t done = 0;
	enum mh_status status = db_tx_begin(w->db, &tx, err);

	(void)scope_words(s->word, s->name, what, sizeof(what));
	if (status == MH_OK)
		status = ledger_event_done(w->db, tries, 0, now, "paused", by, what, &done, err);
	if (status == MH_OK && done > 0)
		return MH_OK;
	if (status == MH_OK)
		status = ledger_pause_add(w->db, &p, err);
	if (status == MH_SKIP)
		return mh_fail(err, MH_SKIP, "%s is paused already: '%s' lets it go on", what,
		    resume_words(s->word, s->name, how, sizeof(how)));
	if (status == MH_OK)
		status = ledger_event_add(w->db, 0, now, "paused", by, what, NULL, err);
	if (status == MH_OK)
		w->db->engine->call(w->db);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

/* It is not paused: what is, then? MH_SKIP: nothing, so that all is as it was to be. */
static enum mh_status
not_paused(struct work *w, const char *what, struct mh_err *err)
{
	struct arena a;
	struct pause_rows pauses = { 0 };
	char how[140];

	arena_init(&a, WORK_ARENA_BYTES);
	enum mh_status status = ledger_pauses(w->db, &a, &pauses, err);
	if (status == MH_OK && pauses.n == 0)
		status = mh_fail(err, MH_SKIP, "nothing is paused");
	else if (status == MH_OK)
		status = mh_fail(err, MH_BAD, "%s is not paused; what is: '%s'", what,
		    resume_words(pauses.items[0].scope, pauses.items[0].name, how, sizeof(how)));
	arena_release(&a);
	return status;
}

static enum mh_status
resume_in(struct work *w, const struct scope *s, int tries, const char *by, int64_t now, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	char what[120];
	int64_t done = 0;
	enum mh_status status = db_tx_begin(w->db, &tx, err);

	(void)scope_words(s->word, s->name, what, sizeof(what));
	if (status == MH_OK)
		status = ledger_event_done(w->db, tries, 0, now, "resumed", by, what, &done, err);
	if (status == MH_OK && done > 0)
		return MH_OK;
	if (status == MH_OK)
		status = ledger_pause_remove(w->db, s->word, s->name, err);
	if (status == MH_SKIP)
		return not_paused(w, what, err);
	if (status == MH_OK)
		status = ledger_event_add(w->db, 0, now, "resumed", by, what, NULL, err);
	if (status == MH_OK)
		w->db->engine->call(w->db);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

static int
steer(const struct options *o, bool pause)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct scope s = { 0 };
	struct speech speech;
	char by[100], what[120];
	enum mh_status status = work_load(&w, o->config, &err);

	who_steers(by, sizeof(by));
	speech_open(&speech, o->json);
	if (status == MH_OK)
		status = read_scope(o, &s, &err);
	if (status == MH_OK && pause)
		status = must_exist(w.conf, &s, &err);
	if (status == MH_OK) {
		status = pause ? open_or_make(&w, &err) : steer_open(&w, &err);
		if (status == MH_SKIP)
			mh_fail(&err, MH_SKIP, "nothing is paused");
	}
	const int64_t now = clock_now();
	int tries = 0;
	if (status == MH_OK)
		do {
			status =
			    pause ? pause_in(&w, &s, tries, by, now, &err) : resume_in(&w, &s, tries, by, now, &err);
		} while (db_again(w.db, status, &tries));
	if (status == MH_OK || status == MH_SKIP) {
		if (status == MH_SKIP) /* it is so already */
			speech_say(&speech, "%s", err.text);
		else
			speech_say(&speech, "%s %s", scope_words(s.word, s.name, what, sizeof(what)),
			    pause ? "is paused: no job of it starts; what runs goes on to its end" : "goes on");
		speech_bool(&speech, "paused", pause);
		speech_string(&speech, "scope", s.word);
		speech_string(&speech, "name", s.name[0] == '\0' ? NULL : s.name);
		work_wake(w.conf);
		status = speech_end(&speech, &err);
	}
	if (status != MH_OK)
		work_log("%s", err.text);
	speech_release(&speech);
	work_release(&w);
	return work_exit(status);
}

int
pause_command(const struct options *o)
{
	return steer(o, true);
}

int
resume_command(const struct options *o)
{
	return steer(o, false);
}
