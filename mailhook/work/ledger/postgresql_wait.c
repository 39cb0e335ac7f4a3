/* postgresql_wait.c: waiting for a PostgreSQL server's answer, never for ever, and what its failures mean. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/clock.h"
#include "mailhook/work/ledger/postgresql_impl.h"

void
pg_result_drop(PGresult **r)
{
	PQclear(*r);
	*r = NULL;
}

/* SQLSTATE classes: PostgreSQL, appendix A. What may pass by itself or by a person's hand without losing anything is
 * MH_RETRY. */
static const struct {
	const char *starts;
	enum mh_status status;
	bool lost, repeat;
} states[] = {
	{ "40", MH_RETRY, false, true },     /* serialization failure, deadlock */
	{ "08", MH_RETRY, true, false },     /* connection */
	{ "57P", MH_RETRY, true, false },    /* shut down, crashed, starting, session ended */
	{ "25P03", MH_RETRY, true, false },  /* we were too slow inside a transaction */
	{ "25006", MH_RETRY, true, false },  /* read-only: it is a standby by now, another host may be the primary */
	{ "25P02", MH_RETRY, false, false }, /* the transaction has failed already */
	{ "57", MH_RETRY, false, false },    /* canceled: too slow */
	{ "55", MH_RETRY, false, false },    /* locked */
	{ "53", MH_RETRY, false, false },    /* full: disk, memory, connections */
	{ "54", MH_RETRY, false, false },    /* too large */
	{ "58", MH_RETRY, false, false },    /* the server's disk */
	{ "28", MH_RETRY, false, false },    /* not let in */
	{ "3D", MH_RETRY, false, false },    /* no such database */
	{ "42501", MH_RETRY, false, false }, /* no privilege */
};
/* A value that was given is at fault: not what compares a row with others, as unique names do, where an index or a
 * sequence may be, nor what reads a value that is there. */
static const char *const of_value[] = { "22001", "22021", "22P03", "22P05", "23502", "23514" };
/* Met where two make the same tables at the same moment: the second comes too late. */
static const char *const races[] = { "23505", "42P07", "42710", "42P06" };

/* The server's first line, and of several hosts each one's, as one line. */
static void
one_line(const char *words, char *dst, size_t dst_bytes)
{
	struct mh_span rest = span_trim(span_of(words)), line;
	size_t used = 0;

	dst[0] = '\0';
	while (span_line(&rest, &line) && used + 8 < dst_bytes) {
		line = span_trim(line);
		if (line.n == 0)
			continue;
		if (used > 0) {
			memcpy(dst + used, "; ", 3);
			used += 2;
		}
		(void)mh_escape(dst + used, dst_bytes - used, line);
		used += strlen(dst + used);
	}
}

/* Words a result that failed, r == NULL: the connection's own trouble, and remembers of what kind it was. */
static enum mh_status
word(struct pg *pg, const PGresult *r, struct mh_err *err)
{
	const char *state = r == NULL ? NULL : PQresultErrorField(r, PG_DIAG_SQLSTATE);
	const char *words = r == NULL ? NULL : PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);
	enum mh_status status = state == NULL ? MH_RETRY : MH_BAD;
	char line[400];

	pg->lost = state == NULL || PQstatus(pg->conn) != CONNECTION_OK;
	pg->repeat = false;
	pg->no_table = state != NULL && strcmp(state, "42P01") == 0;
	pg->unknown = state != NULL && (strcmp(state, "42601") == 0 || strcmp(state, "0A000") == 0);
	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]) && state != NULL; i++) {
		if (strncmp(state, states[i].starts, strlen(states[i].starts)) != 0)
			continue;
		status = states[i].status;
		pg->lost = pg->lost || states[i].lost;
		pg->repeat = states[i].repeat;
		break;
	}
	for (size_t i = 0; i < sizeof(races) / sizeof(races[0]) && state != NULL && pg->making; i++)
		if (strcmp(state, races[i]) == 0) {
			status = MH_RETRY;
			pg->repeat = true;
		}
	if (pg->lost)
		status = MH_RETRY;
	one_line(words != NULL ? words : PQerrorMessage(pg->conn), line, sizeof(line));
	(void)mh_fail(err, status, "ledger: %s", line[0] == '\0' ? "the server does not answer" : line);
	for (size_t i = 0; i < sizeof(of_value) / sizeof(of_value[0]) && state != NULL && status == MH_BAD; i++)
		if (strcmp(state, of_value[i]) == 0)
			(void)mh_of_value(err, status);
	if (pg->lost)
		pg_disconnect(pg);
	return status;
}

