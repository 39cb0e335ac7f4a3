/* session.h: one connection to a mailbox: who it is, what the server can, and one way to give commands.
 *
 * libetpan speaks; what it says of a command's end is not asked, because it takes a NO behind some data for an OK: the
 * screen knows. Every command has the mailbox's timeout for the whole of it.
 */
#ifndef MAILHOOK_IMAP_SESSION_H
#define MAILHOOK_IMAP_SESSION_H

#include <stdatomic.h>

#include "mailhook/conf.h"
#include "mailhook/imap/names.h"
#include "mailhook/imap/stream.h"

struct session {
	const struct conf_mailbox *box;
	struct address at;
	struct arena arena;                                          /* own: address */
	struct stream *stream;                                       /* own */
	mailimap *imap;                                              /* own */
	bool idle, move, uidplus, sasl_ir, login_disabled, starttls; /* what the server can */
	bool plain, login, xoauth2, oauthbearer;
	char delimiter;                /* between the names of folders; "/" in ours stands for it */
	bool search_by_words;          /* its SEARCH is known to look for whole words only: Exchange's, Gmail's */
	uint32_t uidvalidity, uidnext; /* of the selected folder */
	bool read_only;
	const _Atomic int64_t *lease_end_ms; /* borrowed, of the slot; NULL: no command depends on it */
};

/* The time for which the mailbox is ours is over, or never began: nothing more may be done to it. */
bool session_lapsed(const struct session *s);

/* Connects, begins TLS, logs in, and selects the mailbox's folder.
 *   in      trust: by stream_trust of the mailbox's ca_file; libexec: the folder of mailhook-token
 *   errors  MH_BAD a person must mend it, in words; MH_RETRY later. *ret is NULL then */
enum mh_status session_open(
    const struct conf_mailbox *box, SSL_CTX *trust, const char *libexec, struct session **ret, struct mh_err *err);
/* A session over a stream that is connected, which it owns from now on: greeting, what the server can, and the folder;
 * without TLS and login. For tests: what a server says is read by the same code.
 *   errors  as session_open */
enum mh_status session_over(
    const struct conf_mailbox *box, struct stream *stream, struct session **ret, struct mh_err *err);
void session_free(struct session *s); /* without a LOGOUT: the server may hang */

/* One command to its end, built in a buffer of its own.
 *   in      what: for errors, "FETCH"; want: enum screen_want; answer_bytes: 0: MH_IMAP_ANSWER_BYTES
 *   errors  MH_SKIP the server said NO or BAD: code and words in session_screen(); MH_RETRY, MH_BAD, MH_LIMIT: the
 *           connection is of no use any more, or the mailbox not ours: then nothing was said */
enum mh_status session_command(struct session *s, const char *what, const struct buf *command, unsigned want,
    size_t answer_bytes, struct mh_err *err);
/* A folder of the configuration, as a quoted string. errors: as put_folder */
enum mh_status session_put_folder(const struct session *s, struct buf *out, const char *folder, struct mh_err *err);
const struct screen *session_screen(const struct session *s);

/* Adds a message to the folder. errors as session_command; MH_SKIP is worded too */
enum mh_status session_append(struct session *s, struct mh_span message, struct mh_err *err);

/* Idles until the server tells of news, or ms have passed; where it cannot, it only waits.
 *   errors  as session_command */
enum mh_status session_idle(struct session *s, int ms, bool *ret_news, struct mh_err *err);

/* Runs a program that says on standard error what is wrong (login.c). errors: MH_BAD, MH_RETRY in its words */
enum mh_status program_fits(const char *const *argv, struct mh_err *err);
/* Proves who we are (login.c). errors: as session_open */
enum mh_status session_login(struct session *s, const char *libexec, struct mh_err *err);
/* A command that libetpan does not see: sends line with its end, reads to "TAG ...", answers each "+" by reply.
 *   in      reply: what to send for the n-th "+" line, NULL: "*", which breaks off */
enum mh_status session_talk(struct session *s, struct mh_span line,
    const char *(*reply)(void *user, unsigned nth, struct mh_span challenge), void *user, struct mh_err *err);

#endif
