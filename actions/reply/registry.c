/* registry.c: the ways by which a mail leaves, listed by hand. */
#include <string.h>

#include "actions/reply/reply.h"

static const struct transport *const transports[] = {
	&transport_maildir,
	&transport_sendmail,
	&transport_smtp,
	&transport_graph,
};

const struct transport *
transport_of(const char *name)
{
	for (size_t i = 0; i < sizeof(transports) / sizeof(transports[0]); i++)
		if (strcmp(transports[i]->name, name) == 0)
			return transports[i];
	return NULL;
}
