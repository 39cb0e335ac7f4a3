#!/usr/bin/env python3
"""mailhook-imap with a real Dovecot: what is found, kept, filed and retried. Exit 77 without Dovecot or root."""
import calendar
import glob
import imaplib
import os
import shutil
import signal
import socket
import sys
import time
import unittest

sys.dont_write_bytecode = True
import imap_room  # noqa: E402
from imap_room import PASSWORD, USER, Room, notice, plain  # noqa: E402

FILED = 'done = "mailhook/done"  review = "mailhook/review"  irrelevant = "mailhook/rest"'
N = ["notice-%d@example.com" % i for i in range(1000)]
FORWARD = b"""\
From: Bob <bob@partner.example>
To: ops@example.com
Subject: fyi
Date: Mon, 02 Nov 2026 09:00:00 +0000
Message-ID: <forward@example.com>

---------- Forwarded message ---------
From: Amazon Web Services <no-reply-aws@amazon.com>
Date: Mon, 2 Nov 2026 08:00:00 +0000
Subject: IAM Identity Center SCIM Access Token Approaching Expiration [AWS Account: 000000000009]
To: <bob@partner.example>

The SCIM access token used to automatically provision users expires in 89 days on Sat Jan 30 09:00:00 UTC 2027.
"""
UNREAD = b"""\
From: AWS Health <health@aws.com>
Subject: [Action required] Something will expire
Date: Mon, 02 Nov 2026 09:00:00 +0000
Message-ID: <unread@example.com>

Something expires in 30 days.
"""
LISTED = b"""\
From: 'Amazon Web Services' via TEAM <team@example.com>
X-Original-Sender: no-reply-aws@amazon.com
Subject: =?utf-8?q?IAM_Identity_Center_SCIM_Access_Token_Approaching_Expir?=
 =?utf-8?q?ation?=
Date: Mon, 02 Nov 2026 09:00:00 +0000
Message-ID: <listed@example.com>

The SCIM access token used to automatically provision users expires in 89 days on Sat Jan 30 09:00:00 UTC 2027.
"""
EXTENSIONS = "protocol imap {\n imap_capability = IMAP4rev1 %s\n}\n"
# The count of messages of one folder: Dovecot's own quota, which is full at once.
QUOTA = """mail_plugins = quota
plugin {
 quota = count:User quota
 quota_vsizes = yes
 quota_rule = *:messages=2
}
protocol imap {
 mail_plugins = quota imap_quota
}
"""


