"""Several machines with mailhook on one PostgreSQL: what the proof of it and its figures share.

    with Cluster(build, 4, conf=..., actions={"jira": "driver = ..."}) as c:
        c.boot(); c.pipe(0, mail); c.rows("SELECT ..."); c.do(1, "show", "7")
        c.gates[2][0].cut()       machine 2 cannot reach the first server any more
        c.fail_over()             the primary dies and its standby is promoted
        c.leap(600)               ten minutes pass for everybody, while nothing runs

The time is a file's: it goes as fast as ours, and leaps. Machines are in namespaces of their own where those can be made.
With engine="sqlite" there is one machine, and no server.
"""
import datetime
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "servers"))
import postgresql  # noqa: E402
from machine import Machine  # noqa: E402

FORMAT = "%Y-%m-%dT%H:%M:%SZ"
SHAPES = ("a-8bit", "a-qp", "b-qp", "b-alternative", "c-event")  # of one expiry, as AWS sends them
SAMPLE_ACCOUNT = b"123456789012"


def shape(name, account, message_id, made={}):
    """The sample of that name, about another account: another case. Its folded header fields stay what they were."""
    if name not in made:
        with open(os.path.join(HERE, "..", "samples/notices/scim", name + ".eml"), "rb") as f:
            made[name] = f.read()
    head, end, rest = made[name].partition(b"\nMessage-ID: <")
    assert end and SAMPLE_ACCOUNT in made[name], name
    mail = head + end + message_id.encode() + rest[rest.index(b">"):]
    return mail.replace(SAMPLE_ACCOUNT, account.encode())


class Clock:
    """The time of all machines: a file, in a folder of its own, since whoever watches it hears each change."""

    def __init__(self, folder, start):
        os.mkdir(folder, 0o755)
        self.path, self.lock = os.path.join(folder, "now"), threading.Lock()
        self.start, self.began, self.leapt, self.written = start, time.monotonic(), 0, None
        self.stopped = threading.Event()
        self.write()
        threading.Thread(target=self._go, daemon=True).start()

    def now(self):
        return int(self.start + self.leapt + time.monotonic() - self.began)

    def text(self, after_s=0):
        return datetime.datetime.fromtimestamp(self.now() + after_s, datetime.timezone.utc).strftime(FORMAT)

    def write(self):
        with self.lock:
            text = self.text()
            if text != self.written:
                with open(self.path + ".new", "w", encoding="ascii") as f:
                    f.write(text + "\n")
                os.rename(self.path + ".new", self.path)
                self.written = text

    def leap(self, seconds):
        self.leapt += seconds
        self.write()

    def _go(self):
        while not self.stopped.wait(0.25):
            self.write()


