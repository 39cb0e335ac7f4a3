/* main.c: the action "reply": one mail for each event of a case, last of the event's jobs. */
#include <stdio.h>
#include <unistd.h>

#include "actions/reply/reply.h"

#define ARENA_BYTES ((size_t)8 << 20)
#define SUBJECT_BYTES 250
#define DESCRIPTION_BYTES 4000 /* of the text, in the calendar's entry: the whole of it stands in the mail */

struct run {
	struct protocol *protocol; /* foreign */
	struct request *request;   /* foreign */
	struct reply_conf *conf;   /* foreign */
	struct arena arena;        /* own, as what follows */
	struct reply_texts texts;
	struct buf subject, body, html, entry, calendar, mail;
};

static void
finish(const struct run *r, const char *word, const char *summary)
{
	const struct outcome_line o = { .outcome = word, .retry_after_s = -1 };

	outcome(r->protocol, &o, "%s", summary);
}

static enum mh_status
render(const struct wording *t, const struct template_vars *vars, template_escape *escape, struct buf *out,
    struct mh_err *err)
{
	return template_render(t->file, 1, buf_span(&t->template), vars, escape, out, err);
}

/* Whatever the template says, a drill must be seen to be one. */
static enum mh_status
write_line(
    const struct wording *t, const struct template_vars *vars, const char *what, struct buf *out, struct mh_err *err)
{
	const struct mh_span drill = case_var(vars, "drill");

	if (drill.n > 0) {
		buf_put(out, drill);
		buf_puts(out, ": ");
	}
	const enum mh_status status = render(t, vars, template_plain, out, err);
	if (status == MH_OK && span_find(buf_span(out), MH_LIT("\n"), 0) != SIZE_MAX)
		return mh_fail(err, MH_BAD, "%s: the %s has more than one line", t->file, what);
	return status;
}

/* All of them are rendered, also what this mail is sent without: a wrong template is found by the first event. */
static enum mh_status
write_text(struct run *r, const struct request *q, struct mh_err *err)
{
	struct buf *const all[] = { &r->subject, &r->body, &r->html, &r->entry, &r->calendar };
	struct template_vars vars;
	enum mh_status status = case_vars(q, &r->conf->words, READERS_BY_MAIL, &r->arena, &vars, err);

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		buf_clear(all[i]);
	if (status == MH_OK)
		status = reply_texts_read(r->conf, q->event, &r->texts, err);
	if (status == MH_OK)
		status = write_line(&r->texts.subject, &vars, "subject", &r->subject, err);
	if (status == MH_OK)
		status = render(&r->texts.body, &vars, template_plain, &r->body, err);
	if (status == MH_OK)
		status = render(&r->texts.html, &vars, template_html, &r->html, err);
	if (status == MH_OK)
		status = write_line(&r->texts.entry, &vars, "calendar's line", &r->entry, err);
	const struct mh_span body = buf_span(&r->body);
	if (status == MH_OK && r->conf->calendar && !q->drill)
		put_calendar(&r->calendar, q, r->conf->from, buf_span(&r->entry),
		    span_head(body, utf8_cut(body, DESCRIPTION_BYTES)));
	if (!r->conf->html || !r->texts.html_fits)
		buf_clear(&r->html);
	reply_texts_release(&r->texts);
	return status;
}

static void
put_recipients(const struct recipients *to, struct buf *out)
{
	for (size_t i = 0; i < to->n; i++) {
		buf_puts(out, i == 0 ? "" : ", ");
		buf_puts(out, to->items[i]);
	}
	buf_puts(out, to->n == 0 ? "nobody" : "");
}

static void
describe_text(const struct run *r, const struct buf *text, const char *mark)
{
	struct mh_span rest = buf_span(text), line;

	while (span_line(&rest, &line))
		say(r->protocol, "%s %.*s", mark, (int)utf8_cut(line, 400), line.p);
}

static void
describe(const struct run *r, const struct recipients *to, const char *who)
{

	say(r->protocol, "from: %s", r->conf->from);
	say(r->protocol, "to: %s", who);
	if (to->why_not != NULL)
		say(r->protocol, "the mail's sender gets none: %s", to->why_not);
	say(r->protocol, "subject: %.*s", (int)r->subject.n, buf_span(&r->subject).p);
	describe_text(r, &r->body, "|");
	if (r->request->sample) {
		describe_text(r, &r->html, "html:");
		describe_text(r, &r->calendar, "calendar:");
	}
}

static void
tell_credentials(const struct run *r)
{
	const struct transport *t = r->conf->transport;

	if (t->credentials != NULL)
		t->credentials(r->conf, r->protocol);
}

