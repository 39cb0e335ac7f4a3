/* conf.h: the ticket action's own file. */
#ifndef ACTIONS_TICKET_CONF_H
#define ACTIONS_TICKET_CONF_H

#include "actions/ticket/ticket.h"

struct ticket_conf {
	cfg_t *cfg; /* own */
	const struct ticket_driver *driver;
	const char *title;     /* template, one line */
	const char *body_file; /* where body comes from, for errors */
	struct buf body;       /* own: template */
	struct ticket_limits limits;
};

enum mh_status ticket_conf_read(const char *path, struct ticket_conf *ret, struct mh_err *err);
void ticket_conf_release(struct ticket_conf *c);

/* What is said of a later event. */
extern const char ticket_comment_template[], ticket_trusted_template[];

#endif
