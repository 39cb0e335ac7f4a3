/* forge.h: what the issues of GitHub and GitLab have in common: the key stands hidden in the text, priorities are
 * labels, and a list is walked page by page, because their searches lag. */
#ifndef ACTIONS_TICKET_FORGE_H
#define ACTIONS_TICKET_FORGE_H

#include "actions/ticket/rest.h"

#define FORGE_PAGE 30 /* an issue is some 8 kB of JSON: well below HTTP_MAX_BODY_BYTES */
#define FORGE_PAGES 40
#define FORGE_OLD_S (500 * MH_DAY_S) /* no case is older: where a list that is sorted by age may end */
#define FORGE_LABEL_BYTES 50         /* GitHub refuses a longer one, and the issue with it */

/* The text of a new issue: body, the configured fields as a list, and the key and job, hidden.
 *   errors  MH_LIMIT out is full */
enum mh_status forge_text(const struct ticket_desk *d, const struct ticket_new *t, struct buf *out, struct mh_err *err);
bool forge_carries(const char *text, const char *key);
bool forge_is_of_job(const char *text, const char *key, const char *job);

/* Names in a list of labels: of strings, or of objects with a name. */
bool forge_has_label(const cJSON *labels, const char *name);
enum ticket_priority forge_priority(const struct ticket_desk *d, const cJSON *labels);
/* The labels of a new issue: of the configuration, the one to find it by, and its priority's. Own; NULL: no memory. */
cJSON *forge_labels(const struct ticket_new *t, const char *find_label);
/* Says of each that is not there. */
void forge_compare(struct ticket_desk *d, const cJSON *wanted, const cJSON *there);

/* A list that is walked page by page. */
struct forge_list {
	void *state;       /* the driver's */
	const char *what;  /* for page: a filter of issues, or whose comments */
	const char *doing; /* "list the issues": words for errors */
	/* Items FORGE_PAGE * (number - 1) and on, at most FORGE_PAGE of them. */
	enum mh_status (*page)(const struct forge_list *l, int number, struct rest_answer *ret, struct mh_err *err);
	/* What an issue of a page is to us; for forge_find. MH_SKIP: not ours, or of another key. */
	enum mh_status (*ref_of)(const struct forge_list *l, const cJSON *issue, const char *key,
	    struct ticket_ref *ret, struct mh_err *err);
};

/* Finds what carries the key in a list of issues, the newest first: of several an open one, and of those the oldest.
 *   errors  MH_SKIP none does; MH_BAD the list has no end; those of page and ref_of */
enum mh_status forge_find(
    const struct forge_list *l, const char *key, int64_t now, struct ticket_ref *ret, struct mh_err *err);
/* Is a comment with that mark in the list? Each has a "body".
 *   errors  MH_SKIP none has it; those of page */
enum mh_status forge_find_mark(const struct forge_list *l, const char *mark, struct mh_err *err);
/* Title, state, labels and text, for people. */
void forge_read(const cJSON *issue, const char *text_key, struct buf *out);

#endif
