/* token.c: the kept token while it is good, else a new one. */
#include "actions/token/token.h"

#include <string.h>

#include "actions/token/parts.h"
#include "mailhook/certificate.h"

static void
drop_store(struct token_store *t)
{
	token_store_close(t);
}

static bool
same_id(const char *a, const char *b)
{
	return a[0] != '\0' && strcmp(a, b) == 0;
}

static void
conf_id(const struct token_conf *c, const char *seed_id, char ret[TOKEN_ID])
{
	static const char *const grants[] = { "client", "refresh", "command" };
	const struct mh_span parts[] = { span_of(grants[c->grant]), span_of(c->token_url), span_of(c->client_id),
		span_of(c->scope), span_of(c->command == NULL ? NULL : c->command[0]), span_of(seed_id) };

	token_digest(parts, sizeof(parts) / sizeof(parts[0]), ret);
}

static enum mh_status
copy(const struct secret *from, struct secret *ret, struct mh_err *err)
{
	return secret_copy(secret_span(from), ret, err);
}

/* A command's token lives as long as its configuration says. */
static enum mh_status
from_command(const struct token_conf *c, int64_t now, struct token_state *ret, struct mh_err *err)
{
	struct token_state s = { .expires = now + c->command_life_s, .keep_until = now + c->command_life_s };
	const enum mh_status status = secret_from_command(c->command, (int)c->wire.total_ms, &s.access_token, err);

	if (status != MH_OK)
		return status;
	if (!span_is_graphic(secret_span(&s.access_token))) {
		token_state_release(&s);
		return mh_fail(err, MH_BAD, "%s: what it printed is not one token", c->command[0]);
	}
	*ret = s;
	return MH_OK;
}

/* The newest refresh token: the kept one, as long as it descends from the configured one. A configured one that was
 * replaced (consent was given anew) counts again. */
static enum mh_status
refresh_token(const struct token_conf *c, const struct token_state *kept, struct secret *ret, char seed_id[TOKEN_ID],
    struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret seed = { 0 };

	const enum mh_status status = secret_from_file(c->refresh_token_file, &seed, err);
	if (status != MH_OK)
		return status;
	const struct mh_span part = secret_span(&seed);
	token_digest(&part, 1, seed_id);
	return copy(
	    kept->refresh_token.p != NULL && same_id(seed_id, kept->for_seed) ? &kept->refresh_token : &seed, ret, err);
}

/* Makes a new state, durable before its token is used: a server that rotates refresh tokens has just ended the old
 * one, and the new one exists nowhere else. */
static enum mh_status
renew(const struct token_conf *c, const struct token_store *store, const struct secret *refresh, const char *seed_id,
    const char *id, int64_t now, struct token_state *ret, int64_t *ret_retry_after_s, struct mh_err *err)
{
	struct token_state s = { 0 };
	struct mh_err unkept;
	enum mh_status status = c->grant == TOKEN_COMMAND ? from_command(c, now, &s, err)
							  : token_ask(c, refresh, now, &s, ret_retry_after_s, err);

	if (status != MH_OK)
		return status;
	memcpy(s.for_conf, id, TOKEN_ID);
	if (c->grant == TOKEN_REFRESH) {
		const bool rotated = s.refresh_token.p != NULL;

		memcpy(s.for_seed, seed_id, TOKEN_ID);
		if (!rotated)
			status = copy(refresh, &s.refresh_token, err);
		if (status == MH_OK)
			status = token_store_write(store, &s, rotated ? err : &unkept);
		if (status != MH_OK && !rotated)
			status = MH_OK; /* nothing is lost but the next call's time */
	} else {
		secret_release(&s.refresh_token); /* RFC 6749 4.4.3: none should come, and none is wanted */
		(void)token_store_write(store, &s, &unkept);
	}
	if (status == MH_OK)
		*ret = s;
	else
		token_state_release(&s);
	return status;
}

/* A state folder that cannot be written costs a request each time; only a refresh token cannot do without. */
static enum mh_status
open_store(const struct token_conf *c, struct token_store *ret, struct mh_err *err)
{
	const bool needless = c->cache_file == NULL || (c->grant == TOKEN_COMMAND && c->command_life_s == 0);
	const enum mh_status status = token_store_open(needless ? NULL : c->cache_file, ret, err);

	return status == MH_BAD && c->grant != TOKEN_REFRESH ? token_store_open(NULL, ret, err) : status;
}

static enum mh_status
get(const struct token_conf *c, bool fresh, int64_t now, struct secret *ret, int64_t *ret_retry_after_s,
    struct mh_err *err)
{
	MH_AUTO(drop_store) struct token_store store = { .lock_fd = -1, .dir_fd = -1 };
	MH_AUTO(token_state_release) struct token_state kept = { 0 };
	MH_AUTO(token_state_release) struct token_state made = { 0 };
	MH_AUTO(secret_release) struct secret refresh = { 0 };
	char id[TOKEN_ID], seed_id[TOKEN_ID] = "";

	enum mh_status status = open_store(c, &store, err);
	if (status != MH_OK)
		return status;
	status = token_store_read(&store, &kept, err);
	if (status != MH_OK && status != MH_SKIP)
		return status;
	if (c->grant == TOKEN_REFRESH) {
		status = refresh_token(c, &kept, &refresh, seed_id, err);
		if (status != MH_OK)
			return status;
	}
	conf_id(c, seed_id, id);
	if (!fresh && kept.access_token.p != NULL && same_id(id, kept.for_conf) && now < kept.keep_until)
		return copy(&kept.access_token, ret, err);

	status = renew(c, &store, &refresh, seed_id, id, now, &made, ret_retry_after_s, err);
	return status == MH_OK ? copy(&made.access_token, ret, err) : status;
}

enum mh_status
token_get(const char *path, bool fresh, int64_t now, struct secret *ret, int64_t *ret_retry_after_s, struct mh_err *err)
{
	MH_AUTO(token_conf_release) struct token_conf c = { 0 };

	*ret_retry_after_s = -1;
	const enum mh_status status = token_conf_load(path, &c, err);
	return status == MH_OK ? get(&c, fresh, now, ret, ret_retry_after_s, err) : status;
}

enum mh_status
token_credential_end(const char *path, int64_t *ret, struct mh_err *err)
{
	MH_AUTO(token_conf_release) struct token_conf c = { 0 };
	const enum mh_status status = token_conf_load(path, &c, err);

	if (status != MH_OK)
		return status;
	if (c.grant == TOKEN_COMMAND || c.certificate_file == NULL)
		return mh_fail(err, MH_SKIP, "%s: its credential has no end that is written in it", path);
	return certificate_end(c.certificate_file, ret, err);
}

enum mh_status
token_check(const char *path, int64_t now, struct mh_err *err)
{
	MH_AUTO(token_conf_release) struct token_conf c = { 0 };
	MH_AUTO(secret_release) struct secret secret = { 0 };
	MH_AUTO(buf_release) struct buf jwt;

	buf_init(&jwt, 64u << 10);
	enum mh_status status = token_conf_load(path, &c, err);
	if (status == MH_OK && c.refresh_token_file != NULL)
		status = secret_from_file(c.refresh_token_file, &secret, err);
	secret_release(&secret);
	if (status == MH_OK && c.client_secret_file != NULL)
		status = secret_from_file(c.client_secret_file, &secret, err);
	if (status == MH_OK && c.certificate_file != NULL)
		status = token_assertion(&c, now, &jwt, err);
	return status;
}
