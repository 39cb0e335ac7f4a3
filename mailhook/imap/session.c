/* session.c: see session.h. */
#include "mailhook/imap/session.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "mailhook/clock.h"

#define TAG "a0" /* of what libetpan does not see; its own tags are numbers */
#define MAX_CHALLENGES 4
#define TALK_BYTES (32u << 10)
#define COMMAND_BYTES (16u << 10)

static const struct screen_limits talk_limits = { SCREEN_CHALLENGE, MH_IMAP_LINE_BYTES, 0, TALK_BYTES };

const struct screen *
session_screen(const struct session *s)
{
	return stream_screen(s->stream);
}

static int
timeout_ms(const struct session *s)
{
	return s->box->timeout_s * 1000;
}

static void
begin(struct session *s, unsigned want, size_t answer_bytes)
{
	const size_t all = answer_bytes == 0 ? MH_IMAP_ANSWER_BYTES : answer_bytes;
	const struct screen_limits limits = { want, (want & SCREEN_SEARCH) != 0 ? all : MH_IMAP_LINE_BYTES,
		MH_IMAP_CHUNK_BYTES, all };

	stream_begin(s->stream, &limits, timeout_ms(s));
}

/* What a command of libetpan came to. */
static enum mh_status
end_of(struct session *s, const char *what, int code, struct mh_err *err)
{
	const struct screen *screen = session_screen(s);

	if (stream_failure(s->stream, err) != MH_OK)
		return err->code == MH_SKIP ? MH_RETRY : err->code;
	if (screen->end == SCREEN_NO || screen->end == SCREEN_BAD)
		return mh_fail(err, MH_SKIP, "%s: the server says: %s", what, screen->words);
	if (screen->end == SCREEN_OK && code == MAILIMAP_NO_ERROR)
		return MH_OK;
	if (code == MAILIMAP_ERROR_MEMORY)
		return mh_fail(err, MH_RETRY, "%s: no memory", what);
	return mh_fail(err, MH_BAD, "%s: the server's answer cannot be read", what);
}

bool
session_lapsed(const struct session *s)
{
	const int64_t end_ms = s->lease_end_ms == NULL ? 0 : atomic_load(s->lease_end_ms);

	return end_ms != 0 && clock_boot_ms() >= end_ms;
}

enum mh_status
session_command(struct session *s, const char *what, const struct buf *command, unsigned want, size_t answer_bytes,
    struct mh_err *err)
{
	if (!buf_ok(command))
		return mh_fail(err, MH_RETRY, "%s: no memory", what);
	if (session_lapsed(s))
		return mh_fail(err, MH_RETRY, "another node may have it by now");
	begin(s, want, answer_bytes);
	return end_of(s, what, mailimap_custom_command(s->imap, command->p), err);
}

/* -- what libetpan does not see ------------------------------------------------------------------------------------ */

static bool
send_line(struct session *s, struct mh_span line)
{
	mailstream *m = stream_mail(s->stream);

	return mailstream_write(m, line.p, line.n) == (ssize_t)line.n && mailstream_write(m, "\r\n", 2) == 2 &&
	       mailstream_flush(m) == 0;
}

static enum mh_status
talk(struct session *s, struct mh_span line, const char *(*reply)(void *user, unsigned nth, struct mh_span challenge),
    void *user, MMAPString *buffer, struct mh_err *err)
{
	const struct mh_span done = MH_LIT(TAG " ");
	unsigned nth = 0;

	stream_begin(s->stream, &talk_limits, timeout_ms(s));
	if (!send_line(s, line))
		return stream_failure(s->stream, err);
	for (;;) {
		const char *read = mailstream_read_line_remove_eol(stream_mail(s->stream), buffer);
		if (read == NULL)
			return stream_failure(s->stream, err);
		const struct mh_span answer = span_of(read);
		if (span_starts(answer, done))
			return end_of(s, "login", MAILIMAP_NO_ERROR, err);
		if (!span_starts(answer, MH_LIT("+")))
			continue;
		if (nth == MAX_CHALLENGES)
			return mh_fail(err, MH_BAD, "the server asks for ever");
		const char *words = reply == NULL ? NULL : reply(user, nth++, span_trim(span_from(answer, 1)));
		if (!send_line(s, span_of(words == NULL ? "*" : words)))
			return stream_failure(s->stream, err);
	}
}

