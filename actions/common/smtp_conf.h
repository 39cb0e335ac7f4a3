/* smtp_conf.h: the options of an action that sends mail by SMTP. */
#ifndef ACTIONS_COMMON_SMTP_CONF_H
#define ACTIONS_COMMON_SMTP_CONF_H

#include <confuse.h>

#include "actions/common/own_conf.h"
#include "actions/common/smtp.h"
#include "actions/common/wire_conf.h"

/* For an action's table of options, and its table of checks. */
#define SMTP_OPTIONS                                                                                                   \
	CFG_STR("smtp_host", "localhost", CFGF_NONE), CFG_INT("smtp_port", 0, CFGF_NONE),                              \
	    CFG_STR("smtp_tls", "starttls", CFGF_NONE), CFG_STR("smtp_auth", "none", CFGF_NONE),                       \
	    CFG_STR("smtp_user", "", CFGF_NONE), CFG_STR("smtp_helo", "", CFGF_NONE),                                  \
	    CFG_STR("envelope_from", "", CFGF_NONE), CFG_STR("password_file", "", CFGF_NONE),                          \
	    CFG_STR_LIST("password_command", NULL, CFGF_NODEFAULT), CFG_STR("token", "", CFGF_NONE), WIRE_OPTIONS,     \
	    CFG_INT("timeout_s", 45, CFGF_NONE)
#define SMTP_CHECKS                                                                                                    \
	{ "smtp_port", smtp_check_number }, { "timeout_s", smtp_check_number }, { "smtp_tls", smtp_check_word },       \
	    { "smtp_auth", smtp_check_word },                                                                          \
	{                                                                                                              \
		"password_command", check_command                                                                      \
	}

int smtp_check_number(cfg_t *cfg, cfg_opt_t *opt);
int smtp_check_word(cfg_t *cfg, cfg_opt_t *opt);

struct smtp_conf { /* points into the configuration, and into itself */
	struct smtp_server server;
	const char *command[OWN_CONF_MAX_WORDS + 1];
};

/* deadline_ms: monotonic; no transfer may last longer. */
void smtp_conf_read(cfg_t *cfg, int64_t deadline_ms, struct smtp_conf *ret);

#endif
