/* http_test.c: the HTTP wrapper against a server that does what servers do wrong. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "actions/common/http.h"
#include "mailhook/json.h"

enum port { PLAIN, TLS, WRONG, UNKNOWN, EXPIRED, MUTUAL, OLD, DEAD, PROXY, NOBODY, N_PORTS };

struct server {
	char dir[64], ca[96], cert[96], key[96];
	int ports[N_PORTS], stop_fd;
	pid_t pid;
};

static int
start_server(void **state)
{
	struct server *s = calloc(1, sizeof(*s));
	int in[2], out[2];

	assert_non_null(s);
	(void)snprintf(s->dir, sizeof(s->dir), "/tmp/mailhook-http.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	(void)snprintf(s->ca, sizeof(s->ca), "%s/ca.pem", s->dir);
	(void)snprintf(s->cert, sizeof(s->cert), "%s/client.pem", s->dir);
	(void)snprintf(s->key, sizeof(s->key), "%s/client.key", s->dir);
	assert_int_equal(pipe2(in, 0), 0);
	assert_int_equal(pipe2(out, 0), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		(void)dup2(in[0], STDIN_FILENO);
		(void)dup2(out[1], STDOUT_FILENO);
		(void)close(in[1]); /* else its stdin would never end */
		(void)execl(
		    "/usr/bin/python3", "python3", SOURCE_DIR "/tests/servers/http_faults.py", s->dir, (char *)NULL);
		_exit(127);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	s->stop_fd = in[1];
	FILE *f = fdopen(out[0], "r");
	assert_non_null(f);
	char line[256], *at = line; /* all ports, separated by spaces */
	assert_non_null(fgets(line, sizeof(line), f));
	for (int i = 0; i < NOBODY; i++) {
		s->ports[i] = (int)strtol(at, &at, 10);
		assert_true(s->ports[i] > 0);
	}
	(void)fclose(f);
	s->ports[NOBODY] = 1; /* tcpmux: nothing listens there */
	*state = s;
	return 0;
}

static int
stop_server(void **state)
{
	struct server *s = *state;
	char command[][16] = { "rm", "-rf", "--" };
	int how;

	(void)close(s->stop_fd);
	assert_int_equal(waitpid(s->pid, &how, 0), s->pid);
	const pid_t pid = fork();
	if (pid == 0) {
		(void)execlp("rm", command[0], command[1], command[2], s->dir, (char *)NULL);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &how, 0), pid);
	free(s);
	return 0;
}

static const char *
url_of(const struct server *s, enum port port, const char *scheme, const char *path, char dst[256])
{
	(void)snprintf(dst, 256, "%s://localhost:%d/%s", scheme, s->ports[port], path);
	return dst;
}

