#!/usr/bin/python3
"""mailhook drill: a marked notice through pipe, worker, rule, ticket and reply; and what only looks like one."""
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "faults"))
from world import World  # noqa: E402

BUILD = os.environ["MAILHOOK_BUILD"]
RULE = 'rule "all" { do = {"t", "e", "r"} }\n'
ACTIONS = 'action "t" { program = "ticket" }\naction "r" { program = "reply" }\n'
NOTICE = """\
Date: Thu, 1 Jan 2026 03:00:00 +0000
From: mailhook drill <mailhook-drill@localhost>
Subject: DRILL: SCIM Access Token Approaching Expiration. [AWS Account: 000000000000]
Message-ID: %s
X-Mailhook-Drill: yes
Content-Type: text/plain

The SCIM access token used to automatically provision users expires in 90 days on 1 Apr 2026 04:00:00 GMT.
"""


class Drill(unittest.TestCase):
    def setUp(self):
        self.world = World(BUILD)
        self.addCleanup(shutil.rmtree, self.world.dir)

    def configure(self, text):
        w = self.world
        effect = os.path.join(w.dir, "effect")
        with open(effect, "w", encoding="ascii") as f:
            f.write('#!/bin/sh\necho "$1" >>%s/verbs\necho \'{"outcome":"done","summary":"rotated"}\'\n' % w.dir)
        os.chmod(effect, 0o700)
        w.write(w.conf, 'state_dir = "%s"\naction "e" { program = "%s"  role = "effect" }\n%s' % (w.state, effect, text))

    def mailhook(self, *args, stdin=b""):
        r = subprocess.run([self.world.mailhook, args[0], "--config", self.world.conf, *args[1:]], input=stdin,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.world.env, timeout=200)
        return r.returncode, r.stdout.decode(), r.stderr.decode()

    def drill(self, code):
        """The steps of one drill: {(step, event): (verdict, words)}."""
        got, out, err = self.mailhook("drill")
        self.assertEqual(got, code, out + err)
        steps = {}
        for line in out.splitlines()[:-1]:
            m = re.fullmatch(r"(ok|slow|none|FAULT) +(\S+) +\d+ ms  (.*)", line)
            self.assertIsNotNone(m, line)
            event = re.search(r'of "(\w+)"', m[3])
            steps[m[2] + ("." + event[1] if event else "")] = (m[1], m[3])
        self.assertEqual(out.splitlines()[-1].startswith("drill: all went well"), code == 0, out)
        return steps

    def cases(self):
        return [json.loads(line) for line in self.mailhook("list", "--all", "--json")[1].splitlines()]

    def texts(self, folder):
        path = os.path.join(self.world.state, folder)
        found = []
        for name in sorted(os.listdir(path)) if os.path.isdir(path) else []:
            if not name.startswith("."):
                with open(os.path.join(path, name), encoding="utf-8") as f:
                    found.append(f.read())
        return found

    def work(self):
        self.assertEqual(self.mailhook("run", "--once")[0], 0)

    def test_all_well(self):
        self.configure(ACTIONS + RULE)
        steps = self.drill(0)
        for step in ("pipe", "intake", "reading", "case", "t.opened", "e.opened", "r.opened", "close", "t.closed",
                     "r.closed"):
            self.assertIn(steps[step][0], ("ok", "slow"), step)
        self.assertIn("ticket opened <file:///", steps["t.opened"][1])
        self.assertIn("reply sent to postmaster@localhost", steps["r.opened"][1])
        with open(self.world.dir + "/verbs", encoding="ascii") as f:
            self.assertEqual(f.read(), "describe\n")
        (case,) = self.cases()
        self.assertEqual((case["state"], case["reason"], case["account"]),
                         ("closed", "drill: nothing expires", "000000000000"))
        (ticket,) = self.texts("tickets")
        self.assertIn("Title:    DRILL: nothing expires: ", ticket)
        self.assertIn("State:    closed\n", ticket)
        self.assertIn("This is a drill", ticket)
        self.assertNotIn("To be done by hand", ticket)
        replies = self.texts("replies/new")
        self.assertEqual(len(replies), 2)
        for reply in replies:
            self.assertIn("\nSubject: DRILL: nothing expires: ", reply)
            self.assertNotIn("text/calendar", reply)
        self.assertEqual(len(self.drill(0)) > 0 and len(self.cases()), 2)

    def test_a_worker_that_runs(self):
        self.configure(ACTIONS + RULE)
        with subprocess.Popen([self.world.mailhook, "run", "--config", self.world.conf], env=self.world.env,
                              stderr=subprocess.PIPE) as worker:
            try:
                self.world.write(self.world.dir + "/ready", "")
                steps = self.drill(0)
            finally:
                worker.terminate()
                worker.communicate(timeout=60)
        self.assertEqual(steps["r.closed"][0], "ok")

    def test_a_real_notice_stays_one(self):
        """Neither joins the other, whichever comes first."""
        self.configure(ACTIONS + RULE)
        self.assertEqual(self.mailhook("pipe", stdin=(NOTICE % "<real-1@example.com>").encode())[0], 0)
        self.work()
        self.drill(0)
        self.assertEqual(self.mailhook("pipe", stdin=(NOTICE % "<real-2@example.com>").encode())[0], 0)
        self.work()
        cases = sorted(self.cases(), key=lambda c: c["id"])
        self.assertEqual([(c["reason"], c["state"]) for c in cases],
                         [(None, "open"), ("drill: nothing expires", "closed")])
        self.assertEqual(sum("DRILL" in t.split("\n")[0] for t in self.texts("tickets")), 1)

    def test_forged(self):
        """The field, and the id of a drill that is over, make no drill."""
        self.configure(ACTIONS + RULE)
        self.drill(0)
        with sqlite3.connect(self.world.ledger) as db:
            (used,) = db.execute("SELECT message_id FROM messages").fetchone()
        for mark in (used, "<>", "<mailhook-drill.00000000000000000000000000000000@localhost>"):
            self.assertEqual(self.mailhook("pipe", stdin=(NOTICE % mark).encode())[0], 0)
        self.work()
        real = [c for c in self.cases() if c["reason"] is None]
        self.assertEqual([(c["state"], c["account"]) for c in real], [("open", "000000000000")])
        self.assertEqual(sum("DRILL" in t.split("\n")[0] for t in self.texts("tickets")), 1)

    def test_left_behind(self):
        """A drill that was broken off: told apart, and closed by the next."""
        self.configure(ACTIONS + RULE)
        self.drill(0)
        with sqlite3.connect(self.world.ledger) as db:
            db.execute("UPDATE meta SET value = '<half@localhost>' WHERE name = 'drill'")
        self.assertEqual(self.mailhook("pipe", stdin=(NOTICE % "<half@localhost>").encode())[0], 0)
        self.work()
        status = json.loads(self.mailhook("status", "--json")[1])
        self.assertEqual((status["cases_open"], status["drills_open"]), (0, 1))
        self.assertIn("drills      1 open\n", self.mailhook("status")[1])
        self.drill(0)
        self.assertEqual([c["state"] for c in self.cases()], ["closed"] * 3)

    def test_no_rule(self):
        self.configure('rule "others" { kinds = {"github.token"}  do = {"e"} }\n')
        steps = self.drill(1)
        self.assertEqual(steps["case"][0], "FAULT")
        self.assertIn("no rule takes it", steps["case"][1])
        self.assertEqual([c["state"] for c in self.cases()], ["closed"])

    def test_no_reply(self):
        self.configure('action "t" { program = "ticket" }\nrule "all" { do = {"t"} }\n')
        self.assertEqual(self.drill(0)["reply"][0], "none")

    def test_what_fails(self):
        rows = [
            ("failed", '{"outcome":"failed","summary":"no such project"}', "failed: no such project"),
            ("later", '{"outcome":"retry","summary":"no network"}', "tried again later: no network"),
            ("waits", '{"outcome":"waiting","waiting_for":"input","summary":"no password"}', "waiting: no password"),
        ]
        for name, answer, words in rows:
            with self.subTest(name):
                program = os.path.join(self.world.dir, "tickets-" + name)
                with open(program, "w", encoding="ascii") as f:
                    f.write("#!/bin/sh\necho '%s'\n" % answer)
                os.chmod(program, 0o700)
                self.configure('action "t" { program = "%s"  role = "ticket" }\naction "r" { program = "reply" }\n'
                               'rule "all" { do = {"t", "r"} }\n' % program)
                steps = self.drill(1)
                self.assertEqual(steps["t.opened"][0], "FAULT")
                self.assertIn(words, steps["t.opened"][1])
                self.assertEqual(self.cases()[-1]["state"], "closed")

    def test_no_intake(self):
        self.configure(ACTIONS + RULE)
        self.world.write(self.world.intake, "a file\n")
        steps = self.drill(1)
        self.assertEqual(steps["pipe"], ("FAULT", "exit 75: the notice was not taken"))

    def test_observe(self):
        self.configure("observe = true\n" + ACTIONS + RULE)
        steps = self.drill(0)
        self.assertIn("observed: would open a ticket", steps["t.opened"][1])
        self.assertEqual(self.texts("tickets") + self.texts("replies/new"), [])

    def test_wrong_configuration(self):
        self.configure("nonsense = 1\n")
        code, _, err = self.mailhook("drill")
        self.assertEqual(code, 2)
        self.assertIn("mailhook.conf:3:", err)

    def test_show_templates(self):
        self.configure(ACTIONS + RULE)
        code, out, err = self.mailhook("check", "--show-templates")
        self.assertEqual(code, 0, err)
        for part in ("\n  title: SCIM access token", "\n  | What expires:", "\n  comment: A notice", "\n  subject: [mailhook]",
                     "\n  html: <!DOCTYPE html>", "\n  calendar: BEGIN:VCALENDAR"):
            self.assertIn(part, out)
        with open(self.world.dir + "/verbs", encoding="ascii") as f:
            self.assertEqual(f.read(), "check\ndescribe\n")
        self.assertEqual(self.texts("tickets") + self.texts("replies/new"), [])
        self.assertNotIn("title:", self.mailhook("check")[1])


if __name__ == "__main__":
    unittest.main()
