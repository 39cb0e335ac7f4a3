/* work_commands_test.c: what the worker's commands answer, and what check sees in rules and credentials. */
#include <stdio.h>

#include "tests/engines.h"
#include "tests/work_room.h"

/* -- commands ------------------------------------------------------------------------------------------------------ */

static const struct {
	const char *name, *command, *arg;
	int code;
	const char *file, *part;
} command_rows[] = {
	{ "list", "list", NULL, 0, "out", "2026-02-03T04:05:06Z" },
	{ "list as JSON", "list", "--json", 0, "out", "\"account\":\"123456789012\"" },
	{ "show by number", "show", "1", 0, "out", "aws.identity-center.scim-token" },
	{ "show says why a job waits", "show", "1", 0, "out", "needs a verified notice, and this case is unverified" },
	{ "show without a case", "show", NULL, 2, "err", "needs a CASE" },
	{ "show of none", "show", "7", 2, "err", "no case 7: 'mailhook list' shows those that there are" },
	{ "show of nonsense", "show", "../x", 2, "err", "is no case: give its number" },
	{ "an unknown option", "show", "--frob", 2, "err", "unknown option" },
	{ "status", "status", NULL, 0, "out", "cases       1 open" },
	{ "status as JSON", "status", "--json", 0, "out", "\"cases_open\":1" },
	{ "check names what no rule takes", "check", NULL, 1, "err",
	    "kind aws.identity-center.scim-token: no rule takes it for" },
	{ "check names a rule that is never reached", "check", NULL, 1, "err", "rule \"late\" is never reached" },
	{ "check names a mailbox whose secret is missing", "check", NULL, 1, "out", "mailbox ops: not fit: " },
	{ "check names wrong lines of the accounts file", "check", NULL, 1, "err", "/accounts:2: no account" },
	{ "and all of them", "check", NULL, 1, "err", "/accounts:3: account 42 has 2 digits, not 12" },
	{ "check asks the actions", "check", NULL, 1, "out", "action desk: fit: did it" },
	{ "check shows unused actions", "check", NULL, 1, "out", "action spare: no rule uses it" },
	{ "retry of nothing", "retry", "1", 2, "err", "no job has failed" },
	{ "approve", "approve", "1", 0, "out", "case 1 is approved" },
	{ "close", "close", "1", 0, "out", "case 1 is closed" },
	{ "close again", "close", "1", 2, "err", "was closed already" },
	{ "approve what is closed", "approve", "1", 2, "err", "there is nothing to approve" },
	{ "closed cases are not listed", "list", "--all", 0, "out", "closed" },
};

static void
commands_answer(void **state)
{
	struct room r;

	(void)state;
	stage(&r,
	    "accounts_file = \"@/accounts\"\n"
	    "action \"desk\" { program = \"@/desk\" role = \"ticket\" }\naction \"turn\" { program = \"@/desk\" }\n"
	    "action \"spare\" { program = \"@/desk\" }\naction \"page\" { program = \"@/desk\" }\n"
	    "escalate \"boss\" { after = \"300d\" do = {\"page\"} }\n"
	    "rule \"mine\" { accounts = {\"1234*\"} do = {\"desk\", \"turn\"} }\n"
	    "rule \"late\" { accounts = {\"123456789012\"} do = {\"desk\"} }\n"
	    "mailbox \"ops\" { url = \"imaps://imap.example.com/INBOX\" user = \"ops\" password_command = "
	    "\"/no/such/program\" }\n");
	room_script(&r, "accounts", ",nobody\n42,zeros\n123456789012,Payments\n"); /* below the line of a script */
	assert_int_equal(run(&r, "list", NULL), 0);
	put_notice(&r, 1);
	assert_int_equal(run(&r, "run", "--once"), 0);
	for (size_t i = 0; i < sizeof(command_rows) / sizeof(command_rows[0]); i++) {
		const int code = run(&r, command_rows[i].command, command_rows[i].arg);
		if (code != command_rows[i].code)
			fail_msg("%s: exit code %d", command_rows[i].name, code);
		if (!printed(&r, command_rows[i].file, command_rows[i].part))
			fail_msg("%s: \"%s\" was not said", command_rows[i].name, command_rows[i].part);
	}
	assert_int_equal(run(&r, "check", NULL), 1);
	assert_true(printed(&r, "out", "action page: fit"));
	assert_false(printed(&r, "out", "action page: no rule uses it")); /* an escalation does */
	room_close(&r);
}

/* -- check: rules ---------------------------------------------------------------------------------------------------- */

#define CHECK "accounts_file = \"@/accounts\"\naction \"desk\" { program = \"@/desk\" role = \"ticket\" }\n"
#define REST "rule \"rest\" { order = 90 do = {\"desk\"} }\n"
#define LIST "111111111111,,,production\n222222222222,,,production\n333333333333,,,test\n"

