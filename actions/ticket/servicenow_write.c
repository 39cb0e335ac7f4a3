/* servicenow_write.c: opening, changing, commenting on and closing a record, each read back. */
#include <stdio.h>
#include <string.h>

#include "actions/ticket/servicenow_parts.h"

#define TITLE_BYTES 160 /* short_description's default length */
#define TEXT_BYTES ((size_t)60000)
#define JOINER "\xE2\x81\xA0" /* U+2060 */

/* "[code]" makes HTML of what follows, in journals and in text. */
static enum mh_status
put_text(struct mh_span text, struct buf *out, struct mh_err *err)
{
	text = span_head(text, utf8_cut(text, TEXT_BYTES));
	for (size_t i = 0; i < text.n; i++) {
		const struct mh_span rest = span_from(text, i);

		buf_putc(out, text.p[i]);
		if (span_istarts(rest, MH_LIT("[code]")) || span_istarts(rest, MH_LIT("[/code]")))
			buf_puts(out, JOINER);
	}
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_LIMIT, "the text is longer than %zu bytes", out->max);
}

static enum mh_status
add_text(cJSON *body, const char *column, struct mh_span text, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf clean;

	buf_init(&clean, 3 * TEXT_BYTES);
	const enum mh_status status = put_text(text, &clean, err);
	if (status != MH_OK)
		return status;
	return json_add_span(body, column, clean.n == 0 ? MH_LIT("") : buf_span(&clean))
		   ? MH_OK
		   : mh_fail(err, MH_RETRY, "no memory for a record");
}

static bool
add_level(cJSON *body, struct servicenow_level level)
{
	char digit[2] = { (char)('0' + level.impact), '\0' };

	if (!json_add_string(body, "impact", digit))
		return false;
	digit[0] = (char)('0' + level.urgency);
	return json_add_string(body, "urgency", digit);
}

/* The end of the day, as the instance keeps times: UTC. */
static bool
add_due(cJSON *body, struct mh_span due)
{
	char text[32];

	if (due.n != 10)
		return true;
	(void)snprintf(text, sizeof(text), "%.10s 23:59:59", due.p);
	return json_add_string(body, "due_date", text);
}

/* What was written and is not there, or is something else; journals and texts are not compared. */
static void
compare(struct servicenow *s, const cJSON *written, const cJSON *row)
{
	static const char *const unread[] = { "description", "work_notes", "comments", "close_notes", NULL };
	const char *notes = cfg_getstr(s->rest.desk->conf, "comment_column");
	const cJSON *item;

	cJSON_ArrayForEach(item, written)
	{
		bool skip = strcmp(item->string, notes) == 0;

		for (size_t i = 0; unread[i] != NULL; i++)
			skip = skip || strcmp(item->string, unread[i]) == 0;
		if (!skip && strcmp(servicenow_value(row, item->string), item->valuestring) != 0)
			ticket_dropped(s->rest.desk, "column", span_of(item->string));
	}
}

static enum mh_status
names_of(const cJSON *body, struct buf *out, struct mh_err *err)
{
	const cJSON *item;

	buf_puts(out, "sys_id,number,state,active,impact,urgency,priority,correlation_id,correlation_display");
	cJSON_ArrayForEach(item, body) buf_printf(out, ",%s", item->string);
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_LIMIT, "too many fields");
}

/* The record as it is now, with the columns that were written. */
static enum mh_status
read_back(struct servicenow *s, const char *id, const cJSON *body, struct rest_answer *a, const cJSON **ret_row,
    struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf names;

	buf_init(&names, 8192);
	enum mh_status status = names_of(body, &names, err);
	if (status == MH_OK)
		status = servicenow_record(s, id, names.p, a, ret_row, err);
	if (status == MH_SKIP)
		return mh_fail(err, MH_RETRY, "the record has gone");
	if (status == MH_OK)
		compare(s, body, *ret_row);
	return status;
}

/* -- opening ------------------------------------------------------------------------------------------------------- */

/* A group or person that is not there must not keep the ticket from being opened. */
static enum mh_status
add_reference(struct servicenow *s, cJSON *body, const char *column, const char *table, const char *by,
    const char *value, struct mh_err *err)
{
	const char *id = NULL;
	enum mh_status status;

	if (value == NULL || value[0] == '\0')
		return MH_OK;
	status = servicenow_lookup(s, table, by, value, &id, err);
	if (status == MH_SKIP || status == MH_BAD) {
		ticket_dropped(s->rest.desk, column, span_of(value));
		return MH_OK;
	}
	if (status == MH_OK && !json_add_string(body, column, id))
		return mh_fail(err, MH_RETRY, "no memory for a record");
	return status;
}

