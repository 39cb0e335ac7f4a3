/* prove.c: what `mailhook check` and `mailhook drill` ask of mailboxes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "actions/common/secret.h"
#include "mailhook/cli.h"
#include "mailhook/imap/file.h"
#include "mailhook/imap/imap.h"
#include "mailhook/work/log.h"

static void
say(const struct conf_mailbox *box, bool fit, const char *words)
{
	char shown[400];

	(void)printf(
	    "mailbox %s: %s: %s\n", box->name, fit ? "fit" : "not fit", mh_escape_words(shown, sizeof(shown), words));
	(void)fflush(stdout);
}

/* -- without the network ------------------------------------------------------------------------------------------- */

static enum mh_status
check_secret(const struct imap *im, const struct conf_mailbox *box, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret s = { 0 };
	char program[4200];

	if (box->password_command != NULL) {
		const size_t n = strcspn(box->password_command, " ");

		(void)snprintf(program, sizeof(program), "%.*s", (int)n, box->password_command);
		return access(program, X_OK) == 0 ? MH_OK : mh_fail_errno(err, MH_BAD, "%s", program);
	}
	if (box->token == NULL)
		return secret_from_file(box->password_file != NULL ? box->password_file : box->name, &s, err);
	(void)snprintf(program, sizeof(program), "%s/mailhook-token", im->libexec);
	const char *const argv[] = { program, "--check", box->token, NULL };
	return program_fits(argv, err);
}

static enum mh_status
check_box(const struct imap *im, size_t i, struct mh_err *err)
{
	const struct conf_mailbox *box = &im->conf->mailboxes[i];
	struct address at;
	struct arena a;

	if (im->trust[i] == NULL)
		return mh_fail(err, MH_BAD, "%s", im->trust_err[i].text);
	arena_init(&a, 65536);
	enum mh_status status = address_of(box->url, &a, &at, err);
	arena_release(&a);
	return status == MH_OK ? check_secret(im, box, err) : status;
}

/* -- with it ------------------------------------------------------------------------------------------------------- */

/* The folders for messages that are not there yet are made when they are needed, so that is told and no fault. */
static enum mh_status
count_missing(struct session *s, size_t *ret, struct mh_err *err)
{
	const char *const folders[] = { s->box->done, s->box->review, s->box->irrelevant };
	enum mh_status status = MH_OK;

	*ret = 0;
	for (size_t i = 0; i < 3 && status == MH_OK; i++) {
		struct buf command;

		if (folders[i] == NULL)
			continue;
		buf_init(&command, 16384);
		buf_puts(&command, "STATUS ");
		status = session_put_folder(s, &command, folders[i], err);
		buf_puts(&command, " (UIDNEXT)");
		if (status == MH_OK)
			status = session_command(s, "STATUS", &command, 0, 0, err);
		buf_release(&command);
		*ret += status == MH_SKIP;
		status = status == MH_SKIP ? MH_OK : status;
	}
	return status;
}

static bool
prove_box(const struct imap *im, size_t i)
{
	const struct conf_mailbox *box = &im->conf->mailboxes[i];
	struct session *s = NULL;
	struct mh_err err = { 0 };
	size_t missing = 0;
	char words[300];

	enum mh_status status = session_open(box, im->trust[i], im->libexec, &s, &err);
	if (status == MH_OK)
		status = count_missing(s, &missing, &err);
	const bool files = status == MH_OK && (file_wanted(box, FILING_DONE) || file_wanted(box, FILING_REVIEW) ||
						  file_wanted(box, FILING_IRRELEVANT));
	if (status == MH_OK && files && s->read_only)
		status = mh_fail(&err, MH_BAD, "the folder may only be read, and messages are to be filed");
	if (status == MH_OK) {
		(void)snprintf(words, sizeof(words), "%s is open%s%s%s%s", s->at.folder,
		    stream_is_tls(s->stream) ? ", by TLS" : ", in plain text",
		    s->idle ? ", new mail is told at once" : ", new mail is looked for (no IDLE)",
		    !files || s->move ? ""
		    : s->uidplus      ? ", filed by COPY (no MOVE)"
				      : ", filed by COPY and never expunged (no MOVE, no UIDPLUS)",
		    missing == 0 ? "" : "; folders that are missing will be made");
		say(box, true, words);
	} else {
		say(box, false, err.text);
	}
	session_free(s);
	return status == MH_OK;
}

int
prove(const struct imap *im, bool online)
{
	size_t wrong = 0;

	for (size_t i = 0; i < im->conf->n_mailboxes; i++) {
		struct mh_err err = { 0 };
		const bool fit = check_box(im, i, &err) == MH_OK;

		if (!fit)
			say(&im->conf->mailboxes[i], false, err.text);
		else if (!online)
			say(&im->conf->mailboxes[i], true,
			    "its secret is there; --online looks whether the server likes it");
		wrong += !fit || (online && !prove_box(im, i));
	}
	return wrong == 0 ? CLI_OK : CLI_ATTENTION;
}

/* -- a message into a mailbox -------------------------------------------------------------------------------------- */

static enum mh_status
read_stdin(struct buf *out, struct mh_err *err)
{
	char bytes[8192];
	ssize_t n;

	while ((n = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0 || (n < 0 && errno == EINTR))
		if (n > 0)
			buf_put(out, (struct mh_span){ bytes, (size_t)n });
	return n < 0 || !buf_ok(out) ? mh_fail_errno(err, MH_RETRY, "standard input cannot be read") : MH_OK;
}

int
append(const struct imap *im, const char *name)
{
	struct session *s = NULL;
	struct mh_err err = { 0 };
	struct buf mail;
	size_t i = 0;

	while (i < im->conf->n_mailboxes && strcmp(im->conf->mailboxes[i].name, name) != 0)
		i++;
	if (i == im->conf->n_mailboxes) {
		log_event(LOG_ERROR, "mailbox", NULL, "no mailbox is named \"%s\"", name);
		return CLI_USAGE;
	}
	buf_init(&mail, MH_IMAP_CHUNK_BYTES);
	enum mh_status status = check_box(im, i, &err);
	if (status == MH_OK)
		status = read_stdin(&mail, &err);
	if (status == MH_OK)
		status = session_open(&im->conf->mailboxes[i], im->trust[i], im->libexec, &s, &err);
	if (status == MH_OK)
		status = session_append(s, buf_span(&mail), &err);
	session_free(s);
	buf_release(&mail);
	if (status != MH_OK)
		log_event(LOG_ERROR, "mailbox", NULL, "mailbox %s: %s", name, err.text);
	return status == MH_OK ? CLI_OK : status == MH_RETRY ? CLI_LATER : CLI_ATTENTION;
}
