/* conf.c: the reply action's own file. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/common/folder.h"
#include "actions/reply/net.h"
#include "actions/reply/reply.h"

#define BODY_MAX_BYTES ((size_t)64 << 10)

static const char default_subject[] = "[mailhook] {event_short}: {what}{?account} of account {account}{/account}"
				      "{?resource} ({resource}){/resource}"
				      "{?expires_day} expires on {expires_day}{/expires_day}";

static const char default_body[] = "{event_words}\n"
				   "\n"
				   "What:      {what}\n"
				   "{?account}\n"
				   "Account:   {account}{?account_name} ({account_name}){/account_name}\n"
				   "{/account}\n"
				   "{?region}\n"
				   "Region:    {region}\n"
				   "{/region}\n"
				   "{?resource}\n"
				   "Resource:  {resource}\n"
				   "{/resource}\n"
				   "{?expires}\n"
				   "Expires:   {expires}, {due}\n"
				   "Days left: {days_left}\n"
				   "{/expires}\n"
				   "{?reason}\n"
				   "Not read:  {reason}\n"
				   "{/reason}\n"
				   "{?closed_by}\n"
				   "Closed by: {closed_by}\n"
				   "{/closed_by}\n"
				   "{?ticket}\n"
				   "Ticket:    {ticket}\n"
				   "{/ticket}\n"
				   "Trust:     {trust_level}\n"
				   "\n"
				   "{trust}\n"
				   "{?outcomes}\n"
				   "\n"
				   "What was done:\n"
				   "\n"
				   "{outcomes}\n"
				   "{/outcomes}\n"
				   "{?steps}\n"
				   "\n"
				   "What is left to do by hand:\n"
				   "\n"
				   "{steps}\n"
				   "{/steps}\n"
				   "\n"
				   "-- \n"
				   "mailhook wrote this by itself. Case {case|unknown}, key {case_key}.\n";

static int
check_transport(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *name = cfg_opt_getstr(opt);

	if (name == NULL || transport_of(name) == NULL)
		cfg_error(cfg, "there is no transport \"%.40s\"", name == NULL ? "" : name);
	return 0;
}

static int
check_path(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *path = cfg_opt_getstr(opt);

	if (path != NULL && path[0] != '\0' && path[0] != '/')
		cfg_error(cfg, "%s must be an absolute path", cfg_opt_name(opt));
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
	if (n > REPLY_MAX_RECIPIENTS)
		cfg_error(cfg, "%s: more than %d addresses", cfg_opt_name(opt), REPLY_MAX_RECIPIENTS);
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

static enum mh_status
read_body(struct reply_conf *c, struct mh_err *err)
{
	const char *file = cfg_getstr(c->cfg, "template");

	if (file[0] == '\0') {
		c->body_file = "built-in template";
		buf_puts(&c->body, default_body);
		return buf_ok(&c->body) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a template");
	}
	c->body_file = file;
	const enum mh_status status = file_read(AT_FDCWD, file, &c->body, err);
	return status == MH_SKIP ? mh_fail(err, MH_BAD, "there is no template %s", file) : status;
}

enum mh_status
reply_conf_read(const char *path, struct reply_conf *ret, struct mh_err *err)
{
	static const struct own_conf_check checks[] = { { "transport", check_transport }, { "folder", check_path },
		{ "sendmail", check_path }, { "template", check_path }, { "from", check_addresses },
		{ "to", check_addresses }, { "sender_needs", check_needs }, { "ca_file", check_path },
		{ "cert_file", check_path }, { "key_file", check_path }, { "token", check_path }, NET_CHECKS,
		{ NULL, NULL } };
	cfg_opt_t opts[] = {
		OWN_CONF_HEAD,
		CFG_STR("transport", "maildir", CFGF_NONE),
		CFG_STR("folder", "", CFGF_NONE),
		CFG_STR("sendmail", "/usr/sbin/sendmail", CFGF_NONE),
		CFG_STR("from", NULL, CFGF_NODEFAULT),
		CFG_STR_LIST("to", "{\"postmaster@localhost\"}", CFGF_NONE),
		CFG_STR("sender_needs", "relayed", CFGF_NONE),
		CFG_STR("subject", default_subject, CFGF_NONE),
		CFG_STR("template", "", CFGF_NONE),
		NET_OPTIONS,
		CFG_END(),
	};

	*ret = (struct reply_conf){ 0 };
	buf_init(&ret->body, BODY_MAX_BYTES);
	const enum mh_status status = own_conf_read(path, opts, checks, &ret->cfg, err);
	if (status != MH_OK)
		return status;
	ret->transport = transport_of(cfg_getstr(ret->cfg, "transport"));
	ret->subject = cfg_getstr(ret->cfg, "subject");
	(void)read_needs(cfg_getstr(ret->cfg, "sender_needs"), &ret->sender_never, &ret->sender_needs);

	const char *from = cfg_size(ret->cfg, "from") == 0 ? NULL : cfg_getstr(ret->cfg, "from");
	if (from == NULL)
		default_from(ret->from, sizeof(ret->from));
	else
		(void)snprintf(ret->from, sizeof(ret->from), "%s", from);
	return read_body(ret, err);
}

void
reply_conf_release(struct reply_conf *c)
{
	drop_own_conf(&c->cfg);
	buf_release(&c->body);
}
