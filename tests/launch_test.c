/* launch_test.c: one run of an action, against small programs that behave, misbehave and hang. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mailhook/clock.h"
#include "mailhook/work/launch_impl.h"

struct seen {
	struct buf said, states; /* said: also what was told of credentials */
	int checkpoints, allow;  /* the first allow checkpoints are answered */
};

static bool
on_checkpoint(void *user, struct mh_span state)
{
	struct seen *s = user;

	buf_put(&s->states, state);
	return s->checkpoints++ < s->allow;
}

static void
on_say(void *user, struct mh_span text)
{
	struct seen *s = user;

	buf_put(&s->said, text);
	buf_putc(&s->said, '\n');
}

static void
on_credential(void *user, const struct credential_line *c)
{
	struct seen *s = user;
	char t[MH_TIME_TEXT];

	buf_printf(
	    &s->said, "%s%s%s\n", c->name, c->day ? " day " : " ", c->has_expires ? time_text(t, c->expires) : "never");
}

#define OTHER_CASE "00112233445566778899aabbccddeeff"

/* "theirs" is another case's, "lost" cannot be answered, all else is ours. */
static enum claim_answer
on_claim(void *user, const char *name, char held[CLAIM_HELD_BYTES])
{
	struct seen *s = user;

	buf_printf(&s->said, "claim %s\n", name);
	if (strcmp(name, "lost") == 0)
		return CLAIM_LOST;
	if (strcmp(name, "theirs") != 0)
		return CLAIM_OURS;
	memcpy(held, OTHER_CASE, CLAIM_HELD_BYTES);
	return CLAIM_HELD;
}

static bool
on_release(void *user, const char *name)
{
	struct seen *s = user;

	buf_printf(&s->said, "release %s\n", name);
	return strcmp(name, "lost") != 0;
}

static void
write_program(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	assert_int_equal(close(fd), 0);
}

static const char *const test_env[] = { "PATH=/usr/bin:/bin", "GIVEN=yes", NULL };

static struct launch_spec
spec_for(const char *program, const char *dir, struct seen *seen)
{
	return (struct launch_spec){
		.program = program,
		.verb = "run",
		.request = MH_LIT("{\"version\":1}"),
		.raw = MH_NONE,
		.env = test_env,
		.dir = dir,
		.deadline_ms = 20000,
		.checkpoint = on_checkpoint,
		.claim = on_claim,
		.release = on_release,
		.say = on_say,
		.credential = on_credential,
		.user = seen,
	};
}

/* Waits for one launch as an event loop does. */
static struct answer_line
await(struct launch *l)
{
	struct answer_line answer;

	for (;;) {
		struct pollfd fds[4];
		int timeout;
		const size_t n = launch_pollfds(l, fds, &timeout);

		assert_true(poll(fds, n, timeout) >= 0 || errno == EINTR);
		if (launch_step(l, &answer) == MH_OK)
			return answer;
	}
}

struct row {
	const char *name, *script;
	int allow;       /* checkpoints answered */
	int deadline_ms; /* 0: enough */
	const char *raw; /* mail for descriptor 3 */
	enum outcome outcome;
	const char *summary; /* part of it */
	const char *said;    /* part of it; NULL: nothing */
	const char *not_said;
	int checkpoints;
};

#define SH "#!/bin/sh\n"
#define PY "#!/usr/bin/python3\nimport sys, os, time, json, signal\n"
#define PY_DONE "print('{\"outcome\":\"done\",\"summary\":\"well\"}')\n"
#define PY_ASK                                                                                                         \
	PY "def ask(**line):\n  print(json.dumps(line), flush=True)\n  return sys.stdin.readline().strip() or 'end'\n" \
	   "def done(words):\n  print(json.dumps({'outcome': 'done', 'summary': words}))\nsys.stdin.readline()\n"
#define DONE "echo '{\"outcome\":\"done\",\"summary\":\"well\"}'\n"

