/* db.h: the engine below the ledger: SQL with parameters, transactions, nothing of cases or jobs.
 *
 * One const table of functions an engine. The SQL above it is the part that SQLite and PostgreSQL share: parameters are
 * $1, $2, ... in the order of their first appearance, IS NOT DISTINCT FROM compares unknowns, RETURNING gives ids.
 */
#ifndef MAILHOOK_WORK_LEDGER_DB_H
#define MAILHOOK_WORK_LEDGER_DB_H

#include "mailhook/mailhook.h"

enum db_type { DB_NULL, DB_INTEGER, DB_TEXT, DB_BLOB };

struct db_value {
	enum db_type type;
	int64_t integer;
	struct mh_span bytes; /* foreign: must live until db_query returns the last row */
};

struct db_options {
	bool create;     /* make it where there is none; else MH_SKIP */
	bool out_of_use; /* also one that was moved, or is not whole yet: only to copy ledgers (use.h) */
	int busy_ms;     /* how long to wait for another's transaction before MH_RETRY */
	/* Where a server's password is, read at each connection (secret.h); NULL: it needs none. */
	const char *password_file, *password_command;
	/* Told before each step of a connection to a server, which may take as long as all of a statement. NULL: nobody
	 * asks. */
	void (*step)(void *user);
	void *step_user;
};

#define DB_NOTE_BYTES 80
/* A number, and what stands there in a few words: how far a ledger has come. */
struct db_note {
	int64_t n; /* 0: none */
	char words[DB_NOTE_BYTES];
};

struct db {
	const struct db_engine *engine;
	/* Called before the first transaction on a connection that is new since looked; it may have transactions of its
	 * own. */
	enum mh_status (*look)(void *user, struct mh_err *err); /* NULL: nobody cares */
	void *look_user;
	int64_t looked;
	struct db_note noted;  /* the highest that was committed here: a ledger without it is not what it was */
	struct db_note noting; /* of the transaction that is open */
	bool in_tx;
	int stop_fd; /* can be read when this process is to end: no answer is waited for long then. 0: none */
};
struct db_rows {
	struct db *db;
};

/* One writer at a time, so what it reads holds until its commit. A claim changes single rows that no writer reads while
 * it lasts: claims run beside claims, a writer runs beside nothing. */
enum db_tx_kind { DB_WRITE, DB_CLAIM };

/* Whose words for types a schema is written in. */
enum db_dialect { DB_SQLITE, DB_POSTGRESQL };

/* Errors of all: MH_RETRY locked, full, read-only, unreadable, no memory; MH_BAD a constraint, wrong SQL, not a ledger;
 * it is of_value (struct mh_err) where another value would have been taken. */
struct db_engine {
	const char *name;
	enum db_dialect dialect;
	bool local; /* one machine's: who holds worker.lock owns every lease */
	const char
	    *skip_locked; /* ends a SELECT whose rows are to be ours until the commit, those of others left out */
	enum mh_status (*open)(const char *where, const struct db_options *o, struct db **ret, struct mh_err *err);
	void (*close)(struct db *db);
	enum mh_status (*exec)(struct db *db, const char *sql, struct mh_err *err); /* statements without parameters */
	enum mh_status (*query)(struct db *db, const char *sql, const struct db_value *args, size_t n_args,
	    struct db_rows **ret, struct mh_err *err);
	enum mh_status (*step)(struct db_rows *rows, struct mh_err *err); /* MH_OK: a row; MH_SKIP: no more */
	enum db_type (*type)(struct db_rows *rows, int column);
	int64_t (*integer)(struct db_rows *rows, int column);
	struct mh_span (*bytes)(struct db_rows *rows, int column); /* until the next step; p == NULL: NULL */
	void (*rows_free)(struct db_rows *rows);
	int64_t (*changed)(struct db *db); /* rows that the last db_run changed */
	enum mh_status (*begin)(struct db *db, enum db_tx_kind kind, struct mh_err *err);
	enum mh_status (*commit)(struct db *db, struct mh_err *err);
	void (*rollback)(struct db *db);
	enum mh_status (*has_table)(struct db *db, const char *table, bool *ret, struct mh_err *err);
	/* The last failure was of a kind that the same transaction, begun again at once, may not meet: another's, or a
	 * connection that is back. Asked behind the transaction's end. */
	bool (*again)(struct db *db);
	/* How many connections there were so far: with another number it may be another server that answers. */
	int64_t (*connections)(struct db *db);
	/* Leases among nodes begin and end by this clock: the server's, or the one that a test has set. */
	enum mh_status (*now)(struct db *db, int64_t *ret, struct mh_err *err);
	/* Calls among nodes. A call inside a transaction is heard after its commit, and by the caller's other connections. */
	void (*call)(struct db *db);
	int (*ear)(struct db
		*db); /* a descriptor to poll for reading; -1: none, ask now and then. It may be another next time */
	bool (*heard)(struct db *db); /* somebody called since; does not wait. Asked before the ear is waited for, too:
					 what came beside an answer is not in the descriptor any more */
	/* The highest id that a table with ids of its own ever gave, 0: none; and that the next one is above it. */
	enum mh_status (*last_id)(struct db *db, const char *table, int64_t *ret, struct mh_err *err);
	enum mh_status (*set_last_id)(struct db *db, const char *table, int64_t id, struct mh_err *err);
	/* What server it is and what its commits are worth, in words; NULL: nothing to say. */
	enum mh_status (*describe)(struct db *db, struct buf *ret, struct mh_err *err);
};

