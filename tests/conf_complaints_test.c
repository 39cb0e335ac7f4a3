/* conf_complaints_test.c: snippets of configuration against the exact complaints that they must bring. */
#include <stdio.h>
#include <string.h>

#include "tests/conf_box.h"

#define UNKNOWN ": mailhook.conf(5) has all; what stands behind it was not read"

#define D "mailhook.conf.d/10.conf:"

struct row {
	const char *name, *text, *drop_in; /* drop_in: 10.conf, or NULL */
	const char *complaints;            /* "": none, MH_OK */
	const char *state_dir;             /* NULL: none can be known */
};

static const struct row rows[] = {
	{ "an empty file is right", "", NULL, "", "/var/lib/mailhook" },
	{ "only state_dir", "state_dir = \"/s\"\n", NULL, "", "/s" },
	{ "everything of the manual's example",
	    "# a comment\nstate_dir = \"/s\" // and another\naccounts_file = \"/etc/mailhook/accounts.csv\"\n"
	    "ledger = \"sqlite:/s/ledger.db\"\nnode = \"mail-1\"\ndefinitions_dir = /d\nobserve = yes\nmax_running = "
	    "8\nflood_unlisted = "
	    "0\n"
	    "quarantine_messages = 10\nquarantine_bytes = 1M\nthresholds = {7, 30 /* days */, 1}\n"
	    "trust { authserv_id = {\"mx.example.com\"} hops = 2 arc_sealers = {\"google.com\"}\n"
	    "forwarders = {example.com} sns_topics = {\"arn:aws:sns:eu-west-1:123456789012:expiry\"}\n"
	    "resolver = \"127.0.0.53:53\" authres_stripped = true }\n"
	    "mailbox \"ops\" { url = \"imaps://imap.example.com/INBOX\" user = \"ops\" password_file = \"/etc/p\"\n"
	    "done = \"mailhook/done\" review = \"mailhook/review\" irrelevant = \"rest\" }\n"
	    "action \"jira\" { program = \"ticket\" pass_env = {\"LANG\"} deadline = 2m give_up = 1d }\n"
	    "action \"entra\" { program = \"rotate\" after = {\"jira\"} needs = verified mail = raw role = effect }\n"
	    "action \"tell\" { program = \"/usr/bin/tell\" role = \"reply\" }\n"
	    "rule \"scim\" { kinds = {\"aws.identity-center.*\"} accounts = {\"123456789012\"}\n"
	    "do = {\"jira\", \"entra\", \"tell\"} order = 10 }\n",
	    NULL, "", "/s" },
	{ "every wrong value in one go",
	    "state_dir = \"/s\"\nmax_running = 0\n\n# note\nobserve = maybe\nflood_unlisted = -1\nthresholds = {7,\n  "
	    "x, 7}\n"
	    "quarantine_bytes = 4T\nledger = \"mysql://x\"\naccounts_file = \"a.csv\"\ndefinitions_dir = \"\"\n"
	    "quarantine_messages = 1.5\n",
	    NULL,
	    M "2: max_running must be a whole number from 1 to 64, not \"0\"\n" M
	      "5: observe must be true or false, not \"maybe\"\n" M
	      "6: flood_unlisted must be a whole number from 0 to 1000000, not \"-1\"\n" M
	      "8: thresholds must be a number of days from 1 to 3650, not \"x\"\n" M "8: thresholds has \"7\" twice\n" M
	      "9: quarantine_bytes must be a number of bytes, or with k, M or G behind it, not \"4T\"\n" M
	      "10: ledger must be sqlite:/PATH, or postgresql://... without a password\n" M
	      "11: accounts_file must be an absolute path, not \"a.csv\"\n" M
	      "12: definitions_dir must be an absolute path, not \"\"\n" M
	      "13: quarantine_messages must be a whole number from 0 to 1000000, not \"1.5\"",
	    "/s" },
	{ "a ledger on a server",
	    "ledger = \"postgresql://mailhook@db.example.com:5432,db2.example.com/mailhook?sslmode=verify-full\"\n"
	    "ledger_password_file = \"/etc/mailhook/secrets/ledger\"\n",
	    NULL, "", "/var/lib/mailhook" },
	{ "a ledger's password in the URL", "ledger = \"postgresql://mailhook:s3cret@db.example.com/mailhook\"\n", NULL,
	    M "1: ledger must be sqlite:/PATH, or postgresql://... without a password", "/var/lib/mailhook" },
	{ "a ledger's password in the query", "ledger = \"postgresql://db.example.com/m?sslmode=require&password=s\"\n",
	    NULL, M "1: ledger must be sqlite:/PATH, or postgresql://... without a password", "/var/lib/mailhook" },
	{ "a ledger's password by a name that is written otherwise",
	    "ledger = \"postgresql://db.example.com/m?p%61ssword=s\"\n", NULL,
	    M "1: ledger must be sqlite:/PATH, or postgresql://... without a password", "/var/lib/mailhook" },
	{ "the password of a client's key", "ledger = \"postgresql://db.example.com/m?sslpassword=s\"\n", NULL,
	    M "1: ledger must be sqlite:/PATH, or postgresql://... without a password", "/var/lib/mailhook" },
	{ "a ledger's password twice",
	    "ledger = \"postgresql://db.example.com/m\"\nledger_password_file = \"/p\"\n"
	    "ledger_password_command = \"/bin/p x\"\n",
	    NULL, M "3: ledger_password_file and ledger_password_command are both set", "/var/lib/mailhook" },
	{ "a node's name that cannot stand in an owner's", "node = \"mail/1\"\n", NULL,
	    M "1: node must be 1 to 64 letters, digits or any of .-_@, not \"mail/1\"", "/var/lib/mailhook" },
	{ "wrong values of trust",
	    "trust {\n authserv_id = {\"a b\"}\n hops = 0\n resolver = \"localhost\"\n sns_topics = {\"expiry\"}\n"
	    "authres_stripped = 1\n}\n",
	    NULL,
	    M "2: authserv_id must be a domain name, not \"a b\"\n" M
	      "3: hops must be a whole number from 1 to 50, not \"0\"\n" M
	      "4: resolver must be an IP address, or one with :PORT behind it, not \"localhost\"\n" M
	      "5: sns_topics must be the ARN of an SNS topic, not \"expiry\"\n" M
	      "6: authres_stripped must be true or false, not \"1\"",
	    "/var/lib/mailhook" },
	{ "a resolver of each right form, the last is not",
	    "trust { resolver = \"[2001:db8::1]:53\" }\ntrust { resolver = \"2001:db8::1\" }\n"
	    "trust { resolver = \"192.0.2.1:99999\" }",
	    NULL, M "3: resolver must be an IP address, or one with :PORT behind it, not \"192.0.2.1:99999\"",
	    "/var/lib/mailhook" },
	{ "a mailbox without url and user",
	    "\nmailbox \"ops\" {\n password_file = \"/p\"\n password_command = \"/bin/x y\"\n}\n", NULL,
	    M "2: mailbox \"ops\" has no url\n" M "2: mailbox \"ops\" has no user\n" M
	      "4: mailbox \"ops\" has a password_file and a password_command",
	    "/var/lib/mailhook" },
	{ "wrong values of a mailbox",
	    "mailbox \"ops\" {\n url = \"imap://h/INBOX\"\n user = u\n auth = digest\n poll = 0\n idle = 29m\n"
	    " timeout = 2h\n rescan = 1h\n silent = 0\n bodies = some\n search = yes\n max_message = 65M\n"
	    " keyword = \"\\\\Seen\"\n mark_seen = 1\n ca_file = ca.pem\n token = t\n allow_plain = perhaps\n prefer = "
	    "\"a/b\"\n}\n",
	    NULL,
	    M "4: auth must be auto, login, plain, xoauth2 or oauthbearer, not \"digest\"\n" M
	      "5: poll must be a time from 1s to 1d, not \"0\"\n" M
	      "6: idle must be a time from 1s to 28m, not \"29m\"\n" M
	      "7: timeout must be a time from 1s to 1h, not \"2h\"\n" M
	      "8: rescan must be a time from 1d to 3650d, not \"1h\"\n" M
	      "9: silent must be a time from 1s to 3650d, not \"0\"\n" M
	      "10: bodies must be likely or all, not \"some\"\n" M "11: search must be auto or never, not \"yes\"\n" M
	      "12: max_message must be a size from 64k to 64M, not \"65M\"\n" M
	      "13: keyword must be a word of letters, digits or any of ._-$, not \"\\Seen\"\n" M
	      "14: mark_seen must be true or false, not \"1\"\n" M
	      "15: ca_file must be an absolute path, not \"ca.pem\"\n" M
	      "16: token must be an absolute path, not \"t\"\n" M
	      "17: allow_plain must be true or false, not \"perhaps\"\n" M
	      "18: prefer must be 1 to 64 letters, digits or any of .-_@, not \"a/b\"",
	    "/var/lib/mailhook" },
	{ "a password and a token",
	    "mailbox \"ops\" { url = \"imap://h/INBOX\" user = u password_file = \"/p\" token = \"/t\" }\n", NULL,
	    M "1: mailbox \"ops\" has a password and a token", "/var/lib/mailhook" },
	{ "a password in a url is not repeated",
	    "mailbox \"ops\" { user = u url = \"imaps://u:secret@imap.example.com/INBOX\" }\n", NULL,
	    M "1: url must be imaps://HOST/FOLDER without user or password", "/var/lib/mailhook" },
	{ "wrong words of an action",
	    "action \"t\" {\n program = \"../x\"\n needs = trusted\n role = tickets\n mail = yes\n deadline = 2h\n"
	    " give_up = 0\n pass_env = {\"A=b\"}\n after = {\"a b\"}\n}\n" R,
	    NULL,
	    M "2: program must be the name of a program, or an absolute path, not \"../x\"\n" M
	      "3: needs must be unverified, relayed or verified, not \"trusted\"\n" M
	      "4: role must be ticket, effect or reply, not \"tickets\"\n" M "5: mail must be raw, not \"yes\"\n" M
	      "6: deadline must be a time from 1s to 1h, not \"2h\"\n" M
	      "7: give_up must be a time from 1s to 365d, not \"0\"\n" M
	      "8: pass_env must be the name of an environment variable, not \"A=b\"\n" M
	      "9: after must be the name of an action, not \"a b\"",
	    "/var/lib/mailhook" },
	{ "an action without program, a rule without do", "action \"t\" { }\nrule \"r\" { }\n", NULL,
	    M "1: action \"t\" has no program\n" M "2: rule \"r\" has no do", "/var/lib/mailhook" },
	{ "names that are no names", "action \"../t\" { program = ticket }\naction \".x\" { program = ticket }\n", NULL,
	    M "1: the name of action \"../t\" must be 1 to 64 letters, digits or any of .-_@\n" M
	      "2: the name of action \".x\" must be 1 to 64 letters, digits or any of .-_@",
	    "/var/lib/mailhook" },
	{ "a rule that names unknown actions", T "rule \"r\" { do = {\n\"t\",\n\"x\",\n\"y\"} }\n", NULL,
	    M "4: rule \"r\" names an unknown action \"x\"\n" M "5: rule \"r\" names an unknown action \"y\"",
	    "/var/lib/mailhook" },
	{ "an after that names an unknown action", "action \"t\" { program = ticket\n after = {\"x\"} }\n" R, NULL,
	    M "2: action \"t\" names an unknown action \"x\"", "/var/lib/mailhook" },
	{ "an after that names a later action",
	    T "action \"e\" { program = rotate }\naction \"f\" { program = rotate after = {\"e\"} }\n"
	      "rule \"r\" {\n do = {\"t\", \"f\", \"e\"} }\n",
	    NULL, M "5: rule \"r\" does \"f\" before \"e\", after which it must come", "/var/lib/mailhook" },
	{ "a cycle",
	    T "action \"a\" { program = x after = {\"b\"} }\naction \"b\" { program = x after = {\"c\"} }\n"
	      "action \"c\" { program = x after = {\"a\"} }\n" R,
	    NULL, M "2: action \"a\" comes after itself by way of \"after\"", "/var/lib/mailhook" },
	{ "an action after itself", "action \"t\" { program = ticket after = {\"t\"} }\n" R, NULL,
	    M "1: action \"t\" comes after itself by way of \"after\"", "/var/lib/mailhook" },
	{ "a title twice in one file", T R "rule \"r\" { do = {\"t\"} }\n", NULL,
	    M "3: rule \"r\" stands already at ^/" M "2", "/var/lib/mailhook" },
	{ "a title twice across drop-ins", T R, "\n" T, D "2: action \"t\" stands already at ^/" M "1",
	    "/var/lib/mailhook" },
	{ "an action and a rule may share a name", T "rule \"t\" { do = {\"t\"} }\n", NULL, "", "/var/lib/mailhook" },
	{ "an option twice", "max_running = 2\n\nmax_running = 3\n", NULL, M "3: max_running was set already in line 1",
	    "/var/lib/mailhook" },
	{ "a list twice", "thresholds = {3}\nthresholds = {5}\n", NULL, M "2: thresholds was set already in line 1",
	    "/var/lib/mailhook" },
	{ "a list that grows", "thresholds = {3}\nthresholds += {5}\n", NULL, "", "/var/lib/mailhook" },
	{ "an unknown option ends the file", "state_dir = \"/s\"\nmax_running = 0\ncolour = red\nobserve = maybe\n",
	    NULL,
	    M "2: max_running must be a whole number from 1 to 64, not \"0\"\n" M "3: no such option 'colour'" UNKNOWN,
	    "/s" },
	{ "an unknown option of a block", "# c\n\naction \"t\" {\n  # c\n programme = ticket }\n", NULL,
	    M "5: no such option 'programme'" UNKNOWN, NULL },
	{ "a variable in double quotes", "state_dir = \"/s\"\n\nledger = \"sqlite:${HOME}/x\"\n", NULL,
	    M "3: \"${\" is refused: variables are not expanded here", "/s" },
	{ "a variable in a comment", "state_dir = \"/s\"\n# ${HOME}\n", NULL,
	    M "2: \"${\" is refused: variables are not expanded here", "/s" },
	{ "a variable in state_dir itself", "state_dir = \"${HOME}\"\n", NULL,
	    M "1: \"${\" is refused: variables are not expanded here", NULL },
	{ "a string without end", "state_dir = \"/s\"\naccounts_file = \"/a\nmax_running = 2\n", NULL,
	    M "2: a string starts here and has no end", "/s" },
	{ "a wrong value before a string without end", "max_running = 0\nledger = \"sqlite:/\nobserve = 2\n", NULL,
	    M "1: max_running must be a whole number from 1 to 64, not \"0\"\n" M
	      "2: a string starts here and has no end",
	    NULL },
	{ "a list without end", "state_dir = /s\nthresholds = {1,\n 2\nobserve = 1", NULL,
	    M "2: a \"{\" stands here and has no \"}\"", "/s" },
	{ "an earlier error before an open block", "a = 1\naction \"t\" {\n", NULL, M "1: no such option 'a'" UNKNOWN,
	    NULL },
	{ "an empty block with a title that stands already", T "action \"u\" { }\n\naction \"t\" { }\n" R, NULL,
	    M "4: action \"t\" stands already at ^/" M "1\n" M "2: action \"u\" has no program\n" M
	      "4: action \"t\" has no program",
	    "/var/lib/mailhook" },
	{ "a comment without end", "\n/* state_dir\n", NULL, M "2: a comment starts here and has no end", NULL },
	{ "an open block", "state_dir = '/s'\naction \"t\" {\n program = ticket\n", NULL,
	    M "2: a \"{\" stands here and has no \"}\"", "/s" },
	{ "a broken file still names its folder", "state_dir == \"/s\"\nstate_dir = \"/t\"\n", NULL,
	    M "1: unexpected token '='", "/t" },
	{ "a broken file without folder", "action { }\n", NULL, M "1: missing title for section 'action'", NULL },
	{ "a wrong state_dir", "state_dir = \"var\"\n", NULL, M "1: state_dir must be an absolute path, not \"var\"",
	    NULL },
	{ "Latin-1", "# \xe4\nstate_dir = \"/s\"\n", NULL, M "1: the file is not UTF-8", "/s" },
	{ "a drop-in overrides", "state_dir = \"/s\"\nmax_running = 2\n", "state_dir = \"/t\"\nmax_running = 3\n", "",
	    "/t" },
	{ "a broken drop-in", "state_dir = \"/s\"\n", "\nfoo\n", D "2: no such option 'foo'" UNKNOWN, "/s" },
	{ "what a cut file may have held is not complained of", R, "nonsense\n",
	    D "1: no such option 'nonsense'" UNKNOWN, NULL },
	{ "all that time can be told to do",
	    "action \"page\" { program = \"/usr/bin/page\" }\n"
	    "rule \"slow\" { kinds = {\"a.b\"} do = {\"page\"} expect = \"100d\" }\n"
	    "rule \"once\" { do = {\"page\"} expect = never }\n"
	    "escalate \"boss\" { after = 3d rules = {\"slow\"} kinds = {\"a.*\"} accounts = {\"1*\"} do = {\"page\"} "
	    "}\n"
	    "escalate \"board\" { before = 36h do = {\"page\"} }\n"
	    "credential \"jira token of ops\" { expires = \"2027-01-31\" remind = {30, 5} renew = \"at example.com\" "
	    "}\n"
	    "credential \"tls\" { certificate_file = \"/etc/c.pem\" }\n",
	    NULL, "", "/var/lib/mailhook" },
	{ "escalations by the built-in actions", "escalate \"boss\" { after = 3d do = {\"reply\"} }\n", NULL, "",
	    "/var/lib/mailhook" },
	{ "every wrong value of an escalation",
	    "escalate \"a\" { after = soon\n before = 0\n rules = {\"x y\"}\n kinds = {\"A\"}\n accounts = {\"*1\"}\n"
	    "do = {\"no such\"}\n}\n",
	    NULL,
	    M "1: after must be a time from 1s to 3650d, not \"soon\"\n" M
	      "2: before must be a time from 1s to 3650d, not \"0\"\n" M
	      "3: rules must be the name of a rule, not \"x y\"\n" M
	      "4: kinds must be a kind in lower case, or its start with * behind it, not \"A\"\n" M
	      "5: accounts must be an account, or its start with * behind it, not \"*1\"\n" M
	      "6: do must be the name of an action, not \"no such\"\n" M "1: escalate \"a\" has both after and before",
	    "/var/lib/mailhook" },
	{ "an escalation of nobody at no time",
	    "\nescalate \"a\" { }\nescalate \"a\" { after = 1d do = {\"ticket\"} }\n", NULL,
	    M "3: escalate \"a\" stands already at ^/" M "2\n" M "2: escalate \"a\" has no do\n" M
	      "2: escalate \"a\" has neither after nor before",
	    "/var/lib/mailhook" },
	{ "an escalation names what there is not",
	    "escalate \"a\" { after = 1d\n rules = {\"none\"}\n do = {\"ticket\", \"pager\"}\n}\n", NULL,
	    M "2: escalate \"a\" names an unknown rule \"none\"\n" M
	      "3: escalate \"a\" names an unknown action \"pager\"",
	    "/var/lib/mailhook" },
	{ "every wrong value of a credential",
	    "credential \"a\" { expires = \"2027-02-30\"\n certificate_file = \"c.pem\"\n remind = {0}\n renew = "
	    "\"\"\n}\n"
	    "credential \" b\" { expires = \"31.01.2027\" }\ncredential \"c\" { }\n",
	    NULL,
	    M "1: expires must be a date, or an instant in UTC with Z, not \"2027-02-30\"\n" M
	      "2: certificate_file must be an absolute path, not \"c.pem\"\n" M
	      "3: remind must be a number of days from 1 to 3650, not \"0\"\n" M
	      "4: renew must be one line of text, not \"\"\n" M
	      "6: the name of credential \" b\" must be 1 to 64 bytes of one line\n" M
	      "6: expires must be a date, or an instant in UTC with Z, not \"31.01.2027\"\n" M
	      "1: credential \"a\" has both expires and certificate_file\n" M
	      "7: credential \"c\" has neither expires nor certificate_file",
	    "/var/lib/mailhook" },
	{ "environments that nobody gives",
	    T "rule \"r\" { do = {\"t\"}\n environments = {\"*x\"}\n}\nrule \"s\" { do = {\"t\"} environments = "
	      "{\"a\"} }\n",
	    NULL,
	    M "3: environments must be an environment of the accounts file, with '*' only at its end, not \"*x\"\n" M
	      "2: rule \"r\" has environments, and there is no accounts_file that says which account has which\n" M
	      "5: rule \"s\" has environments, and there is no accounts_file that says which account has which",
	    "/var/lib/mailhook" },
	{ "a wrong expect", "\naction \"p\" { program = \"/p\" }\nrule \"s\" { do = {\"p\"}\nexpect = \"always\" }\n",
	    NULL, M "4: expect must be a time from 1s to 3650d, or never, not \"always\"", "/var/lib/mailhook" },
	{ "comments where libconfuse has none", "thresholds = { # one\n 3, // two\n /* three */ 5 # \"\n}\nuser = 1\n",
	    NULL, M "5: no such option 'user'" UNKNOWN, NULL },
	{ "no comment inside a word or a string",
	    "mailbox \"a\" { url = 'imaps://h/I#1' user = x//y }\naction \"t\" { program = '/a//b#c' }\n" R "x = 1\n",
	    NULL, M "4: no such option 'x'" UNKNOWN, NULL },
};

