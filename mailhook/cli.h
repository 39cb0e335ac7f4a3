/* cli.h: the one table of commands: main starts them by it, --help and the completions are written from it. */
#ifndef MAILHOOK_CLI_H
#define MAILHOOK_CLI_H

#include <stdio.h>

#include "mailhook/mailhook.h"

enum cli_exit { CLI_OK = 0, CLI_ATTENTION = 1, CLI_USAGE = 2, CLI_LATER = 75 }; /* 75: EX_TEMPFAIL of sysexits.h */

struct command {
	const char *name, *arguments, *help; /* help: lines for a person, the first one short */
	/* In this process; argv[0] is the command's name. NULL: the program does it. */
	int (*run)(int argc, char **argv);
	const char *program; /* in libexec, started as "PROGRAM COMMAND ARGUMENTS..."; NULL: mailhook-work */
};

extern const struct command commands[]; /* ends with a NULL name */

const struct command *command_find(const char *name); /* NULL: there is none */
void command_list(FILE *out);
void command_help(const struct command *c, FILE *out);

/* Where a program of ours is: ../libexec/mailhook beside this one. False: not to be found out. */
bool libexec_path(const char *program, char *dst, size_t dst_bytes);

#endif
