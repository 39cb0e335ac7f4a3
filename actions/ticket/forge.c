/* forge.c: Markdown, labels and lists of GitHub and GitLab. */
#include "actions/ticket/forge.h"

#include <string.h>
#include <strings.h>

#include "actions/common/markup.h"

#define MARK "<!-- mailhook "
#define TEXT_BYTES ((size_t)60000) /* GitHub takes 65,536 characters, GitLab a million */

/* -- the text ------------------------------------------------------------------------------------------------------ */

enum mh_status
forge_text(const struct ticket_desk *d, const struct ticket_new *t, struct buf *out, struct mh_err *err)
{
	buf_put(out, span_head(t->body, utf8_cut(t->body, TEXT_BYTES)));
	for (size_t i = 0; i < t->n_fields; i++) {
		const struct template_var name = { "", span_of(t->fields[i].name), LINES_ONE },
					  value = { "", t->fields[i].value, LINES_ONE };

		buf_puts(out, i == 0 ? "\n\n- " : "\n- ");
		template_markdown(out, &name);
		buf_puts(out, ": ");
		template_markdown(out, &value);
	}
	/* an empty line before it: a comment within a paragraph or list is not always hidden */
	buf_printf(out, "\n\n" MARK "%s %s -->\n", t->key, d->request->job_key);
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_LIMIT, "the ticket is longer than %zu bytes", out->max);
}

static struct mh_span
behind_key(const char *text, const char *key)
{
	const struct mh_span all = span_of(text), head = MH_LIT(MARK), k = span_of(key);

	for (size_t at = span_find(all, head, 0); at != SIZE_MAX; at = span_find(all, head, at + 1)) {
		const struct mh_span rest = span_from(all, at + head.n);

		if (span_starts(rest, k) && span_starts(span_from(rest, k.n), MH_LIT(" ")))
			return span_from(rest, k.n + 1);
	}
	return MH_NONE;
}

bool
forge_carries(const char *text, const char *key)
{
	return text != NULL && behind_key(text, key).p != NULL;
}

bool
forge_is_of_job(const char *text, const char *key, const char *job)
{
	return text != NULL && span_starts(behind_key(text, key), span_of(job));
}

/* -- labels -------------------------------------------------------------------------------------------------------- */

static const char *
label_name(const cJSON *label)
{
	return cJSON_IsString(label) ? label->valuestring : json_string(label, "name");
}

bool
forge_has_label(const cJSON *labels, const char *name)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, labels)
	{
		const char *there = label_name(item);

		if (there != NULL && strcasecmp(there, name) == 0)
			return true;
	}
	return false;
}

/* Other labels say nothing of a priority, so what a person chose can only be one of ours. */
enum ticket_priority
forge_priority(const struct ticket_desk *d, const cJSON *labels)
{
	for (int i = PRIORITY_URGENT; i > PRIORITY_NORMAL; i--)
		if (forge_has_label(labels, d->priorities[i]))
			return (enum ticket_priority)i;
	return PRIORITY_NORMAL;
}

static bool
add_label(cJSON *list, const char *name)
{
	char cut[FORGE_LABEL_BYTES + 1] = "";

	if (name == NULL || name[0] == '\0')
		return true;
	memcpy(cut, name, utf8_cut(span_of(name), FORGE_LABEL_BYTES));
	if (forge_has_label(list, cut))
		return true;
	cJSON *label = cJSON_CreateString(cut);
	if (label != NULL && cJSON_AddItemToArray(list, label))
		return true;
	cJSON_Delete(label);
	return false;
}

cJSON *
forge_labels(const struct ticket_new *t, const char *find_label)
{
	MH_AUTO(drop_json) cJSON *list = cJSON_CreateArray();
	bool fine = list != NULL && add_label(list, find_label) && add_label(list, t->priority_name);

	for (size_t i = 0; i < t->n_labels && fine; i++)
		fine = add_label(list, t->labels[i]);
	if (!fine)
		return NULL;
	cJSON *ret = list;
	list = NULL;
	return ret;
}

void
forge_compare(struct ticket_desk *d, const cJSON *wanted, const cJSON *there)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, wanted)
	{
		const char *name = label_name(item);

		if (name != NULL && !forge_has_label(there, name))
			ticket_dropped(d, "label", span_of(name));
	}
}

