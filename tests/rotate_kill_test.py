#!/usr/bin/python3
"""Whole rotations through the real programs, killed again and again at calls chosen by chance: every run of the worker, with
all that it has started, dies at some call that changes something. At the end the rotation is done all the same, by one
create or by two with the first one's orphan deleted after a person's word, and at no moment was provisioning interrupted.
"""
import argparse
import os
import random
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))


def one(seed, share, build):
    """What is wrong after a whole rotation under kills: a list of words; and how many kills there were."""
    from whole import ACCOUNT, EXPIRES, Whole, notice
    chance = random.Random(seed)
    kills = 0
    with Whole(build) as w:
        w.pipe_alone(notice())
        w.run_once()
        w.do("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", EXPIRES)
        script = f"{w.mailhook} run --once --config {w.conf}; exit 0"
        for _ in range(400):
            w.settle()
            if chance.random() < share:
                how, _ = w.kill_at(chance.randint(1, 100), script, after=chance.random() < 0.5)
                kills += how == "killed"
            else:
                w.run_once()
            state, waiting, step, _ = w.job()
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
        return [f"seed {seed}: {x}" for x in found], kills


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default=os.environ.get("MAILHOOK_BUILD", "build"))
    p.add_argument("--count", type=int, default=3, help="whole rotations")
    p.add_argument("--share", type=float, default=0.8, help="of the worker's runs that are killed")
    p.add_argument("--seed", type=int, default=None)
    args = p.parse_args()
    build = os.environ["MAILHOOK_BUILD"] = os.path.abspath(args.build)
    os.environ.setdefault("MAILHOOK_SOURCE", os.path.dirname(HERE))
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    start, wrong, kills = time.monotonic(), [], 0
    for i in range(args.count):
        found, n = one(seed + i, args.share, build)
        wrong += found
        kills += n
    for x in wrong[:20]:
        print(x)
    print(f"{args.count} rotations, {kills} kills in {time.monotonic() - start:.0f} s, {len(wrong)} things wrong, seed {seed}")
    sys.exit(1 if wrong or kills == 0 else 0)


if __name__ == "__main__":
    main()
