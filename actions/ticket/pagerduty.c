/* pagerduty.c: PagerDuty, Events API v2.
 *
 * The key is the dedup_key: what PagerDuty merges by, so that a second trigger opens nothing while the first is open.
 * Events are taken with 202 and worked later; they cannot be read. What became of an incident, and whether a person
 * resolved it (a trigger would open it anew), is read from the REST API where api_secret_file is set. Source: Events API
 * v2 "Send an alert event", "Send a change event"; REST API "List incidents". */
#include <stdio.h>
#include <string.h>

#include "actions/ticket/rest.h"

#define EVENTS "https://events.pagerduty.com"
#define API "https://api.pagerduty.com"
#define SUMMARY_BYTES 1024
#define TEXT_BYTES ((size_t)100000) /* an event has 512 kB at most */
#define BUSY_S 180                  /* "back off for a few minutes": 429 names no time */

struct pagerduty {
	struct rest rest, api; /* api: where asked */
	bool has_api;
	struct secret routing_key;
	const char *site;
};

/* -- configuration ------------------------------------------------------------------------------------------------- */

static enum mh_status
check_severities(const struct ticket_desk *d, struct mh_err *err)
{
	static const char *const known[] = { "info", "warning", "error", "critical" };

	for (int i = 0; i < 3; i++) {
		bool found = false;

		for (size_t k = 0; k < 4; k++)
			found = found || strcmp(d->priorities[i], known[k]) == 0;
		if (!found)
			return mh_fail(err, MH_BAD, "priority %s: a severity is info, warning, error or critical",
			    priority_names[i]);
	}
	return MH_OK;
}

/* The REST API's token is another secret, and its server another one. */
static enum mh_status
start_api(struct pagerduty *p, struct ticket_desk *d, struct mh_err *err)
{
	static const struct rest_auth none = { NULL, NULL, false };
	const char *file = cfg_getstr(d->conf, "api_secret_file"), *url = cfg_getstr(d->conf, "api_url");
	MH_AUTO(secret_release) struct secret token = { 0 };

	if (file[0] == '\0')
		return MH_OK;
	enum mh_status status = rest_start(&p->api, d, API, &none, err);
	if (status == MH_OK)
		status = secret_from_file(file, &token, err);
	if (status != MH_OK)
		return status;
	p->api.base = url[0] == '\0' ? API : url;
	buf_puts(&p->api.credential, "Token token=");
	buf_put(&p->api.credential, secret_span(&token));
	if (!buf_ok(&p->api.credential))
		return mh_fail(err, MH_RETRY, "no memory for a credential");
	p->api.headers[0] = (struct http_header){ "Authorization", buf_span(&p->api.credential) };
	p->api.n_headers = 1;
	p->has_api = true;
	return MH_OK;
}

static enum mh_status
pagerduty_start(struct ticket_desk *d, void **ret_state, struct mh_err *err)
{
	static const struct rest_auth none = { NULL, NULL, false };
	struct pagerduty *p = arena_alloc(d->arena, sizeof(*p));
	const char *site = cfg_getstr(d->conf, "site");
	struct mh_span where = span_of(site);

	if (p == NULL)
		return mh_fail(err, MH_RETRY, "no memory for PagerDuty");
	*ret_state = p;
	enum mh_status status = rest_start(&p->rest, d, EVENTS, &none, err);
	if (status == MH_OK)
		status = rest_secret(d->conf, &p->routing_key, err);
	if (status == MH_OK && p->routing_key.n != 32)
		status = mh_fail(err, MH_BAD, "an integration key has 32 characters");
	if (status == MH_OK && site[0] == '\0')
		status = mh_fail(err, MH_BAD, "site is not set: it is where people look, https://NAME.pagerduty.com");
	while (where.n > 0 && where.p[where.n - 1] == '/')
		where.n--;
	if (status == MH_OK)
		status = arena_copy(d->arena, where, &where, err);
	if (status != MH_OK)
		return status;
	p->site = where.p;
	status = check_severities(d, err);
	return status == MH_OK ? start_api(p, d, err) : status;
}

