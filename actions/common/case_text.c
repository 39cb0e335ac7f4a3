/* case_text.c: the request's facts as template variables. */
#include "actions/common/case_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MAX_VARS 40
#define MAX_BLOCK_BYTES ((size_t)64 << 10)
#define MAX_LINE_BYTES ((size_t)8 << 10)
#define WRAP_COLUMN 74 /* a line of plain text that is quoted twice still fits 78 */

struct vars {
	struct template_var *items;
	size_t n;
	const struct words *words; /* foreign; NULL: built in */
	struct arena *a;
	struct mh_err *err;
};

static void
add(struct vars *v, const char *name, struct mh_span value, enum template_lines lines)
{
	v->items[v->n++] = (struct template_var){ name, value, lines };
}

static void
add_text(struct vars *v, const char *name, const char *value)
{
	add(v, name, span_of(value), LINES_ONE);
}

struct mh_span
case_var(const struct template_vars *vars, const char *name)
{
	for (size_t i = 0; i < vars->n; i++)
		if (strcmp(vars->items[i].name, name) == 0)
			return vars->items[i].value;
	return MH_NONE;
}

/* "what", "where" or "steps": as the file of words says, else built in. */
static const char *
kind_word(const struct words *w, const char *kind, const char *name)
{
	const char *own = words_of_kind(w, kind, name);
	const struct kind_words *k = kind_words(kind);

	if (own != NULL)
		return own;
	return strcmp(name, "what") == 0 ? k->what : strcmp(name, "where") == 0 ? k->where : k->steps;
}

/* A word that is a template, with variables of its own. */
static enum mh_status
fill_word(const struct words *w, const char *name, const struct template_vars *own, struct arena *a,
    struct mh_span *ret, struct mh_err *err)
{
	struct buf text;

	buf_init(&text, MAX_LINE_BYTES);
	enum mh_status status = template_render(name, 1, span_of(words_get(w, name)), own, template_plain, &text, err);
	if (status == MH_OK)
		status = arena_copy(a, buf_span(&text), ret, err);
	buf_release(&text);
	return status;
}

enum mh_status
due_words(int64_t days_left, const struct words *w, struct arena *a, struct mh_span *ret, struct mh_err *err)
{
	const int64_t days = days_left > 0 ? days_left : -days_left - 1; /* rounded down: past by a second is -1 */
	char number[24];
	const char *name;

	(void)snprintf(number, sizeof(number), "%" PRId64, days);
	const struct template_var own = { "days", span_of(number), LINES_ONE };
	const struct template_vars vars = { &own, 1 };
	if (days_left == 0)
		name = "due_today";
	else if (days_left == -1)
		name = "due_just_past";
	else if (days_left > 0)
		name = days == 1 ? "due_in_one" : "due_in";
	else
		name = days == 1 ? "due_one_ago" : "due_ago";
	return fill_word(w, name, &vars, a, ret, err);
}

static enum mh_status
add_expiry(struct vars *v, const struct request *r)
{
	char text[MH_TIME_TEXT];
	struct mh_span expires = MH_NONE, days = MH_NONE, due = MH_NONE;
	enum mh_status status = MH_OK;

	if (r->expiry.has_expires) {
		(void)time_text(text, r->expiry.expires);
		if (r->expiry.by_the_second)
			status = arena_printf(v->a, &expires, v->err, "%.10s %.8s UTC", text, text + 11);
		else
			status = arena_printf(v->a, &expires, v->err, "%.10s", text);
		if (status == MH_OK)
			status = arena_printf(v->a, &days, v->err, "%" PRId64, r->expiry.days_left);
		if (status == MH_OK)
			status = due_words(r->expiry.days_left, v->words, v->a, &due, v->err);
	}
	add(v, "expires", expires, LINES_ONE);
	add(v, "expires_day", span_head(expires, 10), LINES_ONE);
	add(v, "days_left", days, LINES_ONE);
	add(v, "due", due, LINES_ONE);
	return status;
}

/* A block for {name}: its template line brings the last line end. */
static enum mh_status
copy_block(struct vars *v, const struct buf *text, struct mh_span *ret)
{
	if (!buf_ok(text))
		return mh_fail(v->err, MH_LIMIT, "a text for people becomes longer than %zu bytes", text->max);
	return arena_copy(v->a, span_trim(buf_span(text)), ret, v->err);
}

static enum mh_status
add_trust(struct vars *v, const struct request *r)
{
	static const char *const names[] = { "trust_unverified", "trust_relayed", "trust_verified" };
	const char *where = kind_word(v->words, r->expiry.kind, "where");
	const struct template_var own[] = { { "by", span_of(r->trust.by), LINES_ONE },
		{ "where", span_of(where), LINES_ONE } };
	const struct template_vars vars = { own, 2 };
	struct mh_span words = MH_NONE;
	enum mh_status status = fill_word(v->words, names[r->trust.level], &vars, v->a, &words, v->err);

	add_text(v, "trust_level", trust_words[r->trust.level]);
	if (status == MH_OK) {
		struct buf wrapped;

		buf_init(&wrapped, MAX_LINE_BYTES);
		text_wrap(&wrapped, words, "", "");
		status = copy_block(v, &wrapped, &words);
		buf_release(&wrapped);
	}
	add(v, "trust", words, LINES_WRAP);
	return status;
}

