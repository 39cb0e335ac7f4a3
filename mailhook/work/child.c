/* child.c: fork and exec with the input in a file, so that neither end waits for the other. */
#include "mailhook/work/child.h"
#include "mailhook/fd.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int
file_of(struct mh_span bytes)
{
	int fd = memfd_create("input", MFD_CLOEXEC);

	if (fd >= 0 && (!fd_write_all(fd, bytes) || lseek(fd, 0, SEEK_SET) != 0))
		drop_fd(&fd);
	return fd;
}

/* False: it did not end in time, or its end could not be waited for; it was killed. */
static bool
await(pid_t pid, int max_ms, int *ret_wait)
{
	struct pollfd ended = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN };
	bool in_time = false;

	if (ended.fd >= 0) {
		in_time = poll(&ended, 1, max_ms) > 0;
		(void)close(ended.fd);
	}
	if (!in_time)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, ret_wait, 0) < 0 && errno == EINTR)
		continue;
	return in_time;
}

enum mh_status
child_run(const char *const argv[], struct mh_span input, int max_ms, int *ret_code, struct mh_err *err)
{
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;
	int wait = 0;
	const int fd = file_of(input);

	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "no file for what %s reads", argv[0]);
	if (posix_spawn_file_actions_init(&actions) != 0) {
		(void)close(fd);
		return mh_fail(err, MH_RETRY, "no memory to start %s", argv[0]);
	}
	errno = posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
	if (errno == 0) /* argv is not changed by posix_spawn */
		errno = posix_spawn(&pid, argv[0], &actions, NULL, (char *const *)(void *)argv, environ);
	const enum mh_status status = errno == 0 ? MH_OK : mh_fail_errno(err, MH_RETRY, "cannot start %s", argv[0]);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)close(fd);
	if (status != MH_OK)
		return status;
	if (!await(pid, max_ms, &wait))
		return mh_fail(err, MH_RETRY, "%s did not end within %d ms", argv[0], max_ms);
	*ret_code = WIFSIGNALED(wait) ? 128 + WTERMSIG(wait) : WEXITSTATUS(wait);
	return MH_OK;
}
