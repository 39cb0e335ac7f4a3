/* page.c: one page of what expires when, for a browser, a phone and paper. It loads nothing and runs nothing: its policy
 * forbids both, so that what an escape missed could do nothing either. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mailhook/work/accounts.h"
#include "mailhook/work/case.h"
#include "mailhook/work/job.h"
#include "mailhook/work/publish.h"

#define SOON_DAYS 7
#define NEAR_DAYS 30
#define ROW_ARENA_BYTES ((size_t)16 << 20)

extern const char page_css[]; /* page.css */

enum tone { TONE_PAST, TONE_SOON, TONE_NEAR, TONE_CALM, TONE_BLANK };
#define TONES 5
static const char *const tone_names[TONES] = { "past", "soon", "near", "calm", "blank" };
static const char *const tile_names[TONES] = { "expired", "within 7 days", "within 30 days", "later",
	"without a date" };

struct page {
	struct work *w;
	struct buf *out;
	int64_t now;
	size_t tiles[TONES], people;
	struct buf waits; /* the list of what waits for a person, before it is known whether there is one */
};

/* -- text ---------------------------------------------------------------------------------------------------------- */

/* Text as text, in an element or a quoted attribute. */
static void
put(struct buf *out, const char *text)
{
	struct mh_span s = span_of(text);

	while (s.n > 0) {
		const size_t n = utf8_sequence(s);
		const struct mh_span one = span_head(s, n == 0 ? 1 : n);

		if (n == 0 || utf8_misleads(one))
			buf_puts(out, s.p[0] == '\n' || s.p[0] == '\t' ? " " : "\xef\xbf\xbd");
		else if (s.p[0] == '&')
			buf_puts(out, "&amp;");
		else if (s.p[0] == '<')
			buf_puts(out, "&lt;");
		else if (s.p[0] == '>')
			buf_puts(out, "&gt;");
		else if (s.p[0] == '"')
			buf_puts(out, "&quot;");
		else if (s.p[0] == '\'')
			buf_puts(out, "&#39;");
		else
			buf_put(out, one);
		s = span_from(s, one.n);
	}
}

/* <tag>text</tag>, or nothing. */
static void
put_in(struct buf *out, const char *tag, const char *text)
{
	if (text == NULL || text[0] == '\0')
		return;
	buf_printf(out, "<%s>", tag);
	put(out, text);
	buf_printf(out, "</%s>", tag);
}

static void
put_time(struct buf *out, int64_t t, bool day_only)
{
	char text[MH_TIME_TEXT];

	(void)time_text(text, t);
	buf_printf(out, "<time datetime=\"%s\">%.10s", text, text);
	if (!day_only)
		buf_printf(out, " %.5s UTC", text + 11);
	buf_puts(out, "</time>");
}

/* "aws.identity-center.scim-token": its last two parts are what people say. */
static void
put_kind(struct buf *out, const char *kind)
{
	char words[80];
	const char *from = kind;
	size_t dots = 0;

	for (const char *p = kind; *p != '\0'; p++)
		dots += *p == '.';
	for (; dots > 1; dots--)
		from = strchr(from, '.') + 1;
	(void)snprintf(words, sizeof(words), "%.*s", (int)sizeof(words) - 1, from);
	for (char *p = words; *p != '\0'; p++)
		if (*p == '-' || *p == '.')
			*p = ' ';
	put_in(out, "strong", words);
	if (strcmp(words, kind) != 0)
		put_in(out, "small", kind);
}

/* -- one case ------------------------------------------------------------------------------------------------------ */

static enum tone
tone_of(const struct case_row *c, int64_t now)
{
	const int64_t s = c->expires - now;

	if (!c->has_expires || !c->open)
		return TONE_BLANK;
	if (s < 0)
		return TONE_PAST;
	return s < SOON_DAYS * MH_DAY_S ? TONE_SOON : s < NEAR_DAYS * MH_DAY_S ? TONE_NEAR : TONE_CALM;
}

