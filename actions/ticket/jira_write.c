/* jira_write.c: opening, changing, commenting on and closing an issue, each read back. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "actions/ticket/adf.h"
#include "actions/ticket/jira_parts.h"
#include "actions/ticket/multipart.h"

#define COMMENT_PAGE 25 /* of 32 kB each at most: below HTTP_MAX_BODY_BYTES */
#define COMMENT_PAGES 20

/* -- opening ------------------------------------------------------------------------------------------------------- */

static cJSON *
new_issue(const struct jira *j, const char *key, const cJSON *fields)
{
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	cJSON *list, *property, *value;

	if (body == NULL || !cJSON_AddItemToObject(body, "fields", cJSON_Duplicate(fields, 1)))
		return NULL;
	list = cJSON_AddArrayToObject(body, "properties");
	property = cJSON_CreateObject();
	if (list == NULL || property == NULL || !cJSON_AddItemToArray(list, property))
		return NULL;
	value = json_add_string(property, "key", JIRA_PROPERTY) ? cJSON_AddObjectToObject(property, "value") : NULL;
	if (value == NULL || !json_add_string(value, "key", key) ||
	    !json_add_string(value, "job", j->rest.desk->request->job_key))
		return NULL;
	cJSON *ret = body;
	body = NULL;
	return ret;
}

/* Takes away what a project's screens do not have. False: something is wrong that a ticket cannot be without. */
static bool
leave_out(struct jira *j, cJSON *fields, const cJSON *errors)
{
	static const char *const needed[] = { "project", "issuetype", "summary", "description", "labels", NULL };
	const cJSON *item;

	if (cJSON_GetArraySize(errors) == 0)
		return false;
	cJSON_ArrayForEach(item, errors)
	{
		for (size_t i = 0; needed[i] != NULL; i++)
			if (strcmp(item->string, needed[i]) == 0)
				return false;
		if (!cJSON_HasObjectItem(fields, item->string))
			return false; /* a field that is required, and that nobody has configured */
	}
	cJSON_ArrayForEach(item, errors)
	{
		const cJSON *known = jira_field(j, item->string);

		ticket_dropped(
		    j->rest.desk, "field", span_of(known == NULL ? item->string : json_string(known, "name")));
		cJSON_DeleteItemFromObjectCaseSensitive(fields, item->string);
	}
	return true;
}

static enum mh_status
post_issue(struct jira *j, const char *key, const cJSON *fields, struct rest_answer *ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *body = new_issue(j, key, fields);
	const struct rest_call c = { .method = "POST", .body = body, .doing = "open an issue", .statuses = true };

	if (body == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a ticket");
	const enum mh_status status = jira_call(j, &c, "/issue", "", ret, err);
	if (status != MH_OK || http_class(ret->status) == MH_OK)
		return status;
	return rest_refused(&j->rest, &c, ret, http_class(ret->status), err);
}

enum mh_status
jira_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err)
{
	struct jira *j = state;
	MH_AUTO(drop_json) cJSON *fields = NULL;
	MH_AUTO(rest_answer_release) struct rest_answer made = { 0 };
	MH_AUTO(rest_answer_release) struct rest_answer read = { 0 };
	enum mh_status status = jira_fields_of(j, t, &fields, err);

	if (status == MH_OK)
		status = post_issue(j, t->key, fields, &made, err);
	if (status == MH_BAD && made.status == 400 && leave_out(j, fields, json_object(made.json, "errors"))) {
		rest_answer_release(&made);
		status = post_issue(j, t->key, fields, &made, err);
	}
	if (status != MH_OK)
		return status;
	const char *id = json_string(made.json, "key");
	if (id == NULL)
		return mh_fail(err, MH_RETRY, "cannot open an issue: the answer names none");
	status = jira_get_issue(j, id, &read, err);
	if (status == MH_SKIP)
		return mh_fail(err, MH_RETRY, "the issue %.40s was opened and cannot be seen", id);
	if (status != MH_OK)
		return status;
	cJSON_DeleteItemFromObjectCaseSensitive(fields, "project");
	jira_compare(j, fields, json_object(read.json, "fields"));
	return jira_ref_of(j, read.json, ret, err);
}

