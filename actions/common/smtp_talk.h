/* smtp_talk.h: an SMTP session, overheard: which command was answered how. */
#ifndef ACTIONS_COMMON_SMTP_TALK_H
#define ACTIONS_COMMON_SMTP_TALK_H

#include "actions/common/smtp.h"

enum smtp_stage {
	SMTP_AT_GREETING,
	SMTP_AT_HELLO,
	SMTP_AT_STARTTLS,
	SMTP_AT_AUTH,
	SMTP_AT_SENDER,
	SMTP_AT_RECIPIENT,
	SMTP_AT_DATA,
	SMTP_AT_TEXT,
	SMTP_AT_OTHER
};
extern const char *const smtp_stage_names[SMTP_AT_OTHER + 1];

struct smtp_reply {
	int code;
	char words[96]; /* its first line, escaped; the first says more than the last, where there are several */
};

#define SMTP_TALK_SECRETS 4

struct smtp_talk { /* begins as { .fresh = true } */
	enum smtp_stage at;
	bool answered;  /* the command at hand has its whole reply */
	bool fresh;     /* the next line that comes in begins a reply */
	bool logged_in; /* a login was tried, at least */
	bool must_log_in;
	bool tls;       /* what comes in now comes inside TLS */
	bool tls_heard; /* something did */
	bool hung_up;   /* nothing did, and the server hung up (wire_hung_up) */
	bool over;      /* QUIT was sent: what follows says nothing of the mail */
	struct smtp_reply last;
	struct smtp_reply recipients[SMTP_MAX_RECIPIENTS]; /* in the order of RCPT commands; code 0: not answered */
	size_t n_recipients;                               /* commands sent */
	struct mh_span secrets[SMTP_TALK_SECRETS]; /* the caller's: a reply that holds one is not told, only its code */
	struct mh_span text;                       /* the caller's: still to be sent */
};

/* One command as it goes out, one line as it comes in. Neither keeps a byte of a login. */
void smtp_talk_command(struct smtp_talk *t, struct mh_span line);
void smtp_talk_reply(struct smtp_talk *t, struct mh_span line);

#endif
