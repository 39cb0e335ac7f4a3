/* jira_fields.c: values in the shapes that a Jira wants them in: a field's schema decides, and Cloud differs from Data
 * Center. Source: Jira Cloud REST v3 "Create issue", Data Center REST v2. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "actions/ticket/adf.h"
#include "actions/ticket/jira_parts.h"

#define TEXT_BYTES ((size_t)30000) /* Jira takes 32,767 characters, of the document where it is one */

cJSON *
jira_text(const struct jira *j, struct mh_span text)
{
	struct buf copy;
	cJSON *made = NULL;

	text = span_head(text, utf8_cut(text, TEXT_BYTES));
	if (j->cloud)
		return adf_of_text(text);
	buf_init(&copy, text.n + 1);
	buf_put(&copy, text);
	if (buf_ok(&copy))
		made = cJSON_CreateString(copy.n == 0 ? "" : copy.p);
	buf_release(&copy);
	return made;
}

/* -- lists of this Jira -------------------------------------------------------------------------------------------- */

static enum mh_status
load(struct jira *j, const char *what, const char *doing, cJSON **list, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const struct rest_call c = { .method = "GET", .doing = doing };

	if (*list != NULL)
		return MH_OK;
	const enum mh_status status = jira_call(j, &c, "/%s", what, &a, err);
	if (status != MH_OK)
		return status;
	if (!cJSON_IsArray(a.json))
		return mh_fail(err, MH_RETRY, "cannot %s: the answer is no list", doing);
	*list = a.json;
	a.json = NULL;
	return MH_OK;
}

static enum mh_status
load_fields(struct jira *j, struct mh_err *err)
{
	return load(j, "field", "read the fields of Jira", &j->field_list, err);
}

enum mh_status
jira_load_priorities(struct jira *j, struct mh_err *err)
{
	return load(j, "priority", "read the priorities of Jira", &j->priority_list, err);
}

static bool
same(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcasecmp(a, b) == 0;
}

const cJSON *
jira_field(struct jira *j, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, j->field_list)
	{
		if (same(json_string(item, "name"), name) || same(json_string(item, "id"), name))
			return item;
	}
	return NULL;
}

/* Jira lists the highest first. -1: not among them. */
static int
place_of(const cJSON *list, const char *name)
{
	const cJSON *item;
	int place = 0;

	cJSON_ArrayForEach(item, list)
	{
		if (same(json_string(item, "name"), name))
			return place;
		place++;
	}
	return -1;
}

enum ticket_priority
jira_priority(struct jira *j, const char *name)
{
	const char *const *ours = j->rest.desk->priorities;

	if (name == NULL)
		return PRIORITY_NORMAL;
	for (int i = PRIORITY_URGENT; i >= PRIORITY_NORMAL; i--)
		if (same(ours[i], name))
			return (enum ticket_priority)i;
	if (jira_load_priorities(j, NULL) != MH_OK)
		return PRIORITY_URGENT; /* not known: left as it is */
	const int place = place_of(j->priority_list, name);
	for (int i = PRIORITY_URGENT; i > PRIORITY_NORMAL && place >= 0; i--) {
		const int own = place_of(j->priority_list, ours[i]);

		if (own >= 0 && own >= place)
			return (enum ticket_priority)i;
	}
	return place < 0 ? PRIORITY_URGENT : PRIORITY_NORMAL;
}

/* -- writing ------------------------------------------------------------------------------------------------------- */

static bool
add(cJSON *to, const char *name, cJSON *value)
{
	if (value != NULL && cJSON_AddItemToObject(to, name, value))
		return true;
	cJSON_Delete(value);
	return false;
}

/* {"name": "High"} */
static cJSON *
named(const char *key, const char *value)
{
	cJSON *j = cJSON_CreateObject();

	if (j != NULL && !json_add_string(j, key, value))
		drop_json(&j);
	return j;
}

static cJSON *
list_of(cJSON *item)
{
	cJSON *list = cJSON_CreateArray();

	if (item != NULL && list != NULL && cJSON_AddItemToArray(list, item))
		return list;
	cJSON_Delete(item);
	cJSON_Delete(list);
	return NULL;
}

static cJSON *
number_of(const char *text)
{
	cJSON *j = json_parse(span_of(text), NULL);

	if (j != NULL && !cJSON_IsNumber(j))
		drop_json(&j);
	return j;
}

static cJSON *
user_of(const struct jira *j, const char *who)
{
	return named(j->cloud ? "accountId" : "name", who);
}

/* A value of one line as the schema wants it. NULL: it cannot be such a value, or no memory. */
static cJSON *
value_of(const struct jira *j, const cJSON *schema, struct mh_span value, const char *text)
{
	const char *type = json_string(schema, "type"), *items = json_string(schema, "items"),
		   *custom = json_string(schema, "custom");

	if (same(type, "array"))
		return list_of(same(items, "option")      ? named("value", text)
			       : same(items, "component") ? named("name", text)
			       : same(items, "user")      ? user_of(j, text)
							  : cJSON_CreateString(text));
	if (same(type, "number"))
		return number_of(text);
	if (same(type, "option"))
		return named("value", text);
	if (same(type, "user"))
		return user_of(j, text);
	if (same(type, "priority") || same(type, "version"))
		return named("name", text);
	if (custom != NULL && strstr(custom, ":textarea") != NULL)
		return jira_text(j, value);
	return cJSON_CreateString(text);
}

