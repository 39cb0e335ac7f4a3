#!/usr/bin/python3
"""`mailhook ledger copy`: there and back between SQLite and PostgreSQL, and everything that must stop it, break it off or
show in it. With --all every call that changes something is killed once, before it and behind it, both ways; with --cases N
a ledger of so many cases goes there and back, and what that takes is printed.
"""
import argparse
import contextlib
import fcntl
import json
import os
import random
import resource
import sqlite3
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(HERE, "faults"), os.path.join(HERE, "servers")]
from postgresql import Postgresql  # noqa: E402
from world import World, notice  # noqa: E402

CONF = """
node = "first"
action "tell" { program = "reply" }
action "jira" { program = "ticket" }
rule "scim" { kinds = {"aws.identity-center.*"}  do = {"jira", "tell"} }
"""
TABLES = ("meta", "messages", "verifications", "cases", "notices", "events", "jobs", "credentials", "approvals", "renewals", "pauses",
          "refusals", "claims", "mailbox_leases")
LIFE = "0123456789abcdef0123456789abcdef"
# Of every table something, also what a short life does not bring.
MORE = """
INSERT INTO verifications (message_id, received, due, attempts, raw) VALUES (1, '2026-01-01T00:00:00Z', '2026-01-09T00:00:00Z', 1, x'00ff');
INSERT INTO credentials VALUES ('jira', 'token', NULL, 'day', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z');
INSERT INTO approvals (case_id, step, by, at) VALUES (1, NULL, 'ada', '2026-01-01T00:00:00Z');
INSERT INTO events (case_id, at, what, by, detail) VALUES (1, '2026-01-01T00:00:00Z', 'approved', 'ada', '');
INSERT INTO renewals VALUES (1, '2027-01-01T00:00:00Z', NULL);
INSERT INTO pauses VALUES ('rule', 'scim', '2026-01-01T00:00:00Z', 'ada', '');
INSERT INTO refusals VALUES (1, 'second', '2026-01-01T00:00:00Z', 'no key');
INSERT INTO claims VALUES ('tenant', 1, 'entra', '2026-01-01T00:00:00Z');
INSERT INTO mailbox_leases (mailbox, node, life, until, position) VALUES ('ops', 'first', '', '2026-01-01T00:00:00Z', '7 42');
"""
OWN = {"meta": "name NOT IN ('schema', 'moved', 'coming', 'arrived', 'events-gone')", "pauses": "scope <> 'all'",
       "events": "what NOT IN ('moved', 'copied', 'restored', 'taken back', 'resumed')"}


def said(done):
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


class Room(World):
    def __init__(self):
        super().__init__(config=CONF)
        self.first = "sqlite:" + self.ledger

    def use(self, ledger):
        self.write(self.conf, 'state_dir = "%s"\nledger = "%s"\n%s' % (self.state, ledger, CONF))

    def filled(self, mails=3):
        for i in range(1, mails + 1):
            assert self.pipe_alone(notice(i)).returncode == 0
        assert self.run_once().returncode == 0
        with sqlite3.connect(self.ledger) as db:
            db.executescript(MORE)
        db.close()
        self.whole = self.dump(self.ledger)
        return self

    def file(self, name):
        return os.path.join(self.dir, name), "sqlite:" + os.path.join(self.dir, name)

    @staticmethod
    def dump(path):
        """All that a copy carries, but for what it writes itself."""
        with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % path, uri=True)) as db:
            return {t: db.execute("SELECT * FROM %s WHERE %s ORDER BY 1, 2" % (t, OWN.get(t, "1"))).fetchall() for t in TABLES}

    @staticmethod
    def ids(path):
        with contextlib.closing(sqlite3.connect("file:%s?mode=ro" % path, uri=True)) as db:
            return dict(db.execute("SELECT name, seq FROM sqlite_sequence WHERE name <> 'events'"))

    def copy(self, *args, **more):
        return self.do("ledger", "copy", *args, **more)

    def usable(self, ledger):
        """Whether a worker would begin with it."""
        self.use(ledger)
        return self.do("ledger", "check").returncode == 0

    def script(self, *args):
        """For the killer: a search for leaks traces the program too, and only one can."""
        return "ASAN_OPTIONS=detect_leaks=0 " + " ".join("'%s'" % x for x in self.command("ledger", "copy", *args))


