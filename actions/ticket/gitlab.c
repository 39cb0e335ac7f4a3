/* gitlab.c: issues of GitLab, REST v4.
 *
 * A list shows one's own issues unless scope=all is asked for; a private project is 404 to whoever may not see it; a
 * label that may not be made is dropped without a word. Quick actions ("/close" at a line's beginning) are commands in
 * every text: markup.c takes that power from values. Source: GitLab's "Issues API", "Notes API". */
#include <stdio.h>
#include <string.h>

#include "actions/ticket/gitlab_parts.h"
#include "actions/ticket/multipart.h"

#define API "https://gitlab.com"
#define LAG_S 15

struct issue { /* of an id "PATH#NUMBER" */
	const char *project, *number;
};

/* -- names --------------------------------------------------------------------------------------------------------- */

static enum mh_status
read_id(struct gitlab *g, const char *id, struct issue *ret, struct mh_err *err)
{
	const char *mark = strrchr(id, '#');
	struct mh_span project, number = span_of(mark == NULL ? "" : mark + 1);

	if (number.n == 0 || number.n > 12 || number.p[strspn(number.p, "0123456789")] != '\0' || mark == id)
		return mh_fail(err, MH_SKIP, "not an issue of GitLab");
	const enum mh_status status =
	    arena_copy(g->rest.desk->arena, (struct mh_span){ id, (size_t)(mark - id) }, &project, err);
	if (status == MH_OK)
		*ret = (struct issue){ project.p, number.p };
	return status;
}

/* "/api/v4/projects/PATH/issues/NUMBER" and tail. */
static enum mh_status
issue_path(struct gitlab *g, const char *id, const char *tail, const char **ret, struct mh_err *err)
{
	struct issue i;
	struct mh_span path;
	const char *head;
	enum mh_status status = read_id(g, id, &i, err);

	if (status == MH_OK)
		status = rest_path(&g->rest, &head, err, "/api/v4/projects/%s/issues/%s", i.project, i.number);
	if (status == MH_OK)
		status = arena_printf(g->rest.desk->arena, &path, err, "%s%s", head, tail);
	if (status == MH_OK)
		*ret = path.p;
	return status == MH_SKIP ? MH_BAD : status;
}

/* -- life ---------------------------------------------------------------------------------------------------------- */

static enum mh_status
gitlab_start(struct ticket_desk *d, void **ret_state, struct mh_err *err)
{
	static const struct rest_auth auth = { "PRIVATE-TOKEN", "", false };
	struct gitlab *g = arena_alloc(d->arena, sizeof(*g));

	if (g == NULL)
		return mh_fail(err, MH_RETRY, "no memory for GitLab");
	*ret_state = g;
	const enum mh_status status = rest_start(&g->rest, d, API, &auth, err);
	if (status == MH_OK && d->queue == NULL && (d->request->verb != VERB_CHECK || d->n_queues == 0))
		return mh_fail(err, MH_BAD, "no queue is set: it is the project, its path or number");
	return status;
}

static void
gitlab_stop(void *state)
{
	struct gitlab *g = state;

	rest_stop(&g->rest);
}

enum mh_status
gitlab_call(struct gitlab *g, const struct rest_call *c, struct rest_answer *ret, struct mh_err *err)
{
	struct rest_call every = *c;

	every.statuses = true;
	const enum mh_status status = rest_call(&g->rest, &every, ret, err);
	if (status != MH_OK || http_class(ret->status) == MH_OK || c->statuses)
		return status;
	return rest_refused(&g->rest, c, ret, ret->status == 409 ? MH_RETRY : http_class(ret->status), err);
}

/* -- finding ------------------------------------------------------------------------------------------------------- */

static enum mh_status
ref_of(struct gitlab *g, const char *project, const cJSON *issue, const char *key, struct ticket_ref *ret,
    struct mh_err *err)
{
	const struct ticket_desk *d = g->rest.desk;
	const char *number = rest_id(&g->rest, issue, "iid"), *state = json_string(issue, "state"),
		   *text = json_string(issue, "description"), *web = json_string(issue, "web_url");
	struct mh_span id, url;

