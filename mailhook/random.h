/* random.h: names that nobody can guess. */
#ifndef MAILHOOK_RANDOM_H
#define MAILHOOK_RANDOM_H

#include "mailhook/mailhook.h"

#define RANDOM_HEX 33 /* 16 bytes in hex, and a NUL */

/* Random digits.
 *   errors  MH_RETRY the kernel has none; dst is as before */
enum mh_status random_hex(char dst[RANDOM_HEX], struct mh_err *err);

#endif
