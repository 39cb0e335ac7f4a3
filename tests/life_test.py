#!/usr/bin/python3
"""A life of 14 months: 20 mails about four tokens, and the history that must come of it, compared whole.

Alder's token is renewed, and the next year's notices come. Birch's is renewed, and no notice comes ever again. Nobody
acts on Cedar's. Dogwood's first notice is taken just before the ledger is restored from an older copy, and comes again;
then the clock is set back by a day. A token of our own runs out beside them. With --kills the same life is lived again
with kills at a sample of the calls that change something, and must end the same.
"""

import argparse
import email
import os
import random
import shutil
import sys
from datetime import datetime, timedelta, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "faults"))
from world import World  # noqa: E402

NOON = datetime(2026, 1, 1, 12, 0, 0, tzinfo=timezone.utc)
ACCOUNTS = {"alder": "111111111111", "birch": "222222222222", "cedar": "333333333333", "dogwood": "444444444444"}

CONF = """
action "ticket" {{ program = "ticket" }}
action "reply"  {{ program = "reply" }}
action "page"   {{ program = "{page}"  needs = "unverified" }}
rule "ours" {{ accounts = {{"111111111111", "222222222222", "333333333333", "444444444444"}}  do = {{"ticket", "reply"}} }}
rule "rest" {{ order = 100  do = {{"ticket"}} }}
escalate "boss" {{ before = "5d"  kinds = {{"aws.*"}}  do = {{"page"}} }}
credential "jira token" {{ expires = "{token}"  remind = {{30, 7}} }}
"""
PAGE = """#!/bin/sh
IFS= read -r request
[ "$1" = run ] || { echo '{"outcome":"done","summary":"fit"}'; exit 0; }
echo called >>"%s"
echo '{"outcome":"done","summary":"the boss was called"}'
"""

# The day of each mail, counted from 2026-01-01, and the day on which the token ends.
MAILS = [
    (0, "alder", 89), (29, "alder", 89), (30, "birch", 119), (59, "alder", 89), (60, "birch", 119), (90, "birch", 119),
    (91, "cedar", 180), (121, "cedar", 180), (151, "cedar", 180), (166, "cedar", 180), (173, "cedar", 180),
    (177, "cedar", 180), (179, "cedar", 180), (214, "dogwood", 303), (216, "dogwood", 303), (243, "dogwood", 303),
    (273, "dogwood", 303), (335, "alder", 425), (365, "alder", 425), (395, "alder", 425),
]  # fmt: skip
AGAIN = {216: 214}  # the very mail of that day, from the box
STEPS = {60: ("close", "1"), 100: ("close", "2"), 200: ("close", "3"), 280: ("close", "4")}
COPIED, RESTORED, SET_BACK, RENEWED, LAST = 210, 215, 244, 360, 430

# DAY CASE WHAT: all that the ledger keeps, but for what actions answered.
HISTORY = """
0 1 opened
29 1 notice
29 1 reminded 60
59 1 notice
59 1 reminded 30
60 1 closed
30 2 opened
60 2 notice
59 2 reminded 60
89 2 reminded 30
90 2 notice
100 2 closed
408 2 silence
91 3 opened
121 3 notice
120 3 reminded 60
151 3 notice
150 3 reminded 30
166 3 notice
166 3 reminded 14
173 3 notice
173 3 reminded 7
175 3 escalated
175 3 reminded boss
177 3 notice
177 3 reminded 3
179 3 notice
179 3 reminded 1
180 3 expired
200 3 closed
216 4 opened
243 4 notice
243 4 reminded 60
273 4 notice
273 4 reminded 30
280 4 closed
335 5 opened
335 6 opened
365 5 notice
365 5 reminded 60
395 5 notice
395 5 reminded 30
411 5 reminded 14
418 5 reminded 7
420 5 escalated
420 5 reminded boss
422 5 reminded 3
424 5 reminded 1
425 5 expired
358 6 reminded 7
360 6 closed
408 7 opened
"""
CASES = {
    1: ("aws.identity-center.scim-token", ACCOUNTS["alder"], "2026-03-31T04:05:06Z"),
    2: ("aws.identity-center.scim-token", ACCOUNTS["birch"], "2026-04-30T04:05:06Z"),
    3: ("aws.identity-center.scim-token", ACCOUNTS["cedar"], "2026-06-30T04:05:06Z"),
    4: ("aws.identity-center.scim-token", ACCOUNTS["dogwood"], "2026-10-31T04:05:06Z"),
    5: ("aws.identity-center.scim-token", ACCOUNTS["alder"], "2027-03-02T04:05:06Z"),
    6: ("mailhook.credential", None, "2026-12-31T23:59:59Z"),
    7: ("mailhook.silence", ACCOUNTS["birch"], None),
}
OPEN = {5, 7}


