/* leasing.h: what the files of "mailhook-work leases" share: what there is to watch, and one round with the ledger.
 *
 *   cmd_leases.c  hears the supervisor, and lives    lease_round.c  renews, takes, asks, and says what came of it
 */
#ifndef MAILHOOK_WORK_LEASING_H
#define MAILHOOK_WORK_LEASING_H

#include "mailhook/imap/lease_times.h"
#include "mailhook/json.h"
#include "mailhook/work/ledger/mailbox_leases.h"
#include "mailhook/work/work.h"

#define LEASING_FROM "from " /* a position's first line in the ledger is "from NODE" */

struct box {
	const char *name; /* in the arena */
	bool back;        /* it should be with this node */
	bool granted;
	bool off;        /* given up for good */
	int64_t late_ms; /* until then others come first */
	bool giving;     /* said to be given up, and not yet done */
};

struct leasing {
	struct work w;
	struct lease_times times;
	struct arena arena; /* own: names */
	struct arena rows;  /* own: of one round, or of one line */
	struct box *boxes;
	size_t n;
	char life[LEDGER_KEY_HEX + 1];
	struct buf in;       /* own: lines that are not whole yet */
	int64_t asked, seen; /* questions to the supervisor, whether it still is */
	int64_t next_ms, last_ms;
	bool told, asking, ended, forgot; /* told: what there is to watch */
	bool well;                        /* the last round reached the ledger: else nobody waits for it in between */
};

struct mailbox_holder leasing_holder(const struct leasing *l);
struct box *leasing_box(struct leasing *l, const char *name); /* NULL: this node has none of that name */
/* Opens it where it is not open. errors: those of work_open_ledger; MH_RETRY: there is none yet */
enum mh_status leasing_ledger(struct leasing *l, struct mh_err *err);

/* To the supervisor: one line. */
void leasing_say(const cJSON *j);
void leasing_say_one(const char *key, const char *value);

/* Gives up those of which that was said, and not done yet. */
enum mh_status leasing_give_up(struct leasing *l, struct mh_err *err);
/* Renews, takes and asks, grants what became ours, and says so; next_ms is when the next one is due. */
void leasing_round(struct leasing *l);

#endif
