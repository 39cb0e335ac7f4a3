/* nodes_look.c: see nodes_look.h. */
#include "mailhook/work/nodes_look.h"

#include <inttypes.h>

#include "mailhook/work/ago.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/ledger/nodes.h"
#include "mailhook/work/node.h"

#define LOOK_ARENA_BYTES ((size_t)8 << 20)

static const char *const state_names[] = { "runs", "stopped", "silent" };

/* -- looking ------------------------------------------------------------------------------------------------------- */

static enum mh_status
keep(struct arena *a, const char *text, const char **ret, struct mh_err *err)
{
	struct mh_span copy;
	const enum mh_status status = text == NULL ? MH_OK : arena_copy(a, span_of(text), &copy, err);

	if (status == MH_OK)
		*ret = text == NULL ? NULL : copy.p;
	return status;
}

/* A report of another version may lack something, or have more. */
static enum mh_status
read_report(const char *text, struct arena *a, struct node_look *n, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = json_parse(span_of(text), NULL);
	const cJSON *list = j == NULL ? NULL : json_array(j, "mailboxes"), *item;
	enum mh_status status = MH_OK;

	if (j == NULL)
		return MH_OK;
	(void)json_integer(j, "intake", 0, INT64_MAX, &n->intake);
	(void)json_integer(j, "intake_oldest_s", 0, INT64_MAX, &n->oldest_s);
	(void)json_integer(j, "set_aside", 0, INT64_MAX, &n->set_aside);
	(void)json_integer(j, "running", 0, INT64_MAX, &n->running);
	status = keep(a, json_string(j, "trouble"), &n->trouble, err);
	const int count = cJSON_GetArraySize(list);
	if (status != MH_OK || count <= 0)
		return status;
	n->mailboxes = arena_array(a, (size_t)count, sizeof(*n->mailboxes));
	if (n->mailboxes == NULL)
		return mh_fail(err, MH_RETRY, "no memory for nodes");
	cJSON_ArrayForEach(item, list)
	{
		if (status == MH_OK && cJSON_IsString(item))
			status = keep(a, item->valuestring, &n->mailboxes[n->n_mailboxes++], err);
	}
	return status;
}

enum mh_status
nodes_look(struct work *w, struct arena *a, struct node_looks *ret, struct mh_err *err)
{
	struct node_rows rows = { 0 };
	struct node_looks looks = { 0 };
	int64_t now = 0;

	if (w->db == NULL || w->db->engine->local) {
		*ret = looks;
		return MH_OK;
	}
	enum mh_status status = w->db->engine->now(w->db, &now, err);
	if (status == MH_OK)
		status = ledger_nodes(w->db, a, &rows, err);
	if (status == MH_OK && (looks.items = arena_array(a, rows.n, sizeof(*looks.items))) == NULL)
		status = mh_fail(err, MH_RETRY, "no memory for nodes");
	for (size_t i = 0; i < rows.n && status == MH_OK; i++) {
		const struct node_row *r = &rows.items[i];
		struct node_look *n = &looks.items[looks.n++];

		*n = (struct node_look){
			.name = r->name, .version = r->version, .started = r->started, .seen = r->seen
		};
		n->ago_s = now > r->seen ? now - r->seen : 0;
		n->state = r->life[0] == '\0' ? NODE_STOPPED : n->ago_s > node_silent_s() ? NODE_SILENT : NODE_RUNS;
		n->late = n->state == NODE_STOPPED && n->ago_s > NODES_STOPPED_S;
		status = read_report(r->report, a, n, err);
		if (n->state != NODE_RUNS) {
			n->running = 0; /* whatever it had is anybody's by now */
			n->n_mailboxes = 0;
		}
	}
	if (status == MH_OK)
		*ret = looks;
	return status;
}

static bool
wants_attention(const struct node_look *n)
{
	return n->state == NODE_SILENT || n->late || n->trouble != NULL || n->set_aside > 0;
}

bool
nodes_attention(const struct node_looks *nodes)
{
	for (size_t i = 0; i < nodes->n; i++)
		if (wants_attention(&nodes->items[i]))
			return true;
	return false;
}

bool
nodes_work(const struct node_looks *nodes)
{
	for (size_t i = 0; i < nodes->n; i++)
		if (nodes->items[i].state == NODE_RUNS)
			return true;
	return false;
}

bool
nodes_somebody_works(struct work *w)
{
	struct arena a;
	struct node_looks nodes = { 0 };
	struct mh_err err = { 0 };

	if (lock_held(w->conf->state_dir))
		return true;
	arena_init(&a, LOOK_ARENA_BYTES);
	const bool works = nodes_look(w, &a, &nodes, &err) == MH_OK && nodes_work(&nodes);
	arena_release(&a);
	return works;
}

/* -- telling ------------------------------------------------------------------------------------------------------- */

