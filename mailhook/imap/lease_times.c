/* lease_times.c: see lease_times.h. */
#include "mailhook/imap/lease_times.h"

#include <stdlib.h>

#include "mailhook/conf.h"

#define LEASE_S 30
#define SHORTEST_S 4

struct lease_times
lease_times(void)
{
	const char *text = secure_getenv("MAILHOOK_LEASE_S");
	int64_t s = LEASE_S;

	if (text != NULL && (!conf_duration(text, &s) || s < SHORTEST_S || s > LEASE_S))
		s = LEASE_S;
	return (struct lease_times){ .lease_s = s,
		.renew_ms = s * 1000 / 3,
		.look_ms = s * 1000 / 6,
		.grace_s = s / 4,
		.hold_ms = s * 1000 - 1000 - s * 1000 / 15,
		.yield_ms = s * 1000 * 4,
		.rest_s = s / 2,
		.patience_ms = s * 1000 * 17 / 30 };
}
