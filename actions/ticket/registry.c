/* registry.c: the ticket systems, listed by hand. */
#include <string.h>

#include "actions/ticket/ticket.h"

const char *const priority_names[3] = { "normal", "high", "urgent" };

static const struct ticket_driver *const drivers[] = {
	&ticket_local,
	&ticket_rt,
	&ticket_redmine,
	&ticket_mail,
	&ticket_jira,
	&ticket_github,
	&ticket_gitlab,
	&ticket_servicenow,
	&ticket_pagerduty,
	&ticket_http,
};

const struct ticket_driver *
ticket_driver_nth(size_t i)
{
	return i < sizeof(drivers) / sizeof(drivers[0]) ? drivers[i] : NULL;
}

const struct ticket_driver *
ticket_driver(const char *name)
{
	const struct ticket_driver *d;

	for (size_t i = 0; (d = ticket_driver_nth(i)) != NULL; i++)
		if (strcmp(d->name, name) == 0)
			return d;
	return NULL;
}
