/* publish.h: the cases for those who do not log in: a calendar, a page, and a folder that both are kept in. */
#ifndef MAILHOOK_WORK_PUBLISH_H
#define MAILHOOK_WORK_PUBLISH_H

#include "mailhook/work/work.h"

#define PUBLISH_MOST_CASES 2000 /* of a page and a calendar that are written on every change; more is said, not shown */
#define PUBLISH_MAX_BYTES ((size_t)256 << 20)

/* Errors of all: those of db.h; MH_LIMIT a document is larger than out may be; MH_RETRY a folder or a file of it cannot
 * be written. */

/* An iCalendar object (RFC 5545): one event for each of these cases that has an expiry, its UID the case's key, as in the
 * calendar entries of replies. Cases without an expiry are left out: an event needs a day. */
enum mh_status calendar_print(struct work *w, const struct case_rows *cases, struct buf *out, struct mh_err *err);

/* One HTML page that needs nothing else, well-formed XML at the same time; everything from outside is escaped.
 *   in      left_out: open cases that are not among these */
enum mh_status page_print(
    struct work *w, const struct case_rows *cases, int64_t left_out, int64_t now, struct buf *out, struct mh_err *err);

/* An http or https URL without a byte that could end it early; may be NULL. */
bool publish_link(const char *url);

/* Replaces folder/name by those bytes, whole or not at all; others may read it. */
enum mh_status publish_file(const char *folder, const char *name, struct mh_span bytes, struct mh_err *err);

/* Whether files could be put there, without any effect. make: the folder itself may have to be made. */
enum mh_status publish_check(const char *folder, bool make, struct mh_err *err);

/* index.html and mailhook.ics of the open cases into that folder, which is made where it is not there. */
enum mh_status publish_cases(struct work *w, const char *folder, int64_t now, struct mh_err *err);

#endif
