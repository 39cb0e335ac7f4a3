/* mailbox_leases.h: which node watches a mailbox, in a ledger that nodes share.
 *
 * A row is a mailbox that some node has in its configuration. Whoever is named in it may watch until its time ends, by
 * the ledger's clock; where that has passed, anybody may take it. Each function is one statement, or one for each
 * hundred of names, outside a transaction: a node that stops in the middle holds nobody up, and no writer of the ledger
 * keeps a lease from being renewed. Errors of all: those of db.h.
 */
#ifndef MAILHOOK_WORK_LEDGER_MAILBOX_LEASES_H
#define MAILHOOK_WORK_LEDGER_MAILBOX_LEASES_H

#include "mailhook/work/ledger/ledger.h"

#define MAILBOX_FORGET_S (30 * MH_DAY_S) /* a row that nobody took for so long is of a mailbox that is gone */

struct mailbox_lease_row {
	const char *mailbox, *node, *life;
	int64_t until;
	const char *wanted; /* NULL: nobody asked for it */
	bool has_read;
	int64_t read;
};
struct mailbox_lease_rows {
	struct mailbox_lease_row *items;
	size_t n, cap;
};
struct mailbox_position {
	const char *mailbox, *text; /* text: "": none yet */
};
struct mailbox_positions {
	struct mailbox_position *items;
	size_t n, cap;
};
struct mailbox_names {
	const char **items;
	size_t n;
};
/* Who asks: a node, and its life, which tells it from another of the same name. */
struct mailbox_holder {
	const char *node, *life;
};
/* When all that was there had been read. */
struct mailbox_read {
	const char *mailbox;
	int64_t at;
};

/* All rows, by mailbox. */
enum mh_status ledger_mailbox_leases(
    struct db *db, struct arena *a, struct mailbox_lease_rows *ret, struct mh_err *err);
const struct mailbox_lease_row *mailbox_lease_of(const struct mailbox_lease_rows *rows, const char *mailbox); /* NULL */
/* A free row for each that has none. */
enum mh_status ledger_mailbox_add(struct db *db, const struct mailbox_names *names, struct mh_err *err);
/* The holder's leases that have not ended. One that has ended may be another's by now, and is taken as any. */
enum mh_status ledger_mailbox_renew(
    struct db *db, const struct mailbox_holder *who, int64_t now, int64_t until, struct mh_err *err);
/* Those whose lease has ended, where nobody else asked for them, or asked for them and did not come until now - grace_s.
 * Rows that another takes in this moment are left out: look at them afterwards. */
enum mh_status ledger_mailbox_take(struct db *db, const struct mailbox_holder *who, const struct mailbox_names *names,
    int64_t now, int64_t grace_s, int64_t until, struct mh_err *err);
/* Asks whoever holds them to give them to that node.
 *   out     *ret_asked: at least one had not been asked for yet */
enum mh_status ledger_mailbox_want(struct db *db, const char *node, const struct mailbox_names *names, int64_t now,
    bool *ret_asked, struct mh_err *err);
/* The holder's positions of those. */
enum mh_status ledger_mailbox_positions(struct db *db, const struct mailbox_holder *who,
    const struct mailbox_names *names, struct arena *a, struct mailbox_positions *ret, struct mh_err *err);
/* Writes the position of a mailbox. MH_SKIP: it is another's by now; nothing was written. */
enum mh_status ledger_mailbox_save(
    struct db *db, const struct mailbox_holder *who, const char *mailbox, struct mh_span position, struct mh_err *err);
/* Notes when they were read last; of those that are not the holder's any more nothing. */
enum mh_status ledger_mailbox_note_read(
    struct db *db, const struct mailbox_holder *who, const struct mailbox_read *reads, size_t n, struct mh_err *err);
/* Gives up the holder's leases of those; names NULL: all. */
enum mh_status ledger_mailbox_release(struct db *db, const struct mailbox_holder *who,
    const struct mailbox_names *names, int64_t now, struct mh_err *err);
/* Removes the row of a mailbox that this node held last and gave up by that time: it has it no more, and nobody took it. */
enum mh_status ledger_mailbox_drop(
    struct db *db, const char *node, const char *mailbox, int64_t before, struct mh_err *err);
/* Removes those of all nodes whose lease ended before that. */
enum mh_status ledger_mailbox_forget(struct db *db, int64_t before, struct mh_err *err);

#endif