/* '^' in a complaint stands for the folder. */
static void
expected(const struct box *b, const struct row *r, char *dst, size_t n)
{
	const char *at = strchr(r->complaints, '^');

	if (at == NULL)
		(void)snprintf(dst, n, "%s", r->complaints);
	else
		(void)snprintf(dst, n, "%.*s%s%s", (int)(at - r->complaints), r->complaints, b->dir, at + 1);
}

static void
test_complaints(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *r = &rows[i];
		struct box b;
		struct heard h = { .dir = b.dir };
		struct mh_err err;
		struct conf *c;
		char want[4096] = "";

		box_open(&b);
		write_file(b.file, r->text, strlen(r->text));
		if (r->drop_in != NULL)
			box_drop_in(&b, "10.conf", r->drop_in);
		const enum mh_status s = conf_load(b.file, hear, &h, &c, &err);
		expected(&b, r, want, sizeof(want));
		const char *dir = c == NULL ? NULL : c->state_dir;
		if (strcmp(want, h.text) != 0 || (s == MH_OK) != (want[0] == '\0') || (s != MH_OK && s != MH_BAD) ||
		    (dir == NULL) != (r->state_dir == NULL) || (dir != NULL && strcmp(dir, r->state_dir) != 0))
			fail_msg("%s: status %d, state_dir %s, complaints\n%s\ninstead of\n%s", r->name, (int)s,
			    dir == NULL ? "none" : dir, h.text, want);
		if (c != NULL && s != MH_OK)
			assert_true(c->embedded); /* what was half understood is not acted by */
		conf_free(c);
		box_close(&b);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_complaints),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