static enum mh_status
new_record(struct servicenow *s, const struct ticket_new *t, cJSON *body, struct mh_err *err)
{
	const struct ticket_desk *d = s->rest.desk;
	const char *category = cfg_getstr(d->conf, "category");
	struct servicenow_level level = { 3, 3 };
	enum mh_status status = add_text(body, "description", t->body, err);

	(void)servicenow_level(t->priority_name, &level);
	if (status != MH_OK)
		return status;
	if (!json_add_span(body, "short_description", span_head(t->title, utf8_cut(t->title, TITLE_BYTES))) ||
	    !json_add_string(body, "correlation_id", t->key) ||
	    !json_add_string(body, "correlation_display", d->request->job_key) || !add_level(body, level) ||
	    !add_due(body, t->due) || (category[0] != '\0' && !json_add_string(body, "category", category)))
		return mh_fail(err, MH_RETRY, "no memory for a record");
	for (size_t i = 0; i < t->n_fields; i++)
		if (cJSON_HasObjectItem(body, t->fields[i].name))
			ticket_dropped(s->rest.desk, "field", span_of(t->fields[i].name));
		else if (!json_add_span(body, t->fields[i].name, t->fields[i].value))
			return mh_fail(err, MH_RETRY, "no memory for a record");
	status = add_reference(s, body, "assignment_group", "sys_user_group", "name", d->queue, err);
	if (status == MH_OK)
		status = add_reference(s, body, "assigned_to", "sys_user", "user_name", t->assignee, err);
	if (status == MH_OK)
		status =
		    add_reference(s, body, "caller_id", "sys_user", "user_name", cfg_getstr(d->conf, "caller"), err);
	return status;
}

enum mh_status
servicenow_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err)
{
	struct servicenow *s = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(rest_answer_release) struct rest_answer read = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	struct rest_call c = { .method = "POST", .body = body, .doing = "open a record" };
	const cJSON *row = NULL;
	enum mh_status status =
	    body == NULL ? mh_fail(err, MH_RETRY, "no memory for a record") : new_record(s, t, body, err);

	if (status == MH_OK)
		status = rest_path(&s->rest, &c.path, err, "/api/now/table/%s", s->table);
	if (status == MH_OK)
		status = rest_call(&s->rest, &c, &a, err);
	if (status != MH_OK)
		return status;
	const char *id = rest_id(&s->rest, json_object(a.json, "result"), "sys_id");
	if (id == NULL)
		return mh_fail(err, MH_RETRY, "cannot open a record: the answer names none");
	status = read_back(s, id, body, &read, &row, err);
	return status == MH_OK ? servicenow_ref_of(s, row, ret, err) : status;
}

/* -- changing ------------------------------------------------------------------------------------------------------ */

static enum mh_status
patch(struct servicenow *s, const char *id, const cJSON *body, const char *doing, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct rest_call c = { .method = "PATCH", .body = body, .doing = doing };
	const enum mh_status status =
	    rest_path(&s->rest, &c.path, err, "/api/now/table/%s/%s?sysparm_fields=sys_id", s->table, id);

	return status == MH_OK ? rest_call(&s->rest, &c, &a, err) : status;
}

enum mh_status
servicenow_change(void *state, const struct ticket_ref *ref, const struct ticket_change *ch, struct mh_err *err)
{
	struct servicenow *s = state;
	MH_AUTO(rest_answer_release) struct rest_answer before = { 0 };
	MH_AUTO(rest_answer_release) struct rest_answer after = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	struct servicenow_level level = { 3, 3 };
	const cJSON *row = NULL;
	enum mh_status status = servicenow_record(s, ref->id, NULL, &before, &row, err);

	(void)servicenow_level(ch->priority_name, &level);
	if (status != MH_OK)
		return status == MH_SKIP ? mh_fail(err, MH_RETRY, "the record has gone") : status;
	/* neither half is lowered: 1 is the highest */
	const int impact = servicenow_value(row, "impact")[0] - '0',
		  urgency = servicenow_value(row, "urgency")[0] - '0';
	level.impact = impact >= 1 && impact < level.impact ? impact : level.impact;
	level.urgency = urgency >= 1 && urgency < level.urgency ? urgency : level.urgency;
	if (body == NULL || !add_level(body, level) || !add_due(body, ch->due))
		return mh_fail(err, MH_RETRY, "no memory for a change");
	status = patch(s, ref->id, body, "change the record", err);
	return status == MH_OK ? read_back(s, ref->id, body, &after, &row, err) : status;
}

/* A journal column shows all its entries only as a displayed value. One that may not be read is left out, which is not
 * the same as empty. */
