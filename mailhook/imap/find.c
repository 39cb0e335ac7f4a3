/* find.c: see find.h. */
#include "mailhook/imap/find.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND_BYTES (8u << 10) /* what every server takes: RFC 7162 section 4 */
#define SET_BYTES 4000
#define KEYS_BYTES 3500

/* -- UIDs --------------------------------------------------------------------------------------------------------- */

void
uids_release(struct uids *u)
{
	free(u->items);
	*u = (struct uids){ 0 };
}

bool
uids_add(struct uids *u, uint32_t uid)
{
	if (u->n == u->cap) {
		const size_t cap = u->cap == 0 ? 64 : 2 * u->cap;
		uint32_t *more = reallocarray(u->items, cap, sizeof(*more));

		if (more == NULL)
			return false;
		u->items = more;
		u->cap = cap;
	}
	u->items[u->n++] = uid;
	return true;
}

static int
by_number(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

void
uids_sort(struct uids *u)
{
	size_t n = 0;

	if (u->n > 1)
		qsort(u->items, u->n, sizeof(u->items[0]), by_number);
	for (size_t i = 0; i < u->n; i++)
		if (n == 0 || u->items[n - 1] != u->items[i])
			u->items[n++] = u->items[i];
	u->n = n;
}

bool
uids_have(const struct uids *u, uint32_t uid)
{
	return u->n > 0 && bsearch(&uid, u->items, u->n, sizeof(u->items[0]), by_number) != NULL;
}

void
uids_put(struct buf *out, const struct uids *u, size_t *at, size_t max)
{
	const size_t start = out->n;

	while (*at < u->n && out->n - start < max) {
		const uint32_t first = u->items[*at];
		uint32_t last = first;

		for (++*at; *at < u->n && u->items[*at] == last + 1; ++*at)
			last++;
		buf_printf(out, "%s%" PRIu32, out->n > start ? "," : "", first);
		if (last != first)
			buf_printf(out, ":%" PRIu32, last);
	}
}

/* -- searching ----------------------------------------------------------------------------------------------------- */

static enum mh_status
search(struct session *s, const struct buf *command, struct uids *ret, struct mh_err *err)
{
	const enum mh_status status = session_command(s, "SEARCH", command, SCREEN_SEARCH, MH_IMAP_SEARCH_BYTES, err);
	const struct mailimap_response_info *info = s->imap->imap_response_info;

	if (status != MH_OK || info == NULL || info->rsp_search_result == NULL)
		return status;
	for (clistiter *i = clist_begin(info->rsp_search_result); i != NULL; i = clist_next(i)) {
		const uint32_t *uid = clist_content(i);

		if (*uid != 0 && !uids_add(ret, *uid))
			return mh_fail(err, MH_RETRY, "no memory for a list of messages");
	}
	return MH_OK;
}

static void
put_day(struct buf *out, int64_t t)
{
	static const char *const months[] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct",
		"Nov", "Dec" };
	int year, month, day;

	time_to_civil(t, &year, &month, &day);
	buf_printf(out, "%d-%s-%04d", day, months[month - 1], year);
}

enum mh_status
find_above(struct session *s, uint32_t uid, int64_t since, struct uids *ret, struct mh_err *err)
{
	struct buf command;
	size_t n = 0;

	if (uid == UINT32_MAX)
		return MH_OK;
	buf_init(&command, COMMAND_BYTES);
	buf_printf(&command, "UID SEARCH UID %" PRIu32 ":*", uid + 1);
	if (since != 0) {
		buf_puts(&command, " SINCE ");
		put_day(&command, since);
	}
	const enum mh_status status = search(s, &command, ret, err);
	buf_release(&command);
	uids_sort(ret);
	for (size_t i = 0; i < ret->n; i++) /* "*" names the last message, also one below */
		if (ret->items[i] > uid)
			ret->items[n++] = ret->items[i];
	ret->n = n;
	return status;
}

/* Keys of one command, and the commands that they make. */
struct keys {
	struct session *session;
	const struct uids *all;
	struct uids *found;
	struct buf list; /* own: keys, one behind the other */
	size_t n;
	enum mh_status status;
	struct mh_err *err;
};

static void
ask(struct keys *k)
{
	struct buf command;

	if (k->n == 0 || k->status != MH_OK)
		return;
	buf_init(&command, COMMAND_BYTES);
	buf_printf(&command, "UID SEARCH UID %" PRIu32 ":%" PRIu32, k->all->items[0], k->all->items[k->all->n - 1]);
	for (size_t i = 1; i < k->n; i++)
		buf_puts(&command, " OR");
	buf_put(&command, buf_span(&k->list));
	k->status = search(k->session, &command, k->found, k->err);
	buf_release(&command);
	buf_clear(&k->list);
	k->n = 0;
}

static void
add_key(struct keys *k, const char *name, struct mh_span text)
{
	buf_printf(&k->list, " %s ", name);
	if (!put_quoted(&k->list, text)) /* other words than ASCII: not every server's search knows them */
		k->status =
		    k->status == MH_OK ? mh_fail(k->err, MH_SKIP, "a definition's words are not ASCII") : k->status;
	k->n++;
	if (k->list.n + 4 * k->n > KEYS_BYTES)
		ask(k);
}