/* -- changing ------------------------------------------------------------------------------------------------------ */

static enum mh_status
put_fields(struct jira *j, const char *id, const cJSON *fields, struct rest_answer *ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	const struct rest_call c = { .method = "PUT", .body = body, .doing = "change the issue", .statuses = true };

	if (body == NULL || !cJSON_AddItemToObject(body, "fields", cJSON_Duplicate(fields, 1)))
		return mh_fail(err, MH_RETRY, "no memory for a change");
	const enum mh_status status = jira_call(j, &c, "/issue/%s", id, ret, err);
	if (status != MH_OK || http_class(ret->status) == MH_OK)
		return status;
	/* two writers of one issue: 409, which may pass */
	return rest_refused(&j->rest, &c, ret, ret->status == 409 ? MH_RETRY : http_class(ret->status), err);
}

enum mh_status
jira_change(void *state, const struct ticket_ref *ref, const struct ticket_change *ch, struct mh_err *err)
{
	struct jira *j = state;
	MH_AUTO(drop_json) cJSON *fields = cJSON_CreateObject();
	MH_AUTO(rest_answer_release) struct rest_answer done = { 0 };
	MH_AUTO(rest_answer_release) struct rest_answer read = { 0 };
	cJSON *priority = NULL;

	if (fields == NULL || (ch->due.n > 0 && !json_add_span(fields, "duedate", ch->due)))
		return mh_fail(err, MH_RETRY, "no memory for a change");
	if (ch->raise_to > ref->priority) {
		priority = cJSON_AddObjectToObject(fields, "priority");
		if (priority == NULL || !json_add_string(priority, "name", ch->priority_name))
			return mh_fail(err, MH_RETRY, "no memory for a change");
	}
	enum mh_status status = put_fields(j, ref->id, fields, &done, err);
	if (status == MH_BAD && done.status == 400 && leave_out(j, fields, json_object(done.json, "errors"))) {
		rest_answer_release(&done);
		status = cJSON_GetArraySize(fields) == 0 ? MH_OK : put_fields(j, ref->id, fields, &done, err);
	}
	if (status == MH_OK)
		status = jira_get_issue(j, ref->id, &read, err);
	if (status == MH_SKIP)
		return mh_fail(err, MH_RETRY, "the issue %.40s has gone", ref->id);
	if (status == MH_OK)
		jira_compare(j, fields, json_object(read.json, "fields"));
	return status;
}

/* -- comments ------------------------------------------------------------------------------------------------------ */

static bool
has_mark(const cJSON *comment, const char *mark)
{
	const cJSON *body = cJSON_GetObjectItemCaseSensitive(comment, "body");
	struct buf text;

	buf_init(&text, HTTP_MAX_BODY_BYTES);
	if (cJSON_IsString(body))
		buf_puts(&text, body->valuestring);
	else
		(void)adf_text(body, &text);
	const bool has = span_find(buf_span(&text), span_of(mark), 0) != SIZE_MAX;
	buf_release(&text);
	return has;
}

enum mh_status
jira_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err)
{
	struct jira *j = state;
	const struct rest_call c = { .method = "GET", .doing = "read the comments" };

	for (int page = 0; page < COMMENT_PAGES; page++) {
		MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
		char fmt[80];
		const cJSON *item;

		/* the newest first; Data Center knows this order too */
		(void)snprintf(fmt, sizeof(fmt), "/issue/%%s/comment?orderBy=-created&startAt=%d&maxResults=%d",
		    page * COMMENT_PAGE, COMMENT_PAGE);
		const enum mh_status status = jira_call(j, &c, fmt, ref->id, &a, err);
		if (status != MH_OK)
			return status;
		const cJSON *list = json_array(a.json, "comments");
		if (list == NULL)
			return mh_fail(err, MH_RETRY, "cannot read the comments: the answer has none");
		cJSON_ArrayForEach(item, list)
		{
			if (has_mark(item, mark))
				return MH_OK;
		}
		if (cJSON_GetArraySize(list) < COMMENT_PAGE)
			break;
	}
	return mh_fail(err, MH_SKIP, "no comment has this mark");
}

