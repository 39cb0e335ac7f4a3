#!/usr/bin/python3
"""Cuts the power at every instant, on a disk that keeps only what was synced (unsynced.c).

Two mails come, each to `pipe`, the first of them on a new machine; then the worker runs. Before each fsync in turn the
power is cut: bytes and names that were not synced are gone, names that were removed come back. Or only the process that
is about to sync is killed, the others go on, and the power is cut at the end. What had been answered 0 by then must be
in the ledger, without coming again; then the mails come again, as from a server that was not answered, and in the end
there is one case, one ticket and one reply.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

sys.dont_write_bytecode = True
from points import MAILS, lost  # noqa: E402
from world import World, notice  # noqa: E402

CONF = """\
action "ticket" { program = "ticket" pass_env = {"LD_PRELOAD", "UNSYNCED_DIR", "UNSYNCED_CUT", "UNSYNCED_KILL"} }
action "reply" { program = "reply" pass_env = {"LD_PRELOAD", "UNSYNCED_DIR", "UNSYNCED_CUT", "UNSYNCED_KILL"} }
rule "all" { do = {"ticket", "reply"} }
"""
HOW = ("UNSYNCED_CUT", "UNSYNCED_KILL")


class Disk:
    """A world whose programs run over the layer. The state folder is the disk; the rest is not part of the test."""

    def __init__(self, world, fresh):
        self.w = world
        self.layer = os.path.join(world.build, "tests", "libunsynced.so")
        self.notes = os.path.join(world.dir, "notes")
        self.root = os.path.join(world.dir, "disk")
        os.mkdir(self.notes)
        os.mkdir(self.root)
        os.rmdir(world.state)
        world.state = os.path.join(self.root, "state")
        world.intake = os.path.join(world.state, "intake")
        world.ledger = os.path.join(world.state, "ledger.db")
        world.write(world.conf, f'state_dir = "{world.state}"\n' + CONF)
        self.tree()
        if not fresh:  # an installation that is there since long, all of it on the disk
            os.mkdir(world.state, 0o700)
            world.run_once()
        self.sync_all()

    def tree(self):
        """bin/mailhook starts a detached worker with an environment of its own: a wrapper gives it the layer again."""
        real = os.path.join(self.w.build, "libexec", "mailhook", "mailhook-work")
        tree = os.path.join(self.w.dir, "tree")
        os.makedirs(os.path.join(tree, "libexec", "mailhook"))
        os.mkdir(os.path.join(tree, "bin"))
        shutil.copy(self.w.mailhook, os.path.join(tree, "bin", "mailhook"))
        self.face = os.path.join(tree, "bin", "mailhook")
        wrapper = os.path.join(tree, "libexec", "mailhook", "mailhook-work")
        self.settings = os.path.join(self.w.dir, "settings")
        with open(wrapper, "w", encoding="utf-8") as f:
            f.write(f'#!/bin/sh\n. {self.settings}\nexec {real} "$@"\n')
        os.chmod(wrapper, 0o700)

    def env(self, how=HOW[0], number=""):
        return {"LD_PRELOAD": self.layer, "UNSYNCED_DIR": self.notes, how: str(number)}

    def sync_all(self):
        everything = ("import os, sys\nfor folder, _, names in os.walk(sys.argv[1]):\n"
                      "  for path in [folder] + [os.path.join(folder, x) for x in names]:\n"
                      "    fd = os.open(path, os.O_RDONLY)\n    os.fsync(fd)\n    os.close(fd)\n")
        subprocess.run([sys.executable, "-c", everything, self.root], env=dict(self.w.env, **self.env()), check=True)
        os.unlink(os.path.join(self.notes, "count"))

    def count(self):
        try:
            with open(os.path.join(self.notes, "count"), "rb") as f:
                return int.from_bytes(f.read(8), sys.byteorder)
        except FileNotFoundError:
            return 0

    def live(self, how=HOW[0], number=""):
        """All of it, up to the cut. Returns the mails that were answered 0."""
        with open(self.settings, "w", encoding="ascii") as f:
            f.write("".join(f"export {k}={v}\n" for k, v in self.env(how, number).items()))
        answered = []
        env = dict(self.w.env, **self.env(how, number))
        for number in MAILS:
            if subprocess.run([self.face, "pipe", "--config", self.w.conf], input=notice(number), env=env,
                              capture_output=True, timeout=60, check=False).returncode == 0:
                answered.append(number)
        self.w.settle()
        subprocess.run([self.face, "run", "--once", "--config", self.w.conf], env=env, capture_output=True,
                       timeout=60, check=False)
        self.w.settle()
        return answered

    # -- the power is back

    def folders(self):
        found = {}
        for name in os.listdir(self.notes):
            if name.startswith("d-"):
                with open(os.path.join(self.notes, name), encoding="utf-8") as f:
                    path, *lines = f.read().splitlines()
                found[name[2:]] = (path, [x.split(" ", 2) for x in lines])
        return found

    def rebuild(self, key, to, at, folders):
        """What the disk has of a folder; returns how much was lost of what is there now."""
        gone = 0
        names = folders.get(key, (None, []))[1]
        for kind, inner, name in names:
            path = os.path.join(to, name)
            if kind == "d":
                os.mkdir(path, 0o700)
                gone += self.rebuild(inner, path, os.path.join(at, name), folders)
            elif kind == "f":
                note = os.path.join(self.notes, "f-" + inner)
                if os.path.exists(note):
                    shutil.copyfile(note, path)
                else:
                    open(path, "wb").close()  # its name is on the disk, and none of its bytes
                    gone += 1
                os.chmod(path, 0o600)
        here = set(os.listdir(at)) if os.path.isdir(at) else set()
        return gone + len(here ^ {x[2] for x in names})

    def cut_power(self):
        folders = self.folders()
        (key,) = [k for k, (path, _) in folders.items() if path == self.root]
        after = os.path.join(self.w.dir, "after")
        os.mkdir(after, 0o700)
        gone = self.rebuild(key, after, self.root, folders)
        os.rename(self.root, os.path.join(self.w.dir, "before"))
        os.rename(after, self.root)
        return gone


def how_many(build, fresh):
    """The most calls of three undisturbed lives, and a proof that the layer sees each program and that all is synced."""
    most = 0
    for _ in range(3):
        with World(build) as w:
            disk = Disk(w, fresh)
            answered = disk.live()
            found = ([] if answered == list(MAILS) else [f"answered {answered}"]) + w.work_to_end()
            if found:
                sys.exit(f"the undisturbed life does not end well: {found}")
            most = max(most, disk.count())
            seen = {path for path, _ in disk.folders().values()}
            for name in ("", "/intake", "/tickets"):
                if w.state + name not in seen:
                    sys.exit(f"the layer has not seen {w.state}{name} synced: it tests nothing")
    return most


def one(build, number, fresh, how):
    """What is wrong after a cut there, and how much of the tree it took."""
    with World(build) as w:
        disk = Disk(w, fresh)
        answered = disk.live(how, number)
        gone = disk.cut_power()
        found = [f"answered 0, then {x}" for x in (w.work_to_end() + lost(w, answered) if answered else [])]
        for number in MAILS if not found else ():
            again = w.pipe(notice(number))
            if again.returncode != 0:
                found.append(f"mail {number} again: {again.returncode} {again.stderr!r}")
        if not found:
            found = w.work_to_end() + lost(w, MAILS)
        done = w.do("ledger", "check")
        if not found and done.returncode != 0:
            found = [f"ledger check: {done.stdout!r}"]
        return found, gone, len(answered)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build")
    p.add_argument("--count", type=int, default=0, help="cuts to take of each kind; 0: every one")
    p.add_argument("--seed", type=int, default=None)
    p.add_argument("--jobs", type=int, default=2)
    args = p.parse_args()

    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    chance = random.Random(seed)
    bad, points = [], []
    start = time.monotonic()
    for fresh in (True, False):
        cuts = list(range(1, how_many(args.build, fresh) + 2))  # the last is behind all of them
        print(f"{len(cuts)} cuts, {'a new machine' if fresh else 'an old one'}, seed {seed}", flush=True)
        for how in HOW:
            chosen = sorted(chance.sample(cuts, args.count)) if 0 < args.count < len(cuts) else cuts
            points += [(cut, fresh, how) for cut in chosen]
    with ThreadPoolExecutor(args.jobs) as pool:
        results = list(pool.map(lambda x: (x, one(args.build, *x)), points))
    for (cut, fresh, how), (found, _, _) in results:
        bad += [f"{how}={cut}, {'a new machine' if fresh else 'an old one'}: {x}" for x in found]
    for x in bad[:20]:
        print(x)
    lossy = sum(1 for _, (_, gone, _) in results if gone > 0)
    firm = sum(1 for _, (_, _, answered) in results if answered > 0)
    print(f"{len(points)} cuts in {time.monotonic() - start:.0f} s, {lossy} of them lost something, {firm} after an answer, "
          f"{len(bad)} things wrong, seed {seed}")
    if lossy == 0 or firm == 0:
        sys.exit("no cut lost anything, or none came after an answer: this tests nothing")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
