/* find.h: which messages there are, and their bytes. What is read is only looked at: BODY.PEEK, and no flag is changed. */
#ifndef MAILHOOK_IMAP_FIND_H
#define MAILHOOK_IMAP_FIND_H

#include "mailhook/imap/session.h"
#include "parsers/likely.h"

struct uids {
	uint32_t *items; /* own; rising, each once */
	size_t n, cap;
};

void uids_release(struct uids *u);
bool uids_add(struct uids *u, uint32_t uid); /* at the end; false: no memory */
void uids_sort(struct uids *u);
bool uids_have(const struct uids *u, uint32_t uid); /* of sorted ones */
/* Writes them as a set from *at on, "3:7,9", up to max bytes; *at moves behind what was written. */
void uids_put(struct buf *out, const struct uids *u, size_t *at, size_t max);

/* All messages of the folder above that UID, and, where since is not 0, that came that day or later.
 *   errors  as session_command */
enum mh_status find_above(struct session *s, uint32_t uid, int64_t since, struct uids *ret, struct mh_err *err);
/* Those of all that the server's search calls likely.
 *   errors  as session_command; MH_SKIP also: its search cannot be trusted with these words */
enum mh_status find_likely(
    struct session *s, const struct uids *all, const struct likely *l, struct uids *ret, struct mh_err *err);

struct found_header {
	uint32_t uid;
	uint64_t size;
	struct mh_span bytes; /* in libetpan's memory, until the next command */
};

/* The fields that tell what a message may be, of at most MH_IMAP_HEADERS messages from *at on; *at moves.
 *   out     ret, *ret_n: of those that are still there; a header of MH_IMAP_HEADER_BYTES was cut
 *   errors  as session_command */
enum mh_status find_headers(struct session *s, const struct uids *u, size_t *at,
    struct found_header ret[MH_IMAP_HEADERS], size_t *ret_n, struct mh_err *err);

/* The first max bytes of a message.
 *   out     ret: cleared before; *ret_more: there are others
 *   errors  MH_SKIP the server will not give it, in words; MH_OK with nothing in ret: it is gone, as a SEARCH says too;
 *           else as session_command */
enum mh_status find_message(
    struct session *s, uint32_t uid, size_t max, struct buf *ret, bool *ret_more, struct mh_err *err);

/* When the server took a message in (INTERNALDATE), which no sender has a hand in.
 *   errors  MH_SKIP it does not say, or says no time; else as session_command */
enum mh_status find_arrival(struct session *s, uint32_t uid, int64_t *ret, struct mh_err *err);

#endif
