#!/usr/bin/env python3
"""What people see of mailboxes: check, status, a silent mailbox's case, a drill. Exit 77 without Dovecot or root."""
import fcntl
import json
import os
import sys
import time
import unittest

sys.dont_write_bytecode = True
import imap_room  # noqa: E402
from imap_room import USER, Room, notice  # noqa: E402


def free_worker(r):
    """Here the worker works."""
    fcntl.flock(r.worker, fcntl.LOCK_UN)


class Seen(unittest.TestCase):
    def status(self, r, **kind):
        return json.loads(r.run("status", "--json", code=None, **kind).stdout)["mailboxes"][0]

    def test_status(self):
        with Room() as r:
            free_worker(r)
            text = r.run("status", code=None).stdout.decode()
            self.assertIn("mailbox     ops: never read, nobody watches it now", text)
            r.once()
            row = self.status(r)
            self.assertEqual((row["name"], row["watching"], row["silent"], row["error"]), ("ops", False, False, None))
            self.assertRegex(row["last_ok"], r"^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
            r.start()
            r.watched()
            self.assertTrue(self.status(r)["watching"])
            metrics = r.run("status", "--prometheus", code=None).stdout.decode()
            self.assertIn('mailhook_mailbox_watched{mailbox="ops"} 1\n', metrics)
            self.assertRegex(metrics, r'mailhook_mailbox_last_read_timestamp_seconds\{mailbox="ops"\} \d{10}\n')
            r.stop(9)
            self.assertFalse(self.status(r)["watching"], "what a dead process said last")
            self.assertIn("nobody watches it now", r.run("status", code=None).stdout.decode())

    def test_a_silent_mailbox_is_a_case_until_it_is_read_again(self):
        with Room("silent = 2h") as r:
            free_worker(r)
            clock = {"MAILHOOK_CLOCK_FILE": r.dir + "/clock"}

            def at(hours):
                r.write("clock", time.strftime("%Y-%m-%dT%H:%M:%SZ\n", time.gmtime(1795000000 + hours * 3600)), 0o644)

            def cases(state):
                lines = json.loads("[%s]" % ",".join(r.run("list", "--json", "--all", env=clock).stdout.decode().split("\n")[:-1]))
                lines = lines[0] if lines and isinstance(lines[0], list) else lines
                return [c for c in lines if c["kind"] == "mailhook.mailbox-silent" and c["state"] == state]

            at(0)
            r.run("run", "--once", env=clock)
            at(1)
            r.run("run", "--once", env=clock)
            self.assertEqual(cases("open"), [], "silent too early")
            at(3)
            r.run("run", "--once", env=clock)
            self.assertEqual([c["resource"] for c in cases("open")], ["ops"], "never read, and nobody heard of it")
            tickets = r.state + "/tickets/"
            self.assertTrue(any("ops" in open(tickets + name).read() for name in os.listdir(tickets)), "no ticket")
            self.assertIn("never read", r.run("show", "1", env=clock).stdout.decode())
            at(5)
            r.run("run", "--once", env=clock)
            self.assertEqual(len(cases("open")), 1, "a second case of the same silence")
            r.once(env=clock)
            r.run("run", "--once", env=clock)
            self.assertEqual(len(cases("closed")), 1, "it is read again, and its case is open")
            r.write("password", "wrong\n")
            at(8)
            r.once(code=1, env=clock)
            r.run("run", "--once", env=clock)
            self.assertEqual(len(cases("open")), 1, "the second silence")
            self.assertIn("password refused", r.run("show", "2", env=clock).stdout.decode())
            self.assertTrue(self.status(r, env=clock)["silent"])
            r.run("close", "2", env=clock)
            at(9)
            r.run("run", "--once", env=clock)
            self.assertEqual(cases("open"), [], "a person closed it")
            r.configure(boxes="")
            r.run("run", "--once", env=clock)

    def test_check(self):
        for row, config, change, code, words in (
                ("a secret that is there", "", None, 0, "fit: its secret is there"),
                ("none", "", lambda r: os.unlink(r.dir + "/password"), 1, "not fit: "),
                ("no authorities", 'ca_file = "@/nothing.pem"', None, 1, "no certificate of an authority")):
            with self.subTest(row), Room(config) as r:
                free_worker(r)
                if change:
                    change(r)
                done = r.run("check", code=None)
                self.assertEqual(done.returncode, code, done)
                self.assertIn("mailbox ops: " if code else "mailbox ops: fit", done.stdout.decode())
                self.assertIn(words, done.stdout.decode())

    def test_check_online(self):
        resolver = 'trust { resolver = "127.0.0.1:1" }'  # nobody: this is not about DNS
        for row, config, change, words in (
                ("an open mailbox", 'done = "x/done"', None, "fit: INBOX is open, in plain text, new mail is told at once; "
                                                              "folders that are missing will be made"),
                ("a wrong password", "", lambda r: r.write("password", "wrong\n"), "not fit: user or password refused: "),
                ("no such folder", "", lambda r: r.configure(folder="no/such"), "not fit: the folder no/such cannot be opened: "),
                ("no server", "", lambda r: (r.server.daemon.process.kill(), r.server.stop()), "Connection refused")):
            with self.subTest(row), Room(config, top=resolver) as r:
                free_worker(r)
                if change:
                    change(r)
                done = r.run("check", "--online", code=1)
                self.assertIn("mailbox ops: ", done.stdout.decode())
                self.assertIn(words, done.stdout.decode(), row)

    def test_drill(self):
        for row, watched in (("with a watcher", True), ("without", False)):
            with self.subTest(row), Room('done = "done"') as r:
                free_worker(r)
                r.once()
                if watched:
                    r.start()
                    r.watched()
                done = r.run("drill", "--mailbox", "ops")
                text = done.stdout.decode()
                self.assertIn("the notice was put into mailbox ops", text)
                self.assertIn("drill: all went well", text)
                self.assertEqual("nobody watches it" in text, not watched)
                self.assertEqual(len(r.ids("done")), 1)
        with Room() as r:
            free_worker(r)
            self.assertIn("no mailbox is named", r.run("drill", "--mailbox", "other", code=1).stderr.decode())

    def test_the_worker_is_woken(self):
        with Room() as r:
            free_worker(r)
            r.deliver(notice(1))
            r.once()
            r.wait("a case", lambda: b"aws.identity-center.scim-token" in r.run("list").stdout)
            self.assertNotIn(USER, r.run("show", "1").stdout.decode())


if __name__ == "__main__":
    if not imap_room.available():
        print("no Dovecot, or not root")
        sys.exit(77)
    unittest.main(verbosity=2)