enum mh_status
session_talk(struct session *s, struct mh_span line,
    const char *(*reply)(void *user, unsigned nth, struct mh_span challenge), void *user, struct mh_err *err)
{
	MMAPString *buffer = mmap_string_new("");
	struct buf whole;
	enum mh_status status = MH_RETRY;

	buf_init(&whole, 2 * MH_IMAP_LINE_BYTES);
	buf_puts(&whole, TAG " ");
	buf_put(&whole, line);
	if (buffer == NULL || !buf_ok(&whole))
		(void)mh_fail(err, MH_RETRY, "no memory for a command");
	else
		status = talk(s, buf_span(&whole), reply, user, buffer, err);
	if (whole.p != NULL)
		explicit_bzero(whole.p, whole.cap); /* it may hold a password */
	buf_release(&whole);
	if (buffer != NULL)
		mmap_string_free(buffer);
	return status;
}

/* -- what the server can ------------------------------------------------------------------------------------------ */

static void
note_capability(struct session *s, const char *name)
{
	const struct {
		const char *name;
		bool *at;
	} known[] = { { "IDLE", &s->idle }, { "MOVE", &s->move }, { "UIDPLUS", &s->uidplus },
		{ "SASL-IR", &s->sasl_ir }, { "LOGINDISABLED", &s->login_disabled }, { "STARTTLS", &s->starttls },
		{ "X-GM-EXT-1", &s->search_by_words } };

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcasecmp(known[i].name, name) == 0)
			*known[i].at = true;
}

static void
note_mechanism(struct session *s, const char *name)
{
	s->plain = s->plain || strcasecmp(name, "PLAIN") == 0;
	s->login = s->login || strcasecmp(name, "LOGIN") == 0;
	s->xoauth2 = s->xoauth2 || strcasecmp(name, "XOAUTH2") == 0;
	s->oauthbearer = s->oauthbearer || strcasecmp(name, "OAUTHBEARER") == 0;
}

static enum mh_status
read_capability(struct session *s, struct mh_err *err)
{
	struct buf command;
	struct mailimap_connection_info *info = s->imap->imap_connection_info;

	buf_init(&command, 64);
	buf_puts(&command, "CAPABILITY");
	enum mh_status status = session_command(s, "CAPABILITY", &command, SCREEN_CAPABILITY, 0, err);
	buf_release(&command);
	if (status != MH_OK)
		return status;
	if (info == NULL || info->imap_capability == NULL)
		return mh_fail(err, MH_BAD, "the server does not say what it can");
	s->idle = s->move = s->uidplus = s->sasl_ir = s->login_disabled = s->starttls = false;
	s->plain = s->login = s->xoauth2 = s->oauthbearer = false;
	for (clistiter *i = clist_begin(info->imap_capability->cap_list); i != NULL; i = clist_next(i)) {
		const struct mailimap_capability *c = clist_content(i);

		if (c->cap_type == MAILIMAP_CAPABILITY_NAME && c->cap_data.cap_name != NULL)
			note_capability(s, c->cap_data.cap_name);
		else if (c->cap_type == MAILIMAP_CAPABILITY_AUTH_TYPE && c->cap_data.cap_auth_type != NULL)
			note_mechanism(s, c->cap_data.cap_auth_type);
	}
	return MH_OK;
}

/* -- folders ------------------------------------------------------------------------------------------------------ */

static enum mh_status
find_delimiter(struct session *s, struct mh_err *err)
{
	struct buf command;

	buf_init(&command, 64);
	buf_puts(&command, "LIST \"\" \"\"");
	const enum mh_status status = session_command(s, "LIST", &command, SCREEN_LIST, 0, err);
	buf_release(&command);
	clist *list = s->imap->imap_response_info == NULL ? NULL : s->imap->imap_response_info->rsp_mailbox_list;
	const clistiter *first = status == MH_OK && list != NULL ? clist_begin(list) : NULL;
	const struct mailimap_mailbox_list *root = first == NULL ? NULL : clist_content(first);

	s->delimiter = root == NULL || root->mb_delimiter == '\0' ? '/' : root->mb_delimiter;
	return status == MH_SKIP ? MH_OK : status;
}

