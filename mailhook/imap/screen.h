/* screen.h: what of a server's answer libetpan gets to see. Pure: bytes in, bytes out.
 *
 * The parser of libetpan 1.9.4 dies on deep lists and on some response codes, and takes memory a hundred times the size
 * of its input. So nothing reaches it that a command of ours did not ask for: of status lines only "OK", "NO" or "BAD"
 * and the two numbers that SELECT is for; of untagged data EXISTS, and what the command wants; all else is left out.
 * The words of the last status line, which libetpan would not keep apart, are kept here.
 */
#ifndef MAILHOOK_IMAP_SCREEN_H
#define MAILHOOK_IMAP_SCREEN_H

#include "mailhook/mailhook.h"

enum screen_want { /* bits: which data the command in progress asked for */
	SCREEN_FETCH = 1 << 0,
	SCREEN_SEARCH = 1 << 1,
	SCREEN_LIST = 1 << 2,
	SCREEN_CAPABILITY = 1 << 3,
	SCREEN_CHALLENGE = 1 << 4 /* "+" lines as they are: a login reads them itself */
};

struct screen_limits {
	unsigned want;
	size_t line_bytes, literal_bytes, answer_bytes; /* answer_bytes: all that comes, until the next command */
};

enum screen_end { SCREEN_OPEN, SCREEN_OK, SCREEN_NO, SCREEN_BAD }; /* how the last command ended */

struct screen {
	struct screen_limits limits;
	struct buf out; /* own: what libetpan may read, from out_at on */
	size_t out_at;
	struct buf line; /* own: a line that has no end yet */
	uint64_t bytes;  /* of this answer so far */
	uint64_t literal_left;
	bool inside;     /* the next line goes on with a response, behind a literal */
	bool hidden;     /* the response is left out */
	unsigned depth;  /* of its lists */
	int fetch_place; /* where in the list of a FETCH we are: screen.c */
	bool news;       /* an EXISTS came; the caller resets it */
	enum screen_end end;
	bool behind;     /* something came behind the line that ended the command */
	char code[40];   /* "AUTHENTICATIONFAILED": of the last status line; empty: none */
	char words[160]; /* its text, escaped */
};

void screen_init(struct screen *s);
void screen_release(struct screen *s);
/* Before a command: its limits, its own count. */
void screen_begin(struct screen *s, const struct screen_limits *limits);
/* Takes bytes of the server.
 *   errors  MH_LIMIT more, longer or deeper than the limits; MH_BAD no IMAP, or what was not asked for; MH_RETRY the
 *           server ends the connection (its words are in err), or no memory. After an error the connection is of no use */
enum mh_status screen_feed(struct screen *s, struct mh_span bytes, struct mh_err *err);
/* Moves at most n vetted bytes to dst; how many. */
size_t screen_take(struct screen *s, char *dst, size_t n);
/* Nothing is left: neither vetted bytes nor the beginning of a line. */
bool screen_empty(const struct screen *s);

#endif
