/* smtp.c: submission through libcurl.
 *
 * libcurl tells one code for a whole session. What became of each recipient, and the server's words, are taken from its
 * debug callback, which sees commands and answers in order; credentials pass there too and are not looked at. */
#include "actions/common/smtp.h"

#include <stdio.h>
#include <string.h>

#include "actions/common/base64.h"
#include "actions/common/secret.h"
#include "actions/common/smtp_talk.h"
#include "actions/token/token.h"

const char *const smtp_tls_names[3] = {
	[SMTP_STARTTLS] = "starttls", [SMTP_IMPLICIT] = "implicit", [SMTP_PLAIN] = "none"
};
const char *const smtp_auth_names[4] = { [SMTP_AUTH_NONE] = "none",
	[SMTP_AUTH_PLAIN] = "plain",
	[SMTP_AUTH_LOGIN] = "login",
	[SMTP_AUTH_XOAUTH2] = "xoauth2" };

/* -- addresses and text ------------------------------------------------------------------------------------------- */

static bool
chars_ok(struct mh_span s, const char *others)
{
	for (size_t i = 0; i < s.n; i++) {
		const char c = s.p[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
			(c != '\0' && strchr(others, c) != NULL)))
			return false;
	}
	return s.n > 0;
}

/* Atoms between dots: none empty. */
static bool
dots_ok(struct mh_span s)
{
	return s.n > 0 && s.p[0] != '.' && s.p[s.n - 1] != '.' && span_find(s, MH_LIT(".."), 0) == SIZE_MAX;
}

/* Labels between dots: none begins or ends with a hyphen. */
static bool
host_ok(struct mh_span s)
{
	return chars_ok(s, "-.") && dots_ok(s) && s.p[0] != '-' && s.p[s.n - 1] != '-' &&
	       span_find(s, MH_LIT("-."), 0) == SIZE_MAX && span_find(s, MH_LIT(".-"), 0) == SIZE_MAX;
}

bool
smtp_address_ok(struct mh_span a)
{
	const size_t at = span_find(a, MH_LIT("@"), 0);

	if (at == SIZE_MAX || a.n > SMTP_MAX_ADDRESS_BYTES || at > SMTP_MAX_LOCAL_BYTES)
		return false;
	const struct mh_span local = span_head(a, at);
	return chars_ok(local, "!#$%&'*+-/=?^_`{|}~.") && dots_ok(local) && host_ok(span_from(a, at + 1));
}

/* Writes the text as it goes over the wire: CRLF at each line's end. libcurl does the dots, and no more. */
static enum mh_status
wire_text(struct mh_span text, struct buf *out, struct mh_err *err)
{
	struct mh_span line;

	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] == '\0' || (unsigned char)text.p[i] >= 0x80)
			return mh_fail(err, MH_BAD, "the mail is not 7-bit text");
	if (text.n == 0 || text.n > SMTP_MAX_MAIL_BYTES)
		return mh_fail(err, MH_BAD, "a mail of %zu bytes is not sent", text.n);
	while (span_line(&text, &line)) {
		if (line.n > SMTP_MAX_LINE_BYTES || memchr(line.p, '\r', line.n) != NULL)
			return mh_fail(err, MH_BAD, "the mail has a line that cannot be sent");
		buf_put(out, line);
		buf_puts(out, "\r\n");
	}
	return buf_ok(out) ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a mail");
}

static enum mh_status
check_mail(const struct smtp_mail *m, struct mh_err *err)
{
	char who[64];

	if (m->n_to == 0 || m->n_to > SMTP_MAX_RECIPIENTS)
		return mh_fail(err, MH_BAD, "%zu recipients: from 1 to %d are sent to", m->n_to, SMTP_MAX_RECIPIENTS);
	if (m->from[0] != '\0' && !smtp_address_ok(span_of(m->from)))
		return mh_fail(
		    err, MH_BAD, "not an address to send from: %s", mh_escape(who, sizeof(who), span_of(m->from)));
	for (size_t i = 0; i < m->n_to; i++)
		if (!smtp_address_ok(span_of(m->to[i])))
			return mh_fail(err, MH_BAD, "not an address to send to: %s",
			    mh_escape(who, sizeof(who), span_of(m->to[i])));
	return MH_OK;
}

/* -- the session, as it is heard ---------------------------------------------------------------------------------- */

static int
hear(CURL *c, curl_infotype type, char *p, size_t n, void *user)
{
	const struct mh_span line = { p, n };

	(void)c;
	if (type == CURLINFO_HEADER_OUT)
		smtp_talk_command(user, line);
	else if (type == CURLINFO_HEADER_IN)
		smtp_talk_reply(user, line);
	return 0;
}