static void
on_key(void *user, enum likely_key kind, struct mh_span text)
{
	struct keys *k = user;
	char name[80];

	switch (kind) {
	case LIKELY_FROM:
		add_key(k, "FROM", text);
		add_key(k, "HEADER Sender", text);
		add_key(k, "HEADER Reply-To", text);
		add_key(k, "HEADER X-Original-From", text);
		add_key(k, "HEADER X-Original-Sender", text);
		break;
	case LIKELY_SUBJECT:
		add_key(k, "SUBJECT", text);
		break;
	case LIKELY_HEADER:
		(void)snprintf(name, sizeof(name), "HEADER %.*s", (int)text.n, text.p);
		add_key(k, name, MH_LIT(""));
		break;
	}
}

enum mh_status
find_likely(struct session *s, const struct uids *all, const struct likely *l, struct uids *ret, struct mh_err *err)
{
	struct keys k = { .session = s, .all = all, .found = ret, .err = err };
	size_t n = 0;

	if (s->search_by_words)
		return mh_fail(err, MH_SKIP, "the server's search looks for whole words");
	buf_init(&k.list, COMMAND_BYTES);
	likely_keys(l, on_key, &k);
	ask(&k);
	buf_release(&k.list);
	uids_sort(ret);
	for (size_t i = 0; i < ret->n; i++)
		if (uids_have(all, ret->items[i]))
			ret->items[n++] = ret->items[i];
	ret->n = n;
	return k.status;
}

/* -- fetching ------------------------------------------------------------------------------------------------------ */

/* What one FETCH says of one message. */
static struct found_header
read_att(const struct mailimap_msg_att *att)
{
	struct found_header f = { 0 };

	for (clistiter *i = clist_begin(att->att_list); i != NULL; i = clist_next(i)) {
		const struct mailimap_msg_att_item *item = clist_content(i);
		if (item->att_type != MAILIMAP_MSG_ATT_ITEM_STATIC || item->att_data.att_static == NULL)
			continue;
		const struct mailimap_msg_att_static *st = item->att_data.att_static;
		if (st->att_type == MAILIMAP_MSG_ATT_UID)
			f.uid = st->att_data.att_uid;
		else if (st->att_type == MAILIMAP_MSG_ATT_RFC822_SIZE)
			f.size = st->att_data.att_rfc822_size;
		else if (st->att_type == MAILIMAP_MSG_ATT_BODY_SECTION && st->att_data.att_body_section != NULL &&
			 st->att_data.att_body_section->sec_body_part != NULL)
			f.bytes = (struct mh_span){ st->att_data.att_body_section->sec_body_part,
				st->att_data.att_body_section->sec_length };
	}
	return f;
}

static clist *
fetched(const struct session *s)
{
	return s->imap->imap_response_info == NULL ? NULL : s->imap->imap_response_info->rsp_fetch_list;
}

static bool
is_told(const struct found_header *list, size_t n, uint32_t uid)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].uid == uid)
			return true;
	return false;
}

static void
put_header_items(struct buf *out)
{
	buf_puts(out, " (UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (");
	for (const char *const *f = likely_fields; *f != NULL; f++)
		buf_printf(out, "%s%s", f == likely_fields ? "" : " ", *f);
	buf_printf(out, ")]<0.%u>)", MH_IMAP_HEADER_BYTES);
}

enum mh_status
find_headers(struct session *s, const struct uids *u, size_t *at, struct found_header ret[MH_IMAP_HEADERS],
    size_t *ret_n, struct mh_err *err)
{
	const size_t n = u->n - *at < MH_IMAP_HEADERS ? u->n - *at : MH_IMAP_HEADERS;
	const struct uids some = { .items = u->items + *at, .n = n };
	struct buf command;
	size_t from = 0;

	*ret_n = 0;
	buf_init(&command, COMMAND_BYTES);
	buf_puts(&command, "UID FETCH ");
	uids_put(&command, &some, &from, SET_BYTES);
	put_header_items(&command);
	const enum mh_status status = session_command(s, "FETCH", &command, SCREEN_FETCH, 0, err);
	buf_release(&command);
	if (status != MH_OK && status != MH_SKIP) /* a NO: the server has not all of them, and the others are there */
		return status;
	*at += from;
	clist *list = fetched(s);
	for (clistiter *i = list == NULL ? NULL : clist_begin(list); i != NULL; i = clist_next(i)) {
		const struct found_header f = read_att(clist_content(i));

		/* A server may tell of others, and of one twice: what changed in its flags. */
		if (f.bytes.p != NULL && uids_have(&some, f.uid) && !is_told(ret, *ret_n, f.uid))
			ret[(*ret_n)++] = f;
	}
	return MH_OK;
}

