/* servicenow.c: ServiceNow, Table API.
 *
 * The key is the correlation_id. A part of a query that the instance does not understand is ignored, and rows come from
 * the rest of it; a column that it does not know is left out of an answer, and of a record that is written: nothing is
 * taken for found that does not show the very key, and everything is read back. Sources: ServiceNow "Table API",
 * "Inbound REST API rate limiting". */
#include <string.h>

#include "actions/ticket/servicenow_parts.h"

#define PAGE 10 /* of a search; one record carries a key */
#define STATE_COLUMNS                                                                                                  \
	"sys_id,number,state,active,impact,urgency,priority,correlation_id,correlation_display,due_date,assignment_"   \
	"group,assigned_to"

/* -- configuration ------------------------------------------------------------------------------------------------- */

bool
servicenow_level(const char *text, struct servicenow_level *ret)
{
	if (strlen(text) != 3 || text[0] < '1' || text[0] > '3' || text[1] != '/' || text[2] < '1' || text[2] > '3')
		return false;
	*ret = (struct servicenow_level){ text[0] - '0', text[2] - '0' };
	return true;
}

/* What stands in a path as it is. */
static bool
is_column(const char *s)
{
	return s[0] != '\0' && strlen(s) <= 80 && s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0';
}

static int
check_column(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *word = cfg_opt_getstr(opt);

	if (word == NULL || !is_column(word))
		cfg_error(cfg, "%s must be a name of small letters, digits and '_'", cfg_opt_name(opt));
	return 0;
}

static enum mh_status
servicenow_start(struct ticket_desk *d, void **ret_state, struct mh_err *err)
{
	static const struct rest_auth auth = { "x-sn-apikey", "", true };
	struct servicenow *s = arena_alloc(d->arena, sizeof(*s));
	struct servicenow_level level;

	if (s == NULL)
		return mh_fail(err, MH_RETRY, "no memory for ServiceNow");
	*ret_state = s;
	const enum mh_status status = rest_start(&s->rest, d, NULL, &auth, err);
	if (status != MH_OK)
		return status;
	s->table = cfg_getstr(d->conf, "table");
	for (int i = 0; i < 3; i++)
		if (!servicenow_level(d->priorities[i], &level))
			return mh_fail(err, MH_BAD,
			    "priority %s must be IMPACT/URGENCY, each from 1 to 3, as in \"2/1\"", priority_names[i]);
	for (size_t i = 0; i < d->n_fields; i++)
		if (!is_column(d->fields[i]))
			return mh_fail(
			    err, MH_BAD, "field \"%.40s\": a column has small letters, digits and '_'", d->fields[i]);
	return MH_OK;
}

static void
servicenow_stop(void *state)
{
	struct servicenow *s = state;

	rest_stop(&s->rest);
}

/* -- reading ------------------------------------------------------------------------------------------------------- */

const char *
servicenow_value(const cJSON *row, const char *column)
{
	const char *text = json_string(row, column);

	if (text == NULL)
		text = json_string(json_object(row, column), "value");
	return text == NULL ? "" : text;
}

/* Rows of a table by a query, which is encoded. MH_SKIP: the table has none such. */
static enum mh_status
read_rows(struct servicenow *s, const char *table, const char *query, const char *fields, const char *doing,
    struct rest_answer *ret, const cJSON **ret_rows, struct mh_err *err)
{
	struct rest_call c = { .method = "GET", .doing = doing, .statuses = true };
	const char *head;
	struct mh_span path;
	enum mh_status status = rest_path(
	    &s->rest, &head, err, "/api/now/table/%s?sysparm_query=%s&sysparm_fields=%s", table, query, fields);

	if (status == MH_OK)
		status = arena_printf(s->rest.desk->arena, &path, err,
		    "%s&sysparm_limit=%d&sysparm_exclude_reference_link=true", head, PAGE);
	if (status != MH_OK)
		return status;
	c.path = path.p;
	status = rest_call(&s->rest, &c, ret, err);
	if (status != MH_OK)
		return status;
	if (http_class(ret->status) != MH_OK && ret->status != 404)
		return rest_refused(&s->rest, &c, ret, http_class(ret->status), err);
	*ret_rows = json_array(ret->json, "result");
	if (*ret_rows != NULL)
		return MH_OK;
	if (ret->status != 404)
		return mh_fail(err, MH_RETRY, "cannot %s: the answer has no result", doing);
	/* "No Record found" is 404 in some releases; so is a table that is not there. */
	if (span_ifind(buf_span(&ret->http.body), MH_LIT("no record"), 0) != SIZE_MAX)
		return mh_fail(err, MH_SKIP, "there is no such record");
	return rest_refused(&s->rest, &c, ret, MH_BAD, err);
}

