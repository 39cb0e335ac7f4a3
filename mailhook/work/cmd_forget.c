/* cmd_forget.c: mailhook ledger forget NODE: a machine that does not come back. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/work/commands.h"
#include "mailhook/work/ledger/nodes.h"
#include "mailhook/work/node.h"
#include "mailhook/work/nodes_look.h"

/* Why the row is still there: no such node, or one that lives. */
static enum mh_status
not_forgotten(struct work *w, const char *name, struct mh_err *err)
{
	struct arena a;
	struct node_looks nodes = { 0 };
	char shown[80];

	arena_init(&a, WORK_ARENA_BYTES);
	(void)mh_escape(shown, sizeof(shown), span_of(name));
	enum mh_status status = nodes_look(w, &a, &nodes, err);
	if (status == MH_OK)
		status = mh_fail(
		    err, MH_BAD, "no node is called \"%s\": 'mailhook status' shows those that there are", shown);
	for (size_t i = 0; i < nodes.n; i++)
		if (strcmp(nodes.items[i].name, name) == 0)
			status = mh_fail(err, MH_BAD,
			    "node \"%s\" lives: it was seen %" PRId64
			    " s ago. Stop its worker first, or wait until it is silent",
			    shown, nodes.items[i].ago_s);
	arena_release(&a);
	return status;
}

static enum mh_status
forget(struct work *w, const char *name, const char *by, struct mh_err *err)
{
	MH_AUTO(db_tx_drop) struct db_tx tx = { NULL };
	int64_t now = 0;
	enum mh_status status = db_tx_begin(w->db, &tx, err);

	if (status == MH_OK)
		status = w->db->engine->now(w->db, &now, err);
	if (status == MH_OK)
		status = ledger_node_forget(w->db, name, now - node_silent_s(), err);
	if (status == MH_OK)
		status = ledger_event_add(w->db, 0, clock_now(), "forgotten", by, name, NULL, err);
	return status == MH_OK ? db_tx_commit(&tx, err) : status;
}

int
forget_command(const struct options *o)
{
	struct work w = { 0 };
	struct mh_err err = { 0 };
	struct speech speech;
	char by[100], shown[80];
	const char *name = o->operands[1];
	enum mh_status status = work_load(&w, o->config, &err);

	who_steers(by, sizeof(by));
	if (status == MH_OK)
		status = work_open_ledger(&w, false, &err);
	if (status == MH_SKIP)
		mh_fail(&err, MH_SKIP, "there is no ledger yet: no message was taken in");
	if (status == MH_OK && w.db->engine->local)
		status = mh_fail(&err, MH_BAD, "this ledger is one machine's own: there are no nodes");
	if (status == MH_OK) {
		status = forget(&w, name, by, &err);
		if (status == MH_SKIP)
			status = not_forgotten(&w, name, &err);
	}
	speech_open(&speech, o->json);
	if (status == MH_OK) {
		speech_say(&speech, "node \"%s\" is forgotten", mh_escape(shown, sizeof(shown), span_of(name)));
		speech_string(&speech, "forgotten", name);
		status = speech_end(&speech, &err);
	}
	if (status != MH_OK)
		work_log("%s", err.text);
	speech_release(&speech);
	work_release(&w);
	return work_exit(status);
}
