#!/usr/bin/python3
"""A verifier that is not there, crashes, or answers what it must not: the worker that asks is built with sanitizers too."""
import json
import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True
from trust_test import BUILD, Room

VERIFY = BUILD + "/libexec/mailhook/mailhook-verify"


class Broken(unittest.TestCase):
    def test_broken_verifier(self):
        """Whatever becomes of it, the ticket is there, and nothing that needs trust begins."""
        good = '{"level":"verified","temporary":false,"by":"dkim amazon.com s1","steps":[]}'
        for name, script, pending, words in (
                ("is not there", None, 1, "cannot run"),
                ("cannot begin", "exit 75\n", 1, "could not begin"),
                ("crashes", "kill -SEGV $$\n", 0, "crashed"),
                ("crashes behind its answer", "echo '%s'\nkill -SEGV $$\n" % good, 0, "crashed"),
                ("says nothing", "exit 0\n", 0, "garbage"),
                ("says no JSON", "echo verified\n", 0, "garbage"),
                ("knows another level", "echo '%s'\n" % good.replace('"verified"', '"certain"'), 0, "garbage"),
                ("says twice", "echo '%s'\necho '%s'\n" % (good, good), 0, "garbage"),
                ("says without end", "yes\n", 0, "too much")):
            with self.subTest(name), Room() as r:
                r.with_verifier(script)
                r.take(r.mail())
                self.assertEqual(r.jobs(), {"jira opened": "done", "turn opened": "waiting trust"})
                self.assertEqual(r.rows("SELECT count(*) FROM verifications"), [(pending,)])
                self.assertEqual(r.rows("SELECT trust FROM messages"), [("unverified",)])
                self.assertIn(words, r.rows("SELECT trust_steps FROM messages")[0][0])
                self.assertEqual(r.turned(), [])

    def test_judge_without_sockets(self):
        """A judge that cannot have its sockets opened judges without DNS, and says that it is to be asked again."""
        with Room() as r:
            with open(r.dir + "/mail", "wb") as f:
                f.write(r.mail())
            question = {"received": "2025-11-06T09:00:00Z", "signers": ["amazon.com"], "senders": ["no-reply-aws@amazon.com"],
                        "trust": {"authserv_id": [], "arc_sealers": [], "forwarders": [], "sns_topics": [], "hops": 1,
                                  "authres_stripped": False, "resolver": "127.0.0.1:1"}}
            for limit, words in ((64, "does not listen"), (5, "no socket to ask for sockets")):
                with self.subTest(limit):
                    done = subprocess.run(["/bin/sh", "-c", 'ulimit -n "$2"; exec "$0" judge 3<"$1"', VERIFY, r.dir + "/mail", str(limit)],
                                          input=json.dumps(question).encode(), capture_output=True, timeout=60, check=False)
                    self.assertEqual(done.returncode, 0, done)
                    said = json.loads(done.stdout)
                    self.assertEqual((said["level"], said["temporary"]), ("unverified", True), said)
                    self.assertIn(words, " ".join(said["steps"]))

    def test_asks_the_next_mail_too(self):
        """Where an answer fails quickly it may be for one name alone; where it takes time, the others must not wait as well."""
        for name, wait, asked in (("quickly", "", 2), ("slowly", "sleep 1.1\n", 1)):
            with self.subTest(name), Room() as r:
                r.with_verifier("echo asked >>'%s/asked'\n%sexit 75\n" % (r.dir, wait))
                os.mkdir(r.dir + "/state/intake", 0o700)
                for i, mail in enumerate((r.mail("a-8bit"), r.mail("a-qp"))):
                    path = r.file("state/intake/0123456789abcde%d.msg" % i, "mailhook 1 2025-11-06T09:00:00Z from=- cut=0\n")
                    with open(path, "ab") as f:
                        f.write(mail)
                r.run("run", "--once")
                self.assertEqual(r.lines("asked"), asked * ["asked"])
                self.assertEqual(r.rows("SELECT count(*) FROM verifications"), [(2,)], "both are judged again")


if __name__ == "__main__":
    unittest.main()
