/* wire.h: what every libcurl transfer of an action has in common: TLS, time, proxy, and what a failure means.
 *
 * One handle a try: nothing is left over from the try before, libcurl never sends a request again by itself on a dead
 * connection, and each handle ends with its cleanup attribute. libcurl is the GnuTLS flavour (libetpan's development
 * package conflicts with the other).
 */
#ifndef ACTIONS_COMMON_WIRE_H
#define ACTIONS_COMMON_WIRE_H

#include <curl/curl.h>

#include "mailhook/mailhook.h"

#define WIRE_CONNECT_MS 10000
#define WIRE_TOTAL_MS 30000 /* an action's own deadline is 60 s by default */

struct wire {
	const char *ca_file;              /* PEM; NULL: the system's store. Where it is set, nothing else is trusted */
	const char *cert_file, *key_file; /* client certificate and its key, PEM; both or none */
	const char *proxy;                /* URL; NULL: none, whatever the environment says */
	bool allow_plain;                 /* no TLS also to hosts other than loopback */
	long connect_ms, total_ms;        /* 0: the values above */
};

struct wire_url {                   /* own; release with wire_url_release */
	char *scheme, *host, *port; /* port: NULL where the URL has none; host without brackets */
	bool loopback;
};

void drop_curl(CURL **c);               /* for MH_AUTO */
void drop_slist(struct curl_slist **l); /* for MH_AUTO */
void wire_url_release(struct wire_url *u);

/* Takes a URL apart: no user or password in it, no fragment, no control character, and a host.
 *   errors  MH_BAD: not such a URL; the text never holds the URL, which may be a secret (webhooks) */
enum mh_status wire_url_read(const char *url, struct wire_url *ret, struct mh_err *err);

/* A handle with all that is common set: TLS 1.2 or later with chain and name verified, deadlines, no signals, no
 * redirect, no proxy but the configured one, no .netrc.
 *   out     ret: to be dropped by the caller; errors of the transfer are written to error_text (CURL_ERROR_SIZE)
 *   errors  MH_BAD a file that is not as it must be; MH_RETRY no memory */
enum mh_status wire_open(const struct wire *w, char *error_text, CURL **ret, struct mh_err *err);

/* Words what a failed transfer came to, naming the host.
 *   in      answered: the server had said something inside TLS
 *   errors  MH_RETRY: name not resolved, not connected, time over, connection or handshake broken
 *           MH_BAD: certificate refused by either side, protocol not allowed, own files unusable */
enum mh_status wire_error(
    const struct wire *w, CURLcode code, bool answered, const char *error_text, const char *host, struct mh_err *err);
/* Of a transfer in which the server said nothing inside TLS: it hung up in the handshake or right after it, as servers do
 * that want another client certificate, or one at all, and say so by no alert that arrives. */
bool wire_hung_up(const struct wire *w, CURLcode code, const char *error_text);
const char *wire_client_doubt(const struct wire *w); /* in words, with "the server" as its subject: what it may mind */

#endif
