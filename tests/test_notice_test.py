"""`mailhook test-notice`: a definition against a folder of mails, and `check` of one that a mail could stop."""

import json
import os
import subprocess
import tempfile
import unittest

MAILHOOK = os.path.join(os.environ["MAILHOOK_BUILD"], "bin", "mailhook")
SOURCE = os.environ["MAILHOOK_SOURCE"]

DEFINITION = """\
notice "example-licence" {
	kind     = "example.licence"
	literals = {"Your Example licence"}
	patterns = {
		'Your Example licence (?<resource>[A-Z0-9-]{8,20}) ends on (?<expires>.{6,40})'
	}
}
"""
SLOW = DEFINITION.replace("ends on", "(?:[a-z]+ ?)+(?:[a-z]+ ?)+ends on")
MAIL = """\
From: Billing <billing@example.com>
Subject: Your licence
Date: Mon, 5 Jan 2026 09:00:00 +0000
Message-ID: <licence@example.com>

Your Example licence AB12-CD34 ends on March 5, 2026.
"""
WHOLE = {
    "verdict": "notice",
    "parser": "example-licence",
    "notices": [{"kind": "example.licence", "resource": "AB12-CD34", "expires": "2026-03-05T23:59:59Z"}],
}


def changed(**facts):
    return {**WHOLE, "notices": [{**WHOLE["notices"][0], **facts}]}


class TestNotice(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name, text=None):
        path = os.path.join(self.folder.name, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if text is not None:
            with open(path, "w", encoding="utf-8") as f:
                f.write(text)
        return path

    def run_it(self, *arguments):
        return subprocess.run([MAILHOOK, *arguments], capture_output=True, text=True, timeout=60, check=False)

    def try_one(self, definition, expected, *options, mail=MAIL):
        self.path("example.notice", definition)
        self.path("mails/one.eml", mail)
        if expected is not None:
            self.path("mails/one.json", expected if isinstance(expected, str) else json.dumps(expected))
        return self.run_it(
            "test-notice", *options, os.path.join(self.folder.name, "example.notice"), self.path("mails/")
        )

    def test_rows(self):
        rows = [
            # name, what is expected beside the mail, exit code, the mail's line
            ("all that matters", WHOLE, 0, "ok         one.eml"),
            ("only the verdict", {"verdict": "notice"}, 0, "ok         one.eml"),
            ("another source", {**WHOLE, "source": "elsewhere"}, 0, "ok         one.eml"),
            (
                "another day",
                changed(expires="2026-03-06T23:59:59Z"),
                1,
                'differs    one.eml: notices[0].expires is "2026-03-05T23:59:59Z", expected "2026-03-06T23:59:59Z"',
            ),
            ("a fact that is null", changed(account="4711"), 1, 'notices[0].account is null, expected "4711"'),
            ("a key that is not known", changed(colour="red"), 1, 'notices[0].colour is not there, expected "red"'),
            ("fewer notices", {"notices": []}, 1, "differs    one.eml: notices is [{"),
            ("nothing expected yet", None, 1, "new        one.eml: no one.json says what to expect; it reads {"),
            ("no JSON", "{", 1, "unreadable one.eml"),
        ]
        for name, expected, code, line in rows:
            with self.subTest(name):
                self.setUp()
                done = self.try_one(DEFINITION, expected)
                self.assertEqual(done.returncode, code, done.stdout + done.stderr)
                self.assertIn(line, done.stdout)
                self.assertEqual(len(done.stdout.splitlines()), 2, "a line a mail, and the sum")

    def test_usage(self):
        rows = [
            ("a wrong definition", DEFINITION.replace("kind  ", "kinds "), WHOLE, "example.notice:2: "),
            ("a slow definition", SLOW, WHOLE, "needs more than 200000 steps"),
        ]
        for name, definition, expected, words in rows:
            with self.subTest(name):
                self.setUp()
                done = self.try_one(definition, expected)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertIn(words, done.stderr)
        self.setUp()
        notice, empty = self.path("example.notice", DEFINITION), self.path("empty/")
        for name, arguments in (
            ("no mail", (notice, empty)),
            ("no folder", (notice, "/nonexistent")),
            ("no definition", ("/nonexistent", empty)),
            ("one argument", (notice,)),
        ):
            with self.subTest(name):
                done = self.run_it("test-notice", *arguments)
                self.assertEqual((done.returncode, done.stdout), (2, ""))
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_json(self):
        done = self.try_one(DEFINITION, changed(resource="x"), "--json")
        (line,) = done.stdout.splitlines()
        got = json.loads(line)
        self.assertEqual(list(got), ["mail", "result", "difference", "reading"])
        self.assertEqual((got["mail"], got["result"]), ("one.eml", "differs"))
        self.assertEqual(got["difference"], 'notices[0].resource is "AB12-CD34", expected "x"')
        self.assertEqual(got["reading"]["notices"][0]["resource"], "AB12-CD34")

    def test_the_samples(self):
        """A shipped definition in the place of itself reads what it read."""
        done = self.run_it(
            "test-notice", f"{SOURCE}/parsers/aws-scim-token.notice", f"{SOURCE}/samples/notices/scim"
        )
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertGreater(len(done.stdout.splitlines()), 20)

    def test_check(self):
        """`check` says so too, and finds none of the shipped ones slow."""
        conf = self.path("mailhook.conf", f'state_dir = "{self.folder.name}/state"\ndefinitions_dir = "{self.path("d")}"\n')
        for name, definition, code in (("quick", DEFINITION, 0), ("slow", SLOW, 1)):
            with self.subTest(name):
                self.path("d/example.notice", definition)
                done = self.run_it("check", "--config", conf)
                self.assertEqual("needs more than 200000 steps" in done.stderr, code == 1, done.stderr)
                if code == 1:
                    self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
                self.assertNotIn("(shipped)", done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
