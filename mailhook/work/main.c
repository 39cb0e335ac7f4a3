/* main.c: mailhook-work COMMAND [--config FILE] ...: the only program that opens the ledger. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "mailhook/work/commands.h"

struct work_command {
	const char *name, *arguments; /* as the face tells them, by whom --help is answered (cli.c) */
	bool operand, json, once, views, all, online, templates, alarm; /* what it takes */
	bool vouch, choose_rule, scope, operands, dry_run, mailbox, trust, undo;
	int (*run)(const struct options *o);
};

static const struct work_command work_commands[] = {
	{ .name = "run", .arguments = "[--once [--no-wait]]", .once = true, .run = run_command },
	{ .name = "check",
	    .arguments = "[--json] [--online] [--show-templates]",
	    .online = true,
	    .templates = true,
	    .json = true,
	    .run = check_command },
	{ .name = "list",
	    .arguments = "[--json | --ics | --html] [--all | --within TIME] [--color WHEN]",
	    .views = true,
	    .json = true,
	    .all = true,
	    .run = list_command },
	{ .name = "show", .arguments = "[--json] CASE", .operand = true, .json = true, .run = show_command },
	{ .name = "status",
	    .arguments = "[--json | --prometheus | --alarm [--mail ADDRESS] [--sendmail PROGRAM]]",
	    .json = true,
	    .alarm = true,
	    .run = status_command },
	{ .name = "approve",
	    .arguments = "[--json] CASE [--step STEP | --vouch [--account ACCOUNT --expires TIME]]",
	    .operand = true,
	    .vouch = true,
	    .json = true,
	    .run = approve_command },
	{ .name = "handover", .arguments = "[--json] CASE", .operand = true, .json = true, .run = handover_command },
	{ .name = "retry",
	    .arguments = "[--json] [--rule] CASE",
	    .operand = true,
	    .choose_rule = true,
	    .json = true,
	    .run = retry_command },
	{ .name = "close", .arguments = "[--json] CASE", .operand = true, .json = true, .run = close_command },
	{ .name = "requeue",
	    .arguments = "[--json] [--dry-run] [MESSAGE...]",
	    .operands = true,
	    .json = true,
	    .dry_run = true,
	    .run = requeue_command },
	{ .name = "pause",
	    .arguments = "[--json] [--rule NAME | --action NAME]",
	    .scope = true,
	    .json = true,
	    .run = pause_command },
	{ .name = "resume",
	    .arguments = "[--json] [--rule NAME | --action NAME]",
	    .scope = true,
	    .json = true,
	    .run = resume_command },
	{ .name = "purge", .arguments = "[--json]", .json = true, .run = purge_command },
	{ .name = "backup", .arguments = "[--json] FILE", .operand = true, .json = true, .run = backup_command },
	{ .name = "ledger",
	    .arguments = "[--json] check | forget NODE | copy FROM TO | copy --undo LEDGER",
	    .operands = true,
	    .undo = true,
	    .json = true,
	    .run = ledger_command },
	{ .name = "backtest",
	    .arguments = "[--json] [--trust LEVEL] PATH...",
	    .operands = true,
	    .json = true,
	    .trust = true,
	    .run = backtest_command },
	{ .name = "drill",
	    .arguments = "[--json] [--mailbox NAME]",
	    .mailbox = true,
	    .json = true,
	    .run = drill_command },
	{ .name = "leases", .arguments = "", .run = leases_command }, /* mailhook-imap's, and for no person */
	{ .name = NULL },
};

