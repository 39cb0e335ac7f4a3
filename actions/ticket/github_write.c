/* github_write.c: opening, changing, commenting on and closing an issue, and what proves that it can be done. */
#include <stdio.h>
#include <string.h>

#include "actions/ticket/github_parts.h"

/* -- opening ------------------------------------------------------------------------------------------------------- */

static cJSON *
new_issue(const struct github *g, const struct ticket_new *t, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(buf_release) struct buf text;
	cJSON *assignees;

	buf_init(&text, (size_t)1 << 20);
	if (body == NULL || forge_text(g->rest.desk, t, &text, err) != MH_OK)
		return NULL;
	if (!json_add_span(body, "title", t->title) || !json_add_span(body, "body", buf_span(&text)) ||
	    !cJSON_AddItemToObject(body, "labels", forge_labels(t, cfg_getstr(g->rest.desk->conf, "find_label"))))
		return NULL;
	if (t->assignee != NULL) {
		assignees = cJSON_AddArrayToObject(body, "assignees");
		if (assignees == NULL || !cJSON_AddItemToArray(assignees, cJSON_CreateString(t->assignee)))
			return NULL;
	}
	cJSON *ret = body;
	body = NULL;
	return ret;
}

/* A person who has left must not keep the ticket from being opened. */
static bool
blames_assignee(const cJSON *answer)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json_array(answer, "errors"))
	{
		const char *field = json_string(item, "field");

		if (field != NULL && strncmp(field, "assignee", 8) == 0)
			return true;
	}
	return false;
}

static enum mh_status
post_issue(struct github *g, const cJSON *body, struct rest_answer *ret, struct mh_err *err)
{
	struct rest_call c = { .method = "POST", .body = body, .doing = "open an issue", .statuses = true };
	enum mh_status status = github_path(g, g->rest.desk->queue, "/issues", &c.path, err);

	if (status == MH_OK)
		status = github_call(g, &c, ret, err);
	if (status != MH_OK)
		return status;
	status = github_judge(&ret->http, g->rest.desk->request->now, &g->rest.desk->retry_after_s);
	return status == MH_OK ? MH_OK : rest_refused(&g->rest, &c, ret, status, err);
}

enum mh_status
github_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err)
{
	struct github *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct mh_err why = { 0 };
	MH_AUTO(drop_json) cJSON *body = new_issue(g, t, &why);

	if (body == NULL)
		return mh_fail(err, why.code == MH_LIMIT ? MH_BAD : MH_RETRY, "%s",
		    why.code == MH_LIMIT ? why.text : "no memory for a ticket");
	enum mh_status status = post_issue(g, body, &a, err);
	if (status == MH_BAD && a.status == 422 && blames_assignee(a.json)) {
		cJSON_DeleteItemFromObjectCaseSensitive(body, "assignees");
		rest_answer_release(&a);
		status = post_issue(g, body, &a, err);
	}
	if (status == MH_OK)
		status = github_ref_of(g, g->rest.desk->queue, a.json, t->key, ret, err);
	if (status != MH_OK)
		return status;
	forge_compare(g->rest.desk, json_array(body, "labels"), json_array(a.json, "labels"));
	if (t->assignee != NULL && cJSON_GetArraySize(json_array(a.json, "assignees")) == 0)
		ticket_dropped(g->rest.desk, "assignee", span_of(t->assignee));
	return MH_OK;
}

/* -- changing ------------------------------------------------------------------------------------------------------ */

static enum mh_status
remove_label(struct github *g, const char *id, const char *name, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct rest_call c = { .method = "DELETE", .doing = "remove a label", .statuses = true };
	MH_AUTO(buf_release) struct buf tail;

	buf_init(&tail, 1024);
	buf_puts(&tail, "/labels/");
	http_encode(&tail, span_of(name));
	enum mh_status status = buf_ok(&tail) ? github_issue_path(g, id, tail.p, &c.path, err)
					      : mh_fail(err, MH_LIMIT, "a label is too long");
	if (status == MH_OK)
		status = github_call(g, &c, &a, err);
	if (status != MH_OK || a.status == 404) /* it was not there */
		return status;
	status = github_judge(&a.http, g->rest.desk->request->now, &g->rest.desk->retry_after_s);
	return status == MH_OK ? MH_OK : rest_refused(&g->rest, &c, &a, status, err);
}

/* First the new one, then away with the lower ones: killed between, the higher holds. */
enum mh_status
github_change(void *state, const struct ticket_ref *ref, const struct ticket_change *ch, struct mh_err *err)
{
	struct github *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	struct rest_call c = { .method = "POST", .body = body, .doing = "add a label", .statuses = true };
	cJSON *labels = body == NULL ? NULL : cJSON_AddArrayToObject(body, "labels");

	if (labels == NULL || !cJSON_AddItemToArray(labels, cJSON_CreateString(ch->priority_name)))
		return mh_fail(err, MH_RETRY, "no memory for a change");
	enum mh_status status = github_issue_path(g, ref->id, "/labels", &c.path, err);
	if (status == MH_OK)
		status = github_call(g, &c, &a, err);
	if (status != MH_OK)
		return status;
	status = github_judge(&a.http, g->rest.desk->request->now, &g->rest.desk->retry_after_s);
	if (status == MH_BAD && a.status == 403) { /* who may comment may not always label */
		ticket_dropped(g->rest.desk, "label", span_of(ch->priority_name));
		return MH_OK;
	}
	if (status != MH_OK)
		return rest_refused(&g->rest, &c, &a, status, err);
	forge_compare(g->rest.desk, labels, a.json);
	for (int i = PRIORITY_NORMAL; i < (int)ch->raise_to && status == MH_OK; i++)
		if (forge_has_label(a.json, g->rest.desk->priorities[i]))
			status = remove_label(g, ref->id, g->rest.desk->priorities[i], err);
	return status;
}

