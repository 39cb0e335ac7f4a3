#!/usr/bin/python3
"""Whole rotations through the real programs, killed again and again at calls chosen by chance: every run of the worker, with
all that it has started, dies at some call that changes something. At the end the rotation is done all the same, by one
create or by two with the first one's orphan deleted after a person's word, and at no moment was provisioning interrupted.
With --all there is one kill a rotation, at each call of each run in turn.
"""
import argparse
import os
import random
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(HERE, "servers"), os.path.join(HERE, "faults")]
CALLS = 100  # of a run, most make fewer, and then it is not killed


def one(build, choose):
    """A whole rotation. choose: of a run of the worker, by number: (call, after) to be killed at, or None, or 0 to count.
    What is wrong after it, how many kills there were, and the calls of each run that were counted."""
    from whole import ACCOUNT, EXPIRES, Whole, notice
    kills, counted = 0, []
    with Whole(build) as w:
        w.pipe_alone(notice())
        w.run_once()
        w.do("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", EXPIRES)
        script = f"{w.mailhook} run --once --config {w.conf}; exit 0"
        for run in range(400):
            w.settle()
            point = choose(run)
            if point is None:
                w.run_once()
            elif point == 0:
                how, words = w.kill_at(0, script)
                counted.append(int(words[1]) if how == "ended" else 0)
            else:
                how, _ = w.kill_at(point[0], script, after=point[1])
                kills += how == "killed"
            state, waiting, _, _ = w.job()
            if state in ("done", "failed", "skipped"):
                break
            if waiting == "approval":
                w.do("approve", "1")
            w.advance(minutes=3)
            w.sync.sync()
        w.run_once()
        w.advance(minutes=10)
        w.run_once()
        found = [] if w.job()[0] == "done" else [f"the rotation ends as {w.job()}"]
        listed = w.center.tokens
        if not found and (len(listed) != 1 or listed[0]["Token"] != w.sync.saved["SecretToken"]):
            found.append(f"{len(listed)} tokens, or another one in use")
        orphans = w.rows("SELECT count(*) FROM approvals WHERE step = 'orphan'")[0][0]
        case = unittest.TestCase()
        try:
            w.check(case, "kills", creates=1 + orphans)
        except AssertionError as e:
            found.append(str(e))
        if len(w.tickets()) != 1:
            found.append(f"{len(w.tickets())} tickets")
        return found, kills, counted


def by_chance(chance, share):
    return lambda run: (chance.randint(1, CALLS), chance.random() < 0.5) if chance.random() < share else None


def at(run, number, after):
    return lambda r: (number, after) if r == run else None


def every_call(build):
    """(name, choose) for each call of each run that an undisturbed rotation makes."""
    found, _, counted = one(build, lambda run: 0)
    if found:
        sys.exit("the undisturbed rotation does not end well: %s" % found)
    return [("run %d, call %d%s" % (run, n, " --after" if after else ""), at(run, n, after))
            for run, calls in enumerate(counted) for n in range(1, calls + 1) for after in (False, True)]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default=os.environ.get("MAILHOOK_BUILD", "build"))
    p.add_argument("--engine", choices=("sqlite", "postgresql"), default="sqlite")
    p.add_argument("--count", type=int, default=3, help="whole rotations, by chance")
    p.add_argument("--share", type=float, default=0.8, help="of the worker's runs that are killed")
    p.add_argument("--all", action="store_true", help="a rotation for each call of each run")
    p.add_argument("--seconds", type=float, default=0, help="stop after so long, between two rotations")
    p.add_argument("--seed", type=int, default=None)
    args = p.parse_args()
    build = os.environ["MAILHOOK_BUILD"] = os.path.abspath(args.build)
    os.environ.setdefault("MAILHOOK_SOURCE", os.path.dirname(HERE))
    os.environ["MAILHOOK_TEST_ENGINE"] = args.engine
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    if args.engine == "postgresql":
        import postgresql
        if not postgresql.available():
            print("no PostgreSQL")
            sys.exit(77)
    if args.all:
        rows = every_call(build)
        random.Random(seed).shuffle(rows)  # any beginning is a sample
        print("%d kill points, seed %d" % (len(rows), seed), flush=True)
    else:
        rows = [("seed %d" % (seed + i), by_chance(random.Random(seed + i), args.share)) for i in range(args.count)]
    start, wrong, kills, done = time.monotonic(), [], 0, 0
    for name, choose in rows:
        if args.seconds and time.monotonic() - start > args.seconds:
            break
        found, n, _ = one(build, choose)
        wrong += ["%s: %s" % (name, x) for x in found]
        kills, done = kills + n, done + 1
    for x in wrong[:20]:
        print(x)
    print("%s: %d rotations, %d kills in %.0f s, %d things wrong, seed %d" % (
        args.engine, done, kills, time.monotonic() - start, len(wrong), seed), flush=True)
    sys.exit(1 if wrong or kills == 0 else 0)


if __name__ == "__main__":
    main()
