/* gitlab_check.c: proves the token and the projects, without making anything. Source: GitLab's "Personal access tokens
 * API" and "Projects API". */
#include <string.h>

#include "actions/ticket/gitlab_parts.h"

static bool
has_scope(const cJSON *scopes)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, scopes)
	{
		if (cJSON_IsString(item) && strcmp(item->valuestring, "api") == 0)
			return true;
	}
	return false;
}

/* What the token says of itself. A server that does not know the question, or a job's token, does not tell. */
static enum mh_status
check_token(struct gitlab *g, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const struct rest_call c = { .method = "GET",
		.path = "/api/v4/personal_access_tokens/self",
		.doing = "read the token",
		.statuses = true };
	const enum mh_status status = gitlab_call(g, &c, &a, err);
	char text[MH_TIME_TEXT] = "0000-00-00T00:00:00Z";
	const char *end;
	int64_t at;

	if (status != MH_OK)
		return status;
	if (a.status == 401 || http_class(a.status) == MH_RETRY)
		return rest_refused(&g->rest, &c, &a, http_class(a.status), err);
	if (http_class(a.status) != MH_OK) {
		say(g->rest.desk->protocol, "GitLab does not tell how long the token lives");
		return MH_OK;
	}
	if (json_array(a.json, "scopes") != NULL && !has_scope(json_array(a.json, "scopes")))
		return mh_fail(err, MH_BAD, "the token has no scope \"api\", so it may not write");
	end = json_string(a.json, "expires_at");
	if (end != NULL && strlen(end) >= 10) {
		memcpy(text, end, 10);
		if (time_read(span_of(text), &at, NULL) == MH_OK) /* it ends when that day begins */
			credential_ends(g->rest.desk->protocol, "GitLab token", at);
	} else {
		credential_ends(g->rest.desk->protocol, "GitLab token", CREDENTIAL_NO_END);
	}
	return MH_OK;
}

static enum mh_status
check_project(struct gitlab *g, const char *project, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct rest_call c = { .method = "GET", .doing = "read the project" };
	enum mh_status status = rest_path(&g->rest, &c.path, err, "/api/v4/projects/%s", project);
	const char *level;
	bool on = true, archived = false;
	int64_t own = 0, group = 0;

	if (status == MH_OK)
		status = gitlab_call(g, &c, &a, err);
	if (status != MH_OK)
		return status;
	level = json_string(a.json, "issues_access_level");
	if ((level != NULL && strcmp(level, "disabled") == 0) || (json_bool(a.json, "issues_enabled", &on) && !on))
		return mh_fail(err, MH_BAD, "project %.60s has no issues", project);
	if (json_bool(a.json, "archived", &archived) && archived)
		return mh_fail(err, MH_BAD, "project %.60s is archived: nothing can be written there", project);
	const cJSON *permissions = json_object(a.json, "permissions");
	(void)json_integer(json_object(permissions, "project_access"), "access_level", 0, 100, &own);
	(void)json_integer(json_object(permissions, "group_access"), "access_level", 0, 100, &group);
	if (permissions != NULL && own < 15 && group < 15) /* 15: planner, 20: reporter */
		return mh_fail(err, MH_BAD,
		    "the token must be at least a planner or reporter of %.60s to label and close", project);
	return MH_OK;
}

enum mh_status
gitlab_check(void *state, struct mh_err *err)
{
	struct gitlab *g = state;
	const struct ticket_desk *d = g->rest.desk;

	if (!d->online)
		return MH_OK;
	enum mh_status status = check_token(g, err);
	for (size_t i = 0; i < d->n_queues && status == MH_OK; i++)
		status = check_project(g, d->queues[i], err);
	return status;
}
