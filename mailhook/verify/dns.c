/* dns.c: a question to the resolvers, over UDP and where the answer does not fit over TCP. */
#include "mailhook/verify/dns.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/fd.h"

#define PORT 53
#define FIRST_WAIT_MS 800 /* for one UDP answer; doubled with each round over the servers */
#define ROUNDS 3
#define MAX_ANSWER_BYTES 65535
#define MAX_QUESTION_BYTES 512

/* -- which servers ------------------------------------------------------------------------------------------------- */

static bool
add_server(struct dns *d, const char *host, uint16_t port)
{
	struct sockaddr_in in4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };

	if (inet_pton(AF_INET, host, &in4.sin_addr) == 1) {
		memcpy(&d->servers[d->n], &in4, sizeof(in4));
		d->lengths[d->n++] = sizeof(in4);
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1) {
		memcpy(&d->servers[d->n], &in6, sizeof(in6));
		d->lengths[d->n++] = sizeof(in6);
		return true;
	}
	return false;
}

/* "ADDRESS:PORT" or "[ADDRESS]:PORT" into its two parts. */
static bool
split(const char *text, char host[INET6_ADDRSTRLEN], uint16_t *ret_port)
{
	const bool bracket = text[0] == '[';
	const char *end = strrchr(text, bracket ? ']' : ':');
	unsigned port = 0;

	if (end == NULL || (bracket && end[1] != ':'))
		return false;
	const char *start = text + bracket, *digit = end + 1 + bracket;
	const size_t n = (size_t)(end - start);
	if (n >= INET6_ADDRSTRLEN || *digit == '\0')
		return false;
	for (; *digit >= '0' && *digit <= '9' && port <= UINT16_MAX; digit++)
		port = port * 10 + (unsigned)(*digit - '0');
	if (*digit != '\0' || port == 0 || port > UINT16_MAX)
		return false;
	memcpy(host, start, n);
	host[n] = '\0';
	*ret_port = (uint16_t)port;
	return true;
}

static void
system_servers(struct dns *d)
{
	struct __res_state state;

	memset(&state, 0, sizeof(state));
	if (res_ninit(&state) != 0)
		return;
	for (int i = 0; i < state.nscount && d->n < DNS_MAX_SERVERS; i++) {
		const struct sockaddr_in *in4 = &state.nsaddr_list[i];
		const struct sockaddr_in6 *in6 = state._u._ext.nsaddrs[i];

		if (in4->sin_family == AF_INET) {
			memcpy(&d->servers[d->n], in4, sizeof(*in4));
			d->lengths[d->n++] = sizeof(*in4);
		} else if (in6 != NULL) { /* where glibc keeps the addresses of the other family */
			memcpy(&d->servers[d->n], in6, sizeof(*in6));
			d->lengths[d->n++] = sizeof(*in6);
		}
	}
	res_nclose(&state);
}

enum mh_status
dns_init(struct dns *d, const char *resolver, struct mh_err *err)
{
	char host[INET6_ADDRSTRLEN];
	uint16_t port;

	*d = (struct dns){ 0 };
	if (resolver == NULL) {
		system_servers(d);
		return d->n > 0 ? MH_OK : mh_fail(err, MH_RETRY, "/etc/resolv.conf names no resolver");
	}
	if (add_server(d, resolver, PORT) || (split(resolver, host, &port) && add_server(d, host, port)))
		return MH_OK;
	return mh_fail(err, MH_BAD, "the resolver is not ADDRESS or ADDRESS:PORT");
}

/* -- one question -------------------------------------------------------------------------------------------------- */

struct question {
	char bytes[2 + MAX_QUESTION_BYTES]; /* with TCP's length in front */
	struct mh_span udp, tcp;
	int64_t deadline_ms;
	struct buf answer;
};

static int64_t
left_ms(int64_t until_ms)
{
	const int64_t left = until_ms - clock_monotonic_ms();

	return left < 0 ? 0 : left > INT_MAX ? INT_MAX : left;
}

