/* cmd_list.c: what expires when: as a table, as lines of JSON, as a calendar and as a page. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/json.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/publish.h"

#define MOST_DAYS 36500

/* -- the table ----------------------------------------------------------------------------------------------------- */

static void
left(char dst[24], const struct case_row *c, int64_t now)
{
	const int64_t s = c->expires - now;

	if (!c->has_expires)
		(void)snprintf(dst, 24, "-");
	else if (s < 0)
		(void)snprintf(dst, 24, "past");
	else
		(void)snprintf(dst, 24, "%lldd", (long long)(s / MH_DAY_S));
}

static const char *
or_dash(const char *s)
{
	return s == NULL || s[0] == '\0' ? "-" : s;
}

/* ECMA-48 8.3.117: past red, within a week yellow, within a month bold, closed faint. */
static const char *
tone(const struct case_row *c, int64_t now)
{
	const int64_t s = c->expires - now;

	if (!c->open)
		return "\033[2m";
	if (!c->has_expires)
		return "\033[35m";
	return s < 0 ? "\033[31m" : s < 7 * MH_DAY_S ? "\033[33m" : s < 30 * MH_DAY_S ? "\033[1m" : "";
}

/* What a mail said goes to a terminal only escaped. */
static void
print_row(const struct case_row *c, int64_t now, bool colored)
{
	char t[MH_TIME_TEXT], days[24], thing[80], reason[160], account[40], region[40];
	const char *on = colored ? tone(c, now) : "";

	left(days, c, now);
	(void)printf("%s%-6lld %-8.8s %-20s %6s  %-9s %-10s %-34s %-12s %-14s %s%s%s%s\n", on, (long long)c->id, c->key,
	    c->has_expires ? time_text(t, c->expires) : "-", days, c->open ? "open" : "closed",
	    trust_names[case_trust(c)], c->kind, mh_escape(account, sizeof(account), span_of(or_dash(c->account))),
	    mh_escape(region, sizeof(region), span_of(or_dash(c->region))),
	    mh_escape(thing, sizeof(thing), span_of(or_dash(c->resource))), c->reason == NULL ? "" : ": ",
	    c->reason == NULL ? "" : mh_escape(reason, sizeof(reason), span_of(c->reason)),
	    on[0] == '\0' ? "" : "\033[0m");
}

static void
print_table(const struct case_rows *cases, int64_t now, bool colored)
{
	if (cases->n > 0)
		(void)printf("%-6s %-8s %-20s %6s  %-9s %-10s %-34s %-12s %-14s %s\n", "CASE", "KEY", "EXPIRES", "LEFT",
		    "STATE", "TRUST", "KIND", "ACCOUNT", "REGION", "WHAT");
	for (size_t i = 0; i < cases->n; i++)
		print_row(&cases->items[i], now, colored);
}

/* -- json ---------------------------------------------------------------------------------------------------------- */

bool
case_json(cJSON *j, const struct case_row *c, int64_t now)
{
	const int64_t s = c->expires - now;
	const int64_t days = time_day(s);

	return json_add_integer(j, "id", c->id) && json_add_string(j, "key", c->key) &&
	       json_add_string(j, "kind", c->kind) && json_add_string(j, "account", c->account) &&
	       json_add_string(j, "region", c->region) && json_add_string(j, "resource", c->resource) &&
	       (c->has_expires ? json_add_time(j, "expires", c->expires) : json_add_string(j, "expires", NULL)) &&
	       json_add_string(j, "precision", c->has_expires ? mh_precision_names[c->precision] : NULL) &&
	       (c->has_expires ? json_add_integer(j, "days_left", days) : json_add_string(j, "days_left", NULL)) &&
	       json_add_string(j, "reason", c->reason) && json_add_string(j, "trust", trust_names[c->trust]) &&
	       json_add_string(j, "rule", c->rule) && json_add_string(j, "state", c->open ? "open" : "closed") &&
	       json_add_time(j, "opened", c->opened) &&
	       (c->has_closed ? json_add_time(j, "closed", c->closed) : json_add_string(j, "closed", NULL)) &&
	       json_add_string(j, "closed_by", c->closed_by) && json_add_string(j, "approved_by", c->approved_by) &&
	       cJSON_AddBoolToObject(j, "vouched", c->vouched) != NULL &&
	       json_add_string(j, "ticket_url", c->ticket_url);
}