class Cluster:
    def __init__(self, build, count, conf, actions=None, ports=(), start=None, apart=None, standby=True, settings=None,
                 more=None, engine="postgresql", lease_s=None):
        """conf: of every machine, after what joins them. actions: name: text of actions/NAME.conf. ports: of our loopback that
        machines reach. start: the time at first; None: it is the real one, without leaps. more: {number: {name: text}}, actions'
        files that are others on that machine. lease_s: as MAILHOOK_LEASE_S."""
        self.build = os.path.abspath(build)
        self.mailhook = os.path.join(self.build, "bin", "mailhook")
        self.dir = tempfile.mkdtemp(prefix="mailhook-nodes.")
        os.chmod(self.dir, 0o755)
        self.clock = Clock(os.path.join(self.dir, "clock"), start) if start is not None else None
        self.env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
        if self.clock is not None:
            self.env["MAILHOOK_CLOCK_FILE"] = self.clock.path
        if lease_s is not None:
            self.env["MAILHOOK_LEASE_S"] = str(lease_s)
        self.server = self.standby = self.live = None
        if engine == "postgresql":
            self.server = self.live = postgresql.Postgresql(settings=settings).start()
            self.database = self.server.fresh_name()
            self.standby = self.server.standby() if standby else None
        else:
            assert count == 1, "one machine has an SQLite ledger"
        self.names = ["node%d" % (i + 1) for i in range(count)]
        self.gates = [[p.gate() for p in (self.server, self.standby) if p is not None] for _ in self.names]
        self.machines = []
        for i in range(count):
            files = {**(actions or {}), **(more or {}).get(i, {})}
            self._configure(i, conf, files)
            self.machines.append(Machine(os.path.join(self.dir, self.names[i]), [self.command(i, "run")],
                                         [g.port for g in self.gates[i]] + list(ports), self.env, apart))

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        keep = kind is not None and os.environ.get("MAILHOOK_KEEP")
        for m in self.machines:
            m.kill() if keep else m.close()
        if self.server is not None:
            self.server.close()
        if self.clock is not None:
            self.clock.stopped.set()
        if keep:
            print("kept: " + self.dir)
        else:
            shutil.rmtree(self.dir, ignore_errors=True)

    # -- files

    def folder(self, i, *names):
        return os.path.join(self.dir, self.names[i] + ".d", *names)

    def _put(self, path, text):
        with open(path, "w", encoding="utf-8", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(text)

    def url(self, i):
        if self.server is None:
            return "sqlite:" + self.folder(i, "state", "ledger.db")
        ports = [g.port for g in self.gates[i]]
        if len(ports) == 1:
            return self.server.url(self.database, port=ports[0])
        return self.server.both(self.database, self.standby, *ports)

    def _configure(self, i, conf, actions):
        os.makedirs(self.folder(i, "actions"))
        os.mkdir(self.folder(i, "state"), 0o700)
        self._put(self.folder(i, "mailhook.conf"), 'state_dir = "%s"\nnode = "%s"\nledger = "%s"\n%s' % (
            self.folder(i, "state"), self.names[i], self.url(i), conf))
        for name, text in actions.items():
            self._put(self.folder(i, "actions", name + ".conf"), text)

    def intake(self, i):
        """The messages that wait there, and those that were set aside."""
        try:
            names = os.listdir(self.folder(i, "state", "intake"))
        except FileNotFoundError:
            return [], []
        return [n for n in names if n.endswith(".msg")], [n for n in names if n.endswith(".bad")]

    # -- machines

    def command(self, i, *args):
        return [self.mailhook, *args, "--config", self.folder(i, "mailhook.conf")]

    def boot(self):
        """The first one alone, until it has made the ledger."""
        self.machines[0].boot()
        self.wait("the ledger", lambda: self.tables() > 0)
        for m in self.machines[1:]:
            m.boot()

    def pipe(self, i, mail, timeout=60):
        """The exit code; None where the machine died over it."""
        return self.machines[i].run(self.command(i, "pipe"), mail, timeout)

    def do(self, i, *args, timeout=60):
        """A person's command on that machine, from outside: it goes on when the machine dies."""
        return subprocess.run(self.command(i, *args), stdin=subprocess.DEVNULL, capture_output=True, env=self.env, timeout=timeout,
                              check=False)

    def words(self):
        """What the machines have logged."""
        return {name: m.words() for name, m in zip(self.names, self.machines)}

    # -- the ledger

    def tables(self):
        """0: there is no ledger yet."""
        if self.live is not None:
            return int(self.live.rows("SELECT count(*) FROM pg_tables WHERE tablename = 'jobs'", self.database)[0][0])
        return int(os.path.exists(self.folder(0, "state", "ledger.db")) and
                   self.rows("SELECT count(*) FROM sqlite_schema WHERE name = 'jobs'")[0][0])

    def rows(self, sql):
        """[(text or None, ...)]"""
        if self.live is not None:
            return self.live.rows(sql, self.database)
        with sqlite3.connect("file:%s?mode=rw" % self.folder(0, "state", "ledger.db"), uri=True, timeout=20) as db:
            return [tuple(None if x is None else str(x) for x in row) for row in db.execute(sql)]

    def count(self, table, where="true"):
        return int(self.rows("SELECT count(*) FROM %s WHERE %s" % (table, where))[0][0])

    def fail_over(self):
        """The primary's machine dies; then, and only then, the standby becomes the primary."""
        self.server.kill()
        self.standby.promote()
        self.live = self.standby

    # -- time

    @staticmethod
    def wait(what, test, deadline_s=60):
        end = time.monotonic() + deadline_s
        while True:
            value = test()
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError("not within %d s: %s" % (deadline_s, what))
            time.sleep(0.05)

    def running(self, dead=()):
        """Jobs that run, but for those of machines that are known to be dead."""
        owners = [r[0] or "" for r in self.rows("SELECT lease_owner FROM jobs WHERE state = 'running'")]
        return [x for x in owners if x.rsplit("/", 1)[0] not in dead]

    def leap(self, seconds, by=0, dead=()):
        """Time passes while all is paused and nothing runs: a lease that ends has no holder. by: the machine whose command it is."""
        done = self.do(by, "pause")
        assert done.returncode == 0, done
        self.wait("the end of what runs", lambda: not self.running(dead), 90)
        self.clock.leap(seconds)
        done = self.do(by, "resume")
        assert done.returncode == 0, done

    def status(self, i):
        done = self.do(i, "status", "--json")
        assert done.returncode in (0, 1), done
        return json.loads(done.stdout)
