/* file.c: see file.h.
 *
 * A server that can MOVE does it at once or not at all. One that cannot gets a COPY, a mark in the position, and a
 * deletion: a crash between the first two makes a second copy in the folder, never a second reading. Without UIDPLUS
 * nothing is expunged: that would take with it what somebody else marked as deleted. */
#include "mailhook/imap/file.h"

#include <string.h>

#define COMMAND_BYTES (8u << 10)
#define SET_BYTES 4000
#define COPY_AT_ONCE 300 /* one command's set always holds them, so that a NO to one never repeats the COPY of others */

static const char *
folder_for(const struct conf_mailbox *box, enum filing as)
{
	switch (as) {
	case FILING_DONE:
		return box->done;
	case FILING_REVIEW:
		return box->review;
	case FILING_IRRELEVANT:
		return box->irrelevant;
	}
	return NULL;
}

bool
file_wanted(const struct conf_mailbox *box, enum filing as)
{
	return folder_for(box, as) != NULL || (as != FILING_IRRELEVANT && (box->keyword != NULL || box->mark_seen));
}

/* "UID NAME SET REST" */
static enum mh_status
with_set(struct session *s, const char *name, const struct uids *u, const char *rest, struct mh_err *err)
{
	enum mh_status status = MH_OK;
	struct buf command;
	size_t at = 0;

	buf_init(&command, COMMAND_BYTES);
	while (at < u->n && status == MH_OK) {
		buf_clear(&command);
		buf_printf(&command, "UID %s ", name);
		uids_put(&command, u, &at, SET_BYTES);
		buf_printf(&command, "%s%s", rest[0] == '\0' ? "" : " ", rest);
		status = session_command(s, name, &command, 0, 0, err);
	}
	buf_release(&command);
	return status;
}

/* A folder that is there already is no error: another of us may have made it. */
static enum mh_status
make_folder(struct session *s, const char *quoted, struct mh_err *err)
{
	static const char *const verbs[] = { "CREATE", "SUBSCRIBE" };
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < 2 && (status == MH_OK || status == MH_SKIP); i++) {
		struct buf command;

		buf_init(&command, COMMAND_BYTES);
		buf_printf(&command, "%s %s", verbs[i], quoted);
		status = session_command(s, verbs[i], &command, 0, 0, err);
		buf_release(&command);
	}
	return status == MH_SKIP ? MH_OK : status;
}

/* MOVE or COPY; a missing folder is made, once. */
static enum mh_status
into_folder(struct session *s, const char *verb, const struct uids *u, const char *quoted, struct mh_err *err)
{
	enum mh_status status = with_set(s, verb, u, quoted, err);

	if (status != MH_SKIP)
		return status;
	const struct screen *screen = session_screen(s);
	/* OVERQUOTA, NOPERM and the like: a folder does not help. Servers without codes say it in words, in any language. */
	if (screen->code[0] != '\0' && strcmp(screen->code, "TRYCREATE") != 0 &&
	    strcmp(screen->code, "NONEXISTENT") != 0)
		return status;
	status = make_folder(s, quoted, err);
	return status == MH_OK ? with_set(s, verb, u, quoted, err) : status;
}

/* Of one sort, those not copied yet or those that are. */
static enum mh_status
collect(const struct position *p, enum filing as, bool copied, struct uids *ret, struct mh_err *err)
{
	for (size_t i = 0; i < p->n_filing; i++)
		if (p->filing[i].as == as && p->filing[i].copied == copied && !uids_add(ret, p->filing[i].uid))
			return mh_fail(err, MH_RETRY, "no memory for a list of messages");
	uids_sort(ret);
	return MH_OK;
}

static enum mh_status
strike(struct session *s, struct position *p, const struct uids *u, struct mh_err *err)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_filing; i++)
		if (!uids_have(u, p->filing[i].uid))
			p->filing[n++] = p->filing[i];
	p->n_filing = n;
	return position_save(p, s->box, err);
}

