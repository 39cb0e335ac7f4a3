/* reply.h: one plain-text mail that tells people what came of a notice, and the ways it can leave by. */
#ifndef ACTIONS_REPLY_REPLY_H
#define ACTIONS_REPLY_REPLY_H

#include "actions/common/case_text.h"
#include "actions/common/own_conf.h"
#include "actions/common/protocol.h"

#define REPLY_MAX_RECIPIENTS 50
#define REPLY_MAX_TEXT_BYTES ((size_t)256 << 10)
#define REPLY_MAX_MAIL_BYTES ((size_t)1 << 20)

struct reply_conf {
	cfg_t *cfg; /* own */
	const struct transport *transport;
	char from[256];        /* one addr-spec */
	const char *subject;   /* template, one line */
	const char *body_file; /* where body comes from, for errors */
	struct buf body;       /* own: template */
	bool sender_never;
	enum trust sender_needs;
};

/* conf.c. As ticket's: a file that does not exist means the defaults. */
enum mh_status reply_conf_read(const char *path, struct reply_conf *ret, struct mh_err *err);
void reply_conf_release(struct reply_conf *c);

/* -- address.c ---------------------------------------------------------------------------------------------------- */

/* One addr-spec that needs no quoting anywhere: dot-atom, "@", host name; ASCII; cannot be taken for an option. */
bool address_valid(struct mh_span address);
/* Why no automatic mail may go to that address, in words; NULL: it may. */
const char *address_refusal(struct mh_span address);

struct recipients {
	const char *items[REPLY_MAX_RECIPIENTS + 1]; /* foreign */
	size_t n;
	const char *sender;  /* the mail's sender, if it is among them */
	const char *why_not; /* else why it is not */
};

/* Who gets the reply: the configured ones always, the mail's sender where RFC 3834 and the trust allow it. */
void choose_recipients(const struct request *r, const struct reply_conf *c, struct recipients *ret);

/* -- compose.c ---------------------------------------------------------------------------------------------------- */

struct reply_text {
	struct mh_span subject; /* one line, UTF-8 without control characters */
	struct mh_span body;    /* UTF-8, LF */
};

/* The whole mail, LF line ends, 7-bit, no line above 998 bytes.
 *   errors  MH_BAD an address that does not hold address_valid; MH_LIMIT out is full */
enum mh_status compose(const struct request *r, const char *from, const struct recipients *to,
    const struct reply_text *text, struct buf *out, struct mh_err *err);
/* "<JOB_KEY@DOMAIN>", the same for every attempt. */
void message_id(char dst[320], const struct request *r, const char *from);

/* -- transports: one file each, listed in registry.c -------------------------------------------------------------- */

struct told {                  /* what a transport says besides its status */
	int64_t retry_after_s; /* -1: not said */
	char refused[600];     /* recipients that were refused while others were taken, in words */
};

struct delivery {
	const struct reply_conf *conf;
	const struct request *request;
	struct protocol *protocol;
	const struct recipients *to;
	struct mh_span mail;
	const char *message_id;
	struct told *told; /* foreign */
};

struct transport {
	const char *name, *help;
	/* Proves that mail could leave, sends none. */
	enum mh_status (*check)(const struct reply_conf *c, const struct request *r, struct mh_err *err);
	/* Sends, with a checkpoint before the effect.
	 *   out     *ret_earlier: an earlier attempt of this job had sent it
	 *   errors  MH_RETRY it may pass; MH_BAD it will not */
	enum mh_status (*deliver)(const struct delivery *d, bool *ret_earlier, struct mh_err *err);
};

extern const struct transport transport_maildir, transport_sendmail, transport_smtp, transport_graph;
const struct transport *transport_of(const char *name); /* NULL: there is none */

#endif
