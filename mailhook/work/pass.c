/* pass.c: looks at the cases whose time has come, and finds what has come about. */
#include "mailhook/work/pass.h"

#include <inttypes.h>
#include <string.h>

#include "mailhook/json.h"
#include "mailhook/work/case_impl.h"
#include "mailhook/work/digest.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/approvals.h"
#include "mailhook/work/ledger/times.h"
#include "mailhook/work/ledger/upkeep.h"
#include "mailhook/work/mailboxes.h"

#define PASS_ARENA_BYTES ((size_t)64 << 20)
#define META_TIMES "times"
#define RENEWED_SLACK_S (14 * MH_DAY_S) /* AWS writes weekly at first: two weeks without a word are silence */

struct passing { /* one case that is looked at */
	struct work *w;
	struct arena *a;
	int64_t now;
	struct case_row c;
	struct time_row t;
};

/* -- instants ------------------------------------------------------------------------------------------------------ */

/* The earliest instant that is still to come. */
static void
look_at(struct passing *p, int64_t at)
{
	if (at > p->now && at < p->t.look)
		p->t.look = at;
}

int64_t
pass_days(const char *text)
{
	int64_t n = 0;

	for (; *text >= '0' && *text <= '9'; text++) /* conf_check.c saw that it is one to four digits */
		n = n * 10 + (*text - '0');
	return n;
}

static const struct conf_list *
thresholds_of(const struct passing *p)
{
	const struct conf_credential *own = strcmp(p->c.kind, KIND_CREDENTIAL) == 0 && p->c.resource != NULL
						? conf_credential(p->w->conf, p->c.resource)
						: NULL;

	return own == NULL ? &p->w->conf->thresholds : &own->thresholds;
}

static enum mh_status
event(const struct passing *p, const char *what, const char *detail, struct mh_err *err)
{
	return case_event(p->w, &p->c, what, "mailhook", detail, NULL, p->now, err);
}

/* -- reminders and the expiry -------------------------------------------------------------------------------------- */

/* The lowest threshold that was crossed since the case was opened; 0: none. Those to come are noted. */
static int64_t
crossed(struct passing *p)
{
	const struct conf_list *thresholds = thresholds_of(p);
	int64_t lowest = 0;

	for (size_t i = 0; i < thresholds->n; i++) {
		const int64_t days = pass_days(thresholds->items[i]), at = p->c.expires - days * MH_DAY_S;

		if (p->t.reminded != 0 && days >= p->t.reminded)
			continue;
		look_at(p, at);
		if (at > p->c.opened && at <= p->now && (lowest == 0 || days < lowest))
			lowest = days;
	}
	return lowest;
}

static enum mh_status
remind(struct passing *p, struct mh_err *err)
{
	struct mh_span detail;
	char expires[MH_TIME_TEXT];

	if (!p->c.open || !p->c.has_expires || p->c.expires <= p->c.opened || p->t.expired)
		return MH_OK;
	(void)time_text(expires, p->c.expires);
	look_at(p, p->c.expires);
	if (p->c.expires <= p->now) { /* what was not reminded of until now is no news any more */
		p->t.expired = true;
		return arena_printf(p->a, &detail, err, "at %s, and still open", expires) == MH_OK
			   ? event(p, "expired", detail.p, err)
			   : MH_RETRY;
	}

	const int64_t days = crossed(p);
	if (days == 0)
		return MH_OK;
	p->t.reminded = days;
	if (arena_printf(p->a, &detail, err, "%" PRId64 " %s or less until %s", days, days == 1 ? "day" : "days",
		expires) != MH_OK)
		return MH_RETRY;
	return event(p, "reminded", detail.p, err);
}

/* -- escalations --------------------------------------------------------------------------------------------------- */

static bool
names_rule(const struct conf_escalate *e, const char *rule)
{
	for (size_t i = 0; rule != NULL && i < e->rules.n; i++)
		if (strcmp(e->rules.items[i], rule) == 0)
			return true;
	return e->rules.n == 0;
}

