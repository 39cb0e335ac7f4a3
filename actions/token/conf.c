/* conf.c: the token program's configuration file (libconfuse). */
#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/token/parts.h"

#define MAX_CONF_BYTES (64u << 10)
#define MAX_WORDS 32 /* of a command */
#define CACHE_DIR "/var/lib/mailhook/tokens"
#define ERR "\001err" /* no key of a file can be this: libconfuse's callbacks have no user pointer of their own */

struct complaint {
	const char *path;
	struct mh_err *err;
	bool made;
};

static void on_error(cfg_t *cfg, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));

static void
on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct complaint *c = cfg_getptr(cfg, ERR);
	char text[256], clean[256];

	if (c->made)
		return; /* the first syntax error is the one to mend */
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	(void)mh_fail(c->err, MH_BAD, "%s:%d: %s", c->path, cfg->line, mh_escape(clean, sizeof(clean), span_of(text)));
	c->made = true;
}

static enum mh_status
slurp(const char *path, struct buf *out, struct mh_err *err)
{
	char block[4096];
	ssize_t n;

	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return mh_fail_errno(err, errno == ENOENT || errno == EACCES ? MH_BAD : MH_RETRY, "%s", path);
	do {
		n = read(fd, block, sizeof(block));
		if (n > 0)
			buf_put(out, (struct mh_span){ block, (size_t)n });
	} while ((n > 0 && buf_ok(out)) || (n < 0 && errno == EINTR));
	const int why = errno;
	(void)close(fd);
	errno = why;
	if (n < 0)
		return mh_fail_errno(err, MH_RETRY, "%s", path);
	if (!buf_ok(out))
		return mh_fail(err, MH_BAD, "%s: a configuration of more than %u bytes", path, MAX_CONF_BYTES);
	if (memchr(buf_span(out).p, '\0', out->n) != NULL)
		return mh_fail(err, MH_BAD, "%s: a NUL in it", path);
	/* libconfuse would put the environment in */
	if (span_find(buf_span(out), MH_LIT("${"), 0) != SIZE_MAX)
		return mh_fail(err, MH_BAD, "%s: \"${\" is not taken: secrets come from files or commands", path);
	return MH_OK;
}

/* An empty string is "not set". */
static enum mh_status
take_string(struct token_conf *c, cfg_t *cfg, const char *key, const char **ret, struct mh_err *err)
{
	const char *text = cfg_getstr(cfg, key);
	struct mh_span copy;

	if (text == NULL || text[0] == '\0')
		return MH_OK;
	const enum mh_status status = arena_copy(&c->arena, span_of(text), &copy, err);
	if (status == MH_OK)
		*ret = copy.p;
	return status;
}

static enum mh_status
take_words(struct token_conf *c, cfg_t *cfg, const char *key, const char ***ret, struct mh_err *err)
{
	const unsigned n = cfg_size(cfg, key);

	if (n == 0)
		return MH_OK;
	if (n > MAX_WORDS)
		return mh_fail(err, MH_BAD, "%s: more than %d words", key, MAX_WORDS);
	const char **words = arena_array(&c->arena, n + 1, sizeof(*words));
	if (words == NULL)
		return mh_fail(err, MH_RETRY, "no memory for %s", key);
	for (unsigned i = 0; i < n; i++) {
		struct mh_span copy;
		const enum mh_status status = arena_copy(&c->arena, span_of(cfg_getnstr(cfg, key, i)), &copy, err);

		if (status != MH_OK)
			return status;
		words[i] = copy.p;
	}
	*ret = words;
	return MH_OK;
}

/* tokens/NAME.json for NAME.conf; "" switches it off. */
static enum mh_status
default_cache(struct token_conf *c, cfg_t *cfg, const char *path, struct mh_err *err)
{
	const char *slash = strrchr(path, '/');
	struct mh_span name = span_of(slash == NULL ? path : slash + 1), full;

	if (cfg_getstr(cfg, "cache_file") != NULL)
		return MH_OK;
	if (span_iends(name, MH_LIT(".conf")))
		name.n -= 5;
	const enum mh_status status = arena_printf(&c->arena, &full, err, CACHE_DIR "/%.*s.json", (int)name.n, name.p);
	if (status == MH_OK)
		c->cache_file = full.p;
	return status;
}

static enum mh_status
take_values(struct token_conf *c, cfg_t *cfg, const char *path, const char **ret_grant, struct mh_err *err)
{
	const struct {
		const char *key;
		const char **to;
	} strings[] = {
		{ "grant", ret_grant },
		{ "token_url", &c->token_url },
		{ "client_id", &c->client_id },
		{ "scope", &c->scope },
		{ "client_secret_file", &c->client_secret_file },
		{ "certificate_file", &c->certificate_file },
		{ "key_file", &c->key_file },
		{ "refresh_token_file", &c->refresh_token_file },
		{ "cache_file", &c->cache_file },
		{ "ca_file", &c->wire.ca_file },
		{ "proxy", &c->wire.proxy },
	};
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < sizeof(strings) / sizeof(strings[0]) && status == MH_OK; i++)
		status = take_string(c, cfg, strings[i].key, strings[i].to, err);
	if (status == MH_OK)
		status = take_words(c, cfg, "command", &c->command, err);
	if (status == MH_OK)
		status = take_words(c, cfg, "client_secret_command", &c->client_secret_command, err);
	if (status == MH_OK)
		status = default_cache(c, cfg, path, err);
	c->wire.allow_plain = cfg_getbool(cfg, "allow_plain") == cfg_true;
	c->wire.total_ms = cfg_getint(cfg, "timeout_s") * 1000;
	c->command_life_s = (int)cfg_getint(cfg, "command_life_s");
	return status;
}

