/* node.h: this machine as one of those that share a ledger: what it is called, and what the others see of it.
 *
 * Where the ledger is local there are no others, and only the name is of use.
 */
#ifndef MAILHOOK_WORK_NODE_H
#define MAILHOOK_WORK_NODE_H

#include "mailhook/work/work.h"

/* By the ledger's clock: how often the worker gives a sign of life, and when it counts as silent. 10 and 60 s, or less
 * where a test has shorter leases. */
int node_beat_s(void);
int node_silent_s(void);

/* Sets node, life and owner of w: the name is the configuration's, else the host's; the life is this process's. */
enum mh_status node_name(struct work *w, struct mh_err *err);

/* Under the worker's lock: from here the first half of the life is the state folder's own, kept in STATE_DIR/node.id with
 * where that lies. Who has it and is no more was a worker of this folder, and is dead. In a copy of the folder, and
 * after a start of the machine, it is a new one: what another may still be at is waited for. */
enum mh_status node_settle(struct work *w, struct mh_err *err);
/* How the owners begin whose worker had this folder, and this name. */
struct mh_span node_owners(const struct work *w);

/* Takes the name in the ledger.
 *   out     ret_seen: with MH_SKIP when the other was seen last, by the ledger's clock; ret_ago_s: how long ago that is
 *   errors  MH_SKIP another worker has it, or had it a moment ago */
enum mh_status node_enter(struct work *w, int64_t *ret_seen, int64_t *ret_ago_s, struct mh_err *err);

/* What the others are told. */
struct node_report {
	int64_t intake, oldest_s, set_aside, running;
	const char *trouble; /* NULL: none */
};
/* A sign of life, which also tells of a clock that is not the ledger's. MH_SKIP: the name is another's now. */
enum mh_status node_beat(struct work *w, const struct node_report *r, struct mh_err *err);
/* Asks whether the clock is the ledger's, as node_beat does, and sets clock_off of w. MH_SKIP: it is not, in words. */
enum mh_status node_clock(struct work *w, struct mh_err *err);
enum mh_status node_leave(struct work *w, struct mh_err *err);

#endif
