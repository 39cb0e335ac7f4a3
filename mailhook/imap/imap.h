/* imap.h: the parts of mailhook-imap: one process that supervises, and one for each mailbox that may crash alone.
 *
 *   supervise.c  forks, waits, forks again   ── slots in shared memory ──  watch.c  session, find, judge, store, file
 */
#ifndef MAILHOOK_IMAP_IMAP_H
#define MAILHOOK_IMAP_IMAP_H

#include <openssl/ssl.h>

#include "mailhook/conf.h"
#include "mailhook/imap/slot.h"
#include "mailhook/sandbox.h"
#include "parsers/likely.h"

/* Made before the forks, shared by copy on write. */
struct imap {
	struct conf *conf;               /* own */
	const char *config;              /* as named by the user, or NULL */
	struct definitions *definitions; /* own */
	bool definitions_missing;        /* their folder could not be read: nothing is called irrelevant */
	struct likely likely;
	struct reader reader, header_reader;
	SSL_CTX **trust;          /* own: one a mailbox, NULL where its ca_file cannot be read */
	struct mh_err *trust_err; /* own: why */
	int told;                 /* an eventfd: a mailbox's process has something to tell; -1: nobody hears */
	char libexec[4096];
};

/* Reads configuration and definitions, and the authorities.
 *   errors  MH_BAD the configuration is wrong; MH_RETRY no memory */
enum mh_status imap_load(struct imap *im, const char *config, struct mh_err *err);
void imap_release(struct imap *im);
/* Points its readers at its own definitions; after the struct was copied. */
void imap_aim(struct imap *im);

/* The life of one mailbox's process: until the connection fails, or, with once, all was read. Its exit code:
 * CLI_OK all was read; CLI_LATER, CLI_ATTENTION: slot.words say why not. */
int watch_mailbox(const struct imap *im, size_t box, struct slot *slot, bool once);

/* The supervisor; the exit code of the command. */
int supervise(struct imap *im, const char *config, bool once);

/* Proves mailboxes, one line each on stdout; the exit code of the command. online: by logging in. */
int prove(const struct imap *im, bool online);
/* Puts the message on standard input into the mailbox; the exit code of the command. */
int append(const struct imap *im, const char *name);

#endif