static enum mh_status
send_mail(struct run *r, const struct recipients *to, const char *who, struct mh_err *err)
{
	const struct mh_span subject = buf_span(&r->subject);
	const struct reply_text text = { .subject = span_head(subject, utf8_cut(subject, SUBJECT_BYTES)),
		.body = buf_span(&r->body),
		.html = r->html.n > 0 ? buf_span(&r->html) : MH_NONE,
		.calendar = r->calendar.n > 0 ? buf_span(&r->calendar) : MH_NONE };
	char id[320], summary[900];
	struct told told = { .retry_after_s = -1 };
	bool earlier = false;

	enum mh_status status = compose(r->request, r->conf->from, to, &text, &r->mail, err);
	if (status != MH_OK)
		return status;
	message_id(id, r->request, r->conf->from);
	const struct delivery d = {
		.conf = r->conf,
		.request = r->request,
		.protocol = r->protocol,
		.to = to,
		.mail = buf_span(&r->mail),
		.message_id = id,
		.told = &told,
	};
	tell_credentials(r);
	status = r->conf->transport->deliver(&d, &earlier, err);
	if (status == MH_OK) {
		(void)snprintf(summary, sizeof(summary), "reply %s%s%s%s to %s%s%s", earlier ? "had been sent" : "sent",
		    told.refused[0] == '\0' ? "" : " (refused: ", told.refused, told.refused[0] == '\0' ? "" : ")", who,
		    to->why_not == NULL ? "" : "; the mail's sender gets none: ",
		    to->why_not == NULL ? "" : to->why_not);
		finish(r, "done", summary);
	} else if (status == MH_RETRY && told.retry_after_s >= 0) {
		const struct outcome_line o = { .outcome = "retry", .retry_after_s = told.retry_after_s };

		outcome(r->protocol, &o, "%s", err->text);
		status = MH_OK; /* said */
	}
	return status;
}

static enum mh_status
work(struct run *r, struct mh_err *err)
{
	const bool dry = r->request->verb == VERB_DESCRIBE || r->request->observe;
	struct recipients to;
	struct buf who;
	char summary[900];

	enum mh_status status = write_text(r, r->request, err);
	if (status != MH_OK)
		return status;
	choose_recipients(r->request, r->conf, &to);
	if (to.owner_why_not != NULL)
		say(r->protocol, "the account's owner gets none: %s", to.owner_why_not);
	buf_init(&who, (size_t)REPLY_MAX_RECIPIENTS * 260);
	put_recipients(&to, &who);
	if (dry) {
		describe(r, &to, buf_span(&who).p);
		(void)snprintf(summary, sizeof(summary), "would send a reply to %s", buf_span(&who).p);
		finish(r, "done", summary);
	} else if (to.n == 0) {
		(void)snprintf(summary, sizeof(summary),
		    "no reply: nobody is configured, and the mail's sender gets none: %s",
		    to.why_not == NULL ? "?" : to.why_not);
		finish(r, "skipped", summary);
	} else {
		status = send_mail(r, &to, buf_span(&who).p, err);
	}
	buf_release(&who);
	return status;
}

/* The templates of every event are proven. */
static enum mh_status
check(struct run *r, struct mh_err *err)
{
	struct request sample = *r->request;

	enum mh_status status = MH_OK;

	case_sample(&sample);
	for (int event = EVENT_OPENED; event <= EVENT_CLOSED && status == MH_OK; event++) {
		sample.event = (enum case_event)event;
		status = write_text(r, &sample, err);
	}
	tell_credentials(r);
	if (status == MH_OK)
		status = r->conf->transport->check(r->conf, r->request, err);
	if (status == MH_OK)
		finish(r, "done", "replies can be sent");
	return status;
}

int
main(int argc, char **argv)
{
	struct protocol protocol;
	struct request request;
	struct reply_conf conf = { 0 };
	struct mh_err err = { 0 };
	struct run r = { .protocol = &protocol, .request = &request, .conf = &conf };

	protocol_init(&protocol, STDIN_FILENO, STDOUT_FILENO);
	arena_init(&r.arena, ARENA_BYTES);
	buf_init(&r.subject, REPLY_MAX_TEXT_BYTES);
	buf_init(&r.body, REPLY_MAX_TEXT_BYTES);
	buf_init(&r.html, REPLY_MAX_TEXT_BYTES);
	buf_init(&r.entry, REPLY_MAX_TEXT_BYTES);
	buf_init(&r.calendar, 2 * REPLY_MAX_TEXT_BYTES);
	buf_init(&r.mail, REPLY_MAX_MAIL_BYTES);
	enum mh_status status = request_read(&protocol, argc == 2 ? argv[1] : NULL, &request, &err);
	if (status == MH_OK && (request.verb == VERB_INPUT || request.verb == VERB_UNKNOWN)) {
		finish(&r, "skipped", "a reply needs nothing from the terminal");
	} else {
		if (status == MH_OK)
			status = reply_conf_read(request.config, &conf, &err);
		if (status == MH_OK)
			status = request.verb == VERB_CHECK ? check(&r, &err) : work(&r, &err);
		if (status != MH_OK)
			outcome_of_error(&protocol, &err);
	}
	buf_release(&r.subject);
	buf_release(&r.body);
	buf_release(&r.html);
	buf_release(&r.entry);
	buf_release(&r.calendar);
	buf_release(&r.mail);
	reply_conf_release(&conf);
	request_release(&request);
	arena_release(&r.arena);
	protocol_release(&protocol);
	return 0;
}
