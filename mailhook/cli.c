/* cli.c: the commands, and help for them. */
#include <string.h>
#include <unistd.h>

#include "mailhook/cli.h"
#include "mailhook/front.h"

static const char work[] = "mailhook-work";

const struct command commands[] = {
	{ .name = "pipe",
	    .arguments = "[--sender ADDRESS]",
	    .help = "take one message from standard input, for a mail server's pipe\n"
		    "Exit 0: it is of no concern, or it is durable in the intake. Exit 75: try again later.",
	    .run = front_pipe },
	{ .name = "filter",
	    .arguments = "[--sender ADDRESS]",
	    .help = "as pipe, and write the message to standard output with X-Mailhook fields on top\n"
		    "Exit 0: the whole message was written. Exit 75: it was not; take the original.",
	    .run = front_filter },
	{ .name = "parse",
	    .arguments = "[--explain] [PATH...]",
	    .help = "print what messages say, one line of JSON each, without any effect\n"
		    "PATH is a message, a Maildir or an mbox; without one a message is read from standard input.",
	    .run = front_parse },
	{ .name = "run", .arguments = "[--once]", .help = "work: the intake, due jobs, retries, reminders" },
	{ .name = "imap",
	    .arguments = "[--once]",
	    .help = "watch the configured mailboxes",
	    .program = "mailhook-imap" },
	{ .name = "check",
	    .arguments = "[--online] [--json]",
	    .help = "check the configuration, the definitions and the actions" },
	{ .name = "verify",
	    .arguments = "[PATH]",
	    .help = "say how far a message can be trusted, and why",
	    .program = "mailhook-verify" },
	{ .name = "list", .arguments = "[--json|--ics|--html]", .help = "list what expires when" },
	{ .name = "show", .arguments = "[--json] CASE", .help = "show the history of a case" },
	{ .name = "status", .arguments = "[--alarm] [--json]", .help = "say whether all is well" },
	{ .name = "approve", .arguments = "[--vouch] CASE", .help = "let a case's actions go ahead" },
	{ .name = "handover", .arguments = "CASE", .help = "give a case to a person: no action runs any more" },
	{ .name = "retry", .arguments = "[--rule] CASE", .help = "try a case's failed jobs again" },
	{ .name = "close", .arguments = "CASE", .help = "close a case" },
	{ .name = "pause", .arguments = "", .help = "start no action until resume" },
	{ .name = "resume", .arguments = "", .help = "start actions again" },
	{ .name = "requeue", .arguments = "", .help = "read the quarantined messages again" },
	{ .name = "purge", .arguments = "", .help = "remove what need not be kept any more" },
	{ .name = "backup", .arguments = "PATH", .help = "write a copy of the ledger" },
	{ .name = "ledger", .arguments = "check|copy", .help = "check the ledger, or copy it to another" },
	{ .name = "backtest", .arguments = "PATH...", .help = "replay an archive of mail without any effect" },
	{ .name = "test-notice", .arguments = "PATH...", .help = "test a definition against samples" },
	{ .name = "drill", .arguments = "", .help = "send a marked test notice through the installation" },
	{ .name = NULL },
};

const struct command *
command_find(const char *name)
{
	for (const struct command *c = commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static int
first_line(const char *s)
{
	const char *lf = strchr(s, '\n');

	return (int)(lf == NULL ? strlen(s) : (size_t)(lf - s));
}

void
command_list(FILE *out)
{
	(void)fputs("usage: mailhook COMMAND [--config FILE] [ARGUMENTS]\n"
		    "       mailhook --help | --version | COMMAND --help\n\n",
	    out);
	for (const struct command *c = commands; c->name != NULL; c++)
		(void)fprintf(out, "  %-12s %.*s\n", c->name, first_line(c->help), c->help);
	(void)fputs("\nExit codes, except of pipe and filter: 0 done, 1 something needs attention, 2 usage or "
		    "configuration, 75 try later.\n",
	    out);
}

void
command_help(const struct command *c, FILE *out)
{
	(void)fprintf(out, "usage: mailhook %s [--config FILE]%s%s\n\n%s\n", c->name,
	    c->arguments[0] == '\0' ? "" : " ", c->arguments, c->help);
}

bool
libexec_path(const char *program, char *dst, size_t dst_bytes)
{
	char self[4096];

	const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (n <= 0 || (size_t)n >= sizeof(self) - 1)
		return false;
	self[n] = '\0';

	/* bin/mailhook to libexec/mailhook/PROGRAM, without "..": two names go. */
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(self, '/');
		if (slash == NULL)
			return false;
		*slash = '\0';
	}
	const int used = snprintf(dst, dst_bytes, "%s/libexec/mailhook/%s", self, program == NULL ? work : program);
	return used > 0 && (size_t)used < dst_bytes;
}
