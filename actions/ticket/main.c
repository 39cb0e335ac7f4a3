/* main.c: the action "ticket": one ticket a case, opened, commented, raised and closed as the case goes.
 *
 * find, then act: every attempt of a job looks first what is there, so it may run any number of times. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/ticket/conf.h"

#define ARENA_BYTES ((size_t)8 << 20)
#define TEXT_BYTES ((size_t)256 << 10)
#define TITLE_BYTES 250

struct run {
	struct protocol *protocol; /* foreign */
	const struct request *request;
	const struct ticket_conf *conf;
	struct arena *arena;
	void *driver_state;
	struct template_vars vars;
	struct buf title, text, comment; /* own */
};

static const struct ticket_driver *
driver(const struct run *r)
{
	return r->conf->driver;
}

static bool
has_begun(const struct run *r)
{
	bool begun = false;

	return json_bool(r->request->state, "opening", &begun) && begun;
}

/* Announces what comes. MH_RETRY: the job is no longer ours. */
static enum mh_status
announce(const struct run *r, const char *what, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *state = cJSON_CreateObject();

	if (state == NULL || cJSON_AddTrueToObject(state, what) == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a checkpoint");
	if (!checkpoint(r->protocol, state))
		return mh_fail(err, MH_RETRY, "the job was taken away before anything was done");
	return MH_OK;
}

static enum mh_status
render(const struct run *r, const struct wording *t, struct buf *out, struct mh_err *err)
{
	return template_render(t->file, 1, buf_span(&t->template), &r->vars, template_plain, out, err);
}

/* Whatever the template says, a drill must be seen to be one. */
static enum mh_status
render_title(struct run *r, const struct wording *t, struct mh_err *err)
{
	const struct mh_span drill = case_var(&r->vars, "drill");

	buf_clear(&r->title);
	if (drill.n > 0) {
		buf_put(&r->title, drill);
		buf_puts(&r->title, ": ");
	}
	const enum mh_status status = render(r, t, &r->title, err);
	if (status != MH_OK)
		return status;
	if (span_find(buf_span(&r->title), MH_LIT("\n"), 0) != SIZE_MAX)
		return mh_fail(err, MH_BAD, "the title has more than one line");
	if (r->title.n == 0)
		return mh_fail(err, MH_BAD, "the title is empty");
	r->title.n = utf8_cut(buf_span(&r->title), TITLE_BYTES);
	r->title.p[r->title.n] = '\0';
	return MH_OK;
}

/* All texts, also those that are not needed: a wrong template is found by the first event, not by the last. */
static enum mh_status
write_texts(struct run *r, const struct request *q, struct mh_err *err)
{
	struct ticket_texts texts;
	enum mh_status status = case_vars(q, &r->conf->words, r->arena, &r->vars, err);

	if (status != MH_OK)
		return status;
	status = ticket_texts_read(r->conf, q->event, &texts, err);
	buf_clear(&r->text);
	buf_clear(&r->comment);
	if (status == MH_OK)
		status = render_title(r, &texts.title, err);
	if (status == MH_OK)
		status = render(r, &texts.body, &r->text, err);
	if (status == MH_OK)
		status = render(r, &texts.comment, &r->comment, err);
	ticket_texts_release(&texts);
	return status;
}

static enum mh_status
open_ticket(struct run *r, const struct ticket_plan *p, struct ticket_ref *ret, struct mh_err *err)
{
	const struct ticket_new t = {
		.key = r->request->case_key,
		.title = buf_span(&r->title),
		.body = buf_span(&r->text),
		.due = case_var(&r->vars, "expires_day"),
		.priority = p->priority,
	};
	enum mh_status status = announce(r, "opening", err);

	if (status == MH_OK)
		status = driver(r)->open(r->driver_state, &t, ret, err);
	return status;
}

static enum mh_status
update_ticket(struct run *r, const struct ticket_plan *p, const struct ticket_ref *ref, struct mh_err *err)
{
	const struct ticket_change change = { p->priority, case_var(&r->vars, "expires_day") };
	enum mh_status status = announce(r, "updating", err);

	if (status == MH_OK && p->raise)
		status = driver(r)->change(r->driver_state, ref, &change, err);
	if (status == MH_OK && p->comment)
		status = driver(r)->comment(r->driver_state, ref, buf_span(&r->comment), err);
	if (status == MH_OK && p->close)
		status = driver(r)->close(r->driver_state, ref, err);
	return status;
}

static void
finish(const struct run *r, const char *word, const struct ticket_ref *ref, const char *summary)
{
	const struct outcome_line o = { .outcome = word, .url = ref == NULL ? NULL : ref->url, .retry_after_s = -1 };

	outcome(r->protocol, &o, "%s", summary);
}

/* What the plan comes to, in words, for the outcome and for the dry run. */
static const char *
summary_of(const struct ticket_plan *p, const struct ticket_ref *found, bool dry)
{
	if (found == NULL && p->open)
		return dry ? "would open a ticket" : "ticket opened";
	if (found == NULL)
		return "there is no ticket, and no need for one";
	if (p->close)
		return dry ? "would comment on the ticket and close it" : "ticket commented and closed";
	if (p->raise && p->priority > found->priority)
		return dry ? "would comment on the ticket and raise its priority" : "ticket commented, priority raised";
	if (p->comment)
		return dry ? "would comment on the ticket" : "ticket commented";
	return found->open ? "the ticket is open" : "the ticket was closed, and stays so";
}

static void
say_text(const struct run *r, const struct buf *text, const char *mark)
{
	struct mh_span rest = buf_span(text), line;

	while (span_line(&rest, &line))
		say(r->protocol, "%s %.*s", mark, (int)utf8_cut(line, 400), line.p);
}

/* The texts as they become for a case that is made up: no ticket system is asked about it. */
static enum mh_status
show_texts(struct run *r, struct mh_err *err)
{
	const enum mh_status status = write_texts(r, r->request, err);

	if (status != MH_OK)
		return status;
	say_text(r, &r->title, "title:");
	say_text(r, &r->text, "|");
	say_text(r, &r->comment, "comment:");
	finish(r, "done", NULL, "texts shown");
	return MH_OK;
}

static enum mh_status
work(struct run *r, struct mh_err *err)
{
	const struct request *q = r->request;
	const bool dry = q->verb == VERB_DESCRIBE || q->observe;
	struct ticket_ref ref;
	const struct ticket_ref *found = NULL;

	enum mh_status status = driver(r)->find(r->driver_state, q->case_key, &ref, err);
	if (status == MH_OK)
		found = &ref;
	else if (status != MH_SKIP)
		return status;

	const struct ticket_plan p = ticket_plan(q, &r->conf->limits, found, has_begun(r));
	const char *summary = summary_of(&p, found, dry);
	const bool nothing = !p.open && !p.comment && !p.raise && !p.close;

	status = write_texts(r, q, err);
	if (status != MH_OK)
		return status;
	if (dry) {
		say(r->protocol, "title: %s", buf_span(&r->title).p);
		say(r->protocol, "priority: %s", priority_names[p.priority]);
		finish(r, "done", found, summary);
		return MH_OK;
	}
	if (p.open)
		status = open_ticket(r, &p, &ref, err);
	else if (!nothing)
		status = update_ticket(r, &p, &ref, err);
	if (status != MH_OK)
		return status;
	/* "opened" that finds its own ticket is done; only what no attempt had to do is skipped. */
	finish(r, nothing && q->event != EVENT_OPENED ? "skipped" : "done", p.open ? &ref : found, summary);
	return MH_OK;
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
		status = write_texts(r, &sample, err);
	}
	if (status == MH_OK)
		status = driver(r)->check(r->driver_state, err);
	if (status == MH_OK)
		finish(r, "done", NULL, "tickets can be written");
	return status;
}

