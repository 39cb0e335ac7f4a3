/* rest.h: JSON over HTTP for ticket systems: one base URL, one credential, one wording of refusals.
 *
 * A driver's options begin with REST_OPTIONS and its checks with REST_CHECKS. A call is tried once; retrying is the
 * core's. Nothing here answers MH_SKIP: that a search found nothing is for the driver to say, who has seen its list.
 */
#ifndef ACTIONS_TICKET_REST_H
#define ACTIONS_TICKET_REST_H

#include "actions/common/http.h"
#include "actions/common/secret.h"
#include "actions/common/wire_conf.h"
#include "actions/ticket/ticket.h"

/* secret_file, secret_command: a token, API key or, with user, a password. token: mailhook-token(8)'s configuration. */
#define REST_OPTIONS                                                                                                   \
	CFG_STR("url", "", CFGF_NONE), CFG_STR("user", "", CFGF_NONE), CFG_STR("secret_file", "", CFGF_NONE),          \
	    CFG_STR_LIST("secret_command", NULL, CFGF_NODEFAULT), CFG_STR("token", "", CFGF_NONE), WIRE_OPTIONS,       \
	    CFG_INT("timeout_s", 25, CFGF_NONE)
#define REST_CHECKS                                                                                                    \
	{ "url", rest_check_url }, { "secret_command", check_command }, { "token", check_absolute },                   \
	    { "ca_file", check_absolute }, { "cert_file", check_absolute }, { "key_file", check_absolute },            \
	{                                                                                                              \
		"timeout_s", rest_check_timeout                                                                        \
	}

int rest_check_url(cfg_t *cfg, cfg_opt_t *opt);
int rest_check_timeout(cfg_t *cfg, cfg_opt_t *opt);

#define REST_MAX_HEADERS 12

/* How the secret goes out. Where user is set and basic, "Authorization: Basic"; where token is set, always
 * "Authorization: Bearer"; else HEADER: PREFIX SECRET. */
struct rest_auth {
	const char *header, *prefix; /* "Authorization", "Bearer "; header NULL: no secret is needed */
	bool basic;
};

struct rest_answer {
	long status;
	cJSON *json;             /* own; NULL: the body was empty, or accept_any and no JSON */
	struct http_answer http; /* own */
};

struct rest {
	struct ticket_desk *desk; /* foreign */
	struct wire wire;
	const char *base; /* without a slash at its end; in the arena */
	struct rest_auth auth;
	struct buf credential; /* own: the header's value; zeroed */
	struct http_header headers[REST_MAX_HEADERS];
	size_t n_headers; /* sent with each call: a driver adds its own (API versions) */
	const char *const *keep;
	/* What a status comes to; NULL: http_class. For systems that say "slow down" by 403 or 400.
	 *   out  *ret_retry_after_s: as the server said it; -1: not said */
	enum mh_status (*judge)(const struct http_answer *a, int64_t now, int64_t *ret_retry_after_s);
	/* The server's own words in a refusal; NULL or MH_NONE: rest_words() looks in the usual places. */
	struct mh_span (*words_of)(const cJSON *json, struct arena *a);
};

/* Reads the options and the secret. stop is due in every case.
 *   in      default_base: where url is not set; NULL: it must be
 *   errors  MH_BAD: no url, a secret file that does not do; MH_RETRY: a secret program that failed */
enum mh_status rest_start(
    struct rest *r, struct ticket_desk *d, const char *default_base, const struct rest_auth *auth, struct mh_err *err);
void rest_stop(struct rest *r);
/* secret_file or secret_command: for a system that wants it elsewhere than in a header. */
enum mh_status rest_secret(cfg_t *cfg, struct secret *ret, struct mh_err *err);
/* An Authorization or other header for each call; value is copied into the arena, no secret. */
enum mh_status rest_add_header(struct rest *r, const char *name, struct mh_span value, struct mh_err *err);

struct rest_call {
	const char *method,
	    *path;            /* path begins with '/', is encoded, and goes behind base; or a whole URL below base */
	const cJSON *body;    /* NULL: none */
	struct mh_span bytes; /* instead of body: as they are, with type */
	const char *type;     /* NULL: application/json */
	const char *doing;    /* "open a ticket": words for errors */
	bool accept_any;      /* a 2xx answer need not be JSON */
	bool statuses;        /* every status is an answer: the driver looks at it */
};

/* Sends it once.
 *   out     ret: rest_answer_release is due in every case; 2xx only, but with statuses
 *   errors  MH_RETRY, MH_BAD as http_try and judge; the text names the host, what was being done, the status and the
 *           server's own words, cut and cleaned; in full they stand in desk->words. desk->retry_after_s is set.
 *           MH_RETRY too where a 2xx body is not JSON: a login page or a proxy's, not an answer */
enum mh_status rest_call(struct rest *r, const struct rest_call *c, struct rest_answer *ret, struct mh_err *err);
void rest_answer_release(struct rest_answer *a); /* for MH_AUTO; fine on zeroes */

/* The refusal that an answer is, worded as rest_call words it; for calls with statuses. */
enum mh_status rest_refused(
    struct rest *r, const struct rest_call *c, const struct rest_answer *a, enum mh_status code, struct mh_err *err);

/* A path of parts: "%s" of fmt is put in percent-encoded, nothing else is allowed in fmt. In the arena. */
enum mh_status rest_path(struct rest *r, const char **ret, struct mh_err *err, const char *fmt, ...) MH_PRINTF(4, 5);

/* -- small things that all drivers need --------------------------------------------------------------------------- */

/* A string or a number below a key, as text in the arena (ids are either, even in one system). NULL: neither. */
const char *rest_id(struct rest *r, const cJSON *j, const char *key);
/* j's member by a path of keys, "status.name"; NULL. */
const cJSON *rest_at(const cJSON *j, const char *path);
/* "NAME, NAME, ..." of a list's objects, cut at 200 bytes: what is allowed, for errors. */
void rest_names(const cJSON *list, const char *key, struct buf *out);
/* A line of a ticket as it is shown: name, and value on one line. Nothing where value is NULL. */
void rest_put_line(struct buf *out, const char *name, const char *value);
/* url is ours, and id its part behind base + before, up to a character that ends an id. For id_of_url. */
enum mh_status rest_id_of_url(
    struct rest *r, const char *url, const char *before, const char **ret_id, struct mh_err *err);

#endif
