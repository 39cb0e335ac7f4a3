/* redmine_write.c: what is written to Redmine, and read again: a change is answered by nothing at all. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "actions/ticket/redmine_parts.h"

#define SUBJECT_CHARS 255
#define TEXT_BYTES ((size_t)512 << 10)

static enum mh_status
no_memory(struct mh_err *err)
{
	return mh_fail(err, MH_RETRY, "no memory for an issue");
}

/* In <pre> Redmine shows everything as it stands, and neither links, macros nor mentions work there. A text that would
 * end it is broken by U+2060. "plain" is for a Redmine that formats nothing. */
static void
put_text(const struct redmine *rm, struct buf *out, struct mh_span text)
{
	size_t at;

	if (!rm->pre) {
		buf_put(out, text);
		return;
	}
	buf_puts(out, "<pre>\n");
	while ((at = span_find(text, MH_LIT("</"), 0)) != SIZE_MAX) {
		buf_put(out, span_head(text, at + 1));
		buf_puts(out, "\xE2\x81\xA0");
		text = span_from(text, at + 1);
	}
	buf_put(out, text);
	buf_puts(out, "</pre>\n");
}

/* -- fields --------------------------------------------------------------------------------------------------------- */

static bool
put_field(cJSON *list, int64_t id, struct mh_span value)
{
	cJSON *item = cJSON_CreateObject();

	if (item == NULL || !cJSON_AddItemToArray(list, item)) {
		cJSON_Delete(item);
		return false;
	}
	return json_add_integer(item, "id", id) && json_add_span(item, "value", value);
}

static enum mh_status
add_field(struct redmine *rm, cJSON *list, const char *name, struct mh_span value, struct mh_err *err)
{
	int64_t id;
	const enum mh_status status = redmine_field_id(rm, name, &id, err);

	return status == MH_OK && !put_field(list, id, value) ? no_memory(err) : status;
}

/* The key must be there; a field of the user's that is not is told as dropped. */
static enum mh_status
add_fields(struct redmine *rm, cJSON *issue, const struct ticket_new *t, struct mh_err *err)
{
	cJSON *list = cJSON_AddArrayToObject(issue, "custom_fields");
	enum mh_status status = list == NULL ? no_memory(err) : MH_OK;

	if (status == MH_OK && rm->key_field != NULL)
		status = add_field(rm, list, rm->key_field, span_of(t->key), err);
	for (size_t i = 0; i < t->n_fields && status == MH_OK; i++) {
		status = add_field(rm, list, t->fields[i].name, t->fields[i].value, err);
		if (status == MH_BAD) {
			ticket_dropped(rm->desk, "field", span_of(t->fields[i].name));
			status = MH_OK;
		}
	}
	return status;
}

/* A member of the project by the name that people see, or by number: logins are for administrators. MH_SKIP: none. */
static enum mh_status
member_id(struct redmine *rm, const char *name, int64_t *ret, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const cJSON *item;
	const char *path;

	if (name[strspn(name, "0123456789")] == '\0')
		return redmine_id_in(NULL, "member", name, ret, err);
	enum mh_status status =
	    rest_path(&rm->rest, &path, err, "/projects/%s/memberships.json?limit=100", rm->project);
	if (status == MH_OK)
		status = redmine_ask(rm, path, "list the members", &a, err);
	if (status != MH_OK)
		return status;
	cJSON_ArrayForEach(item, json_array(a.json, "memberships"))
	{
		const cJSON *who = json_object(item, "user");
		const char *own = json_string(who == NULL ? json_object(item, "group") : who, "name");

		if (own != NULL && span_ieq(span_of(own), span_of(name)) &&
		    json_integer(who == NULL ? json_object(item, "group") : who, "id", 1, INT64_MAX, ret))
			return MH_OK;
	}
	return mh_fail(err, MH_SKIP, "no member of that name");
}

