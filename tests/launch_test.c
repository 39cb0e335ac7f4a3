/* launch_test.c: one run of an action, against small programs that behave, misbehave and hang. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/launch_room.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
