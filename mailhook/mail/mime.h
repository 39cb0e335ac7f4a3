/* mime.h: the structure of a mail, read in one pass. Private to mail/. */
#ifndef MAILHOOK_MAIL_MIME_H
#define MAILHOOK_MAIL_MIME_H

#include "mailhook/mail/transfer.h"
#include "mailhook/mailhook.h"

struct charset_set;

/* One multipart or message that is open where the reader stands. */
struct mime_frame {
	struct mh_span boundary; /* multipart: never empty; message: empty */
	size_t message;          /* index in mail.messages */
	size_t alternative;      /* as in struct mail_part */
	bool report;             /* in a multipart/report */
	bool attached;           /* in a multipart that is an attachment: nothing of it is shown but messages */
	bool digest;             /* its parts are messages by default */
};

struct mail_reader {
	const struct charset_set *charsets; /* foreign */
	struct arena *arena;                /* foreign */
	struct mail *mail;                  /* foreign */
	size_t cap_messages, cap_parts;
	size_t n_alternatives;
	size_t text_left; /* of MH_MAX_TEXT_TOTAL_BYTES */
	struct mime_frame frames[MH_MAX_DEPTH + 1];
	size_t n_frames;
};

/* A text part, as its header describes it. */
struct text_leaf {
	enum mail_type type;
	enum transfer encoding;
	struct mh_span charset; /* MH_NONE: not said */
};

/* Reads the message raw, whose header starts at an offset, into r->mail; what does not fit is marked there.
 *   out     the offset of the body in raw */
size_t mime_read(struct mail_reader *r, struct mh_span raw, size_t at);

/* Decodes a text part and lists it. (text.c) */
void text_read(struct mail_reader *r, const struct text_leaf *leaf, const struct mime_frame *in, struct mh_span source);

/* Takes the transfer encoding off, within what is left of MH_MAX_TEXT_TOTAL_BYTES; false where memory is out. */
bool text_decode(struct mail_reader *r, enum transfer encoding, struct mh_span source, size_t max, struct mh_span *ret,
    bool *ret_cut);

#endif
