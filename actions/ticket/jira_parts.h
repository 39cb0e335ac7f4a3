/* jira_parts.h: what the files of the Jira driver share. */
#ifndef ACTIONS_TICKET_JIRA_PARTS_H
#define ACTIONS_TICKET_JIRA_PARTS_H

#include "actions/ticket/rest.h"

#define JIRA_PROPERTY "mailhook" /* of an issue: {"key": ..., "job": ...}; people cannot see or remove it */
#define JIRA_LABEL "mailhook-"   /* and the key: what JQL finds */

struct jira {
	struct rest rest;
	bool cloud;
	const char *api;     /* "/rest/api/3" or "/rest/api/2" */
	const char *site;    /* where people look, without a slash at its end */
	const char *project; /* its key: the queue */
	const char *type;    /* of issues, by name */
	cJSON *field_list;   /* own; NULL: not asked yet */
	cJSON *priority_list;
};

/* Errors of all: those of rest_call; MH_RETRY an answer that lacks what it should hold; MH_LIMIT a text too long. */

/* A call below the API. fmt as rest_path's, which takes one argument here. */
enum mh_status jira_call(struct jira *j, const struct rest_call *c, const char *fmt, const char *arg,
    struct rest_answer *ret, struct mh_err *err);

/* -- jira_fields.c ------------------------------------------------------------------------------------------------ */

/* The fields of a new issue. What this Jira does not know by name is said to be dropped. */
enum mh_status jira_fields_of(struct jira *j, const struct ticket_new *t, cJSON **ret, struct mh_err *err);
/* Says of each field that was written and is not there. */
void jira_compare(struct jira *j, const cJSON *written, const cJSON *read);
/* Text for a description or comment: a document, or wiki text. NULL: no memory. */
cJSON *jira_text(const struct jira *j, struct mh_span text);
/* The id of a field by its name or id, and its schema; NULL: there is none of that name. */
const cJSON *jira_field(struct jira *j, const char *name);
enum mh_status jira_load_priorities(struct jira *j, struct mh_err *err);
/* The highest of ours that is not above the issue's. */
enum ticket_priority jira_priority(struct jira *j, const char *name);

/* -- jira_check.c -------------------------------------------------------------------------------------------------- */

enum mh_status jira_check(void *state, struct mh_err *err);

/* -- jira.c -------------------------------------------------------------------------------------------------------- */

/* MH_SKIP: there is none, or none that may be seen. */
enum mh_status jira_get_issue(struct jira *j, const char *id, struct rest_answer *ret, struct mh_err *err);
bool jira_is_open(const cJSON *issue);
enum mh_status jira_ref_of(struct jira *j, const cJSON *issue, struct ticket_ref *ret, struct mh_err *err);

/* -- jira_write.c: for ticket.h ------------------------------------------------------------------------------------ */

enum mh_status jira_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err);
enum mh_status jira_change(
    void *state, const struct ticket_ref *ref, const struct ticket_change *ch, struct mh_err *err);
enum mh_status jira_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err);
enum mh_status jira_comment(
    void *state, const struct ticket_ref *ref, const struct ticket_comment *k, struct mh_err *err);
enum mh_status jira_close(void *state, const struct ticket_ref *ref, struct mh_err *err);
enum mh_status jira_attach(void *state, const struct ticket_ref *ref, const struct ticket_file *f, struct mh_err *err);
enum mh_status jira_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err);

/* The transition that the configuration names, by its own name or that of its status. In list; NULL: none. */
const cJSON *jira_transition(const struct jira *j, const cJSON *list);
enum mh_status jira_transitions(struct jira *j, const char *id, struct rest_answer *ret, struct mh_err *err);

#endif
