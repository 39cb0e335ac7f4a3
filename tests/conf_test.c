/* conf_test.c: what a configuration means, and the scan for its state_dir. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mailhook/conf_parts.h"
#include "tests/conf_box.h"

/* -- meaning ------------------------------------------------------------------------------------------------------ */

static struct conf *
loaded(const struct box *b, const char *text)
{
	struct heard h = { .dir = b->dir };
	struct mh_err err = { 0 };
	struct conf *c;

	write_file(b->file, text, strlen(text));
	if (conf_load(b->file, hear, &h, &c, &err) != MH_OK)
		fail_msg("%s: %s", err.text, h.text);
	return c;
}

static void
test_values(void **state)
{
	struct box b;
	char path[256];

	(void)state;
	box_open(&b);
	struct conf *c = loaded(&b,
	    "state_dir = \"/s\"\nobserve = on\nmax_running = 8\nflood_unlisted = 0 flood_listed = 1 flood_account = 2 "
	    "flood_unread = 3\nquarantine_messages = 10\n"
	    "quarantine_bytes = 1M\nthresholds = {7, 30, 100}\n"
	    "trust { authserv_id = {\"mx.example.com\", \"mx2.example.com\"} hops = 2 }\n"
	    "mailbox \"ops\" { url = \"imaps://imap.example.com/INBOX\" user = \"ops\" done = \"a b\" prefer = "
	    "\"mail-1.example\" }\n"
	    "action \"jira\" { program = \"ticket\" pass_env = {\"LANG\"} deadline = 2m give_up = 1d }\n"
	    "action \"entra\" { program = \"rotate\" after = {\"jira\"} }\n"
	    "action \"tell\" { program = \"/usr/bin/tell\" role = \"reply\" mail = raw }\n"
	    "action \"go\" { program = \"trigger\" needs = relayed }\n"
	    "rule \"rest\" { order = 100 do = {\"jira\"} }\n"
	    "rule \"scim\" { kinds = {\"aws.identity-center.*\"} accounts = {\"1234*\"} do = {\"jira\", \"entra\", "
	    "\"tell\"} }\n"
	    "rule \"odd\" { kinds = {\"unrecognised\"} do = {\"tell\"} }\n");

	assert_string_equal(c->file, b.file);
	assert_string_equal(c->intake_dir, "/s/intake");
	assert_string_equal(c->ledger, "sqlite:/s/ledger.db");
	assert_string_equal(c->ledger_path, "/s/ledger.db");
	(void)snprintf(path, sizeof(path), "%s/definitions", b.dir);
	assert_string_equal(c->definitions_dir, path);
	assert_null(c->accounts_file);
	assert_true(c->observe);
	assert_false(c->embedded);
	assert_int_equal(c->max_running, 8);
	assert_int_equal(c->flood_unlisted, 0);
	assert_int_equal(c->flood_listed, 1);
	assert_int_equal(c->flood_account, 2);
	assert_int_equal(c->flood_unread, 3);
	assert_int_equal(c->quarantine_messages, 10);
	assert_int_equal(c->quarantine_bytes, 1 << 20);
	assert_int_equal(c->thresholds.n, 3);
	assert_string_equal(c->thresholds.items[0], "100");
	assert_string_equal(c->thresholds.items[2], "7");
	assert_int_equal(c->trust.hops, 2);
	assert_int_equal(c->trust.authserv_id.n, 2);
	assert_string_equal(c->trust.authserv_id.items[1], "mx2.example.com");
	assert_int_equal(c->n_mailboxes, 1);
	assert_string_equal(c->mailboxes[0].done, "a b");
	assert_int_equal(c->mailboxes[0].poll_s, 60);
	assert_int_equal(c->mailboxes[0].idle_s, 540);
	assert_int_equal(c->mailboxes[0].max_message_bytes, 64 << 20);
	assert_string_equal(c->mailboxes[0].prefer, "mail-1.example");
	assert_false(c->mailboxes[0].mark_seen || c->mailboxes[0].allow_plain || c->mailboxes[0].all_bodies);
	assert_null(c->mailboxes[0].review);

	const struct conf_action *a = conf_action(c, "jira");
	assert_non_null(a);
	assert_int_equal(a->role, ROLE_TICKET);
	assert_int_equal(a->needs, TRUST_UNVERIFIED);
	assert_int_equal(a->deadline_s, 120);
	assert_int_equal(a->give_up_s, 86400);
	assert_string_equal(a->pass_env.items[0], "LANG");
	assert_int_equal(a->line, 10);
	(void)snprintf(path, sizeof(path), "%s/actions/jira.conf", b.dir);
	assert_string_equal(a->config, path);
	a = conf_action(c, "entra");
	assert_int_equal(a->role, ROLE_EFFECT);
	assert_int_equal(a->needs, TRUST_VERIFIED);
	assert_int_equal(a->deadline_s, 60);
	assert_int_equal(a->give_up_s, 3 * 86400);
	assert_false(a->mail_raw);
	a = conf_action(c, "tell");
	assert_int_equal(a->role, ROLE_REPLY);
	assert_int_equal(a->needs, TRUST_UNVERIFIED);
	assert_true(a->mail_raw);
	assert_int_equal(conf_action(c, "go")->needs, TRUST_RELAYED);
	assert_null(conf_action(c, "other"));

	assert_int_equal(c->n_rules, 3);
	assert_string_equal(c->rules[0].name, "scim");
	assert_string_equal(c->rules[1].name, "odd");
	assert_string_equal(c->rules[2].name, "rest");
	conf_free(c);
	box_close(&b);
}