static const struct {
	const char *name, *conf, *accounts; /* accounts NULL: there is no such file */
	int code;
	const char *part; /* on stderr */
} rule_rows[] = {
	{ "all is well", CHECK "rule \"live\" { environments = {\"production\"} do = {\"desk\"} }\n" REST, LIST, 0,
	    "" },
	{ "the accounts file is missing", CHECK REST, NULL, 1, "accounts: No such file or directory" },
	{ "an environment of no account", CHECK "rule \"live\" { environments = {\"prod\"} do = {\"desk\"} }\n" REST,
	    LIST, 1, "rule \"live\" is never reached: no account of" },
	{ "its start is one", CHECK "rule \"live\" { environments = {\"prod*\"} do = {\"desk\"} }\n" REST, LIST, 0,
	    "" },
	{ "an environment of none of its accounts",
	    CHECK "rule \"live\" { environments = {\"test\"} accounts = {\"2*\"} do = {\"desk\"} }\n" REST, LIST, 1,
	    "rule \"live\" is never reached: no account of" },
	{ "behind a rule of the same environment",
	    CHECK "rule \"one\" { environments = {\"production\"} do = {\"desk\"} }\n"
		  "rule \"two\" { environments = {\"production\"} do = {\"desk\"} }\n" REST,
	    LIST, 1, "rule \"two\" is never reached: rule \"one\" takes all" },
	{ "behind a rule of another environment",
	    CHECK "rule \"one\" { environments = {\"test\"} do = {\"desk\"} }\n"
		  "rule \"two\" { environments = {\"production\"} do = {\"desk\"} }\n" REST,
	    LIST, 0, "" },
	{ "behind a rule of the same environment for other kinds",
	    CHECK "rule \"one\" { kinds = {\"aws.acm.*\"} environments = {\"production\"} do = {\"desk\"} }\n"
		  "rule \"two\" { environments = {\"production\"} do = {\"desk\"} }\n" REST,
	    LIST, 0, "" },
	{ "a rule of all environments behind one of some",
	    CHECK "rule \"one\" { environments = {\"production\"} do = {\"desk\"} }\n" REST, LIST, 0, "" },
	{ "an account that a rule of its environment takes",
	    CHECK "rule \"one\" { environments = {\"test\"} do = {\"desk\"} }\n"
		  "rule \"two\" { accounts = {\"333333333333\"} do = {\"desk\"} }\n" REST,
	    LIST, 1, "rule \"two\" is never reached: rule \"one\" takes all" },
	{ "two accounts, of which a rule takes one",
	    CHECK "rule \"one\" { environments = {\"test\"} do = {\"desk\"} }\n"
		  "rule \"two\" { accounts = {\"333333333333\", \"444444444444\"} do = {\"desk\"} }\n" REST,
	    LIST, 0, "" },
	{ "the accounts of an environment, one by one",
	    CHECK "rule \"one\" { accounts = {\"111111111111\"} do = {\"desk\"} }\n"
		  "rule \"two\" { accounts = {\"222222222222\"} do = {\"desk\"} }\n"
		  "rule \"live\" { environments = {\"production\"} do = {\"desk\"} }\n" REST,
	    LIST, 1, "rule \"live\" is never reached: rules before it take each account" },
	{ "kinds only for accounts of an environment",
	    CHECK "rule \"live\" { environments = {\"production\"} do = {\"desk\"} }\n", LIST, 1,
	    "kind unrecognised: no rule takes it for accounts that no rule names" },
};

static void
check_looks_at_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rule_rows) / sizeof(rule_rows[0]); i++) {
		struct room r;

		stage(&r, rule_rows[i].conf);
		if (rule_rows[i].accounts != NULL)
			room_script(&r, "accounts", rule_rows[i].accounts);
		const int code = run(&r, "check", NULL);
		if (code != rule_rows[i].code || !printed(&r, "err", rule_rows[i].part) ||
		    (code == 0 && printed(&r, "err", "mailhook"))) {
			char text[4096];
			room_read(&r, "err", text, sizeof(text));
			fail_msg("%s: exit code %d, %s", rule_rows[i].name, code, text);
		}
		room_close(&r);
	}
}

