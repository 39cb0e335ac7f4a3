/* net.h: what the transports smtp and graph read from the reply action's configuration. */
#ifndef ACTIONS_REPLY_NET_H
#define ACTIONS_REPLY_NET_H

#include "actions/common/graph.h"
#include "actions/common/smtp_conf.h"
#include "actions/reply/reply.h"

/* For conf.c's table of options; its table of checks has SMTP_CHECKS. */
#define NET_OPTIONS SMTP_OPTIONS, CFG_STR("graph_url", GRAPH_URL, CFGF_NONE), CFG_STR("graph_mailbox", "", CFGF_NONE)

struct net_conf { /* points into the reply action's configuration, and into itself */
	struct smtp_conf smtp;
	struct graph graph;
};

/* deadline_ms: monotonic; no transfer may last longer. */
void net_read(const struct reply_conf *c, int64_t deadline_ms, struct net_conf *ret);
/* The checkpoint before the effect: which mail is about to be sent. */
enum mh_status net_announce(const struct delivery *d, struct mh_err *err);
/* Tells when what the transport proves itself by ends, where that can be read: the client's certificates for TLS and for
 * tokens. */
void net_credentials(const struct reply_conf *c, struct protocol *p);
/* True where a check may ask the network: mailhook check --online. */
bool net_online(const struct request *r);

#endif