/* One piece of a message; *ret_n: its bytes. */
static enum mh_status
find_piece(struct session *s, uint32_t uid, size_t at, size_t max, struct buf *out, size_t *ret_n, struct mh_err *err)
{
	struct buf command;

	*ret_n = 0;
	buf_init(&command, COMMAND_BYTES);
	buf_printf(&command, "UID FETCH %" PRIu32 " (UID BODY.PEEK[]<%zu.%zu>)", uid, at, max);
	const enum mh_status status = session_command(s, "FETCH", &command, SCREEN_FETCH, 0, err);
	buf_release(&command);
	clist *list = status == MH_OK ? fetched(s) : NULL;
	for (clistiter *i = list == NULL ? NULL : clist_begin(list); i != NULL && *ret_n == 0; i = clist_next(i)) {
		const struct found_header f = read_att(clist_content(i));

		if (f.uid == uid && f.bytes.p != NULL) {
			buf_put(out, span_head(f.bytes, max));
			*ret_n = f.bytes.n < max ? f.bytes.n : max;
		}
	}
	return status;
}

/* An OK without data says that a message is gone; a server that is in trouble says it too. */
static enum mh_status
is_gone(struct session *s, uint32_t uid, struct mh_err *err)
{
	struct uids there = { 0 };
	struct buf command;

	buf_init(&command, COMMAND_BYTES);
	buf_printf(&command, "UID SEARCH UID %" PRIu32, uid);
	enum mh_status status = search(s, &command, &there, err);
	buf_release(&command);
	uids_sort(&there);
	if (status == MH_OK && uids_have(&there, uid))
		status = mh_fail(err, MH_SKIP, "the server gives nothing of it");
	uids_release(&there);
	return status;
}

enum mh_status
find_message(struct session *s, uint32_t uid, size_t max, struct buf *ret, bool *ret_more, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	buf_clear(ret);
	*ret_more = false;
	for (;;) {
		const size_t left = max - ret->n + 1, /* the one more tells that there are others */
		    want = left < MH_IMAP_CHUNK_BYTES ? left : MH_IMAP_CHUNK_BYTES;
		size_t got = 0;

		status = find_piece(s, uid, ret->n, want, ret, &got, err);
		if (status == MH_OK && !buf_ok(ret))
			status = mh_fail(err, MH_RETRY, "no memory for a message");
		if (status == MH_OK && ret->n == 0)
			status = is_gone(s, uid, err);
		if (status != MH_OK || got < want)
			return status;
		if (ret->n > max) {
			ret->n = max;
			*ret_more = true;
			return MH_OK;
		}
	}
}

static bool
within(int n, int least, int most)
{
	return n >= least && n <= most;
}

/* A zone is written as +HHMM. */
static bool
instant_of(const struct mailimap_date_time *d, int64_t *ret)
{
	const int zone = d->dt_zone < 0 ? -d->dt_zone : d->dt_zone;
	const int64_t east_s = (int64_t)(zone / 100) * 3600 + (int64_t)(zone % 100) * 60;

	if (!within(d->dt_year, 1970, 9999) || !within(d->dt_month, 1, 12) || !within(d->dt_day, 1, 31) ||
	    !within(d->dt_hour, 0, 23) || !within(d->dt_min, 0, 59) || !within(d->dt_sec, 0, 60) ||
	    !within(d->dt_zone, -1400, 1400))
		return false;
	*ret = time_of_civil(d->dt_year, d->dt_month, d->dt_day, d->dt_hour, d->dt_min, d->dt_sec) -
	       (d->dt_zone < 0 ? -east_s : east_s);
	return true;
}

static const struct mailimap_date_time *
arrival_in(const struct mailimap_msg_att *att)
{
	for (clistiter *i = clist_begin(att->att_list); i != NULL; i = clist_next(i)) {
		const struct mailimap_msg_att_item *item = clist_content(i);

		if (item->att_type == MAILIMAP_MSG_ATT_ITEM_STATIC && item->att_data.att_static != NULL &&
		    item->att_data.att_static->att_type == MAILIMAP_MSG_ATT_INTERNALDATE)
			return item->att_data.att_static->att_data.att_internal_date;
	}
	return NULL;
}

enum mh_status
find_arrival(struct session *s, uint32_t uid, int64_t *ret, struct mh_err *err)
{
	struct buf command;
	bool told = false;

	buf_init(&command, COMMAND_BYTES);
	buf_printf(&command, "UID FETCH %" PRIu32 " (UID INTERNALDATE)", uid);
	const enum mh_status status = session_command(s, "FETCH", &command, SCREEN_FETCH, 0, err);
	buf_release(&command);
	clist *list = status == MH_OK ? fetched(s) : NULL;
	for (clistiter *i = list == NULL ? NULL : clist_begin(list); i != NULL && !told; i = clist_next(i)) {
		const struct mailimap_msg_att *att = clist_content(i);
		const struct mailimap_date_time *d = arrival_in(att);

		told = d != NULL && read_att(att).uid == uid && instant_of(d, ret);
	}
	return status == MH_OK && !told ? mh_fail(err, MH_SKIP, "the server does not say when it came") : status;
}
