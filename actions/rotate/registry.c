/* registry.c: the ways to make tokens, and the identity providers. A new one is its file and a line here. */
#include <string.h>

#include "actions/rotate/idp.h"

static const struct aws_side *const sides[] = {
	&aws_handover,
	&aws_console_api,
};

static const struct idp_driver *const drivers[] = {
	&idp_entra,
	&idp_secrets_manager,
	&idp_exec,
};

const struct aws_side *
aws_side_nth(size_t i)
{
	return i < sizeof(sides) / sizeof(sides[0]) ? sides[i] : NULL;
}

const struct aws_side *
aws_side(const char *name)
{
	for (size_t i = 0; i < sizeof(sides) / sizeof(sides[0]); i++)
		if (strcmp(sides[i]->name, name) == 0)
			return sides[i];
	return NULL;
}

const struct idp_driver *
idp_driver_nth(size_t i)
{
	return i < sizeof(drivers) / sizeof(drivers[0]) ? drivers[i] : NULL;
}

const struct idp_driver *
idp_driver(const char *name)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}
