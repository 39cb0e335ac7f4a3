/* launch_answer_test.c: what an action may say, its lengths and its last word. */
#include <stdio.h>
#include <string.h>

#include "tests/launch_room.h"

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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_steps_and_renewals),
		cmocka_unit_test(test_elsewhere),
	};

	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
