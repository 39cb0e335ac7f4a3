#!/usr/bin/python3
"""A person steers: approve, vouch, retry, close, pause, purge, backup, restore, ledger check. Time is a file's."""
import contextlib
import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "faults"))
from world import World, notice  # noqa: E402

DONE = """#!/bin/sh
read -r line
echo x >> "@/runs"
echo '{"outcome":"done","summary":"renewed"}'
"""
CONF = """
action "tell" { program = "reply" }
action "jira" { program = "ticket" }
action "renew" { program = "@/renew"  role = "effect" }
rule "scim" { kinds = {"aws.identity-center.*"}  do = {"jira", "renew", "tell"} }
"""
EXPIRES, ACCOUNT = "2026-03-31T04:05:06Z", "123456789012"


class Room(World):
    def __init__(self, conf=CONF, script=DONE):
        super().__init__()
        self.configure(conf)
        path = os.path.join(self.dir, "renew")
        self.write(path, script.replace("@", self.dir))
        os.chmod(path, 0o700)

    def configure(self, conf):
        self.write(self.conf, f'state_dir = "{self.state}"\n{conf.replace("@", self.dir)}')

    def opened(self, number=1):
        """One case, worked as far as it goes."""
        assert self.pipe_alone(notice(number)).returncode == 0
        assert self.run_once().returncode == 0

    def runs(self):
        try:
            with open(os.path.join(self.dir, "runs"), encoding="ascii") as f:
                return len(f.readlines())
        except FileNotFoundError:
            return 0

    def job(self, action="renew"):
        return self.rows(f"SELECT state, waiting_for FROM jobs WHERE action = '{action}' ORDER BY id")[-1]

    def change(self, sql):
        with sqlite3.connect(self.ledger) as db:
            db.execute("PRAGMA ignore_check_constraints = 1")
            db.execute(sql)
        db.close()

    def sound(self):
        done = self.do("ledger", "check")
        return [] if done.returncode == 0 else [(done.returncode, done.stdout.decode(), done.stderr.decode())]

    def doubled(self):
        """What is there twice, of what must be there once."""
        entries = [x.split(" ", 1)[1] for path in self.tickets() for x in self.ticket_entries(path)]
        ids = []
        for path in self.replies():
            with open(path, "rb") as f:
                ids += [x for x in f.read().splitlines() if x.startswith(b"Message-ID:")]
        return [x for x in self.tickets()[1:]] + [x for l in (entries, ids) for x in set(l) if l.count(x) > 1]


def said(done):
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


