/* redmine.c: Redmine 5 by its REST API: finding, reading, checking; redmine_write.c writes.
 *
 * Its traps: a wrong key is answered 200 with an empty list at /issues.json, but 401 at a project's own list, so only
 * that is asked; a filter by an unknown field is no filter, so that what is found must carry the key, all of it; a
 * forbidden status and an unknown custom field are dropped without a word, so that everything is read again.
 * Source: Redmine 5.0.4 as it answered; its wiki, "Rest api". */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "actions/ticket/redmine_parts.h"

/* -- asking --------------------------------------------------------------------------------------------------------- */

enum mh_status
redmine_ask(struct redmine *rm, const char *path, const char *doing, struct rest_answer *ret, struct mh_err *err)
{
	const struct rest_call c = { .method = "GET", .path = path, .doing = doing };

	return rest_call(&rm->rest, &c, ret, err);
}

enum mh_status
redmine_issue(struct redmine *rm, const char *id, struct rest_answer *ret, struct mh_err *err)
{
	const char *path;
	enum mh_status status =
	    rest_path(&rm->rest, &path, err, "/issues/%s.json?include=journals,attachments,allowed_statuses", id);

	*ret = (struct rest_answer){ 0 };
	if (status != MH_OK)
		return status;
	const struct rest_call c = { .method = "GET", .path = path, .doing = "read the issue", .statuses = true };
	status = rest_call(&rm->rest, &c, ret, err);
	if (status == MH_OK && ret->status == 404)
		return mh_fail(err, MH_SKIP, "issue %.20s is gone", id);
	if (status == MH_OK && http_class(ret->status) != MH_OK)
		return rest_refused(&rm->rest, &c, ret, http_class(ret->status), err);
	if (status == MH_OK && json_object(ret->json, "issue") == NULL)
		return mh_fail(err, MH_RETRY, "Redmine answered an issue with something else");
	return status;
}

enum mh_status
redmine_project(struct redmine *rm, const char *path, struct rest_answer *ret, struct mh_err *err)
{
	const struct rest_call c = { .method = "GET", .path = path, .doing = "read the project", .statuses = true };
	const enum mh_status status = rest_call(&rm->rest, &c, ret, err);

	if (status == MH_OK && ret->status == 404)
		return mh_fail(err, MH_BAD,
		    "404: Redmine has no project \"%.60s\": its identifier, or its number, is asked for", rm->project);
	if (status == MH_OK && http_class(ret->status) != MH_OK)
		return rest_refused(&rm->rest, &c, ret, http_class(ret->status), err);
	return status;
}

enum mh_status
redmine_id_in(const cJSON *list, const char *what, const char *name, int64_t *ret, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf names;
	const cJSON *item;

	buf_init(&names, 400);
	if (name[0] != '\0' && name[strspn(name, "0123456789")] == '\0' && strlen(name) < 18) {
		*ret = strtoll(name, NULL, 10);
		return MH_OK;
	}
	cJSON_ArrayForEach(item, list)
	{
		const char *own = json_string(item, "name");

		if (own != NULL && span_ieq(span_of(own), span_of(name)) && json_integer(item, "id", 0, INT64_MAX, ret))
			return MH_OK;
	}
	rest_names(list, "name", &names);
	return mh_fail(
	    err, MH_BAD, "Redmine has no %s \"%.40s\": there are %s", what, name, names.n == 0 ? "none" : names.p);
}

enum mh_status
redmine_priorities(struct redmine *rm, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	enum mh_status status = MH_OK;

	if (rm->priorities == NULL)
		status = redmine_ask(rm, "/enumerations/issue_priorities.json", "list the priorities", &a, err);
	if (rm->priorities != NULL || status != MH_OK)
		return status;
	rm->priorities = cJSON_DetachItemFromObjectCaseSensitive(a.json, "issue_priorities");
	return cJSON_IsArray(rm->priorities)
		   ? MH_OK
		   : mh_fail(err, MH_RETRY, "Redmine answered its priorities with something else");
}

/* -- custom fields --------------------------------------------------------------------------------------------------- */

