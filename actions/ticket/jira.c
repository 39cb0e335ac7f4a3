/* jira.c: Jira Cloud (REST v3, ADF), Jira Data Center and Jira Service Management (REST v2, wiki text).
 *
 * The key is a label, for JQL, and an issue property, which people do not see. Cloud's index lags, so that a search
 * that finds nothing is no proof right after a create; and a Jira that takes no notice of a wrong credential searches
 * as nobody and finds nothing, with 200: the project in the query and X-Seraph-LoginReason tell. Sources: Jira Cloud
 * REST v3, "Search for issues using JQL enhanced search"; Data Center REST v2. */
#include <string.h>
#include <strings.h>

#include "actions/ticket/jira_parts.h"

#define PAGE 50 /* of a search; one issue carries a key */
#define LAG_S 60

static const char *const kept[] = { "X-Seraph-LoginReason", NULL };

/* -- configuration ------------------------------------------------------------------------------------------------- */

static int
check_deployment(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *word = cfg_opt_getstr(opt);

	if (word == NULL ||
	    (strcmp(word, "auto") != 0 && strcmp(word, "cloud") != 0 && strcmp(word, "datacenter") != 0))
		cfg_error(cfg, "deployment must be auto, cloud or datacenter");
	return 0;
}

static bool
jira_is_cloud(cfg_t *conf)
{
	const char *word = cfg_getstr(conf, "deployment"), *url = cfg_getstr(conf, "url");
	MH_AUTO(wire_url_release) struct wire_url u = { 0 };

	if (strcmp(word, "auto") != 0)
		return strcmp(word, "cloud") == 0;
	if (wire_url_read(url, &u, NULL) != MH_OK)
		return true;
	return span_iends(span_of(u.host), MH_LIT(".atlassian.net")) ||
	       span_ieq(span_of(u.host), MH_LIT("api.atlassian.com"));
}

static enum text_format
jira_format(cfg_t *conf)
{
	return jira_is_cloud(conf) ? FORMAT_PLAIN : FORMAT_WIKI;
}

static enum mh_status
jira_start(struct ticket_desk *d, void **ret_state, struct mh_err *err)
{
	static const struct rest_auth auth = { "Authorization", "Bearer ", true };
	struct jira *j = arena_alloc(d->arena, sizeof(*j));
	const char *site = cfg_getstr(d->conf, "site");
	struct mh_span where;

	if (j == NULL)
		return mh_fail(err, MH_RETRY, "no memory for Jira");
	*ret_state = j;
	enum mh_status status = rest_start(&j->rest, d, NULL, &auth, err);
	if (status != MH_OK)
		return status;
	if (d->queue == NULL && (d->request->verb != VERB_CHECK || d->n_queues == 0))
		return mh_fail(err, MH_BAD, "no queue is set: it is the key of the project");
	j->rest.keep = kept;
	j->cloud = jira_is_cloud(d->conf);
	j->api = j->cloud ? "/rest/api/3" : "/rest/api/2";
	j->project = d->queue;
	j->type = cfg_getstr(d->conf, "issue_type");
	where = span_of(site[0] == '\0' ? j->rest.base : site);
	while (where.n > 0 && where.p[where.n - 1] == '/')
		where.n--;
	status = arena_copy(d->arena, where, &where, err);
	j->site = where.p;
	/* without it Jira takes a file for a forged request of a browser */
	return status == MH_OK ? rest_add_header(&j->rest, "X-Atlassian-Token", MH_LIT("no-check"), err) : status;
}

static void
jira_stop(void *state)
{
	struct jira *j = state;

	drop_json(&j->field_list);
	drop_json(&j->priority_list);
	rest_stop(&j->rest);
}

/* -- asking -------------------------------------------------------------------------------------------------------- */

/* A wrong credential can be answered as if nobody had asked: with 200 and nothing in it. */
static enum mh_status
check_login(const struct rest_answer *a, struct mh_err *err)
{
	const struct mh_span reason = http_kept(&a->http, "X-Seraph-LoginReason");

	if (span_ifind(reason, MH_LIT("FAILED"), 0) == SIZE_MAX && span_ifind(reason, MH_LIT("DENIED"), 0) == SIZE_MAX)
		return MH_OK;
	return mh_fail(
	    err, MH_BAD, "Jira did not take the credential (X-Seraph-LoginReason), and answered as to nobody");
}

enum mh_status
jira_call(struct jira *j, const struct rest_call *c, const char *fmt, const char *arg, struct rest_answer *ret,
    struct mh_err *err)
{
	struct rest_call call = *c;
	struct mh_span path;
	const char *tail;
	MH_AUTO(buf_release) struct buf encoded;

