/* preset.h: HTTP requests written as data: how a service is asked, and what its answer means. The actions ticket and
 * trigger share it; mailhook-preset(5) says what stands in a file.
 *
 * Every string of a request is a template (template.h) and is filled in where it stands: a JSON body is a tree whose
 * strings are filled, a form value, a path segment and a header each get their own escape. So no value, whoever wrote
 * it, can become syntax.
 */
#ifndef ACTIONS_COMMON_PRESET_H
#define ACTIONS_COMMON_PRESET_H

#include "actions/common/http.h"
#include "actions/common/own_conf.h"
#include "actions/common/secret.h"
#include "actions/common/template.h"
#include "actions/common/wire_conf.h"
#include "mailhook/json.h"

#define PRESET_MAX_VARS 96  /* case, settings, taken values and maps together */
#define PRESET_MAX_PAIRS 64 /* of the user's own values; GitHub takes 25 inputs */

struct preset_shipped { /* a file of the action's presets folder, compiled in */
	const char *name, *text;
};
struct preset;

/* Reads a preset.
 *   in      name: of a shipped one, or an absolute path; shipped: ends with { NULL, NULL }
 *           requests: NULL-ended names of the requests that the action can ask, the first of which must be there
 *   out     *ret: drop_preset
 *   errors  MH_BAD there is none of that name; no JSON; a key, method or path that is none; MH_RETRY not readable */
enum mh_status preset_read(const char *name, const struct preset_shipped *shipped, const char *const *requests,
    struct preset **ret, struct mh_err *err);
void drop_preset(struct preset **p);
bool preset_has(const struct preset *p, const char *request);
const char *preset_title(const struct preset *p);
/* Whether a request of it is signed for AWS. */
bool preset_is_aws(const struct preset *p);
/* What may run twice by the service's own word: a request with a key that the service knows again. */
bool preset_is_idempotent(const struct preset *p, const char *request);

/* -- what is filled in -------------------------------------------------------------------------------------------- */

struct preset_settings {  /* of the action's file: PRESET_OPTIONS */
	const char *url;  /* NULL: the preset's own */
	const char *user; /* NULL: none */
	struct secret secret;
	struct template_var *settings; /* own; values point into the configuration */
	size_t n_settings;
	struct template_var *pairs; /* own; the user's own values, still templates */
	size_t n_pairs;
	struct wire wire;
	int64_t retry_after_s; /* of a token server that did not answer; -1: not said */
	const char *token;     /* the configuration of mailhook-token(8) that gave the secret; NULL: another source */
};

/* Options for the action's cfg_opt_t table, and the checks that belong to them. */
#define PRESET_OPTIONS                                                                                                 \
	CFG_STR("preset", "", CFGF_NONE), CFG_STR("url", "", CFGF_NONE), CFG_STR("user", "", CFGF_NONE),               \
	    CFG_STR("secret_file", "", CFGF_NONE), CFG_STR_LIST("secret_command", "{}", CFGF_NONE),                    \
	    CFG_STR("token", "", CFGF_NONE), CFG_STR_LIST("settings", "{}", CFGF_NONE),                                \
	    CFG_STR_LIST("values", "{}", CFGF_NONE), WIRE_OPTIONS, CFG_INT("timeout_s", 30, CFGF_NONE)
#define PRESET_CHECKS                                                                                                  \
	{ "settings", preset_check_pairs }, { "values", preset_check_pairs }, { "timeout_s", preset_check_timeout },   \
	{                                                                                                              \
		"secret_command", check_command                                                                        \
	}
int preset_check_pairs(cfg_t *cfg, cfg_opt_t *opt); /* NAME=VALUE */
int preset_check_timeout(cfg_t *cfg, cfg_opt_t *opt);

/* Takes them; the secret is read from its file, its command, or asked of the token server (token.h).
 *   in      deadline_ms: monotonic, of the action
 *   out     ret: preset_settings_release is due in every case */
enum mh_status preset_settings_read(
    cfg_t *cfg, int64_t deadline_ms, int64_t now, struct preset_settings *ret, struct mh_err *err);
void preset_settings_release(struct preset_settings *s);

struct preset_context { /* of one run */
	const struct preset *preset;
	const struct preset_settings *settings;
	const struct template_vars *vars; /* the case's and the action's own; job_key must be among them */
	const cJSON *taken;               /* an object of strings that earlier answers gave; or NULL */
	int64_t now;
	/* How a request is sent; NULL: http_try with the settings' wire. aws: the request's "aws" service, or NULL. */
	enum mh_status (*send)(
	    void *user, const struct http_request *q, const char *aws, struct http_answer *ret, struct mh_err *err);
	void *user;
};

/* -- asking ------------------------------------------------------------------------------------------------------- */

enum preset_state { PRESET_OPEN, PRESET_DONE, PRESET_FAILED }; /* by "done_if" and "failed_if"; else open */

struct preset_answer {
	long status; /* 0: no answer came */
	bool sent;   /* false: nothing left this machine, so nothing can have happened */
	int64_t retry_after_s;
	enum preset_state state;
	cJSON *taken;    /* own; an object of strings: "take", over those of the context */
	char words[200]; /* the service's own, cut and cleaned; "" where it said none or what must stay secret */
};

void preset_answer_release(struct preset_answer *a);

/* Asks once.
 *   out     ret: preset_answer_release is due in every case
 *   errors  MH_SKIP a status of "skip", or a "take" that must be there and is not
 *           MH_RETRY no answer, or one that may pass
 *           MH_BAD refused, also with HTTP 200 ("refused_if"), or a variable that is unknown
 *           MH_LIMIT something too long */
enum mh_status preset_ask(
    const struct preset_context *c, const char *request, struct preset_answer *ret, struct mh_err *err);

/* Whether it has such a request, and the request's "when" renders to something: all that it needs is known.
 * Errors of this and the three below: those of preset_ask that need no answer. */
enum mh_status preset_can_ask(const struct preset_context *c, const char *request, bool *ret, struct mh_err *err);

/* One of the preset's maps, filled in: what it has to say besides its requests.
 *   errors  MH_SKIP there is none, or it is empty */
enum mh_status preset_word(const struct preset_context *c, const char *name, struct buf *ret, struct mh_err *err);

/* A request as it would be sent, a line each, the secret as "***". Asks nobody. */
enum mh_status preset_show(const struct preset_context *c, const char *request, struct buf *out, struct mh_err *err);

/* Builds every request of the preset and sends none: what is wrong in templates and settings is found before it is
 * needed. Values that only an answer gives are left empty. */
enum mh_status preset_check(const struct preset_context *c, struct mh_err *err);

#endif
