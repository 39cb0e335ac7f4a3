#!/usr/bin/python3
"""tests/bench/ledger.py [--engine postgresql] [CASES [ONE_IN...]]: a ledger of a million cases, of which a thousand or 50,000
are open and expire over the coming year: how long mailhook takes to list, show and take in. Prints what it measures; with
SQLite it fails where the list of what expires in 30 days takes 50 ms or more (best of several runs, the start of the program
in it)."""
import contextlib
import itertools
import os
import random
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "servers")]
from datetime import timedelta  # noqa: E402

from sight_room import SOURCE, START, Room  # noqa: E402

LIMIT_MS = 50
MAILS = 200
RULE = 'log_level = "error"\nflood_unlisted = 1000000\naction "desk" { program = "ticket" }\nrule "all" { accounts = {"*"}  do = {"desk"} }\n'


INSERT = "INSERT INTO cases (key, kind, account, region, expires, precision, state, opened, ticket_url) VALUES "
EVENTS = "INSERT INTO events (case_id, at, what, by, detail) SELECT id, opened, 'opened', 'mailhook', kind FROM cases"
BATCH = 10000


class Server:
    """A PostgreSQL with a database for each room."""

    def __init__(self):
        import postgresql
        self.server = postgresql.Postgresql(settings={"shared_buffers": "256MB", "max_wal_size": "2GB"}).start()

    def room(self):
        name = self.server.fresh_name()
        # the room takes an @ for its folder
        room = Room(RULE + 'ledger = "postgresql://127.0.0.1:%d/%s?user=mailhook"\n' % (self.server.port, name), rules=False)
        session = self.server.session(name)
        room.sql, room.write_rows = session.typed, lambda rows: self.write(session, rows)
        return room

    @staticmethod
    def write(session, rows):
        rows = iter(rows)
        while batch := list(itertools.islice(rows, BATCH)):
            session.rows(INSERT + ", ".join("('" + "', '".join(row) + "')" for row in batch))
        session.rows(EVENTS)
        session.rows("ANALYZE")  # as autovacuum does soon

    def close(self):
        self.server.close()


class File:
    """The SQLite ledger of each room."""

    def room(self):
        room = Room(RULE, rules=False)
        room.write_rows = lambda rows: self.write(room, rows)
        return room

    @staticmethod
    def write(room, rows):
        with sqlite3.connect(room.state + "/ledger.db") as db:
            db.execute("PRAGMA synchronous = OFF")
            db.execute("PRAGMA cache_size = -500000")  # random keys: else most of the time is pages read again
            db.executemany(INSERT + "(?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            db.execute(EVENTS)

    def close(self):
        pass


def fill(room, cases, of_open):
    """One case in of_open is open; all expire within the last three years and the next one. None was opened today: of today's
    there are no more than flood limits let in."""
    dice = random.Random(5)

    def rows():
        for i in range(cases):
            is_open = dice.randrange(of_open) == 0
            expires = START + timedelta(seconds=dice.randrange(0 if is_open else -3 * 365 * 86400, 365 * 86400))
            opened = min(expires - timedelta(days=90), START - timedelta(days=2 + i % 365))
            yield ("%032x" % dice.getrandbits(128), "aws.identity-center.scim-token", "%012d" % dice.randrange(10**6),
                   "eu-west-1", expires.strftime("%Y-%m-%dT%H:%M:%SZ"), "second", "open" if is_open else "closed",
                   opened.strftime("%Y-%m-%dT%H:%M:%SZ"), "https://tickets.example.com/browse/OPS-%d" % i)

    room.write_rows(rows())


def best_ms(room, *args, code=0, times=25):
    best, n = 1e9, 0
    for _ in range(times):
        begin = time.monotonic()
        done = subprocess.run(room.command(*args), stdout=subprocess.PIPE, env=room.env(), check=False)
        best = min(best, (time.monotonic() - begin) * 1000)
        assert done.returncode == code, done
        n = done.stdout.count(b"\n")
    return best, n


def intake_ms(room, mails):
    """How long one message takes on its way into the ledger, each a new case; a run that finds nothing is taken off. All is
    paused: neither tickets nor the million's own times are part of it."""
    room.run("pause")
    none, _ = best_ms(room, "run", "--once", times=3)
    with open(os.path.join(SOURCE, "samples/notices/scim/a-8bit.eml"), "rb") as f:
        raw = f.read()
    for i in range(mails):
        with open(room.state + "/intake/%032x.msg" % i, "wb") as f:
            f.write(b"mailhook 1 2025-11-06T09:00:00Z from=- cut=0\n" + raw.replace(b"123456789012", b"%012d" % (7 * 10**11 + i)))
    took, _ = best_ms(room, "run", "--once", times=1)
    assert room.sql("SELECT count(*) FROM messages") == [(mails,)] and room.sql("SELECT count(*) FROM jobs") == [(mails,)]
    return (took - none) / mails


def main():
    args = sys.argv[1:]
    engine = "sqlite"
    if "--engine" in args:
        at = args.index("--engine")
        engine = args[at + 1]
        del args[at:at + 2]
    cases = int(args[0]) if args else 1000000
    worst = 0
    with contextlib.closing({"sqlite": File, "postgresql": Server}[engine]()) as ledgers:
        for of_open in [int(x) for x in args[1:]] or (1000, 20):
            with ledgers.room() as room:
                worst = max(worst, measure(engine, room, cases, of_open))
    # a process that connects to a server anew pays for that, too: what it may be is told, not judged
    if worst >= LIMIT_MS and engine == "sqlite":
        sys.exit("list --within 30d: %.1f ms, and %d were allowed" % (worst, LIMIT_MS))


def measure(engine, room, cases, of_open):
    """Prints it all; gives the milliseconds of the list of what expires in 30 days."""
    room.run("run", "--once")
    fill(room, cases, of_open)
    case = room.sql("SELECT id FROM cases WHERE state = 'open' LIMIT 1")[0][0]
    wanted = 0
    for args in (("list", "--within", "30d"), ("list",), ("list", "--within", "30d", "--json"), ("show", str(case)),
                 ("status",), ("list", "--within", "30d", "--html")):
        ms, n = best_ms(room, *args)
        print("%s, %d cases, one in %d open: %-28s %8.1f ms, %d lines" % (engine, cases, of_open, " ".join(args), ms, n), flush=True)
        wanted = ms if args == ("list", "--within", "30d") else wanted
    print("%s, %d cases, one in %d open: a message taken in         %8.1f ms" % (engine, cases, of_open, intake_ms(room, MAILS)), flush=True)
    return wanted


if __name__ == "__main__":
    main()
