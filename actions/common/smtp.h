/* smtp.h: hands one mail to a submission server (libcurl): RFC 5321, 3207, 4954, 8314. */
#ifndef ACTIONS_COMMON_SMTP_H
#define ACTIONS_COMMON_SMTP_H

#include "actions/common/wire.h"

#define SMTP_MAX_RECIPIENTS 100         /* what every server takes: RFC 5321 4.5.3.1.8; thousands are an accident */
#define SMTP_MAX_MAIL_BYTES (10u << 20) /* what we write ourselves is some kB */
#define SMTP_MAX_LINE_BYTES 998         /* RFC 5322 2.1.1 */
#define SMTP_MAX_REFUSED_BYTES (8u << 10)

enum smtp_tls { SMTP_STARTTLS, SMTP_IMPLICIT, SMTP_PLAIN };
enum smtp_auth { SMTP_AUTH_NONE, SMTP_AUTH_PLAIN, SMTP_AUTH_LOGIN, SMTP_AUTH_XOAUTH2 };
extern const char *const smtp_tls_names[3];  /* "starttls", "implicit", "none" */
extern const char *const smtp_auth_names[4]; /* "none", "plain", "login", "xoauth2" */

struct smtp_server {
	const char *host; /* a name or an address; certificates are checked against it */
	int port;
	enum smtp_tls tls;
	enum smtp_auth auth;
	const char *user; /* with auth */
	/* One of these, with auth: a password's file or program, or for xoauth2 mailhook-token(8)'s configuration. */
	const char *password_file, *token_file;
	const char *const *password_command; /* NULL-ended */
	const char *helo;                    /* NULL: libcurl's: the machine's name */
	struct wire wire;
};

struct smtp_mail {
	const char *from; /* envelope sender; "": the null path */
	const char *const *to;
	size_t n_to;
	struct mh_span bytes; /* 7-bit, lines of at most SMTP_MAX_LINE_BYTES that end with LF or CRLF */
};

#define SMTP_MAX_ADDRESS_BYTES 254 /* RFC 5321 4.5.3.1.3, less the angle brackets */
#define SMTP_MAX_LOCAL_BYTES 64

/* True for a plain address: RFC 5322 3.2.3 dot-atom, "@", host name. What libcurl passes on behind an address ("<a@b>
 * NOTIFY=...") and quoted local parts cannot be one. */
bool smtp_address_ok(struct mh_span address);

/* Sends one mail once. A second try after a lost answer may send it twice: its Message-ID is the same then.
 *   in      now: UTC seconds, for tokens
 *   out     ret_refused: initialised; recipients that were refused while others were taken, "ADDRESS: words", separated
 *           by "; ": some got the mail, so it must not be sent again
 *           ret_retry_after_s: a token server's, -1: not said
 *   errors  MH_RETRY: 4xx, network; MH_BAD: 5xx, certificate, credentials, what may not be sent. With the server's own
 *           words, escaped and cut; nobody got the mail, but where the text says "may have been taken" */
enum mh_status smtp_send(const struct smtp_server *s, const struct smtp_mail *m, int64_t now, struct buf *ret_refused,
    int64_t *ret_retry_after_s, struct mh_err *err);

/* Checks the settings and secrets; online: also connects, starts TLS and authenticates. No effect. */
enum mh_status smtp_check(
    const struct smtp_server *s, bool online, int64_t now, int64_t *ret_retry_after_s, struct mh_err *err);

#endif
