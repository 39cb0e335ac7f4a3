/* front.h: the commands that the face does itself, and the seams between their files. */
#ifndef MAILHOOK_FRONT_H
#define MAILHOOK_FRONT_H

#include <stdio.h>

#include "mailhook/conf.h"
#include "mailhook/intake.h"
#include "mailhook/mailhook.h"

struct sandbox_batch;
struct batch_answer;

/* Commands: argv[0] is the command's name; the exit code comes back. */
int front_pipe(int argc, char **argv);
int front_filter(int argc, char **argv);
int front_parse(int argc, char **argv);
int front_test_notice(int argc, char **argv);

/* What reads a mail. The test of a hostile reader links its own in place of front_parser.c. */
struct mh_parser;
const struct mh_parser *front_parser(void);

/* -- options: front_options.c ------------------------------------------------------------------------------------- */

struct front_options {
	const char *config, *sender; /* NULL: not given */
	bool explain, json;
	char **paths; /* the rest, of argv */
	size_t n_paths;
};

/* Reads the options of a command. flags: those which it has of "s" (--sender), "e" (--explain), "j" (--json), "p" (paths). */
enum mh_status front_options(int argc, char **argv, const char *flags, struct front_options *ret, struct mh_err *err);

/* Says a line on standard error, as whoever reads a configuration or definitions wants it said. user: none */
void front_complain(void *user, const char *line);

/* -- the envelope sender: front_sender.c -------------------------------------------------------------------------- */

/* Who the mail server says the message is from. MH_NONE: nobody said so; empty: the empty sender <>. */
struct mh_span front_sender(const char *option, struct mh_span raw);

/* -- a message with our fields: front_fields.c -------------------------------------------------------------------- */

typedef bool front_put(void *user, struct mh_span bytes);

/* Puts the message with the X-Mailhook fields of r on top, behind a leading "From " line, with the message's own line
 * ends; without the X-Mailhook fields that it came with. All other bytes as they are. more: the message goes on behind
 * raw; where the header does too it is ended, so that no such field can come after. False: put failed. */
bool front_fields(struct mh_span raw, bool more, const struct reading *r, front_put *put, void *user);

/* -- the intake: front_store.c ------------------------------------------------------------------------------------ */

/* Makes a message durable; makes state folder and intake where they are missing and may be made by us.
 *   errors  as intake_put */
enum mh_status front_store(const struct conf *conf, struct mh_span raw, const struct envelope *e, struct mh_err *err);

/* -- the worker: front_wake.c ------------------------------------------------------------------------------------- */

/* Starts `mailhook-work run --once` detached where nobody works and the state is ours. config: as named by the user, or
 * NULL. Nothing here can fail the message: it is durable, and whoever works next takes it. */
void front_wake(const struct conf *conf, const char *config);

/* -- explanations: front_explain.c -------------------------------------------------------------------------------- */

/* Prints what was said on the way to a verdict: words that fit a terminal, or with json one object a line.
 *   in      said: JSON lines (parsers/explain.h) from a child that a mail may have taken over: each is parsed strictly,
 *           of keys and types only the known ones are taken, and no byte goes out that could lead a terminal astray */
void front_explain(const char *source, struct mh_span said, bool json, FILE *out);

/* -- messages to parse: front_source.c ---------------------------------------------------------------------------- */

/* Where messages go, one after the other; false: stop. */
struct front_sink {
	char *(*room)(void *user); /* MH_MAX_MESSAGE_BYTES and one more */
	bool (*add)(void *user, size_t n, const char *source);
	void (*trouble)(void *user, const char *path, const struct mh_err *err);
	void *user;
};

/* Reads a message, a Maildir or an mbox; "-" is standard input. What cannot be opened is told, and the rest goes on. */
bool front_source(const char *path, const struct front_sink *sink);
/* The mbox in these bytes; source is path:N. */
bool front_mbox(struct mh_span bytes, const char *path, const struct front_sink *sink);

#endif