static void
put_left(const struct page *p, const struct case_row *c)
{
	const int64_t days = time_day(c->expires) - time_day(p->now);

	buf_puts(p->out, "<td class=\"left\"><b>");
	if (!c->has_expires)
		buf_puts(p->out, "no date");
	else if (days == 0)
		buf_puts(p->out, c->expires < p->now ? "today, past" : "today");
	else if (days == 1)
		buf_puts(p->out, "tomorrow");
	else if (days == -1)
		buf_puts(p->out, "yesterday");
	else if (days > 0)
		buf_printf(p->out, "in %" PRId64 " days", days);
	else
		buf_printf(p->out, "%" PRId64 " days ago", -days);
	buf_puts(p->out, "</b>");
	if (c->has_expires) {
		buf_puts(p->out, "<small>");
		put_time(p->out, c->expires, c->precision != MH_SECOND);
		buf_puts(p->out, c->precision == MH_DERIVED ? ", counted</small>" : "</small>");
	}
	buf_puts(p->out, "</td>");
}

static void
put_account(const struct page *p, const struct case_row *c)
{
	const struct account_row *a = accounts_find(p->w->accounts, c->account);

	buf_puts(p->out, "<td data-label=\"account\">");
	if (a != NULL)
		put_in(p->out, "strong", a->name);
	if (c->account == NULL)
		buf_puts(p->out, "<span class=\"soft\">not named</span>");
	else
		put_in(p->out, a != NULL && a->name != NULL ? "small" : "span", c->account);
	put_in(p->out, "small", c->region);
	if (a != NULL)
		put_in(p->out, "small", a->environment);
	buf_puts(p->out, "</td>");
}

static void
put_ticket(const struct page *p, const struct case_row *c)
{
	const char *slash = c->ticket_url == NULL ? NULL : strrchr(c->ticket_url, '/');
	const char *name = slash == NULL || slash[1] == '\0' ? c->ticket_url : slash + 1;

	buf_puts(p->out, "<td class=\"ticket\" data-label=\"ticket\">");
	if (c->ticket_url == NULL) {
		buf_puts(p->out, "<span class=\"soft\">none</span>");
	} else if (publish_link(c->ticket_url)) {
		buf_puts(p->out, "<a rel=\"noopener noreferrer\" href=\"");
		put(p->out, c->ticket_url);
		buf_puts(p->out, "\">");
		put(p->out, name);
		buf_puts(p->out, "</a>");
	} else {
		put_in(p->out, "code", name);
	}
	buf_puts(p->out, "</td>");
}

static bool
needs_person(const struct job_row *j)
{
	return j->state == JOB_FAILED ||
	       (j->state == JOB_WAITING && (j->waiting_for == JOB_WAIT_APPROVAL || j->waiting_for == JOB_WAIT_INPUT));
}

/* The assignee, else the owner, else nobody by name. */
static void
put_whom(const struct page *p, struct buf *out, const struct case_row *c)
{
	const struct account_row *a = accounts_find(p->w->accounts, c->account);
	const char *whom = a == NULL ? NULL : a->assignee != NULL ? a->assignee : a->owner;

	buf_puts(out, "<li><strong>");
	put(out, whom == NULL ? "whoever looks after mailhook" : whom);
	buf_printf(out, "</strong>: case %" PRId64 " (", c->id);
	put(out, a != NULL && a->name != NULL ? a->name : c->account != NULL ? c->account : c->kind);
	buf_puts(out, ") ");
}

