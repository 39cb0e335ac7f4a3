/* rt_write.c: what is written to RT, and read again: see rt.c. */
#include <stdio.h>
#include <string.h>

#include "actions/common/base64.h"
#include "actions/ticket/rt_parts.h"

#define SUBJECT_BYTES 200 /* RT's column */

/* -- writing -------------------------------------------------------------------------------------------------------- */

/* RT answers a change by a list of words, whether it was made or not. */
static void
put_messages(const struct rest_answer *a, struct buf *out)
{
	const cJSON *item;

	if (!cJSON_IsArray(a->json))
		return;
	cJSON_ArrayForEach(item, a->json)
	{
		const struct template_var clean = { "", span_of(cJSON_GetStringValue(item)), LINES_ONE };

		buf_puts(out, out->n > 0 ? "; " : "");
		template_plain(out, &clean);
	}
}

static bool
add_fields(const struct rt *rt, cJSON *body, const struct ticket_new *t)
{
	cJSON *fields = cJSON_AddObjectToObject(body, "CustomFields");
	bool ok = fields != NULL;

	if (ok && rt->key_field != NULL)
		ok = json_add_string(fields, rt->key_field, t->key);
	for (size_t i = 0; i < t->n_fields && ok; i++)
		ok = json_add_span(fields, t->fields[i].name, t->fields[i].value);
	return ok;
}

static enum mh_status
subject_of(const struct rt *rt, const struct ticket_new *t, struct mh_span *ret, struct mh_err *err)
{
	*ret = t->title;
	if (rt->key_field != NULL)
		return MH_OK;
	return arena_printf(rt->desk->arena, ret, err, "%.*s [%s]",
	    (int)utf8_cut(t->title, SUBJECT_BYTES - strlen(t->key) - sizeof(" []")), t->title.p, t->key);
}

/* What RT did not take it does not say. */
static void
compare(struct rt *rt, const cJSON *ticket, const struct ticket_new *t)
{
	const struct mh_span due = span_of(json_string(ticket, "Due"));
	const char *owner = json_string(rest_at(ticket, "Owner"), "id");
	int n = 0;

	if (rt->key_field != NULL && !rt_holds_value(ticket, rt->key_field, span_of(t->key)))
		ticket_dropped(rt->desk, "field", span_of(rt->key_field));
	for (size_t i = 0; i < t->n_fields; i++)
		if (rt_field_values(ticket, t->fields[i].name) == NULL ||
		    cJSON_GetArraySize(rt_field_values(ticket, t->fields[i].name)) == 0)
			ticket_dropped(rt->desk, "field", span_of(t->fields[i].name));
	if (t->due.n > 0 && !span_eq(span_head(due, t->due.n), t->due))
		ticket_dropped(rt->desk, "the due date", MH_NONE);
	if (t->assignee != NULL && (owner == NULL || !span_ieq(span_of(owner), span_of(t->assignee))))
		ticket_dropped(rt->desk, "owner", span_of(t->assignee));
	const char *priority = rest_id(&rt->rest, ticket, "Priority");
	if (priority != NULL && rt_priority_number(priority, &n) && n != rt->priorities[t->priority])
		ticket_dropped(rt->desk, "priority", span_of(t->priority_name));
}

static bool
add_due(cJSON *body, struct mh_span due)
{
	char text[48];

	if (due.n != 10)
		return true;
	(void)snprintf(text, sizeof(text), "%.10sT00:00:00Z", due.p);
	return json_add_string(body, "Due", text);
}

enum mh_status
rt_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err)
{
	struct rt *rt = state;
	MH_AUTO(drop_json) cJSON *queue = NULL;
	MH_AUTO(drop_json) cJSON *ticket = NULL;
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct mh_span subject;
	enum mh_status status = rt_read_queue(rt, rt->queue, &queue, err);

	if (status == MH_OK)
		status = subject_of(rt, t, &subject, err);
	if (status != MH_OK)
		return status;
	if (body == NULL || !json_add_string(body, "Queue", rt->queue) || !json_add_span(body, "Subject", subject) ||
	    !json_add_span(body, "Content", t->body) || !json_add_string(body, "ContentType", "text/plain") ||
	    !json_add_integer(body, "Priority", rt->priorities[t->priority]) || !add_due(body, t->due) ||
	    (t->assignee != NULL && !json_add_string(body, "Owner", t->assignee)) || !add_fields(rt, body, t))
		return mh_fail(err, MH_RETRY, "no memory for a ticket");
	status = rt_send(rt, "POST", RT_API "/ticket", body, "open a ticket", &a, err);
	if (status != MH_OK)
		return status;
	const char *id = rest_id(&rt->rest, a.json, "id");
	if (id == NULL)
		return mh_fail(err, MH_RETRY, "RT answered a new ticket without its number");
	status = rt_get_ticket(rt, id, NULL, ret, &ticket, err);
	if (status == MH_OK)
		compare(rt, ticket, t);
	return status == MH_SKIP ? mh_fail(err, MH_BAD, "ticket %.20s was opened, but RT does not show it", id)
				 : status;
}

static enum mh_status
ticket_path(struct rt *rt, const struct ticket_ref *ref, const char *tail, const char **ret, struct mh_err *err)
{
	struct mh_span path;
	const enum mh_status status = arena_printf(rt->desk->arena, &path, err, RT_API "/ticket/%s%s", ref->id, tail);

	if (status == MH_OK)
		*ret = path.p;
	return status;
}

