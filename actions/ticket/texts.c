/* texts.c: what a ticket says: templates, filled for the system's own format. */
#include <stdio.h>
#include <string.h>

#include "actions/common/markup.h"
#include "actions/ticket/conf.h"

#define TEXT_BYTES ((size_t)256 << 10)
#define LINE_BYTES 1024

static const char default_title[] = "{what}{?account} of account {account}{/account}{?resource} ({resource}){/resource}"
				    "{?expires_day} expires on {expires_day}{/expires_day}";

/* -- built-in bodies: the same words in each format ----------------------------------------------------------------- */

#define LINE(head, name, value) "{?" name "}\n" head value "\n{/" name "}\n"

/* B: before a name, E: behind it. */
#define BODY(BOLD, END, B, E)                                                                                          \
	"{?drill_words}\n" BOLD "{drill_words}" END "\n\n{/drill_words}\n" B "What expires:" E                         \
	"{what}\n" LINE(B "Account:" E, "account", "{account}{?account_name} ({account_name}){/account_name}")         \
	    LINE(B "Environment:" E, "environment", "{environment}") LINE(B "Owner:" E, "owner", "{owner}")            \
		LINE(B "Region:" E, "region", "{region}") LINE(B "Resource:" E, "resource", "{resource}")              \
		    LINE(B "Expires:" E, "expires", "{expires}, {due} when this was written ({now})")                  \
			LINE(B "Not read:" E, "reason", "{reason}") LINE(B "Console:" E, "console", "{console}") B     \
	    "Trust:" E "{trust_level}\n\n{trust}\n{?steps}\n\nTo be done by hand, unless mailhook "                    \
	    "reports that it has done it:\n\n{steps}\n{/steps}\n"

static const char body_plain[] = "{?drill_words}\n"
				 "{drill_words}\n"
				 "\n"
				 "{/drill_words}\n"
				 "What expires:  {what}\n"
				 "{?account}\n"
				 "Account:       {account}{?account_name} ({account_name}){/account_name}\n"
				 "{/account}\n"
				 "{?environment}\n"
				 "Environment:   {environment}\n"
				 "{/environment}\n"
				 "{?owner}\n"
				 "Owner:         {owner}\n"
				 "{/owner}\n"
				 "{?region}\n"
				 "Region:        {region}\n"
				 "{/region}\n"
				 "{?resource}\n"
				 "Resource:      {resource}\n"
				 "{/resource}\n"
				 "{?expires}\n"
				 "Expires:       {expires}, {due} when this was written ({now})\n"
				 "{/expires}\n"
				 "{?reason}\n"
				 "Not read:      {reason}\n"
				 "{/reason}\n"
				 "{?console}\n"
				 "Console:       {console}\n"
				 "{/console}\n"
				 "Trust:         {trust_level}\n"
				 "\n"
				 "{trust}\n"
				 "{?steps}\n"
				 "\n"
				 "To be done by hand, unless mailhook reports that it has done it:\n"
				 "\n"
				 "{steps}\n"
				 "{/steps}\n";
static const char body_markdown[] = BODY("**", "**", "- **", "** ");
static const char body_wiki[] = BODY("*", "*", "* *", "* ");

/* Steps are there only while something is left to do; then the date matters too. */
static const char default_comment[] = "{event_words}{?steps}{?due} It expires {due}.{/due}{/steps}\n"
				      "{?closed_by}\n"
				      "Closed by {closed_by}.\n"
				      "{/closed_by}\n"
				      "{?outcomes}\n"
				      "\n"
				      "{outcomes}\n"
				      "{/outcomes}\n";

static const char default_trusted[] = "{event_words}\n"
				      "{trust}\n";

static const char *
default_body(enum text_format f)
{
	switch (f) {
	case FORMAT_PLAIN:
		return body_plain;
	case FORMAT_MARKDOWN:
		return body_markdown;
	case FORMAT_WIKI:
		return body_wiki;
	}
	return body_plain;
}

/* -- formats -------------------------------------------------------------------------------------------------------- */