	if (number == NULL || state == NULL || web == NULL)
		return mh_fail(err, MH_RETRY, "GitLab's issue has no iid, state or web_url");
	enum mh_status status = arena_printf(d->arena, &id, err, "%s#%s", project, number);
	if (status == MH_OK)
		status = arena_copy(d->arena, span_of(web), &url, err);
	if (status != MH_OK)
		return status;
	*ret = (struct ticket_ref){ .id = id.p,
		.url = url.p,
		.open = strcmp(state, "closed") != 0,
		.of_job = forge_is_of_job(text, key, d->request->job_key),
		.priority = forge_priority(d, json_array(issue, "labels")) };
	return MH_OK;
}

/* Anybody may write the key into an issue of a public project, but not label it. */
static bool
is_ours(const struct gitlab *g, const cJSON *issue, const char *key)
{
	return forge_carries(json_string(issue, "description"), key) &&
	       forge_has_label(json_array(issue, "labels"), cfg_getstr(g->rest.desk->conf, "find_label"));
}

static enum mh_status
listed(const struct forge_list *l, const cJSON *issue, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct gitlab *g = l->state;

	return is_ours(g, issue, key) ? ref_of(g, g->rest.desk->queue, issue, key, ret, err) : MH_SKIP;
}

/* l->what: the label. */
static enum mh_status
issues_page(const struct forge_list *l, int number, struct rest_answer *ret, struct mh_err *err)
{
	struct gitlab *g = l->state;
	const struct ticket_desk *d = g->rest.desk;
	struct rest_call c = { .method = "GET", .doing = l->doing };
	const char *head;
	struct mh_span path;
	enum mh_status status =
	    rest_path(&g->rest, &head, err, "/api/v4/projects/%s/issues?labels=%s", d->queue, l->what);

	if (status == MH_OK)
		status = arena_printf(d->arena, &path, err,
		    "%s&scope=all&state=all&order_by=created_at&sort=desc&per_page=%d&page=%d", head, FORGE_PAGE,
		    number);
	if (status != MH_OK)
		return status;
	c.path = path.p;
	return gitlab_call(g, &c, ret, err);
}

static enum mh_status
gitlab_find(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct gitlab *g = state;
	const struct ticket_desk *d = g->rest.desk;
	const struct forge_list list = { .state = g,
		.what = cfg_getstr(d->conf, "find_label"),
		.doing = "list the issues",
		.page = issues_page,
		.ref_of = listed };

	return forge_find(&list, key, d->request->now, ret, err);
}

/* MH_SKIP: it is gone. */
static enum mh_status
get_issue(struct gitlab *g, const char *id, struct rest_answer *ret, struct mh_err *err)
{
	struct rest_call c = { .method = "GET", .doing = "read the issue", .statuses = true };
	enum mh_status status = issue_path(g, id, "", &c.path, err);

	if (status == MH_OK)
		status = gitlab_call(g, &c, ret, err);
	if (status != MH_OK)
		return status;
	if (ret->status == 404)
		return mh_fail(err, MH_SKIP, "there is no issue %.100s, or it may not be seen", id);
	if (http_class(ret->status) != MH_OK)
		return rest_refused(&g->rest, &c, ret, http_class(ret->status), err);
	return json_string(ret->json, "state") != NULL
		   ? MH_OK
		   : mh_fail(err, MH_RETRY, "cannot read the issue: the answer holds none");
}

static enum mh_status
gitlab_get(void *state, const char *id, const char *key, struct ticket_ref *ret, struct mh_err *err)
{
	struct gitlab *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct issue i;
	enum mh_status status = get_issue(g, id, &a, err);

	if (status != MH_OK)
		return status;
	if (!forge_carries(json_string(a.json, "description"), key))
		return mh_fail(err, MH_SKIP, "the issue does not carry the key");
	status = read_id(g, id, &i, err);
	return status == MH_OK ? ref_of(g, i.project, a.json, key, ret, err) : status;
}