static bool
note_fields(struct redmine *rm, const cJSON *list)
{
	const cJSON *item;
	int64_t id;

	cJSON_ArrayForEach(item, list)
	{
		const char *name = json_string(item, "name");

		if (name == NULL || !json_integer(item, "id", 1, INT64_MAX, &id) ||
		    cJSON_GetObjectItemCaseSensitive(rm->fields, name) != NULL)
			continue;
		if (cJSON_AddNumberToObject(rm->fields, name, (double)id) ==
		    NULL) /* json_add_integer() writes what is only printed */
			return false;
	}
	return true;
}

/* The fields that are there for all projects stand in no list that a user may read, but in every issue. */
static enum mh_status
learn_fields(struct redmine *rm, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer project = { 0 };
	MH_AUTO(rest_answer_release) struct rest_answer issues = { 0 };
	const cJSON *issue;
	const char *path;
	enum mh_status status =
	    rest_path(&rm->rest, &path, err, "/projects/%s.json?include=issue_custom_fields", rm->project);

	if (rm->fields != NULL)
		return MH_OK;
	rm->fields = cJSON_CreateObject();
	if (rm->fields == NULL)
		return mh_fail(err, MH_RETRY, "no memory for fields");
	if (status == MH_OK)
		status = redmine_project(rm, path, &project, err);
	if (status == MH_OK)
		status = rest_path(&rm->rest, &path, err, "/projects/%s/issues.json?status_id=*&limit=5", rm->project);
	if (status == MH_OK)
		status = redmine_ask(rm, path, "list the project's issues", &issues, err);
	if (status != MH_OK)
		return status;
	bool ok = note_fields(rm, json_array(rest_at(project.json, "project"), "issue_custom_fields"));
	cJSON_ArrayForEach(issue, json_array(issues.json, "issues")) ok =
	    ok && note_fields(rm, json_array(issue, "custom_fields"));
	return ok ? MH_OK : mh_fail(err, MH_RETRY, "no memory for fields");
}

enum mh_status
redmine_field_id(struct redmine *rm, const char *name, int64_t *ret, struct mh_err *err)
{
	if (name[strspn(name, "0123456789")] == '\0')
		return redmine_id_in(NULL, "custom field", name, ret, err);
	const enum mh_status status = learn_fields(rm, err);
	if (status == MH_OK && !json_integer(rm->fields, name, 1, INT64_MAX, ret))
		return mh_fail(err, MH_BAD,
		    "Redmine shows no custom field \"%.40s\" in project %.40s: write its number instead", name,
		    rm->project);
	return status;
}

struct mh_span
redmine_field_value(const cJSON *issue, int64_t id)
{
	const cJSON *item;
	int64_t own;

	cJSON_ArrayForEach(item, json_array(issue, "custom_fields"))
	{
		if (!json_integer(item, "id", 1, INT64_MAX, &own) || own != id)
			continue;
		const char *value = json_string(item, "value");
		return span_of(value == NULL ? "" : value);
	}
	return MH_NONE;
}

/* -- finding -------------------------------------------------------------------------------------------------------- */

/* Where ours and the issue's stand in the list says which is higher. */
static enum ticket_priority
our_priority(const struct redmine *rm, const cJSON *issue)
{
	const char *own = json_string(rest_at(issue, "priority"), "name");
	enum ticket_priority p = PRIORITY_NORMAL;
	bool known = false;
	const cJSON *item;

	cJSON_ArrayForEach(item, rm->priorities)
	{
		const char *name = json_string(item, "name");

		if (name == NULL)
			continue;
		for (int i = 0; i < 3; i++)
			if (span_ieq(span_of(name), span_of(rm->desk->priorities[i])))
				p = (enum ticket_priority)i;
		if (own != NULL && strcmp(name, own) == 0) {
			known = true;
			break;
		}
	}
	return known ? p : PRIORITY_URGENT;
}

enum mh_status
redmine_read_ref(struct redmine *rm, const cJSON *issue, struct ticket_ref *ret, struct mh_err *err)
{
	const char *id = rest_id(&rm->rest, issue, "id");
	struct mh_span url;
	bool closed;

	if (id == NULL || !json_bool(rest_at(issue, "status"), "is_closed", &closed))
		return mh_fail(err, MH_RETRY, "Redmine answered an issue without its number or status");
	enum mh_status status = redmine_priorities(rm, err);
	if (status == MH_OK)
		status = arena_printf(rm->desk->arena, &url, err, "%s/issues/%s", rm->rest.base, id);
	if (status == MH_OK)
		*ret =
		    (struct ticket_ref){ .id = id, .url = url.p, .open = !closed, .priority = our_priority(rm, issue) };
	return status;
}

