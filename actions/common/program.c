/* program.c: starts it with nothing of ours open, talks with it, and takes its end. */
#include "actions/common/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "actions/common/folder.h"
#include "mailhook/clock.h"

struct child {
	pid_t pid;
	int in, out; /* we write; we read */
};

static enum mh_status
start_child(const char *const *argv, char *const *envp, struct child *ret, struct mh_err *err)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };

	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || fcntl(in[1], F_SETFL, O_NONBLOCK) != 0) {
		for (int i = 0; i < 2; i++) {
			drop_fd(&in[i]);
			drop_fd(&out[i]);
		}
		return mh_fail_errno(err, MH_RETRY, "no pipe for %.60s", argv[0]);
	}
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	int code = posix_spawn_file_actions_init(&files);
	if (code == 0) {
		code = posix_spawnattr_init(&attr);
		if (code == 0) {
			if ((code = posix_spawn_file_actions_adddup2(&files, in[0], STDIN_FILENO)) == 0 &&
			    (code = posix_spawn_file_actions_adddup2(&files, out[1], STDOUT_FILENO)) == 0 &&
			    (code = posix_spawn_file_actions_adddup2(&files, out[1], STDERR_FILENO)) == 0 &&
			    (code = posix_spawn_file_actions_addclosefrom_np(&files, 3)) == 0 &&
			    (code = posix_spawnattr_setsigmask(&attr, &none)) == 0 &&
			    (code = posix_spawnattr_setsigdefault(&attr, &all)) == 0 &&
			    (code = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)) ==
				0)
				code = posix_spawn(
				    &ret->pid, argv[0], &files, &attr, (char *const *)(uintptr_t)argv, envp);
			(void)posix_spawnattr_destroy(&attr);
		}
		(void)posix_spawn_file_actions_destroy(&files);
	}
	drop_fd(&in[0]);
	drop_fd(&out[1]);
	ret->in = in[1];
	ret->out = out[0];
	if (code == 0)
		return MH_OK;
	drop_fd(&ret->in);
	drop_fd(&ret->out);
	errno = code;
	return mh_fail_errno(
	    err, code == ENOENT || code == EACCES || code == ENOEXEC ? MH_BAD : MH_RETRY, "%.60s", argv[0]);
}

static int
ms_left(int64_t end_ms)
{
	const int64_t left = end_ms - clock_monotonic_ms();

	return left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
}

/* Gives it the text and takes what it writes, until it closes its output or the time is over. */
static bool
talk(struct child *c, struct mh_span text, int64_t end_ms, struct buf *out)
{
	char chunk[1024];

	while (c->out >= 0) {
		struct pollfd fds[2] = { { c->out, POLLIN, 0 }, { c->in, POLLOUT, 0 } };
		const int n = poll(fds, c->in >= 0 ? 2 : 1, ms_left(end_ms));

		if ((n == 0 && ms_left(end_ms) == 0) || (n < 0 && errno != EINTR))
			return false;
		if (n <= 0)
			continue;
		if (c->in >= 0 && fds[1].revents != 0) {
			const ssize_t sent = text.n == 0 ? 0 : write(c->in, text.p, text.n);

			if (sent > 0)
				text = span_from(text, (size_t)sent);
			if (text.n == 0 || (sent < 0 && errno != EAGAIN && errno != EINTR))
				drop_fd(&c->in); /* one that does not read all of it is judged by its exit status */
		}
		if (fds[0].revents != 0) {
			const ssize_t got = read(c->out, chunk, sizeof(chunk));

			if (got > 0)
				buf_put(out, span_head((struct mh_span){ chunk, (size_t)got }, out->max - out->n));
			else if (got == 0 || errno != EINTR)
				drop_fd(&c->out);
		}
		explicit_bzero(chunk, sizeof(chunk));
	}
	return true;
}

/* Its exit status; -1: it was killed, by us where the time was over. */
static int
take_end(pid_t pid, bool in_time, int64_t end_ms)
{
	MH_AUTO(drop_fd) int fd = pidfd_open(pid, 0);
	struct pollfd p = { fd, POLLIN, 0 };
	siginfo_t how = { 0 };

	/* that it is still there behind its output is a matter of moments */
	if (!in_time || fd < 0 || poll(&p, 1, ms_left(end_ms)) <= 0)
		(void)kill(pid, SIGKILL);
	while (waitid(P_PID, (id_t)pid, &how, WEXITED) < 0 && errno == EINTR)
		continue;
	return how.si_code == CLD_EXITED ? how.si_status : -1;
}

enum mh_status
program_run(const char *const *argv, char *const *envp, struct mh_span text, int64_t end_ms, struct buf *out,
    struct program_end *ret, struct mh_err *err)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	struct sigaction before;
	struct child c = { -1, -1, -1 };

	const enum mh_status status = start_child(argv, envp, &c, err);
	if (status != MH_OK)
		return status;
	/* It may end without reading all. */
	(void)sigaction(SIGPIPE, &ignore, &before);
	ret->in_time = talk(&c, text, end_ms, out);
	(void)sigaction(SIGPIPE, &before, NULL);
	drop_fd(&c.in);
	drop_fd(&c.out);
	ret->code = take_end(c.pid, ret->in_time, end_ms);
	return MH_OK;
}
