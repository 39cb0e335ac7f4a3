/* conf.h: the main configuration (libconfuse), read once per process into plain structs.
 *
 * Every wrong value is complained of with file and line in one go; the first syntax error ends a file. Drop-ins:
 * FILE.d/ *.conf, sorted. "${" is refused. mailhook.conf(5) is the user's view of this.
 */
#ifndef MAILHOOK_CONF_H
#define MAILHOOK_CONF_H

#include "mailhook/mailhook.h"

#define CONF_DEFAULT_FILE "/etc/mailhook/mailhook.conf"
#define CONF_DEFAULT_STATE_DIR "/var/lib/mailhook"

enum trust_level { TRUST_UNVERIFIED, TRUST_RELAYED, TRUST_VERIFIED };
extern const char *const trust_names[]; /* "unverified", "relayed", "verified" */

/* What an action is to the jobs. */
enum action_role {
	ROLE_TICKET, /* one job for every event of a case, in order */
	ROLE_EFFECT, /* one job a case, woken by "trusted" and "approved", never doubled: rotate, trigger, a user's program */
	ROLE_REPLY /* one job an event, after the event's other jobs */
};

/* How the worker's log is written; auto: to the journal where stderr is its stream, else as text. */
enum conf_log { CONF_LOG_AUTO, CONF_LOG_TEXT, CONF_LOG_JSON, CONF_LOG_JOURNAL };
#define CONF_LOGS 4
extern const char *const conf_log_names[CONF_LOGS];
/* error: something is not done. warning: it is tried again, or a person should look. notice: cases and jobs change.
 * info: messages come, the worker starts and stops. debug: what actions say, and mail of no concern. */
enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };
#define CONF_LOG_LEVELS 5
extern const char *const conf_log_level_names[CONF_LOG_LEVELS];

struct conf_list {
	const char **items;
	size_t n;
};

struct conf_action {
	const char *name, *program; /* program: a name in libexec's actions, or an absolute path */
	const char *config;         /* actions/NAME.conf beside the main file; may not exist */
	enum action_role role;      /* by program name: ticket, reply, else effect; "role =" overrides */
	enum trust_level needs;     /* effect: verified by default; ticket and reply: unverified */
	struct conf_list after;     /* names of actions whose job of the same event must have ended well before */
	struct conf_list pass_env;
	bool mail_raw;  /* mail = "raw" */
	int deadline_s; /* default 60 */
	int give_up_s;  /* age of a job at which retries end, default 3 days */
	const char *file;
	int line;
};

struct conf_rule {
	const char *name;
	int order;                        /* default 50; equal orders: as written */
	struct conf_list kinds, accounts; /* empty: all; a trailing '*' matches any rest */
	struct conf_list environments;    /* the same; those of the accounts file. An account not in it has none */
	struct conf_list actions;         /* "do" */
	int expect_s; /* after the last expiry, or the case's end if later: when the next cycle's first notice must have
			 come; 0: never; CONF_EXPECT_BY_KIND: conf_expect_s() says */
	const char *file;
	int line;
};
#define CONF_EXPECT_BY_KIND (-1)

/* Other actions where nobody acted. Exactly one of the two times is given, the other is -1. */
struct conf_escalate {
	const char *name;
	int after_s, before_s;                   /* since the case was opened; before its expiry */
	struct conf_list rules, kinds, accounts; /* empty: all; kinds and accounts as in a rule */
	struct conf_list actions;                /* "do" */
	const char *file;
	int line;
};

/* One of our own credentials, of which no mail tells. Exactly one of expires and certificate_file is given. */
struct conf_credential {
	const char *name;
	bool has_expires, day; /* day: only a date was given */
	int64_t expires;
	const char *certificate_file;
	const char *renew;           /* words for the person who renews it; NULL: none */
	struct conf_list thresholds; /* days, falling */
	const char *file;
	int line;
};

enum mailbox_auth { AUTH_AUTO, AUTH_LOGIN, AUTH_PLAIN, AUTH_XOAUTH2, AUTH_OAUTHBEARER };
#define CONF_AUTHS 5
extern const char *const conf_auth_names[CONF_AUTHS];