/* BASE/PATH/-/issues/NUMBER; newer servers say work_items. */
static enum mh_status
gitlab_id_of_url(void *state, const char *url, const char **ret_id, struct mh_err *err)
{
	struct gitlab *g = state;
	const struct mh_span base = span_of(g->rest.base), all = span_of(url), path = span_from(all, base.n + 1),
			     words[] = { MH_LIT("/-/issues/"), MH_LIT("/-/work_items/"), MH_LIT("/issues/") };
	size_t at = SIZE_MAX, i = 0;
	struct mh_span id, number;
	struct issue issue;

	if (!span_starts(all, base) || path.n == 0 || all.p[base.n] != '/')
		return mh_fail(err, MH_SKIP, "not an issue of this GitLab");
	while (at == SIZE_MAX && i < 3)
		at = span_find(path, words[i++], 0);
	if (at == SIZE_MAX)
		return mh_fail(err, MH_SKIP, "not an issue of this GitLab");
	number = span_from(path, at + words[i - 1].n);
	number = span_head(number, number.n == 0 ? 0 : strcspn(number.p, "/?&#"));
	enum mh_status status = arena_printf(
	    g->rest.desk->arena, &id, err, "%.*s#%.*s", (int)at, path.p, (int)number.n, number.n == 0 ? "" : number.p);
	if (status == MH_OK)
		status = read_id(g, id.p, &issue, err);
	if (status == MH_OK)
		*ret_id = id.p;
	return status;
}

/* -- opening ------------------------------------------------------------------------------------------------------- */

/* "a,b": a comma within one would make two of it. */
static bool
put_labels(struct buf *out, const cJSON *list)
{
	const cJSON *item;

	cJSON_ArrayForEach(item, list)
	{
		buf_puts(out, out->n == 0 ? "" : ",");
		for (const char *p = cJSON_GetStringValue(item); p != NULL && *p != '\0'; p++)
			buf_putc(out, *p == ',' ? ' ' : *p);
	}
	return buf_ok(out);
}

/* Assignees are numbers. A person who is not there must not keep the ticket from being opened: *ret stays 0. */
static enum mh_status
user_number(struct gitlab *g, const char *name, int64_t *ret, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	struct rest_call c = { .method = "GET", .doing = "look up the assignee" };
	enum mh_status status = rest_path(&g->rest, &c.path, err, "/api/v4/users?username=%s", name);

	if (status == MH_OK)
		status = gitlab_call(g, &c, &a, err);
	if (status == MH_OK)
		(void)json_integer(cJSON_GetArrayItem(a.json, 0), "id", 1, INT64_MAX, ret);
	return status;
}

static enum mh_status
add_assignee(struct gitlab *g, const char *name, cJSON *body, struct mh_err *err)
{
	int64_t number = 0;
	const enum mh_status status = name == NULL ? MH_OK : user_number(g, name, &number, err);

	if (status != MH_OK || number == 0)
		return status;
	cJSON *list = cJSON_AddArrayToObject(body, "assignee_ids");
	if (list == NULL || !cJSON_AddItemToArray(list, cJSON_CreateNumber((double)number)))
		return mh_fail(err, MH_RETRY, "no memory for a ticket");
	return MH_OK;
}

static enum mh_status
new_issue(struct gitlab *g, const struct ticket_new *t, const cJSON *labels, cJSON *body, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf text;
	MH_AUTO(buf_release) struct buf names;
	const bool hidden = cfg_getbool(g->rest.desk->conf, "confidential") == cfg_true;

	buf_init(&text, (size_t)1 << 20);
	buf_init(&names, 8192);
	const enum mh_status status = forge_text(g->rest.desk, t, &text, err);
	if (status != MH_OK)
		return MH_BAD;
	if (labels == NULL || !put_labels(&names, labels) || !json_add_span(body, "title", t->title) ||
	    !json_add_span(body, "description", buf_span(&text)) || !json_add_span(body, "labels", buf_span(&names)) ||
	    (t->due.n > 0 && !json_add_span(body, "due_date", t->due)) ||
	    (hidden && cJSON_AddTrueToObject(body, "confidential") == NULL))
		return mh_fail(err, MH_RETRY, "no memory for a ticket");
	return add_assignee(g, t->assignee, body, err);
}

static void
compare(struct gitlab *g, const struct ticket_new *t, const cJSON *labels, const cJSON *issue)
{
	struct ticket_desk *d = g->rest.desk;
	const char *due = json_string(issue, "due_date");

	forge_compare(d, labels, json_array(issue, "labels"));
	if (t->due.n > 0 && (due == NULL || !span_eq(span_of(due), t->due)))
		ticket_dropped(d, "due date", MH_NONE);
	if (t->assignee != NULL && cJSON_GetArraySize(json_array(issue, "assignees")) == 0)
		ticket_dropped(d, "assignee", span_of(t->assignee));
}