static size_t
give_text(char *dst, size_t size, size_t n, void *user)
{
	struct smtp_talk *t = user;
	const struct mh_span part = span_head(t->text, size * n);

	/* Where no AUTH is offered, libcurl goes on without; hanging up before the final dot undoes it. */
	if (t->must_log_in && !t->logged_in)
		return CURL_READFUNC_ABORT;
	memcpy(dst, part.p, part.n);
	t->text = span_from(t->text, part.n);
	return part.n;
}

/* NOOP's answer has a body for libcurl; nobody wants it. */
static size_t
no_output(char *p, size_t size, size_t n, void *user)
{
	(void)p;
	(void)user;
	return size * n;
}

/* -- what it came to ---------------------------------------------------------------------------------------------- */

static enum mh_status
by_code(const struct smtp_server *s, const struct smtp_talk *t, const struct smtp_reply *r, struct mh_err *err)
{
	/* Postfix says 421 to a certificate that it does not trust, or to none;
	 * that passes no sooner than one is configured. */
	const bool certificate =
	    t->tls && t->at == SMTP_AT_HELLO && span_ifind(span_of(r->words), MH_LIT("certificate"), 0) != SIZE_MAX;

	return mh_fail(err, r->code >= 500 || certificate ? MH_BAD : MH_RETRY, "%s: %s refused: %s", s->host,
	    smtp_stage_names[t->at], r->words);
}

/* Nobody was taken: one that may be taken later makes it "later". */
static enum mh_status
no_recipient(const struct smtp_server *s, const struct smtp_talk *t, struct mh_err *err)
{
	const struct smtp_reply *worst = &t->last;

	for (size_t i = 0; i < t->n_recipients && i < SMTP_MAX_RECIPIENTS; i++)
		if (t->recipients[i].code >= 400 && t->recipients[i].code < 500)
			worst = &t->recipients[i];
	return by_code(s, t, worst, err);
}

static enum mh_status
judge(const struct smtp_server *s, const struct smtp_talk *t, CURLcode code, const char *error_text, struct mh_err *err)
{
	struct mh_err net;

	if ((code == CURLE_OK || code == CURLE_ABORTED_BY_CALLBACK) && t->must_log_in && !t->logged_in)
		return mh_fail(err, MH_BAD, "%s: no AUTH %s offered", s->host, smtp_auth_names[s->auth]);
	if (code == CURLE_OK)
		return MH_OK;
	/* Where EHLO is refused libcurl says HELO, and a server that has hung up answers no more. */
	if ((t->answered || t->at == SMTP_AT_HELLO) && t->last.code >= 400)
		return t->at == SMTP_AT_RECIPIENT ? no_recipient(s, t, err) : by_code(s, t, &t->last, err);
	if (code == CURLE_LOGIN_DENIED && t->at == SMTP_AT_AUTH) /* the challenge that says why is an answer of 334 */
		return mh_fail(err, MH_BAD, "%s: login refused", s->host);
	if (code == CURLE_LOGIN_DENIED)
		return mh_fail(err, MH_BAD, "%s: no AUTH %s offered", s->host, smtp_auth_names[s->auth]);
	if (code == CURLE_USE_SSL_FAILED)
		return mh_fail(err, MH_BAD, "%s: no STARTTLS offered", s->host);

	const enum mh_status status = wire_error(&s->wire, code, !t->tls || t->tls_heard, error_text, s->host, &net);
	return mh_fail(err, status, "%s%s", net.text,
	    t->at == SMTP_AT_TEXT && t->text.n == 0 ? " (the mail may have been taken)" : "");
}

static void
tell_refused(const struct smtp_mail *m, const struct smtp_talk *t, struct buf *out)
{
	for (size_t i = 0; i < t->n_recipients && i < m->n_to; i++)
		if (t->recipients[i].code >= 400)
			buf_printf(out, "%s%s: %s", out->n > 0 ? "; " : "", m->to[i], t->recipients[i].words);
}

/* -- one session -------------------------------------------------------------------------------------------------- */

static void
drop_curlu(CURLU **u)
{
	curl_url_cleanup(*u);
	*u = NULL;
}

