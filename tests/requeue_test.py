#!/usr/bin/python3
"""`mailhook requeue`: what could not be read is read again after a definition was added. Time is a file's."""
import json
import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "faults")]
import steer_test  # noqa: E402
from world import notice  # noqa: E402

DEFINITION = """\
notice "aws-widget" {
	kind     = "aws.widget.key"
	senders  = {"no-reply-aws@amazon.com"}
	literals = {"The Example Widget key of your account"}
	patterns = {'The Example Widget key of your account expires on (?<expires>.{6,60})'}
}
"""
CONF = """
definitions_dir = "@/definitions"
action "tell" { program = "reply" }
action "jira" { program = "ticket" }
rule "all" { do = {"jira", "tell"} }
"""


def mail(number, text="The Example Widget key of your account expires on March 31, 2026."):
    return f"""\
From: no-reply-aws@amazon.com
To: cloud@example.com
Subject: Your Example Widget key expires [AWS Account: 123456789012]
Date: Thu, 1 Jan 2026 03:00:00 +0000
Message-ID: <widget-{number}@example.com>

{text}
""".encode()


class Room(steer_test.Room):
    def __init__(self, *mails):
        super().__init__(CONF)
        os.mkdir(os.path.join(self.dir, "definitions"))
        for one in mails:
            assert self.pipe_alone(one).returncode == 0
        assert self.run_once().returncode == 0

    def define(self, text=DEFINITION):
        self.write(os.path.join(self.dir, "definitions", "aws-widget.notice"), text)

    def verdicts(self):
        return self.rows("SELECT verdict, quarantined FROM messages ORDER BY id")

    def cases(self):
        return self.rows("SELECT kind, state FROM cases ORDER BY id")


UNREAD = ("unrecognised", 1)
READ = ("notice", 0)
OTHER = "The Example Widget key of another sort will expire on the last day of March, 31 March 2026."


