#!/usr/bin/env python3
"""A mailbox that nodes share: read by one of them at a time, taken over when it dies, hangs or leaves, no message handled twice.

    mailbox_nodes_test.py [--real] [--kills N] [--seed N] [ROW...]
    --real: with the lease that users have, of 30 s. --kills: of the row that kills at random. The rows run side by side: they mostly
    wait. Exit 77 without the servers or root."""
import concurrent.futures
import os
import random
import signal
import sys
import time
import traceback

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import mailbox_nodes_room as room  # noqa: E402
import private  # noqa: E402
from mailbox_nodes_room import FILED, Nodes, Place  # noqa: E402



def option(name, otherwise):
    return int(sys.argv[sys.argv.index(name) + 1]) if name in sys.argv else otherwise


REAL = "--real" in sys.argv
KILLS, SEED = option("--kills", 12), option("--seed", random.SystemRandom().randrange(1 << 30))
LEASE_S = 30 if REAL else 6
MOST_S = 45 if REAL else LEASE_S * 1.5 + 20  # stated in mailhook-imap(8); the rest is for a machine that is busy
SOON_S = 15  # where nobody waits for the end of a lease, which is 30 s then
AT_ONCE = 16
place = None


def nodes(names="abc", real=False, **kind):
    return Nodes(place, list(names), lease_s=None if REAL or real else LEASE_S, **kind)


def tell(what, took_s, doubled=None):
    print("%-50s %5.1f s%s" % (what, took_s, "" if doubled is None else ", %d messages taken in twice and counted once" % doubled),
          flush=True)


def equal(found, wanted, what=""):
    assert found == wanted, "%s: %r, not %r" % (what, found, wanted)


def less(found, most, what=""):
    assert found < most, "%s: %r is not below %r" % (what, found, most)


def goes_on(n, what, count=10):
    before = len(n.sent)
    n.wait(what, lambda: len(n.sent) > before + count)


def first_filed(n):
    n.keep_sending()
    n.wait("the first are filed", lambda: len(n.place.mail.ids("done", n.user)) > 3)


def change(name, event, back=None, most_s=MOST_S, names="ab", **kind):
    """Something happens to the node that has it while mail comes in; then another has it, and all is there once."""
    with nodes(names, **kind) as n:
        n["a"].start()
        n.watched_by("a")
        for other in names[1:]:
            n[other].start()
        first_filed(n)
        event(n["a"])
        took_s, who = n.taken_over(names[1:])
        less(took_s, most_s, name)
        goes_on(n, "mail behind the change")
        if back is not None:
            back(n["a"])
            n.wait("it knows who has it now", lambda: n["a"].report().get("node") == who and not n["a"].mailbox_processes())
            goes_on(n, "mail behind its return")
            equal(n.holders(), [who], "the one that has it keeps it")
        n.stop_sending()
        tell(name, took_s, n.settle())
        equal([x for x in n.holders() if x != "a"], [who], "who has it at the end")


def machine_dies():
    change("killed, all of it", lambda a: a.kill(), names="abc")


def supervisor_dies():
    change("killed, the supervisor alone", lambda a: a.stop(signal.SIGKILL), most_s=SOON_S, real=True)


def stops_in_order():
    change("stopped in order", lambda a: equal(a.stop(), 0), most_s=SOON_S, real=True)


def hangs_and_wakes():
    change("SIGSTOP, all of it, and SIGCONT", lambda a: a.freeze(), back=lambda a: a.thaw(), names="abc")


def its_database_is_away():
    change("cut off from the database, and back", lambda a: a.gate.cut(), back=lambda a: a.gate.free(), gates=True)


def its_database_is_silent():
    change("a network to the database that is silent", lambda a: a.gate.hold(), back=lambda a: a.gate.free(), gates=True)


def preferred_node_has_it_back():
    with nodes("ab", real=True, config=FILED + ' prefer = "a"') as n:
        n["a"].start()
        n.watched_by("a")
        n["b"].start()
        first_filed(n)
        n["a"].stop()
        n.watched_by("b")
        n["a"].start()
        took_s, _ = n.taken_over("a")
        goes_on(n, "mail behind its return")
        n.stop_sending()
        doubled = n.settle()
        tell("given back to the node that is preferred", took_s, doubled)
        equal(n.holders(), ["a"])
        equal(doubled, 0, "each ended with the message at hand")
        less(took_s, SOON_S)


def its_database_is_slow_to_reach():
    """Two of three hosts are silent, the password's program takes its time, and all together longer than the patience with it."""
    with nodes("a") as n:
        silent = [place.gate() for _ in range(2)]
        program = os.path.join(n.dir, "tell")
        with open(program, "w", opener=lambda p, f: os.open(p, f, 0o755)) as f:
            f.write("#!/bin/sh\nsleep 2\necho secret\n")
        ports = []
        for gate in silent:
            gate.hold()
            ports.append(gate.port)
        ports.append(place.database.port)
        n.top = 'ledger_password_command = "%s"\n' % program
        n.url = lambda gate: "postgresql://mailhook@%s/%s?connect_timeout=2" % (",".join("127.0.0.1:%d" % p for p in ports), n.name)
        n["a"].configure().start()
        n.watched_by("a")
        assert "hangs" not in n["a"].words(), n["a"].words()


