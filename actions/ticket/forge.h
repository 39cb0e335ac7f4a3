/* forge.h: what the issues of GitHub and GitLab have in common: the key stands hidden in the text, priorities are
 * labels, and a list is walked page by page, because their searches lag. */
#ifndef ACTIONS_TICKET_FORGE_H
#define ACTIONS_TICKET_FORGE_H

#include "actions/ticket/rest.h"

#define FORGE_PAGE 30 /* an issue is some 8 kB of JSON: well below HTTP_MAX_BODY_BYTES */
#define FORGE_PAGES 40
#define FORGE_OLD_S ((int64_t)500 * 86400) /* no case is older: where a list that is sorted by age may end */
#define FORGE_LABEL_BYTES 50               /* GitHub refuses a longer one, and the issue with it */

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

/* Is a comment with that mark in the list? Each has a "body". */
bool forge_has_mark(const cJSON *comments, const char *mark);
/* "2026-02-03..." of an item, older than FORGE_OLD_S: false where it has none. */
bool forge_is_old(const cJSON *issue, int64_t now);
/* Title, state, labels and text, for people. */
void forge_read(const cJSON *issue, const char *text_key, struct buf *out);

#endif