static enum mh_status
gitlab_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err)
{
	struct gitlab *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *labels = forge_labels(t, cfg_getstr(g->rest.desk->conf, "find_label"));
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	struct rest_call c = { .method = "POST", .body = body, .doing = "open an issue" };
	enum mh_status status =
	    body == NULL ? mh_fail(err, MH_RETRY, "no memory for a ticket")
			 : rest_path(&g->rest, &c.path, err, "/api/v4/projects/%s/issues", g->rest.desk->queue);

	if (status == MH_OK)
		status = new_issue(g, t, labels, body, err);
	if (status == MH_OK)
		status = gitlab_call(g, &c, &a, err);
	if (status == MH_OK)
		status = ref_of(g, g->rest.desk->queue, a.json, t->key, ret, err);
	if (status == MH_OK)
		compare(g, t, labels, a.json);
	return status;
}

/* -- changing ------------------------------------------------------------------------------------------------------ */

static enum mh_status
put_issue(
    struct gitlab *g, const char *id, const cJSON *body, const char *doing, struct rest_answer *ret, struct mh_err *err)
{
	struct rest_call c = { .method = "PUT", .body = body, .doing = doing };
	const enum mh_status status = issue_path(g, id, "", &c.path, err);

	return status == MH_OK ? gitlab_call(g, &c, ret, err) : status;
}

static enum mh_status
gitlab_change(void *state, const struct ticket_ref *ref, const struct ticket_change *ch, struct mh_err *err)
{
	struct gitlab *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	MH_AUTO(drop_json) cJSON *lower = cJSON_CreateArray();
	MH_AUTO(buf_release) struct buf names;
	const char *due;

	buf_init(&names, 4096);
	for (int i = PRIORITY_NORMAL; lower != NULL && i < (int)ch->raise_to; i++)
		if (!cJSON_AddItemToArray(lower, cJSON_CreateString(g->rest.desk->priorities[i])))
			return mh_fail(err, MH_RETRY, "no memory for a change");
	if (body == NULL || lower == NULL || !put_labels(&names, lower) ||
	    !json_add_string(body, "add_labels", ch->priority_name) ||
	    (names.n > 0 && !json_add_string(body, "remove_labels", names.p)) ||
	    (ch->due.n > 0 && !json_add_span(body, "due_date", ch->due)))
		return mh_fail(err, MH_RETRY, "no memory for a change");
	const enum mh_status status = put_issue(g, ref->id, body, "change the issue", &a, err);
	if (status != MH_OK)
		return status;
	if (!forge_has_label(json_array(a.json, "labels"), ch->priority_name))
		ticket_dropped(g->rest.desk, "label", span_of(ch->priority_name));
	due = json_string(a.json, "due_date");
	if (ch->due.n > 0 && (due == NULL || !span_eq(span_of(due), ch->due)))
		ticket_dropped(g->rest.desk, "due date", MH_NONE);
	return MH_OK;
}

static enum mh_status
notes_page(const struct forge_list *l, int number, struct rest_answer *ret, struct mh_err *err)
{
	struct rest_call c = { .method = "GET", .doing = l->doing };
	char tail[80];

	(void)snprintf(tail, sizeof(tail), "/notes?sort=desc&per_page=%d&page=%d", FORGE_PAGE, number);
	const enum mh_status status = issue_path(l->state, l->what, tail, &c.path, err);
	return status == MH_OK ? gitlab_call(l->state, &c, ret, err) : status;
}

/* MH_SKIP: no note has these words. */
static enum mh_status
find_note(struct gitlab *g, const char *id, const char *words, struct mh_err *err)
{
	const struct forge_list list = { .state = g, .what = id, .doing = "read the notes", .page = notes_page };

	return forge_find_mark(&list, words, err);
}

static enum mh_status
gitlab_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err)
{
	return find_note(state, ref->id, mark, err);
}