static bool
is_for(const struct conf_escalate *e, const struct case_row *c)
{
	if (e->before_s >= 0 && !c->has_expires)
		return false;
	return names_rule(e, c->rule) && conf_takes(&e->kinds, span_of(c->kind)) &&
	       conf_takes(&e->accounts, span_of(c->account));
}

static bool
has_name(const cJSON *names, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, names)
	{
		if (cJSON_IsString(item) && strcmp(item->valuestring, name) == 0)
			return true;
	}
	return false;
}

static enum mh_status
printed(struct passing *p, const cJSON *j, const char **ret, struct mh_err *err)
{
	struct buf out;
	struct mh_span copy;
	enum mh_status status = MH_RETRY;

	buf_init(&out, 65536);
	if (json_print(j, &out) && buf_ok(&out) && arena_copy(p->a, buf_span(&out), &copy, NULL) == MH_OK) {
		*ret = copy.p;
		status = MH_OK;
	}
	buf_release(&out);
	return status == MH_OK ? MH_OK : mh_fail(err, status, "no memory for an escalation");
}

static enum mh_status
escalate_one(struct passing *p, const struct conf_escalate *e, cJSON *done, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *names = cJSON_CreateArray();
	const char *actions = NULL;
	struct mh_span detail;
	bool ok = names != NULL && cJSON_AddItemToArray(done, cJSON_CreateString(e->name));

	for (size_t i = 0; ok && i < e->actions.n; i++)
		ok = cJSON_AddItemToArray(names, cJSON_CreateString(e->actions.items[i]));
	if (!ok)
		return mh_fail(err, MH_RETRY, "no memory for an escalation");
	const bool since = e->after_s >= 0;
	const int64_t hours = (since ? e->after_s : e->before_s) / 3600;
	enum mh_status status = printed(p, names, &actions, err);
	if (status == MH_OK &&
	    arena_printf(p->a, &detail, err, "escalation \"%s\": nobody acted %s %" PRId64 " %s", e->name,
		since ? "within" : "until the last", hours % 24 == 0 && hours > 0 ? hours / 24 : hours,
		hours % 24 == 0 && hours > 0 ? "days" : "hours") != MH_OK)
		status = MH_RETRY;
	if (status == MH_OK)
		status = printed(p, done, &p->t.escalated, err);
	return status == MH_OK ? case_escalate(p->w, &p->c, actions, detail.p, p->now, err) : status;
}

/* Nobody acted: the case is open, no person approved, and no effect of its rule ended well. */
static enum mh_status
escalate(struct passing *p, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *done = json_parse(span_of(p->t.escalated), err);
	bool acted = false;
	enum mh_status status = MH_OK;

	if (!cJSON_IsArray(done))
		return mh_fail(err, MH_BAD, "ledger: a case's escalations are not a list of names");
	if (!p->c.open || p->c.approved_by != NULL || case_is_drill(&p->c) ||
	    (p->c.has_expires && p->c.expires <= p->c.opened))
		return MH_OK;
	status = ledger_effect_done(p->w->db, p->c.id, &acted, err);
	for (size_t i = 0; i < p->w->conf->n_escalations && status == MH_OK; i++) {
		const struct conf_escalate *e = &p->w->conf->escalations[i];

		if (!is_for(e, &p->c) || has_name(done, e->name))
			continue;
		const int64_t at = e->after_s >= 0 ? p->c.opened + e->after_s : p->c.expires - e->before_s;
		look_at(p, at);
		if (at <= p->now && !acted)
			status = escalate_one(p, e, done, err);
	}
	return status;
}

/* -- the notice that did not come ---------------------------------------------------------------------------------- */

static enum mh_status
open_silence(struct passing *p, int64_t due, struct mh_err *err)
{
	struct take t = { .w = p->w, .a = p->a, .now = p->now };
	struct case_row c = { .kind = KIND_SILENCE,
		.account = p->c.account,
		.region = p->c.region,
		.resource = p->c.resource,
		.trust = p->c.trust };
	char last[MH_TIME_TEXT], by[MH_TIME_TEXT];
	struct mh_span reason;

	if (arena_printf(p->a, &reason, err,
		"no notice came by %s about the %s after the one that expired at %s (case %" PRId64 ")",
		time_text(by, due), p->c.kind, time_text(last, p->c.expires), p->c.id) != MH_OK)
		return MH_RETRY;
	c.reason = reason.p;
	const enum mh_status status = case_open(&t, &c, err);
	return status == MH_OK ? ledger_event_add(p->w->db, p->c.id, p->now, "silence", "mailhook", reason.p, NULL, err)
			       : status;
}

