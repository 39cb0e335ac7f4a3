#!/usr/bin/env python3
"""Rotations through the real programs, from a piped notice to the last reply: by API, and handed over by a person."""
import os
import pty
import select
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
import rotation  # noqa: E402
from whole import EXPIRES, Whole, notice  # noqa: E402

YEAR = 365 * rotation.DAY


def typed(w, made=None):
    """What a person types after making a token in the console."""
    old = w.center.tokens[0]
    made = made or w.center.add(w.stand_ins.t + YEAR, created=w.stand_ins.t - 60)
    return "".join(x + "\n" for x in (old["TokenId"], EXPIRES, made["TokenId"],
                                      rotation.instant(int(made["ExpirationTime"])), made["Token"]))


class WholeTest(unittest.TestCase):
    def well(self, done, words=""):
        text = (done.stdout + done.stderr).decode(errors="replace")
        self.assertEqual(done.returncode, 0, text)
        self.assertIn(words, text)

    def finished(self, w, words):
        """The last reply and the ticket tell the truth, and the next cycle is expected."""
        (token,) = w.center.tokens
        self.assertEqual(token["Token"], w.sync.saved["SecretToken"])
        new_end = rotation.instant(int(token["ExpirationTime"]))
        mails = [" ".join(m.replace("=\n", "").split()) for m in w.mails()]
        reports = [m for m in mails if "rotated: new token" in m]
        self.assertTrue(reports, mails)
        for text in reports + [" ".join(w.ticket().split())]:
            for word in (token["TokenId"], new_end[:10], "AWS writes of it next from", words):
                self.assertIn(word, text)
        for mail in mails:
            self.assertFalse("--step delete" in mail and "Generate a token and copy it" in mail, "steps that are done are not told")
        self.assertIn("closed", w.ticket())
        shown = w.do("show", "1").stdout.decode()
        self.assertIn("renewed", shown)
        w.check(self, "the whole run")
        w.advance(days=285)  # AWS's notice is due, and does not come
        w.run_once()
        self.assertEqual(w.rows("SELECT count(*) FROM cases WHERE kind = 'mailhook.silence'"), [(0,)])
        w.advance(days=8)
        w.run_once()
        self.assertEqual(w.rows("SELECT count(*) FROM cases WHERE kind = 'mailhook.silence'"), [(1,)])

    def test_by_api(self):
        with Whole() as w:
            w.opened()
            job = w.work("delete")
            self.assertEqual(job[:2], ("waiting", "approval"))
            self.assertIn("mailhook approve 1 --step delete", " ".join(w.ticket().split()))
            self.assertTrue(any("--step delete" in " ".join(m.replace("=\n", "").split()) for m in w.mails()), "the reply asks")
            refused = w.do("approve", "1", "--step", "orphan")
            self.assertEqual(refused.returncode, 2)
            self.assertIn(b"what waits is delete", refused.stderr)
            self.assertEqual(len(w.center.tokens), 2, "nothing goes before the word")
            self.well(w.do("approve", "1", "--step", "delete"), "step delete")
            w.work("done")
            self.assertEqual([r[0] for r in w.rows("SELECT step FROM approvals ORDER BY id")], [None, "delete"])
            self.finished(w, "Deletion approved by")
            again = w.do("approve", "1", "--step", "delete")
            self.assertEqual(again.returncode, 2, again)

    def test_a_second_notice_doubles_nothing(self):
        with Whole() as w:
            w.opened()
            w.work("delete")
            w.pipe_alone(notice(2))
            w.run_once()
            self.assertEqual(w.rows("SELECT count(*) FROM jobs WHERE action = 'entra'"), [(1,)])
            self.assertEqual(len(w.stand_ins.created), 1)

    def test_observe(self):
        with Whole(more="observe = true") as w:
            w.pipe_alone(notice())
            w.run_once()
            w.do("approve", "1", "--vouch", "--account", rotation.ACCOUNT, "--expires", EXPIRES)
            w.run_once()
            self.assertIn("would rotate", w.job()[3])
            self.assertEqual((w.stand_ins.created, w.sync.puts), ([], []))
            self.assertEqual(w.do("handover", "1", stdin=b"x").returncode, 2)

    def test_handover_by_a_pipe(self):
        with Whole(aws="handover") as w:
            w.opened()
            job = w.work("token")
            self.assertEqual(job[:2], ("waiting", "input"))
            text = " ".join(w.ticket().split())
            for words in ("Manage provisioning", "Generate token", "mailhook handover 1"):
                self.assertIn(words, text, "the ticket says what to click")
            wrong = w.do("handover", "1", stdin=b"x\n")
            self.assertEqual(wrong.returncode, 1, wrong)
            self.assertIn(b"nothing was taken", wrong.stderr)
            self.assertEqual(w.job()[:2], ("waiting", "input"))
            self.well(w.do("handover", "1", stdin=typed(w).encode()), "AWS takes it too")
            self.assertEqual(w.do("handover", "1", stdin=b"x\n").returncode, 2, "nothing waits for input any more")
            w.work("delete")
            w.center.deleted.append(w.center.tokens.pop(0))
            w.advance(minutes=1)
            self.well(w.do("approve", "1"), "approved")
            w.work("done")
            self.finished(w, "(a person says so)")

    def test_handover_at_a_terminal(self):
        with Whole(aws="handover") as w:
            w.opened()
            w.work("token")
            lines = typed(w).splitlines()
            pid, master = pty.fork()
            if pid == 0:
                os.execve(w.mailhook, w.command("handover", "1"), w.env)
            shown = b""

            def read_until(words, shown):
                end = time.monotonic() + 30
                while words not in shown:
                    if time.monotonic() > end or not select.select([master], [], [], 1)[0]:
                        if time.monotonic() > end:
                            raise AssertionError("no %r in %r" % (words, shown))
                        continue
                    try:
                        shown += os.read(master, 4096)
                    except OSError:
                        break
                return shown
            at = 0
            for words, line in zip((b"old token", b"its end", b"id of the new token", b"its end", b"not shown"), lines):
                fresh = read_until(words, shown[at:])
                shown = shown[:at] + fresh
                at = shown.index(words, at) + len(words)
                os.write(master, line.encode() + b"\n")
            shown = read_until(b"AWS takes it too", shown)
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0, shown)
            os.close(master)
            self.assertIn(lines[0].encode(), shown, "ids are echoed")
            for i in range(0, len(lines[4]) - 20, 20):
                self.assertNotIn(lines[4][i:i + 20].encode(), shown, "the token is not")
            w.run_once()
            self.assertEqual(w.job()[0], "waiting")
            w.check(self, "terminal")

    def test_a_handover_that_is_broken_off(self):
        with Whole(aws="handover") as w:
            w.opened()
            w.work("token")
            p = subprocess.Popen(w.command("handover", "1"), env=w.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT)
            w.until(lambda: w.job()[0] == "running", "the handover does not begin")
            self.assertEqual(w.do("handover", "1", stdin=b"x\n").returncode, 75, "one at a time")
            w.run_once()
            self.assertEqual(w.job()[0], "running", "a worker that starts does not take it away")
            p.send_signal(signal.SIGKILL)
            p.wait()
            p.stdin.close()
            p.stdout.close()
            w.advance(minutes=2)
            w.work("token")
            self.well(w.do("handover", "1", stdin=typed(w).encode()), "AWS takes it too")


if __name__ == "__main__":
    unittest.main()
