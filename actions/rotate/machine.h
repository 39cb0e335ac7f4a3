/* machine.h: what the files of the state machine share: one run of one rotation.
 *
 * conf ─▶ run ─▶ state (from the checkpoint) ─▶ steps ─▶ checkpoint before each effect ─▶ one outcome
 */
#ifndef ACTIONS_ROTATE_MACHINE_H
#define ACTIONS_ROTATE_MACHINE_H

#include "actions/common/own_conf.h"
#include "actions/rotate/idp.h"
#include "actions/rotate/seal.h"

#define NOTICE_BEFORE_S (90 * MH_DAY_S) /* AWS writes from 90 days before the end */
#define MATCH_S MH_DAY_S                /* a token is the notice's where the ends differ by no more */
#define ALARM_BEFORE_S (2 * MH_DAY_S)   /* not done so long before the old token's end: people are told */
#define SCIM_PATIENCE_S 600             /* a new token may need some time until AWS takes it */
#define VALIDATE_PATIENCE_S MH_DAY_S    /* the provider refuses the new token: tried so long */
#define CREATE_DOUBT_S 120              /* a create without an answer shows in the list by then, or was none */
#define SKEW_S 5                        /* AWS's clock against ours, for the token of a create without an answer */
#define MAX_SAVES 8                     /* refusals by conflict or missing consistency */
#define MAX_RESAVES 3                   /* saved, and then it does not work */
#define WHO_BYTES 100

enum approval { APPROVAL_ASK, APPROVAL_AUTO, APPROVAL_TICKET_ONLY };

struct rotate_conf {
	cfg_t *cfg; /* own */
	struct place place;
	const struct aws_side *aws;
	const struct idp_driver *idp;
	enum approval approval;
	const char *key_file;
	bool delete_orphan;
	int64_t soak_s; /* where the provider does not tell of its synchronisations */
	struct wire wire;
};

/* Reads the action's own file.
 *   out     ret: rotate_conf_release is due in every case
 *   errors  MH_BAD "FILE:LINE: what", no such file, no key_file; MH_RETRY not readable, no memory */
enum mh_status rotate_conf_read(const char *path, struct rotate_conf *ret, struct mh_err *err);
void rotate_conf_release(struct rotate_conf *c);
/* Nobody has that key any more: what was sealed by it is made anew. */
bool rotate_conf_lost_key(const struct rotate_conf *c, const char *id);
cfg_t *rotate_conf_section(const struct rotate_conf *c, const char *section); /* NULL section: the whole file */

/* -- what is durable ----------------------------------------------------------------------------------------------- */

enum mark { MARK_NONE, MARK_CREATING, MARK_SAVING, MARK_DELETING }; /* an effect that was begun, perhaps done */

struct consent { /* a person's */
	char by[WHO_BYTES];
	int64_t at; /* 0: none */
};

struct rotation {
	enum step step;
	enum mark mark;
	int64_t marked_at; /* also: words about the old token's deletion that are older are about another new token */
	bool by_hand;      /* the API closed on us: a person makes and deletes tokens from now */
	char closed[160];  /* why */
	int64_t closed_at; /* and since when; 0: it is not closed */
	bool adopted;      /* the new token is a person's: it was there beside the old one */
	bool unproven; /* the provider could not be asked: a person decides on the deletion whatever is configured */
	bool resumed;  /* the provider was started again, once */
	bool soak_skipped; /* the old token had ended */
	struct aws_tokens before;
	bool has_old, has_fresh;
	struct aws_token old, fresh;
	char drop[ROTATE_ID_BYTES];    /* an expired token that goes first; "": none */
	char orphan[ROTATE_ID_BYTES];  /* of our create without an answer; "": none */
	char left[ROTATE_ID_BYTES];    /* of a new token that was given up and is to be deleted by a person; "": none */
	struct secret secret;          /* the new token; NULL: not made yet, or not needed any more */
	char foreign_key[SEAL_KEY_ID]; /* by which it was sealed where ours does not open it; "": ours does */
	char digest[IDP_DIGEST_HEX];   /* of it; "": never seen */
	int64_t refused_since;         /* AWS, then the provider, does not take the new token; 0: it does */
	int64_t put_at;                /* the save was answered; 0: not yet */
	int64_t saves, resaves;
	int64_t proof_at; /* when the synchronisation began that proves the new token; 0: none */
	struct consent start, del, handed;
	char note[160]; /* for the last word */
};

/* Reads the state of the last checkpoint. A sealed token that does not open is no error: then there is none.
 *   errors  MH_BAD: no state of ours */
enum mh_status rotation_read(
    const cJSON *state, const struct seal_key *key, const char *case_key, struct rotation *ret, struct mh_err *err);
