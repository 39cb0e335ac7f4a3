/* redmine_parts.h: what the two files of the Redmine driver share. */
#ifndef ACTIONS_TICKET_REDMINE_PARTS_H
#define ACTIONS_TICKET_REDMINE_PARTS_H

#include "actions/ticket/rest.h"

struct redmine {
	struct rest rest;
	struct ticket_desk *desk;
	const char *project, *tracker, *key_field, *close_status; /* tracker, key_field NULL: not configured */
	bool pre;          /* text stands in <pre>: Redmine's Textile, or whatever else knows it */
	cJSON *priorities; /* own: in their order, from low to high; NULL: not asked yet */
	cJSON *fields;     /* own: {"name": id}; NULL: not asked yet */
};

/* Errors of all: those of rest_call; MH_RETRY an answer that lacks what it should hold; MH_LIMIT a text too long. */

enum mh_status redmine_ask(
    struct redmine *rm, const char *path, const char *doing, struct rest_answer *ret, struct mh_err *err);
/* The project, by a path below it. MH_BAD where there is none, in words. */
enum mh_status redmine_project(struct redmine *rm, const char *path, struct rest_answer *ret, struct mh_err *err);
/* The issue with its journals and attachments. MH_SKIP: it is gone. */
enum mh_status redmine_issue(struct redmine *rm, const char *id, struct rest_answer *ret, struct mh_err *err);
/* The number of what has that name in a list ("issue_priorities"); a name of digits is a number already. MH_BAD: there
 * is none, and which there are. */
enum mh_status redmine_id_in(const cJSON *list, const char *what, const char *name, int64_t *ret, struct mh_err *err);
enum mh_status redmine_priorities(struct redmine *rm, struct mh_err *err);
/* The number of a custom field of issues. Only administrators may list them: those that the project names, or that an
 * issue of it shows, can be called by name. MH_BAD: it is none of them. */
enum mh_status redmine_field_id(struct redmine *rm, const char *name, int64_t *ret, struct mh_err *err);
/* The value of a custom field in an issue, by number; MH_NONE: the issue has no such field. */
struct mh_span redmine_field_value(const cJSON *issue, int64_t id);
enum mh_status redmine_read_ref(struct redmine *rm, const cJSON *issue, struct ticket_ref *ret, struct mh_err *err);

/* -- redmine_write.c: slots of ticket_driver ------------------------------------------------------------------------ */
enum mh_status redmine_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err);
enum mh_status redmine_attach(
    void *state, const struct ticket_ref *ref, const struct ticket_file *f, struct mh_err *err);
enum mh_status redmine_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err);
enum mh_status redmine_comment(
    void *state, const struct ticket_ref *ref, const struct ticket_comment *c, struct mh_err *err);
enum mh_status redmine_change(
    void *state, const struct ticket_ref *ref, const struct ticket_change *c, struct mh_err *err);
enum mh_status redmine_close(void *state, const struct ticket_ref *ref, struct mh_err *err);

#endif
