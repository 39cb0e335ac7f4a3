/* launch.c: the life of one run of an action, for an event loop. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/fd.h"
#include "mailhook/work/launch_impl.h"

#define KILL_AFTER_MS 2000 /* from SIGTERM to SIGKILL: time to say "retry" and remove a lock */
#define DRAIN_MS 500       /* for a process that outlives the action with its stdout open */
#define READS_A_STEP 8     /* an action that writes without end must not keep the loop from others */

struct launch {
	bool (*checkpoint)(void *user, struct mh_span state); /* foreign, with user */
	enum claim_answer (*claim)(void *user, const char *name, char held[CLAIM_HELD_BYTES]);
	bool (*release)(void *user, const char *name);
	void (*say)(void *user, struct mh_span text);
	void (*credential)(void *user, const struct credential_line *c);
	void *user;
	struct spawned child;
	int64_t deadline_at, kill_at, drained_at; /* monotonic ms; INT64_MAX: not set */
	struct buf in;                            /* not yet written to the action */
	size_t in_sent;
	struct buf out_line, errout_line; /* read, its line end not yet there */
	size_t out_bytes;
	unsigned said, credentials, claims;
	struct action_line answer; /* the outcome, if answered */
	bool answered, exited, ended;
	enum { STOP_NONE, STOP_DEADLINE, STOP_BROKEN } stopped;
	int exit_code, exit_signal;
	char why[256]; /* the summary where the action gave none */
};

/* No further effect (end of file on its stdin), and an end soon. What it broke stands in why. */
static void
stop(struct launch *l, bool broken, const char *why)
{
	if (broken && l->stopped != STOP_BROKEN) {
		(void)snprintf(l->why, sizeof(l->why), "the action %s", why);
		drop_fd(&l->child.out_fd);
	}
	if (l->stopped == STOP_NONE && !l->exited) {
		(void)kill(-l->child.pid, SIGTERM);
		l->kill_at = clock_monotonic_ms() + KILL_AFTER_MS;
	}
	drop_fd(&l->child.in_fd);
	l->stopped = broken ? STOP_BROKEN : STOP_DEADLINE;
}

/* Writes without blocking. A reader that is gone is EPIPE, and never a signal for us: SIGPIPE is blocked for the one
 * call and taken back, whatever the process does with it elsewhere. */
static ssize_t
write_quietly(int fd, struct mh_span bytes)
{
	sigset_t pipe_only, before;
	const struct timespec at_once = { 0, 0 };

	(void)sigemptyset(&pipe_only);
	(void)sigaddset(&pipe_only, SIGPIPE);
	(void)sigprocmask(SIG_BLOCK, &pipe_only, &before);
	const ssize_t n = write(fd, bytes.p, bytes.n);
	const int number = errno;
	if (n < 0 && number == EPIPE && sigismember(&before, SIGPIPE) == 0)
		(void)sigtimedwait(&pipe_only, NULL, &at_once);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	errno = number;
	return n;
}

static void
feed(struct launch *l)
{
	while (l->child.in_fd >= 0 && l->in_sent < l->in.n) {
		const ssize_t n = write_quietly(l->child.in_fd, span_from(buf_span(&l->in), l->in_sent));

		if (n > 0)
			l->in_sent += (size_t)n;
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && errno == EAGAIN)
			return;
		else
			drop_fd(&l->child.in_fd); /* it does not want to know: its right */
	}
	if (l->in_sent == l->in.n) {
		buf_clear(&l->in);
		l->in_sent = 0;
	}
}

static void
say(struct launch *l, struct mh_span text)
{
	struct buf clean;

	if (l->said > MH_MAX_ACTION_SAY_LINES || l->say == NULL)
		return;
	if (l->said++ == MH_MAX_ACTION_SAY_LINES) {
		l->say(l->user, MH_LIT("(more was said than is logged)"));
		return;
	}
	buf_init(&clean, MH_MAX_ACTION_SAY_BYTES);
	put_clean(&clean, text, MH_MAX_ACTION_SAY_BYTES);
	l->say(l->user, buf_span(&clean));
	buf_release(&clean);
}