static void
test_time_values(void **state)
{
	struct box b;

	(void)state;
	box_open(&b);
	struct conf *c = loaded(&b,
	    "thresholds = {7, 30}\naction \"page\" { program = \"/p\" }\n"
	    "rule \"slow\" { kinds = {\"a.b\"} do = {\"page\"} expect = \"100d\" }\n"
	    "rule \"once\" { kinds = {\"a.c\"} do = {\"page\"} expect = never }\n"
	    "rule \"rest\" { do = {\"page\"} }\n"
	    "escalate \"boss\" { after = 3d rules = {\"slow\"} do = {\"page\"} }\n"
	    "escalate \"board\" { before = 36h do = {\"page\"} }\n"
	    "credential \"jira token\" { expires = \"2027-01-31\" remind = {5, 90} renew = \"at example.com\" }\n"
	    "credential \"exact\" { expires = \"2027-01-31T10:00:00Z\" }\n"
	    "credential \"tls\" { certificate_file = \"/etc/c.pem\" }\n");
	const struct conf_escalate *e = c->escalations;
	const struct conf_credential *k = c->credentials;

	assert_int_equal(c->n_escalations, 2);
	assert_string_equal(e[0].name, "boss");
	assert_true(e[0].after_s == 3 * 86400 && e[0].before_s == -1);
	assert_true(e[0].rules.n == 1 && e[0].actions.n == 1 && e[0].kinds.n == 0);
	assert_true(e[1].after_s == -1 && e[1].before_s == 36 * 3600);

	assert_int_equal(c->n_credentials, 3);
	assert_string_equal(k[0].name, "jira token");
	assert_string_equal(k[0].renew, "at example.com");
	assert_true(k[0].has_expires && k[0].day);
	assert_int_equal(k[0].expires, time_of_civil(2027, 1, 31, 23, 59, 59));
	assert_true(k[0].thresholds.n == 2 && strcmp(k[0].thresholds.items[0], "90") == 0);
	assert_true(!k[1].day && k[1].expires == time_of_civil(2027, 1, 31, 10, 0, 0));
	assert_true(k[1].thresholds.n == 2 && strcmp(k[1].thresholds.items[0], "30") == 0);
	assert_false(k[2].has_expires);
	assert_string_equal(k[2].certificate_file, "/etc/c.pem");
	assert_ptr_equal(conf_credential(c, "tls"), &k[2]);
	assert_null(conf_credential(c, "none"));

	static const struct {
		const char *name, *rule, *kind;
		int days;
	} expect[] = {
		{ "the rule says when", "slow", "aws.identity-center.scim-token", 100 },
		{ "the rule says never", "once", "aws.identity-center.scim-token", 0 },
		{ "a SCIM token's cycle is known", "rest", "aws.identity-center.scim-token", 289 },
		{ "a rule that is gone", "gone", "aws.identity-center.scim-token", 289 },
		{ "no rule", NULL, "aws.identity-center.scim-token", 289 },
		{ "no other kind has a known cycle", "rest", "aws.acm.certificate", 0 },
	};
	for (size_t i = 0; i < sizeof(expect) / sizeof(expect[0]); i++)
		if (conf_expect_s(c, expect[i].rule, expect[i].kind) != expect[i].days * 86400)
			fail_msg("%s", expect[i].name);
	conf_free(c);
	box_close(&b);
}