enum mh_status
servicenow_record(struct servicenow *s, const char *id, const char *columns, struct rest_answer *ret,
    const cJSON **ret_row, struct mh_err *err)
{
	struct rest_call c = { .method = "GET", .doing = "read the record", .statuses = true };
	enum mh_status status = rest_path(&s->rest, &c.path, err,
	    "/api/now/table/%s/%s?sysparm_fields=%s&sysparm_exclude_reference_link=true", s->table, id,
	    columns == NULL ? STATE_COLUMNS : columns);

	if (status == MH_OK)
		status = rest_call(&s->rest, &c, ret, err);
	if (status != MH_OK)
		return status;
	if (ret->status == 404)
		return mh_fail(err, MH_SKIP, "there is no record %.40s, or it may not be seen", id);
	if (http_class(ret->status) != MH_OK)
		return rest_refused(&s->rest, &c, ret, http_class(ret->status), err);
	*ret_row = json_object(ret->json, "result");
	return *ret_row != NULL ? MH_OK : mh_fail(err, MH_RETRY, "cannot read the record: the answer has no result");
}

static bool
is_listed(cfg_t *cfg, const char *option, const char *value)
{
	for (unsigned i = 0; i < cfg_size(cfg, option); i++)
		if (strcmp(cfg_getnstr(cfg, option, i), value) == 0)
			return true;
	return false;
}

/* A resolved incident is active until it closes by itself. */
bool
servicenow_is_open(const struct servicenow *s, const cJSON *row)
{
	return strcmp(servicenow_value(row, "active"), "false") != 0 &&
	       !is_listed(s->rest.desk->conf, "closed_states", servicenow_value(row, "state"));
}

/* The instance makes its priority of both: what is as high as ours in sum is not below it. */
static enum ticket_priority
priority_of(const struct ticket_desk *d, const cJSON *row)
{
	const char *impact = servicenow_value(row, "impact"), *urgency = servicenow_value(row, "urgency");
	const int sum = impact[0] - '0' + urgency[0] - '0';
	struct servicenow_level level;

	if (impact[0] < '1' || impact[0] > '9' || urgency[0] < '1' || urgency[0] > '9')
		return PRIORITY_URGENT; /* not shown: left as it is */
	for (int i = PRIORITY_URGENT; i > PRIORITY_NORMAL; i--)
		if (servicenow_level(d->priorities[i], &level) && level.impact + level.urgency >= sum)
			return (enum ticket_priority)i;
	return PRIORITY_NORMAL;
}

enum mh_status
servicenow_ref_of(struct servicenow *s, const cJSON *row, struct ticket_ref *ret, struct mh_err *err)
{
	const struct ticket_desk *d = s->rest.desk;
	struct mh_span id, url;
	const char *own = servicenow_value(row, "sys_id");

	if (strlen(own) != 32 || own[strspn(own, "0123456789abcdef")] != '\0')
		return mh_fail(err, MH_RETRY, "ServiceNow's record has no sys_id");
	enum mh_status status = arena_copy(d->arena, span_of(own), &id, err);
	if (status == MH_OK)
		status = arena_printf(d->arena, &url, err, "%s/%s.do?sys_id=%s", s->rest.base, s->table, own);
	if (status != MH_OK)
		return status;
	*ret = (struct ticket_ref){ .id = id.p,
		.url = url.p,
		.open = servicenow_is_open(s, row),
		.of_job = strcmp(servicenow_value(row, "correlation_display"), d->request->job_key) == 0,
		.priority = priority_of(d, row) };
	return MH_OK;
}

static enum mh_status
servicenow_id_of_url(void *state, const char *url, const char **ret_id, struct mh_err *err)
{
	struct servicenow *s = state;
	struct mh_span before;
	enum mh_status status = arena_printf(s->rest.desk->arena, &before, err, "/%s.do?sys_id=", s->table);

	return status == MH_OK ? rest_id_of_url(&s->rest, url, before.p, ret_id, err) : status;
}