static enum mh_status
add_assignee(struct redmine *rm, cJSON *issue, const struct ticket_new *t, struct mh_err *err)
{
	int64_t id = 0;

	if (t->assignee == NULL)
		return MH_OK;
	const enum mh_status status = member_id(rm, t->assignee, &id, err);
	if (status == MH_OK)
		return json_add_integer(issue, "assigned_to_id", id) ? MH_OK : no_memory(err);
	if (status != MH_SKIP)
		return status;
	ticket_dropped(rm->desk, "assignee", span_of(t->assignee));
	return MH_OK;
}

static enum mh_status
add_tracker(struct redmine *rm, cJSON *issue, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const char *path;
	int64_t id;

	if (rm->tracker == NULL)
		return MH_OK;
	enum mh_status status = rest_path(&rm->rest, &path, err, "/projects/%s.json?include=trackers", rm->project);
	if (status == MH_OK)
		status = redmine_project(rm, path, &a, err);
	if (status == MH_OK)
		status =
		    redmine_id_in(json_array(rest_at(a.json, "project"), "trackers"), "tracker", rm->tracker, &id, err);
	return status == MH_OK && !json_add_integer(issue, "tracker_id", id) ? no_memory(err) : status;
}

/* Redmine refuses a due date before the start, which is today where it is not said. */
static bool
add_dates(const struct redmine *rm, cJSON *issue, struct mh_span due)
{
	char now[MH_TIME_TEXT];
	const struct mh_span today = span_head(span_of(time_text(now, rm->desk->request->now)), 10);

	if (due.n != 10)
		return true;
	return json_add_span(issue, "due_date", due) &&
	       json_add_span(issue, "start_date", memcmp(due.p, today.p, 10) < 0 ? due : today);
}

static enum mh_status
subject_of(const struct redmine *rm, const struct ticket_new *t, struct mh_span *ret, struct mh_err *err)
{
	const size_t tail = rm->key_field == NULL ? strlen(t->key) + sizeof(" []") - 1 : 0;
	const int n = (int)utf8_cut(t->title, SUBJECT_CHARS - tail);

	return rm->key_field == NULL ? arena_printf(rm->desk->arena, ret, err, "%.*s [%s]", n, t->title.p, t->key)
				     : arena_printf(rm->desk->arena, ret, err, "%.*s", n, t->title.p);
}

static enum mh_status
fill_issue(struct redmine *rm, cJSON *issue, const struct ticket_new *t, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf text;
	struct mh_span subject;
	int64_t priority = 0;
	enum mh_status status = subject_of(rm, t, &subject, err);

	buf_init(&text, TEXT_BYTES);
	put_text(rm, &text, t->body);
	if (status == MH_OK)
		status = redmine_priorities(rm, err);
	if (status == MH_OK)
		status = redmine_id_in(rm->priorities, "priority", t->priority_name, &priority, err);
	if (status == MH_OK &&
	    (!buf_ok(&text) || !json_add_string(issue, "project_id", rm->project) ||
		!json_add_span(issue, "subject", subject) || !json_add_span(issue, "description", buf_span(&text)) ||
		!json_add_integer(issue, "priority_id", priority) || !add_dates(rm, issue, t->due)))
		status = no_memory(err);
	if (status == MH_OK)
		status = add_tracker(rm, issue, err);
	if (status == MH_OK)
		status = add_assignee(rm, issue, t, err);
	return status == MH_OK ? add_fields(rm, issue, t, err) : status;
}

/* -- slots ---------------------------------------------------------------------------------------------------------- */

static void
compare(struct redmine *rm, const cJSON *issue, const struct ticket_new *t)
{
	const char *due = json_string(issue, "due_date"), *priority = json_string(rest_at(issue, "priority"), "name");
	int64_t id;

	if (rm->key_field != NULL && redmine_field_id(rm, rm->key_field, &id, NULL) == MH_OK &&
	    !span_eq(redmine_field_value(issue, id), span_of(t->key)))
		ticket_dropped(rm->desk, "field", span_of(rm->key_field));
	for (size_t i = 0; i < t->n_fields; i++)
		if (redmine_field_id(rm, t->fields[i].name, &id, NULL) == MH_OK &&
		    redmine_field_value(issue, id).n == 0)
			ticket_dropped(rm->desk, "field", span_of(t->fields[i].name));
	if (t->due.n > 0 && !span_eq(span_of(due), t->due))
		ticket_dropped(rm->desk, "the due date", MH_NONE);
	if (priority == NULL || !span_ieq(span_of(priority), span_of(t->priority_name)))
		ticket_dropped(rm->desk, "priority", span_of(t->priority_name));
}