def mail(day, name, end):
    day = AGAIN.get(day, day)
    sent, expires = NOON + timedelta(days=day), NOON.replace(hour=4, minute=5, second=6) + timedelta(days=end)
    return f"""\
From: "Amazon Web Services, Inc." <no-reply-aws@amazon.com>
To: cloud@example.com
Subject: [Action required] AWS IAM Identity Center (successor to AWS Single
 Sign-On) SCIM Access Token Approaching Expiration. [AWS Account: {ACCOUNTS[name]}]
Date: {sent.strftime("%a, %d %b %Y %H:%M:%S +0000")}
Message-ID: <{name}-{day}@example.com>
MIME-Version: 1.0
Content-Type: text/plain; charset="UTF-8"
Content-Transfer-Encoding: 7bit

Hello,

The SCIM access token used to automatically provision users and groups from
your IdP to IAM Identity Center expires in {end - day - 1} days on {expires.strftime("%a %b %d %H:%M:%S UTC %Y")}.

Sincerely,
Amazon Web Services
""".encode()


class Life:
    def __init__(self, world, kills=None):
        self.w = world
        self.kills = kills  # called at each work to do: the number of the call to kill at, or None
        self.killed = 0
        self.page = os.path.join(world.dir, "page")
        self.called = os.path.join(world.dir, "called")
        with open(self.page, "w", encoding="utf-8") as f:
            f.write(PAGE % self.called)
        os.chmod(self.page, 0o700)
        self.configure("2026-12-31")

    def configure(self, token):
        text = f'state_dir = "{self.w.state}"\n' + CONF.format(page=self.page, token=token)
        self.w.write(self.w.conf, text)

    def day(self, day):
        self.w.now = NOON + timedelta(days=day)
        self.w.set_clock()

    def work(self):
        number = self.kills() if self.kills else None
        if number is not None:
            how, _ = self.w.kill_at(number, f"exec {self.w.mailhook} run --once --config {self.w.conf}")
            self.killed += how == "killed"
            self.w.settle()
        done = self.w.run_once()
        if done.returncode != 0:
            raise AssertionError(f"run --once on {self.w.now}: {done.returncode} {done.stderr!r}")

    def take(self, raw):
        done = self.w.pipe_alone(raw)
        if done.returncode != 0:
            raise AssertionError(f"pipe on {self.w.now}: {done.returncode} {done.stderr!r}")

    def ledger_files(self):
        return [x for x in (self.w.ledger, self.w.ledger + "-wal", self.w.ledger + "-shm") if os.path.exists(x)]

    def copy(self):
        for path in self.ledger_files():
            shutil.copy2(path, os.path.join(self.w.dir, "copy-" + os.path.basename(path)))

    def restore(self):
        for path in self.ledger_files():
            os.unlink(path)
        for name in os.listdir(self.w.dir):
            if name.startswith("copy-"):
                shutil.copy2(os.path.join(self.w.dir, name), os.path.join(self.w.state, name[len("copy-") :]))

    def live(self):
        for day in range(LAST + 1):
            self.day(day)
            if day == RESTORED:
                self.restore()
                self.work()
                done = self.w.do("resume")  # a restored ledger starts paused
                if done.returncode != 0:
                    raise AssertionError(f"resume: {done.stderr!r}")
            if day == RENEWED:
                self.configure("2027-12-31")
            for at, name, end in MAILS:
                if at == day:
                    self.take(mail(at, name, end))
            self.work()
            if day in STEPS:
                done = self.w.do(*STEPS[day])
                if done.returncode != 0:
                    raise AssertionError(f"{STEPS[day]}: {done.stderr!r}")
                self.work()
            if day == COPIED:
                self.copy()
            if day == SET_BACK:
                self.day(day - 1)
                self.work()
                self.day(day)
                self.work()


