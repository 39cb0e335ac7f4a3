/* nodes_look.h: how the machines do that share the ledger, as each tells of itself: for status, monitors and the alarm. */
#ifndef MAILHOOK_WORK_NODES_LOOK_H
#define MAILHOOK_WORK_NODES_LOOK_H

#include <stdio.h>

#include "mailhook/json.h"
#include "mailhook/work/work.h"

#define NODES_STOPPED_S                                                                                                \
	600 /* a worker that ended in order so long ago was to come again: cron starts one each 5 minutes */

enum node_state { NODE_RUNS, NODE_STOPPED, NODE_SILENT };

struct node_look {
	const char *name, *version;
	enum node_state state;
	bool late;             /* stopped for longer than a worker that cron starts would be */
	int64_t started, seen; /* by the ledger's clock */
	int64_t ago_s;         /* since it was seen */
	int64_t intake, oldest_s, set_aside, running;
	const char *trouble;    /* NULL: none */
	const char **mailboxes; /* that it watches */
	size_t n_mailboxes;
};
struct node_looks {
	struct node_look *items; /* by name; none where the ledger is local */
	size_t n;
};

/* All in the arena.
 *   errors  MH_RETRY no memory, those of db.h */
enum mh_status nodes_look(struct work *w, struct arena *a, struct node_looks *ret, struct mh_err *err);
/* Something that a person should look at. */
bool nodes_attention(const struct node_looks *nodes);
/* At least one worker is at work, here or elsewhere. */
bool nodes_work(const struct node_looks *nodes);
/* The same, looked at now; this machine's worker counts where the ledger is local too. */
bool nodes_somebody_works(struct work *w);

/* A line each for a person, and the same as a list "nodes" of j, and as metrics. */
void nodes_text(const struct node_looks *nodes, FILE *out);
bool nodes_json(const struct node_looks *nodes, cJSON *j);
void nodes_prometheus(const struct node_looks *nodes, struct buf *out);

#endif