/* Of an unverified notice for an account that nobody named nothing is expected: anybody may have written it; but where it
 * was renewed there is something. */
static enum mh_status
await(struct passing *p, struct mh_err *err)
{
	const int64_t expect_s = conf_expect_s(p->w->conf, p->c.rule, p->c.kind);
	struct renewal_row renewed = { 0 };
	bool later = false;

	if (p->t.awaited || expect_s == 0 || !p->c.has_expires || case_is_drill(&p->c) ||
	    span_starts(span_of(p->c.kind), MH_LIT("mailhook.")))
		return MH_OK;
	enum mh_status status = ledger_renewal(p->w->db, p->c.id, &renewed, err);
	if (status != MH_OK && status != MH_SKIP)
		return status;
	if (status == MH_SKIP && p->c.unlisted && p->c.trust == TRUST_UNVERIFIED)
		return MH_OK;
	const int64_t end = p->c.has_closed && p->c.closed > p->c.expires ? p->c.closed : p->c.expires;
	/* What was put in its place says by itself when it is to be written of. */
	const int64_t due = renewed.has_notice ? renewed.notice + RENEWED_SLACK_S : end + expect_s;
	look_at(p, due);
	if (due > p->now)
		return MH_OK;
	p->t.awaited = true;
	status = ledger_case_later(p->w->db, &p->c, p->c.expires + DERIVED_DAYS * MH_DAY_S, &later, err);
	return status == MH_OK && !later ? open_silence(p, due, err) : status;
}

/* -- rounds -------------------------------------------------------------------------------------------------------- */

static enum mh_status
look(struct passing *p, struct mh_err *err)
{
	enum mh_status status = ledger_case_get(p->w->db, p->t.case_id, p->a, &p->c, err);

	p->t.look = TIMES_NEVER;
	if (status == MH_OK)
		status = remind(p, err);
	if (status == MH_OK)
		status = escalate(p, err);
	if (status == MH_OK)
		status = await(p, err);
	return status == MH_OK ? ledger_times_update(p->w->db, &p->t, err) : status;
}

/* All of the configuration that decides when a case is looked at. */
static enum mh_status
mark_of(const struct conf *c, char ret[DIGEST_HEX], struct mh_err *err)
{
	struct buf text;
	enum mh_status status = mh_fail(err, MH_RETRY, "no memory for the configuration's times");

	buf_init(&text, (size_t)16 << 20);
	for (size_t i = 0; i < c->thresholds.n; i++)
		buf_printf(&text, "threshold %s\n", c->thresholds.items[i]);
	for (size_t i = 0; i < c->n_rules; i++)
		buf_printf(&text, "rule %s %d\n", c->rules[i].name, c->rules[i].expect_s);
	for (size_t i = 0; i < c->n_escalations; i++) {
		const struct conf_escalate *e = &c->escalations[i];
		const struct conf_list *lists[] = { &e->rules, &e->kinds, &e->accounts, &e->actions };

		buf_printf(&text, "escalate %s %d %d\n", e->name, e->after_s, e->before_s);
		for (size_t k = 0; k < sizeof(lists) / sizeof(lists[0]); k++)
			for (size_t j = 0; j < lists[k]->n; j++)
				buf_printf(&text, "%zu %s\n", k, lists[k]->items[j]);
	}
	for (size_t i = 0; i < c->n_credentials; i++)
		for (size_t k = 0; k < c->credentials[i].thresholds.n; k++)
			buf_printf(
			    &text, "credential %s %s\n", c->credentials[i].name, c->credentials[i].thresholds.items[k]);
	if (buf_ok(&text)) {
		const struct mh_span fields[] = { MH_LIT("times"), buf_span(&text) };
		status = digest_fields(fields, 2, ret, err);
	}
	buf_release(&text);
	return status;
}

