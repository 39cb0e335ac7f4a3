/* launch_spawn.c: from fork to exec: the child gets what mailhook-action(7) promises and nothing else. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/fd.h"
#include "mailhook/work/launch_impl.h"

#define RAW_FD 3 /* the mail, where the action may see it */

struct ends { /* both ends of each pipe; -1: not open */
	int in[2], out[2], errout[2], failed[2], raw;
};

static void
close_ends(struct ends *e)
{
	int *all[] = { &e->in[0], &e->in[1], &e->out[0], &e->out[1], &e->errout[0], &e->errout[1], &e->failed[0],
		&e->failed[1], &e->raw };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		drop_fd(all[i]);
}

/* The mail as a file that cannot be changed, at its start: an action may read it twice, and in any order. */
static int
raw_file(struct mh_span raw)
{
	int fd = memfd_create("mail", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (!fd_write_all(fd, raw) || lseek(fd, 0, SEEK_SET) != 0 ||
			   fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) != 0))
		drop_fd(&fd);
	return fd;
}

/* Moves fd above every number that the child gives a meaning, so that one dup2 never closes another's source. */
static int
lift(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, 16);
}

/* In the child: never returns. Async-signal-safe calls only. */
static _Noreturn void
become_action(const struct launch_spec *spec, const struct ends *e, pid_t parent)
{
	char *argv[] = { (char *)spec->program, (char *)spec->verb, NULL };
	const struct rlimit no_core = { 0, 0 };
	const struct sigaction to_default = { .sa_handler = SIG_DFL };
	sigset_t none;
	int failed = -1, in, out, errout, raw = -1;

	if (setpgid(0, 0) != 0)
		goto out;
	/* Asked for first, looked at second: a parent that died in between left no signal behind. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
		_exit(127);
	for (int s = 1; s < NSIG; s++)
		(void)sigaction(s, &to_default, NULL); /* KILL, STOP and libc's own refuse: they need no reset */
	(void)sigemptyset(&none);
	if (sigprocmask(SIG_SETMASK, &none, NULL) != 0 || setrlimit(RLIMIT_CORE, &no_core) != 0)
		goto out;
	(void)umask(077);

	failed = lift(e->failed[1]);
	in = lift(e->in[0]);
	out = lift(e->out[1]);
	errout = lift(e->errout[1]);
	if (e->raw >= 0)
		raw = lift(e->raw);
	if (failed < 0 || in < 0 || out < 0 || errout < 0 || (e->raw >= 0 && raw < 0))
		goto out;
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(errout, 2) < 0 || (raw >= 0 && dup2(raw, RAW_FD) < 0))
		goto out;
	/* All but 0 to 2, perhaps 3, and the pipe that reports a failed exec; that one closes itself by exec. */
	if (dup3(failed, RAW_FD + 1, O_CLOEXEC) < 0)
		goto out;
	failed = RAW_FD + 1;
	if (raw < 0)
		(void)close(RAW_FD);
	if (close_range(RAW_FD + 2, ~0U, 0) != 0 || chdir(spec->dir) != 0)
		goto out;
	(void)execve(spec->program, argv, (char *const *)spec->env);
out:;
	const int number = errno;
	(void)!write(failed < 0 ? e->failed[1] : failed, &number, sizeof(number));
	_exit(127);
}

static bool
open_ends(struct ends *e)
{
	if (pipe2(e->in, O_CLOEXEC) != 0 || pipe2(e->out, O_CLOEXEC) != 0 || pipe2(e->errout, O_CLOEXEC) != 0 ||
	    pipe2(e->failed, O_CLOEXEC) != 0)
		return false;
	/* Only our ends: the flag belongs to the pipe's end, and programs expect blocking descriptors. */
	return fcntl(e->in[1], F_SETFL, O_NONBLOCK) == 0 && fcntl(e->out[0], F_SETFL, O_NONBLOCK) == 0 &&
	       fcntl(e->errout[0], F_SETFL, O_NONBLOCK) == 0;
}

/* The errno with which exec failed, or 0. Waits for the child's exec, which comes right after its fork. */
static int
exec_error(int fd)
{
	int number = 0;
	ssize_t n;

	do
		n = read(fd, &number, sizeof(number));
	while (n < 0 && errno == EINTR);
	if (n == 0)
		return 0;
	return n == (ssize_t)sizeof(number) && number != 0 ? number : EIO;
}

static void
reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

enum mh_status
spawn_action(const struct launch_spec *spec, struct spawned *ret, struct mh_err *err)
{
	struct ends e = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 }, -1 };
	enum mh_status status = MH_RETRY;
	const pid_t parent = getpid();
	pid_t pid = -1;
	int pidfd = -1, number;

	if (!open_ends(&e)) {
		(void)mh_fail_errno(err, MH_RETRY, "cannot make pipes for an action");
		goto out;
	}
	if (spec->person && (e.raw = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)) < 0) {
		(void)mh_fail_errno(err, MH_RETRY, "cannot hand standard input to an action");
		goto out;
	}
	if (!spec->person && spec->raw.p != NULL && (e.raw = raw_file(spec->raw)) < 0) {
		(void)mh_fail_errno(err, MH_RETRY, "cannot hand the mail to an action");
		goto out;
	}
	pid = fork();
	if (pid == 0)
		become_action(spec, &e, parent);
	if (pid < 0) {
		(void)mh_fail_errno(err, MH_RETRY, "cannot start a process");
		goto out;
	}
	(void)setpgid(
	    pid, pid); /* the child does it too: whoever comes first, nobody signals a group that is not there */
	drop_fd(&e.failed[1]);
	number = exec_error(e.failed[0]);
	if (number != 0) {
		reap(pid);
		errno = number;
		(void)mh_fail_errno(err, MH_RETRY, "cannot run %s", spec->program);
		goto out;
	}
	/* Before it is told anything: a group in the background that reads a terminal is stopped. */
	if (spec->person && isatty(STDIN_FILENO) == 1)
		(void)tcsetpgrp(STDIN_FILENO, pid);
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (pidfd < 0) {
		(void)mh_fail_errno(err, MH_RETRY, "cannot watch an action");
		(void)kill(-pid, SIGKILL);
		reap(pid);
		goto out;
	}
	*ret = (struct spawned){ pid, pidfd, e.in[1], e.out[0], e.errout[0] };
	e.in[1] = e.out[0] = e.errout[0] = -1; /* handed over */
	status = MH_OK;
out:
	close_ends(&e);
	return status;
}
