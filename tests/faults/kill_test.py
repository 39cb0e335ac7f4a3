#!/usr/bin/python3
"""Kills `pipe` and the worker at every call that changes something, or at a sample of them, and looks what is left.

After each kill the worker runs again, as a timer would start it; then the same mails come again, as from a mail server
that was not answered. In the end there is one case, one ticket with each entry of its history once, one reply, and no
message in the intake; and what was answered 0 is in the ledger before it comes again.
"""

import os
import sys

sys.dont_write_bytecode = True
import points  # noqa: E402
from world import World  # noqa: E402

ANSWERED = "&& : >"


def undisturbed(world):
    how, words = world.kill_at(0, points.script(world, ANSWERED))
    return how, words, True


def one(build, engine, number, after):
    """What is wrong after a kill there: a list of words, empty when all is well."""
    with World(build, engine=engine) as w:
        how, words = w.kill_at(number, points.script(w, ANSWERED), after=after)
        if how == "late":
            return ([f"it hangs, after {words[0]} calls"],)
        at = f"{how} {' '.join(words)}{' after' if after else ''}: "
        answered = [n for n in points.MAILS if os.path.exists(points.note(w, n))]
        return ([at + x for x in points.to_good_end(w, answered)],)


def main():
    args = points.arguments(__doc__, 300, "kill points to take, before and after calls")
    most = points.most_calls(args.build, args.engine, undisturbed)
    chosen = every = [(n, after) for n in range(1, most + 1) for after in (False, True)]
    print(f"{len(every)} kill points, seed {args.seed}", flush=True)
    if not args.all:
        # each point once before any comes twice; the order of processes differs from run to run, so twice is no waste
        chosen = []
        while len(chosen) < args.count:
            chosen += args.chance.sample(every, min(len(every), args.count - len(chosen)))
    _, bad = points.walk(args, chosen, lambda *x: one(args.build, args.engine, *x),
                         lambda x: f"kill point {x[0]}{' --after' if x[1] else ''}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
