/* gitlab_parts.h: what the files of the GitLab driver share. */
#ifndef ACTIONS_TICKET_GITLAB_PARTS_H
#define ACTIONS_TICKET_GITLAB_PARTS_H

#include "actions/ticket/forge.h"

struct gitlab {
	struct rest rest;
};

/* Errors of all: those of rest_call; MH_RETRY an answer that lacks what it should hold; MH_LIMIT a text too long. */

/* rest_call, where 409 (two requests for one issue at a time) may pass. */
enum mh_status gitlab_call(struct gitlab *g, const struct rest_call *c, struct rest_answer *ret, struct mh_err *err);
enum mh_status gitlab_check(void *state, struct mh_err *err);

#endif
