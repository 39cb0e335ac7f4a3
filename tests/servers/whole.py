"""A whole rotation through the real programs: a notice is piped, the worker works, a person steers; AWS, SCIM and Graph are
stand-ins. Time is a file's, and theirs is the same."""
import glob
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "faults"))
from world import World, notice  # noqa: E402

import rotation  # noqa: E402

ACCOUNT, EXPIRES = rotation.ACCOUNT, "2026-03-31T04:05:06Z"
CONF = """%s%s
action "jira" { program = "ticket" }
action "entra" { program = "rotate" }
action "tell" { program = "reply" }
rule "scim" { kinds = {"aws.identity-center.*"}  do = {"jira", "entra", "tell"} }
"""


class Whole(World):
    def __init__(self, build=None, more="", **options):
        super().__init__(build)
        self.stand_ins = rotation.World(tokens=(rotation.seconds(EXPIRES),), **options)
        self.center, self.sync = self.stand_ins.center, self.stand_ins.sync
        self.outputs = []
        self.set_clock()
        self.write(self.conf, CONF % (self.top, more))
        os.mkdir(os.path.join(self.dir, "actions"))
        with open(self.stand_ins.conf, encoding="utf-8") as f:
            self.write(os.path.join(self.dir, "actions", "entra.conf"), f.read())
        self.guard()

    def guard(self):
        """What the provider presents must be valid after each request."""
        self.stand_ins.guarded, self.stand_ins.broken = True, []

    def set_clock(self):
        super().set_clock()
        if hasattr(self, "stand_ins"):
            self.stand_ins.t = int(self.now.timestamp())

    def __exit__(self, *args):
        self.stand_ins.close()
        super().__exit__(*args)

    def do(self, *args, **more):
        done = super().do(*args, **more)
        self.outputs.append((done.stdout + done.stderr).decode(errors="replace"))
        return done

    def opened(self):
        """The notice is in, and a person has seen in AWS what it says."""
        assert self.pipe_alone(notice()).returncode == 0
        assert self.run_once().returncode == 0
        assert self.do("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", EXPIRES).returncode == 0

    def job(self):
        rows = self.rows("SELECT state, waiting_for, step, summary FROM jobs WHERE action = 'entra'")
        return rows[0] if rows else (None,) * 4

    def work(self, until, rounds=60):
        """Runs the worker until the rotation waits with that step, or is in that state."""
        for _ in range(rounds):
            self.run_once()
            job = self.job()
            if until in (job[0], job[2]):
                return job
            self.advance(minutes=2)
            self.sync.sync()
        raise AssertionError("the rotation does not come to %s: %s" % (until, self.job()))

    # -- what people see

    def ticket(self):
        (path,) = self.tickets()
        with open(path, encoding="utf-8") as f:
            return f.read()

    def mails(self):
        found = []
        for path in self.replies():
            with open(path, encoding="utf-8") as f:
                found.append(f.read())
        return found

    def everything(self):
        """All that was written anywhere: the ledger's pages, tickets, mails, logs, output."""
        text = [*self.outputs, self.everything_in_ledger()]
        for path in glob.glob(os.path.join(self.state, "**"), recursive=True):
            if os.path.isfile(path):
                with open(path, "rb") as f:
                    text.append(f.read().decode("latin-1"))
        assert not glob.glob(os.path.join(self.state, "core*")), "a core file"
        return "\n".join(text)

    def check(self, test, name, creates=1):
        sound = self.do("ledger", "check")
        test.assertEqual(sound.returncode, 0, (name, sound))
        self.stand_ins.check(test, name, {"summary": self.job()[3] or ""}, creates=creates, told=self.everything())
