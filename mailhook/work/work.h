/* work.h: what all parts of the worker stand on. */
#ifndef MAILHOOK_WORK_WORK_H
#define MAILHOOK_WORK_WORK_H

#include "mailhook/conf.h"
#include "mailhook/sandbox.h"
#include "mailhook/work/ledger/ledger.h"

#define WORK_ARENA_BYTES ((size_t)256 << 20) /* rows of one question: a list of a million cases is the largest */

#define WORK_NODE_BYTES 65 /* 64 letters, digits or any of ._-@ */
#define WORK_LIFE_BYTES 33

struct accounts;
struct definitions;

struct work {
	struct conf *conf;               /* own, as all of these */
	struct accounts *accounts;       /* NULL: no accounts file */
	struct definitions *definitions; /* NULL where nothing is read */
	struct db *db;
	int64_t marked; /* 1 more than the last event that the mark beside the ledger knows; 0: not looked yet */
	char marked_of[LEDGER_KEY_HEX + 1]; /* the identity in that mark */
	bool mark_synced;      /* it need not be written anew to outlive a power cut; one found may be unsynced */
	int64_t mark_again_ms; /* monotonic: it could not be written, and is tried again then; 0: it could */
	char paused_of[LEDGER_KEY_HEX +
		       1];               /* the ledger that was paused for being another; its mark is not written yet */
	bool clock_off;                  /* from the server's of a shared ledger: others do what time brings (node.h) */
	void (*ledger_step)(void *user); /* step of db_options */
	void *ledger_step_user;
	struct reader reader;
	bool credentials_told;      /* an action told news of a credential: pass_time looks at all of them */
	int64_t dns_quiet_until_ms; /* monotonic: until then nobody is judged, see prove.h */
	char node[WORK_NODE_BYTES]; /* this machine's name among those that share the ledger */
	char life[WORK_LIFE_BYTES]; /* of this process: hex digits, others with each start */
	char owner[120];            /* of leases: NODE/LIFE */
	char libexec[1024];         /* the folder of this program */
};

/* Lines on stderr, "mailhook: ...", once an error; bytes from outside are escaped by the caller. */
void work_log(const char *fmt, ...) MH_PRINTF(1, 2);
/* conf_complain of both conf.h and parser.h. */
void work_complain(void *user, const char *line);

#endif