static void
pagerduty_stop(void *state)
{
	struct pagerduty *p = state;

	secret_release(&p->routing_key);
	rest_stop(&p->rest);
	rest_stop(&p->api);
}

/* -- the ticket's name --------------------------------------------------------------------------------------------- */

static enum mh_status
ref_of(const struct pagerduty *p, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct mh_span id, url;
	enum mh_status status = arena_copy(p->rest.desk->arena, span_of(key), &id, err);

	if (status == MH_OK)
		status = arena_printf(p->rest.desk->arena, &url, err, "%s/incidents#%s", p->site, key);
	if (status == MH_OK)
		*ret = (struct ticket_ref){ .id = id.p, .url = url.p, .open = true, .priority = PRIORITY_NORMAL };
	return status;
}

static enum mh_status
pagerduty_id_of_url(void *state, const char *url, const char **ret_id, struct mh_err *err)
{
	const struct pagerduty *p = state;
	const struct mh_span site = span_of(p->site), all = span_of(url), middle = MH_LIT("/incidents#");
	struct mh_span id = span_from(all, site.n + middle.n);

	if (!span_starts(all, site) || !span_starts(span_from(all, site.n), middle) || id.n != 32)
		return mh_fail(err, MH_SKIP, "not an incident of this PagerDuty");
	const enum mh_status status = arena_copy(p->rest.desk->arena, id, &id, err);
	if (status == MH_OK)
		*ret_id = id.p;
	return status;
}

/* The newest incident of that key. MH_SKIP: there is none. */
static enum mh_status
ask_incident(struct pagerduty *p, const char *key, struct rest_answer *a, const cJSON **ret, struct mh_err *err)
{
	struct rest_call c = { .method = "GET", .doing = "read the incident" };
	const cJSON *item;
	enum mh_status status = rest_path(&p->api, &c.path, err,
	    "/incidents?incident_key=%s&date_range=all&sort_by=created_at%%3Adesc&limit=25", key);

	if (status == MH_OK)
		status = rest_call(&p->api, &c, a, err);
	if (status != MH_OK)
		return status;
	if (json_array(a->json, "incidents") == NULL)
		return mh_fail(err, MH_RETRY, "cannot read the incident: the answer has no list");
	cJSON_ArrayForEach(item, json_array(a->json, "incidents"))
	{
		const char *own = json_string(item, "incident_key");

		if (own != NULL && strcmp(own, key) == 0) {
			*ret = item;
			return MH_OK;
		}
	}
	return mh_fail(err, MH_SKIP, "no incident has the key");
}

static enum mh_status
read_state(struct pagerduty *p, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const cJSON *incident = NULL;
	enum mh_status status = ask_incident(p, key, &a, &incident, err);

	if (status == MH_OK)
		status = ref_of(p, key, ret, err);
	if (status != MH_OK)
		return status;
	const char *word = json_string(incident, "status");
	ret->open = word == NULL || strcmp(word, "resolved") != 0;
	return MH_OK;
}

static enum mh_status
pagerduty_get(void *state, const char *id, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct pagerduty *p = state;

	if (strcmp(id, key) != 0)
		return mh_fail(err, MH_SKIP, "the incident carries another key");
	if (!p->has_api)
		return ref_of(p, key, ret, err);
	const enum mh_status status = read_state(p, key, ret, err);
	/* taken with 202 and not yet worked */
	return status == MH_SKIP ? ref_of(p, key, ret, err) : status;
}

/* Where nothing can be asked: a trigger finds its own, so that what opens may be told that there is none; what closes is
 * told that there is one, for a resolve without an alert is dropped. */
