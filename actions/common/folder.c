/* folder.c: open, write, fsync, rename, fsync of the folder. */
#include "actions/common/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A folder that its maker did not come to sync is marked by the sticky bit: mailhook/durable.h says why. */
static bool
begun(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && (st.st_mode & S_ISVTX) != 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

/* The folder that holds it, whichever way name goes to it. */
static bool
sync_above(int fd)
{
	MH_AUTO(drop_fd) int above = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return above >= 0 && fsync(above) == 0;
}

enum mh_status
folder_open_at(int parent, const char *name, mode_t mode, int *ret_fd, struct mh_err *err)
{
	const bool made = mkdirat(parent, name, S_ISVTX | S_IRWXU) == 0;

	if (!made && errno != EEXIST)
		return mh_fail_errno(err, MH_RETRY, "cannot make the folder %s", name);
	const int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "cannot open the folder %s", name);
	/* the core's mask of 077 is for what nobody thought about */
	if ((made || begun(fd)) && (!sync_above(fd) || fchmod(fd, mode) != 0)) {
		(void)mh_fail_errno(err, MH_RETRY, "cannot make the folder %s durable", name);
		(void)close(fd);
		return MH_RETRY;
	}
	*ret_fd = fd;
	return MH_OK;
}

enum mh_status
folder_open(const char *path, mode_t mode, int *ret_fd, struct mh_err *err)
{
	return folder_open_at(AT_FDCWD, path, mode, ret_fd, err);
}

/* Up to the last slash. */
static bool
folder_above(const char *path, char *dst, size_t dst_bytes)
{
	const char *slash = strrchr(path, '/');
	const size_t n = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);

	if (n == 0 || n >= dst_bytes) {
		errno = n == 0 ? ENOENT : ENAMETOOLONG;
		return false;
	}
	memcpy(dst, path, n);
	dst[n] = '\0';
	return true;
}

bool
folder_can_be_made(const char *path, const char *state_dir)
{
	char above[4096];

	if (!folder_above(path, above, sizeof(above)))
		return false;
	if (faccessat(AT_FDCWD, above, W_OK | X_OK, AT_EACCESS) == 0)
		return true;
	return errno == ENOENT && strcmp(above, state_dir) == 0 && folder_above(state_dir, above, sizeof(above)) &&
	       faccessat(AT_FDCWD, above, W_OK | X_OK, AT_EACCESS) == 0;
}

enum mh_status
file_read(int folder, const char *name, struct buf *ret, struct mh_err *err)
{
	/* O_NONBLOCK: a FIFO of that name must not hold us. */
	MH_AUTO(drop_fd) int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	char chunk[16384];

	if (fd < 0 && errno == ENOENT)
		return mh_fail(err, MH_SKIP, "there is no file %s", name);
	if (fd < 0 || fstat(fd, &st) != 0)
		return mh_fail_errno(err, MH_RETRY, "cannot open %s", name);
	if (!S_ISREG(st.st_mode))
		return mh_fail(err, MH_BAD, "%s is no regular file", name);
	for (;;) {
		const ssize_t n = read(fd, chunk, sizeof(chunk));

		if (n == 0)
			return MH_OK;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return mh_fail_errno(err, MH_RETRY, "cannot read %s", name);
		buf_put(ret, (struct mh_span){ chunk, (size_t)n });
		if (!buf_ok(ret))
			return mh_fail(err, MH_LIMIT, "%s is longer than %zu bytes", name, ret->max);
	}
}

enum mh_status
file_write(int folder, const char *name, struct mh_span bytes, mode_t mode, struct mh_err *err)
{
	MH_AUTO(drop_fd) int fd = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "cannot write %s", name);
	if (fd_write_all(fd, bytes) && fchmod(fd, mode) == 0 && fsync(fd) == 0)
		return MH_OK;
	(void)mh_fail_errno(err, MH_RETRY, "cannot write %s", name);
	(void)unlinkat(folder, name, 0);
	return MH_RETRY;
}

enum mh_status
file_replace(int folder, const char *name, struct mh_span bytes, mode_t mode, struct mh_err *err)
{
	char tmp[300];

	const int n = snprintf(tmp, sizeof(tmp), ".%s.tmp", name);
	if (n < 0 || (size_t)n >= sizeof(tmp))
		return mh_fail(err, MH_BAD, "the file name is too long: %.60s", name);
	const enum mh_status status = file_write(folder, tmp, bytes, mode, err);
	if (status != MH_OK)
		return status;
	if (renameat(folder, tmp, folder, name) != 0) {
		(void)mh_fail_errno(err, MH_RETRY, "cannot rename to %s", name);
		(void)unlinkat(folder, tmp, 0);
		return MH_RETRY;
	}
	if (fsync(folder) != 0)
		return mh_fail_errno(err, MH_RETRY, "cannot make %s durable", name);
	return MH_OK;
}
