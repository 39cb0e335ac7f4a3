/* wire_conf.h: the options of an action that talks to a server: whom it trusts, who it is, which way, and how long. */
#ifndef ACTIONS_COMMON_WIRE_CONF_H
#define ACTIONS_COMMON_WIRE_CONF_H

#include <confuse.h>

#include "actions/common/wire.h"

/* For an action's table of options, beside a number timeout_s, whose default and bounds are the action's own. */
#define WIRE_OPTIONS                                                                                                   \
	CFG_STR("ca_file", "", CFGF_NONE), CFG_STR("cert_file", "", CFGF_NONE), CFG_STR("key_file", "", CFGF_NONE),    \
	    CFG_STR("proxy", "", CFGF_NONE), CFG_BOOL("allow_plain", cfg_false, CFGF_NONE)

/* deadline_ms: monotonic, of the action; no transfer may last longer. ret points into the configuration. */
void wire_conf_read(cfg_t *cfg, int64_t deadline_ms, struct wire *ret);
/* For total_ms: timeout_s, or what is left of the action's time where that is less; at least 1, for 0 is the default. */
long wire_conf_time_ms(cfg_t *cfg, int64_t deadline_ms);

#endif
