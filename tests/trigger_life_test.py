#!/usr/bin/env python3
"""The trigger in mailhook's own hands: from the mail to the renewal, with approvals, reminders, repeated notices and a
worker that dies. Whatever wakes it, it has one job a case, and one effect."""
import json
import os
import subprocess
import sys
import unittest
from datetime import timedelta

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(HERE, "servers"), os.path.join(HERE, "faults")]
import aws_server  # noqa: E402
from world import World, notice  # noqa: E402

CONF = """
action "ticket" {{ program = "ticket" }}
action "go" {{ program = "trigger"  needs = "{needs}"  pass_env = {{"AWS_SHARED_CREDENTIALS_FILE"}} }}
rule "all" {{ do = {{"ticket", "go"}} }}
"""
OWN = """
preset = "step-functions"
settings = {{"state_machine=arn:aws:states:eu-west-1:111122223333:stateMachine:rotate"}}
values = {{"who=account {{account}}"}}
aws {{ region = "eu-west-1" endpoint = "{url}" }}
"""
ID, SECRET = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


class TriggerLife(unittest.TestCase):
    def setUp(self):
        self.aws = aws_server.AwsServer()
        self.addCleanup(self.aws.stop)
        self.effects = self.aws.services.effects

    def world(self, needs="unverified", own=OWN):
        w = World(config=CONF.format(needs=needs))
        self.addCleanup(lambda: w.__exit__(None, None, None))
        os.mkdir(os.path.join(w.dir, "actions"))
        w.write(os.path.join(w.dir, "actions", "go.conf"), own.format(url=self.aws.url))
        w.env["AWS_SHARED_CREDENTIALS_FILE"] = os.path.join(w.dir, "credentials")
        w.write(w.env["AWS_SHARED_CREDENTIALS_FILE"], "[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n" % (ID, SECRET))
        os.chmod(w.env["AWS_SHARED_CREDENTIALS_FILE"], 0o600)
        return w

    def run_mailhook(self, w, *words, stdin=b"", codes=(0, 1)):
        done = subprocess.run([w.mailhook, words[0], "--config", w.conf, *words[1:]], input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=w.env, timeout=60, check=False)
        self.assertIn(done.returncode, codes, (words, done.stderr))
        return done.stdout.decode()

    def work(self, w, minutes=0):
        if minutes:
            w.now += timedelta(minutes=minutes)
            w.set_clock()
        w.run_once()
        return self.run_mailhook(w, "show", "1")

    def take(self, w, number):
        self.assertEqual(w.pipe_alone(notice(number)).returncode, 0)
        return self.work(w)

    def end(self, status):
        (execution,) = self.aws.services.executions.values()
        execution["status"] = status

    def test_from_mail_to_renewal(self):
        w = self.world()
        self.assertIn("has not ended yet", self.take(w, 1))
        self.take(w, 2)
        self.run_mailhook(w, "approve", "1")
        for minutes in (2, 60, 1):
            self.work(w, minutes)
        self.assertEqual(len(self.effects), 1)
        self.assertEqual(self.effects[0][2]["who"], "account 123456789012")
        self.end("SUCCEEDED")
        shown = self.work(w, 5)
        self.assertIn("ended well", shown)
        self.assertEqual(len(self.effects), 1)
        jobs = [j for j in json.loads(self.run_mailhook(w, "show", "--json", "1"))["jobs"] if j["action"] == "go"]
        self.assertEqual([(j["event"], j["state"]) for j in jobs], [("opened", "done")], "one job, whatever woke it")
        (path,) = w.tickets()
        with open(path, encoding="utf-8") as f:
            ticket = f.read()
        self.assertIn("State:    closed", ticket)
        self.assertNotIn(SECRET, shown + ticket)

    def test_waits_for_trust_and_approval(self):
        w = self.world(needs="verified")
        self.take(w, 1)
        self.work(w, 5)
        self.assertEqual(self.aws.calls, [], "a mail alone starts nothing")
        self.run_mailhook(w, "approve", "1", "--vouch", "--account", "123456789012", "--expires", "2026-03-31T04:05:06Z")
        self.work(w, 1)
        self.assertEqual(len(self.effects), 1)

    def test_fails_and_is_tried_again(self):
        w = self.world()
        self.take(w, 1)
        self.end("FAILED")
        self.assertIn("started, and failed", self.work(w, 2))
        self.assertEqual(len(self.effects), 1)
        self.work(w, 60)
        self.assertEqual(len(self.effects), 1, "nobody asked for another start")
        self.run_mailhook(w, "retry", "1")
        self.assertIn("has not ended yet", self.work(w, 1))
        self.assertEqual(len(self.effects), 2)
        self.assertEqual(len({e[2]["job_key"] for e in self.effects}), 2)

    def test_a_step_is_approved(self):
        own = OWN.replace("step-functions", "eventbridge").replace("settings =", "#")
        w = self.world(own=own)
        self.aws.fault("AWSEvents.PutEvents", "lost")
        self.assertIn("start-again", self.take(w, 1))
        self.work(w, 60)
        self.assertEqual(len(self.effects), 1, "nobody has approved")
        self.run_mailhook(w, "approve", "1", "--step", "start-again")
        self.assertIn("renewed", self.work(w, 1))
        self.assertEqual(len(self.effects), 2)
        self.run_mailhook(w, "approve", "1", "--step", "renewed")
        self.assertIn("a person says that it is renewed", self.work(w, 1))
        self.assertEqual(len(self.effects), 2)

    def test_check_and_drill_start_nothing(self):
        w = self.world()
        said = self.run_mailhook(w, "check", "--online")
        self.assertNotIn("failed", said.lower(), said)
        self.assertEqual(self.effects, [])


if __name__ == "__main__":
    unittest.main()
