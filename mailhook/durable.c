/* durable.c: see durable.h. */
#include "mailhook/durable.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

bool
durable_begun(const struct stat *st)
{
	return S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX) != 0 && (st->st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

/* The folder that holds path's last name. */
static bool
sync_above(const char *path)
{
	char above[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (strlen(path) >= sizeof(above)) {
		errno = ENAMETOOLONG;
		return false;
	}
	memcpy(above, path, strlen(path) + 1);
	above[slash == NULL || slash == path ? 1 : slash - path] = '\0';
	if (slash == NULL)
		above[0] = '.';

	const int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const bool durable = fd >= 0 && fsync(fd) == 0;
	const int why = errno;
	if (fd >= 0)
		(void)close(fd);
	errno = why;
	return durable;
}

enum mh_status
durable_name(const char *path, struct mh_err *err)
{
	return sync_above(path) ? MH_OK : mh_fail_errno(err, MH_RETRY, "the folder of %.100s cannot be synced", path);
}

enum mh_status
durable_folder(const char *path, struct mh_err *err)
{
	struct stat st;
	const bool made = mkdir(path, S_ISVTX | S_IRWXU) == 0;

	if (!made && errno != EEXIST)
		return mh_fail_errno(err, MH_RETRY, "%.100s cannot be made", path);
	if (!made && (stat(path, &st) != 0 || !durable_begun(&st) || st.st_uid != geteuid()))
		return MH_OK;
	if (!sync_above(path) || chmod(path, S_IRWXU) != 0)
		return mh_fail_errno(err, MH_RETRY, "%.100s cannot be made durable", path);
	return MH_OK;
}