static enum mh_status
servicenow_get(void *state, const char *id, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct servicenow *s = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const cJSON *row;
	const enum mh_status status = servicenow_record(s, id, NULL, &a, &row, err);

	if (status != MH_OK)
		return status;
	if (strcmp(servicenow_value(row, "correlation_id"), key) != 0)
		return mh_fail(err, MH_SKIP, "the record does not carry the key");
	return servicenow_ref_of(s, row, ret, err);
}

static const cJSON *
choose(const struct servicenow *s, const cJSON *rows, const char *key, size_t *ret_open)
{
	const cJSON *item, *found = NULL;

	*ret_open = 0;
	cJSON_ArrayForEach(item, rows)
	{
		const bool open = servicenow_is_open(s, item);

		if (strcmp(servicenow_value(item, "correlation_id"), key) != 0)
			continue;
		*ret_open += open;
		if (found == NULL || (open && !servicenow_is_open(s, found)))
			found = item;
	}
	return found;
}

static enum mh_status
servicenow_find(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct servicenow *s = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const cJSON *rows = NULL;
	struct mh_span query;
	size_t n_open = 0;
	enum mh_status status =
	    arena_printf(s->rest.desk->arena, &query, err, "correlation_id=%s^ORDERBYsys_created_on", key);

	if (status == MH_OK)
		status = read_rows(s, s->table, query.p, STATE_COLUMNS, "search for the record", &a, &rows, err);
	if (status != MH_OK)
		return status;
	const cJSON *found = choose(s, rows, key, &n_open);
	if (found == NULL && cJSON_GetArraySize(rows) > 0)
		return mh_fail(err, MH_BAD,
		    "the search was not narrowed to the key: table %.40s may have no correlation_id, or the user may "
		    "not read it",
		    s->table);
	if (found == NULL)
		return mh_fail(err, MH_SKIP, "no record carries the key");
	status = servicenow_ref_of(s, found, ret, err);
	if (status == MH_OK)
		ret->others = n_open > 1 ? n_open - 1 : 0;
	return status;
}

/* -- references ---------------------------------------------------------------------------------------------------- */

enum mh_status
servicenow_lookup(struct servicenow *s, const char *table, const char *column, const char *value, const char **ret,
    struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const cJSON *rows = NULL, *item;
	struct mh_span query, fields, id;

	if (strlen(value) == 32 && value[strspn(value, "0123456789abcdef")] == '\0') {
		*ret = value;
		return MH_OK;
	}
	if (strpbrk(value, "^\r\n") != NULL) /* it would begin another condition */
		return mh_fail(err, MH_BAD, "\"%.40s\" cannot be looked up: it has a '^'", value);
	enum mh_status status = arena_printf(s->rest.desk->arena, &query, err, "%s=%s", column, value);
	if (status == MH_OK)
		status = arena_printf(s->rest.desk->arena, &fields, err, "sys_id,%s", column);
	if (status == MH_OK)
		status = read_rows(s, table, query.p, fields.p, "look up a name", &a, &rows, err);
	if (status != MH_OK)
		return status;
	cJSON_ArrayForEach(item, rows)
	{
		/* the query may have been ignored */
		if (span_ieq(span_of(servicenow_value(item, column)), span_of(value))) {
			status = arena_copy(s->rest.desk->arena, span_of(servicenow_value(item, "sys_id")), &id, err);
			if (status == MH_OK)
				*ret = id.p;
			return status;
		}
	}
	return mh_fail(err, MH_SKIP, "there is no \"%.60s\" in %s", value, table);
}

/* -- check --------------------------------------------------------------------------------------------------------- */

/* Choices, where the user may read them; an empty list says nothing. */
static enum mh_status
check_choice(struct servicenow *s, const char *column, const char *wanted, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(buf_release) struct buf names;
	const cJSON *rows = NULL, *item;
	struct mh_span query;
	size_t n = 0;
	enum mh_status status =
	    arena_printf(s->rest.desk->arena, &query, err, "name=%s^element=%s^inactive=false", s->table, column);

	buf_init(&names, 512);
	if (status == MH_OK)
		status = read_rows(s, "sys_choice", query.p, "element,value,label", "read the choices", &a, &rows, err);
	if (status == MH_RETRY)
		return status;
	cJSON_ArrayForEach(item, rows)
	{
		if (strcmp(servicenow_value(item, "element"), column) != 0)
			continue;
		n++;
		if (strcmp(servicenow_value(item, "value"), wanted) == 0)
			return MH_OK;
	}
	if (n == 0) {
		say(s->rest.desk->protocol, "ServiceNow does not show the choices of %s: \"%s\" is not proven", column,
		    wanted);
		return MH_OK;
	}
	if (n >= PAGE)
		return MH_OK; /* there may be more of them */
	rest_names(rows, "value", &names);
	return mh_fail(
	    err, MH_BAD, "%s has no choice \"%.40s\"; it has: %.80s", column, wanted, names.n == 0 ? "" : names.p);
}