/* Service management shows comments to the customer unless they are marked as internal. */
static bool
add_internal(cJSON *body)
{
	cJSON *list = cJSON_AddArrayToObject(body, "properties");
	cJSON *property = list == NULL ? NULL : cJSON_CreateObject();

	if (property == NULL || !cJSON_AddItemToArray(list, property) ||
	    !json_add_string(property, "key", "sd.public.comment"))
		return false;
	cJSON *value = cJSON_AddObjectToObject(property, "value");
	return value != NULL && cJSON_AddTrueToObject(value, "internal") != NULL;
}

enum mh_status
jira_comment(void *state, const struct ticket_ref *ref, const struct ticket_comment *k, struct mh_err *err)
{
	struct jira *j = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	const struct rest_call c = { .method = "POST", .body = body, .doing = "comment on the issue" };
	const bool internal = cfg_getbool(j->rest.desk->conf, "internal_comments") == cfg_true && !k->closing;

	if (body == NULL || !cJSON_AddItemToObject(body, "body", jira_text(j, k->text)) ||
	    (internal && !add_internal(body)))
		return mh_fail(err, MH_RETRY, "no memory for a comment");
	return jira_call(j, &c, "/issue/%s/comment", ref->id, &a, err);
}

/* -- closing ------------------------------------------------------------------------------------------------------- */

enum mh_status
jira_transitions(struct jira *j, const char *id, struct rest_answer *ret, struct mh_err *err)
{
	const struct rest_call c = { .method = "GET", .doing = "read the transitions" };
	const enum mh_status status = jira_call(j, &c, "/issue/%s/transitions", id, ret, err);

	if (status == MH_OK && json_array(ret->json, "transitions") == NULL)
		return mh_fail(err, MH_RETRY, "cannot read the transitions: the answer has none");
	return status;
}

const cJSON *
jira_transition(const struct jira *j, const cJSON *list)
{
	const char *wanted = cfg_getstr(j->rest.desk->conf, "close_transition");
	const cJSON *item, *by_status = NULL;

	cJSON_ArrayForEach(item, list)
	{
		const char *name = json_string(item, "name"), *to = json_string(json_object(item, "to"), "name");

		if (name != NULL && strcasecmp(name, wanted) == 0)
			return item;
		if (by_status == NULL && to != NULL && strcasecmp(to, wanted) == 0)
			by_status = item;
	}
	return by_status;
}

static enum mh_status
no_transition(const struct jira *j, const cJSON *list, struct mh_err *err)
{
	struct buf names;

	buf_init(&names, 512);
	rest_names(list, "name", &names);
	const enum mh_status status = mh_fail(err, MH_BAD, "the issue has no transition \"%.40s\" now; it has: %.80s",
	    cfg_getstr(j->rest.desk->conf, "close_transition"), names.n == 0 ? "none" : names.p);
	buf_release(&names);
	return status;
}

static enum mh_status
post_transition(struct jira *j, const char *id, const cJSON *transition, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	const struct rest_call c = { .method = "POST", .body = body, .doing = "close the issue", .statuses = true };
	const char *resolution = cfg_getstr(j->rest.desk->conf, "close_resolution"),
		   *number = rest_id(&j->rest, transition, "id");
	cJSON *t = body == NULL ? NULL : cJSON_AddObjectToObject(body, "transition");
	bool fine = t != NULL && json_add_string(t, "id", number);

	if (fine && resolution[0] != '\0') {
		cJSON *fields = cJSON_AddObjectToObject(body, "fields");
		cJSON *value = fields == NULL ? NULL : cJSON_AddObjectToObject(fields, "resolution");

		fine = value != NULL && json_add_string(value, "name", resolution);
	}
	if (!fine)
		return mh_fail(err, MH_RETRY, "no memory for a transition");
	const enum mh_status status = jira_call(j, &c, "/issue/%s/transitions", id, &a, err);
	if (status != MH_OK || http_class(a.status) == MH_OK)
		return status;
	/* somebody else is moving it: 409 */
	return rest_refused(&j->rest, &c, &a, a.status == 409 ? MH_RETRY : http_class(a.status), err);
}

