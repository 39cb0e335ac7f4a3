/* jira_check.c: proves the names that the configuration has, without making anything. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "actions/ticket/jira_parts.h"

static const cJSON *
named(const cJSON *list, const char *key, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		const char *there = json_string(item, key);

		if (there != NULL && strcasecmp(there, name) == 0)
			return item;
	}
	return NULL;
}

static enum mh_status
missing(const char *what, const char *name, const cJSON *list, struct mh_err *err)
{
	struct buf names;

	buf_init(&names, 512);
	rest_names(list, "name", &names);
	const enum mh_status status = mh_fail(
	    err, MH_BAD, "there is no %s \"%.40s\"; there are: %.90s", what, name, names.n == 0 ? "none" : names.p);
	buf_release(&names);
	return status;
}

static enum mh_status
get(struct jira *j, const char *doing, const char *fmt, const char *arg, struct rest_answer *ret, struct mh_err *err)
{
	const struct rest_call c = { .method = "GET", .doing = doing };

	return jira_call(j, &c, fmt, arg, ret, err);
}

/* -- who, where ---------------------------------------------------------------------------------------------------- */

static enum mh_status
check_user(struct jira *j, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const enum mh_status status = get(j, "read the user of the credential", "/myself", "", &a, err);
	char name[80];

	if (status == MH_OK)
		say(j->rest.desk->protocol, "Jira %s, as %s", j->cloud ? "Cloud" : "Data Center",
		    mh_escape(name, sizeof(name), span_of(json_string(a.json, "displayName"))));
	return status;
}

static enum mh_status
check_permissions(struct jira *j, struct mh_err *err)
{
	static const char *const needed[] = { "BROWSE_PROJECTS", "CREATE_ISSUES", "EDIT_ISSUES", "ADD_COMMENTS",
		"TRANSITION_ISSUES" };
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	enum mh_status status = get(j, "read the permissions",
	    "/mypermissions?projectKey=%s&permissions=BROWSE_PROJECTS,CREATE_ISSUES,EDIT_ISSUES,ADD_COMMENTS,"
	    "TRANSITION_"
	    "ISSUES",
	    j->project, &a, err);

	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]) && status == MH_OK; i++) {
		bool has = false;

		if (!json_bool(json_object(json_object(a.json, "permissions"), needed[i]), "havePermission", &has) ||
		    !has)
			status = mh_fail(
			    err, MH_BAD, "the user has no permission %s in project %.40s", needed[i], j->project);
	}
	return status;
}

/* -- fields -------------------------------------------------------------------------------------------------------- */

/* What the screen for new issues of the type takes. Old servers do not tell, and that is no fault. */
static enum mh_status
check_screen(struct jira *j, const char *type_id, struct mh_err *err)
{
	static const char *const wanted[] = { "labels", "priority", "duedate" };
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct ticket_desk *d = j->rest.desk;
	struct mh_span path;
	enum mh_status status =
	    arena_printf(d->arena, &path, err, "/issue/createmeta/%%s/issuetypes/%s?maxResults=200", type_id);

	if (status == MH_OK)
		status = get(j, "read the fields of a new issue", path.p, j->project, &a, err);
	if (status == MH_LIMIT || (status == MH_BAD && a.status == 404)) {
		say(d->protocol, "this Jira does not tell which fields a new issue has");
		return MH_OK;
	}
	if (status != MH_OK)
		return status;
	const cJSON *fields = json_array(a.json, "fields");
	if (fields == NULL)
		fields = json_array(a.json, "values"); /* Data Center */
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		if (named(fields, "fieldId", wanted[i]) != NULL)
			continue;
		if (i == 0)
			return mh_fail(
			    err, MH_BAD, "a new %.40s has no field \"labels\", by which it would be found", j->type);
		say(d->protocol, "a new %s has no field \"%s\": it will be without", j->type, wanted[i]);
	}
	for (size_t i = 0; i < d->n_fields; i++)
		if (named(fields, "name", d->fields[i]) == NULL && named(fields, "fieldId", d->fields[i]) == NULL)
			return missing("field for a new issue", d->fields[i], fields, err);
	return MH_OK;
}

