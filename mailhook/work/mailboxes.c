/* mailboxes.c: see mailboxes.h.
 *
 * The ledger's meta keeps when a mailbox was first seen in the configuration, and whether its silence has had its case:
 * so one that was never read is silent too, and a case that a person closed is not opened again for the same silence.
 *
 * Where nodes share the ledger, a mailbox's lease says who watches it and when it was read, and all workers come to the
 * same of it; whichever looks first opens the case. What this node does not configure is another's business while it
 * has a lease. */
#include "mailhook/work/mailboxes.h"

#include <inttypes.h>
#include <string.h>

#include "mailhook/imap/report.h"
#include "mailhook/work/ago.h"
#include "mailhook/work/case_impl.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/mailbox_leases.h"
#include "mailhook/work/ledger/times.h"

#define META "mailboxes" /* lines "NAME TIME alarmed|quiet" */
#define META_BYTES (256u << 10)
#define NAME_BYTES 65

/* -- what was noted ------------------------------------------------------------------------------------------------ */

struct noted {
	bool known, alarmed;
	int64_t since;
};

static struct noted
noted_of(const char *meta, const char *name)
{
	struct mh_span rest = span_of(meta), line;
	const size_t n = strlen(name);
	struct noted found = { 0 };

	while (span_line(&rest, &line)) {
		if (!span_starts(line, (struct mh_span){ name, n }) || line.n < n + 23 || line.p[n] != ' ')
			continue;
		found.known = time_read(span_head(span_from(line, n + 1), 20), &found.since, NULL) == MH_OK;
		found.alarmed = span_eq(span_from(line, n + 22), MH_LIT("alarmed"));
	}
	return found;
}

static void
put_noted(struct buf *out, const char *name, const struct noted *n)
{
	char t[MH_TIME_TEXT];

	buf_printf(out, "%s %s %s\n", name, time_text(t, n->since), n->alarmed ? "alarmed" : "quiet");
}

/* -- looking ------------------------------------------------------------------------------------------------------- */

static void
from_report(struct mailbox_row *row, const struct report *report)
{
	const struct report_row *r = report_of(report, row->box->name);

	row->attended = report->running;
	if (r == NULL)
		return;
	row->watching = r->watching && report->running; /* what a report says that nobody keeps */
	row->known = r->has_last_ok;
	row->last_ok = r->last_ok;
	row->filing = r->filing;
	row->again = r->again;
	row->error = r->error;
}

/* in: l: NULL: no node ever had it */
static void
from_lease(struct mailbox_row *row, const struct mailbox_lease_row *l, const char *node, int64_t now)
{
	const bool held = l != NULL && l->until > now, here = held && strcmp(l->node, node) == 0;

	row->attended = held;
	row->watching = row->watching && here;
	row->node = held && !here ? l->node : NULL;
	if (l != NULL &&
	    l->has_read) { /* this node's own report is of its own clock, and of when it had the mailbox last */
		row->known = true;
		row->last_ok = l->read;
	}
	if (here)
		return;
	row->filing = row->again = 0; /* as it was when this node had it */
	row->error = held ? NULL : row->error;
}

static void
measure(struct mailbox_row *row, const struct noted *noted, int64_t now)
{
	int64_t from = noted->known ? noted->since : now;

	row->silence_s = -1;
	if (row->known && (!noted->known || row->last_ok > from))
		from = row->last_ok;
	if (row->known || noted->known)
		row->silence_s = now > from ? now - from : 0; /* a clock that was set back is no silence */
	row->silent = row->silence_s > row->box->silent_s;
}

static bool
shared(const struct work *w)
{
	return w->db != NULL && !w->db->engine->local;
}

static enum mh_status
leases_of(struct work *w, struct arena *a, struct mailbox_lease_rows *ret, int64_t *ret_now, struct mh_err *err)
{
	const enum mh_status status = w->db->engine->now(w->db, ret_now, err);

	return status == MH_OK ? ledger_mailbox_leases(w->db, a, ret, err) : status;
}

