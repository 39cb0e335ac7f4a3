#!/usr/bin/python3
"""Lets each write, sync, link, rename and so on of `pipe`, the worker and the actions fail with ENOSPC, EIO or EDQUOT.

One call fails, or from it on all do, as on a disk that stays full. `pipe` answers 0 or 75 and nothing else. Then the disk
is well again, and the worker runs as a timer would start it: what was answered 0 is in the ledger; the mails come
again, as from a server that was not answered; and in the end there is one case, one ticket with each entry of its
history once, one reply, and nothing in the intake.
"""

import sys

sys.dont_write_bytecode = True
import points  # noqa: E402

ERRORS = ("ENOSPC", "EIO", "EDQUOT")
FIRST_CALLS = 8  # of the first pipe: folder, file, bytes, name
CODE = "; echo $? >"


def codes(world):
    found = {}
    for number in points.MAILS:
        with open(points.note(world, number), encoding="ascii") as f:
            found[number] = int(f.read())
    return found


def undisturbed(world):
    how, words = world.kill_at(0, points.script(world, CODE), error="EIO")
    return how, words, how == "ended" and set(codes(world).values()) == {0}


def one(args, number, error, stays):
    """What is wrong where that call fails, and whether anybody heard of it."""
    with args.world() as w:
        how, words = w.kill_at(number, points.script(w, CODE), error=error, stays=stays)
        if how != "ended":
            return [f"it hangs: {how} {words}"], True
        w.settle()
        got = codes(w)
        if not set(got.values()) <= {0, 75}:
            return [f"pipe answered {got}"], True
        return points.to_good_end(w, [n for n in points.MAILS if got[n] == 0]), 75 in got.values()


def main():
    args = points.arguments(__doc__, 30, "faults to take, at most 72")
    most = points.most_calls(args, undisturbed)
    chosen = [(n, error, stays) for n in range(1, most + 1) for error in ERRORS for stays in (False, True)]
    print(f"{len(chosen)} faults, seed {args.seed}", flush=True)
    if not args.all:  # the first calls are those of `pipe`, few among the worker's many: a third of the sample
        first, third = [x for x in chosen if x[0] <= FIRST_CALLS], args.count // 3
        chosen = args.chance.sample(first, third) + args.chance.sample(chosen[len(first) :], args.count - third)
    results, bad = points.walk(args, chosen, lambda *x: one(args, *x),
                               lambda x: f"call {x[0]} {x[1]}{' for good' if x[2] else ''}")
    later = sum(1 for _, heard in results if heard)
    print(f"{later} were answered 75")
    if later == 0:
        sys.exit("no fault was answered 75: this tests nothing")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
