/* pass.h: what comes about because time passes: reminders, expiries, escalations, notices that did not come, and the life
 * of our own credentials. mailhook.conf(5) says when each happens. All instants are the caller's.
 *
 * While everything is paused nothing comes about: nobody could be told, and at the end of the pause a pile of old
 * reminders would be.
 *
 * Each thing happens once a case and is written in one transaction with its events and jobs, so that neither a crash nor
 * a clock that is set back repeats it. Of what passed while nothing ran only the last comes: a clock that jumps a year
 * brings one event "expired" a case, and at most one round of each escalation.
 */
#ifndef MAILHOOK_WORK_PASS_H
#define MAILHOOK_WORK_PASS_H

#include "mailhook/work/work.h"

#define KIND_SILENCE "mailhook.silence"
#define KIND_CREDENTIAL "mailhook.credential"
#define PASS_BATCH 256          /* cases of one transaction: others wait for it */
#define PASS_CREDENTIALS_S 3600 /* how often certificate files are read */

struct pass {
	bool paused;            /* everything is: no time passes for cases */
	bool started;           /* the configuration was compared with the one before; false again after a reload */
	int64_t credentials_at; /* when they were looked at last */
	int64_t mailboxes_at;   /* the same of mailboxes */
};

/* All that has come about by now, at most PASS_BATCH cases of it; *ret_more: there is more.
 *   errors  those of db.h; nothing of the batch has changed then */
enum mh_status pass_time(struct work *w, struct pass *p, int64_t now, bool *ret_more, struct mh_err *err);
/* When to call it again at the latest, after it left nothing. */
int64_t pass_next(struct work *w, const struct pass *p, int64_t now);

/* The days of an item of "thresholds". */
int64_t pass_days(const char *text);

/* Opens and closes the cases of our own credentials: the configuration's, and those of which actions tell (own.c). Inside
 * the caller's transaction. */
enum mh_status own_credentials(struct work *w, struct arena *a, int64_t now, struct mh_err *err);

#endif