/* The state as it is checkpointed, its secret sealed for this case and step. NULL with err: MH_RETRY. */
cJSON *rotation_json(const struct rotation *x, const struct seal_key *key, const char *case_key, struct mh_err *err);
void rotation_release(struct rotation *x);
void rotation_forget_secret(struct rotation *x); /* the digest stays */

/* -- preflight.c: which of the tokens that AWS lists is what. Pure. ------------------------------------------------ */

enum plan {
	PLAN_ROTATE,  /* old: the notice's */
	PLAN_FRESH,   /* there is none: make one */
	PLAN_RENEWED, /* fresh: nothing is left to do */
	PLAN_DROP,    /* drop: expired, deleted first; then look again */
	PLAN_ADOPT,   /* old: the notice's; fresh: made by somebody meanwhile */
	PLAN_PERSON   /* a person must look; words say why */
};
struct preflight {
	enum plan plan;
	const struct aws_token *old, *fresh, *drop;
	const char *words;
};
struct preflight preflight(const struct aws_tokens *t, int64_t notice_expires, int64_t now);

/* -- one run -------------------------------------------------------------------------------------------------------- */

struct run {
	struct protocol *protocol; /* foreign */
	const struct request *request;
	struct rotate_conf conf;
	struct seal_key key;
	struct rotation rotation;
	struct side_env env;
	void *aws, *idp;  /* states of the sides; NULL: not started */
	int64_t began_ms; /* monotonic */
	bool claimed;     /* the tenant, by this run */
	bool dry;
	bool located; /* the place was found in this run */
};

#define CASE_ID(r) ((r)->request->expiry.id) /* as a person writes it behind a command */

int64_t run_now(const struct run *r);  /* the request's time and what has passed since */
bool run_by_hand(const struct run *r); /* tokens are made and deleted by a person */
bool run_has_time(const struct run *r, int64_t s);
int64_t run_step_s(const struct run *r); /* so much time one step needs */

/* Stores the state. False: the job is not ours any more, and the outcome has been said. */
bool run_save(struct run *r);

/* The last line. Where nothing is in flight any more the tenant is let go before it: another case of it may begin. */
void run_last(struct run *r, const struct outcome_line *o, const char *words);
/* All say_ below are the last line too; but for say_report what stands in the world follows the words.
 *   in      step: what a person is asked for, or told: tickets hear of it when it is another than before;
 *           NULL: nothing */
void say_failed(struct run *r, const char *fmt, ...) MH_PRINTF(2, 3);
void say_retry(struct run *r, const struct mh_err *err); /* retry_after_s of env; elsewhere where a file is missing */
/* What a call of a side came to. A file that this machine lacks says nothing of the other side: MH_RETRY in its place,
 * where there are other machines. */
enum mh_status side_status(const struct run *r, enum mh_status status, const struct mh_err *err);
void say_wait_time(struct run *r, const char *step, int64_t s, const char *fmt, ...) MH_PRINTF(4, 5);
void say_wait_approval(struct run *r, const char *step, const char *fmt, ...) MH_PRINTF(3, 4);
void say_wait_input(struct run *r, const char *fmt, ...) MH_PRINTF(2, 3);
void say_report(struct run *r); /* done, with all that was proven and what is left */

/* A person's word about that step: the newest, or NULL. */
const struct approval_word *run_approved(const struct run *r, const char *step);

/* steps.c: goes as far as it can, and says the outcome. */
void run_steps(struct run *r);
/* All of these: true: go on; false: the outcome has been said. */
/* create.c */
bool step_plan(struct run *r);
bool step_create(struct run *r);
bool run_list(struct run *r, struct aws_tokens *ret); /* true also where the way is by hand from now */
bool run_remove(struct run *r, const char *id);       /* as run_list */
bool run_claim(struct run *r);
/* A person's word about that step since then, noted in ret. */
bool run_consented(struct run *r, const char *step, int64_t not_before, struct consent *ret);
bool start_again(struct run *r); /* from the plan, with nothing under way */
const struct aws_token *token_find(const struct aws_tokens *t, const char *id); /* NULL: it is not there */
bool token_same(const struct aws_token *a, const struct aws_token *b);          /* a may be NULL */
bool looks_like_token(const struct secret *s);
/* delete.c */
bool step_delete(struct run *r);
bool step_report(struct run *r);
/* The new token is deleted, or left to a person; the old one is untouched. Always false. */
bool abandon(struct run *r, const char *why);

/* input.c: the person hands over a token. */
void run_input(struct run *r);

/* describe.c: the dry run. */
void run_describe(struct run *r);

/* claim.c: one rotation a tenant. MH_SKIP: another one is under way, err says which; MH_RETRY: the job was taken away. */
enum mh_status claim_take(struct run *r, struct mh_err *err);
/* Where nothing of this rotation is left half done. False: nobody knows whether it was let go. */
bool claim_release(struct run *r);

#endif