enum mh_status
mailboxes_look(struct work *w, struct arena *a, int64_t now, struct mailbox_rows *ret, struct mh_err *err)
{
	const struct conf *c = w->conf;
	struct mailbox_lease_rows leases = { 0 };
	struct report report = { 0 };
	const char *meta = NULL;
	struct mailbox_rows rows = { .items = arena_array(a, c->n_mailboxes, sizeof(*rows.items)), .now = now };

	if (rows.items == NULL)
		return mh_fail(err, MH_RETRY, "no memory for mailboxes");
	enum mh_status status = report_read(c->state_dir, a, &report, err);
	if (status == MH_OK && w->db != NULL)
		status = ledger_meta_get(w->db, META, a, &meta, err);
	if (status == MH_OK && shared(w))
		status = leases_of(w, a, &leases, &rows.now, err);
	if (status != MH_OK)
		return status;
	for (; rows.n < c->n_mailboxes; rows.n++) {
		const struct conf_mailbox *box = &c->mailboxes[rows.n];
		const struct noted noted = noted_of(meta == NULL ? "" : meta, box->name);
		struct mailbox_row *row = &rows.items[rows.n];

		*row = (struct mailbox_row){ .box = box };
		from_report(row, &report);
		if (shared(w))
			from_lease(row, mailbox_lease_of(&leases, box->name), w->node, rows.now);
		measure(row, &noted, rows.now);
	}
	*ret = rows;
	return MH_OK;
}

/* -- telling ------------------------------------------------------------------------------------------------------- */

void
mailboxes_text(const struct mailbox_rows *rows, FILE *out)
{
	char shown[300], t[AGO_WORDS];

	for (size_t i = 0; i < rows->n; i++) {
		const struct mailbox_row *r = &rows->items[i];

		(void)fprintf(out, "mailbox     %s: ", r->box->name);
		if (r->known) {
			(void)fputs("last read ", out);
			(void)fputs(ago_words(t, r->silence_s), out);
			(void)fputs(" ago", out);
		} else {
			(void)fputs("never read", out);
		}
		if (r->node != NULL)
			(void)fprintf(out, ", node %s watches it", r->node);
		else if (!r->attended)
			(void)fputs(", nobody watches it now", out);
		if (r->silent)
			(void)fputs(", SILENT", out);
		if (r->filing > 0)
			(void)fprintf(out, ", %" PRId64 " messages wait to be filed", r->filing);
		if (r->again > 0)
			(void)fprintf(out, ", %" PRId64 " messages could not be fetched", r->again);
		if (r->error != NULL)
			(void)fprintf(out, ": %s", mh_escape_words(shown, sizeof(shown), r->error));
		(void)fputs("\n", out);
	}
}

bool
mailboxes_json(const struct mailbox_rows *rows, cJSON *j)
{
	cJSON *list = cJSON_AddArrayToObject(j, "mailboxes");
	bool ok = list != NULL;

	for (size_t i = 0; ok && i < rows->n; i++) {
		const struct mailbox_row *r = &rows->items[i];
		cJSON *one = cJSON_CreateObject();

		ok = one != NULL && cJSON_AddItemToArray(list, one) && json_add_string(one, "name", r->box->name) &&
		     cJSON_AddBoolToObject(one, "watching", r->watching) != NULL &&
		     (r->known ? json_add_time(one, "last_ok", r->last_ok) : json_add_string(one, "last_ok", NULL)) &&
		     cJSON_AddBoolToObject(one, "silent", r->silent) != NULL &&
		     json_add_integer(one, "filing", r->filing) && json_add_integer(one, "again", r->again) &&
		     json_add_string(one, "error", r->error) && json_add_string(one, "node", r->node);
	}
	return ok;
}

struct family {
	const char *name, *help;
	int64_t (*value)(const struct mailbox_row *r);
};

static int64_t
last_ok(const struct mailbox_row *r)
{
	return r->known ? r->last_ok : 0;
}

static int64_t
watching(const struct mailbox_row *r)
{
	return r->watching;
}