/* Modified UTF-7 leaves '/' as it is, and writes none of its own. */
static enum mh_status
folder_name(const struct session *s, struct buf *out, const char *folder, struct mh_err *err)
{
	const size_t start = out->n;
	const enum mh_status status = folder_utf7(out, folder, err);

	for (size_t i = start; status == MH_OK && i < out->n; i++)
		if (out->p[i] == '/')
			out->p[i] = s->delimiter;
	return status;
}

enum mh_status
session_put_folder(const struct session *s, struct buf *out, const char *folder, struct mh_err *err)
{
	struct buf name;

	buf_init(&name, COMMAND_BYTES);
	const enum mh_status status = folder_name(s, &name, folder, err);
	if (status == MH_OK)
		(void)put_quoted(out, buf_span(&name)); /* UTF-7 is printable ASCII */
	buf_release(&name);
	return status;
}

/* -- opening ------------------------------------------------------------------------------------------------------ */

static enum mh_status
greeting(struct session *s, struct mh_err *err)
{
	begin(s, 0, 0);
	const int code = mailimap_connect(s->imap, stream_mail(s->stream));
	if (stream_failure(s->stream, err) != MH_OK)
		return err->code;
	if (code != MAILIMAP_NO_ERROR_NON_AUTHENTICATED)
		return mh_fail(err, MH_BAD, "the server does not greet as an IMAP server");
	if (strstr(session_screen(s)->words, "Microsoft Exchange") != NULL)
		s->search_by_words = true;
	return MH_OK;
}

/* STARTTLS where the URL does not begin with TLS. What the server said before it counts for nothing. */
static enum mh_status
protect(struct session *s, SSL_CTX *trust, struct mh_err *err)
{
	struct buf command;

	if (s->box->allow_plain || (s->at.loopback && s->box->ca_file == NULL))
		return MH_OK;
	enum mh_status status = read_capability(s, err);
	if (status != MH_OK)
		return status;
	if (!s->starttls)
		return mh_fail(err, MH_BAD, "the server offers no STARTTLS, and nothing is sent in plain text");
	buf_init(&command, 64);
	buf_puts(&command, "STARTTLS");
	status = session_command(s, "STARTTLS", &command, 0, 0, err);
	buf_release(&command);
	if (status == MH_OK)
		status = stream_start_tls(s->stream, trust, s->at.host, err);
	return status == MH_SKIP ? MH_BAD : status;
}

