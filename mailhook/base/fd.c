/* fd.c: descriptors closed, and written to until all is written. */
#include "mailhook/fd.h"

#include <errno.h>
#include <unistd.h>

void
drop_fd(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

bool
fd_write_all(int fd, struct mh_span s)
{
	while (s.n > 0) {
		const ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		s = span_from(s, (size_t)n);
	}
	return true;
}