static enum mh_status
pagerduty_find(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct pagerduty *p = state;
	const enum case_event event = p->rest.desk->request->event;

	if (p->has_api)
		return read_state(p, key, ret, err);
	if (event == EVENT_SUCCEEDED || event == EVENT_CLOSED)
		return ref_of(p, key, ret, err);
	return mh_fail(err, MH_SKIP, "events cannot be read");
}

/* -- events -------------------------------------------------------------------------------------------------------- */

static enum mh_status
judge_event(struct pagerduty *p, const struct rest_call *c, const struct rest_answer *a, struct mh_err *err)
{
	const struct mh_span secret = secret_span(&p->routing_key);

	if (a->status == 429 && p->rest.desk->retry_after_s < 0)
		p->rest.desk->retry_after_s = BUSY_S;
	if (span_find(buf_span(&a->http.body), secret, 0) != SIZE_MAX)
		return mh_fail(err, http_class(a->status) == MH_RETRY ? MH_RETRY : MH_BAD,
		    "cannot %s: %ld, with words that give the integration key back", c->doing, a->status);
	if (http_class(a->status) != MH_OK)
		return rest_refused(&p->rest, c, a, http_class(a->status), err);
	if (a->status != 202)
		return mh_fail(err, MH_RETRY, "cannot %s: %ld where 202 was expected", c->doing, a->status);
	return MH_OK;
}

static enum mh_status
send_event(struct pagerduty *p, const char *path, cJSON *body, const char *doing, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const struct rest_call c = { .method = "POST", .path = path, .body = body, .doing = doing, .statuses = true };

	if (!json_add_span(body, "routing_key", secret_span(&p->routing_key)))
		return mh_fail(err, MH_RETRY, "no memory for an event");
	const enum mh_status status = rest_call(&p->rest, &c, &a, err);
	cJSON *key = cJSON_GetObjectItemCaseSensitive(body, "routing_key");
	explicit_bzero(key->valuestring, strlen(key->valuestring));
	return status == MH_OK ? judge_event(p, &c, &a, err) : status;
}

/* {"event_action":..., "dedup_key":...}, without the routing key. */
static cJSON *
new_event(const char *action, const char *key)
{
	cJSON *body = cJSON_CreateObject();

	if (body != NULL &&
	    (!json_add_string(body, "event_action", action) || !json_add_string(body, "dedup_key", key)))
		drop_json(&body);
	return body;
}

/* Facts of the case that a person may filter by. */
static bool
add_details(const struct ticket_desk *d, cJSON *payload, struct mh_span text, const struct ticket_new *t)
{
	const struct request *q = d->request;
	cJSON *details = cJSON_AddObjectToObject(payload, "custom_details");

	if (details == NULL || !json_add_span(details, "text", span_head(text, utf8_cut(text, TEXT_BYTES))) ||
	    (q->expiry.has_expires && !json_add_time(details, "expires", q->expiry.expires)) ||
	    (q->expiry.account != NULL && !json_add_string(details, "account", q->expiry.account)))
		return false;
	for (size_t i = 0; t != NULL && i < t->n_fields; i++)
		if (!cJSON_HasObjectItem(details, t->fields[i].name) &&
		    !json_add_span(details, t->fields[i].name, t->fields[i].value))
			return false;
	return true;
}

static const char *
component_of(const struct request *q)
{
	return q->expiry.account != NULL ? q->expiry.account : q->expiry.kind != NULL ? q->expiry.kind : "mailhook";
}

