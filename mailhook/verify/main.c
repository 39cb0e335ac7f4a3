/* main.c: mailhook-verify verify [PATH...]: how far messages may be believed. "judge" and
 * "resolver" are for our own programs. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/cli.h"
#include "mailhook/clock.h"
#include "mailhook/front.h"
#include "mailhook/json.h"
#include "mailhook/sandbox.h"
#include "mailhook/verify/ask.h"
#include "mailhook/verify/dns.h"
#include "mailhook/verify/judge.h"
#include "parsers/parser.h"

struct verify {
	struct conf *conf;               /* own */
	struct definitions *definitions; /* own */
	struct reader reader;
	char self[4096]; /* this program */
	char *room;      /* own */
	struct arena arena;
	int code;
};

static bool
print(const struct verify_answer *v, const char *source, struct mh_err *err)
{
	MH_AUTO(drop_json) cJSON *j = cJSON_CreateObject(), *steps = json_parse(span_of(v->steps), err);
	struct buf out;
	bool ok = j != NULL && steps != NULL;

	/* A path need not be UTF-8, and JSON must be. */
	char shown[8200];
	const struct mh_span path = span_of(source);
	const char *name = utf8_valid(path) ? source : mh_escape(shown, sizeof(shown), path);

	buf_init(&out, VERIFY_MAX_ANSWER_BYTES * 2);
	ok = ok && json_add_string(j, "source", name) && json_add_string(j, "level", trust_names[v->level]) &&
	     cJSON_AddBoolToObject(j, "temporary", v->temporary) != NULL && json_add_string(j, "by", v->by);
	if (ok && cJSON_AddItemToObject(j, "steps", steps))
		steps = NULL; /* handed over */
	ok = ok && steps == NULL && json_print(j, &out);
	ok = ok && puts(out.p) >= 0 && fflush(stdout) == 0;
	buf_release(&out);
	return ok || mh_fail(err, MH_RETRY, "a verdict could not be written") == MH_OK;
}

/* Reads the message for what it says, has it judged for who may say that, and prints. */
static enum mh_status
one(struct verify *v, struct mh_span raw, const char *source, struct mh_err *err)
{
	struct reading r = { 0 };
	struct verify_ask q = { .program = v->self, .trust = &v->conf->trust, .raw = raw, .received = clock_now() };
	struct verify_answer answer;
	enum mh_status status = sandbox_read(&v->reader, raw, &v->arena, &r, err);

	if (status == MH_OK)
		status = verify_lists_of_reading(v->definitions, &r, &v->arena, &q.lists, err);
	if (status == MH_OK)
		status = verify_ask(&q, &v->arena, &answer, err);
	return status == MH_OK && !print(&answer, source, err) ? MH_RETRY : status;
}

/* -- where messages come from -------------------------------------------------------------------------------------- */

static char *
room(void *user)
{
	return ((struct verify *)user)->room;
}

static bool
add(void *user, size_t n, const char *source)
{
	struct verify *v = user;
	struct mh_err err = { 0 };
	const struct mh_span raw = { v->room, n < MH_MAX_MESSAGE_BYTES ? n : MH_MAX_MESSAGE_BYTES };

	arena_reset(&v->arena);
	if (one(v, raw, source, &err) == MH_OK)
		return true;
	front_complain(NULL, err.text);
	v->code = CLI_LATER;
	return false;
}

static void
trouble(void *user, const char *path, const struct mh_err *err)
{
	struct verify *v = user;
	char name[1024];

	(void)fprintf(stderr, "mailhook: %s: %s\n", mh_escape(name, sizeof(name), span_of(path)), err->text);
	v->code = CLI_ATTENTION;
}

static bool
prepare(struct verify *v, const char *config, struct mh_err *err)
{
	const ssize_t n = readlink("/proc/self/exe", v->self, sizeof(v->self) - 1);

	if (n <= 0 || (size_t)n >= sizeof(v->self) - 1) {
		(void)mh_fail(err, MH_RETRY, "the path of this program is not known");
		return false;
	}
	v->self[n] = '\0';
	const enum mh_status status = conf_load(config, front_complain, NULL, &v->conf, err);
	if (status != MH_OK) {
		v->code = CLI_USAGE;
		return false;
	}
	v->definitions = definitions_new();
	v->room = malloc((size_t)MH_MAX_MESSAGE_BYTES + 1);
	if (v->definitions == NULL || v->room == NULL) {
		(void)mh_fail(err, MH_RETRY, "no memory");
		return false;
	}
	v->reader = (struct reader){ .parser = &definition_parser, .parser_state = v->definitions };
	if (definitions_add_folder(v->definitions, v->conf->definitions_dir, front_complain, NULL, err) != MH_RETRY)
		return true;
	return false;
}

static int
verify_command(int argc, char **argv)
{
	struct verify v = { .code = CLI_OK };
	const struct front_sink sink = { .room = room, .add = add, .trouble = trouble, .user = &v };
	struct front_options o;
	struct mh_err err = { 0 };
	bool go_on = true;

	if (front_options(argc, argv, "p", &o, &err) != MH_OK) {
		front_complain(NULL, err.text);
		return CLI_USAGE;
	}
	arena_init(&v.arena, 2 * (size_t)MH_MAX_ANSWER_BYTES);
	if (!prepare(&v, o.config, &err)) {
		if (v.code != CLI_USAGE || err.code == MH_RETRY)
			front_complain(NULL, err.text);
		v.code = v.code == CLI_USAGE ? CLI_USAGE : CLI_LATER;
		go_on = false;
	}
	if (go_on && o.n_paths == 0)
		go_on = front_source("-", &sink);
	for (size_t i = 0; go_on && i < o.n_paths; i++)
		go_on = front_source(o.paths[i], &sink);
	free(v.room);
	arena_release(&v.arena);
	definitions_free(v.definitions);
	conf_free(v.conf);
	return v.code;
}

/* "resolver [ADDRESS]": asks for a record that is there for as long as DMARC is. For `check --online`. */
static int
probe_resolver(const char *resolver)
{
	static const char known[] = "_dmarc.amazon.com";
	struct dns d;
	struct arena a;
	struct mh_span text = MH_NONE;
	struct mh_err err = { 0 };

	arena_init(&a, (size_t)1 << 20);
	enum mh_status status = dns_init(&d, resolver, &err);
	if (status == MH_OK)
		status = dns_txt(&d, known, &a, &text, &err);
	const bool right = status == MH_OK && span_istarts(text, MH_LIT("v=DMARC1"));
	if (right)
		(void)puts("trust: the resolver answers");
	else if (status == MH_RETRY)
		(void)printf("trust: the resolver does not answer: %s\n", err.text);
	else
		(void)printf("trust: the resolver answers, but does not know %s: is it the right one?\n", known);
	arena_release(&a);
	return right ? CLI_OK : CLI_ATTENTION;
}

int
main(int argc, char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN); /* a verifier that dies while it is asked is an answer too */
	if (argc == 2 && strcmp(argv[1], "judge") == 0)
		return judge_main();
	if (argc >= 2 && strcmp(argv[1], "verify") == 0)
		return verify_command(argc - 1, argv + 1);
	if ((argc == 2 || argc == 3) && strcmp(argv[1], "resolver") == 0)
		return probe_resolver(argv[2]);
	front_complain(NULL, "mailhook-verify is started by mailhook: mailhook verify --help");
	return CLI_USAGE;
}