static enum mh_status
carries(struct redmine *rm, const cJSON *issue, const char *key, bool *ret, struct mh_err *err)
{
	int64_t field;

	if (rm->key_field == NULL) {
		*ret = span_find(span_of(json_string(issue, "subject")), span_of(key), 0) != SIZE_MAX;
		return MH_OK;
	}
	const enum mh_status status = redmine_field_id(rm, rm->key_field, &field, err);
	if (status == MH_OK)
		*ret = span_eq(redmine_field_value(issue, field), span_of(key));
	return status;
}

static enum mh_status
redmine_get(void *state, const char *id, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct redmine *rm = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	bool ours = false;

	if (id[strspn(id, "0123456789")] != '\0')
		return mh_fail(err, MH_SKIP, "not an issue's number");
	enum mh_status status = redmine_issue(rm, id, &a, err);
	const cJSON *issue = json_object(a.json, "issue");
	if (status == MH_OK)
		status = carries(rm, issue, key, &ours, err);
	if (status == MH_OK && !ours)
		return mh_fail(err, MH_SKIP, "issue %.20s carries another key", id);
	return status == MH_OK ? redmine_read_ref(rm, issue, ret, err) : status;
}

static enum mh_status
search_path(struct redmine *rm, const char *key, const char **ret, struct mh_err *err)
{
	int64_t field;
	struct mh_span text;

	if (rm->key_field == NULL)
		return rest_path(&rm->rest, ret, err,
		    "/projects/%s/issues.json?status_id=*&sort=id&limit=100&subject=~%s", rm->project, key);
	enum mh_status status = redmine_field_id(rm, rm->key_field, &field, err);
	if (status == MH_OK)
		status = arena_printf(rm->desk->arena, &text, err, "cf_%" PRId64, field);
	return status == MH_OK
		   ? rest_path(&rm->rest, ret, err, "/projects/%s/issues.json?status_id=*&sort=id&limit=100&%s=%s",
			 rm->project, text.p, key)
		   : status;
}

/* Of those that carry the key the first open one, else the first. */
static enum mh_status
redmine_find(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct redmine *rm = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct ticket_ref best = { 0 };
	const cJSON *issue;
	size_t n_open = 0;
	const char *path;
	enum mh_status status = search_path(rm, key, &path, err);

	if (status == MH_OK)
		status = redmine_ask(rm, path, "search", &a, err);
	if (status != MH_OK)
		return status;
	if (json_array(a.json, "issues") == NULL)
		return mh_fail(err, MH_RETRY, "Redmine answered a search with something else");
	cJSON_ArrayForEach(issue, json_array(a.json, "issues"))
	{
		struct ticket_ref ref = { 0 };
		bool ours = false;

		status = carries(rm, issue, key, &ours, err);
		if (status == MH_OK && !ours)
			status = mh_fail(err, MH_BAD,
			    "Redmine did not search by the key: is key_field there, and a filter, in project %.40s?",
			    rm->project);
		if (status == MH_OK)
			status = redmine_read_ref(rm, issue, &ref, err);
		if (status != MH_OK)
			return status;
		n_open += ref.open;
		if (best.id == NULL || (ref.open && !best.open))
			best = ref;
	}
	if (best.id == NULL)
		return mh_fail(err, MH_SKIP, "no issue carries the key");
	best.others = n_open > 1 ? n_open - 1 : 0;
	*ret = best;
	return MH_OK;
}

static enum mh_status
redmine_id_of_url(void *state, const char *url, const char **ret_id, struct mh_err *err)
{
	struct redmine *rm = state;

	return rest_id_of_url(&rm->rest, url, "/issues/", ret_id, err);
}

/* -- for people ----------------------------------------------------------------------------------------------------- */

