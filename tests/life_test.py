#!/usr/bin/python3
"""A life of 14 months: 20 mails about four tokens, and the history that must come of it, compared whole.

Alder's token is renewed, and the next year's notices come. Birch's is renewed, and no notice comes ever again. Nobody
acts on Cedar's. Dogwood's first notice is taken just before the ledger is restored from an older backup, and comes again;
then the clock is set back by a day. A token of our own runs out beside them. With --kills the same life is lived again
with kills at a sample of the calls that change something, of `pipe`, the worker and each command, and must end the same;
with --all each of them is killed once at each of its calls, before it and behind it.
"""

import argparse
import email
import fcntl
import itertools
import os
import random
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "faults"))
from world import ENGINES, World, database  # noqa: E402

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


# Which events have jobs, and of which actions; the case that rule "rest" took has no reply.
WITH_JOBS = ("opened", "reminded", "expired", "closed")
TICKET_ALONE = (6,)


class Life:
    def __init__(self, world, kills=None):
        self.w = world
        self.kills = kills  # called before each command: None, or at which call to kill it, and whether behind it
        self.killed = 0
        self.answered = set()
        self.page = os.path.join(world.dir, "page")
        self.called = os.path.join(world.dir, "called")
        self.mail = os.path.join(world.dir, "mail")
        self.backup = os.path.join(world.dir, "backup")
        with open(self.page, "w", encoding="utf-8") as f:
            f.write(PAGE % self.called)
        os.chmod(self.page, 0o700)
        self.configure("2026-12-31")

    def configure(self, token):
        text = self.w.top + CONF.format(page=self.page, token=token)
        self.w.write(self.w.conf, text)

    def day(self, day):
        self.w.now = NOON + timedelta(days=day)
        self.w.set_clock()

    def die(self, *args, stdin="/dev/null"):
        """Perhaps a first try of that command, which is killed."""
        kill = self.kills() if self.kills else None
        if kill is None:
            return False
        number, after = kill
        how, _ = self.w.kill_at(number, f"exec {' '.join(self.w.command(*args))} < {stdin}", after=after)
        self.killed += how == "killed"
        if stdin == "/dev/null":  # else the lock is our own
            self.w.settle()
        return True

    def do(self, *args, fits=(0,)):
        """A command, and again where its first try may have died: what it did then, it refuses to do twice."""
        tried = self.die(*args)
        done = self.w.do(*args)
        if done.returncode not in (fits + (2,) if tried else fits):
            raise AssertionError(f"{args} on {self.w.now}: {done.returncode} {done.stdout!r} {done.stderr!r}")
        return done.stdout.decode()

    def work(self):
        self.die("run", "--once")
        done = self.w.run_once()
        if done.returncode != 0:
            raise AssertionError(f"run --once on {self.w.now}: {done.returncode} {done.stderr!r}")

    def take(self, raw, name):
        with open(self.mail, "wb") as f:
            f.write(raw)
        with open(os.path.join(self.w.state, "worker.lock"), "ab") as lock:  # so that it starts no worker
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.die("pipe", stdin=self.mail)
            done = self.w.pipe(raw)
        if done.returncode != 0:
            raise AssertionError(f"pipe on {self.w.now}: {done.returncode} {done.stderr!r}")
        self.answered.add(name)

    def copy(self):
        if self.w.engine == "postgresql":
            self.w.dump(self.backup)
            return
        self.die("backup", self.backup)
        if not os.path.exists(self.backup):  # whole or not at all
            self.do("backup", self.backup)

    def restore(self):
        """As the README has it: the copy in the ledger's place, a look at it, and on."""
        if self.w.engine == "postgresql":
            self.w.undump(self.backup)
        else:
            for end in ("", "-wal", "-shm"):
                if os.path.exists(self.w.ledger + end):
                    os.unlink(self.w.ledger + end)
            shutil.copyfile(self.backup, self.w.ledger)
            os.chmod(self.w.ledger, 0o600)
        self.work()
        for words, args in (("mailhook resume", ("status",)), ("aws.identity-center", ("list", "--all")), ("all is well", ("ledger", "check"))):
            said = self.w.do(*args).stdout.decode()
            if words not in said:
                raise AssertionError(f"restored, {args}: {said!r}")
        self.do("resume")

    def live(self):
        for day in range(LAST + 1):
            self.day(day)
            if day == RESTORED:
                self.restore()
            if day == RENEWED:
                self.configure("2027-12-31")
            for at, name, end in MAILS:
                if at == day:
                    self.take(mail(at, name, end), f"<{name}-{AGAIN.get(day, day)}@example.com>")
            self.work()
            if day in STEPS:
                self.do(*STEPS[day])
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


