/* standstill.h: what does not go on though no program is in trouble: work that waits too long, and a pause that nobody
 * ends. Status, the alarm and /healthz ask here, so that none of them contradicts another. */
#ifndef MAILHOOK_WORK_STANDSTILL_H
#define MAILHOOK_WORK_STANDSTILL_H

#include "mailhook/work/work.h"

#define STANDSTILL_NOBODY_S 420  /* work may wait so long for a worker: one that cron starts comes every 5 minutes */
#define STANDSTILL_WORKER_S 1800 /* and so long while one runs: a full round of slow actions fits in */
#define STANDSTILL_PAUSE_S 86400 /* a person who paused everything means to come back */
#define STANDSTILL_WORDS 300

/* The words of both are one sentence without a full stop; "": nothing stands still. w->db is open.
 *   errors  those of db.h */

/* A job whose time has come and whom nobody does, or that its worker left.
 *   in      worker: one runs here; others: other nodes work */
enum mh_status standstill_jobs(
    struct work *w, bool worker, bool others, int64_t now, char ret[STANDSTILL_WORDS], struct mh_err *err);
/* Everything is paused: at once where mailhook did that itself, as behind a restore, for nobody may know of it. */
enum mh_status standstill_pause(struct work *w, int64_t now, char ret[STANDSTILL_WORDS], struct mh_err *err);

#endif
