/* dns_test.c: lookups against a server that does what servers do, and what attackers do; and answers made up by bytes. */
#include "tests/exact.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/verify/dns.h"

#define QUESTION_AT 12
#define MAX_DATAGRAM 4096

/* -- a server ------------------------------------------------------------------------------------------------------ */

struct message {
	unsigned char bytes[2 + 65535];
	size_t n;
};

static void
put(struct message *m, const void *p, size_t n)
{
	assert_true(n <= sizeof(m->bytes) - m->n);
	memcpy(m->bytes + m->n, p, n);
	m->n += n;
}

static void
put16(struct message *m, unsigned v)
{
	put(m, (unsigned char[]){ (unsigned char)(v >> 8), (unsigned char)v }, 2);
}

/* A record of the name that stands at that offset. */
static void
put_record(struct message *m, unsigned owner, unsigned type, const void *data, size_t n)
{
	put16(m, 0xc000 | owner);
	put16(m, type);
	put16(m, 1);
	put16(m, 0);
	put16(m, 60);
	put16(m, (unsigned)n);
	put(m, data, n);
	m->bytes[7]++;
}

static void
put_txt(struct message *m, unsigned owner, const char *const *strings)
{
	unsigned char data[4096];
	size_t n = 0;

	for (; *strings != NULL; strings++) {
		const size_t length = strlen(*strings);
		data[n++] = (unsigned char)length;
		memcpy(data + n, *strings, length);
		n += length;
	}
	put_record(m, owner, 16, data, n);
}

static const char *const plain[] = { "v=DKIM1; p=abc", NULL };
static const char *const strings[] = { "v=DKIM1; ", "", "p=", "abc", NULL };
static const char *const other[] = { "v=DKIM1; p=evil", NULL };

/* The answer to a question, by the first label of its name. False: silence. */
static bool
answer(const struct message *q, bool tcp, struct message *m)
{
	const char *label = (const char *)q->bytes + QUESTION_AT + 1;
	const size_t n = q->bytes[QUESTION_AT];

	*m = *q;
	m->bytes[2] |= 0x80;
	m->bytes[7] = 0;
#define IS(word) (n == sizeof(word) - 1 && memcmp(label, word, n) == 0)
	if (IS("silent") || (tcp && IS("tcpsilent")))
		return false;
	if (!tcp && (IS("cut") || IS("tcpsilent") || IS("tcpcut")))
		m->bytes[2] |= 0x02;
	else if (IS("tcpcut"))
		m->bytes[2] |= 0x02;
	else if (IS("nx"))
		m->bytes[3] |= 3;
	else if (IS("servfail"))
		m->bytes[3] |= 2;
	else if (IS("refused"))
		m->bytes[3] |= 5;
	else if (IS("nodata"))
		put_record(m, QUESTION_AT, 1, "\x7f\0\0\1", 4);
	else if (IS("strings") || IS("cut"))
		put_txt(m, QUESTION_AT, strings);
	else if (IS("foreign")) { /* a record of the name above, which was not asked for */
		put_txt(m, QUESTION_AT + 1 + (unsigned)n, other);
	} else if (IS("two")) {
		put_txt(m, QUESTION_AT, plain);
		put_txt(m, QUESTION_AT, other);
	} else if (IS("loop")) {
		put_record(m, QUESTION_AT, 5, "\xc0\x0c", 2);
	} else if (IS("alias")) { /* to the name above, and what that has */
		const unsigned above = QUESTION_AT + 1 + (unsigned)n;
		const unsigned char target[] = { 0xc0, (unsigned char)above };
		put_txt(m, above, plain);
		put_record(m, QUESTION_AT, 5, target, 2);
	} else if (IS("broken")) {
		put_record(m, QUESTION_AT, 16, "\xffshort", 6);
	} else if (IS("short")) {
		put_txt(m, QUESTION_AT, plain);
		m->n -= 4;
	} else {
		put_txt(m, QUESTION_AT, plain);
	}
#undef IS
	return true;
}