def wanted_jobs():
    """Each event its jobs: the boss's page for an escalation, else a ticket's entry, and a reply where the rule has one."""
    jobs = []
    for _, case, what, *more in (x.split() for x in HISTORY.split("\n") if x):
        if more == ["boss"]:
            jobs.append((int(case), "reminded", "page"))
        elif what in WITH_JOBS:
            jobs.append((int(case), what, "ticket"))
            jobs += [(int(case), what, "reply")] if int(case) not in TICKET_ALONE else []
    return sorted(jobs)


def differences(w, life):
    found = []
    check = w.do("ledger", "check")
    if check.returncode != 0:
        found.append(f"ledger check: {check.stdout.decode()}")
    jobs = sorted(w.rows("SELECT case_id, event, action FROM jobs"))
    if jobs != wanted_jobs():
        found.append(f"jobs: {[x for x in jobs if x not in wanted_jobs()]}, not {[x for x in wanted_jobs() if x not in jobs]}")
    known = {x[0] for x in w.rows("SELECT m.message_id FROM messages m JOIN notices n ON n.message_id = m.id JOIN cases c ON c.id = n.case_id")}
    found += [f"answered 0 and without a case: {x}" for x in sorted(life.answered - known)]
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
    """Of so many of the commands, a kill at one of the first calls; most make few."""
    return lambda: (chance.randrange(1, 120), chance.random() < 0.5) if chance.random() < share else None


def lived(build, words, kills, echo=True):
    """One life: how many kills there were, and what is wrong with it."""
    with World(build) as w:
        life = Life(w, kills)
        life.live()
        found = differences(w, life)
        if found or echo:
            print("\n".join([f"{words}: {x}" for x in found] + [f"{words}: {len(MAILS)} mails, {life.killed} kills, "
                                                                  f"{len(found)} differences"]), flush=True)
        return life.killed, found


def every_call(build, jobs):
    """One life for each number, in which each command is killed at that call: until none makes so many."""
    bad = kills = 0
    with ThreadPoolExecutor(jobs) as pool:
        for first in itertools.count(1, jobs):
            rows = [(n, after) for n in range(first, first + jobs) for after in (False, True)]
            ends = list(pool.map(lambda x: lived(build, f"call {x[0]}{' --after' if x[1] else ''}", lambda: x, False), rows))
            bad += sum(len(found) for _, found in ends)
            kills += sum(killed for killed, _ in ends)
            if not any(killed for killed, _ in ends):
                print(f"each call up to the {first - 1}th: {kills} kills, {bad} differences")
                return bad


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build")
    p.add_argument("--engine", choices=ENGINES, default=ENGINES[0])
    p.add_argument("--kills", type=int, default=0, help="lives with kills, after the undisturbed one")
    p.add_argument("--share", type=float, default=0.3, help="of the commands, that are killed")
    p.add_argument("--all", action="store_true", help="lives with a kill at each call of each command")
    p.add_argument("--jobs", type=int, default=2, help="of --all")
    p.add_argument("--seed", type=int, default=None)
    args = p.parse_args()
    os.environ["MAILHOOK_TEST_ENGINE"] = args.engine
    if args.engine == "postgresql":
        database()  # by this thread

    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    chance = random.Random(seed)
    bad = 0
    for number in range(args.kills + 1):
        killed, found = lived(args.build, f"life {number}, seed {seed}", sampled(chance, args.share) if number > 0 else None)
        bad += len(found)
        if number > 0 and killed == 0:
            sys.exit("nothing was killed: this tests nothing")
    if args.all:
        bad += every_call(args.build, args.jobs)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