/* An effect for anybody's account is worth a word, and no failure: somebody may mean it. */
static void
check_tells_of_effects_for_anybody(void **state)
{
#define TURN CHECK "action \"turn\" { program = \"@/desk\" }\n"
	static const struct {
		const char *name, *conf, *part; /* on stdout; NULL: neither of the two words */
	} effects[] = {
		{ "an effect, and all accounts", TURN "rule \"all\" { do = {\"desk\", \"turn\"} }\n",
		    "rule all: takes every account, and action turn changes something" },
		{ "all by a star", TURN "rule \"all\" { accounts = {\"*\"} do = {\"turn\"} }\n",
		    "rule all: takes every account, and action turn" },
		{ "one kind", TURN "rule \"acm\" { kinds = {\"aws.acm.*\"} do = {\"turn\"} }\n" REST,
		    "rule acm: takes every account" },
		{ "its accounts", TURN "rule \"one\" { accounts = {\"111111111111\"} do = {\"turn\"} }\n" REST, NULL },
		{ "its environments", TURN "rule \"live\" { environments = {\"production\"} do = {\"turn\"} }\n" REST,
		    NULL },
		{ "a kind that AWS sends no mail about",
		    TURN "rule \"own\" { kinds = {\"github.token\"} do = {\"turn\"} }\n" REST, NULL },
		{ "no effect", CHECK REST, NULL },
		{ "an escalation", TURN "escalate \"late\" { after = 1d do = {\"turn\"} }\n" REST,
		    "escalate late: takes every account, and action turn" },
		{ "an escalation of a rule",
		    TURN "escalate \"late\" { after = 1d rules = {\"rest\"} do = {\"turn\"} }\n" REST, NULL },
		{ "an effect that needs no proof",
		    CHECK "action \"turn\" { program = \"@/desk\" needs = \"unverified\" }\n"
			  "rule \"one\" { accounts = {\"111111111111\"} do = {\"turn\"} }\n" REST,
		    "action turn: needs no proof" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
		struct room r;

		stage(&r, effects[i].conf);
		room_script(&r, "accounts", LIST);
		if (run(&r, "check", NULL) != 0)
			fail_msg("%s: it fails", effects[i].name);
		if (effects[i].part != NULL && !printed(&r, "out", effects[i].part))
			fail_msg("%s: it does not say so", effects[i].name);
		if (effects[i].part == NULL &&
		    (printed(&r, "out", "takes every account") || printed(&r, "out", "needs no proof")))
			fail_msg("%s: it warns", effects[i].name);
		room_close(&r);
	}
}

/* What an action tells when it is checked is shown, and kept for its case where there is a ledger. */
static void
check_hears_of_credentials(void **state)
{
	struct room r;

	(void)state;
	stage(&r, CONF);
	room_script(&r, "desk",
	    "IFS= read -r q\necho '{\"credential\":{\"name\":\"API token\",\"expires\":\"2025-11-20\"}}'\n"
	    "echo '{\"credential\":{\"name\":\"key\",\"expires\":null}}'\necho "
	    "'{\"outcome\":\"done\",\"summary\":\"x\"}'\n");
	(void)run(&r, "check", NULL);
	assert_true(printed(&r, "out", "action desk: credential \"API token\" ends at 2025-11-20T23:59:59Z"));
	assert_true(printed(&r, "out", "action desk: credential \"key\" has no end"));
	assert_int_equal(room_count(&r, "SELECT count(*) FROM credentials"), 2);
	assert_int_equal(run(&r, "run", "--once"), 0);
	assert_string_equal(room_text(&r, "SELECT resource || ' ' || expires || ' ' || precision FROM cases"),
	    "desk: API token 2025-11-20T23:59:59Z day");
	room_close(&r);
}

/* A copy in which a new token is sealed is worth nothing without its key. */
static void
backup_names_the_sealing_key(void **state)
{
	struct room r;
	char copy[128];

	(void)state;
	stage(&r, CONF "action \"entra\" { program = \"rotate\" }\nrule \"late\" { order = 90 do = {\"entra\"} }\n");
	(void)snprintf(copy, sizeof(copy), "%s/copy", r.dir);
	if (engines_server()) {
		assert_int_equal(run(&r, "backup", copy), 2);
		assert_true(printed(&r, "err", "pg_dump"));
		room_close(&r);
		return;
	}
	assert_int_equal(run(&r, "backup", copy), 0);
	assert_true(printed(&r, "out", "sealing key      the key_file of "));
	assert_true(printed(&r, "out", "/actions/entra.conf: without it"));
	room_close(&r);
	stage(&r, CONF);
	(void)snprintf(copy, sizeof(copy), "%s/copy", r.dir);
	assert_int_equal(run(&r, "backup", copy), 0);
	assert_true(printed(&r, "out", "to go on from it you need as well:"));
	assert_false(printed(&r, "out", "sealing key"));
	room_close(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(commands_answer),
		cmocka_unit_test(check_looks_at_rules),
		cmocka_unit_test(check_tells_of_effects_for_anybody),
		cmocka_unit_test(check_hears_of_credentials),
		cmocka_unit_test(backup_names_the_sealing_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
