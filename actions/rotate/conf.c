/* conf.c: the action's own file: where the token lives, how it is made, who uses it, and who is asked. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/common/words.h"
#include "actions/rotate/machine.h"

#define MAX_OPTIONS 24 /* of one side */
#define MAX_SECTIONS 8
#define ACCOUNT_DIGITS 12

static const char *const approval_names[] = { "ask", "auto", "ticket-only" };

/* -- checks of single options -------------------------------------------------------------------------------------- */

static int
check_account(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *s = cfg_opt_getstr(opt);

	if (s == NULL || strlen(s) != ACCOUNT_DIGITS || strspn(s, "0123456789") != ACCOUNT_DIGITS)
		cfg_error(cfg, "account must be 12 digits");
	return 0;
}

static int
check_aws(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *s = cfg_opt_getstr(opt);

	if (s == NULL || aws_side(s) == NULL)
		cfg_error(cfg, "there is no way \"%.40s\" to make tokens", s == NULL ? "" : s);
	return 0;
}

static int
check_idp(cfg_t *cfg, cfg_opt_t *opt)
{
	const char *s = cfg_opt_getstr(opt);

	if (s == NULL || idp_driver(s) == NULL)
		cfg_error(cfg, "there is no identity provider \"%.40s\"", s == NULL ? "" : s);
	return 0;
}

static bool
approval_of(const char *s, enum approval *ret)
{
	for (size_t i = 0; s != NULL && i < sizeof(approval_names) / sizeof(approval_names[0]); i++)
		if (strcmp(s, approval_names[i]) == 0) {
			*ret = (enum approval)i;
			return true;
		}
	return false;
}

static int
check_approval(cfg_t *cfg, cfg_opt_t *opt)
{
	enum approval a;

	if (!approval_of(cfg_opt_getstr(opt), &a))
		cfg_error(cfg, "approval must be ask, auto or ticket-only");
	return 0;
}

static int
check_seconds(cfg_t *cfg, cfg_opt_t *opt)
{
	const long s = cfg_opt_getnint(opt, 0);

	if (s < 1 || s > 30 * MH_DAY_S)
		cfg_error(cfg, "%s must be from 1 to 2592000 seconds", cfg_opt_name(opt));
	return 0;
}

/* -- the endpoint -------------------------------------------------------------------------------------------------- */

static enum mh_status
put(char *dst, size_t dst_bytes, struct mh_span s, const char *what, struct mh_err *err)
{
	if (s.n >= dst_bytes)
		return mh_fail(err, MH_BAD, "%s is longer than %zu bytes", what, dst_bytes - 1);
	memcpy(dst, s.p, s.n);
	dst[s.n] = '\0';
	return MH_OK;
}

/* scim.REGION.amazonaws.com, or .com.cn; MH_NONE: another host. */
static struct mh_span
region_of(const char *host)
{
	struct mh_span s = span_of(host);
	const size_t end = span_find(s, MH_LIT(".amazonaws.com"), 0);

	if (!span_starts(s, MH_LIT("scim.")) || end == SIZE_MAX || end <= 5)
		return MH_NONE;
	return span_from(span_head(s, end), 5);
}

