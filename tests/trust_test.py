#!/usr/bin/python3
"""How far a mail is believed, from its signature to the job that waited for it: a real name server, keys made here."""
import functools
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest
from datetime import datetime, timedelta, timezone

SOURCE, BUILD = os.environ["MAILHOOK_SOURCE"], os.environ["MAILHOOK_BUILD"]
sys.path.insert(0, os.path.join(SOURCE, "tests", "servers"))
import names  # noqa: E402

START = datetime(2025, 11, 6, 9, 0, tzinfo=timezone.utc)
TURN = """#!/usr/bin/python3
import json, sys
asked = json.loads(sys.stdin.readline())
if sys.argv[1] == "run":
    with open("@/turned", "a") as f:
        f.write(json.dumps({key: asked[key] for key in ("trust", "case", "message")}) + "\\n")
print(json.dumps({"outcome": "done", "summary": "turned"}))
"""
CONF = """state_dir = "@/state"
trust { resolver = "%s" arc_sealers = {"google.com"} %s }
action "jira" { program = "ticket" }
action "turn" { program = "@/turn" }
rule "all" { accounts = {"123456789012"} do = {"jira", "turn"} }
rule "rest" { order = 90 do = {"jira"} }
"""


def sample(name):
    with open(os.path.join(SOURCE, "samples", "notices", "scim", name + ".eml"), "rb") as f:
        return f.read()


def with_field(mail, name, value):
    """The mail with another value of one field."""
    return re.sub(rb"(?m)^" + name + rb":.*(\r?\n[ \t].*)*", name + b": " + value, mail, count=1)


KEYS = tempfile.TemporaryDirectory(prefix="mailhook-keys-")  # removed at the end of the process


@functools.cache
def key(name):
    return names.Key(KEYS.name, name)


def publish(server):
    """AWS's keys, and everybody else's."""
    for domain in ("aws.com", "amazon.com", "sns.amazonaws.com", "amazonses.com"):
        server.key(domain, "s1", key("aws").record)
    for domain in ("evil.example", "notamazon.com", "example.com"):
        server.key(domain, "s1", key("other").record)
    server.key("google.com", "arc", key("other").record)


