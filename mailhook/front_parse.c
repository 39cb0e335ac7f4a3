/* front_parse.c: `parse`: what messages say, as JSON, without any effect. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/cli.h"
#include "mailhook/fd.h"
#include "mailhook/front.h"
#include "mailhook/sandbox.h"
#include "parsers/parser.h"
#include "parsers/render.h"

#define MAX_OUT_BYTES ((size_t)32 << 20) /* one answer of 1 MB, escaped, and what was not yet written */
#define FLUSH_BYTES ((size_t)64 << 10)
#define MAX_LANES 4 /* one process fills them and prints: more children than this would wait for it */

struct lane {                        /* a batch, and a child with it */
	struct sandbox_batch *batch; /* own */
	char *sources[MH_BATCH];     /* own; of what was added since the last run */
	size_t n;
};

struct parse {
	struct lane lanes[MAX_LANES];
	size_t n_lanes, filling; /* the others have begun, the next one of them first */
	struct arena arena;
	struct buf out;
	bool explain, json; /* json: what is explained too */
	int code;
};

/* Stops everything with an exit code. */
static bool
stop(struct parse *p, int code, const char *why)
{
	front_complain(NULL, why);
	p->code = code;
	return false;
}

static bool
write_out(struct parse *p)
{
	if (!fd_write_all(STDOUT_FILENO, buf_span(&p->out)))
		return stop(p, CLI_ATTENTION, "standard output cannot be written");
	buf_clear(&p->out);
	return true;
}

/* Waits for what was added to a lane, and prints it. */
static bool
finish(struct parse *p, struct lane *l)
{
	struct batch_answer answers[MH_BATCH];
	struct mh_err err;
	size_t n = 0;
	bool ok = true;

	arena_reset(&p->arena);
	if (sandbox_batch_run(l->batch, &p->arena, answers, &n, &err) != MH_OK)
		ok = stop(p, CLI_LATER, err.text);
	for (size_t i = 0; ok && i < n; i++) {
		if (p->explain)
			front_explain(l->sources[i], answers[i].explained, p->json, stderr);
		if (!reading_render(&answers[i].reading, l->sources[i], &p->out))
			ok = stop(p, CLI_LATER, "no memory for the answer");
		buf_putc(&p->out, '\n');
		if (ok && p->out.n >= FLUSH_BYTES)
			ok = write_out(p);
	}
	for (size_t i = 0; i < l->n; i++)
		free(l->sources[i]);
	l->n = 0;
	return ok && write_out(p);
}

/* The filled lane begins; the next one is printed, so that it can be filled. */
static bool
next_lane(struct parse *p)
{
	struct mh_err err;

	if (p->n_lanes > 1 && sandbox_batch_start(p->lanes[p->filling].batch, &err) != MH_OK)
		return stop(p, CLI_LATER, err.text);
	p->filling = (p->filling + 1) % p->n_lanes;
	return finish(p, &p->lanes[p->filling]);
}

/* All that was added and not yet printed. */
static bool
finish_all(struct parse *p)
{
	bool ok = true;

	for (size_t i = 0; i < p->n_lanes && ok; i++) /* the oldest is the one behind that which is filled */
		ok = next_lane(p);
	return ok;
}

static char *
room(void *user)
{
	const struct parse *p = user;

	return sandbox_batch_room(p->lanes[p->filling].batch);
}

static bool
add(void *user, size_t n, const char *source)
{
	struct parse *p = user;
	struct lane *l = &p->lanes[p->filling];

	l->sources[l->n] = strdup(source);
	if (l->sources[l->n] == NULL)
		return stop(p, CLI_LATER, "no memory");
	l->n++;
	return sandbox_batch_add(l->batch, n) ? next_lane(p) : true;
}

static void
trouble(void *user, const char *path, const struct mh_err *err)
{
	struct parse *p = user;
	char name[1024];

	(void)fprintf(stderr, "mailhook: %s: %s\n", mh_escape(name, sizeof(name), span_of(path)), err->text);
	p->code = CLI_ATTENTION;
}

static void
explain(void *state, const struct explain_sink *sink)
{
	definitions_explain(state, sink);
}

/* The shipped definitions, and those beside the configuration. No configuration is needed, but one that was named must
 * be right. */
static enum mh_status
definitions_of(const char *config, struct definitions *d, struct mh_err *err)
{
	struct conf *conf = NULL;

	const enum mh_status st = conf_load(config, config == NULL ? NULL : front_complain, NULL, &conf, err);
	if (conf != NULL) {
		struct mh_err folder = { 0 };

		if (definitions_add_folder(d, conf->definitions_dir, front_complain, NULL, &folder) == MH_RETRY)
			front_complain(NULL, folder.text);
	}
	conf_free(conf);
	return config == NULL ? MH_OK : st;
}

static void
parse_paths(struct parse *p, const struct front_options *o)
{
	const struct front_sink sink = { .room = room, .add = add, .trouble = trouble, .user = p };
	bool go_on = true;

	if (o->n_paths == 0)
		go_on = front_source("-", &sink);
	for (size_t i = 0; go_on && i < o->n_paths; i++)
		go_on = front_source(o->paths[i], &sink);
	if (go_on)
		(void)finish_all(p);
}

/* As many lanes as there are processors to be used: on one, a second child would only make the first one wait. */
static enum mh_status
open_lanes(struct parse *p, const struct reader *reader, struct mh_err *err)
{
	cpu_set_t cpus;
	const int n = sched_getaffinity(0, sizeof(cpus), &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
	enum mh_status status = MH_OK;

	while (status == MH_OK && p->n_lanes < MAX_LANES && p->n_lanes < (size_t)n) {
		status = sandbox_batch_new(reader, &p->lanes[p->n_lanes].batch, err);
		if (status == MH_OK)
			p->n_lanes++;
	}
	return status;
}

static void
close_lanes(struct parse *p)
{
	for (size_t i = 0; i < p->n_lanes; i++) {
		for (size_t k = 0; k < p->lanes[i].n; k++)
			free(p->lanes[i].sources[k]);
		sandbox_batch_free(p->lanes[i].batch);
	}
}

int
front_parse(int argc, char **argv)
{
	struct parse p = { 0 };
	struct front_options o;
	struct mh_err err = { 0 };

	if (front_options(argc, argv, "ejp", &o, &err) != MH_OK) {
		front_complain(NULL, err.text);
		return CLI_USAGE;
	}

	struct definitions *d = definitions_new();
	if (d == NULL) {
		front_complain(NULL, "no memory for the definitions");
		return CLI_LATER;
	}
	arena_init(&p.arena, MH_BATCH * (size_t)MH_MAX_ANSWER_BYTES * 2);
	buf_init(&p.out, MAX_OUT_BYTES);

	p.explain = o.explain;
	p.json = o.json;
	const struct reader reader = {
		.parser = front_parser(), .parser_state = d, .explain = o.explain ? explain : NULL
	};
	if (definitions_of(o.config, d, &err) != MH_OK) {
		if (err.code == MH_RETRY)
			front_complain(NULL, err.text);
		p.code = CLI_USAGE;
	} else if (open_lanes(&p, &reader, &err) != MH_OK) {
		(void)stop(&p, CLI_LATER, err.text);
	} else {
		parse_paths(&p, &o);
	}
	close_lanes(&p);
	buf_release(&p.out);
	arena_release(&p.arena);
	definitions_free(d);
	return p.code;
}
