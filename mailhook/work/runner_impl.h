/* runner_impl.h: what runner.c (runs of jobs), runner_lease.c (their leases), runner_claim.c (names that they claim),
 * runner_ask.c (questions) and runner_look.c (runs that a ledger forgot) share. */
#ifndef MAILHOOK_WORK_RUNNER_IMPL_H
#define MAILHOOK_WORK_RUNNER_IMPL_H

#include "mailhook/work/digest.h"
#include "mailhook/work/fence.h"
#include "mailhook/work/job.h"
#include "mailhook/work/launch.h"
#include "mailhook/work/log.h"
#include "mailhook/work/runner.h"

#define RUN_ARENA_BYTES ((size_t)32 << 20)

struct running {
	struct runner *runner;
	struct launch *launch;      /* own; NULL: this place is free */
	int64_t job_id, case_id;    /* job_id 0: a check */
	int64_t attempt;            /* of the job: which run of it this is */
	int64_t message_id;         /* the one that the case stands on; 0: none */
	int64_t asked;              /* of a check: when it was started */
	char *action;               /* own */
	bool observed;              /* the verb was describe */
	bool ended;                 /* the answer is there but not yet in the ledger, */
	bool tried;                 /* or nobody knows whether it is */
	char confirmed[DIGEST_HEX]; /* of the last checkpoint, whose effect may have followed; "": none, or not known */
	bool forgotten;             /* the ledger does not know of this run any more */
	struct answer_line answer;
	int64_t renew_at_ms, fence_at_ms; /* clock_boot_ms(); of a job. fence_at_ms: with a ledger that nodes share */
};

struct runner {
	struct work *w;
	struct running *places;
	size_t n;
	struct fence *fence; /* own; NULL with a local ledger: there a lease ends with its worker */
};

/* Errors of all, where a line says no more: those of db.h. */

struct running *runner_free_place(struct runner *r); /* NULL: there is none */
void runner_clear(struct running *p);                /* kills what runs there */
/* A line of the log about what runs there. */
void runner_tell(enum log_level level, const struct running *p, const char *outcome, const char *fmt, ...)
    MH_PRINTF(4, 5);

struct lease_row runner_run(const struct running *p);
/* The lease of a job that runs was ours at that instant of clock_boot_ms(), and is for its whole time from there.
 *   errors  MH_RETRY: nothing would end it in time */
enum mh_status runner_hold(struct running *p, int64_t since_ms, struct mh_err *err);
void runner_let_go(struct running *p);                              /* nothing of it runs any more */
bool runner_fenced(const struct running *p);                        /* it must not run any longer: its lease may end */
enum mh_status runner_renew(struct running *p, struct mh_err *err); /* MH_SKIP: the lease is not ours any more */
/* What the ledger has confirmed of it, a state of its action: runner_look compares it. */
void runner_confirmed(struct running *p, struct mh_span state);
/* Queues again what others, or a terminal, have lost. */
enum mh_status runner_take_back(struct runner *r, int64_t now, struct arena *a, struct mh_err *err);

/* Callbacks of launch.h; user: the struct running. */
bool runner_on_checkpoint(void *user, struct mh_span state);
enum claim_answer runner_on_claim(void *user, const char *name, char held[CLAIM_HELD_BYTES]); /* runner_claim.c */
bool runner_on_release(void *user, const char *name);
void runner_on_say(void *user, struct mh_span text);
void runner_on_credential(void *user, const struct credential_line *c);

/* Program and environment of an action, in the arena. */
enum mh_status runner_fill(
    struct work *w, const struct conf_action *act, struct launch_spec *spec, struct arena *a, struct mh_err *err);
/* What a check that has ended said. */
enum mh_status runner_end_check(struct running *p, struct mh_err *err);

#endif
