/* conf.h: the ticket action's own file, and the texts that are made by it. */
#ifndef ACTIONS_TICKET_CONF_H
#define ACTIONS_TICKET_CONF_H

#include "actions/ticket/ticket.h"

struct ticket_conf {
	cfg_t *cfg; /* own */
	const struct ticket_driver *driver;
	struct words words; /* own */
	struct ticket_limits limits;
	const char *priorities[3]; /* the system's own */
	int64_t due_before_days;
	bool attach;
	size_t attach_max_bytes;
};

enum mh_status ticket_conf_read(const char *path, struct ticket_conf *ret, struct mh_err *err);
void ticket_conf_release(struct ticket_conf *c);
/* What account "..." { queue = ... } says, else the option of that name; NULL: nothing. */
const char *ticket_conf_of_account(const struct ticket_conf *c, const char *account, const char *option);

/* -- texts.c ------------------------------------------------------------------------------------------------------ */

struct ticket_texts { /* what one event says, ready for the driver */
	struct template_vars vars;
	struct buf title, body, comment; /* own; comment with its mark */
	struct ticket_new ticket;        /* points into the buffers and the arena; priority is not set */
};

void ticket_texts_init(struct ticket_texts *t);
void ticket_texts_release(struct ticket_texts *t);
/* All of them, also what this event does not need: a wrong template is found by the first event, not by the last.
 *   errors  MH_BAD a template or option that does not do; else those of wording_read and template_render */
enum mh_status ticket_texts_write(const struct ticket_conf *c, const struct request *q, struct arena *a,
    struct ticket_texts *ret, struct mh_err *err);

/* -- life.c ------------------------------------------------------------------------------------------------------- */

/* run, describe: what the event asks for, from the search to the outcome. */
enum mh_status ticket_live(const struct ticket_conf *c, struct ticket_desk *d, void *state, struct mh_err *err);
/* Says that it is done, with what was dropped; ref may be NULL. */
void ticket_finish(struct ticket_desk *d, const char *word, const struct ticket_ref *ref, const char *summary);

#endif
