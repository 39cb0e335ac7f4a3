#!/usr/bin/env python3
"""SIGKILL of any process, many times, while mailhook reads messages from a mailbox: each is handled, once, and filed.

    imap_kill_test.py [--messages N] [--kills N] [--postgresql]   Exit 77 without Dovecot or root, or without PostgreSQL."""
import fcntl
import os
import random
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
import imap_room  # noqa: E402
import postgresql  # noqa: E402
from imap_room import BUILD, Room, notice, plain  # noqa: E402
from machine import descendants  # noqa: E402


def option(name, otherwise):
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else otherwise


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
        return True
    except ProcessLookupError:
        return False


def start_worker(r):
    return subprocess.Popen([BUILD + "/bin/mailhook", "run", "--config", r.conf], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=r.env(), start_new_session=True)


def row(name, config, more, messages, kills, seed, ledger=""):
    """Kills the supervisor, a mailbox's process, a reading child, or the worker, at times that chance chooses."""
    chance = random.Random(seed)
    with Room(config, more=more, top="flood_unlisted = 100000\n" + ledger) as r:
        fcntl.flock(r.worker, fcntl.LOCK_UN)
        wanted = ["notice-%d@example.com" % i for i in range(messages)]
        r.fill([mail for i in range(messages) for mail in (notice(i), plain(i))])
        r.start()
        worker = start_worker(r)
        done, hit = 0, {"supervisor": 0, "mailbox": 0, "below": 0, "worker": 0}
        end = time.monotonic() + 120
        try:
            while done < kills and time.monotonic() < end:
                time.sleep(chance.uniform(0.005, 0.12))
                what = chance.choice(list(hit))
                below = descendants(r.process.pid)
                pid = {"supervisor": r.process.pid, "worker": worker.pid, "mailbox": below[0] if below else 0,
                       "below": below[-1] if len(below) > 1 else 0}[what]
                if pid == 0 or not kill(pid):
                    continue
                hit[what] += 1
                done += 1
                if what == "supervisor":
                    r.process.wait()
                    r.start()
                if what == "worker":
                    worker.wait()
                    worker = start_worker(r)
            r.wait("all filed", lambda: set(wanted) <= set(r.ids("done")), 90)
            r.wait("all worked", lambda: not r.intake(), 60)
            r.stop()
        finally:  # else the room would wait for it without end
            worker.terminate()
            worker.wait()
        listed = r.run("list", "--json").stdout.decode()
        accounts = ["%012d" % i for i in range(messages)]
        twice = [a for a in accounts if listed.count('"account":"%s"' % a) != 1]
        assert not twice, "%s: not one case each: %s" % (name, twice[:5])
        everything = wanted + ["plain-%d@example.com" % i for i in range(messages)]
        assert sorted(r.ids("done") + r.ids("INBOX")) == sorted(everything), name + ": each is there once"
        print("%s: %d messages, %d kills %s (seed %d)" % (name, 2 * messages, done, hit, seed), flush=True)


def main():
    if not imap_room.available():
        print("no Dovecot, or not root")
        return 77
    messages, kills = option("--messages", 60), option("--kills", 25)
    seed = option("--seed", random.SystemRandom().randrange(1 << 30))
    print("seed %d" % seed, flush=True)
    # What was not read because the reading child was killed is kept for review: filed like the others here.
    row("with MOVE", 'done = "done"  review = "done"  search = "never"', "", messages, kills, seed)
    if "--postgresql" in sys.argv:
        if not postgresql.available():
            print("no PostgreSQL")
            return 77
        with postgresql.Postgresql() as pg:
            url = "postgresql://127.0.0.1:%d/%s?user=%s" % (pg.port, pg.fresh_name(), postgresql.USER)  # an @ is the room's
            row("on PostgreSQL", 'done = "done"  review = "done"  search = "never"', "", messages, kills, seed, 'ledger = "%s"' % url)
    return 0


if __name__ == "__main__":
    sys.exit(main())
