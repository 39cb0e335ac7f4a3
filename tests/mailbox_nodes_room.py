"""Nodes that share a mailbox on a Dovecot and a ledger on a PostgreSQL. Each is a process group: it dies and hangs as a whole.

    with Place() as place:
        with Nodes(place, ["a", "b"], config="...") as n:   # config: lines of the mailbox block "ops"; a database and a
            n["a"].start(); n.holder(); n["a"].kill()       # mailbox of their own
"""
import glob
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

SOURCE, BUILD = os.environ["MAILHOOK_SOURCE"], os.environ["MAILHOOK_BUILD"]
sys.path.insert(0, os.path.join(SOURCE, "tests"))
import imap_room  # noqa: E402
import postgresql  # noqa: E402
import private  # noqa: E402
from imap_room import notice  # noqa: E402

FILED = 'done = "done"  review = "review"'


def available():
    return imap_room.available() and postgresql.available()


class Place:
    """The servers, and their names and addresses for all rows of a test."""

    def __init__(self):
        self.users = {"box%d@example.com" % i: "secret %d" % i for i in range(40)}
        self.names, self.lock = list(self.users), threading.Lock()
        self.mail = imap_room.Room(users=self.users)
        self.database = postgresql.Postgresql().start()

    def user(self):
        """One whose mailbox is empty."""
        with self.lock:
            return self.names.pop(0)

    def base(self):
        with self.lock:
            return self.database.fresh_name()

    def gate(self):
        with self.lock:
            return self.database.gate()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.database.close()
        self.mail.close()