static void
test_outcomes(void **state)
{
	static const struct {
		const char *name;
		enum port port;
		const char *scheme, *path;
		bool no_ca, client;
		enum mh_status status;
		long http;
		const char *text; /* in the error */
		size_t max;
		int64_t retry_after_s;
	} rows[] = {
		{ "plain HTTP to loopback", PLAIN, "http", "status/200", false, false, MH_OK, 200, NULL, 0, -1 },
		{ "verified TLS", TLS, "https", "status/201", false, false, MH_OK, 201, NULL, 0, -1 },
		{ "an error status is an answer", TLS, "https", "status/404", false, false, MH_OK, 404, NULL, 0, -1 },
		{ "without our CA", TLS, "https", "status/200", true, false, MH_BAD, 0, "localhost: ", 0, -1 },
		{ "another name", WRONG, "https", "status/200", false, false, MH_BAD, 0, "localhost: ", 0, -1 },
		{ "unknown CA", UNKNOWN, "https", "status/200", false, false, MH_BAD, 0, "localhost: ", 0, -1 },
		{ "expired certificate", EXPIRED, "https", "status/200", false, false, MH_BAD, 0, "localhost: ", 0,
		    -1 },
		{ "client certificate", MUTUAL, "https", "status/200", false, true, MH_OK, 200, NULL, 0, -1 },
		{ "TLS 1.1 at most", OLD, "https", "status/200", false, false, MH_RETRY, 0, "localhost: ", 0, -1 },
		{ "handshake cut", DEAD, "https", "status/200", false, false, MH_RETRY, 0, "localhost: ", 0, -1 },
		{ "nobody listens", NOBODY, "https", "status/200", false, false, MH_RETRY, 0, "localhost: ", 0, -1 },
		{ "a redirect is not followed", PLAIN, "http", "redirect", false, false, MH_OK, 302, NULL, 0, -1 },
		{ "body cut", PLAIN, "http", "cut", false, false, MH_RETRY, 0, "localhost: ", 0, -1 },
		{ "answer stalls", PLAIN, "http", "stall", false, false, MH_RETRY, 0, "localhost: ", 0, -1 },
		{ "answer lost", PLAIN, "http", "lost/x", false, false, MH_RETRY, 0, "localhost: ", 0, -1 },
		{ "not HTTP", PLAIN, "http", "old", false, false, MH_BAD, 0, "localhost: ", 0, -1 },
		{ "body at the limit", PLAIN, "http", "bytes/5000", false, false, MH_OK, 200, NULL, 5000, -1 },
		{ "body past the limit", PLAIN, "http", "bytes/5001", false, false, MH_LIMIT, 0, "5000 bytes", 5000,
		    -1 },
		{ "body far past the limit, no length", PLAIN, "http", "chunks/4000", false, false, MH_LIMIT, 0,
		    "1048576 bytes", 0, -1 },
		{ "headers past the limit", PLAIN, "http", "headers/80", false, false, MH_LIMIT, 0, "localhost: ", 0,
		    -1 },
		{ "seconds to wait", PLAIN, "http", "retry/120", false, false, MH_OK, 429, NULL, 0, 120 },
		{ "a date to wait for", PLAIN, "http", "retry/Tue,_03_Feb_2026_04:06:06_GMT", false, false, MH_OK, 429,
		    NULL, 0, 61 },
		{ "an interim answer is not the answer", PLAIN, "http", "interim", false, false, MH_OK, 200, NULL, 0,
		    -1 },
		{ "another protocol", PLAIN, "ftp", "x", false, false, MH_BAD, 0, "https only", 0, -1 },
		{ "a file", PLAIN, "file", "x", false, false, MH_BAD, 0, "", 0, -1 },
	};
	const struct server *s = *state;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char url[256];
		struct wire w = { .ca_file = rows[i].no_ca ? NULL : s->ca, .total_ms = 2000 };
		struct http_answer a;
		struct mh_err err = { 0 };
		const struct http_request q = { .method = "GET",
			.url = url_of(s, rows[i].port, rows[i].scheme, rows[i].path, url),
			.max_body_bytes = rows[i].max,
			.now = time_of_civil(2026, 2, 3, 4, 5, 5) };

		if (rows[i].client) {
			w.cert_file = s->cert;
			w.key_file = s->key;
		}
		http_answer_init(&a);
		const enum mh_status status = http_try(&w, &q, &a, &err);
		if (status != rows[i].status || (status == MH_OK && a.status != rows[i].http))
			fail_msg("%s: status %d, HTTP %ld, \"%s\"", rows[i].name, (int)status, a.status, err.text);
		if (rows[i].text != NULL && strstr(err.text, rows[i].text) == NULL)
			fail_msg("%s: the error says \"%s\"", rows[i].name, err.text);
		if (status == MH_OK && a.retry_after_s != rows[i].retry_after_s)
			fail_msg("%s: wait of %lld s", rows[i].name, (long long)a.retry_after_s);
		http_answer_release(&a);
	}
}