static void
test_rule_for(void **state)
{
	static const struct {
		const char *name, *kind, *account, *environment, *rule;
	} cases[] = {
		{ "kind and account", "aws.acm.certificate", "123456789012", NULL, "one" },
		{ "another account", "aws.acm.certificate", "999999999999", NULL, "family" },
		{ "an unknown account is no listed one", "aws.acm.certificate", NULL, NULL, "family" },
		{ "the family's own name without its dot", "aws", NULL, NULL, "any" },
		{ "a kind of another family", "github.token", "x", NULL, "any" },
		{ "a star takes an account's rest", "gitlab.token", "group/project", NULL, "group" },
		{ "unrecognised", "unrecognised", NULL, NULL, "odd" },
		{ "an environment", "aws.acm.certificate", "999999999999", "production", "live" },
		{ "an environment by its start", "aws.acm.certificate", "999999999999", "prod-eu", "live" },
		{ "another environment", "aws.acm.certificate", "999999999999", "test", "family" },
		{ "an environment is spelled as it is", "aws.acm.certificate", "999999999999", "Production", "family" },
		{ "an environment, but another kind", "github.token", "x", "production", "any" },
		{ "an earlier rule that asks for none", "aws.acm.certificate", "123456789012", "production", "one" },
	};
	struct box b;

	(void)state;
	box_open(&b);
	struct conf *c = loaded(&b,
	    T "accounts_file = \"/a.csv\"\nrule \"any\" { order = 90 do = {\"t\"} }\n"
	      "rule \"live\" { order = 40 kinds = {\"aws.*\"} environments = {\"production\", \"prod-*\"} do = {\"t\"} "
	      "}\n"
	      "rule \"family\" { kinds = {\"aws.*\"} do = {\"t\"} }\n"
	      "rule \"one\" { order = 1 kinds = {\"x\", \"aws.acm.certificate\"} accounts = {\"1\", \"123456789012\"} "
	      "do = {\"t\"} }\n"
	      "rule \"group\" { accounts = {\"group/*\"} do = {\"t\"} }\n"
	      "rule \"odd\" { kinds = {\"unrecognised\"} do = {\"t\"} }\n");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct conf_rule *r =
		    conf_rule_for(c, span_of(cases[i].kind), span_of(cases[i].account), span_of(cases[i].environment));
		if (r == NULL || strcmp(r->name, cases[i].rule) != 0)
			fail_msg(
			    "%s: rule %s instead of %s", cases[i].name, r == NULL ? "none" : r->name, cases[i].rule);
	}
	conf_free(c);
	c = loaded(&b, T "rule \"family\" { kinds = {\"aws.*\"} do = {\"t\"} }\n");
	assert_null(conf_rule_for(c, MH_LIT("github.token"), MH_NONE, MH_NONE));
	conf_free(c);
	box_close(&b);
}

static void
test_embedded(void **state)
{
	struct box b;

	(void)state;
	box_open(&b);
	struct conf *c = loaded(&b, "state_dir = \"/s\"\n");
	assert_true(c->embedded);
	assert_int_equal(c->n_actions, 2);
	assert_string_equal(c->actions[0].program, "ticket");
	assert_int_equal(c->actions[1].role, ROLE_REPLY);
	assert_int_equal(c->n_rules, 1);
	assert_string_equal(c->rules[0].name, "default");
	assert_int_equal(c->rules[0].actions.n, 2);
	assert_string_equal(c->rules[0].actions.items[0], "ticket");
	assert_string_equal(c->rules[0].actions.items[1], "reply");
	assert_int_equal(c->thresholds.n, 6);
	assert_string_equal(c->thresholds.items[0], "60");
	assert_int_equal(c->trust.hops, 1);
	assert_int_equal(c->max_running, 4);
	assert_int_equal(c->flood_unlisted, 5);
	assert_int_equal(c->flood_listed, 100);
	assert_int_equal(c->flood_account, 20);
	assert_int_equal(c->flood_unread, 20);
	assert_int_equal(c->quarantine_messages, 200);
	assert_int_equal(c->quarantine_bytes, 64 << 20);
	assert_non_null(conf_rule_for(c, MH_LIT("aws.acm.certificate"), MH_NONE, MH_NONE));
	conf_free(c);
	box_close(&b);
}

static void
test_drop_ins(void **state)
{
	struct box b;

	(void)state;
	box_open(&b);
	box_drop_in(&b, "20.conf", "trust { hops = 4 }\nthresholds = {2}\nmax_running = 20\n");
	box_drop_in(&b, "10.conf", T "max_running = 10\ntrust { hops = 3 arc_sealers = {\"google.com\"} }\n");
	box_drop_in(&b, ".30.conf", "max_running = 30\n");
	box_drop_in(&b, "40.conf~", "max_running = 40\n");
	struct conf *c = loaded(&b, R "max_running = 1\nthresholds = {9, 8}\n");
	assert_int_equal(c->max_running, 20);
	assert_int_equal(c->trust.hops, 4);
	assert_int_equal(c->trust.arc_sealers.n, 1);
	assert_int_equal(c->thresholds.n, 1);
	assert_int_equal(c->n_actions, 1);
	assert_string_equal(c->rules[0].actions.items[0], "t");
	conf_free(c);
	box_close(&b);
}