static int64_t
silent(const struct mailbox_row *r)
{
	return r->silent;
}

static int64_t
filing(const struct mailbox_row *r)
{
	return r->filing;
}

static int64_t
again(const struct mailbox_row *r)
{
	return r->again;
}

void
mailboxes_prometheus(const struct mailbox_rows *rows, struct buf *out)
{
	static const struct family families[] = {
		{ "last_read_timestamp_seconds", "When all that was there had been read; 0: never.", last_ok },
		{ "watched", "Whether it is watched now.", watching },
		{ "silent", "Whether it was not read for longer than it may be.", silent },
		{ "filing_messages", "Messages that wait to be filed.", filing },
		{ "again_messages", "Messages that the server would not give.", again },
	};

	for (size_t f = 0; f < sizeof(families) / sizeof(families[0]) && rows->n > 0; f++) {
		buf_printf(out, "# HELP mailhook_mailbox_%s %s\n# TYPE mailhook_mailbox_%s gauge\n", families[f].name,
		    families[f].help, families[f].name);
		for (size_t i = 0; i < rows->n; i++) /* a title needs no escape: letters, digits, .-_@ */
			buf_printf(out, "mailhook_mailbox_%s{mailbox=\"%s\"} %" PRId64 "\n", families[f].name,
			    rows->items[i].box->name, families[f].value(&rows->items[i]));
	}
}

/* -- cases --------------------------------------------------------------------------------------------------------- */

static const struct mailbox_row *
named(const struct mailbox_rows *rows, const char *name)
{
	for (size_t i = 0; i < rows->n && name != NULL; i++)
		if (strcmp(rows->items[i].box->name, name) == 0)
			return &rows->items[i];
	return NULL;
}

/* Another node has it in its configuration: one that this node does not know. */
static bool
of_others(const struct mailbox_lease_rows *leases, const char *name)
{
	return name != NULL && mailbox_lease_of(leases, name) != NULL;
}

/* A mailbox that is read again, or is not configured any more. */
static enum mh_status
shut_old(struct work *w, struct arena *a, const struct mailbox_rows *rows, const struct mailbox_lease_rows *leases,
    int64_t now, struct mh_err *err)
{
	struct id_rows ids = { 0 };
	enum mh_status status = ledger_open_of_kind(w->db, KIND_MAILBOX, a, &ids, err);

	for (size_t i = 0; i < ids.n && status == MH_OK; i++) {
		struct case_row c;

		status = ledger_case_get(w->db, ids.items[i], a, &c, err);
		const struct mailbox_row *row = status == MH_OK ? named(rows, c.resource) : NULL;
		if (status != MH_OK || (row != NULL ? row->silent : of_others(leases, c.resource)))
			continue;
		c.open = false;
		c.has_closed = true;
		c.closed = now;
		c.closed_by = "mailhook";
		status = ledger_case_update(w->db, &c, err);
		if (status == MH_OK)
			status = case_event(w, &c, "closed", "mailhook",
			    row == NULL ? "it is not configured any more" : "it is read again", NULL, now, err);
	}
	return status;
}

static enum mh_status
open_one(struct work *w, struct arena *a, const struct mailbox_row *r, int64_t now, struct mh_err *err)
{
	struct take t = { .w = w, .a = a, .now = now };
	struct mh_span reason;
	char when[MH_TIME_TEXT];

	if (arena_printf(a, &reason, err, "mailbox %s was %s%s: %s%s", r->box->name,
		r->known ? "last read at " : "never read", r->known ? time_text(when, r->last_ok) : "",
		r->node != NULL    ? "it is with node "
		: r->error != NULL ? r->error
		: r->attended      ? "its server does not answer"
		: shared(w)        ? "no node watches it"
				   : "mailhook imap does not run",
		r->node != NULL ? r->node : "") != MH_OK)
		return MH_RETRY;
	struct case_row c = {
		.kind = KIND_MAILBOX, .resource = r->box->name, .reason = reason.p, .trust = TRUST_VERIFIED
	}; /* our own word */
	return case_open(&t, &c, err);
}

