/* position.h: how far a mailbox has been read, and what is still to be done about messages that were.
 *
 * STATE_DIR/mailboxes/NAME, replaced whole by renaming, each time on disk before the next step. It is written only behind
 * messages that are durable in the intake: what is lost with it is read again, and counts once by its digest. */
#ifndef MAILHOOK_IMAP_POSITION_H
#define MAILHOOK_IMAP_POSITION_H

#include "mailhook/conf.h"

enum filing { FILING_DONE, FILING_REVIEW, FILING_IRRELEVANT };
#define FILINGS 3
extern const char *const filing_names[FILINGS];

struct filing_row {
	uint32_t uid;
	enum filing as;
	bool copied; /* into its folder already, where the server cannot move */
};

/* A message that the server would not give. */
struct again_row {
	uint32_t uid, tries;
	int64_t due;
};

struct position {
	char path[4096];
	uint32_t uidvalidity; /* 0: the mailbox was never read, or it is another one now */
	uint32_t uid;         /* all up to this one have been dealt with, but those of again */
	int64_t since; /* of a first pass that is not at its end: only younger ones count; 0: none is in progress */
	struct filing_row *filing; /* own */
	size_t n_filing, cap_filing;
	struct again_row again[MH_IMAP_AGAIN];
	size_t n_again;
};

/* Reads it. One of another URL or user, or none that can be understood, is as none.
 *   errors  MH_RETRY it is there and cannot be read, or the folder cannot be made */
enum mh_status position_load(
    const char *state_dir, const struct conf_mailbox *box, struct position *ret, struct mh_err *err);
void position_release(struct position *p);
/* Makes it durable. errors  MH_RETRY */
enum mh_status position_save(const struct position *p, const struct conf_mailbox *box, struct mh_err *err);

/* -- from node to node --------------------------------------------------------------------------------------------- */

/* The file's text, for whoever reads the mailbox next.
 *   errors  MH_SKIP there is none yet; MH_RETRY, MH_LIMIT */
enum mh_status position_export(const char *state_dir, const char *name, struct buf *out, struct mh_err *err);
/* Goes on from what was written last, anywhere: it becomes this node's own. What is of another URL or user, or cannot be
 * understood, changes nothing; and what this very node wrote only where its file, which has that or a later one, is gone.
 *   errors  MH_RETRY it could not be made durable */
enum mh_status position_import(
    const char *state_dir, const struct conf_mailbox *box, bool own, struct mh_span text, struct mh_err *err);

/* -- rows ---------------------------------------------------------------------------------------------------------- */

/* False: MH_IMAP_FILING is reached, or no memory. A message that waits already only changes. */
bool position_file(struct position *p, uint32_t uid, enum filing as);
/* False: MH_IMAP_AGAIN is reached. */
bool position_again(struct position *p, uint32_t uid, int64_t now);
/* It is one of again, and not yet due. */
bool position_waits(const struct position *p, uint32_t uid, int64_t now);
void position_forget(struct position *p, uint32_t uid); /* of again */
/* Another UIDVALIDITY: all is forgotten. */
void position_reset(struct position *p, uint32_t uidvalidity, int64_t since);

#endif