static enum mh_status
add_fields(struct jira *j, const struct ticket_new *t, cJSON *fields, struct mh_err *err)
{
	if (t->n_fields == 0)
		return MH_OK;
	/* a list too long to be taken: the ticket matters more than its fields */
	const enum mh_status status = load_fields(j, err);
	if (status != MH_OK && status != MH_LIMIT)
		return status;
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct ticket_field *f = &t->fields[i];
		const cJSON *known = jira_field(j, f->name);
		const char *id = json_string(known, "id");
		struct mh_span text;

		if (arena_copy(j->rest.desk->arena, f->value, &text, err) != MH_OK)
			return MH_LIMIT;
		if (id == NULL || cJSON_HasObjectItem(fields, id) ||
		    !add(fields, id, value_of(j, json_object(known, "schema"), f->value, text.p)))
			ticket_dropped(j->rest.desk, "field", span_of(f->name));
	}
	return MH_OK;
}

static bool
add_labels(const struct ticket_new *t, cJSON *fields)
{
	cJSON *labels = cJSON_AddArrayToObject(fields, "labels");
	char key[64] = JIRA_LABEL;

	if (labels == NULL || strlen(t->key) >= sizeof(key) - sizeof(JIRA_LABEL))
		return false;
	memcpy(key + sizeof(JIRA_LABEL) - 1, t->key, strlen(t->key) + 1);
	if (!cJSON_AddItemToArray(labels, cJSON_CreateString(key)))
		return false;
	for (size_t i = 0; i < t->n_labels; i++) {
		char one[256];
		size_t n = 0;

		/* a label with a space is refused, and the ticket with it */
		for (const char *p = t->labels[i]; *p != '\0' && n < sizeof(one) - 1; p++)
			one[n++] = *p == ' ' || *p == '\t' ? '-' : *p;
		one[utf8_cut((struct mh_span){ one, n }, n)] = '\0';
		if (!cJSON_AddItemToArray(labels, cJSON_CreateString(one)))
			return false;
	}
	return true;
}

enum mh_status
jira_fields_of(struct jira *j, const struct ticket_new *t, cJSON **ret, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *f = cJSON_CreateObject();
	const char *component = cfg_getstr(j->rest.desk->conf, "component");
	bool fine = f != NULL && add(f, "project", named("key", j->project)) &&
		    add(f, "issuetype", named("name", j->type)) &&
		    json_add_span(f, "summary", span_head(t->title, utf8_cut(t->title, TICKET_TITLE_BYTES))) &&
		    add(f, "description", jira_text(j, t->body)) &&
		    add(f, "priority", named("name", t->priority_name)) && add_labels(t, f);

	if (fine && t->due.n > 0)
		fine = json_add_span(f, "duedate", t->due);
	if (fine && t->assignee != NULL)
		fine = add(f, "assignee", user_of(j, t->assignee));
	if (fine && component[0] != '\0')
		fine = add(f, "components", list_of(named("name", component)));
	if (!fine)
		return mh_fail(err, MH_RETRY, "no memory for a ticket");
	const enum mh_status status = add_fields(j, t, f, err);
	if (status == MH_OK) {
		*ret = f;
		f = NULL;
	}
	return status;
}

/* -- reading back -------------------------------------------------------------------------------------------------- */

static bool
has_label(const cJSON *labels, const char *label)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, labels)
	{
		if (same(cJSON_GetStringValue(item), label))
			return true;
	}
	return false;
}

static bool
is_kept(const cJSON *written, const cJSON *read)
{
	const char *name = json_string(written, "name");

	if (read == NULL || cJSON_IsNull(read) || (cJSON_IsArray(read) && cJSON_GetArraySize(read) == 0))
		return false;
	if (name != NULL && strcmp(written->string, "priority") == 0)
		return same(name, json_string(read, "name"));
	if (strcmp(written->string, "duedate") == 0)
		return same(cJSON_GetStringValue(written), cJSON_GetStringValue(read));
	return true;
}

void
jira_compare(struct jira *j, const cJSON *written, const cJSON *read)
{
	const cJSON *item, *label;

	cJSON_ArrayForEach(item, written)
	{
		const cJSON *there = cJSON_GetObjectItemCaseSensitive(read, item->string);

		if (strcmp(item->string, "labels") == 0) {
			cJSON_ArrayForEach(label, item)
			{
				if (!has_label(there, cJSON_GetStringValue(label)))
					ticket_dropped(j->rest.desk, "label", span_of(cJSON_GetStringValue(label)));
			}
		} else if (!is_kept(item, there)) {
			const cJSON *known = jira_field(j, item->string);

			ticket_dropped(
			    j->rest.desk, "field", span_of(known == NULL ? item->string : json_string(known, "name")));
		}
	}
}
