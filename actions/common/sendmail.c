/* sendmail.c: see sendmail.h. The program reads the mail from a file and writes what it has to say into another: no pipe,
 * so nobody waits for anybody. */
#include "actions/common/sendmail.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "actions/common/folder.h"
#include "mailhook/clock.h"

#define OUTPUT_BYTES 4096

/* A file in memory with these bytes, at its start. -1: none. */
static int
mail_file(struct mh_span bytes)
{
	int fd = memfd_create("mail", MFD_CLOEXEC);

	if (fd >= 0 && (!fd_write_all(fd, bytes) || lseek(fd, 0, SEEK_SET) != 0))
		drop_fd(&fd);
	return fd;
}

/* A file in memory that takes OUTPUT_BYTES and refuses more. -1: none. */
static int
output_file(void)
{
	int fd = memfd_create("output", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd >= 0 && (ftruncate(fd, OUTPUT_BYTES) != 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) != 0))
		drop_fd(&fd);
	return fd;
}

static enum mh_status
start(const struct sendmail *m, int in, int out, pid_t *ret_pid, struct mh_err *err)
{
	const char *program = m->program;
	const char *argv[5 + SENDMAIL_MAX_RECIPIENTS + 2] = { program, "-i", "-f", "<>", "--" };
	char *env[] = { (char[]){ "PATH=/usr/sbin:/usr/bin:/sbin:/bin" }, NULL };
	posix_spawn_file_actions_t actions;

	for (size_t i = 0; i < m->n_to; i++)
		argv[5 + i] = m->to[i];
	if (posix_spawn_file_actions_init(&actions) != 0)
		return mh_fail(err, MH_RETRY, "no memory to start %s", program);
	int number = posix_spawn_file_actions_adddup2(&actions, in, 0);
	if (number == 0)
		number = posix_spawn_file_actions_adddup2(&actions, out, 1);
	if (number == 0)
		number = posix_spawn_file_actions_adddup2(&actions, out, 2);
	if (number == 0)
		number = posix_spawn(ret_pid, program, &actions, NULL, (char *const *)argv, env);
	(void)posix_spawn_file_actions_destroy(&actions);
	errno = number;
	return number == 0 ? MH_OK : mh_fail_errno(err, MH_RETRY, "cannot run %s", program);
}

/* Its wait status, or MH_RETRY at the deadline. */
static enum mh_status
await(pid_t pid, int64_t deadline_ms, int *ret_status, struct mh_err *err)
{
	MH_AUTO(drop_fd) int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	int64_t left;

	while (pidfd >= 0 && (left = deadline_ms - clock_monotonic_ms()) > 0) {
		struct pollfd ended = { pidfd, POLLIN, 0 };

		if (poll(&ended, 1, left > 60000 ? 60000 : (int)left) > 0 && waitpid(pid, ret_status, 0) == pid)
			return MH_OK;
	}
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return mh_fail(err, MH_RETRY, "the sendmail program did not end in time");
}

/* What it wrote, a line each. */
static void
repeat_output(struct protocol *p, int out)
{
	char text[OUTPUT_BYTES];
	const off_t n = lseek(out, 0, SEEK_CUR);
	const ssize_t got = n > 0 && n <= OUTPUT_BYTES ? pread(out, text, (size_t)n, 0) : 0;
	struct mh_span rest = { text, got > 0 ? (size_t)got : 0 }, line;
	char clean[400];

	while (span_line(&rest, &line))
		say(p, "sendmail: %s", mh_escape(clean, sizeof(clean), line));
}

/* sysexits.h: what the recipient or the configuration is to blame for does not pass by itself. */
static enum mh_status
judge(int status, struct mh_err *err)
{
	if (!WIFEXITED(status))
		return mh_fail(err, MH_RETRY, "the sendmail program was killed by signal %d", WTERMSIG(status));
	switch (WEXITSTATUS(status)) {
	case EX_OK:
		return MH_OK;
	case EX_USAGE:
	case EX_DATAERR:
	case EX_NOUSER:
	case EX_NOHOST:
	case EX_NOPERM:
	case EX_CONFIG:
		return mh_fail(err, MH_BAD, "the sendmail program refused the mail with code %d", WEXITSTATUS(status));
	default: /* a number from outside: 75 says "later", the rest is guessed to be no better known */
		return mh_fail(err, MH_RETRY, "the sendmail program failed with code %d", WEXITSTATUS(status));
	}
}

enum mh_status
sendmail_send(const struct sendmail *m, struct protocol *p, struct mh_err *err)
{
	MH_AUTO(drop_fd) int in = mail_file(m->mail);
	MH_AUTO(drop_fd) int out = output_file();
	pid_t pid = -1;
	int wait_status = 0;

	if (m->n_to > SENDMAIL_MAX_RECIPIENTS)
		return mh_fail(err, MH_LIMIT, "more than %d recipients", SENDMAIL_MAX_RECIPIENTS);
	if (in < 0 || out < 0)
		return mh_fail(err, MH_RETRY, "no memory to send a mail");
	enum mh_status status = start(m, in, out, &pid, err);
	if (status != MH_OK)
		return status;
	status = await(pid, p->deadline_ms, &wait_status, err);
	repeat_output(p, out);
	return status == MH_OK ? judge(wait_status, err) : status;
}

enum mh_status
sendmail_check_program(const char *program, struct mh_err *err)
{
	if (faccessat(AT_FDCWD, program, X_OK, AT_EACCESS) != 0)
		return mh_fail_errno(err, MH_BAD, "cannot run %s", program);
	return MH_OK;
}