static enum mh_status
redmine_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err)
{
	static const char *const names[] = { "subject", "status.name", "priority.name", "due_date" };
	struct redmine *rm = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const cJSON *item;
	const enum mh_status status = redmine_issue(rm, ref->id, &a, err);

	for (size_t i = 0; status == MH_OK && i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = cJSON_GetStringValue(rest_at(json_object(a.json, "issue"), names[i]));

		buf_printf(ret_text, "%s: %s\n", names[i], value == NULL ? "" : value);
	}
	if (status != MH_OK)
		return status;
	cJSON_ArrayForEach(item, json_array(json_object(a.json, "issue"), "custom_fields"))
	{
		const char *name = json_string(item, "name"), *value = json_string(item, "value");

		if (name != NULL && value != NULL)
			buf_printf(ret_text, "%s: %s\n", name, value);
	}
	return MH_OK;
}

/* -- checking ------------------------------------------------------------------------------------------------------- */

/* A role may be anything; what it permits says what can be done. */
static enum mh_status
check_permissions(struct redmine *rm, const cJSON *user, int64_t project, struct mh_err *err)
{
	static const char *const needed[] = { "view_issues", "add_issues", "add_issue_notes", "edit_issues" };
	bool has[sizeof(needed) / sizeof(needed[0])] = { false }, admin = false;
	const cJSON *membership, *role, *item;
	int64_t id;

	if (json_bool(user, "admin", &admin) && admin)
		return MH_OK;
	cJSON_ArrayForEach(membership, json_array(user, "memberships"))
	{
		if (!json_integer(rest_at(membership, "project"), "id", 1, INT64_MAX, &id) || id != project)
			continue;
		cJSON_ArrayForEach(role, json_array(membership, "roles"))
		{
			MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
			const char *number = rest_id(&rm->rest, role, "id"), *path;
			enum mh_status status =
			    rest_path(&rm->rest, &path, err, "/roles/%s.json", number == NULL ? "0" : number);

			if (status == MH_OK)
				status = redmine_ask(rm, path, "read a role", &a, err);
			if (status != MH_OK)
				return status;
			cJSON_ArrayForEach(item,
			    json_array(rest_at(a.json, "role"),
				"permissions")) for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) has[i] =
			    has[i] || (cJSON_IsString(item) && strcmp(item->valuestring, needed[i]) == 0);
		}
	}
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!has[i])
			return mh_fail(
			    err, MH_BAD, "this user lacks the permission %s in project %.60s", needed[i], rm->project);
	return MH_OK;
}

static enum mh_status
check_project(struct redmine *rm, const cJSON *user, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const char *path;
	int64_t id, number;
	enum mh_status status = rest_path(&rm->rest, &path, err, "/projects/%s.json?include=trackers", rm->project);

	if (status != MH_OK)
		return status;
	status = redmine_project(rm, path, &a, err);
	const cJSON *project = json_object(a.json, "project");
	if (status == MH_OK && !json_integer(project, "id", 1, INT64_MAX, &id))
		return mh_fail(err, MH_BAD, "there is no Redmine at url");
	if (status == MH_OK && rm->tracker != NULL)
		status = redmine_id_in(json_array(project, "trackers"), "tracker", rm->tracker, &number, err);
	if (status == MH_OK)
		status = check_permissions(rm, user, id, err);
	cJSON_Delete(rm->fields); /* each project has its own */
	rm->fields = NULL;
	if (status == MH_OK && rm->key_field != NULL)
		status = redmine_field_id(rm, rm->key_field, &number, err);
	for (size_t i = 0; status == MH_OK && i < rm->desk->n_fields; i++)
		status = redmine_field_id(rm, rm->desk->fields[i], &number, err);
	if (status == MH_OK)
		say(rm->desk->protocol, "project %s: issues can be opened", rm->project);
	return status;
}

static enum mh_status
check_names(struct redmine *rm, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	int64_t id, own;
	bool closed = false;
	const cJSON *item;
	enum mh_status status = redmine_priorities(rm, err);

	for (int i = 0; i < 3 && status == MH_OK; i++)
		status = redmine_id_in(rm->priorities, "priority", rm->desk->priorities[i], &id, err);
	if (status == MH_OK)
		status = redmine_ask(rm, "/issue_statuses.json", "list the statuses", &a, err);
	if (status == MH_OK)
		status = redmine_id_in(json_array(a.json, "issue_statuses"), "status", rm->close_status, &id, err);
	if (status != MH_OK)
		return status;
	cJSON_ArrayForEach(item, json_array(a.json, "issue_statuses"))
	{
		if (json_integer(item, "id", 1, INT64_MAX, &own) && own == id)
			(void)json_bool(item, "is_closed", &closed);
	}
	return closed ? MH_OK : mh_fail(err, MH_BAD, "the status \"%.60s\" closes no issue", rm->close_status);
}

