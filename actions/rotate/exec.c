/* exec.c: any other identity provider, by programs of the user's: the token on standard input, the exit status decides.
 *
 * 0 is yes, 75 is "not now", all else is no. What they write is shown in one line, unless a piece
 * of the token is in it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "actions/common/program.h"
#include "actions/rotate/idp.h"
#include "mailhook/clock.h"

#define MAX_ARGS 32
#define OUTPUT_BYTES 4096
#define EXIT_NOT_NOW 75 /* EX_TEMPFAIL of sysexits.h */

struct programs {
	struct side_env *env;                                  /* foreign */
	const char *save[MAX_ARGS + 1], *verify[MAX_ARGS + 1]; /* NULL-ended; empty: none */
	long timeout_s;
};

static const struct side_option options[] = {
	{ "save", SIDE_LIST, NULL, 0 },
	{ "verify", SIDE_LIST, NULL, 0 },
	{ "timeout_s", SIDE_NUMBER, NULL, 15 },
	{ NULL, SIDE_TEXT, NULL, 0 },
};

/* -- one program --------------------------------------------------------------------------------------------------- */

/* Its last words for a person, or none where a piece of the token is among them. */
static void
words_of(const struct buf *out, struct mh_span token, char *dst, size_t dst_bytes)
{
	struct mh_span rest = buf_span(out), line, last = MH_LIT("");

	if (secret_shows(rest, token)) {
		(void)snprintf(dst, dst_bytes, "its output holds the token and is not shown");
		return;
	}
	while (span_line(&rest, &line))
		if (span_trim(line).n > 0)
			last = span_trim(line);
	(void)mh_escape(dst, dst_bytes, last);
}

#define ENV_LINES 5

/* What it may know besides: nothing of it is secret. */
static enum mh_status
make_env(const struct programs *p, const struct idp_token *t, struct buf lines[ENV_LINES], char *envp[ENV_LINES + 1],
    struct mh_err *err)
{
	const char *const pairs[ENV_LINES][2] = { { "MAILHOOK_SCIM_ENDPOINT", p->env->place->endpoint },
		{ "MAILHOOK_ACCOUNT", p->env->place->account }, { "MAILHOOK_ROTATION", p->env->rotation_id },
		{ "MAILHOOK_TOKEN_SHA256", t->digest }, { "PATH", "/usr/bin:/bin" } };
	bool ok = true;

	for (size_t i = 0; i < ENV_LINES; i++) {
		buf_init(&lines[i], 1024);
		buf_printf(&lines[i], "%s=%s", pairs[i][0], pairs[i][1]);
		ok = ok && buf_ok(&lines[i]);
		envp[i] = lines[i].p;
	}
	envp[ENV_LINES] = NULL;
	return ok ? MH_OK : mh_fail(err, MH_RETRY, "no memory for a program's surroundings");
}

static enum mh_status
judge(const char *program, int code, bool in_time, const char *words, struct mh_err *err)
{
	const char *sep = words[0] == '\0' ? "" : ": ";
	const char *slash = strrchr(program, '/');

	program = slash == NULL ? program : slash + 1;
	if (!in_time)
		return mh_fail(err, MH_RETRY, "%.40s did not end in time", program);
	if (code == 0)
		return MH_OK;
	if (code == EXIT_NOT_NOW || code < 0)
		return mh_fail(
		    err, MH_RETRY, "%.40s %s%s%s", program, code < 0 ? "was killed" : "says: not now", sep, words);
	return mh_fail(err, MH_BAD, "%.40s ended with status %d%s%s", program, code, sep, words);
}

static enum mh_status
run(struct programs *p, const char *const *argv, const struct idp_token *t, struct mh_err *err)
{
	MH_AUTO(secret_buf_release) struct buf out;
	struct buf lines[ENV_LINES];
	char *envp[ENV_LINES + 1];
	char words[80] = "";
	struct program_end end = { -1, false };
	const int64_t end_ms = clock_monotonic_ms() + p->timeout_s * 1000;

	buf_init(&out, OUTPUT_BYTES);
	enum mh_status status = make_env(p, t, lines, envp, err);
	if (status == MH_OK)
		status = program_run(argv, envp, t->value, end_ms, &out, &end, err);
	for (size_t i = 0; i < ENV_LINES; i++)
		buf_release(&lines[i]);
	if (status != MH_OK)
		return status;
	words_of(&out, t->value, words, sizeof(words));
	return judge(argv[0], end.code, end.in_time, words, err);
}