static enum mh_status
add_note(struct gitlab *g, const char *id, struct mh_span text, struct mh_err *err)
{
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	struct rest_call c = { .method = "POST", .body = body, .doing = "comment on the issue" };

	if (body == NULL || !json_add_span(body, "body", text))
		return mh_fail(err, MH_RETRY, "no memory for a comment");
	const enum mh_status status = issue_path(g, id, "/notes", &c.path, err);
	return status == MH_OK ? gitlab_call(g, &c, &a, err) : status;
}

static enum mh_status
gitlab_comment(void *state, const struct ticket_ref *ref, const struct ticket_comment *k, struct mh_err *err)
{
	return add_note(state, ref->id, k->text, err);
}

/* A file belongs to the project; what an issue has is a note with a link to it, which GitLab writes itself. */
static enum mh_status
gitlab_attach(void *state, const struct ticket_ref *ref, const struct ticket_file *f, struct mh_err *err)
{
	struct gitlab *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(buf_release) struct buf body;
	char type[MULTIPART_TYPE_BYTES];
	struct rest_call c = { .method = "POST", .type = type, .doing = "attach the mail" };
	struct issue i;
	struct mh_span link;

	buf_init(&body, f->bytes.n + MULTIPART_MORE_BYTES);
	enum mh_status status = arena_printf(g->rest.desk->arena, &link, err, "[%s](/uploads/", f->name);
	if (status == MH_OK)
		status = find_note(g, ref->id, link.p, err);
	if (status != MH_SKIP)
		return status;
	status = read_id(g, ref->id, &i, err);
	if (status == MH_OK)
		status = rest_path(&g->rest, &c.path, err, "/api/v4/projects/%s/uploads", i.project);
	if (status == MH_OK)
		status = multipart_file(g->rest.desk->request->job_key, f, &body, type, err);
	if (status != MH_OK)
		return status;
	c.bytes = buf_span(&body);
	status = gitlab_call(g, &c, &a, err);
	if (status != MH_OK)
		return status;
	link = span_of(json_string(a.json, "markdown"));
	return link.n > 0 ? add_note(g, ref->id, link, err)
			  : mh_fail(err, MH_RETRY, "cannot attach the mail: the answer has no link");
}

static enum mh_status
gitlab_close(void *state, const struct ticket_ref *ref, struct mh_err *err)
{
	struct gitlab *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	MH_AUTO(drop_json) cJSON *body = cJSON_CreateObject();
	const char *now;

	if (body == NULL || !json_add_string(body, "state_event", "close"))
		return mh_fail(err, MH_RETRY, "no memory for a change");
	const enum mh_status status = put_issue(g, ref->id, body, "close the issue", &a, err);
	if (status != MH_OK)
		return status;
	now = json_string(a.json, "state");
	return now != NULL && strcmp(now, "closed") == 0 ? MH_OK : mh_fail(err, MH_BAD, "the issue is still open");
}

static enum mh_status
gitlab_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err)
{
	struct gitlab *g = state;
	MH_AUTO(rest_answer_release) struct rest_answer a = { 0 };
	const enum mh_status status = get_issue(g, ref->id, &a, err);

	if (status != MH_OK)
		return status;
	forge_read(a.json, "description", ret_text);
	return buf_ok(ret_text) ? MH_OK : mh_fail(err, MH_LIMIT, "the issue is longer than %zu bytes", ret_text->max);
}

static const cfg_opt_t options[] = {
	REST_OPTIONS,
	CFG_STR("find_label", "mailhook", CFGF_NONE),
	CFG_BOOL("confidential", cfg_false, CFGF_NONE),
	CFG_END(),
};

static const struct own_conf_check checks[] = { REST_CHECKS, { NULL, NULL } };

const struct ticket_driver ticket_gitlab = {
	.name = "gitlab",
	.help = "GitLab issues",
	.options = options,
	.checks = checks,
	.priorities = { "priority::normal", "priority::high", "priority::urgent" },
	.format = FORMAT_MARKDOWN,
	.lag_s = LAG_S,
	.start = gitlab_start,
	.stop = gitlab_stop,
	.check = gitlab_check,
	.id_of_url = gitlab_id_of_url,
	.get = gitlab_get,
	.find = gitlab_find,
	.open = gitlab_open,
	.attach = gitlab_attach,
	.commented = gitlab_commented,
	.comment = gitlab_comment,
	.change = gitlab_change,
	.close = gitlab_close,
	.read = gitlab_read,
};
