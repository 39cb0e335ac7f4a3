#!/usr/bin/python3
"""Each attack from the mail to the job that it is after: piped, judged with a real name server, worked by rule.

verify_attack_test.py has the same attacks, and more, before the verifier alone. Here a row passes only if the effect did
what the level allows, and if the ticket that tells a person of it is there in each case. Beside each attack stands what it
imitates, so that an installation which believes nothing fails too.
"""
import os
import re
import shutil
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
import trust_test
from trust_test import Room, key, names, sample, with_field

TOPIC = "arn:aws:sns:us-east-1:210987654321:expiry"
EVIL = TOPIC.replace("210987654321", "999999999999")
OURS = 'sns_topics = {"%s"}' % TOPIC
MX = 'authserv_id = {"mx.example.com"}'
STRIPPED = MX + " authres_stripped = true"
FORWARDER = 'forwarders = {"example.com"}'
RECEIVED = b"Received: from x by mx.example.com; Thu, 6 Nov 2025 02:11:13 +0000\r\n"
SAW = b"Authentication-Results: mx.example.com; dkim=pass header.d=amazon.com header.s=s1\r\n"
FAILED = SAW.replace(b"pass", b"fail")
FOOTER = ("\n\n--\nIf you wish to stop receiving notifications from this topic, please click or visit the link below to "
          "unsubscribe:\nhttps://sns.us-east-1.amazonaws.com/unsubscribe.html?SubscriptionArn=%s:fb81dd33-0000-4000-8000-"
          "123456789abc&Endpoint=ops@example.com\n")
PLAIN = sample("a-8bit")
# What becomes of the effect: done at once; waiting, and a person's approval starts it; waiting, and nothing short of vouching.
DONE, ASKS, NEVER = "done", "asks", "never"
EFFECT = {"verified": DONE, "relayed": ASKS, "unverified": NEVER}


def sign(mail, domain="amazon.com", by="aws", headers=None):
    return names.sign(mail, key(by), domain, "s1", headers)


def from_field(value, mail=PLAIN):
    return with_field(mail, b"From", value)


def sns(topic, false_first=None):
    text = sample("c-words").replace(b"arn:aws:sns:us-east-1:210987654321:expiry", topic.encode())
    if false_first is not None:
        text = text.replace(b"\n\n--\n", FOOTER.encode() % false_first.encode() + b"\n\n--\n", 1)
    return sign(text, "sns.amazonaws.com")


def sealed(mail, domain="google.com", selector="arc", server="mx.google.com",
           saw="dkim=pass header.i=@amazon.com header.s=s1"):
    return names.seal(mail, key("other"), domain, selector, server, saw)


def again(mail, domain="google.com", selector="arc", server="mx.google.com"):
    """One relay more; what the one before wrote of its own is gone by then, as mail servers do it."""
    mail = re.sub(rb"(?m)^Authentication-Results:.*\r\n", b"", mail)
    return sealed(mail, domain, selector, server, "arc=pass")


def with_length(mail):
    mail = names.crlf(mail)
    return names.dkim.sign(mail, b"s1", b"amazon.com", key("aws").pem, canonicalize=(b"relaxed", b"relaxed"),
                           include_headers=names.SIGNED, length=True) + mail


def dkim_rows():
    good = sign(PLAIN)
    yield "genuine", "", good, "verified"
    yield "forged From", "", sign(PLAIN, "evil.example", "other"), "unverified"
    yield "amazonses.com alone", "", sign(PLAIN, "amazonses.com"), "unverified"
    yield "look-alike domain", "", sign(from_field(b"<no-reply-aws@notamazon.com>"), "notamazon.com", "other"), "unverified"
    yield "display name", "", sign(from_field(b'"Amazon Web Services, Inc. <no-reply-aws@amazon.com>" <x@evil.example>'),
                                   "evil.example", "other"), "unverified"
    yield "signature over another From", "", from_field(b"<no-reply-aws@amazon.com>", sign(from_field(b"<x@amazon.com>"))), "unverified"
    yield "extra From on top", "", b"From: no-reply-aws@amazon.com\r\n" + good, "unverified"
    yield "extra From on top of a stranger's", "", b"From: no-reply-aws@amazon.com\r\n" + \
        sign(from_field(b"<x@evil.example>"), "evil.example", "other"), "unverified"
    bare = [h for h in names.SIGNED if h != b"Content-Type"]
    yield "unsigned Content-Type swapped", "", with_field(sign(PLAIN, headers=bare), b"Content-Type", b"text/html; charset=UTF-8"), \
        "unverified"
    yield "appended body with l=", "", with_length(PLAIN) + b"Please act at evil.example.\r\n", "unverified"
    yield "AWS's own mail of somebody's support case", "", sign(with_field(
        PLAIN, b"Subject", b"RE:[CASE 170000000000001] SCIM Access Token Approaching Expiration")), "unverified"
    yield "key in AWS's name", "", sign(PLAIN, by="other"), "unverified"