void
pg_calls_failed(struct pg *pg)
{
	if (pg->conn != NULL && pg->unknown)
		pg->calls = PG_CALLS_REFUSED;
}

/* Who is to end waits PG_STOP_MS for each answer from then on: a server that is well says more than that in this time,
 * and what holds jobs is to give them back. False: it is over with this connection. */
static bool
wait_for(struct pg *pg, short events, int64_t until_ms)
{
	struct pollfd p[2] = { { .fd = PQsocket(pg->conn), .events = events }, { .events = POLLIN } };
	bool cut = false;

	for (;;) {
		if (pg->stops && !cut) {
			const int64_t soon_ms = clock_monotonic_ms() + PG_STOP_MS;
			until_ms = soon_ms < until_ms ? soon_ms : until_ms;
			cut = true;
		}
		const int64_t left = until_ms - clock_monotonic_ms();
		if (p[0].fd < 0 || left <= 0)
			return false;
		p[1].fd = pg->stops || pg->base.stop_fd == 0 ? -1 : pg->base.stop_fd;
		const int n = poll(p, 2, (int)left);
		pg->stops = pg->stops || (n > 0 && p[1].fd >= 0 && p[1].revents != 0);
		if (n > 0 && p[0].revents != 0)
			break;
		if (n < 0 && errno != EINTR)
			return false;
	}
	return (p[0].revents & ~POLLOUT) == 0 || PQconsumeInput(pg->conn) == 1;
}

/* What sends or hears something does not hang: only a silence counts, but for the end of all. */
static int64_t
until(const struct pg *pg, int64_t last_ms)
{
	const int64_t ms = clock_monotonic_ms() + pg->answer_ms;

	return ms < last_ms ? ms : last_ms;
}

static bool
send_all(struct pg *pg, int64_t last_ms)
{
	int left;

	/* a server that is answering reads no more: both ways are watched */
	while ((left = PQflush(pg->conn)) == 1)
		if (!wait_for(pg, POLLIN | POLLOUT, until(pg, last_ms)))
			return false;
	return left == 0;
}

enum mh_status
pg_answer(struct pg *pg, bool sent, PGresult **ret, struct mh_err *err)
{
	MH_AUTO(pg_result_drop) PGresult *kept = NULL;
	const int64_t last_ms = clock_monotonic_ms() + PG_LONGEST_MS;
	bool failed = false;

	pg->first[0] = '\0';
	if (!sent || !send_all(pg, last_ms))
		return word(pg, NULL, err);
	for (;;) {
		while (PQisBusy(pg->conn))
			if (!wait_for(pg, POLLIN, until(pg, last_ms)))
				return word(pg, NULL, err);
		PGresult *r = PQgetResult(pg->conn);
		if (r == NULL)
			break;
		if (failed) { /* the first one says what it was */
			PQclear(r);
			continue;
		}
		const ExecStatusType status = PQresultStatus(r);
		failed = status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK;
		if (kept == NULL && !failed)
			(void)snprintf(pg->first, sizeof(pg->first), "%s", PQcmdStatus(r));
		PQclear(kept);
		kept = r;
		if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT || status == PGRES_COPY_BOTH)
			break; /* no statement of ours asks for that: nothing to be talked over with this server */
	}
	if (kept == NULL || failed)
		return word(pg, kept, err);
	*ret = kept;
	kept = NULL;
	return MH_OK;
}

enum mh_status
pg_simple(struct pg *pg, const char *sql, PGresult **ret, struct mh_err *err)
{
	return pg_answer(pg, PQsendQuery(pg->conn, sql) == 1, ret, err);
}

bool
pg_alive(struct pg *pg)
{
	struct pollfd p = { .fd = pg->conn == NULL ? -1 : PQsocket(pg->conn), .events = POLLIN };

	if (p.fd < 0)
		return false;
	/* a server's last words come before the end of the connection, and are read by themselves */
	for (int i = 0; i < 16 && poll(&p, 1, 0) > 0; i++)
		if (PQconsumeInput(pg->conn) != 1 || PQstatus(pg->conn) != CONNECTION_OK)
			return false;
	return true;
}