/* -- lists --------------------------------------------------------------------------------------------------------- */

static bool
has_mark(const cJSON *comments, const char *mark)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, comments)
	{
		const char *text = json_string(item, "body");

		if (text != NULL && strstr(text, mark) != NULL)
			return true;
	}
	return false;
}

/* "2026-02-03...", older than FORGE_OLD_S: false where it has none. */
static bool
is_old(const cJSON *issue, int64_t now)
{
	const char *made = json_string(issue, "created_at");
	struct mh_span day;
	char text[MH_TIME_TEXT] = "";
	int64_t at;

	if (made == NULL || strlen(made) < 19)
		return false;
	day = span_head(span_of(made), 19); /* GitLab adds milliseconds */
	memcpy(text, day.p, day.n);
	text[19] = 'Z';
	return time_read(span_of(text), &at, NULL) == MH_OK && at < now - FORGE_OLD_S;
}

static enum mh_status
read_page(const struct forge_list *l, int number, struct rest_answer *ret, struct mh_err *err)
{
	const enum mh_status status = l->page(l, number, ret, err);

	if (status == MH_OK && !cJSON_IsArray(ret->json))
		return mh_fail(err, MH_RETRY, "cannot %s: the answer is no list", l->doing);
	return status;
}

struct looking {
	const char *key;
	struct ticket_ref ref;
	size_t n_open;
	bool found;
};

static enum mh_status
look_at_page(const struct forge_list *l, const cJSON *page, struct looking *k, struct mh_err *err)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, page)
	{
		struct ticket_ref ref;
		const enum mh_status status = l->ref_of(l, item, k->key, &ref, err);

		if (status == MH_SKIP)
			continue;
		if (status != MH_OK)
			return status;
		k->n_open += ref.open;
		/* the newest comes first: an older one of the same state takes its place */
		if (!k->found || ref.open || !k->ref.open)
			k->ref = ref;
		k->found = true;
	}
	return MH_OK;
}

static enum mh_status
look_through(const struct forge_list *l, int64_t now, struct looking *k, struct mh_err *err)
{
	for (int page = 1; page <= FORGE_PAGES; page++) {
		MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
		enum mh_status status = read_page(l, page, &a, err);

		if (status == MH_OK)
			status = look_at_page(l, a.json, k, err);
		if (status != MH_OK)
			return status;
		const int n = cJSON_GetArraySize(a.json);
		if (n < FORGE_PAGE || is_old(cJSON_GetArrayItem(a.json, n - 1), now))
			return MH_OK;
	}
	if (k->found)
		return MH_OK;
	return mh_fail(err, MH_BAD, "more than %d issues to look through: find_label should be mailhook's own",
	    FORGE_PAGE * FORGE_PAGES);
}

enum mh_status
forge_find(const struct forge_list *l, const char *key, int64_t now, struct ticket_ref *ret, struct mh_err *err)
{
	struct looking k = { .key = key };
	const enum mh_status status = look_through(l, now, &k, err);

	if (status != MH_OK)
		return status;
	if (!k.found)
		return mh_fail(err, MH_SKIP, "no issue carries the key");
	*ret = k.ref;
	ret->others = k.n_open > 1 ? k.n_open - 1 : 0;
	return MH_OK;
}

enum mh_status
forge_find_mark(const struct forge_list *l, const char *mark, struct mh_err *err)
{
	for (int page = 1; page <= FORGE_PAGES; page++) {
		MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
		const enum mh_status status = read_page(l, page, &a, err);

		if (status != MH_OK)
			return status;
		if (has_mark(a.json, mark))
			return MH_OK;
		if (cJSON_GetArraySize(a.json) < FORGE_PAGE)
			break;
	}
	return mh_fail(err, MH_SKIP, "no comment has this mark");
}

void
forge_read(const cJSON *issue, const char *text_key, struct buf *out)
{
	const char *text = json_string(issue, text_key);
	const cJSON *item;

	rest_put_line(out, "title:    ", json_string(issue, "title"));
	rest_put_line(out, "state:    ", json_string(issue, "state"));
	rest_put_line(out, "due:      ", json_string(issue, "due_date"));
	cJSON_ArrayForEach(item, json_array(issue, "labels")) rest_put_line(out, "label:    ", label_name(item));
	buf_putc(out, '\n');
	if (text != NULL)
		buf_puts(out, text);
}