enum mh_status
redmine_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err)
{
	struct redmine *rm = state;
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(rest_answer_release) struct rest_answer made = { 0 };
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	cJSON *issue = body == NULL ? NULL : cJSON_AddObjectToObject(body, "issue");
	enum mh_status status = issue == NULL ? no_memory(err) : fill_issue(rm, issue, t, err);
	const struct rest_call c = { .method = "POST", .path = "/issues.json", .body = body, .doing = "open an issue" };

	if (status == MH_OK)
		status = rest_call(&rm->rest, &c, &made, err);
	if (status != MH_OK)
		return status;
	const char *id = rest_id(&rm->rest, rest_at(made.json, "issue"), "id");
	if (id == NULL)
		return mh_fail(err, MH_RETRY, "Redmine answered a new issue without its number");
	status = redmine_issue(rm, id, &a, err);
	if (status == MH_OK)
		status = redmine_read_ref(rm, json_object(a.json, "issue"), ret, err);
	if (status == MH_OK)
		compare(rm, json_object(a.json, "issue"), t);
	return status == MH_SKIP ? mh_fail(err, MH_BAD, "issue %.20s was opened, but Redmine does not show it", id)
				 : status;
}

/* Changes one thing of an issue; body's "issue" is filled by the caller. */
static enum mh_status
put_issue(struct redmine *rm, const struct ticket_ref *ref, const cJSON *body, const char *doing, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const char *path;
	const enum mh_status status = rest_path(&rm->rest, &path, err, "/issues/%s.json", ref->id);
	const struct rest_call c = { .method = "PUT", .path = path, .body = body, .doing = doing, .accept_any = true };

	return status == MH_OK ? rest_call(&rm->rest, &c, &a, err) : status;
}

enum mh_status
redmine_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err)
{
	struct redmine *rm = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const cJSON *item;
	const enum mh_status status = redmine_issue(rm, ref->id, &a, err);

	if (status != MH_OK)
		return status == MH_SKIP ? mh_fail(err, MH_RETRY, "the issue has gone") : status;
	cJSON_ArrayForEach(item, json_array(json_object(a.json, "issue"), "journals"))
	{
		if (span_find(span_of(json_string(item, "notes")), span_of(mark), 0) != SIZE_MAX)
			return MH_OK;
	}
	return mh_fail(err, MH_SKIP, "no such comment");
}

enum mh_status
redmine_comment(void *state, const struct ticket_ref *ref, const struct ticket_comment *c, struct mh_err *err)
{
	struct redmine *rm = state;
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(buf_release) struct buf text;
	cJSON *issue = body == NULL ? NULL : cJSON_AddObjectToObject(body, "issue");

	buf_init(&text, TEXT_BYTES);
	put_text(rm, &text, c->text);
	if (issue == NULL || !buf_ok(&text) || !json_add_span(issue, "notes", buf_span(&text)))
		return no_memory(err);
	return put_issue(rm, ref, body, "comment", err);
}

static bool
has_file(const cJSON *issue, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, json_array(issue, "attachments"))
	{
		const char *own = json_string(item, "filename");

		if (own != NULL && strcmp(own, name) == 0)
			return true;
	}
	return false;
}

static bool
add_upload(cJSON *issue, const char *token, const struct ticket_file *f)
{
	cJSON *list = issue == NULL ? NULL : cJSON_AddArrayToObject(issue, "uploads");
	cJSON *item = list == NULL ? NULL : cJSON_CreateObject();

	if (item == NULL || !cJSON_AddItemToArray(list, item)) {
		cJSON_Delete(item);
		return false;
	}
	return json_add_string(item, "token", token) && json_add_string(item, "filename", f->name) &&
	       json_add_string(item, "content_type", f->type);
}