static void
take_checkpoint(struct launch *l, struct mh_span state)
{
	if (l->child.in_fd < 0)
		return; /* it has been told to make no further effect, or listens to nobody */
	if (l->checkpoint == NULL || !l->checkpoint(l->user, state)) {
		drop_fd(&l->child.in_fd);
		return;
	}
	buf_puts(&l->in, "{\"ok\":true}\n");
	feed(l);
}

static void
take_claim(struct launch *l, const char *name)
{
	char held[CLAIM_HELD_BYTES] = "";

	if (l->child.in_fd < 0)
		return;
	switch (l->claim == NULL ? CLAIM_LOST : l->claim(l->user, name, held)) {
	case CLAIM_OURS:
		buf_puts(&l->in, "{\"ok\":true}\n");
		break;
	case CLAIM_HELD:
		buf_printf(&l->in, "{\"ok\":false,\"held\":\"%s\"}\n", held);
		break;
	case CLAIM_LOST:
		drop_fd(&l->child.in_fd);
		return;
	}
	feed(l);
}

static void
take_release(struct launch *l, const char *name)
{
	if (l->child.in_fd < 0)
		return;
	if (l->release == NULL || !l->release(l->user, name)) {
		drop_fd(&l->child.in_fd);
		return;
	}
	buf_puts(&l->in, "{\"ok\":true}\n");
	feed(l);
}

static void
take_credential(struct launch *l, const struct action_line *line)
{
	struct credential_line c = line->credential;

	c.name = buf_span(&line->text).p;
	if (l->credential != NULL && l->credentials++ < MH_MAX_ACTION_CREDENTIALS)
		l->credential(l->user, &c);
}

static void
take_line(struct launch *l, struct mh_span line)
{
	struct action_line read;
	struct mh_err why = { 0 };

	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	if (action_line_read(line, &read, &why) != MH_OK) {
		stop(l, true, why.text);
	} else if (read.kind != LINE_EMPTY && l->answered) {
		stop(l, true, "wrote more after its outcome");
	} else if (read.kind == LINE_CHECKPOINT) {
		take_checkpoint(l, buf_span(&read.state));
	} else if (read.kind == LINE_SAY) {
		say(l, buf_span(&read.text));
	} else if (read.kind == LINE_CLAIM || read.kind == LINE_RELEASE) {
		if (l->claims++ == MH_MAX_ACTION_CLAIMS)
			stop(l, true, "claims and lets go more often than is heard of one run");
		else
			(read.kind == LINE_CLAIM ? take_claim : take_release)(l, buf_span(&read.text).p);
	} else if (read.kind == LINE_CREDENTIAL) {
		take_credential(l, &read);
	} else if (read.kind == LINE_OUTCOME) {
		l->answer = read;
		l->answered = true;
		return; /* handed over */
	}
	action_line_release(&read);
}

static void
take_output(struct launch *l, struct mh_span bytes)
{
	if (bytes.n > MH_MAX_ACTION_OUTPUT_BYTES - l->out_bytes) {
		stop(l, true, "wrote more than is read of one run");
		return;
	}
	l->out_bytes += bytes.n;
	while (bytes.n > 0 && l->stopped != STOP_BROKEN) {
		const size_t end = span_find(bytes, MH_LIT("\n"), 0);

		buf_put(&l->out_line, span_head(bytes, end));
		if (!buf_ok(&l->out_line)) {
			stop(l, true, "wrote a line that is too long");
			return;
		}
		if (end == SIZE_MAX)
			return;
		take_line(l, buf_span(&l->out_line));
		buf_clear(&l->out_line);
		bytes = span_from(bytes, end + 1);
	}
}

