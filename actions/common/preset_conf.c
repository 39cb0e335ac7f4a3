/* preset_conf.c: the options that all actions with presets have. */
#include <stdlib.h>
#include <string.h>

#include "actions/common/preset_impl.h"
#include "actions/token/token.h"

#define MAX_NAME_BYTES 64

/* -- checks ------------------------------------------------------------------------------------------------------- */

static size_t
name_length(const char *pair)
{
	const char *equals = strchr(pair, '=');

	return equals == NULL ? 0 : (size_t)(equals - pair);
}

int
preset_check_pairs(cfg_t *cfg, cfg_opt_t *opt)
{
	for (unsigned i = 0; i < cfg_opt_size(opt); i++) {
		const size_t n = name_length(cfg_opt_getnstr(opt, i));

		if (n == 0 || n >= MAX_NAME_BYTES)
			cfg_error(cfg, "%s: each is \"NAME=VALUE\"", cfg_opt_name(opt));
	}
	if (cfg_opt_size(opt) > PRESET_MAX_PAIRS)
		cfg_error(cfg, "%s: more than %d", cfg_opt_name(opt), PRESET_MAX_PAIRS);
	return 0;
}

int
preset_check_timeout(cfg_t *cfg, cfg_opt_t *opt)
{
	const long n = cfg_opt_getnint(opt, 0);

	if (n < 1 || n > 900)
		cfg_error(cfg, "%s must be 1 to 900", cfg_opt_name(opt));
	return 0;
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

/* Names are copied, for a template's names end with their NUL; values stand behind the '='. */
static enum mh_status
read_pairs(cfg_t *cfg, const char *key, struct template_var **ret, size_t *ret_n, struct mh_err *err)
{
	const unsigned n = cfg_size(cfg, key);
	struct template_var *pairs = calloc(n + 1, sizeof(*pairs));

	if (pairs == NULL)
		return mh_fail(err, MH_RETRY, "no memory for %s", key);
	*ret = pairs;
	for (unsigned i = 0; i < n; i++) {
		const char *text = cfg_getnstr(cfg, key, i);
		const size_t length = name_length(text);

		pairs[i] = (struct template_var){ strndup(text, length), span_of(text + length + 1), LINES_ONE };
		*ret_n = i + 1;
		if (pairs[i].name == NULL)
			return mh_fail(err, MH_RETRY, "no memory for %s", key);
	}
	return MH_OK;
}

static void
release_pairs(struct template_var *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free((void *)(uintptr_t)pairs[i].name);
	free(pairs);
}

static enum mh_status
read_secret(cfg_t *cfg, int64_t now, struct preset_settings *s, struct mh_err *err)
{
	const char *file = own_conf_text(cfg, "secret_file"), *token = own_conf_text(cfg, "token");
	const char *command[OWN_CONF_MAX_WORDS + 1];
	const unsigned n = own_conf_command(cfg, "secret_command", command);

	if ((file != NULL) + (token != NULL) + (n > 0) > 1)
		return mh_fail(err, MH_BAD, "one of secret_file, secret_command and token");
	s->token = token;
	if (file != NULL)
		return secret_from_file(file, &s->secret, err);
	if (n > 0)
		return secret_from_command(command, (int)s->wire.total_ms, &s->secret, err);
	return token == NULL ? MH_OK : token_get(token, false, now, &s->secret, &s->retry_after_s, err);
}

enum mh_status
preset_settings_read(cfg_t *cfg, int64_t deadline_ms, int64_t now, struct preset_settings *ret, struct mh_err *err)
{
	*ret = (struct preset_settings){
		.url = own_conf_text(cfg, "url"), .user = own_conf_text(cfg, "user"), .retry_after_s = -1
	};
	wire_conf_read(cfg, deadline_ms, &ret->wire);
	enum mh_status status = read_pairs(cfg, "settings", &ret->settings, &ret->n_settings, err);
	if (status == MH_OK)
		status = read_pairs(cfg, "values", &ret->pairs, &ret->n_pairs, err);
	return status == MH_OK ? read_secret(cfg, now, ret, err) : status;
}

void
preset_settings_release(struct preset_settings *s)
{
	release_pairs(s->settings, s->n_settings);
	release_pairs(s->pairs, s->n_pairs);
	secret_release(&s->secret);
}
