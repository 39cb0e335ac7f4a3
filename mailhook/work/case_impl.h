/* case_impl.h: what case.c (identity), take.c (messages), steer.c (a person's word) and pass.c (time) share. */
#ifndef MAILHOOK_WORK_CASE_IMPL_H
#define MAILHOOK_WORK_CASE_IMPL_H

#include <string.h>

#include "mailhook/work/case.h"

/* So far apart may two dates be and still mean one expiry where a mail gave days only: "in N days" may be counted from
 * either end of two days, and from another zone's date. */
#define DERIVED_DAYS 2

/* Two that are unknown (NULL) are the same. */
static inline bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

struct take { /* one message on its way in, inside its transaction */
	struct work *w;
	const struct incoming *in;
	struct arena *a; /* all rows */
	int64_t now;
	bool drill; /* the message is the one that "mailhook drill" announced */
	struct taken ret;
};

/* Errors of all: those of db.h. */

/* The case that n speaks of, or a new one; n gets its id and case. */
enum mh_status case_place(struct take *t, struct notice_row *n, struct mh_err *err);
/* What a notice that is in the ledger changes in its case. */
enum mh_status case_feed(struct take *t, struct case_row *c, const struct notice_row *n, struct mh_err *err);
/* Opens c: key, rule, event "opened" with its jobs. */
enum mh_status case_open(struct take *t, struct case_row *c, struct mh_err *err);
/* Sets c's rule and actions from the configuration of now; actions keeps the list. */
enum mh_status case_choose_rule(const struct work *w, struct case_row *c, struct buf *actions, struct mh_err *err);
enum mh_status case_flood(struct take *t, struct notice_row *n, struct mh_err *err);
/* Closes c, which is open, on the word of a person: what it came to is theirs to say. In the caller's transaction. */
enum mh_status case_end(
    struct work *w, struct case_row *c, const char *by, const char *why, int64_t now, struct mh_err *err);

#endif
