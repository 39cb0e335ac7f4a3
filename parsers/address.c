/* address.c: mailboxes of an address list, by one pass. */
#include "parsers/address.h"

#include <string.h>

#define MAX_ADDRESS_BYTES 320 /* RFC 5321 4.5.3.1: 64 of local part, "@", 255 of domain */

struct address_reader {
	char plain[MAX_ADDRESS_BYTES]; /* of the mailbox so far: what stands in no bracket, comment or quotes */
	size_t n_plain;
	char angle[MAX_ADDRESS_BYTES];
	size_t n_angle;
	bool has_angle, too_long;
	char first[MAX_ADDRESS_BYTES];
	size_t n_first, count;
};

static void
append(struct address_reader *r, bool in_angle, char c)
{
	char *to = in_angle ? r->angle : r->plain;
	size_t *n = in_angle ? &r->n_angle : &r->n_plain;

	if (c == ' ' || c == '\t' || c == '\r' || c == '\n')
		return;
	if (*n == MAX_ADDRESS_BYTES)
		r->too_long = r->too_long || in_angle || !r->has_angle;
	else
		to[(*n)++] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static void
end_mailbox(struct address_reader *r)
{
	const char *p = r->has_angle ? r->angle : r->plain;
	const size_t n = r->has_angle ? r->n_angle : r->n_plain;
	const char *at = n > 0 ? memrchr(p, '@', n) : NULL;
	const bool over = n == MAX_ADDRESS_BYTES && r->too_long;

	if (at != NULL && at != p && at != p + n - 1 && !over) {
		if (r->count == 0) {
			memcpy(r->first, p, n);
			r->n_first = n;
		}
		r->count++;
	} else if (n > 0 || r->has_angle) {
		r->count++; /* something stands there: it must not look like one clean address */
		if (r->count == 1)
			r->n_first = 0;
	}
	r->n_plain = r->n_angle = 0;
	r->has_angle = r->too_long = false;
}

enum mh_status
address_read(struct mh_span list, struct arena *a, struct mh_span *ret_first, size_t *ret_count, struct mh_err *err)
{
	struct address_reader r = { .count = 0 };
	bool quoted = false, in_angle = false;
	unsigned comment = 0;

	for (size_t i = 0; i < list.n; i++) {
		const char c = list.p[i];

		if (c == '\\' && (quoted || comment > 0)) {
			i++;
			if (quoted && in_angle && i < list.n)
				append(&r, in_angle, list.p[i]);
		} else if (quoted) {
			quoted = c != '"';
			if (quoted && in_angle) /* a quoted local part; a quoted name is no part of the address */
				append(&r, in_angle, c);
		} else if (comment > 0) {
			comment += c == '(';
			comment -= c == ')';
		} else if (c == '"') {
			quoted = true;
		} else if (c == '(') {
			comment = 1;
		} else if (in_angle) {
			in_angle = c != '>';
			if (in_angle)
				append(&r, true, c);
		} else if (c == '<') {
			in_angle = r.has_angle = true;
			r.n_angle = 0;
		} else if (c == ',' || c == ';') {
			end_mailbox(&r);
		} else if (c == ':' && !r.has_angle) { /* a group's name */
			r.n_plain = 0;
		} else {
			append(&r, false, c);
		}
	}
	end_mailbox(&r);

	struct mh_span first = MH_NONE;
	const enum mh_status status =
	    r.n_first > 0 ? arena_copy(a, (struct mh_span){ r.first, r.n_first }, &first, err) : MH_OK;
	if (status != MH_OK)
		return status;
	*ret_first = first;
	*ret_count = r.count;
	return MH_OK;
}
