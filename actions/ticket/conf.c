/* conf.c: driver, texts and thresholds of the ticket action. */
#include "actions/ticket/conf.h"

static const char default_title[] = "{what}{?account} of account {account}{/account}{?resource} ({resource}){/resource}"
				    "{?expires_day} expires on {expires_day}{/expires_day}";

static const char default_body[] = "{?drill_words}\n"
				   "{drill_words}\n"
				   "\n"
				   "{/drill_words}\n"
				   "What expires:  {what}\n"
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
static const char default_comment[] = "{event_words}{?steps}{?due} It expires {due}.{/due}{/steps}\n"
				      "{?closed_by}\n"
				      "Closed by {closed_by}.\n"
				      "{/closed_by}\n"
				      "{?outcomes}\n"
				      "{outcomes}\n"
				      "{/outcomes}\n";

static const char default_trusted[] = "{event_words}\n"
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
	static const struct own_conf_check checks[] = { { "driver", check_driver }, { "folder", check_absolute },
		{ "template", check_absolute }, { "templates", check_absolute }, { "title", check_line_template },
		{ "high_days", check_days }, { "urgent_days", check_days }, { NULL, NULL } };
	cfg_opt_t opts[] = {
		OWN_CONF_HEAD,
		CFG_STR("driver", "local", CFGF_NONE),
		CFG_STR("folder", "", CFGF_NONE),
		CFG_STR("templates", "", CFGF_NONE),
		CFG_STR("title", NULL, CFGF_NONE),
		CFG_STR("template", "", CFGF_NONE),
		CFG_INT("high_days", 30, CFGF_NONE),
		CFG_INT("urgent_days", 7, CFGF_NONE),
		CFG_END(),
	};

	*ret = (struct ticket_conf){ 0 };
	const enum mh_status status = own_conf_read(path, opts, checks, &ret->cfg, err);
	if (status != MH_OK)
		return status;
	ret->driver = ticket_driver(cfg_getstr(ret->cfg, "driver"));
	ret->limits = (struct ticket_limits){ cfg_getint(ret->cfg, "high_days"), cfg_getint(ret->cfg, "urgent_days") };
	return words_read(cfg_getstr(ret->cfg, "templates"), &ret->words, err);
}

void
ticket_conf_release(struct ticket_conf *c)
{
	drop_own_conf(&c->cfg);
	words_release(&c->words);
}

enum mh_status
ticket_texts_read(const struct ticket_conf *c, enum case_event event, struct ticket_texts *ret, struct mh_err *err)
{
	const struct text_place place = { cfg_getstr(c->cfg, "templates"), event_names[event] };
	const char *title = cfg_getstr(c->cfg, "title");

	*ret = (struct ticket_texts){ 0 };
	enum mh_status status = text_read_line(
	    &place, title, title != NULL ? "title" : "ticket-title.txt", default_title, &ret->title, err);
	if (status == MH_OK)
		status = text_read(&place, cfg_getstr(c->cfg, "template"), "ticket.txt", default_body, &ret->body, err);
	if (status == MH_OK)
		status = text_read(&place, "", "ticket-comment.txt",
		    event == EVENT_TRUSTED ? default_trusted : default_comment, &ret->comment, err);
	return status;
}

void
ticket_texts_release(struct ticket_texts *t)
{
	text_release(&t->title);
	text_release(&t->body);
	text_release(&t->comment);
}