/* https://scim.REGION.amazonaws.com/TENANT/scim/v2/: the path's first segment is the tenant. */
static enum mh_status
read_endpoint(const char *url, struct place *p, struct mh_err *err)
{
	struct wire_url parts = { 0 };
	enum mh_status status = wire_url_read(url, &parts, err);

	if (status != MH_OK)
		return status;
	const struct mh_span region = region_of(parts.host);
	struct mh_span path = span_of(url);
	path = span_from(path, span_find(path, MH_LIT("://"), 0) + 3);
	const size_t slash = span_find(path, MH_LIT("/"), 0);
	path = slash == SIZE_MAX ? MH_LIT("") : span_from(path, slash + 1);
	const struct mh_span tenant = span_head(path, span_find(path, MH_LIT("/"), 0));
	const struct mh_span rest = span_from(path, tenant.n);
	if (tenant.n == 0 || !(span_eq(rest, MH_LIT("/scim/v2/")) || span_eq(rest, MH_LIT("/scim/v2"))))
		status = mh_fail(err, MH_BAD, "scim_endpoint is not https://HOST/TENANT/scim/v2/");
	if (status == MH_OK)
		status = put(p->tenant, sizeof(p->tenant), tenant, "the tenant of scim_endpoint", err);
	if (status == MH_OK && region.p != NULL && p->region[0] != '\0' && !span_eq(region, span_of(p->region)))
		status = mh_fail(err, MH_BAD, "region is \"%.20s\", but scim_endpoint is in another", p->region);
	if (status == MH_OK && region.p != NULL)
		status = put(p->region, sizeof(p->region), region, "the region of scim_endpoint", err);
	if (status == MH_OK && strlen(url) + 2 > sizeof(p->endpoint))
		status = mh_fail(err, MH_BAD, "scim_endpoint is too long");
	if (status == MH_OK)
		(void)snprintf(p->endpoint, sizeof(p->endpoint), "%s%s", url, url[strlen(url) - 1] == '/' ? "" : "/");
	wire_url_release(&parts);
	return status;
}

static enum mh_status
read_place(cfg_t *cfg, struct place *p, struct mh_err *err)
{
	const char *endpoint = cfg_getstr(cfg, "scim_endpoint");
	enum mh_status status =
	    put(p->account, sizeof(p->account), span_of(cfg_getstr(cfg, "account")), "account", err);

	if (status == MH_OK && p->account[0] == '\0')
		status = mh_fail(err, MH_BAD, "account is missing: the account whose tokens these are");
	if (status == MH_OK)
		status = put(p->region, sizeof(p->region), span_of(cfg_getstr(cfg, "region")), "region", err);
	if (status == MH_OK)
		status =
		    put(p->store, sizeof(p->store), span_of(cfg_getstr(cfg, "identity_store")), "identity_store", err);
	if (status == MH_OK && endpoint[0] == '\0')
		status = mh_fail(err, MH_BAD, "scim_endpoint is missing: Settings, Automatic provisioning shows it");
	return status == MH_OK ? read_endpoint(endpoint, p, err) : status;
}

/* -- sections of the sides ----------------------------------------------------------------------------------------- */

/* libconfuse copies what it is given, so the tables need not last. */
static void
fill_options(const struct side_option *from, cfg_opt_t opts[MAX_OPTIONS + 1])
{
	const cfg_opt_t end = CFG_END();
	size_t n = 0;

	for (; from != NULL && from->name != NULL && n < MAX_OPTIONS; from++) {
		const cfg_opt_t text = CFG_STR(from->name, from->text == NULL ? "" : (char *)from->text, CFGF_NONE),
				list = CFG_STR_LIST(from->name, NULL, CFGF_NONE),
				flag = CFG_BOOL(from->name, from->number != 0 ? cfg_true : cfg_false, CFGF_NONE),
				number = CFG_INT(from->name, from->number, CFGF_NONE);
		switch (from->type) {
		case SIDE_TEXT:
			opts[n++] = text;
			break;
		case SIDE_LIST:
			opts[n++] = list;
			break;
		case SIDE_FLAG:
			opts[n++] = flag;
			break;
		case SIDE_NUMBER:
			opts[n++] = number;
			break;
		}
	}
	opts[n] = end;
}

struct sections {
	cfg_opt_t options[MAX_SECTIONS][MAX_OPTIONS + 1];
	cfg_opt_t *at; /* where the next section goes */
	size_t n;
};

static void
add_section(struct sections *s, const char *name, const struct side_option *options)
{
	if (name == NULL || s->n == MAX_SECTIONS)
		return;
	fill_options(options, s->options[s->n]);
	const cfg_opt_t section = CFG_SEC(name, s->options[s->n], CFGF_NONE);
	*s->at++ = section;
	s->n++;
}

