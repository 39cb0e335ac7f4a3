/* fence.c: see fence.h. */
#include "mailhook/work/fence.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"

#define MAX_GROUPS 64 /* max_running's limit */
#define LONGEST_MS 60000
#define LOOK_MS 1000 /* a wait stands still while the machine sleeps, and leases go on */

struct fence {
	pid_t keeper;
	int fd;
};

struct order {
	int64_t at_ms;
	int64_t group;
};

struct kept {
	pid_t group; /* 0: this place is free */
	int pidfd;   /* of its leader */
	int64_t at_ms;
};

/* -- the keeper ---------------------------------------------------------------------------------------------------- */

static void
let_go(struct kept *k)
{
	if (k->pidfd >= 0)
		(void)close(k->pidfd);
	*k = (struct kept){ .pidfd = -1 };
}

/* A leader that its parent has taken note of left no group behind, and its number may be another's by now. */
static void
fire(struct kept *k)
{
	if (k->pidfd < 0 || syscall(SYS_pidfd_send_signal, k->pidfd, 0, NULL, 0) == 0)
		(void)kill(-k->group, SIGKILL);
	let_go(k);
}

static void
obey(struct kept kept[MAX_GROUPS], const struct order *o)
{
	struct kept *place = NULL;

	for (size_t i = 0; i < MAX_GROUPS; i++)
		if (kept[i].group == (pid_t)o->group || (place == NULL && kept[i].group == 0))
			place = &kept[i];
	if (place == NULL || (o->at_ms == FENCE_NEVER && place->group == 0))
		return;
	if (o->at_ms == FENCE_NEVER) {
		let_go(place);
		return;
	}
	if (place->group == 0) {
		place->pidfd = (int)syscall(SYS_pidfd_open, (pid_t)o->group, 0);
		if (place->pidfd < 0)
			return; /* it has ended, and was taken note of */
		place->group = (pid_t)o->group;
	}
	place->at_ms = o->at_ms;
}

/* False: whoever gave the orders is gone. */
static bool
hear(int fd, struct kept kept[MAX_GROUPS])
{
	struct order o;
	ssize_t n;

	while ((n = recv(fd, &o, sizeof(o), MSG_DONTWAIT)) == (ssize_t)sizeof(o))
		obey(kept, &o);
	return n < 0 && (errno == EAGAIN || errno == EINTR);
}

static int
wait_ms(const struct kept kept[MAX_GROUPS])
{
	const int64_t now = clock_boot_ms();
	int64_t ms = LONGEST_MS;

	for (size_t i = 0; i < MAX_GROUPS; i++) {
		if (kept[i].group == 0)
			continue;
		const int64_t left = kept[i].at_ms - now < LOOK_MS ? kept[i].at_ms - now : LOOK_MS;
		ms = left < ms ? left : ms;
	}
	return ms < 0 ? 0 : (int)ms;
}

/* Signals to the worker's group, or of its terminal, are not for us: its end is ours. */
static _Noreturn void
keep(int fd)
{
	struct kept kept[MAX_GROUPS];
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	sigset_t all;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
	(void)setsid();
	(void)prctl(PR_SET_NAME, "mailhook-fence");
	if (dup2(fd, STDIN_FILENO) < 0 || close_range(1, ~0U, 0) != 0)
		_exit(1);
	for (size_t i = 0; i < MAX_GROUPS; i++)
		kept[i] = (struct kept){ .pidfd = -1 };
	for (;;) {
		(void)poll(&in, 1, wait_ms(kept));
		const bool there = hear(STDIN_FILENO, kept);
		for (size_t i = 0; i < MAX_GROUPS; i++) {
			if (kept[i].group == 0 || (there && clock_boot_ms() < kept[i].at_ms))
				continue;
			if (!there) { /* the leader was killed with its parent; what it started was not */
				(void)close(kept[i].pidfd);
				kept[i].pidfd = -1;
			}
			fire(&kept[i]);
		}
		if (!there)
			_exit(0);
	}
}

/* -- the worker's side --------------------------------------------------------------------------------------------- */

enum mh_status
fence_open(struct fence **ret, struct mh_err *err)
{
	int ends[2];
	struct fence *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the keeper of leases");
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
		free(f);
		return mh_fail_errno(err, MH_RETRY, "the keeper of leases");
	}
	f->fd = ends[0];
	f->keeper = fork();
	if (f->keeper == 0)
		keep(ends[1]);
	(void)close(ends[1]);
	if (f->keeper < 0) {
		const enum mh_status status = mh_fail_errno(err, MH_RETRY, "the keeper of leases");
		(void)close(f->fd);
		free(f);
		return status;
	}
	*ret = f;
	return MH_OK;
}

void
fence_close(struct fence *f)
{
	if (f == NULL)
		return;
	(void)shutdown(f->fd, SHUT_RDWR); /* also where a child of ours has the descriptor still */
	(void)close(f->fd);
	while (waitpid(f->keeper, NULL, 0) < 0 && errno == EINTR)
		continue;
	free(f);
}

enum mh_status
fence_set(struct fence *f, pid_t group, int64_t at_ms, struct mh_err *err)
{
	const struct order o = { .at_ms = at_ms, .group = group };

	if (send(f->fd, &o, sizeof(o), MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof(o))
		return MH_OK;
	return mh_fail_errno(err, MH_RETRY, "the keeper of leases");
}