static enum mh_status
check_project(struct jira *j, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	enum mh_status status = get(j, "read the project", "/project/%s", j->project, &a, err);

	if (status != MH_OK)
		return status;
	const cJSON *types = json_array(a.json, "issueTypes"), *type = named(types, "name", j->type);
	if (type == NULL)
		return missing("issue type", j->type, types, err);
	const char *id = rest_id(&j->rest, type, "id");
	if (id == NULL || id[strspn(id, "0123456789")] != '\0')
		return mh_fail(err, MH_BAD, "issue type %.40s has no number", j->type);
	return check_screen(j, id, err);
}

static enum mh_status
check_priorities(struct jira *j, struct mh_err *err)
{
	enum mh_status status = jira_load_priorities(j, err);

	for (int i = 0; i < 3 && status == MH_OK; i++)
		if (named(j->priority_list, "name", j->rest.desk->priorities[i]) == NULL)
			status = missing("priority", j->rest.desk->priorities[i], j->priority_list, err);
	return status;
}

/* -- closing ------------------------------------------------------------------------------------------------------- */

/* Statuses of the type, for where there is no issue yet that could tell its transitions. */
static enum mh_status
check_statuses(struct jira *j, const char *wanted, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const enum mh_status status = get(j, "read the statuses", "/project/%s/statuses", j->project, &a, err);

	if (status != MH_OK)
		return status;
	const cJSON *type = named(a.json, "name", j->type), *statuses = json_array(type, "statuses");
	if (named(statuses, "name", wanted) == NULL)
		return missing("transition or status", wanted, statuses, err);
	say(j->rest.desk->protocol, "status \"%s\" is there; whether a transition leads to it, an issue will show",
	    wanted);
	return MH_OK;
}

static enum mh_status
newest_issue(struct jira *j, const char **ret_id, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	const struct rest_call c = { .method = "POST", .body = body, .doing = "search for an issue to look at" };
	struct mh_span jql;

	if (strpbrk(j->project, "\"\\") != NULL || strpbrk(j->type, "\"\\") != NULL)
		return mh_fail(err, MH_BAD, "a project or type with a quote");
	enum mh_status status = arena_printf(j->rest.desk->arena, &jql, err,
	    "project = \"%s\" AND issuetype = \"%s\" AND statusCategory != Done ORDER BY created DESC", j->project,
	    j->type);
	if (status != MH_OK)
		return status;
	cJSON *fields = body == NULL ? NULL : cJSON_AddArrayToObject(body, "fields");
	if (fields == NULL || !json_add_span(body, "jql", jql) || !json_add_integer(body, "maxResults", 1) ||
	    !cJSON_AddItemToArray(fields, cJSON_CreateString("status")))
		return mh_fail(err, MH_RETRY, "no memory for a search");
	status = jira_call(j, &c, j->cloud ? "/search/jql" : "/search", "", &a, err);
	if (status == MH_OK) {
		*ret_id = rest_id(&j->rest, cJSON_GetArrayItem(json_array(a.json, "issues"), 0), "key");
		if (*ret_id == NULL)
			return mh_fail(err, MH_SKIP, "there is no open issue of that type");
	}
	return status;
}

static enum mh_status
check_closing(struct jira *j, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const char *wanted = cfg_getstr(j->rest.desk->conf, "close_transition"), *id = NULL;
	enum mh_status status = newest_issue(j, &id, err);

	if (status == MH_SKIP)
		return check_statuses(j, wanted, err);
	if (status == MH_OK)
		status = jira_transitions(j, id, &a, err);
	if (status != MH_OK)
		return status;
	if (jira_transition(j, json_array(a.json, "transitions")) != NULL)
		return MH_OK;
	return check_statuses(j, wanted, err);
}

/* Each project that an account may have. */
static enum mh_status
check_queue(struct jira *j, const char *project, struct mh_err *err)
{
	static enum mh_status (*const steps[])(
	    struct jira *, struct mh_err *) = { check_permissions, check_project, check_closing };
	enum mh_status status = MH_OK;

	j->project = project;
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && status == MH_OK; i++)
		status = steps[i](j, err);
	return status;
}

enum mh_status
jira_check(void *state, struct mh_err *err)
{
	struct jira *j = state;
	const struct ticket_desk *d = j->rest.desk;

	if (!d->online)
		return MH_OK;
	enum mh_status status = check_user(j, err);
	if (status == MH_OK)
		status = check_priorities(j, err);
	for (size_t i = 0; i < d->n_queues && status == MH_OK; i++)
		status = check_queue(j, d->queues[i], err);
	return status;
}
