/* conf.c: the reply action's own file. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/reply/net.h"
#include "actions/reply/reply.h"

static int
check_transport(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_getstr(opt);

	if (name == NULL || transport_of(name) == NULL)
		cfg_error(cfg, "there is no transport \"%.40s\"", name == NULL ? "" : name);
	return 0;
}

static int
check_addresses(cfg_t *cfg, cfg_opt_t *opt)
{
	const unsigned n = cfg_opt_size(opt);
	char shown[80];

	for (unsigned i = 0; i < n; i++) {
		const struct mh_span address = span_of(cfg_opt_getnstr(opt, i));

		if (!address_valid(address))
			cfg_error(cfg, "%s: no plain mail address: %s", cfg_opt_name(opt),
			    mh_escape(shown, sizeof(shown), address));
	}
	if (n > REPLY_MAX_TO)
		cfg_error(cfg, "%s: more than %d addresses", cfg_opt_name(opt), REPLY_MAX_TO);
	return 0;
}

static bool
read_needs(const char *word, bool *ret_never, enum trust *ret_needs)
{
	*ret_never = word != NULL && strcmp(word, "never") == 0;
	for (int i = 0; word != NULL && i < 3; i++)
		if (strcmp(word, trust_words[i]) == 0) {
			*ret_needs = (enum trust)i;
			return true;
		}
	return *ret_never;
}

static int
check_needs(cfg_t *cfg, cfg_opt_t *opt)
{
	bool never;
	enum trust needs;

	if (!read_needs(cfg_opt_getstr(opt), &never, &needs))
		cfg_error(cfg, "%s must be verified, relayed, unverified or never", cfg_opt_name(opt));
	return 0;
}

/* mailhook@HOST; localhost where the host's name is none that can stand in an address. */
static void
default_from(char *dst, size_t dst_bytes)
{
	char host[200] = "";

	if (gethostname(host, sizeof(host) - 1) != 0)
		host[0] = '\0';
	(void)snprintf(dst, dst_bytes, "mailhook@%s", host);
	if (!address_valid(span_of(dst)))
		(void)snprintf(dst, dst_bytes, "mailhook@localhost");
}

enum mh_status
reply_conf_read(const char *path, struct reply_conf *ret, struct mh_err *err)
{
	static const struct own_conf_check checks[] = { { "transport", check_transport }, { "folder", check_absolute },
		{ "sendmail", check_absolute }, { "template", check_absolute }, { "html_template", check_absolute },
		{ "templates", check_absolute }, { "subject", check_line_template }, { "from", check_addresses },
		{ "to", check_addresses }, { "sender_needs", check_needs }, { "ca_file", check_absolute },
		{ "cert_file", check_absolute }, { "key_file", check_absolute }, { "token", check_absolute },
		SMTP_CHECKS, { NULL, NULL } };
	cfg_opt_t opts[] = {
		OWN_CONF_HEAD,
		CFG_STR("transport", "maildir", CFGF_NONE),
		CFG_STR("folder", "", CFGF_NONE),
		CFG_STR("sendmail", "/usr/sbin/sendmail", CFGF_NONE),
		CFG_STR("from", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("to", "{\"postmaster@localhost\"}", CFGF_NONE),
		CFG_BOOL("to_owner", cfg_false, CFGF_NONE),
		CFG_STR("sender_needs", "relayed", CFGF_NONE),
		CFG_STR("templates", "", CFGF_NONE),
		CFG_STR("subject", NULL, CFGF_NONE),
		CFG_STR("template", "", CFGF_NONE),
		CFG_STR("html_template", "", CFGF_NONE),
		CFG_BOOL("html", cfg_true, CFGF_NONE),
		CFG_BOOL("calendar", cfg_true, CFGF_NONE),
		NET_OPTIONS,
		CFG_END(),
	};

	*ret = (struct reply_conf){ 0 };
	const enum mh_status status = own_conf_read(path, opts, checks, &ret->cfg, err);
	if (status != MH_OK)
		return status;
	ret->transport = transport_of(cfg_getstr(ret->cfg, "transport"));
	ret->html = cfg_getbool(ret->cfg, "html") == cfg_true;
	ret->calendar = cfg_getbool(ret->cfg, "calendar") == cfg_true;
	ret->to_owner = cfg_getbool(ret->cfg, "to_owner") == cfg_true;
	(void)read_needs(cfg_getstr(ret->cfg, "sender_needs"), &ret->sender_never, &ret->sender_needs);

	const char *from = cfg_size(ret->cfg, "from") == 0 ? NULL : cfg_getstr(ret->cfg, "from");
	if (from == NULL)
		default_from(ret->from, sizeof(ret->from));
	else
		(void)snprintf(ret->from, sizeof(ret->from), "%s", from);
	return words_read(cfg_getstr(ret->cfg, "templates"), &ret->words, err);
}

void
reply_conf_release(struct reply_conf *c)
{
	drop_own_conf(&c->cfg);
	words_release(&c->words);
}