/* Why a job does not run, in the row; and among what waits for a person, where it does. */
static void
put_job(struct page *p, const struct case_row *c, const struct job_row *j)
{
	char why[300];
	const char *words = job_why(j, c, why, sizeof(why));

	if (j->state == JOB_FAILED)
		words = j->summary == NULL ? "failed" : j->summary;
	else if (j->state == JOB_RUNNING)
		words = "runs now";
	if (words == NULL)
		return;
	buf_puts(p->out, "<li>");
	put_in(p->out, "strong", j->action);
	buf_puts(p->out, j->state == JOB_FAILED ? " failed: " : " ");
	put(p->out, words);
	buf_puts(p->out, "</li>");
	if (!c->open || !needs_person(j))
		return;
	p->people++;
	put_whom(p, &p->waits, c);
	put_in(&p->waits, "em", j->action);
	buf_puts(&p->waits, j->state == JOB_FAILED ? " failed: " : " ");
	put(&p->waits, words);
	if (j->state == JOB_FAILED)
		buf_printf(&p->waits, " <code>mailhook retry %" PRId64 "</code>", c->id);
	buf_puts(&p->waits, "</li>");
}

static const char *
state_of(const struct case_row *c, const struct job_rows *jobs)
{
	const char *state = "open";

	if (!c->open)
		return "closed";
	if (strcmp(c->kind, CASE_UNRECOGNISED) == 0)
		return "waits for a person";
	for (size_t i = 0; i < jobs->n; i++) {
		const struct job_row *j = &jobs->items[i];

		if (needs_person(j))
			return j->state == JOB_FAILED ? "failed" : "waits for a person";
		if (j->state == JOB_QUEUED || j->state == JOB_RUNNING || j->waiting_for == JOB_WAIT_TIME)
			state = "in work";
	}
	return state;
}

static void
put_waits(struct page *p, const struct case_row *c, const struct job_rows *jobs)
{
	const size_t before = p->out->n;

	buf_puts(p->out, "<td data-label=\"waits\"><ul class=\"waits\">");
	const size_t begun = p->out->n;
	if (strcmp(c->kind, CASE_UNRECOGNISED) == 0 && c->open) {
		buf_puts(p->out, "<li>a person must read it: ");
		put(p->out, c->reason == NULL ? "no reason" : c->reason);
		buf_puts(p->out, "</li>");
		p->people++;
		put_whom(p, &p->waits, c);
		buf_puts(&p->waits, "a mail could not be read: ");
		put(&p->waits, c->reason == NULL ? "no reason" : c->reason);
		buf_printf(&p->waits, " <code>mailhook show %" PRId64 "</code></li>", c->id);
	}
	for (size_t i = 0; i < jobs->n; i++)
		put_job(p, c, &jobs->items[i]);
	if (p->out->n == begun && buf_ok(p->out)) {
		p->out->n = before; /* a list without items says nothing, and is no HTML that a checker likes */
		buf_puts(p->out, "<td class=\"empty\" data-label=\"waits\">");
	} else {
		buf_puts(p->out, "</ul>");
	}
	buf_puts(p->out, "</td>");
}

static enum mh_status
put_case(struct page *p, const struct case_row *c, struct arena *a, struct mh_err *err)
{
	struct job_rows jobs = { 0 };
	const enum tone tone = tone_of(c, p->now);
	const enum mh_status status = ledger_jobs_of_case(p->w->db, c->id, a, &jobs, err);

	if (status != MH_OK)
		return status;
	buf_printf(
	    p->out, "<tr id=\"case-%" PRId64 "\" class=\"%s%s\">", c->id, tone_names[tone], c->open ? "" : " closed");
	put_left(p, c);
	buf_puts(p->out, "<td>");
	put_kind(p->out, c->kind);
	put_in(p->out, "small", c->resource);
	buf_puts(p->out, "</td>");
	put_account(p, c);
	buf_puts(p->out, "<td data-label=\"state\"><span class=\"chip\">");
	put(p->out, state_of(c, &jobs));
	buf_printf(p->out, "</span><small>%s, case %" PRId64 "</small></td>", trust_names[case_trust(c)], c->id);
	put_ticket(p, c);
	put_waits(p, c, &jobs);
	buf_puts(p->out, "</tr>\n");
	return MH_OK;
}

/* -- the page ------------------------------------------------------------------------------------------------------ */

