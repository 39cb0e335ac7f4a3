/* no_pidfd.c: for LD_PRELOAD under valgrind 3.19, which does not know pidfd_open(2): a timer in its place, which is
 * always readable. The launcher waits for a pidfd and then looks whether the process has ended, so it looks more often. */
#include <dlfcn.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

static int
ticking(void)
{
	const struct itimerspec soon = { .it_value = { .tv_nsec = 1000000 }, .it_interval = { .tv_nsec = 1000000 } };
	const int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (fd >= 0)
		(void)timerfd_settime(fd, 0, &soon, NULL);
	return fd;
}

long
syscall(long number, ...)
{
	void *found = dlsym(RTLD_NEXT, "syscall");
	long (*real)(long, ...);
	long a[6];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(ap, long);
	va_end(ap);
	if (number == SYS_pidfd_open)
		return ticking();
	memcpy(&real, &found, sizeof(real)); /* ISO C has no cast from an object to a function */
	return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