def history(w):
    found = []
    for case, at, what, detail in w.rows("SELECT case_id, at, what, detail FROM events WHERE case_id IS NOT NULL ORDER BY case_id, id"):
        day = (datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc) - NOON).days
        if what == "outcome":
            continue
        words = detail.split()
        if what == "reminded":
            what += " boss" if words[0] == "escalation" else f" {words[0]}"
        found.append(f"{day} {case} {what}")
    return found


def differences(w, life):
    found = []
    have, want = history(w), [x for x in HISTORY.split("\n") if x]
    key = lambda line: (int(line.split()[1]), int(line.split()[0]), line)  # noqa: E731
    have, want = sorted(have, key=key), sorted(want, key=key)
    found += [f"not in the history: {x}" for x in want if have.count(x) < want.count(x)]
    found += [f"in the history and not expected: {x}" for x in have if have.count(x) > want.count(x)]
    cases = {x[0]: x[1:] for x in w.rows("SELECT id, kind, account, expires FROM cases")}
    if cases != CASES:
        found.append(f"cases: {cases}")
    if {x[0] for x in w.rows("SELECT id FROM cases WHERE state = 'open'")} != OPEN:
        found.append("other cases are open")
    left = w.rows("SELECT case_id, action, event, state, summary FROM jobs WHERE state NOT IN ('done', 'skipped')")
    found += [f"a job is left: {x}" for x in left]
    keys = {x[0] for x in w.rows("SELECT key FROM cases")}
    carried = []
    for path in w.tickets():
        with open(path, encoding="utf-8") as f:
            text = f.read()
        carried += [k for k in keys if k in text][:1]
        entries = [x.split(" ", 1)[1] for x in w.ticket_entries(path)]
        found += [f"a ticket's entry twice: {x}" for x in set(entries) if entries.count(x) > 1]
    if sorted(carried) != sorted(keys):
        found.append(f"{len(w.tickets())} tickets for {len(keys)} cases")
    ids = []
    for path in w.replies():
        with open(path, "rb") as f:
            ids.append(email.message_from_binary_file(f)["Message-ID"])
    found += [f"a reply twice: {x}" for x in set(ids) if ids.count(x) > 1]
    if not ids:
        found.append("no reply")
    with open(life.called, encoding="ascii") as f:
        calls = len(f.read().split())
    if calls < 2 or (calls != 2 and not life.killed):  # a program without a memory: at least once
        found.append(f"the boss was called {calls} times")
    return found + [x for x in w.wrong(cases=len(CASES)) if not x.startswith("replies")]


def sampled(chance, share):
    """At so many of the rounds of work, a kill at one of its first calls; most rounds make few."""
    return lambda: chance.randrange(1, 120) if chance.random() < share else None


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build")
    p.add_argument("--kills", type=int, default=0, help="lives with kills, after the undisturbed one")
    p.add_argument("--share", type=float, default=0.3, help="of the days, that have one")
    p.add_argument("--seed", type=int, default=None)
    args = p.parse_args()

    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    chance = random.Random(seed)
    bad = 0
    for number in range(args.kills + 1):
        with World(args.build) as w:
            life = Life(w, sampled(chance, args.share) if number > 0 else None)
            life.live()
            found = differences(w, life)
            for x in found:
                print(f"life {number}: {x}")
            print(f"life {number}: {len(MAILS)} mails, {life.killed} kills, {len(found)} differences, seed {seed}", flush=True)
            bad += len(found)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