static bool
has_label(const struct message *q, const char *word)
{
	return q->bytes[QUESTION_AT] == strlen(word) && memcmp(q->bytes + QUESTION_AT + 1, word, strlen(word)) == 0;
}

static void
serve_udp(int fd)
{
	static struct message q, m;
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	const ssize_t n = recvfrom(fd, q.bytes, MAX_DATAGRAM, 0, (struct sockaddr *)&from, &length);

	if (n <= QUESTION_AT)
		return;
	q.n = (size_t)n;
	if (!answer(&q, false, &m))
		return;
	if (has_label(&q, "guessed")) { /* before the right answer: noise, another number, another question */
		struct message bad = m;
		(void)sendto(fd, "x", 1, 0, (struct sockaddr *)&from, length);
		(void)sendto(fd, "", 0, 0, (struct sockaddr *)&from, length);
		bad.bytes[0] ^= 0x55;
		(void)sendto(fd, bad.bytes, bad.n, 0, (struct sockaddr *)&from, length);
		bad = m;
		bad.bytes[QUESTION_AT + 2] ^= 0x01;
		(void)sendto(fd, bad.bytes, bad.n, 0, (struct sockaddr *)&from, length);
		(void)sendto(fd, q.bytes, q.n, 0, (struct sockaddr *)&from, length);
		bad = m; /* no such name, without saying which */
		memset(bad.bytes + 4, 0, 8);
		bad.bytes[3] |= 3;
		(void)sendto(fd, bad.bytes, QUESTION_AT, 0, (struct sockaddr *)&from, length);
	}
	(void)sendto(fd, m.bytes, m.n, 0, (struct sockaddr *)&from, length);
}

static void
serve_tcp(int fd)
{
	static struct message q, m;
	unsigned char head[2];
	const int c = accept(fd, NULL, NULL);

	if (c < 0 || recv(c, head, 2, MSG_WAITALL) != 2)
		return;
	q.n = (size_t)head[0] << 8 | head[1];
	if (q.n > MAX_DATAGRAM || recv(c, q.bytes, q.n, MSG_WAITALL) != (ssize_t)q.n)
		return;
	if (!answer(&q, true, &m))
		return; /* the connection stays open: no answer, and no end */
	head[0] = (unsigned char)(m.n >> 8);
	head[1] = (unsigned char)m.n;
	(void)send(c, head, 1, MSG_NOSIGNAL); /* in pieces, as a network may */
	(void)send(c, head + 1, 1, MSG_NOSIGNAL);
	(void)send(c, m.bytes, m.n / 2, MSG_NOSIGNAL);
	(void)send(c, m.bytes + m.n / 2, m.n - m.n / 2, MSG_NOSIGNAL);
	(void)close(c);
}

struct server {
	pid_t pid;
	uint16_t port;
};