def results_rows():
    ours, below = SAW + RECEIVED + PLAIN, RECEIVED + SAW + PLAIN
    yield "results of our server", MX, ours, "verified"
    yield "results, nothing configured", "", ours, "unverified"
    yield "results of another server", 'authserv_id = {"mx.example.org"}', ours, "unverified"
    yield "own results below the server's Received", MX, below, "unverified"
    yield "own results below the server's", MX, FAILED + RECEIVED + SAW + PLAIN, "unverified"
    yield "own results above the server's", MX, SAW + FAILED + RECEIVED + PLAIN, "unverified"
    yield "results below the Received of a server that strips", STRIPPED, below, "verified"
    yield "own results at the sender's place, stripped", STRIPPED, RECEIVED + RECEIVED + SAW + PLAIN, "unverified"
    yield "results of SPF and DMARC alone", MX, SAW.replace(b"dkim=pass header.d=amazon.com header.s=s1",
                                                           b"spf=pass smtp.mailfrom=amazon.com; dmarc=pass header.from=amazon.com") + \
        RECEIVED + PLAIN, "unverified"


def forward_rows():
    forward = sample("f-gmail")
    yield "forward, signed by its configured domain", FORWARDER, sign(forward, "example.com", "other"), "relayed"
    yield "forward, nothing configured", "", sign(forward, "example.com", "other"), "unverified"
    yield "typed forward", FORWARDER, forward, "unverified"
    yield "forward, signed by a stranger", FORWARDER, sign(forward, "evil.example", "other"), "unverified"
    yield "forward of a stranger's author, signed", FORWARDER, sign(from_field(b"x@evil.example", forward), "example.com", "other"), \
        "unverified"


def sns_rows():
    yield "SNS, topic configured", OURS, sns(TOPIC), "verified"
    yield "SNS, topic not configured", "", sns(TOPIC), "unverified"
    yield "SNS, a stranger's topic", OURS, sns(EVIL), "unverified"
    yield "SNS, a stranger's with a false footer before the real one", OURS, sns(EVIL, false_first=TOPIC), "unverified"
    yield "SNS, ours that quotes a stranger's footer", OURS, sns(TOPIC, false_first=EVIL), "verified"
    yield "SNS, forged", OURS, sample("c-words"), "unverified"


def arc_rows():
    group, evil = sample("g-google-group"), ("evil.example", "s1", "mx.evil.example")
    once, twice = sealed(group), again(sealed(group))
    yield "Google Group", "", once, "relayed"
    yield "Google Group, two relays", "", twice, "relayed"
    yield "Google Group, nobody signed", "", sealed(group, saw="dkim=none; spf=pass smtp.mailfrom=amazonses.com"), "unverified"
    yield "own ARC set first", "", again(sealed(group, *evil)), "unverified"
    yield "own ARC set in the middle", "", again(again(once, *evil)), "unverified"
    yield "a sealer not configured", "", again(once, *evil), "unverified"
    yield "results that are not the sealer's", "", sealed(group, server="mx.evil.example"), "unverified"
    yield "missing seal", "", re.sub(rb"(?ms)^ARC-Seal: i=1.*?\n(?![ \t])", b"", twice), "unverified"
    yield "changed after the seal", "", once.replace(b"89 days", b"88 days"), "unverified"
    assert once.count(b"89 days") == 1


