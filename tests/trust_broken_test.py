#!/usr/bin/python3
"""A verifier that is not there, crashes, or answers what it must not: the worker that asks is built with sanitizers too."""
import sys
import unittest

sys.dont_write_bytecode = True
from trust_test import Room


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


if __name__ == "__main__":
    unittest.main()