static enum mh_status
print_json(struct work *w, const struct case_rows *cases, int64_t now, struct arena *a, struct mh_err *err)
{
	struct pause_rows pauses = { 0 };
	const enum mh_status status = w->db == NULL ? MH_OK : ledger_pauses(w->db, a, &pauses, err);

	if (status != MH_OK)
		return status;
	for (size_t i = 0; i < cases->n; i++) {
		MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject();
		struct buf line;

		buf_init(&line, 65536);
		const bool ok = j != NULL && case_json(j, &cases->items[i], now) &&
				pause_add(&pauses, &cases->items[i], j) && json_print(j, &line);
		if (ok)
			(void)puts(line.p);
		buf_release(&line);
		if (!ok)
			return mh_fail(err, MH_RETRY, "no memory for a case");
	}
	return MH_OK;
}

/* -- the command --------------------------------------------------------------------------------------------------- */

struct wish {
	int64_t within_s; /* 0: no end */
	bool colored;
};

/* False: said what is wrong. */
static bool
read_wish(const struct options *o, struct wish *ret)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM"); /* NOLINT(concurrency-mt-unsafe) */
	const char *when = o->color == NULL ? "auto" : o->color;
	char shown[80];

	if (o->json + o->ics + o->html > 1) {
		work_log("list: --json, --ics and --html are three forms: take one");
		return false;
	}
	if (o->all && o->within != NULL) {
		work_log("list: --all lists what --within leaves out: take one");
		return false;
	}
	if (strcmp(when, "auto") != 0 && strcmp(when, "always") != 0 && strcmp(when, "never") != 0) {
		work_log("list: --color takes auto, always or never");
		return false;
	}
	ret->within_s = 0;
	if (o->within != NULL &&
	    (!conf_duration(o->within, &ret->within_s) || ret->within_s < 1 || ret->within_s > MOST_DAYS * MH_DAY_S)) {
		work_log("list: --within takes a time, as 30d or 12h, not \"%s\"",
		    mh_escape(shown, sizeof(shown), span_of(o->within)));
		return false;
	}
	/* https://no-color.org: present and not empty */
	ret->colored = strcmp(when, "always") == 0 ||
		       (strcmp(when, "auto") == 0 && isatty(STDOUT_FILENO) &&
			   (no_color == NULL || no_color[0] == '\0') && term != NULL && strcmp(term, "dumb") != 0);
	return true;
}

static enum mh_status
find_cases(struct work *w, const struct options *o, const struct wish *wish, int64_t now, struct arena *a,
    struct case_rows *ret, struct mh_err *err)
{
	enum mh_status status = work_open_ledger(w, false, err);

	if (status == MH_SKIP)
		return MH_OK; /* nothing has come yet */
	if (status != MH_OK)
		return status;
	return wish->within_s > 0 ? ledger_cases_within(w->db, now, now + wish->within_s, a, ret, err)
				  : ledger_cases(w->db, o->all, a, ret, err);
}

static enum mh_status
print_document(struct work *w, const struct options *o, const struct case_rows *cases, int64_t now, struct mh_err *err)
{
	struct buf out;

	buf_init(&out, PUBLISH_MAX_BYTES);
	const enum mh_status status =
	    o->ics ? calendar_print(w, cases, &out, err) : page_print(w, cases, 0, now, &out, err);
	if (status == MH_OK)
		(void)fwrite(out.p, 1, out.n, stdout); /* main looks whether all of it could be written */
	buf_release(&out);
	return status;
}

static enum mh_status
print_cases(struct work *w, const struct options *o, const struct wish *wish, struct arena *a, struct mh_err *err)
{
	const int64_t now = clock_now();
	struct case_rows cases = { 0 };
	const enum mh_status status = find_cases(w, o, wish, now, a, &cases, err);

	if (status != MH_OK)
		return status;
	if (o->ics || o->html)
		return print_document(w, o, &cases, now, err);
	if (o->json)
		return print_json(w, &cases, now, a, err);
	print_table(&cases, now, wish->colored);
	return pause_print(w, err);
}

int
list_command(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct arena a;
	struct wish wish;

	if (!read_wish(o, &wish))
		return EXIT_USAGE;
	enum mh_status status = work_load(&w, o->config, &err);
	arena_init(&a, WORK_ARENA_BYTES * 4);
	if (status == MH_OK)
		status = print_cases(&w, o, &wish, &a, &err);
	if (status != MH_OK)
		work_log("%s", err.text);
	arena_release(&a);
	work_release(&w);
	return work_exit(status);
}
