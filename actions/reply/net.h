/* net.h: what the transports smtp and graph read from the reply action's configuration. */
#ifndef ACTIONS_REPLY_NET_H
#define ACTIONS_REPLY_NET_H

#include "actions/common/graph.h"
#include "actions/common/smtp.h"
#include "actions/reply/reply.h"

/* For conf.c's table of options, and its table of checks. */
#define NET_OPTIONS                                                                                                    \
	CFG_STR("smtp_host", "localhost", CFGF_NONE), CFG_INT("smtp_port", 0, CFGF_NONE),                              \
	    CFG_STR("smtp_tls", "starttls", CFGF_NONE), CFG_STR("smtp_auth", "none", CFGF_NONE),                       \
	    CFG_STR("smtp_user", "", CFGF_NONE), CFG_STR("smtp_helo", "", CFGF_NONE),                                  \
	    CFG_STR("envelope_from", "", CFGF_NONE), CFG_STR("password_file", "", CFGF_NONE),                          \
	    CFG_STR_LIST("password_command", NULL, CFGF_NODEFAULT), CFG_STR("token", "", CFGF_NONE),                   \
	    CFG_STR("graph_url", GRAPH_URL, CFGF_NONE), CFG_STR("graph_mailbox", "", CFGF_NONE),                       \
	    CFG_STR("ca_file", "", CFGF_NONE), CFG_STR("cert_file", "", CFGF_NONE),                                    \
	    CFG_STR("key_file", "", CFGF_NONE), CFG_STR("proxy", "", CFGF_NONE),                                       \
	    CFG_BOOL("allow_plain", cfg_false, CFGF_NONE), CFG_INT("timeout_s", 45, CFGF_NONE)
#define NET_CHECKS                                                                                                     \
	{ "smtp_port", net_check_number }, { "timeout_s", net_check_number }, { "smtp_tls", net_check_word },          \
	    { "smtp_auth", net_check_word },                                                                           \
	{                                                                                                              \
		"password_command", net_check_command                                                                  \
	}

int net_check_number(cfg_t *cfg, cfg_opt_t *opt);
int net_check_word(cfg_t *cfg, cfg_opt_t *opt);
int net_check_command(cfg_t *cfg, cfg_opt_t *opt);

#define NET_MAX_WORDS 32 /* of a command */

struct net_conf { /* points into the reply action's configuration, and into itself */
	struct smtp_server smtp;
	struct graph graph;
	const char *command[NET_MAX_WORDS + 1];
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