enum mh_status
redmine_attach(void *state, const struct ticket_ref *ref, const struct ticket_file *f, struct mh_err *err)
{
	struct redmine *rm = state;
	MH_AUTO(rest_answer_release) struct rest_answer now = { 0 };
	MH_AUTO(rest_answer_release) struct rest_answer up = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	const char *path;
	enum mh_status status = redmine_issue(rm, ref->id, &now, err);

	if (status != MH_OK || has_file(json_object(now.json, "issue"), f->name))
		return status == MH_SKIP ? MH_OK : status;
	status = rest_path(&rm->rest, &path, err, "/uploads.json?filename=%s", f->name);
	if (status != MH_OK)
		return status;
	const struct rest_call c = { .method = "POST",
		.path = path,
		.bytes = f->bytes,
		.type = "application/octet-stream",
		.doing = "upload the mail" };
	status = rest_call(&rm->rest, &c, &up, err);
	if (status != MH_OK)
		return status;
	const char *token = json_string(rest_at(up.json, "upload"), "token");
	if (token == NULL)
		return mh_fail(err, MH_RETRY, "Redmine answered an upload without a token");
	if (!add_upload(body == NULL ? NULL : cJSON_AddObjectToObject(body, "issue"), token, f))
		return no_memory(err);
	return put_issue(rm, ref, body, "attach the mail", err);
}

enum mh_status
redmine_change(void *state, const struct ticket_ref *ref, const struct ticket_change *c, struct mh_err *err)
{
	struct redmine *rm = state;
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	cJSON *issue = body == NULL ? NULL : cJSON_AddObjectToObject(body, "issue");
	struct ticket_ref now = { 0 };
	int64_t priority;
	enum mh_status status = redmine_priorities(rm, err);

	if (status == MH_OK)
		status = redmine_id_in(rm->priorities, "priority", c->priority_name, &priority, err);
	if (status == MH_OK && (issue == NULL || !json_add_integer(issue, "priority_id", priority)))
		status = no_memory(err);
	if (status == MH_OK)
		status = put_issue(rm, ref, body, "raise the priority", err);
	if (status == MH_OK)
		status = redmine_issue(rm, ref->id, &a, err);
	if (status == MH_OK)
		status = redmine_read_ref(rm, json_object(a.json, "issue"), &now, err);
	if (status == MH_OK && now.priority < c->raise_to)
		ticket_dropped(rm->desk, "priority", span_of(c->priority_name));
	return status == MH_SKIP ? mh_fail(err, MH_RETRY, "the issue has gone") : status;
}

enum mh_status
redmine_close(void *state, const struct ticket_ref *ref, struct mh_err *err)
{
	struct redmine *rm = state;
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(rest_answer_release) struct rest_answer statuses = { 0 };
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(buf_release) struct buf names;
	cJSON *issue = body == NULL ? NULL : cJSON_AddObjectToObject(body, "issue");
	struct ticket_ref now = { 0 };
	int64_t id;

	buf_init(&names, 400);
	enum mh_status status = redmine_ask(rm, "/issue_statuses.json", "list the statuses", &statuses, err);

	if (status == MH_OK)
		status =
		    redmine_id_in(json_array(statuses.json, "issue_statuses"), "status", rm->close_status, &id, err);
	if (status == MH_OK && (issue == NULL || !json_add_integer(issue, "status_id", id)))
		status = no_memory(err);
	if (status == MH_OK)
		status = put_issue(rm, ref, body, "close the issue", err);
	if (status == MH_OK)
		status = redmine_issue(rm, ref->id, &a, err);
	if (status == MH_OK)
		status = redmine_read_ref(rm, json_object(a.json, "issue"), &now, err);
	if (status == MH_SKIP || (status == MH_OK && !now.open))
		return MH_OK;
	if (status != MH_OK)
		return status;
	rest_names(json_array(json_object(a.json, "issue"), "allowed_statuses"), "name", &names);
	return mh_fail(err, MH_BAD,
	    "the issue stays open: Redmine does not let this user give it the status \"%.30s\"; allowed: %s",
	    rm->close_status, names.n == 0 ? "none" : names.p);
}