static int
start(void **state)
{
	static struct server s;
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t length = sizeof(at);
	const int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
		  tcp = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	/* The number that TCP gets must be free for UDP too. */
	if (bind(tcp, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    getsockname(tcp, (struct sockaddr *)&at, &length) != 0 ||
	    bind(udp, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(tcp, 16) != 0)
		return -1;
	s.port = ntohs(at.sin_port);
	s.pid = fork();
	if (s.pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;) {
			struct pollfd fds[] = { { udp, POLLIN, 0 }, { tcp, POLLIN, 0 } };
			if (poll(fds, 2, -1) < 0)
				_exit(1);
			if (fds[0].revents != 0)
				serve_udp(udp);
			if (fds[1].revents != 0)
				serve_tcp(tcp);
		}
	}
	(void)close(udp);
	(void)close(tcp);
	*state = &s;
	return s.pid > 0 ? 0 : -1;
}

static int
stop(void **state)
{
	const struct server *s = *state;

	(void)kill(s->pid, SIGKILL);
	(void)waitpid(s->pid, NULL, 0);
	return 0;
}

static void
open_dns(struct dns *d, const struct server *s)
{
	char text[40];

	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", s->port);
	assert_int_equal(dns_init(d, text, NULL), MH_OK);
}

/* -- lookups ------------------------------------------------------------------------------------------------------- */

static void
test_lookups(void **state)
{
	static const struct {
		const char *name;
		enum mh_status status;
		const char *text; /* or a word of the error */
		int max_ms;       /* 0: the module's own deadline */
	} rows[] = {
		{ "plain.example.com", MH_OK, "v=DKIM1; p=abc", 0 },
		{ "PLAIN.Example.com", MH_OK, "v=DKIM1; p=abc", 0 },
		{ "strings.example.com", MH_OK, "v=DKIM1; p=abc", 0 },
		{ "cut.example.com", MH_OK, "v=DKIM1; p=abc", 0 },
		{ "alias.example.com", MH_OK, "v=DKIM1; p=abc", 0 },
		{ "guessed.example.com", MH_OK, "v=DKIM1; p=abc", 0 },
		{ "nx.example.com", MH_SKIP, "no such name", 0 },
		{ "nodata.example.com", MH_SKIP, "no TXT record", 0 },
		{ "foreign.example.com", MH_SKIP, "no TXT record", 0 },
		{ "two.example.com", MH_BAD, "several", 0 },
		{ "loop.example.com", MH_BAD, "aliases", 0 },
		{ "servfail.example.com", MH_RETRY, "failed", 0 },
		{ "refused.example.com", MH_RETRY, "failed", 0 },
		{ "broken.example.com", MH_RETRY, "broken", 0 },
		{ "short.example.com", MH_RETRY, "broken", 0 },
		{ "tcpcut.example.com", MH_RETRY, "over TCP too", 0 },
		{ "silent.example.com", MH_RETRY, "in time", 300 },
		{ "tcpsilent.example.com", MH_RETRY, "over TCP", 300 },
		{ "", MH_BAD, "name", 0 },
		{ ".", MH_BAD, "name", 0 },
		{ "a..b", MH_BAD, "name", 0 },
		{ "a.b.", MH_BAD, "name", 0 },
		{ "a b.c", MH_BAD, "name", 0 },
		{ "a\\046b.c", MH_BAD, "name", 0 },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.c", MH_BAD, "name", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct arena a;
		struct dns d;
		struct mh_err err = { 0 };
		struct mh_span text = MH_NONE;

		arena_init(&a, 1 << 20);
		open_dns(&d, *state);
		const int64_t before = clock_monotonic_ms();
		if (rows[i].max_ms > 0)
			d.deadline_ms = before + rows[i].max_ms;
		expect_number(rows[i].name, "status", dns_txt(&d, rows[i].name, &a, &text, &err), rows[i].status);
		if (rows[i].status == MH_OK)
			expect_span(rows[i].name, text, span_of(rows[i].text));
		else if (strstr(err.text, rows[i].text) == NULL)
			fail_msg("%s: \"%s\" does not say \"%s\"", rows[i].name, err.text, rows[i].text);
		if (clock_monotonic_ms() - before > DNS_DEADLINE_MS + 1000)
			fail_msg("%s: took longer than its deadline", rows[i].name);
		arena_release(&a);
	}
}

static void
test_once_each(void **state)
{
	struct arena a;
	struct dns d;
	struct mh_span text;
	char name[40];

	arena_init(&a, 1 << 20);
	open_dns(&d, *state);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(dns_txt(&d, "plain.example.com", &a, &text, NULL), MH_OK);
		assert_int_equal(dns_txt(&d, "nx.example.com", &a, &text, NULL), MH_SKIP);
	}
	assert_int_equal(d.lookups, 2);
	for (int i = 2; i < DNS_MAX_LOOKUPS; i++) {
		(void)snprintf(name, sizeof(name), "n%d.example.com", i);
		assert_int_equal(dns_txt(&d, name, &a, &text, NULL), MH_OK);
	}
	assert_int_equal(dns_txt(&d, "one.more.example.com", &a, &text, NULL), MH_BAD);
	assert_int_equal(dns_txt(&d, "plain.example.com", &a, &text, NULL), MH_OK);
	arena_release(&a);
}

