"""A worker's surroundings for the tests of what mailhook shows: sample mails, actions that wait, fail and answer, set time."""
import os
import shutil
import sqlite3
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone

SOURCE, BUILD = os.environ["MAILHOOK_SOURCE"], os.environ["MAILHOOK_BUILD"]
START = datetime(2025, 11, 6, 9, 0, tzinfo=timezone.utc)
ACCOUNTS = """account,name,owner,environment,assignee
123456789012,Payments & <Billing>,payments@example.com,production,Ada Example
000000000042,Sandbox,sandbox@example.com,test,
"""
RULES = """
accounts_file = "%(dir)s/accounts.csv"
action "jira" { program = "%(dir)s/ticket"  role = "ticket" }
action "entra" { program = "%(dir)s/approval"  needs = "unverified" }
action "pager" { program = "%(dir)s/broken"  needs = "unverified" }
rule "scim" { kinds = {"aws.identity-center.scim-token"}  do = {"jira", "entra"} }
rule "certificates" { kinds = {"aws.acm.certificate"}  do = {"jira", "pager"} }
rule "rest" { order = 100  do = {"jira"} }
"""
SCRIPT = """#!/bin/sh
read -r line
echo '%s'
"""
ANSWERS = {
    "ticket": '{"outcome":"done","summary":"opened","url":"https://tickets.example.com/browse/OPS-42"}',
    "approval": '{"outcome":"waiting","waiting_for":"approval","summary":"a new token is ready"}',
    "broken": '{"outcome":"failed","summary":"403 from <the> \\"pager\\" & friends"}',
}
MAILS = ("scim/a-8bit", "scim/b-alternative", "scim/a-leading-zeros", "kinds/acm", "kinds/eks-version", "kinds/rds-ca",
         "kinds/github-token", "kinds/rolesanywhere", "kinds/lambda-runtime")


class Room:
    def __init__(self, more="", rules=True):
        self.dir = tempfile.mkdtemp(prefix="mailhook-sight-")
        self.state = os.path.join(self.dir, "state")
        self.write("accounts.csv", ACCOUNTS)
        for name, answer in ANSWERS.items():
            self.write(name, SCRIPT % answer, 0o700)
        self.at(0)
        self.configure(more, rules)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.dir)

    def configure(self, more, rules=True):
        text = 'state_dir = "%s"\n%s' % (self.state, more.replace("@", self.dir))
        self.conf = self.write("mailhook.conf", text + (RULES % {"dir": self.dir} if rules else ""))

    def write(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        os.chmod(path, mode)
        return path

    def read(self, name):
        with open(os.path.join(self.dir, name), "rb") as f:
            return f.read().decode()

    def at(self, minutes):
        """Sets the time, in minutes since the start."""
        self.now = START + timedelta(minutes=minutes)
        self.write("clock.new", self.now.strftime("%Y-%m-%dT%H:%M:%SZ\n"))
        os.rename(os.path.join(self.dir, "clock.new"), os.path.join(self.dir, "clock"))

    def env(self, **more):
        return {"MAILHOOK_CLOCK_FILE": self.dir + "/clock", **more}

    def command(self, *args):
        return [BUILD + "/bin/mailhook", *args, "--config", self.conf]

    def run(self, *args, stdin=b"", code=0, env=None):
        done = subprocess.run(self.command(*args), input=stdin, capture_output=True, env=self.env(**(env or {})),
                              timeout=60, check=False)
        assert done.returncode == code, (args, done)
        return done

    def put(self, sample):
        """One sample mail into the intake, and nobody is woken for it."""
        with open(os.path.join(SOURCE, "samples", sample + ".eml"), "rb") as f:
            message = f.read()
        os.makedirs(self.state + "/intake", exist_ok=True)
        head = "mailhook 1 %s from=- cut=0\n" % self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        name = "%032x.msg" % (len(os.listdir(self.state + "/intake")) + 1)
        with open(os.path.join(self.state, "intake", name), "wb") as f:
            f.write(head.encode() + message)

    def fill(self, mails=MAILS):
        for name in mails:
            self.put("notices/" + name)
        self.put("other/ambiguous-date")
        return self.run("run", "--once")

    def sql(self, text, *args):
        with sqlite3.connect(self.state + "/ledger.db") as db:
            return db.execute(text, args).fetchall()
