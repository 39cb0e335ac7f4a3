/* serve.h: a small HTTP server for this machine only, inside the worker's loop: it never waits for anybody. */
#ifndef MAILHOOK_WORK_SERVE_H
#define MAILHOOK_WORK_SERVE_H

#include <poll.h>

#include "mailhook/mailhook.h"

#define SERVE_CONNS 8 /* at once; others wait in the system's queue */
#define SERVE_FDS (SERVE_CONNS + 1)
#define SERVE_REQUEST_BYTES 2048
#define SERVE_DEADLINE_MS 5000 /* of a connection, from its first byte's wait to its close */

struct serve_conn {
	int fd; /* own; -1: free */
	bool answered, said_all;
	char in[SERVE_REQUEST_BYTES];
	size_t n, sent;
	struct buf out; /* own */
	int64_t until_ms;
};
struct serve {
	int fd; /* own; -1: it does not listen */
	struct serve_conn conns[SERVE_CONNS];
};

/* The answer to GET path: body into out, its media type into *ret_type. Returns the HTTP status, 404 for no such path. */
typedef int serve_answer(void *user, struct mh_span path, struct buf *out, const char **ret_type);

void serve_init(struct serve *s);
/* listen: "127.0.0.1:9100" or "[::1]:9100"; another address than the loopback's is MH_BAD. */
enum mh_status serve_open(struct serve *s, const char *listen, struct mh_err *err);
void serve_close(struct serve *s);
/* At most SERVE_FDS; *ret_timeout_ms is lowered where a connection's time ends before. */
size_t serve_pollfds(const struct serve *s, struct pollfd *fds, int *ret_timeout_ms);
void serve_step(struct serve *s, serve_answer *answer, void *user);

#endif
