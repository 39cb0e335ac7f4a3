/* aws.h: AWS's services without its SDK: where credentials come from, one signed POST, and what a refusal means.
 *
 *   environment ─▶ profile (role_arn, web identity, keys, credential_process) ─▶ container ─▶ EC2 ─▶ the role, if any
 *
 * The first that is set counts, and what is wrong with it is an error: nothing falls through to other credentials.
 * Nothing is kept on disk; mailhook-aws(7) is for users.
 */
#ifndef ACTIONS_COMMON_AWS_H
#define ACTIONS_COMMON_AWS_H

#include <confuse.h>

#include "actions/common/http.h"
#include "actions/common/secret.h"

#define AWS_MAX_ACCOUNTS 200
#define AWS_NAME_BYTES 64
#define AWS_MANDATORY_S 600 /* keys that end sooner are asked for anew, as botocore does */

/* -- configuration ------------------------------------------------------------------------------------------------ */

struct aws_conf {           /* strings are the configuration's; NULL where not set */
	const char *region; /* else AWS_REGION, AWS_DEFAULT_REGION, the profile's */
	const char *profile, *config_file, *credentials_file;
	const char *role; /* assumed with what the chain gave; "{account}" in it: the notice's */
	const char *external_id, *session_name;
	const char *endpoint;                   /* URL of any service, with {service} and {region} */
	const char *accounts[AWS_MAX_ACCOUNTS]; /* whose role may be assumed where the notice names the account */
	size_t n_accounts;
	struct wire wire;
};

/* Options of a section of the action's file. Each is X(name, is a list). */
#define AWS_OPTIONS_LIST(TEXT, LIST)                                                                                   \
	TEXT("region"), TEXT("profile"), TEXT("config_file"), TEXT("credentials_file"), TEXT("role"),                  \
	    TEXT("external_id"), TEXT("session_name"), TEXT("endpoint"), LIST("accounts")
#define AWS_CFG_TEXT(name) CFG_STR(name, "", CFGF_NONE)
#define AWS_CFG_LIST(name) CFG_STR_LIST(name, "{}", CFGF_NONE)
#define AWS_OPTIONS AWS_OPTIONS_LIST(AWS_CFG_TEXT, AWS_CFG_LIST)

/* Takes the options; the wire is the caller's.
 *   errors  MH_BAD a Region, account or path that is none; {account} in the role without accounts */
enum mh_status aws_conf_read(cfg_t *section, const struct wire *wire, struct aws_conf *ret, struct mh_err *err);

/* -- credentials -------------------------------------------------------------------------------------------------- */

struct aws_keys {
	struct secret key_id, secret, token; /* own; token.p == NULL: none */
	int64_t expires;                     /* UTC seconds; 0: not said */
	char source[96];                     /* for a person: "the profile \"ops\"" */
};
void aws_keys_release(struct aws_keys *k);

struct aws { /* one run's session with AWS */
	const struct aws_conf *conf;
	const char *account; /* the notice's, or NULL */
	int64_t now;
	struct aws_keys keys;        /* own */
	char region[AWS_NAME_BYTES]; /* "": not known yet */
	int64_t retry_after_s;       /* of the last call; -1: not said */
};

void aws_init(struct aws *s, const struct aws_conf *conf, const char *account, int64_t now);
void aws_release(struct aws *s);

/* Sees to it that s->keys last for AWS_MANDATORY_S at least, and that s->region is set.
 *   in      fresh: even if they seem good
 *   errors  MH_BAD none are configured, or wrongly; the notice's account is not listed; AWS refuses the role
 *           MH_RETRY a source that does not answer */
enum mh_status aws_sign_in(struct aws *s, bool fresh, struct mh_err *err);
/* The Region alone: asks nobody. MH_BAD: it is set nowhere. */
enum mh_status aws_find_region(struct aws *s, struct mh_err *err);

/* -- calls -------------------------------------------------------------------------------------------------------- */

enum aws_fault {
	AWS_FINE,
	AWS_NO_ANSWER,   /* network: what happened is not known, unless nothing was sent */
	AWS_BROKEN,      /* 5xx: the same */
	AWS_THROTTLED,   /* not done, may pass */
	AWS_CREDENTIALS, /* wrong or ended */
	AWS_SKEWED,      /* this machine's clock is wrong */
	AWS_DENIED,
	AWS_NOT_FOUND, /* what the request named */
	AWS_FULL,      /* a limit or a conflict */
	AWS_GONE,      /* there is no such operation */
	AWS_REFUSED    /* all else */
};

struct aws_request {
	const char *service;               /* the signature's */
	const char *host;                  /* first label of the host; NULL: service */
	const char *url;                   /* all of it, instead of the endpoint; NULL */
	const char *path;                  /* NULL: "/" */
	const char *region;                /* NULL: the session's */
	const char *type;                  /* Content-Type */
	const char *target;                /* X-Amz-Target; NULL: none */
	const struct http_header *headers; /* more of them */
	size_t n_headers;
	struct mh_span body;
	const char *const *keep; /* headers to keep of the answer */
};

struct aws_answer {
	struct http_answer http; /* own */
	enum aws_fault fault;
	char code[80];   /* "ThrottlingException"; "": none was said */
	char words[160]; /* AWS's own, cut and cleaned */
};
void aws_answer_init(struct aws_answer *a);
void aws_answer_release(struct aws_answer *a);

/* Signs in where that is due, and asks once; once more with new keys where AWS says that these have ended.
 *   out     ret: initialised; ret->fault in every case; s->retry_after_s
 *   errors  MH_RETRY AWS_NO_ANSWER, AWS_BROKEN, AWS_THROTTLED; MH_BAD all else but AWS_FINE. Texts hold AWS's words and
 *           code, no header, no key */
enum mh_status aws_post(struct aws *s, const struct aws_request *q, struct aws_answer *ret, struct mh_err *err);

/* "#Name" of "ns#Name:http://...", and what it means with this status. Pure; for tests. */
enum aws_fault aws_fault_of(long status, const char *code, const char *words);

#endif