/* -- the driver ---------------------------------------------------------------------------------------------------- */

static enum mh_status
read_list(cfg_t *conf, const char *name, const char *dst[MAX_ARGS + 1], struct mh_err *err)
{
	const unsigned n = cfg_size(conf, name);

	if (n > MAX_ARGS)
		return mh_fail(err, MH_BAD, "exec: %s has more than %d words", name, MAX_ARGS);
	for (unsigned i = 0; i < n; i++)
		dst[i] = cfg_getnstr(conf, name, i);
	dst[n] = NULL;
	if (n > 0 && dst[0][0] != '/')
		return mh_fail(err, MH_BAD, "exec: %s needs its program's whole path", name);
	return MH_OK;
}

static enum mh_status
exec_start(cfg_t *conf, struct side_env *env, void **ret_state, struct mh_err *err)
{
	struct programs *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return mh_fail(err, MH_RETRY, "no memory for the identity provider");
	p->env = env;
	p->timeout_s = cfg_getint(conf, "timeout_s");
	enum mh_status status = read_list(conf, "save", p->save, err);
	if (status == MH_OK)
		status = read_list(conf, "verify", p->verify, err);
	if (status == MH_OK && p->save[0] == NULL)
		status =
		    mh_fail(err, MH_BAD, "exec: save is missing: the program that gets the token on standard input");
	if (status == MH_OK && (p->timeout_s < 1 || p->timeout_s > 30))
		status = mh_fail(err, MH_BAD, "exec: timeout_s must be from 1 to 30");
	if (status != MH_OK) {
		free(p);
		return status;
	}
	*ret_state = p;
	return MH_OK;
}

static void
exec_stop(void *state)
{
	free(state);
}

static enum mh_status
can_run(const char *const *argv, struct mh_err *err)
{
	if (argv[0] == NULL || access(argv[0], X_OK) == 0)
		return MH_OK;
	return mh_fail_errno(err, MH_BAD, "exec: %.80s", argv[0]);
}

static enum mh_status
exec_find(void *state, struct mh_err *err)
{
	struct programs *p = state;
	const enum mh_status status = can_run(p->save, err);

	return status == MH_OK ? can_run(p->verify, err) : status;
}

static enum mh_status
exec_check(void *state, bool online, struct mh_err *err)
{
	(void)online; /* nobody but the user's programs could be asked */
	return exec_find(state, err);
}

static enum mh_status
exec_validate(void *state, const struct idp_token *t, struct mh_err *err)
{
	(void)state;
	(void)t;
	return mh_fail(err, MH_SKIP, "exec has no test before the save");
}

static enum mh_status
exec_save(void *state, const struct idp_token *t, struct mh_err *err)
{
	struct programs *p = state;

	return run(p, p->save, t, err);
}

static enum mh_status
exec_saved(void *state, const struct idp_token *t, struct mh_err *err)
{
	struct programs *p = state;

	if (p->verify[0] == NULL)
		return mh_fail(err, MH_SKIP, "there is no verify program");
	if (t->digest[0] == '\0')
		return mh_fail(err, MH_SKIP, "the verify program cannot be told which token is meant");
	return run(p, p->verify, t, err);
}

static enum mh_status
exec_status(void *state, struct idp_status *ret, struct mh_err *err)
{
	(void)state;
	(void)ret;
	return mh_fail(err, MH_SKIP, "exec cannot tell of synchronisations");
}

const struct idp_driver idp_exec = {
	.name = "exec",
	.section = "exec",
	.options = options,
	.start = exec_start,
	.stop = exec_stop,
	.check = exec_check,
	.find = exec_find,
	.validate = exec_validate,
	.save = exec_save,
	.saved = exec_saved,
	.status = exec_status,
};
