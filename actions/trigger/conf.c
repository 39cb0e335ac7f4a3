/* conf.c: the action's own file: what is started, and how its end is known. */
#include <string.h>

#include "actions/trigger/trigger.h"

extern const struct preset_shipped trigger_presets[]; /* presets/ */

static int
check_seconds(cfg_t *cfg, cfg_opt_t *opt)
{
	const long s = cfg_opt_getnint(opt, 0);

	if (s < 5 || s > 30 * 86400)
		cfg_error(cfg, "%s must be from 5 to 2592000 seconds", cfg_opt_name(opt));
	return 0;
}

static enum mh_status
take(struct trigger_conf *c, struct mh_err *err)
{
	static const char *const requests[] = { "start", "find", "poll", "check", NULL };
	const char *preset = cfg_getstr(c->cfg, "preset");
	const unsigned n = own_conf_command(c->cfg, "command", c->command);

	c->poll_s = cfg_getint(c->cfg, "poll_s");
	c->give_up_s = cfg_getint(c->cfg, "give_up_s");
	c->confirm = cfg_getbool(c->cfg, "confirm") == cfg_true;
	c->repeat = cfg_getbool(c->cfg, "repeat") == cfg_true;
	if ((preset[0] != '\0') == (n > 0))
		return mh_fail(err, MH_BAD, "what is to be started: one of preset and command");
	return n > 0 ? MH_OK : preset_read(preset, trigger_presets, requests, &c->preset, err);
}

enum mh_status
trigger_conf_read(const char *path, struct trigger_conf *ret, struct mh_err *err)
{
	static const struct own_conf_check checks[] = { PRESET_CHECKS, { "poll_s", check_seconds },
		{ "give_up_s", check_seconds }, { "command", check_command }, { NULL, NULL } };
	cfg_opt_t aws[] = { OWN_CONF_HEAD, AWS_OPTIONS, CFG_END() };
	cfg_opt_t opts[] = {
		OWN_CONF_HEAD,
		PRESET_OPTIONS,
		CFG_SEC("aws", aws, CFGF_NONE),
		CFG_STR_LIST("command", "{}", CFGF_NONE),
		CFG_INT("poll_s", 60, CFGF_NONE),
		CFG_INT("give_up_s", 86400, CFGF_NONE),
		CFG_BOOL("confirm", cfg_true, CFGF_NONE),
		CFG_BOOL("repeat", cfg_false, CFGF_NONE),
		CFG_END(),
	};

	*ret = (struct trigger_conf){ .cfg = NULL };
	const enum mh_status status = own_conf_read(path, opts, checks, &ret->cfg, err);
	return status == MH_OK ? take(ret, err) : status;
}

void
trigger_conf_release(struct trigger_conf *c)
{
	drop_preset(&c->preset);
	drop_own_conf(&c->cfg);
}
