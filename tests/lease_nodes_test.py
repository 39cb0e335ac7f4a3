#!/usr/bin/python3
"""Workers of several nodes on one PostgreSQL: each job is claimed by one of them, a worker that hangs or is cut off loses its
jobs in time, a pause is for all, and status shows all. Leases last 6 s here, but in the test of pauses, where they are a user's.

--long: also with a keeper that hangs, and a connection that stands still. Exit 77 without PostgreSQL."""
import json
import os
import re
import signal
import subprocess
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
sys.path.insert(0, os.path.join(HERE, "faults"))
BUILD = os.environ.setdefault("MAILHOOK_BUILD", os.path.join(HERE, "..", "build"))
import postgresql  # noqa: E402
from nodes_room import Cluster  # noqa: E402
from world import NOTICE  # noqa: E402

LEASE_S = 6
LONG = "--long" in sys.argv[1:]
DAY = 86400

# Notes each start, and by the second how long it lives; where the file "hold" is there it waits, then asks for one more leave.
TURN = r"""#!/usr/bin/python3
import json, os, sys, time
here = os.path.dirname(os.path.abspath(__file__))
if sys.argv[1] != "run":
    print('{"outcome":"done","summary":"no"}')
    sys.exit()
asked = json.loads(sys.stdin.readline())
node = asked["config"].split("/")[-3].split(".")[0]
def note(what):
    with open(os.path.join(here, "log"), "a") as f:
        f.write("%.3f %s %d %d %s\n" % (time.monotonic(), node, asked["case"]["id"], asked["attempt"], what))
def leave(step):
    print(json.dumps({"checkpoint": {"step": step}}), flush=True)
    return sys.stdin.readline().strip() == '{"ok":true}'
note("start")
if not leave(1):
    note("refused")
    sys.exit(1)
while os.path.exists(os.path.join(here, "hold")):
    note("alive")
    time.sleep(0.05)
note("effect" if leave(2) else "refused")
print('{"outcome":"done","summary":"turned"}')
"""


def notice(number):
    """AWS's mail about a token that ends in 89 days, of an account for each number."""
    ends = time.gmtime(time.time() + 89 * DAY + 3600)
    mail = (NOTICE % number).replace(b"123456789012", b"%012d" % (100000000000 + number))
    mail = mail.replace(b"Thu, 1 Jan 2026 03:00:00 +0000", time.strftime("%a, %d %b %Y %H:%M:%S +0000", time.gmtime()).encode())
    return re.sub(rb"Tue Mar 31 04:05:06 UTC 2026", time.strftime("%a %b %e %H:%M:%S UTC %Y", ends).encode(), mail)


class LeasesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.c = Cluster(BUILD, 3, "", apart=False, standby=False)
        cls.addClassCleanup(cls.c.__exit__, None)
        cls.number = 0
        cls.turn = os.path.join(cls.c.dir, "turn")
        with open(cls.turn, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o700)) as f:
            f.write(TURN)
        for i in range(3):
            with open(cls.c.folder(i, "mailhook.conf"), "a", encoding="ascii") as f:
                f.write('flood_unlisted = 100000\nmax_running = 2\naction "turn" { program = "%s" needs = "unverified" }\n'
                        'rule "all" { do = {"turn"} }\n' % cls.turn)

    def setUp(self):
        self.hold(False)
        if os.path.exists(os.path.join(self.c.dir, "log")):
            os.unlink(os.path.join(self.c.dir, "log"))

    def tearDown(self):
        for i, m in enumerate(self.c.machines):
            self.c.gates[i][0].free()
            m.kill()

    def boot(self, lease_s=LEASE_S):
        for env in [self.c.env] + [m.env for m in self.c.machines]:
            env.pop("MAILHOOK_LEASE_S", None)
            if lease_s is not None:
                env["MAILHOOK_LEASE_S"] = str(lease_s)
        self.c.boot()
        self.c.wait("three nodes", lambda: [n["state"] for n in self.c.status(0)["nodes"]] == ["runs"] * 3, 30)

    def hold(self, there):
        path = os.path.join(self.c.dir, "hold")
        if there:
            with open(path, "w", encoding="ascii"):
                pass
        elif os.path.exists(path):
            os.unlink(path)

    def put(self, node, n=1):
        for _ in range(n):
            LeasesTest.number += 1
            self.assertEqual(self.c.pipe(node, notice(self.number)), 0)

    def log(self, what=None):
        """[(when, node's number, case, attempt, what)]"""
        try:
            with open(os.path.join(self.c.dir, "log"), encoding="ascii") as f:
                rows = [line.split() for line in f if line.endswith("\n")]
        except FileNotFoundError:
            return []
        rows = [(float(t), int(node[4:]) - 1, int(case), int(attempt), said) for t, node, case, attempt, said in rows]
        return [r for r in rows if what is None or r[4] == what]

    def process(self, node, name):
        """The ids of that node's processes of that name."""
        found = []
        for pid in self.c.machines[node].pids():
            try:
                with open("/proc/%d/comm" % pid, encoding="ascii") as f:
                    if f.read().strip() == name:
                        found.append(pid)
            except OSError:
                pass
        return found

    def all_done(self):
        return self.c.count("jobs", "state <> 'done'") == 0 and self.c.count("jobs") > 0

    def running_one(self):
        """Where the one job runs: the machine's number."""
        self.hold(True)
        self.put(0)
        self.c.wait("its start", lambda: self.log("alive"), 30)
        return self.log("start")[0][1]

    # -- tests

    def test_each_job_is_claimed_once(self):
        self.boot()
        before = self.c.count("jobs")
        again = self.c.count("events", "detail LIKE '%queued again%'")
        for i in range(3):
            self.put(i, 8)
        self.c.wait("all cases", lambda: self.c.count("jobs") == before + 24)
        self.c.wait("all jobs", self.all_done)
        starts = self.log("start")
        self.assertEqual(len(starts), 24)
        self.assertEqual(len({r[2] for r in starts}), 24, "one for each case")
        self.assertEqual({r[3] for r in starts}, {1}, "at the first attempt")
        self.assertGreater(len({r[1] for r in starts}), 1, "more than one node was at work")
        self.assertEqual(self.c.count("events", "detail LIKE '%queued again%'"), again)

    def test_a_worker_that_hangs(self):
        """The keeper ends the action; where that hangs too, the action gets no more leave."""
        for both in (False, True) if LONG else (False,):
            with self.subTest(keeper_hangs=both):
                self.tearDown()
                self.setUp()
                self.boot()
                first = self.running_one()
                stopped = self.process(first, "mailhook-work") + (self.process(first, "mailhook-fence") if both else [])
                self.assertEqual(len(stopped), 2 if both else 1)
                for pid in stopped:
                    os.kill(pid, signal.SIGSTOP)
                began = time.monotonic()
                self.c.wait("another's start", lambda: len(self.log("start")) > 1, 30)
                second = self.log("start")[1]
                self.assertNotEqual(second[1], first)
                self.assertEqual(second[3], 2)
                self.assertLess(second[0] - began, LEASE_S + 3, "taken over after its lease")
                if not both:
                    last = max(r[0] for r in self.log("alive") if r[1] == first)
                    self.assertLess(last, second[0], "it was dead before")
                for pid in reversed(stopped):
                    os.kill(pid, signal.SIGCONT)
                self.hold(False)
                self.c.wait("the end", self.all_done, 30)
                self.assertEqual([r[1] for r in self.log("effect")], [second[1]], "who came back did nothing")
                self.assertEqual(self.c.rows("SELECT attempt FROM jobs ORDER BY id DESC LIMIT 1"), [("2",)])

    def test_a_node_that_is_cut_off(self):
        for way in ("hold", "cut") if LONG else ("cut",):
            with self.subTest(way=way):
                self.tearDown()
                self.setUp()
                self.boot()
                first = self.running_one()
                getattr(self.c.gates[first][0], way)()
                cut = time.monotonic()
                # it goes on taking mail
                self.put(first)
                self.assertEqual(len(self.c.intake(first)[0]), 1)
                self.c.wait("another's start", lambda: len(self.log("start")) > 1, 40)
                second = self.log("start")[1]
                last = max(r[0] for r in self.log("alive") if r[1] == first)
                self.assertLess(last - cut, LEASE_S, "its action ended before its lease")
                self.assertLess(last, second[0])
                self.assertNotEqual(second[1], first)
                done = self.c.do(first, "status")
                self.assertEqual(done.returncode, 1, done)
                self.assertIn(b"\nintake      1 messages", done.stdout)
                self.assertIn(b"\nledger      cannot be read now: ", done.stdout)
                said = json.loads(self.c.do(first, "status", "--json").stdout)
                self.assertEqual((said["intake"], said["cases_open"], said["jobs"], said["nodes"]), (1, None, None, []))
                self.assertTrue(said["ledger_trouble"])
                self.assertIn(b"\nmailhook_ledger_readable 0\n", self.c.do(first, "status", "--prometheus").stdout)
                self.hold(False)
                self.c.gates[first][0].free()
                self.c.wait("what it took meanwhile", lambda: not self.c.intake(first)[0] and self.all_done(), 60)
                self.assertEqual([r[1] for r in self.log("effect") if r[2] == second[2]], [second[1]])
                self.assertIn("its lease could not be renewed in time", self.c.words()["node%d" % (first + 1)])
                if way == "cut":  # a connection that stands still may be heard again, and nothing has failed
                    self.assertIn("the work goes on", self.c.words()["node%d" % (first + 1)])

    def test_a_pause_is_for_all_and_a_call_is_heard(self):
        self.boot(None)
        before = self.c.count("jobs", "state = 'done'")
        self.assertEqual(self.c.do(1, "pause").returncode, 0)
        for i in range(3):
            self.put(i, 2)
        self.c.wait("all cases", lambda: self.c.count("jobs", "state = 'queued'") == 6)
        self.assertIn(b"paused already", self.c.do(0, "pause").stdout)
        self.assertEqual(self.c.count("jobs", "state = 'done'"), before)
        self.assertEqual(self.log(), [])
        began = time.monotonic()
        self.assertEqual(self.c.do(2, "resume").returncode, 0)
        self.c.wait("all jobs", self.all_done)
        self.assertLess(time.monotonic() - began, 8, "nobody slept until its next sign of life")
        self.assertEqual({r[4] for r in self.log()}, {"start", "effect"})

    def test_status_shows_all_and_forgets(self):
        self.boot()
        self.assertEqual([n["name"] for n in self.c.status(1)["nodes"]], ["node1", "node2", "node3"])
        text = self.c.do(2, "status").stdout.decode()
        for i in range(3):
            self.assertIn("\nnode        node%d: runs" % (i + 1), text)
        self.assertEqual(self.c.do(0, "status").returncode, 0)
        self.assertEqual(self.c.do(0, "status", "--alarm").returncode, 0)
        refused = self.c.do(0, "ledger", "forget", "node3")
        self.assertEqual(refused.returncode, 2)
        self.assertRegex(refused.stderr.decode(), r'^mailhook: node "node3" lives: it was seen \d s ago')
        self.c.machines[2].kill()
        self.c.wait("silence", lambda: self.c.status(0)["nodes"][2]["silent"], 20)
        done = self.c.do(0, "status")
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout.decode(), r"\nnode        node3: SILENT, last seen \d+ s ago")
        metrics = self.c.do(1, "status", "--prometheus").stdout.decode()
        self.assertIn('\nmailhook_node_silent{node="node3"} 1\n', metrics)
        self.assertIn('\nmailhook_node_running{node="node2"} 1\n', metrics)
        self.assertEqual(self.c.do(0, "ledger", "forget", "node3").returncode, 0)
        self.assertEqual(self.c.do(0, "status").returncode, 0)
        self.assertEqual(self.c.do(0, "ledger", "forget", "node3").returncode, 2)
        self.assertEqual(self.c.count("events", "what = 'forgotten' AND detail = 'node3'"), 1)
        self.c.machines[1].stop()
        self.assertEqual(self.c.status(0)["nodes"][1]["state"], "stopped")
        self.assertEqual(self.c.do(0, "status").returncode, 0)

    def test_two_workers_of_one_name(self):
        self.boot()
        other = os.path.join(self.c.dir, "other")
        os.mkdir(other, 0o700)
        with open(self.c.folder(0, "mailhook.conf"), encoding="ascii") as f:
            text = f.read().replace(self.c.folder(0, "state"), other)
        with open(other + ".conf", "w", encoding="ascii") as f:
            f.write(text)
        for args in ((), ("--once",)):
            done = subprocess.run([self.c.mailhook, "run", *args, "--config", other + ".conf"], env=self.c.env, timeout=30,
                                  stdin=subprocess.DEVNULL, capture_output=True, check=False)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn(b" of this ledger, seen ", done.stderr)
        # dead, it is another's after half a lease
        self.c.machines[0].kill()
        began = time.monotonic()
        done = subprocess.run([self.c.mailhook, "run", "--once", "--config", other + ".conf"], env=self.c.env, timeout=30,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done)
        self.assertLess(time.monotonic() - began, LEASE_S)


if __name__ == "__main__":
    if not postgresql.available():
        sys.exit(77)
    unittest.main(argv=[a for a in sys.argv if a != "--long"])
