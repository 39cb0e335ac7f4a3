/* copy.h: the rows of a ledger into another one, of whichever engine, and the proof that both hold the same.
 *
 * Which tables and columns there are stands here by hand: tests/copy_test.c compares it with schema.sql. Left out is
 * "nodes": each node's worker makes its row when it starts. In "meta" the number of the schema, and what use.h writes,
 * are each ledger's own.
 */
#ifndef MAILHOOK_WORK_LEDGER_COPY_H
#define MAILHOOK_WORK_LEDGER_COPY_H

#include "mailhook/work/digest.h"
#include "mailhook/work/ledger/ledger.h"

#define COPY_MOST_COLUMNS 40
#define COPY_MOST_KEYS 2

struct copy_table {
	const char *name, *columns; /* in the order of the schema, those of the primary key first; ", " between them */
	const char *types;          /* of each column: i, t or b */
	size_t n_keys;              /* columns of the primary key */
	const char *large;          /* the column that may have megabytes; NULL: none */
	const char *where;          /* which rows; NULL: all */
	bool numbered;              /* it gives ids of its own */
};
extern const struct copy_table
    copy_tables[]; /* in an order in which what is pointed at comes first; ends with a NULL name */
#define COPY_TABLES 14
extern const char *const copy_left[]; /* tables that are not carried; ends with NULL */

/* What one table holds: SHA-256 over its rows in the order of the primary key, each column as its length in decimal
 * digits, a line feed and its bytes (an integer as digits), "-" and a line feed for NULL. Text as PostgreSQL takes it:
 * what is no UTF-8, and NUL, is U+FFFD. */
struct copy_sum {
	int64_t rows, last_id; /* last_id: 0 where the table gives no ids */
	char digest[DIGEST_HEX];
};

/* What goes on, for a person. done: rows so far. */
struct copy_watch {
	void (*say)(void *user, const char *what, const char *table, int64_t done);
	void *user;
};

/* Whether no row is there that would be carried, of all tables but meta. */
enum mh_status copy_is_empty(struct db *db, bool *ret, struct mh_err *err);
/* Writes all rows of from into to, which has none, within the caller's transactions on both. Memory does not grow with
 * their number. *ret_mended: texts that are not in to as they are in from.
 *   errors  those of db.h; MH_BAD also: a row of from breaks a rule of the schema */
enum mh_status copy_rows(
    struct db *from, struct db *to, const struct copy_watch *watch, int64_t *ret_mended, struct mh_err *err);
/* Reads both, a piece here and a piece there, so that no transaction is idle for long; ret has COPY_TABLES each. */
enum mh_status copy_sums(struct db *from, struct db *to, const struct copy_watch *watch, struct copy_sum *ret_from,
    struct copy_sum *ret_to, struct mh_err *err);
bool copy_same(const struct copy_sum *a, const struct copy_sum *b);

#endif
