#!/usr/bin/python3
"""`mailhook backtest`: an archive played through rules and time comes to what it comes to when it is lived through."""
import json
import mailbox
import os
import pty
import sys
import unittest
from datetime import datetime, timedelta, timezone

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "faults")]
import steer_test  # noqa: E402

CONF = """
flood_unlisted = 1
action "tell" { program = "reply" }
action "jira" { program = "ticket" }
action "renew" { program = "@/renew"  role = "effect"  needs = "verified" }
rule "scim" { kinds = {"aws.identity-center.*"}  accounts = {"123456789012"}  do = {"jira", "renew", "tell"} }
rule "rest" { order = 100  do = {"jira", "tell"} }
"""
START = datetime(2026, 1, 1, 3, 0, 0, tzinfo=timezone.utc)


def mail(at, expires, account="123456789012", number=0):
    days = (expires - at).days
    return f"""\
From: no-reply-aws@amazon.com
To: cloud@example.com
Subject: SCIM Access Token Approaching Expiration. [AWS Account: {account}]
Date: {at.strftime('%a, %d %b %Y %H:%M:%S +0000')}
Message-ID: <{account}-{at.timestamp():.0f}-{number}@example.com>

The SCIM access token used to automatically provision users and groups from your
IdP expires in {days} days on {expires.strftime('%a %b %d %H:%M:%S UTC %Y')}.
""".encode()


def plain(at, number):
    return f"""\
From: ann@example.com
Subject: Minutes {number}
Date: {at.strftime('%a, %d %b %Y %H:%M:%S +0000')}

What was said.
""".encode()


def unread(at):
    return mail(at, at + timedelta(days=60)).replace(b"expires in 60 days on", b"will be gone at some time, not on")


def archive():
    """(when, mail), in no order: weekly notices of one expiry, one of another account, one that is not read."""
    expires = datetime(2026, 3, 31, 4, 5, 6, tzinfo=timezone.utc)
    list_ = [(START + timedelta(days=7 * n), mail(START + timedelta(days=7 * n), expires)) for n in range(12)]
    second = START + timedelta(days=20)
    list_.append((second, mail(second, expires + timedelta(days=3), "210987654321")))
    list_.append((second + timedelta(hours=1), unread(second + timedelta(hours=1))))
    list_ += [(START + timedelta(days=n), plain(START + timedelta(days=n), n)) for n in range(30)]
    return list_[::-1]


class Room(steer_test.Room):
    def __init__(self):
        super().__init__(CONF)
        self.now = START + timedelta(days=100)
        self.set_clock()

    def maildir(self, mails):
        path = os.path.join(self.dir, "archive")
        box = mailbox.Maildir(path)
        for one in mails:
            box.add(one)
        return path

    def backtest(self, *arguments):
        return self.do("backtest", *arguments)


def events_of(case):
    return [(e["at"], e["what"]) for e in case["events"] if e["what"] in ("opened", "reminded", "expired", "silence")]