static enum mh_status
trigger(struct pagerduty *p, const char *key, struct mh_span summary, struct mh_span text, const char *severity,
    const struct ticket_new *t, struct mh_err *err)
{
	const struct ticket_desk *d = p->rest.desk;
	MH_AUTO(drop_json) cJSON *body = new_event("trigger", key);
	cJSON *payload = body == NULL ? NULL : cJSON_AddObjectToObject(body, "payload");

	if (payload == NULL || !json_add_string(body, "client", "mailhook") ||
	    !json_add_span(payload, "summary", span_head(summary, utf8_cut(summary, SUMMARY_BYTES))) ||
	    !json_add_string(payload, "source", component_of(d->request)) ||
	    !json_add_string(payload, "severity", severity) || !json_add_time(payload, "timestamp", d->request->now) ||
	    (d->request->expiry.kind != NULL && !json_add_string(payload, "class", d->request->expiry.kind)) ||
	    !add_details(d, payload, text, t))
		return mh_fail(err, MH_RETRY, "no memory for an event");
	return send_event(p, "/v2/enqueue", body, "trigger an alert", err);
}

static enum mh_status
pagerduty_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err)
{
	struct pagerduty *p = state;
	const enum mh_status status = trigger(p, t->key, t->title, t->body, t->priority_name, t, err);

	if (status != MH_OK)
		return status;
	if (t->assignee != NULL)
		ticket_dropped(p->rest.desk, "assignee", span_of(t->assignee));
	return ref_of(p, t->key, ret, err);
}

static struct mh_span
first_line(struct mh_span text)
{
	struct mh_span line = MH_LIT("mailhook");

	(void)span_line(&text, &line);
	return line;
}

/* By days left, as a new one's. */
static const char *
severity_now(const struct ticket_desk *d)
{
	const struct request *q = d->request;
	const int64_t urgent = cfg_getint(d->conf, "urgent_days"), high = cfg_getint(d->conf, "high_days");

	if (q->event == EVENT_EXPIRED || (q->expiry.has_expires && q->expiry.days_left <= urgent))
		return d->priorities[PRIORITY_URGENT];
	if (q->event == EVENT_FAILED || (q->expiry.has_expires && q->expiry.days_left <= high))
		return d->priorities[PRIORITY_HIGH];
	return d->priorities[PRIORITY_NORMAL];
}

static enum mh_status
send_plain(struct pagerduty *p, const char *action, const char *key, const char *doing, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *body = new_event(action, key);

	if (body == NULL)
		return mh_fail(err, MH_RETRY, "no memory for an event");
	return send_event(p, "/v2/enqueue", body, doing, err);
}

/* Another trigger for the same key joins the open alert. Not for what is closed or closes: it would open a new one. */
static enum mh_status
pagerduty_comment(void *state, const struct ticket_ref *ref, const struct ticket_comment *k, struct mh_err *err)
{
	struct pagerduty *p = state;
	const struct ticket_desk *d = p->rest.desk;

	if (!ref->open || k->closing)
		return MH_OK;
	if (d->request->event == EVENT_APPROVED)
		return cfg_getbool(d->conf, "acknowledge") == cfg_true
			   ? send_plain(p, "acknowledge", ref->id, "acknowledge the alert", err)
			   : MH_OK;
	return trigger(p, ref->id, first_line(k->text), k->text, severity_now(d), NULL, err);
}

/* "The right event after a rotation": what changed shows beside the incidents of its time. */
static enum mh_status
send_change(struct pagerduty *p, struct mh_err *err)
{
	const struct ticket_desk *d = p->rest.desk;
	const struct request *q = d->request;
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	cJSON *payload = body == NULL ? NULL : cJSON_AddObjectToObject(body, "payload"), *details;
	struct mh_span summary;
	enum mh_status status =
	    arena_printf(d->arena, &summary, err, "Renewed: %s%s%s", kind_words(q->expiry.kind)->what,
		q->expiry.account == NULL ? "" : " of account ", q->expiry.account == NULL ? "" : q->expiry.account);

	if (status != MH_OK)
		return status;
	details = payload == NULL ? NULL : cJSON_AddObjectToObject(payload, "custom_details");
	if (details == NULL ||
	    !json_add_span(payload, "summary", span_head(summary, utf8_cut(summary, SUMMARY_BYTES))) ||
	    !json_add_time(payload, "timestamp", q->now) || !json_add_string(payload, "source", component_of(q)) ||
	    !json_add_string(details, "key", q->case_key))
		return mh_fail(err, MH_RETRY, "no memory for an event");
	return send_event(p, "/v2/change/enqueue", body, "tell of the change", err);
}