static const struct format {
	const char *body_name, *comment_name;
	template_escape *escape;
	const char *before_mark, *after_mark;
} formats[] = {
	[FORMAT_PLAIN] = { "ticket.txt", "ticket-comment.txt", template_plain, "\n", "\n" },
	[FORMAT_MARKDOWN] = { "ticket.md", "ticket-comment.md", template_markdown, "\n<sub>", "</sub>\n" },
	[FORMAT_WIKI] = { "ticket.wiki", "ticket-comment.wiki", template_wiki, "\n~", "~\n" },
};

static enum text_format
format_of(const struct ticket_conf *c)
{
	return c->driver->format_of == NULL ? c->driver->format : c->driver->format_of(c->cfg);
}

/* -- writing -------------------------------------------------------------------------------------------------------- */

void
ticket_texts_init(struct ticket_texts *t)
{
	*t = (struct ticket_texts){ 0 };
	buf_init(&t->title, TEXT_BYTES);
	buf_init(&t->body, TEXT_BYTES);
	buf_init(&t->comment, TEXT_BYTES);
}

void
ticket_texts_release(struct ticket_texts *t)
{
	buf_release(&t->title);
	buf_release(&t->body);
	buf_release(&t->comment);
}

static enum mh_status
render(
    const struct wording *w, const struct ticket_texts *t, template_escape *escape, struct buf *out, struct mh_err *err)
{
	return template_render(w->file, 1, buf_span(&w->template), &t->vars, escape, out, err);
}

/* Whatever the template says, a drill must be seen to be one. */
static enum mh_status
write_title(const struct wording *w, struct ticket_texts *t, struct mh_err *err)
{
	const struct mh_span drill = case_var(&t->vars, "drill");

	if (drill.n > 0) {
		buf_put(&t->title, drill);
		buf_puts(&t->title, ": ");
	}
	const enum mh_status status = render(w, t, template_plain, &t->title, err);
	if (status != MH_OK)
		return status;
	if (span_find(buf_span(&t->title), MH_LIT("\n"), 0) != SIZE_MAX)
		return mh_fail(err, MH_BAD, "the title has more than one line");
	if (span_trim(buf_span(&t->title)).n == 0)
		return mh_fail(err, MH_BAD, "the title is empty");
	t->title.n = utf8_cut(buf_span(&t->title), TICKET_TITLE_BYTES);
	t->title.p[t->title.n] = '\0';
	return MH_OK;
}

static enum mh_status
write_title_and_body(
    const struct ticket_conf *c, const struct text_place *place, struct ticket_texts *t, struct mh_err *err)
{
	const struct format *f = &formats[format_of(c)];
	const char *title = cfg_getstr(c->cfg, "title");
	struct wording head = { 0 }, body = { 0 };

	enum mh_status status =
	    wording_read_line(place, title, title != NULL ? "title" : "ticket-title.txt", default_title, &head, err);
	if (status == MH_OK)
		status = wording_read(
		    place, cfg_getstr(c->cfg, "template"), f->body_name, default_body(format_of(c)), &body, err);
	if (status == MH_OK)
		status = write_title(&head, t, err);
	if (status == MH_OK)
		status = render(&body, t, f->escape, &t->body, err);
	wording_release(&head);
	wording_release(&body);
	return status;
}

/* The comment, and behind it the mark that it is known by. */
static enum mh_status
write_comment(const struct ticket_conf *c, const struct text_place *place, const struct request *q,
    struct ticket_texts *t, struct mh_err *err)
{
	const struct format *f = &formats[format_of(c)];
	struct wording comment = { 0 };

	enum mh_status status = wording_read(
	    place, "", f->comment_name, q->event == EVENT_TRUSTED ? default_trusted : default_comment, &comment, err);
	if (status == MH_OK)
		status = render(&comment, t, f->escape, &t->comment, err);
	wording_release(&comment);
	if (status != MH_OK || c->driver->own_marks)
		return status;
	buf_printf(&t->comment, "%smailhook %s%s", f->before_mark, q->job_key, f->after_mark);
	return buf_ok(&t->comment) ? MH_OK : mh_fail(err, MH_LIMIT, "the comment becomes too long");
}

