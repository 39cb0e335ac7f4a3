/* own.c: credentials of our own, which no mail tells of: their dates stand in the configuration or in a certificate, or
 * the action that uses them tells them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/certificate.h"
#include "mailhook/work/case_impl.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/credentials.h"
#include "mailhook/work/ledger/times.h"
#include "mailhook/work/pass.h"

/* One credential, and what its case must say now. */
struct wanted {
	struct case_row c;
	const struct conf_list *thresholds;
	bool endless; /* its action says that it has no end: there is no case of it */
	bool have;    /* an open case says so already */
};

/* One that the configuration names. MH_SKIP: its certificate is not on this machine, but may be on another one. */
static enum mh_status
configured(
    const struct work *w, const struct conf_credential *k, struct arena *a, struct wanted *ret, struct mh_err *err)
{
	struct case_row c = { .kind = KIND_CREDENTIAL,
		.resource = k->name,
		.has_expires = true,
		.expires = k->expires,
		.precision = k->day ? MH_DAY : MH_SECOND,
		.reason = k->renew,
		.trust = TRUST_VERIFIED }; /* the administrator's own word */
	struct mh_err why = { 0 };
	struct mh_span reason;

	if (k->certificate_file != NULL && certificate_end(k->certificate_file, &c.expires, &why) != MH_OK) {
		if (why.absent && !w->db->engine->local)
			return MH_SKIP;
		if (arena_copy(a, span_of(why.text), &reason, err) != MH_OK)
			return MH_RETRY;
		c.has_expires = false;
		c.reason = reason.p;
	}
	*ret = (struct wanted){ .c = c, .thresholds = &k->thresholds };
	return MH_OK;
}

/* One of which its action told. */
static enum mh_status
reported(
    const struct conf *conf, const struct credential_row *k, struct arena *a, struct wanted *ret, struct mh_err *err)
{
	struct mh_span title;

	if (arena_printf(a, &title, err, "%s: %s", k->action, k->name) != MH_OK)
		return MH_RETRY;
	const struct case_row c = { .kind = KIND_CREDENTIAL,
		.resource = title.p,
		.has_expires = k->has_expires,
		.expires = k->expires,
		.precision = k->precision,
		.trust = TRUST_VERIFIED }; /* the service's word, by our own program */
	*ret = (struct wanted){ .c = c, .thresholds = &conf->thresholds, .endless = !k->has_expires };
	return MH_OK;
}

/* Of nodes that share a ledger each knows its own configuration and files only: what is not here may be at another. */
static bool
may_be_elsewhere(const struct work *w, const struct case_row *c)
{
	const struct mh_span title = span_of(c->resource);

	if (w->db->engine->local)
		return false;
	for (size_t i = 0; i < w->conf->n_actions; i++) {
		const struct mh_span name = span_of(w->conf->actions[i].name);
		if (span_starts(title, name) && span_starts(span_from(title, name.n), MH_LIT(": ")))
			return false; /* what it told, it told for all */
	}
	return true;
}

static bool
same(const struct case_row *have, const struct wanted *want)
{
	if (want->endless)
		return false;
	return have->has_expires == want->c.has_expires && (!have->has_expires || have->expires == want->c.expires);
}

static enum mh_status
shut(struct work *w, struct arena *a, struct case_row *c, const struct wanted *want, int64_t now, struct mh_err *err)
{
	struct mh_span why = MH_LIT("it is not configured any more");
	char t[MH_TIME_TEXT];

	if (want != NULL && want->endless)
		why = MH_LIT("it has no end any more");
	else if (want != NULL && want->c.has_expires &&
		 arena_printf(a, &why, err, "it expires at %s now", time_text(t, want->c.expires)) != MH_OK)
		return MH_RETRY;
	else if (want != NULL && !want->c.has_expires)
		why = span_of(want->c.reason);
	c->open = false;
	c->has_closed = true;
	c->closed = now;
	c->closed_by = "mailhook";
	const enum mh_status status = ledger_case_update(w->db, c, err);
	return status == MH_OK ? case_event(w, c, "closed", "mailhook", why.p, NULL, now, err) : status;
}

/* Closes what is past, and notes of which credentials there is a case. */
static enum mh_status
close_old(struct work *w, struct arena *a, struct wanted *want, size_t n, int64_t now, struct mh_err *err)
{
	struct id_rows ids = { 0 };
	enum mh_status status = ledger_open_of_kind(w->db, KIND_CREDENTIAL, a, &ids, err);

	for (size_t i = 0; i < ids.n && status == MH_OK; i++) {
		struct wanted *now_is = NULL;
		struct case_row c;

		status = ledger_case_get(w->db, ids.items[i], a, &c, err);
		for (size_t k = 0; status == MH_OK && k < n && now_is == NULL; k++)
			if (c.resource != NULL && strcmp(want[k].c.resource, c.resource) == 0)
				now_is = &want[k];
		if (status == MH_OK && now_is != NULL && same(&c, now_is))
			now_is->have = true;
		else if (status == MH_OK && (now_is != NULL || !may_be_elsewhere(w, &c)))
			status = shut(w, a, &c, now_is, now, err);
	}
	return status;
}

/* Thresholds fall, so the first is the highest. */
static bool
near(const struct wanted *want, int64_t now)
{
	const int64_t days = want->thresholds->n == 0 ? 0 : pass_days(want->thresholds->items[0]);

	return !want->c.has_expires || want->c.expires - days * MH_DAY_S <= now;
}

/* The configuration's first; a block of the same name as what an action tells of holds. */
static enum mh_status
gather(struct work *w, struct arena *a, struct wanted **ret, size_t *ret_n, struct mh_err *err)
{
	struct credential_rows told = { 0 };
	enum mh_status status = ledger_credentials(w->db, a, &told, err);
	struct wanted *want = status == MH_OK ? arena_array(a, w->conf->n_credentials + told.n, sizeof(*want)) : NULL;
	size_t n = 0;

	if (status == MH_OK && want == NULL)
		status = mh_fail(err, MH_RETRY, "no memory for credentials");
	for (size_t i = 0; i < w->conf->n_credentials && status == MH_OK; i++) {
		status = configured(w, &w->conf->credentials[i], a, &want[n], err);
		n += status == MH_OK;
		status = status == MH_SKIP ? MH_OK : status;
	}
	for (size_t i = 0; i < told.n && status == MH_OK; i++) {
		if (conf_action(w->conf, told.items[i].action) == NULL) {
			if (w->db->engine->local) /* else another node may have it */
				status = ledger_credentials_forget(w->db, told.items[i].action, INT64_MAX, err);
			continue;
		}
		status = reported(w->conf, &told.items[i], a, &want[n], err);
		n += status == MH_OK && conf_credential(w->conf, want[n].c.resource) == NULL;
	}
	if (status == MH_OK) {
		*ret = want;
		*ret_n = n;
	}
	return status;
}

enum mh_status
own_credentials(struct work *w, struct arena *a, int64_t now, struct mh_err *err)
{
	struct wanted *want = NULL;
	size_t n = 0;
	enum mh_status status = gather(w, a, &want, &n, err);

	if (status == MH_OK)
		status = close_old(w, a, want, n, now, err);
	for (size_t i = 0; i < n && status == MH_OK; i++) {
		struct take t = { .w = w, .a = a, .now = now };
		bool known = false;

		if (want[i].have || want[i].endless || !near(&want[i], now))
			continue;
		status = ledger_case_known(w->db, &want[i].c, &known, err); /* a person closed it: their word stands */
		if (status == MH_OK && !known)
			status = case_open(&t, &want[i].c, err);
	}
	return status;
}