static const struct work_command *
find_command(const char *name)
{
	for (const struct work_command *c = work_commands; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

/* A switch that this command takes. */
static bool
set_switch(const struct work_command *c, const char *arg, struct options *o)
{
	const struct {
		const char *name;
		bool taken, *to;
	} switches[] = { { "--json", c->json, &o->json }, { "--once", c->once, &o->once },
		{ "--no-wait", c->once, &o->no_wait }, { "--ics", c->views, &o->ics }, { "--html", c->views, &o->html },
		{ "--prometheus", c->alarm, &o->prometheus }, { "--all", c->all, &o->all },
		{ "--online", c->online, &o->online }, { "--show-templates", c->templates, &o->templates },
		{ "--alarm", c->alarm, &o->alarm }, { "--vouch", c->vouch, &o->vouch },
		{ "--rule", c->choose_rule, &o->choose_rule }, { "--dry-run", c->dry_run, &o->dry_run } };

	for (size_t i = 0; i < sizeof(switches) / sizeof(switches[0]); i++)
		if (switches[i].taken && strcmp(arg, switches[i].name) == 0) {
			*switches[i].to = true;
			return true;
		}
	return false;
}

static bool
wrong_usage(const struct work_command *c, const char *what, const char *arg)
{
	char shown[80];

	work_log("%s: %s \"%s\": usage: mailhook %s [--config FILE] %s", c->name, what,
	    mh_escape(shown, sizeof(shown), span_of(arg)), c->name, c->arguments);
	return false;
}

/* --name VALUE or --name=VALUE. False: arg is another option, or its value is missing. */
static bool
set_value(const char *name, int argc, char **argv, int *i, const char **to)
{
	const size_t n = strlen(name);

	if (strncmp(argv[*i], name, n) != 0 || (argv[*i][n] == '\0' && *i + 1 >= argc))
		return false;
	if (argv[*i][n] == '=')
		*to = argv[*i] + n + 1;
	else if (argv[*i][n] == '\0')
		*to = argv[++*i];
	else
		return false;
	return true;
}

/* The usage has a value behind it. */
static bool
takes_value(const struct work_command *c, const char *option)
{
	const char *p = strstr(c->arguments, option);

	return p != NULL && p[strlen(option)] == ' ' && p[strlen(option) + 1] >= 'A' && p[strlen(option) + 1] <= 'Z';
}

static bool
read_options(const struct work_command *c, int argc, char **argv, struct options *o)
{
	o->operands = argv + 2;
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--config") == 0) {
			if (i + 1 == argc)
				return wrong_usage(c, "no file behind", argv[i]);
			o->config = argv[++i];
		} else if (strncmp(argv[i], "--config=", 9) == 0) {
			o->config = argv[i] + 9;
		} else if (set_switch(c, argv[i], o) ||
			   (c->views && (set_value("--within", argc, argv, &i, &o->within) ||
					    set_value("--color", argc, argv, &i, &o->color))) ||
			   (c->mailbox && set_value("--mailbox", argc, argv, &i, &o->mailbox)) ||
			   (c->vouch && (set_value("--step", argc, argv, &i, &o->step) ||
					    set_value("--account", argc, argv, &i, &o->account) ||
					    set_value("--expires", argc, argv, &i, &o->expires))) ||
			   (c->undo && set_value("--undo", argc, argv, &i, &o->undo)) ||
			   (c->trust && set_value("--trust", argc, argv, &i, &o->trust)) ||
			   (c->scope && (set_value("--rule", argc, argv, &i, &o->rule) ||
					    set_value("--action", argc, argv, &i, &o->action))) ||
			   (c->alarm && (set_value("--mail", argc, argv, &i, &o->mail) ||
					    set_value("--sendmail", argc, argv, &i, &o->sendmail)))) {
			continue;
		} else if (argv[i][0] == '-') {
			return wrong_usage(
			    c, takes_value(c, argv[i]) ? "nothing stands behind" : "unknown option", argv[i]);
		} else if (c->operands) {
			argv[2 + o->n_operands++] = argv[i]; /* what stood there was read */
		} else if (!c->operand || o->operand != NULL) {
			return wrong_usage(c, "one argument too many,", argv[i]);
		} else {
			o->operand = argv[i];
		}
	}
	if (o->no_wait && !o->once)
		return wrong_usage(c, "goes with --once:", "--no-wait");
	if (o->alarm + o->prometheus + (c->alarm && o->json) > 1) {
		work_log("%s: --json, --prometheus and --alarm are three forms: take one", c->name);
		return false;
	}
	if (o->mail != NULL && !o->alarm)
		return wrong_usage(c, "goes with --alarm:", "--mail");
	if (o->sendmail != NULL && o->mail == NULL)
		return wrong_usage(c, "goes with --mail:", "--sendmail");
	if (o->step != NULL && o->vouch)
		return wrong_usage(c, "does not go with --vouch:", "--step");
	if ((o->account != NULL || o->expires != NULL) && !o->vouch)
		return wrong_usage(c, "goes with --vouch:", o->account != NULL ? "--account" : "--expires");
	if ((o->account != NULL) != (o->expires != NULL))
		return wrong_usage(c, "both, or neither to be asked:", "--account ACCOUNT --expires TIME");
	if (!c->operand || o->operand != NULL)
		return true;
	return wrong_usage(c,
	    strstr(c->arguments, "CASE") != NULL ? "needs a CASE, as mailhook list shows them, behind"
						 : "needs a FILE behind",
	    c->name);
}

int
main(int argc, char **argv)
{
	const struct rlimit no_core = { 0, 0 };
	struct options o = { 0 };

	(void)umask(077);
	(void)setrlimit(RLIMIT_CORE, &no_core);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGXFSZ, SIG_IGN); /* a limit on file sizes is a full disk, not a death */
	(void)setvbuf(stderr, NULL, _IOLBF, 0);

	const struct work_command *c = argc < 2 ? NULL : find_command(argv[1]);
	if (c == NULL) {
		if (argc < 2)
			work_log("mailhook-work is started by mailhook: mailhook --help");
		else
			work_log("%.40s: not built into this version", argv[1]);
		return EXIT_USAGE;
	}
	if (!read_options(c, argc, argv, &o))
		return EXIT_USAGE;
	const int code = c->run(&o);
	if (fflush(stdout) != 0) {
		work_log("standard output could not be written");
		return code == EXIT_OK ? EXIT_ATTENTION : code;
	}
	return code;
}