class Requeue(unittest.TestCase):
    well = steer_test.Steering.well

    def told(self, done, code, *words):
        got = steer_test.said(done)
        self.assertEqual(got[0], code, got)
        for one in words:
            self.assertIn(one, got[1])

    def test_read_after_all(self):
        with Room(mail(1), mail(2)) as room:
            self.assertEqual((room.verdicts(), room.cases()), ([UNREAD] * 2, [("unrecognised", "open")]))
            self.told(room.do("requeue"), 1, "message 1: unrecognised: ", "0 are notices now, 2 are still not read")
            room.define()
            before = room.rows("SELECT * FROM messages"), room.rows("SELECT * FROM events")
            self.told(
                room.do("requeue", "--dry-run"),
                0,
                "message 1: notice: aws.widget.key, account 123456789012, expires 2026-03-31T23:59:59Z",
                "message 1: it was unrecognised: a listed sender's mail",
                "2 are notices now, 0 are still not read; nothing was changed",
            )
            self.assertEqual((room.rows("SELECT * FROM messages"), room.rows("SELECT * FROM events")), before)
            self.told(room.do("requeue"), 0, "2 messages were read again: 2 are notices now")
            room.run_once()
            self.assertEqual(room.verdicts(), [READ] * 2)
            self.assertEqual(room.cases(), [("unrecognised", "closed"), ("aws.widget.key", "open")])
            self.assertEqual(
                room.rows("SELECT account, expires, best_notice IS NOT NULL FROM cases WHERE state = 'open'"),
                [("123456789012", "2026-03-31T23:59:59Z", 1)],
            )
            ((by, why),) = room.rows("SELECT by, detail FROM events WHERE what = 'closed'")
            self.assertEqual((by, why), (room.rows("SELECT closed_by FROM cases WHERE id = 1")[0][0], why))
            self.assertIn("all its messages are read now", why)
            self.assertEqual(len(room.tickets()), 2, "one of the unread mail, one of what expires")
            self.assertEqual(room.sound(), [])
            self.told(room.do("requeue"), 0, "0 messages were read again")

    def test_wrong_definition(self):
        """Its mail is kept as unrecognised, and is read once the file is right."""
        rare = mail(1).replace(b"no-reply-aws@amazon.com", b"ann@example.com").replace(b"expires [", b"[")
        with Room() as room:
            room.define(DEFINITION.replace("kind  ", "kinds "))
            self.assertEqual(room.pipe_alone(rare).returncode, 0)
            room.run_once()
            self.assertEqual((room.verdicts(), room.cases()), ([UNREAD], [("unrecognised", "open")]))
            self.assertEqual(
                room.rows("SELECT reason FROM cases"),
                [("the definition aws-widget.notice is wrong: mailhook check says where",)],
            )
            room.define()
            self.told(room.do("requeue"), 0, "1 messages were read again: 1 are notices now")
            self.assertEqual(room.sound(), [])

    def test_newer_than_the_worker(self):
        """A definition that came after the worker's start: pipe reads by it, so the worker does too."""
        rare = mail(1).replace(b"no-reply-aws@amazon.com", b"ann@example.com").replace(b"expires [", b"[")
        with Room() as room:
            with subprocess.Popen(room.command("run"), env=room.env, stderr=subprocess.PIPE) as worker:
                room.until(room.somebody_works, "no worker")
                room.define()
                self.assertEqual(room.pipe(rare).returncode, 0)
                room.until(lambda: not room.messages_waiting(), "it is not taken")
                self.assertEqual(room.verdicts(), [READ])
                worker.terminate()
                worker.communicate()
            self.assertEqual(room.sound(), [])

    def test_a_part_is_read(self):
        with Room(mail(1), mail(2, OTHER)) as room:
            room.define()
            self.told(room.do("requeue"), 1, "1 are notices now, 1 are still not read")
            self.assertEqual(room.verdicts(), [READ, UNREAD])
            self.assertEqual(room.cases(), [("unrecognised", "open"), ("aws.widget.key", "open")])
            self.assertEqual(room.sound(), [])

    def test_named(self):
        with Room(mail(1), mail(2), notice()) as room:
            room.define()
            self.told(room.do("requeue", "2"), 0, "1 messages were read again: 1 are notices now")
            self.assertEqual(room.verdicts(), [UNREAD, READ, ("notice", 0)])
            for words, *names in (
                ("there is no message 99", "99"),
                ("message 2 was read: it is a notice", "2"),
                ("message 3 was read: it is a notice", "3"),
                ('"1x" is no number of a message', "1x"),
            ):
                with self.subTest(words):
                    self.told(room.do("requeue", *names), 2, words)
            self.told(room.do("requeue", "99", "1"), 2, "there is no message 99", "message 1: notice")
            self.assertEqual(room.verdicts()[0], READ, "one that is wrong does not keep the others")

    def test_bytes_are_gone(self):
        with Room(mail(1)) as room:
            room.define()
            room.change("UPDATE messages SET raw = NULL")
            self.told(room.do("requeue", "1"), 2, "its bytes are not kept any more")
            self.told(room.do("requeue"), 0, "0 messages were read again")

    def test_json(self):
        with Room(mail(1)) as room:
            room.define()
            (line,) = room.do("requeue", "--json").stdout.splitlines()
            got = json.loads(line)
            self.assertEqual(list(got), ["message", "was", "was_reason", "changed", "reading"])
            self.assertEqual((got["message"], got["was"], got["changed"]), (1, "unrecognised", True))
            self.assertEqual(got["reading"]["notices"][0]["kind"], "aws.widget.key")

    def test_nothing_there(self):
        with steer_test.Room(CONF) as room:
            self.told(room.do("requeue"), 2, "no message was taken in yet")

    def test_killed(self):
        with Room(mail(1)) as room:
            room.define()
            how, words = room.kill_at(0, " ".join(room.command("requeue")))
            self.assertEqual(how, "ended", words)
            total = int(words[1])
        self.assertGreater(total, 3)
        for number in range(1, total + 1):
            with self.subTest(number), Room(mail(1)) as room:
                room.define()
                room.kill_at(number, " ".join(room.command("requeue")))
                self.assertIn(
                    (room.verdicts(), room.cases()),
                    [
                        ([UNREAD], [("unrecognised", "open")]),
                        ([READ], [("unrecognised", "closed"), ("aws.widget.key", "open")]),
                    ],
                )
                room.do("requeue")
                room.run_once()
                self.assertEqual(room.verdicts(), [READ])
                self.assertEqual((len(room.tickets()), room.sound()), (2, []))


if __name__ == "__main__":
    unittest.main()
