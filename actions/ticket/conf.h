/* conf.h: the ticket action's own file. */
#ifndef ACTIONS_TICKET_CONF_H
#define ACTIONS_TICKET_CONF_H

#include "actions/ticket/ticket.h"

struct ticket_conf {
	cfg_t *cfg; /* own */
	const struct ticket_driver *driver;
	struct words words; /* own */
	struct ticket_limits limits;
};

struct ticket_texts {                        /* the templates for one event */
	struct wording title, body, comment; /* own; comment: what is said of a later event */
};

enum mh_status ticket_conf_read(const char *path, struct ticket_conf *ret, struct mh_err *err);
void ticket_conf_release(struct ticket_conf *c);

/* ret: ticket_texts_release is due in every case. Errors: those of text_read. */
enum mh_status ticket_texts_read(
    const struct ticket_conf *c, enum case_event event, struct ticket_texts *ret, struct mh_err *err);
void ticket_texts_release(struct ticket_texts *t);

#endif