/* Attachments show subjects and file names in one list; the newest come first. */
static enum mh_status
has_attachment(
    struct rt *rt, const struct ticket_ref *ref, const char *key, const char *value, bool *ret, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const cJSON *item;
	const char *path;
	enum mh_status status =
	    ticket_path(rt, ref, "/attachments?fields=Subject,Filename&orderby=id&order=DESC&per_page=100", &path, err);

	if (status == MH_OK)
		status = rt_send(rt, "GET", path, NULL, "read the history", &a, err);
	if (status != MH_OK)
		return status;
	if (json_array(a.json, "items") == NULL)
		return mh_fail(err, MH_RETRY, "RT answered a history with something else");
	*ret = false;
	cJSON_ArrayForEach(item, json_array(a.json, "items"))
	{
		const char *text = json_string(item, key);

		*ret = *ret || (text != NULL && span_eq(span_trim(span_of(text)), span_of(value)));
	}
	return MH_OK;
}

static void
mark_subject(char dst[64], const char *mark)
{
	(void)snprintf(dst, 64, "mailhook %s", mark);
}

enum mh_status
rt_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err)
{
	char subject[64];
	bool there = false;
	const enum mh_status status =
	    (mark_subject(subject, mark), has_attachment(state, ref, "Subject", subject, &there, err));

	return status == MH_OK && !there ? MH_SKIP : status;
}

/* Correspondence goes to the requestor, and would open a closed ticket again. */
enum mh_status
rt_comment(void *state, const struct ticket_ref *ref, const struct ticket_comment *c, struct mh_err *err)
{
	struct rt *rt = state;
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	char subject[64];
	const char *path;
	enum mh_status status =
	    ticket_path(rt, ref, rt->correspond && ref->open ? "/correspond" : "/comment", &path, err);

	mark_subject(subject, c->mark);
	if (status != MH_OK)
		return status;
	if (body == NULL || !json_add_span(body, "Content", c->text) ||
	    !json_add_string(body, "ContentType", "text/plain") || !json_add_string(body, "Subject", subject))
		return mh_fail(err, MH_RETRY, "no memory for a comment");
	return rt_send(rt, "POST", path, body, "comment", &a, err);
}

enum mh_status
rt_attach(void *state, const struct ticket_ref *ref, const struct ticket_file *f, struct mh_err *err)
{
	struct rt *rt = state;
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(buf_release) struct buf bytes;
	bool there = false;
	const char *path;
	enum mh_status status;

	buf_init(&bytes, f->bytes.n * 2 + 16);
	status = has_attachment(rt, ref, "Filename", f->name, &there, err);
	if (status == MH_OK && !there)
		status = ticket_path(rt, ref, "/comment", &path, err);
	if (status != MH_OK || there)
		return status;
	base64_put(&bytes, f->bytes);
	cJSON *list = body == NULL ? NULL : cJSON_AddArrayToObject(body, "Attachments");
	cJSON *file = cJSON_CreateObject();
	if (list == NULL || file == NULL || !cJSON_AddItemToArray(list, file)) {
		cJSON_Delete(file);
		return mh_fail(err, MH_RETRY, "no memory for an attachment");
	}
	if (!buf_ok(&bytes) || !json_add_string(file, "FileName", f->name) ||
	    !json_add_string(file, "FileType", f->type) || !json_add_span(file, "FileContent", buf_span(&bytes)) ||
	    !json_add_string(body, "Content", "The notice as it came in.") ||
	    !json_add_string(body, "ContentType", "text/plain"))
		return mh_fail(err, MH_RETRY, "no memory for an attachment");
	return rt_send(rt, "POST", path, body, "attach the mail", &a, err);
}

enum mh_status
rt_change(void *state, const struct ticket_ref *ref, const struct ticket_change *c, struct mh_err *err)
{
	struct rt *rt = state;
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(drop_json) cJSON *ticket = NULL;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct ticket_ref now;
	const char *path;
	enum mh_status status = ticket_path(rt, ref, "", &path, err);

	if (status == MH_OK && (body == NULL || !json_add_integer(body, "Priority", rt->priorities[c->raise_to])))
		status = mh_fail(err, MH_RETRY, "no memory for a change");
	if (status == MH_OK)
		status = rt_send(rt, "PUT", path, body, "raise the priority", &a, err);
	if (status == MH_OK)
		status = rt_get_ticket(rt, ref->id, NULL, &now, &ticket, err);
	if (status == MH_OK && now.priority < c->raise_to)
		ticket_dropped(rt->desk, "priority", span_of(c->priority_name));
	return status == MH_SKIP ? mh_fail(err, MH_RETRY, "the ticket has gone") : status;
}

enum mh_status
rt_close(void *state, const struct ticket_ref *ref, struct mh_err *err)
{
	struct rt *rt = state;
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(buf_release) struct buf words;
	struct ticket_ref now;
	const char *path;
	enum mh_status status = ticket_path(rt, ref, "", &path, err);

	buf_init(&words, 500);
	if (status == MH_OK && (body == NULL || !json_add_string(body, "Status", rt->close_status)))
		status = mh_fail(err, MH_RETRY, "no memory for a change");
	if (status == MH_OK)
		status = rt_send(rt, "PUT", path, body, "close the ticket", &a, err);
	if (status == MH_OK)
		status = rt_get_ticket(rt, ref->id, NULL, &now, NULL, err);
	if (status == MH_SKIP || (status == MH_OK && !now.open))
		return MH_OK; /* a status may hide the ticket */
	if (status != MH_OK)
		return status;
	put_messages(&a, &words);
	return mh_fail(
	    err, MH_BAD, "the ticket stays open: %.100s", words.n > 0 ? words.p : "its new status is an open one");
}
