#!/usr/bin/python3
"""The tests of the ledger and of all that stands on it once more, on PostgreSQL: one server, a schema for each ledger.

    engines_test.py FOLDER TEST...     the programs of FOLDER that are so called
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "servers"))
from postgresql import Postgresql, available


def main(folder, names):
    if not available():
        print("no PostgreSQL is installed")
        return 77
    failed = []
    # Nothing here is about what a power cut leaves: the disk need not be waited for.
    with Postgresql(settings={"fsync": "off"}) as pg:
        env = {**os.environ, "MAILHOOK_TEST_POSTGRESQL": pg.fresh()}
        for name in names:
            done = subprocess.run([os.path.join(folder, name)], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            words = done.stdout.decode(errors="replace")
            print("%s: %s" % (name, "passed" if done.returncode == 0 else "FAILED"))
            if done.returncode != 0:
                print(words)
                failed.append(name)
            elif "PASSED" not in words:
                failed.append(name + " ran no test")
    print("failed: " + ", ".join(failed) if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
