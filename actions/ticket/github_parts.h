/* github_parts.h: what the files of the GitHub driver share. */
#ifndef ACTIONS_TICKET_GITHUB_PARTS_H
#define ACTIONS_TICKET_GITHUB_PARTS_H

#include "actions/ticket/forge.h"

struct github {
	struct rest rest;
	const char *site;  /* where people look */
	const char *login; /* whose issues ours are; NULL: not known */
	bool told_end;
};

/* Errors of all: those of rest_call; MH_RETRY an answer that lacks what it should hold; MH_LIMIT a text too long. */

/* "OWNER/NAME", of signs that may stand in a path as they are. */
bool github_is_repository(struct mh_span s);
/* rest_call, and tells once when the token ends. */
enum mh_status github_call(struct github *g, const struct rest_call *c, struct rest_answer *ret, struct mh_err *err);
/* For rest.judge: a rate limit comes as 403 or 429: with Retry-After, with nothing remaining until a time, or with words
 * alone. */
enum mh_status github_judge(const struct http_answer *a, int64_t now, int64_t *ret_retry_after_s);
/* "/repos/OWNER/NAME" and tail; "/repos/OWNER/NAME/issues/NUMBER" and tail. MH_SKIP: not an issue of GitHub. */
enum mh_status github_path(
    struct github *g, const char *repository, const char *tail, const char **ret, struct mh_err *err);
enum mh_status github_issue_path(
    struct github *g, const char *id, const char *tail, const char **ret, struct mh_err *err);
/* Whose token it is. An app's token is nobody's: then the configuration may name the creator. */
enum mh_status github_read_login(struct github *g, struct mh_err *err);
/* MH_SKIP: it is gone. */
enum mh_status github_get_issue(struct github *g, const char *id, struct rest_answer *ret, struct mh_err *err);
enum mh_status github_ref_of(struct github *g, const char *repository, const cJSON *issue, const char *key,
    struct ticket_ref *ret, struct mh_err *err);

/* -- github_write.c: for ticket.h ---------------------------------------------------------------------------------- */

enum mh_status github_open(void *state, const struct ticket_new *t, struct ticket_ref *ret, struct mh_err *err);
enum mh_status github_change(
    void *state, const struct ticket_ref *ref, const struct ticket_change *ch, struct mh_err *err);
enum mh_status github_commented(void *state, const struct ticket_ref *ref, const char *mark, struct mh_err *err);
enum mh_status github_comment(
    void *state, const struct ticket_ref *ref, const struct ticket_comment *k, struct mh_err *err);
enum mh_status github_close(void *state, const struct ticket_ref *ref, struct mh_err *err);
enum mh_status github_read(void *state, const struct ticket_ref *ref, struct buf *ret_text, struct mh_err *err);
enum mh_status github_check(void *state, struct mh_err *err);

#endif
