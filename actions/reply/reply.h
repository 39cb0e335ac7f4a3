/* reply.h: one mail that tells people what came of a notice, and the ways it can leave by. */
#ifndef ACTIONS_REPLY_REPLY_H
#define ACTIONS_REPLY_REPLY_H

#include "actions/common/case_text.h"
#include "actions/common/own_conf.h"
#include "actions/common/protocol.h"

#define REPLY_MAX_TO 50                         /* in the configuration */
#define REPLY_MAX_RECIPIENTS (REPLY_MAX_TO + 2) /* the mail's sender and the account's owner besides */
#define REPLY_MAX_TEXT_BYTES ((size_t)256 << 10)
#define REPLY_MAX_MAIL_BYTES ((size_t)4 << 20) /* text, HTML and calendar, encoded */

struct reply_conf {
	cfg_t *cfg; /* own */
	const struct transport *transport;
	char from[256]; /* one addr-spec */
	bool html, calendar, to_owner;
	bool sender_never;
	enum trust sender_needs;
	struct words words; /* own */
};

struct reply_texts {                               /* the templates for one event */
	struct wording subject, body, html, entry; /* own; entry: the calendar's line */
	bool html_fits; /* false: the text is the user's, the HTML is not: both would say different things */
};

/* conf.c. As ticket's: a file that does not exist means the defaults. */
enum mh_status reply_conf_read(const char *path, struct reply_conf *ret, struct mh_err *err);
void reply_conf_release(struct reply_conf *c);

/* texts.c. ret: reply_texts_release is due in every case. Errors: those of wording_read. */
enum mh_status reply_texts_read(
    const struct reply_conf *c, enum case_event event, struct reply_texts *ret, struct mh_err *err);
void reply_texts_release(struct reply_texts *t);

/* -- address.c ---------------------------------------------------------------------------------------------------- */

/* One addr-spec that needs no quoting anywhere: dot-atom, "@", host name; ASCII; cannot be taken for an option. */
bool address_valid(struct mh_span address);

struct recipients {
	const char *items[REPLY_MAX_RECIPIENTS]; /* foreign */
	size_t n;
	const char *sender;        /* the mail's sender, if it is among them */
	const char *why_not;       /* else why it is not */
	const char *owner_why_not; /* why the account's owner is not among them though the configuration wants it */
};

/* Who gets the reply: the configured ones always, the account's owner where the configuration wants
 * that and the accounts file says a plain address, the mail's sender where RFC 3834 and the trust allow it. */
void choose_recipients(const struct request *r, const struct reply_conf *c, struct recipients *ret);

/* -- compose.c ---------------------------------------------------------------------------------------------------- */

struct reply_text {
	struct mh_span subject; /* one line, UTF-8 without control characters */
	struct mh_span body;    /* UTF-8, LF */
	/* p == NULL: there is none */
	struct mh_span html;     /* UTF-8, LF */
	struct mh_span calendar; /* iCalendar, CRLF */
};

/* From MIME-Version to the mail's end (body.c): text alone, or with an HTML alternative, or with a calendar attached. */
void put_body(struct buf *out, const struct request *r, const struct reply_text *text);
/* One iCalendar object with the expiry as an event (calendar.c). Its UID is the case, its SEQUENCE rises with the events
 * of the case: calendars replace what they have. Nothing where the case has no expiry.
 *   in      from: the organizer, an address that holds address_valid; summary: one line; description: any text, UTF-8
 *   source  RFC 5545 */
void put_calendar(
    struct buf *out, const struct request *r, const char *from, struct mh_span summary, struct mh_span description);

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
	/* Tells when its own credentials end (credential_ends). NULL: it has none. */
	void (*credentials)(const struct reply_conf *c, struct protocol *p);
};

extern const struct transport transport_maildir, transport_sendmail, transport_smtp, transport_graph;
const struct transport *transport_of(const char *name); /* NULL: there is none */

#endif