enum mh_status
jira_close(void *state, const struct ticket_ref *ref, struct mh_err *err)
{
	struct jira *j = state;
	MH_AUTO(rest_answer_release) struct rest_answer list = { 0 };
	MH_AUTO(rest_answer_release) struct rest_answer read = { 0 };
	enum mh_status status = jira_transitions(j, ref->id, &list, err);

	if (status != MH_OK)
		return status;
	const cJSON *transitions = json_array(list.json, "transitions"), *t = jira_transition(j, transitions);
	status = t == NULL ? no_transition(j, transitions, err) : post_transition(j, ref->id, t, err);
	if (status == MH_RETRY)
		return status;
	/* What failed may be done: by a person, or by the first of two such requests. */
	struct mh_err why = *err;
	const enum mh_status seen = jira_get_issue(j, ref->id, &read, status == MH_OK ? err : NULL);
	if (seen == MH_OK && !jira_is_open(read.json))
		return MH_OK;
	if (status != MH_OK) {
		*err = why;
		return status;
	}
	if (seen != MH_OK)
		return seen == MH_SKIP ? mh_fail(err, MH_RETRY, "the issue %.40s has gone", ref->id) : seen;
	return mh_fail(err, MH_BAD, "the issue is still open behind \"%.40s\": its status \"%.40s\" is not done",
	    json_string(t, "name"), cJSON_GetStringValue(rest_at(read.json, "fields.status.name")));
}

/* -- files and reading --------------------------------------------------------------------------------------------- */

static bool
has_file(const cJSON *issue, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json_array(json_object(issue, "fields"), "attachment"))
	{
		const char *there = json_string(item, "filename");

		if (there != NULL && strcmp(there, name) == 0)
			return true;
	}
	return false;
}

enum mh_status
jira_attach(void *state, const struct ticket_ref *ref, const struct ticket_file *f, struct mh_err *err)
{
	struct jira *j = state;
	MH_AUTO(rest_answer_release) struct rest_answer read = { 0 };
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(buf_release) struct buf body;
	char type[MULTIPART_TYPE_BYTES];

	buf_init(&body, f->bytes.n + MULTIPART_MORE_BYTES);
	enum mh_status status = jira_get_issue(j, ref->id, &read, err);
	if (status != MH_OK || has_file(read.json, f->name))
		return status == MH_SKIP ? mh_fail(err, MH_RETRY, "the issue %.40s has gone", ref->id) : status;
	status = multipart_file(j->rest.desk->request->job_key, f, &body, type, err);
	if (status != MH_OK)
		return status;
	const struct rest_call c = {
		.method = "POST", .bytes = buf_span(&body), .type = type, .doing = "attach the mail"
	};
	return jira_call(j, &c, "/issue/%s/attachments", ref->id, &a, err);
}

enum mh_status
jira_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err)
{
	struct jira *j = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const enum mh_status status = jira_get_issue(j, ref->id, &a, err);

	if (status != MH_OK)
		return status;
	const cJSON *fields = json_object(a.json, "fields"),
		    *description = cJSON_GetObjectItemCaseSensitive(fields, "description");
	rest_put_line(ret_text, "issue:    ", json_string(a.json, "key"));
	rest_put_line(ret_text, "title:    ", json_string(fields, "summary"));
	rest_put_line(ret_text, "status:   ", cJSON_GetStringValue(rest_at(fields, "status.name")));
	rest_put_line(ret_text, "priority: ", cJSON_GetStringValue(rest_at(fields, "priority.name")));
	rest_put_line(ret_text, "due:      ", json_string(fields, "duedate"));
	rest_put_line(ret_text, "assignee: ", cJSON_GetStringValue(rest_at(fields, "assignee.displayName")));
	buf_putc(ret_text, '\n');
	if (cJSON_IsString(description))
		buf_puts(ret_text, description->valuestring);
	else
		(void)adf_text(description, ret_text);
	return buf_ok(ret_text) ? MH_OK : mh_fail(err, MH_LIMIT, "the issue is longer than %zu bytes", ret_text->max);
}
