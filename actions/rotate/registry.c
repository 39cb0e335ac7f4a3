/* registry.c: the ways to make tokens, and the identity providers. A new one is its file and a line here. */
#include <string.h>

#include "actions/rotate/idp.h"

const struct aws_side *
aws_side(const char *name)
{
	static const struct aws_side *const sides[] = { &aws_handover };

	for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++)
		if (strcmp(sides[i]->name, name) == 0)
			return sides[i];
	return NULL;
}

const struct idp_driver *
idp_driver(const char *name)
{
	static const struct idp_driver *const drivers[] = { &idp_entra, &idp_exec };

	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}
