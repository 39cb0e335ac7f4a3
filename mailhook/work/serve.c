/* serve.c: see serve.h. Source: RFC 9110, RFC 9112. One request a connection, GET and HEAD, and no body is read. */
#include "mailhook/work/serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mailhook/clock.h"

#define ANSWER_BYTES 65536

union address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

void
serve_init(struct serve *s)
{
	s->fd = -1;
	for (size_t i = 0; i < SERVE_CONNS; i++)
		s->conns[i] = (struct serve_conn){ .fd = -1 };
}

static void
conn_close(struct serve_conn *c)
{
	if (c->fd < 0)
		return;
	(void)close(c->fd);
	buf_release(&c->out);
	c->fd = -1;
}

void
serve_close(struct serve *s)
{
	for (size_t i = 0; i < SERVE_CONNS; i++)
		conn_close(&s->conns[i]);
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
}

/* "127.0.0.1:9100" or "[::1]:9100". */
static bool
read_address(const char *text, union address *ret, socklen_t *ret_bytes)
{
	const char *colon = strrchr(text, ':');
	char host[INET6_ADDRSTRLEN];
	unsigned port = 0;
	size_t n;

	if (colon == NULL)
		return false;
	for (const char *p = colon + 1; *p >= '0' && *p <= '9' && port <= 65535; p++)
		port = port * 10 + (unsigned)(*p - '0');
	const bool six = text[0] == '[';
	n = (size_t)(colon - text);
	if (six && n > 2) {
		text++;
		n -= 2;
	}
	if (port < 1 || port > 65535 || n >= sizeof(host))
		return false;
	memcpy(host, text, n);
	host[n] = '\0';
	memset(ret, 0, sizeof(*ret));
	if (six) {
		ret->six.sin6_family = AF_INET6;
		ret->six.sin6_port = htons((uint16_t)port);
		*ret_bytes = sizeof(ret->six);
		return inet_pton(AF_INET6, host, &ret->six.sin6_addr) == 1 && IN6_IS_ADDR_LOOPBACK(&ret->six.sin6_addr);
	}
	ret->four.sin_family = AF_INET;
	ret->four.sin_port = htons((uint16_t)port);
	*ret_bytes = sizeof(ret->four);
	return inet_pton(AF_INET, host, &ret->four.sin_addr) == 1 && ntohl(ret->four.sin_addr.s_addr) >> 24 == 127;
}

