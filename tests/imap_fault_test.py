#!/usr/bin/env python3
"""A fault proxy between mailhook-imap and Dovecot: each fault ends in a new connection within its deadline, in bounded
memory, and every message is handled, once. Exit 77 without Dovecot or root."""
import os
import signal
import sys
import threading
import unittest

sys.dont_write_bytecode = True
import imap_room  # noqa: E402
from imap_room import Room, notice, plain  # noqa: E402
import imap_proxy  # noqa: E402
import private  # noqa: E402
from imap_proxy import FAULTS, Proxy  # noqa: E402

TIMEOUT_S, PATIENCE_S, MEMORY_KB = 1, 12, 64 << 10
FETCH, HEADERS, SEARCH, SELECT, LOGIN, IDLE = b"BODY.PEEK[]", b"HEADER.FIELDS", b"UID SEARCH", b"SELECT", b"AUTHENTICATE", b"IDLE"
CONFIG = 'timeout = %ds  poll = 1s  done = "done"' % TIMEOUT_S


class Memory(threading.Thread):
    """The highest peak of all that the supervisor has begotten."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.peak, self.end = pid, 0, threading.Event()
        self.start()

    def run(self):
        while not self.end.wait(0.01):
            try:
                with open("/proc/%d/task/%d/children" % (self.pid, self.pid)) as f:
                    children = f.read().split()
            except OSError:
                continue
            for child in children:
                try:
                    with open("/proc/%s/status" % child) as f:
                        self.peak = max([self.peak] + [int(line.split()[1]) for line in f if line.startswith("VmHWM")])
                except OSError:
                    pass


class Faults(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.proxy = None
        cls.room = Room(CONFIG, port=lambda: cls.proxy.port, start=False)
        cls.room.server.start()
        cls.proxy = Proxy(cls.room.server.port["imap"])
        cls.room.configure()
        cls.room.start()
        cls.room.watched()
        cls.number = 0

    @classmethod
    def tearDownClass(cls):
        cls.proxy.stop()
        cls.room.close()

    def suffer(self, name, trigger):
        r = self.room
        Faults.number += 1
        ident = "notice-%d@example.com" % Faults.number
        r.watched()
        memory = Memory(r.process.pid)
        connections = len(self.proxy.connections)
        self.proxy.arm(FAULTS[name], trigger)
        if trigger == IDLE:
            r.wait("an IDLE that nobody answers", lambda: self.proxy.began)
        r.deliver(notice(Faults.number))
        what = "%s at %s" % (name, trigger.decode())
        if trigger in (SELECT, LOGIN):  # said at a beginning only
            self.proxy.connections[-1][1].close()
        r.wait(what + ": the message", lambda: ident in r.intake(), PATIENCE_S)
        r.wait(what + ": its filing", lambda: ident in r.ids("done"), PATIENCE_S)
        memory.end.set()
        self.assertEqual(len(self.proxy.began), 1, what + " did not come about")
        if name not in ("no data but an OK", "a NO", "dripping"):  # which no connection dies of
            again = [at for at, _ in self.proxy.connections[connections:] if at > self.proxy.began[0]]
            self.assertTrue(again, what + ": no new connection")
            self.assertLess(again[0] - self.proxy.began[0], 2 * TIMEOUT_S + 5, what)
        self.assertLess(memory.peak, MEMORY_KB, what + ": memory")
        self.assertEqual(r.ids("done").count(ident), 1, what)
        self.assertEqual(r.intake().count(ident), 1, what + ": read twice")
        print("%-42s peak %3d MB" % (what, memory.peak >> 10), flush=True)

    def test_while_a_message_is_fetched(self):
        for name in FAULTS:
            with self.subTest(name):
                self.suffer(name, FETCH)

    def test_while_headers_are_fetched(self):
        for name in ("dropped inside a literal", "stalled", "endless fetches", "a NO", "no data but an OK"):
            with self.subTest(name):
                self.suffer(name, HEADERS)

    def test_while_mail_is_looked_for(self):
        for name in ("stalled", "reset", "an endless line", "no IMAP"):
            with self.subTest(name):
                self.suffer(name, SEARCH)

    def test_at_the_beginning(self):
        for trigger, names in ((LOGIN, ("silent at once", "a goodbye", "endless untagged replies")),
                               (SELECT, ("a literal of 4 GB", "a nested BODYSTRUCTURE"))):
            for name in names:
                with self.subTest(name):
                    self.suffer(name, trigger)

    def test_half_open_while_idle(self):
        """Nothing comes and nothing goes, and nobody says so: the poll beside IDLE finds out."""
        self.suffer("silent at once", IDLE)


class RefusedCopy:
    """Answers the first and the fourth COPY by a NO, and hands on all others: the second finds no folder, and is given twice."""
    answers, holds = None, False

    def __init__(self):
        self.seen = 0

    def __call__(self, connection, data):
        self.seen += 1
        if self.seen in (1, 4):
            connection.say(connection.tag + b" NO [OVERQUOTA] full\r\n")
        return self.seen in (1, 4)


class Lasting(unittest.TestCase):
    """What does not pass by itself keeps nothing else waiting, and is not made worse by being tried again."""

    def room(self, config, **kind):
        r = Room(config, port=lambda: self.proxy.port, start=False, **kind)
        self.addCleanup(r.close)
        r.server.start()
        self.proxy = Proxy(r.server.port["imap"])
        self.addCleanup(self.proxy.stop)
        r.configure()
        return r

    def test_a_message_that_no_connection_outlives(self):
        r = self.room('timeout = 1s  done = "done"')
        r.deliver(notice(1), notice(2))
        self.proxy.arm(FAULTS["closed"], b"UID FETCH 1 (UID BODY.PEEK[]", times=1 << 30)
        for _ in range(3):
            r.once(code=None)
        self.assertEqual(r.intake(), ["notice-2@example.com"], "the one behind it")
        self.assertEqual(r.ids("done"), ["notice-2@example.com"])
        row = next(line for line in r.position() if line.startswith("again 1 "))
        self.proxy.arm(None, b"")
        r.write("state/mailboxes/ops", "\n".join(r.position() + [""]).replace(row, "again 1 2 0"))
        r.once()
        self.assertEqual(sorted(r.intake()), ["notice-1@example.com", "notice-2@example.com"])
        self.assertEqual(sorted(r.ids("done")), ["notice-1@example.com", "notice-2@example.com"])

    def test_a_message_that_kills_whoever_reads_it(self):
        r = self.room("timeout = 1s  poll = 1s")
        r.deliver(notice(1), notice(2))

        def kill(connection, _):
            with open("/proc/%d/task/%d/children" % (r.process.pid, r.process.pid)) as f:
                for child in f.read().split():
                    os.kill(int(child), signal.SIGKILL)
            connection.close()

        self.proxy.arm(imap_proxy.Fault(kill), b"UID FETCH 1 (UID BODY.PEEK[]", times=1 << 30)
        r.start()
        r.wait("the one behind it", lambda: r.intake() == ["notice-2@example.com"], 20)
        r.wait("its mark", lambda: any(line.startswith("again 1 ") for line in r.position()))

    def test_a_copy_that_was_refused_in_part(self):
        """So many that their numbers do not fit one command."""
        r = self.room('irrelevant = "rest"', more="protocol imap {\n imap_capability = IMAP4rev1 UIDPLUS\n}\n")
        r.fill([plain(i) for i in range(400)])
        box = os.path.join(r.server.mail, imap_room.USER, "Maildir")
        with open(box + "/dovecot-uidlist", "w") as f:  # numbers of ten digits, and none beside another
            f.write("3 V1700000000 N4000000800 G0123456789abcdef0123456789abcdef\n")
            f.writelines("%d :%s\n" % (4000000000 + 2 * i, name) for i, name in enumerate(sorted(os.listdir(box + "/new"))))
        os.chown(box + "/dovecot-uidlist", private.MAIL_UID, private.MAIL_GID)
        self.proxy.arm(RefusedCopy(), b"UID COPY", times=1 << 30)
        for refused in ("all", "the second command", None):
            self.assertEqual("not filed" in r.once().stderr.decode(), refused is not None, refused)
        self.assertGreater(self.proxy.fault.seen, 4)
        self.assertEqual(sorted(r.ids("rest")), sorted("plain-%d@example.com" % i for i in range(400)), "copied twice")
        self.assertEqual(r.ids("INBOX"), [])


class Injected(unittest.TestCase):
    def test_plain_text_before_tls(self):
        for row, extra in (("a capability", b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n"), ("half a line", b"* OK"),
                           ("an answer", b"2 OK logged in\r\n")):
            with self.subTest(row), Room('ca_file = "@/pki/ca.pem"', tls=True, scheme="imap",
                                         port=lambda: self.proxy.port, start=False) as r:
                r.server.start()
                self.proxy = imap_proxy.Injector(r.server.port["imap"], r.pki, extra)
                r.configure()
                words = r.once(code=1).stderr.decode()
                self.assertIn("plain text in front of TLS", words)
                self.assertEqual(self.proxy.passwords, [], "something was said by TLS all the same")
                self.proxy.stop()


if __name__ == "__main__":
    if not imap_room.available():
        print("no Dovecot, or not root")
        sys.exit(77)
    unittest.main(verbosity=2)