/* Another configuration than the one by which cases were looked at last: all are looked at again. */
static enum mh_status
compare(struct work *w, struct arena *a, struct mh_err *err)
{
	char mark[DIGEST_HEX];
	const char *before = NULL;
	enum mh_status status = mark_of(w->conf, mark, err);

	if (status == MH_OK)
		status = ledger_meta_get(w->db, META_TIMES, a, &before, err);
	if (status != MH_OK || (before != NULL && strcmp(before, mark) == 0))
		return status;
	status = ledger_times_reset(w->db, err);
	return status == MH_OK ? ledger_meta_set(w->db, META_TIMES, mark, err) : status;
}

static bool
credentials_due(const struct work *w, const struct pass *p, int64_t now)
{
	return !p->started || w->credentials_told || now < p->credentials_at ||
	       now >= p->credentials_at + PASS_CREDENTIALS_S;
}

static bool
mailboxes_due(const struct work *w, const struct pass *p, int64_t now)
{
	return !p->started ||
	       (w->conf->n_mailboxes > 0 && (now < p->mailboxes_at || now >= p->mailboxes_at + MAILBOXES_EVERY_S));
}

static enum mh_status
pass_in(struct work *w, struct pass *p, struct arena *a, int64_t now, bool *ret_more, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	struct time_rows due = { 0 };
	int64_t next = 0;
	const bool credentials = credentials_due(w, p, now), mailboxes = mailboxes_due(w, p, now);
	enum mh_status status = MH_OK;

	if (!credentials && !mailboxes) { /* the usual round: no transaction where nothing is due */
		status = ledger_times_next(w->db, &next, err);
		if (status == MH_SKIP || (status == MH_OK && next > now))
			return MH_OK;
	}
	if (status == MH_OK)
		status = db_tx_begin(w->db, &tx, err);
	if (status == MH_OK && !p->started)
		status = compare(w, a, err);
	if (status == MH_OK && credentials)
		status = own_credentials(w, a, now, err);
	if (status == MH_OK && mailboxes)
		status = mailboxes_cases(w, a, now, err);
	if (status == MH_OK)
		status = ledger_times_due(w->db, now, PASS_BATCH, a, &due, err);
	for (size_t i = 0; i < due.n && status == MH_OK; i++) {
		struct passing one = { .w = w, .a = a, .now = now, .t = due.items[i] };
		status = look(&one, err);
	}
	if (status == MH_OK)
		status = db_tx_commit(&tx, err);
	if (status != MH_OK)
		return status;
	*ret_more = due.n == PASS_BATCH;
	p->started = true;
	if (mailboxes)
		p->mailboxes_at = now;
	if (credentials) {
		p->credentials_at = now;
		w->credentials_told = false;
	}
	return MH_OK;
}

enum mh_status
pass_time(struct work *w, struct pass *p, int64_t now, bool *ret_more, struct mh_err *err)
{
	struct arena a;
	enum mh_status status = ledger_paused_all(w->db, &p->paused, err);

	*ret_more = false;
	/* what comes of a wrong clock cannot be undone: a node whose clock is right does it */
	if (status != MH_OK || p->paused || w->clock_off)
		return status;
	arena_init(&a, PASS_ARENA_BYTES);
	status = pass_in(w, p, &a, now, ret_more, err);
	arena_release(&a);
	return status;
}

int64_t
pass_next(struct work *w, const struct pass *p, int64_t now)
{
	int64_t next = now + PASS_CREDENTIALS_S, look_next = 0;
	struct mh_err err = { 0 };

	if (p->paused || w->clock_off)
		return next; /* who resumes wakes the worker */
	if (w->conf->n_credentials > 0 && p->started)
		next = p->credentials_at + PASS_CREDENTIALS_S;
	if (w->conf->n_mailboxes > 0 && p->mailboxes_at + MAILBOXES_EVERY_S < next)
		next = p->mailboxes_at + MAILBOXES_EVERY_S;
	if (ledger_times_next(w->db, &look_next, &err) == MH_OK && look_next < next)
		next = look_next;
	return next;
}
