#!/usr/bin/python3
"""Rotations on several machines with one ledger on PostgreSQL: what one of them has sealed another one goes on with, if it has
the key; a machine without the key, or with another one, leaves it alone and says so; and two cases of one tenant are never
rotated at once.

Exit 77 without PostgreSQL."""
import hashlib
import os
import re
import sys
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
sys.path.insert(0, os.path.join(HERE, "faults"))
BUILD = os.environ.setdefault("MAILHOOK_BUILD", os.path.join(HERE, "..", "build"))
import postgresql  # noqa: E402
import rotation  # noqa: E402
from nodes_room import Cluster  # noqa: E402
from world import NOTICE  # noqa: E402

A, B, WITHOUT, OTHER = range(4)  # the machines: two with the key, one without, one with another
DAY = rotation.DAY
ENDS = "2026-03-31T04:05:06Z"
KEY, OTHER_KEY = "0123456789abcdef" * 4, "fedcba9876543210" * 4
API, HAND, PAIR = "111111111111", "222222222222", "333333333333"
KIND = "aws.identity-center.*"


def key_id(key):
    return hashlib.sha256(bytes.fromhex(key)).hexdigest()[:16]


def notice(number, account, after_s=0):
    """AWS's mail about a token of that account which ends then."""
    day = time.gmtime(rotation.seconds(ENDS) + after_s)
    days = 89 if after_s == 0 else 90
    mail = NOTICE % number
    mail = mail.replace(b"123456789012", account.encode()).replace(b"in 89 days", b"in %d days" % days)
    return mail.replace(b"Tue Mar 31 04:05:06 UTC 2026", time.strftime("%a %b %e %H:%M:%S UTC %Y", day).encode())


class Room:
    """The machines, and a world of stand-ins for each tenant, in one time."""

    def __init__(self):
        room = self

        class Tenant(rotation.World):
            @property
            def t(self):
                return room.cluster.clock.now() if room.cluster is not None else rotation.START

            @t.setter
            def t(self, value):
                pass

        self.cluster, self.number = None, 0
        ends = (rotation.seconds(ENDS),)
        self.tenants = {
            "api": Tenant(account=API, approval="auto", tokens=ends),
            "hand": Tenant(account=HAND, aws="handover", tokens=ends),
            "pair": Tenant(account=PAIR, approval="auto", tokens=ends, timeout_s=25),
        }
        conf = 'max_running = 1\ntrust { resolver = "127.0.0.1:9" }\n'
        actions, more, ports = {}, {WITHOUT: {}, OTHER: {}}, []
        for name, w in self.tenants.items():
            w.guarded, w.broken = True, []
            conf += 'action "%s" { program = "rotate"  deadline = 120s }\n' % name
            conf += 'rule "%s" { kinds = {"%s"}  accounts = {"%s"}  do = {"%s"} }\n' % (name, KIND, w.account, name)
            with open(w.conf, encoding="utf-8") as f:
                actions[name] = f.read()
            w.write("other-key", OTHER_KEY)
            for node, file in ((WITHOUT, "no-key"), (OTHER, "other-key")):
                more[node][name] = actions[name].replace(os.path.join(w.dir, "key"), os.path.join(w.dir, file))
            ports += [s.httpd.server_port for s in (w.aws, w.scim, w.tokens, w.sync)]
        self.cluster = Cluster(BUILD, 4, conf, actions, ports, rotation.START, apart=False, standby=False, more=more)

    def close(self):
        self.cluster.__exit__(None)
        for w in self.tenants.values():
            w.close()


class NodesTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.room = Room()
        cls.addClassCleanup(cls.room.close)
        cls.c = cls.room.cluster

    def setUp(self):
        for m in self.c.machines:
            m.kill()

    # -- what the tests say

    def up(self, *nodes):
        for i in nodes:
            self.c.machines[i].boot()
        self.c.wait("the ledger", self.c.tables)

    def opened(self, by, account, after_s=0):
        """A case of that account, of which a person has seen in AWS what the mail says."""
        self.room.number += 1
        self.assertEqual(self.c.pipe(by, notice(self.room.number, account, after_s)), 0)
        ends = rotation.instant(rotation.seconds(ENDS) + after_s)
        sql = "SELECT id FROM cases WHERE account = '%s' AND expires = '%s'" % (account, ends)
        self.c.wait("the case", lambda: self.c.rows(sql))
        case = self.c.rows(sql)[0][0]
        self.well(self.c.do(by, "approve", case, "--vouch", "--account", account, "--expires", ends))
        return case

    def well(self, done, code=0):
        text = (done.stdout + done.stderr).decode(errors="replace")
        self.assertEqual(done.returncode, code, text)
        return text

    def job(self, case):
        """state, waiting_for, step, action_state, summary"""
        return self.c.rows("SELECT state, waiting_for, step, action_state, summary FROM jobs WHERE case_id = %s" % case)[0]

    def refusals(self, case):
        """{node: why}"""
        return dict(self.c.rows("SELECT f.node, f.why FROM refusals f JOIN jobs j ON j.id = f.job_id WHERE j.case_id = %s" % case))

    def until_done(self, case, tenant, by, leap=600, dead=(), rounds=40):
        for _ in range(rounds):
            self.c.wait("the end of a run", lambda: self.job(case)[0] != "running", 30)
            time.sleep(0.3)
            if self.job(case)[0] == "done":
                return
            tenant.sync.sync()
            self.c.leap(leap, by=by, dead=dead)
        self.fail("not done: %s, %s" % (self.job(case), self.c.rows("SELECT node, why FROM refusals")))

    def kept_sums(self, name, tenant, case):
        """One new token, the one that is in use, and the old one gone."""
        self.assertEqual(len(tenant.created), 1, name)
        self.assertEqual([t["Token"] for t in tenant.center.tokens], [tenant.sync.saved["SecretToken"]], name)
        tenant.check(self, name, {"summary": self.job(case)[4]}, told="\n".join(self.c.words().values()))

    # -- tests

    def test_a_sealed_token_is_anybodys_who_has_the_key(self):
        w, c = self.room.tenants["api"], self.c
        before = w.scim.before

        def strike(_):
            w.scim.before = before
            c.machines[A].kill()
        self.up(A)
        w.scim.before = strike
        case = self.opened(A, API)
        c.wait("the death of the first machine", lambda: c.machines[A].process is None)
        state = self.job(case)
        self.assertEqual(state[0], "running", "nobody has let go of its lease")
        self.assertIn('"sealed":"' + key_id(KEY), state[3])
        self.assertEqual((len(w.created), len(w.center.tokens)), (1, 2))

        self.up(WITHOUT, OTHER)
        c.leap(70, by=WITHOUT, dead=("node1",))
        c.wait("both leave it", lambda: len(self.refusals(case)) == 2)
        why = self.refusals(case)
        self.assertIn("key_file, which is to hold key %s: " % key_id(KEY), why["node3"])
        self.assertIn("No such file", why["node3"])
        self.assertIn("sealed by key %s, and key_file holds key %s" % (key_id(KEY), key_id(OTHER_KEY)), why["node4"])
        shown = self.well(c.do(OTHER, "show", case))
        for words in ("node3 leaves it to other nodes until ", "node4 leaves it to other nodes until ", "scim-tenant/"):
            self.assertIn(words, shown)
        c.wait("nobody else is there", lambda: c.status(WITHOUT)["left_by_all"] == 1)
        self.assertIn("1 of them by every node", self.well(c.do(OTHER, "status"), 1))
        time.sleep(1.5)
        for node in ("node3", "node4"):
            self.assertEqual(len(re.findall(r"action api: retry", c.words()[node])), 1, "it is not tried again and again")
        self.assertEqual((len(w.created), w.center.deleted), (1, []), "and nothing was done")

        self.up(B)
        self.until_done(case, w, B, dead=("node1",))
        self.kept_sums("sealed", w, case)
        self.assertEqual(self.refusals(case), {})
        self.assertEqual(c.rows("SELECT count(*) FROM claims"), [("0",)])
        self.assertEqual(c.rows("SELECT by FROM events WHERE what = 'left' AND case_id = %s" % case), [("api",)] * 2)

    def test_two_cases_of_one_tenant(self):
        w, c = self.room.tenants["pair"], self.c
        answer, seen = w.aws.answer, []

        def slow(h):
            """No token before the other case has asked for the tenant too; other calls are answered meanwhile."""
            create = h.headers.get("X-Amz-Target", "").endswith(".CreateBearerToken")
            end = time.monotonic() + 20
            while create and not seen and time.monotonic() < end:
                seen.extend(c.rows("SELECT case_id FROM jobs WHERE action = 'pair' AND step = 'claimed'"))
                time.sleep(0.02)
            answer(h)
        w.aws.answer = slow
        self.up(A, B)
        self.well(c.do(A, "pause"))
        cases = [self.opened(A, PAIR), self.opened(B, PAIR, DAY - 1)]
        self.assertEqual(len(set(cases)), 2)
        self.well(c.do(B, "resume"))
        c.wait("one of them waits for the other", lambda: seen)
        (second,) = [case for case in cases if case == seen[0][0]]
        (first,) = [case for case in cases if case != second]
        self.assertIn("mailhook close", self.job(second)[4])
        owners = c.rows("SELECT case_id FROM claims")
        self.assertEqual(owners, [(first,)])
        self.until_done(first, w, A, leap=3700)
        self.until_done(second, w, A, leap=3700)
        self.assertIn("renewed already", self.job(second)[4])
        self.kept_sums("two cases", w, first)
        self.assertEqual(c.rows("SELECT count(*) FROM claims"), [("0",)])

    def test_a_handover_where_the_key_is_not(self):
        w, c = self.room.tenants["hand"], self.c
        self.up(A, WITHOUT)
        case = self.opened(A, HAND)
        waits = lambda: self.job(case)[:2] == ("waiting", "input")  # noqa: E731
        c.wait("a person is asked", waits)
        text = self.well(c.do(WITHOUT, "handover", case), 1)
        self.assertIn("key_file", text)
        self.assertNotIn("nothing was taken", text, "it did not get so far as to ask")
        self.assertIn("node3", self.refusals(case))
        c.wait("a person is asked again", waits)
        self.assertIn("nothing was taken", self.well(c.do(A, "handover", case), 1), "where the key is it asks")
        w.check(self, "handover", None, creates=0, told="\n".join(c.words().values()))


if __name__ == "__main__":
    if not postgresql.available():
        print("no PostgreSQL here")
        sys.exit(77)
    unittest.main()
