#!/usr/bin/python3
"""tests/bench/nodes.py [jobs|intake|takeover ...]: what several nodes on one PostgreSQL do, in real time: jobs a second with
1, 2 and 4 nodes, notices a second that are taken in with SQLite and with PostgreSQL, and how long it takes until others
go on where a node died or hung, or the primary's standby was promoted. Prints what it measures; all of it runs on one machine, so what
is near its limit says more of the machine than of a node.

    --messages N    (2000) of jobs and intake        --nodes N...    (1 2 4)        --times N    (3) of takeover"""
import argparse
import os
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "servers")]
os.environ.setdefault("MAILHOOK_SOURCE", os.path.abspath(os.path.join(HERE, "..", "..")))
BUILD = os.environ["MAILHOOK_BUILD"] = os.path.abspath(os.environ.get("MAILHOOK_BUILD", "build"))
import nodes_room  # noqa: E402
import ticket_server  # noqa: E402

CONF = """log_level = "error"
flood_unlisted = 1000000
max_running = %d
action "act" { program = "%s"  role = "ticket"  needs = "unverified"  deadline = "1h" }
rule "all" { accounts = {"*"}  do = {"act"} }
"""
SCRIPT = "#!/bin/sh\nread -r line\n%s\necho '{\"outcome\":\"done\",\"summary\":\"done\"}'\n"
HEAD = b"mailhook 1 %s from=- cut=0\n"
SLOW_S = 0.2  # as a ticket system in another place


def fill(c, i, count, first):
    """So many notices into the intake at once, each of another case."""
    place, intake = c.folder(i, "staging"), c.folder(i, "state", "intake")
    os.makedirs(place)
    os.makedirs(intake, exist_ok=True)
    head = HEAD % time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()).encode()
    names = ["%032x.msg" % (first + n) for n in range(count)]
    for n, name in enumerate(names):
        account = "%012d" % (first + n)
        with open(os.path.join(place, name), "wb") as f:
            f.write(head + nodes_room.shape("a-8bit", account, account + "@example.com"))
    begin = time.monotonic()
    for name in names:
        os.rename(os.path.join(place, name), os.path.join(intake, name))
    shutil.rmtree(place)
    return begin


def until(c, sql, count, deadline_s=1800):
    end = time.monotonic() + deadline_s
    while int(c.rows(sql)[0][0]) < count:
        assert time.monotonic() < end, (sql, count, c.words())
        time.sleep(0.1)
    return time.monotonic()


def take_in(c, count):
    """All paused: seconds until the nodes have taken in so many notices, each its share."""
    done = c.do(0, "pause")
    assert done.returncode == 0, done
    share = count // len(c.machines)
    begin = min(fill(c, i, share, 10 ** 11 * (i + 1)) for i in range(len(c.machines)))
    return until(c, "SELECT count(*) FROM messages", share * len(c.machines)) - begin


def jobs(args):
    desk = ticket_server.GitLab()
    try:
        for name, program, slow in (("a ticket in a local stand-in", "ticket", 0), ("a trivial action", None, 0),
                                    ("an action that waits %d ms" % (SLOW_S * 1000), None, SLOW_S)):
            for nodes in args.nodes:
                desk_conf = 'driver = "gitlab"\nurl = "%s"\nqueue = "group/ops"\nsecret_file = "%%s"\n' % desk.url
                print("%-28s %d nodes: %8.1f jobs a second" % (name, nodes, rate(args, nodes, program, slow, desk_conf)), flush=True)
    finally:
        desk.stop()


