"""A state folder of its own for one test, the programs run in it, and what must be true of it afterwards."""

import atexit
import fcntl
import glob
import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from datetime import datetime, timedelta, timezone

NOTICE = b"""\
From: "Amazon Web Services, Inc." <no-reply-aws@amazon.com>
To: cloud@example.com
Subject: [Action required] AWS IAM Identity Center (successor to AWS Single
 Sign-On) SCIM Access Token Approaching Expiration. [AWS Account: 123456789012]
Date: Thu, 1 Jan 2026 03:00:00 +0000
Message-ID: <scim-%d@example.com>
MIME-Version: 1.0
Content-Type: text/plain; charset="UTF-8"
Content-Transfer-Encoding: 7bit
X-SM-COMMUNICATION-TYPE: AWS_IAMIDENTITYCENTER_SCIM_BEARER_TOKEN_EXPIRY_NOTIFICATION

Hello,

The SCIM access token used to automatically provision users and groups from
your IdP to IAM Identity Center expires in 89 days on Tue Mar 31 04:05:06 UTC 2026.

Sincerely,
Amazon Web Services
"""
START = datetime(2026, 1, 1, 4, 0, 0, tzinfo=timezone.utc)


def notice(number=1):
    return NOTICE % number


def build_folder():
    here = os.path.dirname(os.path.abspath(__file__))
    return os.environ.get("MAILHOOK_BUILD", os.path.join(here, "..", "..", "build"))


ENGINES = ("sqlite", "postgresql")


def database(made=[]):
    """The server of all worlds, and its database: each world has a schema there. Made by the thread whose end is its end."""
    if not made:
        sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers"))
        import postgresql
        server = postgresql.Postgresql().start()
        atexit.register(server.close)
        made += [server, server.fresh_name(), itertools.count(1)]
    return made


