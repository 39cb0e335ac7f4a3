#!/usr/bin/python3
"""valgrind over all samples, over what takes mail in, and over a worker with a ticket and a reply.

The samples are read by the golden test, and notices taken in by the case test, each inside one process: the reader of
the programs is shut in by the kernel, which valgrind cannot be. So the worker takes its mail in without valgrind, while
everything is paused, and does all the rest under it: the jobs with both action programs, then the commands that print.
With --all other unit tests of the same code are added.
"""

import argparse
import glob
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(HERE, "faults"))
from world import World, build_folder, notice  # noqa: E402

VALGRIND = ["valgrind", "--leak-check=full", "--show-leak-kinds=definite", "--errors-for-leak-kinds=definite",
            "--num-callers=30", "--trace-children=yes"]
QUICK = ("golden_test",)
MORE = ("case_test", "mail_read_test", "mail_html_test", "mail_header_test", "parsers_engine_test", "parsers_date_test",
        "ledger_test", "accounts_test", "template_test", "conf_test",
        "conf_complaints_test")
COMMANDS = (("list",), ("list", "--json", "--all"), ("list", "--ics"), ("list", "--html"), ("show", "1"),
            ("show", "--json", "1"), ("status",), ("status", "--json"), ("status", "--prometheus"),
            ("ledger", "check", "--json"), ("check", "--show-templates"), ("close", "1"))
QUICK_COMMANDS = (("list", "--html"), ("show", "--json", "1"), ("close", "1"))


def errors_of(folder, must):
    """What the logs of all processes say; each of the programs in must has one."""
    found, seen = [], set()
    for path in glob.glob(os.path.join(folder, "*")):
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        command = [x.split("Command: ", 1)[1] for x in text.splitlines() if "Command: " in x]
        if not command or "ERROR SUMMARY:" not in text:
            continue  # a child before its exec, which is another log's
        seen.add(os.path.basename(command[0].split()[0]))
        if "ERROR SUMMARY: 0 errors" not in text:
            found.append(text)
    return found + [f"{x} did not run under valgrind" for x in must if x not in seen]


def under(folder, command, **more):
    return subprocess.run(VALGRIND + [f"--log-file={folder}/%p", *command], capture_output=True, timeout=280, check=False, **more)


def units(build, names):
    found = []
    for name in names:
        with tempfile.TemporaryDirectory(prefix="mailhook-valgrind-") as folder:
            done = under(folder, [os.path.join(build, "tests", name)])
            if done.returncode != 0:
                found.append(f"{name}: {done.returncode} {done.stderr.decode()[-2000:]}")
            found += errors_of(folder, [name])
    return found


def worker(build, commands):
    with World(build) as w, tempfile.TemporaryDirectory(prefix="mailhook-valgrind-") as folder:
        steps = [w.run_once(), w.do("pause"), w.pipe_alone(), w.pipe_alone(notice(2)), w.run_once(), w.do("resume")]
        if any(x.returncode != 0 for x in steps) or w.count("cases") != 1 or w.tickets():
            return [f"the mail is not taken in: {steps}"]
        env = dict(w.env, LD_PRELOAD=os.path.join(build, "tests", "libno_pidfd.so"))
        done = under(folder, w.command("run", "--once"), env=env)
        found = [] if done.returncode == 0 else [f"run --once: {done.returncode} {done.stderr.decode()[-2000:]}"]
        if len(w.tickets()) != 1 or len(w.replies()) != 1:
            found.append(f"under valgrind: tickets {w.tickets()}, replies {w.replies()}")
        for command in commands:
            done = under(folder, w.command(*command), env=env)
            if done.returncode not in (0, 1) or not done.stdout:
                found.append(f"{command}: {done.returncode} {done.stderr.decode()[-2000:]}")
        return found + errors_of(folder, ["mailhook-work", "ticket", "reply"])


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--build")
    p.add_argument("--all", action="store_true")
    args = p.parse_args()
    build = os.path.abspath(args.build or build_folder())
    found = units(build, QUICK + MORE if args.all else QUICK) + worker(build, COMMANDS if args.all else QUICK_COMMANDS)
    print("\n".join(found) if found else "valgrind finds nothing")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
