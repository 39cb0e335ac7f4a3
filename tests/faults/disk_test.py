#!/usr/bin/python3
"""Lets each write, sync, link, rename and so on of `pipe`, the worker and the actions fail with ENOSPC, EIO or EDQUOT.

One call fails, or from it on all do, as on a disk that stays full. `pipe` answers 0 or 75 and nothing else. Then the disk
is well again, and the worker runs as a timer would start it: what was answered 0 is in the ledger; the mails come
again, as from a server that was not answered; and in the end there is one case, one ticket with each entry of its
history once, one reply, and nothing in the intake.
"""

import argparse
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
from kill_test import MAILS, lost  # noqa: E402
from world import World, notice  # noqa: E402

ERRORS = ("ENOSPC", "EIO", "EDQUOT")
FIRST_CALLS = 8  # of the first pipe: folder, file, bytes, name


def code_file(world, number):
    return os.path.join(world.dir, f"code-{number}")


def script(world):
    config = f"--config {world.conf}"
    lines = []
    for number in MAILS:
        mail = os.path.join(world.dir, f"mail-{number}")
        with open(mail, "wb") as f:
            f.write(notice(number))
        lines.append(f"{world.mailhook} pipe {config} < {mail}; echo $? > {code_file(world, number)}")
    return "; ".join(lines + [f"{world.mailhook} run --once {config}", "exit 0"])


def codes(world):
    found = {}
    for number in MAILS:
        with open(code_file(world, number), encoding="ascii") as f:
            found[number] = int(f.read())
    return found


def how_many(build):
    most = 0
    for _ in range(3):
        with World(build) as w:
            how, words = w.kill_at(0, script(w), error="EIO")
            if how != "ended" or set(codes(w).values()) != {0} or w.work_to_end():
                sys.exit(f"the undisturbed run does not end well: {how} {words} {w.wrong()} {w.missing()}")
            most = max(most, int(words[1]))
    return most


def one(build, number, error, stays):
    """What is wrong where that call fails, and whether anybody heard of it."""
    with World(build) as w:
        how, words = w.kill_at(number, script(w), error=error, stays=stays)
        if how != "ended":
            return [f"it hangs: {how} {words}"], True
        w.settle()
        got = codes(w)
        found = [f"pipe answered {got}"] if not set(got.values()) <= {0, 75} else w.wrong()
        answered = [n for n in MAILS if got[n] == 0]
        if answered and not found:
            found = [f"answered 0, then {x}" for x in w.work_to_end() + lost(w, answered)]
        for n in MAILS if not found else ():
            again = w.pipe(notice(n))
            if again.returncode != 0:
                found.append(f"mail {n} again: {again.returncode} {again.stderr!r}")
        if not found:
            found = w.work_to_end() + lost(w, MAILS)
        check = w.do("ledger", "check")
        if not found and check.returncode != 0:
            found = [f"ledger check: {check.stdout!r}"]
        return found, 75 in got.values()


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build")
    p.add_argument("--count", type=int, default=30, help="faults to take, at most 72")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--all", action="store_true", help="every call, each error, once and for good")
    p.add_argument("--jobs", type=int, default=2)
    args = p.parse_args()

    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    points = [(n, error, stays) for n in range(1, how_many(args.build) + 1) for error in ERRORS for stays in (False, True)]
    print(f"{len(points)} faults, seed {seed}", flush=True)
    if not args.all:  # the first calls are those of `pipe`, few among the worker's many: a third of the sample
        first = [x for x in points if x[0] <= FIRST_CALLS]
        chance, third = random.Random(seed), args.count // 3
        points = chance.sample(first, third) + chance.sample(points[len(first) :], args.count - third)
    start = time.monotonic()
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda x: (x, one(args.build, *x)), points))
    bad = [(p, x) for p, (found, _) in results for x in found]
    for (number, error, stays), x in bad[:20]:
        print(f"call {number} {error}{' for good' if stays else ''}: {x}")
    later = sum(1 for _, (_, heard) in results if heard)
    print(f"{len(points)} faults in {time.monotonic() - start:.0f} s, {later} answered 75, {len(bad)} things wrong, seed {seed}")
    if later == 0:
        sys.exit("no fault was answered 75: this tests nothing")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
