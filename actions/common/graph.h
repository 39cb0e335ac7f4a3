/* graph.h: sends one mail as a mailbox of Microsoft 365: Graph's sendMail with a MIME body.
 *
 * Exchange Online closes SMTP AUTH. Graph takes the recipients from the mail's own fields, and the envelope sender is
 * the mailbox: a bounce comes back to it. */
#ifndef ACTIONS_COMMON_GRAPH_H
#define ACTIONS_COMMON_GRAPH_H

#include "actions/common/wire.h"

#define GRAPH_URL "https://graph.microsoft.com"
#define GRAPH_MAX_MAIL_BYTES (3u << 20) /* a request of 4 MB is Graph's limit; base64 adds a third */

struct graph {
	const char *base_url;   /* NULL: GRAPH_URL; national clouds have others */
	const char *mailbox;    /* address or object id that may be sent as */
	const char *token_file; /* mailhook-token(8)'s configuration */
	struct wire wire;
};

/* Sends it once. A second try after a lost answer may send it twice, with the same Message-ID.
 *   in      now: UTC seconds, for Retry-After dates
 *   out     ret_retry_after_s: -1: not said; also set on failure
 *   errors  MH_RETRY: 429, 5xx, network; MH_BAD: refused, in words */
enum mh_status graph_send(
    const struct graph *g, struct mh_span mail, int64_t now, int64_t *ret_retry_after_s, struct mh_err *err);

/* Checks the settings; online: also gets a token. Asks Graph nothing: Mail.Send alone may read nothing. */
enum mh_status graph_check(
    const struct graph *g, bool online, int64_t now, int64_t *ret_retry_after_s, struct mh_err *err);

#endif
