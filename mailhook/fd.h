/* fd.h: small things about descriptors. Nothing here allocates, and all of it may run between fork and exec. */
#ifndef MAILHOOK_FD_H
#define MAILHOOK_FD_H

#include "mailhook/mailhook.h"

void drop_fd(int *fd); /* closes it and makes it -1, for MH_AUTO; -1 is fine */

/* Writes all of s, to a descriptor that blocks. False: errno says why; some of it may have been written. */
bool fd_write_all(int fd, struct mh_span s);

#endif
