/* claim.c: I2, one rotation a tenant: its name is claimed from the first effect to the last, across runs and machines. */
#include <stdio.h>
#include <string.h>

#include "actions/rotate/machine.h"

#define CLAIM_PREFIX "scim-tenant/"
#define CLAIM_BYTES (sizeof(CLAIM_PREFIX) + ROTATE_ID_BYTES)
_Static_assert(CLAIM_BYTES <= MH_MAX_ACTION_CLAIM_BYTES, "a tenant's name can be claimed");

/* The tenant's id is AWS's, and no two have the same, whatever the host in front of it is called. */
static void
claim_of(const struct run *r, char dst[CLAIM_BYTES])
{
	(void)snprintf(dst, CLAIM_BYTES, "%s%s", CLAIM_PREFIX, r->conf.place.tenant);
}

enum mh_status
claim_take(struct run *r, struct mh_err *err)
{
	char name[CLAIM_BYTES], held[PROTOCOL_KEY_BYTES];

	if (r->claimed)
		return MH_OK;
	claim_of(r, name);
	const enum mh_status status = claim_name(r->protocol, name, held, err);
	if (status == MH_SKIP)
		return mh_fail(err, MH_SKIP,
		    "the rotation of case %s has not ended; if it was given up: mailhook close %.8s", held, held);
	r->claimed = status == MH_OK;
	return status;
}

bool
claim_release(struct run *r)
{
	char name[CLAIM_BYTES];

	if (!r->claimed)
		return true;
	r->claimed = false;
	claim_of(r, name);
	return release_name(r->protocol, name);
}
