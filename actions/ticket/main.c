/* main.c: the action "ticket": one ticket a case, opened, commented, raised and closed as the case goes. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/ticket/conf.h"
#include "actions/token/token.h"
#include "mailhook/certificate.h"

#define ARENA_BYTES ((size_t)16 << 20)
#define DROPPED_BYTES 300
#define MAX_NAMES 128

/* Every name that the configuration has for a queue or a field, for the driver's check. */
struct names {
	const char *queues[MAX_NAMES], *fields[TICKET_MAX_FIELDS];
	size_t n_queues;
};

static void
add_queue(struct names *n, const char *queue)
{
	if (queue == NULL || queue[0] == '\0' || n->n_queues == MAX_NAMES)
		return;
	for (size_t i = 0; i < n->n_queues; i++)
		if (strcmp(n->queues[i], queue) == 0)
			return;
	n->queues[n->n_queues++] = queue;
}

static void
set_desk(struct ticket_desk *d, const struct ticket_conf *c, const struct request *q, struct names *n)
{
	bool online = false;

	d->conf = c->cfg;
	d->priorities = c->priorities;
	d->online = json_bool(q->json, "online", &online) && online;
	d->queue = ticket_conf_of_account(c, q->expiry.account, "queue");
	d->queues = n->queues;
	add_queue(n, cfg_getstr(c->cfg, "queue"));
	for (unsigned i = 0; i < cfg_size(c->cfg, "account"); i++)
		add_queue(n, cfg_getstr(cfg_getnsec(c->cfg, "account", i), "queue"));
	d->n_queues = n->n_queues;
	d->fields = n->fields;
	for (unsigned i = 0; i < cfg_size(c->cfg, "field") && i < TICKET_MAX_FIELDS; i++)
		n->fields[d->n_fields++] = cfg_title(cfg_getnsec(c->cfg, "field", i));
}

/* When what the driver proves itself by ends, where a file says it. A file that cannot be used is the check's to tell. */
static void
tell_credentials(const struct ticket_conf *c, struct protocol *p)
{
	const char *certificate = cfg_getopt(c->cfg, "cert_file") == NULL ? "" : cfg_getstr(c->cfg, "cert_file"),
		   *token = cfg_getopt(c->cfg, "token") == NULL ? "" : cfg_getstr(c->cfg, "token");
	struct mh_err err;
	int64_t end;

	if (certificate[0] != '\0' && certificate_end(certificate, &end, &err) == MH_OK)
		credential_ends(p, "TLS client certificate", end);
	if (token[0] != '\0' && token_credential_end(token, &end, &err) == MH_OK)
		credential_ends(p, "token client certificate", end);
}

/* The templates of every event are proven. */
static enum mh_status
check(const struct ticket_conf *c, struct ticket_desk *d, void *state, struct mh_err *err)
{
	struct request sample = *d->request;
	struct ticket_texts texts;
	enum mh_status status = MH_OK;

	case_sample(&sample);
	ticket_texts_init(&texts);
	for (int event = EVENT_OPENED; event <= EVENT_CLOSED && status == MH_OK; event++) {
		sample.event = (enum case_event)event;
		status = ticket_texts_write(c, &sample, d->arena, &texts, err);
	}
	ticket_texts_release(&texts);
	tell_credentials(c, d->protocol);
	if (status == MH_OK)
		status = c->driver->check(state, err);
	if (status == MH_OK)
		ticket_finish(d, "done", NULL, "tickets can be written");
	return status;
}

static enum mh_status
act(struct ticket_conf *c, struct ticket_desk *d, struct mh_err *err)
{
	struct names names = { 0 };
	void *state = NULL;
	enum mh_status status = ticket_conf_read(d->request->config, c, err);

	if (status != MH_OK)
		return status;
	set_desk(d, c, d->request, &names);
	if (d->request->sample) /* a made-up case: the driver and its secrets are left alone */
		return ticket_live(c, d, NULL, err);
	status = c->driver->start(d, &state, err);
	if (status == MH_OK)
		status = d->request->verb == VERB_CHECK ? check(c, d, state, err) : ticket_live(c, d, state, err);
	if (state != NULL)
		c->driver->stop(state);
	return status;
}

/* What went wrong: in the server's own full words where they are there, and when to come again. */
static void
tell_failure(struct ticket_desk *d, const struct mh_err *err)
{
	const bool lacks = lacks_here(d->protocol, err), retry = lacks || err->code == MH_RETRY;
	const struct mh_span text = span_of(err->text), words = buf_span(&d->words);
	const struct outcome_line o = { .outcome = retry ? "retry" : "failed",
		.retry_after_s = retry ? d->retry_after_s : -1,
		.elsewhere = lacks };

	outcome(d->protocol, &o, "%s", words.n > text.n && span_starts(words, text) ? words.p : err->text);
}

int
main(int argc, char **argv)
{
	struct protocol protocol;
	struct request request;
	struct ticket_conf conf = { 0 };
	struct arena arena;
	struct mh_err err = { 0 };
	struct ticket_desk desk = { .request = &request, .protocol = &protocol, .arena = &arena, .retry_after_s = -1 };

	protocol_init(&protocol, STDIN_FILENO, STDOUT_FILENO);
	arena_init(&arena, ARENA_BYTES);
	buf_init(&desk.dropped, DROPPED_BYTES);
	buf_init(&desk.words, TICKET_SERVER_WORDS_BYTES + 4);
	enum mh_status status = request_read(&protocol, argc == 2 ? argv[1] : NULL, &request, &err);
	if (status == MH_OK && (request.verb == VERB_INPUT || request.verb == VERB_UNKNOWN)) {
		ticket_finish(&desk, "skipped", NULL, "a ticket needs nothing from the terminal");
	} else {
		if (status == MH_OK)
			status = act(&conf, &desk, &err);
		if (status != MH_OK)
			tell_failure(&desk, &err);
	}
	buf_release(&desk.dropped);
	buf_release(&desk.words);
	ticket_conf_release(&conf);
	request_release(&request);
	arena_release(&arena);
	protocol_release(&protocol);
	return 0;
}
