/* postgresql_impl.h: what the files of the engine on PostgreSQL share. Only they include libpq-fe.h.
 *
 * One connection a ledger, never shared by threads. It is not blocking: every wait has an end (PG_ANSWER_MS, and all
 * waits of one answer PG_LONGEST_MS), whatever the server or the network does.
 */
#ifndef MAILHOOK_WORK_LEDGER_POSTGRESQL_IMPL_H
#define MAILHOOK_WORK_LEDGER_POSTGRESQL_IMPL_H

#include <libpq-fe.h>

#include "mailhook/work/ledger/db.h"

#define PG_CONNECT_S "5"       /* for each host of the URL */
#define PG_PAUSE_MS 1000       /* of one that cannot be reached: many calls of a round must not wait for it each */
#define PG_STATEMENT_MS 20000  /* the server ends a longer statement: all of ours look at few rows, or at one index */
#define PG_ANSWER_MS 25000     /* not a byte by then: the connection is given up. Well below what a lease lasts */
#define PG_IDLE_MS 8000        /* a transaction whose owner hangs is ended by then: less than others wait for it */
#define PG_LARGE_BYTES 1048576 /* values of more have a millisecond more for each 512 bytes (4 Mbit/s): to the server */
#define PG_LARGE_MS 60000 /* their way is idle time, or time of the statement. Not more, for the others stand still */
#define PG_COPY_MS 120000 /* both times of who copies a ledger, which nobody else uses meanwhile */
#define PG_LONGEST_MS (PG_COPY_MS + PG_ANSWER_MS)
#define PG_STATEMENTS 512      /* texts known; some 200 are used by all of mailhook. A power of two */
#define PG_STATEMENT_ARGS 1024 /* a copy of a ledger writes many rows in one; no other statement has more than 32 */
#define PG_PASSWORD_MS 10000   /* for the program that tells the password */
#define PG_STOP_MS 5000        /* for an answer, where this process is to end: 15 s are for its actions */
#define PG_CHANNEL_BYTES 64    /* NAMEDATALEN of a server, with its NUL */

struct pg_statement {
	char *sql;     /* own; NULL: free */
	bool prepared; /* as "m" and its place: from the second use on */
};

enum pg_calls { PG_CALLS_UNKNOWN, PG_CALLS_TAKEN, PG_CALLS_REFUSED };

extern const struct db_engine postgresql_engine;

struct pg {
	struct db base;
	PGconn *conn;                                 /* own; NULL: lost, or not there yet */
	char *url, *password_file, *password_command; /* own */
	int busy_ms, answer_ms;                       /* answer_ms: PG_ANSWER_MS, or what a test asks for */
	bool out_of_use;
	void (*step)(void *user); /* of db_options, and the next two */
	void *step_user;
	size_t host;  /* the one of the URL that answered last: a dead one before it costs its whole time */
	bool stops;   /* the stop_fd of base could be read */
	bool limited; /* the server knows the limits of time */
	struct pg_statement *statements; /* own, PG_STATEMENTS of them */
	size_t n_statements;
	int64_t changed, connections;
	bool in_tx;     /* between begin and its commit or rollback */
	bool making;    /* in_tx, and there was no table yet: another may make them at the same moment */
	bool lost;      /* the last failure was a connection's */
	bool repeat;    /* the last failure was another transaction's doing */
	bool no_table;  /* the last failure was a table that is not there, */
	bool unknown;   /* or words that this server does not know */
	char first[16]; /* what the last answers began with: "COMMIT", or "" for a failure */
	bool called;    /* in_tx: call() was made */
	bool warned;    /* the server said something beside an answer, as that nobody but it has a commit */
	bool listens, listening, missed; /* listens: somebody asked for the ear; missed: calls may have been */
	enum pg_calls calls;
	int64_t failed_ms; /* when it could not be reached last, monotonic; 0: it was */
	struct mh_err failed;
	char channel[PG_CHANNEL_BYTES];
};

/* -- postgresql_connect.c ------------------------------------------------------------------------------------------ */

/* Connects, unless it is connected. MH_BAD: what the URL says is refused. MH_RETRY: it could not be reached. */
enum mh_status pg_connect(struct pg *pg, struct mh_err *err);
void pg_disconnect(struct pg *pg); /* a transaction under way is lost */
/* Asks for calls, unless the server is known to have none. */
void pg_listen(struct pg *pg);
enum mh_status pg_describe(struct db *db, struct buf *ret, struct mh_err *err);

/* -- postgresql_wait.c --------------------------------------------------------------------------------------------- */

void pg_result_drop(PGresult **r); /* for MH_AUTO */
/* Sends statements without parameters and waits for all their answers. *ret: the first that failed, else the last. */
enum mh_status pg_simple(struct pg *pg, const char *sql, PGresult **ret, struct mh_err *err);
/* Waits for the answers to what was sent.
 *   errors  of both: MH_RETRY, MH_BAD as db.h has them; what kind it was stands in pg */
enum mh_status pg_answer(struct pg *pg, bool sent, PGresult **ret, struct mh_err *err);
/* Notes that calls are none of this server's words, where a failure that did not end the connection says so. */
void pg_calls_failed(struct pg *pg);
/* A server that was restarted while nothing was asked: noticed before anything is asked of it. */
bool pg_alive(struct pg *pg);

/* -- postgresql_value.c -------------------------------------------------------------------------------------------- */

struct pg_args {
	void *block; /* own: all of these */
	const char **values;
	int *lengths, *formats;
	struct buf *mended; /* own: text that the server would not have taken */
	char (*numbers)[24];
	size_t n;
};

enum mh_status pg_args_set(struct pg_args *a, const struct db_value *args, size_t n_args, struct mh_err *err);
void pg_args_release(struct pg_args *a); /* for MH_AUTO */
/* Whether all columns are of types that are read here; a sum of numbers, which are numeric to a server, needs a CAST. */
enum mh_status pg_types(const PGresult *r, struct mh_err *err);
enum db_type pg_type(const PGresult *r, int row, int column);
int64_t pg_integer(const PGresult *r, int row, int column);
/* As it came; an integer as its digits, written into number. */
struct mh_span pg_bytes(const PGresult *r, int row, int column, char number[24]);

#endif
