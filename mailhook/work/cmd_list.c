/* cmd_list.c: what expires when. */
#include <stdio.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/json.h"
#include "mailhook/work/case.h"
#include "mailhook/work/commands.h"

#define DAY_S 86400

static void
left(char dst[24], const struct case_row *c, int64_t now)
{
	const int64_t s = c->expires - now;

	if (!c->has_expires)
		(void)snprintf(dst, 24, "-");
	else if (s < 0)
		(void)snprintf(dst, 24, "past");
	else
		(void)snprintf(dst, 24, "%lldd", (long long)(s / DAY_S));
}

static const char *
or_dash(const char *s)
{
	return s == NULL || s[0] == '\0' ? "-" : s;
}

/* What a mail said goes to a terminal only escaped. */
static void
print_row(const struct case_row *c, int64_t now)
{
	char t[MH_TIME_TEXT], days[24], thing[80], reason[160], account[40], region[40];

	left(days, c, now);
	(void)printf("%-6lld %-8.8s %-20s %6s  %-9s %-10s %-34s %-12s %-14s %s%s%s\n", (long long)c->id, c->key,
	    c->has_expires ? time_text(t, c->expires) : "-", days, c->open ? "open" : "closed",
	    trust_names[case_trust(c)], c->kind, mh_escape(account, sizeof(account), span_of(or_dash(c->account))),
	    mh_escape(region, sizeof(region), span_of(or_dash(c->region))),
	    mh_escape(thing, sizeof(thing), span_of(or_dash(c->resource))), c->reason == NULL ? "" : ": ",
	    c->reason == NULL ? "" : mh_escape(reason, sizeof(reason), span_of(c->reason)));
}

bool
case_json(cJSON *j, const struct case_row *c, int64_t now)
{
	const int64_t s = c->expires - now;
	const int64_t days = s >= 0 ? s / DAY_S : -((-s + DAY_S - 1) / DAY_S);

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
	       json_add_string(j, "ticket_url", c->ticket_url);
}

static enum mh_status
print_all(struct work *w, const struct options *o, struct arena *a, struct mh_err *err)
{
	const int64_t now = clock_now();
	struct case_rows cases = { 0 };
	const enum mh_status status = ledger_cases(w->db, o->all, a, &cases, err);

	if (status != MH_OK)
		return status;
	if (!o->json && cases.n > 0)
		(void)printf("%-6s %-8s %-20s %6s  %-9s %-10s %-34s %-12s %-14s %s\n", "CASE", "KEY", "EXPIRES", "LEFT",
		    "STATE", "TRUST", "KIND", "ACCOUNT", "REGION", "WHAT");
	for (size_t i = 0; i < cases.n; i++) {
		MH_AUTO(drop_json) cJSON *j = NULL;
		struct buf line;

		if (!o->json) {
			print_row(&cases.items[i], now);
			continue;
		}
		buf_init(&line, 65536);
		j = cJSON_CreateObject();
		const bool ok = j != NULL && case_json(j, &cases.items[i], now) && json_print(j, &line);
		if (ok)
			(void)puts(line.p);
		buf_release(&line);
		if (!ok)
			return mh_fail(err, MH_RETRY, "no memory for a case");
	}
	return MH_OK;
}

int
list_command(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct arena a;
	enum mh_status status = work_load(&w, o->config, &err);

	arena_init(&a, WORK_ARENA_BYTES * 4);
	if (status == MH_OK) {
		status = work_open_ledger(&w, false, &err);
		if (status == MH_OK)
			status = print_all(&w, o, &a, &err);
		else if (status == MH_SKIP)
			status = MH_OK; /* nothing has come yet */
	}
	if (status != MH_OK)
		work_log("%s", err.text);
	arena_release(&a);
	work_release(&w);
	return work_exit(status);
}
