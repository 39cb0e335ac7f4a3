/* rt.c: Request Tracker 5 by REST 2.
 *
 * What RT takes and does not keep it does not speak of: an unknown custom field, an unknown owner, a date without its
 * time. An unknown custom field in a search finds nothing instead of failing, so the field that carries the key is
 * looked for in the queue before anything is opened. Search results give priorities as numbers, a ticket as words.
 * Source: RT 5.0.3 as it answered; RT::REST2. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/ticket/rt_parts.h"

#define PAGE 100 /* per_page's maximum */
#define LIST_FIELDS                                                                                                    \
	"fields=Status,Priority,Subject,Due,Owner,Queue,Created,CustomFields&fields[Queue]=Name"                       \
	"&fields[CustomFields]=name,values&orderby=id&order=ASC&per_page=100"

bool
rt_priority_number(const char *word, int *ret)
{
	static const char *const words[] = { "Low", "Medium", "High" };
	const struct mh_span w = span_of(word);

	for (int i = 0; i < 3; i++)
		if (span_ieq(w, span_of(words[i]))) {
			*ret = i * 50;
			return true;
		}
	if (w.n == 0 || w.n > 6 || word[strspn(word, "0123456789")] != '\0')
		return false;
	*ret = (int)strtol(word, NULL, 10);
	return true;
}

/* The highest of ours that is not above n. */
static enum ticket_priority
our_priority(const struct rt *rt, int n)
{
	enum ticket_priority p = PRIORITY_NORMAL;

	for (int i = 0; i < 3; i++)
		if (rt->priorities[i] <= n)
			p = (enum ticket_priority)i;
	return p;
}

/* -- searching ------------------------------------------------------------------------------------------------------ */

/* A string of TicketSQL. */
static void
put_quoted(struct buf *out, struct mh_span s)
{
	buf_putc(out, '\'');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '\'' || s.p[i] == '\\')
			buf_putc(out, '\\');
		buf_putc(out, s.p[i]);
	}
	buf_putc(out, '\'');
}

static void
put_key_query(const struct rt *rt, struct buf *out, const char *key)
{
	if (rt->key_field == NULL) {
		buf_puts(out, "Subject LIKE ");
	} else {
		MH_AUTO(buf_release) struct buf name;

		buf_init(&name, 1024);
		buf_printf(&name, "CF.{%s}", rt->key_field);
		put_quoted(out, buf_span(&name));
		buf_puts(out, " = ");
	}
	put_quoted(out, span_of(key));
}

const cJSON *
rt_field_values(const cJSON *ticket, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json_array(ticket, "CustomFields"))
	{
		const char *own = json_string(item, "name");

		if (own != NULL && span_ieq(span_of(own), span_of(name)))
			return json_array(item, "values");
	}
	return NULL;
}

bool
rt_holds_value(const cJSON *ticket, const char *field, struct mh_span value)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, rt_field_values(ticket, field))
	{
		if (cJSON_IsString(item) && span_eq(span_of(item->valuestring), value))
			return true;
	}
	return false;
}

static bool
carries(const struct rt *rt, const cJSON *ticket, const char *key)
{
	if (rt->key_field != NULL)
		return rt_holds_value(ticket, rt->key_field, span_of(key));
	return span_find(span_of(json_string(ticket, "Subject")), span_of(key), 0) != SIZE_MAX;
}

static enum mh_status
read_ref(struct rt *rt, const cJSON *ticket, bool open, struct ticket_ref *ret, struct mh_err *err)
{
	const char *id = rest_id(&rt->rest, ticket, "id"), *priority = rest_id(&rt->rest, ticket, "Priority");
	struct mh_span url;
	int n = INT32_MAX;

	if (id == NULL || json_string(ticket, "Status") == NULL)
		return mh_fail(err, MH_RETRY, "RT answered a search with a ticket without id or status");
	(void)rt_priority_number(priority == NULL ? "" : priority, &n);
	const enum mh_status status =
	    arena_printf(rt->desk->arena, &url, err, "%s/Ticket/Display.html?id=%s", rt->rest.base, id);
	if (status == MH_OK)
		*ret = (struct ticket_ref){ .id = id, .url = url.p, .open = open, .priority = our_priority(rt, n) };
	return status;
}