	buf_init(&encoded, 4096);
	for (const char *p = fmt; *p != '\0'; p++)
		if (p[0] == '%' && p[1] == 's') {
			http_encode(&encoded, span_of(arg));
			p++;
		} else {
			buf_putc(&encoded, *p);
		}
	tail = buf_ok(&encoded) ? encoded.p : NULL;
	if (tail == NULL)
		return mh_fail(err, MH_LIMIT, "a request's path is too long");
	enum mh_status status = arena_printf(j->rest.desk->arena, &path, err, "%s%s", j->api, tail);
	if (status != MH_OK)
		return status;
	call.path = path.p;
	status = rest_call(&j->rest, &call, ret, err);
	return status == MH_OK ? check_login(ret, err) : status;
}

/* Without comments, which may be many and long. */
enum mh_status
jira_get_issue(struct jira *j, const char *id, struct rest_answer *ret, struct mh_err *err)
{
	const struct rest_call c = { .method = "GET", .doing = "read the issue", .statuses = true };
	const enum mh_status status =
	    jira_call(j, &c, "/issue/%s?fields=*all,-comment,-worklog&properties=" JIRA_PROPERTY, id, ret, err);

	if (status != MH_OK)
		return status;
	if (ret->status == 404)
		return mh_fail(err, MH_SKIP, "there is no issue %s, or it may not be seen", id);
	if (http_class(ret->status) != MH_OK)
		return rest_refused(&j->rest, &c, ret, http_class(ret->status), err);
	if (json_object(ret->json, "fields") == NULL || json_string(ret->json, "key") == NULL)
		return mh_fail(err, MH_RETRY, "cannot read the issue: the answer holds none");
	return MH_OK;
}

static bool
carries(const cJSON *issue, const char *key)
{
	const char *own = json_string(json_object(json_object(issue, "properties"), JIRA_PROPERTY), "key");
	const cJSON *item;

	if (own != NULL && strcmp(own, key) == 0)
		return true;
	cJSON_ArrayForEach(item, json_array(json_object(issue, "fields"), "labels"))
	{
		const char *label = cJSON_GetStringValue(item);

		if (label != NULL && strncasecmp(label, JIRA_LABEL, sizeof(JIRA_LABEL) - 1) == 0 &&
		    strcasecmp(label + sizeof(JIRA_LABEL) - 1, key) == 0)
			return true;
	}
	return false;
}

bool
jira_is_open(const cJSON *issue)
{
	const char *category = cJSON_GetStringValue(rest_at(issue, "fields.status.statusCategory.key"));

	return category == NULL || strcmp(category, "done") != 0;
}

enum mh_status
jira_ref_of(struct jira *j, const cJSON *issue, struct ticket_ref *ret, struct mh_err *err)
{
	const char *job = json_string(json_object(json_object(issue, "properties"), JIRA_PROPERTY), "job");
	struct ticket_ref ref = { .open = jira_is_open(issue) };
	struct mh_span id, url;
	enum mh_status status = arena_copy(j->rest.desk->arena, span_of(json_string(issue, "key")), &id, err);

	if (status == MH_OK)
		status = arena_printf(j->rest.desk->arena, &url, err, "%s/browse/%s", j->site, id.p);
	if (status != MH_OK)
		return status;
	ref.id = id.p;
	ref.url = url.p;
	ref.of_job = job != NULL && strcmp(job, j->rest.desk->request->job_key) == 0;
	ref.priority = jira_priority(j, cJSON_GetStringValue(rest_at(issue, "fields.priority.name")));
	*ret = ref;
	return MH_OK;
}

static enum mh_status
jira_get(void *state, const char *id, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct jira *j = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const enum mh_status status = jira_get_issue(j, id, &a, err);

	if (status != MH_OK)
		return status;
	if (!carries(a.json, key))
		return mh_fail(err, MH_SKIP, "issue %s does not carry the key", id);
	return jira_ref_of(j, a.json, ret, err);
}

static enum mh_status
jira_id_of_url(void *state, const char *url, const char **ret_id, struct mh_err *err)
{
	const struct jira *j = state;
	const struct mh_span site = span_of(j->site), rest = span_from(span_of(url), site.n), head = MH_LIT("/browse/");
	struct mh_span id = span_from(rest, head.n);

	if (!span_starts(span_of(url), site) || !span_starts(rest, head))
		return mh_fail(err, MH_SKIP, "not an issue of this Jira");
	id.n = id.n == 0 ? 0 : strcspn(id.p, "/?&#");
	if (id.n == 0)
		return mh_fail(err, MH_SKIP, "not an issue of this Jira");
	const enum mh_status status = arena_copy(j->rest.desk->arena, id, &id, err);
	if (status == MH_OK)
		*ret_id = id.p;
	return status;
}

