/* conf.c: the ticket action's own file. Which options it may have depends on its driver. */
#include "actions/ticket/conf.h"

#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 64
#define DRIVER_BYTES 64

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

static int
check_size(cfg_t *cfg, cfg_opt_t *opt)
{
	const long kb = cfg_opt_getnint(opt, 0);

	if (kb < 1 || kb > TICKET_MAX_MAIL_KB)
		cfg_error(cfg, "%s must be from 1 to %d", cfg_opt_name(opt), TICKET_MAX_MAIL_KB);
	return 0;
}

static int
check_labels(cfg_t *cfg, cfg_opt_t *opt)
{
	if (cfg_opt_size(opt) > TICKET_MAX_LABELS)
		cfg_error(cfg, "%s: more than %d of them", cfg_opt_name(opt), TICKET_MAX_LABELS);
	return 0;
}

static int
check_fields(cfg_t *cfg, cfg_opt_t *opt)
{
	if (cfg_opt_size(opt) > TICKET_MAX_FIELDS)
		cfg_error(cfg, "%s: more than %d of them", cfg_opt_name(opt), TICKET_MAX_FIELDS);
	return 0;
}

/* The tables that every driver shares, and the driver's own behind them. */
struct tables {
	cfg_opt_t options[MAX_OPTIONS];
	struct own_conf_check checks[MAX_OPTIONS];
	size_t n_options, n_checks;
};

static void
add_options(struct tables *t, const cfg_opt_t *options)
{
	for (; options != NULL && options->name != NULL && t->n_options + 1 < MAX_OPTIONS; options++)
		t->options[t->n_options++] = *options;
}

static void
add_checks(struct tables *t, const struct own_conf_check *checks)
{
	for (; checks != NULL && checks->option != NULL && t->n_checks + 1 < MAX_OPTIONS; checks++)
		t->checks[t->n_checks++] = *checks;
}

static enum mh_status
read_tables(const char *path, const struct ticket_driver *driver, cfg_t **ret, struct mh_err *err)
{
	static const struct own_conf_check common_checks[] = { { "driver", check_driver },
		{ "template", check_absolute }, { "templates", check_absolute }, { "title", check_line_template },
		{ "assignee", check_line_template }, { "high_days", check_days }, { "urgent_days", check_days },
		{ "due_before_days", check_days }, { "attach_max_kb", check_size }, { "labels", check_labels },
		{ "field", check_fields }, { NULL, NULL } };
	static const struct own_conf_check field_checks[] = { { "field|value", check_line_template }, { NULL, NULL } };
	cfg_opt_t priority[] = { OWN_CONF_HEAD, CFG_STR("normal", "", CFGF_NONE), CFG_STR("high", "", CFGF_NONE),
		CFG_STR("urgent", "", CFGF_NONE), CFG_END() };
	cfg_opt_t field[] = { OWN_CONF_HEAD, CFG_STR("value", "", CFGF_NONE), CFG_END() };
	cfg_opt_t account[] = { OWN_CONF_HEAD, CFG_STR("queue", "", CFGF_NONE), CFG_STR("assignee", "", CFGF_NONE),
		CFG_END() };
	cfg_opt_t common[] = {
		OWN_CONF_HEAD,
		CFG_STR("driver", "local", CFGF_NONE),
		CFG_STR("templates", "", CFGF_NONE),
		CFG_STR("title", NULL, CFGF_NONE),
		CFG_STR("template", "", CFGF_NONE),
		CFG_INT("high_days", 30, CFGF_NONE),
		CFG_INT("urgent_days", 7, CFGF_NONE),
		CFG_INT("due_before_days", 0, CFGF_NONE),
		CFG_STR("queue", "", CFGF_NONE),
		CFG_STR("assignee", "{assignee}", CFGF_NONE),
		CFG_STR_LIST("labels", "{\"mailhook\"}", CFGF_NONE),
		CFG_BOOL("attach", cfg_true, CFGF_NONE),
		CFG_INT("attach_max_kb", 1024, CFGF_NONE),
		CFG_SEC("priority", priority, CFGF_NONE),
		CFG_SEC("field", field, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
		CFG_SEC("account", account, CFGF_TITLE | CFGF_MULTI | CFGF_NO_TITLE_DUPES),
		CFG_END(),
	};
	struct tables *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a configuration");
	add_options(t, common);
	add_checks(t, common_checks);
	add_checks(t, field_checks);
	if (driver != NULL) {
		add_options(t, driver->options);
		add_checks(t, driver->checks);
	}
	t->options[t->n_options] = (cfg_opt_t)CFG_END();
	const enum mh_status status = own_conf_read(path, t->options, t->checks, ret, err);
	free(t);
	return status;
}

enum mh_status
ticket_conf_read(const char *path, struct ticket_conf *ret, struct mh_err *err)
{
	char name[DRIVER_BYTES] = "local";

	*ret = (struct ticket_conf){ 0 };
	enum mh_status status = own_conf_peek(path, "driver", name, sizeof(name), err);
	if (status == MH_OK)
		status = read_tables(path, ticket_driver(name), &ret->cfg, err);
	if (status != MH_OK)
		return status;
	cfg_t *cfg = ret->cfg, *priority = cfg_getsec(cfg, "priority");
	ret->driver = ticket_driver(cfg_getstr(cfg, "driver"));
	ret->limits = (struct ticket_limits){ cfg_getint(cfg, "high_days"), cfg_getint(cfg, "urgent_days") };
	ret->due_before_days = cfg_getint(cfg, "due_before_days");
	ret->attach = cfg_getbool(cfg, "attach") == cfg_true;
	ret->attach_max_bytes = (size_t)cfg_getint(cfg, "attach_max_kb") * 1024;
	for (int i = 0; i < 3; i++) {
		const char *own = cfg_getstr(priority, priority_names[i]);

		ret->priorities[i] = own[0] != '\0'                       ? own
				     : ret->driver->priorities[i] != NULL ? ret->driver->priorities[i]
									  : priority_names[i];
	}
	return words_read(cfg_getstr(cfg, "templates"), &ret->words, err);
}

void
ticket_conf_release(struct ticket_conf *c)
{
	drop_own_conf(&c->cfg);
	words_release(&c->words);
}

const char *
ticket_conf_of_account(const struct ticket_conf *c, const char *account, const char *option)
{
	cfg_t *section = account == NULL ? NULL : cfg_gettsec(c->cfg, "account", account);
	const char *own = section == NULL ? "" : cfg_getstr(section, option);

	if (own[0] == '\0')
		own = cfg_getstr(c->cfg, option);
	return own[0] == '\0' ? NULL : own;
}
