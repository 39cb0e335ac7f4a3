/* member.h: the worker's loop as one of several nodes: signs of life, and calls from the others.
 *
 * With a local ledger every function does nothing.
 */
#ifndef MAILHOOK_WORK_MEMBER_H
#define MAILHOOK_WORK_MEMBER_H

#include <poll.h>

#include "mailhook/work/work.h"

struct member {
	bool entered; /* the node's row is ours */
	bool ousted;  /* another worker has our name: this one must end */
	int64_t beat_at_ms, look_at_ms;
	int64_t intake, oldest_s, bad; /* of the intake, when it was looked at last */
	bool told_trouble;
};

/* As node_enter(). */
enum mh_status member_enter(
    struct member *m, struct work *w, int64_t *ret_seen, int64_t *ret_ago_s, struct mh_err *err);
/* A sign of life where one is due.
 *   in      trouble: NULL: none
 *   errors  MH_BAD another worker has our name: ousted */
enum mh_status member_round(struct member *m, struct work *w, size_t running, const char *trouble, struct mh_err *err);
/* What is left of a sleep. */
int64_t member_sleep_ms(const struct member *m, const struct work *w, int64_t ms);
/* The others' calls: at most one descriptor; *ret_timeout_ms is 0 where somebody has called already. */
size_t member_pollfds(struct member *m, struct work *w, struct pollfd *fds, int *ret_timeout_ms);
enum mh_status member_leave(struct member *m, struct work *w, struct mh_err *err);

#endif