/* -- finding ------------------------------------------------------------------------------------------------------- */

static void
put_quoted(struct buf *jql, const char *s)
{
	buf_putc(jql, '"');
	for (; *s != '\0'; s++) {
		if (*s == '"' || *s == '\\')
			buf_putc(jql, '\\');
		buf_putc(jql, *s);
	}
	buf_putc(jql, '"');
}

static cJSON *
search_of(const struct jira *j, const char *key)
{
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(buf_release) struct buf jql;
	cJSON *fields = body == NULL ? NULL : cJSON_AddArrayToObject(body, "fields");

	buf_init(&jql, 2048);
	buf_puts(&jql, "project = ");
	put_quoted(&jql, j->project);
	buf_puts(&jql, " AND labels = \"" JIRA_LABEL);
	buf_puts(&jql, key);
	buf_puts(&jql, "\" ORDER BY created ASC");
	if (fields == NULL || !buf_ok(&jql) || !json_add_string(body, "jql", jql.p) ||
	    !cJSON_AddItemToArray(fields, cJSON_CreateString("labels")) ||
	    !cJSON_AddItemToArray(fields, cJSON_CreateString("status")) || !json_add_integer(body, "maxResults", PAGE))
		return NULL;
	cJSON *ret = body;
	body = NULL;
	return ret;
}

/* The oldest open issue of a list that carries the key, else the oldest closed one; what the index says of their state
 * may be old. */
static const cJSON *
choose(const cJSON *issues, const char *key, size_t *ret_others)
{
	const cJSON *item, *found = NULL;
	size_t open = 0;

	cJSON_ArrayForEach(item, issues)
	{
		if (!carries(item, key) || json_string(item, "key") == NULL)
			continue;
		open += jira_is_open(item);
		if (found == NULL || (!jira_is_open(found) && jira_is_open(item)))
			found = item;
	}
	*ret_others = open > 1 ? open - 1 : 0;
	return found;
}

static enum mh_status
jira_find(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct jira *j = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *body = search_of(j, key);
	const struct rest_call c = { .method = "POST", .body = body, .doing = "search for the issue" };
	size_t others = 0;

	if (body == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a search");
	enum mh_status status = jira_call(j, &c, j->cloud ? "/search/jql" : "/search", "", &a, err);
	if (status != MH_OK)
		return status;
	const cJSON *issues = json_array(a.json, "issues");
	if (issues == NULL)
		return mh_fail(err, MH_RETRY, "cannot search for the issue: the answer has no list of issues");
	const cJSON *found = choose(issues, key, &others);
	if (found == NULL && cJSON_GetArraySize(issues) >= PAGE)
		return mh_fail(err, MH_BAD,
		    "the search was not narrowed to the key: %d issues, none of which carries it",
		    cJSON_GetArraySize(issues));
	if (found == NULL)
		return mh_fail(err, MH_SKIP, "no issue carries the key");
	status = jira_get(state, json_string(found, "key"), key, ret, err);
	if (status == MH_OK)
		ret->others = others;
	return status;
}

static const cfg_opt_t options[] = {
	REST_OPTIONS,
	CFG_STR("deployment", "auto", CFGF_NONE),
	CFG_STR("site", "", CFGF_NONE),
	CFG_STR("component", "", CFGF_NONE),
	CFG_STR("issue_type", "Task", CFGF_NONE),
	CFG_STR("close_transition", "Done", CFGF_NONE),
	CFG_STR("close_resolution", "", CFGF_NONE),
	CFG_BOOL("internal_comments", cfg_false, CFGF_NONE),
	CFG_END(),
};

static const struct own_conf_check checks[] = { REST_CHECKS, { "deployment", check_deployment },
	{ "site", rest_check_url }, { NULL, NULL } };

const struct ticket_driver ticket_jira = {
	.name = "jira",
	.help = "Jira Cloud, Jira Data Center, Jira Service Management",
	.options = options,
	.checks = checks,
	.priorities = { "Medium", "High", "Highest" },
	.format = FORMAT_PLAIN,
	.format_of = jira_format,
	.lag_s = LAG_S,
	.start = jira_start,
	.stop = jira_stop,
	.check = jira_check,
	.id_of_url = jira_id_of_url,
	.get = jira_get,
	.find = jira_find,
	.open = jira_open,
	.attach = jira_attach,
	.commented = jira_commented,
	.comment = jira_comment,
	.change = jira_change,
	.close = jira_close,
	.read = jira_read,
};