class Rows(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="mailhook-attack-")
        cls.server = names.Names(cls.dir)
        trust_test.publish(cls.server)
        cls.server.start()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()
        shutil.rmtree(cls.dir)

    def room(self, trust="", conf=trust_test.CONF):
        return Room(trust, self.server, conf)

    def try_rows(self, rows):
        n = 0
        for name, trust, mail, level in rows:
            n += 1
            with self.subTest(name), self.room(trust) as r:
                r.take(mail)
                way = r.rows("SELECT trust_steps FROM messages")
                self.assertEqual(r.rows("SELECT trust FROM messages"), [(level,)], way)
                self.assertEqual(r.rows("SELECT trust, state FROM cases"), [(level, "open")], "one case, of that level")
                self.assertEqual(r.jobs()["jira opened"], "done", "a person hears of it")
                self.assertEqual(len(r.turned()), EFFECT[level] == DONE, way)
                if EFFECT[level] != DONE and "turn opened" in r.jobs():
                    self.assertEqual(r.jobs()["turn opened"], "waiting trust")
                    r.run("approve", "1")
                    r.run("run", "--once")
                    self.assertEqual(len(r.turned()), EFFECT[level] == ASKS, "approval lifts relayed, and nothing else")
        self.assertGreater(n, 0)

    def test_dkim(self):
        self.try_rows(dkim_rows())

    def test_authentication_results(self):
        self.try_rows(results_rows())

    def test_forwards(self):
        self.try_rows(forward_rows())

    def test_sns(self):
        self.try_rows(sns_rows())

    def test_arc(self):
        self.try_rows(arc_rows())

    def test_replayed(self):
        """The same mail again is a copy; once its expiry is past, a genuine one changes nothing but a ticket."""
        with self.room() as r:
            r.take(sign(PLAIN))
            r.take(b"Received: from evil.example by mx.example.com; Fri, 7 Nov 2025 01:00:00 +0000\r\n" + sign(PLAIN))
            self.assertEqual(r.rows("SELECT copies FROM messages"), [(2,)])
            self.assertEqual(len(r.turned()), 1)
            r.at(100 * 24 * 60)
            r.take(sign(PLAIN))
            self.assertEqual(len(r.turned()), 1)
        with self.room() as r:
            r.at(100 * 24 * 60)
            r.take(sign(PLAIN))
            self.assertEqual(r.rows("SELECT trust FROM cases"), [("verified",)], "AWS wrote it")
            self.assertEqual((r.jobs(), r.turned()), ({"jira opened": "done"}, []), "and there is nothing left to turn")

    def test_somebody_elses(self):
        """AWS itself wrote it, of an account that is not ours: whoever owns that can have it sent to us."""
        mail = sign(PLAIN.replace(b"123456789012", b"999999999999"))
        with self.room() as r:
            r.take(mail)
            self.assertEqual(r.rows("SELECT account, trust, rule FROM cases"), [("999999999999", "verified", "rest")])
            self.assertEqual((r.jobs(), r.turned()), ({"jira opened": "done"}, []))
            r.take(sign(PLAIN))
            self.assertEqual([t["case"]["account"] for t in r.turned()], ["123456789012"], "and ours is not held up by it")

    def test_forged_closed_then_real(self):
        """A person threw the forgery away; the real notice of the same expiry is another matter."""
        for level, real in (("verified", sign(PLAIN)), ("relayed", sealed(sample("g-google-group")))):
            with self.subTest(level), self.room() as r:
                r.take(with_field(PLAIN, b"Message-ID", b"<forged@evil.example>"))
                r.run("close", "1")
                r.take(with_field(PLAIN, b"Message-ID", b"<forged2@evil.example>"))
                self.assertEqual(r.rows("SELECT state FROM cases"), [("closed",)], "another forgery opens nothing")
                r.take(real)
                self.assertEqual(r.rows("SELECT state, trust FROM cases ORDER BY id"), [("closed", "unverified"), ("open", level)])
                self.assertEqual(len(r.turned()), level == "verified")
                self.assertEqual(r.rows("SELECT count(*) FROM jobs WHERE action = 'jira' AND event = 'opened' AND state = 'done'"),
                                 [(2,)])

    def test_better_copy_raises(self):
        """unverified, relayed, verified: each step is one event, and the last one's facts are the case's."""
        forged = with_field(PLAIN, b"Message-ID", b"<forged@evil.example>").replace(b"04:05:06", b"05:05:06")
        with self.room() as r:
            steps = []
            for mail in (forged, sealed(sample("g-google-group")), sign(PLAIN), forged.replace(b"05:05:06", b"06:05:06")):
                r.take(mail)
                steps += r.rows("SELECT trust, expires FROM cases")
            self.assertEqual(steps, [("unverified", "2026-02-03T05:05:06Z"), ("relayed", "2026-02-03T04:05:06Z"),
                                     ("verified", "2026-02-03T04:05:06Z"), ("verified", "2026-02-03T04:05:06Z")])
            self.assertEqual(len(r.events("trusted")), 2)
            self.assertEqual([(t["trust"]["level"], t["trust"]["by"], t["case"]["expires"]) for t in r.turned()],
                             [("verified", "dkim amazon.com s1", "2026-02-03T04:05:06Z")])

    def test_sender_is_not_what_was_proved(self):
        """Who may be answered: neither a Reply-To that no signature covers, nor the sender of what a person vouched for."""
        answer = b"Reply-To: x@evil.example\r\n"
        with self.room() as r:
            r.take(answer + sign(PLAIN))
            self.assertEqual([(t["message"]["reply_to"], t["message"]["trust"]) for t in r.turned()],
                             [("no-reply-aws@amazon.com", "verified")])
        with self.room() as r:
            r.take(answer + PLAIN)
            r.run("approve", "1", "--vouch", "--account", "123456789012", "--expires", "2026-02-03T04:05:06Z")
            r.run("run", "--once")
            self.assertEqual([(t["trust"]["level"], t["message"]["reply_to"], t["message"]["trust"]) for t in r.turned()],
                             [("verified", "x@evil.example", "unverified")])

    def test_flood(self):
        """Forty forgeries, of accounts that nobody lists and of ours: one digest, and the real notice goes its way."""
        with self.room() as r:
            for i in range(40):
                mail = with_field(PLAIN, b"Message-ID", b"<%d@evil.example>" % i)
                r.run("pipe", stdin=mail if i % 4 == 0 else mail.replace(b"123456789012", b"2000000000%02d" % i))
            r.run("run", "--once")
            self.assertEqual(r.rows("SELECT count(*) FROM cases WHERE kind <> 'flood' AND unlisted = 1"), [(5,)])
            self.assertEqual(r.rows("SELECT count(*) FROM cases WHERE kind = 'flood'"), [(1,)])
            self.assertEqual(r.rows("SELECT count(*) FROM cases WHERE account = '123456789012'"), [(1,)])
            self.assertEqual(r.turned(), [])
            r.take(sign(PLAIN))
            self.assertEqual([t["case"]["account"] for t in r.turned()], ["123456789012"])

    def test_irrelevant_starts_no_verifier(self):
        """Signed, from AWS's own domain, and no notice: neither the pipe nor the worker asks anybody."""
        lunch = sign(b"From: friend@amazon.com\nTo: me@example.com\nSubject: lunch\nDate: Thu, 6 Nov 2025 02:11:12 +0000\n"
                     b"Message-ID: <1@amazon.com>\nContent-Type: text/plain\n\nTomorrow?\n")
        with self.room() as r:
            r.with_verifier("echo asked >>'%s/asked'\nexit 75\n" % r.dir)
            for name, mail, asked in (("irrelevant", lunch, 0), ("nothing to prove it", PLAIN, 0), ("signed notice", sign(PLAIN), 1)):
                with self.subTest(name):
                    r.run("pipe", stdin=mail)
                    if mail == lunch:  # and past the pipe's own look
                        os.makedirs(r.dir + "/state/intake", 0o700, exist_ok=True)
                        path = r.file("state/intake/0123456789abcdef.msg", "mailhook 1 2025-11-06T09:00:00Z from=- cut=0\n")
                        with open(path, "ab") as f:
                            f.write(mail)
                    r.run("run", "--once")
                    self.assertEqual(r.lines("asked"), asked * ["asked"])
                    self.assertEqual(os.listdir(r.dir + "/state/intake"), [])


if __name__ == "__main__":
    unittest.main()
