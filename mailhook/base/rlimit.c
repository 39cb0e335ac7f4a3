/* rlimit.c: limits of this process. */
#include "mailhook/rlimit.h"

bool
rlimit_set(__rlimit_resource_t resource, rlim_t soft, rlim_t hard)
{
	struct rlimit now;

	if (getrlimit(resource, &now) < 0)
		return false;
	if (hard > now.rlim_max)
		hard = now.rlim_max;
	if (soft > hard)
		soft = hard;
	return setrlimit(resource, &(struct rlimit){ soft, hard }) == 0;
}
