/* conf_parts.h: what the files of the configuration's reader share: text as libconfuse handed it over, with its places.
 *
 * conf_read.c turns files into blocks and values (syntax), conf_check.c knows what a right value is, conf_build.c makes
 * the structs of conf.h from them (meaning), conf_names.c looks at how they name each other. No other module includes
 * this header.
 */
#ifndef MAILHOOK_CONF_PARTS_H
#define MAILHOOK_CONF_PARTS_H

#include "mailhook/conf.h"

enum conf_kind { CONF_TOP, CONF_TRUST, CONF_MAILBOX, CONF_ACTION, CONF_RULE, CONF_ESCALATE, CONF_CREDENTIAL };
#define CONF_KINDS 7
extern const char *const conf_kind_names[CONF_KINDS]; /* the top has no name in a file: NULL */

enum conf_key {
	KEY_STATE_DIR,
	KEY_ACCOUNTS_FILE,
	KEY_LEDGER,
	KEY_LEDGER_PASSWORD_FILE,
	KEY_LEDGER_PASSWORD_COMMAND,
	KEY_NODE,
	KEY_DEFINITIONS_DIR,
	KEY_PUBLISH_DIR,
	KEY_METRICS_FILE,
	KEY_METRICS_LISTEN,
	KEY_LOG,
	KEY_LOG_LEVEL,
	KEY_OBSERVE,
	KEY_MAX_RUNNING,
	KEY_FLOOD_UNLISTED,
	KEY_FLOOD_LISTED,
	KEY_FLOOD_ACCOUNT,
	KEY_FLOOD_UNREAD,
	KEY_QUARANTINE_MESSAGES,
	KEY_QUARANTINE_BYTES,
	KEY_THRESHOLDS,
	KEY_KEEP_MAIL,
	KEY_KEEP_CASES,
	KEY_AUTHSERV_ID,
	KEY_HOPS,
	KEY_ARC_SEALERS,
	KEY_FORWARDERS,
	KEY_SNS_TOPICS,
	KEY_RESOLVER,
	KEY_AUTHRES_STRIPPED,
	KEY_URL,
	KEY_USER,
	KEY_PASSWORD_FILE,
	KEY_PASSWORD_COMMAND,
	KEY_DONE,
	KEY_REVIEW,
	KEY_IRRELEVANT,
	KEY_KEYWORD,
	KEY_MARK_SEEN,
	KEY_TOKEN,
	KEY_AUTH,
	KEY_CA_FILE,
	KEY_ALLOW_PLAIN,
	KEY_POLL,
	KEY_IDLE,
	KEY_TIMEOUT,
	KEY_RESCAN,
	KEY_SILENT,
	KEY_BODIES,
	KEY_SEARCH,
	KEY_MAX_MESSAGE,
	KEY_PREFER,
	KEY_PROGRAM,
	KEY_ROLE,
	KEY_NEEDS,
	KEY_AFTER,
	KEY_PASS_ENV,
	KEY_MAIL,
	KEY_DEADLINE,
	KEY_GIVE_UP,
	KEY_KINDS,
	KEY_ACCOUNTS,
	KEY_ENVIRONMENTS,
	KEY_DO,
	KEY_ORDER,
	KEY_EXPECT,
	KEY_ESCALATE_AFTER,
	KEY_ESCALATE_BEFORE,
	KEY_ESCALATE_RULES,
	KEY_ESCALATE_KINDS,
	KEY_ESCALATE_ACCOUNTS,
	KEY_ESCALATE_DO,
	KEY_EXPIRES,
	KEY_CERTIFICATE_FILE,
	KEY_REMIND,
	KEY_RENEW
};
#define CONF_KEYS (KEY_RENEW + 1) /* the last one */

struct conf_option {
	enum conf_kind kind;
	bool list;
	const char *name;
	bool (*right)(const char *text);
	const char *must; /* "an absolute path": what right() wants, in words that follow "must be" */
};

extern const struct conf_option conf_options[CONF_KEYS]; /* by enum conf_key */

bool conf_title_right(const char *text); /* of a mailbox, action or rule: also a file name, so no slash */
/* A whole number without sign; false: not one, or outside [min, max]. */
bool conf_integer(const char *text, int64_t min, int64_t max, int64_t *ret);
bool conf_credential_title_right(const char *text); /* words for a person: also blanks inside */
bool conf_expect(const char *text, int64_t *ret_s); /* a duration, or "never": 0 */
/* "2027-01-31" (then *ret_day: the day's last second), or RFC 3339 in UTC. */
bool conf_instant(const char *text, int64_t *ret, bool *ret_day);
bool conf_size(const char *text, int64_t *ret_bytes); /* "65536", "64k", "64M", "1G" */
bool conf_bool(const char *text, bool *ret);          /* true, yes, on; false, no, off */
bool conf_word(const char *text, const char *const *words, size_t n, size_t *ret_at);
extern const char *const conf_role_names[3]; /* by enum action_role */

struct conf_value {
	enum conf_key key;
	const char *text, *file;
	int line;
	bool right; /* false: complained of, and of no further use than to know that the option was given */
};

struct conf_block {
	enum conf_kind kind;
	const char *title; /* NULL for the top and trust */
	const char *file;
	int line;
	bool cut;                  /* a syntax error ended it: what is missing in it may have stood behind */
	struct conf_value *values; /* as written; of a list given twice the last */
	size_t n, cap;
};

struct conf_source {
	struct arena *arena; /* borrowed */
	conf_complain *complain;
	void *user;
	struct conf_block *blocks; /* one for the top of each file, then its blocks */
	size_t n, cap;
	bool wrong;            /* something was complained of */
	bool cut;              /* a file ended in a syntax error: names may be unknown only for that */
	const char *state_dir; /* the last one that was read or scanned */
};

/* Complains of a place: "FILE:LINE: what". */
void conf_wrong(struct conf_source *s, const char *file, int line, const char *fmt, ...) MH_PRINTF(4, 5);

/* Reads one file into the source.
 *   errors  MH_SKIP it does not exist; MH_RETRY it cannot be read, or no memory. What is wrong in it is no error here:
 *           it was complained of, and s->wrong is set */
enum mh_status conf_read_file(struct conf_source *s, const char *path, struct mh_err *err);

/* Is the option written in this block, be it right or not? */
bool conf_given(const struct conf_block *b, enum conf_key key);
/* Fills c from all blocks.
 *   in      dir: where "actions" and "definitions" stand; readable: all files were read
 *   out     *ret_whole: all that was written was taken over. False: no memory */
bool conf_build(struct conf *c, struct conf_source *s, const char *dir, bool readable, bool *ret_whole);

/* Complains of names of no action, of an "after" that a rule's order or a cycle makes impossible. False: no memory. */
bool conf_check_names(struct conf *c, struct conf_source *s);

/* The bytes of a configuration file with a NUL behind them that ret does not count. Not libconfuse's business, so that
 * the line scan needs none of it. MH_SKIP: it does not exist; MH_RETRY: not readable; MH_LIMIT: too big. */
enum mh_status conf_slurp(const char *path, struct arena *a, struct mh_span *ret, struct mh_err *err);
/* state_dir by a line scan of a text; NULL where no line has one. */
const char *conf_scan_text(struct mh_span text, struct arena *a);

#endif
