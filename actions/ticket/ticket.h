/* ticket.h: what a ticket system is to mailhook. A new one is one driver file and one line in registry.c.
 *
 * A job may run twice, so every call that changes something carries the job's key and changes nothing the second time.
 */
#ifndef ACTIONS_TICKET_TICKET_H
#define ACTIONS_TICKET_TICKET_H

#include "actions/common/case_text.h"
#include "actions/common/own_conf.h"
#include "actions/common/protocol.h"

enum ticket_priority { PRIORITY_NORMAL, PRIORITY_HIGH, PRIORITY_URGENT };
extern const char *const priority_names[3];

struct ticket_ref {      /* a ticket that was found or opened; strings in the arena */
	const char *id;  /* the driver's own */
	const char *url; /* for a person */
	bool open;
	bool of_job; /* this very job has opened it (as far as the system can tell) */
	enum ticket_priority priority;
};

struct ticket_new {
	const char *key;            /* 32 hex digits: what it is found by */
	struct mh_span title, body; /* UTF-8; title is one line */
	struct mh_span due;         /* "2026-02-03", or unknown */
	enum ticket_priority priority;
};

struct ticket_change {
	enum ticket_priority raise_to; /* never lowers */
	struct mh_span due;            /* unknown: stays */
};

struct ticket_driver {
	const char *name, *help;
	/* Options of the driver's own in the action's file, by name; read with cfg_getstr and the like. */

	/* Makes ret_state, in the arena where it can be. MH_BAD: the configuration does not do; MH_RETRY: it may pass. */
	enum mh_status (*start)(
	    cfg_t *conf, const struct request *r, struct arena *a, void **ret_state, struct mh_err *err);
	void (*stop)(void *state);
	/* Proves that tickets can be written, without writing one. */
	enum mh_status (*check)(void *state, struct mh_err *err);
	/* MH_SKIP: none carries this very key. A search that failed is MH_RETRY or MH_BAD, never MH_SKIP. */
	enum mh_status (*find)(void *state, const char *key, struct ticket_ref *ret, struct mh_err *err);
	/* Opens it; where one with that key has appeared meanwhile, that one is the answer. */
	enum mh_status (*open)(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err);
	enum mh_status (*comment)(void *state, const struct ticket_ref *ref, struct mh_span text, struct mh_err *err);
	enum mh_status (*change)(
	    void *state, const struct ticket_ref *ref, const struct ticket_change *c, struct mh_err *err);
	enum mh_status (*close)(void *state, const struct ticket_ref *ref, struct mh_err *err);
	/* The ticket as it stands, for people: describe and tests. MH_SKIP: it is gone. */
	enum mh_status (*read)(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err);
};

extern const struct ticket_driver ticket_local; /* local.c */
/* NULL: there is none of that name. */
const struct ticket_driver *ticket_driver(const char *name);

/* -- plan.c: which event does what. Pure. ------------------------------------------------------------------------- */

struct ticket_limits {
	int64_t high_days, urgent_days;
};

struct ticket_plan {
	bool open;    /* when there is none */
	bool comment; /* when there is one */
	bool raise, close;
	enum ticket_priority priority; /* of a new one, or to be raised to */
};

/* found: the ticket, or NULL where none was found. resumed: this job has begun to open one before. */
struct ticket_plan ticket_plan(
    const struct request *r, const struct ticket_limits *l, const struct ticket_ref *found, bool resumed);

#endif
