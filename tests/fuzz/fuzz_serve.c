/* fuzz_serve.c: one connection to the HTTP server; the first byte says after how many bytes the sender pauses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mailhook/work/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define BODY "all is well\n"

static int
answer(void *user, struct mh_span path, struct buf *out, const char **ret_type)
{
	(void)user;
	*ret_type = "text/plain";
	if (path.n == 0 || path.p[0] != '/' || span_find(path, MH_LIT("?"), 0) != SIZE_MAX)
		abort();
	if (!span_eq(path, MH_LIT("/metrics")))
		return 404;
	buf_puts(out, BODY);
	return 200;
}

/* Whole and well-formed, whatever was asked. */
static void
look_at(struct mh_span said, bool head)
{
	const struct mh_span all = said;
	const size_t end = span_find(said, MH_LIT("\r\n\r\n"), 0);
	struct mh_span line;
	bool length = false;

	if (end == SIZE_MAX || !span_line(&said, &line) || !span_starts(line, MH_LIT("HTTP/1.1 ")))
		abort();
	const struct mh_span body = span_from(all, end + 4);
	while (span_line(&said, &line) && span_trim(line).n > 0)
		if (span_starts(line, MH_LIT("Content-Length: "))) {
			char want[40];

			length = true;
			(void)snprintf(want, sizeof(want), "Content-Length: %zu", body.n);
			if (!head && !span_eq(line, span_of(want)))
				abort();
		}
	if (!length || (head && body.n > 0 && span_starts(all, MH_LIT("HTTP/1.1 200"))))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct serve s;
	int ends[2];
	char said[65536];
	size_t got = 0;

	if (n == 0 || n > 16384 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
		return 0;
	const struct mh_span all = { (const char *)data + 1, n - 1 };
	const size_t first = data[0] < all.n ? data[0] : all.n;
	serve_init(&s);
	s.fd = dup(STDIN_FILENO); /* it listens, and nobody else comes */
	struct serve_conn *c = &s.conns[0];
	*c = (struct serve_conn){ .fd = ends[0], .until_ms = INT64_MAX };
	buf_init(&c->out, sizeof(said));
	if (send(ends[1], all.p, first, MSG_NOSIGNAL) == (ssize_t)first)
		serve_step(&s, answer, NULL);
	const ssize_t rest = send(ends[1], all.p + first, all.n - first, MSG_NOSIGNAL);
	for (int i = 0; i < 4; i++)
		serve_step(&s, answer, NULL);
	while (got < sizeof(said)) {
		const ssize_t r = recv(ends[1], said + got, sizeof(said) - got, 0);
		if (r <= 0)
			break;
		got += (size_t)r;
	}
	if (got > 0)
		look_at((struct mh_span){ said, got }, span_starts(all, MH_LIT("HEAD ")));
	/* a request that has its end is answered, if all of it could be sent */
	else if (rest == (ssize_t)(all.n - first) && all.n <= SERVE_REQUEST_BYTES &&
		 span_find(all, MH_LIT("\r\n\r\n"), 0) != SIZE_MAX)
		abort();
	serve_close(&s);
	(void)close(ends[1]);
	return 0;
}