class Reading(unittest.TestCase):
    def test_what_matters_is_taken_and_nothing_changes(self):
        with Room() as r:
            r.deliver(notice(1), plain(1), UNREAD, LISTED, plain(2))
            r.once()
            self.assertEqual(sorted(r.intake()), ["listed@example.com", N[1], "unread@example.com"])
            self.assertEqual([flags for _, flags in r.in_folder("INBOX")], [""] * 5, "a flag changed")
            r.once()
            self.assertEqual(len(r.intake()), 3, "read twice")
            r.deliver(notice(2))
            r.once()
            self.assertIn(N[2], r.intake())
            self.assertEqual(len(r.intake()), 4)

    def test_seen_is_not_trusted(self):
        with Room() as r:
            r.deliver(notice(1))
            c = r.client()
            c.select("INBOX")
            c.store("1", "+FLAGS", "(\\Seen)")
            c.logout()
            r.once()
            self.assertEqual(r.intake(), [N[1]])

    def test_it_came_when_the_server_took_it(self):
        """However long it lay there; what lies in the future came now."""
        with Room() as r:
            now = int(time.time())
            for number, came, zone in ((1, now - 2 * 86400, 19800), (2, now - 86400, -28800), (3, now + 5 * 86400, 0)):
                with self.subTest(zone):
                    sign, offset = "-" if zone < 0 else "+", abs(zone) // 60
                    r.deliver(notice(number), date='"%s %s%02d%02d"' % (
                        time.strftime("%d-%b-%Y %H:%M:%S", time.gmtime(came + zone)), sign, offset // 60, offset % 60))
                    r.once()
                    taken = []
                    for path in glob.glob(r.state + "/intake/*.msg"):
                        with open(path, "rb") as f:
                            text = f.read()
                        if N[number].encode() in text:
                            taken.append(calendar.timegm(time.strptime(text.split()[2].decode(), "%Y-%m-%dT%H:%M:%SZ")))
                    self.assertEqual(len(taken), 1)
                    if came < now:
                        self.assertEqual(taken[0], came)
                    else:
                        self.assertLess(abs(taken[0] - time.time()), 60)

    def test_forwarders(self):
        for row, top, config, taken in (
                ("another's forward is not fetched", "", "", []),
                ("a forwarder's is", 'trust { forwarders = {"partner.example"} }', "", ["forward@example.com"]),
                ("every body is, where that is said", "", 'bodies = "all"', ["forward@example.com"])):
            with self.subTest(row), Room(config, top=top) as r:
                r.deliver(FORWARD, plain(1))
                r.once()
                self.assertEqual(r.intake(), taken, row)

    def test_only_so_much_is_fetched(self):
        with Room("max_message = 64k") as r:
            r.deliver(notice(1) + b"x" * 70 + b"\n" + (b"y" * 70 + b"\n") * 20000)
            r.once()
            name = os.listdir(r.state + "/intake")[0]
            with open(r.state + "/intake/" + name, "rb") as f:
                head, rest = f.read().split(b"\n", 1)
            self.assertIn(b"cut=1", head)
            self.assertEqual(len(rest), 64 << 10)

    def test_large_messages_come_whole(self):
        with Room() as r:
            mail = (notice(1) + (b"y" * 70 + b"\n") * 50000).replace(b"\n", b"\r\n")
            r.deliver(mail)
            r.once()
            name = os.listdir(r.state + "/intake")[0]
            with open(r.state + "/intake/" + name, "rb") as f:
                head, rest = f.read().split(b"\n", 1)
            self.assertIn(b"cut=0", head)
            self.assertEqual(rest, mail)

    def test_many_are_searched_for_by_the_server(self):
        with Room() as r:
            r.fill([notice(i) if i % 100 == 50 else plain(i) for i in range(700)] + [LISTED])
            r.once()
            self.assertEqual(sorted(r.intake()), sorted(["listed@example.com"] + [N[i] for i in range(50, 700, 100)]))
            self.assertIn("uid 701", r.position())
            r.deliver(notice(900))
            r.once()
            self.assertIn(N[900], r.intake())

    def test_a_first_reading_goes_back_so_far(self):
        with Room("rescan = 10d") as r:
            r.deliver(notice(1), date=imaplib.Time2Internaldate(time.time() - 20 * 86400))
            r.deliver(notice(2), date=imaplib.Time2Internaldate(time.time() - 5 * 86400))
            r.once()
            self.assertEqual(r.intake(), [N[2]])
            r.once()
            self.assertEqual(r.intake(), [N[2]])

    def test_another_folder_of_the_same_name(self):
        with Room(scheme="imap") as r:
            r.configure(folder="aws")
            c = r.client()
            c.create("aws")
            c.logout()
            r.deliver(notice(1), notice(2), folder="aws")
            r.once()
            before = r.position()[2]
            c = r.client()
            c.delete("aws")
            time.sleep(1.1)  # Dovecot's UIDVALIDITY is the second of the folder's birth
            c.create("aws")
            c.logout()
            r.deliver(notice(2), notice(3), folder="aws")
            words = r.once().stderr.decode()
            self.assertIn("UIDVALIDITY", words)
            self.assertNotEqual(r.position()[2], before)
            self.assertEqual(sorted(r.intake()), [N[1], N[2], N[2], N[3]], "read anew; the worker knows what it has")

    def test_folders_in_other_languages(self):
        with Room('done = "Erledigt/\u00fcber & \u5b8c"') as r:
            r.deliver(notice(1))
            r.once()
            self.assertEqual(r.ids("Erledigt.&APw-ber &- &W4w-"), [N[1]])


class Filing(unittest.TestCase):
    def test_each_where_it_belongs(self):
        for row, extensions in (("with MOVE", None), ("without MOVE", "UIDPLUS IDLE"),
                                ("without MOVE and UIDPLUS", "IDLE"), ("with nothing at all", "")):
            more = "" if extensions is None else EXTENSIONS % extensions
            with self.subTest(row), Room(FILED, more=more) as r:
                r.deliver(notice(1), plain(1), UNREAD, notice(2))
                r.once()
                self.assertEqual(r.ids("mailhook.done"), [N[1], N[2]], row)
                self.assertEqual(r.ids("mailhook.review"), ["unread@example.com"], row)
                self.assertEqual(r.ids("mailhook.rest"), ["plain-1@example.com"], row)
                left = [flags for _, flags in r.in_folder("INBOX")]
                self.assertEqual(left, [] if extensions is None or "UIDPLUS" in extensions else ["\\Deleted"] * 4, row)
                r.once()
                self.assertEqual(r.ids("mailhook.done"), [N[1], N[2]], row + ": filed twice")
                self.assertEqual(sorted(r.intake()), [N[1], N[2], "unread@example.com"], row)

    def test_marks(self):
        with Room('keyword = "mailhook"  mark_seen = true') as r:
            r.deliver(notice(1), plain(1))
            r.once()
            self.assertEqual(dict(r.in_folder("INBOX")), {N[1]: "\\Seen mailhook", "plain-1@example.com": ""})

    def test_definitions_that_cannot_be_read(self):
        """Nothing is called irrelevant by what is not there, not by its header either."""
        with Room(top='definitions_dir = "@/definitions"') as r:
            os.symlink("definitions", r.dir + "/definitions")
            r.deliver(plain(1))
            self.assertIn("definitions cannot be read", r.once(code=75).stderr.decode())
            os.remove(r.dir + "/definitions")
            os.mkdir(r.dir + "/definitions")
            r.once()
            self.assertIn("uid 1", r.position())

    def test_a_full_folder_is_tried_again_and_nothing_read_twice(self):
        with Room('done = "done"', more=EXTENSIONS % "UIDPLUS" + QUOTA) as r:
            r.deliver(notice(1), notice(2))
            words = r.once().stderr.decode()
            self.assertIn("not filed", words)
            self.assertEqual(sorted(r.intake()), [N[1], N[2]])
            self.assertEqual(r.report()["filing"], 2)
            self.assertIn("file 1 done", r.position())
            r.server.daemon.process.kill()
            r.server.stop()
            r.server.more = EXTENSIONS % "UIDPLUS"
            r.server.start()
            with open(r.state + "/mailboxes/ops") as f:  # the port is another one
                text = f.read()
            r.configure()
            with open(r.state + "/mailboxes/ops", "w") as f:
                f.write(text.replace(text.splitlines()[1], "imap://localhost:%d/INBOX %s" % (r.port(), USER)))
            r.once()
            self.assertEqual(r.ids("done"), [N[1], N[2]])
            self.assertEqual(r.ids("INBOX"), [])
            self.assertEqual(sorted(r.intake()), [N[1], N[2]], "read twice")

    def test_all_others_in_a_large_mailbox(self):
        with Room(FILED) as r:
            r.fill([notice(i) if i == 300 else plain(i) for i in range(600)])
            r.once()
            self.assertEqual(r.ids("mailhook.done"), [N[300]])
            self.assertEqual(len(r.ids("mailhook.rest")), 599)
            self.assertEqual(r.ids("INBOX"), [])


class Life(unittest.TestCase):
    def test_new_mail_is_taken_at_once(self):
        for row, more, poll in (("by IDLE", "", "5m"), ("by looking", EXTENSIONS % "UIDPLUS", "1s")):
            with self.subTest(row), Room("poll = " + poll, more=more) as r:
                r.deliver(notice(1))
                r.start()
                r.watched()
                self.assertEqual(r.intake(), [N[1]])
                r.deliver(notice(2))
                r.wait("the second notice", lambda: N[2] in r.intake(), 10)
                r.deliver(plain(1), notice(3))
                r.wait("the third notice", lambda: N[3] in r.intake(), 10)
                self.assertEqual(r.stop(), 0)
                self.assertEqual(sorted(r.intake()), [N[1], N[2], N[3]])

    def test_a_server_that_comes_back(self):
        with Room("poll = 1s") as r:
            r.start()
            r.watched()
            r.server.daemon.process.kill()
            r.server.stop()
            r.wait("the loss to be told", lambda: not r.report()["watching"] and r.report()["error"])
            self.restart(r)
            r.deliver(notice(1))
            r.wait("the notice", lambda: N[1] in r.intake())
            r.wait("a word of it", lambda: "it is read again" in r.words())

    @staticmethod
    def restart(r):
        """On the same ports."""
        free = iter(list(r.server.port.values()))
        original = imap_room.private.free_port
        imap_room.private.free_port = lambda: next(free)
        try:
            r.server.start()
        finally:
            imap_room.private.free_port = original

    def test_one_bad_mailbox_delays_no_other(self):
        with Room() as r:
            bad = 'mailbox "bad" { url = "imap://localhost:%d/INBOX" user = "nobody" password_file = "%s/password" }\n' % (
                r.port(), r.dir)
            away = 'mailbox "away" { url = "imap://127.0.0.1:1/INBOX" user = "x" password_file = "%s/password" }\n' % r.dir
            gone = 'mailbox "gone" { url = "imap://localhost:%d/no/such" user = "%s" password_file = "%s/password" }\n' % (
                r.port(), USER, r.dir)
            with open(r.conf) as f:
                good = f.read()
            r.write("mailhook.conf", good + bad + away + gone)
            r.deliver(notice(1))
            r.start()
            r.watched()
            self.assertEqual(r.intake(), [N[1]])
            for name, words in (("bad", "user or password refused"), ("away", "refused"), ("gone", "no/such")):
                r.wait("words of " + name, lambda n=name, w=words: w in ((r.report(n) or {}).get("error") or ""))
            r.deliver(notice(2))
            r.wait("the second notice", lambda: N[2] in r.intake(), 10)
            r.stop()
            r.once(code=1)
            r.write("mailhook.conf", good + away)
            r.once(code=75)
            r.write("mailhook.conf", good)
            r.once(code=0)

    def test_reload_and_a_second_watcher(self):
        with Room() as r:
            r.start()
            r.watched()
            r.once(code=0)
            r.write("mailhook.conf", "state_dir = /nowhere\nmailbox {\n")
            r.process.send_signal(signal.SIGHUP)
            r.wait("a refusal", lambda: "not reloaded" in r.words())
            r.configure('keyword = "seen-by-mailhook"')
            r.process.send_signal(signal.SIGHUP)
            r.wait("the reload", lambda: "the configuration was read again" in r.words())
            r.deliver(notice(1))
            r.wait("the keyword", lambda: "seen-by-mailhook" in dict(r.in_folder("INBOX")).get(N[1], ""))

    def test_a_folder_that_is_removed_and_made_anew(self):
        with Room("poll = 1s") as r:
            c = r.client()
            c.create("aws")
            r.configure(folder="aws")
            r.deliver(notice(1), folder="aws")
            r.start()
            r.watched()
            c.delete("aws")
            r.wait("the loss to be told", lambda: "aws" in ((r.report() or {}).get("error") or ""))
            time.sleep(1.1)  # for another UIDVALIDITY
            c.create("aws")
            c.logout()
            r.deliver(notice(2), folder="aws")
            r.wait("the notice in the new folder", lambda: N[2] in r.intake())
            r.wait("a word of it", lambda: "it is read again" in r.words())
            self.assertEqual(sorted(r.intake()), [N[1], N[2]])

    def test_the_service_manager_is_told(self):
        with Room() as r, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.bind(r.dir + "/notify")
            s.settimeout(20)
            r.start(env={"NOTIFY_SOCKET": r.dir + "/notify", "WATCHDOG_USEC": "2000000"})
            said = []
            while not {b"READY=1", b"WATCHDOG=1", b"STATUS=1 of 1 mailboxes are watched"} <= set(said):
                said.append(s.recv(1000))
            for _ in range(2):  # and on, though nothing happens
                while s.recv(1000) != b"WATCHDOG=1":
                    pass
            r.process.send_signal(signal.SIGTERM)
            while s.recv(1000) != b"STOPPING=1":
                pass

    @unittest.skipUnless(os.environ.get("MAILHOOK_LONG"), "half a minute: in tests/long.sh")
    def test_a_process_that_hangs_is_ended(self):
        with Room("poll = 1s  timeout = 1s") as r:
            r.start()
            r.watched()
            with open("/proc/%d/task/%d/children" % (r.process.pid, r.process.pid)) as f:
                os.kill(int(f.read().split()[0]), signal.SIGSTOP)
            r.deliver(notice(1))
            r.wait("its end", lambda: "its process hangs and is ended" in r.words(), 60)
            r.wait("the notice", lambda: N[1] in r.intake())

    def test_no_mailbox(self):
        with Room() as r:
            r.configure(boxes="")
            r.once(code=0)

    def test_secrets(self):
        with Room() as r:
            r.write("say", "#!/bin/sh\n[ \"$1\" = please ] && cat %s/password\n" % r.dir, 0o700)
            r.deliver(notice(1))
            r.configure('password_command = "@/say please"', secret=False)
            r.once()
            self.assertEqual(r.intake(), [N[1]])
            r.configure('password_command = "@/say now"', secret=False)
            self.assertIn("say", r.once(code=1).stderr.decode())
            os.makedirs(r.dir + "/credentials")
            shutil.copy(r.dir + "/password", r.dir + "/credentials/ops")
            r.configure("", secret=False)
            r.once(env={"CREDENTIALS_DIRECTORY": r.dir + "/credentials"})
            self.assertIn("ops", r.once(code=1).stderr.decode())
            r.configure()
            os.chmod(r.dir + "/password", 0o644)
            self.assertIn("password", r.once(code=1).stderr.decode())
            self.assertNotIn(PASSWORD, r.once(code=1).stderr.decode())


if __name__ == "__main__":
    if not imap_room.available():
        print("no Dovecot, or not root")
        sys.exit(77)
    unittest.main(verbosity=2)
