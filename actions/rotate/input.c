/* input.c: a person hands the new token over, at a terminal or through a pipe. Only this program sees it.
 *
 * Descriptor 3 is what stood at the command's standard input. On a terminal it is asked, and the token is not shown; a
 * pipe gives the same five answers, one a line: old id, old end, new id, new end, token. The person types what AWS shows
 * and is not shown what the mail says of ids: else "yes" would be the answer to everything. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "actions/common/folder.h"
#include "actions/rotate/machine.h"

#define USER_FD 3
#define LINE_BYTES (ROTATE_TOKEN_MAX_BYTES + 2)
#define SCIM_AGAIN_S 20
_Static_assert(ROTATE_TOKEN_MIN_BYTES < ROTATE_ID_BYTES, "an id that is no token fits");

struct user {
	int fd;
	bool terminal;
};

/* -- lines --------------------------------------------------------------------------------------------------------- */

static void
prompt(const struct user *u, const char *words)
{
	if (u->terminal)
		(void)!write(u->fd, words, strlen(words));
}

/* Byte by byte: what stands behind the line belongs to somebody else. */
static enum mh_status
read_line(const struct user *u, char *dst, size_t dst_bytes, struct mh_err *err)
{
	size_t n = 0;
	char c = '\0';

	for (;;) {
		const ssize_t got = read(u->fd, &c, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return mh_fail_errno(err, MH_BAD, "nothing could be read");
		if (got == 0 && n == 0)
			return mh_fail(err, MH_BAD, "the input ended before all was answered");
		if (got == 0 || c == '\n')
			break;
		if (n + 1 >= dst_bytes)
			return mh_fail(err, MH_BAD, "a line is longer than %zu bytes", dst_bytes - 1);
		dst[n++] = c;
	}
	const struct mh_span line = span_trim((struct mh_span){ dst, n });
	memmove(dst, line.p, line.n);
	dst[line.n] = '\0';
	explicit_bzero(dst + line.n + 1, dst_bytes - line.n - 1);
	return MH_OK;
}

static enum mh_status
ask(const struct user *u, const char *words, char *dst, size_t dst_bytes, struct mh_err *err)
{
	prompt(u, words);
	return read_line(u, dst, dst_bytes, err);
}

static enum mh_status
ask_silently(const struct user *u, const char *words, char *dst, size_t dst_bytes, struct mh_err *err)
{
	struct termios before, silent;

	if (!u->terminal)
		return read_line(u, dst, dst_bytes, err);
	if (tcgetattr(u->fd, &before) != 0)
		return mh_fail_errno(err, MH_BAD, "the terminal's echo cannot be turned off");
	silent = before;
	silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	if (tcsetattr(u->fd, TCSAFLUSH, &silent) != 0)
		return mh_fail_errno(err, MH_BAD, "the terminal's echo cannot be turned off");
	const enum mh_status status = ask(u, words, dst, dst_bytes, err);
	(void)tcsetattr(u->fd, TCSAFLUSH, &before);
	prompt(u, "\n");
	return status;
}

/* -- what the answers must be -------------------------------------------------------------------------------------- */

static enum mh_status
read_id(const char *s, char *dst, const char *what, struct mh_err *err)
{
	const size_t n = strlen(s);

	if (n == 0)
		return mh_fail(err, MH_BAD, "%s has no id", what);
	/* The two boxes of the console are easily mixed up, and an id is shown to everybody. */
	if (n >= ROTATE_TOKEN_MIN_BYTES)
		return mh_fail(
		    err, MH_BAD, "the id of %s looks like a token: it is shown in tickets, so it is refused", what);
	if (!span_is_graphic(span_of(s)))
		return mh_fail(err, MH_BAD, "the id of %s holds a character that no id has", what);
	memcpy(dst, s, n + 1);
	return MH_OK;
}

/* "2026-02-03T04:05:06Z", or the day, whose last second then counts. */
static enum mh_status
read_end(const char *s, int64_t *ret, const char *what, struct mh_err *err)
{
	char whole[MH_TIME_TEXT];
	const size_t n = strlen(s);

	(void)snprintf(whole, sizeof(whole), n == 10 ? "%.10sT23:59:59Z" : "%.20s", s);
	if ((n == 10 || n == 20) && time_read(span_of(whole), ret, NULL) == MH_OK)
		return MH_OK;
	return mh_fail(
	    err, MH_BAD, "the end of %s is no time: write 2026-02-03T04:05:06Z, in UTC, or the day, 2026-02-03", what);
}

struct handed {
	bool has_old;
	struct aws_token old, fresh;
};

static enum mh_status
fits(const struct run *r, const struct handed *h, struct mh_err *err)
{
	const int64_t apart = h->old.expires - r->request->expiry.expires;
	char t[MH_TIME_TEXT];

	if (h->has_old && (apart > MATCH_S || apart < -MATCH_S))
		return mh_fail(err, MH_BAD, "the old token does not end when the notice says: look again in AWS");
	if (h->has_old && strcmp(h->old.id, h->fresh.id) == 0)
		return mh_fail(err, MH_BAD, "the old and the new token have the same id");
	if (h->fresh.expires <= run_now(r) + MH_DAY_S || (h->has_old && h->fresh.expires <= h->old.expires))
		return mh_fail(err, MH_BAD, "a new token that ends at %s is not newer", time_text(t, h->fresh.expires));
	return MH_OK;
}

static enum mh_status
ask_facts(const struct run *r, const struct user *u, struct handed *ret, struct mh_err *err)
{
	char head[400], line[LINE_BYTES] = "";

	(void)snprintf(head, sizeof(head),
	    "case %" PRId64 ", account %s. In the AWS console: IAM Identity Center, Settings, Manage provisioning.\n"
	    "id of the old token (empty: there is none): ",
	    CASE_ID(r), r->conf.place.account);
	*ret = (struct handed){ .has_old = false };
	enum mh_status status = ask(u, head, line, sizeof(line), err);
	if (status == MH_OK && line[0] != '\0') {
		ret->has_old = true;
		status = read_id(line, ret->old.id, "the old token", err);
	}
	if (status == MH_OK && (ret->has_old || !u->terminal)) /* a pipe has five lines, always */
		status = ask(u, "its end (UTC, or the day): ", line, sizeof(line), err);
	if (status == MH_OK && ret->has_old)
		status = read_end(line, &ret->old.expires, "the old token", err);
	if (status == MH_OK)
		status = ask(u, "id of the new token: ", line, sizeof(line), err);
	if (status == MH_OK)
		status = read_id(line, ret->fresh.id, "the new token", err);
	if (status == MH_OK)
		status = ask(u, "its end (UTC, or the day): ", line, sizeof(line), err);
	if (status == MH_OK)
		status = read_end(line, &ret->fresh.expires, "the new token", err);
	explicit_bzero(line, sizeof(line));
	return status == MH_OK ? fits(r, ret, err) : status;
}

static enum mh_status
ask_token(const struct user *u, struct secret *ret, struct mh_err *err)
{
	char line[LINE_BYTES];
	struct secret token = { 0 };
	enum mh_status status = ask_silently(u, "the new token (not shown): ", line, sizeof(line), err);

	if (status == MH_OK)
		status = secret_copy(span_of(line), &token, err);
	explicit_bzero(line, sizeof(line));
	if (status == MH_OK && !looks_like_token(&token))
		status = mh_fail(err, MH_BAD,
		    "a token has %d to %d plain characters, this has %zu bytes: copy it as a whole",
		    ROTATE_TOKEN_MIN_BYTES, ROTATE_TOKEN_MAX_BYTES, token.n);
	if (status != MH_OK) {
		secret_release(&token);
		return status;
	}
	*ret = token;
	return MH_OK;
}

/* -- taking it ----------------------------------------------------------------------------------------------------- */

static bool
take(struct run *r, const struct handed *h)
{
	struct rotation *x = &r->rotation;
	struct mh_err err = { 0 };

	x->has_old = h->has_old;
	x->old = h->old;
	x->has_fresh = true;
	x->fresh = h->fresh;
	x->fresh.created = run_now(r);
	(void)snprintf(x->handed.by, sizeof(x->handed.by), "%s", r->request->by == NULL ? "somebody" : r->request->by);
	x->handed.at = run_now(r);
	x->left[0] = '\0';
	x->mark = MARK_NONE;
	x->refused_since = 0;
	x->step = STEP_CREATED;
	if (seal_digest(secret_span(&x->secret), x->digest, &err) == MH_OK)
		return run_save(r);
	say_retry(r, &err);
	return false;
}

static void
prove(struct run *r)
{
	struct mh_err err = { 0 };

	r->env.retry_after_s = -1;
	switch (scim_prove(&r->env, secret_span(&r->rotation.secret), &err)) {
	case MH_OK:
		r->rotation.step = STEP_SCIM_OK;
		if (run_save(r))
			say_wait_time(r, NULL, 0,
			    "the token was taken, and AWS takes it too. It is saved in the identity provider next.");
		break;
	case MH_BAD:
		say(r->protocol, "%s: it may take some time; it is tried again for %d minutes", err.text,
		    SCIM_PATIENCE_S / 60);
		say_wait_time(r, NULL, SCIM_AGAIN_S, "the token was taken, but %s yet.", err.text);
		break;
	case MH_SKIP:
	case MH_RETRY:
	case MH_LIMIT:
		say_wait_time(r, NULL, 60, "the token was taken. %s.", err.text);
		break;
	}
}

void
run_input(struct run *r)
{
	struct rotation *x = &r->rotation;
	struct user u = { USER_FD, isatty(USER_FD) == 1 };
	struct handed h;
	struct mh_err err = { 0 };
	MH_AUTO(drop_fd) int terminal = -1;

	if (x->step != STEP_PLANNED || !run_by_hand(r)) {
		say_wait_time(r, NULL, 0, "no token is asked for just now.");
		return;
	}
	if (u.terminal) { /* descriptor 3 may be for reading only */
		terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
		if (terminal >= 0)
			u.fd = terminal;
	}
	enum mh_status status = claim_take(r, &err);
	if (status == MH_OK)
		status = ask_facts(r, &u, &h, &err);
	if (status == MH_OK)
		status = ask_token(&u, &x->secret, &err);
	if (status != MH_OK) {
		say(r->protocol, "nothing was taken: %s", err.text);
		(void)step_create(r); /* which asks again */
		return;
	}
	if (take(r, &h))
		prove(r);
}
