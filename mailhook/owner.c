/* owner.c: see owner.h. A folder of root's in which a group may write, as containers have them, is all right. */
#include "mailhook/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES 40

/* As sudo -u takes it in a shell. */
static const char *
name_of(uid_t uid, char dst[NAME_BYTES])
{
	const struct passwd *pw = getpwuid(uid); /* NOLINT(concurrency-mt-unsafe): there is one thread */

	if (pw == NULL)
		(void)snprintf(dst, NAME_BYTES, "'#%lu'", (unsigned long)uid);
	else
		(void)snprintf(dst, NAME_BYTES, "%.32s", pw->pw_name);
	return dst;
}

enum mh_status
owner_may_work(const char *folder, struct mh_err *err)
{
	struct stat st;
	char name[NAME_BYTES];

	if (stat(folder, &st) != 0 || st.st_uid == geteuid())
		return MH_OK;
	if (geteuid() != 0 && faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0)
		return MH_OK;
	(void)name_of(st.st_uid, name);
	return mh_fail(
	    err, MH_BAD, "%.60s belongs to %s: run this as that user (sudo -u %s mailhook ...)", folder, name, name);
}

enum mh_status
owner_denied(const char *file, const char *folder, enum mh_status status, struct mh_err *err)
{
	struct stat st, its;
	char name[NAME_BYTES];

	if (faccessat(AT_FDCWD, file, R_OK | W_OK, AT_EACCESS) == 0 || errno != EACCES)
		return status;
	if (stat(folder, &st) != 0)
		return mh_fail(err, MH_BAD, "%.60s: Permission denied: run this as the user who owns it", file);
	if (st.st_uid != geteuid())
		return mh_fail(err, MH_BAD, "%.60s: Permission denied: run this as user %s (sudo -u %s mailhook ...)",
		    file, name_of(st.st_uid, name), name);
	if (stat(file, &its) != 0 || its.st_uid == st.st_uid)
		return status;
	return mh_fail(err, status, "%.60s: Permission denied: it belongs to %s, and the folder does not", file,
	    name_of(its.st_uid, name));
}

void
owner_give(const char *folder, int fd)
{
	struct stat st;

	if (geteuid() == 0 && stat(folder, &st) == 0 && st.st_uid != 0)
		(void)!fchown(fd, st.st_uid, st.st_gid);
}
