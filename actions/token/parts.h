/* parts.h: what the files of the token program share. */
#ifndef ACTIONS_TOKEN_PARTS_H
#define ACTIONS_TOKEN_PARTS_H

#include "actions/common/wire.h"
#include "actions/token/token.h"
#include "mailhook/json.h"

enum token_grant { TOKEN_CLIENT, TOKEN_REFRESH, TOKEN_COMMAND };

struct token_conf { /* strings point into arena; NULL where not set */
	enum token_grant grant;
	const char *token_url, *client_id, *scope, *client_secret_file, *certificate_file, *key_file,
	    *refresh_token_file, *cache_file;
	const char **client_secret_command, **command; /* NULL-ended */
	int command_life_s;                            /* how long a command's token is kept; 0: not at all */
	struct wire wire;
	struct arena arena; /* own */
};

/* MH_BAD: not there, not readable, or wrong, in words; MH_RETRY a read error, no memory. */
enum mh_status token_conf_load(const char *path, struct token_conf *ret, struct mh_err *err);
void token_conf_release(struct token_conf *c);

#define TOKEN_ID 65 /* SHA-256 in hex and its NUL */

struct token_state { /* the state file; own */
	struct secret access_token, refresh_token;
	int64_t expires;         /* of access_token */
	int64_t keep_until;      /* it is handed out until then */
	char for_conf[TOKEN_ID]; /* what configuration access_token was got by */
	char for_seed[TOKEN_ID]; /* digest of the configured refresh token that refresh_token came from */
};

void token_state_release(struct token_state *s);

/* The state file, locked: one process asks the server, the others find its token. */
struct token_store {
	const char *path; /* borrowed; NULL: nothing is kept */
	int lock_fd, dir_fd;
};

/* Locks it, waiting for another process at most TOKEN_LOCK_MS.
 *   errors  MH_RETRY another process has it all that time; MH_BAD it cannot be there: the name, its folder */
enum mh_status token_store_open(const char *path, struct token_store *ret, struct mh_err *err);
void token_store_close(struct token_store *t);
/* MH_SKIP: there is none, or it is no JSON: as good as none. Else the errors of secret_from_file. */
enum mh_status token_store_read(const struct token_store *t, struct token_state *ret, struct mh_err *err);
/* Durable when it returns MH_OK: written aside, flushed, renamed, folder flushed. MH_RETRY: not written. */
enum mh_status token_store_write(const struct token_store *t, const struct token_state *s, struct mh_err *err);

/* A signed JWT that proves the client: PS256, x5t#S256. now: UTC seconds.
 *   errors  MH_BAD the key or the certificate is none, they do not belong together, or it has expired
 *           MH_RETRY not signed */
enum mh_status token_assertion(const struct token_conf *c, int64_t now, struct buf *out, struct mh_err *err);

/* Asks the token server once. refresh: for TOKEN_REFRESH. Errors: those of token_assertion, http_try, token_answer. */
enum mh_status token_ask(const struct token_conf *c, const struct secret *refresh, int64_t now, struct token_state *ret,
    int64_t *ret_retry_after_s, struct mh_err *err);

/* What an answer means. form: the request, whose secrets no error may give back.
 *   errors  MH_BAD refused for good, or no token that can be used
 *           MH_RETRY it may pass, or it is not the token server that answered */
enum mh_status token_answer(
    long http, struct mh_span body, struct mh_span form, int64_t now, struct token_state *ret, struct mh_err *err);

void drop_secret_json(cJSON **j); /* for MH_AUTO: zeroes the strings of one object, then frees it */

/* SHA-256 of the parts in hex; "" where there was no memory, which fits nothing. */
void token_digest(const struct mh_span *parts, size_t n_parts, char ret[TOKEN_ID]);

#endif