/* False: not by then. */
static bool
wait_for(int fd, short events, int64_t until_ms)
{
	for (;;) {
		struct pollfd p = { .fd = fd, .events = events };
		const int n = poll(&p, 1, (int)left_ms(until_ms));

		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

int
dns_open(const struct dns *d, size_t server, bool stream)
{
	const int type = (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;

	if (server >= d->n) {
		errno = EINVAL;
		return -1;
	}
	const int fd = socket(d->servers[server].ss_family, type, 0);
	if (fd < 0)
		return -1;
	/* Connected: the kernel hands over what comes from there and nothing else. */
	if (connect(fd, (const struct sockaddr *)&d->servers[server], d->lengths[server]) == 0 || errno == EINPROGRESS)
		return fd;
	const int number = errno;
	(void)close(fd);
	errno = number;
	return -1;
}

static int
open_socket(const struct dns *d, size_t server, bool stream)
{
	return d->opener == NULL ? dns_open(d, server, stream) : d->opener(d->opener_user, server, stream);
}

static enum mh_status
ask_udp(const struct dns *d, size_t server, struct question *q, int64_t until_ms, struct mh_err *err)
{
	MH_AUTO(drop_fd) int fd = open_socket(d, server, false);
	char bytes[4096];

	if (fd < 0 || send(fd, q->udp.p, q->udp.n, MSG_NOSIGNAL) != (ssize_t)q->udp.n)
		return mh_fail_errno(err, MH_RETRY, "no way to the resolver");
	while (wait_for(fd, POLLIN, until_ms)) {
		const ssize_t n = recv(fd, bytes, sizeof(bytes), 0);

		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return mh_fail_errno(err, MH_RETRY, "the resolver does not listen");
		if (!dns_answers((struct mh_span){ bytes, (size_t)n }, q->udp))
			continue; /* somebody else's, or a guess: the right one may come yet */
		buf_clear(&q->answer);
		buf_put(&q->answer, (struct mh_span){ bytes, (size_t)n });
		return buf_ok(&q->answer) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for an answer");
	}
	return mh_fail(err, MH_RETRY, "the resolver gave no answer in time");
}

static bool
send_all(int fd, struct mh_span s, int64_t until_ms)
{
	while (s.n > 0) {
		if (!wait_for(fd, POLLOUT, until_ms))
			return false;
		const ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return false;
		s = span_from(s, (size_t)n);
	}
	return true;
}

static bool
receive_all(int fd, char *p, size_t n, int64_t until_ms)
{
	while (n > 0) {
		if (!wait_for(fd, POLLIN, until_ms))
			return false;
		const ssize_t got = recv(fd, p, n, 0);
		if (got < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (got <= 0)
			return false;
		p += got;
		n -= (size_t)got;
	}
	return true;
}

static enum mh_status
ask_tcp(const struct dns *d, size_t server, struct question *q, struct mh_err *err)
{
	MH_AUTO(drop_fd) int fd = open_socket(d, server, true);
	unsigned char head[2];
	char bytes[1024];

	if (fd < 0 || !send_all(fd, q->tcp, q->deadline_ms))
		return mh_fail(err, MH_RETRY, "the answer needs TCP, and the resolver does not take it");
	if (!receive_all(fd, (char *)head, sizeof(head), q->deadline_ms))
		return mh_fail(err, MH_RETRY, "the resolver gave no answer over TCP");
	buf_clear(&q->answer);
	for (size_t left = (size_t)head[0] << 8 | head[1], n; left > 0; left -= n) {
		n = left < sizeof(bytes) ? left : sizeof(bytes);
		if (!receive_all(fd, bytes, n, q->deadline_ms))
			return mh_fail(err, MH_RETRY, "the resolver's answer over TCP broke off");
		buf_put(&q->answer, (struct mh_span){ bytes, n });
	}
	if (!buf_ok(&q->answer))
		return mh_fail(err, MH_RETRY, "no memory for an answer");
	return dns_answers(buf_span(&q->answer), q->udp)
		   ? MH_OK
		   : mh_fail(err, MH_RETRY, "the resolver answered another question over TCP");
}

/* One server's word. */
static enum mh_status
ask_server(const struct dns *d, size_t server, struct question *q, const char *name, int64_t until_ms, struct arena *a,
    struct mh_span *ret, struct mh_err *err)
{
	enum mh_status status = ask_udp(d, server, q, until_ms, err);

	if (status == MH_OK)
		status = dns_answer_read(buf_span(&q->answer), name, a, ret, err);
	if (status != MH_LIMIT)
		return status;
	status = ask_tcp(d, server, q, err);
	if (status == MH_OK)
		status = dns_answer_read(buf_span(&q->answer), name, a, ret, err);
	return status == MH_LIMIT ? mh_fail(err, MH_RETRY, "the answer is cut over TCP too") : status;
}

static enum mh_status
ask_all(struct dns *d, struct question *q, const char *name, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	enum mh_status status = mh_fail(err, MH_RETRY, "no resolver was asked: the time was over");
	int64_t wait_ms = FIRST_WAIT_MS;

	for (int round = 0; round < ROUNDS; round++, wait_ms *= 2)
		for (size_t i = 0; i < d->n; i++) {
			const int64_t now = clock_monotonic_ms();

			if (now >= q->deadline_ms)
				return status;
			const int64_t until = now + wait_ms < q->deadline_ms ? now + wait_ms : q->deadline_ms;
			status = ask_server(d, i, q, name, until, a, ret, err);
			if (status != MH_RETRY)
				return status;
		}
	return status;
}

/* -- a lookup ------------------------------------------------------------------------------------------------------ */

/* Nothing that the C library would read as an escape, and no empty label. */
static bool
is_name(struct mh_span s)
{
	size_t label = 0;

	if (s.n == 0 || s.n > DNS_MAX_NAME_BYTES)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];
		if (c == '.' && label == 0)
			return false;
		label = c == '.' ? 0 : label + 1;
		if (label > 63 || !((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
				      c == '.' || c == '-' || c == '_'))
			return false;
	}
	return label > 0;
}

static enum mh_status
ask(struct dns *d, const char *name, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	struct question q = { .deadline_ms = d->deadline_ms };
	struct __res_state state;
	uint16_t id;

	/* The state gives the question its flags and is never asked for a server. */
	memset(&state, 0, sizeof(state));
	state.options = RES_INIT | RES_RECURSE;
	const int n = res_nmkquery(&state, ns_o_query, name, ns_c_in, ns_t_txt, NULL, 0, NULL,
	    (unsigned char *)q.bytes + 2, MAX_QUESTION_BYTES);
	if (n < 0)
		return mh_fail(err, MH_BAD, "not a name that DNS can be asked for");
	if (getrandom(&id, sizeof(id), 0) != (ssize_t)sizeof(id))
		return mh_fail_errno(err, MH_RETRY, "no random number for a question");
	memcpy(q.bytes + 2, &id, sizeof(id));
	q.bytes[0] = (char)(n >> 8);
	q.bytes[1] = (char)(n & 0xff);
	q.udp = (struct mh_span){ q.bytes + 2, (size_t)n };
	q.tcp = (struct mh_span){ q.bytes, (size_t)n + 2 };

	buf_init(&q.answer, MAX_ANSWER_BYTES);
	const enum mh_status status = ask_all(d, &q, name, a, ret, err);
	buf_release(&q.answer);
	return status;
}

static enum mh_status
recall(const struct dns_known *k, struct mh_span *ret, struct mh_err *err)
{
	if (k->err.code != MH_OK)
		return mh_fail(err, k->err.code, "%s", k->err.text);
	*ret = k->text;
	return MH_OK;
}

enum mh_status
dns_txt(void *dns, const char *name, struct arena *a, struct mh_span *ret_text, struct mh_err *err)
{
	struct dns *d = dns;

	if (!is_name(span_of(name)))
		return mh_fail(err, MH_BAD, "not a name that DNS could have");
	for (const struct dns_known *k = d->known; k != NULL; k = k->next)
		if (span_ieq(k->name, span_of(name)))
			return recall(k, ret_text, err);
	if (d->lookups >= DNS_MAX_LOOKUPS)
		return mh_fail(err, MH_BAD, "more than %d lookups for one message", DNS_MAX_LOOKUPS);
	d->lookups++;
	if (d->deadline_ms == 0)
		d->deadline_ms = clock_monotonic_ms() + DNS_DEADLINE_MS;

	struct dns_known *k = arena_alloc(a, sizeof(*k));
	if (k == NULL || arena_copy(a, span_of(name), &k->name, NULL) != MH_OK)
		return mh_fail(err, MH_RETRY, "no memory for a lookup");
	k->err.code = ask(d, name, a, &k->text, &k->err);
	k->next = d->known;
	d->known = k;
	return recall(k, ret_text, err);
}