/* The notes of now: lines stay in their order, so that nodes with other mailboxes than ours do not undo each other's.
 * Those of mailboxes that nobody has any more are left out.
 *   in      fresh: of rows, in their order */
static void
put_notes(struct buf *out, const char *before, const struct mailbox_rows *rows, const struct noted *fresh,
    const struct mailbox_lease_rows *leases)
{
	struct mh_span rest = span_of(before), line;

	while (span_line(&rest, &line)) {
		const char *blank = memchr(line.p, ' ', line.n);
		char name[NAME_BYTES];

		if (blank == NULL || (size_t)(blank - line.p) >= sizeof(name))
			continue;
		memcpy(name, line.p, (size_t)(blank - line.p));
		name[blank - line.p] = '\0';
		const struct mailbox_row *own = named(rows, name);
		if (own != NULL) {
			put_noted(out, name, &fresh[own - rows->items]);
		} else if (of_others(leases, name)) {
			buf_put(out, line);
			buf_putc(out, '\n');
		}
	}
	for (size_t i = 0; i < rows->n; i++)
		if (!noted_of(before, rows->items[i].box->name).known)
			put_noted(out, rows->items[i].box->name, &fresh[i]);
}

static enum mh_status
open_silent(struct work *w, struct arena *a, const struct mailbox_rows *rows, const char *before, struct noted *fresh,
    int64_t now, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	for (size_t i = 0; i < rows->n && status == MH_OK; i++) {
		const struct mailbox_row *r = &rows->items[i];

		fresh[i] = noted_of(before, r->box->name);
		if (!fresh[i].known)
			fresh[i] = (struct noted){ .known = true, .since = rows->now };
		if (r->silent && !fresh[i].alarmed)
			status = open_one(w, a, r, now, err);
		fresh[i].alarmed = r->silent;
	}
	return status;
}

/* So that other nodes know of this one's mailboxes, also where nobody has ever read them. */
static enum mh_status
enter(struct work *w, struct arena *a, struct mh_err *err)
{
	struct mailbox_names names = { .items = arena_array(a, w->conf->n_mailboxes + 1, sizeof(*names.items)) };

	if (names.items == NULL)
		return mh_fail(err, MH_RETRY, "no memory for mailboxes");
	for (; names.n < w->conf->n_mailboxes; names.n++)
		names.items[names.n] = w->conf->mailboxes[names.n].name;
	return ledger_mailbox_add(w->db, &names, err);
}

enum mh_status
mailboxes_cases(struct work *w, struct arena *a, int64_t now, struct mh_err *err)
{
	struct mailbox_lease_rows leases = { 0 };
	struct mailbox_rows rows = { 0 };
	struct noted *fresh = arena_array(a, w->conf->n_mailboxes + 1, sizeof(*fresh));
	const char *before = NULL;
	struct buf after;
	enum mh_status status =
	    fresh == NULL ? mh_fail(err, MH_RETRY, "no memory for mailboxes") : mailboxes_look(w, a, now, &rows, err);

	if (status == MH_OK)
		status = ledger_meta_get(w->db, META, a, &before, err);
	if (status == MH_OK && shared(w))
		status = enter(w, a, err);
	if (status == MH_OK && shared(w))
		status = ledger_mailbox_leases(w->db, a, &leases, err);
	if (status == MH_OK)
		status = shut_old(w, a, &rows, &leases, now, err);
	before = before == NULL ? "" : before;
	if (status == MH_OK)
		status = open_silent(w, a, &rows, before, fresh, now, err);
	if (status != MH_OK)
		return status;
	buf_init(&after, META_BYTES);
	put_notes(&after, before, &rows, fresh, &leases);
	if (!buf_ok(&after))
		status = mh_fail(err, MH_RETRY, "no memory for mailboxes");
	if (status == MH_OK && strcmp(before, after.p == NULL ? "" : after.p) != 0)
		status = ledger_meta_set(w->db, META, after.p == NULL ? "" : after.p, err);
	buf_release(&after);
	return status;
}
