/* token.h: one OAuth 2.0 access token for a named configuration file, kept until shortly before it expires.
 *
 * configuration ─▶ state file (token still good?) ─▶ grant ─▶ token server or program ─▶ state file ─▶ token
 */
#ifndef ACTIONS_TOKEN_TOKEN_H
#define ACTIONS_TOKEN_TOKEN_H

#include "actions/common/secret.h"

#define TOKEN_EARLY_S 300        /* a token that ends sooner is not handed out; a tenth of its life if that is less */
#define TOKEN_LOCK_MS 35000      /* as long as another process may ask the server */
#define TOKEN_MAX_LIFE_S 2592000 /* what a server says beyond 30 days is not believed */

/* Gives one access token.
 *   in      path: the configuration file, mailhook-token(8) says what it holds; fresh: do not use the kept one (a
 *           server refused it); now: UTC seconds, since an action has no clock of its own
 *   out     ret: to be released; *ret_retry_after_s: seconds by the server's Retry-After, -1: not said; also set on
 *           failure
 *   errors  MH_BAD configuration, credentials or consent, in words; MH_RETRY the server is away or busy
 *           MH_LIMIT an answer that is too large
 *   source  RFC 6749 4.4, 5, 6; RFC 7523 2.2; Microsoft identity platform, certificate credentials */
enum mh_status token_get(
    const char *path, bool fresh, int64_t now, struct secret *ret, int64_t *ret_retry_after_s, struct mh_err *err);

/* When the credential by which a configuration's client proves itself ends, where it says so: a certificate.
 *   errors  MH_SKIP it does not say (a secret, a command); MH_BAD the configuration or the certificate is not readable */
enum mh_status token_credential_end(const char *path, int64_t *ret, struct mh_err *err);

/* Checks the configuration and its secrets; asks nobody. */
enum mh_status token_check(const char *path, int64_t now, struct mh_err *err);

#endif
