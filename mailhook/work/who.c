/* who.c: who steers. The history names that person, so the order of belief is:
 *
 * 1. /proc/self/loginuid: who logged in, set once by PAM, kept by the kernel through su and sudo; without
 *    CAP_AUDIT_CONTROL nobody can write it a second time.
 * 2. The real user id, where nobody logged in (cron, a service, a container). Behind sudo that is whom sudo made of
 *    the person, so SUDO_USER is added as what it is: a hint that everybody can set. It is never a name by itself.
 *
 * No other part of the environment (USER, LOGNAME) is looked at.
 */
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/work/commands.h"

#define NOBODY_LOGGED_IN UINT32_MAX

static bool
read_uid(const char *text, uid_t *ret)
{
	uint64_t uid = 0;
	size_t n = 0;

	for (; text != NULL && text[n] >= '0' && text[n] <= '9' && n < 11; n++)
		uid = uid * 10 + (uint64_t)(text[n] - '0');
	if (n == 0 || (text[n] != '\0' && text[n] != '\n') || uid >= NOBODY_LOGGED_IN)
		return false;
	*ret = (uid_t)uid;
	return true;
}

static void
name_of(uid_t uid, char *dst, size_t dst_bytes)
{
	const struct passwd *pw = getpwuid(uid); /* NOLINT(concurrency-mt-unsafe): there is one thread */

	if (pw == NULL)
		(void)snprintf(dst, dst_bytes, "uid %lu", (unsigned long)uid);
	else
		(void)mh_escape(dst, dst_bytes, span_of(pw->pw_name));
}

/* From given facts: the kernel's loginuid, the real user, and SUDO_USER; NULL: there is none. */
static void
who_from(const char *loginuid, uid_t uid, const char *sudo_user, char *dst, size_t dst_bytes)
{
	char name[40], hint[40];
	uid_t login = uid;
	const bool logged_in = read_uid(loginuid, &login);

	name_of(login, name, sizeof(name));
	if (logged_in || sudo_user == NULL || sudo_user[0] == '\0' || strcmp(sudo_user, name) == 0)
		(void)snprintf(dst, dst_bytes, "%s", name);
	else
		(void)snprintf(
		    dst, dst_bytes, "%s (sudo says %s)", name, mh_escape(hint, sizeof(hint), span_of(sudo_user)));
}

void
who_steers(char *dst, size_t dst_bytes)
{
	char text[24];
	const int fd = open("/proc/self/loginuid", O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		(void)close(fd);
	text[n < 0 ? 0 : n] = '\0';
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread */
	who_from(text, getuid(), getenv("SUDO_USER"), dst, dst_bytes);
}