static void
test_unreadable(void **state)
{
	struct box b;
	struct heard h = { .dir = b.dir };
	struct mh_err err;
	struct conf untouched = { 0 }, *c = &untouched;
	const size_t far = MH_MAX_CONF_BYTES + 1;

	(void)state;
	box_open(&b);
	assert_int_equal(conf_load(b.file, hear, &h, &c, &err), MH_RETRY); /* a path that was named must exist */
	assert_null(c);
	assert_int_equal(conf_load(b.dir, hear, &h, &c, &err), MH_RETRY); /* a folder */
	assert_null(c);
	assert_int_equal(mkfifo(b.file, 0600), 0); /* must not hold up a mail */
	assert_int_equal(conf_load(b.file, hear, &h, &c, &err), MH_RETRY);
	assert_null(c);
	assert_int_equal(unlink(b.file), 0);

	char *text = malloc(far);
	assert_non_null(text);
	memset(text, '\n', far);
	write_file(b.file, text, far);
	assert_int_equal(conf_load(b.file, hear, &h, &c, &err), MH_RETRY);
	assert_null(c);
	write_file(b.file, text, far - 1);
	assert_int_equal(conf_load(b.file, hear, &h, &c, &err), MH_OK);
	conf_free(c);
	write_file(b.file, "state_dir = \"/s\"\n\0", 18);
	assert_int_equal(conf_load(b.file, hear, &h, &c, &err), MH_BAD);
	assert_string_equal(h.text, M "2: NUL byte");
	assert_string_equal(c->state_dir, "/s");
	conf_free(c);
	free(text);
	box_close(&b);
}

static void
test_relative_path(void **state)
{
	struct box b;
	struct heard h = { .dir = "." };
	struct mh_err err;
	struct conf *c;
	char before[256], path[256];

	(void)state;
	box_open(&b);
	write_file(b.file, "state_dir = \"/s\"\n", 16);
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir("/tmp"), 0);
	assert_int_equal(conf_load(b.file + sizeof("/tmp/") - 1, hear, &h, &c, &err), MH_OK);
	(void)snprintf(path, sizeof(path), "%s/definitions", b.dir);
	assert_string_equal(c->definitions_dir, path);
	(void)snprintf(path, sizeof(path), "%s/actions/reply.conf", b.dir);
	assert_string_equal(conf_action(c, "reply")->config, path);
	conf_free(c);

	assert_int_equal(chdir(b.dir), 0);
	assert_int_equal(conf_load("mailhook.conf", hear, &h, &c, &err), MH_OK);
	assert_string_equal(conf_action(c, "reply")->config, path);
	conf_free(c);
	assert_int_equal(chdir(before), 0);
	box_close(&b);
}

/* -- the line scan ------------------------------------------------------------------------------------------------ */

static void
test_scan(void **state)
{
	static const struct {
		const char *name, *text, *dir;
	} cases[] = {
		{ "plain", "state_dir=/s\n", "/s" },
		{ "double quotes", "  state_dir = \"/a b\" # c\n", "/a b" },
		{ "single quotes, CRLF", "x\r\nstate_dir = '/s'\r\ny", "/s" },
		{ "the last one counts", "state_dir = /a\nstate_dir = /b\n", "/b" },
		{ "a comment behind it", "state_dir = /s# c\n", "/s" },
		{ "no value", "state_dir =\n", NULL },
		{ "a comment", "# state_dir = /s\n", NULL },
		{ "another option", "state_dirs = /s\n", NULL },
		{ "a relative path", "state_dir = s\n", NULL },
		{ "an open quote", "state_dir = \"/s\n", NULL },
		{ "a variable", "state_dir = \"/s/$X\"\n", NULL },
		{ "an escape", "state_dir = \"/s\\x41\"\n", NULL },
		{ "empty", "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arena a;

		arena_init(&a, 1 << 20);
		const char *dir = conf_scan_text(span_of(cases[i].text), &a);
		if ((dir == NULL) != (cases[i].dir == NULL) || (dir != NULL && strcmp(dir, cases[i].dir) != 0))
			fail_msg("%s: \"%s\"", cases[i].name, dir == NULL ? "none" : dir);
		arena_release(&a);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_time_values),
		cmocka_unit_test(test_rule_for),
		cmocka_unit_test(test_embedded),
		cmocka_unit_test(test_drop_ins),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_relative_path),
		cmocka_unit_test(test_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