enum mh_status
serve_open(struct serve *s, const char *listen_at, struct mh_err *err)
{
	union address at;
	socklen_t bytes;
	const int on = 1;

	if (!read_address(listen_at, &at, &bytes))
		return mh_fail(err, MH_BAD, "metrics_listen: not an address of the loopback");
	s->fd = socket(at.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (s->fd < 0 || setsockopt(s->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(s->fd, &at.any, bytes) != 0 || listen(s->fd, 16) != 0) {
		(void)mh_fail_errno(err, MH_RETRY, "metrics_listen: %.60s", listen_at);
		serve_close(s);
		return MH_RETRY;
	}
	return MH_OK;
}

/* -- one connection ------------------------------------------------------------------------------------------------ */

static const char *
reason_of(int code)
{
	switch (code) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 431:
		return "Request Header Fields Too Large";
	default: /* 503, and whatever an answer invents */
		return "Service Unavailable";
	}
}

static void
answer_with(struct serve_conn *c, int code, const char *type, struct mh_span body, bool head)
{
	buf_printf(&c->out,
	    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\nCache-Control: "
	    "no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n%s\r\n",
	    code, reason_of(code), type, body.n, code == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (!head)
		buf_put(&c->out, body);
	c->answered = true;
}

static void
refuse(struct serve_conn *c, int code)
{
	struct buf body;

	buf_init(&body, 200);
	buf_printf(&body, "%s\n", reason_of(code));
	answer_with(c, code, "text/plain; charset=utf-8", buf_span(&body), false);
	buf_release(&body);
}

/* Up to the next space; *s moves behind it. False: there is none. */
static bool
word(struct mh_span *s, struct mh_span *ret)
{
	const size_t at = span_find(*s, MH_LIT(" "), 0);

	if (at == SIZE_MAX)
		return false;
	*ret = span_head(*s, at);
	*s = span_from(*s, at + 1);
	return true;
}

static void
answer_request(struct serve_conn *c, struct mh_span request, serve_answer *answer, void *user)
{
	struct mh_span line, method, path;
	const char *type = "text/plain; charset=utf-8";
	struct buf body;

	if (!span_line(&request, &line) || !word(&line, &method) || !word(&line, &path) || path.n == 0 ||
	    path.p[0] != '/' || !span_starts(line, MH_LIT("HTTP/1."))) {
		refuse(c, 400);
		return;
	}
	const bool head = span_eq(method, MH_LIT("HEAD"));
	if (!head && !span_eq(method, MH_LIT("GET"))) {
		refuse(c, 405);
		return;
	}
	const size_t query = span_find(path, MH_LIT("?"), 0);
	buf_init(&body, ANSWER_BYTES);
	const int code = answer(user, query == SIZE_MAX ? path : span_head(path, query), &body, &type);
	if (!buf_ok(&body))
		refuse(c, 503);
	else if (body.n == 0)
		refuse(c, code);
	else
		answer_with(c, code, type, buf_span(&body), head);
	buf_release(&body);
}

/* False: the other side has gone. */
static bool
hear(struct serve_conn *c, serve_answer *answer, void *user)
{
	char rest[SERVE_REQUEST_BYTES];

	for (;;) {
		/* what comes behind the request is read away: closing with unread bytes would take the answer back */
		char *to = c->answered ? rest : c->in + c->n;
		const size_t room = c->answered ? sizeof(rest) : sizeof(c->in) - c->n;
		const ssize_t n = recv(c->fd, to, room, 0);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		if (n == 0)
			return c->answered && !c->said_all;
		if (c->answered)
			return true; /* a little at a time: the worker has other work */
		c->n += (size_t)n;
		const struct mh_span got = { c->in, c->n };
		if (span_find(got, MH_LIT("\r\n\r\n"), 0) != SIZE_MAX || span_find(got, MH_LIT("\n\n"), 0) != SIZE_MAX)
			answer_request(c, got, answer, user);
		else if (c->n == sizeof(c->in))
			refuse(c, 431);
	}
}

static bool
say(struct serve_conn *c)
{
	while (c->sent < c->out.n) {
		const ssize_t n = send(c->fd, c->out.p + c->sent, c->out.n - c->sent, MSG_NOSIGNAL);

		if (n < 0)
			return errno == EAGAIN || errno == EINTR;
		c->sent += (size_t)n;
	}
	if (!c->said_all) {
		c->said_all = true;
		return shutdown(c->fd, SHUT_WR) == 0;
	}
	return true;
}

static void
take_new(struct serve *s)
{
	for (size_t i = 0; i < SERVE_CONNS; i++) {
		struct serve_conn *c = &s->conns[i];

		if (c->fd >= 0)
			continue;
		const int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
		if (fd < 0)
			return;
		c->fd = fd;
		c->answered = c->said_all = false;
		c->n = c->sent = 0;
		c->until_ms = clock_monotonic_ms() + SERVE_DEADLINE_MS;
		buf_init(&c->out, ANSWER_BYTES + 1024);
	}
}

size_t
serve_pollfds(const struct serve *s, struct pollfd *fds, int *ret_timeout_ms)
{
	size_t n = 0, busy = 0;

	if (s->fd < 0)
		return 0;
	for (size_t i = 0; i < SERVE_CONNS; i++) {
		const struct serve_conn *c = &s->conns[i];

		if (c->fd < 0)
			continue;
		busy++;
		const bool writes = c->answered && c->sent < c->out.n;
		fds[n++] = (struct pollfd){ .fd = c->fd, .events = writes ? POLLOUT : POLLIN };
		const int64_t left = c->until_ms - clock_monotonic_ms();
		const int ms = left < 0 ? 0 : (int)left;
		if (*ret_timeout_ms < 0 || ms < *ret_timeout_ms)
			*ret_timeout_ms = ms;
	}
	if (busy < SERVE_CONNS)
		fds[n++] = (struct pollfd){ .fd = s->fd, .events = POLLIN };
	return n;
}

void
serve_step(struct serve *s, serve_answer *answer, void *user)
{
	if (s->fd < 0)
		return;
	take_new(s);
	for (size_t i = 0; i < SERVE_CONNS; i++) {
		struct serve_conn *c = &s->conns[i];

		if (c->fd < 0)
			continue;
		bool stays = clock_monotonic_ms() < c->until_ms && hear(c, answer, user);
		if (stays && c->answered)
			stays = say(c);
		if (!stays || !buf_ok(&c->out))
			conn_close(c);
	}
}
