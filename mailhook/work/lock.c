/* lock.c: one worker a state folder.
 *
 * Whoever wants to know whether a worker runs takes a shared lock for a moment (mailhook pipe does, and status). So an
 * exclusive lock that cannot be had, where a shared one can, is held up by such a look and not by a worker.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "mailhook/work/commands.h"
#include "mailhook/work/log.h"

#define MAX_LOOKS 10000

static int
open_lock(const char *state_dir, int flags)
{
	char path[4096];
	const int n = snprintf(path, sizeof(path), "%s/worker.lock", state_dir);

	if (n <= 0 || (size_t)n >= sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, flags | O_CLOEXEC | O_NOFOLLOW, 0600);
}

/* The first byte is locked too, by a service, for those who wonder whether to wait for us. A lock, and no word in the
 * file: the kernel takes it back from a service that is killed. */
static struct flock
first_byte(void)
{
	return (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 1 };
}

bool
lock_is_service(const char *state_dir)
{
	const int fd = open_lock(state_dir, O_RDONLY);
	struct flock l = first_byte();
	const bool held = fd >= 0 && fcntl(fd, F_OFD_GETLK, &l) == 0 && l.l_type != F_UNLCK;

	if (fd >= 0)
		(void)close(fd);
	return held;
}

enum mh_status
lock_take(const char *state_dir, bool service, int *ret_fd, struct mh_err *err)
{
	const int fd = open_lock(state_dir, O_RDWR | O_CREAT);

	if (fd < 0)
		return mh_fail_errno(err, MH_RETRY, "%s/worker.lock", state_dir);
	for (int i = 0; i < MAX_LOOKS; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
			struct flock l = first_byte();

			if (service && fcntl(fd, F_OFD_SETLK, &l) != 0)
				log_event(LOG_WARNING, "lock", NULL, "others take this worker for one that ends soon");
			*ret_fd = fd;
			return MH_OK;
		}
		if (errno != EWOULDBLOCK && errno != EINTR) {
			const enum mh_status status = mh_fail_errno(err, MH_RETRY, "%s/worker.lock", state_dir);
			(void)close(fd);
			return status;
		}
		if (flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK)
			break;
		(void)flock(fd, LOCK_UN); /* two workers that hold it shared would keep each other out */
		(void)sched_yield();
	}
	(void)close(fd);
	return mh_fail(err, MH_SKIP, "another worker runs on %s", state_dir);
}

bool
lock_held(const char *state_dir)
{
	const int fd = open_lock(state_dir, O_RDONLY);

	if (fd < 0)
		return false;
	const bool held = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	(void)close(fd);
	return held;
}