static enum mh_status
comments_page(const struct forge_list *l, int number, struct rest_answer *ret, struct mh_err *err)
{
	struct rest_call c = { .method = "GET", .doing = l->doing };
	char tail[64];

	(void)snprintf(tail, sizeof(tail), "/comments?per_page=%d&page=%d", FORGE_PAGE, number);
	const enum mh_status status = github_issue_path(l->state, l->what, tail, &c.path, err);
	return status == MH_OK ? github_call(l->state, &c, ret, err) : status;
}

enum mh_status
github_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err)
{
	const struct forge_list list = {
		.state = state, .what = ref->id, .doing = "read the comments", .page = comments_page
	};

	return forge_find_mark(&list, mark, err);
}

enum mh_status
github_comment(void *state, const struct ticket_ref *ref, const struct ticket_comment *k, struct mh_err *err)
{
	struct github *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	struct rest_call c = { .method = "POST", .body = body, .doing = "comment on the issue" };

	if (body == NULL || !json_add_span(body, "body", k->text))
		return mh_fail(err, MH_RETRY, "no memory for a comment");
	const enum mh_status status = github_issue_path(g, ref->id, "/comments", &c.path, err);
	return status == MH_OK ? github_call(g, &c, &a, err) : status;
}

enum mh_status
github_close(void *state, const struct ticket_ref *ref, struct mh_err *err)
{
	struct github *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	struct rest_call c = { .method = "PATCH", .body = body, .doing = "close the issue" };

	if (body == NULL || !json_add_string(body, "state", "closed") ||
	    !json_add_string(body, "state_reason", cfg_getstr(g->rest.desk->conf, "close_reason")))
		return mh_fail(err, MH_RETRY, "no memory for a change");
	enum mh_status status = github_issue_path(g, ref->id, "", &c.path, err);
	if (status == MH_OK)
		status = github_call(g, &c, &a, err);
	if (status != MH_OK)
		return status;
	const char *now = json_string(a.json, "state");
	return now != NULL && strcmp(now, "closed") == 0 ? MH_OK : mh_fail(err, MH_BAD, "the issue is still open");
}

enum mh_status
github_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err)
{
	struct github *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const enum mh_status status = github_get_issue(g, ref->id, &a, err);

	if (status != MH_OK)
		return status;
	forge_read(a.json, "body", ret_text);
	return buf_ok(ret_text) ? MH_OK : mh_fail(err, MH_LIMIT, "the issue is longer than %zu bytes", ret_text->max);
}

/* -- check --------------------------------------------------------------------------------------------------------- */

static enum mh_status
check_repository(struct github *g, const char *repository, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct rest_call c = { .method = "GET", .doing = "read the repository" };
	bool has = true, archived = false, push = false;
	enum mh_status status;

	if (!github_is_repository(span_of(repository)))
		return mh_fail(err, MH_BAD, "queue \"%.60s\" is not OWNER/NAME", repository);
	status = github_path(g, repository, "", &c.path, err);
	if (status == MH_OK)
		status = github_call(g, &c, &a, err);
	if (status != MH_OK)
		return status;
	if (json_bool(a.json, "has_issues", &has) && !has)
		return mh_fail(err, MH_BAD, "%.60s has no issues", repository);
	if (json_bool(a.json, "archived", &archived) && archived)
		return mh_fail(err, MH_BAD, "%.60s is archived: nothing can be written there", repository);
	if (json_bool(json_object(a.json, "permissions"), "push", &push) && !push) {
		bool triage = false;

		if (!json_bool(json_object(a.json, "permissions"), "triage", &triage) || !triage)
			say(g->rest.desk->protocol,
			    "%s: the token may neither push nor triage, so labels and assignees will be dropped",
			    repository);
	}
	return MH_OK;
}

enum mh_status
github_check(void *state, struct mh_err *err)
{
	struct github *g = state;
	const struct ticket_desk *d = g->rest.desk;

	if (!d->online)
		return MH_OK;
	enum mh_status status = github_read_login(g, err);
	if (status == MH_OK && g->login == NULL)
		say(d->protocol, "GitHub does not tell whose token it is (an app's, perhaps): set creator, for where "
				 "labels are dropped");
	else if (status == MH_OK)
		say(d->protocol, "GitHub, as %.60s", g->login);
	for (size_t i = 0; i < d->n_queues && status == MH_OK; i++)
		status = check_repository(g, d->queues[i], err);
	return status;
}
