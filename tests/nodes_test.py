#!/usr/bin/python3
"""The promise, by force: several machines on one PostgreSQL, with mail coming in at all of them, while one dies every second,
one is cut off from the database for a while, and the primary dies and its standby is promoted.

Tickets go to a real Request Tracker, replies to a mail program that keeps them, rotations against stand-ins of AWS and
Entra. At the end, all machines well again: each message that was answered 0 has its case, each case exactly one ticket with
each entry once, each reply is one by Message-ID, each rotation is done by one create (or by two, the first one's orphan
deleted after a person's word), at no moment was provisioning interrupted, and no node is missing.

Exit 77 without PostgreSQL or Request Tracker."""
import argparse
import collections
import email
import email.policy
import json
import os
import queue
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "servers"))
KIND = "aws.identity-center.scim-token"
KEY_FIELD = "Case Key"
FROZEN = 1.5  # leases: the longest that a machine hangs
CONF = """flood_unlisted = 1000000
trust { resolver = "127.0.0.1:9" }
action "desk" { program = "ticket" }
action "tell" { program = "reply" }
"""
RULE = 'rule "%s" { order = %d  kinds = {"%s"}  accounts = {%s}  do = {%s} }\n'
DESK = 'driver = "rt"\nurl = "%s"\nsecret_file = "%s"\nqueue = "Credentials"\nkey_field = "' + KEY_FIELD + '"\n'
TELL = 'transport = "sendmail"\nsendmail = "%s"\nto = {"cloud@example.com"}\nfrom = "mailhook@example.com"\nsender_needs = "never"\n'


class Sent:
    """One message that is on its way: to one machine, or to two at once."""

    def __init__(self, message_id, account, raw):
        self.id, self.account, self.raw, self.answers = message_id, account, raw, []  # of (machine, code)

    @property
    def taken(self):
        return [i for i, code in self.answers if code == 0]


class Mailman(threading.Thread):
    """A mail server before one machine: one delivery at a time; what is not answered 0 comes again, at another one."""

    def __init__(self, proof, i, pause_s):
        super().__init__(daemon=True)
        self.proof, self.i, self.pause_s, self.queue, self.ended = proof, i, pause_s, queue.Queue(), False
        self.odd = []  # answers that no mail server may get

    def run(self):
        while True:
            sent = self.queue.get()
            if sent is None:
                return
            code = self.proof.cluster.pipe(self.i, sent.raw, 60 + FROZEN * self.proof.args.lease)
            sent.answers.append((self.i, code))
            if code not in (0, 75, -signal.SIGKILL, None):  # a strike may have hit it: a mail server asks again, as after a 75
                self.odd.append((sent.id, code))
            if code != 0:
                time.sleep(0.05)
                self.proof.mailmen[self.proof.chance.randrange(len(self.proof.mailmen))].queue.put(sent)
            self.queue.task_done()
            time.sleep(self.pause_s)


