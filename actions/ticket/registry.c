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
ticket_driver(const char *name)
{
	for (size_t i = 0; i < sizeof(drivers) / sizeof(drivers[0]); i++)
		if (strcmp(drivers[i]->name, name) == 0)
			return drivers[i];
	return NULL;
}
