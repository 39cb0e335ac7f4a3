"""What the tests share that let something happen at one call of `pipe` and the worker: the mails, the way to that point,
and the way from it to a good end. Each is done for each engine of the ledger."""

import argparse
import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from world import ENGINES, World, database, notice

MAILS = (1, 2)  # two mails about one expiry: the second joins the case of the first


def mail_file(world, number):
    path = os.path.join(world.dir, f"mail-{number}")
    with open(path, "wb") as f:
        f.write(notice(number))
    return path


def note(world, number):
    """Where the script notes what became of a mail."""
    return os.path.join(world.dir, f"code-{number}")


def script(world, after_pipe):
    """Both mails piped, then the worker. after_pipe: what the shell does with pipe's answer and the note, as "; echo $? >"."""
    config = f"--config {world.conf}"
    lines = [f"{world.mailhook} pipe {config} < {mail_file(world, n)} {after_pipe} {note(world, n)}" for n in MAILS]
    return "; ".join(lines + [f"{world.mailhook} run --once {config}", "exit 0"])


def lost(world, numbers):
    """Mails that were answered 0, the worker has run to its end, and the ledger does not know them."""
    known = {x[0] for x in world.rows("SELECT message_id FROM messages")}
    return [f"mail {n} is not in the ledger" for n in numbers if f"<scim-{n}@example.com>" not in known]


def most_calls(args, undisturbed):
    """The most calls that three undisturbed runs make: the worker's second look makes their number vary. undisturbed: runs
    the script of that world and says (how, words, is it well)."""
    most = 0
    for _ in range(3):
        with args.world() as w:
            how, words, well = undisturbed(w)
            if how != "ended" or not well or w.work_to_end():
                sys.exit(f"the undisturbed run does not end well: {how} {words} {w.wrong()} {w.missing()}")
            most = max(most, int(words[1]))
    return most


def to_good_end(world, answered):
    """What is wrong on the way from the point to the end: the worker runs again, then the same mails come again."""
    found = world.wrong()
    if answered and not found:
        found = [f"answered 0, then {x}" for x in world.work_to_end() + lost(world, answered)]
    for number in MAILS if not found else ():
        again = world.pipe(notice(number))
        if again.returncode != 0:
            found.append(f"mail {number} again: {again.returncode} {again.stderr!r}")
    if not found:
        found = world.work_to_end() + lost(world, MAILS)
    if not found and world.count("messages") != len(MAILS):
        found = [f"{world.count('messages')} messages"]
    check = world.do("ledger", "check") if not found else None
    if check is not None and check.returncode != 0:
        found = [f"ledger check: {check.stdout!r}"]
    return found


def arguments(words, count, help_count, more=lambda parser: None):
    """more: adds options to the parser. args.world() is a world as they say."""
    p = argparse.ArgumentParser(description=words.splitlines()[0])
    more(p)
    p.add_argument("--build")
    p.add_argument("--engine", choices=ENGINES, default=ENGINES[0])
    p.add_argument("--count", type=int, default=count, help=help_count)
    p.add_argument("--seconds", type=float, default=0, help="stop after so long, between two points")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--all", action="store_true", help="every point")
    p.add_argument("--jobs", type=int, default=2)
    args = p.parse_args()
    args.seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    args.chance = random.Random(args.seed)
    args.world = lambda: World(args.build, engine=args.engine)
    if args.engine == "postgresql":
        sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "servers"))
        import postgresql
        if not postgresql.available():
            print("no PostgreSQL")
            sys.exit(77)
        database()  # by this thread
    return args


def walk(args, points, one, words):
    """one(*point) gives (what is wrong, ...) for each; prints it, and the sum; words(point): where that is. The results."""
    start, results = time.monotonic(), []
    if args.seconds:  # in an order in which any beginning is a sample
        args.chance.shuffle(points)
    with ThreadPoolExecutor(args.jobs) as pool:
        for first in range(0, len(points), 4 * args.jobs):
            if args.seconds and time.monotonic() - start > args.seconds:
                break
            some = points[first : first + 4 * args.jobs]
            results += zip(some, pool.map(lambda x: one(*x), some))
    bad = [(p, x) for p, found in results for x in found[0]]
    for point, x in bad[:20]:
        print(f"{words(point)}: {x}")
    took = time.monotonic() - start
    print(f"{args.engine}: {len(results)} points in {took:.0f} s, {len(bad)} things wrong, seed {args.seed}", flush=True)
    return [r for _, r in results], bool(bad)
