/* idp.h: the identity provider's side of a rotation: who presents the SCIM token to AWS. One driver a file.
 *
 *   find ─▶ validate(new) ─▶ save(new) ─▶ saved(works?) ─▶ resume(once) ─▶ soaked(since the save)?
 *
 * Order is the machine's, and so is waiting: each call is one try. No call may change anything but save and resume.
 */
#ifndef ACTIONS_ROTATE_IDP_H
#define ACTIONS_ROTATE_IDP_H

#include "actions/rotate/rotate.h"

#define IDP_DIGEST_HEX 65 /* SHA-256 in hex, with NUL */

/* The new token. After SOAKED the value is gone from the ledger (the provider has it), its digest stays. */
struct idp_token {
	struct mh_span value;        /* p == NULL: not there any more */
	char digest[IDP_DIGEST_HEX]; /* SHA-256 of the value, lower case hex; "": never seen, a person made it */
};

/* What the provider is doing with it. */
enum idp_health {
	IDP_ACTIVE,  /* it provisions by itself */
	IDP_HELD,    /* it has stopped because of errors (Entra: quarantine): resume may start it again, once */
	IDP_STOPPED, /* a person stopped it, or it is off: left alone, a person is told */
	IDP_UNKNOWN  /* the provider cannot be asked */
};

struct idp_status {
	enum idp_health health;
	bool has_last_success;
	int64_t last_success; /* when the last synchronisation that went well began, UTC seconds */
	char words[160];      /* for a person: what it is doing and why; "": nothing to add */
};

/*   errors  of all slots but where said otherwise:
 *           MH_RETRY nothing is known: network, 429, 5xx, a change that is not visible yet (env.retry_after_s)
 *           MH_BAD   refused, or wrong configuration: the text says what, in the provider's words, escaped and cut
 *           MH_SKIP  this provider has no such thing: the machine, or a person, does without
 *           No token in any text */
struct idp_driver {
	const char *name;    /* as in idp = "..." */
	const char *section; /* its section of the configuration file */
	const struct side_option *options;

	enum mh_status (*start)(
	    cfg_t *conf, struct side_env *env, void **ret_state, struct mh_err *err); /* asks nobody */
	void (*stop)(void *state);
	/* Without online: configuration and secrets are as they must be; online: what find does, too. */
	enum mh_status (*check)(void *state, bool online, struct mh_err *err);
	/* That there is exactly one place for the token and that it may be read; asked before the first effect.
	 * MH_BAD: none, or several and none is named, or it belongs to another SCIM endpoint than env.place's. */
	enum mh_status (*find)(void *state, struct mh_err *err);
	/* The provider's own test with the new token, before anything is saved. MH_BAD: it says that it does not work. */
	enum mh_status (*validate)(void *state, const struct idp_token *t, struct mh_err *err);
	/* Saves it. The same token again is the same: may be repeated after a lost answer.
	 *   errors  MH_RETRY also: not allowed yet, in conflict: the machine tries a bounded number of times */
	enum mh_status (*save)(void *state, const struct idp_token *t, struct mh_err *err);
	/* That what is saved now is this token, or works. t->value may be gone. MH_BAD: it does not. MH_SKIP: it cannot
	 * be asked, and a person has to look. */
	enum mh_status (*saved)(void *state, const struct idp_token *t, struct mh_err *err);
	/* What it is doing. MH_SKIP: as IDP_UNKNOWN. */
	enum mh_status (*status)(void *state, struct idp_status *ret, struct mh_err *err);
	/* Starts what is IDP_HELD; called at most once a rotation. NULL: there is nothing to start. */
	enum mh_status (*resume)(void *state, struct mh_err *err);
};

extern const struct idp_driver idp_entra;           /* entra.c */
extern const struct idp_driver idp_secrets_manager; /* secrets_manager.c */
extern const struct idp_driver idp_exec;            /* exec.c */

const struct idp_driver *idp_driver(const char *name); /* NULL: there is none */
const struct idp_driver *idp_driver_nth(size_t i);     /* NULL: no more */

/* SCIM proof with a token: ServiceProviderConfig, then one user (scim.c). For a driver that can read what it saved.
 *   errors  MH_BAD 401 or 403: AWS does not take this token (yet); MH_RETRY 429, 5xx, network: no verdict */
enum mh_status scim_prove(struct side_env *env, struct mh_span token, struct mh_err *err);

#endif