static enum mh_status
redmine_check(void *state, struct mh_err *err)
{
	struct redmine *rm = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	enum mh_status status;

	if (!rm->desk->online)
		return MH_OK;
	status = redmine_ask(rm, "/users/current.json?include=memberships", "sign in", &a, err);
	if (status != MH_OK)
		return status;
	const cJSON *user = json_object(a.json, "user");
	if (json_string(user, "login") == NULL)
		return mh_fail(err, MH_BAD, "there is no Redmine at url, or its key belongs to nobody");
	say(rm->desk->protocol, "signed in as %s", json_string(user, "login"));
	status = check_names(rm, err);
	for (size_t i = 0; status == MH_OK && i < rm->desk->n_queues; i++) {
		rm->project = rm->desk->queues[i];
		status = check_project(rm, user, err);
	}
	return status;
}

/* -- life ----------------------------------------------------------------------------------------------------------- */

static enum mh_status
redmine_start(struct ticket_desk *d, void **ret_state, struct mh_err *err)
{
	static const struct rest_auth auth = { "X-Redmine-API-Key", "", true };
	struct redmine *rm = arena_alloc(d->arena, sizeof(*rm));
	const char *key_field = cfg_getstr(d->conf, "key_field"), *tracker = cfg_getstr(d->conf, "tracker");

	if (rm == NULL)
		return mh_fail(err, MH_RETRY, "no memory for Redmine");
	*rm = (struct redmine){ .desk = d,
		.project = d->queue != NULL  ? d->queue
			   : d->n_queues > 0 ? d->queues[0]
					     : NULL,
		.tracker = tracker[0] == '\0' ? NULL : tracker,
		.key_field = key_field[0] == '\0' ? NULL : key_field,
		.close_status = cfg_getstr(d->conf, "close_status"),
		.pre = strcmp(cfg_getstr(d->conf, "text"), "pre") == 0 };
	*ret_state = rm;
	if (rm->project == NULL)
		return mh_fail(err, MH_BAD, "queue is not set: the identifier of a project");
	return rest_start(&rm->rest, d, NULL, &auth, err);
}

static void
redmine_stop(void *state)
{
	struct redmine *rm = state;

	cJSON_Delete(rm->priorities);
	cJSON_Delete(rm->fields);
	rest_stop(&rm->rest);
}

static enum text_format
redmine_format(cfg_t *conf)
{
	return strcmp(cfg_getstr(conf, "text"), "markdown") == 0 ? FORMAT_MARKDOWN : FORMAT_PLAIN;
}

static int
check_text(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *word = cfg_opt_getstr(opt);

	if (word == NULL || (strcmp(word, "pre") != 0 && strcmp(word, "markdown") != 0 && strcmp(word, "plain") != 0))
		cfg_error(cfg, "%s must be pre, markdown or plain", cfg_opt_name(opt));
	return 0;
}

static const cfg_opt_t options[] = { REST_OPTIONS, CFG_STR("key_field", "", CFGF_NONE),
	CFG_STR("tracker", "", CFGF_NONE), CFG_STR("close_status", "Closed", CFGF_NONE),
	CFG_STR("text", "pre", CFGF_NONE), CFG_END() };
static const struct own_conf_check checks[] = { REST_CHECKS, { "text", check_text }, { NULL, NULL } };

const struct ticket_driver ticket_redmine = {
	.name = "redmine",
	.help = "Redmine 5, by its REST API",
	.options = options,
	.checks = checks,
	.priorities = { "Normal", "High", "Urgent" },
	.format = FORMAT_PLAIN,
	.format_of = redmine_format,
	.lag_s = 30,
	.start = redmine_start,
	.stop = redmine_stop,
	.check = redmine_check,
	.id_of_url = redmine_id_of_url,
	.get = redmine_get,
	.find = redmine_find,
	.open = redmine_open,
	.attach = redmine_attach,
	.commented = redmine_commented,
	.comment = redmine_comment,
	.change = redmine_change,
	.close = redmine_close,
	.read = redmine_read,
};