def rate(args, nodes, program, slow, desk_conf):
    folder = os.path.join(args.work, "rate")
    os.mkdir(folder)
    script, secret = os.path.join(folder, "act"), os.path.join(folder, "secret")
    for path, text, mode in ((script, SCRIPT % ("sleep %s" % slow if slow else ""), 0o700), (secret, ticket_server.SECRET, 0o600)):
        with open(path, "w", encoding="ascii", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(text)
        os.chmod(path, mode)
    conf = CONF % (8 if slow else 4, program or script)
    with nodes_room.Cluster(BUILD, nodes, conf, {"act": desk_conf % secret}, apart=False, standby=False) as c:
        c.boot()
        take_in(c, args.messages)
        begin = time.monotonic()
        done = c.do(0, "resume")
        assert done.returncode == 0, done
        took = until(c, "SELECT count(*) FROM jobs WHERE state = 'done'", args.messages // nodes * nodes) - begin
    shutil.rmtree(folder)
    return args.messages // nodes * nodes / took


def intake(args):
    conf = CONF % (4, "ticket")
    rows = [("SQLite", 1, {"engine": "sqlite"}), ("PostgreSQL, no standby", 1, {"standby": False}), ("PostgreSQL", 1, {})]
    rows += [("PostgreSQL", n, {}) for n in args.nodes if n > 1]
    for name, nodes, kind in rows:
        with nodes_room.Cluster(BUILD, nodes, conf, {}, apart=False, **kind) as c:
            c.boot()
            took = take_in(c, args.messages)
        what = name + ("" if name != "PostgreSQL" else ", synchronous standby")
        print("%-36s %d nodes: %8.1f notices a second, %6.2f ms each" % (
            what, nodes, args.messages // nodes * nodes / took, took * 1000 / (args.messages // nodes * nodes)), flush=True)


def takeover(args):
    """One job that runs for ever, at whichever node has it."""
    script = os.path.join(args.work, "hang")
    with open(script, "w", encoding="ascii") as f:
        f.write("#!/bin/sh\nread -r line\nsleep 1000\n")
    os.chmod(script, 0o700)
    conf = CONF % (4, script)
    for what in ("starts again", "stays dead", "hangs"):
        took = []
        for _ in range(args.times):
            with nodes_room.Cluster(BUILD, 2, conf, {}, standby=False) as c:
                c.boot()
                fill(c, 0, 1, 10 ** 11)
                c.wait("the job", lambda: holder(c) is not None)
                first = holder(c)
                machine = c.machines[c.names.index(first.split("/")[0])]
                begin = time.monotonic()
                if what == "hangs":
                    machine.freeze()
                else:
                    machine.kill()
                if what == "starts again":
                    machine.boot()
                c.wait("another's hold", lambda: holder(c) not in (None, first), 180)
                took.append(time.monotonic() - begin)
        print("a node dies and %-14s its job runs again after %s s" % (what + ":", " ".join("%.1f" % t for t in took)), flush=True)
    took = []
    for _ in range(args.times):
        with nodes_room.Cluster(BUILD, 2, CONF % (4, "ticket"), {}) as c:
            c.boot()
            take_in(c, 20)
            c.server.kill()
            begin = time.monotonic()
            c.standby.promote()
            c.live = c.standby
            promoted = time.monotonic() - begin
            fill(c, 1, 20, 5 * 10 ** 11)
            took.append((promoted, until(c, "SELECT count(*) FROM messages", 40) - begin))
    print("the primary dies, its standby is promoted at once (%s s): notices are in the new one after %s s" % (
        " ".join("%.1f" % t[0] for t in took), " ".join("%.1f" % t[1] for t in took)), flush=True)


def holder(c):
    rows = c.rows("SELECT lease_owner FROM jobs WHERE state = 'running'")
    return rows[0][0] if rows else None


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("what", nargs="*")
    p.add_argument("--messages", type=int, default=2000)
    p.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4])
    p.add_argument("--times", type=int, default=3)
    args = p.parse_args()
    parts = {"jobs": jobs, "intake": intake, "takeover": takeover}
    unknown = set(args.what) - set(parts)
    if unknown:
        p.error("what is %s?" % ", ".join(sorted(unknown)))
    args.work = tempfile.mkdtemp(prefix="mailhook-bench.")
    os.chmod(args.work, 0o755)
    try:
        for name in args.what or list(parts):
            parts[name](args)
    finally:
        shutil.rmtree(args.work)


if __name__ == "__main__":
    main()
