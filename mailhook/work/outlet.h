/* outlet.h: what the worker shows while it works: pages in publish_dir, numbers in metrics_file and at metrics_listen. */
#ifndef MAILHOOK_WORK_OUTLET_H
#define MAILHOOK_WORK_OUTLET_H

#include "mailhook/work/serve.h"
#include "mailhook/work/work.h"

#define OUTLET_FDS SERVE_FDS

struct outlet {
	struct serve serve;
	char listens[80];   /* what metrics_listen was when it was opened, or tried last; "" none */
	int64_t last_event; /* of the ledger, when the pages were written; -1: they were not */
	int64_t pages_ms, numbers_ms, listen_ms; /* monotonic: when each was last written or tried */
	int64_t again_ms; /* monotonic: when to look again at what was just written; 0: no need */
	bool said[3];     /* what cannot be done is said once until it can: listening, pages, numbers */
	bool trouble;
	char text[160]; /* of the trouble */
};

void outlet_init(struct outlet *o);
void outlet_close(struct outlet *o);
/* After each round of work: writes what has changed, not more often than every few seconds.
 *   in      status, err: how the round went, for /healthz
 *           last: the worker ends, so what has changed is written now */
void outlet_round(
    struct outlet *o, struct work *w, enum mh_status status, const struct mh_err *err, bool service, bool last);
size_t outlet_pollfds(const struct outlet *o, struct pollfd *fds, int *ret_timeout_ms);
void outlet_hear(struct outlet *o, struct work *w);

#endif