/* The URL is put together from parts by libcurl: no host can become more than a host. */
static enum mh_status
build_url(const struct smtp_server *s, char **ret, struct wire_url *ret_parts, struct mh_err *err)
{
	char port[16], host[300], path[300];
	MH_AUTO(drop_curlu) CURLU *u = curl_url();
	const bool six = strchr(s->host, ':') != NULL;

	(void)snprintf(port, sizeof(port), "%d", s->port);
	(void)snprintf(path, sizeof(path), "/%s", s->helo == NULL ? "" : s->helo);
	(void)snprintf(host, sizeof(host), six ? "[%s]" : "%s", s->host);
	if (u == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a URL");
	if (curl_url_set(u, CURLUPART_SCHEME, s->tls == SMTP_IMPLICIT ? "smtps" : "smtp", 0) != CURLUE_OK ||
	    curl_url_set(u, CURLUPART_HOST, host, 0) != CURLUE_OK ||
	    curl_url_set(u, CURLUPART_PORT, port, 0) != CURLUE_OK ||
	    curl_url_set(u, CURLUPART_PATH, path, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_URL, ret, 0) != CURLUE_OK)
		return mh_fail(err, MH_BAD, "not a server to send by: host, port or helo name");
	return wire_url_read(*ret, ret_parts, err);
}

static void
drop_text(char **p)
{
	curl_free(*p);
	*p = NULL;
}

static enum mh_status
check_server(const struct smtp_server *s, struct mh_err *err)
{
	char who[64];
	const int secrets = (s->password_file != NULL) + (s->password_command != NULL) + (s->token_file != NULL);

	if (s->host == NULL || !chars_ok(span_of(s->host), ".-:") || strlen(s->host) > 253)
		return mh_fail(err, MH_BAD, "not a host: \"%s\"",
		    mh_escape(who, sizeof(who), span_of(s->host == NULL ? "" : s->host)));
	if (s->port < 1 || s->port > 65535)
		return mh_fail(err, MH_BAD, "not a port: %d", s->port);
	if (s->helo != NULL && (!chars_ok(span_of(s->helo), ".-") || strlen(s->helo) > 253))
		return mh_fail(err, MH_BAD, "not a helo name: \"%s\"", mh_escape(who, sizeof(who), span_of(s->helo)));
	if (s->auth == SMTP_AUTH_NONE ? secrets != 0 || s->user != NULL : secrets != 1 || s->user == NULL)
		return mh_fail(err, MH_BAD, "auth %s needs %s", smtp_auth_names[s->auth],
		    s->auth == SMTP_AUTH_NONE ? "no user and no secret" : "a user and one secret");
	if ((s->auth == SMTP_AUTH_XOAUTH2) != (s->token_file != NULL))
		return mh_fail(err, MH_BAD, "a token goes with auth xoauth2, and nothing else does");
	return MH_OK;
}

static enum mh_status
get_secret(const struct smtp_server *s, bool fresh, int64_t now, struct secret *ret, int64_t *ret_retry_after_s,
    struct mh_err *err)
{
	if (s->token_file != NULL)
		return token_get(s->token_file, fresh, now, ret, ret_retry_after_s, err);
	if (s->password_command != NULL)
		return secret_from_command(s->password_command, 0, ret, err);
	return secret_from_file(s->password_file, ret, err);
}

#define SET(c, option, value)                                                                                          \
	do {                                                                                                           \
		if (code == CURLE_OK)                                                                                  \
			code = curl_easy_setopt(c, option, value);                                                     \
	} while (0)

static CURLcode
set_login(CURL *c, const struct smtp_server *s, const struct secret *secret)
{
	static const char *const mechanisms[] = {
		[SMTP_AUTH_PLAIN] = "AUTH=PLAIN", [SMTP_AUTH_LOGIN] = "AUTH=LOGIN", [SMTP_AUTH_XOAUTH2] = "AUTH=XOAUTH2"
	};
	CURLcode code = CURLE_OK;

	if (s->auth == SMTP_AUTH_NONE)
		return code;
	SET(c, CURLOPT_LOGIN_OPTIONS, mechanisms[s->auth]);
	SET(c, CURLOPT_USERNAME, s->user);
	if (s->auth == SMTP_AUTH_XOAUTH2)
		SET(c, CURLOPT_XOAUTH2_BEARER, secret->p);
	else
		SET(c, CURLOPT_PASSWORD, secret->p);
	return code;
}

static CURLcode
set_session(CURL *c, const struct smtp_server *s, const char *url, struct smtp_talk *t)
{
	CURLcode code = CURLE_OK;

	SET(c, CURLOPT_URL, url);
	SET(c, CURLOPT_PROTOCOLS_STR, s->tls == SMTP_IMPLICIT ? "smtps" : "smtp");
	SET(c, CURLOPT_USE_SSL, (long)(s->tls == SMTP_PLAIN ? CURLUSESSL_NONE : CURLUSESSL_ALL));
	SET(c, CURLOPT_VERBOSE, 1L);
	SET(c, CURLOPT_DEBUGFUNCTION, hear);
	SET(c, CURLOPT_DEBUGDATA, t);
	SET(c, CURLOPT_WRITEFUNCTION, no_output);
	return code;
}

static CURLcode
set_mail(CURL *c, const struct smtp_mail *m, struct curl_slist *to, const char *from, struct smtp_talk *t)
{
	CURLcode code = CURLE_OK;

	if (m == NULL) {
		SET(c, CURLOPT_CUSTOMREQUEST, "NOOP");
		return code;
	}
	SET(c, CURLOPT_MAIL_FROM, from);
	SET(c, CURLOPT_MAIL_RCPT, to);
	SET(c, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
	SET(c, CURLOPT_UPLOAD, 1L);
	SET(c, CURLOPT_READFUNCTION, give_text);
	SET(c, CURLOPT_READDATA, t);
	SET(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)t->text.n);
	return code;
}

static enum mh_status
list_recipients(const struct smtp_mail *m, struct curl_slist **ret, struct mh_err *err)
{
	for (size_t i = 0; m != NULL && i < m->n_to; i++) {
		struct curl_slist *longer = curl_slist_append(*ret, m->to[i]);

		if (longer == NULL)
			return mh_fail(err, MH_RETRY, "no memory for a mail");
		*ret = longer;
	}
	return MH_OK;
}

/* The secret as it goes over the wire, in all its forms. */
struct login {
	struct buf text; /* own: the forms, one after the other */
	size_t ends[SMTP_TALK_SECRETS];
};

static void
drop_login(struct login *l)
{
	secret_buf_release(&l->text);
}

static bool
write_login(const struct smtp_server *s, const struct secret *secret, struct login *ret)
{
	MH_AUTO(secret_buf_release) struct buf plain;
	MH_AUTO(secret_buf_release) struct buf xoauth2;

	buf_init(&plain, 2u * SECRET_MAX_BYTES);
	buf_init(&xoauth2, 2u * SECRET_MAX_BYTES);
	buf_init(&ret->text, 8u * SECRET_MAX_BYTES);
	if (s->auth == SMTP_AUTH_NONE)
		return true;
	buf_putc(&plain, '\0');
	buf_puts(&plain, s->user);
	buf_putc(&plain, '\0');
	buf_put(&plain, secret_span(secret));
	buf_puts(&xoauth2, "user=");
	buf_puts(&xoauth2, s->user);
	buf_puts(&xoauth2, "\x01"
			   "auth=Bearer ");
	buf_put(&xoauth2, secret_span(secret));
	buf_puts(&xoauth2, "\x01\x01");

	buf_put(&ret->text, secret_span(secret));
	ret->ends[0] = ret->text.n;
	base64_put(&ret->text, secret_span(secret));
	ret->ends[1] = ret->text.n;
	base64_put(&ret->text, buf_span(&plain));
	ret->ends[2] = ret->text.n;
	base64_put(&ret->text, buf_span(&xoauth2));
	ret->ends[3] = ret->text.n;
	return buf_ok(&plain) && buf_ok(&xoauth2) && buf_ok(&ret->text);
}

static void
listen_for(const struct login *l, struct smtp_talk *t)
{
	size_t from = 0;

	for (size_t i = 0; i < SMTP_TALK_SECRETS && l->text.n > 0; i++) {
		t->secrets[i] = (struct mh_span){ l->text.p + from, l->ends[i] - from };
		from = l->ends[i];
	}
}

/* m == NULL: only as far as the login. */
static enum mh_status
session_once(const struct smtp_server *s, const struct smtp_mail *m, struct mh_span text, const struct secret *secret,
    struct smtp_talk *t, struct mh_err *err)
{
	char error_text[CURL_ERROR_SIZE], from[260] = "";
	MH_AUTO(drop_text) char *url = NULL;
	MH_AUTO(wire_url_release) struct wire_url parts = { 0 };
	MH_AUTO(drop_slist) struct curl_slist *to = NULL;
	MH_AUTO(drop_login) struct login login = { 0 };
	MH_AUTO(drop_curl) CURL *c = NULL;

	*t = (struct smtp_talk){
		.text = text, .fresh = true, .must_log_in = s->auth != SMTP_AUTH_NONE, .tls = s->tls == SMTP_IMPLICIT
	};
	enum mh_status status = build_url(s, &url, &parts, err);
	if (status == MH_OK && !write_login(s, secret, &login))
		status = mh_fail(err, MH_RETRY, "no memory for a login");
	listen_for(&login, t);
	if (status == MH_OK && s->tls == SMTP_PLAIN && !parts.loopback && !s->wire.allow_plain)
		status = mh_fail(err, MH_BAD, "%s: without TLS only to loopback", s->host);
	if (status == MH_OK)
		status = list_recipients(m, &to, err);
	if (status == MH_OK)
		status = wire_open(&s->wire, error_text, &c, err);
	if (status != MH_OK)
		return status;

	if (m != NULL)
		(void)snprintf(
		    from, sizeof(from), "<%s>", m->from); /* its length was checked; "" alone is libcurl's "none" */
	CURLcode code = set_session(c, s, url, t);
	if (code == CURLE_OK)
		code = set_login(c, s, secret);
	if (code == CURLE_OK)
		code = set_mail(c, m, to, from, t);
	if (code == CURLE_OK)
		code = curl_easy_perform(c);
	for (size_t i = 0; i < SMTP_TALK_SECRETS; i++)
		t->secrets[i] = MH_NONE; /* they end here */
	t->hung_up = t->tls && !t->tls_heard && wire_hung_up(&s->wire, code, error_text);
	return judge(s, t, code, error_text, err);
}

/* A server that hangs up where it wants another client certificate looks like a line that breaks: but hardly twice in a
 * row. No mail was given away in either. */
static enum mh_status
session(const struct smtp_server *s, const struct smtp_mail *m, struct mh_span text, const struct secret *secret,
    struct smtp_talk *t, struct mh_err *err)
{
	enum mh_status status = session_once(s, m, text, secret, t, err);

	if (status == MH_RETRY && t->hung_up)
		status = session_once(s, m, text, secret, t, err);
	if (status != MH_RETRY || !t->hung_up)
		return status;
	return mh_fail(err, MH_BAD, "%s: the server ended TLS twice: %s", s->host, wire_client_doubt(&s->wire));
}

static enum mh_status
talk_to(const struct smtp_server *s, const struct smtp_mail *m, struct mh_span text, int64_t now, struct smtp_talk *t,
    int64_t *ret_retry_after_s, struct mh_err *err)
{
	enum mh_status status = MH_OK;

	*ret_retry_after_s = -1;
	for (int fresh = 0; fresh < 2; fresh++) {
		MH_AUTO(secret_release) struct secret secret = { 0 };

		if (s->auth != SMTP_AUTH_NONE)
			status = get_secret(s, fresh != 0, now, &secret, ret_retry_after_s, err);
		if (status == MH_OK)
			status = session(s, m, text, &secret, t, err);
		else
			return status;
		/* A token may be revoked before its end: a new one is asked for, once. */
		if (status != MH_BAD || s->token_file == NULL || t->at != SMTP_AT_AUTH)
			break;
	}
	return status;
}

enum mh_status
smtp_send(const struct smtp_server *s, const struct smtp_mail *m, int64_t now, struct buf *ret_refused,
    int64_t *ret_retry_after_s, struct mh_err *err)
{
	MH_AUTO(buf_release) struct buf text;
	struct smtp_talk t;

	*ret_retry_after_s = -1;
	buf_init(&text, 2u * SMTP_MAX_MAIL_BYTES);
	enum mh_status status = check_server(s, err);
	if (status == MH_OK)
		status = check_mail(m, err);
	if (status == MH_OK)
		status = wire_text(m->bytes, &text, err);
	if (status == MH_OK)
		status = talk_to(s, m, buf_span(&text), now, &t, ret_retry_after_s, err);
	if (status == MH_OK)
		tell_refused(m, &t, ret_refused);
	return status;
}

enum mh_status
smtp_check(const struct smtp_server *s, bool online, int64_t now, int64_t *ret_retry_after_s, struct mh_err *err)
{
	struct smtp_talk t;

	*ret_retry_after_s = -1;
	const enum mh_status status = check_server(s, err);
	if (status != MH_OK || online)
		return status != MH_OK ? status : talk_to(s, NULL, MH_NONE, now, &t, ret_retry_after_s, err);
	if (s->token_file != NULL)
		return token_check(s->token_file, now, err);
	MH_AUTO(secret_release) struct secret secret = { 0 };
	return s->password_file == NULL ? MH_OK : secret_from_file(s->password_file, &secret, err);
}