static enum mh_status
pagerduty_close(void *state, const struct ticket_ref *ref, struct mh_err *err)
{
	struct pagerduty *p = state;
	enum mh_status status = send_plain(p, "resolve", ref->id, "resolve the alert", err);

	if (status == MH_OK && p->rest.desk->request->event == EVENT_SUCCEEDED &&
	    cfg_getbool(p->rest.desk->conf, "change_event") == cfg_true)
		status = send_change(p, err);
	return status;
}

/* -- reading and check --------------------------------------------------------------------------------------------- */

static enum mh_status
pagerduty_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err)
{
	struct pagerduty *p = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const cJSON *incident = NULL;

	if (!p->has_api) {
		buf_printf(ret_text, "alert %s: events cannot be read\n", ref->id);
		return MH_OK;
	}
	const enum mh_status status = ask_incident(p, ref->id, &a, &incident, err);
	if (status != MH_OK)
		return status;
	const struct template_var title = { "", span_of(json_string(incident, "title")), LINES_ONE },
				  word = { "", span_of(json_string(incident, "status")), LINES_ONE };
	buf_puts(ret_text, "title:  ");
	template_plain(ret_text, &title);
	buf_puts(ret_text, "\nstatus: ");
	template_plain(ret_text, &word);
	buf_putc(ret_text, '\n');
	return buf_ok(ret_text) ? MH_OK : mh_fail(err, MH_LIMIT, "the incident is too long");
}

/* An event that changes nothing proves server and key: the resolve of an alert that never was is dropped. */
static enum mh_status
pagerduty_check(void *state, struct mh_err *err)
{
	struct pagerduty *p = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const cJSON *incident = NULL;

	if (!p->rest.desk->online)
		return MH_OK;
	enum mh_status status = send_plain(p, "resolve", "mailhook-check", "send an event that does nothing", err);
	if (status != MH_OK)
		return status;
	say(p->rest.desk->protocol,
	    "PagerDuty took an event that does nothing; it works events later, and does not say what came of them");
	if (!p->has_api) {
		say(p->rest.desk->protocol,
		    "without api_secret_file a resolved incident looks open: a reminder opens a new one");
		return MH_OK;
	}
	status = ask_incident(p, "mailhook-check", &a, &incident, err);
	return status == MH_SKIP ? MH_OK : status;
}

static const cfg_opt_t options[] = {
	REST_OPTIONS,
	CFG_STR("site", "", CFGF_NONE),
	CFG_STR("api_url", "", CFGF_NONE),
	CFG_STR("api_secret_file", "", CFGF_NONE),
	CFG_BOOL("acknowledge", cfg_true, CFGF_NONE),
	CFG_BOOL("change_event", cfg_true, CFGF_NONE),
	CFG_END(),
};

static const struct own_conf_check checks[] = { REST_CHECKS, { "site", rest_check_url }, { "api_url", rest_check_url },
	{ NULL, NULL } };

const struct ticket_driver ticket_pagerduty = {
	.name = "pagerduty",
	.help = "PagerDuty, Events API v2",
	.options = options,
	.checks = checks,
	.priorities = { "warning", "error", "critical" },
	.format = FORMAT_PLAIN,
	.lag_s = 0,
	.own_marks = true,
	.start = pagerduty_start,
	.stop = pagerduty_stop,
	.check = pagerduty_check,
	.id_of_url = pagerduty_id_of_url,
	.get = pagerduty_get,
	.find = pagerduty_find,
	.open = pagerduty_open,
	.comment = pagerduty_comment,
	.close = pagerduty_close,
	.read = pagerduty_read,
};