class Copying(unittest.TestCase):
    def setUp(self):
        self.room = self.enterContext(Room()) if hasattr(self, "enterContext") else self._enter(Room())

    def _enter(self, manager):
        self.addCleanup(manager.__exit__, None, None, None)
        return manager.__enter__()

    @classmethod
    def setUpClass(cls):
        cls.pg = Postgresql().start()

    @classmethod
    def tearDownClass(cls):
        cls.pg.close()

    def well(self, done, words=""):
        got = said(done)
        self.assertEqual(got[0], 0, got)
        self.assertIn(words, got[1])

    def refused(self, done, words, code):
        got = said(done)
        self.assertEqual(got[0], code, got)
        self.assertIn(words, got[1])

    # -- there and back

    def test_there_and_back(self):
        room, far = self.room.filled(), self.pg.fresh()
        path, near = room.file("near.db")
        there = room.copy("--json", room.first, far)
        self.well(there)
        self.assertEqual(there.stderr, b"")
        told = json.loads(there.stdout)
        self.assertEqual((told["same"], told["from"], told["to"], told["mended"]), (True, room.first, far, 0))
        self.assertEqual([t["table"] for t in told["tables"]], list(TABLES))
        self.assertEqual([t["rows"] for t in told["tables"]], [len(room.dump(room.ledger)[t]) for t in TABLES])
        self.assertTrue(all(t["same"] and t["rows"] > 0 and t["sha256"] == t["to_sha256"] for t in told["tables"]), told)
        self.assertEqual(room.dump(room.ledger), room.whole)
        back = json.loads(room.copy("--json", far, near).stdout)
        own = ("events", "pauses", "meta")
        self.assertEqual([t for t in told["tables"] if t["table"] not in own], [t for t in back["tables"] if t["table"] not in own])
        self.assertEqual(room.dump(path), room.whole)
        self.assertEqual(room.ids(path), room.ids(room.ledger))
        room.use(near)
        self.well(room.do("ledger", "check"), "all is well")

    def test_the_story(self):
        """Stop, copy, change `ledger`, start, resume; and back into a new file."""
        room, far = self.room.filled(), self.pg.fresh()
        with sqlite3.connect(room.ledger) as db:
            db.execute("DELETE FROM pauses")
        db.close()
        told = said(room.copy(room.first, far))
        self.assertEqual(told[0], 0, told)
        for words in ("messages                 3 rows  sha256 ", "read back and the same", "is out of use", 'set ledger = "%s"' % far,
                      "mailhook resume"):
            self.assertIn(words, told[1])
        self.assertEqual(room.pipe_alone(notice(4)).returncode, 0)
        self.refused(room.run_once(), "moved to " + far[:20], 2)
        self.assertEqual(len(room.messages_waiting()), 1, "what comes meanwhile waits in the intake")
        for ledger, step in ((far, "there"), (room.file("near.db")[1], "back")):
            if step == "back":
                self.well(room.copy(far, ledger))
            room.use(ledger)
            self.well(room.run_once())
            self.assertEqual(room.messages_waiting(), [], "mail is taken in")
            self.assertIn("it is a copy", room.do("status").stdout.decode())
            before = len(room.replies())
            self.assertEqual(room.pipe_alone(notice(5 if step == "there" else 6).replace(b"123456789012", b"%012d" % before)).returncode, 0)
            self.well(room.run_once())
            self.assertEqual(len(room.replies()), before, "nothing is done before a person looked")
            self.assertNotIn("wait for approval", said(room.do("resume"))[1])
            room.advance(minutes=10)
            self.well(room.run_once())
            self.assertEqual(len(room.replies()), before + 1)
            self.assertEqual(len(room.tickets()), before + 1)
            self.well(room.do("ledger", "check"))
        self.assertEqual(room.rows("SELECT what FROM events WHERE case_id IS NULL"), [("moved",)])
        with contextlib.closing(sqlite3.connect(room.file("near.db")[0])) as db:
            self.assertEqual(db.execute("SELECT what FROM events WHERE case_id IS NULL ORDER BY id").fetchall(),
                             [(x,) for x in ("copied", "resumed", "copied", "resumed")])

    def test_a_mark_of_the_left_one(self):
        """A node that was cut off wrote that the ledger moved, by the number of the copy's own first event: nothing is lost."""
        room, name, other = self.room.filled(), self.pg.fresh_name(), self.pg.fresh_name()
        far, further = self.pg.url(name), self.pg.url(other)
        self.well(room.copy(room.first, far))
        self.well(room.copy(far, further))
        moved, = self.pg.rows("SELECT id, at FROM events WHERE what = 'moved'", name)
        self.assertEqual(self.pg.rows("SELECT id FROM events WHERE what = 'copied' ORDER BY id DESC LIMIT 1", other), [moved[:1]])
        identity, = self.pg.rows("SELECT value FROM meta WHERE name = 'identity'", name)
        room.use(further)
        for words, restored in (("moved", 0), ("another", 1)):
            number = int(moved[0]) + restored
            room.write(os.path.join(room.state, "shared.mark"), "%s %d %s moved\n" % (identity[0], number, moved[1]))
            said(room.run_once())
            self.assertEqual(self.pg.rows("SELECT count(*) FROM events WHERE what = 'restored'", other), [(str(restored),)], words)

    def test_another_folder(self):
        """No mark beside it: it is no restored one, for the copy was made whole. An older file of it is."""
        room = self.room.filled()
        path, near = room.file("near.db")
        self.well(room.copy(room.first, near))
        os.rename(os.path.join(room.state, "ledger.mark"), os.path.join(room.dir, "mark"))
        room.use(near)
        self.assertEqual(said(room.run_once()), (0, ""))
        with contextlib.closing(sqlite3.connect(path)) as db:
            self.assertEqual(db.execute("SELECT count(*) FROM events WHERE what = 'restored'").fetchone(), (0,))
            self.assertEqual(db.execute("SELECT count(*) FROM meta WHERE name = 'arrived'").fetchone(), (0,))
        os.unlink(os.path.join(room.state, "ledger.mark"))
        self.assertIn("nothing beside it says", said(room.run_once())[1])

    def test_taken_back(self):
        for far in (self.room.file("near.db")[1], self.pg.fresh()):
            with Room() as room:
                room.filled()
                self.refused(room.copy("--undo", room.first), "it was not moved", 2)
                self.well(room.copy(room.first, far))
                self.refused(room.do("list"), "or back: 'mailhook ledger copy --undo %s'" % room.first, 2)
                done = subprocess.run([room.mailhook, "ledger", "copy", "--undo"], capture_output=True, env=room.env, check=False)
                self.refused(done, 'nothing stands behind "--undo": usage:', 2)
                done = room.copy("--undo", room.first, "--json")
                self.assertEqual(json.loads(done.stdout), {"taken_back": room.first, "from": far})
                self.refused(room.do("status"), "does not know what was done there", 1)
                self.well(room.do("resume"))
                self.well(room.run_once())
                self.assertEqual(room.dump(room.ledger), room.whole)

    # -- what stops it

    def test_refusals(self):
        room, far = self.room.filled(), self.pg.fresh()
        empty, full = room.file("empty.db")[1], room.file("full.db")[1]
        with Room() as other:
            other.filled(1)
            self.well(other.do("backup", full[7:]))
        newer = room.file("newer.db")[1]
        self.well(room.do("backup", newer[7:]))
        with sqlite3.connect(newer[7:]) as db:
            db.execute("UPDATE meta SET value = '99' WHERE name = 'schema'")
        db.close()
        twin = room.file("twin.db")[1]
        self.well(room.do("backup", twin[7:]))
        for words, args, code in (
            ("needs FROM and TO", (room.first,), 2),
            ("are the same", (room.first, room.first), 2),
            ("there is no ledger to copy", (empty, far), 2),
            ("a life of its own", (room.first, full), 2),
            ("one ledger, or one a copy", (room.first, twin), 2),
            ("schema 99 is newer", (newer, far), 2),
            ("schema 99 is newer", (room.first, newer), 2),
            ("only sqlite:PATH and postgresql://", (room.first, "mysql://x"), 2),
            ("", (room.first, "sqlite:" + room.dir + "/none/x.db"), 75),
        ):
            with self.subTest(args=args):
                self.refused(room.copy(*args), words, code)
        with open(os.path.join(room.state, "worker.lock"), "ab") as f:
            fcntl.flock(f, fcntl.LOCK_EX)
            self.refused(room.copy(room.first, far), "a worker runs", 75)
        self.assertEqual(room.dump(room.ledger), room.whole)
        self.assertTrue(room.usable(room.first))

    def test_somebody_lives(self):
        """What is somebody's would be two's."""
        room, far = self.room.filled(), self.pg.fresh_name()
        url, near = self.pg.url(far), self.room.file("near.db")[1]
        self.well(room.copy(room.first, url))
        soon, past = "to_char(now() + '9 s', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')", "'2026-01-01T00:00:00Z'"
        clock = dict(room.env)
        room.env.pop("MAILHOOK_CLOCK_FILE")  # the server's clock is the judge
        for words, sql, undo in (
            ('node "second" works with it', "INSERT INTO nodes VALUES ('second', '%s', '1', %s, %s, '{}')" % (LIFE, soon, soon),
             "UPDATE nodes SET life = ''"),
            ("job 1 is under way", "UPDATE jobs SET state = 'running', lease_owner = 'x', lease_until = %s, ended = NULL WHERE id = 1" % soon,
             "UPDATE jobs SET lease_until = %s WHERE id = 1" % past),
            ('mailbox "ops" is watched', "UPDATE mailbox_leases SET until = %s" % soon, "UPDATE mailbox_leases SET until = " + past),
        ):
            with self.subTest(words):
                self.pg.run(sql, far)
                self.refused(room.copy(url, near), words, 75)
                self.assertEqual(self.pg.rows("SELECT value FROM meta WHERE name = 'schema'", far), [("1",)])
                self.pg.run(undo, far)
        room.env.update(clock)
        self.well(room.copy(url, near))
        self.refused(room.copy(url, room.file("third.db")[1]), "FROM was moved to", 2)
        self.refused(room.copy(near, url), "TO was moved to", 2)

    def test_difference_is_loud(self):
        """A rule of the other ledger's own changes what comes in."""
        room, name = self.room.filled(), self.pg.fresh_name()
        path, near = room.file("near.db")
        for far, spoil in (
            (near, lambda: self._sqlite(path, "CREATE TRIGGER t AFTER INSERT ON claims BEGIN UPDATE claims SET action = 'x'; END")),
            (self.pg.url(name), lambda: self.pg.run("CREATE RULE r AS ON INSERT TO claims DO INSTEAD NOTHING", name)),
        ):
            with self.subTest(far):
                room.use(far)
                room.do("pause")  # it makes the ledger
                for table in ("events", "pauses"):
                    if far == near:
                        self._sqlite(path, "DELETE FROM " + table)
                    else:
                        self.pg.run("DELETE FROM " + table, name)
                room.use(room.first)
                spoil()
                done = room.copy(room.first, far)
                self.refused(done, "THE COPY IS NOT THE SAME", 1)
                self.assertRegex(done.stdout.decode(), "in TO .*DIFFERENT")
                self.assertFalse(room.usable(far))
                self.assertTrue(room.usable(room.first))
                again = room.copy("--json", room.first, far)
                self.assertEqual(again.returncode, 1)
                differ = [t["table"] for t in json.loads(again.stdout)["tables"] if not t["same"]]
                self.assertEqual(differ, ["claims"])
                self.assertEqual(room.dump(room.ledger), room.whole)

    @staticmethod
    def _sqlite(path, sql):
        with sqlite3.connect(path) as db:
            db.execute(sql)
        db.close()

    # -- what breaks it off

    def broken(self, room, far, path, at, after=False, error=None):
        """Killed, or without a disk, at one call: one of the two at most can be worked with, and the same command goes on."""
        how, words = room.kill_at(at, room.script(room.first, far), after=after, error=error, stays=error is not None)
        where = "%s %s %s %s" % (at, after, error, words)
        first, second = room.usable(room.first), room.usable(far)
        second = second and room.do("list", "--all", "--json").stdout != b""  # made, and nothing is in it yet
        room.use(room.first)
        self.assertNotEqual((first, second), (True, True), where)
        if how == "ended" and words[0] == "0":
            self.assertEqual((first, second), (False, True), where)
        if not second:  # else its last step was behind it
            done = room.copy(room.first, far)
            self.assertEqual(done.returncode, 0, (where, done))
            self.assertFalse(room.usable(room.first), where)
            self.assertTrue(room.usable(far), where)
        if path is not None:
            self.assertEqual(room.dump(path), room.whole, where)
        return how

    def anew(self, room, saved, path):
        for name in (room.ledger, path):
            for end in ("", "-wal", "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(name + end)
        with open(saved, "rb") as f, open(room.ledger, "wb") as g:
            g.write(f.read())
        room.use(room.first)

    def ways(self, room):
        """A copy into a file, and one into a database."""
        saved = os.path.join(room.dir, "saved.db")
        self.well(room.do("backup", saved))
        path, near = room.file("near.db")

        def fresh(server):
            self.anew(room, saved, path)
            return (self.pg.fresh(), None) if server else (near, path)
        return fresh

    def calls(self, room, fresh, server):
        far, _ = fresh(server)
        log = os.path.join(room.dir, "log")
        how, words = room.kill_at(0, room.script(room.first, far), log=log)
        self.assertEqual((how, words[0]), ("ended", "0"))
        return int(words[1])

    def test_killed(self):
        room = self.room.filled()
        fresh, seed = self.ways(room), os.environ.get("MAILHOOK_SEED") or str(random.randrange(10**6))
        dice = random.Random(seed)
        print("MAILHOOK_SEED=" + seed, flush=True)
        every = os.environ.get("MAILHOOK_ALL") == "1"
        for server in (False, True):
            n = self.calls(room, fresh, server)
            self.assertGreater(n, 20)
            rows = [(i, after) for i in range(1, n + 1) for after in (False, True)]
            killed = 0
            for at, after in rows if every else sorted(dice.sample(rows, 3)):
                killed += self.broken(room, *fresh(server), at, after) == "killed"
            self.assertGreater(killed, 1)

    def test_full_disk(self):
        room = self.room.filled()
        fresh, dice = self.ways(room), random.Random(3)
        n = self.calls(room, fresh, False)
        every = os.environ.get("MAILHOOK_ALL") == "1"
        for at in range(1, n + 1) if every else dice.sample(range(1, n + 1), 4):
            self.broken(room, *fresh(False), at, error="ENOSPC")

    def test_server_cut(self):
        """At each COMMIT, with and without its effect; and in the middle of the rows."""
        room, fresh = self.room.filled(), None
        fresh = self.ways(room)
        gate = self.pg.gate()
        for word, cut in ((b"COMMIT", "cut_after"), (b"COMMIT", "cut_before"), (b"INSERT INTO events", "cut_before")):
            fresh(True)
            name = self.pg.fresh_name()
            far = self.pg.url(name, port=gate.port)
            for step in range(12):
                getattr(gate, cut)(word)
                lost = gate.lost
                done = room.copy(room.first, far)
                if gate.lost == lost:
                    break
                self.assertNotEqual((room.usable(room.first), room.usable(far)), (True, True), (word, cut, step))
                room.use(room.first)
                self.assertIn(done.returncode, (0, 75), done)
                if done.returncode == 0 or (word, cut) != (b"COMMIT", "cut_after"):
                    gate.free()
                    done = done if done.returncode == 0 else room.copy(room.first, far)
                    break
            gate.free()
            ends = said(done)
            self.assertTrue(ends[0] == 0 or "was moved to" in ends[1], ends)
            self.assertTrue(room.usable(far), (word, cut))
            self.assertFalse(room.usable(room.first), (word, cut))
            self.assertEqual(self.pg.rows("SELECT count(*) FROM jobs", name), [(str(len(room.whole["jobs"])),)])
            room.use(room.first)


def many(cases):
    """How long, and how much memory, there and back."""
    with Postgresql(settings={"shared_buffers": "256MB", "max_wal_size": "4GB"}) as pg, Room() as room:
        room.filled(1)
        with sqlite3.connect(room.ledger) as db:
            db.execute("PRAGMA synchronous = OFF")
            db.execute("WITH RECURSIVE n(i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO messages (id, digest, "
                       "received, verdict, bytes, raw) SELECT i, printf('%064x', i), '2026-01-01T00:00:00Z', 'notice', 2000, "
                       "randomblob(2000) FROM n", (cases,))
            db.execute("INSERT INTO cases (id, key, kind, account, state, opened) SELECT id, printf('%032x', id), "
                       "'aws.identity-center.scim-token', printf('%012d', id), 'open', received FROM messages WHERE id > 1")
            db.execute("INSERT INTO notices (message_id, case_id, kind, account, trust, seen) SELECT id, id, kind, account, 'unverified', "
                       "opened FROM cases WHERE id > 1")
            db.execute("INSERT INTO events (id, case_id, at, what, by, detail) SELECT 100 + id, id, opened, 'opened', 'mailhook', kind "
                       "FROM cases WHERE id > 1")
            db.execute("INSERT INTO jobs (job_key, case_id, action, role, event, event_id, position, state, created, ended) SELECT key, id, "
                       "'jira', 'ticket', 'opened', 100 + id, 0, 'done', opened, opened FROM cases WHERE id > 1")
        db.close()
        far, (path, near) = pg.fresh(), room.file("near.db")
        for begin, end in ((room.first, far), (far, near)):
            start = time.monotonic()
            done = room.copy("--json", begin, end, timeout=7200)
            took = time.monotonic() - start
            assert done.returncode == 0 and json.loads(done.stdout)["same"], done
            rows = sum(t["rows"] for t in json.loads(done.stdout)["tables"])
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
            print("%d cases, %d rows, %s to %s: %.1f s, at most %d MB" % (
                cases, rows, begin.split(":")[0], end.split(":")[0], took, peak // 1024), flush=True)
        first, last = (subprocess.run(["sha256sum"], input=repr(Room.dump(p)).encode(), stdout=subprocess.PIPE, check=True).stdout
                       for p in (room.ledger, path))
        assert first == last


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--cases", type=int)
    known, rest = parser.parse_known_args()
    if known.cases:
        many(known.cases)
        sys.exit(0)
    if known.all:
        os.environ["MAILHOOK_ALL"] = "1"
    unittest.main(argv=sys.argv[:1] + rest)
