/* main.c: the action "rotate": a SCIM token of IAM Identity Center, from the notice to the proof that a new one
 * is in use. mailhook-action-rotate(7). */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "actions/rotate/machine.h"
#include "mailhook/clock.h"

#define KIND "aws.identity-center.scim-token"

/* What this program holds for some minutes would stand in its core file, and in the memory that a debugger of the same
 * user reads. Under the sanitizers the leak check is such a debugger. */
static void
close_up(void)
{
	const struct rlimit no_core = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &no_core);
#ifndef MAILHOOK_SANITIZED
	(void)prctl(PR_SET_DUMPABLE, 0);
#endif
}

static void
plain(struct protocol *p, const char *word, const char *summary)
{
	const struct outcome_line o = { .outcome = word, .retry_after_s = -1 };

	outcome(p, &o, "%s", summary);
}

/* I6: a mail only starts. What it says must be what is configured here. */
static enum mh_status
fits(const struct run *r, struct mh_err *err)
{
	const struct request *q = r->request;
	char shown[40];

	if (strcmp(q->expiry.kind, KIND) != 0)
		return mh_fail(err, MH_BAD, "this action rotates " KIND " and nothing else");
	if (q->expiry.account == NULL || strcmp(q->expiry.account, r->conf.place.account) != 0)
		return mh_fail(err, MH_BAD,
		    "the notice is about account %s, and this action rotates the token of %s: by hand",
		    mh_escape(shown, sizeof(shown), span_of(q->expiry.account == NULL ? "?" : q->expiry.account)),
		    r->conf.place.account);
	if (q->expiry.region != NULL && r->conf.place.region[0] != '\0' &&
	    strcmp(q->expiry.region, r->conf.place.region) != 0)
		return mh_fail(err, MH_BAD, "the notice is about region %s, and the token is in %s: by hand",
		    mh_escape(shown, sizeof(shown), span_of(q->expiry.region)), r->conf.place.region);
	if (!q->expiry.has_expires)
		return mh_fail(err, MH_BAD, "the case has no date: by hand");
	return MH_OK;
}

static enum mh_status
start_sides(struct run *r, struct mh_err *err)
{
	const struct rotate_conf *c = &r->conf;
	enum mh_status status = c->aws->start(rotate_conf_section(c, c->aws->section), &r->env, &r->aws, err);

	if (status == MH_OK)
		status = c->idp->start(rotate_conf_section(c, c->idp->section), &r->env, &r->idp, err);
	return status;
}

static enum mh_status
check(struct run *r, struct mh_err *err)
{
	bool online = false;

	(void)json_bool(r->request->json, "online", &online);
	enum mh_status status = r->conf.aws->check(r->aws, online, err);
	/* closed to us is no fault of the configuration, but whoever asks for it should know */
	if (status == MH_SKIP) {
		err->code = MH_BAD;
		return MH_BAD;
	}
	if (status == MH_OK)
		status = r->conf.idp->check(r->idp, online, err);
	if (status == MH_OK || status == MH_SKIP) {
		char text[400];

		(void)snprintf(text, sizeof(text), "tokens of account %s are made by %s and saved in %s%s",
		    r->conf.place.account, r->conf.aws->name, r->conf.idp->name, online ? "; both were asked" : "");
		plain(r->protocol, "done", text);
		status = MH_OK;
	}
	return status;
}

/* The key that is missing is named by its id where the rotation has come so far that there is a sealed token. */
static enum mh_status
read_key(struct run *r, struct mh_err *err)
{
	const char *sealed = json_string(r->request->state, "sealed");
	char id[SEAL_KEY_ID] = "";
	const enum mh_status status = seal_key_read(r->conf.key_file, &r->key, err);

	if (sealed != NULL)
		(void)seal_is_by(&r->key, sealed, id);
	if (status == MH_OK || !err->absent)
		return status;
	const struct mh_err why = *err;
	return mh_absent(err,
	    mh_fail(err, status, "key_file%s%s: %.100s", id[0] == '\0' ? "" : ", which is to hold key ", id, why.text));
}

/* What another machine's key has sealed is that machine's to go on with. Where there is no other machine, or nobody has
 * that key any more, the steps see to it that nothing is lost. */
static enum mh_status
can_open(const struct run *r, struct mh_err *err)
{
	const char *id = r->rotation.foreign_key;

	if (id[0] == '\0' || !r->request->others || rotate_conf_lost_key(&r->conf, id))
		return MH_OK;
	return mh_absent(
	    err, mh_fail(err, MH_BAD, "the new token is sealed by key %s, and key_file holds key %s: it is left alone",
		     id, r->key.id));
}

static enum mh_status
act(struct run *r, struct mh_err *err)
{
	const struct request *q = r->request;
	enum mh_status status = rotate_conf_read(q->config, &r->conf, err);

	r->env = (struct side_env){ .protocol = r->protocol,
		.wire = r->conf.wire,
		.place = &r->conf.place,
		.rotation_id = q->case_key == NULL ? "" : q->case_key,
		.state_dir = q->state_dir,
		.now = q->now,
		.deadline = q->deadline,
		.retry_after_s = -1 };
	if (status == MH_OK)
		status = read_key(r, err);
	if (status == MH_OK && q->verb != VERB_CHECK && !q->sample)
		status = fits(r, err);
	if (status == MH_OK)
		status = start_sides(r, err);
	if (status != MH_OK)
		return status;
	if (q->verb == VERB_CHECK)
		return check(r, err);
	if (r->dry) {
		run_describe(r);
		return MH_OK;
	}
	if (r->conf.approval == APPROVAL_TICKET_ONLY) {
		plain(
		    r->protocol, "skipped", "approval = ticket-only: the token is rotated by hand, as the ticket says");
		return MH_OK;
	}
	status = rotation_read(q->state, &r->key, q->case_key, &r->rotation, err);
	if (status == MH_OK)
		status = can_open(r, err);
	if (status != MH_OK)
		return status;
	if (q->verb == VERB_INPUT)
		run_input(r);
	else
		run_steps(r);
	return MH_OK;
}

static void
release(struct run *r)
{
	if (r->conf.aws != NULL && r->aws != NULL)
		r->conf.aws->stop(r->aws);
	if (r->conf.idp != NULL && r->idp != NULL)
		r->conf.idp->stop(r->idp);
	rotation_release(&r->rotation);
	seal_key_release(&r->key);
	rotate_conf_release(&r->conf);
}

int
main(int argc, char **argv)
{
	struct protocol protocol;
	struct request request;
	struct mh_err err = { 0 };
	struct run r = { .protocol = &protocol, .request = &request };

	close_up();
	protocol_init(&protocol, STDIN_FILENO, STDOUT_FILENO);
	r.began_ms = clock_monotonic_ms();
	enum mh_status status = request_read(&protocol, argc == 2 ? argv[1] : NULL, &request, &err);
	if (status == MH_OK &&
	    (request.verb == VERB_UNKNOWN || (request.verb == VERB_INPUT && request.case_key == NULL))) {
		plain(&protocol, "skipped", "a rotation needs a case");
	} else {
		/* of a drill nothing expires, so nothing is rotated */
		r.dry = request.verb == VERB_DESCRIBE || request.observe || request.drill;
		if (status == MH_OK)
			status = act(&r, &err);
		if (status != MH_OK)
			outcome_of_error(&protocol, &err);
	}
	release(&r);
	request_release(&request);
	protocol_release(&protocol);
	return 0;
}