struct conf_mailbox {
	const char *name, *url, *user, *password_file, *password_command, *token; /* token: mailhook-token's file */
	const char *done, *review, *irrelevant, *keyword;                         /* NULL: not wanted */
	const char *ca_file;                                                      /* NULL: the system's authorities */
	const char *prefer; /* the node that has it back whenever it returns; NULL: whoever has it */
	enum mailbox_auth auth;
	bool mark_seen, allow_plain; /* allow_plain: to any host */
	bool all_bodies, no_search;  /* bodies = "all"; search = "never" */
	int poll_s, idle_s, timeout_s, rescan_s, silent_s;
	int64_t max_message_bytes; /* of a longer message only so much is fetched */
	const char *file;
	int line;
};

struct conf_trust {
	struct conf_list authserv_id, arc_sealers, forwarders, sns_topics;
	int hops;
	bool authres_stripped;
	const char *resolver;
};

struct conf {
	const char *file; /* NULL: the embedded defaults */
	const char *state_dir, *ledger, *accounts_file,
	    *definitions_dir; /* definitions_dir: default "definitions" beside the file */
	const char *publish_dir, *metrics_file, *metrics_listen; /* NULL: not wanted */
	const char *node; /* this machine's name among those that share the ledger; NULL: the host's */
	enum conf_log log;
	enum log_level log_level;
	const char *intake_dir;                                     /* STATE_DIR/intake */
	const char *ledger_password_file, *ledger_password_command; /* NULL: none */
	const char *ledger_path; /* the path of "sqlite:PATH"; NULL for another engine */
	bool observe,
	    embedded;    /* embedded: no action and no rule was configured; the built-in ticket and reply are used */
	int max_running; /* action programs at once, default 4 */
	int flood_unlisted, flood_listed, flood_account, flood_unread; /* cases a day, of unverified mail */
	int quarantine_messages;
	int64_t quarantine_bytes;
	int keep_mail_s;             /* after a case's end its mails' bytes are kept so long; default 90 days */
	int keep_cases_s;            /* and the case itself; 0: for ever */
	struct conf_list thresholds; /* days, as text, falling */
	struct conf_trust trust;
	struct conf_mailbox *mailboxes;
	size_t n_mailboxes;
	struct conf_action *actions;
	size_t n_actions;
	struct conf_rule *rules; /* in the order in which they are tried */
	size_t n_rules;
	struct conf_escalate *escalations;
	size_t n_escalations;
	struct conf_credential *credentials;
	size_t n_credentials;
	struct arena arena; /* own: all strings */
};

typedef void conf_complain(void *user, const char *line); /* "FILE:LINE: what", no line end */

/* Reads the configuration.
 *   in      path: NULL for the default file; where that does not exist, the embedded defaults are used
 *   errors  MH_BAD at least one complaint; MH_RETRY it could not be read (a path that was named must exist)
 *           In both cases *ret is still set when state_dir could be found, with embedded defaults else, so that the
 *           intake stays usable; NULL when not. */
enum mh_status conf_load(const char *path, conf_complain *complain, void *user, struct conf **ret, struct mh_err *err);
void conf_free(struct conf *c);

const struct conf_action *conf_action(const struct conf *c, const char *name); /* NULL: none */
/* The first rule that takes a case of that kind, account and account's environment; NULL: none. Both may be unknown. */
const struct conf_rule *conf_rule_for(
    const struct conf *c, struct mh_span kind, struct mh_span account, struct mh_span environment);

/* Whether an item of such a list takes that one: '*' at its end takes any rest. */
bool conf_pattern_takes(const char *pattern, struct mh_span s);
/* Whether a rule's or an escalation's list of kinds or accounts takes that one; an empty list takes all. */
bool conf_takes(const struct conf_list *list, struct mh_span s);
const struct conf_credential *conf_credential(const struct conf *c, const char *name); /* NULL: none */
/* The expect_s of a case's rule, which may be unknown or gone, else that of its kind; 0: no next notice is expected. */
int conf_expect_s(const struct conf *c, const char *rule, const char *kind);

bool conf_duration(const char *text, int64_t *ret_s); /* "90", "90s", "15m", "6h", "3d" */

#endif
