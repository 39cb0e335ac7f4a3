/* login.c: who we are, and why a server does not believe it.
 *
 * Tokens are asked of mailhook-token, a program of its own; after a refusal once more for a fresh one, because a server
 * may have ended one that its own date calls good. Source: RFC 3501 6.2.2 and 6.2.3, RFC 4616, RFC 7628; of XOAUTH2
 * Google's and Microsoft's own pages. Both answer a refused token with a challenge, and wait for an answer to it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "actions/common/base64.h"
#include "actions/common/secret.h"
#include "mailhook/imap/session.h"

#define GIVEN_BACK_BYTES 8 /* of a secret, by which it is known again */
#define TOKEN_MS 60000     /* one request to a token server has 30 s by default */

/* -- secrets ------------------------------------------------------------------------------------------------------- */

/* Runs a program that prints a secret; what it says on stderr is why there is none, and the words for it. */
static enum mh_status
from_program(const char *const *argv, struct secret *ret, struct mh_err *err)
{
	struct mh_err own = { 0 };
	char said[300] = "";
	const int words = memfd_create("words", MFD_CLOEXEC), kept = dup(STDERR_FILENO);

	if (words >= 0 && kept >= 0)
		(void)dup2(words, STDERR_FILENO); /* it has our stderr: this process has one thread */
	enum mh_status status = secret_from_command(argv, TOKEN_MS, ret, &own);
	if (words >= 0 && kept >= 0)
		(void)dup2(kept, STDERR_FILENO);
	const ssize_t n = words < 0 ? -1 : pread(words, said, sizeof(said) - 1, 0);
	if (words >= 0)
		(void)close(words);
	if (kept >= 0)
		(void)close(kept);
	if (status == MH_OK)
		return MH_OK;
	/* mailhook-token's 1 and 2 are for a person to mend; all others come later (sysexits.h) */
	if (span_iends(span_of(own.text), MH_LIT(": exit status 1")) ||
	    span_iends(span_of(own.text), MH_LIT(": exit status 2")))
		status = MH_BAD;
	struct mh_span rest = { said, n > 0 ? (size_t)n : 0 }, line = MH_NONE;
	char shown[140];
	if (!span_line(&rest, &line) || line.n == 0)
		return mh_fail(err, status, "%s", own.text);
	if (span_starts(line, MH_LIT("mailhook-token: ")))
		line = span_from(line, sizeof("mailhook-token: ") - 1);
	return mh_fail(err, status, "%s", mh_escape_words(shown, sizeof(shown), mh_escape(said, line.n + 1, line)));
}

enum mh_status
program_fits(const char *const *argv, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret nothing = { 0 };
	struct mh_err own = { 0 };
	const enum mh_status status = from_program(argv, &nothing, &own);

	/* a program that has nothing to say and ends well prints nothing, which is a fault only in a secret */
	if (status == MH_OK || strstr(own.text, "the secret is empty") != NULL)
		return MH_OK;
	return mh_fail(err, status, "%s", own.text);
}

static enum mh_status
token_of(const struct session *s, const char *libexec, bool fresh, struct secret *ret, struct mh_err *err)
{
	char program[4200];

	if ((size_t)snprintf(program, sizeof(program), "%s/mailhook-token", libexec) >= sizeof(program))
		return mh_fail(err, MH_BAD, "the name of mailhook-token's folder is too long");
	const char *const plain[] = { program, s->box->token, NULL };
	const char *const again[] = { program, "--fresh", s->box->token, NULL };
	return from_program(fresh ? again : plain, ret, err);
}

