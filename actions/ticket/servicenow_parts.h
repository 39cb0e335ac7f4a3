/* servicenow_parts.h: what the files of the ServiceNow driver share. */
#ifndef ACTIONS_TICKET_SERVICENOW_PARTS_H
#define ACTIONS_TICKET_SERVICENOW_PARTS_H

#include "actions/ticket/rest.h"

struct servicenow {
	struct rest rest;
	const char *table;
};

struct servicenow_level { /* what a priority is made of: 1 is the highest */
	int impact, urgency;
};

/* Errors of all: those of rest_call; MH_RETRY an answer that lacks what it should hold; MH_LIMIT a text too long. */

/* "2/1". False: it is not two numbers from 1 to 3. */
bool servicenow_level(const char *text, struct servicenow_level *ret);
/* The sys_id of a group or user by a column's very value; a sys_id stands for itself. MH_SKIP: there is none. */
enum mh_status servicenow_lookup(struct servicenow *s, const char *table, const char *column, const char *value,
    const char **ret, struct mh_err *err);
/* A row's value: a string, or a reference's. "" where it is not there. */
const char *servicenow_value(const cJSON *row, const char *column);
bool servicenow_is_open(const struct servicenow *s, const cJSON *row);
enum mh_status servicenow_ref_of(struct servicenow *s, const cJSON *row, struct ticket_ref *ret, struct mh_err *err);
/* MH_SKIP: it is gone. columns NULL: those of a ticket's state. */
enum mh_status servicenow_record(struct servicenow *s, const char *id, const char *columns, struct rest_answer *ret,
    const cJSON **ret_row, struct mh_err *err);

/* -- servicenow_write.c: for ticket.h ------------------------------------------------------------------------------ */

enum mh_status servicenow_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err);
enum mh_status servicenow_change(
    void *state, const struct ticket_ref *ref, const struct ticket_change *ch, struct mh_err *err);
enum mh_status servicenow_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err);
enum mh_status servicenow_comment(
    void *state, const struct ticket_ref *ref, const struct ticket_comment *k, struct mh_err *err);
enum mh_status servicenow_close(void *state, const struct ticket_ref *ref, struct mh_err *err);
enum mh_status servicenow_attach(
    void *state, const struct ticket_ref *ref, const struct ticket_file *f, struct mh_err *err);
enum mh_status servicenow_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err);

#endif