void
text_wrap(struct buf *out, struct mh_span text, const char *head, const char *indent)
{
	size_t column = strlen(head);
	bool first = true;

	buf_puts(out, head);
	text = span_trim(text);
	while (text.n > 0) {
		size_t n = span_find(text, MH_LIT(" "), 0);
		const struct mh_span word = span_head(text, n);

		if (!first && column + 1 + word.n > WRAP_COLUMN) {
			buf_putc(out, '\n');
			buf_puts(out, indent);
			column = strlen(indent);
		} else if (!first) {
			buf_putc(out, ' ');
			column++;
		}
		buf_put(out, word);
		column += word.n;
		first = false;
		text = span_trim(span_from(text, word.n));
	}
	buf_putc(out, '\n');
}

/* Text from another action as part of one line. */
static void
put_words(struct buf *out, const char *before, const char *text)
{
	const struct template_var one = { "", span_of(text), LINES_ONE };

	if (text == NULL || text[0] == '\0')
		return;
	buf_puts(out, before);
	template_plain(out, &one);
}

static enum mh_status
add_outcomes(struct vars *v, const struct request *r)
{
	struct buf text, line;
	struct mh_span lines = MH_NONE, ticket = span_of(r->expiry.ticket_url);
	enum mh_status status = MH_OK;

	buf_init(&text, MAX_BLOCK_BYTES);
	buf_init(&line, MAX_LINE_BYTES);
	for (size_t i = 0; i < r->n_outcomes; i++) {
		const struct job_outcome *o = &r->outcomes[i];
		/* What renews the credential is one job a case, so it belongs to an earlier event than most. */
		const bool of_event = o->event == NULL || strcmp(o->event, event_names[r->event]) == 0 ||
				      (o->role != NULL && strcmp(o->role, "effect") == 0);

		if (o->role != NULL && strcmp(o->role, "ticket") == 0 && o->url != NULL && ticket.p == NULL)
			ticket = span_of(o->url);
		if (!of_event || (o->role != NULL && strcmp(o->role, "reply") == 0))
			continue;
		buf_clear(&line);
		put_words(&line, "", o->action);
		put_words(&line, ": ", o->outcome);
		put_words(&line, " for ", o->waiting_for);
		put_words(&line, ": ", o->summary);
		text_wrap(&text, buf_span(&line), "- ", "  ");
	}
	if (text.n > 0)
		status = copy_block(v, &text, &lines);
	buf_release(&text);
	buf_release(&line);
	add(v, "outcomes", lines, LINES_LIST);
	add(v, "ticket", ticket, LINES_ONE);
	return status;
}

/* What renews the credential is on its way and says itself what it waits for: steps from the start would mislead. */
static bool
on_its_way(const struct request *r)
{
	for (size_t i = 0; i < r->n_outcomes; i++) {
		const struct job_outcome *o = &r->outcomes[i];

		if (o->role != NULL && strcmp(o->role, "effect") == 0 && strcmp(o->outcome, "waiting") == 0 &&
		    o->waiting_for != NULL && strcmp(o->waiting_for, "trust") != 0)
			return true;
	}
	return false;
}

/* Numbered, and only while something is left to do; a drill leaves nothing. */
static enum mh_status
add_steps(struct vars *v, const struct request *r)
{
	const struct template_vars so_far = { v->items, v->n };
	struct buf filled, numbered;
	struct mh_span rest, line, lines = MH_NONE;
	enum mh_status status = MH_OK;

	buf_init(&filled, MAX_BLOCK_BYTES);
	buf_init(&numbered, MAX_BLOCK_BYTES);
	if (!r->drill && r->event != EVENT_SUCCEEDED && r->event != EVENT_CLOSED && !on_its_way(r)) {
		status = template_render("steps", 1, span_of(kind_word(v->words, r->expiry.kind, "steps")), &so_far,
		    template_plain, &filled, v->err);
		rest = buf_span(&filled);
		for (int n = 1; status == MH_OK && span_line(&rest, &line); n++) {
			char head[16];

			(void)snprintf(head, sizeof(head), "%d. ", n);
			text_wrap(&numbered, line, head, "   ");
		}
		if (status == MH_OK)
			status = copy_block(v, &numbered, &lines);
	}
	buf_release(&filled);
	buf_release(&numbered);
	add(v, "steps", lines, LINES_LIST);
	return status;
}

