/* report.h: STATE_DIR/imap.json: how mailboxes are read, written by mailhook-imap for whoever wants to know.
 *
 *   {"version":1,"written":T,"mailboxes":[{"name":"ops","watching":true,"last_ok":T|null,"error":"..."|null,
 *    "filing":N,"again":N,"taken":N,"node":"beta"|null}]}   node: another one that watches it instead */
#ifndef MAILHOOK_IMAP_REPORT_H
#define MAILHOOK_IMAP_REPORT_H

#include "mailhook/conf.h"

#define REPORT_FILE "imap.json"
#define REPORT_LOCK "imap.lock" /* held by whoever watches */

struct slot;

struct report_row {
	const char *name, *error; /* error: NULL: none */
	const char *node;         /* NULL: no other one watches it */
	bool watching, has_last_ok;
	int64_t last_ok, filing, again, taken;
};

struct report {
	int64_t written; /* 0: nobody wrote one yet */
	bool running;    /* somebody watches now */
	struct report_row *rows;
	size_t n;
};

enum mh_status report_write(const struct conf *conf, struct slot *slots, int64_t now, struct mh_err *err);
/* The last time of a mailbox from an earlier report. */
void report_last(const char *state_dir, const char *name, struct slot *slot);
/* Reads the report; one that is not there, or cannot be understood, is an empty one. Rows are in the arena.
 *   errors  MH_RETRY no memory */
enum mh_status report_read(const char *state_dir, struct arena *a, struct report *ret, struct mh_err *err);
const struct report_row *report_of(const struct report *r, const char *name); /* NULL: none */

#endif