/* The first ticket by number that query finds and that carries key (NULL: any). MH_SKIP: none. */
static enum mh_status
search(struct rt *rt, const struct buf *query, const char *key, bool open, struct ticket_ref *ret, cJSON **ret_ticket,
    struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(buf_release) struct buf path;
	struct rest_call c = { .method = "GET", .doing = "search" };
	const cJSON *item, *first = NULL;
	size_t n = 0;

	buf_init(&path, 8192);
	buf_puts(&path, RT_API "/tickets?" LIST_FIELDS "&query=");
	http_encode(&path, buf_span(query));
	if (!buf_ok(&path) || !buf_ok(query))
		return mh_fail(err, MH_LIMIT, "a search becomes too long");
	c.path = path.p;
	enum mh_status status = rest_call(&rt->rest, &c, &a, err);
	if (status != MH_OK)
		return status;
	const cJSON *items = json_array(a.json, "items");
	if (items == NULL)
		return mh_fail(err, MH_RETRY, "RT answered a search with something else");
	cJSON_ArrayForEach(item, items)
	{
		if (key != NULL && !carries(rt, item, key))
			continue;
		if (first == NULL)
			first = item;
		n++;
	}
	if (first == NULL)
		return mh_fail(err, MH_SKIP, "no ticket carries the key");
	status = read_ref(rt, first, open, ret, err);
	if (status == MH_OK)
		ret->others = open ? n - 1 : 0;
	if (status == MH_OK && ret_ticket != NULL)
		*ret_ticket = cJSON_DetachItemViaPointer(
		    cJSON_GetObjectItemCaseSensitive(a.json, "items"), (cJSON *)(uintptr_t)first);
	return status;
}

/* Open ones first: which statuses are open is the lifecycle's business, and RT knows it. */
static enum mh_status
search_both(struct rt *rt, const struct buf *query, const char *key, struct ticket_ref *ret, cJSON **ret_ticket,
    struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf active;

	buf_init(&active, 4096);
	buf_putc(&active, '(');
	buf_put(&active, buf_span(query));
	buf_puts(&active, ") AND Status = '__Active__'");
	const enum mh_status status = search(rt, &active, key, true, ret, ret_ticket, err);
	return status == MH_SKIP ? search(rt, query, key, false, ret, ret_ticket, err) : status;
}

static enum mh_status
rt_find(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct rt *rt = state;
	MH_AUTO(buf_release) struct buf query;

	buf_init(&query, 2048);
	put_key_query(rt, &query, key);
	return search_both(rt, &query, key, ret, NULL, err);
}

/* The number of the ticket that id was merged into, else id. MH_SKIP: it is gone. */
static enum mh_status
effective_id(struct rt *rt, const char *id, const char **ret, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const char *path;
	enum mh_status status = rest_path(&rt->rest, &path, err, RT_API "/ticket/%s", id);

	if (status != MH_OK)
		return status;
	const struct rest_call c = { .method = "GET", .path = path, .doing = "read the ticket", .statuses = true };
	status = rest_call(&rt->rest, &c, &a, err);
	if (status == MH_OK && a.status == 404)
		return mh_fail(err, MH_SKIP, "ticket %.20s is gone", id);
	if (status == MH_OK && http_class(a.status) != MH_OK)
		return rest_refused(&rt->rest, &c, &a, http_class(a.status), err);
	const char *now = rest_id(&rt->rest, rest_at(a.json, "EffectiveId"), "id");
	if (status == MH_OK)
		*ret = now == NULL ? id : now;
	return status;
}

