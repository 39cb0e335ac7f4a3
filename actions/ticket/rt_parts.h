/* rt_parts.h: what the two files of the RT driver share. */
#ifndef ACTIONS_TICKET_RT_PARTS_H
#define ACTIONS_TICKET_RT_PARTS_H

#include "actions/ticket/rest.h"

#define RT_API "/REST/2.0"

struct rt {
	struct rest rest;
	struct ticket_desk *desk;
	const char *queue, *key_field, *close_status; /* key_field NULL: the key stands in the subject */
	bool correspond;
	int priorities[3];
};

/* Errors of all: those of rest_call; MH_RETRY an answer that lacks what it should hold; MH_LIMIT a text too long. */

/* RT's own words, with PriorityAsString as it comes (Low, Medium, High); others by number. False: neither. */
bool rt_priority_number(const char *word, int *ret);
enum mh_status rt_send(struct rt *rt, const char *method, const char *path, const cJSON *body, const char *doing,
    struct rest_answer *ret, struct mh_err *err);
/* A ticket by number, or the one that it was merged into. key NULL: whatever it carries; ret_ticket NULL: not wanted,
 * else its search result, to be deleted. MH_SKIP: gone, or another's. */
enum mh_status rt_get_ticket(
    struct rt *rt, const char *id, const char *key, struct ticket_ref *ret, cJSON **ret_ticket, struct mh_err *err);
/* The values of a custom field; NULL: the ticket has no such field. */
const cJSON *rt_field_values(const cJSON *ticket, const char *name);
bool rt_holds_value(const cJSON *ticket, const char *field, struct mh_span value);
/* The queue, if tickets can be opened in it and found again; MH_BAD in words. */
enum mh_status rt_read_queue(struct rt *rt, const char *name, cJSON **ret, struct mh_err *err);

/* -- rt_write.c: slots of ticket_driver ----------------------------------------------------------------------------- */
enum mh_status rt_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err);
enum mh_status rt_attach(void *state, const struct ticket_ref *ref, const struct ticket_file *f, struct mh_err *err);
enum mh_status rt_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err);
enum mh_status rt_comment(
    void *state, const struct ticket_ref *ref, const struct ticket_comment *c, struct mh_err *err);
enum mh_status rt_change(void *state, const struct ticket_ref *ref, const struct ticket_change *c, struct mh_err *err);
enum mh_status rt_close(void *state, const struct ticket_ref *ref, struct mh_err *err);

#endif