class Proof:
    def __init__(self, build, args, seed):
        import nodes_room
        import outbox
        import rotation
        import rt
        self.room, self.args, self.seed = nodes_room, args, seed
        self.chance = random.Random(seed)
        self.dir = tempfile.mkdtemp(prefix="mailhook-proof.")
        os.chmod(self.dir, 0o755)
        self.rt = rt.RT(os.path.join(self.dir, "rt"), fields={KEY_FIELD: "FreeformSingle"}).start()
        os.mkdir(os.path.join(self.dir, "sent"))
        self.outbox = outbox.Outbox(os.path.join(self.dir, "sent"), "mailhook@example.com")
        proof = self

        class Tenant(rotation.World):
            """Its time is the machines'."""
            @property
            def t(self):
                return proof.now()

            @t.setter
            def t(self, value):
                pass

        self.start = rotation.START
        self.tenants = [Tenant(account="%012d" % (10 ** 11 + i)) for i in range(args.rotations)]
        for tenant in self.tenants:
            tenant.guarded, tenant.broken = True, []
        self.sent, self.accounts, self.hits, self.said = [], [], collections.Counter(), []
        self.expires = rotation.instant(rotation.EXPIRES)
        self.cluster = None
        self.cluster = self._cluster(build)
        self.mailmen = [Mailman(self, i % args.nodes, args.pause) for i in range(max(args.nodes, args.mailmen))]
        self.down = {}  # machine: when it comes back, by the monotonic clock
        self.steering = threading.Event()

    def now(self):
        return self.cluster.clock.now() if self.cluster is not None else self.start

    def _cluster(self, build):
        conf, actions = CONF, {}
        secret = os.path.join(self.dir, "secret")
        with open(secret, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(self.rt.token)
        actions["desk"] = DESK % (self.rt.url, secret)
        actions["tell"] = TELL % self.outbox.program
        ports = [self.rt.port]
        without_key = {}
        for i, tenant in enumerate(self.tenants):
            name = "entra%d" % i
            conf += 'action "%s" { program = "rotate" }\n' % name
            conf += RULE % (name, 10 + i, KIND, '"%s"' % tenant.account, '"desk", "%s", "tell"' % name)
            with open(tenant.conf, encoding="utf-8") as f:
                actions[name] = f.read()
            ports += [s.httpd.server_port for s in (tenant.aws, tenant.scim, tenant.tokens, tenant.sync)]
            # the last machine lacks what the secrets are sealed with: it must leave these to the others
            without_key[name] = actions[name].replace(os.path.join(tenant.dir, "key"), os.path.join(tenant.dir, "no-key"))
        conf += RULE % ("rest", 100, "*", '"*"', '"desk", "tell"')
        return self.room.Cluster(build, self.args.nodes, conf, actions, ports, self.start, engine=self.args.engine, lease_s=self.args.lease,
                                 more={self.args.nodes - 1: without_key} if self.args.nodes > 1 else None,
                                 apart=False if self.args.plain else None)

    def close(self):
        self.steering.set()
        self.cluster.__exit__(*sys.exc_info())
        for tenant in self.tenants:
            tenant.close()
        self.rt.stop()
        shutil.rmtree(self.dir, ignore_errors=True)

    # -- mail

    def mail_of(self, account, shapes=None):
        """One expiry: some of AWS's shapes, and of each perhaps the very same message at two machines."""
        if account not in self.accounts:
            self.accounts.append(account)
        for name in self.chance.sample(self.room.SHAPES, shapes or self.chance.randint(1, 3)):
            message_id = "%s.%s.%d@example.com" % (account, name, len(self.sent))
            sent = Sent(message_id, account, self.room.shape(name, account, message_id))
            self.sent.append(sent)
            for mailman in self.chance.sample(self.mailmen, 2 if len(self.mailmen) > 1 and self.chance.random() < 0.4 else 1):
                mailman.queue.put(sent)

    def post(self):
        """New mail, as fast as it is taken, until the end; of new expiries no more than tickets are opened for."""
        if sum(m.queue.qsize() for m in self.mailmen) >= len(self.mailmen) * 2:
            return
        if self.backlog < self.args.backlog:
            self.backlog += 1
            self.mail_of("%012d" % (2 * 10 ** 11 + len(self.accounts)))
        else:
            self.mail_of(self.chance.choice(self.accounts), 1)

    backlog = 0

    # -- a person

    def steer(self):
        """Confirms, and approves what waits for it, at any machine, until told to end."""
        while not self.steering.wait(0.5):
            try:
                self._steer_once()
            except (AssertionError, OSError) as e:  # the database is away, or a command was late
                self.said.append(str(e)[:200])

    def _steer_once(self):
        for tenant in self.tenants:
            tenant.sync.sync()
        worked = self.cluster.count("jobs", "role = 'ticket' AND event = 'opened' AND state IN ('done', 'skipped', 'failed')")
        self.backlog = len(self.accounts) - worked
        for case, account, waits, step in self.cluster.rows(
                "SELECT c.id, c.account, j.waiting_for, j.step FROM jobs j JOIN cases c ON c.id = j.case_id "
                "WHERE j.role = 'effect' AND j.state = 'waiting' AND j.waiting_for IN ('trust', 'approval')"):
            i = self.chance.choice([x for x in range(self.args.nodes) if x not in self.cut])
            if waits == "trust":
                done = self.cluster.do(i, "approve", case, "--vouch", "--account", account, "--expires", self.expires)
            else:
                done = self.cluster.do(i, "approve", case, "--step", step)
            if done.returncode != 0:
                self.said.append("approve %s: %d %s" % (case, done.returncode, (done.stderr + done.stdout).decode(errors="replace")))

    # -- trouble

    cut, taken_while_cut, waited_while_cut = (), 0, 0

    def strike(self, i):
        """One machine suffers; the whole of it dies most often."""
        m, how = self.cluster.machines[i], self.chance.random()
        if how < 0.7:
            m.kill()
            self.hits["machine"] += 1
            self.down[i] = time.monotonic() + self.chance.choice((0, 0, 0.3, 1))
        elif how < 0.9:
            pids = m.pids()[1:]
            if pids:
                self.room.postgresql.signal_all([self.chance.choice(pids)], 9)
                self.hits["process"] += 1
        else:
            m.freeze()
            self.hits["frozen"] += 1
            # perhaps for so long that its leases end: then others go on, and what wakes up must not
            self.down[i] = time.monotonic() + self.chance.uniform(0.5, FROZEN * self.args.lease)

    def raise_up(self, last=False):
        for i, m in enumerate(self.cluster.machines):
            if m.process is not None and m.process.poll() is not None:  # its first process was killed
                m.kill()
                self.down.setdefault(i, time.monotonic())
        for i, when in list(self.down.items()):
            if last or time.monotonic() >= when:
                del self.down[i]
                m = self.cluster.machines[i]
                if m.process is None:
                    m.boot()
                else:
                    m.thaw()

    def trouble(self):
        """The whole plan, in shares of the time."""
        args, began = self.args, time.monotonic()
        victim = self.chance.randrange(args.nodes)  # whose way to the database is cut: silent, or refused
        plan = [(0.15, "cut"), (0.45, "fail over"), (0.7, "free")] if self.cluster.server is not None else []
        next_strike, struck = began + args.every, 0
        while not (struck >= args.kills if args.kills else time.monotonic() - began >= args.seconds):
            share = struck / args.kills if args.kills else (time.monotonic() - began) / args.seconds
            if plan and share >= plan[0][0]:
                self.do_planned(plan.pop(0)[1], victim)
            self.raise_up()
            self.post()
            if time.monotonic() >= next_strike:
                standing = [i for i in range(args.nodes) if i not in self.down and i != (victim if self.cut else None)]
                if standing:
                    self.strike(self.chance.choice(standing))
                    struck += 1
                next_strike += args.every
            time.sleep(0.02)
        for _, what in plan:
            self.do_planned(what, victim)
        self.trouble_s = time.monotonic() - began

    def do_planned(self, what, victim):
        gates = self.cluster.gates[victim]
        if what == "cut":
            self.cut, self.cut_at = (victim,), (victim, sum(1 for s in self.sent if victim in s.taken))
            for gate in gates:
                gate.cut() if self.chance.random() < 0.5 else gate.hold()
        elif what == "free":
            victim, before = self.cut_at
            self.taken_while_cut = sum(1 for s in self.sent if victim in s.taken) - before
            self.waited_while_cut = len(self.cluster.intake(victim)[0])
            for gate in gates:
                gate.free()
            self.cut = ()
        else:
            self.cluster.fail_over()

    # -- and peace

    def left(self):
        """What must still come about."""
        c, found = self.cluster, []
        for i in range(self.args.nodes):
            waiting, _ = c.intake(i)
            if waiting:
                found.append("%d messages in the intake of %s" % (len(waiting), c.names[i]))
        open_jobs = c.rows("SELECT j.id, j.case_id, j.action, j.event, j.state, j.waiting_for, j.due, j.attempt, j.lease_owner, j.summary "
                           "FROM jobs j WHERE j.state NOT IN ('done', 'skipped') ORDER BY j.id LIMIT 5")
        found += ["job %s" % (row,) for row in open_jobs]
        return found

    def all_stand(self, late):
        self.raise_up(last=True)
        return all(i == late or m.run(["true"]) == 0 for i, m in enumerate(self.cluster.machines))

    def drain(self):
        """All is well, but for one machine that comes back only when its leases have ended."""
        c, dead, end = self.cluster, set(), time.monotonic() + self.args.patience
        late = self.chance.randrange(self.args.nodes) if self.args.nodes > 1 else None
        if late is not None:
            c.machines[late].kill()
            self.down.pop(late, None)
            dead = {c.names[late]}
        c.wait("machines that stand", lambda: self.all_stand(late), 30)
        by = 0 if late is None else (late + 1) % self.args.nodes
        if late is not None:
            self.quiet(dead)
            self.taken_back = len([x for x in c.running() if x.rsplit("/", 1)[0] in dead])
            c.leap(self.args.lease + 15, by, dead)
            self.quiet(dead)
            found = [x for x in c.running() if x.rsplit("/", 1)[0] in dead]
            assert not found, "leases of a machine that died are not taken back: %s" % found
            c.machines[late].boot()
            dead = set()
        for m in self.mailmen:
            c.wait("the end of what the mail servers have", lambda q=m.queue: q.unfinished_tasks == 0, 60)
        while True:
            self.quiet(dead)
            if not self.left():
                return
            if time.monotonic() > end:
                raise AssertionError("not drained: %s" % self.left())
            c.leap(300, by, dead)

    def quiet(self, dead):
        """Until nothing runs that could, and nothing waits that is due."""
        c = self.cluster

        def idle():
            due = c.count("jobs", "state IN ('queued', 'waiting') AND due <= '%s'" % c.clock.text(-1))
            full = any(c.intake(i)[0] for i in range(self.args.nodes) if c.machines[i].process is not None)
            return not c.running(dead) and not due and not full
        try:
            c.wait("quiet", idle, 10)
        except AssertionError:
            pass  # time must pass: what is due waits for something else

    # -- what must be true

    def wrong(self):
        found = []
        for part in (self.wrong_mail, self.wrong_tickets, self.wrong_replies, self.wrong_rotations, self.wrong_nodes):
            found += part()
        return found

    def wrong_mail(self):
        c, found = self.cluster, []
        rows = c.rows("SELECT m.message_id, m.verdict, n.case_id, k.account, m.copies FROM messages m LEFT JOIN notices n ON n.message_id = m.id "
                      "LEFT JOIN cases k ON k.id = n.case_id")
        known = collections.defaultdict(list)
        for message_id, verdict, case, account, copies in rows:
            known[message_id.strip("<>")].append((verdict, case, account, copies))
        for sent in self.sent:
            here = known.pop(sent.id, [])
            if not sent.taken:
                found.append("message %s was never taken: %s" % (sent.id, sent.answers))
            elif len(here) != 1 or here[0][0] != "notice" or here[0][2] != sent.account:
                found.append("message %s, answered %s, is in the ledger as %s" % (sent.id, self.told(sent), here))
        found += ["message %s came from nowhere: %s" % item for item in known.items()]
        cases = collections.defaultdict(list)
        for case, kind, account in c.rows("SELECT id, kind, account FROM cases"):
            cases[account].append((case, kind))
        for account in self.accounts:
            if [kind for _, kind in cases.pop(account, [])] != [KIND]:
                found.append("account %s has cases %s" % (account, c.rows("SELECT id, kind, expires FROM cases WHERE account = '%s'" % account)))
        found += ["cases nobody asked for: %s %s" % item for item in cases.items()]
        for m in self.mailmen:
            found += ["pipe on %s answered %s with %s" % (c.names[m.i], *odd) for odd in m.odd]
        for i in range(self.args.nodes):
            if c.intake(i)[1]:
                found.append("%s set aside %s" % (c.names[i], c.intake(i)[1]))
        return found

    def told(self, sent):
        return ", ".join("%s by %s" % (code, self.cluster.names[i]) for i, code in sent.answers)

    def all_tickets(self):
        found, page = [], 1
        while True:
            status, answer = self.rt.get("tickets?per_page=100&orderby=id&fields=CustomFields&page=%d&query=id%%20%%3E%%200" % page)
            assert status == 200, answer
            found += answer["items"]
            if len(found) >= answer["total"] or not answer["items"]:
                return found
            page += 1

    def wrong_tickets(self):
        found, by_key = [], collections.defaultdict(list)
        for ticket in self.all_tickets():
            by_key[self.rt.field(ticket, KEY_FIELD)].append(ticket["id"])
        self.tickets = sum(len(x) for x in by_key.values())
        for case, key, account, url in self.cluster.rows("SELECT id, key, account, ticket_url FROM cases"):
            numbers = by_key.pop(key, [])
            if len(numbers) != 1:
                found.append("case %s (account %s) has %d tickets: %s" % (case, account, len(numbers), numbers))
            elif not (url or "").endswith("=%s" % numbers[0]):
                found.append("case %s has ticket %s, and its ledger says %s" % (case, numbers[0], url))
        found += ["tickets %s carry %s, which is no case's" % (numbers, key) for key, numbers in by_key.items()]
        for tenant in self.tenants:  # these have more than an opening
            case = self.cluster.rows("SELECT key FROM cases WHERE account = '%s'" % tenant.account)
            for (key,) in case:
                for ticket in self.rt.find("'CF.{%s}' = '%s'" % (KEY_FIELD, key)):
                    texts = [t for kind, t in self.rt.history(ticket["id"]) if kind in ("Comment", "Correspond")]
                    if len(texts) != len(set(texts)):
                        found.append("ticket %s says something twice: %s" % (ticket["id"], texts))
        return found

    def wrong_replies(self):
        found, ids = [], collections.Counter()
        texts = {}
        for raw in self.outbox.sent():
            mail = email.message_from_bytes(raw, policy=email.policy.SMTP)
            ids[mail["Message-ID"]] += 1
            texts.setdefault(mail["Message-ID"], set()).add(mail["Subject"])
        self.replies, self.resent = len(ids), sum(ids.values()) - len(ids)
        jobs = self.cluster.rows("SELECT job_key, case_id, event, state, attempt FROM jobs WHERE role = 'reply' AND state = 'done'")
        if len(ids) != len(jobs):
            found.append("%d replies by Message-ID, and %d jobs that sent one: %s" % (len(ids), len(jobs), sorted(ids)[:3]))
        # a mail program cannot be asked whether it had a mail: it comes twice only where an attempt broke off, as the same mail
        tried = sum(int(j[4]) - 1 for j in jobs)
        if self.resent > tried:
            found.append("%d replies came again, and only %d attempts were broken off" % (self.resent, tried))
        found += ["replies with Message-ID %s differ: %s" % item for item in texts.items() if len(item[1]) > 1]
        return found

    def wrong_rotations(self):
        found, test = [], unittest.TestCase()
        for i, tenant in enumerate(self.tenants):
            rows = self.cluster.rows("SELECT j.state, j.summary, j.case_id FROM jobs j WHERE j.action = 'entra%d'" % i)
            if [r[0] for r in rows] != ["done"]:
                found.append("the rotation for %s ends as %s" % (tenant.account, rows))
                continue
            case = rows[0][2]
            orphans = self.cluster.count("approvals", "case_id = %s AND step = 'orphan'" % case)
            listed = tenant.center.tokens
            if len(listed) != 1 or listed[0]["Token"] != tenant.sync.saved["SecretToken"]:
                found.append("%s: %d tokens, or another one in use (case %s)" % (tenant.account, len(listed), case))
            told = "\n".join(self.cluster.words().values()) + "\n".join(r[0] or "" for r in self.cluster.rows(
                "SELECT action_state FROM jobs UNION ALL SELECT summary FROM jobs UNION ALL SELECT detail FROM events"))
            try:
                tenant.check(test, tenant.account, {"summary": rows[0][1] or ""}, creates=1 + orphans, told=told)
            except AssertionError as e:
                found.append(str(e))
        return found

    taken_back = 0

    def wrong_nodes(self):
        found = []
        for i, name in enumerate(self.cluster.names):
            check = self.cluster.do(i, "ledger", "check")
            if check.returncode != 0:
                found.append("ledger check on %s: %d %s" % (name, check.returncode, (check.stdout + check.stderr).decode(errors="replace")))
        if self.cluster.server is None:
            return found
        names = set(self.cluster.names)

        def all_there():
            nodes = self.cluster.status(0).get("nodes", [])
            return {n["name"] for n in nodes} == names and all(n["state"] == "runs" for n in nodes)
        try:
            self.cluster.wait("all nodes in status", all_there, 30)
        except AssertionError as e:
            found.append("%s: %s" % (e, json.dumps(self.cluster.status(0).get("nodes"))))
        if self.cluster.server is not None and self.taken_while_cut == 0:
            found.append("the machine that was cut off took no mail")
        return found

    def explain(self, words, most=3):
        """What the ledger and the logs say of the cases and messages that a complaint names."""
        c, text = self.cluster, []
        for name in [w.strip("(),:'") for w in words.split()]:
            cases = []
            if name.endswith("@example.com"):
                cases = c.rows("SELECT n.case_id FROM notices n JOIN messages m ON m.id = n.message_id WHERE m.message_id = '<%s>'" % name)
            elif name.isdigit() and len(name) == 12:
                cases = c.rows("SELECT id FROM cases WHERE account = '%s'" % name)
            elif name.isdigit() and ("case %s" % name) in words:
                cases = [(name,)]
            for (case,) in cases[:most]:
                text.append(c.do(0, "show", case).stdout.decode(errors="replace"))
                text += ["job: %s" % (r,) for r in c.rows(
                    "SELECT id, action, event, state, attempt, due, started, ended, lease_owner, summary "
                    "FROM jobs WHERE case_id = %s ORDER BY id" % case)]
                for machine, log in c.words().items():
                    text += ["%s: %s" % (machine, line) for line in log.splitlines() if "case=%s " % case in line + " "][-20:]
        return "\n".join(dict.fromkeys(text))

    def run(self):
        c = self.cluster
        began = time.monotonic()
        c.boot()
        for m in self.mailmen:
            m.start()
        threading.Thread(target=self.steer, daemon=True).start()
        for tenant in self.tenants:
            self.mail_of(tenant.account)
        self.trouble()
        peace = time.monotonic()
        try:
            self.drain()
            found = self.wrong()
        except AssertionError as e:
            found = [str(e)]
        self.steering.set()
        copies = sum(len(s.taken) for s in self.sent)
        print("%d machines (%s), %.0f s of trouble: %s%s; %d messages, %d deliveries answered 0 "
              "(%d at the machine without a database, %d waited there), %d cases, %d tickets, %d replies (%d again, as the same mail), "
              "%d rotations with %d creates; drained in %.0f s, all in %.0f s; seed %d" % (
                  self.args.nodes, self.args.engine + ", namespaces" if c.machines[0].apart else self.args.engine + ", processes", self.trouble_s,
                  ", ".join("%d %s" % (n, what) for what, n in sorted(self.hits.items())),
                  ", and one of them cut off and the database failed over" if c.server is not None else "", len(self.sent), copies,
                  self.taken_while_cut, self.waited_while_cut, len(self.accounts), getattr(self, "tickets", -1),
                  getattr(self, "replies", -1), getattr(self, "resent", -1), len(self.tenants),
                  sum(len(t.created) for t in self.tenants), time.monotonic() - peace, time.monotonic() - began, self.seed), flush=True)
        for x in found[:20]:
            print("WRONG: " + x)
        for x in found[:5]:
            print("--- of: %s\n%s" % (x[:200], self.explain(x)))
        if found:
            for name, log in c.words().items():
                print("--- the end of %s's log\n%s" % (name, "\n".join(log.splitlines()[-25:])))
            print("--- a person's commands that failed\n" + "\n".join(self.said[-10:]))
        return found


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build", default=os.environ.get("MAILHOOK_BUILD", "build"))
    p.add_argument("--nodes", type=int, default=4)
    p.add_argument("--seconds", type=float, default=20, help="of trouble")
    p.add_argument("--kills", type=int, default=0, help="trouble until so many strikes, in place of a time")
    p.add_argument("--every", type=float, default=1.0, help="seconds between two strikes")
    p.add_argument("--lease", type=int, default=6, help="seconds; so short that leases end within the trouble")
    p.add_argument("--rotations", type=int, default=2)
    p.add_argument("--engine", choices=("postgresql", "sqlite"), default="postgresql", help="sqlite: with --nodes 1")
    p.add_argument("--mailmen", type=int, default=0, help="deliveries at once, if more than machines")
    p.add_argument("--backlog", type=int, default=4, help="expiries without a ticket; more are not made up")
    p.add_argument("--pause", type=float, default=0.3, help="seconds between two deliveries to one machine")
    p.add_argument("--patience", type=float, default=240, help="seconds until all must be drained")
    p.add_argument("--plain", action="store_true", help="processes, though namespaces could be made")
    p.add_argument("--seed", type=int, default=None)
    args = p.parse_args()
    build = os.environ["MAILHOOK_BUILD"] = os.path.abspath(args.build)
    os.environ.setdefault("MAILHOOK_SOURCE", os.path.dirname(HERE))
    import postgresql
    import rt
    if not postgresql.available() or not rt.available():
        print("no PostgreSQL, or no Request Tracker")
        return 77
    seed = args.seed if args.seed is not None else int.from_bytes(os.urandom(4), "big")
    print("seed %d" % seed, flush=True)
    proof = Proof(build, args, seed)
    try:
        return 1 if proof.run() else 0
    finally:
        proof.close()


if __name__ == "__main__":
    sys.exit(main())
