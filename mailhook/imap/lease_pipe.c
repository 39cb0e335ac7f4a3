/* lease_pipe.c: see lease_pipe.h. */
#include "mailhook/imap/lease_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/fd.h"
#include "mailhook/work/log.h"

#define LINE_BYTES (MH_MAX_JSON_BYTES + 131072)
#define OUT_BYTES (16u << 20)

void
lease_pipe_init(struct lease_pipe *p)
{
	*p = (struct lease_pipe){ .to = -1, .from = -1 };
	buf_init(&p->out, OUT_BYTES);
	buf_init(&p->in, LINE_BYTES);
}

void
lease_pipe_release(struct lease_pipe *p)
{
	drop_fd(&p->to);
	drop_fd(&p->from);
	buf_release(&p->out);
	buf_release(&p->in);
}

static _Noreturn void
be_other_side(const char *libexec, const char *config, int in, int out)
{
	char program[4200];

	(void)snprintf(program, sizeof(program), "%s/mailhook-work", libexec);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0) {
		if (config == NULL)
			(void)execl(program, "mailhook-work", "leases", (char *)NULL);
		else
			(void)execl(program, "mailhook-work", "leases", "--config", config, (char *)NULL);
	}
	_exit(127);
}

bool
lease_pipe_start(struct lease_pipe *p, const char *libexec, const char *config, const sigset_t *before)
{
	int in[2] = { -1, -1 }, out[2] = { -1, -1 };
	pid_t pid = -1;

	if (pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0)
		pid = fork();
	if (pid == 0) {
		(void)sigprocmask(SIG_SETMASK, before, NULL);
		be_other_side(libexec, config, in[0], out[1]);
	}
	drop_fd(&in[0]);
	drop_fd(&out[1]);
	p->heard_ms = clock_boot_ms();
	if (pid < 0) {
		drop_fd(&in[1]);
		drop_fd(&out[0]);
		return false;
	}
	buf_clear(&p->out);
	buf_clear(&p->in);
	p->pid = pid;
	p->to = in[1];
	p->from = out[0];
	(void)fcntl(p->to, F_SETFL, O_NONBLOCK);
	(void)fcntl(p->from, F_SETFL, O_NONBLOCK);
	return true;
}

bool
lease_pipe_ended(struct lease_pipe *p, pid_t pid)
{
	if (p->pid != pid)
		return false;
	drop_fd(&p->to);
	drop_fd(&p->from);
	p->pid = 0;
	return true;
}

void
lease_pipe_say(struct lease_pipe *p, cJSON *j, bool whole)
{
	const size_t before = p->out.n;

	if (whole && j != NULL && json_print(j, &p->out))
		buf_putc(&p->out, '\n');
	if (!whole || j == NULL || !buf_ok(&p->out)) { /* half a line is none */
		p->out.n = before;
		p->out.failed = false;
		log_event(LOG_WARNING, "leases", NULL, "no memory for what is to be said of mailboxes");
	}
	cJSON_Delete(j);
}

static void
send_out(struct lease_pipe *p)
{
	size_t at = 0;

	while (p->to >= 0 && at < p->out.n) {
		const ssize_t n = write(p->to, p->out.p + at, p->out.n - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* full, or its end, which is reaped */
		at += (size_t)n;
	}
	if (at > 0 && at < p->out.n)
		memmove(p->out.p, p->out.p + at, p->out.n - at);
	p->out.n -= at;
}

void
lease_pipe_poll(struct lease_pipe *p, struct pollfd fds[LEASE_PIPE_FDS])
{
	send_out(p);
	fds[0] = (struct pollfd){ .fd = p->from, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = p->out.n > 0 ? p->to : -1, .events = POLLOUT };
}

static void
take_lines(struct lease_pipe *p, void (*line)(void *user, const cJSON *j), void *user)
{
	struct mh_span rest = buf_span(&p->in);

	for (size_t end; (end = span_find(rest, MH_LIT("\n"), 0)) != SIZE_MAX; rest = span_from(rest, end + 1)) {
		MH_AUTO(drop_json) cJSON *j = json_parse(span_head(rest, end), NULL);

		line(user, j);
	}
	if (rest.n > 0 && rest.n < p->in.n)
		memmove(p->in.p, rest.p, rest.n);
	p->in.n = rest.n;
}

void
lease_pipe_hear(struct lease_pipe *p, void (*line)(void *user, const cJSON *j), void *user)
{
	char bytes[65536];
	ssize_t n;

	while (p->from >= 0 && (n = read(p->from, bytes, sizeof(bytes))) > 0) {
		p->heard_ms = clock_boot_ms();
		buf_put(&p->in, (struct mh_span){ bytes, (size_t)n });
		take_lines(p, line, user);
		if (!buf_ok(&p->in)) { /* no line of the other side is so long */
			buf_clear(&p->in);
			(void)kill(p->pid, SIGKILL);
			return;
		}
	}
}

bool
lease_pipe_close(struct lease_pipe *p, int64_t most_ms)
{
	const int64_t until_ms = clock_boot_ms() + most_ms;
	bool ended = false;

	if (p->pid == 0)
		return true;
	while (!ended && clock_boot_ms() < until_ms) {
		struct pollfd fds[LEASE_PIPE_FDS];
		char bytes[4096];

		lease_pipe_poll(p, fds);
		if (p->out.n == 0)
			drop_fd(&p->to); /* the end of which is its sign */
		(void)poll(fds, p->to >= 0 ? 2 : 1, 100);
		if (fds[0].revents == 0)
			continue;
		const ssize_t n = read(p->from, bytes, sizeof(bytes));
		ended = n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN);
	}
	if (!ended)
		(void)kill(p->pid, SIGKILL);
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	(void)lease_pipe_ended(p, p->pid);
	return ended;
}
