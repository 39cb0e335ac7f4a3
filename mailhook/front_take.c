/* front_take.c: `pipe` and `filter`: one message from a mail server, durable or of no concern, or "later".
 *
 * What mail servers do to a filter decides its manners. Standard input is read to its end whatever happens (procmail
 * and Dovecot call an unread pipe a failure); every doubt is 75, for Postfix bounces all else but 71; a 0 after SIGTERM
 * would be a delivery to procmail, and a signal to maildrop is a bounce; and Postfix puts what we write to standard
 * error into a bounce that a stranger reads, where digits in front would override the exit code.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include "mailhook/cli.h"
#include "mailhook/clock.h"
#include "mailhook/fd.h"
#include "mailhook/front.h"
#include "mailhook/intake.h"
#include "mailhook/sandbox.h"
#include "parsers/parser.h"

#define KEEP_BYTES ((size_t)MH_MAX_MESSAGE_BYTES + 1) /* the one more tells the reader that there was more */

/* -- endings ------------------------------------------------------------------------------------------------------ */

static void
give_up(int sig)
{
	(void)sig;
	_exit(CLI_LATER); /* the reader dies with us; a file without its name is swept up by the worker */
}

/* An own deadline, and 75 for every signal that would end us. SIGPIPE and SIGXFSZ become errors of write. */
static void
take_signals(void)
{
	static const int ends[] = {
		SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGALRM, SIGXCPU, SIGUSR1, SIGUSR2, SIGVTALRM, SIGPROF, SIGIO, SIGPWR,
#ifndef MAILHOOK_SANITIZED
		SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS, SIGTRAP
#endif
	};
	const struct sigaction end = { .sa_handler = give_up }, ignore = { .sa_handler = SIG_IGN };
	const struct itimerval deadline = { .it_value = { .tv_sec = MH_PIPE_DEADLINE_MS / 1000,
						.tv_usec = MH_PIPE_DEADLINE_MS % 1000 * 1000 } };
	sigset_t none;

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		(void)sigaction(ends[i], &end, NULL);
	(void)sigaction(SIGPIPE, &ignore, NULL);
	(void)sigaction(SIGXFSZ, &ignore, NULL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setitimer(ITIMER_REAL, &deadline, NULL);
}

static int
later(const struct mh_err *err)
{
	(void)fprintf(stderr, "mailhook: %s\n", err->text);
	return CLI_LATER;
}

/* -- the message -------------------------------------------------------------------------------------------------- */

struct inbox {
	char *p; /* own, mapped */
	size_t n, cap;
	bool more; /* there is more on standard input than was kept */
};

/* Doubles the room. Pages are moved, not copied, so that a mail of 64 MB fits under a limit of 256 MiB. */
static bool
grow(struct inbox *in)
{
	size_t cap = in->cap == 0 ? (size_t)64 << 10 : 2 * in->cap;
	void *p;

	if (cap > KEEP_BYTES)
		cap = KEEP_BYTES;
	if (in->p == NULL)
		p = mmap(NULL, cap, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	else
		p = mremap(in->p, in->cap, cap, MREMAP_MAYMOVE);
	if (p == MAP_FAILED)
		return false;
	in->p = p;
	in->cap = cap;
	return true;
}

static ssize_t
read_some(char *p, size_t n)
{
	ssize_t got;

	do
		got = read(STDIN_FILENO, p, n);
	while (got < 0 && errno == EINTR);
	return got;
}

/* Reads standard input to its end, or, where the rest is wanted too, as far as it is kept. */
static enum mh_status
read_message_in(struct inbox *in, struct mh_err *err)
{
	ssize_t got;

	do {
		if (in->n == in->cap && !grow(in))
			return mh_fail(err, MH_RETRY, "no memory for the message");
		got = read_some(in->p + in->n, in->cap - in->n);
		if (got > 0)
			in->n += (size_t)got;
	} while (got > 0 && in->n < KEEP_BYTES);
	in->more = in->n == KEEP_BYTES;
	return got < 0 ? mh_fail_errno(err, MH_RETRY, "standard input cannot be read") : MH_OK;
}

static bool
write_all(void *user, struct mh_span s)
{
	(void)user;
	return fd_write_all(STDOUT_FILENO, s);
}

/* What was not kept: handed on by filter, thrown away by pipe. */
static bool
pass_rest(bool hand_on)
{
	char bytes[64u << 10];
	ssize_t got;

	while ((got = read_some(bytes, sizeof(bytes))) > 0)
		if (hand_on && !write_all(NULL, (struct mh_span){ bytes, (size_t)got }))
			return false;
	return got == 0;
}

/* -- the decision ------------------------------------------------------------------------------------------------- */

static void
no_complaint(void *user, const char *line) /* whoever works with the configuration complains: check, run */
{
	(void)user;
	(void)line;
}

/* What is wrong with the configuration, where not even the state folder is found in it. Only of that the value is told:
 * other values are nobody's who reads a bounce. */
static void
keep_complaint(void *user, const char *line)
{
	struct mh_err *first = user;
	const char *what = strstr(line, ": ");

	if (strstr(line, "state_dir") != NULL)
		(void)mh_fail(first, MH_BAD, "%s", line);
	else if (first->text[0] == '\0' && what != NULL)
		(void)mh_fail(first, MH_BAD, "%.*s: is wrong: 'mailhook check' says all", (int)(what - line), line);
}

/* Reads the message in the sandbox by the shipped definitions and the user's own. */
static enum mh_status
judge(const struct conf *conf, struct mh_span raw, struct arena *a, struct reading *ret, struct mh_err *err)
{
	struct mh_err folder = { 0 };
	struct reading r = { 0 };

	/* Most servers' empty message is a mistake of theirs, and no reader has to say so. */
	if (raw.n == 0) {
		*ret = r;
		return MH_OK;
	}

	struct definitions *d = definitions_new();
	if (d == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the definitions");
	const enum mh_status added = definitions_add_folder(d, conf->definitions_dir, no_complaint, NULL, &folder);
	const struct reader reader = { .parser = front_parser(), .parser_state = d };
	enum mh_status st = sandbox_read(&reader, raw, a, &r, err);
	definitions_free(d);

	/* What a folder or a file that cannot be read now would have said of it, nobody knows. A file that is wrong has
	 * said what it could, and it is the worker, check and status that complain of it. */
	if (st == MH_OK && r.verdict == MH_IRRELEVANT && added == MH_RETRY)
		st = mh_fail(err, MH_RETRY, "%s", folder.text);
	if (st == MH_OK)
		*ret = r;
	return st;
}

static enum mh_status
store(const struct conf *conf, const struct inbox *in, const char *sender, struct mh_err *err)
{
	const struct mh_span raw = { in->p, in->n };
	const struct envelope e = { .received = clock_now(), .from = front_sender(sender, raw), .cut = in->more };

	return front_store(conf, raw, &e, err);
}

struct taking { /* what ends with the command */
	struct inbox in;
	struct arena arena;
	struct conf *conf;
};

static int
take(const struct front_options *o, bool filter, struct taking *t)
{
	struct mh_err err = { 0 };
	struct reading r = { 0 };

	if (read_message_in(&t->in, &err) != MH_OK)
		return later(&err);
	if (t->in.more && !filter && !pass_rest(false))
		return later(&(struct mh_err){ .text = "standard input cannot be read" });

	/* Broken is not blind: the state folder and the defaults are there all the same. */
	struct mh_err wrong = { 0 };
	(void)conf_load(o->config, keep_complaint, &wrong, &t->conf, &err);
	if (t->conf == NULL)
		return later(wrong.text[0] != '\0' ? &wrong : &err);

	const struct mh_span raw = { t->in.p, t->in.n };
	if (judge(t->conf, raw, &t->arena, &r, &err) != MH_OK)
		return later(&err);
	if (r.verdict != MH_IRRELEVANT && store(t->conf, &t->in, o->sender, &err) != MH_OK)
		return later(&err);

	int code = CLI_OK;
	if (filter && (!front_fields(raw, t->in.more, &r, write_all, NULL) || (t->in.more && !pass_rest(true))))
		code = later(&(struct mh_err){ .text = "the message could not be handed on" });
	if (r.verdict != MH_IRRELEVANT)
		front_wake(t->conf, o->config);
	return code;
}

static int
front_take(int argc, char **argv, bool filter)
{
	struct taking t = { 0 };
	struct front_options o;
	struct mh_err err;
	int code;

	take_signals();
	arena_init(&t.arena, MH_MAX_ARENA_BYTES);
	if (front_options(argc, argv, "s", &o, &err) == MH_OK) {
		code = take(&o, filter, &t);
	} else {
		(void)pass_rest(false);
		code = later(&err);
	}
	if (code != CLI_OK)
		(void)pass_rest(false); /* after a failure in the middle the server still writes */
	conf_free(t.conf);
	arena_release(&t.arena);
	if (t.in.p != NULL)
		(void)munmap(t.in.p, t.in.cap);
	return code;
}

int
front_pipe(int argc, char **argv)
{
	return front_take(argc, argv, false);
}

int
front_filter(int argc, char **argv)
{
	return front_take(argc, argv, true);
}
