#!/usr/bin/python3
"""Kills `pipe` and the worker at every call that changes something, or at a sample of them, and looks what is left.

After each kill the worker runs again, as a timer would start it; then the same mails come again, as from a mail server
that was not answered. In the end there is one case, one ticket with each entry of its history once, one reply, and no
message in the intake; and what was answered 0 is in the ledger before it comes again.
"""

import argparse
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
from world import World, notice  # noqa: E402


MAILS = (1, 2)  # two mails about one expiry: the second joins the case of the first


def answered_file(world, number):
    return os.path.join(world.dir, f"answered-{number}")


def script(world):
    config = f"--config {world.conf}"
    lines = []
    for number in MAILS:
        mail = os.path.join(world.dir, f"mail-{number}")
        with open(mail, "wb") as f:
            f.write(notice(number))
        lines.append(f"{world.mailhook} pipe {config} < {mail} && : > {answered_file(world, number)}")
    return "; ".join(lines + [f"{world.mailhook} run --once {config}", "exit 0"])


def lost(world, numbers):
    """Mails that were answered 0, the worker has run to its end, and the ledger does not know them."""
    known = {x[0] for x in world.rows("SELECT message_id FROM messages")}
    return [f"mail {n} is not in the ledger" for n in numbers if f"<scim-{n}@example.com>" not in known]


def how_many(build):
    """The most calls that three undisturbed runs make: the worker's second look makes their number vary."""
    most = 0
    for _ in range(3):
        with World(build) as w:
            how, words = w.kill_at(0, script(w))
            if how != "ended" or w.work_to_end():
                sys.exit(f"the undisturbed run does not end well: {how} {words} {w.wrong()} {w.missing()}")
            most = max(most, int(words[1]))
    return most


def one(build, number, after):
    """What is wrong after a kill there: a list of words, empty when all is well."""
    with World(build) as w:
        how, words = w.kill_at(number, script(w), after=after)
        if how == "late":
            return [f"it hangs, after {words[0]} calls"]
        at = f"{how} {' '.join(words)}{' after' if after else ''}: "
        answered = [n for n in MAILS if os.path.exists(answered_file(w, n))]
        found = w.wrong()
        if answered and not found:
            found = [f"answered 0, then {x}" for x in w.work_to_end() + lost(w, answered)]
        for number in MAILS if not found else ():
            again = w.pipe(notice(number))
            if again.returncode != 0:
                found.append(f"mail {number} again: {again.returncode} {again.stderr!r}")
        if not found:
            found = w.work_to_end() + lost(w, MAILS)
        if not found and w.count("messages") != len(MAILS):
            found = [f"{w.count('messages')} messages"]
        return [at + x for x in found]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build")
    p.add_argument("--count", type=int, default=300, help="kill points to take")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--all", action="store_true", help="every kill point, before and after the call")
    p.add_argument("--jobs", type=int, default=2)
    args = p.parse_args()

    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    points = [(n, after) for n in range(1, how_many(args.build) + 1) for after in (False, True)]
    print(f"{len(points)} kill points, seed {seed}", flush=True)
    chance = random.Random(seed)
    if not args.all:
        # each point once before any comes twice; the order of processes differs from run to run, so twice is no waste
        chosen = []
        while len(chosen) < args.count:
            chosen += chance.sample(points, min(len(points), args.count - len(chosen)))
        points = chosen
    start = time.monotonic()
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda p: (p, one(args.build, *p)), points))
    bad = [(p, x) for p, found in results for x in found]
    for (number, after), x in bad[:20]:
        print(f"kill point {number}{' --after' if after else ''}: {x}")
    print(f"{len(points)} kills in {time.monotonic() - start:.0f} s, {len(bad)} things wrong, seed {seed}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