class Backtest(unittest.TestCase):
    def test_as_it_is_lived_through(self):
        mails = sorted(archive(), key=lambda x: x[0])
        with Room() as room:
            path = room.maildir([m for _, m in archive()])
            done = room.backtest("--json", "--trust", "unverified", path)
            self.assertEqual(done.returncode, 1, done.stderr)
            played = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual(os.listdir(room.state), [], "no ledger, no ticket, nothing")
        with Room() as room:
            for day in range(101):
                room.now = START + timedelta(days=day, hours=2)
                room.set_clock()
                for at, one in mails:
                    if room.now - timedelta(days=1) < at <= room.now:
                        assert room.pipe_alone(one).returncode == 0
                assert room.run_once().returncode == 0
            lived = room.rows("SELECT id, kind, account, expires, reason, rule FROM cases ORDER BY id")
            self.assertEqual(
                [(c["id"], c["kind"], c["account"], c["expires"], c["reason"], c["rule"]) for c in played], lived
            )
            self.assertEqual([c["kind"] for c in played].count("unrecognised"), 1)
            self.assertEqual(len(lived), 3)
            for case in played:
                what = [w for _, w in events_of(case)]
                self.assertEqual(
                    what,
                    [
                        w
                        for (w,) in room.rows(
                            f"SELECT what FROM events WHERE case_id = {case['id']} AND what IN "
                            "('opened', 'reminded', 'expired', 'silence') ORDER BY id"
                        )
                    ],
                )
                jobs = room.rows(
                    f"SELECT e.what, j.action FROM jobs j JOIN events e ON e.id = j.event_id WHERE j.case_id = "
                    f"{case['id']} AND e.what IN ('opened', 'reminded', 'expired') ORDER BY j.id"
                )
                told = [(e["what"], a) for e in case["events"] for a in e["actions"]]
                self.assertEqual([x for x in told if x[0] in ("opened", "reminded", "expired")], jobs)
            first = played[0]
            self.assertEqual(len(first["messages"]), 12)
            self.assertIn(("2026-03-24T04:05:06Z", "reminded"), events_of(first), "at its own instant")
            self.assertIn(("2026-03-31T04:05:06Z", "expired"), events_of(first))

    def test_words(self):
        with Room() as room:
            done = room.backtest(room.maildir([m for _, m in archive()]))
            out = done.stdout.decode()
            self.assertEqual(done.returncode, 1, "one mail was not read: that needs attention")
            for words in (
                "case 1: aws.identity-center.scim-token, account 123456789012, expires 2026-03-31T04:05:06Z",
                "rule scim; notices: 12, the first in ",
                "-> jira, renew, tell\n",
                "44 messages read: 30 irrelevant, 0 our own replies, 14 notices or like one; 3 cases, 1 of them of mail",
                "every notice was taken as verified",
            ):
                self.assertIn(words, out)
            low = room.backtest("--trust=relayed", room.maildir([mails for _, mails in archive()])).stdout.decode()
            self.assertIn("-> jira, renew (waits for trust), tell\n", low)

    def test_mbox_and_exit(self):
        with Room() as room:
            path = os.path.join(room.dir, "mbox")
            with open(path, "wb") as f:
                for at, one in archive()[-12:]:
                    f.write(b"From x@example.com Thu Jan  1 03:00:00 2026\n" + one + b"\n")
            done = room.backtest("--json", path)
            self.assertEqual(done.returncode, 0, done.stderr)
            (case,) = [json.loads(line) for line in done.stdout.splitlines()]
            self.assertEqual(case["messages"][0], path + ":12", "by date, not as they lie there")
            for words, arguments, code in (
                ("which mail?", (), 2),
                ("--trust is verified, relayed or unverified", ("--trust", "much", path), 2),
                ("cannot be read: No such file", ("/nonexistent", path), 1),
            ):
                with self.subTest(words):
                    done = room.backtest(*arguments)
                    self.assertEqual(done.returncode, code)
                    self.assertIn(words, done.stderr.decode())

    def test_flood(self):
        """What unverified mail may open at most holds here too."""
        expires = START + timedelta(days=60)
        mails = [mail(START, expires, f"3333333333{n:02d}", n) for n in range(4)]
        with Room() as room:
            done = room.backtest("--json", "--trust", "unverified", room.maildir(mails))
            kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
            self.assertEqual(sorted(kinds), ["aws.identity-center.scim-token", "flood"])

    def test_progress_on_a_terminal(self):
        with Room() as room:
            path = room.maildir([m for _, m in archive()])
            master, slave = pty.openpty()
            try:
                done = steer_test.subprocess.run(
                    room.command("backtest", path), env=room.env, stdout=-3, stderr=slave, timeout=60, check=False
                )
                seen = os.read(master, 4096).decode()
            finally:
                os.close(master)
                os.close(slave)
            self.assertEqual(done.returncode, 1)
            self.assertIn("44 messages read, 14 of concern", seen)


if __name__ == "__main__":
    unittest.main()
