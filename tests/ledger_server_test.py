#!/usr/bin/python3
"""A ledger on PostgreSQL through the programs: the connection cut at any word of it, commits whose answer is lost, a server
that is restarted, that fails over, or that is not the one it should be. --all cuts at every word, not at a sample.
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(HERE, "faults"), os.path.join(HERE, "servers")]
import pki  # noqa: E402
from gate import Gate  # noqa: E402
from postgresql import Postgresql, available  # noqa: E402
from private import wait_until  # noqa: E402
from world import World, database, notice  # noqa: E402

ALL = "--all" in sys.argv
CONF = """
trust { resolver = "127.0.0.1:9" }
action "tell" { program = "reply" }
action "jira" { program = "ticket" }
rule "scim" { kinds = {"aws.identity-center.*"}  do = {"jira", "tell"} }
"""
EFFECT = """
action "turn" { program = "%s/turn"  needs = "relayed" }
rule "first" { order = 1  do = {"turn"} }
"""


class CountingGate(Gate):
    """Cuts at the nth thing that clients say, before the server has it or behind."""

    def __init__(self, to):
        self.said, self.at, self.after = 0, None, False
        super().__init__(to)

    def _is_lost(self, data, pair, upwards):
        with self.state:
            if not upwards:
                return pair in self._unanswered
            self.said += 1
            if self.said != self.at:
                return False
            self.lost += 1
            if self.after:
                self._unanswered.add(pair)
            return not self.after


class WaitingGate(Gate):
    """Counts what came while it was held."""

    def __init__(self, to):
        self.waits = 0
        super().__init__(to)

    def _passes(self):
        with self.state:
            self.waits += self._way == "held"
        return super()._passes()


class Room(World):
    """A ledger on the server of all rooms, behind a gate."""

    def __init__(self, config=CONF, gate=Gate):
        super().__init__(engine="postgresql")
        self.gate = gate(self.server.port)
        self.use(self.server.url(database()[1], port=self.gate.port, more="options=-csearch_path%3D" + self.schema), config)

    def __exit__(self, *how):
        self.gate.close()
        super().__exit__(*how)

    def use(self, url, config=CONF):
        self.write(self.conf, 'state_dir = "%s"\nledger = "%s"\n%s' % (self.state, url, config))

    def pipe_kept(self, number=1):
        assert self.pipe_alone(notice(number)).returncode == 0

    def change(self, sql):
        self.server.run("SET search_path = %s; %s" % (self.schema, sql), database()[1])

    def well(self):
        done = self.do("ledger", "check")
        return done.returncode, (done.stdout + done.stderr).decode()


class Service:
    """`mailhook run` in the background."""

    def __init__(self, room):
        self.log = os.path.join(room.dir, "service.log")
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(room.command("run"), env=room.env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    def __enter__(self):
        return self

    def words(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(30)


def check(url, more="", env=None, config=CONF):
    """What `mailhook check` says of a ledger."""
    with World(engine="sqlite") as w:
        w.write(w.conf, 'state_dir = "%s"\nledger = "%s"\n%s%s' % (w.state, url, more, config))
        w.env.update(env or {})
        done = w.do("check")
        said = (done.stdout + done.stderr).decode()
        return next((x for x in said.splitlines() if x.startswith("ledger: ")), said), said


class Cuts(unittest.TestCase):
    def test_any_word(self):
        """A message taken in, its ticket and its reply: cut anywhere, nothing is lost and nothing is there twice."""
        with Room(gate=CountingGate) as room:
            room.pipe_kept()
            self.assertEqual(room.run_once().returncode, 0)
            total = room.gate.said
            self.assertEqual(room.missing() + room.wrong(), [])
        self.assertGreater(total, 40)
        seed = int(os.environ.get("SERVER_SEED", random.randrange(2**32)))
        points = [(n, after) for n in range(1, total + 1) for after in (False, True)]
        for n, after in points if ALL else random.Random(seed).sample(points, 6):
            with self.subTest(point=n, after=after, seed=seed), Room(gate=CountingGate) as room:
                room.pipe_kept()
                room.gate.at, room.gate.after = n, after
                done = room.run_once()
                if room.gate.lost == 0:  # this run had less to say: how often it waited for its actions is a matter of time
                    self.assertTrue(40 < room.gate.said <= n, room.gate.said)
                self.assertIn(done.returncode, (0, 75), done.stderr)
                self.assertEqual(room.wrong(), [])
                self.assertEqual(room.work_to_end(), [])
                self.assertEqual(room.count("messages"), 1)
                self.assertEqual(room.well()[0], 0, room.well())

    def test_words_of_a_person(self):
        """The commit was done and its answer lost, or it was not done: each word counts once, and is not called wrong."""
        rows = (
            ("close", ("close", "1"), "closed", "case_id = 1"),
            ("approve", ("approve", "1"), "approved", "case_id = 1"),
            ("vouch", ("approve", "1", "--vouch", "--account", "123456789012", "--expires", "2026-03-31"), "approved", "case_id = 1"),
            ("retry", ("retry", "1"), "retry", "case_id = 1"),
            ("pause", ("pause",), "paused", "case_id IS NULL"),
            ("resume", ("resume",), "resumed", "case_id IS NULL"),
        )
        with Room() as room:
            room.use(room.server.url(database()[1], port=room.gate.port, more="options=-csearch_path%3D" + room.schema),
                     EFFECT % room.dir)
            with open(room.dir + "/turn", "w", encoding="ascii") as f:
                f.write("#!/bin/sh\nread -r q\necho '{\"outcome\":\"failed\",\"summary\":\"no\"}'\n")
            os.chmod(room.dir + "/turn", 0o755)
            room.pipe_kept()
            self.assertEqual(room.run_once().returncode, 0)
            for after in (True, False):
                for name, words, what, where in rows:
                    with self.subTest(name, after=after):
                        if name == "retry":
                            room.change("UPDATE jobs SET state = 'failed', waiting_for = NULL, due = NULL, ended = created")
                        if name in ("close", "approve", "vouch", "retry"):
                            room.change("UPDATE cases SET state = 'open', closed = NULL, approved = NULL, approved_by = NULL, vouched = 0")
                        room.advance(seconds=1)
                        before = room.rows("SELECT count(*) FROM events WHERE what = '%s' AND %s" % (what, where))[0][0]
                        (room.gate.cut_after if after else room.gate.cut_before)(b"COMMIT")
                        lost = room.gate.lost
                        done = room.do(*words)
                        self.assertEqual((done.returncode, room.gate.lost), (0, lost + 1), done.stderr)
                        self.assertEqual(room.rows("SELECT count(*) FROM events WHERE what = '%s' AND %s" % (what, where))[0][0],
                                         before + 1)

    def test_silent_network(self):
        """Nothing comes any more, and nothing is reset: a command ends all the same, and the intake takes mail meanwhile."""
        with Room() as room:
            self.assertEqual(room.run_once().returncode, 0)
            room.gate.hold()
            begun = time.monotonic()
            done = room.do("list")
            self.assertEqual(done.returncode, 75)
            self.assertLess(time.monotonic() - begun, 20)
            room.pipe_kept()
            room.gate.free()
            self.assertEqual(room.work_to_end(), [])

    def test_signals(self):
        """What a worker has open it does not change, and it hears a stop while it waits for a server that has gone silent."""
        with Room(gate=WaitingGate) as room:
            self.assertEqual(room.run_once().returncode, 0)
            with open(room.conf, encoding="utf-8") as f:
                conf = f.read()
            with Service(room) as service:
                wait_until("the worker", room.somebody_works)
                room.write(room.conf, conf + 'ledger_password_file = "/nowhere"\n')
                service.process.send_signal(signal.SIGHUP)
                wait_until("a refusal", lambda: "restart instead" in service.words())
                room.gate.hold()
                self.assertEqual(room.pipe(notice(1)).returncode, 0)
                wait_until("a question", lambda: room.gate.waits > 0)
                begun = time.monotonic()
                service.process.terminate()
                self.assertEqual(service.process.wait(60), 0)
                self.assertLess(time.monotonic() - begun, 20)
            self.assertEqual(len(room.messages_waiting()), 1)

    def test_restart(self):
        """The worker goes on when the server is back."""
        with Postgresql() as pg, World(engine="sqlite", config="") as room:
            room.write(room.conf, 'state_dir = "%s"\nledger = "%s"\n%s' % (room.state, pg.url(pg.fresh_name()), CONF))

            def messages():
                return int(pg.rows("SELECT count(*) FROM messages", "t1")[0][0])
            with Service(room) as service:
                wait_until("the worker", room.somebody_works)  # else a pipe would start one
                self.assertEqual(room.pipe(notice(1)).returncode, 0)
                wait_until("the first message", lambda: pg.rows("SELECT to_regclass('messages')", "t1") != [(None,)] and messages() == 1)
                pg.stop()
                self.assertEqual(room.pipe(notice(2)).returncode, 0)
                wait_until("words of trouble", lambda: "ledger: " in service.words(), 90)
                self.assertEqual(len(room.messages_waiting()), 1)
                pg.start()
                wait_until("the second message", lambda: messages() == 2, 60)
                self.assertIsNone(service.process.poll())
                wait_until("a good word", lambda: "the work goes on" in service.words())


class Leases(unittest.TestCase):
    def test_a_call_beside_an_answer(self):
        """It is read with the answer, and nothing is left of it to wait for: what it calls for is done at once all the same."""
        build = os.environ.get("MAILHOOK_BUILD", os.path.join(HERE, "..", "build"))
        with Room() as room:
            self.assertEqual(room.run_once().returncode, 0)
            other = room.server.session(database()[1], room.schema)
            self.addCleanup(other.close)

            def call():
                room.change('NOTIFY "mailhook %s"' % room.schema)
            with subprocess.Popen([os.path.join(build, "libexec/mailhook/mailhook-work"), "leases", "--config", room.conf],
                                  env=room.env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as leases:
                def say(what):
                    leases.stdin.write(json.dumps(what).encode() + b"\n")
                    leases.stdin.flush()

                def hear(key):
                    said = {}
                    while key not in said:
                        said = json.loads(leases.stdout.readline())
                        if "ask" in said:
                            say({"seen": said["ask"], "read": []})
                    return said
                say({"life": "a" * 32, "watch": [{"name": "ops", "prefer": None}]})
                self.assertEqual(hear("held")["held"], ["ops"])
                other.rows("BEGIN")
                other.rows("SELECT 1 FROM mailbox_leases FOR UPDATE")
                call()
                hear("ask")
                wait_until("its renewal waits", lambda: room.server.rows(
                    "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE mailbox_leases%'",
                    database()[1]) == [("1",)])
                call()
                other.rows("COMMIT")
                hear("held")
                begun = time.monotonic()
                hear("ask")
                self.assertLess(time.monotonic() - begun, 4, "else after a third of the lease")
                leases.stdin.close()
                leases.stdout.read()
                self.assertEqual(leases.wait(20), 0)


class Failover(unittest.TestCase):
    def test_synchronous(self):
        with Postgresql() as pg, World(engine="sqlite") as room:
            name = pg.fresh_name()
            other = pg.standby()
            room.write(room.conf, 'state_dir = "%s"\nledger = "%s"\n%s' % (room.state, pg.both(name, other), CONF))
            self.assertIn("synchronous standby: s1", room.do("check").stdout.decode())
            room.pipe_alone(notice(1))
            self.assertEqual(room.run_once().returncode, 0)
            pg.kill()
            room.pipe_alone(notice(2))
            self.assertEqual(room.run_once().returncode, 75)
            other.promote()
            self.assertEqual(room.run_once().returncode, 0)
            self.assertEqual(other.rows("SELECT count(*) FROM messages", name), [("2",)])
            self.assertEqual(other.rows("SELECT count(*) FROM pauses", name), [("0",)])
            self.assertEqual(len(room.tickets()), 1)

    def test_unconfirmed(self):
        """Whoever cancels the wait for a standby has the server say COMMIT: what no standby has is asked for again."""
        with Postgresql() as pg, World(engine="sqlite") as room:
            name = pg.fresh_name()
            room.write(room.conf, 'state_dir = "%s"\nledger = "%s"\n%s' % (room.state, pg.url(name), CONF))
            self.assertEqual(room.run_once().returncode, 0)
            room.pipe_alone(notice(1))
            pg.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            pg.run("SELECT pg_reload_conf()")
            wait_until("the setting", lambda: pg.rows("SHOW synchronous_standby_names") == [("nobody",)])
            waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            with subprocess.Popen(room.command("run", "--once"), env=room.env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL) as run:
                def stored():
                    pg.rows("SELECT pg_cancel_backend(pid) " + waiting)
                    return pg.rows("SELECT count(*) FROM messages", name) == [("1",)]
                wait_until("the message", stored)
                wait_until("the next commit", lambda: pg.rows("SELECT count(*) " + waiting) == [("1",)])
                left = [n for n in os.listdir(os.path.join(room.state, "intake")) if n.endswith(".msg")]
                pg.run("ALTER SYSTEM RESET synchronous_standby_names")
                pg.run("SELECT pg_reload_conf()")
                self.assertIn(run.wait(60), (0, 75))
            self.assertEqual(len(left), 1)
            room.run_once()
            self.assertEqual(os.listdir(os.path.join(room.state, "intake")), [])
            self.assertEqual(pg.rows("SELECT count(*) FROM messages", name), [("1",)])
            self.assertEqual(len(room.tickets()), 1)

    def test_lagging(self):
        """The standby had not heard of all, and another node comes first and goes on with it: what took over is paused by the one
        that knows more, for every node, once."""
        with Postgresql() as pg, World(engine="sqlite") as room, World(engine="sqlite") as second:
            name = pg.fresh_name()
            other = pg.standby(synchronous=False)
            for n, w in enumerate((room, second)):
                w.write(w.conf, 'state_dir = "%s"\nnode = "n%d"\nledger = "%s"\n%s' % (w.state, n, pg.both(name, other), CONF))
            room.pipe_alone(notice(1))
            self.assertEqual((room.run_once().returncode, second.run_once().returncode), (0, 0))
            last = pg.rows("SELECT pg_current_wal_lsn()")[0][0]
            wait_until("the standby", lambda: other.rows("SELECT pg_last_wal_replay_lsn() >= '%s'" % last) == [("t",)])
            other.stop()
            room.pipe_alone(notice(2))
            self.assertEqual(room.run_once().returncode, 0)
            pg.kill()
            other.start()
            other.promote()
            self.assertEqual(other.rows("SELECT count(*) FROM messages", name), [("1",)])
            for n in range(3, 6):  # their events have higher numbers than those that were lost
                second.pipe_alone(notice(n))
            for w, pauses in ((second, "0"), (room, "1"), (second, "1")):
                done = w.run_once()
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(other.rows("SELECT count(*) FROM pauses", name), [(pauses,)])
            self.assertEqual(other.rows("SELECT scope, by FROM pauses", name), [("all", "mailhook")])
            self.assertEqual(other.rows("SELECT count(*) FROM events WHERE what = 'restored' AND case_id IS NULL", name), [("1",)])
            self.assertIn("older copy", room.do("status").stdout.decode())
            self.assertEqual(room.do("resume").returncode, 0)
            self.assertEqual((room.run_once().returncode, second.run_once().returncode), (0, 0))
            self.assertEqual(other.rows("SELECT count(*) FROM pauses", name), [("0",)])


class Trust(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="mailhook-pki-")
        pki.make(cls.dir)
        cls.tls = Postgresql(tls=cls.dir, password="s3cret-of-the-ledger").start()
        cls.name = cls.tls.fresh_name()
        cls.secret = os.path.join(cls.dir, "password")
        for path, text in ((cls.secret, "s3cret-of-the-ledger\n"), (cls.secret + ".wrong", "another-s3cret\n")):
            with open(path, "w", encoding="ascii") as f:
                f.write(text)
            os.chmod(path, 0o600)

    @classmethod
    def tearDownClass(cls):
        cls.tls.close()
        shutil.rmtree(cls.dir)

    def url(self, more="", ca="ca"):
        return self.tls.url(self.name, more="sslmode=verify-full&sslrootcert=%s/%s.pem%s" % (self.dir, ca, more))

    def leaf(self, name):
        for end in (".pem", ".key"):
            with open(os.path.join(self.dir, name + end), encoding="ascii") as f:
                self.tls._put("server" + end, f.read())
        self.tls.rows("SELECT pg_reload_conf()")

    def test_certificates(self):
        given = 'ledger_password_file = "%s"\n' % self.secret
        for leaf, ca, words in (("server", "ca", "fit: PostgreSQL 15"), ("server", "other-ca", "certificate verify failed"),
                                ("unknown", "ca", "certificate verify failed"), ("expired", "ca", "certificate"),
                                ("wrong", "ca", "does not match host name"), ("server", "ca", "TLSv1.3")):
            with self.subTest(leaf, ca=ca):
                self.leaf(leaf)

                def said():
                    return check(self.url(ca=ca), given)[0]
                # the server reads its certificate again when it comes to it
                wait_until("%s with %s: %s" % (words, leaf, said()), lambda: words in said(), 10)
                if "fit: PostgreSQL" not in words and words != "TLSv1.3":
                    self.assertTrue(said().startswith("ledger: not fit: "), said())

    def test_passwords(self):
        program = os.path.join(self.dir, "tell")
        with open(program, "w", encoding="ascii") as f:
            f.write('#!/bin/sh\n[ "$1" = ledger ] && cat %s\n' % self.secret)
        os.chmod(program, 0o755)
        credentials = os.path.join(self.dir, "credentials")
        os.makedirs(credentials, mode=0o700, exist_ok=True)
        shutil.copy(self.secret, credentials + "/ledger")
        os.chmod(credentials + "/ledger", 0o600)
        open_file = self.secret + ".open"
        shutil.copy(self.secret, open_file)
        os.chmod(open_file, 0o644)
        self.leaf("server")
        for name, more, env, words in (
                ("a file", 'ledger_password_file = "%s"\n' % self.secret, {}, "fit: PostgreSQL"),
                ("a program", 'ledger_password_command = "%s ledger"\n' % program, {}, "fit: PostgreSQL"),
                ("a credential", "", {"CREDENTIALS_DIRECTORY": credentials}, "fit: PostgreSQL"),
                ("a wrong one", 'ledger_password_file = "%s.wrong"\n' % self.secret, {}, "password authentication failed"),
                ("none", "", {}, "no password supplied"),
                ("a file that others can read", 'ledger_password_file = "%s"\n' % open_file, {}, open_file),
                ("a program that fails", 'ledger_password_command = "/bin/false"\n', {}, "/bin/false")):
            with self.subTest(name):
                line, said = check(self.url(), more, env)
                self.assertIn(words, line)
                self.assertEqual(line.startswith("ledger: fit: "), words.startswith("fit"))
                self.assertNotIn("s3cret", said.replace(open_file, "").replace(self.secret, ""))

    def test_urls(self):
        with Postgresql() as plain:
            rows = (
                ("a server without TLS", plain.url(more="sslmode=verify-full"), "does not support SSL"),
                ("another machine, nothing verified", "postgresql://m@db.example.com/m?sslmode=require", "only verify-full"),
                ("another machine, any name", "postgresql://m@db.example.com/m?sslmode=verify-ca", "only verify-full"),
                ("another machine behind one of ours", "postgresql://m@localhost,db.example.com/m?sslmode=prefer", "only verify-full"),
                ("another machine by its address", "postgresql://m@localhost/m?hostaddr=192.0.2.1&sslmode=disable", "only verify-full"),
                ("a service", "postgresql:///m?service=x", "service"),
                ("a password", "postgresql://m:s3cret@db.example.com/m", "without a password"),
                ("a password in the query", "postgresql://db.example.com/m?user=m&passwor%64=s3cret", "without a password"),
                ("nobody there", "postgresql://m@127.0.0.1:9/m", "refused"),
                ("no such database", plain.url("nowhere"), "does not exist"),
                ("no schema", plain.url(more="options=-csearch_path%3Dnowhere"), "search_path"),
            )
            for name, url, words in rows:
                with self.subTest(name):
                    line, said = check(url)
                    self.assertIn(words, line)
                    self.assertFalse(line.startswith("ledger: fit"), line)
                    self.assertNotIn("s3cret", said)

    def test_nobody_else_needs_libpq(self):
        build = os.environ.get("MAILHOOK_BUILD", os.path.join(HERE, "..", "build"))
        for name, needs in (("mailhook-work", False), ("ledger-postgresql.so", True)):
            out = subprocess.run(["readelf", "-d", os.path.join(build, "libexec/mailhook", name)], capture_output=True, check=True).stdout
            self.assertEqual(b"[libpq.so" in out, needs, name)


if __name__ == "__main__":
    if not available():
        print("no PostgreSQL is installed")
        sys.exit(77)
    sys.argv = [a for a in sys.argv if a != "--all"]
    unittest.main()
