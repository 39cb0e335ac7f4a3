/* mailboxes.h: how the mailboxes are read that mailhook-imap watches: for status, and a case of one that is read no more. */
#ifndef MAILHOOK_WORK_MAILBOXES_H
#define MAILHOOK_WORK_MAILBOXES_H

#include <stdio.h>

#include "mailhook/json.h"
#include "mailhook/work/work.h"

#define KIND_MAILBOX "mailhook.mailbox-silent"
#define MAILBOXES_EVERY_S 60 /* how often the worker looks */

struct mailbox_row {
	const struct conf_mailbox *box;
	bool watching, known, silent; /* known: it was read before; silent: for longer than it may be */
	int64_t last_ok, silence_s;   /* silence_s: since then, or since it is configured; -1: that is not known yet */
	int64_t filing, again;
	const char *error; /* NULL: none */
	const char *node;  /* another one that watches it; NULL: none does */
	bool attended;     /* somebody is there to watch it, here or on another node */
};
struct mailbox_rows {
	struct mailbox_row *items; /* in the order of the configuration */
	size_t n;
	int64_t now; /* of what silence is measured by: among nodes the ledger's */
};

/* What the report of mailhook-imap says of each configured mailbox, and the ledger where nodes share it. All in the arena.
 *   errors  MH_RETRY no memory, those of db.h */
enum mh_status mailboxes_look(
    struct work *w, struct arena *a, int64_t now, struct mailbox_rows *ret, struct mh_err *err);

/* A line each for a person, and the same as a list "mailboxes" of j, and as metrics. */
void mailboxes_text(const struct mailbox_rows *rows, FILE *out);
bool mailboxes_json(const struct mailbox_rows *rows, cJSON *j);
void mailboxes_prometheus(const struct mailbox_rows *rows, struct buf *out);

/* Opens the cases of mailboxes that are silent, and closes those of others. Inside the caller's transaction. */
enum mh_status mailboxes_cases(struct work *w, struct arena *a, int64_t now, struct mh_err *err);

#endif
