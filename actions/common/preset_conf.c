/* preset_conf.c: the options that all actions with presets have. */
#include <stdlib.h>
#include <string.h>

#include "actions/common/preset_impl.h"
#include "actions/token/token.h"
#include "mailhook/clock.h"

#define SPARE_MS 2000 /* to say what came of it, before the action is killed */
#define MAX_WORDS 16
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

int
preset_check_command(cfg_t *cfg, cfg_opt_t *opt)
{
	const unsigned n = cfg_opt_size(opt);

	if (n > MAX_WORDS)
		cfg_error(cfg, "%s: more than %d words", cfg_opt_name(opt), MAX_WORDS);
	else if (n > 0 && cfg_opt_getnstr(opt, 0)[0] != '/')
		cfg_error(cfg, "%s: a program needs its whole path", cfg_opt_name(opt));
	return 0;
}

/* -- reading ------------------------------------------------------------------------------------------------------ */

static const char *
set_string(cfg_t *cfg, const char *key)
{
	const char *text = cfg_getstr(cfg, key);

	return text == NULL || text[0] == '\0' ? NULL : text;
}

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
	const char *file = set_string(cfg, "secret_file"), *token = set_string(cfg, "token");
	const unsigned n = cfg_size(cfg, "secret_command");
	const char *command[MAX_WORDS + 1] = { NULL };

	if ((file != NULL) + (token != NULL) + (n > 0) > 1)
		return mh_fail(err, MH_BAD, "one of secret_file, secret_command and token");
	for (unsigned i = 0; i < n && i < MAX_WORDS; i++)
		command[i] = cfg_getnstr(cfg, "secret_command", i);
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
	const int64_t left = deadline_ms - clock_monotonic_ms() - SPARE_MS,
		      wanted = cfg_getint(cfg, "timeout_s") * 1000, ms = left < wanted ? left : wanted;

	*ret = (struct preset_settings){ .url = set_string(cfg, "url"),
		.user = set_string(cfg, "user"),
		.retry_after_s = -1,
		.wire = { .ca_file = set_string(cfg, "ca_file"),
		    .cert_file = set_string(cfg, "cert_file"),
		    .key_file = set_string(cfg, "key_file"),
		    .proxy = set_string(cfg, "proxy"),
		    .allow_plain = cfg_getbool(cfg, "allow_plain") == cfg_true,
		    .total_ms = (long)(ms < 1 ? 1 : ms) } };
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
