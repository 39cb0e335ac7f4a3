/* commands.h: the commands of mailhook-work, and what they share. */
#ifndef MAILHOOK_WORK_COMMANDS_H
#define MAILHOOK_WORK_COMMANDS_H

#include "mailhook/cli.h"
#include "mailhook/json.h"
#include "mailhook/work/ledger/upkeep.h"
#include "mailhook/work/speech.h"
#include "mailhook/work/work.h"

enum work_exit { EXIT_OK = CLI_OK, EXIT_ATTENTION = CLI_ATTENTION, EXIT_USAGE = CLI_USAGE, EXIT_LATER = CLI_LATER };

struct options {
	const char *config; /* NULL: the default */
	bool json, once, no_wait, ics, html, prometheus, all, online, templates, alarm;
	const char *mail, *sendmail;   /* with alarm; NULL: not given */
	const char *within, *color;    /* of list; NULL: not given */
	bool vouch, choose_rule;       /* approve --vouch, retry --rule */
	const char *account, *expires; /* with vouch; NULL: not given */
	const char *step;              /* of approve; NULL: not given */
	const char *mailbox;           /* of drill; NULL: by pipe */
	const char *rule, *action;     /* of pause and resume; NULL: not given */
	bool dry_run;                  /* of requeue */
	const char *undo;              /* of ledger copy; NULL: not given */
	const char *trust;             /* of backtest; NULL: verified */
	char **operands;               /* the arguments that are no options, of a command that takes several */
	size_t n_operands;
	const char *operand; /* the one argument that is no option; NULL: none */
};

int run_command(const struct options *o);
int check_command(const struct options *o);
int list_command(const struct options *o);
int show_command(const struct options *o);
int status_command(const struct options *o);
int alarm_command(const struct options *o); /* status --alarm */
int close_command(const struct options *o);
int approve_command(const struct options *o);
int handover_command(const struct options *o);
int retry_command(const struct options *o);
int requeue_command(const struct options *o);
int pause_command(const struct options *o);
int resume_command(const struct options *o);
int purge_command(const struct options *o);
int backup_command(const struct options *o);
int ledger_command(const struct options *o);
int copy_command(const struct options *o);   /* ledger copy FROM TO */
int forget_command(const struct options *o); /* ledger forget NODE */
int backtest_command(const struct options *o);
int drill_command(const struct options *o);
int leases_command(const struct options *o);

/* A case's facts as keys of j, for list and show (cmd_list.c). False: no memory. */
bool case_json(cJSON *j, const struct case_row *c, int64_t now);

/* Rules that are never reached and kinds without a rule, for check (check_rules.c). How many are wrong. */
size_t check_rules(const struct work *w);

/* What the trust block comes to, for check. How much is wrong: 1 where online says that the resolver does not answer. */
size_t check_trust(const struct work *w, bool online);

/* Whether mailboxes can be watched, for check: their secrets, and, online, their servers (check_mailboxes.c). 0: they can. */
size_t check_mailboxes(const struct work *w, const char *config, bool online);

/* -- opening (work.c) ---------------------------------------------------------------------------------------------- */

/* Reads configuration and accounts; complaints go to stderr. MH_BAD: the configuration is wrong. w is zeroed before. */
enum mh_status work_load(struct work *w, const char *config, struct mh_err *err);
enum mh_status work_read_definitions(struct work *w, bool *ret_all_right, struct mh_err *err);
enum mh_status work_open_ledger(struct work *w, bool create, struct mh_err *err); /* MH_SKIP: there is none yet */
/* The same of an address as "ledger" in the configuration has it, into *ret. out_of_use: as of struct db_options. */
enum mh_status work_open_at(
    const struct work *w, const char *address, bool create, bool out_of_use, struct db **ret, struct mh_err *err);
/* What the server of the configuration's ledger is, in words; a connection is made for that, a ledger need not be there.
 * MH_SKIP: the ledger is a file. */
enum mh_status work_describe_ledger(const struct work *w, struct buf *ret, struct mh_err *err);
/* Those of the state and its intake.
 *   errors  MH_BAD the state is another user's, as owner_may_work() has it */
enum mh_status work_make_folders(struct work *w, struct mh_err *err);
void work_release(struct work *w);
int work_exit(enum mh_status status);
void work_wake(const struct conf *conf); /* a worker that runs looks at its jobs now */

/* -- steering ------------------------------------------------------------------------------------------------------ */

/* Opens the ledger that is there, and looks at the mark beside it. MH_SKIP: there is none yet, as no message was taken in. */
enum mh_status steer_open(struct work *w, struct mh_err *err);

struct steering { /* of one case by one person */
	struct work *w;
	const struct options *o;
	const struct case_row *c;
	const char *by;
	struct arena *a;
	struct speech *speech;
	void *user;
};
typedef enum mh_status steer_how(const struct steering *s, struct mh_err *err);
/* Opens everything, finds the case that o names, and lets how do it; then the worker is woken. The exit code. */
int steer_case(const struct options *o, steer_how *how, void *user);

/* Who steers, for the history: see the head of who.c for whom to believe. */
void who_steers(char *dst, size_t dst_bytes);
/* What is paused, for status, list and show (cmd_pause.c): one line each; c: only what touches that case, or NULL. */
enum mh_status pause_lines(struct work *w, const struct case_row *c, struct buf *out, struct mh_err *err);
/* The same as a list "paused" of j; without a ledger it is empty. */
bool pause_add(const struct pause_rows *pauses, const struct case_row *c, cJSON *j); /* false: no memory */
enum mh_status pause_json(struct work *w, const struct case_row *c, cJSON *j, struct mh_err *err);
/* To stdout, whatever is paused, each line behind the word "paused"; without a ledger none. */
enum mh_status pause_print(struct work *w, struct mh_err *err);

/* -- the lock (lock.c) --------------------------------------------------------------------------------------------- */

/* STATE_DIR/worker.lock, exclusively. MH_SKIP: another worker holds it. A service locks its first byte as well. */
enum mh_status lock_take(const char *state_dir, bool service, int *ret_fd, struct mh_err *err);
bool lock_held(const char *state_dir);       /* by a worker; a look only */
bool lock_is_service(const char *state_dir); /* of a lock that is held */

/* -- the loop (loop.c) --------------------------------------------------------------------------------------------- */

struct loop_options {
	bool once;
	bool no_wait;       /* with once: end at once where another worker is at work, which sees what we came for */
	const char *config; /* for SIGHUP */
	void (*before_unlock)(
	    void *user); /* tests: with once, when nothing is left and the lock is still held; or NULL */
	void *user;
};
int loop_run(struct work *w, const struct loop_options *o);

/* One file of the intake into the ledger. MH_OK also where it was set aside.
 *   errors  MH_RETRY the file stays */
enum mh_status intake_take(struct work *w, const char *name, struct mh_err *err);

#endif