static enum mh_status
connect_to(struct session *s, SSL_CTX *trust, struct mh_err *err)
{
	enum mh_status status = stream_open(s->at.host, s->at.port, timeout_ms(s), &s->stream, err);

	if (status != MH_OK)
		return status;
	s->imap = mailimap_new(0, NULL);
	if (s->imap == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a session");
	begin(s, 0, 0);
	if (s->at.tls)
		status = stream_start_tls(s->stream, trust, s->at.host, err);
	if (status == MH_OK)
		status = greeting(s, err);
	if (status == MH_OK && !s->at.tls)
		status = protect(s, trust, err);
	return status;
}

/* Selects the folder, for its numbers of now. */
static enum mh_status
select_folder(struct session *s, struct mh_err *err)
{
	struct buf command;

	if (s->imap->imap_selection_info != NULL)
		mailimap_selection_info_free(s->imap->imap_selection_info);
	s->imap->imap_selection_info = mailimap_selection_info_new();
	if (s->imap->imap_selection_info == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a folder");
	buf_init(&command, COMMAND_BYTES);
	buf_puts(&command, "SELECT ");
	enum mh_status status = session_put_folder(s, &command, s->at.folder, err);
	if (status == MH_OK)
		status = session_command(s, "SELECT", &command, 0, 0, err);
	buf_release(&command);
	const struct screen *screen = session_screen(s);
	if (status == MH_SKIP && strstr(screen->words, "not connected") != NULL)
		return mh_fail(
		    err, MH_BAD, "the login is good, but the mailbox is not granted to it: %s", screen->words);
	if (status == MH_SKIP)
		return mh_fail(err, MH_BAD, "the folder %s cannot be opened: %s", s->at.folder, screen->words);
	if (status != MH_OK)
		return status;
	const struct mailimap_selection_info *info = s->imap->imap_selection_info;
	if (info == NULL || info->sel_uidvalidity == 0)
		return mh_fail(err, MH_BAD, "the server says no UIDVALIDITY: its messages cannot be told apart");
	s->uidvalidity = info->sel_uidvalidity;
	s->uidnext = info->sel_uidnext;
	s->read_only = info->sel_perm == MAILIMAP_MAILBOX_READONLY;
	s->imap->imap_state = MAILIMAP_STATE_SELECTED;
	stream_screen(s->stream)->news = false;
	return MH_OK;
}

static enum mh_status
open_session(struct session *s, SSL_CTX *trust, const char *libexec, struct mh_err *err)
{
	enum mh_status status = address_of(s->box->url, &s->arena, &s->at, err);

	if (status == MH_OK)
		status = connect_to(s, trust, err);
	if (status == MH_OK)
		status = read_capability(s, err);
	if (status == MH_OK)
		status = session_login(s, libexec, err);
	if (status == MH_OK) {
		s->imap->imap_state = MAILIMAP_STATE_AUTHENTICATED; /* libetpan did not see it */
		status = read_capability(s, err);
	}
	if (status == MH_OK)
		status = find_delimiter(s, err);
	if (status == MH_OK)
		status = select_folder(s, err);
	return status == MH_SKIP ? MH_BAD : status;
}

enum mh_status
session_open(
    const struct conf_mailbox *box, SSL_CTX *trust, const char *libexec, struct session **ret, struct mh_err *err)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a session");
	s->box = box;
	arena_init(&s->arena, 65536);
	const enum mh_status status = open_session(s, trust, libexec, err);
	if (status == MH_OK)
		*ret = s;
	else
		session_free(s);
	return status;
}

static enum mh_status
open_over(struct session *s, struct mh_err *err)
{
	if (s->imap == NULL)
		return mh_fail(err, MH_RETRY, "no memory for a session");
	enum mh_status status = address_of(s->box->url, &s->arena, &s->at, err);
	if (status == MH_OK)
		status = greeting(s, err);
	if (status == MH_OK)
		status = read_capability(s, err);
	if (status == MH_OK)
		status = find_delimiter(s, err);
	if (status == MH_OK)
		status = select_folder(s, err);
	return status == MH_SKIP ? MH_BAD : status;
}

enum mh_status
session_over(const struct conf_mailbox *box, struct stream *stream, struct session **ret, struct mh_err *err)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		stream_free(stream);
		return mh_fail(err, MH_RETRY, "no memory for a session");
	}
	s->box = box;
	s->stream = stream;
	s->imap = mailimap_new(0, NULL);
	arena_init(&s->arena, 65536);
	const enum mh_status status = open_over(s, err);
	if (status == MH_OK)
		*ret = s;
	else
		session_free(s);
	return status;
}

void
session_free(struct session *s)
{
	if (s == NULL)
		return;
	if (s->imap != NULL) {
		s->imap->imap_stream = NULL; /* else libetpan would say LOGOUT, and wait for an answer */
		mailimap_free(s->imap);
	}
	stream_free(s->stream);
	arena_release(&s->arena);
	free(s);
}

/* -- commands of libetpan's own ------------------------------------------------------------------------------------ */

enum mh_status
session_append(struct session *s, struct mh_span message, struct mh_err *err)
{
	struct buf name;

	buf_init(&name, COMMAND_BYTES);
	enum mh_status status = folder_name(s, &name, s->at.folder, err);
	if (status == MH_OK) {
		begin(s, 0, 0);
		status = end_of(s, "APPEND", mailimap_append(s->imap, name.p, NULL, NULL, message.p, message.n), err);
	}
	buf_release(&name);
	return status;
}

enum mh_status
session_idle(struct session *s, int ms, bool *ret_news, struct mh_err *err)
{
	*ret_news = false;
	if (!s->idle)
		return stream_wait(s->stream, ms, ret_news, err);
	begin(s, 0, 0);
	const int code = mailimap_idle(s->imap);
	if (stream_failure(s->stream, err) != MH_OK)
		return err->code;
	if (code != MAILIMAP_NO_ERROR) { /* it offers what it will not do */
		s->idle = false;
		return end_of(s, "IDLE", code, err) == MH_SKIP ? MH_OK : err->code;
	}
	enum mh_status status = stream_wait(s->stream, ms, ret_news, err);
	if (status != MH_OK)
		return status;
	begin(s, 0, 0);
	status = end_of(s, "IDLE", mailimap_idle_done(s->imap), err);
	if (status == MH_OK && stream_screen(s->stream)->news) {
		stream_screen(s->stream)->news = false;
		*ret_news = true;
	}
	return status;
}
