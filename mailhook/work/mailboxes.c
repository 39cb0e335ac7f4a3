/* mailboxes.c: see mailboxes.h.
 *
 * The ledger's meta keeps when a mailbox was first seen in the configuration, and whether its silence has had its case:
 * so one that was never read is silent too, and a case that a person closed is not opened again for the same silence. */
#include "mailhook/work/mailboxes.h"

#include <inttypes.h>
#include <string.h>

#include "mailhook/imap/report.h"
#include "mailhook/work/case_impl.h"
#include "mailhook/work/job.h"
#include "mailhook/work/ledger/times.h"

#define META "mailboxes" /* lines "NAME TIME alarmed|quiet" */
#define META_BYTES (256u << 10)

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

static struct mailbox_row
row_of(const struct conf_mailbox *box, const struct report_row *r, const struct noted *noted, int64_t now)
{
	struct mailbox_row row = { .box = box, .silence_s = -1 };
	int64_t from = noted->known ? noted->since : now;

	if (r != NULL) {
		row.watching = r->watching;
		row.known = r->has_last_ok;
		row.last_ok = r->last_ok;
		row.filing = r->filing;
		row.again = r->again;
		row.error = r->error;
	}
	if (row.known && (!noted->known || row.last_ok > from))
		from = row.last_ok;
	if (row.known || noted->known)
		row.silence_s = now > from ? now - from : 0; /* a clock that was set back is no silence */
	row.silent = row.silence_s > box->silent_s;
	return row;
}

enum mh_status
mailboxes_look(struct work *w, struct arena *a, int64_t now, struct mailbox_rows *ret, struct mh_err *err)
{
	const struct conf *c = w->conf;
	struct report report = { 0 };
	const char *meta = NULL;
	struct mailbox_rows rows = { .items = arena_array(a, c->n_mailboxes, sizeof(*rows.items)) };

	if (rows.items == NULL)
		return mh_fail(err, MH_RETRY, "no memory for mailboxes");
	enum mh_status status = report_read(c->state_dir, a, &report, err);
	if (status == MH_OK && w->db != NULL)
		status = ledger_meta_get(w->db, META, a, &meta, err);
	if (status != MH_OK)
		return status;
	rows.running = report.running;
	for (; rows.n < c->n_mailboxes; rows.n++) {
		const struct conf_mailbox *box = &c->mailboxes[rows.n];
		const struct report_row *r = report_of(&report, box->name);
		const struct noted noted = noted_of(meta == NULL ? "" : meta, box->name);

		rows.items[rows.n] = row_of(box, r, &noted, now);
		if (!report.running)
			rows.items[rows.n].watching = false; /* what a report says that nobody keeps */
	}
	*ret = rows;
	return MH_OK;
}

/* -- telling ------------------------------------------------------------------------------------------------------- */

static void
put_span(FILE *out, int64_t s)
{
	if (s < 120)
		(void)fprintf(out, "%" PRId64 " s", s);
	else if (s < 7200)
		(void)fprintf(out, "%" PRId64 " min", s / 60);
	else if (s < 172800)
		(void)fprintf(out, "%" PRId64 " h", s / 3600);
	else
		(void)fprintf(out, "%" PRId64 " days", s / 86400);
}

void
mailboxes_text(const struct mailbox_rows *rows, FILE *out)
{
	char shown[300];

	for (size_t i = 0; i < rows->n; i++) {
		const struct mailbox_row *r = &rows->items[i];

		(void)fprintf(out, "mailbox     %s: ", r->box->name);
		if (r->known) {
			(void)fputs("last read ", out);
			put_span(out, r->silence_s);
			(void)fputs(" ago", out);
		} else {
			(void)fputs("never read", out);
		}
		if (!rows->running)
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
		     json_add_string(one, "error", r->error);
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

/* A mailbox that is read again, or is not configured any more. */
static enum mh_status
shut_old(struct work *w, struct arena *a, const struct mailbox_rows *rows, int64_t now, struct mh_err *err)
{
	struct id_rows ids = { 0 };
	enum mh_status status = ledger_open_of_kind(w->db, KIND_MAILBOX, a, &ids, err);

	for (size_t i = 0; i < ids.n && status == MH_OK; i++) {
		struct case_row c;

		status = ledger_case_get(w->db, ids.items[i], a, &c, err);
		const struct mailbox_row *row = status == MH_OK ? named(rows, c.resource) : NULL;
		if (status != MH_OK || (row != NULL && row->silent))
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
open_one(struct work *w, struct arena *a, const struct mailbox_row *r, bool running, int64_t now, struct mh_err *err)
{
	struct take t = { .w = w, .a = a, .now = now };
	struct mh_span reason;
	char when[MH_TIME_TEXT];

	if (arena_printf(a, &reason, err, "mailbox %s was %s%s: %s", r->box->name,
		r->known ? "last read at " : "never read", r->known ? time_text(when, r->last_ok) : "",
		r->error != NULL ? r->error
		: running        ? "its server does not answer"
				 : "mailhook imap does not run") != MH_OK)
		return MH_RETRY;
	struct case_row c = {
		.kind = KIND_MAILBOX, .resource = r->box->name, .reason = reason.p, .trust = TRUST_VERIFIED
	}; /* our own word */
	return case_open(&t, &c, err);
}

enum mh_status
mailboxes_cases(struct work *w, struct arena *a, int64_t now, struct mh_err *err)
{
	struct mailbox_rows rows = { 0 };
	const char *before = NULL;
	struct buf after;
	enum mh_status status = mailboxes_look(w, a, now, &rows, err);

	if (status == MH_OK)
		status = ledger_meta_get(w->db, META, a, &before, err);
	if (status == MH_OK)
		status = shut_old(w, a, &rows, now, err);
	buf_init(&after, META_BYTES);
	for (size_t i = 0; i < rows.n && status == MH_OK; i++) {
		const struct mailbox_row *r = &rows.items[i];
		struct noted n = noted_of(before == NULL ? "" : before, r->box->name);

		if (!n.known)
			n = (struct noted){ .known = true, .since = now };
		if (r->silent && !n.alarmed)
			status = open_one(w, a, r, rows.running, now, err);
		n.alarmed = r->silent;
		put_noted(&after, r->box->name, &n);
	}
	if (status == MH_OK && !buf_ok(&after))
		status = mh_fail(err, MH_RETRY, "no memory for mailboxes");
	if (status == MH_OK && strcmp(before == NULL ? "" : before, after.p == NULL ? "" : after.p) != 0)
		status = ledger_meta_set(w->db, META, after.p == NULL ? "" : after.p, err);
	buf_release(&after);
	return status;
}
