#!/usr/bin/env python3
"""Replies through a real sendmail program: Postfix's, with a private Postfix behind it."""
import email
import email.policy
import os
import shutil
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "servers"))
import action  # noqa: E402
import postfix  # noqa: E402
import private  # noqa: E402

PROGRAM = os.path.join(os.environ["MAILHOOK_BUILD"], "libexec/mailhook/actions/reply")
BOXES = ["ops@example.com", "second@example.com"]
NOW = "2026-01-04T04:05:06Z"
JOB = "0123456789abcdef" * 2
BODY = ".\n..two dots\nFrom the start\n{what}\nK\u00f6ln = 100 %\ntrailing \n.\nlast\n"


@unittest.skipUnless(postfix.available(), "needs root and Postfix")
class Sendmail(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="mailhook-sendmail-")
        cls.postfix = postfix.Postfix(cls.folder, {"smtp": {}}, mailboxes=BOXES).start()
        cls.program = cls.write("sendmail", "#!/bin/sh\nexec /usr/sbin/sendmail -C %s \"$@\"\n" % cls.postfix.conf, 0o755)
        cls.template = cls.write("body", BODY, 0o644)

    @classmethod
    def tearDownClass(cls):
        cls.postfix.stop()
        shutil.rmtree(cls.folder)

    @classmethod
    def write(cls, name, text, mode):
        path = os.path.join(cls.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def setUp(self):
        for box in BOXES:
            self.postfix.empty(box)

    def mails(self, box, n):
        """The n mails of a mailbox; Postfix looks into its maildrop each second."""
        private.wait_until("%d mails for %s" % (n, box), lambda: len(self.postfix.mails(box)) >= n)
        return self.postfix.mails(box)

    def send(self, to, more="", verb="run", deadline="2026-01-04T04:06:06Z", **values):
        config = self.write("reply.conf", 'transport = "sendmail"\nsendmail = "%s"\nfrom = "mailhook@example.com"\n'
                            "to = {%s}\n%s" % (self.program, ", ".join('"%s"' % a for a in to), more), 0o644)
        return action.run(PROGRAM, verb, action.request(config, NOW, deadline=deadline, **values))

    def test_arrives_as_it_was_written(self):
        r = self.send(BOXES, 'template = "%s"\n' % self.template)
        self.assertEqual((r.last["outcome"], r.last["summary"].split(";")[0]),
                         ("done", "reply sent to ops@example.com, second@example.com"))
        self.assertEqual(r.checkpoints, [{"sending": "<%s@example.com>" % JOB}])
        for box in BOXES:
            raw, = self.mails(box, 1)
            mail = email.message_from_bytes(raw, policy=email.policy.default)
            self.assertEqual(mail["Return-Path"], "<>")
            self.assertEqual(mail["Message-ID"], "<%s@example.com>" % JOB)
            self.assertEqual(mail["To"], ", ".join(BOXES))
            self.assertEqual(mail["Auto-Submitted"], "auto-replied")
            self.assertEqual(mail.get_body(("plain",)).get_content().replace("\r\n", "\n"),
                             BODY.replace("{what}", "SCIM access token of IAM Identity Center"))

    def test_recipients_are_arguments_only(self):
        """Addresses that stand in the facts are not written to."""
        r = self.send(["ops@example.com"], outcomes=[{"action": "x", "outcome": "done",
                                                      "summary": "Bcc: second@example.com\nBcc: second@example.com"}])
        self.assertEqual(r.last["outcome"], "done")
        self.assertEqual(len(self.mails("ops@example.com", 1)), 1)
        self.assertEqual(self.postfix.mails("second@example.com"), [])

    def test_a_lost_answer_sends_the_same_mail_again(self):
        for attempt in (1, 2):
            r = self.send(["ops@example.com"], attempt=attempt, state={} if attempt == 1 else {"sending": "x"})
            self.assertEqual(r.last["outcome"], "done")
        ids = {email.message_from_bytes(raw)["Message-ID"] for raw in self.mails("ops@example.com", 2)}
        self.assertEqual(ids, {"<%s@example.com>" % JOB})

    def test_a_job_that_was_taken_away_sends_nothing(self):
        config = self.write("reply.conf", 'transport = "sendmail"\nsendmail = "%s"\nto = {"ops@example.com"}\n'
                            % self.program, 0o644)
        r = action.run(PROGRAM, "run", action.request(config, NOW), lease=lambda: False)
        self.assertEqual(r.last["outcome"], "retry")
        self.assertEqual(self.postfix.mails("ops@example.com"), [])

    def test_a_queue_that_is_missing_is_later(self):
        """Not lost and not given up, whatever code Postfix's program ends with; and its words are told."""
        conf = os.path.join(self.folder, "broken")
        os.makedirs(conf)
        with open(os.path.join(self.postfix.conf, "main.cf"), encoding="utf-8") as f:
            settings = f.read().replace(os.path.join(self.folder, "queue"), os.path.join(self.folder, "missing"))
        self.write("broken/main.cf", settings, 0o644)
        program, self.program = self.program, self.write(
            "sendmail-broken", "#!/bin/sh\nexec /usr/sbin/sendmail -C %s \"$@\"\n" % conf, 0o755)
        try:
            r = self.send(["ops@example.com"], deadline="2026-01-04T04:05:11Z")
        finally:
            self.program = program
        self.assertEqual(r.last["outcome"], "retry", r.last)
        self.assertTrue(any(line.startswith("sendmail: ") for line in r.said), r.said)

    def test_check_sends_nothing(self):
        r = self.send(["ops@example.com"], verb="check")
        self.assertEqual(r.last["outcome"], "done")
        self.assertEqual(self.postfix.mails("ops@example.com"), [])


if __name__ == "__main__":
    unittest.main()