static enum mh_status
check_columns(struct servicenow *s, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(buf_release) struct buf columns;
	const struct ticket_desk *d = s->rest.desk;
	const cJSON *rows = NULL;

	buf_init(&columns, 8192);
	buf_puts(&columns, STATE_COLUMNS);
	for (size_t i = 0; i < d->n_fields; i++)
		buf_printf(&columns, ",%s", d->fields[i]);
	if (!buf_ok(&columns))
		return mh_fail(err, MH_LIMIT, "too many fields");
	const enum mh_status status =
	    read_rows(s, s->table, "ORDERBYDESCsys_created_on", columns.p, "read the table", &a, &rows, err);
	if (status != MH_OK)
		return status == MH_SKIP ? MH_OK : status;
	const cJSON *row = cJSON_GetArrayItem(rows, 0);
	if (row == NULL) {
		say(d->protocol, "table %s shows no record: its columns are not proven", s->table);
		return MH_OK;
	}
	if (!cJSON_HasObjectItem(row, "correlation_id"))
		return mh_fail(
		    err, MH_BAD, "table %.40s shows no correlation_id, by which a ticket is found", s->table);
	for (size_t i = 0; i < d->n_fields; i++)
		if (!cJSON_HasObjectItem(row, d->fields[i]))
			return mh_fail(err, MH_BAD, "table %.40s shows no column \"%.40s\"", s->table, d->fields[i]);
	return MH_OK;
}

static enum mh_status
servicenow_check(void *state, struct mh_err *err)
{
	struct servicenow *s = state;
	const struct ticket_desk *d = s->rest.desk;
	const char *code = cfg_getstr(d->conf, "close_code"), *id = NULL;

	if (!d->online)
		return MH_OK;
	enum mh_status status = check_columns(s, err);
	for (size_t i = 0; i < d->n_queues && status == MH_OK; i++) {
		status = servicenow_lookup(s, "sys_user_group", "name", d->queues[i], &id, err);
		if (status == MH_SKIP)
			status = mh_fail(err, MH_BAD, "there is no group \"%.60s\"", d->queues[i]);
	}
	if (status == MH_OK)
		status = check_choice(s, "state", cfg_getstr(d->conf, "close_state"), err);
	if (status == MH_OK && code[0] != '\0')
		status = check_choice(s, "close_code", code, err);
	return status;
}

static const cfg_opt_t options[] = {
	REST_OPTIONS,
	CFG_STR("table", "incident", CFGF_NONE),
	CFG_STR("category", "", CFGF_NONE),
	CFG_STR("caller", "", CFGF_NONE),
	CFG_STR("comment_column", "work_notes", CFGF_NONE),
	CFG_STR("close_state", "6", CFGF_NONE),
	CFG_STR("close_code", "Solved (Permanently)", CFGF_NONE),
	CFG_STR_LIST("closed_states", "{\"6\", \"7\", \"8\"}", CFGF_NONE),
	CFG_END(),
};

static const struct own_conf_check checks[] = { REST_CHECKS, { "table", check_column },
	{ "comment_column", check_column }, { NULL, NULL } };

const struct ticket_driver ticket_servicenow = {
	.name = "servicenow",
	.help = "ServiceNow, Table API",
	.options = options,
	.checks = checks,
	.priorities = { "3/3", "2/2", "1/1" },
	.format = FORMAT_PLAIN,
	.lag_s = 15,
	.start = servicenow_start,
	.stop = servicenow_stop,
	.check = servicenow_check,
	.id_of_url = servicenow_id_of_url,
	.get = servicenow_get,
	.find = servicenow_find,
	.open = servicenow_open,
	.attach = servicenow_attach,
	.commented = servicenow_commented,
	.comment = servicenow_comment,
	.change = servicenow_change,
	.close = servicenow_close,
	.read = servicenow_read,
};