/* The program and its arguments, split at blanks. */
static enum mh_status
from_command(const struct session *s, struct secret *ret, struct mh_err *err)
{
	char *copy = strdup(s->box->password_command);
	const char *argv[SECRET_COMMAND_WORDS + 1];

	if (copy == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a command");
	enum mh_status status = secret_split(copy, argv, err);
	if (status == MH_OK)
		status = from_program(argv, ret, err);
	free(copy);
	return status;
}

static enum mh_status
password_of(const struct session *s, struct secret *ret, struct mh_err *err)
{
	if (s->box->password_command != NULL)
		return from_command(s, ret, err);
	return secret_from_file(s->box->password_file != NULL ? s->box->password_file : s->box->name, ret, err);
}

/* -- refusals ------------------------------------------------------------------------------------------------------ */

static bool
says(const struct screen *screen, const char *words)
{
	return span_ifind(span_of(screen->words), span_of(words), 0) != SIZE_MAX;
}

/* Some servers repeat a command that they refuse. Its beginning is enough: what they say is cut. */
static bool
gives_back(const struct screen *screen, const struct secret *secret)
{
	char start[40];
	const size_t n = strlen(mh_escape(start, sizeof(start), span_head(secret_span(secret), GIVEN_BACK_BYTES)));
	const bool found = n > 0 && span_find(span_of(screen->words), (struct mh_span){ start, n }, 0) != SIZE_MAX;

	explicit_bzero(start, sizeof(start));
	return found;
}

/* A NO to a login, for the person who can mend it. */
static enum mh_status
refused(const struct session *s, const struct secret *secret, bool token, struct mh_err *err)
{
	const struct screen *screen = session_screen(s);
	const char *words = gives_back(screen, secret) ? "in words that give the secret back" : screen->words;
	static const char *const later[] = { "UNAVAILABLE", "INUSE", "LIMIT", "CONTACTADMIN" };

	for (size_t i = 0; i < sizeof(later) / sizeof(later[0]); i++)
		if (strcmp(screen->code, later[i]) == 0)
			return mh_fail(err, MH_RETRY, "the server lets nobody in now: %s", words);
	if (says(screen, "basic authentication") || says(screen, "basicauth"))
		return mh_fail(
		    err, MH_BAD, "Basic authentication is disabled for this mailbox: it takes a token, not a password");
	if (says(screen, "application-specific password"))
		return mh_fail(err, MH_BAD, "the server wants an application-specific password or a token");
	if (token && s->search_by_words)
		return mh_fail(err, MH_BAD,
		    "the token is refused (%.40s): has the application the right for IMAP, and is the mailbox granted "
		    "to it",
		    words);
	if (token)
		return mh_fail(err, MH_BAD, "the token is refused: %s", words);
	return mh_fail(err, MH_BAD, "user or password refused: %s", words);
}

/* -- mechanisms ---------------------------------------------------------------------------------------------------- */

struct answer {
	const char *first; /* base64; sent for the first "+" where it was not sent before */
	bool sent;
	const char *then; /* to the challenge that a refusal is; NULL: "*" */
};

static const char *
reply(void *user, unsigned nth, struct mh_span challenge)
{
	struct answer *a = user;

	(void)nth;
	(void)challenge;
	if (a->sent)
		return a->then;
	a->sent = true;
	return a->first;
}

static enum mh_status
authenticate(struct session *s, const char *mechanism, struct mh_span clear, const char *then, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf coded;
	MH_AUTO(secret_buf_release) struct buf line;

	buf_init(&coded, 2 * MH_IMAP_LINE_BYTES);
	buf_init(&line, 2 * MH_IMAP_LINE_BYTES);
	base64_put(&coded, clear);
	buf_printf(&line, "AUTHENTICATE %s", mechanism);
	/* some servers stop reading a command line at 1,000 bytes, and a token is longer: RFC 7162 asks for 8,192 */
	struct answer a = { .first = coded.p, .sent = s->sasl_ir && coded.n < 8000, .then = then };
	if (a.sent) {
		buf_putc(&line, ' ');
		buf_put(&line, buf_span(&coded));
	}
	if (!buf_ok(&line) || !buf_ok(&coded) || coded.p == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a login");
	return session_talk(s, buf_span(&line), reply, &a, err);
}

static enum mh_status
by_plain(struct session *s, const struct secret *password, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf clear;

	buf_init(&clear, MH_IMAP_LINE_BYTES);
	buf_putc(&clear, '\0');
	buf_puts(&clear, s->box->user);
	buf_putc(&clear, '\0');
	buf_put(&clear, secret_span(password));
	return authenticate(s, "PLAIN", buf_span(&clear), NULL, err);
}

static enum mh_status
by_login(struct session *s, const struct secret *password, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf line;

	buf_init(&line, MH_IMAP_LINE_BYTES);
	buf_puts(&line, "LOGIN ");
	bool fit = put_quoted(&line, span_of(s->box->user));
	buf_putc(&line, ' ');
	fit = fit && put_quoted(&line, secret_span(password));
	if (!fit)
		return mh_fail(err, MH_BAD, "user or password is not ASCII, and the server offers no AUTH=PLAIN");
	return session_talk(s, buf_span(&line), NULL, NULL, err);
}

/* RFC 7628 section 3.1; a user that holds a comma or "=" is written as saslname. */
static void
put_saslname(struct buf *out, const char *user)
{
	for (; *user != '\0'; user++) {
		if (*user == ',')
			buf_puts(out, "=2C");
		else if (*user == '=')
			buf_puts(out, "=3D");
		else
			buf_putc(out, *user);
	}
}

static enum mh_status
by_token(struct session *s, const struct secret *token, struct mh_err *err)
{
	const bool bearer =
	    s->box->auth == AUTH_OAUTHBEARER || (s->box->auth == AUTH_AUTO && s->oauthbearer && !s->xoauth2);
	MH_AUTO(secret_buf_release) struct buf clear;

	buf_init(&clear, MH_IMAP_LINE_BYTES);
	if (bearer) {
		buf_puts(&clear, "n,a=");
		put_saslname(&clear, s->box->user);
		buf_printf(&clear, ",\001host=%s\001port=%s\001auth=Bearer ", s->at.host, s->at.port);
	} else {
		buf_printf(&clear, "user=%s\001auth=Bearer ", s->box->user);
	}
	buf_put(&clear, secret_span(token));
	buf_puts(&clear, "\001\001");
	return authenticate(s, bearer ? "OAUTHBEARER" : "XOAUTH2", buf_span(&clear), bearer ? "AQ==" : "", err);
}

static enum mh_status
login_by_token(struct session *s, const char *libexec, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret token = { 0 };
	MH_AUTO(secret_release) struct secret fresh = { 0 };

	if (s->box->auth == AUTH_LOGIN || s->box->auth == AUTH_PLAIN)
		return mh_fail(err, MH_BAD, "auth wants a password, and the mailbox has a token");
	if (!s->xoauth2 && !s->oauthbearer)
		return mh_fail(err, MH_BAD, "the server takes no tokens: neither XOAUTH2 nor OAUTHBEARER");
	enum mh_status status = token_of(s, libexec, false, &token, err);
	if (status != MH_OK)
		return status;
	status = by_token(s, &token, err);
	if (status != MH_SKIP)
		return status;
	status = token_of(s, libexec, true, &fresh, err);
	if (status != MH_OK)
		return status;
	status = by_token(s, &fresh, err);
	return status == MH_SKIP ? refused(s, &fresh, true, err) : status;
}

static enum mh_status
login_by_password(struct session *s, struct mh_err *err)
{
	MH_AUTO(secret_release) struct secret password = { 0 };
	const enum mailbox_auth auth = s->box->auth;

	if (auth == AUTH_XOAUTH2 || auth == AUTH_OAUTHBEARER)
		return mh_fail(err, MH_BAD, "auth wants a token, and the mailbox names none");
	if (!s->plain && s->login_disabled)
		return mh_fail(err, MH_BAD, "%s",
		    s->xoauth2 || s->oauthbearer
			? "Basic authentication is disabled by the server: it takes a token only"
			: "the server takes no password here (LOGINDISABLED)");
	enum mh_status status = password_of(s, &password, err);
	if (status != MH_OK)
		return status;
	status = auth == AUTH_PLAIN || (auth == AUTH_AUTO && s->plain) ? by_plain(s, &password, err)
								       : by_login(s, &password, err);
	return status == MH_SKIP ? refused(s, &password, false, err) : status;
}

enum mh_status
session_login(struct session *s, const char *libexec, struct mh_err *err)
{
	return s->box->token != NULL ? login_by_token(s, libexec, err) : login_by_password(s, err);
}
