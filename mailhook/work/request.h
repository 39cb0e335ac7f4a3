/* request.h: the one JSON object that an action gets; mailhook-action(7) is its contract. */
#ifndef MAILHOOK_WORK_REQUEST_H
#define MAILHOOK_WORK_REQUEST_H

#include "mailhook/work/work.h"

#define REQUEST_MAX_BYTES ((size_t)1 << 20)

/* Errors of all: those of db.h, among them MH_RETRY no memory. */

/* A job's request: facts of the best-trusted notice only, no bytes of the mail.
 *   in      deadline: when the action will be stopped; by: with the verb input, the person at the terminal; else NULL
 *   out     out: one line without its end
 *           ret_message: the message that the case stands on; 0: none */
enum mh_status request_job(struct work *w, const struct job_row *j, const struct case_row *c, int64_t now,
    int64_t deadline, const char *by, struct arena *a, struct buf *out, int64_t *ret_message, struct mh_err *err);
/* For the verb check: no case. */
enum mh_status request_check(struct work *w, const struct conf_action *act, bool online, int64_t now, int64_t deadline,
    struct buf *out, struct mh_err *err);
/* For the verb describe, of a case that is made up: "sample" is true. */
enum mh_status request_sample(
    struct work *w, const struct conf_action *act, int64_t now, int64_t deadline, struct buf *out, struct mh_err *err);

#endif