static void
put_head(const struct page *p)
{
	char t[MH_TIME_TEXT];

	buf_puts(p->out,
	    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n"
	    "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src &#39;none&#39;; style-src "
	    "&#39;unsafe-inline&#39;; img-src data:; base-uri &#39;none&#39;; form-action &#39;none&#39;\"/>\n"
	    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n"
	    "<meta name=\"color-scheme\" content=\"light dark\"/>\n<meta name=\"referrer\" content=\"no-referrer\"/>\n"
	    "<meta name=\"robots\" content=\"noindex\"/>\n<link rel=\"icon\" href=\"data:,\"/>\n"
	    "<title>What expires when</title>\n<style>\n");
	buf_puts(p->out, page_css);
	buf_puts(p->out, "</style>\n</head>\n<body>\n<main>\n<header>\n<h1>What expires when</h1>\n");
	(void)time_text(t, p->now);
	buf_printf(p->out, "<p class=\"soft\">as of <time datetime=\"%s\">%.10s %.5s UTC</time></p>\n", t, t, t + 11);
	buf_puts(p->out, "<ul class=\"tiles\">\n");
	for (size_t i = 0; i < TONES; i++)
		buf_printf(p->out, "<li class=\"%s%s\"><b>%zu</b> %s</li>\n", tone_names[i],
		    p->tiles[i] == 0 ? " none" : "", p->tiles[i], tile_names[i]);
	buf_printf(p->out, "<li class=\"%s\"><b>%zu</b> wait for a person</li>\n</ul>\n</header>\n",
	    p->people == 0 ? "none" : "soon", p->people);
	if (p->people > 0) {
		buf_puts(p->out, "<section>\n<h2>Waits for a person</h2>\n<ul class=\"people\">\n");
		buf_put(p->out, buf_span(&p->waits));
		buf_puts(p->out, "</ul>\n</section>\n");
	}
}

static enum mh_status
put_rows(struct page *p, const struct case_rows *cases, struct mh_err *err)
{
	struct arena a;
	enum mh_status status = MH_OK;

	arena_init(&a, ROW_ARENA_BYTES);
	for (size_t i = 0; i < cases->n && status == MH_OK; i++) {
		const struct case_row *c = &cases->items[i];

		arena_reset(&a);
		if (c->open)
			p->tiles[tone_of(c, p->now)]++;
		status = put_case(p, c, &a, err);
	}
	arena_release(&a);
	return status;
}

enum mh_status
page_print(
    struct work *w, const struct case_rows *cases, int64_t left_out, int64_t now, struct buf *out, struct mh_err *err)
{
	struct buf rows;
	struct page p = { .w = w, .out = &rows, .now = now };

	buf_init(&rows, PUBLISH_MAX_BYTES);
	buf_init(&p.waits, PUBLISH_MAX_BYTES);
	enum mh_status status = put_rows(&p, cases, err);
	p.out = out;
	if (status == MH_OK) {
		put_head(&p);
		buf_puts(out, "<section>\n<h2>Expiries</h2>\n");
		if (cases->n == 0)
			buf_puts(out, "<p>Nothing is known to expire.</p>\n");
		else
			buf_puts(out, "<table>\n<thead><tr><th>Expires</th><th>What</th><th>Account</th>"
				      "<th>State</th><th>Ticket</th><th>Waits</th></tr></thead>\n<tbody>\n");
		buf_put(out, buf_span(&rows));
		if (cases->n > 0)
			buf_puts(out, "</tbody>\n</table>\n");
		if (left_out > 0)
			buf_printf(out,
			    "<p>%" PRId64 " more open cases are not shown: <code>mailhook list</code> shows all.</p>\n",
			    left_out);
		buf_puts(out,
		    "</section>\n<footer>Written by mailhook " MAILHOOK_VERSION ". <code>mailhook show CASE</code> "
		    "tells a case&#39;s history.</footer>\n</main>\n</body>\n</html>\n");
		if (!buf_ok(out) || !buf_ok(&rows) || !buf_ok(&p.waits))
			status = mh_fail(err, MH_LIMIT, "the page is too large");
	}
	buf_release(&rows);
	buf_release(&p.waits);
	return status;
}
