/* front_store.c: makes a message durable, and the folders for it where they are missing. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/front.h"

/* A folder for us alone whatever the umask is, durable itself: what is stored in it must not vanish with it. The one
 * above must be there. */
static bool
make_folder(const char *path)
{
	char above[PATH_MAX];
	const char *slash = strrchr(path, '/');

	if (slash == NULL || strlen(path) >= sizeof(above) || mkdir(path, 0700) < 0 || chmod(path, 0700) < 0)
		return false;
	memcpy(above, path, strlen(path) + 1);
	above[slash == path ? 1 : slash - path] = '\0';

	const int fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const bool durable = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		(void)close(fd);
	return durable;
}

/* Mail may come before the worker's first run, which makes the same folders. Only the state folder itself and what is
 * below one of our own: where the folder above is missing (a disk that is not mounted, a mistyped name), or is not ours
 * to write into, something is wrong, and the mail server comes again. */
static bool
make_intake(const struct conf *conf)
{
	struct stat st;

	if (stat(conf->state_dir, &st) < 0 && (errno != ENOENT || (!make_folder(conf->state_dir) && errno != EEXIST)))
		return false;
	return stat(conf->state_dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid() &&
	       (make_folder(conf->intake_dir) || errno == EEXIST);
}

enum mh_status
front_store(const struct conf *conf, struct mh_span raw, const struct envelope *e, struct mh_err *err)
{
	enum mh_status st = intake_put(conf->intake_dir, raw, e, err);

	/* Also where the folder is there by now: another first mail made it while we found none. */
	if (st != MH_OK && make_intake(conf))
		st = intake_put(conf->intake_dir, raw, e, err);
	return st;
}