static enum mh_status
read_file(const char *path, cfg_t **ret, struct mh_err *err)
{
	static const struct own_conf_check checks[] = { { "account", check_account }, { "aws", check_aws },
		{ "idp", check_idp }, { "approval", check_approval }, { "soak_s", check_seconds },
		{ "timeout_s", check_seconds }, { "ca_file", check_absolute }, { NULL, NULL } };
	const cfg_opt_t end = CFG_END();
	cfg_opt_t opts[16 + MAX_SECTIONS + 1] = {
		OWN_CONF_HEAD,
		CFG_STR("account", "", CFGF_NONE),
		CFG_STR("region", "", CFGF_NONE),
		CFG_STR("scim_endpoint", "", CFGF_NONE),
		CFG_STR("identity_store", "", CFGF_NONE),
		CFG_STR("aws", "handover", CFGF_NONE),
		CFG_STR("idp", "entra", CFGF_NONE),
		CFG_STR("approval", "ask", CFGF_NONE),
		CFG_STR("key_file", "", CFGF_NONE),
		CFG_STR_LIST("lost_keys", NULL, CFGF_NONE),
		CFG_BOOL("delete_orphan", cfg_false, CFGF_NONE),
		CFG_INT("soak_s", 7200, CFGF_NONE),
		CFG_INT("timeout_s", 15, CFGF_NONE),
		CFG_STR("ca_file", "", CFGF_NONE),
		CFG_STR("proxy", "", CFGF_NONE),
	};
	struct sections s = { .at = opts + 15 };

	for (size_t i = 0; aws_side_nth(i) != NULL; i++)
		add_section(&s, aws_side_nth(i)->section, aws_side_nth(i)->options);
	for (size_t i = 0; idp_driver_nth(i) != NULL; i++)
		add_section(&s, idp_driver_nth(i)->section, idp_driver_nth(i)->options);
	*s.at = end;
	return own_conf_read(path, opts, checks, ret, err);
}

enum mh_status
rotate_conf_read(const char *path, struct rotate_conf *ret, struct mh_err *err)
{
	*ret = (struct rotate_conf){ 0 };
	enum mh_status status = read_file(path, &ret->cfg, err);

	if (status == MH_OK)
		status = read_place(ret->cfg, &ret->place, err);
	if (status != MH_OK && path != NULL && access(path, F_OK) != 0 && errno == ENOENT)
		return mh_absent(err, mh_fail(err, MH_BAD, "%.140s: there is no such file", path));
	if (status != MH_OK)
		return status;
	cfg_t *cfg = ret->cfg;
	ret->aws = aws_side(cfg_getstr(cfg, "aws"));
	ret->idp = idp_driver(cfg_getstr(cfg, "idp"));
	ret->key_file = own_conf_text(cfg, "key_file");
	ret->delete_orphan = cfg_getbool(cfg, "delete_orphan") == cfg_true;
	ret->soak_s = cfg_getint(cfg, "soak_s");
	ret->wire = (struct wire){ .ca_file = own_conf_text(cfg, "ca_file"),
		.proxy = own_conf_text(cfg, "proxy"),
		.total_ms = cfg_getint(cfg, "timeout_s") * 1000L };
	if (!approval_of(cfg_getstr(cfg, "approval"), &ret->approval) || ret->aws == NULL || ret->idp == NULL)
		return mh_fail(err, MH_BAD, "approval, aws or idp is none of those that there are");
	if (ret->key_file == NULL)
		return mh_fail(
		    err, MH_BAD, "key_file is missing: the new token is sealed by it (openssl rand -hex 32)");
	return MH_OK;
}

void
rotate_conf_release(struct rotate_conf *c)
{
	drop_own_conf(&c->cfg);
}

bool
rotate_conf_lost_key(const struct rotate_conf *c, const char *id)
{
	for (unsigned i = 0; i < cfg_size(c->cfg, "lost_keys"); i++)
		if (strcmp(cfg_getnstr(c->cfg, "lost_keys", i), id) == 0)
			return true;
	return false;
}

cfg_t *
rotate_conf_section(const struct rotate_conf *c, const char *section)
{
	return section == NULL ? c->cfg : cfg_getsec(c->cfg, section);
}