/* A resolver that is gone costs time, not the answer. */
static void
test_second_server(void **state)
{
	struct arena a;
	struct dns d, gone;
	struct mh_span text;

	arena_init(&a, 1 << 20);
	open_dns(&d, *state);
	assert_int_equal(dns_init(&gone, "127.0.0.1:1", NULL), MH_OK);
	d.servers[1] = d.servers[0];
	d.lengths[1] = d.lengths[0];
	d.servers[0] = gone.servers[0];
	d.n = 2;
	assert_int_equal(dns_txt(&d, "plain.example.com", &a, &text, NULL), MH_OK);
	arena_release(&a);
}

static void
test_resolvers(void **state)
{
	static const struct {
		const char *text;
		enum mh_status status;
		sa_family_t family;
		uint16_t port;
	} rows[] = { { "127.0.0.53", MH_OK, AF_INET, 53 }, { "127.0.0.53:5353", MH_OK, AF_INET, 5353 },
		{ "2001:db8::1", MH_OK, AF_INET6, 53 }, { "[2001:db8::1]:5353", MH_OK, AF_INET6, 5353 },
		{ "localhost", MH_BAD, 0, 0 }, { "127.0.0.1:0", MH_BAD, 0, 0 }, { "127.0.0.1:65536", MH_BAD, 0, 0 },
		{ "127.0.0.1:", MH_BAD, 0, 0 }, { "127.0.0.1:5x", MH_BAD, 0, 0 }, { "[::1]", MH_BAD, 0, 0 },
		{ "", MH_BAD, 0, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct dns d;
		struct mh_err err;

		expect_number(rows[i].text, "status", dns_init(&d, rows[i].text, &err), rows[i].status);
		if (rows[i].status != MH_OK)
			continue;
		expect_number(rows[i].text, "family", d.servers[0].ss_family, rows[i].family);
		/* sin_port and sin6_port stand at the same place */
		expect_number(
		    rows[i].text, "port", ntohs(((struct sockaddr_in *)&d.servers[0])->sin_port), rows[i].port);
	}
}

/* -- answers by bytes ---------------------------------------------------------------------------------------------- */

/* Every truncation and every changed byte of a good answer: an answer or an error, and never a byte too far. */
static void
test_mangled_answers(void **state)
{
	static struct message q, m;
	static const unsigned char name[] = "\5alias\7example\3com";

	(void)state;
	q.n = 0;
	put(&q, "\1\2\1\0\0\1\0\0\0\0\0\0", 12);
	put(&q, name, sizeof(name));
	put16(&q, 16);
	put16(&q, 1);
	assert_true(answer(&q, false, &m));
	for (size_t cut = 0; cut <= m.n; cut++) {
		struct arena a;
		struct mh_span text = MH_NONE;
		struct mh_err err;
		char *p = exact_copy((struct mh_span){ (const char *)m.bytes, cut });

		arena_init(&a, 1 << 20);
		const enum mh_status status =
		    dns_answer_read((struct mh_span){ p, cut }, "alias.example.com", &a, &text, &err);
		expect_number("truncated", "status", status, cut == m.n ? MH_OK : MH_RETRY);
		free(p);
		arena_release(&a);
	}
	for (size_t at = 0; at < m.n; at++)
		for (unsigned bit = 0; bit < 8; bit++) {
			struct arena a;
			struct mh_span text = MH_NONE;
			struct mh_err err;
			char *p = exact_copy((struct mh_span){ (const char *)m.bytes, m.n });

			arena_init(&a, 1 << 20);
			p[at] = (char)(p[at] ^ (1 << bit));
			const enum mh_status status =
			    dns_answer_read((struct mh_span){ p, m.n }, "alias.example.com", &a, &text, &err);
			assert_true(status != MH_OK || text.n <= m.n);
			free(p);
			arena_release(&a);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lookups), cmocka_unit_test(test_once_each),
		cmocka_unit_test(test_second_server), cmocka_unit_test(test_resolvers),
		cmocka_unit_test(test_mangled_answers) };

	return cmocka_run_group_tests(tests, start, stop);
}
