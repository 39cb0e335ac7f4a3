/* main.c: the action "trigger": see trigger.h. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/token/token.h"
#include "actions/trigger/trigger.h"
#include "mailhook/certificate.h"

#define ARENA_BYTES ((size_t)8 << 20)

static enum mh_status
prepare(struct trigger *t, struct mh_err *err)
{
	cfg_t *cfg = t->conf->cfg;
	enum mh_status status = preset_settings_read(cfg, t->protocol->deadline_ms, t->request->now, &t->settings, err);

	if (status == MH_OK)
		status = aws_conf_read(cfg_getsec(cfg, "aws"), &t->settings.wire, &t->aws_conf, err);
	if (status != MH_OK)
		return status;
	aws_init(&t->aws, &t->aws_conf, t->request->expiry.account, t->request->now);
	status = trigger_state_read(t, err);
	return status == MH_OK ? trigger_state_begin(t, err) : status;
}

/* What of our own ends, so that the core opens a case of it in time. */
static void
tell_credentials(const struct trigger *t)
{
	const char *certificate = t->settings.wire.cert_file, *token = cfg_getstr(t->conf->cfg, "token");
	struct mh_err err; /* that a file cannot be used is the check's or the request's to say */
	int64_t end;

	if (certificate != NULL && certificate_end(certificate, &end, &err) == MH_OK)
		credential_ends(t->protocol, "TLS client certificate", end);
	if (token[0] != '\0' && token_credential_end(token, &end, &err) == MH_OK)
		credential_ends(t->protocol, "token client certificate", end);
}

static enum mh_status
act(struct trigger *t, struct mh_err *err)
{
	const struct request *q = t->request;
	enum mh_status status = prepare(t, err);

	if (status != MH_OK)
		return status;
	if (q->verb != VERB_DESCRIBE)
		tell_credentials(t);
	if (q->verb == VERB_CHECK)
		return trigger_check(t, err);
	return q->verb == VERB_DESCRIBE || q->observe ? trigger_describe(t, err) : trigger_run(t, err);
}

int
main(int argc, char **argv)
{
	struct protocol protocol;
	struct request request, sample;
	struct trigger_conf conf = { 0 };
	struct arena arena;
	struct mh_err err = { 0 };
	struct trigger t = { .protocol = &protocol, .request = &request, .conf = &conf, .arena = &arena };

	protocol_init(&protocol, STDIN_FILENO, STDOUT_FILENO);
	arena_init(&arena, ARENA_BYTES);
	enum mh_status status = request_read(&protocol, argc == 2 ? argv[1] : NULL, &request, &err);
	if (status == MH_OK && (request.verb == VERB_INPUT || request.verb == VERB_UNKNOWN)) {
		const struct outcome_line o = { .outcome = "skipped", .retry_after_s = -1 };

		outcome(&protocol, &o, "a trigger needs nothing from the terminal");
	} else {
		if (status == MH_OK && request.verb == VERB_CHECK) {
			sample = request;
			case_sample(&sample);
			t.request = &sample;
		}
		if (status == MH_OK)
			status = trigger_conf_read(request.config, &conf, &err);
		if (status == MH_OK)
			status = act(&t, &err);
		if (status != MH_OK)
			outcome_of_error(&protocol, &err);
	}
	trigger_state_release(&t.state);
	preset_settings_release(&t.settings);
	aws_release(&t.aws);
	trigger_conf_release(&conf);
	request_release(&request);
	arena_release(&arena);
	protocol_release(&protocol);
	return 0;
}