/* What is past the buffer of a line is let go: stderr is for reading, not for working with. */
static void
take_errout(struct launch *l, struct mh_span bytes)
{
	while (bytes.n > 0) {
		const size_t end = span_find(bytes, MH_LIT("\n"), 0);
		const size_t room = l->errout_line.max - l->errout_line.n;
		const struct mh_span part = span_head(bytes, end);

		buf_put(&l->errout_line, span_head(part, room));
		if (end == SIZE_MAX)
			return;
		if (l->errout_line.n > 0)
			say(l, buf_span(&l->errout_line));
		buf_clear(&l->errout_line);
		bytes = span_from(bytes, end + 1);
	}
}

/* True: nothing more was there just now. */
static bool
drain(struct launch *l, int *fd, void (*take)(struct launch *, struct mh_span))
{
	char chunk[16384];

	for (int i = 0; i < READS_A_STEP && *fd >= 0; i++) {
		const ssize_t n = read(*fd, chunk, sizeof(chunk));

		if (n > 0)
			take(l, (struct mh_span){ chunk, (size_t)n });
		else if (n < 0 && errno == EINTR)
			continue;
		else if (n < 0 && errno == EAGAIN)
			return true;
		else
			drop_fd(fd);
	}
	return *fd < 0;
}

/* Looks whether it has ended but leaves it unreaped: so its number, which is its group's too, is not given away while
 * the rest of the group is still to be killed. */