class Steering(unittest.TestCase):
    def refused(self, room, rows):
        for words, args, code in rows:
            with self.subTest(args=args):
                got = said(room.do(*args))
                self.assertEqual(got[0], code, got)
                self.assertIn(words, got[1])

    def well(self, done, words=""):
        got = said(done)
        self.assertEqual(got[0], 0, got)
        self.assertIn(words, got[1])

    def test_refusals(self):
        with Room() as room:
            self.refused(room, [
                ("no message was taken in yet", ("close", "1"), 2),
                ("nothing is paused", ("resume",), 0),
                ("goes with --once", ("run", "--no-wait"), 2),
                ("three forms", ("status", "--alarm", "--json"), 2),
                ("three forms", ("status", "--alarm", "--prometheus"), 2),
                ("ledger: which? 'mailhook ledger check'", ("ledger",), 2),
                ("needs a NODE", ("ledger", "forget"), 2),
                ("takes no more words", ("ledger", "check", "x"), 2),
                ("no ledger yet", ("purge",), 2),
                ("no ledger yet", ("backup", room.dir + "/b"), 2),
                ("no ledger yet", ("ledger", "check"), 2),
            ])
            room.opened()
            self.refused(room, [
                ("'mailhook list' shows those", ("close", "7"), 2),
                ("is no case", ("approve", "x y"), 2),
                ("needs a CASE", ("approve",), 2),
                ("needs a FILE", ("backup",), 2),
                ("goes with --vouch", ("approve", "1", "--account", ACCOUNT, "--expires", EXPIRES), 2),
                ("both, or neither", ("approve", "1", "--vouch", "--account", ACCOUNT), 2),
                ("this is none", ("approve", "1", "--vouch"), 2),
                ("is no time", ("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", "soon"), 2),
                ("look again", ("approve", "1", "--vouch", "--account", "123456789013", "--expires", EXPIRES), 2),
                ("look again", ("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", "2026-04-01"), 2),
                ("no job has failed", ("retry", "1"), 2),
                ("its rule is the same", ("retry", "--rule", "1"), 2),
                ("there are scim", ("pause", "--rule", "none"), 2),
                ("there are tell, jira, renew", ("pause", "--action", "none"), 2),
                ("not both", ("pause", "--action", "tell", "--rule", "scim"), 2),
                ("nothing is paused", ("resume",), 0),
                ("case 1: no job waits for input; its jobs: 'mailhook show 1'", ("handover", "1"), 2),
                ("mailhook ledger check", ("ledger", "chek"), 2),
                ("not there yet", ("backup", room.dir + "/"), 2),
                ("is there already", ("backup", room.conf), 2),
                ("No such file", ("backup", room.dir + "/none/b"), 2),
            ])
            self.well(room.do("close", "1"))
            self.refused(room, [
                ("was closed already", ("close", "1"), 2),
                ("nothing to approve", ("approve", "1"), 2),
                ("nothing to approve", ("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", EXPIRES), 2),
                ("no rule does anything", ("retry", "--rule", "1"), 2),
            ])
            self.assertEqual(room.sound(), [])

    def test_vouch(self):
        for name, expires in (("second", EXPIRES), ("day", "2026-03-31")):
            with self.subTest(name), Room() as room:
                room.opened()
                self.assertEqual(room.job(), ("waiting", "trust"))
                self.well(room.do("approve", "1"), "--vouch")
                self.assertEqual(room.job(), ("waiting", "trust"), "an approval alone lifts nothing unverified")
                self.well(room.do("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", expires), "vouches for")
                room.run_once()
                self.assertEqual((room.job(), room.runs()), (("done", None), 1))
                self.assertIn("vouched by", room.do("show", "1").stdout.decode())
                self.assertEqual(room.rows("SELECT expires, trust, vouched FROM cases"), [(EXPIRES, "unverified", 1)])
                self.refused(room, [
                    ("was approved already", ("approve", "1"), 2),
                    ('nothing waits for approval with step "bogus"; nothing of it waits', ("approve", "1", "--step", "bogus"), 2),
                ])
                self.assertEqual(room.sound(), [])

    def test_check_before_the_first_notice(self):
        """What mailhook makes itself need not be there: it is the first thing that a new user types."""
        with Room() as room:
            room.write(room.conf, f'state_dir = "{room.dir}/new"\n')
            self.well(room.do("check"), f"state_dir {room.dir}/new: is made with the first notice\n")
            self.assertFalse(os.path.exists(room.dir + "/new"), "and not by check")
            room.write(room.conf, f'state_dir = "{room.dir}/none/new"\n')
            self.refused(room, [(f"state_dir {room.dir}/none/new: is not there and cannot be made by ", ("check",), 1),
                                ("install -d -m 711 -o ", ("check",), 1),
                                (": not fit: cannot make the folder ", ("check",), 1)])

    def test_vouch_stands(self):
        """Against notices that prove no more than the first: the same again, and one that says another second."""
        other = notice(3).replace(b"04:05:06", b"04:05:07")
        with Room() as room:
            room.opened()
            self.well(room.do("pause", "--action", "renew"))
            self.well(room.do("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", EXPIRES))
            room.opened(2)
            self.assertNotIn("says other", room.do("show", "1").stdout.decode())
            self.assertEqual(room.pipe_alone(other).returncode, 0)
            room.run_once()
            self.assertEqual(room.rows("SELECT vouched, expires FROM cases"), [(1, EXPIRES)])
            self.assertEqual(room.rows("SELECT count(*) FROM events WHERE what = 'unvouched'"), [(0,)])
            shown = room.do("show", "1").stdout.decode()
            self.assertRegex(shown, r"unverified, says other than \S+ vouched for, and changes nothing: .*2026-03-31T04:05:07Z")
            self.well(room.do("resume", "--action", "renew"))
            room.run_once()
            self.assertEqual((room.job(), room.runs()), (("done", None), 1), "nobody holds up what a person confirmed")
            self.assertEqual(room.sound(), [])

    def test_terminal(self):
        """Without a terminal it is refused (above); on one it asks, and the answers are checked."""
        for name, answers, code in (("right", f"{ACCOUNT}\n2026-03-31\n", 0), ("wrong", f"{ACCOUNT}\n2026-03-30\n", 2)):
            with self.subTest(name), Room() as room:
                room.opened()
                parent, child = os.openpty()
                os.write(parent, answers.encode())
                done = subprocess.run(room.command("approve", "1", "--vouch"), stdin=child, env=room.env,
                                      capture_output=True, timeout=60, check=False)
                os.close(parent)
                os.close(child)
                self.assertEqual(done.returncode, code, done)
                self.assertIn(b"expires (UTC, or the day): ", done.stdout)
                self.assertNotIn(b"04:05:06", done.stdout.split(b"vouches")[0], "it does not tell the answer")

    def test_rule_anew(self):
        without = CONF.replace('"jira", "renew", "tell"', '"jira"')
        with Room(without) as room:
            room.opened()
            self.assertEqual(room.rows("SELECT action FROM jobs"), [("jira",)])
            room.configure(CONF)
            self.well(room.do("retry", "--rule", "1"), 'has rule "scim" now')
            room.run_once()
            self.assertEqual(room.rows("SELECT action, state FROM jobs ORDER BY action"),
                             [("jira", "done"), ("renew", "waiting"), ("tell", "done")])
            room.configure(without.replace('"scim"', '"less"'))
            self.well(room.do("retry", "--rule", "1"), 'has rule "less" now')
            self.assertEqual(room.rows("SELECT action, state FROM jobs ORDER BY action"),
                             [("jira", "done"), ("renew", "skipped"), ("tell", "done")])
            room.configure(without.replace("aws.identity-center.*", "github.token"))
            self.refused(room, [("no rule of the configuration takes case 1", ("retry", "--rule", "1"), 2)])
            self.assertEqual(len(room.tickets()), 1)
            self.assertEqual(room.sound(), [])

    def test_pause(self):
        rows = (("all", (), 0, 0), ("rule", ("--rule", "scim"), 0, 0), ("action", ("--action", "tell"), 1, 0))
        for name, scope, tickets, replies in rows:
            with self.subTest(name), Room() as room:
                self.well(room.do("pause", *scope), "is paused")
                self.well(room.do("pause", *scope), "is paused already")
                room.opened()
                room.advance(minutes=6)  # a reply is patient with what it follows
                room.run_once()
                self.assertEqual((len(room.tickets()), len(room.replies())), (tickets, replies))
                for command in (("status",), ("list",), ("show", "1")):
                    self.assertIn("lets it go on", room.do(*command).stdout.decode(), command)
                word, name = (name, None) if name == "all" else (name, scope[1])
                for command in (("show", "--json", "1"), ("list", "--json"), ("status", "--json")):
                    (paused,) = json.loads(room.do(*command).stdout)["paused"]
                    self.assertEqual((paused["scope"], paused["name"]), (word, name), command)
                metrics = room.do("status", "--prometheus").stdout.decode().splitlines()
                for other in ("all", "rule", "action"):
                    self.assertIn(f'mailhook_paused{{scope="{other}"}} {int(other == word)}', metrics)
                self.assertIn("mailhook_paused_oldest_seconds 360", metrics)
                self.well(room.do("resume", *scope), "on")
                room.run_once()
                self.assertEqual((len(room.tickets()), len(room.replies())), (1, 1))
                self.assertEqual(json.loads(room.do("status", "--json").stdout)["paused"], [])
                self.assertEqual(json.loads(room.do("list", "--json").stdout)["paused"], [])
                self.assertEqual(room.rows("SELECT what FROM events WHERE case_id IS NULL"), [("paused",), ("resumed",)])
                self.assertEqual(room.sound(), [])

    def test_pause_lets_no_time_pass(self):
        """Three reminders come due in a pause: at its end there is one, of the last, not a pile."""
        with Room() as room:
            room.opened()
            ticket = room.tickets()[0]
            self.well(room.do("pause"))
            for _ in range(80):
                room.advance(days=1)
                room.run_once()
            self.assertEqual(room.rows("SELECT count(*) FROM events WHERE what = 'reminded'"), [(0,)])
            self.assertEqual(len(room.ticket_entries(ticket)), 1)
            self.well(room.do("resume"))
            for _ in range(3):
                room.run_once()
            self.assertEqual(room.rows("SELECT detail FROM events WHERE what = 'reminded'"),
                             [("14 days or less until " + EXPIRES,)])
            jobs = [x.rpartition("(")[2] for x in room.ticket_entries(ticket)[1:]]  # one may change the ticket and comment it
            self.assertEqual(len(set(jobs)), 1, jobs)
            self.assertEqual(room.sound() + room.doubled(), [])

    def test_hundred_pauses_beside_a_worker(self):
        with Room() as room:
            with subprocess.Popen(room.command("run"), env=room.env, stderr=subprocess.PIPE) as worker:
                room.until(room.somebody_works, "no worker")
                wrong = []

                def mails():
                    for i in range(1, 21):
                        wrong.extend(x for x in [said(room.pipe(notice(i)))] if x[0] != 0)

                thread = threading.Thread(target=mails)
                thread.start()
                for _ in range(100):
                    for command in ("pause", "resume"):
                        wrong.extend(x for x in [said(room.do(command))] if x[0] != 0)
                thread.join()
                room.until(lambda: not room.messages_waiting() and not room.rows(
                    "SELECT 1 FROM jobs WHERE state IN ('queued', 'running')"), "the jobs do not end")
                worker.terminate()
                self.assertEqual(worker.wait(60), 0, worker.stderr.read())
            self.assertEqual(wrong, [])
            self.assertEqual(room.rows("SELECT what, count(*) FROM events WHERE case_id IS NULL GROUP BY what"),
                             [("paused", 100), ("resumed", 100)])
            self.assertEqual(room.doubled() + room.sound(), [])
            self.assertEqual((room.count("messages"), len(room.tickets())), (20, 1))

    def test_purge(self):
        keep = 'keep_mail = "30d"\nkeep_cases = "100d"\n' + CONF
        with Room(keep) as room:
            room.opened()
            self.well(room.do("purge"), "the mail of 0 messages, and 0 cases")
            room.do("close", "1")
            room.run_once()
            for days, raw, cases in ((29, 1, 1), (2, 0, 1), (68, 0, 1), (2, 0, 0)):
                room.advance(days=days)
                room.run_once()  # the worker does it, once a day
                self.assertEqual(room.rows("SELECT count(raw) FROM messages"), [(raw,)], days)
                self.assertEqual(room.count("cases"), cases, days)
                self.assertEqual(room.sound(), [])
            for table in ("messages", "notices", "jobs"):
                self.assertEqual(room.count(table), 0, table)
            self.assertEqual(room.rows("SELECT count(*) FROM events WHERE case_id IS NOT NULL"), [(0,)])
            self.assertEqual(room.do("status").returncode, 0)

    def test_purge_gives_room_back(self):
        with Room('keep_mail = "1d"\n' + CONF) as room:
            room.opened()
            room.change("UPDATE messages SET raw = zeroblob(4000000), bytes = 4000000")
            room.do("close", "1")
            room.advance(days=2)
            self.well(room.do("purge"), "the mail of 1 messages")
            self.assertLess(os.path.getsize(room.ledger), 1000000)

    def test_backup_and_restore(self):
        with Room() as room:
            copy = os.path.join(room.dir, "copy.db")
            room.opened()
            self.well(room.do("backup", copy), "1 cases")
            self.assertEqual(stat.S_IMODE(os.stat(copy).st_mode), 0o600)
            self.assertEqual([x for x in os.listdir(room.dir) if x.startswith("copy")], ["copy.db"])
            self.assertIn(room.conf, room.do("backup", copy + "2").stdout.decode())
            self.well(room.do("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", EXPIRES))
            room.run_once()
            self.assertEqual(room.runs(), 1)

            for end in ("", "-wal", "-shm"):
                if os.path.exists(room.ledger + end):
                    os.unlink(room.ledger + end)
            shutil.copy(copy, room.ledger)
            done = room.run_once()
            self.assertIn("older copy", done.stderr.decode())
            self.assertIn("older copy", room.do("status").stdout.decode())
            self.assertEqual((room.job(), room.runs()), (("waiting", "approval"), 1))
            room.opened(2)
            self.well(room.do("resume"))
            self.well(room.do("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", EXPIRES))
            self.assertNotIn("older copy", room.run_once().stderr.decode(), "it is said once")
            self.assertEqual((room.job(), room.runs()), (("done", None), 2), "a person said so")
            self.assertEqual(len(room.tickets()), 1)
            self.assertEqual(room.sound(), [])

    def test_restored_elsewhere(self):
        """Beside no mark, or beside that of another ledger, it starts paused; a new installation does not."""
        with Room() as old, Room() as new, Room() as other:
            old.opened()
            old.do("backup", old.dir + "/copy")
            other.opened()
            self.assertNotIn("paused", other.do("status").stdout.decode())
            for room, words in ((new, "nothing beside it"), (other, "another ledger")):
                for end in ("-wal", "-shm"):
                    if os.path.exists(room.ledger + end):
                        os.unlink(room.ledger + end)
                shutil.copy(old.dir + "/copy", room.ledger)
                self.well(room.do("close", "1"))  # a command notices it as well
                self.assertIn(words, room.do("status").stdout.decode())
                self.assertEqual(room.sound(), [])

    def test_ledger_check(self):
        rows = (
            ("has no event", "UPDATE events SET what = 'open' WHERE what = 'opened'"),
            ("not 32 hexadecimal", "UPDATE cases SET key = 'x'"),
            ("a notice that is not its own", "UPDATE cases SET best_notice = 77"),
            ("another of the same identity", "INSERT INTO cases (key, kind, account, expires, precision, trust, opened)"
             " SELECT '0123456789abcdef0123456789abcdef', kind, account, expires, precision, trust, opened FROM cases"),
            ("has no case", "UPDATE jobs SET case_id = 77"),
            ("points at a row that is not there", "UPDATE notices SET case_id = 77"),
            ("without a lease", "UPDATE jobs SET state = 'running' WHERE action = 'renew'"),
            ("a key that is not 32", "UPDATE jobs SET job_key = job_key || 'a' WHERE action = 'renew'"),
            ("closed without a time", "UPDATE cases SET state = 'closed'"),
            ("a time that is none", "UPDATE cases SET opened = 'yesterday'"),
            ("vouched for by nobody", "UPDATE cases SET vouched = 1"),
            ("is in no case's history", "INSERT INTO approvals (case_id, step, by, at) VALUES (1, 'delete', 'eve', "
             "'2026-01-01T00:00:00Z')"),
            ("renewal 1", "INSERT INTO renewals (case_id, expires) VALUES (1, 'soon')"),
            ("belongs to no case", "DELETE FROM notices"),
            ("actions that are not a list", "UPDATE cases SET actions = '{}'"),
            ("the file: ", "UPDATE jobs SET state = 'gone'"),
        )
        with Room() as room:
            room.opened()
            self.well(room.do("ledger", "check"), "all is well: 1 case,")
            whole = os.path.join(room.dir, "whole")
            self.well(room.do("backup", whole))
            for words, sql in rows:
                with self.subTest(words):
                    shutil.copy(whole, room.ledger)
                    room.change(sql)
                    self.refused(room, [(words, ("ledger", "check"), 1)])
                    found = json.loads(room.do("ledger", "check", "--json").stdout)
                    self.assertFalse(found["well"])
                    self.assertTrue(any(words in x for x in found["wrong"]), found)
            shutil.copy(whole, room.ledger)
            done = room.do("ledger", "--json", "check")
            self.assertEqual((done.returncode, json.loads(done.stdout)), (0, {"well": True, "cases": 1, "jobs": 3, "wrong": []}))

    def test_who(self):
        """The environment alone names nobody: SUDO_USER stands there as a hint, USER and LOGNAME not at all."""
        with Room() as room:
            room.opened()
            room.env.update(SUDO_USER="mallory", USER="mallory", LOGNAME="mallory")
            self.well(room.do("close", "1"))
            by = room.rows("SELECT closed_by FROM cases")[0][0]
            self.assertNotEqual(by, "mallory")
            with open("/proc/self/loginuid", encoding="ascii") as f:
                if f.read().strip() == "4294967295":
                    self.assertIn("(sudo says mallory)", by)
                else:
                    self.assertNotIn("mallory", by)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_another_users_state(self):
        """Root's hand would leave files that the owner cannot open, and who may not read must not be told that all is empty."""
        nobody = {"user": 65534, "group": 65534, "extra_groups": []}
        with Room() as room:
            if subprocess.run(["test", "-x", room.mailhook], check=False, **nobody).returncode != 0:
                self.skipTest("the user nobody cannot reach the programs")
            for name, mode in (("", 0o711), ("mailhook.conf", 0o644), ("clock", 0o644), ("renew", 0o755)):
                os.chmod(os.path.join(room.dir, name), mode)
            os.chown(room.state, 65534, 65534)
            os.mkdir(room.intake, 0o700)
            os.chown(room.intake, 65534, 65534)
            root = f"{room.state} belongs to nobody: run this as that user (sudo -u nobody mailhook ...)"
            for command in (("run", "--once"), ("run",), ("drill",), ("imap", "--once"), ("pause",)):
                with self.subTest(command=command):
                    self.refused(room, [(root, command, 2)])
                    self.assertEqual(os.listdir(room.state), ["intake"], "nothing is left behind")
            self.assertEqual(room.pipe(**nobody).returncode, 0)
            self.assertEqual(room.run_once(**nobody).returncode, 0)
            self.assertEqual(len(room.tickets()), 1)
            self.refused(room, [(root, ("handover", "1"), 2)])

            # what root left there before is no copy that was put in its place
            mark = os.path.join(room.state, "ledger.mark")
            os.chown(mark, 0, 0)
            got = said(room.run_once(**nobody))
            self.assertEqual(got[0], 75, got)
            self.assertIn("ledger.mark: Permission denied: it belongs to root", got[1])
            self.assertEqual(room.count("pauses"), 0)
            os.chown(mark, 65534, 65534)

            # a person who steers as root takes nothing from the owner
            for name in ("ledger.mark", "wake"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.path.join(room.state, name))
            self.well(room.do("close", "1"))
            self.well(room.do("resume"))
            self.assertEqual({os.stat(os.path.join(room.state, x)).st_uid for x in os.listdir(room.state)}, {65534})
            self.well(room.run_once(**nobody), "ticket commented and closed")

            os.chown(room.state, 0, 0)
            os.chmod(room.state, 0o711)
            for name in ("ledger.db", "intake"):
                os.chown(os.path.join(room.state, name), 0, 0)
            for command in (("list",), ("status",), ("show", "1"), ("close", "1"), ("ledger", "check"), ("run", "--once")):
                with self.subTest(command=command):
                    got = said(room.do(*command, **nobody))
                    self.assertEqual(got[0], 2, got)
                    self.assertIn("(sudo -u root mailhook ...)", got[1])
                    self.assertNotIn("there is none yet", got[1])
            os.unlink(room.ledger)
            got = said(room.do("status", **nobody))
            self.assertEqual(got[0], 1, got)
            self.assertIn("intake      cannot be read: Permission denied\n", got[1])
            self.assertIsNone(json.loads(room.do("status", "--json", **nobody).stdout)["intake"])
            self.assertNotIn(b"intake_messages", room.do("status", "--prometheus", **nobody).stdout)

            # a group of its own, as containers have it
            os.chown(room.state, 0, 65534)
            os.chmod(room.state, 0o2770)
            shutil.rmtree(room.intake)
            os.unlink(os.path.join(room.state, "ledger.mark"))
            self.well(room.run_once(**nobody))

    def killed(self, command, prepare, look, sample=12):
        """SIGKILL at a sample of the command's changes: what is left is whole, and the command works afterwards."""
        with Room() as room:
            prepare(room)
            how, words = room.kill_at(0, " ".join(room.command(*command(room))))
            self.assertEqual(how, "ended", words)
            total = int(words[1])
        seed = int(os.environ.get("STEER_SEED", random.randrange(2**32)))
        points = [(n, after) for n in range(1, total + 1) for after in (False, True)]
        for n, after in random.Random(seed).sample(points, min(sample, len(points))):
            with self.subTest(command=command, point=n, after=after, seed=seed), Room() as room:
                prepare(room)
                room.kill_at(n, " ".join(room.command(*command(room))), after=after)
                self.assertEqual(room.sound() + room.doubled(), [])
                look(room)
                room.run_once()
                self.assertEqual(room.sound() + room.doubled(), [])

    def test_killed_backup(self):
        def look(room):
            path = room.dir + "/copy"
            if os.path.exists(path):
                db = sqlite3.connect(path)
                self.assertEqual(db.execute("PRAGMA integrity_check").fetchall(), [("ok",)])
                self.assertEqual(db.execute("SELECT count(*) FROM cases").fetchall(), [(1,)])
                db.close()
            else:
                self.well(room.do("backup", path))

        self.killed(lambda room: ("backup", room.dir + "/copy"), lambda room: room.opened(), look)

    def test_killed_purge(self):
        def prepare(room):
            room.configure('keep_mail = "1d"\nkeep_cases = "1d"\n' + CONF)
            room.opened()
            room.do("close", "1")
            room.run_once()
            room.advance(days=2)

        def look(room):
            self.well(room.do("purge"))
            self.assertEqual(room.count("cases"), 0)

        self.killed(lambda room: ("purge",), prepare, look)

    def test_killed_approve(self):
        vouch = ("approve", "1", "--vouch", "--account", ACCOUNT, "--expires", EXPIRES)

        def look(room):
            if not room.rows("SELECT vouched FROM cases WHERE vouched = 1"):
                self.assertEqual(room.job(), ("waiting", "trust"))
                self.well(room.do(*vouch))
            room.run_once()
            self.assertEqual((room.job(), room.runs()), (("done", None), 1))

        self.killed(lambda room: vouch, lambda room: room.opened(), look)

    def test_killed_close(self):
        def look(room):
            if room.rows("SELECT state FROM cases") == [("open",)]:
                self.well(room.do("close", "1"))
            self.assertEqual(room.rows("SELECT state FROM cases"), [("closed",)])

        self.killed(lambda room: ("close", "1"), lambda room: room.opened(), look)


if __name__ == "__main__":
    unittest.main()