/* One line by a template that stands in the configuration; in the arena. ret->n == 0: it came to nothing. */
static enum mh_status
fill_line(const char *name, const char *template, const struct template_vars *vars, struct arena *a,
    struct mh_span *ret, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf text;

	buf_init(&text, LINE_BYTES);
	const enum mh_status status = template_render(name, 1, span_of(template), vars, template_plain, &text, err);
	return status == MH_OK ? arena_copy(a, span_trim(buf_span(&text)), ret, err) : status;
}

static enum mh_status
fill_labels(const struct ticket_conf *c, struct arena *a, struct ticket_texts *t, struct mh_err *err)
{
	const unsigned n = cfg_size(c->cfg, "labels");
	enum mh_status status = MH_OK;

	for (unsigned i = 0; i < n && i < TICKET_MAX_LABELS && status == MH_OK; i++) {
		struct mh_span label = MH_NONE;

		status = fill_line("labels", cfg_getnstr(c->cfg, "labels", i), &t->vars, a, &label, err);
		if (status == MH_OK && label.n > 0)
			t->ticket.labels[t->ticket.n_labels++] = label.p;
	}
	return status;
}

static enum mh_status
fill_fields(const struct ticket_conf *c, struct arena *a, struct ticket_texts *t, struct mh_err *err)
{
	const unsigned n = cfg_size(c->cfg, "field");
	enum mh_status status = MH_OK;

	for (unsigned i = 0; i < n && i < TICKET_MAX_FIELDS && status == MH_OK; i++) {
		cfg_t *section = cfg_getnsec(c->cfg, "field", i);
		struct ticket_field f = { cfg_title(section), MH_NONE };

		status = fill_line(f.name, cfg_getstr(section, "value"), &t->vars, a, &f.value, err);
		if (status == MH_OK && f.value.n > 0)
			t->ticket.fields[t->ticket.n_fields++] = f;
	}
	return status;
}

/* The expiry's day, or so many days before it; not before today. */
static enum mh_status
due_day(const struct ticket_conf *c, const struct request *q, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	char text[MH_TIME_TEXT];
	int64_t t = q->expiry.expires - c->due_before_days * MH_DAY_S;

	*ret = MH_NONE;
	if (!q->expiry.has_expires)
		return MH_OK;
	if (c->due_before_days > 0 && t < q->now)
		t = q->now < q->expiry.expires ? q->now : q->expiry.expires;
	return arena_copy(a, span_head(span_of(time_text(text, t)), 10), ret, err);
}

enum mh_status
ticket_texts_write(
    const struct ticket_conf *c, const struct request *q, struct arena *a, struct ticket_texts *ret, struct mh_err *err)
{
	const struct text_place place = { cfg_getstr(c->cfg, "templates"), event_names[q->event] };
	const char *assignee = ticket_conf_of_account(c, q->expiry.account, "assignee");
	struct mh_span who = MH_NONE;

	buf_clear(&ret->title);
	buf_clear(&ret->body);
	buf_clear(&ret->comment);
	ret->ticket = (struct ticket_new){ .key = q->case_key };
	const enum case_readers readers = c->driver->by_mail ? READERS_BY_MAIL : READERS_PEOPLE;
	enum mh_status status = case_vars(q, &c->words, readers, a, &ret->vars, err);
	if (status == MH_OK)
		status = write_title_and_body(c, &place, ret, err);
	if (status == MH_OK)
		status = write_comment(c, &place, q, ret, err);
	if (status == MH_OK)
		status = fill_labels(c, a, ret, err);
	if (status == MH_OK)
		status = fill_fields(c, a, ret, err);
	if (status == MH_OK && assignee != NULL)
		status = fill_line("assignee", assignee, &ret->vars, a, &who, err);
	if (status == MH_OK)
		status = due_day(c, q, a, &ret->ticket.due, err);
	if (status != MH_OK)
		return status;
	ret->ticket.title = buf_span(&ret->title);
	ret->ticket.body = buf_span(&ret->body);
	ret->ticket.assignee = who.n > 0 ? who.p : NULL;
	return MH_OK;
}