enum mh_status
servicenow_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err)
{
	struct servicenow *s = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const char *column = cfg_getstr(s->rest.desk->conf, "comment_column");
	struct rest_call c = { .method = "GET", .doing = "read the notes" };
	enum mh_status status = rest_path(&s->rest, &c.path, err,
	    "/api/now/table/%s/%s?sysparm_fields=%s&sysparm_display_value=true", s->table, ref->id, column);

	if (status == MH_OK)
		status = rest_call(&s->rest, &c, &a, err);
	if (status != MH_OK)
		return status;
	const char *notes = json_string(json_object(a.json, "result"), column);
	if (notes == NULL)
		return mh_fail(
		    err, MH_BAD, "%s cannot be read, so that it is not known whether the comment is there", column);
	return strstr(notes, mark) != NULL ? MH_OK : mh_fail(err, MH_SKIP, "no note has this mark");
}

enum mh_status
servicenow_comment(void *state, const struct ticket_ref *ref, const struct ticket_comment *k, struct mh_err *err)
{
	struct servicenow *s = state;
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();

	if (body == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a comment");
	const enum mh_status status = add_text(body, cfg_getstr(s->rest.desk->conf, "comment_column"), k->text, err);
	return status == MH_OK ? patch(s, ref->id, body, "comment on the record", err) : status;
}

enum mh_status
servicenow_close(void *state, const struct ticket_ref *ref, struct mh_err *err)
{
	struct servicenow *s = state;
	cfg_t *conf = s->rest.desk->conf;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	const char *code = cfg_getstr(conf, "close_code");
	const cJSON *row = NULL;

	if (body == NULL || !json_add_string(body, "state", cfg_getstr(conf, "close_state")) ||
	    (code[0] != '\0' && !json_add_string(body, "close_code", code)) ||
	    !json_add_string(body, "close_notes", "Closed by mailhook: see the notes."))
		return mh_fail(err, MH_RETRY, "no memory for a change");
	enum mh_status status = patch(s, ref->id, body, "close the record", err);
	if (status == MH_OK)
		status = read_back(s, ref->id, body, &a, &row, err);
	if (status != MH_OK)
		return status;
	if (servicenow_is_open(s, row))
		return mh_fail(err, MH_BAD,
		    "the record is still open: its state is \"%.40s\", and close_state \"%.40s\"",
		    servicenow_value(row, "state"), cfg_getstr(conf, "close_state"));
	return MH_OK;
}

/* -- files and reading --------------------------------------------------------------------------------------------- */

static enum mh_status
has_file(struct servicenow *s, const char *id, const char *name, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct rest_call c = { .method = "GET", .doing = "read the attachments" };
	struct mh_span query;
	const cJSON *item;
	enum mh_status status = arena_printf(
	    s->rest.desk->arena, &query, err, "table_name=%s^table_sys_id=%s^file_name=%s", s->table, id, name);

	if (status == MH_OK)
		status = rest_path(&s->rest, &c.path, err, "/api/now/attachment?sysparm_query=%s", query.p);
	if (status == MH_OK)
		status = rest_call(&s->rest, &c, &a, err);
	if (status != MH_OK)
		return status;
	cJSON_ArrayForEach(item, json_array(a.json, "result"))
	{
		if (strcmp(servicenow_value(item, "table_sys_id"), id) == 0 &&
		    strcmp(servicenow_value(item, "file_name"), name) == 0)
			return MH_OK;
	}
	return MH_SKIP;
}

enum mh_status
servicenow_attach(void *state, const struct ticket_ref *ref, const struct ticket_file *f, struct mh_err *err)
{
	struct servicenow *s = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct rest_call c = { .method = "POST", .bytes = f->bytes, .type = f->type, .doing = "attach the mail" };
	enum mh_status status = has_file(s, ref->id, f->name, err);

	if (status != MH_SKIP)
		return status;
	status = rest_path(&s->rest, &c.path, err,
	    "/api/now/attachment/file?table_name=%s&table_sys_id=%s&file_name=%s", s->table, ref->id, f->name);
	return status == MH_OK ? rest_call(&s->rest, &c, &a, err) : status;
}

enum mh_status
servicenow_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err)
{
	static const char *const columns[] = { "number", "short_description", "state", "impact", "urgency", "due_date",
		"description" };
	struct servicenow *s = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const cJSON *row = NULL;
	const enum mh_status status = servicenow_record(
	    s, ref->id, "number,short_description,state,impact,urgency,due_date,description", &a, &row, err);

	if (status != MH_OK)
		return status;
	for (size_t i = 0; i + 1 < sizeof(columns) / sizeof(columns[0]); i++) {
		const struct template_var clean = { "", span_of(servicenow_value(row, columns[i])), LINES_ONE };

		buf_printf(ret_text, "%s: ", columns[i]);
		template_plain(ret_text, &clean);
		buf_putc(ret_text, '\n');
	}
	buf_putc(ret_text, '\n');
	buf_puts(ret_text, servicenow_value(row, "description"));
	return buf_ok(ret_text) ? MH_OK : mh_fail(err, MH_LIMIT, "the record is longer than %zu bytes", ret_text->max);
}