/* A person may have merged the ticket into another, which carries no key of ours and stands for it all the same. */
enum mh_status
rt_get_ticket(
    struct rt *rt, const char *id, const char *key, struct ticket_ref *ret, cJSON **ret_ticket, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf query;
	const char *now = id;

	buf_init(&query, 256);
	if (id[0] == '\0' || id[strspn(id, "0123456789")] != '\0')
		return mh_fail(err, MH_SKIP, "not a ticket's number");
	buf_printf(&query, "id = %s", id);
	enum mh_status status = search_both(rt, &query, key, ret, ret_ticket, err);
	if (status == MH_SKIP)
		status = effective_id(rt, id, &now, err);
	if (status != MH_OK || now == id)
		return status;
	if (strcmp(now, id) == 0)
		return mh_fail(err, MH_SKIP, "ticket %.20s carries another key", id);
	buf_clear(&query);
	buf_printf(&query, "id = %s", now);
	return search_both(rt, &query, NULL, ret, ret_ticket, err);
}

static enum mh_status
rt_get(void *state, const char *id, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	return rt_get_ticket(state, id, key, ret, NULL, err);
}

static enum mh_status
rt_id_of_url(void *state, const char *url, const char **ret_id, struct mh_err *err)
{
	struct rt *rt = state;

	return rest_id_of_url(&rt->rest, url, "/Ticket/Display.html?id=", ret_id, err);
}

enum mh_status
rt_send(struct rt *rt, const char *method, const char *path, const cJSON *body, const char *doing,
    struct rest_answer *ret, struct mh_err *err)
{
	const struct rest_call c = { .method = method, .path = path, .body = body, .doing = doing };

	return rest_call(&rt->rest, &c, ret, err);
}

/* -- the queue ------------------------------------------------------------------------------------------------------ */

static bool
has_field(const cJSON *queue, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json_array(queue, "TicketCustomFields"))
	{
		const char *own = json_string(item, "name");

		if (own != NULL && span_ieq(span_of(own), span_of(name)))
			return true;
	}
	return false;
}

static bool
may_create(const cJSON *queue)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json_array(queue, "_hyperlinks"))
	{
		const char *ref = json_string(item, "ref");

		if (ref != NULL && strcmp(ref, "create") == 0)
			return true;
	}
	return false;
}

enum mh_status
rt_read_queue(struct rt *rt, const char *name, cJSON **ret, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const char *path;
	enum mh_status status = rest_path(&rt->rest, &path, err, RT_API "/queue/%s", name);

	if (status != MH_OK)
		return status;
	const struct rest_call c = { .method = "GET", .path = path, .doing = "read the queue", .statuses = true };
	status = rest_call(&rt->rest, &c, &a, err);
	if (status != MH_OK)
		return status;
	if (a.status == 404)
		return mh_fail(err, MH_BAD, "RT has no queue \"%.60s\", or does not show it to this user", name);
	if (http_class(a.status) != MH_OK)
		return rest_refused(&rt->rest, &c, &a, http_class(a.status), err);
	if (!may_create(a.json))
		return mh_fail(err, MH_BAD, "RT lets this user open no ticket in the queue \"%.60s\"", name);
	if (rt->key_field != NULL && !has_field(a.json, rt->key_field))
		return mh_fail(
		    err, MH_BAD, "the queue \"%.50s\" has no custom field \"%.50s\" for the key", name, rt->key_field);
	*ret = a.json;
	a.json = NULL;
	return MH_OK;
}

/* -- for people ----------------------------------------------------------------------------------------------------- */

static enum mh_status
rt_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err)
{
	static const char *const names[] = { "Subject", "Status", "Priority", "Due" };
	struct rt *rt = state;
	MH_AUTO(drop_json) cJSON *ticket = NULL;
	struct ticket_ref now;
	const cJSON *item;
	const enum mh_status status = rt_get_ticket(rt, ref->id, NULL, &now, &ticket, err);

	if (status != MH_OK)
		return status;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = rest_id(&rt->rest, ticket, names[i]);

		buf_printf(ret_text, "%s: %s\n", names[i], value == NULL ? "" : value);
	}
	cJSON_ArrayForEach(item, json_array(ticket, "CustomFields"))
	{
		const char *name = json_string(item, "name"),
			   *value = cJSON_GetStringValue(cJSON_GetArrayItem(json_array(item, "values"), 0));

		if (name != NULL && value != NULL)
			buf_printf(ret_text, "%s: %s\n", name, value);
	}
	return MH_OK;
}

