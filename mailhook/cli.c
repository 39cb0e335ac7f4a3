/* cli.c: the commands, and help for them. */
#include <string.h>
#include <unistd.h>

#include "mailhook/cli.h"
#include "mailhook/front.h"

/* What the face does not do itself, the worker does. A row here and one in mailhook/work/main.c is a new command. */
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
	    .arguments = "[--explain [--json]] [PATH...]",
	    .help = "print what messages say, one line of JSON each, without any effect\n"
		    "PATH is a message, a Maildir or an mbox; without one a message is read from standard input. "
		    "With --explain the way to each verdict is told on standard error, with --json as JSON too.",
	    .run = front_parse },
	{ .name = "test-notice",
	    .arguments = "[--json] FILE.notice FOLDER",
	    .help = "try a definition on a folder of mails\n"
		    "Each NAME.eml is read with it and compared with NAME.json, which holds what matters of parse's "
		    "line.\n"
		    "Exit 0: all is as expected.",
	    .run = front_test_notice },
	{ .name = "verify",
	    .arguments = "[PATH...]",
	    .help = "print how far messages may be believed, and the way to that, one line of JSON each\n"
		    "PATH as of parse. Keys of signatures are asked of the resolver that the configuration names.",
	    .program = "mailhook-verify" },
	{ .name = "run",
	    .arguments = "[--once [--no-wait]]",
	    .help =
		"work the intake, due jobs and retries\n"
		"With --once it ends when nothing is due any more. Where another such run is at work it waits for its "
		"end, or with --no-wait leaves the work to it." },
	{ .name = "imap",
	    .arguments = "[--once]",
	    .help = "watch the configured mailboxes\n"
		    "With --once it ends when all was read. Exit 0: every mailbox was read to its end.",
	    .program = "mailhook-imap" },
	{ .name = "check",
	    .arguments = "[--json] [--online] [--show-templates]",
	    .help = "check the configuration, the definitions and the actions\n"
		    "With --show-templates it prints what each action would write for a case that is made up." },
	{ .name = "list",
	    .arguments = "[--json | --ics | --html] [--all | --within TIME] [--color WHEN]",
	    .help = "list what expires when, what has no date first\n"
		    "As a calendar with --ics, as a page for a browser with --html. TIME is as in 30d; WHEN is auto, "
		    "always "
		    "or never." },
	{ .name = "show", .arguments = "[--json] CASE", .help = "show a case and its history" },
	{ .name = "status",
	    .arguments = "[--json | --prometheus | --alarm [--mail ADDRESS] [--sendmail PROGRAM]]",
	    .help = "say whether all is well\n"
		    "With --alarm it says nothing while the work goes on, and mails at most once a day where it does "
		    "not." },
	{ .name = "approve",
	    .arguments = "[--json] CASE [--step STEP | --vouch [--account ACCOUNT --expires TIME]]",
	    .help = "let what waits for approval go on\n"
		    "With --step only what waits with that step, as tickets and 'mailhook show' name it. "
		    "With --vouch you say that you saw account and expiry in AWS yourself, and nothing need prove the "
		    "mail." },
	{ .name = "handover",
	    .arguments = "[--json] CASE",
	    .help = "give an action what only it may see, such as a new token\n"
		    "It is typed at the terminal, or read from a pipe; mailhook itself does not read it." },
	{ .name = "retry",
	    .arguments = "[--json] [--rule] CASE",
	    .help = "try at once what failed or waits\n"
		    "With --rule the case's rule is chosen anew from the configuration of now." },
	{ .name = "close", .arguments = "[--json] CASE", .help = "close a case" },
	{ .name = "requeue",
	    .arguments = "[--json] [--dry-run] [MESSAGE...]",
	    .help =
		"read again what could not be read, after a definition was added\n"
		"MESSAGE is a number that 'mailhook show' names; without one all that is kept is read. With --dry-run "
		"nothing is changed. Exit 1: something is still not read." },
	{ .name = "pause",
	    .arguments = "[--json] [--rule NAME | --action NAME]",
	    .help = "start nothing new: of all, of a rule, of an action\n"
		    "Mail is taken in all the same, and what runs goes on to its end." },
	{ .name = "resume",
	    .arguments = "[--json] [--rule NAME | --action NAME]",
	    .help = "let go on what was paused" },
	{ .name = "purge",
	    .arguments = "[--json]",
	    .help = "let go what was kept long enough\n"
		    "The worker does it once a day: keep_mail and keep_cases in mailhook.conf(5) say what." },
	{ .name = "backup",
	    .arguments = "[--json] FILE",
	    .help = "copy the ledger into a new file\n"
		    "The worker goes on meanwhile. It says what else is needed to go on from the copy." },
	{ .name = "ledger",
	    .arguments = "[--json] check | forget NODE | copy FROM TO | copy --undo LEDGER",
	    .help = "prove that the ledger is whole, let go of a machine that does not come back, or move it\n"
		    "check: exit 1 where it is not whole; each thing that is wrong is a line.\n"
		    "forget: takes a node from the list in status; one that lives is refused.\n"
		    "copy: all that FROM holds goes into TO, a new one, is read back and compared; FROM is out of use "
		    "then. "
		    "Both are as in the configuration, sqlite:/PATH or postgresql://... Nothing may work with them "
		    "meanwhile. --undo lets LEDGER, which was moved, work again." },
	{ .name = "backtest",
	    .arguments = "[--json] [--trust LEVEL] PATH...",
	    .help = "tell what would have happened to an archive of mail, case by case, without any effect\n"
		    "PATH as of parse. Rules and times are those of the configuration; every notice is taken as LEVEL: "
		    "verified, relayed or unverified." },
	{ .name = "drill",
	    .arguments = "[--json] [--mailbox NAME]",
	    .help = "send a marked test notice through the whole installation\n"
		    "It says, step by step, what worked, what is slow and what is missing. Nothing is renewed. With "
		    "--mailbox the notice is put into that mailbox, else given to pipe." },
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

	/* bin/mailhook, or libexec/mailhook/PROGRAM, to libexec/mailhook/PROGRAM, without "..": the last names go. */
	const char *libexec = strstr(self, "/libexec/mailhook/");
	for (int names = libexec != NULL && strchr(libexec + sizeof("/libexec/mailhook"), '/') == NULL ? 3 : 2;
	     names > 0; names--) {
		char *slash = strrchr(self, '/');
		if (slash == NULL)
			return false;
		*slash = '\0';
	}
	const int used = snprintf(dst, dst_bytes, "%s/libexec/mailhook/%s", self, program == NULL ? work : program);
	return used > 0 && (size_t)used < dst_bytes;
}
