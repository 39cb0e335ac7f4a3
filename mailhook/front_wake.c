/* front_wake.c: sees to it that somebody works on what was just stored.
 *
 * Stored first, then the lock is tested: a worker that lets go of the lock looks at the intake once more, so either it
 * sees the message or we see the free lock. A worker that holds it watches the intake.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/cli.h"
#include "mailhook/clock.h"
#include "mailhook/front.h"

static bool
state_is_ours(const char *state_dir)
{
	struct stat st;

	return stat(state_dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

/* A shared lock shows whether somebody has the exclusive one, and two pipes do not see each other. */
static bool
somebody_works(const char *state_dir)
{
	char path[4096];

	const int n = snprintf(path, sizeof(path), "%s/worker.lock", state_dir);
	if (n < 0 || (size_t)n >= sizeof(path))
		return true;
	const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return errno != ENOENT;

	const bool held = flock(fd, LOCK_SH | LOCK_NB) < 0;
	(void)close(fd); /* and with it the lock */
	return held;
}

/* Nothing of the mail server may stay: not its descriptors (Postfix waits for the end of its pipe, and bounces a mail
 * whose filter left a child on it), signals, limits, folder or environment. */
static void
forget_parent(void)
{
	const struct sigaction plain = { .sa_handler = SIG_DFL };
	struct rlimit l;
	sigset_t none;

	const int null = open("/dev/null", O_RDWR);
	for (int fd = 0; fd <= 2; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			_exit(127);
	if (close_range(3, ~0u, 0) < 0)
		_exit(127);
	(void)setsid();
	for (int s = 1; s < SIGRTMIN; s++)
		(void)sigaction(s, &plain, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	if (getrlimit(RLIMIT_AS, &l) == 0 && l.rlim_cur != l.rlim_max) {
		l.rlim_cur = l.rlim_max;
		(void)setrlimit(RLIMIT_AS, &l);
	}
	if (chdir("/") < 0)
		_exit(127);
}

void
front_wake(const struct conf *conf, const char *config)
{
	char program[4096], clock[4200], file[4096];
	const char *path = NULL;

	if (!state_is_ours(conf->state_dir) || somebody_works(conf->state_dir) ||
	    !libexec_path(NULL, program, sizeof(program)) || access(program, X_OK) < 0)
		return;
	if (config != NULL) { /* it will start in another folder */
		path = realpath(config, file);
		if (path == NULL)
			return;
	}

	const char *test_clock = clock_file();
	const int n = snprintf(clock, sizeof(clock), "MAILHOOK_CLOCK_FILE=%s", test_clock == NULL ? "" : test_clock);
	if (n < 0 || (size_t)n >= sizeof(clock))
		return;

	/* One fork is enough: we end right behind it, so the child is nobody's to wait for. */
	if (fork() != 0)
		return;
	forget_parent();
	char *argv[] = { program, (char[]){ "run" }, (char[]){ "--once" }, (char[]){ "--no-wait" },
		path == NULL ? NULL : (char[]){ "--config" }, file, NULL };
	char *env[] = { (char[]){ "PATH=/usr/bin:/bin" }, test_clock == NULL ? NULL : clock, NULL };
	(void)execve(program, argv, env);
	_exit(127);
}
