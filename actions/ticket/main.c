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
	struct buf title, text; /* own */
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
render(const struct run *r, const char *file, struct mh_span text, struct buf *out, struct mh_err *err)
{
	buf_clear(out);
	return template_render(file, 1, text, &r->vars, template_plain, out, err);
}

/* Both texts, also where they are not needed: a wrong template is found by the first event, not by the last. */
static enum mh_status
render_title_and_body(struct run *r, struct mh_err *err)
{
	enum mh_status status = render(r, "title", span_of(r->conf->title), &r->title, err);

	if (status == MH_OK && span_find(buf_span(&r->title), MH_LIT("\n"), 0) != SIZE_MAX)
		status = mh_fail(err, MH_BAD, "the title has more than one line");
	if (status != MH_OK)
		return status;
	r->title.n = utf8_cut(buf_span(&r->title), TITLE_BYTES);
	r->title.p[r->title.n] = '\0';
	return render(r, r->conf->body_file, buf_span(&r->conf->body), &r->text, err);
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
	const char *words = r->request->event == EVENT_TRUSTED ? ticket_trusted_template : ticket_comment_template;
	enum mh_status status = render(r, "comment", span_of(words), &r->text, err);

	if (status == MH_OK)
		status = announce(r, "updating", err);
	if (status == MH_OK && p->raise)
		status = driver(r)->change(r->driver_state, ref, &change, err);
	if (status == MH_OK && p->comment)
		status = driver(r)->comment(r->driver_state, ref, buf_span(&r->text), err);
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

	status = render_title_and_body(r, err);
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

/* Templates are proven with a case that has everything, so that no name in them is unknown. */
static enum mh_status
check(struct run *r, struct mh_err *err)
{
	struct request sample = *r->request;

	sample.expiry.kind = "aws.identity-center.scim-token";
	sample.job_key = sample.case_key = "00000000000000000000000000000000";
	enum mh_status status = case_vars(&sample, r->arena, &r->vars, err);
	if (status == MH_OK)
		status = render_title_and_body(r, err);
	if (status == MH_OK)
		status = driver(r)->check(r->driver_state, err);
	if (status == MH_OK)
		finish(r, "done", NULL, "tickets can be written");
	return status;
}

static enum mh_status
act(struct run *r, struct mh_err *err)
{
	enum mh_status status = driver(r)->start(r->conf->cfg, r->request, r->arena, &r->driver_state, err);

	if (status != MH_OK)
		return status;
	if (r->request->verb == VERB_CHECK) {
		status = check(r, err);
	} else {
		status = case_vars(r->request, r->arena, &r->vars, err);
		if (status == MH_OK)
			status = work(r, err);
	}
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
	ticket_conf_release(&conf);
	request_release(&request);
	arena_release(&arena);
	protocol_release(&protocol);
	return 0;
}
