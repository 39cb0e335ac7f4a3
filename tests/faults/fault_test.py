#!/usr/bin/python3
"""What was answered 0 is never lost, and no ticket and no reply is made twice: with broken folders, ledgers,
configurations and actions, with many at once, and with signals."""

import array
import fcntl
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import termios
import time
import unittest

sys.dont_write_bytecode = True
from world import World, notice  # noqa: E402

NOBODY = 65534
ACTION = """\
action "odd" {{ program = "{path}" role = ticket deadline = 2s }}
rule "all" {{ do = {{"odd"}} }}
"""
GOOD_ACTION = """#!/bin/sh
read -r request
echo "$1" >> {log}
echo '{{"outcome":"done","summary":"all is well"}}'
"""


def no_room():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def little_room():
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


class Faults(unittest.TestCase):
    def setUp(self):
        # the programs may stand in a folder that nobody else may enter; so tests as another user are only for root
        self.world = World()
        self.addCleanup(self.world.__exit__, None, None, None)

    def ends_well(self, w=None, cases=1):
        self.assertEqual((w or self.world).work_to_end(cases), [])

    def as_nobody(self):
        """Arguments that drop root's rights, which no mode can stop; the world is given to nobody."""
        w = self.world
        if os.geteuid() != 0:
            return {}
        if subprocess.run(["test", "-x", w.mailhook], user=NOBODY, group=NOBODY, extra_groups=[]).returncode != 0:
            self.skipTest("the user nobody cannot reach the programs")
        for folder, _, files in os.walk(w.dir):
            os.chown(folder, NOBODY, NOBODY)
            for name in files:
                os.chown(os.path.join(folder, name), NOBODY, NOBODY)
        return {"user": NOBODY, "group": NOBODY, "extra_groups": []}

    def rejected(self, done):
        self.assertEqual(done.returncode, 75, done.stderr)
        self.assertRegex(done.stderr, rb"^[^0-9]")
        self.assertNotIn(b"123456789012", done.stderr)
        self.assertEqual(self.world.messages_waiting(), [])

    # -- intake

    def test_state_folder_missing_is_made(self):
        w = self.world
        os.rmdir(w.state)
        self.assertEqual(w.pipe().returncode, 0)
        self.assertEqual(os.stat(w.state).st_mode & 0o7777, 0o700)
        self.ends_well()

    def test_first_mails_at_once(self):
        for _ in range(10):
            with World() as w:
                os.rmdir(w.state)
                running = [subprocess.Popen(w.command("pipe"), env=w.env, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
                           for _ in range(8)]
                for p in running:
                    p.stdin.write(notice())
                for p in running:
                    p.stdin.close()
                said = [(p.wait(30), p.stderr.read()) for p in running]
                for p in running:
                    p.stderr.close()
                self.assertEqual(said, [(0, b"")] * len(running))
                self.ends_well(w)

    def test_state_folder_in_a_place_of_others(self):
        w = self.world
        user = self.as_nobody()
        shutil.rmtree(w.state)
        os.chmod(w.dir, 0o555)  # as a mount point of root's, whose disk is missing
        self.rejected(w.pipe(**user))
        self.assertFalse(os.path.exists(w.state), "a folder was made in a place that somebody else chose")
        os.chmod(w.dir, 0o755)
        self.assertEqual(w.pipe(**user).returncode, 0)
        self.ends_well()

    def test_intake_missing_is_made(self):
        self.assertEqual(self.world.pipe().returncode, 0)
        self.ends_well()

    def test_intake_is_a_file(self):
        w = self.world
        w.write(w.intake, "")
        self.rejected(w.pipe())

    def test_intake_read_only(self):
        w = self.world
        os.mkdir(w.intake, 0o700)
        user = self.as_nobody()
        os.chmod(w.intake, 0o500)
        self.rejected(w.pipe(**user))
        os.chmod(w.intake, 0o700)
        self.assertEqual(w.pipe(**user).returncode, 0)

    def test_intake_full(self):
        w = self.world
        os.mkdir(w.intake, 0o700)
        for limit in (no_room, little_room):
            raw = notice() if limit is no_room else notice() + b"x" * 20000
            self.rejected(w.pipe(raw, preexec_fn=limit))
            self.assertEqual(os.listdir(w.intake), [], "half a message stays")
        self.assertEqual(w.pipe().returncode, 0)
        self.ends_well()

    def test_intake_on_a_full_disk(self):
        w = self.world
        os.mkdir(w.intake, 0o700)
        mount = ["mount", "-t", "tmpfs", "-o", "size=64k,mode=0700", "mailhook-test", w.intake]
        if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode != 0:
            self.skipTest("no tmpfs can be mounted here")
        try:
            filler = os.path.join(w.intake, "filler")
            with open(filler, "wb", buffering=0) as f:
                try:
                    while f.write(b"x" * 4096):
                        pass
                except OSError:
                    pass
            self.rejected(w.pipe())
            os.unlink(filler)
            self.assertEqual(w.pipe().returncode, 0)
            self.ends_well()
        finally:
            subprocess.run(["umount", "-l", w.intake], check=True)

    # -- ledger

    def test_ledger_locked(self):
        w = self.world
        self.assertEqual(w.run_once().returncode, 0)
        db = sqlite3.connect(w.ledger, isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        started = time.monotonic()
        self.assertEqual(w.pipe_alone().returncode, 0)
        self.assertLess(time.monotonic() - started, 5, "the pipe waits for the ledger")
        self.assertIn(w.run_once(timeout=120).returncode, (1, 75))
        self.assertEqual(len(w.messages_waiting()), 1)
        db.execute("ROLLBACK")
        db.close()
        self.ends_well()

    def test_ledger_read_only(self):
        w = self.world
        self.assertEqual(w.run_once().returncode, 0)
        user = self.as_nobody()
        for name in os.listdir(w.state):
            path = os.path.join(w.state, name)
            if name.startswith("ledger.db"):
                os.chmod(path, 0o400)
        self.assertEqual(w.pipe_alone(**user).returncode, 0)
        self.assertNotEqual(w.run_once(**user).returncode, 0)
        self.assertEqual(len(w.messages_waiting()), 1)
        os.chmod(w.ledger, 0o600)
        for name in os.listdir(w.state):
            os.chown(os.path.join(w.state, name), os.geteuid(), os.getegid())
            if name.startswith("ledger.db"):
                os.chmod(os.path.join(w.state, name), 0o600)
        os.chown(w.state, os.geteuid(), os.getegid())
        self.ends_well()

    def test_ledger_corrupt(self):
        w = self.world
        with open(w.ledger, "wb") as f:
            f.write(b"this is no ledger, and it is longer than a header of SQLite needs to be\n" * 100)
        self.assertEqual(w.pipe_alone().returncode, 0)
        self.assertIn(w.run_once().returncode, (1, 2, 75))
        self.assertEqual(len(w.messages_waiting()), 1)
        with open(w.ledger, "rb") as f:
            self.assertTrue(f.read().startswith(b"this is no ledger"), "evidence was overwritten")
        os.unlink(w.ledger)
        self.ends_well()

    def test_ledger_full(self):
        w = self.world
        self.assertEqual(w.pipe_alone().returncode, 0)
        self.assertEqual(len(w.messages_waiting()), 1)
        self.assertNotEqual(w.run_once(preexec_fn=little_room).returncode, 0)
        self.assertEqual(len(w.messages_waiting()), 1)
        self.ends_well()

    # -- configuration

    def test_configuration_missing(self):
        os.unlink(self.world.conf)
        self.rejected(self.world.pipe())
        self.assertIn(self.world.run_once().returncode, (2, 75))

    def test_configuration_broken(self):
        w = self.world
        right = f'state_dir = "{w.state}"\n'
        for wrong in ("nonsense\n", "max_running = 0\n", 'action "x" {\n', 'rule "r" { do = {"nobody"} }\n'):
            w.write(w.conf, right + wrong)
            self.assertEqual(w.pipe_alone().returncode, 0, wrong)
            done = w.run_once()
            self.assertEqual(done.returncode, 2, wrong)
            self.assertRegex(done.stderr.decode(), r"mailhook: .*mailhook\.conf:\d+: ", wrong)
        self.assertEqual(w.count("cases"), 0, "something was done by half a configuration")
        w.write(w.conf, right)
        self.ends_well()

    def test_configuration_broken_without_folder(self):
        w = self.world
        w.write(w.conf, 'action "x" {\n')
        self.rejected(w.pipe())

    def test_configuration_unreadable(self):
        w = self.world
        user = self.as_nobody()
        os.chmod(w.conf, 0)
        self.rejected(w.pipe(**user))

    # -- standard descriptors

    def test_stdout_closed(self):
        w = self.world
        config = f"--config {w.conf}"

        def shell(command):
            return subprocess.run(
                ["sh", "-c", command], input=notice(), env=w.env, capture_output=True, timeout=30, check=False
            ).returncode

        self.assertEqual(shell(f"{w.mailhook} filter {config} >&-"), 75)
        self.assertEqual(shell(f"{w.mailhook} filter {config} >/dev/full"), 75)
        self.assertEqual(shell(f"{w.mailhook} pipe {config} <&-"), 75)
        self.assertEqual(shell(f"{w.mailhook} pipe {config} >&- 2>&-"), 0)
        self.ends_well()

    def test_filter_into_a_broken_pipe(self):
        w = self.world
        read, write = os.pipe()
        os.close(read)
        done = subprocess.run(
            w.command("filter"), input=notice(), stdout=write, stderr=subprocess.PIPE, env=w.env, timeout=30,
            check=False,
        )
        os.close(write)
        self.assertEqual(done.returncode, 75)

    # -- actions

    def odd_action(self, text):
        w = self.world
        path = os.path.join(w.dir, "odd")
        w.write(path, text)
        os.chmod(path, 0o700)
        w.write(w.conf, f'state_dir = "{w.state}"\n' + ACTION.format(path=path))
        return path

    def test_odd_actions(self):
        lies = {
            "stuck": "sleep 1000",
            "stuck, and deaf to SIGTERM": "trap '' TERM; sleep 1000 & wait; sleep 1000",
            "crashes": "kill -SEGV $$",
            "silent": "exit 0",
            "garbage": "head -c 100000 /dev/urandom",
            "no outcome": "echo '{\"say\":\"hello\"}'",
            "an unknown outcome": "echo '{\"outcome\":\"perfect\",\"summary\":\"x\"}'",
            "two outcomes": "echo '{\"outcome\":\"done\",\"summary\":\"a\"}'; echo '{\"outcome\":\"done\",\"summary\":\"b\"}'",
            "an endless line": "yes | tr -d '\\n'",
            "endless lines": "yes '{\"say\":\"and on\"}'",
            "fails after done": "echo '{\"outcome\":\"done\",\"summary\":\"x\"'",
        }
        for name, lie in lies.items():
            with self.subTest(name):
                with World() as w:
                    self.world = w
                    log = os.path.join(w.dir, "log")
                    path = self.odd_action(f"#!/bin/sh\nread -r request\n{lie}\n")
                    self.assertEqual(w.pipe_alone().returncode, 0)
                    started = time.monotonic()
                    for _ in range(3):
                        w.run_once()
                    self.assertLess(time.monotonic() - started, 30)
                    self.assertEqual(w.count("cases"), 1)
                    jobs = w.rows("SELECT state, attempt FROM jobs")
                    self.assertEqual([x[0] for x in jobs], ["queued"], jobs)
                    self.assertGreaterEqual(jobs[0][1], 1)
                    w.write(path, GOOD_ACTION.format(log=log))
                    os.chmod(path, 0o700)
                    for _ in range(48):
                        w.advance(minutes=15)
                        w.run_once()
                        if w.rows("SELECT state FROM jobs") == [("done",)]:
                            break
                    self.assertEqual(w.rows("SELECT state FROM jobs"), [("done",)])
                    with open(log, encoding="utf-8") as f:
                        self.assertEqual(f.read(), "run\n")

    def test_action_missing(self):
        w = self.world
        path = self.odd_action("")
        os.unlink(path)
        self.assertEqual(w.pipe_alone().returncode, 0)
        w.run_once()
        self.assertEqual(w.rows("SELECT state FROM jobs"), [("queued",)])

    # -- many at once

    def test_fifty_pipes(self):
        w = self.world
        running = []
        for number in range(50):
            mail = tempfile.TemporaryFile()
            mail.write(notice(number % 25))  # each message twice
            mail.seek(0)
            running.append(subprocess.Popen(w.command("pipe"), stdin=mail, env=w.env))
            mail.close()
        self.assertEqual([p.wait(60) for p in running], [0] * 50)
        self.ends_well()
        self.assertEqual(w.count("messages"), 25)
        self.assertEqual(w.rows("SELECT sum(copies) FROM messages"), [(50,)])

    def test_two_workers(self):
        w = self.world
        running = []
        for number in range(10):
            self.assertEqual(w.pipe(notice(number)).returncode, 0)
            running += [subprocess.Popen(w.command("run", "--once"), env=w.env, stderr=subprocess.DEVNULL) for _ in range(2)]
        for p in running:
            self.assertIn(p.wait(60), (0, 75))
        self.ends_well()
        self.assertEqual(w.count("messages"), 10)

    def test_two_workers_at_the_same_work(self):
        """One has a job at work, so it certainly has the lock: a service beside it gives up, and a single run leaves the
        work to it; the job runs once."""
        w = self.world
        log, go = os.path.join(w.dir, "log"), os.path.join(w.dir, "go")
        path = self.odd_action(f"#!/bin/sh\nread -r request\necho run >> {log}\nwhile [ ! -e {go} ]; do sleep 0.02; done\n"
                               "echo '{\"outcome\":\"done\",\"summary\":\"x\"}'\n")
        w.write(w.conf, f'state_dir = "{w.state}"\n' + ACTION.format(path=path).replace("2s", "60s"))
        self.assertEqual(w.pipe_alone().returncode, 0)
        first = subprocess.Popen(w.command("run"), env=w.env, stderr=subprocess.DEVNULL)
        try:
            w.until(lambda: os.path.exists(log), "the action does not start")
            second = w.do("run")
            self.assertEqual(second.returncode, 75)
            self.assertIn(b"another worker runs", second.stderr)
            started = time.monotonic()
            self.assertEqual(w.do("run", "--once").returncode, 0)
            self.assertLess(time.monotonic() - started, 20, "it waits for a service")
            self.assertEqual(w.rows("SELECT state, attempt FROM jobs"), [("running", 1)])
            w.write(go, "")
            w.until(lambda: w.rows("SELECT state FROM jobs") == [("done",)], "the job does not end")
            first.send_signal(signal.SIGTERM)
            self.assertEqual(first.wait(20), 0)
        finally:
            if first.poll() is None:
                first.kill()
            first.wait()
        with open(log, encoding="ascii") as f:
            self.assertEqual(f.read(), "run\n")

    def test_two_services_at_once(self):
        """On an empty state folder: one makes the ledger and works, the other ends with 75; a killed one is in nobody's way."""
        for _ in range(4):
            with World() as w:
                both = [subprocess.Popen(w.command("run"), env=w.env, stderr=subprocess.DEVNULL) for _ in range(2)]
                try:
                    w.until(lambda: any(p.poll() is not None for p in both), "both work")
                    self.assertEqual(sorted(p.poll() or 0 for p in both), [0, 75])
                    alive = next(p for p in both if p.poll() is None)
                    self.assertEqual(w.pipe().returncode, 0)
                    w.until(lambda: not w.missing() or w.wrong(), "the service does not come to an end")
                    alive.kill()
                    alive.wait()
                    self.assertEqual(w.pipe_alone(notice(2)).returncode, 0)
                    self.ends_well(w)
                    self.assertEqual(w.count("messages"), 2)
                finally:
                    for p in both:
                        p.kill()
                        p.wait()

    def test_migration_killed(self):
        """At every second of the calls by which a first run makes the ledger: there is none, or a whole one, and the next run
        goes on. kill_test.py takes each of them."""
        with World() as w:
            how, words = w.kill_at(0, f"exec {w.mailhook} run --once --config {w.conf}")
            self.assertEqual(how, "ended", words)
            total = int(words[1])
        seen = set()
        for number in range(1, total + 1, 2):
            with World() as w:
                w.kill_at(number, f"exec {w.mailhook} run --once --config {w.conf}")
                whole = w.rows("SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name IN ('meta', 'pauses')")
                self.assertIn(whole, ([], [(0,)], [(2,)]), f"call {number}: half a schema")
                seen.add(bool(whole) and whole != [(0,)])
                self.assertEqual(w.run_once().returncode, 0, f"call {number}")
                self.assertEqual(w.rows("SELECT count(*) FROM meta WHERE name IN ('schema', 'seed', 'identity')"), [(3,)])
                self.assertEqual(w.do("ledger", "check").returncode, 0, f"call {number}")
                self.assertNotIn(b"paused", w.do("status").stdout, f"call {number}")
        self.assertEqual(seen, {False, True}, "no kill came before the schema, or none behind it")

    # -- signals

    def test_signals_to_the_pipe(self):
        w = self.world
        os.mkdir(w.intake, 0o700)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            p = subprocess.Popen(w.command("pipe"), stdin=subprocess.PIPE, env=w.env)
            p.stdin.write(notice()[:400])
            p.stdin.flush()
            self.read_empty(p)
            p.send_signal(number)
            self.assertEqual(p.wait(20), 75)
            p.stdin.close()
            self.assertEqual(w.messages_waiting(), [])

    def read_empty(self, p):
        """Waits until the process has read what was written: then it is up and handles signals."""
        left = array.array("i", [1])
        deadline = time.monotonic() + 20
        while left[0] > 0 and time.monotonic() < deadline:
            fcntl.ioctl(p.stdin, termios.FIONREAD, left)
        self.assertEqual(left[0], 0, "standard input is not read")

    def test_service(self):
        w = self.world
        p = subprocess.Popen(w.command("run"), env=w.env, stderr=subprocess.PIPE)
        try:
            w.until(w.somebody_works, "the service does not start")
            for number in (1, 2):
                self.assertEqual(w.pipe(notice(number)).returncode, 0)
            w.until(lambda: not w.missing() or w.wrong(), "the service does not come to an end")
            self.assertEqual(w.wrong(), [])
            p.send_signal(signal.SIGTERM)
            self.assertEqual(p.wait(20), 0)
        finally:
            if p.poll() is None:
                p.kill()
            p.communicate()
        self.assertEqual(w.count("messages"), 2)
        self.ends_well()

    def test_service_ended_at_work(self):
        w = self.world
        log = os.path.join(w.dir, "log")
        path = self.odd_action(f"#!/bin/sh\nread -r request\necho begun >> {log}\nexec sleep 1000\n")
        w.write(w.conf, f'state_dir = "{w.state}"\n' + ACTION.format(path=path).replace("2s", "60s"))
        p = subprocess.Popen(w.command("run"), env=w.env, stderr=subprocess.PIPE)
        try:
            w.until(w.somebody_works, "the service does not start")
            self.assertEqual(w.pipe().returncode, 0)
            w.until(lambda: os.path.exists(log), "the action does not start")
            p.send_signal(signal.SIGTERM)
            self.assertEqual(p.wait(20), 0, "it waits for the action")
        finally:
            if p.poll() is None:
                p.kill()
            p.communicate()
        w.write(path, GOOD_ACTION.format(log=log))
        os.chmod(path, 0o700)
        for _ in range(48):
            w.run_once()
            if w.rows("SELECT state FROM jobs") == [("done",)]:
                break
            w.advance(minutes=15)
        with open(log, encoding="utf-8") as f:
            self.assertEqual(f.read(), "begun\nrun\n")


if __name__ == "__main__":
    unittest.main()