static enum mh_status
mark_copied(struct session *s, struct position *p, const struct uids *u, struct mh_err *err)
{
	for (size_t i = 0; i < p->n_filing; i++)
		p->filing[i].copied = p->filing[i].copied || uids_have(u, p->filing[i].uid);
	return position_save(p, s->box, err);
}

static enum mh_status
take_away(struct session *s, struct position *p, const struct uids *u, struct mh_err *err)
{
	enum mh_status status = with_set(s, "STORE", u, "+FLAGS.SILENT (\\Deleted)", err);

	if (status == MH_OK && s->uidplus)
		status = with_set(s, "EXPUNGE", u, "", err);
	return status == MH_OK ? strike(s, p, u, err) : status;
}

static enum mh_status
set_flags(struct session *s, const struct uids *u, enum filing as, struct mh_err *err)
{
	struct buf flags;
	enum mh_status status;

	if (as == FILING_IRRELEVANT || (s->box->keyword == NULL && !s->box->mark_seen))
		return MH_OK;
	buf_init(&flags, 256);
	buf_printf(&flags, "+FLAGS.SILENT (%s%s%s)", s->box->keyword == NULL ? "" : s->box->keyword,
	    s->box->keyword != NULL && s->box->mark_seen ? " " : "", s->box->mark_seen ? "\\Seen" : "");
	status = with_set(s, "STORE", u, flags.p, err);
	buf_release(&flags);
	return status;
}

static enum mh_status
move_all(struct session *s, struct position *p, const struct uids *u, const char *quoted, struct mh_err *err)
{
	if (s->move) {
		const enum mh_status status = into_folder(s, "MOVE", u, quoted, err);
		return status == MH_OK ? strike(s, p, u, err) : status;
	}
	enum mh_status status = MH_OK;
	for (size_t at = 0; at < u->n && status == MH_OK; at += COPY_AT_ONCE) {
		const size_t left = u->n - at;
		const struct uids some = { .items = u->items + at, .n = left < COPY_AT_ONCE ? left : COPY_AT_ONCE };

		status = into_folder(s, "COPY", &some, quoted, err);
		if (status == MH_OK)
			status = mark_copied(s, p, &some, err);
		if (status == MH_OK)
			status = take_away(s, p, &some, err);
	}
	return status;
}

/* All of one sort. */
static enum mh_status
file_sort(struct session *s, struct position *p, enum filing as, struct mh_err *err)
{
	const char *folder = folder_for(s->box, as);
	struct uids fresh = { 0 }, copied = { 0 };
	struct buf quoted;

	buf_init(&quoted, COMMAND_BYTES);
	enum mh_status status = collect(p, as, true, &copied, err);
	if (status == MH_OK)
		status = collect(p, as, false, &fresh, err);
	if (status == MH_OK && copied.n > 0)
		status = take_away(s, p, &copied, err);
	if (status == MH_OK && fresh.n > 0)
		status = set_flags(s, &fresh, as, err);
	if (status == MH_OK && fresh.n > 0 && folder != NULL) {
		status = session_put_folder(s, &quoted, folder, err);
		if (status == MH_OK)
			status = move_all(s, p, &fresh, quoted.p, err);
	} else if (status == MH_OK && fresh.n > 0) {
		status = strike(s, p, &fresh, err);
	}
	buf_release(&quoted);
	uids_release(&fresh);
	uids_release(&copied);
	return status;
}

enum mh_status
file_all(struct session *s, struct position *p, struct mh_err *err)
{
	bool refused = false;

	if (p->n_filing > 0 && s->read_only)
		return mh_fail(err, MH_SKIP, "the folder may only be read: nothing can be filed");
	for (int as = 0; as < FILINGS && p->n_filing > 0; as++) {
		struct mh_err own = { 0 };
		const enum mh_status status = file_sort(s, p, (enum filing)as, &own);

		if (status != MH_OK && !refused)
			*err = own;
		if (status != MH_OK && status != MH_SKIP)
			return err->code = status;
		refused = refused || status == MH_SKIP;
	}
	return refused ? MH_SKIP : MH_OK;
}