class Node:
    def __init__(self, nodes, name, gate):
        self.nodes, self.name, self.gate = nodes, name, gate
        self.dir = os.path.join(nodes.dir, name)
        self.state = os.path.join(self.dir, "state")
        self.log = os.path.join(self.dir, "log")
        self.conf = os.path.join(self.dir, "mailhook.conf")
        os.makedirs(self.state, mode=0o700)
        self.imap = self.worker = None
        self.boxes = {"ops": nodes.user}
        self.config = nodes.config

    def configure(self, port=None):
        """port: of the mailboxes' server."""
        for name, user in self.boxes.items():
            path = os.path.join(self.dir, name + ".password")
            with open(path, "w") as f:
                f.write(self.nodes.place.users[user] + "\n")
            os.chmod(path, 0o600)
        blocks = "".join('mailbox "%s" { url = "imap://localhost:%d/INBOX" user = "%s" password_file = "%s/%s.password" %s }\n' % (
            box, port or self.nodes.place.mail.port(), user, self.dir, box, self.config) for box, user in self.boxes.items())
        with open(self.conf, "w") as f:
            f.write('state_dir = "%s"\nnode = "%s"\nledger = "%s"\nflood_unlisted = 100000\n%s%s' % (
                self.state, self.name, self.nodes.url(self.gate), self.nodes.top, blocks))
        return self

    # -- life

    def _spawn(self, command):
        with open(self.log, "ab") as out:
            return subprocess.Popen([BUILD + "/bin/mailhook", command, "--config", self.conf], stdin=subprocess.DEVNULL,
                                    stdout=out, stderr=out, env=self.nodes.env(), start_new_session=True)

    def work(self):
        self.worker = self._spawn("run")
        return self

    def start(self):
        self.imap = self._spawn("imap")
        return self

    def stop(self, how=signal.SIGTERM):
        """In order, or with SIGKILL the supervisor alone."""
        self.imap.send_signal(how)
        code = self.imap.wait(40)
        self.imap = None
        return code

    def all(self, how):
        """Every process of it: the machine."""
        for process in (self.imap, self.worker):
            if process is not None:
                os.killpg(process.pid, how)

    def kill(self):
        self.all(signal.SIGKILL)
        for process in (self.imap, self.worker):
            if process is not None:
                process.wait()
        self.imap = self.worker = None

    def freeze(self):
        self.all(signal.SIGSTOP)

    def thaw(self):
        self.all(signal.SIGCONT)

    def once(self):
        return subprocess.run([BUILD + "/bin/mailhook", "imap", "--once", "--config", self.conf], stdin=subprocess.DEVNULL,
                              capture_output=True, env=self.nodes.env(), timeout=60, check=False)

    def run(self, *args):
        return subprocess.run([BUILD + "/bin/mailhook", *args, "--config", self.conf], stdin=subprocess.DEVNULL,
                              capture_output=True, env=self.nodes.env(), timeout=60, check=False)

    # -- what it says

    def report(self, box="ops"):
        try:
            with open(self.state + "/imap.json") as f:
                return next((b for b in json.load(f)["mailboxes"] if b["name"] == box), {})
        except (FileNotFoundError, json.JSONDecodeError):
            return {}

    def watches(self, box="ops"):
        return bool(self.imap is not None and self.report(box).get("watching"))

    def words(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def children(self):
        """{pid: argv[0] and [1]} of the supervisor's."""
        with open("/proc/%d/task/%d/children" % (self.imap.pid, self.imap.pid)) as f:
            pids = [int(p) for p in f.read().split()]
        found = {}
        for pid in pids:
            with open("/proc/%d/cmdline" % pid, "rb") as f:
                found[pid] = b" ".join(f.read().split(b"\0")[:2]).decode()
        return found

    def other_side(self):
        return next(pid for pid, name in self.children().items() if "leases" in name)

    def mailbox_processes(self):
        return [pid for pid, name in self.children().items() if "leases" not in name]


class Nodes:
    def __init__(self, place, names, config=FILED, top="", lease_s=6, gates=False, work=True):
        self.place, self.config, self.top, self.lease_s = place, config, top, lease_s
        self.patience_s = 60 if lease_s else 300
        self.dir = tempfile.mkdtemp(prefix="mailhook-nodes-")
        self.user, self.name = place.user(), place.base()
        self.all = {name: Node(self, name, place.gate() if gates else None) for name in names}
        self.sent, self.stopped, self.thread = [], threading.Event(), None
        for node in self.all.values():
            node.configure()
        if work:  # the first makes the ledger
            first = next(iter(self.all.values()))
            done = first.run("run", "--once")
            assert done.returncode == 0, done.stderr.decode()
            done = first.run("pause")  # cases are all that is looked at here
            assert done.returncode == 0, done.stderr.decode()
            for node in self.all.values():
                node.work()

    def __getitem__(self, name):
        return self.all[name]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop_sending()
        for node in self.all.values():
            if node.gate is not None:
                node.gate.free()
            node.kill()
        broken = [n.words() for n in self.all.values() if "ERROR: AddressSanitizer" in n.words() or "runtime error" in n.words()]
        shutil.rmtree(self.dir)
        assert not broken, broken[0]

    def env(self):
        return {"PATH": "/usr/bin:/bin", **({"MAILHOOK_LEASE_S": str(self.lease_s)} if self.lease_s else {})}

    def url(self, gate=None):
        return self.place.database.url(self.name, port=gate.port if gate else None)

    def rows(self, sql):
        return self.place.database.rows(sql, self.name)

    # -- mail

    def send(self, count=1, user=None):
        for _ in range(count):
            number = 1000 + len(self.sent)
            self.place.mail.deliver(notice(number), user=user or self.user)
            self.sent.append("notice-%d@example.com" % number)

    def keep_sending(self, every_s=0.1):
        def go():
            while not self.stopped.wait(every_s):
                self.send()
        self.stopped.clear()
        self.thread = threading.Thread(target=go)
        self.thread.start()

    def stop_sending(self):
        self.stopped.set()
        if self.thread is not None:
            self.thread.join()
        self.thread = None

    # -- who has it

    def holders(self, box="ops"):
        """Names of nodes that say that they watch it; of live ones only."""
        return [name for name, node in self.all.items() if node.watches(box)]

    def wait(self, what, test, deadline_s=None):
        try:
            return private.wait_until(what, test, deadline_s or self.patience_s)
        except AssertionError as e:
            raise AssertionError("%s\nrows: %s\n%s" % (e, self.rows("SELECT mailbox, node, until, wanted, read FROM mailbox_leases"),
                                                       "".join("-- %s: %s\n%s" % (n.name, n.report(), n.words()[-3000:])
                                                               for n in self.all.values()))) from e

    def watched_by(self, name, box="ops"):
        self.wait("%s watched by %s" % (box, name), lambda: self.all[name].watches(box))

    def taken_over(self, by, box="ops"):
        """How long until one of these watches it; which."""
        began = time.monotonic()
        who = self.wait("%s taken over by %s" % (box, by), lambda: next((n for n in by if self.all[n].watches(box)), None))
        return time.monotonic() - began, who

    # -- what came of it

    def settle(self, user=None):
        """All that was sent is in the ledger and filed; then: each once. What a dead node took in waits there for its return."""
        wanted = sorted(self.sent)
        for node in self.all.values():
            if node.worker is None:
                done = node.run("run", "--once")
                assert done.returncode == 0, done.stderr.decode()
        self.wait("all filed", lambda: not set(wanted) - set(self.place.mail.ids("done", user or self.user)))
        self.wait("all worked", lambda: not any(glob.glob(n.state + "/intake/*.msg") for n in self.all.values() if n.worker))
        filed = sorted(self.place.mail.ids("done", user or self.user))
        assert filed == wanted, ("filed", [m for m in filed if filed.count(m) != 1 or m not in wanted])
        assert self.place.mail.ids("INBOX", user or self.user) == [], "left in INBOX"
        kept = sorted(m.strip("<>") for m, in self.rows("SELECT message_id FROM messages"))
        assert kept == wanted, ("ledger", [m for m in kept if kept.count(m) != 1], sorted(set(wanted) - set(kept))[:5])
        cases = self.rows("SELECT count(*) FROM cases")
        assert cases == [(str(len(wanted)),)], cases
        copies, = self.rows("SELECT coalesce(sum(copies), 0) FROM messages")[0]
        return int(copies) - len(wanted)
