/* protocol.h: the action's end of mailhook-action(7): the request as a struct, and the lines that go back. */
#ifndef ACTIONS_COMMON_PROTOCOL_H
#define ACTIONS_COMMON_PROTOCOL_H

#include "mailhook/json.h"
#include "mailhook/mailhook.h"

enum verb { VERB_RUN, VERB_CHECK, VERB_DESCRIBE, VERB_INPUT, VERB_UNKNOWN };
enum case_event {
	EVENT_OPENED,
	EVENT_TRUSTED,
	EVENT_APPROVED,
	EVENT_REMINDED,
	EVENT_SUCCEEDED,
	EVENT_FAILED,
	EVENT_EXPIRED,
	EVENT_CLOSED
};
enum trust { TRUST_NONE, TRUST_RELAYED, TRUST_VERIFIED }; /* none: unverified */
extern const char *const event_names[8], *const trust_words[3];

struct job_outcome { /* another job of the case; action and outcome are never NULL */
	const char *action, *role, *event, *outcome, *waiting_for, *summary, *url;
};

struct approval_word {    /* a person's word about a step that an action had asked for */
	const char *step; /* NULL: the case as a whole */
	const char *by;
	int64_t at;
};

/* Strings point into json and are NULL where the request has none. */
struct request {
	enum verb verb;
	cJSON *json; /* own */
	int64_t now, deadline;
	const char *action, *config, *state_dir; /* config: may be NULL */
	bool observe;
	bool others; /* other machines work at the same jobs */
	bool sample; /* the case is made up, to show the action's texts: nobody is asked about it */
	/* not for VERB_CHECK: */
	const char *by; /* with VERB_INPUT: the person at the terminal */
	enum case_event event;
	int64_t event_number;           /* how many events the case had before this one */
	const char *job_key, *case_key; /* 32 hex digits */
	bool drill;                     /* the notice was written by "mailhook drill": nothing expires */
	struct {
		const char *kind, *account, *account_name, *owner, *environment, *assignee, *region, *resource, *reason,
		    *closed_by, *ticket_url;
		int64_t id; /* 0: not said */
		bool has_expires;
		int64_t expires, days_left;
		bool by_the_second; /* precision is "second" */
	} expiry;
	struct {
		enum trust level;
		const char *by;
	} trust;
	struct {
		const char *id, *references, *reply_to, *envelope_from;
		enum trust trust; /* in the mail itself: what a person vouched for proves nothing of its sender */
		bool automatic, list, own;
	} message;
	struct job_outcome *outcomes; /* own */
	size_t n_outcomes;
	struct approval_word *approvals; /* own; oldest first */
	size_t n_approvals;
	const cJSON *state; /* NULL: none */
};

/* An effect ends so long before the action is killed: what came of it must still be said. */
#define PROTOCOL_SPARE_MS 2000

struct protocol {
	int in_fd, out_fd;
	struct buf input;    /* read, not yet taken */
	int64_t deadline_ms; /* monotonic; when waiting for an answer ends */
	bool others;         /* of the request */
};

void protocol_init(struct protocol *p, int in_fd, int out_fd);
void protocol_release(struct protocol *p);

/* Reads the request from p.
 *   in      verb: the program's first argument; NULL if there was none
 *   out     ret: request_release is due in every case
 *   errors  MH_BAD it is not what mailhook-action(7) says; MH_RETRY read error, no memory */
enum mh_status request_read(struct protocol *p, const char *verb, struct request *ret, struct mh_err *err);
void request_release(struct request *r);

/* Stores state, which stays the caller's. True: it is durable and the effect may follow. False: no further effect. */
bool checkpoint(struct protocol *p, const cJSON *state);
/* A time of a stored state, by json_add_time. Missing is fine: untouched. False: it is none. */
bool state_time(const cJSON *state, const char *key, int64_t *ret);
/* A name that only one case may work on at a time, in all actions: plain ASCII without spaces, at most
 * MH_MAX_ACTION_CLAIM_BYTES. It outlasts this run, and ends when it is let go, when the job is done, or with its case.
 *   out     held: with MH_SKIP the key of the case that has it, 32 hex digits
 *   errors  MH_SKIP another case has it; MH_RETRY the job was taken away: no further effect */
#define PROTOCOL_KEY_BYTES 33
enum mh_status claim_name(struct protocol *p, const char *name, char held[PROTOCOL_KEY_BYTES], struct mh_err *err);
bool release_name(struct protocol *p, const char *name); /* false: the job was taken away */
/* Tells when a credential that the action itself uses ends: the core opens a case of it in time. The same name each time
 * ("API token", "TLS client certificate"), unique in the action, at most 60 bytes; CREDENTIAL_NO_END: it has no end.
 * To be told by `check` where it can be known there, and by `run` where the service says it beside its answer. */
#define CREDENTIAL_NO_END INT64_MAX
void credential_ends(struct protocol *p, const char *name, int64_t at);
void say(struct protocol *p, const char *fmt, ...) MH_PRINTF(2, 3);

struct outcome_line {
	const char *outcome; /* done, retry, failed, waiting, skipped */
	const char *url, *waiting_for;
	int64_t retry_after_s; /* below 0: not said */
	bool elsewhere;        /* with retry: this machine lacks what it needs */
	const char *step;      /* with waiting: which step waits, for "approve --step"; NULL: not said */
	/* with done: the credential was renewed: its new end, and when its issuer writes of it next; 0: not said */
	int64_t renewed_expires, renewed_notice;
};
/* The last line. A summary that is too long is cut. */
void outcome(struct protocol *p, const struct outcome_line *o, const char *fmt, ...) MH_PRINTF(3, 4);
/* What is missing here may be on one of the other machines that there are. */
bool lacks_here(const struct protocol *p, const struct mh_err *err);
/* The outcome that fits an error: MH_RETRY is retry, what this machine lacks is left to others, all else failed. */
void outcome_of_error(struct protocol *p, const struct mh_err *err);

#endif
