/* state.h: how things stand, in numbers: for status, for a monitor, and for whoever asks over HTTP. */
#ifndef MAILHOOK_WORK_STATE_H
#define MAILHOOK_WORK_STATE_H

#include "mailhook/work/mailboxes.h"
#include "mailhook/work/nodes_look.h"
#include "mailhook/work/standstill.h"
#include "mailhook/work/work.h"

struct state {
	bool worker;
	int intake_errno;              /* why the intake cannot be read; ENOENT: there is none yet; 0: it can */
	int64_t intake, oldest_s, bad; /* oldest_s: age of the oldest message in it */
	int64_t cases_open, drills_open, failed_open; /* drills stand apart */
	int64_t expired, within_7d, within_30d;       /* open cases; within_30d counts those of within_7d too */
	int64_t jobs[JOB_SKIPPED + 1];
	int64_t due, oldest_due_s; /* jobs whose time has come */
	int64_t approvals, oldest_approval_s, inputs;
	int64_t left, left_by_all; /* jobs that a node leaves to others; those that all of them leave */
	int64_t quarantine, quarantine_bytes, quarantine_dropped, flood_dropped;
	int64_t paused_all, paused_rules, paused_actions, oldest_pause_s; /* paused_all: 0 or 1 */
	char jobs_stand[STANDSTILL_WORDS];                                /* as standstill_jobs() has it */
	int64_t wrong; /* what check would say of definitions of one's own; 0: they are right */
	char wrong_first[400];
	char away[160]; /* why the ledger cannot be read: what is in it is not known; "": it can */
	struct mailbox_rows mailboxes;
	struct node_looks nodes;
	struct arena arena; /* own: mailboxes, nodes */
};

/* Looks at the intake, and at the ledger where w->db is open.
 *   in      worker: whether one runs
 *   errors  those of db.h; but where the ledger cannot be read now, that is `away` */
enum mh_status state_read(struct work *w, bool worker, int64_t now, struct state *ret, struct mh_err *err);
/* The intake alone: its counts, or why it cannot be read. */
void state_look_at_intake(const char *folder, int64_t now, struct state *s);
/* The definitions of one's own: what is wrong in them now, whatever a worker has read of them. */
void state_look_at_definitions(const char *folder, struct state *s);
void state_release(struct state *s);
/* There is an intake, and what is in it is not known. */
bool state_intake_closed(const struct state *s);
/* Something that a person should look at. */
bool state_attention(const struct state *s);

/* With what is paused, by name, from the ledger of w. */
enum mh_status state_json(struct work *w, const struct state *s, struct buf *out, struct mh_err *err);
/* The text format of Prometheus, version 0.0.4. */
void state_prometheus(const struct state *s, int64_t now, struct buf *out);

#endif