void
nodes_text(const struct node_looks *nodes, FILE *out)
{
	char shown[300], t[AGO_WORDS];

	for (size_t i = 0; i < nodes->n; i++) {
		const struct node_look *n = &nodes->items[i];

		(void)fprintf(out, "node        %s: %s", n->name,
		    n->state == NODE_RUNS      ? "runs"
		    : n->state == NODE_STOPPED ? "its worker stopped "
					       : "SILENT, last seen ");
		if (n->state != NODE_RUNS) {
			(void)fputs(ago_words(t, n->ago_s), out);
			(void)fputs(" ago", out);
		}
		if (n->intake > 0) {
			(void)fprintf(out, ", %" PRId64 " messages in its intake, the oldest for ", n->intake);
			(void)fputs(ago_words(t, n->oldest_s), out);
		}
		if (n->set_aside > 0)
			(void)fprintf(out, ", %" PRId64 " files set aside", n->set_aside);
		if (n->running > 0)
			(void)fprintf(out, ", actions run: %" PRId64, n->running);
		for (size_t k = 0; k < n->n_mailboxes; k++)
			(void)fprintf(out, "%s%s", k == 0 ? ", watches " : " ",
			    mh_escape(shown, sizeof(shown), span_of(n->mailboxes[k])));
		if (n->trouble != NULL)
			(void)fprintf(out, ": %s", mh_escape_words(shown, sizeof(shown), n->trouble));
		(void)fputs("\n", out);
	}
}

bool
nodes_json(const struct node_looks *nodes, cJSON *j)
{
	cJSON *list = cJSON_AddArrayToObject(j, "nodes");
	bool ok = list != NULL;

	for (size_t i = 0; ok && i < nodes->n; i++) {
		const struct node_look *n = &nodes->items[i];
		cJSON *one = cJSON_CreateObject();

		ok = one != NULL && cJSON_AddItemToArray(list, one) && json_add_string(one, "name", n->name) &&
		     json_add_string(one, "state", state_names[n->state]) &&
		     cJSON_AddBoolToObject(one, "silent", n->state == NODE_SILENT) != NULL &&
		     json_add_string(one, "version", n->version) && json_add_time(one, "started", n->started) &&
		     json_add_time(one, "seen", n->seen) && json_add_integer(one, "seen_ago_s", n->ago_s) &&
		     json_add_integer(one, "intake", n->intake) &&
		     json_add_integer(one, "intake_oldest_s", n->oldest_s) &&
		     json_add_integer(one, "set_aside", n->set_aside) && json_add_integer(one, "running", n->running) &&
		     json_add_string(one, "trouble", n->trouble);
		cJSON *boxes = ok ? cJSON_AddArrayToObject(one, "mailboxes") : NULL;
		ok = ok && boxes != NULL;
		for (size_t k = 0; ok && k < n->n_mailboxes; k++)
			ok = cJSON_AddItemToArray(boxes, cJSON_CreateString(n->mailboxes[k]));
	}
	return ok;
}

struct family {
	const char *name, *help;
	int64_t (*value)(const struct node_look *n);
};

static int64_t
runs(const struct node_look *n)
{
	return n->state == NODE_RUNS;
}

static int64_t
silent(const struct node_look *n)
{
	return n->state == NODE_SILENT;
}

static int64_t
seen(const struct node_look *n)
{
	return n->seen;
}

static int64_t
intake(const struct node_look *n)
{
	return n->intake;
}

static int64_t
oldest(const struct node_look *n)
{
	return n->oldest_s;
}

static int64_t
running(const struct node_look *n)
{
	return n->running;
}

static int64_t
trouble(const struct node_look *n)
{
	return n->trouble != NULL;
}

void
nodes_prometheus(const struct node_looks *nodes, struct buf *out)
{
	static const struct family families[] = {
		{ "node_running", "Whether its worker gave a sign of life a moment ago.", runs },
		{ "node_silent", "Whether its worker gave none for too long, and did not stop in order.", silent },
		{ "node_seen_timestamp_seconds", "The last sign of life.", seen },
		{ "node_intake_messages", "Messages taken there and not yet worked.", intake },
		{ "node_intake_oldest_seconds", "Age of the oldest of them.", oldest },
		{ "node_actions_running", "Actions that run there.", running },
		{ "node_trouble", "Whether its last round failed, or its clock is off.", trouble },
	};

	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]) && nodes->n > 0; f++) {
		buf_printf(out, "# HELP mailhook_%s %s\n# TYPE mailhook_%s gauge\n", families[f].name, families[f].help,
		    families[f].name);
		for (size_t i = 0; i < nodes->n; i++)
			buf_printf(out, "mailhook_%s{node=\"%s\"} %" PRId64 "\n", families[f].name,
			    nodes->items[i].name, families[f].value(&nodes->items[i]));
	}
}
