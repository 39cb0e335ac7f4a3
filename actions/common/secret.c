/* secret.c: secret files, and programs that print a secret. */
#include "actions/common/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/fd.h"

void
secret_release(struct secret *s)
{
	if (s->p != NULL)
		explicit_bzero(s->p, s->n);
	free(s->p);
	*s = (struct secret){ 0 };
}

void
secret_buf_release(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
	buf_release(b);
}

enum mh_status
secret_copy(struct mh_span s, struct secret *ret, struct mh_err *err)
{
	char *p = malloc(s.n + 1);

	if (p == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a secret");
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	p[s.n] = '\0';
	*ret = (struct secret){ p, s.n };
	return MH_OK;
}

struct mh_span
secret_span(const struct secret *s)
{
	return (struct mh_span){ s->p, s->n };
}

#define PIECE_BYTES 16 /* so much of a secret in a row is no accident */

bool
secret_shows(struct mh_span text, struct mh_span secret)
{
	for (size_t i = 0; secret.p != NULL && i + PIECE_BYTES <= secret.n; i++)
		if (span_find(text, span_head(span_from(secret, i), PIECE_BYTES), 0) != SIZE_MAX)
			return true;
	return false;
}

/* The descriptor is somebody else's from here on. */
static int
hand_over(int *fd)
{
	const int it = *fd;

	*fd = -1;
	return it;
}

/* From the first secret on, this process writes no core. */
static void
no_core(void)
{
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	(void)prctl(PR_SET_DUMPABLE, 0);
}

/* Makes a secret of what was read: without one final line end, not empty, a C string as libraries want it. */
static enum mh_status
finish(char *bytes, size_t n, const char *from, struct secret *ret, struct mh_err *err)
{
	if (n > 0 && bytes[n - 1] == '\n')
		n -= n > 1 && bytes[n - 2] == '\r' ? 2 : 1;
	if (n == 0)
		return mh_fail(err, MH_BAD, "%s: the secret is empty", from);
	if (memchr(bytes, '\0', n) != NULL)
		return mh_fail(err, MH_BAD, "%s: the secret holds a NUL", from);
	return secret_copy((struct mh_span){ bytes, n }, ret, err);
}

/* -- files -------------------------------------------------------------------------------------------------------- */

/* A name without '/' stands in $CREDENTIALS_DIRECTORY; *ret_credential: it stands there, however it was named. */
static enum mh_status
place(const char *path, char *dst, size_t dst_bytes, bool *ret_credential, struct mh_err *err)
{
	const char *dir = secure_getenv("CREDENTIALS_DIRECTORY");

	if (strchr(path, '/') != NULL) {
		const size_t n = dir == NULL ? 0 : strlen(dir);

		*ret_credential =
		    n > 0 && strncmp(path, dir, n) == 0 && path[n] == '/' && strchr(path + n + 1, '/') == NULL;
		return (size_t)snprintf(dst, dst_bytes, "%s", path) < dst_bytes
			   ? MH_OK
			   : mh_fail(err, MH_BAD, "a secret's path is too long");
	}
	if (path[0] == '\0' || strcmp(path, ".") == 0 || strcmp(path, "..") == 0)
		return mh_fail(err, MH_BAD, "not the name of a secret: \"%s\"", path);
	if (dir == NULL || dir[0] != '/')
		return mh_absent(
		    err, mh_fail(err, MH_BAD, "%s: a name without '/' needs $CREDENTIALS_DIRECTORY", path));
	*ret_credential = true;
	return (size_t)snprintf(dst, dst_bytes, "%s/%s", dir, path) < dst_bytes
		   ? MH_OK
		   : mh_fail(err, MH_BAD, "a secret's path is too long");
}

static enum mh_status
open_secret(const char *path, int *ret_fd, struct mh_err *err)
{
	char full[4096];
	bool credential = false;
	struct stat st;

	if (place(path, full, sizeof(full), &credential, err) != MH_OK)
		return MH_BAD;
	/* O_NONBLOCK: a FIFO must not hold us before fstat has refused it. */
	MH_AUTO(drop_fd) int fd = open(full, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0) {
		const bool lasting = errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP;
		return mh_fail_errno(err, lasting ? MH_BAD : MH_RETRY, "%s", path);
	}
	if (fstat(fd, &st) < 0)
		return mh_fail_errno(err, MH_RETRY, "%s", path);
	if (!S_ISREG(st.st_mode))
		return mh_fail(err, MH_BAD, "%s: a secret must be a regular file", path);
	if (st.st_uid != 0 && st.st_uid != geteuid())
		return mh_fail(err, MH_BAD, "%s: the secret belongs to another user", path);
	/* systemd lets the service read a credential by an ACL, whose mask shows as the group's read bit; the folder
	 * is closed to all others. */
	const mode_t open_bits = credential && st.st_uid == 0 ? S_IWGRP | S_IRWXO : S_IRWXG | S_IRWXO;
	if ((st.st_mode & open_bits) != 0)
		return mh_fail(err, MH_BAD, "%s: others can read the secret (mode %04o, wanted 0600)", path,
		    (unsigned)(st.st_mode & 07777));
	*ret_fd = hand_over(&fd);
	return MH_OK;
}

enum mh_status
secret_check_file(const char *path, struct mh_err *err)
{
	MH_AUTO(drop_fd) int fd = -1;

	if (strchr(path, '/') == NULL) /* a library would look for it in the working folder */
		return mh_fail(err, MH_BAD, "%s: a key file needs its whole path", path);
	return open_secret(path, &fd, err);
}

/* Reads up to max bytes. errno of a failure stays. */
static ssize_t
read_all(int fd, char *dst, size_t max)
{
	size_t n = 0;

	while (n < max) {
		const ssize_t got = read(fd, dst + n, max - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		n += (size_t)got;
	}
	return (ssize_t)n;
}

enum mh_status
secret_from_file(const char *path, struct secret *ret, struct mh_err *err)
{
	MH_AUTO(drop_fd) int fd = -1;

	no_core();
	enum mh_status status = open_secret(path, &fd, err);
	if (status != MH_OK)
		return status;

	char *bytes = malloc(SECRET_MAX_BYTES + 1);
	if (bytes == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a secret");
	const ssize_t n = read_all(fd, bytes, SECRET_MAX_BYTES + 1);
	if (n < 0)
		status = mh_fail_errno(err, MH_RETRY, "%s", path);
	else if ((size_t)n > SECRET_MAX_BYTES)
		status = mh_fail(err, MH_LIMIT, "%s: a secret of more than %u bytes", path, SECRET_MAX_BYTES);
	else
		status = finish(bytes, (size_t)n, path, ret, err);
	explicit_bzero(bytes, SECRET_MAX_BYTES + 1);
	free(bytes);
	return status;
}

/* -- programs ----------------------------------------------------------------------------------------------------- */

/* Starts it with nothing of ours open but stderr. 0 or an errno value, exec's own failure included. */
static int
start(const char *const *argv, int out_fd, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int code = posix_spawn_file_actions_init(&files);

	if (code != 0)
		return code;
	code = posix_spawnattr_init(&attr);
	if (code != 0) {
		(void)posix_spawn_file_actions_destroy(&files);
		return code;
	}
	(void)sigemptyset(&none);
	(void)sigfillset(&all);
	if ((code = posix_spawn_file_actions_adddup2(&files, out_fd, STDOUT_FILENO)) == 0 &&
	    (code = posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0)) == 0 &&
	    (code = posix_spawn_file_actions_addclosefrom_np(&files, 3)) == 0 &&
	    (code = posix_spawnattr_setsigmask(&attr, &none)) == 0 &&
	    (code = posix_spawnattr_setsigdefault(&attr, &all)) == 0 &&
	    (code = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF)) == 0)
		code = posix_spawn(ret_pid, argv[0], &files, &attr, (char *const *)(uintptr_t)argv, environ);
	(void)posix_spawnattr_destroy(&attr);
	(void)posix_spawn_file_actions_destroy(&files);
	return code;
}

static int
ms_left(int64_t end_ms)
{
	const int64_t left = end_ms - clock_monotonic_ms();

	return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

/* Waits until fd is readable or the time is over. */
static bool
wait_for(int fd, int64_t end_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, ms_left(end_ms));
	while (n < 0 && errno == EINTR);
	return n > 0;
}

/* Reads to the end of file. MH_RETRY: the time was over. */
static enum mh_status
collect(int fd, int64_t end_ms, char *dst, size_t *ret_n, const char *name, struct mh_err *err)
{
	size_t n = 0;

	for (;;) {
		if (!wait_for(fd, end_ms))
			return mh_fail(err, MH_RETRY, "%s: no secret in time", name);
		const ssize_t got = read(fd, dst + n, SECRET_MAX_BYTES + 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return mh_fail_errno(err, MH_RETRY, "%s", name);
		if (got == 0)
			break;
		n += (size_t)got;
		if (n > SECRET_MAX_BYTES)
			return mh_fail(err, MH_LIMIT, "%s: a secret of more than %u bytes", name, SECRET_MAX_BYTES);
	}
	*ret_n = n;
	return MH_OK;
}

/* Takes its end, by force where the time is over or its output was refused already. */
static enum mh_status
take_end(pid_t pid, int64_t end_ms, bool refused, const char *name, struct mh_err *err)
{
	MH_AUTO(drop_fd) int fd = pidfd_open(pid, 0);
	const bool in_time = !refused && fd >= 0 && wait_for(fd, end_ms);
	siginfo_t how = { 0 };

	if (!in_time)
		(void)kill(pid, SIGKILL);
	while (waitid(P_PID, (id_t)pid, &how, WEXITED) < 0 && errno == EINTR)
		;
	if (refused)
		return MH_OK; /* worded already */
	if (!in_time)
		return mh_fail(err, MH_RETRY, "%s: it did not end in time", name);
	if (how.si_code != CLD_EXITED)
		return mh_fail(err, MH_RETRY, "%s: killed by signal %d", name, how.si_status);
	if (how.si_status != 0)
		return mh_fail(err, MH_RETRY, "%s: exit status %d", name, how.si_status);
	return MH_OK;
}

static enum mh_status
run(const char *const *argv, int64_t end_ms, char *dst, size_t *ret_n, struct mh_err *err)
{
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return mh_fail_errno(err, MH_RETRY, "no pipe for %s", argv[0]);
	MH_AUTO(drop_fd) int in = ends[0];
	MH_AUTO(drop_fd) int out = ends[1];
	const int code = start(argv, out, &pid);
	if (code != 0) {
		errno = code;
		return mh_fail_errno(
		    err, code == ENOENT || code == EACCES || code == ENOEXEC ? MH_BAD : MH_RETRY, "%s", argv[0]);
	}
	drop_fd(&out);

	const enum mh_status status = collect(in, end_ms, dst, ret_n, argv[0], err);
	const enum mh_status end = take_end(pid, end_ms, status != MH_OK, argv[0], err);
	return status != MH_OK ? status : end;
}

enum mh_status
secret_from_command(const char *const *argv, int deadline_ms, struct secret *ret, struct mh_err *err)
{
	size_t n = 0;

	no_core();
	if (argv[0] == NULL || argv[0][0] != '/')
		return mh_fail(err, MH_BAD, "a command that prints a secret needs its whole path");
	char *bytes = malloc(SECRET_MAX_BYTES + 1);
	if (bytes == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a secret");

	const int64_t end_ms = clock_monotonic_ms() + (deadline_ms > 0 ? deadline_ms : SECRET_COMMAND_MS);
	enum mh_status status = run(argv, end_ms, bytes, &n, err);
	if (status == MH_OK)
		status = finish(bytes, n, argv[0], ret, err);
	explicit_bzero(bytes, SECRET_MAX_BYTES + 1);
	free(bytes);
	return status;
}

enum mh_status
secret_split(char *line, const char **argv, struct mh_err *err)
{
	char *rest = line, *word;
	size_t n = 0;

	while ((word = strsep(&rest, " ")) != NULL) {
		if (word[0] == '\0')
			continue;
		if (n >= SECRET_COMMAND_WORDS)
			return mh_fail(err, MH_BAD, "a command has more than %d arguments", SECRET_COMMAND_WORDS);
		argv[n++] = word;
	}
	argv[n] = NULL;
	return n > 0 ? MH_OK : mh_fail(err, MH_BAD, "a command is empty");
}

enum mh_status
secret_from_line(const char *line, int deadline_ms, struct secret *ret, struct mh_err *err)
{
	const char *argv[SECRET_COMMAND_WORDS + 1];
	char *copy = strdup(line);

	if (copy == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a command");
	enum mh_status status = secret_split(copy, argv, err);
	if (status == MH_OK)
		status = secret_from_command(argv, deadline_ms, ret, err);
	free(copy);
	return status;
}
