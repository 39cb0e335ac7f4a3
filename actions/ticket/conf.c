/* conf.c: driver, texts and thresholds of the ticket action. */
#include "actions/ticket/conf.h"

#include <fcntl.h>

#include "actions/common/folder.h"

#define BODY_MAX_BYTES ((size_t)64 << 10)

static const char default_title[] = "{what}{?account} of account {account}{/account}{?resource} ({resource}){/resource}"
				    "{?expires_day} expires on {expires_day}{/expires_day}";

static const char default_body[] = "What expires:  {what}\n"
				   "{?account}\n"
				   "Account:       {account}{?account_name} ({account_name}){/account_name}\n"
				   "{/account}\n"
				   "{?owner}\n"
				   "Owner:         {owner}\n"
				   "{/owner}\n"
				   "{?region}\n"
				   "Region:        {region}\n"
				   "{/region}\n"
				   "{?resource}\n"
				   "Resource:      {resource}\n"
				   "{/resource}\n"
				   "{?expires}\n"
				   "Expires:       {expires}, {due} when this was written ({now})\n"
				   "{/expires}\n"
				   "{?reason}\n"
				   "Not read:      {reason}\n"
				   "{/reason}\n"
				   "Trust:         {trust_level}\n"
				   "\n"
				   "{trust}\n"
				   "{?steps}\n"
				   "\n"
				   "To be done by hand, unless mailhook reports that it has done it:\n"
				   "\n"
				   "{steps}\n"
				   "{/steps}\n";

/* Steps are there only while something is left to do; then the date matters too. */
const char ticket_comment_template[] = "{event_words}{?steps}{?due} It expires {due}.{/due}{/steps}\n"
				       "{?closed_by}\n"
				       "Closed by {closed_by}.\n"
				       "{/closed_by}\n"
				       "{?outcomes}\n"
				       "{outcomes}\n"
				       "{/outcomes}\n";

const char ticket_trusted_template[] = "{event_words}\n"
				       "{trust}\n";

static int
check_driver(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_getstr(opt);

	if (name == NULL || ticket_driver(name) == NULL)
		cfg_error(cfg, "there is no ticket driver \"%.40s\"", name == NULL ? "" : name);
	return 0;
}

static int
check_folder(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getstr(opt);

	if (path != NULL && path[0] != '\0' && path[0] != '/')
		cfg_error(cfg, "%s must be an absolute path", cfg_opt_name(opt));
	return 0;
}

static int
check_days(cfg_t *cfg, cfg_opt_t *opt)
{
	const long days = cfg_opt_getnint(opt, 0);

	if (days < 0 || days > 3650)
		cfg_error(cfg, "%s must be from 0 to 3650", cfg_opt_name(opt));
	return 0;
}

enum mh_status
ticket_conf_read(const char *path, struct ticket_conf *ret, struct mh_err *err)
{
	static const struct own_conf_check checks[] = { { "driver", check_driver }, { "folder", check_folder },
		{ "template", check_folder }, { "high_days", check_days }, { "urgent_days", check_days },
		{ NULL, NULL } };
	cfg_opt_t opts[] = {
		OWN_CONF_HEAD,
		CFG_STR("driver", "local", CFGF_NONE),
		CFG_STR("folder", "", CFGF_NONE),
		CFG_STR("title", default_title, CFGF_NONE),
		CFG_STR("template", "", CFGF_NONE),
		CFG_INT("high_days", 30, CFGF_NONE),
		CFG_INT("urgent_days", 7, CFGF_NONE),
		CFG_END(),
	};

	*ret = (struct ticket_conf){ 0 };
	buf_init(&ret->body, BODY_MAX_BYTES);
	const enum mh_status status = own_conf_read(path, opts, checks, &ret->cfg, err);
	if (status != MH_OK)
		return status;
	ret->driver = ticket_driver(cfg_getstr(ret->cfg, "driver"));
	ret->title = cfg_getstr(ret->cfg, "title");
	ret->limits = (struct ticket_limits){ cfg_getint(ret->cfg, "high_days"), cfg_getint(ret->cfg, "urgent_days") };

	const char *file = cfg_getstr(ret->cfg, "template");
	if (file[0] == '\0') {
		ret->body_file = "built-in template";
		buf_puts(&ret->body, default_body);
		return buf_ok(&ret->body) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a template");
	}
	ret->body_file = file;
	const enum mh_status read = file_read(AT_FDCWD, file, &ret->body, err);
	return read == MH_SKIP ? mh_fail(err, MH_BAD, "there is no template %s", file) : read;
}

void
ticket_conf_release(struct ticket_conf *c)
{
	drop_own_conf(&c->cfg);
	buf_release(&c->body);
}
