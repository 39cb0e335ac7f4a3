/* node.h: this machine as one of those that share a ledger: what it is called, and what the others see of it. */
#ifndef MAILHOOK_WORK_NODE_H
#define MAILHOOK_WORK_NODE_H

#include "mailhook/work/work.h"

/* Sets node, life and owner of w: the name is the configuration's, else the host's; the life is this process's. */
enum mh_status node_name(struct work *w, struct mh_err *err);

#endif