static const struct row rows[] = {
	{ .name = "an outcome", .script = SH DONE, .outcome = OUTCOME_DONE, .summary = "well" },
	{ .name = "the verb and the request arrive",
	    .script = SH "read -r r; [ \"$1 $r\" = 'run {\"version\":1}' ] && " DONE,
	    .outcome = OUTCOME_DONE,
	    .summary = "well" },
	{ .name = "the exit code is ignored",
	    .script = SH DONE "exit 3\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "well" },
	{ .name = "a last line without a line end",
	    .script = SH "printf '{\"outcome\":\"done\",\"summary\":\"bare\"}'\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "bare" },
	{ .name = "CRLF and empty lines",
	    .script = SH "printf '\\n\\r\\n{\"outcome\":\"done\",\"summary\":\"cr\"}\\r\\n'\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "cr" },
	{ .name = "say and stderr are logged, cleaned",
	    .script = SH "echo '{\"say\":\"one\"}'; printf 'two\\033[1m\\n' >&2\n" DONE,
	    .outcome = OUTCOME_DONE,
	    .summary = "well",
	    .said = "two [1m\n" },
	{ .name = "a summary loses its control characters",
	    .script = SH "printf '%s\\n' '{\"outcome\":\"failed\",\"summary\":\"a\\u001bb\\nc\"}'\n",
	    .outcome = OUTCOME_FAILED,
	    .summary = "a b c" },
	{ .name = "a checkpoint is answered",
	    .script =
		SH "read -r r; echo '{\"checkpoint\":{\"n\":1}}'; read -r a; [ \"$a\" = '{\"ok\":true}' ] && " DONE,
	    .allow = 1,
	    .outcome = OUTCOME_DONE,
	    .summary = "well",
	    .checkpoints = 1 },
	{ .name = "a checkpoint that is not answered is end of file",
	    .script = SH "read -r r; echo '{\"checkpoint\":{}}'; read -r a || "
			 "echo '{\"outcome\":\"retry\",\"summary\":\"end of file\"}'\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "end of file",
	    .checkpoints = 1 },
	{ .name = "after a refused checkpoint no other is stored",
	    .script =
		SH "read -r r; echo '{\"checkpoint\":{}}'; read -r a; echo '{\"checkpoint\":{}}'; read -r a\n" DONE,
	    .outcome = OUTCOME_DONE,
	    .summary = "well",
	    .checkpoints = 1 },
	{ .name = "an end without an outcome",
	    .script = SH "exit 4\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "ended with code 4 and without an outcome" },
	{ .name = "a crash",
	    .script = SH "kill -SEGV $$\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "killed by signal 11" },
	{ .name = "garbage", .script = SH "echo hello\n", .outcome = OUTCOME_RETRY, .summary = "wrote garbage" },
	{ .name = "garbage before an outcome",
	    .script = SH "echo hello\n" DONE,
	    .outcome = OUTCOME_RETRY,
	    .summary = "wrote garbage" },
	{ .name = "no object", .script = SH "echo '[1]'\n", .outcome = OUTCOME_RETRY, .summary = "but no object" },
	{ .name = "no known key",
	    .script = SH "echo '{\"x\":1}'\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "exactly one of" },
	{ .name = "two keys",
	    .script = SH "echo '{\"say\":\"x\",\"outcome\":\"done\",\"summary\":\"\"}'\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "exactly one of" },
	{ .name = "the ends of credentials",
	    .script =
		SH "printf '%s\\n' '{\"credential\":{\"name\":\" a\\u0001b \",\"expires\":\"2027-01-31T12:00:00Z\"}}'\n"
		   "echo '{\"credential\":{\"name\":\"c\",\"expires\":\"2027-02-28\"}}'\n"
		   "echo '{\"credential\":{\"name\":\"d\",\"expires\":null}}'\n" DONE,
	    .outcome = OUTCOME_DONE,
	    .summary = "well",
	    .said = "a b 2027-01-31T12:00:00Z\nc day 2027-02-28T23:59:59Z\nd never\n" },
	{ .name = "of too many credentials the first",
	    .script = PY "for i in range(20):\n"
			 "  print(json.dumps({'credential': {'name': 'n%d' % i, 'expires': None}}))\n" PY_DONE,
	    .outcome = OUTCOME_DONE,
	    .summary = "well",
	    .said = "n14 never\nn15 never\n",
	    .not_said = "n16" },
	{ .name = "a credential without a name",
	    .script = SH "echo '{\"credential\":{\"expires\":null}}'\n" DONE,
	    .outcome = OUTCOME_RETRY,
	    .summary = "a credential without a name" },
	{ .name = "a credential's name at its limit",
	    .script = PY "print(json.dumps({'credential': {'name': 'n' * 60, 'expires': None}}))\n" PY_DONE,
	    .outcome = OUTCOME_DONE,
	    .summary = "well",
	    .said = "nn never" },
	{ .name = "a credential's name past its limit",
	    .script = PY "print(json.dumps({'credential': {'name': 'n' * 61, 'expires': None}}))\n" PY_DONE,
	    .outcome = OUTCOME_RETRY,
	    .summary = "a credential without a name" },
	{ .name = "a credential without an end",
	    .script = SH "echo '{\"credential\":{\"name\":\"x\"}}'\n" DONE,
	    .outcome = OUTCOME_RETRY,
	    .summary = "neither a time nor null" },
	{ .name = "a credential that ends at no time",
	    .script = SH "echo '{\"credential\":{\"name\":\"x\",\"expires\":\"2027-02-30\"}}'\n" DONE,
	    .outcome = OUTCOME_RETRY,
	    .summary = "neither a time nor null" },
	{ .name = "a credential that is no object",
	    .script = SH "echo '{\"credential\":\"x\"}'\n" DONE,
	    .outcome = OUTCOME_RETRY,
	    .summary = "a credential without a name" },
	{ .name = "a claim is answered, and so is letting go",
	    .script = PY_ASK "done(ask(claim='tenant/a-1') + ' ' + ask(release='tenant/a-1'))\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "{\"ok\":true} {\"ok\":true}",
	    .said = "claim tenant/a-1\nrelease tenant/a-1\n" },
	{ .name = "a claim of another case's",
	    .script = PY_ASK "done(ask(claim='theirs') + ' ' + ask(claim='mine'))\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "{\"ok\":false,\"held\":\"" OTHER_CASE "\"} {\"ok\":true}",
	    .said = "claim mine\n" },
	{ .name = "a claim that cannot be answered is end of file, and what follows is not heard",
	    .script = PY_ASK "done(ask(claim='lost') + ' ' + ask(claim='mine') + ' ' + ask(release='mine'))\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "end end end",
	    .said = "claim lost\n",
	    .not_said = "mine" },
	{ .name = "letting go that is not durable is end of file",
	    .script = PY_ASK "done(ask(release='lost') + ' ' + ask(checkpoint={}))\n",
	    .allow = 1,
	    .outcome = OUTCOME_DONE,
	    .summary = "end end" },
	{ .name = "a claim after a refused checkpoint is not heard",
	    .script = PY_ASK "done(ask(checkpoint={}) + ' ' + ask(claim='mine'))\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "end end",
	    .not_said = "mine",
	    .checkpoints = 1 },
	{ .name = "a claim's name at its limit",
	    .script = PY_ASK "done(ask(claim='n' * 240))\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "{\"ok\":true}" },
	{ .name = "a claim's name past its limit",
	    .script = PY_ASK "done(ask(claim='n' * 241))\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "without a name of 1 to 240 bytes" },
	{ .name = "a claim's name far past its limit",
	    .script = PY_ASK "done(ask(claim='n' * 99999))\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "without a name of 1 to 240 bytes" },
	{ .name = "a claim without a name",
	    .script = PY_ASK "done(ask(claim=''))\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "without a name of 1 to 240 bytes" },
	{ .name = "a claim that is no string",
	    .script = PY_ASK "done(ask(claim=7))\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "without a name of 1 to 240 bytes" },
	{ .name = "a claim's name with a space",
	    .script = PY_ASK "done(ask(release='a b'))\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "not plain ASCII" },
	{ .name = "a claim's name with an escape",
	    .script = PY_ASK "done(ask(claim='a\\x1b[1m'))\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "not plain ASCII" },
	{ .name = "a claim's name with an umlaut",
	    .script = PY_ASK "done(ask(claim='\\u00f6'))\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "not plain ASCII" },
	{ .name = "a claim and a checkpoint in one line",
	    .script = PY_ASK "done(ask(claim='a', checkpoint={}))\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "exactly one of" },
	{ .name = "as many claims as are heard of one run",
	    .script = PY_ASK "done([ask(claim='n%d' % i) for i in range(64)][-1])\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "{\"ok\":true}" },
	{ .name = "one claim more",
	    .script = PY_ASK "done([ask(claim='n%d' % i) for i in range(65)][-1])\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "more often than is heard",
	    .not_said = "n64" },
	{ .name = "two outcomes",
	    .script = SH DONE DONE,
	    .outcome = OUTCOME_RETRY,
	    .summary = "wrote more after its outcome" },
	{ .name = "say after the outcome",
	    .script = SH DONE "echo '{\"say\":\"late\"}'\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "wrote more after its outcome" },
	{ .name = "an unknown outcome",
	    .script = SH "echo '{\"outcome\":\"fine\",\"summary\":\"\"}'\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "unknown outcome" },
	{ .name = "no summary",
	    .script = SH "echo '{\"outcome\":\"done\"}'\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "without a summary" },
	{ .name = "waiting for nothing known",
	    .script = SH "echo '{\"outcome\":\"waiting\",\"summary\":\"\"}'\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "waits for something unknown" },
	{ .name = "invalid UTF-8",
	    .script = SH "printf '{\"outcome\":\"done\",\"summary\":\"\\377\"}\\n'\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "not UTF-8" },
	{ .name = "a NUL",
	    .script = SH "printf '{\"outcome\":\"done\",\"summary\":\"a\\000b\"}\\n'\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "control character" },
	{ .name = "a key twice",
	    .script = SH "echo '{\"outcome\":\"done\",\"outcome\":\"retry\",\"summary\":\"\"}'\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "a key twice" },
	{ .name = "a line at its limit",
	    .script = PY "l = '{\"say\":\"x\"}'\nprint(l + ' ' * (262144 - len(l)))\n"
			 "print('{\"outcome\":\"done\",\"summary\":\"fits\"}')\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "fits",
	    .said = "x\n" },
	{ .name = "a line past its limit",
	    .script = PY "l = '{\"say\":\"x\"}'\nprint(l + ' ' * (262145 - len(l)))\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "line that is too long" },
	{ .name = "a line far past its limit",
	    .script = SH "exec cat /dev/zero\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "line that is too long" },
	{ .name = "output past its limit",
	    .script = SH "exec yes '{\"say\":\"again\"}'\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "more than is read of one run",
	    .said = "(more was said than is logged)\n" },
	{ .name = "a state past its limit",
	    .script = PY "print(json.dumps({'checkpoint': {'s': 'x' * 131072}}))\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "a state of more than" },
	{ .name = "a state at its limit",
	    .script =
		PY "print(json.dumps({'checkpoint': {'s': 'x' * (131072 - 8)}}), flush=True)\n"
		   "sys.stdin.readline()\nsys.stdin.readline(); print('{\"outcome\":\"done\",\"summary\":\"fits\"}')\n",
	    .allow = 1,
	    .outcome = OUTCOME_DONE,
	    .summary = "fits",
	    .checkpoints = 1 },
	{ .name = "a state one past its limit",
	    .script = PY "print(json.dumps({'checkpoint': {'s': 'x' * (131072 - 7)}}), flush=True)\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "a state of more than" },
	{ .name = "output at its limit",
	    .script =
		PY "e = '{\"outcome\":\"done\",\"summary\":\"fits\"}\\n'\npad = 4194304 - len(e)\n"
		   "print((' ' * 199999 + '\\n') * (pad // 200000) + ' ' * (pad % 200000 - 1) + '\\n' + e, end='')\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "fits" },
	{ .name = "output one past its limit",
	    .script =
		PY "e = '{\"outcome\":\"done\",\"summary\":\"fits\"}\\n'\npad = 4194305 - len(e)\n"
		   "print((' ' * 199999 + '\\n') * (pad // 200000) + ' ' * (pad % 200000 - 1) + '\\n' + e, end='')\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "more than is read of one run" },
	{ .name = "endless stderr is no harm",
	    .script = PY "sys.stderr.write('x' * 3000000)\nprint('{\"outcome\":\"done\",\"summary\":\"loud\"}')\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "loud",
	    .said = "xxxx" },
	{ .name = "silence ends at the deadline",
	    .script = SH "exec sleep 60\n",
	    .deadline_ms = 200,
	    .outcome = OUTCOME_RETRY,
	    .summary = "no outcome by its deadline" },
	{ .name = "SIGTERM at the deadline can be answered",
	    .script = PY
	    "def stop(*_):\n  print('{\"outcome\":\"retry\",\"summary\":\"stopped\"}', flush=True)\n  os._exit(0)\n"
	    "signal.signal(signal.SIGTERM, stop)\nprint('{\"say\":\"ready\"}', flush=True)\ntime.sleep(60)\n",
	    .deadline_ms = 1500,
	    .outcome = OUTCOME_RETRY,
	    .summary = "stopped",
	    .said = "ready\n" },
	{ .name = "an ignored SIGTERM ends in SIGKILL, children too",
	    .script = SH "trap '' TERM\nsleep 60 & wait\nsleep 60\n",
	    .deadline_ms = 200,
	    .outcome = OUTCOME_RETRY,
	    .summary = "no outcome by its deadline" },
	{ .name = "an outcome before the deadline counts though the program hangs on",
	    .script = SH DONE "exec sleep 60\n",
	    .deadline_ms = 400,
	    .outcome = OUTCOME_DONE,
	    .summary = "well" },
	{ .name = "a grandchild that keeps stdout does not hold the run",
	    .script = SH "sleep 60 &\n" DONE,
	    .outcome = OUTCOME_DONE,
	    .summary = "well" },
	{ .name = "a grandchild that keeps stdout does not hide a missing outcome",
	    .script = SH "sleep 60 &\n",
	    .outcome = OUTCOME_RETRY,
	    .summary = "without an outcome" },
	{ .name = "a program that closes stdin unread",
	    .script = SH "exec <&-\n" DONE,
	    .outcome = OUTCOME_DONE,
	    .summary = "well" },
	{ .name = "only the environment that was given",
	    .script =
		PY "assert os.environ['GIVEN'] == 'yes'\nassert 'HOME' not in os.environ and 'LEAK' not in os.environ\n"
		   "print('{\"outcome\":\"done\",\"summary\":\"clean\"}')\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "clean" },
	{ .name = "only descriptors 0 to 2",
	    .script = PY "fds = [f for f in range(3, 100) if os.path.exists('/proc/self/fd/%d' % f)]\n"
			 "print(json.dumps({'outcome': 'done', 'summary': 'open: %r' % fds}))\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "open: []" },
	{ .name = "the mail on descriptor 3, sealed",
	    .script = PY "t = os.read(3, 100)\nos.lseek(3, 0, 0)\nu = os.read(3, 100)\n"
			 "try:\n  os.write(3, b'x')\nexcept PermissionError:\n"
			 "  print(json.dumps({'outcome': 'done', 'summary': (t + u).decode()}))\n",
	    .raw = "mail!",
	    .outcome = OUTCOME_DONE,
	    .summary = "mail!mail!" },
	{ .name = "an empty mail on descriptor 3",
	    .script = PY "print(json.dumps({'outcome': 'done', 'summary': 'n=%d' % len(os.read(3, 9))}))\n",
	    .raw = "",
	    .outcome = OUTCOME_DONE,
	    .summary = "n=0" },
	{ .name = "own group, default signals, no core, the folder",
	    .script = PY "import resource\ns = open('/proc/self/status').read()\n"
			 "ok = [os.getpgid(0) == os.getpid(), resource.getrlimit(resource.RLIMIT_CORE) == (0, 0),\n"
			 "  'SigBlk:\\t0000000000000000' in s, os.path.exists('here'), os.umask(0) == 0o77]\n"
			 "print(json.dumps({'outcome': 'done', 'summary': repr(all(ok)) + repr(ok)}))\n",
	    .outcome = OUTCOME_DONE,
	    .summary = "True[" },
	{ .name = "no shell between: ignored signals are reset",
	    .script = SH "kill -USR1 $$\n" DONE,
	    .outcome = OUTCOME_RETRY,
	    .summary = "killed by signal 10" },
};

static void
test_rows(void **state)
{
	const char *dir = *state;
	char program[256], here[256];
	int failed = 0;

	(void)snprintf(program, sizeof(program), "%s/action", dir);
	(void)snprintf(here, sizeof(here), "%s/here", dir);
	write_program(here, "");
	assert_int_equal(setenv("LEAK", "1", 1), 0);
	const int leak = open("/dev/null", O_RDONLY); /* NOLINT: on purpose without O_CLOEXEC */
	assert_true(leak >= 0);
	assert_true(signal(SIGUSR1, SIG_IGN) != SIG_ERR);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct seen seen = { .allow = r->allow };
		struct launch *l = NULL;
		struct mh_err err = { 0 };

		buf_init(&seen.said, 1u << 20);
		buf_init(&seen.states, 1u << 20);
		write_program(program, r->script);
		struct launch_spec spec = spec_for(program, dir, &seen);
		spec.raw = span_of(r->raw);
		if (r->deadline_ms > 0)
			spec.deadline_ms = r->deadline_ms;
		if (launch_start(&spec, &l, &err) != MH_OK)
			fail_msg("%s: %s", r->name, err.text);

		const struct answer_line a = await(l);
		const bool said_right =
		    (r->said == NULL || span_find(buf_span(&seen.said), span_of(r->said), 0) != SIZE_MAX) &&
		    (r->not_said == NULL || span_find(buf_span(&seen.said), span_of(r->not_said), 0) == SIZE_MAX);
		if (a.outcome != r->outcome || strstr(a.summary, r->summary) == NULL || !said_right ||
		    seen.checkpoints != r->checkpoints) {
			print_error("%s: %s \"%s\", said \"%.300s\", %d checkpoints\n", r->name,
			    outcome_names[a.outcome], a.summary, seen.said.p == NULL ? "" : seen.said.p,
			    seen.checkpoints);
			failed++;
		}
		launch_free(l);
		buf_release(&seen.said);
		buf_release(&seen.states);
	}
	(void)close(leak);
	(void)signal(SIGUSR1, SIG_DFL);
	assert_int_equal(failed, 0);
}

static void
test_fields(void **state)
{
	static const struct {
		const char *name, *line, *url, *state;
		int64_t retry_after_s;
		enum waiting_for waiting_for;
	} fields[] = {
		{ "nothing more", "{\"outcome\":\"waiting\",\"summary\":\"s\",\"waiting_for\":\"time\"}", NULL, NULL,
		    -1, WAIT_TIME },
		{ "all of it",
		    "{\"outcome\":\"waiting\",\"summary\":\"s\",\"waiting_for\":\"approval\",\"retry_after_s\":90,"
		    "\"url\":\"https://example.com/1\",\"state\":{\"a\":1},\"new\":2}",
		    "https://example.com/1", "{\"a\":1}", 90, WAIT_APPROVAL },
		{ "input", "{\"outcome\":\"waiting\",\"summary\":\"s\",\"waiting_for\":\"input\",\"url\":null}", NULL,
		    NULL, -1, WAIT_INPUT },
		{ "a url with a space is dropped",
		    "{\"outcome\":\"waiting\",\"summary\":\"s\",\"waiting_for\":\"time\",\"url\":\"http://a b\"}", NULL,
		    NULL, -1, WAIT_TIME },
		{ "a pause below 0 or past a week is dropped",
		    "{\"outcome\":\"waiting\",\"summary\":\"s\",\"waiting_for\":\"time\",\"retry_after_s\":604801}",
		    NULL, NULL, -1, WAIT_TIME },
		{ "a pause of a week",
		    "{\"outcome\":\"waiting\",\"summary\":\"s\",\"waiting_for\":\"time\",\"retry_after_s\":604800}",
		    NULL, NULL, 604800, WAIT_TIME },
	};
	const char *dir = *state;
	char program[256], script[1024];

	(void)snprintf(program, sizeof(program), "%s/action", dir);
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		struct seen seen = { 0 };
		struct launch *l = NULL;

		(void)snprintf(script, sizeof(script), SH "echo '%s'\n", fields[i].line);
		write_program(program, script);
		const struct launch_spec spec = spec_for(program, dir, &seen);
		assert_int_equal(launch_start(&spec, &l, NULL), MH_OK);

		const struct answer_line a = await(l);
		const bool url_right =
		    fields[i].url == NULL ? a.url == NULL : a.url != NULL && strcmp(a.url, fields[i].url) == 0;
		if (a.outcome != OUTCOME_WAITING || !url_right || !span_eq(a.state, span_of(fields[i].state)) ||
		    (a.state.p == NULL) != (fields[i].state == NULL) || a.retry_after_s != fields[i].retry_after_s ||
		    a.waiting_for != fields[i].waiting_for)
			fail_msg("%s: %s \"%s\"", fields[i].name, outcome_names[a.outcome], a.summary);
		launch_free(l);
	}
}

/* What is cut rather than refused: lengths at the limit, one past it and far past it. */
static void
test_cuts(void **state)
{
	static const struct {
		const char *name, *script;
		size_t summary_bytes, said_lines, said_bytes;
	} cuts[] = {
		{ "a summary at its limit", "print(json.dumps({'outcome': 'done', 'summary': 's' * 1000}))\n", 1000, 0,
		    0 },
		{ "a summary past its limit", "print(json.dumps({'outcome': 'done', 'summary': 's' * 1001}))\n", 1000,
		    0, 0 },
		{ "a summary far past its limit", "print(json.dumps({'outcome': 'done', 'summary': 's' * 99999}))\n",
		    1000, 0, 0 },
		{ "a summary is cut between characters",
		    "print(json.dumps({'outcome': 'done', 'summary': 's' * 999 + '\\u00f6'}, ensure_ascii=False))\n",
		    999, 0, 0 },
		{ "say at its limit", "print(json.dumps({'say': 's' * 500}))\n" PY_DONE, 4, 1, 501 },
		{ "say past its limit", "print(json.dumps({'say': 's' * 501}))\n" PY_DONE, 4, 1, 501 },
		{ "stderr at its limit", "print('s' * 500, file=sys.stderr)\n" PY_DONE, 4, 1, 501 },
		{ "stderr past its limit", "print('s' * 501, file=sys.stderr)\n" PY_DONE, 4, 1, 501 },
		{ "as many lines as are logged", "print('s\\n' * 200, end='', file=sys.stderr)\n" PY_DONE, 4, 200,
		    400 },
		{ "one line more", "print('s\\n' * 201, end='', file=sys.stderr)\n" PY_DONE, 4, 201, 431 },
		{ "many lines more", "print('s\\n' * 99999, end='', file=sys.stderr)\n" PY_DONE, 4, 201, 431 },
	};
	const char *dir = *state;
	char program[256], script[1024];

	(void)snprintf(program, sizeof(program), "%s/action", dir);
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		struct seen seen = { 0 };
		struct launch *l = NULL;
		size_t lines = 0;

		buf_init(&seen.said, 1u << 20);
		(void)snprintf(
		    script, sizeof(script), PY "sys.stdout.reconfigure(encoding='utf-8')\n%s", cuts[i].script);
		write_program(program, script);
		const struct launch_spec spec = spec_for(program, dir, &seen);
		assert_int_equal(launch_start(&spec, &l, NULL), MH_OK);

		const struct answer_line a = await(l);
		for (size_t at = 0; at < seen.said.n; at++)
			lines += seen.said.p[at] == '\n';
		if (a.outcome != OUTCOME_DONE || strlen(a.summary) != cuts[i].summary_bytes ||
		    lines != cuts[i].said_lines || seen.said.n != cuts[i].said_bytes)
			fail_msg("%s: %zu bytes \"%.60s\", %zu lines of %zu bytes", cuts[i].name, strlen(a.summary),
			    a.summary, lines, seen.said.n);
		launch_free(l);
		buf_release(&seen.said);
	}
}

static void
test_cannot_start(void **state)
{
	static const struct {
		const char *name, *file, *text, *dir, *words;
		mode_t mode;
	} cases[] = {
		{ "no such program", "nothing-here", NULL, NULL, "No such file", 0 },
		{ "not executable", "plain", "#!/bin/sh\n", NULL, "Permission denied", 0600 },
		{ "no program at all", "binary",
		    "\x7f"
		    "ELF",
		    NULL, "cannot run", 0700 },
		{ "an interpreter that is missing", "script", "#!/nothing/here\n", NULL, "No such file", 0700 },
		{ "a folder that is missing", "good", "#!/bin/sh\n", "/nothing/here", "No such file", 0700 },
	};
	const char *dir = *state;
	char program[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct seen seen = { 0 };
		struct launch *l = NULL;
		struct mh_err err = { 0 };

		(void)snprintf(program, sizeof(program), "%s/%s", dir, cases[i].file);
		if (cases[i].text != NULL) {
			write_program(program, cases[i].text);
			assert_int_equal(chmod(program, cases[i].mode), 0);
		}
		struct launch_spec spec = spec_for(program, dir, &seen);
		if (cases[i].dir != NULL)
			spec.dir = cases[i].dir;
		if (launch_start(&spec, &l, &err) != MH_RETRY || strstr(err.text, cases[i].words) == NULL)
			fail_msg("%s: %d \"%s\"", cases[i].name, (int)err.code, err.text);
	}
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie is left */
	assert_int_equal(errno, ECHILD);
}

/* A request larger than a pipe, to an action that reads late: written in pieces, never blocking. */
static void
test_large_request(void **state)
{
	const char *dir = *state;
	char program[256];
	struct seen seen = { .allow = 1 };
	struct launch *l = NULL;
	struct buf request;

	(void)snprintf(program, sizeof(program), "%s/action", dir);
	write_program(program, PY "print('{\"say\":\"late\"}', flush=True)\ntime.sleep(0.2)\nr = sys.stdin.readline()\n"
				  "print('{\"checkpoint\":{}}', flush=True)\na = sys.stdin.readline()\n"
				  "print(json.dumps({'outcome': 'done', 'summary': '%d %s' % (len(r), a.strip())}))\n");
	buf_init(&request, 1u << 20);
	for (int i = 0; i < 500000; i++)
		buf_putc(&request, 'x');
	struct launch_spec spec = spec_for(program, dir, &seen);
	spec.request = buf_span(&request);
	assert_int_equal(launch_start(&spec, &l, NULL), MH_OK);
	assert_string_equal(await(l).summary, "500001 {\"ok\":true}");
	launch_free(l);
	buf_release(&request);
}

/* The action holds the write end of a FIFO open: its death is end of file at ours. */
static int
open_lifeline(const char *fifo)
{
	const int fd = open(fifo, O_RDONLY | O_CLOEXEC);
	char byte;

	assert_true(fd >= 0);
	assert_int_equal(read(fd, &byte, 1), 1);
	return fd;
}

static void
await_death(int fd)
{
	struct pollfd ended = { fd, POLLIN, 0 };
	char byte;

	assert_int_equal(poll(&ended, 1, 10000), 1);
	assert_int_equal(read(fd, &byte, 1), 0);
	(void)close(fd);
}

/* What is freed while it runs is gone, and its group with it. */
static void
test_free_kills(void **state)
{
	const char *dir = *state;
	char program[256], fifo[256];
	struct seen seen = { 0 };
	struct launch *l = NULL;

	(void)snprintf(program, sizeof(program), "%s/action", dir);
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	write_program(program, SH "exec 5>fifo\nsleep 60 &\necho >&5\nsleep 60\n");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	struct launch_spec spec = spec_for(program, dir, &seen);
	assert_int_equal(launch_start(&spec, &l, NULL), MH_OK);
	const int fd = open_lifeline(fifo);
	launch_free(l);
	await_death(fd);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(unlink(fifo), 0);
}

/* The worker dies by SIGKILL: so does its action. */
static void
test_dies_with_parent(void **state)
{
	const char *dir = *state;
	char program[256], fifo[256], script[600];

	(void)snprintf(program, sizeof(program), "%s/action", dir);
	(void)snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	(void)snprintf(script, sizeof(script), PY "f = open('%s', 'wb', 0)\nf.write(b'x')\ntime.sleep(60)\n", fifo);
	write_program(program, script);
	assert_int_equal(mkfifo(fifo, 0600), 0);

	const pid_t parent = fork();
	assert_true(parent >= 0);
	if (parent == 0) {
		struct seen seen = { 0 };
		struct launch *l = NULL;
		const struct launch_spec spec = spec_for(program, dir, &seen);

		if (launch_start(&spec, &l, NULL) != MH_OK)
			_exit(1);
		for (;;)
			(void)pause();
	}
	const int fd = open_lifeline(fifo);
	assert_int_equal(kill(parent, SIGKILL), 0);
	assert_int_equal(waitpid(parent, NULL, 0), parent);
	await_death(fd);
}

static int
make_folder(void **state)
{
	char *dir = strdup("/tmp/mailhook-launch-XXXXXX");

	if (dir == NULL || mkdtemp(dir) == NULL) {
		free(dir);
		return -1;
	}
	*state = dir;
	return 0;
}

static int
drop_folder(void **state)
{
	static const char *const files[] = { "action", "here", "plain", "binary", "script", "good", "fifo" };
	char path[256];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", (const char *)*state, files[i]);
		(void)unlink(path);
	}
	const int result = rmdir(*state);
	free(*state);
	return result;
}

/* What an outcome may say beside: the step that a person is asked for, and the end of what was renewed. */
static void
test_steps_and_renewals(void **state)
{
#define OUTCOME(word, more) "{\"outcome\":\"" word "\",\"summary\":\"x\"" more "}"
#define WAITING(more) OUTCOME("waiting", ",\"waiting_for\":\"approval\"" more)
	static const struct {
		const char *name, *line;
		bool right;
		const char *step;
		int64_t expires, notice;
	} lines[] = {
		{ "no step", WAITING(""), true, "", 0, 0 },
		{ "a step", WAITING(",\"step\":\"delete-2\""), true, "delete-2", 0, 0 },
		{ "a step at its limit", WAITING(",\"step\":\"0123456789012345678901234567890123456789\""), true,
		    "0123456789012345678901234567890123456789", 0, 0 },
		{ "a step past its limit", WAITING(",\"step\":\"01234567890123456789012345678901234567890\""), false,
		    "", 0, 0 },
		{ "an empty step", WAITING(",\"step\":\"\""), false, "", 0, 0 },
		{ "a step that nobody types", WAITING(",\"step\":\"a b\""), false, "", 0, 0 },
		{ "a step that is a quote", WAITING(",\"step\":\"'\""), false, "", 0, 0 },
		{ "a step of what does not wait", OUTCOME("done", ",\"step\":\"delete\""), true, "", 0, 0 },
		{ "renewed", OUTCOME("done", ",\"renewed\":{\"expires\":\"1970-01-01T00:01:40Z\"}"), true, "", 100, 0 },
		{ "renewed, with a notice",
		    OUTCOME("done",
			",\"renewed\":{\"expires\":\"1970-01-01T00:01:40Z\",\"notice\":\"1970-01-01T00:00:07Z\"}"),
		    true, "", 100, 7 },
		{ "renewed, and failed", OUTCOME("failed", ",\"renewed\":{\"expires\":\"1970-01-01T00:01:40Z\"}"), true,
		    "", 0, 0 },
		{ "renewed without an end", OUTCOME("done", ",\"renewed\":{}"), false, "", 0, 0 },
		{ "renewed to no time", OUTCOME("done", ",\"renewed\":{\"expires\":\"soon\"}"), false, "", 0, 0 },
		{ "a notice at no time",
		    OUTCOME("done", ",\"renewed\":{\"expires\":\"1970-01-01T00:01:40Z\",\"notice\":\"\"}"), false, "",
		    0, 0 },
	};
	(void)state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct action_line a;
		struct mh_err err = { 0 };
		const bool right = action_line_read(span_of(lines[i].line), &a, &err) == MH_OK;

		if (right != lines[i].right ||
		    (right && (strcmp(a.step, lines[i].step) != 0 || a.renewed_expires != lines[i].expires ||
				  a.renewed_notice != lines[i].notice)))
			fail_msg("%s: %s \"%s\"", lines[i].name, right ? "taken" : err.text, a.step);
		action_line_release(&a);
	}
}

/* Only a retry may be another machine's. */
static void
test_elsewhere(void **state)
{
	static const struct {
		const char *line;
		bool elsewhere;
	} lines[] = {
		{ OUTCOME("retry", ",\"elsewhere\":true"), true },
		{ OUTCOME("retry", ",\"elsewhere\":false"), false },
		{ OUTCOME("retry", ",\"elsewhere\":\"yes\""), false },
		{ OUTCOME("retry", ""), false },
		{ OUTCOME("failed", ",\"elsewhere\":true"), false },
		{ OUTCOME("done", ",\"elsewhere\":true"), false },
		{ WAITING(",\"elsewhere\":true"), false },
	};
	(void)state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct action_line a;

		if (action_line_read(span_of(lines[i].line), &a, NULL) != MH_OK || a.elsewhere != lines[i].elsewhere)
			fail_msg("%s", lines[i].line);
		action_line_release(&a);
	}
}

/* Our standard input is the action's descriptor 3, and nothing of it is read here. */
static void
test_person(void **state)
{
	const char *dir = *state;
	char program[256];
	struct seen seen = { .allow = 0 };
	struct launch *l = NULL;
	struct mh_err err = { 0 };
	int ends[2];
	const int before = dup(STDIN_FILENO); /* NOLINT: on purpose without O_CLOEXEC */

	(void)snprintf(program, sizeof(program), "%s/action", dir);
	write_program(program,
	    PY "r = json.loads(sys.stdin.readline())\nt = os.read(3, 100).decode()\n"
	       "print(json.dumps({'outcome': 'done', 'summary': t + str(os.path.exists('/proc/self/fd/4'))}))\n");
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "typed ", 6), 6);
	assert_int_equal(close(ends[1]), 0);
	assert_true(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
	assert_int_equal(close(ends[0]), 0);
	buf_init(&seen.said, 1u << 16);
	buf_init(&seen.states, 1u << 16);
	struct launch_spec spec = spec_for(program, dir, &seen);
	spec.verb = "input";
	spec.person = true;
	assert_int_equal(launch_start(&spec, &l, &err), MH_OK);
	const struct answer_line a = await(l);
	assert_string_equal(a.summary, "typed False");
	launch_free(l);
	if (before >= 0) {
		assert_true(dup2(before, STDIN_FILENO) == STDIN_FILENO);
		assert_int_equal(close(before), 0);
	}
	buf_release(&seen.said);
	buf_release(&seen.states);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_steps_and_renewals),
		cmocka_unit_test(test_elsewhere),
		cmocka_unit_test(test_person),
		cmocka_unit_test(test_cannot_start),
		cmocka_unit_test(test_large_request),
		cmocka_unit_test(test_free_kills),
		cmocka_unit_test(test_dies_with_parent),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