static enum mh_status
act(struct run *r, struct mh_err *err)
{
	if (r->request->verb == VERB_DESCRIBE && r->request->sample)
		return show_texts(r, err);

	enum mh_status status = driver(r)->start(r->conf->cfg, r->request, r->arena, &r->driver_state, err);
	if (status != MH_OK)
		return status;
	status = r->request->verb == VERB_CHECK ? check(r, err) : work(r, err);
	driver(r)->stop(r->driver_state);
	return status;
}

int
main(int argc, char **argv)
{
	struct protocol protocol;
	struct request request;
	struct ticket_conf conf = { 0 };
	struct arena arena;
	struct mh_err err = { 0 };
	struct run r = { .protocol = &protocol, .request = &request, .conf = &conf, .arena = &arena };

	protocol_init(&protocol, STDIN_FILENO, STDOUT_FILENO);
	arena_init(&arena, ARENA_BYTES);
	buf_init(&r.title, TEXT_BYTES);
	buf_init(&r.text, TEXT_BYTES);
	buf_init(&r.comment, TEXT_BYTES);
	enum mh_status status = request_read(&protocol, argc == 2 ? argv[1] : NULL, &request, &err);
	if (status == MH_OK && (request.verb == VERB_INPUT || request.verb == VERB_UNKNOWN)) {
		finish(&r, "skipped", NULL, "a ticket needs nothing from the terminal");
	} else {
		if (status == MH_OK)
			status = ticket_conf_read(request.config, &conf, &err);
		if (status == MH_OK)
			status = act(&r, &err);
		if (status != MH_OK)
			outcome_of_error(&protocol, &err);
	}
	buf_release(&r.title);
	buf_release(&r.text);
	buf_release(&r.comment);
	ticket_conf_release(&conf);
	request_release(&request);
	arena_release(&arena);
	protocol_release(&protocol);
	return 0;
}