/* -- life ----------------------------------------------------------------------------------------------------------- */

static enum mh_status
check_queue(struct rt *rt, const char *name, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *queue = NULL;
	const enum mh_status status = rt_read_queue(rt, name, &queue, err);

	for (size_t i = 0; status == MH_OK && i < rt->desk->n_fields; i++)
		if (!has_field(queue, rt->desk->fields[i]))
			return mh_fail(err, MH_BAD, "the queue \"%.50s\" has no custom field \"%.50s\"", name,
			    rt->desk->fields[i]);
	if (status == MH_OK)
		say(rt->desk->protocol, "queue %s: tickets can be opened; lifecycle %s", name,
		    json_string(queue, "Lifecycle") == NULL ? "unknown" : json_string(queue, "Lifecycle"));
	return status;
}

static enum mh_status
rt_check(void *state, struct mh_err *err)
{
	struct rt *rt = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	enum mh_status status;

	if (!rt->desk->online)
		return MH_OK;
	status = rt_send(rt, "GET", RT_API "/rt", NULL, "ask for the version", &a, err);
	if (status != MH_OK)
		return status;
	const char *version = json_string(a.json, "Version");
	if (version == NULL)
		return mh_fail(err, MH_BAD, "there is no RT at url");
	say(rt->desk->protocol, "RT %s", version);
	if (rt->desk->n_queues == 0)
		return check_queue(rt, rt->queue, err);
	for (size_t i = 0; i < rt->desk->n_queues && status == MH_OK; i++)
		status = check_queue(rt, rt->desk->queues[i], err);
	return status;
}

static enum mh_status
rt_start(struct ticket_desk *d, void **ret_state, struct mh_err *err)
{
	static const struct rest_auth auth = { "Authorization", "token ", true };
	struct rt *rt = arena_alloc(d->arena, sizeof(*rt));
	const char *key_field = cfg_getstr(d->conf, "key_field");

	if (rt == NULL)
		return mh_fail(err, MH_RETRY, "no memory for RT");
	*rt = (struct rt){ .desk = d,
		.queue = d->queue == NULL ? "General" : d->queue,
		.key_field = key_field[0] == '\0' ? NULL : key_field,
		.close_status = cfg_getstr(d->conf, "close_status"),
		.correspond = cfg_getbool(d->conf, "correspond") == cfg_true };
	*ret_state = rt;
	for (int i = 0; i < 3; i++)
		if (!rt_priority_number(d->priorities[i], &rt->priorities[i]))
			return mh_fail(err, MH_BAD,
			    "priority: RT's are numbers, or Low, Medium and High: not \"%.40s\"", d->priorities[i]);
	return rest_start(&rt->rest, d, NULL, &auth, err);
}

static void
rt_stop(void *state)
{
	struct rt *rt = state;

	rest_stop(&rt->rest);
}

static const cfg_opt_t options[] = { REST_OPTIONS, CFG_STR("key_field", "", CFGF_NONE),
	CFG_STR("close_status", "resolved", CFGF_NONE), CFG_BOOL("correspond", cfg_false, CFGF_NONE), CFG_END() };
static const struct own_conf_check checks[] = { REST_CHECKS, { NULL, NULL } };

const struct ticket_driver ticket_rt = {
	.name = "rt",
	.help = "Request Tracker 5, by REST 2",
	.options = options,
	.checks = checks,
	.priorities = { "Low", "Medium", "High" },
	.format = FORMAT_PLAIN,
	.lag_s = 30,
	.own_marks = true,
	.start = rt_start,
	.stop = rt_stop,
	.check = rt_check,
	.id_of_url = rt_id_of_url,
	.get = rt_get,
	.find = rt_find,
	.open = rt_open,
	.attach = rt_attach,
	.commented = rt_commented,
	.comment = rt_comment,
	.change = rt_change,
	.close = rt_close,
	.read = rt_read,
};