/* What stood in the mail, as far as these readers may see it. */
static enum mh_status
add_mail_facts(struct vars *v, const struct request *r, enum case_readers readers)
{
	const struct {
		const char *name;
		enum mail_fact what;
		const char *value;
	} facts[] = { { "account", MAIL_ACCOUNT, r->expiry.account }, { "region", MAIL_REGION, r->expiry.region },
		{ "resource", MAIL_RESOURCE, r->expiry.resource }, { "reason", MAIL_REASON, r->expiry.reason } };
	struct mh_span id = MH_NONE, elsewhere = MH_NONE;
	enum mh_status status = MH_OK;

	if (r->expiry.id > 0)
		status = arena_printf(v->a, &id, v->err, "%" PRId64, r->expiry.id);
	add(v, "case", id, LINES_ONE);
	const struct template_var own = { "case", id, LINES_ONE };
	const struct template_vars vars = { &own, 1 };
	if (status == MH_OK)
		status = fill_word(v->words, "not_shown", &vars, v->a, &elsewhere, v->err);
	for (size_t i = 0; i < sizeof(facts) / sizeof(facts[0]) && status == MH_OK; i++) {
		struct mh_span shown = MH_NONE;

		status = mail_fact_show(r, facts[i].what, facts[i].value, readers, elsewhere, v->a, &shown, v->err);
		add(v, facts[i].name, shown, LINES_ONE);
	}
	return status;
}

/* As AWS writes them; anything else has no place in a URL. */
static bool
is_region(const char *region)
{
	return region != NULL && region[0] >= 'a' && region[0] <= 'z' && strlen(region) < 40 &&
	       region[strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-")] == '\0';
}

static enum mh_status
add_console(struct vars *v, const struct request *r)
{
	const char *page = kind_words(r->expiry.kind)->console;
	const bool known = is_region(r->expiry.region);
	const char *region = known ? r->expiry.region : "", *host = "console.aws.amazon.com";
	struct mh_span url = MH_NONE;
	enum mh_status status = MH_OK;

	if (strncmp(region, "cn-", 3) == 0)
		host = "console.amazonaws.cn";
	else if (strncmp(region, "us-gov-", 7) == 0)
		host = "console.amazonaws-us-gov.com";
	if (page != NULL && span_starts(span_of(page), MH_LIT("https://")))
		url = span_of(page);
	else if (page != NULL)
		status = arena_printf(
		    v->a, &url, v->err, "https://%s/%s/home%s%s", host, page, known ? "?region=" : "", region);
	add(v, "console", url, LINES_LINK);
	return status;
}

/* "event_opened", "short_closed". */
static const char *
event_word(const struct words *w, const char *what, enum case_event event)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%s_%s", what, event_names[event]);
	return words_get(w, name);
}

enum mh_status
case_vars(const struct request *r, const struct words *w, enum case_readers readers, struct arena *a,
    struct template_vars *ret, struct mh_err *err)
{
	struct vars v = { arena_array(a, MAX_VARS, sizeof(struct template_var)), 0, w, a, err };
	char now[MH_TIME_TEXT];

	if (v.items == NULL)
		return mh_fail(err, MH_LIMIT, "no memory for a text");
	add_text(&v, "what", kind_word(w, r->expiry.kind, "what"));
	add_text(&v, "kind", r->expiry.kind);
	add_text(&v, "account_name", r->expiry.account_name);
	add_text(&v, "owner", r->expiry.owner);
	add_text(&v, "environment", r->expiry.environment);
	add_text(&v, "assignee", r->expiry.assignee);
	add_text(&v, "closed_by", r->expiry.closed_by);
	add_text(&v, "event", event_names[r->event]);
	add_text(&v, "event_short", event_word(w, "short", r->event));
	add_text(&v, "event_words", event_word(w, "event", r->event));
	add_text(&v, "drill", r->drill ? words_get(w, "drill") : NULL);
	add_text(&v, "drill_words", r->drill ? words_get(w, "drill_words") : NULL);
	add_text(&v, "action", r->action);
	add_text(&v, "case_key", r->case_key);
	add_text(&v, "job_key", r->job_key);

	enum mh_status status = add_mail_facts(&v, r, readers);
	if (status == MH_OK) {
		struct mh_span text;

		status = arena_copy(a, span_of(time_text(now, r->now)), &text, err);
		if (status == MH_OK)
			add(&v, "now", text, LINES_ONE);
	}
	if (status == MH_OK)
		status = add_expiry(&v, r);
	if (status == MH_OK)
		status = add_trust(&v, r);
	if (status == MH_OK)
		status = add_outcomes(&v, r);
	if (status == MH_OK)
		status = add_steps(&v, r);
	if (status == MH_OK)
		status = add_console(&v, r);
	if (status == MH_OK)
		*ret = (struct template_vars){ v.items, v.n };
	return status;
}

void
case_sample(struct request *r)
{
	r->event = EVENT_OPENED;
	r->job_key = r->case_key = "00000000000000000000000000000000";
	if (r->expiry.kind == NULL)
		r->expiry.kind = "aws.identity-center.scim-token";
}

enum mh_status
case_template_check(const char *file, struct mh_span text, struct mh_err *err)
{
	struct request r = { 0 };
	struct template_vars vars;
	struct arena a;
	struct buf out;

	case_sample(&r);
	arena_init(&a, (size_t)1 << 20);
	buf_init(&out, (size_t)256 << 10);
	enum mh_status status = case_vars(&r, NULL, READERS_PROGRAMS, &a, &vars, err);
	if (status == MH_OK)
		status = template_render(file, 1, text, &vars, template_plain, &out, err);
	buf_release(&out);
	arena_release(&a);
	return status;
}
