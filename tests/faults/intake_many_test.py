#!/usr/bin/python3
"""An intake of many files, as after a week without a worker: all are worked, in bounded memory, and none is looked at
again and again.

The files are written as `pipe` writes them: mails about so many expiries, some seven each, and one in fifty that says
nothing readable. The worker runs once under a limit on its memory, over a layer that counts how often it asks about a file of
the intake: that must grow with the number of files, not with its square.
"""

import argparse
import os
import resource
import subprocess
import sys
import time

sys.dont_write_bytecode = True
from world import World, notice  # noqa: E402

MEMORY_MB = 400      # of address space: the libraries, SQLite's cache, one message, the list of names
READ_PER_FILE = 100000  # bytes: what a scan of a table for each file costs from some 10,000 files on, where the cache is too small for it
LOOKS_PER_FILE = 12  # a list of an eighth at a time costs eight, and the last thousand one more
CONF = 'action "all" { program = "@" role = "ticket" }\nrule "all" { accounts = {"*"} do = {"all"} }\n'
ACTION = """#!/bin/sh
IFS= read -r request
echo '{"outcome":"done","summary":"seen"}'
"""


def raw(number, cases):
    """Mail number so many: about one of the cases; an account each thousand, a day within three years."""
    case = number % cases
    text = notice(number).replace(b"123456789012", b"%012d" % (case // 1000 + 1))
    day = time.gmtime(1775000000 + 86400 * (case % 1000))
    text = text.replace(b"in 89 days on Tue Mar 31 04:05:06 UTC 2026", time.strftime("on %a %b %d 04:05:06 UTC %Y", day).encode())
    return text.replace(b" expires on ", b" expires somewhen on ") if number % 50 == 49 else text


def fill(world, files, cases):
    os.mkdir(world.intake, 0o700)
    for number in range(files):
        path = os.path.join(world.intake, "%032x.msg" % number)
        with open(path, "wb") as f:
            f.write(b"mailhook 1 2026-01-01T04:00:00Z from=- cut=0\n" + raw(number, cases))


def limit():
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_MB << 20, MEMORY_MB << 20))


def bytes_read(pid):
    """Of a process that has ended and was not waited for."""
    with open(f"/proc/{pid}/io", encoding="ascii") as f:
        return int(next(line for line in f if line.startswith("rchar:")).split()[1])


def work(world):
    """Returns seconds, the peak in MB, how often files of the intake were asked about, and how many bytes were read."""
    looks = os.path.join(world.dir, "looks")
    env = dict(world.env, LD_PRELOAD=os.path.join(world.build, "tests", "liblooks.so"), LOOKS_FILE=looks)
    start = time.monotonic()
    p = subprocess.Popen(world.command("run", "--once"), env=env, stderr=subprocess.DEVNULL, preexec_fn=limit)
    os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOWAIT)
    read = bytes_read(p.pid)
    _, status, used = os.wait4(p.pid, 0)
    p.returncode = os.waitstatus_to_exitcode(status)
    if p.returncode != 0:
        sys.exit(f"run --once: {p.returncode}")
    with open(looks, encoding="ascii") as f:
        return time.monotonic() - start, used.ru_maxrss / 1024, int(f.read()), read


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build")
    p.add_argument("--files", type=int, default=3000)
    args = p.parse_args()

    cases = max(args.files // 7, 1)
    action = None
    with World(args.build) as w:
        action = os.path.join(w.dir, "action")
        w.write(action, ACTION)
        os.chmod(action, 0o700)
        w.write(w.conf, f'state_dir = "{w.state}"\n' + CONF.replace("@", action))
        fill(w, args.files, cases)
        seconds, peak, looks, read = work(w)
        print(f"{args.files} files: {seconds:.1f} s, {args.files / seconds:.0f} a second, {peak:.0f} MB, {looks} looks, "
              f"{read / args.files / 1000:.0f} kB read each", flush=True)
        found = []
        left = len(w.messages_waiting())
        if left or w.count("messages") != args.files:
            found.append(f"{w.count('messages')} messages, {left} left in the intake")
        if not args.files <= looks <= LOOKS_PER_FILE * args.files + 20000:
            found.append(f"{looks} looks at {args.files} files")
        if read > READ_PER_FILE * args.files:
            found.append(f"{read} bytes read for {args.files} files")
        if w.rows("SELECT count(*) FROM jobs WHERE state <> 'done'") != [(0,)]:
            found.append(f"jobs: {w.rows('SELECT state, count(*) FROM jobs GROUP BY state')}")
        if w.count("notices") < args.files * 48 // 50:
            found.append(f"{w.count('notices')} notices")
        if w.do("ledger", "check").returncode != 0:
            found.append("ledger check fails")
    for x in found:
        print(x)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
