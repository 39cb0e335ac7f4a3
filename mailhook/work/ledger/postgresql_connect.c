/* postgresql_connect.c: what a ledger's URL may say, and a connection with all its settings.
 *
 * libpq's own defaults are those of a tool at a terminal: it encrypts where the server likes to, checks no certificate,
 * and waits for ever. What the URL leaves open is closed here.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/common/secret.h"
#include "mailhook/clock.h"
#include "mailhook/work/ledger/postgresql_impl.h"

#define CA_FILE "/etc/ssl/certs/ca-certificates.crt" /* libpq would look for ~/.postgresql/root.crt */
#define MAX_PARAMETERS 64
#define HOST_BYTES 300

struct parameters {
	const char *keys[MAX_PARAMETERS], *values[MAX_PARAMETERS];
	size_t n;
};

static const char *
get(const PQconninfoOption *options, const char *key)
{
	for (; options->keyword != NULL; options++)
		if (strcmp(options->keyword, key) == 0)
			return options->val != NULL && options->val[0] != '\0' ? options->val : NULL;
	return NULL;
}

static void
set(struct parameters *p, const char *key, const char *value)
{
	if (value == NULL || p->n + 1 >= MAX_PARAMETERS)
		return;
	p->keys[p->n] = key;
	p->values[p->n] = value;
	p->n++;
}

static void
drop_options(PQconninfoOption **o)
{
	PQconninfoFree(*o);
}