static void
look_for_end(struct launch *l)
{
	siginfo_t info = { 0 };

	if (l->exited || waitid(P_PID, (id_t)l->child.pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
		return;
	l->exited = true;
	l->drained_at = clock_monotonic_ms() + DRAIN_MS;
	if (info.si_code == CLD_EXITED)
		l->exit_code = info.si_status;
	else
		l->exit_signal = info.si_status;
}

static void
word_silence(struct launch *l)
{
	if (l->stopped == STOP_BROKEN)
		return;
	if (l->stopped == STOP_DEADLINE)
		(void)snprintf(l->why, sizeof(l->why), "the action gave no outcome by its deadline");
	else if (l->exit_signal != 0)
		(void)snprintf(l->why, sizeof(l->why), "the action was killed by signal %d (%s) before its outcome",
		    l->exit_signal, sigdescr_np(l->exit_signal) == NULL ? "?" : sigdescr_np(l->exit_signal));
	else
		(void)snprintf(
		    l->why, sizeof(l->why), "the action ended with code %d and without an outcome", l->exit_code);
}

static void
end(struct launch *l)
{
	if (l->out_line.n > 0 && l->stopped != STOP_BROKEN)
		take_line(l, buf_span(&l->out_line)); /* a last line without its line end is one all the same */
	if (l->errout_line.n > 0)
		say(l, buf_span(&l->errout_line));
	buf_clear(&l->out_line);
	buf_clear(&l->errout_line);
	(void)kill(-l->child.pid, SIGKILL);
	while (waitpid(l->child.pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	drop_fd(&l->child.in_fd);
	drop_fd(&l->child.out_fd);
	drop_fd(&l->child.errout_fd);
	drop_fd(&l->child.pidfd);
	word_silence(l);
	l->ended = true;
}

static void
give_answer(const struct launch *l, struct answer_line *ret)
{
	if (!l->answered || l->stopped == STOP_BROKEN) {
		*ret = (struct answer_line){ .outcome = OUTCOME_RETRY, .summary = l->why, .retry_after_s = -1 };
		return;
	}
	*ret = (struct answer_line){
		.outcome = l->answer.outcome,
		.summary = buf_span(&l->answer.text).p,
		.url = l->answer.url.n > 0 ? l->answer.url.p : NULL,
		.retry_after_s = l->answer.retry_after_s,
		.elsewhere = l->answer.elsewhere,
		.waiting_for = l->answer.waiting_for,
		.state = l->answer.state.n > 0 ? buf_span(&l->answer.state) : MH_NONE,
		.step = l->answer.step[0] == '\0' ? NULL : l->answer.step,
		.renewed_expires = l->answer.renewed_expires,
		.renewed_notice = l->answer.renewed_notice,
	};
}

enum mh_status
launch_start(const struct launch_spec *spec, struct launch **ret, struct mh_err *err)
{
	struct launch *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return mh_fail(err, MH_RETRY, "no memory to start an action");
	l->checkpoint = spec->checkpoint;
	l->claim = spec->claim;
	l->release = spec->release;
	l->say = spec->say;
	l->credential = spec->credential;
	l->user = spec->user;
	buf_init(&l->in, MH_MAX_ACTION_REQUEST_BYTES);
	buf_init(&l->out_line, MH_MAX_ACTION_LINE_BYTES);
	buf_init(&l->errout_line, MH_MAX_ACTION_SAY_BYTES);
	l->kill_at = l->drained_at = INT64_MAX;
	l->deadline_at = clock_monotonic_ms() + spec->deadline_ms;
	buf_put(&l->in, spec->request);
	buf_putc(&l->in, '\n');

	enum mh_status status = MH_OK;
	if (!buf_ok(&l->in))
		status = mh_fail(err, MH_RETRY, "no memory for an action's request");
	else
		status = spawn_action(spec, &l->child, err);
	if (status != MH_OK) {
		buf_release(&l->in);
		free(l);
		return status;
	}
	feed(l);
	*ret = l;
	return MH_OK;
}

size_t
launch_pollfds(const struct launch *l, struct pollfd fds[4], int *ret_timeout_ms)
{
	size_t n = 0;

	if (l->ended) {
		*ret_timeout_ms = 0;
		return 0;
	}
	if (l->child.in_fd >= 0 && l->in_sent < l->in.n)
		fds[n++] = (struct pollfd){ l->child.in_fd, POLLOUT, 0 };
	if (l->child.out_fd >= 0)
		fds[n++] = (struct pollfd){ l->child.out_fd, POLLIN, 0 };
	if (l->child.errout_fd >= 0)
		fds[n++] = (struct pollfd){ l->child.errout_fd, POLLIN, 0 };
	if (!l->exited)
		fds[n++] = (struct pollfd){ l->child.pidfd, POLLIN, 0 };

	int64_t next = l->stopped == STOP_NONE ? l->deadline_at : l->kill_at;
	if (l->drained_at < next)
		next = l->drained_at;
	const int64_t left = next == INT64_MAX ? KILL_AFTER_MS : next - clock_monotonic_ms();
	*ret_timeout_ms = left < 0 ? 0 : left > 60000 ? 60000 : (int)left;
	return n;
}

enum mh_status
launch_step(struct launch *l, struct answer_line *ret_answer)
{
	if (!l->ended) {
		feed(l);
		/* The end first, the output after: what it wrote before it ended is then all there. */
		look_for_end(l);
		const bool drained = drain(l, &l->child.out_fd, take_output);
		(void)drain(l, &l->child.errout_fd, take_errout);

		const int64_t now = clock_monotonic_ms();
		if (now >= l->deadline_at && l->stopped == STOP_NONE && !l->exited)
			stop(l, false, NULL);
		if (now >= l->kill_at && !l->exited) {
			(void)kill(-l->child.pid, SIGKILL);
			l->kill_at = INT64_MAX;
		}
		if (!l->exited || !(l->child.out_fd < 0 || (l->answered && drained) || now >= l->drained_at))
			return MH_SKIP;
		end(l);
	}
	give_answer(l, ret_answer);
	return MH_OK;
}

pid_t
launch_group(const struct launch *l)
{
	return l->child.pid;
}

void
launch_free(struct launch *l)
{
	if (l == NULL)
		return;
	if (!l->ended) {
		buf_clear(&l->out_line); /* nobody listens any more: no callback from here */
		buf_clear(&l->errout_line);
		end(l);
	}
	if (l->answered)
		action_line_release(&l->answer);
	buf_release(&l->in);
	buf_release(&l->out_line);
	buf_release(&l->errout_line);
	free(l);
}
