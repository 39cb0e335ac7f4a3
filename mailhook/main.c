/* main.c: the face: finds the command and does it, or starts the program of ours that does. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "mailhook/cli.h"

/* A closed 0, 1 or 2 would be given to the next file that is opened, and a message written into it. They are opened
 * the wrong way round: reading or writing them stays the error that it is. */
static bool
hold_standard_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
		    open("/dev/null", fd == STDIN_FILENO    ? O_WRONLY
				      : fd == STDOUT_FILENO ? O_RDONLY
							    : O_WRONLY) != fd)
			return false;
	return true;
}

static int
start_program(const struct command *c, char **argv)
{
	char path[4096];

	if (!libexec_path(c->program, path, sizeof(path))) {
		(void)fprintf(stderr, "mailhook: the folder of mailhook's programs cannot be found\n");
		return CLI_USAGE;
	}
	argv[0] = path;
	(void)execv(path, argv);
	(void)fprintf(stderr, "mailhook: %s: %s cannot be started: %s\n", c->name, path, strerrordesc_np(errno));
	return CLI_USAGE;
}

static bool
wants_help(int argc, char **argv)
{
	for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--help") == 0)
			return true;
	return false;
}

/* "mailhook --config FILE COMMAND ..." is "mailhook COMMAND --config FILE ...": people write both. */
static void
command_first(int argc, char **argv)
{
	if (argc > 3 && strcmp(argv[1], "--config") == 0) {
		char *command = argv[3];

		argv[3] = argv[2];
		argv[2] = argv[1];
		argv[1] = command;
	}
}

/* Help that could not be written was not given. */
static int
printed(void)
{
	return fflush(stdout) == 0 && ferror(stdout) == 0 ? CLI_OK : CLI_ATTENTION;
}

int
main(int argc, char **argv)
{
	if (!hold_standard_descriptors())
		return CLI_LATER; /* not 2: the command may be pipe */
	if (argc < 2) {
		command_list(stderr);
		return CLI_USAGE;
	}
	command_first(argc, argv);
	if (strcmp(argv[1], "--help") == 0) {
		command_list(stdout);
		return printed();
	}
	if (strcmp(argv[1], "--version") == 0) {
		(void)puts("mailhook " MAILHOOK_VERSION);
		return printed();
	}

	const struct command *c = command_find(argv[1]);
	if (c == NULL) {
		char name[80];

		(void)fprintf(stderr, "mailhook: no command is named \"%s\"; mailhook --help lists them\n",
		    mh_escape(name, sizeof(name), span_of(argv[1])));
		return CLI_USAGE;
	}
	if (wants_help(argc, argv)) {
		command_help(c, stdout);
		return printed();
	}
	return c->run != NULL ? c->run(argc - 1, argv + 1) : start_program(c, argv);
}
