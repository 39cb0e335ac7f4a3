/* aws_chain.c: where credentials come from, in botocore's order. Source: botocore's create_credential_resolver. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actions/common/aws_impl.h"
#include "actions/common/folder.h"
#include "actions/common/own_conf.h"

#define MAX_FILE_BYTES ((size_t)256 << 10)
#define MAX_SOURCES 5 /* profiles that lead to one another */
#define ACCOUNT_DIGITS 12
#define NAME_BYTES 128

struct files { /* the shared ones */
	struct buf config, credentials;
	char config_path[4096], credentials_path[4096];
	char profile[NAME_BYTES];
	bool named; /* the profile was named, not taken for want of a name */
};

static const char *
env(const char *name)
{
	const char *value = getenv(name);

	return value == NULL || value[0] == '\0' ? NULL : value;
}

/* -- configuration ------------------------------------------------------------------------------------------------- */

static bool
is_account(const char *s)
{
	return strlen(s) == ACCOUNT_DIGITS && strspn(s, "0123456789") == ACCOUNT_DIGITS;
}

static bool
is_region(const char *s)
{
	return s[0] != '\0' && strlen(s) < AWS_NAME_BYTES &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

enum mh_status
aws_conf_read(cfg_t *section, const struct wire *wire, struct aws_conf *ret, struct mh_err *err)
{
	*ret = (struct aws_conf){ .region = own_conf_text(section, "region"),
		.profile = own_conf_text(section, "profile"),
		.config_file = own_conf_text(section, "config_file"),
		.credentials_file = own_conf_text(section, "credentials_file"),
		.role = own_conf_text(section, "role"),
		.external_id = own_conf_text(section, "external_id"),
		.session_name = own_conf_text(section, "session_name"),
		.endpoint = own_conf_text(section, "endpoint"),
		.n_accounts = cfg_size(section, "accounts"),
		.wire = *wire };
	if (ret->n_accounts > AWS_MAX_ACCOUNTS)
		return mh_fail(err, MH_BAD, "accounts: more than %d", AWS_MAX_ACCOUNTS);
	for (unsigned i = 0; i < ret->n_accounts; i++) {
		ret->accounts[i] = cfg_getnstr(section, "accounts", i);
		if (!is_account(ret->accounts[i]))
			return mh_fail(err, MH_BAD, "accounts: \"%.20s\" is not 12 digits", ret->accounts[i]);
	}
	if (ret->region != NULL && !is_region(ret->region))
		return mh_fail(err, MH_BAD, "region: \"%.40s\" is none of AWS's", ret->region);
	if (ret->role != NULL && strncmp(ret->role, "arn:", 4) != 0)
		return mh_fail(err, MH_BAD, "role: \"%.60s\" is no ARN", ret->role);
	if (ret->role != NULL && strstr(ret->role, "{account}") != NULL && ret->n_accounts == 0)
		return mh_fail(err, MH_BAD, "role: with {account} in it, accounts = {...} says whose may be assumed");
	return MH_OK;
}

void
aws_init(struct aws *s, const struct aws_conf *conf, const char *account, int64_t now)
{
	*s = (struct aws){ .conf = conf, .account = account, .now = now, .retry_after_s = -1 };
}

void
aws_release(struct aws *s)
{
	aws_keys_release(&s->keys);
}

/* -- the shared files ---------------------------------------------------------------------------------------------- */

static enum mh_status
read_one(const char *configured, const char *variable, const char *name, char path[4096], struct buf *out,
    struct mh_err *err)
{
	const char *home = env("HOME"), *given = configured != NULL ? configured : env(variable);
	enum mh_status status;

	if (given == NULL && home == NULL)
		return MH_OK;
	if ((size_t)(given != NULL ? snprintf(path, 4096, "%s", given)
				   : snprintf(path, 4096, "%s/.aws/%s", home, name)) >= 4096)
		return mh_fail(err, MH_BAD, "the path of AWS's %s file is too long", name);
	status = file_read(AT_FDCWD, path, out, err);
	if (status == MH_SKIP)
		return configured == NULL ? MH_OK : mh_fail(err, MH_BAD, "%s: there is no such file", path);
	return status;
}

static enum mh_status
read_files(const struct aws_conf *c, struct files *f, struct mh_err *err)
{
	const char *name = c->profile != NULL           ? c->profile
			   : env("AWS_PROFILE") != NULL ? env("AWS_PROFILE")
							: env("AWS_DEFAULT_PROFILE");

	buf_init(&f->config, MAX_FILE_BYTES);
	buf_init(&f->credentials, MAX_FILE_BYTES);
	f->named = name != NULL;
	if ((size_t)snprintf(f->profile, sizeof(f->profile), "%s", name == NULL ? "default" : name) >=
	    sizeof(f->profile))
		return mh_fail(err, MH_BAD, "a profile's name is too long");
	enum mh_status status = read_one(c->config_file, "AWS_CONFIG_FILE", "config", f->config_path, &f->config, err);
	if (status == MH_OK)
		status = read_one(c->credentials_file, "AWS_SHARED_CREDENTIALS_FILE", "credentials",
		    f->credentials_path, &f->credentials, err);
	return status;
}

static void
release_files(struct files *f)
{
	secret_buf_release(&f->config);
	secret_buf_release(&f->credentials);
}

/* "default" needs no word before it in the config file, and may have it. */
static struct mh_span
in_config(const struct files *f, const char *profile, const char *key)
{
	char section[NAME_BYTES + 16];
	struct mh_span value;

	(void)snprintf(section, sizeof(section), "profile %s", profile);
	value = aws_ini_get(buf_span(&f->config), section, key);
	return value.p == NULL && strcmp(profile, "default") == 0 ? aws_ini_get(buf_span(&f->config), profile, key)
								  : value;
}

/* Both files make one profile; the credentials file wins. */
static struct mh_span
of_profile(const struct files *f, const char *profile, const char *key)
{
	const struct mh_span value = aws_ini_get(buf_span(&f->credentials), profile, key);

	return value.p != NULL ? value : in_config(f, profile, key);
}

static bool
has_profile(const struct files *f, const char *profile)
{
	char section[NAME_BYTES + 16];

	(void)snprintf(section, sizeof(section), "profile %s", profile);
	return aws_ini_has(buf_span(&f->credentials), profile) || aws_ini_has(buf_span(&f->config), section) ||
	       (strcmp(profile, "default") == 0 && aws_ini_has(buf_span(&f->config), profile));
}

/* -- Region -------------------------------------------------------------------------------------------------------- */

static enum mh_status
set_region(struct aws *s, struct mh_span region)
{
	if (region.n == 0 || region.n >= sizeof(s->region))
		return MH_BAD;
	memcpy(s->region, region.p, region.n);
	s->region[region.n] = '\0';
	return is_region(s->region) ? MH_OK : MH_BAD;
}

static enum mh_status
find_region(struct aws *s, const struct files *f, struct mh_err *err)
{
	const struct mh_span all[] = { span_of(s->conf->region), span_of(env("AWS_REGION")),
		span_of(env("AWS_DEFAULT_REGION")), of_profile(f, f->profile, "region") };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		if (all[i].n > 0) {
			if (set_region(s, all[i]) == MH_OK)
				return MH_OK;
			s->region[0] = '\0';
			return mh_fail(err, MH_BAD, "the Region that is set is none of AWS's");
		}
	return mh_fail(err, MH_BAD, "no Region of AWS is set: region, AWS_REGION, or a profile's");
}

enum mh_status
aws_find_region(struct aws *s, struct mh_err *err)
{
	MH_AUTO(release_files) struct files f = { .named = false };

	if (s->region[0] != '\0')
		return MH_OK;
	const enum mh_status status = read_files(s->conf, &f, err);
	return status == MH_OK ? find_region(s, &f, err) : status;
}

/* -- the environment ------------------------------------------------------------------------------------------------ */

static enum mh_status
from_environment(struct aws_keys *ret, struct mh_err *err)
{
	const char *id = env("AWS_ACCESS_KEY_ID"), *secret = env("AWS_SECRET_ACCESS_KEY");
	const char *token = env("AWS_SESSION_TOKEN"), *expires = env("AWS_CREDENTIAL_EXPIRATION");

	if (id == NULL)
		return MH_SKIP;
	if (secret == NULL)
		return mh_fail(err, MH_BAD, "AWS_ACCESS_KEY_ID is set, and AWS_SECRET_ACCESS_KEY is not");
	const enum mh_status status = aws_keys_set(span_of(id), span_of(secret),
	    span_of(token != NULL ? token : env("AWS_SECURITY_TOKEN")), "the environment", ret, err);
	if (status == MH_OK && expires != NULL && aws_time(span_of(expires), &ret->expires, NULL) != MH_OK) {
		aws_keys_release(ret);
		return mh_fail(err, MH_BAD, "AWS_CREDENTIAL_EXPIRATION is no time");
	}
	return status;
}

static enum mh_status
web_identity_of_environment(struct aws *s, struct aws_keys *ret, struct mh_err *err)
{
	const struct aws_role role = { .arn = span_of(env("AWS_ROLE_ARN")),
		.session_name = span_of(env("AWS_ROLE_SESSION_NAME")),
		.token_file = span_of(env("AWS_WEB_IDENTITY_TOKEN_FILE")) };

	if (role.token_file.p == NULL)
		return MH_SKIP;
	if (role.arn.p == NULL)
		return mh_fail(err, MH_BAD, "AWS_WEB_IDENTITY_TOKEN_FILE is set, and AWS_ROLE_ARN is not");
	return aws_assume_web(s, &role, ret, err);
}

/* -- profiles -------------------------------------------------------------------------------------------------------- */

static enum mh_status from_profile(struct aws *s, const struct files *f, const char *profile, int depth, bool own_role,
    struct aws_keys *ret, struct mh_err *err);

static enum mh_status
named_source(struct aws *s, struct mh_span source, struct aws_keys *ret, struct mh_err *err)
{
	enum mh_status status = MH_SKIP;

	if (span_eq(source, MH_LIT("Environment")))
		status = from_environment(ret, err);
	else if (span_eq(source, MH_LIT("Ec2InstanceMetadata")))
		status = aws_from_ec2(s, ret, err);
	else if (span_eq(source, MH_LIT("EcsContainer")))
		status = aws_from_container(s, ret, err);
	else
		return mh_fail(err, MH_BAD, "credential_source is Environment, Ec2InstanceMetadata or EcsContainer");
	return status == MH_SKIP ? mh_fail(err, MH_BAD, "credential_source: nothing is there") : status;
}

static enum mh_status
role_of_profile(
    struct aws *s, const struct files *f, const char *profile, int depth, struct aws_keys *ret, struct mh_err *err)
{
	const struct mh_span source = of_profile(f, profile, "source_profile"),
			     kind = of_profile(f, profile, "credential_source");
	const struct aws_role role = { .arn = of_profile(f, profile, "role_arn"),
		.external_id = of_profile(f, profile, "external_id"),
		.session_name = of_profile(f, profile, "role_session_name"),
		.duration_s = of_profile(f, profile, "duration_seconds") };
	MH_AUTO(aws_keys_release) struct aws_keys base = { .expires = 0 };
	char next[NAME_BYTES];
	enum mh_status status = MH_OK;

	if ((source.p == NULL) == (kind.p == NULL))
		return mh_fail(
		    err, MH_BAD, "profile %.40s: role_arn needs source_profile or credential_source", profile);
	if (of_profile(f, profile, "mfa_serial").p != NULL)
		return mh_fail(err, MH_BAD, "profile %.40s: nobody is there to type the code of mfa_serial", profile);
	if (kind.p != NULL) {
		status = named_source(s, kind, &base, err);
	} else {
		if (source.n >= sizeof(next))
			return mh_fail(err, MH_BAD, "a profile's name is too long");
		memcpy(next, source.p, source.n);
		next[source.n] = '\0';
		if (depth == MAX_SOURCES)
			return mh_fail(err, MH_BAD, "profile %.40s: source_profile leads in a circle", profile);
		if (!has_profile(f, next))
			return mh_fail(err, MH_BAD, "profile %.40s: its source_profile is not there", profile);
		/* its own name means its own keys */
		status = from_profile(s, f, next, depth + 1, strcmp(next, profile) != 0, &base, err);
	}
	if (status == MH_SKIP)
		return mh_fail(err, MH_BAD, "profile %.40s: its source_profile has no credentials", profile);
	return status == MH_OK ? aws_assume(s, &base, &role, ret, err) : status;
}

static enum mh_status
static_keys(struct mh_span text, const char *section, const char *path, const char *profile, struct aws_keys *ret,
    struct mh_err *err)
{
	const struct mh_span id = aws_ini_get(text, section, "aws_access_key_id"),
			     secret = aws_ini_get(text, section, "aws_secret_access_key");
	char source[NAME_BYTES + 16];

	if (id.p == NULL)
		return MH_SKIP;
	if (secret.p == NULL)
		return mh_fail(err, MH_BAD, "profile %.40s: a key id without its secret", profile);
	if (secret_check_file(path, err) != MH_OK)
		return MH_BAD;
	(void)snprintf(source, sizeof(source), "profile %.60s", profile);
	return aws_keys_set(id, secret, aws_ini_get(text, section, "aws_session_token"), source, ret, err);
}

static enum mh_status
keys_of_profile(const struct files *f, const char *profile, struct aws_keys *ret, struct mh_err *err)
{
	char section[NAME_BYTES + 16];
	const struct mh_span command = of_profile(f, profile, "credential_process");
	enum mh_status status = static_keys(buf_span(&f->credentials), profile, f->credentials_path, profile, ret, err);

	if (status != MH_SKIP)
		return status;
	if (command.p != NULL)
		return aws_from_process(command, ret, err);
	(void)snprintf(section, sizeof(section), "profile %s", profile);
	status = static_keys(buf_span(&f->config), section, f->config_path, profile, ret, err);
	if (status == MH_SKIP && strcmp(profile, "default") == 0)
		status = static_keys(buf_span(&f->config), profile, f->config_path, profile, ret, err);
	return status;
}

/* own_role: its role_arn counts; not where it is its own source. */
static enum mh_status
from_profile(struct aws *s, const struct files *f, const char *profile, int depth, bool own_role, struct aws_keys *ret,
    struct mh_err *err)
{
	const struct aws_role web = { .arn = of_profile(f, profile, "role_arn"),
		.session_name = of_profile(f, profile, "role_session_name"),
		.token_file = of_profile(f, profile, "web_identity_token_file") };

	if (own_role && web.arn.p != NULL)
		return web.token_file.p != NULL ? aws_assume_web(s, &web, ret, err)
						: role_of_profile(s, f, profile, depth, ret, err);
	const enum mh_status status = keys_of_profile(f, profile, ret, err);
	if (status == MH_SKIP &&
	    (of_profile(f, profile, "sso_session").p != NULL || of_profile(f, profile, "sso_start_url").p != NULL ||
		of_profile(f, profile, "login_session").p != NULL))
		return mh_fail(err, MH_BAD,
		    "profile %.40s: a login is not for a service; credential_process can ask the AWS CLI", profile);
	return status;
}

/* -- the chain ------------------------------------------------------------------------------------------------------- */

static enum mh_status
chain(struct aws *s, const struct files *f, struct aws_keys *ret, struct mh_err *err)
{
	enum mh_status status = MH_SKIP;
	bool named_here = s->conf->profile != NULL; /* by the action's own file: the environment is not asked */

	if (!named_here)
		status = from_environment(ret, err);
	if (status != MH_SKIP)
		return status;
	if (f->named && !has_profile(f, f->profile))
		return mh_absent(err, mh_fail(err, MH_BAD, "there is no profile %.60s in AWS's files", f->profile));
	if (of_profile(f, f->profile, "role_arn").p == NULL && !named_here) {
		status = web_identity_of_environment(s, ret, err);
		if (status != MH_SKIP)
			return status;
	}
	status = from_profile(s, f, f->profile, 1, true, ret, err);
	if (status == MH_SKIP)
		status = aws_from_container(s, ret, err);
	if (status == MH_SKIP)
		status = aws_from_ec2(s, ret, err);
	if (status != MH_SKIP)
		return status;
	return mh_absent(err,
	    mh_fail(err, MH_BAD, "no credentials of AWS: not in the environment, the shared files, a container, EC2"));
}

/* The account comes from a mail: its role is assumed only where the configuration lists it. */
static enum mh_status
fill_role(const struct aws *s, struct buf *arn, struct mh_err *err)
{
	const struct mh_span role = span_of(s->conf->role);
	const size_t at = span_find(role, MH_LIT("{account}"), 0);
	bool listed = false;

	if (at == SIZE_MAX) {
		buf_put(arn, role);
		return MH_OK;
	}
	for (size_t i = 0; s->account != NULL && i < s->conf->n_accounts; i++)
		listed = listed || strcmp(s->conf->accounts[i], s->account) == 0;
	if (!listed)
		return mh_fail(err, MH_BAD, "account %.20s is not among accounts = {...}: its role is not assumed",
		    s->account == NULL || !is_account(s->account) ? "of the notice" : s->account);
	buf_put(arn, span_head(role, at));
	buf_puts(arn, s->account);
	buf_put(arn, span_from(role, at + 9));
	return buf_ok(arn) ? MH_OK : mh_fail(err, MH_BAD, "role: too long");
}

static enum mh_status
assume_own(struct aws *s, const struct aws_keys *base, struct aws_keys *ret, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf arn;
	buf_init(&arn, 2048);
	enum mh_status status = fill_role(s, &arn, err);
	if (status != MH_OK)
		return status;
	const struct aws_role role = { .arn = buf_span(&arn),
		.external_id = span_of(s->conf->external_id),
		.session_name = span_of(s->conf->session_name) };
	return aws_assume(s, base, &role, ret, err);
}

static bool
lasts(const struct aws *s)
{
	return s->keys.key_id.p != NULL && (s->keys.expires == 0 || s->keys.expires - s->now >= AWS_MANDATORY_S);
}

enum mh_status
aws_sign_in(struct aws *s, bool fresh, struct mh_err *err)
{
	MH_AUTO(release_files) struct files f = { .named = false };
	MH_AUTO(aws_keys_release) struct aws_keys keys = { .expires = 0 };
	MH_AUTO(aws_keys_release) struct aws_keys assumed = { .expires = 0 };

	if (!fresh && lasts(s))
		return MH_OK;
	enum mh_status status = read_files(s->conf, &f, err);
	if (status == MH_OK && s->region[0] == '\0')
		status = find_region(s, &f, err);
	if (status == MH_OK)
		status = chain(s, &f, &keys, err);
	if (status == MH_OK && keys.expires != 0 && keys.expires <= s->now)
		status = mh_fail(err, MH_RETRY, "the credentials of %s have ended", keys.source);
	if (status == MH_OK && s->conf->role != NULL)
		status = assume_own(s, &keys, &assumed, err);
	if (status != MH_OK)
		return status;
	aws_keys_release(&s->keys);
	if (s->conf->role != NULL) {
		s->keys = assumed;
		assumed = (struct aws_keys){ .expires = 0 };
	} else {
		s->keys = keys;
		keys = (struct aws_keys){ .expires = 0 };
	}
	return MH_OK;
}