/* What belongs together, and what must not be set for this grant. */
static enum mh_status
check(const struct token_conf *c, const char *path, struct mh_err *err)
{
	const bool certificate = c->certificate_file != NULL || c->key_file != NULL;
	const int proofs = (c->client_secret_file != NULL) + (c->client_secret_command != NULL) + (certificate ? 1 : 0);

	if (c->wire.total_ms < 1000 || c->wire.total_ms > 300000)
		return mh_fail(err, MH_BAD, "%s: timeout_s must be 1 to 300", path);
	if (c->command_life_s < 0 || c->command_life_s > 86400)
		return mh_fail(err, MH_BAD, "%s: command_life_s must be 0 to 86400", path);
	if (c->grant == TOKEN_COMMAND) {
		if (c->command == NULL)
			return mh_fail(err, MH_BAD, "%s: grant \"command\" needs command = {...}", path);
		return MH_OK;
	}
	if (c->command != NULL)
		return mh_fail(err, MH_BAD, "%s: command = {...} needs grant = \"command\"", path);
	if (c->token_url == NULL || c->client_id == NULL)
		return mh_fail(err, MH_BAD, "%s: token_url and client_id must be set", path);
	if (certificate && (c->certificate_file == NULL || c->key_file == NULL))
		return mh_fail(err, MH_BAD, "%s: certificate_file and key_file go together", path);
	if (proofs > 1)
		return mh_fail(
		    err, MH_BAD, "%s: one of client_secret_file, client_secret_command, certificate_file", path);
	if (c->grant == TOKEN_CLIENT && (proofs == 0 || c->refresh_token_file != NULL))
		return mh_fail(err, MH_BAD, "%s: grant \"client_credentials\" needs %s", path,
		    proofs == 0 ? "a client secret or a certificate" : "no refresh_token_file");
	if (c->grant == TOKEN_REFRESH && (c->refresh_token_file == NULL || c->cache_file == NULL))
		return mh_fail(
		    err, MH_BAD, "%s: grant \"refresh_token\" needs refresh_token_file and a cache_file", path);
	return MH_OK;
}

static enum mh_status
take_grant(struct token_conf *c, const char *grant, const char *path, struct mh_err *err)
{
	static const char *const names[] = {
		[TOKEN_CLIENT] = "client_credentials", [TOKEN_REFRESH] = "refresh_token", [TOKEN_COMMAND] = "command"
	};

	for (size_t i = 0; grant != NULL && i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(grant, names[i]) == 0) {
			c->grant = (enum token_grant)i;
			return MH_OK;
		}
	return mh_fail(err, MH_BAD, "%s: grant must be \"client_credentials\", \"refresh_token\" or \"command\"", path);
}

static enum mh_status
load(const char *path, struct token_conf *c, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf text;
	struct complaint complaint = { .path = path, .err = err };
	void *self = &complaint;
	const char *grant = NULL;
	cfg_opt_t opts[] = { CFG_STR("grant", NULL, CFGF_NONE), CFG_STR("token_url", NULL, CFGF_NONE),
		CFG_STR("client_id", NULL, CFGF_NONE), CFG_STR("scope", NULL, CFGF_NONE),
		CFG_STR("client_secret_file", NULL, CFGF_NONE),
		CFG_STR_LIST("client_secret_command", NULL, CFGF_NODEFAULT),
		CFG_STR("certificate_file", NULL, CFGF_NONE), CFG_STR("key_file", NULL, CFGF_NONE),
		CFG_STR("refresh_token_file", NULL, CFGF_NONE), CFG_STR_LIST("command", NULL, CFGF_NODEFAULT),
		CFG_INT("command_life_s", 0, CFGF_NONE), CFG_STR("cache_file", NULL, CFGF_NONE),
		CFG_STR("ca_file", NULL, CFGF_NONE), CFG_STR("proxy", NULL, CFGF_NONE),
		CFG_BOOL("allow_plain", cfg_false, CFGF_NONE), CFG_INT("timeout_s", 30, CFGF_NONE),
		{ .name = ERR, .type = CFGT_PTR, .simple_value.ptr = &self }, CFG_END() };

	buf_init(&text, MAX_CONF_BYTES);
	enum mh_status status = slurp(path, &text, err);
	if (status != MH_OK)
		return status;
	cfg_t *cfg = cfg_init(opts, CFGF_NONE);
	if (cfg == NULL)
		return mh_fail(err, MH_RETRY, "%s: no memory to read it", path);
	(void)cfg_set_error_function(cfg, on_error);
	if (cfg_parse_buf(cfg, buf_span(&text).p) != CFG_SUCCESS)
		status = complaint.made ? MH_BAD : mh_fail(err, MH_RETRY, "%s: no memory to read it", path);
	if (status == MH_OK)
		status = take_values(c, cfg, path, &grant, err);
	(void)cfg_free(cfg);
	if (status == MH_OK)
		status = take_grant(c, grant, path, err);
	return status == MH_OK ? check(c, path, err) : status;
}

enum mh_status
token_conf_load(const char *path, struct token_conf *ret, struct mh_err *err)
{
	struct token_conf c = { 0 };

	arena_init(&c.arena, 4u * MAX_CONF_BYTES);
	const enum mh_status status = load(path, &c, err);
	if (status == MH_OK)
		*ret = c;
	else
		arena_release(&c.arena);
	return status;
}

void
token_conf_release(struct token_conf *c)
{
	arena_release(&c->arena);
	*c = (struct token_conf){ 0 };
}