def nobody_reaches_the_database():
    with nodes("ab", gates=True) as n:
        n["a"].start()
        n.watched_by("a")
        n["b"].start()
        n.send(3)
        n.settle()
        for node in n.all.values():
            node.gate.cut()
        n.wait("nobody watches it", lambda: not n.holders())
        n.send(5)
        equal(len(n.place.mail.ids("INBOX", n.user)), 5, "left on the server meanwhile")
        equal(n["a"].mailbox_processes() + n["b"].mailbox_processes(), [])
        n.wait("why is told", lambda: "no node may be sure of it" in (n["a"].report().get("error") or ""))
        for node in n.all.values():
            node.gate.free()
        took_s, _ = n.taken_over("ab")
        tell("read again once the database is back", took_s)
        equal(n.settle(), 0)


def other_side_dies_or_hangs():
    """The mailbox's process goes on: the lease lasts longer than a new one takes to start."""
    with nodes("ab") as n:
        n["a"].start()
        n.watched_by("a")
        n["b"].start()
        watcher = n["a"].mailbox_processes()
        for how in (signal.SIGKILL, signal.SIGSTOP):
            old = n["a"].other_side()
            os.kill(old, how)
            n.wait("another one", lambda: [p for p, x in n["a"].children().items() if "leases" in x and p != old])
            time.sleep(LEASE_S * 1.2)
            equal((n["a"].mailbox_processes(), n.holders()), (watcher, ["a"]), how)
        n.send(2)
        equal(n.settle(), 0)


def supervisor_that_hangs_loses_it():
    """Though its other processes live on."""
    with nodes("ab") as n:
        n["a"].start()
        n.watched_by("a")
        n["b"].start()
        os.kill(n["a"].imap.pid, signal.SIGSTOP)
        took_s, _ = n.taken_over("b")
        less(took_s, MOST_S)
        tell("SIGSTOP of the supervisor alone", took_s)
        n.send(3)
        n.wait("filed by the other", lambda: len(n.place.mail.ids("done", n.user)) == 3)
        os.kill(n["a"].imap.pid, signal.SIGCONT)
        n.wait("a sees it", lambda: n["a"].report().get("node") == "b" and not n["a"].mailbox_processes())
        n.settle()


def each_has_what_it_names():
    """Other mailboxes on each node; a reload takes one away and leaves the rest where it is."""
    with nodes("ab", real=True) as n:
        n["a"].boxes["left"], n["b"].boxes["right"] = place.user(), place.user()
        n["a"].configure().start()
        n.watched_by("a")
        n.watched_by("a", "left")
        n["b"].configure().start()
        n.watched_by("b", "right")
        equal(n["b"].report("ops").get("node"), "a")
        equal(n["b"].report("left"), {})
        words = n["b"].run("status").stdout.decode()
        assert "mailbox     ops: last read " in words and "node a watches it" in words and "mailbox     left" not in words, words
        assert "mailbox     right: last read " in words, words
        del n["a"].boxes["ops"]
        n["a"].configure()
        n["a"].imap.send_signal(signal.SIGHUP)
        took_s, _ = n.taken_over("b")
        less(took_s, SOON_S)
        tell("not configured any more, after a reload", took_s)
        n.watched_by("a", "left")
        n.send(2)
        n.settle()


def once():
    with nodes("ab", real=True) as n:
        n.send(3)
        done = n["b"].once()
        equal(done.returncode, 0, done.stderr.decode())
        equal(len(n.place.mail.ids("done", n.user)), 3)
        began = time.monotonic()
        n["a"].start()
        n.watched_by("a")
        tell("behind --once", time.monotonic() - began)
        less(time.monotonic() - began, SOON_S, "it was given up at its end")
        os.kill(n["a"].mailbox_processes()[0], signal.SIGSTOP)  # it is a's, and a reads nothing now
        n.send(1)
        done = n["b"].once()
        equal((done.returncode, done.stderr), (0, b""), "another node watches it")
        equal(len(n.place.mail.ids("INBOX", n.user)), 1)
        os.kill(n["a"].mailbox_processes()[0], signal.SIGCONT)
        equal(n.settle(), 0)


def position_goes_along():
    """What was read is not even fetched again: of 60 that stay in their place none is taken in twice."""
    with nodes("ab", config="") as n:
        n.send(60)
        n["a"].start()
        n.watched_by("a")
        n["b"].start()
        n.wait("all worked", lambda: n.rows("SELECT count(*) FROM messages") == [("60",)])
        n.wait("its position is kept", lambda: n.rows("SELECT position FROM mailbox_leases")[0][0].startswith("from a\n"))
        n["a"].stop()
        n.watched_by("b")
        n.send(1)
        n.wait("the new one", lambda: n.rows("SELECT count(*), sum(copies) FROM messages") == [("61", "61")])
        with open(n["b"].state + "/mailboxes/ops") as f:
            assert "uid 61\n" in f.read()


