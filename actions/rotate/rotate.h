/* rotate.h: the action "rotate": the steps of a rotation, what of it is durable, and the AWS side's interface.
 *
 *   PLANNED ─▶ CREATED ─▶ SCIM_OK ─▶ IDP_VALIDATED ─▶ IDP_SAVED ─▶ IDP_VERIFIED ─▶ SOAKED ─▶ OLD_DELETED ─▶ REPORTED
 *
 * A step's name says what is proven. Each is written to the ledger before the next begins, and the effect that
 * leads to it can be repeated, or is guarded by a mark that is written first (a create, which cannot be repeated, and
 * the delete).
 */
#ifndef ACTIONS_ROTATE_ROTATE_H
#define ACTIONS_ROTATE_ROTATE_H

#include <confuse.h>

#include "actions/common/protocol.h"
#include "actions/common/secret.h"
#include "actions/common/wire.h"
#include "mailhook/mailhook.h"

#define ROTATE_MAX_TOKENS 8        /* AWS keeps two; more is an answer to be refused, not to be cut */
#define ROTATE_ID_BYTES 200        /* ids of tokens, tenants and stores, with NUL: longer ones are refused */
#define ROTATE_URL_BYTES 512       /* a SCIM endpoint, with NUL */
#define ROTATE_TOKEN_MIN_BYTES 100 /* AWS's are 500 to 620 long; what is shorter was cut when it was copied */
#define ROTATE_TOKEN_MAX_BYTES 4096

enum step {
	STEP_NONE,
	STEP_PLANNED,
	STEP_CREATED,
	STEP_SCIM_OK,
	STEP_IDP_VALIDATED,
	STEP_IDP_SAVED,
	STEP_IDP_VERIFIED,
	STEP_SOAKED,
	STEP_OLD_DELETED,
	STEP_REPORTED
};
extern const char *const step_names[STEP_REPORTED + 1]; /* "NONE", "PLANNED", ... */

/* -- what all sides are given --------------------------------------------------------------------------------------- */

/* Where the token lives, by the configuration; a side may fill in what is "" and must refuse what contradicts. */
struct place {
	char account[ROTATE_ID_BYTES];   /* 12 digits */
	char region[ROTATE_ID_BYTES];    /* the primary Region of Identity Center */
	char store[ROTATE_ID_BYTES];     /* IdentityStoreId, d-...; "": not known */
	char tenant[ROTATE_ID_BYTES];    /* first path segment of the endpoint */
	char endpoint[ROTATE_URL_BYTES]; /* https://scim.REGION.amazonaws.com/TENANT/scim/v2/, with the last slash */
};

struct side_env {
	struct protocol *protocol; /* for say() only; checkpoints are the machine's */
	struct wire wire;          /* CA file, proxy and times of the configuration */
	struct place *place;
	const char *rotation_id; /* 32 hex digits, the same for every attempt of this rotation; "" with check */
	const char *state_dir;
	int64_t now;           /* UTC seconds: an action has no clock of its own */
	int64_t deadline;      /* when this run is killed */
	int64_t retry_after_s; /* out, with MH_RETRY: what a server asked for; -1, as before each call: not said */
	char note[160];        /* out, with MH_OK: what a person should know all the same; "", as before each call */
};

/* One option of a side's own section in the configuration file. */
enum side_option_type { SIDE_TEXT, SIDE_LIST, SIDE_FLAG, SIDE_NUMBER };
struct side_option {
	const char *name; /* NULL ends the table */
	enum side_option_type type;
	const char *text; /* default of SIDE_TEXT; NULL: "". A list is empty by default */
	long number;      /* default of SIDE_FLAG and SIDE_NUMBER */
};

/* -- the AWS side -------------------------------------------------------------------------------------------------- */

struct aws_token { /* what AWS says of a token; never its value */
	char id[ROTATE_ID_BYTES];
	int64_t created, expires; /* UTC seconds, rounded down; both always known */
};

struct aws_tokens {
	struct aws_token items[ROTATE_MAX_TOKENS];
	size_t n;
};

struct aws_tenant {
	char id[ROTATE_ID_BYTES], endpoint[ROTATE_URL_BYTES];
};

/* How tokens are made and deleted. Every call is one try with at most a few requests; the machine waits and tries again.
 *   errors  of all slots but where said otherwise:
 *           MH_RETRY may pass: network, 429, 5xx (env.retry_after_s)
 *           MH_SKIP  this way is closed: the operation is gone, or denied to us. All that was done stays; the machine
 *                    goes on by hand (handover)
 *           MH_BAD   wrong configuration or credentials, an answer that makes no sense
 *           Texts hold the server's words, escaped and cut, never a token */
struct aws_side {
	const char *name;    /* as in aws = "..." */
	const char *section; /* its section of the configuration file; NULL: none */
	const struct side_option *options;
	bool by_hand; /* tokens are made and deleted by a person; the slots below are NULL */

	/* conf: its section. env stays valid until stop. *ret_state is handed to all others. Asks nobody. */
	enum mh_status (*start)(cfg_t *conf, struct side_env *env, void **ret_state, struct mh_err *err);
	void (*stop)(void *state);
	/* Without online: configuration and secrets are as they must be. Online: credentials, instance, tenant and
	 * tokens can be read, nothing is changed; what was found goes to say(). */
	enum mh_status (*check)(void *state, bool online, struct mh_err *err);
	/* Reads which store, primary Region and tenant it is (ListInstances, ListProvisioningTenants), fills in what
	 * env.place lacks. MH_BAD: AWS contradicts env.place, or there are several and none is named. */
	enum mh_status (*locate)(void *state, struct mh_err *err);
	/* All tokens of the tenant of env.place, oldest first, expired ones too.
	 * MH_LIMIT: more than ROTATE_MAX_TOKENS. */
	enum mh_status (*list)(void *state, struct aws_tokens *ret, struct mh_err *err);
	/* Makes a token: NOT idempotent, so it is sent once, never again on a doubt.
	 *   out     ret_secret: the value, to be released
	 *   errors  MH_LIMIT: refused because there are two already, nothing was made
	 *           MH_RETRY: nothing is known: perhaps it was made (no answer, 5xx, an answer that cannot be read)
	 *           MH_SKIP, MH_BAD: refused, nothing was made */
	enum mh_status (*create)(void *state, struct aws_token *ret, struct secret *ret_secret, struct mh_err *err);
	/* Deletes one token by its id. MH_OK also where there is none of that id any more. */
	enum mh_status (*remove)(void *state, const char *token_id, struct mh_err *err);
};

extern const struct aws_side aws_handover;    /* handover.c */
extern const struct aws_side aws_console_api; /* console_api.c */

/* -- registry.c ---------------------------------------------------------------------------------------------------- */

const struct aws_side *aws_side(const char *name); /* NULL: there is none */
const struct aws_side *aws_side_nth(size_t i);     /* NULL: no more */

#endif