class World:
    def __init__(self, build=None, config="", base=None, engine=None):
        """engine: of the ledger, sqlite where neither it nor MAILHOOK_TEST_ENGINE says another."""
        self.build = os.path.abspath(build or build_folder())
        self.dir = tempfile.mkdtemp(prefix="mailhook-faults-", dir=base)
        self.state = os.path.join(self.dir, "state")
        self.intake = os.path.join(self.state, "intake")
        self.ledger = os.path.join(self.state, "ledger.db")
        self.conf = os.path.join(self.dir, "mailhook.conf")
        self.clock = os.path.join(self.dir, "clock")
        self.mailhook = os.path.join(self.build, "bin", "mailhook")
        self.killer = os.path.join(self.build, "tests", "killer")
        os.mkdir(self.state, 0o700)
        self.engine, self.schema, self.session = engine or os.environ.get("MAILHOOK_TEST_ENGINE", ENGINES[0]), None, None
        self.top = f'state_dir = "{self.state}"\n'
        if self.engine == "postgresql":
            self.make_schema()
        self.write(self.conf, self.top + config)
        self.now = START
        self.set_clock()
        self.env = {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": self.dir,
            "LC_ALL": "C",
            "MAILHOOK_CLOCK_FILE": self.clock,
        }

    def __enter__(self):
        return self

    def make_schema(self):
        self.server, name, numbers = database()
        self.schema = f"w{next(numbers)}"
        self.server.run(f"CREATE SCHEMA {self.schema} AUTHORIZATION mailhook", name)
        self.session = self.server.session(name, self.schema)
        self.top += f'ledger = "{self.server.url(name, more="options=-csearch_path%3D" + self.schema)}"\n'

    def __exit__(self, kind, value, trace):
        if self.session is not None:
            # what a killed one began ends when its server sees it
            self.session.rows(f"SET client_min_messages = warning; DROP SCHEMA {self.schema} CASCADE")
            self.session.close()
        if kind is None or not os.environ.get("MAILHOOK_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)
        else:
            print(f"kept: {self.dir}")

    @staticmethod
    def write(path, text):
        temporary = path + ".new"  # the clock is read while it is written
        with open(temporary, "w", encoding="utf-8") as f:
            f.write(text)
        os.rename(temporary, path)

    def set_clock(self):
        self.write(self.clock, self.now.strftime("%Y-%m-%dT%H:%M:%SZ\n"))

    def advance(self, **delta):
        self.now += timedelta(**delta)
        self.set_clock()

    # -- programs

    def command(self, *args):
        return [self.mailhook, *args, "--config", self.conf]

    def do(self, *args, stdin=b"", timeout=60, **more):
        return subprocess.run(
            self.command(*args), input=stdin, env=self.env, capture_output=True, timeout=timeout, check=False, **more
        )

    def pipe(self, raw=None, **more):
        return self.do("pipe", stdin=notice() if raw is None else raw, **more)

    def run_once(self, **more):
        """The worker, after the one that a pipe started has ended: two at once is a test of its own."""
        self.settle()
        done = self.do("run", "--once", **more)
        self.settle()
        return done

    def pipe_alone(self, raw=None, **more):
        """The pipe while somebody holds the worker's lock, so that it starts no worker."""
        with open(os.path.join(self.state, "worker.lock"), "ab") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            return self.pipe(raw, **more)

    def somebody_works(self):
        """Is the worker's lock held? By /proc: a lock of our own, if for an instant, could turn a worker away."""
        try:
            inode = os.stat(os.path.join(self.state, "worker.lock")).st_ino
        except FileNotFoundError:
            return False
        with open("/proc/locks", encoding="ascii") as f:
            held = [x.split() for x in f]
        return any(x[1] == "FLOCK" and x[3] == "WRITE" and x[5].split(":")[2] == str(inode) for x in held if "->" not in x)

    def settle(self, seconds=120):
        """Waits until no worker holds the lock."""
        self.until(lambda: not self.somebody_works(), "a worker does not end", seconds)

    @staticmethod
    def until(true, otherwise, seconds=30):
        deadline = time.monotonic() + seconds
        while not true():
            if time.monotonic() > deadline:
                raise TimeoutError(otherwise)
            time.sleep(0.01)

    def kill_at(self, number, script, after=False, log=None, error=None, stays=False):
        """Runs a shell script under the killer: ("killed"|"ended"|"late", words). error: that call fails so; stays: all
        that follow it too."""
        report = os.path.join(self.dir, "report")
        args = [self.killer, "--seconds", "60" if error else "30", "--report", report]
        args += ["--after"] if after else []
        args += ["--error", error] if error else []
        args += ["--from"] if stays else []
        args += ["--log", log] if log else []
        args += [str(number), "sh", "-c", script]
        subprocess.run(args, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, timeout=90, check=True)
        with open(report, encoding="utf-8") as f:
            words = f.read().split()
        return words[0], words[1:]

    # -- what is there

    def has(self, table):
        if self.engine == "postgresql":
            return self.session.typed(f"SELECT to_regclass('{self.schema}.{table}') IS NOT NULL AS there")[0][0]
        return os.path.exists(self.ledger) and bool(self.rows(f"SELECT 1 FROM sqlite_schema WHERE name = '{table}'"))

    def rows(self, sql):
        if self.engine == "postgresql":
            return self.session.typed(sql)
        if not os.path.exists(self.ledger):
            return []
        with sqlite3.connect(f"file:{self.ledger}?mode=rw", uri=True, timeout=20) as db:
            return db.execute(sql).fetchall()

    def count(self, table):
        try:
            return self.rows(f"SELECT count(*) FROM {table}")[0][0] if self.has(table) else 0
        except sqlite3.OperationalError:  # a file that is being made
            return 0

    def dump(self, path):
        """As an administrator of the server backs it up; undump brings it back in place of what is there."""
        with open(path, "wb") as f:
            f.write(self.server.pg_dump("--schema", self.schema, database=database()[1]))

    def undump(self, path):
        self.session.rows(f"SET client_min_messages = warning; DROP SCHEMA {self.schema} CASCADE")
        self.server.psql("-f", path, database=database()[1])

    def everything_in_ledger(self):
        """As text: no secret may stand there."""
        if self.engine != "postgresql":
            return ""  # a file of the state folder
        return "\n".join(map(str, [self.rows(f"SELECT * FROM {t}") for t in ("cases", "jobs", "events", "messages", "claims", "refusals")]))

    def messages_waiting(self):
        return glob.glob(os.path.join(self.intake, "*.msg"))

    def tickets(self):
        return sorted(glob.glob(os.path.join(self.state, "tickets", "[!.]*.txt")))

    def replies(self):
        found = []
        for folder in ("new", "cur"):
            found += glob.glob(os.path.join(self.state, "**", folder, "*"), recursive=True)
        return sorted(found)

    def ticket_entries(self, path):
        """The history's own lines: "TIME what (job KEY)"."""
        with open(path, encoding="utf-8") as f:
            lines = f.read().splitlines()
        if "History" not in lines:
            return []
        return [x for x in lines[lines.index("History") + 1 :] if x and x[0] not in " \t" and "(job " in x]

    def wrong(self, cases=1):
        """What no crash excuses, now or later."""
        found = []
        if self.count("cases") > cases:
            found.append(f"{self.count('cases')} cases")
        if len(self.tickets()) > cases:
            found.append(f"tickets: {self.tickets()}")
        for path in self.tickets():
            entries = [x.split(" ", 1)[1] for x in self.ticket_entries(path)]
            if len(entries) != len(set(entries)):
                found.append(f"a history entry twice: {entries}")
        if len(self.replies()) > cases:
            found.append(f"replies: {self.replies()}")
        if glob.glob(os.path.join(self.intake, "*.bad")):
            found.append("a message was set aside")
        if self.engine == "sqlite" and os.path.exists(self.ledger):
            try:
                check = self.rows("PRAGMA integrity_check")
                if check != [("ok",)]:
                    found.append(f"integrity_check: {check}")
                if self.rows("PRAGMA foreign_key_check"):
                    found.append("foreign_key_check fails")
            except sqlite3.DatabaseError as e:
                found.append(f"the ledger: {e}")
        return found

    def missing(self, cases=1):
        """What must come about in the end."""
        found = []
        if self.messages_waiting():
            found.append("a message in the intake")
        for name, have in (
            ("messages", self.count("messages")),
            ("cases", self.count("cases")),
            ("tickets", len(self.tickets())),
            ("replies", len(self.replies())),
        ):
            if have < cases:
                found.append(f"{have} {name}")
        if self.count("messages") and self.rows("SELECT 1 FROM jobs WHERE state NOT IN ('done', 'skipped')"):
            found.append(f"jobs: {self.rows('SELECT action, event, state, summary FROM jobs')}")
        return found

    def work_to_end(self, cases=1, hours=8):
        """Runs the worker, and later again as a timer would, until nothing is missing; returns what still is."""
        said = ""
        for _ in range(hours * 6):
            done = self.run_once()
            said = f"run --once: {done.returncode} {done.stderr.decode(errors='replace')}"
            if self.wrong(cases) or not self.missing(cases):
                break
            self.advance(minutes=10)
        return self.wrong(cases) + [f"{x} ({said})" for x in self.missing(cases)]
