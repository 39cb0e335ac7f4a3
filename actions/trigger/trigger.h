/* trigger.h: the action "trigger": starts what renews a credential elsewhere, once a case, and follows it to its end.
 *
 *   none ─▶ starting ─▶ started ─▶ done | failed
 *              └─▶ doubt: the answer was lost and the service would not know the same start again: a person decides
 */
#ifndef ACTIONS_TRIGGER_TRIGGER_H
#define ACTIONS_TRIGGER_TRIGGER_H

#include "actions/common/aws.h"
#include "actions/common/case_text.h"
#include "actions/common/preset.h"

#define TRIGGER_MAX_PAYLOAD_BYTES (24u << 10) /* it stands twice in the state, escaped; a state may have 128 kB */
#define TRIGGER_STEP_AGAIN "start-again"      /* what a person approves: another start, after a doubt */
#define TRIGGER_STEP_RENEWED "renewed"        /* that it is renewed, where nobody can be asked */

struct trigger_conf {
	cfg_t *cfg;            /* own */
	struct preset *preset; /* own; NULL: command */
	const char *command[OWN_CONF_MAX_WORDS + 1];
	int64_t poll_s, give_up_s;
	bool confirm; /* without an end that can be asked for, a person says that it is renewed */
	bool repeat;  /* whoever is started knows job_key again: a doubt is no reason to ask */
};

/* Reads the action's own file.
 *   errors  MH_BAD "FILE:LINE: what", neither preset nor command, a preset that is none; MH_RETRY not readable */
enum mh_status trigger_conf_read(const char *path, struct trigger_conf *ret, struct mh_err *err);
void trigger_conf_release(struct trigger_conf *c);

enum trigger_step { TRIGGER_NONE, TRIGGER_STARTING, TRIGGER_STARTED, TRIGGER_DOUBT };

struct trigger_state { /* of the checkpoint */
	enum trigger_step step;
	int64_t round;         /* how often it was given up and is begun anew: another key, for it is another start */
	int64_t since;         /* when the first start was made */
	int64_t asked_at;      /* when a person was asked; 0: never */
	char *payload;         /* own; the same for every attempt */
	cJSON *values, *taken; /* own; objects of strings: the user's values, filled in; what answers gave */
};

struct trigger {                   /* one run */
	struct protocol *protocol; /* foreign, as are request and conf */
	const struct request *request;
	const struct trigger_conf *conf;
	struct arena *arena;
	struct template_vars vars;
	struct preset_settings settings;
	struct aws_conf aws_conf;
	struct aws aws;
	enum aws_fault fault; /* of the last request to AWS */
	struct trigger_state state;
	char key[33]; /* the job's, made another by the round */
};

/* -- state.c: what is durable.
 *   errors  MH_BAD a state that is none of ours, a template of "values" that is wrong
 *           MH_LIMIT too long; MH_RETRY no memory */
enum mh_status trigger_state_read(struct trigger *t, struct mh_err *err);
/* The state of a first attempt: payload and values, filled in from the case. */
enum mh_status trigger_state_begin(struct trigger *t, struct mh_err *err);
/* The same for another start, where the one before has failed or is in doubt. */
enum mh_status trigger_state_again(struct trigger *t, struct mh_err *err);
void trigger_state_release(struct trigger_state *s);
/* Stores it. MH_RETRY: the job is no longer ours. */
enum mh_status trigger_save(struct trigger *t, enum trigger_step step, struct mh_err *err);

/* -- run.c: goes as far as it can, and says the outcome; an error is the caller's to say.
 *   errors  those of trigger_save, preset.h, aws.h and trigger_program */
enum mh_status trigger_run(struct trigger *t, struct mh_err *err);
enum mh_status trigger_describe(struct trigger *t, struct mh_err *err);
enum mh_status trigger_check(struct trigger *t, struct mh_err *err);

/* -- aws_send.c: preset.h's send, through aws.h. MH_OK too where the service refuses: what that means is the preset's.
 *   errors  those of http_try and aws_post */
enum mh_status trigger_send(
    void *user, const struct http_request *q, const char *aws, struct http_answer *ret, struct mh_err *err);

/* -- program.c: a local program gets the payload; its exit status decides.
 *   errors  MH_RETRY 75, "not now"; MH_BAD any other but 0; MH_LIMIT killed, or not in time; those of program_run */
enum mh_status trigger_program(struct trigger *t, char *words, size_t words_bytes, struct mh_err *err);
enum mh_status trigger_program_check(const struct trigger_conf *c, struct mh_err *err);

#endif