class Room:
    """An installation, and a name server: its own, or one that others ask too."""

    def __init__(self, trust="", server=None, conf=CONF):
        self.dir = tempfile.mkdtemp(prefix="mailhook-trust-")
        self.key, self.other, self.shared = key("aws"), key("other"), server is not None
        self.names = server if self.shared else names.Names(self.dir)
        if not self.shared:
            publish(self.names)
        os.mkdir(self.dir + "/state")
        self.file("turn", TURN.replace("@", self.dir), 0o700)
        self.conf = self.file("mailhook.conf", (conf % (self.names.resolver, trust)).replace("@", self.dir))
        self.mailhook = BUILD + "/bin/mailhook"
        self.at(0)

    def with_verifier(self, script):
        """The programs as they are installed, with another verifier, or none."""
        os.mkdir(self.dir + "/bin")
        os.makedirs(self.dir + "/libexec/mailhook")
        for path in ("bin/mailhook", "libexec/mailhook/mailhook-work"):
            shutil.copy(os.path.join(BUILD, path), os.path.join(self.dir, path))
        os.symlink(BUILD + "/libexec/mailhook/actions", self.dir + "/libexec/mailhook/actions")
        if script is not None:
            self.file("libexec/mailhook/mailhook-verify", "#!/bin/sh\n" + script, 0o700)
        self.mailhook = self.dir + "/bin/mailhook"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.shared:
            self.names.stop()
        shutil.rmtree(self.dir)

    def file(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def at(self, minutes):
        self.file("clock.new", (START + timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ\n"))
        os.rename(self.dir + "/clock.new", self.dir + "/clock")

    def run(self, *args, stdin=b"", code=0):
        done = subprocess.run([self.mailhook, args[0], "--config", self.conf, *args[1:]], input=stdin,
                              capture_output=True, env={"MAILHOOK_CLOCK_FILE": self.dir + "/clock"}, timeout=120, check=False)
        assert done.returncode == code, (args, done)
        return done

    def take(self, mail):
        """Piped, and worked: pipe starts a worker of its own, and this one waits for its end."""
        self.run("pipe", stdin=mail)
        return self.run("run", "--once").stderr.decode()

    def verify(self, mail):
        lines = self.run("verify", stdin=mail).stdout.decode().splitlines()
        assert len(lines) == 1, lines
        return json.loads(lines[0])

    def rows(self, sql):
        db = sqlite3.connect("file:%s/state/ledger.db?mode=ro" % self.dir, uri=True)
        try:
            return db.execute(sql).fetchall()
        finally:
            db.close()

    def jobs(self):
        return dict(self.rows("SELECT action || ' ' || event, state || COALESCE(' ' || waiting_for, '') FROM jobs"))

    def lines(self, name):
        try:
            with open(os.path.join(self.dir, name), encoding="utf-8") as f:
                return f.read().splitlines()
        except FileNotFoundError:
            return []

    def turned(self):
        return [json.loads(line) for line in self.lines("turned")]

    def events(self, what):
        return [row[0] for row in self.rows("SELECT detail FROM events WHERE what = '%s' ORDER BY id" % what)]

    def mail(self, name="a-8bit"):
        return names.sign(sample(name), self.key, "amazon.com", "s1")


class Verdicts(unittest.TestCase):
    """The command, row by row."""

    def test_rows(self):
        with Room() as r:
            r.names.start()
            plain, good = sample("a-8bit"), r.mail()
            group = names.seal(sample("g-google-group"), r.other, "google.com", "arc", "mx.google.com",
                               "dkim=pass header.i=@amazon.com header.s=s1; spf=pass smtp.mailfrom=amazonses.com")
            stranger = names.seal(sample("g-google-group"), r.other, "evil.example", "s1", "mx.evil.example",
                                  "dkim=pass header.i=@amazon.com header.s=s1")
            for name, mail, level, by in (
                    ("unsigned", plain, "unverified", None),
                    ("signed by AWS", good, "verified", "dkim amazon.com s1"),
                    ("with LF alone", good.replace(b"\r\n", b"\n"), "verified", "dkim amazon.com s1"),
                    ("behind a From line", b"From x@example.com Thu Nov  6 02:11:12 2025\r\n" + good, "verified",
                     "dkim amazon.com s1"),
                    ("another body", good.replace(b"89 days", b"88 days"), "unverified", None),
                    ("another date", with_field(good, b"Date", b"Fri, 7 Nov 2025 02:11:12 +0000"), "unverified", None),
                    ("signed by a stranger", names.sign(plain, r.other, "evil.example", "s1"), "unverified", None),
                    ("a stranger's key in AWS's name", names.sign(plain, r.other, "amazon.com", "s1"), "unverified", None),
                    ("a selector that is not there", names.sign(plain, r.key, "amazon.com", "s2"), "unverified", None),
                    ("Content-Type not signed", names.sign(plain, r.key, "amazon.com", "s1", [b"From", b"Subject", b"Date"]),
                     "unverified", None),
                    ("a second From", b"From: no-reply-aws@amazon.com\r\n" + good, "unverified", None),
                    ("its own Authentication-Results",
                     b"Authentication-Results: mx.example.com; dkim=pass header.d=amazon.com\r\n" + plain, "unverified", None),
                    ("through a Google Group", group, "relayed", "arc google.com"),
                    ("a group's mail with another body", group.replace(b"89 days", b"88 days"), "unverified", None),
                    ("a sealer that is not configured", stranger, "unverified", None)):
                with self.subTest(name):
                    got = r.verify(mail)
                    self.assertEqual(list(got), ["source", "level", "temporary", "by", "steps"])
                    self.assertEqual((got["level"], got["by"], got["temporary"]), (level, by, False), got["steps"])
                    self.assertTrue(got["steps"], "no way to the verdict")

    def test_record_shapes(self):
        """What DNS may do with a key's record."""
        with Room() as r:
            text = r.key.record
            long = text + "; n=" + 700 * "x"  # does not fit in 512 bytes: TCP
            strings = " ".join('"%s"' % text[i:i + 40] for i in range(0, len(text), 40))
            r.names.start(**{
                "cut._domainkey.amazon.com": ["TXT " + " ".join('"%s"' % long[i:i + 200] for i in range(0, len(long), 200))],
                "strings._domainkey.amazon.com": ["TXT " + strings],
                "alias._domainkey.amazon.com": ["CNAME strings.keys.example."],
                "strings.keys.example": ["TXT " + strings],
                "two._domainkey.amazon.com": ["TXT " + strings, 'TXT "v=DKIM1; p="'],
                "revoked._domainkey.amazon.com": ['TXT "v=DKIM1; p="'],
                "empty._domainkey.amazon.com": ["A 192.0.2.1"]})
            for selector, level in (("cut", "verified"), ("strings", "verified"), ("alias", "verified"), ("two", "unverified"),
                                    ("revoked", "unverified"), ("empty", "unverified")):
                with self.subTest(selector):
                    got = r.verify(names.sign(sample("a-8bit"), r.key, "amazon.com", selector))
                    self.assertEqual((got["level"], got["temporary"]), (level, False), got["steps"])

    def test_no_server(self):
        with Room() as r:
            got = r.verify(r.mail())
            self.assertEqual((got["level"], got["temporary"], got["by"]), ("unverified", True, None), got)
            got = r.verify(sample("a-8bit"))
            self.assertEqual((got["level"], got["temporary"]), ("unverified", False), "an unsigned mail needs no DNS")

    def test_paths(self):
        with Room() as r:
            r.names.start()
            box = os.path.join(r.dir, "box")
            with open(box, "wb") as f:
                for mail in (r.mail(), sample("a-8bit")):
                    f.write(b"From x@example.com Thu Nov  6 02:11:12 2025\n" + mail.replace(b"\r\n", b"\n") + b"\n")
            lines = [json.loads(x) for x in r.run("verify", box).stdout.splitlines()]
            self.assertEqual([(x["source"], x["level"]) for x in lines], [(box + ":1", "verified"), (box + ":2", "unverified")])
            self.assertIn(b"nothing", r.run("verify", os.path.join(r.dir, "nothing"), code=1).stderr)
            self.run_usage(r)

    def run_usage(self, r):
        self.assertIn(b"no such option", r.run("verify", "--nonsense", code=2).stderr)


class Check(unittest.TestCase):
    def test_words(self):
        more = ('authserv_id = {"mx.example.com"} hops = 2 forwarders = {"example.com", "example.org"} '
                'sns_topics = {"arn:aws:sns:eu-west-1:123456789012:notices"}')
        rows = (("", ("keys are asked of 127.0.0.1:", "no Authentication-Results is believed", "an ARC chain of google.com alone",
                      "mail from Amazon SNS is unverified")),
                (more, ("the Authentication-Results of mx.example.com, where it stands above Received number 2 from the top\n",
                        "a forward that is signed by example.com or example.org\n", "arn:aws:sns:eu-west-1:123456789012:notices")))
        for trust, words in rows:
            with self.subTest(trust), Room(trust) as r:
                said = r.run("check").stdout.decode()
                for word in words:
                    self.assertIn(word, said)

    def test_open_intake(self):
        """Who may write into the intake may write a server's results too."""
        for trust, mode, said in (('authserv_id = {"mx.example.com"}', 0o3777, True), ('authserv_id = {"mx.example.com"}', 0o700, False),
                                  ("", 0o3777, False)):
            with self.subTest(trust, mode=mode), Room(trust) as r:
                os.makedirs(r.dir + "/state/intake")
                os.chmod(r.dir + "/state/intake", mode)
                self.assertEqual(b"everybody on this machine may put mail into" in r.run("check").stdout, said)

    def test_online(self):
        with Room() as r:
            self.assertIn(b"trust: the resolver does not answer", r.run("check", "--online", code=1).stdout)
            r.names.start()
            self.assertIn(b"does not know _dmarc.amazon.com", r.run("check", "--online", code=1).stdout)
            r.names.stop()
            r.names.start(**{"_dmarc.amazon.com": ['TXT "v=DMARC1; p=quarantine"']})
            self.assertIn(b"trust: the resolver answers\n", r.run("check", "--online").stdout)


class Cases(unittest.TestCase):
    def test_verified(self):
        with Room() as r:
            r.names.start()
            r.take(r.mail())
            self.assertEqual(r.rows("SELECT trust, trust_by FROM messages"), [("verified", "dkim amazon.com s1")])
            self.assertEqual(r.rows("SELECT trust FROM cases"), [("verified",)])
            self.assertEqual(r.jobs(), {"jira opened": "done", "turn opened": "done", "jira succeeded": "done"})
            self.assertEqual(r.turned()[0]["trust"]["by"], "dkim amazon.com s1")
            self.assertEqual(r.events("trusted"), [], "it was so from the start")
            shown = r.run("show", "1").stdout.decode()
            self.assertIn("dkim amazon.com s1", shown)

    def test_forged(self):
        with Room() as r:
            r.names.start()
            r.take(names.sign(sample("a-8bit"), r.other, "amazon.com", "s1"))
            self.assertEqual(r.rows("SELECT trust, trust_by FROM messages"), [("unverified", None)])
            self.assertEqual(r.jobs(), {"jira opened": "done", "turn opened": "waiting trust"})
            self.assertEqual(r.rows("SELECT count(*) FROM verifications"), [(0,)], "DNS answered")
            r.at(60)
            r.run("run", "--once")
            self.assertEqual(r.turned(), [])

    def test_relayed(self):
        with Room() as r:
            r.names.start()
            r.take(names.seal(sample("g-google-group"), r.other, "google.com", "arc", "mx.google.com",
                              "dkim=pass header.i=@amazon.com header.s=s1"))
            self.assertEqual(r.rows("SELECT trust FROM cases"), [("relayed",)])
            self.assertEqual(r.jobs()["turn opened"], "waiting trust")
            r.run("approve", "1")
            r.run("run", "--once")
            self.assertEqual(len(r.turned()), 1, "a person's approval lifts relayed")

    def test_dns_comes_back(self):
        with Room() as r:
            r.take(r.mail())
            self.assertEqual(r.jobs(), {"jira opened": "done", "turn opened": "waiting trust"}, "the ticket is there at once")
            self.assertEqual(r.rows("SELECT attempts FROM verifications"), [(1,)])
            self.assertIn("again", r.run("show", "1").stdout.decode())
            r.at(1.5)  # the first pause is at most 75 s
            r.run("run", "--once")
            self.assertEqual(r.rows("SELECT attempts FROM verifications"), [(2,)], "DNS is still away")
            r.names.start()
            r.run("run", "--once")
            self.assertEqual(r.rows("SELECT attempts FROM verifications"), [(2,)], "not before its time")
            r.at(5)
            r.run("run", "--once")
            self.assertEqual(r.rows("SELECT count(*) FROM verifications"), [(0,)])
            self.assertEqual(r.rows("SELECT trust FROM cases"), [("verified",)])
            self.assertEqual(r.rows("SELECT trust, trust_by FROM messages"), [("verified", "dkim amazon.com s1")])
            self.assertEqual(r.rows("SELECT trust FROM notices"), [("verified",)])
            self.assertEqual(len(r.events("trusted")), 1)
            self.assertEqual(len(r.turned()), 1)
            r.at(600)
            r.run("run", "--once")
            self.assertEqual(len(r.turned()), 1, "and never twice")

    def test_dns_says_no(self):
        with Room() as r:
            r.take(names.sign(sample("a-8bit"), r.other, "amazon.com", "s1"))
            r.names.start()
            r.at(2)
            r.run("run", "--once")
            self.assertEqual(r.rows("SELECT count(*) FROM verifications"), [(0,)])
            self.assertEqual(len(r.events("judged")), 1)
            self.assertEqual(r.rows("SELECT trust FROM cases"), [("unverified",)])
            self.assertEqual(r.turned(), [])

    def test_given_up(self):
        with Room() as r:
            r.take(r.mail())
            r.at(3 * 24 * 60 + 1)
            said = r.run("run", "--once").stderr.decode()
            self.assertIn("given up", said)
            self.assertEqual(r.rows("SELECT count(*) FROM verifications"), [(0,)])
            self.assertIn("given up", r.events("unproven")[0])
            self.assertEqual(r.jobs(), {"jira opened": "done", "turn opened": "waiting trust", "jira failed": "done"},
                             "the ticket says so")
            r.names.start()
            r.at(4 * 24 * 60)
            r.run("run", "--once")
            self.assertEqual(r.rows("SELECT trust FROM cases"), [("unverified",)])

    def test_lay_in_a_mailbox(self):
        """What came long ago and is judged for the first time has all its time to be proved."""
        with Room() as r:
            os.makedirs(r.dir + "/state/intake", 0o700)
            path = r.file("state/intake/0123456789abcdef.msg", "mailhook 1 2025-10-25T09:00:00Z from=- cut=0\n")
            with open(path, "ab") as f:
                f.write(r.mail())
            r.run("run", "--once")
            r.at(10)
            r.run("run", "--once")
            self.assertEqual(r.rows("SELECT count(*) FROM verifications"), [(1,)], "it is judged once more")
            r.names.start()
            r.at(60)
            r.run("run", "--once")
            self.assertEqual(r.rows("SELECT trust, received FROM messages"), [("verified", "2025-10-25T09:00:00Z")])

    def test_more_copies_than_wait(self):
        """While DNS is away false proofs fill the places of one message; that another is turned away is not silent."""
        with Room() as r:
            for i in range(16):
                r.run("pipe", stdin=names.sign(sample("a-8bit"), r.other, "amazon.com", "none%d" % i))
            r.run("run", "--once")
            self.assertEqual(r.rows("SELECT count(*) FROM verifications"), [(16,)])
            self.assertEqual(r.events("unproven"), [])
            r.take(r.mail())
            self.assertIn("one more is not judged", r.events("unproven")[0])
            r.names.start()
            r.at(2)
            r.run("run", "--once")
            self.assertEqual((r.rows("SELECT count(*) FROM verifications"), r.turned()), ([(0,)], []))
            r.take(r.mail())
            self.assertEqual(len(r.turned()), 1, "it may come again")

    def test_stripped_copy_first(self):
        """The very same message, first without its signature."""
        for down in (False, True):
            with self.subTest(dns_down=down), Room() as r:
                if not down:
                    r.names.start()
                r.take(sample("a-8bit"))
                self.assertEqual(r.jobs()["turn opened"], "waiting trust")
                r.take(r.mail())
                if down:
                    self.assertEqual(r.rows("SELECT attempts FROM verifications"), [(1,)])
                    self.assertEqual(r.rows("SELECT count(*) FROM messages WHERE instr(raw, CAST('DKIM-Signature' AS BLOB)) > 0"), [(0,)])
                    r.names.start()
                    r.at(2)
                    r.run("run", "--once")
                self.assertEqual(r.rows("SELECT trust, copies FROM messages"), [("verified", 2)])
                self.assertEqual(r.rows("SELECT count(*) FROM messages WHERE instr(raw, CAST('DKIM-Signature' AS BLOB)) > 0"), [(1,)],
                                 "its bytes are kept, not the first copy's")
                self.assertEqual(r.rows("SELECT count(*) FROM notices"), [(1,)])
                self.assertEqual(len(r.events("trusted")), 1)
                self.assertEqual(len(r.turned()), 1)

    def test_better_facts_win(self):
        """A forgery with another region comes first; the case is what the verified notice says."""
        with Room() as r:
            r.names.start()
            r.take(with_field(sample("a-8bit").replace(b"Region: eu-west-1", b"Region: us-east-2"), b"Message-ID", b"<forged@x.example>")
                   .replace(b"eu-west-1", b"us-east-2"))
            self.assertEqual(r.rows("SELECT region, trust FROM cases"), [("us-east-2", "unverified")])
            r.take(r.mail())
            cases = r.rows("SELECT region, trust FROM cases ORDER BY id")
            self.assertEqual(cases[-1], ("eu-west-1", "verified"), "its own case, or the first one with its facts")
            self.assertEqual([t["case"]["region"] for t in r.turned()], ["eu-west-1"])

    def test_closed_before_the_real_one(self):
        with Room() as r:
            r.names.start()
            r.take(with_field(sample("a-8bit"), b"Message-ID", b"<forged@x.example>"))
            r.run("close", "1")
            r.take(r.mail())
            self.assertEqual(r.rows("SELECT state, trust FROM cases ORDER BY id"), [("closed", "unverified"), ("open", "verified")])
            self.assertEqual(len(r.turned()), 1)

    def test_closed_while_dns_was_away(self):
        with Room() as r:
            r.take(r.mail())
            r.run("close", "1")
            r.names.start()
            r.at(2)
            r.run("run", "--once")
            self.assertEqual(r.rows("SELECT state, trust FROM cases ORDER BY id"), [("closed", "unverified"), ("open", "verified")])
            self.assertEqual(len(r.turned()), 1)

    def test_flood(self):
        """Forgeries for accounts that nobody lists fill the digest; the real notice of such an account is no part of it."""
        with Room() as r:
            r.names.start()

            def notice(account, signed=False):
                mail = with_field(sample("a-8bit").replace(b"123456789012", account), b"Message-ID", b"<%s@x.example>" % account)
                return names.sign(mail, r.key, "amazon.com", "s1") if signed else mail
            for i in range(8):
                r.run("pipe", stdin=notice(b"2000000000%02d" % i))
            r.run("run", "--once")
            self.assertEqual(r.rows("SELECT count(*) FROM cases WHERE kind <> 'flood'"), [(5,)])
            (digest,), = r.rows("SELECT id FROM cases WHERE kind = 'flood'")
            shown = r.run("show", str(digest)).stdout.decode()
            kept = shown[shown.index("\nkept out\n"):].splitlines()[2:]
            self.assertEqual(len(kept), 3, shown)
            for i, line in enumerate(kept):
                self.assertRegex(line, r"^  [-0-9T:]+Z  message %d from no-reply-aws@amazon.com: aws.identity-center.scim-token, "
                                 r"account 20000000000%d, .*expires 2026-" % (6 + i, 5 + i))
            self.assertEqual([n["kind"] for n in json.loads(r.run("show", "--json", str(digest)).stdout)["notices"]],
                             ["aws.identity-center.scim-token"] * 3)
            r.take(notice(b"300000000000", signed=True))
            self.assertEqual(r.rows("SELECT trust FROM cases WHERE account = '300000000000'"), [("verified",)])
            r.take(notice(b"200000000007", signed=True))
            self.assertEqual(r.rows("SELECT trust FROM cases WHERE account = '200000000007'"), [("verified",)],
                             "a message of the digest that is proved")
            self.assertEqual(r.rows("SELECT trust, expires FROM cases WHERE kind = 'flood'"), [("unverified", None)])
            self.assertEqual(r.rows("SELECT quarantined FROM messages WHERE message_id = '<200000000007@x.example>'"), [(0,)])

    def test_irrelevant(self):
        """It never starts the verifier: the resolver is not there, and nothing is remembered."""
        with Room() as r:
            mail = names.sign(b"From: friend@amazon.com\nTo: me@example.com\nSubject: lunch\nDate: Thu, 6 Nov 2025 02:11:12 +0000\n"
                              b"Message-ID: <1@amazon.com>\n\nTomorrow?\n", r.key, "amazon.com", "s1")
            r.take(mail)
            self.assertFalse(os.path.exists(r.dir + "/state/ledger.db") and r.rows("SELECT id FROM messages"))


if __name__ == "__main__":
    unittest.main()
