/* random.c: see random.h. */
#include "mailhook/random.h"

#include <sys/random.h>

enum mh_status
random_hex(char dst[RANDOM_HEX], struct mh_err *err)
{
	unsigned char bytes[RANDOM_HEX / 2];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		return mh_fail_errno(err, MH_RETRY, "no random bytes");
	hex_put(dst, bytes, sizeof(bytes));
	return MH_OK;
}