extern const struct db_engine sqlite_engine;

struct db_value db_int(int64_t v);
struct db_value db_str(const char *s);                       /* NULL: null */
struct db_value db_span(struct mh_span s);                   /* p == NULL: null */
struct db_value db_blob(struct mh_span s);                   /* p == NULL: null */
struct db_value db_time(char keep[MH_TIME_TEXT], int64_t t); /* RFC 3339 text, written into keep */
struct db_value db_null(void);

#define DB_TRIES 5 /* of one transaction whose failure says "again" */

#define DB_ARGS(...)                                                                                                   \
	(const struct db_value[]){ __VA_ARGS__ },                                                                      \
	    sizeof((const struct db_value[]){ __VA_ARGS__ }) / sizeof(struct db_value)

void db_close(struct db *db); /* NULL: nothing */
enum mh_status db_exec(struct db *db, const char *sql, struct mh_err *err);
/* Runs one statement to its end; rows that it has are not looked at. */
enum mh_status db_run(struct db *db, const char *sql, const struct db_value *args, size_t n_args, struct mh_err *err);
/* The same; *ret is the first column of the one row that it gives. MH_SKIP: no row. */
enum mh_status db_one(
    struct db *db, const char *sql, const struct db_value *args, size_t n_args, int64_t *ret, struct mh_err *err);
/* The same with a time; *ret_known: it was not NULL. */
enum mh_status db_one_time(struct db *db, const char *sql, const struct db_value *args, size_t n_args, bool *ret_known,
    int64_t *ret, struct mh_err *err);
enum mh_status db_query(struct db *db, const char *sql, const struct db_value *args, size_t n_args,
    struct db_rows **ret, struct mh_err *err);
enum mh_status db_step(struct db_rows *rows, struct mh_err *err);
void db_rows_drop(struct db_rows **rows); /* for MH_AUTO */
/* Columns of the present row. Text is copied into the arena; NULL stays NULL. */
enum mh_status db_get_str(struct db_rows *rows, int column, struct arena *a, const char **ret, struct mh_err *err);
enum mh_status db_get_time(struct db_rows *rows, int column, bool *ret_known, int64_t *ret, struct mh_err *err);
int64_t db_get_int(struct db_rows *rows, int column);
struct mh_span db_get_bytes(struct db_rows *rows, int column);

/* A transaction that rolls back where its scope ends uncommitted: MH_AUTO(db_tx_drop) struct db_tx tx = { 0 }; */
struct db_tx {
	struct db *db; /* NULL: none is open */
};
enum mh_status db_tx_begin(struct db *db, struct db_tx *tx, struct mh_err *err); /* DB_WRITE */
enum mh_status db_tx_claim(struct db *db, struct db_tx *tx, struct mh_err *err); /* DB_CLAIM */
/* MH_RETRY may mean that all was done, and the answer was lost: who repeats a transaction looks for that first. */
enum mh_status db_tx_commit(struct db_tx *tx, struct mh_err *err);
void db_tx_drop(struct db_tx *tx);
/* Notes it with the commit of the transaction that is open, or at once where none is. */
void db_note(struct db *db, const struct db_note *note);
/* The connection is new, and was not looked at yet: what it says may be another ledger's. */
bool db_unlooked(struct db *db);
enum mh_status db_look(struct db *db, struct mh_err *err); /* looks where it was not looked at yet */
/* Whether a transaction that ended so is to be begun again at once: its failure says so, and fewer than DB_TRIES were
 * made. tries: 0 before the first. */
bool db_again(struct db *db, enum mh_status status, int *tries);

#endif
