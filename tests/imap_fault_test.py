#!/usr/bin/env python3
"""A fault proxy between mailhook-imap and Dovecot: each fault ends in a new connection within its deadline, in bounded
memory, and every message is handled, once. Exit 77 without Dovecot or root."""
import sys
import threading
import unittest

sys.dont_write_bytecode = True
import imap_room  # noqa: E402
from imap_room import Room, notice  # noqa: E402
import imap_proxy  # noqa: E402
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
