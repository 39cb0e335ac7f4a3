#!/usr/bin/python3
"""--json of the commands that steer and keep: one object, the keys that the manual names, and the lines as without it."""
import json
import os
import sys
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "faults"))
from world import World, notice  # noqa: E402

CONF = """
trust { resolver = "127.0.0.1:1" }
action "jira" { program = "ticket" }
action "renew" { program = "@/renew"  role = "effect"  needs = "unverified" }
rule "scim" { kinds = {"aws.identity-center.*"}  do = {"jira", "renew"} }
rule "rest" { order = 100  do = {"jira"} }
"""
RENEW = """#!/bin/sh
read -r line
[ "$1" = input ] && read -r secret <&3
case $1-$(cat @/answer) in
check-*) echo '{"outcome":"done","summary":"fit"}' ;;
input-*) echo '{"outcome":"done","summary":"taken"}' ;;
run-*) echo "{\\"outcome\\":\\"waiting\\",\\"waiting_for\\":\\"$(cat @/answer)\\",\\"summary\\":\\"x\\"}" ;;
esac
"""
EXPIRES, ACCOUNT = "2026-03-31T04:05:06Z", "123456789012"


class Json(unittest.TestCase):
    def setUp(self):
        self.room = World()
        self.addCleanup(self.room.__exit__, None, None, None)
        self.room.write(self.room.conf, 'state_dir = "%s"\n%s' % (self.room.state, CONF.replace("@", self.room.dir)))
        self.room.write(self.room.dir + "/renew", RENEW.replace("@", self.room.dir))
        os.chmod(self.room.dir + "/renew", 0o700)

    def wait_for(self, what):
        self.room.write(self.room.dir + "/answer", what)
        self.assertEqual(self.room.pipe_alone(notice(1)).returncode, 0)
        self.assertEqual(self.room.run_once().returncode, 0)

    def told(self, *args, code=0, keys=(), stdin=b""):
        done = self.room.do(*args, "--json", stdin=stdin)
        self.assertEqual(done.returncode, code, (args, done))
        self.assertEqual(done.stdout.count(b"\n"), 1, (args, done))
        j = json.loads(done.stdout)
        self.assertEqual(set(j), {*keys, "said"}, args)
        self.assertTrue(j["said"] and all(isinstance(x, str) and "\n" not in x for x in j["said"]), (args, j))
        return j

    def test_a_case(self):
        self.wait_for("approval")
        j = self.told("approve", "1", keys=["case"])
        self.assertEqual((j["case"]["id"], j["case"]["state"], j["case"]["account"]), (1, "open", ACCOUNT))
        self.assertIsNotNone(j["case"]["approved_by"])
        self.assertEqual(j["said"][0], "case 1 is approved")
        j = self.told("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", EXPIRES, keys=["case"])
        self.assertTrue(j["case"]["vouched"])
        self.room.run_once()
        self.assertEqual(self.failed(), [(2,)])
        self.assertEqual(self.told("retry", "1", keys=["case"])["said"][0], "case 1: 1 jobs are tried again")
        j = self.told("close", "1", keys=["case"])
        self.assertEqual(j["case"]["state"], "closed")
        done = self.room.do("close", "1", "--json")
        self.assertEqual((done.returncode, done.stdout), (2, b""), "what fails says so on standard error")
        self.assertIn(b"closed already", done.stderr)

    def failed(self):
        """A job to try again, for retry."""
        return self.room.rows("UPDATE jobs SET state = 'failed', waiting_for = NULL, ended = created, due = NULL WHERE action = 'renew' "
                              "RETURNING id")

    def test_handover(self):
        self.wait_for("input")
        j = self.told("handover", "1", keys=["action", "taken", "case"], stdin=b"secret\n")
        self.assertEqual((j["action"], j["taken"], j["case"]["id"]), ("renew", True, 1))
        self.assertEqual(j["said"][0], "case 1, renew: taken")

    def test_the_whole(self):
        self.wait_for("approval")
        for args, expected in (
            (("pause",), {"paused": True, "scope": "all", "name": None}),
            (("resume",), {"paused": False, "scope": "all", "name": None}),
            (("pause", "--rule", "scim"), {"paused": True, "scope": "rule", "name": "scim"}),
            (("purge",), {"messages": 0, "cases": 0}),
        ):
            j = self.told(*args, keys=expected)
            self.assertEqual({k: j[k] for k in expected}, expected, args)
        path = self.room.dir + "/copy.db"
        j = self.told("backup", path, keys=["file", "cases", "needs"])
        self.assertEqual((j["file"], j["cases"]), (path, 1))
        self.assertEqual([x["what"] for x in j["needs"]], ["configuration", "state"])
        self.assertIn(self.room.conf, j["needs"][0]["where"])

    def test_check(self):
        self.room.write(self.room.dir + "/answer", "approval")
        j = self.told("check", keys=["well", "wrong", "actions"])
        self.assertEqual((j["well"], j["wrong"]), (True, 0))
        self.assertEqual([(x["action"], x["fit"]) for x in j["actions"]], [("jira", True), ("renew", True)])
        plain = self.room.do("check")
        self.assertEqual(plain.stdout.decode().splitlines(), j["said"], "what is said is what is printed")
        online = self.room.do("check", "--online")
        j = self.told("check", "--online", code=1, keys=["well", "wrong", "actions"])
        self.assertEqual((j["well"], j["wrong"]), (False, 1))
        self.assertEqual(online.stdout.decode().splitlines(), j["said"], "also what other programs print")

    def test_drill(self):
        self.room.write(self.room.dir + "/answer", "approval")
        self.room.env.pop("MAILHOOK_CLOCK_FILE")
        done = self.room.do("drill", "--json")
        self.assertEqual(done.stdout.count(b"\n"), 1, done)
        j = json.loads(done.stdout)
        self.assertEqual(set(j), {"steps", "well", "said"})
        self.assertEqual(done.returncode, 0 if j["well"] else 1)
        self.assertTrue({"ok"} <= {x["verdict"] for x in j["steps"]} <= {"ok", "slow", "none", "FAULT"}, j)
        self.assertTrue(all(x["ms"] >= 0 and x["step"] and x["words"] for x in j["steps"]))
        self.assertEqual(len(j["said"]), len(j["steps"]) + 1)


if __name__ == "__main__":
    unittest.main()