def one_that_cannot_read_leaves_it():
    """Its password is wrong, the other's is right; it does not ask for it back at once, though it is the preferred one."""
    with nodes("ab", config=FILED + ' prefer = "a"') as n:
        with open(n["a"].dir + "/ops.password", "w") as f:
            f.write("wrong\n")
        n["a"].start()
        n.wait("a fails", lambda: n["a"].report().get("error"))
        n["b"].start()
        took_s, _ = n.taken_over("b")
        tell("left by a node that cannot read it", took_s)
        n.send(3)
        equal(n.settle(), 0)
        equal(n.holders(), ["b"])


def killed_at_random():
    """A supervisor, its other side, a mailbox's process, a whole machine, or the database's sessions: again and again."""
    chance = random.Random(SEED)
    hit = {}
    with nodes() as n:
        for node in n.all.values():
            node.start()
        n.wait("somebody watches it", n.holders)
        n.keep_sending()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.1, 1.5))
            node = chance.choice(list(n.all.values()))
            what = chance.choice(["supervisor", "other side", "mailbox", "machine", "sessions"])
            below = node.children()
            if what == "supervisor":
                node.stop(signal.SIGKILL)
                node.start()
            elif what == "machine":
                node.kill()
                node.work().start()
            elif what == "sessions":
                n.rows("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '%s' AND pid <> pg_backend_pid()" % n.name)
            else:
                found = [p for p, x in below.items() if ("leases" in x) == (what == "other side")]
                if not found:
                    continue
                os.kill(found[0], signal.SIGKILL)
            hit[what] = hit.get(what, 0) + 1
        n.stop_sending()
        began = time.monotonic()
        tell("behind %d kills %s (seed %d)" % (sum(hit.values()), hit, SEED), 0, n.settle())
        n.wait("one of them watches it", lambda: len(n.holders()) == 1)
        less(time.monotonic() - began, 2 * MOST_S, "until all is as it should be")


def two_hundred():
    """Renewed by a few statements, whatever their number; nobody answers at their server."""
    with nodes("ab", work=False) as n:
        done = n["a"].run("run", "--once")
        equal(done.returncode, 0, done.stderr.decode())
        for node in n.all.values():
            node.boxes = {"box-%03d" % i: n.user for i in range(200)}
            node.configure(port=private.free_port())
            node.start()
        held = "SELECT count(*) FROM mailbox_leases WHERE node <> '' AND until > '2000'"
        n.wait("all are held", lambda: n.rows(held) == [("200",)])
        count = "SELECT xact_commit FROM pg_stat_database WHERE datname = '%s'" % n.name
        time.sleep(1)
        before = int(n.rows(count)[0][0])
        time.sleep(2 * LEASE_S)
        spent = int(n.rows(count)[0][0]) - before
        tell("%d statements for 200 mailboxes in" % spent, 2 * LEASE_S)
        less(spent, 2 * 12 * 5 + 10, "2 nodes look 12 times by 3 statements, and asked")
        equal(n.rows(held), [("200",)])
        began = time.monotonic()
        who = n.rows("SELECT node FROM mailbox_leases WHERE mailbox = 'box-000'")[0][0]
        n[who].stop()
        n.wait("all are the other's", lambda: n.rows(
            "SELECT count(*) FROM mailbox_leases WHERE node NOT IN ('', '%s')" % who) == [("200",)])
        tell("200 mailboxes handed over", time.monotonic() - began)


ROWS = [machine_dies, hangs_and_wakes, its_database_is_away, one_that_cannot_read_leaves_it, other_side_dies_or_hangs,
        supervisor_that_hangs_loses_it, killed_at_random, nobody_reaches_the_database, once, each_has_what_it_names, preferred_node_has_it_back,
        supervisor_dies, stops_in_order, position_goes_along, its_database_is_slow_to_reach]

MORE = [its_database_is_silent, two_hundred]  # with --real


def run(row):
    began = time.monotonic()
    try:
        row()
        print("ok      %s (%.0f s)" % (row.__name__, time.monotonic() - began), flush=True)
        return True
    except Exception:  # said, and the others go on
        print("FAILED  %s\n%s" % (row.__name__, traceback.format_exc()), flush=True)
        return False


def main():
    global place
    if not room.available():
        print("no Dovecot, no PostgreSQL, or not root")
        return 77
    wanted = [a for a in sys.argv[1:] if not a.startswith("--") and not a.isdigit()]
    rows = [r for r in ROWS + MORE if r.__name__ in wanted or (not wanted and (REAL or r in ROWS))]
    with Place() as place, concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(run, rows))
    return 0 if done and all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
