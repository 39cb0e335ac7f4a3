/* wire_conf.c: options to a struct wire. */
#include "actions/common/wire_conf.h"

#include "actions/common/own_conf.h"
#include "actions/common/protocol.h"
#include "mailhook/clock.h"

long
wire_conf_time_ms(cfg_t *cfg, int64_t deadline_ms)
{
	const int64_t left = deadline_ms - clock_monotonic_ms() - PROTOCOL_SPARE_MS,
		      wanted = cfg_getint(cfg, "timeout_s") * 1000, ms = left < wanted ? left : wanted;

	return (long)(ms < 1 ? 1 : ms);
}

void
wire_conf_read(cfg_t *cfg, int64_t deadline_ms, struct wire *ret)
{
	*ret = (struct wire){ .ca_file = own_conf_text(cfg, "ca_file"),
		.cert_file = own_conf_text(cfg, "cert_file"),
		.key_file = own_conf_text(cfg, "key_file"),
		.proxy = own_conf_text(cfg, "proxy"),
		.allow_plain = cfg_getbool(cfg, "allow_plain") == cfg_true,
		.total_ms = wire_conf_time_ms(cfg, deadline_ms) };
}