/* Requests that must not leave: each would go to a host or with a header that nobody meant. */
static void
test_refused_before_sending(void **state)
{
	static const struct {
		const char *name, *method, *url, *header, *value;
		size_t value_n;
	} rows[] = {
		{ "plain HTTP to another host", "GET", "http://192.0.2.1/", "A", "b", 1 },
		{ "plain HTTP to a name that looks like loopback", "GET", "http://127.evil.example/", "A", "b", 1 },
		{ "plain HTTP to a name under localhost", "GET", "http://localhost.evil.example/", "A", "b", 1 },
		{ "user and password in the URL", "GET", "https://user:hunter2@localhost/", "A", "b", 1 },
		{ "a line end in a header", "GET", "https://localhost/", "A", "b\r\nX: y", 7 },
		{ "a NUL in a header", "GET", "https://localhost/", "A", "b\0c", 3 },
		{ "a colon in a header's name", "GET", "https://localhost/", "A:", "b", 1 },
		{ "a line end in the method", "GET / HTTP/1.1\r\nX: y", "https://localhost/", "A", "b", 1 },
		{ "a blank in the URL", "GET", "https://localhost/a b", "A", "b", 1 },
		{ "a line end in the URL", "GET", "https://localhost/a\r\nX: y", "A", "b", 1 },
		{ "no URL", "GET", "", "A", "b", 1 },
		{ "a fragment", "GET", "https://localhost/#hunter2", "A", "b", 1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct http_header h = { rows[i].header, { rows[i].value, rows[i].value_n } };
		const struct http_request q = {
			.method = rows[i].method, .url = rows[i].url, .headers = &h, .n_headers = 1
		};
		struct http_answer a;
		struct mh_err err = { 0 };

		http_answer_init(&a);
		if (http_try(&(struct wire){ .total_ms = 1000 }, &q, &a, &err) != MH_BAD)
			fail_msg("%s: not refused: %s", rows[i].name, err.text);
		if (strstr(err.text, "hunter2") != NULL)
			fail_msg("%s: the error tells a secret", rows[i].name);
		http_answer_release(&a);
	}
}

/* Also plain HTTP to anywhere is possible, where the configuration says so: refused by the network only. */
static void
test_allow_plain(void **state)
{
	struct http_answer a;
	struct mh_err err = { 0 };
	const struct http_request q = { .method = "GET", .url = "http://192.0.2.1:9/" };

	(void)state;
	http_answer_init(&a);
	assert_int_equal(http_try(&(struct wire){ .total_ms = 200, .allow_plain = true }, &q, &a, &err), MH_RETRY);
	http_answer_release(&a);
}

/* What arrives at the server is what was asked for, on the second try too. */
static void
test_request_on_each_try(void **state)
{
	const struct server *s = *state;
	static const char *const keep[] = { "X-One", "Content-Type", NULL };
	const struct http_header headers[] = { { "Content-Type", MH_LIT("application/json") },
		{ "Authorization", MH_LIT("Bearer abc") }, { "X-Empty", MH_LIT("") } };
	char url[256];
	const struct http_request q = { .method = "PATCH",
		.url = url_of(s, TLS, "https", "echo", url),
		.headers = headers,
		.n_headers = 3,
		.body = MH_LIT("{\"a\": 1}\x01\xFF"),
		.keep = keep };
	struct http_answer a;

	(void)setenv("https_proxy", "http://127.0.0.1:1", 1); /* must not matter */
	(void)setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	http_answer_init(&a);
	for (int i = 0; i < 2; i++) {
		struct mh_err err = { 0 };
		if (http_try(&(struct wire){ .ca_file = s->ca }, &q, &a, &err) != MH_OK)
			fail_msg("try %d: %s", i, err.text);
		MH_AUTO(drop_json) cJSON *j = json_parse(buf_span(&a.body), &err);
		assert_non_null(j == NULL ? NULL : json_string(j, "method"));
		assert_string_equal(json_string(j, "method"), "PATCH");
		assert_string_equal(json_string(j, "body"), "{\"a\": 1}\x01\xC3\xBF"); /* sent as Latin-1 */
		char *text = cJSON_PrintUnformatted(json_array(j, "headers"));
		assert_non_null(strstr(text, "[\"Content-Type\",\"application/json\"]"));
		assert_non_null(strstr(text, "[\"Authorization\",\"Bearer abc\"]"));
		assert_non_null(strstr(text, "\"X-Empty"));
		assert_non_null(strstr(text, "[\"User-Agent\",\"mailhook/"));
		assert_null(strstr(text, "Expect"));
		cJSON_free(text);
		assert_true(span_eq(http_kept(&a, "x-one"), MH_LIT("first")));
		assert_true(span_eq(http_kept(&a, "Content-Type"), MH_LIT("application/json")));
		assert_null(http_kept(&a, "X-On").p);
	}
	http_answer_release(&a);
	(void)unsetenv("https_proxy");
	(void)unsetenv("ALL_PROXY");
}

static void
expect_seen(const struct server *s, const char *what, const char *wanted)
{
	char url[256], path[64];
	struct http_answer a;
	struct mh_err err = { 0 };

	(void)snprintf(path, sizeof(path), "seen/%s", what);
	const struct http_request q = { .method = "GET", .url = url_of(s, PLAIN, "http", path, url) };
	http_answer_init(&a);
	assert_int_equal(http_try(&(struct wire){ .total_ms = 5000 }, &q, &a, &err), MH_OK);
	if (!span_eq(buf_span(&a.body), span_of(wanted)))
		fail_msg("%s: seen %.*s times", what, (int)a.body.n, buf_span(&a.body).p);
	http_answer_release(&a);
}

/* Only a configured proxy is used; it is told no credentials, and its headers are not the server's. */
static void
test_proxy(void **state)
{
	const struct server *s = *state;
	static const char *const keep[] = { "X-One", NULL };
	const struct http_header h = { "Authorization", MH_LIT("Bearer abc") };
	char url[256], proxy[64];
	const struct http_request q = { .method = "GET",
		.url = url_of(s, TLS, "https", "status/200", url),
		.headers = &h,
		.n_headers = 1,
		.keep = keep };
	struct http_answer a;
	struct mh_err err = { 0 };

	(void)snprintf(proxy, sizeof(proxy), "http://127.0.0.1:%d", s->ports[PROXY]);
	(void)setenv("no_proxy", "*", 1); /* must not matter */
	http_answer_init(&a);
	if (http_try(&(struct wire){ .ca_file = s->ca, .proxy = proxy }, &q, &a, &err) != MH_OK)
		fail_msg("%s", err.text);
	assert_int_equal(a.status, 200);
	assert_null(http_kept(&a, "X-One").p);
	expect_seen(s, "proxied", "1");
	expect_seen(s, "told-Authorization", "0");
	if (http_try(&(struct wire){ .proxy = proxy }, &q, &a, &err) != MH_BAD)
		fail_msg("the proxy took the server's certificate check away");
	(void)unsetenv("no_proxy");
	http_answer_release(&a);
}

/* Where an answer is lost the request was made, once: libcurl itself never tries again. */
static void
test_asked_once(void **state)
{
	const struct server *s = *state;
	char url[256];
	const struct http_request q = {
		.method = "POST", .url = url_of(s, PLAIN, "http", "lost/once", url), .body = MH_LIT("x")
	};
	struct http_answer a;

	http_answer_init(&a);
	assert_int_equal(http_try(&(struct wire){ .total_ms = 5000 }, &q, &a, NULL), MH_RETRY);
	expect_seen(s, "once", "1");
	expect_seen(s, "redirected", "0");
	http_answer_release(&a);
}

/* The server's alert may not be read: our side writes in the handshake, and finds nobody there. */
static void
test_client_certificate_wanted(void **state)
{
	const struct server *s = *state;
	char url[256];
	const struct http_request q = { .method = "GET", .url = url_of(s, MUTUAL, "https", "status/200", url) };
	struct http_answer a;
	struct mh_err err = { 0 };
	enum mh_status status = MH_RETRY;

	http_answer_init(&a);
	for (int i = 0; i < 20 && status == MH_RETRY; i++)
		status = http_try(&(struct wire){ .ca_file = s->ca, .total_ms = 10000 }, &q, &a, &err);
	if (status != MH_BAD || strstr(err.text, "the server ended TLS: it may want a client certificate") == NULL)
		fail_msg("%d \"%s\"", (int)status, err.text);
	http_answer_release(&a);
}

/* A key that others can read is not used. */
static void
test_open_key(void **state)
{
	const struct server *s = *state;
	char url[256];
	const struct http_request q = { .method = "GET", .url = url_of(s, MUTUAL, "https", "status/200", url) };
	struct http_answer a;
	struct mh_err err = { 0 };

	http_answer_init(&a);
	assert_int_equal(chmod(s->key, 0644), 0);
	assert_int_equal(
	    http_try(&(struct wire){ .ca_file = s->ca, .cert_file = s->cert, .key_file = s->key }, &q, &a, &err),
	    MH_BAD);
	assert_non_null(strstr(err.text, "others can read"));
	assert_int_equal(chmod(s->key, 0600), 0);
	http_answer_release(&a);
}

static void
test_retry_after(void **state)
{
	static const struct {
		const char *name, *value;
		enum mh_status status;
		int64_t wait_s;
	} rows[] = {
		{ "zero", "0", MH_OK, 0 },
		{ "seconds", "3600", MH_OK, 3600 },
		{ "seconds with blanks", " 7 ", MH_OK, 7 },
		{ "at the most", "2592000", MH_OK, 2592000 },
		{ "past the most", "2592001", MH_OK, 2592000 },
		{ "more digits than a number holds", "99999999999999999999999999", MH_OK, 2592000 },
		{ "IMF-fixdate", "Tue, 03 Feb 2026 04:05:16 GMT", MH_OK, 10 },
		{ "RFC 850 date", "Tuesday, 03-Feb-26 04:05:16 GMT", MH_OK, 10 },
		{ "asctime date", "Tue Feb  3 04:05:16 2026", MH_OK, 10 },
		{ "a date that is over", "Tue, 03 Feb 2026 04:05:05 GMT", MH_OK, 0 },
		{ "empty", "", MH_BAD, 0 },
		{ "negative", "-1", MH_BAD, 0 },
		{ "words", "soon", MH_BAD, 0 },
		{ "a fraction", "1.5", MH_BAD, 0 },
		{ "too long", "0000000000000000000000000000000000000000000000000000000000000000000000", MH_BAD, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t wait_s = 0;
		const enum mh_status status =
		    http_retry_after(span_of(rows[i].value), time_of_civil(2026, 2, 3, 4, 5, 6), &wait_s, NULL);

		if (status != rows[i].status || wait_s != rows[i].wait_s)
			fail_msg("%s: status %d, %lld s", rows[i].name, (int)status, (long long)wait_s);
	}
}

static void
test_classes(void **state)
{
	static const struct {
		long http;
		enum mh_status status;
	} rows[] = { { 200, MH_OK }, { 204, MH_OK }, { 299, MH_OK }, { 100, MH_BAD }, { 302, MH_BAD }, { 400, MH_BAD },
		{ 401, MH_BAD }, { 404, MH_BAD }, { 408, MH_RETRY }, { 425, MH_RETRY }, { 429, MH_RETRY },
		{ 500, MH_RETRY }, { 503, MH_RETRY } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (http_class(rows[i].http) != rows[i].status)
			fail_msg("HTTP %ld", rows[i].http);
}

static void
test_encoding(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	http_form_put(&b, "a b", MH_LIT("c&d=\xC3\xA9~"));
	http_form_put(&b, "x", MH_LIT(""));
	assert_string_equal(b.p, "a%20b=c%26d%3D%C3%A9~&x=");
	buf_clear(&b);
	http_basic(&b, MH_LIT("Aladdin"), MH_LIT("open sesame")); /* RFC 7617's example */
	assert_string_equal(b.p, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_refused_before_sending),
		cmocka_unit_test(test_allow_plain),
		cmocka_unit_test(test_request_on_each_try),
		cmocka_unit_test(test_proxy),
		cmocka_unit_test(test_asked_once),
		cmocka_unit_test(test_client_certificate_wanted),
		cmocka_unit_test(test_open_key),
		cmocka_unit_test(test_retry_after),
		cmocka_unit_test(test_classes),
		cmocka_unit_test(test_encoding),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, start_server, stop_server);
}
