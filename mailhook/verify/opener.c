/* opener.c: see opener.h. */
#include "mailhook/verify/opener.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* One byte of a question: the server's number, and in the lowest bit whether it is TCP. One byte of an answer: 0 and the
 * socket, or errno. */

union control { /* aligned as CMSG_DATA wants it */
	struct cmsghdr head;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* -- the opener ---------------------------------------------------------------------------------------------------- */

static bool
answer(int to, int fd, int number)
{
	unsigned char byte = fd >= 0 ? 0 : number > 0 && number <= UINT8_MAX ? (unsigned char)number : EIO;
	union control control = { .bytes = { 0 } };
	struct iovec data = { &byte, 1 };
	struct msghdr m = { .msg_iov = &data, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		*c = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(fd)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS
		};
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(to, &m, MSG_NOSIGNAL) == 1;
}

static void
serve(const struct dns *d)
{
	unsigned char byte;

	while (read(STDIN_FILENO, &byte, 1) == 1) {
		const int fd = dns_open(d, byte >> 1, (byte & 1) != 0);
		const bool sent = answer(STDIN_FILENO, fd, errno);

		if (fd >= 0)
			(void)close(fd);
		if (!sent)
			return;
	}
}

static _Noreturn void
opener_main(const struct dns *d, int fd, pid_t parent)
{
#ifdef MAILHOOK_SANITIZED
	const unsigned first = STDERR_FILENO + 1; /* so that a report can be seen */
#else
	const unsigned first = STDIN_FILENO + 1;
#endif

	/* Asked for first, looked at second: a parent that died in between left no signal behind. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent && dup2(fd, STDIN_FILENO) == STDIN_FILENO &&
	    close_range(first, ~0u, 0) == 0 && opener_shut_in())
		serve(d);
	_exit(0);
}

/* -- who asks it --------------------------------------------------------------------------------------------------- */

enum mh_status
opener_start(struct opener *ret, const struct dns *d, struct mh_err *err)
{
	const pid_t parent = getpid();
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
		return mh_fail_errno(err, MH_RETRY, "no socket to ask for sockets");
	const pid_t pid = fork();
	if (pid == 0)
		opener_main(d, ends[1], parent);
	(void)close(ends[1]);
	if (pid < 0) {
		(void)mh_fail_errno(err, MH_RETRY, "no process that opens sockets");
		(void)close(ends[0]);
		return MH_RETRY;
	}
	*ret = (struct opener){ ends[0], pid };
	return MH_OK;
}

int
opener_open(void *opener, size_t server, bool stream)
{
	const struct opener *o = opener;
	unsigned char byte = (unsigned char)(server << 1 | stream), number = 0;
	union control control;
	struct iovec data = { &number, 1 };
	struct msghdr m = {
		.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof(control.bytes)
	};
	ssize_t n;
	int fd = -1;

	if (server >= DNS_MAX_SERVERS || send(o->fd, &byte, 1, MSG_NOSIGNAL) != 1) {
		errno = EPIPE;
		return -1;
	}
	do
		n = recvmsg(o->fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	const struct cmsghdr *c = n == 1 ? CMSG_FIRSTHDR(&m) : NULL;
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	if (fd < 0)
		errno = n == 1 && number != 0 ? number : EPIPE;
	return fd;
}

void
opener_end(struct opener *o)
{
	(void)close(o->fd);
	while (waitpid(o->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}