/* A folder of sockets, an address of this machine, or the name that stands for one. */
static bool
is_here(struct mh_span host)
{
	struct in6_addr six;
	struct in_addr four;
	char text[INET6_ADDRSTRLEN];

	if (host.n == 0 || host.p[0] == '/' || host.p[0] == '@' || span_ieq(host, MH_LIT("localhost")))
		return true;
	if (host.n >= sizeof(text))
		return false;
	memcpy(text, host.p, host.n);
	text[host.n] = '\0';
	if (inet_pton(AF_INET, text, &four) == 1)
		return (ntohl(four.s_addr) >> 24) == 127;
	return inet_pton(AF_INET6, text, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* Of a list with commas: libpq tries each. NULL: none is named. */
static bool
all_here(const char *hosts)
{
	struct mh_span rest = span_of(hosts);

	while (rest.n > 0) {
		const size_t comma = span_find(rest, MH_LIT(","), 0);
		if (!is_here(span_head(rest, comma)))
			return false;
		rest = comma == SIZE_MAX ? MH_NONE : span_from(rest, comma + 1);
	}
	return true;
}

static enum mh_status
judge(const PQconninfoOption *o, bool *ret_here, struct mh_err *err)
{
	const char *mode = get(o, "sslmode");

	if (get(o, "password") != NULL || get(o, "sslpassword") != NULL)
		return mh_fail(err, MH_BAD,
		    "ledger: a password in the URL would be a secret in the configuration: ledger_password_file names "
		    "one");
	if (get(o, "service") != NULL)
		return mh_fail(err, MH_BAD, "ledger: a URL with \"service\" is not taken: it must say all itself");
	*ret_here = all_here(get(o, "host")) && all_here(get(o, "hostaddr"));
	if (!*ret_here && mode != NULL && strcmp(mode, "verify-full") != 0)
		return mh_fail(err, MH_BAD,
		    "ledger: sslmode=%s to another machine is not taken: only verify-full knows that machine", mode);
	return MH_OK;
}

static void
fill(struct parameters *p, const PQconninfoOption *o, bool here, const char *password)
{
	static const char *const defaults[][2] = {
		{ "connect_timeout", PG_CONNECT_S },
		{ "keepalives", "1" },
		{ "keepalives_idle", "10" },
		{ "keepalives_interval", "5" },
		{ "keepalives_count", "3" },
		{ "tcp_user_timeout", "20000" },
		{ "target_session_attrs", "read-write" },
		{ "gssencmode", "disable" }, /* where it is there, libpq takes it instead of TLS */
		{ "fallback_application_name", "mailhook" },
		{ "client_encoding", "UTF8" },
	};

	for (const PQconninfoOption *i = o; i->keyword != NULL; i++)
		set(p, i->keyword, i->val);
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (get(o, defaults[i][0]) == NULL)
			set(p, defaults[i][0], defaults[i][1]);
	if (get(o, "sslmode") == NULL)
		set(p, "sslmode", here ? "prefer" : "verify-full");
	if ((!here || strncmp(get(o, "sslmode") == NULL ? "" : get(o, "sslmode"), "verify", 6) == 0) &&
	    get(o, "sslrootcert") == NULL)
		set(p, "sslrootcert", CA_FILE);
	set(p, "password", password);
}

static size_t
count_hosts(const PQconninfoOption *o)
{
	const char *list = get(o, "hostaddr") != NULL ? get(o, "hostaddr") : get(o, "host");
	size_t n = 1;

	for (; list != NULL && *list != '\0'; list++)
		n += *list == ',';
	return n;
}

/* The nth of a list with commas; one alone stands for all, as with ports. */
static bool
nth_of(const char *list, size_t nth, char *dst, size_t dst_bytes)
{
	if (strchr(list, ',') == NULL)
		nth = 0;
	for (; nth > 0 && list != NULL; nth--) {
		list = strchr(list, ',');
		list = list == NULL ? NULL : list + 1;
	}
	if (list == NULL)
		return false;
	return (size_t)snprintf(dst, dst_bytes, "%.*s", (int)strcspn(list, ","), list) < dst_bytes;
}

/* To one of the URL's hosts. libpq's own walk through the list ends at a host that takes the connection and then hangs
 * up, as a balancer before a dead server does. */
static PGconn *
connect_to(struct parameters *p, const PQconninfoOption *o, size_t nth)
{
	static const char *const lists[] = { "host", "hostaddr", "port" };
	char parts[sizeof(lists) / sizeof(lists[0])][HOST_BYTES];
	const size_t before = p->n;

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		const char *list = get(o, lists[i]);
		if (list != NULL && nth_of(list, nth, parts[i], sizeof(parts[i])))
			set(p, lists[i], parts[i]); /* the last of a name counts */
	}
	p->keys[p->n] = p->values[p->n] = NULL;
	PGconn *conn = PQconnectdbParams(p->keys, p->values, 0); /* bounded by connect_timeout */
	p->n = before;
	return conn;
}

static void
hear_warning(void *user, const PGresult *r)
{
	struct pg *pg = user;

	(void)r;
	pg->warned = true;
}

static bool
runs(struct pg *pg, const char *sql)
{
	MH_AUTO(pg_result_drop) PGresult *r = NULL;

	return pg->conn != NULL && pg_simple(pg, sql, &r, NULL) == MH_OK;
}

/* What a server of another make does not know is left out: one by one, where all together are refused. */
static enum mh_status
settle(struct pg *pg, struct mh_err *err)
{
	MH_AUTO(pg_result_drop) PGresult *r = NULL;
	static const char schema[] = "SELECT current_schema(), current_setting('synchronous_commit')";
	char lines[4][80], all[sizeof(lines) + sizeof(schema) + 8];
	bool taken[4] = { true, true, true, true };

	/* 0 would be without limit */
	(void)snprintf(lines[0], sizeof(lines[0]), "SET lock_timeout = %d", pg->busy_ms < 1 ? 1 : pg->busy_ms);
	(void)snprintf(
	    lines[1], sizeof(lines[1]), "SET statement_timeout = %d", pg->out_of_use ? PG_COPY_MS : PG_STATEMENT_MS);
	(void)snprintf(lines[2], sizeof(lines[2]), "SET idle_in_transaction_session_timeout = %d",
	    pg->out_of_use ? PG_COPY_MS : PG_IDLE_MS);
	(void)snprintf(lines[3], sizeof(lines[3]), "SET client_min_messages = warning");
	(void)snprintf(all, sizeof(all), "%s;%s;%s;%s;%s", lines[0], lines[1], lines[2], lines[3], schema);
	if (pg_simple(pg, all, &r, err) != MH_OK) {
		for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
			taken[i] = runs(pg, lines[i]);
		if (pg->conn == NULL || pg_simple(pg, "SELECT current_schema(), 'on'", &r, err) != MH_OK)
			return MH_RETRY;
	}
	pg->limited = taken[1] && taken[2];
	if (PQntuples(r) != 1 || PQgetisnull(r, 0, 0))
		return mh_fail(
		    err, MH_RETRY, "ledger: the server has no schema for us: what search_path names is not there");

	/* what is stronger, as remote_apply, stays as its owner set it */
	const char *sync = PQgetvalue(r, 0, 1);
	if (strcmp(sync, "on") != 0 && strcmp(sync, "remote_apply") != 0)
		(void)runs(pg, "SET synchronous_commit = on");

	/* calls go to all of a database, which may hold several ledgers */
	char name[PG_CHANNEL_BYTES];
	(void)snprintf(name, sizeof(name), "mailhook %.40s", PQgetvalue(r, 0, 0));
	for (char *c = name; *c != '\0'; c++)
		if (*c == '"' || *c == '\\' || (unsigned char)*c < ' ')
			*c = '_';
	(void)snprintf(pg->channel, sizeof(pg->channel), "\"%.60s\"", name);
	return pg->conn != NULL ? MH_OK : mh_fail(err, MH_RETRY, "ledger: the connection was lost");
}

static void
step(const struct pg *pg)
{
	if (pg->step != NULL)
		pg->step(pg->step_user);
}

/* What each host said, as one line. A server may repeat what it was given. */
static void
add_words(struct buf *out, PGconn *conn, struct mh_span password)
{
	struct mh_span rest = span_of(conn == NULL ? "no memory for a connection" : PQerrorMessage(conn)), line;
	char shown[120];

	if (password.n > 0 && span_find(rest, password, 0) != SIZE_MAX)
		rest = MH_LIT("it does not let us in, and repeats the password");
	while (span_line(&rest, &line)) {
		line = span_trim(line);
		if (span_starts(line, MH_LIT("connection to server ")))
			line = span_from(line, sizeof("connection to server ") - 1);
		if (line.n > 0)
			buf_printf(out, "%s%s", out->n == 0 ? "" : "; ", mh_escape(shown, sizeof(shown), line));
	}
}

static enum mh_status
connect_any(struct pg *pg, struct parameters *p, const PQconninfoOption *o, struct mh_span password, struct mh_err *err)
{
	const size_t n = count_hosts(o);
	struct buf words;

	buf_init(&words, 1024);
	for (size_t i = 0; i < n; i++) {
		const size_t host = (pg->host + i) % n;

		step(pg);
		pg->conn = connect_to(p, o, host);
		if (PQstatus(pg->conn) == CONNECTION_OK) {
			pg->host = host;
			break;
		}
		add_words(&words, pg->conn, password);
		pg_disconnect(pg);
	}
	if (pg->conn == NULL)
		(void)mh_fail(err, MH_RETRY, "ledger: %s", words.n == 0 ? "the server does not answer" : words.p);
	buf_release(&words);
	return pg->conn != NULL ? MH_OK : MH_RETRY;
}

/* Anew each time: it may have been changed. What was right once, and is not, is being changed now. */
static enum mh_status
read_password(const struct pg *pg, struct secret *ret, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	step(pg);
	if (pg->password_command != NULL)
		status = secret_from_line(pg->password_command, PG_PASSWORD_MS, ret, err);
	else if (pg->password_file != NULL)
		status = secret_from_file(pg->password_file, ret, err);
	if (status == MH_BAD && pg->connections > 0)
		status = err->code = MH_RETRY;
	return status;
}

/* err: not NULL, as it is kept for the next time. */
static enum mh_status
connect_now(struct pg *pg, struct mh_err *err)
{
	MH_AUTO(drop_options) PQconninfoOption *o = NULL;
	MH_AUTO(secret_release) struct secret password = { 0 };
	struct parameters p = { .n = 0 };
	bool here = false;

	o = PQconninfoParse(pg->url, NULL); /* its own words may show the URL */
	if (o == NULL)
		return mh_fail(err, MH_BAD, "ledger: not a URL as libpq takes it");
	enum mh_status status = judge(o, &here, err);
	if (status == MH_OK)
		status = read_password(pg, &password, err);
	if (status != MH_OK)
		return status;
	fill(&p, o, here, password.p);

	status = connect_any(pg, &p, o, secret_span(&password), err);
	if (status != MH_OK)
		return status;
	(void)PQsetNoticeReceiver(pg->conn, hear_warning, pg);
	/* the environment may name a host where the URL names none */
	if (here && !(is_here(span_of(PQhost(pg->conn))) && is_here(span_of(PQhostaddr(pg->conn)))))
		status = mh_fail(err, MH_BAD, "ledger: the environment names another machine than the URL");
	if (status == MH_OK && PQsetnonblocking(pg->conn, 1) != 0)
		status = mh_fail(err, MH_RETRY, "no memory for a connection");
	step(pg);
	if (status == MH_OK)
		status = settle(pg, err);
	if (status == MH_OK && pg->listens) {
		pg_listen(pg);
		pg->missed = true;
		if (pg->conn == NULL)
			status = mh_fail(err, MH_RETRY, "ledger: the connection was lost");
	}
	if (status != MH_OK)
		pg_disconnect(pg);
	return status;
}

void
pg_listen(struct pg *pg)
{
	char sql[PG_CHANNEL_BYTES + 16];

	if (pg->calls == PG_CALLS_REFUSED)
		return;
	(void)snprintf(sql, sizeof(sql), "LISTEN %s", pg->channel);
	pg->listening = runs(pg, sql);
	if (!pg->listening)
		pg_calls_failed(pg);
}

enum mh_status
pg_connect(struct pg *pg, struct mh_err *err)
{
	if (pg->conn != NULL && pg_alive(pg))
		return MH_OK;
	pg_disconnect(pg);
	if (pg->failed_ms != 0 && clock_monotonic_ms() - pg->failed_ms < PG_PAUSE_MS)
		return mh_fail(err, pg->failed.code, "%s", pg->failed.text);
	const enum mh_status status = connect_now(pg, &pg->failed);
	pg->failed_ms = status == MH_OK ? 0 : clock_monotonic_ms();
	pg->connections += status == MH_OK;
	return status == MH_OK ? MH_OK : mh_fail(err, status, "%s", pg->failed.text);
}

void
pg_disconnect(struct pg *pg)
{
	PQfinish(pg->conn); /* NULL: nothing */
	pg->conn = NULL;
	pg->listening = false;
	for (size_t i = 0; i < PG_STATEMENTS; i++)
		pg->statements[i].prepared = false;
}

/* -- words for a person -------------------------------------------------------------------------------------------- */

static void
ask_word(struct pg *pg, const char *sql, char *dst, size_t dst_bytes)
{
	MH_AUTO(pg_result_drop) PGresult *r = NULL;

	dst[0] = '\0';
	if (pg->conn == NULL || pg_simple(pg, sql, &r, NULL) != MH_OK || PQntuples(r) != 1 || PQgetisnull(r, 0, 0))
		return;
	(void)mh_escape(dst, dst_bytes, span_of(PQgetvalue(r, 0, 0)));
}

enum mh_status
pg_describe(struct db *db, struct buf *ret, struct mh_err *err)
{
	struct pg *pg = (struct pg *)db;
	char version[120], standby[200], shown[100];
	enum mh_status status = pg_connect(pg, err);

	if (status != MH_OK)
		return status;
	ask_word(pg, "SHOW server_version", version, sizeof(version));
	ask_word(pg, "SHOW synchronous_standby_names", standby, sizeof(standby));
	if (pg->conn == NULL)
		return mh_fail(err, MH_RETRY, "ledger: the connection was lost");
	buf_printf(ret, "PostgreSQL %s at %s, ", version[0] == '\0' ? "of unknown version" : version,
	    mh_escape(shown, sizeof(shown), span_of(PQhost(pg->conn))));
	if (PQsslInUse(pg->conn))
		buf_printf(ret, "%s, ", PQsslAttribute(pg->conn, "protocol"));
	buf_printf(ret, "%s%s%s",
	    standby[0] == '\0' ? "no synchronous standby confirms its commits: with its disk goes what was answered"
			       : "commits are confirmed by its synchronous standby: ",
	    standby, PG_CALLS_REFUSED == pg->calls ? "; it does not know LISTEN" : "");
	return buf_ok(ret) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for what the server is");
}
